"""The page in a real browser: headless Chromium opens the file itself, without a server."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from page_data import N, made, tables

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (apt-get install chromium)")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic", "--no-first-run"]
PAYLOADS = (
    "</script><script>window.owned=1;alert(1)</script>",
    "<img src=x onerror='window.owned=1;alert(1)'>",
    "\" onmouseover=\"window.owned=1\" x=\"",
    "javascript:window.owned=1",
    "{{constructor.constructor('window.owned=1')()}}",
    "\u202e\u2066evil\x00\x1b[31m\u200f",
    "x" * 1_000_000,
    "<!--<script>",
    "']; window.owned=1; //",
)  # fmt: skip


@dataclass
class Watched:
    """A page, and all it said or asked for that it should not."""

    page: Any
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as p:
        launched = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=300_000)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page")
    made(out)
    return out


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Watched]]:
    contexts: list[Any] = []

    def inner(path: Path, width: int = 1280, scheme: str = "light") -> Watched:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        context.set_default_timeout(120_000)  # a busy machine
        contexts.append(context)
        watched = Watched(context.new_page())
        page, said = watched.page, watched.complaints
        page.on(
            "console", lambda m: said.append(f"console {m.type}: {m.text}") if m.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda e: said.append(f"error: {e}"))
        page.on("dialog", lambda d: (said.append(f"dialog: {d.message}"), d.dismiss()))
        page.on(
            "request", lambda r: said.append(f"request: {r.url}") if r.url not in (path.as_uri(), "data:,") else None
        )
        page.goto(path.as_uri())
        page.wait_for_selector("#explorer-app[data-ready=yes]")
        return watched

    yield inner
    for context in contexts:
        context.close()


def items(page: Any) -> list[str]:
    found: list[str] = page.locator("table.outputs tbody th").all_inner_texts()
    return found


def status(page: Any) -> str:
    return str(page.locator("#explorer-app [role=status]").inner_text())


def until(page: Any, holds: str) -> None:
    """Wait for an expression; `wait_for_function` would evaluate text, which the page's policy forbids."""
    for _ in range(400):
        if page.evaluate(holds):
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"never held: {holds}")


def settled(page: Any, words: str) -> None:
    for _ in range(400):
        if status(page).startswith(words):
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"{words} expected, found {status(page)}")


DRAWN = "[...document.querySelectorAll('.picture')].every(p => p.dataset.drawn)"


def test_it_loads_and_draws_every_picture_without_a_complaint(folder: Path, opened: Callable[..., Watched]) -> None:
    w = opened(folder / "report.html")
    until(w.page, DRAWN)
    drawn = w.page.eval_on_selector_all(
        ".picture", "all => all.map(p => [p.id, p.dataset.drawn, p.getAttribute('role')])"
    )
    assert len(drawn) > 3
    assert {(yes, role) for _, yes, role in drawn} == {("yes", "img")}
    assert w.page.locator(".picture svg").count() == len(drawn)
    assert w.complaints == []


def test_the_outputs_are_sorted_by_their_heads(folder: Path, opened: Callable[..., Watched]) -> None:
    page = opened(folder / "report.html").page
    head = page.locator("table.outputs th", has=page.get_by_role("button", name="output", exact=True))
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert items(page)[:3] == ["item-0000", "item-0001", "item-0002"]
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert items(page)[0] == f"item-{N - 1:04d}"
    page.get_by_role("button", name="verdict wrong").click()
    shown = [float(x) for x in page.locator("table.outputs tbody td:nth-child(6)").all_inner_texts()]
    assert shown == sorted(shown, reverse=True)
    assert page.locator("table.outputs th[aria-sort]").count() == 1


def test_they_are_searched_filtered_and_paged(folder: Path, opened: Callable[..., Watched]) -> None:
    page = opened(folder / "report.html").page
    form = page.get_by_role("form", name="Choose outputs")
    assert status(page) == f"{N} outputs, page 1 of 5"
    page.get_by_role("button", name="Next").click()
    assert status(page).endswith("page 2 of 5")
    form.get_by_label("Search names and texts").fill('"prompt number 7"')
    settled(page, "3 of 120")  # three models answered it; the prompt itself is not in the table
    assert sorted(items(page)) == ["item-0021", "item-0022", "item-0023"]
    form.get_by_label("Search names and texts").fill("")
    form.get_by_label("Model").select_option("model-1")
    settled(page, "40 of 120")
    form.get_by_label("Category").select_option("category-2")
    settled(page, "10 of 120")
    form.get_by_label("Model").select_option("any")
    form.get_by_label("Category").select_option("any")
    form.get_by_label("Judge").select_option("judge-3")
    form.get_by_label("Flagged only").check()
    flagged = pl.read_parquet(folder / "flags.parquet").filter((pl.col("judge") == "judge-3") & pl.col("flagged"))
    settled(page, f"{flagged.height} of 120")
    flags = page.locator("table.outputs tbody td:nth-child(7)").all_inner_texts()
    assert set(flags) == {"1"}  # of this judge alone
    form.get_by_label("Verdict wrong, at least").fill("0.9")
    assert all(float(x) >= 0.9 for x in page.locator("table.outputs tbody td:nth-child(6)").all_inner_texts())
    form.get_by_label("Verdict wrong, at least").fill("")
    reason = form.get_by_label("Reason").locator("option").all_inner_texts()
    assert "split panel" in reason
    form.get_by_label("Reason").select_option("not ok: parse_error")
    for row in items(page):
        assert row.startswith("item-")


def test_an_output_opens_and_its_texts_only_when_asked_for(folder: Path, opened: Callable[..., Watched]) -> None:
    w = opened(folder / "report.html")
    page = w.page
    page.get_by_role("button", name="output", exact=True).click()
    assert "response number" not in page.locator("body").inner_text()
    button = page.get_by_role("button", name="item-0000")
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    detail = page.locator("tr.detail")
    assert detail.locator("tbody th").all_inner_texts() == ["reference", *(f"judge-{j}" for j in range(4))]
    truth = detail.locator("tbody tr").first.locator("td").all_inner_texts()
    assert truth == [tables().reference.filter(pl.col("item_id") == "item-0000")["gold"].item(), "", "“people”"]
    assert "response number" not in detail.inner_text()
    detail.get_by_text("Show prompt and response").click()
    page.wait_for_selector("tr.detail .text")
    assert detail.locator(".text").all_inner_texts() == ["prompt number 0", "response number 0\nin two lines"]
    detail.get_by_text("Show what the judges wrote").click()
    until(page, "document.querySelectorAll('tr.detail .text').length === 6")
    assert detail.locator(".text").all_inner_texts()[2:] == [f"because of 0 says judge {j}" for j in range(4)]
    button.click()
    assert page.locator("tr.detail").count() == 0
    page.get_by_label("Show texts when opened").check()
    page.get_by_role("button", name="item-0003").click()
    until(page, "document.querySelectorAll('tr.detail .text').length === 6")
    assert w.complaints == []


def test_the_heat_map_switches_its_measure(folder: Path, opened: Callable[..., Watched]) -> None:
    w = opened(folder / "report.html")
    page = w.page
    place = page.locator("#q1-pairs")
    place.scroll_into_view_if_needed()
    page.wait_for_selector("#q1-pairs[data-drawn=yes]")
    before = place.locator("svg").inner_html()
    choice = page.locator("#q1-pairs-b select")
    options = choice.locator("option").all_inner_texts()
    assert len(options) >= 3
    choice.select_option(options[1])
    for _ in range(100):
        if place.locator("svg").inner_html() != before:
            break
        page.wait_for_timeout(25)
    assert place.locator("svg").inner_html() != before
    assert w.complaints == []


def test_it_prints_every_section_and_a_short_table_of_outputs(folder: Path, opened: Callable[..., Watched]) -> None:
    page = opened(folder / "report.html").page
    until(page, DRAWN)
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert pages > 4
    page.emulate_media(media="print")
    assert not page.locator("#explorer-app").is_visible()
    assert page.locator("#explorer-top").is_visible()
    assert page.locator("#explorer-top tbody tr").count() == 20
    assert not page.get_by_role("navigation").is_visible()
    assert page.locator("details.table:not(.data) table").first.is_visible()  # folded on the screen


@pytest.mark.parametrize("width", [390, 1280])
def test_it_never_scrolls_sideways(folder: Path, opened: Callable[..., Watched], width: int) -> None:
    page = opened(folder / "report.html", width).page
    until(page, DRAWN)
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_telephone_nothing_is_squeezed_or_pushed_out(folder: Path, opened: Callable[..., Watched]) -> None:
    """The heading above the judges has the width of the page; an opened output is no wider than its table."""
    page = opened(folder / "report.html", width=390).page
    caption = "document.querySelector('table.cards caption')"
    page.evaluate(f"{caption}.className = ''; {caption}.textContent = 'Question: ' + 'some words '.repeat(3)")
    assert page.evaluate(f"{caption}.getBoundingClientRect().width") > 300
    table = "document.querySelector('table.outputs').getBoundingClientRect().width"
    before = page.evaluate(table)
    page.get_by_label("Show texts when opened").check()
    page.locator("table.outputs .open").first.click()
    page.wait_for_selector("tr.detail .text")
    assert page.evaluate(table) == before


def test_dark_follows_the_system_and_the_switch(folder: Path, opened: Callable[..., Watched]) -> None:
    def background(page: Any) -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light, dark = (opened(folder / "report.html", scheme=scheme).page for scheme in ("light", "dark"))
    assert background(light) == "rgb(255, 255, 255)"
    assert background(dark) == "rgb(20, 23, 26)"
    switch = dark.get_by_role("button", name="Theme")
    switch.click()
    assert switch.inner_text() == "Theme: light"
    assert background(dark) == "rgb(255, 255, 255)"
    switch.click()
    assert background(dark) == "rgb(20, 23, 26)"


def test_hostile_names_and_texts_do_nothing(tmp_path: Path, opened: Callable[..., Watched]) -> None:
    number = iter(range(10**6))

    def hostile(text: str) -> str:
        return cache.setdefault(text, f"{PAYLOADS[next(number) % len(PAYLOADS)]} {text}")

    cache: dict[str, str] = {}
    made(tmp_path, hostile, 45)
    assert (tmp_path / "report.html").stat().st_size < 5_000_000
    w = opened(tmp_path / "report.html", 390)
    page = w.page
    until(page, DRAWN)
    page.get_by_label("Show texts when opened").check()
    for button in page.locator("table.outputs .open").all()[:10]:
        button.click()
    until(page, "document.querySelectorAll('tr.detail .text').length > 30")
    page.locator("tr.detail .text").first.hover()
    page.get_by_label("Search names and texts").fill("</script>")
    page.wait_for_timeout(400)
    assert page.evaluate("typeof window.owned") == "undefined"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not re.search("[\u202e\u2066\x00\x1b]", page.content())
    assert w.complaints == []
