"""The scale of a rubric: what a judge may answer, as a JSON Schema, and what each answer is as a verdict.

One of three: options (labels in order), whole numbers from low to high, or criteria (yes/no, or numbers) that a
formula combines.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from interjudge.datasets.schema import Status

Span = tuple[float, float]

ANSWER: Final = "answer"  # the field of a reply that holds the answer, where there are no criteria
_YES_NO: Final = ("no", "yes")
_LISTED: Final = 20  # a schema lists up to so many numbers, and says the ends of longer scales
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)


class Unreadable(ValueError):  # noqa: N818  a finding, told to the judge that is asked again
    """Why no answer can be read, in words that follow "the reply cannot be read: "."""


class FormulaError(ValueError):
    """A formula that cannot be used, and why."""


@dataclass(frozen=True)
class Option:
    """One answer of a labelled scale: what it means, the verdict's label, and the verdict's score if it has one."""

    answer: str
    means: str = ""
    label: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class Code:
    """A word that stands where a number does not fit: a label of its own, or a status that is not ok."""

    answer: str
    means: str = ""
    label: str | None = None
    status: Status | None = None


@dataclass(frozen=True)
class Criterion:
    """One of several questions: yes or no (1 or 0 in the formula), or a whole number from low to high."""

    name: str
    means: str = ""
    ends: tuple[int, int] | None = None

    @property
    def span(self) -> Span:
        return self.ends or (0, 1)


@dataclass(frozen=True)
class Verdict:
    status: Status = "ok"
    label: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class Scale:
    """What may be answered, and what it means.

    Attributes
    ----------
    labels : of the verdict, in order; empty where it is a score alone. With a `threshold` these are two: the one
        below it, and the one from it on.
    options, ends, criteria : one of them is set; `ends` are the lowest and the highest number.
    formula : combines the criteria to the score.
    codes : besides the numbers of `ends`.
    """

    labels: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    ends: tuple[int, int] | None = None
    criteria: tuple[Criterion, ...] = ()
    formula: str = ""
    codes: tuple[Code, ...] = ()
    threshold: float | None = None

    @property
    def all_labels(self) -> tuple[str, ...]:
        """With those of the codes."""
        return tuple(dict.fromkeys((*self.labels, *(code.label for code in self.codes if code.label is not None))))

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a reply that decide the verdict."""
        return tuple(c.name for c in self.criteria) or (ANSWER,)

    @property
    def answers(self) -> tuple[str, ...]:
        """The words that may be answered: options and codes."""
        return (*(option.answer for option in self.options), *(code.answer for code in self.codes))

    @property
    def span(self) -> Span | None:
        """The lowest and the highest score; None where there is no score.

        Raises
        ------
        FormulaError : the formula cannot be used.
        """
        if self.ends is not None:
            return self.ends
        if self.criteria:
            return evaluated(self.formula, {c.name: c.span for c in self.criteria})
        scores = [option.score for option in self.options if option.score is not None]
        return (min(scores), max(scores)) if scores else None

    def schema(self, rationale: bool = True) -> dict[str, Any]:
        """JSON Schema of a reply, which the answers of the scale fit and no others; `rationale`: asked for first."""
        parts: dict[str, Any] = {}
        if rationale:
            parts["rationale"] = {
                "type": "string",
                "description": "What decides the answer, in one to three sentences.",
            }
        for criterion in self.criteria:
            parts[criterion.name] = _words(_YES_NO[::-1]) if criterion.ends is None else _numbers(*criterion.ends)
        if self.options:
            parts[ANSWER] = _words(tuple(option.answer for option in self.options))
        elif self.ends is not None:
            numbers, codes = _numbers(*self.ends), _words(tuple(code.answer for code in self.codes))
            parts[ANSWER] = {"anyOf": [numbers, codes]} if self.codes else numbers
        return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}

    def value(self, field: str, text: str) -> object:
        """The answer that a text gives, as JSON would hold it: spelled as the scale spells it, or a number.

        Raises
        ------
        Unreadable : it is nothing that could be an answer.
        """
        text = " ".join(text.split())
        if not text:
            raise Unreadable(f"the {field} is empty")
        known = {word.casefold(): word for word in self._words(field)}
        if text.casefold() in known:
            return known[text.casefold()]
        if self.options or (self.criteria and self._criterion(field).ends is None):
            return text
        if _NUMBER.fullmatch(text) is None:
            raise Unreadable(f"the {field} is not {self.described(field)}")
        return float(text)

    def verdict(self, given: Mapping[str, object]) -> Verdict:
        """The verdict of an answer: a JSON value for each of `fields`.

        Raises
        ------
        Unreadable : a value is of another kind than the scale's.
        """
        if self.criteria:
            numbers = [self._number(c.name, given[c.name]) for c in self.criteria]
            if None in numbers:
                return Verdict("out_of_range")
            spans = {c.name: (n, n) for c, n in zip(self.criteria, numbers, strict=True) if n is not None}
            return self.scored(evaluated(self.formula, spans)[0])
        answer = given[ANSWER]
        if self.options:
            option = next((o for o in self.options if o.answer == self._word(ANSWER, answer)), None)
            return Verdict("out_of_range") if option is None else self._chosen(option)
        if isinstance(answer, str) and self.codes:
            word = self._word(ANSWER, answer)
            for code in self.codes:
                if code.answer == word:
                    return self.coded(code)
        number = self._number(ANSWER, answer)
        return Verdict("out_of_range") if number is None else self.scored(number)

    def scored(self, score: float) -> Verdict:
        """The verdict of a score."""
        label = None if self.threshold is None else self.labels[score >= self.threshold]
        return Verdict("ok", label, score)

    def coded(self, code: Code) -> Verdict:
        return Verdict("ok", code.label) if code.status is None else Verdict(code.status)

    def described(self, field: str) -> str:
        """What may stand in a field, as a sentence goes on: ``a whole number from 1 to 5``."""
        words = self._words(field)
        ends = self._criterion(field).ends if self.criteria else self.ends
        if ends is None:
            return (
                " or ".join(words) if words == _YES_NO[::-1] else "one of " + ", ".join(f'"{word}"' for word in words)
            )
        return ", or ".join([f"a whole number from {ends[0]} to {ends[1]}", *(f"the word {word}" for word in words)])

    def _chosen(self, option: Option) -> Verdict:
        if self.threshold is not None and option.score is not None:
            return self.scored(option.score)
        return Verdict("ok", option.label, option.score)

    def _criterion(self, field: str) -> Criterion:
        return next(c for c in self.criteria if c.name == field)

    def _words(self, field: str) -> tuple[str, ...]:
        if self.criteria:
            return _YES_NO[::-1] if self._criterion(field).ends is None else ()
        return self.answers

    def _word(self, field: str, given: object) -> str:
        """A text of the scale, or one outside it."""
        if not isinstance(given, str) or not given.strip():
            raise Unreadable(f"the {field} is not {self.described(field)}")
        known = self._words(field)
        if given not in known and given.strip().casefold() in {word.casefold() for word in known}:
            raise Unreadable(f"the {field} is spelled otherwise than {self.described(field)}")
        return given

    def _number(self, field: str, given: object) -> float | None:
        """A number of the scale; None for one outside it."""
        if self.criteria and self._criterion(field).ends is None:
            word = self._word(field, given)
            return float(_YES_NO.index(word)) if word in _YES_NO else None
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise Unreadable(f"the {field} is not {self.described(field)}")
        low, high = self._criterion(field).ends or (0, 1) if self.criteria else self.ends or (0, 0)
        return float(given) if low <= given <= high and given == int(given) else None


def evaluated(formula: str, spans: Mapping[str, Span]) -> Span:
    """The lowest and the highest value of a formula where each name lies in its span (a number: twice the same).

    ``+ - * /``, brackets, numbers, the names, `min` and `max`. The ends are exact where each name stands once, and
    never too narrow.

    Raises
    ------
    FormulaError : it is no such formula, or may divide by zero or overflow.
    """
    try:
        low, high = _span(ast.parse(formula.strip(), mode="eval").body, spans)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        if isinstance(error, FormulaError):
            raise
        raise FormulaError("is no formula") from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise FormulaError("gives no finite number")
    return low, high


def _span(node: ast.AST, spans: Mapping[str, Span]) -> Span:  # noqa: PLR0911  one line for each kind
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number), float(number)
        case ast.Name(id=name):
            if name not in spans:
                raise FormulaError(f"names {name!r}, which is no criterion")
            return spans[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            low, high = _span(operand, spans)
            return -high, -low
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            (a, b), (c, d) = _span(left, spans), _span(right, spans)
            return a + c, b + d
        case ast.BinOp(op=ast.Sub(), left=left, right=right):
            (a, b), (c, d) = _span(left, spans), _span(right, spans)
            return a - d, b - c
        case ast.BinOp(op=ast.Mult() | ast.Div() as op, left=left, right=right):
            (a, b), (c, d) = _span(left, spans), _span(right, spans)
            if isinstance(op, ast.Div):
                if c <= 0 <= d:
                    raise FormulaError("may divide by zero")
                ends = (a / c, a / d, b / c, b / d)
            else:
                ends = (a * c, a * d, b * c, b * d)
            return min(ends), max(ends)
        case ast.Call(func=ast.Name(id="min" | "max" as name), args=[_, *_] as given, keywords=[]):
            parts = [_span(part, spans) for part in given]
            pick = min if name == "min" else max
            return pick(low for low, _ in parts), pick(high for _, high in parts)
    raise FormulaError("holds more than names, numbers, + - * / ( ) and min, max")


def _words(words: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


def _numbers(low: int, high: int) -> dict[str, Any]:
    if high - low < _LISTED:
        return {"type": "integer", "enum": list(range(low, high + 1))}
    return {"type": "integer", "minimum": low, "maximum": high}
