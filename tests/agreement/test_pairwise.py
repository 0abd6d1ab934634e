"""Statistics of two judges against textbook tables, scikit-learn and statsmodels."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, f1_score, matthews_corrcoef
from statsmodels.stats.inter_rater import cohens_kappa

from interjudge.agreement.counts import Assignment
from interjudge.agreement.mean_kappa import mean_kappa
from interjudge.agreement.pairwise import (
    all_pairs,
    cohen_kappa,
    gwet_ac1,
    kappa_means,
    kappa_points,
    kappa_weights,
    mcc,
    pabak,
    pair_estimates,
    scott_pi,
    specific_agreement,
)
from interjudge.agreement.tables import pair_tables, table_estimate


def codes_of(table: list[list[int]]) -> np.ndarray:
    """Two judges whose table this is."""
    cells = [(a, b) for a, row in enumerate(table) for b, n in enumerate(row) for _ in range(n)]
    return np.array(cells, dtype=np.int8)


@pytest.mark.parametrize(
    ("table", "kappa"), [([[20, 5], [10, 15]], 0.4), ([[45, 15], [25, 15]], 0.1304), ([[25, 35], [5, 35]], 0.2593)]
)
def test_cohens_kappa_of_the_textbook_tables(table: list[list[int]], kappa: float) -> None:
    """Wikipedia, "Cohen's kappa": the simple example, and the two of the same agreement (.60)."""
    pair = pair_estimates(codes_of(table), 2, 0, 1, ("a", "b"))
    assert pair.cohen_kappa.value == pytest.approx(kappa, abs=5e-5)
    assert pair.cohen_kappa.n == sum(map(sum, table))


def test_every_statistic_of_one_table_by_hand() -> None:
    """[[20, 5], [10, 15]]: agreement 35/50; marginals 25/25 and 30/20.

    pi: (.5 + .6)/2 = .55, chance .55^2 + .45^2 = .505, (.7 - .505)/.495 = .39394
    AC1: chance 2 * .55 * .45 = .495, (.7 - .495)/.505 = .40594; PABAK: 2 * .7 - 1 = .4
    Matthews: (20 * 15 - 5 * 10)/sqrt(25 * 25 * 30 * 20) = 250/612.37 = .40825
    positive (label 0): 2 * 20/(25 + 30) = .72727; negative: 2 * 15/(25 + 20) = .66667
    """
    pair = pair_estimates(codes_of([[20, 5], [10, 15]]), 2, 0, 1, ("a", "b"), positive=0)
    expected = {
        "agreement": 0.7, "scott_pi": 0.39394, "gwet_ac1": 0.40594, "pabak": 0.4, "mcc": 0.40825,
        "positive_agreement": 0.72727, "negative_agreement": 0.66667,
    }  # fmt: skip
    assert {name: getattr(pair, name).value for name in expected} == pytest.approx(expected, abs=5e-6)
    # specific agreement rests on the items where at least one of the two gave the label
    assert (pair.positive_agreement.n, pair.negative_agreement.n, pair.mcc.n) == (35, 30, 50)  # type: ignore[union-attr]  # asked for above


def test_high_agreement_with_low_kappa_is_shown_together() -> None:
    """The prevalence paradox: 86 % agreement with kappa near 0 while AC1 stays high (Feinstein and Cicchetti 1990)."""
    pair = pair_estimates(codes_of([[86, 6], [8, 0]]), 2, 0, 1, ("a", "b"))
    assert pair.agreement.value == pytest.approx(0.86)
    assert pair.cohen_kappa.value == pytest.approx((0.86 - 0.8696) / (1 - 0.8696))  # chance .92 * .94 + .08 * .06
    assert pair.gwet_ac1.value is not None
    assert pair.gwet_ac1.value > 0.8


@st.composite
def pairs_of_judges(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    k, items = draw(st.integers(2, 5)), draw(st.integers(4, 40))
    cells = draw(st.lists(st.integers(-1, k - 1), min_size=2 * items, max_size=2 * items))
    codes = np.array(cells, dtype=np.int8).reshape(items, 2)
    codes[:3] = [[0, 1], [1, 0], [1, 1]]  # both judges vary
    return codes, k


@settings(max_examples=80, deadline=None, derandomize=True)
@given(pairs_of_judges())
def test_equals_scikit_learn_and_statsmodels_on_the_common_items(panel: tuple[np.ndarray, int]) -> None:
    codes, k = panel
    a, b = codes[(codes >= 0).all(axis=1)].T
    pair = pair_estimates(codes, k, 0, 1, ("a", "b"), ordered=True, positive=1, replicates=0)
    table = pair_tables(codes, k, [(0, 1)])[0, 0]
    for name, weights in (
        ("cohen_kappa", None),
        ("cohen_kappa_linear", "linear"),
        ("cohen_kappa_quadratic", "quadratic"),
    ):
        ours = getattr(pair, name).value
        assert ours == pytest.approx(cohen_kappa_score(a, b, labels=range(k), weights=weights), abs=1e-10)
        assert ours == pytest.approx(cohens_kappa(table, wt=weights, return_results=False), abs=1e-10)
    assert pair.agreement.value == pytest.approx((a == b).mean(), abs=1e-10)
    assert pair.mcc.value == pytest.approx(matthews_corrcoef(a, b), abs=1e-10)
    # F1 of one judge against the other is symmetric, and is positive specific agreement
    assert pair.positive_agreement.value == pytest.approx(f1_score(a == 1, b == 1), abs=1e-10)  # type: ignore[union-attr]  # asked for above
    assert pair.agreement.n == len(a)


def test_a_pair_is_the_same_alone_and_among_all_pairs() -> None:
    """Point values and intervals: a pair's replicates depend on its own table and the seed only."""
    rng = np.random.default_rng(0)
    codes = rng.integers(-1, 3, (60, 5)).astype(np.int8)
    names = list("abcde")
    clusters = rng.integers(0, 12, 60)
    for options in ({"ordered": True, "positive": 2}, {"clusters": clusters}):
        together = all_pairs(codes, 3, names, replicates=200, **options)  # type: ignore[arg-type]  # keyword options
        assert [(p.a, p.b) for p in together] == list(combinations(names, 2))
        for (a, b), pair in zip(combinations(range(5), 2), together, strict=True):
            alone = pair_estimates(codes, 3, a, b, (names[a], names[b]), replicates=200, **options)  # type: ignore[arg-type]  # keyword options
            for name, found in pair.model_dump(exclude={"a", "b"}, exclude_none=True).items():
                assert found == pytest.approx(getattr(alone, name).model_dump(exclude_none=True), abs=1e-12)


def test_reference_metrics_share_the_pairs_interval() -> None:
    """A formula of one's own gets the interval the pair table would give it."""
    codes = codes_of([[20, 5], [10, 15]])
    pair = pair_estimates(codes, 2, 0, 1, ("a", "b"))
    assert table_estimate(cohen_kappa, codes[:, 0], codes[:, 1], 2) == pair.cohen_kappa
    undefined = table_estimate(lambda t: t.sum(axis=(-2, -1)) * np.nan, codes[:, 0], codes[:, 1], 2, reason="never")
    assert (undefined.value, undefined.undefined, undefined.n) == (None, "never", 50)


@pytest.mark.parametrize("clustered", [False, True])
def test_perfect_agreement_is_not_certainty(clustered: bool) -> None:
    """Ten items, all agreed, half and half: Wilson's lower bound for 10 of 10 is .7225, and kappa's is that of
    the table which differs so often: 1 - .2775/.5 = .4449. In clusters of two the five clusters count."""
    codes = codes_of([[5, 0], [0, 5]])
    clusters = np.arange(10) // 2 if clustered else None
    bound = 1 / (1 + 1.959964**2 / (5 if clustered else 10))  # Wilson at 100 %: n / (n + z^2)
    pair = pair_estimates(codes, 2, 0, 1, ("a", "b"), clusters=clusters, positive=0)
    assert pair.agreement.value == pair.cohen_kappa.value == pair.mcc.value == 1
    assert pair.cohen_kappa.ci_low == pytest.approx(1 - (1 - bound) / 0.5, abs=1e-4)
    if not clustered:
        assert pair.agreement.ci_low == pytest.approx(bound, abs=1e-5)
    for name in ("agreement", "cohen_kappa", "scott_pi", "gwet_ac1", "pabak", "mcc", "positive_agreement"):
        found = getattr(pair, name)
        assert found.ci_low < 1 == found.ci_high


def test_an_interval_without_width_is_left_out() -> None:
    """One judge never varies: kappa is 0 in every replicate, which says nothing about its precision."""
    pair = pair_estimates(codes_of([[6, 4], [0, 0]]), 2, 0, 1, ("a", "b"))
    assert (pair.cohen_kappa.value, pair.cohen_kappa.ci_low, pair.cohen_kappa.undefined) == (0, None, None)
    assert pair.agreement.ci_low is not None


def test_kappa_points_and_means() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(-1, 2, (40, 4)).astype(np.int8)
    codes[:, 3] = -1  # a judge without a verdict has no kappa and lowers nobody's mean
    points = kappa_points(codes, 2)
    pairs = {(p.a, p.b): p.cohen_kappa.value for p in all_pairs(codes, 2, list("abcd"), replicates=0)}
    assert points[0, 1] == points[1, 0] == pytest.approx(pairs["a", "b"])
    assert kappa_means(codes, 2) == [pytest.approx(np.nanmean(row)) for row in points[:3]] + [None]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(2, 9), st.sampled_from([2, 3, 8, 20]), st.sampled_from([1, 7, 400]), st.integers(0, 99))
def test_joint_counting_gives_each_pairs_own_table(judges: int, k: int, units: int, seed: int) -> None:
    """All pairs at once, in any order, in any number of units, equal counting one cell at a time."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(-1, k, (50, judges)).astype(np.int8)
    pairs = [p if rng.random() < 0.5 else p[::-1] for p in combinations(range(judges), 2)]
    unit = rng.integers(0, units, 50)
    found = pair_tables(codes, k, pairs, Assignment(unit, units, "any"))
    for p, (a, b) in enumerate(pairs):
        expected = np.zeros((units, k, k))
        both = (codes[:, a] >= 0) & (codes[:, b] >= 0)
        np.add.at(expected, (unit[both], codes[both, a], codes[both, b]), 1)
        assert np.array_equal(found[:, p], expected)


@pytest.mark.parametrize(("items", "judges", "k"), [(30, 60, 2), (700, 20, 5)])
@pytest.mark.parametrize("missing", [0.1, 0.98])
def test_many_pairs_are_counted_and_linearised_by_products_with_the_same_result(
    items: int, judges: int, k: int, missing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two ways of counting all pairs, and of adding up an item's influence, differ in speed only."""
    import interjudge.agreement.mean_kappa as module
    from interjudge.agreement import tables

    rng = np.random.default_rng(4)
    codes = rng.integers(0, k, (items, judges)).astype(np.int8)
    codes[rng.random(codes.shape) < missing] = -1
    pairs = list(combinations(range(judges), 2))
    weights = {"identity": np.eye(k)}
    found = []
    for many, fast in ((10**12, 0), (0, 10**12)):  # always joint tables and a pass a pair, always products
        monkeypatch.setattr(tables, "_MANY_PAIRS", many)
        monkeypatch.setattr(module, "_PASS", fast)
        monkeypatch.setattr(module, "_WIDE", 0)
        found.append((pair_tables(codes, k, pairs), _only(mean_kappa(codes, k, weights, replicates=50))))
    assert np.array_equal(found[0][0], found[1][0])
    assert found[0][1][0] == pytest.approx(found[1][1][0], abs=1e-12, nan_ok=True)


def test_formulas_take_any_leading_axes_and_shares() -> None:
    tables = np.arange(1, 55, dtype=float).reshape(2, 3, 3, 3)
    for formula in (cohen_kappa, scott_pi, gwet_ac1, pabak, mcc):
        each = [[float(formula(t)) for t in row] for row in tables]
        assert formula(tables) == pytest.approx(np.array(each))
        assert formula(tables / 7) == pytest.approx(np.array(each))  # counts or shares
    assert specific_agreement(tables, 1).shape == (2, 3)
    assert kappa_weights(3, "linear").tolist() == [[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]]
    assert kappa_weights(3, "quadratic").tolist() == [[1, 0.75, 0], [0.75, 1, 0.75], [0, 0.75, 1]]


def test_mean_kappa_of_a_wide_panel_is_linearised_and_meets_the_bootstrap() -> None:
    """On 12 judges the linearised interval is that of the bootstrap within a tenth of its width, and 60 judges
    (1,770 pairs) take that way of their own accord."""
    import interjudge.agreement.mean_kappa as module

    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, (400, 1))
    codes = np.where(rng.random((400, 12)) < 0.8, truth, rng.integers(0, 2, (400, 12))).astype(np.int8)
    codes[rng.random(codes.shape) < 0.1] = -1
    weights = {"identity": np.eye(2)}
    (value, low, high), kind = _only(mean_kappa(codes, 2, weights))
    limit = module._WIDE
    try:
        module._WIDE = 0
        (value_too, low_too, high_too), kind_too = _only(mean_kappa(codes, 2, weights))
    finally:
        module._WIDE = limit
    assert (kind, kind_too) == ("items", "items, linearised")
    assert value_too == pytest.approx(value, abs=1e-12)
    assert (low_too, high_too) == pytest.approx((low, high), abs=0.1 * (high - low))
    wide = np.tile(codes, (1, 5))
    assert _only(mean_kappa(wide, 2, weights, replicates=100))[1] == "items, linearised"


def _only(answer: tuple[dict[str, tuple[float, float, float]], str]) -> tuple[tuple[float, float, float], str]:
    return answer[0]["identity"], answer[1]
