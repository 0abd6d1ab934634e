"""OpenAI and every server that speaks its API: Chat Completions and Responses, through the official SDK.

What a server does not take (a temperature, a schema, log probabilities, `max_completion_tokens` where it is an old
one) is left out or said the old way after its first objection, and `OpenAIProvider.refused` names it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import accumulate, compress
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from interjudge.errors import InputError, choices
from interjudge.judges.llm_base import Finish, Provider, ProviderError, Reply, Request, Token
from interjudge.judges.provider_client import Address, Connection, address, fits, number
from interjudge.judges.provider_errors import malformed, status_error

Api = Literal["chat", "responses"]

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
    api : ``chat`` (Chat Completions, which every such server has) or ``responses``.
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
        self._where = where
        self._connection = connection

    def __repr__(self) -> str:
        return f"OpenAIProvider({self.model!r}, {self._where.url!r}, api={self.api!r})"

    @property
    def limits(self) -> str:
        return self._where.limits

    @property
    def identity(self) -> Mapping[str, object]:
        return {"provider": "openai", "api": self.api, "model": self.model, "address": self._where.url}

    @property
    def _is_openai(self) -> bool:
        return self._where.host == urlsplit(DEFAULT_URL).netloc

    @property
    def refused(self) -> tuple[str, ...]:
        """The parameters that the server objected to, and that were left out since."""
        return tuple(sorted(self._connection.refused))

    async def complete(self, request: Request) -> Reply:
        names, call = (_CHAT, _ask_chat) if self.api == "chat" else (_RESPONSES, _ask_responses)
        return self.read(await self._connection.send_adapted(call, partial(self.body, request), names), request)

    def body(self, request: Request, refused: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The JSON that asks it, without the parameters in `refused`."""
        return (self._chat_body if self.api == "chat" else self._responses_body)(request, refused)

    def read(self, answer: Mapping[str, Any], request: Request) -> Reply:
        """The reply in the JSON that the server answered.

        Raises
        ------
        ProviderError : it is none, or an error.
        """
        host = self._where.host
        if isinstance(answer.get("error"), Mapping):
            raise _error_inside(answer["error"], host, self._connection)
        reply = (read_chat if self.api == "chat" else read_response)(answer, host)
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


def _named(request: Request) -> dict[str, Any]:
    return {"name": request.name, "schema": dict(request.schema or {}), "strict": True}


async def _ask_chat(client: Any, body: dict[str, Any]) -> Any:
    return await client.chat.completions.with_raw_response.create(**body)


async def _ask_responses(client: Any, body: dict[str, Any]) -> Any:
    known = {name: value for name, value in body.items() if name != "response_format"}
    more = {name: value for name, value in body.items() if name == "response_format"}
    return await client.responses.with_raw_response.create(**known, extra_body=more or None)


def read_chat(body: Mapping[str, Any], host: str) -> Reply:
    """The reply in a chat completion.

    Raises
    ------
    ProviderError : ``again``: it is none.
    """
    several = body.get("choices")
    choice = several[0] if isinstance(several, list) and several else None
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        raise malformed(host, "no message in it")
    content, refusal, reason = message.get("content"), message.get("refusal"), choice.get("finish_reason")
    if isinstance(content, list):  # parts, as some servers write it
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    if content is None:
        content = _arguments(message)
    if not isinstance(content, str) or not isinstance(refusal, str | None) or not isinstance(reason, str | None):
        raise malformed(host, "no text in it")
    given = choice.get("logprobs")
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    return Reply(
        text=content or refusal or "",
        finish=_finish(reason, refusal),
        tokens=_tokens(given.get("content"), content) if isinstance(given, Mapping) else None,
        model=_name(body),
        input_tokens=number(usage.get("prompt_tokens")),
        output_tokens=number(usage.get("completion_tokens")),
    )


def read_response(body: Mapping[str, Any], host: str) -> Reply:
    """The reply in an answer of the Responses API.

    Raises
    ------
    ProviderError : ``again``: it is none.
    """
    output = body.get("output")
    if not isinstance(output, list):
        raise malformed(host, "no output in it")
    messages = [item for item in output if isinstance(item, Mapping) and item.get("type") == "message"]
    parts = [part for item in messages for part in _listed(item.get("content"), host)]
    texts = [part for part in parts if part.get("type") == "output_text"]
    refusals = [part.get("refusal") for part in parts if part.get("type") == "refusal"]
    words = [part.get("text") for part in texts] or refusals
    if not all(isinstance(word, str) for word in words):
        raise malformed(host, "no text in it")
    details = body.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, Mapping) else None
    if not parts and reason is None:
        raise malformed(host, "no message in it")
    tokens = [_tokens(part.get("logprobs"), str(part["text"])) for part in texts]
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    return Reply(
        text="".join(str(word) for word in words),
        finish=_finish("length" if reason == "max_output_tokens" else reason, refusals),
        tokens=tuple(t for some in tokens for t in some or ()) or None,
        model=_name(body),
        input_tokens=number(usage.get("input_tokens")),
        output_tokens=number(usage.get("output_tokens")),
    )


def _finish(reason: object, refusal: object) -> Finish:
    if reason == "content_filter":
        return "filtered"
    if refusal:
        return "refused"
    return "length" if reason == "length" else "stop"


def _arguments(message: Mapping[str, Any]) -> str:
    """The arguments of a tool call, which some servers write instead of a text; else nothing."""
    try:
        return str(message["tool_calls"][0]["function"]["arguments"])
    except (KeyError, IndexError, TypeError):
        return ""


def _listed(content: object, host: str) -> list[Mapping[str, Any]]:
    if not isinstance(content, list):
        raise malformed(host, "no text in it")
    return [part for part in content if isinstance(part, Mapping)]


def _tokens(given: object, text: str) -> tuple[Token, ...] | None:
    """The tokens that spell the reply; None where there are none, or they spell something else.

    A server may count what it removes from the text (thoughts, a fence around JSON) among the tokens.
    """
    if not isinstance(given, list) or not given or not text:
        return None
    try:
        tokens = [_token(one) for one in given]
        pieces = [_spelled(one) for one in given]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    sought = text.encode(errors="replace")
    start = b"".join(pieces).rfind(sought)
    if start < 0:
        return None
    ends = list(accumulate(len(piece) for piece in pieces))
    inside = [start < end and end - len(piece) < start + len(sought) for piece, end in zip(pieces, ends, strict=True)]
    return tuple(compress(tokens, inside)) or None


def _token(given: Mapping[str, Any]) -> Token:
    text, logprob = _pair(given)
    top = [_pair(other) for other in given.get("top_logprobs") or ()]
    # A grammar may have chosen what is not among the likeliest.
    return Token(text, logprob, (*top, *([(text, logprob)] if top and text not in dict(top) else ())))


def _pair(given: Mapping[str, Any]) -> tuple[str, float]:
    text, logprob = given["token"], float(given["logprob"])
    if not isinstance(text, str) or math.isnan(logprob):
        raise ValueError
    return text, logprob


def _spelled(given: Mapping[str, Any]) -> bytes:
    """The bytes of a token: its text may stand for a part of a character."""
    spelled = given.get("bytes")
    return bytes(spelled) if isinstance(spelled, list) else str(given["token"]).encode(errors="replace")


def _name(body: Mapping[str, Any]) -> str | None:
    name = body.get("model")
    return name if isinstance(name, str) else None


def _error_inside(error: Mapping[str, Any], host: str, connection: Connection) -> ProviderError:
    """An error that came with status 200: a failed response, or a gateway that passes its model's errors on."""
    code = error.get("code")
    status = code if isinstance(code, int) else _RESPONSE_ERRORS.get(str(code), 500)
    text = json.loads(json.dumps(dict(error), default=str))
    return status_error(status, text, host=host, key=connection.key_if_set())
