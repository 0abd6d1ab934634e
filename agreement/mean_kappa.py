"""The mean of a two-judge statistic over all pairs of a panel, with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.counts import Assignment, Codes, Floats, assign, blocks, ratio
from interjudge.agreement.intervals import Resampler, bca_interval
from interjudge.agreement.tables import Formula, pair_tables

_BUDGET: Final = 1 << 21  # table cells of all units together
# With more table cells than this (52 judges with two labels, 19 with seven) replicates are linearised.
_WIDE: Final = 8_192

Interval = tuple[float, float, float]


def mean_kappa(
    codes: Codes,
    k: int,
    formulas: Mapping[str, Formula],
    *,
    clusters: NDArray[Any] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[dict[str, Interval], str]:
    """Mean over all pairs of statistics of a table: (value, low, high) by name, and what was resampled.

    The same items are resampled for all pairs. A pair for which the statistic is undefined, in the panel or in
    a replicate, is left out of that mean.
    """
    pairs = list(combinations(range(codes.shape[1]), 2))
    tables = pair_tables(codes, k, pairs)[0]
    shared = [p for p, size in zip(pairs, tables.sum(axis=(1, 2)), strict=True) if size]
    if not shared:
        return dict.fromkeys(formulas, (np.nan, np.nan, np.nan)), "items"
    tables = tables[tables.sum(axis=(1, 2)) > 0]
    width = tables.size
    units = 10_000 if width > _WIDE else min(10_000, _BUDGET // width)
    assignment = assign(codes.shape[0], clusters, seed=seed, max_units=units, groups=min(units, 4096))
    resampler = Resampler(np.ones(assignment.size, dtype=np.int64), replicates, seed)
    if width > _WIDE:
        found = {name: _linearised(f, tables, codes, k, shared, assignment, resampler) for name, f in formulas.items()}
        kind = f"{assignment.kind}, linearised"
    else:
        share = pair_tables(codes, k, shared, assignment)
        drawn = resampler.sums(share.reshape(assignment.size, -1)).reshape(-1, *tables.shape)
        left = tables - share
        found = {name: (_mean(f(tables)), _mean(f(drawn)), _mean(f(left))) for name, f in formulas.items()}
        kind = assignment.kind
    answers = {}
    for name, parts in found.items():
        value, replicate, left = (part[..., None] for part in parts)
        low, high = bca_interval(value, replicate, left, resampler.weight, assignment.size, confidence)
        answers[name] = (float(value[0]), float(low[0]), float(high[0]))
    return answers, kind


def _mean(values: Floats) -> Floats:
    """Mean of the defined ones along the last axis."""
    defined = np.isfinite(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def _linearised(
    formula: Formula,
    tables: Floats,
    codes: Codes,
    k: int,
    pairs: list[tuple[int, int]],
    assignment: Assignment,
    resampler: Resampler,
) -> tuple[Floats, Floats, Floats]:
    """Value, replicates and leave-one-out values where each item's influence is taken to add up.

    The influence of an item on a pair's statistic is what leaving out one item of its cell changes (the
    jackknife's); on the mean, the mean of that over the pairs in which the statistic is defined.
    """
    value = formula(tables)
    defined = np.isfinite(value)
    slope = np.zeros((codes.shape[1], k, codes.shape[1], k))
    a, b = np.array(pairs).T
    for c, d in np.ndindex(k, k):
        less = tables.copy()
        less[:, c, d] -= 1
        change = np.where((less[:, c, d] >= 0) & defined, value - formula(np.maximum(less, 0)), 0.0)
        slope[a, c, b, d] = np.nan_to_num(change) / max(int(defined.sum()), 1)
    influence = np.zeros(codes.shape[0])
    flat = slope.reshape(codes.shape[1] * k, -1)
    for place, block in blocks(codes):
        given = (block[:, :, None] == np.arange(k)).reshape(block.shape[0], -1).astype(np.float64)
        influence[place] = ((given @ flat) * given).sum(axis=1)
    index = assignment.index
    per_unit = influence if index is None else np.bincount(index, influence, assignment.size)
    per_unit -= per_unit.mean()  # what all units share is no deviation
    mean = _mean(value)
    return mean, mean + resampler.sums(per_unit[:, None])[:, 0], mean - per_unit
