"""`interjudge plan`: files, exit codes, messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

# The command, whether or not it is wired into the application yet.
PROGRAM = """
from interjudge import cli, cli_plan
names = [c.name or getattr(c.callback, "__name__", "") for c in cli.app.registered_commands]
if "plan" not in names:
    cli_plan.register(cli.app)
cli.main()
"""


def run(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "plan", *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "COLUMNS": "120"},
    )


def fails(done: subprocess.CompletedProcess[str], *words: str, code: int = 2) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, 120)
    codes = np.where(rng.random((120, 3)) < [0.9, 0.8, 0.7], true[:, None], 1 - true[:, None])
    names = np.array(["compliance", "refusal"])
    rows = [(f"i{i}", f"j{j}", "ab"[i % 2], str(names[c])) for (i, j), c in np.ndenumerate(codes)]
    pl.DataFrame(rows, schema=["item_id", "judge", "model", "label"], orient="row").write_csv(tmp_path / "v.csv")
    gold = pl.DataFrame({"item_id": [f"i{i}" for i in range(60)], "gold": names[true[:60]].tolist()})
    gold.write_csv(tmp_path / "gold.csv")
    return tmp_path


def test_prints_the_answer_and_the_outputs_to_label(folder: Path) -> None:
    done = run("v.csv", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "To know the rate of “refusal” within ±5 points" in done.stdout
    for title in ("Where the variance", "Reliability of the mean verdict", "What is enough", "Outputs to label next"):
        assert title in done.stdout


def test_writes_json_and_the_table(folder: Path) -> None:
    done = run("v.csv", "-r", "gold.csv", "--json", "p.json", "--out", "next.csv", "--next", "12", "-q", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["wrote", "p.json", "wrote", "next.csv"]
    answer = json.loads((folder / "p.json").read_text())
    assert set(answer) == {"variance", "decision", "undefined", "labels", "labels_undefined", "notes"}
    assert answer["labels"]["source"] == "reference labels"
    assert {c["facet"] for c in answer["variance"]["components"]} == {
        "model", "item", "judge", "judge x model", "residual",
    }  # fmt: skip
    table = pl.read_csv(folder / "next.csv")
    assert table.columns == ["item_id", "why", "p_consensus_wrong", "inclusion_probability"]
    assert table.height == 12
    labelled = {f"i{i}" for i in range(60)}
    assert not labelled & set(table["item_id"])


def test_json_on_stdout_is_alone_there(folder: Path) -> None:
    done = run("v.csv", "--json", "-", "--out", "next.parquet", cwd=folder)
    assert json.loads(done.stdout)["labels"]["next"]["n"] == 20
    assert "To know the rate" in done.stderr
    assert pl.read_parquet(folder / "next.parquet").height == 20


def test_the_table_on_stdout_is_alone_there(folder: Path) -> None:
    done = run("v.csv", "--out", "-", "--next", "3", cwd=folder)
    assert [set(json.loads(line)) for line in done.stdout.splitlines()] == [
        {"item_id", "why", "p_consensus_wrong", "inclusion_probability"}
    ] * 3


def test_same_seed_same_files(folder: Path) -> None:
    for name in ("a", "b"):
        assert run("v.csv", "--json", f"{name}.json", "--out", f"{name}.jsonl", "-q", cwd=folder).returncode == 0
    assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes()
    assert (folder / "a.jsonl").read_bytes() == (folder / "b.jsonl").read_bytes()
    other = run("v.csv", "--out", "c.jsonl", "--seed", "5", "-q", cwd=folder)
    assert other.returncode == 0
    assert (folder / "c.jsonl").read_bytes() != (folder / "a.jsonl").read_bytes()


def test_a_narrower_interval_needs_more_labels(folder: Path) -> None:
    sizes = []
    for width in ("0.2", "0.1"):
        done = run("v.csv", "--width", width, "--json", "-", "-q", cwd=folder)
        sizes.append(json.loads(done.stdout)["labels"]["rate"]["n"])
    assert sizes[1] > 3.5 * sizes[0]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--width", "0"), "width"),
        (("--width", "1.5"), "width"),
        (("--target", "1"), "target"),
        (("--power", "0"), "power"),
        (("--next", "-1"), "--next"),
        (("--random-share", "2"), "--random-share"),
        (("--out", "next.xlsx"), "extension"),
        (("--out", "v.csv"), "never overwritten"),
        (("--json", "v.csv"), "never overwritten"),
        (("--out", "same.csv", "--json", "same.csv"), "two results"),
        (("--reference", "nobody"), "nobody"),
        (("--level", "weird"), "level"),
    ],
)
def test_bad_usage_is_one_message(folder: Path, options: tuple[str, ...], word: str) -> None:
    fails(run("v.csv", *options, cwd=folder), word)


def test_one_judge_gets_words_not_an_error(folder: Path) -> None:
    done = run("v.csv", "-j", "j0", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "cannot be said from this panel: one judge" in done.stdout


def test_help_has_an_example(folder: Path) -> None:
    done = run("--help", cwd=folder)
    assert done.returncode == 0
    assert "Example: interjudge plan" in done.stdout
