"""What a caller gives to a runner, judges and outputs: checked, and each distinct one once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from interjudge.datasets.ids import ID_EXPECTED, content_hash, fill_item_id
from interjudge.datasets.outputs import read_outputs
from interjudge.datasets.schema import OUTPUT_REQUIRED, VERDICT_COLUMNS
from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges.base import Judge
from interjudge.judges.callable import as_judge
from interjudge.judges.registry import get_judge
from interjudge.judges.store import Store

Asked = Callable[[pl.DataFrame], object]  # a function over a batch: see `judges.callable`


@dataclass(frozen=True)
class Distinct:
    """Outputs as judges that read the same columns see them.

    `frame` holds each distinct output once, in those columns alone; `ids` are the numbers it is known by, and
    `items` has the number (`output_id`) of every `item_id`.
    """

    frame: pl.DataFrame
    ids: pl.Series
    items: pl.DataFrame


def distinct_outputs(outputs: pl.DataFrame, reads: tuple[str, ...], store: Store | None) -> Distinct:
    hashes = output_hash(outputs, reads)
    first = hashes.is_first_distinct()
    if store is None:
        rows = pl.DataFrame({"hash": hashes}).with_row_index("row")
        numbers = rows.select(pl.col("row").first().over("hash").cast(pl.Int64)).to_series()
    else:
        numbers = store.register(outputs["item_id"], hashes, reads)
    # A judge sees the columns it reads and no other: its verdict cannot hang on what the hash leaves out.
    frame = outputs.filter(first).select(reads)
    return Distinct(frame, numbers.filter(first), outputs.select("item_id", output_id=numbers))


def output_hash(outputs: pl.DataFrame, reads: Sequence[str]) -> pl.Series:
    """Content hashes that also tell the number 1 from the text "1": to a judge they are not the same."""
    numbers = [column for column in reads if outputs.schema[column].is_numeric()]
    if not numbers:
        return content_hash(outputs, reads)
    mark = "numbers: " + ", ".join(numbers)
    return content_hash(outputs.select(reads).with_columns(pl.lit(mark).alias(mark)), [*reads, mark])


def judge_table(judge: Judge, items: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """A judge's part of the verdict table, items in order, from its verdicts on the distinct outputs."""
    return (
        items.with_row_index("row")
        .join(verdicts, on="output_id")
        .sort("row", "repeat")
        .with_columns(
            judge=pl.lit(judge.name),
            judge_kind=pl.lit(judge.kind),
            construct=pl.lit(judge.construct),
            judge_hash=pl.lit(judge.hash),
        )
        .select(VERDICT_COLUMNS.keys())
    )


def as_judges(given: object) -> list[Judge]:
    """What the caller means by its judges, one or several."""
    several = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    return [_as_judge(one) for one in several]


def _as_judge(given: object) -> Judge:
    if isinstance(given, Judge):
        return given
    if isinstance(given, str):
        return get_judge(given)
    return as_judge(given, getattr(given, "__name__", type(given).__name__))


def as_outputs(given: object) -> pl.DataFrame:
    if isinstance(given, str | Path):
        return read_outputs(given)
    if not isinstance(given, pl.DataFrame):
        expected = "a polars DataFrame, or the path of a file"
        raise InputError("the outputs are not a table", found=f"a {type(given).__name__}", expected=expected)
    if "item_id" in given.columns:
        return given
    if not set(OUTPUT_REQUIRED) <= set(given.columns):
        raise InputError("no column 'item_id'", found=", ".join(given.columns), expected=ID_EXPECTED)
    return fill_item_id(given)


def distinct_judges(judges: Sequence[Judge]) -> list[Judge]:
    """The judges, each once; one name must mean one judge, and one judge must have one name."""
    if not judges:
        raise InputError("no judge was given", expected="at least one, such as keyword:default")
    by_name: dict[str, Judge] = {}
    by_hash: dict[str, Judge] = {}
    for judge in judges:
        other = by_name.setdefault(judge.name, judge)
        if other.hash != judge.hash:
            raise InputError(f"two different judges are called {judge.name!r}", expected="one name for each judge")
        other = by_hash.setdefault(judge.hash, judge)
        if other.name != judge.name:
            raise InputError(f"judges {other.name!r} and {judge.name!r} are the same judge", expected="each judge once")
    return list(by_name.values())


def check_given(outputs: pl.DataFrame, judges: Sequence[Judge], repeats: int) -> None:
    if repeats < 1:
        raise InputError("too few repeats", found=repeats, expected="1 or more")
    ids = outputs["item_id"]
    if ids.dtype != pl.String:
        raise InputError("is not text", column="item_id", found=ids.dtype, expected="String")
    if ids.null_count():
        raise InputError("is empty", row=int(ids.is_null().arg_max() or 0) + 1, column="item_id")
    twice = ~ids.is_first_distinct()
    if twice.any():
        row = int(twice.arg_max() or 0)
        problem, expected = "stands for two outputs", "one row each"
        raise InputError(problem, row=row + 1, column="item_id", found=ids[row], expected=expected)
    for judge in judges:
        if judge.batch_size < 1:
            raise InputError(f"judge {judge.name!r} has a batch size of {judge.batch_size}", expected="1 or more")
        if not judge.reads:
            raise InputError(f"judge {judge.name!r} reads no column", expected="at least one name in `reads`")
        for column in judge.reads:
            if column not in outputs.columns:
                raise InputError(
                    f"judge {judge.name!r} reads a column {column!r} that the outputs do not have"
                    f"{did_you_mean(column, outputs.columns)}",
                    expected=f"one of {choices(outputs.columns)}",
                )
            dtype = outputs.schema[column]
            if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
                problem = f"judge {judge.name!r} reads a column that is neither text nor number"
                raise InputError(problem, column=column, found=str(dtype))
