"""The sign of fine-tuning under each judge and on each benchmark."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from interjudge.agreement.fine_tunes import MAX_BENCHMARKS, fine_tunes
from interjudge.agreement.results_models import FineTunes

MODELS = ("base", "one", "two")
BASES = {"one": "base", "two": "base"}
N = 100


def panel(hits: dict[str, dict[tuple[str, str], int]]) -> tuple[np.ndarray, np.ndarray, pl.Series, list[str]]:
    """`hits`: judge -> (benchmark, model) -> positives of 100 outputs."""
    cells = list(next(iter(hits.values())))
    codes = np.stack(
        [np.concatenate([np.arange(N) < judge[cell] for cell in cells]) for judge in hits.values()], axis=1
    ).astype(np.int16)
    group = np.repeat([MODELS.index(model) for _, model in cells], N)
    return codes, group, pl.Series("benchmark", np.repeat([name for name, _ in cells], N)), list(hits)


def measured(hits: dict[str, dict[tuple[str, str], int]], **options) -> FineTunes:
    codes, group, benchmark, judges = panel(hits)
    found = fine_tunes(codes, 1, MODELS, group, None, BASES, judges, benchmark=benchmark, **options)
    assert found is not None
    return found


# judge x: "one" goes up on p and down on q, both clearly, and 30 to 30 over all; "two" goes up everywhere
X = {("p", "base"): 30, ("p", "one"): 60, ("p", "two"): 60, ("q", "base"): 30, ("q", "one"): 5, ("q", "two"): 60}
# judge y: "one" goes down clearly everywhere, "two" goes up on p by a hair and down on q by a hair
Y = {("p", "base"): 50, ("p", "one"): 20, ("p", "two"): 51, ("q", "base"): 50, ("q", "one"): 20, ("q", "two"): 48}


def test_changes_are_differences_from_the_base_over_all_and_on_each_benchmark():
    found = measured({"x": X, "y": Y})
    of = {(c.model, c.benchmark): c for c in found.changes}
    assert set(of) == {(m, b) for m in ("one", "two") for b in (None, "p", "q")}
    assert of["one", "p"].change["x"].value == pytest.approx(0.3)
    assert of["one", "q"].change["x"].value == pytest.approx(-0.25)
    assert of["one", None].change["x"].value == pytest.approx(65 / 200 - 60 / 200)
    low, high = confint_proportions_2indep(60, 100, 30, 100, method="newcomb", compare="diff")
    change = of["one", "p"].change["x"]
    assert (change.ci_low, change.ci_high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
    assert (of["one", "p"].n_up, of["one", "p"].n_down) == (1, 1)
    assert (of["one", "p"].n_clear_up, of["one", "p"].n_clear_down) == (1, 1)


def test_the_shares_of_mixed_signs_count_judges_and_benchmarks():
    found = measured({"x": X, "y": Y})
    # over all outputs: "one" +2.5 under x, -30 under y; "two" +30 under x, -0.5 under y; neither clear both ways
    assert (found.mixed.value, found.mixed.n) == (1.0, 2)
    assert found.clearly_mixed.value == 0.0
    low, high = proportion_confint(2, 2, method="wilson")
    assert (found.mixed.ci_low, found.mixed.ci_high) == (pytest.approx(low), pytest.approx(high))
    x, y = found.judges
    assert (x.n_up, x.n_down, x.n_clear_up, x.n_clear_down) == (2, 0, 1, 0)
    assert (y.n_up, y.n_down, y.n_clear_up, y.n_clear_down) == (0, 2, 0, 1)
    assert (x.mixed.value, x.clearly_mixed.value) == (0.5, 0.5)
    assert (y.mixed.value, y.clearly_mixed.value) == (0.5, 0.0)


def test_without_benchmarks_only_judges_are_compared():
    codes, group, _, judges = panel({"x": X, "y": Y})
    found = fine_tunes(codes, 1, MODELS, group, None, BASES, judges)
    assert found is not None
    assert {c.benchmark for c in found.changes} == {None}
    assert found.judges[0].mixed.undefined == "no fine-tune stands beside its base on two benchmarks"


def test_one_judge_cannot_contradict_itself():
    found = measured({"x": X})
    assert found.mixed.undefined == "fewer than two judges know a fine-tune and its base"


def test_no_change_at_all_contradicts_nothing():
    flat = dict.fromkeys(X, 30)
    found = measured({"x": X, "flat": flat})
    assert found.mixed.value == 0.0
    assert found.changes[0].change["flat"].value == 0.0


def test_no_fine_tune_beside_its_base_is_nothing():
    codes, group, _, judges = panel({"x": X})
    assert fine_tunes(codes, 1, MODELS, group, None, {}, judges) is None
    assert fine_tunes(codes, 1, MODELS, group, None, {"one": "absent"}, judges) is None


def test_of_very_many_benchmarks_the_most_frequent_are_looked_at():
    rng = np.random.default_rng(0)
    n = 4000
    benchmark = pl.Series("benchmark", [f"b{i % 100:03d}" if i < 3000 else f"b{i % 50:03d}" for i in range(n)])
    codes = rng.integers(0, 2, (n, 2)).astype(np.int16)
    found = fine_tunes(codes, 1, MODELS, rng.integers(0, 3, n), None, BASES, ["x", "y"], benchmark=benchmark)
    assert found is not None
    assert {c.benchmark for c in found.changes} == {None, *(f"b{i:03d}" for i in range(MAX_BENCHMARKS))}


def test_shared_prompts_pair_the_change():
    codes, group, benchmark, judges = panel({"x": X})
    apart = fine_tunes(codes, 1, MODELS, group, None, BASES, judges, benchmark=benchmark)
    unit = np.tile(np.arange(N), 6) + 1000 * (benchmark == "q").to_numpy()
    together = fine_tunes(codes, 1, MODELS, group, unit, BASES, judges, benchmark=benchmark)
    for a, b in zip(apart.changes, together.changes, strict=True):
        one, two = a.change["x"], b.change["x"]
        assert one.value == pytest.approx(two.value)
        if a.benchmark is not None:  # the first outputs are the positives in every model: they go together
            assert two.ci_high - two.ci_low < one.ci_high - one.ci_low
