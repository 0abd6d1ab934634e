"""Intervals of differences, clustered rates, and how alike judges rank models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau
from statsmodels.stats.proportion import confint_proportions_2indep

from interjudge.agreement.intervals import mean_wilson
from interjudge.agreement.rank_agreement import (
    Cells,
    Figures,
    denominators,
    kendall_tau_b,
    model_figures,
    places,
    rank_agreement,
    sampling_units,
)
from interjudge.agreement.sampling import Sampling
from interjudge.errors import InputError

PAIR = np.array([[0, 1]])


def paired(both: int, first: int, second: int, neither: int) -> Figures:
    """Two models that answered the same prompts once each, under one judge."""
    x = np.repeat([1, 1, 0, 0], [both, first, second, neither])
    y = np.repeat([1, 0, 1, 0], [both, first, second, neither])
    codes = np.concatenate([x, y]).astype(np.int16)[:, None]
    group = np.repeat([0, 1], x.size)
    return model_figures(codes, 1, Cells(group, np.tile(np.arange(x.size), 2), 2), PAIR, 0.95)


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        # Newcombe 1998 (Stat. Med. 17:2635), method 10
        ((20, 12, 2, 16), 0.0562, 0.3292),
        # Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables (2017), chapter 8: airway
        # hyper-responsiveness (Bentur et al. 2009); and a case that their R package contingencytables tests
        ((1, 1, 7, 12), -0.5069, -0.0256),
        ((59, 6, 16, 80), -0.1186, -0.0046),
        # Altman et al., Statistics with Confidence (2000), table 6.2
        ((14, 5, 0, 22), 0.0115, 0.2265),
    ],
)
def test_models_that_answered_the_same_prompts_have_newcombes_paired_interval(cells, low, high):
    found = paired(*cells)
    assert found.paired.all()
    assert (found.below[0, 0], found.above[0, 0]) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_without_shared_prompts_the_interval_is_newcombes_for_independent_samples():
    codes = np.repeat([1, 0, 1, 0], [30, 70, 50, 50]).astype(np.int16)[:, None]
    group = np.repeat([0, 1], 100)
    low, high = confint_proportions_2indep(30, 100, 50, 100, method="newcomb", compare="diff")
    for unit in (None, np.arange(200)):
        found = model_figures(codes, 1, Cells(group, unit, 2), PAIR, 0.95)
        assert not found.paired.any()
        assert found.below[0, 0] == pytest.approx(low, abs=1e-12)
        assert found.above[0, 0] == pytest.approx(high, abs=1e-12)


def test_pairing_narrows_the_interval_where_answers_go_together_and_widens_it_where_they_oppose():
    together, opposed = paired(40, 10, 10, 40), paired(10, 40, 40, 10)
    apart = paired(25, 25, 25, 25)

    def width(f: Figures) -> float:
        return float(f.above[0, 0] - f.below[0, 0])

    assert width(together) < width(apart) < width(opposed)


def test_rates_of_clusters_are_those_of_mean_wilson():
    rng = np.random.default_rng(0)
    n = 400
    group, unit = rng.integers(0, 3, n), rng.integers(0, 40, n)
    code = rng.integers(-1, 2, n).astype(np.int16)
    cells = Cells(group, unit, 3)
    found = cells.ratio(code == 1, code >= 0)
    low, high = found.bounds(0.9)
    for g in range(3):
        num = np.bincount(unit, (code == 1) & (group == g), 40)[:, None]
        den = np.bincount(unit, (code >= 0) & (group == g), 40)[:, None]
        p, lower, upper = mean_wilson(num, den, np.ones(40, int), 0.9, clustered=True)
        assert (found.value[g], low[g], high[g]) == pytest.approx((p[0], lower[0], upper[0]), abs=1e-12)


def test_few_pairs_and_many_give_the_same_covariance():
    rng = np.random.default_rng(1)
    n, groups = 3000, 40
    group, unit = rng.integers(0, groups, n), rng.integers(0, 1_000_000, n) // 2000
    cells = Cells(group, unit, groups)
    pull = rng.normal(size=cells.group.size)
    a, b = np.triu_indices(groups, 1)
    table = np.zeros((groups, cells.n_units))
    table[cells.group, cells.unit] = pull
    expected = (table @ table.T)[a, b]
    assert cells.covariance(pull, a, b) == pytest.approx(expected)
    assert cells.covariance(pull, a[:5], b[:5]) == pytest.approx(expected[:5])
    cells.n_units = 1 << 24  # as if the table were too large to be dense
    assert cells.covariance(pull, a, b) == pytest.approx(expected)
    assert cells.covariance(pull, a[:5], b[:5]) == pytest.approx(expected[:5])


def test_units_join_what_shares_a_prompt_or_a_cluster():
    prompt = np.array([0, 0, 1, 1, 2, -1, -1])
    clusters = np.array([0, 1, 2, 3, 3, 4, 5])
    unit = sampling_units(clusters, prompt, 7)
    # 0 and 1 by the prompt; 2, 3, 4 by prompt and cluster; the last two alone
    assert [np.flatnonzero(unit == u).tolist() for u in dict.fromkeys(unit.tolist())] == [[0, 1], [2, 3, 4], [5], [6]]
    assert sampling_units(None, None, 7) is None
    assert len(set(sampling_units(None, prompt, 7).tolist())) == 5
    everything = sampling_units(clusters, np.zeros(7, int), 7)
    assert everything.tolist() == clusters.tolist()
    with pytest.raises(InputError, match="pair_by"):
        sampling_units(None, prompt[:3], 7)


rates = arrays(np.float64, st.tuples(st.integers(2, 9), st.just(2)), elements=st.sampled_from([0, 0.25, 0.5, 1]))


@given(rates)
def test_tau_b_is_scipys(table: np.ndarray):
    expected = kendalltau(table[:, 0], table[:, 1]).statistic
    found = kendall_tau_b(table)[0, 1]
    assert found == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_tau_b_looks_at_the_models_that_both_judges_know():
    table = np.array([[0.1, 0.2], [0.5, np.nan], [0.3, 0.9], [0.9, 0.5]])
    expected = kendalltau(table[[0, 2, 3], 0], table[[0, 2, 3], 1]).statistic
    assert kendall_tau_b(table)[0, 1] == pytest.approx(expected)


def ranked(codes: np.ndarray, group: np.ndarray, m: int, unit=None, **options):
    pairs = np.stack(np.triu_indices(m, 1), axis=1)
    found = model_figures(codes, 1, Cells(group, unit, m), pairs, 0.95)
    names = [f"j{j}" for j in range(codes.shape[1])]
    return rank_agreement(codes, 1, group, unit, found, names, Sampling(replicates=200, **options))


def by_rates(*judges: tuple[int, ...], n: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Each judge's number of positives of n outputs by model."""
    codes = [np.concatenate([np.arange(n) < hits for hits in judge]) for judge in judges]
    return np.stack(codes, axis=1).astype(np.int16), np.repeat(np.arange(len(judges[0])), n)


def test_flips_are_counted_and_the_clear_ones_apart():
    # model 0 < 1 < 2 under the first judge; under the second 1 < 0 (50 against 52: not clear) and 2 < 0 (clear)
    (found,) = ranked(*by_rates((10, 50, 90), (52, 50, 10)), 3)
    assert found.tau.value == pytest.approx(kendalltau([10, 50, 90], [52, 50, 10]).statistic)
    assert (found.n_pairs, found.n_flips, found.n_clear_flips) == (3, 3, 2)
    assert found.tau.n == 3
    assert found.tau.ci_low <= found.tau.value <= found.tau.ci_high


def test_a_judge_that_ranks_nobody_has_words_instead_of_a_tau():
    (found,) = ranked(*by_rates((10, 50, 90), (0, 0, 0)), 3)
    assert found.tau.undefined == "a judge gives all models one rate"
    codes, group = by_rates((10, 50), (10, 50))
    codes[group == 1, 1] = -1
    (found,) = ranked(codes, group, 2)
    assert found.tau.undefined == "fewer than two models in common"
    assert found.n_pairs == 0


def test_one_judge_or_very_many_have_no_ranks():
    codes, group = by_rates((10, 50))
    assert ranked(codes, group, 2) == ()
    assert ranked(np.repeat(codes, 51, axis=1), group, 2) == ()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_ranks_obey_the_laws(seed: int):
    """The order of items, the names of models and the sign of the question change nothing; intervals hold the value."""
    rng = np.random.default_rng(seed)
    n, m = 120, 4
    codes, group = rng.integers(-1, 2, (n, 3)).astype(np.int16), rng.integers(0, m, n)
    found = ranked(codes, group, m)
    order = rng.permutation(n)
    shuffled = ranked(codes[order], group[order], m)
    renamed = ranked(codes, (m - 1 - group), m)
    turned = ranked(np.where(codes < 0, codes, 1 - codes).astype(np.int16), group, m)
    for a, *others in zip(found, shuffled, renamed, turned, strict=True):
        for b in others:
            assert (a.n_flips, a.n_clear_flips, a.n_pairs) == (b.n_flips, b.n_clear_flips, b.n_pairs)
            assert a.tau.value == pytest.approx(b.tau.value)
        if a.tau.ci_low is not None:
            assert -1 <= a.tau.ci_low <= a.tau.value <= a.tau.ci_high <= 1


def test_outputs_that_are_left_out_change_the_order_of_models():
    # over all outputs model 1 has more; all but one of its positives are incoherent outputs
    codes, group = by_rates((40, 80))
    incoherent = (codes[:, 0] == 1) & (group == 1) & (np.arange(200) % 100 >= 1)
    found = model_figures(codes, 1, Cells(group, None, 2), PAIR, 0.95)
    refusal = np.zeros(200, bool)
    out = denominators(
        codes, 1, ["a", "b"], group, None, {}, ["j"], found, {"refusals": refusal, "incoherent outputs": incoherent}
    )
    assert [d.name for d in out] == [
        "without refusals",
        "without incoherent outputs",
        "without refusals and incoherent outputs",
    ]
    assert [d.n_items for d in out] == [200, 121, 121]
    low, _ = confint_proportions_2indep(40, 100, 1, 21, method="newcomb", compare="diff")
    assert low > 0
    assert [d.n_flips["j"] for d in out] == [0, 1, 1]
    assert [d.n_clear_flips["j"] for d in out] == [0, 1, 1]
    assert out[1].rates[1].rate.value == pytest.approx(1 / 21)
    assert denominators(codes, 1, ["a", "b"], group, None, {}, ["j"], found, {"refusals": None}) == ()


def test_a_place_is_one_more_than_the_models_with_a_higher_rate() -> None:
    """Under the first judge two share place 1 and the third is 3rd; under the second one model has no rate."""
    rates = np.array([[0.5, 0.2], [0.5, np.nan], [0.1, 0.3]])
    assert places(rates).tolist() == [[1, 2], [1, 0], [3, 1]]
