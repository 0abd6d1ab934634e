"""The three forms a judge's confusion matrix may take, each estimated with judges that lend each other strength."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Form = Literal["one-coin", "class accuracies", "full"]
FORMS: Final = ("one-coin", "class accuracies", "full")

# What is assumed of a judge before it is seen, as a number of verdicts: the mean judge is right this often ...
_ACCURACY: Final = 0.7
_MEAN_VERDICTS: Final = 2.0
# ... and a judge is like the mean judge until it has given a few more verdicts than this of each true label.
POOL: Final = 5.0
_MEMBER_ACCURACY: Final = 0.9


def confusions(counts: Floats, form: Form) -> Floats:
    """(F, K, K) expected counts [family, true label, label said] -> (F, K, K) rows that sum to 1.

    A hierarchy of Dirichlet priors (posterior means): every family's matrix is pulled to the mean family's,
    and that one to a judge who is right in 7 of 10 cases. The mean family never says another label more often
    than the true one, so that labels cannot change places. Forms, from few to many numbers per family:

    one-coin: one accuracy, errors fall on all other labels alike (Zhang et al. 2016, "one-coin").
    class accuracies: one accuracy per true label, errors alike. With two labels: sensitivity and specificity.
    full: every cell (Dawid and Skene 1979).
    """
    if form == "full":
        return _full(counts)
    k = counts.shape[1]
    said = counts.sum(axis=2)
    right = np.einsum("ftt->ft", counts)
    if form == "one-coin":
        mean = (right.sum() + _MEAN_VERDICTS * _ACCURACY) / (said.sum() + _MEAN_VERDICTS)
        own = (right.sum(axis=1) + POOL * mean) / (said.sum(axis=1) + POOL)
        return _coins(np.repeat(own[:, None], k, axis=1))
    each = (right.sum(axis=0) + _MEAN_VERDICTS * _ACCURACY) / (said.sum(axis=0) + _MEAN_VERDICTS)
    each = np.maximum(each, 1 / k)
    return _coins((right + POOL * each) / (said + POOL))


def member_confusions(counts: Floats) -> Floats:
    """(M, K, K) counts [judge, its family's opinion, label said] -> rows: members are close copies by default."""
    k = counts.shape[1]
    start = _MEMBER_ACCURACY * np.eye(k) + (1 - _MEMBER_ACCURACY) / k
    mean = counts.sum(axis=0) + _MEAN_VERDICTS * start
    mean /= mean.sum(axis=1, keepdims=True)
    return _normal(counts + POOL * mean)


def _full(counts: Floats) -> Floats:
    k = counts.shape[1]
    start = _ACCURACY * np.eye(k) + (1 - _ACCURACY) / k
    mean = _normal(counts.sum(axis=0) + _MEAN_VERDICTS * start)
    others = np.where(np.eye(k, dtype=bool), 0.0, mean).max(axis=1)
    short = np.maximum(others - np.diagonal(mean), 0.0)
    lift = (short / (1 + short))[:, None]  # the least share of the identity that brings the diagonal level
    mean = (1 - lift) * mean + lift * np.eye(k)
    return _normal(counts + POOL * mean)


def _coins(accuracy: Floats) -> Floats:
    """(F, K) accuracy per true label -> (F, K, K), errors spread evenly."""
    k = accuracy.shape[1]
    spread = np.repeat(((1 - accuracy) / max(k - 1, 1))[:, :, None], k, axis=2)
    where = np.arange(k)
    spread[:, where, where] = accuracy if k > 1 else 1.0
    return spread


def _normal(table: Floats) -> Floats:
    return np.asarray(table / table.sum(axis=-1, keepdims=True))
