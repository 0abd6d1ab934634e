"""The picture of every pair of judges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from interjudge.agreement.results import Agreement, Pair
from interjudge.agreement.results_question import QuestionResult
from interjudge.reports.drawing import Json, names_axis, rows_height, short_names, spec, tips_of
from interjudge.reports.escape import visible
from interjudge.reports.picture import Picture
from interjudge.reports.table import Cell, Column, Dashes, Table
from interjudge.reports.wording import count, figure, names, quote, value

SECTION: Final = "How far the judges agree"

# From this many judges on a figure no longer fits into its cell.
_NUMBERED: Final = 20
_MOST_PAIRED: Final = 40
_NAME: Final = 20  # characters beside the number
# Chance (or, for raw agreement, none) is pale; above it blue, with most steps where panels lie; below it another hue.
_STOPS: Final = {-1.0: "#8A3B00", 0.0: "#EDEAE4", 0.4: "#B5CBDD", 0.7: "#5F97C1", 0.9: "#1F669B", 1.0: "#00304F"}
_MEASURES: Final = (("kappa", "Cohen's kappa"), ("agreement", "Raw agreement"), ("ac1", "Gwet's AC1"))


def pairs(question: QuestionResult) -> Picture | None:
    """Every pair of judges, those that err together side by side; three measures to choose from."""
    a = question.agreement
    order, grouped = _by_family(question)
    if len(a.pairs) < 2 or len(order) > _MOST_PAIRED:
        return None
    number_of = {name: str(i + 1) for i, name in enumerate(order)}
    short = short_names(order, _NAME)
    label_of = {name: f"{short[name]} · {number_of[name]}" for name in order}
    values: list[Json] = []
    for p in a.pairs:
        for first, second in ((p.a, p.b), (p.b, p.a)):
            values.append(
                {
                    "a": label_of[first],
                    "b": number_of[second],
                    "between": f"{visible(first)} and {visible(second)}",
                    "agreement": p.agreement.value,
                    "kappa": p.cohen_kappa.value,
                    "ac1": p.gwet_ac1.value,
                    **{
                        f"{key}_figure": figure(e)
                        if e.value is not None
                        else f"undefined: {visible(e.undefined or '', 80)}"
                        for key, e in (("agreement", p.agreement), ("kappa", p.cohen_kappa), ("ac1", p.gwet_ac1))
                    },
                }
            )
    title = "Every pair of judges"
    return Picture(
        name="pairs",
        section=SECTION,
        title=title,
        caption=_pairs_caption(a.pairs, grouped),
        spec=_pairs_spec(values, [label_of[n] for n in order], [number_of[n] for n in order], grouped, order),
        table=_pairs_table(title, a, order),
    )


def _by_family(question: QuestionResult) -> tuple[list[str], list[list[str]]]:
    """The judges family by family, and the families of more than one (none where all judges are one)."""
    found: Sequence[Sequence[str]] = ()
    if question.agreement.worth is not None:
        found = [f.judges for f in question.agreement.worth.families]
    elif question.trust is not None:
        found = question.trust.families
    known = [name for family in found for name in family]
    paired = {name for p in question.agreement.pairs for name in (p.a, p.b)}
    order = [name for name in known if name in paired]
    order += [j.judge for j in question.agreement.judges if j.judge in paired and j.judge not in set(known)]
    families = [[name for name in family if name in paired] for family in found]
    return order, [family for family in families if 1 < len(family) < len(order)]


def _pairs_spec(
    values: Sequence[Json],
    rows: Sequence[str],
    columns: Sequence[str],
    grouped: Sequence[Sequence[str]],
    order: list[str],
) -> Json:
    per_row = 30 if len(rows) <= 6 else 24 if len(rows) <= _NUMBERED else 16
    y = names_axis("a", rows)
    x = {
        "field": "b",
        "type": "nominal",
        "scale": {"domain": list(columns)},
        "axis": {
            "title": None,
            "labelAngle": 0,
            "labelPadding": 4,
            "ticks": False,
            "domain": False,
            "labelOverlap": True,
            "orient": "top",
        },
    }
    colour = {
        "field": "chosen",
        "type": "quantitative",
        # The middle of the scale is chance (or, for raw agreement, none); below it another hue.
        "scale": {"domain": list(_STOPS), "range": list(_STOPS.values()), "interpolate": "lab", "clamp": True},
        "legend": {
            "title": None,
            "orient": "bottom",
            "gradientLength": 140,
            "values": [-1, 0, 0.5, 1],
            "format": ".1~f",
        },
    }
    tips = tips_of(
        (
            ("between", "judges"),
            ("agreement_figure", "raw agreement"),
            ("kappa_figure", "Cohen's kappa"),
            ("ac1_figure", "Gwet's AC1"),
        )
    )
    chosen = [
        {"calculate": "datum[measure]", "as": "chosen"},
        {
            "calculate": "isValid(datum.chosen) ? replace(format(datum.chosen, '.2f'), '0.', '.') : '—'",
            "as": "shown",
        },
    ]
    layers: list[Json] = [
        {
            "transform": [*chosen, {"filter": "isValid(datum.chosen)"}],
            "mark": {"type": "rect"},
            "encoding": {"x": x, "y": y, "color": colour, "tooltip": tips},
        },
        {
            "transform": [*chosen, {"filter": "!isValid(datum.chosen)"}],
            "mark": {"type": "text"},
            "encoding": {"x": x, "y": y, "text": {"value": "—"}, "tooltip": tips},
        },
    ]
    if len(rows) <= _NUMBERED:
        layers.append(
            {
                "transform": [*chosen, {"filter": "isValid(datum.chosen)"}],
                "mark": {
                    "type": "text",
                    "fontSize": {"expr": f"width / {len(rows)} > 30 ? 11 : width / {len(rows)} > 19 ? 8 : 0"},
                },
                "encoding": {
                    "x": x,
                    "y": y,
                    "text": {"field": "shown", "type": "nominal"},
                    # on the cell's own colour, which is the same on every page
                    "color": {
                        "condition": {"test": "datum.chosen > 0.81 || datum.chosen < -0.76", "value": "#FFFFFF"},
                        "value": "#000000",
                    },
                    "tooltip": tips,
                },
            }
        )
    if grouped:
        layers.append(_frames(grouped, dict(zip(order, rows, strict=True)), dict(zip(order, columns, strict=True))))
    select: dict[str, Any] = {
        "name": "measure",
        "value": _MEASURES[0][0],
        "bind": {
            "input": "select",
            "options": [key for key, _ in _MEASURES],
            "labels": [words for _, words in _MEASURES],
            "name": "Measure: ",
        },
    }
    return spec(values, layers, rows_height(len(rows), per_row), params=[select])


def _frames(grouped: Sequence[Sequence[str]], row_of: dict[str, str], column_of: dict[str, str]) -> Json:
    """A frame around the judges of one family."""
    ends = [
        {"top": row_of[f[0]], "bottom": row_of[f[-1]], "left": column_of[f[0]], "right": column_of[f[-1]]}
        for f in grouped
    ]
    return {
        "data": {"values": ends},
        "mark": {"type": "rect", "fillOpacity": 0, "stroke": "#E69F00", "strokeWidth": 2.5, "tooltip": None},
        "encoding": {
            "x": {"field": "left", "type": "nominal", "bandPosition": 0},
            "x2": {"field": "right", "bandPosition": 1},
            "y": {"field": "top", "type": "nominal", "bandPosition": 0},
            "y2": {"field": "bottom", "bandPosition": 1},
        },
    }


def _pairs_caption(found: Sequence[Pair], grouped: Sequence[Sequence[str]]) -> str:
    known = sorted((p for p in found if p.cohen_kappa.value is not None), key=lambda p: p.cohen_kappa.value or 0)
    said = []
    if known:
        least, most = known[0], known[-1]
        said.append(
            f"By Cohen's kappa, shown first, {quote(most.a)} and {quote(most.b)} agree most "
            f"({value(most.cohen_kappa)}), "
            f"{quote(least.a)} and {quote(least.b)} least ({value(least.cohen_kappa)})"
        )
    else:
        said.append("No pair has a value of Cohen's kappa")
    if n := len(found) - len(known):
        said.append(f"{count(n, 'pair')} {'has' if n == 1 else 'have'} none and {'shows' if n == 1 else 'show'} a dash")
    if grouped:
        told = "; ".join(names(family, 4) for family in grouped)
        said.append(f"framed: judges that err together{f' ({told})' if len(grouped) < 3 else ''}")
    return f"{'; '.join(said)}."


def _pairs_table(title: str, a: Agreement, order: Sequence[str]) -> Table:
    place = {name: i for i, name in enumerate(order)}
    found = sorted(a.pairs, key=lambda p: sorted((place[p.a], place[p.b])))
    dashes = Dashes()
    rows = tuple(
        (
            Cell(p.a),
            Cell(p.b),
            *(dashes.cell(e, f"{quote(p.a)} with {quote(p.b)}") for e in (p.agreement, p.cohen_kappa, p.gwet_ac1)),
        )
        for p in found
    )
    share = f"[{a.confidence * 100:g} %]"
    columns = (
        Column("judge", "left", name=True),
        Column("and judge", "left", name=True),
        Column(f"raw agreement {share}"),
        Column(f"Cohen's kappa {share}"),
        Column(f"Gwet's AC1 {share}", rank=1),
    )
    return Table(title, columns, rows, dashes.notes())
