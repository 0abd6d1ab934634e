"""How often the 95 % intervals hold the true value: simulated panels of 200 items, every statistic.

    python tests/bench/coverage.py [PANELS [REPLICATES]]      (default 2000 1000: about a quarter of an hour)

The panels of a design are drawn from one population; its true values are those of 4,000,000 items of it. All
panels are measured at once with the package's own formulas and interval functions.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
from scipy import special

from interjudge.agreement.alpha_scores import _ratio_within, pairable, score_alpha_point, score_coefficients
from interjudge.agreement.chance import alpha_statistic, count_features, count_statistics, judge_statistics
from interjudge.agreement.counts import count_block, pack
from interjudge.agreement.intervals import Resampler, bca_interval, mean_wilson
from interjudge.agreement.mean_kappa import mean_kappa
from interjudge.agreement.pairwise import _formulas, _rates, cohen_kappa
from interjudge.agreement.tables import apply, pair_tables, sums_of_items, sums_of_units
from interjudge.agreement.weights import LEVEL_WEIGHTS, agreement_weights, distances, ratio_distance

ITEMS = 200
POPULATION = 4_000_000


@dataclass(frozen=True)
class Design:
    """A population of items and judges. `hits`: how often each judge sees the true label of an ordinary item
    (of a hard one, three in ten, 0.25 less often); else it guesses. `cluster`: items of a cluster share their
    true label and their difficulty half of the time."""

    name: str
    shares: tuple[float, ...]
    hits: tuple[float, ...]
    missing: float = 0.0
    cluster: int = 0
    level: str = "nominal"


DESIGNS = (
    Design("2 labels, 3 judges, balanced", (0.5, 0.5), (0.9, 0.85, 0.8)),
    Design("2 labels, 3 judges, 80/20, 10 % missing", (0.8, 0.2), (0.95, 0.9, 0.85), missing=0.1),
    Design(
        "3 ordered labels, 5 judges, 70/20/10, 10 % missing",
        (0.7, 0.2, 0.1),
        (0.95, 0.9, 0.85, 0.9, 0.7),
        missing=0.1,
        level="ordinal",
    ),
    Design("2 labels, 4 judges, 90/10, near-perfect", (0.9, 0.1), (0.98, 0.97, 0.95, 0.97), 0.1),
    Design("2 labels, 3 judges, 80/20, 40 clusters", (0.8, 0.2), (0.95, 0.9, 0.85), 0.1, cluster=5),
    Design(
        "3 ordered labels, 4 judges, 60/30/10, 40 clusters",
        (0.6, 0.3, 0.1),
        (0.95, 0.9, 0.85, 0.8),
        missing=0.1,
        cluster=5,
        level="ordinal",
    ),
)


def draw(design: Design, n: int, rng: np.random.Generator) -> np.ndarray:
    """Codes of n items, (n, J) int8."""
    k = len(design.shares)
    truth = rng.choice(k, n, p=design.shares)
    hard = rng.random(n) < 0.3
    if design.cluster:
        first = np.arange(n) // design.cluster * design.cluster
        follows = rng.random(n) < 0.5
        truth, hard = np.where(follows, truth[first], truth), np.where(follows, hard[first], hard)
    codes = np.empty((n, len(design.hits)), dtype=np.int8)
    for j, hit in enumerate(design.hits):
        # odd judges guess evenly, even ones as the labels are distributed
        guess = rng.choice(k, n, p=design.shares) if j % 2 else rng.integers(0, k, n)
        codes[:, j] = np.where(rng.random(n) < hit - 0.25 * hard, truth, guess)
    codes[rng.random(codes.shape) < design.missing] = -1
    return codes


def measure(design: Design, panels: int, replicates: int, seed: int = 0) -> dict[str, np.ndarray]:
    """For each statistic the share of panels whose interval holds the truth, lies above it, lies below it."""
    rng = np.random.default_rng(seed)
    population, codes = draw(design, POPULATION, rng), draw(design, panels * ITEMS, rng)
    found = _panel(design, population, codes, panels, replicates)
    found |= _two_judges(design, population, codes, panels, replicates)
    found |= _mean_kappas(design, population, codes, panels, replicates)
    return found


def _hold(truth: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    undefined = ~(np.isfinite(low) & np.isfinite(high))
    return np.array(
        [((low <= truth) & (truth <= high)).mean(), (low > truth).mean(), (high < truth).mean(), undefined.mean()]
    )


def _panel(
    design: Design, population: np.ndarray, codes: np.ndarray, panels: int, replicates: int
) -> dict[str, np.ndarray]:
    k = len(design.shares)
    numbers = np.arange(k, dtype=float)
    weights = {"identity": np.eye(k)} | {w: agreement_weights(w, numbers) for w in LEVEL_WEIGHTS[design.level]}
    metrics = {m: distances(m, numbers) for m in dict.fromkeys((design.level, "nominal", "interval"))}
    statistics = [alpha_statistic(m, d) for m, d in metrics.items()]
    statistics += count_statistics(design.level, weights) + judge_statistics(design.level, weights)

    def features(some: np.ndarray) -> tuple[np.ndarray, dict[str, slice | int]]:
        named = count_features(count_block(some, k).T.astype(float), weights, metrics)
        judges = (some[:, :, None] == np.arange(k)).reshape(some.shape[0], -1).astype(float)
        return pack(named | {"judges": judges})

    total = sum(features(part)[0].sum(axis=0) for part in np.array_split(population, 40))
    rows, layout = features(codes)
    per_unit = design.cluster or 1
    units = ITEMS // per_unit
    rows = rows.reshape(panels, units, per_unit, -1).sum(axis=2).transpose(1, 0, 2)  # (U, panels, F)
    resampler = Resampler(np.ones(units, dtype=np.int64), replicates, 0)
    found = {}
    step = 250  # panels at a time
    bounds: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for at in range(0, panels, step):
        some = np.ascontiguousarray(rows[:, at : at + step])
        sums = some.sum(axis=0)
        drawn = resampler.sums(some.reshape(units, -1)).reshape(replicates, *sums.shape)
        named = {name: [x[..., p] for x in (sums, drawn, sums - some, some)] for name, p in layout.items()}
        for s in statistics:
            if s.fixed is None:
                value, spread, left = (s.value({n: x[i] for n, x in named.items()}) for i in range(3))
                pair = bca_interval(value, spread, left, resampler.weight, units, 0.95)
            else:
                hit, among = named[f"agree:{s.fixed}"][3], named["pairable"][3]
                expected = s.terms({n: x[0] for n, x in named.items()})[1]
                _, *both = mean_wilson(hit, among, resampler.weight, 0.95, clustered=per_unit > 1)
                pair = tuple(1 - (1 - bound) / expected for bound in both)
            bounds.setdefault(f"{s.name} ({s.level})", []).append(pair)
    for s in statistics:
        name = f"{s.name} ({s.level})"
        truth = float(s.value({n: np.asarray(total[p]) for n, p in layout.items()}))
        low, high = (np.concatenate(side) for side in zip(*bounds[name], strict=True))
        found[name] = _hold(truth, low, high)
    return found


def _two_judges(
    design: Design, population: np.ndarray, codes: np.ndarray, panels: int, replicates: int
) -> dict[str, np.ndarray]:
    k = len(design.shares)
    formulas = _formulas(k, design.level != "nominal")
    true_table = pair_tables(population, k, [(0, 1)])[0]
    truths = {name: float(formula(true_table)[0]) for name, formula in formulas.items()}
    truths |= {n: e[0].value for n, e in _rates(sums_of_items(true_table, 0, 0), k - 1, 0.95).items()}
    by_panel = codes.reshape(panels, ITEMS, -1)
    resampler = Resampler(np.ones(ITEMS // (design.cluster or 1), dtype=np.int64), replicates, 0)
    sides: dict[str, list[tuple[float, float]]] = {}
    for p, panel in enumerate(by_panel):
        if design.cluster:
            one_hot = _one_hot(panel, k).reshape(-1, design.cluster, 1, k, k).sum(axis=1)
            sums = sums_of_units(one_hot, resampler)
        else:
            sums = sums_of_items(pair_tables(panel, k, [(0, 1)])[0], replicates, p)
        for name, formula in formulas.items():
            _, low, high = apply(formula, sums, 0.95)
            sides.setdefault(name, []).append((low[0], high[0]))
        for name, (estimate,) in _rates(sums, k - 1, 0.95).items():
            sides.setdefault(name, []).append((_number(estimate.ci_low), _number(estimate.ci_high)))
    return {f"pair: {n}": _hold(truths[n], *np.array(s).T) for n, s in sides.items()}


def _number(x: float | None) -> float:
    return np.nan if x is None else x


def _one_hot(panel: np.ndarray, k: int) -> np.ndarray:
    a, b = panel[:, 0], panel[:, 1]
    return ((a[:, None] == np.arange(k))[:, :, None] & (b[:, None] == np.arange(k))[:, None, :]).astype(float)


def _mean_kappas(
    design: Design, population: np.ndarray, codes: np.ndarray, panels: int, replicates: int
) -> dict[str, np.ndarray]:
    k = len(design.shares)
    names = ("identity", *LEVEL_WEIGHTS[design.level])
    weights = {w: agreement_weights(w, np.arange(k, dtype=float)) for w in names}
    pairs = list(combinations(range(len(design.hits)), 2))
    tables = pair_tables(population, k, pairs)[0]
    sides: dict[str, list[tuple[float, float]]] = {w: [] for w in weights}
    clusters = np.arange(ITEMS) // design.cluster if design.cluster else None
    panels = min(panels, 2000)  # the slowest part
    for p, panel in enumerate(codes.reshape(-1, ITEMS, codes.shape[1])[:panels]):
        answers, _ = mean_kappa(panel, k, weights, clusters=clusters, replicates=replicates, seed=p)
        for w, (_, low, high) in answers.items():
            sides[w].append((low, high))
    return {
        "cohen_kappa_mean" + ("" if w == "identity" else f"_{w}"): _hold(
            float(cohen_kappa(tables, m).mean()), *np.array(sides[w]).T
        )
        for w, m in weights.items()
    }


def _true_ratio(population: np.ndarray, rng: np.random.Generator) -> float:
    """Alpha at the ratio level with the expected disagreement of random pairs: a million distinct scores are
    more than the exact one takes."""
    data = pairable(population)
    expected = ratio_distance(data.x, rng.permutation(data.x)).mean() / 2
    return float(1 - _ratio_within(data).sum() / data.x.size / expected)


@dataclass(frozen=True)
class ScoreDesign:
    """Three judges of different precision, 10 % missing. `bounded`: scores from 0 to 100 that lean to the top;
    else exp of a normal variable, whose long tail no interval from 200 items sees whole."""

    name: str
    bounded: bool = True
    cluster: int = 0


SCORE_DESIGNS = (
    ScoreDesign("scores 0 to 100, 3 judges"),
    ScoreDesign("scores 0 to 100, 3 judges, 40 clusters", cluster=5),
    ScoreDesign("scores with a long tail, 3 judges", bounded=False),
)


def draw_scores(design: ScoreDesign, n: int, rng: np.random.Generator) -> np.ndarray:
    """Scores (n, 3) of 0 or more, NaN where missing."""
    truth = rng.normal(size=n)
    if design.cluster:
        shared = rng.normal(size=n // design.cluster).repeat(design.cluster)
        truth = np.sqrt(0.5) * (truth + shared)
    scores = truth[:, None] + rng.normal(size=(n, 3)) * [0.5, 0.7, 1.0]
    scores = 100 * special.ndtr(1.5 * scores + 0.5) if design.bounded else np.exp(0.5 * scores)
    scores[rng.random(scores.shape) < 0.1] = np.nan
    return scores


def measure_scores(design: ScoreDesign, panels: int, replicates: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Alpha on continuous scores at each level."""
    rng = np.random.default_rng(seed)
    population = draw_scores(design, 1_000_000, rng)
    clusters = np.arange(ITEMS) // design.cluster if design.cluster else None
    found = {}
    for level in ("interval", "ordinal", "ratio"):
        truth = _true_ratio(population, rng) if level == "ratio" else score_alpha_point(population, level=level)
        sides = []
        for p in range(panels):
            scores = draw_scores(design, ITEMS, np.random.default_rng([seed, p]))
            answer = score_coefficients(scores, level=level, clusters=clusters, replicates=replicates, seed=p)[0]
            sides.append((_number(answer.ci_low), _number(answer.ci_high)))
        found[f"krippendorff_alpha of scores ({level})"] = _hold(truth, *np.array(sides).T)
    return found


def report(panels: int, replicates: int) -> None:
    """The table of tests/bench/README.md."""
    print(
        f"{panels} panels of {ITEMS} items, {replicates} replicates; standard error {np.sqrt(0.95 * 0.05 / panels):.4f}"
    )
    runs = [(d.name, partial(measure, d)) for d in DESIGNS]
    runs += [(d.name, partial(measure_scores, d)) for d in SCORE_DESIGNS]
    for name, run in runs:
        start = time.perf_counter()
        found = run(panels, replicates)
        print(f"\n### {name} ({time.perf_counter() - start:.0f} s)\n")
        print("| statistic | covered | interval above the truth | below | none |\n|---|---|---|---|---|")
        for statistic, (held, above, below, none) in found.items():
            print(f"| {statistic} | {held:.3f} | {above:.3f} | {below:.3f} | {none:.3f} |", flush=True)


if __name__ == "__main__":
    numbers = [int(x) for x in sys.argv[1:]]
    report(*(numbers or [2000]), *([1000] if len(numbers) < 2 else []))
