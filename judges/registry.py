"""From what the user writes to a judge: families by entry point, and functions by `package.module:function`.

A specification is `PREFIX:REST` or `PREFIX/REST` for a family registered under the entry-point group
`interjudge.judges` (the built-in judges come in by the same door), else `package.module:function`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import PurePath
from typing import Final

from interjudge.errors import InputError, InterjudgeError, choices, did_you_mean
from interjudge.judges.base import Family, Judge
from interjudge.judges.callable import load_judge

GROUP: Final = "interjudge.judges"
_OURS: Final = "interjudge"
# Files by their endings: a path alone is taken for what it is likely to be.
_READERS: Final = {"keyword": (".txt", ".toml"), "file": (".parquet", ".jsonl", ".csv", ".tsv", ".json", ".db")}
_PREFIX: Final = re.compile(r"[A-Za-z][\w-]*")
_FUNCTION: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class Listed:
    """One line of `interjudge judges list`: a ready-made judge, a family that makes them, or a broken one.

    `name` is the judge's specification; where it is a family's `usage` or a broken family, `kind`, `construct`
    and `hash` are null. `problem` says why a family or judge is not to be had. `source` is the distribution
    and the entry point it comes from.
    """

    name: str
    kind: str | None
    construct: str | None
    summary: str
    hash: str | None
    source: str
    problem: str | None = None


@dataclass(frozen=True)
class Described:
    """Everything that decides a judge's verdicts; `identity`, `kind`, `construct`, `labels`, `reads` are hashed."""

    spec: str
    name: str
    kind: str
    construct: str
    labels: tuple[str, ...]
    reads: tuple[str, ...]
    batch_size: int
    threshold: float | None
    hash: str
    identity: Mapping[str, object]
    summary: str
    source: str


def families() -> dict[str, Family]:
    """Prefix -> family, of all entry points that work. `broken` says which do not, and why."""
    return {prefix: found for prefix, _, found in _all() if isinstance(found, Family)}


def broken() -> dict[str, str]:
    """`PREFIX (distribution)` -> why that family cannot be used (its package fails to import, say)."""
    return {f"{p} ({_distribution(e)})": found for p, e, found in _all() if isinstance(found, str)}


def get_judge(spec: str) -> Judge:
    """The judge of a specification such as ``keyword:default``, ``column:NAME`` or ``package.module:function``.

    Raises
    ------
    InputError : no such judge, with the choices; or its package, file or function cannot be used, with the reason.
    """
    prefix, separator, rest = _split(spec)
    entry = _entries().get(prefix)
    if entry is not None and separator:
        return _make(_family(prefix, entry), prefix, rest, spec)
    if entry is not None or not separator:
        raise InputError(f"no judge {spec!r}{_suggestion(spec)}", expected=_expected())
    if separator == ":" and _FUNCTION.fullmatch(spec):
        return _function(spec)
    raise InputError(f"no judge {spec!r}{_suggestion(spec)}", expected=_expected())


def listing() -> list[Listed]:
    """All ready-made judges, families and broken families: built-in ones first, then by prefix."""
    lines: list[Listed] = []
    for prefix, entry, found in _all():
        source = _source(entry)
        if isinstance(found, str):
            lines.append(Listed(prefix, None, None, "", None, source, problem=found))
            continue
        lines.extend(_listed(found, prefix, name, source) for name in found.names)
        if found.usage not in {"", *(f"{prefix}:{name}" for name in found.names)} or not found.names:
            lines.append(Listed(found.usage or f"{prefix}:…", None, None, found.summary, None, source))
    return lines


def describe(spec: str) -> Described:
    """Everything that decides the verdicts of a judge.

    Raises
    ------
    InputError : as `get_judge`.
    """
    judge = get_judge(spec)
    prefix = _split(spec)[0]
    entry = _entries().get(prefix)
    family = _load(entry) if entry is not None else None
    return Described(
        spec=spec,
        name=judge.name,
        kind=judge.kind,
        construct=judge.construct,
        labels=tuple(judge.labels),
        reads=tuple(judge.reads),
        batch_size=judge.batch_size,
        threshold=judge.threshold,
        hash=judge.hash,
        identity=judge.identity,
        summary=family.summary if isinstance(family, Family) else "a Python function",
        source=_source(entry) if entry is not None else spec,
    )


def _split(spec: str) -> tuple[str, str, str]:
    """Prefix, separator and the rest, at the first colon or slash."""
    found = re.search(r"[:/]", spec)
    return (spec, "", "") if found is None else (spec[: found.start()], found[0], spec[found.end() :])


def _claims() -> list[EntryPoint]:
    """All entry points of the group: ours first, then by prefix and distribution."""
    return sorted(
        entry_points(group=GROUP), key=lambda e: (_distribution(e) != _OURS, e.name, _distribution(e), e.value)
    )


def _entries() -> dict[str, EntryPoint]:
    """Prefix -> entry point; the first to claim a prefix has it, so that no package can replace ours."""
    taken: dict[str, EntryPoint] = {}
    for entry in _claims():
        taken.setdefault(entry.name, entry)
    return taken


def _all() -> list[tuple[str, EntryPoint, Family | str]]:
    """Prefix, entry point, and the family or why there is none."""
    taken: dict[str, EntryPoint] = {}
    found: list[tuple[str, EntryPoint, Family | str]] = []
    for entry in _claims():
        first = taken.setdefault(entry.name, entry)
        second = f"the prefix {entry.name!r} is taken by {_distribution(first)}"
        found.append((entry.name, entry, _load(entry) if first is entry else second))
    return found


def _load(entry: EntryPoint) -> Family | str:
    if not _PREFIX.fullmatch(entry.name):
        return f"{entry.name!r} is no prefix: letters, digits, - and _ only"
    try:
        family = entry.load()
    # Someone else's package: whatever goes wrong while it is imported must not stop the other judges.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return f"{entry.value} cannot be loaded: {type(error).__name__}: {error}"
    if not isinstance(family, Family):
        return f"{entry.value} is a {type(family).__name__}, not a Family"
    return family


def _family(prefix: str, entry: EntryPoint) -> Family:
    found = _load(entry)
    if isinstance(found, str):
        raise InputError(f"the judges {prefix!r} of {_distribution(entry)} cannot be used: {found}")
    return found


def _make(family: Family, prefix: str, rest: str, spec: str) -> Judge:
    if not rest:
        raise InputError(f"judge {spec!r} names nothing after its prefix", expected=_ways(prefix, family))
    try:
        judge = family.make(rest)
    except InterjudgeError:
        raise
    # A family may be someone else's: a mistake in it is told in words.
    except (Exception, SystemExit) as error:
        raise InputError(f"judge {spec!r} cannot be made", found=f"{type(error).__name__}: {error}") from error
    if not isinstance(judge, Judge):
        raise InputError(f"judge {spec!r} cannot be made", found=f"a {type(judge).__name__}", expected="a Judge")
    return judge


def _function(spec: str) -> Judge:
    try:
        return load_judge(spec)
    except InputError as error:
        module = spec.partition(":")[0]
        if isinstance(error.__cause__, ModuleNotFoundError) and error.__cause__.name == module:  # more likely misspelt
            expected = f"{_expected()}; and there is no module {module!r}, in the current folder or installed"
            raise InputError(f"no judge {spec!r}{_suggestion(spec)}", expected=expected) from error.__cause__
        raise InputError(f"{error}{_suggestion(spec)}") from error.__cause__


def _listed(family: Family, prefix: str, name: str, source: str) -> Listed:
    spec = f"{prefix}:{name}"
    try:
        judge = _make(family, prefix, name, spec)
    except InterjudgeError as error:
        return Listed(spec, None, None, family.summary, None, source, problem=str(error))
    return Listed(spec, judge.kind, judge.construct, family.summary, judge.hash, source)


def _ways(prefix: str, family: Family) -> str:
    return " or ".join([*(f"{prefix}:{n}" for n in family.names), *([family.usage] if family.usage else [])])


def _expected() -> str:
    found = [(p, family) for p, _, family in _all() if isinstance(family, Family)]
    ready = [f"{p}:{n}" for p, family in found for n in family.names]
    others = [f"{p}:…" for p, family in found if not family.names]
    return f"one of {choices([*ready, *others, 'package.module:function'])}"


def _suggestion(spec: str) -> str:
    """A ready-made judge that is spelt alike, the same name after a prefix that is, or the family that reads a file."""
    found = {prefix: family for prefix, _, family in _all() if isinstance(family, Family)}
    prefix, separator, rest = _split(spec)
    if prefix in found:
        return f" (did you mean '{prefix}:{rest or next(iter(found[prefix].names), '…')}'?)"
    close = get_close_matches(prefix, found, n=1)
    suffix = PurePath(spec.partition("?")[0]).suffix.lower()
    reader = next((f for f, suffixes in _READERS.items() if suffix in suffixes), None)
    if reader in found and not close:
        return f" (did you mean '{reader}:{spec}'?)"
    spelt = [f"{close[0]}{separator or ':'}{rest or '…'}"] if close else []
    return did_you_mean(spec, [f"{p}:{n}" for p, family in found.items() for n in family.names] + spelt)


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown package"


def _source(entry: EntryPoint) -> str:
    version = f" {entry.dist.version}" if entry.dist is not None else ""
    return f"{_distribution(entry)}{version} ({entry.value})"
