"""HarmBench: completions, results and validation sets by behaviour, `{behavior: [{test_case, generation, label}]}`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from interjudge.datasets.foreign import Found, filled, formats, judge_columns, numbered, scale
from interjudge.datasets.foreign_rows import Asked, Rows
from interjudge.datasets.probe import Probe

_KEYS: Final = {"test_case", "generation"}


def recognises(probe: Probe) -> bool:
    """An object of lists, whose first entry (of the first that has any) has a test case and a generation."""
    if not isinstance(probe.document, dict) or not all(isinstance(v, list) for v in probe.document.values()):
        return False
    first = next((entries[0] for entries in probe.document.values() if entries), None)
    return isinstance(first, dict) and set(first) >= _KEYS


def read(probe: Probe) -> Found:
    """Outputs, and verdicts where they are; label -1 is a classifier that failed.

    The model is the file's name where an entry names none.
    """
    document = probe.document
    assert isinstance(document, dict)
    rows = Rows(probe.source.name)
    judges = formats()["harmbench"].said["judges"]
    file_model = Path(probe.source.name).name.split(".json")[0]
    columns = judge_columns(judges, dict.fromkeys(key for entry in _entries(document) for key in entry))
    for behavior, entries in document.items():
        for number, one in enumerate(entries, 1):
            where = f"behavior {behavior!r}, entry {number}"
            if not isinstance(one, dict) or not set(one) >= _KEYS:
                raise rows.error("not an entry", where, found=one, expected="an object with test_case and generation")
            prompt = one["test_case"]
            if isinstance(prompt, list):  # a test case with a picture: [path, text]
                prompt = "\n".join(part for part in prompt if isinstance(part, str))
            item = rows.item(
                where, prompt=prompt, response=one["generation"], model=_model(one) or file_model,
                benchmark="harmbench", attack=one.get("method"), behavior=behavior,
            )  # fmt: skip
            for key, (match, spec) in columns.items():
                if key in one:
                    asked = Asked(filled(spec["judge"], numbered(match)), spec["kind"], spec["construct"])
                    meaning = scale(spec["scale"])
                    reasoning = one[key] if meaning.within is not None else None
                    rows.verdict(item, asked, meaning.read(one[key]), rationale=reasoning)
    return rows.found()


def _entries(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (one for entries in document.values() for one in entries if isinstance(one, dict))


def _model(one: dict[str, Any]) -> str | None:
    """The model that an entry names: `llama2_7b.json`, and where that says nothing the experiment."""
    said = (str(one.get(key) or "").removesuffix(".json") for key in ("model", "experiment"))
    return next((text for text in said if text), None)
