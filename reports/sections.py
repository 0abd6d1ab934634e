"""The sections of one question's report, in their order: a heading, what there is to say, the tables behind it.

A new section is one file `section_NAME.py` with `tables` and `sentences`, and one line here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interjudge.agreement.results_question import QuestionResult
from interjudge.reports import (
    section_drivers,
    section_humans,
    section_models,
    section_plan,
    section_rates,
    section_scores,
    section_service,
    section_trust,
    section_truth,
)
from interjudge.reports.table import Table
from interjudge.reports.tables import agreement_tables
from interjudge.reports.tables_findings import by_judge, by_reason, comparisons, model_rates


@dataclass(frozen=True)
class Section:
    """`sentences` lead it; `tables` follow; either may be empty, not both."""

    title: str
    sentences: tuple[str, ...]
    tables: tuple[Table, ...]


def sections(question: QuestionResult, limit: int) -> tuple[Section, ...]:
    """Every section of one question that has something to show, its tables with at most `limit` rows."""
    a = question.agreement
    found = (
        Section(
            "How far the judges agree",
            (*_worth_says(question), *_scores_say(question)),
            (*agreement_tables(a, limit), *_worth_tables(question, limit), *_score_tables(question, limit)),
        ),
        Section(
            "Whom to trust",
            section_trust.sentences(question.trust, a),
            section_trust.tables(question.trust, a, limit),
        ),
        Section(
            "Judges beside humans",
            section_humans.sentences(question.humans, a),
            section_humans.tables(question.humans, a, limit),
        ),
        Section(
            "Rates and how far they can be trusted",
            section_rates.sentences(question.rates, a),
            section_rates.tables(question.rates, a, limit),
        ),
        Section(
            "Which conclusions survive the judge",
            section_models.sentences(question.conclusions, a),
            (*_model_tables(question, limit), *section_models.tables(question.conclusions, a, limit)),
        ),
        Section(
            "Verdicts not to trust",
            section_truth.calibration_sentences(question.flags),
            (*_flag_tables(question, limit), *section_truth.calibration_tables(question.flags)),
        ),
        Section(
            "What makes the panel disagree",
            section_drivers.sentences(question.drivers, a) if question.drivers else (),
            section_drivers.tables(question.drivers, a, limit) if question.drivers else (),
        ),
        Section(
            "Missing verdicts, repeats, cost",
            section_service.sentences(question.service, a, question.stability),
            section_service.tables(question.service, a, limit, question.stability),
        ),
        Section(
            "How much would be enough",
            section_plan.sentences(question.plan, a) if question.plan else (),
            section_plan.tables(question.plan, a, limit) if question.plan else (),
        ),
    )
    return tuple(section for section in found if section.sentences or section.tables)


def _worth_says(question: QuestionResult) -> tuple[str, ...]:
    """Families of judges; where there is more to say of the judges, it is said there."""
    return section_truth.worth_sentences(question.agreement) if question.trust is None else ()


def _worth_tables(question: QuestionResult, limit: int) -> tuple[Table, ...]:
    return section_truth.worth_tables(question.agreement, limit) if question.trust is None else ()


def _scores_say(question: QuestionResult) -> tuple[str, ...]:
    found = question.agreement.scores
    return section_scores.sentences(found, question.agreement) if found else ()


def _score_tables(question: QuestionResult, limit: int) -> tuple[Table, ...]:
    found = question.agreement.scores
    return section_scores.tables(found, question.agreement, limit) if found else ()


def _model_tables(question: QuestionResult, limit: int) -> tuple[Table, ...]:
    found = question.conclusions
    return _filled([model_rates(found, limit), comparisons(found, limit)]) if found else ()


def _flag_tables(question: QuestionResult, limit: int) -> tuple[Table, ...]:
    flags = question.flags
    if flags is None or not flags.n_flagged:
        return ()
    return _filled([by_reason(flags), by_judge(flags, question.agreement, limit)])


def _filled(tables: Sequence[Table]) -> tuple[Table, ...]:
    return tuple(table.without_empty() for table in tables if table.rows)
