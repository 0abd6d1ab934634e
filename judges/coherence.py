"""The heuristic coherence judge: a score in 0..1 from signals that are each reported, and no model.

Every signal measures how far a text lies from usual coherent text in one respect. Its contribution is
((value - low) / (threshold - low))^3 above `low`, and the score is 2^-(scale * sum of contributions): 1 for
a text that is usual in every respect, 0.5 where one signal reaches its threshold or several come close, 0 far
beyond. The figures stand in `coherence.toml` and were set on data, see docs/coherence.md.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges import coherence_measure as measure
from interjudge.judges.base import Family, Judge
from interjudge.judges.coherence_text import Floats, chunks, read, tables
from interjudge.judges.coherence_words import lexicon

LABELS = ("incoherent", "coherent")
THRESHOLD = 0.5
NAMES = ("heuristic",)
SAID = 0.25  # a contribution from which on a signal is named in the rationale


ASKED_CHARS = 4_000  # of a prompt in which requests are looked for
_ADDRESS = r"(?:https?://|www\.)[!-~]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.-]+(?:\]\(mailto:[!-~]+)?"
_MARKER = r"</?s>|<\|\w+\|>|\[/?INST\]|<</?SYS>>"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Signal(_Strict):
    """One signal: where it counts (`low`) and convicts (`threshold`), and what it is called in a rationale.

    `usual` and `weight` shrink its rate, `least` words are needed for it, `waived_by` names the requests (`asks`) under which it does not
    apply, `fixed` says that its figures were not calibrated (yes-or-no signals).
    """

    says: str
    low: float
    threshold: float
    usual: float = 0.0
    weight: float = 0.0
    least: int = 0
    waived_by: tuple[str, ...] = ()
    fixed: bool = False


class LanguageSettings(_Strict):
    min_votes: int
    min_share: float


class HeapsSettings(_Strict):
    intercept: float
    slope: float


class TruncatedSettings(_Strict):
    limit: int


class Settings(_Strict):
    """`coherence.toml`."""

    version: int
    scale: float = Field(gt=0)
    languages: LanguageSettings
    heaps: HeapsSettings
    truncated: TruncatedSettings
    asks: Mapping[str, str]
    signals: Mapping[str, Signal]


@cache
def settings() -> Settings:
    text = files("interjudge.judges").joinpath("coherence.toml").read_text(encoding="utf-8")
    return Settings.model_validate(tomllib.loads(text))


def signals(outputs: pl.DataFrame, how: Settings | None = None) -> pl.DataFrame:
    """The value of every signal for outputs with `prompt` and `response`, in order; null where it is waived.

    Beside the signals there are `loop_text`, one turn of a loop, and `words`, their number.
    """
    how = how or settings()
    prompts = outputs["prompt"].fill_null("")
    responses = _cleaned(outputs["response"])
    shaped = measure.shapes(responses)
    head = pl.col("prompt").str.slice(0, ASKED_CHARS)
    asked = prompts.alias("prompt").to_frame().select(
        head.str.contains(f"(?i){pattern}").alias(name) for name, pattern in how.asks.items()
    )
    asked = asked.with_columns(pl.col("code") & shaped["code"])  # prose about programs is prose

    def one(edges: tuple[int, int]) -> pl.DataFrame:
        part = slice(*edges)
        return measure.measured(read(responses[part]), read(prompts[part]), how, shaped[part])

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        parts = list(pool.map(one, chunks(responses, prompts)))
    found = pl.concat(parts) if parts else one((0, 0))
    waived = [
        pl.when(~asked.select(pl.any_horizontal(signal.waived_by)).to_series()).then(pl.col(name)).alias(name)
        for name, signal in how.signals.items()
        if signal.waived_by
    ]
    loops = responses.alias("text").to_frame().hstack(found.select("loop_from", "loop_length"))
    turn = loops.select(pl.col("text").str.slice(pl.col("loop_from"), pl.col("loop_length")).alias("loop_text"))
    return found.with_columns(waived).drop("loop_from", "loop_length").hstack(turn)


def _cleaned(responses: pl.Series) -> pl.Series:
    """Responses with one word for each address (its letters and signs are not the text's) and no chat markers."""
    text = pl.col("text")
    return (
        responses.fill_null("")
        .alias("text")
        .to_frame()
        .select(
            pl.when(text.str.contains_any(["://", "@", "www.", "<", "[/"]))
            .then(text.str.replace_all(_ADDRESS, "link").str.replace_all(_MARKER, " "))
            .otherwise(text)
        )
        .to_series()
    )


def contributions(values: pl.DataFrame, how: Settings | None = None) -> Floats:
    """(outputs, signals) what each signal adds; 0 where it is waived or as usual."""
    how = how or settings()
    low, high = (np.array([getattr(s, side) for s in how.signals.values()]) for side in ("low", "threshold"))
    table = values.select(how.signals.keys()).to_numpy().astype(np.float64)
    beyond = np.maximum((np.nan_to_num(table, nan=-np.inf) - low) / (high - low), 0)
    return how.scale * beyond**3


def evaluate(outputs: pl.DataFrame) -> pl.DataFrame:
    """Verdicts on a batch of outputs: every one is `ok`, an empty response is incoherent with score 0."""
    how = settings()
    values = signals(outputs, how)
    added = contributions(values, how)
    score = np.round(np.exp2(-added.sum(1)), 6)
    raw = values.select(pl.col(how.signals.keys()).round(4), "words")
    answer = pl.DataFrame({"score": score}).with_columns(
        label=pl.when(pl.col("score") < THRESHOLD).then(pl.lit(LABELS[0])).otherwise(pl.lit(LABELS[1])),
        raw=raw.select(pl.struct(pl.all()).struct.json_encode()).to_series(),
    )
    bad = np.flatnonzero(score < THRESHOLD)
    rationale = pl.Series("rationale", [None], dtype=pl.String).new_from_index(0, outputs.height)
    if len(bad):
        rationale = rationale.scatter(bad, _rationale(values[bad], added[bad], how))
    return answer.with_columns(rationale.alias("rationale"))


def _rationale(values: pl.DataFrame, added: Floats, how: Settings) -> pl.Series:
    """Which signals drove each verdict, in words, the strongest first marked by its place in the file."""
    strongest = added.argmax(1)
    said = [
        pl.when(pl.Series((added[:, i] >= SAID) | (strongest == i))).then(_phrase(name, signal))
        for i, (name, signal) in enumerate(how.signals.items())
    ]
    return values.select(pl.concat_str(said, separator="; ", ignore_nulls=True)).to_series()


def _phrase(name: str, signal: Signal) -> pl.Expr:
    value = pl.col(name).round(2).cast(pl.String)
    if name == "loop":
        turn = pl.col("loop_text").str.replace_all(r"\s+", " ").str.slice(0, 60)
        return pl.format("loop: “{}” over and over", turn)
    if signal.fixed or name == "empty":
        return pl.lit(signal.says)
    return pl.format(f"{signal.says} ({name} {{}}, usual up to {signal.low:g}, limit {signal.threshold:g})", value)


def identity(how: Settings) -> dict[str, object]:
    """All that decides a verdict: every figure and pattern, the word lists and tables (as digests), the code's version."""
    return {
        "settings": how.model_dump(mode="json"),
        "patterns": {**measure.patterns(), "address": _ADDRESS, "marker": _MARKER, "asked_chars": ASKED_CHARS},
        "tables": hashlib.sha256((tables().digest + lexicon().digest).encode()).hexdigest(),
        "threshold": THRESHOLD,
    }


def make(name: str) -> Judge:
    """The judge ``coherence:NAME``.

    Raises
    ------
    InputError : for a name that is not one of `NAMES`.
    """
    if name not in NAMES:
        raise InputError(
            f"there is no coherence judge {name!r}{did_you_mean(name, NAMES)}", expected=f"one of {choices(NAMES)}"
        )
    return Judge(
        name=f"coherence:{name}",
        kind="coherence",
        construct="coherence",
        labels=LABELS,
        evaluate=evaluate,
        identity=identity(settings()),
        batch_size=10_000,
        threshold=THRESHOLD,
    )


FAMILY = Family(
    summary="incoherent text by loops, gibberish, word order, encoding debris, language and structure; no model",
    make=make,
    names=NAMES,
    usage="coherence:heuristic",
)
