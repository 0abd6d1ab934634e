"""Draws of the truth and of the items together: what is uncertain about a judge when nobody knows the answer.

Two things are unknown: which items might have come (their sampling), and what is true of those that did. A
replicate draws both:

1. A Gibbs sampler over the judges' abilities and the truth (the model of Dawid and Skene 1979 with one accuracy
   per judge and true label, families of judges sharing one vote) says how far the probabilities of the truth
   may move together: with two judges far, with ten hardly.
2. The estimate's own log probabilities are moved by as much. How sure it is, is a guess too, because verdicts
   cannot show an error that all judges share: its log odds are multiplied by a factor between a half and two.
3. The truth of every item is drawn from these probabilities, and its weight as in the Bayesian bootstrap
   (Rubin 1981): one weight an item, the same for all judges, so that judges stay paired. In clusters the
   clusters have the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from interjudge.agreement.latent import LatentTruth
from interjudge.agreement.vote_patterns import Floats, Ints, Patterns

_CHAINS: Final = 10
_BURN_IN: Final = 40
_DRAWS: Final = 500  # of the sampler; replicates beyond them use each again, with other truths and weights
# Cells times labels the draws run on; of more a sample is taken.
_SAMPLE: Final = 10_000
_KEPT: Final = 1 << 24  # numbers of the sampler kept
_CHUNK: Final = 1 << 20  # numbers drawn at a time
# How far the estimate may be over- or underconfident: its log odds are multiplied by a factor between a half and
# two, drawn evenly on the logarithm. (`latent` discounts them by a fifth and mixes them with vote shares, in case
# all judges share an error; where they do not, the truth is surer than it says.)
_CONFIDENCE: Final = 2.0
# Priors as in `confusions`: a judge is like the mean judge, the mean judge right in 7 of 10 cases.
_POOL: Final = 5.0
_MEAN_VERDICTS: Final = 2.0
_MEAN_ACCURACY: Final = 0.7
_BALANCE: Final = 0.02
_TINY: Final = 1e-9


@dataclass(frozen=True)
class Draws:
    """What a pass over the replicates needs.

    rows : (S,) the cells drawn on, None for all of them; weight : (S,) the items each stands for; truth : (S, K)
    their probabilities; moves : (S, K, D) log moves of the sampler; units : (U, S) for each cluster its share of
    every cell's items, or None where the item is the sampling unit.
    """

    rows: Ints | None
    weight: Floats
    truth: Floats
    moves: NDArray[np.float32]
    units: sparse.csr_array | None
    replicates: int
    seed: int

    @classmethod
    def of(
        cls,
        patterns: Patterns,
        truth: Floats,
        found: LatentTruth,
        replicates: int,
        seed: int,
        units: sparse.csr_array | None = None,
    ) -> Draws:
        """truth : (P, K); units : (U, P) how many items of each cluster lie in each cell."""
        rng = np.random.default_rng([seed, 1])
        rows, weight = _sample(patterns, max(_SAMPLE // patterns.k, 200), rng)
        if rows is not None:
            patterns = Patterns(patterns.codes[rows], weight, patterns.gold[rows], rows, patterns.k)
            truth = truth[rows]
            units = None if units is None else sparse.csr_array(units[:, rows])
        if units is not None:
            size = np.asarray(units.sum(axis=0)).ravel()
            units = sparse.csr_array(units @ sparse.diags_array(1 / np.maximum(size, 1)))
        n_draws = int(np.clip(_KEPT // max(truth.size, 1), 50, _DRAWS))
        moves = _moves(patterns, truth, _votes(found), min(n_draws, max(replicates, 1)), rng)
        return cls(rows, weight, truth, moves, units, replicates, seed)

    def chunks(self) -> Iterator[Floats]:
        """Weights of every cell and true label, (S, K, c), `replicates` in all; the same at every call."""
        rng = np.random.default_rng([self.seed, 2])
        base = np.log(np.maximum(self.truth, _TINY))
        whole = np.rint(self.weight).astype(np.int64)
        step = max(1, _CHUNK // max(base.size, 1))
        for start in range(0, self.replicates, step):
            size = min(step, self.replicates - start)
            confidence = _CONFIDENCE ** rng.uniform(-1, 1, size)
            move = self.moves[:, :, np.arange(start, start + size) % self.moves.shape[2]]
            g = _drawn(_normal(base[:, :, None] * confidence + move), whole, rng)
            if self.units is not None:
                drawn = np.asarray(self.units.T @ rng.standard_exponential((self.units.shape[0], size)))
                total = np.maximum(g.sum(axis=1, keepdims=True), _TINY)
                g = g / total * (self.weight[:, None] * drawn)[:, None, :]
            yield g


def _votes(found: LatentTruth) -> Floats:
    """(J,) the share of its family's one vote each judge has; nothing for those that say nothing of the truth."""
    informed = found.effective_votes > 0
    informed = informed if informed.any() else np.ones(informed.size, bool)
    size = np.bincount(found.families, weights=informed)[found.families]
    return np.asarray(informed / np.maximum(size, 1))


def _sample(patterns: Patterns, limit: int, rng: np.random.Generator) -> tuple[Ints | None, Floats]:
    """At most `limit` cells and the items each stands for.

    Items are drawn so that every judge's come as often, however few it judged, and weighted back (Horvitz and
    Thompson 1952).
    """
    if patterns.weight.size <= limit:
        return None, patterns.weight
    there = sparse.csr_array((patterns.codes >= 0).astype(float))
    judged = np.maximum(there.T @ patterns.weight, 1)
    rarest = (there @ sparse.diags_array(1 / judged)).max(axis=1).toarray().ravel()  # 1 / verdicts of the rarest judge
    chance = patterns.weight * np.maximum(rarest, _TINY)
    chance /= chance.sum()
    drawn = rng.multinomial(limit, chance)
    rows = np.flatnonzero(drawn)
    return rows, np.asarray(np.maximum(patterns.weight[rows] * drawn[rows] / (limit * chance[rows]), 1.0))


def _moves(
    patterns: Patterns, start: Floats, votes: Floats, n_draws: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(P, K, D) log of each draw's probabilities over their mean: Gibbs sampling from several chains side by side."""
    p, _, k = patterns.shape
    weight = np.rint(patterns.weight).astype(np.int64)
    anyone = sparse.csr_array((patterns.codes >= 0).astype(float).T)
    columns = sparse.csc_array(patterns.votes)
    said = [sparse.csr_array(columns[:, x::k]) for x in range(k)]
    q = np.repeat(start[:, :, None], _CHAINS, axis=2)
    keep = -(-n_draws // _CHAINS)
    kept = np.empty((p, k, keep * _CHAINS), np.float32)
    for step in range(_BURN_IN + keep):
        g = _drawn(q, weight, rng)
        right = np.stack([said[t].T @ g[:, t] for t in range(k)], axis=1)  # (J, K, chains)
        true = np.stack([anyone @ g[:, t] for t in range(k)], axis=1)
        hit, among = (np.tensordot(votes, table, axes=(0, 0)) for table in (right, true))
        mean = np.maximum((hit + _MEAN_VERDICTS * _MEAN_ACCURACY) / (among + _MEAN_VERDICTS), 1 / k)
        a = rng.standard_gamma(right + _POOL * mean)
        b = rng.standard_gamma(np.maximum(true - right, 0) + _POOL * (1 - mean) + _TINY)
        able = np.clip(a / np.maximum(a + b, _TINY), 1e-6, 1 - 1e-6)
        total = g.sum(axis=0)
        prior = rng.standard_gamma(total + _BALANCE * total.sum(axis=0) / k + _TINY)
        log_joint = np.repeat(np.log(np.maximum(prior / np.maximum(prior.sum(axis=0), _TINY), _TINY))[None], p, axis=0)
        hits, misses = np.log(able) * votes[:, None, None], np.log((1 - able) / max(k - 1, 1)) * votes[:, None, None]
        for t in range(k):  # everybody misses, but those who say t
            log_joint[:, t] += anyone.T @ misses[:, t] + said[t] @ (hits[:, t] - misses[:, t])
        q = _normal(log_joint)
        if step >= _BURN_IN:
            at = (step - _BURN_IN) * _CHAINS
            kept[:, :, at : at + _CHAINS] = q
    mean_q = kept.mean(axis=2, keepdims=True)
    return np.asarray(np.log(np.maximum(kept, _TINY)) - np.log(np.maximum(mean_q, _TINY)), dtype=np.float32)


def _drawn(q: Floats, weight: Ints, rng: np.random.Generator) -> Floats:
    """Truths and Bayesian-bootstrap weights (P, K, c): of the items of a cell n have the label, and n weights
    drawn from the exponential distribution sum to a gamma variable of shape n."""
    left = np.repeat(weight[:, None], q.shape[2], axis=1)
    rest = np.ones_like(q[:, 0])
    out = np.empty_like(q)
    last = q.shape[1] - 1
    for t in range(last):
        n = rng.binomial(left, np.clip(q[:, t] / np.maximum(rest, _TINY), 0, 1))
        out[:, t] = rng.standard_gamma(n)
        left = left - n
        rest = rest - q[:, t]
    out[:, last] = rng.standard_gamma(left)
    return np.asarray(out)


def _normal(logs: Floats) -> Floats:
    """(P, K, c) log weights -> probabilities."""
    out = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(out / out.sum(axis=1, keepdims=True))
