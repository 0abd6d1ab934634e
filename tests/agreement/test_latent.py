"""The estimate of the truth: clones, anchors, hostile panels, and the real panels with a reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from interjudge.agreement.latent import LatentTruth, estimate_truth
from interjudge.errors import InputError

Codes = NDArray[np.int16]


def judges(
    seed: int, n: int, accuracy: list[float], k: int = 2, prior: list[float] | None = None
) -> tuple[Codes, Codes]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(k, n, p=prior).astype(np.int16)
    wrong = (truth[:, None] + rng.integers(1, max(k, 2), (n, len(accuracy)))) % k
    codes = np.where(rng.random((n, len(accuracy))) < accuracy, truth[:, None], wrong)
    return codes.astype(np.int16), truth


def copies(seed: int, source: Codes, m: int, noise: float) -> Codes:
    rng = np.random.default_rng(seed)
    many = np.repeat(source[:, None], m, axis=1)
    return np.where(rng.random(many.shape) < noise, 1 - many, many).astype(np.int16)


def auroc(found: LatentTruth, codes: Codes, truth: Codes) -> float:
    """Of p_wrong for 'this verdict differs from the truth', over the judges of `codes`."""
    there = codes >= 0
    return float(roc_auc_score((codes != truth[:, None])[there], found.p_wrong[:, : codes.shape[1]][there]))


def sane(found: LatentTruth, codes: Codes, k: int) -> None:
    n, j = codes.shape
    assert found.posterior.shape == (n, k)
    assert found.posterior.sum(axis=1) == pytest.approx(1)
    assert found.confusions.shape == (j, k, k)
    assert found.confusions.sum(axis=2) == pytest.approx(1)
    assert found.prior.sum() == pytest.approx(1)
    assert (np.isnan(found.p_wrong) == (codes < 0)).all()
    assert ((found.p_wrong[codes >= 0] >= 0) & (found.p_wrong[codes >= 0] <= 1)).all()
    assert ((found.consensus >= 0) == (codes >= 0).any(axis=1)).all()
    assert found.families.shape == (j,)
    assert 0 < found.effective_judges <= j + 1e-9
    assert found.effective_votes.sum() == pytest.approx(found.effective_judges)
    assert sum(found.weights.values()) == pytest.approx(1)
    assert np.isfinite(list(found.criterion.values())).all()
    assert found.model in found.weights
    assert found.why


def _hostile() -> dict[str, tuple[Codes, int]]:
    rng = np.random.default_rng(0)
    one = np.zeros((40, 1), np.int16)
    empty = rng.integers(0, 2, (40, 3)).astype(np.int16)
    empty[:, 1] = -1
    rare = (rng.random((10_000, 4)) < 0.0001).astype(np.int16)
    return {
        "one judge": (rng.integers(0, 2, (40, 1)).astype(np.int16), 2),
        "one item": (np.array([[0, 1, 1]], np.int16), 2),
        "one item, one judge, one label": (np.zeros((1, 1), np.int16), 1),
        "one label": (np.zeros((40, 5), np.int16), 1),
        "one label of two": (np.zeros((40, 5), np.int16), 2),
        "a judge with no verdict": (empty, 2),
        "no verdict at all": (np.full((5, 3), -1, np.int16), 2),
        "an item without verdicts": (np.vstack([empty, np.full((1, 3), -1, np.int16)]), 2),
        "all identical": (np.repeat(rng.integers(0, 2, (100, 1)), 6, axis=1).astype(np.int16), 2),
        "all random": (rng.integers(0, 3, (200, 6)).astype(np.int16), 3),
        "fifty labels": (rng.integers(0, 50, (300, 5)).astype(np.int16), 50),
        "99.99 % prevalence": (rare, 2),
        "no shared items": (np.where(np.eye(6, dtype=bool)[np.arange(60) % 6], 1, -1).astype(np.int16), 2),
        "always opposed": (np.hstack([one, one + 1]), 2),
    }


@pytest.mark.parametrize("name", _hostile())
@pytest.mark.parametrize("labelled", [0, 3, 20])
def test_hostile_panels_give_finite_answers(name: str, labelled: int) -> None:
    codes, k = _hostile()[name]
    gold = None
    if labelled:
        gold = np.full(len(codes), -1, np.int16)
        gold[:labelled] = np.arange(min(labelled, len(codes))) % k
    if gold is None:
        sane(estimate_truth(codes, k), codes, k)
    else:
        found = estimate_truth(codes, k, gold=gold)
        known = gold >= 0
        assert (found.consensus[known] == gold[known]).all()
        assert np.isfinite(found.posterior).all()
        wrong = np.where(codes[known] >= 0, codes[known] != gold[known, None], np.nan)
        assert found.p_wrong[known] == pytest.approx(wrong, nan_ok=True)


def test_a_thousand_judges() -> None:
    """Sparse: ten verdicts an item."""
    rng = np.random.default_rng(0)
    full, truth = judges(0, 300, rng.uniform(0.55, 0.95, 1000).tolist())
    keep = np.argsort(rng.random(full.shape), axis=1) < 10
    codes = np.where(keep, full, -1).astype(np.int16)
    found = estimate_truth(codes, 2)
    sane(found, codes, 2)
    assert (found.consensus == truth).mean() > 0.9


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 5), st.integers(1, 40))
def test_any_panel_is_answered(seed: int, k: int, j: int, n: int) -> None:
    codes = np.random.default_rng(seed).integers(-1, k, (n, j)).astype(np.int16)
    found = estimate_truth(codes, k)
    if (codes >= 0).any():
        sane(found, codes, k)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.integers(0, 3), st.integers(1, 9))
def test_clones_change_nothing(seed: int, which: int, times: int) -> None:
    codes, _ = judges(seed, 200, [0.9, 0.8, 0.7, 0.75], 3)
    before = estimate_truth(codes, 3)
    cloned = np.hstack([codes, np.repeat(codes[:, [which]], times, axis=1)])
    after = estimate_truth(cloned, 3)
    assert after.posterior == pytest.approx(before.posterior)
    assert after.effective_judges == pytest.approx(before.effective_judges)
    assert (after.consensus == before.consensus).all()
    assert len(set(after.families[[which, 4, 3 + times]])) == 1


@pytest.mark.parametrize("which", [0, 3])
def test_near_clones_count_as_about_one(which: int) -> None:
    """Nine copies with 2 % noise: the probabilities stay, and the consensus nearly, where majority vote follows
    the copies (.66 correct when they copy the worst judge)."""
    codes, truth = judges(5, 2000, [0.9, 0.85, 0.85, 0.65])
    before = estimate_truth(codes, 2)
    near = np.hstack([codes, copies(6, codes[:, which], 9, 0.02)])
    after = estimate_truth(near, 2)
    assert after.effective_judges == pytest.approx(before.effective_judges, abs=0.6)
    best = after.posterior.argmax(axis=1)
    assert (best == truth).mean() >= (before.posterior.argmax(axis=1) == truth).mean() - 0.02
    assert (after.consensus == truth).mean() >= (before.consensus == truth).mean() - 0.07
    assert auroc(after, codes, truth) >= auroc(before, codes, truth) - 0.02
    assert len(set(after.families[[which, *range(4, 13)]])) == 1
    if which == 3:
        assert (near.mean(axis=1).round() == truth).mean() < 0.75


def test_independent_judges_are_not_thrown_together() -> None:
    codes, _ = judges(7, 3000, [0.9, 0.85, 0.8, 0.75, 0.7])
    found = estimate_truth(codes, 2)
    assert found.families.tolist() == [0, 1, 2, 3, 4]
    assert found.effective_judges > 4.5


def test_flags_beat_vote_share_where_judges_differ() -> None:
    codes, truth = judges(8, 3000, [0.95, 0.6, 0.6, 0.9, 0.6], 2, [0.7, 0.3])
    found = estimate_truth(codes, 2)
    share = 1 - (codes[:, :, None] == codes[:, None, :]).mean(axis=2)
    wrong = codes != truth[:, None]
    assert auroc(found, codes, truth) > roc_auc_score(wrong.ravel(), share.ravel()) + 0.05


def test_p_wrong_is_calibrated_where_the_model_holds() -> None:
    """Independent judges: in each tenth of p_wrong the share of wrong verdicts is within .11 of the mean p_wrong.

    Without the vote's tenth of the mixture it is .06; on real panels that tenth is worth more than it costs here.
    """
    codes, truth = judges(9, 5000, [0.9, 0.8, 0.7, 0.75, 0.85], 3)
    found = estimate_truth(codes, 3)
    p, wrong = found.p_wrong.ravel(), (codes != truth[:, None]).ravel()
    for part in np.array_split(np.argsort(p), 10):
        assert p[part].mean() == pytest.approx(wrong[part].mean(), abs=0.11)


def test_reference_labels_correct_what_verdicts_cannot_show() -> None:
    """Nine near-copies share an error on a fifth of the items; without labels their word stands, 60 labels mend it."""
    rng = np.random.default_rng(10)
    truth = rng.integers(0, 2, 1500).astype(np.int16)
    crowd = copies(11, np.where(rng.random(1500) < 0.35, 0, truth), 9, 0.03)
    good = judges(12, 1500, [0.93])[0]
    good = np.where(rng.random(1500) < 0.93, truth, 1 - truth)[:, None].astype(np.int16)
    codes = np.hstack([crowd, good])
    gold = np.full(1500, -1, np.int16)
    gold[:60] = truth[:60]
    rest = slice(60, None)
    without, with_labels = estimate_truth(codes, 2), estimate_truth(codes, 2, gold=gold)
    assert (with_labels.consensus[rest] == truth[rest]).mean() > 0.9
    assert (with_labels.consensus[rest] == truth[rest]).mean() >= (without.consensus[rest] == truth[rest]).mean()
    assert with_labels.n_gold == 60
    assert "60 reference labels" in with_labels.why


def test_same_seed_same_answer_and_order_of_items_does_not_matter() -> None:
    codes, _ = judges(13, 300, [0.9, 0.7, 0.8, 0.6], 3)
    order = np.random.default_rng(0).permutation(300)
    first, second = estimate_truth(codes, 3, seed=1), estimate_truth(codes[order], 3, seed=1)
    assert second.posterior == pytest.approx(first.posterior[order], abs=1e-6)
    assert (estimate_truth(codes, 3, seed=1).posterior == first.posterior).all()


@pytest.mark.parametrize(
    ("codes", "k", "gold"),
    [
        (np.zeros((0, 2), np.int16), 2, None),
        (np.zeros((3, 0), np.int16), 2, None),
        (np.full((3, 2), 2, np.int16), 2, None),
        (np.zeros((3, 2), np.int16), 2, np.zeros(4, np.int16)),
        (np.zeros((3, 2), np.int16), 2, np.full(3, 5, np.int16)),
    ],
)
def test_input_that_does_not_fit_is_refused_in_words(codes: Codes, k: int, gold: Codes | None) -> None:
    with pytest.raises(InputError, match="expected"):
        estimate_truth(codes, k, gold=gold)


def _panel(folder: Path, sources: list[str], gold: str) -> tuple[Codes, Codes, int]:
    frame = pl.concat(
        [pl.read_parquet(folder / f"{s}.parquet").select("item_id", "judge", "judge_kind", "label") for s in sources]
    )
    frame = (
        frame.filter(pl.col("judge_kind") != "human")
        .drop_nulls("label")
        .unique(["item_id", "judge"], maintain_order=True)
    )
    truth = pl.read_parquet(folder / f"{gold}.gold.parquet").select("item_id", pl.col("gold").cast(pl.String))
    labels = frame["label"].unique().sort().to_list()
    wide = frame.with_columns(pl.col("label").replace_strict(labels, range(len(labels)), return_dtype=pl.Int16)).pivot(
        "judge", index="item_id", values="label"
    )
    wide = wide.join(truth, on="item_id").sort("item_id")
    code = wide["gold"].replace_strict(labels, range(len(labels)), default=-1, return_dtype=pl.Int16).to_numpy()
    return wide.drop("item_id", "gold").fill_null(-1).to_numpy().astype(np.int16), code, len(labels)


@pytest.mark.parametrize("name", ["xstest_v2_binary", "purseclab_rethinking"])
def test_nine_keyword_detectors_do_not_drown_the_others(panels: Path, name: str) -> None:
    """Plain Dawid-Skene falls to an AUROC of .57-.68 on these two; consensus keeps up with majority vote."""
    codes, truth, k = _panel(panels, [name, f"{name}__kw"], name)
    found = estimate_truth(codes, k)
    known = truth >= 0
    counts = (codes[:, :, None] == np.arange(k)).sum(axis=1)
    majority = (counts.argmax(axis=1) == truth)[known].mean()
    assert (found.consensus == truth)[known].mean() >= majority
    there = (codes >= 0) & known[:, None]
    value = roc_auc_score((codes != truth[:, None])[there], found.p_wrong[there])
    assert value > (0.84 if name == "xstest_v2_binary" else 0.74)
    assert found.effective_judges < 4
