"""Rates from reference labels on items that were drawn with unequal, known probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.counts import Floats
from interjudge.agreement.degenerate import ZERO
from interjudge.agreement.intervals import proportion
from interjudge.agreement.results_rates import CorrectedRate
from interjudge.agreement.sampled_rate import LEAST_LABELS, TOO_FEW, sampled_rate

SAMPLED: Final = (
    "difference estimator of a sample with unequal probabilities (Särndal, Swensson and Wretman 1992, section 6.3; "
    "Zrnic and Candès 2024); Student's t on the degrees of freedom that the weights leave"
)
ALONE: Final = "weighted share of the labelled items; Wilson's interval on the sample size that the weights leave"

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Drawn:
    """The labelled items as such a sample.

    positive : (N,) the reference has the positive label; labelled : (N,) it has any; weight : (N,) design weights (see
    `reference.gold_weights`); unit : (N,) sampling unit or None; rows : the items of each row of the rates, (N,) each.
    """

    positive: Bools
    labelled: Bools
    weight: Floats
    unit: NDArray[np.int64] | None
    rows: tuple[Bools, ...]
    confidence: float

    @property
    def whole(self) -> bool:
        """Whether every item has a label: then the items themselves are the sample."""
        return bool(self.labelled.all())

    def sampled(self, r: int, believed: Floats) -> CorrectedRate:
        """The rate of row r with what is believed of every item, (N,) 0..1."""
        items = self.rows[r]
        some = items & self.labelled
        weight = self.weight[some]
        found = sampled_rate(
            self.positive[some],
            believed[some],
            weight.min() / weight,
            float(believed[items].mean()),
            self.confidence,
            clusters=None if self.unit is None else self.unit[some],
            outputs=self._outputs(items, believed),
        )
        note = None
        if found.value is not None and found.ci_low is None:
            note = f"no interval: {TOO_FEW if found.n < LEAST_LABELS else 'the labels come from one cluster'}"
        return CorrectedRate(**found.model_dump(), method=SAMPLED, note=note)

    def _outputs(self, items: Bools, believed: Floats) -> float:
        """How many independent outputs the items of a row are worth: Kish's design effect, of what is believed."""
        n = int(items.sum())
        if self.unit is None:
            return n
        off = believed[items] - believed[items].mean()
        sums = np.bincount(np.unique(self.unit[items], return_inverse=True)[1], off)
        alone, together = float(off @ off), float(sums @ sums) * sums.size / max(sums.size - 1, 1)
        return min(n, n * alone / together) if together > ZERO else sums.size

    def reference_only(self, r: int) -> CorrectedRate:
        """The labelled items of row r alone."""
        some = self.rows[r] & self.labelled
        unit = None if self.unit is None else self.unit[some]
        found = proportion(self.positive[some], clusters=unit, weight=self.weight[some], confidence=self.confidence)
        return CorrectedRate(**found.model_dump(), method=ALONE)


def as_number(codes: NDArray[Any], positive: int) -> Floats:
    """(N,) a judge's verdicts: 1, 0, and without a verdict the judge's own rate, as in `ppi.predictions`."""
    given = codes >= 0
    rate = float((codes[given] == positive).mean()) if given.any() else 0.0
    return np.where(given, codes == positive, rate).astype(np.float64)
