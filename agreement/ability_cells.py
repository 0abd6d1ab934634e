"""The items of a panel as cells of equal verdicts, and the counts behind every figure about a judge.

A replicate gives every cell a weight for each label that may be true there. With a reference the label is known
and the weights are those of a bootstrap of the sampling units; without one they are draws (`ability_draws`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from interjudge.agreement.ability_draws import Draws
from interjudge.agreement.ability_margins import Margins, Replicated
from interjudge.agreement.counts import GROUPS, MAX_UNITS, Floats, assign
from interjudge.agreement.intervals import Resampler
from interjudge.agreement.vote_patterns import Ints, Patterns

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """Which counts are asked for: of every judge on the cells of `mask` (P,); or, with `judge`, of that one
    judge on the cells of `mask` that each of the judges judged (row j: those that judge j judged)."""

    mask: Bools
    judge: int | None = None


@dataclass(frozen=True)
class Cells:
    """P cells: unique rows of the J judges' codes, the incoherence mark and, with a reference, its label.

    patterns : codes (P, J), weight (P,), gold (P,), -1 without a reference, index (N,). flag : (P,) incoherent.
    truth : (P, K) probabilities of the true label, certain with a reference. clusters : (N,) or None. design : (P,)
    design weight of a cell's items, where the labelled items are a sample of unequal probabilities; every item is then
    a cell of its own.
    """

    patterns: Patterns
    flag: Bools
    truth: Floats
    clusters: NDArray[np.int64] | None
    design: Floats | None = None

    @classmethod
    def estimated(
        cls,
        codes: NDArray[np.int16],
        posterior: Floats,
        flag: Bools | None,
        clusters: NDArray[np.int64] | None,
    ) -> Cells:
        """posterior : (N, K), the same for items of the same verdicts (else their mean)."""
        patterns, marked = _unique(codes, posterior.shape[1], flag, None)
        sums = [np.bincount(patterns.index, column, minlength=marked.size) for column in posterior.T]
        return cls(patterns, marked, np.stack(sums, axis=1) / patterns.weight[:, None], clusters)

    @classmethod
    def referenced(
        cls,
        codes: NDArray[np.int16],
        gold: NDArray[np.int16],
        k: int,
        flag: Bools | None,
        clusters: NDArray[np.int64] | None,
        weight: Floats | None = None,
    ) -> Cells:
        """gold : (N,) all of them labels; weight : (N,) design weights."""
        if weight is not None:
            n = gold.size
            patterns = Patterns(codes, np.ones(n), gold.astype(np.int64), np.arange(n), k)
            return cls(patterns, np.zeros(n, bool) if flag is None else flag, np.eye(k)[gold], clusters, weight)
        patterns, marked = _unique(codes, k, flag, gold)
        return cls(patterns, marked, np.eye(k)[patterns.gold], clusters)

    @property
    def weight(self) -> Floats:
        """(P,) items of each cell, by their design weights where they have any."""
        return self.patterns.weight if self.design is None else self.patterns.weight * self.design

    @cached_property
    def counter(self) -> Counter:
        return Counter.of(self.patterns)

    @property
    def labels_there(self) -> Bools:
        """(J, K) which labels are the likeliest of some item the judge judged: of many items that hardly can have a
        label the expected number is not 0."""
        likeliest = np.eye(self.patterns.k)[self.truth.argmax(axis=1)]
        return np.asarray(self.counter.anyone @ likeliest > 0)

    def expected(self, part: Part) -> Margins:
        """Counts (J, K) of a part."""
        one = self.counter.count((self.truth * self.weight[:, None])[:, :, None], part)
        return Margins(one.right[0], one.true[0], one.said[0])

    def sampling(self) -> Sampled:
        """The sampling units behind the cells: items, clusters, or random groups of too many of either."""
        p, n = self.patterns.weight.size, self.patterns.index.size
        if self.clusters is None and p <= GROUPS:
            return Sampled(np.arange(p), np.arange(p), self.patterns.weight.astype(np.int64))
        most = GROUPS if self.clusters is None else MAX_UNITS
        dealt = assign(n, self.clusters, seed=0, max_units=most)
        unit = np.arange(n) if dealt.index is None else dealt.index
        return Sampled(unit, self.patterns.index, np.ones(dealt.size, np.int64))

    def clusters_by_cell(self) -> sparse.csr_array | None:
        """(U, P) how many items of each cluster lie in each cell; None where the item is the unit."""
        if self.clusters is None:
            return None
        found = self.sampling()
        shape = (found.weight.size, self.patterns.weight.size)
        return sparse.csr_array((np.ones(found.unit.size), (found.unit, found.cell)), shape=shape)


@dataclass(frozen=True)
class Sampled:
    """Row by row the unit and the cell it belongs to, (M,) each; `weight` (U,): equal units behind each unit."""

    unit: Ints
    cell: Ints
    weight: Ints


def _unique(
    codes: NDArray[np.int16], k: int, flag: Bools | None, gold: NDArray[np.int16] | None
) -> tuple[Patterns, Bools]:
    """Unique rows of codes, mark and reference label; the mark of each."""
    if flag is None:
        found = Patterns.of(codes, k, gold)
        return found, np.zeros(found.weight.size, bool)
    found = Patterns.of(np.column_stack([codes, flag.astype(np.int16)]), max(k, 2), gold)
    own = np.ascontiguousarray(found.codes[:, :-1])
    return Patterns(own, found.weight, found.gold, found.index, k), found.codes[:, -1] > 0


@dataclass(frozen=True)
class Counter:
    """Sparse indicators (J, P): `said[x]`, the judge says label x; `anyone`, it says anything."""

    said: tuple[sparse.csr_array, ...]
    anyone: sparse.csr_array
    codes: NDArray[np.int16]

    @classmethod
    def of(cls, patterns: Patterns) -> Counter:
        columns = sparse.csc_array(patterns.votes)
        said = tuple(sparse.csr_array(columns[:, x :: patterns.k].T) for x in range(patterns.k))
        return cls(said, sparse.csr_array((patterns.codes >= 0).astype(float).T), patterns.codes)

    def only(self, rows: Ints) -> Counter:
        """The same for some of the cells."""
        said = tuple(sparse.csr_array(table[:, rows]) for table in self.said)
        return Counter(said, sparse.csr_array(self.anyone[:, rows]), self.codes[rows])

    def count(self, g: Floats, part: Part) -> Margins:
        """Counts under the weights g (P, K, c) of every cell and true label: (c, J, K)."""
        k = g.shape[1]
        mask = part.mask
        if part.judge is not None:
            mask = mask & (self.codes[:, part.judge] >= 0)
        if not mask.all():
            g = g * mask[:, None, None]
        whole = g.sum(axis=1)
        if part.judge is None:
            right = [self.said[t] @ g[:, t] for t in range(k)]
            said = [self.said[x] @ whole for x in range(k)]
        else:
            mine = [(self.codes[:, part.judge] == x)[:, None] for x in range(k)]
            right = [self.anyone @ (g[:, t] * mine[t]) for t in range(k)]
            said = [self.anyone @ (whole * mine[x]) for x in range(k)]
        true = [self.anyone @ g[:, t] for t in range(k)]
        return Margins(*(np.stack(part, axis=-1).swapaxes(0, 1) for part in (right, true, said)))


def against_reference(cells: Cells, parts: Sequence[Part], replicates: int, seed: int) -> list[Replicated]:
    """Counts against the reference, and in bootstrap replicates of the sampling units; the same ones for all."""
    found = cells.sampling()
    drawn = Resampler(found.weight, replicates, seed).drawn().astype(np.float64)
    out = []
    for part in parts:
        total, resampled, units, items = [], [], [], []
        for j in range(cells.patterns.codes.shape[1]):
            counts, judged = _by_unit(cells, found, part, j)
            total.append(found.weight @ counts)
            resampled.append(drawn @ counts)
            size = counts[:, cells.patterns.k : 2 * cells.patterns.k].sum(axis=1)
            # design weights: (sum d)^2 / sum d^2 units (Kish 1965)
            alike = cells.design is None or not size.any()
            units.append(found.weight @ (size > 0) if alike else size.sum() ** 2 / (size @ size))
            items.append(judged)
        whole, again = np.stack(total), np.stack(resampled, axis=1)
        k = cells.patterns.k
        split = [slice(i * k, (i + 1) * k) for i in range(3)]
        out.append(
            Replicated(
                Margins(*(whole[:, s] for s in split)),
                Margins(*(again[:, :, s] for s in split)),
                True,
                np.array(units, float),
                None if cells.design is None else np.array(items, float),
            )
        )
    return out


def _by_unit(cells: Cells, found: Sampled, part: Part, j: int) -> tuple[Floats, int]:
    """(U, 3 K) how often in each unit the labels are right, true and said; and how many rows of `found` count."""
    codes, k = cells.patterns.codes, cells.patterns.k
    keep = part.mask & (codes[:, j] >= 0)
    said = codes[:, j if part.judge is None else part.judge]
    keep &= said >= 0
    cell = cells.patterns.gold * k + said
    rows = slice(None) if keep.all() else np.flatnonzero(keep[found.cell])
    size = found.weight.size
    mine = found.cell[rows]
    design = None if cells.design is None else cells.design[mine]
    flat = np.bincount(found.unit[rows] * (k * k) + cell[mine], design, minlength=size * k * k)
    table = flat.reshape(size, k, k).astype(np.float64)  # unit, true, said
    sides = np.diagonal(table, axis1=1, axis2=2), table.sum(axis=2), table.sum(axis=1)
    return np.concatenate(sides, axis=1), mine.size


def against_estimate(cells: Cells, draws: Draws, parts: Sequence[Part]) -> list[Replicated]:
    """Counts expected under the estimated truth, and in draws of it together with the items."""
    totals = [cells.expected(part) for part in parts]
    rows = draws.rows
    small = parts if rows is None else [Part(part.mask[rows], part.judge) for part in parts]
    counter = cells.counter if rows is None else cells.counter.only(rows)
    centre = (draws.truth * draws.weight[:, None])[:, :, None]
    shifts = [
        None if rows is None else _shift(total, counter.count(centre, part))
        for total, part in zip(totals, small, strict=True)
    ]
    pieces: list[list[Margins]] = [[] for _ in parts]
    for g in draws.chunks():
        for piece, part, shift in zip(pieces, small, shifts, strict=True):
            drawn = counter.count(g, part)
            piece.append(drawn if shift is None else _moved(drawn, shift))
    return [
        Replicated(total, _joined(piece, total), False, total.n) for piece, total in zip(pieces, totals, strict=True)
    ]


def _joined(pieces: list[Margins], like: Margins) -> Margins:
    none = np.empty((0, *like.true.shape))
    names = ("right", "true", "said")
    return Margins(*(np.concatenate([getattr(m, name) for m in pieces]) if pieces else none for name in names))


def _shift(total: Margins, centre: Margins) -> Margins:
    return Margins(total.right - centre.right, total.true - centre.true, total.said - centre.said)


def _moved(drawn: Margins, shift: Margins) -> Margins:
    """Draws on a sample of the cells, moved to where all cells have their centre; still counts that fit."""
    true = np.maximum(drawn.true + shift.true, 0)
    right = np.clip(drawn.right + shift.right, 0, true)
    return Margins(right, true, np.maximum(drawn.said + shift.said, right))
