"""What may not stand in the file of `interjudge run`, and what is said where something in it is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges.messages import is_secret_name, without_secrets

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Place = tuple[str | int, ...]  # ("judge", 1, "name")

_LOOKS_LIKE_KEY: Final = re.compile(
    r"\b(?:sk|pk|rk)-[\w-]{8,}|\b(?:hf_|gh[opsu]_|github_pat_|xox[a-z]-|AKIA|AIza)[\w-]{12,}|\bbearer\s+[\w.~+/-]{12,}",
    re.IGNORECASE,
)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ADDRESS_WITH_LOGIN: Final = re.compile(r"://[^\s/@]+@")
_SECRET_QUERY: Final = re.compile(r"[?&]([\w-]+)=")
_INSTEAD: Final = 'key_env = "NAME", the name of an environment variable that holds the key'


# Keys of services.


def refuse_keys(text: str, path: Path) -> None:
    """Anywhere in the file, comments included. The message never repeats what it found."""
    for number, line in enumerate(text.splitlines(), 1):
        if _LOOKS_LIKE_KEY.search(line) or _ADDRESS_WITH_LOGIN.search(line):
            problem = "holds what looks like a key or a password, which would be kept and passed on with the file"
            raise InputError(problem, file=path, row=f"line {number}", expected=_INSTEAD)
        for name, value in os.environ.items():
            if len(value) >= 12 and is_secret_name(name) and value in line:
                problem = f"holds the value of the environment variable {name}"
                raise InputError(problem, file=path, row=f"line {number}", expected=f'key_env = "{name}"')


def refuse_secrets(data: Mapping[str, Any], path: Path) -> None:
    """Entries whose names say that they hold a key, and such options inside a judge's name."""
    for place, name, value in _entries(data, ()):
        if "thresholds" in place:
            continue  # these are names of judges
        inside = _SECRET_QUERY.findall(value) if isinstance(value, str) and place[0] == "judge" else []
        for said in (name, *inside):
            if said.lower() in ("key", "apikey", "authorization", "headers") or is_secret_name(said):
                raise InputError(f"{said!r} may not stand in this file", file=path, row=where(place), expected=_INSTEAD)
        if name == "key_env" and not (isinstance(value, str) and _is_variable(value)):
            problem = "is not the name of an environment variable"
            raise InputError(problem, file=path, row=where(place), expected="a name such as OPENAI_API_KEY")


def _is_variable(text: str) -> bool:
    """A variable's name, and not a key that has the form of one: those are long and mix letters and digits."""
    return _VARIABLE.fullmatch(text) is not None and without_secrets(text) == text and len(text) <= 64


def _entries(value: object, place: Place) -> Iterator[tuple[Place, str, object]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield (*place, name), name, inner
            yield from _entries(inner, (*place, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if not isinstance(inner, Mapping | list):
                yield (*place, index), "", inner
            yield from _entries(inner, (*place, index))


# What is wrong, in words.


def in_words(error: ErrorDetails, path: Path, keys: Callable[[Place], Sequence[str]]) -> InputError:
    """A pydantic error as a sentence; `keys`: which keys may stand in a part of the file."""
    place = tuple(part for part in error["loc"] if not (isinstance(part, str) and part.startswith("function-")))
    kind = error["type"]
    if kind == "extra_forbidden":
        known = keys(place[:-1])
        problem = f"unknown key{did_you_mean(str(place[-1]), known)}"
        return InputError(problem, file=path, row=where(place), expected=f"one of {choices(known)}")
    if kind == "missing":
        return InputError("is missing", file=path, row=where(place), expected=_MISSING.get(str(place[-1]), "a value"))
    given = error["input"]
    found = None if isinstance(given, Mapping | list) else without_secrets(repr(given))
    expected = _TYPES.get(kind) or error["msg"].removeprefix("Input should be ")
    return InputError("is not understood", file=path, row=where(place), found=found, expected=expected)


_TYPES: Final = {
    "string_type": "a text in quotes", "int_type": "a whole number", "float_type": "a number",
    "bool_type": "true or false", "list_type": "a list in brackets", "dict_type": "a table", "model_type": "a table",
    "string_too_short": "a text that is not empty", "too_short": "at least one",
}  # fmt: skip
_MISSING: Final = {
    "outputs": 'outputs = "FILE", before the first [table]',
    "judge": 'at least one [[judge]] with a name, such as name = "keyword:default"',
    "name": 'name = "keyword:default" or another that `interjudge judges` lists',
    "file": 'file = "FILE"',
}


def where(place: Place) -> str:
    """`("judge", 1, "name")` -> `judge 2, key 'name'`; `("analysis", "seed")` -> `key 'analysis.seed'`."""
    words: list[str] = []
    names: list[str] = []
    for part in place:
        if isinstance(part, int):
            many = names.pop() if len(names) == 1 and not words else None
            if names:
                words.append(f"key '{'.'.join(names)}'")
            words.append(f"{many or 'entry'} {part + 1}")
            names = []
        else:
            names.append(part)
    return ", ".join([*words, *([f"key '{'.'.join(names)}'"] if names else [])])
