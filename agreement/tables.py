"""K x K tables of two judges, all pairs at once, and any function of such a table with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from interjudge.agreement.counts import Assignment, Codes, Floats, assign, blocks, checked, one_hot, ratio
from interjudge.agreement.degenerate import NEVER_VARIES, NO_PAIRS, ONE_CATEGORY, ZERO
from interjudge.agreement.intervals import Resampler, bca_interval, estimate, wilson
from interjudge.agreement.results import Estimate

# A statistic of tables (..., K, K), rows the first judge: (...), NaN where it does not exist.
Formula = Callable[[Floats], Floats]

_JOINT: Final = 1 << 17  # cells of a joint table: its counters stay in the cache
_ALL_JOINT: Final = 1 << 20  # cells of the joint tables of all units together
_BUDGET: Final = 1 << 23  # numbers held at a time
_MANY_PAIRS: Final = 2_000  # from here on one matrix product is faster than counting group by group
_MAX_PRODUCT: Final = 1 << 26  # cells of that product
_SPARSE: Final = 20  # one verdict in so many cells: below, crowds of workers who judge a few items each


@dataclass(frozen=True)
class TableSums:
    """Tables of P pairs: `total` (P, K, K), `replicates` (B, P, K, K), and what a jackknife needs.

    share : (U, P, K, K), the tables of the sampling units where these were counted one by one; None where every
    item is a unit, so that the cells of the total are all there is. weight : (U, P) how many units stand in a
    row of the jackknife; units : (P,) how many there are.
    """

    total: Floats
    replicates: Floats
    share: Floats | None
    cells: NDArray[np.intp]
    weight: NDArray[Any]
    units: Floats

    def leave_one_out(self, formula: Formula) -> Floats:
        """The statistic without one unit of each row of `weight`, (U, P)."""
        if self.share is not None:
            return formula(self.total - self.share)
        step = max(1, _BUDGET // self.total.size)
        pieces = (self.cells[at : at + step] for at in range(0, self.cells.size, step))
        return np.concatenate([formula(self._without(cells)) for cells in pieces])

    def _without(self, cells: NDArray[np.intp]) -> Floats:
        left = np.repeat(self.total.reshape(1, self.total.shape[0], -1), cells.size, axis=0)
        left[np.arange(cells.size), :, cells] -= 1
        return left.reshape(cells.size, *self.total.shape)


def pair_tables(
    codes: Codes,
    k: int,
    pairs: Sequence[tuple[int, int]],
    assignment: Assignment | None = None,
    weight: Floats | None = None,
) -> Floats:
    """How often judge a gave label c and judge b label d to the same item, within each unit: (U, P, K, K).

    Without an assignment all items are one unit; with `weight` (N,) an item counts as that many. Several judges are
    counted at once: their joint table, with a cell for "no verdict", holds the tables of all pairs among them as its
    margins.
    """
    n_items, n_judges = codes.shape
    if assignment is None and weight is None and len(pairs) > _MANY_PAIRS and (n_judges * k) ** 2 <= _MAX_PRODUCT:
        return _product_tables(codes, k, pairs)
    units = 1 if assignment is None else assignment.size
    found = np.zeros((units, len(pairs), k, k))
    base = k + 1
    most = max(base**2, min(_JOINT, n_items, _ALL_JOINT // max(units, 1)))
    group = max(g for g in range(1, n_judges + 1) if g == 1 or base ** (2 * g) <= most)
    wanted: dict[tuple[int, int], list[int]] = {}
    for p, (a, b) in enumerate(pairs):
        first, second = sorted((a // group, b // group))
        if first == second:  # a pair of one group is a margin of the joint table with any other
            first, second = (0, 1) if first == 0 and n_judges > group else (0, first)
        wanted.setdefault((first, second), []).append(p)
    joint = {g: _joint(codes, base, range(g * group, min((g + 1) * group, n_judges))) for g in {*sum(wanted, ())}}
    index = None if assignment is None else assignment.index
    if assignment is not None and index is None:
        index = np.arange(n_items)
    for (first, second), some in wanted.items():
        judges = _judges_of(first, second, group, n_judges)
        width = base ** len(judges)
        key = joint[first] if first == second else joint[first] + joint[second] * base**group
        cell = key if index is None else index * width + key
        table = np.bincount(cell, weight, minlength=units * width).reshape(units, *[base] * len(judges))
        for p in some:
            found[:, p] = _margin(table, [judges.index(judge) for judge in pairs[p]])
    return found


def _product_tables(codes: Codes, k: int, pairs: Sequence[tuple[int, int]]) -> Floats:
    """The same for very many pairs, (1, P, K, K): one product of what every judge said with itself."""
    n_items, n_judges = codes.shape
    width = n_judges * k
    item, judge = np.nonzero(codes >= 0)
    if item.size * _SPARSE < codes.size:
        column = judge * k + codes[item, judge]
        said = sparse.csr_array((np.ones(item.size), (item, column)), shape=(n_items, width))
        both = (said.T @ said).toarray()
    else:
        both = np.zeros((width, width))
        for _, block in blocks(codes):
            given = one_hot(block, k)
            both += given.T @ given  # exact in single precision: a block has fewer than 2^24 items
    a, b = np.array(pairs).T
    return np.asarray(both.reshape(n_judges, k, n_judges, k)[a, :, b, :][None], dtype=np.float64)


def _judges_of(first: int, second: int, group: int, n_judges: int) -> list[int]:
    return [judge for g in dict.fromkeys((first, second)) for judge in range(g * group, min((g + 1) * group, n_judges))]


def _joint(codes: Codes, base: int, judges: range) -> NDArray[np.int32]:
    """Several judges' verdicts on each item as one number, 0 a missing one; the first judge counts least."""
    key = np.zeros(codes.shape[0], dtype=np.int32)
    for place, judge in enumerate(judges):
        key += (codes[:, judge].astype(np.int32) + 1) * np.int32(base**place)
    return key


def _margin(table: NDArray[Any], at: list[int]) -> NDArray[Any]:
    """The table of two of the judges, in the order of `at`, where both gave a verdict: (U, K, K)."""
    axes = [table.ndim - 1 - place for place in at]  # the first judge counts least: it is the last axis
    rest = tuple(axis for axis in range(1, table.ndim) if axis not in axes)
    two = table.sum(axis=rest) if rest else table
    return (two if axes[0] < axes[1] else two.swapaxes(1, 2))[:, 1:, 1:]


def sums_of_items(tables: Floats, replicates: int, seed: int) -> TableSums:
    """Tables (P, K, K), each resampled item by item: its cells are all there is to draw from.

    A pair's replicates depend on its table and the seed alone, not on the other judges of the panel.
    """
    flat = tables.reshape(tables.shape[0], -1)
    drawn = np.zeros((replicates, *flat.shape))
    for p, counts in enumerate(flat):
        used = np.flatnonzero(counts)
        drawn[:, p, used] = Resampler(counts[used].astype(np.int64), replicates, seed).drawn()
    cells = np.flatnonzero(flat.any(axis=0))
    return TableSums(tables, drawn.reshape(replicates, *tables.shape), None, cells, flat[:, cells].T, flat.sum(axis=1))


def sums_of_units(share: Floats, resampler: Resampler, *, weighted: bool = False) -> TableSums:
    """Tables (U, P, K, K) of clusters or groups, resampled together; `weighted` as for `intervals.mean_wilson`."""
    total = share.sum(axis=0)
    drawn = resampler.sums(share.reshape(share.shape[0], total.size)).reshape(resampler.replicates, *total.shape)
    present = share.sum(axis=(2, 3)) > 0
    none = np.empty(0, dtype=np.intp)
    units = present.sum(axis=0).astype(np.float64)
    if weighted:
        size = share.sum(axis=(2, 3))
        units = np.nan_to_num(ratio(size.sum(axis=0) ** 2, (size**2).sum(axis=0)))
    return TableSums(total, drawn, share, none, present, units)


def every_table(
    codes: Codes,
    k: int,
    pairs: Sequence[tuple[int, int]],
    *,
    clusters: NDArray[Any] | None,
    replicates: int,
    seed: int,
    weight: Floats | None = None,
) -> Iterator[tuple[list[int], TableSums]]:
    """Which of the pairs, and their sums, a few pairs at a time. Pairs that share no item are left out.

    weight : (N,) design weights of the items; those of weight 0 must have no verdict.
    """
    tables = pair_tables(codes, k, pairs)[0]
    shared = [int(p) for p in np.flatnonzero(tables.sum(axis=(1, 2)))]
    every_item = clusters is None and weight is None
    assignment = None if every_item else assign(codes.shape[0], clusters, seed=seed)
    rows = max(replicates, 1 if assignment is None else assignment.size)
    step = max(1, _BUDGET // (rows * k * k))
    if assignment is not None:
        resampler = Resampler(np.ones(assignment.size, dtype=np.int64), replicates, seed)
    for start in range(0, len(shared), step):
        some = shared[start : start + step]
        if assignment is None:
            yield some, sums_of_items(tables[some], replicates, seed)
        else:
            share = pair_tables(codes, k, [pairs[p] for p in some], assignment, weight)
            yield some, sums_of_units(share, resampler, weighted=weight is not None)


def apply(formula: Formula, sums: TableSums, confidence: float) -> tuple[Floats, Floats, Floats]:
    """Value, low and high of a statistic for each pair, (P,).

    Two judges who never differ would have an interval of no width. Theirs reaches down to the statistic of the
    table in which they differ as often as Wilson's lower bound for their agreement allows, each difference
    falling where independent judges of the same marginals would differ.
    """
    value = formula(sums.total)
    replicates, left = formula(sums.replicates), sums.leave_one_out(formula)
    low, high = bca_interval(value, replicates, left, sums.weight, sums.units, confidence)
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
    weight: Floats | None = None,
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
    if weight is not None:  # only items that both judged are worth resampling
        both = (codes >= 0).all(axis=1) & (weight > 0)
        codes, weight = codes[both], weight[both]
        clusters = None if clusters is None else clusters[both]
    options: Any = {"clusters": clusters, "weight": weight, "replicates": replicates, "seed": seed}
    found = [sums for _, sums in every_table(codes, k, [(0, 1)], **options)]
    if not found:
        return {name: Estimate(n=0, undefined=NO_PAIRS) for name in formulas}
    sums = found[0]
    n = int((codes >= 0).all(axis=1).sum())
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
