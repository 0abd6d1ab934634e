"""The texts on which the coherence judges with models are set and measured, and what the models make of them.

`texts(part, panels)` is a table: `kind` (the damage, "none" for real text, or the name of a set of real texts),
`words` (null where the length is the text's own), `number` of the item, `prompt`, `response`. A model's readings are
slow on a CPU, so they are kept in a folder of the user's, by the content of prompt and response; a run that was stopped
goes on where it was.
"""

from __future__ import annotations

import hashlib
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import perturbations as made
import polars as pl

from interjudge.judges.token_bits import Reading, Scorer

PANELS: Final = Path(__file__).resolve().parents[3] / "shared" / "data" / "tidy"
DATASETS: Final = Path(__file__).resolve().parents[2] / "datasets"
CUTS: Final = (32, 64, 128)
SEED: Final = 0
# Seen by every judge at once, or of a length of its own: read at one length.
# A length of its own, or seen by every judge at once: read at one length of 64 words.
ONCE: Final = ("letters scrambled in words", "random case", "words glued", "token soup", "mojibake",
               "replacement characters")  # fmt: skip
WHOLE: Final = ("loop from the middle",)  # its beginning is not damaged
ODD: Final = 20  # of the coherent oddities, read for the figures
# Damage whose reading needs the pass without a prompt to be found; in development text it is left out for the others.
BESIDE: Final = ("none", "answer to another prompt", "unrelated code", "foreign-language answer", "prompt echo")
CHUNK: Final = 16  # texts read between two saves
SCHEMA: Final = {
    "key": pl.String, "tokens": pl.List(pl.Int32), "given": pl.List(pl.Float32), "alone": pl.List(pl.Float32),
    "entropy": pl.List(pl.Float32), "left_out": pl.Int32,
}  # fmt: skip


def one_a_prompt(table: pl.DataFrame, count: int, words: int, seed: int = SEED) -> pl.DataFrame:
    """`count` answers of at least so many words, no two of them to the same prompt."""
    kept = [made.cut(text, words) is not None for text in table["response"]]
    chosen = table.filter(pl.Series(kept)).sample(fraction=1, shuffle=True, seed=seed)
    return chosen.unique("prompt", keep="first", maintain_order=True).head(count).with_row_index("number")


def damaged(table: pl.DataFrame, damage: made.Damage, words: int) -> pl.DataFrame:
    """The answers cut to so many words and spoilt."""
    prompts = table["prompt"].to_list()
    cut = [made.cut(text, words) or text for text in table["response"]]
    spoilt = damage.make(cut, prompts, random.Random(SEED))
    return table.select(
        pl.lit(damage.name).alias("kind"),
        pl.lit(None if damage.fixed else words, pl.Int32).alias("words"),
        pl.col("number").cast(pl.Int32),
        "prompt",
        pl.Series("response", spoilt, dtype=pl.String),
    )


NONE: Final = made.Damage("none", "as it is", lambda texts, _, __: texts)


def perturbed(part: str, panels: Path, count: int, words: int, long: int) -> pl.DataFrame:
    """Real XSTest answers of one half of the prompts (`part` is "dev" or "test") and all damage, at full length.

    `count` answers, cut to so many words, and `long` pairs of answers of 256 words.
    """
    half = made.coherent(panels).filter(pl.col("dev") == (part == "dev"))
    short = one_a_prompt(half, count, max(CUTS))
    pairs = one_a_prompt(made.in_pairs(half), long, 256) if long else short.head(0)
    frames = []
    for damage in (NONE, *made.damages(part)):
        if damage.make is made.empty:
            continue
        if damage.fixed or damage.name in ONCE:
            frames.append(damaged(short, damage, 64))
            continue
        frames += [damaged(short, damage, words)]
        frames += [damaged(pairs, damage, 256)] if long else []
    return pl.concat(frames)


def shorter(table: pl.DataFrame) -> pl.DataFrame:
    """The rows of `perturbed`, and the first 32 and 64 words of longer ones; `whole` is the text that was read.

    What a causal model makes of the beginning of a text does not depend on the rest, so that the short text's reading
    is the beginning of the long one's.
    """
    table = table.with_columns(whole="response")
    frames = [table]
    cut_once = pl.col("words").is_between(33, max(CUTS)) & ~pl.col("kind").is_in([*WHOLE, *ONCE])
    for words in CUTS[:-1]:
        part = table.filter(cut_once & (pl.col("words") > words))
        cut = [made.cut(text, words) or text for text in part["response"]]
        frames.append(part.with_columns(pl.Series("response", cut), words=pl.lit(words, pl.Int32)))
    return pl.concat(frames)


def real(part: str, panels: Path, count: int) -> pl.DataFrame:
    """Whole answers taken as coherent: XSTest and JailbreakBench by half, what was written for these purposes."""
    frames = []
    for name in ("xstest_v2", "jbb_artifacts"):
        half = made.coherent(panels, (name,)).filter(pl.col("dev") == (part == "dev"))
        half = half.filter(pl.col("response").str.strip_chars().str.len_chars() > 0)
        frames.append(one_a_prompt(half, count, 0).with_columns(kind=pl.lit(name)))
    texts = made.written()
    if part == "dev":
        written = {"oddities": made.oddities().head(ODD)}
    else:
        written = {"ten languages": pl.DataFrame(texts["answer"]), "unusual answers": pl.DataFrame(texts["calm"])}
    frames += [table.with_row_index("number").with_columns(kind=pl.lit(name)) for name, table in written.items()]
    return pl.concat(
        f.select("kind", pl.lit(None, pl.Int32).alias("words"), pl.col("number").cast(pl.Int32), "prompt", "response")
        for f in frames
    )


def demo() -> pl.DataFrame:
    """The demo set with its reference for coherence in `kind`, test data alone."""
    gold = pl.read_parquet(DATASETS / "demo_reference.parquet").filter(criterion="coherence")
    table = pl.read_parquet(DATASETS / "demo_outputs.parquet").join(gold.select("item_id", "gold"), on="item_id")
    return table.with_row_index("number").select(
        pl.col("gold").alias("kind"), pl.lit(None, pl.Int32).alias("words"), pl.col("number").cast(pl.Int32),
        "prompt", "response", "model", "item_id",
    )  # fmt: skip


def key(prompt: str, response: str) -> str:
    return hashlib.sha256(f"{len(prompt)}\0{prompt}{response}".encode()).hexdigest()[:24]


def load(folder: Path) -> dict[str, Reading]:
    """Every reading that the folder holds."""
    found: dict[str, Reading] = {}
    for path in sorted(folder.glob("*.parquet")):
        for row in pl.read_parquet(path).iter_rows(named=True):
            arrays = [np.array(row[name], np.float64) for name in ("given", "alone", "entropy")]
            found[row["key"]] = Reading(np.array(row["tokens"], np.int64), *arrays, left_out=row["left_out"])
    return found


def read(
    table: pl.DataFrame, scorer: Scorer, folder: Path, mine: tuple[int, int] = (0, 1), *, alone: bool = True
) -> None:
    """Read what is not in the folder yet, by item, so that what is there after a stop holds all damage of some items.

    `mine` is (this process, of so many): each takes the items whose number leaves that remainder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = {key for path in folder.glob("*.parquet") for key in pl.read_parquet(path, columns=["key"])["key"]}
    table = table.filter(pl.col("number") % mine[1] == mine[0]).sort("number", maintain_order=True)
    todo = {key(p, r): (p, r) for p, r in table.select("prompt", "response").iter_rows()}
    left = [(k, pair) for k, pair in todo.items() if k not in known]
    start, count = time.monotonic(), 0
    for at in range(0, len(left), CHUNK):
        part = left[at : at + CHUNK]
        found = scorer.read([p for _, (p, _) in part], [r for _, (_, r) in part], alone=alone)
        count += sum(len(f.tokens) for f in found)
        save([k for k, _ in part], found, folder)
        speed = count / (time.monotonic() - start)
        print(f"{at + len(part)} of {len(left)}, {speed:.0f} tokens/s", file=sys.stderr, flush=True)


def save(keys: Sequence[str], found: Sequence[Reading], folder: Path) -> None:
    rows = {
        "key": list(keys),
        "tokens": [f.tokens.tolist() for f in found],
        **{name: [getattr(f, name).tolist() for f in found] for name in ("given", "alone", "entropy")},
        "left_out": [f.left_out for f in found],
    }
    path = folder / f"{keys[0]}.parquet"
    pl.DataFrame(rows, schema=SCHEMA).write_parquet(path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)
