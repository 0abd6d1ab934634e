"""A model card as text: sections, headings, markers; everything else stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interjudge.errors import InputError
from interjudge.reports.card_text import (
    check_closed,
    find_section,
    headings,
    inserted,
    line_end,
    place_after,
    text_hash,
    wrapped,
)

CARD = """# My model

Intro.

## Evaluation

Scores.

### Details

More.

License
-------

```
## no heading
<!-- interjudge:begin hash=0000000000000000 -->
```

<!-- This card was made by a tool. You
## should proofread it
then remove this comment. -->
"""


def test_headings_in_code_and_comments_are_none() -> None:
    assert [(h.level, h.title) for h in headings(CARD)] == [
        (1, "My model"),
        (2, "Evaluation"),
        (3, "Details"),
        (2, "License"),
    ]


def test_markers_in_a_code_block_are_no_section() -> None:
    assert find_section(CARD) is None


def test_a_section_follows_all_that_stands_under_its_heading() -> None:
    at, level = place_after(CARD, "Evaluation")
    assert CARD[at:].startswith("License\n---")
    assert level == 2
    at, level = place_after(CARD, "### details")
    assert CARD[at:].startswith("License\n---")
    assert level == 3


def test_after_the_title_it_follows_the_opening_text() -> None:
    at, level = place_after(CARD, "My model")
    assert CARD[at:].startswith("## Evaluation")
    assert level == 2


def test_an_unknown_heading_lists_those_there_are() -> None:
    with pytest.raises(InputError, match=r"did you mean 'Evaluation'.*'My model', 'Evaluation', 'Details', 'License'"):
        place_after(CARD, "Evaluations")


def test_a_heading_that_stands_twice_is_refused() -> None:
    with pytest.raises(InputError, match=r"2 headings are called 'A'"):
        place_after("# A\n\n# A\n", "A")


@pytest.mark.parametrize(
    "text",
    [
        "<!-- interjudge:begin hash=0123456789abcdef -->\ntext\n",
        "<!-- interjudge:end -->\n",
        "<!-- interjudge:end -->\n<!-- interjudge:begin -->\n",
        wrapped(["a"], "\n") * 2,
    ],
)
def test_markers_that_do_not_pair_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"do not pair.*on lines 1"):
        find_section(text)


@given(
    st.lists(
        st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20), max_size=5
    )
)
def test_what_is_written_is_found_again_and_not_edited(lines: list[str]) -> None:
    """Whatever the lines: fences and comments among them are escaped by the writer, here left out."""
    clean = [line for line in lines if not set("`~<") & set(line)]
    for newline in ("\n", "\r\n"):
        block = wrapped(["## Heading", *clean], newline)
        found = find_section(f"before{newline}{newline}{block}after{newline}")
        assert found is not None
        assert not found.edited
        assert find_section(block.replace("Heading", "Hesding")).edited  # type: ignore[union-attr]


def test_a_change_of_line_ends_is_no_edit() -> None:
    unix = wrapped(["## A", "text"], "\n")
    assert not find_section(unix.replace("\n", "\r\n")).edited  # type: ignore[union-attr]
    assert text_hash("a  \nb\n") == text_hash("a\r\nb")
    assert text_hash("a\nb") != text_hash("a\n\nb")


def test_the_level_of_the_heading_is_read_from_the_section() -> None:
    assert find_section(wrapped(["#### A", "text"], "\n")).level == 4  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "wanted"), [("a\r\nb\r\nc\n", "\r\n"), ("a\r\nb\nc\n", "\n"), ("", "\n"), ("a", "\n")]
)
def test_the_line_end_is_that_of_most_lines(text: str, wanted: str) -> None:
    assert line_end(text) == wanted


def test_a_card_that_ends_in_an_open_block_is_refused() -> None:
    with pytest.raises(InputError, match=r"line 3.*never closed"):
        check_closed("# A\n\n```python\nx = 1\n")
    with pytest.raises(InputError, match=r"line 1.*never closed"):
        check_closed("<!-- todo\n# A\n")
    check_closed("# A\n```\nx\n```\n<!-- a -->\n<!-- b\nc -->\n")


def test_a_new_section_stands_between_empty_lines() -> None:
    assert inserted("a", 1, "S\n", "\n") == "a\n\nS\n"
    assert inserted("a\n\n", 3, "S\n", "\n") == "a\n\nS\n"
    assert inserted("a\nb\n", 2, "S\n", "\n") == "a\n\nS\n\nb\n"
    assert inserted("", 0, "S\n", "\n") == "S\n"
