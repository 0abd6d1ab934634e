"""Verdicts that exist already, in a column or in a file, become judges."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from interjudge.errors import InputError
from interjudge.judges.base import Judge
from interjudge.judges.imported import COLUMN, FILE, column_judge, file_judge, split_options
from interjudge.judges.runner import score

PROVENANCE = ("latency_s", "created_at")


def outputs(**columns: object) -> pl.DataFrame:
    """Outputs whose other columns hold the given values."""
    height = len(next(iter(columns.values()))) if columns else 3  # type: ignore[arg-type]  # lists or series
    ids = [f"i{k}" for k in range(height)]
    return pl.DataFrame({"item_id": ids, "prompt": ids, "response": ids, **columns})


def verdicts(judge: Judge, frame: pl.DataFrame) -> list[tuple[object, ...]]:
    table = score(frame, [judge])
    raw = table["raw"] if "raw" in table.columns else pl.Series("raw", [None] * table.height)
    return table.select("status", "label", "score").with_columns(raw).rows()


def test_text_gives_labels_and_an_empty_value_is_not_run() -> None:
    judge = COLUMN.make("human")
    assert verdicts(judge, outputs(human=["safe", None, "unsafe", " "])) == [
        ("ok", "safe", None, None),
        ("not_run", None, None, None),
        ("ok", "unsafe", None, None),
        ("not_run", None, None, None),
    ]
    assert (judge.name, judge.kind, judge.construct, judge.labels) == ("column:human", "imported", "unstated", ())
    assert judge.reads == ("human",)


@pytest.mark.parametrize("values", [[3, None, 0], [3.0, None, 0.0], [3.0, float("nan"), 0.0]])
def test_numbers_give_scores(values: list[float]) -> None:
    assert verdicts(COLUMN.make("n"), outputs(n=values)) == [
        ("ok", None, 3.0, None),
        ("not_run", None, None, None),
        ("ok", None, 0.0, None),
    ]


def test_booleans_and_categories_give_labels() -> None:
    assert [v[1] for v in verdicts(COLUMN.make("b"), outputs(b=[True, False]))] == ["true", "false"]
    categories = pl.Series(["x", None], dtype=pl.Categorical)
    assert [v[:2] for v in verdicts(COLUMN.make("c"), outputs(c=categories))] == [("ok", "x"), ("not_run", None)]


def test_an_infinite_score_is_out_of_range() -> None:
    assert verdicts(COLUMN.make("n"), outputs(n=[float("inf"), 1.0]))[0] == ("out_of_range", None, None, None)


def test_a_column_of_nothing_is_not_run() -> None:
    assert [v[0] for v in verdicts(COLUMN.make("n"), outputs(n=[None, None]))] == ["not_run", "not_run"]


def test_a_text_that_is_no_declared_label_is_a_parse_error_and_kept() -> None:
    judge = COLUMN.make("gpt?labels=yes,no&kind=llm&construct=refusal&name=GPT")
    assert verdicts(judge, outputs(gpt=["yes", "I cannot say", None])) == [
        ("ok", "yes", None, None),
        ("parse_error", None, None, "I cannot say"),
        ("not_run", None, None, None),
    ]
    assert (judge.name, judge.kind, judge.construct, judge.labels) == ("GPT", "rubric", "refusal", ("yes", "no"))


def test_numbers_may_be_labels_and_text_scores() -> None:
    assert [v[:3] for v in verdicts(COLUMN.make("n?as=label"), outputs(n=[0, 1, None]))] == [
        ("ok", "0", None),
        ("ok", "1", None),
        ("not_run", None, None),
    ]
    assert verdicts(COLUMN.make("t?as=score"), outputs(t=["0.5", "high", None])) == [
        ("ok", None, 0.5, None),
        ("parse_error", None, None, "high"),
        ("not_run", None, None, None),
    ]


def test_a_judge_names_the_file_it_read_and_its_hash_does_not_hang_on_the_place(tmp_path: Path) -> None:
    for name in ("v.csv", "copy.csv"):
        (tmp_path / name).write_text("item_id,judge,label\na,ann,x\n")
    one, two = (file_judge(str(tmp_path / name)) for name in ("v.csv", "copy.csv"))
    assert one.files == (str(tmp_path / "v.csv"),)
    assert one.hash == two.hash
    assert column_judge("x").files == ()


def test_a_column_of_lists_is_an_error_in_words() -> None:
    with pytest.raises(InputError, match=re.escape("reads a column that is neither text nor number")):
        score(outputs(x=[["a"], ["b"]]), [COLUMN.make("x")])


def test_a_column_that_was_text_and_is_numbers_now_is_judged_anew(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    judge = COLUMN.make("n")
    assert score(outputs(n=["1", "2"]), [judge], store=store)["label"].to_list() == ["1", "2"]
    assert score(outputs(n=[1, 2]), [judge], store=store)["score"].to_list() == [1.0, 2.0]


def test_options_are_part_of_the_hash_and_the_name_is_not() -> None:
    plain = COLUMN.make("c")
    assert COLUMN.make("c?name=other").hash == plain.hash
    others = ["d", "c?kind=human", "c?construct=harm", "c?labels=a,b", "c?labels=b,a", "c?as=label"]
    assert len({plain.hash, *(COLUMN.make(o).hash for o in others)}) == 7


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("c", "c", {}),
        ("c?kind=human", "c", {"kind": "human"}),
        ("c?labels=a%26b,c%2Cd&as=label", "c", {"labels": "a%26b,c%2Cd", "as": "label"}),
        ("is it safe?", "is it safe?", {}),
        ("is it safe??kind=human", "is it safe?", {"kind": "human"}),
        ("a?b", "a?b", {}),
        ("dir/file name.csv?judge=GPT 4", "dir/file name.csv", {"judge": "GPT 4"}),
        ("?kind=human", "?kind=human", {}),
    ],
)
def test_the_grammar_of_options(text: str, name: str, options: dict[str, str]) -> None:
    assert split_options(text) == (name, options)


def test_percent_encoded_commas_and_ampersands_are_part_of_a_label() -> None:
    judge = COLUMN.make("c?labels=no%2C really,yes %26 no&construct=a%26b")
    assert judge.labels == ("no, really", "yes & no")
    assert judge.construct == "a&b"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("c?kin=human", "column:c: unknown option 'kin' (did you mean 'kind'?)"),
        ("c?kind=humn", "column:c: unknown kind 'humn' (did you mean 'human'?)"),
        ("c?as=number", "unknown value of 'as'; found number; expected label or score"),
        ("c?labels=a,a", "labels are empty or repeated"),
        ("c?labels=a,,b", "labels are empty or repeated"),
        ("c?threshold=high", "option 'threshold' is not a number; found high"),
        ("c?judge=x", "unknown option 'judge'"),
    ],
)
def test_a_wrong_option_is_said_in_words(text: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        COLUMN.make(text)


def test_a_column_that_is_not_there_is_said_with_those_that_are() -> None:
    with pytest.raises(InputError, match=r"'humna' .*did you mean 'human'"):
        score(outputs(human=["a"]), [column_judge("humna")])


# Files.


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "v.csv"
    path.write_text(
        "item_id,judge,judge_kind,construct,repeat,status,label,score,confidence\n"
        "i2,gpt,llm,harm,0,ok,unsafe,0.9,0.8\n"
        "i0,gpt,llm,harm,0,ok,safe,0.1,0.7\n"
        "i1,gpt,llm,harm,0,judge_refused,,,\n"
        "i0,gpt,llm,harm,1,ok,unsafe,0.6,0.7\n"
        "i0,ann,human,harm,0,ok,safe,,\n"
    )
    return path


def test_a_verdict_file_is_joined_on_item_id_and_what_it_does_not_hold_is_not_run(file: Path) -> None:
    judge = FILE.make(f"{file}?judge=gpt")
    table = score(outputs(other=[1, 2, 3, 4]), [judge])
    assert table.select("status", "label", "score", "confidence").rows() == [
        ("ok", "safe", 0.1, 0.7),
        ("judge_refused", None, None, None),
        ("ok", "unsafe", 0.9, 0.8),
        ("not_run", None, None, None),
    ]
    assert (judge.name, judge.kind, judge.construct, judge.labels) == ("gpt", "rubric", "harm", ("safe", "unsafe"))
    assert judge.reads == ("item_id",)


def test_name_kind_construct_labels_and_repeat_may_be_given(file: Path) -> None:
    judge = FILE.make(
        f"{file}?judge=gpt&repeat=1&name=second&kind=human&construct=mine&labels=unsafe,safe&threshold=0.5"
    )
    assert (judge.name, judge.kind, judge.construct, judge.labels, judge.threshold) == (
        "second", "human", "mine", ("unsafe", "safe"), 0.5,
    )  # fmt: skip
    assert score(outputs(other=[1, 2]), [judge])["label"].to_list() == ["unsafe", None]


def test_a_label_of_the_file_that_is_not_declared_is_a_parse_error(file: Path) -> None:
    table = score(outputs(other=[1, 2, 3]), [FILE.make(f"{file}?judge=gpt&labels=safe")])
    assert table.select("status", "label", "score", "raw").rows() == [
        ("ok", "safe", 0.1, None),
        ("judge_refused", None, None, None),
        ("parse_error", None, None, "unsafe"),
    ]


def test_the_only_judge_of_a_file_needs_no_name(file: Path, tmp_path: Path) -> None:
    only = tmp_path / "only.jsonl"
    only.write_text('{"item_id": "i1", "judge": "solo", "label": "yes"}\n')
    assert FILE.make(str(only)).name == "solo"
    with pytest.raises(InputError, match=re.escape("holds 2 judges; expected ?judge=NAME, one of ann, gpt")):
        FILE.make(str(file))


def test_a_store_is_a_file_of_verdicts_too(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    items = outputs(human=["a", None])
    score(items, [COLUMN.make("human?kind=human&construct=harm")], store=store)
    judge = FILE.make(str(store))
    assert (judge.name, judge.kind, judge.construct) == ("column:human", "human", "harm")
    assert score(items, [judge])["label"].to_list() == ["a", None]


def test_a_changed_file_is_a_new_judge_and_the_order_of_its_rows_is_not(file: Path) -> None:
    before = file_judge(str(file), judge="gpt")
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([head, *reversed(rows)]) + "\n")
    assert file_judge(str(file), judge="gpt").hash == before.hash
    file.write_text(file.read_text().replace("unsafe,0.9", "safe,0.9"))
    assert file_judge(str(file), judge="gpt").hash != before.hash


def test_two_annotators_who_say_the_same_are_two_judges(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text("item_id,judge,label\ni0,ann,a\ni0,bob,a\n")
    judges = [file_judge(str(path), judge=name) for name in ("ann", "bob")]
    assert score(outputs(x=[1]), judges)["judge"].to_list() == ["ann", "bob"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("?judge=gtp", "holds no judge 'gtp' (did you mean 'gpt'?)"),
        ("?judge=gpt&repeat=7", "no verdict with repeat 7; expected one of 0, 1"),
        ("?judge=gpt&repeat=0.5", "'repeat' is not a whole number"),
        ("?judge=gpt&repeat=one", "'repeat' is not a number"),
        ("?judge=gpt&as=label", "unknown option 'as'"),
    ],
)
def test_a_wrong_file_option_is_said_in_words(file: Path, options: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        FILE.make(f"{file}{options}")


def test_a_file_that_is_not_there_is_said_in_words() -> None:
    with pytest.raises(InputError, match="no such file"):
        FILE.make("/nowhere/verdicts.csv")


def test_a_real_panel_comes_back_from_its_file(panels: Path) -> None:
    """Two judges of XSTest v2, 2,250 outputs each: every label as it stands in the file."""
    source = pl.read_parquet(panels / "xstest_v2.parquet")
    items = source.select("item_id", "prompt", "response").unique("item_id", maintain_order=True)
    names = source["judge"].unique(maintain_order=True).to_list()
    judges = [file_judge(str(panels / "xstest_v2.parquet"), judge=name) for name in names]
    table = score(items, judges)
    key = ["item_id", "judge"]
    assert_frame_equal(
        table.select(*key, "label").sort(key), source.select(*key, "label").sort(key), check_dtypes=False
    )


# Laws.

labels = st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "", "odd"])), min_size=1, max_size=20)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(labels, st.integers(1, 7), st.randoms(use_true_random=False))
def test_neither_batches_nor_order_change_a_column_judge(values: list[str | None], size: int, random: object) -> None:
    items = outputs(c=pl.Series(values, dtype=pl.String))
    judge = COLUMN.make("c?labels=a,b")
    small = Judge("column:c", "imported", "unstated", ("a", "b"), judge.evaluate, judge.identity, ("c",), size)
    order = list(range(items.height))
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    whole = score(items, [judge]).drop(PROVENANCE)
    assert_frame_equal(whole, score(items, [small]).drop(PROVENANCE))
    assert_frame_equal(whole[order], score(items[order], [judge]).drop(PROVENANCE))
