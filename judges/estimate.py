"""What a run would ask and what that would cost, without asking and without writing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from interjudge.judges.base import Judge
from interjudge.judges.batch_ledger import held
from interjudge.judges.distinct import Asked, as_judges, as_outputs, check_given, distinct_judges, output_hash
from interjudge.judges.prices import Prices, read_prices
from interjudge.judges.store import Store, stored_hashes

_SAMPLE: Final = 5_000  # outputs whose tokens are counted; of more, so many spread evenly


@dataclass(frozen=True)
class Plan:
    """What is left to ask one judge.

    Attributes
    ----------
    total, stored : distinct outputs times repeats, and how many of them are finished in the store.
    left : verdicts to ask for. Behind a network each takes one request; requests that repair a reply, and those sent
        again after a failure, come on top.
    model : as the price table names it; None for a judge that is not behind a network.
    input_tokens, output_tokens : of these requests; the latter at most. None for a judge without a model.
    cost_usd : of these tokens, so at most; None where no price is known.
    sampled : the tokens are those of a sample, scaled up.
    in_batches : verdicts that lie in a batch under way; they are not asked for again.
    """

    judge: str
    total: int
    stored: int
    left: int
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    sampled: bool = False
    in_batches: int = 0


def estimate(
    outputs: pl.DataFrame | Path | str,
    judges: Sequence[Judge | str | Asked] | Judge | str | Asked,
    *,
    store: Path | str | Store | None = None,
    redo: bool = False,
    repeats: int = 1,
    prices: Prices | Path | str | None = None,
    batch: bool = False,
) -> list[Plan]:
    """What `score` with the same arguments would ask, a plan for each judge in the given order.

    `batch`: at the price of the batch API. A store is only looked at, and need not be there.

    Raises
    ------
    InputError : as `score`.
    """
    asked = distinct_judges(as_judges(judges))
    outputs = as_outputs(outputs)
    check_given(outputs, asked, repeats)
    costs = prices if isinstance(prices, Prices) else read_prices(prices)
    path = store.path if isinstance(store, Store) else None if store is None else Path(store)
    kept = path if path is not None and path.exists() and path.stat().st_size and not redo else None
    seen: dict[tuple[str, ...], pl.DataFrame] = {}
    plans = []
    for judge in asked:
        reads = tuple(judge.reads)
        if reads not in seen:
            hashes = output_hash(outputs, reads)
            seen[reads] = outputs.select(reads).with_columns(hash=hashes).filter(hashes.is_first_distinct())
        plans.append(_plan(judge, seen[reads], kept, repeats, costs, batch))
    return plans


def _plan(judge: Judge, distinct: pl.DataFrame, store: Path | None, repeats: int, prices: Prices, batch: bool) -> Plan:
    # How often each output is still to be asked, whichever repeats those are.
    left = distinct.with_columns(times=pl.lit(repeats, pl.Int64))
    waiting = 0
    if store is not None:
        finished = stored_hashes(store, judge.hash).filter(pl.col("repeat") < repeats)
        batches = held(store, judge.hash).filter(pl.col("repeat") < repeats).select("hash", "repeat").unique()
        batches = batches.join(finished, on=["hash", "repeat"], how="anti").join(distinct, on="hash", how="semi")
        waiting = batches.height
        done = pl.concat([finished, batches.select(finished.columns)]).group_by("hash").len("done")
        left = left.join(done, on="hash", how="left", maintain_order="left").with_columns(
            times=pl.col("times") - pl.col("done").fill_null(0).cast(pl.Int64)
        )
    left = left.filter(pl.col("times") > 0)
    total, asked = distinct.height * repeats, int(left["times"].sum())
    stored = total - asked - waiting
    if judge.remote is None:
        return Plan(judge.name, total, stored, asked)
    sample = left if left.height <= _SAMPLE else left[np.linspace(0, left.height - 1, _SAMPLE).astype(np.int64)]
    scale = asked / max(1, int(sample["times"].sum()))
    text = sample.select(judge.reads).with_columns(pl.exclude(pl.String).cast(pl.String))
    tokens_in = tokens_out = 0
    for times, row in zip(sample["times"], text.iter_rows(named=True), strict=True):
        found = judge.remote.estimate(row)
        tokens_in += times * found.input_tokens
        tokens_out += times * found.output_tokens
    tokens_in, tokens_out = round(tokens_in * scale), round(tokens_out * scale)
    price = prices.of(judge.remote.model)
    cost = None if price is None else price.of(tokens_in, tokens_out) * (price.batch if batch else 1.0)
    return Plan(
        judge.name, total, stored, asked, judge.remote.model, tokens_in, tokens_out, cost,
        sampled=sample.height < left.height, in_batches=waiting,
    )  # fmt: skip
