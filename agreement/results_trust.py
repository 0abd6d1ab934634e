"""Records about the judges themselves: how good each is, who errs with whom, who is best."""

from __future__ import annotations

from typing import Literal

from interjudge.agreement.results import Estimate, Result

Measure = Literal["youden_j", "accuracy"]
Basis = Literal["reference", "estimate"]


class Ability(Result):
    """How good one judge is. With a positive label sensitivity, specificity and Youden's J speak of it (with
    more than two labels: of it against all others); without one they are undefined in words, and
    `balanced_accuracy` (the mean over the true labels of the share the judge gets right) stands in."""

    sensitivity: Estimate
    specificity: Estimate
    youden_j: Estimate
    accuracy: Estimate
    balanced_accuracy: Estimate | None = None


class LabelBias(Result):
    """How much more often the judge says `label` than it is true, as a share of the items it judged: 0.1 is ten
    items in a hundred too many. Against the estimated truth, and against the reference where there is one."""

    label: str
    estimated: Estimate
    reference: Estimate | None = None


class IncoherentPart(Result):
    """One judge on the incoherent outputs beside the coherent ones, against the reference or the estimate.

    `performance` is what `Trust.incoherent_measure` names; `bias` is that of the positive label (null without
    one). Differences are incoherent minus coherent.
    """

    basis: Basis
    n_incoherent: int
    n_coherent: int
    performance_incoherent: Estimate
    performance_coherent: Estimate
    performance_difference: Estimate
    bias_incoherent: Estimate | None = None
    bias_coherent: Estimate | None = None
    bias_difference: Estimate | None = None


class JudgeTrust(Result):
    """One judge. `family`: judges with the same number err together (from 1); `effective_vote`: what its vote is
    worth beside those it errs with, at most 1. `estimated` is against the truth estimated without the reference."""

    judge: str
    family: int
    effective_vote: float
    estimated: Ability
    reference: Ability | None = None
    bias: tuple[LabelBias, ...] = ()
    incoherent: IncoherentPart | None = None


class ErrorPair(Result):
    """Correlation of two judges' errors, given the reference label, on the reference items both judged."""

    a: str
    b: str
    phi: Estimate


class ErrorCorrelation(Result):
    """Who errs together. `estimated` (J, J) in the order of the judges: correlation of errors given the estimated
    truth; null for two judges without an item in common; null as a whole above 200 judges. `reference`: the same
    against the reference, for at most 50 judges."""

    estimated: tuple[tuple[float | None, ...], ...] | None
    reference: tuple[ErrorPair, ...] = ()


class Ranked(Result):
    """One judge of a ranking.

    `p_best`: probability that it is truly the best (null without replicates). `difference`: the best judge's
    value minus this one's, on the items both judged. `p_value`: two-sided, from the replicates; `mcnemar`: mid-p
    of McNemar's test of accuracy on the shared reference items (null without a reference and where items come in
    clusters); `_holm`: corrected for the number of judges compared. The best judge has null in all of these.
    """

    judge: str
    value: Estimate
    p_best: float | None
    difference: Estimate | None = None
    p_value: float | None = None
    p_value_holm: float | None = None
    mcnemar: float | None = None
    mcnemar_holm: float | None = None


class Ranking(Result):
    """Judges by `measure`, best first.

    `items`: ``common`` - values and `p_best` rest on the items that all these judges judged; ``own`` - too few of
    those, each judge stands on its own items. `tied_with_best`: cannot be told apart from the best after the
    correction; `not_compared`: share too few items with the best; `not_ranked`: too few verdicts.
    """

    measure: Measure
    basis: Basis
    items: Literal["common", "own"]
    n_items: int
    best: str
    judges: tuple[Ranked, ...]
    tied_with_best: tuple[str, ...]
    not_compared: tuple[str, ...] = ()
    not_ranked: tuple[str, ...] = ()


class Trust(Result):
    """Whom to trust.

    `ranking_automatic`: the same among the judges that are not human, where a panel mixes both. `n_reference`:
    items with a reference label. `model`, `why`: what the estimate of the truth rests on.
    """

    judges: tuple[JudgeTrust, ...]
    families: tuple[tuple[str, ...], ...]
    effective_judges: float
    n_reference: int
    error_correlation: ErrorCorrelation
    ranking: Ranking | None = None
    ranking_automatic: Ranking | None = None
    n_incoherent: int | None = None
    incoherent_measure: Measure | None = None
    model: str
    why: str
    replicates: int
    notes: tuple[str, ...] = ()
