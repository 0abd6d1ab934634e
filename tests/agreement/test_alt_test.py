"""The alternative annotator test: published figures, the paper's definition spelt out, and its laws."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from interjudge.agreement.alt_test import alt_test, t_test, wilcoxon_test
from interjudge.agreement.panel import Panel, build_panel
from interjudge.agreement.question import Question
from interjudge.agreement.results_humans import AltJudge, AltTest
from interjudge.agreement.rows import PanelJudge
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.schema import STATUS
from interjudge.errors import InputError

QUICK = Sampling(replicates=50)


def panel_of(codes, humans: int, *, k: int = 3, scores=None, clusters=None, level="nominal") -> Panel:
    """A panel whose first judges are human."""
    codes = np.asfortranarray(codes, dtype=np.int16)
    n, j = codes.shape
    judges = tuple(PanelJudge(f"j{i}", "human" if i < humans else "rubric", "q") for i in range(j))
    return Panel(
        question=Question("q", tuple(str(c + 1) for c in range(k)) if scores is None else (), None, level),
        judges=judges,
        codes=codes,
        statuses=np.where(codes >= 0, 0, 1).astype(np.uint8),
        items=pl.DataFrame({"item_id": [f"i{i}" for i in range(n)]}),
        scores=scores,
        clusters=clusters,
    )


def outcome(panel: Panel, epsilon: float = 0.2) -> AltTest:
    humans = [i for i, judge in enumerate(panel.judges) if judge.kind == "human"]
    others = [i for i, judge in enumerate(panel.judges) if judge.kind != "human"]
    return alt_test(panel, humans, others, sampling=QUICK, epsilon=epsilon)


def votes(seed: int, n: int, j: int, *, k: int = 3, missing: float = 0.2, skill: float = 0.6):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    codes = np.where(rng.random((n, j)) < skill, truth[:, None], rng.integers(0, k, (n, j)))
    return np.where(rng.random((n, j)) < missing, -1, codes).astype(np.int16)


def accuracy(own, others) -> float:
    return float(np.mean([own == other for other in others]))


def neg_rmse(own, others) -> float:
    return -float(np.sqrt(np.mean([(own - other) ** 2 for other in others])))


def spelt_out(humans, judge, score, epsilon):
    """The paper's section 3 item by item: (p-values, shares of W^f, wins at a false discovery rate of .05)."""
    p_values, advantage = [], []
    for j in range(humans.shape[1]):
        d, wins = [], []
        for row, own in zip(humans, judge, strict=True):
            others = [v for h, v in enumerate(row) if h != j and not np.isnan(v)]
            if np.isnan(row[j]) or np.isnan(own) or not others:
                continue
            of_human, of_judge = score(row[j], others), score(own, others)
            wins.append(of_judge >= of_human)
            d.append(int(of_human >= of_judge) - int(of_judge >= of_human))
        p_values.append(stats.ttest_1samp(d, epsilon, alternative="less").pvalue)
        advantage.append(float(np.mean(wins)))
    return p_values, advantage, multipletests(p_values, 0.05, "fdr_by")[0]


# Printed by the authors' notebook (github.com/nitaytech/AltTest, alt_test_example.ipynb) for their LGBTeen data,
# epsilon .2: winning rate and average advantage probability, two decimals.
PUBLISHED = {
    "gemini_flash": (0.25, 0.71),
    "gemini_pro": (0.00, 0.67),
    "gpt-4o": (0.75, 0.77),
    "llama-31": (0.00, 0.72),
    "gpt-4o-mini": (0.75, 0.76),
    "mistral-v03": (0.25, 0.75),
}


def test_the_authors_figures(panels: Path) -> None:
    raw = panels.parent / "raw" / "alttest"
    rows = [
        (item, judge, kind, label)
        for kind, file in (("human", "human"), ("rubric", "llm"))
        for judge, given_ in json.loads((raw / f"lgbteen__{file}_annotations.json").read_text()).items()
        for item, label in given_.items()
    ]
    table = pl.DataFrame(rows, schema=["item_id", "judge", "judge_kind", "label"], orient="row")
    found = outcome(
        build_panel(table.with_columns(construct=pl.lit("answer"), status=pl.lit("ok").cast(STATUS)), columns=())
    )
    assert {j.judge: (j.winning_rate, round(j.rho.value or 0, 2)) for j in found.judges} == PUBLISHED
    assert {j.judge for j in found.judges if j.passes} == {"gpt-4o", "gpt-4o-mini"}
    assert found.n_items == 880
    assert found.n_left_out == 0


@pytest.mark.parametrize("seed", range(4))
def test_labels_as_the_paper_spells_it_out(seed: int) -> None:
    codes = votes(seed, 150, 5)
    one = outcome(panel_of(codes, 4)).judges[0]
    numbers = np.where(codes < 0, np.nan, codes)
    p, advantage, won = spelt_out(numbers[:, :4], numbers[:, 4], accuracy, 0.2)
    assert [c.p_value for c in one.comparisons] == pytest.approx(p)
    assert [c.rho_judge for c in one.comparisons] == pytest.approx(advantage)
    assert [c.won for c in one.comparisons] == won.tolist()
    assert one.winning_rate == pytest.approx(won.mean())
    assert one.rho.value == pytest.approx(np.mean(advantage))


@pytest.mark.parametrize("step", [1.0, 0.1, 1 / 3])
def test_scores_as_the_paper_spells_it_out(step: float) -> None:
    """Minus the root mean square; scores on a grid, where ties are many and must not be lost to rounding."""
    whole = votes(3, 120, 4, k=5).astype(float)
    whole[whole < 0] = np.nan
    p, advantage, won = spelt_out(whole[:, :3], whole[:, 3], neg_rmse, 0.2)
    for scores in (whole * step, 50 - 3 * whole * step):
        found = outcome(panel_of(np.full(scores.shape, -1), 3, k=0, scores=scores))
        assert found.scoring == "neg_rmse"
        assert [c.p_value for c in found.judges[0].comparisons] == pytest.approx(p)
        assert [c.rho_judge for c in found.judges[0].comparisons] == pytest.approx(advantage)
        assert [c.won for c in found.judges[0].comparisons] == won.tolist()


def test_ordered_labels_that_are_numbers_are_scored_as_numbers() -> None:
    codes = votes(3, 120, 4, k=5)
    by_level = outcome(panel_of(codes, 3, k=5, level="ordinal"))
    scores = np.where(codes < 0, np.nan, codes + 1.0)
    by_score = outcome(panel_of(np.full(codes.shape, -1), 3, k=0, scores=scores))
    assert by_level.scoring == by_score.scoring == "neg_rmse"
    assert np.array(figures(by_level.judges[0])) == pytest.approx(np.array(figures(by_score.judges[0])))


def test_adjusted_p_values_are_those_of_benjamini_and_yekutieli() -> None:
    one = outcome(panel_of(votes(1, 200, 6), 5)).judges[0]
    _, adjusted, _, _ = multipletests([c.p_value for c in one.comparisons], 0.05, "fdr_by")
    assert [c.p_adjusted for c in one.comparisons] == pytest.approx(adjusted)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.2, 0.5, 1.0])
def test_few_items_are_tested_over_all_changes_of_sign(epsilon: float) -> None:
    """Wilcoxon's test by its definition: every sign of every rank equally likely."""
    for counts in product(range(4), repeat=3):
        x = np.repeat([-1.0, 0.0, 1.0], counts) - epsilon
        x = x[np.abs(x) > 1e-12]
        ranks = stats.rankdata(np.round(np.abs(x), 9))
        observed = ranks[x > 0].sum()
        signs = np.array(list(product((0, 1), repeat=x.size))).reshape(2**x.size, x.size)
        expected = np.mean(signs @ ranks <= observed + 1e-9)
        assert wilcoxon_test(np.array(counts), epsilon) == pytest.approx(expected), counts


def test_fewer_than_thirty_items_take_wilcoxon_and_fewer_than_ten_nothing() -> None:
    codes = votes(0, 29, 4, missing=0)
    assert {c.test for c in outcome(panel_of(codes, 3)).judges[0].comparisons} == {"wilcoxon"}
    assert {c.test for c in outcome(panel_of(votes(0, 30, 4, missing=0), 3)).judges[0].comparisons} == {"t"}
    found = outcome(panel_of(codes[:9], 3))
    assert found.undefined is not None
    assert "3 humans or more: 0 here" in found.undefined


def test_clusters_of_one_item_are_items() -> None:
    codes = votes(2, 90, 5)
    plain, alone = (outcome(panel_of(codes, 4, clusters=c)).judges[0] for c in (None, np.arange(90)))
    assert [c.p_value for c in alone.comparisons] == pytest.approx([c.p_value for c in plain.comparisons])


def test_items_copied_within_their_clusters_prove_nothing_more() -> None:
    codes = votes(2, 60, 5)
    plain = outcome(panel_of(codes, 4)).judges[0]
    copied = outcome(panel_of(np.tile(codes, (3, 1)), 4, clusters=np.tile(np.arange(60), 3))).judges[0]
    assert [c.p_value for c in copied.comparisons] == pytest.approx([c.p_value for c in plain.comparisons])


def test_the_clustered_t_is_that_of_a_ratio_of_totals() -> None:
    """Cochran (1977, chapter 6): C / (C - 1) sum (d_c - mean n_c)^2 / n^2; clusters of 1, 2 and 3 items."""
    d, n = np.array([[1.0], [-2.0], [0.0], [-1.0]]), np.array([[1.0], [2.0], [3.0], [2.0]])
    mean = -2 / 8
    variance = 4 / 3 * ((d - mean * n) ** 2).sum() / 64
    expected = stats.t.cdf((mean - 0.2) / np.sqrt(variance), 3)
    assert t_test(d, n, np.ones(4), 0.2)[0] == pytest.approx(expected)


def test_the_humans_majority_is_never_worse_than_a_human() -> None:
    """The paper's optimal judge: rho is 1 for the majority vote (accuracy) and for the mean (RMSE)."""
    humans = votes(5, 200, 5, missing=0)
    best = np.array([np.bincount(row, minlength=3).argmax() for row in humans])
    assert outcome(panel_of(np.column_stack([humans, best]), 5)).judges[0].rho.value == 1
    scores = np.column_stack([humans, humans.mean(axis=1)])
    assert outcome(panel_of(np.full(scores.shape, -1), 5, k=0, scores=scores)).judges[0].rho.value == 1


def test_two_humans_are_too_few() -> None:
    found = outcome(panel_of(votes(0, 100, 4), 2))
    assert found.judges == ()
    assert found.undefined is not None


def test_a_human_who_shares_hardly_anything_is_left_out() -> None:
    codes = votes(0, 100, 5, missing=0)
    codes[5:, 0] = -1
    one = outcome(panel_of(codes, 4)).judges[0]
    assert [c.human for c in one.comparisons] == ["j1", "j2", "j3"]
    assert one.n_compared == 3


def test_items_with_fewer_than_two_humans_are_left_out_and_counted() -> None:
    codes = votes(0, 100, 5, missing=0)
    codes[:7, 1:4] = -1
    codes[:3, 0] = -1
    found = outcome(panel_of(codes, 4))
    assert (found.n_items, found.n_left_out, found.judges[0].n_items) == (93, 7, 93)
    assert np.array(figures(found.judges[0])) == pytest.approx(np.array(figures(one_of(codes[7:]))))


def one_of(codes) -> AltJudge:
    return outcome(panel_of(codes, codes.shape[1] - 1)).judges[0]


def test_epsilon_outside_its_range_is_refused() -> None:
    with pytest.raises(InputError, match="epsilon is out of range"):
        outcome(panel_of(votes(0, 50, 4), 3), epsilon=1.2)


def figures(one: AltJudge) -> list[tuple[float, ...]]:
    return sorted((c.n, c.rho_judge, c.rho_human, c.p_value, c.p_adjusted, c.won) for c in one.comparisons)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(3, 6), st.integers(30, 90), st.permutations(range(3)))
def test_order_and_names_change_nothing(seed: int, humans: int, n: int, renamed: list[int]) -> None:
    codes = votes(seed, n, humans + 1, missing=0.1)
    before = figures(one_of(codes))
    rng = np.random.default_rng(seed)
    shuffled = codes[rng.permutation(n)][:, [*rng.permutation(humans), humans]]
    assert np.array(figures(one_of(shuffled))) == pytest.approx(np.array(before))
    other = np.where(codes < 0, -1, np.array(renamed)[codes]).astype(np.int16)
    assert np.array(figures(one_of(other))) == pytest.approx(np.array(before))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_more_leniency_never_loses_a_comparison(seed: int) -> None:
    panel = panel_of(votes(seed, 80, 5), 4)
    rates = [outcome(panel, epsilon).judges[0].winning_rate or 0 for epsilon in (0.0, 0.1, 0.2, 0.4, 1.0)]
    assert rates == sorted(rates)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(2, 6), st.integers(1, 4), st.floats(0, 1))
def test_any_panel_is_answered(seed: int, n: int, humans: int, k: int, missing: float) -> None:
    codes = votes(seed, n, humans + 2, k=k, missing=missing)
    found = outcome(panel_of(codes, humans, k=k))
    for one in found.judges:
        assert (one.winning_rate is None) == (one.undefined is not None) == (one.passes is None)
        assert one.rho.value is None or 0 <= one.rho.value <= 1
        for c in one.comparisons:
            assert c.rho_judge + c.rho_human >= 1 - 1e-9  # ties count for both
            assert 0 <= c.p_value <= c.p_adjusted <= 1
    assert AltTest.model_validate_json(found.model_dump_json()) == found
