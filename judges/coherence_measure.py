"""The values of all coherence signals for a batch of texts: the counts of the other modules put into rates.

A rate is shrunk towards the usual one, (events - usual * n) / (n + weight): 0 for usual text, above 0 for
worse, and close to 0 for short texts whatever they hold. NaN says that a signal does not apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from interjudge.judges import coherence_signals as count
from interjudge.judges.coherence_repeats import WORDS, echo, first_occurrences, repeats, unit_mode
from interjudge.judges.coherence_text import LOWER, MARK, UPPER, Bools, Floats, Ints, Texts
from interjudge.judges.coherence_words import Languages, languages, lexicon

if TYPE_CHECKING:
    from interjudge.judges.coherence import Settings, Signal

ENGLISH = 0

SHAPE_CHARS = 20_000  # of a response whose lines are looked at

# A line of a program or of data, from its beginning to its end.
_CODE_LINE = (
    r"(?m)^[ \t]*(?:"
    r"(?:async )?def \w+\(.*|class \w+.*[:{]|(?:import|from) [\w.]+(?: import .*| as \w+|;)?|@\w[\w.]*(?:\(.*)?|"
    r"(?:if|elif|for|while|with|except|switch|else if)\b.*[:{]|(?:else|try|finally|do)\b ?[:{]|"
    r"(?:return|raise|yield|assert|print|echo|del|pass|break|continue)\b[^.!?\n]*|"
    r"(?:public|private|protected|static|void|const|let|var|int|double|float|bool|function|fn|func)\b .*[;{(=]|"
    r"[\w.\[\]'\"]+(?:, ?\w+)* ?(?:[-+*/|&%]|//)?= ?(?:[\w.]*\(.*|[\[{].*|[\"'].*|[\w.\[\]]+[;,]?)|[\w.]+\[.*\] ?=.*|[\w.]+\([^()\n]*\)[;:]?|self\.\w+.*|"
    r"(?:#include|#define|#!|//|/\*|>>>|\$ ).*|</?\w{2,}[^<>\n]*>.*|\"[^\"\n]*\" ?: ?.*|[\[\](){}]+[,;]?|.*[(=].*;|.*\{|```.*|"
    r"(?:SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|CREATE|JOIN) .*"
    r")[ \t]*$"
)
_LINE = r"(?m)^[ \t]*\S"
# A line that is an option and nothing more: "B", "(b).", "Answer: C", "A) whale", "1. D".
_OPTION = (
    r"(?m)^[ \t]*(?:(?i:(?:so |thus |therefore,? )?(?:the )?(?:correct |right |best )?(?:answer|option|choice)"
    r"(?: is| was)?)[ :]*)?(?:\d+[.):] ?)?[(\[]?[A-Ea-e][)\]]?(?:[.):][ \t]*(?:\S+(?: \S+)?)?)?[ \t]*$"
)
_TABLE_LINE = r"(?m)^[ \t]*\|.*\|[ \t]*$"


def shapes(responses: pl.Series) -> pl.DataFrame:
    """What each response's lines look like.

    `lines`, `option_lines`, `table_lines`: how many; `code_chars`, `chars`: characters of lines of code and
    of all lines; `code`: whether there is any code, be it in backticks.
    """
    text = pl.col("text").str.slice(0, SHAPE_CHARS)
    return responses.alias("text").to_frame().select(
        lines=text.str.count_matches(_LINE).cast(pl.Int64),
        option_lines=text.str.count_matches(_OPTION).cast(pl.Int64),
        table_lines=text.str.count_matches(_TABLE_LINE).cast(pl.Int64),
        chars=text.str.len_chars().cast(pl.Int64),
        code_chars=pl.when(text.str.count_matches(_CODE_LINE) > 1)  # one may be a formula
        .then(text.str.len_chars().cast(pl.Int64) - text.str.replace_all(_CODE_LINE, "").str.len_chars())
        .otherwise(0),
        ticks=text.str.contains("`", literal=True),
    ).with_columns(code=pl.col("ticks") | (pl.col("code_chars") > 0))


def measured(texts: Texts, prompts: Texts, how: Settings, shaped: pl.DataFrame) -> pl.DataFrame:
    """One column a signal of `how`, and `words`, `loop_from`, `loop_length` (characters of one turn)."""
    known = lexicon()
    entry = known.find(texts.words.hash)
    spoken = languages(texts, entry, how.languages.min_votes, how.languages.min_share)
    asked_entry = known.find(prompts.words.hash)
    asked = languages(prompts, asked_entry, how.languages.min_votes, how.languages.min_share)
    signal = how.signals
    words = texts.words.count
    english = spoken.known & (spoken.best == ENGLISH)
    in_english = asked.known & (asked.best == ENGLISH)
    histogram = texts.histogram
    latin = (histogram[:, LOWER] + histogram[:, UPPER]) * 2 > histogram[:, LOWER:].sum(1)
    found = repeats(texts)
    letters, surprise = count.letter_surprise(texts)[::-1]
    entropy, n_letters = count.letter_entropy(texts)
    signs, visible = count.marks(texts)
    first = first_occurrences(texts)
    unknown, small = count.unknown_words(texts, entry, first)
    bits, pairs = count.word_order(texts, entry, known)
    there, runs = echo(texts, prompts)
    cut, end_bits = count.cut_short(texts, entry, known, how.truncated.limit)
    lines = shaped["lines"].to_numpy()
    values = {
        "empty": (histogram[:, MARK + 1 :].sum(1) == 0) * 1.0,
        "truncated": np.where(cut & ~_elsewhere(asked), np.maximum(end_bits / 16, 1), 0),
        "loop": found.looped / (found.units - found.looped + signal["loop"].weight),
        "compression": found.copied / (found.units - found.copied + signal["compression"].weight),
        "tail": np.where(unit_mode(texts) == WORDS, found.tail, found.tail / 2),
        "vocabulary": _where(latin, _vocabulary(words, texts.words.total(first), how)),
        "gibberish": _where(latin, _rate(surprise / 16, letters, signal["gibberish"])),
        "entropy": _where(english | (latin & ~spoken.known & in_english), _entropy(entropy, n_letters, signal["entropy"])),
        "unknown_words": _where(english, _rate(unknown, small, signal["unknown_words"])),
        "word_order": _where(english, _rate(bits / 16, pairs, signal["word_order"])),
        "sentence_case": _where(english, _rate(count.sentence_case(texts, entry, known), words, signal["sentence_case"])),
        "encoding": _rate(count.encoding_debris(texts), visible, signal["encoding"]),
        "word_shape": _rate(count.odd_shapes(texts), words, signal["word_shape"]),
        "glued": _rate(count.overlong(texts), visible, signal["glued"]),
        "symbols": _rate(signs, visible, signal["symbols"]),
        "no_language": _where(latin & asked.known, _no_language(spoken, signal["no_language"])),
        "language": _other_language(spoken, asked, signal["language"]),
        "echo": there / (runs + signal["echo"].weight),
        "code": shaped["code_chars"].to_numpy() / (shaped["chars"].to_numpy() + signal["code"].weight),
        "choices": _choices(shaped, words) / (lines + signal["choices"].weight),
    }
    start = texts.starts[:-1]
    return pl.DataFrame(
        {n: np.round(np.where(words >= s.least, values[n], np.nan), 9) for n, s in signal.items()}
        | {
            "words": words,
            "loop_from": np.where(found.period > 0, found.span[:, 0] - start, 0),
            "loop_length": found.span[:, 1] - found.span[:, 0],
        },
        nan_to_null=True,
    )


def _where(applies: Bools, values: Floats) -> Floats:
    return np.where(applies, values, np.nan)


def _rate(events: Ints | Floats, size: Ints, signal: Signal) -> Floats:
    rate: Floats = (events - signal.usual * size) / (size + signal.weight)
    return rate


def _vocabulary(n: Ints, v: Ints, how: Settings) -> Floats:
    """How far the logarithm of the number of different words lies below what the length lets expect."""
    size = np.log(np.maximum(n, 1))
    missing = np.minimum(how.heaps.intercept + how.heaps.slope * size, size) - np.log(np.maximum(v, 1))
    return missing * n / (n + how.signals["vocabulary"].weight)


def _entropy(entropy: Floats, letters: Ints, signal: Signal) -> Floats:
    return np.abs(entropy - signal.usual) * letters / (letters + signal.weight)


def _elsewhere(asked: Languages) -> Bools:
    """(T,) whether a prompt is in a language other than English, as far as one can see."""
    return (asked.script > 0) | (asked.known & (asked.votes[:, ENGLISH] < asked.votes.max(1)))


def _no_language(spoken: Languages, signal: Signal) -> Floats:
    votes = spoken.votes.max(1)
    return (signal.usual * spoken.words - votes) / (spoken.words + signal.weight)


def _other_language(spoken: Languages, asked: Languages, signal: Signal) -> Floats:
    """1 for a response wholly in a language that the prompt is not in, 0 for the same; NaN where unknown."""
    row = np.arange(len(spoken.best))
    top = spoken.votes[row, spoken.best]
    likely = asked.votes * 2 >= asked.votes.max(1, keepdims=True)  # short prompts may be of several languages
    own = np.where(likely, spoken.votes, 0).max(1)
    units = np.where(spoken.script > 0, spoken.letters, spoken.words)
    weight = units / (units + signal.weight)
    latin = spoken.known & asked.known
    across = ((asked.script > 0) & (spoken.known | (spoken.script > 0))) | ((spoken.script > 0) & asked.known)
    differs = np.where(latin, 1 - own / np.maximum(top, 1), spoken.script != asked.script)
    return np.where(latin | across, differs * weight, np.nan)


def _choices(shaped: pl.DataFrame, words: Ints) -> Floats:
    """Lines that are mere options, where there are few words beside them; rows of tables count half."""
    options, table = shaped["option_lines"].to_numpy(), shaped["table_lines"].to_numpy()
    return np.where(words <= 8 * options, options, 0) + 0.5 * table


def patterns() -> dict[str, str]:
    """What decides values beside the settings, for the judge's identity."""
    return {"code": _CODE_LINE, "option": _OPTION, "table": _TABLE_LINE}
