"""Draw every picture of a report to PNG, as a page, a telephone and a dark page show it, to be looked at.

python docs/draw_pictures.py REPORT.json OUT_FOLDER [NAME ...]      (NAME: only these pictures, say `rates`)
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import vl_convert

from interjudge.errors import InterjudgeError
from interjudge.reports.images import THEME
from interjudge.reports.pictures import pictures
from interjudge.reports.read import read_report

INK = "#E8E8E8"
DARK: dict[str, Any] = THEME | {
    "background": "#16181D",
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "gridColor": "#44484F",
        "tickColor": "#888888",
        "domainColor": "#888888",
    },
    "legend": {"labelColor": INK, "titleColor": INK},
    "text": {"color": INK},
}
PAGES = {"page": (1060, THEME), "phone": (330, THEME), "dark": (700, DARK)}


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    source, folder, only = Path(sys.argv[1]), Path(sys.argv[2]), set(sys.argv[3:])
    try:
        report = read_report(source)
    except InterjudgeError as error:
        sys.exit(f"{sys.argv[0]}: {error}")
    folder.mkdir(parents=True, exist_ok=True)
    for i, question in enumerate(report.questions, 1):
        for picture in pictures(question):
            if only and picture.name not in only:
                continue
            print(f"{i} {picture.name}: {picture.caption}")
            for page, (width, theme) in PAGES.items():
                spec = copy.deepcopy(dict(picture.spec)) | {"width": width, "config": theme}
                spec["autosize"] = {"type": "fit-x", "contains": "padding"}
                drawn = vl_convert.vegalite_to_png(spec, allowed_base_urls=[])
                (folder / f"{i}-{picture.name}-{page}.png").write_bytes(drawn)


if __name__ == "__main__":
    main()
