"""The one family of errors that the command line prints instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InterjudgeError(Exception):
    """Anything that ends a command with a message and no traceback.

    The message is one line of printable characters: names and values out of data (a judge, a column) may hold
    terminal escapes or bidirectional overrides, and stand in it as escapes.
    """

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message)))


class InputError(InterjudgeError):
    """Bad input or bad usage: says where, what was found and what was expected.

    Parameters are all optional but the problem: `file` the path as the user gave it, `row` the 1-based
    data row (or "line 7" as text), `column` its name, `found` and `expected` in a few words.
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        file: object = None,
        row: int | str | None = None,
        column: str | None = None,
        found: object = None,
        expected: str | None = None,
    ) -> None:
        place = [str(file)] if file is not None else []
        if row is not None:
            place.append(f"row {row}" if isinstance(row, int) else row)
        if column is not None:
            place.append(f"column {column!r}")
        message = f"{', '.join(place)}: {problem}" if place else problem
        if found is not None:
            message += f"; found {_short(found)}"
        if expected is not None:
            message += f"; expected {expected}"
        super().__init__(message)


def _short(value: object, limit: int = 120) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = printable(text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def printable(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`" (did you mean 'x'?)"` or the empty string."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def choices(names: Iterable[str], limit: int = 20) -> str:
    """The names as a readable list, cut after `limit`."""
    names = list(names)
    shown = ", ".join(names[:limit])
    return shown + (f", … ({len(names)} in all)" if len(names) > limit else "")
