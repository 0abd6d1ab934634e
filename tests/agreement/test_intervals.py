"""Bootstrap and Wilson intervals against brute force, SciPy, statsmodels and closed forms."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from interjudge.agreement.coefficients import krippendorff_alpha, panel_coefficients
from interjudge.agreement.counts import GROUPS, MAX_UNITS, assign, dense
from interjudge.agreement.intervals import (
    Resampler,
    bca_interval,
    label_rates,
    mean_wilson,
    proportion,
    proportions,
    wilson,
)
from interjudge.agreement.pairwise import all_pairs
from interjudge.agreement.results import Estimate
from interjudge.errors import InputError


def assert_same(ours: Estimate, theirs: Estimate) -> None:
    """Equal but for rounding."""
    for name in ("value", "ci_low", "ci_high", "n"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-12)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (83, 200), (199, 200)])
def test_wilson_is_statsmodels_wilson(hits: int, n: int) -> None:
    low, high = wilson(hits / n, n)
    assert (low, high) == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-12)
    found = proportion(np.arange(n) < hits)
    assert (found.ci_low, found.ci_high, found.n) == (pytest.approx(float(low)), pytest.approx(float(high)), n)


def test_a_rate_among_nothing_is_undefined() -> None:
    assert proportion(np.zeros(0, dtype=bool)).undefined == "no items"
    assert proportion(np.ones(4, dtype=bool), np.zeros(4, dtype=bool)).undefined == "no items"
    assert proportion(np.ones(4, dtype=bool), np.zeros(4, dtype=bool), clusters=np.arange(4)).value is None


def test_clusters_of_one_item_differ_only_by_the_small_sample_factor() -> None:
    """n clusters of one: effective size (n - 1) (z / t)^2 instead of n."""
    success = np.arange(60) < 21
    low, high = wilson(0.35, 59 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 59)) ** 2)
    found = proportion(success, clusters=np.arange(60))
    assert (found.ci_low, found.ci_high) == pytest.approx((float(low), float(high)), abs=1e-12)


def test_identical_answers_within_clusters_count_as_one() -> None:
    """Every answer five times over: the interval is that of the clusters, not five times as sure."""
    success = np.random.default_rng(0).random(40) < 0.3
    once = proportion(success, clusters=np.arange(40))
    repeated = proportion(np.repeat(success, 5), clusters=np.repeat(np.arange(40), 5))
    assert (repeated.value, repeated.ci_low, repeated.ci_high) == pytest.approx((once.value, once.ci_low, once.ci_high))
    assert repeated.n == 200


def test_a_rate_of_zero_or_one_in_clusters_rests_on_the_number_of_clusters() -> None:
    low, high = wilson(1.0, 8)
    found = proportion(np.ones(40, dtype=bool), clusters=np.arange(40) // 5)
    assert (found.ci_low, found.ci_high) == (pytest.approx(float(low)), float(high))


def test_effective_sample_size_is_the_ratio_estimators_variance() -> None:
    """p (1 - p) / variance, with the variance of a ratio of totals (Cochran 1977, equation 6.9) by hand."""
    num, den = np.array([[3.0], [0.0], [2.0], [4.0]]), np.array([[4.0], [2.0], [4.0], [5.0]])
    p = 9 / 15
    residual = num[:, 0] - p * den[:, 0]
    variance = 4 / 3 * (residual**2).sum() / 15**2
    size = p * (1 - p) / variance * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 3)) ** 2
    value, low, high = mean_wilson(num, den, np.ones(4, dtype=int), 0.95, clustered=True)
    assert (value[0], low[0], high[0]) == pytest.approx((p, *map(float, wilson(p, size))))


def test_columns_and_single_rates_are_the_same() -> None:
    rng = np.random.default_rng(1)
    success, among, clusters = rng.random((50, 3)) < 0.4, rng.random((50, 3)) < 0.8, rng.integers(0, 9, 50)
    for unit in (None, clusters):
        many = proportions(success, among, clusters=unit)
        for j, found in enumerate(many):
            assert_same(found, proportion(success[:, j], among[:, j], clusters=unit))


def test_label_rates_are_the_rates_of_each_label() -> None:
    rng = np.random.default_rng(2)
    codes = rng.integers(-1, 3, (70, 2)).astype(np.int8)
    for clusters in (None, rng.integers(0, 20, 70)):
        rates = label_rates(codes, 3, clusters=clusters)
        expected = proportion(codes[:, 1] == 2, codes[:, 1] >= 0, clusters=clusters)
        assert_same(rates[1][2], expected)
        assert sum(r.value or 0 for r in rates[0]) == pytest.approx(1)


def test_sums_are_those_of_the_drawn_units() -> None:
    """Each replicate draws as many units as there are; the same seed draws the same."""
    rng = np.random.default_rng(3)
    for weight in (np.ones(30, dtype=int), rng.integers(1, 50, 12)):
        features = rng.normal(size=(weight.size, 4))
        resampler = Resampler(weight, 200, seed=5)
        drawn = resampler.drawn()
        assert (drawn.sum(axis=1) == weight.sum()).all()
        assert resampler.sums(features) == pytest.approx(drawn @ features)
        assert np.array_equal(resampler.sums(features), Resampler(weight, 200, seed=5).sums(features))
        assert not np.array_equal(resampler.sums(features), Resampler(weight, 200, seed=6).sums(features))
        # the mean of a multinomial count is w, its variance at most w
        assert drawn.mean(axis=0) == pytest.approx(weight, abs=5 * np.sqrt(weight.max() / 200))


def test_more_replicates_than_fit_at_once_are_drawn_in_pieces() -> None:
    weight = np.ones(9_000, dtype=int)
    assert Resampler(weight, 1_000, 0).sums(np.ones((9_000, 1))).tolist() == [[9_000.0]] * 1_000


def test_no_replicates_no_interval_but_wilson() -> None:
    codes = np.random.default_rng(4).integers(0, 2, (30, 3)).astype(np.int8)
    found = {c.name: c for c in panel_coefficients(codes, 2, replicates=0)}
    assert found["krippendorff_alpha"].ci_low is None
    assert found["krippendorff_alpha"].method.endswith("no interval")
    assert found["percent_agreement"].ci_low is not None
    with pytest.raises(InputError, match="replicates is negative"):
        panel_coefficients(codes, 2, replicates=-1)


def test_bca_is_scipys_bca_apart_from_the_widening() -> None:
    """A skewed statistic of 40 units: scipy's BCa at the level that the widened z stands for."""
    x = np.random.default_rng(5).gamma(1.0, size=40)
    z = np.sqrt(40 / 39) * stats.t.ppf(0.975, 39)
    theirs = stats.bootstrap(
        (x,), np.mean, n_resamples=40_000, method="BCa", confidence_level=2 * stats.norm.cdf(z) - 1,
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    drawn = Resampler(np.ones(40, dtype=int), 40_000, 0).sums(x[:, None])
    left = (x.sum() - x) / 39
    low, high = bca_interval(np.array([x.mean()]), drawn / 40, left[:, None], np.ones(40), 40, 0.95)
    assert (low[0], high[0]) == pytest.approx(theirs, rel=0.01)


def test_equal_units_may_stand_in_one_row() -> None:
    """The acceleration of collapsed rows with weights is that of the rows one by one."""
    x, weight = np.array([0.0, 1.0, 5.0]), np.array([10, 6, 2])
    each = np.repeat(x, weight)
    value = np.array([each.mean()])
    drawn = Resampler(weight, 2_000, 0).sums(x[:, None]) / 18
    left = [((each.sum() - x) / 17)[:, None], ((each.sum() - each) / 17)[:, None]]
    collapsed = bca_interval(value, drawn, left[0], weight, 18, 0.95)
    one_by_one = bca_interval(value, drawn, left[1], np.ones(18), 18, 0.95)
    assert np.ravel(collapsed) == pytest.approx(np.ravel(one_by_one))


def test_undefined_replicates_are_left_out_up_to_a_tenth() -> None:
    """BCa from the defined ones, and nothing where more than a tenth is missing."""
    rng = np.random.default_rng(6)
    drawn = rng.normal(size=(1_000, 2))
    drawn[:50, 0] = drawn[:101, 1] = np.nan
    low, high = bca_interval(np.zeros(2), drawn, np.zeros((5, 2)), np.ones(5), 200, 0.95)
    assert low[0] < -1.8 < 1.8 < high[0]
    assert np.isnan(low[1])
    assert np.isnan(high[1])


def test_a_single_unit_has_no_interval() -> None:
    codes = np.array([[0, 1, 1]], dtype=np.int8)
    assert krippendorff_alpha(codes, 2).ci_low is None
    twenty = np.random.default_rng(7).integers(0, 2, (20, 3)).astype(np.int8)
    assert krippendorff_alpha(twenty, 2, clusters=np.zeros(20, dtype=int)).ci_low is None


def test_random_groups_stand_for_many_units() -> None:
    """More units than are resampled one by one: groups of equal size, and intervals of the same width.

    The bootstrap's relative error of a width is about 1/sqrt(2 * 1000) + 1/sqrt(2 * 4096) each side; 10 % is
    three times that.
    """
    n = MAX_UNITS + 5_000
    sizes = np.bincount(assign(n, None, seed=0).index)
    assert (sizes.size, sizes.min(), sizes.max()) == (GROUPS, 3, 4)
    rng = np.random.default_rng(8)
    truth = rng.integers(0, 2, (n, 1))
    codes = np.where(rng.random((n, 3)) < 0.8, truth, rng.integers(0, 2, (n, 3))).astype(np.int8)
    collapsed = krippendorff_alpha(codes, 2)
    grouped = krippendorff_alpha(codes, 2, clusters=np.arange(n))
    assert collapsed.method.endswith("replicates of items")
    assert grouped.method.endswith(f"{GROUPS} random groups of clusters")
    widths = [(c.ci_high or 0) - (c.ci_low or 0) for c in (collapsed, grouped)]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_the_interval_meets_the_delta_method() -> None:
    """2,000 items: width 2 * 1.96 * the jackknife's standard error within the bootstrap's noise."""
    rng = np.random.default_rng(9)
    truth = rng.integers(0, 3, (2_000, 1))
    codes = np.where(rng.random((2_000, 4)) < 0.7, truth, rng.integers(0, 3, (2_000, 4))).astype(np.int8)
    found = krippendorff_alpha(codes, 3, replicates=4_000)
    parts = np.array([krippendorff_alpha(np.delete(codes, slice(i, i + 20), axis=0), 3, replicates=0).value
                      for i in range(0, 2_000, 20)], dtype=float)  # fmt: skip
    error = np.sqrt(99 / 100 * ((parts - parts.mean()) ** 2).sum())
    assert found.ci_high - found.ci_low == pytest.approx(2 * 1.96 * error, rel=0.15)  # type: ignore[operator]  # defined


def test_cluster_numbers_may_be_anything() -> None:
    """Only which items share a number counts: gaps, negative numbers, another type, another order."""
    codes = np.random.default_rng(10).integers(-1, 2, (60, 3)).astype(np.int8)
    plain = np.arange(60) // 3
    expected = panel_coefficients(codes, 2, clusters=plain)
    for other in (plain * 1_000_003, plain - 50, plain.astype(np.int32)):
        assert panel_coefficients(codes, 2, clusters=other) == expected
    shuffled = np.random.default_rng(0).permutation(60)
    for ours, theirs in zip(panel_coefficients(codes[shuffled], 2, clusters=plain[shuffled]), expected, strict=True):
        assert_same(ours, theirs)
    assert dense(np.array([7, 7, 3, 5]))[0].tolist() == [2, 2, 0, 1]
    with pytest.raises(InputError, match="clusters do not match"):
        panel_coefficients(codes, 2, clusters=plain[:-1])


def test_same_seed_same_result_and_other_seeds_differ() -> None:
    codes = np.random.default_rng(11).integers(-1, 3, (200, 4)).astype(np.int8)
    names = list("abcd")
    for clusters in (None, np.arange(200) // 4):
        first, again, other = (
            (
                panel_coefficients(codes, 3, clusters=clusters, seed=s),
                all_pairs(codes, 3, names, clusters=clusters, seed=s),
            )
            for s in (0, 0, 1)
        )
        assert first == again
        assert first != other


def test_confidence_widens_every_interval() -> None:
    codes = np.random.default_rng(12).integers(0, 2, (80, 3)).astype(np.int8)
    for narrow, wide in zip(*(panel_coefficients(codes, 2, confidence=c) for c in (0.8, 0.99)), strict=True):
        assert wide.ci_low < narrow.ci_low < narrow.value < narrow.ci_high < wide.ci_high  # type: ignore[operator]  # defined
