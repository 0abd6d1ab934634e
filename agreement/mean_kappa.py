"""The mean of Cohen's kappa over all pairs of a panel, with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.counts import Assignment, Codes, Floats, assign, blocks, one_hot, ratio
from interjudge.agreement.degenerate import ZERO
from interjudge.agreement.intervals import Resampler, bca_interval
from interjudge.agreement.pairwise import cohen_kappa
from interjudge.agreement.tables import pair_tables

_BUDGET: Final = 1 << 21  # table cells of all units together
# With more table cells than this (46 judges with two labels, 13 with seven) replicates are linearised: fewer
# than 512 units would be left.
_WIDE: Final = 4_096
_PASS: Final = 400_000  # multiplications in the time that starting one pass over the items takes

Interval = tuple[float, float, float]


def mean_kappa(
    codes: Codes,
    k: int,
    weights: Mapping[str, Floats],
    *,
    clusters: NDArray[Any] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[dict[str, Interval], str]:
    """Mean over all pairs of Cohen's kappa with each set of weights (K, K), 1 on the diagonal.

    Answers (value, low, high) by the weights' name, and what was resampled: the same items for all pairs. A
    pair whose kappa is undefined, in the panel or in a replicate, is left out of that mean.
    """
    pairs = list(combinations(range(codes.shape[1]), 2))
    tables = pair_tables(codes, k, pairs)[0]
    shared = [p for p, size in zip(pairs, tables.sum(axis=(1, 2)), strict=True) if size]
    if not shared:
        return dict.fromkeys(weights, (np.nan, np.nan, np.nan)), "items"
    tables = tables[tables.sum(axis=(1, 2)) > 0]
    width = tables.size
    units = 10_000 if width > _WIDE else min(10_000, _BUDGET // width)
    assignment = assign(codes.shape[0], clusters, seed=seed, max_units=units, groups=min(units, 4096))
    resampler = Resampler(np.ones(assignment.size, dtype=np.int64), replicates, seed)
    found: dict[str, tuple[Floats, ...]]
    if width > _WIDE:
        found = {name: _linearised(tables, w, codes, shared, assignment, resampler) for name, w in weights.items()}
        kind = f"{assignment.kind}, linearised"
    else:
        share = pair_tables(codes, k, shared, assignment)
        drawn = resampler.sums(share.reshape(assignment.size, tables.size)).reshape(replicates, *tables.shape)
        parts = (tables, drawn, tables - share)
        found = {name: tuple(_mean(cohen_kappa(part, w)) for part in parts) for name, w in weights.items()}
        kind = assignment.kind
    answers: dict[str, Interval] = {}
    for name, values in found.items():
        value, replicate, left = (v[..., None] for v in values)
        low, high = bca_interval(value, replicate, left, resampler.weight, assignment.size, confidence)
        answers[name] = (float(value[0]), float(low[0]), float(high[0]))
    return answers, kind


def _mean(values: Floats) -> Floats:
    """Mean of the defined ones along the last axis."""
    defined = np.isfinite(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def _linearised(
    tables: Floats,
    weights: Floats,
    codes: Codes,
    pairs: list[tuple[int, int]],
    assignment: Assignment,
    resampler: Resampler,
) -> tuple[Floats, Floats, Floats]:
    """Value, replicates and leave-one-out values where each item's influence on the mean is taken to add up."""
    value = cohen_kappa(tables, weights)
    slope = _influence(tables, weights) / max(int(np.isfinite(value).sum()), 1)
    per_item = _summed(slope, codes, pairs)
    index = assignment.index
    per_unit: Floats = per_item if index is None else np.bincount(index, per_item, assignment.size).astype(np.float64)
    mean = _mean(value)
    return mean, mean + resampler.sums(per_unit[:, None])[:, 0], mean - per_unit


def _summed(slope: Floats, codes: Codes, pairs: list[tuple[int, int]]) -> Floats:
    """For each item the sum over pairs of the slope (P, K, K) of its cell, (N,)."""
    n_items, n_judges = codes.shape
    k = slope.shape[-1]
    found = np.zeros(n_items)
    width = n_judges * k
    # a pass for each pair, or one product of the width of all judges' labels: whichever is less work
    if n_items * width**2 > len(pairs) * (_PASS + 200 * n_items):
        for (a, b), own in zip(pairs, slope, strict=True):
            both = (codes[:, a] >= 0) & (codes[:, b] >= 0)
            found[both] += own[codes[both, a], codes[both, b]]
        return found
    a, b = np.array(pairs).T
    whole = np.zeros((n_judges, k, n_judges, k))
    whole[a, :, b, :] = slope
    for place, block in blocks(codes):
        given = one_hot(block, k).astype(np.float64)
        found[place] = ((given @ whole.reshape(width, width)) * given).sum(axis=1)
    return found


def _influence(tables: Floats, weights: Floats) -> Floats:
    """The derivative of kappa by the weight of one item, by its cell: (P, K, K), 0 where kappa is undefined.

    kappa = 1 - o / e with o = sum p_cd d_cd and e = sum r_c s_d d_cd, d = 1 - w, r and s the marginals.
    """
    n = tables.sum(axis=(1, 2), keepdims=True)
    p, d = tables / n, 1 - weights
    row, column = p.sum(axis=2), p.sum(axis=1)
    observed = (p * d).sum(axis=(1, 2))[:, None, None]
    by_row, by_column = column @ d.T, row @ d
    expected = (by_row * row).sum(axis=1)[:, None, None]
    slope = -ratio(d, expected, ZERO) + ratio(observed, expected**2, ZERO**2) * (
        by_row[:, :, None] + by_column[:, None, :]
    )
    return np.asarray(np.nan_to_num(slope - (p * slope).sum(axis=(1, 2), keepdims=True)) / n)
