"""From probabilities to flags: which verdicts to look at, and whether the probabilities held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.intervals import proportion
from interjudge.errors import InputError

Floats = NDArray[np.float64]
_ROUNDING: Final = 1e-12


@dataclass(frozen=True)
class Rule:
    """Which verdicts to flag; exactly one of the three.

    `threshold`: all with p_wrong at least this. `budget`: the so many with the largest p_wrong. `fdr`: the largest
    set, from the top, whose expected share of right verdicts, the mean of 1 - p_wrong, is at most this (Newton
    et al. 2004, the direct posterior probability approach), ties taken whole or not at all.

    Raises
    ------
    InputError : none or several of them, or a value out of range.
    """

    threshold: float | None = None
    budget: int | None = None
    fdr: float | None = None

    def __post_init__(self) -> None:
        if sum(rule is not None for rule in (self.threshold, self.budget, self.fdr)) != 1:
            raise InputError("choose verdicts by one rule", expected="one of threshold, budget, fdr")
        for name, value in (("threshold", self.threshold), ("fdr", self.fdr)):
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"{name} must be a probability", found=value, expected="0 to 1")
        if self.budget is not None and self.budget < 0:
            raise InputError("a budget cannot be negative", found=self.budget, expected="0 or more")


def choose(p_wrong: Floats, rule: Rule, seed: int = 0) -> NDArray[np.bool_]:
    """Which verdicts to flag, same shape as `p_wrong`. NaN (no verdict) is never flagged.

    Where a budget ends among equals, the ones it takes are drawn with `seed`: the first ones would all be of the
    same few items.
    """
    there = ~np.isnan(p_wrong)
    if rule.threshold is not None:
        return np.asarray(there & (np.where(there, p_wrong, -1.0) >= rule.threshold))
    place = np.flatnonzero(there)
    if rule.budget is not None:
        taken = np.random.default_rng(seed).permutation(place)
        taken = taken[np.argsort(-p_wrong.ravel()[taken], kind="stable")][: rule.budget]
    else:
        order = place[np.argsort(-p_wrong.ravel()[place], kind="stable")]
        p = p_wrong.ravel()[order]
        share_right = np.cumsum(1 - p) / np.arange(1, p.size + 1)
        ends = np.flatnonzero(np.append(np.diff(p) != 0, True)) if p.size else np.zeros(0, np.int64)
        fit = ends[share_right[ends] <= (rule.fdr or 0) + _ROUNDING]
        taken = order[: int(fit.max(initial=-1)) + 1]
    out = np.zeros(p_wrong.size, bool)
    out[taken] = True
    return out.reshape(p_wrong.shape)


@dataclass(frozen=True)
class Bin:
    """Verdicts with p_wrong in [low, high): how many, the mean p_wrong, the share that was wrong and its interval."""

    low: float
    high: float
    n: int
    predicted: float
    observed: float
    ci_low: float | None = None
    ci_high: float | None = None


def reliability(
    p_wrong: Floats,
    wrong: NDArray[np.bool_],
    unit: NDArray[np.int64] | None = None,
    bins: int = 10,
    *,
    weight: Floats | None = None,
    confidence: float = 0.95,
) -> tuple[Bin, ...]:
    """Predicted against observed share of wrong verdicts in `bins` equal ranges of p_wrong; empty ones left out.

    Parameters
    ----------
    p_wrong, wrong : (n,) of the verdicts whose truth is known.
    unit : (n,) number of the sampling unit of each; None: every verdict is one.
    weight : (n,) design weights; None: all the same.
    """
    place = np.minimum((p_wrong * bins).astype(np.int64), bins - 1)
    n = np.bincount(place, minlength=bins)
    found = []
    for b in np.flatnonzero(n).tolist():
        here = place == b
        units, w = (None if part is None else part[here] for part in (unit, weight))
        observed = proportion(wrong[here], clusters=units, weight=w, confidence=confidence)
        share, mean = (float(np.average(values[here], weights=w)) for values in (wrong, p_wrong))
        found.append(Bin(b / bins, (b + 1) / bins, int(n[b]), mean, share, observed.ci_low, observed.ci_high))
    return tuple(found)


def auroc(p_wrong: Floats, wrong: NDArray[np.bool_], weight: Floats | None = None) -> float | None:
    """How often a wrong verdict has the higher p_wrong than a right one, ties half (Hanley and McNeil 1982: the
    area under the curve is the statistic of Mann and Whitney). None where all are right, or all wrong.

    weight : (n,) design weights, of which only the proportions count.
    """
    if wrong.all() or not wrong.any():
        return None
    w = np.ones(wrong.size) if weight is None else weight
    _, place = np.unique(p_wrong, return_inverse=True)
    of_wrong, of_right = np.bincount(place, w * wrong), np.bincount(place, w * ~wrong)
    below = np.cumsum(of_right) - of_right / 2
    return float(of_wrong @ below / (of_wrong.sum() * of_right.sum()))


def brier(p_wrong: Floats, wrong: NDArray[np.bool_], weight: Floats | None = None) -> float:
    """Mean squared difference of the probability and what came (Brier 1950, one class); 0 is perfect."""
    return float(np.average((p_wrong - wrong) ** 2, weights=weight))
