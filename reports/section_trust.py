"""Trust records -> tables and sentences: how good each judge is, who is best, who errs together, and where.

What `reports.trust` says from the agreement alone (figures against the reference, overlapping intervals, the odd
one out) is not said again here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

from interjudge.agreement.results import Agreement, Estimate
from interjudge.agreement.results_trust import IncoherentPart, JudgeTrust, Ranked, Ranking, Trust
from interjudge.reports.table import Cell, Column, Dashes, Table, ends, first
from interjudge.reports.trust import enough
from interjudge.reports.wording import (
    count,
    names,
    number,
    p_value,
    percent,
    points,
    quote,
    spanned,
    value,
)

_MEASURES: Final = {"youden_j": "Youden's J", "accuracy": "accuracy"}
_ESTIMATED: Final = (
    "estimated: against the truth estimated from the verdicts alone; the intervals hold the choice of outputs and the "
    "doubt about the truth, not an error that the judges share"
)
_HANDFUL: Final = 10
_CORRELATED: Final = 0.1  # pairs whose errors go together less than this are not shown while others are


def tables(found: Trust | None, agreement: Agreement, limit: int) -> tuple[Table, ...]:
    """Every table that has something to show, with at most `limit` rows each."""
    if found is None:
        return ()
    ranking = chosen(found)
    made = [ability(found, agreement, limit)]
    made += [ranked(ranking, agreement, limit, found.replicates)] if ranking else []
    made += [incoherent(found, agreement, limit), errors(found, agreement, limit)]
    return tuple(table.without_empty() for table in made if table.rows)


def sentences(found: Trust | None, agreement: Agreement) -> tuple[str, ...]:
    """Who is best and how sure that is; who errs together; whose verdicts suffer on incoherent outputs."""
    if found is None or not agreement.n_verdicts:
        return ()
    return (*_best(found, agreement), *together(found), *_on_incoherent(found, agreement))


def chosen(found: Trust) -> Ranking | None:
    """The ranking to read out: of the judges that are not human, where that is one of its own."""
    return found.ranking_automatic or found.ranking


def ability(found: Trust, a: Agreement, limit: int) -> Table:
    """Every judge, estimated and against the reference side by side."""
    positive = a.question.positive
    shown, gap = ends(_in_order(found), limit)
    dashes = Dashes()
    sides = _SIDES if _speaks(found) else _SIDES_WITHOUT
    several = len(found.families) < len(found.judges)
    rows = []
    for j in shown:
        cells = [Cell(j.judge), Cell(str(j.family) if several else ""), Cell(f"{j.effective_vote:.2f}")]
        for name, rate, _ in sides:
            for ability_of in (j.estimated, j.reference):
                estimate = getattr(ability_of, name) if ability_of is not None else None
                cells.append(dashes.cell(estimate, f"{_WORDS[name]} of {quote(j.judge)}", rate=rate))
        leaning = next((b for b in j.bias if b.label == positive), None)
        cells += [_points(leaning.estimated if leaning else None), _points(leaning.reference if leaning else None)]
        rows.append(tuple(cells))
    columns = [Column("judge", "left", name=True), Column("family", rank=3), Column("vote counts", rank=4)]
    for name, _, rank in sides:
        columns += [
            Column(f"{_WORDS[name]}, estimated", rank=rank + 1),
            Column(f"{_WORDS[name]}, reference", rank=rank),
        ]
    said = f"says {quote(positive, 20)} too often" if positive is not None else ""
    columns += [Column(f"{said}, estimated", rank=5), Column(f"{said}, reference", rank=5)]
    notes = (*dashes.notes(), _ESTIMATED)
    if any(b.label == positive for j in shown for b in j.bias):
        notes = (*notes, "too often: in points of a hundred of its outputs; negative is too seldom")
    return Table("How good each judge is", tuple(columns), tuple(rows), notes, gap)


# Figure, whether it is a share, rank of its columns.
_SIDES: Final = (("sensitivity", True, 2), ("specificity", True, 2), ("youden_j", False, 0))
_SIDES_WITHOUT: Final = (("accuracy", True, 0), ("balanced_accuracy", True, 2))
_WORDS: Final = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "youden_j": "J",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
}


def _speaks(found: Trust) -> bool:
    """Whether the question has a positive label: then balanced accuracy is not given."""
    return all(j.estimated.balanced_accuracy is None for j in found.judges)


def _in_order(found: Trust) -> list[JudgeTrust]:
    """As they are ranked; then those that are not."""
    place = {j.judge: i for i, j in enumerate(found.ranking.judges)} if found.ranking else {}

    def key(j: JudgeTrust) -> tuple[int, float]:
        value = _overall(j).value
        return place.get(j.judge, len(place)), float("inf") if value is None else -value

    return sorted(found.judges, key=key)


def _overall(j: JudgeTrust) -> Estimate:
    """What judges are sorted by: against the reference where it has a value."""
    for side in (j.reference, j.estimated):
        if side is not None:
            for estimate in (side.youden_j, side.accuracy):
                if estimate.value is not None:
                    return estimate
    return j.estimated.accuracy


def _points(e: Estimate | None) -> Cell:
    """A difference of shares in points, with its interval."""
    if e is None or e.value is None:
        return Cell("")
    brief = points(e.value)
    if e.ci_low is None or e.ci_high is None:
        return Cell(brief)
    return Cell(f"{brief} [{points(e.ci_low)}, {points(e.ci_high)}]", brief)


def ranked(ranking: Ranking, a: Agreement, limit: int, replicates: int) -> Table:
    """Who is best, with which probability, and how far the others are behind."""
    rate = ranking.measure == "accuracy"
    shown, gap = first(ranking.judges, limit)
    dashes = Dashes()
    rows = tuple(_place(j, ranking, dashes, replicates, rate=rate) for j in shown)
    measure = _MEASURES[ranking.measure]
    against = f"the reference {quote(a.question.reference or '')}" if ranking.basis == "reference" else "the estimate"
    columns = (
        Column("judge", "left", name=True),
        Column(f"{measure}", rank=1),
        Column("probability of being best"),
        Column("behind the best", rank=1),
        Column("p, corrected", rank=2),
        Column("McNemar p, corrected", rank=4),
        Column("", "left"),
    )
    items = "the outputs that all of these judged" if ranking.items == "common" else "each judge's own outputs"
    notes = [f"values and probabilities: on {items} ({count(ranking.n_items, 'output')})"]
    notes.append("behind the best: on the outputs both judged; p: corrected for the number of judges (Holm)")
    if ranking.not_compared:
        notes.append(f"share too few outputs with the best to be compared: {names(ranking.not_compared, 5)}")
    if ranking.not_ranked:
        notes.append(f"too few verdicts to be ranked: {names(ranking.not_ranked, 5)}")
    title = f"Which judge is best, by {measure} against {against}"
    return Table(title, columns, rows, (*dashes.notes(), *notes), gap)


def _place(j: Ranked, ranking: Ranking, dashes: Dashes, replicates: int, *, rate: bool) -> tuple[Cell, ...]:
    where = f"{_MEASURES[ranking.measure]} of {quote(j.judge)}"
    words = Cell("best") if j.judge == ranking.best else Cell("")
    if j.judge in ranking.tied_with_best:
        words = Cell("not told apart from the best", None, "warn")
    elif j.judge in ranking.not_compared:
        words = Cell("not compared")
    difference = Cell("")
    if j.difference is not None and j.judge not in ranking.not_compared:
        difference = _points(j.difference) if rate else dashes.cell(j.difference, where)
    return (
        Cell(j.judge),
        dashes.cell(j.value, where, rate=rate),
        Cell("" if j.p_best is None else _chance(j.p_best, replicates)),
        difference,
        *(Cell("" if p is None else p_value(p, equals="")) for p in (j.p_value_holm, j.mcnemar_holm)),
        words,
    )


def _chance(p: float, replicates: int) -> str:
    """A share of the replicates; none or all of them is no certainty."""
    least = 1 / max(replicates, 1)
    if p < least:
        return f"below {percent(least)}"
    return f"above {percent(1 - least)}" if p > 1 - least else percent(p)


def incoherent(found: Trust, a: Agreement, limit: int) -> Table:
    """Every judge on incoherent and on coherent outputs; the largest differences first."""
    known = _split(found)
    known.sort(key=lambda entry: _worse(entry[1]))
    shown, gap = first(known, limit)
    rate = found.incoherent_measure == "accuracy"
    measure = _MEASURES[found.incoherent_measure or "accuracy"]
    said = f"says {quote(a.question.positive, 20)} too often" if a.question.positive is not None else ""
    dashes = Dashes()
    rows = tuple(
        (
            Cell(j.judge),
            Cell(count(part.n_incoherent)),
            dashes.cell(part.performance_incoherent, f"{measure} of {quote(j.judge)}, incoherent", rate=rate),
            dashes.cell(part.performance_coherent, f"{measure} of {quote(j.judge)}, coherent", rate=rate),
            _points(part.performance_difference) if rate else dashes.cell(part.performance_difference, quote(j.judge)),
            _points(part.bias_incoherent),
            _points(part.bias_coherent),
            _points(part.bias_difference),
            Cell(part.basis),
        )
        for j, part in shown
    )
    columns = (
        Column("judge", "left", name=True),
        Column("incoherent outputs", rank=3),
        Column(f"{measure} there", rank=1),
        Column("elsewhere", rank=1),
        Column("difference"),
        Column(f"{said}, there" if said else "", rank=1),
        Column("too often, elsewhere" if said else "", rank=2),
        Column("too often, difference" if said else "", rank=0),
        Column("against", "left", rank=4),
    )
    notes = (*dashes.notes(), "too often: in points of a hundred outputs") if said else dashes.notes()
    return Table("Judges on incoherent outputs", columns, rows, notes, gap)


def _split(found: Trust) -> list[tuple[JudgeTrust, IncoherentPart]]:
    """Judges with verdicts on incoherent outputs; those with a handful only where nobody has more."""
    known = [(j, j.incoherent) for j in found.judges if j.incoherent is not None and j.incoherent.n_incoherent]
    return [(j, part) for j, part in known if part.n_incoherent >= _HANDFUL] or known


def _worse(part: IncoherentPart) -> float:
    e = part.performance_difference
    return float("inf") if e.value is None else e.value


def errors(found: Trust, a: Agreement, limit: int) -> Table:
    """Pairs of judges by how far their errors go together; of a crowd, those with enough verdicts."""
    judges, matrix = found.judges, found.error_correlation.estimated
    least = enough(a.judges)
    everyone = {j.judge for j in judges}
    busy = {j.judge for j in a.judges if j.n_ok >= least} & everyone
    busy = busy if len(busy) > 1 else everyone
    known = {(p.a, p.b): p.phi for p in found.error_correlation.reference}
    if len(judges) < 2 or matrix is None:
        return Table("", (), ())
    pairs = [
        (matrix[x][y], known.get((judges[x].judge, judges[y].judge)), x, y)
        for x, y in combinations([i for i, j in enumerate(judges) if j.judge in busy], 2)
    ]
    defined = [p for p in pairs if p[0] is not None]
    defined.sort(key=lambda p: -(p[0] or 0))
    loud = [p for p in defined if (p[0] or 0) >= _CORRELATED] or defined[:1]
    source = defined if len(defined) <= limit else loud
    shown = source[:limit]
    dashes = Dashes()
    rows = tuple(
        (
            Cell(judges[x].judge),
            Cell(judges[y].judge),
            Cell(str(judges[x].family) if judges[x].family == judges[y].family else ""),
            Cell(number(rho or 0)),
            dashes.cell(phi, f"{quote(judges[x].judge)} with {quote(judges[y].judge)}"),
        )
        for rho, phi, x, y in shown
    )
    columns = (
        Column("judge", "left", name=True),
        Column("and judge", "left", name=True),
        Column("family", rank=2),
        Column("error correlation, estimated"),
        Column("against the reference", rank=1),
    )
    notes = ["given the true label: 0 when errors are independent, 1 when the judges err on the same outputs alike"]
    hidden = len(pairs) - len(shown)
    gap = (len(shown), hidden) if hidden else None
    return Table("Judges that err together", columns, rows, (*dashes.notes(), *notes), gap)


def _best(found: Trust, a: Agreement) -> tuple[str, ...]:
    ranking = chosen(found)
    if ranking is None or len(ranking.judges) < 2:
        return ()
    if ranking.n_items < _HANDFUL:
        return (f"Who is best cannot be said from {count(ranking.n_items, 'output')}.",)
    best = next(j for j in ranking.judges if j.judge == ranking.best)
    rate = ranking.measure == "accuracy"
    measure = _MEASURES[ranking.measure]
    who = "of the judges that are not human, " if ranking is found.ranking_automatic else ""
    sure = "" if best.p_best is None else f"the best with a probability of {_chance(best.p_best, found.replicates)}"
    first_by = f"{who}{quote(best.judge)} is first by {measure} ({spanned(best.value, a.confidence, rate=rate)})"
    if ranking.basis == "reference":
        sure = f", {sure}" if sure else ""
        human = any(j.judge == best.judge and j.kind == "human" for j in a.judges)
        own = " If the reference was made from that judge's own labels, this says little." if human else ""
        return (f"Compared output by output with the reference, {first_by}{sure}. {_ties(ranking)}{own}",)
    sure = f"; if families of judges err independently, {sure}" if sure else ""
    caution = "A judge that shares its errors with others looks better there than it is."
    return (f"Against the truth estimated from the verdicts alone, {first_by}{sure}. {_ties(ranking)} {caution}",)


def _ties(ranking: Ranking) -> str:
    compared = [j for j in ranking.judges if j.p_value_holm is not None]
    left = (
        f" {count(len(ranking.not_compared), 'judge')} share too few outputs with it." if ranking.not_compared else ""
    )
    if not compared:
        return f"No other judge could be tested against it.{left}"
    few = "" if len(compared) == 1 else f" (corrected for {count(len(compared), 'comparison')})"
    tied = ranking.tied_with_best
    if len(tied) == len(compared):
        whom = names(tied) if len(tied) > 1 else quote(tied[0])
        return f"A paired test cannot tell it apart from {whom}{few}.{left}"
    if tied:
        return f"A paired test cannot tell it apart from {names(tied)}, and sets it apart from the rest{few}.{left}"
    others = "every other judge that could be tested" if ranking.not_compared else "every other judge"
    whom = quote(compared[0].judge) if len(compared) == 1 else others
    return f"A paired test sets it apart from {whom}{few}.{left}"


def together(found: Trust | None) -> tuple[str, ...]:
    """Who errs together by the verdicts alone, and what the reference says of it where there is one."""
    if found is None:
        return ()
    n = len(found.judges)
    if n < 2:
        return ()
    worth = f"the {count(n, 'judge')} are worth about {found.effective_judges:.1f} that err independently"
    groups = sorted((f for f in found.families if len(f) > 1), key=len, reverse=True)
    if not groups:
        return (f"No two judges were found to form a family that errs together; {worth}.",)
    told = [f"{names(f, 4)} err together" for f in groups[:2]]
    more = f", and so do {count(len(groups) - 2, 'more group')}" if len(groups) > 2 else ""
    return (f"{'; '.join(told)}{more}: {worth}.{_by_reference(found, groups[:2])}",)


def _by_reference(found: Trust, groups: Sequence[Sequence[str]]) -> str:
    """Where the reference does not bear out that the judges of a group err together: families are estimated."""
    known = {frozenset((p.a, p.b)): p.phi for p in found.error_correlation.reference if p.phi.value is not None}
    doubted = []
    for group in groups:
        pairs = [known[frozenset(pair)] for pair in combinations(group, 2) if frozenset(pair) in known]
        if pairs and max(p.value or 0 for p in pairs) < _CORRELATED:
            doubted.append(names(group, 4))
    if not doubted:
        return ""
    top = max(known, key=lambda pair: known[pair].value or 0)
    most = known[top]
    which = names(j.judge for j in found.judges if j.judge in top)
    rest = f", those of {which} do ({number(most.value or 0)})" if (most.ci_low or 0) > 0 else ""
    return f" Against the reference the errors of {' and of '.join(doubted)} hardly go together{rest}."


def _on_incoherent(found: Trust, a: Agreement) -> tuple[str, ...]:
    if not found.n_incoherent:
        return ()
    known = _split(found)
    if not known:
        return ()
    head = f"On the {count(found.n_incoherent, 'incoherent output')}"
    clear = [(j, part) for j, part in known if _clear(part.performance_difference) or _clear(part.bias_difference)]
    if not clear:
        return (f"{head} no judge is clearly better or worse, or leans clearly further, than on the others.",)
    clear.sort(key=lambda entry: -_size(entry[1]))
    told = [_moved(j, part, found, a) for j, part in clear[:2]]
    more = f"; {count(len(clear) - 2, 'more judge')} clearly changes there too" if len(clear) == 3 else ""
    more = f"; {count(len(clear) - 2, 'more judge')} clearly change there too" if len(clear) > 3 else more
    return (f"{head} {'; '.join(told)}{more}.",)


def _clear(e: Estimate | None) -> bool:
    return e is not None and e.ci_low is not None and e.ci_high is not None and (e.ci_low > 0 or e.ci_high < 0)


def _size(part: IncoherentPart) -> float:
    parts = (part.performance_difference, part.bias_difference)
    return max(abs(e.value or 0) for e in parts if e is not None and _clear(e))


def _moved(j: JudgeTrust, part: IncoherentPart, found: Trust, a: Agreement) -> str:
    """What changes for one judge, and in which direction."""
    rate = found.incoherent_measure == "accuracy"
    measure = _MEASURES[found.incoherent_measure or "accuracy"]
    truth = "the reference" if part.basis == "reference" else "the truth estimate"
    said = []
    there, elsewhere = part.bias_incoherent, part.bias_coherent
    if _clear(part.bias_difference) and there and elsewhere and a.question.positive is not None:
        said.append(
            f"{quote(j.judge)} says {quote(a.question.positive)} {_more_often(there)} than {truth} "
            f"(elsewhere {_more_often(elsewhere)})"
        )
    if _clear(part.performance_difference):
        down = (part.performance_difference.value or 0) < 0
        who = "its" if said else f"{quote(j.judge)}'s"
        said.append(
            f"{who} {measure} {'falls' if down else 'rises'} to {value(part.performance_incoherent, rate=rate)} from "
            f"{value(part.performance_coherent, rate=rate)} elsewhere"
        )
    return ", and ".join(said)


def _more_often(e: Estimate) -> str:
    size = points(abs(e.value or 0)).lstrip("+")
    if size == "0.0":
        return "neither more nor less often"
    return f"{size} points {'more' if (e.value or 0) > 0 else 'less'} often"
