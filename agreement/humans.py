"""The judges of a panel beside its humans: how far humans agree at all, and who agrees with them as much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, get_args

import numpy as np

from interjudge.agreement.alt_test import Beside, alt_test, beside
from interjudge.agreement.counts import Assignment, Floats, add_rows, assign, count_block, ratio
from interjudge.agreement.degenerate import NO_PAIRS, ONE_CATEGORY, ZERO
from interjudge.agreement.intervals import Resampler, bca_interval, estimates, proportions, wilson_estimates
from interjudge.agreement.panel import Panel
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_humans import (
    ByConsensus,
    Ceiling,
    Consensus,
    HumanBeside,
    Humans,
    JudgeBeside,
    Measure,
    Standing,
)
from interjudge.agreement.sampling import Sampling
from interjudge.agreement.tables import pair_tables
from interjudge.agreement.vote_patterns import Patterns

EPSILON: Final = 0.2  # what a judge may lose to a human for being cheaper: for expert annotators (Calderon et al. 2025)
HUMAN: Final = "human"
MEASURES: Final[tuple[str, ...]] = get_args(Measure)

_BUDGET: Final = 1 << 22  # numbers held at a time
_MIN_UNITS: Final = 512  # with fewer an interval is not worth its name
_MAX_TABLES: Final = 1 << 24  # cells of the tables of all pairs
_TOO_MANY: Final = "too many pairs of judges and labels"
_UNDEFINED: Final[dict[str, str]] = {
    "agreement": NO_PAIRS,
    "cohen_kappa": f"{ONE_CATEGORY}, or no item in common",
    "correlation": "a judge never varies, or no item in common",
}


def humans(panel: Panel, *, sampling: Sampling | None = None, epsilon: float = EPSILON) -> Humans | None:
    """The humans of a panel as a yardstick for its other judges.

    Parameters
    ----------
    epsilon : how much worse than a human a judge may be in the alternative annotator test (see `alt_test`).

    None unless there are two judges of the kind ``human`` and one of another kind.

    Raises
    ------
    InputError : when epsilon is not in [0, 1].
    """
    sampling = sampling or Sampling()
    people = [j for j, judge in enumerate(panel.judges) if judge.kind == HUMAN]
    others = [j for j, judge in enumerate(panel.judges) if judge.kind != HUMAN]
    if len(people) < 2 or not others:
        return None
    return Humans(
        humans=tuple(panel.names[j] for j in people),
        n_items=panel.n_items,
        ceiling=ceiling(panel, people, others, sampling),
        alt_test=alt_test(panel, people, others, sampling=sampling, epsilon=epsilon),
        consensus=by_consensus(panel, people, others, sampling) if panel.scores is None else None,
    )


@dataclass(frozen=True)
class _Pairs:
    """Every two humans, then every judge with every human, and how to come from sums to their figures.

    `pairs` holds the H (H - 1) / 2 pairs of humans first; then `n_judges` times H pairs.
    """

    pairs: list[tuple[int, int]]
    n_humans: int
    n_judges: int
    k: int
    scores: bool

    @property
    def measures(self) -> tuple[Measure, ...]:
        return ("correlation",) if self.scores else ("agreement", "cohen_kappa")

    @property
    def width(self) -> int:
        """Features of one pair."""
        return 6 if self.scores else 1 + 2 * self.k

    def values(self, sums: Floats) -> dict[Measure, Floats]:
        """Each pair's figures (..., P) from sums (..., P, width); NaN where undefined."""
        if self.scores:
            return {"correlation": _correlation(sums)}
        same, row, column = sums[..., 0], sums[..., 1 : self.k + 1], sums[..., self.k + 1 :]
        n = row.sum(axis=-1)
        chance = ratio((row * column).sum(axis=-1), n**2)
        agreed = ratio(same, n)
        return {"agreement": agreed, "cohen_kappa": ratio(agreed - chance, 1 - chance, ZERO)}

    def means(self, sums: Floats) -> Floats:
        """For each measure the mean between humans, each judge's mean with them, and each judge's difference
        from the former, (..., measures * (1 + 2 n_judges))."""
        found = []
        for value in self.values(sums).values():
            split = len(self.pairs) - self.n_judges * self.n_humans
            between = _mean(value[..., :split])[..., None]
            mine = _mean(value[..., split:].reshape(*value.shape[:-1], self.n_judges, self.n_humans))
            found += [between, mine, mine - between]
        return np.concatenate(found, axis=-1)


def ceiling(panel: Panel, people: Sequence[int], others: Sequence[int], sampling: Sampling) -> Ceiling:
    """Means over pairs: between the humans (columns `people`), and of each judge (columns `others`) with them.

    A pair is read on the items both judged; pairs without a value are left out of a mean. All intervals are
    from the same bootstrap, so that a difference has the interval of a difference.
    """
    pairs = [*combinations(people, 2), *((j, h) for j in others for h in people)]
    about = _Pairs(pairs, len(people), len(others), len(panel.question.labels), panel.scores is not None)
    given = panel.codes >= 0 if panel.scores is None else ~np.isnan(panel.scores)
    judged = given[:, list(people)].sum(axis=1)
    sizes = [int((judged >= 2).sum()), *(int(((judged >= 1) & given[:, j]).sum()) for j in others)]
    if len(pairs) * about.k**2 > _MAX_TABLES:
        return _too_many(panel, about, people, others, sizes)
    total = _sums(panel, about, None)[0]
    value = about.means(total)
    low, high = _intervals(panel, about, value, sampling)
    own = _own_means(about, total)
    names = about.measures
    found: dict[Measure, list[Estimate]] = {}
    apart: dict[Measure, list[Estimate]] = {}
    for m, name in enumerate(names):
        at = m * (1 + 2 * len(others))
        first, second = slice(at, at + 1 + len(others)), slice(at + 1 + len(others), at + 1 + 2 * len(others))
        words = _UNDEFINED[name]
        found[name] = estimates(value[first], low[first], high[first], sizes, [words] * len(sizes))
        apart[name] = estimates(value[second], low[second], high[second], sizes[1:], [words] * len(others))
    measure: Measure = next((n for n in reversed(names) if found[n][0].value is not None), names[0])
    known = own[measure][np.isfinite(own[measure])]
    lowest, highest = (float(known.min()), float(known.max())) if known.size else (None, None)
    return Ceiling(
        measure=measure,
        **{name: found[name][0] for name in names},
        lowest=lowest,
        highest=highest,
        humans=tuple(
            HumanBeside(judge=panel.names[h], **{name: _or_none(own[name][i]) for name in names})
            for i, h in enumerate(people)
        ),
        judges=tuple(
            JudgeBeside(
                judge=panel.names[j],
                kind=panel.judges[j].kind,
                **{name: found[name][1 + i] for name in names},
                difference=apart[measure][i],
                standing=_standing(found[measure][1 + i], apart[measure][i], lowest, highest),
            )
            for i, j in enumerate(others)
        ),
    )


def _intervals(panel: Panel, about: _Pairs, value: Floats, sampling: Sampling) -> tuple[Floats, Floats]:
    """BCa intervals of the means; NaN where the tables of so many pairs leave no room for enough units."""
    nothing = np.full(value.shape, np.nan)
    width = about.width * len(about.pairs)
    most = min(10_000, _BUDGET // width)
    if most < _MIN_UNITS or not sampling.replicates:
        return nothing, nothing
    assignment = assign(panel.n_items, panel.clusters, seed=sampling.seed, max_units=most, groups=min(most, 4_096))
    sums = _sums(panel, about, assignment)
    shape = sums.shape[1:]
    resampler = Resampler(np.ones(assignment.size, np.int64), sampling.replicates, sampling.seed)
    drawn = resampler.sums(sums.reshape(-1, width)).reshape(-1, *shape)
    left = about.means(sums.sum(axis=0) - sums)
    return bca_interval(value, about.means(drawn), left, resampler.weight, assignment.size, sampling.confidence)


def _sums(panel: Panel, about: _Pairs, assignment: Assignment | None) -> Floats:
    """(U, P, width) within each unit; without an assignment all items are one unit.

    Of labels: how often a pair agreed, and the label counts of either judge on the items both judged. Of
    scores: n, x, y, xx, yy, xy, with the scores of either measured from the judge's own mean.
    """
    units = 1 if assignment is None else assignment.size
    found = np.zeros((units, len(about.pairs), about.width))
    if about.scores:
        _fill_scores(found, panel, about, assignment)
        return found
    step = max(1, _BUDGET // (units * about.k**2))
    # without units, so many pairs that one matrix product is the faster way are counted at once
    step = len(about.pairs) if assignment is None else step
    for start in range(0, len(about.pairs), step):
        some = slice(start, start + step)
        tables = pair_tables(panel.codes, about.k, about.pairs[some], assignment)
        found[:, some, 0] = np.trace(tables, axis1=2, axis2=3)
        found[:, some, 1 : about.k + 1] = tables.sum(axis=3)
        found[:, some, about.k + 1 :] = tables.sum(axis=2)
    return found


def _fill_scores(found: Floats, panel: Panel, about: _Pairs, assignment: Assignment | None) -> None:
    assert panel.scores is not None
    used = sorted({judge for pair in about.pairs for judge in pair})
    centred = {}
    for judge in used:
        own = panel.scores[:, judge]
        there = ~np.isnan(own)
        centred[judge] = own - (own[there].mean() if there.any() else 0.0)
    for p, (a, b) in enumerate(about.pairs):
        both = ~np.isnan(centred[a]) & ~np.isnan(centred[b])
        x, y = centred[a][both], centred[b][both]
        rows = np.column_stack([np.ones(x.size), x, y, x * x, y * y, x * y])
        if assignment is None:
            found[0, p] = rows.sum(axis=0)
        elif assignment.index is None:
            found[both, p] = rows
        else:
            add_rows(found[:, p], assignment.index[both], rows)


def _correlation(sums: Floats) -> Floats:
    """Pearson's r from n, x, y, xx, yy, xy on the last axis; NaN where a judge never varies."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance, of_x, of_y = xy - x * y / n, xx - x * x / n, yy - y * y / n
    varies = (of_x > ZERO * np.maximum(xx, ZERO)) & (of_y > ZERO * np.maximum(yy, ZERO)) & (n > 1)
    scale = np.sqrt(np.where(varies, of_x * of_y, 0.0))
    return np.clip(ratio(np.nan_to_num(covariance), scale), -1, 1)


def _own_means(about: _Pairs, total: Floats) -> dict[Measure, Floats]:
    """Each human's mean with the other humans, (H,) for each measure."""
    ends = np.array(list(combinations(range(about.n_humans), 2)))
    found: dict[Measure, Floats] = {}
    for name, value in about.values(total).items():
        square = np.full((about.n_humans, about.n_humans), np.nan)
        square[ends[:, 0], ends[:, 1]] = square[ends[:, 1], ends[:, 0]] = value[: len(ends)]
        found[name] = _mean(square)
    return found


def _mean(values: Floats) -> Floats:
    """Mean of the defined ones along the last axis."""
    defined = np.isfinite(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def _standing(mine: Estimate, apart: Estimate, lowest: float | None, highest: float | None) -> Standing:
    if mine.value is None or apart.value is None or lowest is None or highest is None:
        return "unknown"
    below = apart.ci_high is None or apart.ci_high < 0
    above = apart.ci_low is None or apart.ci_low > 0
    if mine.value < lowest - ZERO and below:
        return "below"
    return "above" if mine.value > highest + ZERO and above else "within"


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _too_many(
    panel: Panel, about: _Pairs, people: Sequence[int], others: Sequence[int], sizes: Sequence[int]
) -> Ceiling:
    nothing = [Estimate(n=n, undefined=_TOO_MANY) for n in sizes]
    return Ceiling(
        measure=about.measures[-1],
        **dict.fromkeys(about.measures, nothing[0]),
        lowest=None,
        highest=None,
        humans=tuple(HumanBeside(judge=panel.names[h]) for h in people),
        judges=tuple(
            JudgeBeside(
                judge=panel.names[j],
                kind=panel.judges[j].kind,
                **dict.fromkeys(about.measures, e),
                difference=e,
                standing="unknown",
            )
            for j, e in zip(others, nothing[1:], strict=True)
        ),
    )


def by_consensus(panel: Panel, people: list[int], others: list[int], sampling: Sampling) -> Consensus:
    """Each judge against the humans' majority, on items where they are of one mind, and where they are not."""
    k = len(panel.question.labels)
    patterns = Patterns.of(panel.codes[:, people], k)
    size = np.bincount(_stratum(patterns.codes, k)[0], patterns.weight, minlength=5).astype(int)
    names = ("n_unanimous", "n_majority", "n_split", "n_tied", "n_alone")
    return Consensus(
        **dict(zip(names, size.tolist(), strict=True)),
        judges=tuple(
            ByConsensus(
                judge=panel.names[j],
                kind=panel.judges[j].kind,
                **dict(zip(("unanimous", "majority", "split"), _accuracy(panel, rows, k, sampling), strict=True)),
            )
            for j, rows in zip(others, beside(panel, people, others), strict=True)
        ),
    )


def _stratum(votes: Any, k: int) -> tuple[Any, Any]:
    """(M,) 0 unanimous, 1 more than half, 2 half or fewer, 3 tied, 4 fewer than two votes; and the label."""
    counts = count_block(votes, k).T.astype(np.int32)
    n, top = counts.sum(axis=1), counts.max(axis=1)
    tied = (counts == top[:, None]).sum(axis=1) > 1
    strata = np.select([n < 2, top == n, tied, 2 * top > n], [4, 0, 3, 1], 2)
    return strata, counts.argmax(axis=1)


def _accuracy(panel: Panel, rows: Beside, k: int, sampling: Sampling) -> list[Estimate]:
    strata, label = _stratum(rows.humans, k)
    among = (strata[:, None] == np.arange(3)) & (rows.own >= 0)[:, None]
    right = among & (rows.own == label)[:, None]
    if panel.clusters is None:
        return wilson_estimates(rows.weight @ right, rows.weight @ among, sampling.confidence)
    return proportions(right[rows.index], among[rows.index], clusters=panel.clusters, confidence=sampling.confidence)
