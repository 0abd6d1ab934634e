"""Prediction-powered inference: equality with ppi-python, closed forms, laws, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import special
from statsmodels.stats.proportion import proportion_confint

from interjudge.agreement import ppi

cells = st.lists(st.integers(0, 40), min_size=9, max_size=9).map(lambda c: np.array(c, float).reshape(3, 3))


def table(
    labelled: tuple[tuple[int, int], tuple[int, int]],
    unlabelled: tuple[int, int],
    none: tuple[int, int, int] = (0, 0, 0),
) -> np.ndarray:
    """((other/other, other/positive), (positive/other, positive/positive)), judge first; unlabelled other, positive."""
    return np.array([[*labelled[0], unlabelled[0]], [*labelled[1], unlabelled[1]], none], dtype=float)


SOME = table(((40, 3), (5, 12)), (700, 240))


def spelt_out(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The items of a table one by one: y and f of the labelled, f of the others."""
    f = ppi.predictions(t)
    y = np.concatenate([np.repeat([0.0, 1.0], t[v, :2].astype(int)) for v in range(3)])
    labelled = np.repeat(f, t[:, :2].sum(axis=1).astype(int))
    return y, labelled, np.repeat(f, t[:, 2].astype(int))


def strata(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return t[..., 1], t[..., :2].sum(axis=-1), t.sum(axis=-1)


@given(cells)
def test_value_and_plain_interval_are_those_of_ppi_python(t: np.ndarray):
    """Angelopoulos, Duchi and Zrnic's own package; where the judge never varies it divides by 0, we take lambda 0."""
    ppi_py = pytest.importorskip("ppi_py")
    y, f, others = spelt_out(t)
    assume(y.size > 1 and others.size > 1 and np.ptp(np.concatenate([f, others])) > 0)
    value, variance = ppi.ppi_mean(t)
    assert value == pytest.approx(float(np.squeeze(ppi_py.ppi_mean_pointestimate(y, f, others))), abs=1e-12)
    low, high = ppi_py.ppi_mean_ci(y, f, others, alpha=0.05)
    half = special.ndtri(0.975) * np.sqrt(variance)
    assert value - half == pytest.approx(float(np.squeeze(low)), abs=1e-7)
    assert value + half == pytest.approx(float(np.squeeze(high)), abs=1e-7)


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_a_given_lambda_too(lam: float):
    ppi_py = pytest.importorskip("ppi_py")
    found = ppi_py.ppi_mean_pointestimate(*spelt_out(SOME), lam=lam)
    assert ppi.ppi_mean(SOME, lam)[0] == pytest.approx(float(np.squeeze(found)))


def test_the_formula_by_hand():
    """lambda 1: mean_N(f) + mean_n(y) - mean_n(f) = 240/940 + 15/60 - 17/60 (Angelopoulos et al. 2023)."""
    assert ppi.ppi_mean(SOME, 1.0)[0] == pytest.approx(240 / 940 + 15 / 60 - 17 / 60)


def test_without_a_verdict_the_prediction_is_the_judges_own_rate():
    """17 + 240 of 60 + 940 verdicts are positive."""
    t = table(((40, 3), (5, 12)), (700, 240), (1, 2, 30))
    assert ppi.predictions(t) == pytest.approx([0, 1, 257 / 1000])


def test_a_judge_that_never_varies_or_is_against_the_reference_leaves_the_reference_alone():
    """lambda 0: share and Wilson's interval of the labels, 9 of 30."""
    low, high = proportion_confint(9, 30, method="wilson")
    for t in (table(((21, 9), (0, 0)), (500, 0)), table(((5, 8), (16, 1)), (200, 300))):
        assert ppi.power(t) == 0
        found = [float(x) for x in ppi.ppi_interval(t)]
        assert found == [pytest.approx(0.3), pytest.approx(low), pytest.approx(high)]


def test_a_perfect_judge_gives_its_rate_over_all_items():
    """12 of 40 labelled, 25 of 100 others: (12 + 25) / 140; PPI++ up to the n - 1 in its variance."""
    t = table(((28, 0), (0, 12)), (75, 25))
    assert ppi.stratified(*strata(t))[0] == pytest.approx(37 / 140)
    assert ppi.ppi_mean(t)[0] == pytest.approx(37 / 140, abs=0.005)


def test_strata_by_hand():
    """Verdict other: 743 of 1,000 items, 3 of 43 true; positive: 257 of them, 12 of 17 (Tenenbein 1970)."""
    assert ppi.stratified(*strata(SOME))[0] == pytest.approx(0.743 * 3 / 43 + 0.257 * 12 / 17)


def test_one_stratum_is_a_proportion():
    """Quantiles of Beta(9 + .4, 21 + .4), and no spread between strata."""
    value, low, high = ppi.stratified(np.array([9.0]), np.array([30.0]), np.array([500.0]))
    assert float(value) == pytest.approx(0.3)
    assert float(low) == pytest.approx(special.betaincinv(9.4, 21.4, 0.025))
    assert float(high) == pytest.approx(special.betaincinv(9.4, 21.4, 0.975))


def test_large_samples_have_the_width_of_double_sampling():
    """Var = p (1 - p) ((1 - r^2) / n + r^2 / (n + N)), r the correlation (Tenenbein 1970)."""
    n, others, p, se, sp = 100_000, 900_000, 0.3, 0.8, 0.9
    share = np.array([[(1 - p) * sp, p * (1 - se)], [(1 - p) * (1 - sp), p * se]])
    t = np.zeros((3, 3))
    t[:2, :2], t[:2, 2] = n * share, others * share.sum(axis=1)
    q = share[1].sum()
    r2 = (share[1, 1] - p * q) ** 2 / (p * (1 - p) * q * (1 - q))
    width = 2 * special.ndtri(0.975) * np.sqrt(p * (1 - p) * ((1 - r2) / n + r2 / (n + others)))
    for found in (ppi.stratified(*strata(t)), ppi.ppi_interval(t)):
        assert found[2] - found[1] == pytest.approx(width, rel=0.005)
    assert ppi.effective_labels(t) == pytest.approx(1 / ((1 - r2) / n + r2 / (n + others)), rel=0.001)


def test_a_stratum_without_labels_may_hold_any_rate():
    """A tenth of the items without a label: its limits 0 and 1 widen the interval on both sides."""
    hits, labelled, items = np.array([5.0, 0]), np.array([20.0, 0]), np.array([900.0, 100])
    value, low, high = ppi.stratified(hits, labelled, items)
    alone = ppi.stratified(hits[:1], labelled[:1], items[:1])
    assert value == pytest.approx(0.25)
    assert (low, high) == (pytest.approx(0.25, abs=0.25), pytest.approx(0.25, abs=0.3))
    assert 0.9 * (alone[2] - alone[0]) < high - value < 0.9 * (alone[2] - alone[0]) + 0.075


@given(cells)
def test_calling_the_labels_the_other_way_round_mirrors_everything(t: np.ndarray):
    mirrored = t[[1, 0, 2]][:, [1, 0, 2]]
    assume(t[:, :2].sum() > 0)
    for found, other in (
        (ppi.ppi_interval(t), ppi.ppi_interval(mirrored)),
        (ppi.stratified(*strata(t)), ppi.stratified(*strata(mirrored))),
    ):
        value, low, high = (float(x) for x in found)
        assert [float(x) for x in other] == pytest.approx([1 - value, 1 - high, 1 - low], abs=1e-7)


@given(cells, st.permutations([0, 1, 2]))
def test_the_order_of_strata_does_not_matter(t: np.ndarray, order: list[int]):
    mine, other = ppi.stratified(*strata(t)), ppi.stratified(*strata(t[order]))
    assert [float(x) for x in mine] == pytest.approx([float(x) for x in other], nan_ok=True)


@given(cells)
def test_intervals_hold_their_value_within_bounds_and_narrow_with_more_items(t: np.ndarray):
    assume(t[:, :2].sum() > 1)
    value, low, high = ppi.stratified(*strata(t))
    assert 0 <= low <= value + 1e-12
    assert value - 1e-12 <= high <= 1
    again = ppi.stratified(*strata(4 * t))
    assert again[0] == pytest.approx(float(value))
    assert again[2] - again[1] <= high - low + 1e-9
    value, low, high = ppi.ppi_interval(t)
    assert low <= value <= high


@given(cells)
def test_influences_balance_over_the_items(t: np.ndarray):
    assume(t[:, :2].sum() > 0)
    for found in (ppi.ppi_influence(t), ppi.stratified_influence(*strata(t))):
        assert np.isfinite(found).all()
        assert (found * t).sum() == pytest.approx(0, abs=1e-9)


@given(cells)
def test_influences_give_the_plain_variance(t: np.ndarray):
    """Of PPI++: the sum of squares over the items is the variance of ppi-python."""
    assume(t[:, :2].sum() > 0)
    assert (t * ppi.ppi_influence(t) ** 2).sum() == pytest.approx(float(ppi.ppi_mean(t)[1]), abs=1e-12)


def test_items_that_come_twice_count_once():
    """Every cluster holds one item copied: half of the sample size, by (C - 1) / C and (z / t(C - 1))^2."""
    rng = np.random.default_rng(0)
    items = rng.multinomial(1, (SOME / SOME.sum()).ravel(), size=1000).reshape(-1, 1, 3, 3).astype(float)
    t = 2 * items.sum(axis=0)
    size = ppi.effective_share(ppi.ppi_influence(t), t, 2 * items)
    labelled = int((items[..., :2] > 0).any(axis=(1, 2, 3)).sum())
    small = (special.ndtri(0.975) / special.stdtrit(labelled - 1, 0.975)) ** 2
    assert size == pytest.approx([0.5 * 999 / 1000 * small])


def test_one_cluster_tells_nothing():
    assert np.isnan(ppi.effective_share(ppi.ppi_influence(SOME[None]), SOME[None], SOME[None, None])).all()
