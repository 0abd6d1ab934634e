"""A table as read, and the one place where its columns become the schema's types.

What a column may hold depends on what it is for:

text     prompt, response, rationale, raw: text only
name     item_id, judge: text or whole numbers, never null or empty
tag      model, category, status, ...: text, whole numbers, true/false
label    label, gold, a judge's own column: text or any number; see `to_text`
number   score, confidence, ...: a finite number
integer  repeat, tokens: a whole number, not negative
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from interjudge.datasets.schema import OUTPUT_COLUMNS, VERDICT_COLUMNS
from interjudge.errors import InputError, choices, did_you_mean

Kind = Literal["text", "name", "tag", "label", "number", "integer"]
Choose = Callable[[list[str]], list[str]]

TEXT_KINDS: Final = ("text", "name", "tag", "label")
_EXPECTED: Final[dict[Kind, str]] = {
    "text": "text",
    "name": "text or a whole number",
    "tag": "text, a whole number or true/false",
    "label": "text, a number or true/false",
    "number": "a finite number",
    "integer": "a whole number from 0",
}
_BELONGS: Final[dict[Kind, str]] = {"text": "text", "name": "a name", "tag": "a name", "label": "a label"}
_SPECIAL: Final[dict[str, Kind]] = {
    "item_id": "name", "judge": "name", "prompt": "text", "response": "text", "rationale": "text",
    "raw": "text", "label": "label",
}  # fmt: skip


def _kind(name: str, dtype: object) -> Kind:
    if name in _SPECIAL:
        return _SPECIAL[name]
    return "integer" if dtype == pl.Int64() else "number" if dtype == pl.Float64() else "tag"


OUTPUT_KINDS: Final[dict[str, Kind]] = {c: _kind(c, t) for c, t in OUTPUT_COLUMNS.items()}
VERDICT_KINDS: Final[dict[str, Kind]] = OUTPUT_KINDS | {c: _kind(c, t) for c, t in VERDICT_COLUMNS.items()}


@dataclass(frozen=True)
class Table:
    """What a file held: `frame`, its `file` name for messages, and `place(i)`: where row i (from 0) stands."""

    frame: pl.DataFrame
    file: str
    place: Callable[[int], int | str] = lambda i: i + 1

    def error(
        self,
        problem: str,
        *,
        at: int | None = None,
        column: str | None = None,
        found: object = None,
        expected: str | None = None,
    ) -> InputError:
        row = None if at is None else self.place(at)
        return InputError(problem, file=self.file, row=row, column=column, found=found, expected=expected)


# What other tools call our columns.
_OTHER_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "item_id": ("id", "uid", "item", "sample_id", "example_id"),
    "prompt": ("question", "instruction", "input", "query"),
    "response": ("completion", "output", "answer", "assistant_response", "generation"),
    "judge": ("worker", "worker_id", "annotator", "annotator_id", "rater"),
    "label": ("verdict", "rating", "annotation"),
    "gold": ("truth", "gold_label", "reference"),
}


def _hint(name: str, there: Collection[str]) -> str:
    """What the missing column may be called in this file, or how its header was misread."""
    if len(there) == 1 and set("|;,\t") & set(*there):
        return " (the header is one column: CSV is read with a comma, a semicolon or a tab between fields, .tsv a tab)"
    other = next((column for column in there if column.lower() in _OTHER_NAMES.get(name, ())), None)
    return f" (rename {other!r} to {name!r}?)" if other is not None else did_you_mean(name, there)


class MissingColumnError(InputError):
    """A column that is needed, and its name."""

    column = ""


def missing_column(file: str, name: str, there: Collection[str], expected: str | None = None) -> MissingColumnError:
    error = MissingColumnError(
        f"a required column is missing{_hint(name, there)}",
        file=file,
        column=name,
        found=f"the columns {choices(there)}" if there else "no columns",
        expected=expected,
    )
    error.column = name
    return error


def refuse_wrong_type(kind: Kind, value: object) -> str | None:
    """The words for a JSON value (null, text, number, true, list, object) that `kind` does not take, or None.

    Only what polars would turn into text without a word is looked at here: the kinds of text.
    """
    if value is None or isinstance(value, str):
        return None
    if kind == "text" or isinstance(value, list | dict):
        return _EXPECTED[kind]
    if kind == "name" and (isinstance(value, bool) or not isinstance(value, int)):
        return _EXPECTED[kind]
    return _EXPECTED[kind] if kind == "tag" and isinstance(value, float) else None


def typed(table: Table, kinds: Mapping[str, Kind]) -> Table:
    """The table with every column of `kinds` in its type (String, Float64, Int64); others as they are.

    Raises
    ------
    InputError : a value that the column's kind does not take, with its row.
    """
    done = [_convert(table, name, kinds[name]) for name in table.frame.columns if name in kinds]
    return Table(table.frame.with_columns(done), table.file, table.place)


def _convert(table: Table, name: str, kind: Kind) -> pl.Series:
    series = table.frame[name]
    if kind in TEXT_KINDS:
        return to_text(table, series, kind)
    return to_number(table, series, kind)


def to_text(table: Table, series: pl.Series, kind: Kind) -> pl.Series:
    """A text column; numbers become text here and nowhere else.

    Integers as "1", booleans as "true" and "false", other numbers in their shortest form ("0.25"). A label
    that is a whole number written with ".0" is that number, as number or as text, in every format: tables
    written by pandas turn 1 into 1.0 as soon as a value is missing. NaN and the empty label are null.
    """
    dtype = series.dtype
    if isinstance(dtype, pl.String):
        text = series
    elif dtype == pl.Null or isinstance(dtype, pl.Categorical | pl.Enum):
        text = series.cast(pl.String)
    else:
        if dtype.is_float():
            series = series.fill_nan(None)
        if series.null_count() < series.len() and not _castable(series, kind):
            at = series.is_not_null().arg_max() or 0
            raise _misplaced(table, series, at, kind, _BELONGS[kind])
        text = series.cast(pl.String)
    return _tidy_label(text) if kind == "label" else text


def _castable(series: pl.Series, kind: Kind) -> bool:
    dtype = series.dtype
    if kind == "text":
        return False
    if kind == "tag" and dtype.is_temporal():
        return series.name == "created_at"
    if kind == "label" and (dtype.is_float() or dtype.is_decimal()):
        return True
    return dtype.is_integer() or (dtype == pl.Boolean and kind != "name")


def _what(dtype: pl.DataType) -> str:
    if dtype.is_numeric():
        return "a number"
    if dtype == pl.Boolean:
        return "true or false"
    return {"List": "a list", "Array": "a list", "Struct": "an object", "Binary": "bytes"}.get(
        str(dtype.base_type()), f"a {dtype.base_type()}"
    )


def _tidy_label(text: pl.Series) -> pl.Series:
    # most columns need neither, and a copy of 12,000,000 labels is not free
    if text.str.ends_with(".0").any():
        text = text.str.replace(r"^(-?[0-9]+)\.0$", "${1}")
    if (text == "-0").any():
        text = text.replace({"-0": "0"})
    if (text == "").any():
        text = text.replace({"": None})
    return text


def to_number(table: Table, series: pl.Series, kind: Kind) -> pl.Series:
    """A Float64 (`number`) or Int64 (`integer`) column; text is read as a number, NaN and "" count as null."""
    dtype = series.dtype
    if isinstance(dtype, pl.Categorical | pl.Enum):
        series = series.cast(pl.String)
    if isinstance(series.dtype, pl.String):
        series = series.replace({"": None, "nan": None, "NaN": None})
        if kind == "integer":
            series = series.str.replace(r"^([0-9]+)\.0$", "${1}")
    elif dtype.is_float():
        series = series.fill_nan(None)
    elif not dtype.is_numeric() and series.null_count() < series.len():
        at = series.is_not_null().arg_max() or 0
        raise _misplaced(table, series, at, kind, "a number")
    if kind == "number":
        value = series.cast(pl.Float64, strict=False)
        fits = value.is_finite()
    else:
        value = series.cast(pl.Int64, strict=False)
        fits = value >= 0
        if dtype.is_float():
            fits = fits & (value == series)
    wrong = series.is_not_null() & ~fits.fill_null(False)
    if wrong.any():
        at = wrong.arg_max() or 0
        what = _EXPECTED[kind]
        raise table.error(
            "not a number that can stand here", at=at, column=series.name, found=series[at], expected=what
        )
    return value


def _misplaced(table: Table, series: pl.Series, at: int, kind: Kind, belongs: str) -> InputError:
    value = series[at]
    return table.error(
        f"{_what(series.dtype)} where {belongs} belongs",
        at=at,
        column=series.name,
        found=value.to_list() if isinstance(value, pl.Series) else value,
        expected=_EXPECTED[kind],
    )


def refuse_null(table: Table, names: Iterable[str], *, empty: bool = True) -> None:
    """Raise `InputError` at the first null of any of `names`; also at the first "" unless `empty` is allowed."""
    for name in names:
        series = table.frame[name]
        bad = series.is_null() if empty else series.is_null() | (series == "")
        if bad.any():
            at = bad.arg_max() or 0
            found = "null" if series[at] is None else "empty text"
            kind = VERDICT_KINDS.get(name, "label")
            raise table.error(f"no {name} here", at=at, column=name, found=found, expected=_EXPECTED[kind])
