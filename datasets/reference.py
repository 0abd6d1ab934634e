"""Reference labels (gold): what is taken as true, usually from humans."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import polars as pl

from interjudge.datasets.columns import OUTPUT_KINDS, Table, missing_column, refuse_null
from interjudge.datasets.foreign import Tell, part_of, read_found
from interjudge.datasets.ids import ID_EXPECTED, ITEM_IDENTITY
from interjudge.datasets.outputs import first_twice, with_item_id
from interjudge.datasets.read import read_table
from interjudge.datasets.schema import DRAWN_WITH, KIND_ALIASES, OUTPUT_REQUIRED
from interjudge.datasets.source import open_source
from interjudge.errors import InputError

CRITERION: Final = "criterion"
_PLANNED: Final = "p_consensus_wrong"  # with `why` a column of `interjudge plan`'s sample
_MISSPELT: Final = re.compile(r"(?i)incl\w{0,8}[ _-]?prob\w{0,8}")


def read_reference(
    path: str | Path, *, column: str | None = None, format: str | None = None, tell: Tell | None = None
) -> pl.DataFrame:
    """`item_id` and `gold` (String, one row an item) from a file with `item_id` and `gold`, or `column`.

    A file with `item_id` and `label`, and neither `gold` nor `judge`, is read as well; and so are verdicts of humans
    (`item_id`, `judge_kind`, `label`), such as `interjudge review` writes: an item on which all its judges agree has
    that label, the others have none. Where the file has a `criterion` (the construct that a label belongs to), it comes
    as a third column, and an item may have a row for each. Items without a label are left out. A file of outputs
    without `item_id` and `criterion` is read too: its ids are then those that `read_outputs` gives. Labels become text
    as in `columns.to_text`. A file of another tool gives the reference labels that it holds, or `column` of its
    outputs; `format` and `tell` are as for `read_outputs`. Where each label has an `inclusion_probability`, with which
    its item was drawn to be labelled, that comes as a last column (Float64). It is null throughout where the items are
    known to have been picked and it is not known how: it is so in the file, or `interjudge plan` wrote the file and
    the column is gone.

    Raises
    ------
    InputError : the file cannot be read, a column is missing, an item (of a criterion) stands twice, no item has a
        label, or an `inclusion_probability` is missing beside others or not above 0 and at most 1.
    """
    if column in OUTPUT_KINDS:
        raise InputError("is no column of reference labels", file=path, column=column)
    source = open_source(path)
    found = read_found(source, format)
    if found is not None:
        if column is not None and found.outputs is not None and column in found.outputs.columns:
            return gold_of_column(part_of(found, "outputs", tell), column)
        return part_of(found, "reference", tell)
    gold = column or "gold"

    judged = False

    def choose(names: list[str]) -> list[str]:
        nonlocal gold, judged
        judged = column is None and {"item_id", "judge_kind", "label"} <= set(names) and "gold" not in names
        drawn = _about_the_draw(str(path), names)
        if judged:
            return ["item_id", "judge_kind", "label", *drawn]
        plain = {"item_id", "label"} <= set(names) and not {"gold", "judge"} & set(names)
        if column is None and plain:
            gold = "label"
        if gold not in names:
            expected = "the reference labels, or --gold-column to name the column that holds them"
            raise missing_column(str(path), gold, names, expected)
        criterion = [CRITERION] if CRITERION in names and gold != CRITERION else []
        if "item_id" in names:
            return ["item_id", *criterion, gold, *drawn]
        if criterion or not set(OUTPUT_REQUIRED) <= set(names):
            expected = "item_id; it is not made where there is a criterion" if criterion else ID_EXPECTED
            raise missing_column(str(path), "item_id", names, expected)
        return [*(c for c in ITEM_IDENTITY if c in names and c != gold), gold, *drawn]

    kinds = OUTPUT_KINDS | {CRITERION: "tag", "gold": "label", "label": "label", DRAWN_WITH: "number"}
    kinds |= {column: "label"} if column else {}
    table = read_table(source, kinds, choose)
    if judged:
        return _agreed(table)
    frame = _one_a_criterion(table) if CRITERION in table.frame.columns and gold != CRITERION else with_item_id(table)
    keys = [name for name in ("item_id", CRITERION) if name in frame.columns and name != gold]
    reference = frame.select(*keys, pl.col(gold).alias("gold"), *_drawn(table, gold)).drop_nulls([*keys, "gold"])
    if reference.is_empty():
        raise table.error("no item has a reference label", column=gold, found="null in every row")
    return reference


def _about_the_draw(file: str, names: list[str]) -> list[str]:
    """The column that says how items were drawn to be labelled, or another of `interjudge plan`'s where it is gone."""
    if DRAWN_WITH in names:
        return [DRAWN_WITH]
    close = next((name for name in names if _MISSPELT.fullmatch(name)), None)
    if close is not None:
        raise InputError("looks like a misspelt name", file=file, column=close, expected=DRAWN_WITH)
    return [_PLANNED] if {_PLANNED, "why"} <= set(names) else []


def _drawn(table: Table, label: str) -> list[pl.Series]:
    """`inclusion_probability` of every label; all null where the items were picked, nobody knows how."""
    if label == DRAWN_WITH or not {DRAWN_WITH, _PLANNED} & set(table.frame.columns):
        return []
    if DRAWN_WITH not in table.frame.columns:
        return [pl.Series(DRAWN_WITH, [None] * table.frame.height, dtype=pl.Float64)]
    drawn = table.frame[DRAWN_WITH]
    if drawn.null_count() == drawn.len():
        return [drawn]
    wanted = pl.col(DRAWN_WITH).is_not_null().any()
    if CRITERION in table.frame.columns and label != CRITERION:  # one may be a sample, another not
        wanted = wanted.over(CRITERION)
    wrong = ~pl.col(DRAWN_WITH).is_between(0, 1, closed="right").fill_null(False)
    bad = table.frame.select(pl.col(label).is_not_null() & wanted & wrong)
    if bad.to_series().any():
        at = int(bad.to_series().arg_max() or 0)
        expected = "above 0 and at most 1 for every label; 1 where the item was to be labelled in any case"
        found = "null" if drawn[at] is None else drawn[at]
        raise table.error("is no probability", at=at, column=DRAWN_WITH, found=found, expected=expected)
    return [drawn]


def _agreed(table: Table) -> pl.DataFrame:
    """The label of each item on which all of its judges agree; a verdict without a label says nothing."""
    refuse_null(table, ["item_id"], empty=False)
    kinds = pl.col("judge_kind").replace(KIND_ALIASES)
    odd = table.frame.select((kinds != "human").fill_null(True).alias("odd"))["odd"]
    if odd.any():
        at = int(odd.arg_max() or 0)
        found, expected = (
            table.frame["judge_kind"][at],
            "verdicts of humans alone, or a judge's name, or a column 'gold'",
        )
        raise table.error("is no reference label", at=at, column="judge_kind", found=found, expected=expected)
    drawn = _drawn(table, "label")
    names = [one.name for one in drawn]
    given = table.frame.with_columns(drawn).drop_nulls("label").group_by("item_id", maintain_order=True)
    labels = given.agg(pl.col("label").unique(), *(pl.col(name).unique() for name in names))
    for name in names:
        several = labels.filter(pl.col(name).list.len() > 1)
        if several.height:
            item = several["item_id"][0]
            problem = f"item {item!r} has several probabilities of having been drawn"
            found = ", ".join(map(str, several[name][0]))
            raise table.error(problem, column=name, found=found, expected="one of an item")
    if labels.is_empty():
        raise table.error("no item has a reference label", column="label", found="null in every row")
    agreed = labels.filter(pl.col("label").list.len() == 1)
    if agreed.is_empty():
        raise table.error("the judges agree on no item", column="label", expected="items with one label")
    one = [pl.col(name).list.first() for name in names]
    return agreed.select("item_id", pl.col("label").list.first().alias("gold"), *one)


def _one_a_criterion(table: Table) -> pl.DataFrame:
    """The rows, after a look at their keys: `item_id` and `criterion` together."""
    key = ["item_id", CRITERION]
    refuse_null(table, key, empty=False)
    if table.frame.select(pl.struct(key).is_duplicated().any()).item():
        first, second = first_twice(table.frame, key)
        place = table.place(first)
        raise table.error(
            f"the same item_id and criterion as in {f'row {place}' if isinstance(place, int) else place}",
            at=second,
            found=" and ".join(table.frame.select(key).row(second)),
            expected="one label for each item and criterion",
        )
    return table.frame


def gold_of_column(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """`item_id` and `gold` from a column of a verdict table or of outputs, and `inclusion_probability`, if it is there.

    Raises
    ------
    InputError : when an item has two labels in it, or no item has one.
    """
    gold = pl.col(column).cast(pl.String).alias("gold")
    there = DRAWN_WITH in frame.columns and column != DRAWN_WITH and frame[DRAWN_WITH].null_count() < frame.height
    found = frame.select("item_id", gold, *([DRAWN_WITH] if there else [])).drop_nulls(["item_id", "gold"])
    # a long table has rows of other judges too, without a probability
    drawn = [pl.col(DRAWN_WITH).drop_nulls().first()] if there else []
    found = found.group_by("item_id", "gold", maintain_order=True).agg(*drawn)
    twice = found.filter(pl.col("item_id").is_duplicated())
    if twice.height:
        raise InputError(
            f"item {twice['item_id'][0]!r} has several reference labels",
            column=column,
            found=", ".join(twice.filter(item_id=twice["item_id"][0])["gold"]),
            expected="one label an item",
        )
    if found.is_empty():
        raise InputError("no item has a reference label", column=column, found="null in every row")
    return found
