"""Verdicts -> results: every question of a verdict table, from panel to conclusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from interjudge.agreement.conclusions import conclude
from interjudge.agreement.flags import Flags, flag
from interjudge.agreement.measure import Sampling, agree
from interjudge.agreement.panel import Panel, build_panel
from interjudge.agreement.question import Level, MapRule
from interjudge.agreement.results import DisputedOutput, QuestionResult
from interjudge.datasets.schema import VERDICT_COLUMNS
from interjudge.errors import InputError

N_DISPUTED: Final = 20


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


def build(
    spec: QuestionSpec,
    verdicts: pl.DataFrame,
    *,
    outputs: pl.DataFrame | None = None,
    reference: str | pl.DataFrame | None = None,
    reference_name: str = "reference",
    columns: Sequence[str] = (),
    cluster: str | None = None,
) -> Panel:
    """The panel of one question; of a reference with a `criterion` column, the part that speaks of it."""
    return build_panel(
        verdicts,
        construct=spec.construct,
        labels=spec.labels,
        positive=spec.positive,
        level=spec.level,
        maps=spec.maps,
        thresholds=spec.thresholds,
        reference=_reference_for(spec, verdicts, reference),
        reference_name=reference_name,
        outputs=outputs,
        columns=columns,
        cluster=cluster,
    )


@dataclass(frozen=True)
class Analysis:
    """`questions` for the report; `flags` and `items` (see `Flags`) of all questions together."""

    questions: tuple[QuestionResult, ...]
    flags: pl.DataFrame
    items: pl.DataFrame


def analyse(
    verdicts: pl.DataFrame,
    *,
    questions: Sequence[QuestionSpec] = (),
    outputs: pl.DataFrame | None = None,
    reference: str | pl.DataFrame | None = None,
    reference_name: str = "reference",
    by: Sequence[str] = (),
    cluster: str | None = None,
    flag_at: float = 0.5,
    sampling: Sampling | None = None,
) -> Analysis:
    """Everything about a verdict table.

    Parameters
    ----------
    questions : default one for every construct that two judges measure, or one judge and the reference.
    reference : a judge's name, or a table `item_id`, `gold` and, where it speaks of several constructs,
        `criterion` (the construct a gold label belongs to).
    by, cluster : item columns for slices and for the sampling unit.

    Raises
    ------
    InputError : when there is nothing to compare, or an option fits nothing.
    """
    sampling = sampling or Sampling()
    specs = list(questions) or default_questions(verdicts, reference)
    columns = [c for c in ("model", "base_model") if _has_column(c, verdicts, outputs)]
    results, flags = [], []
    for spec in specs:
        panel = build(
            spec,
            verdicts,
            outputs=outputs,
            reference=reference,
            reference_name=reference_name,
            columns=(*columns, *by),
            cluster=cluster,
        )
        found = flag(panel, verdicts, threshold=flag_at) if panel.question.labels else None
        results.append(
            QuestionResult(
                agreement=agree(panel, by=by, sampling=sampling),
                flags=found.summary if found else None,
                conclusions=conclude(panel, sampling=sampling),
                disputed=_disputed(panel, found, outputs, verdicts) if found else (),
            )
        )
        flags += [found] if found else []
    if not flags:
        raise InputError("no question has labels", expected="labels, or --threshold JUDGE=SCORE for judges of scores")
    return Analysis(tuple(results), pl.concat(f.verdicts for f in flags), pl.concat(f.items for f in flags))


def default_questions(verdicts: pl.DataFrame, reference: str | pl.DataFrame | None) -> list[QuestionSpec]:
    """One question for each construct that has something to be compared with, most judges first."""
    own = verdicts if not isinstance(reference, str) else verdicts.filter(pl.col("judge") != reference)
    table = own.group_by("construct", maintain_order=True).agg(pl.col("judge").n_unique())
    table = table.sort("judge", descending=True, maintain_order=True)
    referred = _criteria(reference)
    specs = [
        QuestionSpec(construct=construct)
        for construct, n in table.iter_rows()
        if n >= 2 or (reference is not None and (referred is None or construct in referred))
    ]
    return specs or [QuestionSpec()]


def _criteria(reference: str | pl.DataFrame | None) -> set[str] | None:
    if isinstance(reference, pl.DataFrame) and "criterion" in reference.columns:
        return set(reference["criterion"].unique())
    return None


def _reference_for(
    spec: QuestionSpec, verdicts: pl.DataFrame, reference: str | pl.DataFrame | None
) -> str | pl.DataFrame | None:
    """The part of the reference that speaks of this question."""
    criteria = _criteria(reference)
    if criteria is None or not isinstance(reference, pl.DataFrame):
        return reference
    construct = spec.construct or verdicts["construct"].mode().sort()[0]
    return reference.filter(pl.col("criterion") == construct) if construct in criteria else None


def _has_column(column: str, verdicts: pl.DataFrame, outputs: pl.DataFrame | None) -> bool:
    extra = column in verdicts.columns and column not in VERDICT_COLUMNS
    return extra or (outputs is not None and column in outputs.columns)


def _disputed(
    panel: Panel, flags: Flags, outputs: pl.DataFrame | None, verdicts: pl.DataFrame
) -> tuple[DisputedOutput, ...]:
    """The items whose consensus is least certain, with what every judge said."""
    top = flags.items.filter(pl.col("n_votes") >= 2).sort(
        ["p_consensus_wrong", "entropy", "item_id"], descending=[True, True, False], nulls_last=True
    )
    top = top.filter(pl.col("entropy") > 0).head(N_DISPUTED)
    said = flags.verdicts.filter(pl.col("item_id").is_in(top["item_id"].to_list()))
    texts = _texts(top["item_id"].to_list(), outputs, verdicts)
    of_item = said.group_by("item_id").agg("judge", pl.col("label").fill_null("(none)"))
    verdict_of = {item: dict(zip(judges, labels, strict=True)) for item, judges, labels in of_item.iter_rows()}
    model_of = dict(panel.items.select("item_id", "model").iter_rows()) if "model" in panel.items.columns else {}
    return tuple(
        DisputedOutput(
            item_id=row["item_id"],
            model=model_of.get(row["item_id"]),
            consensus=row["consensus"],
            p_consensus_wrong=row["p_consensus_wrong"],
            verdicts={
                name: verdict_of[row["item_id"]][name] for name in panel.names if name in verdict_of[row["item_id"]]
            },
            reasons=tuple(row["reasons"]),
            **texts.get(row["item_id"], {}),
        )
        for row in top.iter_rows(named=True)
    )


def _texts(items: Sequence[str], outputs: pl.DataFrame | None, verdicts: pl.DataFrame) -> dict[str, dict[str, str]]:
    """item -> its prompt and response, from the outputs or the verdict table, where there are any."""
    source = outputs if outputs is not None else verdicts
    columns = [c for c in ("prompt", "response") if c in source.columns]
    found = source.filter(pl.col("item_id").is_in(items)).select("item_id", *columns).unique("item_id", keep="first")
    return {row.pop("item_id"): row for row in found.iter_rows(named=True)}
