"""Krippendorff's alpha on labels: 1 - observed / expected disagreement over pairable values.

Notation of Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability": m_u values in unit u, n_c how
often c was given among the n pairable values (those in units with m_u >= 2), o_ck = sum over units of the
ordered pairs (c, k) / (m_u - 1), and delta^2_ck the squared difference of the level of measurement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from interjudge.agreement.counts import Codes, Floats, Sums, ratio

# Up to this many ordered labels every pair's coincidences are counted; beyond, see alpha_scores.
MAX_ORDINAL: Final = 32


def pairable_features(counts: Floats) -> dict[str, Floats]:
    """What every coefficient needs of count vectors (n, K): `pairable` (n,) and `margin` (n, K), both 0 below
    two verdicts."""
    pairable = counts.sum(axis=1) >= 2
    return {"pairable": pairable.astype(np.float64), "margin": counts * pairable[:, None]}


def disagreement(counts: Floats, distance: Floats) -> Floats:
    """Sum over ordered pairs of an item's verdicts of delta^2, divided by m - 1, (n,)."""
    m = counts.sum(axis=1)
    return np.asarray(((counts @ distance) * counts).sum(axis=1) / np.maximum(m - 1, 1), dtype=np.float64)


def coincidences(counts: Floats) -> Floats:
    """o_ck + o_kc of each item for the label pairs c < k, (n, K (K - 1) / 2)."""
    c, k = np.triu_indices(counts.shape[1], 1)
    return np.asarray(2 * counts[:, c] * counts[:, k] / np.maximum(counts.sum(axis=1) - 1, 1)[:, None])


def nominal_terms(sums: Sums) -> tuple[Floats, Floats]:
    """Observed and expected disagreement at the nominal level, (...)."""
    margin = sums["margin"]
    n = margin.sum(axis=-1)
    expected = n**2 - (margin**2).sum(axis=-1)
    return ratio(sums["disagree:nominal"], n), ratio(expected, n * (n - 1))


def metric_terms(sums: Sums, level: str, distance: Floats) -> tuple[Floats, Floats]:
    """The same for fixed differences delta^2 (K, K): interval and ratio."""
    margin = sums["margin"]
    n = margin.sum(axis=-1)
    expected = ((margin @ distance) * margin).sum(axis=-1)
    return ratio(sums[f"disagree:{level}"], n), ratio(expected, n * (n - 1))


def ordinal_terms(sums: Sums) -> tuple[Floats, Floats]:
    """The same at the ordinal level, whose differences are those of the mid-ranks n_1 + ... + n_c - n_c / 2.

    Krippendorff's (sum of n_g from c to k, less half of n_c and n_k)^2 is that difference squared.
    """
    margin = sums["margin"]
    n = margin.sum(axis=-1)
    rank = np.cumsum(margin, axis=-1) - margin / 2
    rank = rank - n[..., None] / 2  # centred: the mean mid-rank is n / 2
    c, k = np.triu_indices(margin.shape[-1], 1)
    observed = (sums["coincidence"] * (rank[..., c] - rank[..., k]) ** 2).sum(axis=-1)
    expected = 2 * n * (margin * rank**2).sum(axis=-1) - 2 * (margin * rank).sum(axis=-1) ** 2
    scale = np.maximum(n, 1) ** 2
    return ratio(observed, n * scale), ratio(expected, n * (n - 1) * scale)


def corrected(observed: Floats, expected: Floats, zero: float = 0.0) -> Floats:
    """1 - observed / expected, NaN where no more than `zero` is expected to differ.

    The default is for alpha, whose expected disagreement is an exact zero in one category. Disagreement below
    zero is rounding: nothing agrees more than wholly.
    """
    return np.asarray(1 - ratio(np.maximum(observed, 0), expected, zero))


def alpha_features(level: str, distance: Floats) -> Callable[[Floats], dict[str, Floats]]:
    """The function of count vectors that `count_units` sums for alpha at one level."""

    def features(counts: Floats) -> dict[str, Floats]:
        found = pairable_features(counts)
        if level == "ordinal":
            found["coincidence"] = coincidences(counts)
        else:
            found[f"disagree:{level}"] = disagreement(counts, distance)
        return found

    return features


def alpha_terms(sums: Sums, level: str, distance: Floats) -> tuple[Floats, Floats]:
    """Observed and expected disagreement at a level."""
    if level == "nominal":
        return nominal_terms(sums)
    return ordinal_terms(sums) if level == "ordinal" else metric_terms(sums, level, distance)


def as_scores(codes: Codes, values: Floats) -> Floats:
    """Codes (N, J) as the numbers their labels stand for, NaN for none."""
    return np.append(values, np.nan)[codes]  # -1 is the last entry
