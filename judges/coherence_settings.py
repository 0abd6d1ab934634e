"""The figures of `coherence.toml`, read once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Signal(_Strict):
    """One signal: where it counts (`low`) and convicts (`threshold`), and what it is called in a rationale.

    `usual` and `weight` shrink its rate, `least` words are needed for it, `waived_by` names the requests
    (`asks`) under which it does not apply, `fixed` says that it is one of yes or no.
    """

    says: str
    low: float
    threshold: float
    usual: float = 0.0
    weight: float = 0.0
    least: int = 0
    waived_by: tuple[str, ...] = ()
    fixed: bool = False


class Signals(Protocol):
    """Signals and the factor on the sum of what they add."""

    @property
    def scale(self) -> float: ...

    @property
    def signals(self) -> Mapping[str, Signal]: ...


class LanguageSettings(_Strict):
    """How many frequent words, and what share of all words, it takes to name a language."""

    min_votes: int
    min_share: float


class HeapsSettings(_Strict):
    """Different words of coherent English, log V = intercept + slope * log n (Heaps 1978)."""

    intercept: float
    slope: float


class TruncatedSettings(_Strict):
    """Up to how many words a text without a closing mark is looked at as broken off."""

    limit: int


class Settings(_Strict):
    """All of the file; `asks` are patterns of requests, `signals` in the order in which they are reported."""

    version: int
    scale: float = Field(gt=0)
    languages: LanguageSettings
    heaps: HeapsSettings
    truncated: TruncatedSettings
    asks: Mapping[str, str]
    signals: Mapping[str, Signal]


class ModelSignals(_Strict):
    """The signals of one judge with a model."""

    scale: float = Field(gt=0)
    signals: Mapping[str, Signal]


class Weights(_Strict):
    """What a judge's sum of contributions counts in the combined judge."""

    heuristic: float = Field(ge=0)
    lm: float = Field(ge=0)
    embedding: float = Field(ge=0)


class ModelSettings(_Strict):
    """All of `coherence_models.toml`."""

    version: int
    lm: ModelSignals
    embedding: ModelSignals
    full: Weights


@cache
def model_settings() -> ModelSettings:
    """The figures of the judges with models, which were set on the small default models."""
    text = files("interjudge.judges").joinpath("coherence_models.toml").read_text(encoding="utf-8")
    return ModelSettings.model_validate(tomllib.loads(text))


@cache
def settings() -> Settings:
    """The judge's settings; the file is part of the package, so a fault in it is a programming error."""
    text = files("interjudge.judges").joinpath("coherence.toml").read_text(encoding="utf-8")
    return Settings.model_validate(tomllib.loads(text))
