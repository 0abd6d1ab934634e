"""Does a guard answer the same whichever way it is asked? One output at a time, in batches, behind a server.

Padding, a shared beginning that is computed once and another engine's arithmetic change a probability in its last
digits; more than that is a mistake, of this package, of the server or of what was said about the guard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from urllib.parse import quote

import polars as pl

from interjudge.errors import InputError
from interjudge.judges.base import Judge
from interjudge.judges.guard import LOCAL_OPTIONS
from interjudge.judges.guard_format import Format
from interjudge.judges.local_engine import LocalEngine
from interjudge.judges.options import split_options

ONE_BY_ONE: Final = "one at a time"
BATCHES: Final = "batches"
SHARED: Final = "batches, prefix once"
SERVER: Final = "server"
TOLERANCE: Final = 0.01  # of a probability; bfloat16 alone may make some thousandths


@dataclass(frozen=True)
class Difference:
    """One way of asking beside asking one output at a time on this machine.

    Attributes
    ----------
    way : `BATCHES`, `SHARED` or `SERVER`.
    n : outputs on which both gave a probability.
    largest : the largest difference of these probabilities (0 to 1); None where there is none.
    item_id : where it is.
    other_labels : outputs on which the labels differ.
    other_status : outputs on which one has a verdict and the other has none, or for another reason.
    why : what the first of these verdicts that are missing says.
    without : outputs on which both have a verdict, and one has no probability (a server that gives text alone).
    """

    way: str
    n: int
    largest: float | None
    item_id: str | None
    other_labels: int
    other_status: int
    without: int
    why: str | None = None

    @property
    def compared(self) -> int:
        """Outputs on which both have a verdict."""
        return self.n + self.without

    def holds(self, tolerance: float) -> bool:
        """Are the verdicts the same, and the probabilities within `tolerance`? Not where there are none."""
        same = not self.other_labels and not self.other_status
        return bool(self.compared) and same and (self.largest or 0.0) <= tolerance


def check_guard(
    judge: Judge, outputs: pl.DataFrame, server: Judge | None = None, tell: Callable[[str], None] | None = None
) -> tuple[pl.DataFrame, list[Difference]]:
    """The verdicts of `judge` on each output one at a time, and how far the other ways are from them.

    Parameters
    ----------
    judge : a guard on this machine (`judges.guard`).
    outputs : with `item_id` and what the guard reads; some are enough.
    server : the same guard behind a server.
    tell : is given the name of each way before it is asked.

    Raises
    ------
    InputError : `judge` is none that runs on this machine.
    """
    how = judge.evaluate
    if not (isinstance(how, partial) and len(how.args) == 2 and isinstance(how.args[1], LocalEngine)):
        raise InputError(f"{judge.name} does not run on this machine", expected="a guard without base_url")
    format_, engine = how.args
    ways: dict[str, Judge] = {
        ONE_BY_ONE: _with(judge, how, format_, engine.varied(batch_tokens=1, prefix=False)),
        BATCHES: _with(judge, how, format_, engine.varied(prefix=False)),
        SHARED: _with(judge, how, format_, engine.varied(prefix=True)),
    }
    if server is not None:
        ways[SERVER] = server
    answers = {}
    for way, asked in ways.items():
        if tell is not None:
            tell(way)
        answers[way] = outputs.select("item_id").hstack(asked(outputs.select(asked.reads)))
    alone = answers.pop(ONE_BY_ONE)
    return alone, [difference(way, alone, answer) for way, answer in answers.items()]


def server_spec(spec: str, base_url: str, model: str | None = None) -> str:
    """The same guard behind a server: without what only this machine is told. `model`: what the server calls it."""
    named, given = split_options(spec)
    given = {name: value for name, value in given.items() if name not in LOCAL_OPTIONS}
    given |= {"base_url": base_url, **({"model": model} if model is not None else {})}
    return f"{named}?" + "&".join(f"{name}={quote(value, safe='/:,. ')}" for name, value in given.items())


def difference(way: str, a: pl.DataFrame, b: pl.DataFrame) -> Difference:
    """`b` beside `a`: tables with `item_id`, `status`, `label` and `score`, row by row the same outputs."""
    both = (
        _whole(a)
        .select("item_id", "status", "label", "score")
        .hstack(_whole(b).select(pl.col("status", "label", "score").name.suffix("_b"), why=why_not()))
    )
    missing = both.filter((pl.col("status") != pl.col("status_b")) & (pl.col("status_b") != "ok"))
    same = both.filter(pl.col("status") == pl.col("status_b"))
    ok = same.filter(status="ok")
    apart = ok.with_columns(by=(pl.col("score") - pl.col("score_b")).abs()).drop_nulls("by").sort("by", descending=True)
    return Difference(
        way=way,
        n=apart.height,
        largest=apart["by"][0] if apart.height else None,
        item_id=apart["item_id"][0] if apart.height else None,
        other_labels=ok.filter(pl.col("label") != pl.col("label_b")).height,
        other_status=both.height - same.height,
        without=ok.height - apart.height,
        why=missing["why"][0] if missing.height else None,
    )


def why_not() -> pl.Expr:
    """Why there is no verdict: what was made of the reply, else the reply (or the error) itself."""
    return pl.coalesce("rationale", "raw")


def _with(judge: Judge, how: partial[pl.DataFrame], format_: Format, engine: LocalEngine) -> Judge:
    return replace(judge, evaluate=partial(how.func, format_, engine))


def _whole(answer: pl.DataFrame) -> pl.DataFrame:
    """With all columns that are compared."""
    absent = {"label": pl.String, "score": pl.Float64, "raw": pl.String, "rationale": pl.String}
    return answer.with_columns(pl.lit(None, kind).alias(c) for c, kind in absent.items() if c not in answer.columns)
