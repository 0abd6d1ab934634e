"""Records of rates corrected by a small reference sample."""

from __future__ import annotations

from typing import Final, Literal

from interjudge.agreement.results import Estimate, Result

CONSENSUS: Final = "panel consensus"

Quoted = Literal["raw", "reference_only", "rogan_gladen", "ppi", "ppi_stratified", "sampled"]


class CorrectedRate(Estimate):
    """One way to the true rate. `n`: the reference labels it rests on.

    `value` is what the formula gives, also where that lies below 0 or above 1; then `note` says so and `clipped`
    is the nearest possible rate. The interval may reach outside 0 to 1 in the same way.
    """

    method: str
    note: str | None = None
    clipped: float | None = None


class Rate(Result):
    """How often one judge (or the panel's consensus) gives the positive label, and how often it is true.

    `model`: null for all items. `n_missing`: items without a usable verdict of this judge; `bounds`: the raw rate
    if every verdict that was asked for and is missing had said the other label, or this one. `lambda_`: how far
    PPI++ leans on the judge, 0 (not at all) to 1; `effective_labels`: how many labels without this judge would tell
    as much. The estimates are null where there is nothing to correct with, or nothing left to correct. `sampled`
    stands in for the three before it where the labels were drawn with unequal probabilities, for which these do not
    hold. `recommended`: which of them to quote, and `why`; `corrected`: whether that is another one than the raw rate.
    `notes`: signs that the labelled items are no random sample.
    """

    judge: str
    model: str | None
    n_items: int
    n_labelled: int
    n_missing: int
    raw: Estimate
    bounds: tuple[float, float] | None
    reference_only: CorrectedRate | None = None
    rogan_gladen: CorrectedRate | None = None
    ppi: CorrectedRate | None = None
    ppi_stratified: CorrectedRate | None = None
    sampled: CorrectedRate | None = None
    lambda_: float | None = None
    effective_labels: float | None = None
    recommended: Quoted
    corrected: bool
    why: str
    notes: tuple[str, ...] = ()

    @property
    def quoted(self) -> Estimate:
        """The recommended estimate."""
        return {
            "raw": self.raw,
            "reference_only": self.reference_only,
            "rogan_gladen": self.rogan_gladen,
            "ppi": self.ppi,
            "ppi_stratified": self.ppi_stratified,
            "sampled": self.sampled,
        }[self.recommended] or self.raw


class Rates(Result):
    """The rates of the question's positive label, `label`: over all items first, then by model, judge by judge.

    `quoted`: whose corrected rates to quote: the consensus, else the judge that makes most of the labels over all
    items; null where nothing is corrected.
    """

    label: str
    reference: str | None
    n_items: int
    n_labelled: int
    quoted: str | None
    rates: tuple[Rate, ...]
    notes: tuple[str, ...] = ()
