"""A rate from a few labels on outputs that were drawn with known probabilities, helped by what is believed of all.

With y the labels (0 or 1), f what is believed of every output (the probability that its label is the one asked for),
pi the inclusion probabilities and w = 1 / pi:

    theta = mean_N(f) + sum_i w_i (y_i - f_i) / sum_i w_i

The difference estimator of survey sampling (Särndal, Swensson and Wretman 1992, section 6.3) with Hajek's (1971)
weights; in machine learning, active statistical inference (Zrnic and Candes 2024, equation 1). Right on average
whatever f is worth (but for the bias of a ratio, which falls with 1 / n), as long as the probabilities are those of the
draw, none of them is 0, and f has not seen the labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from interjudge.agreement.results import Estimate

LEAST_LABELS = 10  # below, an interval from the labels' own spread is nothing to go by
TOO_FEW = f"fewer than {LEAST_LABELS} labels"


def sampled_rate(
    labels: ArrayLike,
    believed: ArrayLike,
    probabilities: ArrayLike,
    everywhere: float,
    confidence: float = 0.95,
    *,
    clusters: ArrayLike | None = None,
    outputs: float | None = None,
) -> Estimate:
    """The rate among all outputs that could be drawn.

    Parameters
    ----------
    labels : (n,) 1 where the label is the one asked for, else 0.
    believed : (n,) probability of that label as it was believed before, 0..1.
    probabilities : (n,) with which each output came into the sample; only their proportions count.
    everywhere : the mean of what is believed over all outputs that could be drawn, the sample included.
    clusters : (n,) whole numbers of sampling units that labels share, for draws that are not independent.
    outputs : how many outputs could be drawn (the effective number), where the rate is that of the population they
        come from: theta (1 - theta) / outputs is added to the variance, and they bound the degrees of freedom.

    Returns
    -------
    The estimate, cut to 0..1, with an interval from the linearised variance of the weighted mean of y - f (draws taken
    as independent, which is cautious where a large part of the outputs is drawn) and Student's t with as many degrees
    of freedom as the weights leave: (sum w)^2 / sum w^2 - 1 (Kish 1965). No interval below `LEAST_LABELS` labels.
    One label more of either kind, each with the mean weight, is counted in the spread, so that labels that all agree
    with what was believed do not make an interval of no width. With clusters the spread is that of their sums, with at
    most one degree of freedom less than there are clusters; none from one cluster.

    Raises
    ------
    ValueError : the lengths differ, a probability is not in 0..1 (above 0), or a label is neither 0 nor 1.
    """
    y, f, pi = (np.asarray(a, dtype=np.float64) for a in (labels, believed, probabilities))
    if not y.shape == f.shape == pi.shape or y.ndim != 1:
        raise ValueError("labels, believed and probabilities differ in length")
    if not np.isin(y, (0, 1)).all() or (pi <= 0).any() or (pi > 1).any():
        raise ValueError("a label is neither 0 nor 1, or a probability not in 0..1")
    n = int(y.size)
    if not n:
        return Estimate(n=0, undefined=TOO_FEW)
    w = 1 / pi
    w /= w.mean()
    off = y - f
    shift = float(w @ off / w.sum())
    theta = float(np.clip(everywhere + shift, 0, 1))
    if n < LEAST_LABELS:
        return Estimate(value=theta, n=n, undefined=None)
    # the spread, with one label of either kind more at the mean of what is believed of the sample
    mean = float(w @ f / w.sum())
    more = np.array([1 - mean, -mean])
    unit = np.arange(n) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    pull = np.bincount(unit, w * (off - shift))
    units = int(pull.size)
    if units < 2:
        return Estimate(value=theta, n=n, undefined=None)
    squares = float((pull**2).sum() + (more**2).sum())
    variance = squares / n**2 * units / (units - 1)
    if outputs is not None:
        variance += theta * (1 - theta) / outputs
    free = max(min(float(w.sum() ** 2 / (w @ w)), units, outputs or np.inf) - 1, 1.0)
    reach = float(special.stdtrit(free, (1 + confidence) / 2)) * variance**0.5
    return Estimate(value=theta, ci_low=max(0.0, theta - reach), ci_high=min(1.0, theta + reach), n=n)
