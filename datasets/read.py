"""One table from one file, whatever its format: JSON Lines, a JSON array, CSV, TSV or Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from interjudge.datasets.columns import Choose, Kind, Table, typed
from interjudge.datasets.csv_table import read_csv
from interjudge.datasets.json_table import read_json
from interjudge.datasets.source import READ_ERRORS, Source, open_source
from interjudge.errors import InputError


def read_table(
    path: str | Path | Source, kinds: Mapping[str, Kind], choose: Choose = list, limit: int | None = None
) -> Table:
    """Read the columns that `choose` picks from the file's column names; those of `kinds` come in their types.

    `choose` sees the names before any row is read and raises `InputError` where one is missing. `limit` reads
    only that many rows from the start.

    Raises
    ------
    InputError : the file cannot be read, or holds no row, or a value is not of its column's kind.
    """
    if limit is not None and limit < 1:
        raise InputError("the limit must be 1 or more", found=limit)
    source = path if isinstance(path, Source) else open_source(path)
    if source.format == "sqlite":
        raise InputError(
            "is an SQLite file; a verdict store is read only where verdicts are expected", file=source.name
        )
    if source.format == "eval":
        raise InputError("is an Inspect AI log, and no table", file=source.name)
    if source.format == "parquet":
        table = _read_parquet(source, choose, limit)
    elif source.format == "csv":
        table = read_csv(source, choose, limit)
    else:
        table = read_json(source, kinds, choose, limit)
    if table.frame.is_empty():
        raise InputError("the file holds no rows", file=source.name)
    return typed(table, kinds)


def _read_parquet(source: Source, choose: Choose, limit: int | None) -> Table:
    try:
        lazy = pl.scan_parquet(source.data, glob=False, hive_partitioning=False)
        names = choose(lazy.collect_schema().names())
        frame = (lazy if limit is None else lazy.head(limit)).select(names).collect()
    except READ_ERRORS as error:
        raise InputError(
            f"the Parquet file is damaged or ends early ({str(error).splitlines()[0]})", file=source.name
        ) from error
    return Table(frame, source.name)
