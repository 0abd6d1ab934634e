"""Two reports beside each other: what changed, as one object, in sentences and in tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from interjudge.agreement.compare import compare
from interjudge.agreement.results import Coefficient, Estimate, Result
from interjudge.agreement.results_compare import Change, Changes, JudgeChange, QuestionChange
from interjudge.reports.escape import markdown_cell, visible
from interjudge.reports.markdown import bullets, markdown_table
from interjudge.reports.report import InputFile, Report
from interjudge.reports.table import Cell, Column, Dashes, Table, first
from interjudge.reports.wording import (
    coefficient_name,
    count,
    figure,
    listed,
    names,
    number,
    points,
    quote,
    value,
)

TITLE: Final = "What changed between two reports"
JSON_NAME: Final = "compare.json"
MARKDOWN_NAME: Final = "compare.md"
ROWS: Final = 40
_NAMED: Final = 6
_MEASURES: Final = (
    ("rate", "rate", True),
    ("sensitivity", "sensitivity", True),
    ("specificity", "specificity", True),
    ("youden_j", "Youden's J", False),
    ("cohen_kappa", "Cohen's kappa", False),
)


class Side(Result):
    """One of the two reports: where it comes from."""

    title: str
    interjudge: str
    created_at: str | None
    inputs: tuple[InputFile, ...]


class Compared(Result):
    """Two reports and what changed from the old to the new; compare.json is this object. `same_inputs`: files that
    both read, byte for byte."""

    schema_version: Literal["1"] = "1"
    old: Side
    new: Side
    same_inputs: tuple[str, ...]
    changes: Changes


def compare_reports(old: Report, new: Report) -> Compared:
    """What changed from `old` to `new`."""
    known = {file.sha256 for file in old.provenance.inputs if file.sha256}
    same = tuple(file.name for file in new.provenance.inputs if file.sha256 in known)
    return Compared(old=_side(old), new=_side(new), same_inputs=same, changes=compare(old.questions, new.questions))


def _side(report: Report) -> Side:
    made = report.provenance
    return Side(title=report.title, interjudge=made.interjudge, created_at=made.run.created_at, inputs=made.inputs)


# --- sentences ---


def opening(compared: Compared) -> tuple[str, ...]:
    """What holds for all questions: which there are, and what the intervals of the differences assume."""
    changes = compared.changes
    said = []
    if not changes.questions:
        said.append("The two reports have no question in common: nothing is compared.")
    for which, missing in (("old", changes.only_old), ("new", changes.only_new)):
        if missing:
            said.append(f"Only the {which} report asks {names(missing, _NAMED)}.")
    if compared.old.interjudge != compared.new.interjudge:
        said.append(
            f"They were made by different versions of interjudge ({visible(compared.old.interjudge, 40)} and "
            f"{visible(compared.new.interjudge, 40)}): part of a difference may come from that."
        )
    if changes.questions:
        if compared.same_inputs:
            said.append(
                f"Both read {names(compared.same_inputs, _NAMED)}, byte for byte. Figures about the same outputs vary "
                "together, so the intervals of the differences, made as if the reports were independent, are wider "
                "than they need be: a clear difference is one, an unclear one may be."
            )
        else:
            said.append(
                "No input file is the same in both. The intervals of the differences are for reports on different "
                "outputs; on the same ones they would be wider than they need be."
            )
    return tuple(said)


def sentences(question: QuestionChange) -> tuple[str, ...]:
    """What changed on one question: agreement, judges, rates, conclusions."""
    found = (
        *_not_the_same(question),
        *_agreement(question),
        *_judges(question),
        *_ability(question),
        *_rates(question),
        *_conclusions(question),
    )
    return found or ("Nothing that both reports tell can be compared.",)


def _not_the_same(q: QuestionChange) -> Iterator[str]:
    if q.differs:
        yield (
            f"Careful: the two reports differ in the question's {listed(q.differs)}; what changed may be the question."
        )
    if q.confidence is None:
        yield "Their intervals are of different confidence, so the differences have none."


def _agreement(q: QuestionChange) -> Iterator[str]:
    alpha = next((c for c in q.coefficients if c.name == "krippendorff_alpha"), None)
    raw = next((c for c in q.coefficients if c.name == "percent_agreement"), None)
    if alpha is not None:
        yield f"Krippendorff's alpha went {_went(alpha, q, rate=False)}."
    if raw is not None:
        yield f"Raw agreement went {_went(raw, q, rate=True)}."
    old, new = q.effective_judges
    if old is not None and new is not None and f"{old:.1f}" != f"{new:.1f}":
        yield f"The panel is worth {new:.1f} judges that err independently; it was worth {old:.1f}."


def _went(change: Change, q: QuestionChange, *, rate: bool) -> str:
    """From, to, by how much, and whether that is clear."""
    before, after = value(change.old, rate=rate), value(change.new, rate=rate)
    return f"from {before} to {after}: {_by(change.difference, q, rate=rate)}"


def _by(e: Estimate, q: QuestionChange, *, rate: bool) -> str:
    if e.value is None:
        return f"no difference ({visible(e.undefined or 'no value', 120)})"
    said = f"{points(e.value)} points" if rate else signed(e.value)
    if e.ci_low is None or e.ci_high is None or q.confidence is None:
        return said
    low, high = (points(e.ci_low), points(e.ci_high)) if rate else (signed(e.ci_low), signed(e.ci_high))
    clear = "a clear change" if e.ci_low > 0 or e.ci_high < 0 else "no clear change"
    return f"{said} ({q.confidence * 100:g} % interval {low} to {high}), {clear}"


def signed(x: float) -> str:
    """A difference of coefficients: ``+.031``, ``-.004``, ``.000``."""
    text = number(x)
    return text if text.startswith(("-", "<", ">")) or text == ".000" else f"+{text}"


def _judges(q: QuestionChange) -> Iterator[str]:
    parts = []
    for status, words in (
        ("added", "new in the panel"),
        ("removed", "gone from it"),
        ("new version", "another version under the same name"),
        ("unknown version", "of unknown version"),
    ):
        found = [j.judge for j in q.judges if j.status == status]
        if found:
            parts.append(f"{words}: {names(found, _NAMED)}")
    yield f"Judges: {'; '.join(parts)}." if parts else "The judges are the same, each by its hash."


def _ability(q: QuestionChange) -> Iterator[str]:
    """Judges whose sensitivity, specificity or rate changed clearly; who leads the ranking."""
    for name, words, rate in _MEASURES[:4]:
        clear = [(j, change) for j in q.judges if (change := getattr(j, name)) is not None and change.clear]
        clear.sort(key=lambda entry: -abs(entry[1].difference.value or 0.0))
        label = f" of {quote(q.label)}" if name == "rate" and q.label is not None else ""
        for judge, change in clear[:2]:
            yield f"{quote(judge.judge)}: its {words}{label} went {_went(change, q, rate=rate)}."
        if len(clear) > 2:
            yield f"{count(len(clear) - 2, 'more judge')} changed clearly in {words}."
    ranked = [j for j in q.judges if j.rank is not None]
    best = next((j for j in ranked if j.rank and j.rank[1] == 1), None)
    was = next((j for j in ranked if j.rank and j.rank[0] == 1), None)
    if best is not None and was is not None and best is not was:
        yield f"First in the ranking is {quote(best.judge)}; it was {quote(was.judge)}."


def _rates(q: QuestionChange) -> Iterator[str]:
    whole = next((r for r in q.rates if r.model is None), None)
    if q.label is None:
        return
    if whole is not None:
        how = (
            ""
            if whole.corrected[0] == whole.corrected[1]
            else (f" (only the {'new' if whole.corrected[1] else 'old'} one is corrected by reference labels)")
        )
        yield f"The rate of {quote(q.label)} went {_went(whole, q, rate=True)}{how}."
    models = [r for r in q.rates if r.model is not None]
    clear = [r for r in models if r.clear]
    if models:
        which = f": {names([r.model or '' for r in clear], _NAMED)}" if clear else ""
        yield f"By model it changed clearly for {count(len(clear))} of {count(len(models))}{which}."
    moved = [r.model or "" for r in models if r.rank is not None and r.rank[0] != r.rank[1]]
    if moved:
        yield f"The order of the models by this rate changed: {names(moved, _NAMED)} stand elsewhere."


def _conclusions(q: QuestionChange) -> Iterator[str]:
    if not q.conclusions:
        return
    changed = [c for c in q.conclusions if c.changed]
    whole = count(len(q.conclusions), "comparison")
    if not changed:
        yield f"Of {whole} of models in both reports none changed."
        return
    round_ = " the other way round"
    shown = [
        f"{quote(c.a)} against {quote(c.b)} was “{c.old}”{round_ if c.old == c.new else ''}, is “{c.new}”"
        for c in changed[:3]
    ]
    more = f"; {count(len(changed) - 3)} more in the table" if len(changed) > 3 else ""
    yield f"Of {whole} of models in both reports {count(len(changed))} changed: {'; '.join(shown)}{more}."
    turned = [c for c in changed if c.turned]
    if turned:
        yield f"{count(len(turned))} of them turned round, clearly one way before and clearly the other way now."


# --- tables ---


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
    for name, words, rate in _MEASURES:
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


def render_markdown(compared: Compared) -> str:
    """The whole comparison; ends with a newline."""
    return "\n".join(_markdown(compared)) + "\n"


def _markdown(compared: Compared) -> Iterator[str]:
    yield f"# {TITLE}"
    yield ""
    yield from bullets(opening(compared))
    for question in compared.changes.questions:
        yield ""
        yield f"## {markdown_cell(heading(question))}"
        yield ""
        yield from bullets(sentences(question))
        for table in tables(question):
            yield ""
            yield from markdown_table(table, JSON_NAME)
    yield ""
    yield from bullets((method_note(compared),))


def heading(question: QuestionChange) -> str:
    return f"Question: {visible(question.name, 120)}"


def method_note(compared: Compared) -> str:
    """How the differences were made."""
    return f"{compared.changes.method[:1].upper()}{compared.changes.method[1:]}."
