"""Verdicts collapsed to unique vote patterns: what the latent-truth models run on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Patterns:
    """P unique rows of an (N, J) table of codes, K labels.

    Attributes
    ----------
    codes : (P, J) int16, -1 where the judge has no verdict.
    weight : (P,) number of items with the pattern.
    gold : (P,) int64 reference label of the pattern's items, or -1. Items with the same votes and another
        reference label are another pattern.
    index : (N,) pattern of every item.
    """

    codes: NDArray[np.int16]
    weight: Floats
    gold: Ints
    index: Ints
    k: int

    @classmethod
    def of(cls, codes: NDArray[np.int16], k: int, gold: NDArray[np.int16] | None = None) -> Patterns:
        rows = codes if gold is None else np.column_stack([codes, gold.astype(np.int16)])
        first, index = _unique_rows(rows, k)
        unique = rows[first]
        labels = np.full(first.size, -1, np.int64) if gold is None else unique[:, -1].astype(np.int64)
        kept = np.ascontiguousarray(unique if gold is None else unique[:, :-1], dtype=np.int16)
        return cls(kept, np.bincount(index, minlength=first.size).astype(float), labels, index, k)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(P, J, K)"""
        return self.codes.shape[0], self.codes.shape[1], self.k

    @cached_property
    def votes(self) -> sparse.csr_array:
        """(P, J * K) 1 where judge j says label x, in column j * K + x."""
        row, judge = np.nonzero(self.codes >= 0)
        column = judge * self.k + self.codes[row, judge]
        shape = (self.codes.shape[0], self.codes.shape[1] * self.k)
        return sparse.csr_array((np.ones(row.size), (row, column)), shape=shape)

    @cached_property
    def votes_t(self) -> sparse.csr_array:
        return sparse.csr_array(self.votes.T)

    def share(self) -> tuple[Floats, Floats]:
        """(P, K) number of votes for each label, and (P,) their sum."""
        ones = np.tile(np.eye(self.k), (self.codes.shape[1], 1))
        counts = np.asarray(self.votes @ ones)
        return counts, counts.sum(axis=1)

    def take(self, judges: Ints) -> Patterns:
        """The patterns of some judges; `index` says which of them each row here has. Reference labels are left out."""
        sub = self.codes[:, judges]
        first, index = _unique_rows(sub, self.k)
        weight: Floats = np.bincount(index, self.weight, minlength=first.size).astype(float).astype(np.float64)
        return Patterns(np.ascontiguousarray(sub[first]), weight, np.full(first.size, -1, np.int64), index, self.k)

    def only(self, judges: Ints) -> Patterns:
        """The same P rows with some of the judges: rows may then be equal."""
        return Patterns(np.ascontiguousarray(self.codes[:, judges]), self.weight, self.gold, self.index, self.k)

    def sample(self, limit: int, rng: np.random.Generator) -> Patterns:
        """At most `limit` patterns for a quicker fit: drawn items of the rest; patterns with a reference label stay."""
        if self.weight.size <= limit:
            return self
        anchored = self.gold >= 0
        chance = np.where(anchored, 0.0, self.weight)
        drawn = rng.multinomial(limit, chance / chance.sum()) * (chance.sum() / limit)
        weight = np.where(anchored, self.weight, drawn)
        keep = weight > 0
        return Patterns(self.codes[keep], weight[keep], self.gold[keep], np.arange(int(keep.sum())), self.k)


def _unique_rows(rows: NDArray[np.int16], k: int) -> tuple[Ints, Ints]:
    """First row of every unique row, and which unique row each row is. Rows hold -1 .. k - 1.

    Columns are folded into one integer, and that is renumbered before it could overflow: sorting integers
    beats sorting rows by far.
    """
    base = k + 1
    key = np.zeros(rows.shape[0], np.int64)
    room = 1
    for j in range(rows.shape[1]):
        if room > np.iinfo(np.int64).max // (2 * base):
            _, key = np.unique(key, return_inverse=True)
            room = int(key.max(initial=0)) + 1
        key = key * base + (rows[:, j].astype(np.int64) + 1)
        room *= base
    return unique_keys(key, room)


def unique_keys(key: Ints, room: int) -> tuple[Ints, Ints]:
    """First row of every different key 0 .. room - 1, in order of the keys, and which of them each row has."""
    if room <= max(4 * key.size, 1 << 16):
        return _by_counting(key, room)
    _, first, index = np.unique(key, return_index=True, return_inverse=True)
    return first, index


def _by_counting(key: Ints, room: int) -> tuple[Ints, Ints]:
    """`np.unique` with first rows and inverse for keys below a small bound, without a sort."""
    place = np.full(room, -1, np.int64)
    place[key[::-1]] = np.arange(key.size - 1, -1, -1)
    present = np.flatnonzero(place >= 0)
    number = np.empty(room, np.int64)
    number[present] = np.arange(present.size)
    return place[present], number[key]
