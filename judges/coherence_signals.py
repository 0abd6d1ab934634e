"""The coherence judge's counts on letters, word shapes and English: pure functions from arrays to counts.

Each answers one integer a text, or two: how often, and out of how many.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from interjudge.judges.coherence_text import (
    APOSTROPHE,
    CODE,
    COMMA,
    DIGIT,
    EMOJI,
    HAN,
    HANGUL,
    JUNK,
    KANA,
    LOWER,
    NEWLINE,
    PUNCT,
    SPACE,
    STOP,
    SYMBOL,
    THAI,
    UPPER,
    Bools,
    Bytes,
    Floats,
    Ints,
    Texts,
    Words,
    tables,
)
from interjudge.judges.coherence_words import Lexicon

Entries = NDArray[np.uint16]  # (W,) the lexicon's entry of each word, 0 where it is not known

# --------------------------------------------------------------------------- letters


def letter_surprise(texts: Texts) -> tuple[Ints, Ints]:
    """Per text: bits (times 16) of its Latin letters given the two before, and how many were counted."""
    letter = np.zeros(len(texts.codes) + 2, dtype=np.uint16)  # two more before the first text
    letter[2:] = tables().letter[texts.codes]
    index = letter[2:] + np.uint16(27) * letter[1:-1]
    index += np.uint16(729) * letter[:-2]
    counted = (letter[2:] > 0) & (letter[1:-1] > 0)
    return texts.total(tables().trigram[index]), texts.total(counted.view(np.uint8))


def letter_entropy(texts: Texts) -> tuple[Floats, Ints]:
    """Per text: entropy of its Latin letters in bits (0 where there is none), and how many letters."""
    row = np.repeat(np.arange(texts.count, dtype=np.int64) * 32, texts.sizes)
    row += tables().letter[texts.codes]
    seen = np.bincount(row, minlength=texts.count * 32).reshape(texts.count, 32)[:, 1:27]
    total = seen.sum(1)
    part = seen / np.maximum(total, 1)[:, None]
    return -(part * np.log2(np.where(part > 0, part, 1))).sum(1), total


_ROLE = np.zeros(1 << 16, dtype=np.uint8)  # in UTF-8 misread as Windows-1252:
_ROLE[0xC2:0xDF] = 1  # begins two bytes; DF is left out, as "ß" may stand before a quotation mark
_ROLE[0xE0:0xF5] = 2  # begins three or four
_ROLE[0x80:0xC0] = 4  # goes on
_ROLE[[ord(c) for c in "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"]] = 4
_DEBRIS = np.zeros(1 << 16, dtype=np.bool_)
_DEBRIS[[ord(c) for c in "ĠĊ▁锟"]] = True  # tokenizers' spaces; what begins U+FFFD read as GBK


def encoding_debris(texts: Texts) -> Ints:
    """(T,) characters left by a wrong decoding, by a tokenizer or by binary data.

    A letter of C2..DE followed by one character that stands for a byte 80..BF, or of E0..F4 followed by two
    (so that an accented letter before a closing quotation mark is innocent); UTF-8 misread as Mac Roman;
    replacement and control characters.
    """
    junk = texts.histogram[:, JUNK]
    codes = np.append(texts.codes, np.zeros(2, dtype=np.uint16))
    far = np.flatnonzero(codes >= 0x80)
    if not len(far):
        return junk.copy()
    role, after, third = _ROLE[codes[far]], _ROLE[codes[far + 1]], _ROLE[codes[far + 2]]
    two = (role == 1) & (after == 4)
    three = (role == 2) & (after == 4) & (third == 4)
    quote = (codes[far] == ord("‚")) & (codes[far + 1] == ord("Ä"))
    accent = (codes[far] == ord("√")) & (codes[far + 1] > 0x80)
    found = 2 * texts.count_at(far[two | quote | accent]) + 3 * texts.count_at(far[three])
    return junk + found + texts.count_at(far[_DEBRIS[codes[far]]])


# ---------------------------------------------------------------------------- shapes

_SCRIPT = np.zeros(32, dtype=np.uint8)  # letters that may share a sentence
_SCRIPT[[LOWER, UPPER]] = 1
_SCRIPT[UPPER + 1 : HAN] = np.arange(2, 2 + HAN - UPPER - 1)
_SCRIPT[[HAN, KANA]] = _SCRIPT[HAN - 1] + 1
_SCRIPT[HANGUL] = _SCRIPT[HAN] + 1


def odd_shapes(texts: Texts) -> Ints:
    """(T,) places where case or letter and digit change inside a word, or Latin text changes script and back."""
    kinds = texts.kinds
    camel = (kinds[:-1] == LOWER) & (kinds[1:] == UPPER)
    latin = (kinds == LOWER) | (kinds == UPPER)
    digit = kinds == DIGIT
    mixed = (latin[:-1] & digit[1:]) | (digit[:-1] & latin[1:])
    found = texts.count_at(np.flatnonzero(camel)) + texts.count_at(np.flatnonzero(mixed))
    seen = texts.histogram
    mostly_latin = (seen[:, LOWER] + seen[:, UPPER]) * 2 > seen[:, LOWER:].sum(1)
    if not seen[:, UPPER + 1 :].any():
        return found
    letters = np.flatnonzero(kinds >= LOWER)
    turns = np.flatnonzero(np.diff(_SCRIPT[kinds[letters]]))
    before, after = letters[turns], letters[turns + 1]
    same = np.searchsorted(texts.starts, before, side="right") == np.searchsorted(texts.starts, after, side="right")
    switch = after[same]
    return found + np.where(mostly_latin, texts.count_at(switch), 0)


def overlong(texts: Texts, limit: int = 25) -> Ints:
    """(T,) characters in words of more than `limit` characters, in scripts that set words apart."""
    words = texts.words
    size = words.end - words.start
    return words.total(np.where((size > limit) & (texts.kinds[words.start] < THAI), size, 0))


def marks(texts: Texts) -> tuple[Ints, Ints]:
    """Per text: characters that are neither letter, digit nor blank, and all that are not blank."""
    seen = texts.histogram
    signs = seen[:, [STOP, COMMA, PUNCT, CODE, SYMBOL, EMOJI, JUNK]].sum(1)
    return signs, texts.sizes - seen[:, SPACE] - seen[:, NEWLINE]


# --------------------------------------------------------------------------- English


def unknown_words(texts: Texts, entry: Entries, first: Bools) -> tuple[Ints, Ints]:
    """Per text: different words of three or more small letters that are in no list, and all such words.

    Words with a capital (names) or an apostrophe ("apple's") are left out; `first` (W,) marks the first
    occurrence of each word, so that a rare word that a text is about counts once.
    """
    words = texts.words
    counted = first & (texts.kinds[words.start] == LOWER) & (words.end - words.start >= 3)
    inner = np.flatnonzero(texts.kinds == APOSTROPHE)
    holder = np.searchsorted(words.start, inner, side="right") - 1
    holder = holder[(holder >= 0) & (inner < words.end[holder])] if len(words.start) else holder[:0]
    counted[holder] = False
    return words.total(counted & (entry == 0)), words.total(counted)


EDGE, PAUSE, NUMBER, UNKNOWN = range(4)  # classes that are no words, as in the stored table


def word_order(texts: Texts, entry: Entries, lexicon: Lexicon) -> tuple[Ints, Ints]:
    """Per text: surprise of neighbouring word classes (bits against chance, times 16), and how many pairs.

    Words with a blank between them are a pair; a comma or a sentence's end between them stands for a word of
    a class of its own; what else stands between (hyphens, brackets) parts them.
    """
    words = texts.words
    if len(words.start) < 2:
        none = np.zeros(texts.count, dtype=np.int64)
        return none, none
    own = lexicon.word_class[entry]
    own[own == 0] = UNKNOWN
    own[texts.kinds[words.start] == DIGIT] = NUMBER
    bigram = tables().bigram
    gap = _gaps(texts)
    bits = bigram.ravel()[own[:-1].astype(np.intp) * len(bigram) + own[1:]].astype(np.int64)
    bits[gap > 0] = 0
    parted = np.flatnonzero(gap >= 2)
    between = np.where(gap[parted] == 2, PAUSE, EDGE)
    bits[parted] = bigram[own[parted], between].astype(np.int64) + bigram[between, own[parted + 1]]
    return _per_text(words, bits), _per_text(words, np.array([1, 0, 2, 2])[gap])


_GAP = np.full(32, 1, dtype=np.uint8)  # what stands between two words: 0 blanks, 1 other, 2 comma, 3 sentence end
_GAP[SPACE] = 0
_GAP[COMMA] = 2
_GAP[STOP] = 3  # but not a line break, which parts the items of lists too


def _gaps(texts: Texts) -> Bytes:
    """(W - 1,) the strongest kind of character between each word and the next."""
    begin, end = texts.words.end[:-1], texts.words.start[1:]
    strongest: Bytes = _GAP[texts.kinds[begin]]
    long = np.flatnonzero(end - begin > 1)
    cuts = np.empty(2 * len(long), dtype=np.int64)
    cuts[::2], cuts[1::2] = begin[long], end[long]
    if len(long):
        strongest[long] = np.maximum.reduceat(_GAP[texts.kinds], cuts)[::2]
    return strongest


def _per_text(words: Words, values: NDArray[np.integer] | Bools) -> Ints:
    """Sums over the pairs of neighbouring words that lie inside one text."""
    running = np.zeros(len(values) + 2, dtype=np.int64)
    np.cumsum(values, out=running[1:-1], dtype=np.int64)
    last = np.maximum(words.offset[1:] - 1, words.offset[:-1])  # a text's last word has no pair of its own
    return running[last] - running[words.offset[:-1]]


def sentence_case(texts: Texts, entry: Entries, lexicon: Lexicon) -> Ints:
    """(T,) English function words with a capital inside a sentence, and small letters where one begins."""
    words = texts.words
    if len(words.start) < 2:
        return np.zeros(texts.count, dtype=np.int64)
    kinds = texts.kinds
    first, second = kinds[words.start], kinds[words.start + 1]  # a text never ends without its separator
    follows = words.end[:-1]
    apart = words.start[1:] - follows
    function = (lexicon.languages[entry[1:]] & np.uint32(1)) > 0
    capital = (apart == 1) & (kinds[follows] == SPACE) & function & (first[:-1] == LOWER)
    capital &= (first[1:] == UPPER) & (second[1:] == LOWER)
    capital &= np.append(first[2:], LOWER) != UPPER  # "The Monkees" is a name
    small = (apart == 2) & (kinds[follows] == STOP) & (kinds[follows + 1] == SPACE) & (first[1:] == LOWER)
    small &= (words.end - words.start)[:-1] >= 3  # "e.g." and initials end in a point too
    return _per_text(words, capital | small)


def cut_short(texts: Texts, entry: Entries, lexicon: Lexicon, limit: int) -> tuple[Bools, Ints]:
    """Which texts are two to `limit` words that end in a word of small letters and no mark (T,); and how odd that is.

    The surprise (T,) of a sentence's end after that word's class is in bits against chance, times 16, or the
    greatest there is where the word is in no list.
    """
    words = texts.words
    rows = np.flatnonzero((words.count >= 2) & (words.count <= limit))
    last = words.offset[rows + 1] - 1
    visible = np.flatnonzero(texts.kinds > NEWLINE)
    closed = np.searchsorted(visible, texts.starts[rows + 1]) > np.searchsorted(visible, words.end[last])
    open_end = (texts.kinds[words.start[last]] == LOWER) & ~closed
    own = lexicon.word_class[entry[last]]
    surprise = np.where(own > 0, tables().bigram[own, EDGE].astype(np.int64), 127)
    surprise = np.where(words.end[last] - words.start[last] > 1, surprise, 0)  # units: "8,849 m"
    applies = np.zeros(texts.count, dtype=np.bool_)
    bits = np.zeros(texts.count, dtype=np.int64)
    applies[rows[open_end]] = True
    bits[rows] = surprise
    return applies, bits
