"""The runner: outputs x judges -> verdicts, each kept before the next batch is asked.

A judge is asked about every distinct output (distinct in the columns it reads) once per repeat; equal outputs
share the verdict. What a judge raises becomes an `error` verdict of the outputs at fault, never the end of the
run (see `judges.asking`). Judges behind a network are asked one output at a time, many at once (see `judges.remote`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from interjudge.errors import InputError, InterjudgeError
from interjudge.judges.asking import Asker, Positions
from interjudge.judges.base import Judge
from interjudge.judges.distinct import (
    Asked,
    Distinct,
    as_judges,
    as_outputs,
    check_given,
    distinct_judges,
    distinct_outputs,
    judge_table,
)
from interjudge.judges.messages import short_message
from interjudge.judges.pace import Limits
from interjudge.judges.prices import Prices, read_prices
from interjudge.judges.remote import Tell, Watch, ask_remote
from interjudge.judges.remote_work import Job
from interjudge.judges.store import STORED, Store, verdict_table

Progress = Callable[[str, int, int], None]

# Where another process is met at work, go on this share of the queue further: the golden section keeps several
# processes apart for longest. It changes the order of asking, never a result.
_JUMP: Final = (5**0.5 - 1) / 2


def score(
    outputs: pl.DataFrame | Path | str,
    judges: Sequence[Judge | str | Asked] | Judge | str | Asked,
    *,
    store: Path | str | Store | None = None,
    redo: bool = False,
    repeats: int = 1,
    progress: Progress | None = None,
    concurrency: int | None = None,
    rpm: float | None = None,
    tpm: float | None = None,
    max_cost: float | None = None,
    max_requests: int | None = None,
    timeout: float | None = None,
    prices: Prices | Path | str | None = None,
    limits: Limits | None = None,
    watch: Watch | None = None,
    tell: Tell | None = None,
) -> pl.DataFrame:
    """Every judge's verdict on every output.

    Parameters
    ----------
    outputs : a table of outputs (`datasets.schema.OUTPUT_COLUMNS`), or a file of them (`read_outputs`). An
        `item_id` must be unique; where there is none it is made from the content, as it is for a file.
    judges : asked one after the other, and those behind a network then, all at the same time; the same judge given
        twice counts once. A text is what `get_judge` takes, a function what `judges.callable.callable_judge` does.
    store : the verdict store (see `judges.store`), by its path or open. Verdicts in it are not asked again,
        except those with status `error` or `not_run`; each batch is kept there before the next one is asked.
    redo : ask everything again and replace what is stored.
    repeats : how often each judge is asked about each output (`repeat` 0, 1, ...).
    progress : called with (judge name, done, total) in distinct outputs times repeats, after every batch.
    concurrency, rpm, tpm, max_cost, max_requests, timeout : of judges behind a network; see `judges.pace.Limits`,
        whose other settings `limits` gives.
    prices : what their tokens cost: a file over the table of this package (see `judges.prices`).
    watch, tell : how far judges behind a network are, and sentences about them (see `judges.remote.ask_remote`).

    Returns
    -------
    A verdict table: judges in the given order, within a judge the outputs in theirs, within an output the
    repeats. Columns after the first eight are there where any verdict has them; `judge_hash` and `created_at`
    (ISO 8601, UTC) always. `latency_s` is the batch's time over its size unless the judge says its own. Rows
    that share one verdict repeat its tokens and cost.

    Raises
    ------
    InputError : no judge, or something that is none; two judges of one name; outputs that are no table; a column
        that a judge reads is missing; item ids null or repeated; a store that cannot be used; a limit or a price that
        is none. What a judge raises is not raised here; KeyboardInterrupt is, after what is finished has been stored.
    InterjudgeError : a judge cannot begin (`Judge.ready`): its model cannot be loaded. No judge has been asked then.
    """
    asked = distinct_judges(as_judges(judges))
    outputs = as_outputs(outputs)
    check_given(outputs, asked, repeats)
    said: dict[str, Any] = {
        "concurrency": concurrency, "rpm": rpm, "tpm": tpm, "max_cost": max_cost, "max_requests": max_requests,
        "timeout_s": timeout,
    }  # fmt: skip
    bounds = replace(limits or Limits(), **{name: value for name, value in said.items() if value is not None})
    costs = prices if isinstance(prices, Prices) else read_prices(prices)
    opened: AbstractContextManager[Store | None]
    opened = Store(store) if isinstance(store, str | Path) else nullcontext(store)
    seen: dict[tuple[str, ...], Distinct] = {}
    tables: dict[str, pl.DataFrame] = {}
    jobs: list[Job] = []
    runs: list[_JudgeRun] = []
    with opened as kept:
        for judge in asked:
            reads = tuple(judge.reads)
            if reads not in seen:
                seen[reads] = distinct_outputs(outputs, reads, kept)
            distinct = seen[reads]
            if judge.remote is None:
                runs.append(_JudgeRun(judge, distinct, kept, redo, progress))
            else:
                jobs.append(Job(judge, kept.use(judge) if kept is not None else 0, distinct.ids, distinct.frame))
        for run in reversed(runs):  # few models are held at a time: the first judge's last of all
            run.make_ready(repeats)
        for run in runs:
            tables[run.judge.name] = run.table(repeats)
        answers = ask_remote(
            jobs, kept, repeats=repeats, redo=redo, limits=bounds, prices=costs, progress=progress, watch=watch,
            tell=tell,
        )  # fmt: skip
        for job, verdicts in zip(jobs, answers, strict=True):
            tables[job.judge.name] = judge_table(job.judge, seen[tuple(job.judge.reads)].items, verdicts)
    return verdict_table(pl.concat(tables[judge.name] for judge in asked))


class _JudgeRun:
    """One judge on all outputs: what is stored already, what is left to ask, and the verdicts on all.

    `positions` are places in the table of distinct outputs.
    """

    def __init__(
        self, judge: Judge, outputs: Distinct, store: Store | None, redo: bool, progress: Progress | None
    ) -> None:
        self.judge, self.store, self.redo, self.progress = judge, store, redo, progress
        self.ids, self.items = outputs.ids, outputs.items
        self.shared = False  # another process works on the same store
        self.asker = Asker(judge, outputs.frame)
        self.judge_id = store.use(judge) if store is not None else 0

    def make_ready(self, repeats: int) -> None:
        """Where there is something to ask: what must be there is loaded, before any judge is asked.

        Raises
        ------
        InterjudgeError : it cannot be.
        """
        ready = self.judge.ready
        if ready is None or not any(self._left(repeat).size for repeat in range(repeats)):
            return
        try:
            ready()
        except InterjudgeError as error:
            kind = InputError if isinstance(error, InputError) else InterjudgeError
            raise kind(f"judge {self.judge.name!r}: {error}") from error
        except Exception as error:  # another package's judge
            raise InterjudgeError(f"judge {self.judge.name!r} cannot begin: {short_message(error)}") from error

    def _left(self, repeat: int) -> Positions:
        """What is not stored."""
        every: Positions = np.arange(self.ids.len())
        if self.store is None or self.redo:
            return every
        return self._without(every, self.store.stored(self.judge_id, repeat, self.ids))

    def table(self, repeats: int) -> pl.DataFrame:
        """The judge's part of the verdict table, items in order."""
        judge, self.done, self.total = self.judge, 0, repeats * self.ids.len()
        verdicts = pl.concat(
            self._repeat(repeat).with_columns(repeat=pl.lit(repeat, pl.Int64)) for repeat in range(repeats)
        )
        return judge_table(judge, self.items, verdicts)

    def _repeat(self, repeat: int) -> pl.DataFrame:
        pieces = [pl.DataFrame(schema=STORED)]
        left: Positions = np.arange(self.ids.len())
        if self.store is not None and not self.redo:
            pieces.append(self.store.stored(self.judge_id, repeat, self.ids))
            left = self._without(left, pieces[-1])
        self._report(self.ids.len() - left.size)
        pieces.extend(self._asked(repeat, self._batches(left)))
        return pl.concat(pieces)

    def _asked(self, repeat: int, queue: deque[Positions]) -> Iterator[pl.DataFrame]:
        """Verdicts on all batches of the queue, each piece stored before the next is asked."""
        while queue:
            batch = self._next(queue)
            theirs = self._done_by_others(repeat, batch)
            if theirs.height:
                self._report(theirs.height)
                yield theirs
                _jump(queue)
            for positions, answer in self.asker.ask(self._without(batch, theirs)):
                yield self._kept(repeat, positions, answer, queue)
            if queue and self.asker.hopeless:
                rest = np.concatenate(queue)
                queue.clear()
                for positions, answer in self.asker.last_try(rest):
                    rest = np.setdiff1d(rest, positions)
                    yield self._kept(repeat, positions, answer, queue)
                queue.extend(self._batches(rest))

    def _kept(self, repeat: int, positions: Positions, answer: pl.DataFrame, queue: deque[Positions]) -> pl.DataFrame:
        """Store one piece and answer it as it is stored: where another process was first, its verdicts count."""
        verdicts = answer.with_columns(output_id=self.ids[positions]).select(STORED.keys())
        if self.store is not None:
            try:
                written = self.store.put(self.judge_id, repeat, verdicts, replace=self.redo)
            except KeyboardInterrupt:
                self.store.put(self.judge_id, repeat, verdicts, replace=self.redo)  # it is finished: keep it
                raise
            if written < verdicts.height:
                ids = verdicts["output_id"]
                verdicts = self.store.stored(self.judge_id, repeat, ids, finished=False)
                _jump(queue)
        self._report(positions.size)
        return verdicts

    def _done_by_others(self, repeat: int, batch: Positions) -> pl.DataFrame:
        if self.store is None or self.redo:
            return pl.DataFrame(schema=STORED)
        self.shared = self.store.changed() or self.shared  # looked up from the first foreign write on
        if not self.shared:
            return pl.DataFrame(schema=STORED)
        return self.store.stored(self.judge_id, repeat, self.ids[batch])

    def _without(self, positions: Positions, verdicts: pl.DataFrame) -> Positions:
        if not verdicts.height:
            return positions
        return positions[~np.isin(self.ids.to_numpy()[positions], verdicts["output_id"].to_numpy())]

    def _batches(self, positions: Positions) -> deque[Positions]:
        size = self.judge.batch_size
        return deque(positions[start : start + size] for start in range(0, positions.size, size))

    def _next(self, queue: deque[Positions]) -> Positions:
        """As many of the queue's batches as the judge is asked about at once."""
        pieces = [queue.popleft()]
        size = pieces[0].size
        while queue and size + queue[0].size <= self.asker.size:
            pieces.append(queue.popleft())
            size += pieces[-1].size
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _report(self, more: int) -> None:
        self.done += more
        if self.progress is not None:
            self.progress(self.judge.name, self.done, self.total)


def _jump(queue: deque[Positions]) -> None:
    queue.rotate(-int(len(queue) * _JUMP))
