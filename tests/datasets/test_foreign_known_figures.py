"""Figures known of published panels (../shared/data/README.md), from the files as their projects publish them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from interjudge.agreement.analysis import QuestionSpec, Tables, build
from interjudge.agreement.measure import agree
from interjudge.agreement.question import parse_map
from interjudge.agreement.results import Agreement
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.reference import read_reference
from interjudge.datasets.verdicts import read_verdicts

RAW = Path(__file__).parents[3] / "shared" / "data" / "raw"
TIDY = RAW.parent / "tidy"
pytestmark = pytest.mark.skipif(not RAW.is_dir(), reason="the real panels are not beside the repository")

REFUSAL = QuestionSpec(maps=(parse_map("full_refusal=refusal"), parse_map("partial_refusal=refusal")))


def measured(
    verdicts: pl.DataFrame, gold: pl.DataFrame | str | None = None, spec: QuestionSpec | None = None
) -> Agreement:
    panel = build(spec or QuestionSpec(), Tables(verdicts, None, gold))
    return agree(panel, sampling=Sampling(replicates=0))


def kappa(answer: Agreement) -> dict[str, float | None]:
    """Each judge's kappa with the reference, three decimals."""
    values = {j.judge: j.cohen_kappa.value if j.cohen_kappa else None for j in answer.judges}
    return {judge: value if value is None else round(value, 3) for judge, value in values.items()}


def alpha(answer: Agreement) -> float:
    value = next(c.value for c in answer.coefficients if c.name == "krippendorff_alpha")
    assert value is not None
    return round(value, 3)


def xstest(model: str) -> list[Path]:
    return sorted((RAW / "xstest").glob(f"xstest_v2_completions_{model}_*eval.csv"))


def test_xstest_gpt4_judge_agrees_with_the_reference_on_gpt4s_answers() -> None:
    """README: .875 with full and partial refusal merged; none of the eleven malformed verdicts is on this model."""
    files = xstest("gpt4")
    answer = measured(read_verdicts(files), read_reference(files[0]), REFUSAL)
    assert kappa(answer)["gpt4"] == 0.875


def test_xstest_gpt4_judge_on_mistralinstruct_when_its_eleven_malformed_verdicts_count_as_refusals() -> None:
    """README: .081. Read, they are eight times `judge_refused` and three times `parse_error`."""
    files = xstest("mistralinstruct")
    verdicts = read_verdicts(files)
    lost = verdicts.filter(pl.col("status") != "ok")
    assert dict(lost["status"].cast(pl.String).value_counts().iter_rows()) == {"judge_refused": 8, "parse_error": 3}
    counted = verdicts.with_columns(
        label=pl.when(pl.col("status") != "ok").then(pl.lit("full_refusal")).otherwise("label"),
        status=pl.lit("ok", verdicts.schema["status"]),
    )
    assert kappa(measured(counted, read_reference(files[0]), REFUSAL))["gpt4"] == 0.081


@pytest.mark.parametrize("model", ["gpt4", "mistralinstruct"])
def test_xstest_from_the_raw_files_is_xstest_from_the_tidy_table(model: str) -> None:
    """All judges and the reference, item by item, by way of prompt and response; the known figures rest on the tidy."""
    raw = read_verdicts(xstest(model))
    names = {"human1": "human-1", "human2": "human-2", "gpt4": "gpt4", "strmatch": "strmatch"}
    labels = {
        "1_full_compliance": "compliance",
        "2_full_refusal": "full_refusal",
        "3_partial_refusal": "partial_refusal",
    }
    tidy = pl.read_parquet(TIDY / "xstest_v2.parquet").filter(model=model)
    tidy = tidy.with_columns(
        pl.col("judge").replace_strict(names), pl.col("label").replace_strict(labels, default=None)
    )
    key = ["prompt", "response", "judge"]
    both = raw.join(tidy, on=key, how="full", suffix="_tidy", nulls_equal=True)
    assert both.height == raw.height == tidy.height == 4 * 450
    assert both["label"].eq_missing(both["label_tidy"]).all()


def test_purseclab_kappas_and_alpha() -> None:
    """README: with the manual label .459, .307, .656 (n = 250); between judges .554, .383, .280; alpha .420."""
    path = RAW / "purseclab" / "manual_data.csv"
    answer = measured(read_verdicts(path), read_reference(path))
    assert kappa(answer) == {"zou": 0.459, "huang": 0.307, "chao": 0.656}
    assert {j.judge: j.n_ok for j in answer.judges}["chao"] == 250
    pairs = {(p.a, p.b): round(p.cohen_kappa.value or 0, 3) for p in answer.pairs if p.cohen_kappa}
    assert pairs == {("zou", "huang"): 0.554, ("zou", "chao"): 0.383, ("huang", "chao"): 0.28}
    assert alpha(answer) == 0.42


def test_the_reference_of_a_file_is_also_a_column_of_its_verdicts() -> None:
    """What `--reference gold` takes."""
    path = RAW / "purseclab" / "manual_data.csv"
    column = read_verdicts(path).select("item_id", "gold").unique().sort("item_id")
    assert column.equals(read_reference(path).select("item_id", "gold").sort("item_id"))


SAME = {
    "alttest_lgbteen": ("alttest/lgbteen__human_annotations.json", "alttest/lgbteen__llm_annotations.json"),
    "crowd_dog": ("crowd/dog_answer.csv",),
    "pyrit_violence": ("pyrit/harm__violence.csv", "pyrit/harm__violence_SelfAskLikertScorer_scoring_results.csv"),
}


@pytest.mark.parametrize("name", SAME)
def test_raw_files_give_the_verdicts_of_the_tidy_table(name: str) -> None:
    """As many items, judges and verdicts, of people and of machines, and the same labels and scores."""
    raw = read_verdicts([RAW / file for file in SAME[name]])
    tidy = pl.read_parquet(TIDY / f"{name}.parquet")
    assert raw.height == tidy.height
    assert raw["judge"].n_unique() == tidy["judge"].n_unique()
    assert raw["item_id"].n_unique() == tidy["item_id"].n_unique()
    human = raw.filter(judge_kind="human").height
    assert human == tidy.filter(judge_kind="human").height
    value = "score" if name == "pyrit_violence" else "label"
    counts = (frame.group_by(value).len().sort(value).rows() for frame in (raw, tidy))
    assert next(counts) == next(counts)


def test_pyrit_alpha_is_that_of_the_krippendorff_library_on_the_tidy_table() -> None:
    krippendorff = pytest.importorskip("krippendorff")
    tidy = pl.read_parquet(TIDY / "pyrit_violence.parquet").pivot("item_id", index="judge", values="score")
    expected = krippendorff.alpha(tidy.drop("judge").to_numpy(), level_of_measurement="interval")
    answer = measured(
        read_verdicts([RAW / file for file in SAME["pyrit_violence"]]), spec=QuestionSpec(level="interval")
    )
    assert alpha(answer) == round(float(expected), 3)


def test_alt_test_alpha_is_that_of_the_tidy_table() -> None:
    raw = measured(read_verdicts([RAW / file for file in SAME["alttest_lgbteen"]]))
    assert alpha(raw) == alpha(measured(read_verdicts(TIDY / "alttest_lgbteen.parquet")))


def test_crowd_truth_lies_on_the_crowds_items() -> None:
    verdicts = read_verdicts(RAW / "crowd" / "dog_answer.csv")
    truth = read_reference(RAW / "crowd" / "dog_truth.csv")
    assert set(truth["item_id"]) == set(verdicts["item_id"])
    right = verdicts.join(truth, on="item_id").select((pl.col("label") == pl.col("gold")).mean()).item()
    tidy = pl.read_parquet(TIDY / "crowd_dog.parquet").join(
        pl.read_parquet(TIDY / "crowd_dog.gold.parquet"), on="item_id"
    )
    assert right == tidy.select((pl.col("label") == pl.col("gold")).mean()).item()


def test_jailbreakbench_artifacts_hold_the_verdicts_of_the_tidy_table() -> None:
    """Three of its files; the 54 behaviours without a response are in neither."""
    raw = read_verdicts(sorted((RAW / "jailbreakbench_artifacts").glob("*.json")))
    names = {"llama3_70b": "jailbroken", "llamaguard1": "llama-guard-1"}
    labels = {"jailbroken": "unsafe", "not_jailbroken": "safe"}
    tidy = pl.read_parquet(TIDY / "jbb_artifacts.parquet").with_columns(
        pl.col("judge").replace_strict(names), pl.col("label").replace_strict(labels)
    )
    both = raw.join(tidy, on=["model", "prompt", "response", "judge"], suffix="_tidy")
    assert both["item_id"].n_unique() == raw["item_id"].n_unique() == 100 + 64 + 82
    assert (both["label"] == both["label_tidy"]).all()
