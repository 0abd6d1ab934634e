"""A judge's ability as a function of three counts per label: how often it is true, said, and both.

J judges, K labels. Replicates stand in front: an array is (J, K) for the data and (B, J, K) for B replicates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.counts import Floats, ratio
from interjudge.agreement.degenerate import MIN_DEFINED, ZERO
from interjudge.agreement.intervals import bca_interval, wilson
from interjudge.agreement.rank_agreement import difference_bounds
from interjudge.agreement.results_trust import Measure


@dataclass(frozen=True)
class Margins:
    """`right`: the judge says the label and it is true; `true`: it is true of an item the judge judged; `said`:
    the judge says it. (..., J, K) each; counts of items, or expected counts."""

    right: Floats
    true: Floats
    said: Floats

    @property
    def n(self) -> Floats:
        """(..., J) items judged."""
        return np.asarray(self.true.sum(axis=-1))

    def minus(self, other: Margins) -> Margins:
        """What is left without a part; sums that rounding takes below 0 are 0."""
        pairs = ((self.right, other.right), (self.true, other.true), (self.said, other.said))
        return Margins(*(np.where(a - b < ZERO * np.maximum(a, 1), 0.0, a - b) for a, b in pairs))


@dataclass(frozen=True)
class Replicated:
    """The counts in the data, and in every replicate. `exact`: whether `total` counts items (a reference)
    or expects them (an estimate of the truth); `units` (J,) sampling units behind each judge's counts; `items` (J,)
    how many items, where `total` is not that but their design weights."""

    total: Margins
    replicates: Margins
    exact: bool
    units: Floats
    items: Floats | None = None

    @property
    def n(self) -> Floats:
        """(J,) items judged."""
        return self.total.n if self.items is None else self.items


def sensitivity(m: Margins, positive: int) -> Floats:
    """Share of what is truly positive that the judge calls so."""
    return np.clip(ratio(m.right[..., positive], m.true[..., positive], ZERO), 0, 1)  # sums of parts round


def specificity(m: Margins, positive: int) -> Floats:
    """Share of the rest that the judge calls anything else."""
    true, said = m.true[..., positive], m.said[..., positive]
    rest = m.n - true
    return np.clip(ratio(rest - (said - m.right[..., positive]), rest, ZERO), 0, 1)


def youden_j(m: Margins, positive: int) -> Floats:
    """Youden (1950): J = sensitivity + specificity - 1."""
    return np.asarray(sensitivity(m, positive) + specificity(m, positive) - 1)


def accuracy(m: Margins) -> Floats:
    return ratio(m.right.sum(axis=-1), m.n, ZERO)


def balanced_accuracy(m: Margins, there: NDArray[np.bool_]) -> Floats:
    """Mean recall over the labels that are there, (J, K)."""
    recall = np.where(there, ratio(m.right, m.true, ZERO), 0.0)
    return ratio(recall.sum(axis=-1), np.broadcast_to(there.sum(axis=-1), recall.shape[:-1]))


def bias(m: Margins) -> Floats:
    """(..., J, K) share of the judged items the judge says the label of, minus the share it is true of."""
    return ratio(m.said - m.true, m.n[..., None], ZERO)


def performance(m: Margins, measure: Measure, positive: int | None) -> Floats:
    """(..., J) the measure judges are ranked by."""
    return accuracy(m) if measure == "accuracy" or positive is None else youden_j(m, positive)


def wilson_bounds(
    found: Replicated, what: Measure | Literal["bias"], positive: int | None, confidence: float
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Low and high (J,) in closed form, a sampling unit counting as one trial, and where (J,) a share in it is 0 or 1,
    so that no replicate has another.

    Wilson's interval of accuracy; of Youden's J, and of the bias of the positive (else the first) label, that of a
    difference of two shares (Newcombe 1998).
    """
    m = found.total
    size = ratio(found.units, m.n)
    if what == "bias":
        x = positive or 0
        first, second = (ratio(part[..., x] - m.right[..., x], m.n, ZERO) for part in (m.said, m.true))
        trials = (m.n, m.n)
    elif what == "accuracy" or positive is None:
        value = accuracy(m)
        return (*wilson(value, m.n * size, confidence), _at_an_end(value))
    else:
        first, second = sensitivity(m, positive), 1 - specificity(m, positive)
        trials = (m.true[..., positive], m.n - m.true[..., positive])
    one, two = (wilson(p, n * size, confidence) for p, n in zip((first, second), trials, strict=True))
    return (*difference_bounds((first, *one), (second, *two)), _at_an_end(first) | _at_an_end(second))


def _at_an_end(share: Floats) -> NDArray[np.bool_]:
    return np.asarray((share <= ZERO) | (share >= 1 - ZERO))


def interval(
    value: Floats, replicates: Floats, units: Floats, confidence: float, *, exact: bool
) -> tuple[Floats, Floats]:
    """Low and high of values (M,) from their replicates (B, M).

    `exact`: bias-corrected bootstrap percentiles (Efron 1987 without acceleration), widened for few units; else
    plain percentiles of the draws, which reach to the value where that lies outside.
    """
    if exact:
        nothing = np.zeros((1, value.size))
        return bca_interval(value, replicates, nothing, np.ones(1), units, confidence)
    low, high = np.full(value.shape, np.nan), np.full(value.shape, np.nan)
    b = replicates.shape[0]
    good = np.isfinite(value) & (np.isfinite(replicates).sum(axis=0) >= max(1, MIN_DEFINED * b))
    if good.any():
        tail = (1 - confidence) / 2
        ends = np.nanquantile(replicates[:, good], [tail, 1 - tail], axis=0)
        low[good], high[good] = np.minimum(ends[0], value[good]), np.maximum(ends[1], value[good])
    return low, high
