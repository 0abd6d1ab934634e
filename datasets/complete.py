"""What a file of verdicts does not say, filled in; what it says wrongly, refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from interjudge.datasets.columns import Table
from interjudge.datasets.schema import KIND_ALIASES, KINDS, STATUS, STATUSES, VERDICT_COLUMNS, VERDICT_CORE
from interjudge.errors import InputError, choices, did_you_mean

_ANSWERED: Final = pl.col("label").is_not_null() | pl.col("score").is_not_null()
_OK: Final = pl.lit("ok", STATUS)


def complete(table: Table, construct: str, kind: str) -> pl.DataFrame:
    """The verdicts with all columns of `VERDICT_CORE` first; `construct` and `kind` stand where the table is silent.

    A column that is the same in every row stays an expression of one value: for 12,000,000 rows that is the
    difference between nothing and 200 MB.

    Raises
    ------
    InputError : an unknown status or kind, a label or score on a verdict that is not ok, an ok verdict with
        neither, a confidence outside 0..1.
    """
    frame = table.frame
    filled = {
        "repeat": pl.lit(0, pl.Int64),
        "construct": pl.lit(construct, pl.String),
        "judge_kind": pl.lit(kind, pl.String),
        "label": pl.lit(None, pl.String),
        "score": pl.lit(None, pl.Float64),
    }
    added = [value.alias(name) for name, value in filled.items() if name not in frame.columns]
    gaps = [name for name in ("repeat", "construct") if name in frame.columns and frame[name].has_nulls()]
    added.extend(pl.col(name).fill_null(filled[name]) for name in gaps)
    if "judge_kind" in frame.columns:
        added.append(_kinds(table, kind).alias("judge_kind"))
    full = Table(frame.with_columns(added), table.file, table.place)
    frame = full.frame.with_columns(_status(full))
    if "status" in table.frame.columns:
        _refuse_contradictions(Table(frame, table.file, table.place))
    if "confidence" in frame.columns:
        _refuse_outside(full, "confidence", 0.0, 1.0)
    return frame.select(in_order(frame.columns))


def in_order(names: Sequence[str]) -> list[str]:
    """The names in the order of the schema, those it does not know last."""
    known = [name for name in VERDICT_COLUMNS if name in names or name in VERDICT_CORE]
    return [*known, *(name for name in names if name not in VERDICT_COLUMNS)]


def item_columns(verdicts: pl.DataFrame) -> list[str]:
    """The columns that describe the item, not the verdict: model, category, prompt, ... in their order."""
    return [name for name in verdicts.columns if name not in VERDICT_COLUMNS]


def known_kind(kind: str | None) -> str | None:
    """The kind under its own name; raises `InputError` for one that does not exist."""
    if kind is None or kind in KINDS:
        return kind
    if kind in KIND_ALIASES:
        return KIND_ALIASES[kind]
    raise InputError(f"unknown kind of judge{_meant(kind)}", found=kind, expected=choices(KINDS))


def _meant(kind: str) -> str:
    return did_you_mean(kind, [*KINDS, *KIND_ALIASES])


def _kinds(table: Table, kind: str) -> pl.Expr:
    kinds = table.frame["judge_kind"]
    found = kinds.unique().to_list()
    for name in found:
        if name is not None and name not in KINDS and name not in KIND_ALIASES:
            at = (kinds == name).arg_max()
            raise table.error(
                f"unknown kind of judge{_meant(name)}",
                at=at,
                column="judge_kind",
                found=name,
                expected=choices(KINDS),
            )
    if len(found) == 1:
        only = found[0] or kind
        return pl.lit(KIND_ALIASES.get(only, only), pl.String)
    return pl.col("judge_kind").fill_null(kind).replace(KIND_ALIASES)


def _status(table: Table) -> pl.Expr:
    """The `status` column; where it is absent or null, what label and score say."""
    implied = pl.when(_ANSWERED).then(_OK).otherwise(pl.lit("not_run", STATUS)).alias("status")
    if "status" not in table.frame.columns:
        return implied
    given = table.frame["status"]
    for name in given.unique().to_list():
        if name is not None and name not in STATUSES:
            raise table.error(
                f"unknown status{did_you_mean(name, STATUSES)}",
                at=(given == name).arg_max(),
                column="status",
                found=name or "empty text",
                expected=choices(STATUSES),
            )
    return pl.col("status").cast(STATUS).fill_null(implied)


def _refuse_contradictions(table: Table) -> None:
    wrong = table.frame.select(wrong=(pl.col("status") == _OK) != _ANSWERED).to_series()
    if not wrong.any():
        return
    at = wrong.arg_max() or 0
    status, label, score = table.frame.select("status", "label", "score").row(at)
    if status == "ok":
        raise table.error("an ok verdict without a label or a score", at=at, column="label", found="null")
    given = f"label {label}" if label is not None else f"score {score}"
    raise table.error(
        "a label or a score on a verdict that is not ok",
        at=at,
        column="status",
        found=f"status {status}, {given}",
        expected="status ok, or neither label nor score",
    )


def _refuse_outside(table: Table, name: str, low: float, high: float) -> None:
    outside = ~table.frame[name].is_between(low, high).fill_null(True)
    if outside.any():
        at = outside.arg_max() or 0
        found = table.frame[name][at]
        raise table.error("out of range", at=at, column=name, found=found, expected=f"{low:g} to {high:g}")
