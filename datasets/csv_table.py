"""CSV and TSV. Every field is read as text; the schema's numbers are made from it afterwards.

polars refuses a record with too many fields and fills up one with too few. The latter could only be told from
a real null by counting, which is done for records whose last field is null. When reading has failed, a strict
RFC 4180 parser in Python finds the record.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final, NoReturn

import polars as pl

from interjudge.datasets.columns import Choose, Table
from interjudge.datasets.source import READ_ERRORS, Source, decompressed, refuse_bad_bytes
from interjudge.errors import InputError

_QUOTED: Final = r'"[^"]*"'


def read_csv(source: Source, choose: Choose, limit: int | None) -> Table:
    """A table of text with the columns that `choose` picks from the header. Rows without any value are left out.

    An empty field is null, a quoted empty field ("") is empty text.
    """
    try:
        _refuse_twin_names(source)
        whole = pl.scan_csv(source.data, separator=source.separator, infer_schema=False, n_rows=limit, glob=False)
        header = whole.collect_schema().names()
        names = choose(header)
        frame = whole.select(dict.fromkeys([*names, header[-1]])).collect()
        _refuse_short(source, frame[header[-1]], len(header))
        if frame.height and frame.select(pl.all_horizontal(pl.all().is_null()).any()).item():
            filled = whole.select(~pl.all_horizontal(pl.all().is_null())).collect().to_series()
            frame = frame.filter(filled)
    except READ_ERRORS as error:
        _diagnose(source, error)
    return Table(frame.select(names), source.name)


def _refuse_twin_names(source: Source) -> None:
    # polars would rename the second one without a word
    header = pl.read_csv(
        source.data, separator=source.separator, has_header=False, infer_schema=False, n_rows=1, glob=False,
        truncate_ragged_lines=True,
    )  # fmt: skip
    twice = [name for name, count in Counter(header.row(0)).items() if count > 1]
    if twice:
        raise InputError("two columns have the same name", file=source.name, row="header", found=twice[0] or '""')


def _refuse_short(source: Source, last: pl.Series, width: int) -> None:
    """Raise at the first record that ends before its last field; `last` is that field in every record."""
    candidates = last.is_null().arg_true() + 1
    if candidates.is_empty() or width == 1:
        return
    line = pl.col("line")
    # a record ends where, up to and with this line, quotes are even in number
    closed = (line.str.count_matches('"', literal=True).cum_sum() % 2) == 0
    records = (
        pl.scan_lines(source.data)
        .with_columns(record=closed.cast(pl.UInt32).cum_sum().shift(1, fill_value=0))
        .filter(pl.col("record").is_in(candidates.implode()))
        .group_by("record")
        .agg(line.str.join("\n"))
        .with_columns(fields=1 + line.str.replace_all(_QUOTED, "").str.count_matches(source.separator, literal=True))
        .filter((pl.col("fields") < width) & (line.str.strip_chars("\r") != ""))
        .sort("record")
        .head(1)
        .collect()
    )
    if records.height:
        record, text, fields = records.row(0)
        raise _wrong_width(source, int(record), int(fields), width, str(text))


def _wrong_width(source: Source, record: int, fields: int, width: int, text: str) -> InputError:
    return InputError(
        f"{fields} fields where the header has {width}",
        file=source.name,
        row=record,
        found=text,
        expected='as many fields as in the header; a field with a separator, quote or line break in "quotes"',
    )


def _diagnose(source: Source, error: BaseException) -> NoReturn:
    refuse_bad_bytes(source)
    width = None
    for record, (text, fields) in enumerate(_records(source)):
        width = width or fields
        if fields != width and text.strip():
            raise _wrong_width(source, record, fields, width, text)
    raise InputError(f"cannot be read: {str(error).splitlines()[0]}", file=source.name) from error


def _records(source: Source) -> Iterator[tuple[str, int]]:
    """Each record's text and number of fields; raises `InputError` at a misplaced or unclosed quote."""
    text = decompressed(source).decode().removeprefix("\ufeff")
    sep = re.escape(source.separator)
    field = re.compile(rf'(?:"(?:[^"]|"")*"|[^"{sep}\n]*)({sep}|\r?\n|\Z)')
    start = at = fields = 0
    while at < len(text):
        match = field.match(text, at)
        if match is None:
            raise InputError(
                "a misplaced or unclosed quote",
                file=source.name,
                row=f"line {text.count(chr(10), 0, at) + 1}",
                found=text[at : at + 60],
                expected='fields that hold a quote to be in "quotes", with each quote inside doubled',
            )
        at, fields = match.end(), fields + 1
        if match[1] != source.separator or at == len(text):
            if match[1] == source.separator:
                fields += 1
            yield text[start:at].rstrip("\r\n"), fields
            start, fields = at, 0
