"""every_eval_ever: the results of single samples (its instance-level JSON Lines), and the names of its schema.

Its other file, one JSON an evaluation, holds rates without the outputs and verdicts behind them.
"""

from __future__ import annotations

from typing import Any, Final

from interjudge.datasets.foreign import Found
from interjudge.datasets.foreign_rows import Asked, Rows
from interjudge.datasets.foreign_values import NOT_RUN, Reading, plain, scored
from interjudge.datasets.lm_eval import records
from interjudge.datasets.probe import Probe
from interjudge.errors import InputError

# What every line of the instance-level file has, and every aggregate file (schema 0.2 and 0.3).
INSTANCE_KEYS: Final = frozenset({"evaluation_id", "model_id", "evaluation_name", "sample_id", "input", "evaluation"})
AGGREGATE_KEYS: Final = frozenset({"evaluation_id", "model_info", "evaluation_results"})


def recognises(probe: Probe) -> bool:
    """Lines with the keys of a sample's result, or the JSON of an evaluation."""
    keys = set(probe.columns)
    return keys >= INSTANCE_KEYS or keys >= AGGREGATE_KEYS


def read(probe: Probe) -> Found:
    """Outputs and verdicts: each evaluation result is a judge with a label (is_correct) and a score."""
    if not set(probe.columns) >= INSTANCE_KEYS:
        raise InputError(
            "holds the figures of an evaluation, not the verdicts behind them",
            file=probe.source.name,
            expected="the JSON Lines of its samples (detailed_evaluation_results)",
        )
    rows = Rows(probe.source.name)
    items: dict[tuple[object, ...], int] = {}
    for where, row in records(probe.source):
        if not set(row) >= INSTANCE_KEYS:
            raise rows.error("not the result of a sample", where, expected=f"{', '.join(sorted(INSTANCE_KEYS))}")
        prompt, response = _exchange(rows, where, row)
        about = row.get("metadata")
        epoch = plain(about.get("epoch")) if isinstance(about, dict) else None
        key = (plain(row["model_id"]), plain(row["evaluation_name"]), plain(row["sample_id"]), epoch, prompt, response)
        judge = _judge(row)
        if key not in items:
            items[key] = rows.item(
                where, prompt=prompt, response=response, model=row["model_id"], benchmark=row["evaluation_name"],
                sample_id=row["sample_id"], item_id=" ".join(map(str, key[:4])) if None in (prompt, response) else None,
            )  # fmt: skip
        rows.verdict(
            items[key], Asked(rows.name(where, "evaluation_name", judge), construct="correctness"), _reading(row)
        )
    return rows.found()


def _exchange(rows: Rows, where: str, row: dict[str, Any]) -> tuple[str | None, str | None]:
    asked = row["input"] if isinstance(row["input"], dict) else {}
    prompt = rows.text(where, "input", asked.get("raw"))
    output = row.get("output")
    texts = output.get("raw") if isinstance(output, dict) else None
    if isinstance(texts, list):
        texts = next((text for text in texts if isinstance(text, str)), None)
    if texts is None and isinstance(row.get("messages"), list):
        said = [m for m in row["messages"] if isinstance(m, dict) and m.get("role") == "assistant"]
        texts = next((m["content"] for m in reversed(said) if isinstance(m.get("content"), str)), None)
    return prompt, rows.text(where, "output", texts)


def _judge(row: dict[str, Any]) -> str:
    """What the sample was judged by: the result's id without the evaluation's, else how the answer was extracted."""
    result = row.get("evaluation_result_id")
    if isinstance(result, str) and result:
        return result
    answers = row.get("answer_attribution")
    first = answers[0] if isinstance(answers, list) and answers and isinstance(answers[0], dict) else {}
    method = first.get("extraction_method")
    return method if isinstance(method, str) and method else str(row["evaluation_name"])


def _reading(row: dict[str, Any]) -> Reading:
    evaluation = row["evaluation"] if isinstance(row["evaluation"], dict) else {}
    error = row.get("error")
    if isinstance(error, str) and error:
        return Reading("error", raw=error[:500])
    correct, score = evaluation.get("is_correct"), scored(evaluation.get("score"))
    if not isinstance(correct, bool):
        return score
    if score.status not in ("ok", "not_run"):
        return score
    return (
        NOT_RUN
        if evaluation.get("score") is None
        else Reading("ok", "correct" if correct else "incorrect", score.score)
    )
