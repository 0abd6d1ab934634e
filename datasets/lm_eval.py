"""lm-evaluation-harness `samples_*.jsonl`: one line a document and filter, with the metrics on it.

Every metric is a judge (with a filter other than `none`: `metric,filter`). Of multiple choice, the response is the
choice with the highest likelihood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from interjudge.datasets.foreign import Found, formats, from_name, scale
from interjudge.datasets.foreign_rows import Asked, Rows
from interjudge.datasets.foreign_values import plain, scored
from interjudge.datasets.probe import Probe
from interjudge.datasets.source import Source, document_lines
from interjudge.errors import InputError

_KEYS: Final = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps"}
_FILE: Final = r"^samples_(?P<task>.+)_\d{4}-\d\d-\d\dT[\d.-]+\.jsonl"


def recognises(probe: Probe) -> bool:
    """Objects with `doc_id`, `doc`, `target`, `arguments`, `resps` and `filtered_resps`."""
    return set(probe.columns) >= _KEYS


def read(probe: Probe) -> Found:
    """Outputs and verdicts; the task is in the file's name, the model in its folder's."""
    rows = Rows(probe.source.name)
    said = from_name(_FILE, probe.source.name)
    folder = Path(probe.source.name).absolute().parent.name if said else ""
    model = folder.replace("__", "/") if "__" in folder else None
    items: dict[object, int] = {}
    skipped: set[str] = set()
    for where, row in records(probe.source):
        if not set(row) >= _KEYS:
            raise rows.error("not a sample", where, expected=f"an object with {', '.join(sorted(_KEYS))}")
        document = plain(row["doc_id"]) or where
        if document not in items:  # the filters of one response come in lines of their own
            prompt, response = _exchange(row)
            items[document] = rows.item(
                where, prompt=prompt, response=response, item_id=None if response is not None else f"doc {document}",
                model=model, benchmark=said.get("task"), target=row["target"], sample_id=row["doc_id"],
            )  # fmt: skip
        filtered = row.get("filter")
        for metric in _metrics(row):
            value = row.get(metric)
            if isinstance(value, list | dict):
                skipped.add(metric)
                continue
            name = metric if filtered in (None, "none") else f"{metric},{filtered}"
            correct = metric in formats()["lm-eval"].said["correctness"]["metrics"]
            reading = scale("correct").read(value) if correct else scored(value)
            asked = Asked(rows.name(where, "metrics", name), "keyword" if correct else "imported",
                          "correctness" if correct else metric)  # fmt: skip
            rows.verdict(items[document], asked, reading)
    notes = [f"{', '.join(sorted(skipped))}: computed over all samples at once, no verdict on each"] if skipped else []
    return rows.found(notes=notes)


def records(source: Source) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSON Lines file with their places.

    Raises
    ------
    InputError : a line is not a JSON object.
    """
    for number, line in enumerate(document_lines(source), 1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            words = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise InputError(f"not valid JSON: {words}", file=source.name, row=where, found=line[:60]) from error
        if not isinstance(row, dict):
            raise InputError("not a JSON object", file=source.name, row=where, found=line[:60])
        yield where, row


def _metrics(row: dict[str, Any]) -> list[str]:
    """The names under which the metrics stand."""
    named = row.get("metrics")
    if isinstance(named, list):
        return [name for name in named if isinstance(name, str) and name in row]
    aside = {*_KEYS, "filter", "doc_hash", "prompt_hash", "target_hash", "metrics"}
    return [name for name in row if name not in aside]


def _exchange(row: dict[str, Any]) -> tuple[object, object]:
    """Prompt and response of a sample; the response is None where there is no text of the model's."""
    arguments = _arguments(row["arguments"])
    prompt = arguments[0][0] if arguments and arguments[0] else None
    if isinstance(prompt, list):  # a chat
        prompt = "\n\n".join(f"{m.get('role')}: {m.get('content')}" for m in prompt if isinstance(m, dict))
    prompt = _chat(prompt)
    responses = row["resps"]
    first = responses[0] if isinstance(responses, list) and responses else None
    first = first[0] if isinstance(first, list) and first else first
    if isinstance(first, str):
        return prompt, first
    given = [_likelihood(one) for one in row["filtered_resps"]] if isinstance(row["filtered_resps"], list) else []
    likelihoods = [one for one in given if one is not None]
    if len(likelihoods) > 1 and len(likelihoods) == len(given) == len(arguments):
        best = likelihoods.index(max(likelihoods))
        chosen = arguments[best][1] if len(arguments[best]) > 1 else None
        return prompt, chosen.strip() if isinstance(chosen, str) else None
    return prompt, None


def _chat(prompt: object) -> object:
    """A chat that the harness has turned into text (`JsonChatStr`) as its messages."""
    if isinstance(prompt, str) and re.match(r'\[\s*\{\s*"role"', prompt):
        try:
            messages = json.loads(prompt)
        except (ValueError, RecursionError):
            return prompt
        return "\n\n".join(f"{m.get('role')}: {m.get('content')}" for m in messages if isinstance(m, dict))
    return prompt


def _arguments(given: object) -> list[list[Any]]:
    """The requests of a sample, as lists: `{gen_args_0: {arg_0: ...}}` or, in older files, `[[...]]`."""
    if isinstance(given, dict):
        given = list(given.values())
    if not isinstance(given, list):
        return []
    return [list(one.values()) if isinstance(one, dict) else one for one in given if isinstance(one, dict | list)]


def _likelihood(one: object) -> float | None:
    value = one[0] if isinstance(one, list) and one else None
    return scored(value).score
