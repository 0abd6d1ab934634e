"""One normal form for text in any script, with the way back to the positions of the original.

The normal form is words separated by one character: a space, ``:`` where a colon stood, or ``|`` where a
sentence ended. Letters are compatibility-decomposed (Unicode NFKD) and casefolded; accents, vowel points,
zero-width characters and markup are gone; every kind of apostrophe inside a word is ``'``. So "**I\u2019M  sorry** \u2014
I can\u2019t." becomes ``i'm sorry i can't``.

All of it works on one array of code points for the whole batch: the only Python loop is over the *distinct*
characters outside ASCII.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

# Changes with anything here that can change a verdict; part of the judges' identity.
VERSION: Final = 1

SENTENCE: Final = "|"
ROW: Final = "\n"
SEPARATORS: Final = f" :{SENTENCE}{ROW}"

_SPACE, _WORD, _MARK, _PERIOD, _NEWLINE, _APOSTROPHE, _COLON, _ROW = range(8)
_CLASSES: Final = {
    **dict.fromkeys("!?|\u3002\u0964\u0965\u061f\u06d4\u2029", _MARK),
    ".": _PERIOD,
    "\n": _NEWLINE,
    "'": _APOSTROPHE,
    ":": _COLON,
}
# What is typed for an apostrophe and does not already decompose to one.
_APOSTROPHES: Final = frozenset("\u2018\u2019\u201b\u2032\u02bc\u02b9\u0060\u05f3\ua78c")
# Marks that make another letter (Japanese voicing, combining class 8) or syllable (virama, 9) are kept.
_KEPT_CLASSES: Final = (0, 8, 9)
_DROPPED: Final = frozenset("\u0640\u034f\u115f\u1160\u3164")  # kashida, grapheme joiner, Hangul fillers
# So many characters at a time: bounds the memory however long the outputs are.
_CHUNK_CHARS: Final = 4_000_000


@dataclass(frozen=True)
class Normalised:
    """Some consecutive outputs of a batch in the normal form.

    Attributes
    ----------
    first : index in the batch of the first output here.
    text : the normal forms, each preceded and followed by ``ROW``, in one string.
    codes : the same as code points, uint32, shape (len(text),).
    rows : where in `text` each output starts, int64, ascending, shape (outputs + 1,); the last is the end + 1.
    source : for each character of `text`, the character of its original that it came from, counted from the
        start of that output, int64, shape (len(text),); -1 for ``ROW``.
    """

    first: int
    text: str
    codes: NDArray[np.uint32]
    rows: NDArray[np.int64]
    source: NDArray[np.int64]


def normalised(texts: pl.Series) -> list[str]:
    """The normal form of each of a series of strings."""
    return [text for chunk in normalise_batch(texts) for text in chunk.text[1:-1].split(ROW)]


def normalise(text: str) -> str:
    """The normal form of one text (a batch of one)."""
    return normalised(pl.Series([text]))[0]


def normalise_batch(texts: pl.Series) -> Iterator[Normalised]:
    """The normal forms of a series of strings without nulls, some million characters at a time."""
    if not texts.len():
        return
    chunk_of = (texts.str.len_chars().cast(pl.Int64).cum_sum() // _CHUNK_CHARS).to_numpy()
    starts = np.flatnonzero(np.diff(chunk_of, prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], texts.len()), strict=True):
        yield _normalise_chunk(int(start), texts.slice(int(start), int(end - start)))


def _normalise_chunk(first: int, texts: pl.Series) -> Normalised:
    joined = ROW + ROW.join(texts.to_list()) + ROW
    original = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
    breaks = np.concatenate(([0], np.cumsum(texts.str.len_chars().to_numpy().astype(np.int64) + 1)))
    codes, classes, source = _folded(original, breaks)
    keep, codes = _collapsed(codes, classes)
    codes, source = codes[keep], source[keep]
    row_breaks = np.flatnonzero(codes == ord(ROW))  # no other newline is left
    row_of = np.cumsum(codes == ord(ROW)) - 1
    source = source - breaks[row_of] - 1
    return Normalised(
        first=first,
        text=codes.tobytes().decode("utf-32-le"),
        codes=codes,
        rows=row_breaks + 1,
        source=source,
    )


def _folded(
    original: NDArray[np.uint32], breaks: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.int64]]:
    """Every character folded on its own: code points, their classes, and where each came from."""
    ascii_codes, ascii_classes = _ascii_tables()
    outside = np.flatnonzero(original > 127)
    narrow = np.where(original > 127, 0, original).astype(np.uint8)
    codes, classes = ascii_codes[narrow], ascii_classes[narrow]
    classes[breaks] = _ROW
    source = np.arange(len(original), dtype=np.int64)
    if not len(outside):
        return codes, classes, source
    distinct, which = np.unique(original[outside], return_inverse=True)
    folds = [_fold(chr(code)) for code in distinct.tolist()]
    lengths = np.array([len(fold) for fold in folds])
    letters = "".join(folds)
    table = np.array([ord(c) for c in letters], np.uint32)
    table_classes = np.array([_class(c) for c in letters], np.uint8)
    copies = np.ones(len(original), np.int64)
    copies[outside] = lengths[which]
    source = np.repeat(source, copies)
    codes, classes = np.repeat(codes, copies), np.repeat(classes, copies)
    # Where the expansions lie now, and which letter of the table belongs there.
    ends = np.cumsum(copies)[outside]
    within = np.concatenate(([0], np.cumsum(lengths[which])))
    inner = np.arange(within[-1]) - np.repeat(within[:-1], lengths[which])
    target = np.repeat(ends - lengths[which], lengths[which]) + inner
    offset = np.repeat((np.cumsum(lengths) - lengths)[which], lengths[which]) + inner
    codes[target], classes[target] = table[offset], table_classes[offset]
    return codes, classes, source


def _collapsed(codes: NDArray[np.uint32], classes: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.uint32]]:
    """Which characters stay, and what they are: each run between two words becomes one separator."""
    word = classes == _WORD
    before, after = np.roll(word, 1), np.roll(word, -1)  # both ends are ROW, so the wrap is harmless
    word |= (classes == _APOSTROPHE) & before & after
    mark = (classes == _MARK) | ((classes == _PERIOD) & ~after)
    starts = np.concatenate(([0], np.flatnonzero(~word & np.roll(word, 1))))
    ends = np.concatenate((np.flatnonzero(~word & np.roll(word, -1)), [len(word) - 1]))

    def count(what: NDArray[np.bool_]) -> NDArray[np.int64]:
        total = np.cumsum(what, dtype=np.int64)
        return total[ends] - total[starts] + what[starts]

    row = classes == _ROW
    # A single line break is white space (texts come hard-wrapped); a blank line ends a sentence.
    stops = (count(mark) > 0) | (count(classes == _NEWLINE) > 1)
    separator = np.where(count(classes == _COLON) > 0, ord(":"), np.where(stops, ord(SENTENCE), ord(" ")))
    between = count(row) == 0
    codes[ends[between]] = separator[between]
    codes[row] = ord(ROW)
    keep = word | row
    keep[ends[between]] = True
    return keep, codes


@cache
def _ascii_tables() -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    folds = [_fold(chr(code)) for code in range(128)]  # one character each
    return np.array([ord(f) for f in folds], np.uint32), np.array([_class(f) for f in folds], np.uint8)


@cache
def _fold(char: str) -> str:
    """A character's letters in the normal form, possibly none; folding them again changes nothing."""
    if char in _APOSTROPHES:
        return "'"
    text, last = char, ""
    while text != last:
        last, text = text, unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join("'" if c in _APOSTROPHES else c for c in text if not _is_dropped(c))


def _is_dropped(char: str) -> bool:
    category = unicodedata.category(char)
    if category == "Cf" or char in _DROPPED:
        return True
    if "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef":  # variation selectors
        return True
    return category == "Mn" and unicodedata.combining(char) not in _KEPT_CLASSES


@cache
def _class(char: str) -> int:
    if char in _CLASSES:
        return _CLASSES[char]
    return _WORD if char.isalnum() or unicodedata.category(char)[0] == "M" else _SPACE
