"""The latent-truth model behind `flag --model latent`: sane on hostile panels, and not fooled by clones."""

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from interjudge.agreement.flags import flag
from interjudge.agreement.latent import LatentTruth, estimate_truth
from interjudge.agreement.panel import build_panel
from interjudge.datasets.schema import STATUS
from interjudge.errors import InputError


def simulated(n: int, accuracies: list[float], seed: int = 0) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """(codes, truth) of two labels, three in ten of them positive; judges err independently."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.3).astype(np.int16)
    right = rng.random((n, len(accuracies))) < np.array(accuracies)
    return np.where(right, truth[:, None], 1 - truth[:, None]).astype(np.int16), truth


def auroc(found: LatentTruth, codes: NDArray[np.int16], truth: NDArray[np.int16]) -> float:
    """How well p_wrong tells the wrong verdicts of the first four judges."""
    wrong = codes[:, :4] != truth[:, None]
    return float(roc_auc_score(wrong.ravel(), found.p_wrong[:, :4].ravel()))


def accuracy(found: LatentTruth, truth: NDArray[np.int16]) -> float:
    return float((found.consensus == truth).mean())


def test_the_truth_is_found_better_than_by_majority_when_judges_differ():
    codes, truth = simulated(2000, [0.95, 0.7, 0.6, 0.6])
    majority = (codes.mean(axis=1) > 0.5).astype(np.int16)
    found = estimate_truth(codes, 2)
    assert accuracy(found, truth) > (majority == truth).mean() + 0.03
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1)


@pytest.mark.parametrize("copies", [3, 9])
def test_copies_of_the_worst_judge_change_little(copies: int):
    codes, truth = simulated(2000, [0.9, 0.85, 0.8, 0.65])
    alone = estimate_truth(codes, 2)
    cloned = np.hstack([codes, np.repeat(codes[:, 3:], copies, axis=1)])
    with_copies = estimate_truth(cloned, 2)
    assert auroc(with_copies, cloned, truth) > auroc(alone, codes, truth) - 0.02
    assert accuracy(with_copies, truth) > accuracy(alone, truth) - 0.02
    assert with_copies.effective_judges < alone.effective_judges + 0.5
    assert len(set(with_copies.families[3:].tolist())) == 1


def test_reference_labels_anchor_the_truth():
    codes, truth = simulated(400, [0.6, 0.6, 0.95])
    gold = np.where(np.arange(400) < 60, truth, -1).astype(np.int16)
    found = estimate_truth(codes, 2, gold=gold)
    assert found.n_gold == 60
    assert (found.consensus[:60] == truth[:60]).all()
    assert accuracy(found, truth) >= accuracy(estimate_truth(codes, 2), truth) - 0.01


def test_judge_order_and_item_order_change_nothing_but_their_order():
    codes, _ = simulated(300, [0.9, 0.8, 0.7, 0.6])
    one = estimate_truth(codes, 2)
    judges, items = np.array([2, 0, 3, 1]), np.random.default_rng(1).permutation(300)
    two = estimate_truth(np.ascontiguousarray(codes[items][:, judges]), 2)
    np.testing.assert_allclose(two.p_wrong, one.p_wrong[items][:, judges], atol=1e-6)


RNG = np.random.default_rng(0)
HOSTILE = {
    "one judge": (RNG.integers(0, 2, (50, 1)), 2),
    "one item": (RNG.integers(0, 2, (1, 3)), 2),
    "one label": (np.zeros((50, 3)), 1),
    "one label of two": (np.zeros((50, 3)), 2),
    "no verdict at all": (np.full((5, 3), -1), 2),
    "a judge without a verdict": (np.column_stack([RNG.integers(0, 2, (50, 2)), np.full(50, -1)]), 2),
    "fifty labels": (RNG.integers(0, 50, (300, 4)), 50),
    "all identical": (np.repeat(RNG.integers(0, 2, (100, 1)), 5, axis=1), 2),
    "all random": (RNG.integers(0, 3, (500, 6)), 3),
    "99.99 percent one label": (np.eye(20_000, 4, dtype=int), 2),
    "a sparse crowd": (np.where(RNG.random((200, 300)) < 0.03, RNG.integers(0, 2, (200, 300)), -1), 2),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_panels_give_probabilities(name: str):
    codes, k = HOSTILE[name]
    codes = codes.astype(np.int16)
    found = estimate_truth(codes, k)
    said = codes >= 0
    assert ((found.p_wrong[said] >= 0) & (found.p_wrong[said] <= 1)).all()
    assert np.isnan(found.p_wrong[~said]).all()
    assert np.isfinite(found.effective_judges)
    assert found.why


def verdicts(codes: NDArray[np.int16]) -> pl.DataFrame:
    rows = [(f"i{i:04}", f"j{j}", "refusal" if c else "compliance") for (i, j), c in np.ndenumerate(codes)]
    return pl.DataFrame(rows, schema=["item_id", "judge", "label"], orient="row").with_columns(
        repeat=pl.lit(0),
        judge_kind=pl.lit("imported"),
        construct=pl.lit("refusal"),
        status=pl.lit("ok", STATUS),
        score=pl.lit(None, pl.Float64),
    )


def test_flag_asks_the_model_it_is_told_to():
    codes, _ = simulated(200, [0.95, 0.7, 0.6, 0.6])
    table = verdicts(codes)
    panel = build_panel(table)
    votes, latent = flag(panel, table, model="votes"), flag(panel, table)
    assert latent.verdicts.columns == votes.verdicts.columns
    assert latent.verdicts["p_wrong"].is_between(0, 1).all()
    assert latent.summary.model != votes.summary.model
    assert not latent.verdicts["p_wrong"].equals(votes.verdicts["p_wrong"])
    consensus = latent.items.select("item_id", "consensus")
    flagged = latent.verdicts.filter("flagged").join(consensus, on="item_id")
    assert (flagged["label"] != flagged["consensus"]).all()
    with pytest.raises(InputError, match="did you mean 'latent'"):
        flag(panel, table, model="latnt")  # type: ignore[arg-type]  # a user's misspelling
