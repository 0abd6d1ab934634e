"""Concordance: entropy by hand, scipy's entropy, bands, and its distance from correctness."""

from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from interjudge.agreement.concordance import concordance, item_concordance, majority
from interjudge.agreement.panel import Panel, build_panel
from interjudge.agreement.question import Question
from interjudge.agreement.rows import PanelJudge
from interjudge.datasets.reference import read_reference
from interjudge.datasets.verdicts import read_verdicts


def panel_of(codes: np.ndarray, k: int, gold: list[int] | None = None, clusters: np.ndarray | None = None) -> Panel:
    n, n_judges = codes.shape
    return Panel(
        question=Question("harm", tuple(f"l{i}" for i in range(k)), None),
        judges=tuple(PanelJudge(f"j{j}", "rubric", "harm") for j in range(n_judges)),
        codes=np.asfortranarray(codes.astype(np.int16)),
        statuses=np.zeros(codes.shape, np.uint8, order="F"),
        items=pl.DataFrame({"item_id": [str(i) for i in range(n)]}, schema={"item_id": pl.String}),
        clusters=clusters,
        gold=None if gold is None else np.array(gold, np.int16),
    )


def test_concordance_by_hand() -> None:
    """Two of three for one label: H = log 3 - (2/3) log 2 = .6365; of two labels 1 - .6365 / log 2 = .0817."""
    codes = np.array([[0, 0, 0], [0, 0, 1], [0, 1, -1], [1, -1, -1], [-1, -1, -1]])
    found = item_concordance(codes, 2)
    assert found[:3] == pytest.approx([1, 1 - (log(3) - 2 / 3 * log(2)) / log(2), 0])
    assert np.isnan(found[3:]).all()


def test_three_votes_on_fifty_labels_can_be_as_split_as_three_votes_get() -> None:
    assert item_concordance(np.array([[3, 17, 40]]), 50) == pytest.approx([0.0], abs=1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 6), st.integers(2, 9), st.integers(0, 10_000))
def test_equals_scipys_entropy(k: int, n_judges: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(-1, k, (12, n_judges))
    for row, value in zip(codes, item_concordance(codes, k), strict=True):
        counts = np.bincount(row[row >= 0], minlength=k)
        if counts.sum() < 2:
            assert np.isnan(value)
        else:
            most = log(min(int(counts.sum()), k)) if k > 1 else 1.0
            assert value == pytest.approx(1 - stats.entropy(counts) / most, abs=1e-9)
            assert 0 <= value <= 1


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.permutations(range(4)), st.permutations(range(3)))
def test_names_of_labels_and_judges_do_not_matter(seed: int, judges: list[int], labels: list[int]) -> None:
    codes = np.random.default_rng(seed).integers(0, 3, (10, 4))
    renamed = np.array(labels)[codes][:, judges]
    assert item_concordance(renamed, 3) == pytest.approx(item_concordance(codes, 3))


def test_the_majority_has_no_say_where_votes_are_tied() -> None:
    codes = np.array([[0, 0, 1], [0, 1, -1], [2, 2, 2], [-1, -1, -1]])
    assert majority(codes, 3).tolist() == [0, -1, 2, -1]


def test_bands_and_accuracy() -> None:
    """Ten items all for label 0, two of them wrong; four with votes 2 to 1, three right; two ties, without a say."""
    codes = np.array([[0, 0, 0]] * 10 + [[0, 0, 1]] * 4 + [[0, 1, -1]] * 2)
    gold = [0] * 8 + [1] * 2 + [0] * 3 + [1] + [0] * 2
    found = concordance(panel_of(codes, 2, gold))
    last, first = found.bands[-1], found.bands[0]
    assert (last.low, last.n, last.share.value) == (1.0, 10, pytest.approx(10 / 16))
    assert last.accuracy is not None
    assert (last.accuracy.value, last.accuracy.n) == (pytest.approx(0.8), 10)
    assert first.accuracy is not None
    assert (first.n, first.accuracy.value, first.accuracy.n) == (6, pytest.approx(0.75), 4)
    assert found.accuracy is not None
    assert (found.accuracy.value, found.n_referenced, found.unanimous_wrong) == (pytest.approx(11 / 14), 14, 2)
    assert found.mean.value == pytest.approx((10 + 4 * item_concordance(codes[10:11], 2)[0]) / 16)
    assert sum(band.n for band in found.bands) == 16
    assert "not correctness" in found.note


def test_a_consensus_of_ones_own() -> None:
    codes = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 1]])
    found = concordance(panel_of(codes, 2, [1, 1, 0]), np.array([1, 1, 1]))
    assert found.accuracy is not None
    assert found.accuracy.value == pytest.approx(2 / 3)
    assert found.unanimous_wrong == 1


def test_judges_with_a_shared_error_are_concordant_and_wrong() -> None:
    found = concordance(panel_of(np.zeros((50, 5), int), 2, [1] * 50))
    assert (found.mean.value, found.bands[-1].accuracy.value, found.unanimous_wrong) == (1.0, 0.0, 50)  # type: ignore[union-attr]  # there is a reference


def test_clusters_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat(rng.integers(0, 2, (40, 3)), 10, axis=0)
    alone = concordance(panel_of(codes, 2)).mean
    units = concordance(panel_of(codes, 2, clusters=np.repeat(np.arange(40), 10))).mean
    assert units.value == pytest.approx(alone.value)
    assert (units.ci_high or 0) - (units.ci_low or 0) > 2 * ((alone.ci_high or 0) - (alone.ci_low or 0))


@pytest.mark.parametrize(
    ("codes", "why"),
    [
        (np.empty((0, 3), int), "no items"),
        (np.zeros((4, 1), int), "one judge"),
        (np.array([[0, -1], [-1, 1]]), "no pairable items"),
    ],
)
def test_what_does_not_exist_is_said_in_words(codes: np.ndarray, why: str) -> None:
    found = concordance(panel_of(codes, 2, [0] * len(codes)))
    assert (found.mean.undefined, found.bands, found.accuracy) == (why, (), None)


def test_scores_have_no_concordance() -> None:
    panel = replace(panel_of(np.zeros((3, 2), int), 2), scores=np.zeros((3, 2)))
    assert concordance(panel).mean.undefined == "these judges give scores, not labels"


def test_on_real_verdicts_unanimity_is_no_proof(panels: Path) -> None:
    """xstest_v2_binary holds 2,250 items; two automatic judges agree on .853 of 2,239 (kappa .698 in its README)."""
    verdicts = read_verdicts([panels / "xstest_v2_binary.parquet"])
    verdicts = verdicts.filter(pl.col("judge").is_in(["gpt4", "strmatch"]))
    gold = read_reference(panels / "xstest_v2_binary.gold.parquet")
    panel = build_panel(verdicts, reference=gold)
    found = concordance(panel)
    agreed = (panel.codes[:, 0] == panel.codes[:, 1]) & (panel.codes >= 0).all(axis=1)
    assert found.bands[-1].n == agreed.sum()
    assert panel.gold is not None
    assert found.unanimous_wrong == (agreed & (panel.codes[:, 0] != panel.gold) & (panel.gold >= 0)).sum()
    assert (found.unanimous_wrong or 0) > 100
