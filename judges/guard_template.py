"""The texts of a guard's format: Jinja templates over the columns of an output, filled in without any escaping.

A published prompt must come out letter for letter, so blanks and newlines stay as they stand in the file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from interjudge.errors import InputError

_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
)
_ENVIRONMENT.globals.clear()


@cache
def _compiled(source: str) -> Any:
    return _ENVIRONMENT.from_string(source)


@cache
def variables(source: str) -> frozenset[str]:
    """The names that a template uses.

    Raises
    ------
    TemplateSyntaxError : it is none.
    """
    return frozenset(meta.find_undeclared_variables(_ENVIRONMENT.parse(source)))


def filled(source: str, fields: Mapping[str, str]) -> str:
    """A template with its fields filled in.

    Raises
    ------
    InputError : it cannot be.
    """
    try:
        return str(_compiled(source).render(fields))
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(f"a guard's prompt cannot be filled in: {error}") from None


def pieces_of(source: str, fields: Mapping[str, str], given: Collection[str]) -> tuple[str, ...]:
    """A filled template in pieces, in turn its own text and that of a field in `given`; the first is its own.

    In one piece, of a field, where they cannot be told apart: the template does more with a field than show it.
    """
    whole = filled(source, fields)
    marks = {name: f"\ue000{n}\ue001" for n, name in enumerate(given)}
    shown = re.split(f"({'|'.join(marks.values())})", filled(source, {**fields, **marks})) if marks else [whole]
    texts_of = {mark: fields[name] for name, mark in marks.items()}
    pieces = tuple(texts_of[piece] if n % 2 else piece for n, piece in enumerate(shown))
    return pieces if "".join(pieces) == whole else ("", whole)


def filled_in(value: Any, fields: Mapping[str, str]) -> Any:
    """A nested value with every text of it filled in."""
    if isinstance(value, str):
        return filled(value, fields)
    if isinstance(value, Mapping):
        return {name: filled_in(one, fields) for name, one in value.items()}
    if isinstance(value, list):
        return [filled_in(one, fields) for one in value]
    return value


def texts(value: Any) -> list[str]:
    """Every text of a nested value."""
    if isinstance(value, str):
        return [value]
    several = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [text for one in several for text in texts(one)]
