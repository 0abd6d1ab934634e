"""`interjudge agree` from file to terminal on a large panel: wall time and peak memory.

    python tests/bench/bench_agree.py [ITEMS [JUDGES]]      (default 1,000,000 x 12, 3 labels, 20 % missing)

Beside it, in the same run, a script that reads the same file, pivots it and asks krippendorff for the value of
alpha alone, without an interval, pairs or judges.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

PEER = """
import sys, krippendorff, numpy as np, polars as pl
code = pl.col("label").cast(pl.Enum(["a", "b", "c"])).to_physical().cast(pl.Float64)
t = pl.read_parquet(sys.argv[1]).with_columns(code)
wide = t.pivot(on="judge", index="item_id", values="label").drop("item_id").to_numpy()
print(krippendorff.alpha(reliability_data=wide.T, level_of_measurement="nominal"))
"""


def panel(path: Path, items: int, judges: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, items)
    names = np.array(["a", "b", "c"])
    ids = "item-" + pl.Series(range(items)).cast(pl.String).str.zfill(8)
    parts = []
    for j in range(judges):
        said = np.where(rng.random(items) < 0.7, truth, rng.integers(0, 3, items))
        part = pl.DataFrame({"item_id": ids, "judge": f"judge{j}", "label": names[said]})
        parts.append(part.filter(pl.Series(rng.random(items) >= 0.2)))
    pl.concat(parts).write_parquet(path)


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds and peak GiB of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[:3]} ended with {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 2**20


def main() -> None:
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    judges = int(sys.argv[2]) if len(sys.argv) > 2 else 12
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "panel.parquet"
        panel(path, items, judges)
        ours = [sys.executable, "-c", "from interjudge.cli import main; main()", "agree", str(path)]
        peer = [sys.executable, "-c", PEER, str(path)]
        runs = [(timed(ours), timed(peer)) for _ in range(3)]
    print(f"| {items:,} items x {judges} judges | seconds (median of 3) | peak GiB |\n|---|---|---|")
    for name, side in (
        ("interjudge agree, everything with intervals", 0),
        ("read, pivot, krippendorff's value alone", 1),
    ):
        seconds, memory = (statistics.median(run[side][i] for run in runs) for i in (0, 1))
        print(f"| {name} | {seconds:.1f} | {memory:.2f} |")


if __name__ == "__main__":
    main()
