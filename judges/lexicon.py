"""Our refusal lexicon (`lexicon.toml`) as tables a matcher can use: every phrase spelt out and normalised."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Final, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from interjudge.judges.normalise import SEPARATORS, normalised

Group = Literal["apology", "inability", "policy", "identity", "redirection", "moralising", "helping"]
Within = Literal["start", "sentence", "opening", "anywhere"]

# Where these lose their apostrophe, other English words stand there ("ill", "were").
_NEEDS_APOSTROPHE: Final = frozenset(["i'll", "i'd", "we'll", "we're", "we'd", "he'll", "she'll"])

# Up to this length, phrases are looked for together with what separates words: "no" is part of many words.
_SHORT: Final = 3
_USES: Final = {
    "pattern": pl.String,
    "lead": pl.Int64,
    "chars": pl.Int64,
    "boundaries": pl.Boolean,
    "rule": pl.Int64,
    "phrase": pl.String,
}
_RULES: Final = {
    "rule": pl.Int64,
    "language": pl.String,
    "group": pl.String,
    "points": pl.Int64,
    "within": pl.String,
}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Strict):
    """Phrases that say the same thing, worth `points` once however many of them stand in an output.

    `within` says where they count: at the start, in the first sentence, in the opening (the first two
    sentences), or anywhere. A phrase counts only where one of `if_next` follows it directly (when given), and
    not where one of `unless_next` follows or one of `unless_before` precedes it directly.
    """

    group: Group
    points: int
    within: Within = "anywhere"
    phrases: Sequence[str] = Field(min_length=1)
    if_next: Sequence[str] = ()
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
class Context:
    """What must or must not stand beside a rule's phrases, as regular expressions over the text after
    (anchored at its start) and before (anchored at its end); null where the rule has none."""

    rule: int
    if_next: str | None
    unless_next: str | None
    unless_before: str | None


@dataclass(frozen=True)
class Lexicon:
    """The lexicon spelt out.

    Attributes
    ----------
    source : the parsed file, for a judge's identity.
    patterns : the distinct normalised strings to look for.
    uses : one row a use of a pattern: `pattern`; `lead`, `chars`: where the phrase starts in it, and its length;
        `boundaries`; `rule` (-1: a skip); `phrase`, as the lexicon writes it.
    rules : one row a rule: `rule`, `language`, `group`, `points`, `within`.
    contexts : of the rules that have one.
    window : how many characters beside a phrase the contexts look at.
    """

    source: LexiconFile
    patterns: pl.Series
    uses: pl.DataFrame
    rules: pl.DataFrame
    contexts: tuple[Context, ...]
    window: int


@cache
def built_in() -> Lexicon:
    """The lexicon that is part of the package."""
    text = files("interjudge.judges").joinpath("lexicon.toml").read_text("utf-8")
    return compiled(LexiconFile.model_validate(tomllib.loads(text)))


def compiled(source: LexiconFile) -> Lexicon:
    """Expand slots and spellings, normalise, and lay out as tables."""
    plain = _plain(source)
    uses: list[tuple[str, bool, int, str]] = []
    rules: list[tuple[int, str, str, int, str]] = []
    contexts: list[Context] = []
    longest = 0
    for skip in source.skip:
        end = ":" if skip.colon else ""
        uses += [(plain[phrase] + end, True, -1, phrase) for phrase in skip.phrases]
    for name, language in source.language.items():
        for rule in language.rule:
            number = len(rules)
            rules.append((number, name, rule.group, rule.points, rule.within))
            for shown in filled(rule.phrases, language.slots):
                uses += [(text, language.boundaries, number, shown) for text in _spellings(plain[shown])]
            beside = [
                _spelt(plain[text] for text in filled(phrases, language.slots))
                for phrases in (rule.if_next, rule.unless_next, rule.unless_before)
            ]
            longest = max(longest, *(len(text) for texts in beside for text in texts), 0)
            if any(beside):
                contexts.append(_context(number, language.boundaries, *beside))
    table = pl.DataFrame(
        [
            (pattern, lead, len(text), boundaries, rule, phrase)
            for text, boundaries, rule, phrase in uses
            for pattern, lead in _patterns(text, boundaries)
        ],
        schema=_USES,
        orient="row",
    ).unique(["pattern", "rule"], keep="first", maintain_order=True)
    return Lexicon(
        source=source,
        patterns=table["pattern"].unique(maintain_order=True),
        uses=table,
        rules=pl.DataFrame(rules, schema=_RULES, orient="row"),
        contexts=tuple(contexts),
        window=longest + 2,
    )


def filled(phrases: Iterable[str], slots: Mapping[str, Sequence[str]]) -> list[str]:
    """Every way to fill the `{slot}`s of these phrases, as a reader would write them; slots may hold slots."""
    return [text for phrase in phrases for text in _filled(phrase, slots)]


def _filled(phrase: str, slots: Mapping[str, Sequence[str]]) -> list[str]:
    first, *parts = phrase.split("{")
    if not parts:
        return [phrase]
    options = [[first]]
    for part in parts:
        name, _, rest = part.partition("}")
        options.append([text + rest for text in filled(slots[name], slots)])
    return [re.sub(" +", " ", "".join(pieces)).strip() for pieces in product(*options)]


def _plain(source: LexiconFile) -> dict[str, str]:
    """The normal form of every phrase, all normalised in one go."""
    phrases = {phrase for skip in source.skip for phrase in skip.phrases}
    for language in source.language.values():
        for rule in language.rule:
            for texts in (rule.phrases, rule.if_next, rule.unless_next, rule.unless_before):
                phrases.update(filled(texts, language.slots))
    given = sorted(phrases)
    return dict(zip(given, normalised(pl.Series(given)), strict=True))


def _spelt(phrases: Iterable[str]) -> list[str]:
    """In every spelling, the longest first (alternatives are tried in order)."""
    texts = {text for phrase in phrases for text in _spellings(phrase)}
    return sorted(texts, key=lambda text: (-len(text), text))


def _spellings(text: str) -> tuple[str, ...]:
    """As it is, and as it is when the apostrophes were lost ("cant", "i m")."""
    if "'" not in text or not _NEEDS_APOSTROPHE.isdisjoint(text.split()):
        return (text,)
    return text, text.replace("'", ""), text.replace("'", " ")


def _patterns(text: str, boundaries: bool) -> list[tuple[str, int]]:
    """What to look for to find this phrase, and where the phrase starts in it."""
    if not boundaries or len(text) > _SHORT:
        return [(text, 0)]
    ends = [""] if text.endswith(":") else list(SEPARATORS)
    return [(before + text + after, 1) for before in SEPARATORS for after in ends]


def _context(
    rule: int, boundaries: bool, if_next: list[str], unless_next: list[str], unless_before: list[str]
) -> Context:
    joint, edge_before, edge_after = (
        (" ", f"(?:^|[{SEPARATORS}])", f"(?:[{SEPARATORS}]|$)") if boundaries else (" ?", "", "")
    )

    def either(texts: list[str]) -> str:
        return f"({'|'.join(re.escape(text) for text in texts)})"

    return Context(
        rule,
        f"^{joint}{either(if_next)}{edge_after}" if if_next else None,
        f"^{joint}{either(unless_next)}{edge_after}" if unless_next else None,
        f"{edge_before}{either(unless_before)}{joint}$" if unless_before else None,
    )
