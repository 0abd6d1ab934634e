"""The beginning of a file, as far as it takes to say which tool wrote it; a JSON document is read whole."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import dataclass, field, replace
from typing import Final

import polars as pl

from interjudge.datasets.source import READ_ERRORS, Source, head
from interjudge.errors import InputError

MAX_DOCUMENT: Final = 1 << 28  # bytes of a JSON document; as objects they take several times that
_HEAD: Final = 1 << 16
_MAX_FIRST: Final = 1 << 26  # bytes of one record
_OPEN: Final = (b"{", b"[")


class Absent:
    """Stands where a file holds no JSON document."""


NO_DOCUMENT: Final = Absent()


@dataclass(frozen=True)
class Probe:
    """What is seen of a file before it is read.

    `columns` are those of a table, or the keys of the first JSON record; `first` is that record; `document` is the
    whole of a JSON file that is neither a record a line nor an array; `start` are the first bytes.
    """

    source: Source
    columns: tuple[str, ...] = ()
    first: object = None
    document: object = NO_DOCUMENT
    start: bytes = b""
    problem: InputError | None = field(default=None, compare=False)

    @property
    def what(self) -> str:
        """What kind of file it is, for messages."""
        if not isinstance(self.document, Absent):
            return f"a JSON {_name(self.document)}"
        return {"eval": "a zip archive", "json": "a JSON array", "jsonl": "JSON Lines"}.get(
            self.source.format, "a table"
        )

    def refuse_unreadable(self) -> None:
        """Raise what was wrong with a JSON document that no other reader could say more of."""
        if self.problem is not None:
            raise self.problem


def probe_of(source: Source, *, strict: bool = False) -> Probe:
    """Look at the beginning of a file; with `strict` say at once what is wrong with it."""
    if source.format == "eval":
        return Probe(source, start=head(source, _HEAD))
    if source.format == "parquet":
        return Probe(source, _parquet_columns(source))
    start = head(source, _HEAD)
    if source.format == "csv" or (strict and start.lstrip()[:1] not in _OPEN):
        return _table(source, start)
    if source.format == "json":
        first = _first_of_array(source)
        return Probe(source, _keys(first), first, start=start)
    return _json_lines(source, start, strict)


def _keys(record: object) -> tuple[str, ...]:
    return tuple(map(str, record)) if isinstance(record, dict) else ()


def _parquet_columns(source: Source) -> tuple[str, ...]:
    try:
        return tuple(pl.read_parquet_schema(source.data))
    except READ_ERRORS:
        return ()  # its own reader says what is wrong


def _table(source: Source, start: bytes) -> Probe:
    """A CSV; comment lines before the header (`# dataset_version=1.0`) are left out of the source as well."""
    text = start.decode(errors="replace").removeprefix("\ufeff")
    if text.startswith("#"):
        rest = re.sub(r"\A(?:#[^\n]*\n)+", "", text)
        skipped = len(text) - len(rest)
        whole = document_bytes(source).decode(errors="surrogateescape").removeprefix("\ufeff")
        data = whole[skipped:].encode(errors="surrogateescape")
        header = rest.split("\n", 1)[0]
        source = replace(source, data=data, compression=None, separator=max(",\t;", key=header.count))
        text = rest
    try:
        row = next(csv.reader([text.split("\n", 1)[0].rstrip("\r")], delimiter=source.separator), [])
    except csv.Error:
        row = []
    return Probe(replace(source, format="csv"), tuple(row), start=start)


def _first_of_array(source: Source) -> object:
    """The first element of a JSON array, or None."""
    size = _HEAD
    decoder = json.JSONDecoder()
    while True:
        data = head(source, size)
        text = data.decode(errors="replace").removeprefix("\ufeff").lstrip()[1:].lstrip()
        try:
            return decoder.raw_decode(text)[0]
        except (ValueError, RecursionError):
            if len(data) < size or size >= _MAX_FIRST:
                return None
            size *= 16


def _json_lines(source: Source, start: bytes, strict: bool) -> Probe:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    line, end, rest = text.partition(b"\n")
    if not end and len(start) == _HEAD:  # a long first line
        line, _, rest = head(source, _MAX_FIRST).removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
    first, rest = _loads(line), rest.strip()
    if isinstance(first, dict) and (rest or not strict):
        document: object = first if not rest else NO_DOCUMENT
        return Probe(source, _keys(first), first, document, start)
    if re.match(rb'\{\s*"version"\s*:\s*[0-9]+\s*,\s*"status"', text):  # an Inspect log may be of any size
        return Probe(source, (), None, NO_DOCUMENT, start)
    try:
        document = json_document(source)
    except InputError as error:
        # a brace alone on its line begins a document; what else may be wrong with lines, their own reader says
        if strict or (line.strip() == b"{" and "Extra data" not in str(error)):
            return Probe(source, (), None, NO_DOCUMENT, start, problem=error)
        return Probe(source, (), None, NO_DOCUMENT, start)
    return Probe(source, _keys(document), document, document, start)


def _loads(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def document_bytes(source: Source) -> bytes:
    """All of the file, decompressed.

    Raises
    ------
    InputError : it is larger than `MAX_DOCUMENT`, or damaged.
    """
    data = head(source, MAX_DOCUMENT + 1)
    if len(data) > MAX_DOCUMENT:
        raise InputError(
            f"is larger than the {MAX_DOCUMENT >> 20} MiB that are read of such a file",
            file=source.name,
            expected="it in parts",
        )
    return data


def json_document(source: Source) -> object:
    """The file as one JSON value.

    Raises
    ------
    InputError : it is not UTF-8 or not JSON (with the line), a key stands twice in an object, or it is too large.
    """
    data = document_bytes(source)
    try:
        return json.loads(data.removeprefix(b"\xef\xbb\xbf").decode(), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            "is not UTF-8 text",
            file=source.name,
            row=f"line {line} (byte {error.start})",
            found=f"the byte 0x{data[error.start]:02x}",
            expected="UTF-8",
        ) from error
    except RecursionError as error:
        raise InputError("not valid JSON: nested too deeply", file=source.name) from error
    except json.JSONDecodeError as error:
        cut = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated")
        raise InputError(
            f"not valid JSON: {error.msg.removesuffix(' at')} at character {error.colno}"
            + (" (it ends early: truncated?)" if cut else ""),
            file=source.name,
            row=f"line {error.lineno}",
            found=error.doc[max(0, error.pos - 30) : error.pos + 30],
        ) from error
    except ValueError as error:  # a key that stands twice, or a number of too many digits
        raise InputError(f"not valid JSON: {error}", file=source.name) from error


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    whole = dict(pairs)
    if len(whole) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} stands twice in an object")
    return whole


def _name(value: object) -> str:
    if isinstance(value, dict):
        return "object"
    if isinstance(value, float) and not math.isfinite(value):
        return "constant"
    return {list: "array", str: "text", bool: "true or false"}.get(type(value), "value")
