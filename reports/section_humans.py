"""The judges beside the humans: how far humans agree at all, who reaches that, who could stand in for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from interjudge.agreement.results import Agreement, Estimate
from interjudge.agreement.results_humans import (
    AltJudge,
    AltTest,
    ByConsensus,
    Ceiling,
    Consensus,
    Humans,
    JudgeBeside,
    Standing,
)
from interjudge.reports.escape import visible
from interjudge.reports.table import Cell, Column, Dashes, Table, Tone, descending, ends
from interjudge.reports.wording import count, figure, interval, names, number, percent, quote, value

_MEASURES: Final = {
    "cohen_kappa": "Cohen's kappa",
    "agreement": "agreement",
    "correlation": "correlation",
}
_STANDINGS: Final[dict[Standing, tuple[str, Tone]]] = {
    "below": ("below the humans", "warn"),
    "within": ("like the humans", ""),
    "above": ("above the humans", "good"),
    "unknown": ("", ""),
}

_by_rho: Final[Callable[[AltJudge], float]] = descending(lambda j: j.rho.value)
_by_unanimous: Final[Callable[[ByConsensus], float]] = descending(lambda j: j.unanimous.value)
# The order of the sentence, with one judge and with several.
_GROUPS: Final[tuple[tuple[Standing, str, str], ...]] = (
    ("above", "agrees with them more than any human does", "agree with them more than any human does"),
    (
        "within",
        "agrees with them about as far as they do with each other",
        "agree with them about as far as they do with each other",
    ),
    ("below", "agrees with them less than any human does", "agree with them less than any human does"),
)


def tables(found: Humans | None, agreement: Agreement, limit: int) -> tuple[Table, ...]:
    """The ceiling, the alternative annotator test, and accuracy by the humans' consensus."""
    if found is None:
        return ()
    share = f"[{agreement.confidence * 100:g} %]"
    parts = (
        _beside(found.ceiling, share, limit),
        _alternative(found.alt_test, share, limit),
        *([_consensus(found.consensus, share, limit)] if found.consensus is not None else []),
    )
    return tuple(table.without_empty() for table in parts if table.rows)


def _beside(found: Ceiling, share: str, limit: int) -> Table:
    by_measure: Callable[[JudgeBeside], float] = descending(lambda j: _measured(j, found))
    ordered = sorted(found.judges, key=by_measure)
    shown, gap = ends(ordered, limit)
    dashes = Dashes()

    def figures(who: Ceiling | JudgeBeside, name: str) -> tuple[Cell, ...]:
        return (
            dashes.cell(who.agreement, f"agreement {name}", rate=True),
            dashes.cell(who.cohen_kappa, f"kappa {name}"),
            dashes.cell(who.correlation, f"correlation {name}"),
        )

    rows = [(Cell("between the humans"), Cell(""), *figures(found, "between the humans"), Cell(""), Cell(""))]
    for j in shown:
        words, tone = _STANDINGS[j.standing]
        known = j.difference.value is not None
        apart = Cell(_signed(j.difference, full=True), _signed(j.difference)) if known else Cell("")
        rows.append((Cell(j.judge), Cell(j.kind), *figures(j, f"of {quote(j.judge)}"), apart, Cell(words, None, tone)))
    columns = (
        Column("judge", "left", name=True),
        Column("kind", "left", rank=4),
        Column(f"agreement with the humans {share}", rank=2),
        Column(f"Cohen's kappa {share}", rank=1),
        Column(f"correlation {share}", rank=1),
        Column("minus the humans' own", rank=3),
        Column("stands", "left"),
    )
    notes = ["means over pairs of judge and human; the first row: over pairs of humans"]
    if found.lowest is not None and found.highest is not None:
        low, high = number(found.lowest), number(found.highest)
        own = f"mean of {_MEASURES[found.measure]} with each other is {low}"
        if low != high:
            own = f"means of {_MEASURES[found.measure]} with each other run from {low} to {high}"
        notes.append(f"the humans' own {own}; below (above): outside that, by more than chance explains")
    gap = None if gap is None else (gap[0] + 1, gap[1])
    return Table("Judges beside the humans", columns, tuple(rows), dashes.notes() + tuple(notes), gap)


def _measured(judge: JudgeBeside, found: Ceiling) -> float | None:
    estimate: Estimate | None = getattr(judge, found.measure)
    return None if estimate is None else estimate.value


def _signed(e: Estimate, *, full: bool = False) -> str:
    sign = "+" if (e.value or 0) > 0 else ""
    return f"{sign}{value(e)}{f' {interval(e)}' if full else ''}".rstrip()


def _alternative(found: AltTest, share: str, limit: int) -> Table:
    ordered = sorted(found.judges, key=_by_rho)
    shown, gap = ends(ordered, limit)
    dashes = Dashes()
    rows = []
    for j in shown:
        known = j.winning_rate is not None
        won = Cell(f"{number(j.winning_rate or 0)} ({j.n_won} of {count(j.n_compared)})", number(j.winning_rate or 0))
        word = Cell("passes", None, "good") if j.passes else Cell("does not pass", None, "warn")
        rho = dashes.cell(j.rho, quote(j.judge), rate=True)
        rows.append(
            (Cell(j.judge), Cell(count(j.n_items)), won if known else Cell(""), rho, word if known else Cell(""))
        )
    columns = (
        Column("judge", "left", name=True),
        Column("outputs", rank=3),
        Column("winning rate"),
        Column(f"as good as a human {share}", rank=1),
        Column("result", "left"),
    )
    notes = (
        "winning rate: share of the humans whom the judge is shown to replace at a cost below epsilon "
        f"{found.epsilon:g} (false discovery rate {found.fdr:g}); from .5 on it passes",
        "as good as a human: how often it is as close to the other humans as the human it would replace, or closer",
        *([f"{count(found.n_left_out, 'output')} with fewer than two humans left out"] if found.n_left_out else []),
    )
    return Table("Alternative annotator test", columns, tuple(rows), dashes.notes() + notes, gap)


def _consensus(found: Consensus, share: str, limit: int) -> Table:
    sizes = (found.n_unanimous, found.n_majority, found.n_split)
    ordered = sorted(found.judges, key=_by_unanimous)
    shown, gap = ends(ordered, limit)
    dashes = Dashes()
    rows = tuple(
        (
            Cell(j.judge),
            *(
                dashes.cell(e, quote(j.judge), rate=True) if size else Cell("")
                for e, size in zip((j.unanimous, j.majority, j.split), sizes, strict=True)
            ),
        )
        for j in shown
    )
    heads = ("all humans agree", "more than half agree", "half or fewer agree")
    columns = (
        Column("judge", "left", name=True),
        *(Column(f"{head}: {count(n)} {share}", rank=i) for i, (head, n) in enumerate(zip(heads, sizes, strict=True))),
    )
    left = [
        *([f"{count(found.n_tied, 'output')} on which the humans are tied"] if found.n_tied else []),
        *([f"{count(found.n_alone, 'output')} with fewer than two humans"] if found.n_alone else []),
    ]
    notes = (f"left out: {' and '.join(left)}",) if left else ()
    title = "Accuracy against the humans' most frequent label, by how far they agree"
    return Table(title, columns, rows if any(sizes) else (), dashes.notes() + notes, gap)


def sentences(found: Humans | None, agreement: Agreement) -> tuple[str, ...]:  # noqa: ARG001  # one form for all sections
    """Who reaches the humans' own agreement; who could replace one; where the humans themselves differ."""
    if found is None:
        return ()
    said = (_ceiling(found.ceiling), _passing(found), _by_consensus(found))
    return tuple(sentence for sentence in said if sentence)


def _ceiling(found: Ceiling) -> str:
    own: Estimate | None = getattr(found, found.measure)
    if own is None or own.value is None:
        why = own.undefined if own is not None and own.undefined else "no value"
        return f"How far the humans agree with each other cannot be said: {visible(why, 120)}."
    head = f"Humans agree with each other to {_MEASURES[found.measure]} {figure(own)} on average"
    if found.measure == "cohen_kappa" and found.agreement is not None:
        head = f"Two humans agree on {value(found.agreement, rate=True)} of the outputs they share, "
        head += f"{_MEASURES[found.measure]} {figure(own)}"
    parts = []
    for standing, one, several in _GROUPS:
        mine = [j for j in found.judges if j.standing == standing]
        if mine:
            parts.append(f"{_who(mine, len(found.judges))} {one if len(mine) == 1 else several}")
    return f"{head}; {'; '.join(parts)}." if parts else f"{head}."


def _who(judges: Sequence[JudgeBeside] | Sequence[AltJudge], total: int) -> str:
    if len(judges) == total > 1:
        return "both judges" if total == 2 else f"all {count(total)} judges"
    return names(j.judge for j in judges)


def _passing(found: Humans) -> str:
    test = found.alt_test
    if test.undefined is not None:
        return f"Whether a judge could replace a human was not tested: {visible(test.undefined, 200)}."
    known = [j for j in test.judges if j.passes is not None]
    if not known:
        why = next((j.undefined for j in test.judges if j.undefined), "no judge")
        return f"Whether a judge could replace a human was not tested: {visible(why, 200)}."
    passed = sorted((j for j in known if j.passes), key=_by_rho)
    if not passed:
        best = min(known, key=_by_rho)
        whole = "No judge passes" if len(known) > 1 else f"{quote(best.judge)} does not pass"
        return (
            f"{whole} the alternative annotator test (epsilon {test.epsilon:g})"
            f"{f'; {quote(best.judge)} comes closest' if len(known) > 1 else ''}: shown to replace {_won(best)}."
        )
    best = passed[0]
    verb = "passes" if len(passed) == 1 else "pass"
    whole = _who(passed, len(known)) if len(known) > 1 else quote(best.judge)
    head = f"{whole[0].upper()}{whole[1:]} {verb} the alternative annotator test (epsilon {test.epsilon:g}): "
    head += f"{quote(best.judge)} can replace {_won(best)}." if len(passed) > 1 else f"it can replace {_won(best)}."
    below = {j.judge for j in found.ceiling.judges if j.standing == "below"}
    cheap = [j.judge for j in passed if j.judge in below]
    if cheap:
        head += (
            f" The test lets a human be closer to the others on up to {percent(test.epsilon)} more of the outputs: "
            f"{names(cheap)} {'passes' if len(cheap) == 1 else 'pass'} and still "
            f"{'agrees' if len(cheap) == 1 else 'agree'} less with the humans than any of them does."
        )
    return head


def _won(judge: AltJudge) -> str:
    rate = number(judge.winning_rate or 0)
    return f"{count(judge.n_won)} of {count(judge.n_compared, 'human')} (winning rate {rate})"


def _by_consensus(found: Humans) -> str:
    split = found.consensus
    if split is None:
        return ""
    known = [j for j in split.judges if j.unanimous.value is not None]
    if not known or not split.n_majority + split.n_split:
        return ""
    best = min(known, key=_by_unanimous)
    rest = [
        f"in {value(e, rate=True)} of the {count(n)} where {words}"
        for e, n, words in (
            (best.majority, split.n_majority, "only most of them are"),
            (best.split, split.n_split, "half or fewer are"),
        )
        if e.value is not None
    ]
    if not rest:
        return ""
    return (
        f"On the {count(split.n_unanimous, 'output')} on which the humans are of one mind, {quote(best.judge)} says "
        f"what they say in {value(best.unanimous, rate=True)}; {' and '.join(rest)}."
    )
