"""A judge behind a network asked about one batch by itself, without the runner (`Judge.evaluate`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Final

import polars as pl

from interjudge.judges.base import ANSWER_COLUMNS
from interjudge.judges.llm_base import Answer, ProviderError, Remote
from interjudge.judges.messages import without_secrets

_AT_ONCE: Final = 8


def evaluate_remote(remote: Remote, reads: Sequence[str], outputs: pl.DataFrame) -> pl.DataFrame:
    """A batch, asked a few at a time, each once; the runner does better."""
    texts = outputs.select(pl.col(name).cast(pl.String) for name in reads).to_dicts()
    # In a thread of its own: a notebook has a loop that is running already.
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(asyncio.run, _all(remote, texts)).result()
    rows = [{name: value for name, value in asdict(a).items() if name in ANSWER_COLUMNS} for a in answers]
    return pl.DataFrame(rows, schema=_COLUMNS)


_COLUMNS: Final = {
    "status": pl.String(), "label": pl.String(), "score": pl.Float64(), "confidence": pl.Float64(),
    "rationale": pl.String(), "raw": pl.String(), "latency_s": pl.Float64(), "input_tokens": pl.Int64(),
    "output_tokens": pl.Int64(), "cost_usd": pl.Float64(),
}  # fmt: skip


async def _all(remote: Remote, outputs: list[dict[str, str | None]]) -> list[Answer]:
    several = asyncio.Semaphore(_AT_ONCE)
    broken: list[str] = []  # why no request of this judge can succeed

    async def one(output: dict[str, str | None]) -> Answer:
        async with several:
            if broken:
                return Answer("error", raw=broken[0], requests=0)
            try:
                return await remote.ask(output, 0)
            except ProviderError as error:
                words = without_secrets(str(error))
                if error.failure == "broken":
                    broken.append(words)
                return Answer("filtered" if error.failure == "filtered" else "error", raw=words)

    try:
        return await asyncio.gather(*(one(output) for output in outputs))
    finally:
        await remote.close()
