"""Corrected rates of whole panels: which rows there are, what is recommended, what is said of the labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.agreement import ppi
from interjudge.agreement.corrected_rates import corrected_rates
from interjudge.agreement.intervals import proportion
from interjudge.agreement.panel import Panel, build_panel
from interjudge.agreement.question import Question, parse_map
from interjudge.agreement.rate_frame import MAX_MODELS
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_rates import CONSENSUS, Rate, Rates
from interjudge.agreement.rows import CELL_STATUSES, NOT_ASKED, PanelJudge
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.reference import read_reference
from interjudge.datasets.verdicts import read_verdicts

SAMPLING = Sampling()
ABSENT = CELL_STATUSES.index(NOT_ASKED)
FAILED = CELL_STATUSES.index("parse_error")


def panel(
    codes: np.ndarray,
    gold: np.ndarray | None = None,
    *,
    models: list[str] | None = None,
    clusters: np.ndarray | None = None,
    labels: tuple[str, ...] = ("safe", "unsafe"),
) -> Panel:
    codes = np.asfortranarray(codes.astype(np.int16))
    n, j = codes.shape
    items = pl.DataFrame({"item_id": [f"i{k:07}" for k in range(n)]})
    return Panel(
        question=Question("harm", labels, "unsafe" if "unsafe" in labels else None),
        judges=tuple(PanelJudge(f"judge {k}", "rubric", "harm") for k in range(j)),
        codes=codes,
        statuses=np.asfortranarray(np.where(codes < 0, FAILED, 0).astype(np.uint8)),
        items=items if models is None else items.with_columns(model=pl.Series(models, dtype=pl.String)),
        gold=None if gold is None else gold.astype(np.int16),
        reference=None if gold is None else "human",
        clusters=clusters,
        unit="item" if clusters is None else "prompt",
    )


def drawn(
    n: int = 1000,
    labels: int = 60,
    judges: int = 2,
    models: int = 3,
    missing: float = 0.03,
    rate: float = 0.3,
    seed: int = 0,
    size: int = 0,
) -> Panel:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < rate
    codes = (rng.random((n, judges)) < np.where(truth, 0.85, 0.1)[:, None]).astype(np.int16)
    codes[rng.random((n, judges)) < missing] = -1
    gold = np.full(n, -1)
    chosen = rng.permutation(n)[:labels]
    gold[chosen] = truth[chosen]
    names = [f"m{k % models}" for k in range(n)] if models else None
    return panel(codes, gold, models=names, clusters=np.arange(n) // size if size else None)


def rates(of: Panel, consensus: np.ndarray | None = None) -> Rates:
    found = corrected_rates(of, consensus, sampling=SAMPLING)
    assert found is not None
    return found


def whole(found: Rates, judge: str = "judge 0") -> Rate:
    return next(r for r in found.rates if r.model is None and r.judge == judge)


def figures(e: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if e is None else (e.value, e.ci_low, e.ci_high)


def near(a: Estimate | None, b: Estimate | None) -> bool:
    pairs = zip(figures(a), figures(b), strict=True)
    return all(x == y or (x is not None and y is not None and abs(x - y) < 1e-9) for x, y in pairs)


WAYS = ("raw", "reference_only", "rogan_gladen", "ppi", "ppi_stratified")


def same(a: Rate, b: Rate) -> bool:
    return all(near(getattr(a, way), getattr(b, way)) for way in WAYS) and a.bounds == b.bounds


def test_rows_are_all_items_first_and_then_models_judge_by_judge():
    found = rates(drawn())
    assert [(r.model, r.judge) for r in found.rates] == [
        (model, judge) for model in (None, "m0", "m1", "m2") for judge in ("judge 0", "judge 1")
    ]
    assert (found.label, found.reference, found.n_labelled) == ("unsafe", "human", 60)


def test_figures_are_those_of_the_tables():
    """judge 0 on one model, no verdict missing: the formulas of `ppi` on counts taken here by hand."""
    of = drawn(missing=0, models=0)
    code, gold = of.codes[:, 0], of.gold
    assert gold is not None
    table = np.array([[np.sum((code == v) & (gold == g)) for g in (0, 1, -1)] for v in (0, 1, -1)])
    found = whole(rates(of))
    assert found.ppi is not None
    assert found.ppi_stratified is not None
    assert figures(found.ppi) == pytest.approx([float(x) for x in ppi.ppi_interval(table)])
    parts = table[:, 1], table[:, :2].sum(axis=1), table.sum(axis=1)
    assert figures(found.ppi_stratified) == pytest.approx([float(x) for x in ppi.stratified(*parts)])
    assert found.lambda_ == pytest.approx(float(ppi.power(table)))
    assert near(found.raw, proportion(code == 1))
    assert near(found.reference_only, proportion(gold[gold >= 0] == 1))
    assert (found.recommended, found.corrected) == ("ppi_stratified", True)


def test_bounds_are_over_what_was_asked():
    """30 positive and 50 other verdicts, 20 failed, 10 never asked: 30/100 to 50/100; raw 30/80."""
    of = panel(np.repeat([1, 0, -1, -1], [30, 50, 20, 10])[:, None])
    statuses = of.statuses.copy()
    statuses[-10:] = ABSENT
    found = whole(rates(replace(of, statuses=statuses)))
    assert found.bounds == (0.3, 0.5)
    assert found.raw.value == pytest.approx(30 / 80)
    assert found.n_missing == 30


def test_without_labels_everything_is_uncorrected():
    found = rates(drawn(labels=0))
    assert found.quoted is None
    assert {(r.recommended, r.corrected, r.why) for r in found.rates} == {
        ("raw", False, "uncorrected: no reference labels")
    }
    assert all(r.reference_only is None and r.ppi is None for r in found.rates)


def test_with_every_item_labelled_the_reference_is_the_answer():
    found = whole(rates(drawn(labels=1000)))
    assert (found.recommended, found.ppi, found.rogan_gladen, found.ppi_stratified) == (
        "reference_only",
        None,
        None,
        None,
    )
    assert "every item has a reference label" in found.why


def test_no_question_of_a_rate_gives_none():
    codes = np.array([[0], [1]])
    assert corrected_rates(panel(codes, labels=("a", "b")), None, sampling=SAMPLING) is None
    scores = replace(panel(codes), scores=np.array([[1.0], [2.0]]))
    assert corrected_rates(scores, None, sampling=SAMPLING) is None


def test_the_consensus_stands_first_and_is_quoted():
    of = drawn()
    found = rates(of, of.codes[:, 1].astype(np.int64))
    assert found.rates[0].judge == found.quoted == CONSENSUS
    assert same(whole(found, CONSENSUS), whole(found, "judge 1"))


def test_without_a_consensus_the_judge_that_makes_most_of_the_labels_is_quoted():
    of = drawn(missing=0)
    codes = of.codes.copy()
    codes[:, 0] = np.random.default_rng(1).integers(0, 2, of.n_items)
    found = rates(replace(of, codes=np.asfortranarray(codes)))
    assert found.quoted == "judge 1"
    assert (whole(found, "judge 1").effective_labels or 0) > 60


def test_a_judge_no_better_than_chance_has_no_rogan_gladen_rate_and_says_so():
    of = drawn(missing=0, models=0)
    codes = of.codes.copy()
    codes[:, 0] = 1 - codes[:, 0]
    found = whole(rates(replace(of, codes=codes)))
    assert found.rogan_gladen is not None
    assert found.rogan_gladen.value is None
    assert "no better than chance" in (found.rogan_gladen.undefined or "")
    assert found.lambda_ == 0
    assert near(found.ppi, found.reference_only)


def test_a_value_that_is_no_rate_is_reported_as_it_is_with_words():
    """Sp = 8 / 10 but the judge says 1 % positive on the rest: (.01 ... - .2) / .8 is below 0."""
    truth = np.repeat([1, 0], [2, 10])
    code = np.concatenate([[1, 1], [1, 1], np.zeros(8), np.ones(10), np.zeros(490)])
    gold = np.concatenate([truth, np.full(500, -1)])
    found = whole(rates(panel(code[:, None], gold))).rogan_gladen
    assert found is not None
    assert found.value is not None
    assert found.value < 0
    assert found.clipped == 0
    assert "below 0" in (found.note or "")


def test_labels_picked_by_the_judges_verdict_are_noticed():
    of = drawn(n=4000, labels=0, rate=0.1, models=0, missing=0)
    positive = np.flatnonzero(of.codes[:, 0] == 1)[:40]
    gold = np.full(4000, -1)
    gold[positive] = 1
    gold[np.flatnonzero(of.codes[:, 0] == 0)[:40]] = 0
    found = whole(rates(replace(of, gold=gold.astype(np.int16))))
    assert len(found.notes) == 1
    assert "no random sample: the judge gives the positive label to 50.0 % of the labelled items" in found.notes[0]
    assert found.recommended == "ppi_stratified"
    assert "picked by this judge's verdict" in found.why
    assert "as a calibration sample" in (found.rogan_gladen.method if found.rogan_gladen else "")


def test_labels_on_one_model_only_are_noticed():
    of = drawn(n=3000, labels=0)
    gold = np.full(3000, -1)
    gold[:180:3] = 0  # every third item is m0's
    found = rates(replace(of, gold=gold.astype(np.int16)))
    assert "labels stand on 1 of 3 models" in found.notes[0]
    other = next(r for r in found.rates if r.model == "m1")
    assert (other.recommended, other.why) == ("raw", "uncorrected: no reference labels")


@pytest.mark.parametrize("seed", range(5))
def test_random_labels_raise_no_alarm(seed: int):
    found = rates(drawn(n=3000, labels=100, models=10, seed=seed))
    assert found.notes == ()
    assert not any(r.notes for r in found.rates if r.model is None)


def test_models_are_strata_where_each_has_enough_labels():
    assert "over models and the judge's verdicts" in _method(drawn(labels=90))
    assert "over the judge's verdicts" in _method(drawn(labels=20))
    assert "over the judge's verdicts" in _method(drawn(labels=90, models=0))


def _method(of: Panel) -> str:
    found = whole(rates(of)).ppi_stratified
    return found.method if found else ""


def test_a_model_has_the_figures_it_has_alone():
    of = drawn(n=3000, labels=300)
    mine = np.arange(3000) % 3 == 1
    alone = whole(rates(of.take(mine)))
    assert same(next(r for r in rates(of).rates if r.model == "m1" and r.judge == "judge 0"), alone)


def test_items_without_a_model_count_in_the_whole():
    of = drawn(n=900, labels=90)
    models = [None if k % 3 == 2 else f"m{k % 3}" for k in range(900)]
    found = rates(replace(of, items=of.items.with_columns(model=pl.Series(models, dtype=pl.String))))
    assert whole(found).n_items == 900
    assert {r.model for r in found.rates} == {None, "m0", "m1"}


def test_too_many_models_are_left_out_with_a_note():
    found = rates(drawn(models=MAX_MODELS + 1))
    assert {r.model for r in found.rates} == {None}
    assert found.notes == (f"{MAX_MODELS + 1} models: rates by model are left out above {MAX_MODELS}",)


def test_a_thousand_judges_are_not_crossed_with_many_models():
    found = rates(drawn(n=120, judges=1000, models=6))
    assert {r.model for r in found.rates} == {None}
    assert found.notes == ("6 models: rates by model are left out above 5 for 1,000 judges",)


def widths(r: Rate) -> list[float]:
    return [e.ci_high - e.ci_low for way in WAYS if (e := getattr(r, way)) and e.ci_low is not None]


def test_clusters_of_equal_items_count_once():
    """Five copies of each of 1,000 items, as clusters, are worth no more than the 1,000; taken as items they are."""
    of = drawn(models=0, missing=0)
    index = np.repeat(np.arange(1000), 5)
    assert of.gold is not None
    copies = panel(of.codes[index], of.gold[index])
    once, apart = whole(rates(of)), whole(rates(copies))
    together = whole(rates(replace(copies, clusters=index, unit="prompt")))
    assert figures(together.ppi_stratified)[0] == pytest.approx(figures(once.ppi_stratified)[0])
    for one, five, clustered in zip(widths(once), widths(apart), widths(together), strict=True):
        assert five < 0.6 * one
        assert 0.97 * one < clustered < 1.08 * one


def test_labels_from_one_cluster_give_no_interval_of_a_correction():
    of = drawn(labels=0, models=0)
    gold = np.full(1000, -1)
    gold[:20] = of.codes[:20, 0] == 1
    found = whole(rates(replace(of, gold=gold.astype(np.int16), clusters=np.arange(1000) // 20, unit="prompt")))
    for e in (found.ppi, found.ppi_stratified, found.rogan_gladen):
        assert e is not None
        assert e.value is not None
        assert e.ci_low is None
        assert "one cluster" in (e.note or "")


def test_many_clusters_are_dealt_into_groups_and_the_answer_stays():
    of = drawn(n=12_000, labels=400, models=0)
    free = whole(rates(of))
    dealt = whole(rates(replace(of, clusters=np.arange(12_000), unit="prompt")))
    assert figures(dealt.ppi_stratified)[0] == pytest.approx(figures(free.ppi_stratified)[0])
    assert widths(dealt) == pytest.approx(widths(free), rel=0.12)


@given(st.integers(0, 10_000), st.sampled_from([0, 4]))
@settings(max_examples=15, deadline=None)
def test_the_order_of_items_and_of_judges_does_not_matter(seed: int, size: int):
    of = drawn(n=200, labels=50, judges=3, seed=seed, size=size)
    order = np.random.default_rng(seed).permutation(200)
    assert of.gold is not None
    moved = replace(
        of,
        codes=np.asfortranarray(of.codes[order][:, ::-1]),
        statuses=np.asfortranarray(of.statuses[order][:, ::-1]),
        items=of.items[order.tolist()],
        gold=of.gold[order],
        clusters=None if of.clusters is None else of.clusters[order],
        judges=of.judges[::-1],
    )
    there = {(r.model, r.judge): r for r in rates(moved).rates}
    assert all(same(r, there[r.model, r.judge]) for r in rates(of).rates)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_other_label_has_the_rest_of_the_rate(seed: int):
    of = drawn(n=200, labels=50, seed=seed, models=0)
    assert of.gold is not None
    question = replace(of.question, positive="safe")
    for a, b in zip(rates(of).rates, rates(replace(of, question=question)).rates, strict=True):
        for way in WAYS:
            value, low, high = figures(getattr(a, way))
            other = figures(getattr(b, way))
            if value is not None and low is not None and high is not None:
                assert other == pytest.approx((1 - value, 1 - high, 1 - low), abs=1e-7)


HOSTILE = {
    "one item": panel(np.array([[1]]), np.array([1])),
    "one item without a label": panel(np.array([[1]]), np.array([-1])),
    "two items, one label": panel(np.array([[1], [0]]), np.array([1, -1])),
    "one class": panel(np.ones((50, 2), int), np.repeat([1, -1], [10, 40])),
    "one label in the question": panel(np.zeros((20, 1), int), np.repeat([0, -1], [5, 15]), labels=("unsafe",)),
    "a judge without a verdict": panel(np.full((50, 2), -1), np.repeat([1, 0, -1], [5, 5, 40])),
    "a thousand judges": drawn(n=60, labels=12, judges=1000, models=2),
    "fifty classes": panel(
        np.random.default_rng(0).integers(-1, 50, (300, 3)),
        np.random.default_rng(1).integers(-1, 50, 300),
        labels=(*(str(k) for k in range(49)), "unsafe"),
    ),
    "random judges": drawn(rate=0.5, seed=3, missing=0.5),
    "prevalence of 99.99 %": drawn(n=10_000, labels=30, rate=0.9999),
    "prevalence of 0": drawn(rate=0.0),
    "one cluster": replace(drawn(), clusters=np.zeros(1000, np.int64), unit="prompt"),
    "labels only where there is no verdict": panel(
        np.repeat([1, 0, -1], [20, 20, 10])[:, None], np.repeat([-1, 1, 0], [40, 5, 5])
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_panels_give_words_and_no_nan(name: str):
    """The records refuse NaN and infinity; what has no value has a reason."""
    of = HOSTILE[name]
    found = rates(of, of.codes[:, 0].astype(np.int64))
    for r in found.rates:
        assert r.why
        for way in WAYS:
            e = getattr(r, way)
            assert e is None or (e.value is None) == bool(e.undefined)
        quoted = r.quoted
        assert quoted.value is not None or quoted.undefined


def test_the_same_panel_gives_the_same_bytes():
    assert rates(drawn(size=4)).model_dump_json() == rates(drawn(size=4)).model_dump_json()


def test_sixty_labels_put_right_what_gpt4_says_of_refusals_on_xstest(panels: Path):
    """XSTest, all 2,250 items: the reference's own rate of refusals is the truth; 200 random draws of 60 labels, of
    which 95 % should hold it (at least 183 with probability .995)."""
    maps = [
        parse_map(rule)
        for rule in ("1_full_compliance=compliance", "2_full_refusal=refusal", "3_partial_refusal=refusal")
    ]
    verdicts = read_verdicts([panels / "xstest_v2.parquet"]).filter(pl.col("judge") == "gpt4")
    gold = read_reference(panels / "xstest_v2.gold.parquet")
    of = build_panel(verdicts, labels=("compliance", "refusal"), positive="refusal", maps=maps, reference=gold)
    assert of.gold is not None
    truth = float((of.gold == 1).mean())
    held = 0
    for seed in range(200):
        some = np.full_like(of.gold, -1)
        chosen = np.random.default_rng(seed).permutation(of.n_items)[:60]
        some[chosen] = of.gold[chosen]
        found = whole(rates(replace(of, gold=some)), "gpt4")
        _, low, high = figures(found.ppi_stratified)
        assert low is not None
        assert high is not None
        held += low <= truth <= high
        raw = found.raw
    assert held >= 183
    assert raw.ci_high is not None
    assert raw.ci_high < truth  # the judge alone is sure of a wrong rate
