"""A report as files: report.json, report.md, and the table of flags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from interjudge.datasets.write import check_target, check_targets, write_bytes, write_table, write_text
from interjudge.errors import InputError
from interjudge.reports.escape import json_text
from interjudge.reports.images import FOLDER, images
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

    Returns the paths written: report.json, report.md, with `flags` flags.parquet, and the images that report.md shows.

    Raises
    ------
    InputError : `out` is a file, or cannot be written to, or a file there is one of `inputs`.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError("is not a folder", file=folder, expected="a folder for the report")
    paths = [folder / JSON_NAME, folder / MARKDOWN_NAME, *([folder / FLAGS_NAME] if flags is not None else [])]
    check_targets(paths, inputs=inputs, table=False)
    drawn = images(report)
    check_images(folder, inputs=inputs)
    write_text(render_json(report), paths[0])
    for image in drawn:  # before the text that shows them
        write_bytes(image.png(), folder / FOLDER / image.name, inputs=inputs)
    write_text(render_markdown(report, drawn), paths[1])
    if flags is not None:
        write_table(flags, paths[2])
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
