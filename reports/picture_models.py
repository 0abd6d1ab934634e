"""Pictures of the models: their rates under every judge, their ranks, and what fine-tuning changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from interjudge.agreement.results import Estimate
from interjudge.agreement.results_models import Conclusions, ModelRate, TuneChange
from interjudge.agreement.results_question import QuestionResult
from interjudge.reports.drawing import (
    Json,
    Judges,
    estimate,
    figures_axis,
    interval_layers,
    names_axis,
    short_names,
    span,
    spec,
    tight,
    vertical,
)
from interjudge.reports.escape import visible
from interjudge.reports.picture import Picture
from interjudge.reports.table import Cell, Column, Dashes, Table, ends
from interjudge.reports.wording import count, percent, points, quote

SECTION: Final = "Which conclusions survive the judge"
_MOST_DOTS: Final = 160  # models x judges in one picture
_DOT: Final = 9  # pixels between the judges of one model
_GAP: Final = 14


def rates(question: QuestionResult) -> Picture | None:
    """Every model's rate of the positive label under every judge."""
    found = question.conclusions
    if found is None or not found.rates:
        return None
    judges = Judges.of(question.agreement)
    of = _by_model(found.rates)
    across = judges.chosen(r.judge for r in found.rates)
    order = sorted(of, key=lambda model: -_middle(of[model]))
    shown, gap = ends(order, max(2, _MOST_DOTS // max(len(across), 1)))
    short = short_names(shown)
    values: list[Json] = []
    rows, dashes = [], Dashes()
    for model in shown:
        cells = []
        for judge in across:
            r = of[model].get(judge)
            if r is None:
                cells.append(Cell(""))
                continue
            values.append(
                {
                    "model": short[model], "whole": visible(model), "judge": judges.short[judge],
                    "name": visible(judge), "missing": r.n_missing, **estimate(r.rate, rate=True),
                }
            )  # fmt: skip
            cells.append(dashes.cell(r.rate, f"{quote(model)} under {quote(judge)}", rate=True))
        rows.append((Cell(model), *cells))
    x = figures_axis("rate, per cent", tight(r.rate for r in found.rates), rate=True)
    y = _rows([short[m] for m in shown], [judges.short[j] for j in across])
    tooltip = (("whole", "model"), ("name", "judge"), ("figure", "rate"), ("missing", "missing verdicts"))
    marks = judges.colour(across, legend=len(across) > 1, beside=short.values())
    title = "Every model's rate under every judge"
    columns = (Column("model", "left", name=True), *(Column(judge, name=True) for judge in across))
    notes = (f"rate of {quote(found.label)}", *dashes.notes(), *_hidden(len(judges.names) - len(across)))
    return Picture(
        name="rates",
        section=SECTION,
        title=title,
        caption=_rates_caption(found, of),
        spec=spec(values, interval_layers(x, y, marks, tooltip, size=55), _height(len(shown), len(across))),
        table=Table(title, columns, tuple(rows), notes, gap),
    )


def _by_model(found: Sequence[ModelRate]) -> dict[str, dict[str, ModelRate]]:
    of: dict[str, dict[str, ModelRate]] = {}
    for r in found:
        of.setdefault(r.model, {})[r.judge] = r
    return of


def _middle(of: dict[str, ModelRate]) -> float:
    """Where a model stands among the rows: by the middle of its rates over the judges."""
    known = sorted(r.rate.value for r in of.values() if r.rate.value is not None)
    return known[len(known) // 2] if known else -1.0


def _rows(models: Sequence[str], judges: Sequence[str]) -> Json:
    return {
        "y": names_axis(
            "model",
            models,
            scale={"paddingInner": 0.3, "paddingOuter": 0.1},
            axis={"grid": True, "tickBand": "extent", "gridOpacity": 0.5},
        ),
        "yOffset": {"field": "judge", "type": "nominal", "scale": {"domain": list(judges)}},
    }


def _height(models: int, judges: int) -> int:
    return models * (max(judges, 2) * _DOT + _GAP)


def _hidden(n: int) -> list[str]:
    return [f"{count(n, 'more judge')} not shown"] if n > 0 else []


def _rates_caption(found: Conclusions, of: dict[str, dict[str, ModelRate]]) -> str:
    """How far the judges lie apart, on the model where they do most."""
    apart = []
    for model, by in of.items():
        known = [(r.rate.value, judge) for judge, r in by.items() if r.rate.value is not None]
        if len(known) > 1:
            apart.append((max(known)[0] - min(known)[0], model, min(known), max(known)))
    missing = sum(r.rate.value is None for by in of.values() for r in by.values())
    tail = (
        f" {count(missing, 'rate')} without a value {'has' if missing == 1 else 'have'} a dash at the left."
        if missing
        else ""
    )
    if not apart:
        return f"The rate of {quote(found.label)} of each model, with its interval.{tail}"
    _, model, low, high = max(apart, key=lambda entry: entry[0])
    return (
        f"The judges lie furthest apart on {quote(model)}: from {percent(low[0])} ({quote(low[1])}) to "
        f"{percent(high[0])} ({quote(high[1])}) {quote(found.label)}.{tail}"
    )


def fine_tunes(question: QuestionResult) -> Picture | None:
    """The change of the rate from base to fine-tune under every judge; those with both signs are marked."""
    found = question.conclusions
    if found is None or found.fine_tunes is None:
        return None
    changes = found.fine_tunes.changes
    if not changes:
        return None
    judges = Judges.of(question.agreement)
    across = judges.chosen(judge for c in changes for judge in c.change)
    whole = [c for c in changes if c.benchmark is None] or list(changes)
    ordered = sorted(whole, key=lambda c: (not _clearly(c), not _mixed(c), c.model))
    most = max(2, _MOST_DOTS // max(len(across), 1))
    shown, hidden = ordered[:most], len(ordered) - most
    short = short_names(_tune_name(c) for c in shown)
    # the signs stand beneath the name: in the picture they would lie on the dots of some judge
    row_of = {_tune_name(c): "\n".join(filter(None, (short[_tune_name(c)], _signs(c)))) for c in shown}
    values: list[Json] = []
    rows, dashes = [], Dashes()
    for c in shown:
        cells = []
        for judge in across:
            e = c.change.get(judge)
            if e is None:
                cells.append(Cell(""))
                continue
            values.append(
                {
                    "model": row_of[_tune_name(c)], "whole": f"{visible(c.model)} from {visible(c.base_model)}",
                    "judge": judges.short[judge], "name": visible(judge), "signs": _signs(c),
                    **{**estimate(e), "figure": _points(e)},
                }
            )  # fmt: skip
            cells.append(
                Cell(_points(e))
                if e.value is not None
                else dashes.dash(e.undefined or "no reason given", f"{quote(c.model)} under {quote(judge)}")
            )
        rows.append((Cell(c.model), Cell(c.base_model), Cell(_signs(c)), *cells))
    x = figures_axis(
        "change, points", span((c.change[j] for c in shown for j in across if j in c.change), -0.1, 0.1), rate=True
    )
    y = _rows(list(row_of.values()), [judges.short[j] for j in across])
    y["y"]["axis"]["labelExpr"] = "split(datum.label, '\\n')"
    tooltip = (("whole", "fine-tune"), ("name", "judge"), ("figure", "change"), ("signs", "signs"))
    layers = [
        vertical(0, x, strokeWidth=1.5),
        *interval_layers(x, y, judges.colour(across, legend=len(across) > 1, beside=short.values()), tooltip, size=55),
    ]
    title = "What fine-tuning changed, under each judge"
    columns = (
        Column("fine-tune", "left", name=True), Column("base", "left", rank=2, name=True), Column("signs", "left"),
        *(Column(judge, name=True) for judge in across),
    )  # fmt: skip
    notes = (
        f"rate of {quote(found.label)} of the fine-tune minus that of its base, in percentage points; mixed: up under "
        "one judge, down under another; clearly: both with intervals without 0",
        *dashes.notes(),
        *_hidden(len(judges.names) - len(across)),
    )
    return Picture(
        name="fine-tunes",
        section=SECTION,
        title=title,
        caption=_tunes_caption(ordered, found.label),
        spec=spec(values, layers, _height(len(shown), len(across))),
        table=Table(title, columns, tuple(rows), notes, (len(rows), hidden) if hidden > 0 else None).without_empty(),
    )


def _tune_name(c: TuneChange) -> str:
    return c.model if c.benchmark is None else f"{c.model}, {c.benchmark}"


def _mixed(c: TuneChange) -> bool:
    return c.n_up > 0 and c.n_down > 0


def _clearly(c: TuneChange) -> bool:
    return c.n_clear_up > 0 and c.n_clear_down > 0


def _signs(c: TuneChange) -> str:
    return "mixed, clearly" if _clearly(c) else "mixed" if _mixed(c) else ""


def _points(e: Estimate) -> str:
    if e.value is None:
        return str(estimate(e)["figure"])
    if e.ci_low is None or e.ci_high is None:
        return points(e.value)
    return f"{points(e.value)} [{points(e.ci_low)}, {points(e.ci_high)}]"


def _tunes_caption(whole: Sequence[TuneChange], label: str) -> str:
    mixed = [c for c in whole if _mixed(c)]
    n = count(len(whole), "fine-tune")
    head = f"Left of 0 a fine-tune has less {quote(label)} than its base, right of it more"
    if not mixed:
        return f"{head}; for none of {n} does the direction depend on the judge."
    clearly = [c for c in mixed if _clearly(c)]
    who = quote((clearly or mixed)[0].model) + (" and others" if len(mixed) > 1 else "")
    many = count(len(clearly)) if clearly else "none"
    return (
        f"{head}. For {count(len(mixed))} of {n} the direction depends on the judge ({who}), for {many} with a clear "
        "change both ways."
    )
