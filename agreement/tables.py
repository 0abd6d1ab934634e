"""K x K tables of two judges, all pairs at once, and any function of such a table with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.counts import Assignment, Codes, Floats, assign, blocks, checked
from interjudge.agreement.degenerate import NEVER_VARIES, NO_PAIRS, ONE_CATEGORY, ZERO
from interjudge.agreement.intervals import Resampler, bca_interval, estimate, wilson
from interjudge.agreement.results import Estimate

# A statistic of tables (..., K, K), rows the first judge: (...), NaN where it does not exist.
Formula = Callable[[Floats], Floats]

_GRAM_LABELS: Final = 8  # up to this many labels one matrix product counts all pairs faster than one pass a pair
_BUDGET: Final = 1 << 23  # numbers held at a time
_MIN_UNITS: Final = 512  # what is left of the units where a panel has very many judges


@dataclass(frozen=True)
class TableSums:
    """Tables of P pairs: `total` (P, K, K), `replicates` (B, P, K, K), and what a jackknife needs.

    `left` (U, P, K, K) are the totals with one unit of row u left out, `weight` (U, P) how many units such a
    row stands for, `units` (P,) how many there are; `share`: (U, P, K, K) tables of the units themselves where
    they were counted one by one, else None and every item is a unit; `kind` says in words what a unit is.
    """

    total: Floats
    replicates: Floats
    left: Floats
    weight: NDArray[Any]
    units: Floats
    share: Floats | None
    kind: str


def pair_tables(codes: Codes, k: int, pairs: Sequence[tuple[int, int]]) -> Floats:
    """How often judge a gave label c and judge b label d to the same item: (P, K, K)."""
    n_judges = codes.shape[1]
    if k > _GRAM_LABELS or len(pairs) * 10 < n_judges * (n_judges - 1):
        whole = Assignment(np.zeros(codes.shape[0], dtype=np.intp), 1, "all")
        return np.stack([unit_tables(codes, k, a, b, whole)[0] for a, b in pairs]) if pairs else np.empty((0, k, k))
    gram = np.zeros((n_judges * k, n_judges * k))
    labels = np.arange(k, dtype=codes.dtype)
    for _, block in blocks(codes):
        # single precision is exact here: a block has fewer than 2^24 items
        given = (block[:, :, None] == labels).astype(np.float32).reshape(block.shape[0], -1)
        gram += given.T @ given
    cells = gram.reshape(n_judges, k, n_judges, k)
    a, b = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    return cells[a, :, b, :]


def unit_tables(codes: Codes, k: int, a: int, b: int, assignment: Assignment) -> Floats:
    """The table of one pair within each unit, (U, K, K)."""
    kind = np.int32 if k > 100 else np.int16
    none = k * k  # a cell of its own for "one of them gave no verdict"
    row: NDArray[Any] = codes[:, a].astype(kind)
    column: NDArray[Any] = codes[:, b].astype(kind)
    cell = np.where((row < 0) | (column < 0), none, row * k + column)
    size = assignment.size
    unit = np.arange(size) if assignment.index is None else assignment.index
    table = np.bincount(unit * (none + 1) + cell, minlength=size * (none + 1)).reshape(size, none + 1)
    return table[:, :none].astype(np.float64).reshape(size, k, k)


def sums_of_items(table: Floats, replicates: int, seed: int) -> TableSums:
    """One pair's table (K, K), resampled item by item: its cells are all there is to draw from.

    A pair's replicates depend on its table and the seed alone, not on the other judges of the panel.
    """
    k = table.shape[0]
    flat = table.ravel()
    used = np.flatnonzero(flat)
    weight = flat[used].astype(np.int64)
    drawn = np.zeros((replicates, k * k))
    drawn[:, used] = Resampler(weight, replicates, seed).sums(np.eye(used.size))
    left = np.repeat(flat[None, :], used.size, axis=0)
    left[np.arange(used.size), used] -= 1
    shape = (-1, 1, k, k)
    n = np.array([flat.sum()])
    return TableSums(table[None], drawn.reshape(shape), left.reshape(shape), weight[:, None], n, None, "items")


def sums_of_units(share: Floats, resampler: Resampler, kind: str) -> TableSums:
    """Tables (U, P, K, K) of clusters or groups, resampled together."""
    total = share.sum(axis=0)
    drawn = resampler.sums(share.reshape(share.shape[0], -1)).reshape(-1, *total.shape)
    present = share.sum(axis=(2, 3)) > 0
    return TableSums(total, drawn, total - share, present, present.sum(axis=0).astype(np.float64), share, kind)


def every_table(
    codes: Codes,
    k: int,
    pairs: Sequence[tuple[int, int]],
    *,
    clusters: NDArray[Any] | None,
    replicates: int,
    seed: int,
    together: bool = False,
) -> Iterator[tuple[list[int], TableSums]]:
    """Which of the pairs, and their sums, a few pairs at a time. Pairs that share no item are left out.

    `together`: resample the same items for all pairs, for statistics of several pairs at once.
    """
    tables = pair_tables(codes, k, pairs)
    shared = [int(p) for p in np.flatnonzero(tables.sum(axis=(1, 2)))]
    if clusters is None and not together:
        for p in shared:
            yield [p], sums_of_items(tables[p], replicates, seed)
        return
    width = max(1, len(shared)) * k * k
    units = max(_MIN_UNITS, min(10_000, _BUDGET // width)) if together else 10_000
    assignment = assign(codes.shape[0], clusters, seed=seed, max_units=units, groups=min(units, 4096))
    resampler = Resampler(np.ones(assignment.size, dtype=np.int64), replicates, seed)
    step = max(1, _BUDGET // (max(assignment.size, replicates) * k * k))
    for start in range(0, len(shared), step):
        some = shared[start : start + step]
        share = np.stack([unit_tables(codes, k, *pairs[p], assignment) for p in some], axis=1)
        yield some, sums_of_units(share, resampler, assignment.kind)


def apply(formula: Formula, sums: TableSums, confidence: float) -> tuple[Floats, Floats, Floats]:
    """Value, low and high of a statistic for each pair, (P,).

    Two judges who never differ would have an interval of no width. Theirs reaches down to the statistic of the
    table in which they differ as often as Wilson's lower bound for their agreement allows, each difference
    falling where independent judges of the same marginals would differ.
    """
    value = formula(sums.total)
    low, high = bca_interval(value, formula(sums.replicates), formula(sums.left), sums.weight, sums.units, confidence)
    n = sums.total.sum(axis=(1, 2))
    same = np.trace(sums.total, axis1=1, axis2=2) >= n - ZERO
    if same.any():
        floor = formula(_worst(sums.total[same], wilson(1.0, sums.units[same], confidence)[0]))
        low[same] = np.where(np.isfinite(value[same]), floor, np.nan)
        high[same] = value[same]
    return value, low, high


def _worst(table: Floats, agreement: Floats) -> Floats:
    k = table.shape[-1]
    share = np.diagonal(table, axis1=1, axis2=2) / table.sum(axis=(1, 2))[:, None]
    apart = share[:, :, None] * share[:, None, :] * (1 - np.eye(k))
    total = apart.sum(axis=(1, 2))[:, None, None]
    apart = np.divide(apart, total, out=np.zeros_like(apart), where=total > 0)
    together = share[:, :, None] * np.eye(k)
    bound = agreement[:, None, None]
    return np.asarray(bound * together + (1 - bound) * apart)


def table_problem(table: Floats) -> str:
    """Why a chance-corrected statistic of a table (K, K) does not exist."""
    rows, columns = table.sum(axis=1) > 0, table.sum(axis=0) > 0
    if not rows.any():
        return NO_PAIRS
    return ONE_CATEGORY if (rows | columns).sum() < 2 else NEVER_VARIES


def table_estimates(
    formulas: Mapping[str, Formula],
    codes_a: NDArray[Any],
    codes_b: NDArray[Any],
    k: int,
    *,
    clusters: NDArray[Any] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    reasons: Mapping[str, str] | None = None,
) -> dict[str, Estimate]:
    """Any functions of the table of two judges (rows `codes_a`, columns `codes_b`), each with its interval.

    codes_a, codes_b : (N,) integers, -1 none; formulas : name -> function of tables (..., K, K) giving (...),
    NaN where undefined; reasons : name -> the words for that, instead of those of `table_problem`.
    """
    codes = checked(np.column_stack([codes_a, codes_b]), k)
    options: Any = {"clusters": clusters, "replicates": replicates, "seed": seed}
    found = [sums for _, sums in every_table(codes, k, [(0, 1)], **options)]
    if not found:
        return {name: Estimate(n=0, undefined=NO_PAIRS) for name in formulas}
    sums = found[0]
    n = int(sums.total.sum())
    problem = table_problem(sums.total[0])
    answers = {}
    for name, formula in formulas.items():
        value, low, high = (float(x[0]) for x in apply(formula, sums, confidence))
        answers[name] = estimate(value, low, high, n, (reasons or {}).get(name, problem))
    return answers


def table_estimate(
    formula: Formula, codes_a: NDArray[Any], codes_b: NDArray[Any], k: int, *, reason: str | None = None, **options: Any
) -> Estimate:
    """One function of a table; the options are those of `table_estimates`."""
    reasons = None if reason is None else {"value": reason}
    return table_estimates({"value": formula}, codes_a, codes_b, k, reasons=reasons, **options)["value"]
