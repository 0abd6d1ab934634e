"""Rates of groups of outputs (models, or models on a benchmark), their differences, and how judges rank the models.

A rate is a ratio of two sums over sampling units. Two models that answered the same prompts are not independent:
the covariance of their rates over the units enters the interval of the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special, stats
from scipy.sparse import csgraph

from interjudge.agreement.counts import Codes, Floats, assign, dense, ratio
from interjudge.agreement.degenerate import NO_ITEMS, ZERO
from interjudge.agreement.intervals import Resampler, bca_interval, estimate, estimates, wilson
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_models import Denominator, ModelRate, RankAgreement
from interjudge.agreement.sampling import MAX_PAIRED_JUDGES, Sampling
from interjudge.errors import InputError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MAX_RANKED: Final = 200  # models; 19,900 pairs
NO_OTHER: Final = "no verdicts on one of the models"
_DENSE: Final = 1 << 25  # floats of a table that is worth being dense
_UNITS: Final = 2_048  # resampled for the ranks


def sampling_units(clusters: NDArray[Any] | None, pair_by: Ints | None, n_items: int) -> Ints | None:
    """(N,) number of each item's unit, or None where every item is its own: items that share a cluster or a prompt,
    directly or over others, are one unit. A prompt number below 0 is no prompt.

    Where that would make one unit of all, the clusters alone count, for they are what the user stated.
    """
    if pair_by is None:
        return None if clusters is None else np.asarray(clusters, dtype=np.int64)
    if pair_by.shape != (n_items,):
        raise InputError("pair_by does not match the items", found=pair_by.shape, expected=f"({n_items},)")
    alone = pair_by < 0
    prompt = pair_by.astype(np.int64)
    prompt[alone] = prompt.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    if clusters is None:
        return prompt
    (left, n_left), (right, n_right) = dense(clusters), dense(prompt)
    size = n_left + n_right
    edges = sparse.coo_array((np.ones(n_items, np.int8), (left, n_left + right)), shape=(size, size))
    n_units, unit = csgraph.connected_components(edges, directed=False)
    return np.asarray(clusters if n_units < 2 else unit[left], dtype=np.int64)


@dataclass(frozen=True)
class Ratio:
    """G ratios of sums, one a group. `value`, `total` (the denominators), `size` (effective sample size), `freedom`
    (0: units are items, no correction), `units` (G,); `items` (G,): `total`, or with design weights as many items as
    they leave; `pull` (C,): each cell's share in the value's deviation."""

    value: Floats
    total: Floats
    size: Floats
    freedom: Floats
    units: Floats
    items: Floats
    pull: Floats

    def bounds(self, confidence: float) -> tuple[Floats, Floats]:
        """Wilson's interval on the effective size, as `intervals.mean_wilson` makes it."""
        level = (1 + confidence) / 2
        t = np.where(self.freedom > 0, special.stdtrit(np.maximum(self.freedom, 1), level), special.ndtri(level))
        inner = (self.value > ZERO) & (self.value < 1 - ZERO)
        return wilson(self.value, np.where(inner, self.size * (special.ndtri(level) / t) ** 2, self.size), confidence)


class Cells:
    """Items gathered into the cells (group, unit) that hold any.

    group : (N,) 0 .. n_groups - 1, or -1 for an item that does not count; unit : (N,) or None, each item its own;
    clustered : the units are clusters even where none holds two items of one group.
    """

    def __init__(self, group: Ints, unit: Ints | None, n_groups: int, *, clustered: bool = False) -> None:
        self.n_groups = n_groups
        self.items = np.flatnonzero(group >= 0)
        inside = group[self.items]
        self.index: NDArray[np.intp] | None = None
        self.group, self.unit, self.n_units = inside, None, inside.size
        self.clustered = False
        if unit is not None:
            numbers, self.n_units = dense(unit[self.items])
            key = inside * max(self.n_units, 1) + numbers
            self.index, size = dense(key)
            keys = np.empty(size, dtype=np.int64)
            keys[self.index] = key
            self.group, self.unit = keys // max(self.n_units, 1), keys % max(self.n_units, 1)
            self.clustered = clustered or size < self.items.size
        # cells of shared units stand in the order of their groups, so that their sums are those of stretches
        self.first = None if unit is None else np.flatnonzero(np.diff(self.group, prepend=-1))

    def sums(self, values: NDArray[Any]) -> Floats:
        """(N,) -> (C,), the total in each cell."""
        inside = values[self.items]
        if self.index is None:
            return inside.astype(np.float64)
        return np.bincount(self.index, inside, self.group.size).astype(np.float64)

    def by_group(self, cells: NDArray[Any]) -> Floats:
        """(C,) -> (G,)."""
        if self.first is None:
            return np.bincount(self.group, cells, self.n_groups).astype(np.float64)
        out = np.zeros(self.n_groups)
        if self.first.size:
            out[self.group[self.first]] = np.add.reduceat(cells.astype(np.float64, copy=False), self.first)
        return out

    def ratio(self, top: NDArray[Any], bottom: NDArray[Any], *, weighted: bool = False) -> Ratio:
        """Sum of top / sum of bottom in every group; (N,) each, 0 <= top <= bottom. weighted: as for `mean_wilson`."""
        num, den = self.sums(top), self.sums(bottom)
        total = self.by_group(den)
        p = ratio(self.by_group(num), total)
        units = np.nan_to_num(ratio(total**2, self.by_group(den**2))) if weighted else self.by_group(den > 0)
        known = np.nan_to_num(p)
        pull = (num - known[self.group] * den) / np.where(total > 0, total, 1.0)[self.group]
        spread = self.by_group(pull**2)
        apart = self.clustered or weighted
        end = units if apart else total
        size = np.divide(known * (1 - known), spread, out=end.copy(), where=spread > ZERO / np.maximum(total, 1) ** 2)
        inner = (known > ZERO) & (known < 1 - ZERO)
        freedom = np.maximum(units - 1, 1) if apart else np.zeros_like(units)
        if apart:
            size = size * freedom / np.maximum(units, 1)
        items = units if weighted else total
        return Ratio(p, total, np.where(inner, size, end), freedom, units, items, pull)

    def covariance(self, pull: Floats, a: Ints, b: Ints) -> Floats:
        """(P,) sum over units of the product of the pulls of groups a and b; 0 where units are items."""
        if self.unit is None or not a.size:
            return np.zeros(a.size)
        shape = (self.n_groups, max(self.n_units, 1))
        if shape[0] * shape[1] <= min(max(4 * pull.size, 1 << 20), _DENSE) and shape[0] ** 2 <= _DENSE:
            table = np.zeros(shape)
            table[self.group, self.unit] = pull
            return np.asarray((table @ table.T)[a, b])
        thin = sparse.csr_array((pull, (self.group, self.unit)), shape=shape)
        if a.size <= 2 * self.n_groups:  # few pairs: their rows alone
            return np.asarray(thin[a].multiply(thin[b]).sum(axis=1), dtype=np.float64)
        return np.asarray(sparse.csr_array(thin @ thin.T)[a, b], dtype=np.float64)

    def together(self, first: Floats, second: Floats) -> Floats:
        """(G,) the same within each group, of two ratios."""
        return self.by_group(first * second)


def correlation(covariance: Floats, first: Floats, second: Floats, correction: Floats | float = 0.0) -> Floats:
    """From covariance and variances; a positive covariance is first reduced by `correction`, at most to 0."""
    reduced = np.where(covariance > 0, np.maximum(covariance - correction, 0), covariance)
    return np.clip(np.nan_to_num(ratio(reduced, np.sqrt(first * second))), -1, 1)


def difference_bounds(
    a: tuple[Floats, Floats, Floats], b: tuple[Floats, Floats, Floats], phi: Floats | float = 0.0
) -> tuple[Floats, Floats]:
    """Interval of a - b from (value, low, high) of each and the correlation `phi` of the two estimates.

    Square and add: Newcombe (1998a, Stat. Med. 17:873, method 10) for independent proportions, phi = 0; Newcombe
    (1998b, Stat. Med. 17:2635, method 10) for paired ones; Zou and Donner (2008, Stat. Med. 27:1693) for any two.
    """
    (p, p_low, p_high), (q, q_low, q_high) = a, b
    below = (p - p_low) ** 2 - 2 * phi * (p - p_low) * (q_high - q) + (q_high - q) ** 2
    above = (p_high - p) ** 2 - 2 * phi * (p_high - p) * (q - q_low) + (q - q_low) ** 2
    d = p - q
    return d - np.sqrt(np.maximum(below, 0)), d + np.sqrt(np.maximum(above, 0))


@dataclass(frozen=True)
class Figures:
    """Rates of the positive label in G groups under J judges, and the differences of P pairs of groups (a minus b).

    rate, low, high, n : (G, J); difference, below, above : (P, J), NaN where one of the groups has no verdict;
    paired : (P, J) whether the two groups share units under the judge. pairs : (P, 2).
    """

    pairs: Ints
    rate: Floats
    low: Floats
    high: Floats
    n: Floats
    difference: Floats
    below: Floats
    above: Floats
    paired: Bools

    @property
    def sign(self) -> NDArray[np.int8]:
        """(P, J) -1, 0 or 1; 0 also where there is no difference to speak of."""
        return np.asarray(np.sign(np.nan_to_num(self.difference)), dtype=np.int8)

    @property
    def clear(self) -> NDArray[np.int8]:
        """(P, J) the sign where the interval excludes 0, else 0."""
        wide = self.above - self.below > ZERO  # an interval of no width is no interval
        return np.asarray(((self.below > 0) & wide).astype(np.int8) - ((self.above < 0) & wide), dtype=np.int8)

    def rates(self, group: int) -> list[Estimate]:
        """One group under every judge."""
        reasons = [NO_ITEMS] * self.rate.shape[1]
        return estimates(self.rate[group], self.low[group], self.high[group], self.n[group], reasons)

    def change(self, pair: int) -> list[Estimate]:
        """The difference of one pair under every judge."""
        a, b = self.pairs[pair]
        n, reasons = self.n[a] + self.n[b], [NO_OTHER] * self.rate.shape[1]
        return estimates(self.difference[pair], self.below[pair], self.above[pair], n, reasons)


def model_figures(codes: Codes, positive: int, cells: Cells, pairs: Ints, confidence: float) -> Figures:
    """Rates and differences under every judge.

    The interval of a difference is `difference_bounds` with the correlation of the two rates over the units. With
    one output of each group to every prompt it is Newcombe's for pairs, his continuity correction of half an item
    included; with clusters the rates' intervals are the clusters'.
    """
    n_judges = codes.shape[1]
    shape = (cells.n_groups, n_judges)
    rate, low, high, n = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)
    phi, paired = np.zeros((len(pairs), n_judges)), np.zeros((len(pairs), n_judges), dtype=bool)
    a, b = pairs.T
    for j in range(n_judges):
        code = codes[:, j]
        if cells.unit is None:
            inside = code[cells.items]
            state = cells.group * 3 + (inside >= 0) + (inside == positive)
            table = np.bincount(state, minlength=3 * cells.n_groups).reshape(-1, 3)
            n[:, j] = table[:, 1] + table[:, 2]
            rate[:, j] = ratio(table[:, 2].astype(np.float64), n[:, j])
            low[:, j], high[:, j] = wilson(rate[:, j], n[:, j], confidence)
            continue
        found = cells.ratio(code == positive, code >= 0)
        rate[:, j], n[:, j] = found.value, found.total
        low[:, j], high[:, j] = found.bounds(confidence)
        there = (cells.sums(code >= 0) > 0).astype(np.float64)
        paired[:, j] = cells.covariance(there, a, b) >= 2
        spread = cells.by_group(found.pull**2)
        one = np.nan_to_num(ratio(np.ones_like(found.total), found.total))
        shared = cells.covariance(found.pull, a, b)
        phi[:, j] = np.where(paired[:, j], correlation(shared, spread[a], spread[b], one[a] * one[b] / 2), 0.0)
    first, second = (rate[a], low[a], high[a]), (rate[b], low[b], high[b])
    below, above = difference_bounds(first, second, phi)
    return Figures(pairs, rate, low, high, n, rate[a] - rate[b], below, above, paired)


def model_rates(
    judges: Sequence[str], models: Sequence[str], bases: Mapping[str, str], figures: Figures, group: Ints
) -> tuple[ModelRate, ...]:
    """The rates as records; group : (N,) number of each item's model, or -1."""
    size = np.bincount(group[group >= 0], minlength=len(models))
    ranks = places(figures.rate)
    return tuple(
        ModelRate(
            model=m,
            base_model=bases.get(m),
            judge=judge,
            rate=rate,
            n_missing=int(size[i]) - rate.n,
            rank=int(ranks[i, j]) or None,
        )
        for i, m in enumerate(models)
        for j, (judge, rate) in enumerate(zip(judges, figures.rates(i), strict=True))
    )


def places(rate: Floats) -> Ints:
    """(M, J) rates -> 1 and the number of models with a higher rate in the same column; 0 where the rate is NaN."""
    ranks = stats.rankdata(-rate, method="min", axis=0, nan_policy="omit")
    return np.where(np.isnan(rate), 0, ranks).astype(np.int64)


def denominators(
    codes: Codes,
    positive: int,
    models: Sequence[str],
    group: Ints,
    unit: Ints | None,
    bases: Mapping[str, str],
    judges: Sequence[str],
    figures: Figures,
    left_out: Mapping[str, Bools | None],
    *,
    clustered: bool = False,
    confidence: float = 0.95,
) -> tuple[Denominator, ...]:
    """The rates without outputs that not everybody counts, and what that does to the order of models.

    `left_out`: what they are -> (N,) which they are, or None where nobody knows; two kinds are also left out together.
    """
    known = {name: gone for name, gone in left_out.items() if gone is not None}
    if len(known) > 1:
        known[" and ".join(known)] = np.logical_or.reduce(list(known.values()))
    out = []
    for name, gone in known.items():
        kept = np.where(gone, -1, group)
        cells = Cells(kept, unit, len(models), clustered=clustered)
        found = model_figures(codes, positive, cells, figures.pairs, confidence)
        flips = (found.sign * figures.sign < 0).sum(axis=0).tolist()
        clear = (found.clear * figures.clear < 0).sum(axis=0).tolist()
        out.append(
            Denominator(
                name=f"without {name}",
                n_items=int((kept >= 0).sum()),
                rates=model_rates(judges, models, bases, found, kept),
                n_flips=dict(zip(judges, flips, strict=True)),
                n_clear_flips=dict(zip(judges, clear, strict=True)),
            )
        )
    return tuple(out)


def kendall_tau_b(rates: Floats) -> Floats:
    """Kendall's (1945) tau-b of every two columns of `rates` (..., M, J), over the models both columns know.

    (..., J, J): sum of the products of the signs of all M (M - 1) / 2 differences, over the root of the numbers of
    differences that are no tie in either; NaN where one column ties all.
    """
    a, b = np.triu_indices(rates.shape[-2], 1)
    with np.errstate(invalid="ignore"):
        difference = rates[..., a, :] - rates[..., b, :]
    known = np.isfinite(difference).astype(np.float32)
    sign = np.sign(np.nan_to_num(difference)).astype(np.float32)
    turned = np.swapaxes(sign, -1, -2)
    untied = (np.abs(turned) @ known).astype(np.float64)
    product = (turned @ sign).astype(np.float64)
    return ratio(product, np.sqrt(untied * np.swapaxes(untied, -1, -2)))


def rank_agreement(
    codes: Codes,
    positive: int,
    group: Ints,
    unit: Ints | None,
    figures: Figures,
    names: Sequence[str],
    sampling: Sampling,
) -> tuple[RankAgreement, ...]:
    """Every two judges: tau-b of their rates by model, and how often they order two models differently.

    `figures` has every pair of models. tau-b has a bias-corrected percentile interval (Efron 1987; it is a step
    function, of which a jackknife sees nothing, so the acceleration is 0) over units, items or clusters. None are
    given for more than `MAX_RANKED` models or `MAX_PAIRED_JUDGES` judges.
    """
    n_models, n_judges = figures.rate.shape
    if not 2 <= n_judges <= MAX_PAIRED_JUDGES or not 2 <= n_models <= MAX_RANKED:
        return ()
    a, b = np.triu_indices(n_judges, 1)
    tau = kendall_tau_b(figures.rate)[a, b]
    replicates, n_units = _replicated(codes, positive, group, unit, n_models, sampling)
    nothing = np.broadcast_to(tau, (1, tau.size))
    low, high = bca_interval(
        tau, replicates[:, a, b], nothing, np.ones(1), np.full(tau.size, n_units), sampling.confidence
    )
    known = np.isfinite(figures.difference)
    sign, clear = figures.sign, figures.clear
    known_rates = np.isfinite(figures.rate)
    found = []
    for p, (i, j) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        both = int((known_rates[:, i] & known_rates[:, j]).sum())
        why = "fewer than two models in common" if both < 2 else "a judge gives all models one rate"
        found.append(
            RankAgreement(
                a=names[i],
                b=names[j],
                tau=estimate(float(tau[p]), float(low[p]), float(high[p]), both, why),
                n_pairs=int((known[:, i] & known[:, j]).sum()),
                n_flips=int((sign[:, i] * sign[:, j] < 0).sum()),
                n_clear_flips=int((clear[:, i] * clear[:, j] < 0).sum()),
            )
        )
    return tuple(found)


def _replicated(
    codes: Codes, positive: int, group: Ints, unit: Ints | None, n_models: int, sampling: Sampling
) -> tuple[Floats, int]:
    """tau-b under each bootstrap replicate (B, J, J), and the number of units they stand for."""
    n_judges = codes.shape[1]
    room = int(np.clip(_DENSE // (2 * n_models * n_judges), 64, _UNITS))
    units = assign(codes.shape[0], unit, seed=sampling.seed, max_units=room, groups=room)
    index = np.arange(codes.shape[0]) if units.index is None else units.index
    cell = np.where(group < 0, units.size * n_models, index * n_models + group)
    size = units.size * n_models
    sums = np.zeros((units.size, 2, n_models, n_judges), dtype=np.float64)
    for j in range(n_judges):
        code = codes[:, j]
        sums[:, 0, :, j] = np.bincount(cell[code == positive], minlength=size + 1)[:size].reshape(-1, n_models)
        sums[:, 1, :, j] = np.bincount(cell[code >= 0], minlength=size + 1)[:size].reshape(-1, n_models)
    resampler = Resampler(np.ones(units.size, dtype=np.int64), sampling.replicates, sampling.seed)
    drawn = resampler.sums(sums.reshape(units.size, -1)).reshape(-1, 2, n_models, n_judges)
    step = max(1, _DENSE // (n_models**2 * n_judges))
    parts = [
        kendall_tau_b(ratio(part[:, 0], part[:, 1]))
        for part in (drawn[at : at + step] for at in range(0, len(drawn), step))
    ]
    n_units = codes.shape[0] if unit is None else int(dense(unit)[1])
    return (np.concatenate(parts) if parts else np.empty((0, n_judges, n_judges))), n_units
