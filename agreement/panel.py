"""Verdicts of several judges on shared outputs, mapped onto one question, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.agreement.participants import judges_of, main_construct, participants
from interjudge.agreement.question import (
    ANY,
    CONSTRUCT_LABELS,
    LabelMap,
    Level,
    MapRule,
    Question,
    default_labels,
    default_positive,
    natural_order,
    parse_level,
)
from interjudge.agreement.reference import (
    gold_codes,
    gold_picked,
    gold_table,
    gold_weights,
    reference_notes,
    refuse_foreign_gold,
)
from interjudge.agreement.results import LeftOut
from interjudge.agreement.rows import Codes, PanelJudge, Rows
from interjudge.datasets.schema import VERDICT_COLUMNS
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
    gold_weight : (N,) design weights of the labelled items, see `reference.gold_weights`; None: all the same. They stay
        where `gold` is taken out for what must not know it.
    gold_picked : the labelled items are known to be no random sample, and not how they were picked.
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
    gold_weight: NDArray[np.float64] | None = None
    gold_picked: bool = False
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
            gold_weight=None if self.gold_weight is None else self.gold_weight[mask],
        )


MAX_LABELS: Final = 200  # more different labels are replies or scores


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
    every_repeat, verdicts = verdicts, _numbers_as_scores(_first_repeat(verdicts))
    everyone = judges_of(verdicts)
    known = {judge.name: (judge.construct, judge.kind) for judge in everyone}
    label_map = LabelMap(maps, known)
    thresholds = dict(thresholds or {})
    for name in thresholds:
        if name not in known or name == reference:
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
    asked = construct or main_construct([j for j in everyone if j.name != ref_judge])
    judges, left_out, guests = participants(verdicts, everyone, asked, label_map, ref_judge, named=thresholds)
    if not judges:
        raise InputError(
            f"no judge measures {asked!r}{did_you_mean(asked, {j.construct for j in everyone})}",
            found=choices(sorted({j.construct for j in everyone})),
            expected="one of these, or a --map that names a judge",
        )

    rows = Rows.of(verdicts, judges)
    table = gold_table(verdicts, reference, rows.ids)
    mapped = {pair: label_map(*pair) for pair in rows.pairs()}
    gold_texts = () if table is None else table["gold"].unique().to_list()
    gold_map = {text: label_map(ref_judge or "reference", text) for text in gold_texts}
    scores_only = not mapped and rows.has_scores
    later = {} if scores_only else {pair: label_map(*pair) for pair in _later_labels(every_repeat, verdicts, judges)}
    _refuse_idle_maps(maps, {label for _, label in (*mapped, *later)} | set(gold_map))
    if table is not None:
        refuse_foreign_gold(set(gold_map.values()), {*mapped.values(), *labels}, scores_only=scores_only)
    said_by_judges = {*mapped.values(), *later.values(), *labels}
    said = (*mapped.values(), *later.values(), *gold_map.values())
    targets = {target for target in said if target is not None}
    question = _question(
        asked,
        targets,
        labels=labels,
        positive=positive,
        level=level,
        maps=maps,
        thresholds=thresholds,
        scores_only=scores_only,
    )
    code_of = {label: code for code, label in enumerate(question.labels)}
    codes, statuses = rows.scatter(mapped, code_of, question)
    gold = None if table is None else gold_codes(table, rows.ids, gold_map, code_of)
    weight = gold_weights(table, rows.ids, gold)
    picked = gold_picked(reference, table, rows.ids, gold)
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
        gold=gold,
        gold_weight=weight,
        gold_picked=picked,
        reference=None if reference is None else (ref_judge or reference_name),
        left_out=left_out,
        notes=(
            *_notes(rows, mapped, question, labels, set(gold_map.values())),
            *guests,
            *reference_notes(reference, table, gold, weighted=weight is not None, picked=picked),
            *([] if scores_only else _only_the_reference(table, gold_map, question.labels, said_by_judges)),
            *_outputs_notes(outputs, rows.ids),
            *_version_notes(verdicts, judges),
        ),
    )


def _only_the_reference(
    table: pl.DataFrame | None, gold_map: Mapping[str, str | None], labels: Sequence[str], said: set[str | None]
) -> list[str]:
    """Labels of the question that no judge gives: often a slip of the pen, and then the question is another one."""
    if table is None:
        return []
    odd: dict[str, int] = {}
    for text, n in table["gold"].value_counts(sort=True).iter_rows():
        target = gold_map.get(text)
        if target in labels and target not in said:
            odd[str(target)] = odd.get(str(target), 0) + n
    if not odd:
        return []
    named = choices([f"“{label}” ({n:,})" for label, n in odd.items()], 5)
    it = "it" if len(odd) == 1 else "them"
    return [f"only the reference has the label {named}: no judge gives {it}; --map or --labels mends a slip"]


def _numbers_as_scores(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Labels that are very many different numbers, each with its score, are scores."""
    labels = verdicts["label"].drop_nulls().unique()
    if labels.len() <= MAX_LABELS:
        return verdicts
    numbers = "score" in verdicts.columns and not labels.cast(pl.Float64, strict=False).has_nulls()
    if numbers and verdicts.select((pl.col("label").is_null() | pl.col("score").is_not_null()).all()).item():
        return verdicts.with_columns(label=pl.lit(None, pl.String))
    raise InputError(
        f"column 'label' holds {labels.len():,} different texts",
        found=choices([repr(text) for text in labels.sort().head(3)]),
        expected=f"labels, at most {MAX_LABELS} (are these replies?)",
    )


def _first_repeat(verdicts: pl.DataFrame) -> pl.DataFrame:
    """A judge that was asked several times votes once: with its first repeat."""
    if "repeat" not in verdicts.columns or verdicts["repeat"].max() == verdicts["repeat"].min():
        return verdicts
    return verdicts.filter(pl.col("repeat") == pl.col("repeat").min().over("item_id", "judge"))


def _later_labels(
    every_repeat: pl.DataFrame, first: pl.DataFrame, judges: Sequence[PanelJudge]
) -> list[tuple[str, str]]:
    """Judge and label of the verdicts that are no first repeat: the question has the labels of all."""
    if every_repeat.height == first.height:
        return []
    labelled = pl.col("label").is_not_null() & (pl.col("status") == "ok")
    mine = every_repeat.filter(labelled & pl.col("judge").is_in([judge.name for judge in judges]))
    return list(mine.select("judge", "label").unique().sort("judge", "label").iter_rows())


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
    if not targets and not labels and not scores_only and construct not in CONSTRUCT_LABELS:
        raise InputError("no verdict is usable", expected="at least one ok verdict that no --map leaves out")
    if labels and targets and not targets & set(labels) and not scores_only:
        raise InputError(
            f"--labels {','.join(labels)}: no verdict has one of these", found=choices(natural_order(targets))
        )
    _refuse_misspelt(labels, targets, maps)
    if scores_only and thresholds and not labels:
        labels, positive = ("low", "high"), positive or "high"
    names = tuple(dict.fromkeys(labels)) or (() if scores_only else default_labels(construct, targets))
    if positive is not None and positive not in names:
        raise InputError(
            f"--positive {positive!r} is not a label here{did_you_mean(positive, names)}",
            expected=f"one of {choices(names)}",
        )
    own_order = bool(labels) or len(names) < 3 or Question(construct, names, None).values is not None
    if level == "ordinal" and not own_order:
        raise InputError(
            "level ordinal needs to know the order of the labels",
            found=choices(names, 10),
            expected="--labels with all of them, lowest first",
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


def _refuse_misspelt(labels: Sequence[str], targets: set[str], maps: Sequence[MapRule]) -> None:
    """A label set that one of the maps leads out of, or that has a label spelt nearly as one the judges say."""
    if not labels:
        return
    for rule in maps:
        if rule.target is not None and rule.target not in labels:
            raise InputError(
                f"--map {rule} leads to no label of the question{did_you_mean(rule.target, labels)}",
                expected=f"one of {choices(labels)}",
            )
    outside = sorted(targets - set(labels))
    for label in labels:
        if label not in targets and (meant := did_you_mean(label, outside)):
            raise InputError(f"--labels: no verdict says {label!r}{meant}", found=choices(natural_order(targets)))


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


def _refuse_idle_maps(maps: Sequence[MapRule], labels: set[str]) -> None:
    """A rule for a label that nobody gives is a misspelling, and would change nothing in silence."""
    known = set().union(*CONSTRUCT_LABELS.values())  # that none of the outputs is a refusal is no mistake
    for rule in maps:
        if rule.label != ANY and rule.label not in labels and rule.label not in known:
            raise InputError(
                f"--map {rule}: no verdict says {rule.label!r}{did_you_mean(rule.label, labels)}",
                expected=f"one of {choices(natural_order(labels), 10)}",
            )


def _items(
    verdicts: pl.DataFrame, outputs: pl.DataFrame | None, ids: pl.Series, columns: Sequence[str]
) -> pl.DataFrame:
    """One row an item: `item_id` and the asked columns, from the outputs or else from the verdict table."""
    items = ids.to_frame()
    for column in dict.fromkeys(columns):
        source = outputs if outputs is not None and column in outputs.columns else verdicts
        if column == "item_id":
            continue
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
    if items[cluster].dtype.is_nested():
        raise InputError(f"--cluster {cluster!r} cannot be a unit", found=str(items[cluster].dtype), expected="text")
    if items[cluster].dtype.is_float():
        items = items.with_columns(pl.col(cluster).fill_nan(None))
    alone = pl.when(pl.col(cluster).is_null()).then(pl.col("item_id")).alias("alone")
    keys = items.select(pl.struct(pl.col(cluster).alias("unit"), alone).rank("dense").alias("c"))
    return keys["c"].cast(pl.Int64).to_numpy() - 1


def _outputs_notes(outputs: pl.DataFrame | None, ids: pl.Series) -> list[str]:
    """Verdicts on items that the outputs do not hold are said; outputs that hold none of them are an error."""
    if outputs is None:
        return []
    strange = ids.len() - ids.is_in(outputs["item_id"].implode()).sum()
    if strange == ids.len():
        found = f"{outputs['item_id'][0]!r} there, {ids[0]!r} in the verdicts"
        raise InputError("the outputs hold no item of the verdicts", found=found, expected="the same item_id")
    return [f"{strange:,} of {ids.len():,} items are not among the outputs"] if strange else []


def _version_notes(verdicts: pl.DataFrame, judges: Sequence[PanelJudge]) -> list[str]:
    if "judge_hash" not in verdicts.columns:
        return []
    versions = verdicts.group_by("judge", maintain_order=True).agg(pl.col("judge_hash").drop_nulls().n_unique())
    names = {judge.name for judge in judges}
    several = [judge for judge, n in versions.iter_rows() if n > 1 and judge in names]
    return [f"verdicts of several versions of one judge stand together: {choices(several, 5)}"] if several else []


def _notes(
    rows: Rows,
    mapped: Mapping[tuple[str, str], str | None],
    question: Question,
    labels: Sequence[str],
    gold: set[str | None],
) -> list[str]:
    """A label that one judge alone gives is often a reply that was not understood, or another spelling."""
    if labels or len(rows.judges) < 2:
        return []
    share = {label: [judge for judge, text in mapped if mapped[judge, text] == label] for label in question.labels}
    odd = [label for label, judges in share.items() if len(judges) == 1 and label not in gold]
    rest = [label for label in question.labels if label not in odd]
    if not odd:
        return []
    shown = choices([repr(label) for label in odd], 5)
    hint = f"--labels {','.join(rest)}" if rest else "--map A=B"
    return [f"labels that only one judge gives: {shown}; if they are no labels or other spellings: {hint}"]
