"""One normal form for text in any script, with the way back to the positions of the original.

The normal form is words separated by one character: a space, ``:`` where a colon stood, or ``|`` where a
sentence ended. Letters are compatibility-decomposed (Unicode NFKD) and casefolded; accents, vowel points,
zero-width characters and markup are gone; every kind of apostrophe inside a word is ``'``. So
``**I'M  sorry**, but: No.`` becomes ``i'm sorry but:no``.

All of it works on one array of characters for many outputs at once: the only Python loop is over the
*distinct* characters outside ASCII.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

# Changes with anything here that can change a verdict; part of the judges' identity.
VERSION: Final = 1

SENTENCE: Final = "|"
ROW: Final = "\n"
SEPARATORS: Final = f" :{SENTENCE}{ROW}"

# Characters, as code points: one byte each where all are ASCII (most outputs are), else four.
Codes = NDArray[np.unsignedinteger[Any]]

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
    """Some of a batch's outputs in the normal form.

    Attributes
    ----------
    outputs : index in the batch of each output here, shape (outputs,).
    text : the normal forms, each preceded and followed by ``ROW``, in one string.
    codes : its characters, shape (len(text),).
    rows : where in `text` each output starts, ascending, shape (outputs + 1,); the last is the end of `text`.
    """

    outputs: NDArray[np.int64]
    text: str
    codes: Codes
    rows: NDArray[np.int64]
    _source: NDArray[np.int64]  # for each character of `text`, where in the joined originals it came from
    _breaks: NDArray[np.int64]  # where each original begins there, less one

    def row_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which output (an index into `outputs`) each of these characters of `text` belongs to."""
        return np.searchsorted(self.rows, places, "right") - 1

    def original(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where these characters of `text` stand in their outputs as given, in characters from the start."""
        return self._source[places] - self._breaks[self.row_of(places)] - 1

    def places(self, offsets: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.int64]:
        """Byte offsets into the UTF-8 of `text` as character offsets."""
        wide = np.flatnonzero(self.codes >= 0x80)
        codes = self.codes[wide]
        extra = np.cumsum(1 + (codes >= 0x800).astype(np.int64) + (codes >= 0x10000))
        before = np.searchsorted(wide + 1 + extra, offsets, "right")
        return offsets.astype(np.int64) - np.concatenate(([0], extra))[before]


def normalised(texts: pl.Series) -> list[str]:
    """The normal form of each of a series of strings, in order."""
    forms: dict[int, str] = {}
    for chunk in normalise_batch(texts):
        forms.update(zip(chunk.outputs.tolist(), chunk.text[1:-1].split(ROW), strict=True))
    return [forms[row] for row in range(texts.len())]


def normalise(text: str) -> str:
    """The normal form of one text (a batch of one)."""
    return normalised(pl.Series([text]))[0]


def normalise_batch(texts: pl.Series) -> Iterator[Normalised]:
    """The normal forms of a series of strings without nulls, some million characters at a time.

    Outputs in ASCII go apart from the others, so the order is not the batch's: see `Normalised.outputs`.
    """
    chars = texts.str.len_chars().to_numpy().astype(np.int64)
    narrow = chars == texts.str.len_bytes().to_numpy()
    for outputs, dtype in ((np.flatnonzero(narrow), np.uint8), (np.flatnonzero(~narrow), np.uint32)):
        chunk_of = np.cumsum(chars[outputs]) // _CHUNK_CHARS
        for part in np.split(outputs, np.flatnonzero(np.diff(chunk_of)) + 1):
            if len(part):
                yield _normalise_chunk(texts, chars, part, dtype)


def _normalise_chunk(
    texts: pl.Series, chars: NDArray[np.int64], outputs: NDArray[np.int64], dtype: type[np.uint8 | np.uint32]
) -> Normalised:
    breaks = np.concatenate(([0], np.cumsum(chars[outputs] + 1)))
    joined = ROW + texts.gather(outputs).str.join(ROW).item() + ROW
    encoding = "ascii" if dtype is np.uint8 else "utf-32-le"
    codes, classes, source = _folded(np.frombuffer(joined.encode(encoding), dtype), breaks)
    keep = _collapse(codes, classes)
    codes = codes[keep]
    return Normalised(
        outputs=outputs,
        text=codes.tobytes().decode(encoding),
        codes=codes,
        rows=np.flatnonzero(codes == ord(ROW)) + 1,  # no other line break is left
        _source=np.flatnonzero(keep) if source is None else source[keep],
        _breaks=breaks,
    )


def _folded(original: Codes, breaks: NDArray[np.int64]) -> tuple[Codes, NDArray[np.uint8], NDArray[np.int64] | None]:
    """Every character folded on its own: code points, their classes, and where each came from (None: from
    the same place)."""
    ascii_codes, ascii_classes = _ascii_tables()
    outside = np.flatnonzero(original > 127)
    narrow = original.astype(np.uint8)
    narrow[outside] = 0
    codes, classes = ascii_codes.take(narrow).astype(original.dtype, copy=False), ascii_classes.take(narrow)
    classes[breaks] = _ROW
    if not len(outside):
        return codes, classes, None
    distinct, which = np.unique(original[outside], return_inverse=True)
    folds = [_fold(chr(code)) for code in distinct.tolist()]
    lengths = np.array([len(fold) for fold in folds])
    letters = "".join(folds)
    table = np.array([ord(c) for c in letters], np.uint32)
    table_classes = np.array([_class(c) for c in letters], np.uint8)
    if (lengths == 1).all():
        codes[outside], classes[outside] = table[which], table_classes[which]
        return codes, classes, None
    copies = np.ones(len(original), np.int64)
    copies[outside] = lengths[which]
    codes, classes = np.repeat(codes, copies), np.repeat(classes, copies)
    # Where the letters lie now, and which letter of the table belongs there.
    starts = outside + np.cumsum(lengths[which] - 1) - lengths[which] + 1
    inner = _counting(lengths[which])
    target = np.repeat(starts, lengths[which]) + inner
    letter = np.repeat((np.cumsum(lengths) - lengths)[which], lengths[which]) + inner
    codes[target], classes[target] = table[letter], table_classes[letter]
    return codes, classes, np.repeat(np.arange(len(original)), copies)


def _counting(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ..., n - 1 for each n, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)


def _collapse(codes: Codes, classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which characters stay. Each run between two words becomes one separator, set in `codes`."""
    word: NDArray[np.bool_] = classes == _WORD
    # Both ends are ROW, so that the wrap of roll is harmless.
    apostrophe = np.flatnonzero(classes == _APOSTROPHE)
    apostrophe = apostrophe[word[apostrophe - 1] & word[apostrophe + 1]]
    period = np.flatnonzero(classes == _PERIOD)
    classes[period[~word[period + 1]]] = _MARK
    word[apostrophe] = True
    change = np.flatnonzero(word[1:] != word[:-1]) + 1  # alternately where a word and where a run begins
    starts = np.concatenate(([0], change[1::2]))
    last = np.concatenate((change[::2] - 1, [len(word) - 1]))
    runs = np.flatnonzero(~word)
    kinds = classes[runs]
    lengths = last - starts + 1
    other = np.flatnonzero(kinds != _SPACE)
    run, kind = np.searchsorted(np.cumsum(lengths), other, "right"), kinds[other]
    breaks = run[kind == _NEWLINE]
    # A single line break is white space (texts come hard-wrapped); a blank line ends a sentence.
    separator = np.full(len(starts), ord(" "), np.uint8)
    separator[breaks[1:][breaks[1:] == breaks[:-1]]] = ord(SENTENCE)
    separator[run[kind == _MARK]] = ord(SENTENCE)
    separator[run[kind == _COLON]] = ord(":")
    between = np.ones(len(starts), np.bool_)
    between[run[kind == _ROW]] = False
    row = runs[kinds == _ROW]
    codes[last[between]] = separator[between]
    codes[row] = ord(ROW)
    word[row] = True
    word[last[between]] = True
    return word


@cache
def _ascii_tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    folds = [_fold(chr(code)) for code in range(128)]  # one character each
    return np.array([ord(f) for f in folds], np.uint8), np.array([_class(f) for f in folds], np.uint8)


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
