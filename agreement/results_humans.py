"""Records of the judges beside the humans of a panel."""

from __future__ import annotations

from typing import Literal

from interjudge.agreement.results import Estimate, Result

Standing = Literal["below", "within", "above", "unknown"]
Measure = Literal["cohen_kappa", "agreement", "correlation"]
Scoring = Literal["accuracy", "neg_rmse"]
SignedTest = Literal["t", "wilcoxon"]


class HumanBeside(Result):
    """One human's mean with each of the other humans; null where undefined or not of this kind of verdict."""

    judge: str
    agreement: float | None = None
    cohen_kappa: float | None = None
    correlation: float | None = None


class JudgeBeside(Result):
    """A judge's mean with each of the humans.

    `difference` is its mean minus the mean between humans, in the ceiling's `measure`. `standing`: ``below``
    (``above``) when it lies under (over) every human's own mean and the interval of the difference does not
    reach 0; ``within`` otherwise; ``unknown`` where a value is missing.
    """

    judge: str
    kind: str
    agreement: Estimate | None = None
    cohen_kappa: Estimate | None = None
    correlation: Estimate | None = None
    difference: Estimate
    standing: Standing


class Ceiling(Result):
    """How far the humans agree with each other, and each judge with them: means over pairs.

    `agreement` and `cohen_kappa` where the verdicts are labels, `correlation` (Pearson) where they are scores.
    `lowest` and `highest` are the least and the greatest of the humans' own means in `measure`.
    """

    measure: Measure
    agreement: Estimate | None = None
    cohen_kappa: Estimate | None = None
    correlation: Estimate | None = None
    lowest: float | None
    highest: float | None
    humans: tuple[HumanBeside, ...]
    judges: tuple[JudgeBeside, ...]


class AltComparison(Result):
    """A judge against one human, both held against the other humans on `n` items.

    `rho_judge`: share of the items on which the judge is as close to the other humans as this one, or closer;
    `rho_human` the other way round. `won`: the judge's disadvantage is shown to be less than epsilon.
    """

    human: str
    n: int
    rho_judge: float
    rho_human: float
    p_value: float
    p_adjusted: float
    won: bool
    test: SignedTest


class AltJudge(Result):
    """One judge in the alternative annotator test; `passes` from a winning rate of one half on.

    `winning_rate` and `passes` are null where `undefined` says why. `comparisons` are left out above 50 humans.
    """

    judge: str
    kind: str
    n_items: int
    n_won: int
    n_compared: int
    winning_rate: float | None
    passes: bool | None
    rho: Estimate
    undefined: str | None = None
    comparisons: tuple[AltComparison, ...] = ()


class AltTest(Result):
    """The alternative annotator test of every judge that is not human.

    `n_left_out`: items with fewer than two humans; `min_items`: humans with fewer items in common with a judge
    are not compared with it.
    """

    epsilon: float
    fdr: float
    scoring: Scoring
    min_items: int
    n_items: int
    n_left_out: int
    undefined: str | None = None
    judges: tuple[AltJudge, ...] = ()


class ByConsensus(Result):
    """A judge's accuracy against the humans' majority, by how far the humans agree."""

    judge: str
    kind: str
    unanimous: Estimate
    majority: Estimate
    split: Estimate


class Consensus(Result):
    """Items by the humans' verdicts: all the same; more than half the same; the most frequent label given by
    half of them or fewer; two labels equally frequent (no majority: left out); fewer than two humans."""

    n_unanimous: int
    n_majority: int
    n_split: int
    n_tied: int
    n_alone: int
    judges: tuple[ByConsensus, ...]


class Humans(Result):
    """The judges of a panel beside its humans."""

    humans: tuple[str, ...]
    n_items: int
    ceiling: Ceiling
    alt_test: AltTest
    consensus: Consensus | None
