"""OpenAI and every server that speaks its API: Chat Completions, Responses and Completions, through the official SDK.

What a server does not take (a temperature, a schema, log probabilities, `max_completion_tokens` where it is an old
one) is left out or said the old way after its first objection, and `OpenAIProvider.refused` names it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from interjudge.errors import InputError, choices
from interjudge.judges.llm_base import Provider, ProviderError, Reply, Request
from interjudge.judges.openai_reply import read_chat, read_completion, read_response
from interjudge.judges.provider_client import Address, Connection, address, fits, post
from interjudge.judges.provider_errors import status_error

Api = Literal["chat", "responses", "completions"]

DEFAULT_URL: Final = "https://api.openai.com/v1"
KEY_VARIABLE: Final = "OPENAI_API_KEY"
# Parameter -> how servers call it when they object to it; the more particular first.
_CHAT: Final = {
    "max_completion_tokens": ("max_completion_tokens",),
    "max_tokens": ("max_tokens",),
    "temperature": ("temperature",),
    "seed": ("seed",),
    "reasoning_effort": ("reasoning_effort", "reasoning effort"),
    "logprobs": ("logprobs", "top_logprobs", "log probabilities"),
    "response_format": ("response_format", "json_schema", "structured outputs", "guided decoding"),
}
_RESPONSES: Final = {
    "response_format": ("response_format",),
    "temperature": ("temperature",),
    "reasoning": ("reasoning", "reasoning.effort"),
    "top_logprobs": ("top_logprobs", "logprobs", "include"),
    "text": ("text.format", "json_schema", "structured outputs"),
    "store": ("store",),
}
_COMPLETIONS: Final = {
    "temperature": ("temperature",),
    "seed": ("seed",),
    "logprobs": ("logprobs", "log probabilities"),
}
_RESPONSE_ERRORS: Final = {"rate_limit_exceeded": 429, "invalid_prompt": 400, "server_error": 500}


def openai_provider(
    model: str,
    *,
    base_url: str | None = None,
    key_env: str | None = None,
    api: Api = "chat",
    timeout: float = 120.0,
) -> Provider:
    """A model behind OpenAI's API, or behind any server that speaks it at `base_url` (`http://HOST:PORT/v1`).

    Parameters
    ----------
    base_url : else `OPENAI_BASE_URL`, else OpenAI's own.
    key_env : the variable that holds the key. Needed for any server that wants one and is not OpenAI's, which
        takes it from `OPENAI_API_KEY`: that key is sent nowhere else.
    api : ``chat`` (Chat Completions, which every such server has), ``responses``, or ``completions``, which takes
        `Request.text` as it is.
    timeout : seconds for one request, from first to last.

    Raises
    ------
    InputError : no model, no such API, or an address that is none or holds a key.
    """
    if not model.strip():
        raise InputError("no model is named", expected="such as openai/gpt-5-mini@harm5")
    if api not in get_args(Api):
        raise InputError("no such API of OpenAI", found=api, expected=choices(get_args(Api)))
    where = openai_address(base_url, key_env)
    return OpenAIProvider(model, where, api, Connection(where, open_openai, timeout))


def openai_address(base_url: str | None, key_env: str | None) -> Address:
    """Where `openai_provider` asks."""
    return address(base_url, key_env, default=DEFAULT_URL, url_variable="OPENAI_BASE_URL", key_variable=KEY_VARIABLE)


def open_openai(url: str, key: str, options: dict[str, Any]) -> Any:
    """The SDK's client; it tries nothing again, which is the runner's business."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient  # noqa: PLC0415  a second to import

    http = DefaultAsyncHttpxClient(**options)
    return AsyncOpenAI(base_url=url, api_key=key, timeout=options["timeout"], max_retries=0, http_client=http)


class OpenAIProvider:
    """One model; made by `openai_provider`."""

    def __init__(self, model: str, where: Address, api: Api, connection: Connection) -> None:
        self.model = model
        self.api = api
        self.where = where
        self._connection = connection

    def __repr__(self) -> str:
        return f"OpenAIProvider({self.model!r}, {self.where.url!r}, api={self.api!r})"

    @property
    def limits(self) -> str:
        return self.where.limits

    @property
    def identity(self) -> Mapping[str, object]:
        return {"provider": "openai", "api": self.api, "model": self.model, "address": self.where.url}

    @property
    def _is_openai(self) -> bool:
        return self.where.host == urlsplit(DEFAULT_URL).netloc

    @property
    def refused(self) -> tuple[str, ...]:
        """The parameters that the server objected to, and that were left out since."""
        return tuple(sorted(self._connection.refused))

    @property
    def parameters(self) -> Mapping[str, Iterable[str]]:
        """The parameters that a server may object to, and how it calls them then (`provider_errors.objection`)."""
        return _CALLS[self.api][0]

    async def complete(self, request: Request) -> Reply:
        names, path = _CALLS[self.api]
        answer = await self._connection.send_adapted(partial(post, path=path), partial(self.body, request), names)
        return self.read(answer, request)

    def body(self, request: Request, refused: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The JSON that asks it, without the parameters in `refused`."""
        write = {"chat": self._chat_body, "responses": self._responses_body, "completions": self._completions_body}
        return write[self.api](request, refused)

    def read(self, answer: Mapping[str, Any], request: Request) -> Reply:
        """The reply in the JSON that the server answered.

        Raises
        ------
        ProviderError : it is none, or an error.
        """
        host = self.where.host
        if isinstance(answer.get("error"), Mapping):
            raise error_inside(answer["error"], host, self._connection)
        reply = {"chat": read_chat, "responses": read_response, "completions": read_completion}[self.api](answer, host)
        return replace(reply, structured=reply.finish == "stop" and fits(reply.text, request.schema))

    async def close(self) -> None:
        await self._connection.close()

    def _chat_body(self, request: Request, refused: frozenset[str]) -> dict[str, Any]:
        # OpenAI's newer models take the new name alone; servers by others know the old one, and an old one that
        # ignored the new name would write without end.
        names = ["max_tokens", "max_completion_tokens"]
        if self._is_openai:
            names.reverse()
        limit = next((name for name in names if name not in refused), names[0])
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": m.role, "content": m.text} for m in request.messages],
            limit: request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "reasoning_effort": request.effort,
        }
        if request.top_logprobs:
            body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        if request.schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": _named(request)}
        if request.template:  # never left out: it decides what is asked
            body["chat_template_kwargs"] = dict(request.template)
        if "logprobs" in refused:
            body.pop("top_logprobs", None)
        return {
            name: value for name, value in body.items() if value is not None and (name not in refused or name == limit)
        }

    def _responses_body(self, request: Request, refused: frozenset[str]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "input": [{"role": m.role, "content": m.text} for m in request.messages],
            "max_output_tokens": request.max_tokens,
            "temperature": request.temperature,
            "store": False,  # what is judged may be private
        }
        if request.effort is not None:
            body["reasoning"] = {"effort": request.effort}
        if request.top_logprobs and "top_logprobs" not in refused:
            body |= {"top_logprobs": request.top_logprobs, "include": ["message.output_text.logprobs"]}
        if request.schema is not None:
            body["text"] = {"format": {"type": "json_schema", **_named(request)}}
            if not self._is_openai:  # llama.cpp looks for the schema here, and ignores it above
                body["response_format"] = {"type": "json_schema", "json_schema": _named(request)}
        return {name: value for name, value in body.items() if value is not None and name not in refused}

    def _completions_body(self, request: Request, refused: frozenset[str]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": request.text or "",
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "logprobs": request.top_logprobs or None,
        }
        return {name: value for name, value in body.items() if value is not None and name not in refused}


def _named(request: Request) -> dict[str, Any]:
    return {"name": request.name, "schema": dict(request.schema or {}), "strict": True}


# API -> the parameters that a server may object to, and where its requests go.
_CALLS: Final[dict[str, tuple[Mapping[str, tuple[str, ...]], str]]] = {
    "chat": (_CHAT, "/chat/completions"),
    "responses": (_RESPONSES, "/responses"),
    "completions": (_COMPLETIONS, "/completions"),
}


def error_inside(error: Mapping[str, Any], host: str, connection: Connection) -> ProviderError:
    """An error that came with status 200: a failed response, or a gateway that passes its model's errors on."""
    code = error.get("code")
    status = code if isinstance(code, int) else _RESPONSE_ERRORS.get(str(code), 500)
    text = json.loads(json.dumps(dict(error), default=str))
    return status_error(status, text, host=host, key=connection.key_if_set())
