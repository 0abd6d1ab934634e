"""Three judges over two APIs through a server that fails in every way, killed with SIGKILL ten times and resumed."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from fake_answers import hashed
from fake_llm import FakeLLM
from polars.testing import assert_frame_equal

from interjudge.errors import InterjudgeError
from interjudge.judges.store import read_store

OUTPUTS = 2000
KILLS = 10
SLOTS = 8  # for each provider; two of the judges share one
PROVIDERS = 2
NUMBER = re.compile(r"response-(\d+)-")

# What strikes one try, and never after the fifth; the runner tries six times.
PASSING = {"429": 0.03, "429:0": 0.01, "500": 0.02, "drop": 0.01, "malformed": 0.01, "html": 0.01, "half": 0.005,
           "truncated": 0.005, "wrong types": 0.005, "null": 0.005, "slow:0.05": 0.01, "close": 0.01}  # fmt: skip
HARMLESS = {"slow", "close"}  # the answer comes all the same
# What strikes one output for ever, and the status that it must have (but see `status`).
LASTING = {"filtered": ("filtered", 0.02), "refused": ("judge_refused", 0.02), "policy": ("filtered", 0.01),
           "400:this is too long": ("error", 0.01), "out of scale": ("out_of_range", 0.01)}  # fmt: skip

# A run in a process of its own: it loads everything, says so, and begins when it is told to.
RUN = f"""
import sys
import polars as pl
import anthropic, openai
from interjudge.judges.pace import Limits
from interjudge.judges.registry import get_judge
from interjudge.judges.runner import score

v1, url, store, table = sys.argv[1:5]
outputs = pl.DataFrame({{"item_id": [f"i{{k}}" for k in range({OUTPUTS})], "prompt": "Say it.",
                         "response": [f"response-{{k}}-" for k in range({OUTPUTS})]}})
judges = [
    get_judge(f"openai/gpt-5-mini@harm5?timeout=10&base_url={{v1}}"),
    get_judge(f"openai/gpt-5-nano@refusal3?timeout=10&api=responses&base_url={{v1}}"),
    get_judge(f"anthropic/claude-haiku-4-5@safe2?timeout=10&base_url={{url}}"),
]
print("ready", flush=True)
sys.stdin.readline()
limits = Limits(concurrency={SLOTS}, base_s=0.01, longest_s=0.1)
score(outputs, judges, store=store, limits=limits, tell=lambda _: None).write_parquet(table)
"""


class Script:
    """The server's faults, by what it is asked about; and what it was asked, for the reckoning."""

    def __init__(self) -> None:
        self.tries: Counter[tuple[str, str]] = Counter()
        self.struck: Counter[tuple[str, str]] = Counter()  # by a fault after which it must be asked again

    def __call__(self, asked) -> str | None:  # type: ignore[no-untyped-def]
        found = NUMBER.search(f"{asked.user}\n{asked.system}")
        assert found is not None
        key = (asked.model, f"i{found[1]}")
        self.tries[key] += 1
        passing = drawn(PASSING, f"{key} {self.tries[key]}") if self.tries[key] <= 5 else None
        if passing is None or passing.partition(":")[0] in HARMLESS:
            return lasting(*key) or passing
        self.struck[key] += 1
        return passing


def drawn(shares: dict[str, float], what: str) -> str | None:
    left = hashed(what) / 2**32
    for fault, share in shares.items():
        if left < share:
            return fault
        left -= share
    return None


def lasting(model: str, item: str) -> str | None:
    return drawn({fault: share for fault, (_, share) in LASTING.items()}, f"for ever {model} {item}")


def status(model: str, item: str) -> str:
    fault = lasting(model, item)
    if fault == "filtered" and model.startswith("claude"):
        return "judge_refused"  # the Messages API says the same of both: stop_reason "refusal"
    if fault == "out of scale" and model != "gpt-5-mini":
        return "parse_error"  # the number 999 where one of several words is asked for
    return "ok" if fault is None else LASTING[fault][0]


class Run:
    """One process of the run above, loaded and waiting."""

    def __init__(self, folder: Path, server: FakeLLM) -> None:
        self.store, self.table = folder / "verdicts.db", folder / "verdicts.parquet"
        (folder / "run.py").write_text(RUN)
        command = [sys.executable, "run.py", server.v1, server.url, str(self.store), str(self.table)]
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def begin(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self.process.communicate()
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        assert self.process.poll() is None, self.process.communicate()
        os.kill(self.process.pid, signal.SIGKILL)
        assert self.process.communicate()[1] == ""


def stored(store: Path) -> pl.DataFrame | None:
    try:
        return read_store(store)
    except InterjudgeError:  # not there yet, or killed while it was made
        return None


@pytest.mark.slow
def test_killed_ten_times_every_verdict_is_there_once_and_no_more_was_asked_than_was_under_way(tmp_path: Path) -> None:
    script, moments = Script(), random.Random(0)
    with FakeLLM(plan=script) as server:
        waiting = Run(tmp_path, server)
        shares = sorted(moments.uniform(0.02, 0.93) for _ in range(KILLS))
        known: set[tuple[str, str]] = set()
        for share in shares:
            run, waiting = waiting, Run(tmp_path, server)
            run.begin()
            due = int(share * 3 * OUTPUTS)
            while server.count < due and run.process.poll() is None:
                time.sleep(0.002)
            run.kill()
            table = stored(run.store)
            now = set() if table is None else set(table.select("judge", "item_id").rows())
            assert known <= now, "what was stored is gone"
            known = now
        assert len(known) > OUTPUTS  # the killed runs came far: this is about resuming
        waiting.begin()
        _, errors = waiting.process.communicate(timeout=120)
        assert waiting.process.returncode == 0, errors

    final = pl.read_parquet(waiting.table)
    assert_frame_equal(final, read_store(waiting.store))
    assert final.select("judge", "item_id", "repeat").is_duplicated().sum() == 0
    assert final.height == 3 * OUTPUTS
    models = {judge: judge.split("/")[1].split("@")[0] for judge in final["judge"].unique()}
    expected = [status(models[judge], item) for judge, item in final.select("judge", "item_id").iter_rows()]
    assert final["status"].cast(pl.String).to_list() == expected
    assert set(expected) == {"ok", "filtered", "judge_refused", "error", "out_of_range", "parse_error"}

    # Needed: one request for each verdict, one for each that was struck, and one that repairs what is out of scale.
    needed = Counter({key: 1 + script.struck[key] for key in script.tries})
    needed.update({key: 1 for key in script.tries if lasting(*key) == "out of scale"})
    assert len(needed) == 3 * OUTPUTS
    beyond = {key: script.tries[key] - n for key, n in needed.items() if script.tries[key] != n}
    # What ended in an error is asked again by every run, once.
    errors_again = [beyond.pop(key, 0) for key in needed if status(*key) == "error"]
    assert max(errors_again) <= KILLS
    assert all(n > 0 for n in beyond.values()), beyond
    assert sum(beyond.values()) <= KILLS * PROVIDERS * SLOTS
    assert server.count == sum(script.tries.values())
