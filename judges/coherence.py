"""The heuristic coherence judge: a score in 0..1 from signals that are each reported, and no model.

Every signal measures how far a text lies from usual coherent text in one respect. Its contribution is
((value - low) / (threshold - low))^3 above `low`, and the score is 2^-(scale * sum of contributions): 1 for
a text that is usual in every respect, 0.5 where one signal reaches its threshold or several come close, 0 far
beyond. The figures stand in `coherence.toml` and were set on data, see docs/coherence.md.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import polars as pl

from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges import coherence_measure as measure
from interjudge.judges.base import Family, Judge
from interjudge.judges.coherence_settings import Settings, Signal, Signals, settings
from interjudge.judges.coherence_text import MAX_CHARS, Bools, Floats, chunks, read, tables
from interjudge.judges.coherence_words import lexicon
from interjudge.judges.options import split_options

LABELS: Final = ("incoherent", "coherent")
NAMES: Final = ("heuristic", "lm", "embedding", "full")
THRESHOLD: Final = 0.5
POWER: Final = 3  # of a contribution: what is half-way to its threshold adds an eighth
SAID: Final = 0.25  # a contribution from which on a signal is named in the rationale
ASKED_CHARS: Final = 4_000  # of a prompt in which requests are looked for

_ADDRESS: Final = r"(?:https?://|www\.)[!-~]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.-]+(?:\]\(mailto:[!-~]+)?"
_MARKER: Final = r"</?s>|<\|\w+\|>|\[/?INST\]|<</?SYS>>"


def signals(outputs: pl.DataFrame, how: Settings | None = None) -> pl.DataFrame:
    """The value of every signal for outputs with `prompt` and `response`, in order; null where it is waived.

    Beside the signals there are `words` (how many), `copied` and `looped` (shares of the text) and `turn`,
    the text of one turn of its longest loop.
    """
    how = how or settings()
    prompts = outputs["prompt"].fill_null("")
    responses = _cleaned(outputs["response"])
    lines = measure.lines(responses)
    asked = _asked(prompts, how).with_columns(pl.col("code") & lines["code"])  # prose about programs is prose

    def measured(edges: tuple[int, int]) -> pl.DataFrame:
        part = slice(*edges)
        return measure.measured(read(responses[part]), read(prompts[part]), how, lines[part])

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        parts = list(pool.map(measured, chunks(responses, prompts)))
    found = pl.concat(parts) if parts else measured((0, 0))
    waived = [
        pl.when(~asked.select(pl.any_horizontal(signal.waived_by)).to_series()).then(pl.col(name)).alias(name)
        for name, signal in how.signals.items()
        if signal.waived_by
    ]
    turn = pl.col("response").str.slice(pl.col("turn_from"), pl.col("turn_length")).alias("turn")
    return (
        found.with_columns(waived)
        .with_columns(responses.alias("response"))
        .with_columns(turn)
        .drop("response", "turn_from", "turn_length")
    )


def _asked(prompts: pl.Series, how: Settings) -> pl.DataFrame:
    """One column of truth values for each pattern of requests."""
    head = pl.col("prompt").str.slice(0, ASKED_CHARS)
    table = prompts.alias("prompt").to_frame()
    return table.select(head.str.contains(f"(?i){pattern}").alias(name) for name, pattern in how.asks.items())


def _cleaned(responses: pl.Series) -> pl.Series:
    """Responses with one word for each address (its signs are not the text's) and without chat markers."""
    text = pl.col("text")
    suspects = text.str.contains_any(["://", "@", "www.", "<", "[/"])
    clean = text.str.replace_all(_ADDRESS, "link").str.replace_all(_MARKER, " ")
    table = responses.fill_null("").str.slice(0, MAX_CHARS).alias("text").to_frame()
    return table.select(pl.when(suspects).then(clean).otherwise(text)).to_series()


def contributions(values: pl.DataFrame, how: Signals | None = None) -> Floats:
    """What each signal adds, (outputs, signals); 0 where it is waived or as usual."""
    how = how or settings()
    low = np.array([s.low for s in how.signals.values()])
    threshold = np.array([s.threshold for s in how.signals.values()])
    table = values.select(how.signals.keys()).to_numpy().astype(np.float64)
    beyond = np.maximum((np.nan_to_num(table, nan=-np.inf) - low) / (threshold - low), 0)
    added: Floats = how.scale * beyond**POWER
    return added


def evaluate(outputs: pl.DataFrame) -> pl.DataFrame:
    """Verdicts on a batch of outputs: every one is `ok`, a response without words is incoherent with score 0."""
    how = settings()
    values = signals(outputs, how)
    added = contributions(values, how)
    label, score = labelled(added.sum(1))
    return pl.DataFrame(
        {
            "label": label,
            "score": score,
            "rationale": rationales(values, added, score < THRESHOLD, how),
            "raw": reported(values, how, "words").struct.json_encode(),
        }
    )


def labelled(sums: Floats) -> tuple[pl.Series, Floats]:
    """Labels and scores from the sums of contributions."""
    score: Floats = np.exp2(-sums).round(6)
    return pl.Series(score < THRESHOLD).replace_strict(
        {True: LABELS[0], False: LABELS[1]}, return_dtype=pl.String
    ), score


def reported(values: pl.DataFrame, how: Signals, *more: str) -> pl.Series:
    """Every signal, and what else is named, as one structure an output."""
    return values.select(pl.struct(pl.col(how.signals.keys()).round(4), *more)).to_series()


def rationales(values: pl.DataFrame, added: Floats, bad: Bools, how: Signals) -> pl.Series:
    """What drove each incoherent verdict, in words; null for the others."""
    none = pl.repeat(None, len(bad), dtype=pl.String, eager=True)
    rows = np.flatnonzero(bad)
    if not len(rows):
        return none
    share = added[rows]
    named = (share >= SAID) | (share == share.max(1, keepdims=True))
    said = [
        pl.when(pl.Series(named[:, i])).then(_phrase(name, signal))
        for i, (name, signal) in enumerate(how.signals.items())
    ]
    told = values[rows].select(pl.concat_str(said, separator="; ", ignore_nulls=True)).to_series()
    return none.scatter(rows, told)


def _phrase(name: str, signal: Signal) -> pl.Expr:
    """What one signal says of a text."""
    if signal.fixed:
        return pl.lit(signal.says)
    turn = pl.col("turn").str.replace_all(r"\s+", " ").str.slice(0, 60)
    if name == "loop":
        return pl.format("loop: “{}” over and over, {} % of the text", turn, _percent("looped"))
    if name == "compression":
        return pl.format("repeats itself: {} % of the text stood in it before", _percent("copied"))
    value = pl.col(name).round(2).cast(pl.String)
    return pl.format(f"{signal.says} ({name} {{}}, limit {signal.threshold:g})", value)


def _percent(share: str) -> pl.Expr:
    return (100 * pl.col(share)).round(0).cast(pl.Int64).cast(pl.String)


def identity(how: Settings) -> dict[str, object]:
    """All that decides a verdict: every figure and pattern, and the stored tables as one digest."""
    return {
        "settings": how.model_dump(mode="json"),
        "patterns": {**measure.PATTERNS, "address": _ADDRESS, "marker": _MARKER},
        "tables": hashlib.sha256((tables().digest + lexicon().digest).encode()).hexdigest(),
        "threshold": THRESHOLD,
        "power": POWER,
        "read": {"prompt_chars": ASKED_CHARS, "line_chars": measure.LINE_CHARS, "chars": MAX_CHARS},
    }


def make(text: str) -> Judge:
    """The judge ``coherence:NAME`` or ``coherence:NAME?OPTIONS``.

    Raises
    ------
    InputError : for a name that is not one of `NAMES`, or an option that it does not have.
    """
    name, given = split_options(text)
    if name not in NAMES:
        problem = f"there is no coherence judge {name!r}{did_you_mean(name, NAMES)}"
        raise InputError(problem, expected=f"one of {choices(NAMES)}")
    if name != "heuristic":
        from interjudge.judges.coherence_models import model_judge  # noqa: PLC0415  it needs this module

        return model_judge(name, given)
    if given:
        raise InputError(f"coherence:heuristic has no options; found {next(iter(given))!r}")
    return Judge(
        name=f"coherence:{name}",
        kind="coherence",
        construct="coherence",
        labels=LABELS,
        evaluate=evaluate,
        identity=identity(settings()),
        threshold=THRESHOLD,
    )


FAMILY = Family(
    summary="incoherent text: loops, gibberish, word order, ...; without a model (heuristic) or with one (the others)",
    make=make,
    names=NAMES,
    usage="coherence:heuristic or coherence:lm[?model=ID_OR_PATH&device=cuda], coherence:embedding, coherence:full",
)
