"""`interjudge report --compare`: files, exit codes, messages."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from in_process import run_here


def run(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run_here("report", *args, cwd=cwd)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two reports on the same 120 outputs; in the new one j2 is right more often (.9 instead of .6)."""
    path = tmp_path_factory.mktemp("reports")
    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, 120)
    draws = rng.random((120, 3))
    names = np.array(["compliance", "refusal"])
    for report, third in (("old", 0.6), ("new", 0.9)):
        codes = np.where(draws < [0.9, 0.9, third], true[:, None], 1 - true[:, None])
        rows = [(f"i{i}", f"j{j}", "ab"[i % 2], str(names[c])) for (i, j), c in np.ndenumerate(codes)]
        table = pl.DataFrame(rows, schema=["item_id", "judge", "model", "label"], orient="row")
        table.write_csv(path / f"{report}.csv")
        done = run(f"{report}.csv", "--out", report, "--quiet", "--replicates", "200", cwd=path)
        assert done.returncode == 0, done.stderr
    return path


def test_it_prints_and_writes_what_changed(folder: Path) -> None:
    done = run("--compare", "old/report.json", "new/report.json", "--out", "changes", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Krippendorff's alpha went from" in done.stdout
    assert "a clear change" in done.stdout
    found = json.loads((folder / "changes" / "compare.json").read_text())
    alpha = next(c for c in found["changes"]["questions"][0]["coefficients"] if c["name"] == "krippendorff_alpha")
    assert alpha["difference"]["ci_low"] > 0
    for side in ("old", "new"):
        wanted = json.loads((folder / side / "report.json").read_text())["questions"][0]["agreement"]["coefficients"]
        value = next(c["value"] for c in wanted if c["name"] == "krippendorff_alpha")
        assert alpha[side]["value"] == value
    assert (folder / "changes" / "compare.md").read_text().startswith("# What changed between two reports\n")


def test_it_is_the_same_both_times_and_quiet_where_asked(folder: Path) -> None:
    once = run("old/report.json", "new/report.json", "--compare", cwd=folder)
    assert once.stdout == run("--compare", "old/report.json", "new/report.json", cwd=folder).stdout
    assert run("--compare", "old/report.json", "new/report.json", "-q", cwd=folder).stdout == ""


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--compare", "old/report.json"), "--compare takes two reports; found 1 files"),
        (("--compare", "old/report.json", "old.csv"), "old.csv, line 1: is no JSON"),
        (("--compare", "old/report.json", "none.json"), "none.json: there is no such file"),
        (("--compare", "old/report.json", "new/report.json", "--construct", "harm"), "reads two reports as they are"),
        (("--compare", "old/report.json", "new/report.json", "--out", "old.csv"), "old.csv: is a file"),
        (("--compare", "old/report.json", "new/report.json", "--redact"), "made with --redact"),
        (("old.csv",), "the folder of the report is missing; expected --out DIR"),
    ],
)
def test_bad_words_are_said_in_one_line(folder: Path, args: tuple[str, ...], words: str) -> None:
    done = run(*args, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
