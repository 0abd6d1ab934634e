"""What makes the panel disagree -> a table and sentences."""

from __future__ import annotations

import math
from typing import Final

from interjudge.agreement.results import Agreement
from interjudge.agreement.results_drivers import Drivers, DriverTerm
from interjudge.reports.escape import visible
from interjudge.reports.table import Cell, Column, Dashes, Table, first
from interjudge.reports.wording import count, listed, p_value, percent, quote

_NAMED: Final = 3  # drivers in a sentence


def tables(found: Drivers, agreement: Agreement, limit: int) -> tuple[Table, ...]:
    """The features' values, their items, the share in dispute, and the odds ratios."""
    if not found.terms:
        return ()
    shown, gap = first(found.terms, limit)
    dashes = Dashes()
    rows = []
    for term in shown:
        where = _where(term)
        rows.append(
            (
                Cell(term.feature),
                Cell("each doubling" if term.level is None else term.level),
                Cell(count(term.n)),
                Cell("") if term.disputed is None else dashes.cell(term.disputed, where, rate=True),
                _ratio(term, dashes, where),
                Cell("" if term.p_holm is None else p_value(term.p_holm, equals="")),
            )
        )
    columns = (
        Column("feature", "left", name=True),
        Column("value", "left", name=True),
        Column("outputs", rank=3),
        Column(f"in dispute [{agreement.confidence * 100:g} %]", rank=1),
        Column(f"odds ratio [{agreement.confidence * 100:g} %]"),
        Column("p (Holm)", rank=2),
    )
    notes = (
        "odds ratio: how many times as high the odds of disagreement are as for the value it is compared with, the "
        "other features held fixed; for rare disagreement it is about the ratio of the shares, else further from 1",
        *(f"left out: {visible(name, 60)}: {visible(why, 120)}" for name, why in found.left_out.items()),
        *(visible(note, 300) for note in found.notes),
    )
    made = Table("What the judges disagree on", columns, tuple(rows), dashes.notes() + notes, gap)
    return (made.without_empty(),)


def sentences(found: Drivers, agreement: Agreement) -> tuple[str, ...]:
    """What goes with disagreement, strongest first; that nothing does; or why it cannot be said."""
    if found.undefined is not None:
        return (f"What drives disagreement cannot be said: {visible(found.undefined, 120)}.",)
    known = [term for term in found.terms if term.p_holm is not None and term.odds_ratio.value]
    clear = [term for term in known if (term.p_holm or 0) < 1 - agreement.confidence]
    clear.sort(key=_strength)
    features = listed(list(dict.fromkeys(quote(term.feature) for term in found.terms)))
    if not clear:
        told = (f"None of the properties examined ({features}) is clearly tied to disagreement.",)
    else:
        strongest = list({term.feature: term for term in reversed(clear)}.values())  # one of each feature
        named = sorted(strongest, key=_strength)[:_NAMED]
        rest = len(clear) - len(named)
        more = f"; {count(rest)} more in the table" if rest else ""
        parts = [_told(term, agreement, i == 0) for i, term in enumerate(named)]
        told = (f"{'; '.join(parts)}{more} (other properties held fixed).",)
    return (*told, *_separated(found))


def _strength(term: DriverTerm) -> float:
    """The furthest from 1 first."""
    return -abs(math.log(term.odds_ratio.value or 1))


def _where(term: DriverTerm) -> str:
    return quote(term.feature) if term.level is None else f"{quote(term.feature)} {quote(term.level)}"


def _ratio(term: DriverTerm, dashes: Dashes, where: str) -> Cell:
    if term.reference and term.odds_ratio.value is not None:
        return Cell("1 (the others are compared with it)", "1")
    e = term.odds_ratio
    if e.value is None:
        return dashes.dash(e.undefined or "no reason given", where)
    span = "" if e.ci_low is None or e.ci_high is None else f" [{_times(e.ci_low)}, {_times(e.ci_high)}]"
    return Cell(_times(e.value) + span, _times(e.value))


def _times(ratio: float) -> str:
    """Two significant digits are what an odds ratio is good for."""
    if ratio >= 1000:
        return ">1,000"
    return (
        "<0.01" if ratio < 0.01 else f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.2f}" if ratio < 1 else f"{ratio:.1f}"
    )


def _told(term: DriverTerm, agreement: Agreement, leading: bool) -> str:
    e = term.odds_ratio
    span = ""
    if e.ci_low is not None and e.ci_high is not None:
        level = f"{agreement.confidence * 100:g} % interval " if leading else ""
        span = f" ({level}{_times(e.ci_low)} to {_times(e.ci_high)})"
    times = f"{_times(e.value or 1)} times as high"
    what = "The odds of disagreement are " if leading else ""
    return f"{what}{times}{span} {_on(term)}"


def _on(term: DriverTerm) -> str:
    if term.level is None:
        return f"for each doubling of {quote(term.feature)}"
    if (term.level, term.against) == ("yes", "no"):
        return f"on outputs that are {quote(term.feature)}"
    return f"where {quote(term.feature)} is {quote(term.level)} rather than {quote(term.against or '')}"


def _separated(found: Drivers) -> tuple[str, ...]:
    """Levels on which the panel always, or never, disagrees: they have no ratio, and are the strongest of all."""
    parts = [
        f"{_where(term)} ({percent(term.disputed.value)} of {count(term.n)})"
        for term in found.terms
        if term.odds_ratio.value is None and term.disputed is not None and term.disputed.value in (0.0, 1.0)
    ]
    if not parts:
        return ()
    rest = len(parts) - _NAMED
    shown = listed([*parts[:_NAMED], f"{count(rest)} more"] if rest > 0 else parts)
    return (f"Always or never in dispute, so without a finite ratio: {shown}.",)
