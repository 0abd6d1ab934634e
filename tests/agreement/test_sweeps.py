"""A judge's threshold moved over its scores."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from interjudge.agreement.intervals import Resampler
from interjudge.agreement.pairwise import cohen_kappa
from interjudge.agreement.panel import Panel
from interjudge.agreement.question import Question
from interjudge.agreement.results_models import Sweep
from interjudge.agreement.rows import PanelJudge
from interjudge.agreement.sweeps import MAX_THRESHOLDS, kappa_influence, sweeps


def swept(
    scores: np.ndarray,
    codes: np.ndarray,
    model: np.ndarray | None = None,
    *,
    thresholds: dict[str, float] | None = None,
    **more: object,
) -> Sweep:
    """The sweep of the judge j0, which has `scores`."""
    n, j = codes.shape
    names = [f"j{i}" for i in range(j)]
    items = pl.DataFrame({"item_id": [f"i{i}" for i in range(n)]})
    question = Question("harm", ("safe", "unsafe"), "unsafe", thresholds=thresholds or {})
    judges = tuple(PanelJudge(name, "rubric", "harm") for name in names)
    panel = Panel(question, judges, codes.astype(np.int16), np.zeros((n, j), np.uint8), items, **more)
    table = pl.DataFrame(
        {"item_id": items["item_id"], "judge": ["j0"] * n, "status": ["ok"] * n, "score": scores}
    ).with_columns(pl.col("score").fill_nan(None))
    group = np.zeros(n, np.int64) if model is None else model
    (found,) = sweeps(panel, table, group, int(group.max()) + 1)
    return found


def data(seed: int = 0, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, codes of four judges (the first follows its score from .5 on), models."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    scores = np.round(rng.normal(0.35 + 0.3 * truth, 0.2), 2)
    others = np.where(rng.random((n, 3)) < 0.85, truth[:, None], ~truth[:, None])
    return scores, np.column_stack([scores >= 0.5, others]).astype(int), rng.integers(0, 3, n)


def test_rate_and_kappa_are_those_of_the_labels_at_each_threshold():
    scores, codes, model = data()
    found = swept(scores, codes, model)
    consensus = (codes[:, 1:].sum(axis=1) >= 2).astype(int)
    assert found.against == "the consensus of the other judges"
    assert len(found.points) <= MAX_THRESHOLDS + 1
    assert [p.threshold for p in found.points] == sorted(p.threshold for p in found.points)
    for point in found.points:
        said = scores >= point.threshold
        assert point.rate.value == pytest.approx(said.mean())
        assert point.kappa.value == pytest.approx(cohen_kappa_score(said.astype(int), consensus), abs=1e-12)


def test_kappas_interval_is_the_large_sample_one_of_statsmodels():
    """Fleiss, Cohen and Everitt (1969)."""
    scores, codes, model = data()
    consensus = (codes[:, 1:].sum(axis=1) >= 2).astype(int)
    for point in swept(scores, codes, model).points[10:40:5]:
        said = (scores >= point.threshold).astype(int)
        table = np.array([[((said == a) & (consensus == b)).sum() for b in (0, 1)] for a in (0, 1)])
        expected = cohens_kappa(table)
        assert point.kappa.ci_low == pytest.approx(expected.kappa_low)
        assert point.kappa.ci_high == pytest.approx(min(expected.kappa_upp, 1))


def test_the_influence_of_an_item_is_the_derivative_of_kappa():
    rng = np.random.default_rng(0)
    table = rng.integers(5, 50, (2, 2)).astype(float)
    influence = kappa_influence(table)
    assert (influence * table).sum() == pytest.approx(0, abs=1e-9)
    for cell in np.ndindex(2, 2):
        step = np.zeros((2, 2))
        step[cell] = 1e-5
        slope = (cohen_kappa(table + step) - cohen_kappa(table - step)) / 2e-5
        assert influence[cell] / table.sum() == pytest.approx(slope, rel=1e-6)


def test_the_current_threshold_is_read_off_the_labels_and_marked():
    scores, codes, model = data()
    found = swept(scores, codes, model)
    below, above = scores[scores < 0.5].max(), scores[scores >= 0.5].min()
    assert found.current == pytest.approx((below + above) / 2)
    (here,) = [p for p in found.points if p.current]
    assert here.threshold == found.current
    assert here.same_order
    assert here.rate.value == pytest.approx(codes[:, 0].mean())


def test_the_users_threshold_comes_first():
    scores, codes, model = data()
    found = swept(scores, np.column_stack([np.full(300, -1), codes[:, 1:]]), model, thresholds={"j0": 0.7})
    assert found.current == 0.7
    assert next(p for p in found.points if p.current).rate.value == pytest.approx((scores >= 0.7).mean())


def test_a_judge_whose_low_scores_mean_the_positive_label_is_swept_the_other_way():
    scores, codes, model = data()
    up = swept(scores, codes, model)
    down = swept(-scores, codes, model)
    assert (up.positive_is, down.positive_is) == ("high", "low")
    assert down.current == pytest.approx(-up.current)
    assert [p.threshold for p in down.points] == sorted(p.threshold for p in down.points)
    # thresholds at equal shares are the same ones, mirrored
    here, there = ({round(s * p.threshold, 9): p for p in f.points} for s, f in ((1, up), (-1, down)))
    assert len(set(here) & set(there)) > 40
    for t in set(here) & set(there):
        assert here[t].kappa.value == pytest.approx(there[t].kappa.value)
        assert here[t].rate.value == pytest.approx(there[t].rate.value)


def test_the_order_of_models_holds_in_an_unbroken_range_around_the_threshold():
    # model 0 has scores 1 and 4, model 1 has 2 and 3: at 3.5 model 0 has more, at 1.5 model 1
    scores = np.repeat([1.0, 4.0, 2.0, 3.0], 50)
    model = np.repeat([0, 1], 100)
    codes = np.column_stack([scores >= 3.5, scores >= 3.5]).astype(int)
    found = swept(scores, codes, model)
    assert [(p.threshold, p.same_order) for p in found.points] == [(1.5, False), (2.5, False), (3.5, True)]
    assert found.stable == (3.5, 3.5)
    assert found.n_orders == 3  # behind, level, ahead
    assert found.n_clear_flips == 1


def test_a_reference_takes_the_place_of_the_consensus():
    scores, codes, model = data()
    gold = np.where(np.arange(300) < 200, codes[:, 1], -1).astype(np.int16)
    found = swept(scores, codes, model, gold=gold, reference="people")
    assert found.against == "people"
    point = found.points[20]
    said = (scores >= point.threshold).astype(int)[:200]
    assert (point.kappa.value, point.kappa.n) == (pytest.approx(cohen_kappa_score(said, codes[:200, 1])), 200)


def test_clusters_widen_the_intervals_where_their_items_are_alike():
    scores, codes, model = data(n=200)
    four = [np.repeat(a, 4, axis=0) for a in (scores, codes, model)]
    unit = np.repeat(np.arange(200), 4)
    once, together = swept(scores, codes, model), swept(*four, clusters=unit)
    naive = swept(*four)
    for a, b, c in zip(once.points, together.points, naive.points, strict=True):
        if a.kappa.ci_low is None or a.kappa.ci_low < -0.99 or a.kappa.ci_high > 0.99:
            continue
        assert b.kappa.value == pytest.approx(a.kappa.value)
        # t instead of z, C / (C - 1): a little wider than 200 items, twice as wide as 800
        assert b.kappa.ci_high - b.kappa.ci_low == pytest.approx(a.kappa.ci_high - a.kappa.ci_low, rel=0.02)
        assert b.kappa.ci_high - b.kappa.ci_low > 1.8 * (c.kappa.ci_high - c.kappa.ci_low)
        assert b.rate.ci_high - b.rate.ci_low == pytest.approx(a.rate.ci_high - a.rate.ci_low, rel=0.03)


def test_clustered_kappas_have_the_spread_of_a_bootstrap():
    scores, codes, model = data(3, 400)
    unit = np.random.default_rng(0).integers(0, 60, 400)
    found = swept(scores, codes, model, clusters=unit)
    point = found.points[25]
    consensus = (codes[:, 1:].sum(axis=1) >= 2).astype(int)
    cell = 2 * (scores >= point.threshold) + consensus
    units = np.stack([np.bincount(unit, cell == c, 60) for c in range(4)], axis=1)
    drawn = cohen_kappa(Resampler(np.ones(60, int), 2000, 0).sums(units).reshape(-1, 2, 2))
    half = (point.kappa.ci_high - point.kappa.ci_low) / 2
    assert half / 2.0010 == pytest.approx(drawn.std(), rel=0.1)  # t of 59 degrees of freedom


@pytest.mark.parametrize(
    ("scores", "first", "words"),
    [
        ([0.1, 0.9, 0.2, 0.8], [1, 0, 0, 1], "its labels do not follow from its scores"),
        ([0.5, 0.5, 0.5, 0.5], [1, 1, 1, 1], "fewer than two different scores"),
        ([np.nan, np.nan, 0.5, np.nan], [-1, -1, 1, -1], "fewer than two different scores"),
    ],
)
def test_a_judge_that_cannot_be_swept_has_words(scores: list[float], first: list[int], words: str):
    found = swept(np.array(scores), np.array([first, [0, 1, 0, 1]]).T)
    assert (found.undefined, found.points, found.stable) == (words, (), None)


def test_nothing_to_compare_with_leaves_the_rate():
    found = swept(np.arange(6.0), (np.arange(6) >= 3).astype(int)[:, None])
    assert {p.kappa.undefined for p in found.points} == {"no output has a score and something to compare with"}
    assert [p.rate.value for p in found.points] == pytest.approx([5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    assert found.stable is None  # one model has no order


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 200))
def test_sweeps_obey_the_laws(seed: int, n: int):
    """Rates fall as the threshold rises; figures stay in their bounds; the order of items changes nothing."""
    rng = np.random.default_rng(seed)
    scores, codes, model = data(seed, n)
    if len(set(codes[:, 0])) < 2:
        return
    found = swept(scores, codes, model)
    rates = [p.rate.value for p in found.points]
    assert rates == sorted(rates, reverse=True)
    assert sum(p.current for p in found.points) == 1
    assert found.stable is None or found.stable[0] <= found.current <= found.stable[1]
    for p in found.points:
        if p.kappa.value is not None and p.kappa.ci_low is not None:
            assert -1 <= p.kappa.ci_low <= p.kappa.value <= p.kappa.ci_high <= 1
    order = rng.permutation(n)
    assert swept(scores[order], codes[order], model[order]).points == found.points
