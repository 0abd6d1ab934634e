"""How commands end: what was written, what is missing, and the exit codes for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer

from interjudge import cli_screen as screen

UNMET: Final = 3  # done, but a --require is not met or too many verdicts are missing
INTERRUPTED: Final = 130


def check_missing(missing: int, total: int, most: float | None) -> None:
    """Exit with `UNMET` where a larger share of the verdicts than `most` is not ok."""
    if most is not None and total and missing / total > most:
        typer.echo(
            f"interjudge: {missing:,} of {total:,} verdicts are not ok, more than --max-missing {most:g}", err=True
        )
        raise typer.Exit(UNMET)


def wrote(paths: Sequence[Path | str | None], *, err: bool = False) -> None:
    """Name the files that a command wrote."""
    for line in screen.written(paths):
        typer.echo(f"wrote {line}", err=err)
