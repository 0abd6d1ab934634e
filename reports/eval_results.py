"""The Hub's `.eval_results/*.yaml`: one rate on a benchmark, with the judge panel in its notes.

The format: https://huggingface.co/docs/hub/eval-results; its keys are written by `huggingface_hub`'s own class.
"""

from __future__ import annotations

import re
from typing import Final

from interjudge.agreement.results_question import QuestionResult
from interjudge.errors import InputError, choices, did_you_mean
from interjudge.reports.card_metadata import rounded
from interjudge.reports.card_section import rate_rows
from interjudge.reports.card_text import text_hash
from interjudge.reports.escape import shorten, visible
from interjudge.reports.reliability import headline
from interjudge.reports.report import Report
from interjudge.reports.wording import count, listed, number, percent

FOLDER: Final = ".eval_results"
_HEAD: Final = re.compile(r"^# interjudge card, hash=([0-9a-f]{16})\s*\r?\n")
_JUDGES: Final = 12


def file_name(benchmark: str, task: str) -> str:
    """A name that only this benchmark and task give: an id on the Hub has no ``--``; what is changed gets a hash."""
    whole = f"{benchmark.replace('/', '--')}--{task}"
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", whole)[:100]
    return f"interjudge-{plain if plain == whole else f'{plain}-{text_hash(whole)[:8]}'}.yaml"


def eval_results(
    report: Report, model: str | None, benchmark: str, task: str, *, question: str | None, url: str | None
) -> str:
    """The file's text: the model's rate on one question as the value, everything about the panel in the notes.

    Raises
    ------
    InputError : the benchmark is no id of a data set; no such question, or several to choose from; no rate.
    """
    import yaml  # noqa: PLC0415
    from huggingface_hub import EvalResultEntry  # noqa: PLC0415 - half a second that only a card needs
    from huggingface_hub import eval_result_entries_to_yaml as to_yaml  # noqa: PLC0415
    from huggingface_hub.errors import HFValidationError  # noqa: PLC0415
    from huggingface_hub.utils._validators import validate_repo_id  # noqa: PLC0415

    try:
        validate_repo_id(benchmark)
    except HFValidationError:
        raise InputError(
            "--benchmark is no id of a data set on the Hub", found=benchmark, expected="owner/name"
        ) from None
    asked = _question(report, question)
    rows = rate_rows(asked, model) if model is not None else []
    best = rows[0].best if rows else None
    if best is None or best.quoted.value is None:
        why = "name the card's model with --model" if model is None else "the report has no rate of this model"
        raise InputError("there is no rate to give as the benchmark's result", expected=why)
    made = report.provenance.run.created_at
    entry = EvalResultEntry(
        dataset_id=benchmark,
        task_id=task,
        value=rounded(best.quoted.value),
        date=None if made is None else visible(made, 40),
        source_url=url,
        source_name=None if url is None else "interjudge report",
        notes=_notes(asked, model or ""),
    )
    text = yaml.safe_dump(to_yaml([entry]), sort_keys=False, allow_unicode=True, width=10_000)
    return f"# interjudge card, hash={text_hash(text)}\n{text}"


def check_own(text: str) -> None:
    """Raise `InputError` where a file that stands there was not written by `eval_results`, or edited since."""
    found = _HEAD.match(text)
    if found is None or text_hash(text[found.end() :]) != found.group(1):
        raise InputError(
            "was not written by this command, or was edited by hand since", expected="--force, which replaces it"
        )


def _question(report: Report, name: str | None) -> QuestionResult:
    known = [q.agreement.question.name for q in report.questions]
    if name is None and len(known) > 1:
        raise InputError("the report has several questions", expected=f"--question with one of {choices(known)}")
    found = next((q for q in report.questions if name is None or q.agreement.question.name == name), None)
    if found is None:
        raise InputError(f"no question {name!r}{did_you_mean(name or '', known)}", expected=f"one of {choices(known)}")
    return found


def _notes(question: QuestionResult, model: str) -> str:
    """The panel in one line: what the value is, its interval, the judges, what each says, how far they agree."""
    a = question.agreement
    row = rate_rows(question, model)[0]
    parts = []
    if row.best is not None:
        e, what = row.best.quoted, "corrected" if row.best.corrected else "uncorrected"
        span = (
            ""
            if e.ci_low is None or e.ci_high is None
            else (f", {a.confidence * 100:g} % interval {percent(e.ci_low)} to {percent(e.ci_high)}")
        )
        labels = f" by {count(row.best.n_labelled, 'reference label')}" if row.best.corrected else ""
        parts.append(f"rate of {shorten(row.label, 60)}, {what}{labels}{span}")
    said = [f"{shorten(judge, 60)} {percent(e.value)}" for judge, e in row.judged if e.value is not None]
    more = [f"{count(len(said) - _JUDGES)} more"] if len(said) > _JUDGES else []
    parts.append(f"{count(len(a.judges), 'judge')}: {listed([*said[:_JUDGES], *more])}")
    alpha = headline(a, a.question.level)[1]
    if alpha is not None and alpha.value is not None:
        ends = (
            ""
            if alpha.ci_low is None or alpha.ci_high is None
            else (f" ({number(alpha.ci_low)} to {number(alpha.ci_high)})")
        )
        parts.append(f"Krippendorff's alpha {number(alpha.value)}{ends}")
    return "; ".join(parts)
