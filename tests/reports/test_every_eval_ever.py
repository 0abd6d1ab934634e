"""A report as a record of Every Eval Ever, against that project's own schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from eee_schema import NoSchemaError, schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from interjudge.agreement.results import Estimate
from interjudge.agreement.results_rates import CONSENSUS, CorrectedRate, Rate, Rates
from interjudge.errors import InputError
from interjudge.reports.every_eval_ever import About, every_eval_ever


class Validator:
    """Of few words, for the sake of what hypothesis prints."""

    def __init__(self) -> None:
        self.inner = Draft7Validator(schema())


@pytest.fixture(scope="session")
def validator() -> Validator:
    try:
        return Validator()
    except NoSchemaError as error:
        pytest.skip(str(error))


def rate(judge: str, raw: float, corrected: float | None = None, model: str | None = "tuned") -> Rate:
    fixed = CorrectedRate(value=corrected, ci_low=0.3, ci_high=0.5, n=40, method="PPI++") if corrected else None
    return Rate(
        judge=judge, model=model, n_items=50, n_labelled=40, n_missing=0, bounds=None, ppi=fixed, why="rests on all",
        raw=Estimate(value=raw, ci_low=raw - 0.1, ci_high=raw + 0.1, n=50),
        recommended="ppi" if fixed else "raw", corrected=fixed is not None,
    )  # fmt: skip


def rates(label: str = "refusal", first: str = "alpha") -> Rates:
    rows = tuple(
        rate(judge, raw, corrected, model)
        for model in (None, "tuned")
        for judge, raw, corrected in ((CONSENSUS, 0.45, 0.4), (first, 0.3, None), ("beta", 0.5, None))
    )
    return Rates(label=label, reference="gold", n_items=50, n_labelled=40, quoted=CONSENSUS, rates=rows)


def problems(validator: Validator, record: dict[str, Any]) -> list[str]:
    return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator.inner.iter_errors(record)]


def test_the_interval_says_whether_clusters_are_in_it(make: Any, validator: Validator) -> None:
    for unit, words in (("item", ""), ("prompt", ", on the effective sample size of clusters by prompt")):
        record = every_eval_ever(make.report(make.question(make.agreement(unit=unit), rates=rates())), "tuned", About())
        assert problems(validator, record) == []
        alpha = record["evaluation_results"][1]["score_details"]["uncertainty"]
        assert alpha["confidence_interval"]["method"] == f"Wilson's score interval{words}"


def test_it_is_valid_and_holds_the_figures(make: Any, validator: Validator) -> None:
    report = make.report(make.question(rates=rates()))
    record = every_eval_ever(report, "tuned", About(name="owner/tuned", organisation="us", relationship="first_party"))
    assert problems(validator, record) == []
    assert problems(validator, {**record, "evaluation_results": [{}]})  # the schema does object
    corrected, alpha, beta = record["evaluation_results"]
    assert [r["score_details"]["score"] for r in (corrected, alpha, beta)] == [0.4, 0.3, 0.5]
    assert corrected["score_details"]["uncertainty"] == {
        "num_samples": 40,
        "confidence_interval": {"lower": 0.3, "upper": 0.5, "confidence_level": 0.95, "method": "PPI++"},
    }
    assert corrected["score_details"]["details"]["reference_labels"] == "40"
    assert alpha["score_details"]["details"]["krippendorff_alpha"] == "0.7"
    assert alpha["score_details"]["details"]["krippendorff_alpha_interval"] == "0.68 to 0.72"
    assert [j["model_info"]["id"] for j in corrected["metric_config"]["llm_scoring"]["judges"]] == [
        "alpha",
        "beta",
        "gamma",
    ]
    assert record["retrieved_timestamp"] == "1767225600"  # 2026-01-01T00:00:00Z
    assert record["evaluation_id"] == "interjudge/owner/tuned/1767225600"


def test_judges_that_ask_no_model_are_no_llm_scoring(make: Any, validator: Validator) -> None:
    judges = (make.judge("alpha", kind="keyword"), make.judge("beta", kind="human"))
    record = every_eval_ever(make.report(make.question(make.agreement(judges), rates=rates())), "tuned")
    assert problems(validator, record) == []
    assert all("llm_scoring" not in result["metric_config"] for result in record["evaluation_results"])


def test_a_benchmark_is_its_source(make: Any, validator: Validator) -> None:
    record = every_eval_ever(make.report(make.question(rates=rates())), "tuned", About(benchmark="owner/bench"))
    assert problems(validator, record) == []
    assert record["evaluation_results"][0]["source_data"] == {
        "dataset_name": "owner/bench", "source_type": "hf_dataset", "hf_repo": "owner/bench",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("construct", "said", "lower", "direction"),
    [
        ("refusal", None, False, "not declared"),
        ("refusal", False, False, "declared"),
        ("harm", None, True, "declared"),
        ("harm", False, False, "declared"),
    ],
)
def test_what_is_better_is_declared_or_said_not_to_be(
    make: Any, construct: str, said: bool | None, lower: bool, direction: str
) -> None:
    report = make.report(make.question(make.agreement(question={"construct": construct}), rates=rates()))
    metric = every_eval_ever(report, "tuned", About(lower_is_better=said))["evaluation_results"][0]["metric_config"]
    assert metric["lower_is_better"] is lower
    assert metric["additional_details"]["direction"].split(";")[0] == direction


def test_without_a_rate_or_a_date_there_is_no_record(make: Any) -> None:
    with pytest.raises(InputError, match="no rate of 'tuned'"):
        every_eval_ever(make.report(), "tuned")
    undated = make.report().provenance.model_copy(update={"run": type(make.report().provenance.run)()})
    with pytest.raises(InputError, match="does not say when"):
        every_eval_ever(make.report(make.question(rates=rates()), provenance=undated), "tuned")


@given(st.text(max_size=30), st.text(max_size=30))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_names_from_data_stay_text(make: Any, validator: Validator, name: str, label: str) -> None:
    question = make.question(
        make.agreement((make.judge(f"1{name}"), make.judge("beta"))), rates=rates(label, f"1{name}")
    )
    record = every_eval_ever(make.report(question, title=name), "tuned", About(name=name or "x", organisation=label))
    assert problems(validator, json.loads(json.dumps(record))) == []
    assert json.dumps(record, ensure_ascii=False).isprintable()
