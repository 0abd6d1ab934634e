"""Records of what changed between two reports."""

from __future__ import annotations

from typing import Literal

from interjudge.agreement.results_base import Estimate, Result
from interjudge.agreement.results_models import Holds

JudgeStatus = Literal["same", "new version", "unknown version", "added", "removed"]


class Change(Result):
    """One figure in both reports; `difference` is new minus old, with the interval that the two intervals make."""

    old: Estimate
    new: Estimate
    difference: Estimate

    @property
    def clear(self) -> bool:
        """Whether the interval of the difference lies on one side of 0."""
        e = self.difference
        return e.ci_low is not None and e.ci_high is not None and (e.ci_low > 0 or e.ci_high < 0)


class CoefficientChange(Change):
    """A coefficient of the whole panel."""

    name: str
    level: str


class JudgeChange(Result):
    """One judge in either report.

    `status`: ``same`` - the same hash; ``new version`` - another hash under the same name; ``unknown version`` - a
    report knows no hash; ``added``, ``removed``. `rate`: of the positive label. Ranks are those of the reports' own
    ranking (1 is the best), where both rank by the same measure against the same kind of truth.
    """

    judge: str
    status: JudgeStatus
    old_hash: str | None = None
    new_hash: str | None = None
    n_ok: tuple[int | None, int | None]
    n_missing: tuple[int | None, int | None]
    rate: Change | None = None
    sensitivity: Change | None = None
    specificity: Change | None = None
    youden_j: Change | None = None
    cohen_kappa: Change | None = None
    rank: tuple[int, int] | None = None


class RateChange(Change):
    """The rate to quote of one model (null: of all outputs): corrected where the report corrects it.

    `corrected`: whether it is, in the old report and in the new; `rank`: among the models both reports know, by this
    rate, the highest first.
    """

    model: str | None
    corrected: tuple[bool, bool]
    rank: tuple[int, int] | None = None


class ConclusionChange(Result):
    """Two models compared in both reports. `turned`: a judge of both saw a clear difference one way, and sees a clear
    one the other way now (the judges' names)."""

    a: str
    b: str
    old: Holds
    new: Holds
    turned: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the conclusion is another one, or turned."""
        return self.old != self.new or bool(self.turned)


class QuestionChange(Result):
    """One question of both reports. `differs`: what else about the question is not the same (labels, maps, ...)."""

    name: str
    label: str | None
    differs: tuple[str, ...]
    confidence: float | None
    n_items: tuple[int, int]
    n_verdicts: tuple[int, int]
    n_labelled: tuple[int, int]
    n_flagged: tuple[int | None, int | None]
    effective_judges: tuple[float | None, float | None]
    coefficients: tuple[CoefficientChange, ...]
    judges: tuple[JudgeChange, ...]
    rates: tuple[RateChange, ...]
    conclusions: tuple[ConclusionChange, ...]


class Changes(Result):
    """All questions that both reports have; those that only one has; how the intervals are made."""

    method: str
    questions: tuple[QuestionChange, ...]
    only_old: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()
