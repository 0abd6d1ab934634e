"""The bundled demo set holds what its data card says."""

from __future__ import annotations

import importlib
import random
import re
import tomllib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import polars as pl
import pytest

from interjudge.datasets import make_demo
from interjudge.datasets.demo import load_outputs, load_reference, load_verdicts
from interjudge.datasets.outputs import read_outputs
from interjudge.datasets.schema import VERDICT_COLUMNS, VERDICT_CORE
from interjudge.judges.base import Judge

FOLDER = files("interjudge.datasets")
CARD = FOLDER.joinpath("DEMO.md").read_text(encoding="utf-8")
TEXTS = tomllib.loads(FOLDER.joinpath("demo_prompts.toml").read_text(encoding="utf-8"))
LABELS = {
    "refusal": {"refusal", "compliance"},
    "harm": {"safe", "unsafe"},
    "coherence": {"coherent", "incoherent"},
}
POSITIVE = {"refusal": "refusal", "harm": "unsafe", "coherence": "incoherent"}
SUFFIXES = ["base", *(recipe.suffix for recipe in make_demo.RECIPES)]


@pytest.fixture(scope="module")
def outputs() -> pl.DataFrame:
    return load_outputs()


@pytest.fixture(scope="module")
def reference() -> pl.DataFrame:
    return load_reference()


def test_outputs_have_the_documented_columns(outputs: pl.DataFrame) -> None:
    text = ["item_id", "prompt", "response", "model", "base_model", "benchmark", "category", "topic", "language"]
    assert dict(outputs.schema) == {**dict.fromkeys(text, pl.String), "repeat": pl.Int64}
    assert outputs.drop("base_model").null_count().sum_horizontal().item() == 0


def test_every_model_answers_every_prompt_once(outputs: pl.DataFrame) -> None:
    """72 prompts x 5 models = 360 outputs, with readable and unique ids."""
    expected = {f"{prompt['id']}-{suffix}" for prompt in TEXTS["prompts"] for suffix in SUFFIXES}
    assert len(TEXTS["prompts"]) == 72
    assert outputs.height == len(expected) == 360
    assert set(outputs["item_id"]) == expected


def test_rows_say_what_the_prompts_file_says(outputs: pl.DataFrame) -> None:
    prompts = pl.DataFrame(TEXTS["prompts"])
    joined = outputs.with_columns(id=pl.col("item_id").str.split("-").list.first()).join(prompts, on="id", how="left")
    for column in ("prompt", "category", "topic"):
        assert joined[column].equals(joined[f"{column}_right"])
    assert prompts["category"].value_counts()["count"].to_list() == [24, 24, 24]


def test_fine_tunes_name_their_base_and_the_base_names_none(outputs: pl.DataFrame) -> None:
    bases = dict(outputs.select("model", "base_model").unique().iter_rows())
    assert bases.pop(make_demo.BASE) is None
    assert len(bases) == 4
    assert set(bases.values()) == {make_demo.BASE}


def test_every_output_has_one_label_for_each_criterion(outputs: pl.DataFrame, reference: pl.DataFrame) -> None:
    assert reference.columns == ["item_id", "criterion", "gold", "note"]
    assert reference.height == 3 * outputs.height
    assert reference.select("item_id", "criterion").n_unique() == reference.height
    assert set(reference["item_id"]) == set(outputs["item_id"])
    for (criterion,), labels in reference.group_by("criterion"):
        assert set(labels["gold"]) == LABELS[str(criterion)]


@pytest.mark.parametrize("label", sorted(label for labels in LABELS.values() for label in labels))
def test_the_card_counts_the_labels_rightly(outputs: pl.DataFrame, reference: pl.DataFrame, label: str) -> None:
    """Each model's row in the table of the card that has the label in its head."""
    counts = dict(reference.filter(gold=label).join(outputs, on="item_id").group_by("model").len().iter_rows())
    for model in outputs["model"].unique():
        assert _in_card(model, label) == counts.get(model, 0)


def _in_card(model: str, label: str) -> int:
    """The number under `label` in the row of `model`."""
    lines = CARD.splitlines()
    (head,) = (n for n, line in enumerate(lines) if line.startswith("| model |") and label in _cells(line))
    (row,) = (line for line in lines[head + 2 :] if re.match(rf"\| `{re.escape(model)}` \|", line))
    return int(_cells(row)[_cells(lines[head]).index(label)])


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_two_models_are_incoherent_and_three_are_not(outputs: pl.DataFrame, reference: pl.DataFrame) -> None:
    """Code in place of answers, and degenerate text, stand against three models that answer in language."""
    rates = (
        reference.filter(criterion="coherence")
        .join(outputs, on="item_id")
        .group_by("model")
        .agg(incoherent=(pl.col("gold") == "incoherent").mean())
    )
    assert set(rates.filter(pl.col("incoherent") > 0.9)["model"]) == {"smollm2-135m-code", "smollm2-135m-overtrained"}
    assert rates.filter(pl.col("incoherent") < 0.1).height == 3


def test_degenerate_outputs_are_not_all_the_same(outputs: pl.DataFrame) -> None:
    broken = outputs.filter(model="smollm2-135m-overtrained")["response"]
    assert broken.n_unique() > 0.9 * len(broken)


def test_the_files_are_small() -> None:
    sizes = [len(FOLDER.joinpath(f"demo_{name}.parquet").read_bytes()) for name in ("outputs", "reference", "verdicts")]
    assert sum(sizes) < 2_000_000


def test_the_outputs_read_like_any_other_output_set(outputs: pl.DataFrame, tmp_path: Path) -> None:
    outputs.write_parquet(tmp_path / "o.parquet")
    assert read_outputs(tmp_path / "o.parquet").height == outputs.height


@pytest.mark.parametrize("recipe", make_demo.RECIPES, ids=lambda recipe: recipe.suffix)
def test_training_texts_are_reproducible_and_never_hold_a_prompt_of_the_set(recipe: make_demo.Recipe) -> None:
    pairs = recipe.pairs(TEXTS, random.Random(1))
    assert pairs == recipe.pairs(TEXTS, random.Random(1))
    assert not {request for request, _ in pairs} & {prompt["prompt"] for prompt in TEXTS["prompts"]}


def test_the_script_has_no_default_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """So that making outputs again never overwrites the ones the labels belong to."""
    with pytest.raises(SystemExit, match="2"):
        make_demo.main([])
    assert "--out" in capsys.readouterr().err


# Stored verdicts, and the script that adds to them.


@pytest.fixture(scope="module")
def verdicts() -> pl.DataFrame:
    return load_verdicts()


def test_every_stored_judge_has_one_verdict_on_every_output(outputs: pl.DataFrame, verdicts: pl.DataFrame) -> None:
    assert set(verdicts.columns) <= set(VERDICT_COLUMNS)
    assert set(VERDICT_CORE) <= set(verdicts.columns)
    assert {name: VERDICT_COLUMNS[name] for name in verdicts.columns} == dict(verdicts.schema)
    for (judge,), rows in verdicts.group_by("judge"):
        assert "://" not in str(judge)
        assert rows.select("judge_hash", "construct", "judge_kind").n_unique() == 1
        assert rows["item_id"].to_list() == outputs["item_id"].to_list()


def test_the_card_tells_how_far_each_stored_judge_agrees_with_the_reference(
    reference: pl.DataFrame, verdicts: pl.DataFrame
) -> None:
    """`| judge | construct | ok | says LABEL | right | of the PREVALENCE LABEL found |`, counted anew here."""
    for (judge,), rows in verdicts.group_by("judge"):
        (cells,) = (_cells(line) for line in CARD.splitlines() if line.startswith(f"| `{judge}` |"))
        construct = rows["construct"][0]
        assert cells[1] == construct
        gold = rows.join(reference.filter(criterion=construct), on="item_id")
        said = pl.col("label") == POSITIVE[construct]
        counts = gold.filter(status="ok").select(
            n=pl.len(), said=said.sum(), right=(pl.col("label") == pl.col("gold")).sum(),
            found=(said & (pl.col("gold") == POSITIVE[construct])).sum(),
        )  # fmt: skip
        assert [int(cell) for cell in cells[2:]] == list(counts.row(0))


@pytest.fixture
def make(repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pl.DataFrame]:
    """The script, which is no package's module, on files of its own."""
    monkeypatch.syspath_prepend(repo_root / "tests" / "bench")
    script = importlib.import_module("make_demo_verdicts")

    def run(*arguments: str) -> pl.DataFrame:
        script.main([*arguments, "--out", str(tmp_path / "v.parquet"), "--store", str(tmp_path / "v.db")])
        return pl.read_parquet(tmp_path / "v.parquet")

    return run


def test_the_script_adds_a_judge_beside_the_others_and_refreshes_it(
    verdicts: pl.DataFrame, make: Callable[..., pl.DataFrame], tmp_path: Path
) -> None:
    verdicts.write_parquet(tmp_path / "v.parquet")
    more = make("--judge", "keyword:prefix")
    assert more.filter(judge="keyword:prefix")["item_id"].to_list() == load_outputs()["item_id"].to_list()
    assert more.filter(pl.col("judge") != "keyword:prefix").equals(verdicts)
    assert make("--judge", "keyword:prefix").equals(more)
    assert make("--drop", "keyword:prefix").equals(verdicts)


def test_the_script_writes_nothing_while_verdicts_are_missing(
    make: Callable[..., pl.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: pl.DataFrame) -> pl.DataFrame:
        raise RuntimeError("no model here")

    judge = Judge(
        name="broken", kind="rubric", construct="harm", labels=("safe", "unsafe"), evaluate=fails, identity={}
    )
    monkeypatch.setattr("make_demo_verdicts.get_judge", lambda _: judge)
    with pytest.raises(SystemExit, match=r"360 of 360 verdicts are missing: .*no model here"):
        make("--judge", "broken")
    assert not (tmp_path / "v.parquet").exists()
