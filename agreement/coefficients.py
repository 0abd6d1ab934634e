"""The coefficients of a panel with their intervals: one way from codes or scores to records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interjudge.agreement.alpha import MAX_ORDINAL, alpha_features, alpha_terms, as_scores, corrected
from interjudge.agreement.alpha_scores import score_alpha_point, score_coefficients
from interjudge.agreement.chance import (
    PAIRWISE,
    Statistic,
    alpha_statistic,
    count_features,
    count_statistics,
    judge_statistics,
    label_shares,
    weighted_name,
)
from interjudge.agreement.counts import Codes, Floats, Units, assign, checked, count_units, judge_margins
from interjudge.agreement.degenerate import ONE_CATEGORY, ZERO, one_category, panel_problem
from interjudge.agreement.intervals import Resampler, bca_interval, estimate, mean_wilson
from interjudge.agreement.mean_kappa import mean_kappa
from interjudge.agreement.results import Coefficient
from interjudge.agreement.weights import LEVEL_WEIGHTS, agreement_weights, checked_level, distances, label_values

__all__ = [
    "alpha_point",
    "alpha_without",
    "krippendorff_alpha",
    "panel_coefficients",
    "score_alpha_point",
    "score_coefficients",
]

_BUDGET: Final = 1 << 23  # numbers held at a time
_MIN_UNITS: Final = 512


@dataclass(frozen=True)
class _Ground:
    """What all coefficients of one panel share.

    n : pairable items; problem : why nothing exists, or None; one : whether one label only is in use;
    unequal : the chance that two verdicts drawn from the label shares differ; sure : Wilson's lower bound for
    the agreement; clustered, replicates, seed, confidence : as asked for.
    """

    n: int
    problem: str | None
    one: bool
    unequal: float
    sure: float
    clustered: bool
    replicates: int
    seed: int
    confidence: float

    @property
    def unit(self) -> str:
        return "clusters" if self.clustered else "items"

    def bootstrap(self, kind: str) -> str:
        return f"BCa bootstrap, {self.replicates} replicates of {kind}" if self.replicates else "no interval"

    def record(self, name: str, level: str, method: str, value: float, low: float, high: float) -> Coefficient:
        """The coefficient, or why there is none. Where nobody disagrees the bootstrap knows no doubt: the
        interval then reaches down to what `floor` says."""
        reason = self.problem or ONE_CATEGORY
        if self.problem or (self.one and name != "percent_agreement"):
            value = np.nan
        found = estimate(value, low, high, self.n, reason)
        return Coefficient(name=name, level=level, method=method, **found.model_dump())

    def floor(self, expected: float) -> float:
        """The lower bound where nobody disagrees: as many disagreements as Wilson's bound for the agreement
        leaves room for, over what chance expects."""
        return 1 - (1 - self.sure) / expected if expected > ZERO else np.nan


def _ground(
    units: Units, codes: Codes, clusters: NDArray[Any] | None, replicates: int, seed: int, confidence: float
) -> _Ground:
    totals = units.named(units.totals())
    n = round(float(totals["pairable"]))
    sure, _ = _agreement(units, "identity", clusters is not None, confidence)
    shares = label_shares(totals)
    return _Ground(
        n=n,
        problem=panel_problem(codes.shape[0], codes.shape[1], n),
        one=one_category(totals["margin"]),
        unequal=float(1 - (shares**2).sum()),
        sure=sure,
        clustered=clusters is not None,
        replicates=replicates,
        seed=seed,
        confidence=confidence,
    )


def _agreement(units: Units, weight: str, clustered: bool, confidence: float) -> tuple[float, float]:
    """Wilson's bounds for the panel's agreement under some weights."""
    columns = units.named(units.features)
    hit, among = columns[f"agree:{weight}"][:, None], columns["pairable"][:, None]
    _, low, high = mean_wilson(hit, among, units.weight, confidence, clustered=clustered)
    return float(low[0]), float(high[0])


def _records(statistics: Sequence[Statistic], units: Units, ground: _Ground) -> list[Coefficient]:
    """Statistics of the same units, each with its interval."""
    resampled = [s for s in statistics if s.fixed is None]
    bounds = dict(zip((id(s) for s in resampled), _bca(resampled, units, ground), strict=True))
    totals = units.named(units.totals())
    found = []
    for s in statistics:
        observed, expected = (float(x) for x in s.terms(totals))
        value = float(s.value(totals))
        if s.fixed is not None:
            low, high = _agreement(units, s.fixed, ground.clustered, ground.confidence)
            low, high = (1 - (1 - bound) / expected if expected > ZERO else np.nan for bound in (low, high))
            words = f"Wilson interval on the effective number of {ground.unit}"
        else:
            low, high = bounds[id(s)]
            words = ground.bootstrap(units.kind)
            if observed <= ZERO * expected and ground.replicates:
                low, high = ground.floor(expected if s.own_chance else ground.unequal), value
        found.append(ground.record(s.name, s.level, f"{s.convention}; {words}", value, low, high))
    return found


def _bca(statistics: Sequence[Statistic], units: Units, ground: _Ground) -> list[tuple[float, float]]:
    if ground.problem or not statistics:
        return [(np.nan, np.nan)] * len(statistics)
    total = units.totals()
    drawn = Resampler(units.weight, ground.replicates, ground.seed).sums(units.features)
    value, replicates, left = (
        np.stack([s.value(units.named(sums)) for s in statistics], axis=-1)
        for sums in (total, drawn, total - units.features)
    )
    low, high = bca_interval(value, replicates, left, units.weight, units.size, ground.confidence)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def panel_coefficients(
    codes: Codes,
    k: int,
    *,
    level: str = "nominal",
    values: ArrayLike | None = None,
    clusters: NDArray[Any] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[Coefficient]:
    """Every coefficient of the panel with its interval.

    Parameters
    ----------
    codes : (N, J) integers, -1 none; k : the labels of the question, used or not; values : (K,) the labels'
    numbers at the interval and ratio levels; clusters : (N,) where items share a sampling unit.

    Names: `percent_agreement`, `krippendorff_alpha` (at `level` and at the nominal one), `fleiss_kappa`,
    `conger_kappa`, `gwet_ac1`, `brennan_prediger`, `cohen_kappa_mean`; above the nominal level also `gwet_ac2`
    (with the weights proper to the level) and weighted forms with a suffix, such as `fleiss_kappa_linear`.

    Raises
    ------
    InputError : a bad level, values that do not fit it, codes out of range, clusters of another length.
    """
    numbers = label_values(k, checked_level(level), values)
    checked(codes, k)
    weights = {"identity": np.eye(k)} | {w: agreement_weights(w, numbers) for w in LEVEL_WEIGHTS[level]}
    metrics = _metrics(k, level, numbers)
    features = partial(count_features, weights=weights, metrics=metrics)
    settings: Any = {"replicates": replicates, "seed": seed, "confidence": confidence}
    units = count_units(codes, k, features, clusters=clusters, seed=seed)
    ground = _ground(units, codes, clusters, **settings)
    alphas = [alpha_statistic(name, distance) for name, distance in metrics.items()]
    found = _records(alphas + count_statistics(level, weights), units, ground)
    if level not in metrics:
        found += score_coefficients(as_scores(codes, numbers), level=level, clusters=clusters, **settings)
    found += _records(judge_statistics(level, weights), _judge_units(codes, k, features, clusters, seed), ground)
    found += _mean_kappas(codes, k, level, weights, clusters, ground)
    return sorted(found, key=lambda c: _place(c.name, tuple(weights)))


def _metrics(k: int, level: str, numbers: Floats) -> dict[str, Floats]:
    """The levels of alpha that counting answers, and their distances."""
    names = dict.fromkeys((level, "nominal"))
    return {name: distances(name, numbers) for name in names if not (name == "ordinal" and k > MAX_ORDINAL)}


_BASES: Final = (
    "percent_agreement", "krippendorff_alpha", "fleiss_kappa", "conger_kappa", "gwet_ac1", "gwet_ac2",
    "brennan_prediger", "cohen_kappa_mean",
)  # fmt: skip


def _place(name: str, weights: tuple[str, ...]) -> tuple[int, int]:
    """The order of the list: unweighted first, then set by set of weights."""
    base = next(b for b in reversed(_BASES) if name.startswith(b))
    tail = name.removeprefix(base).removeprefix("_")
    weight = weights.index(tail) if tail else int(base == "gwet_ac2")
    return weight, _BASES.index(base)


def _judge_units(codes: Codes, k: int, features: Any, clusters: NDArray[Any] | None, seed: int) -> Units:
    """Units that also know each judge's own label counts, under the name `judges`."""
    width = codes.shape[1] * k
    most = max(_MIN_UNITS, min(10_000, _BUDGET // max(width, 1)))
    assignment = assign(codes.shape[0], clusters, seed=seed, max_units=most, groups=min(most, 4096))
    units = count_units(codes, k, features, assignment=assignment)
    margins = judge_margins(codes, k, assignment)
    at = units.features.shape[1]
    layout = {**units.layout, "judges": slice(at, at + width)}
    return Units(np.hstack([units.features, margins]), units.weight, layout, units.kind)


def _mean_kappas(
    codes: Codes,
    k: int,
    level: str,
    weights: dict[str, Floats],
    clusters: NDArray[Any] | None,
    ground: _Ground,
) -> list[Coefficient]:
    answers, kind = mean_kappa(
        codes,
        k,
        weights,
        clusters=clusters,
        replicates=ground.replicates,
        seed=ground.seed,
        confidence=ground.confidence,
    )
    found = []
    for name, (value, *found_bounds) in answers.items():
        plain = name == "identity"
        words = f"{'' if plain else f'{name} weights; '}{PAIRWISE}; {ground.bootstrap(kind)}"
        perfect = value >= 1 - ZERO and ground.replicates > 0
        low, high = (ground.floor(ground.unequal), value) if perfect else found_bounds
        label = weighted_name("cohen_kappa_mean", name, None)
        found.append(ground.record(label, "nominal" if plain else level, words, value, low, high))
    return found


def krippendorff_alpha(
    codes: Codes,
    k: int,
    *,
    level: str = "nominal",
    values: ArrayLike | None = None,
    clusters: NDArray[Any] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Coefficient:
    """Alpha alone with its interval: the same record as in `panel_coefficients`, for less work."""
    numbers = label_values(k, checked_level(level), values)
    checked(codes, k)
    settings: Any = {"replicates": replicates, "seed": seed, "confidence": confidence}
    if level == "ordinal" and k > MAX_ORDINAL:
        return score_coefficients(as_scores(codes, numbers), level=level, clusters=clusters, **settings)[0]
    distance = distances(level, numbers)
    features = partial(count_features, weights={"identity": np.eye(k)}, metrics={level: distance})
    units = count_units(codes, k, features, clusters=clusters, seed=seed)
    return _records([alpha_statistic(level, distance)], units, _ground(units, codes, clusters, **settings))[0]


def alpha_point(codes: Codes, k: int, *, level: str = "nominal", values: ArrayLike | None = None) -> float | None:
    """Krippendorff's alpha of codes (N, J) without an interval; None where it is undefined."""
    numbers = label_values(k, checked_level(level), values)
    checked(codes, k)
    if level == "ordinal" and k > MAX_ORDINAL:
        return score_alpha_point(as_scores(codes, numbers), level=level)
    distance = distances(level, numbers)
    units = count_units(codes, k, alpha_features(level, distance))
    value = float(corrected(*alpha_terms(units.named(units.totals()), level, distance)))
    return value if np.isfinite(value) else None


def alpha_without(
    codes: Codes, k: int, *, level: str = "nominal", values: ArrayLike | None = None
) -> list[float | None]:
    """Alpha of the panel without each judge in turn, (J,); None where it is undefined."""
    rest = (np.delete(codes, judge, axis=1) for judge in range(codes.shape[1]))
    return [alpha_point(codes_without, k, level=level, values=values) for codes_without in rest]
