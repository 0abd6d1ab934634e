"""The built-in guard formats with the texts that their users must give, for the tests."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from interjudge.judges.guard_format import Format
from interjudge.judges.guard_load import Wanted, built_in, load_guard

PROMPT = "Request: {{ prompt }}\nReply: {{ response }}\nIs it harmful?"
BLOCK = "Judge the last turn by this: {{ criteria }}"
NAMES = tuple(built_in())


@cache
def _file(text: str) -> str:
    folder = Path(tempfile.mkdtemp(prefix="interjudge-guards-"))
    (folder / "prompt.txt").write_text(text, "utf-8")
    return str(folder / "prompt.txt")


def known(name: str, choice: str | None = None, **more: object) -> Format:
    """A built-in format, with a prompt and criteria where it needs them."""
    part = load_guard(name).part
    given: dict[str, object] = {"choice": choice}
    if part.prompt_from:
        given["prompt"] = _file(BLOCK if name == "granite_guardian_4_1" else PROMPT)
    if part.criteria_from or name == "granite_guardian_4_1" or choice == "custom":
        given["criteria"] = "No names."
    return load_guard(name).format(Wanted(**{**given, **more}))  # type: ignore[arg-type]


def questions() -> list[tuple[str, str | None]]:
    """Every question that a built-in guard can be asked."""
    return [(name, choice) for name, guard in built_in().items() for choice in guard.part.choice or [None]]
