"""`interjudge card`: files, exit codes, messages, on the report of the demo."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from in_process import run_here

MODEL = "smollm2-135m-shortqa"


def fails(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    assert run_here("demo", "--out", "demo", "--quiet", cwd=folder).returncode == 0
    return folder / "demo" / "report.json"


@pytest.fixture
def folder(tmp_path: Path, demo: Path) -> Path:
    """A card beside a copy of the report."""
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.json").write_bytes(demo.read_bytes())
    (tmp_path / "report" / "report.md").write_text("# Report\n")
    (tmp_path / "README.md").write_text("---\nlicense: mit # ours\n---\n# M\n\n## Evaluation\n\n## Citation\n")
    return tmp_path


def card(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return run_here("card", "README.md", "--report", "report/report.json", *args, cwd=folder)


def test_it_is_added_once_and_then_unchanged(folder: Path) -> None:
    path = folder / "README.md"
    path.chmod(0o640)
    done = card(folder, "--model", MODEL, "--insert-after", "Evaluation")
    assert done.returncode == 0, done.stderr
    n = len(ModelCard.load(path).data.eval_results)
    assert n > 3
    assert done.stdout == f"README.md: section added, {n} results in model-index\n"
    once = path.read_bytes()
    assert b"[Full report](report/report.md)" in once
    assert once.index(b"## Evaluation") < once.index(b"interjudge:begin") < once.index(b"## Citation")
    assert ModelCard.load(path).data.model_name == MODEL
    assert path.stat().st_mode & 0o777 == 0o640
    stamp = path.stat().st_mtime_ns
    again = card(folder, "--model", MODEL)
    assert (again.returncode, again.stdout) == (0, f"README.md: section unchanged, {n} results in model-index\n")
    assert path.read_bytes() == once
    assert path.stat().st_mtime_ns == stamp


def test_a_dry_run_shows_and_writes_nothing(folder: Path) -> None:
    before = (folder / "README.md").read_bytes()
    done = card(folder, "--model", MODEL, "--benchmark", "owner/name", "--question", "harm", "--dry-run")
    assert done.returncode == 0
    assert "+<!-- interjudge:begin" in done.stdout
    assert "+- dataset:" in done.stdout
    assert (folder / "README.md").read_bytes() == before
    assert not (folder / ".eval_results").exists()


def test_without_a_model_there_is_a_section_and_no_metadata(folder: Path) -> None:
    done = card(folder)
    assert done.returncode == 0
    assert "no metadata: --model NAME" in done.stderr
    assert (folder / "README.md").read_text().startswith("---\nlicense: mit # ours\n---\n# M\n")


def test_an_edit_by_hand_is_kept(folder: Path) -> None:
    path = folder / "README.md"
    card(folder, "--model", MODEL)
    path.write_text(path.read_text().replace("What not to rely on", "What to worry about"))
    edited = path.read_bytes()
    fails(card(folder, "--model", MODEL), "README.md: line ", "edited by hand", "--force")
    assert path.read_bytes() == edited
    assert card(folder, "--model", MODEL, "--force").returncode == 0
    assert "What not to rely on" in path.read_text()


def test_a_benchmark_gets_its_file(folder: Path) -> None:
    done = card(folder, "--model", MODEL, "--benchmark", "owner/name", "--task", "t", "--question", "refusal")
    assert done.returncode == 0, done.stderr
    path = folder / ".eval_results" / "interjudge-owner--name--t.yaml"
    (entry,) = parse_eval_result_entries(yaml.safe_load(path.read_text()))
    rates = json.loads((folder / "report" / "report.json").read_text())["questions"][0]["rates"]
    mine = next(r for r in rates["rates"] if r["model"] == MODEL and r["judge"] == rates["quoted"])
    wanted = round(mine[mine["recommended"]]["value"], 4)
    assert (entry.dataset_id, entry.task_id, entry.value) == ("owner/name", "t", wanted)
    assert " judges: keyword:default " in str(entry.notes)
    path.write_text(path.read_text().replace(str(wanted), "0.1"))
    fails(
        card(folder, "--model", MODEL, "--benchmark", "owner/name", "--task", "t", "--question", "refusal"), "--force"
    )


def test_a_missing_card_is_made_only_where_asked(folder: Path) -> None:
    (folder / "README.md").unlink()
    fails(card(folder, "--model", MODEL), "README.md: there is no such file", "--create")
    assert card(folder, "--model", MODEL, "--create").returncode == 0
    assert ModelCard.load(folder / "README.md").data.model_name == MODEL


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ("is no JSON", "line 1")),
        ("[]", ("is no report", "list")),
        ('{"coefficients": [], "pairs": []}', ("interjudge agree --json",)),
        ('{"schema_version": "0", "questions": [], "provenance": {}}', ("another schema version", "'1'")),
        ('{"schema_version": "1", "questions": [], "provenance": {}}', ("does not hold what a report holds",)),
        ("[" * 100_000, ("no JSON that can be read",)),
        ("9" * 10_000, ("no JSON that can be read",)),
        (b"\xff\xfe", ("cannot be read",)),
    ],
)
def test_what_is_no_report_is_said_in_one_line(folder: Path, text: str | bytes, words: tuple[str, ...]) -> None:
    path = folder / "report" / "report.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    fails(card(folder), "report.json", *words)


def test_bad_words_are_said_in_one_line(folder: Path) -> None:
    fails(card(folder, "--insert-after", "Evalution"), "README.md: no heading 'Evalution'", "did you mean 'Evaluation'")
    fails(card(folder, "--model", "nobody"), "nothing of a model 'nobody'")
    fails(run_here("card", "report/report.json", "-r", "report/report.json", cwd=folder), "is an input")
    fails(run_here("card", "report", "-r", "report/report.json", cwd=folder), "is a directory")
    fails(run_here("card", "README.md", "-r", "report", cwd=folder), "report: is a folder", "report/report.json")
    fails(run_here("card", "README.md", "-r", "none.json", cwd=folder), "none.json: there is no such file")
    (folder / "README.md").write_bytes(b"# \xff\n")
    fails(card(folder), "README.md, byte 3: is no UTF-8 text")


def test_the_report_of_the_demo_is_not_changed(folder: Path) -> None:
    before = (folder / "report" / "report.json").read_bytes()
    card(folder, "--model", MODEL)
    assert (folder / "report" / "report.json").read_bytes() == before
    assert json.loads(before)["schema_version"] == "1"


def test_a_record_of_every_eval_ever_instead_of_a_card(folder: Path) -> None:
    before = (folder / "README.md").read_bytes()
    record = ("card", "--format", "every-eval-ever", "-r", "report/report.json")
    done = run_here(*record, "--model", MODEL, "--out", "eee.json", "--organisation", "us", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "wrote eee.json\n"), done.stderr
    found = json.loads((folder / "eee.json").read_text())
    assert found["model_info"]["name"] == MODEL
    assert found["source_metadata"]["source_organization_name"] == "us"
    assert len(found["evaluation_results"]) > 3
    assert (folder / "README.md").read_bytes() == before
    fails(run_here(*record, "--out", "eee.json", cwd=folder), "a record is about one model", MODEL)
    fails(run_here(*record, "--model", MODEL, "--out", "report/report.json", cwd=folder), "is an input")
    fails(run_here(*record, "--model", MODEL, cwd=folder), "an --out")
    fails(run_here(*record, "README.md", "--model", MODEL, "--out", "e.json", cwd=folder), "takes no card")
    fails(run_here(*record, "--model", MODEL, "--out", "e.json", "--relationship", "x", cwd=folder), "first_party")
    fails(
        run_here("card", "--format", "every-evil", "-r", "report/report.json", cwd=folder),
        "did you mean 'every-eval-ever'",
    )
    fails(run_here("card", "-r", "report/report.json", cwd=folder), "a card is needed")
