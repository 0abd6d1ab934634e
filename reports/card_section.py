"""The section on a model card: what was judged, by whom, how reliable that is, the rates, what not to trust."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from interjudge.agreement.results import Comparison, Estimate, JudgeResult
from interjudge.agreement.results_question import QuestionResult
from interjudge.agreement.results_rates import CONSENSUS, Rate
from interjudge.errors import InputError, choices, did_you_mean
from interjudge.reports.coverage import constructs, one_kind
from interjudge.reports.escape import markdown_cell, shorten, visible
from interjudge.reports.report import Report
from interjudge.reports.sentences import gist
from interjudge.reports.trust import may_guess, measured, ranking_measure
from interjudge.reports.wording import count, figure, listed, names, percent, points, quote, value

HEADING: Final = "How far the judges of these outputs can be trusted"
_MODELS: Final = 12
_JUDGES: Final = 8
_NAME: Final = 60
_INPUTS: Final = 6
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_NUMBERS_FROM: Final = 5  # columns of the table of rates from which on they are set to the right


@dataclass(frozen=True)
class Subject:
    """What the card is about. `model`: one of the report's, null for all of them; `link`: to the full report."""

    model: str | None = None
    link: str | None = None


def models_of(report: Report) -> list[str]:
    """The models whose outputs were judged, in the report's order."""
    found: dict[str, None] = {}
    for question in report.questions:
        for rate in question.rates.rates if question.rates else ():
            if rate.model is not None:
                found.setdefault(rate.model)
        for judged in question.conclusions.rates if question.conclusions else ():
            found.setdefault(judged.model)
    return list(found)


def find_model(report: Report, name: str | None) -> str | None:
    """`name`, where the report knows it; without one the only model there is.

    Raises
    ------
    InputError : the report has no such model.
    """
    known = models_of(report)
    if name is None:
        return known[0] if len(known) == 1 else None
    if name not in known:
        what = f"one of {choices(known)}" if known else "no --model: the report's outputs name none"
        raise InputError(f"the report says nothing of a model {name!r}{did_you_mean(name, known)}", expected=what)
    return name


def section_lines(report: Report, subject: Subject, level: int = 2) -> Iterator[str]:
    """The section, line by line, without its markers. `level`: of its heading."""
    yield f"{'#' * level} {HEADING}"
    yield ""
    yield f"{_judged(report, subject.model)} {_by(report)}"
    yield ""
    for question in report.questions:
        yield f"- {_line(gist(question))}"
    rows = [row for question in report.questions for row in _rates(question, subject.model)]
    if rows:
        yield ""
        yield from _table(rows, several=len(report.questions) > 1, confidence=report.questions[0].agreement.confidence)
    hidden = sum(max(0, len(rate_rows(question, subject.model)) - _MODELS) for question in report.questions)
    if hidden:
        yield ""
        yield f"{count(hidden, 'more rate')} in the report."
    warnings = [line for question in report.questions for line in _unreliable(question, subject.model)]
    if warnings:
        yield ""
        yield "What not to rely on:"
        yield ""
        yield from (f"- {_line(text)}" for text in warnings)
    yield ""
    yield from _origin(report, subject)


def _line(text: str) -> str:
    return markdown_cell(text)


def _judged(report: Report, model: str | None) -> str:
    outputs = max((q.agreement.n_items for q in report.questions), default=0)
    models = models_of(report)
    of = f" of {count(len(models), 'model')}" if len(models) > 1 else f" of {quote(models[0])}" if models else ""
    asked = list(dict.fromkeys(q.agreement.question.name for q in report.questions))
    own = [row.best.n_items for q in report.questions for row in rate_rows(q, model) if row.best] if model else []
    if own and len(models) > 1:
        whole = f"{count(max(own), 'output')} of {quote(model or '')} ({outputs:,}{of} in all)"
    else:
        whole = f"{count(outputs, 'output')}{of}"
    return _line(f"{whole} judged for {names(asked, 4)}.")


def _by(report: Report) -> str:
    judges: dict[str, JudgeResult] = {}
    for question in report.questions:
        for judge in question.agreement.judges:
            judges.setdefault(judge.judge, judge)
    shown = [f"{markdown_cell(shorten(j.judge, _NAME))} ({_who(j)})" for j in list(judges.values())[:_JUDGES]]
    rest = len(judges) - len(shown)
    if rest:
        shown.append(f"{count(rest)} more in the report")
    kinds = " All of one kind: that they agree says less." if report.questions and _all_one_kind(report) else ""
    return f"Judges: {listed(shown)}.{kinds}"


def _who(judge: JudgeResult) -> str:
    return markdown_cell(visible(judge.kind, 30)) + (
        f", `{judge.hash[:8]}`" if judge.hash and judge.hash.isalnum() else ""
    )


def _all_one_kind(report: Report) -> bool:
    return all(one_kind(question.agreement) for question in report.questions)


# --- rates ---


@dataclass(frozen=True)
class RateRow:
    """One model's rate of one question's positive label: under the judges, and the one to quote."""

    question: str
    label: str
    model: str | None
    judged: tuple[tuple[str, Estimate], ...]
    best: Rate | None


def rate_rows(question: QuestionResult, model: str | None) -> list[RateRow]:
    """Of `model`, or of all outputs and then of every model."""
    found, a = question.rates, question.agreement
    if found is None or a.question.positive is None:
        return []
    models = list(dict.fromkeys(r.model for r in found.rates))
    wanted = [model] if model is not None else models
    rows = []
    for name in wanted:
        rates = [r for r in found.rates if r.model == name]
        if not rates and len(models) == 1:  # one model alone stands under "all outputs"
            rates = list(found.rates)
        judged = [(r.judge, r.raw) for r in rates if r.judge != CONSENSUS]
        best = next((r for r in rates if r.judge == found.quoted), None) or next(iter(rates), None)
        if rates:
            rows.append(RateRow(a.question.name, found.label, name, tuple(judged), best))
    return rows


def _rates(question: QuestionResult, model: str | None) -> list[tuple[str, ...]]:
    rows = rate_rows(question, model)
    shown = rows if len(rows) <= _MODELS else rows[:_MODELS]
    base = _base(question, model)
    if base is not None:
        shown = [*shown, *rate_rows(question, base)]
    return [_row(row) for row in shown]


def _base(question: QuestionResult, model: str | None) -> str | None:
    """What the model was fine-tuned from, where the report knows outputs of that too."""
    tune = _tune(question, model)
    return tune.b if tune else None


def _tune(question: QuestionResult, model: str | None) -> Comparison | None:
    found = question.conclusions.comparisons if question.conclusions else ()
    return next((c for c in found if c.kind == "fine-tune" and c.a == model), None)


def _row(row: RateRow) -> tuple[str, ...]:
    known = sorted((e.value, judge) for judge, e in row.judged if e.value is not None)
    low, high = (known[0], known[-1]) if known else (None, None)
    same = low is not None and high is not None and percent(low[0]) == percent(high[0])
    best = row.best
    quoted = "uncorrected" if best is None or not best.corrected else figure(best.quoted, rate=True)
    return (
        quote(row.question, 40),
        quote(row.label, 40),
        "all outputs" if row.model is None else row.model,
        f"{percent(low[0])} (all)" if low is not None and same and len(known) > 1 else _end(low),
        "" if same else _end(high),
        quoted,
        count(best.n_labelled) if best and best.n_labelled else "0",
    )


def _end(end: tuple[float, str] | None) -> str:
    return "—" if end is None else f"{percent(end[0])} ({shorten(end[1], 40)})"


def _table(rows: Sequence[tuple[str, ...]], *, several: bool, confidence: float) -> Iterator[str]:
    corrected = f"corrected [{confidence * 100:g} %]"
    heads = ("question", "rate of", "outputs of", "lowest judge", "highest judge", corrected, "labels")
    keep = [i for i in range(len(heads)) if (i != 0 or several) and any(row[i] for row in rows)]
    yield _cells(heads[i] for i in keep)
    yield _cells("---:" if i >= _NUMBERS_FROM else ":---" for i in keep)
    for row in rows:
        yield _cells(markdown_cell(shorten(row[i], 80)) for i in keep)


def _cells(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


# --- what not to rely on ---


def _unreliable(question: QuestionResult, model: str | None) -> Iterator[str]:
    a, flags = question.agreement, question.flags
    on = quote(a.question.name)
    if flags is not None and flags.n_flagged:
        worst = sorted(flags.by_reason.items(), key=lambda entry: (-entry[1], entry[0]))[:2]
        why = f", mostly because: {listed([visible(reason, 60) for reason, _ in worst])}" if worst else ""
        are = "is" if flags.n_flagged == 1 else "are"
        yield f"{on}: {count(flags.n_flagged)} of {count(flags.n_verdicts, 'verdict')} {are} flagged{why}."
    missing = [(sum(j.missing.values()), j.judge) for j in a.judges if sum(j.missing.values())]
    if missing:
        most, judge = max(missing)
        whole = sum(n for n, _ in missing)
        if len(missing) == 1:
            yield f"{on}: {count(whole, 'verdict')} of {quote(judge)} missing; counted as no label."
        else:
            of = f"most of them of {quote(judge)} ({count(most)})"
            yield f"{on}: {count(whole, 'verdict')} missing, {of}; counted as no label."
    measure = ranking_measure(a.judges)
    guessing = [j.judge for j in a.judges if measured(j, measure) and may_guess(j, measure)]
    if guessing:
        yield f"{on}: not shown to be better than guessing against the reference: {names(guessing)}."
    yield from constructs(a)
    yield from _moves(question, model)


def _moves(question: QuestionResult, model: str | None) -> Iterator[str]:
    """Whether what is said of this model, or of any, depends on the judge."""
    found, on = question.conclusions, quote(question.agreement.question.name)
    if found is None or len({rate.judge for rate in found.rates}) < 2:
        return
    tune = _tune(question, model)
    if tune is not None:
        known = [e.value for e in tune.difference.values() if e.value is not None]
        if known:
            span = f"{points(min(known))} to {points(max(known))} points, by judge"
            yield f"{on}: against its base {quote(tune.b)} the rate changes by {span} ({_HOLDS[tune.holds]})."
    flips = [c for c in found.comparisons if c.holds == "flips" and (model is None or model in (c.a, c.b))]
    others = [name for c in flips if (name := c.b if c.a == model else c.a) != (tune.b if tune else None)]
    if others and model is not None:
        yield f"{on}: whether its rate is above or below that of {names(others)} depends on the judge."
    elif flips and model is None:
        yield (
            f"{on}: {count(len(flips))} of {count(len(found.comparisons), 'comparison')} of models "
            f"{'changes' if len(flips) == 1 else 'change'} sign with the judge."
        )


_HOLDS: Final = {
    "clear": "clear under every judge",
    "same direction": "the same way under every judge, not clear under each",
    "flips": "the sign depends on the judge",
    "undecided": "undecided",
}


# --- where it comes from ---


def _origin(report: Report, subject: Subject) -> Iterator[str]:
    made = report.provenance
    day = f", {markdown_cell(visible(made.run.created_at[:10], 10))}" if made.run.created_at else ""
    full = f"[Full report]({_target(subject.link)}). " if subject.link else ""
    yield f"{full}Made with `interjudge` {markdown_cell(visible(made.interjudge, 40))}{day}."
    inputs = [
        f"{markdown_cell(shorten(file.name, _NAME))}" + (f" (SHA-256 `{file.sha256[:16]}…`)" if file.sha256 else "")
        for file in made.inputs[:_INPUTS]
    ]
    seed = "" if made.seed is None else f", seed {made.seed}"
    options = {name: made.options[name] for name in ("questions", "cluster", "replicates") if name in made.options}
    said = f", options {markdown_cell(visible(json.dumps(options, ensure_ascii=False), 600))}" if options else ""
    if inputs:
        yield f"To reproduce: `interjudge` on {listed(inputs)}{seed}{said}."


def _target(link: str) -> str:
    """A link as the target of Markdown's brackets: nothing in it ends them, and no scheme that runs.

    Raises
    ------
    InputError : it has another scheme than http and https.
    """
    if (scheme := _SCHEME.match(link)) and scheme.group(1).lower() not in ("http", "https"):
        raise InputError("--link is neither a web address nor a path", found=link, expected="https://... or a path")
    clean = visible(link, 500)
    for char in '\\<>()[]"`|& ':
        clean = clean.replace(char, f"%{ord(char):02X}")
    return clean


def plain_value(estimate: Estimate) -> str:
    """For a line of notes: the figure with its interval, in ASCII's digits."""
    return figure(estimate, rate=True) if estimate.value is not None else value(estimate)
