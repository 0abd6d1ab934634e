"""Verdicts that exist already: any column of the outputs, or any verdict file, becomes a judge.

    column:NAME[?OPTIONS]   the column NAME of the outputs
    file:PATH[?OPTIONS]     a verdict file (or store), joined on `item_id`

OPTIONS are `key=value` pairs joined by `&`; values may be percent-encoded (`%26` for `&`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final, Literal, get_args
from urllib.parse import unquote

import polars as pl

from interjudge.datasets.schema import KIND_ALIASES, KINDS, NO_CONSTRUCT, STATUS, Kind
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges.base import ANSWER_COLUMNS, Family, Judge

As = Literal["label", "score"]

_OPTIONS: Final = re.compile(r"[a-z]+=[^&]*(?:&[a-z]+=[^&]*)*")
_VERSION: Final = 1  # of the rules below that turn a value into a verdict; part of the hash


def column_judge(
    column: str,
    *,
    name: str | None = None,
    kind: str = "imported",
    construct: str = NO_CONSTRUCT,
    labels: tuple[str, ...] = (),
    as_: As | None = None,
    threshold: float | None = None,
) -> Judge:
    """A judge whose verdicts stand in a column of the outputs.

    Text and booleans are labels (`true`, `false`), numbers are scores; `as_` says otherwise. An empty value is
    `not_run`, a text that is not one of `labels` (where they are declared) or no number (`as_="score"`) is a
    `parse_error` with the text in `raw`, an infinite score is `out_of_range`.

    Raises
    ------
    InputError : unknown kind, repeated labels, unknown `as_`.
    """
    spec = f"column:{column}"
    if as_ is not None and as_ not in get_args(As):
        raise InputError(f"{spec}: unknown value of 'as'", found=as_, expected="label or score")

    def evaluate(outputs: pl.DataFrame) -> pl.DataFrame:
        return _from_values(outputs[column], labels, as_)

    return Judge(
        name=name or spec,
        kind=as_kind(kind, spec),
        construct=construct,
        labels=_labels(labels, spec),
        evaluate=evaluate,
        identity={"imported": "column", "column": column, "as": as_, "version": _VERSION},
        reads=(column,),
        batch_size=100_000,
        threshold=threshold,
    )


def file_judge(
    path: str,
    *,
    judge: str | None = None,
    repeat: int = 0,
    name: str | None = None,
    kind: str | None = None,
    construct: str | None = None,
    labels: tuple[str, ...] = (),
    threshold: float | None = None,
) -> Judge:
    """One judge of a verdict file or store: its verdicts on the outputs of the same `item_id`.

    Name, kind and construct are those in the file unless given. Outputs that the file does not hold are
    `not_run`; a label that is not one of `labels`, where they are given, is a `parse_error`. The hash
    covers the verdicts themselves, so that a changed file is a new judge.

    Raises
    ------
    InputError : the file cannot be read, holds several judges and `judge` names none, or none of that name.
    """
    spec = f"file:{path}"
    table = _one_judge(read_verdicts([path]), spec, judge)
    asked = table.filter(repeat=repeat)
    if not asked.height:
        raise InputError(
            f"{spec}: no verdict with repeat {repeat}",
            expected=f"one of {choices(str(r) for r in table['repeat'].unique().sort())}",
        )
    first = asked.row(0, named=True)
    known = _declared(asked.select("item_id", *(c for c in ANSWER_COLUMNS if c in asked.columns)), labels)
    given = known["label"].drop_nulls().unique().sort().to_list() if "label" in known.columns else []

    def evaluate(outputs: pl.DataFrame) -> pl.DataFrame:
        found = outputs.select("item_id").join(known, on="item_id", how="left", maintain_order="left")
        return found.drop("item_id").with_columns(pl.col("status").fill_null(pl.lit("not_run", STATUS)))

    return Judge(
        name=name or first["judge"],
        kind=as_kind(kind or first["judge_kind"] or "imported", spec),
        construct=construct or first["construct"] or NO_CONSTRUCT,
        labels=_labels(labels or tuple(given), spec),
        evaluate=evaluate,
        identity={"imported": "file", "judge": first["judge"], "verdicts": _digest(known), "version": _VERSION},
        reads=("item_id",),
        batch_size=100_000,
        threshold=threshold,
        files=(path,),
    )


def _from_values(values: pl.Series, labels: tuple[str, ...], as_: As | None) -> pl.DataFrame:
    is_score = as_ == "score" or (as_ is None and (values.dtype.is_numeric() or values.dtype == pl.Null))
    text = values.cast(pl.String)
    given = pl.DataFrame({"raw": text.set(text.str.strip_chars() == "", None)})
    if is_score:
        numbers = text.str.strip_chars() if values.dtype == pl.String else values
        given = given.with_columns(score=numbers.cast(pl.Float64, strict=False).fill_nan(None))
        # NaN is how many tools write "no verdict"
        absent = pl.col("raw").is_null() | pl.lit(values.is_nan() if values.dtype.is_float() else False)
        return given.select(
            status=_status(absent, pl.col("score").is_null(), pl.col("score").is_infinite()),
            score=pl.when(pl.col("score").is_finite()).then("score"),
            raw=pl.when(pl.col("score").is_null() & ~absent).then("raw"),
        )
    odd = ~pl.col("raw").is_in(labels) if labels else pl.lit(False)
    return given.select(
        status=_status(pl.col("raw").is_null(), odd, pl.lit(False)),
        label=pl.when(~odd).then("raw"),
        raw=pl.when(odd).then("raw"),
    )


def _status(absent: pl.Expr, unreadable: pl.Expr, outside: pl.Expr) -> pl.Expr:
    return (
        pl.when(absent)
        .then(pl.lit("not_run"))
        .when(unreadable)
        .then(pl.lit("parse_error"))
        .when(outside)
        .then(pl.lit("out_of_range"))
        .otherwise(pl.lit("ok"))
        .cast(STATUS)
    )


def _declared(verdicts: pl.DataFrame, labels: tuple[str, ...]) -> pl.DataFrame:
    """Verdicts whose label was not declared become `parse_error` with that label in `raw`."""
    if not labels:
        return verdicts
    odd = pl.col("label").is_not_null() & ~pl.col("label").is_in(labels)
    raw = pl.col("raw") if "raw" in verdicts.columns else pl.lit(None, pl.String)
    return verdicts.with_columns(
        status=pl.when(odd).then(pl.lit("parse_error", STATUS)).otherwise("status"),
        raw=pl.when(odd).then("label").otherwise(raw),
        **{c: pl.when(~odd).then(c) for c in ("label", "score", "confidence") if c in verdicts.columns},
    )


def _one_judge(verdicts: pl.DataFrame, spec: str, judge: str | None) -> pl.DataFrame:
    names = verdicts["judge"].unique(maintain_order=True).to_list()
    if judge is None:
        if len(names) != 1:
            raise InputError(
                f"{spec} holds {len(names)} judges", expected=f"?judge=NAME, one of {choices(sorted(names))}"
            )
        return verdicts
    if judge not in names:
        raise InputError(
            f"{spec} holds no judge {judge!r}{did_you_mean(judge, names)}",
            expected=f"one of {choices(sorted(names))}",
        )
    return verdicts.filter(judge=judge)


def _digest(verdicts: pl.DataFrame) -> str:
    """Over what decides a verdict; neither the order of the rows nor a column's provenance counts."""
    said = verdicts.select(c for c in ("item_id", "status", "label", "score", "confidence") if c in verdicts.columns)
    text = said.with_columns(pl.col("status").cast(pl.String)).sort("item_id").write_csv()
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def as_kind(kind: str, where: str) -> Kind:
    """A kind by its name or alias (`llm`, `guard`, `annotator`).

    Raises
    ------
    InputError : there is no such kind.
    """
    name = KIND_ALIASES.get(kind, kind)
    known: tuple[Kind, ...] = get_args(Kind)
    for one in known:
        if name == one:
            return one
    raise InputError(f"{where}: unknown kind {kind!r}{did_you_mean(kind, KINDS)}", expected=f"one of {choices(KINDS)}")


def _labels(labels: tuple[str, ...], spec: str) -> tuple[str, ...]:
    if len(set(labels)) < len(labels) or "" in labels:
        raise InputError(f"{spec}: labels are empty or repeated", found=", ".join(labels))
    return labels


def split_options(text: str) -> tuple[str, dict[str, str]]:
    """`NAME?a=b&c=d` -> NAME and its options, as written. A `?` that no `key=value` follows is part of the name."""
    name, mark, tail = text.rpartition("?")
    if not mark or not name or not _OPTIONS.fullmatch(tail):
        return text, {}
    return name, {key: value for key, _, value in (pair.partition("=") for pair in tail.split("&"))}


def _options(spec: str, given: Mapping[str, str], allowed: tuple[str, ...]) -> dict[str, str]:
    for key in given:
        if key not in allowed:
            raise InputError(
                f"{spec}: unknown option {key!r}{did_you_mean(key, allowed)}",
                expected=f"any of {', '.join(allowed)}",
            )
    return {key: value if key == "labels" else unquote(value) for key, value in given.items()}


def _number(spec: str, options: Mapping[str, str], key: str) -> float | None:
    if key not in options:
        return None
    try:
        return float(options[key])
    except ValueError:
        raise InputError(f"{spec}: option {key!r} is not a number", found=options[key]) from None


_COMMON: Final = ("name", "kind", "construct", "labels", "threshold")


def _column(text: str) -> Judge:
    column, given = split_options(text)
    spec = f"column:{column}"
    options = _options(spec, given, (*_COMMON, "as"))
    return column_judge(
        column,
        name=options.get("name"),
        kind=options.get("kind", "imported"),
        construct=options.get("construct", NO_CONSTRUCT),
        labels=_label_list(options),
        as_=options.get("as"),  # type: ignore[arg-type]  # checked there against its choices
        threshold=_number(spec, options, "threshold"),
    )


def _file(text: str) -> Judge:
    path, given = split_options(text)
    spec = f"file:{path}"
    options = _options(spec, given, (*_COMMON, "judge", "repeat"))
    repeat = _number(spec, options, "repeat") or 0.0
    if not repeat.is_integer():
        raise InputError(f"{spec}: option 'repeat' is not a whole number", found=options["repeat"])
    return file_judge(
        path,
        judge=options.get("judge"),
        repeat=int(repeat),
        name=options.get("name"),
        kind=options.get("kind"),
        construct=options.get("construct"),
        labels=_label_list(options),
        threshold=_number(spec, options, "threshold"),
    )


def _label_list(options: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(unquote(label) for label in options["labels"].split(",")) if "labels" in options else ()


COLUMN: Final = Family(
    summary="Verdicts in a column of the outputs. Options: kind, construct, labels, as, threshold, name.",
    make=_column,
    usage="column:NAME[?OPTIONS]",
)
FILE: Final = Family(
    summary="Verdicts in a file or store. Options: judge, repeat, kind, construct, labels, threshold, name.",
    make=_file,
    usage="file:PATH[?OPTIONS]",
)
