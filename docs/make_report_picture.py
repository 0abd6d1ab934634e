"""Draw the README's picture of the page: its opening on a desktop, and pictures of it on a phone in the dark.

python docs/make_report_picture.py REPORT_DIR docs/images/report.png      (needs chromium, playwright and Pillow)
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTH, HEIGHT, PHONE = 1320, 1000, 390
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic", "--no-first-run"]
COLOURS = 256


def shot(browser: Any, page_file: Path, width: int, scheme: str, at: str) -> Image.Image:
    page = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
    page.goto(page_file.resolve().as_uri())
    while not page.evaluate("[...document.querySelectorAll('.picture')].every(p => p.dataset.drawn)"):
        page.wait_for_timeout(50)
    page.locator(at).first.evaluate("e => e.scrollIntoView()")
    page.wait_for_timeout(300)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def main() -> None:
    source, target = Path(sys.argv[1]) / "report.html", Path(sys.argv[2])
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        desk = shot(browser, source, WIDTH, "light", "header")
        phone = shot(browser, source, PHONE, "dark", "#q1-rates-f")
        browser.close()
    whole = Image.new("RGB", (WIDTH + PHONE, HEIGHT), "white")
    whole.paste(desk, (0, 0))
    whole.paste(phone, (WIDTH, 0))
    whole.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    main()
