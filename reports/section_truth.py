"""How many judges the panel is worth, who errs with whom, and whether the probabilities of a wrong verdict held."""

from __future__ import annotations

from typing import Final

from interjudge.agreement.results import Agreement, Calibration, FlagSummary, PanelWorth
from interjudge.reports.table import Cell, Column, Table, ends
from interjudge.reports.tables import MAX_ACROSS
from interjudge.reports.wording import count, names, number, percent

_SAME_WORTH: Final = 0.9  # a panel worth at least this share of its judges has no families to speak of
_CALIBRATED: Final = 0.05
_CHANCE: Final = 0.6  # AUROC


def worth_tables(a: Agreement, limit: int) -> tuple[Table, ...]:
    """Judges by family with their effective votes, and the error correlations where they fit."""
    if a.worth is None or len(a.judges) < 2:
        return ()
    tables = (_families(a.worth, limit), _correlations(a, a.worth))
    return tuple(table for table in tables if table.rows)


def _families(worth: PanelWorth, limit: int) -> Table:
    rows = [
        (
            Cell(judge),
            Cell(str(number_ + 1)),
            Cell(f"{worth.effective_votes[judge]:.2f}"),
            Cell("" if family.mean_error_correlation is None else number(family.mean_error_correlation)),
        )
        for number_, family in enumerate(worth.families)
        for judge in family.judges
    ]
    shown, gap = ends(rows, limit)
    columns = (
        Column("judge", "left", name=True),
        Column("family"),
        Column("effective votes"),
        Column("error correlation in the family", rank=1),
    )
    notes = (
        "judges of one family err together (given the estimated truth); effective votes: what a judge's vote is "
        "worth beside those that err with it",
    )
    title = f"The panel is worth {worth.effective_judges:.1f} of its {count(len(rows))} judges"
    return Table(title, columns, tuple(shown), notes, gap)


def _correlations(a: Agreement, worth: PanelWorth) -> Table:
    if worth.error_correlation is None or not 3 <= len(a.judges) <= MAX_ACROSS:
        return Table("", (), ())
    own = [judge.judge for judge in a.judges]
    rows = tuple(
        (Cell(name), *(Cell("" if i == j else number(value)) for j, value in enumerate(row)))
        for i, (name, row) in enumerate(zip(own, worth.error_correlation, strict=True))
    )
    columns = (Column("judge", "left", name=True), *(Column(name, rank=1 + i, name=True) for i, name in enumerate(own)))
    notes = ("correlation of two judges' errors given the estimated truth: 0 independent, 1 clones",)
    return Table("Who errs with whom", columns, rows, notes)


def worth_sentences(a: Agreement) -> tuple[str, ...]:
    """How many independent judges there are, and which belong together."""
    worth = a.worth
    if worth is None or len(a.judges) < 3:
        return ()
    whole = (
        f"By the verdicts alone these {count(len(a.judges))} judges are worth {worth.effective_judges:.1f} that err "
        "independently"
    )
    together = [family for family in worth.families if len(family.judges) > 1]
    if worth.effective_judges >= _SAME_WORTH * len(a.judges) or not together:
        return (f"{whole}.",)
    largest = sorted(together, key=lambda family: -len(family.judges))[:2]
    first, *rest = [names(family.judges) for family in largest]
    said = "; ".join([f"{first} err together", *(f"so do {second}" for second in rest)])
    return (f"{whole}: {said}.",)


def calibration_tables(flags: FlagSummary | None) -> tuple[Table, ...]:
    """Predicted against observed share of wrong verdicts."""
    if flags is None or flags.calibration is None:
        return ()
    found = flags.calibration
    rows = tuple(
        (
            Cell(f"{b.low:.1f} to {b.high:.1f}"),
            Cell(count(b.n)),
            Cell(percent(b.predicted)),
            Cell(percent(b.observed)),
        )
        for b in found.bins
    )
    columns = (
        Column("p_wrong", "left"),
        Column("verdicts"),
        Column("predicted wrong"),
        Column("wrong by the reference"),
    )
    notes = (
        f"Brier score {number(found.brier)}; saying {percent(found.share_wrong)} of every verdict would get "
        f"{number(found.brier_of_base_rate)}; 0 is perfect",
        *([f"AUROC {number(found.auroc)}; .5 is chance"] if found.auroc is not None else []),
    )
    return (Table("Did the probabilities hold?", columns, rows, notes),)


def calibration_sentences(flags: FlagSummary | None) -> tuple[str, ...]:
    """Whether p_wrong, made without the reference, held up against it."""
    if flags is None or flags.calibration is None:
        return ()
    found = flags.calibration
    return (f"{_level(found)} {_gain(found)}",)


def _level(found: Calibration) -> str:
    gap = found.mean_p_wrong - found.share_wrong
    expected, came = percent(found.mean_p_wrong), percent(found.share_wrong)
    known = "Given half of the reference labels" if found.held_out else "Without the reference"
    which = "on the other half" if found.held_out else "it covers"
    head = f"{known} {expected} of the {count(found.n, 'verdict')} {which} were expected to be wrong"
    if abs(gap) <= _CALIBRATED:
        return f"{head}; by the reference {came} are."
    if found.held_out:
        return f"{head}, but {came} are."
    than = "better" if gap > 0 else "worse"
    return f"{head}, but by the reference {came} are: the verdicts are {than} than they look by themselves."


def _gain(found: Calibration) -> str:
    if found.auroc is None:
        all_ = "wrong" if found.share_wrong else "right"
        return f"All are {all_}, so whether the flags find the wrong ones cannot be seen."
    ranks = f"a wrong verdict has a higher probability than a right one {percent(found.auroc)} of the time"
    if found.auroc < _CHANCE:
        return f"The probabilities hardly find the wrong ones here ({ranks}; 50 % is chance): do not rely on the flags."
    return (
        f"In order they hold up: {ranks}."
        if abs(found.mean_p_wrong - found.share_wrong) > _CALIBRATED
        else (f"And {ranks}.")
    )


def rule_in_words(flags: FlagSummary) -> str:
    """Which verdicts were flagged."""
    if flags.budget is not None:
        few = count(flags.n_flagged, "verdict")
        if flags.n_flagged < flags.budget:
            return f"flagged: all {few} that differ from the consensus, fewer than the budget ({flags.model})"
        return f"flagged: the {count(flags.budget, 'verdict')} most likely wrong ({flags.model})"
    if flags.fdr is not None:
        return f"flagged: as many as keep the expected share of right ones to {percent(flags.fdr)} ({flags.model})"
    return f"flagged: probability of being wrong at or above {flags.threshold:g} ({flags.model}), or no usable verdict"
