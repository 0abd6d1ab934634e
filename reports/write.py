"""A report as files: report.html, report.json, report.md, and the table of flags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from interjudge.datasets.write import check_target, check_targets, write_bytes, write_table, write_text
from interjudge.errors import InputError
from interjudge.reports.escape import json_text
from interjudge.reports.explorer import Explorer
from interjudge.reports.html import render_html
from interjudge.reports.images import FOLDER, images
from interjudge.reports.markdown import render_markdown
from interjudge.reports.report import Report

HTML_NAME: Final = "report.html"
JSON_NAME: Final = "report.json"
MARKDOWN_NAME: Final = "report.md"
FLAGS_NAME: Final = "flags.parquet"


def render_json(report: Report) -> str:
    """The report as JSON; its control and invisible characters are written as escapes."""
    return json_text(report.model_dump_json(indent=1)) + "\n"


def write_report(
    report: Report,
    out: Path | str,
    *,
    flags: pl.DataFrame | None = None,
    explorer: Explorer | None = None,
    inputs: Sequence[str | Path] = (),
) -> list[Path]:
    """Write the report into the folder `out` (made if need be); each file appears whole or not at all.

    `explorer`: the outputs in dispute, for the page.

    Returns the paths written: report.html, report.json, report.md, with `flags` flags.parquet, and the images that
    report.md shows.

    Raises
    ------
    InputError : `out` is a file, or cannot be written to, or a file there is one of `inputs`.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError("is not a folder", file=folder, expected="a folder for the report")
    paths = [folder / name for name in (HTML_NAME, JSON_NAME, MARKDOWN_NAME)]
    paths += [folder / FLAGS_NAME] if flags is not None else []
    check_targets(paths, inputs=inputs, table=False)
    drawn = images(report)
    check_images(folder, inputs=inputs)
    write_text(render_html(report, explorer), paths[0])
    write_text(render_json(report), paths[1])
    for image in drawn:  # before the text that shows them
        write_bytes(image.png(), folder / FOLDER / image.name, inputs=inputs)
    write_text(render_markdown(report, drawn), paths[2])
    if flags is not None:
        write_table(flags, paths[3])
    return [*paths, *(folder / FOLDER / image.name for image in drawn)]


def check_images(folder: Path, *, inputs: Sequence[str | Path] = ()) -> None:
    """Raise `InputError` where the images of a report in `folder` have no place, or would be written over an input."""
    place = folder / FOLDER
    if not place.exists():
        return
    if not place.is_dir():
        raise InputError("is a file, and the report's images need a folder of this name", file=place)
    for path in sorted(place.glob("*.png")):
        check_target(path, inputs=inputs, table=False)
