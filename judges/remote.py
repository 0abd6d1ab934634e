"""Judges behind a network: many requests at once, each answer stored before its slot asks again.

Every provider has a fixed number of slots. A slot takes the next output of one of that provider's judges in turn,
asks until there is an answer or a reason why there is none, waits until that is committed, and takes the next. So a
kill loses at most what was under way, and memory does not grow with the number of outputs. All of it happens in a
thread with an event loop of its own (a notebook has one that is running already); callbacks are called from the
thread that called.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Final

import polars as pl

from interjudge.errors import InputError, InterjudgeError
from interjudge.judges.llm_base import Answer, ProviderError, Reply
from interjudge.judges.messages import short_message, without_secrets
from interjudge.judges.pace import Budget, Limits, Pace, backoff
from interjudge.judges.prices import Prices
from interjudge.judges.remote_work import Job, Output, Tally, Work, checked, row
from interjudge.judges.store import Row, Store

Progress = Callable[[str, int, int], None]
Watch = Callable[[Sequence[Tally]], None]
Tell = Callable[[str], None]

_LOOK_S: Final = 0.2  # between two looks of the calling thread at how far it is
_LOCKED_S: Final = 60.0  # how long another process may keep the store
_CLOSE_S: Final = 5.0  # for closing a client
_AT_ONCE_S: Final = 2.0  # for ending when nothing is waited for
_MESSAGE: Final = 300  # characters of an error that are kept

_log = logging.getLogger("interjudge")


def ask_remote(
    jobs: Sequence[Job],
    store: Store | None,
    *,
    repeats: int,
    redo: bool,
    limits: Limits,
    prices: Prices,
    progress: Progress | None = None,
    watch: Watch | None = None,
    tell: Tell | None = None,
) -> list[pl.DataFrame]:
    """Verdicts of judges with `Judge.remote`, all asked at the same time.

    Parameters
    ----------
    progress, watch : called a few times a second while it goes on.
    tell : called with each sentence for the user (a judge has stopped, the budget is used up, ...); logged otherwise.

    Returns
    -------
    For each job the columns of `STORED` and `repeat`, one row for every output and repeat. What was not asked is
    ``not_run`` and is not in the store.

    Raises
    ------
    InputError : a budget in dollars for a model without a known price.
    KeyboardInterrupt : after Ctrl-C, when what was under way is stored; at once after the second.
    """
    if not jobs:
        return []
    run = _Run(jobs, store, repeats, redo, limits, prices)
    _Caller(run, progress, watch, tell or _log.warning).go()
    return [work.table(store, repeats, run.why) for work in run.works]


class _Run:
    """All judges, in the event loop."""

    def __init__(
        self, jobs: Sequence[Job], store: Store | None, repeats: int, redo: bool, limits: Limits, prices: Prices
    ) -> None:
        self.store, self.redo, self.limits = store, redo, limits
        self.works: list[Work] = []
        for job in jobs:
            assert job.judge.remote is not None
            price = prices.of(job.judge.remote.model)
            if price is None and limits.max_cost is not None:
                raise InputError(
                    f"no price is known for {job.judge.remote.model!r}, so its cost cannot be limited",
                    expected="a --prices file that names it, or --max-requests",
                )
            self.works.append(Work(job, price))
            self.works[-1].fill(store, repeats, redo)
        self.budget = Budget(limits.max_cost, limits.max_requests)
        self.paces: dict[str, Pace] = {}
        self.said: SimpleQueue[str] = SimpleQueue()
        self.why = ""  # the run was stopped
        self.failure: BaseException | None = None
        self.shared = False  # another process works on the same store
        self.rows: list[Row] = []  # to be committed
        self.commit: asyncio.Future[None] | None = None  # of them
        self.answered: Counter[tuple[int, str]] = Counter()  # by which snapshot, to be committed
        self.loop: asyncio.AbstractEventLoop | None = None
        self.slots: list[asyncio.Task[None]] = []

    @property
    def under_way(self) -> int:
        return sum(pace.active for pace in self.paces.values())

    async def go(self) -> None:
        self.loop = asyncio.get_running_loop()
        groups: dict[str, deque[Work]] = {}
        for work in self.works:
            work.ended = self.loop.create_future()
            self.paces.setdefault(work.provider, Pace(self.limits, self.loop.time()))
            groups.setdefault(work.provider, deque()).append(work)
        self.slots = [
            asyncio.create_task(self._slot(group))
            for group in groups.values()
            for _ in range(min(self.limits.concurrency, sum(work.total - work.done for work in group)))
        ]
        if self.why:  # stopped before it began
            self.stop(self.why)
        try:
            await asyncio.gather(*self.slots)
        except asyncio.CancelledError:
            if not self.why:
                raise
        finally:
            self.drop()
            await asyncio.gather(*self.slots, return_exceptions=True)
            if self.failure is None:
                self._write()
            for work in self.works:
                with suppress(Exception):
                    async with asyncio.timeout(_CLOSE_S):
                        await work.remote.close()

    def drop(self) -> None:
        """Wait for nothing that is under way."""
        for slot in self.slots:
            slot.cancel()

    def stop(self, why: str) -> None:
        """No new requests, of any judge."""
        self.why = self.why or why
        for work in self.works:
            if not work.ended.done():
                work.ended.set_result(None)

    def interrupt(self) -> None:
        """`stop`, and not for ever for what is under way."""
        self.stop("interrupted")
        asyncio.get_running_loop().call_later(self.limits.grace_s, self.drop)

    def stop_judge(self, work: Work, why: str) -> None:
        if work.why or self.why:
            return
        work.why = f"stopped: {why}"
        if not work.ended.done():
            work.ended.set_result(None)
        left = work.total - work.done
        self.said.put(f"{work.judge.name} was stopped: {why}. {left:,} verdicts are left; the same command resumes.")

    # One slot.

    async def _slot(self, group: deque[Work]) -> None:
        while (asked := self._next(group)) is not None:
            work, repeat, position, output = asked
            answer = await self._answer(work, repeat, output)
            if answer is not None:
                await self._keep(work, repeat, position, answer)

    def _next(self, group: deque[Work]) -> tuple[Work, int, int, Output] | None:
        """Of the provider's judges in turn, what no other process has done meanwhile."""
        if self.store is not None and not self.redo and not self.shared:
            self.shared = self.store.changed()
        for _ in range(len(group)):
            work = group[0]
            group.rotate(-1)
            while not work.ended.done() and (found := work.take()) is not None:
                repeat, position, output = found
                if not self._done_by_others(work, repeat, position):
                    return work, repeat, position, output
        return None

    def _done_by_others(self, work: Work, repeat: int, position: int) -> bool:
        if not self.shared or self.store is None:
            return False
        status = self.store.finished_status(work.judge_id, repeat, int(work.ids[position]))
        if status is None:
            work.met = False
            return False
        work.done += 1
        work.ok += status == "ok"
        if not work.met:
            work.met = True
            work.jump()
        return True

    async def _answer(self, work: Work, repeat: int, output: Output) -> Answer | None:
        """One verdict, tried as often as it is worth; None where it was stopped before there was one."""
        limits = self.limits
        before: list[Reply] = []  # of tries that failed at a second request
        for tried in range(1, limits.tries + 1):
            came = await self._try(work, repeat, output)
            if not isinstance(came, ProviderError):
                return came and work.with_replies(came, before)
            before += came.before
            wait = came.retry_after or 0.0
            if came.failure not in ("again", "slow down") or tried == limits.tries or wait > limits.patience_s:
                failed = self._failed(work, came)
                return failed and work.with_replies(failed, before)
            pause = max(wait, backoff(tried, limits.base_s, limits.longest_s))
            await asyncio.wait((work.ended,), timeout=pause)
            if work.ended.done():
                return None
        raise AssertionError  # the last try returned

    async def _try(self, work: Work, repeat: int, output: Output) -> Answer | ProviderError | None:
        """One request, when there is room for it; None where there is none any more."""
        limits, pace, loop = self.limits, self.paces[work.provider], asyncio.get_running_loop()
        tokens = sum(work.estimated(output)) if limits.tpm is not None else 0
        cost = work.expected(output) if limits.max_cost is not None else 0.0
        if not await self.budget.reserve(cost, work.ended):
            if not work.ended.done():
                self._spent()
            return None
        if not await pace.enter(tokens, work.ended):
            self.budget.settle(cost, 0.0, sent=0)
            return None
        cuts, begun, paid, sent = pace.cuts, loop.time(), 0.0, 1
        try:
            async with asyncio.timeout(limits.timeout_s):
                answer = checked(work.judge, await work.remote.ask(output, repeat))
            answer, paid = self._counted(work, answer, output, loop.time() - begun)
            sent = max(1, answer.requests)
            pace.answered(sent - 1, _used(answer, tokens) - tokens, loop.time())
            work.breaker.answered()
            return answer
        except ProviderError as error:
            sent += len(error.before)
            paid = work.pay_for(error.before)
            pace.took(sent - 1, 0, loop.time())
            if error.failure == "slow down":
                pace.refused(cuts, error.retry_after, loop.time())
            return error
        except TimeoutError:
            return ProviderError(f"no verdict within {limits.timeout_s:g} s", failure="again")
        # Whatever a judge raises is a verdict of its own kind.
        except Exception as error:  # noqa: BLE001
            message = short_message(error, _MESSAGE)
            if work.breaker.failed(None):
                self.stop_judge(work, f"it fails on every output ({message})")
            return Answer("error", raw=message)
        finally:
            pace.leave()
            self.budget.settle(cost, paid, sent=sent)

    def _counted(self, work: Work, answer: Answer, output: Output, seconds: float) -> tuple[Answer, float]:
        """The answer with what it cost and took; and what counts against the budget."""
        cost = work.priced(answer)
        paid = cost if cost is not None else work.price.of(*work.estimated(output)) if work.price is not None else 0.0
        work.answers += 1
        work.unpriced += cost is None
        work.paid += paid
        if answer.model is not None:
            work.models[answer.model] += 1
            self.answered[work.judge_id, answer.model] += 1
        latency = answer.latency_s if answer.latency_s is not None else seconds
        return replace(answer, cost_usd=cost, latency_s=latency), paid

    def _failed(self, work: Work, error: ProviderError) -> Answer | None:
        """The verdict on an output that was asked about in vain."""
        passing = error.failure in ("again", "slow down")
        if passing and (error.retry_after or 0.0) > self.limits.patience_s:
            for other in self.works:
                if other.provider == work.provider:
                    self.stop_judge(other, f"the server asks to wait {_long(error.retry_after or 0.0)}")
        if passing and work.ended.done():
            return None  # it may still succeed when the run is resumed
        message = without_secrets(str(error))
        message = message if len(message) <= _MESSAGE else message[: _MESSAGE - 1] + "…"
        if work.breaker.failed(error.failure):
            self.stop_judge(work, message)
        return Answer("filtered" if error.failure == "filtered" else "error", raw=message)

    def _spent(self) -> None:
        if not self.why:
            words = f"{self.budget.words} is {'used up' if self.budget.sent else 'less than one verdict may take'}"
            self.stop(f"not asked: {words}")
            self.said.put(f"stopped: {words}. The same command with a higher limit goes on from here.")

    # The store.

    async def _keep(self, work: Work, repeat: int, position: int, answer: Answer) -> None:
        kept = row(work.judge_id, repeat, int(work.ids[position]), answer)
        if self.store is None:
            work.rows.append(kept)
        else:
            self.rows.append(kept)
            if self.commit is None:  # one commit for all that is there when the loop comes to it
                loop = asyncio.get_running_loop()
                self.commit = loop.create_future()
                loop.call_soon(self._write, loop.time() + _LOCKED_S)
            await self.commit
        work.done += 1
        work.ok += answer.status == "ok"

    def _write(self, until: float = 0.0) -> None:
        """Commit what is there; while another process writes, a little later, with what has come by then."""
        commit, rows, loop = self.commit, self.rows, asyncio.get_running_loop()
        if not rows or self.store is None:
            return
        try:
            written = self.store.put_rows(rows, self.answered, replace=self.redo)
            if written is None:
                if loop.time() < until:
                    loop.call_later(0.01, self._write, until)
                    return
                raise InterjudgeError(f"{self.store.path}: another process keeps the verdict store locked; try again")
        # A full disk, say: nothing may be asked that cannot be kept.
        except Exception as error:  # noqa: BLE001
            self.failure = error
            self.stop("the store failed")
            if commit is not None and not commit.done():
                commit.set_exception(error)
                commit.exception()  # whoever waits for it raises it
            return
        self.rows, self.commit = [], None
        self.answered.clear()
        if written < len(rows) and not self.redo:
            self.shared = True
            for work in self.works:
                work.jump()
        if commit is not None and not commit.done():
            commit.set_result(None)


class _Caller:
    """The calling thread while the loop works in its own: shows how far it is, and hears Ctrl-C."""

    def __init__(self, run: _Run, progress: Progress | None, watch: Watch | None, tell: Tell) -> None:
        self.run, self.progress, self.watch, self.tell = run, progress, watch, tell
        self.over = threading.Event()
        self.shown: dict[str, int] = {}
        self.interrupts = 0

    def go(self) -> None:
        """Until everything is asked, or it was stopped."""
        thread = threading.Thread(target=self._loop, name="interjudge-remote", daemon=True)
        try:
            with self._hearing():
                self._show()
                thread.start()
                while not self.over.wait(_LOOK_S):
                    self._show()
        except BaseException:  # the second Ctrl-C, or a callback's own
            if thread.ident is not None and not self.over.is_set():
                self._call(self.run.stop, "interrupted")
                self._call(self.run.drop)
                self.over.wait(_AT_ONCE_S)
            raise
        self._show()
        if self.run.failure is not None:
            raise self.run.failure
        for words in self._notes():
            self.tell(words)
        if self.interrupts:
            raise KeyboardInterrupt

    def _loop(self) -> None:
        try:
            asyncio.run(self.run.go())
        except BaseException as error:  # noqa: BLE001  raised again in the calling thread
            self.run.failure = self.run.failure or error
        finally:
            self.over.set()

    def _call(self, function: Callable[..., None], *given: str) -> None:
        if self.run.loop is None:  # it has not begun
            self.run.why = "interrupted"
            return
        with suppress(RuntimeError):  # it has ended
            self.run.loop.call_soon_threadsafe(function, *given)

    def _show(self) -> None:
        tallies = [work.tally(self.run.paces.get(work.provider)) for work in self.run.works]
        for tally in tallies:
            if self.progress is not None and self.shown.get(tally.judge) != tally.done:
                self.shown[tally.judge] = tally.done
                self.progress(tally.judge, tally.done, tally.total)
        if self.watch is not None:
            self.watch(tallies)
        with suppress(Empty):
            while True:
                self.tell(self.run.said.get_nowait())

    def _notes(self) -> Iterator[str]:
        """What the user should know in the end."""
        for work in self.run.works:
            name = work.judge.name
            if waiting := sum(map(len, work.held.values())):
                yield (
                    f"{name}: {waiting:,} verdicts were not asked for, since they lie in a batch under way: "
                    "--batch collects them; --redo asks for all anew"
                )
            if work.price is None and work.unpriced:
                yield f"{name}: no price is known for {work.remote.model}; what it cost is not counted"
            found = self.run.store.snapshots(work.judge_id) if self.run.store is not None else dict(work.models)
            if len(found) > 1 and work.models:
                several = ", ".join(f"{model} ({n:,})" for model, n in found.items())
                when = "within this run" if len(work.models) > 1 else "since an earlier run"
                yield f"{name}: the server changed the model {when}: its answers are of {without_secrets(several)}"
            notes = dict.fromkeys(getattr(work.remote, "notes", ()))
            yield from (note if note.startswith(f"{name}: ") else f"{name}: {note}" for note in notes)

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        """Ctrl-C stops the run, the second one at once; where signals are not ours to take, as it is."""
        mine = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGINT) if mine else None
        if not mine or before in (signal.SIG_IGN, None):
            yield
            return
        signal.signal(signal.SIGINT, self._heard)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _heard(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.interrupts += 1
        if self.interrupts > 1:
            raise KeyboardInterrupt
        self._call(self.run.interrupt)
        waiting = f"waiting for {self.run.under_way} requests under way, at most {self.run.limits.grace_s:g} s"
        self.run.said.put(f"stopping: {waiting}; Ctrl-C again stops at once")


def _used(answer: Answer, expected: int) -> int:
    """Tokens that an answer took; what was expected where the server does not say."""
    if answer.input_tokens is None or answer.output_tokens is None:
        return expected
    return answer.input_tokens + answer.output_tokens


def _long(seconds: float) -> str:
    return f"{seconds / 60:,.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
