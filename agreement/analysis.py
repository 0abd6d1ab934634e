"""Verdicts -> results: every question of a verdict table, from panel to conclusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from interjudge.agreement.examine import ITEM_COLUMNS, TEXT_COLUMNS, Texts, examine
from interjudge.agreement.flags import FLAG_COLUMNS
from interjudge.agreement.flags import ITEM_COLUMNS as FLAGGED_ITEM_COLUMNS
from interjudge.agreement.humans import EPSILON
from interjudge.agreement.panel import Panel, build_panel
from interjudge.agreement.participants import judges_of, main_construct
from interjudge.agreement.question import Level, MapRule
from interjudge.agreement.results_question import QuestionResult
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.schema import VERDICT_COLUMNS


@dataclass(frozen=True)
class QuestionSpec:
    """What the user says of one question; everything may be left out (see `build_panel`)."""

    construct: str | None = None
    labels: tuple[str, ...] = ()
    positive: str | None = None
    level: Level | None = None
    maps: tuple[MapRule, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @property
    def said(self) -> bool:
        """Whether the user said anything at all."""
        return self != QuestionSpec()

    @property
    def said_more(self) -> bool:
        """Whether the user said more than the construct."""
        return self != QuestionSpec(construct=self.construct)


@dataclass(frozen=True)
class Tables:
    """What an analysis starts from.

    `reference`: a judge's name, or a table `item_id`, `gold` and, where it speaks of several constructs,
    `criterion` (the construct a gold label belongs to); `reference_name` is what it is called in the results.
    `sources`: the files all this was read from, each with its rows where that is known.
    """

    verdicts: pl.DataFrame
    outputs: pl.DataFrame | None = None
    reference: str | pl.DataFrame | None = None
    reference_name: str = "reference"
    sources: tuple[tuple[str, int | None], ...] = ()


def build(spec: QuestionSpec, tables: Tables, *, columns: Sequence[str] = (), cluster: str | None = None) -> Panel:
    """The panel of one question; of a reference with a `criterion` column, the part that speaks of it."""
    return build_panel(
        tables.verdicts,
        construct=spec.construct,
        labels=spec.labels,
        positive=spec.positive,
        level=spec.level,
        maps=spec.maps,
        thresholds=spec.thresholds,
        reference=_reference_for(spec, tables),
        reference_name=tables.reference_name,
        outputs=tables.outputs,
        columns=columns,
        cluster=cluster,
    )


@dataclass(frozen=True)
class Analysis:
    """`questions` for the report; `flags` and `items` (see `Flags`) of all questions together.

    `flagged`: the same two tables of each question alone, None where it has no labels. `references`: of each question
    `item_id` and `gold`, a label of the question; None where it has no reference.
    """

    questions: tuple[QuestionResult, ...]
    flags: pl.DataFrame
    items: pl.DataFrame
    flagged: tuple[tuple[pl.DataFrame, pl.DataFrame] | None, ...] = ()
    references: tuple[pl.DataFrame | None, ...] = ()


def analyse(
    tables: Tables,
    *,
    questions: Sequence[QuestionSpec] = (),
    by: Sequence[str] = (),
    cluster: str | None = None,
    evidence: pl.DataFrame | None = None,
    epsilon: float = EPSILON,
    sampling: Sampling | None = None,
) -> Analysis:
    """Everything about a verdict table.

    Parameters
    ----------
    questions : default one for every construct that two judges measure, or one judge and the reference.
    by, cluster : item columns for slices and for the sampling unit.
    evidence : verdicts of judges that are no part of the tables but saw the same items (see `flag`).
    epsilon : of the alternative annotator test (see `humans`).

    Raises
    ------
    InputError : when there is nothing to compare, or an option fits nothing.
    """
    sampling = sampling or Sampling()
    specs = list(questions) or default_questions(tables)
    columns = [c for c in ITEM_COLUMNS if _has_column(c, tables)]
    texts = Texts(_items(tables))
    results: list[QuestionResult] = []
    tables_of: list[tuple[pl.DataFrame, pl.DataFrame] | None] = []
    references: list[pl.DataFrame | None] = []
    for spec in specs:
        panel = build(spec, tables, columns=(*columns, *by), cluster=cluster)
        found = examine(panel, tables.verdicts, texts, by=by, evidence=evidence, epsilon=epsilon, sampling=sampling)
        results.append(found.result)
        tables_of.append((found.flags.verdicts, found.flags.items) if found.flags else None)
        references.append(_reference_labels(panel))
    flags = [pair for pair in tables_of if pair is not None]
    verdicts_flagged = pl.concat([pl.DataFrame(schema=FLAG_COLUMNS), *(pair[0] for pair in flags)])
    items = pl.concat([pl.DataFrame(schema=FLAGGED_ITEM_COLUMNS), *(pair[1] for pair in flags)])
    return Analysis(tuple(results), verdicts_flagged, items, tuple(tables_of), tuple(references))


def _reference_labels(panel: Panel) -> pl.DataFrame | None:
    if panel.gold is None or not panel.question.labels:
        return None
    labels = pl.Series(panel.question.labels, dtype=pl.String)
    known = pl.Series(panel.gold, dtype=pl.Int64)
    gold = panel.items.select("item_id", code=known).filter(pl.col("code") >= 0)
    return gold.select("item_id", gold=labels.gather(gold["code"]))


def default_questions(tables: Tables) -> list[QuestionSpec]:
    """One question for each construct that has something to be compared with, most judges first."""
    own = tables.verdicts.filter(pl.col("judge") != tables.reference) if isinstance(tables.reference, str) else None
    table = (tables.verdicts if own is None else own).group_by("construct", maintain_order=True)
    counts = table.agg(pl.col("judge").n_unique()).sort("judge", descending=True, maintain_order=True)
    criteria = _criteria(tables.reference)
    specs = [
        QuestionSpec(construct=construct)
        for construct, n in counts.iter_rows()
        if n >= 2 or (construct in criteria if criteria else _referred(construct, tables))
    ]
    return specs or [QuestionSpec()]


def _referred(construct: str, tables: Tables) -> bool:
    return tables.reference is not None and _speaks_of(QuestionSpec(construct=construct), tables)


def _criteria(reference: str | pl.DataFrame | None) -> set[str] | None:
    if isinstance(reference, pl.DataFrame) and "criterion" in reference.columns:
        return set(reference["criterion"].unique())
    return None


def _reference_for(spec: QuestionSpec, tables: Tables) -> str | pl.DataFrame | None:
    """The part of the reference that speaks of this question."""
    criteria = _criteria(tables.reference)
    if not isinstance(tables.reference, pl.DataFrame):
        return tables.reference
    if criteria is None:
        return tables.reference if spec.said_more or _speaks_of(spec, tables) else None
    construct = spec.construct or main_construct(judges_of(tables.verdicts))
    return tables.reference.filter(pl.col("criterion") == construct) if construct in criteria else None


def _speaks_of(spec: QuestionSpec, tables: Tables) -> bool:
    """Whether the reference has a label that some judge of the construct gives."""
    if not isinstance(tables.reference, pl.DataFrame) or spec.construct is None:
        return True
    own = tables.verdicts.filter(pl.col("construct") == spec.construct)["label"].drop_nulls().unique()
    return own.is_empty() or own.is_in(tables.reference["gold"].unique().to_list()).any()


def _has_column(column: str, tables: Tables) -> bool:
    extra = column in tables.verdicts.columns and column not in VERDICT_COLUMNS
    return extra or (tables.outputs is not None and column in tables.outputs.columns)


def _items(tables: Tables) -> pl.DataFrame:
    """One row an item with what is known of the output itself."""
    source = tables.verdicts if tables.outputs is None else tables.outputs
    known = ["item_id", *(c for c in (*ITEM_COLUMNS, *TEXT_COLUMNS) if c in source.columns)]
    return source.select(known).unique("item_id", keep="first") if len(known) > 1 else source.select("item_id").head(0)
