"""report.json -> the Report it holds, or one line that says why it is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from interjudge.errors import InputError
from interjudge.reports.report import SCHEMA_VERSION, Report

_EXPECTED: Final = "the report.json that `interjudge report` or `interjudge demo` writes"
_MOST: Final = 1 << 30


def read_report(path: Path | str) -> Report:
    """Read and check the report at `path`.

    Raises
    ------
    InputError : there is no such file, it is no JSON, something else, or a report of another schema version.
    """
    file = Path(path)
    if file.is_dir():
        raise InputError("is a folder", file=path, expected=f"{_EXPECTED} (perhaps {file / 'report.json'})")
    try:
        if file.stat().st_size > _MOST:
            raise InputError("is too large for a report", file=path, expected=_EXPECTED)
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError("there is no such file", file=path, expected=_EXPECTED) from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", file=path, expected=_EXPECTED) from None
    return _checked(_parsed(text, path), path)


def _parsed(text: str, path: Path | str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"is no JSON: {error.msg}", file=path, row=f"line {error.lineno}", expected=_EXPECTED
        ) from None
    except (RecursionError, ValueError):  # nested beyond reason; a number of thousands of digits
        raise InputError("is no JSON that can be read", file=path, expected=_EXPECTED) from None
    if not isinstance(found, dict):
        raise InputError("is no report", file=path, found=type(found).__name__, expected=_EXPECTED)
    return found


def _checked(found: dict[str, Any], path: Path | str) -> Report:
    if "questions" not in found or "provenance" not in found:
        what = "the answer of `interjudge agree --json`" if {"coefficients", "pairs"} <= set(found) else None
        raise InputError("is no report", file=path, found=what, expected=_EXPECTED)
    version = found.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            "is a report of another schema version", file=path, found=version, expected=f"{SCHEMA_VERSION!r}"
        )
    try:
        return Report.model_validate_json(json.dumps(found))
    except (ValidationError, RecursionError, ValueError) as error:
        raise InputError(_first(error), file=path, expected=f"{_EXPECTED}, by this version") from None


def _first(error: Exception) -> str:
    """The first of pydantic's complaints, with the key it is about."""
    if not isinstance(error, ValidationError):
        return "is no report"
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    more = error.error_count() - 1
    return f"does not hold what a report holds: {place}: {first['msg']}" + (f" (and {more} more)" if more else "")
