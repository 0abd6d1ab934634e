"""Files of other tools: which tool wrote one, and what it holds in our tables.

Each format is an entry of formats.toml and, where it is more than a table, a module named there with two functions:
`recognises(probe)` looks at the beginning of a file, `read(probe)` makes a `Found` of the whole.
"""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, get_args

import polars as pl

from interjudge.datasets.foreign_values import Scale
from interjudge.datasets.probe import Probe, probe_of
from interjudge.datasets.source import Source
from interjudge.errors import InputError, choices, did_you_mean, printable

NATIVE: Final = "interjudge"  # the name of our own tables among the formats
_SHOWN: Final = 30  # characters of a value that was not understood
_OWN: Final = ({"item_id", "judge"}, {"item_id", "gold"}, {"item_id", "prompt", "response"})


@dataclass(frozen=True)
class Found:
    """What a file holds: outputs, verdicts and reference labels as tables, each None where there are none.

    `outputs` has `item_id` first; `verdicts` the columns of `schema.VERDICT_CORE` (and `rationale`, `raw`, and
    what describes the item); `reference` has `item_id`, `gold` and maybe `criterion`. `place(i)` says where row i
    of the verdicts stands in the file; `notes` are sentences on what was left out.
    """

    outputs: pl.DataFrame | None = None
    verdicts: pl.DataFrame | None = None
    reference: pl.DataFrame | None = None
    place: Callable[[int], int | str] = lambda i: i + 1
    notes: tuple[str, ...] = ()
    file: str = ""
    format: str = ""
    title: str = ""


Tell = Callable[[Found], None]
Part = Literal["outputs", "verdicts", "reference"]


@dataclass(frozen=True)
class Entry:
    """One format of formats.toml; `said` is all that stands there."""

    name: str
    title: str
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.said.get("columns", ()))

    def recognises(self, probe: Probe) -> bool:
        if "module" in self.said:
            return bool(self._module().recognises(probe))
        there = set(probe.columns)
        return there == set(self.columns) if self.said.get("exact") else there >= set(self.columns)

    def read(self, probe: Probe) -> Found:
        if "module" in self.said:
            found: Found = self._module().read(probe)
        else:
            from interjudge.datasets.table_format import read_table_format  # noqa: PLC0415  (it needs this module)

            found = read_table_format(self, probe)
        return replace(found, file=probe.source.name, format=self.name, title=self.title)

    def _module(self) -> Any:
        return importlib.import_module(self.said["module"])


@cache
def _registry() -> dict[str, Any]:
    return tomllib.loads(files("interjudge.datasets").joinpath("formats.toml").read_text(encoding="utf-8"))


@cache
def formats() -> dict[str, Entry]:
    """The formats by name, in the order of the registry."""
    return {name: Entry(name, said["title"], said) for name, said in _registry()["formats"].items()}


@cache
def scale(name: str) -> Scale:
    """The scale of that name in formats.toml."""
    return Scale(**_registry()["scales"][name])


def judge_columns(
    patterns: Mapping[str, Mapping[str, str]], columns: Iterable[str]
) -> dict[str, tuple[re.Match[str], Mapping[str, str]]]:
    """The judges' columns in the file's order, each with its match and what formats.toml says of it."""
    found = {}
    for column in columns:
        for pattern, spec in patterns.items():
            match = re.fullmatch(pattern, column)
            if match and column not in found:
                found[column] = (match, spec)
    return found


def filled(text: str, groups: Mapping[str, str]) -> str:
    """`text` with the groups in its braces; a name that is none stays as it is."""
    return re.sub(r"\{([a-z_0-9]+)\}", lambda m: groups.get(m[1], m[0]), text)


def numbered(match: re.Match[str]) -> dict[str, str]:
    """The groups of a match by number, "" for one that did not take part."""
    return {str(i): text or "" for i, text in enumerate(match.groups(), 1)}


def format_named(name: str | None) -> Entry | None:
    """The format of that name; None for none and for our own tables.

    Raises
    ------
    InputError : there is no such format.
    """
    if name is None or name == NATIVE:
        return None
    if name not in formats():
        known = [NATIVE, *formats()]
        raise InputError(f"unknown format {name!r}{did_you_mean(name, known)}", expected=f"one of {choices(known)}")
    return formats()[name]


def read_found(source: Source, name: str | None = None) -> Found | None:
    """What a file of another tool holds; None where it is a table of ours (or `name` says so), or of no tool known.

    Raises
    ------
    InputError : `name` is unknown, or the file is of a format but cannot be read as it.
    """
    entry = format_named(name)
    if source.format == "sqlite" or name == NATIVE:
        return None
    probe = probe_of(source, strict=entry is not None)
    if entry is None:
        if any(own <= set(probe.columns) for own in _OWN):
            return None
        # the one that asks for most is the closest
        fitting = [one for one in formats().values() if one.recognises(probe)]
        entry = max(fitting, key=lambda one: len(one.columns), default=None)
        if entry is None:
            probe.refuse_unreadable()
            return None
    elif not entry.recognises(probe):
        probe.refuse_unreadable()
        raise _unfitting(entry, probe)
    return entry.read(probe)


def _unfitting(entry: Entry, probe: Probe) -> InputError:
    missing = [name for name in entry.columns if name not in probe.columns]
    if missing:
        problem, expected = "a column of this format is missing", f"the columns {choices(entry.columns)}"
    else:
        problem, expected = f"is no file of the format {entry.name!r}", f"{entry.title}"
    found = f"the columns {choices(probe.columns)}" if probe.columns else probe.what
    return InputError(
        problem, file=probe.source.name, column=missing[0] if missing else None, found=found, expected=expected
    )


def part_of(found: Found, part: Part, tell: Tell | None = None) -> pl.DataFrame:
    """One of a file's tables, after `tell` was told what was understood.

    Raises
    ------
    InputError : the file has no such table.
    """
    table: pl.DataFrame | None = getattr(found, part)
    if table is None:
        there = [name for name in get_args(Part) if getattr(found, name) is not None]
        problem = f"is read as {found.title} ({found.format}), which holds no {part} here"
        raise InputError(problem, file=found.file, found=" and ".join(there), expected="--from, if that is wrong")
    if tell is not None:
        tell(found)
    return table


def from_name(pattern: str | None, file: str) -> dict[str, str]:
    """The named groups of `pattern` in the file's name, without those that did not match."""
    match = re.search(pattern, Path(file).name) if pattern else None
    return {key: text for key, text in (match.groupdict() if match else {}).items() if text}


def _not_understood(verdicts: pl.DataFrame) -> str:
    """Whose values were none that the format knows, and what they are."""
    if "raw" not in verdicts.columns:
        return ""
    odd = verdicts.filter(pl.col("status").is_in(["parse_error", "out_of_range"]) & pl.col("raw").is_not_null())
    if odd.is_empty():
        return ""
    judge, n = odd["judge"].value_counts(sort=True).row(0)
    mine = odd.filter(judge=judge)["raw"].value_counts(sort=True)["raw"].head(2)
    values = " and ".join(f"“{printable(text[:_SHOWN])}{'…' * (len(text) > _SHOWN)}”" for text in mine)
    others = odd["judge"].n_unique() - 1
    more = f", and of {others} more" if others else ""
    return f" ({n:,} of {judge} not understood{more}: {values})"


def understood(found: Found) -> str:
    """In a sentence what was made of a file: "4 judges, 2 human, 1,437 outputs, 3 % without a verdict"."""
    parts = []
    if found.verdicts is not None and found.verdicts.height:
        judges = found.verdicts.select("judge", "judge_kind").unique("judge")
        human = judges.filter(judge_kind="human").height
        aside = "" if not human else ", all human" if human == judges.height else f", {human} human"
        parts.append(f"{judges.height:,} judge{'s' if judges.height != 1 else ''}{aside}")
        items = found.verdicts["item_id"].n_unique()
        if found.outputs is None:
            parts.append(f"{items:,} items")
    if found.outputs is not None:
        parts.append(f"{found.outputs.height:,} outputs")
    if found.verdicts is not None and found.verdicts.height:
        missing = found.verdicts.filter(pl.col("status") != "ok").height
        share = 100 * missing / found.verdicts.height
        words = "none" if not missing else f"{share:.0f} %" if share >= 0.95 else f"{share:.1g} %"
        parts.append(f"{words} of {found.verdicts.height:,} verdicts missing{_not_understood(found.verdicts)}")
    if found.reference is not None:
        parts.append(f"{found.reference['item_id'].n_unique():,} reference labels")
    return f"{found.file}: {found.title} ({found.format}): {', '.join(parts)}" + "".join(f"; {n}" for n in found.notes)
