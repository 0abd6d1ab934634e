"""A judge asked again: agreement and kappa of repeats, what follows from a beta model, scores, and hostile tables."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from interjudge.agreement.panel import Panel, build_panel
from interjudge.agreement.question import parse_map
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_service import JudgeStability
from interjudge.agreement.sampling import Sampling
from interjudge.agreement.stability import Doubt, flipping, stability
from interjudge.datasets.schema import STATUS

QUICK = Sampling(replicates=60)


def table(answers: dict[str, np.ndarray], *, kind: str = "rubric") -> pl.DataFrame:
    """Verdicts from (N, R) labels of each judge; an empty text is a verdict that was not understood, None no row."""
    rows = [
        (f"i{i:04}", judge, r, kind, "q", "ok" if label else "parse_error", label or None)
        for judge, table_ in answers.items()
        for i, row in enumerate(table_.tolist())
        for r, label in enumerate(row)
        if label is not None
    ]
    names = ["item_id", "judge", "repeat", "judge_kind", "construct", "status", "label"]
    frame = pl.DataFrame(rows, schema=names, orient="row", schema_overrides={"label": pl.String})
    return frame.with_columns(pl.col("status").cast(STATUS), pl.col("repeat").cast(pl.Int64))


def drawn(seed: int, n: int, r: int, pi, concentration: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n, r) of a judge whose shares of labels are Dirichlet, and those shares."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.array(pi) * concentration, size=n)
    u = rng.random((n, r))
    codes = np.minimum((u[:, :, None] > p.cumsum(axis=1)[:, None, :]).sum(axis=2), len(pi) - 1)
    return np.array(["a", "b", "c", "d"], dtype=object)[codes], p


def only(verdicts: pl.DataFrame, sampling: Sampling = QUICK, **options) -> JudgeStability:
    (found,) = stability(verdicts, build_panel(verdicts, **options), sampling=sampling)
    return found


def values(found: JudgeStability) -> tuple[float | None, ...]:
    every = (found.agreement, found.kappa, found.flip_rate, found.unstable, found.coin_toss)
    return tuple(e.value if e is not None else None for e in every)


def test_nothing_without_repeats() -> None:
    labels, _ = drawn(0, 30, 1, (0.5, 0.5), 1)
    once = table({"x": labels})
    assert stability(once, build_panel(once)) == ()
    assert stability(once.drop("repeat"), build_panel(once.drop("repeat"))) == ()
    assert not flipping(once, build_panel(once)).any()


def test_a_judge_asked_once_with_another_number_has_no_repeats() -> None:
    labels, _ = drawn(0, 30, 1, (0.5, 0.5), 1)
    first = table({"x": labels})
    some = first.with_columns(repeat=pl.when(pl.col("item_id") > "i0010").then(1).otherwise(0).cast(pl.Int64))
    assert stability(some, build_panel(some)) == ()


@pytest.mark.parametrize("repeats", [2, 3, 5])
def test_agreement_and_kappa_with_statsmodels(repeats: int) -> None:
    labels, _ = drawn(1, 120, repeats, (0.5, 0.3, 0.2), 1.5)
    found = only(table({"x": labels}))
    counts, _ = aggregate_raters(labels.astype(str))
    pairs = (counts * (counts - 1)).sum(axis=1) / (repeats * (repeats - 1))
    assert found.agreement is not None
    assert found.kappa is not None
    assert found.flip_rate is not None
    assert found.agreement.value == pytest.approx(pairs.mean())
    assert found.kappa.value == pytest.approx(fleiss_kappa(counts))
    assert found.flip_rate.value == pytest.approx((counts.max(axis=1) < repeats).mean())
    assert (found.n_items, found.n_repeats) == (120, repeats)


def test_flips_and_mixed_statuses_counted_by_hand() -> None:
    """Of five items: two flip, two do not, one has a single usable answer; one more answer was not understood."""
    labels = np.array(
        [["a", "b", "b"], ["a", "a", ""], ["b", "b", "b"], ["b", "a", None], ["a", "", None]], dtype=object
    )
    verdicts = table({"x": labels, "y": labels[:, :1]})
    panel = build_panel(verdicts)
    (found,) = stability(verdicts, panel)
    assert found.judge == "x"
    assert found.flip_rate is not None
    assert found.agreement is not None
    assert (found.flip_rate.value, found.flip_rate.n, found.n_items) == (0.5, 4, 4)
    assert found.agreement.value == pytest.approx((1 / 3 + 1 + 1 + 0) / 4)
    assert (found.not_always_usable.value, found.not_always_usable.n) == (0.4, 5)
    assert flipping(verdicts, panel).tolist() == [[True, False], [False] * 2, [False] * 2, [True, False], [False] * 2]


def test_repeats_are_mapped_as_the_panel_is() -> None:
    """`b` and `c` are one label of the question, `d` is none: only a change between `a` and these is a flip."""
    labels = np.array([["b", "c"], ["c", "a"], ["d", "a"], ["a", "a"]], dtype=object)
    found = only(table({"x": labels}), maps=[parse_map("x::c=b"), parse_map("d=")])
    assert found.flip_rate is not None
    assert (found.flip_rate.value, found.flip_rate.n) == (pytest.approx(1 / 3), 3)
    assert found.not_always_usable.value == 0  # a label that a map leaves out is no failure


def test_thresholds_apply_to_every_repeat() -> None:
    scores = np.array([[0.2, 0.7], [0.6, 0.9], [0.1, 0.3]])
    rows = [(f"i{i}", "s", r, float(x)) for i, row in enumerate(scores) for r, x in enumerate(row)]
    verdicts = pl.DataFrame(rows, schema=["item_id", "judge", "repeat", "score"], orient="row").with_columns(
        judge_kind=pl.lit("rubric"),
        construct=pl.lit("q"),
        status=pl.lit("ok").cast(STATUS),
        label=pl.lit(None, pl.String),
    )
    found = only(verdicts, thresholds={"s": 0.5}, labels=("low", "high"), positive="high")
    assert found.flip_rate is not None
    assert found.flip_rate.value == pytest.approx(1 / 3)


# Two labels: the beta integrals against quadrature.
@pytest.mark.parametrize(("share", "kappa"), [(0.5, 0.3), (0.3, 0.8), (0.1, 0.5), (0.02, 0.9)])
def test_closed_forms_by_quadrature(share: float, kappa: float) -> None:
    doubt = Doubt(np.array([1 - share, share]), kappa)
    a, b = (np.array([1 - share, share]) * (1 - kappa) / kappa).tolist()
    beta = stats.beta(a, b)

    def mean(of) -> float:
        # the density is infinite at 0 and 1: integrate over its quantiles
        q = (np.arange(200_000) + 0.5) / 200_000
        return float(np.mean(of(beta.ppf(q))))

    assert doubt.unstable == pytest.approx(mean(lambda p: np.minimum(p, 1 - p)), abs=1e-4)
    assert doubt.toss == pytest.approx(beta.cdf(0.6) - beta.cdf(0.4))
    for r in (1, 3, 9):
        right = mean(lambda p, r=r: stats.binom.sf(r // 2, r, np.maximum(p, 1 - p)))
        assert doubt.right(r) == pytest.approx(right, abs=1e-4)
    assert doubt.right(1) == pytest.approx(1 - doubt.unstable)


def test_the_arcsine_law_in_closed_form() -> None:
    """pi = (1/2, 1/2), kappa = 1/2: beta(1/2, 1/2), E min(p, 1 - p) = 1/2 - 1/pi, P(.4 < p < .6) by arcsines."""
    doubt = Doubt(np.array([0.5, 0.5]), 0.5)
    assert doubt.unstable == pytest.approx(0.5 - 1 / np.pi)
    arcs = 2 / np.pi * (np.arcsin(np.sqrt(0.6)) - np.arcsin(np.sqrt(0.4)))
    assert doubt.toss == pytest.approx(arcs)
    density = lambda p: 1 / (np.pi * np.sqrt(p * (1 - p)))  # noqa: E731
    check, _ = integrate.quad(lambda p: min(p, 1 - p) * density(p), 0, 1, points=[0.5])
    assert doubt.unstable == pytest.approx(check, abs=1e-6)


@pytest.mark.parametrize("kappa", [0.4, 0.8])
def test_three_labels_simulated_meet_two_in_closed_form(kappa: float) -> None:
    two, three = Doubt(np.array([0.7, 0.3]), kappa), Doubt(np.array([0.7, 0.299999, 1e-6]), kappa)
    assert three.unstable == pytest.approx(two.unstable, abs=0.005)
    assert three.toss == pytest.approx(two.toss, abs=0.01)
    assert three.right(5) == pytest.approx(two.right(5), abs=0.01)


def test_pure_noise_needs_what_the_binomial_says() -> None:
    """kappa 0: every item has p = .7; the least odd r with P(Binomial(r, .7) > r / 2) >= .95."""
    least = next(r for r in range(1, 99, 2) if stats.binom.sf(r // 2, r, 0.7) >= 0.95)
    for kappa in (0.0, -0.2):
        doubt = Doubt(np.array([0.7, 0.3]), kappa)
        assert doubt.needed == least == 17
        assert doubt.unstable == pytest.approx(0.3, abs=1e-3)
    assert Doubt(np.array([0.5, 0.5]), 0.0).needed is None


@pytest.mark.parametrize("repeats", [2, 4])
@pytest.mark.parametrize(("pi", "concentration"), [((0.7, 0.3), 0.25), ((0.6, 0.4), 1.0), ((0.5, 0.3, 0.2), 0.5)])
def test_few_repeats_find_the_true_share_of_unstable_verdicts(repeats: int, pi, concentration: float) -> None:
    labels, p = drawn(7, 3000, repeats, pi, concentration)
    found = only(table({"x": labels}), Sampling())
    true = 1 - p.max(axis=1).mean()
    assert found.unstable is not None
    assert found.coin_toss is not None
    assert found.unstable.ci_low is not None
    assert found.unstable.ci_high is not None
    assert found.unstable.ci_low - 0.005 <= true <= found.unstable.ci_high + 0.005
    assert found.coin_toss.value == pytest.approx((p.max(axis=1) < 0.6).mean(), abs=0.02)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(5, 60), st.integers(2, 5), st.integers(2, 4), st.floats(0.05, 5))
def test_bounds_hold_whatever_the_shape(seed: int, n: int, r: int, k: int, concentration: float) -> None:
    labels, _ = drawn(seed, n, r, np.full(k, 1 / k), concentration)
    found = only(table({"x": labels}))
    sane(found)
    assert found.agreement is not None
    assert found.flip_rate is not None
    assert found.unstable_bounds is not None
    assert found.unstable is not None
    assert found.kappa is not None
    assert (found.flip_rate.value or 0) >= 1 - (found.agreement.value or 0) - 1e-9
    low, high = found.unstable_bounds
    assert 0 <= low <= high <= 1
    if found.kappa.value is not None and found.kappa.value >= 0:
        assert low - 0.01 <= (found.unstable.value or 0) <= high + 0.01


@pytest.mark.parametrize("repeats", [2, 5])
def test_bounds_hold_where_the_model_does_not(repeats: int) -> None:
    """Nine items of ten certain, the tenth a fair coin: 5 % of single verdicts are not the usual one, which is the
    upper bound itself; the Dirichlet model, which spreads the doubt, says less."""
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        certain, coins = rng.integers(0, 2, (300, 1)), rng.integers(0, 2, (300, repeats))
        codes = np.where((np.arange(300) < 30)[:, None], coins, certain)
        found = only(table({"x": np.array(["a", "b"], dtype=object)[codes]}))
        assert found.unstable_bounds is not None
        held.append(found.unstable_bounds[0] <= 0.05 <= found.unstable_bounds[1])
    assert np.mean(held) >= 0.9


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(4, 40), st.integers(2, 4))
def test_order_of_items_and_repeats_and_names_change_nothing(seed: int, n: int, r: int) -> None:
    labels, _ = drawn(seed, n, r, (0.6, 0.4), 0.8)
    before = only(table({"x": labels}))
    rng = np.random.default_rng(seed)
    moved = labels[rng.permutation(n)][:, rng.permutation(r)]
    assert values(only(table({"x": moved}))) == pytest.approx(values(before), nan_ok=True)
    renamed = np.where(labels == "a", "z", "y").astype(object)
    assert values(only(table({"x": renamed}))) == pytest.approx(values(before), nan_ok=True)
    twice = only(table({"x": np.vstack([labels, labels])}))
    assert values(twice) == pytest.approx(values(before), nan_ok=True)


def test_a_judge_that_never_flips_is_not_certain_forever() -> None:
    labels = np.repeat(np.array([["a"], ["b"]] * 25, dtype=object), 3, axis=1)
    found = only(table({"x": labels}))
    assert values(found) == (1, 1, 0, 0, 0)
    assert found.repeats_needed is not None
    assert found.unstable is not None
    assert found.unstable.ci_high is not None
    # Wilson's bound of 50 of 50 is 1 - .0713: disagreement of at most that, of which half to all is unstable
    assert 0.0713 / 2 <= found.unstable.ci_high <= 0.0713
    assert found.repeats_needed.value == 1


def test_one_label_throughout_has_no_kappa() -> None:
    found = only(table({"x": np.full((50, 2), "a", dtype=object)}))
    assert found.kappa is not None
    assert found.unstable is not None
    assert found.kappa.undefined == "one category"
    assert found.unstable.value == 0
    assert found.unstable.ci_high == pytest.approx(0.0713, abs=1e-4)  # Wilson, 50 of 50


def score_panel(scores: np.ndarray) -> tuple[pl.DataFrame, Panel]:
    rows = [(f"i{i:03}", "s", r, float(x)) for i, row in enumerate(scores) for r, x in enumerate(row)]
    verdicts = pl.DataFrame(rows, schema=["item_id", "judge", "repeat", "score"], orient="row").with_columns(
        judge_kind=pl.lit("rubric"),
        construct=pl.lit("q"),
        status=pl.lit("ok").cast(STATUS),
        label=pl.lit(None, pl.String),
    )
    return verdicts, build_panel(verdicts)


def test_scores_have_the_icc_of_shrout_and_fleiss() -> None:
    """Their 6 x 4 table (1979, table 2): ICC(1,1) .17, within mean square 6.26."""
    ratings = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    (found,) = stability(*score_panel(ratings))
    assert found.icc is not None
    assert found.within_sd is not None
    assert found.icc.value == pytest.approx(0.1657, abs=1e-4)
    assert (found.within_sd.value or 0) ** 2 == pytest.approx(6.26, abs=0.01)
    assert found.agreement is None
    assert found.repeats_needed is None


def test_scores_with_unequal_repeats_by_analysis_of_variance() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(40, 1)) * 2 + rng.normal(size=(40, 4))
    scores[:15, 2:] = np.nan
    verdicts, _ = score_panel(scores)
    verdicts = verdicts.filter(pl.col("score").is_not_nan())
    (found,) = stability(verdicts, build_panel(verdicts))
    groups = [row[~np.isnan(row)] for row in scores]
    sizes = np.array([g.size for g in groups])
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (sizes - 1).sum()
    f = stats.f_oneway(*groups).statistic
    typical = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(groups) - 1)
    assert found.icc is not None
    assert found.within_sd is not None
    assert found.within_sd.value == pytest.approx(np.sqrt(within))
    assert found.icc.value == pytest.approx((f - 1) / (f + typical - 1))
    assert found.icc.ci_low is not None
    assert not flipping(verdicts, build_panel(verdicts)).any()


def test_clusters_widen_the_intervals_of_copied_items() -> None:
    labels, _ = drawn(3, 60, 2, (0.5, 0.5), 1)
    verdicts = table({"x": np.repeat(labels, 5, axis=0)})
    verdicts = verdicts.with_columns(prompt=pl.col("item_id").str.slice(1).cast(pl.Int64) // 5)
    alone, together = (only(verdicts, Sampling(), cluster=c) for c in (None, "prompt"))
    for name in ("agreement", "kappa", "flip_rate"):
        a, b = getattr(alone, name), getattr(together, name)
        assert b.value == pytest.approx(a.value)
        assert b.ci_high - b.ci_low > 1.8 * (a.ci_high - a.ci_low)


def sane(found: JudgeStability) -> None:
    assert JudgeStability.model_validate_json(found.model_dump_json()) == found  # no NaN, no infinity
    for e in (found.agreement, found.kappa, found.flip_rate, found.unstable, found.coin_toss, found.icc):
        assert e is None or consistent(e)
    need = found.repeats_needed
    if need is not None and need.value is not None:
        assert need.low is None or need.low <= need.value
        assert need.high is None or need.high >= need.value


def consistent(e: Estimate) -> bool:
    inside = e.value is None or e.ci_low is None or e.ci_high is None or e.ci_low <= e.value <= e.ci_high
    return inside and (e.value is None) == bool(e.undefined)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([["a", "b"]], dtype=object),
        np.array([["a", "a"]], dtype=object),
        np.array([["", ""], ["", "a"]], dtype=object),
        np.array([["a", "b"]] * 40, dtype=object),
        np.array([[str(i % 50), str((i * 7) % 50)] for i in range(300)], dtype=object),
        np.array([["a" if i else "b"] * 3 for i in range(2000)], dtype=object),
    ],
    ids=["one item flips", "one item", "hardly usable", "always flips", "fifty labels", "99.95 % prevalence"],
)
def test_hostile_repeats_give_words(labels: np.ndarray) -> None:
    verdicts = table({"x": labels, "other": np.full((len(labels), 1), "a", dtype=object)})
    (found,) = stability(verdicts, build_panel(verdicts), sampling=QUICK)
    sane(found)


def test_numbers_of_repeats_may_be_anything() -> None:
    labels, _ = drawn(1, 100, 2, (0.5, 0.5), 1)
    plain = table({"x": labels})
    stamped = plain.with_columns(repeat=1_000 + pl.int_range(pl.len(), dtype=pl.Int64))
    assert values(only(stamped)) == values(only(plain))
