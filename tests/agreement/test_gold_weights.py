"""Reference labels drawn with unequal probabilities: a label of weight w counts as w labels, in every figure.

The law that is tested: with whole weights every value is that of a panel in which each labelled item stands as often as
its weight says. The intervals are those of fewer labels than that; how often they hold is simulated.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.agreement.ability import trust
from interjudge.agreement.conclusions import conclude
from interjudge.agreement.concordance import concordance
from interjudge.agreement.corrected_rates import corrected_rates
from interjudge.agreement.examine import Texts, examine
from interjudge.agreement.flags import calibration
from interjudge.agreement.intervals import proportion
from interjudge.agreement.label_plan import Believed, judge_labels, next_items, rate_labels, tell_apart
from interjudge.agreement.latent import estimate_truth
from interjudge.agreement.measure import agree
from interjudge.agreement.panel import Panel, build_panel
from interjudge.agreement.question import Question
from interjudge.agreement.reference import PICKED, against_reference, gold_weights
from interjudge.agreement.results import Estimate
from interjudge.agreement.rows import PanelJudge
from interjudge.agreement.sampled_rate import sampled_rate
from interjudge.agreement.sampling import Sampling
from interjudge.agreement.sweeps import sweeps
from interjudge.datasets.reference import gold_of_column, read_reference
from interjudge.datasets.schema import STATUS
from interjudge.errors import InputError
from interjudge.reports import section_rates

QUICK = Sampling(replicates=40)
FIVE = ("accuracy", "sensitivity", "specificity", "youden_j", "cohen_kappa")


def panel_of(codes: Any, gold: Any, weight: Any = None, models: int = 2) -> Panel:
    """Codes (N, J) of 0 and 1, gold (N,) with -1 none; every judge of one kind, models in turn."""
    codes = np.asfortranarray(codes, dtype=np.int16)
    n = codes.shape[0]
    items = pl.DataFrame({"item_id": [f"i{i:05d}" for i in range(n)], "model": [f"m{i % models}" for i in range(n)]})
    if weight is not None:
        weight = np.asarray(weight, dtype=np.float64) / np.asarray(weight, dtype=np.float64)[gold >= 0].mean()
    return Panel(
        question=Question("harm", ("safe", "unsafe"), "unsafe"),
        judges=tuple(PanelJudge(f"j{j}", "rubric", "harm") for j in range(codes.shape[1])),
        codes=codes,
        statuses=np.asfortranarray(np.where(codes < 0, 1, 0).astype(np.uint8)),
        items=items,
        gold=np.asarray(gold, dtype=np.int16),
        gold_weight=weight,
        reference="human",
    )


def made(seed: int, n: int = 160, judges: int = 3) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.4).astype(np.int16)
    right = rng.random((n, judges)) < rng.uniform(0.65, 0.95, judges)
    codes = np.where(right, truth[:, None], 1 - truth[:, None])
    codes[rng.random((n, judges)) < 0.05] = -1
    return codes, truth


def two_judges(**one_more: str) -> pl.DataFrame:
    """Six items, x and y that agree on all; and one more judge, of a kind, on the first two."""
    kinds = {"x": "rubric", "y": "rubric", **one_more}
    rows = [
        {"item_id": f"i{i}", "judge": judge, "judge_kind": kind, "construct": "c", "status": "ok", "label": "ab"[i % 2]}
        for i in range(6)
        for judge, kind in kinds.items()
        if judge not in one_more or i < 2
    ]
    return pl.DataFrame(rows, schema_overrides={"status": STATUS})


def values(found: Any) -> list[float | None]:
    return [found[name].value for name in FIVE]


# ---- from the file to the weights ----


def test_the_probabilities_come_with_the_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("item_id,gold,inclusion_probability\na,x,0.5\nb,y,0.25\nc,,\n")
    found = read_reference(path)
    assert found.rows() == [("a", "x", 0.5), ("b", "y", 0.25)]
    gold = np.array([0, -1, 1])
    weight = gold_weights(found, pl.Series("item_id", ["a", "c", "b"]), gold)
    assert weight is not None
    assert weight == pytest.approx([2 / 3, 0, 4 / 3]), "1 / .5 and 1 / .25, with mean 1"
    same = found.with_columns(inclusion_probability=pl.lit(0.5))
    assert gold_weights(same, pl.Series("item_id", ["a", "c", "b"]), gold) is None, (
        "a sample of equal probabilities needs none"
    )


def test_labels_of_a_review_bring_theirs(tmp_path: Path) -> None:
    """Two reviewers who agree on a and not on b; c is of one."""
    path = tmp_path / "labels.jsonl"
    row = '{{"item_id":"{}","judge":"{}","judge_kind":"human","status":"ok","label":"{}","inclusion_probability":{}}}\n'
    rows = (
        ("a", "ana", "x", 0.5), ("a", "bo", "x", 0.5), ("b", "ana", "x", 1), ("b", "bo", "y", 1), ("c", "bo", "y", 0.2)
    )  # fmt: skip
    path.write_text("".join(row.format(*one) for one in rows))
    assert read_reference(path).sort("item_id").rows() == [("a", "x", 0.5), ("c", "y", 0.2)]
    path.write_text("".join(row.format(*one[:3], "null") for one in rows))
    assert read_reference(path)["inclusion_probability"].to_list() == [None, None]


@pytest.mark.parametrize(
    "text",
    [
        "item_id,gold,inclusion_probability\ni0,a,\ni1,b,\n",
        "item_id,why,p_consensus_wrong,gold\ni0,drawn at random,0.1,a\ni1,split,0.5,b\n",  # plan's, without the column
    ],
)
def test_labels_that_were_picked_nobody_knows_how_are_taken_as_they_come_and_that_is_said(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    table = two_judges()
    panel = build_panel(table, reference=read_reference(path), positive="b")
    assert panel.gold_weight is None
    assert panel.gold_picked
    assert any("picked and not drawn at random" in note for note in panel.notes)
    rates = corrected_rates(panel, None, sampling=QUICK)
    assert rates is not None
    assert rates.rates[0].notes == (PICKED,)
    said = section_rates.sentences(rates, agree(panel, sampling=QUICK))
    assert "2 reference labels, which are no random sample, the rate" in said[0]


@pytest.mark.parametrize("name", ["inclusion_prob", "INCLUSION_PROBABILITY", "incl probability"])
def test_a_misspelt_name_of_the_column_is_an_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"item_id,gold,{name}\na,x,0.5\n")
    with pytest.raises(InputError, match=rf"column '{name}': .*expected inclusion_probability"):
        read_reference(path)


def test_other_columns_are_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("item_id,gold,exclusion_probability,p_consensus_wrong\na,x,0.5,0.1\n")
    assert read_reference(path).columns == ["item_id", "gold"]


def test_one_criterion_may_be_a_sample_and_another_not(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("item_id,criterion,gold,inclusion_probability\na,harm,x,0.5\na,refusal,y,\nb,harm,x,0.2\n")
    assert read_reference(path)["inclusion_probability"].to_list() == [0.5, None, 0.2]
    path.write_text("item_id,criterion,gold,inclusion_probability\na,harm,x,0.5\nb,harm,x,\n")
    with pytest.raises(InputError, match="row 2"):
        read_reference(path)


@pytest.mark.parametrize("bad", ["", "0", "1.5", "-0.1", "often"])
def test_a_label_without_a_probability_beside_others_is_an_error(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"item_id,gold,inclusion_probability\na,x,0.5\nb,y,{bad}\n")
    with pytest.raises(InputError, match=r"row 2.*inclusion_probability"):
        read_reference(path)


def test_a_panel_carries_them_and_says_so() -> None:
    verdicts = two_judges()
    reference = pl.DataFrame({"item_id": ["i0", "i1"], "gold": ["a", "b"], "inclusion_probability": [0.2, 0.8]})
    panel = build_panel(verdicts, reference=reference)
    assert panel.gold_weight == pytest.approx([1.6, 0.4, 0, 0, 0, 0])
    assert any("unequal probabilities" in note for note in panel.notes)
    assert panel.take(np.arange(6) < 1).gold_weight == pytest.approx([1.6])
    assert build_panel(verdicts, reference=reference.drop("inclusion_probability")).gold_weight is None


# ---- a label of weight w is w labels ----


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_every_value_against_the_reference_is_that_of_labels_that_stand_as_often(seed: int) -> None:
    codes, truth = made(seed)
    rng = np.random.default_rng(seed)
    times = np.where(rng.random(truth.size) < 0.7, rng.integers(1, 4, truth.size), 0)
    gold = np.where(times > 0, truth, -1)
    again = np.repeat(np.arange(truth.size), times)
    weighted, plain = panel_of(codes, gold, times.astype(float)), panel_of(codes[again], truth[again])
    models = [f"m{i % 2}" for i in range(truth.size)]
    plain = replace(plain, items=plain.items.with_columns(model=pl.Series([models[i] for i in again])))
    for j in range(codes.shape[1]):
        one = against_reference(codes[:, j], gold, 2, positive=1, weight=weighted.gold_weight, replicates=0)
        two = against_reference(codes[again, j], truth[again], 2, positive=1, replicates=0)
        assert values(one) == pytest.approx(values(two), nan_ok=True)
        assert one["accuracy"].n == ((codes[:, j] >= 0) & (gold >= 0)).sum(), "n counts labels"
    both = [
        conclude(p, sampling=QUICK, truth_posterior=np.full((p.n_items, 2), 0.5), verdicts=verdicts_of(p))
        for p in (weighted, plain)
    ]
    errors = [found.errors for found in both if found is not None and found.errors is not None]
    assert len(errors) == 2
    for a, b in zip(errors[0].judges, errors[1].judges, strict=True):
        for x, y in zip(a.models, b.models, strict=True):
            assert all(near(getattr(x, f), getattr(y, f)) for f in ("sensitivity", "specificity", "youden_j", "bias"))
    said = [concordance(p, sampling=QUICK).accuracy for p in (weighted, plain)]
    assert said[0] is not None
    assert said[1] is not None
    assert near(*said)


def near(a: Estimate | None, b: Estimate | None) -> bool:
    if a is None or b is None or a.value is None or b.value is None:
        return (a is None or a.value is None) == (b is None or b.value is None)
    return abs(a.value - b.value) < 1e-9


def verdicts_of(panel: Panel) -> pl.DataFrame:
    item, judge = np.nonzero(panel.codes >= 0)
    return pl.DataFrame(
        {
            "item_id": panel.items["item_id"].gather(item),
            "judge": pl.Series(panel.names).gather(judge),
            "status": pl.repeat("ok", item.size, eager=True).cast(STATUS),
            "label": [panel.question.labels[c] for c in panel.codes[item, judge]],
            "score": (panel.codes[item, judge] + 1) / 4 + (item % 7) / 100,
        }
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_trust_ranks_and_correlates_errors_as_of_labels_that_stand_as_often(seed: int) -> None:
    codes, truth = made(seed, n=300)
    times = np.random.default_rng(seed).integers(1, 4, truth.size)
    again = np.repeat(np.arange(truth.size), times)
    found = []
    for panel in (panel_of(codes, truth, times.astype(float)), panel_of(codes[again], truth[again])):
        latent = estimate_truth(panel.codes, 2)
        found.append(trust(panel, latent, sampling=QUICK))
    one, two = found
    assert one.ranking is not None
    assert two.ranking is not None
    assert one.ranking.basis == two.ranking.basis == "reference"
    assert one.ranking.best == two.ranking.best
    for a, b in zip(one.ranking.judges, two.ranking.judges, strict=True):
        assert near(a.value, b.value)
        assert near(a.difference, b.difference)
        assert a.mcnemar is None, "an exact test of whole counts is none of weights"
    for a, b in zip(one.judges, two.judges, strict=True):
        assert all(near(x.reference, y.reference) for x, y in zip(a.bias, b.bias, strict=True))
        assert a.reference is not None
        assert b.reference is not None
        assert near(a.reference.youden_j, b.reference.youden_j)
    pairs = zip(one.error_correlation.reference, two.error_correlation.reference, strict=True)
    assert all(near(a.phi, b.phi) for a, b in pairs)


def test_the_scale_of_the_weights_is_nothing_to_any_figure() -> None:
    """Also where a judge judged only outputs of small weight: it is still 60 labels, and is ranked."""
    codes, truth = made(4, n=400)
    probability = np.where(np.arange(400) % 2 == 0, 1.0, 0.1)
    gold = np.where(np.random.default_rng(4).random(400) < probability * 0.6, truth, -1)
    codes[probability < 1, 2] = -1
    panel = panel_of(codes, gold, 1 / probability)
    latent = estimate_truth(panel.codes, 2)
    assert panel.gold_weight is not None
    found = []
    for scale in (1.0, 3.0, 1e-3):
        scaled = replace(panel, gold_weight=panel.gold_weight * scale)
        rates = corrected_rates(scaled, latent.consensus, latent.posterior, sampling=QUICK)
        conclusions = conclude(scaled, sampling=QUICK, truth_posterior=latent.posterior, verdicts=verdicts_of(scaled))
        assert rates is not None
        assert conclusions is not None
        found.append([trust(scaled, latent, sampling=QUICK), rates, conclusions.errors])
    told = [str(numbers(one)) for one in found]
    assert told[0] == told[1] == told[2]
    ranking = found[0][0].ranking
    assert ranking is not None
    assert {r.judge for r in ranking.judges} == {"j0", "j1", "j2"}


def numbers(found: Any) -> Any:
    """The records with every number to nine places."""
    if isinstance(found, list | tuple):
        return [numbers(one) for one in found]
    if hasattr(found, "model_dump"):
        return numbers(found.model_dump())
    if isinstance(found, dict):
        return {name: numbers(value) for name, value in found.items()}
    return round(found, 9) + 0.0 if isinstance(found, float) else found


def test_weights_of_one_give_the_values_without_any() -> None:
    """Not the intervals: those of shares have Student's t, and the bootstrap draws labels one by one."""
    codes, truth = made(12)
    gold = np.where(np.arange(truth.size) % 3 > 0, truth, -1)
    plain = panel_of(codes, gold)
    ones = replace(plain, gold_weight=(gold >= 0).astype(np.float64))
    for j in range(3):
        one, two = (
            against_reference(codes[:, j], gold, 2, positive=1, weight=w, replicates=0)
            for w in (None, ones.gold_weight)
        )
        assert values(one) == pytest.approx(values(two))
    latent = estimate_truth(plain.codes, 2)
    told = [trust(p, latent, sampling=QUICK) for p in (plain, ones)]
    rankings = [t.ranking for t in told if t.ranking is not None]
    ranked = [{r.judge: r.value.value for r in one.judges} for one in rankings]
    assert ranked[0] == pytest.approx(ranked[1])


def test_a_reference_by_a_judge_s_name_or_a_column_brings_its_probabilities_too() -> None:
    chance = pl.when(pl.col("item_id") == "i0").then(0.2).otherwise(0.8)
    table = two_judges(ana="human").with_columns(inclusion_probability=pl.when(pl.col("judge") == "ana").then(chance))
    assert build_panel(table, reference="ana").gold_weight == pytest.approx([1.6, 0.4, 0, 0, 0, 0])
    column = pl.DataFrame({"item_id": ["i0", "i1"], "human": ["a", "b"], "inclusion_probability": [0.2, 0.8]})
    found = gold_of_column(column, "human")
    assert found.columns == ["item_id", "gold", "inclusion_probability"]
    assert build_panel(table, reference=found).gold_weight == pytest.approx([1.6, 0.4, 0, 0, 0, 0])
    long = pl.concat([column.with_columns(inclusion_probability=pl.lit(None, pl.Float64)), column])
    assert gold_of_column(long, "human").rows() == found.rows(), "rows of other judges come first, without one"
    unknown = table.with_columns(inclusion_probability=pl.lit(None, pl.Float64))
    assert not build_panel(unknown, reference="ana").gold_picked


@pytest.mark.parametrize("bad", [None, float("nan"), 0.0, 2.0, -0.5])
def test_a_table_with_a_probability_that_is_none_is_refused(bad: float | None) -> None:
    table = pl.DataFrame({"item_id": ["a", "b"], "gold": ["x", "y"], "inclusion_probability": [0.5, bad]})
    with pytest.raises(InputError, match=r"reference label of item 'b' has no probability"):
        gold_weights(table, pl.Series("item_id", ["a", "b"]), np.array([0, 1]))


def test_reviewers_with_two_probabilities_for_one_item_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    row = '{{"item_id":"a","judge":"{}","judge_kind":"human","status":"ok","label":"x","inclusion_probability":{}}}\n'
    path.write_text(row.format("ana", 0.5) + row.format("bo", 0.1))
    with pytest.raises(InputError, match=r"item 'a' has several probabilities"):
        read_reference(path)


def test_a_reference_by_prompt_and_response_brings_its_probabilities(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("prompt,response,gold,inclusion_probability\np,r,x,0.5\np,s,y,0.25\n")
    assert read_reference(path)["inclusion_probability"].to_list() == [0.5, 0.25]


def test_a_report_has_one_j_of_a_judge_where_all_judged_everything() -> None:
    codes, truth = made(21, n=300)
    codes = np.where(codes < 0, truth[:, None], codes)
    gold = np.where(np.arange(300) % 2 == 0, truth, -1)
    panel = panel_of(codes, gold, np.random.default_rng(21).uniform(1, 9, 300))
    found = trust(panel, estimate_truth(panel.codes, 2), sampling=QUICK)
    assert found.ranking is not None
    for judge in found.judges:
        assert judge.reference is not None
        assert near(next(r.value for r in found.ranking.judges if r.judge == judge.judge), judge.reference.youden_j)


def test_a_panel_that_is_the_sample_itself_has_a_weighted_rate() -> None:
    """All that `plan` drew, scored by a new judge: the outputs stand for those that they were drawn from."""
    codes, truth = made(13, n=80)
    weight = np.random.default_rng(13).uniform(1, 9, 80)
    panel = panel_of(codes, truth, weight)
    found = corrected_rates(panel, None, sampling=QUICK)
    assert found is not None
    for row in found.rates:
        here = np.array([row.model in (None, f"m{i % 2}") for i in range(80)])
        assert row.recommended == "reference_only"
        assert row.quoted.value == pytest.approx(np.average(truth[here], weights=weight[here]))


def test_what_is_planned_and_the_calibration_rest_on_weighted_labels_too() -> None:
    """A report that says one rate here and another there contradicts itself."""
    codes, truth = made(7, n=200)
    times = np.random.default_rng(7).integers(1, 4, truth.size)
    again = np.repeat(np.arange(truth.size), times)
    weighted, plain = panel_of(codes, truth, times.astype(float)), panel_of(codes[again], truth[again])
    one, two = (Believed.of(p, None) for p in (weighted, plain))
    assert one.rates() == pytest.approx(two.rates())
    needed = [judge_labels(p, b, 1, 0.1, 0.95) for p, b in ((weighted, one), (plain, two))]
    assert [(j.sensitivity, j.specificity) for j in needed[0]] == [
        (pytest.approx(j.sensitivity), pytest.approx(j.specificity)) for j in needed[1]
    ]
    helped = [rate_labels(p, b, 1, 0.1, Sampling(replicates=0)) for p, b in ((weighted, one), (plain, two))]
    assert helped[0].n == helped[1].n
    for a, b in zip(helped[0].helped, helped[1].helped, strict=True):
        assert near(a.correlation, b.correlation)
    pair = [tell_apart(p, b, 0.8, 0.95) for p, b in ((weighted, one), (plain, two))]
    assert pair[0] is not None
    assert pair[1] is not None
    assert pair[0].accuracy_a == pytest.approx(pair[1].accuracy_a)
    p_wrong = np.random.default_rng(7).random(codes.shape)
    told = calibration(p_wrong, weighted.codes, weighted.gold, weight=weighted.gold_weight)
    copied = calibration(p_wrong[again], plain.codes, plain.gold)
    assert told is not None
    assert copied is not None
    for name in ("brier", "auroc", "mean_p_wrong", "share_wrong"):
        assert getattr(told, name) == pytest.approx(getattr(copied, name))
    assert [b.observed for b in told.bins] == pytest.approx([b.observed for b in copied.bins])


def test_thresholds_are_swept_against_weighted_labels() -> None:
    codes, truth = made(3, n=200)
    times = np.random.default_rng(3).integers(1, 4, truth.size)
    again = np.repeat(np.arange(truth.size), times)
    weighted, plain = panel_of(codes, truth, times.astype(float)), panel_of(codes[again], truth[again])
    table = verdicts_of(weighted)
    copies = pl.DataFrame({"item_id": plain.items["item_id"], "was": weighted.items["item_id"].gather(again)})
    longer = copies.join(table, left_on="was", right_on="item_id", maintain_order="left").drop("was")
    for one, two in zip(
        sweeps(weighted, table, np.full(weighted.n_items, -1), 0),
        sweeps(plain, longer, np.full(plain.n_items, -1), 0),
        strict=True,
    ):
        kappas = [{p.threshold: p.kappa.value for p in s.points} for s in (one, two)]
        shared = set(kappas[0]) & set(kappas[1])
        assert len(shared) > 3
        assert {t: kappas[0][t] for t in shared} == pytest.approx({t: kappas[1][t] for t in shared}, nan_ok=True)


def test_a_weighted_share_has_kish_s_number_of_labels_at_its_end() -> None:
    """All right: Wilson's lower limit at (sum w)^2 / sum w^2 = (4 x 1 + 4 x 3)^2 / (4 + 4 x 9) = 6.4 labels, with
    Student's t; of eight equal ones it is at 8."""
    weight = np.array([1.0, 3.0] * 4)
    low = proportion(np.ones(8, bool), weight=weight).ci_low
    equal = proportion(np.ones(8, bool), weight=np.ones(8)).ci_low
    z2 = 1.959963984540054**2
    assert low == pytest.approx(6.4 / (6.4 + z2))
    assert equal == pytest.approx(8 / (8 + z2))


# ---- rates ----


def test_the_corrected_rate_is_the_difference_estimator_with_the_consensus_s_probabilities() -> None:
    codes, truth = made(5, n=400)
    rng = np.random.default_rng(5)
    probability = rng.uniform(0.05, 0.5, truth.size)
    gold = np.where(rng.random(truth.size) < probability, truth, -1)
    panel = panel_of(codes, gold, 1 / probability)
    latent = estimate_truth(codes.astype(np.int16), 2)
    found = corrected_rates(panel, latent.consensus, latent.posterior, sampling=Sampling())
    assert found is not None
    whole = found.rates[0]
    assert (whole.recommended, found.quoted) == ("sampled", "panel consensus")
    assert whole.rogan_gladen is whole.ppi is whole.ppi_stratified is None
    known = gold >= 0
    expected = sampled_rate(
        gold[known] == 1, latent.posterior[known, 1], probability[known], float(latent.posterior[:, 1].mean()),
        outputs=truth.size,
    )  # fmt: skip
    assert whole.sampled is not None
    assert (whole.sampled.value, whole.sampled.ci_low, whole.sampled.ci_high) == pytest.approx(
        (expected.value, expected.ci_low, expected.ci_high)
    )
    weight = 1 / probability[known]
    assert whole.reference_only is not None
    assert whole.reference_only.value == pytest.approx(float((weight * (gold[known] == 1)).sum() / weight.sum()))
    model = next(r for r in found.rates if r.model == "m1" and r.judge == "j0")
    assert model.recommended == "sampled"
    few = replace(panel, gold=np.where(np.cumsum(known) <= 7, panel.gold, -1).astype(np.int16))
    some = corrected_rates(few, latent.consensus, latent.posterior, sampling=Sampling())
    assert some is not None
    assert some.rates[0].recommended == "reference_only", "seven labels have no interval of the other kind"
    assert some.rates[0].quoted.ci_low is not None
    assert model.sampled is not None
    assert model.sampled.n == int((known & (np.arange(truth.size) % 2 == 1)).sum())


def test_a_model_whose_outputs_all_have_a_label_has_their_plain_rate() -> None:
    codes, truth = made(6, n=60)
    gold = np.where(np.arange(60) % 2 == 0, truth, -1)  # all of m0
    panel = panel_of(codes, gold, np.random.default_rng(0).uniform(1, 5, 60))
    found = corrected_rates(panel, None, sampling=Sampling())
    assert found is not None
    mine = next(r for r in found.rates if r.model == "m0")
    assert mine.recommended == "reference_only"
    assert mine.quoted.value == pytest.approx(truth[::2].mean())
    assert next(r for r in found.rates if r.model == "m1").recommended == "raw"


def test_clusters_of_one_label_each_change_nothing_and_shared_ones_widen() -> None:
    rng = np.random.default_rng(2)
    y, f, p = rng.integers(0, 2, 40), rng.random(40), rng.uniform(0.1, 1, 40)
    alone = sampled_rate(y, f, p, 0.4)
    assert sampled_rate(y, f, p, 0.4, clusters=rng.permutation(40)) == alone
    twice = sampled_rate(np.repeat(y, 2), np.repeat(f, 2), np.repeat(p, 2), 0.4, clusters=np.repeat(np.arange(40), 2))
    assert twice.value == pytest.approx(alone.value)
    assert width(twice) == pytest.approx(width(alone), rel=0.03), "a label that stands twice tells once"
    assert sampled_rate(y, f, p, 0.4, clusters=np.zeros(40)).ci_low is None
    wider = sampled_rate(y, f, p, 0.4, outputs=50)
    assert wider.value == alone.value
    assert width(wider) > width(alone)
    assert width(sampled_rate(y, f, p, 0.4, outputs=1e12)) == pytest.approx(width(alone))


def width(found: Estimate) -> float:
    assert found.ci_high is not None
    assert found.ci_low is not None
    return found.ci_high - found.ci_low


# ---- what it is for ----


def test_judges_and_rates_are_right_on_average_where_doubtful_outputs_are_labelled_more_often() -> None:
    """200 samples of 100 of 800 outputs by `next_items`: a judge's J and kappa and the rate against those on all 800.

    Taken as they come, the labels make the judges look worse by far: that is what the weights put right.
    """
    rng = np.random.default_rng(9)
    truth = (rng.random(800) < 0.3).astype(np.int16)
    right = rng.random((800, 4)) < (0.9, 0.85, 0.8, 0.75)
    codes = np.asfortranarray(np.where(right, truth[:, None], 1 - truth[:, None]), dtype=np.int16)
    latent = estimate_truth(codes, 2)
    bare = panel_of(codes, np.full(800, -1))
    full = against_reference(codes[:, 1], truth, 2, positive=1, replicates=0)
    figures: dict[str, list[float]] = {name: [] for name in ("j", "kappa", "rate", "plain j", "held")}
    believed = Believed.of(replace(bare, gold=None), latent)
    places = {name: at for at, name in enumerate(bare.items["item_id"])}
    for seed in range(200):
        table, _ = next_items(replace(bare, gold=None), believed, 100, random_share=0.25, seed=seed)
        at = np.array([places[name] for name in table["item_id"]])
        gold = np.full(800, -1, np.int16)
        gold[at] = truth[at]
        weight = np.zeros(800)
        weight[at] = 1 / table["inclusion_probability"].to_numpy()
        panel = panel_of(codes, gold, weight)
        told = against_reference(codes[:, 1], gold, 2, positive=1, weight=panel.gold_weight, replicates=100, seed=seed)
        plain = against_reference(codes[:, 1], gold, 2, positive=1, replicates=0)
        rates = corrected_rates(panel, latent.consensus, latent.posterior, sampling=QUICK)
        assert rates is not None
        j = told["youden_j"]
        found = {"j": j, "kappa": told["cohen_kappa"], "rate": rates.rates[0].quoted, "plain j": plain["youden_j"]}
        for name, one in found.items():
            assert one.value is not None
            figures[name].append(one.value)
        assert j.ci_low is not None
        assert j.ci_high is not None
        figures["held"].append(float(j.ci_low <= float(full["youden_j"].value or 0) <= j.ci_high))
    mean = {name: float(np.mean(drawn)) for name, drawn in figures.items()}
    error = {name: float(np.std(drawn) / np.sqrt(200)) for name, drawn in figures.items()}
    assert full["youden_j"].value is not None
    assert full["cohen_kappa"].value is not None
    assert abs(mean["j"] - full["youden_j"].value) < 4 * error["j"] + 0.01, "a ratio is biased by about 1 / n"
    assert abs(mean["kappa"] - full["cohen_kappa"].value) < 4 * error["kappa"] + 0.01
    assert abs(mean["rate"] - truth.mean()) < 4 * error["rate"]
    assert mean["plain j"] < full["youden_j"].value - 0.1
    assert mean["held"] >= 0.9


def test_a_whole_report_of_equal_weights_is_that_of_none() -> None:
    codes, truth = made(8)
    gold = np.where(np.arange(truth.size) % 2 == 0, truth, -1)
    table = verdicts_of(panel_of(codes, gold)).with_columns(construct=pl.lit("harm"), judge_kind=pl.lit("rubric"))
    reference = pl.DataFrame(
        {"item_id": [f"i{i:05d}" for i in range(0, truth.size, 2)], "gold": [("safe", "unsafe")[t] for t in truth[::2]]}
    )
    equal = reference.with_columns(inclusion_probability=pl.lit(0.3))
    one, two = (
        examine(
            build_panel(table.drop("score"), reference=r),
            table,
            Texts(table.select("item_id").unique()),
            sampling=QUICK,
        ).result
        for r in (reference, equal)
    )
    assert one == two
