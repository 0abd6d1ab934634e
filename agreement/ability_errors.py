"""Who errs together: correlation of errors given the truth, estimated and against a reference."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.counts import Floats, ratio
from interjudge.agreement.degenerate import NO_PAIRS, ZERO
from interjudge.agreement.intervals import estimates
from interjudge.agreement.latent import LatentTruth
from interjudge.agreement.panel import Panel
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_trust import ErrorCorrelation, ErrorPair
from interjudge.agreement.sampling import MAX_PAIRED_JUDGES, Sampling
from interjudge.agreement.tables import apply, every_table

MAX_MATRIX: Final = 200
_CLASSES: Final = 8  # true labels told apart; the rarer ones beyond these count as one
NEVER_ERRS: Final = "a judge is always right or always wrong there"


def error_correlation(panel: Panel, truth: LatentTruth, sampling: Sampling) -> ErrorCorrelation:
    """The correlation given the estimated truth as it stands in `truth`; given the reference with intervals."""
    j = len(panel.judges)
    pairs: tuple[ErrorPair, ...] = ()
    if panel.gold is not None and (panel.gold >= 0).any() and j <= MAX_PAIRED_JUDGES:
        pairs = tuple(_pairs(panel, panel.gold, sampling))
    return ErrorCorrelation(estimated=_matrix(panel, truth) if j <= MAX_MATRIX else None, reference=pairs)


def _matrix(panel: Panel, truth: LatentTruth) -> tuple[tuple[float | None, ...], ...]:
    there = (panel.codes >= 0).astype(np.float32)
    shared = there.T @ there > 0
    return tuple(
        tuple(float(rho) if both else None for rho, both in zip(row, line, strict=True))
        for row, line in zip(truth.error_correlation, shared, strict=True)
    )


def _pairs(panel: Panel, gold: NDArray[np.int16], sampling: Sampling) -> list[ErrorPair]:
    known = gold >= 0
    codes, k = _error_codes(panel.codes[known], gold[known])
    options: Any = {"replicates": sampling.replicates, "seed": sampling.seed}
    options |= {
        name: None if part is None else part[known]
        for name, part in (("clusters", panel.clusters), ("weight", panel.gold_weight))
    }
    pairs = list(combinations(range(codes.shape[1]), 2))
    found = dict.fromkeys(range(len(pairs)), Estimate(undefined=NO_PAIRS))
    there = None if panel.gold_weight is None else codes >= 0
    for some, sums in every_table(codes, k, pairs, **options):
        value, low, high = apply(phi, sums, sampling.confidence)
        shared = sums.total.sum(axis=(1, 2))
        if there is not None:
            shared = np.array([(there[:, pairs[p][0]] & there[:, pairs[p][1]]).sum() for p in some])
        answers = estimates(value, low, high, shared, [NEVER_ERRS] * len(some))
        found |= dict(zip(some, answers, strict=True))
    return [ErrorPair(a=panel.names[a], b=panel.names[b], phi=found[p]) for p, (a, b) in enumerate(pairs)]


def _error_codes(codes: NDArray[np.int16], gold: NDArray[np.int16]) -> tuple[NDArray[np.int16], int]:
    """(N, J) 2 * true label + whether the verdict is wrong, -1 without one; and how many codes there are."""
    labels, index, count = np.unique(gold, return_inverse=True, return_counts=True)
    rank = np.empty(labels.size, np.int64)
    rank[np.argsort(-count, kind="stable")] = np.arange(labels.size)
    label = np.minimum(rank[index], _CLASSES - 1)[:, None]
    wrong = codes != gold[:, None]
    return np.where(codes >= 0, 2 * label + wrong, -1).astype(np.int16), 2 * min(labels.size, _CLASSES)


def phi(table: Floats) -> Floats:
    """Partial phi of the errors of two judges given the true label, of tables (..., 2 T, 2 T) of `_error_codes`.

    With e = 1 for a wrong verdict, sum over true labels t of cov(e_a, e_b | t) n_t, over the root of the product
    of the same sums of the variances: the correlation of what is left of the errors when each judge's error rate
    for each true label is taken out. With one true label it is the phi coefficient (Pearson 1900).
    """
    covariance, first, second = (np.zeros(table.shape[:-2]) for _ in range(3))
    for t in range(table.shape[-1] // 2):
        block = table[..., 2 * t : 2 * t + 2, 2 * t : 2 * t + 2]
        n = block.sum(axis=(-2, -1))
        n = np.where(n > 0, n, 1)
        a, b = block[..., 1, :].sum(axis=-1), block[..., :, 1].sum(axis=-1)
        covariance += block[..., 1, 1] - a * b / n
        first += a * (1 - a / n)
        second += b * (1 - b / n)
    scale = np.sqrt(np.maximum(first * second, 0))
    return np.asarray(np.clip(ratio(covariance, scale, ZERO), -1, 1))
