"""Panel -> Plan: how much is enough, and which outputs to label next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.agreement.decision import check_target, d_study, g_study
from interjudge.agreement.label_plan import (
    NEXT_COLUMNS,
    Believed,
    check_width,
    judge_labels,
    next_items,
    planned_label,
    rate_labels,
    tell_apart,
)
from interjudge.agreement.latent import LatentTruth
from interjudge.agreement.panel import Panel
from interjudge.agreement.participants import judges_of
from interjudge.agreement.question import LabelMap
from interjudge.agreement.results_plan import LabelPlan, PlanResult
from interjudge.agreement.rows import Rows
from interjudge.agreement.sampling import Sampling
from interjudge.agreement.variance import Undefined, Variances, variance_components
from interjudge.errors import InputError

SCORES: Final = "these judges give scores: a rate, and labels for it, need labels (--threshold JUDGE=SCORE)"
ONE_LABEL: Final = "one label: there is nothing to find out"
NO_OUTPUTS: Final = "no outputs"


@dataclass(frozen=True)
class Plan:
    """`result`: the figures. `next_items`: the outputs to label next (`label_plan.NEXT_COLUMNS`)."""

    result: PlanResult
    next_items: pl.DataFrame


def plan(
    panel: Panel,
    verdicts: pl.DataFrame,
    *,
    truth: LatentTruth | None,
    sampling: Sampling | None = None,
    width: float = 0.1,
    target: float = 0.8,
    power: float = 0.8,
    n_next: int = 20,
    random_share: float = 0.25,
) -> Plan:
    """How many judges, outputs, repeats and reference labels are enough, and which outputs to label next.

    Parameters
    ----------
    panel : its items may carry `model`; its `gold`, where there are at least 30 labels, says what is assumed of the
        truth.
    verdicts : the whole verdict table, for repeats (the panel holds the first of each judge only).
    truth : the estimated truth; None: the share of the votes stands in for it.
    width : full width of the intervals that labels are planned for, in (0, 1).
    target : reliability to reach, in (0, 1). power : of the test between the two best judges, in (0, 1).
    n_next : outputs to label next. random_share : how much of these is drawn at random, 0 to 1.

    Raises
    ------
    InputError : an option out of range.
    """
    sampling = sampling or Sampling()
    check_target(target)
    check_width(width)
    check_power(power)
    found = _variances(panel, verdicts, sampling)
    known = isinstance(found, Variances)
    effective = None if truth is None or len(panel.judges) < 2 else truth.effective_judges
    labels, table, problem = None, pl.DataFrame(schema=NEXT_COLUMNS), _label_problem(panel)
    if problem is None:
        believed = Believed.of(panel, truth)
        table, shown = next_items(panel, believed, n_next, random_share=random_share, seed=sampling.seed)
        label = planned_label(panel, believed)
        confidence = sampling.confidence
        labels = LabelPlan(
            width=width,
            confidence=confidence,
            source=believed.source,
            n_items=panel.n_items,
            n_labelled=0 if panel.gold is None else int((panel.gold >= 0).sum()),
            rate=rate_labels(panel, believed, label, width, sampling),
            judges=tuple(judge_labels(panel, believed, label, width, confidence)),
            two_best=tell_apart(panel, believed, power, confidence),
            next=shown,
        )
    result = PlanResult(
        variance=g_study(found, _scale(panel)) if isinstance(found, Variances) else None,
        decision=d_study(found, target, effective) if isinstance(found, Variances) else None,
        undefined=None if known else found.why if isinstance(found, Undefined) else None,
        labels=labels,
        labels_undefined=problem,
        notes=_notes(panel, labels),
    )
    return Plan(result, table)


def check_power(power: float) -> None:
    """Raise `InputError` for a power that no test has."""
    if not 0 < power < 1:
        raise InputError("the power is out of range", found=power, expected="between 0 and 1")


def _label_problem(panel: Panel) -> str | None:
    if not panel.question.labels:
        return SCORES
    if not panel.n_items:
        return NO_OUTPUTS
    return ONE_LABEL if len(panel.question.labels) < 2 else None


def _notes(panel: Panel, labels: LabelPlan | None) -> tuple[str, ...]:
    notes = []
    if labels is not None and panel.clusters is not None:
        notes.append(
            f"the numbers of labels are for outputs of different {panel.unit}s: several of one {panel.unit} tell less"
        )
    if labels is not None and labels.n_labelled:
        notes.append("numbers that rest on the reference labels take these for a random sample of the outputs")
    return tuple(notes)


def _variances(panel: Panel, verdicts: pl.DataFrame, sampling: Sampling) -> Variances | Undefined:
    question = panel.question
    asked = repeats_of(panel, verdicts)
    if panel.scores is None and question.level != "nominal" and question.values is not None:
        number = np.array([*question.values, np.nan])  # the last stands for -1
        asked = [number[codes] for codes in asked]
    return variance_components(
        asked,
        len(question.labels),
        positive=question.positive_code,
        models=_models(panel.items),
        clusters=panel.clusters,
        replicates=sampling.replicates,
        seed=sampling.seed,
        confidence=sampling.confidence,
    )


def _scale(panel: Panel) -> str:
    question = panel.question
    if panel.scores is not None:
        return "scores"
    if question.level != "nominal" and question.values is not None:
        return "labels as numbers"
    if question.positive is not None or len(question.labels) <= 2:
        return f"1 for {question.positive or question.labels[-1]!r}, 0 for any other label"
    return "sum over the labels of 1 where it is given, 0 where not"


def _models(items: pl.DataFrame) -> NDArray[np.int64] | None:
    """(N,) number of each item's model; items without one are of a model of their own."""
    if "model" not in items.columns:
        return None
    return items["model"].cast(pl.String).fill_null("").rank("dense").cast(pl.Int64).to_numpy() - 1


def repeats_of(panel: Panel, verdicts: pl.DataFrame) -> list[NDArray[Any]]:
    """The panel's codes (N, J), or scores, and those of every further time that a judge was asked the same."""
    first: NDArray[Any] = panel.codes if panel.scores is None else panel.scores
    out = [first]
    if "repeat" not in verdicts.columns or verdicts["repeat"].max() == verdicts["repeat"].min():
        return out
    ids = panel.items.select("item_id").with_row_index("_row")
    own = verdicts.filter(pl.col("judge").is_in(panel.names)).join(ids, on="item_id", how="semi")
    own = own.with_columns(_turn=pl.col("repeat").rank("dense").over("item_id", "judge"))
    judges = {judge.name: (judge.construct, judge.kind) for judge in judges_of(verdicts)}
    label_map = LabelMap(panel.question.rules, judges)
    code_of = {label: code for code, label in enumerate(panel.question.labels)}
    for turn in own["_turn"].unique().sort().to_list()[1:]:  # the first is the panel's own
        rows = Rows.of(own.filter(pl.col("_turn") == turn), panel.judges)
        place = rows.ids.to_frame().join(ids, on="item_id", how="left", maintain_order="left")["_row"].to_numpy()
        again = np.full_like(first, -1 if panel.scores is None else np.nan)
        if panel.scores is None:
            mapped = {pair: label_map(*pair) for pair in rows.pairs()}
            again[place] = rows.scatter(mapped, code_of, panel.question)[0]
        else:
            again[place] = rows.scores()
        out.append(again)
    return out
