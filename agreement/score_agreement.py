"""How far the judges' numbers agree: intraclass correlations, ranks, and every two judges' differences.

`scores` is (N items, J judges) of float64, NaN where there is none. ICC (see `icc`) and Kendall's W need complete
items; Lin's concordance correlation and Bland and Altman's limits use the items both judges of a pair scored.

Where items are independent all intervals but W's have a published closed form. Where they share units (clusters) ICC
and the concordance correlation are jackknifed over the units (Arvesen and Schmitz 1970). Everything else, and W
always, takes the variance of the statistic's influence function psi summed within the C units,

    V = C / (C - 1) sum_u (sum_{i in u} psi_i)^2 / n^2,

and Student's t on C - 1 degrees of freedom, for W on its logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from interjudge.agreement.counts import Floats, dense, ratio
from interjudge.agreement.degenerate import NO_PAIRS, ONE_CATEGORY, ONE_JUDGE, ZERO
from interjudge.agreement.icc import FEW_COMPLETE, icc_estimates, pseudo_interval
from interjudge.agreement.intervals import estimate
from interjudge.agreement.panel import Panel
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_scores import RankConcordance, ScoreAgreement, ScorePair
from interjudge.agreement.sampling import MAX_PAIRED_JUDGES, Sampling

ONE_ITEM: Final = "only one item that both judges scored"
SHARED_UNITS: Final = "items share sampling units, and the test takes them as independent"

_LIMIT: Final = 1.96  # 95 % of normal differences lie this many standard deviations around their mean
_ROWS: Final = 1 << 15  # items looked at at a time


@dataclass(frozen=True)
class _Units:
    """The sampling units of n items: `index` (n,), `size` of them; index None where each item is its own."""

    index: NDArray[np.intp] | None
    size: int

    @classmethod
    def of(cls, clusters: NDArray[Any] | None, n: int) -> _Units:
        return cls(None, n) if clusters is None else cls(*dense(clusters))

    def error(self, influence: Floats) -> float:
        """Standard error of a mean-like statistic from its influence function (n,); NaN below two units."""
        if self.size < 2:
            return float("nan")
        sums = influence if self.index is None else np.bincount(self.index, influence, self.size)
        return float(np.sqrt(self.size / (self.size - 1) * (sums @ sums)) / influence.size)

    def quantile(self, confidence: float) -> float:
        """Student's t on one degree of freedom less than there are units."""
        return float(special.stdtrit(self.size - 1, (1 + confidence) / 2)) if self.size > 1 else float("nan")


def score_agreement(panel: Panel, *, sampling: Sampling | None = None) -> ScoreAgreement | None:
    """ICC, Kendall's W, and every pair of judges, of a panel of numbers.

    Numbers are the panel's scores, or its labels where these are numbers and the question's level says that they
    have an order. None for every other panel.
    """
    sampling = sampling or Sampling()
    scores = numbers(panel)
    if scores is None:
        return None
    given = np.isfinite(scores)
    per_judge = given.sum(axis=0)
    speaking = np.flatnonzero(per_judge)
    complete = given[:, speaking].all(axis=1) if speaking.size else np.zeros(panel.n_items, bool)
    n = int(complete.sum())
    # a copy of the table only where items or judges are left out
    kept = scores if n == panel.n_items and speaking.size == scores.shape[1] else scores[np.ix_(complete, speaking)]
    clusters = None if panel.clusters is None else panel.clusters[complete]
    options: Any = {"clusters": clusters, "confidence": sampling.confidence}
    return ScoreAgreement(
        n_items=panel.n_items,
        n=n,
        judges=tuple(panel.names[j] for j in speaking),
        silent=tuple(name for name, some in zip(panel.names, per_judge, strict=True) if not some),
        icc=icc_estimates(kept, seed=sampling.seed, **options),
        kendall_w=kendall_w(kept, **options),
        pairs=tuple(score_pairs(scores, panel.names, clusters=panel.clusters, confidence=sampling.confidence))
        if len(panel.judges) <= MAX_PAIRED_JUDGES
        else (),
        notes=tuple(_notes(panel, n, per_judge)),
    )


def numbers(panel: Panel) -> Floats | None:
    """(N, J) the panel's numbers, NaN where there is none; None where it has none or their order means nothing."""
    if panel.scores is not None:
        return panel.scores
    values = panel.question.values
    if panel.question.level == "nominal" or not values:
        return None
    lookup = np.append(np.array(values, dtype=np.float64), np.nan)  # code -1 is the last one
    found = np.empty(panel.codes.shape, dtype=np.float64, order="F")
    for j in range(panel.codes.shape[1]):
        found[:, j] = lookup[panel.codes[:, j]]
    return found


def _notes(panel: Panel, n: int, per_judge: NDArray[np.int64]) -> list[str]:
    notes = []
    speaking = per_judge > 0
    if 0 < n < panel.n_items or (not n and speaking.sum() > 1):
        least = int(np.argmin(np.where(speaking, per_judge, panel.n_items + 1)))
        notes.append(
            f"ICC and Kendall's W rest on the {n:,} of {panel.n_items:,} items that every judge scored; "
            f"{panel.names[least]!r} scored fewest ({int(per_judge[least]):,})"
        )
    if len(panel.judges) > MAX_PAIRED_JUDGES:
        notes.append(f"{len(panel.judges)} judges: pairs are left out above {MAX_PAIRED_JUDGES}")
    if panel.clusters is not None:
        notes.append(f"intervals are over {panel.unit}s; Kendall's W has no test there")
    return notes


@dataclass(frozen=True)
class _Ranked:
    """One judge's scores as shares of rank: `index` (n,) of each item's value, `count` (V,) of items per value."""

    index: NDArray[np.int32]
    count: NDArray[np.int64]

    @classmethod
    def of(cls, column: Floats) -> _Ranked:
        order = np.argsort(column)
        ordered = column[order]
        new = np.concatenate([[False], ordered[1:] != ordered[:-1]])
        index = np.empty(column.size, dtype=np.int32)
        index[order] = np.cumsum(new, dtype=np.int32)
        return cls(index, np.bincount(index))

    def middle(self) -> Floats:
        """(V,) mid-rank of each value, (rank - 1/2) / n - 1/2: its mean over the items is 0."""
        return np.asarray((np.cumsum(self.count) - self.count / 2) / self.index.size - 0.5)

    def below(self, s: Floats) -> Floats:
        """(V,) for s (V,), a sum per value: what lies above each value, and half of what lies at it."""
        return np.asarray(s.sum() - np.cumsum(s) + s / 2)


def kendall_w(scores: Floats, *, clusters: NDArray[Any] | None = None, confidence: float = 0.95) -> RankConcordance:
    """Kendall's coefficient of concordance of a complete table (n, m), corrected for ties.

    With r_ij the mid-rank of item i among judge j's scores and R_i their sum over the m judges,

        W = sum_i (R_i - mean)^2 / (m sum_j sum_i (r_ij - mean)^2),

    which is 12 S / (m^2 (n^3 - n) - m sum T), T = sum (t^3 - t) over the tied groups (Kendall 1948; Legendre 2005,
    equations 1 to 3). The test is m (n - 1) W against chi-square on n - 1 degrees of freedom, Friedman's (1937).
    """
    n, m = scores.shape
    if n < 2 or m < 2:
        return RankConcordance(n=n, undefined=ONE_JUDGE if m < 2 else FEW_COMPLETE)
    ranked = [_Ranked.of(scores[:, j]) for j in range(m)]
    middles = [judge.middle() for judge in ranked]
    total = np.zeros(n)
    spread = np.zeros(n)
    for judge, middle in zip(ranked, middles, strict=True):
        total += middle[judge.index]
        spread += (middle**2)[judge.index]
    top, bottom = float(total @ total) / n, m * float(spread.mean())
    if bottom <= ZERO:
        return RankConcordance(n=n, undefined=ONE_CATEGORY)
    w = min(top / bottom, 1.0)
    # the influence of an item: through its own ranks, and through those of the items it is counted below
    own = total**2 - w * m * spread
    through = np.zeros(n)
    for judge, middle in zip(ranked, middles, strict=True):
        weight = np.bincount(judge.index, total, judge.count.size) - w * m * judge.count * middle
        through += judge.below(weight / n)[judge.index]
    influence = (own + 2 * (through - through.mean())) / bottom
    units = _Units.of(clusters, n)
    low, high = np.nan, np.nan
    if ZERO < w < 1 - ZERO:
        half = units.quantile(confidence) * units.error(influence) / (w * (1 - w))
        low, high = special.expit(special.logit(w) + half * np.array([-1, 1]))
    known = estimate(w, float(low), float(high), n, "").model_dump()
    if clusters is not None:
        return RankConcordance(**known, no_test=SHARED_UNITS)
    statistic = m * (n - 1) * w
    return RankConcordance(**known, chi_square=statistic, df=n - 1, p=float(special.chdtrc(n - 1, statistic)))


@dataclass(frozen=True)
class PairMoments:
    """Of every pair of judges on the items both scored, (P,): how many, means, variances and covariance (divisor n).

    Pairs without a common item have n = 0 and NaN elsewhere.
    """

    n: Floats
    mean_a: Floats
    mean_b: Floats
    var_a: Floats
    var_b: Floats
    cov: Floats

    @classmethod
    def of(cls, scores: Floats, pairs: Sequence[tuple[int, int]]) -> PairMoments:
        """Sums of products of whole blocks of the table, so that pairs cost next to nothing."""
        n_judges = scores.shape[1]
        centre = np.zeros(n_judges)
        for j in range(n_judges):
            known = scores[np.isfinite(scores[:, j]), j]
            centre[j] = known.mean() if known.size else 0.0
        both, first, square, product = np.zeros((4, n_judges, n_judges))
        for start in range(0, scores.shape[0], _ROWS):
            x = scores[start : start + _ROWS] - centre
            given = np.isfinite(x)
            x = np.where(given, x, 0.0)
            g = given.astype(np.float64)
            both += g.T @ g
            first += x.T @ g  # sum of the row judge's scores where the column judge has one
            square += (x**2).T @ g
            product += x.T @ x
        a, b = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
        n = both[a, b]
        shift_a, shift_b = ratio(first[a, b], n), ratio(first[b, a], n)
        var_a = ratio(square[a, b], n) - shift_a**2
        var_b = ratio(square[b, a], n) - shift_b**2
        cov = ratio(product[a, b], n) - shift_a * shift_b
        # a variance this small beside the mean square is zero that arithmetic has smeared
        small_a, small_b = (ZERO * (v + s**2) for v, s in ((var_a, shift_a), (var_b, shift_b)))
        var_a, var_b = np.where(var_a > small_a, var_a, 0 * var_a), np.where(var_b > small_b, var_b, 0 * var_b)
        return cls(n, centre[a] + shift_a, centre[b] + shift_b, var_a, var_b, cov)

    @property
    def bias(self) -> Floats:
        return self.mean_a - self.mean_b

    @property
    def ccc(self) -> Floats:
        """Lin (1989), equation 2: 2 s_ab / (s_a^2 + s_b^2 + (mean_a - mean_b)^2), all with divisor n."""
        return np.clip(ratio(2 * self.cov, self.var_a + self.var_b + self.bias**2), -1, 1)

    @property
    def pearson(self) -> Floats:
        return np.clip(ratio(self.cov, np.sqrt(self.var_a * self.var_b)), -1, 1)

    @property
    def deviation(self) -> Floats:
        """Standard deviation of the differences, divisor n - 1; NaN below two items."""
        variance = self.var_a + self.var_b - 2 * self.cov
        variance = np.where(variance > ZERO * (self.var_a + self.var_b), variance, 0 * variance)
        return np.sqrt(ratio(variance * self.n, self.n - 1))


def lin_interval(m: PairMoments, confidence: float) -> tuple[Floats, Floats]:
    """Low and high of the concordance correlation, (P,): Fisher's z with the variance of Lin (1989, 2000).

    With C_b = ccc / r and u = (mean_a - mean_b) / sqrt(s_a s_b),

        V = [(1 - r^2) C_b^2 / (1 - c^2) + 2 c^2 C_b (1 - c) u^2 / (1 - c^2)^2 - c^2 C_b^2 u^4 / (2 (1 - c^2)^2)]
            / (n - 2).
    """
    c, r = m.ccc, m.pearson
    spread = np.sqrt(m.var_a * m.var_b)
    c_b = ratio(2 * spread, m.var_a + m.var_b + m.bias**2)
    u2 = ratio(m.bias**2, spread)
    room = 1 - c**2
    variance = (1 - r**2) * ratio(c_b**2, room, ZERO)
    variance += ratio(2 * c**2 * c_b * (1 - c) * u2 - (c * c_b * u2) ** 2 / 2, room**2, ZERO)
    half = special.ndtri((1 + confidence) / 2) * np.sqrt(ratio(np.maximum(variance, 0), m.n - 2))
    return np.tanh(_fisher(c) - half), np.tanh(_fisher(c) + half)


def _fisher(c: Floats) -> Floats:
    """Fisher's z; NaN for a correlation of 1, which has no interval."""
    return np.arctanh(np.where(np.abs(c) < 1 - ZERO, c, np.nan))


def bland_altman_errors(m: PairMoments) -> tuple[Floats, Floats]:
    """Standard errors of the mean difference and of either limit, (P,): Bland and Altman (1999), section 2.1.

    s / sqrt(n), and s sqrt(1 / n + 1.96^2 / (2 (n - 1))).
    """
    s = m.deviation
    one = np.ones(1)
    return s * np.sqrt(ratio(one, m.n)), s * np.sqrt(ratio(one, m.n) + _LIMIT**2 / 2 * ratio(one, m.n - 1))


def score_pairs(
    scores: Floats,
    names: Sequence[str],
    *,
    clusters: NDArray[Any] | None = None,
    confidence: float = 0.95,
) -> list[ScorePair]:
    """Every two judges of a table (N, J), in the order of `names`, on the items both scored."""
    pairs = list(combinations(range(scores.shape[1]), 2))
    if not pairs:
        return []
    m = PairMoments.of(scores, pairs)
    spans = _independent(m, confidence) if clusters is None else _clustered(scores, pairs, m, clusters, confidence)
    low, high, half, half_lower, half_upper = spans
    values = (np.where(m.n > 1, m.ccc, np.nan), m.pearson, m.bias, m.deviation)
    found = []
    for p, (a, b) in enumerate(pairs):
        n = int(m.n[p])
        ccc, r, bias, s = (float(value[p]) for value in values)
        short = NO_PAIRS if n == 0 else ONE_ITEM
        found.append(
            ScorePair(
                a=names[a],
                b=names[b],
                ccc=estimate(ccc, float(low[p]), float(high[p]), n, short if n < 2 else ONE_CATEGORY),
                pearson=r if np.isfinite(r) else None,
                bias=_around(bias, half[p], n, short),
                lower_limit=_around(bias - _LIMIT * s, half_lower[p], n, short),
                upper_limit=_around(bias + _LIMIT * s, half_upper[p], n, short),
            )
        )
    return found


def _around(value: float, half: float, n: int, reason: str) -> Estimate:
    return estimate(value, float(value - half), float(value + half), n, reason)


def _independent(m: PairMoments, confidence: float) -> tuple[Floats, ...]:
    """Low and high of the concordance correlation; half widths for the bias, the lower and the upper limit."""
    low, high = lin_interval(m, confidence)
    t = special.stdtrit(np.maximum(m.n - 1, 1), (1 + confidence) / 2)
    error, error_limit = bland_altman_errors(m)
    return low, high, t * error, t * error_limit, t * error_limit


def _clustered(
    scores: Floats, pairs: Sequence[tuple[int, int]], m: PairMoments, clusters: NDArray[Any], confidence: float
) -> tuple[Floats, ...]:
    """The same where items share units, from the influence function of each statistic."""
    found = np.full((5, len(pairs)), np.nan)
    index, _ = dense(clusters)
    order = np.argsort(index)
    starts = np.flatnonzero(np.diff(index[order], prepend=-1))
    columns = [column[order] for column in scores.T]
    given = [np.isfinite(column) for column in columns]
    for p, (a, b) in enumerate(pairs):
        both = given[a] & given[b]
        x, y = columns[a] - m.mean_a[p], columns[b] - m.mean_b[p]
        if not both.all():
            x, y = np.where(both, x, 0.0), np.where(both, y, 0.0)
        n, sx, sy, xx, yy, xy = (np.add.reduceat(part, starts) for part in (both * 1.0, x, y, x * x, y * y, x * y))
        found[:, p] = _of_units(p, m, n, (sx, sy, xx, yy, xy), confidence)
    return tuple(found)


def _of_units(p: int, m: PairMoments, n: Floats, sums: tuple[Floats, ...], confidence: float) -> list[float]:
    """Of pair p: low and high of the concordance correlation, half widths for bias and limits.

    n (U,) items in each unit; sums (U,) of x, y, x^2, y^2, x y, each centred at the judge's mean.
    """
    units = _Units(None, int((n > 0).sum()))
    if units.size < 2:
        return [np.nan] * 5
    sx, sy, xx, yy, xy = sums
    t, whole = units.quantile(confidence), n.sum()

    def half(influence: Floats) -> float:
        return t * float(np.sqrt(units.size / (units.size - 1) * (influence @ influence)) / whole)

    s, bias = float(m.deviation[p]), float(m.bias[p])
    d, dd = sx - sy, xx + yy - 2 * xy
    width = _LIMIT * ratio(dd - n * dd.sum() / whole, np.asarray(2 * s))
    spans = [half(d), half(d - width), half(d + width)]
    left = np.array([n.sum() - n] + [part.sum() - part for part in sums])
    z, without = _fisher(m.ccc[p : p + 1]), _fisher(_ccc(bias, *left))
    low, high = (float(np.tanh(bound[0])) for bound in pseudo_interval(z, without[n > 0, None], confidence))
    return [low, high, *spans]


def _ccc(bias: float, n: Floats, sx: Floats, sy: Floats, xx: Floats, yy: Floats, xy: Floats) -> Floats:
    """The concordance correlation from sums over n items of scores centred at means that differ by `bias`."""
    mx, my = ratio(sx, n), ratio(sy, n)
    spread = ratio(xx, n) - mx**2 + ratio(yy, n) - my**2 + (bias + mx - my) ** 2
    return np.clip(ratio(2 * (ratio(xy, n) - mx * my), spread), -1, 1)
