"""Laws: any text, label and number goes through every format unchanged."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.datasets.outputs import read_outputs
from interjudge.datasets.schema import STATUSES, VERDICT_COLUMNS
from interjudge.datasets.verdicts import read_verdicts
from interjudge.datasets.write import write_table

# whatever a model may say: all of Unicode but surrogates, with what readers trip over in front
hostile = st.text(
    st.sampled_from('"\\,;\t\r\n\0\x01\x1f\x7f\x85\u2028\ufeff\ufffe😀é{}[]:' + "'#")
    | st.characters(exclude_categories=["Cs"]),
    max_size=12,
) | st.sampled_from(
    ["null", "NaN", "007", "1e5", "true", "{}", "[]", '""', "\\ud800", "\\u0000", '"prompt": 5', "-", " "]
)
FORMATS = ["parquet", "jsonl", "csv", "tsv", "jsonl.gz", "csv.zst"]


@pytest.mark.parametrize("extension", FORMATS)
@given(rows=st.lists(st.tuples(hostile, hostile, st.none() | hostile, st.none() | hostile), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_output_comes_back(
    tmp_path_factory: pytest.TempPathFactory, extension: str, rows: list[tuple[str | None, ...]]
) -> None:
    path = _place(tmp_path_factory, extension)
    schema = ["prompt", "response", "model", "own column"]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(schema, pl.String), orient="row")
    frame = frame.select(pl.int_range(pl.len()).cast(pl.String).alias("item_id"), pl.all())
    write_table(frame, path)
    assert read_outputs(path).equals(frame)


labels = hostile.filter(lambda text: text != "" and not text.endswith(".0"))
numbers = st.floats(allow_nan=False, allow_infinity=False)
ok = st.tuples(
    st.just("ok"), labels, st.none() | numbers, st.none() | st.floats(0, 1), st.none() | st.integers(0, 2**62)
)
other = st.tuples(st.sampled_from(STATUSES[1:]), st.none(), st.none(), st.none(), st.none() | st.integers(0, 2**62))


@pytest.mark.parametrize("extension", FORMATS)
@given(rows=st.lists(ok | other, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_verdict_comes_back(
    tmp_path_factory: pytest.TempPathFactory, extension: str, rows: list[tuple[object, ...]]
) -> None:
    path = _place(tmp_path_factory, extension)
    names = ["status", "label", "score", "confidence", "input_tokens"]
    schema = {name: VERDICT_COLUMNS[name] for name in names}
    frame = pl.DataFrame(rows, schema=schema, orient="row").select(
        pl.int_range(pl.len()).cast(pl.String).alias("item_id"),
        pl.lit("judge ,\n").alias("judge"),
        pl.lit(0, pl.Int64).alias("repeat"),
        pl.lit("human").alias("judge_kind"),
        pl.lit("refusal").alias("construct"),
        *names,
    )
    write_table(frame, path)
    assert read_verdicts([path]).equals(frame)


def _place(factory: pytest.TempPathFactory, extension: str) -> Path:
    return factory.getbasetemp() / f"round-trip.{extension}"
