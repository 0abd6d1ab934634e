"""The runner: outputs x judges -> verdicts, each kept before the next batch is asked.

A judge is asked about every distinct output (distinct in the columns it reads) once per repeat; equal outputs
share the verdict. What a judge raises becomes an `error` verdict of the outputs at fault, never the end of the
run: a failing batch is halved until the outputs that fail stand alone, unless nothing succeeds at all.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from interjudge.datasets.ids import content_hash
from interjudge.datasets.schema import STATUS, VERDICT_COLUMNS
from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges.base import ANSWER_COLUMNS, Judge, JudgeError
from interjudge.judges.store import STORED, Store, verdict_table

Progress = Callable[[str, int, int], None]
Positions = npt.NDArray[np.int64]

# Single outputs tried across a failing batch (and, while nothing has succeeded yet, across all that is left)
# before it is given up. If half of the outputs are good, giving up wrongly has probability 2**-16.
PROBES: Final = 16
# Where another process is met at work, go on this share of the queue further: the golden section keeps several
# processes apart for longest. It changes the order of asking, never a result.
_JUMP: Final = (5**0.5 - 1) / 2

_SECRET_NAME: Final = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_SECRETS: Final = (
    re.compile(r"(?i)\b(bearer|basic)\s+\S+"),
    re.compile(r"(?i)\b([\w-]*(?:key|token|secret|passw(?:or)?d|authorization)\w*[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]+"),
    re.compile(r"\b(?:sk|pk|rk|hf|gh[opsu]|xox[a-z]|AKIA|AIza)[-_A-Za-z0-9]{12,}"),
    re.compile(r"://[^\s/@]+@"),
    # A long unbroken mix of letters and digits is nothing a reader needs.
    re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{32,}\b"),
)


def score(
    outputs: pl.DataFrame,
    judges: Sequence[Judge],
    *,
    store: Path | None = None,
    redo: bool = False,
    repeats: int = 1,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Every judge's verdict on every output.

    Parameters
    ----------
    outputs : a table of outputs (`datasets.schema.OUTPUT_COLUMNS`) with an `item_id` that is unique.
    judges : asked one after the other; the same judge given twice counts once.
    store : the verdict store (see `judges.store`). Verdicts in it are not asked again, except those with
        status `error` or `not_run`; each batch is kept there before the next one is asked.
    redo : ask everything again and replace what is stored.
    repeats : how often each judge is asked about each output (`repeat` 0, 1, ...).
    progress : called with (judge name, done, total) in distinct outputs times repeats, after every batch.

    Returns
    -------
    A verdict table: judges in the given order, within a judge the outputs in theirs, within an output the
    repeats. Columns after the first eight are there where any verdict has them; `judge_hash` and `created_at`
    (ISO 8601, UTC) always. `latency_s` is the batch's time over its size unless the judge says its own. Rows
    that share one verdict repeat its tokens and cost.

    Raises
    ------
    InputError : no judge, two judges of one name, a column that a judge reads is missing, item ids missing or
        repeated, a store that cannot be used. What a judge raises is not raised here; KeyboardInterrupt is,
        after what is finished has been stored.
    """
    judges = _distinct(judges)
    _check(outputs, judges, repeats)
    opened: AbstractContextManager[Store | None] = Store(store) if store is not None else nullcontext()
    hashes: dict[tuple[str, ...], pl.Series] = {}
    with opened as kept:
        tables = []
        for judge in judges:
            if judge.reads not in hashes:
                hashes[judge.reads] = content_hash(outputs, judge.reads)
            run = _JudgeRun(judge, outputs, hashes[judge.reads], kept, redo, repeats, progress)
            tables.append(run.table())
    return verdict_table(pl.concat(tables))


def short_message(error: BaseException, limit: int = 300) -> str:
    """An exception as one short line, without anything that looks like a key, a token or a password."""
    text = " ".join(str(error).split())
    text = text if isinstance(error, JudgeError) else f"{type(error).__name__}: {text}".rstrip(": ")
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET_NAME.search(name):
            text = text.replace(value, "[hidden]")
    for pattern in _SECRETS:
        text = pattern.sub(lambda m: f"{m[1]}[hidden]" if m.lastindex else "[hidden]", text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass
class _JudgeRun:
    """One judge on all outputs: which are distinct, what is stored already, what is left to ask."""

    judge: Judge
    outputs: pl.DataFrame
    hashes: pl.Series
    store: Store | None
    redo: bool
    repeats: int
    progress: Progress | None

    def __post_init__(self) -> None:
        first = self.hashes.is_first_distinct()
        self.frame = self.outputs.filter(first).select(self.judge.reads)  # a judge sees what it reads, no more
        distinct = self.hashes.filter(first)
        if self.store is None:
            self.ids = pl.int_range(distinct.len(), dtype=pl.Int64, eager=True)
            self.judge_id = 0
        else:
            self.judge_id = self.store.use(self.judge)
            numbered = self.store.register(self.outputs["item_id"], self.hashes, self.judge.reads)
            self.ids = numbered.filter(first)
        of_hash = pl.DataFrame({"hash": distinct, "output_id": self.ids})
        whose = self.outputs.select("item_id", hash=self.hashes)
        self.items = whose.join(of_hash, on="hash", how="left", maintain_order="left").drop("hash")
        self.asker = _Asker(self.judge, self.frame)
        self.done = 0

    def table(self) -> pl.DataFrame:
        repeats = [self._repeat(r).with_columns(repeat=pl.lit(r, pl.Int64)) for r in range(self.repeats)]
        judge = self.judge
        return (
            self.items.with_row_index("row")
            .join(pl.concat(repeats), on="output_id", how="left")
            .sort("row", "repeat")
            .with_columns(
                judge=pl.lit(judge.name),
                judge_kind=pl.lit(judge.kind),
                construct=pl.lit(judge.construct),
                judge_hash=pl.lit(judge.hash),
            )
            .select(VERDICT_COLUMNS)
        )

    def _repeat(self, repeat: int) -> pl.DataFrame:
        pieces = []
        left: Positions = np.arange(self.ids.len())
        if self.store is not None and not self.redo:
            pieces.append(self.store.stored(self.judge_id, repeat, self.ids))
            left = left[~self.ids.is_in(pieces[0]["output_id"].implode()).to_numpy()]
        self._report(self.ids.len() - left.size)
        queue = deque(np.split(left, range(self.judge.batch_size, left.size, self.judge.batch_size)))
        while queue:
            batch = queue.popleft()
            theirs = self._done_by_others(repeat, batch)
            if theirs.height:
                pieces.append(theirs)
                batch = batch[~self.ids[batch].is_in(theirs["output_id"].implode()).to_numpy()]
                self._report(theirs.height)
                _jump(queue)
            for positions, answer in self.asker.ask(batch):
                piece, met = self._keep(repeat, self._dated(positions, answer))
                pieces.append(piece)
                self._report(positions.size)
                if met:
                    _jump(queue)
            if self.asker.broken:
                queue = deque()
        return pl.concat(pieces) if pieces else pl.DataFrame(schema=STORED)
