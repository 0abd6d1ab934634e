"""`--redact`: no file that a command writes holds a prompt, a response, or what a judge wrote of them."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from page_data import tables
from typer.testing import CliRunner

from interjudge.cli import app
from interjudge.errors import InputError
from interjudge.pipeline import run_demo
from interjudge.reports.explorer import unpack

CANARY = "canary-7f3a91"


def marked(text: str) -> str:
    """A canary in the texts alone: names stay in a report."""
    return f"{text} {CANARY}" if text.startswith(("prompt", "response", "because", "raw")) else text


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marked")
    given = tables(marked)
    assert given.outputs is not None
    given.outputs.write_parquet(folder / "outputs.parquet")
    given.verdicts.write_parquet(folder / "verdicts.parquet")
    # A keyword judge that quotes what it finds, for `run`.
    lines = [{"prompt": f"Say {CANARY} {i}", "response": f"I'm sorry, I can't say {CANARY} {i}."} for i in range(30)]
    (folder / "out.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return folder


def contents(path: Path) -> Iterator[str]:
    """The bytes of a file as text, and all that is compressed inside it."""
    yield path.read_bytes().decode("latin-1")
    if path.suffix == ".parquet":
        yield pl.read_parquet(path).write_json()
    if path.suffix == ".html":
        page = path.read_text(encoding="utf-8")
        for packed in re.findall(r'<script type="text/plain" id="[\w-]+">([^<]*)</script>', page):
            yield json.dumps(unpack(packed))
    if path.suffix == ".db":
        with sqlite3.connect(path) as db:
            yield "\n".join(db.iterdump())
        db.close()


def holding(folder: Path, words: str) -> set[str]:
    """The files in which the words stand."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert found
    return {path.name for path in found if any(words in text for text in contents(path))}


def invoke(*arguments: object) -> None:
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert CANARY not in done.output


def test_a_report_holds_texts_and_redacted_none(files: Path, tmp_path: Path) -> None:
    given = [files / "verdicts.parquet", "--outputs", files / "outputs.parquet", "--replicates", 20]
    CliRunner().invoke(app, ["report", *map(str, given), "--out", str(tmp_path / "whole"), "--quiet"])
    assert holding(tmp_path / "whole", CANARY) == {"report.html", "report.md", "report.json"}
    invoke("report", *given, "--out", tmp_path / "redacted", "--redact", "--full")
    assert holding(tmp_path / "redacted", CANARY) == set()
    for name in ("report.html", "report.md"):
        assert "left out of this report" in (tmp_path / "redacted" / name).read_text(encoding="utf-8")
    assert json.loads((tmp_path / "redacted" / "report.json").read_bytes())["redacted"] is True


def test_slices_by_a_text_are_refused(files: Path, tmp_path: Path) -> None:
    given = [str(files / "verdicts.parquet"), "--outputs", str(files / "outputs.parquet"), "--by", "prompt"]
    with pytest.raises(InputError, match="--by prompt would write these texts"):
        CliRunner().invoke(app, ["report", *given, "--out", str(tmp_path), "--redact"], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("redact", [False, True])
def test_a_run_keeps_no_text_in_its_folder_nor_in_its_store(files: Path, tmp_path: Path, redact: bool) -> None:
    (tmp_path / "run.toml").write_text(
        f'outputs = "{files}/out.jsonl"\nstore = "made/v.db"\n[analysis]\nreplicates = 20\n[report]\nfolder = "made"\n'
        f"redact = {str(redact).lower()}\n[[judge]]\nname = 'keyword:default'\n[[judge]]\nname = 'keyword:prefix'\n"
    )
    (tmp_path / "made").mkdir()
    done = CliRunner().invoke(app, ["run", str(tmp_path / "run.toml"), "--quiet"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert (holding(tmp_path / "made", CANARY) == set()) is redact
    # What the judge found in the response is a quotation of it.
    assert ({"verdicts.parquet", "v.db"} <= holding(tmp_path / "made", "i'm sorry")) is not redact


def test_the_demo_without_texts(tmp_path: Path) -> None:
    run_demo(tmp_path / "demo", redact=True)
    from interjudge.datasets.demo import load_outputs

    outputs = load_outputs()
    for text in (outputs["prompt"][0], outputs["prompt"][100], outputs["response"][5][:40]):
        assert holding(tmp_path / "demo", text) == set()
    assert "prompt" not in pl.read_parquet(tmp_path / "demo" / "outputs.parquet").columns
    run_demo(tmp_path / "demo", redact=True)  # its own folder is no foreign one
    run_demo(tmp_path / "demo")
    with pytest.raises(InputError, match="holds a demo with its texts"):
        run_demo(tmp_path / "demo", redact=True)
