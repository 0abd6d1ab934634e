"""What all pictures share: colours, names that fit, and the parts of a Vega-Lite chart.

A chart is one view or one layer of views, because only these take the width of their container. Names from the data
are values of fields, never names of fields and never part of an expression: expressions speak of our own fields
alone. What stands for the whole panel is `PANEL`, lines that only guide the eye are `NEUTRAL`; both are seen on a light
and on a dark page. Texts have the colour that the page's theme gives (``config.text.color``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from interjudge.agreement.results import Agreement, Estimate
from interjudge.reports.escape import shorten, visible
from interjudge.reports.wording import DASH, figure

Json = dict[str, Any]

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"  # a name; nothing is fetched

# Okabe and Ito (2008), "Color Universal Design", without black and yellow, which one of the two backgrounds swallows;
# grey instead. The shape changes too: 42 judges differ in one or the other.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
SHAPES: Final = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
PANEL: Final = "#8A63D2"
NEUTRAL: Final = "#808080"

MOST_JUDGES: Final = 14  # with their colours in one picture
MOST_ROWS: Final = 40
PNG_WIDTH: Final = 760
_CONTAINER: Final = f"(isFinite(containerSize()[0]) ? containerSize()[0] : {PNG_WIDTH})"
_NAME: Final = 24  # characters of a name beside an axis: on a telephone half of the width
_ROW: Final = 22  # pixels


# What every object of JavaScript has: Vega-Lite keeps names as keys of objects, and takes these to be there already.
_OBJECT: Final = frozenset(
    (
        "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "__proto__", "constructor",
        "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf",
    )
)  # fmt: skip


def short_names(names: Iterable[str], width: int = _NAME) -> dict[str, str]:
    """Each name shortened in the middle to `width` characters at most, and still different from the others."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        if name in found:
            continue
        short, n = shorten(name, width) or "(empty)", 1
        if short in _OBJECT:
            short += " "
        while short in taken:
            n += 1
            tail = f" #{n}"
            short = shorten(name, width - len(tail)) + tail
        found[name] = short
        taken.add(short)
    return found


def pixels(names: Iterable[str]) -> int:
    """About how wide the longest of these is."""
    return int(6.2 * max((len(name) for name in names), default=0))


@dataclass(frozen=True)
class Judges:
    """The judges of a question, each with the colour, the shape and the short name it has in every picture."""

    names: tuple[str, ...]
    short: Mapping[str, str]
    ok: Mapping[str, int]

    @classmethod
    def of(cls, a: Agreement) -> Judges:
        names = tuple(j.judge for j in a.judges)
        return cls(names, short_names(names), {j.judge: j.n_ok for j in a.judges})

    def chosen(self, among: Iterable[str], most: int = MOST_JUDGES) -> list[str]:
        """At most `most` of these, in the order of the panel: the first ones with about as many verdicts as any."""
        there = set(among)
        known = [name for name in self.names if name in there]
        enough = max((self.ok[name] for name in known), default=0) / 2
        kept = set(sorted(known, key=lambda name: self.ok[name] < enough)[:most])
        return [name for name in known if name in kept]

    def colour(self, shown: Sequence[str], *, legend: bool = False, beside: Iterable[str] = ()) -> Json:
        """The channels `color` and `shape` by the field ``judge``; `beside`: the names at the left of the legend."""
        place = {name: i for i, name in enumerate(self.names)}
        domain = [self.short[name] for name in shown]
        colours = [COLOURS[place[name] % len(COLOURS)] for name in shown]
        shapes = [SHAPES[place[name] % len(SHAPES)] for name in shown]
        key: Json | None = None
        if legend:
            key = {
                "title": None, "orient": "top", "columns": legend_columns(domain, beside), "labelLimit": 200,
                "symbolSize": 70, "symbolOpacity": 1, "columnPadding": 10,
            }  # fmt: skip
        return {
            "color": {
                "field": "judge",
                "type": "nominal",
                "scale": {"domain": domain, "range": colours},
                "legend": key,
            },
            "shape": {"field": "judge", "type": "nominal", "scale": {"domain": domain, "range": shapes}, "legend": key},
        }


def legend_columns(entries: Iterable[str], beside: Iterable[str], symbol: int = 10) -> Json:
    """How many entries of a legend, with symbols so many pixels wide, fit side by side to the right of `beside`."""
    # Not the signal `width`: it changes while the chart is laid out, and the legend would be cut.
    return {"expr": f"max(1, floor(({_CONTAINER} - {pixels(beside) + 14}) / {pixels(entries) + symbol + 24}))"}


def spec(values: Sequence[Json], layers: Sequence[Json], height: int, **more: Any) -> Json:
    """A chart over `values` that is as wide as its container."""
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": height,
        "data": {"values": list(values)},
        **more,
        "layer": list(layers),
    }


def rows_height(n: int, per_row: int = _ROW) -> int:
    return max(n, 1) * per_row


def estimate(e: Estimate, *, rate: bool = False) -> Json:
    """The fields of an estimate: value, ends of the interval, and how it is written."""
    text = figure(e, rate=rate) if e.value is not None else f"{DASH} {visible(e.undefined or 'no reason given', 120)}"
    return {"value": e.value, "low": e.ci_low, "high": e.ci_high, "figure": text}


def names_axis(field: str, domain: Sequence[str], **more: Any) -> Json:
    """The channel of names from top to bottom; the lines between rows are what a tall picture needs to be read."""
    axis = {
        "title": None,
        "labelLimit": 190,
        "labelPadding": 9,
        "ticks": False,
        "domain": False,
        "grid": False,
    } | more.pop("axis", {})
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": list(domain)} | more.pop("scale", {}),
        "axis": axis,
        **more,
    }


def slanting(names: Sequence[str], step: str, angle: int) -> Json:
    """Of an axis of names from left to right: upright where the longest fits into `step` pixels, else at `angle`."""
    fits = f"{step} > {pixels(names) + 14}"
    return {
        "labelAngle": {"expr": f"{fits} ? 0 : {angle}"},
        "labelAlign": {"expr": f"{fits} ? 'center' : 'right'"},
        "labelBaseline": {"expr": f"{fits} ? 'top' : 'middle'"},
    }


def figures_axis(title: str, domain: Sequence[float], *, rate: bool = False, **more: Any) -> Json:
    """The channel of a figure from left to right."""
    form = {"labelExpr": "format(100 * datum.value, '.3~g')"} if rate else {"format": ".3~g"}
    axis = {
        "title": title,
        "tickCount": {"expr": "width > 420 ? 10 : width > 190 ? 5 : 3"},
        "grid": True,
        "gridOpacity": 0.35,
        **form,
    }
    return {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": list(domain), "nice": False, "zero": False},
        "axis": axis | more,
    }


def interval_layers(x: Json, y: Json, marks: Json, tooltip: Sequence[tuple[str, str]], **point: Any) -> list[Json]:
    """The interval as a line, the value as a dot; where there is no value, a dash at the left edge.

    `y`: the channels of the row; `marks`: those of colour and shape; `tooltip`: fields and what they are called.
    """
    tips = tips_of(tooltip)
    bare = {channel: given for channel, given in marks.items() if channel == "color"}
    return [
        {
            "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
            "mark": {"type": "rule", "strokeWidth": 1.8, "opacity": 0.9, "clip": True},
            "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, **y, **bare, "tooltip": tips},
        },
        {
            "transform": [{"filter": "isValid(datum.value)"}],
            "mark": {"type": "point", "filled": True, "opacity": 1, "size": 70, **point},
            "encoding": {"x": x, **y, **marks, "tooltip": tips},
        },
        {
            "transform": [{"filter": "!isValid(datum.value)"}],
            "mark": {"type": "text", "text": DASH, "align": "left", "dx": 3},
            "encoding": {"x": {"value": 0}, **y, "tooltip": tips},
        },
    ]


def vertical(at: float, x: Json, **mark: Any) -> Json:
    """A line from top to bottom at `at` on the scale of the channel `x`."""
    return {
        "data": {"values": [{"value": at}]},
        "mark": {"type": "rule", "color": NEUTRAL, "strokeWidth": 1, **mark},
        "encoding": {"x": x},
    }


def shapes(field: str, values: Sequence[str], beside: Iterable[str]) -> Json:
    """The channel `shape` for two kinds of figures of one judge, with a legend of its own; `beside`: as in `colour`."""
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": list(values), "range": ["circle", "diamond"]},
        "legend": {
            "title": None, "orient": "top", "symbolFillColor": NEUTRAL, "symbolStrokeColor": NEUTRAL,
            "symbolOpacity": 1, "columns": legend_columns(values, beside),
        },
    }  # fmt: skip


def tips_of(tooltip: Sequence[tuple[str, str]]) -> list[Json]:
    return [{"field": field, "type": "nominal", "title": title} for field, title in tooltip]


def tight(estimates: Iterable[Estimate]) -> list[float]:
    """The tenths between 0 and 1 that hold every value and interval: a dot, unlike a bar, needs no 0."""
    ends = [v for e in estimates for v in (e.value, e.ci_low, e.ci_high) if v is not None]
    if not ends:
        return [0, 1]
    return [max(0.0, int(min(ends) * 10) / 10), min(1.0, (int(max(ends) * 10) + 1) / 10)]


def span(estimates: Iterable[Estimate], low: float, high: float, *, step: float = 0.1) -> list[float]:
    """[low, high], widened in steps to hold every value and interval."""
    ends = [v for e in estimates for v in (e.value, e.ci_low, e.ci_high) if v is not None]
    while ends and min(ends) < low - 1e-9:
        low = round(low - step, 6)
    while ends and max(ends) > high + 1e-9:
        high = round(high + step, 6)
    return [low, high]
