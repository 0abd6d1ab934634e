"""Missing verdicts and whether they are random; cost and latency, unknown where unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from interjudge.agreement.panel import Panel, build_panel
from interjudge.agreement.question import Question, parse_map
from interjudge.agreement.results_service import JudgeMissing, Service
from interjudge.agreement.rows import CELL_STATUSES, NOT_ASKED, UNMAPPED, PanelJudge
from interjudge.agreement.service import independence, robust_independence, service
from interjudge.datasets.schema import STATUS
from interjudge.datasets.verdicts import read_verdicts

NONE = pl.DataFrame({"judge": ["j0"], "status": pl.Series(["ok"], dtype=STATUS)})
PARSE, ABSENT, LEFT = (CELL_STATUSES.index(s) for s in ("parse_error", NOT_ASKED, UNMAPPED))


def panel_of(codes, model=None, *, k: int = 2, statuses=None, clusters=None) -> Panel:
    codes = np.asfortranarray(codes, dtype=np.int16)
    n, j = codes.shape
    items = pl.DataFrame({"item_id": [f"i{i}" for i in range(n)]})
    return Panel(
        question=Question("q", tuple(f"L{c}" for c in range(k)), None),
        judges=tuple(PanelJudge(f"j{i}", "rubric", "q") for i in range(j)),
        codes=codes,
        statuses=np.where(codes >= 0, 0, PARSE).astype(np.uint8) if statuses is None else statuses,
        items=items if model is None else items.with_columns(model=pl.Series(model, dtype=pl.String)),
        clusters=clusters,
    )


def first(panel: Panel) -> JudgeMissing:
    return service(NONE, panel).missing[0]


def test_missing_verdicts_of_xstest_are_all_on_one_model(panels: Path) -> None:
    """The README: all 11 malformed GPT-4 verdicts are on mistralinstruct; missingness is not random.

    Exact: all 11 in one of five groups of 450 has the chance 5 C(450, 11) / C(2250, 11) = 9.3e-8.
    """
    verdicts = read_verdicts([panels / "xstest_v2.parquet"])
    rules = ("1_full_compliance=compliance", "2_full_refusal=refusal", "3_partial_refusal=refusal")
    maps = [parse_map(rule) for rule in rules]
    panel = build_panel(verdicts, maps=maps, labels=("compliance", "refusal"), columns=("model",))
    found = {judge.judge: judge for judge in service(verdicts, panel).missing}
    gpt4 = found["gpt4"]
    assert (gpt4.n, gpt4.missing, gpt4.by_status) == (2250, 11, {"out_of_range": 11})
    assert {g.group: g.missing for g in gpt4.by_model if g.missing} == {"mistralinstruct": 11}
    assert (gpt4.model_test.p_value, gpt4.model_test.how) == (1e-4, "simulated")
    table = np.array([[g.missing, g.n - g.missing] for g in gpt4.by_model])
    assert gpt4.model_test.statistic == pytest.approx(stats.chi2_contingency(table, correction=False).statistic)
    assert gpt4.label_test.p_adjusted is not None
    assert gpt4.label_test.p_adjusted < 0.001
    assert found["strmatch"].model_test.undefined == "nothing is missing"
    assert found["strmatch"].missing == 0


@pytest.mark.parametrize("counts", [[(20, 80), (35, 65)], [(40, 160), (60, 140), (55, 145)]])
def test_large_counts_take_the_chi_square_distribution(counts: list[tuple[int, int]]) -> None:
    expected = stats.chi2_contingency(np.array(counts), correction=False)
    found = independence(np.array(counts))
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.how == "chi-square"


@pytest.mark.parametrize("counts", [[(3, 17), (0, 30)], [(1, 9), (4, 6)], [(2, 50), (2, 60)]])
def test_small_counts_are_simulated_over_the_hypergeometric(counts: list[tuple[int, int]]) -> None:
    """Two groups: the exact distribution is hypergeometric; 9,999 simulations are within .02 of it."""
    table = np.array(counts)
    size, gone = table.sum(axis=1), int(table[:, 0].sum())
    ways = np.arange(max(0, gone - size[1]), min(gone, size[0]) + 1)
    chance = stats.hypergeom.pmf(ways, size.sum(), size[0], gone)

    def statistic(a: int) -> float:
        cells = np.array([[a, size[0] - a], [gone - a, size[1] - gone + a]])
        return float(stats.chi2_contingency(cells, correction=False).statistic)

    exact = sum(p for a, p in zip(ways, chance, strict=True) if statistic(a) >= statistic(table[0, 0]) - 1e-9)
    found = independence(table, seed=1)
    assert found.how == "simulated"
    assert found.p_value == pytest.approx(exact, abs=0.02)


def test_tests_are_corrected_for_the_judges_that_were_tested() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, (600, 4))
    model = np.repeat(["a", "b", "c"], 200)
    chance = {"a": 0.05, "b": 0.1, "c": 0.13}
    gone = rng.random((600, 3)) < np.array([chance[m] for m in model])[:, None]
    codes[:, :3] = np.where(gone, -1, codes[:, :3])
    found = service(NONE, panel_of(codes, model)).missing
    p = [j.model_test.p_value for j in found[:3]]
    assert None not in p
    assert [j.model_test.p_adjusted for j in found[:3]] == pytest.approx(multipletests(p, method="holm")[1])
    assert found[3].model_test.p_adjusted is None


def test_random_gaps_are_called_random_at_the_stated_rate() -> None:
    """Gaps drawn at random: p below .05 in about one case of twenty, by either way."""
    rng = np.random.default_rng(5)
    low = [
        independence(np.column_stack([gone, size - gone]), seed=i).p_value
        for size in (np.array([200, 200, 200]), np.array([20, 20, 20]))
        for i, gone in enumerate(rng.multivariate_hypergeometric(size, 30 if size[0] == 200 else 6, size=150))
    ]
    assert 0.02 <= np.mean([p is not None and p <= 0.05 for p in low]) <= 0.08


def test_shares_have_wilson_intervals() -> None:
    codes = np.zeros((50, 2), int)
    codes[:7, 0] = -1
    share = first(panel_of(codes)).share
    assert (share.ci_low, share.ci_high) == pytest.approx(proportion_confint(7, 50, method="wilson"))


def test_what_was_never_asked_or_is_left_out_by_a_map_is_not_missing() -> None:
    codes = np.array([[0, 0], [-1, 0], [-1, 1], [-1, 1], [1, 1]])
    statuses = np.zeros(codes.shape, np.uint8)
    statuses[1:4, 0] = [PARSE, ABSENT, LEFT]
    found = first(panel_of(codes, statuses=statuses))
    assert (found.n, found.missing, found.not_asked, found.by_status) == (3, 1, 1, {"parse_error": 1})


def test_the_others_majority_leaves_the_judge_and_ties_out() -> None:
    """Judge 0 is silent where 1 to 3 say: 0 0 1 -> 0; 0 1 - -> tie; 1 1 1 -> 1; its own votes count nowhere."""
    codes = np.array([[-1, 0, 0, 1], [-1, 0, 1, -1], [-1, 1, 1, 1], [0, 1, 1, -1], [1, 0, 0, -1]])
    found = {g.group: (g.n, g.missing) for g in first(panel_of(codes)).by_label}
    assert found == {"L0": (2, 1), "L1": (2, 1)}


def test_verdicts_missing_where_others_see_harm_are_found() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 800)
    codes = np.where(rng.random((800, 4)) < 0.9, truth[:, None], 1 - truth[:, None])
    codes[(truth == 1) & (rng.random(800) < 0.2), 0] = -1
    found = first(panel_of(codes, np.tile(["a", "b"], 400)))
    assert (found.label_test.p_adjusted or 0) < 1e-6
    assert (found.model_test.p_adjusted or 0) > 0.01
    shares = {g.group: g.share.value or 0 for g in found.by_label}
    assert shares["L1"] > 3 * shares["L0"]


def test_items_without_a_model_are_shown_and_not_tested() -> None:
    codes = np.zeros((60, 2), int)
    codes[:10, 0] = -1
    found = first(panel_of(codes, [None] * 20 + ["a"] * 20 + ["b"] * 20))
    assert [(g.group, g.n, g.missing) for g in found.by_model] == [("a", 20, 0), ("b", 20, 0), (None, 20, 10)]
    assert found.model_test.undefined == "nothing is missing"


@pytest.mark.parametrize(
    ("codes", "model", "words"),
    [
        (np.full((20, 2), -1), ["a", "b"] * 10, "everything is missing"),
        (np.array([[-1, 0], [0, 0]]), ["a", "a"], "one group"),
        (np.array([[-1, 0], [0, 0]]), None, "the items name no model"),
        (np.array([[-1, 0]] * 150 + [[0, 0]] * 150), [f"m{i}" for i in range(300)], "more than 200 models"),
    ],
)
def test_why_there_is_no_test(codes, model, words: str) -> None:
    assert first(panel_of(codes, model)).model_test.undefined == words


def test_one_judge_has_no_others() -> None:
    assert first(panel_of([[-1], [0]])).label_test.undefined == "no other judge"


def cost_table(**columns) -> pl.DataFrame:
    n = len(next(iter(columns.values())))
    base = pl.DataFrame({"judge": ["j0"] * n, "status": pl.Series(["ok"] * n, dtype=STATUS)})
    return base.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


def test_cost_and_latency_with_numpy() -> None:
    rng = np.random.default_rng(0)
    seconds, dollars, tokens = rng.exponential(size=101), rng.random(101) / 100, rng.integers(1, 900, 101)
    table = cost_table(latency_s=seconds, cost_usd=dollars, input_tokens=tokens)
    one = service(table, panel_of([[0, 0]])).costs[0]
    assert one.latency_median_s == pytest.approx(np.median(seconds))
    assert one.latency_p95_s == pytest.approx(np.quantile(seconds, 0.95))
    assert one.cost_usd.total == pytest.approx(dollars.sum())
    assert one.cost_per_1000 == pytest.approx(1000 * dollars.mean())
    assert (one.input_tokens.total, one.input_tokens.n) == (tokens.sum(), 101)


def test_unknown_is_never_zero() -> None:
    table = cost_table(cost_usd=[None, 0.002, float("nan"), float("inf"), -1.0], latency_s=[None] * 5)
    one, other = service(table, panel_of([[0, 0]])).costs
    assert (one.n_verdicts, one.cost_usd.n, one.cost_usd.total) == (5, 1, 0.002)
    assert one.cost_per_1000 == pytest.approx(2.0)
    assert (one.latency_median_s, one.latency_n, one.output_tokens.total) == (None, 0, None)
    assert (other.n_verdicts, other.cost_usd.total, other.cost_per_1000) == (0, None, None)


def test_free_is_not_unknown_and_what_was_not_run_is_not_counted() -> None:
    table = cost_table(cost_usd=[0.0, 0.0, None]).with_columns(
        status=pl.Series(["ok", "parse_error", "not_run"], dtype=STATUS)
    )
    one = service(table, panel_of([[0, 0]])).costs[0]
    assert (one.n_verdicts, one.cost_usd.n, one.cost_usd.total, one.cost_per_1000) == (2, 2, 0.0, 0.0)


def sane(found: Service) -> None:
    assert Service.model_validate_json(found.model_dump_json()) == found  # no NaN, no infinity
    for judge in found.missing:
        assert sum(judge.by_status.values()) == judge.missing
        assert not judge.by_model or sum(g.missing for g in judge.by_model) == judge.missing
        for test in (judge.model_test, judge.label_test):
            assert (test.p_value is None) == bool(test.undefined)
            assert test.p_value is None or (0 < test.p_value <= test.p_adjusted <= 1)  # type: ignore[operator]


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize(
    ("codes", "k"),
    [
        (np.zeros((1, 1)), 1),
        (np.full((1, 1), -1), 2),
        (np.where(np.random.default_rng(0).random((200, 5)) < 0.1, -1, 0), 1),
        (np.random.default_rng(1).integers(-1, 50, (200, 5)), 50),
        (np.random.default_rng(2).integers(-1, 2, (20, 1000)), 2),
        (np.where(np.random.default_rng(3).random((5000, 3)) < 0.0002, -1, 0), 2),
    ],
    ids=["one cell", "one missing cell", "one label", "fifty labels", "a thousand judges", "99.98 % there"],
)
def test_hostile_panels_give_words(codes, k: int, clustered: bool) -> None:
    n = len(codes)
    model = [f"m{i % 3}" for i in range(n)]
    sane(service(NONE, panel_of(codes, model, k=k, clusters=np.arange(n) // 4 if clustered else None)))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 4))
def test_order_changes_nothing(seed: int, n: int, j: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(-1, 3, (n, j))
    model = rng.choice(["a", "b", "c"], n)
    before = service(NONE, panel_of(codes, model, k=3))
    sane(before)
    order = rng.permutation(n)
    assert service(NONE, panel_of(codes[order], model[order], k=3)) == before


def test_score_panels_have_missing_verdicts_too() -> None:
    panel = panel_of([[-1, -1]] * 4, k=0, statuses=np.array([[0, 0], [0, 0], [PARSE, 0], [0, 0]], np.uint8))
    found = first(replace(panel, scores=np.full((4, 2), 0.5)))
    assert (found.n, found.missing) == (4, 1)
    assert found.label_test.undefined == "no other judge"


def test_without_dependence_the_robust_test_is_pearsons() -> None:
    """Every item its own cluster, 20,000 items: the two statistics are the same up to sampling error."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 4, 20_000)
    gone = rng.random(20_000) < np.array([0.1, 0.1, 0.11, 0.13])[group]
    p, statistic = robust_independence(gone, group, np.arange(20_000))
    table = np.column_stack([np.bincount(group[gone], minlength=4), np.bincount(group[~gone], minlength=4)])
    expected = stats.chi2_contingency(table, correction=False)
    assert statistic == pytest.approx(expected.statistic, rel=0.05)
    assert p == pytest.approx(expected.pvalue, abs=1e-3)


def test_items_of_one_prompt_that_go_missing_together_are_not_taken_for_many() -> None:
    """300 prompts of one model each, ten answers a prompt that are all missing or none: Pearson's test rejects half
    of the true null hypotheses at .05, the robust one about one in twenty."""
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(300), 10)
    plain, robust = [], []
    for _ in range(300):
        group = np.repeat(rng.integers(0, 3, 300), 10)
        gone = np.repeat(rng.random(300) < 0.2, 10)
        table = np.column_stack([np.bincount(group[gone], minlength=3), np.bincount(group[~gone], minlength=3)])
        plain.append(independence(table).p_value or 0)
        robust.append(robust_independence(gone, group, clusters)[0])
    assert np.mean(np.array(plain) < 0.05) > 0.4
    assert 0.02 <= np.mean(np.array(robust) < 0.05) <= 0.08
