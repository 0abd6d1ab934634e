"""Writing tables and texts: never over an input, and never half a file."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Literal

import polars as pl

from interjudge.datasets.source import STDIN, SUFFIXES
from interjudge.errors import InputError, InterjudgeError, did_you_mean

_Compression = Literal["uncompressed", "gzip", "zstd"]
_COMPRESSIONS: Final[dict[str, _Compression]] = {".gz": "gzip", ".zst": "zstd"}
_WRITTEN: Final = ".parquet, .jsonl, .csv or .tsv, the latter three also with .gz or .zst"
_ROWS_AT_ONCE: Final = 10_000
_OS_ERROR: Final = re.compile(r"\(os error (\d+)\)")


def write_table(frame: pl.DataFrame, path: str | Path, *, inputs: Sequence[str | Path] = ()) -> None:
    """Write `frame` in the format of the path's extension; ``-`` is JSON Lines on standard output.

    Folders that do not exist are made. The file appears whole or not at all: it is written beside its place
    under another name, flushed to the disk, and renamed. In CSV all text is in quotes, null is an empty field, and
    a list is the text of its values joined by "; ".

    Raises
    ------
    InputError : `path` is one of `inputs`, a directory, of unknown extension, or not writable; or CSV was
        asked for a table with objects, or with lists of lists or of objects, in it.
    InterjudgeError : the disk is full or failed.
    """
    if str(path) == STDIN:
        for part in frame.iter_slices(_ROWS_AT_ONCE):
            sys.stdout.buffer.write(part.write_ndjson().encode())
        sys.stdout.buffer.flush()
        return
    check_target(path, inputs=inputs)
    suffix, compression = _format(path)
    with _replacing(path) as file:
        try:
            if SUFFIXES[suffix] == "parquet":
                frame.write_parquet(file)
            elif SUFFIXES[suffix] == "csv":
                separator = "," if suffix == ".csv" else "\t"
                _lists_as_text(frame).write_csv(
                    file, separator=separator, quote_style="non_numeric", compression=compression, check_extension=False
                )
            else:
                frame.write_ndjson(file, compression=compression, check_extension=False)
        except pl.exceptions.PolarsError as error:
            if failed := _OS_ERROR.search(str(error)):  # of Parquet files polars says so in the text alone
                raise InterjudgeError(f"{path}: could not be written: {os.strerror(int(failed[1]))}") from error
            raise InputError(
                f"the table cannot be written in this format: {str(error).splitlines()[0]}", file=path
            ) from error


def _lists_as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """CSV has no lists: reasons and the like become "a; b". What is nested deeper stays, and polars refuses it."""
    flat = [
        name
        for name, dtype in frame.schema.items()
        if isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.DataType) and not dtype.inner.is_nested()
    ]
    return frame.with_columns(pl.col(flat).cast(pl.List(pl.String)).list.join("; ")) if flat else frame


def write_text(text: str, path: str | Path, *, inputs: Sequence[str | Path] = ()) -> None:
    """Write `text` as UTF-8, whole or not at all, with its line ends as they are; ``-`` is standard output.

    Raises
    ------
    InputError : `path` is one of `inputs`, a directory, or not writable.
    InterjudgeError : the disk is full or failed.
    """
    if str(path) == STDIN:  # as bytes: the encoding of a terminal would turn labels into question marks
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        return
    check_target(path, inputs=inputs, table=False)
    with _replacing(path) as file:
        file.write(text.encode())


def write_bytes(content: bytes, path: str | Path, *, inputs: Sequence[str | Path] = ()) -> None:
    """Write `content` whole or not at all.

    Raises
    ------
    InputError : `path` is one of `inputs`, a directory, or not writable.
    InterjudgeError : the disk is full or failed.
    """
    check_target(path, inputs=inputs, table=False)
    with _replacing(path) as file:
        file.write(content)


def check_target(path: str | Path, *, inputs: Sequence[str | Path] = (), table: bool = True) -> None:
    """Raise `InputError` where `write_table` (or `write_text`) would refuse `path`; before a long run."""
    if str(path) == STDIN:
        return
    if table:
        _format(path)
    if Path(path).is_dir():
        raise InputError("is a directory", file=path, expected="a file")
    for given in inputs:
        with contextlib.suppress(OSError, ValueError):  # what does not exist is not the same file
            if str(given) != STDIN and os.path.samefile(given, path):
                raise InputError(f"is an input ({given}); input files are never overwritten", file=path)


def check_targets(paths: Sequence[str | Path], *, inputs: Sequence[str | Path] = (), table: bool = True) -> None:
    """`check_target` for each of `paths`; also raise `InputError` where two are one file, through links or not."""
    seen: dict[str, str | Path] = {}
    for path in paths:
        check_target(path, inputs=inputs, table=table)
        place = str(path) if str(path) == STDIN else os.path.realpath(path)
        if place in seen:
            raise InputError(f"two results would be written here (also {seen[place]})", expected="two names", file=path)
        seen[place] = path


def _format(path: str | Path) -> tuple[str, _Compression]:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    compression: _Compression = "uncompressed"
    if suffixes and suffixes[-1] in _COMPRESSIONS:
        compression = _COMPRESSIONS[suffixes.pop()]
    suffix = suffixes[-1] if suffixes else ""
    known = [name for name in SUFFIXES if name != ".json"]
    if suffix not in known or (SUFFIXES[suffix] == "parquet" and compression != "uncompressed"):
        raise InputError(
            f"no table is written under this extension{did_you_mean(suffix, known)}",
            file=path,
            found="".join(Path(path).suffixes) or "none",
            expected=_WRITTEN,
        )
    return suffix, compression


@contextlib.contextmanager
def _replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A file beside `path` that takes its place, with its permissions, when the block ends without an error."""
    target = Path(os.path.realpath(path))  # a symlink stays one, its target is replaced
    beside = target.with_name(f".{target.name[:80]}.{secrets.token_hex(6)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            beside.chmod(target.stat().st_mode & 0o7777)
        os.replace(beside, target)
        _flush_folder(target.parent)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _flush_folder(folder: Path) -> None:
    # so that the rename itself survives a power cut; Windows cannot and need not
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _not_written(path: str | Path, error: OSError) -> InterjudgeError:
    if isinstance(error, PermissionError | NotADirectoryError | FileExistsError | IsADirectoryError):
        return InputError(f"cannot be written: {(error.strerror or str(error)).lower()}", file=path)
    return InterjudgeError(f"{path}: could not be written: {error.strerror or error}")
