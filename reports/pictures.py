"""The pictures of one question's report, in the order of its sections.

A new picture is a function over the result records in a `picture_*.py`, and one line here. It answers None where the
question has nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from interjudge.agreement.results_question import QuestionResult
from interjudge.reports import (
    picture_flags,
    picture_judges,
    picture_missing,
    picture_models,
    picture_pairs,
    picture_plan,
    picture_ranks,
    picture_reliability,
)
from interjudge.reports.picture import Picture

DRAWN: Final[tuple[Callable[[QuestionResult], Picture | None], ...]] = (
    picture_reliability.reliability,
    picture_pairs.pairs,
    picture_judges.ability,
    picture_judges.incoherent,
    picture_models.rates,
    picture_ranks.ranks,
    picture_models.fine_tunes,
    picture_flags.calibration,
    picture_missing.missing,
    picture_plan.judges_enough,
    picture_plan.outputs_enough,
    picture_plan.labels_enough,
)


def pictures(question: QuestionResult) -> tuple[Picture, ...]:
    """Every picture that has something to show. Nothing is computed here."""
    return tuple(made for draw in DRAWN if (made := draw(question)) is not None)
