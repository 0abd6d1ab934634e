"""A run of a local guard that is killed goes on where it was: what was stored is not asked again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from toy_models import toy_model

import interjudge
from interjudge.datasets.demo import load_outputs
from interjudge.judges.local_passes import Passes

_COMMAND = "from interjudge.cli import main; main()"


def stored(file: Path) -> int:
    if not file.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as store:
            return int(store.execute("SELECT count(*) FROM verdicts").fetchone()[0])
    except sqlite3.OperationalError:  # its tables are just being made
        return 0


@pytest.mark.slow
def test_a_killed_run_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 after the first batches; the same command asks about the rest alone, and all verdicts are there."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    outputs = load_outputs()
    file, store = tmp_path / "outputs.parquet", tmp_path / "v.db"
    outputs.write_parquet(file)
    spec = f"guard/{toy_model('llama')}?format=llama_guard_3&name=toy&batch_size=8&batch_tokens=1"
    command = [sys.executable, "-c", _COMMAND, "score", str(file), "-j", spec, "--store", str(store), "--quiet"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, cwd=tmp_path)
    try:
        end = time.monotonic() + 120
        while stored(store) < 16 and time.monotonic() < end and process.poll() is None:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = stored(store)
    assert 16 <= done < outputs.height
    asked = 0
    real = Passes.next_tokens

    def counted(self: Passes, rows: list[list[int]], prefix: object, shared: int) -> object:
        nonlocal asked
        asked += len(rows)
        return real(self, rows, prefix, shared)

    monkeypatch.setattr(Passes, "next_tokens", counted)
    verdicts = interjudge.score(file, spec, store=store)
    distinct = outputs.select("prompt", "response").unique().height
    assert asked == distinct - done
    assert verdicts.filter(pl.col("status") == "ok").height == outputs.height
