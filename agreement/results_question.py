"""Everything the report knows about one question, as one record."""

from __future__ import annotations

from interjudge.agreement.results import Agreement, Conclusions, DisputedOutput, FlagSummary, Result
from interjudge.agreement.results_drivers import Drivers
from interjudge.agreement.results_humans import Humans
from interjudge.agreement.results_plan import PlanResult
from interjudge.agreement.results_rates import Rates
from interjudge.agreement.results_service import JudgeStability, Service
from interjudge.agreement.results_trust import Trust


class QuestionResult(Result):
    """One question; what does not apply to it, or cannot be known, is null or empty.

    `agreement`: how far the judges agree. `trust`: how good each is, and who is best. `humans`: the judges beside
    the humans of the panel. `flags`: how much is flagged, and whether the probabilities held. `rates`: corrected by
    the reference. `conclusions`: what holds whichever judge is asked. `drivers`: what makes the panel disagree.
    `service`, `stability`: missing verdicts, cost, latency; repeats. `plan`: how much would be enough.
    `disputed`: the outputs whose consensus is least certain.
    """

    agreement: Agreement
    flags: FlagSummary | None
    conclusions: Conclusions | None = None
    trust: Trust | None = None
    humans: Humans | None = None
    rates: Rates | None = None
    drivers: Drivers | None = None
    service: Service | None = None
    stability: tuple[JudgeStability, ...] = ()
    plan: PlanResult | None = None
    disputed: tuple[DisputedOutput, ...] = ()
