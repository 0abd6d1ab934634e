"""Reference labels (gold): what is taken as true, usually from humans."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from interjudge.datasets.columns import OUTPUT_KINDS, missing_column
from interjudge.datasets.ids import ITEM_IDENTITY
from interjudge.datasets.outputs import with_item_id
from interjudge.datasets.read import read_table
from interjudge.datasets.schema import OUTPUT_REQUIRED
from interjudge.errors import InputError


def read_reference(path: str | Path, *, column: str | None = None) -> pl.DataFrame:
    """`item_id` and `gold` (both String, one row an item) from a file with `item_id` and `gold`, or `column`.

    Items without a label are left out. A file of outputs without `item_id` is read too: its ids are then
    those that `read_outputs` gives. Labels become text as in `columns.to_text`.

    Raises
    ------
    InputError : the file cannot be read, a column is missing, an item stands twice, or no item has a label.
    """
    gold = column or "gold"
    if gold in OUTPUT_KINDS:
        raise InputError("is no column of reference labels", file=path, column=gold)

    def choose(names: list[str]) -> list[str]:
        if gold not in names:
            raise missing_column(str(path), gold, names, "the reference labels")
        if "item_id" in names:
            return ["item_id", gold]
        if not set(OUTPUT_REQUIRED) <= set(names):
            raise missing_column(str(path), "item_id", names, "item_id, or prompt and response to make it from")
        return [*(c for c in ITEM_IDENTITY if c in names and c != gold), gold]

    table = read_table(path, OUTPUT_KINDS | {gold: "label"}, choose)
    reference = with_item_id(table).select("item_id", pl.col(gold).alias("gold")).drop_nulls()
    if reference.is_empty():
        raise table.error("no item has a reference label", column=gold, found="null in every row")
    return reference


def gold_of_column(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """`item_id` and `gold` from a column of a verdict table or of outputs.

    Raises
    ------
    InputError : when an item has two labels in it, or no item has one.
    """
    found = frame.select("item_id", gold=pl.col(column).cast(pl.String)).drop_nulls().unique(maintain_order=True)
    twice = found.filter(pl.col("item_id").is_duplicated())
    if twice.height:
        raise InputError(
            f"item {twice['item_id'][0]!r} has several reference labels",
            column=column,
            found=", ".join(twice.filter(item_id=twice["item_id"][0])["gold"]),
            expected="one label an item",
        )
    if found.is_empty():
        raise InputError("no item has a reference label", column=column, found="null in every row")
    return found
