"""The table that a report opens with: for each judge, what it can be trusted for and where to take care.

The words follow from the records alone; docs/report.md has the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from interjudge.agreement.results import Agreement, JudgeResult
from interjudge.agreement.results_question import QuestionResult
from interjudge.agreement.results_trust import Ability, JudgeTrust, Trust
from interjudge.reports.section_trust import chosen
from interjudge.reports.table import Cell, Column, Dashes, Table, first
from interjudge.reports.tables_findings import heading
from interjudge.reports.trust import enough, may_guess, measured, one_label, ranking_measure, standing
from interjudge.reports.wording import count, number, percent, points, quote

_MANY_MISSING: Final = 0.05  # of a judge's verdicts
_SURE: Final = 0.95  # the lower end of the interval of sensitivity or specificity
# Figure, words where it is the highest of all judges, words where it is high.
_SIDES: Final = (
    ("sensitivity", "misses the fewest {}", "misses hardly any {}"),
    ("specificity", "the fewest false alarms of {}", "hardly any false alarm of {}"),
)


def verdict_table(question: QuestionResult, limit: int) -> Table:
    """One row a judge, the most trusted first."""
    a, found = question.agreement, question.trust
    order = {name: i for i, name in enumerate(_ranked(found))}
    judges = sorted(a.judges, key=lambda j: order.get(j.judge, len(order)))
    shown, gap = first(judges, limit)
    of = {j.judge: j for j in found.judges} if found is not None else {}
    referenced = a.question.reference is not None and not one_label(a)
    sides = _side_columns(a)
    dashes = Dashes()
    rows = []
    for judge in shown:
        ability = _ability(judge, of.get(judge.judge), referenced)
        figures = (
            dashes.cell(getattr(ability, name, None), f"{name} of {quote(judge.judge)}", rate=rate)
            for name, _, rate in sides
        )
        strong = "; ".join(_strengths(judge, a, found, referenced))
        weak = "; ".join(_weaknesses(judge, of.get(judge.judge), a, found, referenced))
        cells = (Cell(judge.judge), Cell(judge.kind), *figures)
        rows.append((*cells, Cell(_capital(strong), None, "good"), Cell(_capital(weak), None, "warn")))
    columns = (
        Column("judge", "left", name=True),
        Column("kind", "left", rank=2),
        *(Column(head, rank=1) for _, head, _ in sides),
        Column("trust it", "left"),
        Column("take care", "left"),
    )
    basis = f"against the reference {quote(a.question.reference or '')}" if referenced else _ESTIMATED
    notes = (*dashes.notes(), basis) if rows and (referenced or of) else dashes.notes()
    return Table(heading(a), columns, tuple(rows), notes, gap)


_ESTIMATED: Final = "against the truth estimated from the verdicts alone: an error that all judges share does not show"


def _side_columns(a: Agreement) -> tuple[tuple[str, str, bool], ...]:
    """Figure, heading, whether it is a share."""
    if a.question.positive is None:
        return (("accuracy", "right", True),)
    positive = quote(a.question.positive, 20)
    return (
        ("sensitivity", f"finds {positive}", True),
        ("specificity", "leaves the rest alone", True),
        ("youden_j", "Youden's J", False),
    )


def _ranked(found: Trust | None) -> list[str]:
    if found is None:
        return []
    ranking = found.ranking or chosen(found)
    return [j.judge for j in ranking.judges] if ranking else []


def _ability(judge: JudgeResult, trusted: JudgeTrust | None, referenced: bool) -> JudgeResult | Ability | None:
    if referenced:
        return judge
    return None if trusted is None else trusted.estimated


def _strengths(judge: JudgeResult, a: Agreement, found: Trust | None, referenced: bool) -> Iterator[str]:
    ranking = chosen(found) if found is not None else None
    guesses = referenced and may_guess(judge, ranking_measure(a.judges))
    if ranking is not None and not guesses and len(ranking.judges) > 1:
        if judge.judge == ranking.best:
            alone = not ranking.tied_with_best
            best = "closest to the reference" if ranking.basis == "reference" else "best by the estimate"
            best += " of those that are not human" if found is not None and found.ranking_automatic else ""
            yield best if alone else f"{best}, not alone"
        elif judge.judge in ranking.tied_with_best:
            yield "not told apart from the best"
    if not referenced or a.question.positive is None or guesses:
        return
    for measure, leading, sure in _SIDES:
        own = measured(judge, measure)
        if _leads(judge, a.judges, measure):
            yield leading.format(quote(a.question.positive, 30))
        elif own is not None and own.ci_low is not None and own.ci_low >= _SURE and own.n >= enough(a.judges):
            yield sure.format(quote(a.question.positive, 30))


def _leads(judge: JudgeResult, judges: Sequence[JudgeResult], measure: str) -> bool:
    """Whether the judge's figure is the highest, and no other is as high by its interval."""
    own = measured(judge, measure)
    others = [e for j in judges if j is not judge and (e := measured(j, measure)) is not None]
    if own is None or own.value is None or own.n < enough(judges) or not others:
        return False
    return all((e.value or 0) < own.value and standing(own, e) != "same" for e in others)


def _weaknesses(
    judge: JudgeResult, trusted: JudgeTrust | None, a: Agreement, found: Trust | None, referenced: bool
) -> Iterator[str]:
    if referenced and may_guess(judge, ranking_measure(a.judges)):
        yield "not shown to be better than guessing"
    ranking = chosen(found) if found is not None else None
    ranked = next((j for j in ranking.judges if j.judge == judge.judge), None) if ranking else None
    if (
        ranking is not None
        and ranked is not None
        and ranked.difference is not None
        and judge.judge not in (ranking.best, *ranking.tied_with_best, *ranking.not_compared)
        and ranked.difference.value is not None
    ):
        rate = ranking.measure == "accuracy"
        far = f"{points(ranked.difference.value)} points" if rate else f"{number(ranked.difference.value)} in J"
        yield f"{far.removeprefix('+')} behind {quote(ranking.best, 30)}"
    yield from _leaning(trusted, a, referenced)
    part = trusted.incoherent if trusted is not None else None
    worse = part.performance_difference if part is not None else None
    if worse is not None and worse.value is not None and worse.ci_high is not None and worse.ci_high < 0:
        yield "worse on incoherent outputs"
    asked = judge.n_ok + sum(judge.missing.values())
    if asked and 1 - judge.n_ok / asked >= _MANY_MISSING:
        yield f"no verdict on {percent(1 - judge.n_ok / asked)} of its outputs"
    if judge.n_ok < enough(a.judges):
        yield f"only {count(judge.n_ok, 'verdict')}"


def _leaning(trusted: JudgeTrust | None, a: Agreement, referenced: bool) -> Iterator[str]:
    """A label that the judge says too often or too seldom, where the interval leaves no doubt."""
    if trusted is None or a.question.positive is None:
        return
    for bias in trusted.bias:
        e = bias.reference if referenced else bias.estimated
        if bias.label != a.question.positive or e is None or e.value is None or e.ci_low is None or e.ci_high is None:
            continue
        if e.ci_low > 0 or e.ci_high < 0:
            how = "often" if e.value > 0 else "seldom"
            yield f"says {quote(bias.label, 30)} too {how}, by {points(abs(e.value)).lstrip('+')} points"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
