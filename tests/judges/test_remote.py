"""Judges behind a network: each answer once, stored before the next, whatever the other side does."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from interjudge.errors import InputError, InterjudgeError
from interjudge.judges.base import Judge
from interjudge.judges.llm_base import Answer, Estimate, ProviderError, Reply
from interjudge.judges.pace import GIVEN_UP, HARD_FAILURES, Limits
from interjudge.judges.prices import Price, Prices
from interjudge.judges.remote_work import Tally
from interjudge.judges.runner import score
from interjudge.judges.store import Store, read_store

QUICK = Limits(base_s=0.001, longest_s=0.01)
PRICES = Prices({"openai/fake": Price(1.0, 1.0)})
PROVENANCE = ("latency_s", "created_at")

Script = Callable[["Fake", str, int], Awaitable[Answer | None]]


class Fake:
    """A model that answers "yes" or "no" by the last digit; `script` may raise, wait, or answer something else."""

    def __init__(
        self,
        script: Script | None = None,
        *,
        limits: str = "here",
        wait: float = 0.0,
    ) -> None:
        self.script, self.limits, self.wait = script, limits, wait
        self.model = "openai/fake"
        self.asked: Counter[tuple[str, int]] = Counter()
        self.open = self.peak = self.closed = 0
        self.times: list[float] = []
        self.notes: list[str] = []

    @property
    def n(self) -> int:
        return self.asked.total()

    async def ask(self, output: Mapping[str, str | None], repeat: int) -> Answer:
        text = str(output["response"])
        self.asked[text, repeat] += 1
        self.times.append(time.monotonic())
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            await asyncio.sleep(self.wait)
            told = await self.script(self, text, repeat) if self.script is not None else None
        finally:
            self.open -= 1
        return told or self.usual(text)

    def usual(self, text: str, model: str = "fake-1") -> Answer:
        label = "yes" if int(text[-1]) % 2 else "no"
        return Answer("ok", label=label, raw=f"I say {label}", input_tokens=100, output_tokens=10, model=model)

    def estimate(self, output: Mapping[str, str | None]) -> Estimate:  # noqa: ARG002
        return Estimate(100, 10)

    async def close(self) -> None:
        self.closed += 1

    def judge(self, name: str = "fake", version: int = 1) -> Judge:
        def evaluate(outputs: pl.DataFrame) -> pl.DataFrame:
            raise NotImplementedError

        identity = {"version": version, "name": name}
        return Judge(name, "rubric", "harm", ("no", "yes"), evaluate, identity, ("response",), remote=self)


def outputs(n: int, copies: int = 1) -> pl.DataFrame:
    responses = [f"r{k:05}" for k in range(n)] * copies
    return pl.DataFrame({"item_id": [f"i{k}" for k in range(n * copies)], "prompt": "p", "response": responses})


def statuses(table: pl.DataFrame) -> dict[str, int]:
    return dict(table["status"].cast(pl.String).value_counts().iter_rows())


def failing(failure: str, times: int = 10**9, retry_after: float | None = None) -> Script:
    """A script that fails the first `times` times for each output."""

    async def script(fake: Fake, text: str, repeat: int) -> None:
        if fake.asked[text, repeat] <= times:
            raise ProviderError(f"it said {failure}", failure=failure, retry_after=retry_after)  # type: ignore[arg-type]

    return script


# What is asked.


def test_identical_outputs_are_asked_once_and_the_table_is_as_of_any_judge(tmp_path: Path) -> None:
    fake, store = Fake(), tmp_path / "v.db"
    table = score(outputs(50, copies=3), [fake.judge(), "keyword:default"], store=store)
    assert set(fake.asked.values()) == {1}
    assert fake.n == 50
    assert table["judge"].to_list() == ["fake"] * 150 + ["keyword:default"] * 150
    own = table.filter(judge="fake")
    assert own["item_id"].to_list() == [f"i{k}" for k in range(150)]
    assert own["label"].to_list() == ["no", "yes"] * 75
    assert own["raw"][1] == "I say yes"
    assert own["latency_s"].min() is not None
    assert own["input_tokens"].to_list() == [100] * 150
    assert_frame_equal(table, read_store(store))
    assert fake.closed == 1


def test_without_a_store_the_answers_are_the_same(tmp_path: Path) -> None:
    table = score(outputs(50), Fake().judge(), repeats=2)
    assert_frame_equal(
        table.drop(*PROVENANCE),
        score(outputs(50), Fake().judge(), repeats=2, store=tmp_path / "v.db").drop(*PROVENANCE),
    )
    assert table["repeat"].to_list() == [0, 1] * 50


def test_what_is_stored_is_not_asked_again_but_errors_are(tmp_path: Path) -> None:
    store = tmp_path / "v.db"
    first = Fake(failing("rejected", times=1))
    assert statuses(score(outputs(10), first.judge(), store=store)) == {"error": 10}
    assert statuses(score(outputs(10), first.judge(), store=store)) == {"ok": 10}
    assert statuses(score(outputs(15), first.judge(), store=store)) == {"ok": 10, "error": 5}
    assert first.n == 25
    again = Fake()
    score(outputs(15), again.judge(), store=store, redo=True, repeats=2)
    assert again.n == 30


def test_no_outputs_are_no_verdicts(tmp_path: Path) -> None:
    assert score(outputs(1).head(0), [Fake().judge(), "keyword:default"], store=tmp_path / "v.db").height == 0


def test_columns_that_are_no_text_come_as_text(tmp_path: Path) -> None:
    seen: list[object] = []

    async def script(fake: Fake, text: str, repeat: int) -> None:  # noqa: ARG001
        seen.append(text)

    table = outputs(3).with_columns(response=pl.Series([1, 2, 3]))
    assert statuses(score(table, Fake(script).judge(), store=tmp_path / "v.db")) == {"ok": 3}
    assert sorted(seen) == ["1", "2", "3"]  # type: ignore[type-var]


# How many at once.


def test_judges_of_one_provider_share_its_slots_and_all_are_asked_at_the_same_time() -> None:
    shared: list[int] = []

    async def script(fake: Fake, text: str, repeat: int) -> None:  # noqa: ARG001
        shared.append(a.open + b.open)

    a, b, c = Fake(script, wait=0.002), Fake(script, wait=0.002), Fake(limits="elsewhere", wait=0.002)
    score(outputs(60), [a.judge("a"), b.judge("b"), c.judge("c")], concurrency=4)
    assert max(shared) == 4
    assert c.peak == 4
    assert max(a.times[0], b.times[0], c.times[0]) < min(a.times[-1], b.times[-1], c.times[-1])


def test_every_answer_is_in_the_store_before_its_slot_asks_again(tmp_path: Path) -> None:
    store, lost = tmp_path / "v.db", []

    async def script(fake: Fake, text: str, repeat: int) -> None:  # noqa: ARG001
        db = sqlite3.connect(store)
        lost.append(fake.n - db.execute("SELECT count(*) FROM verdicts").fetchone()[0])
        db.close()

    score(outputs(300), Fake(script).judge(), store=store, concurrency=3)
    assert max(lost) <= 3


def test_requests_a_minute_are_kept() -> None:
    """1,200 a minute are 20 a second: 20 at once, and 20 more in the second after it."""
    fake = Fake()
    score(outputs(40), fake.judge(), rpm=1200)
    gone = [at - fake.times[0] for at in fake.times]
    assert gone[19] < 0.5
    assert gone[39] == pytest.approx(1.0, abs=0.3)


def test_tokens_a_minute_are_kept_by_what_was_used() -> None:
    """66,000 a minute are 1,100 a second, and an answer takes 110."""
    fake = Fake()
    score(outputs(20), fake.judge(), tpm=66_000)
    assert fake.times[-1] - fake.times[0] == pytest.approx(0.9, abs=0.3)


# Failures.


@pytest.mark.parametrize("failure", ["again", "slow down"])
def test_what_may_pass_is_tried_again(failure: str) -> None:
    fake = Fake(failing(failure, times=2))
    assert statuses(score(outputs(20), fake.judge(), limits=QUICK)) == {"ok": 20}
    assert set(fake.asked.values()) == {3}


@pytest.mark.parametrize(
    ("failure", "status", "tries"),
    [("again", "error", 6), ("slow down", "error", 6), ("rejected", "error", 1), ("filtered", "filtered", 1),
     ("broken", "error", 1)],
)  # fmt: skip
def test_what_fails_for_good_says_why(failure: str, status: str, tries: int, tmp_path: Path) -> None:
    fake, store = Fake(failing(failure)), tmp_path / "v.db"
    table = score(outputs(3), fake.judge(), limits=QUICK, store=store)
    assert statuses(table) == {status: 3}
    assert table["raw"].to_list() == [f"it said {failure}"] * 3
    assert set(fake.asked.values()) == {tries}
    assert_frame_equal(table, read_store(store))


def test_retry_after_is_waited_for_by_all() -> None:
    async def script(fake: Fake, text: str, repeat: int) -> None:  # noqa: ARG001
        if fake.n == 1:
            raise ProviderError("slower", failure="slow down", retry_after=0.3)

    fake = Fake(script)
    assert statuses(score(outputs(5), fake.judge(), concurrency=1, limits=QUICK)) == {"ok": 5}
    assert fake.times[1] - fake.times[0] >= 0.3


def test_a_server_that_asks_for_too_long_is_not_waited_for(tmp_path: Path) -> None:
    said: list[str] = []
    one, two = Fake(failing("slow down", retry_after=7200)), Fake(limits="elsewhere")
    table = score(outputs(50), [one.judge("one"), two.judge("two")], store=tmp_path / "v.db", tell=said.append)
    assert statuses(table.filter(judge="one")) == {"not_run": 50}
    assert statuses(table.filter(judge="two")) == {"ok": 50}
    assert [words for words in said if "120 minutes" in words and "50 verdicts are left" in words]
    assert read_store(tmp_path / "v.db").filter(judge="one").height == 0


def test_under_a_storm_of_429s_fewer_are_sent_at_once_and_nothing_is_lost() -> None:
    """A server that bears two at a time, and refuses all others."""

    async def script(fake: Fake, text: str, repeat: int) -> None:  # noqa: ARG001
        if fake.open > 2:
            raise ProviderError("too many", failure="slow down")
        await asyncio.sleep(0.002)

    fake = Fake(script)
    table = score(outputs(300), fake.judge(), limits=Limits(base_s=0.002, longest_s=0.05, tries=30))
    assert statuses(table) == {"ok": 300}
    assert fake.n < 2 * 300


def test_a_judge_that_cannot_work_is_stopped_with_one_message_and_the_others_go_on(tmp_path: Path) -> None:
    said: list[str] = []
    store = tmp_path / "v.db"
    bad, good = Fake(failing("broken")), Fake()
    table = score(outputs(200), [bad.judge("bad"), good.judge("good")], store=store, tell=said.append, concurrency=4)
    assert statuses(table.filter(judge="good")) == {"ok": 200}
    found = statuses(table.filter(judge="bad"))
    assert HARD_FAILURES <= found["error"] <= HARD_FAILURES + 4
    assert found["not_run"] == 200 - found["error"]
    left = table.filter(judge="bad", status="not_run")
    assert left["raw"].unique().to_list() == ["stopped: it said broken"]
    about = [words for words in said if words.startswith("bad was stopped")]
    assert len(about) == 1
    assert "it said broken" in about[0]
    assert read_store(store).filter(judge="bad").height == found["error"] == bad.n
    bad.script = None
    assert statuses(score(outputs(200), [bad.judge("bad"), good.judge("good")], store=store)) == {"ok": 400}
    assert (bad.n, good.n) == (200 + found["error"], 200)


def test_a_server_that_is_down_is_given_up() -> None:
    fake = Fake(failing("again"))
    table = score(
        outputs(500), fake.judge(), limits=Limits(base_s=0.001, longest_s=0.002, tries=2), tell=lambda _: None
    )
    assert GIVEN_UP <= statuses(table)["error"] <= GIVEN_UP + 16


def test_no_verdict_in_time_is_a_failure_that_may_pass() -> None:
    async def script(fake: Fake, text: str, repeat: int) -> None:
        if text == "r00003" or fake.asked[text, repeat] == 1:
            await asyncio.sleep(60)

    fake = Fake(script)
    table = score(outputs(5), fake.judge(), timeout=0.1, limits=Limits(base_s=0.001, tries=2))
    assert table["status"].to_list() == ["ok", "ok", "ok", "error", "ok"]
    assert table["raw"][3] == "no verdict within 0.1 s"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer("ok"), "without a label or a score"),
        (Answer("ok", label="maybe"), "the label 'maybe', not one of no, yes"),
        (Answer("ok", score=float("nan")), "the score nan"),
        (Answer("ok", label="no", confidence=1.5), "the confidence 1.5"),
        (Answer("filtered", label="no"), "not ok with a label"),
        (Answer("fine", label="no"), "unknown status 'fine'"),  # type: ignore[arg-type]
    ],
)
def test_an_answer_that_is_none_is_an_error(answer: Answer, words: str) -> None:
    async def script(fake: Fake, text: str, repeat: int) -> Answer:  # noqa: ARG001
        return answer

    table = score(outputs(2), Fake(script).judge())
    assert statuses(table) == {"error": 2}
    assert words in table["raw"][0]


def test_what_a_judge_raises_is_the_error_of_one_output() -> None:
    async def script(fake: Fake, text: str, repeat: int) -> None:  # noqa: ARG001
        if text.endswith("7"):
            raise KeyError(text)

    table = score(outputs(30), Fake(script).judge())
    assert statuses(table) == {"ok": 27, "error": 3}
    assert table.filter(status="error")["raw"].to_list()[0] == "KeyError: 'r00007'"


def test_a_reply_with_anything_in_it_can_be_stored(tmp_path: Path) -> None:
    async def script(fake: Fake, text: str, repeat: int) -> Answer:  # noqa: ARG001
        return Answer("parse_error", raw="a\ud800b\x00c\U0001f600", input_tokens=10**30, output_tokens=-1)

    store = tmp_path / "v.db"
    table = score(outputs(1), Fake(script).judge(), store=store, tell=lambda _: None)
    assert table["raw"].to_list() == ["a?b\x00c\U0001f600"]
    assert_frame_equal(table, read_store(store))


# Budgets.


def test_a_run_ends_after_its_requests_and_the_next_one_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    fake, store = Fake(failing("again", times=1)), tmp_path / "v.db"
    table = score(outputs(100), fake.judge(), store=store, max_requests=51, limits=QUICK, tell=said.append)
    assert fake.n == 51
    done = statuses(table)["ok"]
    assert statuses(table) == {"ok": done, "not_run": 100 - done}
    assert 25 - 16 <= done <= 25  # two requests each, and up to 16 were tried once when the limit came
    assert [words for words in said if "--max-requests" in words and "goes on from here" in words]
    assert read_store(store).height == done
    score(outputs(100), fake.judge(), store=store, limits=QUICK)
    assert read_store(store).height == 100
    assert fake.asked.total() <= 200


def test_a_run_ends_before_it_costs_more(tmp_path: Path) -> None:
    """110 tokens at a dollar a million: 0.011 dollars are a hundred of a thousand verdicts."""
    fake, said = Fake(wait=0.001), list[str]()
    table = score(outputs(1000), fake.judge(), store=tmp_path / "v.db", max_cost=0.011, prices=PRICES, tell=said.append)
    assert statuses(table) == {"ok": 100, "not_run": 900}
    assert table["cost_usd"].sum() == pytest.approx(0.011)
    assert [words for words in said if "$0.011" in words and "--max-cost" in words]


def test_answers_that_cost_more_than_expected_pass_the_limit_by_no_more_than_what_was_under_way() -> None:
    """Estimated at 110 tokens, billed at 1,100: nine slots were sent on the estimate before the first came back."""

    async def script(fake: Fake, text: str, repeat: int) -> Answer:  # noqa: ARG001
        return Answer("ok", label="no", input_tokens=1000, output_tokens=100)

    fake = Fake(script, wait=0.01)
    score(outputs(1000), fake.judge(), max_cost=0.011, prices=PRICES, concurrency=8, tell=lambda _: None)
    assert 10 <= fake.n <= 10 + 8


def test_replies_whose_repair_failed_are_paid_for_and_counted(tmp_path: Path) -> None:
    """At 1 dollar a million tokens: two lost replies of 60 + 5 tokens, then an answer of 100 + 10."""

    async def script(fake: Fake, text: str, repeat: int) -> None:
        if fake.asked[text, repeat] <= 2 or text == "r00001":
            error = ProviderError("busy", failure="again" if text == "r00000" else "rejected")
            error.before = (Reply("Hm.", input_tokens=60, output_tokens=5),)
            raise error

    fake, tallies = Fake(script), list[Tally]()
    table = score(
        outputs(2), fake.judge(), store=tmp_path / "s.db", limits=QUICK, prices=PRICES,
        watch=tallies.extend,
    )  # fmt: skip
    assert table.select(pl.col("status").cast(pl.String), "input_tokens", "output_tokens").rows() == [
        ("ok", 2 * 60 + 100, 2 * 5 + 10), ("error", 60, 5),
    ]  # fmt: skip
    assert table["cost_usd"].to_list() == pytest.approx([240e-6, 65e-6], abs=1e-12)
    assert tallies[-1].cost_usd == pytest.approx(305e-6, abs=1e-12)
    # r00000 takes 2 + 2 + 1 requests and r00001 two, the second of which nobody knew of: 7 of 6, and no more are sent.
    limited = score(outputs(20), Fake(script).judge(), limits=Limits(1, max_requests=6, base_s=0.001, longest_s=0.01))
    assert statuses(limited) == {"ok": 1, "error": 1, "not_run": 18}


def test_a_budget_in_dollars_needs_a_price(tmp_path: Path) -> None:
    fake = Fake()
    with pytest.raises(InputError, match=r"no price is known for 'openai/fake'.*--prices"):
        score(outputs(3), fake.judge(), store=tmp_path / "v.db", max_cost=1.0)
    assert fake.n == 0


def test_an_unknown_price_is_said_and_no_cost_is_invented() -> None:
    said: list[str] = []
    table = score(outputs(3), Fake().judge(), tell=said.append)
    assert "cost_usd" not in table.columns
    assert said == ["fake: no price is known for openai/fake; what it cost is not counted"]


# One store, several runs.


def test_two_runs_at_once_share_the_work(tmp_path: Path) -> None:
    store, fakes, tables = tmp_path / "v.db", [Fake(wait=0.003), Fake(wait=0.003)], list[pl.DataFrame]()
    threads = [
        threading.Thread(
            target=lambda f=fake: tables.append(score(outputs(600), f.judge(), store=store, prices=PRICES))
        )
        for fake in fakes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert_frame_equal(tables[0], tables[1])
    assert_frame_equal(tables[0], read_store(store))
    assert statuses(tables[0]) == {"ok": 600}
    twice = Counter(text for fake in fakes for text, _ in fake.asked)
    assert sum(n - 1 for n in twice.values()) < 100
    assert min(fake.n for fake in fakes) > 100


def test_another_process_that_keeps_the_store_is_waited_for(tmp_path: Path) -> None:
    store = tmp_path / "v.db"
    Store(store).close()
    held = sqlite3.connect(store, isolation_level=None, check_same_thread=False)

    async def script(fake: Fake, text: str, repeat: int) -> None:  # noqa: ARG001
        if text == "r00020":
            held.execute("BEGIN IMMEDIATE")
            asyncio.get_running_loop().call_later(0.3, held.execute, "COMMIT")

    fake = Fake(script)
    assert statuses(score(outputs(100), fake.judge(), store=store, concurrency=4)) == {"ok": 100}
    assert fake.n == 100
    held.close()


def test_a_store_that_cannot_keep_answers_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise InterjudgeError("the disk is full")

    monkeypatch.setattr(Store, "put_rows", full)
    fake = Fake()
    with pytest.raises(InterjudgeError, match="the disk is full"):
        score(outputs(1000), fake.judge(), store=tmp_path / "v.db")
    assert fake.n <= 16


def test_a_store_of_before_is_read_and_written(tmp_path: Path) -> None:
    store = tmp_path / "v.db"
    score(outputs(5), "keyword:default", store=store)
    db = sqlite3.connect(store)
    db.execute("DROP TABLE snapshots")
    db.commit()
    db.close()
    assert read_store(store).height == 5
    assert statuses(score(outputs(5), ["keyword:default", Fake().judge()], store=store)) == {"ok": 10}


# What is told.


def test_snapshots_are_kept_and_a_change_is_told(tmp_path: Path) -> None:
    async def script(fake: Fake, text: str, repeat: int) -> Answer:  # noqa: ARG001
        return fake.usual(text, "fake-2" if fake.n > 30 else "fake-1")

    fake, store, said = Fake(script), tmp_path / "v.db", list[str]()
    score(outputs(20), fake.judge(), store=store, prices=PRICES, tell=said.append, concurrency=1)
    assert said == []
    score(outputs(50), fake.judge(), store=store, prices=PRICES, tell=said.append, concurrency=1)
    assert said == ["fake: the server changed the model within this run: its answers are of fake-1 (30), fake-2 (20)"]
    score(outputs(60), fake.judge(), store=store, prices=PRICES, tell=said.append)
    assert said[1].startswith("fake: the server changed the model since an earlier run")
    with Store(store) as kept:
        assert kept.snapshots(kept.use(fake.judge())) == {"fake-1": 30, "fake-2": 30}


def test_notes_of_a_judge_are_told_once_in_the_end() -> None:
    async def script(fake: Fake, text: str, repeat: int) -> None:  # noqa: ARG001
        fake.notes.append("the server ignores schemas")

    said: list[str] = []
    score(outputs(20), Fake(script).judge(), prices=PRICES, tell=said.append)
    assert said == ["fake: the server ignores schemas"]


def test_how_far_it_is_is_told_in_the_callers_thread() -> None:
    seen: list[Tally] = []
    done: list[tuple[str, int, int]] = []
    threads = set()

    def watch(tallies: object) -> None:
        seen.extend(tallies)  # type: ignore[arg-type]
        threads.add(threading.current_thread())

    fake = Fake(failing("filtered", times=0), wait=0.01)
    score(outputs(600), fake.judge(), prices=PRICES, watch=watch, progress=lambda *at: done.append(at))
    assert threads == {threading.current_thread()}
    assert done[0] == ("fake", 0, 600)
    assert done[-1] == ("fake", 600, 600)
    middle = [tally for tally in seen if 0 < tally.done < 600]
    assert middle
    assert all(tally.rate > 0 and tally.seconds_left and tally.cost_usd for tally in middle)
    assert (seen[-1].ok, seen[-1].not_ok, seen[-1].cost_usd) == (600, 0, pytest.approx(0.066))


def test_an_error_of_a_callback_ends_the_run() -> None:
    def progress(what: str, done: int, total: int) -> None:  # noqa: ARG001
        raise ZeroDivisionError

    fake = Fake(wait=0.01)
    with pytest.raises(ZeroDivisionError):
        score(outputs(5000), fake.judge(), progress=progress)
    assert fake.n < 5000


def test_it_works_where_a_loop_is_running_already() -> None:
    """As in a notebook."""

    async def cell() -> pl.DataFrame:
        return score(outputs(10), Fake().judge(), prices=PRICES)

    assert statuses(asyncio.run(cell())) == {"ok": 10}


# Memory, and Ctrl-C: in processes of their own.

SCRIPT = """
import asyncio, resource, sys, time
import polars as pl
from interjudge.judges.base import Judge
from interjudge.judges.llm_base import Answer, Estimate
from interjudge.judges.runner import score

class Fake:
    limits, model = "here", "openai/fake"
    def __init__(self, wait): self.wait, self.n = wait, 0
    async def ask(self, output, repeat):
        self.n += 1
        print("asked", file=sys.stderr, flush=True) if self.n == 16 else None
        await asyncio.sleep(self.wait)
        return Answer("ok", label="yes", raw=output["response"] * 4, input_tokens=1, output_tokens=1)
    def estimate(self, output): return Estimate(1, 1)
    async def close(self): pass

n, wait, store = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
fake = Fake(wait)
number = pl.int_range(n, eager=True).cast(pl.String)
outputs = pl.DataFrame({"item_id": number, "response": number + " and so on" * 20})
judge = Judge("fake", "rubric", "harm", ("yes",), None, {}, ("response",), remote=fake)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    score(outputs, judge, store=store, concurrency=16)
finally:
    print(fake.n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def started(folder: Path, n: int, wait: float) -> subprocess.Popen[str]:
    (folder / "run.py").write_text(SCRIPT)
    command = [sys.executable, "run.py", str(n), str(wait), "v.db"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_memory_does_not_grow_with_what_is_queued(tmp_path: Path) -> None:
    """100,000 outputs; the tables themselves, at 1 KB a verdict, are 130 MB of it."""
    out, err = started(tmp_path, 100_000, 0.0).communicate(timeout=300)
    asked, kilobytes = map(int, out.split())
    assert asked == 100_000, err
    assert kilobytes < 500_000


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_waits_for_what_is_under_way_and_the_second_for_nothing(tmp_path: Path, times: int) -> None:
    process = started(tmp_path, 1000, 1.5 if times == 1 else 30.0)
    assert process.stderr is not None
    assert process.stderr.readline() == "asked\n"
    begun = time.monotonic()
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    out, err = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in err
    assert err.count("Traceback") == 1  # no tale of tasks that were cancelled
    assert "stopping: waiting for 16 requests under way" in err
    assert out.split()[0] == "16"
    stored = read_store(tmp_path / "v.db").height
    if times == 1:
        assert stored == 16
    else:
        assert (stored, time.monotonic() - begun < 10) == (0, True)
