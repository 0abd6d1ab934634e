"""A report as a record of Every Eval Ever: one model's rates under every judge, with intervals, judges and agreement.

The schema (0.3.0) is that of https://github.com/evaleval/every_eval_ever; its `additional_details` hold text alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from interjudge.agreement.results import Estimate, JudgeResult
from interjudge.agreement.results_question import QuestionResult
from interjudge.agreement.results_rates import CorrectedRate, Rate
from interjudge.errors import InputError
from interjudge.reports.card_metadata import rounded
from interjudge.reports.card_section import RateRow, rate_rows
from interjudge.reports.escape import shorten, visible
from interjudge.reports.reliability import headline
from interjudge.reports.report import Report

SCHEMA_VERSION: Final = "0.3.0"
RELATIONSHIPS: Final = ("first_party", "third_party", "collaborative", "other")
Relationship = Literal["first_party", "third_party", "collaborative", "other"]

_ASKED_MODELS: Final = ("rubric", "classifier")  # kinds of judges that may be language models
_UNKNOWN: Final = {"deployment_type": "unknown", "model_availability": "unknown"}
_NAME: Final = 200
_DATE: Final = "a date in provenance.run.created_at"


@dataclass(frozen=True)
class About:
    """What the report does not know. `name`: the model's id (owner/name); `benchmark`: a data set on the Hub;
    `lower_is_better`: of the rate; None: for harm alone."""

    name: str | None = None
    benchmark: str | None = None
    organisation: str = "unknown"
    relationship: Relationship = "other"
    lower_is_better: bool | None = None


def every_eval_ever(report: Report, model: str, about: About | None = None) -> dict[str, Any]:
    """The record of `model`, as plain data.

    Raises
    ------
    InputError : the report has no rate of the model, or does not say when it was made.
    """
    about = about or About()
    results = [result for question in report.questions for result in _results(report, question, model, about)]
    if not results:
        raise InputError(
            f"the report has no rate of {model!r}", expected="a report on a question with a positive label"
        )
    when, stamp = _when(report)
    name = visible(about.name or model, _NAME)
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"interjudge/{name}/{stamp}",
        "evaluation_timestamp": when,
        "retrieved_timestamp": stamp,
        "source_metadata": {
            "source_name": "interjudge report",
            "source_type": "documentation",  # aggregated figures: the verdicts stay with the report
            "source_organization_name": visible(about.organisation, _NAME),
            "evaluator_relationship": about.relationship,
            "additional_details": {"title": visible(report.title, _NAME), "inputs": _inputs(report)},
        },
        "eval_library": {
            "name": "interjudge",
            "version": visible(report.provenance.interjudge, 40),
            "additional_details": {"seed": str(report.provenance.seed), "options": _json(report.provenance.options)},
        },
        "model_info": {
            "name": visible(model, _NAME),
            "id": name,
            "additional_details": {**_UNKNOWN, **_base(report, model)},
        },
        "evaluation_results": results,
    }


def _when(report: Report) -> tuple[str, str]:
    said = report.provenance.run.created_at
    try:
        found = datetime.fromisoformat(said or "")
    except ValueError:
        raise InputError(
            "the report does not say when it was made", found=said, expected="provenance.run.created_at"
        ) from None
    return visible(said or "", 40), str(int(found.timestamp()))


def _inputs(report: Report) -> str:
    return _json([{"name": visible(f.name, 100), "sha256": f.sha256} for f in report.provenance.inputs])


def _base(report: Report, model: str) -> dict[str, str]:
    rates = (r for q in report.questions if q.conclusions for r in q.conclusions.rates)
    base = next((r.base_model for r in rates if r.model == model and r.base_model), None)
    return {"base_model": visible(base, _NAME)} if base else {}


def _json(data: object) -> str:
    return visible(json.dumps(data, ensure_ascii=False, sort_keys=True), 10_000)


def _results(report: Report, question: QuestionResult, model: str, about: About) -> Iterator[dict[str, Any]]:
    """The rate corrected, where it is, then under every judge."""
    for row in rate_rows(question, model):
        best = row.best
        if best is not None and best.corrected and best.quoted.value is not None:
            yield _result(report, question, row, best.quoted, None, about, best)
        judges = {judge.judge: judge for judge in question.agreement.judges}
        for name, raw in row.judged:
            if raw.value is not None and name in judges:
                yield _result(report, question, row, raw, judges[name], about, best)


def _result(
    report: Report,
    question: QuestionResult,
    row: RateRow,
    e: Estimate,
    judge: JudgeResult | None,
    about: About,
    best: Rate | None,
) -> dict[str, Any]:
    a = question.agreement
    asked, label = visible(row.question, 100), visible(row.label, 100)
    who = "corrected" if judge is None else visible(judge.judge, 100)
    lower = about.lower_is_better if about.lower_is_better is not None else a.question.construct_name == "harm"
    declared = about.lower_is_better is not None or lower
    metric: dict[str, Any] = {
        "evaluation_description": f"share of the outputs that are {label}, by {_by(judge, best)}",
        "metric_id": "interjudge.rate",
        "metric_name": f"Rate of {label}, {who if judge is None else f'by {who}'}",
        "metric_kind": "rate",
        "metric_unit": "proportion",
        "lower_is_better": lower,
        "score_type": "continuous",
        "min_score": 0,
        "max_score": 1,
        "additional_details": {
            "question": asked,
            "construct": visible(a.question.construct_name, 100),
            "label": label,
            "labels": _json(a.question.labels),
            "maps": _json(a.question.maps),
            "direction": "declared" if declared else "not declared; lower_is_better says nothing here",
        },
    }
    judges = [judge] if judge is not None else list(a.judges)
    models = [j for j in judges if j.kind in _ASKED_MODELS]
    if models:
        metric["llm_scoring"] = {
            "judges": [_judge(j) for j in models],
            "input_prompt": "not in the report; the judge's hash stands for its model, prompt and parameters",
        }
    return {
        "evaluation_result_id": f"{asked}/{who}",
        "evaluation_name": f"{_dataset(report, about)}: {asked}",
        "source_data": _source(report, question, about),
        "metric_config": metric,
        "score_details": {
            "score": rounded(e.value),
            "details": {**_agreement(question), **_judged(judge), **_labels(judge, best)},
            "uncertainty": _uncertainty(e, a.confidence, a.unit),
        },
    }


def _by(judge: JudgeResult | None, best: Rate | None) -> str:
    if judge is not None:
        return f"the judge {visible(judge.judge, 100)}"
    why = "" if best is None else f" ({visible(best.why, 300)})"
    return f"a panel of judges, put right by reference labels{why}"


def _judge(judge: JudgeResult) -> dict[str, Any]:
    name = visible(judge.judge, _NAME)
    return {
        "model_info": {"name": name, "id": name, "additional_details": dict(_UNKNOWN)},
        "additional_details": {
            "kind": visible(judge.kind, 40),
            "construct": visible(judge.construct_name, 100),
            "judge_hash": judge.hash or "unknown",
        },
    }


def _dataset(report: Report, about: About) -> str:
    inputs = report.provenance.inputs
    return visible(about.benchmark or (inputs[0].name if inputs else report.title), _NAME)


def _source(report: Report, question: QuestionResult, about: About) -> dict[str, Any]:
    name = _dataset(report, about)
    if about.benchmark is not None:
        return {"dataset_name": name, "source_type": "hf_dataset", "hf_repo": name}
    return {
        "dataset_name": name,
        "source_type": "other",
        "additional_details": {"outputs_of_all_models": str(question.agreement.n_items)},
    }


def _agreement(question: QuestionResult) -> dict[str, str]:
    """How far the panel agrees, over the outputs of all models."""
    a = question.agreement
    said = {"n_judges": str(len(a.judges)), "judges": _json([shorten(j.judge, 100) for j in a.judges])}
    for c in headline(a, a.question.level):
        if c is not None and c.value is not None:
            said[c.name] = str(rounded(c.value))
            if c.ci_low is not None and c.ci_high is not None:
                said[f"{c.name}_interval"] = f"{rounded(c.ci_low)} to {rounded(c.ci_high)}"
    if a.worth is not None:
        said["effective_judges"] = str(rounded(a.worth.effective_judges))
    return said


def _judged(judge: JudgeResult | None) -> dict[str, str]:
    """The judge itself, as far as it is one: what it is, what is missing, how it does against the reference."""
    if judge is None:
        return {}
    said = {
        "judge": visible(judge.judge, _NAME),
        "judge_kind": visible(judge.kind, 40),
        "judge_hash": judge.hash or "unknown",
        "missing_verdicts_of_all_models": str(sum(judge.missing.values())),
    }
    for name in ("sensitivity", "specificity"):
        e: Estimate | None = getattr(judge, name)
        if e is not None and e.value is not None:
            said[f"{name}_on_all_models"] = str(rounded(e.value))
    return said


def _labels(judge: JudgeResult | None, best: Rate | None) -> dict[str, str]:
    if judge is not None or best is None:
        return {}
    return {"reference_labels": str(best.n_labelled), "correction": best.recommended}


def _uncertainty(e: Estimate, confidence: float, unit: str) -> dict[str, Any]:
    said: dict[str, Any] = {"num_samples": e.n}
    if e.ci_low is not None and e.ci_high is not None:
        wilson = "Wilson's score interval" + (
            "" if unit == "item" else f", on the effective sample size of clusters by {unit}"
        )
        method = e.method if isinstance(e, CorrectedRate) else wilson
        said["confidence_interval"] = {
            "lower": rounded(e.ci_low),
            "upper": rounded(e.ci_high),
            "confidence_level": confidence,
            "method": visible(method, 300),
        }
    return said
