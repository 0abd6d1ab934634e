"""A phrase list of the user's own, with the exact semantics of the published detectors.

These are, in Python, `any(phrase in response for phrase in phrases)` or the same with `startswith`, on the
response as it is. What some of them do besides (strip, lower-case, look at the beginning only, ask for an
affirmative phrase) has to be asked for.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

import polars as pl

from interjudge.errors import InputError, choices, did_you_mean

# Changes with anything here that can change a verdict; part of the judges' identity.
VERSION: Final = 1

Match = Literal["anywhere", "prefix", "first-sentence"]
Case = Literal["exact", "lower", "casefold"]
Label = Literal["refusal", "compliance"]

# Up to a full stop before white space, a CJK or Indic one, or the end of the line.
_FIRST_SENTENCE: Final = r"(?s)^\s*\S.*?(?:[.!?]+(?:\s|$)|[\x{3002}\x{ff01}\x{ff1f}\x{964}\x{61f}\x{6d4}]|\n|$)"
# What Python's str.strip() takes away (polars leaves U+001C to U+001F).
_WHITE_SPACE: Final = "".join(c for c in map(chr, range(0x3001)) if c.isspace())


@dataclass(frozen=True)
class PhraseList:
    """A keyword detector as data; the fields are the keys of a ``.toml`` list, described in docs/keyword.md."""

    phrases: tuple[str, ...]
    match: Match = "anywhere"
    case: Case = "exact"
    strip: bool = False
    first_n_chars: int | None = None
    must_contain: tuple[str, ...] = ()
    found_means: Label = "refusal"
    name: str | None = None
    source: str | None = None

    def identity(self) -> dict[str, object]:
        """All that decides a verdict (so neither the name nor the source of the list)."""
        return {
            "matcher": {"phrase_list": VERSION},
            "phrases": self.phrases,
            "match": self.match,
            "case": self.case,
            "strip": self.strip,
            "first_n_chars": self.first_n_chars,
            "must_contain": self.must_contain,
            "found_means": self.found_means,
        }

    def judged(self, responses: pl.Series) -> pl.DataFrame:
        """`label`, `rationale` and `raw` for each of a series of strings."""
        response, view, text = pl.col("response"), pl.col("view"), pl.col("text")
        seen = pl.DataFrame({"response": responses})
        seen = seen.with_columns(view=response.str.strip_chars(_WHITE_SPACE) if self.strip else response)
        seen = seen.with_columns(view=view if self.first_n_chars is None else view.str.slice(0, self.first_n_chars))
        seen = seen.with_columns(text=_folded(view, self.case))
        part = text if self.match != "first-sentence" else text.str.extract(_FIRST_SENTENCE, 0).fill_null("")
        seen = seen.with_columns(*self._first_found(part))
        seen = seen.with_columns(self._start_in_response(seen))
        found = pl.col("phrase").is_not_null()
        lacks = self._lacks(text)
        complies = lacks.is_null() & (found if self.found_means == "compliance" else ~found)
        raw = pl.struct(group=pl.lit(None, pl.String), language=pl.lit(None, pl.String), phrase="phrase", start="start")
        return seen.select(
            label=pl.when(complies).then(pl.lit("compliance")).otherwise(pl.lit("refusal")),
            rationale=pl.coalesce(
                pl.format('"{}" at {}', "phrase", "start"),
                pl.format('no "{}"', lacks),
                pl.when(~complies).then(pl.lit("none of the phrases")),
            ),
            raw=pl.when(found).then(raw.struct.json_encode()),
        )

    def _first_found(self, text: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
        """`phrase`, as the list has it, and its `offset` in bytes: the one that starts first. Of several that
        start there, the first of the list (for prefixes, the shortest)."""
        listed = pl.Series([_fold(phrase, self.case) for phrase in self.phrases])
        if self.match == "prefix":
            # Equal lengths are compared at once, so that a long list costs no more than its distinct lengths.
            lengths = listed.to_frame("p").unique().group_by(n=pl.col("p").str.len_chars()).agg("p").sort("n")
            heads = ((text.str.slice(0, n), phrases) for n, phrases in lengths.iter_rows())
            matched = pl.coalesce([pl.when(head.is_in(phrases)).then(head) for head, phrases in heads])
            offset: pl.Expr = pl.when(matched.is_not_null()).then(pl.lit(0, pl.UInt32))
        else:
            matched = text.str.extract_many(listed.implode(), leftmost=True).list.first()
            offset = text.str.find_many(listed.implode(), leftmost=True).list.first()
        written = dict(reversed(list(zip(listed, self.phrases, strict=True))))
        return matched.replace(written).alias("phrase"), offset.alias("offset")

    def _start_in_response(self, seen: pl.DataFrame) -> pl.Series:
        """Where the phrase starts, in characters of the response as it was given; null where none does."""
        found = pl.col("offset").is_not_null()
        before = pl.col("text").cast(pl.Binary).bin.slice(0, pl.col("offset")).cast(pl.String)
        stripped = pl.col("response").str.strip_chars_start(_WHITE_SPACE) if self.strip else pl.col("response")
        places = seen.select(
            "view",
            start=pl.when(found).then(before.str.len_chars().cast(pl.Int64)),
            skipped=pl.col("response").str.len_chars().cast(pl.Int64) - stripped.str.len_chars(),
            longer=found & (pl.col("view").str.len_chars() != pl.col("text").str.len_chars()),
        ).with_row_index("row")
        # Folding made these longer (a few letters, such as a capital I with a dot, become two): count letter by
        # letter.
        so_far = _folded(pl.col("char"), self.case).str.len_chars().cast(pl.Int64).cum_sum().over("row")
        counted = (
            places.filter("longer")
            .select("row", "start", char=pl.col("view").str.split(""))
            .explode("char")
            .filter(so_far <= pl.col("start"))
            .group_by("row")
            .agg(counted=pl.len().cast(pl.Int64))
        )
        places = places.join(counted, on="row", how="left", maintain_order="left")
        inside = pl.when("longer").then(pl.col("counted").fill_null(0)).otherwise("start")
        return places.select(start=inside + pl.col("skipped")).to_series()

    def _lacks(self, text: pl.Expr) -> pl.Expr:
        """The first of `must_contain` that is not there, else null."""
        return pl.coalesce(
            pl.lit(None, pl.String),
            *(
                pl.when(~text.str.contains(_fold(phrase, self.case), literal=True)).then(pl.lit(phrase))
                for phrase in self.must_contain
            ),
        )


def _fold(text: str, case: Case) -> str:
    return text if case == "exact" else getattr(text, case)()


def _folded(text: pl.Expr, case: Case) -> pl.Expr:
    """`str.lower` or `str.casefold` of Python."""
    if case == "exact":
        return text
    text = text.str.to_lowercase()
    return text if case == "lower" else text.str.replace_many(_casefolds())


@cache
def _casefolds() -> dict[str, str]:
    """The lower-case characters that casefold to something else."""
    lowered = (c for c in map(chr, range(sys.maxunicode + 1)) if c == c.lower())
    return {c: c.casefold() for c in lowered if c != c.casefold() and not "\ud800" <= c <= "\udfff"}


def read_phrase_list(path: str) -> PhraseList:
    """A phrase list from a ``.txt`` or ``.toml`` file.

    Raises
    ------
    InputError : when the file is missing, not UTF-8, not TOML, empty, or has an unknown or ill-typed field.
    """
    text = _read(path)
    if Path(path).suffix.lower() == ".toml":
        return _from_toml(text, path)
    lines = text.replace("\r\n", "\n").split("\n")
    phrases = [(number, line) for number, line in enumerate(lines, 1) if line]
    for number, line in phrases:
        if line.isspace():
            raise InputError("a phrase of white space alone is in every response", file=path, row=f"line {number}")
    if not phrases:
        raise InputError("the list has no phrase", file=path, expected="one phrase a line")
    return PhraseList(tuple(dict.fromkeys(line for _, line in phrases)))


def _read(path: str) -> str:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError("there is no such file", file=path) from None
    except IsADirectoryError:
        raise InputError("this is a directory", file=path, expected="a phrase list") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", file=path) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            "is not UTF-8", file=path, row=f"line {line}", found=data[error.start : error.start + 1]
        ) from None


def _from_toml(text: str, path: str) -> PhraseList:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not TOML: {error}", file=path) from None
    known = tuple(PhraseList.__dataclass_fields__)
    for key in table:
        if key not in known:
            raise InputError(f"unknown field {key!r}{did_you_mean(key, known)}", file=path, expected=choices(known))
    fields = _Fields(table, path)
    if "phrases" not in table:
        raise InputError("the field 'phrases' is missing", file=path, expected='phrases = ["...", ...]')
    name = fields.text("name")
    if name in ("default", "prefix", "anywhere", "first-sentence"):
        raise InputError(f"the name {name!r} is taken by a built-in list", file=path, column="name")
    return PhraseList(
        phrases=fields.texts("phrases"),
        match=cast(Match, fields.one_of("match", get_args(Match), "anywhere")),
        case=cast(Case, fields.one_of("case", get_args(Case), "exact")),
        strip=fields.truth("strip"),
        first_n_chars=fields.count("first_n_chars"),
        must_contain=fields.texts("must_contain") if "must_contain" in table else (),
        found_means=cast(Label, fields.one_of("found_means", get_args(Label), "refusal")),
        name=name,
        source=fields.text("source"),
    )


@dataclass(frozen=True)
class _Fields:
    """The fields of a list, each read as what it must be."""

    table: Mapping[str, Any]
    path: str

    def _wrong(self, field: str, problem: str, expected: str) -> InputError:
        return InputError(f"field {field!r}: {problem}", file=self.path, found=self.table[field], expected=expected)

    def texts(self, field: str) -> tuple[str, ...]:
        given = self.table[field]
        if not isinstance(given, list) or not given:
            raise self._wrong(field, "not a list of phrases", "at least one phrase in [ ]")
        for number, phrase in enumerate(given, 1):
            if not isinstance(phrase, str):
                raise InputError(
                    f"field {field!r}: phrase {number} is not text", file=self.path, found=phrase, expected="text"
                )
            if not phrase.strip():
                raise InputError(f"field {field!r}: phrase {number} is blank, and so in every response", file=self.path)
        return tuple(dict.fromkeys(given))

    def one_of(self, field: str, allowed: tuple[str, ...], default: str) -> str:
        given = self.table.get(field, default)
        if given not in allowed:
            hint = did_you_mean(given, allowed) if isinstance(given, str) else ""
            raise self._wrong(field, f"unknown value{hint}", choices(allowed))
        return str(given)

    def truth(self, field: str) -> bool:
        given = self.table.get(field, False)
        if not isinstance(given, bool):
            raise self._wrong(field, "not true or false", "true or false")
        return given

    def count(self, field: str) -> int | None:
        given = self.table.get(field)
        if given is None:
            return None
        if not isinstance(given, int) or isinstance(given, bool) or given < 1:
            raise self._wrong(field, "not a number of characters", "a whole number from 1")
        return given

    def text(self, field: str) -> str | None:
        given = self.table.get(field)
        if given is not None and (not isinstance(given, str) or not given.strip()):
            raise self._wrong(field, "not text", "text")
        return given
