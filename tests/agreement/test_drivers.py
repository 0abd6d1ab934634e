"""Drivers of disagreement: odds ratios by hand, known ones recovered, statsmodels' logit, separation, clusters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from scipy import stats

from interjudge.agreement import drivers as module
from interjudge.agreement.drivers import drivers
from interjudge.agreement.measure import Sampling
from interjudge.agreement.panel import Panel
from interjudge.agreement.question import Question
from interjudge.agreement.results_drivers import Drivers, DriverTerm
from interjudge.agreement.rows import PanelJudge
from interjudge.errors import InputError


def panel_of(disputed: np.ndarray, n_judges: int = 2, clusters: np.ndarray | None = None) -> Panel:
    """The last judge says the other label where items are to be disputed."""
    codes = np.zeros((len(disputed), n_judges), np.int16, order="F")
    codes[disputed.astype(bool), -1] = 1
    return Panel(
        question=Question("harm", ("safe", "unsafe"), "unsafe"),
        judges=tuple(PanelJudge(f"j{j}", "rubric", "harm") for j in range(n_judges)),
        codes=codes,
        statuses=np.zeros(codes.shape, np.uint8, order="F"),
        items=pl.DataFrame({"item_id": [str(i) for i in range(len(codes))]}, schema={"item_id": pl.String}),
        clusters=clusters,
        unit="item" if clusters is None else "prompt",
    )


def found(disputed: np.ndarray, features: dict[str, Any], **options: Any) -> Drivers:
    answer = drivers(panel_of(disputed, clusters=options.pop("panel_clusters", None)), features, **options)
    assert answer is not None
    return answer


def term(answer: Drivers, feature: str, level: str | None = None) -> DriverTerm:
    return next(t for t in answer.terms if (t.feature, t.level) == (feature, level))


def counts(*groups: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(disputed, others) per group -> y, and the group of each item."""
    y = np.concatenate([np.repeat([1, 0], pair) for pair in groups])
    return y, np.repeat(np.arange(len(groups)), [sum(pair) for pair in groups])


def test_one_flag_gives_the_odds_ratio_of_its_table() -> None:
    """30 of 100 incoherent outputs in dispute, 20 of 200 others: (30 / 70) / (20 / 180) = 3.857; the variance of its
    logarithm is Woolf's 1/30 + 1/70 + 1/20 + 1/180 = .10317 (the sandwich's too in a saturated model)."""
    y, group = counts((20, 180), (30, 70))
    answer = found(y, {"incoherent": group == 1})
    yes = term(answer, "incoherent", "yes")
    assert yes.odds_ratio.value == pytest.approx(30 / 70 / (20 / 180))
    half = stats.t.ppf(0.975, 298) * np.sqrt(1 / 30 + 1 / 70 + 1 / 20 + 1 / 180)
    assert np.log((yes.odds_ratio.ci_high or 0) / (yes.odds_ratio.value or 1)) == pytest.approx(half)
    assert (yes.against, yes.n, yes.disputed.value if yes.disputed else None) == ("no", 100, pytest.approx(0.3))
    assert term(answer, "incoherent", "no").reference
    assert (answer.n, answer.n_units, answer.n_disputed, answer.unit) == (300, 300, 50, "item")


def test_a_text_is_compared_with_its_most_frequent_value() -> None:
    y, group = counts((20, 180), (30, 70), (15, 45))
    answer = found(y, {"model": np.array(["base", "tuned", "other"])[group]})
    assert term(answer, "model", "base").reference
    assert term(answer, "model", "tuned").odds_ratio.value == pytest.approx(30 / 70 / (20 / 180))
    assert term(answer, "model", "other").odds_ratio.value == pytest.approx(15 / 45 / (20 / 180))
    assert term(answer, "model", "other").against == "base"


def simulated(n: int, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Disputes with the odds ratios 1.5 for each doubling of length, 3 for incoherence, 2 for one model."""
    rng = np.random.default_rng(seed)
    features = {
        "length": np.exp(rng.normal(6, 1, n)).astype(int) + 1,
        "incoherent": rng.random(n) < 0.2,
        "model": np.array(["base", "tuned"])[(rng.random(n) < 0.4).astype(int)],
    }
    eta = -2 + np.log(1.5) * np.log2(features["length"] / 400) + np.log(3) * features["incoherent"]
    eta += np.log(2) * (features["model"] == "tuned")
    return rng.random(n) < 1 / (1 + np.exp(-eta)), features


KNOWN = {("length", None): 1.5, ("incoherent", "yes"): 3.0, ("model", "tuned"): 2.0}


def test_known_odds_ratios_are_recovered() -> None:
    """Within the intervals at 99.9 %, and Holm's p values say that none of them is chance."""
    answer = found(*simulated(8_000, 1), sampling=Sampling(confidence=0.999))
    for (feature, level), ratio in KNOWN.items():
        t = term(answer, feature, level)
        assert (t.odds_ratio.ci_low or 9) < ratio < (t.odds_ratio.ci_high or 0)
        assert (t.p_holm or 1) < 1e-6


def test_equals_statsmodels_logit_with_its_sandwich() -> None:
    """Without clusters: maximum likelihood and White's (HC0) standard errors."""
    y, features = simulated(1_500, 2)
    x = np.column_stack(
        [np.ones(1_500), np.log2(features["length"]), features["incoherent"], features["model"] == "tuned"]
    ).astype(float)
    theirs = sm.Logit(y.astype(float), x).fit(disp=0, cov_type="HC0")
    answer = found(y, features)
    for (feature, level), beta, error in zip(KNOWN, theirs.params[1:], theirs.bse[1:], strict=True):
        t = term(answer, feature, level).odds_ratio
        assert t.value == pytest.approx(np.exp(beta), rel=1e-5)
        assert np.log((t.ci_high or 0) / (t.value or 1)) == pytest.approx(stats.t.ppf(0.975, 1496) * error, rel=1e-3)


def test_equals_a_logit_with_clustered_errors() -> None:
    """statsmodels' logit with cluster-robust errors, less its factor for small samples; from 200 units on."""
    y, features = simulated(1_500, 3)
    units = np.random.default_rng(0).integers(0, 300, 1_500)
    x = np.column_stack(
        [np.ones(1_500), np.log2(features["length"]), features["incoherent"], features["model"] == "tuned"]
    ).astype(float)
    theirs = sm.Logit(y.astype(float), x).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": units, "use_correction": False}
    )
    n_units = len(np.unique(units))
    answer = found(y, features, clusters=units)
    assert (answer.n_units, answer.unit) == (n_units, "prompt")
    for (feature, level), error in zip(KNOWN, theirs.bse[1:], strict=True):
        t = term(answer, feature, level).odds_ratio
        expected = stats.t.ppf(0.975, n_units - 4) * error
        assert np.log((t.ci_high or 0) / (t.value or 1)) == pytest.approx(expected, rel=1e-3)


def test_copies_in_clusters_are_no_new_information() -> None:
    y, features = simulated(400, 4)
    once = found(y, features)
    copied = found(
        np.repeat(y, 5), {k: np.repeat(v, 5) for k, v in features.items()}, clusters=np.repeat(np.arange(400), 5)
    )
    alone = found(np.repeat(y, 5), {k: np.repeat(v, 5) for k, v in features.items()})
    for feature, level in KNOWN:
        a, b, c = (term(answer, feature, level).odds_ratio for answer in (once, copied, alone))
        assert b.value == pytest.approx(a.value, rel=1e-4)
        assert b.ci_high == pytest.approx(a.ci_high, rel=1e-3)
        assert (c.ci_high or 0) < (b.ci_high or 0)


def test_intervals_cover_with_few_clusters() -> None:
    """60 prompts with an effect of their own; the marginal odds ratio of the flag is 1 by construction."""
    hit = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        units = np.repeat(np.arange(60), 8)
        flag = (rng.random(60) < 0.4)[units]
        y = rng.random(480) < (1 / (1 + np.exp(1 - rng.normal(size=60))))[units]
        t = term(found(y, {"incoherent": flag}, clusters=units), "incoherent", "yes").odds_ratio
        hit += (t.ci_low or 9) < 1 < (t.ci_high or 0)
    assert hit / 60 > 0.87  # 95 % of 60 is 57; binomial 99.9 % bound 52


def test_the_panels_own_clusters_are_taken_and_others_win() -> None:
    y, features = simulated(600, 5)
    own, other = np.arange(600) // 2, np.array([f"p{i // 3}" for i in range(600)])
    assert found(y, features, panel_clusters=own).n_units == 300
    assert found(y, features, panel_clusters=own, clusters=other).n_units == 200
    missing = pl.Series([None if i < 100 else f"p{i // 3}" for i in range(600)])
    assert found(y, features, clusters=missing).n_units == 100 + 167  # an item without a prompt is a unit of its own


def test_a_level_that_separates_is_said_in_words_and_the_rest_is_as_without_it() -> None:
    y, group = counts((20, 180), (30, 70), (0, 40), (25, 0))
    answer = found(y, {"category": np.array(["a", "b", "never", "always"])[group]})
    assert term(answer, "category", "never").odds_ratio.undefined == "none of these items is in dispute"
    assert term(answer, "category", "always").odds_ratio.undefined == "every one of these items is in dispute"
    assert term(answer, "category", "b").odds_ratio.value == pytest.approx(30 / 70 / (20 / 180))
    assert answer.n == 300
    never = term(answer, "category", "never").disputed
    assert never is not None
    assert (never.value, never.n) == (0.0, 40)


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        (((0, 100), (30, 30)), "every item in dispute has it"),
        (((0, 100), (40, 0)), "every item in dispute has it"),
        (((30, 70), (3, 5)), "too few items or sampling units in its values"),
        (((30, 70),), "the same for every item"),
    ],
)
def test_flags_that_cannot_be_fitted_are_left_out_with_a_reason(groups: tuple[tuple[int, int], ...], why: str) -> None:
    y, group = counts(*groups)
    answer = found(y, {"incoherent": group == 1, "length": np.arange(len(y)) % 7 + 1})
    assert answer.left_out == {"incoherent": why}
    assert term(answer, "length").odds_ratio.value is not None


def test_a_flag_that_is_always_disputed_has_words_and_a_share() -> None:
    y, group = counts((40, 160), (30, 0))
    answer = found(y, {"incoherent": group == 1, "length": np.arange(len(y)) % 7 + 1})
    yes = term(answer, "incoherent", "yes")
    assert yes.odds_ratio.undefined == "every one of these items is in dispute"
    assert yes.disputed is not None
    assert yes.disputed.value == 1.0


def test_a_number_that_separates_is_left_out_in_words() -> None:
    y, _ = counts((40, 60))
    length = np.where(y == 1, 2_000, 10) + np.arange(100) % 5
    answer = found(y, {"length": length})
    assert answer.left_out == {
        "length": "with the other features it separates disputed items from the others perfectly"
    }
    assert answer.undefined == "no feature is left to fit"


def test_rare_levels_are_taken_together() -> None:
    rng = np.random.default_rng(0)
    y = rng.random(600) < 0.3
    category = np.array(["a", "b"])[rng.integers(0, 2, 600)].astype(object)
    category[:36] = [f"rare{i // 6}" for i in range(36)]
    answer = found(y, {"category": category})
    assert {t.level for t in answer.terms} == {"a", "b", "(other)"}
    assert term(answer, "category", "(other)").n == 36
    assert any("6 values" in note and "taken together" in note for note in answer.notes)


def test_a_level_of_very_few_units_is_rare_however_many_items_it_has() -> None:
    """Its sandwich variance would be made of next to nothing."""
    rng = np.random.default_rng(0)
    units = np.arange(400) // 10
    answer = found(
        rng.random(400) < 0.3, {"category": np.where(units < 2, "x", np.where(units % 2, "y", "z"))}, clusters=units
    )
    assert {t.level for t in answer.terms} == {"y", "z", "(other)"}
    assert term(answer, "category", "(other)").odds_ratio.undefined == "too few items or sampling units in its values"


def test_a_feature_that_repeats_another_is_left_out() -> None:
    y, features = simulated(500, 6)
    answer = found(y, {"model": features["model"], "category": features["model"]})
    assert answer.left_out == {"category": "says nothing that the features before it do not say"}
    assert term(answer, "model", "tuned").odds_ratio.value is not None


def test_more_verdicts_are_held_fixed_where_items_differ_in_them() -> None:
    """Items with four verdicts are disputed more often whatever the model; the model with more of them is not."""
    rng = np.random.default_rng(0)
    n = 4_000
    many = rng.random(n) < 0.5
    model = np.where(many ^ (rng.random(n) < 0.1), "asked often", "asked seldom")
    codes = (rng.random((n, 6)) < 0.15).astype(np.int16)
    codes[~many, 2:] = -1
    panel = replace(panel_of(np.zeros(n), 6), codes=np.asfortranarray(codes))
    answer = drivers(panel, {"model": model})
    assert answer is not None
    ratio = next(t for t in answer.terms if t.feature == "model" and not t.reference)
    assert (ratio.odds_ratio.ci_low or 9) < 1 < (ratio.odds_ratio.ci_high or 0)
    assert (term(answer, "verdicts").odds_ratio.ci_low or 0) > 1.3


def test_missing_values_are_counted_and_mostly_missing_features_left_out() -> None:
    y, features = simulated(800, 7)
    length = pl.Series([None if i % 10 == 0 else int(v) for i, v in enumerate(features["length"])])
    half = pl.Series([True if i % 3 == 0 else None for i in range(800)], dtype=pl.Boolean)
    model = pl.Series([None if i % 4 == 0 else "m" for i in range(800)])
    answer = found(y, {"length": length, "incoherent": half, "model": model})
    assert (answer.n, answer.n_items) == (720, 800)
    assert answer.left_out == {"incoherent": "unknown for more than half of the items"}
    assert any("80 items lack a value" in note for note in answer.notes)
    assert term(answer, "model", "(none)").n == 200


def test_huge_panels_are_sampled_and_the_ratios_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing disputed and other items apart leaves odds ratios alone (Prentice and Pyke 1979)."""
    y, features = simulated(60_000, 8)
    monkeypatch.setattr(module, "MAX_ROWS", 6_000)
    answer = found(y, features, sampling=Sampling(confidence=0.999))
    assert answer.n == 6_000
    assert answer.notes[0].startswith("fitted on 3,000 disputed items and 3,000 others")
    for (feature, level), ratio in KNOWN.items():
        t = term(answer, feature, level).odds_ratio
        assert (t.ci_low or 9) < ratio < (t.ci_high or 0)
    shares = [t.disputed.n for t in answer.terms if t.feature == "incoherent" and t.disputed]
    assert sum(shares) == 60_000  # shares are those of all items
    assert found(y, features) == found(y, features)  # same seed, same answer


def test_rare_disagreement_keeps_every_disputed_item(monkeypatch: pytest.MonkeyPatch) -> None:
    y, group = counts((30, 9_000), (30, 3_000))
    monkeypatch.setattr(module, "MAX_ROWS", 4_000)
    answer = found(y, {"incoherent": group == 1})
    assert "60 disputed items and 3,940 others" in answer.notes[0]
    assert term(answer, "incoherent", "yes").odds_ratio.value == pytest.approx(3, rel=0.15)


@pytest.mark.parametrize(
    ("disputed", "n_judges", "why"),
    [
        (np.zeros(50), 2, "the panel disagrees on fewer than 10 items"),
        (np.ones(50), 2, "the panel agrees on fewer than 10 items"),
        (np.zeros(50), 1, "one judge"),
        (np.zeros(0), 2, "no item has two verdicts"),
    ],
)
def test_what_cannot_be_fitted_is_said_in_words(disputed: np.ndarray, n_judges: int, why: str) -> None:
    answer = drivers(panel_of(disputed, n_judges), {"length": np.arange(len(disputed))})
    assert answer is not None
    assert (answer.undefined, answer.terms) == (why, ())


def test_scores_no_features_few_units_and_wrong_lengths() -> None:
    y, features = simulated(100, 9)
    panel = panel_of(y)
    assert drivers(panel, {}) is None
    scored = drivers(replace(panel, scores=np.zeros((100, 2))), features)
    assert scored is not None
    assert scored.undefined == "these judges give scores, not labels"
    few = found(y, {"length": features["length"]}, clusters=np.arange(100) % 2)
    assert few.undefined == "too few sampling units for so many features"
    with pytest.raises(InputError, match="'length' does not match the items"):
        drivers(panel, {"length": np.arange(99)})
    with pytest.raises(InputError, match="'tags' is no feature"):
        drivers(panel, {"tags": pl.Series([["a"]] * 100)})


@pytest.mark.parametrize("seed", range(25))
def test_no_panel_gives_a_figure_that_runs_off(seed: int) -> None:
    """Random features, some of them made from the answer: every ratio has a finite interval or words."""
    rng = np.random.default_rng(seed)
    n = int(rng.choice([30, 100, 500]))
    y = rng.random(n) < rng.choice([0.1, 0.5, 0.9])
    made = {
        "length": rng.integers(0, 500, n),
        "leak": y & (rng.random(n) < 0.7),
        "copy": np.where(y, "d", "s"),
        "category": np.array([f"c{i}" for i in rng.geometric(0.1, n)]),
        "long": np.where(y, 900, 9) + rng.integers(0, 9, n),
        "unit": np.array([f"u{i}" for i in np.arange(n) // 4]),
    }
    features = {name: made[name] for name in rng.permutation(list(made))[: rng.integers(1, 7)]}
    answer = found(y, features, clusters=None if seed % 2 else np.arange(n) // 4)
    for t in answer.terms:
        assert (t.odds_ratio.value is None) == (t.odds_ratio.undefined is not None)
        if t.odds_ratio.ci_low is not None:
            assert np.log((t.odds_ratio.ci_high or 0) / t.odds_ratio.ci_low) < 25
        assert t.odds_ratio.undefined != ""
