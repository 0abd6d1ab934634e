"""`guard check`: one guard asked in several ways, and what is said where they differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from toy_models import examples, toy_model
from typer.testing import CliRunner

from interjudge.cli import app
from interjudge.datasets.demo import load_outputs
from interjudge.errors import InputError
from interjudge.judges.guard_check import check_guard, difference, server_spec
from interjudge.judges.local_passes import Passes
from interjudge.judges.registry import get_judge


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def spec() -> str:
    return f"guard/{toy_model('llama')}?format=llama_guard_3&name=toy"


def answers(**columns: Any) -> pl.DataFrame:
    known = {"item_id": ["a", "b", "c"], "status": ["ok"] * 3, "label": ["safe"] * 3, "score": [0.1, 0.2, 0.3]}
    return pl.DataFrame({**known, **columns})


def test_the_largest_difference_and_where_it_is() -> None:
    """|.2 - .25| = .05 on b is the largest."""
    found = difference("way", answers(), answers(score=[0.1, 0.25, 0.29]))
    assert (found.n, found.item_id, found.other_labels, found.other_status) == (3, "b", 0, 0)
    assert found.largest == pytest.approx(0.05)
    assert found.holds(0.06)
    assert not found.holds(0.04)


def test_another_label_or_status_never_holds() -> None:
    label = difference("way", answers(), answers(label=["safe", "unsafe", "safe"]))
    assert (label.other_labels, label.holds(1.0)) == (1, False)
    failed = answers(status=["ok", "error", "ok"], label=["safe", None, "safe"], score=[0.1, None, 0.3], raw="no reply")
    status = difference("way", answers(), failed)
    assert (status.n, status.other_status, status.why, status.holds(1.0)) == (2, 1, "no reply", False)


def test_where_there_is_no_verdict_nothing_holds(tmp_path: Path) -> None:
    """A guard read as another one: exit code 3, and what was made of its reply."""
    absent = {"label": pl.Series([None] * 3, dtype=pl.String), "score": pl.Series([None] * 3, dtype=pl.Float64)}
    none = answers(status=["parse_error"] * 3, **absent)
    assert difference("way", none, none).holds(1.0) is False
    file = tmp_path / "outputs.parquet"
    load_outputs().head(2).write_parquet(file)
    spec = f"guard/{toy_model('llama')}?format=granite_guardian_3_1&name=toy"
    found = CliRunner().invoke(app, ["guard", "check", spec, "--outputs", str(file)], env={"COLUMNS": "200"})
    assert found.exit_code == 3
    assert found.output.count("NO VERDICT") == 2
    assert "the first verdict that is not ok says: the verdict's words hold 0.0" in found.output


def test_labels_alone_are_compared_where_there_is_no_probability() -> None:
    found = difference("way", answers(), answers(score=pl.Series([None, None, None], dtype=pl.Float64)))
    assert (found.n, found.largest, found.without, found.holds(0.0)) == (0, None, 3, True)


def test_the_toy_guard_answers_the_same_in_every_way(spec: str) -> None:
    table = load_outputs().head(20)
    alone, found = check_guard(get_judge(spec), table)
    assert alone["status"].to_list() == ["ok"] * 20
    assert [one.way for one in found] == ["batches", "batches, prefix once"]
    for one in found:
        assert (one.n, one.other_labels, one.other_status) == (20, 0, 0)
        assert one.largest is not None
        assert one.largest < 1e-3


def test_a_mistake_in_padding_is_found(spec: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the mask of the padding, batches answer something else (by 1e-4 here, else 3e-7): exit code 3."""
    real = Passes._call

    def unmasked(self: Passes, **words: Any) -> Any:
        words.pop("attention_mask", None)
        return real(self, **words)

    file = tmp_path / "outputs.parquet"
    load_outputs().head(20).write_parquet(file)
    arguments = ["guard", "check", spec, "--outputs", str(file), "--limit", "20", "--tolerance", "1e-5"]
    good = CliRunner().invoke(app, arguments)
    assert good.exit_code == 0, good.output
    assert good.output.count("holds") == 2
    monkeypatch.setattr(Passes, "_call", unmasked)
    bad = CliRunner().invoke(app, arguments)
    assert bad.exit_code == 3
    assert "DIFFERS" in bad.output


def test_a_server_that_does_not_answer_is_said(spec: str, tmp_path: Path) -> None:
    file = tmp_path / "outputs.parquet"
    load_outputs().head(2).write_parquet(file)
    bad = CliRunner().invoke(
        app,
        ["guard", "check", spec, "--outputs", str(file), "--base-url", "http://127.0.0.1:1/v1"],
        env={"COLUMNS": "200"},
    )
    assert bad.exit_code == 3
    assert "server: " in bad.output


def test_the_same_guard_behind_a_server_is_not_told_of_this_machine() -> None:
    found = server_spec("guard/granite-guardian-3.3-8b?risk=jailbreak&dtype=bfloat16&device=cpu", "http://h:1/v1", "g")
    assert found == "guard/granite-guardian-3.3-8b?risk=jailbreak&base_url=http://h:1/v1&model=g"


def test_a_judge_that_is_no_local_guard_is_refused() -> None:
    with pytest.raises(InputError, match="does not run on this machine"):
        check_guard(get_judge("keyword:default"), examples())
