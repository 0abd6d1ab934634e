"""Which judges of a verdict table take part in a question, and why the others do not."""

from __future__ import annotations

from collections.abc import Container, Sequence

import polars as pl

from interjudge.agreement.question import LabelMap
from interjudge.agreement.results import LeftOut
from interjudge.agreement.rows import PanelJudge
from interjudge.datasets.schema import NO_CONSTRUCT
from interjudge.errors import InputError, choices


def judges_of(verdicts: pl.DataFrame) -> list[PanelJudge]:
    """Every judge of the table in the order of its first row."""
    single = ["judge_kind", "construct", *(["judge_hash"] if "judge_hash" in verdicts.columns else [])]
    table = verdicts.group_by("judge", maintain_order=True).agg(
        pl.col(single).drop_nulls().first(), n=pl.col("construct").drop_nulls().n_unique()
    )
    for row in table.filter(pl.col("n") > 1).iter_rows(named=True):
        raise InputError(
            f"judge {row['judge']!r} has verdicts of {row['n']} constructs", expected="one construct a judge"
        )
    return [
        PanelJudge(r["judge"], r["judge_kind"] or "imported", r["construct"] or NO_CONSTRUCT, r.get("judge_hash"))
        for r in table.iter_rows(named=True)
    ]


def main_construct(judges: Sequence[PanelJudge]) -> str:
    """The construct most judges measure; stated ones go before none, ties to the one that comes first."""
    if not judges:
        raise InputError("the reference is the only judge", expected="at least one judge beside it")
    constructs = [judge.construct for judge in judges]
    return max(dict.fromkeys(constructs), key=lambda c: (c != NO_CONSTRUCT, constructs.count(c)))


def participants(
    verdicts: pl.DataFrame,
    everyone: Sequence[PanelJudge],
    construct: str,
    label_map: LabelMap,
    reference: str | None,
    *,
    named: Container[str] = (),
) -> tuple[tuple[PanelJudge, ...], tuple[LeftOut, ...], tuple[str, ...]]:
    """Who takes part, who does not and why, and notes.

    A judge of another construct takes part only through a rule or a threshold (`named`) that names it; one that
    does not state its construct, when it shares a label with those that do.
    """
    inside, outside = [], []
    stated = [j for j in everyone if j.construct == construct or label_map.names(j.name) or j.name in named]
    guests = _same_labels(verdicts, stated, [j for j in everyone if j.construct == NO_CONSTRUCT], label_map)
    for judge in everyone:
        if judge.name == reference:
            continue
        if judge in stated or judge.name in guests:
            inside.append(judge)
        elif judge.construct == NO_CONSTRUCT:
            why = f"does not state what it measures and has no label in common with the judges of {construct}"
            outside.append(LeftOut(judge=judge.name, why=why))
        else:
            why = f"measures {judge.construct}, not {construct}; no --map brings its labels onto this question"
            outside.append(LeftOut(judge=judge.name, why=why))
    names = [judge.name for judge in inside if judge.name in guests and judge not in stated]
    notes = (
        (f"compared on {construct} though they do not state what they measure: {choices(names, 5)}",) if names else ()
    )
    return tuple(inside), tuple(outside), notes


def _same_labels(
    verdicts: pl.DataFrame, stated: Sequence[PanelJudge], silent: Sequence[PanelJudge], label_map: LabelMap
) -> set[str]:
    """Those of the `silent` judges that give a label which one of the `stated` gives too."""
    if not silent or not stated or silent[0].construct == stated[0].construct:
        return set()
    given = verdicts.select("judge", "label").drop_nulls().unique()
    labels: dict[str, set[str | None]] = {}
    for judge, label in given.iter_rows():
        labels.setdefault(judge, set()).add(label_map(judge, label))
    common = set().union(*(labels.get(judge.name, set()) for judge in stated)) - {None}
    return {judge.name for judge in silent if labels.get(judge.name, set()) & common}
