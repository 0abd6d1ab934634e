"""One judge behind a network: which outputs are left to ask, what came of the others, and its verdicts in the end."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from interjudge.datasets.schema import STATUSES
from interjudge.judges.base import Judge, JudgeError
from interjudge.judges.batch_ledger import held
from interjudge.judges.llm_base import Answer, Remote, Reply
from interjudge.judges.pace import Breaker, Pace
from interjudge.judges.prices import Price
from interjudge.judges.store import STORED, Row, Store

Positions = npt.NDArray[np.int64]
Output = Mapping[str, str | None]

IN_BATCH: Final = "not asked: it lies in a batch under way"
_CHUNK: Final = 32  # outputs read from the table at a time; where another process is met, one jumps by chunks
_RATE_S: Final = 30.0  # the rate is that of the last so many seconds
_MOST: Final = 2**63  # what SQLite's integers hold
# As in `judges.runner`: the golden section keeps several processes apart for longest.
_JUMP: Final = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Tally:
    """How far one judge is: distinct outputs times repeats.

    `done` counts what was stored before; `ok` and `not_ok` are parts of it. `cost_usd` of this run, None where no
    price is known. `rate` a second, `seconds_left` None where nothing can be said. `state`: ``""``, or why it is slow
    or has stopped.
    """

    judge: str
    done: int
    total: int
    ok: int
    not_ok: int
    cost_usd: float | None
    rate: float
    seconds_left: float | None
    state: str = ""


@dataclass(frozen=True)
class Job:
    """One judge and the distinct outputs it is asked about: their numbers and, in the same order, what it reads.

    `judge_id` is its number in the store.
    """

    judge: Judge
    judge_id: int
    ids: pl.Series
    frame: pl.DataFrame


class Work:
    """One judge: what is left to ask of it, and what came of the rest."""

    ended: asyncio.Future[None]  # made in the loop; done when nothing more is asked of it

    def __init__(self, job: Job, price: Price | None) -> None:
        assert job.judge.remote is not None
        self.judge, self.ids, self.judge_id, self.price = job.judge, job.ids, job.judge_id, price
        self.remote: Remote = job.judge.remote
        self.provider = self.remote.limits
        self.frame = job.frame.with_columns(pl.exclude(pl.String).cast(pl.String))
        self.queue: deque[tuple[int, Positions]] = deque()
        self.next: deque[tuple[int, int, Output]] = deque()
        self.rows: list[Row] = []  # where there is no store
        self.breaker = Breaker()
        self.why = ""  # it was stopped
        self.met = False  # what was looked at last had been done by another process
        self.total = self.done = self.ok = 0
        self.held: dict[int, set[int]] = {}  # repeat -> outputs that lie in a batch under way
        self.answers = self.unpriced = 0  # of this run
        self.paid = 0.0
        self.models: Counter[str] = Counter()
        self.seen: deque[tuple[float, int]] = deque()  # (time, answers), for the rate

    def fill(self, store: Store | None, repeats: int, redo: bool) -> None:
        """What is left to ask: not what is stored, nor what a batch API has been asked already."""
        batches = None if store is None or redo else held(store.path, self.judge.hash)
        for repeat in range(repeats):
            left: Positions = np.arange(self.ids.len())
            if store is not None and not redo:
                kept = store.finished(self.judge_id, repeat)
                kept = kept.filter(kept["output_id"].is_in(self.ids.implode()))
                left = left[~np.isin(self.ids.to_numpy(), kept["output_id"].to_numpy())]
                self.done += kept.height
                self.ok += kept.filter(kept["status"] == "ok").height
            if batches is not None and batches.height:
                waiting = np.isin(self.ids.to_numpy()[left], batches.filter(repeat=repeat)["output_id"].to_numpy())
                self.held[repeat] = set(self.ids.to_numpy()[left[waiting]].tolist())
                left = left[~waiting]
                self.total -= len(self.held[repeat])
            self.queue.extend((repeat, left[at : at + _CHUNK]) for at in range(0, left.size, _CHUNK))
            self.total += self.ids.len()

    def take(self) -> tuple[int, int, Output] | None:
        """Repeat, position and output that are asked next."""
        if not self.next:
            if not self.queue:
                return None
            repeat, places = self.queue.popleft()
            rows = self.frame[places].iter_rows(named=True)
            self.next.extend((repeat, int(at), row) for at, row in zip(places, rows, strict=True))
        return self.next.popleft()

    def jump(self) -> None:
        """Go on elsewhere: another process works here."""
        for repeat in dict.fromkeys(repeat for repeat, _, _ in self.next):
            self.queue.append((repeat, np.array([at for r, at, _ in self.next if r == repeat], dtype=np.int64)))
        self.next.clear()
        self.queue.rotate(-int(len(self.queue) * _JUMP))

    def estimated(self, output: Output) -> tuple[int, int]:
        """Tokens in and, at most, out."""
        try:
            estimate = self.remote.estimate(output)
        except Exception:  # noqa: BLE001  asking will say what is wrong with it
            return 0, 0
        return estimate.input_tokens, estimate.output_tokens

    def expected(self, output: Output) -> float:
        """US dollars that the next answer will cost: as the others did, or for the first, at most."""
        if self.price is None:
            return 0.0
        return self.paid / self.answers if self.answers else self.price.of(*self.estimated(output))

    def priced(self, answer: Answer) -> float | None:
        if answer.cost_usd is not None or self.price is None:
            return answer.cost_usd
        if answer.input_tokens is None or answer.output_tokens is None:
            return None
        return self.price.of(answer.input_tokens, answer.output_tokens)

    def pay_for(self, replies: Sequence[Reply]) -> float:
        """US dollars for replies that brought no verdict, counted as paid; where no price is known, nothing."""
        self.unpriced += bool(replies) and self.price is None
        paid = sum(self.price.of(r.input_tokens or 0, r.output_tokens or 0) for r in replies) if self.price else 0.0
        self.paid += paid
        return paid

    def with_replies(self, answer: Answer, before: Sequence[Reply]) -> Answer:
        """The answer with the tokens, and the cost, of replies that came before it and brought no verdict."""
        if not before:
            return answer
        known = answer.cost_usd is not None or (answer.status == "error" and answer.input_tokens is None)
        cost = sum(self.price.of(r.input_tokens or 0, r.output_tokens or 0) for r in before) if self.price else None
        return replace(
            answer,
            input_tokens=sum(r.input_tokens or 0 for r in before) + (answer.input_tokens or 0),
            output_tokens=sum(r.output_tokens or 0 for r in before) + (answer.output_tokens or 0),
            cost_usd=(answer.cost_usd or 0.0) + cost if known and cost is not None else answer.cost_usd,
        )

    def tally(self, pace: Pace | None) -> Tally:
        now = time.monotonic()
        self.seen.append((now, self.answers))
        while len(self.seen) > 2 and now - self.seen[0][0] > _RATE_S:
            self.seen.popleft()
        since, before = self.seen[0]
        rate = (self.answers - before) / (now - since) if now > since else 0.0
        left = self.total - self.done
        priced = self.price is not None or self.answers > self.unpriced
        slow = pace is not None and pace.allowed < pace.limits.concurrency
        state = "stopped" if self.why else f"slowed to {int(pace.allowed)} at once" if slow and pace is not None else ""
        return Tally(
            self.judge.name, self.done, self.total, self.ok, self.done - self.ok, self.paid if priced else None,
            rate, left / rate if rate and not self.why else None, state,
        )  # fmt: skip

    def table(self, store: Store | None, repeats: int, why: str) -> pl.DataFrame:
        tables = []
        whole = pl.DataFrame({"output_id": self.ids})
        for repeat in range(repeats):
            if store is not None:
                found = store.stored(self.judge_id, repeat, self.ids, finished=False)
            else:
                own = [row[2:] for row in self.rows if row[1] == repeat]
                found = pl.DataFrame(own, schema=STORED, orient="row")
            waits = pl.col("output_id").is_in(self.held.get(repeat, ()))
            missing = whole.join(found, on="output_id", how="anti").with_columns(
                status=pl.lit("not_run", STORED["status"]),
                raw=pl.when(waits).then(pl.lit(IN_BATCH)).otherwise(pl.lit(self.why or why, pl.String)),
                created_at=pl.lit(now()),
            )
            both = pl.concat([found, missing], how="diagonal")
            tables.append(both.with_columns(repeat=pl.lit(repeat, pl.Int64)))
        return pl.concat(tables)


def checked(judge: Judge, answer: Answer) -> Answer:
    """The answer, if it keeps to the contract of `judges.base`.

    Raises
    ------
    JudgeError : a status or label that was not declared, a verdict that is ok without a label or a score, one that is
        not with one, a score or a confidence that is no such number.
    """
    said = answer.label is not None or answer.score is not None
    if answer.status not in STATUSES:
        raise JudgeError(f"judge {judge.name!r} gave the unknown status {answer.status!r}")
    if answer.label is not None and answer.label not in judge.labels:
        raise JudgeError(f"judge {judge.name!r} gave the label {answer.label!r}, not one of {', '.join(judge.labels)}")
    if said != (answer.status == "ok"):
        what = "without a label or a score" if not said else "that is not ok with a label or a score"
        raise JudgeError(f"judge {judge.name!r} gave a verdict {what}")
    if answer.score is not None and not math.isfinite(answer.score):
        raise JudgeError(f"judge {judge.name!r} gave the score {answer.score}; what it cannot score needs a status")
    if answer.confidence is not None and not 0 <= answer.confidence <= 1:
        raise JudgeError(f"judge {judge.name!r} gave the confidence {answer.confidence}, not a probability")
    return answer


def row(judge_id: int, repeat: int, output_id: int, answer: Answer) -> Row:
    """The answer as `Store.put_rows` takes it."""
    return (
        judge_id, repeat, output_id, answer.status, answer.label, answer.score, answer.confidence,
        _text(answer.rationale), _text(answer.raw), answer.latency_s, _count(answer.input_tokens),
        _count(answer.output_tokens), answer.cost_usd, now(),
    )  # fmt: skip


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _text(text: str | None) -> str | None:
    """A model may write half of a surrogate pair, which is no UTF-8 and cannot be stored."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def _count(tokens: int | None) -> int | None:
    return tokens if tokens is not None and 0 <= tokens < _MOST else None
