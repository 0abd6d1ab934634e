"""The values of all coherence signals for a batch of texts: the counts of the other modules put into rates.

A rate is shrunk towards the usual one, (events - usual * n) / (n + weight): 0 for usual text, above 0 for
worse, and close to 0 for short texts whatever they hold. NaN (null in the table) says that a signal does not
apply: another script or language, or too little text.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from interjudge.judges import coherence_signals as count
from interjudge.judges.coherence_repeats import WORDS, Repeats, echo, first_occurrences, repeats, unit_mode
from interjudge.judges.coherence_settings import Settings, Signal
from interjudge.judges.coherence_text import LOWER, MARK, UPPER, Bools, Floats, Ints, Texts
from interjudge.judges.coherence_words import Languages, languages, lexicon

ENGLISH: Final = 0
LINE_CHARS: Final = 20_000  # of a response whose lines are looked at

# A line of a program or of data, from its beginning to its end.
_CODE_LINE: Final = (
    r"(?m)^[ \t]*(?:"
    r"(?:async )?def \w+\(.*|class \w+.*[:{]|(?:import|from) [\w.]+(?: import .*| as \w+|;)?|@\w[\w.]*(?:\(.*)?|"
    r"(?:if|elif|for|while|with|except|switch|else if)\b.*[:{]|(?:else|try|finally|do)\b ?[:{]|"
    r"(?:return|raise|yield|assert|print|echo|del|pass|break|continue)\b[^.!?\n]*|"
    r"(?:public|private|protected|static|void|const|let|var|int|double|float|bool|function|fn|func)\b .*[;{(=]|"
    r"[\w.\[\]'\"]+(?:, ?\w+)* ?(?:[-+*/|&%]|//)?= ?(?:[\w.]*\(.*|[\[{].*|[\"'].*|[\w.\[\]]+[;,]?)|"
    r"[\w.]+\[.*\] ?=.*|[\w.]+\([^()\n]*\)[;:]?|self\.\w+.*|"
    r"(?:#include|#define|#!|//|/\*|>>>|\$ ).*|</?\w{2,}[^<>\n]*>.*|\"[^\"\n]*\" ?: ?.*|[\[\](){}]+[,;]?|"
    r".*[(=].*;|.*\{|```.*|(?:SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|CREATE|JOIN) .*"
    r")[ \t]*$"
)
_LINE: Final = r"(?m)^[ \t]*\S"
# A line that is an option and little more: "B", "(b).", "Answer: C", "A) whale", "1. D".
_OPTION: Final = (
    r"(?m)^[ \t]*(?:(?i:(?:so |thus |therefore,? )?(?:the )?(?:correct |right |best )?(?:answer|option|choice)"
    r"(?: is| was)?)[ :]*)?(?:\d+[.):] ?)?[(\[]?[A-Ea-e][)\]]?(?:[.):][ \t]*(?:\S+(?: \S+)?)?)?[ \t]*$"
)
_TABLE_LINE: Final = r"(?m)^[ \t]*\|.*\|[ \t]*$"
PATTERNS: Final = {"line": _LINE, "code": _CODE_LINE, "option": _OPTION, "table": _TABLE_LINE}


def lines(responses: pl.Series) -> pl.DataFrame:
    """What the lines of each response look like.

    `lines`, `option_lines`, `table_lines`: how many; `code_chars`, `chars`: characters in lines of code (of
    which there must be two, one may be a formula) and in all; `code`: whether there is any, also in backticks.
    """
    text = pl.col("text").str.slice(0, LINE_CHARS)
    size = text.str.len_chars().cast(pl.Int64)
    rest = text.str.replace_all(_CODE_LINE, "").str.len_chars().cast(pl.Int64)
    table = responses.alias("text").to_frame()
    return table.select(
        lines=text.str.count_matches(_LINE).cast(pl.Int64),
        option_lines=text.str.count_matches(_OPTION).cast(pl.Int64),
        table_lines=text.str.count_matches(_TABLE_LINE).cast(pl.Int64),
        chars=size,
        code_chars=pl.when(text.str.count_matches(_CODE_LINE) > 1).then(size - rest).otherwise(0),
        ticks=text.str.contains("`", literal=True),
    ).with_columns(code=pl.col("ticks") | (pl.col("code_chars") > 0))


@dataclass(frozen=True)
class _Batch:
    """Texts with their prompts, and what several signals need of them."""

    texts: Texts
    prompts: Texts
    how: Settings

    @cached_property
    def entry(self) -> count.Entries:
        return lexicon().find(self.texts.words.hash)

    @cached_property
    def spoken(self) -> Languages:
        return languages(self.texts, self.entry, self.how.languages)

    @cached_property
    def asked(self) -> Languages:
        return languages(self.prompts, lexicon().find(self.prompts.words.hash), self.how.languages)

    @cached_property
    def latin(self) -> Bools:
        seen = self.texts.histogram
        latin: Bools = (seen[:, LOWER] + seen[:, UPPER]) * 2 > seen[:, LOWER:].sum(1)
        return latin

    @cached_property
    def english(self) -> Bools:
        english: Bools = self.spoken.known & (self.spoken.best == ENGLISH)
        return english

    @cached_property
    def first(self) -> Bools:
        return first_occurrences(self.texts)

    @cached_property
    def found(self) -> Repeats:
        return repeats(self.texts)


def measured(texts: Texts, prompts: Texts, how: Settings, shaped: pl.DataFrame) -> pl.DataFrame:
    """One column a signal of `how`, and `words`, `copied`, `looped`, `turn_from`, `turn_length`.

    `shaped` is what `lines` answered for the same responses; `turn_from` and `turn_length` are characters.
    """
    batch = _Batch(texts, prompts, how)
    words = texts.words.count
    values = {
        **_repetition(batch),
        **_letters(batch),
        **_english(batch),
        **_against_prompt(batch),
        **_structure(shaped, words, how),
    }
    found = batch.found
    size = np.maximum(found.units, 1)
    return pl.DataFrame(
        {n: np.round(np.where(words >= s.least, values[n], np.nan), 9) for n, s in how.signals.items()}
        | {
            "words": words,
            "copied": found.copied / size,
            "looped": found.looped / size,
            "turn_from": np.where(found.period > 0, found.span[:, 0] - texts.starts[:-1], 0),
            "turn_length": found.span[:, 1] - found.span[:, 0],
        },
        nan_to_null=True,
    )


def _where(applies: Bools, values: Floats) -> Floats:
    return np.where(applies, values, np.nan)


def _rate(events: Ints | Floats, size: Ints, signal: Signal) -> Floats:
    rate: Floats = (events - signal.usual * size) / (size + signal.weight)
    return rate


def _repetition(batch: _Batch) -> dict[str, Floats]:
    """Copied and looped units per unit that is new: these grow without bound as a text goes on looping."""
    signal, found = batch.how.signals, batch.found
    words, different = batch.texts.words.count, batch.texts.words.total(batch.first)
    size = np.log(np.maximum(words, 1))
    heaps = batch.how.heaps
    missing = np.minimum(heaps.intercept + heaps.slope * size, size) - np.log(np.maximum(different, 1))
    return {
        "loop": found.looped / (found.units - found.looped + signal["loop"].weight),
        "compression": found.copied / (found.units - found.copied + signal["compression"].weight),
        "tail": np.where(unit_mode(batch.texts) == WORDS, found.tail, found.tail / 2),
        "vocabulary": _where(batch.latin, missing * words / (words + signal["vocabulary"].weight)),
    }


def _letters(batch: _Batch) -> dict[str, Floats]:
    texts, signal = batch.texts, batch.how.signals
    surprise, pairs = count.letter_surprise(texts)
    entropy, letters = count.letter_entropy(texts)
    unusual = np.abs(entropy - signal["entropy"].usual) * letters / (letters + signal["entropy"].weight)
    in_english = batch.asked.known & (batch.asked.best == ENGLISH)
    signs, visible = count.marks(texts)
    wordless = texts.histogram[:, MARK + 1 :].sum(1) == 0
    return {
        "empty": wordless * 1.0,
        "gibberish": _where(batch.latin, _rate(surprise / 16, pairs, signal["gibberish"])),
        "entropy": _where(batch.english | (batch.latin & ~batch.spoken.known & in_english), unusual),
        "encoding": _rate(count.encoding_debris(texts), visible, signal["encoding"]),
        "word_shape": _rate(count.odd_shapes(texts), texts.words.count, signal["word_shape"]),
        "glued": _rate(count.overlong(texts), visible, signal["glued"]),
        "symbols": _rate(signs, visible, signal["symbols"]),
    }


def _english(batch: _Batch) -> dict[str, Floats]:
    texts, entry, signal = batch.texts, batch.entry, batch.how.signals
    unknown, small = count.unknown_words(texts, entry, batch.first)
    bits, pairs = count.word_order(texts, entry, lexicon())
    case = count.sentence_case(texts, entry, lexicon())
    return {
        "unknown_words": _where(batch.english, _rate(unknown, small, signal["unknown_words"])),
        "word_order": _where(batch.english, _rate(bits / 16, pairs, signal["word_order"])),
        "sentence_case": _where(batch.english, _rate(case, texts.words.count, signal["sentence_case"])),
    }


def _against_prompt(batch: _Batch) -> dict[str, Floats]:
    spoken, asked, signal = batch.spoken, batch.asked, batch.how.signals
    there, runs = echo(batch.texts, batch.prompts)
    lacking = signal["no_language"].usual * spoken.words - spoken.votes.max(1)
    cut, bits = count.cut_short(batch.texts, batch.entry, lexicon(), batch.how.truncated.limit)
    # asked in a language other than English, as far as one can see
    elsewhere = (asked.script > 0) | (asked.known & (asked.votes[:, ENGLISH] < asked.votes.max(1)))
    return {
        "truncated": np.where(cut & ~elsewhere, np.maximum(bits / 16, 1), 0),
        "echo": there / (runs + signal["echo"].weight),
        "no_language": _where(batch.latin & asked.known, lacking / (spoken.words + signal["no_language"].weight)),
        "language": _other_language(spoken, asked, signal["language"]),
    }


def _other_language(spoken: Languages, asked: Languages, signal: Signal) -> Floats:
    """1 for a response wholly in a language that the prompt is not in, 0 for the same; NaN where unknown."""
    top = spoken.votes.max(1)
    likely = asked.votes * 2 >= asked.votes.max(1, keepdims=True)  # short prompts may be of several languages
    own = np.where(likely, spoken.votes, 0).max(1)
    size = np.where(spoken.script > 0, spoken.letters, spoken.words)
    both_latin = spoken.known & asked.known
    scripts = np.where(asked.script > 0, spoken.known | (spoken.script > 0), asked.known & (spoken.script > 0))
    differs = np.where(both_latin, 1 - own / np.maximum(top, 1), spoken.script != asked.script)
    return _where(both_latin | scripts, differs * size / (size + signal.weight))


def _structure(shaped: pl.DataFrame, words: Ints, how: Settings) -> dict[str, Floats]:
    """Code by characters; options (where few words stand beside them) and a quarter of tables' rows by lines."""
    signal = how.signals
    seen = {name: shaped[name].to_numpy() for name in shaped.columns}
    options = np.where(words <= 8 * seen["option_lines"], seen["option_lines"], 0) + 0.25 * seen["table_lines"]
    return {
        "code": seen["code_chars"] / (seen["chars"] + signal["code"].weight),
        "choices": options / (seen["lines"] + signal["choices"].weight),
    }
