"""How many reference labels are needed, and on which outputs they would tell most.

Numbers of labels are closed forms of planned intervals and tests; what they assume of the truth comes from the
reference labels there are, else from the estimated truth. Which outputs: a sample with known inclusion
probabilities that prefers outputs whose truth is uncertain, so that the labels tell much and rates from them stay
unbiased.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from interjudge.agreement.counts import Floats, assign, ratio
from interjudge.agreement.intervals import Resampler, bca_interval, estimate
from interjudge.agreement.latent import LatentTruth
from interjudge.agreement.panel import Panel
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_plan import HelpedRate, JudgeLabels, NextLabels, RateLabels, TellApart
from interjudge.agreement.rows import Codes
from interjudge.agreement.sampling import Sampling
from interjudge.agreement.vote_patterns import Patterns
from interjudge.agreement.votes import Votes
from interjudge.errors import InputError

REFERENCE: Final = "reference labels"
LATENT: Final = "estimated truth"
VOTES: Final = "share of the votes"
MIN_REFERENCE: Final = 30  # fewer reference labels than this say less of the rates than the estimated truth
MOST: Final = 1_000_000_000
_MIN_EACH: Final = 5  # reference labels of each kind
_MAX_HELPERS: Final = 12  # judges whose help is reckoned; the best correlated ones
_NEVER: Final = "a verdict that never varies helps nothing"

NEXT_COLUMNS: Final = {
    "item_id": pl.String(),
    "why": pl.String(),
    "p_consensus_wrong": pl.Float64(),
    "inclusion_probability": pl.Float64(),
}


def wilson_size(rate: float, width: float, confidence: float = 0.95) -> int:
    """The smallest number of trials on which Wilson's interval (1927) at this rate is no wider than `width`.

    Its width is 2 z sqrt(p (1 - p) n + z^2 / 4) / (n + z^2), which falls with n; equal to `width` where
    w^2 (n + z^2)^2 = 4 z^2 (p (1 - p) n + z^2 / 4), a quadratic equation in n.
    """
    check_width(width)
    z2 = float(special.ndtri((1 + confidence) / 2)) ** 2
    pq, w2 = rate * (1 - rate), width**2
    # w2 n^2 + 2 z2 (w2 - 2 pq) n + z2^2 (w2 - 1) = 0
    half = z2 * (w2 - 2 * pq)
    root = (-half + math.sqrt(max(half**2 - w2 * z2**2 * (w2 - 1), 0.0))) / w2
    n = max(1, math.ceil(root - 1e-6))
    return n if _wilson_width(rate, n, z2) <= width * (1 + 1e-12) else n + 1


def _wilson_width(rate: float, n: int, z2: float) -> float:
    return 2 * math.sqrt(z2 * (rate * (1 - rate) * n + z2 / 4)) / (n + z2)


LEAST_HELPED: Final = 30


def helped_size(alone: int, correlation: float, n_items: int) -> int:
    """Labels that do, with a judge's verdicts on all `n_items`, what `alone` labels do without (at most `alone`).

    The variance of the rate from n labels drawn at random of N outputs, with the judge's verdicts on all of them and
    the weight that suits best, is that from n labels alone times 1 - rho^2 (1 - n / N): prediction-powered
    inference with power tuning (Angelopoulos, Duchi and Zrnic 2023), the regression estimate of double sampling
    (Cochran 1977, chapter 12). Equal to the variance of `alone` labels at
    n = alone (1 - rho^2) / (1 - rho^2 alone / N). Never less than `LEAST_HELPED`: the formula is that of large samples.
    """
    rho2 = min(correlation**2, 1.0)
    if alone >= n_items:
        return alone
    n = alone * (1 - rho2) / (1 - rho2 * alone / n_items)
    return max(min(alone, LEAST_HELPED), math.ceil(n - 1e-9))


def mcnemar_size(only_a: float, only_b: float, power: float = 0.8, confidence: float = 0.95) -> int | None:
    """Outputs on which to see, with this power, that judge a is right more often than b (McNemar's test, two sides).

    only_a, only_b : shares of outputs on which only this one is right. With psi their sum and d their difference,
    n = (z(alpha / 2) sqrt(psi) + z(beta) sqrt(psi - d^2))^2 / d^2 (Connor 1987; Miettinen 1968). None where d is 0
    or so small that n passes a billion.
    """
    psi, d = only_a + only_b, abs(only_a - only_b)
    if d <= 0:
        return None
    z_alpha, z_beta = special.ndtri([(1 + confidence) / 2, power]).tolist()
    n = (z_alpha * math.sqrt(psi) + z_beta * math.sqrt(max(psi - d**2, 0.0))) ** 2 / d**2
    return math.ceil(n - 1e-9) if n <= MOST else None


def check_width(width: float) -> None:
    """Raise `InputError` for a width that no interval of a rate can have."""
    if not 0 < width < 1:
        raise InputError("the width of the interval is out of range", found=width, expected="between 0 and 1")


@dataclass(frozen=True)
class Believed:
    """The truth as far as it is known.

    `posterior` (N, K); rows of reference labels are certain. `p_consensus_wrong` (N,), NaN without a consensus.
    `known` (N,): what the rates are counted on (the reference labels where there are enough of them, else all).
    `weight` (N,): design weights of the reference labels, else ones.
    """

    posterior: Floats
    p_consensus_wrong: Floats
    known: NDArray[np.bool_]
    source: str
    weight: Floats

    def rates(self) -> Floats:
        """(K,) share of each label, as far as is known."""
        return np.average(self.posterior[self.known], axis=0, weights=self.weight[self.known])

    @classmethod
    def of(cls, panel: Panel, truth: LatentTruth | None) -> Believed:
        k = len(panel.question.labels)
        gold = np.full(panel.n_items, -1, np.int16) if panel.gold is None else panel.gold
        labelled = gold >= 0
        if truth is not None:
            posterior, doubt, source = truth.posterior, truth.p_consensus_wrong, LATENT
        else:
            votes = Votes.of(panel.codes, k)
            base = votes.base if votes.base.sum() > 0 else np.full(k, 1 / k)
            posterior, source = (votes.counts + base) / (votes.n + 1)[:, None], VOTES
            doubt = np.where(votes.n > 0, votes.p_label_wrong(votes.consensus), np.nan)
        if labelled.any():
            posterior = posterior.copy()
            posterior[labelled] = np.eye(k)[gold[labelled]]
        counts = np.bincount(gold[labelled], minlength=k)
        enough = counts.sum() >= MIN_REFERENCE and (np.sort(counts)[-2:] >= _MIN_EACH).all()
        ones = np.ones(panel.n_items)
        if enough and k > 1:
            weight = ones if panel.gold_weight is None else panel.gold_weight
            return cls(posterior, doubt, labelled, REFERENCE, weight)
        return cls(posterior, doubt, ones.astype(bool), source, ones)


def planned_label(panel: Panel, believed: Believed) -> int:
    """The question's positive label, or the label whose rate is nearest one half: it needs most labels."""
    positive = panel.question.positive_code
    if positive is not None:
        return positive
    return int(np.argmin(np.abs(believed.rates() - 0.5)))


def rate_labels(panel: Panel, believed: Believed, label: int, width: float, sampling: Sampling) -> RateLabels:
    """Labels for the rate of one label, alone and with the help of each judge's verdicts or of the votes."""
    y = believed.posterior[:, label]
    rate = float(believed.rates()[label])
    alone = wilson_size(rate, width, sampling.confidence)
    best = sorted(_gains(panel, believed, label, alone))[:_MAX_HELPERS]
    helped = [
        _helped(panel, believed, y, panel.names[j], _indicator(panel.codes[:, j], label), rho, alone, sampling)
        for *_, j, rho in sorted(best, key=lambda gain: gain[2])
    ]
    if len(panel.names) > 1:
        counts = Votes.of(panel.codes, len(panel.question.labels))
        share = ratio(counts.counts[:, label].astype(np.float64), counts.n.astype(np.float64))
        rho = _correlation(y, share, believed)
        helped.append(_helped(panel, believed, y, None, share, rho, alone, sampling))
    return RateLabels(
        label=panel.question.labels[label],
        rate=rate,
        n=alone,
        n_at_half=wilson_size(0.5, width, sampling.confidence),
        helped=tuple(helped),
    )


def _gains(panel: Panel, believed: Believed, label: int, alone: int) -> Iterator[tuple[int, float, int, float]]:
    """(labels with its help, - rho^2, number, rho) of every judge whose correlation rho with the truth is known."""
    y = believed.posterior[:, label]
    for j in range(len(panel.names)):
        f = _indicator(panel.codes[:, j], label)
        there = ~np.isnan(f)
        rho = _correlation(y, f, believed)
        if np.isfinite(rho) and (believed.known & there).sum() >= min(MIN_REFERENCE, believed.known.sum()):
            yield helped_size(alone, rho, int(there.sum())), -(rho**2), j, rho


def _indicator(codes: Codes, label: int) -> Floats:
    return np.where(codes >= 0, codes == label, np.nan)


def _correlation(y: Floats, f: Floats, believed: Believed) -> float:
    """Of a verdict f (N,), NaN none, with the truth whose probability is y (N,); NaN where either is constant."""
    both = believed.known & ~np.isnan(f)
    return float(_rho(_moments(y[both], f[both], believed.weight[both]).sum(axis=0))) if both.any() else float("nan")


def _moments(y: Floats, f: Floats, weight: Floats) -> Floats:
    """(n, 5) 1, y, f, y f, f^2, weighted. The truth is 0 or 1, so its square is itself."""
    return weight[:, None] * np.column_stack([np.ones(y.size), y, f, y * f, f**2])


def _rho(sums: Floats) -> Floats:
    n, y, f, yf, ff = np.moveaxis(sums, -1, 0)
    spread = (n * y - y**2) * (n * ff - f**2)
    covariance = n * yf - y * f
    small = 1e-12 * np.maximum(n, 1) ** 4
    return np.asarray(ratio(covariance, np.sqrt(np.where(spread > small, spread, 0.0))))


def _helped(
    panel: Panel,
    believed: Believed,
    y: Floats,
    judge: str | None,
    f: Floats,
    rho: float,
    alone: int,
    sampling: Sampling,
) -> HelpedRate:
    there = ~np.isnan(f)
    n_all, both = int(there.sum()), believed.known & there
    found = Estimate(n=int(both.sum()), undefined=_NEVER)
    if np.isfinite(rho) and believed.source == REFERENCE:
        found = _resampled(_moments(y[both], f[both], believed.weight[both]), panel, both, sampling)
    elif np.isfinite(rho):
        found = Estimate(value=rho, n=int(both.sum()))
    return HelpedRate(
        judge=judge,
        correlation=found,
        n=None if found.value is None else helped_size(alone, found.value, n_all),
        **_ends(found, alone, n_all),
    )


def _ends(rho: Estimate, alone: int, n_all: int) -> dict[str, int | None]:
    """Labels at the ends of the correlation's interval; an interval that holds 0 holds no help at all."""
    if rho.ci_low is None or rho.ci_high is None:
        return {"n_low": None, "n_high": None}
    sizes = [helped_size(alone, r, n_all) for r in (rho.ci_low, rho.ci_high)]
    return {"n_low": min(sizes), "n_high": alone if rho.ci_low <= 0 <= rho.ci_high else max(sizes)}


def _resampled(moments: Floats, panel: Panel, both: NDArray[np.bool_], sampling: Sampling) -> Estimate:
    clusters = None if panel.clusters is None else panel.clusters[both]
    place = assign(moments.shape[0], clusters, seed=sampling.seed)
    if place.index is not None:
        moments = np.column_stack([np.bincount(place.index, column, place.size) for column in moments.T])
    total, weight = moments.sum(axis=0), np.ones(place.size, dtype=np.int64)
    drawn = Resampler(weight, sampling.replicates, sampling.seed).sums(moments)
    value = _rho(total)[None]
    low, high = bca_interval(
        value, _rho(drawn)[:, None], _rho(total - moments)[:, None], weight, place.size, sampling.confidence
    )
    return estimate(float(value[0]), float(low[0]), float(high[0]), int(both.sum()), _NEVER)


def judge_labels(panel: Panel, believed: Believed, label: int, width: float, confidence: float) -> list[JudgeLabels]:
    """Labels for every judge's sensitivity and specificity: so many of either kind, and so many drawn at random that
    the sample is expected to hold them (Buderer 1996, with Wilson's interval in place of the normal one)."""
    y = believed.posterior[:, label]
    share = float(believed.rates()[label])
    out = []
    for j, name in enumerate(panel.names):
        mine = panel.codes[:, j]
        both = believed.known & (mine >= 0)
        hit, w = mine[both] == label, believed.weight[both]
        true = w * y[both]
        everyone, whole, of_hits = float(w.sum()), float(true.sum()), float(true @ hit)
        sensitivity = _share(of_hits, whole)
        specificity = _share(everyone - whole - (float(w @ hit) - of_hits), everyone - whole)
        positives = None if sensitivity is None else wilson_size(sensitivity, width, confidence)
        negatives = None if specificity is None else wilson_size(specificity, width, confidence)
        out.append(
            JudgeLabels(
                judge=name,
                sensitivity=sensitivity,
                specificity=specificity,
                prevalence=share,
                positives=positives,
                negatives=negatives,
                n_sensitivity=_drawn(positives, share),
                n_specificity=_drawn(negatives, 1 - share),
            )
        )
    return out


def _share(part: float, whole: float) -> float | None:
    return float(np.clip(part / whole, 0, 1)) if whole > 1e-9 else None


def _drawn(n: int | None, share: float) -> int | None:
    """Outputs drawn at random that are expected to hold n of a kind with this share."""
    if n is None or share <= 0 or n / share > MOST:
        return None
    return math.ceil(n / share - 1e-9)


def tell_apart(panel: Panel, believed: Believed, power: float, confidence: float) -> TellApart | None:
    """Labels to tell the two judges apart that are right most often, among those with at least half as many verdicts
    as the one with most; None with fewer than two of these."""
    right = [_accuracy(panel, believed, j) for j in range(len(panel.names))]
    most = max(n for _, n in right)
    order = sorted((-value, j) for j, (value, n) in enumerate(right) if n and n >= most / 2)
    if len(order) < 2:
        return None
    (value_a, a), (value_b, b) = order[:2]
    both = np.flatnonzero(believed.known & (panel.codes[:, a] >= 0) & (panel.codes[:, b] >= 0))
    if not both.size:
        return None
    said_a, said_b = panel.codes[both, a], panel.codes[both, b]
    other, w = said_a != said_b, believed.weight[both] / believed.weight[both].sum()
    of_a, of_b = (w[other] @ believed.posterior[both[other], said[other]] for said in (said_a, said_b))
    differ = float(w @ other)
    n, why = None, None
    if both.size < min(MIN_REFERENCE, most):
        why = f"they share only {both.size:,} outputs"
    elif (n := mcnemar_size(float(of_a), float(of_b), power, confidence)) is None:
        why = "they gave the same verdicts" if not differ else "they are right equally often as far as is known"
    return TellApart(
        a=panel.names[a],
        b=panel.names[b],
        accuracy_a=-value_a,
        accuracy_b=-value_b,
        differ=differ,
        n_shared=int(both.size),
        power=power,
        n=n,
        n_where_they_differ=None if n is None else max(1, math.ceil(n * differ - 1e-9)),
        undefined=why,
    )


def _accuracy(panel: Panel, believed: Believed, j: int) -> tuple[float, int]:
    """How often a judge is right as far as is known, and on how many outputs."""
    rows = np.flatnonzero(believed.known & (panel.codes[:, j] >= 0))
    if not rows.size:
        return 0.0, 0
    right = believed.posterior[rows, panel.codes[rows, j]]
    return float(np.average(right, weights=believed.weight[rows])), int(rows.size)


def next_items(
    panel: Panel, believed: Believed, n: int, *, random_share: float = 0.25, seed: int = 0
) -> tuple[pl.DataFrame, NextLabels]:
    """A sample of n outputs without a reference label, and its numbers.

    A share `random_share` is drawn at random; the rest with probabilities in proportion to
    sqrt((1 - sum_x p_x^2) (1 + 4 D)), p the posterior of the output's label and D the share of pairs of judges that
    differ on it. Sampling in proportion to the standard deviation of what is not known has least variance (Neyman
    1934; as a rule for labels: Zrnic and Candes 2024). The label itself has p (1 - p); the difference between two
    judges in being right has 4 p (1 - p) where they differ and 0 where not; the rate and the mean pair of judges count
    alike. That part is drawn systematically along the patterns of verdicts, so that a pattern's number of outputs
    differs by less than one from its expectation: one of a pattern comes before a second of the same, unless the
    pattern is large or very uncertain.

    The table (`NEXT_COLUMNS`) is in random order, so that its first m rows are a sample too, with inclusion
    probabilities m / n of those given. With y the labels and pi these probabilities, sum(y / pi) / sum(1 / pi) is
    the rate (Hajek 1971).

    Raises
    ------
    InputError : n below 0, or a share outside 0 to 1.
    """
    if n < 0 or not 0 <= random_share <= 1:
        raise InputError("no such sample", found=(n, random_share), expected="n of 0 or more, a share from 0 to 1")
    open_ = np.arange(panel.n_items) if panel.gold is None else np.flatnonzero(panel.gold < 0)
    n = min(n, open_.size)
    rng = np.random.default_rng(seed)
    codes = panel.codes[open_]
    patterns = Patterns.of(codes, len(panel.question.labels))
    p = believed.posterior[open_]
    doubt = np.sqrt(np.maximum(1 - np.einsum("nk,nk->n", p, p), 0) * (1 + 4 * _differing(patterns)[patterns.index]))
    doubt[doubt < 1e-6] = 0.0
    chance = _chances(doubt, n - round(random_share * n))
    # random within a pattern; the patterns stand in the order of their doubt
    shuffled = rng.permutation(open_.size)
    of_pattern = np.zeros(patterns.weight.size)
    of_pattern[patterns.index] = doubt
    rank = np.empty(patterns.weight.size, np.int64)
    rank[np.argsort(of_pattern, kind="stable")] = np.arange(patterns.weight.size)
    order = shuffled[np.argsort(rank[patterns.index[shuffled]], kind="stable")]
    pointed = order[_systematic(chance[order], rng)]
    left = np.ones(open_.size, bool)
    left[pointed] = False
    rest = np.flatnonzero(left)
    n_random = n - pointed.size
    drawn = rng.choice(rest, n_random, replace=False) if n_random else rest[:0]
    chosen = np.concatenate([pointed, drawn]).astype(np.int64)
    probability = chance + (1 - chance) * (n_random / rest.size if rest.size else 0.0)
    why = [*_reasons(patterns, pointed), *(["drawn at random"] * n_random)]
    table = pl.DataFrame(
        {
            "item_id": panel.items["item_id"].gather(open_[chosen]),
            "why": why,
            "p_consensus_wrong": pl.Series(believed.p_consensus_wrong[open_[chosen]]).fill_nan(None),
            "inclusion_probability": np.clip(probability[chosen], 0, 1),
        },
        schema=NEXT_COLUMNS,
    )
    shown = NextLabels(
        n=table.height,
        n_random=n_random,
        n_patterns=int(np.unique(patterns.index[chosen]).size),
        n_unlabelled=int(open_.size),
    )
    return table[rng.permutation(table.height)], shown


def _differing(patterns: Patterns) -> Floats:
    """(P,) share of the pairs of verdicts that differ; 0 where there is no pair."""
    counts, n = patterns.share()
    return np.nan_to_num(1 - ratio((counts * (counts - 1)).sum(axis=1), n * (n - 1)))


def _chances(doubt: Floats, n: int) -> Floats:
    """(N,) inclusion probabilities in proportion to `doubt`, at most 1, with the sum n (or the number in doubt)."""
    n = min(n, int(np.count_nonzero(doubt)))
    sure = np.zeros(doubt.size, bool)
    while True:
        left = n - int(sure.sum())
        scale = left / doubt[~sure].sum() if left > 0 else 0.0
        over = ~sure & (doubt * scale >= 1)
        if not over.any() or left <= 0:
            return np.where(sure, 1.0, doubt * scale)
        sure |= over


def _systematic(chance: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """Places of a systematic sample with these inclusion probabilities (Madow 1949): one where the running sum
    passes u, u + 1, u + 2, ... with one random start u."""
    total = round(float(chance.sum()))
    if not total:
        return np.zeros(0, np.int64)
    running = np.cumsum(chance)
    running *= total / running[-1]
    return np.unique(np.searchsorted(running, rng.random() + np.arange(total), side="right").clip(max=chance.size - 1))


def _reasons(patterns: Patterns, chosen: NDArray[np.int64]) -> list[str]:
    said: dict[int, str] = {}
    for at in np.unique(patterns.index[chosen]).tolist():
        own = patterns.codes[at]
        votes = np.sort(np.bincount(own[own >= 0]))[::-1]
        votes = votes[votes > 0]
        size = int(patterns.weight[at])
        like = f"; {size:,} such outputs" if size > 1 else ""
        if not votes.size:
            said[at] = f"no verdict{like}"
        elif votes.size == 1:
            said[at] = f"{'all agree' if votes[0] > 1 else 'one verdict'}{like}"
        else:
            said[at] = f"judges split {' to '.join(str(v) for v in votes[:5].tolist())}{like}"
    return [said[at] for at in patterns.index[chosen].tolist()]
