"""From whatever went wrong with a request to a `ProviderError`: what to do about it, and a short message without keys.

Nothing here imports an SDK: both make errors of the same shape (`status_code`, `response`, `body`), and the message
is taken from the server's answer alone, never from the request or its headers.
"""

from __future__ import annotations

import json
import math
import re
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from interjudge.judges.llm_base import Failure, ProviderError
from interjudge.judges.messages import without_secrets

_LONGEST: Final = 240  # characters of a server's own words
_LONGEST_WAIT: Final = 86_400.0  # seconds; a server that asks for more has made a mistake
_STARRED: Final = re.compile(r"\S*\*{3,}\S*")  # a key as servers repeat it: sk-ab****yz
# What the codes and words of a 400 or 403 mean; the first that fits.
_FILTERED: Final = re.compile(
    r"content[ _]?(?:filter|policy|management)|invalid_prompt|usage polic|moderation|flagged|policy_violation",
    re.IGNORECASE,
)
_UNPAID: Final = re.compile(
    r"insufficient_quota|billing|credit balance|payment|exceeded your current quota", re.IGNORECASE
)
_NO_MODEL: Final = re.compile(
    r"model_not_found|invalid model|unknown model|model\b[^.]{0,80}\b(?:not exist|not found)", re.IGNORECASE
)
_UNSUPPORTED: Final = re.compile(
    r"unsupported|not (?:be )?support|unknown|unrecogni[sz]ed|unexpected|extra (?:inputs?|fields?)|not permitted|"
    r"not allowed|not accept|not take|not available|deprecated|no longer|not implemented|invalid argument|requires",
    re.IGNORECASE,
)
_BAD_SCHEMA: Final = re.compile(r"invalid[ _](?:json[ _])?schema", re.IGNORECASE)
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class ServerError(ProviderError):
    """The server answered with an error. `code` and `param` are its own names for what and for which parameter."""

    def __init__(
        self,
        message: str,
        *,
        failure: Failure,
        status: int | None = None,
        retry_after: float | None = None,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message, failure=failure, status=status, retry_after=retry_after)
        self.code = code
        self.param = param


def provider_error(error: Exception, *, host: str, key: str | None) -> ProviderError:  # noqa: PLR0911  by kind
    """What an SDK, or the client below it, raised; `key` is removed from the message."""
    if isinstance(error, ProviderError):
        return error
    status, response = getattr(error, "status_code", None), getattr(error, "response", None)
    if isinstance(status, int) and response is not None:
        return status_error(status, getattr(error, "body", None), response.headers, host=host, key=key)
    chain = list(_chain(error))
    if any(isinstance(e, TimeoutError) or "Timeout" in type(e).__name__ for e in chain):
        return ProviderError(f"{host} did not answer in time", failure="again")
    if any(isinstance(e, socket.gaierror) and e.errno == socket.EAI_NONAME for e in chain):
        return ProviderError(f"there is no server called {host}", failure="broken")
    if any(isinstance(e, ssl.SSLCertVerificationError) for e in chain):
        return ProviderError(f"the certificate of {host} cannot be verified", failure="broken")
    last = chain[-1]
    words = scrubbed(f"{type(last).__name__}: {last}".rstrip(": "), key)
    if any(type(e).__name__ in {"UnsupportedProtocol", "InvalidURL"} for e in chain):
        return ProviderError(f"cannot ask {host} ({words})", failure="broken")
    if isinstance(last, OSError) or any(_from_client(e) for e in chain):
        return ProviderError(f"the connection to {host} failed ({words})", failure="again")
    return ProviderError(f"the request to {host} could not be made ({words})", failure="rejected")


def status_error(
    status: int, body: object, headers: Mapping[str, str] | None = None, *, host: str, key: str | None
) -> ServerError:
    """An answer with an HTTP status that is not 2xx, or an error object in one that is."""
    code, param, words = _parts(body)
    text = scrubbed(words, key)
    failure = _failure(status, f"{code or ''} {words}", code)
    wait = retry_after(headers or {}) if failure in {"again", "slow down"} else None
    shown = f"{host} answered {status}" + (f": {text}" if text else "")
    if status == 404 and not _NO_MODEL.search(f"{code or ''} {words}"):
        shown += " (is base_url right? it ends in /v1 for openai/ and not for anthropic/)"
    return ServerError(shown, failure=failure, status=status, retry_after=wait, code=code, param=param)


def malformed(host: str, what: str) -> ProviderError:
    """A reply that is not what the API's documentation says."""
    return ProviderError(f"{host} sent a reply that cannot be read ({what})", failure="again")


def objection(error: ProviderError, names: Mapping[str, Iterable[str]]) -> str | None:
    """Which of the sent parameters the server says it does not take, if that is what it says.

    `names`: parameter -> the words under which servers mention it.
    """
    if not isinstance(error, ServerError) or error.status not in {400, 403, 422}:
        return None
    text = f"{error.code or ''} {error}"
    if _BAD_SCHEMA.search(text) or not _UNSUPPORTED.search(text):
        return None
    for name, words in names.items():
        if error.param is not None and error.param.split(".")[0] == name.split(".", maxsplit=1)[0]:
            return name
        if any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in words):
            return name
    return None


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds until the server wants to be asked again, or None where it does not say.

    `retry-after-ms`, then `Retry-After` (seconds or a date), then the latest reset of a limit of which nothing is
    left (`x-ratelimit-reset-*` of OpenAI, durations; `anthropic-ratelimit-*-reset`, moments).
    """
    now = time.time() if now is None else now
    low = {name.lower(): value.strip() for name, value in headers.items()}
    found = [
        _scaled(low.get("retry-after-ms"), 0.001),
        _scaled(low.get("retry-after"), 1.0),
        _until(low.get("retry-after"), now),
    ]
    resets = {name: value for name, value in low.items() if "ratelimit" in name and "reset" in name}
    empty = {name for name in resets if low.get(name.replace("reset", "remaining")) == "0"}
    # An Anthropic reset stands at the end of the name, its count too: ...-requests-reset, ...-requests-remaining.
    found += [max((_reset(resets[name], now) or 0.0 for name in empty or resets), default=None)]
    wait = next((seconds for seconds in found if seconds is not None), None)
    return None if wait is None else min(max(wait, 0.0), _LONGEST_WAIT)


def scrubbed(text: str, key: str | None, limit: int = _LONGEST) -> str:
    """One short line without the key, any part of it that servers repeat, or anything else that looks like one."""
    known = [key] if key else []
    text = _STARRED.sub("[hidden]", without_secrets(text, known))
    if key and len(key) > 8:
        text = re.sub(rf"{re.escape(key[:8])}\S*", "[hidden]", text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _failure(status: int, text: str, code: str | None) -> Failure:  # noqa: PLR0911  one line for each kind
    if status in {400, 402, 403, 429} and _UNPAID.search(text):
        return "broken"
    if status == 429:
        return "slow down"
    if status >= 500 and status not in {501, 505}:
        return "again"
    if status in {408, 409, 425, 460, 499}:
        return "again"
    if status in {400, 403, 451} and (_FILTERED.search(text) or code == "safety"):
        return "filtered"
    if status in {400, 422} and not _NO_MODEL.search(text):
        return "rejected"
    return "rejected" if status == 413 else "broken"


def _parts(body: object) -> tuple[str | None, str | None, str]:
    """Code, parameter and words of an error body, of either API and of servers that write their own."""
    if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping):
        body = body["error"]
    if isinstance(body, Mapping):
        words = body.get("message") or body.get("error") or body.get("detail") or body.get("msg") or ""
        code = next((body[name] for name in ("code", "type") if isinstance(body.get(name), str)), None)
        param = body.get("param")
        return code, param if isinstance(param, str) else None, words if isinstance(words, str) else _details(words)
    if not isinstance(body, str):
        return None, None, ""
    return None, None, "a web page" if body.lstrip()[:1] == "<" else body


def _details(found: Any) -> str:
    """FastAPI's list of errors as words, without the input that it repeats."""
    if not isinstance(found, list):
        return ""
    rows = [row for row in found if isinstance(row, Mapping)]
    return "; ".join(f"{'.'.join(map(str, row.get('loc', ())))}: {row.get('msg', '')}" for row in rows)


def _chain(error: BaseException) -> Iterable[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        # The client below the SDKs raises its own errors "from None": what they came of is all that tells.
        hidden = found.__suppress_context__ and not _from_client(found)
        found = found.__cause__ or (None if hidden else found.__context__)


def _from_client(error: BaseException) -> bool:
    root = type(error).__module__.split(".", maxsplit=1)[0]
    clients = {"httpx", "httpx2", "httpcore", "httpcore2", "h11", "anyio"}
    return root in clients or isinstance(error, json.JSONDecodeError)


def _scaled(value: str | None, unit: float) -> float | None:
    try:
        seconds = float(value or "") * unit
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _until(value: str | None, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, IndexError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now


def _reset(value: str, now: float) -> float | None:
    """A duration (`1s`, `6m0s`, `20ms`), a moment (ISO 8601), or seconds."""
    parts = _DURATION.findall(value)
    if parts and _DURATION.sub("", value) == "":
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    try:
        return datetime.fromisoformat(value).timestamp() - now
    except ValueError:
        seconds = _scaled(value, 1.0)
    return None if seconds is None or seconds > 1e8 else seconds  # beyond: a moment in an unknown unit
