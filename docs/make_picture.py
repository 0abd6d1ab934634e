"""Draw the README's picture: the opening of the demo report as a terminal shows it.

python docs/make_picture.py DEMO_DIR docs/images/demo.png      (needs chromium; DEMO_DIR from `interjudge demo`)
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from interjudge.reports.report import Report
from interjudge.reports.terminal import render_terminal

WIDTH, ROWS = 100, 46


def main() -> None:
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    report = Report.model_validate_json((folder / "report.json").read_text(encoding="utf-8"))
    whole = Console(width=WIDTH, force_terminal=True, color_system="standard", highlight=False)
    with whole.capture() as captured:
        render_terminal(report, whole)
    shown = captured.get().splitlines()[:ROWS]
    picture = Console(width=WIDTH, record=True, file=open("/dev/null", "w", encoding="utf-8"), highlight=False)  # noqa: SIM115
    picture.print(Text.from_ansi("\n".join(["$ interjudge demo", *shown, "…"])))
    # The export asks a server for its font; the page must need nothing from outside.
    svg = re.sub(r"@font-face \{.*?\}", "", picture.export_svg(title="interjudge demo"), flags=re.DOTALL)
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if size is None:
        raise SystemExit("the picture has no size")
    width, height = (round(float(x)) for x in size.groups())
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "page.svg"
        page.write_text(svg.replace("<svg ", f'<svg width="{width}" height="{height}" ', 1), encoding="utf-8")
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--hide-scrollbars",
        ]
        size_option = f"--window-size={width},{height}"
        subprocess.run(["chromium", *options, size_option, f"--screenshot={target}", page.as_uri()], check=True)


if __name__ == "__main__":
    main()
