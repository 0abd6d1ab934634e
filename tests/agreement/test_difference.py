"""The interval of a difference from two intervals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

from interjudge.agreement.difference import difference, mover
from interjudge.agreement.intervals import wilson
from interjudge.agreement.results import Estimate

# Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10: x1/n1 - x2/n2 at 95 %
NEWCOMBE = [
    (56, 70, 48, 80, 0.0524, 0.3339),
    (9, 10, 3, 10, 0.1705, 0.8090),
    (6, 7, 2, 7, 0.0582, 0.8062),
    (5, 56, 0, 29, -0.0381, 0.1926),
    (0, 10, 0, 20, -0.1611, 0.2775),
    (0, 10, 0, 10, -0.2775, 0.2775),
    (10, 10, 0, 20, 0.6791, 1.0),
    (10, 10, 0, 10, 0.6075, 1.0),
]


def of_counts(x1: int, n1: int, x2: int, n2: int) -> tuple[float, float]:
    low, high = wilson([x1 / n1, x2 / n2], [n1, n2])
    return mover((x1 / n1, x2 / n2), (low[0], low[1]), (high[0], high[1]))


@pytest.mark.parametrize(("x1", "n1", "x2", "n2", "low", "high"), NEWCOMBE)
def test_with_wilsons_intervals_it_is_newcombes(x1: int, n1: int, x2: int, n2: int, low: float, high: float) -> None:
    assert of_counts(x1, n1, x2, n2) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_it_is_that_of_statsmodels(n1: int, n2: int, data: st.DataObject) -> None:
    x1, x2 = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
    wanted = confint_proportions_2indep(x1, n1, x2, n2, method="newcomb", compare="diff")
    assert of_counts(x1, n1, x2, n2) == pytest.approx(wanted, abs=1e-9)


values = st.floats(-1, 1)
widths = st.floats(0, 1)


@given(values, values, widths, widths, widths, widths)
def test_it_holds_the_difference_and_turns_with_the_order(
    a: float, b: float, la: float, lb: float, ha: float, hb: float
) -> None:
    low, high = mover((a, b), (a - la, b - lb), (a + ha, b + hb))
    assert low <= a - b + 1e-12
    assert high >= a - b - 1e-12
    back = mover((b, a), (b - lb, a - la), (b + hb, a + ha))
    assert back == pytest.approx((-high, -low), abs=1e-12)
    # at least as wide as the wider of the two, at most as wide as both together
    assert high - low >= max(la, hb, ha, lb) - 1e-12
    assert high - low <= la + ha + lb + hb + 1e-9


def test_symmetric_intervals_add_in_squares() -> None:
    """.5 +- .03 and .3 +- .04: .2 +- .05."""
    assert mover((0.5, 0.3), (0.47, 0.26), (0.53, 0.34)) == pytest.approx((0.15, 0.25))


def test_what_has_no_value_or_no_interval_has_no_difference_or_no_interval() -> None:
    known = Estimate(value=0.5, ci_low=0.4, ci_high=0.6, n=10)
    bare = Estimate(value=0.25, n=20)
    missing = Estimate(n=30, undefined="one category")
    assert difference(known, bare) == Estimate(value=-0.25, n=10)
    assert difference(known, missing).undefined == "no value in the new report: one category"
    assert difference(missing, known).undefined == "no value in the old report: one category"
    assert difference(known, known, same_confidence=False) == Estimate(value=0.0, n=10)
    same = difference(known, known)
    assert (same.value, same.ci_low, same.ci_high) == pytest.approx((0, -(0.02**0.5), 0.02**0.5))
