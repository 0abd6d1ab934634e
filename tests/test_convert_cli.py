"""`interjudge convert`, and other tools' files wherever outputs, verdicts or a reference are read."""

from __future__ import annotations

import json
import math
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from interjudge.cli import app
from interjudge.datasets.outputs import read_outputs
from interjudge.datasets.reference import read_reference
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError

FILES = Path(__file__).parent / "datasets" / "foreign"
STUDIO = str(FILES / "label_studio_json.json")
HARM = {
    "a": [{"test_case": f"p{n}", "generation": f"r{n}", "label": n % 2, "advbench_label": n % 3 % 2} for n in range(12)]
}


@pytest.fixture
def results(tmp_path: Path) -> str:
    path = tmp_path / "some-model.json"
    path.write_text(json.dumps(HARM))
    return str(path)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    with pytest.raises(InputError) as caught:
        CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return str(caught.value)


def test_a_file_with_several_tables_gives_all_of_them(tmp_path: Path) -> None:
    out = tmp_path / "made.jsonl"
    said = run("convert", STUDIO, "--out", str(out))
    assert "6 judges, 5 human, 3 outputs" in said
    outputs = read_outputs(tmp_path / "made.outputs.jsonl")
    verdicts = read_verdicts(out)
    assert set(verdicts["item_id"]) == set(outputs["item_id"])
    assert "prompt" not in verdicts.columns  # the texts stand in the outputs
    assert read_reference(tmp_path / "made.reference.jsonl").height == 1
    before = read_verdicts(STUDIO)
    columns = ["item_id", "judge", "repeat", "judge_kind", "construct", "status", "label", "score"]
    assert verdicts.select(columns).equals(before.select(columns))


def test_one_table_can_be_asked_for_and_a_folder_takes_all(tmp_path: Path, results: str) -> None:
    run("convert", results, "--out", str(tmp_path / "o.csv"), "--what", "outputs")
    assert read_outputs(tmp_path / "o.csv").height == 12
    assert not (tmp_path / "o.verdicts.csv").exists()
    run("convert", results, "--out", str(tmp_path / "folder"))
    assert {p.name for p in (tmp_path / "folder").iterdir()} == {"outputs.parquet", "verdicts.parquet"}
    assert "no reference there" in refused("convert", results, "--out", str(tmp_path / "r.csv"), "--what", "reference")


def test_an_input_is_never_written_over_and_quiet_says_nothing(tmp_path: Path, results: str) -> None:
    assert "input files are never overwritten" in refused(
        "convert", results, "--to", "inspect-scores", "--out", results
    )
    assert run("convert", results, "--out", str(tmp_path / "v.parquet"), "--quiet").count("\n") == 2  # what it wrote


def test_reference_labels_of_ours_are_a_table_of_ours(tmp_path: Path) -> None:
    pl.DataFrame({"item_id": ["a", "b"], "gold": ["x", "y"]}).write_parquet(tmp_path / "gold.parquet")
    run("convert", str(tmp_path / "gold.parquet"), "--out", str(tmp_path / "gold.jsonl"))
    assert read_reference(tmp_path / "gold.jsonl").rows() == [("a", "x"), ("b", "y")]
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "odd.parquet")
    said = refused("convert", str(tmp_path / "odd.parquet"), "--out", str(tmp_path / "o.jsonl"))
    assert "nor is it a table of ours" in said


def test_options_that_do_not_exist_are_refused_with_those_that_do(tmp_path: Path, results: str) -> None:
    out = str(tmp_path / "v.parquet")
    assert "did you mean 'harmbench'?" in refused("convert", results, "--from", "harmbensch", "--out", out)
    assert "one of interjudge, inspect-scores" in refused("convert", results, "--to", "csv", "--out", out)
    assert "one of outputs, verdicts, reference" in refused("convert", results, "--what", "gold", "--out", out)
    assert "--out are needed" in refused("convert", results)
    assert "is no file of the format 'alt-test'" in refused("convert", results, "--from", "alt-test", "--out", out)
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    assert "the format is not known" in refused("convert", str(tmp_path / "odd.csv"), "--out", out)


def test_the_formats_are_listed() -> None:
    said = run("convert", "--formats")
    for name in ("inspect", "lm-eval", "harmbench", "xstest", "label-studio", "every-eval-ever"):
        assert name in said


def test_score_takes_the_outputs_and_agree_the_verdicts_of_the_same_file(tmp_path: Path, results: str) -> None:
    scored, figures = str(tmp_path / "k.parquet"), tmp_path / "a.json"
    run("score", results, "-j", "keyword:default", "--out", scored, "--store", str(tmp_path / "s.db"), "--quiet")
    assert set(read_verdicts(scored)["item_id"]) == set(read_outputs(results)["item_id"])
    run("agree", results, "--json", str(figures), "--replicates", "0", "--quiet")
    answer = json.loads(figures.read_text())
    assert {j["judge"] for j in answer["judges"]} == {"harmbench-classifier", "advbench-keyword"}
    agreement = next(c["value"] for c in answer["coefficients"] if c["name"] == "percent_agreement")
    assert agreement == sum(n % 2 == n % 3 % 2 for n in range(12)) / 12
    said = run("agree", results, "--replicates", "0")
    assert "validation set (harmbench): 2 judges, 12 outputs, none of 24 verdicts missing" in said


def test_the_format_can_be_named_where_content_would_say_another(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("question,worker,answer\n" + "".join(f"{n},{w},{n % 2}\n" for n in range(6) for w in "ab"))
    assert "0 judges" not in run("agree", str(path), "--from", "crowd-question", "--replicates", "0")
    assert "column 'item_id': a required column is missing" in refused("agree", str(path), "--from", "interjudge")
    assert "a column of this format is missing" in refused("agree", str(path), "--from", "xstest")


def test_gold_of_the_file_is_the_reference_by_file_and_by_column(tmp_path: Path) -> None:
    rows = ["Index,goal,prompt,target_response,human1,human2,human3,human_majority,gpt4_cf"]
    rows += [f"{n},g,p{n},r{n},{n % 2},{n % 2},{n % 3 % 2},{n % 2},{n % 2}" for n in range(12)]
    path = tmp_path / "judges.csv"
    path.write_text("\n".join(rows) + "\n")
    for reference in (str(path), "gold"):
        figures = tmp_path / "a.json"
        run("agree", str(path), "--reference", reference, "--json", str(figures), "--replicates", "0", "--quiet")
        judges = {j["judge"]: j["cohen_kappa"]["value"] for j in json.loads(figures.read_text())["judges"]}
        assert judges["gpt4"] == 1
        assert judges["human-3"] < 1


# ---- verdicts to Inspect AI ----


def test_scores_for_inspect_name_sample_and_epoch_and_leave_what_failed_unscored(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai", reason="inspect_ai is an optional extra")
    log, out = str(FILES / "inspect_small_talk.eval"), tmp_path / "scores.jsonl"
    run("convert", log, "--to", "inspect-scores", "--judge", "brevity", "--out", str(out), "--quiet")
    records = {(r["id"], r["epoch"]): r for r in map(json.loads, out.read_text().splitlines())}
    assert len(records) == 6
    assert records["bird", 1]["value"] == 0.5
    assert math.isnan(records["bird", 2]["value"])
    assert records["bird", 2]["metadata"]["judges"]["brevity"]["status"] == "parse_error"


def test_inspect_ai_reads_the_scores_and_counts_them_as_we_do(tmp_path: Path) -> None:
    """Its own `precomputed_scores` applies them to the log: the mean of five values, the sixth being unscored."""
    pytest.importorskip("inspect_ai", reason="inspect_ai is an optional extra")
    from inspect_ai import score
    from inspect_ai.log import read_eval_log
    from inspect_ai.scorer import mean, precomputed_scores

    path = FILES / "inspect_small_talk.eval"
    one, several, grades = (str(tmp_path / name) for name in ("one.jsonl", "several.json", "grades.jsonl"))
    run("convert", str(path), "--to", "inspect-scores", "--judge", "brevity", "--out", one, "--quiet")
    run("convert", str(path), "--to", "inspect-scores", "--out", several, "--quiet")
    run("convert", str(path), "--to", "inspect-scores", "--judge", "includes", "--out", grades, "--quiet")
    scores = read_verdicts(path).filter(judge="brevity").group_by("sample_id").agg(pl.col("score").mean())["score"]
    log = read_eval_log(path)
    for file, metrics in ((one, [mean()]), (several, {"brevity": [mean()]})):
        made = score(log, precomputed_scores(file, metrics=metrics), action="overwrite", display="none")
        assert made.results is not None
        # epochs are averaged first, then samples
        assert made.results.scores[0].metrics["mean"].value == pytest.approx(scores.mean())
    made = score(log, precomputed_scores(grades), action="overwrite", display="none")
    assert made.results is not None
    assert made.results.scores[0].metrics["accuracy"].value == 0.5  # correct in the first epoch of two


def test_scores_for_inspect_from_our_own_table_go_by_item_id(tmp_path: Path) -> None:
    verdicts = tmp_path / "v.jsonl"
    verdicts.write_text('{"item_id":"a","judge":"j","label":"safe"}\n{"item_id":"b","judge":"j","status":"error"}\n')
    out = tmp_path / "s.json"
    run("convert", str(verdicts), "--to", "inspect-scores", "--out", str(out), "--quiet")
    first, second = json.loads(out.read_text())
    assert (first["id"], first["value"]) == ("a", "safe")
    assert second["id"] == "b"
    assert math.isnan(second["value"])


def test_scores_for_inspect_want_its_extensions(tmp_path: Path, results: str) -> None:
    out = str(tmp_path / "s.parquet")
    assert "reads scores from .json or .jsonl" in refused("convert", results, "--to", "inspect-scores", "--out", out)
