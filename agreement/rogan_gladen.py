"""The true rate behind a judge's rate, from the judge's sensitivity and specificity (Rogan and Gladen 1978).

    p = (q + Sp - 1) / (Se + Sp - 1)

q is the share of items the judge calls positive, Se and Sp come from the items with a reference label, and all
three are uncertain. The interval recovers variances from the limits of the parts (MOVER, Zou and Donner 2008) in
Fieller's way: p is in it when q - p Se - (1 - p)(1 - Sp) may be 0. It needs no division by J = Se + Sp - 1, so it
grows without bound, as it should, when J may be 0.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from interjudge.agreement.counts import Floats, ratio
from interjudge.agreement.degenerate import ZERO

JEFFREYS: Final = 0.5

# Tables (..., 3, 3) of items: the judge's verdict in rows, the reference label in columns.
OTHER, POSITIVE, NONE = 0, 1, 2  # NONE: no usable verdict, no reference label


def beta_limits(
    successes: ArrayLike, trials: ArrayLike, prior: float = JEFFREYS, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Limits of a proportion from the quantiles of Beta(x + prior, n - x + prior), 0 at x = 0 and 1 at x = n.

    prior 1/2 is Jeffreys' interval (Brown, Cai and DasGupta 2001). Counts need not be whole. 0 to 1 where there
    are no trials, NaN where a count is NaN.
    """
    x, n = np.broadcast_arrays(np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64))
    miss = np.maximum(n - x, 0)
    tail = (1 - confidence) / 2
    share = np.where(n > ZERO, x / np.where(n > ZERO, n, 1), np.nan)
    low = np.fmin(special.betaincinv(x + prior, miss + prior, tail), share)
    high = np.fmax(special.betaincinv(x + prior, miss + prior, 1 - tail), share)
    low, high = np.where(x <= ZERO, 0.0, low), np.where(miss <= ZERO, 1.0, high)
    unknown = np.isnan(x) | np.isnan(n)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def rogan_gladen(
    flagged: ArrayLike,
    tested: ArrayLike,
    hits: ArrayLike,
    positives: ArrayLike,
    rejections: ArrayLike,
    negatives: ArrayLike,
    *,
    within: ArrayLike = False,
    size: ArrayLike = 1.0,
    confidence: float = 0.95,
) -> tuple[Floats, Floats, Floats]:
    """The corrected rate and its interval: value, low, high, of any one shape.

    Parameters
    ----------
    flagged, tested : how many of the items without a reference label the judge calls positive.
    hits, positives : how many of the items that are positive by the reference it calls so.
    rejections, negatives : how many of the others it does not.
    within : whether the labelled items are a random part of the items the rate is about. Then they count in q,
        and what they share with Se and Sp is allowed for: with all items labelled, p is the reference's own rate.
        Else they are a calibration sample of their own, as in Lang and Reiczigel (2014).
    size : effective share of the sample sizes, below 1 for clusters.

    Nothing is cut at 0 and 1. The value is NaN without positives or negatives, or with J <= 0; a limit is infinite
    where J may be 0.
    """
    x, m, a, n1, b, n0, share = np.broadcast_arrays(
        *(np.asarray(v, dtype=np.float64) for v in (flagged, tested, hits, positives, rejections, negatives, size))
    )
    n = n1 + n0
    phi = np.where(within, ratio(n, n + m), 0.0)
    q, true = np.nan_to_num(ratio(x, m)), np.nan_to_num(ratio(n1, n))
    se, sp = ratio(a, n1), ratio(b, n0)
    j = se + sp - 1
    defined = j > ZERO
    # q - p Se - (1 - p)(1 - Sp) = top - p j, written with the parts that are independent of each other
    top = (1 - phi) * (q + sp - 1) + phi * j * true
    parts = [(x, m, q), (b, n0, sp), (a, n1, se), (n1, n, true)]
    below, above = [], []
    for successes, trials, value in parts:
        low, high = beta_limits(successes * share, trials * share, confidence=confidence)
        below.append(value - low)
        above.append(high - value)
    # a large p goes with a small sensitivity
    low = _limit(top, j, phi, (below[0], below[1], above[2], below[3]), -1)
    high = _limit(top, j, phi, (above[0], above[1], below[2], above[3]), +1)
    value = ratio(top, np.where(defined, j, 0.0))
    return value, np.where(defined, low, np.nan), np.where(defined, high, np.nan)


def _limit(top: Floats, j: Floats, phi: Floats, distance: tuple[Floats, Floats, Floats, Floats], side: int) -> Floats:
    """Where (top - p j)^2 = (1 - phi)^2 (q^2 + (1 - p)^2 sp^2 + p^2 se^2) + (phi j true)^2 on one side of top / j,
    with the distances of q, sp, se and true from their limits. Infinite where there is no such p."""
    q, sp, se, true = distance
    rest = (1 - phi) ** 2
    square = j**2 - rest * (se**2 + sp**2)
    linear = -2 * top * j + 2 * rest * sp**2
    constant = top**2 - rest * (q**2 + sp**2) - (phi * j * true) ** 2
    root = np.sqrt(np.maximum(linear**2 - 4 * square * constant, 0))
    found = ratio(-linear + side * root, 2 * square, ZERO)
    return np.where(np.isnan(square), np.nan, np.where(square > ZERO, found, side * np.inf))


def table_counts(table: NDArray[Any]) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    """The six counts of `rogan_gladen`, each (...), from tables (..., 3, 3); items without a verdict take no part."""
    t = table.astype(np.float64)
    return (
        t[..., POSITIVE, NONE],
        t[..., POSITIVE, NONE] + t[..., OTHER, NONE],
        t[..., POSITIVE, POSITIVE],
        t[..., POSITIVE, POSITIVE] + t[..., OTHER, POSITIVE],
        t[..., OTHER, OTHER],
        t[..., OTHER, OTHER] + t[..., POSITIVE, OTHER],
    )


def rogan_gladen_influence(table: NDArray[Any], within: ArrayLike = True) -> Floats:
    """How much one more item of each cell moves the corrected rate, to first order, (..., 3, 3).

    Sums to 0 over the items; the variance under clusters is that of its sums over clusters.
    """
    x, m, a, n1, b, n0 = table_counts(table)
    n = n1 + n0
    phi = np.where(within, ratio(n, n + m), 0.0)
    q, se, sp, true = np.nan_to_num(ratio(x, m)), ratio(a, n1), ratio(b, n0), ratio(n1, n)
    j = se + sp - 1
    value = ratio((1 - phi) * (q + sp - 1) + phi * j * true, j, ZERO)
    found = np.zeros(table.shape)
    for verdict in (OTHER, POSITIVE):
        f = float(verdict == POSITIVE)
        found[..., verdict, NONE] = np.nan_to_num((1 - phi) * ratio((f - q) / np.where(j > ZERO, j, np.nan), m))
        of_se = -(1 - phi) * ratio(value * (f - se), n1 * j)
        of_sp = -(1 - phi) * ratio((1 - value) * (f - 1 + sp), n0 * j)
        found[..., verdict, POSITIVE] = np.nan_to_num(of_se + phi * ratio(1 - true, n))
        found[..., verdict, OTHER] = np.nan_to_num(of_sp + phi * ratio(-true, n))
    return found
