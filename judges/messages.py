"""What may be said of a failure, and which names stand for keys: no secret reaches a verdict, a store or a screen."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final

from interjudge.judges.base import JudgeError

# A bound value under such a name is a key, and never decides a verdict: `api_key`, `hfToken`, `passwords`. Neither
# `keywords` nor `max_tokens`, which do.
_SECRET_NAME: Final = re.compile(r"(?<=[_a-z])KEYS?$|TOKEN$|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_SECRET_VARIABLE: Final = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_SECRETS: Final = (
    re.compile(r"(?i)\b(bearer|basic)\s+\S+"),
    re.compile(
        r"(?i)\b([\w-]*(?:api[_-]?key|secret|token|passw(?:or)?d|authorization)[\"']?\s*[=:]\s*[\"']?)"
        r"[^\s\"',;&]{6,}"
    ),
    re.compile(r"\b(?:sk|pk|rk|hf|gh[opsu]|xox[a-z]|AKIA|AIza)[-_A-Za-z0-9]{12,}"),
    re.compile(r"://[^\s/@]+@"),
    # A long unbroken mix of letters and digits is nothing a reader needs.
    re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{32,}\b"),
)


def is_secret_name(name: str) -> bool:
    """Is what a program binds to this name a key, a token or a password?"""
    return _SECRET_NAME.search(name) is not None


def short_message(error: BaseException, limit: int = 300) -> str:
    """An exception as one short line, without anything that looks like a key, a token or a password."""
    text = without_secrets(str(error))
    text = text if isinstance(error, JudgeError) else f"{type(error).__name__}: {text}".rstrip(": ")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def without_secrets(text: str, known: Iterable[str] = ()) -> str:
    """One line, without the `known` secrets, those in the environment, and whatever looks like one."""
    text = " ".join(text[:5000].split())
    variables = [value for name, value in os.environ.items() if len(value) >= 8 and _SECRET_VARIABLE.search(name)]
    for value in [*known, *variables]:
        text = text.replace(value, "[hidden]")
    for pattern in _SECRETS:
        text = pattern.sub(lambda m: f"{m[1]}[hidden]" if m.lastindex else "[hidden]", text)
    return text
