"""What the statistics answer: small frozen records whose JSON keys are a contract."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Result(BaseModel):
    """Base of all records: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Estimate(Result):
    """A value with its interval, or the words why it does not exist.

    `value`, `ci_low`, `ci_high` are null together with a reason in `undefined`; `n` is the number of items
    (for a rate: verdicts) the value rests on. An interval may be null beside a value where replicates were not
    asked for or hardly any was defined.
    """

    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int = 0
    undefined: str | None = None


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
