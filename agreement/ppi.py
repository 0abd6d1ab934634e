"""Prediction-powered inference for a rate: all of the judge's verdicts, put right by the labelled items.

With f the judge's verdict as a number, n labelled and N unlabelled items (Angelopoulos, Duchi and Zrnic 2023):

    theta = lambda mean_N(f) + mean_n(y - lambda f)

Right on average whatever the judge is worth, as long as the labelled items are a random part. With strata
(Fisch et al. 2024) theta is the sum of the strata's shares times their own estimates. Where the strata are the
judge's verdicts f is constant in each, lambda falls away, and theta is the maximum-likelihood estimate of double
sampling (Tenenbein 1970).

The normal intervals of both papers miss far too often with few labels and a rare label. Here are others; how
often they cover is measured in docs/rates.md.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from interjudge.agreement.counts import Floats, ratio
from interjudge.agreement.degenerate import ZERO
from interjudge.agreement.intervals import wilson
from interjudge.agreement.rogan_gladen import NONE, OTHER, POSITIVE, beta_limits

# Counts added to each cell of the labelled table before its correlation is believed: without them one labelled
# positive that the judge found would pass for a perfect judge.
_SMOOTH: Final = 0.5
# Between Jeffreys' 1/2 and Kerman's (2011) 1/3; how it was picked: docs/rates.md.
PRIOR: Final = 0.4


def predictions(table: NDArray[Any]) -> Floats:
    """f for each verdict, (..., 3): 0, 1, and without a verdict the judge's own rate, which leans to no side."""
    given = table.sum(axis=-1, dtype=np.float64)
    f = np.zeros(given.shape)
    f[..., POSITIVE] = 1
    f[..., NONE] = np.nan_to_num(ratio(given[..., POSITIVE], given[..., POSITIVE] + given[..., OTHER]))
    return f


def _moments(labelled: Floats, f: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Means of y and f, variance of f and their covariance over labelled items (..., 3, 2), each divided by n."""
    n = labelled.sum(axis=(-2, -1))
    y = ratio(labelled[..., POSITIVE].sum(axis=-1), n)
    mean = ratio((labelled.sum(axis=-1) * f).sum(axis=-1), n)
    variance = ratio((labelled.sum(axis=-1) * f**2).sum(axis=-1), n) - mean**2
    covariance = ratio((labelled[..., POSITIVE] * f).sum(axis=-1), n) - y * mean
    return y, mean, variance, covariance


def power(table: NDArray[Any]) -> Floats:
    """lambda (...) of PPI++, cut at 0 and 1; 0 where there is nothing unlabelled or the judge never varies.

    cov_n(y, f) / ((1 + n / N) var_{n+N}(f)), the second over all items, as in ppi-python.
    """
    t, f = table.astype(np.float64), predictions(table)
    n, m = t[..., :NONE].sum(axis=(-2, -1)), t[..., NONE].sum(axis=-1)
    everyone = t.sum(axis=-1)
    mean = ratio((everyone * f).sum(axis=-1), n + m)
    variance = ratio((everyone * (f - mean[..., None]) ** 2).sum(axis=-1), n + m - 1)
    covariance = _moments(t[..., :NONE], f)[3]
    found = ratio(covariance * m, (n + m) * variance, ZERO)
    return np.clip(np.nan_to_num(found), 0, 1)


def ppi_mean(table: NDArray[Any], lam: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """PPI++'s estimate and its plain variance, each (...), from tables (..., 3, 3) of `rogan_gladen`.

    Equal to `ppi_mean_pointestimate` and to the squared standard error in `ppi_mean_ci` of ppi-python.
    """
    t, f = table.astype(np.float64), predictions(table)
    lam = power(table) if lam is None else np.asarray(lam, dtype=np.float64)
    n, m = t[..., :NONE].sum(axis=(-2, -1)), t[..., NONE].sum(axis=-1)
    y, mean, variance, covariance = _moments(t[..., :NONE], f)
    unlabelled = np.nan_to_num(ratio((t[..., NONE] * f).sum(axis=-1), m))
    spread = np.nan_to_num(ratio((t[..., NONE] * f**2).sum(axis=-1), m)) - unlabelled**2
    rectified = y * (1 - y) - 2 * lam * covariance + lam**2 * variance
    error = lam**2 * np.nan_to_num(ratio(spread, m)) + ratio(rectified, n)
    return lam * unlabelled + y - lam * mean, np.maximum(error, 0)


def effective_labels(table: NDArray[Any], confidence: float = 0.95) -> Floats:
    """How many labels without a judge would tell as much, (...): 1 / ((1 - r^2) / n + r^2 / (n + N)).

    r is the correlation of the judge with the reference on the labelled items (Tenenbein 1970, where r^2 is the
    coefficient of reliability), from counts with a little added; scaled by (z / t(n - 1))^2 because it is
    estimated. n itself where lambda is 0.
    """
    t, f = table.astype(np.float64), predictions(table)
    n, m = t[..., :NONE].sum(axis=(-2, -1)), t[..., NONE].sum(axis=-1)
    smooth = t[..., :NONE].copy()
    smooth[..., (OTHER, POSITIVE), :] += _SMOOTH
    y, _, variance, covariance = _moments(smooth, f)
    r2 = covariance**2 / (y * (1 - y) * variance)
    freedom = np.maximum(n - 1, 1)
    level = (1 + confidence) / 2
    small = (special.ndtri(level) / special.stdtrit(freedom, level)) ** 2
    return np.asarray(np.where(power(table) > 0, small * ratio(n, 1 - r2 + r2 * ratio(n, n + m)), n))


def ppi_interval(
    table: NDArray[Any], *, size: ArrayLike = 1.0, confidence: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """PPI++'s estimate with Wilson's interval on the effective number of labels: value, low, high, (...).

    size : effective share of the sample size, below 1 for clusters. With lambda 0 it is the labelled items' own
    share and interval. The interval reaches to a value outside 0 to 1.
    """
    value, _ = ppi_mean(table)
    labels = effective_labels(table, confidence) * np.asarray(size, dtype=np.float64)
    low, high = wilson(np.clip(value, 0, 1), labels, confidence)
    return value, np.minimum(low, value), np.maximum(high, value)


def ppi_influence(table: NDArray[Any]) -> Floats:
    """How much one more item of each cell moves PPI++'s estimate, to first order, (..., 3, 3)."""
    t, f, lam = table.astype(np.float64), predictions(table), power(table)
    n, m = t[..., :NONE].sum(axis=(-2, -1)), t[..., NONE].sum(axis=-1)
    y, mean, _, _ = _moments(t[..., :NONE], f)
    unlabelled = np.nan_to_num(ratio((t[..., NONE] * f).sum(axis=-1), m))
    found = np.zeros(t.shape)
    for label in (OTHER, POSITIVE):
        residual = float(label == POSITIVE) - lam[..., None] * f - (y - lam * mean)[..., None]
        found[..., label] = np.nan_to_num(ratio(residual, np.broadcast_to(n[..., None], f.shape)))
    rest = lam[..., None] * (f - unlabelled[..., None])
    found[..., NONE] = np.nan_to_num(ratio(rest, np.broadcast_to(m[..., None], f.shape)))
    return found


def stratum_rates(hits: Floats, labelled: Floats, otherwise: ArrayLike | None = None) -> Floats:
    """Rate of each stratum, (..., S). One without a label takes `otherwise`, by default the rate of all labels."""
    pooled = ratio(hits.sum(axis=-1), labelled.sum(axis=-1))[..., None] if otherwise is None else np.asarray(otherwise)
    return np.where(labelled > 0, ratio(hits, labelled), pooled)


def stratified(
    hits: Floats,
    labelled: Floats,
    items: Floats,
    *,
    otherwise: ArrayLike | None = None,
    size: ArrayLike = 1.0,
    confidence: float = 0.95,
) -> tuple[Floats, Floats, Floats]:
    """Sum over S strata of share times rate: value, low, high, (...).

    hits, labelled, items : (..., S) labelled items that are positive, labelled items, all items of each stratum.
    otherwise : (..., S) rate that stands in where a stratum has no label; its limits are then 0 and 1.
    size : effective share of the sample sizes, below 1 for clusters; (...).

    The interval is MOVER's (Zou and Donner 2008): squared distances of the strata's rates from their limits (beta
    quantiles with `PRIOR`) add up as variances do, and so does the variance of the strata's shares.
    """
    hits, labelled, items = (np.asarray(v, dtype=np.float64) for v in (hits, labelled, items))
    scale = np.asarray(size, dtype=np.float64)
    total = items.sum(axis=-1)
    share = ratio(items, np.broadcast_to(total[..., None], items.shape))
    rate = stratum_rates(hits, labelled, otherwise)
    value = (share * rate).sum(axis=-1)
    used = items > 0
    smooth = np.where(used, items + 0.5, 0)
    smooth = ratio(smooth, np.broadcast_to(smooth.sum(axis=-1)[..., None], items.shape))
    between = (smooth * rate**2).sum(axis=-1) - (smooth * rate).sum(axis=-1) ** 2
    z = special.ndtri((1 + confidence) / 2)
    moving = z**2 * ratio(np.maximum(between, 0), total * scale)
    low, high = beta_limits(hits * scale[..., None], labelled * scale[..., None], PRIOR, confidence)
    down = np.sqrt(((share * (rate - low)) ** 2).sum(axis=-1) + moving)
    up = np.sqrt(((share * (high - rate)) ** 2).sum(axis=-1) + moving)
    return value, np.maximum(value - down, 0), np.minimum(value + up, 1)


def stratified_influence(
    hits: Floats, labelled: Floats, items: Floats, *, otherwise: ArrayLike | None = None
) -> Floats:
    """How much one more item moves the stratified estimate, (..., S, 3): reference other, positive, none."""
    hits, labelled, items = (np.asarray(v, dtype=np.float64) for v in (hits, labelled, items))
    rate = stratum_rates(hits, labelled, otherwise)
    total = np.broadcast_to(items.sum(axis=-1)[..., None], items.shape)
    value = (np.nan_to_num(ratio(items, total)) * rate).sum(axis=-1)[..., None]
    own = np.nan_to_num(ratio(rate - value, total))
    found = np.repeat(own[..., None], 3, axis=-1)
    for label in (OTHER, POSITIVE):
        residual = ratio(items * (float(label == POSITIVE) - rate), total * labelled)
        found[..., label] += np.nan_to_num(residual)
    return found


def effective_share(influence: Floats, table: NDArray[Any], units: Floats, confidence: float = 0.95) -> Floats:
    """Share of the sample size that clusters leave of an estimate, (R,).

    influence, table : (R, S, 3) of items by verdict or stratum and reference label; units : (U, R, S, 3) the same
    table unit by unit.

    The variance if items were independent over that of independent units (Kish's design effect, of the influence),
    at most 1, times (z / t)^2 with the number of units that have a label. Where nothing varies, units with a label
    per label. NaN where such units are fewer than two, for then nothing is known of how units differ.
    """
    has = (units > 0).any(axis=(2, 3)).sum(axis=0)
    labels = table[..., :NONE].sum(axis=(1, 2))
    with_label = (units[..., :NONE] > 0).any(axis=(2, 3)).sum(axis=0)
    alone = (table * influence**2).sum(axis=(1, 2))
    together = (np.einsum("urst,rst->ur", units, influence) ** 2).sum(axis=0) * has / np.maximum(has - 1, 1)
    size = np.divide(alone, together, out=with_label / np.maximum(labels, 1), where=together > ZERO**2)
    level = (1 + confidence) / 2
    freedom = np.maximum(with_label - 1, 1)
    small = (special.ndtri(level) / special.stdtrit(freedom, level)) ** 2
    return np.where(with_label > 1, np.minimum(size, 1) * small, np.nan)
