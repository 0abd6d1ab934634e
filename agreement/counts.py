"""Counting first: codes collapse to count vectors, and every statistic is a function of sums over units.

`codes` is (N items, J judges) of integers: -1 no usable verdict, 0..K-1 a label. Any integer type and any
memory order; never copied whole to a wider type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from interjudge.errors import InputError

Floats = NDArray[np.float64]
Codes = NDArray[np.integer[Any]]
Sums = Mapping[str, Floats]

# Up to this many units (items or clusters) are resampled one by one. More are first dealt at random into
# GROUPS groups, whose totals are resampled instead: their variance is that of the units' sum, with a relative
# standard error of sqrt(2 / GROUPS) = 2 %, at a fraction of the work.
MAX_UNITS: Final = 10_000
GROUPS: Final = 4_096
# More distinct count vectors than this are not worth collapsing.
MAX_CLASSES: Final = 10_000
# A lookup table of this size still fits a second-level cache several times over.
_TABLE: Final = 1 << 20
_BLOCK: Final = 1 << 18  # codes looked at at a time


@dataclass(frozen=True)
class Units:
    """Sampling units after counting: `weight[u]` equal units, each with the features `features[u]`.

    `features` (U, F); `weight` (U,) whole numbers; `layout` names the columns; `kind` says what is resampled.
    """

    features: Floats
    weight: NDArray[np.int64]
    layout: Mapping[str, slice | int]
    kind: str

    @property
    def size(self) -> int:
        """How many units there are."""
        return int(self.weight.sum())

    def named(self, array: Floats) -> dict[str, Floats]:
        """Views of an array (..., F) by feature name; a feature of width one loses its axis."""
        return {name: array[..., place] for name, place in self.layout.items()}

    def totals(self) -> Floats:
        """Sums over all units, (F,)."""
        return np.asarray(self.weight @ self.features, dtype=np.float64)


@dataclass(frozen=True)
class Assignment:
    """Which unit each item belongs to: `index` (N,) in 0..size-1, or None where each item is its own."""

    index: NDArray[np.intp] | None
    size: int
    kind: str


def checked(codes: Codes, k: int) -> Codes:
    """The codes, or an `InputError` where they are not a table of -1..K-1."""
    if codes.ndim != 2 or codes.dtype.kind not in "iu":
        raise InputError(
            "codes are not a table of whole numbers",
            found=f"{codes.dtype} with {codes.ndim} axes",
            expected="(items, judges)",
        )
    if codes.size and (int(codes.max()) >= k or int(codes.min()) < -1):
        raise InputError("codes out of range", found=[int(codes.min()), int(codes.max())], expected=f"-1 to {k - 1}")
    return codes


def blocks(codes: Codes) -> Iterator[tuple[slice, Codes]]:
    """Consecutive rows in pieces that fit the cache."""
    rows = max(256, _BLOCK // max(1, codes.shape[1]))
    for start in range(0, codes.shape[0], rows):
        place = slice(start, min(start + rows, codes.shape[0]))
        yield place, codes[place]


def count_block(block: Codes, k: int) -> NDArray[np.unsignedinteger[Any]]:
    """How often each label was given to each item of a block: (K, n), in the narrowest type that holds J."""
    columns = np.ascontiguousarray(block.T)
    kind = np.uint8 if block.shape[1] < 256 else np.uint32
    counts = np.empty((k, block.shape[0]), dtype=kind)
    for label in range(k):
        np.add.reduce((columns == label).view(np.uint8), axis=0, dtype=kind, out=counts[label])
    return counts


def count_vectors(codes: Codes, k: int) -> tuple[Floats, NDArray[np.int64]] | None:
    """The distinct count vectors (U, K) and how many items have each (U,); items without a verdict are left out.

    None where there are more than MAX_CLASSES, or too many labels for one to be written as a 64-bit number.
    """
    base = codes.shape[1] + 1
    if base**k >= 1 << 63:
        return None
    kind = np.uint32 if base**k <= 1 << 32 else np.uint64
    place_value = np.array([base**label for label in range(k)], dtype=kind)
    keys = np.empty(codes.shape[0], dtype=kind)
    for place, block in blocks(codes):
        counts = count_block(block, k)
        keys[place] = sum((count * value for value, count in zip(place_value, counts, strict=True)), start=kind(0))
    if base**k <= _TABLE:
        table = np.bincount(keys, minlength=1)
        table[0] = 0
        found = np.flatnonzero(table)
        weight = table[found]
    else:
        found, weight = np.unique(keys, return_counts=True)
        found, weight = found[found > 0], weight[found > 0]
    if found.size > MAX_CLASSES:
        return None
    digits = found[:, None].astype(np.uint64) // place_value.astype(np.uint64) % np.uint64(base)
    return digits.astype(np.float64), weight.astype(np.int64)


def assign(
    n_items: int,
    clusters: NDArray[Any] | None,
    *,
    seed: int,
    max_units: int = MAX_UNITS,
    groups: int = GROUPS,
) -> Assignment:
    """The sampling units of N items: the items, the clusters, or random groups of too many of either."""
    if clusters is None:
        if n_items <= max_units:
            return Assignment(None, n_items, "items")
        return Assignment(_dealt(n_items, groups, seed), groups, f"{groups} random groups of items")
    if clusters.shape != (n_items,):
        raise InputError("clusters do not match the items", found=clusters.shape, expected=f"({n_items},)")
    index, size = dense(clusters)
    if size <= max_units:
        return Assignment(index, size, "clusters")
    return Assignment(_dealt(size, groups, seed)[index], groups, f"{groups} random groups of clusters")


def dense(clusters: NDArray[Any]) -> tuple[NDArray[np.intp], int]:
    """Cluster numbers (N,) renumbered 0..C-1 without gaps, and C."""
    if clusters.size and clusters.dtype.kind in "iu" and clusters.min() >= 0 and clusters.max() < 4 * clusters.size:
        used = np.bincount(clusters) > 0  # a table instead of a sort
        return (np.cumsum(used) - 1)[clusters], int(used.sum())
    names, index = np.unique(clusters, return_inverse=True)
    return index, names.size


def _dealt(n: int, groups: int, seed: int) -> NDArray[np.intp]:
    """A group for each of n units, drawn without replacement so that groups differ by one unit at most."""
    return np.random.default_rng([seed, n]).permutation(n) % groups


def count_units(
    codes: Codes,
    k: int,
    features: Callable[[Floats], dict[str, Floats]],
    *,
    clusters: NDArray[Any] | None = None,
    seed: int = 0,
    assignment: Assignment | None = None,
) -> Units:
    """Units for statistics that look only at how often each label was given to an item.

    `features` takes count vectors (n, K) to named arrays (n,) or (n, f); an item without a verdict must have
    zeros only. With an `assignment` the units are exactly its own, else they may be collapsed.
    """
    if assignment is None and clusters is None and (collapsed := count_vectors(codes, k)) is not None:
        matrix, layout = pack(features(collapsed[0]))
        return Units(matrix, collapsed[1], layout, "items")
    assignment = assignment or assign(codes.shape[0], clusters, seed=seed)
    _, layout = pack(features(np.zeros((1, k))))
    width = sum(1 if isinstance(s, int) else s.stop - s.start for s in layout.values())
    total = np.zeros((assignment.size, width))
    for place, block in blocks(codes):
        matrix, _ = pack(features(count_block(block, k).T.astype(np.float64)))
        if assignment.index is None:
            total[place] = matrix
        else:
            add_rows(total, assignment.index[place], matrix)
    return Units(total, np.ones(assignment.size, dtype=np.int64), layout, assignment.kind)


def add_rows(total: Floats, index: NDArray[np.intp], rows: NDArray[Any]) -> None:
    """total[index[i]] += rows[i] for every i, a column at a time."""
    for column in range(rows.shape[1]):
        total[:, column] += np.bincount(index, weights=rows[:, column], minlength=total.shape[0])


def ratio(top: Floats, bottom: Floats, zero: float = 0.0) -> Floats:
    """top / bottom, NaN where the bottom is not above `zero`."""
    shape = np.broadcast_shapes(np.shape(top), np.shape(bottom))
    return np.asarray(np.divide(top, bottom, out=np.full(shape, np.nan), where=np.asarray(bottom) > zero))


def pack(features: Mapping[str, Floats]) -> tuple[Floats, dict[str, slice | int]]:
    """Named arrays (n,) or (n, f) side by side (n, F), and where each one stands."""
    layout: dict[str, slice | int] = {}
    at = 0
    for name, array in features.items():
        width = 1 if array.ndim == 1 else array.shape[1]
        layout[name] = at if array.ndim == 1 else slice(at, at + width)
        at += width
    return np.column_stack(list(features.values())), layout


def one_hot(block: Codes, k: int) -> NDArray[np.float32]:
    """Which judge gave which label to each item of a block: (n, J * K) of 0 and 1."""
    labels = np.arange(k, dtype=block.dtype)
    given = np.equal(block[:, :, None], labels).astype(np.float32)
    return given.reshape(block.shape[0], block.shape[1] * k)


def judge_margins(codes: Codes, k: int, assignment: Assignment) -> Floats:
    """How often each judge gave each label within each unit, (U, J * K)."""
    n_judges = codes.shape[1]
    margins = np.zeros((assignment.size, n_judges, k))
    if assignment.index is None:
        margins[:] = one_hot(codes, k).reshape(margins.shape)
    else:
        base = assignment.index * (k + 1)
        for judge in range(n_judges):
            column = np.where(codes[:, judge] < 0, k, codes[:, judge])  # a cell of its own for "no verdict"
            table = np.bincount(base + column, minlength=assignment.size * (k + 1))
            margins[:, judge] = table.reshape(-1, k + 1)[:, :k]
    return margins.reshape(assignment.size, n_judges * k)
