"""Output sets: one row an output, one model's response to one prompt."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from interjudge.datasets.columns import OUTPUT_KINDS, Table, missing_column, refuse_null
from interjudge.datasets.foreign import Tell, part_of, read_found
from interjudge.datasets.ids import fill_item_id
from interjudge.datasets.read import read_table
from interjudge.datasets.schema import OUTPUT_REQUIRED
from interjudge.datasets.source import open_source


def read_outputs(
    path: str | Path, *, limit: int | None = None, format: str | None = None, tell: Tell | None = None
) -> pl.DataFrame:
    """The output set in a JSON Lines, JSON, CSV, TSV or Parquet file (``-``: standard input), row for row.

    A file of another tool (see `foreign.formats`) is recognised by its content and gives its outputs; `format`
    names it where that goes wrong (``interjudge``: it is a table of ours), and `tell` is told what was understood.

    The columns of `schema.OUTPUT_COLUMNS` that are there come in its types, all others as they are. Where
    `item_id` is absent it is the hash of benchmark, model, prompt, response and repeat (`ids.content_hash`);
    where `repeat` is absent too and rows are identical in these, they are told apart by a `repeat` of 0, 1,
    2, ... in order of occurrence. `limit` reads only the first rows.

    Raises
    ------
    InputError : the file cannot be read, or holds no outputs; `prompt` or `response` is missing or null somewhere
        (an empty response is fine); an `item_id` is null, or the same in two rows.
    """

    def choose(names: list[str]) -> list[str]:
        for name in OUTPUT_REQUIRED:
            if name not in names:
                raise missing_column(str(path), name, names, "one row an output, with its prompt and response")
        return names

    source = open_source(path)
    found = read_found(source, format)
    if found is not None:
        outputs = part_of(found, "outputs", tell)
        return outputs if limit is None else outputs.head(limit)
    table = read_table(source, OUTPUT_KINDS, choose, limit)
    refuse_null(table, OUTPUT_REQUIRED)
    return with_item_id(table)


def with_item_id(table: Table) -> pl.DataFrame:
    """The table's rows with a unique `item_id` as first column, made from the content where it is absent."""
    frame = table.frame
    explicit = "item_id" in frame.columns
    if explicit:
        refuse_null(table, ["item_id"], empty=False)
        frame = frame.select("item_id", pl.exclude("item_id"))
    else:
        frame = fill_item_id(frame)
    ids = frame["item_id"]
    if ids.n_unique() < ids.len():
        first, second = first_twice(frame, ["item_id"])
        raise table.error(
            f"the same {'item_id' if explicit else 'output and repeat'} as in {_words(table, first)}",
            at=second,
            column="item_id" if explicit else "repeat",
            found=ids[first] if explicit else frame["repeat"][first],
            expected="an item_id of its own for each output" if explicit else "a repeat of its own",
        )
    return frame


def joined(frame: pl.DataFrame, outputs: pl.DataFrame) -> pl.DataFrame:
    """`frame` (with `item_id`) with the prompt, response, model and category of each item, where there are any."""
    wanted = [c for c in ("prompt", "response", "model", "category") if c in outputs.columns and c not in frame.columns]
    return frame.join(outputs.select("item_id", *wanted), on="item_id", how="left", maintain_order="left")


def first_twice(frame: pl.DataFrame, key: list[str]) -> tuple[int, int]:
    """The two rows (from 0) of the earliest repetition of a key; there must be one."""
    rows = frame.select(key).with_row_index("row").filter(pl.struct(key).is_duplicated())
    groups = rows.group_by(key, maintain_order=True).agg(pl.col("row"))
    first, second = groups.with_columns(pl.col("row").list.head(2)).sort(pl.col("row").list.get(1))["row"][0]
    return int(first), int(second)


def _words(table: Table, at: int) -> str:
    place = table.place(at)
    return f"row {place}" if isinstance(place, int) else place
