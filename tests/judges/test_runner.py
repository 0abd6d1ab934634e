"""The runner asks what must be asked, once, in batches, and turns what goes wrong into statuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from interjudge.datasets.schema import STATUS, VERDICT_COLUMNS, VERDICT_CORE
from interjudge.errors import InputError, InterjudgeError
from interjudge.judges.asking import PROBES
from interjudge.judges.base import Judge
from interjudge.judges.messages import short_message
from interjudge.judges.runner import score
from interjudge.judges.store import read_store

PROVENANCE = ("latency_s", "created_at")


def outputs(responses: Sequence[str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": pl.Series([f"i{k}" for k in range(len(responses))], dtype=pl.String),
            "prompt": pl.Series(["Say it."] * len(responses), dtype=pl.String),
            "response": pl.Series(responses, dtype=pl.String),
        }
    )


class Asked:
    """A judge that labels a response by its length's parity and scores the length; remembers its batches."""

    def __init__(self, bad: Callable[[str], bool] = lambda _: False, error: BaseException | None = None) -> None:
        self.batches: list[list[str]] = []
        self.bad, self.error = bad, error or ValueError("cannot read this")

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        self.batches.append(batch["response"].to_list())
        if any(self.bad(r) for r in self.batches[-1]):
            raise self.error
        length = batch["response"].str.len_chars()
        return pl.DataFrame({"label": (length % 2).replace_strict({0: "even", 1: "odd"}), "score": length})

    @property
    def items(self) -> list[str]:
        return [r for batch in self.batches for r in batch]

    def judge(self, batch_size: int = 10, name: str = "parity", version: int = 1) -> Judge:
        return Judge(name, "classifier", "length", ("even", "odd"), self, {"v": version}, ("response",), batch_size)


def test_a_verdict_table_has_the_schema_judge_order_then_item_order_then_repeats() -> None:
    one, two = Asked().judge(name="one"), Asked().judge(name="two", version=2)
    table = score(outputs(["a", "bb"]), [two, one], repeats=2)
    assert table.columns[: len(VERDICT_CORE)] == list(VERDICT_CORE)
    assert all(table.schema[c] == VERDICT_COLUMNS[c] for c in table.columns)
    assert table.select("judge", "item_id", "repeat").rows() == [
        (j, i, r) for j in ("two", "one") for i in ("i0", "i1") for r in (0, 1)
    ]
    assert table["label"].to_list() == ["odd", "odd", "even", "even"] * 2
    assert table["judge_hash"].unique(maintain_order=True).to_list() == [two.hash, one.hash]


def test_equal_outputs_are_asked_once_and_share_the_verdict() -> None:
    asked = Asked()
    table = score(outputs(["a", "bb", "a", "a"]), [asked.judge()])
    assert asked.items == ["a", "bb"]
    assert table["label"].to_list() == ["odd", "even", "odd", "odd"]


def test_a_judge_sees_the_columns_it_reads_and_no_other() -> None:
    seen: list[list[str]] = []

    def look(batch: pl.DataFrame) -> pl.DataFrame:
        seen.append(batch.columns)
        return pl.DataFrame({"label": ["x"] * batch.height})

    score(outputs(["a"]), [Judge("look", "classifier", "x", ("x",), look, {}, ("response", "item_id"))])
    assert seen == [["response", "item_id"]]


def test_batches_have_the_judges_size_and_latency_is_shared_out() -> None:
    asked = Asked()
    table = score(outputs([f"{k:02}" for k in range(25)]), [asked.judge(batch_size=10)])
    assert [len(b) for b in asked.batches] == [10, 10, 5]
    assert table["latency_s"].n_unique() == 3
    assert table["latency_s"].min() > 0


def test_a_judges_own_latency_counts() -> None:
    judge = Judge("own", "rubric", "x", (), lambda b: pl.DataFrame({"score": [1.0] * b.height, "latency_s": 2.5}), {})
    assert score(outputs(["a", "b"]), [judge])["latency_s"].to_list() == [2.5, 2.5]


def test_created_at_is_iso_8601_in_utc() -> None:
    when = datetime.fromisoformat(score(outputs(["a"]), [Asked().judge()])["created_at"][0])
    assert when.utcoffset() == timedelta(0)


def test_a_judge_that_raises_gives_error_for_exactly_the_outputs_at_fault_and_the_run_goes_on() -> None:
    asked, other = Asked(bad=lambda r: r in ("r03", "r17", "r18")), Asked()
    table = score(outputs([f"r{k:02}" for k in range(40)]), [asked.judge(name="bad"), other.judge(version=2)])
    bad = table.filter(judge="bad")
    assert bad.filter(status="error")["item_id"].to_list() == ["i3", "i17", "i18"]
    assert bad.filter(status="error")["raw"].unique().to_list() == ["ValueError: cannot read this"]
    assert bad.filter(pl.col("status") == "error").select("label", "score").null_count().row(0) == (3, 3)
    assert bad.filter(status="ok").height == 37
    assert (table.filter(judge="parity")["status"] == "ok").all()


def test_a_judge_is_made_ready_once_and_only_where_there_is_something_to_ask(tmp_path: Path) -> None:
    first, asked = Asked(), Asked()
    calls: list[int] = []
    second = replace(asked.judge(2, "other", 2), ready=lambda: calls.append(len(first.batches + asked.batches)))
    judges = [first.judge(), second]
    score(outputs(["a", "bb", "ccc"]), judges, store=tmp_path / "s.db", repeats=3)
    assert calls == [0], "before any judge is asked"
    score(outputs(["a", "bb", "ccc"]), judges, store=tmp_path / "s.db", repeats=3)
    assert calls == [0], "all of it was stored"
    score(outputs(["a", "bb", "ccc"]), judges, store=tmp_path / "s.db", repeats=4)
    assert len(calls) == 2


@pytest.mark.parametrize("error", [InterjudgeError("the model cannot be loaded"), OSError("cannot be loaded\x1b[0m")])
def test_a_judge_that_cannot_begin_ends_the_run_before_any_is_asked(tmp_path: Path, error: Exception) -> None:
    """Nothing becomes an `error` that would have to be asked again, and no judge works for nothing."""

    def fail() -> None:
        raise error

    other = Asked()
    broken = replace(Asked().judge(name="broken", version=2), ready=fail)
    with pytest.raises(InterjudgeError, match="cannot be loaded") as told:
        score(outputs(["a", "bb"]), [other.judge(), broken], store=tmp_path / "s.db")
    assert "\x1b" not in str(told.value)
    assert other.batches == []
    assert read_store(tmp_path / "s.db").is_empty()


def test_outputs_at_fault_are_found_in_a_large_batch_too() -> None:
    """One in fifty fails in a batch of 1,000: the 20 are found in fewer calls than there are outputs."""
    asked = Asked(bad=lambda r: int(r) % 50 == 7)
    table = score(outputs([f"{k:04}" for k in range(1000)]), [asked.judge(batch_size=1000)])
    assert table.filter(status="error")["item_id"].to_list() == [f"i{k}" for k in range(7, 1000, 50)]
    # every failing output costs at most two calls a halving: 20 * 2 * log2(1000) = 399, plus the probes
    assert len(asked.batches) <= 399 + PROBES + 2


@pytest.mark.parametrize("batch_size", [1, 16, 300, 5000])
def test_a_judge_that_always_fails_is_given_up_after_a_bounded_number_of_calls(batch_size: int) -> None:
    asked = Asked(bad=lambda _: True)
    table = score(outputs([f"{k:04}" for k in range(3000)]), [asked.judge(batch_size=batch_size)])
    assert (table["status"] == "error").all()
    assert table["raw"].unique().to_list() == ["ValueError: cannot read this"]
    assert len(asked.batches) <= 4 * PROBES


def test_a_judge_that_fails_on_a_long_first_stretch_is_not_given_up() -> None:
    asked = Asked(bad=lambda r: int(r) < 100)
    table = score(outputs([f"{k:03}" for k in range(400)]), [asked.judge(batch_size=5)])
    assert table.filter(status="error")["item_id"].to_list() == [f"i{k}" for k in range(100)]


@pytest.mark.parametrize("error", [RuntimeError("x"), SystemExit(3), MemoryError(), AssertionError(), OSError(5, "io")])
def test_whatever_a_judge_raises_is_an_error_verdict(error: BaseException) -> None:
    table = score(outputs(["a"]), [Asked(bad=lambda _: True, error=error).judge()])
    assert table["status"].to_list() == ["error"]
    assert type(error).__name__ in table["raw"][0]


def test_a_polars_panic_inside_a_judge_is_an_error_verdict() -> None:
    """polars' panics are no Exceptions."""
    table = score(outputs(["a"]), [Asked(bad=lambda _: True, error=pl.exceptions.PanicException("p")).judge()])
    assert table["status"].to_list() == ["error"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"score": [float("nan")]}, "score nan"),
        ({"score": [float("inf")]}, "score inf"),
        ({"label": ["even"], "confidence": [1.5]}, "confidence 1.5"),
        ({"label": ["strange"]}, "'strange'"),
        ({"label": ["even", "odd"]}, "2 rows for 1 outputs"),
    ],
)
def test_an_answer_outside_the_contract_is_an_error_verdict_that_says_so(
    answer: dict[str, list[object]], words: str
) -> None:
    judge = Judge("odd", "classifier", "x", ("even", "odd"), lambda _: pl.DataFrame(answer), {})
    table = score(outputs(["a"]), [judge])
    assert table["status"].to_list() == ["error"]
    assert words in table["raw"][0]


# An answer that is no table of the batch's height.


@pytest.mark.parametrize("answer", [pl.DataFrame({"label": ["even"]}), "even", pl.DataFrame({"lable": ["even"] * 10})])
def test_an_answer_of_the_wrong_shape_is_asked_once_and_never_taken_apart(answer: object) -> None:
    """A judge that answers one value for any batch would look right on single outputs."""
    calls: list[int] = []

    def same(batch: pl.DataFrame) -> object:
        calls.append(batch.height)
        return answer

    judge = Judge("same", "classifier", "x", ("even",), same, {}, batch_size=10)  # type: ignore[arg-type]  # the fault
    table = score(outputs([f"{k:02}" for k in range(35)]), [judge], repeats=2)
    assert calls == [10]
    assert (table["status"] == "error").all()
    assert table["raw"].n_unique() == 1
    assert "judge 'same' answered" in table["raw"][0]


def test_after_a_success_a_wrong_height_costs_its_own_batch_alone() -> None:
    """One call a batch: the second of four drops a row."""
    calls: list[int] = []

    def dropping(batch: pl.DataFrame) -> pl.DataFrame:
        calls.append(batch.height)
        return batch.filter(pl.col("response") != "14").select(label=pl.col("response").str.head(0) + "x")

    judge = Judge("dropping", "classifier", "x", ("x",), dropping, {}, batch_size=10)
    table = score(outputs([f"{k:02}" for k in range(40)]), [judge])
    assert calls == [10, 10, 10, 10]
    assert table.filter(status="error")["item_id"].to_list() == [f"i{k}" for k in range(10, 20)]
    assert "9 rows for 10 outputs" in table.filter(status="error")["raw"][0]


# Batches that grow.


class Clock:
    """Stands for `time`: every call of the judge takes what the test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds_each", "sizes"),
    [
        (0.0, [8, 16, 32, 64, 96, 84]),  # doubled up to 100, in pieces of 8, then what is left
        (0.02, [8, 16, 32, 64, 64, 64, 52]),  # 32 take .64 s, 64 take 1.28 s
        (5.0, [8] * 37 + [4]),
    ],
)
def test_batches_grow_while_one_takes_less_than_a_second(
    monkeypatch: pytest.MonkeyPatch, seconds_each: float, sizes: list[int]
) -> None:
    clock = Clock()
    monkeypatch.setattr("interjudge.judges.asking.time", clock)

    class Timed(Asked):
        def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
            clock.now += seconds_each * batch.height
            return super().__call__(batch)

    asked = Timed()
    judge = replace(asked.judge(batch_size=8), grow_to=100)
    table = score(outputs([f"{k:03}" for k in range(300)]), [judge])
    assert [len(batch) for batch in asked.batches] == sizes
    expected = score(outputs([f"{k:03}" for k in range(300)]), [Asked().judge()])
    assert_frame_equal(table.drop(PROVENANCE), expected.drop(PROVENANCE))


def test_a_batch_that_got_slow_shrinks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("interjudge.judges.asking.time", clock)

    class Slower(Asked):
        def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
            clock.now += 3.0 if len(self.batches) > 1 else 0.0
            return super().__call__(batch)

    asked = Slower()
    score(outputs([f"{k:02}" for k in range(72)]), [replace(asked.judge(batch_size=8), grow_to=1000)])
    assert [len(batch) for batch in asked.batches] == [8, 16, 32, 16]


# What the caller may give.


def test_judges_by_name_and_as_functions_and_outputs_by_path(tmp_path: Path) -> None:
    def shouts(batch: pl.DataFrame) -> list[bool]:
        return [text.isupper() for text in batch["response"]]

    items = pl.DataFrame({"prompt": ["p", "p", "p"], "response": ["NO", "I cannot help with that.", "NO"]})
    items.write_csv(tmp_path / "outputs.csv")
    read = score(tmp_path / "outputs.csv", ["keyword:default", shouts, Asked().judge()])
    assert read["judge"].unique(maintain_order=True).to_list() == ["keyword:default", "shouts", "parity"]
    given = score(items, "keyword:default")
    assert given["label"].to_list() == ["compliance", "refusal", "compliance"]
    assert given["item_id"].to_list() == read.filter(judge="keyword:default")["item_id"].to_list()
    assert given["item_id"].n_unique() == 3
    assert score(str(tmp_path / "outputs.csv"), shouts)["label"].to_list() == ["true", "false", "true"]


@pytest.mark.parametrize(
    ("items", "judges", "words"),
    [
        ([{"response": "a"}], ["keyword:default"], "the outputs are not a table; found a list; expected a polars"),
        (outputs(["a"]).lazy(), ["keyword:default"], "the outputs are not a table; found a LazyFrame"),
        (outputs(["a"]), [7], "'int' is not a judge; found a int"),
        (outputs(["a"]), 7, "'int' is not a judge; found a int"),
        (outputs(["a"]), ["keywrod:default"], "did you mean 'keyword:default'"),
        (outputs(["a"]), [Asked], "'Asked' is not a judge; found a class"),
        ("no-such-file.jsonl", ["keyword:default"], "no-such-file.jsonl: no such file"),
    ],
)
def test_what_is_neither_is_said_in_words(items: object, judges: object, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        score(items, judges)  # type: ignore[arg-type]  # that is the fault


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcd1234efgh5678ijkl.",
        "401 for header Authorization: Bearer abc.def.ghi",
        "https://user:hunter2secret@host/path refused",
        "bad request api_key=abcdef123 end",
        '{"x-api-key": "abcd9999"}',
        "hf_AbCdEfGhIjKlMnOpQrSt is not valid",
        "token ZXlKaGJHY2lPaUpJVXpJMU5pSXNJblI1Y0NJNklrcFhWQ0o5 expired",
    ],
)
def test_messages_hold_nothing_like_a_key(text: str) -> None:
    message = short_message(RuntimeError(text))
    assert "[hidden]" in message
    assert not re.search(r"sk-proj|abc\.def|hunter2|abcdef123|abcd9999|hf_Ab|ZXlK", message)


def test_messages_hold_no_value_of_a_secret_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_API_KEY", "plain words")
    assert short_message(RuntimeError("refused plain words!")) == "RuntimeError: refused [hidden]!"


def test_messages_are_one_short_line() -> None:
    message = short_message(ValueError("line one\n  line two " + "x y " * 500))
    assert message.startswith("ValueError: line one line two x y")
    assert len(message) == 300


def test_progress_counts_distinct_outputs_times_repeats() -> None:
    calls: list[tuple[str, int, int]] = []
    score(outputs(["a", "bb", "a"]), [Asked().judge(batch_size=1)], repeats=2, progress=lambda *c: calls.append(c))
    assert calls[0] == ("parity", 0, 4)
    assert calls[-1] == ("parity", 4, 4)
    assert [c[1] for c in calls] == sorted(c[1] for c in calls)


def test_no_outputs_give_an_empty_table_of_the_schema() -> None:
    table = score(outputs([]), [Asked().judge()])
    assert table.height == 0
    assert table.schema["status"] == STATUS


# What must be said before anything is asked.


def test_a_missing_column_is_said_with_the_columns_there_are() -> None:
    judge = Judge("j", "classifier", "x", (), Asked(), {}, ("respnse",))
    with pytest.raises(InputError, match=r"'respnse' .*did you mean 'response'.*item_id, prompt, response"):
        score(outputs(["a"]), [judge])


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (outputs(["a"]).drop("item_id", "prompt"), "no column 'item_id'; found response; expected item_id, or prompt"),
        (outputs(["a", "b"]).with_columns(item_id=pl.lit("same")), "row 2, column 'item_id': stands for two outputs"),
        (outputs(["a"]).with_columns(item_id=pl.lit(None, pl.String)), "row 1, column 'item_id': is empty"),
        (outputs(["a"]).with_columns(item_id=pl.lit(7)), "column 'item_id': is not text"),
    ],
)
def test_item_ids_must_be_there_and_unique(frame: pl.DataFrame, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        score(frame, [Asked().judge()])


def test_two_judges_of_one_name_are_refused_and_the_same_judge_twice_counts_once() -> None:
    asked = Asked()
    with pytest.raises(InputError, match="two different judges are called 'parity'"):
        score(outputs(["a"]), [asked.judge(), asked.judge(version=2)])
    assert score(outputs(["a"]), [asked.judge(), asked.judge()]).height == 1
    with pytest.raises(InputError, match="'parity' and 'again' are the same judge"):
        score(outputs(["a"]), [asked.judge(), asked.judge(name="again")])


def test_no_judge_no_repeat_no_batch_and_nothing_read_are_refused() -> None:
    with pytest.raises(InputError, match="no judge"):
        score(outputs(["a"]), [])
    with pytest.raises(InputError, match="repeats; found 0"):
        score(outputs(["a"]), [Asked().judge()], repeats=0)
    with pytest.raises(InputError, match="batch size of 0"):
        score(outputs(["a"]), [Asked().judge(batch_size=0)])
    with pytest.raises(InputError, match="reads no column"):
        score(outputs(["a"]), [Judge("j", "classifier", "x", (), Asked(), {}, ())])


# With a store.


def test_a_second_run_asks_nothing_and_gives_the_same_table(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    first = score(outputs(["a", "bb", "a"]), [Asked().judge()], store=store, repeats=2)
    again = Asked()
    second = score(outputs(["a", "bb", "a"]), [again.judge()], store=store, repeats=2)
    assert again.batches == []
    assert_frame_equal(first, second)
    assert_frame_equal(first, read_store(store))


def test_only_what_is_new_is_asked(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    score(outputs(["a", "bb"]), [Asked().judge()], store=store)
    again = Asked()
    score(outputs(["a", "ccc", "bb"]), [again.judge()], store=store)
    assert again.items == ["ccc"]


def test_errors_and_not_run_are_asked_again_and_every_other_status_is_kept(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    statuses = ["ok", "parse_error", "judge_refused", "filtered", "out_of_range", "error", "not_run"]
    asked: list[str] = []

    def mixed(batch: pl.DataFrame) -> pl.DataFrame:
        asked.extend(batch["response"])
        ok = pl.when(batch["response"] == "ok").then(pl.lit("x"))
        return pl.DataFrame({"status": batch["response"]}).with_columns(label=ok)

    judge = Judge("mixed", "rubric", "x", ("x",), mixed, {})
    score(outputs(statuses), [judge], store=store)
    asked.clear()
    table = score(outputs(statuses), [judge], store=store)
    assert asked == ["error", "not_run"]
    assert table["status"].to_list() == statuses


def test_an_error_that_is_gone_is_replaced(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    score(outputs(["a", "bb"]), [Asked(bad=lambda r: r == "a").judge()], store=store)
    table = score(outputs(["a", "bb"]), [Asked().judge()], store=store)
    assert table["label"].to_list() == ["odd", "even"]
    assert read_store(store)["label"].to_list() == ["odd", "even"]
    assert "raw" not in read_store(store).columns


def test_redo_asks_everything_again_and_replaces(tmp_path: Path) -> None:
    store = tmp_path / "s.db"

    def judge(value: float) -> Judge:
        return Judge("j", "rubric", "x", (), lambda b: pl.DataFrame({"score": [value] * b.height}), {})

    score(outputs(["a", "b"]), [judge(1.0)], store=store)
    assert score(outputs(["a", "b"]), [judge(2.0)], store=store)["score"].to_list() == [1.0, 1.0]
    assert score(outputs(["a", "b"]), [judge(2.0)], store=store, redo=True)["score"].to_list() == [2.0, 2.0]
    assert read_store(store)["score"].to_list() == [2.0, 2.0]


def test_an_interrupt_passes_after_what_is_finished_is_stored(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    asked = Asked(bad=lambda r: r == "25", error=KeyboardInterrupt())
    items = outputs([f"{k:02}" for k in range(40)])
    with pytest.raises(KeyboardInterrupt):
        score(items, [asked.judge(batch_size=10)], store=store)
    assert read_store(store)["item_id"].to_list() == [f"i{k}" for k in range(20)]
    resumed = Asked()
    table = score(items, [resumed.judge(batch_size=10)], store=store)
    assert resumed.items == [f"{k:02}" for k in range(20, 40)]
    assert_frame_equal(table.drop(PROVENANCE), score(items, [Asked().judge()]).drop(PROVENANCE))


def test_pieces_found_by_halving_are_stored_before_the_next_is_asked(tmp_path: Path) -> None:
    store, known = tmp_path / "s.db", []

    class Watching(Asked):
        def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
            if len(self.batches) > 1:
                known.append(read_store(store).height)
            return super().__call__(batch)

    score(outputs(["a", "b", "c", "d"]), [Watching(bad=lambda r: r == "d").judge()], store=store)
    assert known == [2, 2, 3]  # abcd, then ab | cd, c, d


def test_the_order_of_judges_follows_the_call_and_not_the_store(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    one, two = Asked().judge(name="one"), Asked().judge(name="two", version=2)
    score(outputs(["a"]), [one, two], store=store)
    assert score(outputs(["a"]), [two, one], store=store)["judge"].to_list() == ["two", "one"]


# Laws.

texts = st.lists(st.one_of(st.none(), st.text(alphabet="ab é\u0000", max_size=4)), max_size=30)


def tolerant(batch: pl.DataFrame) -> pl.DataFrame:
    """A small real judge: null responses are not run, an accent raises, the rest is labelled by length."""
    if batch["response"].str.contains("é").any():
        raise ValueError("é")
    even = pl.col("response").str.len_chars() % 2 == 0
    return batch.select(
        label=pl.when(even).then(pl.lit("even")).when(~even).then(pl.lit("odd")),
        status=pl.when(even.is_null()).then(pl.lit("not_run")).otherwise(pl.lit("ok")),
    )


def tolerant_judge(batch_size: int = 10_000) -> Judge:
    return Judge("t", "classifier", "x", ("even", "odd"), tolerant, {}, ("response",), batch_size)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(texts, st.integers(1, 40))
def test_the_size_of_batches_changes_no_verdict(responses: list[str | None], size: int) -> None:
    whole = score(outputs(responses), [tolerant_judge()])
    assert_frame_equal(whole.drop(PROVENANCE), score(outputs(responses), [tolerant_judge(size)]).drop(PROVENANCE))


@settings(derandomize=True, max_examples=40, deadline=None)
@given(texts, st.randoms(use_true_random=False), st.integers(1, 40))
def test_the_order_of_outputs_changes_no_verdict(responses: list[str | None], random: object, size: int) -> None:
    items = outputs(responses)
    order = list(range(items.height))
    random.shuffle(order)
    shuffled = score(items[order], [tolerant_judge(size)])
    assert shuffled["item_id"].to_list() == items["item_id"][order].to_list()
    expected = score(items, [tolerant_judge(size)])
    assert_frame_equal(shuffled.sort("item_id").drop(PROVENANCE), expected.sort("item_id").drop(PROVENANCE))


@settings(derandomize=True, max_examples=25, deadline=None)
@given(texts, st.integers(1, 40), st.integers(0, 30))
def test_a_store_changes_no_verdict_whatever_it_held_before(
    tmp_path_factory: pytest.TempPathFactory, responses: list[str | None], size: int, before: int
) -> None:
    store = tmp_path_factory.mktemp("law") / "s.db"
    items = outputs(responses)
    score(items[:before], [tolerant_judge(size)], store=store)
    with_store = score(items, [tolerant_judge(size)], store=store)
    assert_frame_equal(with_store.drop(PROVENANCE), score(items, [tolerant_judge()]).drop(PROVENANCE))
    assert_frame_equal(read_store(store), with_store)
