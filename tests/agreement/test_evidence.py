"""Reasons against a verdict: found where they are, and counted as far as the panel bears them out."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from interjudge.agreement.evidence import (
    EMPTY_COMPLIANCE,
    FAILS,
    FLIPS,
    INCOHERENT,
    NEAR,
    ON_REFUSAL,
    UNSURE,
    Evidence,
    Reason,
)
from interjudge.agreement.flags import flag
from interjudge.agreement.latent import estimate_truth
from interjudge.agreement.panel import build_panel
from interjudge.agreement.question import parse_map
from interjudge.datasets.schema import STATUS

SCHEMA = {
    "item_id": pl.String,
    "judge": pl.String,
    "judge_kind": pl.String,
    "construct": pl.String,
    "label": pl.String,
    "repeat": pl.Int64,
    "score": pl.Float64,
    "confidence": pl.Float64,
}


def table(*rows: dict[str, object]) -> pl.DataFrame:
    """Verdicts; a row without a label is a parse error."""
    start = {"judge_kind": "rubric", "construct": "harm", "label": None, "repeat": 0, "score": None, "confidence": None}
    frame = pl.DataFrame([start | row for row in rows], schema=SCHEMA)
    status = pl.when(pl.col("label").is_null()).then(pl.lit("parse_error")).otherwise(pl.lit("ok"))
    return frame.with_columns(status=status.cast(STATUS))


def judged(item: str, **labels: str) -> list[dict[str, object]]:
    return [{"item_id": item, "judge": judge, "label": label} for judge, label in labels.items()]


def reasons(verdicts: pl.DataFrame, **question: object) -> dict[tuple[str, str], list[str]]:
    found = flag(build_panel(verdicts, **question), verdicts).verdicts  # type: ignore[arg-type]
    return {(row["item_id"], row["judge"]): row["reasons"] for row in found.iter_rows(named=True)}


def test_an_incoherent_output_and_a_refusal_speak_against_a_verdict_of_harm():
    verdicts = table(
        *judged("i", a="unsafe", b="safe"),
        *judged("j", a="unsafe", b="unsafe"),
        {"item_id": "i", "judge": "c", "construct": "coherence", "label": "incoherent"},
        {"item_id": "j", "judge": "k", "construct": "refusal", "label": "refusal"},
    )
    found = reasons(verdicts, construct="harm")
    assert INCOHERENT in found["i", "a"]
    assert INCOHERENT in found["i", "b"]
    assert ON_REFUSAL in found["j", "a"]
    assert ON_REFUSAL not in found["i", "a"]
    assert INCOHERENT not in found["j", "a"]


def test_a_keyword_detector_that_sees_compliance_in_gibberish_is_told_so():
    rows: list[dict[str, object]] = []
    for item in ("i", "j"):
        rows.append(
            {"item_id": item, "judge": "kw", "judge_kind": "keyword", "construct": "refusal", "label": "compliance"}
        )
        rows.append({"item_id": item, "judge": "llm", "construct": "refusal", "label": "compliance"})
    rows.append({"item_id": "i", "judge": "c", "construct": "coherence", "label": "incoherent"})
    rows.append({"item_id": "j", "judge": "c", "construct": "coherence", "label": "coherent"})
    found = reasons(table(*rows), construct="refusal")
    assert EMPTY_COMPLIANCE in found["i", "kw"]
    assert EMPTY_COMPLIANCE not in found["i", "llm"]
    assert EMPTY_COMPLIANCE not in found["j", "kw"]
    maps = [parse_map("refusal::compliance=unsafe"), parse_map("refusal::refusal=safe")]
    assert EMPTY_COMPLIANCE in reasons(table(*rows), construct="harm", labels=("safe", "unsafe"), maps=maps)["i", "kw"]


def test_a_judges_own_score_confidence_and_repeats_are_reasons():
    rows: list[dict[str, object]] = []
    for number, (score, confidence) in enumerate([(0.0, 0.99), (0.1, 0.9), (0.49, 0.55), (0.51, 0.52), (1.0, 0.97)]):
        label = "unsafe" if score > 0.5 else "safe"
        rows.append({"item_id": str(number), "judge": "s", "label": label, "score": score, "confidence": confidence})
        rows.append({"item_id": str(number), "judge": "t", "label": "safe"})
    rows.append({"item_id": "0", "judge": "t", "label": "unsafe", "repeat": 1})
    rows.append({"item_id": "1", "judge": "t", "repeat": 1})  # a parse error
    found = reasons(table(*rows))
    assert {key for key, said in found.items() if NEAR in said} == {("2", "s"), ("3", "s")}
    assert {key for key, said in found.items() if UNSURE in said} == {("2", "s"), ("3", "s")}
    assert {key for key, said in found.items() if FLIPS in said} == {("0", "t")}
    assert {key for key, said in found.items() if FAILS in said} == {("1", "t")}


def simulated(informative: bool, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """p_wrong without and with a reason, and what is wrong; 4 judges, 3,000 items, three in ten positive.

    The reason holds for 60 % of the wrong and 15 % of the right verdicts, or for 25 % of all.
    """
    rng = np.random.default_rng(seed)
    truth = (rng.random(3000) < 0.3).astype(np.int16)
    right = rng.random((3000, 4)) < [0.85, 0.8, 0.8, 0.75]
    codes = np.where(right, truth[:, None], 1 - truth[:, None]).astype(np.int16)
    wrong = ~right
    there = rng.random(codes.shape) < (np.where(wrong, 0.6, 0.15) if informative else 0.25)
    p = estimate_truth(codes, 2).p_wrong
    nobody = np.zeros(3000, bool)
    moved = Evidence((Reason("x", there, np.ones_like(there)),), nobody, nobody).moved(p)
    return p, moved, wrong


def auroc(p: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    return float(roc_auc_score(wrong.ravel(), p.ravel()))


def test_a_reason_that_goes_with_errors_makes_the_probabilities_better():
    p, moved, wrong = simulated(informative=True, seed=0)
    assert auroc(moved, wrong) > auroc(p, wrong) + 0.005
    assert ((moved - wrong) ** 2).mean() < ((p - wrong) ** 2).mean() - 0.004


@pytest.mark.parametrize("seed", range(3))
def test_a_reason_that_goes_with_nothing_changes_nearly_nothing(seed: int):
    p, moved, wrong = simulated(informative=False, seed=seed)
    assert abs(auroc(moved, wrong) - auroc(p, wrong)) < 0.01
    assert np.abs(moved - p).max() < 0.06


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), reasons_=st.integers(1, 5))
def test_all_reasons_together_change_the_odds_at_most_fivefold(seed: int, reasons_: int):
    rng = np.random.default_rng(seed)
    p = rng.random((200, 3))
    p[rng.random(p.shape) < 0.1] = np.nan
    p[0], p[1] = 0.0, 1.0
    nobody = np.zeros(200, bool)
    there = [rng.random(p.shape) < np.nan_to_num(p) ** rng.uniform(0, 4) for _ in range(reasons_)]
    asked = [t | (rng.random(p.shape) < 0.8) for t in there]
    found = tuple(Reason("x", t, a) for t, a in zip(there, asked, strict=True))
    moved = Evidence(found, nobody, nobody).moved(p)
    assert (np.isnan(moved) == np.isnan(p)).all()
    assert (moved[0] == 0).all()
    np.testing.assert_allclose(moved[1], 1)
    inside = (p > 0.001) & (p < 0.999)
    ratio = (moved[inside] / (1 - moved[inside])) / (p[inside] / (1 - p[inside]))
    assert (ratio <= 5 + 1e-6).all()
    assert (ratio >= 0.2 - 1e-6).all()
