"""Latent-truth models after Dawid and Skene (1979), for judges that come in families.

Notation: P vote patterns, J judges, K labels, F families. The true label t has the prior pi. Each family has
one hidden opinion o ~ D_f[t, o]; each of its members says x ~ C_j[o, x]. A family of one judge has no hidden
opinion: it says x ~ D_f[t, x]. With F = J this is the model of Dawid and Skene (1979); with larger families
judges that copy each other share one vote. Estimated by expectation-maximisation with the priors of
`confusions`, from one deterministic start: the families' average vote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.confusions import Form, confusions, member_confusions
from interjudge.agreement.vote_patterns import Floats, Ints, Patterns

# The prior of the labels: as if one item in fifty were spread evenly over the labels. It
# decides where verdicts cannot (two judges), and is outweighed wherever they can.
BALANCE: Final = 0.02
_MAX_STEPS: Final = 300
_TOLERANCE: Final = 1e-4
# Weight of a family's own votes against the panel's in the first guess of its opinion.
_FIRST_GUESS: Final = 0.5
_TINY: Final = 1e-12


@dataclass(frozen=True)
class Model:
    """A fitted model.

    Attributes
    ----------
    prior : (K,) share of each true label.
    families : (J,) number of every judge's family, 0 .. F - 1.
    opinions : (F, K, K) D[f, t, o].
    members : (J, K, K) C[j, o, x]; the identity for a judge that is its own family.
    steps : iterations used.
    """

    prior: Floats
    families: Ints
    opinions: Floats
    members: Floats
    steps: int

    @property
    def confusions(self) -> Floats:
        """(J, K, K) probability that judge j says x when the truth is t."""
        return np.asarray(np.einsum("jto,jox->jtx", self.opinions[self.families], self.members))

    def confusions_of(self, judge: int) -> Floats:
        """(K, K) the same for one judge."""
        return np.asarray(self.opinions[self.families[judge]] @ self.members[judge])

    def log_joint(self, patterns: Patterns) -> Floats:
        """(P, K) log probability of the pattern's votes together with each true label."""
        table = np.log(self.prior) + np.asarray(patterns.votes @ _single_table(self))
        for block in _blocks(patterns, self.families):
            table += block.message(self.opinions[block.family], self.members[block.judges])[block.sub.index]
        return np.asarray(table)

    def message(self, patterns: Patterns, family: int) -> Floats:
        """(P, K) what one family's votes alone say: log p(votes | t), 0 where it has none."""
        judges = np.flatnonzero(self.families == family)
        if judges.size == 1:
            lookup = np.vstack([np.log(self.opinions[family]).T, np.zeros(patterns.k)])  # the last row: no vote
            return np.asarray(lookup[patterns.codes[:, judges[0]]])
        block = _Block.of(patterns, judges, family)
        return np.asarray(block.message(self.opinions[family], self.members[judges])[block.sub.index])


def posterior(log_joint: Floats, gold: Ints | None = None) -> Floats:
    """(P, K) log joint -> probabilities; certain where there is a reference label."""
    table: Floats = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    table /= table.sum(axis=1, keepdims=True)
    if gold is not None:
        known = gold >= 0
        table[known] = np.eye(table.shape[1])[gold[known]]
    return table


def fit(patterns: Patterns, families: Ints, form: Form) -> Model:
    """Expectation-maximisation of the model above. `families` (J,) are numbered 0 .. F - 1.

    Reference labels of `patterns.gold` are taken as certain. Every estimate is finite for any input with at
    least one judge and one label.
    """
    weight = patterns.weight[:, None]
    single = _alone(families)
    blocks = _blocks(patterns, families)
    truth = _first_truth(patterns, families)
    opinion = [block.first_opinion(truth * weight) for block in blocks]
    for step in range(1, _MAX_STEPS + 1):
        model = _maximise(patterns, families, form, truth * weight, single, blocks, opinion, step)
        log_joint = np.log(model.prior) + np.asarray(patterns.votes @ _single_table(model))
        heard = [block.hear(model.opinions[block.family], model.members[block.judges]) for block in blocks]
        for block, (message, _) in zip(blocks, heard, strict=True):
            log_joint += message[block.sub.index]
        new = posterior(log_joint, patterns.gold)
        change = float(np.abs(new - truth).max(initial=0.0))
        truth = new
        mass = truth * weight
        opinion = [block.opinion(share, mass) for block, (_, share) in zip(blocks, heard, strict=True)]
        if change < _TOLERANCE:
            break
    return model


def _maximise(
    patterns: Patterns,
    families: Ints,
    form: Form,
    mass: Floats,
    single: NDArray[np.bool_],
    blocks: list[_Block],
    opinion: list[Floats],
    step: int,
) -> Model:
    """The M-step. `mass` (P, K): expected number of items of each pattern with each true label; `opinion`: for
    each larger family (S, K, K) the same by true label and opinion."""
    _, j, k = patterns.shape
    counts = np.zeros((int(families.max(initial=-1)) + 1, k, k))
    own = np.asarray(patterns.votes_t @ mass).reshape(j, k, k).transpose(0, 2, 1)  # [judge, true, said]
    counts[families[single]] = own[single]
    members = np.repeat(np.eye(k)[None], j, axis=0)
    for block, joint in zip(blocks, opinion, strict=True):
        counts[block.family] = joint.sum(axis=0)
        members[block.judges] = block.members(joint.sum(axis=1))
    total = mass.sum(axis=0)
    prior = (total + BALANCE * total.sum() / k) / (total.sum() * (1 + BALANCE))
    return Model(np.maximum(prior, _TINY), families, confusions(counts, form), members, step)


@dataclass(frozen=True)
class _Block:
    """A family of several judges and the S patterns of their votes alone."""

    family: int
    judges: Ints
    sub: Patterns
    voted: NDArray[np.bool_]

    @classmethod
    def of(cls, patterns: Patterns, judges: Ints, family: int) -> _Block:
        sub = patterns.take(judges)
        return cls(family, judges, sub, np.asarray(np.asarray((sub.codes >= 0).any(axis=1))))

    def _collect(self, mass: Floats) -> Floats:
        """(P, K) -> (S, K), sums over the patterns with the same votes of this family."""
        size = self.voted.size
        return np.column_stack([np.bincount(self.sub.index, column, minlength=size) for column in mass.T])

    def first_opinion(self, mass: Floats) -> Floats:
        """(S, K, K) [., true, opinion]: the family's own vote shares, whatever the truth."""
        collected = self._collect(mass)
        counts, n = self.sub.share()
        mean = collected / np.maximum(collected.sum(axis=1, keepdims=True), _TINY)
        guess = (counts + _FIRST_GUESS * mean) / (n + _FIRST_GUESS)[:, None]
        return np.asarray(collected[:, :, None] * guess[:, None, :] * self.voted[:, None, None])

    def members(self, opinion: Floats) -> Floats:
        """(S, K) expected items by opinion -> (M, K, K) confusions of the members."""
        k = self.sub.k
        counts = np.asarray(self.sub.votes_t @ opinion).reshape(self.judges.size, k, k).transpose(0, 2, 1)
        return member_confusions(counts)

    def _joint(self, opinions: Floats, members: Floats) -> tuple[Floats, Floats]:
        """(S, K, K) p(votes, opinion | truth) up to a factor per row, and the log of that factor, (S, 1)."""
        table = np.log(np.maximum(members, _TINY)).transpose(0, 2, 1).reshape(-1, self.sub.k)
        votes = np.asarray(self.sub.votes @ table)
        top = votes.max(axis=1, keepdims=True)
        return np.exp(votes - top)[:, None, :] * np.maximum(opinions, _TINY)[None], top

    def hear(self, opinions: Floats, members: Floats) -> tuple[Floats, Floats]:
        """(S, K) log p(votes of the members | truth), and (S, K, K) p(opinion | votes, truth)."""
        joint, top = self._joint(opinions, members)
        total = np.maximum(joint.sum(axis=2), np.finfo(float).tiny)
        return (np.log(total) + top) * self.voted[:, None], joint / total[:, :, None]

    def message(self, opinions: Floats, members: Floats) -> Floats:
        """(S, K) log p(votes of the members | truth), 0 where none of them has a vote."""
        return self.hear(opinions, members)[0]

    def opinion(self, share: Floats, mass: Floats) -> Floats:
        """(S, K, K) expected number of items by true label and opinion."""
        return np.asarray(self._collect(mass)[:, :, None] * share * self.voted[:, None, None])


def _alone(families: Ints) -> NDArray[np.bool_]:
    return np.asarray(np.bincount(families)[families] == 1)


def _blocks(patterns: Patterns, families: Ints) -> list[_Block]:
    size = np.bincount(families)
    return [_Block.of(patterns, np.flatnonzero(families == f), int(f)) for f in np.flatnonzero(size > 1)]


def _single_table(model: Model) -> Floats:
    """(J * K, K) log D of the judges that are their own family, 0 for all others; rows as `Patterns.votes`."""
    table = np.log(np.maximum(model.opinions[model.families], _TINY)).transpose(0, 2, 1)
    table[~_alone(model.families)] = 0.0
    return np.asarray(table.reshape(-1, model.prior.size))


def family_votes(
    patterns: Patterns, families: Ints, smoothing: float = 1.0, voters: NDArray[np.bool_] | None = None
) -> Floats:
    """(P, K) share of each label when every family has one vote, split as its members' votes are.

    Smoothed by `smoothing` votes of the whole panel's label shares. `voters` (J,) leaves single judges out.
    """
    k = patterns.k
    counts = np.zeros((patterns.codes.shape[0], k))
    single = _alone(families) if voters is None else _alone(families) & voters
    counts += np.asarray(patterns.votes @ (np.repeat(single, k)[:, None] * np.tile(np.eye(k), (single.size, 1))))
    for block in _blocks(patterns, families):
        mine, n = block.sub.share()
        counts += (mine / np.maximum(n, 1)[:, None])[block.sub.index]
    base = patterns.weight @ counts
    base = base / base.sum() if base.sum() > 0 else np.full(k, 1 / k)
    return np.asarray((counts + smoothing * base) / (counts.sum(axis=1, keepdims=True) + smoothing))


def _first_truth(patterns: Patterns, families: Ints) -> Floats:
    truth = family_votes(patterns, families)
    known = patterns.gold >= 0
    truth[known] = np.eye(patterns.k)[patterns.gold[known]]
    return truth


def dawid_skene(
    codes: NDArray[np.int16], k: int, *, form: Form = "full", gold: NDArray[np.int16] | None = None
) -> tuple[Floats, Model]:
    """The plain model, every judge on its own: (N, K) posterior of the true label, and the fitted model.

    Parameters
    ----------
    codes : (N, J) labels 0 .. k - 1, or -1 where the judge has none.
    form : ``full`` is Dawid and Skene (1979), ``one-coin`` their model with one accuracy per judge.
    gold : (N,) reference labels, -1 where there is none.
    """
    patterns = Patterns.of(codes, k, gold)
    model = fit(patterns, np.arange(codes.shape[1]), form)
    return posterior(model.log_joint(patterns), patterns.gold)[patterns.index], model
