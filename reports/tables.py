"""Agreement records -> tables: coefficients, judges, reference, labels, pairs, slices."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from interjudge.agreement.results import Agreement, Coefficient, Estimate, JudgeResult, Measures, Pair, Slice
from interjudge.reports.reliability import headline
from interjudge.reports.table import Cell, Column, Dashes, Table, descending, ends, first
from interjudge.reports.trust import FEW, enough, measured, ranking_measure
from interjudge.reports.wording import coefficient_name, count, number, percent, quote

# Judges, or labels, beside each other; more are nobody's reading.
MAX_ACROSS: Final = 12

_WEIGHTS: Final = re.compile(r"^\w+ weights; ")

_PAIR_MEASURES: Final = (
    ("cohen_kappa", "Cohen's kappa", 0),
    ("cohen_kappa_linear", "linear kappa", 2),
    ("cohen_kappa_quadratic", "quadratic kappa", 2),
    ("gwet_ac1", "AC1", 3),
    ("mcc", "Matthews", 4),
    ("scott_pi", "Scott's pi", 5),
    ("pabak", "PABAK", 5),
)


def agreement_tables(a: Agreement, limit: int) -> tuple[Table, ...]:
    """Every table of one question's agreement that has something to show, with at most `limit` rows each."""
    tables = (
        *([coefficients(a)] if len(a.judges) > 1 else []),
        judges(a, limit),
        against_reference(a, limit),
        labels(a, limit),
        pairs(a, limit),
        slices(a, limit),
        reference_by_slice(a, limit),
    )
    return tuple(table.without_empty() for table in tables if table.rows)


def coefficients(a: Agreement) -> Table:
    dashes = Dashes()
    rows = tuple(
        (
            Cell(coefficient_name(c)),
            dashes.cell(c, coefficient_name(c), rate=c.name == "percent_agreement"),
            Cell(count(c.n)),
        )
        for c in _raw_first(a)
    )
    columns = (Column("coefficient", "left"), Column(f"value {_share(a)}"), Column("n"))
    return Table("Agreement of the whole panel", columns, rows, dashes.notes())


def methods(a: Agreement) -> tuple[str, ...]:
    """How each coefficient of the whole panel is made, those made alike together."""
    found: dict[str, dict[str, None]] = {}
    for c in (
        c for c in _raw_first(a) if c.value is not None
    ):  # the names say which weights or level; the method is the same
        found.setdefault(_WEIGHTS.sub("", c.method), {})[coefficient_name(c).split(",")[0]] = None
    return tuple(f"{', '.join(of)}: {method}" for method, of in found.items() if method)


def _raw_first(a: Agreement) -> list[Coefficient]:
    raw, _ = headline(a, a.question.level)
    return sorted(a.coefficients, key=lambda c: c is not raw)


def _share(a: Agreement) -> str:
    """What stands in brackets behind a value."""
    return f"[{a.confidence * 100:g} %]"


def ranked(a: Agreement, limit: int) -> tuple[list[JudgeResult], tuple[int, int] | None, tuple[str, ...]]:
    """Judges, best first: by the reference, else by their mean kappa. Where they are too many, those with few
    verdicts are left to report.json first, and then the middle."""
    measure = ranking_measure(a.judges)
    everyone = list(a.judges)
    if any(measured(j, measure) for j in everyone):
        everyone.sort(key=descending(lambda j: e.value if (e := measured(j, measure)) else None))
    elif len(everyone) > 2:
        everyone.sort(key=descending(lambda j: j.kappa_mean))
    if len(everyone) <= limit:
        return everyone, None, ()
    least = enough(a.judges)
    many = [j for j in everyone if j.n_ok >= least]
    if len(many) < limit:
        shown, gap = ends(everyone, limit)
        return shown, gap, ()
    shown, gap = ends(many, limit)
    hidden = len(everyone) - len(shown)
    few = len(everyone) - len(many)
    notes = (f"{count(few, 'judge')} with fewer than {least} verdicts not shown",) if few else ()
    return shown, (gap[0] if gap else len(shown), hidden), notes


def judges(a: Agreement, limit: int) -> Table:
    """Who the judges are, what is missing, how often they say the positive label, how they go with others."""
    shown, gap, notes = ranked(a, limit)
    dashes = Dashes()
    positive = a.question.positive
    kinds = {j.kind for j in a.judges}
    constructs = {j.construct_name for j in a.judges}
    alone = len(a.judges) < 2 or not a.question.labels  # kappas are of labels
    rows = []
    for j in shown:
        rate = j.rate.get(positive) if positive is not None else None
        rows.append(
            (
                Cell(j.judge),
                Cell(j.kind if len(kinds) > 1 else ""),
                Cell(j.construct_name if len(constructs) > 1 else ""),
                Cell(count(j.n_ok)),
                _missing(j, a),
                dashes.cell(rate, f"rate of {quote(j.judge)}", rate=True),
                _bounds(j),
                _float(j.kappa_mean, dashes, f"mean kappa of {quote(j.judge)}", alone),
                _float(j.alpha_without, dashes, f"alpha without {quote(j.judge)}", alone or len(a.judges) < 3),
            )
        )
    columns = (
        Column("judge", "left", name=True),
        Column("kind", "left", rank=5),
        Column("construct", "left", rank=4, name=True),
        Column("ok"),
        Column("missing", rank=1),
        Column(f"says {quote(positive, 20)} {_share(a)}" if positive is not None else "", rank=2),
        Column("bounds", rank=4),
        Column("mean kappa", rank=2),
        Column("alpha without it", rank=3),
    )
    if any(j.bounds and j.missing for j in shown):
        notes = (*notes, "bounds: the rate if every missing verdict had said the other label, or this one")
    return Table("Judges", columns, tuple(rows), dashes.notes() + notes, gap)


def _missing(j: JudgeResult, a: Agreement) -> Cell:
    if not any(other.missing for other in a.judges):
        return Cell("")
    parts = [f"{count(n)} {status}" for status, n in j.missing.items()]
    total = sum(j.missing.values())
    return Cell(", ".join(parts) or "0", count(total))


def _bounds(j: JudgeResult) -> Cell:
    if j.bounds is None or not j.missing:
        return Cell("")
    low, high = (percent(v).removesuffix(" %") for v in j.bounds)
    return Cell(f"{low} to {high} %")


def _float(found: float | None, dashes: Dashes, where: str, not_applicable: bool) -> Cell:
    if not_applicable:
        return Cell("")
    return dashes.dash("undefined for the judges it would rest on", where) if found is None else Cell(number(found))


def against_reference(a: Agreement, limit: int) -> Table:
    if a.question.reference is None:
        return Table("", (), ())
    shown, gap, notes = ranked(a, limit)
    dashes = Dashes()
    columns = (
        Column("judge", "left", name=True),
        Column("n"),
        Column("accuracy", rank=4),
        Column("sensitivity", rank=3),
        Column("specificity", rank=3),
        Column("Youden's J", rank=1),
        Column("Cohen's kappa", rank=1),
    )
    applies = [m for m in _REFERENCE if a.question.positive is not None or m in ("accuracy", "cohen_kappa")]
    rows = []
    for j in shown:
        estimates = [e for m in applies if (e := getattr(j, m)) is not None]
        if not estimates:
            continue
        rows.append(
            (
                Cell(j.judge),
                Cell(count(max(e.n for e in estimates))),
                *(
                    dashes.cell(getattr(j, m), f"{words} of {quote(j.judge)}", rate=rate) if m in applies else Cell("")
                    for m, (words, rate) in _REFERENCE.items()
                ),
            )
        )
    title = f"Judges against the reference {quote(a.question.reference)}"
    if a.question.positive is not None and len(a.question.labels) == 2:
        notes = (
            f"sensitivity: share of what the reference calls {quote(a.question.positive)} that the judge does "
            "too; specificity: share of the rest that it leaves alone; J = sensitivity + specificity - 1",
            *notes,
        )
    return Table(title, columns, tuple(rows), dashes.notes() + notes, gap)


_REFERENCE: Final = {
    "accuracy": ("accuracy", True),
    "sensitivity": ("sensitivity", True),
    "specificity": ("specificity", True),
    "youden_j": ("J", False),
    "cohen_kappa": ("kappa", False),
}


def labels(a: Agreement, limit: int) -> Table:
    """How often each judge says each label, where there is no single positive one."""
    names = a.question.labels
    if a.question.positive is not None and len(names) == 2:
        return Table("", (), ())
    if not names:
        return Table("", (), ())
    shown, gap, notes = ranked(a, limit)
    dashes = Dashes()
    columns = (
        Column("judge", "left", name=True),
        *(Column(label, rank=1, name=True) for label in names[:MAX_ACROSS]),
    )
    rows = tuple(
        (
            Cell(j.judge),
            *(
                dashes.cell(j.rate.get(label), f"{quote(label)} of {quote(j.judge)}", rate=True)
                for label in names[:MAX_ACROSS]
            ),
        )
        for j in shown
    )
    if len(names) > MAX_ACROSS:
        notes = (f"{count(len(names) - MAX_ACROSS, 'more label')} not shown", *notes)
    return Table("What each judge says", columns, rows, dashes.notes() + notes, gap)


def pairs(a: Agreement, limit: int) -> Table:
    """Pairs of judges, the best agreement first; pairs without a value are counted in a note."""
    known = [p for p in a.pairs if p.cohen_kappa.value is not None]
    by_kappa: Callable[[Pair], float] = descending(lambda p: p.cohen_kappa.value)
    ordered = sorted(known, key=by_kappa)
    silent = [p for p in a.pairs if p.cohen_kappa.value is None]
    few = [p for p in ordered if p.cohen_kappa.n >= FEW]
    notes: tuple[str, ...] = ()
    if len(ordered) > limit <= len(few) < len(ordered):
        notes = (f"{count(len(ordered) - len(few), 'pair')} with fewer than {FEW} outputs in common not shown",)
    source = few if notes else ordered
    shown, gap = ends([*source, *silent] if len(a.pairs) <= limit else source, limit)
    dashes = Dashes()
    rows = tuple(_pair(p, dashes) for p in shown)
    hidden = len(a.pairs) - len(shown)
    if hidden:
        gap = (gap[0] if gap else len(shown), hidden)
    if silent and len(a.pairs) > limit:
        notes += (f"{count(len(silent), 'pair')} without a defined kappa not shown",)
    columns = (
        Column("judge", "left", name=True),
        Column("and judge", "left", name=True),
        Column("n", rank=2),
        Column("raw agreement", rank=1),
        *(Column(head, rank=rank) for _, head, rank in _PAIR_MEASURES),
        Column("positive agreement", rank=6),
        Column("negative agreement", rank=6),
    )
    return Table("Pairs of judges", columns, rows, dashes.notes() + notes, gap)


def _pair(p: Pair, dashes: Dashes) -> tuple[Cell, ...]:
    with_ = f"{quote(p.a)} with {quote(p.b)}"

    def cell(estimate: Estimate | None, *, rate: bool = False) -> Cell:
        return dashes.cell(estimate, with_, rate=rate)

    return (
        Cell(p.a),
        Cell(p.b),
        Cell(count(p.agreement.n)),
        cell(p.agreement, rate=True),
        *(cell(getattr(p, name)) for name, _, _ in _PAIR_MEASURES),
        cell(p.positive_agreement, rate=True),
        cell(p.negative_agreement, rate=True),
    )


def slices(a: Agreement, limit: int) -> Table:
    """Slices, within each column the least reliable first, between the lines of the whole."""
    shown, gap = first(_slices_in_order(a), limit)
    dashes = Dashes()
    rows = [_slice("all outputs", a, a, dashes)] if shown else []
    rows += [_slice(_slice_name(a, s), s, a, dashes) for s in shown]
    head = a.slices[0].by if len({s.by for s in a.slices}) == 1 else "slice"
    positive = a.question.positive
    columns = (
        Column(head, "left", name=True),
        Column("n"),
        Column("raw agreement", rank=1),
        Column(f"alpha {_share(a)}"),
        Column(f"says {quote(positive, 20)}" if positive is not None else "", rank=2),
    )
    notes = ("the last column: lowest and highest rate among the judges",) if positive is not None else ()
    return Table("Agreement by slice", columns, tuple(rows), dashes.notes() + notes, gap and (gap[0] + 1, gap[1]))


def _slices_in_order(a: Agreement) -> list[Slice]:
    order = {by: i for i, by in enumerate(dict.fromkeys(s.by for s in a.slices))}

    def key(s: Slice) -> tuple[int, float]:
        _, alpha = headline(s, a.question.level)
        return order[s.by], alpha.value if alpha and alpha.value is not None else float("inf")

    return sorted(a.slices, key=key)


def _slice_name(a: Agreement, s: Slice) -> str:
    return s.value if len({other.by for other in a.slices}) == 1 else f"{s.by} = {s.value}"


def _slice(name: str, m: Measures, a: Agreement, dashes: Dashes) -> tuple[Cell, ...]:
    raw, alpha = headline(m, a.question.level)
    return (
        Cell(name),
        Cell(count(m.n_items)),
        dashes.cell(raw, name, rate=True),
        dashes.cell(alpha, name),
        Cell(rate_range([j.rate.get(a.question.positive) for j in m.judges] if a.question.positive else [])),
    )


def rate_range(rates: Sequence[Estimate | None]) -> str:
    """``33.0 to 88.0 %``: the lowest and the highest rate among judges."""
    known = [e.value for e in rates if e is not None and e.value is not None]
    if not known:
        return ""
    low, high = percent(min(known)), percent(max(known))
    return high if low == high else f"{low.removesuffix(' %')} to {high}"


def reference_by_slice(a: Agreement, limit: int) -> Table:
    """Cohen's kappa with the reference, slices down and judges across."""
    across = [j.judge for j in ranked(a, MAX_ACROSS)[0] if j.cohen_kappa is not None]
    if not across or not a.slices:
        return Table("", (), ())
    shown, gap = first(_slices_in_order(a), limit)
    dashes = Dashes()
    rows = []
    for name, m in (("all outputs", a), *((_slice_name(a, s), s) for s in shown)):
        of = {j.judge: j.cohen_kappa for j in m.judges}
        cells = [dashes.cell(of.get(judge), f"{quote(judge)} on {quote(name)}") for judge in across]
        rows.append((Cell(name), Cell(count(m.n_items)), *cells))
    columns = (
        Column(a.slices[0].by if len({s.by for s in a.slices}) == 1 else "slice", "left", name=True),
        Column("n", rank=2),
        *(Column(judge, rank=1, name=True) for judge in across),
    )
    title = f"Cohen's kappa with the reference {quote(a.question.reference or '')}, by slice"
    hidden = len(a.judges) - len(across)
    notes = (f"{count(hidden, 'more judge')} not shown",) if hidden else ()
    return Table(title, columns, tuple(rows), dashes.notes() + notes, gap and (gap[0] + 1, gap[1]))
