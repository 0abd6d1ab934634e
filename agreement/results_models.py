"""Records of the comparisons of models, and of what they depend on."""

from __future__ import annotations

from typing import Literal

from interjudge.agreement.results_base import Estimate, Result


class ModelRate(Result):
    """How often one judge gives the question's positive label to one model's outputs.

    `rank`: 1 and as many as there are models with a higher rate under the same judge; null without a rate.
    """

    model: str
    base_model: str | None
    judge: str
    rate: Estimate
    n_missing: int
    rank: int | None = None


Holds = Literal["clear", "same direction", "flips", "undecided"]


class Comparison(Result):
    """Two models under every judge: the difference in rate (a minus b), and whether it survives the judges.

    `holds`: ``clear`` - same sign and interval without 0 under every judge; ``same direction`` - same sign
    everywhere, not clear everywhere; ``flips`` - the sign depends on the judge; ``undecided`` - no judge sees
    a difference, or some judge has no verdicts. `kind`: ``fine-tune`` when b is a's base, else ``pair``.
    `paired`: the judges under which the interval uses that both models answered the same prompts.
    """

    a: str
    b: str
    kind: Literal["fine-tune", "pair"]
    difference: dict[str, Estimate]
    holds: Holds
    paired: tuple[str, ...] = ()


Standing = Literal["all", "most", "few", "contested", "none"]


class Statement(Result):
    """ "The rate of `higher` is higher than that of `lower`", and who says so; the direction with more votes.

    `standing`: ``all`` - every judge sees it clearly (interval without 0); ``most`` - judges with more than half
    of the votes do; ``few`` - some do and none clearly sees the reverse; ``contested`` - some clearly see the
    reverse; ``none`` - nobody sees either clearly. `share`: votes of the judges in `clear` among those of all that
    know both models. `n_same`, `n_reverse`: judges whose difference has this sign, or the other.
    """

    higher: str
    lower: str
    standing: Standing
    share: float
    n_judges: int
    n_same: int
    n_reverse: int
    clear: tuple[str, ...]
    clear_reverse: tuple[str, ...]
    words: str


class RankAgreement(Result):
    """How alike two judges rank the models: Kendall's tau-b (`n`: models both know), the pairs of models they
    order differently, and those of them that are clear under both."""

    a: str
    b: str
    tau: Estimate
    n_pairs: int
    n_flips: int
    n_clear_flips: int


class TuneChange(Result):
    """A fine-tune's rate minus its base's under each judge, on one benchmark or on all outputs (null)."""

    model: str
    base_model: str
    benchmark: str | None
    change: dict[str, Estimate]
    n_up: int
    n_down: int
    n_clear_up: int
    n_clear_down: int


class JudgeTunes(Result):
    """What one judge says of the fine-tunes; the share whose sign depends on the benchmark (`n`: fine-tunes with two
    or more), and where both signs are clear."""

    judge: str
    n_up: int
    n_down: int
    n_clear_up: int
    n_clear_down: int
    mixed: Estimate
    clearly_mixed: Estimate


class FineTunes(Result):
    """All fine-tunes against their base; the share whose sign depends on the judge, and where both are clear."""

    mixed: Estimate
    clearly_mixed: Estimate
    changes: tuple[TuneChange, ...]
    judges: tuple[JudgeTunes, ...]


class ModelErrors(Result):
    """One judge on one model: `bias` is the judge's rate minus the true rate on the same outputs."""

    model: str
    sensitivity: Estimate
    specificity: Estimate
    youden_j: Estimate
    bias: Estimate


class Gap(Result):
    """The models with the highest and the lowest value, and the difference; its interval holds for all pairs."""

    high: str
    low: str
    difference: Estimate


class JudgeErrors(Result):
    """Whether a judge errs alike on all models. `p_equal`: the p-value of equal sensitivity and specificity, by
    `method`; `p_holm`: adjusted for all judges (Holm 1979)."""

    judge: str
    models: tuple[ModelErrors, ...]
    youden_gap: Gap | None
    bias_gap: Gap | None
    p_equal: Estimate
    p_holm: float | None
    method: str | None


class ErrorsByModel(Result):
    """`against`: what was taken as the truth."""

    against: Literal["reference", "estimated truth"]
    judges: tuple[JudgeErrors, ...]


class Denominator(Result):
    """The rates when only some outputs count, and how many pairs of models each judge then orders otherwise than over
    all outputs (`n_flips`), clearly so before and after (`n_clear_flips`)."""

    name: str
    n_items: int
    rates: tuple[ModelRate, ...]
    n_flips: dict[str, int]
    n_clear_flips: dict[str, int]


class SweepPoint(Result):
    """A judge whose verdict is the positive label from `threshold` on (or up to it). `same_order`: the models stand in
    the same order as at the current threshold, or where there is none as at the one with the highest kappa."""

    threshold: float
    rate: Estimate
    kappa: Estimate
    same_order: bool | None
    current: bool = False


class Sweep(Result):
    """One judge's threshold moved over its scores; `stable`: how far the order of models then holds; `n_clear_flips`:
    pairs of models clearly apart at the current threshold and clearly reversed at another (null with clusters)."""

    judge: str
    against: str
    positive_is: Literal["high", "low"]
    current: float | None
    stable: tuple[float, float] | None
    n_orders: int
    n_clear_flips: int | None = None
    points: tuple[SweepPoint, ...]
    undefined: str | None = None


class Conclusions(Result):
    """Rates of every model under every judge, and which comparisons hold whichever judge is asked."""

    label: str
    rates: tuple[ModelRate, ...]
    comparisons: tuple[Comparison, ...]
    statements: tuple[Statement, ...] = ()
    ranks: tuple[RankAgreement, ...] = ()
    fine_tunes: FineTunes | None = None
    errors: ErrorsByModel | None = None
    denominators: tuple[Denominator, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
