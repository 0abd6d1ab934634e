"""Tables of other tools (CSV, TSV, Parquet, JSON Lines) by their description in formats.toml: no code a format."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from interjudge.datasets.columns import to_text
from interjudge.datasets.foreign import Entry, Found, filled, from_name, judge_columns, numbered, scale
from interjudge.datasets.foreign_rows import assemble, identified
from interjudge.datasets.foreign_values import Reading, Scale
from interjudge.datasets.ids import ITEM_IDENTITY
from interjudge.datasets.probe import Probe
from interjudge.datasets.read import read_table
from interjudge.datasets.schema import NO_CONSTRUCT, STATUS
from interjudge.errors import InputError

_PARTS: Final = {"status": STATUS, "label": pl.String(), "score": pl.Float64(), "raw": pl.String()}


def read_table_format(entry: Entry, probe: Probe) -> Found:
    """What the table holds, by the entry's description.

    Raises
    ------
    InputError : it cannot be read, a column is missing, a value is of the wrong type, an id stands twice.
    """
    table = read_table(probe.source, {})
    missing = [name for name in entry.columns if name not in table.frame.columns]
    if missing:
        raise InputError("a column of this format is missing", file=table.file, column=missing[0])
    said = entry.said
    names = {**said.get("otherwise", {}), **from_name(said.get("file"), table.file)}
    theirs = pl.DataFrame([to_text(table, _flat(table.frame[name]), "label") for name in table.frame.columns])
    raw = pl.DataFrame([_flat(table.frame[name]).cast(pl.String) for name in table.frame.columns])
    if "long" in said:
        return _long(entry, theirs, table.place)
    judges = judge_columns(said.get("judges", {}), theirs.columns)
    if said.get("judges") and not judges:
        raise InputError(
            "no column of a judge is there", file=table.file, expected=f"a column like {next(iter(said['judges']))!r}"
        )
    items = _items(said, theirs, raw, names, set(judges), table.file, table.place)
    parts = [_judge(said, theirs, items, column, match, spec, names) for column, (match, spec) in judges.items()]
    verdicts = pl.concat(parts).with_columns(row=pl.int_range(pl.len()) % items.height) if parts else None
    gold = _gold(said, theirs, items)
    if verdicts is not None and "judge_from" in said:  # a row a judge: an output stands once for each of them
        items = items.unique("item_id", keep="first", maintain_order=True)
        silent = (pl.col("status") == "not_run").all().over("judge")
        verdicts = verdicts.filter(~silent)
    rows = [] if verdicts is None else verdicts["row"].to_list()
    found = None if verdicts is None else verdicts.drop("row")
    return assemble(items, found, gold, lambda i: table.place(rows[i] if rows else i))


def _flat(series: pl.Series) -> pl.Series:
    """Text; lists and objects, which a table of another tool may hold in columns of its own, as JSON."""
    if isinstance(series.dtype, pl.Struct):
        return series.struct.json_encode()
    if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
        return pl.Series(series.name, [None if v is None else str(v) for v in series.to_list()], pl.String)
    return series.cast(pl.String) if series.dtype.is_temporal() else series


def _items(
    said: Mapping[str, Any], theirs: pl.DataFrame, raw: pl.DataFrame, names: Mapping[str, str], judges: set[str],
    file: str, place: Any,
) -> pl.DataFrame:  # fmt: skip
    take: dict[str, str] = {ours: column for ours, column in said.get("take", {}).items() if column in theirs.columns}
    made: list[pl.Series] = []
    for ours, column in take.items():
        series = raw[column].alias(ours)
        values = said.get("values", {}).get(ours)
        made.append(series.replace(values) if values else series)
    constants = [
        pl.lit(filled(text, names), pl.String).alias(ours)
        for ours, text in said.get("set", {}).items()
        if _known(text, names) and ours not in take
    ]
    used = {*take.values(), *judges, *said.get("judge_from", ()), said.get("item"), said.get("gold", {}).get("column")}
    there = {series.name for series in made} | set(said.get("set", {})) | {"item_id", "repeat"}
    kept = [raw[name] for name in raw.columns if name not in used and name not in there]
    own = raw[said["item"]] if "item" in said else pl.Series([None] * raw.height, dtype=pl.String)
    if "item" in said and own.is_null().any():
        at = own.is_null().arg_max() or 0
        raise InputError("no id here", file=file, row=place(at), column=said["item"], found="null", expected="an id")
    items = pl.DataFrame([own.alias("item_id"), *made, *kept]).with_columns(constants)
    if "judge_from" in said and "repeat" not in items.columns:
        # copies are told apart for each judge: what several judged is one output
        same = [name for name in ITEM_IDENTITY if name in items.columns]
        copies = items.with_columns(_named(said, theirs)).select(pl.int_range(pl.len()).over(*same, "judge"))
        items = items.with_columns(copies.to_series().alias("repeat"))
    identity = said.get("identity", ITEM_IDENTITY)
    return identified(items, identity, file, _Places(place, raw.height))


class _Places(Sequence[int | str]):
    """A sequence of places that is only asked where something is wrong."""

    def __init__(self, place: Any, length: int) -> None:
        self._place = place
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, row: Any) -> Any:
        return self._place(row)


def _known(text: str, names: Mapping[str, str]) -> bool:
    return all(name in names for name in re.findall(r"\{([a-z_]+)\}", text))


def _judge(
    said: Mapping[str, Any], theirs: pl.DataFrame, items: pl.DataFrame, column: str, match: re.Match[str],
    spec: Mapping[str, str], names: Mapping[str, str],
) -> pl.DataFrame:  # fmt: skip
    groups = {**names, **numbered(match)}
    judge = pl.lit(filled(spec["judge"], groups), pl.String)
    kind = pl.lit(spec["kind"], pl.String)
    if "judge_from" in said:
        judge = pl.concat_str(pl.lit(_named(said, theirs)), pl.lit(spec["judge"].replace("{judge}", ""), pl.String))
        kind = pl.lit(_kinds(said, theirs, spec["kind"]))
    repeat = int(filled(spec["repeat"], groups)) - 1 if "repeat" in spec else 0
    return items.select(
        "item_id",
        judge=judge,
        repeat=pl.lit(max(repeat, 0), pl.Int64),
        judge_kind=kind,
        construct=pl.lit(filled(spec.get("construct", NO_CONSTRUCT), groups)),
    ).hstack(readings(theirs[column], scale(spec["scale"])))


def _named(said: Mapping[str, Any], theirs: pl.DataFrame) -> pl.Series:
    """`judge`: the judge of each row, where columns name it, each a part of the name.

    A part that a row leaves empty, as where a judge failed, is the one that the rows with the same first part have most
    often (of one column, that all rows have): a judge's failure is its own verdict, and not that of another judge who
    would have no other.
    """
    sources = [name for name in said["judge_from"] if name in theirs.columns]
    if not sources:
        return pl.Series("judge", ["judge"] * theirs.height, dtype=pl.String)
    first, *others = sources
    parts = theirs.select(pl.col(sources).replace("", None))
    for name in others or (first,):
        usual = pl.col(name).drop_nulls().mode(maintain_order=True).first()
        usual = usual.over(first) if others else usual
        parts = parts.with_columns(pl.col(name).fill_null(usual))
    named = pl.concat_str(sources, separator="/", ignore_nulls=True)
    return parts.select(named.replace("", "judge").alias("judge")).to_series()


def _kinds(said: Mapping[str, Any], theirs: pl.DataFrame, otherwise: str) -> pl.Series:
    """`judge_kind` of each row, by the first column that names its judge."""
    first = said["judge_from"][0]
    known = {name: kind for kind, names in said.get("kinds", {}).items() for name in names}
    if first not in theirs.columns:
        return pl.Series("judge_kind", [otherwise] * theirs.height, dtype=pl.String)
    kind = pl.col(first).replace_strict(known, default=otherwise, return_dtype=pl.String)
    return theirs.select(judge_kind=kind).to_series()


def readings(values: pl.Series, meaning: Scale) -> pl.DataFrame:
    """status, label, score and raw of each value; every distinct value is read once."""
    distinct = values.unique(maintain_order=True)
    read = [meaning.read(value) for value in distinct.to_list()]
    table = pl.DataFrame([distinct.alias("value"), *_columns(read)])
    joined = (
        values.alias("value").to_frame().join(table, on="value", how="left", nulls_equal=True, maintain_order="left")
    )
    return joined.drop("value")


def _columns(read: list[Reading]) -> list[pl.Series]:
    return [pl.Series(name, [getattr(one, name) for one in read], dtype) for name, dtype in _PARTS.items()]


def _gold(said: Mapping[str, Any], theirs: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame | None:
    gold = said.get("gold")
    if gold is None:
        return None
    labels = readings(theirs[gold["column"]], scale(gold["scale"]))["label"]
    return items.select("item_id", gold=pl.lit(labels), criterion=pl.lit(gold.get("construct"), pl.String)).drop_nulls(
        "gold"
    )


def _long(entry: Entry, theirs: pl.DataFrame, place: Any) -> Found:
    """One row a verdict: item, judge and label."""
    said = entry.said["long"]
    for column in (entry.said["item"], said["judge"]):
        if theirs[column].null_count():
            at = theirs[column].is_null().arg_max() or 0
            raise InputError("no name here", row=place(at), column=column, found="null", expected="a name or number")
    verdicts = theirs.select(
        item_id=entry.said["item"],
        judge=said["judge"],
        repeat=pl.int_range(pl.len()).over(entry.said["item"], said["judge"]),
        judge_kind=pl.lit(said["kind"]),
        construct=pl.lit(said.get("construct", NO_CONSTRUCT)),
    ).hstack(readings(theirs[said["label"]], scale(said["scale"])))
    items = verdicts.select("item_id").unique(maintain_order=True)
    return assemble(items, verdicts, None, place)
