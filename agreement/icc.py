"""Intraclass correlations of a complete table of n outputs and k judges, and their intervals.

Notation and formulas of McGraw and Wong (1996), "Forming inferences about some intraclass correlation
coefficients", Psychological Methods 1, 30-46 (with the corrections on p. 390): mean squares for rows (outputs) MSR,
columns (judges) MSC, error MSE and within rows MSW; coefficients from table 4, intervals from table 7.

| name | model | a judge that is always stricter | of |
|---|---|---|---|
| ICC(1,1) | one-way: each output may have judges of its own | counts as disagreement | one judge |
| ICC(A,1) | two-way, absolute agreement | counts as disagreement | one judge |
| ICC(C,1) | two-way, consistency | does not count | one judge |
| ICC(1,k), ICC(A,k), ICC(C,k) | the same | | the mean of the k judges |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from interjudge.agreement.counts import Assignment, Floats, add_rows, assign, ratio
from interjudge.agreement.degenerate import ONE_CATEGORY, ONE_JUDGE, ZERO
from interjudge.agreement.intervals import estimate
from interjudge.agreement.results_scores import Icc

NAMES: Final = ("ICC(1,1)", "ICC(A,1)", "ICC(C,1)", "ICC(1,k)", "ICC(A,k)", "ICC(C,k)")
FEW_COMPLETE: Final = "fewer than two items that every judge scored"
NO_SPREAD: Final = "the outputs do not differ beyond the judges' disagreement"

_ONE: Final = 3  # the first three are of one judge
_ROWS: Final = 1 << 15  # outputs summed at a time


@dataclass(frozen=True)
class MeanSquares:
    """`msr`, `msc`, `mse`, `msw` (...,): of outputs, judges, error, and within outputs; n outputs, k judges."""

    msr: Floats
    msc: Floats
    mse: Floats
    msw: Floats
    n: Floats
    k: int


def mean_squares(sums: Floats, k: int) -> MeanSquares:
    """From sums over the outputs (..., k + 3): how many, of (sum of the k scores)^2, of all scores squared, and of
    each judge's scores. The scores are centred, so that nothing is lost in the squares."""
    n, rows, squares, judges = sums[..., 0], sums[..., 1], sums[..., 2], sums[..., 3:]
    n = np.where(n > 1, n, np.nan)  # a bootstrap may draw, or leave, a single output
    grand = judges.sum(axis=-1) ** 2 / (n * k)
    between = np.maximum(rows / k - grand, 0)
    columns = np.maximum((judges**2).sum(axis=-1) / n - grand, 0)
    within = np.maximum(squares - rows / k, 0)
    error = np.maximum(within - columns, 0)
    # a sum of squares this small beside the whole is zero that arithmetic has smeared
    zero = ZERO * np.maximum(squares - grand, 0)
    between, columns, within, error = (np.where(part > zero, part, 0.0) for part in (between, columns, within, error))
    return MeanSquares(between / (n - 1), columns / (k - 1), error / ((n - 1) * (k - 1)), within / (n * (k - 1)), n, k)


def icc_values(ms: MeanSquares) -> Floats:
    """The six coefficients in the order of `NAMES`, (..., 6). NaN where the denominator is not above zero.

    A mean of judges can have no reliability at all; its coefficient then falls without bound and is given as it is.
    """
    r, c, e, w, n, k = ms.msr, ms.msc, ms.mse, ms.msw, ms.n, ms.k
    one = (
        ratio(r - w, r + (k - 1) * w),
        ratio(r - e, r + (k - 1) * e + k * (c - e) / n),
        ratio(r - e, r + (k - 1) * e),
    )
    mean = (ratio(r - w, r), ratio(r - e, r + (c - e) / n), ratio(r - e, r))
    return np.stack([*one, *mean], axis=-1)


def f_intervals(ms: MeanSquares, confidence: float) -> tuple[Floats, Floats]:
    """Low and high for each coefficient, (6,), from the F distribution: scores of normal, independent errors.

    McGraw and Wong (1996), table 7. NaN where a mean square that must not be zero is.
    """
    r, c, e, w, n, k = float(ms.msr), float(ms.msc), float(ms.mse), float(ms.msw), float(ms.n), ms.k
    low, high = np.full(6, np.nan), np.full(6, np.nan)
    level = (1 + confidence) / 2
    free_r, free_e, free_w = n - 1, (n - 1) * (k - 1), n * (k - 1)
    for single, noise, free in ((0, w, free_w), (2, e, free_e)):
        if noise > 0 and r > 0:
            f_low = r / noise / special.fdtri(free_r, free, level)
            f_high = r / noise * special.fdtri(free, free_r, level)
            low[single], high[single] = ((f - 1) / (f + k - 1) for f in (f_low, f_high))
            low[single + _ONE], high[single + _ONE] = 1 - 1 / f_low, 1 - 1 / f_high
    low[1], high[1], low[4], high[4] = _absolute(r, c, e, n, k, level)
    return low, high


def _absolute(r: float, c: float, e: float, n: float, k: int, level: float) -> tuple[float, float, float, float]:
    """Absolute agreement: Satterthwaite's degrees of freedom for the mixture of judges and error."""
    denominator = r + (k - 1) * e + k * (c - e) / n
    rho = (r - e) / denominator if denominator > 0 else np.nan
    if not np.isfinite(rho) or rho >= 1 or c + e <= 0:
        return (np.nan,) * 4
    a, b = k * rho / (n * (1 - rho)), 1 + k * rho * (n - 1) / (n * (1 - rho))
    bottom = (a * c) ** 2 / (k - 1) + (b * e) ** 2 / ((n - 1) * (k - 1))
    v = (a * c + b * e) ** 2 / bottom if bottom > 0 else 0.0
    if v <= 0:
        return (np.nan,) * 4
    upper, lower = float(special.fdtri(n - 1, v, level)), float(special.fdtri(v, n - 1, level))
    single = k * c + (k * n - k - n) * e
    bounds = (
        (n * (r - upper * e), upper * single + n * r),
        (n * (lower * r - e), single + n * lower * r),
        (n * (r - upper * e), upper * (c - e) + n * r),
        (n * (lower * r - e), c - e + n * lower * r),
    )
    one_low, one_high, k_low, k_high = (x / y if y > 0 and np.isfinite(x) else np.nan for x, y in bounds)
    return one_low, one_high, k_low, k_high


def jackknife(value: Floats, left: Floats, k: int, confidence: float) -> tuple[Floats, Floats]:
    """Low and high for each coefficient, (6,), from its values with one unit left out, `left` (units, 6).

    Student's t on the pseudo-values of log((1 + (k - 1) ICC) / (1 - ICC)), which is log F for ICC(1,1) and ICC(C,1)
    (Arvesen and Schmitz 1970). Those of the mean of k judges are Spearman and Brown's forms of the others.
    """
    one, without = _log_f(value[:_ONE], k), _log_f(left[:, :_ONE], k)
    low, high = (np.expm1(z) / (np.exp(z) + k - 1) for z in pseudo_interval(one, without, confidence))
    low_k, high_k = (ratio(k * bound, 1 + (k - 1) * bound) for bound in (low, high))
    return np.concatenate([low, low_k]), np.concatenate([high, high_k])


def _log_f(icc: Floats, k: int) -> Floats:
    """NaN at either end of the range."""
    inside = (icc < 1 - ZERO) & (icc > ZERO - 1 / (k - 1))
    icc = np.where(inside, icc, np.nan)
    return np.log((1 + (k - 1) * icc) / (1 - icc))


def pseudo_interval(value: Floats, left: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Low and high, (M,), of the mean of Tukey's pseudo-values C value - (C - 1) left, left (C, M); NaN below two."""
    units = left.shape[0]
    if units < 2:
        return np.full(value.shape, np.nan), np.full(value.shape, np.nan)
    pseudo = units * value - (units - 1) * left
    half = special.stdtrit(units - 1, (1 + confidence) / 2) * pseudo.std(axis=0, ddof=1) / np.sqrt(units)
    return pseudo.mean(axis=0) - half, pseudo.mean(axis=0) + half


def icc_estimates(
    scores: Floats,
    *,
    clusters: NDArray[Any] | None = None,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[Icc, ...]:
    """The six coefficients of a complete table of scores (n, k), with intervals.

    Intervals are the published ones from the F distribution where outputs are independent, and `jackknife` ones where
    `clusters` (n,) says that outputs share a unit (`seed` deals very many units into groups).
    """
    n, k = scores.shape
    if n < 2 or k < 2:
        return _nothing(FEW_COMPLETE if k > 1 else ONE_JUDGE, n)
    middle = float(scores.mean())
    spread = max(float(scores.max()) - middle, middle - float(scores.min()))
    if spread <= ZERO * abs(middle):
        return _nothing(ONE_CATEGORY, n)
    assignment = Assignment(np.zeros(n, np.intp), 1, "") if clusters is None else assign(n, clusters, seed=seed)
    units = _sums(scores, middle, spread, assignment)
    total = units.sum(axis=0)
    value = icc_values(mean_squares(total, k))
    if clusters is None:
        low, high = f_intervals(mean_squares(total, k), confidence)
    else:
        low, high = jackknife(value, icc_values(mean_squares(total - units, k)), k, confidence)
    low, high = np.minimum(low, value), np.maximum(high, value)
    return tuple(
        Icc(name=name, **estimate(float(v), float(lo), float(hi), n, NO_SPREAD).model_dump())
        for name, v, lo, hi in zip(NAMES, value, low, high, strict=True)
    )


def _nothing(why: str, n: int) -> tuple[Icc, ...]:
    return tuple(Icc(name=name, n=n, undefined=why) for name in NAMES)


def _sums(scores: Floats, middle: float, spread: float, assignment: Assignment) -> Floats:
    """What `mean_squares` takes, summed within each unit: (units, k + 3)."""
    n, k = scores.shape
    units = np.zeros((assignment.size, k + 3))
    for start in range(0, n, _ROWS):
        place = slice(start, min(start + _ROWS, n))
        x = (scores[place] - middle) / spread
        rows = np.column_stack([np.ones(len(x)), x.sum(axis=1) ** 2, (x**2).sum(axis=1), x])
        if assignment.size == 1:
            units[0] += rows.sum(axis=0)
        else:
            add_rows(units, np.arange(n)[place] if assignment.index is None else assignment.index[place], rows)
    return units
