"""The rest of a question's records -> tables: models under each judge, comparisons, flags; and the setup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from interjudge.agreement.results import Agreement, Comparison, Conclusions, DisputedOutput, FlagSummary
from interjudge.datasets.schema import NO_CONSTRUCT
from interjudge.reports.escape import excerpt, visible
from interjudge.reports.section_truth import rule_in_words
from interjudge.reports.sentences import extremes
from interjudge.reports.table import Cell, Column, Dashes, Table, Tone, first
from interjudge.reports.tables import MAX_ACROSS, methods, rate_range
from interjudge.reports.wording import count, names, number, percent, points, quote

_HALF: Final = 0.5
CONVENTIONS: Final = "How the figures are made"  # the heading over `conventions`

_HOLDS: dict[str, tuple[str, Tone]] = {
    "clear": ("holds", "good"),
    "same direction": ("same direction", ""),
    "flips": ("flips", "warn"),
    "undecided": ("undecided", ""),
}


def model_rates(found: Conclusions, limit: int) -> Table:
    """Models down, judges across; first the range over the judges."""
    judges = list(dict.fromkeys(rate.judge for rate in found.rates))
    models = list(dict.fromkeys(rate.model for rate in found.rates))
    bases = {rate.model: rate.base_model for rate in found.rates if rate.base_model is not None}
    of = {(rate.model, rate.judge): rate for rate in found.rates}
    across = judges[:MAX_ACROSS]
    shown, gap = first(models, limit)
    dashes = Dashes()
    rows = []
    for model in shown:
        mine = [of[model, judge].rate if (model, judge) in of else None for judge in judges]
        cells = [
            dashes.cell(rate, f"{quote(model)} under {quote(judge)}", rate=True)
            for judge, rate in zip(across, mine, strict=False)
        ]
        span = Cell(rate_range(mine) if len(judges) > 1 else "")
        rows.append((Cell(model), Cell(bases.get(model, "")), span, *cells))
    columns = (
        Column("model", "left", name=True),
        Column("base", "left", rank=2, name=True),
        Column("over all judges"),
        *(Column(judge, rank=1, name=True) for judge in across),
    )
    hidden = len(judges) - len(across)
    notes = (f"{count(hidden, 'more judge')} not shown",) if hidden else ()
    title = f"Rate of {quote(found.label)} by model, under each judge"
    return Table(title, columns, tuple(rows), dashes.notes() + notes, gap)


def comparisons(found: Conclusions, limit: int) -> Table:
    """Fine-tunes against their base first, then what flips, then the rest."""
    if len({rate.judge for rate in found.rates}) < 2:  # what one judge says holds under no other
        return Table("", (), ())
    order = ("flips", "same direction", "undecided", "clear")
    ordered = sorted(found.comparisons, key=lambda c: (c.kind != "fine-tune", order.index(c.holds)))
    shown, gap = first(ordered, limit)
    rows = tuple(_comparison(c) for c in shown)
    columns = (
        Column("model", "left", name=True),
        Column("against", "left", name=True),
        Column("lowest", rank=1),
        Column("by", "left", rank=2, name=True),
        Column("highest", rank=1),
        Column("by", "left", rank=2, name=True),
        Column("conclusion", "left"),
    )
    notes = (
        f"difference in the rate of {quote(found.label)}, first model minus second, in percentage points, under "
        "the judge that sees the lowest and the one that sees the highest",
    )
    brackets = "in brackets: the interval of the difference"
    return Table("Comparisons of models", columns, rows, notes, gap, brackets)


def _comparison(c: Comparison) -> tuple[Cell, ...]:
    words, tone = _HOLDS[c.holds]
    base = Cell(c.b + (" (base)" if c.kind == "fine-tune" else ""))
    ends = extremes(c)
    if ends is None:
        return (Cell(c.a), base, Cell(""), Cell(""), Cell(""), Cell(""), Cell(words, None, tone))
    (least, _), (most, _) = ends
    return (
        Cell(c.a),
        base,
        _difference(c, least),
        Cell(least),
        _difference(c, most),
        Cell(most),
        Cell(words, None, tone),
    )


def _difference(c: Comparison, judge: str) -> Cell:
    e = c.difference[judge]
    brief = points(e.value or 0)
    if e.ci_low is None or e.ci_high is None:
        return Cell(brief)
    return Cell(f"{brief} [{points(e.ci_low)}, {points(e.ci_high)}]", brief)


def by_reason(flags: FlagSummary) -> Table:
    ordered = sorted(flags.by_reason.items(), key=lambda entry: (-entry[1], entry[0]))
    rows = tuple(
        (Cell(reason), Cell(count(n)), Cell(percent(n / flags.n_flagged) if n <= flags.n_flagged else ""))
        for reason, n in ordered
    )
    columns = (Column("reason", "left", name=True), Column("flagged verdicts"), Column("share of the flagged"))
    notes = (f"{rule_in_words(flags)}; a verdict may have several reasons",)
    return Table("Flagged verdicts by reason", columns, rows, notes)


def by_judge(flags: FlagSummary, a: Agreement, limit: int) -> Table:
    asked = {j.judge: j.n_ok + sum(j.missing.values()) for j in a.judges}
    ordered = sorted(flags.by_judge.items(), key=lambda entry: (-entry[1], entry[0]))
    shown, gap = first(ordered, limit)
    rows = tuple(
        (
            Cell(judge),
            Cell(count(n)),
            Cell(count(asked.get(judge, 0))),
            Cell(percent(n / asked[judge]) if n <= asked.get(judge, 0) else ""),
        )
        for judge, n in shown
    )
    columns = (
        Column("judge", "left", name=True),
        Column("flagged"),
        Column("of verdicts"),
        Column("share"),
    )
    return Table("Flagged verdicts by judge", columns, rows, (), gap)


def heading(a: Agreement) -> str:
    """The heading over one question."""
    return "Results" if a.question.name == NO_CONSTRUCT else f"Question: {visible(a.question.name, 80)}"


def facts(a: Agreement) -> tuple[tuple[str, str], ...]:
    """What the figures rest on, as terms and their texts."""
    q = a.question
    known = (
        ("Question", _question(a)),
        ("Labels", names(q.labels, 12) or "none: scores"),
        ("Positive label", quote(q.positive) if q.positive is not None else "none"),
        ("Level of measurement", q.level),
        ("Label maps", ", ".join(visible(rule, 120) for rule in q.maps) or "none: labels as the judges gave them"),
        ("Thresholds", ", ".join(f"{quote(judge)} from {at:g}" for judge, at in q.thresholds.items())),
        ("Reference", quote(q.reference) if q.reference is not None else "none"),
        ("Sampling unit", f"{a.unit}; {a.replicates:,} bootstrap replicates, seed {a.seed}"),
    )
    return tuple((term, text) for term, text in known if text)


def conventions(agreements: Sequence[Agreement]) -> tuple[tuple[str, str], ...]:
    """Conventions and methods of the first question, and of the others only what differs, under their names."""
    said: dict[tuple[str, str], str] = {}
    for i, a in enumerate(agreements):
        for entry in (*(("Convention", text) for text in a.conventions), *(("Method", text) for text in methods(a))):
            said.setdefault(entry, f" ({visible(a.question.name, 80)})" if i else "")
    ordered = sorted(said.items(), key=lambda entry: (bool(entry[1]), entry[0][0]))
    return tuple((f"{term}{where}", text) for (term, text), where in ordered)


def _question(a: Agreement) -> str:
    q = a.question
    if q.name == NO_CONSTRUCT:
        return "what the judges' labels say; the judges do not state what they measure"
    return q.name if q.name == q.construct_name else f"{q.name} (construct: {q.construct_name})"


def _verdict_groups(verdicts: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Label -> the judges that gave it, the most frequent label first."""
    groups: dict[str, list[str]] = {}
    for judge, label in verdicts.items():
        groups.setdefault(label, []).append(judge)
    ordered = sorted(groups.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    return tuple((label, names(judges, 6)) for label, judges in ordered)


def dispute(output: DisputedOutput, excerpt_length: int) -> Iterator[tuple[str, str]]:
    """One disputed output as terms and texts; the first term is `output`."""
    model = f", by {quote(output.model)}" if output.model is not None else ""
    consensus = ""
    if output.consensus is not None:
        consensus = f": consensus {quote(output.consensus, 40)}"
        if output.p_consensus_wrong:
            doubted = " by the votes, which the estimated truth doubts:" if output.p_consensus_wrong > _HALF else ","
            consensus += f"{doubted} wrong with probability {number(output.p_consensus_wrong)}"
    yield "output", f"{quote(output.item_id)}{model}{consensus}"
    if output.prompt:
        yield "prompt", excerpt(output.prompt, excerpt_length)
    if output.response is not None:
        yield "response", excerpt(output.response, excerpt_length) or "(empty)"
    yield "verdicts", "; ".join(f"{quote(label, 40)} by {judges}" for label, judges in _verdict_groups(output.verdicts))
    if output.reasons:
        yield "reasons", ", ".join(excerpt(reason, 60) for reason in output.reasons)
