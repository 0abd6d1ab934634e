"""Label Studio exports: JSON (tasks with annotations), JSON_MIN and CSV (one row an annotation).

Every annotator is a judge, every control (`from_name`) that they filled in a construct of its own; where there are
several controls the judges are `annotator:control`. Predictions are judges as well. An annotation marked as ground
truth is a reference label, a skipped one a status.
"""

from __future__ import annotations

import json
from typing import Any, Final

from interjudge.datasets.foreign import Found
from interjudge.datasets.foreign_rows import Asked, Rows
from interjudge.datasets.foreign_values import NOT_RUN, Reading, Scale, plain, scored
from interjudge.datasets.probe import Probe, json_document
from interjudge.datasets.read import read_table
from interjudge.errors import InputError, choices

_FLAT: Final = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"}
_ASIDE: Final = {*_FLAT, "agreement", "task_id"}
PROMPTS: Final = ("prompt", "question", "instruction", "input")
RESPONSES: Final = ("response", "completion", "output", "answer", "generation", "text")
_TAGS: Final = ("model", "base_model", "benchmark", "category", "attack", "language")
_VALUES: Final = ("choices", "rating", "text", "number", "taxonomy", "labels")


def recognises(probe: Probe) -> bool:
    """Tasks with `data` and `annotations`, or rows with annotator, annotation_id and lead_time."""
    keys = set(probe.columns)
    return keys >= _FLAT or (probe.source.format == "json" and keys >= {"data", "annotations"})


def read(probe: Probe) -> Found:
    """Outputs where the tasks have a prompt and a response, and the annotators' verdicts."""
    if set(probe.columns) >= _FLAT:
        return _flat(probe)
    tasks = json_document(probe.source)
    rows = Rows(probe.source.name)
    assert isinstance(tasks, list)
    read_: list[tuple[int, str, str, Reading, bool]] = []
    for number, task in enumerate(tasks, 1):
        where = f"task {number}"
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise rows.error("not a task", where, found=task, expected="an object with data and annotations")
        item = task_item(rows, where, task["data"], task.get("id", number))
        for one in _objects(task.get("annotations")):
            who = _annotator(one.get("completed_by"))
            skipped = bool(one.get("was_cancelled") or one.get("skipped"))
            for control, reading in _results(one.get("result")):
                read_.append((item, who, control, NOT_RUN if skipped else reading, bool(one.get("ground_truth"))))
            if skipped and not one.get("result"):
                read_.append((item, who, "", NOT_RUN, False))
        for one in _objects(task.get("predictions")):
            who = f"prediction:{plain(one.get('model_version')) or 'model'}"
            read_.extend((item, who, control, reading, False) for control, reading in _results(one.get("result")))
    _tell(rows, read_)
    return rows.found()


def _tell(rows: Rows, read_: list[tuple[int, str, str, Reading, bool]]) -> None:
    """Add the verdicts; what a skipped task was skipped for is every control there is."""
    controls = list(dict.fromkeys(control for _, _, control, _, _ in read_ if control)) or ["label"]
    for item, who, control, reading, truth in read_:
        for one in [control] if control else controls:
            kind = "imported" if who.startswith("prediction:") else "human"
            rows.verdict(item, Asked(who if len(controls) == 1 else f"{who}:{one}", kind, one), reading)
            if truth:
                rows.gold(item, reading, one)


def task_item(rows: Rows, where: str, data: dict[str, Any], task_id: object) -> int:
    """The item of a task's data: an output where it has a prompt and a response under a usual name."""
    prompt = next((data[name] for name in PROMPTS if isinstance(data.get(name), str)), None)
    response = next((data[name] for name in RESPONSES if isinstance(data.get(name), str)), None)
    own = data.get("item_id")
    if own in (None, "") and (prompt is None or response is None):
        own = task_id if isinstance(task_id, str | int) and task_id != "" else where
    tags = {name: data.get(name) for name in _TAGS if data.get(name) not in (None, "")}
    return rows.item(where, item_id=None if own == "" else own, prompt=prompt, response=response, **tags)


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _annotator(who: object) -> str:
    if isinstance(who, dict):
        who = who.get("email") or who.get("username") or who.get("id")
    name = plain(who)
    return "annotator" if name is None else f"annotator-{name}" if name.isdigit() else name


def _results(results: object) -> list[tuple[str, Reading]]:
    """The controls that were filled in, each with what was chosen."""
    out = []
    for one in _objects(results):
        value = one.get("value")
        if isinstance(value, dict):
            key = next((name for name in _VALUES if name in value), None)
            if key is not None:
                out.append((plain(one.get("from_name")) or "label", _reading(_chosen(key, value[key]))))
    return out


def _chosen(key: str, value: object) -> object:
    """Several choices in one order: who clicked them in another chose the same."""
    return sorted(value, key=str) if key == "choices" and isinstance(value, list) else value


def _reading(value: object) -> Reading:
    """A choice as a label, several as one text, a rating or number as label and score."""
    if isinstance(value, list):
        flat = [plain(one[-1] if isinstance(one, list) and one else one) for one in value]
        return Scale().read("; ".join(text for text in flat if text is not None))
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = scored(value)
        return number if number.status != "ok" else Reading("ok", plain(value), number.score)
    return Scale().read(value)


def _flat(probe: Probe) -> Found:
    """JSON_MIN and CSV: the columns that are no data of the task are the controls."""
    table = read_table(probe.source, {})
    rows = Rows(table.file)
    records = table.frame.to_dicts()
    controls = _controls(table.file, records)
    items: dict[str, int] = {}
    for number, record in enumerate(records):
        place = table.place(number)
        task = plain(record["id"]) or str(place)
        if task not in items:
            items[task] = task_item(rows, f"row {place}", record, task)
        who = _annotator(record.get("annotator"))
        for control in controls:
            name = who if len(controls) == 1 else f"{who}:{control}"
            rows.verdict(items[task], Asked(name, "human", control), _reading(_unpacked(record.get(control))))
    return rows.found()


def _controls(file: str, records: list[dict[str, Any]]) -> list[str]:
    """The columns of labels: those that are neither a task's data by name nor the same in all rows of every task."""
    known = {*_ASIDE, *PROMPTS, *RESPONSES, *_TAGS, "item_id"}
    open_ = [name for name in records[0] if name not in known] if records else []
    if len(open_) == 1:
        return open_
    seen: dict[tuple[str | None, str], set[str | None]] = {}
    for record in records:
        for name in open_:
            seen.setdefault((plain(record["id"]), name), set()).add(plain(record[name]))
    varied = [name for name in open_ if any(len(values) > 1 for (_, n), values in seen.items() if n == name)]
    if varied:
        return varied
    raise InputError(
        "which columns are the annotators' is not to be seen here", file=file, found=f"the columns {choices(open_)}",
        expected="Label Studio's JSON export, which says it",
    )  # fmt: skip


def _unpacked(value: object) -> object:
    """`[{"rating": 4}]` or `{"choices": ["a", "b"]}`, as JSON text or not, as its value."""
    if isinstance(value, str) and value[:1] in "[{":
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return value
    one = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(one, dict):
        return next((_chosen(name, one[name]) for name in _VALUES if name in one), value)
    return value
