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
        frame = whole.select(list(dict.fromkeys([*names, header[-1]]))).collect()
        if frame[header[-1]].has_nulls() or not source.ends_a_line():
            _refuse_open_quote(source)
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


def _refuse_open_quote(source: Source) -> None:
    """Raise where the file ends inside quotes, as one that was cut off may; polars takes what there is."""
    quotes = pl.scan_lines(source.data).select(pl.col("line").str.count_matches('"', literal=True).sum())
    if quotes.collect(engine="streaming").item() % 2:
        _refuse_width(source)


def _refuse_short(source: Source, last: pl.Series, width: int) -> None:
    """Raise at the first record that ends before its last field; `last` is that field in every record.

    polars has refused records with too many fields, so one is too short exactly if the file has fewer
    separators than its records should have. A record ends where the quotes so far are even in number.
    """
    if width == 1 or not last.has_nulls():
        return
    line = pl.col("line")
    counted = (
        pl.scan_lines(source.data)
        .with_columns(quotes=line.str.count_matches('"', literal=True))
        .with_columns(odd_after=pl.col("quotes").cum_sum() % 2)
        .with_columns(odd_before=pl.col("odd_after").shift(1, fill_value=0))
    )
    open_quote, close_quote = (
        pl.when(pl.col(name) == 1).then(pl.lit('"')).otherwise(pl.lit("")) for name in ("odd_before", "odd_after")
    )
    bare = pl.concat_str(open_quote, line, close_quote).str.replace_all(_QUOTED, "")
    blank = (line == "") & (pl.col("odd_before") == 0)
    ends = (pl.col("odd_after") == 0) & ~blank
    separators, records = (
        counted.select(bare.str.count_matches(source.separator, literal=True).sum(), ends.sum())
        .collect(engine="streaming")
        .row(0)
    )
    if separators < records * (width - 1):
        _refuse_width(source)


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
    _refuse_width(source)
    raise InputError(f"cannot be read: {str(error).splitlines()[0]}", file=source.name) from error


def _refuse_width(source: Source) -> None:
    """Raise at the first record with more or fewer fields than the header; goes through all of them."""
    width = None
    for record, (text, fields) in enumerate(_records(source)):
        width = width or fields
        if fields != width and text.strip():
            raise _wrong_width(source, record, fields, width, text)


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
