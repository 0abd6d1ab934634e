"""Anthropic's Message Batches: all requests in one, and their results in a stream when all of them are done.

https://platform.claude.com/docs/en/build-with-claude/batch-processing: 100,000 requests and 256 MB a batch, half the
price, a day at most.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, BinaryIO, Final

from interjudge.judges.batch_base import TIMEOUT, BatchConnection, Lost, Room, Standing, text
from interjudge.judges.llm_base import ProviderError, Reply, Request
from interjudge.judges.provider_anthropic import PARAMETERS, AnthropicProvider, open_anthropic, read_message
from interjudge.judges.provider_errors import objection, status_error

# The API takes 256 MB; the SDK holds all of it in memory several times over.
ROOM: Final = Room(requests=100_000, bytes=48_000_000)
_STATUS: Final = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "timeout_error": 504,
    "overloaded_error": 529,
}  # fmt: skip


class AnthropicBatches:
    """Batches of one model's requests."""

    name = "anthropic"
    room = ROOM

    def __init__(self, provider: AnthropicProvider) -> None:
        self._provider = provider
        self._connection = BatchConnection(provider.where, open_anthropic, TIMEOUT)
        self.refused: set[str] = set(provider.refused)

    @property
    def sends_schema(self) -> bool:
        return "format" not in self.refused or not {"tools", "tool_choice"} & self.refused

    def line(self, custom_id: str, request: Request) -> bytes:
        whole = {"custom_id": custom_id, "params": self._provider.body(request, frozenset(self.refused))}
        return json.dumps(whole, ensure_ascii=False).encode(errors="replace") + b"\n"

    async def submit(self, token: str, lines: BinaryIO) -> str:  # noqa: ARG002  the custom ids carry it
        lines.seek(0)
        requests = [json.loads(line) for line in lines]
        made = await self._connection.send(lambda c: c.messages.batches.with_raw_response.create(requests=requests))
        return text(made, "id")

    async def find(self, lost: Lost) -> str | None:
        """The oldest unknown batch of this size since then: the API shows no custom id before the results."""
        found = None
        async for batch in self._connection.listed(_list, "after_id"):
            if datetime.fromisoformat(text(batch, "created_at")) < lost.earliest:
                break
            counts = batch.get("request_counts") or {}
            if sum(counts.values()) == lost.size and batch.get("id") not in lost.known:
                found = text(batch, "id")
        return found

    async def look(self, batch_id: str) -> Standing:
        found = await self._connection.send(lambda c: c.messages.batches.with_raw_response.retrieve(batch_id))
        word = text(found, "processing_status")
        return Standing(word, over=word == "ended", gone=word == "ended" and not found.get("results_url"))

    async def results(self, batch_id: str, standing: Standing) -> AsyncIterator[tuple[str, Reply | ProviderError]]:  # noqa: ARG002
        async for line in self._connection.lines(
            lambda c: c.messages.batches.with_streaming_response.results(batch_id)
        ):
            yield str(line.get("custom_id")), self._outcome(line.get("result"))

    def objected(self, error: ProviderError, left_out: frozenset[str]) -> str | None:
        return objection(error, {name: words for name, words in PARAMETERS.items() if name not in left_out})

    async def close(self) -> None:
        await self._connection.close()

    def _outcome(self, result: object) -> Reply | ProviderError:
        host, key = self._connection.address.host, self._connection.key_if_set()
        kind = result.get("type") if isinstance(result, Mapping) else None
        if not isinstance(result, Mapping) or kind in ("expired", "canceled"):
            return status_error(408, f"the request was {kind} before it was asked", host=host, key=key)
        if kind != "succeeded" or not isinstance(result.get("message"), Mapping):
            body = result.get("error")
            inner = body.get("error") if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping) else body
            status = _STATUS.get(str(inner.get("type")), 500) if isinstance(inner, Mapping) else 500
            return status_error(status, body, host=host, key=key)
        try:
            return read_message(result["message"], host)
        except ProviderError as failed:
            return failed


async def _list(client: Any, page: dict[str, str]) -> Any:
    return await client.messages.batches.with_raw_response.list(limit=100, **page)
