"""Two reports beside each other: what changed, as one object, in sentences, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from interjudge.agreement.compare import compare
from interjudge.agreement.results import Estimate, Result
from interjudge.agreement.results_compare import Change, Changes, QuestionChange, RateChange
from interjudge.reports.compare_tables import MEASURES, signed, tables
from interjudge.reports.escape import markdown_cell, visible
from interjudge.reports.markdown import bullets, markdown_table
from interjudge.reports.report import InputFile, Report
from interjudge.reports.wording import count, listed, names, points, quote, value

TITLE: Final = "What changed between two reports"
JSON_NAME: Final = "compare.json"
MARKDOWN_NAME: Final = "compare.md"
_NAMED: Final = 6


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
        yield f"Krippendorff's alpha {_went(alpha, q, rate=False)}."
    if raw is not None:
        yield f"Raw agreement {_went(raw, q, rate=True)}."
    old, new = q.effective_judges
    if old is not None and new is not None and f"{old:.1f}" != f"{new:.1f}":
        yield f"The panel is worth {new:.1f} judges that err independently; it was worth {old:.1f}."


def _went(change: Change, q: QuestionChange, *, rate: bool) -> str:
    """From, to, by how much, and whether that is clear."""
    before, after = value(change.old, rate=rate), value(change.new, rate=rate)
    if change.old == change.new and change.old.value is not None:
        return f"stayed at {after}"
    return f"went from {before} to {after}: {_by(change.difference, q, rate=rate)}"


def _by(e: Estimate, q: QuestionChange, *, rate: bool) -> str:
    if e.value is None:
        return f"the difference is unknown ({visible(e.undefined or 'no value', 120)})"
    said = f"{points(e.value)} points" if rate else signed(e.value)
    if e.ci_low is None or e.ci_high is None or q.confidence is None:
        return said
    low, high = (points(e.ci_low), points(e.ci_high)) if rate else (signed(e.ci_low), signed(e.ci_high))
    clear = "a clear change" if e.ci_low > 0 or e.ci_high < 0 else "no clear change"
    return f"{said} ({q.confidence * 100:g} % interval {low} to {high}), {clear}"


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
    for name, words, rate in MEASURES[:4]:
        clear = [(j, change) for j in q.judges if (change := getattr(j, name)) is not None and change.clear]
        clear.sort(key=lambda entry: -abs(entry[1].difference.value or 0.0))
        label = f" of {quote(q.label)}" if name == "rate" and q.label is not None else ""
        for judge, change in clear[:2]:
            yield f"{quote(judge.judge)}: its {words}{label} {_went(change, q, rate=rate)}."
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
        yield f"The rate of {quote(q.label)} {_went(whole, q, rate=True)}{_corrected_once([whole])}."
    models = [r for r in q.rates if r.model is not None]
    clear = [r for r in models if r.clear]
    if models:
        which = f": {names([r.model or '' for r in clear], _NAMED)}" if clear else ""
        which += _corrected_once(clear)
        yield f"By model it changed clearly for {count(len(clear))} of {count(len(models))}{which}."
    moved = [r.model or "" for r in models if r.rank is not None and r.rank[0] != r.rank[1]]
    if moved:
        stand = "stands" if len(moved) == 1 else "stand"
        yield f"The order of the models by this rate changed: {names(moved, _NAMED)} {stand} elsewhere."


def _corrected_once(rows: Sequence[RateChange]) -> str:
    """Where reference labels corrected rates in one report alone: what changed is the way of estimating too."""
    sides = [side for i, side in enumerate(("old", "new")) if any(r.corrected[i] > r.corrected[1 - i] for r in rows)]
    return f"; corrected by reference labels in the {listed(sides)} report alone, which is part of it" if sides else ""


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
