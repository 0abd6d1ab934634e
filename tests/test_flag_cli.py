"""`interjudge flag` as a user types it: which verdicts it picks, what it reads for reasons, what it refuses."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from interjudge.agreement.analysis import Tables
from interjudge.cli import app
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError
from interjudge.side_evidence import readers, side_evidence

N = 120


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Three judges of 120 outputs, two of them better; a tenth of the responses is gibberish, 40 have a label."""
    rng = np.random.default_rng(0)
    truth = rng.random(N) < 0.4
    ids = [f"i{i:03d}" for i in range(N)]
    rows = [
        (item, name, "unsafe" if t == (rng.random() < right) else "safe")
        for name, right in (("a", 0.92), ("b", 0.9), ("c", 0.65))
        for item, t in zip(ids, truth, strict=True)
    ]
    table = pl.DataFrame(rows, schema=["item_id", "judge", "label"], orient="row")
    table = table.with_columns(construct=pl.lit("harm"))
    table.write_parquet(tmp_path / "v.parquet")
    gibberish = "the the the the the the the the the the the the the the the the"
    text = "Mix the flour with warm water, let the dough rest for an hour, and bake it until the crust is brown."
    responses = [gibberish if i % 10 == 0 else text for i in range(N)]
    pl.DataFrame({"item_id": ids, "prompt": "How do I bake bread?", "response": responses}).write_parquet(
        tmp_path / "o.parquet"
    )
    gold = pl.DataFrame({"item_id": ids, "gold": np.where(truth, "unsafe", "safe")}).head(40)
    gold.write_parquet(tmp_path / "g.parquet")
    return tmp_path


def flag(folder: Path, *args: str) -> tuple[pl.DataFrame, str]:
    out = folder / "f.parquet"
    done = CliRunner().invoke(app, ["flag", str(folder / "v.parquet"), "--out", str(out), *args])
    assert done.exit_code == 0, done.output
    return pl.read_parquet(out), done.output


def test_a_budget_is_spent_to_the_last_verdict_and_on_the_most_doubtful(files: Path) -> None:
    found, said = flag(files, "--budget", "12")
    chosen = found.filter("flagged")
    assert chosen.height == 12
    assert "the 12 verdicts most likely wrong" in said
    rest = found.filter(~pl.col("flagged"))
    others = rest.join(chosen.select("item_id"), on="item_id", how="anti")["p_wrong"]
    assert chosen["p_wrong"].min() >= others.quantile(0.9)  # type: ignore[operator]


def test_a_share_of_false_alarms_is_kept_in_expectation(files: Path) -> None:
    found, _ = flag(files, "--fdr", "0.25")
    chosen = found.filter("flagged")
    assert chosen.height
    assert 1 - chosen["p_wrong"].mean() <= 0.25  # type: ignore[operator]
    assert flag(files, "--fdr", "0")[0]["flagged"].sum() == 0


def test_labels_are_not_looked_at_twice_and_check_the_probabilities(files: Path) -> None:
    found, said = flag(files, "--gold", str(files / "g.parquet"), "--budget", "30")
    labelled = pl.read_parquet(files / "g.parquet")["item_id"].to_list()
    assert not set(found.filter("flagged")["item_id"]) & set(labelled)
    assert "Given half of the reference labels" in said
    assert "Did the probabilities hold?" in said


def test_responses_are_read_for_reasons_where_nobody_judged_them(files: Path) -> None:
    found, said = flag(files, "--outputs", str(files / "o.parquet"))
    assert "coherence:heuristic" in said
    incoherent = found.filter(pl.col("reasons").list.contains("incoherent output"))["item_id"].unique()
    assert set(incoherent) == {f"i{i:03d}" for i in range(0, N, 10)}
    assert set(found["judge"]) == {"a", "b", "c"}  # the readers are no part of the panel


def test_only_what_nobody_measures_is_read(files: Path) -> None:
    verdicts = read_verdicts(str(files / "v.parquet"))
    outputs = pl.read_parquet(files / "o.parquet")
    assert readers(side_evidence(Tables(verdicts, outputs))) == ("coherence:heuristic", "keyword:default")
    coherent = verdicts.with_columns(construct=pl.lit("coherence"), judge=pl.lit("d"))
    both = Tables(pl.concat([verdicts, coherent]), outputs)
    assert readers(side_evidence(both)) == ("keyword:default",)
    assert side_evidence(Tables(verdicts)) is None


@pytest.mark.parametrize(
    "args", [("--at", "0.5", "--budget", "3"), ("--budget", "3", "--fdr", "0.1"), ("--at", "0.9", "--fdr", "0.1")]
)
def test_two_rules_are_refused(files: Path, args: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, ["flag", str(files / "v.parquet"), "--out", str(files / "f.parquet"), *args])
    assert isinstance(done.exception, InputError)
    assert "exclude each other" in str(done.exception)
    assert not (files / "f.parquet").exists()


def test_the_same_command_writes_the_same_bytes(files: Path) -> None:
    written = []
    for _ in range(2):
        found, _ = flag(files, "--budget", "7", "--outputs", str(files / "o.parquet"))
        buffer = io.BytesIO()
        found.write_ipc(buffer)
        written.append(buffer.getvalue())
    assert written[0] == written[1]
