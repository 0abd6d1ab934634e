"""The picture of how far the judges agree: the coefficients against the customary bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from interjudge.agreement.results import Agreement
from interjudge.agreement.results_question import QuestionResult
from interjudge.reports.drawing import (
    NEUTRAL,
    PANEL,
    Json,
    estimate,
    figures_axis,
    interval_layers,
    names_axis,
    rows_height,
    span,
    spec,
)
from interjudge.reports.escape import visible
from interjudge.reports.picture import Picture
from interjudge.reports.reliability import FIRM, TENTATIVE, headline, reach
from interjudge.reports.table import Cell, Column, Dashes, Table
from interjudge.reports.wording import coefficient_name, count, figure

SECTION: Final = "How far the judges agree"

# Landis and Koch (1977), "The measurement of observer agreement for categorical data", Biometrics 33, table on p. 165.
LANDIS_KOCH: Final = (
    (-1.0, 0.0, "poor"),
    (0.0, 0.2, "slight"),
    (0.2, 0.4, "fair"),
    (0.4, 0.6, "moderate"),
    (0.6, 0.8, "substantial"),
    (0.8, 1.0, "almost perfect"),
)
_SHADES: Final = {"domain": [0, 1], "range": [0.06, 0.2]}
_SOURCES: Final = (
    "shaded: the bands of Landis and Koch (1977), made for kappa; dashed: Krippendorff's limits for alpha (2004, "
    "p. 241), from .667 tentative conclusions, from .800 firm ones; all of them custom, none derived; they do not "
    "speak of raw agreement"
)


def reliability(question: QuestionResult) -> Picture | None:
    """The coefficients of the panel with their intervals, against the customary bands."""
    a = question.agreement
    found = a.coefficients
    if not found or len(a.judges) < 2:
        return None
    labels = [coefficient_name(c).removesuffix(" of the pairs") for c in found]  # on a telephone too
    values = [
        {"name": label, "kind": "raw" if c.name == "percent_agreement" else "corrected", "n": c.n, **estimate(c)}
        for label, c in zip(labels, found, strict=True)
    ]
    domain = span(found, 0.0, 1.0)
    x = figures_axis("coefficient", domain)
    y = {"y": names_axis("name", list(dict.fromkeys(labels)))}
    shape = {
        "field": "kind",
        "type": "nominal",
        "scale": {"domain": ["corrected", "raw"], "range": ["circle", "diamond"]},
        "legend": None,
    }
    marks = {"color": {"value": PANEL}, "shape": shape}
    tooltip = (("name", "coefficient"), ("figure", "value"), ("n", "outputs"))
    dashes = Dashes()
    rows = tuple((Cell(label), dashes.cell(c, label), Cell(count(c.n))) for label, c in zip(labels, found, strict=True))
    columns = (Column("coefficient", "left"), Column(f"value [{a.confidence * 100:g} %]"), Column("outputs", rank=1))
    title = "How reliable the panel is"
    return Picture(
        name="reliability",
        section=SECTION,
        title=title,
        caption=_reliability_caption(a),
        spec=spec(
            values, [*_bands(domain, x), *interval_layers(x, y, marks, tooltip, size=90)], rows_height(len(labels), 26)
        ),
        table=Table(title, columns, rows, (*dashes.notes(), _SOURCES)),
    )


def _bands(domain: Sequence[float], x: Json) -> list[Json]:
    """Landis and Koch's bands as shades, with their names above where there is room; Krippendorff's limits as lines."""
    low, high = domain
    bands = [
        {"low": max(start, low), "high": min(end, high), "band": name, "shade": i % 2}
        for i, (start, end, name) in enumerate(LANDIS_KOCH)
        if end > low
    ]
    limits = [{"value": TENTATIVE, "limit": ".667"}, {"value": FIRM, "limit": ".800"}]
    text = {"type": "text", "fontSize": 10, "baseline": "bottom"}
    return [
        {
            "data": {"values": bands},
            "mark": {"type": "rect", "color": NEUTRAL, "tooltip": None},
            "encoding": {
                "x": {**x, "field": "low"},
                "x2": {"field": "high"},
                "opacity": {"field": "shade", "type": "ordinal", "scale": _SHADES, "legend": None},
            },
        },
        {
            "data": {"values": bands},
            "transform": [{"calculate": "(datum.low + datum.high) / 2", "as": "middle"}],
            "mark": {**text, "opacity": {"expr": "width > 430 ? 1 : 0"}},
            "encoding": {"x": {**x, "field": "middle"}, "y": {"value": -5}, "text": {"field": "band"}},
        },
        {
            "data": {"values": limits},
            "mark": {"type": "rule", "color": NEUTRAL, "strokeDash": [4, 3], "strokeWidth": 1.5},
            "encoding": {"x": x},
        },
        {
            "data": {"values": limits},
            "mark": {
                **text,
                "opacity": {"expr": "width > 430 ? 0 : 1"},
                "align": {"expr": "datum.value < 0.7 ? 'right' : 'left'"},
            },
            "encoding": {"x": x, "y": {"value": -5}, "text": {"field": "limit"}},
        },
    ]  # fmt: skip


def _reliability_caption(a: Agreement) -> str:
    raw, alpha = headline(a, a.question.level)
    said = []
    if alpha is not None and alpha.value is not None:
        place = "at or above .800" if alpha.value >= FIRM else "below .667"
        if TENTATIVE <= alpha.value < FIRM:
            place = "between .667 and .800"
        crossed = reach(alpha)
        more = f", and its interval reaches {crossed}" if crossed else ""
        said.append(f"Krippendorff's alpha is {figure(alpha)}: {place}{more}")
    elif alpha is not None:
        said.append(f"Krippendorff's alpha is undefined ({visible(alpha.undefined or 'no reason given', 120)})")
    if raw is not None and raw.value is not None:
        said.append(f"raw agreement, which chance alone lifts, is {figure(raw)}")
    n = sum(c.value is None for c in a.coefficients)
    if n:
        said.append(f"{count(n, 'coefficient')} without a value {'has' if n == 1 else 'have'} a dash instead of a dot")
    text = f"{'; '.join(said)}." if said else "No coefficient has a value."
    return f"{text} Dashed: the customary limits for alpha, .667 and .800; shaded: the bands of Landis and Koch."
