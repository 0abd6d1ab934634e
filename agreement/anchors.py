"""A few reference labels as anchors: a Gaussian-process classifier over vote patterns, started at the latent truth.

Prior mean: the model's (or the families' vote's) log probabilities, scaled down. Kernel: how many families gave
two items the same verdicts, so items near a labelled one in that sense follow it. With no labels nearby the
prior mean stands. Maximum a posteriori as in Rasmussen and Williams (2006), section 3.5; the settings are
averaged with weights from ten-fold cross-validation on the labelled items.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse, special

from interjudge.agreement.vote_patterns import Floats, Ints, Patterns

_FOLDS: Final = 10
_LINEAR: Final = 0.0
_SHARPNESS: Final = (_LINEAR, 3.0, 8.0)  # of exp(s * (similarity - 1)); 0 stands for the linear kernel
_SCALES: Final = (0.4, 1.0)  # of the prior mean: it is over-confident where judges err together
_SPREADS: Final = (0.0, 1.0, 2.0, 4.0)  # standard deviation of the departure from it
_BIAS: Final = 0.3  # kernel's constant: all items may depart together
_FLOOR: Final = 1e-4  # smallest probability of the prior mean
_LEAST: Final = 5  # fewer labels than this change no model
_MOST: Final = 300  # labelled items beyond this are a panel's reference, not anchors: a sample of them serves
_LARGE: Final = 2_000  # labelled items times labels; beyond this a coarser grid of settings
_CHUNK: Final = 20_000
_KEPT: Final = 12  # settings that are averaged


@dataclass(frozen=True)
class _Setting:
    mean: str
    scale: float
    sharpness: float
    spread: float


def anchored(patterns: Patterns, weights: Floats, means: Mapping[str, Floats], seed: int) -> Floats | None:
    """(P, K) probabilities of the true label that agree with the labelled items, or None with too few of them.

    Parameters
    ----------
    weights : (J,) votes each judge has; a family of clones shares one.
    means : name -> (P, K) probabilities found without labels; none may have seen the labels it is checked on.
    """
    known = np.flatnonzero(patterns.gold >= 0)
    rows = np.repeat(known, patterns.weight[known].astype(np.int64))  # one row per labelled item
    if rows.size < _LEAST:
        return None
    if rows.size > _MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MOST, replace=False))
    label = patterns.gold[rows]
    log_means = {name: _centred(table) for name, table in means.items()}
    similarity = _similarity(patterns, weights, rows)
    settings, share = _weigh(similarity[rows], log_means, rows, label, patterns.k, seed)
    return _average(similarity, settings, share, log_means, rows, label, patterns.k)


def _centred(table: Floats) -> Floats:
    logs = np.log(np.maximum(table, _FLOOR))
    return np.asarray(logs - logs.mean(axis=1, keepdims=True))


@dataclass(frozen=True)
class _Similarity:
    """(P, n) weighted number of verdicts in common with each labelled item, and of judges in common; as shares."""

    same: Floats
    shared: Floats

    def __getitem__(self, rows: Ints | slice) -> _Similarity:
        return _Similarity(self.same[rows], self.shared[rows])

    def kernel(self, sharpness: float) -> Floats:
        if sharpness == _LINEAR:
            return self.same + _BIAS
        # of the judges in common, damped where there are few
        alike = np.where(self.shared > 0, self.same / np.maximum(self.shared, 1e-12), 0) * np.sqrt(self.shared)
        return np.asarray(np.exp(sharpness * (alike - 1)) + _BIAS)


def _similarity(patterns: Patterns, weights: Floats, rows: Ints) -> _Similarity:
    votes, k = patterns.votes, patterns.k
    anyone = sparse.csr_array((patterns.codes >= 0).astype(float))
    per_vote, per_judge = np.repeat(weights, k), weights / max(weights.sum(), 1e-12)
    labelled = (votes[rows] * (per_vote / max(weights.sum(), 1e-12))).T
    present = (anyone[rows] * per_judge).T
    return _Similarity((votes @ labelled).toarray(), (anyone @ present).toarray())


def _settings(names: Iterable[str], coarse: bool) -> list[_Setting]:
    return [
        _Setting(name, scale, sharpness, spread)
        for name in names
        for scale in (_SCALES[:1] if coarse else _SCALES)
        for sharpness in _SHARPNESS
        for spread in (_SPREADS[::2] if coarse else _SPREADS)
        if spread > 0 or sharpness == _LINEAR
    ]


def _weigh(
    square: _Similarity, means: Mapping[str, Floats], rows: Ints, label: Ints, k: int, seed: int
) -> tuple[list[_Setting], Floats]:
    """The settings worth keeping and their weights: the likelihood of labels left out, fold by fold."""
    fold = np.random.default_rng(seed).permutation(rows.size) % _FOLDS
    kernels = {sharpness: square.kernel(sharpness) for sharpness in _SHARPNESS}
    settings = _settings(means, rows.size * k > _LARGE)
    score = np.zeros(len(settings))
    for out in range(_FOLDS):
        train, test = np.flatnonzero(fold != out), np.flatnonzero(fold == out)
        roots = {s: _root(kernels[s][np.ix_(train, train)]) for s in _SHARPNESS}
        for i, setting in enumerate(settings):
            mean = setting.scale * means[setting.mean][rows]
            dual = _solve(roots[setting.sharpness], mean[train], label[train], setting.spread, k)
            shift = kernels[setting.sharpness][np.ix_(test, train)] @ dual
            score[i] += special.log_softmax(mean[test] + shift, axis=1)[np.arange(test.size), label[test]].sum()
    best = np.argsort(-score, kind="stable")[:_KEPT]
    share = np.exp(score[best] - score[best[0]])
    return [settings[i] for i in best], share / share.sum()


def _average(
    similarity: _Similarity,
    settings: list[_Setting],
    share: Floats,
    means: Mapping[str, Floats],
    rows: Ints,
    label: Ints,
    k: int,
) -> Floats:
    square = similarity[rows]
    roots = {s: _root(square.kernel(s)) for s in {setting.sharpness for setting in settings}}
    duals = [_solve(roots[s.sharpness], s.scale * means[s.mean][rows], label, s.spread, k) for s in settings]
    out = np.zeros((similarity.same.shape[0], k))
    for start in range(0, out.shape[0], _CHUNK):
        part = slice(start, start + _CHUNK)
        kernels = {s: similarity[part].kernel(s) for s in roots}
        for setting, dual, weight in zip(settings, duals, share, strict=True):
            value = setting.scale * means[setting.mean][part] + kernels[setting.sharpness] @ dual
            out[part] += weight * special.softmax(value, axis=1)
    return np.asarray(out / out.sum(axis=1, keepdims=True))


def _root(kernel: Floats) -> Floats:
    """A matrix R with R R' = kernel, whatever its rank (labelled items may have equal votes)."""
    values, vectors = np.linalg.eigh((kernel + kernel.T) / 2)
    keep = values > 1e-9 * max(float(values.max(initial=0.0)), 1e-9)
    return np.asarray(vectors[:, keep] * np.sqrt(values[keep]))


def _solve(root: Floats, mean: Floats, label: NDArray[np.int64], spread: float, k: int) -> Floats:
    """(n, K) dual weights a, so that the departure at new items is kernel(new, labelled) @ a.

    Maximises log p(label | mean + spread R V) - |V|^2 / 2. At the optimum the departure is spread^2 K (Y - P).
    """
    target = np.eye(k)[label]
    if spread == 0:
        return np.zeros_like(mean)

    def loss(flat: Floats) -> tuple[float, Floats]:
        value = flat.reshape(root.shape[1], k)
        log_p = special.log_softmax(mean + spread * root @ value, axis=1)
        slope = value - spread * root.T @ (target - np.exp(log_p))
        return float(-(log_p * target).sum() + 0.5 * (value * value).sum()), slope.ravel()

    start = np.zeros(root.shape[1] * k)
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 80}).x
    log_p = special.log_softmax(mean + spread * root @ found.reshape(root.shape[1], k), axis=1)
    return np.asarray(spread**2 * (target - np.exp(log_p)))
