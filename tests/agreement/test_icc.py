"""Intraclass correlations: Shrout and Fleiss' table, pingouin, and the laws of the six forms."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.agreement.icc import NAMES, Icc, icc_estimates, pseudo_interval

# Shrout and Fleiss (1979), table 2: 6 targets, 4 judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)


def values(found: tuple[Icc, ...]) -> dict[str, float | None]:
    return {icc.name: icc.value for icc in found}


def test_shrout_and_fleiss_1979() -> None:
    """Table 4 there prints .17, .29, .71 and .44, .62, .91; here with three decimals."""
    expected = dict(zip(NAMES, (0.166, 0.290, 0.715, 0.443, 0.620, 0.909), strict=True))
    assert values(icc_estimates(SHROUT_FLEISS)) == pytest.approx(expected, abs=5e-4)


def test_intervals_of_shrout_and_fleiss_1979() -> None:
    """As pingouin 0.7 prints them for the same table, with two decimals."""
    expected = [(-0.13, 0.72), (0.02, 0.76), (0.34, 0.95), (-0.88, 0.91), (0.07, 0.93), (0.68, 0.99)]
    found = [(icc.ci_low, icc.ci_high) for icc in icc_estimates(SHROUT_FLEISS)]
    assert found == [pytest.approx(pair, abs=5.0001e-3) for pair in expected]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("n", "k"), [(12, 2), (30, 3), (100, 5)])
def test_equals_pingouin_with_intervals(n: int, k: int, seed: int) -> None:
    """Simulated scores of judges with levels of their own; some of them unrelated, so that values are negative too."""
    pingouin = pytest.importorskip("pingouin", reason="the witness for intraclass correlations is not installed")
    import pandas as pd

    rng = np.random.default_rng([n, k, seed])
    scores = rng.normal(size=(n, 1)) * seed / 3 + rng.normal(size=k) + rng.normal(size=(n, k))
    item, judge = np.indices(scores.shape)
    table = pd.DataFrame({"item": item.ravel(), "judge": judge.ravel(), "score": scores.ravel()})
    rounded = dict(pingouin.options)
    pingouin.options.update({"round.column.CI95": None})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its use of pandas
            theirs = pingouin.intraclass_corr(table, "item", "judge", "score").set_index("Type")
    finally:
        pingouin.options.update(rounded)
    for icc in icc_estimates(scores):
        assert icc.value == pytest.approx(theirs.loc[icc.name, "ICC"], abs=1e-9)
        if icc.name != "ICC(A,k)" or icc.value > 0:  # a mean without reliability has a bound with another sign there
            assert [icc.ci_low, icc.ci_high] == pytest.approx(list(theirs.loc[icc.name, "CI95"]), abs=1e-8)


def test_a_constant_shift_is_disagreement_in_level_only() -> None:
    """x and x + c: MSE = 0, so ICC(C,1) = 1. With n = 3, MSR = 2, MSC = 3 c^2 / 2 = 6 for c = 2:
    ICC(A,1) = 2 / (2 + 2/3 * 6) = 1/3."""
    found = values(icc_estimates(np.array([[1.0, 3.0], [2.0, 4.0], [3.0, 5.0]])))
    assert found["ICC(C,1)"] == pytest.approx(1.0)
    assert found["ICC(A,1)"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        (np.ones((1, 3)), "fewer than two items that every judge scored"),
        (np.ones((5, 1)), "one judge"),
        (np.ones((5, 3)), "one category"),
        (np.full((5, 3), 0.1), "one category"),
    ],
)
@pytest.mark.parametrize("clustered", [False, True])
def test_what_does_not_exist_is_said_in_words(scores: np.ndarray, why: str, clustered: bool) -> None:
    clusters = np.zeros(len(scores), dtype=int) if clustered else None
    assert {(icc.value, icc.undefined) for icc in icc_estimates(scores, clusters=clusters)} == {(None, why)}


def test_outputs_that_do_not_differ_have_no_reliable_mean() -> None:
    """[[0, 1], [1, 0]]: both outputs have the mean 1/2, so MSR = 0."""
    found = icc_estimates(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert [icc.value for icc in found][:3] == [-1.0, None, -1.0]
    assert {icc.undefined for icc in found[3:]} == {"the outputs do not differ beyond the judges' disagreement"}


def test_judges_that_agree_exactly_have_a_value_without_an_interval() -> None:
    same = np.repeat(np.arange(5.0)[:, None], 3, axis=1)
    assert {(icc.value, icc.ci_low, icc.ci_high) for icc in icc_estimates(same)} == {(1.0, None, None)}


tables = st.integers(0, 10_000).map(
    lambda seed: np.random.default_rng(seed).normal(size=(8, 1)) + np.random.default_rng(seed + 1).normal(size=(8, 3))
)
laws = settings(max_examples=40, deadline=None, derandomize=True)


@laws
@given(tables, st.permutations(range(8)), st.permutations(range(3)), st.floats(0.01, 100), st.floats(-100, 100))
def test_order_unit_and_origin_of_the_scores_do_not_matter(
    scores: np.ndarray, items: list[int], judges: list[int], scale: float, origin: float
) -> None:
    moved = (scores * scale + origin)[items][:, judges]
    for before, after in zip(icc_estimates(scores), icc_estimates(moved), strict=True):
        assert after.value == pytest.approx(before.value, abs=1e-7)
        if before.ci_low is not None and before.value is not None and before.value > -5:
            assert [after.ci_low, after.ci_high] == pytest.approx([before.ci_low, before.ci_high], rel=1e-5, abs=1e-6)


@laws
@given(tables)
def test_consistency_is_at_least_absolute_agreement_where_judges_differ_in_level(scores: np.ndarray) -> None:
    found = values(icc_estimates(scores + np.array([0.0, 5.0, 10.0])))
    if (found["ICC(C,1)"] or 0) > 0:
        assert (found["ICC(C,1)"] or 0) > (found["ICC(A,1)"] or 0)


@laws
@given(tables)
def test_the_mean_of_judges_is_spearman_and_browns_form(scores: np.ndarray) -> None:
    found = values(icc_estimates(scores))
    for kind in ("1", "A", "C"):
        one, mean = found[f"ICC({kind},1)"], found[f"ICC({kind},k)"]
        if one is not None and mean is not None and one > -0.4:
            assert mean == pytest.approx(3 * one / (1 + 2 * one), rel=1e-6)


def test_pseudo_values_of_a_mean_give_its_t_interval() -> None:
    """The jackknife of a mean is the mean's own t interval (Miller 1974): 1, 2, 4, 7 have mean 3.5, sd 2.6458."""
    x = np.array([1.0, 2.0, 4.0, 7.0])
    low, high = pseudo_interval(np.array([x.mean()]), ((x.sum() - x) / 3)[:, None], 0.95)
    half = 3.182446 * 2.645751 / 2  # t(3) at .975
    assert (low[0], high[0]) == (pytest.approx(3.5 - half, abs=1e-5), pytest.approx(3.5 + half, abs=1e-5))


def test_copies_of_items_in_clusters_widen_nothing_and_narrow_nothing() -> None:
    """Ten copies of each item are no more information when the copies share a unit."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(40, 1)) + rng.normal(size=(40, 3))
    units = np.arange(40)
    once = icc_estimates(scores, clusters=units)[2]
    copied = icc_estimates(np.repeat(scores, 10, axis=0), clusters=np.repeat(units, 10))[2]
    alone = icc_estimates(np.repeat(scores, 10, axis=0))[2]
    assert (copied.ci_high or 0) - (copied.ci_low or 0) == pytest.approx(
        (once.ci_high or 0) - (once.ci_low or 0), rel=0.1
    )
    assert (alone.ci_high or 0) - (alone.ci_low or 0) < 0.5 * ((copied.ci_high or 0) - (copied.ci_low or 0))
