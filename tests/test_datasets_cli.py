"""`interjudge datasets`: the list, the licence before anything is fetched, tables out of a set."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from file_server import Files, serve_files
from in_process import run_here

from interjudge.cli_datasets import get
from interjudge.errors import InputError

CROWD = b"question,worker,answer\n" + b"".join(
    f"{q},{w},{(q + (w == 2 and q % 3 == 0)) % 2}\n".encode() for q in range(30) for w in range(3)
)
TRUTH = b"question,truth\n" + b"".join(f"{q},{q % 2}\n".encode() for q in range(30))


def run(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run_here("datasets", *args, cwd=cwd)


@pytest.fixture
def server() -> Iterator[Files]:
    with serve_files({"answer.csv": CROWD, "truth.csv": TRUTH}) as files:
        yield files


@pytest.fixture
def folder(server: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list of our own with one set on the server, and an empty cache."""
    monkeypatch.setenv("INTERJUDGE_CACHE", str(tmp_path / "cache"))
    lines = [
        "[sets.toy]", 'title = "A toy crowd"', 'about = "30 questions by three workers"', 'licence = "CC0-1.0"',
        'terms = "none"', 'page = "https://example.org"', f'base = "{server.url}"',
    ]  # fmt: skip
    for name, body in (("answer.csv", CROWD), ("truth.csv", TRUTH)):
        sha = hashlib.sha256(body).hexdigest()
        lines += ["[[sets.toy.files]]", f'path = "{name}"', f'sha256 = "{sha}"', f"size = {len(body)}"]
    (tmp_path / "sets.toml").write_text("\n".join(lines))
    return tmp_path


def test_the_list_says_what_is_here(folder: Path) -> None:
    done = run("list", "--sets", "sets.toml", cwd=folder)
    assert done.returncode == 0
    assert "toy" in done.stdout
    assert "CC0-1.0" in done.stdout
    assert "fetched" not in done.stdout
    assert run("get", "toy", "--yes", "--sets", "sets.toml", cwd=folder).returncode == 0
    assert "fetched" in run("list", "--sets", "sets.toml", cwd=folder).stdout
    built_in = run(cwd=folder)
    assert built_in.returncode == 0
    for name in ("xstest", "jailbreakbench", "purseclab"):
        assert name in built_in.stdout


def test_show_says_licence_and_place(folder: Path, server: Files) -> None:
    done = run("show", "toy", "--sets", "sets.toml", cwd=folder)
    assert done.returncode == 0
    for words in ("licence:     CC0-1.0", "terms:       none", f"{server.url}/answer.csv", "SHA-256:"):
        assert words in done.stdout
    found = json.loads(run("show", "toy", "--json", "--sets", "sets.toml", cwd=folder).stdout)
    assert [file["size"] for file in found["files"]] == [len(CROWD), len(TRUTH)]
    assert server.asked == []


def test_nothing_is_fetched_before_the_licence_is_accepted(folder: Path, server: Files) -> None:
    done = run("get", "toy", "--sets", "sets.toml", cwd=folder)
    assert done.returncode == 2
    assert "licence:     CC0-1.0" in done.stderr
    assert done.stderr.endswith("toy: its licence is to be accepted first; expected --yes\n")
    assert server.asked == []


def test_a_licence_that_is_refused_at_the_terminal_is_bad_usage(
    folder: Path, server: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    with pytest.raises(InputError, match="was not accepted; nothing was fetched") as found:
        get("toy", sets=Path("sets.toml"))
    assert found.value.exit_code == 2
    assert server.asked == []


def test_without_a_folder_it_says_where_the_files_are(folder: Path) -> None:
    done = run("get", "toy", "--yes", "--sets", "sets.toml", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [Path(line).read_bytes() for line in done.stdout.splitlines()] == [CROWD, TRUTH]


def test_the_tables_are_those_of_the_files(folder: Path, server: Files) -> None:
    done = run("get", "toy", "--yes", "--quiet", "--out", "toy", "--sets", "sets.toml", cwd=folder)
    assert done.returncode == 0, done.stderr
    verdicts = pl.read_parquet(folder / "toy" / "verdicts.parquet")
    assert verdicts.height == 90
    assert verdicts["judge"].n_unique() == 3
    assert set(verdicts["judge_kind"]) == {"human"}
    gold = pl.read_parquet(folder / "toy" / "reference.parquet")
    # the label of question q is q % 2
    assert dict(gold.select("item_id", "gold").sort("item_id").iter_rows())["1"] == "1"
    assert gold.height == 30
    again = run("get", "toy", "--quiet", "--out", "toy", "--sets", "sets.toml", cwd=folder)  # accepted once
    assert again.returncode == 0
    assert len(server.asked) == 2
    agreed = run_here("agree", "toy/verdicts.parquet", "--reference", "toy/reference.parquet", "-q", cwd=folder)
    assert agreed.returncode == 0, agreed.stderr


def test_a_wrong_file_and_no_network_are_said_in_one_line(folder: Path, server: Files) -> None:
    server.content["truth.csv"] = TRUTH[:-1]
    done = run("get", "toy", "--yes", "--quiet", "--sets", "sets.toml", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "another SHA-256" in done.stderr


def test_bad_words_are_said_in_one_line(folder: Path) -> None:
    for args, words in (
        (("show", "purseclap"), "did you mean 'purseclab'"),
        (("get", "toy", "--sets", "none.toml"), "none.toml: there is no such file"),
        (("get", "toy", "--yes", "--out", "sets.toml", "--sets", "sets.toml"), "sets.toml: is a file"),
    ):
        done = run(*args, cwd=folder)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert words in done.stderr


@pytest.mark.parametrize(
    ("name", "judges", "items"),
    [
        ("xstest", 4, 450),
        ("jailbreakbench", 2, 246),  # 64 + 82 + 100 of 300 attempts have an answer
        ("purseclab", 3, 300),
        ("alttest-lgbteen", 10, 880),
        ("crowd-dog", 109, 807),
        ("pyrit-violence", 4, 187),
    ],
)
def test_every_set_that_is_listed_becomes_tables(
    name: str, judges: int, items: int, panels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the published files, put into the cache as the message for those without a network says."""
    from interjudge.datasets.public import place_of, public_set  # the one place that knows

    monkeypatch.setenv("INTERJUDGE_CACHE", str(tmp_path / "cache"))
    by_sha = {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in (panels.parent / "raw").rglob("*.*")}
    one = public_set(name)
    for file in one.files:
        place = place_of(one, file, tmp_path / "cache")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(by_sha[file.sha256].read_bytes())
    done = run("get", name, "--out", "set", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    verdicts = pl.read_parquet(tmp_path / "set" / "verdicts.parquet")
    assert (verdicts["judge"].n_unique(), verdicts["item_id"].n_unique()) == (judges, items)


def test_the_models_of_a_set_have_the_names_its_project_gives_them(
    panels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their README numbers the models from 0: Llama-2-7b-chat-hf, gpt-3.5-turbo; 250 and 50 answers in the file."""
    from interjudge.datasets.public import place_of, public_set

    monkeypatch.setenv("INTERJUDGE_CACHE", str(tmp_path / "cache"))
    one = public_set("purseclab")
    place = place_of(one, one.files[0], tmp_path / "cache")
    place.parent.mkdir(parents=True)
    place.write_bytes((panels.parent / "raw" / "purseclab" / "manual_data.csv").read_bytes())
    assert run("get", "purseclab", "--out", "set", "-q", cwd=tmp_path).returncode == 0
    outputs = pl.read_parquet(tmp_path / "set" / "outputs.parquet")
    assert dict(outputs["model"].value_counts().iter_rows()) == {"Llama-2-7b-chat-hf": 250, "gpt-3.5-turbo": 50}
