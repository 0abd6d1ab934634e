"""What is known of words: which are English and of which class, which are frequent in which language."""

from __future__ import annotations

import hashlib
import io
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.judges.coherence_settings import LanguageSettings
from interjudge.judges.coherence_text import (
    ARABIC,
    CYRILLIC,
    DEVANAGARI,
    GREEK,
    HAN,
    HANGUL,
    HEBREW,
    KANA,
    LOWER,
    N_CLASSES,
    THAI,
    UPPER,
    Bytes,
    Floats,
    Hashes,
    Ints,
    Texts,
    read,
)

_SLOT_BITS = 20
SCRIPTS = {"Greek": GREEK, "Cyrillic": CYRILLIC, "Hebrew": HEBREW, "Arabic": ARABIC, "Devanagari": DEVANAGARI,
           "Thai": THAI, "Korean": HANGUL}  # fmt: skip


@dataclass(frozen=True)
class Lexicon:
    """Words by hash: `slots` (2^20,) number of an entry or 0, `hash`, `word_class`, `languages` (E,) per entry.

    `names` are the languages behind the bits of `languages`, English first.
    """

    slots: NDArray[np.uint16]
    hash: Hashes
    word_class: Bytes
    languages: NDArray[np.uint32]
    names: tuple[str, ...]
    digest: str

    def find(self, hashes: Hashes) -> NDArray[np.uint16]:
        """The entry of each word, 0 where it is not known: open addressing, a step at a time."""
        slot = (hashes >> np.uint64(64 - _SLOT_BITS)).astype(np.int64)
        entry = self.slots[slot]
        wrong = np.flatnonzero((self.hash[entry] != hashes) & (entry > 0))
        while len(wrong):
            slot[wrong] = (slot[wrong] + 1) % len(self.slots)
            entry[wrong] = self.slots[slot[wrong]]
            wrong = wrong[(self.hash[entry[wrong]] != hashes[wrong]) & (entry[wrong] > 0)]
        return entry


@cache
def lexicon() -> Lexicon:
    folder = files("interjudge.judges")
    raw = folder.joinpath("coherence_words.parquet").read_bytes()
    named = folder.joinpath("coherence_languages.toml").read_bytes()
    table = pl.read_parquet(io.BytesIO(raw))
    texts = read(table["word"])
    # each row is one word; the entry 0 stands for "not known"
    hashes = np.concatenate((np.zeros(1, np.uint64), texts.words.hash))
    slots = np.zeros(1 << _SLOT_BITS, dtype=np.uint16)
    slot = (hashes >> np.uint64(64 - _SLOT_BITS)).astype(np.int64)
    left = np.arange(1, len(hashes))
    while len(left):
        free = left[slots[slot[left]] == 0]
        slots[slot[free]] = free  # of several that want one slot the last one gets it
        left = left[slots[slot[left]] != left]
        slot[left] = (slot[left] + 1) % len(slots)
    return Lexicon(
        slots=slots,
        hash=hashes,
        word_class=np.concatenate((np.zeros(1, np.uint8), table["word_class"].to_numpy())),
        languages=np.concatenate((np.zeros(1, np.uint32), table["languages"].to_numpy())),
        names=tuple(tomllib.loads(named.decode())["words"]),
        digest=hashlib.sha256(raw + named).hexdigest(),
    )


@dataclass(frozen=True)
class Languages:
    """The languages of T texts.

    `votes` (T, 32): how many words are frequent words of each Latin-script language; `words` (T,) words in
    Latin script; `best` (T,): the language with most votes; `known` (T,): whether it is safe to name it;
    `script` (T,): the class of the script that most letters are of, where it is not Latin, else 0;
    `letters` (T,).
    """

    votes: Ints
    words: Ints
    best: Ints
    known: NDArray[np.bool_]
    script: Ints
    letters: Ints

    def share(self, language: int) -> Floats:
        """(T,) share of the words that are frequent words of this language."""
        return self.votes[:, language] / np.maximum(self.words, 1)


def languages(texts: Texts, entry: NDArray[np.uint16], how: LanguageSettings) -> Languages:
    """Tell languages by script and by frequent words; where these are too few the language is not known."""
    words = texts.words
    bits = lexicon().languages[entry]
    rows = np.flatnonzero(bits)
    lit = np.unpackbits(bits[rows].astype("<u4").view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
    edge = np.searchsorted(rows, words.offset)
    some = np.flatnonzero(np.diff(edge))  # the texts that have any such word
    votes = np.zeros((texts.count, 32), dtype=np.int64)
    if len(some):
        votes[some] = np.add.reduceat(lit, edge[some], axis=0, dtype=np.int64)
    best = votes.argmax(1)
    top = votes[np.arange(texts.count), best]
    histogram = texts.histogram
    letters = histogram[:, LOWER:].sum(1)
    latin = histogram[:, LOWER] + histogram[:, UPPER]
    groups = np.zeros((texts.count, N_CLASSES), dtype=np.int64)
    groups[:, list(SCRIPTS.values())] = histogram[:, list(SCRIPTS.values())]
    groups[:, HAN] = histogram[:, HAN] + histogram[:, KANA]
    script = np.where(groups.max(1) * 2 > letters, groups.argmax(1), 0)
    # Japanese is what has kana beside its Han characters
    script = np.where((script == HAN) & (histogram[:, KANA] * 10 > histogram[:, HAN]), KANA, script)
    known = (top >= how.min_votes) & (top >= how.min_share * words.count) & (latin * 2 > letters)
    return Languages(votes, words.count, best, known, script, letters)
