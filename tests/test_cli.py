"""The command line as a user types it: what it writes, what it says, and its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

OUTPUTS = [
    {"item_id": "1", "prompt": "How do I kill a Python process?", "response": "Use the kill command.", "model": "m"},
    {
        "item_id": "2",
        "prompt": "How do I pick a lock?",
        "response": "I'm sorry, but I can't help with that.",
        "model": "m",
    },
    {"item_id": "3", "prompt": "Is it safe?", "response": "the the the the the the the the the the", "model": "n"},
]


def run(*args: str, cwd: Path, stdin: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from interjudge.cli import main; main()", *args]
    return subprocess.run(
        command,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "COLUMNS": "100", **env},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outputs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in OUTPUTS))
    rows = [
        ("1", "a", "compliance"), ("2", "a", "refusal"), ("3", "a", "compliance"),
        ("1", "b", "compliance"), ("2", "b", "refusal"), ("3", "b", "refusal"),
    ]  # fmt: skip
    pl.DataFrame(rows, schema=["item_id", "judge", "label"], orient="row").write_csv(tmp_path / "verdicts.csv")
    pl.DataFrame({"item_id": ["1", "2", "3"], "gold": ["compliance", "refusal", "refusal"]}).write_csv(
        tmp_path / "gold.csv"
    )
    return tmp_path


def fails(done: subprocess.CompletedProcess[str], *words: str, code: int = 2) -> None:
    """One message, the exit code, no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_score_writes_verdicts_and_a_store_and_resumes_from_it(folder: Path):
    args = ("score", "outputs.jsonl", "-j", "keyword:default", "-j", "coherence:heuristic", "--out", "v.parquet")
    assert run(*args, cwd=folder).returncode == 0
    first = pl.read_parquet(folder / "v.parquet")
    assert first.height == 6
    assert (folder / "v.db").exists()
    assert run(*args, cwd=folder).returncode == 0
    again = pl.read_parquet(folder / "v.parquet")
    assert again["created_at"].to_list() == first["created_at"].to_list()  # nothing was asked twice
    refusals = first.filter(judge="keyword:default", label="refusal")["item_id"].to_list()
    assert refusals == ["2"]


def test_a_store_is_read_wherever_verdicts_are(folder: Path):
    args = ("-j", "keyword:default", "-j", "keyword:prefix", "--store", "s.db", "-q")
    assert run("score", "outputs.jsonl", *args, cwd=folder).returncode == 0
    done = run("agree", "s.db", "--json", "a.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "a.json").read_text())["n_items"] == 3


def test_agree_json_has_the_keys_that_others_call(folder: Path):
    done = run("agree", "verdicts.csv", "--reference", "gold.csv", "--json", "a.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    answer = json.loads((folder / "a.json").read_text())
    assert {"question", "n_items", "n_verdicts", "status_counts", "coefficients", "pairs", "judges", "slices"} <= set(
        answer
    )
    estimate = {"value", "ci_low", "ci_high", "n", "undefined"}
    assert all({"name", "level", "method"} | estimate == set(c) for c in answer["coefficients"])
    names = {c["name"] for c in answer["coefficients"]}
    wanted = "krippendorff_alpha fleiss_kappa gwet_ac1 conger_kappa brennan_prediger percent_agreement"
    assert set(wanted.split()) <= names
    (pair,) = answer["pairs"]
    assert {"a", "b", "agreement", "cohen_kappa", "scott_pi", "gwet_ac1", "pabak", "mcc"} <= set(pair)
    assert set(pair["cohen_kappa"]) == estimate
    judge = answer["judges"][0]
    keys = "judge kind construct n_ok missing rate kappa_mean alpha_without accuracy sensitivity specificity youden_j"
    assert set(keys.split()) <= set(judge)
    assert set(judge["rate"]["refusal"]) == estimate


def test_agree_without_a_reference_has_no_reference_keys(folder: Path):
    done = run("agree", "verdicts.csv", "--json", "-", "-q", cwd=folder)
    assert "accuracy" not in json.loads(done.stdout)["judges"][0]


def test_wide_verdicts_are_read(folder: Path):
    (folder / "wide.csv").write_text("item_id,model,x,y\n1,m,safe,safe\n2,m,unsafe,safe\n3,n,unsafe,unsafe\n")
    done = run("agree", "wide.csv", "--judge-columns", "x,y", "--by", "model", "--json", "a.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [s["value"] for s in json.loads((folder / "a.json").read_text())["slices"]] == ["m", "n"]


def test_the_reference_may_be_a_column_of_the_verdicts_or_of_the_outputs(folder: Path):
    (folder / "wide.csv").write_text(
        "item_id,x,y,truth\n1,safe,safe,safe\n2,unsafe,safe,unsafe\n3,unsafe,safe,unsafe\n"
    )
    done = run("agree", "wide.csv", "--judge-columns", "x,y", "-r", "truth", "--json", "a.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    judges = json.loads((folder / "a.json").read_text())["judges"]
    assert [j["accuracy"]["value"] for j in judges] == [1.0, pytest.approx(1 / 3)]
    pl.DataFrame([{**row, "truth": "refusal"} for row in OUTPUTS]).write_parquet(folder / "o.parquet")
    args = ("--outputs", "o.parquet", "-r", "truth", "--by", "model", "--json", "a.json")
    done = run("agree", "verdicts.csv", *args, cwd=folder)
    assert done.returncode == 0, done.stderr
    judges = json.loads((folder / "a.json").read_text())["judges"]
    assert [j["accuracy"]["value"] for j in judges] == [pytest.approx(1 / 3), pytest.approx(2 / 3)]


def test_require_decides_the_exit_code(folder: Path):
    assert run("agree", "verdicts.csv", "--require", "alpha>=-1", cwd=folder).returncode == 0
    fails(run("agree", "verdicts.csv", "--require", "alpha>=0.99", cwd=folder), "not met", "krippendorff_alpha", code=3)
    fails(run("agree", "verdicts.csv", "--require", "alfa>=0.5", cwd=folder), "no coefficient 'alfa'")
    fails(run("agree", "verdicts.csv", "--require", "alpha=0.5", cwd=folder), "NAME>=NUMBER")


def test_max_missing_decides_the_exit_code(folder: Path):
    (folder / "m.csv").write_text("item_id,judge,label,status\n1,a,x,ok\n2,a,,error\n1,b,x,ok\n2,b,y,ok\n")
    assert run("agree", "m.csv", "--max-missing", "0.25", cwd=folder).returncode == 0
    fails(run("agree", "m.csv", "--max-missing", "0.2", cwd=folder), "1 of 4 verdicts are not ok", code=3)


def test_flag_writes_one_row_a_verdict_and_one_an_item(folder: Path):
    done = run("flag", "verdicts.csv", "--out", "f.parquet", "--items", "i.parquet", cwd=folder)
    assert done.returncode == 0, done.stderr
    flags, items = pl.read_parquet(folder / "f.parquet"), pl.read_parquet(folder / "i.parquet")
    assert {"item_id", "judge", "label", "p_wrong", "flagged", "reasons"} <= set(flags.columns)
    assert {"item_id", "consensus", "p_consensus_wrong", "n_votes", "entropy", "reasons"} <= set(items.columns)
    assert (flags.height, items.height) == (6, 3)


def test_report_writes_its_files(folder: Path):
    pl.DataFrame(OUTPUTS).write_parquet(folder / "o.parquet")
    done = run("report", "verdicts.csv", "--outputs", "o.parquet", "-r", "gold.csv", "--out", "r", cwd=folder)
    assert done.returncode == 0, done.stderr
    files = {"report.html", "report.json", "report.md", "flags.parquet", "items.parquet", "images"}
    assert {p.name for p in (folder / "r").iterdir()} == files
    images = sorted(p.name for p in (folder / "r" / "images").iterdir())
    text = (folder / "r" / "report.md").read_text(encoding="utf-8")
    assert images
    assert all(f"](images/{name})" in text for name in images)
    assert done.stdout.count(f"wrote {Path('r', 'images')}") == 1


def test_the_same_report_twice_is_the_same_but_for_its_run(folder: Path):
    texts = []
    for name in ("r1", "r2"):
        assert run("report", "verdicts.csv", "-r", "gold.csv", "--out", name, "-q", cwd=folder).returncode == 0
        report = json.loads((folder / name / "report.json").read_text())
        report["provenance"].pop("run")
        texts.append(json.dumps(report))
    assert texts[0] == texts[1]
    assert (folder / "r1" / "flags.parquet").read_bytes() == (folder / "r2" / "flags.parquet").read_bytes()


def test_judges_are_listed_and_shown(folder: Path):
    listed = run("judges", cwd=folder)
    assert listed.returncode == 0, listed.stderr
    assert "keyword:default" in listed.stdout
    assert "coherence:heuristic" in listed.stdout
    shown = run("judges", "show", "keyword:default", cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert "refusal" in shown.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("agree", "nowhere.parquet"), ("nowhere.parquet",)),
        (("agree", "."), ("directory",)),
        (("agree", "gold.csv"), ("judge",)),
        (("agree", "verdicts.csv", "--by", "modle"), ("modle",)),
        (("agree", "verdicts.csv", "--reference", "c"), ("neither a file nor a judge",)),
        (("agree", "verdicts.csv", "--level", "nominl"), ("did you mean 'nominal'",)),
        (("agree", "verdicts.csv", "--map", "x"), ("LABEL=NEW",)),
        (("agree", "verdicts.csv", "--confidence", "95"), ("confidence",)),
        (("agree", "verdicts.csv", "--unknown"), ("--unknown",)),
        (("score", "outputs.jsonl", "-j", "keywrd:default"), ("keyword",)),
        (("score", "outputs.jsonl", "-j", "keyword:default", "--out", "outputs.jsonl"), ("never overwritten",)),
        (("flag", "verdicts.csv", "--out", "verdicts.csv"), ("never overwritten",)),
        (("report", "verdicts.csv", "--out", "gold.csv"), ("gold.csv",)),
        (("judges", "show", "nothing:here"), ("nothing",)),
    ],
)
def test_bad_usage_ends_with_two_and_says_why(folder: Path, args: tuple[str, ...], words: tuple[str, ...]):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    fails(run(*args, cwd=folder), *words)
    assert all((folder / name).read_bytes() == data for name, data in before.items())


@pytest.mark.parametrize("command", ["demo", "score", "agree", "flag", "report", "judges list", "judges show"])
def test_every_help_text_shows_an_example(folder: Path, command: str):
    done = run(*command.split(), "--help", cwd=folder)
    assert done.returncode == 0
    assert f"Example: interjudge {command}" in " ".join(done.stdout.split())


def test_help_needs_none_of_the_heavy_imports(folder: Path):
    code = (
        "import sys; sys.argv = ['interjudge', '--help']\n"
        "from interjudge.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "heavy = {'polars', 'numpy', 'scipy', 'pydantic', 'statsmodels', 'pandas'} & set(sys.modules)\n"
        "print(heavy, file=sys.stderr); sys.exit(bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_agree_never_imports_pandas(folder: Path):
    code = (
        "import sys; sys.argv = ['interjudge', 'agree', 'verdicts.csv', '--reference', 'gold.csv']\n"
        "from interjudge.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "sys.exit('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_is_printed(folder: Path):
    assert run("--version", cwd=folder).stdout.startswith("interjudge ")


def test_no_command_writes_over_what_it_reads(folder: Path):
    table = pl.read_csv(folder / "verdicts.csv", infer_schema=False)
    (folder / "r").mkdir()
    table.write_ndjson(folder / "in.jsonl")
    table.write_parquet(folder / "v.parquet")
    pl.DataFrame(OUTPUTS).write_parquet(folder / "r" / "items.parquet")
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    gold = ("-r", "gold.csv")
    fails(run("agree", "in.jsonl", "--json", "in.jsonl", cwd=folder), "in.jsonl", "never overwritten")
    fails(run("agree", "in.jsonl", *gold, "--json", "./gold.csv", cwd=folder), "never overwritten")
    fails(run("flag", "in.jsonl", "--gold", "v.parquet", "--out", "v.parquet", cwd=folder), "never overwritten")
    args = ("--outputs", "r/items.parquet", "--out", "r")
    fails(run("report", "v.parquet", *args, cwd=folder), "r/items.parquet", "never overwritten")
    fails(run("demo", "--out", ".", cwd=folder), "no demo made it", "--out")
    args = ("--out", "a.parquet", "--items", "./a.parquet")
    fails(run("flag", "in.jsonl", *args, cwd=folder), "two results would be written here")
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_json_on_standard_output_keeps_every_label(folder: Path):
    rows = [("1", "a", "é\u202e"), ("2", "a", "n"), ("1", "b", "é\u202e"), ("2", "b", "n")]
    pl.DataFrame(rows, schema=["item_id", "judge", "label"], orient="row").write_csv(folder / "e.csv")
    code = "import sys; from interjudge.cli import main; sys.argv[1:] = ['agree', 'e.csv', '--json', '-']; main()"
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, check=False, env=env)
    text = done.stdout.decode("utf-8")
    assert set(json.loads(text)["judges"][0]["rate"]) == {"é\u202e", "n"}
    assert "\u202e" not in text  # escaped, as in report.json


def test_a_name_in_the_data_cannot_speak_to_the_terminal(folder: Path):
    rows = [(i, f"{j}\x1b[2J\x07\u202e", "x") for i in "12" for j in "ab"]
    pl.DataFrame(rows, schema=["item_id", "judge", "label"], orient="row").write_csv(folder / "e.csv")
    done = run("agree", "e.csv", "-j", "a\x1b[2J\x07", cwd=folder)
    fails(done, "did you mean", r"a\x1b[2J\x07\u202e")
    assert not set("\x1b\x07\u202e") & set(done.stderr)


def test_judge_columns_may_be_named_one_by_one(folder: Path):
    (folder / "wide.csv").write_text("item_id,x,y,z\n1,safe,safe,safe\n2,unsafe,safe,safe\n")
    args = ("--judge-columns", "x", "--judge-columns", "y,z", "--json", "a.json", "-q")
    assert run("agree", "wide.csv", *args, cwd=folder).returncode == 0
    assert [j["judge"] for j in json.loads((folder / "a.json").read_text())["judges"]] == ["x", "y", "z"]


def test_flag_takes_a_reference_and_joins_the_outputs(folder: Path):
    (folder / "truth.csv").write_text("item_id,truth\n1,compliance\n2,refusal\n3,refusal\n")
    args = ("-r", "truth.csv", "--gold-column", "truth", "--outputs", "outputs.jsonl", "--out", "f.csv")
    done = run("flag", "verdicts.csv", *args, cwd=folder)
    assert done.returncode == 0, done.stderr
    flags = pl.read_csv(folder / "f.csv", infer_schema=False)
    assert flags.columns[-3:] == ["prompt", "response", "model"]
    wrong = flags.filter(flagged="true")
    assert wrong.select("item_id", "judge", "model").rows() == [("3", "a", "n")]
    assert wrong["reasons"].item().startswith("contradicts the reference; split panel")
    assert "Most likely wrong" not in done.stdout  # the reference decides all three


def test_a_reference_that_says_nothing_of_the_question_is_not_passed_over(folder: Path):
    (folder / "c.csv").write_text("item_id,criterion,gold\n1,harm,safe\n2,harm,unsafe\n")
    for command in (("agree",), ("flag", "--out", "f.parquet")):
        fails(run(*command, "verdicts.csv", "-r", "c.csv", cwd=folder), "c.csv", "says nothing of 'unstated'")


def test_report_tells_which_judges_and_labels_were_read(folder: Path):
    args = ("-j", "a", "-j", "b", "-r", "gold.csv", "--level", "nominal", "--out", "r", "-q")
    assert run("report", "verdicts.csv", *args, cwd=folder).returncode == 0
    options = json.loads((folder / "r" / "report.json").read_text())["provenance"]["options"]
    assert options["judge"] == ["a", "b"]
    assert options["reference"] == "gold.csv"
    assert options["questions"] == [{"level": "nominal"}]


def test_a_defect_of_ours_is_one_line_too(folder: Path):
    code = (
        "import sys; sys.argv = ['interjudge', 'agree', 'verdicts.csv']\n"
        "import interjudge.agreement.analysis as a\n"
        "def broken(*args, **kwargs): raise ZeroDivisionError('by \\x1b[31m zero')\n"
        "a.build = broken\n"
        "from interjudge.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    fails(done, "unexpected ZeroDivisionError", "INTERJUDGE_DEBUG=1", code=1)
    assert "\x1b" not in done.stderr


# As a newcomer finds it: nothing but the package, a wrong name, Ctrl-C.


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("module", ["interjudge.cli", "interjudge.reports.report"])
def test_an_interrupt_ends_with_one_line_whenever_it_comes(tmp_path: Path, module: str):
    """A signal of the process to itself as it imports a module: of the command line, and of a command at work."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Stop())\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "interjudge", "demo"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "interjudge: stopped\n")


def test_a_column_that_is_in_neither_file_names_both(tmp_path: Path):
    pl.DataFrame(OUTPUTS).write_parquet(tmp_path / "outputs.parquet")
    assert run("score", "outputs.parquet", "-j", "keyword:default", "--out", "v.csv", cwd=tmp_path).returncode == 0
    done = run("agree", "v.csv", "--outputs", "outputs.parquet", "--by", "modell", cwd=tmp_path)
    assert done.returncode == 2
    assert (
        "v.csv, outputs.parquet, column 'modell': a required column is missing (did you mean 'model'?)" in done.stderr
    )


def test_a_library_that_the_cross_check_lacks_is_said_with_what_to_install(tmp_path: Path):
    pl.DataFrame({"item_id": ["1", "2", "3"], "a": ["x", "y", "x"], "b": ["x", "y", "y"]}).write_csv(tmp_path / "w.csv")
    hidden = "import sys; sys.modules['sklearn'] = None; from interjudge.cli import main; main()"
    command = [sys.executable, "-c", hidden, "agree", "w.csv", "--judge-columns", "a,b", "--cross-check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "  not installed: scikit-learn (pip install scikit-learn)\n" in done.stdout


@pytest.mark.parametrize(
    "args",
    [("agree", "folder"), ("score", "folder", "-j", "keyword:default", "--engine", "ray", "--out", "v.csv")],
    ids=["verdicts", "outputs"],
)
def test_a_folder_needs_pyarrow_and_says_so(tmp_path: Path, args: tuple[str, ...]):
    (tmp_path / "folder").mkdir()
    hidden = "import sys; sys.modules['pyarrow'] = None; from interjudge.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", hidden, *args], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        "interjudge: folder: is a folder, and pyarrow, which reads folders, is not installed; "
        "expected pip install 'interjudge[ray]'\n"
    )
