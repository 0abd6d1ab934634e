"""Which judges err together: dependence given the truth, families of judges, and how many judges that leaves."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from interjudge.agreement.vote_patterns import Floats, Ints, Patterns

# Above this distance (1 - correlation) nobody joins a family, whatever the thresholds below it say.
_UNRELATED: Final = 0.9
# A correlation counts from the lower end of its one-sided 95 % interval on: dependence has to be shown.
_Z: Final = 1.645
_SAME: Final = 1e-6
_TINY: Final = 1e-12
# A pair that shares few items is pulled to the panel's mean kappa with the weight of this many items.
_FEW_ITEMS: Final = 5.0


@dataclass(frozen=True)
class Cut:
    """One way to sort judges into families, and the share of thresholds at which it holds."""

    families: Ints
    weight: float

    @property
    def size(self) -> int:
        return int(self.families.max(initial=-1)) + 1


def pair_kappas(patterns: Patterns) -> Floats:
    """(J, J) Cohen's kappa of all pairs on the items both judged; thin pairs shrunk to the mean of all."""
    shares = _shared(patterns, patterns.weight)
    both, chance, agree = shares.both, np.zeros_like(shares.both), np.zeros_like(shares.both)
    for x in range(patterns.k):
        said = shares.said(x)
        chance += said * said.T
        agree += shares.agree(x)
    n = np.maximum(both, 1)
    expected = chance / n**2
    usable = (both > 0) & (expected < 1 - 1e-9)
    kappa = np.where(usable, (agree / n - expected) / np.where(usable, 1 - expected, 1), 0.0)
    upper = np.triu(usable, 1)
    mean = float(np.average(kappa[upper], weights=both[upper])) if upper.any() else 0.0
    kappa = (both * np.where(usable, kappa, 0.0 if mean < 0 else mean) + _FEW_ITEMS * mean) / (both + _FEW_ITEMS)
    constant = (both > 0) & ~usable  # two judges who only ever said one label: the same one, or never the same
    kappa = np.where(constant, (agree == both) * 1.0, kappa)
    np.fill_diagonal(kappa, 1.0)
    return np.asarray(kappa)


def error_correlation(patterns: Patterns, truth: Floats, confusions: Floats) -> tuple[Floats, Floats]:
    """Correlation of two judges' errors given the truth, (J, J), and the number of items both judged.

    With e_j = (x_j said) - C_j[t, x] the residual of a verdict under the true label t, averaged over the
    posterior of t: sum(e_a e_b) / sqrt(sum e_a^2 sum e_b^2) over shared items. 0 for judges that are independent
    given the truth, 1 for clones.

    Parameters
    ----------
    truth : (P, K) posterior. `confusions` : (J, K, K).
    """
    _, j, k = patterns.shape
    cross, square = np.zeros((j, j)), np.zeros((j, j))
    for t in range(k):
        shares = _shared(patterns, patterns.weight * truth[:, t])
        table = confusions[:, t, :]  # (J, K)
        own = (table**2).sum(axis=1)  # |e_j|^2 = 1 - 2 C_j[t, x_j] + sum_x C_j[t, x]^2
        square += shares.both * (1 + own)[:, None]
        cross += shares.both * (table @ table.T)
        for x in range(k):
            said = shares.said(x)  # [a, b]: a says x, b says anything
            square -= 2 * table[:, x][:, None] * said
            cross += shares.agree(x) - said * table[:, x][None, :] - said.T * table[:, x][:, None]
    scale = np.sqrt(np.maximum(square, 0) * np.maximum(square.T, 0))
    both = _shared(patterns, patterns.weight).both
    usable = scale > _TINY * np.maximum(both, 1)
    rho = np.clip(np.where(usable, cross / np.where(usable, scale, 1), 0.0), -1, 1)
    np.fill_diagonal(rho, 1.0)
    return rho, both


def shown(rho: Floats, both: Floats) -> Floats:
    """The lower end of each correlation's interval (Fisher's z), at least 0; 1 stays 1 where items are shared."""
    z = np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9))
    low = np.tanh(z - _Z / np.sqrt(np.maximum(both - 3, 0.1)))
    out = np.where(both > 0, np.clip(low, 0, 1), 0.0)
    np.fill_diagonal(out, 1.0)
    return np.asarray(out)


def cuts(
    similarity: Floats, *, top: float = 1.0, whole: bool = True, informative: NDArray[np.bool_] | None = None
) -> list[Cut]:
    """Every way to cut the tree of 1 - similarity into families, weighted by the range of thresholds it holds for.

    No threshold is chosen: all between 0 and `top` count alike, so a pair of clones is one family at every
    threshold and adding clones adds no new cut. The tree is the one of weighted linkage (McQuitty 1966), where a
    branch counts the same however many judges it has.

    Parameters
    ----------
    similarity : (J, J), 1 for clones, 0 for judges with nothing in common.
    whole : whether all judges in one family is a cut too.
    informative : (J,) the others stay alone and bind nobody.
    """
    j = similarity.shape[0]
    alone = [Cut(np.arange(j), 1.0)]
    if informative is not None and not informative.all():
        inner = np.flatnonzero(informative)
        inside = cuts(similarity[np.ix_(inner, inner)], top=top) if inner.size else []
        return [Cut(_with_loners(cut.families, inner, j), cut.weight) for cut in inside] or alone
    if j < 3:
        return alone
    distance = np.clip(1 - (similarity + similarity.T) / 2, 0, 1)
    np.fill_diagonal(distance, 0)
    tree = hierarchy.linkage(squareform(distance, checks=False), "weighted")
    heights = np.concatenate([[0.0], tree[:, 2], [1.0]])
    found: list[Cut] = []
    for low, high in pairwise(heights):
        width = min(high, top) - low
        if width <= _SAME:
            continue
        families = numbered(hierarchy.fcluster(tree, low + _SAME / 2, "distance"))
        if whole or families.max() > 0:
            found.append(Cut(families, width))
    total = sum(cut.weight for cut in found)
    return [Cut(cut.families, cut.weight / total) for cut in found] or alone


def _with_loners(families: Ints, inner: Ints, j: int) -> Ints:
    out = np.arange(j) + j
    out[inner] = families
    return numbered(out)


def few(found: list[Cut], limit: int) -> list[Cut]:
    """At most `limit` cuts: the heaviest, with the weights of the others given to the kept cut nearest in size."""
    if len(found) <= limit:
        return found
    order = sorted(range(len(found)), key=lambda i: (-found[i].weight, i))
    kept = sorted(order[:limit])
    weight = {i: found[i].weight for i in kept}
    for i in order[limit:]:
        weight[min(kept, key=lambda m: (abs(m - i), m))] += found[i].weight
    return [Cut(found[i].families, weight[i]) for i in kept]


def skill(confusions: Floats) -> Floats:
    """(J, K, K) -> (J,) informedness: (sum of the diagonal - 1) / (K - 1); Youden's J with two labels.

    1 for a judge that is always right, 0 for one whose verdicts do not depend on the truth.
    """
    k = confusions.shape[1]
    return np.asarray((np.einsum("jtt->j", confusions) - 1) / max(k - 1, 1))


def effective_judges(rho: Floats) -> float:
    """How many judges with independent errors carry as much as these: the sum over judges of 1 / sum_b rho_ab^+.

    J independent judges give J, J clones give 1, and a clone more changes nothing. (Kish's design effect
    1 + (m - 1) rho, judge by judge; with equal correlations J / (1 + (J - 1) rho).)
    """
    return float(effective_weights(rho).sum())


def effective_weights(rho: Floats) -> Floats:
    """(J,) each judge's effective votes: 1 / sum_b max(rho_ab, 0)."""
    positive = np.clip(rho, 0, 1)
    np.fill_diagonal(positive, 1.0)
    return np.asarray(1 / positive.sum(axis=1)) if rho.size else np.zeros(0)


def numbered(labels: NDArray[np.integer]) -> Ints:
    """Family numbers 0 .. F - 1 in the order in which judges first show them."""
    _, first, index = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(first.size, np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return np.asarray(rank[index], dtype=np.int64)


@dataclass(frozen=True)
class _Shared:
    """Weighted counts over the items two judges share, (J, J) each."""

    votes: sparse.csc_array
    weighted: sparse.csc_array
    anyone: sparse.csc_array
    anyone_weighted: sparse.csc_array
    k: int

    @property
    def both(self) -> Floats:
        return np.asarray((self.anyone.T @ self.anyone_weighted).toarray())

    def said(self, x: int) -> Floats:
        """[a, b]: a says x and b says anything."""
        return np.asarray((self.votes[:, x :: self.k].T @ self.anyone_weighted).toarray())

    def agree(self, x: int) -> Floats:
        return np.asarray((self.votes[:, x :: self.k].T @ self.weighted[:, x :: self.k]).toarray())


def _shared(patterns: Patterns, weight: Floats) -> _Shared:
    votes = sparse.csc_array(patterns.votes)
    anyone = sparse.csc_array((patterns.codes >= 0).astype(float))
    scale = sparse.diags_array(weight)
    return _Shared(votes, sparse.csc_array(scale @ votes), anyone, sparse.csc_array(scale @ anyone), patterns.k)
