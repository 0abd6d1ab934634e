"""Corrected rates in the report: tables and sentences, from records alone."""

from __future__ import annotations

from typing import Any

import pytest

from interjudge.agreement.results import Estimate
from interjudge.agreement.results_rates import CONSENSUS, CorrectedRate, Rate, Rates
from interjudge.reports.section_rates import sentences, tables
from interjudge.reports.table import Table


def est(value: float, low: float | None = None, high: float | None = None, n: int = 500) -> Estimate:
    return Estimate(value=value, ci_low=low, ci_high=high, n=n)


def way(value: float | None, low: float | None = None, high: float | None = None, **more: Any) -> CorrectedRate:
    reason = None if value is not None else more.pop("undefined")
    return CorrectedRate(value=value, ci_low=low, ci_high=high, n=60, undefined=reason, method="some way", **more)


def rate(
    judge: str,
    model: str | None = None,
    raw: float = 0.3,
    corrected: tuple[float, float, float] | None = (0.31, 0.24, 0.39),
    **more: Any,
) -> Rate:
    given: dict[str, Any] = {
        "judge": judge, "model": model, "n_items": 500, "n_labelled": 60 if corrected else 0, "n_missing": 0,
        "raw": est(raw, raw - 0.02, raw + 0.02), "bounds": (raw, raw),
        "recommended": "ppi_stratified" if corrected else "raw", "corrected": corrected is not None,
        "why": "it uses every verdict and every label" if corrected else "uncorrected: no reference labels",
    }  # fmt: skip
    if corrected:
        given |= {
            "reference_only": way(0.3, 0.2, 0.42), "rogan_gladen": way(0.32, 0.2, 0.45), "ppi": way(0.31, 0.23, 0.4),
            "ppi_stratified": way(*corrected), "lambda_": 0.7, "effective_labels": 142.4,
        }  # fmt: skip
    return Rate.model_validate(given | more)


def record(*rates: Rate, **more: Any) -> Rates:
    given = {
        "label": "unsafe", "reference": "human", "n_items": 500, "n_labelled": 60, "quoted": "alpha", "rates": rates
    } | more  # fmt: skip
    return Rates.model_validate(given)


def cells(table: Table) -> dict[str, list[str]]:
    return {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}


TWO = (rate("alpha", raw=0.22), rate("beta", raw=0.47))


def test_the_sentence_says_labels_rate_interval_and_what_the_judges_said(make: Any):
    assert sentences(record(*TWO), make.agreement()) == (
        "Corrected by 60 reference labels, the rate of “unsafe” is 31.0 % (95 % interval 24.0 to 39.0 %); the judges "
        "said 22.0 to 47.0 %.",
    )


def test_without_labels_it_says_uncorrected_and_shows_no_table(make: Any):
    bare = record(
        *(rate(j, raw=r, corrected=None) for j, r in (("alpha", 0.22), ("beta", 0.47))), n_labelled=0, quoted=None
    )
    assert sentences(bare, make.agreement()) == (
        "Uncorrected: no reference labels, so the rate of “unsafe” is only what the judges say (the judges said 22.0 "
        "to 47.0 %).",
    )
    assert tables(bare, make.agreement(), 10) == ()


def test_with_every_output_labelled_nothing_is_corrected(make: Any):
    full = rate("alpha", n_labelled=500, recommended="reference_only", rogan_gladen=None, ppi=None, ppi_stratified=None)
    (said,) = sentences(record(full, n_labelled=500), make.agreement())
    assert said.startswith("Every output has a reference label: by these the rate of “unsafe” is 30.0 %")
    (table,) = tables(record(full, n_labelled=500), make.agreement(), 10)
    assert table.title == "Rate of “unsafe”, corrected"


def test_nothing_found_says_nothing(make: Any):
    assert tables(None, make.agreement(), 10) == ()
    assert sentences(None, make.agreement()) == ()


@pytest.mark.parametrize(
    ("other", "words"),
    [((0.4, 0.3, 0.5), "their intervals overlap, so the order of the models is not settled"),
     ((0.8, 0.7, 0.9), "their intervals lie apart")],
)  # fmt: skip
def test_models_are_told_apart_only_where_their_intervals_are(make: Any, other: tuple[float, float, float], words: str):
    found = record(*TWO, rate("alpha", "base"), rate("alpha", "tuned", corrected=other))
    said = sentences(found, make.agreement())[1]
    assert said.endswith(f"{words}.")
    assert f"highest for “tuned” ({100 * other[0]:.1f} %) and lowest for “base” (31.0 %)" in said


def test_a_model_without_labels_is_named_and_stays_uncorrected(make: Any):
    found = record(*TWO, rate("alpha", "base"), rate("alpha", "tuned", corrected=None))
    assert "Uncorrected stays “tuned”: no reference labels there." in sentences(found, make.agreement())
    table = tables(found, make.agreement(), 10)[0]
    assert cells(table)["tuned"][-1] == "uncorrected"
    assert cells(table)["base"][-1] == "31.0 % [24.0, 39.0]"
    assert "uncorrected: no reference labels" in table.notes


def test_the_first_table_has_range_reference_and_corrected_rate(make: Any):
    table = tables(record(*TWO), make.agreement(), 10)[0]
    assert [c.head for c in table.columns] == [
        "model", "outputs", "labels", "the judges say", "reference only [95 %]", "corrected [95 %]"
    ]  # fmt: skip
    assert cells(table)["all outputs"] == ["500", "60", "22.0 to 47.0 %", "30.0 % [20.0, 42.0]", "31.0 % [24.0, 39.0]"]


def test_the_consensus_is_no_judge_of_the_range(make: Any):
    found = record(rate(CONSENSUS, raw=0.9), *TWO, quoted=CONSENSUS)
    assert "the judges said 22.0 to 47.0 %" in sentences(found, make.agreement())[0]
    assert any("the panel's consensus" in note for note in tables(found, make.agreement(), 10)[0].notes)


def test_a_value_that_is_no_rate_is_shown_as_it_is_with_its_words(make: Any):
    odd = way(-0.02, -0.06, 0.03, note="the formula gives a value below 0", clipped=0.0)
    table = tables(record(rate("alpha", rogan_gladen=odd)), make.agreement(), 10)[1]
    assert "-2.0 % [-6.0, 3.0]" in cells(table)["alpha"]
    assert "Rogan-Gladen of “alpha”: the formula gives a value below 0; the nearest possible rate is 0 %" in table.notes


def test_a_value_that_does_not_exist_is_a_dash_with_its_reason(make: Any):
    none = way(None, undefined="the judge is no better than chance on the labelled items (J = -0.10)")
    table = tables(record(rate("alpha", rogan_gladen=none)), make.agreement(), 10)[1]
    assert "—" in cells(table)["alpha"]
    assert any("no better than chance" in note for note in table.notes)


def test_labels_that_are_no_random_sample_are_a_caution(make: Any):
    words = (
        "no random sample: the judge gives the positive label to 50.0 % of the labelled items and 7.0 % of the others"
    )
    found = record(rate("alpha", notes=(words,)))
    assert f"Careful: {words}." in sentences(found, make.agreement())
    assert f"all outputs: {words}" in tables(found, make.agreement(), 10)[0].notes


def test_names_from_the_data_are_made_visible(make: Any):
    evil = "a\x1b[31m\u202e"
    found = record(rate("alpha"), rate("alpha", evil), rate("alpha", "b"), label="un\nsafe")
    text = " ".join(sentences(found, make.agreement()))
    assert text.isprintable()
    assert "un\\nsafe" in text


def test_many_models_are_cut_with_a_gap(make: Any):
    found = record(rate("alpha"), *(rate("alpha", f"m{k}") for k in range(40)))
    table = tables(found, make.agreement(), 10)[0]
    assert len(table.rows) == 10
    assert table.gap == (10, 31)
