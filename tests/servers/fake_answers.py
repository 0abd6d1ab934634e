"""What the fake server answers: the bodies of both APIs, and texts that are a function of the prompt."""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

CATEGORIES: Final = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
Chances = Mapping[str, float]


@dataclass(frozen=True)
class Spelled:
    """A reply with its tokens, each with the chances of what could have stood there: ``[("safe", {"unsafe": .4})]``.

    The chances of a token itself are what the others leave, unless they are given too.
    """

    tokens: list[tuple[str, Chances]]

    @property
    def text(self) -> str:
        return "".join(token for token, _ in self.tokens)

    def logprobs(self, top: int) -> list[dict[str, Any]]:
        found = []
        for token, others in self.tokens:
            own = others.get(token, 1.0 - sum(others.values()))
            shares = sorted({**others, token: own}.items(), key=lambda pair: -pair[1])
            known = [_token(name, share) for name, share in shares if share > 0][:top]
            found.append({**_token(token, own), "top_logprobs": known})
        return found


_BOUNDARY: Final = re.compile(r"[0-9a-f]{8,}")
_TAGS: Final = re.compile(r"<([a-zA-Z][\w-]*)>([^<]*)</\1>")
_TOKEN: Final = re.compile(r"\s*(?:\w+|[^\w\s])")
_REFUSAL: Final = "I can't help with that."

BAD: Final[dict[str, object]] = {
    "html": "<html><body><h1>Welcome to the gateway</h1></body></html>",
    "null": b"null",
    "empty": b"{}",
}
WRONG_TYPES: Final[dict[str, object]] = {
    "chat": {
        "id": 1,
        "object": "chat.completion",
        "model": 7,
        "choices": [{"index": "a", "message": {"content": 42, "role": 3}, "finish_reason": []}],
        "usage": "many",
    },
    "responses": {
        "id": 1,
        "object": "response",
        "model": [],
        "output": [{"type": "message", "content": 42}],
        "usage": 3,
    },
    "messages": {"id": 1, "type": "message", "model": 7, "content": [{"type": "text", "text": 42}], "usage": "many"},
    "completions": {"id": 1, "model": 7, "choices": [{"text": 42, "finish_reason": []}], "usage": "many"},
    "moderations": {"id": 1, "model": 7, "results": [{"flagged": "perhaps", "category_scores": "high"}]},
}


@dataclass(slots=True)
class Asked:
    """One request: `number` from 1 over all, `tries` from 1 over this prompt, `digest` of endpoint, model and texts."""

    number: int
    tries: int
    endpoint: str
    model: str
    user: str
    system: str
    digest: str
    body: dict[str, Any]
    headers: dict[str, str]


def get(body: Mapping[str, Any], path: str) -> Any:
    found: Any = body
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def error(endpoint: str, status: int, message: str, code: str | None = None, param: str | None = None) -> object:
    if endpoint != "messages":
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return {"error": {"message": message, "type": kind, "param": param, "code": code}}
    kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large",
             429: "rate_limit_error", 529: "overloaded_error"}  # fmt: skip
    kind = kinds.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}


def texts(endpoint: str, body: Mapping[str, Any]) -> tuple[str, str]:
    """What is not from the user, and the user's last message."""
    if endpoint == "moderations":
        return "", _plain(body.get("input"))
    if endpoint == "completions":
        return "", _plain(body.get("prompt"))
    messages = body.get("input" if endpoint == "responses" else "messages") or []
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    system = [_plain(body.get("instructions")), _plain(body.get("system"))]
    system += [_plain(m.get("content")) for m in messages[:-1]]
    return "\n".join(filter(None, system)), _plain(messages[-1].get("content")) if messages else ""


def _plain(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(p if isinstance(p, str) else str(p.get("text", "")) for p in content)
    return content if isinstance(content, str) else ""


def masked(text: str) -> str:
    """The text without its random boundaries."""
    return _BOUNDARY.sub("#", text)


def hashed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=4).digest(), "big")


def reply(
    asked: Asked, fault: str, quirks: frozenset[str], answer: Callable[[Asked], str | Spelled | None] | None
) -> object:
    """The body of a reply that is sound HTTP and JSON."""
    model = f"{asked.model}-2026-02-02" if fault == "snapshot" else f"{asked.model}-2025-08-07"
    if asked.endpoint == "moderations":
        return _moderation(asked, model)
    said = (answer and answer(asked)) or _text(asked, fault, quirks)
    text = said if isinstance(said, str) else said.text
    if fault == "refused":
        text = _REFUSAL
    if fault == "length":
        text = text[: len(text) // 2]
    counts = (sum(map(len, (asked.system, asked.user))) // 4 + 1, len(text) // 4 + 1)
    wanted = int(asked.body.get("logprobs" if asked.endpoint == "completions" else "top_logprobs") or 0)
    tokens: Tokens = None
    if wanted and "ignore logprobs" not in {fault, *quirks}:
        tokens = _tokens(text, wanted) if isinstance(said, str) else said.logprobs(wanted)
    usage = None if "no usage" in quirks else counts
    write = {"chat": _chat, "responses": _response, "messages": _message, "completions": _completion}[asked.endpoint]
    return write(asked, model, "" if fault == "filtered" else text, fault, tokens, usage)


Tokens = list[dict[str, Any]] | None
Usage = tuple[int, int] | None


def _chat(asked: Asked, model: str, text: str, fault: str, tokens: Tokens, usage: Usage) -> object:
    refused = fault == "refused"
    message = {"role": "assistant", "content": None if refused else text, "refusal": text if refused else None}
    choice = {
        "index": 0,
        "message": {**message, "annotations": []},
        "logprobs": None if tokens is None else {"content": tokens, "refusal": None},
        "finish_reason": {"filtered": "content_filter", "length": "length"}.get(fault, "stop"),
    }
    body = {"id": f"chatcmpl-{asked.number}", "object": "chat.completion", "created": int(time.time()), "model": model}
    body |= {"choices": [choice], "service_tier": "default", "system_fingerprint": "fp_fake"}
    if usage:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return body


def _completion(asked: Asked, model: str, text: str, fault: str, tokens: Tokens, usage: Usage) -> object:
    """In the older form, where log probabilities are three lists."""
    logprobs = None
    if tokens is not None:
        logprobs = {
            "tokens": [one["token"] for one in tokens],
            "token_logprobs": [one["logprob"] for one in tokens],
            "top_logprobs": [{top["token"]: top["logprob"] for top in one["top_logprobs"]} for one in tokens],
        }
    reason = {"filtered": "content_filter", "length": "length"}.get(fault, "stop")
    body = {"id": f"cmpl-{asked.number}", "object": "text_completion", "created": int(time.time()), "model": model}
    body |= {"choices": [{"index": 0, "text": text, "logprobs": logprobs, "finish_reason": reason}]}
    if usage:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return body


def _response(asked: Asked, model: str, text: str, fault: str, tokens: Tokens, usage: Usage) -> object:
    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": []}
    if tokens is not None and "message.output_text.logprobs" in (asked.body.get("include") or []):
        part["logprobs"] = tokens
    if fault == "refused":
        part = {"type": "refusal", "refusal": text}
    reason = {"filtered": "content_filter", "length": "max_output_tokens"}.get(fault)
    status = "incomplete" if reason else "completed"
    message = {"type": "message", "id": "msg_fake", "role": "assistant", "status": status, "content": [part]}
    body = {"id": f"resp_{asked.number}", "object": "response", "created_at": int(time.time()), "status": status}
    body |= {"model": model, "error": None, "incomplete_details": {"reason": reason} if reason else None}
    body |= {"output": [{"type": "reasoning", "id": "rs_fake", "summary": []}, message], "instructions": None}
    body |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "metadata": {}}
    if usage:
        details = {
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
        body["usage"] = {"input_tokens": usage[0], "output_tokens": usage[1], "total_tokens": sum(usage), **details}
    return body


def _message(asked: Asked, model: str, text: str, fault: str, tokens: Tokens, usage: Usage) -> object:  # noqa: ARG001
    tool = get(asked.body, "tool_choice.name")
    stop = {"filtered": "refusal", "refused": "refusal", "length": "max_tokens"}.get(fault)
    block: dict[str, Any] = {"type": "text", "text": text}
    if tool and stop is None and text.startswith("{"):
        block = {"type": "tool_use", "id": "toolu_fake", "name": tool, "input": json.loads(text)}
        stop = "tool_use"
    body = {"id": f"msg_{asked.number}", "type": "message", "role": "assistant", "model": model}
    body |= {"content": [block] if text else [], "stop_reason": stop or "end_turn", "stop_sequence": None}
    if usage:
        body["usage"] = {"input_tokens": usage[0], "output_tokens": usage[1]}
    return body


def _moderation(asked: Asked, model: str) -> object:
    results = []
    given = asked.body.get("input")
    for text in given if isinstance(given, list) else [given]:
        seed = masked(_plain([text]))
        scores = {name: round((hashed(f"{name}/{seed}") / 2**32) ** 8, 6) for name in CATEGORIES}
        flags = {name: value >= 0.5 for name, value in scores.items()}
        applied = {name: ["text"] for name in CATEGORIES}
        results.append({"flagged": any(flags.values()), "categories": flags, "category_scores": scores,
                        "category_applied_input_types": applied})  # fmt: skip
    return {"id": f"modr-{asked.number}", "model": model, "results": results}


def _text(asked: Asked, fault: str, quirks: Iterable[str]) -> str:
    """What the model writes."""
    seed = masked(f"{asked.model}/{asked.user}")
    schema = _schema(asked.body)
    if "ignore schema" in {fault, *quirks}:
        return f"Well, on the whole I would say {hashed(seed) % 5 + 1}, because it depends."
    if fault == "out of scale":
        return json.dumps(dict.fromkeys(schema.get("properties", {}), 999)) if schema else "<verdict>999</verdict>"
    if schema is not None:
        return json.dumps(_value(schema, seed))
    found = _TAGS.findall(asked.system) or _TAGS.findall(asked.user)
    if found:
        return f"Thinking it over.\n<{found[-1][0]}>{_choice(found[-1][1], seed)}</{found[-1][0]}>"
    return str(hashed(seed) % 101)


def _schema(body: Mapping[str, Any]) -> dict[str, Any] | None:
    for path in ("response_format.json_schema.schema", "text.format.schema", "output_config.format.schema"):
        if (found := get(body, path)) is not None:
            return dict(found)
    name = get(body, "tool_choice.name")
    return next((t["input_schema"] for t in body.get("tools") or [] if name and t.get("name") == name), None)


def _value(schema: Mapping[str, Any], seed: str) -> Any:  # noqa: PLR0911  one for each type
    """A value that fits the schema, chosen by the hash of `seed`."""
    draw = hashed(seed)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][draw % len(schema["enum"])]
    if "anyOf" in schema:
        return _value(schema["anyOf"][draw % len(schema["anyOf"])], seed)
    low, high = schema.get("minimum", 1), schema.get("maximum", 5)
    match schema.get("type"):
        case "object":
            return {name: _value(part, f"{seed}/{name}") for name, part in schema.get("properties", {}).items()}
        case "array":
            return [_value(schema["items"], f"{seed}/{i}") for i in range(schema.get("minItems", 1))]
        case "integer":
            return int(low) + draw % (int(high) - int(low) + 1)
        case "number":
            return round(low + (high - low) * draw / 2**32, 3)
        case "boolean":
            return draw % 2 == 1
        case "null":
            return None
    return f"Because of reason {draw % 1000}."


def _choice(inside: str, seed: str) -> str:
    """One of the choices that stand between two tags."""
    draw = hashed(seed)
    if found := re.search(r"(\d+)\s*(?:-|–|to)\s*(\d+)", inside):
        low, high = int(found[1]), int(found[2])
        return str(low + draw % (high - low + 1))
    several = [part.strip() for part in re.split(r"\||/|,|\bor\b", inside) if part.strip()]
    return several[draw % len(several)] if len(several) > 1 else str(1 + draw % 5)


def _tokens(text: str, top: int) -> list[dict[str, Any]]:
    """The text in tokens with log probabilities; at a number its neighbours are the alternatives."""
    found = []
    for token in _TOKEN.findall(text):
        digits = token.strip()
        if digits.isdigit():
            number = int(digits)
            others = [str(n) for k in range(1, top) for n in (number + k, number - k) if 0 <= n <= 100]
        else:
            others = [f"alternative{k}" for k in range(1, top)]
        shares = [(token, 0.6), *((other, 0.3 / 2**k) for k, other in enumerate(others[: top - 1]))]
        alternatives = [_token(name, share) for name, share in shares]
        found.append({**alternatives[0], "top_logprobs": alternatives})
    return found


def _token(text: str, share: float) -> dict[str, Any]:
    return {"token": text, "logprob": round(math.log(share), 6), "bytes": list(text.encode())}
