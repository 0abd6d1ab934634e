"""Limits, pauses, slowing down, giving up and budgets, without a server."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.errors import InputError
from interjudge.judges.pace import GIVEN_UP, HARD_FAILURES, Breaker, Bucket, Budget, Limits, Pace, backoff

Ended = asyncio.Future[None]


def run(test: Callable[[Ended], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(test(asyncio.get_running_loop().create_future()), 20)

    asyncio.run(whole())


# Backoff.


def test_pauses_are_drawn_from_zero_to_twice_as_much_each_time_up_to_the_longest() -> None:
    """Full jitter: uniform on [0, min(60, 2^(n-1))], so its mean is half of that."""
    random.seed(0)
    for tried, most in ((1, 1.0), (2, 2.0), (4, 8.0), (7, 60.0), (2000, 60.0)):
        drawn = [backoff(tried, 1.0, 60.0) for _ in range(4000)]
        assert min(drawn) >= 0
        assert max(drawn) <= most
        assert sum(drawn) / len(drawn) == pytest.approx(most / 2, rel=0.05)


# Token buckets.


def test_a_bucket_gives_a_second_at_once_and_then_its_rate() -> None:
    """120 a minute are 2 a second: two at once, then one each half second."""
    bucket = Bucket(120, now=0.0)
    assert [bucket.take(1, 0.0) for _ in range(5)] == pytest.approx([0, 0, 0.5, 1.0, 1.5])
    assert bucket.take(1, 10.0) == 0  # full again, with two
    assert bucket.take(1, 10.0) == 0
    assert bucket.take(1, 10.0) == pytest.approx(0.5)


def test_a_bucket_of_less_than_one_a_second_still_gives_one_at_once() -> None:
    bucket = Bucket(6, now=0.0)
    assert [bucket.take(1, 0.0) for _ in range(3)] == pytest.approx([0, 10, 20])


def test_what_is_more_than_a_bucket_holds_is_paid_by_those_that_follow() -> None:
    """600 tokens a minute, 10 a second; 100 tokens go at once, the next must wait until they are paid for."""
    bucket = Bucket(600, now=0.0)
    assert bucket.take(100, 0.0) == 0
    assert bucket.take(10, 0.0) == pytest.approx(10.0)  # (10 + 90) / 10


def test_tokens_that_were_not_needed_are_given_back() -> None:
    bucket = Bucket(600, now=0.0)
    bucket.take(100, 0.0)
    bucket.take(-90, 0.0)
    assert bucket.take(5, 0.0) == pytest.approx(0.5)  # nothing in it, 5 at 10 a second


@settings(max_examples=100)
@given(
    st.floats(1, 10_000),
    st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 100)), min_size=1, max_size=60),
)
def test_no_minute_has_more_than_the_limit_and_one_second_and_one_request(
    per_minute: float, arrivals: list[tuple[float, float]]
) -> None:
    bucket = Bucket(per_minute, now=0.0)
    now, sent = 0.0, []
    for pause, amount in arrivals:
        now += pause
        sent.append((now + bucket.take(amount, now), amount))
    assert all(a <= b + 1e-6 for (a, _), (b, _) in pairwise(sent))  # in turn
    most = max(amount for _, amount in sent)
    for start, _ in sent:
        within = sum(amount for at, amount in sent if start <= at < start + 60)
        assert within <= per_minute + max(1.0, per_minute / 60) + most + 1e-3


# Slowing down.


def test_a_429_halves_what_is_under_way_and_answers_bring_it_back_one_by_one() -> None:
    pace = Pace(Limits(concurrency=16), 0.0)
    pace.refused(0, None, 0.0)
    assert pace.allowed == 8
    for _ in range(8):
        pace.answered(0, 0, 0.0)
    assert pace.allowed == pytest.approx(9, abs=0.1)  # one more after eight answers
    for _ in range(1000):
        pace.answered(0, 0, 0.0)
    assert pace.allowed == 16


def test_429s_to_requests_that_were_under_way_together_count_once() -> None:
    pace = Pace(Limits(concurrency=16), 0.0)
    for _ in range(16):
        pace.refused(0, None, 0.0)
    assert pace.allowed == 8
    pace.refused(1, None, 0.0)
    assert pace.allowed == 4
    for cuts in range(2, 20):
        pace.refused(cuts, None, 0.0)
    assert pace.allowed == 1


def test_retry_after_holds_the_whole_provider() -> None:
    async def test(ended: Ended) -> None:
        now = asyncio.get_running_loop().time()
        pace = Pace(Limits(), now)
        pace.refused(0, 0.2, now)
        pace.refused(0, 0.1, now)  # the longer one holds
        await asyncio.gather(*(pace.enter(1, ended) for _ in range(3)))
        assert 0.2 <= asyncio.get_running_loop().time() - now < 1

    run(test)


def test_no_more_are_under_way_than_allowed_and_all_come_in_turn() -> None:
    async def test(ended: Ended) -> None:
        loop = asyncio.get_running_loop()
        pace = Pace(Limits(concurrency=16), loop.time())
        pace.refused(0, None, loop.time())
        pace.refused(1, 0.0, loop.time())  # four at once
        peak, order = 0, []

        async def one(number: int) -> None:
            nonlocal peak
            assert await pace.enter(1, ended)
            peak = max(peak, pace.active)
            order.append(number)
            await asyncio.sleep(0.005)
            pace.leave()

        await asyncio.gather(*(one(n) for n in range(40)))
        assert (peak, pace.active) == (4, 0)
        assert order == sorted(order)

    run(test)


def test_what_waits_goes_away_when_it_is_ended() -> None:
    async def test(ended: Ended) -> None:
        now = asyncio.get_running_loop().time()
        pace = Pace(Limits(concurrency=2, rpm=1), now)
        assert await pace.enter(1, ended)
        waiting = [asyncio.create_task(pace.enter(1, ended)) for _ in range(3)]  # one for the bucket, two for a turn
        await asyncio.sleep(0.01)
        ended.set_result(None)
        assert await asyncio.gather(*waiting) == [False] * 3
        assert pace.active == 1

    run(test)


# Giving up.


def test_a_judge_is_given_up_after_hard_failures_in_a_row_alone() -> None:
    breaker = Breaker()
    for _ in range(HARD_FAILURES - 1):
        assert not breaker.failed("broken")
    breaker.answered()
    assert [breaker.failed("broken") for _ in range(HARD_FAILURES)] == [False] * (HARD_FAILURES - 1) + [True]


@pytest.mark.parametrize("failure", ["filtered", "rejected"])
def test_outputs_that_are_refused_say_nothing_of_the_judge(failure: str) -> None:
    breaker = Breaker()
    assert not any(breaker.failed(failure) for _ in range(1000))  # type: ignore[arg-type]


@pytest.mark.parametrize("failure", ["again", "slow down", None])
def test_a_judge_is_given_up_when_nothing_comes_however_often_it_is_tried(failure: str | None) -> None:
    breaker = Breaker()
    assert [breaker.failed(failure) for _ in range(GIVEN_UP)] == [False] * (GIVEN_UP - 1) + [True]  # type: ignore[arg-type]


# Budgets.


def test_requests_are_counted_when_they_are_sent() -> None:
    async def test(ended: Ended) -> None:
        budget = Budget(None, 3)
        assert [await budget.reserve(0, ended) for _ in range(4)] == [True, True, True, False]
        assert "3 requests" in budget.words
        budget.settle(0, 0, sent=0)  # one was never sent
        assert await budget.reserve(0, ended)

    run(test)


def test_what_is_under_way_counts_as_paid_and_room_is_waited_for() -> None:
    """Ten dollars, three under way that may take four each: the third waits, and goes when one was cheap."""

    async def test(ended: Ended) -> None:
        budget = Budget(10.0, None)
        assert await budget.reserve(4, ended)
        assert await budget.reserve(4, ended)
        third = asyncio.create_task(budget.reserve(4, ended))
        await asyncio.sleep(0.01)
        assert not third.done()
        budget.settle(4, 1)
        assert await third
        fourth = asyncio.create_task(budget.reserve(4, ended))
        budget.settle(4, 4)
        budget.settle(4, 4)
        assert not await fourth  # nine are spent, nothing is under way
        assert (budget.spent, budget.flying, "$10" in budget.words) == (9, 0, True)

    run(test)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.5, 50), st.lists(st.floats(0.01, 2), min_size=1, max_size=200), st.integers(1, 16))
def test_a_budget_is_never_passed_by_what_costs_as_expected(most: float, costs: list[float], slots: int) -> None:
    async def test(ended: Ended) -> None:
        budget = Budget(most, None)
        left = iter(costs)

        async def slot() -> None:
            for cost in left:
                if not await budget.reserve(cost, ended):
                    return
                await asyncio.sleep(0)
                budget.settle(cost, cost)

        await asyncio.gather(*(slot() for _ in range(slots)))
        assert budget.spent <= most * (1 + 1e-6)
        assert budget.flying == 0
        assert budget.spent + max(costs) >= min(most, sum(costs)) * (1 - 1e-6)  # and not left unused

    run(test)


# Settings.


@pytest.mark.parametrize(
    ("name", "value"),
    [("concurrency", 0), ("tries", 0), ("max_cost", -1.0), ("max_requests", -1), ("rpm", 0.0), ("tpm", -5.0),
     ("timeout_s", 0.0), ("rpm", float("nan")), ("max_cost", float("nan")), ("tpm", float("inf"))],
)  # fmt: skip
def test_limits_that_are_none_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        Limits(**{name: value})  # type: ignore[arg-type]


def test_a_thousand_entries_cost_next_to_nothing() -> None:
    """No timer and no task where there is room: only a bound of very slow machines."""

    async def test(ended: Ended) -> None:
        pace = Pace(Limits(), asyncio.get_running_loop().time())
        begun = time.perf_counter()
        for _ in range(1000):
            assert await pace.enter(1, ended)
            pace.answered(0, 0, 0.0)
            pace.leave()
        assert time.perf_counter() - begun < 1.0

    run(test)
