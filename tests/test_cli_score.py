"""`interjudge score` and `judges show` as a user types them: stores, failures, interrupts, keys."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from fake_llm import FakeLLM

from interjudge.judges.store import read_store

COMMAND = (sys.executable, "-c", "from interjudge.cli import main; main()")
CANARY = "canary-in-the-coal-mine"

JUDGES = f"""
import functools, time

def broken(outputs):
    return [{{}}["completion"] for _ in outputs["response"]]

def half(outputs):
    return [1 / (text != "r1") for text in outputs["response"]]

def nasty(outputs):
    raise ValueError("\\x1b[31mred\\u202e api_key=abcdef123456")

def slow(outputs):
    time.sleep(0.1 * len(outputs))
    return ["x"] * len(outputs)

def _keyed(outputs, api_key):
    if "r1" in outputs["response"].to_list():
        raise RuntimeError(api_key + " is not valid")
    return ["x"] * len(outputs)

keyed = functools.partial(_keyed, api_key="{CANARY}")
slow.batch_size = 2
"""


def run(*args: str, cwd: Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "COLUMNS": "100", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [*COMMAND, *args], cwd=cwd, input=stdin, capture_output=True, text=True, check=False, timeout=120, env=env
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"item_id": f"i{k}", "prompt": "p", "response": f"r{k}"} for k in range(12)]
    (tmp_path / "outputs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "mine.py").write_text(JUDGES)
    return tmp_path


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"outputs.jsonl", "mine.py", "__pycache__"}


# A judge that fails.


def test_a_judge_without_one_usable_verdict_ends_with_1_after_all_is_written_and_says_why(folder: Path) -> None:
    done = run("score", "outputs.jsonl", "-j", "mine:broken", "-j", "keyword:default", "--out", "v.csv", cwd=folder)
    assert done.returncode == 1
    assert "mine:broken: 12 x KeyError: 'completion'" in done.stdout
    assert "interjudge: no verdict of mine:broken is ok, of 12: 12 x KeyError: 'completion'" in done.stderr
    assert "keyword:default" not in done.stderr
    assert "Traceback" not in done.stderr
    table = pl.read_csv(folder / "v.csv")
    assert table["judge"].value_counts().sort("judge")["count"].to_list() == [12, 12]
    quiet = run("score", "outputs.jsonl", "-j", "mine:broken", "-q", cwd=folder)
    assert (quiet.returncode, "12 x KeyError" in quiet.stderr) == (1, True)


def test_a_judge_that_fails_on_some_outputs_is_told_and_no_failure(folder: Path) -> None:
    done = run("score", "outputs.jsonl", "-j", "mine:half", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mine:half: 1 x ZeroDivisionError: division by zero" in done.stdout


@pytest.mark.parametrize("judge", ["guard/llama-guard-3-1b", "coherence:lm?model=nobody/nothing"])
def test_a_model_that_cannot_be_loaded_is_said_at_once_and_is_no_verdict(folder: Path, judge: str) -> None:
    """Nothing is fetched (`HF_HUB_OFFLINE`), and no judge before it is asked for nothing."""
    names = ("-j", "keyword:default", "-j", judge)
    done = run("score", "outputs.jsonl", *names, "--out", "v.csv", "--store", "s.db", cwd=folder)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"interjudge: judge {judge!r}: the model ")
    assert "is not in the cache" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "v.csv").exists()
    assert read_store(folder / "s.db").is_empty()


def test_an_error_is_shown_without_escapes_and_keys(folder: Path) -> None:
    done = run("score", "outputs.jsonl", "-j", "mine:nasty", cwd=folder)
    assert done.returncode == 1
    for stream in (done.stdout, done.stderr):
        assert r"\x1b[31mred\u202e api_key=[hidden]" in stream
        assert not {"\x1b", "\u202e"} & set(stream)


# Keys.


def test_a_bound_key_is_nowhere(folder: Path) -> None:
    done = run("score", "outputs.jsonl", "-j", "mine:keyed", "--out", "v.csv", cwd=folder)
    assert done.returncode == 0, done.stderr
    shown = run("judges", "show", "mine:keyed", cwd=folder)
    told = run("judges", "show", "mine:keyed", "--json", cwd=folder)
    assert shown.returncode == told.returncode == 0
    for text in (done.stdout, done.stderr, shown.stdout, told.stdout, (folder / "v.csv").read_text()):
        assert CANARY not in text
    assert CANARY.encode() not in (folder / "v.db").read_bytes()
    assert "[hidden] is not valid" in (folder / "v.csv").read_text()


# An interrupt.


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_an_interrupt_says_how_much_is_stored(folder: Path) -> None:
    """12 outputs, two of them stored every .2 s."""
    args = ("score", "outputs.jsonl", "-j", "keyword:default", "-j", "mine:slow", "--store", "s.db")
    process = subprocess.Popen([*COMMAND, *args], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while time.monotonic() < until and not ((folder / "s.db").exists() and _stored(folder / "s.db") >= 4):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    stored = _stored(folder / "s.db")
    assert 4 <= stored < 12
    assert "stored 12 of 12 verdicts of keyword:default" in err
    assert f"stored {stored} of 12 verdicts of mine:slow, in s.db" in err


def _stored(store: Path) -> int:
    from interjudge.errors import InterjudgeError

    try:
        return read_store(store).filter(judge="mine:slow").height
    except InterjudgeError:  # it is being made
        return 0


# Where the store is.


@pytest.mark.parametrize(
    ("args", "made"),
    [
        (("outputs.jsonl",), {"outputs.db"}),
        (("./outputs.jsonl", "--out", "v.parquet"), {"v.parquet", "v.db"}),
        (("outputs.jsonl", "--out", "v.jsonl.gz"), {"v.jsonl.gz", "v.db"}),
        (("outputs.jsonl", "--out", "-"), set()),
        (("outputs.jsonl", "--out", "-", "--store", "s.db"), {"s.db"}),
        (("-",), {"verdicts.db"}),
        (("-", "--out", "v.csv"), {"v.csv", "v.db"}),
    ],
)
def test_the_store_is_named_after_out_or_the_outputs(folder: Path, args: tuple[str, ...], made: set[str]) -> None:
    stdin = (folder / "outputs.jsonl").read_text() if "-" in args[:1] else None
    done = run("score", *args, "-j", "keyword:default", cwd=folder, stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert files(folder) == made
    if "-" in args[1:]:
        assert [json.loads(line)["item_id"] for line in done.stdout.splitlines()] == [f"i{k}" for k in range(12)]


def test_verdicts_of_an_older_version_are_told(folder: Path) -> None:
    (folder / "mine.txt").write_text("r1\n")
    args = ("score", "outputs.jsonl", "-j", "keyword:mine.txt")
    assert "older" not in run(*args, cwd=folder).stdout
    (folder / "mine.txt").write_text("r2\n")
    assert "12 verdicts of an older version of 'keyword:mine.txt' are left out" in run(*args, cwd=folder).stdout


# What is never written over.


@pytest.mark.parametrize(
    "target", [("--out", "v.csv"), ("--out", "list.csv"), ("--store", "v.csv"), ("--store", "outputs.jsonl")]
)
def test_a_file_that_a_judge_read_is_never_written_over(folder: Path, target: tuple[str, str]) -> None:
    (folder / "v.csv").write_text("item_id,judge,label\ni1,a,x\n")
    (folder / "list.txt").write_text("r1\n")
    os.link(folder / "list.txt", folder / "list.csv")  # one file under two names
    before = {name: (folder / name).read_bytes() for name in ("v.csv", "list.txt", "outputs.jsonl")}
    made = files(folder)
    done = run("score", "outputs.jsonl", "-j", "file:v.csv", "-j", "keyword:list.txt", *target, cwd=folder)
    assert done.returncode == 2
    assert "input files are never overwritten" in done.stderr
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert files(folder) == made


# What a judge is.


def test_long_values_are_cut_and_whole_as_json(folder: Path) -> None:
    shown = run("judges", "show", "keyword:default", cwd=folder)
    assert max(len(line) for line in shown.stdout.splitlines()) < 400
    assert "characters; in full with --json)" in shown.stdout
    told = json.loads(run("judges", "show", "keyword:default", "--json", cwd=folder).stdout)
    assert (told["name"], told["labels"]) == ("keyword:default", ["compliance", "refusal"])
    assert len(json.dumps(told["identity"]["lexicon"])) > 10_000
    assert told["hash"] in shown.stdout


# Judges behind a network.

KEY = "sk-Canary0123456789abcdefCanary"  # as a real one looks


def remote(server: FakeLLM, model: str = "gpt-5-mini", options: str = "") -> str:
    return f"openai/{model}@harm5?base_url={server.v1}{options}"


def stored(store: Path) -> int:
    return read_store(store).height


def test_a_dry_run_tells_requests_and_dollars_and_asks_and_writes_nothing(folder: Path) -> None:
    with FakeLLM() as server:
        judges = ("-j", remote(server), "-j", remote(server, "my-model"), "-j", "keyword:default")
        dry = run("score", "outputs.jsonl", *judges, "--dry-run", "--max-cost", "0.000001", cwd=folder)
        assert (dry.returncode, dry.stderr, server.count, files(folder)) == (0, "", 0, set())
        assert "What would be asked" in dry.stdout
        assert "price not known" in dry.stdout
        assert "--max-cost may end it before" in dry.stdout
        assert run("score", "outputs.jsonl", "-j", remote(server), "--limit", "5", cwd=folder).returncode == 0
        again = run("score", "outputs.jsonl", *judges, "--dry-run", cwd=folder)
        lines = [line.split() for line in again.stdout.splitlines() if "gpt-5-mini@harm5" in line]
        assert lines[0][1:4] == ["12", "5", "7"]  # verdicts, stored, to ask
        assert server.count == 5


def test_a_budget_ends_a_run_and_the_same_command_goes_on(folder: Path) -> None:
    with FakeLLM() as server:
        args = ("score", "outputs.jsonl", "-j", remote(server), "--concurrency", "2")
        first = run(*args, "--max-requests", "5", cwd=folder)
        assert first.returncode == 0
        assert "interjudge: stopped: the limit of 5 requests (--max-requests) is used up." in first.stderr
        assert (server.count, stored(folder / "outputs.db")) == (5, 5)
        assert "7 not run" in first.stdout
        assert run(*args, "-q", "--max-missing", "0", "--max-requests", "1", cwd=folder).returncode == 3
        assert run(*args, cwd=folder).returncode == 0
        assert (server.count, stored(folder / "outputs.db")) == (12, 12)


def test_prices_of_ones_own_make_a_budget_of_any_model(folder: Path) -> None:
    (folder / "prices.toml").write_text('"openai/my-model" = { input = 1000, output = 1000 }\n')
    with FakeLLM() as server:
        args = ("score", "outputs.jsonl", "-j", remote(server, "my-model"), "--max-cost", "4", "--concurrency", "1")
        without = run(*args, cwd=folder)
        assert (without.returncode, server.count) == (2, 0)
        assert "no price is known for 'openai/my-model'" in without.stderr
        done = run(*args, "--prices", "prices.toml", "--out", "v.csv", cwd=folder)
        assert "the limit of $4 (--max-cost) is used up" in done.stderr
        assert 0 < pl.read_csv(folder / "v.csv")["cost_usd"].sum() <= 4.5  # the last one may take more than the others
        less = run(*args, "--prices", "prices.toml", "--max-cost", "0.001", "--store", "new.db", cwd=folder)
        assert "the limit of $0.001 (--max-cost) is less than one verdict may take" in less.stderr
        assert less.returncode == 1
        over = run("score", "outputs.jsonl", "-j", "keyword:default", "--prices", "prices.toml", "--out",
                   "prices.toml", cwd=folder)  # fmt: skip
        assert over.returncode == 2


@pytest.mark.parametrize("option", ["--concurrency=0", "--rpm=0", "--tpm=-1", "--max-cost=-1", "--timeout=0"])
def test_limits_that_are_none_are_bad_usage(folder: Path, option: str) -> None:
    assert run("score", "outputs.jsonl", "-j", "keyword:default", option, cwd=folder).returncode == 2
    assert files(folder) == set()


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_an_interrupt_keeps_what_was_under_way(folder: Path) -> None:
    """12 outputs, four at a time, each after two seconds."""
    with FakeLLM(latency=2.0) as server:
        args = ("score", "outputs.jsonl", "-j", remote(server), "--concurrency", "4")
        process = subprocess.Popen(
            [*COMMAND, *args], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        until = time.monotonic() + 60
        while time.monotonic() < until and server.count < 4:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, (out, err)
        assert "stopping: waiting for 4 requests under way" in err
        assert "stored 4 of 12 verdicts of openai/gpt-5-mini@harm5, in outputs.db. The same command resumes." in err
        assert (server.count, stored(folder / "outputs.db")) == (4, 4)
        server.latency = 0.0
        assert run(*args, cwd=folder).returncode == 0
        assert server.count == 12


def test_a_wrong_key_stops_one_judge_and_is_nowhere(folder: Path) -> None:
    """The server repeats the key in its answer, and everything that can fail does; the key is found in nothing."""
    faults = ("429:0", "500", "drop", "malformed", "html", "half", "truncated", "wrong types", "null", "empty",
              "404:no such thing", "400:bad", "policy")  # fmt: skip
    env = {"CANARY_KEY": KEY, "INTERJUDGE_DEBUG": "1", "COLUMNS": "200", "PYTHONDEVMODE": ""}

    def go(*args: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, "score", "outputs.jsonl", *args]
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **env}
        )

    said = ""
    with FakeLLM(keys={"another"}) as wrong, FakeLLM(plan=dict(enumerate(faults, 1)), keys={KEY}) as right:
        bad = remote(wrong, options="&key_env=CANARY_KEY")
        good = remote(right, "gpt-5-nano", "&key_env=CANARY_KEY")
        done = go("-j", bad, "-j", good, "--out", "v.jsonl", "--concurrency", "3")
        assert done.returncode == 1, done.stderr
        assert "openai/gpt-5-mini@harm5 was stopped" in done.stderr
        assert "401" in done.stderr
        assert "Traceback" not in done.stderr
        assert pl.read_ndjson(folder / "v.jsonl").filter(judge="openai/gpt-5-nano@harm5", status="ok").height >= 8
        said += done.stdout + done.stderr
        quiet = go("-j", bad, "-q", "--store", "w.db")
        said += quiet.stdout + quiet.stderr
        dry = go("-j", bad, "--dry-run")
        shown = run("judges", "show", bad, "--json", cwd=folder)
        said += dry.stdout + dry.stderr + shown.stdout + shown.stderr
        assert right.last[-1].headers["authorization"] == f"Bearer {KEY}"  # it was sent
    assert KEY not in said
    assert "Canary" not in said
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"Canary" not in path.read_bytes(), path.name
