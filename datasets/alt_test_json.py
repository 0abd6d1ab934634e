"""Annotations by annotator, `{annotator: {item: label}}`, as the alternative annotator test publishes them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from interjudge.datasets.foreign import Found
from interjudge.datasets.foreign_rows import Asked, Rows
from interjudge.datasets.foreign_values import Scale
from interjudge.datasets.probe import Probe

_KINDS: Final = {r"(?i)human": "human", r"(?i)llm|model": "rubric"}  # by the name of the file
_LOOKED_AT: Final = 50


def recognises(probe: Probe) -> bool:
    """An object of objects of labels, of several items."""
    document = probe.document
    if not isinstance(document, dict) or not document:
        return False
    if not all(isinstance(labels, dict) and labels for labels in document.values()):
        return False
    seen = [label for labels in document.values() for label in list(labels.values())[:_LOOKED_AT]]
    return len(seen) > 1 and all(label is None or isinstance(label, str | int | float) for label in seen)


def read(probe: Probe) -> Found:
    """Verdicts of people where the file's name says human, of language models where it says llm."""
    document = probe.document
    assert isinstance(document, dict)
    rows = Rows(probe.source.name)
    name = Path(probe.source.name).name
    kind = next((kind for pattern, kind in _KINDS.items() if re.search(pattern, name)), "imported")
    items: dict[str, int] = {}
    for annotator, labels in document.items():
        asked = Asked(rows.name(f"annotator {annotator!r}", "judge", annotator), kind)
        for item, label in labels.items():
            where = f"annotator {annotator!r}, item {item!r}"
            if item not in items:
                items[item] = rows.item(where, item_id=item)
            rows.verdict(items[item], asked, Scale().read(label))
    notes = ["whether the annotators are people is not said by the file's name"] if kind == "imported" else []
    return rows.found(notes=notes)
