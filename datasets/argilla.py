"""Argilla records, as `dataset.records.to_json` writes them: fields, responses by user, suggestions by agent.

Every user is a judge, every question a construct; where there are several questions the judges are `user:question`.
A draft or discarded response is no verdict.
"""

from __future__ import annotations

from typing import Any, Final

from interjudge.datasets.foreign import Found
from interjudge.datasets.foreign_rows import Asked, Rows
from interjudge.datasets.foreign_values import NOT_RUN, Reading, Scale, plain, scored
from interjudge.datasets.label_studio import task_item
from interjudge.datasets.probe import Probe, json_document

_KEYS: Final = {"id", "fields", "responses", "suggestions"}


def recognises(probe: Probe) -> bool:
    """An array of records with fields, responses and suggestions."""
    return probe.source.format == "json" and set(probe.columns) >= _KEYS


def read(probe: Probe) -> Found:
    """Outputs where the fields have a prompt and a response, and the users' and agents' verdicts."""
    records = json_document(probe.source)
    assert isinstance(records, list)
    rows = Rows(probe.source.name)
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict) or not isinstance(record.get("fields"), dict):
            raise rows.error("not a record", f"record {number}", found=record, expected="an object with fields")
    questions = {q for r in records for part in ("responses", "suggestions") for q in _objects(r.get(part))}
    several = len(questions) > 1
    for number, record in enumerate(records, 1):
        where = f"record {number}"
        data = {**_objects(record.get("metadata")), **record["fields"]}
        item = task_item(rows, where, data, record.get("id"))
        for question, given in _objects(record.get("responses")).items():
            for one in given if isinstance(given, list) else []:
                if isinstance(one, dict):
                    unsent = one.get("status") in ("draft", "discarded")
                    user = plain(one.get("user_id")) or "user"
                    reading = NOT_RUN if unsent else _reading(one.get("value"))
                    rows.verdict(item, _asked(rows, where, user, question, several, "human"), reading)
        for question, one in _objects(record.get("suggestions")).items():
            if isinstance(one, dict) and one.get("value") is not None:
                agent = f"suggestion:{plain(one.get('agent')) or 'agent'}"
                rows.verdict(item, _asked(rows, where, agent, question, several, "imported"), _reading(one["value"]))
    return rows.found()


def _asked(rows: Rows, where: str, who: str, question: str, several: bool, kind: str) -> Asked:
    construct = rows.name(where, "question", question)
    return Asked(f"{who}:{question}" if several else who, kind, construct)


def _objects(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _reading(value: object) -> Reading:
    if isinstance(value, list):
        return Scale().read("; ".join(text for text in map(plain, value) if text is not None))
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = scored(value)
        return number if number.status != "ok" else Reading("ok", plain(value), number.score)
    return Scale().read(value)
