"""A server on 127.0.0.1 that speaks the wire formats of OpenAI and Anthropic, and fails as it is told to.

    with FakeLLM() as server:                        # a thread of this process; Process(...) is one of its own
        base_url = server.v1                         # for the openai SDK; `server.url` for the anthropic SDK
        server.count, server.counts["chat"]          # requests that came, in all and by endpoint
        server.answered                              # requests that were answered with a verdict
        server.peak                                  # the most requests that were open at one time
        server.prompts                               # Counter: hash of a prompt -> how often it was asked
        server.last[-1].body                         # the last 1,000 requests (`Asked`); not with Process

Endpoints: `/v1/chat/completions`, `/v1/responses`, `/v1/messages`, `/v1/moderations`, `/v1/completions`.

An answer is a function of the model and the last user message (long runs of hex digits, such as a random
boundary, count as one sign): with a JSON schema an object of it, every enum value, number or boolean picked by the
hash; else the last tags `<verdict>...</verdict>` of the prompt, filled (`a|b` and `1-5` inside them are choices);
else a whole number 0 to 100. `answer=` takes a function `Asked -> str | Spelled | None` that writes the text instead,
or the text with its tokens and what could have stood in their places.

Faults: `plan=` is a mapping of request numbers (from 1) to faults, or a function `Asked -> fault | None`, such as
`Seeded(seed, passing={"429": .1, "500": .05}, lasting={"filtered": .02})`. A fault is one of `FAULTS`, some with a
value after a colon: `429:2` asks to wait 2 seconds. Quirks: `quirks={"old", ...}` of `QUIRKS`, for the server's
whole life. `latency=0.02`: seconds before every answer. `keys={"sk-..."}`: any other key is wrong; the server then
says the key it got, which no real one does.

On the command line: `python tests/servers/fake_llm.py --port 8000 --latency 0.02 --seed 1 --passing 429=.1,500=.05
--lasting filtered=.02`; prints its address; `GET /stats` answers the counts as JSON. It ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import email.utils
import hashlib
import json
import math
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fake_answers import BAD, WRONG_TYPES, Asked, Spelled, error, get, hashed, masked, reply, texts

FAULTS: Final = {
    "429": "too many requests, without Retry-After; `429:2` with it; `429-ms:50`, `429-date:2`, `429-reset:2`",
    "quota": "429 insufficient_quota",
    "400": "a bad request, or any other status by its number (401, 404, 500, ...); `404:words` says these words",
    "policy": "400 content_filter: the prompt is refused",
    "hang": "no answer ever",
    "drop": "the connection is reset before an answer",
    "half": "half of the answer, then the sending side is closed",
    "truncated": "half of the answer, then the connection is closed",
    "malformed": "200 with half of the JSON", "html": "200 with a web page", "null": "200 with null",
    "empty": "200 with {}", "wrong types": "200 with numbers for texts and texts for lists",
    "slow": "the answer in ten pieces over `slow:1` second",
    "close": "a good answer, and the connection closed without a word",
    "filtered": "200, stopped by the content filter", "refused": "200, the model declines",
    "length": "200, cut off at the token limit", "snapshot": "another snapshot of the model",
    "ignore schema": "an answer in prose", "ignore logprobs": "no log probabilities",
    "out of scale": "an answer outside the schema's choices",
}  # fmt: skip
QUIRKS: Final = {
    "old": "does not know max_completion_tokens", "new": "does not take max_tokens",
    "no temperature": "400 on a temperature", "no seed": "400 on a seed", "no logprobs": "400 on log probabilities",
    "no schema": "400 on a schema", "no effort": "400 on an effort", "no usage": "no token counts",
    "ignore schema": "every answer in prose", "ignore logprobs": "no log probabilities",
}  # fmt: skip
ENDPOINTS: Final = {
    "/v1/chat/completions": "chat", "/v1/responses": "responses",
    "/v1/messages": "messages", "/v1/moderations": "moderations", "/v1/completions": "completions",
}  # fmt: skip


Plan = Mapping[int, str] | Callable[[Asked], str | None]


@dataclass(frozen=True)
class Seeded:
    """Faults by chance, the same in every run: `passing` strike a try, and none after `tries`; `lasting` a prompt."""

    seed: int = 0
    passing: Mapping[str, float] = field(default_factory=dict)
    lasting: Mapping[str, float] = field(default_factory=dict)
    tries: int = 3

    def __call__(self, asked: Asked) -> str | None:
        if asked.tries <= self.tries and (fault := self._drawn(self.passing, f"{asked.digest}/{asked.tries}")):
            return fault
        return self._drawn(self.lasting, asked.digest)

    def _drawn(self, shares: Mapping[str, float], what: str) -> str | None:
        left = hashed(f"{self.seed}/{what}") / 2**32
        for fault, share in shares.items():
            if left < share:
                return fault
            left -= share
        return None


@dataclass
class Stats:
    count: int = 0
    answered: int = 0
    open: int = 0
    peak: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    prompts: Counter[str] = field(default_factory=Counter)
    last: deque[Asked] = field(default_factory=lambda: deque(maxlen=1000))


class FakeLLM:
    """The server in a thread; `start` and `stop`, or a context manager. Its counts may be read at any time."""

    def __init__(
        self,
        *,
        plan: Plan | None = None,
        answer: Callable[[Asked], str | Spelled | None] | None = None,
        quirks: Iterable[str] = (),
        latency: float = 0.0,
        keys: Iterable[str] = (),
        port: int = 0,
    ) -> None:
        self.plan = plan
        self.answer = answer
        self.quirks = frozenset(quirks)
        self.latency = latency
        self.keys = frozenset(keys)
        self.port = port
        self.stats = Stats()
        unknown = self.quirks - set(QUIRKS)
        if unknown:
            raise ValueError(f"unknown quirks {unknown}")

    url = property(lambda self: f"http://127.0.0.1:{self.port}")
    v1 = property(lambda self: f"{self.url}/v1")
    count = property(lambda self: self.stats.count)
    counts = property(lambda self: self.stats.counts)
    answered = property(lambda self: self.stats.answered)
    peak = property(lambda self: self.stats.peak)
    faults = property(lambda self: self.stats.faults)
    prompts = property(lambda self: self.stats.prompts)
    last = property(lambda self: self.stats.last)

    def __enter__(self) -> FakeLLM:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> FakeLLM:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve(lambda _: ready.set())), daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the fake server did not start")
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    async def serve(self, started: Callable[[str], object]) -> None:
        """Serves until `stop`; calls `started` with the address."""
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._connections: set[_Connection] = set()
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=4096)
        self.port = server.sockets[0].getsockname()[1]
        started(self.url)
        await self._over.wait()
        server.close()
        for connection in list(self._connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    def asked(self, path: str, headers: dict[str, str], raw: bytes) -> Asked | None:
        """The request, counted; None for an address that is not there."""
        endpoint = ENDPOINTS.get(path)
        if endpoint is None:
            return None
        body = json.loads(raw)
        system, user = texts(endpoint, body)
        model = str(body.get("model"))
        whole = masked(f"{endpoint}\0{model}\0{system}\0{user}")
        digest = hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()[:16]
        stats = self.stats
        stats.count += 1
        stats.counts[endpoint] += 1
        stats.prompts[digest] += 1
        found = Asked(stats.count, stats.prompts[digest], endpoint, model, user, system, digest, body, headers)
        stats.last.append(found)
        return found

    def fault(self, asked: Asked) -> str:
        plan = self.plan
        found = (plan(asked) if callable(plan) else (plan or {}).get(asked.number)) or ""
        if found:
            self.stats.faults[found] += 1
        return found


class Process:
    """The server as a process of its own (`--port`, ...), with the counts of `FakeLLM` but `last`."""

    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments

    def __enter__(self) -> Process:
        command = [sys.executable, __file__, *self.arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self.v1 = f"{self.url}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=10)  # closes its standard input

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in {"count", "counts", "answered", "open", "peak", "faults", "prompts"}:
            raise AttributeError(name)
        with urllib.request.urlopen(f"{self.url}/stats", timeout=30) as reply:
            found = json.load(reply)[name]
        return Counter(found) if isinstance(found, dict) else found


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request after the other; nothing that the SDKs do not send."""

    transport: asyncio.Transport

    def __init__(self, server: FakeLLM) -> None:
        self.server = server
        self.stats = server.stats
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self.server._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        first, *lines = self.buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(self.buffer) < end + 4 + length:
            return
        raw, self.buffer = self.buffer[end + 4 : end + 4 + length], b""
        path = first.split(" ")[1].split("?")[0]
        if path == "/stats":
            self.send(200, {name: value for name, value in vars(self.stats).items() if name != "last"})
            return
        asked = self.server.asked(path, headers, raw)
        if asked is None:
            self.send(404, error("chat", 404, "no such address"))
            return
        self.stats.open += 1
        self.stats.peak = max(self.stats.peak, self.stats.open)
        if self.server.latency:
            self.server._loop.call_later(self.server.latency, self.handle, asked)
        else:
            self.handle(asked)

    def handle(self, asked: Asked) -> None:
        if self.transport.is_closing():  # whoever asked is gone
            self.stats.open -= 1
            return
        fault, _, value = self.server.fault(asked).partition(":")
        if fault == "hang":
            return
        self.stats.open -= 1
        wrong = self._wrong(asked)
        if wrong is not None:
            self.send(*wrong)
        elif fault == "drop":
            self.transport.abort()
        elif fault.startswith("429"):
            self.send(429, error(asked.endpoint, 429, "Rate limit reached"), _waits(asked.endpoint, fault, value))
        elif fault == "quota":
            self.send(429, error(asked.endpoint, 429, "You exceeded your current quota", "insufficient_quota"))
        elif fault == "policy":
            message = "The response was filtered due to the prompt triggering the content management policy"
            self.send(400, error(asked.endpoint, 400, message, "content_filter"))
        elif fault.isdigit():
            self.send(int(fault), error(asked.endpoint, int(fault), value or "something went wrong"))
        else:
            self.answer(asked, fault, value)

    def answer(self, asked: Asked, fault: str, value: str) -> None:
        """A reply with status 200, good or not."""
        bad = BAD.get(fault)
        if bad is not None:
            self.send(200, bad)
            return
        if fault == "wrong types":
            self.send(200, WRONG_TYPES[asked.endpoint])
            return
        body = json.dumps(reply(asked, fault, self.server.quirks, self.server.answer)).encode()
        if fault == "malformed":
            self.send(200, body[: len(body) // 2])
        elif fault in ("half", "truncated"):
            self.transport.write(_head(200, len(body)) + body[: len(body) // 2])
            if fault == "half":
                self.transport.write_eof()
            else:
                self.transport.close()
        elif fault == "slow":
            self.stats.answered += 1
            self.transport.write(_head(200, len(body)))
            pause, step = float(value or 1) / 10, math.ceil(len(body) / 10)
            for i in range(10):
                piece = body[i * step : (i + 1) * step]
                self.server._loop.call_later(pause * (i + 1), self.transport.write, piece)
        else:
            self.stats.answered += 1
            self.send(200, body)
            if fault == "close":
                self.transport.close()

    def send(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        kind = "text/html" if isinstance(body, str) else "application/json"
        raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.transport.write(_head(status, len(raw), headers, kind) + raw)

    def _wrong(self, asked: Asked) -> tuple[int, object] | None:
        """What the server's keys and quirks object to."""
        key = asked.headers.get("x-api-key") or asked.headers.get("authorization", "").removeprefix("Bearer ")
        if self.server.keys and key not in self.server.keys:
            message = f"Incorrect API key provided: {key}. Authorization: Bearer {key}"
            return 401, error(asked.endpoint, 401, message, "invalid_api_key")
        for quirk, names in _REJECTED.items():
            for name in names:
                if quirk in self.server.quirks and get(asked.body, name) is not None:
                    message = f"Unsupported parameter: '{name}' is not supported with this model."
                    return 400, error(asked.endpoint, 400, message, "unsupported_parameter", name)
        return None


_REJECTED: Final = {
    "old": ("max_completion_tokens",),
    "new": ("max_tokens",),
    "no temperature": ("temperature",),
    "no seed": ("seed",),
    "no logprobs": ("logprobs", "top_logprobs"),
    "no schema": ("response_format", "text.format", "output_config.format"),
    "no effort": ("reasoning_effort", "reasoning.effort", "output_config.effort"),
}


def _head(status: int, length: int, headers: Mapping[str, str] | None = None, kind: str = "application/json") -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}\r\n".encode()


def _waits(endpoint: str, fault: str, value: str) -> dict[str, str]:
    if not value:
        return {}
    if fault == "429-ms":
        return {"retry-after-ms": value}
    if fault == "429-date":
        return {"Retry-After": email.utils.formatdate(time.time() + float(value), usegmt=True)}
    if fault == "429-reset" and endpoint == "messages":
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + float(value)))
        return {"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": moment}
    if fault == "429-reset":
        return {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{value}s"}
    return {"Retry-After": value}


def _shares(text: str) -> dict[str, float]:
    """`429=.1,500=.05` as a mapping."""
    return {name: float(share) for name, _, share in (part.partition("=") for part in text.split(",") if part)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--passing", type=_shares, default={}, help="429=.1,500=.05")
    parser.add_argument("--lasting", type=_shares, default={}, help="filtered=.02,refused=.01")
    parser.add_argument("--tries", type=int, default=3, help="no passing fault after so many tries of a prompt")
    parser.add_argument("--quirks", default="", help="old,no usage")
    parser.add_argument("--forever", action="store_true", help="go on when the standard input ends")
    given = parser.parse_args()
    plan = Seeded(given.seed, given.passing, given.lasting, given.tries)
    quirks = [quirk for quirk in given.quirks.split(",") if quirk]
    with FakeLLM(plan=plan, quirks=quirks, latency=given.latency, port=given.port) as server:
        print(server.url, flush=True)
        if given.forever:
            threading.Event().wait()
        sys.stdin.read()


if __name__ == "__main__":
    main()
