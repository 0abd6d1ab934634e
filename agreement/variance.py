"""Where the variance of verdicts comes from: a generalisability study of models, items, judges and repeats.

The model of one verdict, all effects random with mean 0 and independent:

    y = mu + model_m + item_i(m) + judge_j + (judge x model)_jm + (item x judge)_ij + residual_r

Components by Henderson's (1953) method I, in generalisability theory the "analogous ANOVA" of Brennan (2001,
chapter 7): with T(a) = sum over the levels of a of (sum of y)^2 / n, each T(a) is set equal to its expectation,
which is linear in mu^2 and the components. In balanced data these are the ANOVA estimates. They need only sums,
so every bootstrap replicate is a weighted sum of what was counted once. An item drawn w times is one item of
weight w, in T and in its expectation: as w different items it would bring its one residual w times and be taken for
a difference between judges (Brennan 2001, chapter 6, on the bias of such replicates).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.counts import Assignment, Floats, assign, blocks, dense
from interjudge.agreement.degenerate import NO_ITEMS, ONE_CATEGORY, ONE_JUDGE, ZERO
from interjudge.agreement.intervals import Resampler, bca_interval, estimate
from interjudge.agreement.results import Estimate
from interjudge.errors import InputError

ONE_ITEM: Final = "one item"
NOT_SEPARATE: Final = "too few outputs that judges share"
FACETS: Final = ("model", "item", "judge", "judge x model", "item x judge", "residual")

_BUDGET: Final = 1 << 24  # numbers held for all units together
_MIN_UNITS: Final = 256
_CHUNK: Final = 1 << 21  # numbers of replicates held at a time
_SINGULAR: Final = 1e10  # condition from which the components are not told apart
_MODEL: Final = ("model", "judge x model")

# An array (N, J) of one asking: integers -1, 0 .. K - 1, or scores with NaN.
Asked = NDArray[Any]
Parts = Mapping[str, Floats]


@dataclass(frozen=True)
class Variances:
    """Components of a single verdict's variance, with their replicates.

    Attributes
    ----------
    facets : names of the F components. unrestricted : (F,) as estimated; `value` (F,) with negative ones set to 0.
    replicates : (B, F); leave_out : (U, F), without one unit; both with negative ones set to 0.
    weight : (U,) ones; units : how many sampling units there are, and `kind` what they are.
    judges_each : judges on an item, harmonic mean. repeats : verdicts of one judge on one item, mean.
    """

    facets: tuple[str, ...]
    unrestricted: Floats
    replicates: Floats
    leave_out: Floats
    units: int
    kind: str
    confidence: float
    n_items: int
    n_judges: int
    n_models: int
    n_verdicts: int
    judges_each: float
    repeats: float
    notes: tuple[str, ...] = ()

    @property
    def value(self) -> Floats:
        return np.maximum(self.unrestricted, 0)

    @property
    def parts(self) -> dict[str, float]:
        return dict(zip(self.facets, self.value.tolist(), strict=True))

    def estimates(self, formula: Callable[[Parts], Floats], reason: str) -> list[Estimate]:
        """Values of `formula` with BCa bootstrap intervals. It takes components by name, each (...), to (..., M);
        NaN is undefined for `reason`."""
        value, drawn, left = (self._of(formula, table) for table in (self.value, self.replicates, self.leave_out))
        weight = np.ones(self.leave_out.shape[0], dtype=np.int64)
        low, high = np.full((2, value.size), np.nan)
        if self.replicates.size:
            low, high = bca_interval(value, drawn, left, weight, self.units, self.confidence)
        rows = zip(value.tolist(), low.tolist(), high.tolist(), strict=True)
        return [estimate(*row, self.n_items, reason) for row in rows]

    def _of(self, formula: Callable[[Parts], Floats], table: Floats) -> Floats:
        return formula({facet: table[..., f] for f, facet in enumerate(self.facets)})


@dataclass(frozen=True)
class Undefined:
    """Why there are no components."""

    why: str


def variance_components(
    asked: Sequence[Asked],
    k: int = 0,
    *,
    positive: int | None = None,
    models: NDArray[np.int64] | None = None,
    clusters: NDArray[np.int64] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Variances | Undefined:
    """Variance components of a panel.

    Parameters
    ----------
    asked : one array (N, J) for each time the judges were asked; all scores, or all codes of `k` labels.
    positive : the label whose indicator 0/1 is studied; None: with two labels either (it is the same), with more the
        sum over the labels' indicators.
    models : (N,) number of each item's model, -1 unknown (a model of its own); None where all are of one.
    clusters : (N,) sampling units of the bootstrap, default the items. The judges and the models stay as they are in
        every replicate: the intervals speak of other items, not of other judges or models.

    Raises
    ------
    InputError : arrays of different shapes.
    """
    first = asked[0]
    if any(a.shape != first.shape for a in asked) or first.ndim != 2:
        raise InputError("repeats do not fit each other", found=[a.shape for a in asked], expected="one shape")
    if first.dtype.kind == "f":
        asked, scale = _standardised(asked)
        wanted: list[int] = [0]
    else:
        scale = 1.0
        wanted = [positive if positive is not None else k - 1] if positive is not None or k <= 2 else list(range(k))
    if (problem := _problem(asked, first.dtype.kind)) is not None:
        return Undefined(problem)
    model, n_models = (np.zeros(first.shape[0], np.intp), 1) if models is None else dense(models)
    settings = (clusters, replicates, seed, confidence, scale)
    found = _components(asked, wanted, model, n_models, *settings)
    if isinstance(found, Undefined) and n_models > 1:
        alone = _components(asked, wanted, np.zeros_like(model), 1, *settings, n_models=n_models)
        if isinstance(alone, Variances):
            words = "models have too few outputs to be told from their outputs: left out of the components"
            return Variances(**{**vars(alone), "notes": (*alone.notes, words)})
    return found


def _problem(asked: Sequence[Asked], kind: str) -> str | None:
    there = [~np.isnan(a) if kind == "f" else a >= 0 for a in asked]
    any_time = there[0] if len(there) == 1 else np.logical_or.reduce(there)
    if not any_time.any():
        return NO_ITEMS
    if np.count_nonzero(any_time.any(axis=0)) < 2:
        return ONE_JUDGE
    if np.count_nonzero(any_time.any(axis=1)) < 2:
        return ONE_ITEM
    values = [(a[t].min(), a[t].max()) for a, t in zip(asked, there, strict=True) if t.any()]
    return ONE_CATEGORY if min(v[0] for v in values) == max(v[1] for v in values) else None


def _standardised(asked: Sequence[Asked]) -> tuple[list[Asked], float]:
    """Scores with mean 0 and variance 1 (far from 0 the sums of squares would lose their digits), and the
    variance taken out."""
    some = np.concatenate([a[~np.isnan(a)] for a in asked])
    if not some.size or some.min() == some.max():
        return list(asked), 1.0
    mean, deviation = some.mean(), some.std()
    return [(a - mean) / deviation for a in asked], float(deviation**2)


def _components(
    asked: Sequence[Asked],
    wanted: Sequence[int],
    model: NDArray[np.intp],
    m: int,
    clusters: NDArray[np.int64] | None,
    replicates: int,
    seed: int,
    confidence: float,
    scale: float,
    n_models: int | None = None,
) -> Variances | Undefined:
    n_items, n_judges = asked[0].shape
    width = m * n_judges * (len(wanted) + 1 + (len(asked) > 1)) + m + 7
    most = _BUDGET // width
    notes = []
    if most < _MIN_UNITS:
        replicates, most = 0, 1
        notes.append(f"no intervals of the components: {m:,} models x {n_judges:,} judges are too many to resample")
    most = min(max(most, 1), 10_000)
    units = assign(n_items, clusters, seed=seed, max_units=most, groups=min(most, 4_096))
    features, layout = _count(asked, wanted, model, m, units)
    total = features.sum(axis=0)
    sums = layout.named(total)
    facets = [f for f in FACETS if m > 1 or f not in _MODEL]
    if sums["cells"] >= sums["n"].sum():  # nobody was asked the same twice
        facets.remove("item x judge")
    system, terms = _equations(sums, sums, facets)
    if not np.isfinite(system).all() or np.linalg.cond(system) > _SINGULAR:
        return Undefined(NOT_SEPARATE)
    raw = _solved(system, terms) * scale
    raw[np.abs(raw) <= ZERO * np.abs(raw).sum()] = 0.0
    if np.maximum(raw, 0).sum() <= ZERO:
        return Undefined(ONE_CATEGORY)
    drawn = np.empty((0, len(facets)))
    left = drawn
    if replicates:
        resampler = Resampler(np.ones(units.size, dtype=np.int64), replicates, seed)
        drawn = _each(_drawn(resampler.drawn(), features, layout), facets) * scale
        step = max(1, _CHUNK // features.shape[1])
        without = (layout.named(total - features[at : at + step]) for at in range(0, units.size, step))
        left = _each(((rows, rows) for rows in without), facets) * scale
    return Variances(
        facets=tuple(facets),
        unrestricted=raw,
        replicates=np.maximum(drawn, 0),
        leave_out=np.maximum(left, 0),
        units=units.size,
        kind=units.kind,
        confidence=confidence,
        n_items=int(sums["items"]),
        n_judges=int((sums["n"].sum(axis=0) > 0).sum()),
        n_models=n_models or int((sums["n"].sum(axis=1) > 0).sum()),
        n_verdicts=int(sums["n"].sum()),
        judges_each=round(float(sums["items"] / sums["inverse"]), 9),
        repeats=float(sums["n"].sum() / sums["cells"]),
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Layout:
    """Where the sums stand in a row of features: M models, J judges, L indicators."""

    m: int
    j: int
    labels: int
    repeated: bool

    SCALARS = ("items", "cells", "by_item", "item_judges", "by_cell", "squares", "inverse")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The arrays of a row in their order, before the scalars."""
        both = (self.m, self.j)
        return {"s": (self.labels, *both), "n": both, **({"q": both} if self.repeated else {}), "n2": (self.m,)}

    @property
    def counts(self) -> slice:
        """The columns of n, q and n2."""
        start = self.labels * self.m * self.j
        return slice(start, start + (1 + self.repeated) * self.m * self.j + self.m)

    def named(self, rows: Floats) -> dict[str, Floats]:
        """s (..., L, M, J) sums of y; n (..., M, J) verdicts; q (..., M, J) sums over items of n_ij^2; n2 (..., M)
        sums over items of n_i^2; and the scalars: items, cells (item x judge), sum S_i^2 / n_i,
        sum n_ij^2 / n_i, sum S_ij^2 / n_ij, sum y^2, sum over items of 1 / judges."""
        out = _cut(rows, self.shapes)
        tail = rows[..., -len(self.SCALARS) :]
        return out | {name: tail[..., i] for i, name in enumerate(self.SCALARS)}

    def named_counts(self, rows: Floats) -> dict[str, Floats]:
        """n, q and n2 of rows that hold nothing else."""
        return _cut(rows, {name: shape for name, shape in self.shapes.items() if name != "s"})


def _cut(rows: Floats, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Floats]:
    at, out = 0, {}
    for name, shape in shapes.items():
        size = math.prod(shape)
        out[name] = rows[..., at : at + size].reshape(*rows.shape[:-1], *shape)
        at += size
    out.setdefault("q", out["n"])  # nobody was asked twice
    return out


def _count(
    asked: Sequence[Asked], wanted: Sequence[int], model: NDArray[np.intp], m: int, units: Assignment
) -> tuple[Floats, _Layout]:
    """(U, F) sums within each sampling unit."""
    n_items, j = asked[0].shape
    layout = _Layout(m, j, len(wanted), len(asked) > 1)
    place = np.arange(n_items) if units.index is None else units.index
    cell = place * m + model
    size = units.size * m
    n, q = np.zeros((2, size, j))
    s = np.zeros((len(wanted), size, j))
    of_cell = np.zeros(n_items)
    for judge in range(j):
        given = _given(asked, judge)
        n[:, judge] = np.bincount(cell, given, size)
        if layout.repeated:
            q[:, judge] = np.bincount(cell, given**2, size)
        for at, label in enumerate(wanted):
            y = _sum_of(asked, judge, label)
            s[at, :, judge] = np.bincount(cell, y, size)
            if layout.repeated:
                of_cell += np.divide(y**2, given, out=np.zeros(n_items), where=given > 0)
    scalars, n_each = _item_sums(asked, wanted)
    if layout.repeated:
        scalars["by_cell"] = of_cell
    columns = [
        s.reshape(len(wanted), units.size, m * j).transpose(1, 0, 2).reshape(units.size, -1),
        n.reshape(units.size, m * j),
        *([q.reshape(units.size, m * j)] if layout.repeated else []),
        np.bincount(cell, n_each**2, size).reshape(units.size, m),
        *(np.bincount(place, scalars[name], units.size)[:, None] for name in _Layout.SCALARS),
    ]
    return np.hstack(columns), layout


def _there(values: Asked) -> NDArray[np.bool_]:
    return np.asarray(~np.isnan(values) if values.dtype.kind == "f" else values >= 0)


def _y(values: Asked, label: int) -> Floats:
    """What the variance is of: the score, or 1 where it is this label."""
    return np.asarray(np.nan_to_num(values) if values.dtype.kind == "f" else values == label, dtype=np.float64)


def _given(asked: Sequence[Asked], judge: int) -> Floats:
    """(N,) how often the judge answered."""
    return np.asarray(np.sum([_there(a[:, judge]) for a in asked], axis=0, dtype=np.float64))


def _sum_of(asked: Sequence[Asked], judge: int, label: int) -> Floats:
    return np.asarray(np.sum([_y(a[:, judge], label) for a in asked], axis=0, dtype=np.float64))


def _item_sums(asked: Sequence[Asked], wanted: Sequence[int]) -> tuple[dict[str, Floats], Floats]:
    """Scalar sums of each item (N,) by name, and the number of its verdicts (N,)."""
    n_items = asked[0].shape[0]
    out = {name: np.zeros(n_items) for name in _Layout.SCALARS}
    n_each = np.zeros(n_items)
    for rows, first in blocks(asked[0]):
        turns = [first, *(a[rows] for a in asked[1:])]
        there = [_there(t) for t in turns]
        in_cell = np.sum(there, axis=0, dtype=np.uint16)
        n = in_cell.sum(axis=1, dtype=np.float64)
        cells = (in_cell > 0).sum(axis=1, dtype=np.float64)
        some = n > 0
        n_each[rows] = n
        out["items"][rows] = some
        out["cells"][rows] = cells
        out["inverse"][rows] = np.divide(1, cells, out=np.zeros(n.size), where=some)
        squares = np.einsum("nj,nj->n", in_cell, in_cell, dtype=np.float64) if len(turns) > 1 else n
        out["item_judges"][rows] = np.divide(squares, n, out=np.zeros(n.size), where=some)
        for label in wanted:
            y = [_y(t, label) for t in turns]
            total = np.sum([one.sum(axis=1) for one in y], axis=0)
            out["by_item"][rows] += np.divide(total**2, n, out=np.zeros(n.size), where=some)
            out["squares"][rows] += np.sum([np.einsum("nj,nj->n", one, one) for one in y], axis=0)
    out["by_cell"] = out["squares"]
    return out, n_each


def _equations(sums: Parts, squares: Parts, facets: Sequence[str]) -> tuple[Floats, Floats]:
    """Expectations (..., E, E) of the T terms (..., E) by mu^2 and the components, all divided by n.

    Henderson (1953), method I: the coefficient of component b in T(a) is the sum over the levels of a of
    sum over the levels of b inside it of n_ab^2 / n_a. `sums` are weighted with the items' weights, `squares` with
    the squares of these: they stand where the levels of b are items or finer.
    """
    n_mj, s = sums["n"], sums["s"]
    n_m, n_j = n_mj.sum(axis=-1), n_mj.sum(axis=-2)
    n = n_m.sum(axis=-1)
    in_model = _over(n_mj**2, n_m[..., None]).sum(axis=(-2, -1))
    in_judge = _over(n_mj**2, n_j[..., None, :]).sum(axis=(-2, -1))
    each = sums["item_judges"]
    single, cell = squares["n"], squares["q"]
    items_of_judge = _over(cell.sum(axis=-2), n_j).sum(axis=-1)
    items_of_both = _over(cell, n_mj).sum(axis=(-2, -1))

    def squared(total: Floats, count: Floats) -> Floats:
        """Sum of (sum of y)^2 / n over all but the leading axes; `total` has the axis of indicators besides."""
        axes = tuple(range(-(total.ndim - n.ndim), 0))
        return np.asarray(_over(total**2, np.expand_dims(count, n.ndim)).sum(axis=axes))

    rows = {
        "mu": (
            [
                _over((n_m**2).sum(axis=-1), n),
                _over(squares["n2"].sum(axis=-1), n),
                _over((n_j**2).sum(axis=-1), n),
                _over((n_mj**2).sum(axis=(-2, -1)), n),
                _over(cell.sum(axis=(-2, -1)), n),
                _over(single.sum(axis=(-2, -1)), n),
            ],
            squared(s.sum(axis=(-2, -1)), n),
        ),
        "model": (
            [
                n,
                _over(squares["n2"], n_m).sum(axis=-1),
                in_model,
                in_model,
                _over(cell.sum(axis=-1), n_m).sum(axis=-1),
                _over(single.sum(axis=-1), n_m).sum(axis=-1),
            ],
            squared(s.sum(axis=-1), n_m),
        ),
        "item": ([n, n, each, each, each, sums["items"]], sums["by_item"]),
        "judge": (
            [in_judge, items_of_judge, n, in_judge, items_of_judge, _over(single.sum(axis=-2), n_j).sum(axis=-1)],
            squared(s.sum(axis=-2), n_j),
        ),
        "judge x model": (
            [n, items_of_both, n, n, items_of_both, _over(single, n_mj).sum(axis=(-2, -1))],
            squared(s, n_mj),
        ),
        "item x judge": ([n, n, n, n, n, sums["cells"]], sums["by_cell"]),
        "residual": ([n, n, n, n, n, n], sums["squares"]),
    }
    kept = ("mu", *facets)
    columns = [0, *(1 + FACETS.index(f) for f in facets)]
    system = np.stack([np.stack([n, *rows[name][0]], axis=-1)[..., columns] for name in kept], axis=-2)
    terms = np.stack([rows[name][1] for name in kept], axis=-1)
    return _over(system, n[..., None, None]), _over(terms, n[..., None])


def _over(top: Floats, bottom: Floats) -> Floats:
    """top / bottom, 0 where there is nothing to divide by: an empty level adds nothing to a sum."""
    shape = np.broadcast_shapes(np.shape(top), np.shape(bottom))
    return np.asarray(np.divide(top, bottom, out=np.zeros(shape), where=np.asarray(bottom) > 0))


def _solved(system: Floats, terms: Floats) -> Floats:
    """Components (..., F) without mu^2; NaN where the system does not tell them apart."""
    poor = np.linalg.cond(system) > _SINGULAR
    safe = np.where(poor[..., None, None], np.eye(system.shape[-1]), system)
    found = np.linalg.solve(safe, terms[..., None])[..., 1:, 0]
    return np.asarray(np.where(poor[..., None], np.nan, found))


def _drawn(drawn: NDArray[np.int64], features: Floats, layout: _Layout) -> Iterator[tuple[Parts, Parts]]:
    """Sums of features under each replicate, and counts with squared weights."""
    step = max(1, _CHUNK // max(features.shape))
    counts = features[:, layout.counts]
    for at in range(0, drawn.shape[0], step):
        weight = drawn[at : at + step].astype(np.float64)
        yield layout.named(weight @ features), layout.named_counts(weight**2 @ counts)


def _each(pieces: Iterator[tuple[Parts, Parts]], facets: Sequence[str]) -> Floats:
    return np.concatenate([_solved(*_equations(sums, squares, facets)) for sums, squares in pieces])
