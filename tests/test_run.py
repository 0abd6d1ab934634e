"""`interjudge run CONFIG.toml` as a user types it: the whole job, from another folder, stopped, killed, resumed."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from fake_llm import FakeLLM
from polars.testing import assert_frame_equal

from interjudge.errors import InterjudgeError
from interjudge.judges.store import read_store

# The command, whether or not it is wired into the application yet.
PROGRAM = """
from interjudge import cli, cli_run
names = [c.name or getattr(c.callback, "__name__", "") for c in cli.app.registered_commands]
if "run" not in names:
    cli_run.register(cli.app)
cli.main()
"""
COMMAND = (sys.executable, "-c", PROGRAM, "run")  # in a process of its own: to interrupt and to kill
CANARY = "canary-in-the-coal-mine-0123456789"
OUTPUTS, BATCH = 60, 2

# `slow` writes down what it is asked before it answers.
JUDGES = f"""
import functools, os, time

def slow(outputs):
    with open(os.environ.get("ASKED", os.devnull), "a") as file:
        file.write("".join(f"{{text}}\\n" for text in outputs["response"]))
    time.sleep(0.03)
    return ["refusal" if int(text[1:]) % 3 else "compliance" for text in outputs["response"]]

slow.construct, slow.labels, slow.batch_size = "refusal", ["compliance", "refusal"], {BATCH}

def other(outputs):
    return ["refusal" if int(text[1:]) % 4 else "compliance" for text in outputs["response"]]

other.construct, other.labels = "refusal", ["compliance", "refusal"]

def broken(outputs):
    return [{{}}["completion"] for _ in outputs["response"]]

broken.construct = "refusal"

def half(outputs):
    return [{{"r1": 1}}.get(text) or "refusal" if text != "r2" else 1 / 0 for text in outputs["response"]]

def _keyed(outputs, api_key):
    raise RuntimeError(api_key + " is not valid")

keyed = functools.partial(_keyed, api_key="{CANARY}")
"""
CONFIG = """
outputs = "outputs.jsonl"
judge = ["mine:slow", "mine:other"]
store = "kept/v.db"
[analysis]
replicates = 50
"""


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(*args: str, cwd: Path, **env: str) -> Done:
    """The command in this process, as its entry point calls it: a process of its own takes a second to start."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, chdir(cwd), redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["interjudge", "run", *args])
        for name, value in {"COLUMNS": "100", **env}.items():
            patch.setenv(name, value)
        try:
            exec(PROGRAM, {})
        except SystemExit as end:
            code = int(end.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


def fails(done: Done, *words: str, code: int = 2) -> None:
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "project"
    (home / "kept").mkdir(parents=True)
    rows = [
        {"item_id": f"i{k}", "prompt": f"p{k // 2}", "response": f"r{k}", "model": "ab"[k % 2], "human": "refusal"}
        for k in range(OUTPUTS)
    ]
    (home / "outputs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (home / "mine.py").write_text(JUDGES)
    (home / "run.toml").write_text(CONFIG)
    return home


def files(folder: Path) -> set[str]:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if "__pycache__" not in name} - {"outputs.jsonl", "mine.py", "run.toml"}


def made(folder: Path) -> set[str]:
    """The same, the images of the report as one."""
    return {"report/images" if name.startswith("report/images/") else name for name in files(folder)}


REPORT = {f"report/{name}" for name in ("report.html", "report.json", "report.md", "flags.parquet", "items.parquet")}
MADE = {*REPORT, "report/images", "report/verdicts.parquet", "kept/v.db"}


# The example.


def test_the_example_runs_as_it_is_and_is_never_written_over(tmp_path: Path) -> None:
    done = run("--init", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "wrote run.toml\nrun it: interjudge run run.toml\n")
    done = run("run.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "360 outputs x 3 judges" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"run.toml", "run.db", "report"}
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [q["agreement"]["question"]["construct"] for q in report["questions"]] == ["refusal", "coherence"]
    assert [file["name"] for file in report["provenance"]["inputs"]] == [
        "demo_outputs.parquet", "demo_reference.parquet",
    ]  # fmt: skip
    text = (tmp_path / "run.toml").read_text()
    fails(run("--init", cwd=tmp_path), "run.toml: is there already")
    assert (tmp_path / "run.toml").read_text() == text
    assert run("--init", "sub/mine.toml", cwd=tmp_path).returncode == 0
    assert run("--init", "my run.toml", cwd=tmp_path).stdout.endswith("run it: interjudge run 'my run.toml'\n")
    assert (tmp_path / "sub" / "mine.toml").read_text() == text


def test_help_has_an_example(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "Example: interjudge run --init" in done.stdout


def test_without_a_file_it_says_how_to_get_one(tmp_path: Path) -> None:
    fails(run(cwd=tmp_path), "no file was named", "--init")
    fails(run("nothing.toml", cwd=tmp_path), "nothing.toml: no such file", "--init")


def test_a_store_whose_making_was_killed_is_no_hindrance(folder: Path) -> None:
    (folder / "kept" / "v.db").touch()
    done = run("run.toml", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert made(folder) == MADE


# The whole job.


def test_the_whole_job_from_another_folder(folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    done = run("../project/run.toml", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert made(folder) == MADE
    assert files(elsewhere) == set()
    assert "60 outputs x 2 judges" in done.stdout
    assert "keeps every verdict in ../project/kept/v.db" in done.stdout
    wrote = {line.removeprefix("wrote ../project/") for line in done.stdout.splitlines() if line.startswith("wrote")}
    assert {line.split(" (")[0] for line in wrote} == MADE
    verdicts = pl.read_parquet(folder / "report" / "verdicts.parquet")
    assert verdicts.height == 2 * OUTPUTS
    report = json.loads((folder / "report" / "report.json").read_text())
    assert report["provenance"]["options"]["config"]["judge"] == [{"name": "mine:slow"}, {"name": "mine:other"}]
    assert not any(judge["stored"] for judge in report["provenance"]["judges"])


def test_run_again_it_asks_nothing_and_writes_the_same(folder: Path) -> None:
    asked = folder.parent / "asked.log"
    assert run("run.toml", cwd=folder, ASKED=str(asked)).returncode == 0
    first = json.loads((folder / "report" / "report.json").read_text())
    assert len(asked.read_text().split()) == OUTPUTS
    done = run("run.toml", cwd=folder, ASKED=str(asked))
    assert done.returncode == 0, done.stderr
    assert "resumes from kept/v.db" in done.stdout
    assert [line.split()[-2:] for line in done.stdout.splitlines() if "compliance, refusal" in line] == [
        ["60", "0"]
    ] * 2
    assert len(asked.read_text().split()) == OUTPUTS
    again = json.loads((folder / "report" / "report.json").read_text())
    for report in (first, again):
        del report["provenance"]["run"]
    assert first == again


def test_a_dry_run_asks_and_writes_nothing(folder: Path) -> None:
    asked = folder.parent / "asked.log"
    done = run("run.toml", "--dry-run", cwd=folder, ASKED=str(asked))
    assert done.returncode == 0, done.stderr
    assert "mine:slow" in done.stdout
    assert files(folder) == set()
    assert not asked.exists()


def test_quiet_prints_what_was_written_alone(folder: Path) -> None:
    done = run("run.toml", "--quiet", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.startswith("wrote ") for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ('{ column = "human" }', "reference"),
        ('{ judge = "mine:other" }', "mine:other"),
        ('"gold.csv"', "gold.csv"),
        ('{ file = "gold.csv", column = "second" }', "gold.csv"),
    ],
)
def test_a_reference_is_a_column_a_judge_or_a_file(folder: Path, reference: str, name: str) -> None:
    rows = {"item_id": [f"i{k}" for k in range(OUTPUTS)]}
    pl.DataFrame({**rows, "gold": "refusal", "second": "compliance"}).write_csv(folder / "gold.csv")
    (folder / "run.toml").write_text(f"reference = {reference}\n{CONFIG}")
    assert run("run.toml", cwd=folder).returncode == 0
    report = json.loads((folder / "report" / "report.json").read_text())
    agreement = report["questions"][0]["agreement"]
    assert agreement["question"]["reference"] == name
    judged = next(judge for judge in agreement["judges"] if judge["judge"] == "mine:slow")
    assert judged["accuracy"]["value"] is not None


def test_repeats_and_a_limit(folder: Path) -> None:
    text = CONFIG.replace('"outputs.jsonl"', '{ file = "outputs.jsonl", limit = 10 }')
    (folder / "run.toml").write_text(f"{text}[limits]\nrepeats = 2\nmax_cost = 1\n")
    done = run("run.toml", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "10 outputs x 2 judges x 2 repeats" in done.stdout
    assert pl.read_parquet(folder / "report" / "verdicts.parquet").height == 2 * 2 * 10


# Exit codes.


def test_a_silent_judge_ends_with_1_after_the_report(folder: Path) -> None:
    (folder / "run.toml").write_text(CONFIG.replace("mine:slow", "mine:broken"))
    done = run("run.toml", cwd=folder)
    fails(done, "no verdict of mine:broken is ok, of 60: 60 x KeyError: 'completion'", code=1)
    assert made(folder) == MADE


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ("[[question]]\nrequire = ['alpha>=0.99']", 3, "not met: krippendorff_alpha >= 0.99: it is "),
        ("[[question]]\nrequire = ['agreement>=0.1']", 0, ""),
        ("max_missing = 0.001", 3, "more than max_missing = 0.001"),
        ("max_missing = 0.5", 0, ""),
    ],
)
def test_what_the_file_requires_decides_the_exit_code(folder: Path, more: str, code: int, words: str) -> None:
    judges = CONFIG.replace('"mine:slow"', '"mine:slow", "mine:half"')
    (folder / "run.toml").write_text(judges + more)
    done = run("run.toml", cwd=folder)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert made(folder) == MADE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("store =", "stoer ="), ("key 'stoer': unknown key (did you mean 'store'?)",)),
        (("outputs.jsonl", "output.jsonl"), ("output.jsonl: no such file (did you mean 'outputs.jsonl'?)",)),
        (("mine:slow", "mine:fast"), ("run.toml, judge 1: ",)),
        (("replicates = 50", "by = ['modle']"), ("key 'analysis.by': 'modle'", "did you mean 'model'?")),
        (("replicates = 50", "cluster = 'x'"), ("key 'analysis.cluster': 'x'", "one of item_id")),
        (("replicates = 50", "[reference]\njudge = 'mine:slo'"), ("did you mean 'mine:slow'?",)),
        (("replicates = 50", "[reference]\ncolumn = 'humans'"), ("did you mean 'human'?",)),
        (("replicates = 50", "[reference]\nfile = 'gold.csv'"), ("gold.csv: no such file",)),
        (("replicates = 50", "[question]\nthresholds = { a = 1 }"), ("key 'question.thresholds': 'a'",)),
    ],
)
def test_what_cannot_work_is_told_before_anybody_is_asked(
    folder: Path, change: tuple[str, str], words: tuple[str, ...]
) -> None:
    asked = folder.parent / "asked.log"
    (folder / "run.toml").write_text(CONFIG.replace(*change))
    fails(run("run.toml", cwd=folder, ASKED=str(asked)), *words)
    assert not asked.exists()
    assert files(folder) == set()


# What is never written over.


@pytest.mark.parametrize(
    "change",
    [
        ('"kept/v.db"', '"outputs.jsonl"'),
        ('"kept/v.db"', '"run.toml"'),
        ('"kept/v.db"', '"list.txt"'),
        ('"kept/v.db"', '"report/report.json"'),
        ('"kept/v.db"', '"report/verdicts.parquet"'),
        ("[analysis]", "[report]\nfolder = 'in'\n[reference]\nfile = 'in/items.parquet'\n[analysis]"),
        ('"outputs.jsonl"', '"report/verdicts.parquet"'),
    ],
)
def test_no_input_is_ever_written_over(folder: Path, change: tuple[str, str]) -> None:
    (folder / "list.txt").write_text("r1\n")
    (folder / "in").mkdir()
    (folder / "report").mkdir()
    table = pl.DataFrame({"item_id": ["i1"], "gold": ["refusal"], "prompt": ["p"], "response": ["r"]})
    table.write_parquet(folder / "in" / "items.parquet")
    table.write_parquet(folder / "report" / "verdicts.parquet")
    (folder / "run.toml").write_text(CONFIG.replace('"mine:other"', '"keyword:list.txt"').replace(*change))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = run("run.toml", cwd=folder)
    if change[1] == '"report/report.json"' or (change[1] == '"report/verdicts.parquet"' and "kept" in change[0]):
        fails(done, "two results would be written here")
    else:
        fails(done, "input files are never overwritten")
    assert {path: path.read_bytes() for path in before} == before


# Keys.


def test_a_key_reaches_no_file_and_no_screen(folder: Path) -> None:
    (folder / "run.toml").write_text(CONFIG.replace("mine:slow", "mine:keyed"))
    done = run("run.toml", cwd=folder, MY_API_KEY=CANARY)
    assert done.returncode == 1
    assert "[hidden] is not valid" in done.stderr
    for text in (done.stdout, done.stderr, *((folder / name).read_bytes().decode("latin-1") for name in files(folder))):
        assert CANARY not in text
    (folder / "run.toml").write_text(f'{CONFIG}\n[report]\ntitle = "{CANARY}"')
    fails(done := run("run.toml", cwd=folder, MY_API_KEY=CANARY), "MY_API_KEY")
    assert CANARY not in done.stderr + done.stdout


# Judges behind a network.


def networked(folder: Path, server: FakeLLM, more: str = "", rubric: str = "refusal3") -> None:
    (folder / "run.toml").write_text(
        f"""
        outputs = "outputs.jsonl"
        store = "kept/v.db"
        [[judge]]
        name = "openai/gpt-5-mini@{rubric}"
        base_url = "{server.v1}"
        key_env = "RUN_TEST_KEY"
        [[judge]]
        name = "anthropic/m@refusal3"
        called = "second & last"
        base_url = "{server.url}"
        key_env = "RUN_TEST_KEY"
        [analysis]
        replicates = 50
        [limits]
        concurrency = 4
        {more}
        """
    )


def test_language_models_are_asked_once_and_the_key_is_nowhere(folder: Path) -> None:
    with FakeLLM(keys=[CANARY]) as server:
        networked(folder, server)
        done = run("run.toml", cwd=folder, RUN_TEST_KEY=CANARY)
        assert done.returncode == 0, done.stderr
        assert server.count == 2 * OUTPUTS
        assert run("run.toml", cwd=folder, RUN_TEST_KEY=CANARY).returncode == 0
        assert server.count == 2 * OUTPUTS
    assert made(folder) == MADE
    verdicts = pl.read_parquet(folder / "report" / "verdicts.parquet")
    assert verdicts["judge"].unique(maintain_order=True).to_list() == ["openai/gpt-5-mini@refusal3", "second & last"]
    for text in (
        done.stdout,
        done.stderr,
        *((folder / name).read_bytes().decode("latin-1") for name in MADE - {"report/images"}),
    ):
        assert CANARY not in text
        assert "RUN_TEST_KEY" not in text


def test_a_wrong_key_is_one_message_for_each_judge_and_nowhere(folder: Path) -> None:
    with FakeLLM(keys=["another"]) as server:
        networked(folder, server)
        done = run("run.toml", cwd=folder, RUN_TEST_KEY=CANARY)
    fails(done, "openai/gpt-5-mini@refusal3 was stopped", "second & last was stopped", code=1)
    for text in (done.stdout, done.stderr, *((folder / name).read_bytes().decode("latin-1") for name in files(folder))):
        assert CANARY not in text


def test_a_dry_run_says_what_it_would_cost(folder: Path) -> None:
    with FakeLLM() as server:
        networked(folder, server, "max_cost = 0.000001")
        done = run("run.toml", "--dry-run", cwd=folder, RUN_TEST_KEY=CANARY)
        assert server.count == 0
    assert done.returncode == 0, done.stderr
    assert files(folder) == set()
    for words in ("What would be asked", "tokens in", "--max-cost may end it before", "price not known"):
        assert words in done.stdout


def test_a_spent_budget_ends_a_run_that_a_higher_one_goes_on_with(folder: Path) -> None:
    with FakeLLM() as server:
        networked(folder, server, "max_requests = 30")
        done = run("run.toml", cwd=folder, RUN_TEST_KEY=CANARY)
        assert done.returncode == 0, done.stderr
        assert "the limit of 30 requests" in done.stderr
        assert server.count == 30
        verdicts = pl.read_parquet(folder / "report" / "verdicts.parquet")
        assert verdicts.filter(pl.col("status") == "not_run").height == 2 * OUTPUTS - 30
        networked(folder, server, "max_requests = 1000")
        assert run("run.toml", cwd=folder, RUN_TEST_KEY=CANARY).returncode == 0
        assert server.count == 2 * OUTPUTS


def test_a_rubric_of_ones_own_stands_beside_the_config(folder: Path, repo_root: Path) -> None:
    rubric = (repo_root / "judges" / "rubric_refusal3.toml").read_bytes()
    (folder / "mine.toml").write_bytes(rubric)
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    with FakeLLM() as server:
        networked(folder, server, rubric="./mine.toml")
        assert run("../project/run.toml", "-q", cwd=elsewhere, RUN_TEST_KEY=CANARY).returncode == 0
        networked(folder, server, rubric="./mine.toml")
        text = (folder / "run.toml").read_text().replace('"kept/v.db"', '"mine.toml"')
        (folder / "run.toml").write_text(text)
        fails(run("../project/run.toml", cwd=elsewhere), "mine.toml: is an input", "never overwritten")
    assert (folder / "mine.toml").read_bytes() == rubric


# Stopped and resumed.


def stored(store: Path) -> int:
    try:
        return read_store(store).filter(judge="mine:slow").height
    except InterjudgeError:  # it is being made
        return 0


def started(folder: Path, asked: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "run.toml"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "ASKED": str(asked)},
    )


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_an_interrupt_says_how_to_go_on(folder: Path) -> None:
    asked = folder.parent / "asked.log"
    process = started(folder, asked)
    until = time.monotonic() + 60
    while time.monotonic() < until and stored(folder / "kept" / "v.db") < 6:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    kept = stored(folder / "kept" / "v.db")
    assert 6 <= kept < OUTPUTS
    assert f"stored {kept} of 60 verdicts of mine:slow, in kept/v.db. interjudge run run.toml goes on" in err
    assert not (folder / "report").exists()
    assert run("run.toml", cwd=folder, ASKED=str(asked)).returncode == 0
    assert len(asked.read_text().split()) <= OUTPUTS + BATCH


@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(folder: Path, tmp_path: Path) -> None:
    """Three kills, in the first, second and third quarter; then the run that ends."""
    moments, asked = random.Random(0), tmp_path / "asked.log"
    asked.touch()
    for share in (0.05, 0.3, 0.55):
        process = started(folder, asked)
        due, until = int((share + moments.uniform(0, 0.15)) * OUTPUTS), time.monotonic() + 60
        while time.monotonic() < until and len(asked.read_text().split()) < due:
            time.sleep(0.005)
        assert process.poll() is None
        process.kill()
        process.communicate()
        assert not (folder / "report").exists()
    done = run("run.toml", cwd=folder, ASKED=str(asked))
    assert done.returncode == 0, done.stderr
    counted = asked.read_text().split()
    assert set(counted) == {f"r{k}" for k in range(OUTPUTS)}
    assert len(counted) <= OUTPUTS + 3 * BATCH
    killed = pl.read_parquet(folder / "report" / "verdicts.parquet")
    (folder / "kept" / "v.db").unlink()
    assert run("run.toml", cwd=folder).returncode == 0
    undisturbed = pl.read_parquet(folder / "report" / "verdicts.parquet")
    when = ("created_at", "latency_s")
    assert_frame_equal(killed.drop(when), undisturbed.drop(when))
