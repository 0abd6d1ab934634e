"""The options of a specification: `NAME?key=value&key=value`, each read as what it must be."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from interjudge.errors import InputError

_OPTIONS: Final = re.compile(r"[^&=?]+=[^&]*(?:&[^&=]+=[^&]*)*")


def split_options(text: str) -> tuple[str, dict[str, str]]:
    """`NAME?a=b&c=d` -> NAME and its options. A `?` that no `key=value` follows is part of the name.

    Raises
    ------
    InputError : an option stands twice.
    """
    name, mark, tail = text.rpartition("?")
    if not mark or not name or not _OPTIONS.fullmatch(tail):
        return text, {}
    pairs = [pair.partition("=") for pair in tail.split("&")]
    twice = next((key for n, (key, _, _) in enumerate(pairs) if key in [k for k, _, _ in pairs[:n]]), None)
    if twice is not None:
        raise InputError(f"{name}: option {twice!r} stands twice", expected="each option once")
    return name, {key: unquote(value) for key, _, value in pairs}


@dataclass(frozen=True)
class Given:
    """The options of one judge, each read as what it must be."""

    spec: str
    options: Mapping[str, str]

    def number(self, name: str, default: float | None = None) -> float | None:
        """A number from 0 up; a `threshold` may be any."""
        if name not in self.options:
            return default
        try:
            value = float(self.options[name])
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0) and not (math.isfinite(value) and name == "threshold"):
            self._wrong(name, "a number" if name == "threshold" else "a number from 0 up")
        return value

    def whole(self, name: str, default: int | None = None, least: int = 0) -> int | None:
        """A whole number from `least` up."""
        if name not in self.options:
            return default
        text = self.options[name]
        if not re.fullmatch(r"[0-9]{1,15}", text) or int(text) < least:
            self._wrong(name, f"a whole number from {least} up")
        return int(text)

    def yes(self, name: str, default: bool = False) -> bool:
        """``true`` or ``false``."""
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if name not in self.options:
            return default
        if self.options[name].casefold() not in words:
            self._wrong(name, "true or false")
        return words[self.options[name].casefold()]

    def _wrong(self, name: str, expected: str) -> None:
        raise InputError(f"{self.spec}: option {name!r} is not understood", found=self.options[name], expected=expected)
