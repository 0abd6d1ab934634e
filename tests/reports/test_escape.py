"""Hostile text reaches no reader as anything but text."""

from __future__ import annotations

import json
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from interjudge.reports.escape import (
    excerpt,
    html,
    json_text,
    markdown_cell,
    markdown_line,
    shorten,
    terminal,
    visible,
)

NASTY = st.text(
    alphabet=st.one_of(
        st.characters(),
        st.sampled_from("\x1b\x07\x00\x9b\r\n\t\u202e\u2066\u200b\u2028\ufeff|`*_[]()<>&\\~$#-+=:!.1 "),
    ),
    max_size=60,
)
NASTIER = st.one_of(
    NASTY,
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            "](javascript:alert(1))",
            "![x](http://a.b/c.png)",
            "a | b |\n| c",
            "`code` ``",
            "\\|",
            "a\\",
            "[red]markup[/red]",
            "| --- | --- |",
            "<!--",
            "&lt;b&gt;",
            "<http://a.b>",
            "    indented",
            "- item",
            "1. item",
            "# head",
            "> quote",
            "***",
            "www.example.com http://a.b/c",
            "~~~",
            "$x$",
        ]
    ),
)
MODERATE = settings(max_examples=300, deadline=None, derandomize=True)
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def markdown() -> MarkdownIt:
    """CommonMark with GitHub's tables, strike-through and raw HTML let through: what must not happen would."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@MODERATE
@given(NASTIER)
def test_no_control_or_invisible_character_is_left(text: str) -> None:
    for c in terminal(text):
        assert unicodedata.category(c) not in HIDDEN or c in "\u200c\u200d"


@MODERATE
@given(NASTIER, st.integers(2, 40))
def test_a_limit_is_kept_and_a_cut_shows(text: str, limit: int) -> None:
    for cut in (visible(text, limit), excerpt(text, limit), shorten(text, limit)):
        assert len(cut) <= limit
    if len(text) > limit:
        assert visible(text, limit).endswith("…")


def test_controls_are_written_as_escapes() -> None:
    assert visible("a\x1b[31mb\n\u202ec") == "a\\x1b[31mb\\n\\u202ec"


def test_ordinary_text_in_any_script_stays_as_it_is() -> None:
    for text in ("naïve “quotes” — 40 %", "拒绝", "می‌خواهم", "क्ष", "👩‍🚀", "مرحبا"):
        assert visible(text) == text


def test_an_excerpt_is_one_line_from_the_first_word_on() -> None:
    assert excerpt("\n\n  one\n\ttwo   three", 40) == "one two three"
    assert excerpt("x " * 500_000, 10) == "x x x x x…"
    assert excerpt("   \n", 10) == ""


def test_a_megabyte_on_one_line_is_cut_without_reading_it_twice() -> None:
    assert visible("\x1b" * 1_000_000, 20) == "\\x1b\\x1b\\x1b\\x1b\\x1…"
    assert len(excerpt("w" * 1_000_000, 100)) == 100


def test_a_name_keeps_both_ends() -> None:
    assert shorten("anthropic/some-model@strongreject", 15) == "anthrop…greject"
    assert shorten("short", 15) == "short"


@MODERATE
@given(st.lists(st.lists(NASTIER, min_size=3, max_size=3), min_size=1, max_size=4))
def test_a_table_row_stays_one_row_with_its_cells(rows: list[list[str]]) -> None:
    lines = ["| a | b | c |", "| --- | --- | --- |"]
    lines += ["| " + " | ".join(markdown_cell(cell) for cell in row) + " |" for row in rows]
    tokens = markdown().parse("\n".join(lines))
    assert [t.type for t in tokens].count("tr_open") == 1 + len(rows)
    assert [t.type for t in tokens].count("td_open") == 3 * len(rows)
    assert tokens[-1].type == "table_close"


@MODERATE
@given(NASTIER)
def test_a_line_of_markdown_is_one_paragraph_of_plain_text(text: str) -> None:
    """Whatever the text: one paragraph (or nothing), no tag, link, image, code or emphasis in it, and what a
    reader sees is the text itself."""
    tokens = markdown().parse(markdown_line(text))
    assert [t.type for t in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"])
    if tokens:
        children = tokens[1].children or []
        assert {t.type for t in children} <= {"text", "text_special"}
        assert "".join(t.content for t in children) == visible(text.lstrip()).strip()


@MODERATE
@given(NASTIER)
def test_a_cell_after_our_own_words_is_plain_text(text: str) -> None:
    tokens = markdown().parse("verdicts: " + markdown_cell(text))
    assert [t.type for t in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {t.type for t in tokens[1].children or []} <= {"text", "text_special"}


@pytest.mark.parametrize("text", ["http://a.b/c", "https://a.b", "www.example.com", "WWW.EXAMPLE.COM"])
def test_bare_addresses_do_not_become_links(text: str) -> None:
    """GitHub links bare addresses; the backslash ends what it would recognise."""
    assert text not in markdown_cell(text)


@MODERATE
@given(NASTIER)
def test_html_holds_no_tag_and_ends_no_attribute(text: str) -> None:
    tags: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            assert attrs in ([], [("title", visible(text))])

    Tags().feed(f'<p title="{html(text)}">{html(text)}</p>')
    assert tags == ["p"]


@MODERATE
@given(NASTIER.filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)))
def test_json_parses_to_the_same_text_without_invisible_characters(text: str) -> None:
    written = json_text(json.dumps({"text": text}, ensure_ascii=False))
    assert json.loads(written) == {"text": text}
    assert not any(unicodedata.category(c) == "Cc" or unicodedata.bidirectional(c) in {"RLO", "LRO"} for c in written)
