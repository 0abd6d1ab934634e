"""How much is enough: where the variance comes from, what more judges or outputs would do, which labels are needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from interjudge.agreement.results import Agreement
from interjudge.agreement.results_plan import (
    DecisionPoint,
    DStudy,
    Facet,
    GStudy,
    HelpedRate,
    LabelPlan,
    Needed,
    PlanResult,
    TellApart,
)
from interjudge.reports.escape import visible
from interjudge.reports.table import Cell, Column, Dashes, Table, first
from interjudge.reports.wording import DASH, count, number, percent, quote, spanned

_FAMILIES: Final = 0.9  # a panel worth less than this share of its judges has judges that err together
_WORDS: Final[dict[Facet, str]] = {
    "model": "models",
    "item": "outputs",
    "judge": "judges",
    "judge x model": "judges x models",
    "item x judge": "judges x outputs",
    "residual": "asking again",
}
_MEANS: Final[dict[Facet, str]] = {
    "model": "models that differ for every judge",
    "item": "outputs that differ for every judge",
    "judge": "judges that give it more or less often",
    "judge x model": "judges that rank the models differently",
    "item x judge": "judges that see single outputs differently",
    "residual": "what changes when the same judge is asked the same again",
}
_ALONE: Final = ("judges x outputs", "judges that see single outputs differently, and chance")
_ADVICE: Final[dict[Facet, str]] = {
    "model": "the models differ by more than their outputs and judges do",
    "item": "the judges see much the same differences between outputs",
    "judge": "more outputs will not help, judges that use the labels alike will",
    "judge x model": "which model looks better depends on the judge, and only more judges help",
    "item x judge": "to tell single outputs apart more judges are needed",
    "residual": "asking the same judges again and taking the mean helps",
}


def tables(found: PlanResult, _agreement: Agreement | None, limit: int) -> tuple[Table, ...]:
    """Components of variance, expected reliabilities, smallest numbers, reference labels; at most `limit` rows each."""
    g, d, labels = found.variance, found.decision, found.labels
    made = [
        *([_components(g)] if g else []),
        *([_outputs(d, limit), _models(d, limit), _needed(d)] if d else []),
        *([_rate(labels, limit, found.notes), _judges(labels, limit)] if labels else []),
    ]
    return tuple(table.without_empty() for table in made if table.rows)


def sentences(found: PlanResult, agreement: Agreement | None) -> tuple[str, ...]:
    """Where the variance is and what helps; how far the panel is from the target; how many labels a rate needs; how
    many tell the two best judges apart."""
    g, d, labels = found.variance, found.decision, found.labels
    said = [
        _variance(g) if g else _no_variance(found),
        *(_reliability(g, d) if g and d else ()),
        _rate_sentence(labels) if labels else _no_labels(found),
        _two_best(labels.two_best, labels, agreement) if labels and labels.two_best else "",
    ]
    return tuple(sentence for sentence in said if sentence)


def next_table(rows: Iterable[Mapping[str, Any]], limit: int) -> Table:
    """The first of the outputs to label next (rows with the columns of `label_plan.NEXT_COLUMNS`)."""
    shown, gap = first(list(rows), limit)
    cells = tuple(
        (
            Cell(row["item_id"]),
            Cell(row["why"]),
            Cell(DASH if row["p_consensus_wrong"] is None else number(row["p_consensus_wrong"])),
            Cell(f"{row['inclusion_probability']:.4f}"),
        )
        for row in shown
    )
    columns = (
        Column("item", "left", name=True),
        Column("why", "left", rank=2),
        Column("consensus wrong", rank=1),
        Column("probability of being drawn"),
    )
    notes = ("in random order; weight each label by one over its probability",)
    return Table("Outputs to label next", columns, cells, notes, gap)


def _no_variance(found: PlanResult) -> str:
    why = visible(found.undefined or "unknown", 80)
    return f"How many judges or outputs are enough cannot be said from this panel: {why}."


def _no_labels(found: PlanResult) -> str:
    return f"How many reference labels are needed cannot be said: {visible(found.labels_undefined or 'unknown', 120)}."


def _facet(facet: Facet, g: GStudy) -> tuple[str, str]:
    """In a table: its name, and what it is."""
    together = facet == "residual" and all(c.facet != "item x judge" for c in g.components)
    return _ALONE if together else (_WORDS[facet], _MEANS[facet])


def _variance(g: GStudy) -> str:
    known = [c for c in g.components if c.share.value is not None]
    if not known:
        return ""
    top = max(known, key=lambda c: c.share.value or 0.0)
    name, means = _facet(top.facet, g)
    part = "Most" if (top.share.value or 0) > 0.5 else "The largest part"
    advice = _ADVICE["item x judge" if (name, means) == _ALONE else top.facet]
    return f"{part} of the variance of a verdict ({percent(top.share.value or 0)}) comes from {means}: {advice}."


def _reliability(g: GStudy, d: DStudy) -> tuple[str, ...]:
    now = g.generalizability
    need = _need(d, "item", "judges")
    if now.value is None or need is None:
        return ()
    whole = round(g.n_judges_each)
    judges = count(whole, "judge") if abs(g.n_judges_each - whole) < 0.05 else f"{g.n_judges_each:.1f} judges"
    parts = [f"The mean verdict of {judges} on an output has a reliability of {spanned(now, g.confidence)}"]
    target = _number(d.target)
    if need.value is None:
        parts.append(f"{target} is out of reach: {need.undefined or 'unknown'}")
    elif need.value <= whole:
        parts.append(f"{target} is reached with {need.value:,}")
    else:
        more = count(need.value - whole, "more judge")
        parts.append(f"with {more} like these it would reach {target}: {need.value:,} in all{_span(need)}")
    step = d.next_judge
    if step is not None and whole > 1 and step.fresh > step.copy_of_one:
        parts.append(
            f"one more such judge makes it {number(step.fresh)}, a copy of one of them {number(step.copy_of_one)}"
        )
    return ("; ".join(parts) + ".", *_effective(g, d))


def _effective(g: GStudy, d: DStudy) -> tuple[str, ...]:
    if d.effective_judges is None or d.effective_judges >= _FAMILIES * g.n_judges:
        return ()
    return (
        f"These {g.n_judges:,} judges are worth {d.effective_judges:.1f} that err independently: a further judge of a "
        "kind that is already there adds less than that, and errors they share look like agreement.",
    )


def _span(need: Needed) -> str:
    """The interval of a smallest number in words."""
    if need.low is None:
        return ""
    high = "no end" if need.high is None else f"{need.high:,}"
    return "" if need.low == need.high else f" ({need.low:,} to {high})"


def _need(d: DStudy, of: str, what: str) -> Needed | None:
    matching = (n for n in d.needed if (n.of, n.what, n.coefficient) == (of, what, "generalizability"))
    return next(matching, None)


def _number(target: float) -> str:
    return f"{target:g}".removeprefix("0")


def _half(labels: LabelPlan) -> str:
    return f"±{50 * labels.width:.3g} points"


def _rate_sentence(labels: LabelPlan) -> str:
    rate = labels.rate
    known = f"To know the rate of {quote(rate.label)} within {_half(labels)}"
    if rate.n > labels.n_items:
        here = count(labels.n_items, "output")
        all_ = "all of them have one" if labels.n_labelled >= labels.n_items else "label them all"
        head = f"{known}, {rate.n:,} reference labels are needed, more than the {here} there are: {all_}"
    else:
        head = f"{known}, {count(rate.n, 'reference label')} drawn at random are needed{_already(labels, rate.n)}"
    helped = [h for h in rate.helped if h.n is not None and h.n < rate.n]
    best = min(helped, key=lambda h: (h.n or 0, h.judge is None), default=None)
    if best is None:
        return f"{head}."
    who = "with the help of all judges' votes" if best.judge is None else f"with the help of {quote(best.judge)}"
    return f"{head}; {who}{_range(best)}{_flatters(labels)}."


def _range(helped: HelpedRate) -> str:
    if helped.n_low is None or helped.n_high is None or helped.n_low == helped.n_high:
        return f" {helped.n:,}"
    return f" {helped.n:,} ({helped.n_low:,} to {helped.n_high:,})"


def _flatters(labels: LabelPlan) -> str:
    if labels.source == "reference labels":
        return ""
    return f", if the judges are as good as the {labels.source} makes them: without reference labels that flatters them"


def _already(labels: LabelPlan, n: int) -> str:
    return f"; {labels.n_labelled:,} are there" if labels.n_labelled >= n else ""


def _two_best(found: TellApart, labels: LabelPlan, agreement: Agreement | None) -> str:
    sizes = [judge.n_ok for judge in agreement.judges] if agreement else []
    among = " of those with enough verdicts" if sizes and 2 * min(sizes) < max(sizes) else ""
    pair = (
        f"the two judges that are right most often{among} ({quote(found.a)} {percent(found.accuracy_a)}, "
        f"{quote(found.b)} {percent(found.accuracy_b)})"
    )
    if found.n is None or found.n_where_they_differ is None:
        return f"No number of labels is known to tell apart {pair}: {found.undefined or 'unknown'}."
    said = f"To tell apart {pair}, {count(found.n, 'label')} drawn at random are needed"
    either = f"or {found.n_where_they_differ:,} on outputs where they differ"
    short = found.n_where_they_differ > found.differ * labels.n_items
    more = "; there are not as many outputs here" if short else _already(labels, found.n)
    return f"{said}, {either}{more}."


def _components(g: GStudy) -> Table:
    dashes = Dashes()
    rows = tuple(
        (
            Cell(_facet(c.facet, g)[0]),
            Cell(_facet(c.facet, g)[1]),
            dashes.cell(c, c.facet),
            dashes.cell(c.share, c.facet, rate=True),
        )
        for c in g.components
    )
    share = f"[{100 * g.confidence:g} %]"
    columns = (
        Column("comes from", "left"),
        Column("that is", "left", rank=2),
        Column(f"variance {share}", rank=1),
        Column(f"share {share}"),
    )
    scale = f"variance of: {visible(g.scale, 120)}"
    return Table("Where the variance of a verdict comes from", columns, rows, (scale, *g.notes, *dashes.notes()))


def _outputs(d: DStudy, limit: int) -> Table:
    points = [p for p in d.points if p.of == "item"]
    repeated = len({p.n_repeats for p in points}) > 1
    shown, gap = first(points, limit)
    rows = tuple(
        (
            Cell(count(p.n_judges)),
            Cell(count(p.n_repeats) if repeated else ""),
            _reached(p.generalizability, d.target),
            _reached(p.dependability, d.target),
        )
        for p in shown
    )
    columns = (
        Column("judges"),
        Column("asked each"),
        Column("generalisability"),
        Column("dependability"),
    )
    notes = (
        "generalisability: for comparing outputs; dependability: for the level itself; both for judges that differ "
        "from these as these differ from each other",
    )
    return Table("Reliability of the mean verdict on an output", columns, rows, notes, gap)


def _reached(value: float, target: float) -> Cell:
    return Cell(number(value), tone="good" if value >= target else "")


def _models(d: DStudy, limit: int) -> Table:
    points = [p for p in d.points if p.of == "model"]
    judges = sorted({p.n_judges for p in points})
    of: dict[tuple[int | None, int], DecisionPoint] = {(p.n_items, p.n_judges): p for p in points}
    items, gap = first(sorted({p.n_items for p in points if p.n_items is not None}), limit)
    rows = tuple(
        (
            Cell(count(n)),
            *(_reached(of[n, j].generalizability, d.target) if (n, j) in of else Cell(DASH) for j in judges),
        )
        for n in items
    )
    columns = (Column("outputs of each model"), *(Column(count(j, "judge"), rank=i) for i, j in enumerate(judges)))
    notes = ("generalisability of a model's mean, where every model has other outputs",)
    return Table("Reliability of the comparison of models", columns, rows, notes, gap)


def _needed(d: DStudy) -> Table:
    names = {"item": "outputs", "model": "models"}
    rows = tuple(
        (
            Cell(f"{names[n.of]}, {'comparing' if n.coefficient == 'generalizability' else 'level'}"),
            Cell({"items": "outputs a model", "judges": "judges", "repeats": "askings of a judge"}[n.what]),
            Cell(f"{n.now:,.1f}".removesuffix(".0")),
            Cell(DASH if n.value is None else f"{n.value:,}{_span(n)}"),
            Cell(n.undefined or ""),
        )
        for n in d.needed
    )
    columns = (
        Column("to measure", "left"),
        Column("number of", "left"),
        Column("now"),
        Column(f"needed for {_number(d.target)}"),
        Column("why not", "left", rank=1),
    )
    notes = ("the others staying as they are; in brackets: the ends of the interval",)
    return Table("What is enough", columns, rows, notes)


def _rate(labels: LabelPlan, limit: int, more: Sequence[str]) -> Table:
    rate, dashes = labels.rate, Dashes()
    ordered = sorted(rate.helped, key=lambda h: (h.n is None, h.n or 0, h.judge is None))
    shown, gap = first(ordered, limit)
    rows = [(Cell("nobody"), Cell(""), Cell(count(rate.n)))]
    rows += [
        (
            Cell("all votes" if h.judge is None else h.judge),
            dashes.cell(h.correlation, "all votes" if h.judge is None else quote(h.judge)),
            Cell(DASH) if h.n is None else Cell(_range(h).strip(), f"{h.n:,}"),
        )
        for h in shown
    ]
    columns = (Column("helped by", "left", name=True), Column("correlation with the truth", rank=1), Column("labels"))
    notes = (
        f"drawn at random; at a rate of {percent(rate.rate)} ({labels.source}); {rate.n_at_half:,} should it be 50 %",
        f"there are {count(labels.n_items, 'output')}, {labels.n_labelled:,} of them with a reference label",
    )
    title = f"Reference labels for the rate of {quote(rate.label)} within {_half(labels)}"
    return Table(title, columns, tuple(rows), (*notes, *more, *dashes.notes()), gap and (gap[0] + 1, gap[1]))


def _judges(labels: LabelPlan, limit: int) -> Table:
    shown, gap = first(labels.judges, limit)
    rows = tuple(
        (
            Cell(j.judge),
            _share(j.sensitivity),
            _labels(j.positives, j.n_sensitivity),
            _share(j.specificity),
            _labels(j.negatives, j.n_specificity),
        )
        for j in shown
    )
    columns = (
        Column("judge", "left", name=True),
        Column("sensitivity", rank=2),
        Column("labels for it"),
        Column("specificity", rank=2),
        Column("labels for it"),
    )
    notes = (
        f"drawn at random, to hold the labels in brackets that are {quote(labels.rate.label)} (sensitivity) or not "
        f"(specificity); assumed: {labels.source}",
    )
    return Table(f"Reference labels for each judge within {_half(labels)}", columns, rows, notes, gap)


def _share(value: float | None) -> Cell:
    return Cell(DASH if value is None else percent(value))


def _labels(own: int | None, n: int | None) -> Cell:
    return Cell(DASH) if own is None or n is None else Cell(f"{n:,} ({own:,})", f"{n:,}")
