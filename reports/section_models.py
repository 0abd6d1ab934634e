"""What of the comparisons of models survives: ranks, fine-tunes, errors by model, denominators, thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from interjudge.agreement.results import Agreement, Estimate
from interjudge.agreement.results_models import (
    Conclusions,
    Denominator,
    ErrorsByModel,
    FineTunes,
    Gap,
    JudgeErrors,
    RankAgreement,
    Sweep,
    TuneChange,
)
from interjudge.reports.table import Cell, Column, Dashes, Table, Tone, ends, first
from interjudge.reports.tables import MAX_ACROSS, rate_range
from interjudge.reports.wording import DASH, count, figure, names, p_value, percent, points, quote, value

_ALPHA: Final = 0.05  # below this adjusted p-value a judge is said to err differently on the models


def tables(found: Conclusions | None, agreement: Agreement, limit: int) -> tuple[Table, ...]:
    """Every table that has something to show, with at most `limit` rows each."""
    if found is None:
        return ()
    share = f"[{agreement.confidence * 100:g} %]"
    made = (
        ranks(found.ranks, limit, share),
        *([fine_tunes(found.fine_tunes, found.label, limit)] if found.fine_tunes else []),
        *([errors(found.errors, limit), biases(found.errors, found.label, limit)] if found.errors else []),
        denominators(found, limit),
        sweeps(found.sweeps, limit),
    )
    return tuple(table.without_empty() for table in made if table.rows)


def ranks(found: Sequence[RankAgreement], limit: int, share: str) -> Table:
    """Two judges a row, those that rank the models least alike first."""
    if not any(pair.n_pairs for pair in found):
        return Table("", (), ())
    ordered = sorted(found, key=lambda r: 2.0 if r.tau.value is None else r.tau.value)
    shown, gap = ends(ordered, limit)
    dashes = Dashes()
    rows = tuple(
        (
            Cell(r.a),
            Cell(r.b),
            dashes.cell(r.tau, f"{quote(r.a)} with {quote(r.b)}"),
            Cell(f"{count(r.n_flips)} of {count(r.n_pairs)}"),
            Cell(count(r.n_clear_flips), None, "warn" if r.n_clear_flips else ""),
        )
        for r in shown
    )
    columns = (
        Column("judge", "left", name=True),
        Column("and judge", "left", name=True),
        Column(f"tau-b {share}"),
        Column("pairs in another order"),
        Column("clear under both", rank=1),
    )
    notes = (
        "tau-b: 1 the same order of models, -1 the reverse; models that are close together lower it by chance alone",
    )
    return Table("How alike the judges rank the models", columns, rows, dashes.notes() + notes, gap)


def fine_tunes(found: FineTunes, label: str, limit: int) -> Table:
    """A row for each fine-tune on all outputs, those with both signs first, each followed by its benchmarks."""
    judges = [judge.judge for judge in found.judges]
    across = judges[:MAX_ACROSS]
    whole = [c for c in found.changes if c.benchmark is None]
    whole.sort(key=lambda c: (not _clearly_mixed(c), not _mixed(c)))
    ordered = [
        change
        for top in whole
        for change in (top, *(c for c in found.changes if c.benchmark is not None and c.model == top.model))
    ]
    shown, gap = first(ordered, limit)
    dashes = Dashes()
    rows = tuple(
        (
            Cell(c.model),
            Cell(c.base_model),
            Cell(c.benchmark if c.benchmark is not None else "all" if len(ordered) > len(whole) else ""),
            Cell("mixed, clearly" if _clearly_mixed(c) else "mixed" if _mixed(c) else "", None, _tone(c)),
            *(_change(c.change[judge], dashes, f"{quote(c.model)} under {quote(judge)}") for judge in across),
        )
        for c in shown
    )
    columns = (
        Column("fine-tune", "left", name=True),
        Column("base", "left", rank=2, name=True),
        Column("benchmark", "left", name=True),
        Column("signs", "left"),
        *(Column(judge, rank=1, name=True) for judge in across),
    )
    hidden = len(judges) - len(across)
    notes = (
        f"change of the rate of {quote(label)} from the base to the fine-tune in percentage points; *: the interval "
        "excludes 0; mixed: up under one judge, down under another; clearly: both with *",
        *([f"{count(hidden, 'more judge')} not shown"] if hidden else []),
    )
    return Table("Fine-tunes against their base, under each judge", columns, rows, dashes.notes() + notes, gap)


def _change(e: Estimate, dashes: Dashes, where: str) -> Cell:
    if e.value is None:
        return dashes.dash(e.undefined or "no reason given", where)
    return Cell(points(e.value) + ("*" if _excludes_zero(e) else ""))


def _excludes_zero(e: Estimate) -> bool:
    return e.ci_low is not None and e.ci_high is not None and (e.ci_low > 0 or e.ci_high < 0)


def _mixed(c: TuneChange) -> bool:
    return c.n_up > 0 and c.n_down > 0


def _clearly_mixed(c: TuneChange) -> bool:
    return c.n_clear_up > 0 and c.n_clear_down > 0


def _tone(c: TuneChange) -> Tone:
    return "warn" if _clearly_mixed(c) else ""


def errors(found: ErrorsByModel, limit: int) -> Table:
    """Judges down, Youden's J on each model across; first how far the models lie apart."""
    models = [m.model for m in found.judges[0].models] if found.judges else []
    across = models[:MAX_ACROSS]
    ordered = sorted(found.judges, key=lambda j: 2.0 if j.p_holm is None else j.p_holm)
    shown, gap = first(ordered, limit)
    dashes = Dashes()
    rows = tuple(
        (
            Cell(j.judge),
            Cell(_gap(j.youden_gap)),
            _p(j, dashes),
            *(dashes.cell(m.youden_j, f"{quote(j.judge)} on {quote(m.model)}") for m in j.models[: len(across)]),
        )
        for j in shown
    )
    columns = (
        Column("judge", "left", name=True),
        Column("largest gap"),
        Column("p, errors equal"),
        *(Column(model, rank=1, name=True) for model in across),
    )
    hidden = len(models) - len(across)
    notes = (
        f"Youden's J (sensitivity + specificity - 1) against the {found.against}; the gap's interval holds for all "
        "pairs of models; p: of equal sensitivity and specificity on all models, adjusted for all judges (Holm)",
        *_estimated(found),
        *([f"{count(hidden, 'more model')} not shown"] if hidden else []),
    )
    return Table("Does a judge err alike on all models?", columns, rows, dashes.notes() + notes, gap)


def _estimated(found: ErrorsByModel) -> tuple[str, ...]:
    if found.against == "reference":
        return ()
    return ("the truth is estimated from these verdicts and taken as certain: the errors are those the panel can see",)


def _gap(found: Gap | None) -> str:
    return "" if found is None else figure(found.difference)


def _p(judge: JudgeErrors, dashes: Dashes) -> Cell:
    if judge.p_holm is None:
        return dashes.dash(judge.p_equal.undefined or "no reason given", f"p of {quote(judge.judge)}")
    text = p_value(judge.p_holm, equals="")
    return Cell(text, None, "warn" if judge.p_holm < _ALPHA else "")


def biases(found: ErrorsByModel, label: str, limit: int) -> Table:
    """Judges down, models across: the judge's rate minus the true one."""
    models = [m.model for m in found.judges[0].models] if found.judges else []
    across = models[:MAX_ACROSS]
    ordered = sorted(found.judges, key=lambda j: -_size(j.bias_gap))
    shown, gap = first(ordered, limit)
    dashes = Dashes()
    rows = tuple(
        (
            Cell(j.judge),
            _points_gap(j.bias_gap),
            *(_points(m.bias, dashes, f"{quote(j.judge)} on {quote(m.model)}") for m in j.models[: len(across)]),
        )
        for j in shown
    )
    columns = (
        Column("judge", "left", name=True),
        Column("largest bias of a comparison"),
        *(Column(model, rank=1, name=True) for model in across),
    )
    hidden = len(models) - len(across)
    notes = (
        f"the judge's rate of {quote(label)} minus that of the {found.against} on the same outputs, in percentage "
        "points; of a comparison: how much of the difference between two models is the judge's doing",
        *([f"{count(hidden, 'more model')} not shown"] if hidden else []),
    )
    return Table("Bias of each judge's rates by model", columns, rows, dashes.notes() + notes, gap)


def _size(gap: Gap | None) -> float:
    return 0.0 if gap is None or gap.difference.value is None else gap.difference.value


def _points_gap(gap: Gap | None) -> Cell:
    return Cell("") if gap is None else _points(gap.difference, Dashes(), "")


def _points(e: Estimate, dashes: Dashes, where: str) -> Cell:
    if e.value is None:
        return dashes.dash(e.undefined or "no reason given", where)
    brief = points(e.value)
    if e.ci_low is None or e.ci_high is None:
        return Cell(brief)
    return Cell(f"{brief} [{points(e.ci_low)}, {points(e.ci_high)}]", brief)


def denominators(found: Conclusions, limit: int) -> Table:
    """Models down; the range of their rates over the judges among all outputs, and among those that others count."""
    if not found.denominators:
        return Table("", (), ())
    models = list(dict.fromkeys(rate.model for rate in found.rates))
    shown, gap = first(models, limit)
    parts = [found.rates, *(d.rates for d in found.denominators)]
    of = [{model: [r.rate for r in part if r.model == model] for model in shown} for part in parts]
    rows = tuple((Cell(model), *(Cell(_span(part[model])) for part in of)) for model in shown)
    columns = (
        Column("model", "left", name=True),
        Column("all outputs"),
        *(Column(f"{d.name} ({count(d.n_items)})", rank=1) for d in found.denominators),
    )
    notes = (f"range of the rate of {quote(found.label)} over the judges", *map(_flips, found.denominators))
    return Table("Which outputs count", columns, rows, notes, gap)


def _span(rates: Sequence[Estimate]) -> str:
    known = [rate for rate in rates if rate.value is not None]
    if not known:
        return DASH
    return rate_range(known) if len(known) > 1 else value(known[0], rate=True)


def _flips(d: Denominator) -> str:
    changed = [judge for judge, n in d.n_flips.items() if n]
    if not changed:
        return f"{d.name}: no two models change places under any judge"
    clear = sum(d.n_clear_flips.values())
    return (
        f"{d.name}: models change places under {names(changed)} "
        f"({count(sum(d.n_flips.values()), 'pair')} in all, {count(clear)} of them clear before and after)"
    )


def sweeps(found: Sequence[Sweep], limit: int) -> Table:
    """One judge a row: where its threshold stands, and what another would have changed."""
    # of two different scores there is one threshold alone
    shown, gap = first([s for s in found if s.undefined is not None or len(s.points) > 1], limit)
    dashes = Dashes()
    rows = tuple(_sweep(s, dashes) for s in shown)
    columns = (
        Column("judge", "left", name=True),
        Column("threshold"),
        Column("rate there"),
        Column("rate over all thresholds", rank=1),
        Column("kappa there", rank=1),
        Column("highest kappa", rank=2),
        Column("same order of models", rank=1),
    )
    against = list(dict.fromkeys(s.against for s in found))
    notes = (
        f"kappa against {names(against) if len(against) > 1 else ''.join(against)}; the highest kappa was picked on "
        "these very outputs; same order: the range of thresholds in which no two models change places or become equal",
    )
    return Table("What the threshold decides", columns, rows, dashes.notes() + notes, gap)


def _sweep(s: Sweep, dashes: Dashes) -> tuple[Cell, ...]:
    name = Cell(s.judge)
    if s.undefined is not None:
        return (name, dashes.dash(s.undefined, f"threshold of {quote(s.judge)}"), *[Cell("")] * 5)
    here = next((p for p in s.points if p.current), None)
    rates = [p.rate.value for p in s.points if p.rate.value is not None]
    best = max((p for p in s.points if p.kappa.value is not None), key=lambda p: p.kappa.value or 0, default=None)
    sign = "from" if s.positive_is == "high" else "up to"
    none = "the judge gives one label only" if s.current is None else "no verdict"
    return (
        name,
        Cell(f"{sign} {s.current:g}") if s.current is not None else dashes.dash(none, f"threshold of {quote(s.judge)}"),
        Cell("") if here is None else dashes.cell(here.rate, f"rate of {quote(s.judge)}", rate=True),
        Cell(f"{percent(min(rates))} to {percent(max(rates))}" if rates else ""),
        Cell("") if here is None else dashes.cell(here.kappa, f"kappa of {quote(s.judge)}"),
        Cell(f"{value(best.kappa)} at {best.threshold:g}" if best else ""),
        Cell(f"{s.stable[0]:g} to {s.stable[1]:g}" if s.stable else ""),
    )


def sentences(found: Conclusions | None, agreement: Agreement) -> tuple[str, ...]:
    """What holds under most judges, where fine-tunes change sign, and whether the judges err alike on all models."""
    if found is None:
        return ()
    said = (_standing(found, agreement), _tunes(found.fine_tunes, found.label), _errors(found), _choices(found))
    return tuple(sentence for sentence in said if sentence)


def _standing(found: Conclusions, a: Agreement) -> str:
    """What most judges clearly see, what is contested, and how alike they rank."""
    if len(a.judges) < 2 or not found.statements:
        return ""
    most = [s for s in found.statements if s.standing in ("all", "most")]
    contested = [s for s in found.statements if s.clear and s.clear_reverse]
    whole = f"{count(len(found.statements), 'difference')} between models that any judge sees"
    head = f"More than half of the judges' votes clearly agree on {count(len(most))} of {whole}"
    if len(found.statements) == 1:
        only = found.statements[0]
        they = "clearly agree" if most else "do not clearly agree"
        head = f"More than half of the judges' votes {they} that {quote(only.higher)} has a higher rate than "
        head += quote(only.lower)
    elif not most:
        head = f"On none of {whole} do more than half of the judges' votes clearly agree"
    if contested:
        top = contested[0]
        where = f"on {count(len(contested))}, " if len(found.statements) > 1 else ""
        head += (
            f"; {where}judges clearly contradict each other (whether {quote(top.higher)} has a "
            f"higher rate than {quote(top.lower)}: yes by {names(top.clear, 2)}, no by {names(top.clear_reverse, 2)})"
        )
    else:
        head += "; no two judges clearly contradict each other"
    known = [r for r in found.ranks if r.tau.value is not None]
    if known and len({rate.model for rate in found.rates}) > 2:
        least = min(known, key=lambda r: r.tau.value or 0)
        head += f". Least alike in ranking the models are {names((least.a, least.b))} (tau-b {figure(least.tau)})"
    return f"{head}."


def _tunes(found: FineTunes | None, label: str) -> str:
    """Whether fine-tuning raises the rate: by judge, by benchmark."""
    if found is None or found.mixed.value is None:
        return ""
    whole = count(found.mixed.n, "fine-tune")
    mixed, clearly = (round((e.value or 0) * e.n) for e in (found.mixed, found.clearly_mixed))
    head = f"Whether fine-tuning raised or lowered the rate of {quote(label)} depends on the judge for {mixed:,} of "
    head += whole + (f" ({clearly:,} of them with a clear change both ways)" if mixed else "")
    if found.mixed.n == 1:
        turns = "depends on the judge" if mixed else "does not depend on the judge"
        both = f" ({'a' if clearly else 'no'} clear change both ways)" if mixed else ""
        head = f"Whether the fine-tune raised or lowered the rate of {quote(label)} {turns}{both}"
    by = [j for j in found.judges if j.mixed.value is not None]
    worst = max(by, key=lambda j: (j.mixed.value or 0, j.clearly_mixed.value or 0), default=None)
    if worst is not None and worst.mixed.value:
        head += (
            f", and on the benchmark for {round(worst.mixed.value * worst.mixed.n):,} of {count(worst.mixed.n)} "
            f"under {quote(worst.judge)}"
        )
    elif worst is not None:
        head += ", and under no judge on the benchmark"
    return f"{head}."


def _errors(found: Conclusions) -> str:
    """Whether some judge errs more on one model than on another, which biases the comparison."""
    if found.errors is None:
        return ""
    tested = [j for j in found.errors.judges if j.p_holm is not None]
    if not tested:
        return ""
    unequal = [j for j in tested if (j.p_holm or 0) < _ALPHA]
    against = f"against the {found.errors.against}"
    if not unequal:
        who = "the judge errs" if len(tested) == 1 else "any judge errs"
        return (
            f"That {who} more on one model than on another is not shown ({against}); small differences may be missed."
        )
    shown = [j for j in unequal if j.bias_gap is not None and _excludes_zero(j.bias_gap.difference)]
    worst = max(shown or unequal, key=lambda j: _size(j.bias_gap))
    all_ = "Every judge" if len(unequal) == len(tested) > 1 else names(j.judge for j in unequal)
    verb = "errs" if len(unequal) == 1 or all_ == "Every judge" else "err"
    so = "biases" if shown else "may bias"
    head = f"{all_} {verb} differently on different models ({against}), which {so} comparisons of models"
    if worst.bias_gap is not None and worst.bias_gap.difference.value is not None:
        gap = worst.bias_gap
        sure = "" if found.errors.against == "reference" else "by estimate "
        head += (
            f": {sure}under {quote(worst.judge)} the rate of {quote(gap.high)} minus that of {quote(gap.low)} comes "
            f"out {_points(gap.difference, Dashes(), '').text.removeprefix('+')} points higher than it is"
            f"{'' if shown else ', which may be chance'}"
        )
    return f"{head}."


def _choices(found: Conclusions) -> str:
    """Where leaving outputs out, or another threshold, would have changed the order of models."""
    clear = [d for d in found.denominators if any(d.n_clear_flips.values())]
    parts = [f"{d.name} some models clearly change places" for d in clear]
    moved = [s.judge for s in found.sweeps if s.n_clear_flips]
    if moved:
        parts.append(f"with another threshold of {names(moved)} some models would clearly change places")
    if not parts:
        return ""
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."
