"""The replies in the answers of OpenAI's APIs, and of servers that speak them more or less."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate, compress
from typing import Any

from interjudge.judges.llm_base import Finish, Reply, Token
from interjudge.judges.provider_client import number
from interjudge.judges.provider_errors import malformed


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


def read_completion(body: Mapping[str, Any], host: str) -> Reply:
    """The reply in a completion; its log probabilities in either of the two forms that servers write.

    Raises
    ------
    ProviderError : ``again``: it is none.
    """
    several = body.get("choices")
    choice = several[0] if isinstance(several, list) and several else None
    text = choice.get("text") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(text, str):
        raise malformed(host, "no text in it")
    given = choice.get("logprobs")
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    return Reply(
        text=text,
        finish=_finish(choice.get("finish_reason"), None),
        tokens=_tokens(given.get("content") or _paired(given), text) if isinstance(given, Mapping) else None,
        model=_name(body),
        input_tokens=number(usage.get("prompt_tokens")),
        output_tokens=number(usage.get("completion_tokens")),
    )


def _paired(given: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The lists of the older form (`tokens`, `token_logprobs`, `top_logprobs`) as one entry a token."""
    tokens, logprobs, tops = given.get("tokens"), given.get("token_logprobs"), given.get("top_logprobs")
    if not isinstance(tokens, list) or not isinstance(logprobs, list) or len(tokens) != len(logprobs):
        return None
    tops = tops if isinstance(tops, list) and len(tops) == len(tokens) else [None] * len(tokens)
    return [
        {
            "token": token,
            "logprob": logprob,
            "top_logprobs": [{"token": name, "logprob": value} for name, value in top.items()]
            if isinstance(top, Mapping)
            else [],
        }
        for token, logprob, top in zip(tokens, logprobs, tops, strict=True)
    ]


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
