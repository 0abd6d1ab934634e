"""A Python function becomes a judge: `package.module:function`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from interjudge.errors import InputError
from interjudge.judges.base import Judge, JudgeError
from interjudge.judges.callable import as_answer, callable_judge, load_judge
from interjudge.judges.runner import score

LONG = """
def judge(outputs):
    return ["long" if len(r) > 3 else "short" for r in outputs["response"]]

judge.labels = ["short", "long"]
judge.construct = "length"
judge.kind = "keyword"
"""


def outputs(*responses: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": [f"i{k}" for k in range(len(responses))],
            "prompt": ["p"] * len(responses),
            "response": list(responses),
            "model": ["m"] * len(responses),
        }
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Writes a module into the current folder and answers its name; forgets it afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def write(text: str, name: str = "user_judges_for_test") -> str:
        Path(f"{name}.py").write_text(text)
        return name

    yield write
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def test_a_function_of_a_module_in_the_current_folder_is_a_judge_with_what_it_declares(
    here: Callable[..., str],
) -> None:
    judge = load_judge(f"{here(LONG)}:judge")
    assert (judge.name, judge.kind, judge.construct) == ("user_judges_for_test:judge", "keyword", "length")
    assert judge.labels == ("short", "long")
    assert judge.reads == ("prompt", "response")
    assert score(outputs("hi", "hello"), [judge])["label"].to_list() == ["short", "long"]


def test_all_declarations_count(here: Callable[..., str]) -> None:
    text = LONG + (
        "judge.name = 'len'\njudge.reads = ('response', 'model')\njudge.version = 3\n"
        "judge.batch_size = 2\njudge.threshold = 4\n"
    )
    judge = load_judge(f"{here(text)}:judge")
    assert (judge.name, judge.reads, judge.batch_size, judge.threshold) == ("len", ("response", "model"), 2, 4.0)
    assert judge.identity["version"] == 3


def test_the_path_is_as_it_was_afterwards(here: Callable[..., str]) -> None:
    before = list(sys.path)
    judge = load_judge(f"{here(LONG)}:judge")
    score(outputs("hi"), [judge])
    with pytest.raises(InputError):
        load_judge("no_such_module_at_all:judge")
    assert sys.path == before


def test_a_module_beside_it_is_found_while_the_judge_runs(here: Callable[..., str]) -> None:
    here("WORD = 'late'\n", "user_helper_for_test")
    text = "def judge(outputs):\n    from user_helper_for_test import WORD\n    return [WORD] * len(outputs)\n"
    assert score(outputs("a"), [load_judge(f"{here(text)}:judge")])["label"].to_list() == ["late"]


@pytest.mark.usefixtures("here")
def test_packages_and_attributes_of_attributes(tmp_path: Path) -> None:
    (tmp_path / "user_package_for_test").mkdir()
    (tmp_path / "user_package_for_test" / "inner.py").write_text(
        "class Box:\n    @staticmethod\n    def judge(outputs):\n        return ['x'] * len(outputs)\n"
    )
    judge = load_judge("user_package_for_test.inner:Box.judge")
    assert score(outputs("a"), [judge])["label"].to_list() == ["x"]


def test_the_attribute_may_be_a_judge_or_make_one(here: Callable[..., str]) -> None:
    text = (
        "import polars as pl\n"
        "from interjudge.judges.base import Judge\n"
        "def make(label='x'):\n    return JUDGE\n"
        "make_it = lambda: JUDGE\n"
        "JUDGE = Judge('mine', 'human', 'harm', ('x',), lambda b: pl.DataFrame({'label': ['x'] * b.height}), {})\n"
    )
    module = here(text)
    assert load_judge(f"{module}:JUDGE").name == "mine"
    assert load_judge(f"{module}:make_it").name == "mine"


# What decides its verdicts.


def test_an_edited_file_is_a_new_judge_and_the_new_text_runs(here: Callable[..., str]) -> None:
    old = load_judge(f"{here(LONG)}:judge")
    assert load_judge(f"{here(LONG)}:judge").hash == old.hash
    new = load_judge(f"{here(LONG.replace('> 3', '> 9'))}:judge")
    assert new.hash != old.hash
    assert score(outputs("hello"), [new])["label"].to_list() == ["short"]


def test_version_is_part_of_the_hash() -> None:
    def one(batch: pl.DataFrame) -> list[str]:
        return ["x"] * batch.height

    plain = callable_judge(one)
    one.version = 2  # type: ignore[attr-defined]  # that is how a function declares it
    assert callable_judge(one).hash != plain.hash


def made(threshold: float) -> Callable[[pl.DataFrame], list[bool]]:
    return lambda batch: [len(r) > threshold for r in batch["response"]]


class Longer:
    def __init__(self, than: object) -> None:
        self.than = than

    def __call__(self, batch: pl.DataFrame) -> list[bool]:
        return [len(r) > self.than for r in batch["response"]]  # type: ignore[operator]


def longer(batch: pl.DataFrame, than: int = 0) -> list[bool]:
    return [len(r) > than for r in batch["response"]]


def test_functions_of_one_text_that_hold_other_values_are_other_judges() -> None:
    functions = [
        made(1), made(2), Longer(1), Longer(2), partial(longer, than=1), partial(longer, than=2), longer,
        Longer([{"a": {1, 2}}, re.compile("x"), len, made(1)]),
    ]  # fmt: skip
    hashes = [callable_judge(f).hash for f in functions]
    assert len(set(hashes)) == len(functions)
    assert hashes == [callable_judge(f).hash for f in functions]
    assert callable_judge(made(1)).hash == hashes[0]


def test_a_function_that_holds_what_shows_nothing_needs_a_version() -> None:
    function = Longer(object())
    with pytest.raises(InputError, match=r"holds a value of type object.*`version`"):
        callable_judge(function)
    function.version = "1"  # type: ignore[attr-defined]  # that is how a callable declares it
    assert callable_judge(function).identity["version"] == "1"


def test_a_function_that_holds_itself_needs_a_version() -> None:
    def outer() -> Callable[[pl.DataFrame], object]:
        def inner(batch: pl.DataFrame) -> object:
            return inner(batch)

        return inner

    with pytest.raises(InputError, match=r"holds itself.*`version`"):
        callable_judge(outer())


def test_a_function_without_source_text_needs_a_version() -> None:
    namespace: dict[str, object] = {"__name__": "nowhere"}
    exec("def judge(batch): return ['x'] * len(batch)", namespace)
    function = namespace["judge"]
    with pytest.raises(InputError, match=r"source text cannot be found.*`version`"):
        callable_judge(function)  # type: ignore[arg-type]  # made by exec
    function.version = 1  # type: ignore[attr-defined]
    assert callable_judge(function).hash  # type: ignore[arg-type]


# Keys. Nothing bound is ever shown, and what has the name of a key decides nothing.

CANARY = "canary-in-the-coal-mine"


def asking(batch: pl.DataFrame, model: str = "m", api_key: str = "", max_tokens: int = 5) -> list[str]:
    if "raise" in batch["response"].to_list():
        raise ValueError(f"{model} refused the key {api_key}")
    return [str(max_tokens)] * batch.height


def with_key(token: str) -> Callable[[pl.DataFrame], list[str]]:
    return lambda batch: asking(batch, api_key=token)


class Service:
    def __init__(self, token: str, url: str = "u") -> None:
        self.token, self.url = token, url

    def __call__(self, batch: pl.DataFrame) -> list[str]:
        return asking(batch, self.url, self.token)


@pytest.mark.parametrize(
    "make",
    [
        lambda key: partial(asking, api_key=key),
        lambda key: partial(asking, model="m", api_key=key),
        lambda key: partial(lambda api_key, batch: asking(batch, api_key=api_key), key),
        with_key,
        Service,
        lambda key: Service(key).__call__,
        lambda key: partial(Service(key).__call__),
    ],
)
def test_a_key_is_in_no_identity_no_hash_no_store_and_no_verdict(
    tmp_path: Path, make: Callable[[str], Callable[[pl.DataFrame], object]]
) -> None:
    judge = callable_judge(make(CANARY), name="asking")
    assert CANARY not in str(judge.identity)
    assert judge.hash == callable_judge(make("another key"), name="asking").hash
    table = score(outputs("a", "raise"), [judge], store=tmp_path / "s.db")
    assert table["status"].to_list() == ["ok", "error"]
    assert "refused the key [hidden]" in table["raw"][1]
    assert CANARY not in table.write_csv()
    assert CANARY.encode() not in (tmp_path / "s.db").read_bytes()


def test_a_key_beside_something_opaque_is_hidden_too() -> None:
    """A client that says nothing needs a `version`; the key beside it stays out of messages all the same."""
    service = Service(CANARY)
    service.client = object()  # type: ignore[attr-defined]
    service.version = 1  # type: ignore[attr-defined]
    assert score(outputs("raise"), [callable_judge(service)])["raw"][0] == "ValueError: u refused the key [hidden]"


def test_values_without_the_name_of_a_key_are_hashed_and_still_decide() -> None:
    """A number is no key, whatever it is called; nor are `keywords`, or a plain `key`, which may be a column's name."""

    def find(batch: pl.DataFrame, keywords: str = "", key: str = "", stop_token: int = 0) -> list[str]:
        return [keywords + key + str(stop_token)] * batch.height

    judges = [
        callable_judge(partial(find, **given))
        for given in ({}, {"keywords": CANARY}, {"keywords": "b"}, {"key": "a"}, {"key": "b"}, {"stop_token": 1})
    ]
    assert len({judge.hash for judge in judges}) == len(judges)
    assert not any(CANARY in str(judge.identity) for judge in judges)


# How much it is asked at once.


def test_batches_start_small_and_grow_unless_their_size_is_declared() -> None:
    def one(batch: pl.DataFrame) -> list[str]:
        return ["x"] * batch.height

    assert (callable_judge(one).batch_size, callable_judge(one).grow_to) == (8, 10_000)
    one.batch_size = 3  # type: ignore[attr-defined]  # that is how a function declares it
    assert (callable_judge(one).batch_size, callable_judge(one).grow_to) == (3, 0)


def test_a_list_of_labels_and_scores_is_not_sorted_out_by_asking_again() -> None:
    def mixed(batch: pl.DataFrame) -> list[object]:
        return ["a", 1][: batch.height]

    table = score(outputs("a", "b"), [callable_judge(mixed)])
    assert table["status"].to_list() == ["error", "error"]
    assert "values of several types" in table["raw"][0]


# What it may answer.


@pytest.mark.parametrize(
    ("answer", "column", "expected"),
    [
        (["a", "b"], "label", ["a", "b"]),
        (("a", "b"), "label", ["a", "b"]),
        ([True, False], "label", ["true", "false"]),
        (np.array(["a", "b"]), "label", ["a", "b"]),
        (np.array([True, False]), "label", ["true", "false"]),
        (pl.Series(["a", "b"], dtype=pl.Categorical), "label", ["a", "b"]),
        (pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])), "label", ["a", "b"]),
        ([0.5, 1], "score", [0.5, 1.0]),
        ([1, 0], "score", [1.0, 0.0]),
        (np.array([0.5, 1.0], dtype=np.float32), "score", [0.5, 1.0]),
        (pl.Series([1, 2], dtype=pl.UInt8), "score", [1.0, 2.0]),
        (pl.DataFrame({"label": ["a", "b"], "raw": ["r", None]}), "label", ["a", "b"]),
        ({"label": ["a", "b"], "score": [0.1, 0.9]}, "score", [0.1, 0.9]),
    ],
)
def test_labels_scores_and_tables(answer: object, column: str, expected: list[object]) -> None:
    assert as_answer(answer, 2)[column].cast(pl.Float64 if column == "score" else pl.String).to_list() == expected


@pytest.mark.parametrize(
    ("answer", "column"), [(["a", None], "label"), ([0.5, float("nan")], "score"), ([1, None], "score")]
)
def test_no_answer_is_an_error_with_a_reason_and_never_a_default(answer: list[object], column: str) -> None:
    table = as_answer(answer, 2)
    assert table["status"].to_list() == ["ok", "error"]
    assert table[column][1] is None
    assert "no answer" in table["raw"][1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (["a"], "1 values for 2 outputs"),
        ("ab", "a str, not one label or score"),
        (None, "a NoneType, not one label or score"),
        (0.5, "a float, not one label or score"),
        (["a", 1], "several types"),
        ([["a"], ["b"]], "neither labels nor scores"),
        ({"label": ["a"], "score": [1, 2]}, "make no table"),
        (iter(["a", "b"]), "not one label or score"),
    ],
)
def test_other_answers_are_said_in_words(answer: object, words: str) -> None:
    with pytest.raises(JudgeError, match=re.escape(words)):
        as_answer(answer, 2)


def test_a_column_that_is_not_declared_is_said_in_words() -> None:
    def by_model(batch: pl.DataFrame) -> pl.Series:
        return batch["model"]

    table = score(outputs("a"), [callable_judge(by_model)])
    assert table["status"].to_list() == ["error"]
    assert "a column it does not declare in `reads` (prompt, response)" in table["raw"][0]
    by_model.reads = ["model"]  # type: ignore[attr-defined]  # that is how a function declares it
    assert score(outputs("a"), [callable_judge(by_model)])["label"].to_list() == ["m"]


# What is wrong with a specification, in words.


@pytest.mark.parametrize(
    ("text", "attribute", "words"),
    [
        (LONG, "jugde", "has no 'jugde' (did you mean 'judge'?); expected one of judge"),
        ("judge = 7\n", "judge", "is not a judge; found a int; expected a function"),
        ("class judge: pass\n", "judge", "is not a judge; found a class"),
        ("def judge(): return 7\n", "judge", "must make a Judge; found a int"),
        ("def judge(): raise ValueError('no key')\n", "judge", "making it failed; found ValueError: no key"),
        ("1 / 0\n", "judge", "failed; found ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(3)\n", "judge", "failed; found SystemExit: 3"),
        ("def judge(:\n", "judge", "failed; found SyntaxError"),
        ("import not_there_at_all\n", "judge", "imports 'not_there_at_all', which is not there"),
        (LONG + "judge.kind = 'robot'\n", "judge", "unknown kind 'robot'"),
        (LONG + "judge.labels = 'yes'\n", "judge", "`labels` is not understood; found yes"),
        (LONG + "judge.labels = ['a', 'a']\n", "judge", "`labels` is not understood"),
        (LONG + "judge.reads = [1]\n", "judge", "`reads` is not understood"),
        (LONG + "judge.batch_size = 0\n", "judge", "`batch_size` is not understood; found 0"),
        (LONG + "judge.threshold = 'high'\n", "judge", "`threshold` is not understood; found high"),
    ],
)
def test_what_is_wrong_is_said_in_words(here: Callable[..., str], text: str, attribute: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        load_judge(f"{here(text)}:{attribute}")


def test_a_module_that_is_not_there(here: Callable[..., str]) -> None:
    with pytest.raises(InputError, match="no module 'absent_for_test'; expected a module in the current folder"):
        load_judge("absent_for_test:judge")
    with pytest.raises(InputError, match=re.escape(f"no module '{here(LONG)}.deeper'")):
        load_judge("user_judges_for_test.deeper:judge")


def test_a_raising_function_gives_error_verdicts_for_the_outputs_at_fault() -> None:
    def picky(batch: pl.DataFrame) -> list[str]:
        return [{"a": "first", "b": "second"}[r] for r in batch["response"]]

    table = score(outputs("a", "b", "c"), [callable_judge(picky)])
    assert table["label"].to_list() == ["first", "second", None]
    assert table["raw"].to_list() == [None, None, "KeyError: 'c'"]


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.lists(st.text(alphabet="abc", max_size=5), min_size=1, max_size=20), st.integers(1, 8))
def test_the_size_of_batches_changes_no_verdict(responses: list[str], size: int) -> None:
    items = outputs(*responses)
    judge = callable_judge(longer)
    small = Judge(
        judge.name, judge.kind, judge.construct, judge.labels, judge.evaluate, judge.identity, judge.reads, size
    )
    assert_frame_equal(*(score(items, [j]).drop("latency_s", "created_at") for j in (judge, small)))
