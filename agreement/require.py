"""`--require 'alpha>=0.667'`: a condition on a coefficient of the panel."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from interjudge.agreement.results import Agreement
from interjudge.errors import InputError, choices, did_you_mean

_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
# Short names; `.ci_low` and `.ci_high` after a name speak of the interval.
ALIASES: Final = {
    "alpha": "krippendorff_alpha",
    "kappa": "fleiss_kappa",
    "fleiss": "fleiss_kappa",
    "conger": "conger_kappa",
    "ac1": "gwet_ac1",
    "ac2": "gwet_ac2",
    "agreement": "percent_agreement",
}
# What the names of coefficients begin with; a weighting may follow.
_NAMES: Final = (
    "krippendorff_alpha",
    "percent_agreement",
    "fleiss_kappa",
    "conger_kappa",
    "gwet_ac1",
    "gwet_ac2",
    "brennan_prediger",
    "cohen_kappa_mean",
)
_FORM: Final = re.compile(r"^\s*([a-z_0-9]+?)(?:\.(ci_low|ci_high))?\s*(>=|<=|>|<)\s*(-?[0-9.]+(?:e-?[0-9]+)?)\s*$")


@dataclass(frozen=True)
class Requirement:
    """`name` of a coefficient, which part of its estimate, how it is compared, with what."""

    name: str
    part: str
    compare: str
    bound: float

    def _value(self, agreement: Agreement) -> tuple[float | None, str | None]:
        found = [c for c in agreement.coefficients if c.name == self.name]
        if not found:
            names = dict.fromkeys(c.name for c in agreement.coefficients)
            raise InputError(
                f"--require: no coefficient {self.name!r} here{did_you_mean(self.name, names)}",
                expected=f"one of {choices(names)}",
            )
        # Where a coefficient stands at several levels, the question's own level is meant.
        best = next((c for c in found if c.level == agreement.question.level), found[0])
        return getattr(best, self.part), best.undefined

    def holds(self, agreement: Agreement) -> bool:
        """An undefined value meets no requirement."""
        value, _ = self._value(agreement)
        return value is not None and _COMPARE[self.compare](value, self.bound)

    def verdict(self, agreement: Agreement) -> str:
        """The condition beside what was found, in words."""
        value, undefined = self._value(agreement)
        part = "" if self.part == "value" else f".{self.part}"
        shown = f"{value:.3f}" if value is not None else f"undefined ({undefined or 'no interval'})"
        return f"{self.name}{part} {self.compare} {self.bound:g}: it is {shown}"


def parse_require(text: str) -> Requirement:
    """One `--require` value.

    Raises
    ------
    InputError : when it is not of the form `NAME>=NUMBER`.
    """
    match = _FORM.match(text)
    try:
        name, part, compare, bound = match.groups() if match else ("", None, "", "")
        wanted = Requirement(ALIASES.get(name, name), part or "value", compare, float(bound))
    except ValueError:
        expected = "NAME>=NUMBER, e.g. alpha>=0.667 or gwet_ac1.ci_low>0.8"
        raise InputError("--require is not understood", found=text, expected=expected) from None
    if not any(wanted.name.startswith(start) for start in _NAMES):
        known = [*ALIASES, *_NAMES]
        raise InputError(f"--require: no coefficient {name!r}{did_you_mean(name, known)}", expected=choices(known, 20))
    return wanted
