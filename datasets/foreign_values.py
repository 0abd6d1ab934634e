"""What a value in a file of another tool means: a label, a score, or a status with the value as it stood there."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from interjudge.datasets.schema import STATUSES

_RAW: Final = 500  # characters of a value that could not be read
_DIGITS: Final = 300  # of a whole number


class Reading(NamedTuple):
    """One verdict: exactly one of a status that is not ok, and a label or a score."""

    status: str
    label: str | None = None
    score: float | None = None
    raw: str | None = None


NOT_RUN: Final = Reading("not_run")


@dataclass(frozen=True)
class Scale:
    """What values mean (see formats.toml): labels, statuses and scores by the value in lower case.

    `within` is a pattern whose only group is the value in a longer text; `empty` the status of a value that is none;
    `range` the least and the highest score, others are out of it.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    status: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    score: bool = False
    refused: str | None = None
    within: str | None = None
    empty: str = NOT_RUN.status
    range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in (*self.status.values(), self.empty) if name not in STATUSES]
        if unknown:
            raise ValueError(f"unknown status {unknown[0]!r}")

    def read(self, value: object) -> Reading:
        """A label where the scale has labels, else a score, else the text itself as the label."""
        text = plain(value)
        if text is None:
            return Reading(self.empty)
        if self.within is not None and (found := re.search(self.within, text)):
            text = found[1]
        key = text.lower()
        if key in self.status:
            return Reading(self.status[key], raw=text[:_RAW])
        if self.labels:
            return self._label(text, key)
        if self.score:
            return self._scored(text)
        return Reading("ok", text)

    def _scored(self, text: str) -> Reading:
        found = scored(text)
        if self.range is None or found.score is None or self.range[0] <= found.score <= self.range[1]:
            return found
        return Reading("out_of_range", raw=text[:_RAW])

    def _label(self, text: str, key: str) -> Reading:
        if key not in self.labels:
            refused = self.refused is not None and re.search(self.refused, text) is not None
            return Reading("judge_refused" if refused else "parse_error", raw=text[:_RAW])
        number = self.values.get(key) if self.values else scored(text).score if self.score else None
        return Reading("ok", self.labels[key], number)


def scored(value: object) -> Reading:
    """A number as a score; NaN is no verdict, infinity out of range, all else a parse error."""
    text = plain(value)
    if text is None:
        return NOT_RUN
    try:
        number = float({"true": "1", "false": "0"}.get(text, text))
    except ValueError:
        return Reading("parse_error", raw=text[:_RAW])
    if math.isnan(number):
        return NOT_RUN
    return Reading("ok", score=number) if math.isfinite(number) else Reading("out_of_range", raw=text[:_RAW])


def plain(value: object) -> str | None:  # noqa: PLR0911  (one line a type)
    """A value as text: 1 and 1.0 as "1", true as "true"; None for null, NaN and blank text."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() < _DIGITS else f"{value:#x}"[:_RAW]
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in ("", "nan"):
            return None
        return text[:-2] if re.fullmatch(r"-?[0-9]+\.0", text) else text
    return json.dumps(value, default=str)[:_RAW]
