"""Figures and names as they stand in sentences and tables: one way of writing them for every writer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from interjudge.agreement.results import Coefficient, Estimate
from interjudge.reports.escape import shorten

DASH: Final = "—"
NAME_WIDTH: Final = 60

_COEFFICIENTS: Final = {
    "percent_agreement": "Raw agreement",
    "krippendorff_alpha": "Krippendorff's alpha",
    "fleiss_kappa": "Fleiss' kappa",
    "conger_kappa": "Conger's kappa",
    "cohen_kappa_mean": "Mean Cohen's kappa of the pairs",
    "cohen_kappa": "Cohen's kappa",
    "scott_pi": "Scott's pi",
    "gwet_ac1": "Gwet's AC1",
    "gwet_ac2": "Gwet's AC2",
    "brennan_prediger": "Brennan-Prediger",
    "pabak": "PABAK",
    "mcc": "Matthews",
}

# What a status says about a verdict that is missing.
_STATUSES: Final = {
    "parse_error": "reply not understood",
    "judge_refused": "the judge declined",
    "filtered": "blocked by a filter",
    "out_of_range": "label or score outside the set",
    "error": "the judge failed",
    "not_run": "not run",
    "not_asked": "not asked",
    "unmapped": "a score without a label, or left out by a --map",
}


def coefficient_name(coefficient: Coefficient) -> str:
    """The name in words, with its weights or its level where they are not the nominal ones."""
    base = next((known for known in _COEFFICIENTS if coefficient.name.startswith(known)), coefficient.name)
    name = _COEFFICIENTS.get(base, base.replace("_", " "))
    tail = coefficient.name.removeprefix(base).strip("_").replace("_", " ")
    if tail:
        return f"{name}, {tail} weights"
    return name if coefficient.level == "nominal" or base == "gwet_ac2" else f"{name}, {coefficient.level}"


def status_name(status: str) -> str:
    """The status with what it means, where its name does not say that already."""
    words = _STATUSES.get(status)
    if words == status.replace("_", " "):
        return words
    return f"{status} ({words})" if words else status


def number(value: float) -> str:
    """Three decimals without a leading zero: ``.654``, ``-.034``, ``1.000``; never a 1.000 that is not one."""
    if 0.9995 <= abs(value) < 1:
        return (">" if value > 0 else "<-") + ".999"
    text = f"{value:.3f}"
    if float(text) == 0:
        return ".000"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def p_value(p: float, equals: str = "= ") -> str:
    """``< .001``, else ``= .034``."""
    return "< .001" if p < 0.001 else f"{equals}{number(p)}"


def percent(value: float) -> str:
    """``38.1 %``; never 0 % or 100 % for a share that is not."""
    if 0 < value < 0.0005:
        return "<0.1 %"
    if 0.9995 <= value < 1:
        return ">99.9 %"
    return "0 %" if value == 0 else "100 %" if value == 1 else f"{100 * value:.1f} %"


def points(value: float) -> str:
    """A difference of two rates in percentage points: ``+3.1``, ``-0.4``."""
    text = f"{100 * value:+.1f}"
    return "0.0" if float(text) == 0 else text


def count(n: int, noun: str = "", plural: str = "") -> str:
    """``2,250`` or ``1 output`` / ``2,250 outputs``."""
    return f"{n:,}" + (f" {noun if n == 1 else plural or noun + 's'}" if noun else "")


def share(part: int, whole: int, noun: str, plural: str = "") -> str:
    """``12 of 2,250 outputs (0.5 %)``."""
    return f"{part:,} of {count(whole, noun, plural)}" + (f" ({percent(part / whole)})" if whole else "")


def interval(estimate: Estimate, *, rate: bool = False) -> str:
    """``[.620, .689]``, for a rate ``[36.2, 40.1]``; nothing where there is no interval."""
    if estimate.ci_low is None or estimate.ci_high is None:
        return ""
    write = percent if rate else number
    return f"[{write(estimate.ci_low).removesuffix(' %')}, {write(estimate.ci_high).removesuffix(' %')}]"


def spanned(estimate: Estimate, confidence: float, *, rate: bool = False) -> str:
    """In a sentence: ``.654 (95 % interval .620 to .689)``."""
    if estimate.ci_low is None or estimate.ci_high is None:
        return value(estimate, rate=rate)
    write = percent if rate else number
    span = f"{write(estimate.ci_low).removesuffix(' %')} to {write(estimate.ci_high)}"
    return f"{value(estimate, rate=rate)} ({confidence * 100:g} % interval {span})"


def value(estimate: Estimate, *, rate: bool = False) -> str:
    """The value alone, or a dash."""
    if estimate.value is None:
        return DASH
    return percent(estimate.value) if rate else number(estimate.value)


def figure(estimate: Estimate, *, rate: bool = False) -> str:
    """``.654 [.620, .689]``, or a dash."""
    return f"{value(estimate, rate=rate)} {interval(estimate, rate=rate)}".rstrip()


def quote(name: str, width: int = NAME_WIDTH) -> str:
    """A name from the data inside a sentence."""
    return f"“{shorten(name, width)}”"


def listed(parts: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    joint = last if last.startswith(",") else f" {last}"
    return f"{', '.join(parts[:-1])}{joint} {parts[-1]}" if len(parts) > 1 else "".join(parts)


def names(items: Iterable[str], limit: int = 3) -> str:
    """Quoted names as a list that is cut after `limit`."""
    quoted = [quote(item) for item in items]
    rest = len(quoted) - limit
    return listed(quoted if rest <= 1 else [*quoted[:limit], f"{rest:,} more"])
