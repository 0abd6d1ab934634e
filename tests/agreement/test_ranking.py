"""Who is best: McNemar, Holm and the probability of being best against publications, libraries and closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from interjudge.agreement.ability import trust
from interjudge.agreement.latent import estimate_truth
from interjudge.agreement.panel import Panel
from interjudge.agreement.question import Question
from interjudge.agreement.ranking import corrected, difference_p, mid_p, share_best
from interjudge.agreement.results_trust import Ranking
from interjudge.agreement.rows import CELL_STATUSES, NOT_ASKED, PanelJudge
from interjudge.agreement.sampling import Sampling

Codes = NDArray[np.int16]


def panel_of(codes: Any, k: int, gold: Any, kinds: tuple[str, ...] = (), clusters: Any = None) -> Panel:
    import polars as pl

    codes = np.asfortranarray(np.asarray(codes, np.int16))
    labels = tuple(f"l{x}" for x in range(k))
    kinds = kinds or ("llm",) * codes.shape[1]
    absent = CELL_STATUSES.index(NOT_ASKED)
    return Panel(
        question=Question("harm", labels, labels[-1] if k == 2 else None),
        judges=tuple(PanelJudge(f"j{j}", kind, "harm") for j, kind in enumerate(kinds)),
        codes=codes,
        statuses=np.asfortranarray(np.where(codes >= 0, 0, absent).astype(np.uint8)),
        items=pl.DataFrame({"item_id": [str(i) for i in range(len(codes))]}),
        clusters=clusters,
        gold=None if gold is None else np.asarray(gold, np.int16),
        reference=None if gold is None else "gold",
    )


def ranking_of(panel: Panel, replicates: int = 500) -> Ranking:
    truth = estimate_truth(panel.codes, len(panel.question.labels))
    found = trust(panel, truth, sampling=Sampling(replicates))
    assert found is not None
    assert found.ranking is not None
    return found.ranking


def judged(seed: int, n: int, accuracy: list[float], k: int = 3) -> tuple[Codes, Codes]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    right = rng.random((n, len(accuracy))) < accuracy
    wrong = (truth[:, None] + rng.integers(1, k, right.shape)) % k
    return np.where(right, truth[:, None], wrong).astype(np.int16), truth.astype(np.int16)


def test_mid_p_of_a_published_table() -> None:
    """Fagerland, Lydersen and Laake 2013 (BMC Medical Research Methodology 13:91), airway hyper-responsiveness
    before and after transplantation, discordant counts 1 and 7: exact p .070, mid-p .039."""
    assert mid_p(np.array([1.0]), np.array([7.0])) == pytest.approx([0.039], abs=5e-4)
    # by hand: 2 (1 + 8) / 256 - 8 / 256
    assert mid_p(np.array([7.0]), np.array([1.0])) == pytest.approx([10 / 256])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mid_p_is_statsmodels_exact_test_less_the_probability_of_the_counts(b: int, c: int) -> None:
    from scipy.stats import binom

    mine = float(mid_p(np.array([float(b)]), np.array([float(c)]))[0])
    if b == c:  # the exact p is cut at 1 there
        assert mine == pytest.approx(1)
        return
    exact = statsmodels_mcnemar([[10, b], [c, 10]], exact=True).pvalue
    assert mine == pytest.approx(exact - binom.pmf(min(b, c), b + c, 0.5), abs=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.floats(1e-12, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p: list[float]) -> None:
    found = corrected(np.array([*p, np.nan]), np.array([True] * len(p) + [False]))
    assert found[:-1] == pytest.approx(multipletests(p, method="holm")[1])
    assert np.isnan(found[-1])


def test_probability_of_being_best_has_the_closed_form_of_two_judges() -> None:
    """Accuracies a and b on n items, paired: the difference d = (n_10 - n_01) / n has the standard error
    sqrt(n_10 + n_01 - n d^2) / n, and P(first is best) is the normal distribution function at d over it."""
    n = 600
    gold = np.zeros(n, int)
    first, second = np.zeros(n, int), np.zeros(n, int)
    first[:90] = 1  # 90 wrong, 30 of them shared
    second[60:160] = 1  # 100 wrong
    found = ranking_of(panel_of(np.array([first, second]).T, 3, gold), replicates=4000)
    d, discordant = 10 / n, 60 + 70
    expected = norm.cdf(d / (np.sqrt(discordant - n * d**2) / n))
    assert found.best == "j0"
    assert found.judges[0].p_best == pytest.approx(expected, abs=0.03)
    assert found.judges[1].difference is not None
    assert found.judges[1].difference.value == pytest.approx(d)
    # the same standard error gives the p value
    assert found.judges[1].p_value == pytest.approx(2 * (1 - expected), abs=0.03)


def test_with_many_differences_both_tests_say_nearly_the_same() -> None:
    """For accuracy the paired bootstrap and McNemar's test look at the same discordant items."""
    codes, truth = judged(0, 1000, [0.8, 0.76, 0.7])
    found = ranking_of(panel_of(codes, 3, truth), replicates=3000)
    for judge in found.judges[1:]:
        assert judge.mcnemar is not None
        assert judge.p_value == pytest.approx(judge.mcnemar, abs=0.02)
    right = codes == truth[:, None]
    b, c = (right[:, 0] & ~right[:, 1]).sum(), (~right[:, 0] & right[:, 1]).sum()
    second = next(j for j in found.judges if j.judge == "j1")
    exact = statsmodels_mcnemar([[0, b], [c, 0]], exact=True).pvalue
    assert second.mcnemar == pytest.approx(exact, abs=0.02)
    assert second.mcnemar is not None
    assert second.mcnemar < exact


@pytest.mark.parametrize("referenced", [True, False])
def test_ties_share_the_probability_and_cannot_be_told_apart(referenced: bool) -> None:
    codes, truth = judged(1, 300, [0.85, 0.85, 0.6], 2)
    codes[:, 1] = codes[:, 0]
    found = ranking_of(panel_of(codes, 2, truth if referenced else None))
    p = {j.judge: j.p_best or 0.0 for j in found.judges}
    assert p["j0"] == pytest.approx(p["j1"])
    assert sum(p.values()) == pytest.approx(1)
    assert len({found.best, *found.tied_with_best} & {"j0", "j1"}) == 2
    twin = next(j for j in found.judges if j.judge != found.best and j.judge in ("j0", "j1"))
    assert twin.p_value == pytest.approx(1)
    assert twin.difference is not None
    assert twin.difference.value == 0


def test_share_best_by_hand() -> None:
    """Four replicates: first, second, a tie, first alone defined: (1 + 0 + 1/2 + 1) / 4."""
    draws = np.array([[0.9, 0.8], [0.1, 0.2], [0.5, 0.5], [0.3, np.nan]])
    assert share_best(draws) == pytest.approx([2.5 / 4, 1.5 / 4])
    assert share_best(np.full((3, 2), np.nan)) is None


def test_p_of_a_difference_without_any_variation() -> None:
    """The same difference in all of 10 units: the sign test, 2 / 2^10; none at all: 1."""
    draws = np.repeat([[1.0, 0.0]], 50, axis=0)
    assert difference_p(np.array([1.0, 0.0]), draws, np.array([10.0, 10.0])) == pytest.approx([2 / 1024, 1])


def test_clear_differences_are_told_apart_and_small_ones_are_not() -> None:
    """The second judge is wrong on 4 items more and right on 2 more than the first: McNemar's mid-p is .45."""
    codes, truth = judged(2, 500, [0.9, 0.9, 0.6, 0.5])
    codes[:, 1] = codes[:, 0]
    right, wrong = (np.flatnonzero((codes[:, 0] == truth) == state) for state in (True, False))
    codes[right[:4], 1] = (truth[right[:4]] + 1) % 3
    codes[wrong[:2], 1] = truth[wrong[:2]]
    found = ranking_of(panel_of(codes, 3, truth))
    assert (found.best, found.tied_with_best) == ("j0", ("j1",))
    assert found.judges[1].mcnemar == pytest.approx(0.453, abs=1e-3)  # 2 (1 + 6 + 15) / 64 - 15 / 64
    assert (found.basis, found.measure) == ("reference", "accuracy")
    assert [j.judge for j in found.judges][2:] == ["j2", "j3"]


def test_without_a_reference_judges_are_ranked_by_the_estimate() -> None:
    codes, _ = judged(3, 1500, [0.95, 0.8, 0.78, 0.8, 0.65], 2)
    found = ranking_of(panel_of(codes, 2, None))
    assert (found.basis, found.measure, found.best) == ("estimate", "youden_j", "j0")
    assert found.judges[0].p_best is not None
    assert found.judges[0].p_best > 0.9
    assert found.judges[-1].judge == "j4"
    assert found.judges[-1].mcnemar is None


def test_judges_are_compared_on_the_items_they_share() -> None:
    """The second judge saw only the 100 easy items, on which the first is as good: its accuracy on all is lower,
    but the difference on shared items is 0."""
    gold = np.zeros(400, int)
    first = np.r_[np.zeros(100, int), np.ones(150, int), np.zeros(150, int)]
    second = np.r_[np.zeros(100, int), np.full(300, -1)]
    third = np.r_[np.ones(100, int), np.zeros(300, int)]
    found = ranking_of(panel_of(np.array([first, second, third]).T, 3, gold))
    assert found.items == "own"
    assert found.best == "j1"
    behind = {j.judge: j.difference for j in found.judges}
    assert behind["j0"] is not None
    assert behind["j0"].value == 0
    assert behind["j0"].n == 100
    assert behind["j2"] is not None
    assert behind["j2"].value == 1


def test_values_rest_on_the_common_items_where_there_are_enough() -> None:
    codes, truth = judged(4, 300, [0.9, 0.8, 0.7])
    codes[:40, 2] = -1
    found = ranking_of(panel_of(codes, 3, truth))
    assert (found.items, found.n_items) == ("common", 260)
    right = (codes[40:, 0] == truth[40:]).mean()
    assert found.judges[0].value.value == pytest.approx(right)


def test_humans_are_ranked_with_all_and_the_others_among_themselves() -> None:
    codes, truth = judged(5, 300, [0.99, 0.8, 0.6])
    panel = panel_of(codes, 3, truth, ("human", "llm", "keyword"))
    found = trust(panel, estimate_truth(panel.codes, 3), sampling=Sampling(100))
    assert found is not None
    assert found.ranking is not None
    assert found.ranking_automatic is not None
    assert found.ranking.best == "j0"
    assert found.ranking_automatic.best == "j1"
    assert len(found.ranking_automatic.judges) == 2


def test_judges_with_few_verdicts_are_not_ranked_while_others_have_more() -> None:
    codes, truth = judged(6, 200, [0.8, 0.7, 0.9])
    codes[20:, 2] = -1
    found = ranking_of(panel_of(codes, 3, truth))
    assert found.not_ranked == ("j2",)
    assert {j.judge for j in found.judges} == {"j0", "j1"}


def test_clusters_have_no_mcnemar_and_wider_differences() -> None:
    codes, truth = judged(7, 100, [0.8, 0.7])
    four, gold = np.repeat(codes, 4, axis=0), np.repeat(truth, 4)
    alone = ranking_of(panel_of(four, 3, gold)).judges[1]
    together = ranking_of(panel_of(four, 3, gold, clusters=np.repeat(np.arange(100), 4))).judges[1]
    assert alone.mcnemar is not None
    assert together.mcnemar is None
    assert alone.difference is not None
    assert together.difference is not None
    widths = [(e.ci_high or 0) - (e.ci_low or 0) for e in (alone.difference, together.difference)]
    assert widths[1] / widths[0] == pytest.approx(2, rel=0.25)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.permutations(range(4)))
def test_the_order_of_the_judges_changes_nothing_but_their_place(seed: int, order: list[int]) -> None:
    codes, truth = judged(seed, 150, [0.9, 0.8, 0.7, 0.6])
    before = ranking_of(panel_of(codes, 3, truth), replicates=50)
    after = ranking_of(panel_of(codes[:, order], 3, truth), replicates=50)
    names = {f"j{new}": f"j{old}" for new, old in enumerate(order)}
    assert names[after.best] == before.best
    values = {j.judge: j.value.value for j in before.judges}
    for j in after.judges:
        assert j.value.value == pytest.approx(values[names[j.judge]])
        assert (j.mcnemar is None) == (j.judge == after.best)


def test_without_replicates_there_is_no_probability() -> None:
    codes, truth = judged(8, 100, [0.9, 0.6])
    found = ranking_of(panel_of(codes, 3, truth), replicates=0)
    assert [j.p_best for j in found.judges] == [None, None]
    assert found.tied_with_best == ()
    assert found.judges[1].mcnemar is None or found.judges[1].p_value is None


def test_one_judge_is_not_ranked() -> None:
    codes, truth = judged(9, 50, [0.9])
    panel = panel_of(codes, 3, truth)
    found = trust(panel, estimate_truth(panel.codes, 3), sampling=Sampling(20))
    assert found is not None
    assert found.ranking is None
