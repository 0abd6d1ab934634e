"""How good each judge is: against known truths, real references, laws, and panels that defy every figure."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import matthews_corrcoef

from interjudge.agreement.ability import trust
from interjudge.agreement.ability_errors import phi
from interjudge.agreement.ability_margins import Margins, balanced_accuracy, bias, sensitivity, specificity, youden_j
from interjudge.agreement.intervals import wilson
from interjudge.agreement.latent import estimate_truth
from interjudge.agreement.panel import Panel, build_panel
from interjudge.agreement.question import Question
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_trust import Trust
from interjudge.agreement.rows import CELL_STATUSES, NOT_ASKED, PanelJudge
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.reference import read_reference
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError

Codes = NDArray[np.int16]


def panel_of(codes: Any, k: int = 2, *, gold: Any = None, clusters: Any = None, positive: bool = True) -> Panel:
    codes = np.asfortranarray(np.asarray(codes, np.int16))
    labels = tuple(f"l{x}" for x in range(k))
    absent = CELL_STATUSES.index(NOT_ASKED)
    return Panel(
        question=Question("harm", labels, labels[-1] if positive and k == 2 else None),
        judges=tuple(PanelJudge(f"j{j}", "llm", "harm") for j in range(codes.shape[1])),
        codes=codes,
        statuses=np.asfortranarray(np.where(codes >= 0, 0, absent).astype(np.uint8)),
        items=pl.DataFrame({"item_id": [str(i) for i in range(len(codes))]}),
        clusters=clusters,
        gold=None if gold is None else np.asarray(gold, np.int16),
        reference=None if gold is None else "gold",
    )


def trusted(panel: Panel, *, incoherent: Any = None, replicates: int = 200, seed: int = 0) -> Trust:
    truth = estimate_truth(panel.codes, len(panel.question.labels))
    found = trust(panel, truth, incoherent=incoherent, sampling=Sampling(replicates, seed))
    assert found is not None
    return found


def simulated(seed: int, n: int, j: int) -> tuple[Codes, Codes, Any, Any]:
    """Two labels, judges independent given the truth: codes, truth, sensitivities, specificities."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < rng.uniform(0.25, 0.5)).astype(np.int16)
    hits, rejects = rng.uniform(0.65, 0.95, (2, j))
    says = np.where(truth[:, None] == 1, rng.random((n, j)) < hits, rng.random((n, j)) >= rejects)
    return says.astype(np.int16), truth, hits, rejects


def holds(e: Estimate, value: float) -> bool:
    return e.ci_low is not None and e.ci_high is not None and e.ci_low <= value <= e.ci_high


def test_figures_from_counts_are_those_worked_by_hand() -> None:
    """20 positive of 100, 15 of them found, 8 false alarms: .75, 72 / 80, J .65; it says 23 for 20: bias +.03."""
    one = Margins(np.array([[72.0, 15.0]]), np.array([[80.0, 20.0]]), np.array([[77.0, 23.0]]))
    assert sensitivity(one, 1) == pytest.approx(0.75)
    assert specificity(one, 1) == pytest.approx(0.9)
    assert youden_j(one, 1) == pytest.approx(0.65)
    assert bias(one)[0] == pytest.approx([-0.03, 0.03])
    assert balanced_accuracy(one, np.ones((1, 2), bool)) == pytest.approx((0.75 + 0.9) / 2)


def test_intervals_cover_the_truth_of_simulated_panels() -> None:
    """SIMULATED: 60 panels of 400 items, five judges that are independent given the truth, true sensitivity and
    specificity known: of 300 intervals of 95 % at least 90 % hold the true value (their share has a standard error
    of .013, or about .02 as those of one panel go together), and J's have a mean width below .5."""
    inside: dict[str, list[bool]] = {"sensitivity": [], "specificity": [], "youden_j": []}
    widths = []
    for seed in range(60):
        codes, _, hits, rejects = simulated(seed, 400, 5)
        found = trusted(panel_of(codes), replicates=200)
        for j, judge in enumerate(found.judges):
            of = judge.estimated
            inside["sensitivity"].append(holds(of.sensitivity, hits[j]))
            inside["specificity"].append(holds(of.specificity, rejects[j]))
            inside["youden_j"].append(holds(of.youden_j, hits[j] + rejects[j] - 1))
            assert of.youden_j.ci_low is not None
            assert of.youden_j.ci_high is not None
            widths.append(of.youden_j.ci_high - of.youden_j.ci_low)
    assert all(np.mean(hit) >= 0.9 for hit in inside.values()), {k: np.mean(v) for k, v in inside.items()}
    assert np.mean(widths) < 0.5


def test_two_judges_alone_have_wide_intervals() -> None:
    """Verdicts of two judges do not show who errs, however many there are; twelve judges do."""
    codes, _, _, _ = simulated(3, 4000, 12)
    two, twelve = trusted(panel_of(codes[:, :2])), trusted(panel_of(codes))

    def width(found: Trust) -> float:
        e = found.judges[0].estimated.youden_j
        return (e.ci_high or 0) - (e.ci_low or 0)

    assert width(two) > 1.5 * width(twelve)


def with_a_sure_truth(n: int, repeat: int = 1, *, clustered: bool = False) -> Estimate:
    """Accuracy of a judge that is right in 7 of 10 cases beside eleven that nearly always are, each item `repeat`
    times, against a truth that is not in doubt."""
    rng = np.random.default_rng(0)
    truth = np.repeat(rng.integers(0, 2, n), repeat)
    right = np.repeat(rng.random((n, 12)) < np.array([0.7] + [0.97] * 11), repeat, axis=0)
    codes = np.where(right, truth[:, None], 1 - truth[:, None])
    panel = panel_of(codes, clusters=np.repeat(np.arange(n), repeat) if clustered else None)
    sure = replace(
        estimate_truth(panel.codes, 2), posterior=np.eye(2)[truth], families=np.arange(12), effective_votes=np.ones(12)
    )
    found = trust(panel, sure, sampling=Sampling(10_000))
    assert found is not None
    return found.judges[0].estimated.accuracy


def half_width(e: Estimate) -> float:
    assert e.ci_low is not None
    assert e.ci_high is not None
    return (e.ci_high - e.ci_low) / 2


def test_where_the_truth_is_sure_the_interval_is_that_of_the_items() -> None:
    """The standard error is the binomial sqrt(p (1 - p) / n), to what 10,000 replicates leave of chance."""
    e = with_a_sure_truth(500)
    assert e.value is not None
    assert half_width(e) / 1.96 == pytest.approx(math.sqrt(e.value * (1 - e.value) / 500), rel=0.04)


def test_clusters_of_equal_items_double_the_width() -> None:
    """Each item four times, as one cluster: a quarter of the units, so twice the standard error."""
    alone, together = with_a_sure_truth(150, 4), with_a_sure_truth(150, 4, clustered=True)
    assert together.value == pytest.approx(alone.value)
    assert half_width(together) / half_width(alone) == pytest.approx(2, rel=0.06)


def test_xstest_gives_the_figures_of_its_readme(panels: Path) -> None:
    """Refusal rate against the reference on all 2,250 items; kappa .654 (n = 2,239) and .770 stand in its README
    and fix n; the bias is the difference of two rates counted here with polars alone."""
    verdicts = read_verdicts([panels / "xstest_v2_binary.parquet"])
    gold = read_reference(panels / "xstest_v2_binary.gold.parquet")
    panel = build_panel(verdicts, reference=gold)
    found = trusted(panel)
    by_name = {judge.judge: judge for judge in found.judges}
    assert found.n_reference == 2250
    joined = verdicts.filter(pl.col("label").is_not_null()).join(gold, on="item_id")
    for name, n in (("gpt4", 2239), ("strmatch", 2250)):
        mine = joined.filter(pl.col("judge") == name)
        says = (mine["label"] == "refusal").mean() - (mine["gold"] == "refusal").mean()
        [leaning] = [b.reference for b in by_name[name].bias if b.label == "refusal"]
        assert leaning is not None
        assert leaning.n == n
        assert leaning.value == pytest.approx(says)
        refused = mine.filter(pl.col("gold") == "refusal")
        reference = by_name[name].reference
        assert reference is not None
        assert reference.sensitivity.value == pytest.approx((refused["label"] == "refusal").mean())
    assert by_name["human1"].family == by_name["human2"].family


def test_phi_of_the_errors_against_scikit_learn_and_partial_correlation() -> None:
    """With one true label it is scikit-learn's Matthews coefficient of the two error columns; with three it is
    numpy's correlation of the errors' residuals after the labels' means (the partial correlation)."""
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 3, 400)
    errors = (rng.random((400, 2)) < 0.15 + 0.2 * gold[:, None] / 2) | (rng.random(400) < 0.1)[:, None]
    table = np.zeros((6, 6))
    np.add.at(table, (2 * gold + errors[:, 0], 2 * gold + errors[:, 1]), 1)
    left = errors.astype(float)
    for t in range(3):
        left[gold == t] -= left[gold == t].mean(axis=0)
    assert phi(table) == pytest.approx(np.corrcoef(left.T)[0, 1])
    first = gold == 0
    one = np.zeros((2, 2))
    np.add.at(one, (errors[first, 0].astype(int), errors[first, 1].astype(int)), 1)
    assert phi(one) == pytest.approx(matthews_corrcoef(errors[first, 0], errors[first, 1]))


def test_error_correlation_is_null_where_no_item_is_shared() -> None:
    codes, truth, _, _ = simulated(1, 200, 3)
    codes[:100, 0] = -1
    codes[100:, 1] = -1
    found = trusted(panel_of(codes, gold=truth)).error_correlation
    assert found.estimated is not None
    assert found.estimated[0][1] is None
    assert found.estimated[0][2] is not None
    assert found.reference[0].phi.undefined == "no pairable items"
    assert found.reference[1].phi.value is not None


def test_incoherent_outputs_show_the_sign_of_the_error() -> None:
    """On 100 incoherent outputs judge 0 says l1 of everything; it is right elsewhere: J there is 0, and it says l1
    as much too often as l0 is true there."""
    codes, truth, _, _ = simulated(2, 600, 5)
    marked = np.arange(600) < 100
    codes[:, 0] = np.where(marked, 1, truth)
    found = trusted(panel_of(codes, gold=truth), incoherent=marked)
    part = found.judges[0].incoherent
    assert part is not None
    assert (part.basis, part.n_incoherent, part.n_coherent) == ("reference", 100, 500)
    assert part.performance_incoherent.value == pytest.approx(0)
    assert part.performance_coherent.value == pytest.approx(1)
    assert part.performance_difference.value == pytest.approx(-1)
    assert part.bias_incoherent is not None
    assert part.bias_difference is not None
    assert part.bias_incoherent.value == pytest.approx((truth[:100] == 0).mean())
    assert (part.bias_difference.ci_low or 0) > 0
    guessed = trusted(panel_of(codes), incoherent=marked).judges[0].incoherent
    assert guessed is not None
    assert guessed.basis == "estimate"
    assert guessed.bias_difference is not None
    assert (guessed.bias_difference.value or 0) > 0.3


def test_a_few_incoherent_outputs_prove_nothing() -> None:
    """Right on all 3 incoherent outputs and on 8 of 10 others: by chance in one case of two (.8^3 = .512)."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 300).astype(np.int16)
    codes = np.where(rng.random((300, 4)) < 0.8, truth[:, None], 1 - truth[:, None]).astype(np.int16)
    codes[:3] = truth[:3, None]
    for positive in (True, False):
        for clusters in (None, np.arange(300) // 2):
            panel = panel_of(codes, gold=truth, positive=positive, clusters=clusters)
            part = trusted(panel, incoherent=np.arange(300) < 3).judges[0].incoherent
            assert part is not None
            assert part.performance_incoherent.value == 1
            gap = part.performance_difference
            assert gap.ci_low is not None
            assert gap.ci_low < 0 < (gap.value or 0) <= (gap.ci_high or 0)
            assert part.bias_difference is None or (part.bias_difference.ci_low or 0) < 0


def test_one_share_that_does_not_vary_does_not_narrow_youdens_j() -> None:
    """Of 21 incoherent outputs 17 are l1, of which 16 are found; of the 4 others all are called l1: J = 16 / 17 - 1.
    Specificity 0 of 4 has Wilson's interval up to .490, sensitivity that of 16 of 17, [.730, .990]: square and add."""
    truth = np.array([1] * 17 + [0] * 4 + [0, 1] * 100, np.int16)
    codes = np.stack([truth] * 3, axis=1)
    codes[:, 0] = np.where(np.arange(221) < 21, 1, truth)
    codes[0, 0] = 0
    codes[21::8, 0] = 1 - truth[21::8]
    part = trusted(panel_of(codes, gold=truth), incoherent=np.arange(221) < 21).judges[0].incoherent
    assert part is not None
    assert part.basis == "reference"  # all of them have a label, though fewer than 30
    found, p = part.performance_incoherent, 16 / 17
    assert found.value == pytest.approx(p - 1)
    low, high = wilson([p, 0.0], [17, 4])
    assert found.ci_low == pytest.approx(p - 1 - (p - low[0]))
    assert found.ci_high == pytest.approx(p - 1 + np.hypot(high[0] - p, high[1]))


def test_without_incoherent_outputs_there_is_no_such_part() -> None:
    codes, _, _, _ = simulated(2, 100, 3)
    found = trusted(panel_of(codes), incoherent=np.zeros(100, bool))
    assert found.n_incoherent == 0
    assert found.judges[0].incoherent is None
    assert trusted(panel_of(codes)).n_incoherent is None


def test_labels_without_a_positive_one_have_balanced_accuracy() -> None:
    """Three labels: recalls 1, 1/2 and 0 have the mean 1/2; the accuracy is 7 / 10."""
    gold = [0] * 6 + [1] * 2 + [2] * 2
    codes = np.array([gold, [0] * 6 + [1, 0] + [0, 0]]).T
    found = trusted(panel_of(codes, 3, gold=gold))
    second = found.judges[1]
    assert second.reference is not None
    assert second.reference.accuracy.value == pytest.approx(0.7)
    assert second.reference.balanced_accuracy is not None
    assert second.reference.balanced_accuracy.value == pytest.approx(0.5)
    assert second.estimated.youden_j.undefined == "no positive label"


def test_labels_that_nothing_has_do_not_lower_balanced_accuracy() -> None:
    """Labels that one of four judges gave once are the likeliest of no output; the two others are equally frequent,
    so that their mean recall is about the accuracy."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 4_000)
    codes = np.where(rng.random((4_000, 4)) < 0.9, truth[:, None], 1 - truth[:, None]).astype(np.int16)
    codes[:5, 3] = np.arange(2, 7)
    found = trusted(panel_of(codes, 7, positive=False)).judges[0].estimated
    assert found.balanced_accuracy is not None
    assert (found.balanced_accuracy.value or 0) > (found.accuracy.value or 1) - 0.02


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.permutations(range(4)))
def test_the_order_of_judges_and_items_changes_no_estimate(seed: int, order: list[int]) -> None:
    codes, truth, _, _ = simulated(seed, 120, 4)
    rows = np.random.default_rng(seed).permutation(120)
    before = trusted(panel_of(codes, gold=truth), replicates=20)
    after = trusted(panel_of(codes[rows][:, order], gold=truth[rows]), replicates=20)
    for new, old in enumerate(order):
        a, b = before.judges[old], after.judges[new]
        assert b.estimated.youden_j.value == pytest.approx(a.estimated.youden_j.value, abs=1e-6)
        assert b.bias[0].reference is not None
        assert a.bias[0].reference is not None
        assert b.bias[0].reference.value == pytest.approx(a.bias[0].reference.value)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(0, 1000))
def test_swapping_the_labels_swaps_sensitivity_and_specificity(seed: int) -> None:
    codes, truth, _, _ = simulated(seed, 150, 4)
    before = trusted(panel_of(codes, gold=truth), replicates=20)
    after = trusted(panel_of(1 - codes, gold=1 - truth), replicates=20)
    for a, b in zip(before.judges, after.judges, strict=True):
        assert b.estimated.sensitivity.value == pytest.approx(a.estimated.specificity.value, abs=1e-4)
        assert b.estimated.youden_j.value == pytest.approx(a.estimated.youden_j.value, abs=1e-4)
        assert b.bias[0].estimated.value == pytest.approx(a.bias[1].estimated.value, abs=1e-4)
        assert b.bias[1].reference is not None
        assert a.bias[1].reference is not None
        assert b.bias[1].reference.value == pytest.approx(-(a.bias[1].reference.value or 0))


def sane(found: Trust) -> None:
    """Values lie in their ranges and in their intervals; what has no value has words."""
    found.model_validate_json(found.model_dump_json())
    for judge in found.judges:
        sides = [side for side in (judge.estimated, judge.reference) if side is not None]
        estimates = [e for side in sides for e in (side.sensitivity, side.specificity, side.youden_j, side.accuracy)]
        estimates += [e for b in judge.bias for e in (b.estimated, b.reference) if e is not None]
        for e in estimates:
            assert (e.value is None) == bool(e.undefined)
            if e.value is not None:
                assert -1 - 1e-9 <= e.value <= 1 + 1e-9
            if e.value is not None and e.ci_low is not None and e.ci_high is not None:
                assert e.ci_low - 1e-9 <= e.value <= e.ci_high + 1e-9


def hostile() -> dict[str, tuple[Any, int]]:
    rng = np.random.default_rng(0)
    silent = rng.integers(0, 2, (40, 3))
    silent[:, 1] = -1
    return {
        "one judge": (rng.integers(0, 2, (40, 1)), 2),
        "one item": ([[0, 1, 1]], 2),
        "one label": (np.zeros((40, 3), int), 1),
        "one label of two": (np.zeros((40, 3), int), 2),
        "a judge with no verdict": (silent, 2),
        "no verdict at all": (np.full((5, 3), -1), 2),
        "all identical": (np.repeat(rng.integers(0, 2, (100, 1)), 4, axis=1), 2),
        "all random": (rng.integers(0, 3, (200, 5)), 3),
        "fifty labels": (rng.integers(0, 50, (200, 4)), 50),
        "99.99 % prevalence": ((rng.random((10_000, 4)) < 0.0001).astype(int), 2),
        "no shared items": (np.where(np.eye(6, dtype=bool)[np.arange(60) % 6], 1, -1), 2),
    }


@pytest.mark.parametrize("name", hostile())
@pytest.mark.parametrize("referenced", [False, True])
def test_hostile_panels_give_words(name: str, referenced: bool) -> None:
    codes, k = hostile()[name]
    codes = np.asarray(codes)
    gold = np.maximum(codes[:, 0], -1) if referenced else None
    marked = np.arange(len(codes)) % 3 == 0
    for incoherent in (None, marked):
        sane(trusted(panel_of(codes, k, gold=gold), incoherent=incoherent, replicates=50))


def test_a_thousand_judges() -> None:
    """Above 200 judges there is no matrix, above 50 no pair against the reference."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 100).astype(np.int16)
    codes = np.where(rng.random((100, 1000)) < 0.8, truth[:, None], 1 - truth[:, None])
    codes[rng.random(codes.shape) < 0.95] = -1
    found = trusted(panel_of(codes, gold=truth), replicates=50)
    sane(found)
    assert found.error_correlation.estimated is None
    assert found.error_correlation.reference == ()


def test_a_judge_with_few_verdicts_keeps_its_interval_where_items_are_sampled() -> None:
    """More patterns than the draws run on; one judge has 20 verdicts of 9,000."""
    codes, _, _, _ = simulated(4, 9000, 10)
    rng = np.random.default_rng(0)
    codes[rng.random(codes.shape) < 0.3] = -1
    codes[20:, 0] = -1
    assert np.unique(codes, axis=0).shape[0] > 5000
    lone = trusted(panel_of(codes), replicates=200).judges[0].estimated.accuracy
    assert 10 < lone.n <= 20
    assert lone.value is not None
    assert half_width(lone) > 1.5 * math.sqrt(lone.value * (1 - lone.value) / lone.n)


def test_scores_alone_have_no_such_figures_and_another_panels_truth_is_refused() -> None:
    codes, _, _, _ = simulated(0, 30, 3)
    panel = panel_of(codes)
    truth = estimate_truth(panel.codes, 2)
    scores = np.asfortranarray(codes.astype(float))
    alone = Panel(panel.question, panel.judges, panel.codes, panel.statuses, panel.items, scores=scores)
    assert trust(alone, truth) is None
    with pytest.raises(InputError, match="expected"):
        trust(panel_of(codes[:20]), truth)


def test_same_seed_same_record() -> None:
    codes, truth, _, _ = simulated(6, 100, 4)
    panel = panel_of(codes, gold=truth)
    assert trusted(panel, seed=3) == trusted(panel, seed=3)
