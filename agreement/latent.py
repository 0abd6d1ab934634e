"""The true labels behind a panel's verdicts, estimated without reference labels or with a few.

The way: judges are sorted into families at every threshold of how far their errors go together (`families`);
for every sorting and form of confusion matrix a latent-truth model is fitted (`dawid_skene`); the forms and
the families' vote share are mixed with the weights under which they best predict judges they have not heard
(`held_out`); reference labels, where there are any, bend the result towards them (`anchors`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.anchors import anchored
from interjudge.agreement.confusions import Form
from interjudge.agreement.dawid_skene import family_votes, fit, posterior
from interjudge.agreement.families import (
    Cut,
    cuts,
    effective_weights,
    error_correlation,
    few,
    pair_kappas,
    shown,
    skill,
)
from interjudge.agreement.held_out import Component, HeldOut, hold_out
from interjudge.agreement.vote_patterns import Floats, Ints, Patterns
from interjudge.errors import InputError

VOTE: Final = "vote share"
_MIXED: Final[tuple[Form, ...]] = ("class accuracies", "one-coin")
# What a fit looks at: patterns beyond this are sampled by their number of items, then all get their posterior.
_FIT_PATTERNS: Final = 20_000
_CUT_BUDGET: Final = 240  # judges x cuts
_RAW_TOP: Final = 0.9  # agreement no better than this distance from chance binds nobody
# How much the families' vote says, beside the models, in what the panel stands for. A model that goes wrong
# goes wrong on many items alike; the vote does not.
_VOTE_SAYS: Final = 1.0
# From three judges on, the families' vote has at least this share of the mixture: the criterion knows what
# predicts judges, not what is true, and where those differ the vote is the smaller risk.
_VOTE_FLOOR: Final = 0.1
_NO_SMOOTHING: Final = 1e-9
# Log odds are discounted by a fifth: an error all families share leaves no trace in the verdicts. On simulated
# panels of all kinds this exponent gave the least Brier score; the order of verdicts stays.
_DISCOUNT: Final = 0.8
_NO_SKILL: Final = 0.05  # informedness below which a judge's verdicts say nothing of the truth
_ONE_FAMILY: Final = 0.5  # two judges are reported as one family from this correlation of errors on


@dataclass(frozen=True)
class LatentTruth:
    """N items, J judges, K labels.

    Attributes
    ----------
    posterior : (N, K) probability of each true label; certain where a reference label was given.
    consensus : (N,) the label the panel stands for, or -1 without any verdict or reference label.
    p_wrong : (N, J) probability that a verdict differs from the truth; NaN where there is no verdict.
    confusions : (J, K, K) probability that a judge says x (last axis) when the truth is t, as the final
        posterior counts it.
    prior : (K,) share of each true label over the items.
    families : (J,) number of every judge's family at the reported threshold of error correlation.
    error_correlation : (J, J) correlation of errors given the truth. 0 where two judges share no item.
    effective_votes : (J,) what each judge's vote is worth beside those that err with it; at most 1.
    effective_judges : their sum.
    model : the model with most weight. `why`: in words, how it came to that.
    weights : model name -> its share of the mixture.
    criterion : model name -> mean log probability of held-out judges' verdicts.
    n_gold : reference labels used.
    """

    posterior: Floats
    consensus: Ints
    p_wrong: Floats
    confusions: Floats
    prior: Floats
    families: Ints
    error_correlation: Floats
    effective_votes: Floats
    effective_judges: float
    model: str
    why: str
    weights: Mapping[str, float]
    criterion: Mapping[str, float]
    n_gold: int

    @property
    def p_consensus_wrong(self) -> Floats:
        """(N,) probability that the consensus differs from the truth; NaN where there is none."""
        value = 1 - np.take_along_axis(self.posterior, np.maximum(self.consensus, 0)[:, None], axis=1)[:, 0]
        return np.where(self.consensus >= 0, value, np.nan)


def estimate_truth(
    codes: NDArray[np.int16], k: int, *, gold: NDArray[np.int16] | None = None, seed: int = 0
) -> LatentTruth:
    """Estimate the true labels of a panel.

    Parameters
    ----------
    codes : (N, J) labels 0 .. k - 1, or -1 where the judge has no usable verdict.
    k : number of labels of the question, at least 1.
    gold : (N,) reference labels, -1 where there is none.
    seed : for the sample a large panel is fitted on and for the folds of cross-validation.

    Raises
    ------
    InputError : shapes or codes do not fit.
    """
    _check(codes, k, gold)
    first, twin = _twins(codes)
    if first.size < twin.size:
        alone = estimate_truth(codes[:, first], k, gold=gold, seed=seed)
        return _expand(alone, twin)
    rng = np.random.default_rng(seed)
    patterns = Patterns.of(codes, k, gold)
    sample = patterns.sample(_FIT_PATTERNS, rng)
    found = _dependence(sample)
    parts: dict[str, list[Component]] = {form: _components(sample, found.cuts, form) for form in _MIXED}
    test = hold_out(sample, found.cuts, {str(form): part for form, part in parts.items()}, VOTE)
    weights = _hedged(test.stack(), first.size)
    if sample is not patterns:
        parts = {f: [_apply(patterns, part) for part in components] for f, components in parts.items()}
    votes = _votes(patterns, found, 1.0)
    mixed = weights[VOTE] * votes
    for form, components in parts.items():
        for part in components:
            mixed += weights[form] * part.cut.weight * posterior(part.log_joint)
    mixed = _discounted(mixed)
    bent = None
    if gold is not None:
        bent = anchored(patterns, found.votes, {"model": mixed, VOTE: votes}, seed)
    stands = _votes(patterns, found, _NO_SMOOTHING)
    return _result(patterns, mixed if bent is None else bent, stands, found, test, weights, bent is not None)


@dataclass(frozen=True)
class Dependence:
    """What `LatentTruth` says of the judges' errors, without the truth itself: `families`, `error_correlation`,
    `effective_votes` as there, all (J,) or (J, J)."""

    families: Ints
    error_correlation: Floats
    effective_votes: Floats


def error_dependence(codes: NDArray[np.int16], k: int, *, seed: int = 0) -> Dependence:
    """Which judges err together, estimated without reference labels; a part of `estimate_truth`, and quicker.

    Parameters and errors as there.
    """
    _check(codes, k, None)
    first, twin = _twins(codes)
    patterns = Patterns.of(codes[:, first], k)
    found = _dependence(patterns.sample(_FIT_PATTERNS, np.random.default_rng(seed)))
    votes = found.effective[twin] / np.bincount(twin)[twin]
    return Dependence(_reported(found)[twin], found.rho[np.ix_(twin, twin)], votes)


@dataclass(frozen=True)
class _Dependence:
    cuts: list[Cut]
    rho: Floats
    shown: Floats
    informative: NDArray[np.bool_]

    @property
    def votes(self) -> Floats:
        """(J,) votes each judge has when every family has one, averaged over the cuts."""
        out = np.zeros(self.rho.shape[0])
        for cut in self.cuts:
            out += cut.weight / np.bincount(cut.families)[cut.families]
        return out * self.informative

    @property
    def effective(self) -> Floats:
        """(J,) effective votes; nothing for a judge whose verdicts do not depend on the truth."""
        inner = np.flatnonzero(self.informative)
        out = np.zeros(self.informative.size)
        out[inner] = effective_weights(self.shown[np.ix_(inner, inner)])
        return out


def _dependence(patterns: Patterns) -> _Dependence:
    """Families from raw agreement give a first truth; errors against that truth give the families."""
    j = patterns.codes.shape[1]
    limit = int(np.clip(_CUT_BUDGET // max(j, 1), 3, 12))
    first = few(cuts(pair_kappas(patterns), top=_RAW_TOP, whole=False), limit)
    truth = np.zeros((patterns.weight.size, patterns.k))
    for part in _components(patterns, first, "class accuracies"):
        truth += part.cut.weight * posterior(part.log_joint, patterns.gold)
    table = _counted(patterns, truth)
    rho, both = error_correlation(patterns, truth, table)
    proved = shown(rho, both)
    informative = skill(table) >= _NO_SKILL
    if informative.sum() < 2:
        informative = np.ones(j, bool)
    return _Dependence(few(cuts(proved, informative=informative), limit), rho, proved, informative)


def _components(patterns: Patterns, found: Sequence[Cut], form: Form) -> list[Component]:
    models = [fit(patterns, cut.families, form) for cut in found]
    return [Component(cut, m, m.log_joint(patterns)) for cut, m in zip(found, models, strict=True)]


def _votes(patterns: Patterns, found: _Dependence, smoothing: float) -> Floats:
    """(P, K) the families' vote share, averaged over the cuts."""
    out = np.zeros((patterns.weight.size, patterns.k))
    for cut in found.cuts:
        out += cut.weight * family_votes(patterns, cut.families, smoothing, found.informative)
    return out


def _hedged(weights: Mapping[str, float], judges: int) -> dict[str, float]:
    """The weights with the vote share lifted to its floor; of two judges the vote cannot say who errs."""
    floor = _VOTE_FLOOR if judges > 2 else 0.0
    short = max(floor - weights[VOTE], 0.0) / max(1 - weights[VOTE], 1e-12)
    return {name: weight * (1 - short) + (short if name == VOTE else 0.0) for name, weight in weights.items()}


def _twins(codes: NDArray[np.int16]) -> tuple[Ints, Ints]:
    """The judges left when those with the very same verdicts are one, and which of these each judge is."""
    seen: dict[bytes, int] = {}
    twin = [seen.setdefault(np.ascontiguousarray(codes[:, j]).tobytes(), len(seen)) for j in range(codes.shape[1])]
    index = np.array(twin, dtype=np.int64)
    return np.unique(index, return_index=True)[1].astype(np.int64), index


def _expand(alone: LatentTruth, twin: Ints) -> LatentTruth:
    """The same truth for a panel where some judges stand more than once; they share one vote."""
    return replace(
        alone,
        p_wrong=alone.p_wrong[:, twin],
        confusions=alone.confusions[twin],
        families=alone.families[twin],
        error_correlation=alone.error_correlation[np.ix_(twin, twin)],
        effective_votes=alone.effective_votes[twin] / np.bincount(twin)[twin],
    )


def _discounted(table: Floats) -> Floats:
    power = np.asarray(table**_DISCOUNT)
    return np.asarray(power / power.sum(axis=1, keepdims=True))


def _apply(patterns: Patterns, part: Component) -> Component:
    return Component(part.cut, part.model, part.model.log_joint(patterns))


def _counted(patterns: Patterns, truth: Floats) -> Floats:
    """(J, K, K) confusions as the posterior counts them, with half a right verdict and half of any added."""
    _, j, k = patterns.shape
    mass = truth * patterns.weight[:, None]
    counts = np.asarray(patterns.votes_t @ mass).reshape(j, k, k).transpose(0, 2, 1) + 0.5 * np.eye(k) + 0.5 / k
    return np.asarray(counts / counts.sum(axis=2, keepdims=True))


def _result(
    patterns: Patterns,
    truth: Floats,
    votes: Floats,
    found: _Dependence,
    test: HeldOut,
    weights: Mapping[str, float],
    bent: bool,
) -> LatentTruth:
    known = patterns.gold >= 0
    stands = np.argmax(truth if bent else truth + _VOTE_SAYS * votes, axis=1)
    stands = np.where(known, patterns.gold, stands)
    stands = np.where(known | (patterns.codes >= 0).any(axis=1), stands, -1)
    truth = truth.copy()
    truth[known] = np.eye(patterns.k)[patterns.gold[known]]
    p_right = np.take_along_axis(truth, np.maximum(patterns.codes, 0).astype(np.int64), axis=1)
    p_wrong = np.where(patterns.codes >= 0, 1 - p_right, np.nan)
    n_gold = int(patterns.weight[known].sum())
    model, why = _words(test.scores(), weights, len(found.cuts), n_gold, bent)
    cut = _reported(found)
    return LatentTruth(
        posterior=truth[patterns.index],
        consensus=stands[patterns.index],
        p_wrong=p_wrong[patterns.index],
        confusions=_counted(patterns, truth),
        prior=np.asarray(patterns.weight @ truth / max(patterns.weight.sum(), 1)),
        families=cut,
        error_correlation=found.rho,
        effective_votes=found.effective,
        effective_judges=float(found.effective.sum()),
        model=model,
        why=why,
        weights=weights,
        criterion=test.scores(),
        n_gold=n_gold,
    )


def _reported(found: _Dependence) -> Ints:
    """(J,) families at one threshold, for people to read; the estimates use all thresholds."""
    at = cuts(found.shown, informative=found.informative)
    reach, out = 0.0, at[0].families
    for cut in at:
        out = cut.families
        reach += cut.weight
        if reach >= _ONE_FAMILY:
            break
    return out


def _words(
    scores: Mapping[str, float], weights: Mapping[str, float], n_cuts: int, n_gold: int, bent: bool
) -> tuple[str, str]:
    best = max(weights, key=lambda name: (weights[name], scores[name]))
    shares = ", ".join(f"{name} {weights[name]:.0%} (log score {scores[name]:.3f})" for name in weights)
    why = (
        f"mixed so as to predict best what held-out judges said, from the judges outside their family: {shares}; "
        f"averaged over {n_cuts} way{'s' if n_cuts > 1 else ''} to sort the judges into families"
    )
    if bent:
        why += f"; bent towards {n_gold:,} reference labels"
    elif n_gold:
        why += f"; {n_gold:,} reference labels taken as certain, too few to correct the others"
    return best, why


def _check(codes: NDArray[np.int16], k: int, gold: NDArray[np.int16] | None) -> None:
    if codes.ndim != 2 or codes.shape[1] == 0 or codes.shape[0] == 0:
        raise InputError("no verdicts to estimate from", found=f"shape {codes.shape}", expected="(items, judges)")
    if k < 1 or codes.max() >= k or codes.min() < -1:
        raise InputError("codes do not fit the labels", expected=f"-1 to {k - 1}")
    if gold is not None and (gold.shape != codes.shape[:1] or gold.max(initial=-1) >= k or gold.min(initial=-1) < -1):
        raise InputError("reference codes do not fit", expected=f"{codes.shape[0]} codes from -1 to {k - 1}")
