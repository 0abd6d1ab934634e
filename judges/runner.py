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
from collections.abc import Callable, Generator, Iterator, Sequence
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
    re.compile(
        r"(?i)\b([\w-]*(?:api[_-]?key|secret|token|passw(?:or)?d|authorization)[\"']?\s*[=:]\s*[\"']?)"
        r"[^\s\"',;&]{6,}"
    ),
    re.compile(r"\b(?:sk|pk|rk|hf|gh[opsu]|xox[a-z]|AKIA|AIza)[-_A-Za-z0-9]{12,}"),
    re.compile(r"://[^\s/@]+@"),
    # A long unbroken mix of letters and digits is nothing a reader needs.
    re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{32,}\b"),
)


def score(
    outputs: pl.DataFrame,
    judges: Sequence[Judge],
    *,
    store: Path | str | Store | None = None,
    redo: bool = False,
    repeats: int = 1,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Every judge's verdict on every output.

    Parameters
    ----------
    outputs : a table of outputs (`datasets.schema.OUTPUT_COLUMNS`) with an `item_id` that is unique.
    judges : asked one after the other; the same judge given twice counts once.
    store : the verdict store (see `judges.store`), by its path or open. Verdicts in it are not asked again,
        except those with status `error` or `not_run`; each batch is kept there before the next one is asked.
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
    opened: AbstractContextManager[Store | None]
    opened = Store(store) if isinstance(store, str | Path) else nullcontext(store)
    seen: dict[tuple[str, ...], _Distinct] = {}
    tables = []
    with opened as kept:
        for judge in judges:
            reads = tuple(judge.reads)
            if reads not in seen:
                seen[reads] = _distinct_outputs(outputs, reads, kept)
            tables.append(_JudgeRun(judge, seen[reads], kept, redo, progress).table(repeats))
    return verdict_table(pl.concat(tables))


def short_message(error: BaseException, limit: int = 300) -> str:
    """An exception as one short line, without anything that looks like a key, a token or a password."""
    text = " ".join(str(error)[:5000].split())
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET_NAME.search(name):
            text = text.replace(value, "[hidden]")
    for pattern in _SECRETS:
        text = pattern.sub(lambda m: f"{m[1]}[hidden]" if m.lastindex else "[hidden]", text)
    text = text if isinstance(error, JudgeError) else f"{type(error).__name__}: {text}".rstrip(": ")
    return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(frozen=True)
class _Distinct:
    """Outputs as judges that read the same columns see them.

    `frame` holds each distinct output once, in those columns alone; `ids` are the numbers it is known by, and
    `items` has the number (`output_id`) of every `item_id`.
    """

    frame: pl.DataFrame
    ids: pl.Series
    items: pl.DataFrame


def _distinct_outputs(outputs: pl.DataFrame, reads: tuple[str, ...], store: Store | None) -> _Distinct:
    hashes = _output_hash(outputs, reads)
    first = hashes.is_first_distinct()
    if store is None:
        rows = pl.DataFrame({"hash": hashes}).with_row_index("row")
        numbers = rows.select(pl.col("row").first().over("hash").cast(pl.Int64)).to_series()
    else:
        numbers = store.register(outputs["item_id"], hashes, reads)
    # A judge sees the columns it reads and no other: its verdict cannot hang on what the hash leaves out.
    frame = outputs.filter(first).select(reads)
    return _Distinct(frame, numbers.filter(first), outputs.select("item_id", output_id=numbers))


def _output_hash(outputs: pl.DataFrame, reads: Sequence[str]) -> pl.Series:
    """Content hashes that also tell the number 1 from the text "1": to a judge they are not the same."""
    numbers = [column for column in reads if outputs.schema[column].is_numeric()]
    if not numbers:
        return content_hash(outputs, reads)
    mark = "numbers: " + ", ".join(numbers)
    return content_hash(outputs.select(reads).with_columns(pl.lit(mark).alias(mark)), [*reads, mark])


class _JudgeRun:
    """One judge on all outputs: what is stored already, what is left to ask, and the verdicts on all.

    `positions` are places in the table of distinct outputs.
    """

    def __init__(
        self, judge: Judge, outputs: _Distinct, store: Store | None, redo: bool, progress: Progress | None
    ) -> None:
        self.judge, self.store, self.redo, self.progress = judge, store, redo, progress
        self.ids, self.items = outputs.ids, outputs.items
        self.shared = False  # another process works on the same store
        self.asker = _Asker(judge, outputs.frame)
        self.judge_id = store.use(judge) if store is not None else 0

    def table(self, repeats: int) -> pl.DataFrame:
        """The judge's part of the verdict table, items in order."""
        judge, self.done, self.total = self.judge, 0, repeats * self.ids.len()
        verdicts = pl.concat(
            self._repeat(repeat).with_columns(repeat=pl.lit(repeat, pl.Int64)) for repeat in range(repeats)
        )
        return (
            self.items.with_row_index("row")
            .join(verdicts, on="output_id")
            .sort("row", "repeat")
            .with_columns(
                judge=pl.lit(judge.name),
                judge_kind=pl.lit(judge.kind),
                construct=pl.lit(judge.construct),
                judge_hash=pl.lit(judge.hash),
            )
            .select(VERDICT_COLUMNS.keys())
        )

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
            batch = queue.popleft()
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

    def _report(self, more: int) -> None:
        self.done += more
        if self.progress is not None:
            self.progress(self.judge.name, self.done, self.total)


class _Asker:
    """Asks one judge and turns what it raises into `error` verdicts of the outputs at fault."""

    def __init__(self, judge: Judge, frame: pl.DataFrame) -> None:
        self.judge, self.frame = judge, frame
        self.good = self.failed = 0  # calls
        self.message = ""  # of the last failed call

    @property
    def hopeless(self) -> bool:
        """Nothing but failures since the start: the judge may be what is at fault."""
        return not self.good and self.failed >= PROBES

    def ask(self, batch: Positions) -> Iterator[tuple[Positions, pl.DataFrame]]:
        """The batch in one or more pieces, each with its verdicts (the columns of `STORED` but `output_id`)."""
        if not batch.size:
            return
        answer = self._try(batch)
        if answer is not None or batch.size == 1:
            yield batch, self._errors(1) if answer is None else answer
            return
        stack = _halves(batch)
        if batch.size > PROBES:
            good = self.good
            rest = yield from self._probe(batch)
            if self.good == good:
                yield rest, self._errors(rest.size)
                return
            stack = [rest]
        while stack:
            piece = stack.pop()
            answer = self._try(piece)
            if answer is None and piece.size > 1:
                stack.extend(_halves(piece))
            else:
                yield piece, self._errors(1) if answer is None else answer

    def last_try(self, rest: Positions) -> Iterator[tuple[Positions, pl.DataFrame]]:
        """Single outputs across all that is left; if none succeeds, all of it is given up as `error`."""
        rest = yield from self._probe(rest)
        if not self.good and rest.size:
            yield rest, self._errors(rest.size)

    def _probe(self, positions: Positions) -> Generator[tuple[Positions, pl.DataFrame], None, Positions]:
        """Ask single outputs evenly spread over `positions`; returns the others."""
        tried = np.unique(np.linspace(0, positions.size - 1, PROBES).astype(np.int64))
        for at in tried:
            single = positions[at : at + 1]
            answer = self._try(single)
            yield single, self._errors(1) if answer is None else answer
        return np.delete(positions, tried)

    def _try(self, positions: Positions) -> pl.DataFrame | None:
        begun = time.perf_counter()
        try:
            answer = self.judge(self.frame[positions])
            _check_numbers(self.judge, answer)
        # Whatever a judge raises is a verdict of its own kind; polars' panics and sys.exit are not Exceptions.
        except (Exception, SystemExit, pl.exceptions.PanicException) as error:  # noqa: BLE001
            self.failed += 1
            self.message = short_message(error)
            return None
        self.good += 1
        return _dated(answer, (time.perf_counter() - begun) / positions.size)

    def _errors(self, height: int) -> pl.DataFrame:
        raw = pl.repeat(self.message, height, dtype=pl.String, eager=True)
        return _dated(pl.DataFrame({"raw": raw}).with_columns(status=pl.lit("error", STATUS)), None)


def _halves(positions: Positions) -> list[Positions]:
    """The left half last, so that a stack asks it first."""
    middle = positions.size // 2
    return [positions[middle:], positions[:middle]]


def _jump(queue: deque[Positions]) -> None:
    queue.rotate(-int(len(queue) * _JUMP))


def _dated(answer: pl.DataFrame, latency_s: float | None) -> pl.DataFrame:
    absent = [pl.lit(None, VERDICT_COLUMNS[c]).alias(c) for c in ANSWER_COLUMNS if c not in answer.columns]
    return answer.with_columns(*absent).with_columns(
        pl.col("latency_s").fill_null(pl.lit(latency_s, pl.Float64)),
        created_at=pl.lit(datetime.now(UTC).isoformat(timespec="seconds")),
    )


def _check_numbers(judge: Judge, answer: pl.DataFrame) -> None:
    """No NaN in a verdict: "could not judge" is a status."""
    if "score" in answer.columns:
        odd = answer.filter(~pl.col("score").is_finite())["score"]
        if odd.len():
            raise JudgeError(f"judge {judge.name!r} gave the score {odd[0]}; what it cannot score needs a status")
    if "confidence" in answer.columns:
        odd = answer.filter(~pl.col("confidence").is_between(0, 1))["confidence"]
        if odd.len():
            raise JudgeError(f"judge {judge.name!r} gave the confidence {odd[0]}, not a probability")


def _distinct(judges: Sequence[Judge]) -> list[Judge]:
    """The judges, each once; one name must mean one judge, and one judge must have one name."""
    if not judges:
        raise InputError("no judge was given", expected="at least one, such as keyword:default")
    by_name: dict[str, Judge] = {}
    by_hash: dict[str, Judge] = {}
    for judge in judges:
        other = by_name.setdefault(judge.name, judge)
        if other.hash != judge.hash:
            raise InputError(f"two different judges are called {judge.name!r}", expected="one name for each judge")
        other = by_hash.setdefault(judge.hash, judge)
        if other.name != judge.name:
            raise InputError(f"judges {other.name!r} and {judge.name!r} are the same judge", expected="each judge once")
    return list(by_name.values())


def _check(outputs: pl.DataFrame, judges: Sequence[Judge], repeats: int) -> None:
    if repeats < 1:
        raise InputError("too few repeats", found=repeats, expected="1 or more")
    if "item_id" not in outputs.columns:
        raise InputError("no column 'item_id'", expected="outputs as `read_outputs` gives them")
    ids = outputs["item_id"]
    if ids.dtype != pl.String:
        raise InputError("is not text", column="item_id", found=ids.dtype, expected="String")
    if ids.null_count():
        raise InputError("is empty", row=int(ids.is_null().arg_max() or 0) + 1, column="item_id")
    twice = ~ids.is_first_distinct()
    if twice.any():
        row = int(twice.arg_max() or 0)
        problem, expected = "stands for two outputs", "one row each"
        raise InputError(problem, row=row + 1, column="item_id", found=ids[row], expected=expected)
    for judge in judges:
        if judge.batch_size < 1:
            raise InputError(f"judge {judge.name!r} has a batch size of {judge.batch_size}", expected="1 or more")
        if not judge.reads:
            raise InputError(f"judge {judge.name!r} reads no column", expected="at least one name in `reads`")
        for column in judge.reads:
            if column not in outputs.columns:
                raise InputError(
                    f"judge {judge.name!r} reads a column {column!r} that the outputs do not have"
                    f"{did_you_mean(column, outputs.columns)}",
                    expected=f"one of {choices(outputs.columns)}",
                )
            dtype = outputs.schema[column]
            if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
                problem = f"judge {judge.name!r} reads a column that is neither text nor number"
                raise InputError(problem, column=column, found=str(dtype))
