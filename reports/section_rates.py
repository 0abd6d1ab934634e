"""Rates of the positive label: what the judges say, and what it comes to once the reference has put it right."""

from __future__ import annotations

from typing import Final

from interjudge.agreement.results import Agreement, Estimate
from interjudge.agreement.results_rates import CONSENSUS, CorrectedRate, Rate, Rates
from interjudge.reports.table import Cell, Column, Dashes, Table, first
from interjudge.reports.tables import rate_range
from interjudge.reports.wording import count, names, percent, quote, spanned, value

_ALL: Final = "all outputs"
_MAX_NOTES: Final = 6


def tables(found: Rates | None, agreement: Agreement, limit: int) -> tuple[Table, ...]:
    """By model: the judges' range, the reference alone, the corrected rate; by judge: each way to correct."""
    if found is None or not found.n_labelled:
        return ()
    parts = (_by_model(found, agreement, limit), _by_judge(found, agreement, limit))
    return tuple(table.without_empty() for table in parts if table.rows)


def sentences(found: Rates | None, agreement: Agreement) -> tuple[str, ...]:
    """The rate to quote, what the judges said, and whether the models' corrected rates can be told apart."""
    if found is None or not found.rates:
        return ()
    label = quote(found.label)
    if not found.n_labelled:
        said = _said(found, None)
        return (f"Uncorrected: no reference labels, so the rate of {label} is only what the judges say ({said}).",)
    whole = _of(found, None)
    rate = whole.quoted
    cautious = tuple(f"Careful: {note}." for note in dict.fromkeys((*found.notes, *whole.notes)))
    answer = spanned(rate, agreement.confidence, rate=True)
    judged = f"; {_said(found, None)}"
    if found.n_labelled == found.n_items:
        head = f"Every output has a reference label: by these the rate of {label} is {answer}{judged}."
    elif whole.recommended == "reference_only":
        labels = count(found.n_labelled, "reference label")
        head = f"By {labels} alone the rate of {label} is {answer}{judged}."
    else:
        labels = count(found.n_labelled, "reference label")
        no_sample = ", which are no random sample" if whole.notes else ""
        head = f"Corrected by {labels}{no_sample}, the rate of {label} is {answer}{judged}."
    return (head, *_apart(found), *cautious)


def _of(found: Rates, model: str | None) -> Rate:
    """The row that is quoted: of the judge in `quoted`, else of the first."""
    rows = [r for r in found.rates if r.model == model]
    return next((r for r in rows if r.judge == found.quoted), rows[0])


def _models(found: Rates) -> list[str]:
    return list(dict.fromkeys(r.model for r in found.rates if r.model is not None))


def _judged(found: Rates, model: str | None) -> list[Estimate]:
    """The judges' own raw rates, without the consensus unless it is alone."""
    rows = [r for r in found.rates if r.model == model]
    return [r.raw for r in rows if r.judge != CONSENSUS] or [r.raw for r in rows]


def _said(found: Rates, model: str | None) -> str:
    known = sorted(e.value for e in _judged(found, model) if e.value is not None)
    if not known:
        return "no judge has a verdict"
    if len(known) == 1:
        return f"the judge said {percent(known[0])}"
    low, high = percent(known[0]), percent(known[-1])
    return f"the judges said {low}" if low == high else f"the judges said {low.removesuffix(' %')} to {high}"


def _apart(found: Rates) -> tuple[str, ...]:
    """The highest and the lowest corrected rate among the models, and models that stay uncorrected."""
    rows = [_of(found, model) for model in _models(found)]
    known = sorted((e.value, r.model or "") for r in rows if r.corrected and (e := r.quoted).value is not None)
    bare = [r.model or "" for r in rows if not r.corrected]
    said = []
    if len(known) > 1:
        low, high = (next(r for r in rows if r.model == model) for _, model in (known[0], known[-1]))
        overlap = low.quoted.ci_high is None or high.quoted.ci_low is None or low.quoted.ci_high >= high.quoted.ci_low
        ends = " and ".join(
            f"{words} for {quote(r.model or '')} ({value(r.quoted, rate=True)})"
            for words, r in (("highest", high), ("lowest", low))
        )
        verdict = (
            "their intervals overlap, so the order of the models is not settled"
            if overlap
            else "their intervals lie apart"
        )
        said.append(f"By model the rate is {ends}; {verdict}.")
    if bare:
        stay = "stays" if len(bare) == 1 else "stay"
        said.append(f"Uncorrected {stay} {names(bare)}: no reference labels there.")
    return tuple(said)


def _by_model(found: Rates, a: Agreement, limit: int) -> Table:
    models = _models(found)
    shown, gap = first([None, *models] if len(models) != 1 else [None], limit)
    dashes = Dashes()
    rows = []
    for model in shown:
        row, where = _of(found, model), _ALL if model is None else quote(model)
        judged = _judged(found, model)
        span = rate_range(judged) if len(judged) > 1 else value(judged[0], rate=True)
        answer = dashes.cell(row.quoted, where, rate=True) if row.corrected else Cell("uncorrected")
        rows.append(
            (
                Cell(_ALL if model is None else model),
                Cell(count(row.n_items)),
                Cell(count(row.n_labelled)),
                Cell(span),
                dashes.cell(row.reference_only, f"reference of {where}", rate=True),
                answer,
            )
        )
    columns = (
        Column("model", "left", name=True),
        Column("outputs", rank=3),
        Column("labels", rank=2),
        Column("the judges say", rank=1),
        Column(f"reference only {_share(a)}", rank=1),
        Column(f"corrected {_share(a)}"),
    )
    whole = _of(found, None)
    notes = [*dashes.notes()]
    if whole.corrected and whole.recommended != "reference_only":
        notes.append(f"corrected: the verdicts of {_name(whole.judge)}, put right by the reference; {whole.why}")
    if any(_of(found, m).n_labelled == 0 for m in shown):
        notes.append("uncorrected: no reference labels")
    notes += [f"{_ALL if m is None else quote(m)}: {n}" for m in shown for n in _of(found, m).notes][:_MAX_NOTES]
    return Table(f"Rate of {quote(found.label)}, corrected", columns, tuple(rows), tuple(notes), gap)


def _by_judge(found: Rates, a: Agreement, limit: int) -> Table:
    """Over all outputs."""
    everyone = [r for r in found.rates if r.model is None and (r.ppi_stratified or r.sampled) is not None]
    shown, gap = first(everyone, limit)
    dashes = Dashes()
    rows, notes = [], []
    for r in shown:
        ways = (
            ("Rogan-Gladen", r.rogan_gladen), ("PPI++", r.ppi), ("stratified", r.ppi_stratified), ("sampled", r.sampled)
        )  # fmt: skip
        cells = [dashes.cell(e, f"{words} of {quote(r.judge)}", rate=True) for words, e in ways]
        notes += [f"{words} of {quote(r.judge)}: {_note(e)}" for words, e in ways if e is not None and e.note]
        worth = "" if r.effective_labels is None else count(round(r.effective_labels))
        rows.append((Cell(r.judge), dashes.cell(r.raw, quote(r.judge), rate=True), _bounds(r), *cells, Cell(worth)))
    columns = (
        Column("judge", "left", name=True),
        Column(f"says {_share(a)}", rank=1),
        Column("bounds", rank=4),
        Column("Rogan-Gladen", rank=3),
        Column("PPI++", rank=3),
        Column("stratified"),
        Column("sampled"),
        Column("worth in labels", rank=2),
    )
    if len(notes) > _MAX_NOTES:
        notes = [*notes[:_MAX_NOTES], f"{count(len(notes) - _MAX_NOTES, 'more note')} in report.json"]
    if any(_bounds(r).text for r in shown):
        notes.append("bounds: what it says if every verdict that is missing had said the other label, or this one")
    if any(r.effective_labels is not None for r in shown):
        labels = count(found.n_labelled, "label")
        notes.append(f"worth in labels: how many labels alone would tell as much as this judge with the {labels}")
    if any(r.sampled is not None for r in shown):
        notes.append("sampled: the labels were drawn with unequal probabilities, and each is weighed by its own")
    return Table("Each judge, corrected by the reference", columns, tuple(rows), (*dashes.notes(), *notes), gap)


def _note(e: CorrectedRate) -> str:
    nearest = "" if e.clipped is None else f"; the nearest possible rate is {percent(e.clipped)}"
    return f"{e.note}{nearest}"


def _bounds(r: Rate) -> Cell:
    if r.bounds is None or r.bounds[0] == r.bounds[1]:
        return Cell("")
    low, high = (percent(v).removesuffix(" %") for v in r.bounds)
    return Cell(f"{low} to {high} %")


def _name(judge: str) -> str:
    return "the panel's consensus" if judge == CONSENSUS else quote(judge)


def _share(a: Agreement) -> str:
    return f"[{a.confidence * 100:g} %]"
