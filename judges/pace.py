"""When the next request may be sent: limits, waiting after failures, slowing down, giving up, and what it may cost.

Nothing here sends anything or knows of judges. Times are seconds of the event loop's clock.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from dataclasses import dataclass
from typing import Final

from interjudge.errors import InputError
from interjudge.judges.llm_base import Failure

CONCURRENCY: Final = 16
HARD_FAILURES: Final = 5  # in a row, after which a judge is stopped: wrong key, no such model
GIVEN_UP: Final = 20  # in a row, after which it is too: no request succeeds, however often it is tried


@dataclass(frozen=True)
class Limits:
    """How judges behind a network may be asked.

    Attributes
    ----------
    concurrency : requests under way at once; like `rpm` and `tpm` for each provider (`Remote.limits`).
    rpm, tpm : requests and tokens (in and out) a minute; None for no limit but the server's.
    max_cost, max_requests : of one run, over all judges; US dollars, and requests with those sent again.
    timeout_s : for one verdict; a provider's own timeout is for one request, and shorter.
    tries : of one request, before its failure is the verdict.
    base_s, longest_s : the first and the longest pause before a request is sent again.
    patience_s : a server that asks to wait longer is not waited for: its judges stop.
    grace_s : how long an interrupted run waits for what is under way.
    """

    concurrency: int = CONCURRENCY
    rpm: float | None = None
    tpm: float | None = None
    max_cost: float | None = None
    max_requests: int | None = None
    timeout_s: float = 300.0
    tries: int = 6
    base_s: float = 1.0
    longest_s: float = 60.0
    patience_s: float = 600.0
    grace_s: float = 60.0

    def __post_init__(self) -> None:
        for name, least in (("concurrency", 1), ("tries", 1), ("max_cost", 0), ("max_requests", 0)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise InputError(f"{name} is too small", found=value, expected=f"{least} or more")
        for name in ("rpm", "tpm", "timeout_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{name} is not positive", found=value, expected="a number above 0")


def backoff(tried: int, base: float, longest: float) -> float:
    """Seconds to wait after so many tries: exponential with full jitter.

    Brooker (2015), "Exponential Backoff and Jitter", AWS Architecture Blog: sleep = random(0, min(cap, base 2^n)).
    """
    return random.uniform(0.0, min(longest, base * 2.0 ** min(tried - 1, 30)))


class Bucket:
    """A token bucket that is drawn on in advance: `take` says when what was taken is there.

    It fills at `per_minute` and holds what comes in a second (at least one request), so that no minute has more
    than `per_minute` and a second's worth.
    """

    def __init__(self, per_minute: float, now: float) -> None:
        self.rate = per_minute / 60.0
        self.most = max(1.0, self.rate)
        self.level, self.at = self.most, now

    def take(self, amount: float, now: float) -> float:
        """Seconds until so much is there, after all that was taken before; it counts as taken."""
        self.level = min(self.most, self.level + (now - self.at) * self.rate)
        self.at = now
        # More than it can ever hold waits for a full bucket, and those that follow pay the rest of it.
        wait = max(0.0, (min(amount, self.most) - self.level) / self.rate)
        self.level -= amount
        return wait


class Pace:
    """How fast one provider is asked. `allowed`: requests under way at once, as the server has shown to bear.

    Additive increase, multiplicative decrease (Chiu and Jain 1989, Computer Networks and ISDN Systems 17, 1-14): a
    429 halves it, every `allowed` answers add one.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.allowed = float(limits.concurrency)
        self.active = 0
        self.held_until = 0.0
        self.cuts = 0  # how often it was slowed down: a request knows what it was sent under
        self.refusals = 0  # cuts since the last answer
        self.requests = Bucket(limits.rpm, now) if limits.rpm is not None else None
        self.tokens = Bucket(limits.tpm, now) if limits.tpm is not None else None
        self._turns: deque[asyncio.Future[None]] = deque()

    async def enter(self, tokens: int, ended: asyncio.Future[None]) -> bool:
        """Wait until a request of so many tokens may be sent; False where `ended` came first. Then `leave`."""
        loop = asyncio.get_running_loop()
        if ended.done():
            return False
        if self.active + 1 <= self.allowed:
            self.active += 1
        else:
            turn = loop.create_future()
            self._turns.append(turn)
            await asyncio.wait((turn, ended), return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                if turn.done():
                    self.leave()
                turn.cancel()
                return False
        now = loop.time()
        ready = now + max(
            self.requests.take(1.0, now) if self.requests is not None else 0.0,
            self.tokens.take(float(tokens), now) if self.tokens is not None else 0.0,
        )
        while (wait := max(ready, self.held_until) - loop.time()) > 0:
            await asyncio.wait((ended,), timeout=wait)
            if ended.done():
                self.leave()
                return False
        return True

    def leave(self) -> None:
        self.active -= 1
        self._wake()

    def answered(self, requests: int, tokens: int, now: float) -> None:
        """An answer came; it took so many requests, and so many tokens, beyond those of `enter`."""
        self.refusals = 0
        self.allowed = min(float(self.limits.concurrency), self.allowed + 1.0 / self.allowed)
        self.took(requests, tokens, now)

    def took(self, requests: int, tokens: int, now: float) -> None:
        """So much was sent beyond what `enter` knew of."""
        if requests and self.requests is not None:
            self.requests.take(float(requests), now)
        if tokens and self.tokens is not None:
            self.tokens.take(float(tokens), now)

    def refused(self, cuts: int, retry_after: float | None, now: float) -> None:
        """A 429 to a request that was sent after so many `cuts`."""
        if retry_after is not None:
            self.held_until = max(self.held_until, now + retry_after)
        if cuts != self.cuts:
            return  # it was under way when another's 429 slowed us down
        self.cuts += 1
        self.allowed = max(1.0, self.allowed / 2.0)
        if retry_after is None and self.refusals:
            pause = backoff(self.refusals, self.limits.base_s, self.limits.longest_s)
            self.held_until = max(self.held_until, now + pause)
        self.refusals += 1

    def _wake(self) -> None:
        """Places that are free go to those that have waited longest."""
        while self._turns and self.active + 1 <= self.allowed:
            turn = self._turns.popleft()
            if not turn.done():
                self.active += 1
                turn.set_result(None)


class Breaker:
    """When a judge is given up: after too many failures with no answer in between."""

    def __init__(self) -> None:
        self.hard = self.soft = 0

    def answered(self) -> None:
        self.hard = self.soft = 0

    def failed(self, failure: Failure | None) -> bool:
        """Whether it is enough; `failure` None: what was raised was no `ProviderError`."""
        if failure in ("filtered", "rejected"):  # this output's own: the server does answer
            self.answered()
        elif failure == "broken":
            self.hard += 1
        else:
            self.soft += 1
        return self.hard >= HARD_FAILURES or self.soft >= GIVEN_UP


class Budget:
    """What one run may still ask; what is under way counts as if it were paid already."""

    def __init__(self, max_cost: float | None, max_requests: int | None) -> None:
        self.max_cost, self.max_requests = max_cost, max_requests
        self.spent, self.sent = 0.0, 0
        self.reserved, self.flying = 0.0, 0
        self._turns: deque[asyncio.Future[None]] = deque()

    async def reserve(self, cost: float, ended: asyncio.Future[None]) -> bool:
        """Make room for one request; False where there is none, and will be none when all that is under way is back."""
        while not self._fits(cost):
            if not self.flying or not self._has_requests():
                return False
            turn = asyncio.get_running_loop().create_future()
            self._turns.append(turn)
            await asyncio.wait((turn, ended), return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return False
        self.sent += 1
        self.flying += 1
        self.reserved += cost
        return True

    def settle(self, reserved: float, paid: float, *, sent: int = 1) -> None:
        """A request is back, and was really so many; 0 where it was never sent."""
        self.sent += sent - 1
        self.flying -= 1
        self.reserved -= reserved
        self.spent += paid
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)

    @property
    def words(self) -> str:
        """Which limit it was."""
        if not self._has_requests():
            return f"the limit of {self.max_requests:,} requests (--max-requests)"
        return f"the limit of ${self.max_cost:,g} (--max-cost)"

    def _has_requests(self) -> bool:
        return self.max_requests is None or self.sent < self.max_requests

    def _fits(self, cost: float) -> bool:
        if not self._has_requests():
            return False
        # A billionth, so that a budget of exactly n requests is not one short of it by rounding.
        return self.max_cost is None or self.spent + self.reserved + cost <= self.max_cost * (1 + 1e-9)
