"""Pictures of the judges: how good each is, and what becomes of it on incoherent outputs."""

from __future__ import annotations

from typing import Final

from interjudge.agreement.results import Agreement, Estimate
from interjudge.agreement.results_question import QuestionResult
from interjudge.agreement.results_trust import Ability, IncoherentPart, JudgeTrust, Trust
from interjudge.reports.drawing import (
    MOST_ROWS,
    Json,
    Judges,
    estimate,
    figures_axis,
    interval_layers,
    names_axis,
    rows_height,
    shapes,
    span,
    spec,
    tight,
    vertical,
)
from interjudge.reports.escape import visible
from interjudge.reports.picture import Picture
from interjudge.reports.table import Cell, Column, Dashes, Table
from interjudge.reports.wording import count, names, percent, points, quote, value

SECTION: Final = "Whom to trust"
_MEASURES: Final = {"youden_j": "Youden's J", "accuracy": "accuracy"}
_AGAINST: Final = {"reference": "the reference", "estimate": "the estimated truth"}
_SPOKEN: Final = ("sensitivity", "specificity")
_UNSPOKEN: Final = ("accuracy", "balanced_accuracy")
_WORDS: Final = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
}


def ability(question: QuestionResult) -> Picture | None:
    """Sensitivity and specificity of every judge (without a positive label: accuracies) with their intervals."""
    found, a = question.trust, question.agreement
    if found is None or not found.judges:
        return None
    by_reference = any(j.reference is not None for j in found.judges)
    sides = _SPOKEN if all(j.estimated.balanced_accuracy is None for j in found.judges) else _UNSPOKEN
    judges = Judges.of(a)
    shown = judges.chosen((j.judge for j in found.judges), MOST_ROWS)
    chosen = sorted(
        (j for j in found.judges if j.judge in set(shown)), key=lambda j: _first(_of(j, by_reference), sides)
    )
    values: list[Json] = []
    rows, dashes = [], Dashes()
    for j in chosen:
        of = _of(j, by_reference)
        cells = []
        for side in sides:
            e = getattr(of, side) if of is not None else Estimate(undefined="no outputs with a reference label")
            e = e if e is not None else Estimate(undefined="not for this judge")
            values.append(
                {
                    "judge": judges.short[j.judge],
                    "name": visible(j.judge),
                    "measure": _WORDS[side],
                    "n": e.n,
                    **estimate(e, rate=True),
                }
            )
            cells.append(dashes.cell(e, f"{_WORDS[side]} of {quote(j.judge)}", rate=True))
        rows.append((Cell(j.judge), *cells))
    domain = [judges.short[j.judge] for j in chosen]
    both = [_WORDS[side] for side in sides]
    x = figures_axis("per cent", [0, 1], rate=True)
    offset = {"field": "measure", "type": "nominal", "scale": {"domain": both, "paddingInner": 0.1}}
    colour = judges.colour([j.judge for j in chosen])["color"]
    y = {"y": names_axis("judge", domain, scale={"paddingInner": 0.25}), "yOffset": offset}
    tooltip = (("name", "judge"), ("measure", "of"), ("figure", "value"), ("n", "outputs"))
    share = f"[{a.confidence * 100:g} %]"
    against = "the reference" if by_reference else "the truth estimated from the verdicts"
    title = f"How often each judge is right, by {against}"
    columns = (Column("judge", "left", name=True), *(Column(f"{words} {share}") for words in both))
    notes = dashes.notes() if by_reference else (*dashes.notes(), _DOUBT)
    hidden = len(found.judges) - len(chosen)
    return Picture(
        name="ability",
        section=SECTION,
        title=title,
        caption=_ability_caption(chosen, sides, by_reference, a),
        spec=spec(
            values,
            interval_layers(x, y, {"color": colour, "shape": shapes("measure", both, domain)}, tooltip),
            rows_height(len(chosen), 34 if len(chosen) <= 15 else 26),
        ),
        table=Table(title, columns, tuple(rows), notes, (len(rows), hidden) if hidden else None),
    )


_DOUBT: Final = "there is no reference: an error that the judges share is not seen, and flatters them"


def _of(j: JudgeTrust, by_reference: bool) -> Ability | None:
    return j.reference if by_reference else j.estimated


def _first(of: Ability | None, sides: tuple[str, str]) -> float:
    """The best judges stand at the top: by the sum of both figures; those without a figure at the end."""
    both = [getattr(of, side) for side in sides] if of is not None else []
    known = [e.value for e in both if e is not None and e.value is not None]
    return -sum(known) if known else float("inf")


def _ability_caption(chosen: list[JudgeTrust], sides: tuple[str, str], by_reference: bool, a: Agreement) -> str:
    said = []
    for side in sides:
        known = [
            (e.value, j.judge)
            for j in chosen
            if (of := _of(j, by_reference)) and (e := getattr(of, side)) and e.value is not None
        ]
        if known:
            low, high = min(known), max(known)
            reach = f"{percent(low[0])} ({quote(low[1])}) to {percent(high[0])} ({quote(high[1])})"
            said.append(
                f"{_WORDS[side]} is {percent(low[0])}" if len(known) == 1 else f"{_WORDS[side]} goes from {reach}"
            )
    if not said:
        return "No judge has a value; why is said under the table."
    text = f"{'; '.join(said)}."
    text = text[0].upper() + text[1:]
    if sides == _SPOKEN and a.question.positive is not None:
        text += f" Sensitivity: of what is {quote(a.question.positive)}, the share the judge calls so; specificity: "
        text += "the same of the rest."
    if by_reference:
        return text
    return f"{text} Estimated from the verdicts, without a reference: an error that the judges share is not seen."


def incoherent(question: QuestionResult) -> Picture | None:
    """Every judge on coherent and on incoherent outputs."""
    found, a = question.trust, question.agreement
    if found is None or not found.n_incoherent:
        return None
    known = [(j, j.incoherent) for j in found.judges if j.incoherent is not None and j.incoherent.n_incoherent]
    judges = Judges.of(a)
    kept = set(judges.chosen((j.judge for j, _ in known), MOST_ROWS))
    chosen = [(j, part) for j, part in known if j.judge in kept]
    if not chosen:
        return None
    rate = found.incoherent_measure == "accuracy"
    measure = _MEASURES[found.incoherent_measure or "accuracy"]
    where = ("coherent", "incoherent")
    values, rows, dashes = [], [], Dashes()
    every: list[Estimate] = []
    for j, part in chosen:
        both = (part.performance_coherent, part.performance_incoherent)
        every += both
        for name, e in zip(where, both, strict=True):
            values.append(
                {
                    "judge": judges.short[j.judge],
                    "name": visible(j.judge),
                    "outputs": name,
                    "n": e.n,
                    "against": part.basis,
                    **estimate(e, rate=rate),
                }
            )
        rows.append(
            (
                Cell(j.judge),
                *(
                    dashes.cell(e, f"{measure} of {quote(j.judge)}, {name}", rate=rate)
                    for name, e in zip(where, both, strict=True)
                ),
                _lean(part.bias_coherent),
                _lean(part.bias_incoherent),
                Cell(part.basis),
            )
        )
    x = (
        figures_axis(f"{measure}, per cent", tight(every), rate=True)
        if rate
        else figures_axis(measure, span(every, 0.0, 1.0))
    )
    shown = [judges.short[j.judge] for j, _ in chosen]
    y = {
        "y": names_axis("judge", shown, scale={"paddingInner": 0.25}),
        "yOffset": {"field": "outputs", "type": "nominal", "scale": {"domain": list(where)}},
    }
    colour = judges.colour([j.judge for j, _ in chosen])["color"]
    tooltip = (("name", "judge"), ("outputs", "outputs"), ("figure", measure), ("n", "number"), ("against", "against"))
    layers = interval_layers(x, y, {"color": colour, "shape": shapes("outputs", where, shown)}, tooltip)
    if not rate:
        layers.insert(0, vertical(0, x))
    said = f"says {quote(a.question.positive, 20)} too often" if a.question.positive is not None else ""
    columns = (
        Column("judge", "left", name=True),
        *(Column(f"{measure}, {name}") for name in where),
        *(Column(f"{said}, {name}" if said else "", rank=1) for name in where),
        Column("against", "left", rank=2),
    )
    title = "Coherent and incoherent outputs"
    notes = (*dashes.notes(), *(["too often: in points of a hundred outputs"] if said else []))
    hidden = len(known) - len(chosen)
    gap = (len(rows), hidden) if hidden else None
    return Picture(
        name="incoherent",
        section=SECTION,
        title=title,
        caption=_incoherent_caption(chosen, found, measure, rate=rate),
        spec=spec(values, layers, rows_height(len(chosen), 34 if len(chosen) <= 15 else 26)),
        table=Table(title, columns, tuple(rows), notes, gap).without_empty(),
    )


def _lean(e: Estimate | None) -> Cell:
    if e is None or e.value is None:
        return Cell("")
    if e.ci_low is None or e.ci_high is None:
        return Cell(points(e.value))
    return Cell(f"{points(e.value)} [{points(e.ci_low)}, {points(e.ci_high)}]", points(e.value))


def _incoherent_caption(
    chosen: list[tuple[JudgeTrust, IncoherentPart]], found: Trust, measure: str, *, rate: bool
) -> str:
    worse = [j.judge for j, p in chosen if (p.performance_difference.ci_high or 0) < 0]
    better = [j.judge for j, p in chosen if (p.performance_difference.ci_low or 0) > 0]
    moved = [f"clearly {how} for {names(who)}" for how, who in (("lower", worse), ("higher", better)) if who]
    there = f"On the {count(found.n_incoherent or 0, 'incoherent output')}"
    what = f"is {' and '.join(moved)}" if moved else "clearly changes for no judge"
    text = f"{there} {measure} {what}"
    if len(chosen) == 1:
        of = chosen[0][1]
        text += f" ({value(of.performance_coherent, rate=rate)} on the others, "
        text += f"{value(of.performance_incoherent, rate=rate)} there)"
    n = sum(p.performance_incoherent.value is None or p.performance_coherent.value is None for _, p in chosen)
    text += f"; {count(n, 'judge')} without a value on one side" if n else ""
    basis = {p.basis for _, p in chosen}
    against = "the reference or the estimated truth" if len(basis) > 1 else _AGAINST[basis.pop()]
    return f"{text}, measured against {against}."
