"""What the verdict store costs: rows per second and memory for 1,000,000 verdicts written, resumed and read.

    python tests/bench/bench_store.py [ROWS]

The judge answers from a constant, so that all that is measured is the runner and the store.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from interjudge.judges.base import Judge
from interjudge.judges.runner import score
from interjudge.judges.store import Store, read_store


def outputs(rows: int) -> pl.DataFrame:
    """Distinct responses of about 600 characters with hashed ids, as a reader gives them."""
    number = pl.int_range(rows, eager=True).cast(pl.String)
    filler = "and so it went on, word after word, " * 16
    return pl.DataFrame({"number": number}).select(
        item_id=pl.col("number").hash(0).cast(pl.String).str.zfill(20) + "-" + pl.col("number"),
        prompt=pl.lit("Tell me a story."),
        response=pl.lit(filler) + pl.col("number"),
    )


def judge(batch_size: int = 10_000) -> Judge:
    def evaluate(batch: pl.DataFrame) -> pl.DataFrame:
        even = pl.col("response").str.ends_with("0")
        return batch.select(
            label=pl.when(even).then(pl.lit("refusal")).otherwise(pl.lit("compliance")),
            raw=pl.lit("sorry at 0"),
        )

    return Judge("constant", "keyword", "refusal", ("compliance", "refusal"), evaluate, {}, batch_size=batch_size)


def timed(what: str, rows: int, action: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    begun, busy = time.perf_counter(), time.process_time()
    table = action()
    seconds, busy = time.perf_counter() - begun, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{what:<44} {seconds:7.2f} s ({busy:6.2f} s of processor) {rows / busy:12,.0f} rows a processor second"
        f"   peak so far {peak:5.2f} GB",
        flush=True,
    )
    return table


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    items = timed("outputs made", rows, lambda: outputs(rows))
    timed("scored without a store", rows, lambda: score(items, [judge()]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "verdicts.db"
        scored = timed("scored into a new store", rows, lambda: score(items, [judge()], store=path))
        print(f"{'':<44} {path.stat().st_size / 1e6:7.0f} MB on disk")
        again = timed("resumed: nothing left to ask", rows, lambda: score(items, [judge()], store=path))
        read = timed("read back", rows, lambda: read_store(path))
        assert scored.equals(again)
        assert scored.equals(read)
        few = items.sample(1000, seed=0)
        timed("1,000 of them resumed in the large store", 1000, lambda: score(few, [judge()], store=path))
        path.unlink()
        small = items[: rows // 10]
        timed("a tenth, in batches of 16 (as a model's)", small.height, lambda: score(small, [judge(16)], store=path))
        with Store(path, durable=True) as store:
            number = store.use(judge())
            ids = pl.Series([1], dtype=pl.Int64)
            one = store.stored(number, 0, ids)
            begun = time.perf_counter()
            for _ in range(100):
                store.put(number, 0, one, replace=True)
            print(f"{'one commit that survives a power cut':<44} {(time.perf_counter() - begun) * 10:7.2f} ms")


if __name__ == "__main__":
    main()
