"""Marginal homogeneity: Stuart's eyes, Uebersax's example, statsmodels, and clusters."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import SquareTable, mcnemar
from statsmodels.stats.multitest import multipletests

from interjudge.agreement.homogeneity import bowker, homogeneity, mcnemar_exact, stuart_maxwell
from interjudge.agreement.multiple import holm
from interjudge.agreement.panel import Panel
from interjudge.agreement.question import Question
from interjudge.agreement.results_scores import PairHomogeneity
from interjudge.agreement.rows import PanelJudge
from interjudge.agreement.sampling import Sampling

# Stuart (1953, 1955): unaided vision of 7,477 women, right eye in rows, left eye in columns.
EYES = np.array([[1520, 266, 124, 66], [234, 1512, 432, 78], [117, 362, 1772, 205], [36, 82, 179, 492]], dtype=float)
# Uebersax's example of a label in perfect agreement (MH program, version 1.2).
PERFECT = np.array([[30, 0, 0], [0, 10, 2], [0, 4, 8]], dtype=float)


def panel_of(codes: np.ndarray, k: int, clusters: np.ndarray | None = None) -> Panel:
    labels = ("safe", "unsafe") if k == 2 else tuple(f"l{i}" for i in range(k))
    n, n_judges = codes.shape
    return Panel(
        question=Question("harm", labels, "unsafe" if k == 2 else None),
        judges=tuple(PanelJudge(f"j{j}", "rubric", "harm") for j in range(n_judges)),
        codes=np.asfortranarray(codes.astype(np.int16)),
        statuses=np.zeros(codes.shape, np.uint8, order="F"),
        items=pl.DataFrame({"item_id": [str(i) for i in range(n)]}),
        clusters=clusters,
    )


def codes_of(table: np.ndarray) -> np.ndarray:
    return np.array([(a, b) for (a, b), n in np.ndenumerate(table) for _ in range(int(n))])


def of(table: np.ndarray, **options: object) -> PairHomogeneity:
    (found,) = homogeneity(panel_of(codes_of(table), len(table), **options))  # type: ignore[arg-type]  # clusters
    return found


def test_stuarts_eyes() -> None:
    """Stuart (1955): 11.96 on 3 degrees of freedom; Bowker's 19.107 on 6 (Bishop, Fienberg and Holland 1975)."""
    found = of(EYES)
    assert (found.test, found.df, found.n) == ("Stuart-Maxwell", 3, 7477)
    assert found.statistic == pytest.approx(11.957, abs=5e-4)
    assert (found.bowker, found.bowker_df) == (pytest.approx(19.107, abs=5e-4), 6)


def test_a_label_in_perfect_agreement_takes_no_part() -> None:
    """Uebersax prints Stuart-Maxwell .667, one degree of freedom, p .414; and p .6875 for the exact McNemar test,
    which is ours here: two labels are left, with six disagreements."""
    assert stuart_maxwell(PERFECT) == (pytest.approx(0.667, abs=5e-4), 1)
    assert stats.chi2.sf(stuart_maxwell(PERFECT)[0], 1) == pytest.approx(0.414, abs=5e-4)
    found = of(PERFECT)
    assert (found.test, found.statistic) == ("McNemar, exact", None)
    assert found.p == pytest.approx(0.6875)


tables = st.integers(2, 5).flatmap(
    lambda k: st.lists(st.integers(1, 60), min_size=k * k, max_size=k * k).map(
        lambda cells: np.array(cells, dtype=float).reshape(k, k)
    )
)
laws = settings(max_examples=60, deadline=None, derandomize=True)


@laws
@given(tables)
def test_equals_statsmodels(table: np.ndarray) -> None:
    square = SquareTable(table, shift_zeros=False)
    theirs, symmetry = square.homogeneity(method="stuart_maxwell"), square.symmetry()
    assert stuart_maxwell(table) == (pytest.approx(theirs.statistic, abs=1e-9), theirs.df)
    assert bowker(table) == (pytest.approx(symmetry.statistic, abs=1e-9), symmetry.df)
    if len(table) == 2:
        exact = table[0, 1] + table[1, 0] < 25
        found = of(table)
        assert found.p == pytest.approx(mcnemar(table, exact=exact, correction=False).pvalue)
        assert found.test == ("McNemar, exact" if exact else "McNemar")


@laws
@given(tables, st.randoms(use_true_random=False))
def test_labels_may_be_renamed_and_judges_swapped(table: np.ndarray, random: object) -> None:
    order = list(range(len(table)))
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis' Random
    renamed = table[np.ix_(order, order)]
    for test in (stuart_maxwell, bowker):
        assert test(renamed) == pytest.approx(test(table), abs=1e-8)
        assert test(table.T) == pytest.approx(test(table), abs=1e-8)


@laws
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_equals_statsmodels(p_values: list[float]) -> None:
    expected = multipletests(p_values, method="holm")[1]
    assert holm([None, *p_values])[0] is None
    assert holm([None, *p_values])[1:] == pytest.approx(list(expected))


@pytest.mark.parametrize(("b", "c"), [(0, 5), (3, 9), (7, 7), (1, 0)])
def test_the_exact_test_is_binomial(b: int, c: int) -> None:
    assert mcnemar_exact(b, c) == pytest.approx(stats.binomtest(b, b + c).pvalue)


def test_the_difference_is_agresti_and_mins_interval() -> None:
    """Agresti and Min (2005): (b - c) / (n + 2) and its Wald variance with half an item more in each cell.

    b = 30, c = 12, n = 100: 18 / 102 = .17647, variance (43 - 18^2 / 102) / 102^2 = .0038277, +- .12126.
    """
    found = of(np.array([[40, 12], [30, 18]], dtype=float)).difference
    assert found.value == pytest.approx(0.18)
    assert (found.ci_low, found.ci_high) == (pytest.approx(0.05521, abs=2e-5), pytest.approx(0.29773, abs=2e-5))
    assert of(np.array([[40, 12], [30, 18]], dtype=float)).label == "unsafe"


def test_the_label_named_is_the_one_that_differs_most() -> None:
    """The eyes: margins 1976 - 1907 = 69, 2256 - 2222 = 34, 2456 - 2507 = -51, 789 - 841 = -52."""
    found = of(EYES)
    assert found.label == "l0"
    assert found.difference.value == pytest.approx(69 / 7477)


def test_a_unit_for_every_item_changes_no_statistic() -> None:
    found = of(EYES, clusters=np.arange(7477))
    assert found.test == "Stuart-Maxwell, clustered"
    assert (found.statistic, found.df) == (pytest.approx(of(EYES).statistic), 3)
    assert found.bowker is None


def test_clustered_mcnemar_is_durkalskis() -> None:
    """Durkalski et al. (2003): (sum_u (b_u - c_u))^2 / sum_u (b_u - c_u)^2. Differences 3, 1, -1, 2: 5^2 / 15."""
    b, c = [3, 2, 0, 2], [0, 1, 1, 0]
    rows = [(1, 0, u) for u in range(4) for _ in range(b[u])] + [(0, 1, u) for u in range(4) for _ in range(c[u])]
    rows += [(0, 0, u) for u in range(4)]
    table = np.array(rows)
    (found,) = homogeneity(panel_of(table[:, :2], 2, clusters=table[:, 2]))
    assert (found.test, found.df) == ("McNemar, clustered", 1)
    assert found.statistic == pytest.approx(25 / 15)


def test_copies_in_clusters_are_no_new_information() -> None:
    codes = np.random.default_rng(0).integers(0, 3, (80, 2))
    units = np.arange(80)
    (once,) = homogeneity(panel_of(codes, 3, clusters=units))
    (copied,) = homogeneity(panel_of(np.repeat(codes, 6, axis=0), 3, clusters=np.repeat(units, 6)))
    assert copied.statistic == pytest.approx(once.statistic)
    assert copied.difference.ci_low == pytest.approx(once.difference.ci_low)


def test_missing_verdicts_leave_the_items_both_judged() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(-1, 3, (300, 3))
    for clusters in (None, rng.integers(0, 40, 300)):
        for found, (a, b) in zip(homogeneity(panel_of(codes, 3, clusters)), [(0, 1), (0, 2), (1, 2)], strict=True):
            both = (codes[:, [a, b]] >= 0).all(axis=1)
            part = None if clusters is None else clusters[both]
            (alone,) = homogeneity(panel_of(codes[both][:, [a, b]], 3, part))
            assert (found.n, found.label) == (alone.n, alone.label)
            assert (found.p, found.difference.ci_low) == (
                pytest.approx(alone.p),
                pytest.approx(alone.difference.ci_low),
            )


def test_the_size_of_the_test_under_the_null_with_clusters() -> None:
    """Judges that are the same but for chance, verdicts repeated within prompts: about 5 % of p values below .05."""
    rng = np.random.default_rng(3)
    below = plain = 0
    for _ in range(300):
        units = np.repeat(np.arange(40), 5)
        codes = (rng.random((40, 2)) < 0.4)[units] ^ (rng.random((200, 2)) < 0.1)
        below += (homogeneity(panel_of(codes, 2, units))[0].p or 0) < 0.05
        plain += (homogeneity(panel_of(codes, 2))[0].p or 0) < 0.05
    assert 0.02 < below / 300 < 0.085
    assert plain / 300 > 0.2  # what the clusters are for


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize(
    ("codes", "k", "why"),
    [
        (np.array([[0, -1], [-1, 1]]), 2, "no pairable items"),
        (np.zeros((9, 2), dtype=int), 2, "the judges never differ"),
        (np.zeros((9, 2), dtype=int), 1, "the judges never differ"),
    ],
)
def test_what_cannot_be_tested_is_said_in_words(codes: np.ndarray, k: int, why: str, clustered: bool) -> None:
    clusters = np.arange(len(codes)) if clustered else None
    (found,) = homogeneity(panel_of(codes, k, clusters))
    assert (found.undefined, found.p, found.p_holm) == (why, None, None)


def test_judges_that_never_differ_still_have_an_interval_for_the_difference() -> None:
    found = of(np.array([[6, 0], [0, 4]], dtype=float)).difference
    assert found.value == 0
    assert (found.ci_low or 0) < 0 < (found.ci_high or 0)


@pytest.mark.parametrize(("n_judges", "pairs"), [(1, 0), (50, 1225), (51, 0)])
def test_how_many_pairs(n_judges: int, pairs: int) -> None:
    codes = np.random.default_rng(0).integers(0, 2, (20, n_judges))
    assert len(homogeneity(panel_of(codes, 2), sampling=Sampling())) == pairs
