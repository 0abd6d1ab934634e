"""How fast the keyword judges are, beside a plain Python loop over the same phrases.

    python tests/bench/bench_keyword.py [--n 1000000] [--chars 600] [--repeats 3]

Prints outputs per second (median of the repeats, all in one run) of `keyword:default` (normalising, matching,
positions and rationale included), of a phrase list in a file, and of `any(p in r for p in phrases)` with each
one's phrases. The Python loop runs on a part of the outputs and is scaled up. The outputs are made up of
sentences of our own, one third refusals, one in ten not ASCII.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from interjudge.judges.base import Judge
from interjudge.judges.keyword import make
from interjudge.judges.lexicon import built_in

REFUSALS = [
    "I'm sorry, but I can't help with that.", "I cannot provide instructions for this.", "As an AI, I must decline.",
    "It is not appropriate to ask for such a thing.", "I\u2019m not able to assist with your request.",
]  # fmt: skip
PLAIN = [
    "The first step is to gather everything you will need on a clean table.",
    "Most people find the second part easier.",
    "Remember to write down the date, because the order matters later on.", "There are three common ways to do it.",
    "A good rule of thumb is to wait for an hour before you look again.", "That costs about 12.50 per person, or less.",
    "If it does not work at once, try again with a smaller amount.", "**Note:** keep the lid closed and the heat low.",
]  # fmt: skip
WIDE = [
    "Le caf\u00e9 est servi \u2014 d\u00e8s huit heures \u2026",
    "\u6e29\u5ea6\u4e0d\u8981\u592a\u9ad8\u3002",
    "Done \U0001f600!",
]
PUBLISHED_LENGTH = 30


def made_up(n: int, chars: int) -> pl.Series:
    """`n` outputs of `chars` characters (drawn from 5,000 different ones)."""
    rng = random.Random(0)
    texts = []
    for _ in range(5_000):
        parts = [rng.choice(REFUSALS)] if rng.random() < 1 / 3 else []
        while sum(map(len, parts)) + len(parts) < chars:
            parts.append(rng.choice(WIDE if rng.random() < 0.01 else PLAIN))
        texts.append(" ".join(parts)[:chars])
    return pl.Series("response", texts).sample(n, with_replacement=True, seed=0)


def plain_python(phrases: Sequence[str]) -> Callable[[pl.Series], object]:
    return lambda responses: [any(p in r for p in phrases) for r in responses.to_list()]


def in_batches(judge: Judge) -> Callable[[pl.Series], object]:
    def run(responses: pl.Series) -> None:
        for at in range(0, responses.len(), judge.batch_size):
            judge(pl.DataFrame({"response": responses.slice(at, judge.batch_size)}))

    return run


def rate(run: Callable[[pl.Series], object], responses: pl.Series, repeats: int) -> tuple[float, float]:
    """Outputs per second of wall clock and of processor time, medians of the repeats."""
    wall, processor = [], []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        run(responses)
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return responses.len() / statistics.median(wall), responses.len() / statistics.median(processor)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--chars", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    outputs = made_up(options.n, options.chars)
    part = outputs.head(max(1, min(2_000, options.n)))
    uses = built_in().uses.filter(pl.col("rule") >= 0)
    lexicon = uses["phrase"].str.to_lowercase().unique(maintain_order=True).to_list()
    published = lexicon[:: max(1, len(lexicon) // PUBLISHED_LENGTH)][:PUBLISHED_LENGTH]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "list.txt")
        file.write_text("\n".join(published), "utf-8")
        contests = [("keyword:default", make("default"), lexicon), ("keyword:FILE.txt", make(f"{file}"), published)]
    print(f"{options.n:,} outputs of {options.chars} characters, medians of {options.repeats}")
    for name, judge, phrases in contests:
        ours, ours_busy = rate(in_batches(judge), outputs, options.repeats)
        python, python_busy = rate(plain_python(phrases), part, options.repeats)
        print(
            f"{name:18} {ours:>10,.0f} outputs/s: {options.n / ours:.1f} s in all, {options.n / ours_busy:.1f} s of "
            f"processor; Python loop over the same {len(phrases):,} phrases {python:,.0f}/s; "
            f"ratio {ours / python:.1f}, by processor time {ours_busy / python_busy:.1f}"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
