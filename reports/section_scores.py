"""Agreement of scores, different levels, concordance -> tables and sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from interjudge.agreement.results import Agreement
from interjudge.agreement.results_scores import (
    Concordance,
    Icc,
    PairHomogeneity,
    ScoreAgreement,
    ScoreFindings,
    ScorePair,
)
from interjudge.reports.escape import visible
from interjudge.reports.table import Cell, Column, Dashes, Table, descending, ends, first
from interjudge.reports.trust import FEW
from interjudge.reports.wording import count, figure, number, p_value, points, quote, spanned, value

# What each coefficient is the agreement of, and what a judge that is always stricter does to it.
_ICC: Final = {
    "ICC(1,1)": ("one judge, each output judged by whoever", "counts"),
    "ICC(A,1)": ("one judge", "counts"),
    "ICC(C,1)": ("one judge", "does not count"),
    "ICC(1,k)": ("the mean of all judges, each output judged by whoever", "counts"),
    "ICC(A,k)": ("the mean of all judges", "counts"),
    "ICC(C,k)": ("the mean of all judges", "does not count"),
}
# Coefficients further apart than this show that levels matter.
_LEVELS_MATTER: Final = 0.05


def tables(found: ScoreFindings, agreement: Agreement, limit: int) -> tuple[Table, ...]:
    """Every table that has something to show, with at most `limit` rows each."""
    made = [
        *([coefficients(found.scores, agreement), score_pairs(found.scores, agreement, limit)] if found.scores else []),
        levels(found.homogeneity, agreement, limit),
        *([bands(found.concordance, agreement)] if found.concordance else []),
    ]
    return tuple(table.without_empty() for table in made if table.rows)


def sentences(found: ScoreFindings, agreement: Agreement) -> tuple[str, ...]:
    """Whether scores can be exchanged, whether judges differ in level, and how far unanimity can be trusted."""
    return (
        *(_scores(found.scores, agreement) if found.scores else ()),
        *_levels(found.homogeneity, agreement),
        *(_concordance(found.concordance) if found.concordance else ()),
    )


def coefficients(found: ScoreAgreement, agreement: Agreement) -> Table:
    """Intraclass correlations and Kendall's W."""
    dashes = Dashes()
    rows = [
        (Cell(icc.name), *(Cell(text) for text in _ICC.get(icc.name, ("", ""))), dashes.cell(icc, icc.name), Cell(""))
        for icc in found.icc
    ]
    w = found.kendall_w
    p = Cell("") if w.p is None else Cell(f"p {p_value(w.p)}")
    rows.append((Cell("Kendall's W"), Cell("the order of the outputs"), Cell("does not count"), dashes.cell(w, "W"), p))
    columns = (
        Column("coefficient", "left"),
        Column("agreement of", "left", rank=3),
        Column("a stricter judge", "left", rank=2),
        Column(_value(agreement)),
        Column("test", rank=4),
    )
    notes = (
        f"on the {count(found.n, 'output')} that every judge scored, of {count(found.n_items)}",
        *(f"no test for Kendall's W: {w.no_test}" for _ in range(w.no_test is not None)),
        *((f"without a score, left out: {count(len(found.silent), 'judge')}",) if found.silent else ()),
        *(visible(note, 300) for note in found.notes),
    )
    return Table("Agreement of the scores", columns, tuple(rows), dashes.notes() + notes)


def score_pairs(found: ScoreAgreement, agreement: Agreement, limit: int) -> Table:
    """Pairs of judges, the most concordant first."""
    by_concordance: Callable[[ScorePair], float] = descending(lambda pair: pair.ccc.value)
    shown, gap = ends(sorted(found.pairs, key=by_concordance), limit)
    dashes = Dashes()
    rows = []
    for pair in shown:
        who = f"{quote(pair.a)} with {quote(pair.b)}"
        rows.append(
            (
                Cell(pair.a),
                Cell(pair.b),
                Cell(count(pair.ccc.n)),
                dashes.cell(pair.ccc, who),
                Cell("" if pair.pearson is None else number(pair.pearson)),
                dashes.cell(pair.bias, who),
                dashes.cell(pair.lower_limit, who),
                dashes.cell(pair.upper_limit, who),
            )
        )
    columns = (
        Column("judge", "left", name=True),
        Column("and judge", "left", name=True),
        Column("n", rank=3),
        Column(f"concordance {_share(agreement)}"),
        Column("Pearson", rank=4),
        Column("mean difference", rank=1),
        Column("lower limit", rank=2),
        Column("upper limit", rank=2),
    )
    notes = (
        "concordance: Lin's correlation, 1 where both give the same scores; difference: first judge minus second; "
        "95 % of the differences are expected between the limits (Bland and Altman)",
    )
    return Table("Pairs of judges by their scores", columns, tuple(rows), dashes.notes() + notes, gap)


def levels(found: tuple[PairHomogeneity, ...], agreement: Agreement, limit: int) -> Table:
    """Pairs of judges by how differently they use the labels, the clearest first."""
    shown, gap = first(sorted(found, key=_clearest), limit)
    dashes = Dashes()
    rows = []
    for pair in shown:
        who = f"{quote(pair.a)} with {quote(pair.b)}"
        test = dashes.dash(pair.undefined, who) if pair.undefined else Cell(pair.test or "")
        difference = dashes.dash(pair.difference.undefined, who) if pair.difference.undefined else _points(pair)
        rows.append(
            (
                Cell(pair.a),
                Cell(pair.b),
                Cell(count(pair.n)),
                Cell(pair.label or ""),
                difference,
                test,
                Cell("" if pair.p_holm is None else p_value(pair.p_holm, equals="")),
                Cell("" if pair.bowker_p is None else p_value(pair.bowker_p, equals="")),
            )
        )
    columns = (
        Column("judge", "left", name=True),
        Column("and judge", "left", name=True),
        Column("n", rank=3),
        Column("label", "left", rank=1, name=True),
        Column(f"difference {_share(agreement)}"),
        Column("test", "left", rank=4),
        Column("p (Holm)"),
        Column("p of symmetry", rank=5),
    )
    notes = (
        "difference: how often the first judge says the label, minus the second, in percentage points of the outputs "
        "both judged; p: that they use all labels equally often, corrected for the number of pairs",
    )
    return Table("Do the judges use the labels equally often?", columns, tuple(rows), dashes.notes() + notes, gap)


def bands(found: Concordance, agreement: Agreement) -> Table:
    """How the votes are spread, and how often their consensus is right in each part."""
    dashes = Dashes()
    rows = tuple(
        (
            Cell("1: every vote the same" if band.low >= 1 else f"{number(band.low)} to {number(band.high)}"),
            Cell(count(band.n)),
            dashes.cell(band.share, "share", rate=True),
            Cell("") if band.accuracy is None else dashes.cell(band.accuracy, "consensus there", rate=True),
            Cell("" if band.accuracy is None else count(band.accuracy.n)),
        )
        for band in found.bands
        if band.n
    )
    columns = (
        Column("concordance", "left"),
        Column("outputs"),
        Column(f"share {_share(agreement)}", rank=2),
        Column(f"consensus right {_share(agreement)}"),
        Column("with reference", rank=3),
    )
    meaning = "concordance: 1 where all votes go to one label, 0 where they are spread as evenly as they can be"
    return Table("Concordance of the panel", columns, rows, (*dashes.notes(), f"{meaning}; {found.note}"))


def _share(agreement: Agreement) -> str:
    return f"[{agreement.confidence * 100:g} %]"


def _value(agreement: Agreement) -> str:
    return f"value {_share(agreement)}"


def _clearest(pair: PairHomogeneity) -> tuple[float, float]:
    return (2.0 if pair.p_holm is None else pair.p_holm, -abs(pair.difference.value or 0.0))


def _points(pair: PairHomogeneity) -> Cell:
    e = pair.difference
    if e.value is None:
        return Cell("")
    span = "" if e.ci_low is None or e.ci_high is None else f" [{points(e.ci_low)}, {points(e.ci_high)}]"
    return Cell(points(e.value) + span, points(e.value))


def _named(found: ScoreAgreement, name: str) -> Icc | None:
    return next((icc for icc in found.icc if icc.name == name and icc.value is not None), None)


def _scores(found: ScoreAgreement, agreement: Agreement) -> tuple[str, ...]:
    absolute, consistent = _named(found, "ICC(A,1)"), _named(found, "ICC(C,1)")
    if absolute is None:
        why = next((icc.undefined for icc in found.icc if icc.undefined), "no value")
        return (f"No intraclass correlation can be given: {visible(why, 100)}.",)
    head = (
        f"ICC(A,1) is {spanned(absolute, agreement.confidence)} on {count(found.n, 'output')} that all "
        f"{count(len(found.judges), 'judge')} scored: differences of level between judges count as disagreement"
    )
    if consistent is None:
        return (f"{head}.",)
    if (consistent.value or 0) - (absolute.value or 0) > _LEVELS_MATTER:
        return (f"{head}; without them it would be {value(consistent)}, so the judges order outputs more alike.",)
    return (f"{head}, but matter little here (without them {value(consistent)}).",)


def _levels(found: tuple[PairHomogeneity, ...], agreement: Agreement) -> tuple[str, ...]:
    tested = [pair for pair in found if pair.p_holm is not None]
    if not tested:
        return ()
    clear = [pair for pair in tested if (pair.p_holm or 0) < 1 - agreement.confidence]
    if not clear:
        which = "The two judges" if len(found) == 1 else f"None of {count(len(tested), 'pair')} of judges"
        what = "cannot be shown" if len(found) == 1 else "can be shown"
        return (f"{which} {what} to use the labels in different shares (p {_least(tested)}).",)
    top = max(clear, key=lambda pair: abs(pair.difference.value or 0))
    gap = top.difference.value or 0.0
    more, less = (top.a, top.b) if gap >= 0 else (top.b, top.a)
    size = points(abs(gap)).removeprefix("+")
    test = f"{top.test}, p {p_value(top.p_holm or 0.0)}{'' if len(tested) == 1 else ' after Holm'}"
    some = f" in {count(len(clear))} of {count(len(tested), 'pair')}, most of all" if len(tested) > 1 else ""
    return (
        f"The judges use the labels in different shares{some}: {quote(more)} says {quote(top.label or '')} {size} "
        f"points more often than {quote(less)} ({test}).",
    )


def _least(tested: list[PairHomogeneity]) -> str:
    least = min(pair.p_holm for pair in tested if pair.p_holm is not None)
    return p_value(least) if len(tested) == 1 else f"{p_value(least)} at the least"


def _concordance(found: Concordance) -> tuple[str, ...]:
    if found.mean.value is None or not found.bands:
        return ()
    same = found.bands[-1]
    head = f"All verdicts are the same on {figure(same.share, rate=True)} of the outputs"
    if same.accuracy is None:
        return (f"{head}; that they agree does not make them right.",)
    split = next((band for band in found.bands[:-1] if band.accuracy is not None and band.accuracy.n >= FEW), None)
    parts = [head]
    if same.accuracy.value is not None:
        parts.append(f"there the consensus is right in {figure(same.accuracy, rate=True)}")
    if split is not None and split.accuracy is not None:
        right = figure(split.accuracy, rate=True)
        below = any(band.n for band in found.bands if band.high <= split.low)
        where = f"{number(split.low)} to {number(split.high)}" if below else f"below {number(split.high)}"
        parts.append(f"where votes are {'more' if below else 'most'} split (concordance {where}) in {right}")
    wrong = found.unanimous_wrong or 0
    tail = f" On {count(wrong, 'output')} every judge says the same and is wrong." if wrong else ""
    return ("; ".join(parts) + "." + tail,)
