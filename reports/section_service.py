"""Missing verdicts and whether they are random; how steady the judges are; what they cost and how long they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from interjudge.agreement.results import Agreement
from interjudge.agreement.results_service import (
    JudgeCost,
    JudgeMissing,
    JudgeStability,
    Known,
    MissingGroup,
    MissingTest,
    RepeatsNeeded,
    Service,
)
from interjudge.reports.table import Cell, Column, Dashes, Table, descending, ends, first
from interjudge.reports.wording import count, listed, names, p_value, percent, quote, share, value

_LEVEL: Final = 0.05

_by_share: Final[Callable[[MissingGroup], float]] = descending(lambda g: g.share.value)
_by_cost: Final[Callable[[JudgeCost], float]] = descending(lambda j: j.cost_per_1000)


def tables(
    found: Service | None, agreement: Agreement, limit: int, stable: Sequence[JudgeStability] = ()
) -> tuple[Table, ...]:
    """Missing verdicts by model, tests of chance, steadiness over repeats, cost and latency."""
    bracket = f"[{agreement.confidence * 100:g} %]"
    parts: list[Table] = []
    if found is not None:
        parts += [_missing(found.missing, bracket, limit), _tests(found.missing, limit)]
    parts.append(_stability(stable, bracket, limit))
    if found is not None:
        parts.append(_costs(found.costs, limit))
    return tuple(table.without_empty() for table in parts if table.rows)


def _gone(judges: Sequence[JudgeMissing]) -> list[JudgeMissing]:
    return sorted((j for j in judges if j.missing), key=lambda j: -j.missing)


def _missing(judges: Sequence[JudgeMissing], bracket: str, limit: int) -> Table:
    """Groups with a missing verdict, or each judge's total where models are not told apart."""
    entries: list[tuple[str, MissingGroup | JudgeMissing]] = []
    for judge in _gone(judges):
        groups = sorted((g for g in judge.by_model if g.missing), key=_by_share)
        entries += [(judge.judge, g) for g in groups] or [(judge.judge, judge)]
    shown, gap = first(entries, limit)
    rows = tuple(
        (
            Cell(name),
            Cell("" if isinstance(g, JudgeMissing) else "(none)" if g.group is None else g.group),
            Cell(count(g.n)),
            Cell(count(g.missing)),
            Dashes().cell(g.share, name, rate=True),
            Cell(", ".join(f"{count(n)} {status}" for status, n in g.by_status.items())),
        )
        for name, g in shown
    )
    columns = (
        Column("judge", "left", name=True),
        Column("model", "left", name=True),
        Column("asked", rank=2),
        Column("missing"),
        Column(f"share {bracket}", rank=1),
        Column("status", "left", rank=3),
    )
    return Table("Missing verdicts by model", columns, rows, (), gap)


def _tests(judges: Sequence[JudgeMissing], limit: int) -> Table:
    some = [j for j in _gone(judges) if j.model_test.p_value is not None or j.label_test.p_value is not None]
    shown, gap = first(some, limit)
    rows = tuple(
        (
            Cell(j.judge),
            Cell(share(j.missing, j.n, "verdict"), count(j.missing)),
            *_test(j.model_test, j.by_model),
            *_test(j.label_test, j.by_label),
        )
        for j in shown
    )
    columns = (
        Column("judge", "left", name=True),
        Column("missing", rank=2),
        Column("by model"),
        Column("most often on", "left", rank=1, name=True),
        Column("by the others' label"),
        Column("most often where they say", "left", rank=1, name=True),
    )
    how = "simulated" if any("simulated" in (j.model_test.how, j.label_test.how) for j in some) else ""
    clustered = any("clustered" in (j.model_test.how, j.label_test.how) for j in some)
    units = ", allowing for dependence within sampling units" if clustered else ""
    notes = (
        "p: chance of shares this unequal if verdicts went missing at random (chi-square"
        f"{', simulated where counts are small' if how else ''}{units}; corrected for the number of judges)",
    )
    return Table("Do verdicts go missing at random?", columns, rows, notes, gap)


def _test(test: MissingTest, groups: Sequence[MissingGroup]) -> tuple[Cell, Cell]:
    p = test.p_adjusted if test.p_adjusted is not None else test.p_value
    if p is None:
        return Cell(""), Cell("")
    worst = _worst(groups)
    return Cell(f"p {p_value(p)}", None, "warn" if p < _LEVEL else ""), Cell("" if worst is None else _group(worst))


def _worst(groups: Sequence[MissingGroup]) -> MissingGroup | None:
    known = [g for g in groups if g.share.value is not None and g.missing]
    return max(known, key=lambda g: (g.share.value or 0.0, g.missing), default=None)


def _group(group: MissingGroup) -> str:
    return "(none)" if group.group is None else group.group


def _stability(judges: Sequence[JudgeStability], bracket: str, limit: int) -> Table:
    ordered = sorted(judges, key=descending(_steadiness))
    shown, gap = ends(ordered, limit)
    dashes = Dashes()
    rows = []
    for j in shown:
        name = quote(j.judge)
        rows.append(
            (
                Cell(j.judge),
                Cell(count(j.n_items)),
                Cell(count(j.n_repeats)),
                dashes.cell(j.agreement, f"agreement of {name}", rate=True),
                dashes.cell(j.kappa, f"kappa of {name}"),
                dashes.cell(j.flip_rate, f"flips of {name}", rate=True),
                dashes.cell(j.unstable, f"unstable verdicts of {name}", rate=True),
                Cell("" if j.unstable_bounds is None else _between(*j.unstable_bounds)),
                dashes.cell(j.coin_toss, f"coin tosses of {name}", rate=True),
                Cell("" if j.repeats_needed is None else _needed(j.repeats_needed)),
                dashes.cell(j.within_sd, f"deviation of {name}"),
                dashes.cell(j.icc, f"ICC of {name}"),
            )
        )
    columns = (
        Column("judge", "left", name=True),
        Column("outputs", rank=5),
        Column("repeats", rank=4),
        Column(f"two repeats agree {bracket}", rank=1),
        Column("kappa", rank=3),
        Column("label changes", rank=2),
        Column("not its usual verdict", rank=1),
        Column("at least, at most", rank=3),
        Column("coin tosses", rank=4),
        Column("repeats needed"),
        Column(f"deviation within an output {bracket}", rank=1),
        Column("ICC", rank=1),
    )
    notes: tuple[str, ...] = ()
    if any(j.unstable is not None for j in judges):
        notes = (
            "not its usual verdict: single verdicts that differ from what the judge would say most often; repeats "
            "needed: so that their majority is that with 95 %; coin tosses: outputs on which no label comes in 60 % "
            "of the times (all three from a Dirichlet model of the judge's doubt; at least, at most: the first of "
            "them whatever the model)",
        )
    return Table("The same judge asked again", columns, tuple(rows), dashes.notes() + notes, gap)


def _between(low: float, high: float) -> str:
    return f"{percent(low).removesuffix(' %')} to {percent(high)}"


def _steadiness(judge: JudgeStability) -> float | None:
    for estimate in (judge.agreement, judge.icc):
        if estimate is not None:
            return estimate.value
    return None


def _needed(found: RepeatsNeeded) -> str:
    if found.value is None:
        return f"more than {found.most}"
    if found.low is None or found.low == found.high:
        return count(found.value)
    high = f"{found.high}" if found.high is not None else f"more than {found.most}"
    return f"{found.value} [{found.low}, {high}]"


def _costs(judges: Sequence[JudgeCost], limit: int) -> Table:
    known = [j for j in judges if j.latency_n or j.cost_usd.n or j.input_tokens.n or j.output_tokens.n]
    shown, gap = ends(sorted(known, key=_by_cost), limit)
    rows = tuple(
        (
            Cell(j.judge),
            Cell(count(j.n_verdicts)),
            Cell("" if j.latency_median_s is None else _seconds(j.latency_median_s)),
            Cell("" if j.latency_p95_s is None else _seconds(j.latency_p95_s)),
            Cell(_total(j.input_tokens, j.n_verdicts)),
            Cell(_total(j.output_tokens, j.n_verdicts)),
            Cell(_total(j.cost_usd, j.n_verdicts, dollars=True)),
            Cell("" if j.cost_per_1000 is None else _dollars(j.cost_per_1000)),
        )
        for j in shown
    )
    columns = (
        Column("judge", "left", name=True),
        Column("verdicts", rank=2),
        Column("median time"),
        Column("95 % within", rank=1),
        Column("tokens in", rank=3),
        Column("tokens out", rank=3),
        Column("cost", rank=1),
        Column("cost of 1,000"),
    )
    unknown = len(judges) - len(known)
    notes = (
        *([f"of {count(unknown, 'judge')} neither cost nor time is known"] if unknown and known else []),
        *(["“at least”: some verdicts' figures are not known"] if any(_part(j) for j in known) else []),
    )
    return Table("Cost and time", columns, rows, notes, gap)


def _part(judge: JudgeCost) -> bool:
    return any(0 < k.n < judge.n_verdicts for k in (judge.input_tokens, judge.output_tokens, judge.cost_usd))


def _total(known: Known, n_verdicts: int, *, dollars: bool = False) -> str:
    if known.total is None:
        return ""
    text = _dollars(known.total) if dollars else count(round(known.total))
    return text if known.n >= n_verdicts else f"at least {text}"


def _seconds(seconds: float) -> str:
    if 0 < seconds < 0.001:
        return "<1 ms"
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def _dollars(amount: float) -> str:
    if 0 < amount < 0.0001:
        return "<$0.0001"
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"


def sentences(
    found: Service | None,
    agreement: Agreement,  # noqa: ARG001  # one form for all sections
    stable: Sequence[JudgeStability] = (),
) -> tuple[str, ...]:
    """Whose verdicts do not go missing at random; who changes its mind when asked again; who is dear."""
    said = (
        "" if found is None else _not_random(found.missing),
        _changing(stable),
        "" if found is None else _dear(found.costs),
    )
    return tuple(sentence for sentence in said if sentence)


def _not_random(judges: Sequence[JudgeMissing]) -> str:
    gone = _gone(judges)
    tested = [j for j in gone if j.model_test.p_value is not None or j.label_test.p_value is not None]
    if not tested:
        return ""
    told = [(j, parts) for j in tested if (parts := _where(j))]
    if not told:
        return (
            "Nothing shows that verdicts go missing more on some outputs than on others "
            f"(those of {names(j.judge for j in tested)}, by model and by what the other judges say)."
        )
    judge, parts = told[0]
    head = f"The missing verdicts of {quote(judge.judge)} are not random: {listed(parts)}"
    more = [j.judge for j, _ in told[1:]]
    rest = f"; nor are those of {names(more)}" if more else ""
    return f"{head}{rest}. Figures that leave them out describe the other outputs."


def _where(judge: JudgeMissing) -> list[str]:
    parts = []
    for test, groups, words in (
        (judge.model_test, judge.by_model, "on {}"),
        (judge.label_test, judge.by_label, "where most other judges say {}"),
    ):
        p = test.p_adjusted if test.p_adjusted is not None else test.p_value
        if p is None or p >= _LEVEL:
            continue
        worst = _worst(groups)
        total = sum(g.missing for g in groups)
        if worst is None:
            parts.append(f"{words.format('some more than others')} (p {p_value(p)})")
        else:
            name = quote(worst.group) if worst.group is not None else "outputs without a model"
            rate = "" if worst.missing == total else f", {percent(worst.missing / worst.n)} of those there"
            parts.append(f"{count(worst.missing)} of {count(total)} {words.format(name)}{rate} (p {p_value(p)})")
    return parts


def _changing(judges: Sequence[JudgeStability]) -> str:
    known = [j for j in judges if j.flip_rate is not None and j.flip_rate.value is not None]
    if known:
        worst = max(known, key=lambda j: (j.unstable.value or 0.0) if j.unstable is not None else 0.0)
        flips = worst.flip_rate
        assert flips is not None
        if not flips.value:
            whole = f"{quote(worst.judge)} gives" if len(known) == 1 else f"All {count(len(known))} judges give"
            return f"{whole} the same label whenever asked again (on {count(worst.n_items, 'output')})."
        who = "" if len(known) == 1 else f" is the least steady of {count(len(known), 'judge')} asked again: it"
        return (
            f"{quote(worst.judge)}{who} changes its label on {value(flips, rate=True)} of the outputs it was asked "
            f"about up to {count(worst.n_repeats, 'time')}{_doubt(worst)}."
        )
    scored = [j for j in judges if j.icc is not None and j.icc.value is not None and j.within_sd is not None]
    if not scored:
        return ""
    least = min(scored, key=lambda j: (j.icc.value or 0.0) if j.icc is not None else 0.0)
    assert least.icc is not None
    assert least.within_sd is not None
    return (
        f"Asked again, {quote(least.judge)} moves its score by {value(least.within_sd)} (standard deviation); "
        f"{value(least.icc)} of the variation of its scores is between outputs."
    )


def _doubt(judge: JudgeStability) -> str:
    if judge.unstable is None or judge.unstable.value is None or judge.repeats_needed is None:
        return ""
    needed = judge.repeats_needed.value
    if needed == 1:
        repeats = "one answer is its usual one with 95 %"
    elif needed:
        repeats = f"a majority of {needed} repeats is its usual one with 95 %"
    else:
        repeats = f"not even a majority of {judge.repeats_needed.most} repeats is its usual one with 95 %"
    return f"; {value(judge.unstable, rate=True)} of its single verdicts are not its usual one, and {repeats}"


def _dear(judges: Sequence[JudgeCost]) -> str:
    priced = sorted((j for j in judges if j.cost_per_1000 is not None), key=lambda j: j.cost_per_1000 or 0.0)
    if not priced:
        return ""
    low, high = priced[0], priced[-1]
    total = sum(j.cost_usd.total or 0.0 for j in priced)
    partly = " whose cost is known" if any(j.cost_usd.n < j.n_verdicts for j in judges) else ""
    head = f"The verdicts{partly} cost {_dollars(total)}"
    if len(priced) == 1:
        return f"{head}: {_dollars(low.cost_per_1000 or 0.0)} for 1,000 of {quote(low.judge)}."
    return (
        f"{head}: 1,000 of {quote(high.judge)} {_dollars(high.cost_per_1000 or 0.0)}, 1,000 of {quote(low.judge)} "
        f"{_dollars(low.cost_per_1000 or 0.0)}."
    )
