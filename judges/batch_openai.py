"""OpenAI's Batch API: a file of requests goes up, and a day later at most files of answers and of errors come down.

https://developers.openai.com/api/docs/guides/batch: 50,000 requests and 200 MB a batch, half the price.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any, BinaryIO, Final

from interjudge.judges.batch_base import TIMEOUT, BatchConnection, Lost, Room, Standing, patiently, text
from interjudge.judges.llm_base import ProviderError, Reply, Request
from interjudge.judges.openai_reply import read_chat, read_response
from interjudge.judges.provider_errors import objection, status_error
from interjudge.judges.provider_openai import (
    OpenAIProvider,
    error_inside,
    open_openai,
)

ROOM: Final = Room(requests=50_000, bytes=190_000_000)
_OVER: Final = ("completed", "expired", "cancelled", "failed")
_LATER: Final = ("token_limit_exceeded", "rate_limit")  # the queue of the account is full: it takes the batch later
# An answer's code where there is no HTTP status: the request was never asked.
_NOT_ASKED: Final = ("batch_expired", "batch_cancelled")


class OpenAIBatches:
    """Batches of one model's requests to the API that its provider uses."""

    name = "openai"
    room = ROOM

    def __init__(self, provider: OpenAIProvider) -> None:
        self._provider = provider
        self._connection = BatchConnection(provider.where, open_openai, TIMEOUT)
        self.refused: set[str] = set(provider.refused)
        self._url = "/v1/chat/completions" if provider.api == "chat" else "/v1/responses"

    @property
    def sends_schema(self) -> bool:
        return not {"response_format", "text"} & self.refused

    def line(self, custom_id: str, request: Request) -> bytes:
        body = self._provider.body(request, frozenset(self.refused))
        whole = {"custom_id": custom_id, "method": "POST", "url": self._url, "body": body}
        return json.dumps(whole, ensure_ascii=False).encode(errors="replace") + b"\n"

    async def submit(self, token: str, lines: BinaryIO) -> str:
        async def upload() -> Mapping[str, Any]:
            lines.seek(0)
            file = (f"interjudge-{token}.jsonl", lines)
            return await self._connection.send(lambda c: c.files.with_raw_response.create(file=file, purpose="batch"))

        file = await patiently(upload)  # a file that is there twice costs nothing
        made = await self._connection.send(
            lambda c: c.batches.with_raw_response.create(
                input_file_id=text(file, "id"), endpoint=self._url, completion_window="24h",
                metadata={"interjudge": token},
            )
        )  # fmt: skip
        return text(made, "id")

    async def find(self, lost: Lost) -> str | None:
        async for batch in self._connection.listed(_list, "after"):
            if (batch.get("metadata") or {}).get("interjudge") == lost.token:
                return text(batch, "id")
            if (batch.get("created_at") or 0) < lost.earliest.timestamp():
                return None
        return None

    async def look(self, batch_id: str) -> Standing:
        found = await self._connection.send(lambda c: c.batches.with_raw_response.retrieve(batch_id))
        word = text(found, "status")
        if word == "failed":
            return Standing(word, over=True, refused=self._refusal(found))
        files = tuple(found[name] for name in ("output_file_id", "error_file_id") if found.get(name))
        return Standing(word, over=word in _OVER, files=files)

    async def results(self, batch_id: str, standing: Standing) -> AsyncIterator[tuple[str, Reply | ProviderError]]:  # noqa: ARG002
        for file in standing.files:
            async for line in self._connection.lines(partial(_download, file)):
                yield str(line.get("custom_id")), self._outcome(line)

    def objected(self, error: ProviderError, left_out: frozenset[str]) -> str | None:
        names = self._provider.parameters
        return objection(error, {name: words for name, words in names.items() if name not in left_out})

    async def close(self) -> None:
        await self._connection.close()

    def _outcome(self, line: Mapping[str, Any]) -> Reply | ProviderError:
        host, key = self._connection.address.host, self._connection.key_if_set()
        response, error = line.get("response"), line.get("error")
        if not isinstance(response, Mapping):
            code = error.get("code") if isinstance(error, Mapping) else None
            status = 408 if code in _NOT_ASKED else 500
            return status_error(
                status, {"error": dict(error)} if isinstance(error, Mapping) else None, host=host, key=key
            )
        answered, body = response.get("status_code"), response.get("body")
        if not isinstance(body, Mapping) or answered != 200:
            status = answered if isinstance(answered, int) else 500
            return status_error(status, body, host=host, key=key)
        if isinstance(body.get("error"), Mapping):
            return error_inside(body["error"], host, self._connection)
        try:
            return (read_chat if self._provider.api == "chat" else read_response)(body, host)
        except ProviderError as failed:
            return failed

    def _refusal(self, found: Mapping[str, Any]) -> ProviderError:
        """Why all of a batch was refused: what its first error says."""
        errors = found.get("errors")
        several = errors.get("data") if isinstance(errors, Mapping) else None
        first: Mapping[str, Any] = several[0] if isinstance(several, list) and several else {}
        code = str(first.get("code") or "")
        status = 429 if code.startswith(_LATER) else 400
        return status_error(
            status, {"error": dict(first)}, host=self._connection.address.host, key=self._connection.key_if_set()
        )


def _download(file: str, client: Any) -> Any:
    return client.files.with_streaming_response.content(file)


async def _list(client: Any, page: dict[str, str]) -> Any:
    return await client.batches.with_raw_response.list(limit=100, **page)
