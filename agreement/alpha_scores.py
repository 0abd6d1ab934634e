"""Krippendorff's alpha on continuous scores, without a table of items by distinct values.

`scores` is (N items, J judges) of float64, NaN where there is none. Observed disagreement comes from each
item's own scores. Expected disagreement:

- interval: from sums of x and x^2 (sum over pairs (x - y)^2 = n sum x^2 - (sum x)^2);
- ordinal: the same on mid-ranks among all pairable scores;
- ratio: from each distinct value's distance to all others, in pieces, up to MAX_RATIO values.

Replicates: the interval level is recomputed exactly. At the ordinal and ratio levels ranks and mean distances
depend on all scores at once; both disagreements are linearised in the units' weights (their influence
functions, ranks included), which is exact to first order and holds only the small-sample factor fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.alpha import corrected
from interjudge.agreement.chance import PAIRABLE
from interjudge.agreement.counts import Assignment, Floats, Sums, Units, assign, pack
from interjudge.agreement.degenerate import NEGATIVE_RATIO, ONE_CATEGORY, ZERO, panel_problem
from interjudge.agreement.intervals import Resampler, bca_interval, estimate, wilson
from interjudge.agreement.results import Coefficient
from interjudge.agreement.weights import checked_level, ratio_distance
from interjudge.errors import InputError

MAX_RATIO: Final = 20_000  # distinct values at the ratio level: 4e8 distances, a few seconds
_PIECE: Final = 1 << 22


@dataclass(frozen=True)
class Pairable:
    """The scores of items that have at least two: `x` (n,), the row `item` (n,) of each, and `m` (rows,)."""

    x: Floats
    item: NDArray[np.intp]
    m: Floats

    def within(self, x: Floats) -> Floats:
        """Sum over an item's unordered pairs of (x_i - x_j)^2, divided by m - 1, (rows,)."""
        mean = np.bincount(self.item, x, self.m.size) / np.maximum(self.m, 1)
        squares = np.bincount(self.item, (x - mean[self.item]) ** 2, self.m.size)
        return np.asarray(squares * self.m / np.maximum(self.m - 1, 1), dtype=np.float64)

    def per_item(self, x: Floats) -> Floats:
        """Sum over each item's scores of x (n,), (rows,)."""
        return np.asarray(np.bincount(self.item, x, self.m.size), dtype=np.float64)


Formula = Callable[[Sums], Floats]


def pairable(scores: Floats) -> Pairable:
    """The pairable scores of (N, J), items in order."""
    given = ~np.isnan(scores)
    m = given.sum(axis=1)
    keep = given & (m >= 2)[:, None]
    item, _ = np.nonzero(keep)
    return Pairable(scores[keep], item, np.where(m >= 2, m, 0).astype(np.float64))


def score_features(data: Pairable, level: str) -> tuple[dict[str, Floats], Formula]:
    """Per-item features (rows,) and the formula of alpha on their sums. `data` must hold two distinct values."""
    if level == "interval":
        return _interval(data)
    return _ordinal(data) if level == "ordinal" else _ratio(data)


def _interval(data: Pairable) -> tuple[dict[str, Floats], Formula]:
    x = (data.x - data.x.mean()) / data.x.std()
    features = {
        "m": data.m,
        "within": data.within(x),
        "x": data.per_item(x),
        "x2": data.per_item(x**2),
    }

    def formula(sums: Sums) -> Floats:
        n = sums["m"]
        expected = n * sums["x2"] - sums["x"] ** 2
        # standardised scores: n^2 for the whole set, so this is the rounding of a constant replicate
        return corrected((n - 1) * sums["within"], np.where(expected > 1e-9 * n**2, expected, 0.0))

    return features, formula


def _ordinal(data: Pairable) -> tuple[dict[str, Floats], Formula]:
    n = data.x.size
    order = np.argsort(data.x, kind="stable")
    ordered = data.x[order]
    start = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    size = np.diff(np.append(start, n))
    tie = np.empty(n, dtype=np.intp)
    tie[order] = np.repeat(np.arange(start.size), size)
    rank = ((start + size / 2) / n)[tie]  # mid-distribution function, in (0, 1)

    def raised(slope: Floats) -> Floats:
        """How much one more score at each place adds to a sum, through the ranks of the scores above it (and
        half those level with it), when `slope` is that sum's derivative by each rank."""
        level = np.bincount(tie, slope, start.size)
        return np.asarray((np.cumsum(level[::-1])[::-1] - level / 2)[tie])

    # D_o = sum of within / n and D_e = sum of rank^2 / n - 1/4, both with ranks relative to n
    m = data.m[data.item]
    row_rank = data.per_item(rank)
    slope = 2 * (m * rank - row_rank[data.item]) / (m - 1)
    within = data.within(rank)
    observed, squares = within.sum() / n, (rank**2).sum() / n
    features = {
        "observed": (within + data.per_item(raised(slope)) / n) / n - 3 * observed * data.m / n,
        "expected": (data.per_item(rank**2) + data.per_item(raised(2 * rank)) / n) / n - 3 * squares * data.m / n,
    }
    return features, _linear(observed, squares - 0.25, n)


def _ratio(data: Pairable) -> tuple[dict[str, Floats], Formula]:
    n = data.x.size
    value, place, count = np.unique(data.x, return_inverse=True, return_counts=True)
    mean = np.empty(value.size)
    step = max(1, _PIECE // value.size)
    for at in range(0, value.size, step):
        piece = value[at : at + step, None]
        mean[at : at + step] = ratio_distance(piece, value[None, :]) @ count / n
    distance = mean[place]
    within = _ratio_within(data)
    observed, expected = within.sum() / n, distance.sum() / n / 2
    features = {
        "observed": within / n - observed * data.m / n,
        "expected": data.per_item(distance) / n - 2 * expected * data.m / n,
    }
    return features, _linear(observed, expected, n)


def _ratio_within(data: Pairable) -> Floats:
    """Sum over an item's unordered pairs of the ratio distance, divided by m - 1, (rows,)."""
    total = np.zeros(data.m.size)
    # items stand together in `item`: the scores `shift` places on belong to the same item or to none
    for shift in range(1, int(data.m.max(initial=0))):
        same = data.item[shift:] == data.item[:-shift]
        pairs = ratio_distance(data.x[shift:][same], data.x[:-shift][same])
        total += np.bincount(data.item[shift:][same], pairs, data.m.size)
    return np.asarray(total / np.maximum(data.m - 1, 1))


def _linear(observed: float, expected: float, n: int) -> Formula:
    """Alpha from both disagreements plus their first-order changes, whose sum over the sample is 0."""

    def formula(sums: Sums) -> Floats:
        return corrected((n - 1) / n * (observed + sums["observed"]), np.maximum(expected + sums["expected"], 0.0))

    return formula


def score_units(features: dict[str, Floats], keep: NDArray[Any], clusters: NDArray[Any] | None, seed: int) -> Units:
    """Per-item features (rows,) summed over sampling units; `keep` (rows,) marks the items with a pair."""
    matrix, layout = pack({name: column[keep] for name, column in features.items()})
    assignment = assign(matrix.shape[0], None if clusters is None else clusters[keep], seed=seed)
    return Units(_summed(matrix, assignment), np.ones(assignment.size, dtype=np.int64), layout, assignment.kind)


def _summed(matrix: Floats, assignment: Assignment) -> Floats:
    if assignment.index is None:
        return matrix
    columns = [np.bincount(assignment.index, column, assignment.size) for column in matrix.T]
    return np.column_stack(columns)


def score_alpha_point(scores: Floats, *, level: str = "interval") -> float | None:
    """Krippendorff's alpha of scores (N, J), NaN none, without an interval; None where it is undefined."""
    return score_coefficients(scores, level=level, replicates=0)[0].value


def score_coefficients(
    scores: Floats,
    *,
    level: str = "interval",
    clusters: NDArray[Any] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[Coefficient]:
    """Krippendorff's alpha of continuous scores (N, J), NaN none, at the ordinal, interval or ratio level.

    Undefined at the ratio level for negative scores and for more than MAX_RATIO distinct ones.

    Raises
    ------
    InputError : the nominal or an unknown level, infinite scores, clusters of another length.
    """
    _checked(scores, level)
    data = pairable(scores)
    keep = data.m >= 2
    n = int(keep.sum())
    words = PAIRABLE if level == "interval" or not replicates else f"{PAIRABLE}; replicates linearised"
    problem = panel_problem(scores.shape[0], scores.shape[1], n) or _score_problem(data, level)
    if problem:
        return [Coefficient(name="krippendorff_alpha", level=level, method=words, n=n, undefined=problem)]
    features, formula = score_features(data, level)
    units = score_units(features, keep, clusters, seed)
    total = units.totals()
    drawn = Resampler(units.weight, replicates, seed).sums(units.features)
    value, spread, left = (formula(units.named(sums))[..., None] for sums in (total, drawn, total - units.features))
    low, high = bca_interval(value, spread, left, units.weight, units.size, confidence)
    if value[0] >= 1 - ZERO and replicates:
        low, high = _floor(data, n if clusters is None else units.size, confidence), value
    how = f"BCa bootstrap, {replicates} replicates of {units.kind}" if replicates else "no interval"
    found = estimate(float(value[0]), float(low[0]), float(high[0]), n, ONE_CATEGORY)
    return [Coefficient(name="krippendorff_alpha", level=level, method=f"{words}; {how}", **found.model_dump())]


def _checked(scores: Floats, level: str) -> None:
    if checked_level(level) == "nominal":
        raise InputError("scores have no nominal level", expected="ordinal, interval or ratio")
    if scores.ndim != 2:
        raise InputError("scores are not a table", found=f"{scores.ndim} axes", expected="(items, judges)")
    if np.isinf(scores).any():
        raise InputError("a score is infinite", expected="finite numbers, NaN for none")


def _score_problem(data: Pairable, level: str) -> str | None:
    if data.x.min() == data.x.max():
        return ONE_CATEGORY
    if level == "ratio" and data.x.min() < 0:
        return NEGATIVE_RATIO
    if level == "ratio" and np.unique(data.x).size > MAX_RATIO:
        return f"ratio level takes at most {MAX_RATIO} distinct scores"
    return None


def _floor(data: Pairable, units: int, confidence: float) -> Floats:
    """The lower bound where no two scores of an item differ: Wilson's for the share of such items, over the
    chance that two scores differ at all."""
    share = np.unique(data.x, return_counts=True)[1] / data.x.size
    room = 1 - wilson(1.0, float(units), confidence)[0]
    return np.atleast_1d(1 - room / (1 - (share**2).sum()))
