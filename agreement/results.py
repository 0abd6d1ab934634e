"""What the statistics answer: small frozen records whose JSON keys are a contract."""

from __future__ import annotations

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from interjudge.agreement.results_base import Estimate as Estimate  # noqa: PLC0414  # one door for all records
from interjudge.agreement.results_base import Result as Result  # noqa: PLC0414
from interjudge.agreement.results_models import Comparison as Comparison  # noqa: PLC0414
from interjudge.agreement.results_models import Conclusions as Conclusions  # noqa: PLC0414
from interjudge.agreement.results_models import Holds as Holds  # noqa: PLC0414
from interjudge.agreement.results_models import ModelRate as ModelRate  # noqa: PLC0414
from interjudge.agreement.results_scores import ScoreFindings


class Coefficient(Estimate):
    """One coefficient of the whole panel. `level`: nominal, ordinal, interval or ratio; `method` says which
    convention for missing verdicts, weights and intervals stands behind the number."""

    name: str
    level: str
    method: str


class Pair(Result):
    """Two judges on the items both gave an ok verdict on. Keys that are null do not apply to the question."""

    a: str
    b: str
    agreement: Estimate
    cohen_kappa: Estimate
    cohen_kappa_linear: Estimate | None = None
    cohen_kappa_quadratic: Estimate | None = None
    scott_pi: Estimate
    gwet_ac1: Estimate
    pabak: Estimate
    mcc: Estimate
    positive_agreement: Estimate | None = None
    negative_agreement: Estimate | None = None


class QuestionInfo(Result):
    """What is compared: the label set, and how verdicts came onto it."""

    name: str
    construct_name: str = Field(alias="construct")  # BaseModel has a `construct` of its own
    labels: tuple[str, ...]
    positive: str | None
    level: str
    maps: tuple[str, ...] = ()
    thresholds: dict[str, float] = Field(default_factory=dict)
    reference: str | None = None


class Family(Result):
    """Judges whose errors go together; one judge alone is a family of its own, without a correlation."""

    judges: tuple[str, ...]
    mean_error_correlation: float | None


class PanelWorth(Result):
    """How many judges with independent errors the panel is worth, and who errs with whom.

    `effective_judges`: J independent judges give J, J clones 1. `effective_votes`: what each judge's vote is worth
    beside those that err with it. `error_correlation`: (J, J) given the estimated truth, in the order of the
    panel, 0 where two judges share no output; null above 50 judges.
    """

    effective_judges: float
    effective_votes: dict[str, float]
    families: tuple[Family, ...]
    error_correlation: tuple[tuple[float, ...], ...] | None


class LeftOut(Result):
    """A judge that takes no part in the question, and why."""

    judge: str
    why: str


class JudgeResult(Result):
    """One judge: how much it answered, how often it says each label, how it goes with the others.

    `kappa_mean` is its mean Cohen's kappa with the other judges, `alpha_without` the panel's alpha when it is
    left out (null where undefined). `bounds` are the best- and worst-case rates of the positive label when
    every verdict that is missing had said one or the other. The last five stand only with a reference.
    """

    judge: str
    kind: str
    construct_name: str = Field(alias="construct")  # BaseModel has a `construct` of its own
    hash: str | None = None
    n_ok: int
    missing: dict[str, int]
    rate: dict[str, Estimate]
    bounds: tuple[float, float] | None = None
    kappa_mean: float | None
    alpha_without: float | None
    accuracy: Estimate | None = None
    sensitivity: Estimate | None = None
    specificity: Estimate | None = None
    youden_j: Estimate | None = None
    cohen_kappa: Estimate | None = None

    @model_serializer(mode="wrap")
    def _without_reference_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        whole: dict[str, object] = handler(self)
        return {key: v for key, v in whole.items() if v is not None or key not in _REFERENCE_KEYS}


_REFERENCE_KEYS = ("accuracy", "sensitivity", "specificity", "youden_j", "cohen_kappa")


class Measures(Result):
    """The figures of one panel or of one slice of it."""

    n_items: int
    n_verdicts: int
    status_counts: dict[str, int]
    coefficients: tuple[Coefficient, ...]
    pairs: tuple[Pair, ...]
    judges: tuple[JudgeResult, ...]


class Slice(Measures):
    """The same figures for the items with one value of one column."""

    by: str
    value: str


class Agreement(Measures):
    """What `interjudge agree` answers; `model_dump_json()` is its `--json` file."""

    question: QuestionInfo
    unit: str
    confidence: float
    replicates: int
    seed: int
    conventions: tuple[str, ...]
    worth: PanelWorth | None = None
    scores: ScoreFindings | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    slices: tuple[Slice, ...] = ()


class CalibrationBin(Result):
    """Verdicts with p_wrong in [low, high): how many, their mean p_wrong, the share the reference calls wrong.

    `ci_low`, `ci_high`: the interval of `observed`; verdicts on one item (or one cluster of items) are no independent
    observations there.
    """

    low: float
    high: float
    n: int
    predicted: float
    observed: float
    ci_low: float | None = None
    ci_high: float | None = None


class Calibration(Result):
    """How p_wrong held up against reference labels that it did not know.

    `brier`: mean squared difference of p_wrong and what came (0 is perfect); `brier_of_base_rate`: what saying
    `share_wrong` of every verdict would have got. `auroc`: how often a wrong verdict has a higher p_wrong than a right
    one (.5 by chance; null where all are right, or wrong). `held_out`: the labels were given, and each half was
    checked with the other half alone; else none was used.
    """

    held_out: bool = False
    n: int
    brier: float
    brier_of_base_rate: float
    auroc: float | None = None
    mean_p_wrong: float
    share_wrong: float
    bins: tuple[CalibrationBin, ...]


class FlagSummary(Result):
    """How much was flagged, by judge and by reason.

    One of `threshold`, `budget`, `fdr` is the rule that chose; `model` and `why` say what stands behind p_wrong.
    """

    n_verdicts: int
    n_flagged: int
    n_not_ok: int = 0
    threshold: float | None = None
    budget: int | None = None
    fdr: float | None = None
    model: str
    why: str = ""
    by_judge: dict[str, int]
    by_reason: dict[str, int]
    n_items: int
    n_items_flagged: int
    calibration: Calibration | None = None


class DisputedOutput(Result):
    """One of the outputs most in dispute, with every judge's verdict on it."""

    item_id: str
    model: str | None
    consensus: str | None
    p_consensus_wrong: float | None
    verdicts: dict[str, str]
    reasons: tuple[str, ...]
    prompt: str | None = None
    response: str | None = None
