"""The labels of a review as a file of verdicts: one row a reviewer and output, whole on the disk after every click.

Several reviewers, in one review or in several at the same time, share the file: every change reads it again under a
lock, and replaces it by a rename.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from interjudge.datasets.write import write_text
from interjudge.errors import InputError, printable
from interjudge.reports.escape import json_text

KEY: Final = ("item_id", "judge")
_REQUIRED: Final = ("item_id", "judge", "status")


class Labels:
    """The file of labels at `path`; see the module. Rows are dicts with the columns of a verdict table."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.lock = self.path.with_name(f".{self.path.name}.lock")

    def rows(self) -> list[dict[str, Any]]:
        """All labels, in the order in which they were given first.

        Raises
        ------
        InputError : the file holds something else.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read: {printable(str(error))}", file=self.path) from None
        found = []
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                found.append(self._row(line, number))
        return found

    def _row(self, line: str, number: int) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        known = isinstance(row, dict) and all(isinstance(row.get(name), str) for name in _REQUIRED)
        if (
            not isinstance(row, dict) or not known or row.get("judge_kind") != "human"
        ):  # other judges' verdicts are none
            expected = "a file that `interjudge review` wrote, or a name that is free"
            raise InputError("is no label of a review", file=self.path, row=f"line {number}", expected=expected)
        return row

    def of(self, reviewer: str) -> dict[str, dict[str, Any]]:
        """A reviewer's labels, by item id."""
        return {row["item_id"]: row for row in self.rows() if row["judge"] == reviewer}

    def put(self, row: dict[str, Any]) -> None:
        """Keep a label; the same reviewer's earlier one on the same output is replaced."""
        self._change(row, {**row, "created_at": datetime.now(UTC).isoformat(timespec="seconds")})

    def drop(self, item_id: str, reviewer: str) -> None:
        """Take a label back."""
        self._change({"item_id": item_id, "judge": reviewer}, None)

    def _change(self, key: dict[str, Any], new: dict[str, Any] | None) -> None:
        with self.locked():
            rows = self.rows()
            at = next((n for n, row in enumerate(rows) if all(row[k] == key[k] for k in KEY)), None)
            if at is not None:
                rows[at : at + 1] = [new] if new is not None else []
            elif new is not None:
                rows.append(new)
            lines = [json_text(json.dumps(row, ensure_ascii=False)) for row in rows]
            write_text("".join(f"{line}\n" for line in lines), self.path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes the file, or begins a review of it, inside the block."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            opened = self.lock.open("a")
        except OSError as error:
            raise InputError(f"cannot be written: {(error.strerror or str(error)).lower()}", file=self.path) from None
        with opened as file:
            try:
                import fcntl  # noqa: PLC0415 - not on Windows, where two reviews of one file are the user's own risk
            except ImportError:
                yield
                return
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
