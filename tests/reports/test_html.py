"""The report as a page: one file, parsed as a browser parses it, in which the data are text."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from page_data import made

from interjudge.reports.html import render_html
from interjudge.reports.picture import Picture
from interjudge.reports.table import Cell, Column, Table
from interjudge.reports.verdict_table import verdict_table

HOSTILE = st.text(max_size=30) | st.sampled_from(
    [
        "<script>alert(1)</script>", "</script><script>alert(1)</script>",
        '" onmouseover="alert(1)', "javascript:alert(1)",
        "{{ 7*7 }}{% raw %}", "\u202egnp.exe", "\x00\x1b[31m", "<!--", "]]>", "&lt;b&gt;",
    ]
)  # fmt: skip


class Parsed(HTMLParser):
    """Start tags with their attributes, and the text of the page outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.scripts.append(data)
        else:
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def none(_: object) -> tuple[Picture, ...]:
    return ()


def picture(section: str = "How far the judges agree", name: str = "stub", title: str = "A stub") -> Picture:
    x = {"field": "x", "type": "quantitative"}
    spec = {"width": "container", "mark": "point", "data": {"values": [{"x": 1, "who": title}]}, "encoding": {"x": x}}
    table = Table("Stub figures", (Column("judge", "left"), Column("x")), ((Cell("a"), Cell("1")),))
    return Picture(name, section, title, "What to see.", spec, table)


@pytest.fixture(scope="module")
def page(make: Any) -> Parsed:
    return Parsed(render_html(make.report(), pictures=none))


def test_it_opens_with_the_answer_then_verdicts_then_contents(make: Any, page: Parsed) -> None:
    text = " ".join("".join(page.text).split())
    order = [
        "The answer",
        make.report().summary[0][:30],
        "What each judge can be trusted for",
        "Contents",
        "How far the",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_nothing_is_loaded_from_elsewhere(page: Parsed) -> None:
    for tag, attributes in page.tags:
        assert "src" not in attributes, tag
        target = attributes.get("href")
        assert target is None or target.startswith("#") or target == "data:,"
        assert not [name for name in attributes if name.startswith("on") or name == "style"]


def test_the_policy_names_every_script_and_the_style_by_its_hash(make: Any) -> None:
    page = render_html(make.report(), pictures=lambda _: (picture(),))
    policy = Parsed(page).all("meta")[1]["content"] or ""
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "connect-src" not in policy  # so none is allowed
    run = re.findall(r"<(script|style)>(.*?)</\1>", page, re.DOTALL)
    assert [kind for kind, _ in run] == ["style", "script", "script", "script"]  # Vega, the page, the outputs
    for _, code in run:
        assert base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() in policy


def test_headings_descend_and_tables_have_captions(page: Parsed) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table")) > 5
    assert len(page.all("main")) == len(page.all("nav")) == len(page.all("header")) == len(page.all("footer")) == 1
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {(a["href"] or "").removeprefix("#") for a in page.all("a")}
    assert links <= set(ids)


def test_a_picture_stands_in_its_section_with_its_words_and_its_table(make: Any) -> None:
    page = Parsed(render_html(make.report(), pictures=lambda _: (picture(), picture("A section of its own", "other"))))
    drawn = [a for a in page.all("div") if a.get("role") == "img"]
    assert [a["id"] for a in drawn] == ["q1-stub", "q1-other"]
    assert (drawn[0]["aria-label"] or "").startswith("A stub. What to see.")
    text = " ".join("".join(page.text).split())
    assert "A section of its own" in text
    assert text.count("Stub figures") == 2


def test_the_same_report_is_the_same_page_but_for_its_last_line(make: Any) -> None:
    later = make.report().provenance.model_copy(
        update={"run": make.report().provenance.run.model_copy(update={"created_at": "2027-01-01T00:00:00Z"})}
    )
    first, again = (
        render_html(make.report(**more), pictures=none).splitlines() for more in ({}, {"provenance": later})
    )
    assert [(a, b) for a, b in zip(first, again, strict=True) if a != b] == [
        ('<p id="made">Made 2026-01-01T00:00:00Z in 1.2 s.</p>', '<p id="made">Made 2027-01-01T00:00:00Z in 1.2 s.</p>')
    ]


def test_two_runs_of_one_analysis_make_the_same_page(tmp_path: Path) -> None:
    pages = []
    for name in ("first", "again"):
        made(tmp_path / name)
        pages.append((tmp_path / name / "report.html").read_text(encoding="utf-8").splitlines())
    differ = [a for a, b in zip(*pages, strict=True) if a != b]
    assert all(line.startswith('<p id="made">') for line in differ)
    assert "explorer-texts" in "".join(line[:60] for line in pages[0])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HOSTILE, HOSTILE, HOSTILE)
def test_hostile_text_changes_no_tag(make: Any, page: Parsed, name: str, label: str, text: str) -> None:
    judges = (make.judge(name, 0.3), make.judge("beta", 0.4), make.judge("gamma", 0.5, kappa_mean=0.3))
    a = make.agreement(judges, question={"labels": (label, "refusal")}, notes=(text,) if text else ())
    report = make.report(make.question(a), title=text or "t")
    found = render_html(report, pictures=lambda _: (picture(title=text),))
    parsed = Parsed(found)
    allowed = {tag for tag, _ in page.tags} | {"figure", "figcaption", "strong"}
    assert {tag for tag, _ in parsed.tags} <= allowed
    assert len(parsed.all("script")) == 4  # Vega, specifications, the page, the outputs
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", found.split("<script", 1)[0])


def test_a_redacted_report_says_so(make: Any) -> None:
    report = make.report().model_copy(update={"redacted": True})
    assert "left out of this report" in render_html(report, pictures=none)


def test_the_verdict_table_says_who_is_best_and_who_may_guess(make: Any) -> None:
    from interjudge.agreement.results import Estimate

    good = make.referenced("good", 0.8, 0.05, n_ok=100)
    luck = make.referenced("luck", 0.02, 0.1, n_ok=100)
    a = make.agreement((luck, good), question={"reference": "people"})
    table = verdict_table(make.question(a), 10)
    words = {row[0].text: (row[-2].text, row[-1].text) for row in table.rows}
    assert words["luck"] == ("", "Not shown to be better than guessing")
    assert "isses the fewest “refusal”" in words["good"][0]
    few = good.model_copy(update={"n_ok": 3, "missing": {"error": 97}, "sensitivity": Estimate(undefined="none")})
    table = verdict_table(make.question(make.agreement((luck, few), question={"reference": "people"})), 10)
    assert "No verdict on 97.0 % of its outputs; only 3 verdicts" in [row[-1].text for row in table.rows]
