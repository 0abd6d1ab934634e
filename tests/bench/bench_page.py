"""Size and time of report.html. `python tests/bench/bench_page.py [OUTPUTS [JUDGES [CHARACTERS]]]`.

Outputs of random English-like words (they compress about as well as prose does), each judge with a rationale. Times are
medians of 3 in one process: the page with everything, beside the same report as Markdown and as JSON. With chromium and
playwright also how long the page takes to be ready, to search all texts, and to sort.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from interjudge.agreement.analysis import Tables, analyse
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.schema import STATUS
from interjudge.reports.explorer import build_explorer
from interjudge.reports.html import render_html
from interjudge.reports.markdown import render_markdown
from interjudge.reports.report import Provenance, build_report
from interjudge.reports.vega_runtime import vega_runtime
from interjudge.reports.write import render_json

RUNS = 3
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic", "--no-first-run"]


def tables(n: int, judges: int, characters: int) -> Tables:
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    weight = 1 / np.arange(1, 27)
    words = np.array(
        ["".join(rng.choice(letters, size, p=weight / weight.sum())) for size in rng.integers(2, 10, 5000)]
    )
    common = 1 / np.arange(1, 5001)

    def text(size: int) -> str:
        return " ".join(rng.choice(words, max(size // 6, 1), p=common / common.sum()))[:size]

    outputs = pl.DataFrame(
        {
            "item_id": [f"{x:016x}" for x in rng.integers(0, 2**62, n)],
            "model": [f"model {i % 8}" for i in range(n)],
            "category": [f"category {i % 10}" for i in range(n)],
            "prompt": [text(200) for _ in range(n)],
            "response": [text(characters) for _ in range(n)],
        }
    )
    truth = rng.random(n) < 0.3
    parts = [
        pl.DataFrame(
            {
                "item_id": outputs["item_id"], "judge": f"judge {j}", "judge_kind": "rubric", "construct": "harm",
                "label": np.where(np.where(rng.random(n) < 0.95 - 0.05 * j, truth, ~truth), "unsafe", "safe"),
                "rationale": [text(150) for _ in range(n)], "status": "ok", "repeat": 0,
            }
        )
        for j in range(judges)
    ]  # fmt: skip
    return Tables(pl.concat(parts).cast({"status": STATUS}), outputs)


def timed(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def in_browser(page_file: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page()
        start = time.perf_counter()
        page.goto(page_file.as_uri())
        page.wait_for_selector("#explorer-app[data-ready=yes]")
        print(f"| browser: ready | {time.perf_counter() - start:.2f} |")
        for words, act in (
            ("search all texts, first time", lambda: page.get_by_label("Search names").fill("the model 3")),
            ("search again", lambda: page.get_by_label("Search names").fill("category 4")),
            ("sort by a probability", lambda: page.get_by_role("button", name="verdict wrong").click()),
        ):
            before = page.locator("table.outputs tbody").inner_html()
            start = time.perf_counter()
            act()
            while page.locator("table.outputs tbody").inner_html() == before and time.perf_counter() - start < 10:
                page.wait_for_timeout(5)
            print(f"| browser: {words} | {time.perf_counter() - start:.2f} |")
        browser.close()


def main() -> None:
    n, judges, characters = (int(x) for x in [*sys.argv[1:], *("10000", "5", "1000")[len(sys.argv) - 1 :]])
    given = tables(n, judges, characters)
    found = analyse(given, sampling=Sampling(replicates=200))
    report = build_report(found.questions, provenance=Provenance.collect())
    print(f"| {n:,} outputs x {judges} judges, responses of {characters:,} characters | seconds |\n|---|---|")
    explorer = build_explorer(report.questions, found.flagged, given.verdicts, given.outputs)
    build = timed(lambda: build_explorer(report.questions, found.flagged, given.verdicts, given.outputs))
    page = render_html(report, explorer)
    print(f"| outputs in dispute, packed | {build:.2f} |")
    print(f"| the page around them | {timed(lambda: render_html(report, explorer)):.2f} |")
    print(f"| report.md | {timed(lambda: render_markdown(report)):.2f} |")
    print(f"| report.json | {timed(lambda: render_json(report)):.2f} |")
    cut = explorer.cut if explorer is not None else None
    texts = explorer.texts if explorer is not None and explorer.texts else ""
    parts = {"Vega": vega_runtime(), "table of outputs": explorer.table if explorer is not None else "", "texts": texts}
    sizes = ", ".join(f"{name} {len(part.encode()) / 1e6:.2f}" for name, part in parts.items())
    print(f"\nreport.html: {len(page.encode()) / 1e6:.2f} MB ({sizes}); texts: {cut or 'whole'}\n")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "report.html"
        file.write_text(page, encoding="utf-8")
        in_browser(file)


if __name__ == "__main__":
    main()
