"""The alternative annotator test: does a judge stand for the humans as well as one of them does?

Calderon, Reichart and Dror (2025), "The Alternative Annotator Test for LLM-as-a-Judge", ACL 2025, pages
16051-16081, section 3. Each human h_j is left out in turn; judge f and h_j are scored against the humans that
remain. In the paper's notation, over the items i that h_j and f judged and some other human too:

    W^f_ij = 1{S(f, x_i, j) >= S(h_j, x_i, j)},  W^h_ij = 1{S(h_j, x_i, j) >= S(f, x_i, j)},  d_ij = W^h_ij - W^f_ij
    H0: rho^f_j <= rho^h_j - epsilon,  t_j = (mean d_j - epsilon) / (s_j / sqrt n_j), rejected when small
    omega = share of the humans whose H0 is rejected (Benjamini and Yekutieli 2001);  rho = mean_j mean_i W^f_ij
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from interjudge.agreement.counts import Assignment, Codes, Floats, add_rows, assign, count_block, dense, ratio
from interjudge.agreement.degenerate import ZERO
from interjudge.agreement.intervals import Resampler, bca_interval, estimate
from interjudge.agreement.panel import Panel
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_humans import AltComparison, AltJudge, AltTest, Scoring
from interjudge.agreement.sampling import Sampling
from interjudge.agreement.vote_patterns import Patterns
from interjudge.errors import InputError

Signs = NDArray[np.int8]
Mask = NDArray[np.bool_]

FDR: Final = 0.05
MIN_HUMANS: Final = 3  # the paper's: with two, the test asks which of them the judge is closer to
T_TEST_FROM: Final = 30  # items; below, the paper's FAQ asks for Wilcoxon's signed-rank test
MIN_ITEMS: Final = 10  # our own: with fewer no test shows anything at this rate of false discoveries
PASSES: Final = 0.5
MAX_LISTED: Final = 50  # humans; with more, comparisons are not listed and rho has no interval

_CROSS: Final = 1 << 22  # cells of a table of units by rows
_SAME: Final = 1e-9  # squared distances this close, beside the largest there could be, are equal
_NOBODY: Final = "no human has {n} items in common with this judge that another human judged too"
_TOO_FEW: Final = "the alternative annotator test compares with 3 humans or more: {n} here with {items} items or more"


@dataclass(frozen=True)
class Beside:
    """One judge beside H humans: M rows, each standing for `weight` items with the very same verdicts.

    humans : (M, H) and own : (M,) codes with -1, or scores with NaN, where there is no verdict.
    index : (N,) the row of every item.
    """

    humans: NDArray[Any]
    own: NDArray[Any]
    weight: NDArray[np.int64]
    index: NDArray[np.intp]

    def per_unit(self, features: Floats, assignment: Assignment) -> Floats:
        """Sums (U, F) of features (M, F) over the items of each sampling unit."""
        if assignment.index is None:
            return features[self.index]
        rows = self.weight.size
        if assignment.size * rows <= _CROSS:
            cell = assignment.index * rows + self.index
            return np.asarray(np.bincount(cell, minlength=assignment.size * rows).reshape(-1, rows) @ features)
        found = np.zeros((assignment.size, features.shape[1]))
        for column in range(features.shape[1]):
            add_rows(found[:, column : column + 1], assignment.index, features[self.index, column, None])
        return found


def beside(panel: Panel, humans: list[int], judges: list[int]) -> Iterator[Beside]:
    """Each of the `judges` beside the `humans` (columns of the panel), items with the same labels in one row."""
    if panel.scores is not None:
        rows = np.arange(panel.n_items)
        for judge in judges:
            yield Beside(panel.scores[:, humans], panel.scores[:, judge], np.ones(rows.size, np.int64), rows)
        return
    k = len(panel.question.labels)
    patterns = Patterns.of(panel.codes[:, humans], k)
    for judge in judges:
        key = patterns.index * (k + 1) + panel.codes[:, judge].astype(np.int64) + 1
        index, size = dense(key)
        used = np.empty(size, np.int64)
        used[index] = key
        weight = np.bincount(index, minlength=size)
        yield Beside(patterns.codes[used // (k + 1)], used % (k + 1) - 1, weight, index)


def label_signs(humans: Codes, own: Codes, k: int) -> tuple[Signs, Mask]:
    """d (M, H) and whether it counts: S is the share of the remaining humans who give the same label (ACC).

    humans : (M, H) codes, own : (M,) codes, -1 none. S is an average over the same humans for both, so the
    sign of the difference of two counts tells.
    """
    counts = count_block(humans, k).T.astype(np.int32)
    n = counts.sum(axis=1)
    label = np.maximum(humans, 0).astype(np.intp)
    like_human = np.take_along_axis(counts, label, axis=1) - 1
    mine = np.take_along_axis(counts, np.maximum(own, 0).astype(np.intp)[:, None], axis=1)
    like_judge = mine - (humans == own[:, None])
    counted = (humans >= 0) & (own >= 0)[:, None] & (n >= 2)[:, None]
    return np.where(counted, np.sign(like_human - like_judge), 0).astype(np.int8), counted


def score_signs(humans: Floats, own: Floats) -> tuple[Signs, Mask]:
    """The same for scores: S is minus the root mean square of the differences to the remaining humans.

    With n other humans whose scores sum to s, the squared differences of f and h to them differ by
    (f - h) (n (f + h) - 2 s).
    """
    given = ~np.isnan(humans)
    n = given.sum(axis=1)
    counted = given & ~np.isnan(own)[:, None] & (n >= 2)[:, None]
    if not counted.any():
        return np.zeros(humans.shape, np.int8), counted
    every = np.concatenate([humans[given], own[~np.isnan(own)]])
    middle = float(every.mean())
    size = max(float(np.abs(every - middle).max()), 1e-300)
    h = np.where(given, (humans - middle) / size, 0.0)
    f = np.where(np.isnan(own), 0.0, (own - middle) / size)[:, None]
    others = h.sum(axis=1, keepdims=True) - h
    further = (f - h) * ((n - 1)[:, None] * (f + h) - 2 * others)  # squares of f minus squares of h
    further[np.abs(further) <= _SAME * n[:, None]] = 0.0
    return np.where(counted, np.sign(further), 0).astype(np.int8), counted


def t_test(d: Floats, n: Floats, weight: NDArray[Any], epsilon: float) -> Floats:
    """One-sided p-values (H,) of mean d < epsilon from sums d and n (U, H) within equal units, `weight` (U,).

    Student's t where every item is a unit; with clusters the variance is that of a ratio of cluster totals,
    with one degree of freedom less than there are clusters. Without any variance p is 0 or 1.
    """
    size = weight @ n
    units = weight @ (n > 0)
    mean = ratio(weight @ d, size)
    spread = weight @ (d - np.nan_to_num(mean) * n) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (mean - epsilon) / np.sqrt(units / (units - 1) * spread) * size
        p = np.asarray(special.stdtr(units - 1, t))
    p = np.where(spread > ZERO, p, np.where(mean < epsilon - ZERO, 0.0, 1.0))
    return np.where(units >= 2, p, 1.0)


def wilcoxon_test(counts: NDArray[Any], epsilon: float) -> float:
    """One-sided exact p-value of Wilcoxon's signed-rank test that d - epsilon is below 0.

    counts : (3,) how many items have d = -1, 0 and 1. d - epsilon takes three values, so nearly everything is
    tied: mid-ranks, values of 0 left out, and the distribution over all changes of sign given those ranks.
    """
    x = np.array([-1.0, 0.0, 1.0]) - epsilon
    size = np.where(np.abs(x) > ZERO, counts, 0).astype(np.int64)
    levels, level = np.unique(np.round(np.abs(x), 12), return_inverse=True)
    tied = np.bincount(level, size, levels.size).astype(np.int64)
    twice_rank = 2 * (np.cumsum(tied) - tied) + tied + 1  # twice the mid-rank is whole
    chance = np.ones(1)
    for many, rank in zip(tied, twice_rank, strict=True):
        step = np.zeros(many * rank + 1)
        step[::rank] = stats.binom.pmf(np.arange(many + 1), many, 0.5)
        chance = np.convolve(chance, step)
    positive = int((twice_rank[level] * size)[x > 0].sum())
    return float(min(chance[: positive + 1].sum(), 1.0))


def alt_test(
    panel: Panel, humans: list[int], judges: list[int], *, sampling: Sampling, epsilon: float = 0.2
) -> AltTest:
    """The test of every judge (columns `judges`) against the humans (columns `humans`).

    Parameters
    ----------
    epsilon : how much worse than a human the judge may be, for being cheaper: the paper takes .2 beside
        experts, .15 beside skilled annotators and .1 beside crowd workers.

    Raises
    ------
    InputError : when epsilon is not in [0, 1].
    """
    if not 0 <= epsilon <= 1:
        raise InputError("epsilon is out of range", found=epsilon, expected="0 to 1")
    given = panel.codes >= 0 if panel.scores is None else ~np.isnan(panel.scores)
    enough = int((given[:, humans].sum(axis=1) >= 2).sum())
    scoring: Scoring = "neg_rmse" if panel.scores is not None or _values(panel) is not None else "accuracy"
    found: dict[str, Any] = {
        "epsilon": epsilon,
        "fdr": FDR,
        "scoring": scoring,
        "min_items": MIN_ITEMS,
        "n_items": enough,
        "n_left_out": panel.n_items - enough,
    }
    busy = int((given[:, humans].sum(axis=0) >= MIN_ITEMS).sum())
    if busy < MIN_HUMANS:
        return AltTest(**found, undefined=_TOO_FEW.format(n=busy, items=MIN_ITEMS))
    tests = [
        _one(panel, humans, judge, rows, epsilon, sampling)
        for judge, rows in zip(judges, beside(panel, humans, judges), strict=True)
    ]
    return AltTest(**found, judges=tuple(tests))


def _one(panel: Panel, humans: list[int], judge: int, rows: Beside, epsilon: float, sampling: Sampling) -> AltJudge:
    values = _values(panel)
    if panel.scores is not None:
        d, counted = score_signs(rows.humans, rows.own)
    elif values is not None:
        d, counted = score_signs(values[rows.humans], values[rows.own])
    else:
        d, counted = label_signs(rows.humans, rows.own, len(panel.question.labels))
    n = rows.weight @ counted
    about = {"judge": panel.names[judge], "kind": panel.judges[judge].kind}
    n_items = int(rows.weight[counted.any(axis=1)].sum())
    kept = np.flatnonzero(n >= MIN_ITEMS)
    if kept.size < MIN_HUMANS:
        why = _NOBODY.format(n=MIN_ITEMS) if not kept.size else _TOO_FEW.format(n=kept.size, items=MIN_ITEMS)
        nothing = Estimate(n=n_items, undefined=why)
        none: dict[str, Any] = {"n_won": 0, "n_compared": 0, "winning_rate": None, "passes": None, "undefined": why}
        return AltJudge(**about, n_items=n_items, rho=nothing, **none)
    d, counted = d[:, kept], counted[:, kept]
    p, tests = _p_values(panel, rows, d, counted, epsilon, sampling)
    adjusted = stats.false_discovery_control(p, method="by")
    won = adjusted <= FDR
    as_good, better = (rows.weight @ (counted & sign) / n[kept] for sign in (d <= 0, d >= 0))
    comparisons = tuple(
        AltComparison(
            human=panel.names[humans[h]],
            n=int(n[h]),
            rho_judge=float(as_good[i]),
            rho_human=float(better[i]),
            p_value=float(p[i]),
            p_adjusted=float(adjusted[i]),
            won=bool(won[i]),
            test="wilcoxon" if tests[i] else "t",
        )
        for i, h in enumerate(kept)
    )
    rate = float(won.mean())
    return AltJudge(
        **about,
        n_items=n_items,
        n_won=int(won.sum()),
        n_compared=kept.size,
        winning_rate=rate,
        passes=rate >= PASSES,
        rho=_advantage(panel, rows, d, counted, n_items, sampling),
        comparisons=comparisons if kept.size <= MAX_LISTED else (),
    )


def _values(panel: Panel) -> Floats | None:
    """The labels as numbers (K + 1,), NaN last for code -1, where the question says that their distances count."""
    question = panel.question
    if panel.scores is not None or question.level == "nominal" or question.values is None:
        return None
    return np.array([*question.values, np.nan])


def _p_values(
    panel: Panel, rows: Beside, d: Signs, counted: Mask, epsilon: float, sampling: Sampling
) -> tuple[Floats, Mask]:
    """p-values (H,), and which of them are Wilcoxon's: those of few items, where each item is a unit."""
    if panel.clusters is not None:
        whole = assign(panel.n_items, panel.clusters, seed=sampling.seed, max_units=panel.n_items)
        both = rows.per_unit(np.hstack([d, counted]).astype(np.float64), whole)
        sums, sizes = np.hsplit(both, 2)
        return t_test(sums, sizes, np.ones(whole.size), epsilon), np.zeros(d.shape[1], bool)
    p = t_test(d.astype(np.float64), counted.astype(np.float64), rows.weight, epsilon)
    few = rows.weight @ counted < T_TEST_FROM
    for human in np.flatnonzero(few):
        counts = [int(rows.weight[counted[:, human] & (d[:, human] == sign)].sum()) for sign in (-1, 0, 1)]
        p[human] = wilcoxon_test(np.array(counts), epsilon)
    return p, few


def _advantage(panel: Panel, rows: Beside, d: Signs, counted: Mask, n_items: int, sampling: Sampling) -> Estimate:
    """rho with its bootstrap interval over items or clusters."""
    humans = d.shape[1]
    features = np.hstack([counted & (d <= 0), counted]).astype(np.float64)
    value = _rho(rows.weight @ features)
    if humans > MAX_LISTED:
        return Estimate(value=float(value), n=n_items)
    assignment = assign(panel.n_items, panel.clusters, seed=sampling.seed)
    sums = rows.per_unit(features, assignment)
    resampler = Resampler(np.ones(assignment.size, np.int64), sampling.replicates, sampling.seed)
    replicates, left = (_rho(some)[:, None] for some in (resampler.sums(sums), sums.sum(axis=0) - sums))
    ends = bca_interval(value[None], replicates, left, resampler.weight, assignment.size, sampling.confidence)
    low, high = (float(end[0]) for end in ends)
    return estimate(float(value), low, high, n_items, "no items")


def _rho(sums: Floats) -> Floats:
    """Mean over humans of the share of wins, from sums (..., 2 H) of wins and of items."""
    wins, sizes = np.split(sums, 2, axis=-1)
    share = ratio(wins, sizes)
    defined = np.isfinite(share)
    return ratio(np.where(defined, share, 0.0).sum(axis=-1), defined.sum(axis=-1))
