"""Chance-corrected coefficients of a whole panel as functions of sums over sampling units.

Each is 1 - observed / expected disagreement. With missing verdicts Fleiss, Conger, Gwet and Brennan-Prediger
follow Gwet (2014, Handbook of Inter-Rater Reliability, 4th edition, chapters 2-5): agreement from the items
with two verdicts or more, each item counting once; label shares from every item with a verdict. Alpha has its
own convention: see `alpha`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from interjudge.agreement.alpha import alpha_terms, coincidences, corrected, disagreement, pairable_features
from interjudge.agreement.counts import Floats, Sums, ratio
from interjudge.agreement.degenerate import ZERO

GWET: Final = "agreement on items with two verdicts or more, label shares from all verdicts (Gwet 2014)"
PAIRABLE: Final = "pairable values (Krippendorff 2011)"
PAIRWISE: Final = "mean over pairs of judges, each on the items both judged (Cohen 1960)"

Terms = Callable[[Sums], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Statistic:
    """One coefficient: `terms` answers its observed and expected disagreement from sums (...).

    fixed : the weights whose agreement it is a linear function of, where the expected disagreement is a
    constant (its interval is then Wilson's), else None; own_chance : where nobody disagrees its lower bound
    comes from its own expected disagreement, not from that of the label shares; zero : see `corrected`.
    """

    name: str
    level: str
    convention: str
    terms: Terms
    fixed: str | None = None
    own_chance: bool = False
    zero: float = ZERO

    def value(self, sums: Sums) -> Floats:
        return corrected(*self.terms(sums), self.zero)


def count_features(counts: Floats, weights: Mapping[str, Floats], metrics: Mapping[str, Floats]) -> dict[str, Floats]:
    """What the coefficients need of count vectors (n, K): Gwet's agreement of each item under each set of
    weights (K, K), its label shares, and the parts of alpha at each level."""
    m = counts.sum(axis=1)
    found = pairable_features(counts)
    found |= {"rated": (m >= 1).astype(np.float64), "share": counts / np.maximum(m, 1)[:, None]}
    for name, w in weights.items():
        # every ordered pair of an item's verdicts agrees to the degree w; a verdict is no pair with itself
        found[f"agree:{name}"] = ((counts @ w - 1) * counts).sum(axis=1) / np.maximum(m * (m - 1), 1)
    for level, distance in metrics.items():
        if level == "ordinal":
            found["coincidence"] = coincidences(counts)
        else:
            found[f"disagree:{level}"] = disagreement(counts, distance)
    return found


def _observed(sums: Sums, weight: str) -> Floats:
    return np.asarray(1 - ratio(sums[f"agree:{weight}"], sums["pairable"]))


def label_shares(sums: Sums) -> Floats:
    """pi (..., K): the mean over items of each label's share of the item's verdicts."""
    return ratio(sums["share"], sums["rated"][..., None])


def fleiss_terms(sums: Sums, weight: str, w: Floats) -> tuple[Floats, Floats]:
    """Fleiss (1971): chance is sum w_kl pi_k pi_l."""
    pi = label_shares(sums)
    return _observed(sums, weight), 1 - ((pi @ w) * pi).sum(axis=-1)


def gwet_terms(sums: Sums, weight: str, w: Floats) -> tuple[Floats, Floats]:
    """Gwet's AC1 (2008) and AC2: chance is sum w / (K (K - 1)) * sum pi (1 - pi)."""
    pi = label_shares(sums)
    k = max(w.shape[0], 2)
    return _observed(sums, weight), 1 - w.sum() / (k * (k - 1)) * (pi * (1 - pi)).sum(axis=-1)


def constant_terms(sums: Sums, weight: str, chance: float) -> tuple[Floats, Floats]:
    """Brennan and Prediger (1981): chance is sum w / K^2; percent agreement: chance is 0."""
    observed = _observed(sums, weight)
    return observed, np.full(np.shape(observed), 1 - chance)


def conger_terms(sums: Sums, weight: str, w: Floats) -> tuple[Floats, Floats]:
    """Conger (1980): chance is the mean over all pairs of judges of Cohen's, from each one's label shares.

    `judges` (..., J * K) are each judge's label counts. A judge without a verdict is no judge here.
    """
    *rows, width = sums["judges"].shape
    given = sums["judges"].reshape(*rows, width // w.shape[0], w.shape[0])
    size = given.sum(axis=-1, keepdims=True)
    p = np.nan_to_num(ratio(given, size))
    r = (size[..., 0] > 0).sum(axis=-1)
    whole = p.sum(axis=-2)
    pairs = ((whole @ w) * whole).sum(axis=-1) - ((p @ w) * p).sum(axis=(-2, -1))
    return _observed(sums, weight), 1 - pairs / np.maximum(r * (r - 1), 1)


def alpha_statistic(level: str, distance: Floats) -> Statistic:
    """Krippendorff's alpha at a level; its expected disagreement is an exact zero in one category."""
    terms = partial(alpha_terms, level=level, distance=distance)
    return Statistic("krippendorff_alpha", level, PAIRABLE, terms, zero=0.0)


def weighted_name(base: str, weight: str, first: str | None) -> str:
    """`gwet_ac2` for the `first` weights of a level, else the name with the weights behind it."""
    if weight == "identity":
        return base
    if base == "gwet_ac1":
        return "gwet_ac2" if weight == first else f"gwet_ac2_{weight}"
    return f"{base}_{weight}"


def count_statistics(level: str, weights: Mapping[str, Floats]) -> list[Statistic]:
    """The statistics that look at how often each label was given to an item, whoever gave it."""
    agreement = partial(constant_terms, weight="identity", chance=0.0)
    found = [Statistic("percent_agreement", "nominal", GWET, agreement, "identity")]
    first = next((name for name in weights if name != "identity"), None)
    for name, w in weights.items():
        scale, words = ("nominal", GWET) if name == "identity" else (level, f"{name} weights; {GWET}")
        constant = partial(constant_terms, weight=name, chance=float(w.sum()) / w.size)
        fleiss, gwet = (partial(terms, weight=name, w=w) for terms in (fleiss_terms, gwet_terms))
        found += [
            Statistic(weighted_name("fleiss_kappa", name, first), scale, words, fleiss),
            Statistic(weighted_name("gwet_ac1", name, first), scale, words, gwet, own_chance=True),
            Statistic(weighted_name("brennan_prediger", name, first), scale, words, constant, name),
        ]
    return found


def judge_statistics(level: str, weights: Mapping[str, Floats]) -> list[Statistic]:
    """The statistics that need each judge's own label shares."""
    found = []
    for name, w in weights.items():
        scale, words = ("nominal", GWET) if name == "identity" else (level, f"{name} weights; {GWET}")
        terms = partial(conger_terms, weight=name, w=w)
        found.append(Statistic(weighted_name("conger_kappa", name, None), scale, words, terms))
    return found
