"""JSON Lines and JSON arrays.

polars reads them fast, but it also does silently what must not happen here: a number in a text column becomes
text, half a surrogate pair becomes NUL, and a column whose first rows are empty is dropped. So the types are
inferred over all rows, and one streaming pass beforehand picks out the lines that could hold such a value;
Python then looks at those lines alone. Only when reading has failed does Python go through the lines to find
which one is at fault.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Final, NoReturn

import polars as pl

from interjudge.datasets.columns import TEXT_KINDS, Choose, Kind, Table, refuse_wrong_type
from interjudge.datasets.source import READ_ERRORS, Source, decompressed, lines, refuse_bad_bytes
from interjudge.errors import InputError

_PAIR: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF: Final = r"\\u[dD][89a-fA-F]"
# what a value begins with that the kind does not take
_ODD_START: Final[dict[str, str]] = {
    "text": r"[-0-9tf\[{]",
    "name": r"(?:-?[0-9]+[.eE]|[tf\[{])",
    "tag": r"(?:-?[0-9]+[.eE]|[\[{])",
    "label": r"[\[{]",
}
_BLANK: Final = " \t\r\n"  # what JSON takes for blank, and Python's strip() does not stop at
_OBJECT: Final = '{"column": value, ...}'
_MAX_DIGITS: Final = 38  # what polars' widest integer holds for certain


def read_json(source: Source, kinds: Mapping[str, Kind], choose: Choose, limit: int | None) -> Table:
    """A table with the columns that `choose` picks from those of the file."""
    try:
        if limit is not None and source.format == "jsonl":
            source = _beginning(source, limit)
        _refuse_suspects(source, kinds)
        if source.format == "json":
            frame = _read_array(source, kinds)
            frame = frame.select(choose(frame.columns)).head(limit if limit is not None else frame.height)
        else:
            frame = _read_lines(source, kinds, choose)
    except READ_ERRORS as error:
        _diagnose(source, kinds, error)
    return Table(frame, source.name, lambda i: _place(source, i))


def _beginning(source: Source, limit: int) -> Source:
    """The lines up to the `limit`-th that is not blank, so that nothing after them is looked at."""
    filled = pl.col("line").str.strip_chars(_BLANK) != ""
    scan = pl.scan_lines(source.data, row_index_name="row").filter(filled).head(limit)
    last = scan.select(pl.col("row").max()).collect(engine="streaming").item()
    text = pl.read_lines(source.data, n_rows=last + 1).select(pl.col("line").str.join("\n")).item()
    return replace(source, data=text.encode(), compression=None)


def _read_lines(source: Source, kinds: Mapping[str, Kind], choose: Choose) -> pl.DataFrame:
    inferred = pl.scan_ndjson(source.data, infer_schema_length=None).collect_schema()
    schema = {name: _wanted(name, inferred[name], kinds) for name in choose(inferred.names())}
    return pl.scan_ndjson(source.data, schema=schema).collect()


def _read_array(source: Source, kinds: Mapping[str, Kind]) -> pl.DataFrame:
    data = source.data if source.compression is None else decompressed(source)
    frame = pl.read_json(data, infer_schema_length=None)
    if frame.width == 0:
        raise InputError("the file holds no rows", file=source.name)
    wanted = {name: _wanted(name, dtype, kinds) for name, dtype in frame.schema.items()}
    if wanted != dict(frame.schema):
        frame = pl.read_json(data, schema=wanted)
    return frame


def _wanted(name: str, inferred: pl.DataType, kinds: Mapping[str, Kind]) -> pl.DataType:
    # mixed numbers, booleans and text become text by themselves; a column of null takes any type later
    return pl.String() if kinds.get(name) in TEXT_KINDS and inferred != pl.Null else inferred


def _refuse_suspects(source: Source, kinds: Mapping[str, Kind]) -> None:
    line = pl.col("line")
    half = line.str.contains(_HALF) & line.str.replace_all(_PAIR, "").str.contains(_HALF)
    scan = pl.scan_lines(source.data, row_index_name="row")
    suspects = scan.filter(line.str.contains(_odd_value(kinds)) | half).collect(engine="streaming")
    if suspects.is_empty():
        return
    if source.format == "json":
        _check_array(source, kinds)
        return
    for row, text in suspects.iter_rows():
        _check_line(source, kinds, row + 1, text)


def _odd_value(kinds: Mapping[str, Kind]) -> str:
    """A pattern that finds `"key": value` where the value cannot be of the key's kind."""
    alternatives = []
    for kind, start in _ODD_START.items():
        names = [name for name in kinds if kinds[name] == kind]
        written = {json.dumps(name, ensure_ascii=a) for name in names for a in (True, False)}
        if written:
            alternatives.append(rf"(?:{'|'.join(map(pl.escape_regex, sorted(written)))})\s*:\s*{start}")
    return "|".join(alternatives)


def _check_line(source: Source, kinds: Mapping[str, Kind], number: int, text: str) -> dict[str, object]:
    """The object on this line; raises `InputError` for whatever is wrong with it."""
    where = f"line {number}"
    if number == 1:
        text = text.removeprefix("\ufeff")
    try:
        row = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_twins)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"not valid JSON: {_words(error, text)}", file=source.name, row=where, found=_around(error, text)
        ) from error
    if not isinstance(row, dict):
        raise InputError("not a JSON object", file=source.name, row=where, found=text.strip(), expected=_OBJECT)
    _check_row(source.name, kinds, where, row)
    return row


def _check_row(file: str, kinds: Mapping[str, Kind], where: str | int, row: dict[str, object]) -> None:
    for name, value in row.items():
        expected = refuse_wrong_type(kinds[name], value) if name in kinds else None
        if expected:
            raise InputError(
                "a value of the wrong type", file=file, row=where, column=name, found=value, expected=expected
            )
        problem = _unfit(value)
        if problem:
            raise InputError(problem, file=file, row=where, column=name, found=ascii(value))


def _unfit(value: object) -> str | None:
    """Why a well-formed JSON value has no place in a table, or None. Nested values are looked through."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "half of a surrogate pair, which is no character (U+FFFD may stand for it)"
        return None
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "a number too large for a float"
    if isinstance(value, int) and abs(value) >= 10**_MAX_DIGITS:
        return f"a number of more than {_MAX_DIGITS} digits; write it as text"
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return next(filter(None, map(_unfit, inner)), None)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value; write null")


def _refuse_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    whole = dict(pairs)
    if len(whole) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} stands twice in an object")
    return whole


def _words(error: ValueError | RecursionError, text: str) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
    if text.strip() == "{":
        return "an object over several lines, where each line must hold a whole one (or the file one array)"
    what = error.msg.removesuffix(" at")
    return f"{what} at character {error.colno}" + (" (it ends early: truncated?)" if cut else "")


def _around(error: ValueError | RecursionError, text: str) -> str | None:
    return text[max(0, error.pos - 30) : error.pos + 30] if isinstance(error, json.JSONDecodeError) else None


def _check_array(source: Source, kinds: Mapping[str, Kind]) -> list[tuple[int, dict[str, object]]]:
    """The objects of a JSON array with their numbers; raises `InputError` for whatever is wrong with it."""
    text = decompressed(source).decode()
    try:
        rows = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_twins)
    except (ValueError, RecursionError) as error:
        line = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else None
        raise InputError(
            f"not valid JSON: {_words(error, text)}", file=source.name, row=line, found=_around(error, text)
        ) from error
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise InputError("not a JSON object", file=source.name, row=number, found=row, expected=_OBJECT)
        _check_row(source.name, kinds, number, row)
    return list(enumerate(rows, 1))


def _diagnose(source: Source, kinds: Mapping[str, Kind], error: BaseException) -> NoReturn:
    """Find what polars stumbled over and say it; slow, and only after a failure."""
    refuse_bad_bytes(source)
    rows: Iterable[tuple[int | str, dict[str, object]]]
    if source.format == "json":
        rows = _check_array(source, kinds)
    else:
        filled = ((number, text) for number, text in enumerate(lines(source), 1) if text.strip(_BLANK))
        rows = ((f"line {number}", _check_line(source, kinds, number, text)) for number, text in filled)
    _refuse_mixed(source.name, rows)
    raise InputError(f"cannot be read: {str(error).splitlines()[0]}", file=source.name) from error


def _refuse_mixed(file: str, rows: Iterable[tuple[int | str, dict[str, object]]]) -> None:
    """Raise where a column holds values of types that cannot stand in one column (say a list and an object)."""
    first: dict[str, tuple[str, int | str]] = {}
    for where, row in rows:
        for path, shape in _shapes("", row):
            before, place = first.setdefault(path, (shape, where))
            if before != shape:
                place = f"row {place}" if isinstance(place, int) else place
                raise InputError(
                    "values of different types in one column", file=file, row=where, column=path, found=shape,
                    expected=f"{before} as on {place}",
                )  # fmt: skip


def _shapes(path: str, value: object) -> Iterator[tuple[str, str]]:
    """The types of a value and of all that is inside it; text goes with all others and is left out."""
    if isinstance(value, dict):
        if path:
            yield path, "an object"
        for name, inner in value.items():
            yield from _shapes(f"{path}.{name}" if path else name, inner)
    elif isinstance(value, list):
        yield path, "a list"
        for inner in value:
            yield from _shapes(f"{path}[]", inner)
    elif isinstance(value, bool):
        yield path, "true or false"
    elif isinstance(value, int | float):
        yield path, "a number"


def _place(source: Source, row: int) -> int | str:
    """Where row `row` (from 0) stands: the physical line in JSON Lines, the number of the object in an array."""
    if source.format == "json":
        return row + 1
    filled = (number for number, text in enumerate(lines(source), 1) if text.strip(_BLANK))
    return f"line {next(islice(filled, row, None))}"
