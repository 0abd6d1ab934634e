"""Output sets from typed tables: ids, nulls, and numbers where text belongs."""

from pathlib import Path

import polars as pl
import pytest

from interjudge.datasets.outputs import joined, read_outputs
from interjudge.datasets.schema import OUTPUT_COLUMNS
from interjudge.errors import InputError


def parquet(folder: Path, **columns: object) -> Path:
    path = folder / "o.parquet"
    pl.DataFrame(columns, strict=False).write_parquet(path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_outputs(path)
    return str(caught.value).removeprefix(f"{path}, ").removeprefix(f"{path}: ")


def test_schema_columns_have_their_types_and_others_are_kept(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        prompt=pl.Series(["p", "q"], dtype=pl.Categorical),
        response=pl.Series(["r", "r"], dtype=pl.Enum(["r"])),
        item_id=[1, 2],
        model=["m", None],
        attack=[True, None],
        category=[7, 8],
        language=[None, None],
        repeat=[0.0, float("nan")],
        extra=[[1], None],
        tokens=[1.5, 2.5],
    )
    frame = read_outputs(path)
    assert {name: frame.schema[name] for name in frame.columns if name in OUTPUT_COLUMNS} == {
        name: dtype for name, dtype in OUTPUT_COLUMNS.items() if name in frame.columns
    }
    assert frame.columns[0] == "item_id"
    assert frame.drop("prompt", "response").rows() == [
        ("1", "m", "true", "7", None, 0, [1], 1.5),
        ("2", None, None, "8", None, None, None, 2.5),
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"prompt": [1, 2]}, "row 1, column 'prompt': a number where text belongs; found 1; expected text"),
        ({"prompt": [None, 2.5]}, "row 2, column 'prompt': a number where text belongs; found 2.5; expected text"),
        ({"response": [True, False]}, "row 1, column 'response': true or false where text belongs"),
        ({"response": [["a"], ["b"]]}, "row 1, column 'response': a list where text belongs"),
        ({"prompt": [{"a": 1}, None]}, "row 1, column 'prompt': an object where text belongs"),
        ({"prompt": [b"a", b"b"]}, "row 1, column 'prompt': bytes where text belongs"),
        ({"prompt": ["a", None]}, "row 2, column 'prompt': no prompt here; found null"),
        ({"response": [None, None]}, "row 1, column 'response': no response here; found null"),
        ({"item_id": [1.0, 2.0]}, "row 1, column 'item_id': a number where a name belongs; found 1.0"),
        ({"item_id": [True, False]}, "row 1, column 'item_id': true or false where a name belongs"),
        ({"item_id": ["a", None]}, "row 2, column 'item_id': no item_id here; found null"),
        ({"item_id": ["", "b"]}, "row 1, column 'item_id': no item_id here; found empty text"),
        ({"item_id": ["a", "a"]}, "row 2, column 'item_id': the same item_id as in row 1; found a"),
        ({"item_id": [7, 7]}, "row 2, column 'item_id': the same item_id as in row 1; found 7"),
        ({"model": [1.5, None]}, "row 1, column 'model': a number where a name belongs; found 1.5"),
        ({"repeat": [0, -1]}, "row 2, column 'repeat': not a number that can stand here; found -1"),
        ({"repeat": ["0", "x"]}, "row 2, column 'repeat': not a number that can stand here; found x"),
        ({"repeat": [True, False]}, "row 1, column 'repeat': true or false where a number belongs"),
        ({"repeat": [3, 3]}, "row 2, column 'repeat': the same output and repeat as in row 1; found 3"),
    ],
)
def test_a_bad_value_is_named(tmp_path: Path, columns: dict[str, list[object]], message: str) -> None:
    path = parquet(tmp_path, **({"prompt": ["p", "p"], "response": ["r", "r"]} | columns))
    assert refusal(path).startswith(message)


def test_a_missing_column_lists_those_that_are_there(tmp_path: Path) -> None:
    message = refusal(parquet(tmp_path, prompt=["p"], completion=["r"]))
    assert "column 'response': a required column is missing (rename 'completion' to 'response'?)" in message
    assert "found the columns prompt, completion" in message


def test_a_table_without_rows(tmp_path: Path) -> None:
    assert refusal(parquet(tmp_path, prompt=[], response=[])) == "the file holds no rows"


def test_an_empty_response_is_an_output(tmp_path: Path) -> None:
    assert read_outputs(parquet(tmp_path, prompt=["p"], response=[""]))["response"][0] == ""


def test_the_same_output_has_the_same_id_in_every_format(tmp_path: Path) -> None:
    frame = pl.DataFrame({"prompt": ["p", "q"], "response": ["é\n", ""], "model": ["m", None], "x": [1, 2]})
    frame.write_parquet(tmp_path / "o.parquet")
    frame.write_ndjson(tmp_path / "o.jsonl")
    frame.write_csv(tmp_path / "o.csv")
    ids = [read_outputs(tmp_path / name)["item_id"].to_list() for name in ("o.parquet", "o.jsonl", "o.csv")]
    assert ids[0] == ids[1] == ids[2]


def test_limit_reads_the_first_rows(tmp_path: Path) -> None:
    frame = pl.DataFrame({"prompt": list("abcdef"), "response": list("abcdef")})
    frame.write_parquet(tmp_path / "o.parquet")
    frame.write_ndjson(tmp_path / "o.jsonl")
    frame.write_csv(tmp_path / "o.csv")
    for name in ("o.parquet", "o.jsonl", "o.csv"):
        assert read_outputs(tmp_path / name, limit=2)["prompt"].to_list() == ["a", "b"]
        assert read_outputs(tmp_path / name, limit=99).height == 6
    with pytest.raises(InputError, match="1 or more"):
        read_outputs(tmp_path / "o.csv", limit=0)


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("question,response", "rename 'question' to 'prompt'?"),
        ("instruction,response", "rename 'instruction' to 'prompt'?"),
        ("prompt,completion", "rename 'completion' to 'response'?"),
        ("prompt,output", "rename 'output' to 'response'?"),
        ("prompt,answer", "rename 'answer' to 'response'?"),
        ("prompt,assistant_response", "rename 'assistant_response' to 'response'?"),
    ],
)
def test_what_others_call_our_columns_is_known(tmp_path: Path, header: str, hint: str) -> None:
    (tmp_path / "o.csv").write_text(f"{header}\na,b\n")
    with pytest.raises(InputError) as caught:
        read_outputs(tmp_path / "o.csv")
    assert hint in str(caught.value)


def test_outputs_join_a_table_by_item() -> None:
    frame = pl.DataFrame({"item_id": ["b", "a", "z"], "model": ["own", "own", "own"]})
    outputs = pl.DataFrame({"item_id": ["a", "b"], "prompt": ["p", "q"], "response": ["r", "s"], "model": ["m", "n"]})
    assert joined(frame, outputs).rows() == [("b", "own", "q", "s"), ("a", "own", "p", "r"), ("z", "own", None, None)]
