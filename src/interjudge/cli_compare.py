"""`interjudge report --compare OLD.json NEW.json`: what changed between two reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from interjudge import cli_screen as screen
from interjudge.errors import InputError

if TYPE_CHECKING:
    from interjudge.reports.compare import Compared

_EXPECTED = "interjudge report --compare OLD.json NEW.json [--out DIR]"


def compare_files(
    files: Sequence[str],
    out: Path | None,
    *,
    alone: bool = True,
    redact: bool = False,
    full: bool = False,
    quiet: bool = False,
) -> None:
    """Print what changed, and write compare.json and compare.md into the folder `out` where there is one."""
    from interjudge.datasets.write import check_targets, write_text
    from interjudge.pipeline import folder
    from interjudge.reports.compare import JSON_NAME, MARKDOWN_NAME, compare_reports, render_markdown
    from interjudge.reports.escape import json_text
    from interjudge.reports.read import read_report

    if not alone:
        raise InputError("--compare reads two reports as they are", expected=_EXPECTED)
    if redact:
        raise InputError(
            "--compare does not redact", expected="two reports that were made with --redact, and --compare alone"
        )
    if len(files) != 2:
        raise InputError("--compare takes two reports", found=f"{len(files)} files", expected=_EXPECTED)
    paths = [] if out is None else [out / JSON_NAME, out / MARKDOWN_NAME]
    if out is not None:
        if out.exists():
            folder(out)
        check_targets(paths, inputs=files, table=False)
    old, new = (read_report(file) for file in files)
    found = compare_reports(old, new)
    if not quiet:
        _print(found, full)
    if out is not None:
        folder(out)
        for path, text in zip(
            paths, (json_text(found.model_dump_json(indent=1)) + "\n", render_markdown(found)), strict=True
        ):
            write_text(text, path, inputs=files)
            typer.echo(f"wrote {path}")


def _print(found: Compared, full: bool) -> None:
    from interjudge.reports.compare import heading, method_note, opening, sentences
    from interjudge.reports.compare_tables import tables
    from interjudge.reports.terminal import ROWS, print_bullets, print_heading, print_table

    console = screen.console()
    print_bullets(opening(found), console)
    for question in found.changes.questions:
        print_heading(heading(question), console)
        print_bullets(sentences(question), console)
        for table in tables(question, 1000 if full else ROWS):
            print_table(table, console, "in compare.json (--out DIR)")
    print_bullets((method_note(found),), console)
