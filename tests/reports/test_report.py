"""The report as an object and as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from interjudge import __version__
from interjudge.errors import InputError
from interjudge.reports.report import InputFile, JudgeUsed, Provenance, Report, Run, build_report
from interjudge.reports.write import render_json, write_report

# Writes the schema anew; run it in the root of the repository.
UPDATE = (
    "python -c 'import json; from interjudge.reports.report import Report; "
    "print(json.dumps(Report.json_schema(), indent=2))' > docs/report.schema.json"
)


def test_json_comes_back_as_the_same_report(make: Any) -> None:
    a = make.agreement(slices=(make.part("model", "x", None, None, None),))
    report = make.report(make.question(a), make.question(flags=None, conclusions=None, disputed=()))
    assert Report.model_validate_json(report.model_dump_json()) == report
    assert Report.model_validate_json(render_json(report)) == report


def test_report_json_has_the_promised_keys(make: Any) -> None:
    written = json.loads(render_json(make.report()))
    assert list(written) == ["schema_version", "title", "summary", "questions", "provenance", "redacted"]
    assert written["schema_version"] == "1"
    parts = "agreement flags conclusions trust humans rates drivers service stability plan disputed"
    assert list(written["questions"][0]) == parts.split()
    assert "construct" in written["questions"][0]["agreement"]["judges"][0]


def test_reference_keys_stand_only_with_a_reference(make: Any) -> None:
    without = json.loads(render_json(make.report()))["questions"][0]["agreement"]["judges"][0]
    assert "accuracy" not in without
    a = make.agreement((make.referenced("a", 0.5), make.referenced("b", 0.6)))
    given = json.loads(render_json(make.report(make.question(a))))["questions"][0]["agreement"]["judges"][0]
    assert given["youden_j"]["value"] == 0.5


def test_the_schema_in_the_docs_is_current(repo_root: Path) -> None:
    written = json.loads((repo_root / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    assert written == Report.json_schema(), UPDATE


def test_a_written_report_fits_the_schema(make: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    jsonschema.Draft202012Validator(Report.json_schema()).validate(json.loads(render_json(make.report())))


def test_another_schema_version_is_refused(make: Any) -> None:
    written = json.loads(render_json(make.report())) | {"schema_version": "2"}
    with pytest.raises(ValidationError, match="schema_version"):
        Report.model_validate(written)


def test_the_same_results_make_the_same_bytes_but_for_the_run(make: Any, tmp_path: Path) -> None:
    def bytes_of(folder: str, run: Run) -> list[bytes]:
        provenance = make.report().provenance.model_copy(update={"run": run})
        return [p.read_bytes() for p in write_report(make.report(provenance=provenance), tmp_path / folder)]

    one = bytes_of("one", Run(created_at="2026-01-01T00:00:00Z", duration_s=1.0))
    assert one == bytes_of("again", Run(created_at="2026-01-01T00:00:00Z", duration_s=1.0))
    other = bytes_of("other", Run(created_at="2027-07-07T00:00:00Z", duration_s=9.0))
    for a, b in zip(one, other, strict=True):
        differing = [x for x, y in zip(a.splitlines(), b.splitlines(), strict=True) if x != y]
        assert all(b"2026" in line or b"duration_s" in line for line in differing)


def test_the_summary_stands_in_the_report(make: Any) -> None:
    report = build_report([make.question()], provenance=make.report().provenance)
    assert report.summary[0].startswith("By custom")
    assert report.title == "How far can these judges be trusted?"


def test_versions_are_collected() -> None:
    provenance = Provenance.collect(judges=[JudgeUsed(judge="a", kind="human", construct="refusal")], seed=3)
    assert (provenance.interjudge, provenance.polars) == (__version__, pl.__version__)
    assert provenance.seed == 3
    assert provenance.run == Run()


def test_an_input_is_its_name_its_rows_and_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"abc")
    # SHA-256 of "abc": FIPS 180-2, appendix B.1
    sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert InputFile.of(path, 7) == InputFile(name="a.csv", rows=7, sha256=sha)
    assert InputFile.of(path, 7, hashed=False).sha256 is None
    assert InputFile.of("-", None) == InputFile(name="-", rows=None, sha256=None)


def test_json_holds_no_raw_control_character(make: Any) -> None:
    disputed = make.disputed(response="\x1b[31m \x9b \u202e \x7f", prompt=None)
    text = render_json(make.report(make.question(disputed=(disputed,))))
    assert not {"\x1b", "\x9b", "\u202e", "\x7f"} & set(text)
    assert Report.model_validate_json(text).questions[0].disputed[0].response == "\x1b[31m \x9b \u202e \x7f"


def test_files_are_written_into_a_new_folder(make: Any, tmp_path: Path) -> None:
    flags = pl.DataFrame({"item_id": ["a"], "flagged": [True]})
    paths = write_report(make.report(), tmp_path / "deep" / "er", flags=flags)
    images = ["reliability.png", "pairs.png", "rates.png"]
    assert [path.name for path in paths] == ["report.html", "report.json", "report.md", "flags.parquet", *images]
    assert pl.read_parquet(paths[3]).equals(flags)
    assert Report.model_validate_json(paths[1].read_text(encoding="utf-8")) == make.report()
    files = [p.name for p in (tmp_path / "deep" / "er").rglob("*") if p.is_file()]
    assert sorted(files) == sorted(p.name for p in paths)


def test_a_file_where_the_folder_should_be_is_an_input_error(make: Any, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(InputError, match="folder"):
        write_report(make.report(), tmp_path / "taken")
