"""The two tables everything else is written in: outputs and verdicts."""

from __future__ import annotations

from typing import Final, Literal, get_args

import polars as pl

Status = Literal["ok", "parse_error", "judge_refused", "filtered", "out_of_range", "error", "not_run"]
Kind = Literal["keyword", "classifier", "rubric", "coherence", "human", "imported"]

STATUSES: Final[tuple[str, ...]] = get_args(Status)
KINDS: Final[tuple[str, ...]] = get_args(Kind)
KIND_ALIASES: Final = {"llm": "rubric", "guard": "classifier", "annotator": "human"}
STATUS: Final = pl.Enum(STATUSES)

# One row an output: one model's response to one prompt. Other columns are kept as they are.
OUTPUT_COLUMNS: Final[dict[str, pl.DataType]] = {
    "item_id": pl.String(),
    "prompt": pl.String(),
    "response": pl.String(),
    "model": pl.String(),
    "base_model": pl.String(),
    "benchmark": pl.String(),
    "category": pl.String(),
    "attack": pl.String(),
    "language": pl.String(),
    "repeat": pl.Int64(),
}
OUTPUT_REQUIRED: Final = ("prompt", "response")

# One row a verdict: one judge on one output, one repeat. The first eight are always present after reading;
# the others only where the source has them (a null column of 12,000,000 rows is not free).
VERDICT_COLUMNS: Final[dict[str, pl.DataType | pl.Enum]] = {
    "item_id": pl.String(),
    "judge": pl.String(),
    "repeat": pl.Int64(),
    "judge_kind": pl.String(),
    "construct": pl.String(),
    "status": STATUS,
    "label": pl.String(),
    "score": pl.Float64(),
    "confidence": pl.Float64(),
    "rationale": pl.String(),
    "raw": pl.String(),
    "judge_hash": pl.String(),
    "latency_s": pl.Float64(),
    "input_tokens": pl.Int64(),
    "output_tokens": pl.Int64(),
    "cost_usd": pl.Float64(),
    "created_at": pl.String(),
}
VERDICT_REQUIRED: Final = ("item_id", "judge")
VERDICT_CORE: Final = tuple(VERDICT_COLUMNS)[:8]

# With which probability an item came to be labelled: `interjudge plan` and `review` write it, a reference may have it.
DRAWN_WITH: Final = "inclusion_probability"

# What a source does not say: judges without a declared construct are compared as they stand.
NO_CONSTRUCT: Final = "unstated"
