"""What changed between two reports, in tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from interjudge.agreement.results import Coefficient
from interjudge.agreement.results_compare import Change, JudgeChange, QuestionChange
from interjudge.reports.table import Cell, Column, Dashes, Table, first
from interjudge.reports.wording import coefficient_name, count, figure, names, number, points, quote, value

ROWS: Final = 40
MEASURES: Final = (
    ("rate", "rate", True),
    ("sensitivity", "sensitivity", True),
    ("specificity", "specificity", True),
    ("youden_j", "Youden's J", False),
    ("cohen_kappa", "Cohen's kappa", False),
)


def signed(x: float) -> str:
    """A difference of coefficients: ``+.031``, ``-.004``, ``.000``."""
    text = number(x)
    return text if text.startswith(("-", "<", ">")) or text == ".000" else f"+{text}"


def tables(q: QuestionChange, limit: int = ROWS) -> tuple[Table, ...]:
    """Sizes, coefficients, judges, rates of the models, conclusions that changed."""
    found = (
        _sizes(q),
        _coefficient_table(q),
        _judge_table(q, limit),
        *_measure_tables(q, limit),
        _rate_table(q, limit),
    )
    return tuple(t.without_empty() for t in (*found, _conclusion_table(q, limit)) if t.rows)


def _sizes(q: QuestionChange) -> Table:
    pairs = (
        ("outputs", q.n_items),
        ("verdicts", q.n_verdicts),
        ("reference labels", q.n_labelled),
        ("flagged verdicts", q.n_flagged),
    )
    rows = tuple((Cell(name), Cell(_count(old)), Cell(_count(new))) for name, (old, new) in pairs if old or new)
    return Table("What the reports rest on", (Column("", "left"), Column("old"), Column("new")), rows)


def _count(n: int | None) -> str:
    return "" if n is None else count(n)


def _share(q: QuestionChange) -> str:
    return "" if q.confidence is None else f" [{q.confidence * 100:g} %]"


def _changed(change: Change | None, dashes: Dashes, where: str, *, rate: bool) -> tuple[Cell, Cell, Cell]:
    if change is None:
        return Cell(""), Cell(""), Cell("")
    e = change.difference
    if e.value is None:
        last = dashes.dash(e.undefined or "no reason given", where)
    else:
        text = points(e.value) if rate else signed(e.value)
        span = ""
        if e.ci_low is not None and e.ci_high is not None:
            write = points if rate else signed
            span = f" [{write(e.ci_low)}, {write(e.ci_high)}]"
        last = Cell(f"{text}{span}", text, "warn" if change.clear else "")
    return Cell(value(change.old, rate=rate)), Cell(figure(change.new, rate=rate), value(change.new, rate=rate)), last


def _heads(q: QuestionChange, rate: bool) -> tuple[Column, ...]:
    unit = "difference, points" if rate else "difference"
    return Column("old", rank=2), Column(f"new{_share(q)}", rank=1), Column(f"{unit}{_share(q)}")


def _coefficient_table(q: QuestionChange) -> Table:
    dashes, rows = Dashes(), []
    for c in q.coefficients:
        raw = c.name == "percent_agreement"
        name = coefficient_name(Coefficient(name=c.name, level=c.level, method="", value=0.0))
        cells = _changed(c, dashes, name, rate=False) if not raw else _changed(c, dashes, name, rate=True)
        rows.append((Cell(name + (", points" if raw else "")), *cells))
    return Table(
        "Agreement of the panel", (Column("coefficient", "left"), *_heads(q, False)), tuple(rows), dashes.notes()
    )


def _judge_table(q: QuestionChange, limit: int) -> Table:
    shown, gap = first(q.judges, limit)
    rows = tuple(
        (
            Cell(j.judge),
            Cell(j.status, tone="" if j.status == "same" else "warn"),
            Cell((j.old_hash or "")[:12]),
            Cell((j.new_hash or "")[:12] if j.new_hash != j.old_hash else ""),
            Cell(_both(j.n_ok)),
            Cell(_both(j.n_missing) if any(j.n_missing) else ""),
            Cell("" if j.rank is None else _both(j.rank)),
        )
        for j in shown
    )
    columns = (
        Column("judge", "left", name=True), Column("version", "left"), Column("old hash", "left", rank=4),
        Column("new hash", "left", rank=4), Column("verdicts", rank=2), Column("missing", rank=3),
        Column("rank", rank=1),
    )  # fmt: skip
    return Table("Judges", columns, rows, gap=gap)


def _both(pair: tuple[int | None, int | None]) -> str:
    old, new = ("none" if n is None else count(n) for n in pair)
    return old if old == new else f"{old} to {new}"


def _measure_tables(q: QuestionChange, limit: int) -> Iterator[Table]:
    for name, words, rate in MEASURES:
        found: list[tuple[JudgeChange, Change]] = [(j, c) for j in q.judges if (c := getattr(j, name)) is not None]
        shown, gap = first(found, limit)
        dashes = Dashes()
        rows = tuple((Cell(j.judge), *_changed(c, dashes, quote(j.judge), rate=rate)) for j, c in shown)
        title = f"How often the judges say {quote(q.label)}" if name == "rate" and q.label else f"Judges: {words}"
        yield Table(title, (Column("judge", "left", name=True), *_heads(q, rate)), rows, dashes.notes(), gap)


def _rate_table(q: QuestionChange, limit: int) -> Table:
    shown, gap = first(q.rates, limit)
    dashes = Dashes()
    rows = tuple(
        (
            Cell("all outputs" if r.model is None else r.model),
            *_changed(r, dashes, quote(r.model or "all outputs"), rate=True),
            Cell(_corrected(r.corrected)),
            Cell("" if r.rank is None else _both(r.rank)),
        )
        for r in shown
    )
    columns = (
        Column("model", "left", name=True),
        *_heads(q, True),
        Column("corrected", "left", rank=3),
        Column("rank", rank=2),
    )
    return Table(f"Rate of {quote(q.label or '')} to quote", columns, rows, dashes.notes(), gap)


def _corrected(pair: tuple[bool, bool]) -> str:
    return {(True, True): "both", (True, False): "old alone", (False, True): "new alone", (False, False): "neither"}[
        pair
    ]


def _conclusion_table(q: QuestionChange, limit: int) -> Table:
    changed = [c for c in q.conclusions if c.changed]
    shown, gap = first(changed, limit)
    rows = tuple(
        (Cell(c.a), Cell(c.b), Cell(c.old), Cell(c.new), Cell(names(c.turned) if c.turned else "")) for c in shown
    )
    columns = (
        Column("model", "left", name=True), Column("and model", "left", name=True), Column("was", "left"),
        Column("is", "left"), Column("turned under", "left", rank=1),
    )  # fmt: skip
    return Table("Conclusions that changed", columns, rows, gap=gap)
