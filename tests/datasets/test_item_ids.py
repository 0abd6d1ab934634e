"""Item ids: the same content has the same id everywhere, different content never the same written form."""

import hashlib

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.datasets.ids import ITEM_IDENTITY, content_hash, fill_item_id

value = st.none() | st.text(alphabet='-:|0123é\x00"', max_size=6)


def by_hand(row: tuple[str | None, ...]) -> str:
    """The documented form, from hashlib: length in bytes, colon, text; hyphen for null; joined by bars."""
    parts = ["-" if v is None else f"{len(v.encode())}:{v}" for v in row]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]


@given(st.lists(st.tuples(value, value), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_hash_is_sha256_of_the_documented_form(rows: list[tuple[str | None, str | None]]) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.String}, orient="row")
    hashes = content_hash(frame, ["a", "b"]).to_list()
    assert hashes == [by_hand(row) for row in rows]
    # unambiguous: as many hashes as different rows
    assert len(set(hashes)) == len(set(rows))


def test_hash_is_the_one_of_the_first_release() -> None:
    """sha256 of `-|2:m1|1:p|1:r|1:0`, as `printf %s '-|2:m1|1:p|1:r|1:0' | sha256sum` prints it."""
    frame = pl.DataFrame({"prompt": ["p"], "response": ["r"], "model": ["m1"]})
    expected = hashlib.sha256(b"-|2:m1|1:p|1:r|1:0").hexdigest()[:32]
    assert expected == "d5da9be9571f823a3bf4f2b086ea76cd"
    assert fill_item_id(frame)["item_id"][0] == expected


def test_null_and_empty_text_differ() -> None:
    frame = pl.DataFrame({"a": ["", None]})
    assert content_hash(frame, ["a"]).n_unique() == 2


def test_a_column_that_is_not_there_counts_as_null() -> None:
    frame = pl.DataFrame({"a": ["x"]})
    assert content_hash(frame, ["a", "b"])[0] == content_hash(frame.with_columns(b=pl.lit(None)), ["a", "b"])[0]


def test_no_rows_give_no_hashes() -> None:
    hashes = content_hash(pl.DataFrame(schema={"a": pl.String}), ["a"])
    assert hashes.dtype == pl.String
    assert hashes.len() == 0


def test_hash_does_not_depend_on_how_many_rows_are_hashed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"a": [str(i) for i in range(10)]})
    whole = content_hash(frame, ["a"])
    monkeypatch.setattr("interjudge.datasets.ids._ROWS_AT_ONCE", 3)
    assert content_hash(frame, ["a"]).to_list() == whole.to_list()


def test_identical_rows_are_numbered_in_order_of_occurrence() -> None:
    frame = pl.DataFrame({"prompt": ["p", "q", "p", "p"], "response": ["r", "r", "r", "r"]})
    filled = fill_item_id(frame)
    assert filled["repeat"].to_list() == [0, 0, 1, 2]
    assert filled["item_id"].n_unique() == 4
    # the first of them keeps the id it has alone
    assert filled["item_id"][0] == fill_item_id(frame.head(1))["item_id"][0]
    assert filled["item_id"].to_list() == content_hash(filled, ITEM_IDENTITY).to_list()


def test_no_repeat_column_is_added_where_none_is_needed() -> None:
    assert "repeat" not in fill_item_id(pl.DataFrame({"prompt": ["p", "q"], "response": ["r", "r"]})).columns


def test_repeat_zero_null_and_absent_give_the_same_id() -> None:
    frame = pl.DataFrame({"prompt": ["p"], "response": ["r"]})
    ids = {
        fill_item_id(frame)["item_id"][0],
        fill_item_id(frame.with_columns(repeat=pl.lit(0)))["item_id"][0],
        fill_item_id(frame.with_columns(repeat=pl.lit(None, pl.Int64)))["item_id"][0],
    }
    assert len(ids) == 1
