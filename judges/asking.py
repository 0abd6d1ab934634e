"""Asking one judge: what it raises, and what it answers that is no answer, become `error` verdicts."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from interjudge.datasets.schema import STATUS, VERDICT_COLUMNS
from interjudge.judges.base import ANSWER_COLUMNS, Judge, JudgeError, ShapeError
from interjudge.judges.messages import short_message

Positions = npt.NDArray[np.int64]

# Single outputs tried across a failing batch (and, while nothing has succeeded yet, across all that is left)
# before it is given up. If half of the outputs are good, giving up wrongly has probability 2**-16.
PROBES: Final = 16
_SHORT_S: Final = 1.0  # batches grow while one takes less, and shrink again when one takes twice as long


class Asker:
    """Asks one judge and turns what it raises into `error` verdicts of the outputs at fault."""

    def __init__(self, judge: Judge, frame: pl.DataFrame) -> None:
        self.judge, self.frame = judge, frame
        self.size = judge.batch_size  # of the next batch
        self.good = self.failed = 0  # calls
        self.message = ""  # of the last failed call
        self.misshapen = False  # what the last failed call answered

    @property
    def hopeless(self) -> bool:
        """Nothing but failures since the start: the judge may be what is at fault."""
        return not self.good and self.failed >= PROBES

    def ask(self, batch: Positions) -> Iterator[tuple[Positions, pl.DataFrame]]:
        """The batch in one or more pieces, each with its verdicts (the columns of `STORED` but `output_id`)."""
        if not batch.size:
            return
        if self.misshapen and not self.good:  # it will not answer the next batch in another way
            yield batch, self._errors(batch.size)
            return
        answer = self._try(batch)
        if self._final(answer, batch):
            yield batch, self._errors(batch.size) if answer is None else answer
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
            if self._final(answer, piece):
                yield piece, self._errors(piece.size) if answer is None else answer
            else:
                stack.extend(_halves(piece))

    def last_try(self, rest: Positions) -> Iterator[tuple[Positions, pl.DataFrame]]:
        """Single outputs across all that is left; if none succeeds, all of it is given up as `error`."""
        rest = yield from self._probe(rest)
        if not self.good and rest.size:
            yield rest, self._errors(rest.size)

    def _final(self, answer: pl.DataFrame | None, piece: Positions) -> bool:
        """Nothing is found by asking about the halves: it was answered, it is one output, or the answer was no table.

        A judge that answers one value for any batch would look right on single outputs, and be wrong.
        """
        return answer is not None or piece.size == 1 or self.misshapen

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
            self.misshapen = isinstance(error, ShapeError)
            return None
        self.good += 1
        seconds = time.perf_counter() - begun
        self._adapt(positions.size, seconds)
        return _dated(answer, seconds / positions.size)

    def _adapt(self, asked: int, seconds: float) -> None:
        """Larger batches for a fast judge; for a slow one small ones, of which an interrupt loses little."""
        if asked >= self.size and seconds < _SHORT_S:
            self.size = max(self.judge.batch_size, min(2 * self.size, self.judge.grow_to))
        elif seconds > 2 * _SHORT_S:  # what doubling made of a batch that was short
            self.size = max(self.judge.batch_size, self.size // 2)

    def _errors(self, height: int) -> pl.DataFrame:
        raw = pl.repeat(self.message, height, dtype=pl.String, eager=True)
        return _dated(pl.DataFrame({"raw": raw}).with_columns(status=pl.lit("error", STATUS)), None)


def _halves(positions: Positions) -> list[Positions]:
    """The left half last, so that a stack asks it first."""
    middle = positions.size // 2
    return [positions[middle:], positions[:middle]]


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
