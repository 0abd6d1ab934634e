"""Verdicts as a folder of Parquet files, one a batch: what `score --engine ray` writes, resumes from and reads.

The folder may lie wherever pyarrow can read and write: a path, or an address such as ``s3://bucket/verdicts/``.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from interjudge.datasets.schema import VERDICT_COLUMNS
from interjudge.errors import InputError
from interjudge.judges.base import Judge
from interjudge.judges.store import ASKED_AGAIN, verdict_table

if TYPE_CHECKING:
    from pyarrow import fs

HASH: Final = "output_hash"  # of what the judge read of the output: an `item_id` alone may be another set's too
_ITEM: Final = ("item_id", "judge", "judge_hash")
_PART_COLUMNS: Final = {
    **{name: pl.String() if name == "status" else kind for name, kind in VERDICT_COLUMNS.items()},
    HASH: pl.String(),
}
_DONE_COLUMNS: Final = (*_ITEM, "repeat", "status", "created_at", HASH)
_USED: Final = "used"  # a file beside the parts of a judge: when it was used last
_NOTHING: Final = pl.DataFrame(schema={name: _PART_COLUMNS[name] for name in _DONE_COLUMNS})


def read_parts(parts: str | Path, judges: Sequence[Judge] | None = None) -> pl.DataFrame:
    """The verdict table in a folder of parts: where a verdict stands twice the newer one that is finished counts.

    With `judges` those of exactly these; else of all in the folder, and where one judge's name stands for several
    hashes (its lexicon was edited), of the one that was used last (`mark_used`).

    Raises
    ------
    InputError : the folder holds no part, or one that cannot be read.
    """
    folders = [str(parts)] if judges is None else [_folder(parts, judge) for judge in judges]
    found = [part for folder in dict.fromkeys(folders) for part in _tables(folder, None)]
    broken = [path for path, part in found if part is None]
    if broken:
        expected = "parts of verdicts; `interjudge score --engine ray` sets such a file aside and scores again"
        raise InputError("cannot be read as a part of verdicts", file=broken[0], expected=expected)
    tables = [part for _, part in found if part is not None]
    if not tables:
        problem = "is a directory that holds no verdicts"
        raise InputError(problem, file=parts, expected="a folder that --engine ray wrote to")
    table = _newer(pl.concat(tables))
    if judges is None:
        table = _used_last(table, _used(parts))
    return verdict_table(table.cast({"status": VERDICT_COLUMNS["status"]}))


def _newer(table: pl.DataFrame) -> pl.DataFrame:
    """Of each judge's verdicts on one output, as it was judged last, and repeat the newest that is finished, else the
    newest."""
    content = pl.col(HASH).sort_by("created_at", maintain_order=True).last().over(_ITEM)
    return (
        table.filter(pl.col(HASH).eq_missing(content))
        .with_columns((~pl.col("status").is_in(ASKED_AGAIN)).alias("finished"))
        .sort("finished", "created_at", maintain_order=True)
        .unique([*_ITEM, "repeat"], keep="last", maintain_order=True)
        .drop("finished")
    )


def _used_last(table: pl.DataFrame, used: dict[str, str]) -> pl.DataFrame:
    """The verdicts of the hash of each judge's name that was used last, or has the newest verdict."""
    marked = pl.col("judge_hash").replace_strict(used, default=None, return_dtype=pl.String)
    last = table.group_by("judge", "judge_hash").agg(pl.max_horizontal("created_at", marked).max().alias("at"))
    kept = last.sort("at", "judge_hash").unique("judge", keep="last")
    return table.join(kept, on=["judge", "judge_hash"], how="semi", nulls_equal=True)


def mark_used(parts: str | Path, judge: Judge) -> None:
    """Note that this judge is the one that is meant by its name from now on.

    Raises
    ------
    InputError : the folder cannot be written.
    """
    filesystem, path = filesystem_of(_folder(parts, judge))
    try:
        filesystem.create_dir(path, recursive=True)
        with filesystem.open_output_stream(f"{path}/{_USED}") as file:
            file.write(datetime.now(UTC).isoformat(timespec="seconds").encode())
    except OSError as error:
        raise InputError(f"cannot be written: {str(error).splitlines()[0]}", file=parts) from error


def _used(parts: str | Path) -> dict[str, str]:
    """When each hash was used last, where that is noted."""
    filesystem, infos = _files(parts)
    found = {}
    for info in infos:
        if info.base_name == _USED:
            try:
                with filesystem.open_input_stream(info.path) as file:
                    at = datetime.fromisoformat(file.read(100).decode())
            except (OSError, ValueError):  # not whole: as if it were not there
                continue
            found[str(info.path).rsplit("/", 2)[-2]] = at.isoformat(timespec="seconds")
    return found


def done_outputs(parts: str | Path, judge: Judge, repeats: int) -> tuple[pl.DataFrame, int]:
    """`item_id` and `output_hash` of the outputs whose every repeat is finished, and how many parts cannot be read.

    Those are set aside under a name that is not read (``.NAME.broken``).
    """
    found = list(_tables(_folder(parts, judge), _DONE_COLUMNS))
    table = _newer(pl.concat([_NOTHING, *(part for _, part in found if part is not None)]))
    broken = [path for path, part in found if part is None]
    for path in broken:
        filesystem, place = filesystem_of(_folder(parts, judge))
        filesystem.move(path, f"{place}/.{path.rsplit('/', 1)[-1]}.broken")
    finished = table.filter(~pl.col("status").is_in(ASKED_AGAIN), pl.col("repeat") < repeats)
    counts = finished.group_by("item_id", HASH).len()
    return counts.filter(pl.col("len") == repeats).select("item_id", HASH), len(broken)


def write_part(verdicts: pl.DataFrame, folder: str, ids: pl.Series) -> None:
    """One file under a name that follows from the outputs; it appears whole or not at all.

    What is finished in a file of that name and not in `verdicts` (which were asked again, and failed) stays.
    """
    import pyarrow.parquet as pq
    from pyarrow import fs

    absent = [pl.lit(None, kind).alias(name) for name, kind in _PART_COLUMNS.items() if name not in verdicts.columns]
    table = verdicts.with_columns(absent).select(_PART_COLUMNS.keys()).cast(_PART_COLUMNS)  # type: ignore[arg-type]
    filesystem, path = filesystem_of(folder)
    filesystem.create_dir(path, recursive=True)
    name = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:32]
    target, beside = f"{path}/{name}.parquet", f"{path}/.{name}.{secrets.token_hex(6)}.tmp"
    if filesystem.get_file_info(target).type == fs.FileType.File:
        earlier = _read(filesystem, target, None)
        table = table if earlier is None else _newer(pl.concat([earlier, table]))
    pq.write_table(table.to_arrow(), beside, filesystem=filesystem)
    filesystem.move(beside, target)


def _folder(parts: str | Path, judge: Judge) -> str:
    return f"{str(parts).rstrip('/')}/{judge.hash}"


def _tables(parts: str | Path, columns: Sequence[str] | None) -> Iterator[tuple[str, pl.DataFrame | None]]:
    """Each part with its path, in the order of their names; None for one that cannot be read."""
    filesystem, infos = _files(parts)
    for info in infos:
        if info.base_name.endswith(".parquet") and not info.base_name.startswith("."):
            yield info.path, _read(filesystem, info.path, columns)


def _files(parts: str | Path) -> tuple[fs.FileSystem, list[fs.FileInfo]]:
    """All files in the folder and below it, in the order of their paths."""
    filesystem, path = filesystem_of(parts)
    import pyarrow as pa
    from pyarrow import fs

    try:
        infos = filesystem.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"cannot be read: {str(error).splitlines()[0]}", file=parts) from error
    return filesystem, sorted((i for i in infos if i.type == fs.FileType.File), key=lambda info: str(info.path))


def _read(filesystem: fs.FileSystem, path: str, columns: Sequence[str] | None) -> pl.DataFrame | None:
    """The part in the file, or None where it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:  # a folder called judge=x is no column
        table = pq.read_table(
            path, filesystem=filesystem, columns=None if columns is None else list(columns), partitioning=None
        )
        frame = pl.DataFrame(pl.from_arrow(table))
        return frame.select(pl.col(name).cast(_PART_COLUMNS[name]) for name in columns or _PART_COLUMNS)
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError):
        return None


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
        problem = "is a folder, and pyarrow, which reads folders, is not installed"
        raise InputError(problem, file=place, expected="pip install 'interjudge[ray]'") from error
    try:
        found, path = fs.FileSystem.from_uri(full_path(place))
    except (pa.ArrowInvalid, OSError, ImportError) as error:
        raise InputError(f"is no place that pyarrow knows: {str(error).splitlines()[0]}", file=place) from error
    return found, path
