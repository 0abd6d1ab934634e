"""The picture of the models' places under every judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from interjudge.agreement.results_models import ModelRate
from interjudge.agreement.results_question import QuestionResult
from interjudge.reports.drawing import COLOURS, NEUTRAL, Json, Judges, pixels, short_names, slanting, spec, tips_of
from interjudge.reports.escape import visible
from interjudge.reports.picture import Picture
from interjudge.reports.table import Cell, Column, Dashes, Table, ends
from interjudge.reports.wording import count, figure, names, quote

SECTION: Final = "Which conclusions survive the judge"
_MOST_MODELS: Final = 20
_NAME: Final = 18
_TWO_SIDES: Final = 480  # pixels from which on the models are named at both ends


def ranks(question: QuestionResult) -> Picture | None:
    """A line for every model over its places under the judges; those that change places have a colour."""
    found = question.conclusions
    if found is None:
        return None
    of: dict[str, dict[str, ModelRate]] = {}
    for one in found.rates:
        of.setdefault(one.model, {})[one.judge] = one
    judges = Judges.of(question.agreement)
    across = judges.chosen(r.judge for r in found.rates if r.rank is not None)
    known = [model for model in of if any(of[model][j].rank is not None for j in across if j in of[model])]
    if len(across) < 2 or len(known) < 2:
        return None
    order = sorted(known, key=lambda model: _place(of[model], across))
    shown, gap = ends(order, _MOST_MODELS)
    short, head = short_names(shown, _NAME), short_names(across, _NAME)
    values: list[Json] = []
    rows, dashes = [], Dashes()
    for model in shown:
        cells = []
        for judge in across:
            r = of[model].get(judge)
            if r is None or r.rank is None:
                why = "not judged" if r is None else r.rate.undefined or "no reason given"
                cells.append(dashes.dash(why, f"{quote(model)} under {quote(judge)}"))
                continue
            values.append(
                {
                    "model": short[model], "whole": visible(model), "judge": head[judge], "name": visible(judge),
                    "rank": r.rank, "figure": figure(r.rate, rate=True),
                }
            )  # fmt: skip
            cells.append(Cell(str(r.rank)))
        rows.append((Cell(model), *cells))
    movers = [model for model in shown if len({v["rank"] for v in values if v["model"] == short[model]}) > 1]
    places = [(v["judge"], v["rank"]) for v in values if v["judge"] in (head[across[0]], head[across[-1]])]
    tied = len(set(places)) < len(places)
    title = "Every model's place under every judge"
    columns = (Column("model", "left", name=True), *(Column(judge, name=True) for judge in across))
    hidden = len(judges.names) - len(across)
    notes = (
        f"1: the highest rate of {quote(found.label)}; models with the same rate share a place",
        *dashes.notes(),
        *([f"{count(hidden, 'more judge')} not shown"] if hidden else []),
    )
    return Picture(
        name="ranks",
        section=SECTION,
        title=title,
        caption=_caption(movers, shown, len(order), found.label, tied=tied),
        spec=_spec(values, [head[j] for j in across], [short[m] for m in shown], [short[m] for m in movers], len(of)),
        table=Table(title, columns, tuple(rows), notes, gap),
    )


def _place(of: dict[str, ModelRate], across: Sequence[str]) -> tuple[int, int]:
    """Where a model stands among the rows: by the middle of its places, then by the first."""
    known = [r.rank for j in across if (r := of.get(j)) is not None and r.rank is not None]
    return sorted(known)[len(known) // 2], known[0]


def _spec(values: Sequence[Json], judges: list[str], models: list[str], movers: list[str], places: int) -> Json:
    per_place = 24 if places <= _MOST_MODELS else 12
    wide = pixels(models) + 16  # the room that the names take beside the last judge, and where there is more, the first
    room = [{"expr": f"width > {_TWO_SIDES} ? {wide} : 12"}, {"expr": f"width - {wide}"}]
    step = f"(width - {2 * wide}) / {max(len(judges) - 1, 1)}"
    angle = slanting(judges, step, -38 if len(judges) < 9 else -90)
    x = {
        "field": "judge",
        "type": "nominal",
        "scale": {"type": "point", "domain": judges, "padding": 0, "range": room},
        "axis": {
            "title": None,
            "ticks": False,
            "domain": False,
            "gridOpacity": 0.5,
            "grid": True,
            "labelLimit": 170,
            "labelPadding": 6,
            "labelFontSize": {"expr": f"(width - {wide}) / {len(judges)} < 13 ? 8 : 12"},
            **angle,
        },
    }
    y = {
        "field": "rank",
        "type": "quantitative",
        "scale": {"domain": [places + 0.5, 0.5], "nice": False, "zero": False},
        "axis": {
            "title": "place", "values": list(range(1, places + 1)), "format": "d", "grid": False, "ticks": False,
            "domain": False,
        },
    }  # fmt: skip
    colours = {model: COLOURS[i % (len(COLOURS) - 1)] for i, model in enumerate(movers)}
    colour = {
        "field": "model",
        "type": "nominal",
        "scale": {"domain": models, "range": [colours.get(model, NEUTRAL) for model in models]},
        "legend": None,
    }
    picked = {"condition": {"param": "picked", "value": 1}, "value": 0.12}
    tips = tips_of((("whole", "model"), ("name", "judge"), ("rank", "place"), ("figure", "rate")))
    layers: list[Json] = [
        {
            "mark": {"type": "line", "strokeWidth": 2.2, "interpolate": "monotone", "tooltip": None},
            # the order along the line: that of the judges, not that of their names
            "encoding": {"x": {**x, "sort": None}, "y": y, "color": colour, "opacity": picked},
        },
        {
            "params": [
                {
                    "name": "picked",
                    "select": {"type": "point", "fields": ["model"], "on": "pointerover", "clear": "pointerout"},
                }
            ],
            "mark": {"type": "point", "filled": True, "size": 90},
            "encoding": {"x": x, "y": y, "color": colour, "opacity": picked, "tooltip": tips},
        },
    ]
    left = {"expr": f"width > {_TWO_SIDES} ? 1 : 0"}
    for judge, align, dx, shown in ((judges[0], "right", -9, left), (judges[-1], "left", 9, 1)):
        layers.append(
            {
                "data": {"values": _labels(values, judge)},
                "mark": {
                    "type": "text",
                    "align": align,
                    "dx": dx,
                    "baseline": "middle",
                    "tooltip": None,
                    "opacity": shown,
                },
                "encoding": {"x": x, "y": y, "text": {"field": "model"}},
            }
        )
    return spec(values, layers, max(places * per_place, 90))


def _labels(values: Sequence[Json], judge: str) -> list[Json]:
    """The models' names beside their places under one judge, one below the other where they share a place."""
    found: list[Json] = []
    last = 0
    for v in sorted((v for v in values if v["judge"] == judge), key=lambda v: v["rank"]):
        last = max(v["rank"], last + 1)
        found.append({"model": v["model"], "judge": judge, "rank": last})
    return found


def _caption(movers: Sequence[str], shown: Sequence[str], n: int, label: str, *, tied: bool) -> str:
    some = "" if len(shown) == n else f" of the {count(len(shown))} shown"
    head = f"1 is the highest rate of {quote(label)}"
    if not movers:
        return f"{head}. No model{some} changes places with the judge."
    few = f" ({names(movers)})" if len(movers) <= 3 else ""
    who = f"{count(len(movers))}{some or f' of {count(n)}'} {'model changes' if len(movers) == 1 else 'models change'}"
    text = f"{head}. {who} places with the judge{few}: lines that cross; places say nothing of how far apart rates lie."
    return f"{text} Models with the same rate share a place; their names stand one below the other." if tied else text
