"""Item ids from content: the same output has the same id in every file, on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl
import polars_hash as plh

# An output's identity. A column a file does not have counts as null, an absent repeat as 0.
ITEM_IDENTITY: Final = ("benchmark", "model", "prompt", "response", "repeat")
ID_EXPECTED: Final = "item_id, or prompt and response to make it from"

_ROWS_AT_ONCE: Final = 50_000  # bounds the joined text in memory; the digest does not depend on it


def content_hash(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """32 hex digits a row: the first half of SHA-256 over the row's values in `columns`, in this order.

    Each value is written as its length in UTF-8 bytes, a colon and the text; null as a hyphen; values are
    joined by a bar. So null differs from "", and no two different rows are written alike. A column that
    `frame` does not have counts as null. Values that are not text are cast as polars prints them.

    Returns a String series `content_hash` of the frame's height.
    """
    joined = pl.concat_str([_framed(frame, name) for name in columns], separator="|").alias("text")
    digest = plh.col("text").chash.sha2_256().str.head(32)
    parts = [part.select(joined).select(digest).to_series() for part in frame.iter_slices(_ROWS_AT_ONCE)]
    empty = pl.Series("content_hash", [], dtype=pl.String)
    return pl.concat([empty, *(part.alias("content_hash") for part in parts)])


def _framed(frame: pl.DataFrame, name: str) -> pl.Expr:
    if name not in frame.columns:
        return pl.repeat("-", pl.len())
    text = pl.col(name).cast(pl.String)
    return pl.concat_str(text.str.len_bytes().cast(pl.String), pl.lit(":"), text).fill_null("-")


def fill_item_id(outputs: pl.DataFrame) -> pl.DataFrame:
    """`outputs` (one row an output, without `item_id`) with the id of its content as first column.

    Where there is no `repeat` column, rows of equal identity are told apart by `repeat` 0, 1, 2, ... in
    order of occurrence, and that column is added; where there is one, equal rows get equal ids.
    """
    numbered = "repeat" in outputs.columns
    repeat = pl.col("repeat").fill_null(0) if numbered else pl.lit(0, pl.Int64)
    ids = content_hash(outputs.with_columns(repeat.alias("repeat")), ITEM_IDENTITY)
    if not numbered and ids.n_unique() < ids.len():
        occurrence = ids.to_frame("id").select(pl.int_range(pl.len()).over("id").alias("repeat"))
        outputs = outputs.with_columns(occurrence.to_series())
        again = outputs.filter(pl.col("repeat") > 0)
        places = outputs["repeat"].gt(0).arg_true()
        ids = ids.scatter(places, content_hash(again, ITEM_IDENTITY))
    return outputs.select(ids.alias("item_id"), pl.all())
