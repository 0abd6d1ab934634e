"""Verdicts as a folder of Parquet files, one a batch: what `score --engine ray` writes, resumes from and reads.

The folder may lie wherever pyarrow can read and write: a path, or an address such as ``s3://bucket/verdicts/``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from interjudge.datasets.schema import VERDICT_COLUMNS
from interjudge.errors import InputError
from interjudge.judges.base import Judge
from interjudge.judges.store import ASKED_AGAIN, verdict_table

if TYPE_CHECKING:
    from pyarrow import fs

_KEY: Final = ("item_id", "judge", "repeat")
_PART_COLUMNS: Final = {name: pl.String() if name == "status" else kind for name, kind in VERDICT_COLUMNS.items()}
_NOTHING: Final = pl.DataFrame(schema={"item_id": pl.String, "repeat": pl.Int64, "status": pl.String})


def read_parts(parts: str | Path) -> pl.DataFrame:
    """The verdict table in a folder of parts: where a verdict stands twice the newer one that is finished counts.

    Where one judge's name stands for several hashes (its lexicon was edited), the one that was used last counts.

    Raises
    ------
    InputError : the folder holds no part that can be read.
    """
    found = [part for part in _tables(parts, None) if part is not None]
    if not found:
        problem = "is a directory that holds no verdicts"
        raise InputError(problem, file=parts, expected="a folder that --engine ray wrote to")
    newest = pl.col("judge_hash").last().over("judge", order_by="created_at")
    finished = (~pl.col("status").is_in(ASKED_AGAIN)).alias("finished")
    table = (
        pl.concat(found)
        .filter(pl.col("judge_hash") == newest)
        .with_columns(finished)
        .sort("finished", "created_at", maintain_order=True)
        .unique(_KEY, keep="last", maintain_order=True)
        .drop("finished")
    )
    return verdict_table(table.cast({"status": VERDICT_COLUMNS["status"]}))


def done_ids(parts: str | Path, judge: Judge, repeats: int) -> tuple[pl.Series, int]:
    """The item ids of which every repeat is finished, and how many parts cannot be read."""
    folder = f"{str(parts).rstrip('/')}/{judge.hash}"
    found = list(_tables(folder, ["item_id", "repeat", "status"]))
    readable = [part for part in found if part is not None]
    table = pl.concat([_NOTHING, *readable])
    finished = table.filter(~pl.col("status").is_in(ASKED_AGAIN), pl.col("repeat") < repeats)
    counts = finished.unique(["item_id", "repeat"]).group_by("item_id").len()
    return counts.filter(pl.col("len") == repeats)["item_id"], len(found) - len(readable)


def write_part(verdicts: pl.DataFrame, folder: str, ids: pl.Series) -> None:
    """One file under a name that follows from the outputs; it appears whole or not at all."""
    import pyarrow.parquet as pq

    absent = [pl.lit(None, kind).alias(name) for name, kind in _PART_COLUMNS.items() if name not in verdicts.columns]
    table = verdicts.with_columns(absent).select(_PART_COLUMNS.keys()).cast(_PART_COLUMNS)  # type: ignore[arg-type]
    filesystem, path = filesystem_of(folder)
    filesystem.create_dir(path, recursive=True)
    name = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:32]
    beside = f"{path}/.{name}.{os.getpid()}.tmp"
    pq.write_table(table.to_arrow(), beside, filesystem=filesystem)
    filesystem.move(beside, f"{path}/{name}.parquet")


def _tables(parts: str | Path, columns: Sequence[str] | None) -> Iterator[pl.DataFrame | None]:
    """Each part, in the order of their names; None for one that cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import fs

    filesystem, path = filesystem_of(parts)
    try:
        infos = filesystem.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"cannot be read: {str(error).splitlines()[0]}", file=parts) from error
    for info in sorted(infos, key=lambda one: str(one.path)):
        name = info.base_name
        if info.type != fs.FileType.File or not name.endswith(".parquet") or name.startswith("."):
            continue
        try:
            table = pl.DataFrame(pl.from_arrow(pq.read_table(info.path, filesystem=filesystem, columns=columns)))
            yield table.select(columns or _PART_COLUMNS.keys())
        except (OSError, pa.ArrowInvalid, pa.ArrowKeyError, pl.exceptions.PolarsError):
            yield None


def full_path(place: str | Path) -> str:
    """A path from the root, which is the same wherever an actor stands; an address as it is."""
    return str(place) if "://" in str(place) else str(Path(place).absolute())


def filesystem_of(place: str | Path) -> tuple[fs.FileSystem, str]:
    """What pyarrow reads and writes a place through, and the path there.

    Raises
    ------
    InputError : pyarrow is not installed, or knows no such place.
    """
    try:
        import pyarrow as pa
        from pyarrow import fs
    except ImportError as error:
        problem = "is a folder of verdicts, and pyarrow, which reads it, is not installed"
        raise InputError(problem, file=place, expected="pip install 'interjudge[ray]'") from error
    try:
        found, path = fs.FileSystem.from_uri(full_path(place))
    except (pa.ArrowInvalid, OSError, ImportError) as error:
        raise InputError(f"is no place that pyarrow knows: {str(error).splitlines()[0]}", file=place) from error
    return found, path
