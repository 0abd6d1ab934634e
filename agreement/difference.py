"""The interval of a difference from the two values' own intervals."""

from __future__ import annotations

from math import hypot, isfinite
from typing import Final

from interjudge.agreement.degenerate import undefined
from interjudge.agreement.results_base import Estimate

METHOD: Final = (
    "difference: new minus old; interval by MOVER from the two intervals, as if the reports were independent "
    "(Zou and Donner 2008)"
)


def mover(value: tuple[float, float], low: tuple[float, float], high: tuple[float, float]) -> tuple[float, float]:
    """The interval of a - b from the intervals of a and of b, which were estimated independently.

    The method of variance estimates recovery (Zou and Donner 2008, Statistics in Medicine 27, 1693-1702), without a
    covariance. With Wilson's intervals it is Newcombe's (1998, Statistics in Medicine 17, 873-890) method 10.

    Parameters
    ----------
    value, low, high : of a and of b; the intervals need not be symmetric, but hold the values.

    Where both rest on the same items they are as a rule positively correlated, and the interval is wider than it
    need be.
    """
    (a, b), (la, lb), (ha, hb) = value, low, high
    return a - b - hypot(a - la, hb - b), a - b + hypot(ha - a, b - lb)


def difference(old: Estimate, new: Estimate, *, same_confidence: bool = True) -> Estimate:
    """new - old. Without an interval where either has none, or where they are of different confidence."""
    n = min(old.n, new.n)
    if old.value is None or new.value is None:
        which, missing = ("old", old) if old.value is None else ("new", new)
        return undefined(f"no value in the {which} report: {missing.undefined or 'no reason given'}", n)
    value = new.value - old.value
    if (
        not same_confidence
        or old.ci_low is None or old.ci_high is None or new.ci_low is None or new.ci_high is None
    ):  # fmt: skip
        return Estimate(value=value, n=n)
    low, high = mover((new.value, old.value), (new.ci_low, old.ci_low), (new.ci_high, old.ci_high))
    if not (isfinite(low) and isfinite(high)):
        return Estimate(value=value, n=n)
    return Estimate(value=value, ci_low=low, ci_high=high, n=n)
