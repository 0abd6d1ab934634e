"""Intervals, once for all statistics: BCa bootstrap for ratios of sums, Wilson for proportions.

Every statistic is a function of sums over sampling units, so a bootstrap replicate is a weighted sum of
rows that were counted once. Why these intervals: docs/statistics.md and the coverage table in tests/bench.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from interjudge.agreement.counts import Codes, Floats, add_rows, dense, ratio
from interjudge.agreement.degenerate import MIN_DEFINED, NO_ITEMS, ZERO, undefined
from interjudge.agreement.results import Estimate
from interjudge.errors import InputError

_CHUNK: Final = 1 << 22  # resampling weights held at a time
_KEPT: Final = 1 << 25  # weights kept for the next call, two bytes each


class Resampler:
    """The bootstrap: how often each unit is drawn in each replicate, the same for every array of features.

    `weight` (U,) equal units stand in each row; rows are drawn with replacement as often as there are units.
    The same `seed` gives the same replicates.
    """

    def __init__(self, weight: NDArray[np.integer[Any]], replicates: int, seed: int) -> None:
        if replicates < 0:
            raise InputError("the number of replicates is negative", found=replicates, expected="0 or more")
        self.weight = weight
        self.replicates = replicates
        self.seed = seed

    def sums(self, features: Floats) -> Floats:
        """Sums of features (U, F) under each replicate, (replicates, F)."""
        parts = [draw.astype(np.float64) @ features for draw in self._draws()]
        return np.concatenate(parts) if parts else np.empty((0, features.shape[1]))

    def drawn(self) -> NDArray[np.int64]:
        """How often each row is drawn in each replicate, (replicates, U)."""
        parts = list(self._drawn())
        return np.concatenate(parts) if parts else np.empty((0, self.weight.size), dtype=np.int64)

    def _draws(self) -> Iterator[NDArray[Any]]:
        if not self.weight.size or not self.replicates:
            return iter(())
        if self.replicates * self.weight.size <= _KEPT and int(self.weight.max()) == 1:
            return iter(self._kept)
        return self._drawn()

    @cached_property
    def _kept(self) -> list[NDArray[np.uint16]]:
        # a unit that stands once is drawn about once: 65,535 times in one replicate does not happen
        return [draw.astype(np.uint16) for draw in self._drawn()]

    def _drawn(self) -> Iterator[NDArray[np.int64]]:
        rng = np.random.default_rng(self.seed)
        n, rows = int(self.weight.sum()), self.weight.size
        step = max(1, _CHUNK // rows)
        for start in range(0, self.replicates, step):
            size = min(step, self.replicates - start)
            if n == rows:  # each unit stands once: drawing n units one by one beats n binomials
                picks = rng.integers(0, rows, size=(size, n)) + np.arange(0, size * rows, rows)[:, None]
                yield np.bincount(picks.ravel(), minlength=size * rows).reshape(size, rows)
            else:
                yield rng.multinomial(n, self.weight / n, size=size)


def bca_interval(
    value: Floats,
    replicates: Floats,
    leave_out: Floats,
    weight: NDArray[Any],
    units: ArrayLike,
    confidence: float,
) -> tuple[Floats, Floats]:
    """Bias-corrected and accelerated bootstrap interval of M statistics at once: low and high, (M,).

    Efron (1987) with the acceleration from the jackknife, at levels widened for small samples as Hesterberg
    (2015, "What Teachers Should Know About the Bootstrap", section 3.2) does for the percentile interval:
    z becomes sqrt(n / (n - 1)) * t(n - 1).

    Parameters
    ----------
    value : (M,); replicates : (B, M); leave_out : (U, M), the value with one unit of row u left out;
    weight : (U,) or (U, M), how many units stand in row u; units : how many units there are, scalar or (M,).

    NaN where the value or more than a tenth of its replicates is undefined, or there are fewer than two units.
    """
    low = np.full(value.shape, np.nan)
    high = low.copy()
    b = replicates.shape[0]
    units = np.broadcast_to(np.asarray(units, dtype=np.float64), value.shape)
    defined = np.isfinite(replicates).sum(axis=0)
    good = np.isfinite(value) & (units >= 2) & (defined >= max(1, MIN_DEFINED * b))
    if not good.any():
        return low, high
    v, n, count = value[good], units[good], defined[good]
    ordered = np.sort(replicates[:, good], axis=0)  # NaN sorts last
    tie = ZERO * (1 + np.abs(v))
    below = ((ordered < v - tie).sum(axis=0) + (ordered <= v + tie).sum(axis=0)) / 2
    z0 = special.ndtri(np.clip(below, 0.5, count - 0.5) / count)
    a = _acceleration(leave_out[:, good], weight if weight.ndim == 1 else weight[:, good])
    z = np.sqrt(n / (n - 1)) * special.stdtrit(n - 1, (1 + confidence) / 2)
    # a strongly skewed replicate distribution can leave the estimate outside; the interval then reaches to it
    low[good] = np.minimum(_quantile(ordered, count, _level(z0, a, -z)), v)
    high[good] = np.maximum(_quantile(ordered, count, _level(z0, a, z)), v)
    return low, high


def _acceleration(leave_out: Floats, weight: NDArray[Any]) -> Floats:
    w = (weight if weight.ndim == 2 else weight[:, None]) * np.isfinite(leave_out)
    kept = np.where(np.isfinite(leave_out), leave_out, 0.0)
    d = (w * kept).sum(axis=0) / np.maximum(w.sum(axis=0), 1) - kept
    second = (w * d**2).sum(axis=0)
    return np.nan_to_num(ratio((w * d**3).sum(axis=0), 6 * second**1.5))


def _level(z0: Floats, a: Floats, z: Floats) -> Floats:
    """The percentile that BCa reads for the normal quantile z (Efron 1987, equation 6.7)."""
    shifted = z0 + z
    # past 1 / a the correction turns round; the last percentile before that is the outermost
    room = np.maximum(1 - a * shifted, 1e-6)
    return np.asarray(special.ndtr(z0 + shifted / room), dtype=np.float64)


def _quantile(ordered: Floats, count: NDArray[np.intp], level: Floats) -> Floats:
    """Linear between order statistics, of the first `count` rows of each sorted column."""
    at = np.clip(level, 0, 1) * (count - 1)
    lower = np.floor(at).astype(np.intp)
    upper = np.minimum(lower + 1, count - 1)
    column = np.arange(ordered.shape[1])
    share = at - lower
    return np.asarray(ordered[lower, column] * (1 - share) + ordered[upper, column] * share)


def wilson(share: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson's score interval (1927) for proportions on n trials, n need not be whole; NaN where n is 0."""
    p, trials = np.broadcast_arrays(np.asarray(share, dtype=np.float64), np.asarray(n, dtype=np.float64))
    z2 = special.ndtri((1 + confidence) / 2) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = (p + z2 / (2 * trials)) / (1 + z2 / trials)
        half = np.sqrt(z2 * (p * (1 - p) / trials + z2 / (4 * trials**2))) / (1 + z2 / trials)
    nothing = trials <= 0
    low = np.where(p <= 0, 0.0, np.clip(middle - half, 0, 1))
    high = np.where(p >= 1, 1.0, np.clip(middle + half, 0, 1))
    return np.where(nothing, np.nan, low), np.where(nothing, np.nan, high)


def mean_wilson(
    numerator: Floats,
    denominator: Floats,
    weight: NDArray[Any],
    confidence: float,
    *,
    clustered: bool,
    weighted: bool = False,
) -> tuple[Floats, Floats, Floats]:
    """Share of M ratios of sums over units of parts in [0, 1], and its interval: value, low, high, (M,).

    numerator, denominator : (U, M) sums within each unit; weight : (U,) equal units.

    Wilson's interval on the effective sample size p (1 - p) / variance, the variance that of a ratio of
    totals of independent units (Korn and Graubard 1998; its coverage with Wilson's form: Dean and Pagano
    2015). With clusters the variance has the factor C / (C - 1) and the size is scaled by (z / t(C - 1))^2; it
    is not cut at the number of trials, which would cover too much where items of a cluster are unrelated. At 0
    and 1, where the variance says nothing, it is the number of trials, or with clusters that of the clusters
    that have any. `weighted`: the sums are of design weights, so that a unit stands for as many as its sum; units then
    count as (sum d)^2 / sum d^2 (Kish 1965).
    """
    trials = weight @ denominator
    p = ratio(weight @ numerator, trials)
    units = (weight @ (denominator > 0)).astype(np.float64)
    if weighted:
        units = np.nan_to_num(ratio(trials**2, weight @ denominator**2))
    spread = weight @ (numerator - p * denominator) ** 2
    size = np.divide(p * (1 - p) * trials**2, spread, out=units.copy(), where=spread > ZERO)
    if clustered:
        level = (1 + confidence) / 2
        freedom = np.maximum(units - 1, 1)
        size *= freedom / np.maximum(units, 1) * (special.ndtri(level) / special.stdtrit(freedom, level)) ** 2
    size = np.where((p > ZERO) & (p < 1 - ZERO), size, units if clustered else trials)
    low, high = wilson(p, size, confidence)
    return p, low, high


def proportions(
    success: NDArray[Any],
    among: NDArray[Any] | None = None,
    *,
    clusters: NDArray[Any] | None = None,
    weight: Floats | None = None,
    confidence: float = 0.95,
) -> list[Estimate]:
    """Rates with Wilson intervals, one for each column of `success` (N, M).

    success : booleans (N, M); among : booleans (N, M), which entries count at all (default: every one);
    clusters : (N,) where items share a sampling unit; weight : (N,) design weights of the items, of which only the
    proportions count. A rate among nothing is undefined, `no items`.
    """
    counted = np.ones(success.shape, dtype=bool) if among is None else among.astype(bool)
    hit = success.astype(bool) & counted
    n = counted.sum(axis=0)
    if clusters is None and weight is None:
        return wilson_estimates(hit.sum(axis=0), n, confidence)
    num, den = (part.astype(np.float64) if weight is None else part * weight[:, None] for part in (hit, counted))
    if clusters is not None:
        index, size = dense(clusters)
        items, (num, den) = (num, den), np.zeros((2, size, success.shape[1]))
        for total, rows in zip((num, den), items, strict=True):
            add_rows(total, index, rows)
    once = np.ones(num.shape[0], dtype=np.int64)
    p, low, high = mean_wilson(num, den, once, confidence, clustered=True, weighted=weight is not None)
    return estimates(p, low, high, n, [NO_ITEMS] * p.size)


def proportion(
    success: NDArray[Any],
    among: NDArray[Any] | None = None,
    *,
    clusters: NDArray[Any] | None = None,
    weight: Floats | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """One rate: `proportions` of a single column, `success` and `among` (N,)."""
    column = None if among is None else among[:, None]
    return proportions(success[:, None], column, clusters=clusters, weight=weight, confidence=confidence)[0]


def wilson_estimates(successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95) -> list[Estimate]:
    """Rates from counts, (M,) each, where every trial is its own sampling unit."""
    hits, n = np.atleast_1d(np.asarray(successes, dtype=np.float64)), np.atleast_1d(np.asarray(trials))
    p = ratio(hits, n)
    low, high = wilson(p, n, confidence)
    return estimates(p, low, high, n, [NO_ITEMS] * p.size)


def label_rates(
    codes: Codes, k: int, *, clusters: NDArray[Any] | None = None, confidence: float = 0.95
) -> list[list[Estimate]]:
    """How often each judge gives each label among its usable verdicts: [judge][label], with Wilson intervals."""
    if clusters is None:
        counts = np.array([[np.count_nonzero(column == label) for label in range(k)] for column in codes.T])
        counts = counts.reshape(codes.shape[1], k)
        return [wilson_estimates(row, np.full(k, row.sum()), confidence) for row in counts]
    return [
        proportions(
            column[:, None] == np.arange(k),
            np.repeat(column[:, None] >= 0, k, axis=1),
            clusters=clusters,
            confidence=confidence,
        )
        for column in codes.T
    ]


def estimates(value: Floats, low: Floats, high: Floats, n: ArrayLike, reasons: list[str]) -> list[Estimate]:
    """Records from arrays (M,): NaN becomes null, with its reason where the value itself does not exist."""
    sizes = np.broadcast_to(np.asarray(n), value.shape)
    return [
        estimate(float(v), float(lo), float(hi), int(size), reason)
        for v, lo, hi, size, reason in zip(value, low, high, sizes, reasons, strict=True)
    ]


def estimate(value: float, low: float, high: float, n: int, reason: str) -> Estimate:
    """One record. An interval of no width would claim certainty: it is left out."""
    if not np.isfinite(value):
        return undefined(reason, n)
    if not (np.isfinite(low) and np.isfinite(high)) or high - low <= ZERO:
        return Estimate(value=value, n=n)
    return Estimate(value=value, ci_low=low, ci_high=high, n=n)
