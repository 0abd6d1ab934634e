"""Which comparisons of models survive the judge."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, chi2_contingency
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from interjudge.agreement.conclusions import conclude
from interjudge.agreement.multiple import holm
from interjudge.agreement.panel import Panel, build_panel
from interjudge.agreement.question import Question, parse_map
from interjudge.agreement.results_models import Comparison, Conclusions, ErrorsByModel, JudgeErrors
from interjudge.agreement.rows import PanelJudge
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.reference import read_reference
from interjudge.datasets.schema import STATUS
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError

QUICK = Sampling(replicates=50)


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


def panel(codes: Any, model: Any, k: int = 2, **more: Any) -> Panel:
    """A panel from codes (N, J), models (N,) and whatever else it has."""
    codes = np.asfortranarray(np.asarray(codes, dtype=np.int16))
    items = pl.DataFrame({"item_id": [f"i{i}" for i in range(len(codes))], "model": [f"m{m}" for m in model]})
    judges = tuple(PanelJudge(f"j{j}", "rubric", "harm") for j in range(codes.shape[1]))
    question = Question("harm", tuple(f"l{i}" for i in range(k)), f"l{k - 1}")
    return Panel(question, judges, codes, np.zeros(codes.shape, np.uint8), items, **more)


def found_in(codes: Any, model: Any, *, replicates: int = 50, **more: Any) -> Conclusions:
    inside = {name: more.pop(name) for name in ("gold", "clusters") if name in more}
    found = conclude(panel(codes, model, **inside), sampling=Sampling(replicates=replicates), **more)
    assert found is not None
    return found


def test_models_that_answered_the_same_prompts_are_paired():
    """20, 12, 2, 16 pairs: 0.0562 to 0.3292 (Newcombe 1998, Stat. Med. 17:2635, method 10)."""
    x, y = (np.repeat(v, [20, 12, 2, 16]) for v in ([1, 1, 0, 0], [1, 0, 1, 0]))
    codes, model = np.concatenate([x, y])[:, None], np.repeat([0, 1], 50)
    prompt = np.tile(np.arange(50), 2)
    comparison = only(found_in(codes, model, pair_by=prompt))
    assert comparison.paired == ("j0",)
    d = comparison.difference["j0"]
    assert (d.value, d.ci_low, d.ci_high, d.n) == (
        pytest.approx(0.2),
        pytest.approx(0.0562, abs=5e-5),
        pytest.approx(0.3292, abs=5e-5),
        100,
    )
    alone = only(found_in(codes, model))
    assert alone.paired == ()
    low, high = confint_proportions_2indep(32, 50, 22, 50, method="newcomb", compare="diff")
    assert (alone.difference["j0"].ci_low, alone.difference["j0"].ci_high) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize(
    ("hits", "standing", "words"),
    [
        (((80, 20), (90, 30), (70, 30)), "all", "clear under every judge"),
        (((80, 20), (90, 30), (51, 50)), "most", "clear under 2 of 3 judges"),
        (((80, 20), (90, 30), (30, 70)), "most", "clear under 2 of 3 judges, clearly the reverse under 1"),
        (((80, 20), (51, 50), (50, 51)), "few", "clear under 1 of 3 judges"),
        (((80, 20), (20, 80), (51, 50)), "contested", "clear under 1 of 3 judges, clearly the reverse under 1"),
        (((51, 50), (50, 51), (52, 50)), "none", "clear under no judge"),
    ],
)
def test_a_statement_says_how_many_judges_stand_behind_it(hits: Any, standing: str, words: str):
    found = conclusions({f"j{i}": {"a": a, "b": b} for i, (a, b) in enumerate(hits)})
    (statement,) = found.statements
    assert (statement.higher, statement.lower) == ("a", "b")
    assert (statement.standing, statement.words) == (standing, words)


def test_votes_weigh_the_judges():
    """Two clones that share a vote do not outvote one independent judge."""
    hits = ((80, 20), (80, 20), (20, 80))
    codes = np.concatenate(
        [np.stack([np.arange(100) < judge[m] for judge in hits], axis=1) for m in (0, 1)]
    ).astype(int)  # fmt: skip
    model = np.repeat([0, 1], 100)
    (even,) = found_in(codes, model).statements
    assert (even.standing, even.higher, even.share) == ("most", "m0", pytest.approx(2 / 3))
    (weighted,) = found_in(codes, model, votes=np.array([0.4, 0.4, 1.0])).statements
    assert (weighted.standing, weighted.higher, weighted.share) == ("most", "m1", pytest.approx(1 / 1.8))
    (nothing,) = found_in(codes, model, votes=np.zeros(3)).statements
    assert nothing == even


def test_models_with_one_rate_under_all_judges_make_no_statement():
    assert conclusions({"x": {"a": 30, "b": 30}, "y": {"a": 10, "b": 10}}).statements == ()


def errors_of(gold: Any, codes: Any, model: Any, **more: Any) -> ErrorsByModel:
    found = found_in(codes, model, gold=np.asarray(gold, dtype=np.int16), **more)
    assert found.errors is not None
    return found.errors


def judged(cells: list[tuple[int, int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hits, misses, false alarms, correct rejections) by model -> gold, codes, model."""
    gold = np.concatenate([np.repeat([1, 1, 0, 0], c) for c in cells])
    codes = np.concatenate([np.repeat([1, 0, 1, 0], c) for c in cells])
    return gold, codes[:, None], np.repeat(np.arange(len(cells)), [sum(c) for c in cells])


CELLS = [(40, 10, 5, 45), (20, 30, 10, 40)]


def only_judge(errors: ErrorsByModel) -> JudgeErrors:
    (judge,) = errors.judges
    return judge


def test_errors_are_the_shares_of_each_models_table():
    found = errors_of(*judged(CELLS))
    assert found.against == "reference"
    first, second = only_judge(found).models
    assert (first.sensitivity.value, first.specificity.value) == (0.8, 0.9)
    assert (first.youden_j.value, second.youden_j.value) == (pytest.approx(0.7), pytest.approx(0.2))
    # 45 and 30 said positive of 100 that hold 50
    assert (first.bias.value, second.bias.value) == (pytest.approx(-0.05), pytest.approx(-0.2))
    low, high = proportion_confint(45, 50, method="wilson")
    assert (first.specificity.ci_low, first.specificity.ci_high) == (pytest.approx(low), pytest.approx(high))
    # J is a difference of two independent proportions, sensitivity and the share of false alarms
    low, high = confint_proportions_2indep(40, 50, 5, 50, method="newcomb", compare="diff")
    assert (first.youden_j.ci_low, first.youden_j.ci_high) == (pytest.approx(low), pytest.approx(high))


def test_the_largest_gaps_name_the_models():
    judge = only_judge(errors_of(*judged(CELLS)))
    assert judge.youden_gap is not None
    assert judge.bias_gap is not None
    assert (judge.youden_gap.high, judge.youden_gap.low) == ("m0", "m1")
    assert judge.youden_gap.difference.value == pytest.approx(0.5)
    # .45 - .30 = .15 is what the judge sees of two models that are equal in truth
    assert judge.bias_gap.difference.value == pytest.approx(0.15)
    assert judge.bias_gap.difference.ci_low < 0.15 < judge.bias_gap.difference.ci_high


def test_of_several_models_the_gap_is_judged_more_strictly():
    two = only_judge(errors_of(*judged(CELLS))).youden_gap
    between = [CELLS[0], (30, 20, 8, 42), CELLS[1]]
    three = only_judge(errors_of(*judged(between))).youden_gap
    assert two is not None
    assert three is not None
    assert three.difference.value == pytest.approx(two.difference.value)
    assert three.difference.ci_low < two.difference.ci_low


def test_equal_errors_are_tested_by_pearsons_chi_square():
    judge = only_judge(errors_of(*judged(CELLS)))
    tables = ([[40, 10], [20, 30]], [[5, 45], [10, 40]])
    statistic = sum(chi2_contingency(t, correction=False).statistic for t in tables)
    assert judge.p_equal.value == pytest.approx(chi2.sf(statistic, 2))
    assert judge.method == "chi-square"
    assert judge.p_holm == judge.p_equal.value


def test_small_counts_are_permuted():
    """All 4 hits on the first model, all 4 misses on the second: 1 of 70 arrangements is as extreme, and its mirror."""
    judge = only_judge(errors_of(*judged([(4, 0, 0, 0), (0, 4, 0, 0)])))
    assert judge.method == "permutation"
    assert judge.p_equal.value == pytest.approx(2 / 70, abs=0.012)  # 3 standard errors of 2,000 draws


def test_repeated_outputs_do_not_make_errors_differ():
    """Every output four times is four times the counts, and as clusters no more evidence than before."""
    gold, codes, model = judged(CELLS)
    once = only_judge(errors_of(gold, codes, model))
    unit = np.tile(np.arange(gold.size), 4)
    four = only_judge(
        errors_of(np.tile(gold, 4), np.tile(codes, (4, 1)), np.tile(model, 4), clusters=unit.astype(np.int64))
    )
    assert four.method == "chi-square on effective counts"
    # C / (C - 1) with 50 clusters in every cell of a table: the chi-square is 49/50 of what it was
    statistic = chi2.isf(once.p_equal.value, 2)
    assert four.p_equal.value == pytest.approx(chi2.sf(statistic * 49 / 50, 2))
    assert four.models[0].youden_j.value == pytest.approx(once.models[0].youden_j.value)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=8))
def test_holms_adjustment_is_that_of_statsmodels(values: list[float | None]):
    found = holm(values)
    assert [p is None for p in found] == [p is None for p in values]
    known = [p for p in values if p is not None]
    if known:
        expected = multipletests(known, method="holm")[1]
        assert [p for p in found if p is not None] == pytest.approx(list(expected))


def test_a_certain_posterior_is_a_reference():
    gold, codes, model = judged(CELLS)
    exact = errors_of(gold, codes, model)
    estimated = found_in(codes, model, truth_posterior=np.eye(2)[gold]).errors
    assert estimated is not None
    assert estimated.against == "estimated truth"
    assert only_judge(estimated).p_equal.value == pytest.approx(only_judge(exact).p_equal.value)
    for a, b in zip(only_judge(exact).models, only_judge(estimated).models, strict=True):
        for name in ("sensitivity", "specificity", "youden_j", "bias"):
            one, two = getattr(a, name), getattr(b, name)
            assert (one.value, one.ci_low, one.ci_high) == pytest.approx((two.value, two.ci_low, two.ci_high))


def test_a_posterior_weighs_the_outputs():
    """Sensitivity = sum of P(positive) over the outputs called positive / sum over all."""
    codes, model = np.array([1, 0, 1, 0])[:, None], [0, 0, 1, 1]
    p = np.array([0.9, 0.3, 0.9, 0.3])
    errors = found_in(codes, model, truth_posterior=np.stack([1 - p, p], axis=1)).errors
    assert errors is not None
    first = only_judge(errors).models[0]
    assert first.sensitivity.value == pytest.approx(0.9 / 1.2)
    assert first.specificity.value == pytest.approx(0.7 / 0.8)
    assert first.bias.value == pytest.approx(0.5 - 0.6)


def simulated(seed: int, worse: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Five independent judges that are right in 82 of 100 outputs (the first: by `worse` less on the second model), two
    models with 10 % and 60 % positives; and the exact posterior under the positives' share over both."""
    rng = np.random.default_rng(seed)
    model = np.repeat([0, 1], 500)
    truth = rng.random(1000) < np.array([0.1, 0.6])[model]
    right = np.full((1000, 5), 0.82)
    right[:, 0] -= worse * model
    codes = np.where(rng.random((1000, 5)) < right, truth[:, None], ~truth[:, None]).astype(int)
    odds = 0.35 / 0.65 * (0.82 / 0.18) ** (2 * codes.sum(axis=1) - 5)
    return codes, model, odds / (1 + odds)


def test_models_with_other_shares_of_positives_do_not_make_equal_errors_look_unequal():
    """Without giving each model its own share every one of these judges is rejected."""
    p = []
    for seed in range(8):
        codes, model, posterior = simulated(seed, 0.0)
        errors = found_in(codes, model, truth_posterior=np.stack([1 - posterior, posterior], axis=1)).errors
        assert errors is not None
        p += [judge.p_holm for judge in errors.judges]
    assert sum(value < 0.05 for value in p) <= 4  # of 40
    codes, model, posterior = simulated(0, 0.25)
    errors = found_in(codes, model, truth_posterior=np.stack([1 - posterior, posterior], axis=1)).errors
    assert errors is not None
    assert errors.judges[0].p_holm < 1e-3


def test_a_judge_that_never_errs_has_words_instead_of_a_test():
    judge = only_judge(errors_of(*judged([(5, 0, 0, 5), (5, 0, 0, 5)])))
    assert judge.p_equal.undefined == "fewer than two models to compare, or no errors that vary"
    assert judge.p_holm is None


def test_without_a_reference_or_a_posterior_there_are_no_errors():
    gold, codes, model = judged(CELLS)
    assert found_in(codes, model).errors is None
    assert found_in(codes, model, gold=np.full(gold.size, -1, np.int16)).errors is None


def test_arrays_that_do_not_fit_are_refused():
    codes, model = np.ones((4, 2), int), [0, 0, 1, 1]
    for name, array in (
        ("truth_posterior", np.ones((4, 3))),
        ("votes", np.ones(3)),
        ("refusal", np.ones(3, bool)),
        ("incoherent", np.ones((4, 1), bool)),
        ("pair_by", np.ones(3, int)),
    ):
        with pytest.raises(InputError, match=name):
            conclude(panel(codes, model), **{name: array})


RNG = np.random.default_rng(0)
HOSTILE = {
    "one judge": (RNG.integers(0, 2, (60, 1)), 2),
    "two items": (RNG.integers(0, 2, (2, 3)), 2),
    "one class": (np.ones((60, 3), int), 2),
    "a judge without a verdict": (np.column_stack([RNG.integers(0, 2, 60), np.full(60, -1)]), 2),
    "no verdict at all": (np.full((60, 3), -1), 2),
    "1,000 judges": (RNG.integers(0, 2, (20, 1000)), 2),
    "50 classes": (RNG.integers(0, 50, (60, 3)), 50),
    "identical judges": (np.repeat(RNG.integers(0, 2, (60, 1)), 4, axis=1), 2),
    "one positive of 10,000": ((np.arange(10_000)[:, None] + np.zeros(3, int) == 7).astype(int), 2),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("clustered", [False, True])
def test_hostile_panels_have_words_and_no_nan(name: str, clustered: bool):
    codes, k = HOSTILE[name]
    n = len(codes)
    units = np.arange(n) // 2 if clustered else None
    given = panel(codes, np.arange(n) % 2, k, gold=RNG.integers(-1, k, n).astype(np.int16), clusters=units)
    given = Panel(**{**vars(given), "items": given.items.with_columns(base_model=pl.lit("m0"), benchmark=pl.lit("b"))})
    for pair_by in (None, np.arange(n) // 2, np.zeros(n, int))[: 1 if codes.shape[1] > 100 else 3]:
        found = conclude(given, sampling=QUICK, pair_by=pair_by, refusal=np.ones(n, bool), incoherent=np.zeros(n, bool))
        assert found is not None  # and no record takes NaN or infinity
        assert Conclusions.model_validate_json(found.model_dump_json()) == found


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_conclusions_obey_the_laws(seed: int):
    """Order of items and judges, names of models: nothing changes but places. The other label: signs turn."""
    rng = np.random.default_rng(seed)
    n = 90
    codes, model, prompt = rng.integers(-1, 2, (n, 3)), rng.integers(0, 3, n), rng.integers(0, 20, n)
    gold = rng.integers(0, 2, n)
    base = found_in(codes, model, pair_by=prompt, gold=gold)
    order = rng.permutation(n)
    moved = found_in(codes[order], model[order], pair_by=prompt[order], gold=gold[order])
    assert [c.holds for c in base.comparisons] == [c.holds for c in moved.comparisons]
    for a, b in zip(base.comparisons, moved.comparisons, strict=True):
        for judge, d in a.difference.items():
            e = b.difference[judge]
            assert (d.value, d.ci_low, d.ci_high) == pytest.approx((e.value, e.ci_low, e.ci_high))
            assert -1 <= d.ci_low <= d.value <= d.ci_high <= 1
    assert [s.standing for s in base.statements] == [s.standing for s in moved.statements]
    turned = found_in(np.where(codes < 0, codes, 1 - codes), model, pair_by=prompt, gold=1 - gold)
    for a, b in zip(base.comparisons, turned.comparisons, strict=True):
        assert a.holds == b.holds
        for judge, d in a.difference.items():
            e = b.difference[judge]
            assert (d.value, d.ci_low, d.ci_high) == pytest.approx((-e.value, -e.ci_high, -e.ci_low))
    assert base.errors is not None
    assert turned.errors is not None
    for one, two in zip(base.errors.judges, turned.errors.judges, strict=True):
        for a, b in zip(one.models, two.models, strict=True):
            assert a.youden_j.value == pytest.approx(b.youden_j.value)
            assert a.sensitivity.value == pytest.approx(b.specificity.value)


def test_xstest_the_ranking_of_models_depends_on_the_judge(panels: Path):
    """Refusal rates on unsafe prompts: reference / GPT-4 / string match, from the panels' README."""
    verdicts = read_verdicts([panels / "xstest_v2.parquet"]).filter(
        pl.col("judge").is_in(["gpt4", "strmatch"]) & pl.col("category").str.starts_with("contrast")
    )
    to_two = ("1_full_compliance=compliance", "2_full_refusal=refusal", "3_partial_refusal=refusal", "gpt4::*=refusal")
    given = build_panel(
        verdicts,
        maps=[parse_map(text) for text in to_two],
        labels=("compliance", "refusal"),
        reference=read_reference(panels / "xstest_v2.gold.parquet"),
        columns=("model", "prompt"),
    )
    prompt = given.items["prompt"].rank("dense").to_numpy().astype(np.int64)
    found = conclude(given, pair_by=prompt)
    assert found is not None
    expected = {
        "llama2new": (1.000, 0.730, 0.955),
        "llama2orig": (1.000, 0.850, 0.980),
        "gpt4": (0.995, 0.880, 0.960),
        "mistralguard": (0.965, 0.685, 0.670),
        "mistralinstruct": (0.360, 0.330, 0.075),
    }
    for r in found.rates:
        assert r.rate.value == pytest.approx(expected[r.model][1 + (r.judge == "strmatch")], abs=5e-4)
    (ranks,) = found.ranks
    # of ten pairs one stands the other way round: gpt4 .880 and .960, llama2orig .850 and .980
    assert (ranks.tau.value, ranks.n_flips, ranks.n_pairs) == (pytest.approx(0.8), 1, 10)
    flipped = next(c for c in found.comparisons if c.holds == "flips")
    assert (flipped.a, flipped.b) == ("gpt4", "llama2orig")
    assert all(c.paired == ("gpt4", "strmatch") for c in found.comparisons)
    # what each judge adds to a model's rate
    assert found.errors is not None
    for place, judge in enumerate(found.errors.judges, 1):
        for m in judge.models:
            assert m.bias.value == pytest.approx(expected[m.model][place] - expected[m.model][0], abs=5e-4)
    assert all(judge.p_holm is not None and judge.p_holm < 0.01 for judge in found.errors.judges)
