"""What goes wrong with a verdict store, as sentences about its file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from interjudge.errors import InputError, InterjudgeError


def primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an error."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF


_WRONG: Final = {
    sqlite3.SQLITE_NOTADB: ("is not a verdict store", "an SQLite file made by `interjudge score`"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "a folder that exists and can be written to"),
    sqlite3.SQLITE_READONLY: ("cannot be written to", "a file and a folder with write permission"),
    sqlite3.SQLITE_PERM: ("cannot be written to", "a file and a folder with write permission"),
}
_FAILED: Final = {
    sqlite3.SQLITE_BUSY: "another process keeps the verdict store locked; try again",
    sqlite3.SQLITE_FULL: "the disk is full; what was stored so far is safe",
    sqlite3.SQLITE_IOERR: "the verdict store cannot be read or written (input/output error)",
}


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """SQLite's errors as sentences about the file."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # our own mistake, not the file's
    except sqlite3.DatabaseError as error:
        code = primary(error)
        if code in _FAILED:
            raise InterjudgeError(f"{path}: {_FAILED[code]}") from error
        damaged = (f"the verdict store is damaged ({error})", "a file that a run left whole")
        problem, expected = _WRONG.get(code, damaged)
        raise InputError(problem, file=path, expected=expected) from error
