"""Numbers of reference labels against tables, other libraries and simulation; the sample of outputs to label next."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.agreement.intervals import wilson
from interjudge.agreement.label_plan import (
    NEXT_COLUMNS,
    Believed,
    helped_size,
    judge_labels,
    mcnemar_size,
    next_items,
    planned_label,
    rate_labels,
    tell_apart,
    wilson_size,
)
from interjudge.agreement.latent import estimate_truth
from interjudge.agreement.panel import Panel, build_panel
from interjudge.agreement.sampling import Sampling
from interjudge.errors import InputError


def panel_of(codes: Any, gold: Any = None, names: str = "xy") -> Panel:
    codes = np.asarray(codes)
    rows = [
        {"item_id": f"i{i:05d}", "judge": f"j{j}", "label": names[c], "status": "ok"}
        for (i, j), c in np.ndenumerate(codes)
        if c >= 0
    ]
    table = pl.DataFrame(rows).with_columns(
        pl.lit("imported").alias("judge_kind"),
        pl.lit("c").alias("construct"),
        pl.col("status").cast(pl.Enum(_statuses())),
    )
    reference = None
    if gold is not None:
        known = [(f"i{i:05d}", names[g]) for i, g in enumerate(gold) if g >= 0]
        reference = pl.DataFrame(known, schema=["item_id", "gold"], orient="row")
    return build_panel(table, reference=reference)


def _statuses() -> tuple[str, ...]:
    from interjudge.datasets.schema import STATUSES

    return STATUSES


def simulated(seed: int = 0, n: int = 600, accuracy: tuple[float, ...] = (0.9, 0.8, 0.7)) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    right = rng.random((n, len(accuracy))) < accuracy
    return np.where(right, truth[:, None], 1 - truth[:, None]), truth


def test_wilson_at_one_half_has_a_closed_form() -> None:
    """At p = 1/2 the width is z / sqrt(n + z^2): n = z^2 / w^2 - z^2. For w = .1 and 95 %, 384.15 - 3.84 = 380.3;
    for w = .2, 96.04 - 3.84 = 92.2."""
    assert wilson_size(0.5, 0.1) == 381
    assert wilson_size(0.5, 0.2) == 93


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(0, 1), st.floats(0.01, 0.9), st.floats(0.5, 0.999))
def test_wilson_size_is_the_smallest(rate: float, width: float, confidence: float) -> None:
    n = wilson_size(rate, width, confidence)

    def wide(m: int) -> float:
        low, high = wilson(rate, m, confidence)
        return float(high - low)

    assert wide(n) <= width * (1 + 1e-9)
    # at rates of 0 and 1 the interval is cut at the rate itself, so it is narrower than planned
    assert n == 1 or rate in (0, 1) or wide(n - 1) > width * (1 - 1e-9) or wilson(rate, n - 1)[0] == 0


def test_wilson_size_is_that_of_statsmodels() -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for rate, width in ((0.2, 0.1), (0.5, 0.05), (0.85, 0.08)):
        n = wilson_size(rate, width)
        spans = [np.subtract(*proportion.proportion_confint(rate * m, m, method="wilson")[::-1]) for m in (n - 1, n)]
        assert spans[0] > width >= spans[1]


def test_help_without_and_with_perfect_correlation() -> None:
    assert helped_size(381, 0.0, 10_000) == 381
    assert helped_size(381, 1.0, 10_000) == 30  # never fewer: the formula is that of large samples
    assert helped_size(381, 0.5, 10**9) == math.ceil(381 * 0.75)
    assert helped_size(381, 0.9, 300) == 381  # there are not as many outputs


def test_help_is_the_variance_of_prediction_powered_inference() -> None:
    """Simulated: the variance of the rate from `helped_size` labels with the judge's help (the best weight known) is
    that of the plain rate from `alone` labels."""
    rng = np.random.default_rng(0)
    total, alone = 4000, 400
    y = rng.random(total) < 0.4
    f = np.where(rng.random(total) < 0.85, y, ~y)
    rho = float(np.corrcoef(y, f)[0, 1])
    n = helped_size(alone, rho, total)
    slope = rho * y.std() / f.std()
    plain, helped = [], []
    for _ in range(4000):
        # the outputs themselves are a sample: draw them anew
        world = rng.integers(0, total, total)
        helped.append(y[world[:n]].mean() + slope * (f[world].mean() - f[world[:n]].mean()))
        plain.append(y[world[:alone]].mean())
    assert np.var(helped) == pytest.approx(np.var(plain), rel=0.1)
    assert n < alone * 0.65


def test_help_against_ppi_python() -> None:
    """ppi_py's interval of the mean on `helped_size` labels is as wide as the plain one on `alone`."""
    ppi_py = pytest.importorskip("ppi_py")
    rng = np.random.default_rng(1)
    total, alone = 20_000, 1000
    y = (rng.random(total) < 0.3).astype(float)
    f = np.where(rng.random(total) < 0.9, y, 1 - y)
    n = helped_size(alone, float(np.corrcoef(y, f)[0, 1]), total)
    low, high = ppi_py.ppi_mean_ci(y[:n], f[:n], f[n:], alpha=0.05)
    plain = 2 * 1.96 * math.sqrt(0.3 * 0.7 / alone)
    assert (high - low).item() == pytest.approx(plain, rel=0.08)


def test_mcnemar_size_of_the_literature() -> None:
    """Connor (1987): shares .2 and .1 of discordant pairs, power .8, two sides 5 %: psi = .3, d = .1;
    (1.95996 sqrt(.3) + .84162 sqrt(.29))^2 / .01 = (1.07352 + .45322)^2 / .01 = 233.1."""
    assert mcnemar_size(0.2, 0.1) == 234
    assert mcnemar_size(0.1, 0.2) == 234
    assert mcnemar_size(0.1, 0.1) is None
    assert mcnemar_size(0.1 + 1e-9, 0.1) is None


def test_mcnemar_size_has_its_power_in_simulation() -> None:
    n = mcnemar_size(0.12, 0.06)
    assert n is not None
    rng = np.random.default_rng(0)
    a, b, _ = rng.multinomial(n, [0.12, 0.06, 0.82], size=20_000).T
    with np.errstate(invalid="ignore", divide="ignore"):
        rejected = np.abs(a - b) / np.sqrt(a + b) > 1.959964
    assert rejected.mean() == pytest.approx(0.8, abs=0.015)


def test_sensitivity_needs_labels_of_that_kind() -> None:
    """Buderer (1996): n = n_positive / prevalence."""
    codes, truth = simulated()
    panel = panel_of(codes, truth)
    believed = Believed.of(panel, None)
    assert believed.source == "reference labels"
    first = judge_labels(panel, believed, 1, 0.1, 0.95)[0]
    assert first.sensitivity == pytest.approx(codes[truth == 1, 0].mean())
    assert first.positives == wilson_size(codes[truth == 1, 0].mean(), 0.1)
    assert first.n_sensitivity == math.ceil(first.positives / truth.mean() - 1e-9)


def test_correlation_with_the_truth_is_the_phi_coefficient() -> None:
    codes, truth = simulated()
    panel = panel_of(codes, truth)
    made = rate_labels(panel, Believed.of(panel, None), 1, 0.1, Sampling(replicates=200))
    for helper, column in zip(made.helped, codes.T, strict=False):
        assert helper.correlation.value == pytest.approx(np.corrcoef(truth, column)[0, 1])
        assert helper.n_low is not None
        assert helper.n_high is not None
        assert helper.n_low <= (helper.n or 0) <= helper.n_high
    assert [h.judge for h in made.helped] == ["j0", "j1", "j2", None]
    assert made.helped[-1].correlation.value == pytest.approx(np.corrcoef(truth, codes.mean(axis=1))[0, 1])


def test_the_estimated_truth_stands_in_for_labels() -> None:
    """Three independent judges of accuracy .9, .8 and .7: what they are worth is seen without a label."""
    codes, truth = simulated(n=3000)
    panel = panel_of(codes)
    believed = Believed.of(panel, estimate_truth(panel.codes, 2))
    assert believed.source == "estimated truth"
    made = rate_labels(panel, believed, 1, 0.1, Sampling())
    for helper, column in zip(made.helped, codes.T, strict=False):
        assert helper.correlation.value == pytest.approx(np.corrcoef(truth, column)[0, 1], abs=0.12)
        assert helper.correlation.ci_low is None
    best = tell_apart(panel, believed, 0.8, 0.95)
    assert best is not None
    assert (best.a, best.b) == ("j0", "j1")


def test_two_best_judges() -> None:
    codes, truth = simulated()
    panel = panel_of(codes, truth)
    got = tell_apart(panel, Believed.of(panel, None), 0.8, 0.95)
    assert got is not None
    right = codes == truth[:, None]
    assert (got.accuracy_a, got.accuracy_b) == pytest.approx(tuple(right[:, :2].mean(axis=0)))
    only = [(right[:, a] & ~right[:, b]).mean() for a, b in ((0, 1), (1, 0))]
    assert got.n == mcnemar_size(*only)
    assert got.n_where_they_differ == math.ceil((got.n or 0) * got.differ - 1e-9)


def test_twins_cannot_be_told_apart() -> None:
    codes = np.repeat(np.random.default_rng(0).integers(0, 2, (60, 1)), 2, axis=1)
    panel = panel_of(codes)
    got = tell_apart(panel, Believed.of(panel, estimate_truth(panel.codes, 2)), 0.8, 0.95)
    assert got is not None
    assert (got.n, got.undefined) == (None, "they gave the same verdicts")


def test_few_reference_labels_leave_the_estimated_truth() -> None:
    codes, truth = simulated()
    few = np.where(np.arange(600) < 20, truth, -1)
    believed = Believed.of(panel_of(codes, few), None)
    assert believed.source == "share of the votes"
    assert believed.posterior[:20].max(axis=1) == pytest.approx(1)


def test_label_nearest_one_half_is_planned_for_without_a_positive_one() -> None:
    codes = np.repeat(np.array([0] * 10 + [1] * 45 + [2] * 45)[:, None], 3, axis=1)
    panel = panel_of(codes, names="abc")
    assert panel.question.positive is None
    assert planned_label(panel, Believed.of(panel, None)) in (1, 2)


def sample(panel: Panel, n: int, seed: int, share: float = 0.25) -> pl.DataFrame:
    return next_items(panel, Believed.of(panel, None), n, random_share=share, seed=seed)[0]


def test_next_items_are_drawn_as_often_as_they_say() -> None:
    """1,000 seeds: each output's share of draws is its inclusion probability, within 4.5 standard errors."""
    codes, _ = simulated(n=60)
    panel = panel_of(codes)
    drawn: dict[str, int] = {}
    said: dict[str, float] = {}
    for seed in range(1000):
        for row in sample(panel, 12, seed).iter_rows(named=True):
            drawn[row["item_id"]] = drawn.get(row["item_id"], 0) + 1
            said[row["item_id"]] = row["inclusion_probability"]
    assert sum(said.values()) == pytest.approx(12)
    for item, p in said.items():
        assert drawn[item] / 1000 == pytest.approx(p, abs=4.5 * math.sqrt(p * (1 - p) / 1000) + 1e-9)


def test_weighted_labels_give_unbiased_rates() -> None:
    """Hajek's estimate over 400 samples: mean at the true rate. The plain mean is not: disputed outputs are unlike
    the others."""
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.2
    hard = rng.random(400) < np.where(truth, 0.6, 0.1)
    codes = np.where(rng.random((400, 3)) < np.where(hard, 0.5, 0.97)[:, None], truth[:, None], ~truth[:, None])
    panel = panel_of(codes.astype(int))
    true = dict(zip(panel.items["item_id"], truth, strict=True))
    weighted, plain = [], []
    for seed in range(400):
        table = sample(panel, 60, seed)
        y = np.array([true[item] for item in table["item_id"]], dtype=float)
        weight = 1 / table["inclusion_probability"].to_numpy()
        weighted.append((weight * y).sum() / weight.sum())
        plain.append(y.mean())
    error = np.std(weighted) / 20
    assert np.mean(weighted) == pytest.approx(truth.mean(), abs=4 * error)
    assert np.mean(plain) > truth.mean() + 0.02


def test_one_of_a_pattern_before_a_second_of_the_same() -> None:
    """Eight patterns of 50 outputs each, equally uncertain in pairs: no pattern has two more than another like it."""
    codes = np.repeat(np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]), 50, axis=0)
    panel = panel_of(codes)
    table = sample(panel, 24, 0, share=0.0)
    place = table["item_id"].str.slice(1).cast(pl.Int64).to_numpy() // 50
    counts = np.bincount(place, minlength=8)
    split = np.delete(counts, [0, 7])
    assert split.max() - split.min() <= 1
    assert split.min() > counts[[0, 7]].max()


def test_disputed_outputs_come_more_often_than_agreed_ones() -> None:
    codes = np.vstack([np.repeat([[0, 0, 0]], 300, axis=0), np.repeat([[0, 0, 1]], 30, axis=0)])
    table = sample(panel_of(codes), 330 // 3, 1)
    by_place = dict(zip(table["item_id"], table["inclusion_probability"], strict=True))
    agreed = {p for item, p in by_place.items() if int(item[1:]) < 300}
    split = {p for item, p in by_place.items() if int(item[1:]) >= 300}
    assert min(split) > 2 * max(agreed)


def test_labelled_outputs_are_not_drawn_again() -> None:
    codes, truth = simulated(n=100)
    gold = np.where(np.arange(100) < 40, truth, -1)
    panel = panel_of(codes, gold)
    table, shown = next_items(panel, Believed.of(panel, None), 200, seed=0)
    assert (table.height, shown.n_unlabelled) == (60, 60)
    assert table["inclusion_probability"].to_list() == pytest.approx([1.0] * 60)
    assert table["item_id"].min() == "i00040"
    assert table["item_id"].n_unique() == 60


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 999), st.integers(1, 50), st.integers(1, 4), st.integers(0, 60), st.floats(0, 1))
def test_any_panel_gives_a_sample(seed: int, n: int, j: int, size: int, share: float) -> None:
    codes = np.random.default_rng(seed).integers(-1, 3, (n, j))
    codes[0, 0] = 0
    panel = panel_of(codes, names="abc")
    table, shown = next_items(panel, Believed.of(panel, None), size, random_share=share, seed=seed)
    assert table.height == min(size, panel.n_items) == shown.n
    assert dict(table.schema) == NEXT_COLUMNS
    assert table["item_id"].n_unique() == table.height
    p = table["inclusion_probability"].to_numpy()
    assert ((p > 0) & (p <= 1)).all()
    assert table.equals(next_items(panel, Believed.of(panel, None), size, random_share=share, seed=seed)[0])


@pytest.mark.parametrize(("n", "share"), [(-1, 0.2), (5, -0.1), (5, 1.1)])
def test_no_such_sample(n: int, share: float) -> None:
    panel = panel_of([[0, 1]])
    with pytest.raises(InputError, match="sample"):
        next_items(panel, Believed.of(panel, None), n, random_share=share)


@pytest.mark.parametrize("width", [0.0, 1.0, -0.1, float("nan")])
def test_a_width_is_between_0_and_1(width: float) -> None:
    with pytest.raises(InputError, match="width"):
        wilson_size(0.5, width)
