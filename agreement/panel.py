"""Verdicts of several judges on shared outputs, mapped onto one question, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.agreement.question import (
    LabelMap,
    Level,
    MapRule,
    Question,
    default_labels,
    default_positive,
    natural_order,
    parse_level,
)
from interjudge.agreement.results import LeftOut
from interjudge.agreement.rows import Codes, PanelJudge, Rows
from interjudge.datasets.schema import NO_CONSTRUCT, VERDICT_COLUMNS
from interjudge.errors import InputError, choices, did_you_mean


@dataclass(frozen=True)
class Panel:
    """The arrays behind every statistic. N items (sorted by id), J judges (in the order they came), K labels.

    Attributes
    ----------
    codes : (N, J) index into `question.labels`, or -1 where the judge has no usable verdict. Fortran order.
    statuses : (N, J) index into `CELL_STATUSES`.
    scores : (N, J) float64 with NaN, or None when the question is about labels.
    items : N rows; `item_id` and the item columns that were asked for.
    clusters : (N,) number of the sampling unit, or None when the item is the unit; `unit` is its name.
    gold : (N,) index into the labels, or -1 where there is no reference label; None without a reference.
    left_out : judges of the table that take no part. `notes`: what a reader should know.
    """

    question: Question
    judges: tuple[PanelJudge, ...]
    codes: Codes
    statuses: NDArray[np.uint8]
    items: pl.DataFrame
    scores: NDArray[np.float64] | None = None
    clusters: NDArray[np.int64] | None = None
    unit: str = "item"
    gold: Codes | None = None
    reference: str | None = None
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def n_items(self) -> int:
        return int(self.codes.shape[0])

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(judge.name for judge in self.judges)

    def take(self, mask: NDArray[np.bool_]) -> Panel:
        """The same panel on some of its items."""
        return replace(
            self,
            codes=np.asfortranarray(self.codes[mask]),
            statuses=np.asfortranarray(self.statuses[mask]),
            items=self.items.filter(pl.Series(mask)),
            scores=None if self.scores is None else self.scores[mask],
            clusters=None if self.clusters is None else self.clusters[mask],
            gold=None if self.gold is None else self.gold[mask],
        )


def build_panel(
    verdicts: pl.DataFrame,
    *,
    construct: str | None = None,
    labels: Sequence[str] = (),
    positive: str | None = None,
    level: Level | None = None,
    maps: Sequence[MapRule] = (),
    thresholds: Mapping[str, float] | None = None,
    reference: str | pl.DataFrame | None = None,
    reference_name: str = "reference",
    outputs: pl.DataFrame | None = None,
    columns: Sequence[str] = (),
    cluster: str | None = None,
) -> Panel:
    """Verdicts (see `datasets.schema`) -> Panel.

    Parameters
    ----------
    construct : which construct to compare on; default the one with the most judges (then verdicts).
    labels : the question's label set in order; default every label that occurs after `maps`. A verdict
        outside it counts as ``out_of_range``.
    thresholds : for judges that give scores alone: from this score on the verdict is `positive`.
    reference : a judge of the table, or a table with `item_id` and `gold`.
    outputs : where item columns (`columns`, `cluster`) are looked for first; then the verdict table itself.

    Raises
    ------
    InputError : for options that fit nothing in the table; the message lists what there is.
    """
    level = parse_level(level) if level else None
    if verdicts.is_empty():
        raise InputError("there are no verdicts")
    verdicts = _first_repeat(verdicts)
    everyone = _judges(verdicts)
    known = {judge.name: (judge.construct, judge.kind) for judge in everyone}
    label_map = LabelMap(maps, known)
    thresholds = dict(thresholds or {})
    for name in thresholds:
        if name not in known:
            raise InputError(
                f"--threshold names no judge here: {name!r}{did_you_mean(name, known)}",
                expected=choices(known),
            )
    if isinstance(reference, str) and reference not in known:
        raise InputError(
            f"--reference {reference!r} is neither a file nor a judge{did_you_mean(reference, known)}",
            expected=f"one of {choices(known)}",
        )
    ref_judge = reference if isinstance(reference, str) else None
    asked = construct or _main_construct([j for j in everyone if j.name != ref_judge])
    judges, left_out, guests = _participants(verdicts, everyone, asked, label_map, ref_judge)
    if not judges:
        raise InputError(
            f"no judge measures {asked!r}{did_you_mean(asked, {j.construct for j in everyone})}",
            found=choices(sorted({j.construct for j in everyone})),
            expected="one of these, or a --map that names a judge",
        )

    rows = Rows.of(verdicts, judges)
    table = _gold_table(verdicts, reference, rows.ids)
    if table is not None and table.is_empty():
        raise InputError("the reference labels no item of the panel", expected="items in common")
    mapped = {pair: label_map(*pair) for pair in rows.pairs()}
    gold_texts = () if table is None else table["gold"].unique().to_list()
    gold_map = {text: label_map(ref_judge or "reference", text) for text in gold_texts}
    if table is not None:
        _refuse_foreign_gold(set(gold_map.values()), {*mapped.values(), *labels}, scores_only=not mapped)
    targets = {target for target in (*mapped.values(), *gold_map.values()) if target is not None}
    question = _question(
        asked,
        targets,
        labels=labels,
        positive=positive,
        level=level,
        maps=maps,
        thresholds=thresholds,
        scores_only=not mapped,
    )
    code_of = {label: code for code, label in enumerate(question.labels)}
    codes, statuses = rows.scatter(mapped, code_of, question)
    items = _items(verdicts, outputs, rows.ids, (*columns, *((cluster,) if cluster else ())))
    return Panel(
        question=question,
        judges=judges,
        codes=codes,
        statuses=statuses,
        items=items,
        scores=rows.scores() if _about_scores(question, rows) else None,
        clusters=_clusters(items, cluster),
        unit=cluster or "item",
        gold=None if table is None else _gold_codes(table, rows.ids, gold_map, code_of),
        reference=None if reference is None else (ref_judge or reference_name),
        left_out=left_out,
        notes=(*guests, *_notes(rows, mapped, question, labels)),
    )


def _first_repeat(verdicts: pl.DataFrame) -> pl.DataFrame:
    """A judge that was asked several times votes once: with its first repeat."""
    if "repeat" not in verdicts.columns or verdicts["repeat"].max() == verdicts["repeat"].min():
        return verdicts
    return verdicts.filter(pl.col("repeat") == pl.col("repeat").min().over("item_id", "judge"))


def _judges(verdicts: pl.DataFrame) -> list[PanelJudge]:
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


def _main_construct(judges: Sequence[PanelJudge]) -> str:
    """The construct most judges measure; stated ones go before none, ties to the one that comes first."""
    if not judges:
        raise InputError("the reference is the only judge", expected="at least one judge beside it")
    constructs = [judge.construct for judge in judges]
    return max(dict.fromkeys(constructs), key=lambda c: (c != NO_CONSTRUCT, constructs.count(c)))


def _participants(
    verdicts: pl.DataFrame,
    everyone: Sequence[PanelJudge],
    construct: str,
    label_map: LabelMap,
    reference: str | None,
) -> tuple[tuple[PanelJudge, ...], tuple[LeftOut, ...], tuple[str, ...]]:
    """Who takes part, who does not and why, and notes.

    A judge of another construct takes part only through a rule that names it; one that does not state its
    construct, when it shares a label with those that do.
    """
    inside, outside = [], []
    stated = [j for j in everyone if j.construct == construct or label_map.names(j.name)]
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


def _question(
    construct: str,
    targets: set[str],
    *,
    labels: Sequence[str],
    positive: str | None,
    level: Level | None,
    maps: Sequence[MapRule],
    thresholds: Mapping[str, float],
    scores_only: bool,
) -> Question:
    if labels and not targets & set(labels) and not scores_only:
        raise InputError(
            f"--labels {','.join(labels)}: no verdict has one of these", found=choices(natural_order(targets))
        )
    if scores_only and thresholds and not labels:
        labels, positive = ("low", "high"), positive or "high"
    names = tuple(dict.fromkeys(labels)) or default_labels(construct, targets)
    if positive is not None and positive not in names:
        raise InputError(
            f"--positive {positive!r} is not a label here{did_you_mean(positive, names)}",
            expected=f"one of {choices(names)}",
        )
    default_level: Level = "interval" if scores_only and not names else "nominal"
    return Question(
        construct=construct,
        labels=names,
        positive=positive or default_positive(names),
        level=level or default_level,
        rules=tuple(maps),
        thresholds=dict(thresholds),
    )


def _about_scores(question: Question, rows: Rows) -> bool:
    """Whether the level of measurement asks for the judges' scores rather than their labels."""
    if not question.labels:
        return True
    if question.level not in ("interval", "ratio") or question.values is not None:
        return False
    if "score" not in rows.table.columns or rows.table["score"].null_count() == rows.table.height:
        raise InputError(
            f"level {question.level} needs numbers", found=f"labels {choices(question.labels, 5)}", expected="scores"
        )
    return True


def _gold_table(verdicts: pl.DataFrame, reference: str | pl.DataFrame | None, ids: pl.Series) -> pl.DataFrame | None:
    """`item_id`, `gold` for the items of the panel."""
    if reference is None:
        return None
    if isinstance(reference, str):
        own = verdicts.filter((pl.col("judge") == reference) & (pl.col("status") == "ok"))
        reference = own.select("item_id", gold=pl.col("label")).drop_nulls()
    return reference.select("item_id", "gold").join(ids.to_frame(), on="item_id", how="semi")


def _refuse_foreign_gold(gold: set[str | None], labels: set[str | None], *, scores_only: bool) -> None:
    """A reference that has no label in common with the judges would call every verdict wrong."""
    if scores_only or gold & labels - {None}:
        return
    raise InputError(
        f"the reference has the labels {choices(natural_order(g for g in gold if g is not None), 5)}",
        found=f"judges that say {choices(natural_order(t for t in labels if t is not None), 5)}",
        expected="a label in common, or a --map that makes one",
    )


def _gold_codes(
    table: pl.DataFrame, ids: pl.Series, gold_map: Mapping[str, str | None], code_of: Mapping[str, int]
) -> Codes:
    targets = {text: code_of.get(target, -1) if target is not None else -1 for text, target in gold_map.items()}
    coded = table.select("item_id", code=pl.col("gold").replace_strict(targets, return_dtype=pl.Int16))
    joined = ids.to_frame().join(coded, on="item_id", how="left", maintain_order="left")
    return joined["code"].fill_null(-1).to_numpy()


def _items(
    verdicts: pl.DataFrame, outputs: pl.DataFrame | None, ids: pl.Series, columns: Sequence[str]
) -> pl.DataFrame:
    """One row an item: `item_id` and the asked columns, from the outputs or else from the verdict table."""
    items = ids.to_frame()
    for column in dict.fromkeys(columns):
        source = outputs if outputs is not None and column in outputs.columns else verdicts
        if column not in source.columns or (source is verdicts and column in VERDICT_COLUMNS):
            there = {*(outputs.columns if outputs is not None else ()), *verdicts.columns} - set(VERDICT_COLUMNS)
            raise InputError(
                f"there is no item column {column!r}{did_you_mean(column, there)}",
                expected=f"one of {choices(sorted(there)) or 'none'}",
            )
        one = source.select("item_id", column).drop_nulls().unique("item_id", keep="first", maintain_order=True)
        items = items.join(one, on="item_id", how="left", maintain_order="left")
    return items


def _clusters(items: pl.DataFrame, cluster: str | None) -> NDArray[np.int64] | None:
    """(N,) number of each item's sampling unit; an item without a value is a unit of its own."""
    if cluster is None:
        return None
    keys = items.select(
        pl.struct(pl.col(cluster), pl.when(pl.col(cluster).is_null()).then(pl.col("item_id"))).rank("dense").alias("c")
    )
    return keys["c"].cast(pl.Int64).to_numpy() - 1


def _notes(
    rows: Rows, mapped: Mapping[tuple[str, str], str | None], question: Question, labels: Sequence[str]
) -> tuple[str, ...]:
    """A label that one judge alone gives, and rarely, is often a reply that was not understood."""
    if labels or len(rows.judges) < 2:
        return ()
    share = {label: [judge for judge, text in mapped if mapped[judge, text] == label] for label in question.labels}
    odd = [label for label, judges in share.items() if len(judges) == 1]
    if not odd or len(odd) == len(question.labels):
        return ()
    shown = choices([repr(label) for label in odd], 5)
    return (f"labels that only one judge gives: {shown}; if these are no labels, name the labels with --labels",)
