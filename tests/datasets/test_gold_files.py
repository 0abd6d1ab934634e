"""Reference labels from a file of their own or from a column."""

from pathlib import Path

import polars as pl
import pytest

from interjudge.datasets.outputs import read_outputs
from interjudge.datasets.reference import read_reference
from interjudge.errors import InputError


def written(folder: Path, text: str, name: str = "g.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_items_without_a_label_are_left_out(tmp_path: Path) -> None:
    frame = read_reference(written(tmp_path, "item_id,gold,note\na,1,x\nb,,x\nc,1.0,x\n"))
    assert dict(frame.schema) == {"item_id": pl.String(), "gold": pl.String()}
    assert frame.rows() == [("a", "1"), ("c", "1")]


def test_an_item_may_have_a_label_for_each_criterion(tmp_path: Path) -> None:
    frame = read_reference(written(tmp_path, "item_id,criterion,gold\na,harm,safe\na,refusal,\nb,harm,unsafe\n"))
    assert frame.columns == ["item_id", "criterion", "gold"]
    assert frame.rows() == [("a", "harm", "safe"), ("b", "harm", "unsafe")]


def test_a_column_named_criterion_may_itself_hold_the_labels(tmp_path: Path) -> None:
    path = written(tmp_path, "item_id,criterion\na,1\n")
    assert read_reference(path, column="criterion").rows() == [("a", "1")]


def test_the_label_of_a_file_without_gold_and_judge_is_the_gold(tmp_path: Path) -> None:
    assert read_reference(written(tmp_path, "item_id,label\na,1.0\n")).rows() == [("a", "1")]
    both = written(tmp_path, "item_id,label,gold\na,x,y\n")
    assert read_reference(both).rows() == [("a", "y")]


def test_another_column_may_hold_the_labels(tmp_path: Path) -> None:
    path = written(tmp_path, '{"item_id":1,"truth":0.5,"gold":"x"}\n{"item_id":2,"truth":true}\n', "g.jsonl")
    assert read_reference(path, column="truth").rows() == [("1", "0.5"), ("2", "true")]


def test_labels_beside_outputs_have_the_outputs_ids(tmp_path: Path) -> None:
    path = written(tmp_path, "prompt,response,truth\na,b,x\na,b,y\nc,d,\n")
    ids = read_outputs(path)["item_id"].to_list()
    assert read_reference(path, column="truth").rows() == [(ids[0], "x"), (ids[1], "y")]


@pytest.mark.parametrize(
    ("text", "column", "part"),
    [
        ("item_id,gold\na,1\n", "gld", "column 'gld': a required column is missing (did you mean 'gold'?)"),
        ("id,gold\na,1\n", None, "column 'item_id': a required column is missing (rename 'id' to 'item_id'?)"),
        ("item_id,truth\na,1\n", None, "(rename 'truth' to 'gold'?); found the columns item_id, truth; expected the "),
        ("item_id,mine\na,1\n", None, "or --gold-column to name the column that holds them"),
        ("item_id,judge,label\na,j,1\n", None, "column 'gold': a required column is missing"),
        ("item_id,criterion,gold\na,x,1\na,y,1\na,x,2\n", None, "row 3: the same item_id and criterion as in row 1"),
        ("item_id,criterion,gold\na,,1\n", None, "row 1, column 'criterion': no criterion here"),
        ("prompt,response,criterion,gold\na,b,c,1\n", None, "column 'item_id': a required column is missing"),
        ("item_id,gold\na,1\nb,2\na,1\n", None, "row 3, column 'item_id': the same item_id as in row 1; found a"),
        ("item_id,gold\na,\n", None, "column 'gold': no item has a reference label"),
        ("item_id,gold\n,1\n", None, "row 1, column 'item_id': no item_id here"),
        ("item_id,gold\na,1\n", "item_id", "column 'item_id': is no column of reference labels"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, column: str | None, part: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_reference(path, column=column)
    assert str(caught.value).startswith(str(path))
    assert part in str(caught.value)
