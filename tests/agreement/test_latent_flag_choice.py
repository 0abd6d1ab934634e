"""Choosing flags by threshold, budget or expected share of false alarms; reliability and Brier score."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from interjudge.agreement.flag_choice import Rule, auroc, brier, choose, reliability
from interjudge.errors import InputError

P = np.array([[0.9, np.nan], [0.5, 0.8], [0.1, 0.5]])


def test_threshold_takes_all_at_or_above_it() -> None:
    assert choose(P, Rule(threshold=0.5)).tolist() == [[True, False], [True, True], [False, True]]


def test_budget_takes_the_worst_and_never_a_missing_verdict() -> None:
    assert choose(P, Rule(budget=2)).tolist() == [[True, False], [False, True], [False, False]]
    drawn = [choose(P, Rule(budget=3), seed) for seed in range(20)]  # of the two at .5 one is drawn
    assert {int(taken.sum()) for taken in drawn} == {3}
    assert {bool(taken[1, 0]) for taken in drawn} == {True, False}
    assert choose(P, Rule(budget=99)).sum() == 5
    assert choose(P, Rule(budget=0)).sum() == 0


def test_fdr_takes_the_largest_set_with_few_enough_right_verdicts() -> None:
    """1 - p from the top: .1, .2, .5, .5, .9; means .1, .15, .267, .325, .44. Ties go together."""
    assert choose(P, Rule(fdr=0.15)).sum() == 2
    assert choose(P, Rule(fdr=0.3)).sum() == 2
    assert choose(P, Rule(fdr=0.33)).sum() == 4
    assert choose(P, Rule(fdr=0.05)).sum() == 0
    assert choose(np.full((2, 2), np.nan), Rule(fdr=0.5)).sum() == 0


@pytest.mark.parametrize(
    "rule", [{}, {"threshold": 0.5, "budget": 3}, {"threshold": 2.0}, {"fdr": -0.1}, {"budget": -1}]
)
def test_unclear_rules_are_refused(rule: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected"):
        Rule(**rule)  # type: ignore[arg-type]  # the wrong arguments are the point


def test_reliability_and_brier_equal_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(500)
    wrong = rng.random(500) < p**2
    observed, predicted = calibration_curve(wrong, p, n_bins=10)
    table = reliability(p, wrong)
    assert [b.predicted for b in table] == pytest.approx(predicted)
    assert [b.observed for b in table] == pytest.approx(observed)
    assert sum(b.n for b in table) == 500
    assert brier(p, wrong) == pytest.approx(brier_score_loss(wrong, p))
    assert auroc(p.round(1), wrong) == pytest.approx(roc_auc_score(wrong, p.round(1)))
    assert auroc(p, np.ones(500, bool)) is None


def test_the_observed_share_of_a_range_has_wilsons_interval_over_sampling_units() -> None:
    """4 of 10 wrong, each verdict on an item of its own; four verdicts that are always alike tell no more than one."""
    p, wrong = np.full(10, 0.35), np.arange(10) < 4
    (alone,) = reliability(p, wrong)
    assert (alone.ci_low, alone.ci_high) == pytest.approx(proportion_confint(4, 10, method="wilson"))
    unit = np.arange(10)
    (each,) = reliability(p, wrong, unit)
    (four,) = reliability(np.tile(p, 4), np.tile(wrong, 4), np.tile(unit, 4))
    assert four.n == 40
    assert (four.ci_low, four.ci_high) == pytest.approx((each.ci_low, each.ci_high))
    (naive,) = reliability(np.tile(p, 4), np.tile(wrong, 4))
    assert four.ci_low < naive.ci_low < naive.ci_high < four.ci_high
