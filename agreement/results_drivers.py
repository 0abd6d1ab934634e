"""Records of what makes a panel disagree."""

from __future__ import annotations

from pydantic import Field

from interjudge.agreement.results import Estimate, Result


class DriverTerm(Result):
    """What one property of an item does to the odds that the panel disagrees on it, the others held fixed.

    `level` is the value of the feature that is compared with `against`; both are null for a number, whose odds ratio
    is that of a doubling. The term with `reference` true is what the others of the feature are compared with: its
    ratio is 1. `n` items have the level; `disputed` is the share of them that the panel disagrees on, nothing held
    fixed (null for a number). `p_holm` is `p` corrected for all terms.
    """

    feature: str
    level: str | None = None
    against: str | None = None
    reference: bool = False
    n: int
    disputed: Estimate | None = None
    odds_ratio: Estimate
    p: float | None = None
    p_holm: float | None = None


class Drivers(Result):
    """Logistic regression of "the panel disagrees on this item" on properties of the items.

    `n_items` items have two verdicts or more, `n_disputed` of them not all the same; the fit rests on `n` items in
    `n_units` sampling units. `left_out`: feature -> why it is not in the fit. `undefined` says why nothing was fitted.
    """

    n_items: int
    n_disputed: int
    n: int = 0
    n_units: int = 0
    unit: str = "item"
    terms: tuple[DriverTerm, ...] = ()
    left_out: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    undefined: str | None = None
