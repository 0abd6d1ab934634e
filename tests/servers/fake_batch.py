"""A server on 127.0.0.1 that speaks the wire formats of OpenAI's Batch API and of Anthropic's Message Batches.

    with FakeBatch(script=lambda n: Script(fate=...)) as server:
        server.v1, server.url           # addresses for the openai and the anthropic SDK
        server.batches                  # id -> Record, oldest first
        server.billed                   # Counter: digest of a prompt -> how often it was answered
        server.requests                 # (method, path) of all HTTP requests

Endpoints: `POST /v1/files`, `GET /v1/files/ID/content`, `POST|GET /v1/batches`, `GET /v1/batches/ID`, and the same
under `/v1/messages/batches` with `/results`. Single requests are answered too, and counted in `singles`.

A batch takes the next of its `Script.states` each time somebody looks; the last one stays. When it is over every
request meets its fate: `Script.fate(custom id, Asked)` is None (answered), a fault of `fake_answers.reply`
(``refused``, ``filtered``, ``length``, ...), a number (that HTTP status as its error), ``expired``, ``canceled``,
``missing`` (no line at all), ``garbled`` (an answer of the wrong types), or ``objects:PARAM``.
`disturb(method, path, number)` spoils an HTTP request: a status, ``429:SECONDS``, ``drop`` (before it is done),
``drop after`` (it is done, and no answer comes), ``half`` (half of the answer), or a path of seconds ``wait:SECONDS``.
"""

from __future__ import annotations

import email.parser
import email.policy
import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from fake_answers import BAD, WRONG_TYPES, Asked, error, get, masked, reply, texts

OPENAI_STATES: Final = ("validating", "in_progress", "finalizing", "completed")
ANTHROPIC_STATES: Final = ("in_progress", "ended")
SINGLE: Final = {"/v1/chat/completions": "chat", "/v1/responses": "responses", "/v1/messages": "messages"}
OVER: Final = {"completed", "expired", "cancelled", "failed", "ended"}
_CUSTOM_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MOST: Final = {"openai": (50_000, 200_000_000), "anthropic": (100_000, 256_000_000)}
_KINDS: Final = {400: "invalid_request_error", 401: "authentication_error", 413: "request_too_large",
                 429: "rate_limit_error", 529: "overloaded_error"}  # fmt: skip

Fate = Callable[[str, Asked], str | None]


@dataclass(frozen=True)
class Script:
    """What happens to one batch. `errors`: of the whole of it, where its last state is ``failed``."""

    states: tuple[str, ...] = ()
    fate: Fate | None = None
    errors: tuple[dict[str, Any], ...] = ()


@dataclass
class Record:
    """One batch: `lines` as they came, `looks` taken so far, `files` of results by name."""

    id: str
    kind: str
    lines: list[dict[str, Any]]
    script: Script
    made: float
    endpoint: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    looks: int = 0
    results: list[bytes] | None = None
    errors: list[bytes] = field(default_factory=list)
    problems: tuple[dict[str, Any], ...] = ()

    @property
    def state(self) -> str:
        default = OPENAI_STATES if self.kind == "openai" else ANTHROPIC_STATES
        states = self.script.states or default
        return "failed" if self.problems else states[min(self.looks, len(states) - 1)]


class FakeBatch:
    """The server in a thread; a context manager."""

    def __init__(
        self,
        *,
        script: Callable[[int], Script] | None = None,
        answer: Callable[[Asked], str | None] | None = None,
        disturb: Callable[[str, str, int], str | None] | None = None,
        keys: Iterable[str] = (),
    ) -> None:
        self.script = script or (lambda _: Script())
        self.answer, self.disturb, self.keys = answer, disturb or (lambda *_: None), frozenset(keys)
        self.batches: dict[str, Record] = {}
        self.files: dict[str, bytes] = {}
        self.billed: Counter[str] = Counter()
        self.bodies: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.singles = 0
        self.lock = threading.RLock()

    url = property(lambda self: f"http://127.0.0.1:{self.http.server_port}")
    v1 = property(lambda self: f"{self.url}/v1")

    def __enter__(self) -> FakeBatch:
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": self}))
        self.http.daemon_threads = True
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()
        self._thread.join(10)

    # Batches.

    def add(self, kind: str, lines: list[dict[str, Any]], **more: Any) -> Record:
        number = len(self.batches) + 1
        name = f"batch_{number}" if kind == "openai" else f"msgbatch_{number}"
        record = Record(name, kind, lines, self.script(number), time.time(), **more)
        record.problems = tuple(self._invalid(record)) or (
            record.script.errors if record.script.states[-1:] == ("failed",) else ()
        )
        self.batches[name] = record
        return record

    def _invalid(self, record: Record) -> Iterable[dict[str, Any]]:
        names = [str(line.get("custom_id")) for line in record.lines]
        if len(set(names)) < len(names):
            yield {"code": "duplicate_custom_id", "message": "custom ids must be unique", "line": 1, "param": None}
        if record.kind == "anthropic" and not all(_CUSTOM_ID.fullmatch(name) for name in names):
            yield {"code": "invalid_request_error", "message": "custom_id has a bad form"}
        if record.kind == "openai" and any(line.get("url") != record.endpoint for line in record.lines):
            yield {"code": "mismatched_endpoint", "message": "url is not the batch's endpoint", "line": 1}
        if len(names) > _MOST[record.kind][0]:
            yield {"code": "too_many_tasks", "message": "too many requests"}

    def look(self, record: Record) -> dict[str, Any]:
        if record.state in OVER and record.state != "failed" and record.results is None:
            self._run(record)
        shown = self._openai(record) if record.kind == "openai" else self._anthropic(record)
        record.looks += 1
        return shown

    def _run(self, record: Record) -> None:
        record.results = []
        for line in record.lines:
            outcome = self._one(record, line)
            if outcome is not None:
                (record.errors if outcome[0] else record.results).append(json.dumps(outcome[1]).encode())
        record.results.reverse()  # in no particular order
        if record.kind == "openai":
            for name, rows in (("output", record.results), ("error", record.errors)):
                if rows:
                    self.files[f"file-{record.id}-{name}"] = b"".join(row + b"\n" for row in rows)

    def _one(  # noqa: PLR0911  one for each fate
        self, record: Record, line: dict[str, Any]
    ) -> tuple[bool, dict[str, Any]] | None:
        """Whether it goes into the file of errors, and the line; None: no line at all."""
        openai = record.kind == "openai"
        body = line["body"] if openai else line["params"]
        endpoint = {"/v1/responses": "responses", "/v1/chat/completions": "chat"}.get(record.endpoint, "messages")
        system, user = texts(endpoint, body)
        digest = hashlib.sha256(masked(f"{body.get('model')}\0{system}\0{user}").encode()).hexdigest()[:16]
        asked = Asked(len(self.bodies) + 1, self.billed[digest] + 1, endpoint, str(body.get("model")), user, system,
                      digest, body, {})  # fmt: skip
        fate = (record.script.fate and record.script.fate(line["custom_id"], asked)) or ""
        custom_id, request_id = line["custom_id"], f"req_{asked.number}"
        name, _, param = fate.partition(":")
        if name == "objects" and get(body, param) is None:
            name = fate = ""
        if name == "missing":
            return None
        if name in ("expired", "canceled"):
            words = "This request could not be executed before the completion window expired."
            failed = {"code": f"batch_{'expired' if name == 'expired' else 'cancelled'}", "message": words}
            if openai:
                return True, {"id": request_id, "custom_id": custom_id, "response": None, "error": failed}
            return False, {"custom_id": custom_id, "result": {"type": name}}
        if name.isdigit() or name == "objects":
            status = int(name) if name.isdigit() else 400
            words = "something went wrong" if not param else f"Unsupported parameter: '{param}' is not supported."
            whole = error(endpoint, status, param if name.isdigit() and param else words, None, param or None)
            if not openai:
                return False, {"custom_id": custom_id, "result": {"type": "errored", "error": whole}}
            answered = {"status_code": status, "request_id": request_id, "body": whole}
            return True, {"id": request_id, "custom_id": custom_id, "response": answered, "error": None}
        self.billed[digest] += 1
        self.bodies[custom_id] = body
        found = WRONG_TYPES[endpoint] if name == "garbled" else BAD.get(name) or reply(
            asked, name, frozenset(), self.answer
        )  # fmt: skip
        if not openai:
            return False, {"custom_id": custom_id, "result": {"type": "succeeded", "message": found}}
        answered = {"status_code": 200, "request_id": request_id, "body": found}
        return False, {"id": request_id, "custom_id": custom_id, "response": answered, "error": None}

    def _openai(self, record: Record) -> dict[str, Any]:
        state, over = record.state, record.results is not None
        names = [name if over and f"file-{record.id}-{name}" in self.files else None for name in ("output", "error")]
        output, errors = (name and f"file-{record.id}-{name}" for name in names)
        problems = {"object": "list", "data": list(record.problems)} if record.problems else None
        return {
            "id": record.id, "object": "batch", "endpoint": record.endpoint, "errors": problems,
            "input_file_id": "file-input", "completion_window": "24h", "status": state, "output_file_id": output,
            "error_file_id": errors, "created_at": int(record.made), "metadata": record.metadata,
            "request_counts": {"total": len(record.lines), "completed": len(record.results or ()), "failed": 0},
        }  # fmt: skip

    def _anthropic(self, record: Record) -> dict[str, Any]:
        state, ended = record.state, record.state == "ended"
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        for row in record.results or ():
            counts[json.loads(row)["result"]["type"]] += 1
        counts["processing"] = len(record.lines) - sum(counts.values())
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.made))
        return {
            "id": record.id, "type": "message_batch", "processing_status": state, "request_counts": counts,
            "created_at": moment, "expires_at": moment, "ended_at": moment if ended else None,
            "results_url": f"{self.url}/v1/messages/batches/{record.id}/results" if ended else None,
            "archived_at": None, "cancel_initiated_at": None,
        }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    fake: FakeBatch
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet: else each waits for the other's acknowledgement

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._handle("GET", b"")

    def do_POST(self) -> None:
        self._handle("POST", self.rfile.read(int(self.headers.get("content-length") or 0)))

    def _handle(self, method: str, raw: bytes) -> None:
        fake, path = self.fake, urlsplit(self.path).path
        with fake.lock:
            fake.requests.append((method, path))
            fault, _, value = (fake.disturb(method, path, len(fake.requests)) or "").partition(":")
            if fault == "drop":
                self.close_connection = True
                return
            if fault.isdigit():
                kind = "messages" if "/messages/" in path else "chat"
                headers = {"Retry-After": value} if value else {}
                self._send(int(fault), json.dumps(error(kind, int(fault), "disturbed")).encode(), headers)
                return
            if fault == "wait":
                time.sleep(float(value))
            status, body = self._answer(method, path, raw)
        if fault == "drop after":
            self.close_connection = True
            return
        self._send(status, body, half=fault == "half")

    def _answer(self, method: str, path: str, raw: bytes) -> tuple[int, bytes]:  # noqa: PLR0911  one for each endpoint
        fake = self.fake
        anthropic = path.startswith("/v1/messages/batches")
        key = self.headers.get("x-api-key") or self.headers.get("authorization", "").removeprefix("Bearer ")
        if fake.keys and key not in fake.keys:  # no real server repeats the key
            said = error("messages" if anthropic else "chat", 401, f"Incorrect API key provided: {key}")
            return 401, json.dumps(said).encode()
        parts = path.removeprefix("/v1/messages/batches" if anthropic else "/v1").strip("/").split("/")
        if anthropic:
            return self._anthropic(method, [part for part in parts if part], raw)
        if (endpoint := SINGLE.get(path)) and method == "POST":
            body = json.loads(raw)
            system, user = texts(endpoint, body)
            fake.singles += 1
            asked = Asked(fake.singles, 1, endpoint, str(body.get("model")), user, system, "", body, {})
            return 200, json.dumps(reply(asked, "", frozenset(), fake.answer)).encode()
        if path == "/v1/files" and method == "POST":
            return self._upload(raw)
        if parts[0] == "files" and parts[-1] == "content":
            found = fake.files.get(parts[1])
            return (404, _missing("chat")) if found is None else (200, found)
        if path == "/v1/batches" and method == "POST":
            given = json.loads(raw)
            lines = [json.loads(line) for line in fake.files[given["input_file_id"]].splitlines()]
            made = fake.add("openai", lines, endpoint=given["endpoint"], metadata=given.get("metadata") or {})
            return 200, json.dumps(fake._openai(made)).encode()
        return self._batches("openai", parts[1:], fake._openai)

    def _anthropic(self, method: str, parts: list[str], raw: bytes) -> tuple[int, bytes]:
        fake = self.fake
        if method == "POST":
            record = fake.add("anthropic", json.loads(raw)["requests"])
            if record.problems:  # refused at once
                del fake.batches[record.id]
                return 400, json.dumps(error("messages", 400, record.problems[0]["message"])).encode()
            return 200, json.dumps(fake._anthropic(record)).encode()
        if parts[-1:] == ["results"]:
            record = fake.batches[parts[0]]
            return 200, b"".join(row + b"\n" for row in record.results or ())
        return self._batches("anthropic", parts, fake._anthropic)

    def _batches(self, kind: str, parts: list[str], show: Callable[[Record], dict[str, Any]]) -> tuple[int, bytes]:
        fake = self.fake
        if not parts:
            query = parse_qs(urlsplit(self.path).query)
            after = query.get("after" if kind == "openai" else "after_id", [""])[0]
            newest = [record for record in reversed(fake.batches.values()) if record.kind == kind]
            start = next((i + 1 for i, record in enumerate(newest) if record.id == after), 0)
            limit = int(query.get("limit", ["20"])[0])
            page = [show(record) for record in newest[start : start + limit]]
            more = len(newest) > start + limit
            return 200, json.dumps({"object": "list", "data": page, "has_more": more}).encode()
        record = fake.batches.get(parts[0])
        if record is None or record.kind != kind:
            return 404, _missing("chat" if kind == "openai" else "messages")
        return 200, json.dumps(fake.look(record)).encode()

    def _upload(self, raw: bytes) -> tuple[int, bytes]:
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + raw)
        parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
        content = parts["file"].get_payload(decode=True)
        assert isinstance(content, bytes)
        assert parts["purpose"].get_payload() == "batch"
        name = f"file-{len(self.fake.files) + 1}"
        self.fake.files[name] = content
        shown = {"id": name, "object": "file", "bytes": len(content), "created_at": int(time.time()),
                 "filename": parts["file"].get_filename(), "purpose": "batch", "status": "processed"}  # fmt: skip
        return 200, json.dumps(shown).encode()

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, *, half: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if half else body)
        if half:
            self.close_connection = True


def _missing(kind: str) -> bytes:
    return json.dumps(error(kind, 404, "No such thing")).encode()
