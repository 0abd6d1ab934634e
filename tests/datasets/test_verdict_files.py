"""Verdicts from long and wide files: what a file does not say, and what it must not say."""

import contextlib
import json
import sqlite3
from pathlib import Path

import polars as pl
import pytest

from interjudge.datasets.reference import read_reference
from interjudge.datasets.schema import STATUS, VERDICT_COLUMNS, VERDICT_CORE
from interjudge.datasets.verdicts import item_columns, read_verdicts
from interjudge.errors import InputError

LONG = "item_id,judge,label\na,x,safe\nb,x,unsafe\na,y,1.0\nb,y,\n"
WIDE = "item_id,model,x,y,z\n1,m,1,0.5,yes\n2,n,1.0,,no\n"


def written(folder: Path, text: str, name: str = "v.csv") -> Path:
    path = folder / name
    path.write_text(text, newline="")
    return path


def refusal(paths: object, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        read_verdicts(paths, **options)  # type: ignore[arg-type] # wrong arguments are part of the tests
    return str(caught.value)


def test_what_a_long_file_does_not_say(tmp_path: Path) -> None:
    frame = read_verdicts([written(tmp_path, LONG)])
    assert tuple(frame.columns) == VERDICT_CORE
    assert dict(frame.schema) == {name: VERDICT_COLUMNS[name] for name in VERDICT_CORE}
    assert frame.rows() == [
        ("a", "x", 0, "imported", "unstated", "ok", "safe", None),
        ("b", "x", 0, "imported", "unstated", "ok", "unsafe", None),
        ("a", "y", 0, "imported", "unstated", "ok", "1", None),
        ("b", "y", 0, "imported", "unstated", "not_run", None, None),
    ]


def test_kind_and_construct_stand_where_the_file_is_silent(tmp_path: Path) -> None:
    frame = read_verdicts(written(tmp_path, LONG), kind="llm", construct="harm")
    assert frame.select("judge_kind", "construct").unique().rows() == [("rubric", "harm")]
    text = "item_id,judge,judge_kind,construct,label\na,x,llm,,l\na,y,human,refusal,l\na,z,,,l\n"
    frame = read_verdicts(written(tmp_path, text), kind="guard", construct="harm")
    assert frame["judge_kind"].to_list() == ["rubric", "human", "classifier"]
    assert frame["construct"].to_list() == ["harm", "refusal", "harm"]


def test_status_is_taken_from_the_answer_where_it_is_not_given(tmp_path: Path) -> None:
    text = "item_id,judge,status,label,score\na,v,,l,\na,w,,,0.5\na,x,,,\na,y,parse_error,,\na,z,ok,l,0.25\nb,z,,,nan\n"
    frame = read_verdicts(written(tmp_path, text))
    assert frame.schema["status"] == STATUS
    assert frame["status"].to_list() == ["ok", "ok", "not_run", "parse_error", "ok", "not_run"]
    assert frame["score"].to_list() == [None, 0.5, None, None, 0.25, None]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (
            "item_id,judge,label,status\na,x,l,ok\na,y,,parse_eror\n",
            "row 2, column 'status': unknown status (did you mean 'parse_error'?)",
        ),
        ("item_id,judge,label,status\na,x,l,ok\na,y,,OKAY\n", "found OKAY; expected ok, parse_error, judge_refused"),
        (
            "item_id,judge,label,status\na,x,l,parse_error\n",
            "row 1, column 'status': a label or a score on a verdict that is not ok",
        ),
        ("item_id,judge,score,status\na,x,1,filtered\n", "found status filtered, score 1.0"),
        ("item_id,judge,label,status\na,x,l,\na,y,,ok\n", "row 2, column 'label': an ok verdict without a label or"),
        (
            "item_id,judge,label,judge_kind\na,x,l,human\na,y,l,humn\n",
            "row 2, column 'judge_kind': unknown kind of judge (did",
        ),
        (
            "item_id,judge,score\na,x,0.5\na,y,high\n",
            "row 2, column 'score': not a number that can stand here; found high",
        ),
        ("item_id,judge,score\na,x,inf\n", "row 1, column 'score': not a number that can stand here; found inf"),
        (
            "item_id,judge,label,confidence\na,x,l,1.5\n",
            "column 'confidence': out of range; found 1.5; expected 0 to 1",
        ),
        ("item_id,judge,label\na,,l\n", "row 1, column 'judge': no judge here; found null"),
        ("item_id,judge,label\n,x,l\n", "row 1, column 'item_id': no item_id here; found null"),
        ("item_id,judg,label\na,x,l\n", "column 'judge': a required column is missing (did you mean 'judg'?)"),
        ("itemid,judge,label\na,x,l\n", "column 'item_id': a required column is missing (did you mean 'itemid'?)"),
        ("item_id,judge,lable\na,x,l\n", "column 'label': a required column is missing (did you mean 'lable'?)"),
        (LONG + "a,x,unsafe\n", "row 5: a second verdict for item 'a', judge 'x', repeat 0; the first is in "),
        ("item_id,judge,label\n", "the file holds no rows"),
    ],
)
def test_a_bad_verdict_is_named(tmp_path: Path, text: str, part: str) -> None:
    path = written(tmp_path, text)
    message = refusal([path])
    assert message.startswith(str(path))
    assert part in message


def test_a_second_verdict_in_another_file_names_both_places(tmp_path: Path) -> None:
    first = written(tmp_path, LONG, "first.csv")
    rows = [{"item_id": "c", "judge": "x", "label": "l"}, {"item_id": "b", "judge": "x", "label": "l"}]
    second = written(tmp_path, "\n\n".join(map(json.dumps, rows)), "second.jsonl")
    message = refusal([first, second])
    assert message.startswith(f"{second}, line 3: a second verdict for item 'b', judge 'x', repeat 0")
    assert f"the first is in {first}, row 2;" in message


def test_repeats_of_one_judge_are_several_verdicts(tmp_path: Path) -> None:
    frame = read_verdicts(written(tmp_path, "item_id,judge,repeat,label\na,x,,l\na,x,1,l\n"))
    assert frame["repeat"].to_list() == [0, 1]


@pytest.mark.parametrize("name", ["v.csv", "v.jsonl", "v.parquet"])
def test_numbers_and_booleans_become_the_same_labels_in_every_format(tmp_path: Path, name: str) -> None:
    """1, 1.0 and pandas' 1.0 of a column with gaps are one label; 0.25 stays; true and false are words."""
    typed = {
        "a": [1, 0, 1],
        "b": [1.0, None, 0.0],
        "c": [0.25, 1.0, -0.0],
        "d": [True, False, None],
        "e": ["0.00", "01", ""],
    }
    frame = pl.DataFrame({"item_id": ["p", "q", "r"]} | typed)
    path = tmp_path / name
    if name == "v.csv":
        frame.write_csv(path)
    elif name == "v.jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_parquet(path)
    verdicts = read_verdicts([path], judge_columns=list(typed))
    labels = {judge: verdicts.filter(judge=judge)["label"].to_list() for judge in typed}
    assert labels == {
        "a": ["1", "0", "1"],
        "b": ["1", None, "0"],
        "c": ["0.25", "1", "0"],
        "d": ["true", "false", None],
        "e": ["0.00", "01", None],
    }  # fmt: skip
    # a column of numbers gives scores as well; words do not
    scores = verdicts.filter(pl.col("judge") == "c")["score"].to_list()
    assert scores == [0.25, 1.0, 0.0]
    assert verdicts.filter(pl.col("judge") == "d")["score"].null_count() == 3
    assert verdicts.filter(pl.col("judge") == "b")["status"].to_list() == ["ok", "not_run", "ok"]


def test_wide_form_keeps_the_items_columns(tmp_path: Path) -> None:
    frame = read_verdicts(written(tmp_path, WIDE), judge_columns=["x", "z"])
    assert frame.select("item_id", "judge", "label", "score", "model", "y").rows() == [
        ("1", "x", "1", 1.0, "m", "0.5"),
        ("2", "x", "1", 1.0, "n", None),
        ("1", "z", "yes", None, "m", "0.5"),
        ("2", "z", "no", None, "n", None),
    ]
    assert item_columns(frame) == ["model", "y"]


def test_a_judges_column_may_be_called_label_or_score(tmp_path: Path) -> None:
    path = written(tmp_path, "item_id,label,score\na,l,1\n")
    frame = read_verdicts(path, judge_columns=["label", "score"])
    assert frame.select("judge", "label", "score").rows() == [("label", "l", None), ("score", "1", 1.0)]


def test_wide_and_long_form_of_the_same_verdicts_are_equal(tmp_path: Path) -> None:
    rows = [(i, j, "safe" if (i + k) % 3 else "unsafe") for k, j in enumerate("xyz") for i in range(5)]
    long = pl.DataFrame(rows, schema=["item_id", "judge", "label"], orient="row")
    long.write_csv(tmp_path / "long.csv")
    long.pivot(on="judge", on_columns=["x", "y", "z"], index="item_id", values="label").write_csv(tmp_path / "wide.csv")
    wide = read_verdicts([tmp_path / "wide.csv"], judge_columns=["x", "y", "z"])
    assert wide.equals(read_verdicts([tmp_path / "long.csv"]))


def test_wide_outputs_without_ids_get_those_of_read_outputs(tmp_path: Path) -> None:
    from interjudge.datasets.outputs import read_outputs

    path = written(tmp_path, "prompt,response,x\np,r,1\np,r,0\nq,r,0\n")
    frame = read_verdicts(path, judge_columns=["x"])
    assert frame["item_id"].to_list() == read_outputs(path)["item_id"].to_list()
    assert frame["repeat"].to_list() == [0, 0, 0]
    # an output's own repeat tells outputs apart and is not the judge's
    path = written(tmp_path, "prompt,response,repeat,x\np,r,0,1\np,r,1,0\n")
    frame = read_verdicts(path, judge_columns=["x"])
    assert frame["item_id"].to_list() == read_outputs(path)["item_id"].to_list()
    assert frame["repeat"].to_list() == [0, 0]


def test_long_files_without_ids_get_them_from_the_content(tmp_path: Path) -> None:
    frame = read_verdicts(written(tmp_path, "prompt,response,judge,label\np,r,x,0\np,r,y,1\nq,r,x,1\n"))
    assert frame["item_id"].n_unique() == 2
    assert frame["item_id"][0] == frame["item_id"][1]
    message = refusal(written(tmp_path, "prompt,response,judge,label\np,r,x,0\np,r,x,1\n"))
    assert "row 2: a second verdict" in message


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"judge_columns": ["x", "w"]}, "column 'w': a required column is missing"),
        ({"judge_columns": ["q"]}, "column 'q': a required column is missing; found the columns item_id, model"),
        ({"judge_columns": ["x", "x"]}, "the judge column 'x' is named twice"),
        ({"judge_columns": ["item_id"]}, "'item_id' is no column of a judge's labels"),
        ({"judge_columns": ["x"], "columns": ["modl"]}, "column 'modl': a required column is missing (did"),
        ({"judge_columns": ["x"], "kind": "lm"}, "unknown kind of judge (did you mean 'llm'?)"),
        ({}, "column 'judge': a required column is missing"),
    ],
)  # fmt: skip
def test_a_bad_request_is_named(tmp_path: Path, options: dict[str, object], part: str) -> None:
    assert part in refusal([written(tmp_path, WIDE)], **options)


def test_judge_columns_in_a_long_file_are_refused(tmp_path: Path) -> None:
    message = refusal([written(tmp_path, "item_id,judge,x\na,j,1\n")], judge_columns=["x"])
    assert "column 'judge': judge columns were named, but the file has a column of the long form" in message


def test_no_file_and_a_missing_one() -> None:
    assert refusal([]) == "no file of verdicts was given"
    assert "no such file" in refusal(["nowhere/at/all.csv"])


def test_long_and_wide_files_are_read_together(tmp_path: Path) -> None:
    long, wide = written(tmp_path, LONG, "long.csv"), written(tmp_path, WIDE, "wide.csv")
    frame = read_verdicts([long, wide], judge_columns=["z"], columns=["model"])
    assert frame.select("item_id", "judge", "label", "model").rows() == [
        ("a", "x", "safe", None),
        ("b", "x", "unsafe", None),
        ("a", "y", "1", None),
        ("b", "y", None, None),
        ("1", "z", "yes", "m"),
        ("2", "z", "no", "n"),
    ]


def test_columns_of_different_types_in_two_files_go_together_or_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "1.parquet", tmp_path / "2.parquet"
    pl.DataFrame({"item_id": ["a"], "judge": ["x"], "label": ["l"], "k": [1]}).write_parquet(one)
    pl.DataFrame({"item_id": ["a"], "judge": ["y"], "label": ["l"], "k": ["v"]}).write_parquet(two)
    assert read_verdicts([one, two])["k"].to_list() == ["1", "v"]
    pl.DataFrame({"item_id": ["a"], "judge": ["y"], "label": ["l"], "k": [{"v": 1}]}).write_parquet(two)
    assert f"{two}, column 'k': the files do not go together" in refusal([one, two])


def test_a_verdict_store_is_read_beside_files(tmp_path: Path) -> None:
    from interjudge.judges.base import Judge
    from interjudge.judges.runner import score

    def evaluate(outputs: pl.DataFrame) -> pl.DataFrame:
        return outputs.select(pl.lit("safe").alias("label"))

    judge = Judge("j", "keyword", "harm", ("safe",), evaluate, {})
    outputs = pl.DataFrame({"item_id": ["a", "b"], "prompt": ["p", "q"], "response": ["r", "r"]})
    store = tmp_path / "verdicts[1].db"
    stored = score(outputs, [judge], store=store)
    frame = read_verdicts([store, written(tmp_path, LONG)])
    assert frame.height == 6
    assert frame.head(2).select(VERDICT_CORE).equals(stored.select(VERDICT_CORE))
    assert read_verdicts([store], columns=[]).columns == list(VERDICT_CORE)
    message = refusal([store, store])
    assert "a second verdict for item 'a', judge 'j', repeat 0" in message


def test_another_database_is_not_a_store(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (a)")
    assert refusal([path]).startswith(str(path))


def test_lean_reading_leaves_other_columns_out(tmp_path: Path) -> None:
    text = "item_id,judge,label,prompt,model,rationale\na,x,l,p,m,why\n"
    assert read_verdicts(written(tmp_path, text), columns=["model"]).columns == [*VERDICT_CORE, "model"]
    assert read_verdicts(written(tmp_path, text)).columns == [*VERDICT_CORE, "rationale", "prompt", "model"]


def test_every_tidy_panel_is_read_as_it_is(panels: Path) -> None:
    files = [path for path in sorted(panels.glob("*.parquet")) if ".gold" not in path.name]
    assert len(files) > 5
    for path in files:
        raw = pl.read_parquet(path)
        frame = read_verdicts([path])
        assert frame.height == raw.height
        assert frame["label"].equals(raw["label"]), path
        assert frame["item_id"].equals(raw["item_id"])
        assert (frame["status"] == "ok").all()
        expected = raw["judge_kind"].replace({"llm": "rubric"})
        assert frame["judge_kind"].equals(expected, check_names=False)
        assert set(item_columns(frame)) == set(raw.columns) - set(VERDICT_COLUMNS)


def test_panels_with_more_judges_in_a_second_file_are_one_panel(panels: Path) -> None:
    paths = [panels / "jbb_artifacts.parquet", panels / "jbb_artifacts__kw.parquet"]
    frame = read_verdicts(paths, columns=["model"])
    assert frame.height == 2874 + 12933
    assert frame["item_id"].n_unique() == 1437


def test_every_gold_file_is_read_as_it_is(panels: Path) -> None:
    for path in panels.glob("*.gold*.parquet"):
        assert read_reference(path).equals(pl.read_parquet(path).drop_nulls()), path


def test_crowd_answers_as_published_are_read(panels: Path, tmp_path: Path) -> None:
    """`question,worker,answer` of whole numbers: only the column names are ours."""
    text = (panels.parent / "raw" / "crowd" / "dog_answer.csv").read_text()
    frame = read_verdicts(written(tmp_path, text.replace("question,worker,answer", "item_id,judge,label", 1)))
    assert frame.height == 8070
    assert sorted(frame["label"].unique()) == ["0", "1", "2", "3"]
    truth = (panels.parent / "raw" / "crowd" / "dog_truth.csv").read_text()
    gold = read_reference(written(tmp_path, truth.replace("question", "item_id", 1)), column="truth")
    assert gold.height == 807


def test_human_scores_as_published_are_read_in_wide_form(panels: Path, tmp_path: Path) -> None:
    text = (panels.parent / "raw" / "pyrit" / "harm__violence.csv").read_text()
    path = written(tmp_path, text.replace("assistant_response", "response", 1))
    frame = read_verdicts(path, judge_columns=[f"human_score_{k}" for k in (1, 2, 3)], kind="human")
    tidy = pl.read_parquet(panels / "pyrit_violence.parquet")
    assert frame.height == 3 * 187
    for k in (1, 2, 3):
        ours = frame.filter(judge=f"human_score_{k}")["score"]
        assert ours.equals(tidy.filter(judge=f"human{k}")["score"])


@pytest.mark.parametrize(
    ("text", "columns", "parts"),
    [
        ("x,y\n1,2\n", ["x", "y"], ("column 'item_id'", "expected item_id, or prompt and response")),
        ("judge,label\na,1\n", [], ("column 'item_id'", "expected item_id, or prompt and response")),
        ("id,judge,label\na,j,1\n", [], ("rename 'id' to 'item_id'?",)),
        ("item_id,Annotator,label\na,j,1\n", [], ("rename 'Annotator' to 'judge'?",)),
        ("item_id,worker,label\na,j,1\n", [], ("rename 'worker' to 'judge'?",)),
        ("item_id|judge|label\na|j|1\n", [], ("the header is one column", "a comma, a semicolon or a tab")),
    ],
)
def test_a_missing_column_comes_with_what_to_do(
    tmp_path: Path, text: str, columns: list[str], parts: tuple[str, ...]
) -> None:
    message = refusal([written(tmp_path, text)], judge_columns=columns)
    for part in parts:
        assert part in message
    assert "judges' columns to be named" not in message or not columns
