"""HarmBench: completions and results by behaviour, `{behavior: [{test_case, generation, label}]}`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from interjudge.datasets.foreign import Found, formats, scale
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
    """Outputs, and verdicts where they are; label -1 is a classifier that failed. The model is the file's name."""
    document = probe.document
    assert isinstance(document, dict)
    rows = Rows(probe.source.name)
    judges = formats()["harmbench"].said["judges"]
    model = Path(probe.source.name).name.split(".json")[0]
    for behavior, entries in document.items():
        for number, one in enumerate(entries, 1):
            where = f"behavior {behavior!r}, entry {number}"
            if not isinstance(one, dict) or not set(one) >= _KEYS:
                raise rows.error("not an entry", where, found=one, expected="an object with test_case and generation")
            prompt = one["test_case"]
            if isinstance(prompt, list):  # a test case with a picture: [path, text]
                prompt = "\n".join(part for part in prompt if isinstance(part, str))
            item = rows.item(
                where, prompt=prompt, response=one["generation"], model=model, benchmark="harmbench", behavior=behavior
            )
            for key, spec in judges.items():
                if key in one:
                    asked = Asked(spec["judge"], spec["kind"], spec["construct"])
                    rows.verdict(item, asked, scale(spec["scale"]).read(one[key]))
    return rows.found()
