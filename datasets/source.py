"""Where a table's bytes come from: a file or standard input, its format, compression and encoding."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import os
import re
import stat
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO, Final, Literal

import polars as pl

from interjudge.errors import InputError, did_you_mean

Format = Literal["jsonl", "json", "csv", "parquet", "sqlite", "eval"]
Compression = Literal["gzip", "zstd"] | None

# What polars raises on bad input; its own panics are no subclass of its errors.
READ_ERRORS: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)

STDIN: Final = "-"
SUFFIXES: Final[dict[str, Format]] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv", ".tab": "csv",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
FORMATS: Final = "JSON Lines, a JSON array, CSV or Parquet"

SQLITE_MAGIC: Final = b"SQLite format 3\0"
_ARCHIVES: Final = {
    b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x04\x22\x4d\x18": "lz4", b"7z\xbc\xaf": "7z",
}  # fmt: skip
# what a zip archive of an Inspect log begins with, after the fixed part of its first entry's header
_EVAL: Final = rb"(?:_journal/|header\.json|samples/|summaries\.json)"
_PEEK: Final = 1 << 16
_CHUNK: Final = 1 << 24
_MUCH: Final = 1 << 28  # bytes; and text compresses 3 to 50 times, a table of one repeated row 150 times
_BOMB: Final = 250
_SEPARATORS: Final = ",\t;"


@dataclass(frozen=True)
class Source:
    """`name` as the user gave it, `data` as polars takes it (a path, or bytes), and what was found in it."""

    name: str
    data: Path | bytes
    format: Format
    compression: Compression = None
    separator: str = ","

    def ends_a_line(self) -> bool:
        """Whether the last byte is a line feed; a compressed file does not say without being unpacked: False."""
        return self.compression is None and _end(self.name, self.data, 1) == b"\n"


def open_source(path: str | Path) -> Source:
    """Find out what `path` holds; ``-`` is standard input.

    The format follows the extension where it is one we know, else the content; compression (gzip, zstd)
    always follows the content. Nothing but the beginning is read here, save from a pipe.

    Raises
    ------
    InputError : missing, a directory, not readable, empty, an archive, not UTF-8, or of no known format.
    """
    name, data = _bytes_or_path(path)
    start = data[:_PEEK] if isinstance(data, bytes) else _start(name, data)
    compression: Compression = None
    if start.startswith(b"\x1f\x8b"):
        compression = "gzip"
    elif start.startswith(b"\x28\xb5\x2f\xfd"):
        compression = "zstd"
    if compression:
        _refuse_bomb(name, data, start, compression)
        start = _peek(name, data, compression)
    return _recognise(name, data, start, compression)


def _refuse_bomb(name: str, data: Path | bytes, start: bytes, compression: Compression) -> None:
    """Raise `InputError` where a small file says or shows that it unpacks to very much more than text does."""
    packed = len(data) if isinstance(data, bytes) else data.stat().st_size
    if packed * 1032 < _MUCH and compression == "gzip":  # deflate cannot do more
        return
    if compression == "gzip":
        with contextlib.suppress(zlib.error):
            unpacker = zlib.decompressobj(wbits=31)
            shown = len(unpacker.decompress(start, _CHUNK)) / max(len(start) - len(unpacker.unconsumed_tail), 1)
            claimed = int.from_bytes(_end(name, data, 4), "little")
            if shown > _BOMB or (claimed > _MUCH and claimed > _BOMB * packed):
                raise InputError(
                    f"unpacks to more than {_BOMB} times its size", file=name, expected="text, or it unpacked"
                )
    elif (claimed := _zstd_size(start)) > _MUCH and claimed > _BOMB * packed:
        raise InputError(f"unpacks to more than {_BOMB} times its size", file=name, expected="text, or it unpacked")


def _end(name: str, data: Path | bytes, size: int) -> bytes:
    if isinstance(data, bytes):
        return data[-size:]
    with _opened(name, data) as file:
        file.seek(-size, os.SEEK_END)
        return file.read()


def _zstd_size(start: bytes) -> int:
    """What the frame's header says of the size (RFC 8878, 3.1.1.1), 0 where it says nothing."""
    if len(start) < 5:
        return 0
    flags = start[4]
    single = flags >> 5 & 1
    size = (single, 2, 4, 8)[flags >> 6]
    at = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    return int.from_bytes(start[at : at + size], "little") + (256 if size == 2 else 0)


def _bytes_or_path(path: str | Path) -> tuple[str, Path | bytes]:
    if str(path) == STDIN:
        return "standard input", sys.stdin.buffer.read()
    name = str(path)
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise _unreachable(name, error) from error
    if stat.S_ISDIR(mode):
        raise InputError("is a directory", file=name, expected="a file")
    whole = Path(path).absolute()
    # polars reads * ? [ in a path as a pattern, and a pipe can be read only once: both are taken whole
    if stat.S_ISREG(mode) and not set("*?[") & set(str(whole)):
        return name, whole
    with _opened(name, whole) as file:
        return name, file.read()


def _start(name: str, path: Path) -> bytes:
    with _opened(name, path) as file:
        return file.read(_PEEK)


def _opened(name: str, path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreachable(name, error) from error


def _unreachable(name: str, error: OSError | ValueError) -> InputError:
    if isinstance(error, PermissionError):
        return InputError("cannot be read: permission denied", file=name)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        folder = Path(name).parent
        if not folder.is_dir():
            return InputError(f"no such file; the folder {str(folder)!r} does not exist", file=name)
        try:
            siblings = os.listdir(folder)
        except OSError:
            siblings = []
        return InputError(f"no such file{did_you_mean(Path(name).name, siblings)}", file=name)
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return InputError(f"cannot be read: {reason}", file=name)


def _peek(name: str, data: Path | bytes, compression: Compression) -> bytes:
    """The first bytes after decompression."""
    try:
        if compression == "gzip":
            with gzip.open(BytesIO(data) if isinstance(data, bytes) else data) as file:
                return file.read(_PEEK)
        # Python 3.11 has no zstd of its own; polars has, and a format by lines begins with a line
        return "\n".join(pl.read_lines(data, n_rows=20)["line"]).encode()
    except (*READ_ERRORS, EOFError, zlib.error) as error:
        if "utf8" in str(error):
            raise InputError("is not UTF-8 text after decompression", file=name) from error
        raise damaged(name, compression, error) from error


def damaged(name: str, compression: Compression, error: BaseException) -> InputError:
    what = f"the {compression} data" if compression else "the file"
    return InputError(f"{what} is damaged or ends early ({error})", file=name)


def _recognise(name: str, data: Path | bytes, start: bytes, compression: Compression) -> Source:
    inner = Path(name).with_suffix("") if Path(name).suffix.lower() in (".gz", ".zst") else Path(name)
    expected = SUFFIXES.get(inner.suffix.lower())
    if not start:
        raise InputError("the file is empty", file=name)
    if start.startswith(SQLITE_MAGIC):
        return Source(name, data, "sqlite", compression)
    if start.startswith(b"PAR1") or expected == "parquet":
        return _parquet(name, data, start, compression)
    if start.startswith(b"PK\x03\x04") and re.match(_EVAL, start[30:60]):
        return Source(name, data, "eval", compression)
    for magic, what in _ARCHIVES.items():
        if start.startswith(magic):
            raise InputError("cannot be read", file=name, found=f"a {what} archive", expected=FORMATS)
    _refuse_utf16(name, start)
    text = start.removeprefix(codecs.BOM_UTF8).lstrip()
    if not text and len(start) < _PEEK:
        raise InputError("the file holds nothing but blanks", file=name)
    if expected == "jsonl" or (expected is None and text[:1] in (b"{", b"[")):
        if start.startswith(codecs.BOM_UTF8):
            # polars' JSON reader takes the byte order mark for part of the text
            data = decompressed(Source(name, data, "jsonl", compression))[len(codecs.BOM_UTF8) :]
            compression = None
        return Source(name, data, "json" if text.startswith(b"[") else "jsonl", compression)
    header = text.split(b"\n", 1)[0].decode(errors="replace")
    if expected is None and not any(s in header for s in _SEPARATORS):
        raise InputError("the format is not known", file=name, found=header[:60], expected=FORMATS)
    tab = inner.suffix.lower() in (".tsv", ".tab")
    separator = "\t" if tab else max(_SEPARATORS, key=header.count)
    return Source(name, data, "csv", compression, separator)


def _parquet(name: str, data: Path | bytes, start: bytes, compression: Compression) -> Source:
    if not start.startswith(b"PAR1"):
        raise InputError("is not a Parquet file", file=name, found=start[:16].decode(errors="replace"))
    if compression:
        raise InputError(f"is a Parquet file inside {compression}", file=name, expected="it as it is")
    return Source(name, data, "parquet")


def _refuse_utf16(name: str, start: bytes) -> None:
    wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    # without a mark: every second byte of ASCII is zero; both `{"` and a header begin with ASCII
    if wide or (len(start) >= 4 and (start[0:4:2] == b"\0\0" or start[1:4:2] == b"\0\0")):
        raise InputError("is not UTF-8 text", file=name, row="byte 0", found="UTF-16", expected="UTF-8")


def decompressed(source: Source) -> bytes:
    """The whole text as bytes; for small jobs and for finding what is wrong."""
    if source.compression == "zstd":
        return "\n".join(lines(source)).encode()
    return b"".join(_chunks(source))


def lines(source: Source) -> Iterator[str]:
    """The physical lines in order, without their ends."""
    yield from pl.read_lines(source.data)["line"]


def head(source: Source, size: int) -> bytes:
    """The first `size` bytes after decompression (of zstd: of whole lines; the end of the last may be missing).

    Raises
    ------
    InputError : they cannot be read or decompressed.
    """
    try:
        if source.compression == "zstd":
            return "\n".join(pl.read_lines(source.data, n_rows=20 if size <= _PEEK else None)["line"]).encode()[:size]
        raw: IO[bytes] = BytesIO(source.data) if isinstance(source.data, bytes) else source.data.open("rb")
        with raw:
            return gzip.GzipFile(fileobj=raw).read(size) if source.compression == "gzip" else raw.read(size)
    except (*READ_ERRORS, EOFError, zlib.error) as error:
        if "utf8" in str(error):
            raise InputError("is not UTF-8 text after decompression", file=source.name) from error
        raise damaged(source.name, source.compression, error) from error


def document_lines(source: Source) -> Iterator[str]:
    """The physical lines, split at line feeds alone; raises `InputError` where they are not UTF-8 or damaged."""
    refuse_bad_bytes(source)
    first = True
    for line in lines(source):
        yield line.removeprefix("\ufeff") if first else line
        first = False


def refuse_bad_bytes(source: Source) -> None:
    """Raise `InputError` where the text cannot be decompressed or is not UTF-8; say at which byte and line."""
    if source.compression == "zstd":
        try:
            pl.scan_lines(source.data).select(pl.len()).collect()
        except READ_ERRORS as error:
            if "utf8" in str(error):
                raise InputError("is not UTF-8 text after decompression", file=source.name) from error
            raise damaged(source.name, source.compression, error) from error
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    at = line = 0
    for chunk in _chunks(source):
        held, _ = decoder.getstate()
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            before = (held + chunk)[: error.start]
            raise InputError(
                "is not UTF-8 text",
                file=source.name,
                row=f"line {line + before.count(10) + 1} (byte {at - len(held) + error.start})",
                found=f"the byte 0x{(held + chunk)[error.start]:02x}",
                expected="UTF-8",
            ) from error
        at += len(chunk)
        line += chunk.count(10)


def _chunks(source: Source) -> Iterator[bytes]:
    """The decompressed bytes in pieces, the last one empty."""
    try:
        raw: IO[bytes] = BytesIO(source.data) if isinstance(source.data, bytes) else source.data.open("rb")
        with raw, contextlib.ExitStack() as stack:
            file: IO[bytes] | gzip.GzipFile = raw
            if source.compression == "gzip":
                file = stack.enter_context(gzip.GzipFile(fileobj=raw))
            while chunk := file.read(_CHUNK):
                yield chunk
        yield b""
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(source.name, source.compression, error) from error
