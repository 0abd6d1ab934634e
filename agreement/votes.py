"""How the votes on each item fall, and the plainest estimate of a wrong verdict: the share of the other judges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from interjudge.agreement.rows import Codes

_PSEUDO_VERDICTS: Final = 1.0
_SPLIT: Final = 2 / 3  # an item is split when its most frequent label has no more than this share of the votes


@dataclass(frozen=True)
class Votes:
    """`counts` (N, K): how many judges gave each label to each item; `n` (N,) their sum; `base` (K,) the
    share of each label in the whole panel."""

    counts: NDArray[np.int32]
    n: NDArray[np.int64]
    base: NDArray[np.float64]

    @classmethod
    def of(cls, codes: Codes, k: int) -> Votes:
        counts = np.stack([(codes == label).sum(axis=1, dtype=np.int32) for label in range(k)], axis=1)
        n = counts.sum(axis=1, dtype=np.int64)
        return cls(counts, n, counts.sum(axis=0) / max(int(n.sum()), 1))

    def p_wrong(self, codes: Codes) -> NDArray[np.float64]:
        """(N, J) smoothed share of the other judges that differ; NaN without a verdict.

        With n other verdicts on the item, s of them equal to this one, and a base rate b of its label,
        1 - (s + m b) / (n + m) with m = 1 verdict drawn from the base rates.
        """
        out = np.full(codes.shape, np.nan)
        for j in range(codes.shape[1]):
            item = np.flatnonzero(codes[:, j] >= 0)
            code = codes[item, j]
            same = self.counts[item, code] - 1
            others = np.maximum(self.n[item] - 1, 0)
            out[item, j] = 1 - (same + _PSEUDO_VERDICTS * self.base[code]) / (others + _PSEUDO_VERDICTS)
        return out

    def p_label_wrong(self, label: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N,) smoothed share of the votes on each item that differ from `label` (N,)."""
        support = self.counts[np.arange(label.size), label] + _PSEUDO_VERDICTS * self.base[label]
        return np.asarray(1 - support / (self.n + _PSEUDO_VERDICTS))

    @cached_property
    def consensus(self) -> NDArray[np.int64]:
        """(N,) the most frequent label; a tie goes to the one that is more frequent in the panel, then the first."""
        # A base rate is at most 1, so that half of it only breaks ties.
        return np.asarray(np.argmax(self.counts + self.base / 2, axis=1), dtype=np.int64)

    @cached_property
    def top(self) -> NDArray[np.int32]:
        """(N,) votes of the most frequent label."""
        return np.asarray(self.counts.max(axis=1))

    @property
    def split(self) -> NDArray[np.bool_]:
        """(N,) at least two votes, and none of the labels has more than two thirds of them."""
        return (self.n >= 2) & (self.top <= _SPLIT * self.n)

    @property
    def entropy(self) -> NDArray[np.float64]:
        """(N,) of the vote shares, 0..1: 1 when all labels are as frequent."""
        shares = self.counts / np.maximum(self.n, 1)[:, None]
        return np.asarray(special.entr(shares).sum(axis=1) / max(np.log(shares.shape[1]), 1e-300))
