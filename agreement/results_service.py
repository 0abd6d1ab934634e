"""Records of how steady, how complete, how dear and how fast the judges are."""

from __future__ import annotations

from typing import Literal

from interjudge.agreement.results import Estimate, Result


class RepeatsNeeded(Result):
    """How many repeats the majority must be taken over, with the interval; null where that is not shown to be
    `most` or fewer."""

    value: int | None
    low: int | None
    high: int | None
    most: int


class JudgeStability(Result):
    """One judge that was asked several times, on the items with two usable verdicts of its own or more.

    `n_repeats`: the most usable verdicts on one item. Labels have the figures from `agreement` on, scores the
    last two; the others are null. `unstable`: share of single verdicts that differ from what the judge would
    say most often; `unstable_bounds`: where that share lies whatever the shape of the judge's doubt, from the
    ends of the agreement's interval.
    `coin_toss`: share of items on which no label comes in 60 % of the times. `not_always_usable`: share of the
    items asked twice that have both a usable verdict and one that is not.
    """

    judge: str
    kind: str
    n_items: int
    n_repeats: int
    agreement: Estimate | None = None
    kappa: Estimate | None = None
    flip_rate: Estimate | None = None
    unstable: Estimate | None = None
    unstable_bounds: tuple[float, float] | None = None
    coin_toss: Estimate | None = None
    repeats_needed: RepeatsNeeded | None = None
    not_always_usable: Estimate
    within_sd: Estimate | None = None
    icc: Estimate | None = None


class MissingGroup(Result):
    """The verdicts of a judge on one group of items. `group` is null for items without a value."""

    group: str | None
    n: int
    missing: int
    share: Estimate
    by_status: dict[str, int]


MissingHow = Literal["chi-square", "simulated", "clustered"]


class MissingTest(Result):
    """Whether the share of missing verdicts is the same in all groups: Pearson's chi-square.

    `p_value` from the chi-square distribution, or ``simulated`` where counts are small, or ``clustered``: that of a
    test that allows for dependence within sampling units, where that is larger. `p_adjusted` corrects it for the
    number of judges (Holm 1979). Null where `undefined` says why.
    """

    p_value: float | None = None
    p_adjusted: float | None = None
    statistic: float | None = None
    how: MissingHow | None = None
    undefined: str | None = None


class JudgeMissing(Result):
    """A judge's verdicts that are not usable among those it was asked for, and where they lie.

    `by_model`: per model of the outputs; `by_label`: per label that most of the other judges give; both empty
    where nothing is missing, or above 10,000 groups of all judges. `not_asked`: items for which the table has no
    verdict of this judge at all. These, and verdicts that a label map leaves out, count nowhere else.
    """

    judge: str
    kind: str
    n: int
    missing: int
    not_asked: int
    share: Estimate
    by_status: dict[str, int]
    by_model: tuple[MissingGroup, ...]
    model_test: MissingTest
    by_label: tuple[MissingGroup, ...]
    label_test: MissingTest


class Known(Result):
    """A sum over the verdicts whose figure is known; null, never 0, where none is.

    `n` of the judge's `n_verdicts` are known; with fewer the total is a lower bound.
    """

    n: int
    total: float | None
    mean: float | None


class JudgeCost(Result):
    """What a judge's verdicts took, every repeat counted, those that were not run left out.

    Seconds are null where unknown; `cost_per_1000` is in US dollars per 1,000 verdicts of known cost.
    """

    judge: str
    kind: str
    n_verdicts: int
    latency_n: int
    latency_median_s: float | None
    latency_p95_s: float | None
    input_tokens: Known
    output_tokens: Known
    cost_usd: Known
    cost_per_1000: float | None


class Service(Result):
    """Missing verdicts, cost and latency of every judge."""

    confidence: float
    n_models: int
    missing: tuple[JudgeMissing, ...]
    costs: tuple[JudgeCost, ...]
