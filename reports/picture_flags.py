"""The picture of whether the probabilities of being wrong held up against the reference."""

from __future__ import annotations

from typing import Final

from interjudge.agreement.results import Calibration, CalibrationBin, Estimate
from interjudge.agreement.results_question import QuestionResult
from interjudge.reports.drawing import NEUTRAL, PANEL, Json, spec, tips_of
from interjudge.reports.picture import Picture
from interjudge.reports.table import Cell, Column, Table
from interjudge.reports.wording import count, figure, percent

SECTION: Final = "Verdicts not to trust"
_TITLE: Final = "Did the probabilities of being wrong hold?"


def calibration(question: QuestionResult) -> Picture | None:
    """Predicted against observed share of wrong verdicts, in ranges of p_wrong."""
    found = question.flags.calibration if question.flags is not None else None
    if found is None or not found.bins:
        return None
    values = [
        {
            "predicted": b.predicted, "observed": b.observed, "low": b.ci_low, "high": b.ci_high, "n": b.n,
            "range": _range(b), "said": percent(b.predicted), "figure": _observed(b),
        }
        for b in found.bins
    ]  # fmt: skip
    columns = (
        Column("p_wrong", "left"), Column("verdicts"), Column("predicted wrong"), Column("wrong by the reference")
    )  # fmt: skip
    rows = tuple(
        (Cell(_range(b)), Cell(count(b.n)), Cell(percent(b.predicted)), Cell(_observed(b), percent(b.observed)))
        for b in found.bins
    )
    notes = (
        "ranges of p_wrong without a verdict are left out; intervals: the verdicts on one output count as one draw",
    )
    return Picture(
        name="calibration",
        section=SECTION,
        title=_TITLE,
        caption=_caption(found),
        spec=_spec(values),
        table=Table(_TITLE, columns, rows, notes),
    )


def _range(b: CalibrationBin) -> str:
    return f"{b.low:.1f} to {b.high:.1f}"


def _observed(b: CalibrationBin) -> str:
    return figure(Estimate(value=b.observed, ci_low=b.ci_low, ci_high=b.ci_high, n=b.n), rate=True)


def _spec(values: list[Json]) -> Json:
    whole = {"domain": [0, 1], "nice": False}
    axis = {"labelExpr": "format(100 * datum.value, '.3~g')", "tickCount": 5, "gridOpacity": 0.35}
    x = {
        "field": "predicted",
        "type": "quantitative",
        "scale": whole,
        "axis": {"title": "predicted wrong, per cent", **axis},
    }
    y = {
        "field": "observed",
        "type": "quantitative",
        "scale": whole,
        "axis": {"title": "wrong by the reference, per cent", **axis},
    }
    tips = tips_of((("range", "p_wrong"), ("n", "verdicts"), ("said", "predicted"), ("figure", "by the reference")))
    size = {"field": "n", "type": "quantitative", "scale": {"type": "sqrt", "range": [40, 420]}, "legend": None}
    return spec(
        values,
        [
            {
                "data": {"values": [{"predicted": 0, "observed": 0}, {"predicted": 1, "observed": 1}]},
                "mark": {"type": "line", "color": NEUTRAL, "strokeDash": [4, 3], "tooltip": None},
                "encoding": {"x": x, "y": y},
            },
            {
                "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
                "mark": {"type": "rule", "color": PANEL, "strokeWidth": 1.8},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "tooltip": tips},
            },
            {
                "mark": {"type": "point", "filled": True, "color": PANEL, "opacity": 0.85},
                "encoding": {"x": x, "y": y, "size": size, "tooltip": tips},
            },
        ],
        280,
    )


def _caption(found: Calibration) -> str:
    """Which way the dots lie off the line, by the verdicts in them."""
    above = sum(b.n for b in found.bins if b.ci_low is not None and b.ci_low > b.predicted)
    below = sum(b.n for b in found.bins if b.ci_high is not None and b.ci_high < b.predicted)
    head = (
        f"On the dashed line as many are wrong as was predicted: over all {percent(found.mean_p_wrong)} were, and "
        f"{percent(found.share_wrong)} are"
    )
    parts = []
    if above:
        parts.append(f"{percent(above / found.n)} of the verdicts lie in dots clearly above it (wrong more often)")
    if below:
        whose = "" if above else " of the verdicts lie"
        parts.append(f"{percent(below / found.n)}{whose} in dots clearly below it (wrong less often)")
    return f"{head}; {', '.join(parts) if parts else 'no dot lies clearly off it'}. Larger dots hold more verdicts."
