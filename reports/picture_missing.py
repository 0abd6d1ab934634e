"""The picture of missing verdicts, by judge and model."""

from __future__ import annotations

from typing import Final

from interjudge.agreement.results_question import QuestionResult
from interjudge.agreement.results_service import JudgeMissing, MissingGroup
from interjudge.reports.drawing import (
    MOST_ROWS,
    Json,
    Judges,
    estimate,
    figures_axis,
    interval_layers,
    names_axis,
    rows_height,
    short_names,
    slanting,
    spec,
    tight,
    tips_of,
)
from interjudge.reports.escape import visible
from interjudge.reports.picture import Picture
from interjudge.reports.table import Cell, Column, Dashes, Table, first
from interjudge.reports.wording import count, percent, quote

SECTION: Final = "Missing verdicts, repeats, cost"
_TITLE: Final = "Missing verdicts"
_MOST_ACROSS: Final = 14
_NO_MODEL: Final = "(no model)"


def missing(question: QuestionResult) -> Picture | None:
    """Which share of the verdicts a judge was asked for is missing, on each model where there are several."""
    found = question.service
    if found is None:
        return None
    gone = [j for j in found.missing if j.missing]
    if not gone:
        return None
    gone.sort(key=lambda j: -j.missing)
    groups = {g.group for j in gone for g in j.by_model}
    made = _by_model(question, gone) if len(groups) > 1 else _by_judge(question, gone)
    values, chart, columns, rows, dashes, gap = made
    return Picture(
        name="missing",
        section=SECTION,
        title=_TITLE,
        caption=_caption(gone, len(found.missing)),
        spec=spec(values, *chart),
        table=Table(_TITLE, columns, rows, (*dashes.notes(), *_unseen(len(groups), len(columns) - 1)), gap),
    )


def _unseen(models: int, shown: int) -> list[str]:
    hidden = models - shown if models > 1 else 0
    return [f"{count(hidden, 'more model')} not shown: those with the largest shares are"] if hidden > 0 else []


_Made = tuple[
    list[Json],
    tuple[list[Json], int],
    tuple[Column, ...],
    tuple[tuple[Cell, ...], ...],
    Dashes,
    tuple[int, int] | None,
]


def _by_judge(question: QuestionResult, gone: list[JudgeMissing]) -> _Made:
    judges = Judges.of(question.agreement)
    shown, gap = first(gone, MOST_ROWS)
    dashes = Dashes()
    values = [
        {"judge": judges.short[j.judge], "name": visible(j.judge), "n": j.missing, **estimate(j.share, rate=True)}
        for j in shown
    ]
    rows = tuple((Cell(j.judge), Cell(count(j.missing)), dashes.cell(j.share, j.judge, rate=True)) for j in shown)
    colour = judges.colour([name for name in judges.names if name in {j.judge for j in shown}])
    x = figures_axis("missing, per cent", tight(j.share for j in shown), rate=True)
    y = {"y": names_axis("judge", [judges.short[j.judge] for j in shown])}
    layers = interval_layers(x, y, colour, (("name", "judge"), ("figure", "missing"), ("n", "verdicts")))
    columns = (Column("judge", "left", name=True), Column("missing"), Column("share"))
    return values, (layers, rows_height(len(shown))), columns, rows, dashes, gap


def _by_model(question: QuestionResult, gone: list[JudgeMissing]) -> _Made:
    """A field of judges and models; the longer side goes down."""
    judges = Judges.of(question.agreement)
    cells = {(j.judge, g.group): g for j in gone for g in j.by_model}
    models = sorted({group for _, group in cells}, key=lambda m: (m is None, m or ""))
    most = {m: max(g.share.value or 0 for (_, group), g in cells.items() if group == m) for m in models}
    down = len(models) > len(gone) and len(models) > 6
    models = sorted(models, key=lambda m: -most[m])[: MOST_ROWS if down else _MOST_ACROSS]
    listed = [j for j in gone if j.by_model][: _MOST_ACROSS if down else MOST_ROWS]
    whole = {m: _NO_MODEL if m is None else m for m in models}
    short = short_names(whole.values(), 18)
    top = max((g.share.value or 0 for g in cells.values()), default=0) or 1
    values: list[Json] = []
    dashes = Dashes()
    for j in listed:
        for m in models:
            g = cells.get((j.judge, m))
            if g is not None and g.share.value is not None:
                values.append(
                    {
                        "judge": judges.short[j.judge], "name": visible(j.judge), "model": short[whole[m]],
                        "whole": visible(whole[m]), "share": g.share.value, "strong": g.share.value > 0.75 * top,
                        "shown": percent(g.share.value).removesuffix(" %"), "statuses": _statuses(g),
                        "figure": estimate(g.share, rate=True)["figure"], "n": f"{g.missing} of {g.n}",
                    }
                )  # fmt: skip
    rows = tuple(
        (
            Cell(j.judge),
            *(
                dashes.cell(cells[j.judge, m].share, f"{quote(j.judge)} on {quote(whole[m])}", rate=True)
                if (j.judge, m) in cells
                else dashes.dash("not asked", f"{quote(j.judge)} on {quote(whole[m])}")
                for m in models
            ),
        )
        for j in listed
    )
    sides = ("model", [short[whole[m]] for m in models]), ("judge", [judges.short[j.judge] for j in listed])
    (row, row_names), (column, column_names) = sides if down else sides[::-1]
    hidden = len(gone) - len(listed)
    columns = (Column("judge", "left", name=True), *(Column(whole[m], name=True) for m in models))
    chart = _field(row, row_names, column, column_names, top)
    return values, chart, columns, rows, dashes, (len(rows), hidden) if hidden else None


def _field(row: str, rows: list[str], column: str, columns: list[str], top: float) -> tuple[list[Json], int]:
    x = {
        "field": column,
        "type": "nominal",
        "scale": {"domain": columns},
        "axis": {
            "title": None, "labelLimit": 120, "labelPadding": 5, "ticks": False, "domain": False,
            **slanting(columns, f"width / {len(columns)}", -38),
        },
    }  # fmt: skip
    y = names_axis(row, rows)
    colour = {
        "field": "share",
        "type": "quantitative",
        "scale": {"domain": [0, top], "range": ["#EDEAE4", "#8A3B00"], "interpolate": "lab"},
        "legend": None,
    }
    tips = tips_of(
        (("name", "judge"), ("whole", "model"), ("figure", "missing"), ("n", "verdicts"), ("statuses", "because"))
    )
    size = {"expr": f"width / {len(columns)} > 30 ? 11 : width / {len(columns)} > 20 ? 8 : 0"}
    layers: list[Json] = [
        {"mark": {"type": "rect"}, "encoding": {"x": x, "y": y, "color": colour, "tooltip": tips}},
        {
            "mark": {"type": "text", "fontSize": size},
            "encoding": {
                "x": x,
                "y": y,
                "text": {"field": "shown"},
                # on the cell's own colour, which is the same on every page
                "color": {"condition": {"test": "datum.strong", "value": "#FFFFFF"}, "value": "#000000"},
                "tooltip": tips,
            },
        },
    ]
    return layers, rows_height(len(rows), 26 if len(rows) <= 12 else 20)


def _statuses(g: MissingGroup) -> str:
    return ", ".join(f"{count(n)} {status}" for status, n in g.by_status.items())


def _caption(gone: list[JudgeMissing], n: int) -> str:
    worst = max(
        ((g.share.value, g.group, j) for j in gone for g in j.by_model if g.share.value is not None),
        key=lambda entry: entry[0],
        default=None,
    )
    top = gone[0]
    said = f"Most are missing from {quote(top.judge)}: {count(top.missing)} of {count(top.n)}"
    if top.share.value is not None:
        said += f" ({percent(top.share.value)})"
    if worst is not None and worst[1] is not None and len({g.group for g in worst[2].by_model}) > 1:
        said += f"; the largest share is that of {quote(worst[2].judge)} on {quote(worst[1])}, {percent(worst[0])}"
    rest = n - len(gone)
    if rest:
        said += f". {count(rest, 'more judge')} {'misses' if rest == 1 else 'miss'} none"
    return f"{said}."
