"""A few of the pictures as PNG files, for readers of report.md. Drawn here, without a browser and without a network."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final

from interjudge.reports.drawing import PNG_WIDTH
from interjudge.reports.picture import Picture
from interjudge.reports.pictures import pictures
from interjudge.reports.report import Report

FOLDER: Final = "images"
DRAWN: Final = ("reliability", "pairs", "rates")
_SCALE: Final = 1.5

# Readable on its white ground wherever the file is shown.
THEME: Final[dict[str, Any]] = {
    "background": "#FFFFFF",
    "padding": 10,
    "font": "Liberation Sans, Arial, Helvetica, sans-serif",
    "view": {"stroke": None},
    "axis": {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "gridColor": "#D0D0D0"},
    "legend": {"labelFontSize": 11},
    "text": {"color": "#1A1A1A"},
}


@dataclass(frozen=True)
class Image:
    """A picture of the question number `question`, drawn into the file `name` of the folder of images."""

    question: int
    picture: Picture
    name: str

    def png(self) -> bytes:
        """The same bytes for the same picture, versions and fonts."""
        import vl_convert  # noqa: PLC0415 - 40 MB, needed only where a report is written

        spec = copy.deepcopy(dict(self.picture.spec)) | {"width": PNG_WIDTH, "config": THEME}
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}
        return vl_convert.vegalite_to_png(spec, scale=_SCALE, allowed_base_urls=[])


def images(report: Report) -> list[Image]:
    """The pictures of `DRAWN`, question by question. Names of files never hold text from the data."""
    several = len(report.questions) > 1
    return [
        Image(i, picture, f"{i + 1}-{picture.name}.png" if several else f"{picture.name}.png")
        for i, question in enumerate(report.questions)
        for picture in pictures(question)
        if picture.name in DRAWN
    ]
