"""Rogan and Gladen's correction: published examples, closed forms, laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from interjudge.agreement.rogan_gladen import beta_limits, rogan_gladen, rogan_gladen_influence, table_counts

counts = st.integers(0, 60)
tables = st.lists(counts, min_size=9, max_size=9).map(lambda cells: np.array(cells, float).reshape(3, 3))
HUGE = 10**9


def one(*counts: float, **more: object) -> tuple[float, float, float]:
    value, low, high = rogan_gladen(*counts, **more)  # type: ignore[arg-type]
    return float(value), float(low), float(high)


def of(table: np.ndarray, within: bool = True) -> tuple[float, float, float]:
    return one(*table_counts(table), within=within)


@pytest.mark.parametrize(
    ("flagged", "tested", "se", "sp", "published"),
    [
        # epiR, example of epi.prev: 23 of 150 cows, sensitivity 96 %, specificity 89 %: 5.1 cases per 100
        (23, 150, 0.96, 0.89, 0.051),
        # README of Lee et al. 2025 (arXiv 2511.21140): p = .4, q1 = .9, q0 = .7: .1 / .6
        (400, 1000, 0.9, 0.7, 0.1667),
        # Moujaber et al. 2008 in epi.prev: 6 of 151, 96.4 %, 92.7 %: (.0397 - .073) / .891, there cut at 0
        (6, 151, 0.964, 0.927, -0.0373),
    ],
)
def test_published_values(flagged: int, tested: int, se: float, sp: float, published: float):
    value, low, high = one(flagged, tested, se * 1000, 1000, sp * 1000, 1000)
    assert value == pytest.approx(published, abs=5e-4)
    assert low < value < high


@pytest.mark.parametrize(
    ("p", "q0", "q1", "n", "m0", "m1", "low", "high"),
    [  # the interval of Lang and Reiczigel 2014 as the package of Lee et al. 2025 computes it
        (0.4, 0.7, 0.9, 1000, 200, 200, 0.0564, 0.2627),
        (0.5, 0.8, 0.8, 500, 100, 100, 0.3800, 0.6200),
        (0.62, 0.85, 0.93, 2000, 150, 350, 0.5545, 0.6456),
    ],
)
def test_intervals_lie_near_lang_and_reiczigels(
    p: float, q0: float, q1: float, n: int, m0: int, m1: int, low: float, high: float
):
    """Another approximation to the same interval, so not the same to three figures."""
    _, mine_low, mine_high = one(p * n, n, q1 * m1, m1, q0 * m0, m0)
    assert (mine_low, mine_high) == (pytest.approx(low, abs=0.012), pytest.approx(high, abs=0.012))


@pytest.mark.parametrize(("x", "n"), [(3, 30), (0, 30), (30, 30), (1, 2), (50, 100)])
def test_beta_limits_are_jeffreys_interval(x: int, n: int):
    """statsmodels' interval, but for the ends at 0 and n (modified as Brown, Cai and DasGupta 2001 advise)."""
    low, high = proportion_confint(x, n, method="jeffreys")
    mine = beta_limits(x, n)
    assert mine[0] == pytest.approx(low if x else 0)
    assert mine[1] == pytest.approx(high if x < n else 1)


def test_without_trials_anything_is_possible():
    assert [float(limit) for limit in beta_limits(0, 0)] == [0, 1]


def test_known_errors_leave_the_interval_of_the_judges_rate():
    """Se and Sp from a billion items: the limits of q, moved and stretched by J = .7 (Rogan and Gladen 1978)."""
    value, low, high = one(60, 200, 0.8 * HUGE, HUGE, 0.9 * HUGE, HUGE)
    limits = proportion_confint(60, 200, method="jeffreys")
    assert value == pytest.approx((0.3 + 0.9 - 1) / 0.7)
    assert (low, high) == (
        pytest.approx((limits[0] - 0.1) / 0.7, abs=1e-4),
        pytest.approx((limits[1] - 0.1) / 0.7, abs=1e-4),
    )


def test_large_samples_have_the_delta_methods_width():
    """Var = (q(1-q)/m + p^2 Se(1-Se)/n1 + (1-p)^2 Sp(1-Sp)/n0) / J^2 (Rogan and Gladen 1978)."""
    m, n1, n0, se, sp, p = 200_000, 40_000, 60_000, 0.8, 0.9, 0.3
    q = p * se + (1 - p) * (1 - sp)
    _, low, high = one(q * m, m, se * n1, n1, sp * n0, n0)
    error = np.sqrt(q * (1 - q) / m + p**2 * se * (1 - se) / n1 + (1 - p) ** 2 * sp * (1 - sp) / n0) / 0.7
    assert high - low == pytest.approx(2 * 1.959964 * error, rel=0.005)


def test_a_perfect_judge_is_left_as_it_is():
    """12 of 40 labelled and 25 of 100 other items: 37 of 140."""
    value, low, high = one(25, 100, 12, 12, 28, 28, within=True)
    assert value == pytest.approx(37 / 140)
    assert low < value < high


def test_with_every_item_labelled_it_is_the_references_rate():
    value, low, high = one(0, 0, 8, 12, 25, 28, within=True)
    limits = proportion_confint(12, 40, method="jeffreys")
    assert (value, low, high) == (pytest.approx(0.3), pytest.approx(limits[0]), pytest.approx(limits[1]))


@pytest.mark.parametrize(
    "counts", [(5, 50, 0, 0, 9, 10), (5, 50, 9, 10, 0, 0), (5, 50, 5, 10, 5, 10), (5, 50, 2, 10, 3, 10)]
)
def test_no_value_where_half_of_the_errors_is_unknown_or_the_judge_no_better_than_chance(counts: tuple[int, ...]):
    assert np.isnan(one(*counts)).all()


def test_a_judge_that_may_be_worthless_leaves_the_interval_open():
    _, low, high = one(20, 50, 6, 10, 5, 10)
    assert np.isinf(low) or np.isinf(high)


@given(tables)
def test_calling_the_labels_the_other_way_round_mirrors_everything(table: np.ndarray):
    mirrored = table[[1, 0, 2]][:, [1, 0, 2]]
    value, low, high = of(table)
    other = of(mirrored)
    assert other == pytest.approx((1 - value, 1 - high, 1 - low), nan_ok=True, abs=1e-7, rel=1e-7)


@given(tables, st.booleans())
def test_the_value_lies_in_its_interval_and_more_items_narrow_it(table: np.ndarray, within: bool):
    value, low, high = of(table, within)
    if np.isnan(value):
        return
    assert low <= value + 1e-9
    assert high >= value - 1e-9
    again = of(4 * table, within)
    assert again[0] == pytest.approx(value)
    assert again[1] >= low - 1e-6 * (1 + abs(low))
    assert again[2] <= high + 1e-6 * (1 + abs(high))


@given(tables)
def test_influences_balance_over_the_items(table: np.ndarray):
    found = rogan_gladen_influence(table)
    assert np.isfinite(found).all()
    assert (found * table).sum() == pytest.approx(0, abs=1e-6 * (1 + np.abs(found * table).sum()))
