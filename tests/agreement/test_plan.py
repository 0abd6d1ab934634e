"""The whole plan: hostile panels, repeats, real panels, determinism."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from interjudge.agreement.label_plan import NEXT_COLUMNS
from interjudge.agreement.latent import estimate_truth
from interjudge.agreement.panel import Panel, build_panel
from interjudge.agreement.plan import Plan, check_power, plan, repeats_of
from interjudge.agreement.question import parse_map
from interjudge.agreement.results_plan import PlanResult
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.reference import read_reference
from interjudge.datasets.schema import STATUSES
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError

FEW = Sampling(replicates=50)


def table_of(codes: Any, *, names: Any = None, repeat: int = 0, model: Any = None) -> pl.DataFrame:
    """The verdict table of an array (N, J); -1 is a verdict that failed, -2 one that was not asked."""
    codes = np.asarray(codes)
    names = names or [str(n) for n in range(60)]
    rows = [
        (f"i{i:05d}", f"j{j}", repeat, names[c] if c >= 0 else None, "ok" if c >= 0 else "error")
        for (i, j), c in np.ndenumerate(codes)
        if c >= -1
    ]
    frame = pl.DataFrame(rows, schema=["item_id", "judge", "repeat", "label", "status"], orient="row")
    frame = frame.with_columns(
        pl.lit("imported").alias("judge_kind"),
        pl.lit("c").alias("construct"),
        pl.col("label").cast(pl.String),
        pl.col("status").cast(pl.Enum(STATUSES)),
    )
    if model is not None:
        models = dict(zip((f"i{i:05d}" for i in range(len(codes))), model, strict=True))
        frame = frame.with_columns(model=pl.col("item_id").replace_strict(models))
    return frame


def made(verdicts: pl.DataFrame, *, truth: bool = True, sampling: Sampling = FEW, **options: Any) -> Plan:
    spec = {k: options.pop(k) for k in ("reference", "level", "positive", "cluster", "maps") if k in options}
    columns = ("model",) if "model" in verdicts.columns else ()
    panel = build_panel(verdicts, columns=columns, **spec)
    latent = None
    if truth and panel.question.labels:
        latent = estimate_truth(panel.codes, len(panel.question.labels), gold=panel.gold)
    return plan(panel, verdicts, truth=latent, sampling=sampling, **options)


def _hostile() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    silent = rng.integers(0, 2, (40, 3))
    silent[:, 1] = -1
    apart = np.full((40, 4), -2)
    apart[np.arange(40), np.arange(40) % 4] = rng.integers(0, 2, 40)
    return {
        "one judge": rng.integers(0, 2, (40, 1)),
        "one item": np.array([[0, 1, 1]]),
        "one item, one judge": np.zeros((1, 1), int),
        "one class": np.zeros((40, 3), int),
        "a judge without any ok verdict": silent,
        "an item without any ok verdict": np.vstack([silent, [[-1, -1, -1]]]),
        "no shared items": apart,
        "fifty classes": rng.integers(0, 50, (200, 4)),
        "all identical": np.repeat(rng.integers(0, 2, (60, 1)), 5, axis=1),
        "all random": rng.integers(0, 3, (100, 5)),
        "always opposed": np.array([[0, 1], [1, 0]] * 20),
        "99.99 % prevalence": (np.arange(10_000)[:, None] == np.array([[7, 7, 9]])).astype(int),
    }


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [x for v in value.values() for x in numbers(v)]
    if isinstance(value, (list, tuple)):
        return [x for v in value for x in numbers(v)]
    return [float(value)] if isinstance(value, (int, float)) else []


@pytest.mark.parametrize("name", _hostile())
@pytest.mark.parametrize("truth", [True, False])
def test_hostile_panels_get_words(name: str, truth: bool) -> None:
    codes = _hostile()[name]
    got = made(table_of(codes, model=["a", "b"] * (len(codes) // 2) + ["a"] * (len(codes) % 2)), truth=truth, n_next=5)
    result = got.result
    assert (result.variance is None) == (result.undefined is not None)
    assert (result.decision is None) == (result.variance is None)
    assert (result.labels is None) == (result.labels_undefined is not None)
    assert np.isfinite(numbers(result.model_dump())).all()
    assert PlanResult.model_validate_json(result.model_dump_json()) == result
    assert dict(got.next_items.schema) == NEXT_COLUMNS
    for need in result.decision.needed if result.decision else ():
        assert (need.value is None) == (need.undefined is not None)


@pytest.mark.parametrize(
    ("name", "why"), [("one judge", "one judge"), ("one item", "one item"), ("one class", "one category")]
)
def test_why_there_are_no_components(name: str, why: str) -> None:
    assert made(table_of(_hostile()[name])).result.undefined == why


def test_a_thousand_judges() -> None:
    rng = np.random.default_rng(0)
    codes = np.where(rng.random((60, 1000)) < 0.03, rng.integers(0, 2, (60, 1000)), -2)
    result = made(table_of(codes), truth=False).result
    assert result.variance is not None
    assert result.labels is not None
    assert len(result.labels.rate.helped) <= 13


def test_scores_have_components_and_no_labels_to_ask_for() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(50, 1)) * 20 + 50 + rng.normal(size=(50, 3)) * 10
    frame = table_of(np.zeros((50, 3), int)).with_columns(label=pl.lit(None, pl.String), score=scores.ravel())
    got = made(frame)
    assert got.result.variance is not None
    assert got.result.variance.scale == "scores"
    assert got.result.labels_undefined is not None
    assert got.next_items.is_empty()


def test_labels_that_are_numbers_are_numbers_above_the_nominal_level() -> None:
    rng = np.random.default_rng(0)
    codes = np.clip(rng.integers(0, 5, (80, 1)) + rng.integers(-1, 2, (80, 3)), 0, 4)
    nominal, interval = (made(table_of(codes), level=level).result.variance for level in ("nominal", "interval"))
    assert nominal is not None
    assert interval is not None
    assert interval.scale == "labels as numbers"
    assert (interval.generalizability.value or 0) > (nominal.generalizability.value or 0) + 0.2


def test_repeats_are_read_from_the_verdict_table() -> None:
    """Judge 0 is sure of itself, judge 1 tosses a coin; both are asked three times, judge 1 under other numbers."""
    rng = np.random.default_rng(0)
    sure = np.repeat(rng.integers(0, 2, (300, 1)), 3, axis=1)
    coin = rng.integers(0, 2, (300, 3))
    parts = [
        table_of(np.column_stack([sure[:, r], coin[:, r]])).with_columns(
            repeat=pl.when(pl.col("judge") == "j1").then(pl.lit(r * 10 + 4)).otherwise(pl.lit(r))
        )
        for r in range(3)
    ]
    verdicts = pl.concat(parts).sample(fraction=1, shuffle=True, seed=1)
    panel = build_panel(verdicts)
    asked = repeats_of(panel, verdicts)
    j0, j1 = panel.names.index("j0"), panel.names.index("j1")
    assert len(asked) == 3
    assert (asked[0] == panel.codes).all()
    for r, codes in enumerate(asked):
        assert (codes[:, j0] == sure[:, r]).all()
        assert (codes[:, j1] == coin[:, r]).all()
    g = made(verdicts).result.variance
    assert g is not None
    assert g.repeats == 3
    parts_of = {c.facet: c.value for c in g.components}
    # the coin's variance within a cell is .25, the other judge's 0: .125 on average
    assert parts_of["residual"] == pytest.approx(0.125, abs=0.01)


def test_maps_and_failed_verdicts_hold_for_repeats_too() -> None:
    first = table_of([[0, 1], [2, 1], [0, 0]], names=["yes", "no", "nope"])
    second = table_of([[1, -1], [2, 1], [-1, 0]], names=["yes", "no", "nope"], repeat=1)
    verdicts = pl.concat([first, second])
    panel = build_panel(verdicts, maps=[parse_map("nope=no")])
    no = panel.question.labels.index("no")
    again = repeats_of(panel, verdicts)[1]
    assert again.tolist() == [[no, -1], [no, no], [-1, 1 - no]]


def test_scores_of_repeats() -> None:
    frame = table_of(np.zeros((4, 2), int)).with_columns(label=pl.lit(None, pl.String))
    verdicts = pl.concat(
        [
            frame.with_columns(score=pl.Series(np.arange(8.0))),
            frame.with_columns(score=pl.Series(np.arange(8.0) * 2), repeat=pl.lit(1, pl.Int64)),
        ]
    )
    panel = build_panel(verdicts)
    first, second = repeats_of(panel, verdicts)
    assert (second == 2 * first).all()


def test_same_seed_same_plan_and_order_of_rows_does_not_matter() -> None:
    codes = np.random.default_rng(0).integers(-1, 3, (120, 4))
    verdicts = table_of(codes, model=["a", "b"] * 60)
    first, again = made(verdicts), made(verdicts)
    assert first.result == again.result
    assert first.next_items.equals(again.next_items)
    shuffled = pl.concat([verdicts.head(1), verdicts.slice(1).sample(fraction=1, shuffle=True, seed=3)])
    other = build_panel(shuffled).names
    if other == tuple(f"j{j}" for j in range(4)):
        assert made(shuffled).next_items.equals(first.next_items)


def test_clusters_widen_the_intervals_and_are_noted() -> None:
    """Ten copies of every output under one prompt: a bootstrap over outputs would think it knows ten times as much."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, (40, 1))
    few = np.where(rng.random((40, 3)) < 0.8, true, 1 - true)
    codes = np.repeat(few, 10, axis=0)
    verdicts = table_of(codes).with_columns(prompt=pl.col("item_id").str.slice(0, 5))
    options = {"sampling": Sampling(replicates=300), "truth": False}
    alone, together = (made(verdicts, **options, **c).result for c in ({}, {"cluster": "prompt"}))
    spans = []
    for result in (alone, together):
        assert result.variance is not None
        g = result.variance.generalizability
        spans.append((g.ci_high or 0) - (g.ci_low or 0))
    assert spans[1] > 2 * spans[0]
    assert any("prompt" in note for note in together.notes)


def test_reference_labels_are_used_where_there_are_enough() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, 200)
    codes = np.where(rng.random((200, 3)) < [0.9, 0.8, 0.7], true[:, None], 1 - true[:, None])
    gold = pl.DataFrame({"item_id": [f"i{i:05d}" for i in range(60)], "gold": [str(t) for t in true[:60]]})
    labels = made(table_of(codes), reference=gold).result.labels
    assert labels is not None
    assert (labels.source, labels.n_labelled, labels.next.n_unlabelled) == ("reference labels", 60, 140)
    assert labels.rate.rate == pytest.approx(true[:60].mean())


@pytest.mark.parametrize("options", [{"width": 0}, {"width": 2}, {"target": 1}, {"power": 0}, {"n_next": -1}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        made(table_of([[0, 1], [1, 1]]), **options)


def test_a_power_is_between_0_and_1() -> None:
    with pytest.raises(InputError, match="power"):
        check_power(1.0)


def _real(panels: Path, name: str, **options: Any) -> tuple[Panel, pl.DataFrame]:
    verdicts = read_verdicts([panels / f"{name}.parquet"])
    verdicts = verdicts.filter(pl.col("judge_kind") != "human")
    return build_panel(verdicts, columns=("model",), **options), verdicts


def test_real_panel_xstest(panels: Path) -> None:
    """XSTest: GPT-4 and string match. Their mean correlates with the reference; PPI must ask for fewer labels, and for
    the better judge fewer than for the worse (kappa .770 of string match, .654 of GPT-4: README of the panels)."""
    gold = read_reference(panels / "xstest_v2_binary.gold.parquet")
    panel, verdicts = _real(panels, "xstest_v2_binary", reference=gold)
    result = plan(panel, verdicts, truth=None, sampling=FEW).result
    assert result.variance is not None
    assert result.labels is not None
    assert result.variance.n_models == 5
    helped = {h.judge: h.n or 0 for h in result.labels.rate.helped}
    assert helped["strmatch"] < helped["gpt4"] < result.labels.rate.n
    best = result.labels.two_best
    assert best is not None
    # raw agreement with the reference: .884 and .825
    assert (best.a, best.b) == ("strmatch", "gpt4")
    assert (best.accuracy_a, best.accuracy_b) == pytest.approx((0.884, 0.825), abs=5e-4)


def test_real_panel_purseclab_dependability_is_near_alpha(panels: Path) -> None:
    """Krippendorff's alpha of purseclab is .420 (README of the panels): for 0/1 scores and many items it is nearly the
    dependability of one judge, an intraclass correlation with the judges' variance in the error."""
    panel, verdicts = _real(panels, "purseclab_rethinking")
    verdicts_result = plan(panel, verdicts, truth=None, sampling=FEW).result
    assert verdicts_result.variance is not None
    assert verdicts_result.variance.dependability_of_one.value == pytest.approx(0.420, abs=0.03)
