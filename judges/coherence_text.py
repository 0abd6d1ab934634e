"""Texts as arrays: code points, their classes, words and word hashes of a whole batch at once.

Everything that the coherence signals count is counted on these arrays, so that no Python loop runs over
outputs, words or characters. All sums are sums of integers: a text's figures do not depend on the texts that
happen to stand beside it in a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

import numpy as np
import polars as pl
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Shorts = NDArray[np.uint16]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]

# Classes of code points; the table is made by tests/bench/make_coherence_tables.py and stored, so that a
# verdict does not depend on the Unicode version of the Python that runs. From MARK on they make up words.
SPACE, NEWLINE, STOP, COMMA, PUNCT, CODE, SYMBOL, EMOJI, JUNK, APOSTROPHE = range(10)
MARK, DIGIT, LOWER, UPPER, GREEK, CYRILLIC, HEBREW, ARABIC, DEVANAGARI, OTHER, THAI, HAN, KANA, HANGUL = range(10, 24)
N_CLASSES = 32  # a power of two, so that a histogram index is a shift and an or

MAX_CHARS = 2_000_000  # of one text; what follows is not looked at
CHUNK_CHARS = 500_000  # of one batch of arrays, so that they stay in the cache

_BASE = 0x9E3779B97F4A7C15  # odd, hence invertible modulo 2^64


@dataclass(frozen=True)
class Texts:
    """A batch of texts as flat arrays; C characters in all (one separator per text among them), T texts.

    `codes` (C,) uint16: code points, those beyond the first plane replaced by one of their kind;
    `kinds` (C,) uint8: their classes; `starts` (T + 1,): where each text begins (and the last one ends).
    """

    codes: Shorts
    kinds: Bytes
    starts: Ints

    @property
    def count(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def sizes(self) -> Ints:
        """(T,) characters of each text, its separator included: never 0."""
        return np.diff(self.starts)

    @cached_property
    def histogram(self) -> Ints:
        """(T, N_CLASSES) how many characters of each class."""
        row = np.repeat(np.arange(self.count, dtype=np.int64) * N_CLASSES, self.sizes)
        row += self.kinds
        return np.bincount(row, minlength=self.count * N_CLASSES).reshape(self.count, N_CLASSES)

    @cached_property
    def words(self) -> Words:
        return _words(self)

    def total(self, values: NDArray[np.integer]) -> Ints:
        """(T,) sums per text of one integer per character."""
        return np.add.reduceat(values, self.starts[:-1], dtype=np.int64)

    def count_at(self, positions: Ints) -> Ints:
        """(T,) how many of these sorted character positions fall in each text."""
        return np.diff(np.searchsorted(positions, self.starts))


@dataclass(frozen=True)
class Words:
    """The words of a batch: runs of letters, digits, marks and inner apostrophes. W words, T texts.

    `start`, `end` (W,) character positions; `offset` (T + 1,): which words belong to which text;
    `hash` (W,) 64 bits of the lower-cased word.
    """

    start: Ints
    end: Ints
    offset: Ints
    hash: Hashes

    @cached_property
    def count(self) -> Ints:
        """(T,) words of each text."""
        return np.diff(self.offset)

    @cached_property
    def text(self) -> Ints:
        """(W,) the text that each word stands in."""
        return np.repeat(np.arange(len(self.offset) - 1), self.count)

    def total(self, values: NDArray[np.integer] | Bools) -> Ints:
        """(T,) sums per text of one integer per word."""
        return sums(values, self.offset)


def sums(values: NDArray[np.integer] | Bools, offset: Ints) -> Ints:
    """Sums of `values` over the slices offset[t] : offset[t + 1], which may be empty."""
    running = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=running[1:], dtype=np.int64)
    return running[offset[1:]] - running[offset[:-1]]


def chunks(*columns: pl.Series) -> Iterator[tuple[int, int]]:
    """Slices of rows, each of some `CHUNK_CHARS` characters in all columns of text (or one row)."""
    sizes = sum(np.minimum(c.str.len_chars().fill_null(0).to_numpy(), MAX_CHARS) + 1 for c in columns)
    if not len(columns[0]):
        return
    which = (np.cumsum(sizes) - 1) // CHUNK_CHARS
    edges = np.flatnonzero(np.diff(which, prepend=-1))
    yield from zip(edges.tolist(), [*edges[1:].tolist(), len(sizes)], strict=True)


def read(texts: pl.Series) -> Texts:
    """The arrays of a column of texts (null counts as empty), at most `MAX_CHARS` characters of each."""
    texts = texts.fill_null("").str.slice(0, MAX_CHARS)
    sizes = texts.str.len_chars().to_numpy().astype(np.int64) + 1
    joined = "\n".join([*texts.to_list(), ""])
    wide = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32)
    codes = _first_plane(wide)
    starts = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=starts[1:])
    return Texts(codes, tables().kinds[codes], starts)


def _first_plane(wide: NDArray[np.uint32]) -> Shorts:
    """Code points as 16 bits: beyond the first plane there are emoji, Han characters and rare letters."""
    codes = wide.astype(np.uint16)
    far = np.flatnonzero(wide > 0xFFFF)
    if len(far):
        point = wide[far]
        codes[far] = np.select(
            [(point >= 0x20000) & (point < 0x40000), (point >= 0x1F000) & (point < 0x1FC00), point >= 0xE0000],
            [0x3402 + (point & 0x3FF), 0x2600 + (point & 0x3F), np.uint32(0xFFFD)],
            default=np.uint32(0xA4D0),  # stands for any letter of a rare script
        ).astype(np.uint16)
    return codes


def _words(texts: Texts) -> Words:
    inside = texts.kinds >= MARK
    marks = np.flatnonzero(texts.kinds == APOSTROPHE)
    marks = marks[(marks > 0) & (marks < len(inside) - 1)]
    marks = marks[(texts.kinds[marks - 1] >= DIGIT) & (texts.kinds[marks + 1] >= DIGIT)]
    inside[marks] = True
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    if len(inside) and inside[0]:
        edges = np.concatenate(([0], edges))
    start, end = edges[::2], edges[1::2]  # a text ends with its separator, so the last word is closed
    return Words(start, end, np.searchsorted(start, texts.starts), hashes(texts.codes, start, end))


def hashes(codes: Shorts, start: Ints, end: Ints) -> Hashes:
    """Polynomial hashes of the slices start:end, upper and lower case alike, wherever they stand."""
    power, inverse = _powers(max(20, len(codes).bit_length()))
    running = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum(tables().mix[codes] * power[: len(codes)], out=running[1:])
    return scramble((running[end] - running[start]) * inverse[start])


def scramble(value: Hashes) -> Hashes:
    """A bijection of 64 bits in which every input bit moves the high output bits (after Stafford, 2011)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@cache
def _powers(bits: int) -> tuple[Hashes, Hashes]:
    """base^i and base^-i modulo 2^64 for i < 2^bits."""
    both = []
    for base in (_BASE, pow(_BASE, -1, 1 << 64)):
        steps = np.full(1 << bits, base, dtype=np.uint64)
        steps[0] = 1
        both.append(np.cumprod(steps))
    return both[0], both[1]


@dataclass(frozen=True)
class Tables:
    """The stored tables. `digest` is the SHA-256 of the files they were read from.

    `kinds` (65536,) class of each code point; `letter` (65536,) 1..26 for a..z with or without accents, else
    0; `mix` (65536,) one random 64-bit number per lower-cased code point; `trigram` (27 * 27 * 27,) surprise
    of a letter after two letters, in 1/16 bit; `bigram` (K, K) surprise of a word class after another, in
    1/16 bit against chance, negative where they like to stand together.
    """

    kinds: Bytes
    letter: Bytes
    mix: Hashes
    trigram: Bytes
    bigram: NDArray[np.int8]
    digest: str


@cache
def tables() -> Tables:
    raw = files("interjudge.judges").joinpath("coherence_tables.parquet").read_bytes()
    rows = dict(pl.read_parquet(raw).select("name", "values").iter_rows())
    lower = np.arange(1 << 16, dtype=np.uint16) + np.frombuffer(rows["lower"], dtype=np.uint16)
    words = int(np.sqrt(len(rows["bigram"])))
    return Tables(
        kinds=np.frombuffer(rows["kinds"], dtype=np.uint8),
        letter=np.frombuffer(rows["letter"], dtype=np.uint8),
        mix=scramble(lower.astype(np.uint64) + np.uint64(1)),
        trigram=np.frombuffer(rows["trigram"], dtype=np.uint8),
        bigram=np.frombuffer(rows["bigram"], dtype=np.int8).reshape(words, words),
        digest=hashlib.sha256(raw).hexdigest(),
    )
