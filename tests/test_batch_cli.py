"""`interjudge score --batch`: send, come back later, collect; other judges are asked as ever."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from fake_batch import FakeBatch, Script
from typer.testing import CliRunner

from interjudge.cli import app
from interjudge.errors import InputError


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    frame = pl.DataFrame(
        {"item_id": [str(i) for i in range(5)], "prompt": "p", "response": [f"answer {i}" for i in range(5)]}
    )
    frame.write_parquet(tmp_path / "o.parquet")
    return tmp_path


def test_batches_are_sent_and_collected_by_the_same_command(outputs: Path) -> None:
    with FakeBatch(script=lambda _: Script(states=("validating", "in_progress", "completed"))) as server:
        judge = f"openai/m@safe2?base_url={server.v1}"
        command = [
            "score",
            "o.parquet",
            "-j",
            judge,
            "-j",
            "keyword:default",
            "--batch",
            "--no-wait",
            "--out",
            "v.parquet",
        ]
        for _ in range(6):
            done = CliRunner().invoke(app, command)
            assert done.exit_code == 0, done.output
            if (outputs / "v.parquet").exists():
                break
            assert "the same command collects" in done.output
        verdicts = pl.read_parquet("v.parquet")
        assert len(server.batches) == 1
    assert verdicts.height == 10
    assert verdicts.group_by("judge").len().sort("judge")["len"].to_list() == [5, 5]


def test_a_judge_without_a_batch_api_is_refused(outputs: Path) -> None:
    done = CliRunner().invoke(app, ["score", str(outputs / "o.parquet"), "-j", "keyword:default", "--batch", "-q"])
    assert isinstance(done.exception, InputError)
    assert "no judge here has a batch API" in str(done.exception)
