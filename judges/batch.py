"""Asking a judge through its provider's batch API: half the price, an answer within a day.

    await run_batch(outputs, judge, store)                 # until all is done; stopped, the same call goes on
    await run_batch(outputs, judge, store, wait=False)     # submit, collect what there is, and come back later

Every batch is written into the verdict store's file before it is sent (`judges.batch_ledger`), its verdicts are
stored as they are read, and requests that failed or expired go into the next batch, a few times at most.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import polars as pl

from interjudge.errors import InputError
from interjudge.judges.base import Judge
from interjudge.judges.batch_base import Batched, Lost, Service, Standing, patiently, pause
from interjudge.judges.batch_ledger import Batch, Ledger
from interjudge.judges.batch_read import Found, Reader
from interjudge.judges.batch_work import Work
from interjudge.judges.distinct import check_given, distinct_judges, distinct_outputs
from interjudge.judges.llm_base import Answer, Provider, ProviderError
from interjudge.judges.messages import without_secrets
from interjudge.judges.prices import Prices, read_prices
from interjudge.judges.store import Store

Progress = Callable[[str, int, int], None]

POLL_S: Final = 60.0
TRIES: Final = 3  # batches that one request may be in before it is given up as an error
_PIECE: Final = 500  # verdicts stored at a time
_OUTAGE_S: Final = 3600.0  # how long the provider may be out of reach before a run that waits gives up
_SEARCHES: Final = 5  # tries to send one batch
_AGAIN: Final = "-again"  # ends the custom id of a second request
_WINDOW: Final = timedelta(hours=48)  # after twice the longest a batch can take, one that nobody knows is gone


@dataclass(frozen=True)
class BatchRun:
    """Where a run of batches stands.

    Attributes
    ----------
    verdicts : of all outputs, as `runner.score` gives them; ``not_run`` where the answer is still to come.
    done, total : distinct outputs times repeats.
    batches : (the provider's name of it, its own word for where it stands, requests in it) of those under way.
    problem : why it stopped before everything was done, in words; None where it waits, or is done.
    """

    judge: str
    verdicts: pl.DataFrame
    done: int
    total: int
    batches: tuple[tuple[str, str, int], ...] = ()
    problem: str | None = None


def score_in_batches(
    outputs: pl.DataFrame,
    judges: Sequence[Judge],
    store: Path | str | Store,
    *,
    repeats: int = 1,
    poll_s: float = POLL_S,
    wait: bool = True,
    tries: int = TRIES,
    prices: Prices | None = None,
    progress: Progress | None = None,
) -> list[BatchRun]:
    """`run_batch` of several judges at once, each on its own; in the order of `judges`.

    Raises
    ------
    InputError : as `run_batch`, before anything is sent.
    """
    for judge in judges:
        _needed(judge)
    options: dict[str, Any] = {
        "repeats": repeats, "poll_s": poll_s, "wait": wait, "tries": tries, "prices": prices,
        "progress": progress,
    }  # fmt: skip

    async def all_of_them() -> list[BatchRun]:
        return list(await asyncio.gather(*(run_batch(outputs, judge, store, **options) for judge in judges)))

    return asyncio.run(all_of_them())


def has_batches(judge: Judge) -> bool:
    """Whether a judge can be asked through a batch API."""
    return _service_of(judge) is not None


async def run_batch(
    outputs: pl.DataFrame,
    judge: Judge,
    store: Path | str | Store,
    *,
    repeats: int = 1,
    poll_s: float = POLL_S,
    wait: bool = True,
    tries: int = TRIES,
    prices: Prices | None = None,
    progress: Progress | None = None,
) -> BatchRun:
    """Verdicts of one judge through its provider's batch API.

    Parameters
    ----------
    outputs, judge, store, repeats, progress : as `runner.score`; what is stored already is not asked.
    poll_s : seconds between looks at the batches under way.
    wait : until all of them are over; else look once, collect, submit, and come back. A later call goes on.
    tries : how many batches a request may be in that fails for no reason of its own.
    prices : what tokens cost; default the table of this package.

    Raises
    ------
    InputError : the judge has no batch API; as `runner.score`.
    """
    judge = distinct_judges([judge])[0]
    check_given(outputs, [judge], repeats)
    service = _needed(judge)
    with _opened(store) as kept:
        seen = distinct_outputs(outputs, tuple(judge.reads), kept)
        with Ledger(kept.path, judge.hash, service.name) as ledger:
            run = _Run(Work(judge, seen, kept, ledger, repeats), service, tries, prices, progress)
            try:
                return await run.go(poll_s, wait)
            finally:
                await service.close()


class _Run:
    """One judge on all outputs and repeats."""

    def __init__(
        self, work: Work, service: Service, tries: int, prices: Prices | None, progress: Progress | None
    ) -> None:
        self.work, self.service, self.ledger, self.tries, self.progress = work, service, work.ledger, tries, progress
        remote = cast("Batched", work.judge.remote)
        self.reader = Reader(work.judge, remote, service, (prices or read_prices()).of(remote.model))
        self.problem: str | None = None
        self.words: dict[str, str] = {}  # batch id -> the provider's word for where it stands
        for batch in self.ledger.batches():
            service.refused |= batch.refused

    async def go(self, poll_s: float, wait: bool) -> BatchRun:
        reached = time.monotonic()
        while True:
            try:
                await self._collect()
                if self.problem is None:
                    await self._submit()
                reached = time.monotonic()
            except ProviderError as error:
                passing = error.failure in ("again", "slow down")
                if not (wait and passing and time.monotonic() - reached < _OUTAGE_S):
                    self.problem = str(error)
                    break
            left = self.work.left()
            self._report(left)
            if not wait or not left or not (self.problem is None or self._active()):
                break
            await asyncio.sleep(poll_s)
        return self._ended()

    def _active(self) -> bool:
        return any(batch.active for batch in self.ledger.batches())

    # Collecting.

    async def _collect(self) -> None:
        for batch in self.ledger.batches():
            known = batch
            if batch.state == "sending" and not batch.theirs:
                known = await self._found(batch)
            if known.state != "open" or known.batch_id is None:
                continue
            standing = await self._look(known)
            self.words[known.batch_id] = standing.word
            if standing.gone:
                self.ledger.end(known, "lost")
            elif standing.refused is not None:
                self._refused(known, standing.refused)
            elif standing.over:
                await self._read(known, standing)

    async def _found(self, batch: Batch) -> Batch:
        """A batch that was being sent when its process ended: at the provider, or it never came to be."""
        lost = self._lost(batch)
        batch_id = await patiently(lambda: self.service.find(lost))
        if batch_id is None:
            self.ledger.end(batch, "lost")
            return replace(batch, state="lost")
        self.ledger.sent(batch, batch_id)
        return replace(batch, state="open", batch_id=batch_id)

    async def _look(self, batch: Batch) -> Standing:
        assert batch.batch_id is not None
        try:
            return await patiently(lambda: self.service.look(str(batch.batch_id)))
        except ProviderError as error:
            if error.status == 404 and batch.age > _WINDOW:
                return Standing("unknown", over=True, gone=True)
            if error.status == 404:
                message = f"{error}: batch {batch.batch_id} is not there; was it sent with another key?"
                raise ProviderError(message, failure="broken", status=404) from None
            raise

    def _refused(self, batch: Batch, error: ProviderError) -> None:
        """Nothing of the batch was asked."""
        if error.failure == "slow down":  # the account's queue is full: later
            self.ledger.end(batch, "lost")
            return
        refused = self.service.objected(error, batch.refused)
        if refused is not None:
            self.service.refused.add(refused)
            self.ledger.end(batch, "lost")
            return
        self.ledger.end(batch, "failed")
        self.problem = f"batch {batch.batch_id} was refused: {error}"

    async def _read(self, batch: Batch, standing: Standing) -> None:
        """The verdicts of a batch that is over; what failed for no reason of its own is left for the next one."""
        repeat, work = batch.repeat, self.work
        first = {f"{batch.token}-{item}": item for item in batch.items}
        second = {f"{name}{_AGAIN}": item for name, item in first.items()}
        unread = self.ledger.unread(repeat)
        found = Found(set(unread))
        held = self.reader.holds(work.output(batch.items[0]), repeat)
        async for custom_id, outcome in self.service.results(str(batch.batch_id), standing):
            item = first.get(custom_id, second.get(custom_id))
            if item is None or item in found.seen:
                found.strangers += item is None
                continue
            found.seen.add(item)
            output = work.output(item)
            if custom_id in first:
                answer = self.reader.first(outcome, output, repeat, held)
            elif item in unread:
                answer = self.reader.second(outcome, unread[item], output, repeat)
            else:
                continue  # its verdict was stored, and the run killed then
            found.take(item, answer)
            if isinstance(answer, ProviderError) and (name := self.service.objected(answer, batch.refused)):
                found.objected[item] = name
            if len(found.answers) >= _PIECE:
                self._keep(repeat, found)
        if found.strangers and not found.seen:  # it was taken for one of ours, and is not
            self.ledger.end(batch, "lost")
            return
        self._settle(batch, found)

    def _settle(self, batch: Batch, found: Found) -> None:
        """What failed is given up, or left for the next batch; then this one is done with."""
        missing = ProviderError(f"batch {batch.batch_id} is over without an answer to this", failure="again")
        again = {**found.again, **{item: missing for item in batch.items if item not in found.seen}}
        self.service.refused |= set(found.objected.values())
        tried = self.work.tried(batch.repeat)
        for item, error in again.items():
            hopeless = error.failure in ("broken", "rejected") or tried[item] + 1 >= self.tries
            if not hopeless or item in found.objected:
                continue
            found.take(item, Answer("error", raw=without_secrets(str(error))))
        self._keep(batch.repeat, found)
        self.ledger.end(batch, "collected", found.given_up)
        broken = [e for item, e in again.items() if e.failure == "broken" and item not in found.objected]
        if broken and len(broken) == len(batch.items):
            self.problem = f"every request of batch {batch.batch_id} failed: {broken[0]}"

    def _keep(self, repeat: int, found: Found) -> None:
        """Store verdicts and replies to be repaired, and forget them here."""
        if found.unread:
            self.ledger.keep_unread(repeat, found.unread)
            found.unread.clear()
        repaired = found.repairs & found.answers.keys() - found.given_up
        self.work.keep(repeat, found.answers)
        if repaired:
            self.ledger.forget_unread(repeat, repaired)

    # Submitting.

    async def _submit(self) -> None:
        for repeat in range(self.work.repeats):
            while self.problem is None:
                wanted = self.work.wanted(repeat)
                batch = self.ledger.claim(repeat, wanted, self.service.room.requests, self.service.refused)
                if batch is None:
                    break
                try:
                    await self._send(batch)
                except ProviderError as error:
                    if error.failure in ("again", "slow down"):
                        raise
                    self.problem = str(error)  # those that are under way are still collected

    async def _send(self, batch: Batch) -> None:
        """Written, shortened to what fits, and sent. Where it stays open whether it was, `_found` asks later."""
        with tempfile.TemporaryFile() as file:  # private, without a name, and gone with the process
            items = self._write(batch, file)
            if len(items) < len(batch.items):
                self.ledger.shorten(batch, items)
            batch = replace(batch, items=items)
            try:
                batch_id = await self._sent(batch, file)
            except ProviderError as error:
                if error.failure != "again":
                    self.ledger.end(batch, "lost")
                raise
        self.ledger.sent(batch, batch_id)
        self.words[batch_id] = "submitted"

    async def _sent(self, batch: Batch, file: BinaryIO) -> str:
        """Sent once: after a failure that leaves it open whether the batch exists, it is looked for first."""
        lost = self._lost(batch)
        for tried in range(1, _SEARCHES + 1):
            try:
                return await self.service.submit(batch.token, file)
            except ProviderError as error:
                if error.failure not in ("again", "slow down") or tried == _SEARCHES:
                    raise
                await pause(tried, error)
                if error.failure == "again":
                    found = await patiently(lambda: self.service.find(lost))
                    if found is not None:
                        return found
        raise AssertionError  # never reached

    def _lost(self, batch: Batch) -> Lost:
        return Lost(batch.token, len(batch.items), batch.submitted_at, self.ledger.known())

    def _write(self, batch: Batch, file: BinaryIO) -> tuple[int, ...]:
        """As many of the batch's requests as there is room for, at least one, in a file of lines."""
        size, unread = 0, self.ledger.unread(batch.repeat)
        for n, item in enumerate(batch.items):
            request = self.reader.request(self.work.output(item), batch.repeat, unread.get(item))
            line = self.service.line(f"{batch.token}-{item}{_AGAIN if item in unread else ''}", request)
            size += len(line)
            if n and size > self.service.room.bytes:
                return batch.items[:n]
            file.write(line)
        return batch.items

    def _report(self, left: int) -> None:
        if self.progress is not None:
            total = self.work.total
            self.progress(self.work.judge.name, total - left, total)

    def _ended(self) -> BatchRun:
        active = [batch for batch in self.ledger.batches() if batch.active]
        left, total = self.work.left(), self.work.total
        if not active:
            self.ledger.close_all()
        under_way = tuple((b.batch_id, self.words.get(b.batch_id, b.state), len(b.items)) for b in active if b.batch_id)
        return BatchRun(self.work.judge.name, self.work.table(), total - left, total, under_way, self.problem)


def _needed(judge: Judge) -> Service:
    service = _service_of(judge)
    if service is None:
        expected = "a judge openai/MODEL@RUBRIC or anthropic/MODEL@RUBRIC"
        raise InputError(f"judge {judge.name!r} has no batch API", expected=expected)
    return service


def _service_of(judge: Judge) -> Service | None:
    remote = judge.remote
    if not all(hasattr(remote, name) for name in ("request", "read", "again", "read_again")):
        return None
    provider: Provider | None = getattr(remote, "provider", None)
    # The providers' clients take half a second to import; who names no such judge does not wait.
    from interjudge.judges.batch_anthropic import AnthropicBatches  # noqa: PLC0415
    from interjudge.judges.batch_openai import OpenAIBatches  # noqa: PLC0415
    from interjudge.judges.provider_anthropic import AnthropicProvider  # noqa: PLC0415
    from interjudge.judges.provider_openai import OpenAIProvider  # noqa: PLC0415

    if isinstance(provider, OpenAIProvider):
        return OpenAIBatches(provider)
    return AnthropicBatches(provider) if isinstance(provider, AnthropicProvider) else None


def _opened(store: Path | str | Store) -> AbstractContextManager[Store]:
    return nullcontext(store) if isinstance(store, Store) else Store(store)
