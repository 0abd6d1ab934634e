"""A report as files: report.json, report.md, and the table of flags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from interjudge.datasets.write import check_targets, write_table, write_text
from interjudge.errors import InputError
from interjudge.reports.escape import json_text
from interjudge.reports.markdown import render_markdown
from interjudge.reports.report import Report

JSON_NAME: Final = "report.json"
MARKDOWN_NAME: Final = "report.md"
FLAGS_NAME: Final = "flags.parquet"


def render_json(report: Report) -> str:
    """The report as JSON; its control and invisible characters are written as escapes."""
    return json_text(report.model_dump_json(indent=1)) + "\n"


def write_report(
    report: Report, out: Path | str, *, flags: pl.DataFrame | None = None, inputs: Sequence[str | Path] = ()
) -> list[Path]:
    """Write the report into the folder `out` (made if need be); each file appears whole or not at all.

    Returns the paths written: report.json, report.md and, with `flags`, flags.parquet.

    Raises
    ------
    InputError : `out` is a file, or cannot be written to, or a file there is one of `inputs`.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError("is not a folder", file=folder, expected="a folder for the report")
    paths = [folder / JSON_NAME, folder / MARKDOWN_NAME, *([folder / FLAGS_NAME] if flags is not None else [])]
    check_targets(paths, inputs=inputs, table=False)
    write_text(render_json(report), paths[0])
    write_text(render_markdown(report), paths[1])
    if flags is not None:
        write_table(flags, paths[2])
    return paths
