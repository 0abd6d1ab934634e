"""The whole of `interjudge report`, from file to folder. `python tests/bench/bench_report.py [ITEMS [JUDGES]]`.

Judges of unequal quality, three of them near-copies of a fourth, 3 % of the verdicts missing, eight models; two
labels and three. The goal is 60 seconds and 4 GB for 1,000,000 items x 12 judges.
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

RUNS = 3


def verdicts(path: Path, items: int, judges: int, labels: int) -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random(items) < 0.3).astype(int) if labels == 2 else rng.integers(0, labels, items)
    names = np.array(["safe", "unsafe", "unclear"][:labels])
    ids = "item-" + pl.Series(range(items)).cast(pl.String).str.zfill(8)
    model = pl.Series("model", np.array([f"model {m}" for m in range(8)])[rng.integers(0, 8, items)])
    parts, said = [], truth
    for j, accuracy in enumerate(rng.uniform(0.65, 0.95, judges)):
        copied = j >= max(judges - 3, 1)
        wrong = (truth + rng.integers(1, labels, items)) % labels
        own = np.where(rng.random(items) < accuracy, truth, wrong)
        said = np.where(rng.random(items) < 0.05, rng.integers(0, labels, items), said) if copied else own
        part = pl.DataFrame({"item_id": ids, "model": model, "label": names[said]}).with_columns(
            judge=pl.lit(f"judge {j}"), judge_kind=pl.lit("rubric"), construct=pl.lit("harm")
        )
        parts.append(part.filter(pl.Series(rng.random(items) >= 0.03)))
    pl.concat(parts).write_parquet(path)


def timed(path: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak GB of the command."""
    command = "from interjudge.cli import main; main()"
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", command, "report", str(path), "--out", str(out), "--quiet"])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"interjudge report ended with {status}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024 / 1e9


def main() -> None:
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    judges = int(sys.argv[2]) if len(sys.argv) > 2 else 12
    print(f"| interjudge report, {items:,} items x {judges} judges | seconds (median of {RUNS}) | peak GB |")
    print("|---|---|---|")
    for labels in (2, 3):
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "verdicts.parquet"
            verdicts(path, items, judges, labels)
            runs = [timed(path, Path(scratch) / f"report {run}") for run in range(RUNS)]
        seconds, memory = (statistics.median(run[i] for run in runs) for i in (0, 1))
        print(f"| {labels} labels | {seconds:.1f} | {memory:.2f} |")


if __name__ == "__main__":
    main()
