"""Statistics of two judges from their K x K table, and all pairs of a panel with their intervals.

Every formula takes tables (..., K, K) of counts or shares, rows the first judge, and is NaN where its
denominator is zero. Items without a verdict from both judges are left out of the pair (pairwise-available).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.alpha import corrected
from interjudge.agreement.counts import Codes, Floats, checked, ratio
from interjudge.agreement.degenerate import NEVER_GIVEN, NO_PAIRS, ZERO
from interjudge.agreement.intervals import estimates, mean_wilson, wilson
from interjudge.agreement.results import Estimate, Pair
from interjudge.agreement.tables import Formula, TableSums, apply, every_table, pair_tables, table_problem
from interjudge.agreement.weights import agreement_weights


def _shares(table: Floats) -> tuple[Floats, Floats, Floats]:
    """The table in shares, and each judge's marginal: p (..., K, K), rows (..., K), columns (..., K)."""
    n = table.sum(axis=(-2, -1), keepdims=True)
    p = ratio(table, n)
    return p, p.sum(axis=-1), p.sum(axis=-2)


def agreement(table: Floats) -> Floats:
    """Share of items with the same label."""
    return np.asarray(np.trace(_shares(table)[0], axis1=-2, axis2=-1))


def cohen_kappa(table: Floats, weights: Floats | None = None) -> Floats:
    """Cohen (1960); with `weights` (K, K), 1 on the diagonal, Cohen (1968). Undefined only where both judges
    give one and the same label."""
    p, row, column = _shares(table)
    w = np.eye(p.shape[-1]) if weights is None else weights
    expected = 1 - ((row @ w) * column).sum(axis=-1)
    return corrected(1 - (p * w).sum(axis=(-2, -1)), expected, ZERO)


def scott_pi(table: Floats) -> Floats:
    """Scott (1955): chance from the mean of both marginals."""
    p, row, column = _shares(table)
    pi = (row + column) / 2
    return corrected(1 - np.trace(p, axis1=-2, axis2=-1), 1 - (pi**2).sum(axis=-1), ZERO)


def gwet_ac1(table: Floats) -> Floats:
    """Gwet (2008): chance is sum pi (1 - pi) / (K - 1), K the labels of the question. NaN in one category."""
    p, row, column = _shares(table)
    k = p.shape[-1]
    pi = (row + column) / 2
    expected = 1 - (pi * (1 - pi)).sum(axis=-1) / max(k - 1, 1)
    return _in_use(pi, corrected(1 - np.trace(p, axis1=-2, axis2=-1), expected, ZERO))


def pabak(table: Floats) -> Floats:
    """Brennan and Prediger (1981), for two labels Byrt's PABAK: chance is 1 / K. NaN in one category."""
    p, row, column = _shares(table)
    k = p.shape[-1]
    agreed = np.trace(p, axis1=-2, axis2=-1)
    return _in_use(row + column, (agreed - 1 / k) / (1 - 1 / k) if k > 1 else np.full(agreed.shape, np.nan))


def _in_use(margin: Floats, value: Floats) -> Floats:
    return np.where((margin > ZERO).sum(axis=-1) > 1, value, np.nan)


def mcc(table: Floats) -> Floats:
    """Matthews (1975) for K labels (Gorodkin 2004). NaN where a judge never varies."""
    p, row, column = _shares(table)
    covariance = np.trace(p, axis1=-2, axis2=-1) - (row * column).sum(axis=-1)
    scale = (1 - (row**2).sum(axis=-1)) * (1 - (column**2).sum(axis=-1))
    return np.clip(ratio(covariance, np.sqrt(np.maximum(scale, 0)), ZERO), -1, 1)  # rounding steps over


def specific_agreement(table: Floats, label: int) -> Floats:
    """Dice: 2 n_cc / (n_c. + n_.c), agreement on one label (Cicchetti and Feinstein 1990)."""
    both, either = _both_either(table, label)
    return ratio(2 * both, both + either)


def _both_either(table: Floats, label: int) -> tuple[Floats, Floats]:
    """On how many items both judges gave the label, and at least one of them."""
    both = table[..., label, label]
    return both, table[..., label, :].sum(axis=-1) + table[..., :, label].sum(axis=-1) - both


def _collapsed(table: Floats, label: int) -> Floats:
    """Two by two: the label, and everything else."""
    both, either = _both_either(table, label)
    row, column = table[..., label, :].sum(axis=-1), table[..., :, label].sum(axis=-1)
    cells = [[both, row - both], [column - both, table.sum(axis=(-2, -1)) - either]]
    return np.stack([np.stack(line, axis=-1) for line in cells], axis=-2)


def kappa_weights(k: int, name: str) -> Floats:
    """`linear` or `quadratic` weights by the labels' places."""
    return agreement_weights(name, np.arange(k, dtype=np.float64))


_BOOTSTRAPPED: Final[dict[str, Formula]] = {
    "cohen_kappa": cohen_kappa,
    "scott_pi": scott_pi,
    "gwet_ac1": gwet_ac1,
    "mcc": mcc,
}


def _formulas(k: int, ordered: bool) -> dict[str, Formula]:
    if not ordered:
        return _BOOTSTRAPPED
    weighted = {f"cohen_kappa_{w}": partial(cohen_kappa, weights=kappa_weights(k, w)) for w in ("linear", "quadratic")}
    return _BOOTSTRAPPED | weighted


def all_pairs(
    codes: Codes,
    k: int,
    names: Sequence[str],
    *,
    ordered: bool = False,
    positive: int | None = None,
    clusters: NDArray[Any] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[Pair]:
    """Every two judges, in the order of `names`.

    ordered : the labels have an order, so weighted kappas apply; positive : the label whose specific agreement
    is asked for (`negative` is that on everything else). Intervals: see docs/statistics.md.
    """
    pairs = list(combinations(range(codes.shape[1]), 2))
    options: Any = {"clusters": clusters, "replicates": replicates, "seed": seed}
    return _pairs(checked(codes, k), k, pairs, names, ordered, positive, confidence, options)


def pair_estimates(
    codes: Codes,
    k: int,
    a: int,
    b: int,
    names: tuple[str, str],
    *,
    ordered: bool = False,
    positive: int | None = None,
    clusters: NDArray[Any] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Pair:
    """Judges a and b (columns of `codes`) under their `names`; the same as their entry of `all_pairs`."""
    options: Any = {"clusters": clusters, "replicates": replicates, "seed": seed}
    both = checked(codes[:, [a, b]], k)
    return _pairs(both, k, [(0, 1)], names, ordered, positive, confidence, options)[0]


def _pairs(
    codes: Codes,
    k: int,
    pairs: list[tuple[int, int]],
    names: Sequence[str],
    ordered: bool,
    positive: int | None,
    confidence: float,
    options: Any,
) -> list[Pair]:
    formulas = _formulas(k, ordered)
    specific = [] if positive is None else ["positive_agreement", "negative_agreement"]
    nothing = dict.fromkeys(["agreement", "pabak", *formulas, *specific], Estimate(n=0, undefined=NO_PAIRS))
    found: dict[int, dict[str, Estimate]] = {}
    for some, sums in every_table(codes, k, pairs, **options):
        columns = _rates(sums, positive, confidence)
        columns |= {name: _corrected(formula, sums, confidence) for name, formula in formulas.items()}
        found |= {p: {name: column[i] for name, column in columns.items()} for i, p in enumerate(some)}
    return [Pair(a=names[a], b=names[b], **found.get(p, nothing)) for p, (a, b) in enumerate(pairs)]


def _corrected(formula: Formula, sums: TableSums, confidence: float) -> list[Estimate]:
    value, low, high = apply(formula, sums, confidence)
    return estimates(value, low, high, sums.total.sum(axis=(1, 2)), [table_problem(t) for t in sums.total])


def _rates(sums: TableSums, positive: int | None, confidence: float) -> dict[str, list[Estimate]]:
    """What is a proportion in disguise takes Wilson's interval for that proportion."""
    total, k = sums.total, sums.total.shape[-1]
    tables = total[None] if sums.share is None else sums.share
    n = total.sum(axis=(1, 2))
    problems = [table_problem(t) for t in total]
    bounds = _bounds(np.trace(tables, axis1=-2, axis2=-1), tables.sum(axis=(-2, -1)), sums, confidence)
    # PABAK is agreement on another scale
    low, high = ((bound - 1 / k) / (1 - 1 / k) if k > 1 else bound for bound in bounds)
    found = {
        "agreement": estimates(agreement(total), *bounds, n, problems),
        "pabak": estimates(pabak(total), low, high, n, problems),
    }
    if positive is None:
        return found
    for name, label in (("positive_agreement", 0), ("negative_agreement", 1)):
        both, either = _both_either(_collapsed(tables, positive), label)
        # Dice is 2 S / (1 + S) of S = both / either (Jaccard), and S is a proportion of items
        low, high = (2 * bound / (1 + bound) for bound in _bounds(both, either, sums, confidence))
        value = specific_agreement(_collapsed(total, positive), label)
        found[name] = estimates(value, low, high, either.sum(axis=0), [NEVER_GIVEN] * n.size)
    return found


def _bounds(hit: Floats, among: Floats, sums: TableSums, confidence: float) -> tuple[Floats, Floats]:
    """Wilson's bounds for hit / among, both (units or 1, P)."""
    if sums.share is None:
        return wilson(ratio(hit[0], among[0]), among[0], confidence)
    weight = np.ones(hit.shape[0], dtype=np.int64)
    return mean_wilson(hit, among, weight, confidence, clustered=True)[1:]


def kappa_points(codes: Codes, k: int) -> Floats:
    """Cohen's kappa of every two judges without intervals, (J, J) with NaN where undefined and on the diagonal."""
    n_judges = codes.shape[1]
    found = np.full((n_judges, n_judges), np.nan)
    pairs = list(combinations(range(n_judges), 2))
    if pairs:
        a, b = np.array(pairs).T
        found[a, b] = found[b, a] = cohen_kappa(pair_tables(checked(codes, k), k, pairs)[0])
    return found


def kappa_means(codes: Codes, k: int) -> list[float | None]:
    """Each judge's mean kappa with the others, over the pairs where it is defined, (J,)."""
    found = kappa_points(codes, k)
    defined = np.isfinite(found)
    total = np.where(defined, found, 0.0).sum(axis=1)
    return [float(t) / int(c) if c else None for t, c in zip(total, defined.sum(axis=1), strict=True)]
