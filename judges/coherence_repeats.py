"""Repeats in texts and against their prompts, found by sorting hashed runs of words or characters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interjudge.judges.coherence_text import HANGUL, MARK, THAI, Bools, Hashes, Ints, Texts, scramble, sums, tables

WORDS, CHARS, GLUED = range(3)  # what repeats of a text are counted in
GRAM = np.array([4, 8, 16])  # units in a row that make a repeat, per mode
ECHO_GRAM = np.array([3, 6, 6])

_POSITION = np.uint64((1 << 24) - 1)  # beside 40 bits of hash in one sortable integer
_STEP = np.uint64(0xD6E8FEB86659FD93)  # odd


@dataclass(frozen=True)
class Units:
    """What repeats are counted in: words, or characters where words are not set apart. U units, T texts.

    `offset` (T + 1,) which units belong to which text; `start`, `end` (U,) character positions; `hash` (U,).
    """

    offset: Ints
    start: Ints
    end: Ints
    hash: Hashes

    @property
    def count(self) -> Ints:
        return np.diff(self.offset)

    @property
    def text(self) -> Ints:
        return np.repeat(np.arange(len(self.offset) - 1), self.count)


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
    single = np.flatnonzero(np.repeat(mode != WORDS, texts.sizes) & (texts.kinds >= MARK))
    whole = np.repeat(mode == WORDS, words.count)
    start = np.concatenate((words.start[whole], single))
    order = np.argsort(start, kind="stable")
    start = start[order]
    end = np.concatenate((words.end[whole], single + 1))[order]
    value = np.concatenate((words.hash[whole], tables().mix[texts.codes[single]]))[order]
    return Units(np.searchsorted(start, texts.starts), start, end, value)


def grams(found: Units, size: Ints) -> tuple[Ints, Hashes]:
    """First units and hashes (G,) of all runs of size[t] units that lie inside a text."""
    last = np.repeat(found.offset[1:] - size, found.count)
    first = np.flatnonzero(np.arange(len(found.hash)) <= last)
    width = np.repeat(size, found.count)[first]
    value = found.hash[first]
    for step in range(1, int(size.max(initial=1))):
        more = step < width
        after = found.hash[np.where(more, first + step, first)]
        value = np.where(more, value * _STEP + after, value)
    return first, scramble(value)


def previous(place: Ints, value: Hashes, text: Ints) -> tuple[Ints, Ints]:
    """Places whose hash stood earlier in the same text, and the nearest earlier place of each.

    `place` (G,) positions below 2^24, `value` (G,) their hashes, `text` the text of every position. Sorting
    (40 bits of hash, position) puts each place directly behind its previous occurrence.
    """
    key = np.sort((value & ~_POSITION) | place.astype(np.uint64))
    again = np.flatnonzero((key[1:] ^ key[:-1]) <= _POSITION)
    later = (key[again + 1] & _POSITION).astype(np.int64)
    earlier = (key[again] & _POSITION).astype(np.int64)
    same = text[later] == text[earlier]
    return later[same], earlier[same]


@dataclass(frozen=True)
class Repeats:
    """Repeats in T texts, each (T,) in units.

    `units` in all; `copied`: those inside a run of `GRAM` units that stood in the text before (what an LZ77
    compressor would copy); `looped`: those in stretches that repeat what stands directly before them, the
    first turn included; `tail`: length of the stretch at the very end that is all copied; `period`: length of
    one turn of the longest loop, 0 where there is none; `span` (T, 2): character positions of that turn.
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
    text = found.text
    size = GRAM[mode]
    first, value = grams(found, size)
    place, earlier = previous(first, value, text)
    order = np.argsort(place, kind="stable")
    place, lag = place[order], (place - earlier)[order]
    covered = _covered(place, place + size[text[place]], len(found.hash))
    # The last unit of each text that was not copied; before its first unit where all were.
    fresh = np.append(-1, np.flatnonzero(~covered))
    last = fresh[np.searchsorted(fresh, found.offset[1:]) - 1]
    tail = found.offset[1:] - 1 - np.maximum(last, found.offset[:-1] - 1)
    # Stretches: neighbouring places that look back over the same distance.
    opens = np.flatnonzero((np.diff(place, prepend=-2) != 1) | (np.diff(lag, prepend=0) != 0))
    begin, back = place[opens], lag[opens]
    end = place[np.append(opens[1:], len(place))[: len(opens)] - 1] + size[text[begin]]
    loop = end - begin >= back
    begin, end, back = begin[loop], end[loop], back[loop]
    looped = sums(_covered(begin - back, end, len(found.hash)), found.offset)
    period = np.zeros(texts.count, dtype=np.int64)
    span = np.zeros((texts.count, 2), dtype=np.int64)
    longest = np.argsort(end - begin, kind="stable")  # the last one written per text is the longest
    begin, back = begin[longest], back[longest]
    period[text[begin]] = back
    span[text[begin], 0] = found.start[begin - back]
    span[text[begin], 1] = found.end[begin - 1]
    return Repeats(found.count, sums(covered, found.offset), looped, tail, period, span)


def _covered(begin: Ints, end: Ints, size: int) -> Bools:
    """Which of `size` units lie in any of the stretches begin:end."""
    depth = np.bincount(begin, minlength=size + 1) - np.bincount(end, minlength=size + 1)
    return np.cumsum(depth)[:-1] > 0


def first_occurrences(texts: Texts) -> Bools:
    """(W,) whether a word stands in its text for the first time."""
    words = texts.words
    later, _ = previous(np.arange(len(words.hash)), words.hash, words.text)
    first = np.ones(len(words.hash), dtype=np.bool_)
    first[later] = False
    return first


def echo(texts: Texts, prompts: Texts) -> tuple[Ints, Ints]:
    """Per text: how many of its runs of three words (six characters) stand in its prompt, and how many it has.

    Texts of more than three times the prompt's length are not looked at: they have 0 of any.
    """
    mode = unit_mode(texts)
    answer, asked = units(texts, mode), units(prompts, mode)
    short = answer.count <= 3 * asked.count
    first, value = grams(answer, ECHO_GRAM[mode])
    there, asked_value = grams(asked, ECHO_GRAM[mode])
    text, asked_text = answer.text[first], asked.text[there]
    salt = scramble(np.arange(1, texts.count + 1, dtype=np.uint64))  # one text's runs meet its own prompt's only
    keep, asked_keep = short[text], short[asked_text]
    text = text[keep]
    seen = np.isin(value[keep] ^ salt[text], (asked_value ^ salt[asked_text])[asked_keep])
    return np.bincount(text[seen], minlength=texts.count), np.bincount(text, minlength=texts.count)
