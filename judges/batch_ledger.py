"""Which batches are under way, kept in the verdict store's own file: what a later run needs to go on with them.

A batch is written down before it is sent, with a token that its requests carry; so a run that is killed while it
sends one can find out afterwards whether the provider has it. States: ``sending``, ``open`` (the provider has it),
``collected``, ``failed`` (the provider refused all of it), ``lost`` (it never came to be, or is gone), ``done`` (of a
run that ended: it counts no more).
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import polars as pl

from interjudge.judges.llm_base import Reply, Unread
from interjudge.judges.store_errors import in_words

State = Literal["sending", "open", "collected", "failed", "lost", "done"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS batches (
    batch INTEGER PRIMARY KEY, judge_hash TEXT NOT NULL, repeat INTEGER NOT NULL, batch_id TEXT,
    provider TEXT NOT NULL, token TEXT NOT NULL UNIQUE, submitted_at TEXT NOT NULL, state TEXT NOT NULL,
    owner TEXT NOT NULL, items TEXT NOT NULL, given_up TEXT NOT NULL, refused TEXT NOT NULL)
"""
# Replies without an answer, of which a second request is to be made: a run may be killed in between.
_UNREAD: Final = """
CREATE TABLE IF NOT EXISTS unread (
    judge_hash TEXT NOT NULL, repeat INTEGER NOT NULL, item INTEGER NOT NULL, problem TEXT NOT NULL,
    reply TEXT NOT NULL, PRIMARY KEY (judge_hash, repeat, item))
"""
_COLUMNS: Final = "batch, repeat, batch_id, token, submitted_at, state, owner, items, given_up, refused"
_RESULTS_KEPT: Final = timedelta(days=29)  # by Anthropic; OpenAI keeps them for a day more
_LONGEST_SENDING: Final = timedelta(hours=1)  # after that, a process that says it is sending is not believed


@dataclass(frozen=True)
class Batch:
    """One batch. `items`: the numbers (`output_id`) of its outputs; `given_up`: those of them not to be asked again.

    `batch_id` is the provider's name of it, None until that is known. `refused`: parameters that the server was
    known not to take. `theirs`: another process is sending it just now.
    """

    number: int
    repeat: int
    batch_id: str | None
    token: str
    submitted_at: datetime
    state: State
    items: tuple[int, ...]
    given_up: frozenset[int] = frozenset()
    refused: frozenset[str] = frozenset()
    theirs: bool = False

    @property
    def active(self) -> bool:
        return self.state in ("sending", "open")

    @property
    def age(self) -> timedelta:
        return datetime.now(UTC) - self.submitted_at


@dataclass
class Ledger:
    """The batches of one judge; a context manager. The store must exist.

    Raises
    ------
    InputError, InterjudgeError : as `judges.store.Store`.
    """

    path: Path
    judge_hash: str
    provider: str
    _db: sqlite3.Connection = field(init=False, repr=False)

    def __enter__(self) -> Self:
        with in_words(self.path):
            self._db = sqlite3.connect(self.path, timeout=60.0, isolation_level=None)
            self._db.execute(_SCHEMA)
            self._db.execute(_UNREAD)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def batches(self) -> list[Batch]:
        """All batches of runs that have not ended, oldest first."""
        query = f"SELECT {_COLUMNS} FROM batches WHERE judge_hash = ? AND state <> 'done' ORDER BY batch"
        with in_words(self.path):
            return [_batch(row) for row in self._db.execute(query, (self.judge_hash,))]

    def known(self) -> frozenset[str]:
        """The providers' names of all batches in this file, of any judge and however they ended."""
        with in_words(self.path):
            found = self._db.execute("SELECT batch_id FROM batches WHERE batch_id IS NOT NULL")
            return frozenset(name for (name,) in found)

    def claim(self, repeat: int, wanted: Iterable[int], most: int, refused: Iterable[str]) -> Batch | None:
        """Up to `most` of the wanted outputs as a new batch, ``sending``: those that are in no active one.

        At once for all processes: no output is claimed twice. None where there is nothing left to claim.
        """
        with self._writing():
            taken = {
                item for batch in self.batches() if batch.active and batch.repeat == repeat for item in batch.items
            }
            items = [item for item in wanted if item not in taken][:most]
            if not items:
                return None
            cursor = self._db.execute(
                "INSERT INTO batches (judge_hash, repeat, provider, token, submitted_at, state, owner, items, given_up,"
                " refused) VALUES (?, ?, ?, ?, ?, 'sending', ?, ?, '[]', ?)",
                (
                    self.judge_hash, repeat, self.provider, secrets.token_hex(6), datetime.now(UTC).isoformat(),
                    _me(), json.dumps(items), json.dumps(sorted(refused)),
                ),
            )  # fmt: skip
            number = cursor.lastrowid
        return next(batch for batch in self.batches() if batch.number == number)

    def shorten(self, batch: Batch, items: Sequence[int]) -> None:
        """Fewer items than were claimed: the others may be claimed again."""
        self._set(batch, items=json.dumps(list(items)))

    def sent(self, batch: Batch, batch_id: str) -> None:
        self._set(batch, batch_id=batch_id, state="open")

    def end(self, batch: Batch, state: State, given_up: Iterable[int] = ()) -> None:
        self._set(batch, state=state, given_up=json.dumps(sorted(given_up)))

    def keep_unread(self, repeat: int, found: Mapping[int, Unread]) -> None:
        """Replies that could not be read, by output: the next request about it is the second one."""
        rows = [(self.judge_hash, repeat, item, one.problem, _dumped(one.reply)) for item, one in found.items()]
        with self._writing():
            self._db.executemany("INSERT OR REPLACE INTO unread VALUES (?, ?, ?, ?, ?)", rows)

    def unread(self, repeat: int) -> dict[int, Unread]:
        query = "SELECT item, problem, reply FROM unread WHERE judge_hash = ? AND repeat = ?"
        with in_words(self.path):
            rows = self._db.execute(query, (self.judge_hash, repeat)).fetchall()
        return {item: Unread(Reply(**json.loads(reply)), problem) for item, problem, reply in rows}

    def forget_unread(self, repeat: int, items: Iterable[int]) -> None:
        """There is a verdict now."""
        with self._writing():
            self._db.executemany(
                "DELETE FROM unread WHERE judge_hash = ? AND repeat = ? AND item = ?",
                [(self.judge_hash, repeat, item) for item in items],
            )

    def close_all(self) -> None:
        """The run has ended: what it tried counts no more in the next one. Active batches stay."""
        with self._writing():
            self._db.execute(
                "UPDATE batches SET state = 'done' WHERE judge_hash = ? AND state NOT IN ('sending', 'open')",
                (self.judge_hash,),
            )

    def _set(self, batch: Batch, **values: str) -> None:
        names = ", ".join(f"{name} = ?" for name in values)
        with self._writing():
            self._db.execute(f"UPDATE batches SET {names} WHERE batch = ?", (*values.values(), batch.number))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with in_words(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise


def held(path: Path | str, judge_hash: str) -> pl.DataFrame:
    """Outputs of one judge that lie in a batch under way: `output_id`, `hash` (as in `Store.register`), `repeat`.

    Batches whose results no provider keeps any more do not count.
    """
    since = (datetime.now(UTC) - _RESULTS_KEPT).isoformat()
    query = (
        "SELECT output_id, lower(hex(output_hash)), repeat FROM batches, json_each(items) JOIN outputs"
        " ON output_id = json_each.value WHERE judge_hash = ? AND state IN ('sending', 'open') AND submitted_at > ?"
    )
    with _looking(Path(path)) as db:
        rows = [] if db is None else db.execute(query, (judge_hash, since)).fetchall()
    return pl.DataFrame(rows, {"output_id": pl.Int64(), "hash": pl.String(), "repeat": pl.Int64()}, orient="row")


def open_batches(path: Path | str) -> list[tuple[str, str, str, int]]:
    """(judge hash, provider, the provider's name of the batch, outputs) of all batches in a store still under way."""
    query = "SELECT judge_hash, provider, batch_id, items FROM batches WHERE state = 'open' ORDER BY batch"
    with _looking(Path(path)) as db:
        rows = [] if db is None else db.execute(query).fetchall()
    return [(judge, who, name, len(json.loads(items))) for judge, who, name, items in rows]


@contextmanager
def _looking(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A store that is only looked at; None where it has never had a batch."""
    with in_words(path):
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
        try:
            has = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'batches'").fetchone()[0]
            yield db if has else None
        finally:
            db.close()


def _batch(row: tuple[object, ...]) -> Batch:
    number, repeat, batch_id, token, submitted_at, state, owner, items, given_up, refused = row
    at = datetime.fromisoformat(str(submitted_at))
    fresh = datetime.now(UTC) - at < _LONGEST_SENDING
    return Batch(
        int(str(number)), int(str(repeat)), None if batch_id is None else str(batch_id), str(token), at,
        state,  # type: ignore[arg-type]  # written here alone
        tuple(json.loads(str(items))), frozenset(json.loads(str(given_up))), frozenset(json.loads(str(refused))),
        theirs=state == "sending" and fresh and _is_running(str(owner)),
    )  # fmt: skip


def _dumped(reply: Reply) -> str:
    """A reply as JSON, without its log probabilities, which a second request has no use for."""
    return json.dumps(asdict(replace(reply, tokens=None)))  # ASCII: half a surrogate pair cannot be stored otherwise


def _me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _is_running(owner: str) -> bool:
    """Whether another process of this machine that wrote a line is still there."""
    host, _, pid = owner.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # there, but another user's
    return True
