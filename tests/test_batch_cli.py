"""`interjudge score --batch`: send, come back later, collect; other judges are asked as ever."""

from __future__ import annotations

import re
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


@pytest.mark.usefixtures("outputs")
def test_what_lies_in_a_batch_is_not_asked_for_one_by_one() -> None:
    """Three of five outputs are sent in a batch; a run without --batch asks for the other two, and says so."""
    with FakeBatch() as server:
        spec = f"openai/m@safe2?base_url={server.v1}"
        score = ["score", "o.parquet", "-j", spec, "--store", "s.db"]
        sent = CliRunner().invoke(app, [*score, "--limit", "3", "--batch", "--no-wait"])
        assert sent.exit_code == 0, sent.output
        plan = CliRunner().invoke(app, [*score, "--dry-run"])
        assert "3 more lie in a batch under way" in plan.output
        done = CliRunner().invoke(app, [*score, "--out", "v.parquet"])
        assert done.exit_code == 0, done.output
        assert "3 verdicts were not asked for, since they lie in a batch under way: --batch collects" in done.output
        assert server.singles == 2
    verdicts = pl.read_parquet("v.parquet")
    assert verdicts["status"].to_list() == ["not_run"] * 3 + ["ok"] * 2
    assert verdicts["raw"][0] == "not asked: it lies in a batch under way"


@pytest.mark.usefixtures("outputs")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--max-requests", "4"), r"batches would take 5 requests, and they are sent as a whole; found a limit of 4"),
        (("--max-cost", "0.000001"), r"batches might cost \$0\.\d+, and they are sent as a whole; found a limit of"),
        (("--redo",), r"--batch does not go with --redo"),
    ],
)
def test_what_a_budget_could_not_end_is_not_sent(options: tuple[str, ...], words: str) -> None:
    with FakeBatch() as server:
        judge = f"openai/gpt-5-mini@safe2?base_url={server.v1}"
        score = ["score", "o.parquet", "-j", judge, "--batch", "--no-wait"]
        done = CliRunner().invoke(app, [*score, *options])
        assert isinstance(done.exception, InputError)
        assert re.search(words, str(done.exception))
        assert not server.batches
        assert CliRunner().invoke(app, [*score, "--max-requests", "5", "--max-cost", "1"]).exit_code == 0
        assert len(server.batches) == 1


def test_a_run_may_ask_through_batches(outputs: Path) -> None:
    with FakeBatch() as server:
        (outputs / "run.toml").write_text(
            f"""
            outputs = "o.parquet"
            judge = ["keyword:default", "openai/m@refusal3?base_url={server.v1}&name=m"]
            limits = {{ batch = true }}
            """
        )
        first = CliRunner().invoke(app, ["run", "run.toml", "--no-wait"])
        assert first.exit_code == 0, first.output
        assert "asked through batch APIs where there is one" in first.output
        assert "the same command collects what is finished by then" in first.output
        assert not (outputs / "report").exists()
        for _ in range(5):
            done = CliRunner().invoke(app, ["run", "run.toml", "--no-wait", "-q"])
            assert done.exit_code == 0, done.output
        assert len(server.batches) == 1
    verdicts = pl.read_parquet("report/verdicts.parquet")
    assert verdicts["judge"].unique(maintain_order=True).to_list() == ["keyword:default", "m"]
    assert verdicts["status"].unique().to_list() == ["ok"]


def test_a_judge_without_a_batch_api_is_refused(outputs: Path) -> None:
    done = CliRunner().invoke(app, ["score", str(outputs / "o.parquet"), "-j", "keyword:default", "--batch", "-q"])
    assert isinstance(done.exception, InputError)
    assert "no judge here has a batch API" in str(done.exception)
