"""Dependence between judges given the truth, families, effective number of judges."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from interjudge.agreement import families
from interjudge.agreement.vote_patterns import Patterns


def _noisy(rng: np.random.Generator, source: np.ndarray, rate: float, k: int = 2) -> np.ndarray:
    flip = rng.random(source.size) < rate
    return np.where(flip, (source + rng.integers(1, k, source.size)) % k, source)


def _known(patterns: Patterns, truth: np.ndarray, codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The posterior when the truth is known, and the true confusions of the sample."""
    table = np.stack(
        [[[(codes[truth == t, j] == x).mean() for x in range(k)] for t in range(k)] for j in range(codes.shape[1])]
    )
    return np.eye(k)[patterns.gold], table


def test_pair_kappas_equal_scikit_learn() -> None:
    """On complete data with many items shrinkage is below .001."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 20_000)
    codes = np.stack([_noisy(rng, truth, r, 3) for r in (0.1, 0.3, 0.5)], axis=1).astype(np.int16)
    found = families.pair_kappas(Patterns.of(codes, 3))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert found[a, b] == pytest.approx(cohen_kappa_score(codes[:, a], codes[:, b]), abs=1e-3)


def test_errors_of_independent_judges_do_not_correlate_and_those_of_copies_do() -> None:
    """With two labels the correlation is the weighted mean over true labels of the phi of the two error
    indicators; here it is checked against numpy on one true label."""
    rng = np.random.default_rng(1)
    truth = np.zeros(20_000, np.int64)
    first = _noisy(rng, truth, 0.2)
    copy = np.where(rng.random(truth.size) < 0.3, _noisy(rng, truth, 0.2), first)
    codes = np.stack([first, copy, _noisy(rng, truth, 0.3)], axis=1).astype(np.int16)
    patterns = Patterns.of(codes, 2, truth.astype(np.int16))
    table = np.stack([np.eye(2)] * 3)
    table[:, 0] = [[1 - c.mean(), c.mean()] for c in codes.T]
    rho, both = families.error_correlation(patterns, np.eye(2)[patterns.gold], table)
    assert rho[0, 1] == pytest.approx(np.corrcoef(codes[:, 0], codes[:, 1])[0, 1], abs=1e-9)
    assert rho[0, 2] == pytest.approx(0, abs=0.03)
    assert (both == truth.size).all()


def test_agreement_through_the_truth_alone_is_no_dependence() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 5_000).astype(np.int16)
    codes = np.stack([_noisy(rng, truth, r, 3) for r in (0.05, 0.1, 0.2)], axis=1).astype(np.int16)
    patterns = Patterns.of(codes, 3, truth)
    rho, _ = families.error_correlation(patterns, *_known(patterns, truth, codes, 3))
    assert np.abs(rho - np.eye(3)).max() < 0.05
    assert families.pair_kappas(patterns)[0, 1] > 0.7


def test_dependence_has_to_be_shown() -> None:
    """Fisher's z: tanh(atanh(.5) - 1.645 / sqrt(103 - 3)) = .367; on four items nothing is shown."""
    rho = np.array([[1, 0.5], [0.5, 1]])
    assert families.shown(rho, np.full((2, 2), 103.0))[0, 1] == pytest.approx(0.3672, abs=1e-3)
    assert families.shown(rho, np.full((2, 2), 4.0))[0, 1] == 0


@pytest.mark.parametrize(("m", "rho"), [(5, 0.0), (5, 0.5), (9, 1.0)])
def test_effective_judges_follow_kish_with_equal_correlations(m: int, rho: float) -> None:
    """m / (1 + (m - 1) rho): 5, 5/3, 1."""
    table = np.full((m, m), rho) + (1 - rho) * np.eye(m)
    assert families.effective_judges(table) == pytest.approx(m / (1 + (m - 1) * rho))


def test_cuts_are_weighted_by_the_thresholds_they_hold_for() -> None:
    """Distances .2 in the pair, .8 to the third: three judges on [0, .2), two families on [.2, .8), one above."""
    similarity = np.array([[1, 0.8, 0.2], [0.8, 1, 0.2], [0.2, 0.2, 1]])
    found = families.cuts(similarity)
    assert [(c.families.tolist(), round(c.weight, 9)) for c in found] == [
        ([0, 1, 2], 0.2),
        ([0, 0, 1], 0.6),
        ([0, 0, 0], 0.2),
    ]
    assert [c.families.tolist() for c in families.cuts(similarity, whole=False)] == [[0, 1, 2], [0, 0, 1]]


def test_adding_a_clone_adds_no_cut() -> None:
    similarity = np.array([[1, 0.7, 0.1], [0.7, 1, 0.3], [0.1, 0.3, 1]])
    index = [0, 1, 2, 2, 2]
    before, after = families.cuts(similarity), families.cuts(similarity[np.ix_(index, index)])
    assert [c.weight for c in before] == pytest.approx([c.weight for c in after])
    assert [c.families.tolist() for c in after] == [c.families[index].tolist() for c in before]


def test_judges_without_information_bind_nobody() -> None:
    similarity = np.ones((4, 4))
    found = families.cuts(similarity, informative=np.array([True, True, True, False]))
    assert [c.families.tolist() for c in found] == [[0, 0, 0, 1]]
    assert families.cuts(similarity, informative=np.zeros(4, bool))[0].families.tolist() == [0, 1, 2, 3]


def test_few_keeps_all_weight() -> None:
    rng = np.random.default_rng(0)
    noise = rng.random((12, 12))
    found = families.cuts((noise + noise.T) / 2)
    kept = families.few(found, 4)
    assert len(kept) == 4
    assert sum(c.weight for c in kept) == pytest.approx(1)


def test_skill_is_youdens_j_with_two_labels() -> None:
    """Sensitivity .8, specificity .7: J = .5. A judge that always says the same: 0."""
    table = np.array([[[0.7, 0.3], [0.2, 0.8]], [[1, 0], [1, 0]]])
    assert families.skill(table) == pytest.approx([0.5, 0])
