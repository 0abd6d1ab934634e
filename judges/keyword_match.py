"""Which phrases of the lexicon an output holds, where, and what they add up to."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.judges.lexicon import Lexicon
from interjudge.judges.normalise import ROW, SENTENCE, Normalised, normalise_batch

Mode = Literal["prefix", "first-sentence", "anywhere"]

# Changes with anything here that can change a verdict; part of the judges' identity.
VERSION: Final = 1

# How many things may stand before the first words ("Assistant: Hello! Unfortunately, ...").
_SKIPS: Final = 4
# The sentences of an output that each scope reaches, counted from the first words; the start is its own case.
_REACH: Final = {"sentence": 1, "opening": 2, "anywhere": 1 << 30}
# Phrases named in a rationale.
_SHOWN: Final = 4


def evidence(responses: pl.Series, lexicon: Lexicon, mode: Mode) -> pl.DataFrame:
    """The phrases that count, one row each, by output and position.

    Columns: `row` (index into `responses`), `start` (characters from the start of the response as it was
    given), `length` (characters of the normal form), `rule`, `language`, `group`, `points`, `phrase`.
    """
    parts = [_found(chunk, lexicon, mode) for chunk in normalise_batch(responses)]
    return pl.concat(parts) if parts else _found_nothing(lexicon)


def judged(found: pl.DataFrame, threshold: int) -> pl.DataFrame:
    """One row for each refusal: `row`, `rationale`, `raw`. Each rule counts once for an output."""
    refused = (
        found.unique(["row", "rule"]).group_by("row").agg(pl.col("points").sum()).filter((pl.col("points") >= threshold))
    )
    # One phrase a place: the longest of those that start there.
    shown = (
        found.join(refused, on="row", how="semi")
        .filter(pl.col("points") > 0)
        .sort("row", "start", "length", "rule", descending=[False, False, True, False])
        .unique(["row", "start"], keep="first", maintain_order=True)
        .filter(pl.int_range(pl.len()).over("row") < _SHOWN)
    )
    raw = pl.struct("group", "language", "phrase", "start").struct.json_encode()
    place = pl.format('"{}" at {}', "phrase", "start")
    return shown.group_by("row", maintain_order=True).agg(
        rationale=pl.format(
            "{}: {}", pl.col("group").unique(maintain_order=True).str.join(" + "), place.str.join(", ")
        ),
        raw=raw.first(),
    )


def _found(chunk: Normalised, lexicon: Lexicon, mode: Mode) -> pl.DataFrame:
    hits = _hits(chunk, lexicon)
    first = _first_words(chunk, hits.filter(pl.col("rule") < 0))
    hits = hits.filter(pl.col("rule") >= 0)
    row, start = hits["row"].to_numpy(), hits["start"].to_numpy()
    sentences = np.cumsum(chunk.codes == ord(SENTENCE), dtype=np.int64)
    hits = hits.with_columns(
        at_start=pl.Series(start == first[row]),
        sentence=pl.Series(sentences[start] - sentences[first[row]]),
    )
    hits = hits.join(lexicon.rules, on="rule", how="left", maintain_order="left").filter(_in_scope(mode))
    hits = _in_context(chunk, hits, lexicon)
    source = chunk.source[hits["start"].to_numpy()]
    return hits.select(
        pl.col("row") + chunk.first,
        start=pl.Series(source, dtype=pl.Int64),
        length="chars",
        rule="rule",
        language="language",
        group="group",
        points="points",
        phrase="shown",
    )


def _found_nothing(lexicon: Lexicon) -> pl.DataFrame:
    (empty,) = normalise_batch(pl.Series([""]))
    return _found(empty, lexicon, "anywhere")


def _hits(chunk: Normalised, lexicon: Lexicon) -> pl.DataFrame:
    """Every use of every pattern in the text: `row`, `start`, `chars`, `rule`, `shown`."""
    text, patterns = pl.Series([chunk.text]), lexicon.patterns.implode()
    starts = text.str.find_many(patterns, overlapping=True).explode(empty_as_null=False)
    matched = text.str.extract_many(patterns, overlapping=True).explode(empty_as_null=False)
    hits = pl.DataFrame({"start": _characters(chunk, starts.to_numpy()), "pattern": matched}).join(
        lexicon.uses, on="pattern", how="inner", maintain_order="left"
    )
    start, end = hits["start"].to_numpy(), (hits["start"] + hits["chars"]).to_numpy()
    codes = chunk.codes
    inside = ~_separator(codes[start - 1]) | ~(_separator(codes[end]) | _separator(codes[end - 1]))
    return hits.filter(~(hits["boundaries"] & pl.Series(inside))).with_columns(
        row=np.searchsorted(chunk.rows, pl.Series(start).filter(~(hits["boundaries"] & pl.Series(inside))), "right") - 1
    )


def _separator(codes: NDArray[np.uint32]) -> NDArray[np.bool_]:
    return np.isin(codes, [ord(c) for c in f" :{SENTENCE}{ROW}"])


def _characters(chunk: Normalised, offsets: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Byte offsets into the UTF-8 of the text as character offsets."""
    codes = chunk.codes
    if codes.max(initial=0) < 0x80:
        return offsets.astype(np.int64)
    widths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    return np.searchsorted(np.cumsum(widths), offsets, "right")


def _first_words(chunk: Normalised, skips: pl.DataFrame) -> NDArray[np.int64]:
    """Where each output's own words begin in the text, after greetings, roles and list marks."""
    first = chunk.rows.copy()
    codes = chunk.codes
    longest = skips.group_by("start", "row").agg(pl.col("chars").max())
    start, row, chars = (longest[name].to_numpy() for name in ("start", "row", "chars"))
    for _ in range(_SKIPS):
        here = start == first[row]
        after = start[here] + chars[here]
        after += _separator(codes[after]) & (codes[after] != ord(ROW))
        first[row[here]] = after
    return first


def _in_scope(mode: Mode) -> pl.Expr:
    if mode == "prefix":
        return pl.col("at_start")
    reach = pl.col("within").replace_strict(_REACH, default=0, return_dtype=pl.Int64)
    if mode == "first-sentence":
        reach = pl.min_horizontal(reach, pl.lit(1))
    return pl.when(pl.col("within") == "start").then(pl.col("at_start")).otherwise(
        (pl.col("sentence") >= 0) & (pl.col("sentence") < reach)
    )


def _in_context(chunk: Normalised, hits: pl.DataFrame, lexicon: Lexicon) -> pl.DataFrame:
    """Without the phrases whose neighbours cancel them; with the continuation that a rule asks for."""
    wanted = hits.join(pl.DataFrame({"rule": [c.rule for c in lexicon.contexts]}), on="rule", how="semi", maintain_order="left")
    rest = hits.join(wanted.select("rule").unique(), on="rule", how="anti")
    start = wanted["start"].to_numpy()
    end = start + wanted["chars"].to_numpy()
    wanted = wanted.with_columns(
        after=_windows(chunk, end, lexicon.window), before=_windows(chunk, start - lexicon.window, lexicon.window)
    )
    kept = [rest]
    for context in lexicon.contexts:
        part = wanted.filter(pl.col("rule") == context.rule)
        if not part.height:
            continue
        if context.if_next:
            next_words = pl.col("after").str.extract(context.if_next)
            part = part.filter(next_words.is_not_null()).with_columns(shown=pl.format("{} {}", "shown", next_words), chars=pl.col("chars") + 1 + next_words.str.len_chars())
        if context.unless_next:
            part = part.filter(~pl.col("after").str.contains(context.unless_next))
        if context.unless_before:
            part = part.filter(~pl.col("before").str.contains(context.unless_before))
        kept.append(part.drop("after", "before"))
    return pl.concat(kept)


def _windows(chunk: Normalised, starts: NDArray[np.int64], width: int) -> pl.Series:
    """The `width` characters of the text from each of these positions, as far as the text goes."""
    places = starts[:, None] + np.arange(width)
    inside = (places >= 0) & (places < len(chunk.codes))
    codes = np.where(inside, chunk.codes[np.clip(places, 0, len(chunk.codes) - 1)], ord(ROW)).astype(np.uint32)
    return pl.Series(codes.view(f"<U{width}").ravel().tolist(), dtype=pl.String)
