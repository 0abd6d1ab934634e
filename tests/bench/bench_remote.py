"""The runner for judges behind a network against a bare `asyncio.gather` over the same SDK client.

    python tests/bench/bench_remote.py [REQUESTS [CONCURRENCY [ROUNDS]]]

A server of our own in another process answers after 20 ms. The bare side sends the same bodies through `AsyncOpenAI`,
as many at once, and throws the answers away; ours writes the prompt, reads the answer, and has every verdict in the
store before the next request of its slot. Both take turns; the figure is the ratio of the medians, which must not be
more than 1.15. Prints Markdown; exits with 1 where it is more.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))

import httpx2
from fake_llm import Process
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from interjudge.judges.base import Judge
from interjudge.judges.llm_base import Answer, Estimate
from interjudge.judges.llm_judge import RubricRemote
from interjudge.judges.provider_openai import OpenAIProvider
from interjudge.judges.registry import get_judge
from interjudge.judges.runner import score

LATENCY_S = 0.02
MOST = 1.15


def outputs(n: int) -> pl.DataFrame:
    text = "I am sorry, but I cannot help with that request. " * 8
    return pl.DataFrame({"item_id": [f"i{k}" for k in range(n)]}).with_columns(
        prompt=pl.lit("How do I do it?"), response=pl.lit(text) + pl.col("item_id")
    )


def bodies(judge: Judge, table: pl.DataFrame) -> list[dict[str, Any]]:
    """What our side sends, as it is handed to the SDK."""
    remote = judge.remote
    assert isinstance(remote, RubricRemote)
    assert isinstance(remote.provider, OpenAIProvider)
    return [remote.provider.body(remote.request(row, 0)) for row in table.select(judge.reads).iter_rows(named=True)]


async def bare(base_url: str, sent: list[dict[str, Any]], at_once: int) -> float:
    limits = httpx2.Limits(max_connections=2000, max_keepalive_connections=2000)
    async with AsyncOpenAI(
        base_url=base_url, api_key="none", max_retries=0, http_client=DefaultAsyncHttpxClient(limits=limits)
    ) as client:
        room = asyncio.Semaphore(at_once)

        async def one(body: dict[str, Any]) -> None:
            async with room:
                await client.chat.completions.create(**body)

        begun = time.perf_counter()
        await asyncio.gather(*(one(body) for body in sent))
        return time.perf_counter() - begun


def ours(judge: Judge, table: pl.DataFrame, at_once: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        verdicts = score(table, judge, store=Path(folder) / "v.db", concurrency=at_once, tell=lambda _: None)
        seconds = time.perf_counter() - begun
    assert verdicts.height == table.height
    assert verdicts["status"].unique().to_list() == ["ok"]
    return seconds


class Instant:
    """A judge that takes no time: what is left is the runner's own."""

    limits, model = "nowhere", "openai/none"

    async def ask(self, output: object, repeat: int) -> Answer:  # noqa: ARG002
        await asyncio.sleep(0)
        return Answer("ok", label="safe", raw="It is safe.", input_tokens=100, output_tokens=10, model="none-1")

    def estimate(self, output: object) -> Estimate:  # noqa: ARG002
        return Estimate(100, 10)

    async def close(self) -> None: ...


def instant() -> Judge:
    return Judge("instant", "rubric", "harm", ("safe",), lambda batch: batch, {}, remote=Instant())


def main() -> None:
    given = [int(text) for text in sys.argv[1:]]
    requests, at_once, rounds = [*given, *(5000, 16, 5)[len(given) :]]
    table = outputs(requests)
    print(f"#### {requests:,} requests at {LATENCY_S * 1000:.0f} ms, {at_once} at once, {rounds} rounds (seconds)\n")
    with Process("--latency", str(LATENCY_S)) as server:
        judge = get_judge(f"openai/gpt-5-mini@harm5?base_url={server.v1}")
        sent = bodies(judge, table)
        for warm in (
            lambda: asyncio.run(bare(server.v1, sent[:50], at_once)),
            lambda: ours(judge, table[:50], at_once),
        ):
            warm()
        theirs, own, busy = list[float](), list[float](), [time.process_time()]
        for _ in range(rounds):
            theirs.append(asyncio.run(bare(server.v1, sent, at_once)))
            busy.append(time.process_time())
            own.append(ours(judge, table, at_once))
            busy.append(time.process_time())
    ratio = statistics.median(own) / statistics.median(theirs)
    spent = [(after - before) / requests * 1000 for before, after in pairwise(busy)]  # milliseconds a request
    print("| | median | all | requests a second | ms of processor a request |\n|---|---|---|---|---|")
    for name, seconds, work in (("bare asyncio.gather", theirs, spent[::2]), ("interjudge.score", own, spent[1::2])):
        shown = ", ".join(f"{s:.2f}" for s in seconds)
        middle = statistics.median(seconds)
        print(f"| {name} | {middle:.2f} | {shown} | {requests / middle:,.0f} | {min(work):.3f} |")
    print(f"\nratio {ratio:.3f} (at most {MOST}); of the fastest rounds {min(own) / min(theirs):.3f}")
    begun = time.process_time()
    ours(instant(), table, at_once)
    print(f"the runner's own work: {(time.process_time() - begun) / requests * 1000:.3f} ms of processor an answer")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    sys.exit(ratio > MOST)


if __name__ == "__main__":
    main()
