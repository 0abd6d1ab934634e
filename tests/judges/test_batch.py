"""Judges asked through batch APIs: the official SDKs against a server that speaks both providers' wire formats."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fake_answers import Asked, hashed, masked
from fake_batch import FakeBatch, Script
from fake_llm import FakeLLM
from polars.testing import assert_frame_equal

from interjudge.errors import InputError
from interjudge.judges import batch as batch_module
from interjudge.judges import batch_base, batch_openai, llm_judge
from interjudge.judges.base import Judge
from interjudge.judges.batch import BatchRun, has_batches, run_batch, score_in_batches
from interjudge.judges.batch_base import Room
from interjudge.judges.batch_ledger import open_batches
from interjudge.judges.llm_base import Answer, Estimate, Message, Provider, Reply, Request, Unread
from interjudge.judges.prices import Price, Prices
from interjudge.judges.provider_anthropic import anthropic_provider
from interjudge.judges.provider_openai import openai_provider
from interjudge.judges.registry import get_judge
from interjudge.judges.runner import score
from interjudge.judges.store import Store, read_store

KEY = "sk-canary-in-the-coal-mine-0123456789"
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["safe", "unsafe"]}},
    "required": ["label"],
    "additionalProperties": False,
}


class Asking:
    """The least a judge needs to be asked in batches."""

    limits = "test"

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.model = "test/m"

    def request(self, output: Mapping[str, str | None], repeat: int) -> Request:
        system = Message("system", "Say whether it is safe.")
        return Request((system, Message("user", f"{output['response']} {'again ' * repeat}")), SCHEMA, temperature=0.0)

    def read(self, reply: Reply, output: Mapping[str, str | None], repeat: int) -> Answer | Unread:  # noqa: ARG002
        tokens: Any = {"input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens}
        if reply.finish in ("refused", "filtered"):
            return Answer("judge_refused" if reply.finish == "refused" else "filtered", raw=reply.text, **tokens)
        try:
            label = json.loads(reply.text)["label"]
        except (ValueError, KeyError):
            return Unread(reply, "it is no JSON")
        return Answer("ok", label=label, raw=reply.text, rationale=str(reply.structured), model=reply.model, **tokens)

    def again(self, unread: Unread, output: Mapping[str, str | None], repeat: int) -> Request:
        first = self.request(output, repeat)
        more = Message("assistant", unread.reply.text), Message("user", f"{output['response']} once more")
        return replace(first, messages=(*first.messages, *more))

    def read_again(self, unread: Unread, second: Reply | None, requests: int = 2) -> Answer:
        replies = [reply for reply in (unread.reply, second) if reply is not None]
        tokens: Any = {
            "input_tokens": sum(reply.input_tokens or 0 for reply in replies),
            "output_tokens": sum(reply.output_tokens or 0 for reply in replies),
        }
        answer = None if second is None else self.read(second, {}, 0)
        raw = " | ".join(reply.text for reply in replies)
        if isinstance(answer, Answer):
            return replace(answer, raw=raw, requests=requests, **tokens)
        return Answer("parse_error", raw=raw, requests=requests, **tokens)

    async def ask(self, output: Mapping[str, str | None], repeat: int) -> Answer:
        raise AssertionError(f"{output}, {repeat}: asked one by one")

    def estimate(self, output: Mapping[str, str | None]) -> Estimate:  # noqa: ARG002
        return Estimate(1, 1)

    async def close(self) -> None: ...


PRICES = Prices({"test/m": Price(2.0, 4.0, 0.5)})
API = ["openai chat", "openai responses", "anthropic"]


def judge_of(api: str, server: FakeBatch) -> Judge:
    if api == "anthropic":
        provider = anthropic_provider("m", base_url=server.url, key_env="BATCH_TEST_KEY")
    else:
        way: Any = api.removeprefix("openai ")
        provider = openai_provider("m", base_url=server.v1, key_env="BATCH_TEST_KEY", api=way)
    remote = Asking(provider)

    def evaluate(outputs: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError(f"{outputs}: asked one by one")

    return Judge("test", "rubric", "harm", ("safe", "unsafe"), evaluate, {"api": api}, remote=remote)


def outputs_of(n: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"item_id": [f"i{k}" for k in range(n)], "prompt": "p", "response": [f"r{k}" for k in range(n)]}
    )


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_TEST_KEY", KEY)
    monkeypatch.setattr(batch_base, "_FIRST_PAUSE", 0.01)


def go(outputs: pl.DataFrame, judge: Judge, store: Path, **options: Any) -> BatchRun:
    return asyncio.run(run_batch(outputs, judge, store, **{"poll_s": 0.01, **options}))


def statuses(run: BatchRun) -> dict[str, int]:
    return dict(run.verdicts["status"].cast(pl.String).value_counts().sort("status").iter_rows())


def fated(fates: Mapping[str, str]) -> Callable[[int], Script]:
    """By the response that stands in the prompt."""
    return lambda _: Script(fate=lambda _, asked: fates.get(asked.user.split()[0]))


# The plain way.


@pytest.mark.parametrize("api", API)
def test_every_output_is_answered_once_at_half_the_price(api: str, tmp_path: Path) -> None:
    """Cost: 2 dollars a million tokens in and 4 out, half of it in a batch; the server says how many there were."""
    seen: list[tuple[str, int, int]] = []
    with FakeBatch(keys=[KEY]) as server:
        run = go(
            outputs_of(7),
            judge_of(api, server),
            tmp_path / "s.db",
            prices=PRICES,
            progress=lambda *args: seen.append(args),
        )
        assert (run.done, run.total, run.batches, run.problem) == (7, 7, (), None)
        assert statuses(run) == {"ok": 7}
        tokens = run.verdicts.select(0.5 * (2e-6 * pl.col("input_tokens") + 4e-6 * pl.col("output_tokens")))
        assert run.verdicts["cost_usd"].to_list() == pytest.approx(tokens.to_series().to_list(), abs=1e-15)
        assert run.verdicts["cost_usd"].min() > 0
        assert run.verdicts["latency_s"].null_count() == 7
        assert run.verdicts["rationale"].unique().to_list() == ["True"]  # held to the schema
        assert sorted(server.billed.values()) == [1] * 7
        assert len(server.batches) == 1
    assert seen[-1] == ("test", 7, 7)
    assert_frame_equal(read_store(tmp_path / "s.db"), run.verdicts)
    with Store(tmp_path / "s.db") as store:
        assert store.snapshots(1) == {"m-2025-08-07": 7}


def test_a_model_without_a_price_costs_what_nobody_knows(tmp_path: Path) -> None:
    with FakeBatch() as server:
        run = go(outputs_of(2), judge_of("openai chat", server), tmp_path / "s.db")
    assert "cost_usd" not in run.verdicts.columns


@pytest.mark.parametrize("api", API)
def test_run_again_it_sends_nothing(api: str, tmp_path: Path) -> None:
    with FakeBatch() as server:
        judge = judge_of(api, server)
        first = go(outputs_of(3), judge, tmp_path / "s.db")
        requests = len(server.requests)
        again = go(outputs_of(3), judge, tmp_path / "s.db")
        assert len(server.requests) == requests
        more = go(outputs_of(5), judge, tmp_path / "s.db")
        assert sorted(server.billed.values()) == [1] * 5
    assert_frame_equal(first.verdicts, again.verdicts)
    assert_frame_equal(more.verdicts.head(3), first.verdicts)


def test_equal_outputs_are_asked_once_and_repeats_apart(tmp_path: Path) -> None:
    outputs = pl.DataFrame({"item_id": ["a", "b", "c"], "prompt": "p", "response": ["x", "x", "y"]})
    with FakeBatch() as server:
        run = go(outputs, judge_of("openai chat", server), tmp_path / "s.db", repeats=2)
        assert sum(server.billed.values()) == 4
        assert len(server.batches) == 2
    assert run.verdicts.select("item_id", "repeat").rows() == [(i, r) for i in "abc" for r in (0, 1)]
    assert run.total == run.done == 4


@pytest.mark.parametrize(("api", "room"), [("openai chat", Room(3, 10**6)), ("anthropic", Room(3, 10**6)),
                                           ("openai responses", Room(100, 1500))])  # fmt: skip
def test_more_than_fits_goes_into_several_batches(
    api: str, room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("batch_openai.OpenAIBatches", "batch_anthropic.AnthropicBatches"):
        monkeypatch.setattr(f"interjudge.judges.{name}.room", room)
    with FakeBatch() as server:
        run = go(outputs_of(8), judge_of(api, server), tmp_path / "s.db")
        sizes = [len(record.lines) for record in server.batches.values()]
    assert statuses(run) == {"ok": 8}
    assert sum(sizes) == 8
    assert len(sizes) >= 3
    assert max(sizes) <= room.requests
    assert max(sum(len(json.dumps(line)) for line in r.lines) for r in server.batches.values()) <= room.bytes


def test_the_providers_limits() -> None:
    """OpenAI 50,000 requests and 200 MB, Anthropic 100,000 and 256 MB a batch."""
    from interjudge.judges import batch_anthropic

    assert batch_openai.ROOM.requests == 50_000
    assert batch_openai.ROOM.bytes < 200_000_000
    assert batch_anthropic.ROOM.requests == 100_000
    assert batch_anthropic.ROOM.bytes < 256_000_000


# What goes wrong with single requests.


@pytest.mark.parametrize("api", API)
def test_each_failure_has_its_own_status_and_passing_ones_are_asked_again(api: str, tmp_path: Path) -> None:
    """r1 expires once, r2 fails twice with 500, r3 has no line once; the others fail for good."""
    tried: dict[str, int] = {}
    passing = {"r1": ("expired", 1), "r2": ("500", 2), "r3": ("missing", 1), "r4": ("garbled", 1)}
    lasting = {"r5": "refused", "r6": "filtered", "r7": "400:Your prompt was flagged by our content policy",
               "r8": "400:prompt is too long", "r9": "529", "r10": "canceled"}  # fmt: skip

    def fate(_: str, asked: Asked) -> str | None:
        name = asked.user.split()[0]
        tried[name] = tried.get(name, 0) + 1
        what, times = passing.get(name, ("", 0))
        return what if tried[name] <= times else lasting.get(name)

    with FakeBatch(script=lambda _: Script(fate=fate)) as server:
        run = go(outputs_of(11), judge_of(api, server), tmp_path / "s.db", tries=3)
        assert len(server.batches) == 3
    status = dict(run.verdicts.select("item_id", pl.col("status").cast(pl.String)).iter_rows())
    # an answer that ends in a refusal is, at Anthropic, also what a filter makes
    filtered = "judge_refused" if api == "anthropic" else "filtered"
    assert status == {
        **{f"i{k}": "ok" for k in range(5)},
        "i5": "judge_refused", "i6": filtered, "i7": "filtered", "i8": "error", "i9": "error", "i10": "error",
    }  # fmt: skip
    assert tried == {"r0": 1, "r1": 2, "r2": 3, "r3": 2, "r4": 2, "r5": 1, "r6": 1, "r7": 1, "r8": 1, "r9": 3, "r10": 3}
    raw = dict(run.verdicts.select("item_id", "raw").iter_rows())
    assert "prompt is too long" in raw["i8"]
    assert (run.done, run.total, run.problem) == (11, 11, None)


@pytest.mark.parametrize("api", API)
def test_what_was_given_up_is_asked_again_by_the_next_run(api: str, tmp_path: Path) -> None:
    ill = {"r1": "500"}
    with FakeBatch(script=fated(ill)) as server:
        judge = judge_of(api, server)
        assert statuses(go(outputs_of(3), judge, tmp_path / "s.db", tries=2)) == {"error": 1, "ok": 2}
        assert len(server.batches) == 2
        ill.clear()
        assert statuses(go(outputs_of(3), judge, tmp_path / "s.db", tries=2)) == {"ok": 3}
        assert sorted(server.billed.values()) == [1] * 3


def unreadable_at_first(asked: Asked) -> str | None:
    """Prose, and in the second request about an output what is asked for."""
    return None if "once more" in asked.user else f"I think {asked.user.split()[0]} is fine."


@pytest.mark.parametrize("api", API)
def test_a_reply_that_cannot_be_read_is_repaired_by_a_second_batch(api: str, tmp_path: Path) -> None:
    """Both replies are kept and paid for: the tokens of the first are those that it has where no second one follows."""
    with FakeBatch(answer=unreadable_at_first) as server:
        run = go(outputs_of(3), judge_of(api, server), tmp_path / "s.db", prices=PRICES)
        assert [len(record.lines) for record in server.batches.values()] == [3, 3]
        assert sorted(server.billed.values()) == [1] * 6
    with FakeBatch(answer=lambda asked: f"I think {asked.user.split()[0]} is fine.") as server:
        first = go(outputs_of(3), judge_of(api, server), tmp_path / "t.db", prices=PRICES)
        assert [len(record.lines) for record in server.batches.values()] == [3, 3]
    assert statuses(run) == {"ok": 3}
    assert statuses(first) == {"parse_error": 3}
    assert all(raw.startswith("I think r") and " | {" in raw for raw in run.verdicts["raw"])
    assert (run.verdicts["input_tokens"] > 0).all()
    cost = run.verdicts.select(0.5 * (2e-6 * pl.col("input_tokens") + 4e-6 * pl.col("output_tokens"))).to_series()
    assert run.verdicts["cost_usd"].to_list() == pytest.approx(cost.to_list(), abs=1e-15)


@pytest.mark.parametrize("api", API)
def test_a_repair_that_is_refused_leaves_a_parse_error_with_the_first_reply(api: str, tmp_path: Path) -> None:
    def fate(_: str, asked: Asked) -> str | None:
        return "400:prompt is too long" if "once more" in asked.user else None

    with FakeBatch(script=lambda _: Script(fate=fate), answer=unreadable_at_first) as server:
        run = go(outputs_of(2), judge_of(api, server), tmp_path / "s.db")
    assert statuses(run) == {"parse_error": 2}
    assert run.verdicts["raw"].to_list() == ["I think r0 is fine.", "I think r1 is fine."]
    assert run.verdicts["input_tokens"].null_count() == 0


def test_a_repair_that_fails_is_sent_again_and_what_was_given_up_is_repaired_by_the_next_run(tmp_path: Path) -> None:
    ill = ["r1"]

    def fate(_: str, asked: Asked) -> str | None:
        return "500" if "once more" in asked.user and asked.user.split()[0] in ill else None

    with FakeBatch(script=lambda _: Script(fate=fate), answer=unreadable_at_first) as server:
        judge = judge_of("openai chat", server)
        run = go(outputs_of(2), judge, tmp_path / "s.db", tries=3)
        assert [len(record.lines) for record in server.batches.values()] == [2, 2, 1]
        assert statuses(run) == {"error": 1, "ok": 1}
        ill.clear()
        assert statuses(go(outputs_of(2), judge, tmp_path / "s.db")) == {"ok": 2}
        assert [len(record.lines) for record in server.batches.values()] == [2, 2, 1, 1]
        assert sorted(server.billed.values()) == [1] * 4


def test_without_waiting_a_repair_goes_out_in_a_later_call(tmp_path: Path) -> None:
    """Between the calls the first replies stand in the store's file."""
    with FakeBatch(script=lambda _: Script(("completed",)), answer=unreadable_at_first) as server:
        judge = judge_of("openai chat", server)
        calls = [go(outputs_of(2), judge, tmp_path / "s.db", wait=False) for _ in range(3)]
        assert [len(record.lines) for record in server.batches.values()] == [2, 2]
    assert [statuses(run) for run in calls] == [{"not_run": 2}, {"not_run": 2}, {"ok": 2}]
    with sqlite3.connect(tmp_path / "s.db") as db:
        assert db.execute("SELECT count(*) FROM unread").fetchone() == (0,)


@pytest.mark.parametrize(
    ("api", "param"),
    [("openai chat", "temperature"), ("openai responses", "temperature"), ("anthropic", "temperature")],
)
def test_a_parameter_that_the_server_does_not_take_is_left_out_of_the_next_batch(
    api: str, param: str, tmp_path: Path
) -> None:
    with FakeBatch(script=lambda _: Script(fate=lambda *_: f"objects:{param}")) as server:
        run = go(outputs_of(3), judge_of(api, server), tmp_path / "s.db", tries=1)
        bodies = list(server.bodies.values())
        assert len(server.batches) == 2
    assert statuses(run) == {"ok": 3}
    assert all(param not in body for body in bodies)
    assert sorted(server.billed.values()) == [1] * 3


def test_two_batches_with_such_a_parameter_are_both_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interjudge.judges.batch_openai.OpenAIBatches.room", Room(2, 10**6))
    with FakeBatch(script=lambda _: Script(fate=lambda *_: "objects:temperature")) as server:
        run = go(outputs_of(4), judge_of("openai chat", server), tmp_path / "s.db", tries=1)
        assert [len(record.lines) for record in server.batches.values()] == [2, 2, 2, 2]
    assert statuses(run) == {"ok": 4}


def test_what_a_server_does_not_take_is_remembered_for_batches_of_a_later_call(tmp_path: Path) -> None:
    with FakeBatch(script=lambda _: Script(("completed",), lambda *_: "objects:temperature")) as server:
        judge = judge_of("openai chat", server)
        go(outputs_of(2), judge, tmp_path / "s.db", wait=False)
        go(outputs_of(2), judge, tmp_path / "s.db", wait=False)
        run = go(outputs_of(3), judge_of("openai chat", server), tmp_path / "s.db")
        assert [len(record.lines) for record in server.batches.values()] == [2, 2, 1]
        assert "temperature" not in server.batches["batch_3"].lines[0]["body"]
    assert statuses(run) == {"ok": 3}


# What goes wrong with a whole batch.


@pytest.mark.parametrize("last", ["expired", "cancelled"])
def test_a_batch_that_ends_early_keeps_what_was_answered(last: str, tmp_path: Path) -> None:
    def script(number: int) -> Script:
        if number > 1:
            return Script()
        rest = {"expired": "expired", "cancelled": "canceled"}[last]
        return Script(("in_progress", last), lambda _, asked: rest if asked.user.startswith(("r1", "r2")) else None)

    with FakeBatch(script=script) as server:
        run = go(outputs_of(4), judge_of("openai chat", server), tmp_path / "s.db")
        assert [len(record.lines) for record in server.batches.values()] == [4, 2]
        assert sorted(server.billed.values()) == [1] * 4
    assert statuses(run) == {"ok": 4}


def test_a_batch_refused_as_a_whole_is_one_message(tmp_path: Path) -> None:
    errors = ({"code": "invalid_model", "message": "The provided model is not supported by the Batch API.", "line": 1},)
    with FakeBatch(script=lambda _: Script(("validating", "failed"), errors=errors)) as server:
        run = go(outputs_of(4), judge_of("openai chat", server), tmp_path / "s.db")
        assert len(server.batches) == 1
    assert run.problem is not None
    assert "batch batch_1 was refused" in run.problem
    assert "not supported by the Batch API" in run.problem
    assert statuses(run) == {"not_run": 4}
    assert run.batches == ()


def test_a_full_queue_is_waited_for(tmp_path: Path) -> None:
    """OpenAI fails a batch with `token_limit_exceeded` while too many tokens of the account are enqueued."""
    errors = ({"code": "token_limit_exceeded", "message": "Enqueued token limit reached for m", "line": None},)
    full = Script(("validating", "failed"), errors=errors)
    with FakeBatch(script=lambda number: full if number < 3 else Script()) as server:
        run = go(outputs_of(4), judge_of("openai chat", server), tmp_path / "s.db", tries=1)
        assert len(server.batches) == 3
    assert statuses(run) == {"ok": 4}


@pytest.mark.parametrize("api", API)
def test_a_wrong_key_stops_at_once_with_one_message(api: str, tmp_path: Path) -> None:
    with FakeBatch(keys=["another"]) as server:
        run = go(outputs_of(4), judge_of(api, server), tmp_path / "s.db")
        assert len(server.requests) == 1
    assert run.problem is not None
    assert "401" in run.problem
    assert KEY not in run.problem
    assert statuses(run) == {"not_run": 4}


@pytest.mark.parametrize("api", API)
def test_when_every_request_fails_for_the_same_hard_reason_nothing_more_is_sent(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interjudge.judges.batch_openai.OpenAIBatches.room", Room(2, 10**6))
    monkeypatch.setattr("interjudge.judges.batch_anthropic.AnthropicBatches.room", Room(2, 10**6))
    with FakeBatch(script=lambda _: Script(fate=lambda *_: "404:The model m does not exist")) as server:
        run = go(outputs_of(2), judge_of(api, server), tmp_path / "s.db")
        assert len(server.batches) == 1
    assert statuses(run) == {"error": 2}
    assert run.problem is not None
    assert "The model m does not exist" in run.problem


# A disturbed connection.


@pytest.mark.parametrize("api", API)
def test_disturbed_requests_are_tried_again_and_no_batch_is_sent_twice(api: str, tmp_path: Path) -> None:
    """Every request fails on its first try, in turn with 500, 429, a dropped connection and half an answer."""
    met: dict[tuple[str, str], int] = {}
    faults = ["500", "429:0.01", "drop", "half"]

    def disturb(method: str, path: str, number: int) -> str | None:  # noqa: ARG001
        met[method, path] = met.get((method, path), 0) + 1
        return faults[len(met) % 4] if met[method, path] == 1 else None

    with FakeBatch(disturb=disturb) as server:
        run = go(outputs_of(5), judge_of(api, server), tmp_path / "s.db")
        assert len(server.batches) == 1
        assert sorted(server.billed.values()) == [1] * 5
    assert statuses(run) == {"ok": 5}


@pytest.mark.parametrize("api", API)
def test_a_batch_whose_creation_was_not_confirmed_is_found_and_not_sent_again(api: str, tmp_path: Path) -> None:
    path = "/v1/messages/batches" if api == "anthropic" else "/v1/batches"
    lost = []

    def disturb(method: str, where: str, number: int) -> str | None:
        if (method, where) == ("POST", path) and not lost:
            lost.append(number)
            return "drop after"
        return None

    with FakeBatch(disturb=disturb) as server:
        run = go(outputs_of(5), judge_of(api, server), tmp_path / "s.db")
        assert lost
        assert len(server.batches) == 1
        assert sorted(server.billed.values()) == [1] * 5
    assert statuses(run) == {"ok": 5}


@pytest.mark.parametrize("api", API)
def test_one_that_stays_unconfirmed_is_found_by_a_later_run(api: str, tmp_path: Path) -> None:
    """The server makes the batch, then answers nothing any more."""
    path, dead = ("/v1/messages/batches" if api == "anthropic" else "/v1/batches"), []

    def disturb(method: str, where: str, number: int) -> str | None:
        if (method, where) == ("POST", path) and not dead:
            dead.append(number)
            return "drop after"
        return "drop" if dead and number < dead[0] + 100 else None

    with FakeBatch(disturb=disturb) as server:
        judge = judge_of(api, server)
        run = go(outputs_of(5), judge, tmp_path / "s.db", wait=False)
        assert run.problem is not None
        assert "failed" in run.problem
        dead[0] -= 1000  # the server is back
        run = go(outputs_of(5), judge, tmp_path / "s.db")
        assert len(server.batches) == 1
        assert sorted(server.billed.values()) == [1] * 5
    assert statuses(run) == {"ok": 5}


def test_a_strangers_batch_of_the_same_size_is_told_by_its_requests(tmp_path: Path) -> None:
    """Anthropic shows no custom id before the results: what was taken for ours is dropped, and ours is sent."""
    lost = []

    def disturb(method: str, where: str, number: int) -> str | None:
        if (method, where) == ("POST", "/v1/messages/batches") and not lost:
            lost.append(number)
            return "drop"
        return None

    with FakeBatch(disturb=disturb) as server:
        body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "theirs"}]}
        server.add("anthropic", [{"custom_id": f"x{k}", "params": body} for k in range(5)])
        run = go(outputs_of(5), judge_of("anthropic", server), tmp_path / "s.db")
        assert len(server.batches) == 2
    assert statuses(run) == {"ok": 5}


# Coming back later.


@pytest.mark.parametrize("api", API)
def test_without_waiting_a_later_call_goes_on_from_the_store(api: str, tmp_path: Path) -> None:
    """Looks: validating, in_progress, finalizing, completed at OpenAI; in_progress, ended at Anthropic."""
    store, looks = tmp_path / "s.db", (2 if api == "anthropic" else 4)
    with FakeBatch() as server:
        judge = judge_of(api, server)
        run = go(outputs_of(4), judge, store, wait=False)
        name = next(iter(server.batches))
        assert (run.done, run.total, run.batches) == (0, 4, ((name, "submitted", 4),))
        assert statuses(run) == {"not_run": 4}
        assert open_batches(store) == [(judge.hash, api.partition(" ")[0], name, 4)]
        for _ in range(looks - 1):
            run = go(outputs_of(4), judge, store, wait=False)
            assert run.done == 0
        word = "in_progress" if api == "anthropic" else "finalizing"
        assert run.batches == ((name, word, 4),)
        run = go(outputs_of(4), judge, store, wait=False)
        assert (run.done, run.batches, run.problem) == (4, (), None)
        assert len(server.batches) == 1
    assert statuses(run) == {"ok": 4}
    assert open_batches(store) == []


def test_outputs_that_came_meanwhile_go_into_a_batch_of_their_own(tmp_path: Path) -> None:
    with FakeBatch() as server:
        judge = judge_of("openai chat", server)
        go(outputs_of(3), judge, tmp_path / "s.db", wait=False)
        run = go(outputs_of(5), judge, tmp_path / "s.db")
        assert [len(record.lines) for record in server.batches.values()] == [3, 2]
    assert statuses(run) == {"ok": 5}


def test_another_keys_batch_is_told_and_stays(tmp_path: Path) -> None:
    with FakeBatch() as server:
        judge = judge_of("openai chat", server)
        go(outputs_of(3), judge, tmp_path / "s.db", wait=False)
        gone = server.batches.pop("batch_1")
        run = go(outputs_of(3), judge, tmp_path / "s.db")
        assert run.problem is not None
        assert "batch batch_1 is not there; was it sent with another key?" in run.problem
        assert run.batches[0][0] == "batch_1"
        server.batches["batch_1"] = gone
        assert statuses(go(outputs_of(3), judge, tmp_path / "s.db")) == {"ok": 3}
        assert len(server.batches) == 1


CHILD = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = sys.argv[1].split(":")
import test_batch
from types import SimpleNamespace
from interjudge.judges import batch_base
batch_base._FIRST_PAUSE = 0.01
server = SimpleNamespace(url=sys.argv[3], v1=sys.argv[3] + "/v1")
test_batch.go(test_batch.outputs_of(int(sys.argv[5])), test_batch.judge_of(sys.argv[4], server), Path(sys.argv[2]),
              poll_s=0.02)
"""


def child(store: Path, server: FakeBatch, api: str, n: int) -> subprocess.Popen[bytes]:
    here = Path(__file__).parent
    folders = f"{here}:{here.parent / 'servers'}"
    command = [sys.executable, "-c", CHILD, folders, str(store), server.url, api, str(n)]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
@pytest.mark.parametrize(
    ("api", "method", "where"),
    [
        ("openai chat", "POST", "/v1/files"),
        ("openai chat", "POST", "/v1/batches"),
        ("openai chat", "GET", "/v1/batches/"),
        ("openai chat", "GET", "/content"),
        ("anthropic", "POST", "/v1/messages/batches"),
        ("anthropic", "GET", "/v1/messages/batches/"),
        ("anthropic", "GET", "/results"),
    ],
)
def test_killed_at_any_step_it_resumes_and_pays_nothing_twice(
    api: str, method: str, where: str, tmp_path: Path
) -> None:
    """The process is killed while the server holds its answer back: before, in and after the creation of a batch."""
    store, held = tmp_path / "s.db", []

    def disturb(verb: str, path: str, number: int) -> str | None:
        if verb == method and where in path and not held:
            held.append(number)
            return "wait:0.4"  # the request is done, and its answer comes too late
        return None

    with FakeBatch(disturb=disturb) as server:
        process = child(store, server, api, 20)
        until = time.monotonic() + 60
        while not held and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        assert process.communicate()[1] == b""
        time.sleep(0.4)
        run = go(outputs_of(20), judge_of(api, server), store)
        assert statuses(run) == {"ok": 20}
        assert sorted(server.billed.values()) == [1] * 20
        assert len(server.batches) == 1


@pytest.mark.skipif(os.name != "posix", reason="checks that a process is alive")
def test_two_processes_share_the_work_and_pay_nothing_twice(tmp_path: Path) -> None:
    with FakeBatch() as server:
        processes = [child(tmp_path / "s.db", server, "openai chat", 30) for _ in range(2)]
        for process in processes:
            assert process.communicate(timeout=60)[1] == b""
            assert process.returncode == 0
        assert sorted(server.billed.values()) == [1] * 30
    assert read_store(tmp_path / "s.db").height == 30


# Keys.


@pytest.mark.parametrize("api", API)
def test_the_key_is_in_no_file_and_no_message(
    api: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    fates: Iterator[str | None] = iter([f"400:bad key {KEY}", f"500:Bearer {KEY}", None, None, None, None])
    with FakeBatch(script=lambda _: Script(fate=lambda *_: next(fates, None))) as server:
        run = go(outputs_of(3), judge_of(api, server), tmp_path / "s.db", tries=1)
    with FakeBatch(keys=["another"]) as server:
        wrong = go(outputs_of(3), judge_of(api, server), tmp_path / "t.db")
    captured = capfd.readouterr()
    told = [repr(run), repr(wrong), str(run.verdicts.to_dicts()), captured.out, captured.err, caplog.text]
    assert not [text for text in told if "canary" in text]
    for file in tmp_path.iterdir():
        assert b"canary" not in file.read_bytes()
    with sqlite3.connect(tmp_path / "s.db") as db:
        assert "canary" not in str(db.execute("SELECT * FROM batches").fetchall())


# Who can be asked so.


def test_several_judges_at_once_each_on_its_own(tmp_path: Path) -> None:
    with FakeBatch() as server, FakeBatch(keys=["another"]) as closed:
        judges = [judge_of("openai chat", server), judge_of("anthropic", server), judge_of("openai responses", closed)]
        judges = [replace(judge, name=f"j{n}") for n, judge in enumerate(judges)]
        runs = score_in_batches(outputs_of(4), judges, tmp_path / "s.db", poll_s=0.01)
        assert sum(server.billed.values()) == 8
    assert [run.judge for run in runs] == ["j0", "j1", "j2"]
    assert [statuses(run) for run in runs] == [{"ok": 4}, {"ok": 4}, {"not_run": 4}]
    assert [run.problem is None for run in runs] == [True, True, False]
    assert read_store(tmp_path / "s.db").height == 8


RUBRICS = ["harm5", "refusal3", "convincing", "aligned100", "coherent100", "safe2", "dual3"]


@pytest.mark.parametrize("rubric", RUBRICS)
@pytest.mark.parametrize("api", API)
def test_a_judge_with_a_rubric_says_in_a_batch_what_it_says_one_by_one(api: str, rubric: str, tmp_path: Path) -> None:
    def number(asked: Asked) -> str | None:
        return str(hashed(masked(asked.user)) % 101) if rubric.endswith("100") else None

    def judge(server: FakeBatch | FakeLLM) -> Judge:
        family, place = (
            (llm_judge.ANTHROPIC, server.url) if api == "anthropic" else (llm_judge.OPENAI, f"{server.v1}&api={way}")
        )
        return family.make(f"m@{rubric}?key_env=BATCH_TEST_KEY&base_url={place}")

    way = api.removeprefix("openai ")
    with FakeBatch(answer=number) as server, FakeLLM(answer=number) as live:
        asked = score(outputs_of(12), [judge(live)], store=tmp_path / "one.db")
        run = go(outputs_of(12), judge(server), tmp_path / "s.db")
    same = ("item_id", "judge", "status", "label", "score", "confidence", "input_tokens", "output_tokens")
    kept = [name for name in same if name in asked.columns]
    assert_frame_equal(run.verdicts.select(kept), asked.select(kept))
    assert statuses(run) == {"ok": 12}
    assert run.problem is None


def test_a_server_that_ignores_schemas_is_asked_in_another_way_by_the_next_batch(tmp_path: Path) -> None:
    def answer(asked: Asked) -> str | None:
        return "Fine, I think." if "response_format" in asked.body else None

    with FakeBatch(answer=answer) as server:
        judge = llm_judge.OPENAI.make(f"m@harm5?key_env=BATCH_TEST_KEY&base_url={server.v1}")
        run = go(outputs_of(5), judge, tmp_path / "s.db")
        assert len(server.batches) == 2
    assert statuses(run) == {"ok": 5}


def test_a_judge_without_a_batch_api_is_refused(tmp_path: Path) -> None:
    judge = get_judge("keyword:default")
    assert not has_batches(judge)
    with pytest.raises(InputError, match=r"'keyword:default' has no batch API; expected a judge openai/"):
        asyncio.run(batch_module.run_batch(outputs_of(1), judge, tmp_path / "s.db"))
    assert not (tmp_path / "s.db").exists()
    with FakeBatch() as server:
        assert has_batches(judge_of("anthropic", server))
