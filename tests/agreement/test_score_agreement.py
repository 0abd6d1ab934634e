"""Kendall's W, Lin's concordance correlation, Bland and Altman's limits: published examples and witnesses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from interjudge.agreement.panel import Panel, build_panel
from interjudge.agreement.question import Question
from interjudge.agreement.results_scores import ScorePair
from interjudge.agreement.rows import PanelJudge
from interjudge.agreement.sampling import Sampling
from interjudge.agreement.score_agreement import kendall_w, score_agreement, score_pairs
from interjudge.datasets.verdicts import read_verdicts

# Bland and Altman (1986), table: peak flow of 17 people, first reading of the Wright meter and of the mini one.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
PEAK_FLOW = np.array([WRIGHT, MINI], dtype=float).T

# Zar, Biostatistical Analysis, the example for Kendall's W with ties: wing, tail and bill lengths of 12 birds.
BIRDS = np.array(
    [
        [10.4, 10.8, 11.1, 10.2, 10.3, 10.2, 10.7, 10.5, 10.8, 11.2, 10.6, 11.4],
        [7.4, 7.6, 7.9, 7.2, 7.4, 7.1, 7.4, 7.2, 7.8, 7.7, 7.8, 8.3],
        [17, 17, 20, 14.5, 15.5, 13, 19.5, 16, 21, 20, 18, 22],
    ]
).T
BIRDS_RANK_SUMS = [14.5, 21, 30.5, 6, 11, 3.5, 20, 11.5, 29, 28.5, 22.5, 36]


def panel_of(scores: np.ndarray, clusters: np.ndarray | None = None, level: str = "interval") -> Panel:
    n, n_judges = scores.shape
    return Panel(
        question=Question("quality", (), None, level=level),  # type: ignore[arg-type]  # a Level
        judges=tuple(PanelJudge(f"j{j}", "rubric", "quality") for j in range(n_judges)),
        codes=np.full(scores.shape, -1, np.int16, order="F"),
        statuses=np.zeros(scores.shape, np.uint8, order="F"),
        items=pl.DataFrame({"item_id": [str(i) for i in range(n)]}),
        scores=np.asfortranarray(scores),
        clusters=clusters,
    )


def pair(scores: np.ndarray, **options: np.ndarray) -> ScorePair:
    (found,) = score_pairs(scores, ["a", "b"], **options)  # type: ignore[arg-type]  # clusters
    return found


def test_kendalls_w_of_the_birds() -> None:
    """W = 12 S / (m^2 (n^3 - n) - m sum T), S from the published rank sums and T = sum t^3 - t over the tied groups."""
    s = float(np.var(BIRDS_RANK_SUMS) * 12)
    ties = sum(int((c**3 - c).sum()) for c in (np.unique(x, return_counts=True)[1] for x in BIRDS.T))
    w = 12 * s / (9 * (12**3 - 12) - 3 * ties)
    found = kendall_w(BIRDS)
    assert found.value == pytest.approx(w, abs=1e-12)
    assert found.value == pytest.approx(0.924, abs=5e-4)
    assert (found.df, found.n) == (11, 12)


@pytest.mark.parametrize("seed", range(5))
def test_the_test_of_w_is_friedmans(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, (9, 4)) + rng.integers(0, 3, (9, 1))
    found = kendall_w(scores.astype(float))
    friedman = stats.friedmanchisquare(*scores)
    assert (found.chi_square, found.p) == (pytest.approx(friedman.statistic), pytest.approx(friedman.pvalue))


def test_w_is_linear_in_the_mean_rank_correlation() -> None:
    """Without ties the mean Spearman correlation of the pairs is (m W - 1) / (m - 1) (Kendall 1948)."""
    scores = np.random.default_rng(3).normal(size=(20, 4))
    rho = stats.spearmanr(scores).statistic[np.triu_indices(4, 1)].mean()
    assert rho == pytest.approx((4 * (kendall_w(scores).value or 0) - 1) / 3)


def test_the_interval_of_w_is_that_of_the_jackknife() -> None:
    """A statistic's influence function gives the jackknife's standard error to first order."""
    rng = np.random.default_rng(1)
    scores = np.round(2 * (rng.normal(size=(400, 1)) + rng.normal(size=(400, 3))))
    found = kendall_w(scores)
    left = np.array([kendall_w(np.delete(scores, i, axis=0)).value for i in range(400)], dtype=float)
    jackknife = np.sqrt(399 / 400 * ((left - left.mean()) ** 2).sum())
    w = found.value or 0
    half = (np.log(found.ci_high / (1 - found.ci_high)) - np.log(found.ci_low / (1 - found.ci_low))) / 2  # type: ignore[operator]  # both are there
    assert half * w * (1 - w) / stats.t.ppf(0.975, 399) == pytest.approx(jackknife, rel=0.02)


def test_w_is_one_for_the_same_order_and_has_words_where_it_does_not_exist() -> None:
    x = np.arange(10.0)
    assert kendall_w(np.column_stack([x, x**3, np.exp(x)])).value == pytest.approx(1.0)
    assert kendall_w(np.ones((5, 3))).undefined == "one category"
    assert kendall_w(np.ones((5, 1))).undefined == "one judge"
    assert kendall_w(np.ones((1, 3))).undefined == "fewer than two items that every judge scored"
    clustered = kendall_w(BIRDS, clusters=np.arange(12) // 2)
    assert (clustered.p, clustered.chi_square) == (None, None)
    assert clustered.no_test is not None


def test_concordance_correlation_of_the_peak_flows() -> None:
    """By hand from the 17 rows: s_w^2 = 12732.8, s_m^2 = 12042.4 (divisor 17), r = .94328, mean difference -2.1176:

    ccc = 2 r s_w s_m / (s_w^2 + s_m^2 + 2.1176^2) = .94274; Lin's variance on Fisher's z gives .850 to .979.
    """
    found = pair(PEAK_FLOW)
    assert found.ccc.value == pytest.approx(0.943, abs=5e-4)
    assert found.pearson == pytest.approx(0.943, abs=5e-4)
    assert (found.ccc.ci_low, found.ccc.ci_high) == (pytest.approx(0.850, abs=1e-3), pytest.approx(0.979, abs=1e-3))


def test_concordance_correlation_is_lins_formula() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=50), rng.normal(0.7, size=50)
    expected = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert pair(np.column_stack([x, y])).ccc.value == pytest.approx(expected, abs=1e-12)


def test_bland_and_altman_1986() -> None:
    """Their table 1: mean difference -2.1, interval -22.0 to 17.8 l/min; SD 38.8, so -2.1 +- 1.96 * 38.8."""
    found = pair(PEAK_FLOW)
    assert found.bias.value == pytest.approx(-2.1, abs=0.05)
    # they print -22.0 and round s / sqrt(17) to 9.4 on the way
    assert (found.bias.ci_low, found.bias.ci_high) == (pytest.approx(-22.0, abs=0.1), pytest.approx(17.8, abs=0.1))
    assert found.lower_limit.value == pytest.approx(-2.1 - 1.96 * 38.8, abs=0.15)
    assert found.upper_limit.value == pytest.approx(-2.1 + 1.96 * 38.8, abs=0.15)
    # Their limits at 2 SD have +- 34.6 around them, from the rounder variance 3 s^2 / n
    assert (found.upper_limit.ci_high or 0) - (found.upper_limit.value or 0) == pytest.approx(34.6, abs=0.4)


@pytest.mark.parametrize("seed", range(3))
def test_the_bias_is_the_paired_t_interval(seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(15, 2))
    interval = stats.ttest_rel(x[:, 0], x[:, 1]).confidence_interval(0.95)
    found = pair(x).bias
    assert (found.ci_low, found.ci_high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_pairs_use_what_both_scored() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(60, 4)) + rng.normal(size=(60, 1))
    scores[rng.random(scores.shape) < 0.3] = np.nan
    for found in score_pairs(scores, list("abcd")):
        both = scores[:, ["abcd".index(found.a), "abcd".index(found.b)]]
        both = both[~np.isnan(both).any(axis=1)]
        assert found.bias.n == len(both)
        alone = pair(both)
        for name in ("ccc", "bias", "lower_limit", "upper_limit"):
            ours, theirs = getattr(found, name), getattr(alone, name)
            assert [ours.value, ours.ci_low, ours.ci_high] == pytest.approx(
                [theirs.value, theirs.ci_low, theirs.ci_high]
            )


def test_units_of_one_item_give_nearly_the_independent_interval() -> None:
    """For the bias exactly: the sum over units of squared deviations is the paired t test's."""
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(300, 1)) + rng.normal(size=(300, 2))
    plain, units = pair(scores), pair(scores, clusters=np.arange(300))
    assert (units.bias.ci_low, units.bias.ci_high) == (
        pytest.approx(plain.bias.ci_low),
        pytest.approx(plain.bias.ci_high),
    )
    for name in ("ccc", "lower_limit", "upper_limit"):
        a, b = getattr(plain, name), getattr(units, name)
        assert b.ci_high - b.ci_low == pytest.approx(a.ci_high - a.ci_low, rel=0.15)


def test_copies_in_clusters_are_no_new_information() -> None:
    rng = np.random.default_rng(6)
    scores = rng.normal(size=(50, 1)) + rng.normal(size=(50, 2))
    copied = pair(np.repeat(scores, 8, axis=0), clusters=np.repeat(np.arange(50), 8))
    once = pair(scores, clusters=np.arange(50))
    assert (copied.bias.ci_high or 0) == pytest.approx(once.bias.ci_high)
    assert (copied.ccc.ci_low or 0) == pytest.approx(once.ccc.ci_low, abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "ccc", "bias"),
    [
        ([[1.0, np.nan], [np.nan, 2.0]], "no pairable items", "no pairable items"),
        ([[1.0, 2.0], [np.nan, 2.0]], "only one item that both judges scored", None),
        ([[3.0, 3.0], [3.0, 3.0]], "one category", None),
    ],
)
@pytest.mark.parametrize("clustered", [False, True])
def test_pairs_without_a_value_say_why(scores: list[list[float]], ccc: str, bias: str | None, clustered: bool) -> None:
    found = pair(np.array(scores), **({"clusters": np.array([0, 1])} if clustered else {}))
    assert (found.ccc.undefined, found.bias.undefined) == (ccc, bias)


def test_a_judge_that_never_varies_has_concordance_zero() -> None:
    found = pair(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]))
    assert (found.ccc.value, found.ccc.ci_low, found.pearson) == (0.0, None, None)


laws = settings(max_examples=40, deadline=None, derandomize=True)


@laws
@given(st.integers(0, 10_000), st.permutations(range(12)))
def test_order_of_items_and_judges(seed: int, order: list[int]) -> None:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.normal(size=(12, 1)) * 2 + rng.normal(size=(12, 2)) * 2)
    one, other = pair(scores), pair(scores[order][:, ::-1])
    assert other.ccc.value == pytest.approx(one.ccc.value)
    assert other.bias.value == pytest.approx(-(one.bias.value or 0))
    assert other.lower_limit.value == pytest.approx(-(one.upper_limit.value or 0))
    a, b = kendall_w(scores), kendall_w(scores[order][:, ::-1])
    assert (b.value, b.ci_low) == (pytest.approx(a.value), pytest.approx(a.ci_low))


@laws
@given(st.integers(0, 10_000))
def test_w_sees_order_only_and_stays_within_its_bounds(seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(15, 3))
    found = kendall_w(scores)
    assert kendall_w(np.exp(scores) * [1, 10, 100]).value == pytest.approx(found.value)
    assert 0 <= (found.ci_low or 0) <= (found.value or 0) <= (found.ci_high or 1) <= 1


@laws
@given(st.integers(0, 10_000))
def test_concordance_never_exceeds_the_correlation(seed: int) -> None:
    """Lin (1989): |ccc| <= |r|."""
    rng = np.random.default_rng(seed)
    found = pair(rng.normal(size=(10, 2)) * [1, 3] + [0, 2])
    assert abs(found.ccc.value or 0) <= abs(found.pearson or 0) + 1e-12


def test_a_panel_of_scores_says_on_how_many_items_it_rests() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(40, 1)) + rng.normal(size=(40, 4))
    scores[:25, 1] = np.nan
    scores[:, 3] = np.nan
    found = score_agreement(panel_of(scores))
    assert found is not None
    assert (found.n, found.n_items, found.silent) == (15, 40, ("j3",))
    assert {icc.n for icc in found.icc} == {15}
    assert "'j1' scored fewest (15)" in found.notes[0]
    assert found.kendall_w.value is not None


@pytest.mark.parametrize("n_judges", [1, 3, 60])
@pytest.mark.parametrize("kind", ["missing", "equal", "sparse", "one item"])
def test_hostile_panels_have_words(n_judges: int, kind: str) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(1 if kind == "one item" else 30, n_judges))
    if kind == "missing":
        scores[:] = np.nan
    if kind == "equal":
        scores[:] = 7.0
    if kind == "sparse":
        scores[rng.random(scores.shape) < 0.9] = np.nan
    for clusters in (None, np.zeros(len(scores), dtype=np.int64)):
        found = score_agreement(panel_of(scores, clusters))
        assert found is not None
        for e in (*found.icc, found.kendall_w, *(p.ccc for p in found.pairs), *(p.upper_limit for p in found.pairs)):
            assert (e.value is None) == (e.undefined is not None)
        assert bool(found.pairs) == (1 < n_judges <= 50)


def test_labels_that_are_numbers_count_where_their_order_means_something() -> None:
    codes = np.array([[0, 0], [1, 1], [2, 1], [2, 2]], dtype=np.int16)
    panel = replace(panel_of(np.zeros((4, 2))), scores=None, codes=np.asfortranarray(codes))
    ordinal = replace(panel, question=Question("quality", ("1", "2", "4"), None, level="ordinal"))
    found = score_agreement(ordinal)
    assert found is not None
    assert found.pairs[0].bias.value == pytest.approx(0.5)  # (0 + 0 + 2 + 0) / 4
    assert score_agreement(replace(panel, question=Question("quality", ("1", "2", "4"), None))) is None
    assert score_agreement(replace(panel, question=Question("q", ("a", "b", "c"), None, level="ordinal"))) is None


def test_real_scores_of_three_humans_and_a_likert_scorer(panels: Path) -> None:
    """PyRIT's violence set, 187 answers; pingouin 0.7 gives ICC(A,1) .5356 and ICC(C,1) .5490 on them, and
    scipy's Friedman test 536.13."""
    panel = build_panel(read_verdicts([panels / "pyrit_violence.parquet"]), level="interval")
    found = score_agreement(panel, sampling=Sampling())
    assert found is not None
    value = {icc.name: icc.value for icc in found.icc}
    assert (value["ICC(A,1)"], value["ICC(C,1)"]) == (pytest.approx(0.5356, abs=5e-5), pytest.approx(0.5490, abs=5e-5))
    assert found.kendall_w.chi_square == pytest.approx(536.13, abs=5e-3)
    assert (found.n, len(found.pairs)) == (187, 6)
