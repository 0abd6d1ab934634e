"""A judge against the reference: accuracy, sensitivity, specificity, Youden's J, kappa."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.intervals import proportion
from interjudge.agreement.pairwise import cohen_kappa
from interjudge.agreement.results import Estimate
from interjudge.agreement.rows import Codes
from interjudge.agreement.tables import table_estimates

Floats = NDArray[np.float64]


def against_reference(
    codes: Codes,
    gold: Codes,
    k: int,
    *,
    positive: int | None,
    clusters: NDArray[np.int64] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Estimate]:
    """Five estimates on the items that have both a verdict and a reference label.

    codes, gold : (N,) label of the judge and of the reference, -1 none. positive : the label that sensitivity
    (share of its items the judge gives it to) and specificity (share of the other items the judge gives
    another label to) speak of; with more than two labels it stands against all others. Youden (1950):
    J = sensitivity + specificity - 1.

    Accuracy, sensitivity and specificity have Wilson intervals; J and kappa bootstrap intervals.
    """
    both = (codes >= 0) & (gold >= 0)
    mine, true = codes[both], gold[both]
    units = None if clusters is None else clusters[both]

    def share(hit: NDArray[np.bool_], among: NDArray[np.bool_], otherwise: str) -> Estimate:
        found = proportion(hit[among], clusters=None if units is None else units[among], confidence=confidence)
        return found if found.value is not None else Estimate(n=0, undefined=otherwise)

    options: Any = {"clusters": clusters, "replicates": replicates, "seed": seed, "confidence": confidence}
    everything = np.ones(mine.size, bool)
    answer = {"accuracy": share(mine == true, everything, "no item has both a verdict and a reference label")}
    if positive is None:
        words = "no positive label" if k != 1 else "one label"
        answer |= dict.fromkeys(("sensitivity", "specificity", "youden_j"), Estimate(n=mine.size, undefined=words))
        return answer | table_estimates({"cohen_kappa": cohen_kappa}, codes, gold, k, **options)
    is_positive = true == positive
    answer["sensitivity"] = share(mine == positive, is_positive, "no item of the positive label in the reference")
    answer["specificity"] = share(mine != positive, ~is_positive, "no item of another label in the reference")

    def youden_j(table: Floats) -> Floats:
        return _youden_j(table, positive)

    reasons = {"youden_j": "the reference has one category"}
    both_formulas = {"youden_j": youden_j, "cohen_kappa": cohen_kappa}
    return answer | table_estimates(both_formulas, codes, gold, k, reasons=reasons, **options)


def _youden_j(table: Floats, positive: int) -> Floats:
    """Of tables (..., K, K) with the judge in rows and the reference in columns; NaN with an empty column."""
    hit = table[..., positive, positive]
    true = table[..., :, positive].sum(axis=-1)
    false = table.sum(axis=(-2, -1)) - true
    alarm = table[..., positive, :].sum(axis=-1) - hit
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(hit / true - alarm / false)
