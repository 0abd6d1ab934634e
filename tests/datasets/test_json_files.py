"""JSON Lines and JSON arrays: exact text, exact places of what is wrong, and none of the reader's silent changes."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from interjudge.datasets.outputs import read_outputs
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError

GOOD = '{"prompt":"p","response":"r"}\n'


def written(folder: Path, text: str | bytes, name: str = "o.jsonl") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_outputs(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}, ").removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "start", "part"),
    [
        (GOOD * 3 + "\n" + GOOD + '{"prompt":"p","resp', "line 6: not valid JSON", "truncated?"),
        (GOOD * 3 + '{"prompt":"p","response":', "line 4: not valid JSON", "truncated?"),
        (GOOD * 2 + "{bad}\n" + GOOD, "line 3: not valid JSON", "found {bad}"),
        (GOOD + GOOD.strip() + GOOD, "line 2: not valid JSON", "Extra data"),
        (GOOD + "null\n", "line 2: not a JSON object", "found null"),
        (GOOD + "7\n", "line 2: not a JSON object", "found 7"),
        (GOOD + '{"prompt":"p","response":"r","x":NaN}\n', "line 2: not valid JSON", "NaN is no JSON value"),
        (GOOD + '{"prompt":"p","response":"r","x":-Infinity}\n', "line 2: not valid JSON", "write null"),
        (GOOD + '{"prompt":"p","response":"r","x":1e999}\n', "line 2, column 'x'", "too large for a float"),
        (GOOD + f'{{"prompt":"p","response":"r","x":{10**40}}}\n', "line 2, column 'x'", "38 digits"),
        (GOOD + '{"prompt":"p","response":"r","x":%s}\n' % ("[" * 5000 + "]" * 5000), "line 2: not valid", "deep"),
        (GOOD + "\n" + '{"prompt":"p","response":"r\\ud83d"}\n', "line 3, column 'response'", "surrogate"),
        ('{"prompt":"p","response":"r","m":{"a":["\\udc00x"]}}\n', "line 1, column 'm'", "surrogate"),
        (GOOD * 4999 + '{"prompt":5,"response":"r"}\n', "line 5000, column 'prompt'", "found 5; expected text"),
        ('{"prompt":true,"response":"r"}\n', "line 1, column 'prompt'", "found True; expected text"),
        ('{"prompt":"p","response": [1]}\n', "line 1, column 'response'", "found [1]; expected text"),
        ('{"prompt":[{"role":"user"}],"response":"r"}\n', "line 1, column 'prompt'", "expected text"),
        ('{"prompt":"p","response":"r","item_id":1.5}\n', "line 1, column 'item_id'", "text or a whole number"),
        ('{"prompt":"p","response":"r","model":{"a":1}}\n', "line 1, column 'model'", "found {'a': 1}"),
        (GOOD + "\n" + '{"prompt":null,"response":"r"}\n', "line 3, column 'prompt'", "found null"),
        (GOOD + "\n\n" + '{"prompt":"x"}\n', "line 4, column 'response'", "found null"),
        ('{"prompt":"x","response":"","e":1}\n{"prompt":"y","response":"","e":true}\n', "line 2, column 'e'", "line 1"),
        (
            '{"prompt":"x","response":"","e":{"a":1}}\n{"prompt":"y","response":"","e":{"a":[1]}}\n',
            "line 2, column 'e.a'",
            "found a list; expected a number as on line 1",
        ),
        ('{\n "prompt": "x",\n "response": "y"\n}\n', "line 1: not valid JSON", "over several lines"),
        (
            '{"prompt":"x","response":"y","e":{"a":1}}\n{"prompt":"x","response":"y","e":"","e":null}\n',
            "line 2: not valid JSON",
            "the key 'e' stands twice",
        ),
        (GOOD + "\x1f\n", "line 2: not valid JSON", "\\x1f"),
        ("{}\n{}\n", "column 'prompt': a required column is missing", "no columns"),
        ('{"promt":"x","response":"y"}\n', "column 'prompt'", "did you mean 'promt'?"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named(tmp_path: Path, text: str, start: str, part: str) -> None:
    message = refusal(written(tmp_path, text))
    assert message.startswith(start)
    assert part in message


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_the_line_number_is_right_in_a_long_file(tmp_path: Path, pack: object) -> None:
    text = (GOOD * 120_000 + '{"prompt":"p","re\n' + GOOD * 1000).encode()
    assert callable(pack)
    message = refusal(written(tmp_path, pack(text), "o.jsonl.gz"))
    assert message.startswith("line 120001: not valid JSON")


def test_only_the_beginning_is_looked_at_with_a_limit(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + "\n" + GOOD.replace('"r"', '"s"') + "{broken")
    assert read_outputs(path, limit=2).height == 2


def test_surrogate_pairs_and_written_out_escapes_are_text(tmp_path: Path) -> None:
    path = written(tmp_path, '{"prompt":"\\ud83d\\ude00","response":"\\\\ud800 \\u0000"}\n')
    assert read_outputs(path).select("prompt", "response").row(0) == ("😀", "\\ud800 \x00")


def test_a_column_that_comes_late_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD * 3000 + '{"prompt":"p","response":"r","late":"x","category":3}\n')
    frame = read_outputs(path)
    assert frame["late"].to_list() == [None] * 3000 + ["x"]
    assert frame["category"][-1] == "3"


def test_a_number_after_thousands_of_texts_and_the_reverse_are_both_kept(tmp_path: Path) -> None:
    rows = [{"item_id": i, "judge": "a", "label": 1 if i < 5000 else "x"} for i in range(5001)]
    path = written(tmp_path, "".join(json.dumps(row) + "\n" for row in rows))
    labels = read_verdicts(path)["label"]
    assert (labels[0], labels[5000]) == ("1", "x")
    path = written(tmp_path, "".join(json.dumps(row) + "\n" for row in reversed(rows)))
    labels = read_verdicts(path)["label"]
    assert (labels[0], labels[5000]) == ("x", "1")


def test_true_among_numbers_stays_true(tmp_path: Path) -> None:
    text = '{"item_id":"a","judge":"j","label":1}\n{"item_id":"b","judge":"j","label":true}\n'
    assert read_verdicts(written(tmp_path, text))["label"].to_list() == ["1", "true"]
    rows = "[" + ",".join(text.splitlines()) + "]"
    assert read_verdicts(written(tmp_path, rows, "o.json"))["label"].to_list() == ["1", "true"]


def test_long_integers_are_exact(tmp_path: Path) -> None:
    text = '{"item_id":12345678901234567890123,"prompt":"p","response":"r"}\n'
    assert read_outputs(written(tmp_path, text))["item_id"][0] == "12345678901234567890123"


def test_a_key_of_the_same_name_further_in_is_nobodys_business(tmp_path: Path) -> None:
    text = '{"prompt":"p","response":"r \\"prompt\\": 5","meta":{"prompt":5}}\n'
    assert read_outputs(written(tmp_path, text))["meta"][0] == {"prompt": 5}


def test_an_array_is_read_under_any_json_extension(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "response": "r"}, {"prompt": "q", "response": "é", "more": [1, 2]}]
    for indent in (None, 1):
        for name in ("o.json", "o.jsonl"):
            frame = read_outputs(written(tmp_path, json.dumps(rows, indent=indent), name))
            assert frame["response"].to_list() == ["r", "é"]
            assert frame["more"].to_list() == [None, [1, 2]]
    assert read_outputs(written(tmp_path, json.dumps(rows), "o.json"), limit=1).height == 1


@pytest.mark.parametrize(
    ("text", "start"),
    [
        (f"[{GOOD},\n{{", "line 3: not valid JSON"),
        (f"[{GOOD}, 3]", "row 2: not a JSON object"),
        ('[{"prompt":1,"response":"r"}]', "row 1, column 'prompt'"),
        ('[{"prompt":"\\ud800","response":"r"}]', "row 1, column 'prompt'"),
        ('[{"prompt":"p","response":null}]', "row 1, column 'response'"),
        ("[]", "the file holds no rows"),
        ('[{"prompt":"p","response":"r","x":[1]},{"prompt":"p","response":"r","x":{"a":1}}]', "row 2, column 'x'"),
    ],
)
def test_a_bad_array_is_named(tmp_path: Path, text: str, start: str) -> None:
    assert refusal(written(tmp_path, text, "o.json")).startswith(start)


def test_columns_of_null_take_their_type(tmp_path: Path) -> None:
    frame = read_outputs(written(tmp_path, '{"prompt":"p","response":"r","category":null,"repeat":null}\n'))
    assert frame.schema["category"] == pl.String
    assert frame.schema["repeat"] == pl.Int64
