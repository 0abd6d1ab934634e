"""How fast the heuristic coherence judge is: outputs a second, growth with length, and hostile single texts.

python tests/bench/bench_coherence.py [--outputs 20000] [--chars 600] [--repeats 5]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import string
import time
from collections.abc import Callable
from pathlib import Path

import perturbations as made
import polars as pl

from interjudge.judges.coherence import FAMILY

PANELS = Path(__file__).resolve().parents[3] / "shared" / "data" / "tidy"


def outputs(count: int, chars: int, seed: int = 0) -> pl.DataFrame:
    """Real answers (of XSTest where the panels are, else those written for the tests), each of `chars` characters."""
    if PANELS.is_dir():
        table = made.coherent(PANELS)
    else:
        table = pl.concat([made.oddities(), pl.DataFrame(made.written()["answer"]).select("prompt", "response")])
    rng = random.Random(seed)
    text = table["response"].str.join("\n\n").item()
    starts = [rng.randrange(max(1, len(text) - chars)) for _ in range(count)]
    prompts = table["prompt"].sample(count, with_replacement=True, seed=seed)
    return pl.DataFrame({"prompt": prompts, "response": [text[s : s + chars] for s in starts]})


def median_seconds(run: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Wall time, and processor time over all threads (which other work on the machine disturbs less)."""
    wall, cpu = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        run()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    return statistics.median(wall), statistics.median(cpu)


def hostile(size: int = 1_000_000) -> dict[str, str]:
    rng = random.Random(0)
    return {
        "one letter": "a" * size,
        "a short loop": "all work and no play " * (size // 21),
        "random letters": "".join(rng.choices(string.ascii_lowercase + " ", k=size)),
        "one word of random letters": "".join(rng.choices(string.ascii_letters, k=size)),
        "no letters": "!" * size,
        "line breaks": "\n" * size,
        "code-like lines": "x = (\n" * (size // 6),
        "braces": "{" * size,
        "Chinese characters": "".join(chr(rng.randrange(0x4E00, 0x9FA5)) for _ in range(size)),
        "any code points": "".join(chr(rng.randrange(1, 0xD800)) for _ in range(size)),
        "emoji": "😀" * size,
        "combining marks": "e\u0301\u0302\u0303" * (size // 4),
        "apostrophes": "a'" * (size // 2),
        "at signs": "a@" * (size // 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the speed of the heuristic coherence judge.")
    parser.add_argument("--outputs", type=int, default=20_000)
    parser.add_argument("--chars", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    judge = FAMILY.make("heuristic")
    start = time.perf_counter()
    judge(outputs(10, 100))
    print(f"{os.cpu_count()} cores; loading the tables and judging 10 outputs: {time.perf_counter() - start:.2f} s")
    for chars in (options.chars // 4, options.chars, options.chars * 4):
        table = outputs(options.outputs, chars)
        wall, cpu = median_seconds(lambda table=table: judge(table), options.repeats)
        print(
            f"{table.height:,} outputs of {chars:,} characters: {wall:.2f} s, {table.height / wall:,.0f} outputs/s, "
            f"{table.height * chars / wall / 1e6:.1f} million characters/s; {cpu:.2f} s of processor time "
            f"(medians of {options.repeats})"
        )
    for name, text in hostile().items():
        for column in ("response", "prompt"):
            one = pl.DataFrame({"prompt": "Why?", "response": "Because."}).with_columns(pl.lit(text).alias(column))
            print(f"1 MB of {name} as {column}: {median_seconds(lambda one=one: judge(one), 1)[0]:.2f} s")


if __name__ == "__main__":
    main()
