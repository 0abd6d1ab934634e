"""What a plan answers: where the variance comes from, how much is enough, which labels are needed."""

from __future__ import annotations

from typing import Literal

from interjudge.agreement.results import Estimate, Result

Facet = Literal["model", "item", "judge", "judge x model", "item x judge", "residual"]
Coefficient = Literal["generalizability", "dependability"]


class Component(Estimate):
    """The variance that one facet adds to a single verdict.

    `share`: of the sum of all components. `unrestricted`: the estimate before a negative one was set to 0.
    ``residual`` is what changes when the same judge is asked again where there are repeats; else it is that
    together with ``item x judge``, which then has no component of its own.
    """

    facet: Facet
    share: Estimate
    unrestricted: float | None = None


class GStudy(Result):
    """Generalisability study: components of the variance of verdicts, and what they make of the panel at hand.

    `scale`: what the variance is of. `n_judges_each`: judges on an output (harmonic mean), on which
    `generalizability` and `dependability` of an output's mean verdict stand; the two `_of_one` are of a single
    verdict (ICC(C,1) and ICC(A,1) where there are no models). `repeats`: verdicts of one judge on one output,
    mean.
    """

    scale: str
    n_items: int
    n_judges: int
    n_models: int
    n_verdicts: int
    n_judges_each: float
    repeats: float
    confidence: float
    components: tuple[Component, ...]
    generalizability: Estimate
    dependability: Estimate
    generalizability_of_one: Estimate
    dependability_of_one: Estimate
    notes: tuple[str, ...] = ()


class DecisionPoint(Result):
    """What a design would reach. `n_items`: outputs of each model, null where single outputs are told apart."""

    of: Literal["item", "model"]
    n_judges: int
    n_items: int | None
    n_repeats: int
    generalizability: float
    dependability: float


class Needed(Result):
    """The smallest number of one thing that reaches the target when the others stay as they are.

    `value` is null where no number reaches it, and `undefined` says why. `low` and `high` are the ends of its
    interval; `high` is null where some numbers inside the interval reach no end.
    """

    of: Literal["item", "model"]
    what: Literal["judges", "items", "repeats"]
    coefficient: Coefficient
    target: float
    now: float
    value: int | None
    low: int | None = None
    high: int | None = None
    undefined: str | None = None


class NextJudge(Result):
    """What one more judge does to the generalisability of an output's mean verdict.

    `fresh`: a judge as different from these as they are from each other; `copy_of_one`: a judge that repeats one of
    them word for word.
    """

    n_judges: int
    now: float
    fresh: float
    copy_of_one: float


class DStudy(Result):
    """Decision study: reliability expected of other numbers of judges, outputs and repeats.

    `effective_judges`: how many judges that err independently the panel is worth, where that is known.
    """

    target: float
    points: tuple[DecisionPoint, ...]
    needed: tuple[Needed, ...]
    next_judge: NextJudge | None
    effective_judges: float | None = None


class HelpedRate(Result):
    """Reference labels for the rate when a judge's verdicts on all outputs help. `judge` null: the share of votes.

    `correlation`: of the judge's verdict with the truth. `n_low`, `n_high`: at the ends of its interval.
    """

    judge: str | None
    correlation: Estimate
    n: int | None
    n_low: int | None = None
    n_high: int | None = None


class RateLabels(Result):
    """Reference labels for the rate of `label`, drawn at random. `n_at_half`: should the rate be one half."""

    label: str
    rate: float
    n: int
    n_at_half: int
    helped: tuple[HelpedRate, ...]


class JudgeLabels(Result):
    """Reference labels for one judge's sensitivity and specificity.

    `positives`, `negatives`: labels of that kind that are needed; `n_sensitivity`, `n_specificity`: labels drawn at
    random that are expected to hold as many. Null where the rate it stands on is undefined.
    """

    judge: str
    sensitivity: float | None
    specificity: float | None
    prevalence: float
    positives: int | None
    negatives: int | None
    n_sensitivity: int | None
    n_specificity: int | None


class TellApart(Result):
    """Reference labels to tell the two judges apart that are right most often (McNemar's test).

    `differ`: share of the shared outputs on which they differ; only those tell anything: `n_where_they_differ` of
    them do what `n` outputs drawn at random do.
    """

    a: str
    b: str
    accuracy_a: float
    accuracy_b: float
    differ: float
    n_shared: int
    power: float
    n: int | None
    n_where_they_differ: int | None
    undefined: str | None = None


class NextLabels(Result):
    """The table of outputs to label next in numbers: how many, of how many without a label, how many patterns of
    verdicts they stand for, and how many of them are drawn at random."""

    n: int
    n_random: int
    n_patterns: int
    n_unlabelled: int


class LabelPlan(Result):
    """How many reference labels, and which next. `source`: what the assumed rates were estimated from."""

    width: float
    confidence: float
    source: str
    n_items: int
    n_labelled: int
    rate: RateLabels
    judges: tuple[JudgeLabels, ...]
    two_best: TellApart | None
    next: NextLabels


class PlanResult(Result):
    """`variance` is null with words in `undefined` where the panel does not show where the variance comes from;
    `labels` where the question has no labels to ask for (`labels_undefined`)."""

    variance: GStudy | None
    decision: DStudy | None
    undefined: str | None
    labels: LabelPlan | None
    labels_undefined: str | None
    notes: tuple[str, ...] = ()
