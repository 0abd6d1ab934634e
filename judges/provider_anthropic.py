"""Anthropic's Messages API, and servers that speak it, through the official SDK.

A schema is asked for as `output_config`; a server that objects to it gets a tool that must be called, whose input
is the schema. The API has neither a seed nor log probabilities.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from interjudge.errors import InputError
from interjudge.judges.llm_base import Finish, Provider, Reply, Request
from interjudge.judges.provider_client import Address, Connection, address, fits, number, post
from interjudge.judges.provider_errors import malformed, status_error

DEFAULT_URL: Final = "https://api.anthropic.com"
KEY_VARIABLE: Final = "ANTHROPIC_API_KEY"
# Parameter -> how servers call it when they object to it; the more particular first.
PARAMETERS: Final = {
    "temperature": ("temperature",),
    "effort": ("output_config.effort", "effort"),
    "format": ("output_config.format", "output_config", "output_format", "structured outputs", "json_schema"),
    "tool_choice": ("tool_choice",),
    "tools": ("tools",),
}
_FINISH: Final[Mapping[str, Finish]] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}


def anthropic_provider(
    model: str, *, base_url: str | None = None, key_env: str | None = None, timeout: float = 120.0
) -> Provider:
    """A model behind Anthropic's Messages API, or a server that speaks it at `base_url` (without `/v1`).

    `base_url` else `ANTHROPIC_BASE_URL`, else Anthropic's own; `key_env`, `timeout`: as `openai_provider`, with
    `ANTHROPIC_API_KEY`.

    Raises
    ------
    InputError : no model, or an address that is none or holds a key.
    """
    if not model.strip():
        raise InputError("no model is named", expected="such as anthropic/claude-haiku-4-5@harm5")
    where = address(
        base_url, key_env, default=DEFAULT_URL, url_variable="ANTHROPIC_BASE_URL", key_variable=KEY_VARIABLE
    )
    return AnthropicProvider(model, where, Connection(where, open_anthropic, timeout))


def open_anthropic(url: str, key: str, options: dict[str, Any]) -> Any:
    from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient  # noqa: PLC0415  a second to import

    http = DefaultAsyncHttpxClient(**options)
    return AsyncAnthropic(base_url=url, api_key=key, timeout=options["timeout"], max_retries=0, http_client=http)


class AnthropicProvider:
    """One model; made by `anthropic_provider`."""

    def __init__(self, model: str, where: Address, connection: Connection) -> None:
        self.model = model
        self.where = where
        self._connection = connection

    def __repr__(self) -> str:
        return f"AnthropicProvider({self.model!r}, {self.where.url!r})"

    @property
    def limits(self) -> str:
        return self.where.limits

    @property
    def identity(self) -> Mapping[str, object]:
        return {"provider": "anthropic", "api": "messages", "model": self.model, "address": self.where.url}

    @property
    def refused(self) -> tuple[str, ...]:
        """The parameters that the server objected to, and that were left out since."""
        return tuple(sorted(self._connection.refused))

    async def complete(self, request: Request) -> Reply:
        write = partial(self._body, request)
        return self.read(await self._connection.send_adapted(_ask, write, PARAMETERS), request)

    def body(self, request: Request, refused: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The JSON that asks it, without the parameters in `refused`."""
        return _written(self._body(request, refused))

    def read(self, answer: Mapping[str, Any], request: Request) -> Reply:
        """The reply in the JSON that the server answered.

        Raises
        ------
        ProviderError : it is none, or an error.
        """
        host = self.where.host
        if answer.get("type") == "error":
            raise status_error(500, dict(answer), host=host, key=self._connection.key_if_set())
        reply = read_message(answer, host)
        return replace(reply, structured=reply.finish == "stop" and fits(reply.text, request.schema))

    async def close(self) -> None:
        await self._connection.close()

    def _body(self, request: Request, refused: frozenset[str]) -> dict[str, Any]:
        """The parameters under the names of `PARAMETERS`; `_written` puts them where the API has them."""
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": request.max_tokens,
            "messages": [{"role": m.role, "content": m.text} for m in request.messages if m.role != "system"],
            "system": "\n\n".join(m.text for m in request.messages if m.role == "system") or None,
            "temperature": request.temperature,
            "effort": request.effort,
        }
        if request.schema is not None and "format" not in refused:
            body["format"] = dict(request.schema)
        elif request.schema is not None:
            tool = {"name": request.name, "description": "Report the answer.", "input_schema": dict(request.schema)}
            body |= {"tools": [tool], "tool_choice": {"type": "tool", "name": request.name}}
        if {"tools", "tool_choice"} & refused:
            body.pop("tools", None)
            body.pop("tool_choice", None)
        return {name: value for name, value in body.items() if value is not None and name not in refused}


def _written(body: Mapping[str, Any]) -> dict[str, Any]:
    from anthropic import transform_schema  # noqa: PLC0415  a second to import

    found = {name: value for name, value in body.items() if name not in {"effort", "format"}}
    config: dict[str, Any] = {}
    if "effort" in body:
        config["effort"] = body["effort"]
    if "format" in body:
        # Bounds of numbers, which the API does not take, become words of the description.
        config["format"] = {"type": "json_schema", "schema": transform_schema(body["format"])}
    return found | ({"output_config": config} if config else {})


async def _ask(client: Any, body: dict[str, Any]) -> Any:
    return await post(client, _written(body), path="/v1/messages")


def read_message(body: Mapping[str, Any], host: str) -> Reply:
    """The reply in an answer of the Messages API.

    Raises
    ------
    ProviderError : ``again``: it is none.
    """
    content, reason, usage = body.get("content"), body.get("stop_reason"), body.get("usage")
    if not isinstance(content, list) or not all(isinstance(block, Mapping) for block in content):
        raise malformed(host, "no content in it")
    called = [
        json.dumps(block.get("input"), ensure_ascii=False) for block in content if block.get("type") == "tool_use"
    ]
    texts = [block.get("text") for block in content if block.get("type") == "text"]
    if not all(isinstance(text, str) for text in texts) or not isinstance(reason, str | None):
        raise malformed(host, "no text in it")
    usage = usage if isinstance(usage, Mapping) else {}
    model = body.get("model")
    return Reply(
        text=called[0] if called else "".join(str(text) for text in texts),
        finish=_FINISH.get(reason or "", "stop"),
        model=model if isinstance(model, str) else None,
        input_tokens=_read_tokens(usage),
        output_tokens=number(usage.get("output_tokens")),
    )


def _read_tokens(usage: Mapping[str, Any]) -> int | None:
    """All input tokens: those from the cache are counted apart."""
    if number(usage.get("input_tokens")) is None:
        return None
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return sum(number(usage.get(name)) or 0 for name in names)
