"""The page of a review and what it asks for, on 127.0.0.1 alone, under a random token, for no other origin."""

from __future__ import annotations

import hmac
import json
import secrets
import sys
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from interjudge.errors import InputError, InterjudgeError
from interjudge.reports.escape import visible, visible_lines
from interjudge.review_labels import Labels
from interjudge.review_queue import Queue

ADDRESS: Final = "127.0.0.1"
MOST_BODY: Final = 100_000  # bytes of a request: a label and a note
MOST_TEXT: Final = 200_000  # characters of a text on the page; the middle of a longer one is left out
MOST_NAME: Final = 80


@dataclass
class Review:
    """One review: the queue, where labels go, and what the page may show of an output.

    `texts`: item id -> prompt, response and what else is known of the output. `verdicts`: item id -> every judge's
    verdict, shown where the reviewer asks. `confidence`: of the interval. `changed` is called after each change.
    """

    queue: Queue
    labels: Labels
    texts: Mapping[str, Mapping[str, str]]
    verdicts: Mapping[str, list[dict[str, Any]]]
    confidence: float = 0.95
    reviewer: str = ""  # suggested on the page
    automatic: Collection[str] = ()  # names of judges, which are no reviewers'
    lock: threading.Lock = field(default_factory=threading.Lock)
    shown: set[tuple[str, str]] = field(default_factory=set)  # reviewer and output of whom the judges were seen

    def state(self, reviewer: str, at: int | None = None) -> dict[str, Any]:
        """What the page shows: the output at place `at`, or the first without a label, and how far the review is."""
        mine = self.labels.of(reviewer)
        items = self.queue.items
        if at is None:
            at = next((n for n, item in enumerate(items) if item.item_id not in mine), len(items))
        at = max(0, min(at, len(items)))
        return {
            "question": visible(f"{self.queue.construct_name}: {' or '.join(self.queue.labels)}?", 300),
            "labels": list(self.queue.labels),
            "reviewer": reviewer,
            "reviewers": sorted({row["judge"] for row in self.labels.rows()}),
            "total": len(items),
            "done": sum(item.item_id in mine for item in items),
            "at": at,
            "item": None if at == len(items) else self._item(at, mine),
            "rate": self._rates(reviewer),
        }

    def _item(self, at: int, mine: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        item = self.queue.items[at]
        known = self.texts.get(item.item_id, {})
        given = mine.get(item.item_id)
        return {
            "item_id": item.item_id,
            "prompt": _cut(known.get("prompt", "")),
            "response": _cut(known.get("response", "")),
            "given": given,
        }

    def judges(self, item_id: str, reviewer: str) -> dict[str, Any]:
        """What a reviewer is blind to unless asked: the judges' verdicts, the model, why this output is here.

        A label that this reviewer gives from now on says that the judges were seen.
        """
        item = next((item for item in self.queue.items if item.item_id == item_id), None)
        if item is None:
            raise InputError("no such output in this review")
        self.shown.add((reviewer, item_id))
        known = self.texts.get(item_id, {})
        about = {name: visible(known[name], 200) for name in ("model", "benchmark", "category") if known.get(name)}
        return {"verdicts": self.verdicts.get(item_id, []), "about": about, "why": visible(item.why, 300)}

    def label(self, said: Mapping[str, Any]) -> str:
        """Keep what a reviewer said of an output; answers the reviewer's name.

        Raises
        ------
        InputError : a field is missing or not what it must be.
        """
        reviewer, item_id, label = reviewer_name(said.get("reviewer")), said.get("item_id"), said.get("label")
        if reviewer in self.automatic:
            raise InputError("the reviewer's name is that of a judge", expected="another name")
        item = next((item for item in self.queue.items if item.item_id == item_id), None)
        if item is None:
            raise InputError("no such output in this review")
        if label is not None and label not in self.queue.labels:
            raise InputError("no such label", expected=", ".join(self.queue.labels))
        note = said.get("note")
        if note is not None and not isinstance(note, str):
            raise InputError("the note is no text")
        row = {
            "item_id": item.item_id, "judge": reviewer, "repeat": 0, "judge_kind": "human",
            "construct": self.queue.construct_name, "status": "judge_refused" if label is None else "ok",
            "label": label, "rationale": _whole(note or "") or None,
            # in order of doubt the labels are no sample
            "inclusion_probability": item.inclusion_probability if self.queue.sampled else None,
        }  # fmt: skip
        with self.lock:
            before = self.labels.of(reviewer).get(item.item_id, {})
            shown = (reviewer, item.item_id) in self.shown or before.get("judges_shown") is True
            self.labels.put({**row, "judges_shown": shown})
        return reviewer

    def take_back(self, said: Mapping[str, Any]) -> str:
        """Drop a label again; answers the reviewer's name."""
        reviewer, item_id = reviewer_name(said.get("reviewer")), said.get("item_id")
        if not isinstance(item_id, str):
            raise InputError("no such output in this review")
        with self.lock:
            self.labels.drop(item_id, reviewer)
        return reviewer

    def _rates(self, reviewer: str) -> dict[str, Any]:
        """The rate after the labels so far (this reviewer's, else the first other's), and its intervals on the way."""
        first: dict[str, str] = {}
        order: list[str] = []
        rows = self.labels.rows()
        seen = {row["item_id"] for row in rows}
        for row in rows:
            if row["status"] == "ok" and row.get("label") in self.queue.labels:
                if row["item_id"] not in first:
                    order.append(row["item_id"])
                if row["item_id"] not in first or row["judge"] == reviewer:
                    first[row["item_id"]] = row["label"]
        queued = {item.item_id for item in self.queue.items}
        order = [item_id for item_id in order if item_id in queued]
        step = max(1, len(order) // 60)
        history = []
        for n in sorted({*range(step, len(order) + 1, step), len(order)} - {0}):
            found = self.queue.rate({item_id: first[item_id] for item_id in order[:n]}, seen, self.confidence)
            if found is not None and found.ci_low is not None:
                history.append([n, found.value, found.ci_low, found.ci_high])
        last = self.queue.rate({item_id: first[item_id] for item_id in order}, seen, self.confidence) if order else None
        return {
            "label": visible(self.queue.label, 80),
            "before": self.queue.everywhere,
            "n": len(order),
            "sampled": self.queue.sampled,
            "confidence": self.confidence,
            "value": last.value if last is not None else None,
            "low": last.ci_low if last is not None else None,
            "high": last.ci_high if last is not None else None,
            "history": history,
        }


def _cut(text: str) -> str:
    """The text for the page: its head and tail where it is very long, control characters visible."""
    if len(text) > MOST_TEXT:
        half = MOST_TEXT // 2
        text = f"{text[:half]}\n\n[… {len(text) - 2 * half:,} characters left out …]\n\n{text[-half:]}"
    return visible_lines(text)


def _whole(text: str) -> str:
    """The text with half surrogate pairs (of a text that was cut) replaced; no file holds these."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def reviewer_name(given: object) -> str:
    """The name of a reviewer without white space around it.

    Raises
    ------
    InputError : it is empty, too long, or holds what cannot be seen.
    """
    if not isinstance(given, str) or not given.strip() or len(given) > MOST_NAME or not given.isprintable():
        raise InputError("the reviewer's name is not understood", expected=f"1 to {MOST_NAME} printable characters")
    return given.strip()


class ReviewServer(ThreadingHTTPServer):
    """Serves one review; `url` is what to open. Ends with `shutdown`, from another thread."""

    daemon_threads = True

    def __init__(self, review: Review, port: int = 0) -> None:
        self.review = review
        self.token = secrets.token_urlsafe(24)
        super().__init__((ADDRESS, port), _Handler)
        self.origin = f"http://{ADDRESS}:{self.server_address[1]}"
        self.url = f"{self.origin}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Of a page that was closed half-way nothing is said: nobody is there to be told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    server_version, sys_version = "interjudge", ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        path = self._path()
        if path is None:
            return
        name, query = path
        review = self.server.review
        if name == "":
            self._page()
        elif name == "state":
            self._answer(lambda: review.state(reviewer_name(query.get("reviewer")), _place(query.get("at"))))
        elif name == "judges":
            self._answer(lambda: review.judges(query.get("item_id", ""), reviewer_name(query.get("reviewer"))))
        else:
            self._problem(HTTPStatus.NOT_FOUND, "no such page")

    def do_POST(self) -> None:
        path = self._path()
        if path is None:
            return
        review, (name, _) = self.server.review, path
        if self.headers.get("Origin") != self.server.origin:
            self._problem(HTTPStatus.FORBIDDEN, "of another origin")
            return
        try:
            length = int(self.headers.get("Content-Length", ""))
            if not 0 <= length <= MOST_BODY:
                raise ValueError
            said = json.loads(self.rfile.read(length))
        except (ValueError, RecursionError):
            self._problem(HTTPStatus.BAD_REQUEST, "no JSON, or too much of it")
            return
        act = {"label": review.label, "take-back": review.take_back}.get(name)
        if act is None or not isinstance(said, dict):
            self._problem(HTTPStatus.NOT_FOUND if act is None else HTTPStatus.BAD_REQUEST, "not understood")
            return
        self._answer(lambda: review.state(act(said), _place(said.get("at"))))

    def _path(self) -> tuple[str, dict[str, str]] | None:
        """What is asked for below the token, with its query; None where the request is refused."""
        if self.headers.get("Host") != self.server.origin.removeprefix("http://"):  # a name that resolves to us
            self._problem(HTTPStatus.FORBIDDEN, "of another host")
            return None
        try:
            parts = urlsplit(self.path)
        except ValueError:  # an address like http://[
            self._problem(HTTPStatus.BAD_REQUEST, "no address")
            return None
        token, _, name = parts.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._problem(HTTPStatus.FORBIDDEN, "open the address that the command printed")
            return None
        return name, {key: values[-1] for key, values in parse_qs(parts.query).items()}

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(18)
        text = files("interjudge").joinpath("review.html").read_text(encoding="utf-8").replace("@nonce@", nonce)
        suggested = json.dumps(self.server.review.reviewer).replace("<", "\\u003c")
        body = text.replace("@reviewer@", suggested).encode()
        headers = {name: value.replace("{nonce}", nonce) for name, value in _PAGE_HEADERS.items()}
        self._send(HTTPStatus.OK, body, "text/html; charset=utf-8", headers)

    def _answer(self, make: Any) -> None:
        try:
            found = make()
        except InputError as error:
            self._problem(HTTPStatus.BAD_REQUEST, str(error))
        except (InterjudgeError, OSError) as error:  # a full disk: the page tells, and nothing counts as saved
            self._problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        else:
            self._send(HTTPStatus.OK, json.dumps(found).encode(), "application/json")

    def _problem(self, status: HTTPStatus, words: str) -> None:
        self.close_connection = True
        self._send(status, json.dumps({"problem": words}).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, **(headers or {}), "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Addresses hold the token: nothing is logged."""


def _place(given: object) -> int | None:
    try:
        return int(given)  # type: ignore[call-overload,no-any-return]  # whatever it is, it is a place or none
    except (TypeError, ValueError, OverflowError):
        return None
