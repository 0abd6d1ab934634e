"""The key of a service is in no file, log, traceback, store or report, whatever the server does.

Each API is driven with every fault that the server of the tests can play, hangs among them, and with answers that
repeat the key, which no real server does. What the providers alone say is in tests/judges/test_provider_errors.py.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import traceback
from pathlib import Path

import polars as pl
import pytest
from fake_answers import Asked
from fake_llm import FAULTS, FakeLLM

from interjudge.agreement.analysis import Tables
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.write import write_table
from interjudge.judges.pace import Limits
from interjudge.judges.registry import get_judge
from interjudge.judges.runner import score
from interjudge.judges.store import read_store
from interjudge.pipeline import make_report

KEY = "sk-Canary0123456789abcdefCanary"  # as a real one looks
VARIABLE = "CANARY_KEY"
REPEATED = (f"401:Incorrect API key provided: {KEY}", f"400:Bearer {KEY} may not do this", f"500:key={KEY[:14]}****")
# What stops a judge for good, and so must be met one at a time.
STOPS = {"quota", "401", "402", "403", "404", REPEATED[0]}

APIS = {
    "chat": lambda server: f"openai/m@refusal3?base_url={server.v1}&name=chat",
    "responses": lambda server: f"openai/m@refusal3?base_url={server.v1}&api=responses&name=responses",
    "messages": lambda server: f"anthropic/m@refusal3?base_url={server.url}&name=messages",
}


def outputs_of(n: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"item_id": [f"i{k}" for k in range(n)], "prompt": "p", "response": [f"answer number {k}." for k in range(n)]}
    )


def number_in(asked: Asked) -> int:
    """Which output a request is about; it stands in the first message too where it is asked again."""
    text = f"{asked.system}\n{asked.user}"
    return int(text.partition("answer number ")[2].partition(".")[0])


def assert_nowhere(folder: Path, *texts: str) -> None:
    for text in texts:
        assert "Canary" not in text
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert b"Canary" not in path.read_bytes(), path.name


@pytest.mark.parametrize("api", APIS)
def test_no_fault_brings_the_key_into_store_report_or_log(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One output for each fault, which lasts: it strikes every try, and every repair."""
    monkeypatch.setenv(VARIABLE, KEY)
    for name in ("", "openai", "anthropic", "httpx2", "httpcore2"):
        caplog.set_level(logging.DEBUG, logger=name)
    faults = [fault for fault in (*FAULTS, *REPEATED) if fault not in STOPS]
    told: list[str] = []
    with FakeLLM(plan=lambda asked: dict(enumerate(faults)).get(number_in(asked)), keys={KEY}) as server:
        judge = get_judge(f"{APIS[api](server)}&key_env={VARIABLE}&timeout=3")
        table = score(
            outputs_of(len(faults) + 2), judge, store=tmp_path / "v.db", tell=told.append,
            limits=Limits(tries=2, base_s=0.001, longest_s=0.002),
        )  # fmt: skip
        assert {number_in(asked) for asked in server.last} == set(range(len(faults) + 2))
        assert any(KEY in str(asked.headers) for asked in server.last)  # it was sent
    status = dict(zip([*faults, "none", "none"], table["status"].to_list(), strict=True))
    assert status["none"] in ("ok", "out_of_range")  # the server that ignores a schema is asked in tags from then on
    assert status["hang"] == status[REPEATED[1]] == status[REPEATED[2]] == status["malformed"] == "error"
    for number, fault in enumerate(sorted(STOPS)):  # these end the judge: each in a run of its own
        with FakeLLM(plan=lambda _, f=fault: f, keys={KEY}) as server:
            stopped = get_judge(f"{APIS[api](server)}&key_env={VARIABLE}")
            found = score(outputs_of(3), stopped, store=tmp_path / f"{number}.db", tell=told.append)
            assert set(found["status"]) == {"error"}
            write_table(found, tmp_path / f"{number}.jsonl")
    write_table(table, tmp_path / "v.parquet")
    write_table(table, tmp_path / "v.csv")
    report, _ = make_report(
        Tables(read_store(tmp_path / "v.db"), outputs_of(len(faults) + 2)), tmp_path / "report",
        sampling=Sampling(replicates=0), live=[api],
    )  # fmt: skip
    assert "httpcore2" in caplog.text
    assert_nowhere(tmp_path, caplog.text, *told, repr(judge), str(judge.identity), str(report), str(table.to_dicts()))


@pytest.mark.parametrize("api", APIS)
def test_an_answer_that_repeats_the_key_is_kept_without_it(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    with FakeLLM(keys={KEY}, answer=lambda _: f"You sent me {KEY}.") as server:
        table = score(outputs_of(2), get_judge(f"{APIS[api](server)}&key_env={VARIABLE}"), store=tmp_path / "v.db")
    assert table["status"].to_list() == ["parse_error"] * 2
    assert "You sent me [hidden]." in table["raw"][0]
    assert_nowhere(tmp_path, str(table.to_dicts()))


@pytest.mark.parametrize("api", APIS)
def test_a_defect_in_the_middle_of_a_request_shows_no_key(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback with the local variables of every frame of ours; the store fails while answers come."""
    monkeypatch.setenv(VARIABLE, KEY)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the store is gone")

    monkeypatch.setattr("interjudge.judges.store.Store.put_rows", broken)
    with FakeLLM(keys={KEY}) as server:
        judge = get_judge(f"{APIS[api](server)}&key_env={VARIABLE}")
        with pytest.raises(RuntimeError) as caught:
            score(outputs_of(4), judge, store=tmp_path / "v.db")
        assert server.count
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert_nowhere(tmp_path, "".join(told.format()))


def test_a_whole_run_with_the_loudest_logs_leaves_the_key_nowhere(tmp_path: Path) -> None:
    """`interjudge run` over three APIs in a process of its own, the SDKs' debug logs on its standard error."""
    outputs_of(6).write_ndjson(tmp_path / "o.jsonl")
    faults = {1: "500", 2: f"500:Bearer {KEY}", 3: "429:0", 4: "drop", 5: "malformed", 6: "hang", 7: f"400:{KEY}"}
    env = {VARIABLE: KEY, "INTERJUDGE_DEBUG": "1", "OPENAI_LOG": "debug", "ANTHROPIC_LOG": "debug", "COLUMNS": "200"}
    with FakeLLM(plan=faults, keys={KEY}) as server, FakeLLM(keys={"another"}) as closed:
        judges = [f"{make(server)}&key_env={VARIABLE}&timeout=3" for make in APIS.values()]
        judges.append(f"openai/m@refusal3?base_url={closed.v1}&name=closed&key_env={VARIABLE}")
        listed = ", ".join(f'"{judge}"' for judge in judges)
        (tmp_path / "run.toml").write_text(
            f'outputs = "o.jsonl"\njudge = [{listed}]\n[analysis]\nreplicates = 0\n[report]\nfolder = "r"\n'
        )
        command = [sys.executable, "-c", "from interjudge.cli import main; main()", "run", "run.toml"]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **env}
        )
        assert done.returncode == 1, done.stderr  # one judge's key is wrong
        assert server.count >= 18
        assert KEY in str(server.last[-1].headers)
    assert "closed was stopped" in done.stderr
    assert "HTTP Request" in done.stderr or "HTTP Response" in done.stderr  # the SDKs did log
    assert (tmp_path / "r" / "report.json").exists()
    assert_nowhere(tmp_path, done.stdout, done.stderr)
