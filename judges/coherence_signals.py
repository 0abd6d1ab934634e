"""The coherence judge's signals on the text itself: pure functions from arrays of texts to one value a text.

A value is 0 or less where a text is as usual and grows with what is wrong with it. Rates are shrunk towards
the usual rate, (events - usual * n) / (n + weight), so that short texts are not accused on little evidence. NaN says
that the signal does not apply (another script or language, or too little text).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interjudge.judges.coherence_text import (
    CODE, COMMA, DIGIT, EMOJI, HAN, HANGUL, JUNK, LOWER, MARK, NEWLINE, PUNCT, SPACE, STOP, SYMBOL, THAI, UPPER,
    Bools, Bytes, Floats, Hashes, Ints, Texts, scramble, sums, tables,
)  # fmt: skip
from interjudge.judges.coherence_words import Languages, Lexicon

_POSITION = np.uint64((1 << 24) - 1)
_STEP = np.uint64(0xD6E8FEB86659FD93)  # odd

WORD_GRAM, CHAR_GRAM, GLUED_GRAM = 4, 8, 16  # units that make a repeat: words, characters, characters of glued text
WORDS, CHARS, GLUED = range(3)


def shrunk(events: NDArray[np.number], size: NDArray[np.number], usual: float, weight: float) -> Floats:
    """Rate above the usual one, shrunk towards it by `weight` imagined events of usual text."""
    return (events - usual * size) / (size + weight)


# ------------------------------------------------------------------------ repeats


@dataclass(frozen=True)
class Units:
    """What repeats are counted in. U units: words, or characters where words are not spaced. T texts.

    `offset` (T + 1,) which units belong to which text; `start`, `end` (U,) character positions; `hash` (U,).
    """

    offset: Ints
    start: Ints
    end: Ints
    hash: Hashes


def unit_mode(texts: Texts) -> Ints:
    """(T,) WORDS, CHARS (scripts without spaces) or GLUED (more than 12 letters or digits a word)."""
    letters = texts.histogram[:, MARK:].sum(1)
    unspaced = texts.histogram[:, THAI:HANGUL].sum(1)
    glued = letters > 12 * texts.words.count
    return np.select([unspaced * 10 >= 3 * np.maximum(letters, 1), glued], [CHARS, GLUED], default=WORDS)


def units(texts: Texts, mode: Ints) -> Units:
    words = texts.words
    if not mode.any():
        return Units(words.offset, words.start, words.end, words.hash)
    single = np.repeat(mode != WORDS, texts.sizes) & (texts.kinds >= MARK)
    at = np.flatnonzero(single)
    whole = np.repeat(mode == WORDS, words.count)
    start = np.concatenate((words.start[whole], at))
    order = np.argsort(start, kind="stable")
    start = start[order]
    end = np.concatenate((words.end[whole], at + 1))[order]
    marks = np.concatenate((words.hash[whole], tables().mix[texts.codes[at]]))[order]
    return Units(np.searchsorted(start, texts.starts), start, end, marks)


def grams(found: Units, size: Ints) -> tuple[Ints, Hashes]:
    """First units and hashes of all runs of size[t] units inside a text; (G,) each."""
    count = np.diff(found.offset)
    room = np.repeat(found.offset[1:] - size, count)
    first = np.flatnonzero(np.arange(len(found.hash)) <= room)
    width = np.repeat(size, count)[first]
    value = found.hash[first]
    for step in range(1, int(size.max(initial=1))):
        more = step < width
        after = found.hash[np.where(more, first + step, first)]
        value = np.where(more, value * _STEP + after, value)
    return first, scramble(value)


@dataclass(frozen=True)
class Repeats:
    """Repeats in T texts.

    `units` (T,); `copied`: units inside a run of 4 words (8 or 16 characters) that stood in the text before;
    `looped`: units in stretches that repeat what stands directly before them, with the first occurrence;
    `tail`: length of the stretch at the very end that repeats earlier text at one distance; `period`:
    the length of the loop's unit; `span` (T, 2): character positions of one turn of the longest loop.
    """

    units: Ints
    copied: Ints
    looped: Ints
    tail: Ints
    period: Ints
    span: Ints


def repeats(texts: Texts) -> Repeats:
    mode = unit_mode(texts)
    found = units(texts, mode)
    size = np.array([WORD_GRAM, CHAR_GRAM, GLUED_GRAM])[mode]
    first, value = grams(found, size)
    total = len(found.hash)
    count = np.diff(found.offset)
    text = np.repeat(np.arange(texts.count), count)
    lag = np.zeros(total + 1, dtype=np.int64)
    # Sorting (40 bits of hash, position) puts each run of units behind its previous occurrence.
    key = np.sort((value & ~_POSITION) | first.astype(np.uint64))
    again = np.flatnonzero((key[1:] ^ key[:-1]) <= _POSITION)
    place = (key[again + 1] & _POSITION).astype(np.int64)
    before = (key[again] & _POSITION).astype(np.int64)
    same = text[place] == text[before]
    lag[place[same]] = (place - before)[same]
    place = np.flatnonzero(lag)
    width = size[text[place]]
    cover = np.zeros(total + 1, dtype=np.int64)
    np.add.at(cover, place, 1)
    np.subtract.at(cover, place + width, 1)
    copied = sums(np.cumsum(cover[:-1]) > 0, found.offset)
    # Stretches: neighbouring places that look back over the same distance.
    opens = np.flatnonzero((lag[place] != lag[place - 1]) | (place == 0) | (np.diff(place, prepend=-2) > 1))
    begin = place[opens]
    closes = place[np.append(opens[1:], len(place)) - 1] if len(opens) else opens
    length = closes - begin + size[text[begin]]
    loop = np.flatnonzero(length >= lag[begin])
    looped, period, span = _loops(found, text[begin[loop]], begin[loop], length[loop], lag[begin[loop]], texts.count)
    tail = np.zeros(texts.count, dtype=np.int64)
    final = begin + length == found.offset[text[begin] + 1]
    tail[text[begin[final]]] = length[final]
    return Repeats(count, copied, looped, tail, period, span)


def _loops(
    found: Units, text: Ints, begin: Ints, length: Ints, lag: Ints, count: int
) -> tuple[Ints, Ints, Ints]:
    cover = np.zeros(len(found.hash) + 1, dtype=np.int64)
    np.add.at(cover, begin - lag, 1)
    np.subtract.at(cover, begin + length, 1)
    looped = sums(np.cumsum(cover[:-1]) > 0, found.offset)
    period = np.zeros(count, dtype=np.int64)
    span = np.zeros((count, 2), dtype=np.int64)
    order = np.lexsort((-begin, length))  # of several loops the longest is shown, and the first of these
    row = order[np.diff(np.append(np.sort(text[order], kind="stable"), -1)) != 0] if len(order) else order
    order = order[np.argsort(text[order], kind="stable")]
    row = order[np.flatnonzero(np.diff(np.append(text[order], -1)))]
    period[text[row]] = lag[row]
    span[text[row], 0] = found.start[begin[row] - lag[row]]
    span[text[row], 1] = found.end[begin[row] - 1]
    return looped, period, span


def distinct_words(texts: Texts) -> Ints:
    """(T,) different words of each text."""
    words = texts.words
    place = np.arange(len(words.hash), dtype=np.uint64)
    key = np.sort((words.hash & ~_POSITION) | place)
    again = np.flatnonzero((key[1:] ^ key[:-1]) <= _POSITION)
    text = words.text
    later = text[(key[again + 1] & _POSITION).astype(np.int64)]
    earlier = text[(key[again] & _POSITION).astype(np.int64)]
    return words.count - np.bincount(later[later == earlier], minlength=texts.count)


# ------------------------------------------------------------------- letters and shapes


def trigram_surprise(texts: Texts) -> tuple[Ints, Ints]:
    """Per text: bits (times 16) of its Latin letters given the two before, and how many were counted."""
    letter = tables().letter[texts.codes].astype(np.uint16)
    index = letter[2:] + np.uint16(27) * letter[1:-1]
    index += np.uint16(729) * letter[:-2]
    bits = np.zeros(len(letter), dtype=np.uint8)
    bits[2:] = tables().trigram[index]
    counted = np.zeros(len(letter), dtype=np.uint8)
    np.minimum(letter[1:], letter[:-1], out=counted[1:], casting="unsafe")
    return texts.total(bits), texts.total((counted > 0).view(np.uint8))


def letter_entropy(texts: Texts) -> tuple[Floats, Ints]:
    """Per text: entropy of its Latin letters in bits (0 where there is none), and how many letters."""
    letter = tables().letter[texts.codes]
    row = np.repeat(np.arange(texts.count, dtype=np.int64) * 32, texts.sizes)
    row += letter
    seen = np.bincount(row, minlength=texts.count * 32).reshape(texts.count, 32)[:, 1:27]
    total = seen.sum(1)
    part = seen / np.maximum(total, 1)[:, None]
    return -(part * np.log2(np.where(part > 0, part, 1))).sum(1), total


_MOJIBAKE_LEADS = np.zeros(1 << 16, dtype=np.uint8)  # 1 begins two bytes, 2 begins three, 4 goes on
_MOJIBAKE_LEADS[0xC2:0xE0] = 1
_MOJIBAKE_LEADS[0xE0:0xF5] = 2
_MOJIBAKE_LEADS[0x80:0xC0] = 4
_MOJIBAKE_LEADS[[ord(c) for c in "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"]] = 4
_DEBRIS = np.zeros(1 << 16, dtype=np.bool_)
_DEBRIS[[ord(c) for c in "ĠĊ▁锟斤拷"]] = True  # tokens' own spaces; what U+FFFD becomes when read as GBK


def encoding_errors(texts: Texts) -> Ints:
    """(T,) characters that are debris of a wrong decoding, of a tokenizer or of binary data.

    UTF-8 read as Latin-1 or Windows-1252 shows as a letter of C2..F4 followed by what stands for the bytes
    80..BF: one such after C2..DF, two after E0..F4, so that an accented letter before a closing quotation
    mark is not taken for one. UTF-8 read as Mac Roman turns curly quotes into two fixed characters.
    """
    codes = texts.codes
    far = np.flatnonzero(codes >= 0x80)
    if not len(far):
        return (texts.histogram[:, JUNK]).copy()
    role = _MOJIBAKE_LEADS[codes]
    lead = far[role[far] & 3 > 0]
    lead = lead[lead < len(codes) - 2]
    two = (role[lead] == 1) & (role[lead + 1] == 4)
    three = (role[lead] == 2) & (role[lead + 1] == 4) & (role[lead + 2] == 4)
    near = far[far < len(codes) - 1]
    mac = near[((codes[near] == 0x201A) & (codes[near + 1] == 0xC4)) | ((codes[near] == 0x221A) & (codes[near + 1] > 0x80))]
    found = 2 * texts.count_at(lead[two]) + 3 * texts.count_at(lead[three]) + 2 * texts.count_at(mac)
    return found + texts.count_at(far[_DEBRIS[codes[far]]]) + texts.histogram[:, JUNK]


_ALPHABET = np.zeros(32, dtype=np.uint8)  # scripts that do not share a word
_ALPHABET[[LOWER, UPPER]] = 1
_ALPHABET[UPPER + 1 : UPPER + 6] = np.arange(2, 7)  # Greek, Cyrillic, Hebrew, Arabic, Devanagari


def odd_shapes(texts: Texts) -> Ints:
    """(T,) places inside words where case, script or letters and digits change in a way words do not."""
    kinds = texts.kinds
    before, after = kinds[:-1], kinds[1:]
    camel = np.flatnonzero((before == LOWER) & (after == UPPER))
    letter = (before >= LOWER) & (before <= UPPER)
    follows = (after >= LOWER) & (after <= UPPER)
    mixed_digits = np.flatnonzero((letter & (after == DIGIT)) | (follows & (before == DIGIT)))
    first, second = _ALPHABET[before], _ALPHABET[after]
    mixed = np.flatnonzero((first != second) & (first > 0) & (second > 0))
    return texts.count_at(camel) + texts.count_at(mixed_digits) + 2 * texts.count_at(mixed)


def long_words(texts: Texts, limit: int = 25) -> Ints:
    """(T,) characters in words of more than `limit` characters, in scripts that set words apart."""
    words = texts.words
    size = words.end - words.start
    rows = np.flatnonzero(size > limit)
    rows = rows[texts.kinds[words.start[rows]] < THAI]
    size[:] = np.where(np.isin(np.arange(len(size)), rows), size, 0)
    return words.total(size)


def marks(texts: Texts) -> tuple[Ints, Ints]:
    """Per text: characters that are neither letter, digit nor space (an emoji counts half, twice here), and all but spaces."""
    seen = texts.histogram
    symbols = seen[:, [CODE, SYMBOL, STOP, COMMA, PUNCT, JUNK]].sum(1) * 2 + seen[:, EMOJI]
    return symbols, texts.sizes - seen[:, SPACE] - seen[:, NEWLINE]


# --------------------------------------------------------------------------- English


def unknown_words(texts: Texts, entry: NDArray[np.uint16], lexicon: Lexicon) -> tuple[Ints, Ints]:
    """Per text: lower-case words of three letters and more that are not in the English list, and all such words."""
    words = texts.words
    rows = np.flatnonzero((texts.kinds[words.start] == LOWER) & (words.end - words.start >= 3))
    counted = np.zeros(len(words.start), dtype=np.bool_)
    counted[rows] = True
    missing = rows[lexicon.word_class[entry[rows]] == 0]
    # "apple's" and "coworkers'" are known if they hold an apostrophe: names and plurals make too many of them
    unknown = np.zeros(len(words.start), dtype=np.bool_)
    unknown[missing] = True
    inner = np.flatnonzero(texts.kinds == 9)
    holder = np.searchsorted(words.start, inner, side="right") - 1
    holder = holder[(holder >= 0)]
    inner = inner[len(inner) - len(holder) :]
    unknown[holder[inner < words.end[holder]]] = False
    return words.total(unknown), words.total(counted)


EDGE, PAUSE, NUMBER, UNKNOWN = range(4)  # classes that are not words, as in the stored table


def word_order(texts: Texts, entry: NDArray[np.uint16], lexicon: Lexicon) -> tuple[Ints, Ints]:
    """Per text: surprise (bits against chance, times 16) of neighbouring word classes, and how many pairs."""
    words = texts.words
    if len(words.start) < 2:
        zero = np.zeros(texts.count, dtype=np.int64)
        return zero, zero
    bigram = tables().bigram
    own = lexicon.word_class[entry]
    own = np.where(own > 0, own, UNKNOWN)
    own = np.where(texts.kinds[words.start] == DIGIT, NUMBER, own)
    gap = _gaps(texts)
    joined = gap == 0
    pause, edge = gap == 2, gap == 3
    left, right = own[:-1], own[1:]
    bits = np.where(joined, bigram[left, right], 0).astype(np.int64)
    bits += np.where(pause, bigram[left, PAUSE].astype(np.int64) + bigram[PAUSE, right], 0)
    bits += np.where(edge, bigram[left, EDGE].astype(np.int64) + bigram[EDGE, right], 0)
    pairs = joined.astype(np.int64) + 2 * (pause | edge)
    offset = np.minimum(words.offset, len(bits))
    inside = words.text[:-1] == words.text[1:]
    return sums(np.where(inside, bits, 0), offset), sums(np.where(inside, pairs, 0), offset)


_GAP = np.full(32, 1, dtype=np.uint8)  # what stands between two words: 0 spaces, 1 other, 2 comma, 3 sentence end
_GAP[SPACE] = 0
_GAP[COMMA] = 2
_GAP[[STOP, NEWLINE]] = 3


def _gaps(texts: Texts) -> Bytes:
    """(W - 1,) the strongest kind of character between each word and the next."""
    words = texts.words
    cuts = np.empty(2 * len(words.start) - 2, dtype=np.int64)
    cuts[::2] = words.end[:-1]
    cuts[1::2] = words.start[1:]
    strongest: Bytes = np.maximum.reduceat(_GAP[texts.kinds], cuts)[::2]
    return strongest


def sentence_case(texts: Texts, entry: NDArray[np.uint16], lexicon: Lexicon) -> Ints:
    """(T,) function words with a capital inside a sentence, and small letters where a sentence begins."""
    words = texts.words
    if len(words.start) < 2:
        return np.zeros(texts.count, dtype=np.int64)
    kinds = texts.kinds
    first = kinds[words.start]
    second = kinds[np.minimum(words.start + 1, len(kinds) - 1)]
    plain = kinds[words.end - 1] == LOWER
    function = (lexicon.languages[entry] & np.uint32(1)) > 0
    apart = words.start[1:] - words.end[:-1]
    spaced = (apart == 1) & (kinds[words.end[:-1]] == SPACE)
    capital = spaced & function[1:] & (first[1:] == UPPER) & (second[1:] == LOWER) & (first[:-1] == LOWER)
    stopped = (apart == 2) & (kinds[words.end[:-1]] == STOP) & (kinds[words.end[:-1] + 1] == SPACE)
    long = words.end - words.start >= 3  # "e.g." and initials end in a point too
    small = stopped & (first[1:] == LOWER) & long[:-1] & plain[:-1]
    inside = words.text[:-1] == words.text[1:]
    return sums((capital | small) & inside, np.minimum(words.offset, len(capital)))


# ------------------------------------------------------------------ against the prompt


def echo(texts: Texts, prompts: Texts, size: int = 3) -> tuple[Ints, Ints]:
    """Per text: how many of its runs of `size` units stand in its prompt, and how many there are."""
    mode = unit_mode(texts)
    answer, asked = units(texts, mode), units(prompts, mode)
    width = np.where(mode == WORDS, size, 2 * size)
    rows = np.flatnonzero(np.diff(answer.offset) <= 3 * np.diff(asked.offset))
    own = np.zeros(texts.count, dtype=np.bool_)
    own[rows] = True
    first, value = grams(answer, width)
    text = np.repeat(np.arange(texts.count), np.diff(answer.offset))[first]
    there, asked_value = grams(asked, width)
    asked_text = np.repeat(np.arange(texts.count), np.diff(asked.offset))[there]
    keep, asked_keep = own[text], own[asked_text]
    salt = scramble(np.arange(1, texts.count + 1, dtype=np.uint64))
    seen = np.isin(value[keep] ^ salt[text[keep]], asked_value[asked_keep] ^ salt[asked_text[asked_keep]])
    hits = np.bincount(text[keep][seen], minlength=texts.count)
    return hits, np.bincount(text, minlength=texts.count)


def cut_short(texts: Texts, entry: NDArray[np.uint16], lexicon: Lexicon, english: Bools, limit: int) -> Bools:
    """(T,) at most `limit` words of English, the last of them unknown or one that ends no sentence, and no full stop."""
    words = texts.words
    last = np.maximum(words.offset[1:] - 1, 0)
    few = (words.count >= 2) & (words.count <= limit) & english
    rows = np.flatnonzero(few)
    last = last[rows]
    bare = texts.starts[rows + 1] - 1 - words.end[last]
    tail = texts.histogram  # noqa: F841
    end = words.end[last]
    closed = bare > 0
    # only blanks may follow the last word
    blank = np.cumsum(np.concatenate(([0], (texts.kinds > NEWLINE).astype(np.int64))))
    closed = blank[texts.starts[rows + 1]] - blank[end] > 0
    small = texts.kinds[words.start[last]] == LOWER
    strange = lexicon.word_class[entry[last]] == 0
    dangling = np.isin(words.hash[last], _dangling())
    result = np.zeros(texts.count, dtype=np.bool_)
    result[rows] = ~closed & small & (strange | dangling)
    return result


def _dangling() -> Hashes:
    import polars as pl

    from interjudge.judges.coherence_text import read

    return read(pl.Series(["the of and to an my your from which with as by at because if or but than"])).words.hash


def unused(values: Languages) -> None:
    """placeholder"""
