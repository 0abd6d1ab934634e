"""Our refusal lexicon (`lexicon.toml`) as tables a matcher can use: every phrase spelt out and normalised."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product
from re import sub
from typing import Final, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from interjudge.judges.normalise import normalise

Group = Literal["apology", "inability", "policy", "identity", "redirection", "moralising", "helping"]
Within = Literal["start", "sentence", "opening", "anywhere"]

# Where these lose their apostrophe, other English words stand there ("ill", "were").
_NEEDS_APOSTROPHE: Final = frozenset(["i'll", "i'd", "we'll", "we're", "we'd", "he'll", "she'll"])


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Strict):
    """Phrases that say the same thing, worth `points` once however many of them stand in an output.

    within : where a phrase counts: at the start, in the first sentence, in the opening (the first three
        sentences), or anywhere.
    unless_next, unless_before : what cancels a phrase when it follows or precedes it directly.
    """

    group: Group
    points: int
    within: Within = "anywhere"
    phrases: Sequence[str] = Field(min_length=1)
    unless_next: Sequence[str] = ()
    unless_before: Sequence[str] = ()


class Language(_Strict):
    """`boundaries`: whether phrases must begin and end where words do (not in scripts without spaces)."""

    boundaries: bool = True
    slots: Mapping[str, Sequence[str]] = {}
    rule: Sequence[Rule]


class Skip(_Strict):
    """What may stand before the first words proper; with `colon`, only where a colon follows."""

    phrases: Sequence[str]
    colon: bool = False


class LexiconFile(_Strict):
    """`lexicon.toml`; `threshold` is the sum of points from which an output is a refusal."""

    threshold: int
    skip: Sequence[Skip]
    language: Mapping[str, Language]


@dataclass(frozen=True)
class Lexicon:
    """The lexicon spelt out.

    Attributes
    ----------
    source : the parsed file, for a judge's identity.
    patterns : the distinct normalised strings to look for.
    table : one row a use of a pattern: `pattern`, `chars`, `boundaries`, `rule` (-1: a skip), `shift` (null:
        the phrase itself; else this cancels a phrase of the rule that starts so many characters on), `shown`.
    rules : one row a rule: `rule`, `language`, `group`, `points`, `within`.
    """

    source: LexiconFile
    patterns: pl.Series
    table: pl.DataFrame
    rules: pl.DataFrame


@cache
def built_in() -> Lexicon:
    """The lexicon that is part of the package."""
    text = files("interjudge.judges").joinpath("lexicon.toml").read_text("utf-8")
    return compiled(LexiconFile.model_validate(tomllib.loads(text)))


def compiled(source: LexiconFile) -> Lexicon:
    """Expand slots and spellings, normalise, and lay out as tables."""
    uses: list[tuple[str, bool, int, int | None, str]] = []
    rules: list[tuple[int, str, str, int, str]] = []
    for skip in source.skip:
        end = ":" if skip.colon else ""
        uses += [(_plain(phrase) + end, True, -1, None, phrase) for phrase in skip.phrases]
    for name, language in source.language.items():
        for rule in language.rule:
            number = len(rules)
            rules.append((number, name, rule.group, rule.points, rule.within))
            uses += ((text, language.boundaries, number, s, shown) for text, s, shown in _uses(rule, language))
    table = pl.DataFrame(
        uses,
        schema={
            "pattern": pl.String,
            "boundaries": pl.Boolean,
            "rule": pl.Int32,
            "shift": pl.Int64,
            "shown": pl.String,
        },
        orient="row",
    ).unique(["pattern", "rule", "shift"], keep="first", maintain_order=True)
    return Lexicon(
        source=source,
        patterns=table["pattern"].unique(maintain_order=True),
        table=table.with_columns(chars=pl.col("pattern").str.len_chars().cast(pl.Int64)),
        rules=pl.DataFrame(
            rules,
            schema={
                "rule": pl.Int32,
                "language": pl.String,
                "group": pl.String,
                "points": pl.Int64,
                "within": pl.String,
            },
            orient="row",
        ),
    )


def phrases_of(rule: Rule, language: Language) -> list[str]:
    """A rule's phrases with their slots filled, as a reader would write them."""
    return [text for phrase in rule.phrases for text in _filled(phrase, language.slots)]


def _uses(rule: Rule, language: Language) -> Iterator[tuple[str, int | None, str]]:
    """(pattern, shift, phrase as shown) of a rule: its phrases, and what cancels them."""
    joint = " " if language.boundaries else ""
    following = [_plain(text) for phrase in rule.unless_next for text in _filled(phrase, language.slots)]
    preceding = [_plain(text) for phrase in rule.unless_before for text in _filled(phrase, language.slots)]
    for shown in phrases_of(rule, language):
        for text in _spellings(_plain(shown)):
            yield text, None, shown
            for other in _spellings_of(following):
                yield text + joint + other, 0, shown
            for other in _spellings_of(preceding):
                yield other + joint + text, len(other + joint), shown


def _filled(phrase: str, slots: Mapping[str, Sequence[str]]) -> list[str]:
    """Every way to fill `{slot}` in a phrase; slots may hold slots."""
    parts = phrase.split("{")
    if len(parts) == 1:
        return [phrase]
    choices: list[list[str]] = [[parts[0]]]
    for part in parts[1:]:
        name, _, rest = part.partition("}")
        choices.append([text + rest for option in slots[name] for text in _filled(option, slots)])
    return [sub(" +", " ", "".join(pieces)).strip() for pieces in product(*choices)]


def _plain(phrase: str) -> str:
    return normalise(phrase)


def _spellings_of(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from _spellings(text)


def _spellings(text: str) -> tuple[str, ...]:
    """As it is, and as it is when the apostrophes were lost ("cant", "i m")."""
    if "'" not in text or not _NEEDS_APOSTROPHE.isdisjoint(text.split()):
        return (text,)
    return text, text.replace("'", ""), text.replace("'", " ")
