"""Pictures of how much would be enough: judges, outputs, reference labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log
from typing import Final

from interjudge.agreement.results import Agreement
from interjudge.agreement.results_plan import DecisionPoint, DStudy, HelpedRate, LabelPlan, Needed
from interjudge.agreement.results_question import QuestionResult
from interjudge.reports.drawing import (
    MOST_ROWS,
    NEUTRAL,
    PANEL,
    Json,
    Judges,
    interval_layers,
    legend_columns,
    names_axis,
    rows_height,
    short_names,
    spec,
    tips_of,
)
from interjudge.reports.escape import visible
from interjudge.reports.picture import Picture
from interjudge.reports.table import Cell, Column, Table
from interjudge.reports.wording import DASH, count, number, quote

SECTION: Final = "How much would be enough"


def judges_enough(question: QuestionResult) -> Picture | None:
    """Reliability of the mean verdict on an output over the number of judges."""
    found = question.plan.decision if question.plan is not None else None
    points = _alike([p for p in found.points if p.of == "item"]) if found is not None else []
    if found is None or len(points) < 2:
        return None
    values = [
        {"n": p.n_judges, "value": value, "kind": kind, "figure": number(value)}
        for p in points
        for kind, value in (("comparing outputs", p.generalizability), ("the level itself", p.dependability))
    ]
    now = question.plan.variance.n_judges_each if question.plan and question.plan.variance else None
    title = "How many judges would be enough"
    columns = (
        Column("judges"),
        Column("generalisability, for comparing outputs"),
        Column("dependability, for the level"),
    )
    rows = tuple(
        (Cell(count(p.n_judges)), Cell(number(p.generalizability)), Cell(number(p.dependability))) for p in points
    )
    notes = ("of the mean verdict on an output; judges that differ from these as these differ from each other",)
    need = _need(found, "item", "judges")
    return Picture(
        name="enough-judges",
        section=SECTION,
        title=title,
        caption=_enough(need, found, now, "judge"),
        spec=_curves(values, "judges (logarithmic)", found.target, now),
        table=Table(title, columns, rows, notes),
    )


def outputs_enough(question: QuestionResult) -> Picture | None:
    """Reliability of the comparison of models over the number of outputs, for some numbers of judges."""
    found = question.plan.decision if question.plan is not None else None
    points = _alike([p for p in found.points if p.of == "model"]) if found is not None else []
    if found is None or len(points) < 2:
        return None
    points.sort(key=lambda p: (p.n_judges, p.n_items or 0))
    values = [
        {
            "n": p.n_items, "value": p.generalizability, "kind": count(p.n_judges, "judge"),
            "figure": number(p.generalizability),
        }
        for p in points
    ]  # fmt: skip
    need = _need(found, "model", "items")
    title = "How many outputs of each model would be enough"
    columns = (Column("outputs of each model"), Column("judges"), Column("generalisability"))
    rows = tuple(
        (Cell(count(p.n_items or 0)), Cell(count(p.n_judges)), Cell(number(p.generalizability))) for p in points
    )
    now = need.now if need is not None else None
    return Picture(
        name="enough-outputs",
        section=SECTION,
        title=title,
        caption=_enough(need, found, now, "output"),
        spec=_curves(values, "outputs of each model (logarithmic)", found.target, now),
        table=Table(title, columns, rows, ("of a model's mean, where every model has other outputs",)),
    )


def _alike(points: list[DecisionPoint]) -> list[DecisionPoint]:
    """Those with the number of repeats that most have: the others belong to another question."""
    if not points:
        return []
    repeats = Counter(p.n_repeats for p in points).most_common(1)[0][0]
    return [p for p in points if p.n_repeats == repeats]


def _need(found: DStudy, of: str, what: str) -> Needed | None:
    return next((n for n in found.needed if (n.of, n.what, n.coefficient) == (of, what, "generalizability")), None)


_DASHES: Final = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])


def _curves(values: list[Json], title: str, target: float, now: float | None) -> Json:
    kinds = list(dict.fromkeys(v["kind"] for v in values))
    ticks = sorted({v["n"] for v in values})
    # where the line "now" would cross the words at the right, they stand before it
    late = now is not None and ticks[0] < now <= ticks[-1] and log(now / ticks[0]) > 0.7 * log(ticks[-1] / ticks[0])
    least = max(0.0, int((min(target, *(v["value"] for v in values)) - 0.1) * 10) / 10)
    # where a line runs through that place, at the left and above the target
    under = any(target - 0.12 * (1 - least) < v["value"] <= target for v in values if v["n"] >= ticks[-3:][0])
    at, side = (ticks[0], "left") if under else (now if late else ticks[-1], "right")
    x = {
        "field": "n",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [ticks[0], ticks[-1]], "nice": False},
        "axis": {
            "title": title,
            "values": ticks,
            "format": ",d",
            "labelOverlap": "greedy",
            "labelSeparation": 6,
            "grid": False,
        },
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [least, 1], "nice": False},
        "axis": {"title": "reliability", "tickCount": 6, "format": ".3~g", "gridOpacity": 0.35},
    }
    kind = {"field": "kind", "type": "nominal"}
    columns = legend_columns(kinds, ("0.95",), symbol=24)
    key = {"title": None, "orient": "top", "symbolStrokeColor": PANEL, "symbolSize": 500, "columns": columns}
    dash = {**kind, "scale": {"domain": kinds, "range": list(_DASHES[: len(kinds)])}, "legend": key}
    tips = tips_of((("n", "number"), ("kind", "for"), ("figure", "reliability")))
    layers: list[Json] = [
        {
            "data": {"values": [{"value": target}]},
            "mark": {"type": "rule", "color": NEUTRAL, "strokeDash": [4, 3], "strokeWidth": 1.5},
            "encoding": {"y": y},
        },
        {
            "data": {"values": [{"value": target, "n": at, "words": f"target {number(target)}"}]},
            "mark": {
                "type": "text",
                "align": side,
                "dx": 4 if side == "left" else -4,
                "dy": -7 if side == "left" else 9,
            },
            "encoding": {"x": x, "y": y, "text": {"field": "words"}},
        },
        {
            "mark": {"type": "line", "color": PANEL, "strokeWidth": 2, "tooltip": None},
            "encoding": {"x": x, "y": y, "strokeDash": dash},
        },
        {
            "mark": {"type": "point", "filled": True, "color": PANEL, "size": 55, "opacity": 1},
            "encoding": {"x": x, "y": y, "detail": kind, "tooltip": tips},
        },
    ]
    if now is not None and ticks[0] <= now <= ticks[-1]:
        here = [{"n": now, "words": "now"}]
        layers += [
            {
                "data": {"values": here},
                "mark": {"type": "rule", "color": NEUTRAL, "strokeWidth": 1.5},
                "encoding": {"x": x},
            },
            {
                "data": {"values": here},
                "mark": {"type": "text", "align": "left", "dx": 4, "baseline": "bottom"},
                "encoding": {"x": x, "y": {"value": "height"}, "text": {"field": "words"}},
            },
        ]
    return spec(values, layers, 240)


def _enough(need: Needed | None, found: DStudy, now: float | None, noun: str) -> str:
    target = number(found.target)
    here = "" if now is None else f"There {'is' if now == 1 else 'are'} {now:,.1f}".removesuffix(".0") + " now; "
    if need is None:
        text = f"{here}where the line reaches {target} is enough"
    elif need.value is None:
        text = f"{here}{target} is out of reach: {visible(need.undefined or 'unknown', 120)}"
    else:
        span = ""
        if need.low is not None and need.low != need.high:
            span = f" (interval: {need.low:,} to {'no end' if need.high is None else f'{need.high:,}'})"
        text = f"{here}{count(need.value, noun)}{span} would reach the target of {target}"
    return f"{text[0].upper()}{text[1:]}. The lines go no further than what these judges and outputs show."


def labels_enough(question: QuestionResult) -> Picture | None:
    """Reference labels for the rate, without help and with that of each judge's verdicts on all outputs."""
    labels = question.plan.labels if question.plan is not None else None
    if labels is None:
        return None
    helped = sorted(labels.rate.helped, key=lambda h: (h.judge is not None, h.n is None, h.n or 0))[:MOST_ROWS]
    judges = Judges.of(question.agreement)
    names = ["(nobody)", *("(all votes)" if h.judge is None else h.judge for h in helped)]
    short = short_names(names)
    values = [_needs(short["(nobody)"], None, labels.rate.n, None, None)]
    for name, h in zip(names[1:], helped, strict=True):
        values.append(_needs(short[name], judges.short.get(h.judge or ""), h.n, h.n_low, h.n_high))
    title = "How many reference labels would be enough"
    columns = (Column("helped by the verdicts of", "left", name=True), Column("labels"))
    rows = tuple((Cell(name), Cell(v["figure"])) for name, v in zip(names, values, strict=True))
    hidden = len(labels.rate.helped) - len(helped)
    notes = (
        f"for the rate of {quote(labels.rate.label)} within ±{50 * labels.width:.3g} points; drawn at random; rates "
        f"from the {labels.source}",
        f"there are {count(labels.n_items, 'output')}, {count(labels.n_labelled)} of them with a reference label",
    )
    return Picture(
        name="enough-labels",
        section=SECTION,
        title=title,
        caption=_labels_caption(labels, helped),
        spec=_labels_spec(values, labels, judges, question.agreement),
        table=Table(title, columns, rows, notes, (len(rows), hidden) if hidden else None),
    )


def _needs(row: str, judge: str | None, n: int | None, low: int | None, high: int | None) -> Json:
    text = DASH if n is None else count(n)
    if n is not None and low is not None and high is not None and low != high:
        text += f" ({low:,} to {high:,})"
    return {"row": row, "judge": judge, "value": n, "low": low, "high": high, "figure": text}


def _labels_spec(values: list[Json], labels: LabelPlan, judges: Judges, a: Agreement) -> Json:
    top = max([v["value"] or 0 for v in values] + [v["high"] or 0 for v in values])
    x = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [0, top], "nice": True},
        "axis": {
            "title": "reference labels",
            "format": ",d",
            "tickMinStep": 1,
            "gridOpacity": 0.35,
            "tickCount": {"expr": "width > 420 ? 10 : 4"},
        },
    }
    y = {"y": names_axis("row", [v["row"] for v in values])}
    tips = (("row", "helped by"), ("figure", "labels"))
    named = [j.judge for j in a.judges if judges.short[j.judge] in {v["judge"] for v in values}]
    layers = interval_layers(x, y, {"color": {"value": PANEL}, "shape": {"value": "diamond"}}, tips)
    for layer in layers:
        layer["transform"] = [{"filter": "!isValid(datum.judge)"}, *layer["transform"]]
    if named:
        ours = interval_layers(x, y, judges.colour(named), tips)
        for layer in ours:
            layer["transform"] = [{"filter": "isValid(datum.judge)"}, *layer["transform"]]
        layers += ours
    if labels.n_labelled and labels.n_labelled <= top:
        layers.insert(
            0,
            {
                "data": {"values": [{"value": labels.n_labelled}]},
                "mark": {"type": "rule", "color": NEUTRAL, "strokeDash": [4, 3], "strokeWidth": 1.5},
                "encoding": {"x": x},
            },
        )
    return spec(values, layers, rows_height(len(values)))


def _labels_caption(labels: LabelPlan, helped: Sequence[HelpedRate]) -> str:
    rate = labels.rate
    said = f"For the rate of {quote(rate.label)} within ±{50 * labels.width:.3g} points "
    said += f"{count(rate.n, 'label')} are needed"
    best = min((h for h in helped if h.n is not None and h.n < rate.n), key=lambda h: h.n or 0, default=None)
    if best is not None:
        who = "all votes" if best.judge is None else quote(best.judge)
        said += f" without help, {count(best.n or 0)} with that of {who}"
    there = f"{count(labels.n_labelled)} are there"
    if labels.n_labelled:
        top = max([rate.n, *(h.n_high or h.n or 0 for h in helped)])
        there += " (dashed)" if labels.n_labelled <= top else ""
    return f"{said}; {there if labels.n_labelled else 'none is there'}."
