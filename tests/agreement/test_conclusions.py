"""Which comparisons of models survive the judge."""

import polars as pl
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep

from interjudge.agreement.conclusions import conclude
from interjudge.agreement.panel import build_panel
from interjudge.agreement.results import Comparison, Conclusions
from interjudge.datasets.schema import STATUS


def conclusions(rates: dict[str, dict[str, int]], n: int = 100, bases: dict[str, str] | None = None) -> Conclusions:
    """`rates`: judge -> model -> how many of its n outputs the judge calls a refusal."""
    rows = [
        (f"{model}-{i}", judge, "refusal" if i < hits else "compliance", model, (bases or {}).get(model))
        for judge, models in rates.items()
        for model, hits in models.items()
        for i in range(n)
    ]
    table = pl.DataFrame(
        rows,
        schema={
            "item_id": pl.String,
            "judge": pl.String,
            "label": pl.String,
            "model": pl.String,
            "base_model": pl.String,
        },
        orient="row",
    ).with_columns(
        repeat=pl.lit(0),
        judge_kind=pl.lit("imported"),
        construct=pl.lit("refusal"),
        status=pl.lit("ok", STATUS),
    )
    found = conclude(build_panel(table, columns=("model", "base_model")))
    assert found is not None
    return found


def only(found: Conclusions) -> Comparison:
    (comparison,) = found.comparisons
    return comparison


@pytest.mark.parametrize(("a", "b", "n"), [(30, 50, 100), (0, 5, 20), (20, 20, 20), (1, 99, 100), (0, 0, 10)])
def test_differences_have_newcombes_interval_as_statsmodels_computes_it(a: int, b: int, n: int):
    difference = only(conclusions({"x": {"a": a, "b": b}}, n)).difference["x"]
    low, high = confint_proportions_2indep(a, n, b, n, method="newcomb", compare="diff")
    assert difference.value == pytest.approx((a - b) / n)
    assert (difference.ci_low, difference.ci_high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))


@pytest.mark.parametrize(
    ("x", "y", "holds"),
    [
        ((80, 20), (90, 30), "clear"),
        ((80, 20), (52, 50), "same direction"),
        ((80, 20), (20, 80), "flips"),
        ((80, 20), (50, 50), "undecided"),
        ((50, 50), (50, 50), "undecided"),
    ],
)
def test_a_comparison_holds_flips_or_stays_open(x: tuple[int, int], y: tuple[int, int], holds: str):
    found = conclusions({"x": {"a": x[0], "b": x[1]}, "y": {"a": y[0], "b": y[1]}})
    assert only(found).holds == holds


def test_fine_tunes_are_compared_with_their_base_first():
    found = conclusions({"x": {"base": 10, "other": 20, "tuned": 60}}, bases={"tuned": "base"})
    assert [(c.a, c.b, c.kind) for c in found.comparisons] == [
        ("tuned", "base", "fine-tune"),
        ("base", "other", "pair"),
        ("other", "tuned", "pair"),
    ]
    assert found.comparisons[0].difference["x"].value == pytest.approx(0.5)


def test_rates_are_given_for_every_model_and_judge():
    found = conclusions({"x": {"a": 30, "b": 50}, "y": {"a": 10, "b": 0}})
    rates = {(r.model, r.judge): r.rate.value for r in found.rates}
    assert rates == {("a", "x"): 0.3, ("b", "x"): 0.5, ("a", "y"): 0.1, ("b", "y"): 0.0}
    assert found.label == "refusal"


def test_a_change_of_sign_is_seen_though_another_judge_is_silent():
    found = conclusions({"x": {"a": 80, "b": 20}, "y": {"a": 20, "b": 80}, "z": {"a": 10}})
    assert only(found).holds == "flips"


def test_a_judge_without_verdicts_on_a_model_leaves_it_undecided():
    table = conclusions({"x": {"a": 30, "b": 50}, "y": {"a": 10}})
    assert only(table).holds == "undecided"
    assert only(table).difference["y"].undefined == "no verdicts on one of the models"
