"""Dawid-Skene and its forms: known numbers, symmetries, and panels on which plain likelihood breaks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from interjudge.agreement.confusions import FORMS, Form, confusions
from interjudge.agreement.dawid_skene import dawid_skene, family_votes, fit, posterior
from interjudge.agreement.vote_patterns import Patterns

# Dawid and Skene (1979), table 1: 45 patients, five anaesthetists; the first gave three opinions, which enter
# here as judges of their own. Items, then the seven opinions 1-4.
_PATIENTS = """1111111 3334334 1122122 2223121 2223222 2223322 1222111 3333433 2222223 2322223 4444444 2223343
1111111 2223212 1211111 1112111 1111111 1111111 2222221 2221322 2222222 2222221 2223222 2212222 1111111 1111111
2322222 1111111 1111111 1121121 1111111 3333233 1111111 2222222 2223232 4334343 2212232 2323233 3333432 1111111
1111111 1212111 2322222 1211111 2222222"""

J2 = NDArray[np.int16]


def anaesthetists() -> J2:
    return np.array([[int(x) - 1 for x in row] for row in _PATIENTS.split()], dtype=np.int16)


def simulated(seed: int, n: int, accuracy: list[float], k: int = 2, prior: list[float] | None = None) -> tuple[J2, J2]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(k, n, p=prior).astype(np.int16)
    wrong = (truth[:, None] + rng.integers(1, max(k, 2), (n, len(accuracy)))) % k
    codes = np.where(rng.random((n, len(accuracy))) < accuracy, truth[:, None], wrong)
    return codes.astype(np.int16), truth


def plain_em(codes: J2, k: int, observer: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Maximum likelihood as in the paper, equations 2.3 to 2.5, written for this test; no priors."""
    counts = np.zeros((len(codes), max(observer) + 1, k))
    for j, who in enumerate(observer):
        counts[np.arange(len(codes)), who, codes[:, j]] += 1
    truth = counts.sum(axis=1) / len(observer)
    for _ in range(500):
        table = np.einsum("it,iox->otx", truth, counts)
        table = np.log(np.maximum(table / np.maximum(table.sum(axis=2, keepdims=True), 1e-12), 1e-12))
        log_p = np.log(truth.mean(axis=0)) + np.einsum("iox,otx->it", counts, table)
        truth = np.exp(log_p - log_p.max(axis=1, keepdims=True))
        truth /= truth.sum(axis=1, keepdims=True)
    return truth, truth.mean(axis=0)


def test_patients_of_dawid_and_skene_fall_into_their_published_classes() -> None:
    """Published prevalences .40, .42, .11, .07. Priors move ours by a little; at most one patient changes class."""
    truth, prior = plain_em(anaesthetists(), 4, [0, 0, 0, 1, 2, 3, 4])
    assert prior.round(2).tolist() == [0.40, 0.42, 0.11, 0.07]
    table, model = dawid_skene(anaesthetists(), 4)
    assert model.prior == pytest.approx(prior, abs=0.03)
    assert (table.argmax(axis=1) == truth.argmax(axis=1)).sum() >= 44


def test_many_items_bring_the_maximum_likelihood_answer() -> None:
    """With 20,000 items the priors no longer matter."""
    codes, _ = simulated(4, 20_000, [0.9, 0.75, 0.6, 0.8], 3, [0.6, 0.3, 0.1])
    truth, prior = plain_em(codes, 3, [0, 1, 2, 3])
    table, model = dawid_skene(codes, 3)
    assert model.prior == pytest.approx(prior, abs=0.01)
    assert np.abs(table - truth).mean() < 0.01


@pytest.mark.parametrize("form", FORMS)
def test_accuracies_come_back_from_simulated_judges(form: Form) -> None:
    accuracy = [0.95, 0.85, 0.75, 0.65, 0.9]
    codes, truth = simulated(1, 20_000, accuracy, 3)
    table, model = dawid_skene(codes, 3, form=form)
    assert np.diagonal(model.confusions, axis1=1, axis2=2).mean(axis=1) == pytest.approx(accuracy, abs=0.015)
    assert (table.argmax(axis=1) == truth).mean() > 0.97


def test_collapsing_to_patterns_changes_nothing() -> None:
    """Every item as a pattern of its own gives the same posterior as items collapsed to unique patterns."""
    codes, _ = simulated(2, 400, [0.9, 0.8, 0.7], 3)
    one = np.arange(3)
    collapsed = Patterns.of(codes, 3)
    apart = Patterns(codes, np.ones(400), np.full(400, -1), np.arange(400), 3)
    first = posterior(fit(collapsed, one, "full").log_joint(collapsed))[collapsed.index]
    second = posterior(fit(apart, one, "full").log_joint(apart))
    assert first == pytest.approx(second, abs=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_labels_cannot_change_places(form: Form) -> None:
    """Renaming the labels renames the answer, and the mean judge says the true label most, however bad the judges."""
    codes, _ = simulated(3, 300, [0.4, 0.45, 0.35, 0.5], 3)
    table, model = dawid_skene(codes, 3, form=form)
    turned, _ = dawid_skene(np.array([2, 0, 1], np.int16)[codes], 3, form=form)
    assert turned[:, [2, 0, 1]] == pytest.approx(table, abs=1e-6)
    mean = model.confusions.mean(axis=0)
    assert (mean.argmax(axis=1) == np.arange(3)).all()


@pytest.mark.parametrize("form", FORMS)
def test_rows_of_confusions_are_probabilities_even_without_verdicts(form: Form) -> None:
    table = confusions(np.zeros((2, 4, 4)), form)
    assert table.sum(axis=2) == pytest.approx(1)
    assert table[:, 0, 0] == pytest.approx(0.775 if form == "full" else 0.7)  # .7 + .3 / 4; .7


def test_reference_labels_are_certain_and_teach_the_model() -> None:
    """Two judges who always disagree: five labels say whom to believe."""
    codes = np.tile(np.array([[0, 1], [1, 0]], np.int16), (50, 1))
    gold = np.full(100, -1, np.int16)
    gold[:10] = codes[:10, 0]
    table, _ = dawid_skene(codes, 2, gold=gold)
    assert (table[:10].argmax(axis=1) == gold[:10]).all()
    assert table[np.arange(10), gold[:10]] == pytest.approx(1)
    assert (table.argmax(axis=1) == codes[:, 0]).all()


def test_a_family_has_one_vote_in_the_family_vote() -> None:
    """Votes a: 0 0 0, b: 1, c: 1. Families {a, a, a}, b, c: label 1 has 2 of 3 votes."""
    patterns = Patterns.of(np.array([[0, 0, 0, 1, 1]], np.int16), 2)
    share = family_votes(patterns, np.array([0, 0, 0, 1, 2]), smoothing=0.0)
    assert share[0] == pytest.approx([1 / 3, 2 / 3])
    without = family_votes(patterns, np.array([0, 0, 0, 1, 2]), 0.0, np.array([1, 1, 1, 0, 1], bool))
    assert without[0] == pytest.approx([1 / 2, 1 / 2])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6), st.integers(1, 30), st.sampled_from(FORMS))
def test_any_panel_gives_finite_probabilities(seed: int, k: int, j: int, n: int, form: Form) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(-1, k, (n, j)).astype(np.int16)
    table, model = dawid_skene(codes, k, form=form)
    assert np.isfinite(table).all()
    assert table.sum(axis=1) == pytest.approx(1)
    assert model.confusions.sum(axis=2) == pytest.approx(1)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_order_of_judges_and_items_does_not_matter(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    codes, _ = simulated(seed, 60, [0.9, 0.7, 0.8, 0.6], k)
    items, judges = rng.permutation(60), rng.permutation(4)
    table, _ = dawid_skene(codes, k)
    moved, _ = dawid_skene(codes[items][:, judges], k)
    assert moved == pytest.approx(table[items], abs=1e-6)


def test_unique_rows_survive_more_combinations_than_fit_an_integer() -> None:
    """50 labels and 40 judges: 51**40 keys."""
    rng = np.random.default_rng(0)
    codes = np.repeat(rng.integers(-1, 50, (20, 40)), 3, axis=0).astype(np.int16)
    patterns = Patterns.of(codes, 50)
    assert patterns.weight.tolist() == [3.0] * 20
    assert (patterns.codes[patterns.index] == codes).all()


@pytest.mark.filterwarnings("ignore")  # what crowd-kit and pandas warn of is theirs
@pytest.mark.parametrize(("k", "form"), [(2, "full"), (3, "full"), (2, "one-coin")])
def test_with_much_data_it_is_the_model_of_crowd_kit(k: int, form: Form) -> None:
    """crowd-kit has no priors; with 4,000 items ours weigh nothing: the same labels, probabilities and confusions.

    One-coin of more than two labels is left out: crowd-kit's has another error model (errors are not spread evenly).
    """
    pd = pytest.importorskip("pandas")
    crowdkit = pytest.importorskip("crowdkit.aggregation")
    rng = np.random.default_rng(k)
    n, accuracy = 4000, np.array([0.9, 0.8, 0.75, 0.7, 0.85])
    truth = rng.choice(k, n, p=np.array([0.5, 0.3, 0.2][:k]) / sum([0.5, 0.3, 0.2][:k]))
    wrong = (truth[:, None] + rng.integers(1, k, (n, 5))) % k
    codes = np.where(rng.random((n, 5)) < accuracy, truth[:, None], wrong).astype(np.int16)
    codes[rng.random(codes.shape) < 0.2] = -1
    codes = codes[(codes >= 0).any(axis=1)]
    item, judge = np.nonzero(codes >= 0)
    table = pd.DataFrame({"task": item, "worker": judge, "label": codes[item, judge]})
    theirs = crowdkit.DawidSkene() if form == "full" else crowdkit.OneCoinDawidSkene()
    expected = theirs.fit_predict_proba(table).sort_index()[list(range(k))].to_numpy()
    posterior, model = dawid_skene(codes, k, form=form)
    assert (posterior.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.995
    assert np.abs(posterior - expected).max() < 0.1
    assert np.abs(posterior - expected).mean() < 0.01
    if form == "full":
        found = np.stack([[[theirs.errors_.loc[(j, x), t] for x in range(k)] for t in range(k)] for j in range(5)])
        np.testing.assert_allclose(model.confusions, found, atol=0.02)
