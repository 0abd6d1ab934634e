"""A run killed with SIGKILL at any moment loses nothing finished, and two runs at once share one store."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from interjudge.errors import InputError
from interjudge.judges.store import read_store

OUTPUTS = 3000
BATCH = {"slow": 25, "quick": 10}
KILLS = 6

# A real run in a process of its own. Each judge writes down what it is asked before it answers.
RUN = f"""
import os, sys, time
import polars as pl
from interjudge.judges.base import Judge
from interjudge.judges.runner import score

store, log, table = sys.argv[1:4]
file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def asked(name, seconds):
    def evaluate(batch):
        os.write(file, "".join(f"{{name}} {{r}}\\n" for r in batch["response"]).encode())
        time.sleep(seconds)
        number = pl.col("response").cast(pl.Int64)
        status = pl.when(number % 10 == 0).then(pl.lit("parse_error")).otherwise(pl.lit("ok"))
        return batch.select(
            status=status,
            label=pl.when(status == "ok").then(pl.when(number % 3 == 0).then(pl.lit("yes")).otherwise(pl.lit("no"))),
            score=pl.when(status == "ok").then(number / 7),
            raw=pl.lit("judged ") + pl.col("response"),
        )
    return evaluate

outputs = pl.DataFrame({{"response": [str(k) for k in range({OUTPUTS})]}}).with_columns(
    item_id="i" + pl.col("response"), prompt=pl.lit("p")
)
slow = Judge("slow", "rubric", "harm", ("no", "yes"), asked("slow", 0.004), {{}}, batch_size={BATCH["slow"]})
quick = Judge("quick", "keyword", "refusal", ("no", "yes"), asked("quick", 0), {{}}, batch_size={BATCH["quick"]})
score(outputs, [slow, quick], store=store).write_parquet(table)
"""


class Run:
    """One process of the run above; `log` grows over all runs of one folder, unless another is named."""

    def __init__(self, folder: Path, log: str = "asked.log") -> None:
        (folder / "run.py").write_text(RUN)
        self.store, self.log = folder / "verdicts.db", folder / log
        self.table = self.log.with_suffix(".parquet")
        command = [sys.executable, "run.py", self.store, self.log, self.table]
        self.process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE)

    def wait(self) -> pl.DataFrame:
        _, errors = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, errors.decode()
        return pl.read_parquet(self.table)

    def kill_when(self, moment: Callable[[], bool], after: float) -> None:
        while not moment() and self.process.poll() is None:
            time.sleep(0.002)
        time.sleep(after)
        assert self.process.poll() is None, "the run ended before it was killed"
        os.kill(self.process.pid, signal.SIGKILL)
        assert self.process.communicate()[1] == b""

    def asks(self) -> int:
        return self.log.read_bytes().count(b"\n") if self.log.exists() else 0

    def asked(self) -> list[tuple[str, str]]:
        text = self.log.read_text() if self.log.exists() else ""
        return [(judge, f"i{number}") for judge, number in (line.split() for line in text.splitlines())]


def comparable(table: pl.DataFrame) -> pl.DataFrame:
    return table.drop("latency_s", "created_at")


def kept(store: Path) -> set[tuple[str, str]]:
    try:
        return set(read_store(store).select("judge", "item_id").rows())
    except InputError:  # not there yet, or killed while it was made
        return set()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    run = Run(tmp_path_factory.mktemp("undisturbed"))
    table = run.wait()
    assert Counter(run.asked()).most_common(1)[0][1] == 1
    return table


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_killed_runs_resume_to_every_verdict_exactly_once(tmp_path: Path, undisturbed: pl.DataFrame, seed: int) -> None:
    moments = random.Random(seed)
    # shares of all calls at which to kill, in order; the first run dies while its store is being made
    shares = [0.0, *sorted(moments.uniform(0.02, 0.95) for _ in range(KILLS - 1))]
    for share in shares:
        run = Run(tmp_path)
        before, known = len(run.asked()), kept(run.store)
        due = int(share * 2 * OUTPUTS)
        run.kill_when(lambda: run.store.exists() and run.asks() >= due, moments.uniform(0, 0.006))  # noqa: B023
        asked_now = run.asked()[before:]
        assert not known & set(asked_now), "what is stored was asked again"
        assert known <= kept(run.store), "what was stored is gone"
        # All that was asked is stored, but for the batch that was under way.
        lost = set(asked_now) - kept(run.store)
        assert len(lost) <= max(BATCH.values())
    final = Run(tmp_path)
    known = kept(final.store)
    assert len(known) > OUTPUTS  # the killed runs came far: this is about resuming
    before = len(final.asked())
    table = final.wait()
    assert not known & set(final.asked()[before:])
    assert_frame_equal(comparable(table), comparable(undisturbed))
    stored = read_store(final.store)
    assert stored.select("judge", "item_id", "repeat").is_duplicated().sum() == 0
    assert_frame_equal(comparable(stored), comparable(undisturbed))
    assert_frame_equal(table, stored)
    assert len(final.asked()) <= 2 * OUTPUTS + KILLS * max(BATCH.values())
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("verdicts")) == ["verdicts.db"]


@pytest.mark.slow
def test_two_processes_at_once_share_one_store_and_the_work(tmp_path: Path, undisturbed: pl.DataFrame) -> None:
    runs = [Run(tmp_path, "one.log"), Run(tmp_path, "two.log")]
    one, two = (run.wait() for run in runs)
    stored = read_store(runs[0].store)
    assert_frame_equal(comparable(stored), comparable(undisturbed))
    # both answer what is stored, to the last time stamp, whoever was first
    assert_frame_equal(one, two)
    assert_frame_equal(one, stored)
    twice = Counter([*runs[0].asked(), *runs[1].asked()])
    assert len(twice) == 2 * OUTPUTS
    # what both were asking at the same moment; each meets the other's work and goes on elsewhere
    assert sum(n - 1 for n in twice.values()) < OUTPUTS


@pytest.mark.slow
def test_a_run_beside_a_killed_one_is_not_disturbed(tmp_path: Path, undisturbed: pl.DataFrame) -> None:
    victim, other = Run(tmp_path, "victim.log"), Run(tmp_path, "other.log")
    victim.kill_when(lambda: victim.asks() >= 500, 0.001)
    assert_frame_equal(comparable(other.wait()), comparable(undisturbed))
    assert_frame_equal(comparable(read_store(other.store)), comparable(undisturbed))
