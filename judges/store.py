"""The verdict store: one SQLite file that keeps every finished verdict and is shared by several processes.

A verdict is kept under (output hash, judge hash, repeat). The file is in WAL mode: readers never wait, writers
wait for each other for as long as one batch takes to write. With `synchronous=NORMAL` a process killed at any
moment (`kill -9` included) loses nothing that was committed, because what it wrote is already in the hands of
the operating system; `durable=True` (`synchronous=FULL`) also survives a power cut, for one disk flush a batch.
WAL needs shared memory: a store does not work over a network file system.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import polars as pl

from interjudge.datasets.schema import VERDICT_COLUMNS, VERDICT_CORE
from interjudge.errors import InputError
from interjudge.judges.base import ANSWER_COLUMNS, Judge
from interjudge.judges.store_errors import in_words, primary

STORE_VERSION: Final = 1
APPLICATION_ID: Final = 0x696A7264  # "ijrd", so that another program's database is never taken for a store

# What is asked again on the next run; every other status is a finished verdict.
ASKED_AGAIN: Final = ("error", "not_run")

# One stored verdict, less its key. `output_id` stands for the output hash inside one store.
VALUES: Final = (*ANSWER_COLUMNS, "created_at")
STORED: Final[dict[str, pl.DataType | pl.Enum]] = {
    "output_id": pl.Int64(),
    **{c: VERDICT_COLUMNS[c] for c in VALUES},
}

_CHUNK: Final = 50_000  # rows fetched at a time
_REGISTERED: Final = 200_000  # outputs made known in one write transaction: the longest another writer waits

_SCHEMA: Final = """
CREATE TABLE reads (reads_id INTEGER PRIMARY KEY, columns TEXT NOT NULL UNIQUE);
CREATE TABLE judges (
    judge_id INTEGER PRIMARY KEY, judge_hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL, kind TEXT NOT NULL,
    construct TEXT NOT NULL, labels TEXT NOT NULL, reads_id INTEGER NOT NULL REFERENCES reads,
    identity TEXT NOT NULL, used INTEGER NOT NULL, last_used TEXT NOT NULL);
CREATE TABLE outputs (output_id INTEGER PRIMARY KEY, output_hash BLOB NOT NULL UNIQUE);
CREATE TABLE items (
    rank INTEGER PRIMARY KEY, reads_id INTEGER NOT NULL REFERENCES reads, item_id TEXT NOT NULL,
    output_id INTEGER NOT NULL REFERENCES outputs, UNIQUE (reads_id, item_id));
CREATE TABLE verdicts (
    judge_id INTEGER NOT NULL REFERENCES judges, repeat INTEGER NOT NULL,
    output_id INTEGER NOT NULL REFERENCES outputs, status TEXT NOT NULL, label TEXT, score REAL,
    confidence REAL, rationale TEXT, raw TEXT, latency_s REAL, input_tokens INTEGER, output_tokens INTEGER,
    cost_usd REAL, created_at TEXT NOT NULL, PRIMARY KEY (judge_id, repeat, output_id));
"""
# Came after the first stores: it is made where it is missing, and nothing that reads a store needs it.
_SNAPSHOTS: Final = """
CREATE TABLE IF NOT EXISTS snapshots (
    judge_id INTEGER NOT NULL REFERENCES judges, model TEXT NOT NULL, answers INTEGER NOT NULL,
    first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, PRIMARY KEY (judge_id, model))
"""

_ITEMS: Final = {"rank": pl.Int64(), "reads_id": pl.Int64(), "item_id": pl.String(), "output_id": pl.Int64()}
_JUDGES: Final = {
    "judge_id": pl.Int64(),
    **{c: pl.String() for c in ("judge", "judge_kind", "construct", "judge_hash")},
    "reads_id": pl.Int64(),
}
_LATEST_JUDGES: Final = (
    "SELECT judge_id, name, kind, construct, judge_hash, reads_id FROM judges AS j"
    " WHERE used = (SELECT max(used) FROM judges WHERE name = j.name) ORDER BY judge_id"
)

_OLDER_VERDICTS: Final = (
    "SELECT name, count(*) FROM judges AS j JOIN verdicts USING (judge_id)"
    " WHERE used < (SELECT max(used) FROM judges WHERE name = j.name) GROUP BY name ORDER BY min(judge_id)"
)

_SET_VALUES: Final = ", ".join(f"{c} = excluded.{c}" for c in VALUES)
_PUT: Final = (
    f"INSERT INTO verdicts (judge_id, repeat, output_id, {', '.join(VALUES)}) "
    f"VALUES (?, ?, ?, {', '.join('?' * len(VALUES))}) "
    f"ON CONFLICT (judge_id, repeat, output_id) DO UPDATE SET {_SET_VALUES}"
)
_ONLY_UNFINISHED: Final = f" WHERE verdicts.status IN {ASKED_AGAIN}"
_SEEN: Final = (
    "INSERT INTO snapshots (judge_id, model, answers, first_seen, last_seen) VALUES (?1, ?2, ?3, ?4, ?4)"
    " ON CONFLICT (judge_id, model) DO UPDATE SET answers = answers + excluded.answers, last_seen = excluded.last_seen"
)
_FINISHED: Final = f"FROM verdicts WHERE judge_id = ? AND repeat = ? AND status NOT IN {ASKED_AGAIN}"

# One verdict as `put_rows` takes it: judge_id, repeat, and the columns of `STORED`.
Row = tuple[object, ...]


class Store:
    """One open store; use it as a context manager.

    Parameters
    ----------
    path : the SQLite file; made when it is not there.
    durable : flush to disk at every commit, so that a power cut loses nothing either.
    timeout_s : how long to wait for another process that is writing.

    Raises
    ------
    InputError : the path is a directory, not an SQLite file, another program's database, a store of a newer
        version, corrupt, or in a place that cannot be written.
    InterjudgeError : the disk is full, or another process held the store for longer than `timeout_s`.
    """

    def __init__(self, path: Path | str, *, durable: bool = False, timeout_s: float = 60.0) -> None:
        self.path = Path(path)
        self._reads: dict[tuple[str, ...], int] = {}
        with in_words(self.path):
            self._db = _patiently(self.path, durable, timeout_s)
        self._version = self._data_version()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Fold the write-ahead log into the file, so that a finished store is one file."""
        try:
            # Busy where another process is still reading: then that one folds it in when it closes.
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # nothing is lost: the log stays beside the file and is read with it
        finally:
            self._db.close()

    def use(self, judge: Judge) -> int:
        """Make a judge known, mark it as the most recently used, and answer its number in this store."""
        reads_id = self._reads_id(judge.reads)
        row = (
            judge.hash, judge.name, judge.kind, judge.construct, _json(judge.labels), reads_id,
            _json(judge.identity), datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        with self._writing():
            # A counter orders uses even where clocks do not.
            self._db.execute(
                "INSERT INTO judges (judge_hash, name, kind, construct, labels, reads_id, identity, last_used,"
                " used) VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(used), 0) + 1 FROM judges))"
                " ON CONFLICT (judge_hash) DO UPDATE SET name = excluded.name, used = excluded.used,"
                " last_used = excluded.last_used",
                row,
            )
            found = self._db.execute("SELECT judge_id FROM judges WHERE judge_hash = ?", (judge.hash,))
            return int(found.fetchone()[0])

    def register(self, item_ids: pl.Series, hashes: pl.Series, reads: Sequence[str]) -> pl.Series:
        """Make outputs known and answer their numbers in this store (Int64, same length and order).

        `hashes` are the content hashes (32 hex digits) over the columns `reads`. An item whose content changed
        points to its new output from now on; verdicts on the old one stay and count again if it comes back.
        """
        reads_id = self._reads_id(reads)
        with in_words(self.path):
            self._load(
                "incoming(pos INTEGER PRIMARY KEY, item_id TEXT, output_hash BLOB)",
                pl.DataFrame({"item_id": item_ids, "hash": hashes.str.decode("hex")}).with_row_index(),
            )
        for start in range(0, item_ids.len(), _REGISTERED):
            window = (start, start + _REGISTERED - 1)
            with self._writing():
                self._db.execute(
                    "INSERT INTO outputs (output_hash) SELECT output_hash FROM incoming"
                    " WHERE pos BETWEEN ? AND ? ORDER BY pos ON CONFLICT DO NOTHING",
                    window,
                )
                self._db.execute(
                    "INSERT INTO items (reads_id, item_id, output_id) SELECT ?, item_id, output_id"
                    " FROM incoming JOIN outputs USING (output_hash) WHERE pos BETWEEN ? AND ? ORDER BY pos"
                    " ON CONFLICT (reads_id, item_id) DO UPDATE SET output_id = excluded.output_id"
                    " WHERE items.output_id <> excluded.output_id",
                    (reads_id, *window),
                )
        known = "SELECT output_id FROM incoming JOIN outputs USING (output_hash) ORDER BY pos"
        with in_words(self.path):
            return _frame(self._db.execute(known), {"output_id": pl.Int64()})["output_id"]

    def stored(self, judge_id: int, repeat: int, output_ids: pl.Series, *, finished: bool = True) -> pl.DataFrame:
        """What is kept of one judge and repeat on some outputs: the columns of `STORED`, one row an output.

        Only finished verdicts, unless `finished` is False: then also those that the next run asks again.
        """
        query = (
            f"SELECT {', '.join(STORED)} FROM wanted CROSS JOIN verdicts USING (output_id)"
            f" WHERE judge_id = ? AND repeat = ?"
            f"{f' AND status NOT IN {ASKED_AGAIN}' if finished else ''} ORDER BY pos"
        )
        with in_words(self.path):
            ids = pl.DataFrame({"output_id": output_ids}).with_row_index()
            self._load("wanted(pos INTEGER PRIMARY KEY, output_id INTEGER)", ids)
            return _frame(self._db.execute(query, (judge_id, repeat)), STORED)

    def put(self, judge_id: int, repeat: int, verdicts: pl.DataFrame, *, replace: bool = False) -> int:
        """Keep verdicts (the columns of `STORED`) in one transaction; answers how many were written.

        A finished verdict that is already there stays, and the new one is dropped, unless `replace`.
        """
        rows = verdicts.select(pl.lit(judge_id), pl.lit(repeat, pl.Int64).alias("repeat"), *STORED)
        with self._writing():
            before = self._db.total_changes
            self._db.executemany(_PUT + ("" if replace else _ONLY_UNFINISHED), rows.iter_rows())
            return self._db.total_changes - before

    def put_rows(
        self, rows: Sequence[Row], models: Mapping[tuple[int, str], int] | None = None, *, replace: bool = False
    ) -> int | None:
        """Keep a few verdicts of any judges and repeats in one transaction; answers how many were written, as `put`.

        `models`: (judge_id, snapshot that answered) -> how many answers. Nothing is waited for: None, and nothing is
        written, while another process writes.
        """
        with in_words(self.path):
            wait = self._db.execute("PRAGMA busy_timeout").fetchone()[0]
            self._db.execute("PRAGMA busy_timeout = 0")
            try:
                self._db.execute("BEGIN IMMEDIATE")
                before = self._db.total_changes
                self._db.executemany(_PUT + ("" if replace else _ONLY_UNFINISHED), rows)
                written = self._db.total_changes - before
                if models:
                    now = datetime.now(UTC).isoformat(timespec="seconds")
                    self._db.executemany(_SEEN, [(*key, n, now) for key, n in models.items()])
                self._db.execute("COMMIT")
                return written
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError) and primary(error) == sqlite3.SQLITE_BUSY:
                    return None
                raise
            finally:
                self._db.execute(f"PRAGMA busy_timeout = {wait}")

    def finished(self, judge_id: int, repeat: int) -> pl.DataFrame:
        """Every finished verdict of one judge and repeat, but only its `output_id` and `status`."""
        with in_words(self.path):
            found = self._db.execute(f"SELECT output_id, status {_FINISHED}", (judge_id, repeat))
            return _frame(found, {"output_id": pl.Int64(), "status": STORED["status"]})

    def finished_status(self, judge_id: int, repeat: int, output_id: int) -> str | None:
        """The status of one finished verdict; None where there is none."""
        with in_words(self.path):
            query = f"SELECT status {_FINISHED} AND output_id = ?"
            found = self._db.execute(query, (judge_id, repeat, output_id)).fetchone()
            return None if found is None else str(found[0])

    def snapshots(self, judge_id: int) -> dict[str, int]:
        """Which snapshots of its model answered for a judge, and how often, over all runs; first seen first."""
        query = "SELECT model, answers FROM snapshots WHERE judge_id = ? ORDER BY first_seen, rowid"
        with in_words(self.path):
            return {str(model): int(n) for model, n in self._db.execute(query, (judge_id,))}

    def changed(self) -> bool:
        """Has another process written to the store since this was last asked?"""
        before, self._version = self._version, self._data_version()
        return before != self._version

    def _data_version(self) -> int:
        with in_words(self.path):
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def _reads_id(self, reads: Sequence[str]) -> int:
        key = tuple(reads)
        if key not in self._reads:
            with self._writing():
                self._db.execute("INSERT INTO reads (columns) VALUES (?) ON CONFLICT DO NOTHING", (_json(key),))
                found = self._db.execute("SELECT reads_id FROM reads WHERE columns = ?", (_json(key),))
                self._reads[key] = int(found.fetchone()[0])
        return self._reads[key]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        # IMMEDIATE takes the write lock at once: a transaction never has to give up half way to another's.
        with in_words(self.path):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _load(self, table: str, rows: pl.DataFrame) -> None:
        """Fill a temporary table (in memory, private to this connection) to join with."""
        name = table.partition("(")[0]
        self._db.execute(f"DROP TABLE IF EXISTS temp.{name}")
        self._db.execute(f"CREATE TEMP TABLE {table}")
        self._db.execute("BEGIN")
        self._db.executemany(f"INSERT INTO temp.{name} VALUES ({', '.join('?' * rows.width)})", rows.iter_rows())
        self._db.execute("COMMIT")


def read_store(path: Path | str) -> pl.DataFrame:
    """The verdicts of a store as a verdict table: judges in order of first use, items in order of arrival.

    Where one judge name was used with several hashes (its lexicon changed, say), the most recently used one
    counts; `store_notes` says so. An item is shown with the verdicts on its latest content. Columns beyond the
    first eight are there where any verdict has them; `judge_hash` and `created_at` always.

    Raises
    ------
    InputError : no such file, or not a verdict store that this version can read.
    """
    with _reading(path) as db:
        judges = _frame(db.execute(_LATEST_JUDGES), _JUDGES)
        items = _frame(db.execute(f"SELECT {', '.join(_ITEMS)} FROM items"), _ITEMS)
        columns = {"judge_id": pl.Int64(), "repeat": pl.Int64(), **STORED}
        kept = judges["judge_id"].to_list()
        query = f"SELECT {', '.join(columns)} FROM verdicts WHERE judge_id IN ({', '.join('?' * len(kept))})"
        verdicts = _frame(db.execute(query, kept), columns)
    table = (
        verdicts.join(judges, on="judge_id")
        .join(items, on=["reads_id", "output_id"])
        .sort("judge_id", "rank", "repeat")
    )
    return verdict_table(table)


def store_notes(path: Path | str) -> list[str]:
    """What `read_store` leaves out of a store, a sentence for each judge's name; empty where nothing is.

    Raises
    ------
    InputError : as `read_store`.
    """
    with _reading(path) as db:
        older = db.execute(_OLDER_VERDICTS).fetchall()
    return [
        f"{n:,} verdict{'s' * (n > 1)} of an older version of {name!r} {'are' if n > 1 else 'is'} left out"
        for name, n in older
    ]


def stored_hashes(path: Path | str, judge_hash: str) -> pl.DataFrame:
    """What is finished of one judge in a store that is only looked at: `hash` (as for `Store.register`) and `repeat`.

    Raises
    ------
    InputError : as `read_store`.
    """
    query = (
        "SELECT lower(hex(output_hash)), repeat FROM judges JOIN verdicts USING (judge_id) JOIN outputs"
        f" USING (output_id) WHERE judge_hash = ? AND status NOT IN {ASKED_AGAIN}"
    )
    with _reading(path) as db:
        return _frame(db.execute(query, (judge_hash,)), {"hash": pl.String(), "repeat": pl.Int64()})


def verdict_table(table: pl.DataFrame) -> pl.DataFrame:
    """The columns of `schema.VERDICT_COLUMNS` in their order, less the optional ones that hold nothing."""
    always = (*VERDICT_CORE, "judge_hash", "latency_s", "created_at")
    held = [c for c in VERDICT_COLUMNS if c in always or table[c].null_count() < table.height]
    return table.select(held)


def _opened(path: Path, durable: bool, timeout_s: float) -> sqlite3.Connection:
    if path.is_dir():
        raise InputError("is a directory", file=path, expected="a verdict store (an SQLite file)")
    # One thread at a time, but not always the same: judges behind a network are asked in one of their own.
    db = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    try:
        if _is_new(db):
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN IMMEDIATE")
            if _is_new(db):  # another process may have been faster
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {STORE_VERSION}")
            db.execute("COMMIT")
        _check_version(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("PRAGMA cache_size = -65536")  # 64 MiB: the index over 1,000,000 outputs fits
        # Says now, and not after the first batch has been paid for, that the place cannot be written.
        db.execute("BEGIN IMMEDIATE")
        db.execute(_SNAPSHOTS)
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def _reading(path: Path | str) -> Iterator[sqlite3.Connection]:
    """One snapshot of a store, which closing ends."""
    path = Path(path)
    if not path.exists():
        raise InputError("no such file", file=path, expected="a verdict store")
    with in_words(path):
        db = _reader(path)
        try:
            _check_version(db, path)
            db.execute("BEGIN")
            yield db
        finally:
            db.close()


def _reader(path: Path) -> sqlite3.Connection:
    if path.is_dir():
        raise InputError("is a directory", file=path, expected="a verdict store (an SQLite file)")
    uri = path.absolute().as_uri()
    # Not `mode=ro`: such a reader cannot clear away the log and the shared memory that it needs while it reads.
    db = sqlite3.connect(f"{uri}?mode=rw", uri=True, isolation_level=None, timeout=60.0)
    try:
        db.execute("PRAGMA query_only = ON")
        db.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        db.close()
        # A place where SQLite cannot put its shared memory beside the file (a read-only mount): a finished
        # store is one file, so it can be read as it stands; with a log beside it, it cannot.
        if path.with_name(f"{path.name}-wal").exists():
            raise
        db = sqlite3.connect(f"{uri}?immutable=1", uri=True, isolation_level=None)
    return db


def _is_new(db: sqlite3.Connection) -> bool:
    """An empty file: no table and no mark of another program."""
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return not tables and not db.execute("PRAGMA application_id").fetchone()[0]


def _check_version(db: sqlite3.Connection, path: Path) -> None:
    if _is_new(db):
        raise InputError("holds no verdicts", file=path, found="an empty file", expected="a verdict store")
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise InputError("is not a verdict store", file=path, expected="a file made by `interjudge score`")
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > STORE_VERSION:
        raise InputError(
            "was written by a newer interjudge",
            file=path,
            found=f"store version {version}",
            expected=f"at most version {STORE_VERSION}; upgrade interjudge to read it",
        )


def _patiently(path: Path, durable: bool, timeout_s: float) -> sqlite3.Connection:
    # Two processes that make the same new file meet in the switch to WAL, where SQLite does not wait by itself.
    until = time.monotonic() + timeout_s
    while True:
        try:
            return _opened(path, durable, timeout_s)
        except sqlite3.OperationalError as error:
            if primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _frame(cursor: sqlite3.Cursor, schema: Mapping[str, pl.DataType | pl.Enum]) -> pl.DataFrame:
    """Rows fetched in chunks into typed columns, so that Python objects of one chunk live at a time."""
    chunks = [pl.DataFrame(schema=schema)]
    try:
        while rows := cursor.fetchmany(_CHUNK):
            chunks.append(pl.DataFrame(rows, schema=schema, orient="row"))
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise sqlite3.DatabaseError(f"a value that is not a verdict's ({error})") from error
    return pl.concat(chunks)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
