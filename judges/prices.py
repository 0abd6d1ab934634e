"""What tokens cost: a table beside this module (`prices.toml`), and a file of the user's over it.

A model that neither names has no known price. That is said, and never counted as nothing.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from interjudge.errors import InputError, did_you_mean

TABLE: Final = "prices.toml"
_FORM: Final = '"openai/MODEL" = { input = 0.25, output = 2.00, batch = 0.5 }'
_KEYS: Final = ("input", "output", "batch")
# How providers mark a snapshot of a model: -2025-08-07, -20251001, -0613, -latest.
_SNAPSHOT: Final = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|latest)$")


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens; `batch`: the share of it that a batch API takes."""

    input: float
    output: float
    batch: float = 1.0

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """US dollars for so many tokens, asked one request at a time."""
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


@dataclass(frozen=True)
class Prices:
    """Model (``openai/gpt-5-mini``) -> price."""

    table: Mapping[str, Price]

    def of(self, model: str) -> Price | None:
        """The price of a model, or of the one that it is a snapshot of; None where it is not known."""
        return self.table.get(model) or self.table.get(_SNAPSHOT.sub("", model))


def read_prices(path: Path | str | None = None) -> Prices:
    """The table of this package, with the prices of the user's file over it.

    Raises
    ------
    InputError : no such file, or not of the form that `prices.toml` shows.
    """
    text = files("interjudge.judges").joinpath(TABLE).read_text(encoding="utf-8")
    known = _prices(tomllib.loads(text), Path(TABLE))
    if path is None:
        return Prices(known)
    return Prices({**known, **_prices(_loaded(Path(path)), Path(path))})


def _loaded(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError("no such file", file=path, expected=f"prices as {_FORM}") from None
    except OSError as error:
        raise InputError(f"cannot be read: {(error.strerror or str(error)).lower()}", file=path) from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", file=path, expected=_FORM) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not TOML: {error}", file=path, expected=_FORM) from None


def _prices(data: Mapping[str, Any], path: Path) -> dict[str, Price]:
    return {model: _price(model, given, path) for model, given in data.items()}


def _price(model: str, given: object, path: Path) -> Price:
    place = f"price of {model!r}"
    if not isinstance(given, Mapping) or "/" not in model:  # [openai.gpt-4.1] would be read as nested tables
        raise InputError("is no price", file=path, row=place, expected=_FORM)
    for key in given:
        if key not in _KEYS:
            raise InputError(f"unknown key {key!r}{did_you_mean(key, _KEYS)}", file=path, row=place, expected=_FORM)
    for key in ("input", "output"):
        if key not in given:
            raise InputError(f"{key!r} is missing", file=path, row=place, expected=_FORM)
    for key, value in given.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise InputError(f"{key!r} is no price", file=path, row=place, found=value, expected="0 or more")
    return Price(**{key: float(value) for key, value in given.items()})
