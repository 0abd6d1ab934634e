"""CSV and TSV: text stays text, and a record of the wrong width is never filled up silently."""

import gzip
from pathlib import Path

import pytest

from interjudge.datasets.outputs import read_outputs
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError


def written(folder: Path, text: str, name: str = "o.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_outputs(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}, ").removeprefix(f"{path}: ")


def test_what_looks_like_a_number_stays_as_written(tmp_path: Path) -> None:
    path = written(tmp_path, "prompt,response,item_id,temperature,repeat\n007,1e5,0010,0.70,2\n")
    assert read_outputs(path).row(0) == ("0010", "007", "1e5", "0.70", 2)


def test_quoted_line_ends_separators_and_quotes_are_text(tmp_path: Path) -> None:
    path = written(tmp_path, 'prompt,response\r\n"a,\r\nb","say ""x"""\r\nc,"\n"\r\n')
    frame = read_outputs(path)
    assert frame["prompt"].to_list() == ["a,\r\nb", "c"]
    assert frame["response"].to_list() == ['say "x"', "\n"]


def test_an_empty_field_is_null_and_a_quoted_one_is_empty_text(tmp_path: Path) -> None:
    assert read_outputs(written(tmp_path, 'prompt,response\np,""\n'))["response"][0] == ""
    message = refusal(written(tmp_path, 'prompt,response\np,""\np,\n'))
    assert message.startswith("row 2, column 'response': no response here; found null")


def test_blank_lines_and_rows_without_any_value_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, "prompt,response,x\n\na,b,\n,,\n\nc,d,e\n\n")
    assert read_outputs(path)["prompt"].to_list() == ["a", "c"]


def test_separators_are_recognised(tmp_path: Path) -> None:
    for name, text in {
        "o.csv": "prompt;response\na,b;c\n",
        "p.csv": "prompt\tresponse\na,b\tc\n",
        "o.tsv": "prompt\tresponse\na,b\tc\n",
    }.items():
        assert read_outputs(written(tmp_path, text, name)).select("prompt", "response").row(0) == ("a,b", "c")


@pytest.mark.parametrize(
    ("text", "start", "part"),
    [
        ("prompt,response,c\na,b,c\na,b\n", "row 2: 2 fields where the header has 3", "found a,b"),
        ('prompt,response,c\na,b,c\n"x\ny,,",b\nd,e,f\n', "row 2: 2 fields where the header has 3", "x\\ny"),
        ("prompt,response,c\na,b,\na,b,\nq", "row 3: 1 fields where the header has 3", "found q"),
        ("prompt,response\na,b\na,b,c\n", "row 2: 3 fields where the header has 2", "found a,b,c"),
        ("prompt,response\n" + "a,b\n" * 50_000 + "a,b,c\n", "row 50001: 3 fields", "found a,b,c"),
        ('prompt,response\na,"b\nc,d\n', "line 2: a misplaced or unclosed quote", '"b'),
        ('prompt,response\na,b\na,5" disk\n', "line 3: a misplaced or unclosed quote", '5" disk'),
        ('prompt,response\na,"b"c\n', "line 2: a misplaced or unclosed quote", "doubled"),
        ("prompt,response\n", "the file holds no rows", ""),
        ("prompt,response,prompt\na,b,c\n", "header: two columns have the same name", "found prompt"),
        ("prompt,respons\na,b\n", "column 'response': a required column is missing", "(did you mean 'respons'?)"),
        ("prompt,response,repeat\na,b,0\na,b,x\n", "row 2, column 'repeat'", "found x; expected a whole number from 0"),
        ("prompt,response,repeat\na,b,-1\n", "row 1, column 'repeat'", "found -1"),
        ("prompt,response,repeat\na,b,1.5\n", "row 1, column 'repeat'", "found 1.5"),
        ('prompt,response,item_id\na,b,""\n', "row 1, column 'item_id'", "found empty text"),
    ],
)  # fmt: skip
def test_a_bad_record_is_named(tmp_path: Path, text: str, start: str, part: str) -> None:
    message = refusal(written(tmp_path, text))
    assert message.startswith(start)
    assert part in message


def test_whole_numbers_written_by_pandas_are_whole_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, "prompt,response,repeat\na,b,0.0\na,b,1.0\na,c,\n")
    assert read_outputs(path)["repeat"].to_list() == [0, 1, None]


def test_nulls_in_the_last_column_are_not_taken_for_short_records(tmp_path: Path) -> None:
    path = written(tmp_path, 'prompt,response,c\n"a\n\n""q"",",b,\n\nd,"e,",\nf,g,h\n')
    assert read_outputs(path)["c"].to_list() == [None, None, "h"]


@pytest.mark.parametrize(
    "cut",
    [
        'item_id,judge,label\na,x,yes\nb,x,"n',  # in the last field
        'item_id,judge,label\na,x,yes\nb,"x',
        'item_id,judge,label\na,x,"[{""yes"": 1}]"\nb,x,"[{""',  # after a doubled quote
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_ends_within_quotes_was_cut_off(tmp_path: Path, cut: str, packed: bool) -> None:
    path = tmp_path / ("v.csv.gz" if packed else "v.csv")
    path.write_bytes(gzip.compress(cut.encode()) if packed else cut.encode())
    with pytest.raises(InputError, match="line 3: a misplaced or unclosed quote"):
        read_verdicts(path)
