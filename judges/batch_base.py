"""What stands between a run of batches and a provider's batch API: submit, find, look, collect."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Final, Protocol, TypeVar

from interjudge.judges.llm_base import Answer, Provider, ProviderError, Remote, Reply, Request, Unread
from interjudge.judges.provider_client import Connection
from interjudge.judges.provider_errors import malformed, provider_error

T = TypeVar("T")

TIMEOUT: Final = 900.0  # seconds for one request to a batch API: it may carry 200 MB
_SLACK: Final = timedelta(minutes=10)
_PAGES: Final = 10  # of 100 batches each, newest first, in which one is looked for
_TRIES: Final = 5  # of one request that is only disturbed
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class Batched(Remote, Protocol):
    """What a judge's `remote` must have beyond `Remote` to be asked through a batch API."""

    @property
    def provider(self) -> Provider:
        """Whose batch API it is."""

    def request(self, output: Mapping[str, str | None], repeat: int) -> Request:
        """The first request about one output."""

    def read(self, reply: Reply, output: Mapping[str, str | None], repeat: int) -> Answer | Unread:
        """The verdict in a reply; `Unread` where a second request may bring it."""

    def again(self, unread: Unread, output: Mapping[str, str | None], repeat: int) -> Request:
        """The second request about one output."""

    def read_again(self, unread: Unread, second: Reply | None, requests: int = 2) -> Answer:
        """The verdict after a second request, which is the last; None where it brought no reply."""


@dataclass(frozen=True)
class Room:
    """The most that fits into one batch."""

    requests: int
    bytes: int


@dataclass(frozen=True)
class Standing:
    """Where a batch stands: the provider's own `word`, and whether it is `over`.

    `refused`: why the provider took none of it. `gone`: it is not there any more, or its results are not.
    `files`: where its results are.
    """

    word: str
    over: bool = False
    refused: ProviderError | None = None
    gone: bool = False
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lost:
    """A batch of `size` requests that was sent after `since` with this token; `known`: batches that it is not."""

    token: str
    size: int
    since: datetime
    known: frozenset[str] = frozenset()

    @property
    def earliest(self) -> datetime:
        """`since`, less what the provider's clock may be behind ours."""
        return self.since - _SLACK


class Service(Protocol):
    """One provider's batch API for one judge's model. `refused`: parameters of a request that it does not take."""

    name: str
    room: Room
    refused: set[str]

    @property
    def sends_schema(self) -> bool:
        """Whether requests still carry their schema."""

    def line(self, custom_id: str, request: Request) -> bytes:
        """One request of a batch as JSON in a line of its own."""

    async def submit(self, token: str, lines: BinaryIO) -> str:
        """Send a file of such lines as one batch; answers the provider's name of it. Tried once."""

    async def find(self, lost: Lost) -> str | None:
        """A batch that was perhaps made, if the provider has it; where it cannot tell by the token, the first that
        may be it: its results show."""

    async def look(self, batch_id: str) -> Standing:
        """Where the batch stands."""

    def results(self, batch_id: str, standing: Standing) -> AsyncIterator[tuple[str, Reply | ProviderError]]:
        """(custom id, what came of it) of a batch that is over, in any order; ``again``: it was not asked."""

    def objected(self, error: ProviderError, left_out: frozenset[str]) -> str | None:
        """The parameter that this error says is not taken, if it is one that was sent: none of those `left_out`."""

    async def close(self) -> None: ...


class BatchConnection(Connection):
    """An SDK's client that also downloads files of JSON Lines, however large."""

    async def lines(
        self, opened: Callable[[Any], AbstractAsyncContextManager[Any]]
    ) -> AsyncIterator[Mapping[str, Any]]:
        """The objects of a file, one after the other; `opened(client)` is a streaming response of the SDK.

        Raises
        ------
        ProviderError : the download fails or ends early, or a line is no JSON object.
        """
        failed = None
        rest = b""
        try:
            async with opened(self._opened()) as response:
                async for chunk in response.iter_bytes():
                    *whole, rest = (rest + chunk).split(b"\n")
                    for line in whole:
                        if line.strip():
                            yield self._read(line)
            if rest.strip():
                yield self._read(rest)
        except Exception as error:  # noqa: BLE001  as in `send`
            failed = provider_error(error, host=self.address.host, key=self.key_if_set())
        if failed is not None:
            raise failed

    async def listed(
        self, ask: Callable[[Any, dict[str, str]], Awaitable[Any]], after: str
    ) -> AsyncIterator[Mapping[str, Any]]:
        """The batches of a provider, newest first; `ask(client, page)` is a raw request of the SDK for one page, and
        `after` how its parameter for the next page is called."""
        page: dict[str, str] = {}
        for _ in range(_PAGES):
            found = await self._page(ask, page)
            batches = [batch for batch in found.get("data") or [] if isinstance(batch, Mapping)]
            for batch in batches:
                yield batch
            if not batches or not found.get("has_more"):
                return
            page = {after: text(batches[-1], "id")}

    async def _page(
        self, ask: Callable[[Any, dict[str, str]], Awaitable[Any]], page: dict[str, str]
    ) -> Mapping[str, Any]:
        return await self.send(lambda client: ask(client, page))

    def _read(self, line: bytes) -> Mapping[str, Any]:
        try:
            found = json.loads(self.without_key(line))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise malformed(self.address.host, "a line of results that is no JSON object")
        return found


def text(found: Mapping[str, Any], name: str) -> str:
    """A text that a reply must have.

    Raises
    ------
    ProviderError : ``again``: it has not.
    """
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise ProviderError(f"the batch API sent a reply that cannot be read (no {name} in it)", failure="again")
    return value


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again, a little later each time, what was only disturbed; for requests that may safely be sent twice.

    Raises
    ------
    ProviderError : the last one.
    """
    for tried in range(1, _TRIES + 1):
        try:
            return await ask()
        except ProviderError as error:
            if error.failure not in ("again", "slow down") or tried == _TRIES:
                raise
            await pause(tried, error)
    raise AssertionError  # never reached


async def pause(tried: int, error: ProviderError) -> None:
    """Wait as long as the server asked for, else twice as long after each try."""
    wait = error.retry_after if error.retry_after is not None else _FIRST_PAUSE * 2 ** (tried - 1)
    await asyncio.sleep(min(wait, _LONGEST_PAUSE) * random.uniform(1.0, 1.25))
