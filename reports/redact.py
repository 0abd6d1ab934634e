"""A report without the texts of the outputs: what `--redact` leaves out, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from interjudge.errors import InputError, choices
from interjudge.reports.report import Report

# Prompts, responses, and the columns in which a judge (`rationale`, `raw`) or a person (`note`) quotes them.
TEXTS: Final = ("prompt", "response", "rationale", "raw", "note")


def redacted(report: Report) -> Report:
    """The same report without a prompt or a response; it says so."""
    questions = tuple(
        q.model_copy(
            update={"disputed": tuple(d.model_copy(update={"prompt": None, "response": None}) for d in q.disputed)}
        )
        for q in report.questions
    )
    return report.model_copy(update={"questions": questions, "redacted": True})


def without_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """The table without the columns `TEXTS`."""
    return frame.drop([name for name in TEXTS if name in frame.columns])


def refuse_text_slices(by: Sequence[str]) -> None:
    """Raise `InputError` where the values of a slice would be texts of the outputs."""
    named = [name for name in by if name in TEXTS]
    if named:
        raise InputError(
            f"--by {choices(named)} would write these texts into the report, which --redact leaves out",
            expected="a column that is no text of the outputs",
        )
