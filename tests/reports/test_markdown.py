"""The report as Markdown: the same content, one table row a line, nothing of the data read as markup."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from interjudge.reports.escape import markdown_alt
from interjudge.reports.images import images
from interjudge.reports.markdown import render_markdown
from interjudge.reports.sections import sections


def parsed(text: str) -> list[Token]:
    """With everything switched on that could go wrong: raw HTML, tables, strike-through."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)


def flat(tokens: list[Token]) -> list[Token]:
    return [t for token in tokens for t in (token, *(token.children or ()))]


def headings(tokens: list[Token]) -> list[str]:
    return [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]


def rows(tokens: list[Token]) -> list[int]:
    """Cells in each table row."""
    found: list[int] = []
    for token in tokens:
        if token.type == "tr_open":
            found.append(0)
        elif token.type in ("td_open", "th_open"):
            found[-1] += 1
    return found


def test_it_opens_with_the_title_and_the_answer(make: Any) -> None:
    lines = render_markdown(make.report()).splitlines()
    assert lines[0] == "# How far can these judges be trusted?"
    assert lines[2].startswith("- By custom the verdicts on “refusal” are good for tentative conclusions only:")


def test_every_table_has_its_rows_and_cells(make: Any) -> None:
    q = make.question()
    tables = [table for section in sections(q, 40) for table in section.tables]
    wanted = [len(t.columns) for t in tables for _ in range(len(t.rows) + 1)]
    # then judges with their hashes (header and 3 rows of 4) and inputs (header and 1 row of 3)
    assert rows(parsed(render_markdown(make.report(q)))) == [*wanted, *[4] * 4, *[3] * 2]


def test_sections_stand_in_order(make: Any) -> None:
    assert headings(parsed(render_markdown(make.report()))) == [
        "How far can these judges be trusted?",
        "Question: refusal",
        "How far the judges agree",
        "Agreement of the whole panel",
        "Judges",
        "Pairs of judges",
        "Which conclusions survive the judge",
        "Rate of “refusal” by model, under each judge",
        "Comparisons of models",
        "Verdicts not to trust",
        "Flagged verdicts by reason",
        "Flagged verdicts by judge",
        "Outputs most in dispute",
        "What the figures rest on",
        "How the figures are made",
        "Where this comes from",
    ]


def test_numbers_align_right_and_names_left(make: Any) -> None:
    assert "| :--- | ---: | ---: |" in render_markdown(make.report())


def test_a_cut_table_says_how_much_is_missing_in_a_whole_row(make: Any) -> None:
    crowd = tuple(make.judge(f"worker {i}", kappa_mean=i / 200) for i in range(176))
    text = render_markdown(make.report(make.question(make.agreement(crowd))))
    assert "| … 136 more in report.json | … | … | … | … |" in text


def test_several_questions_have_their_own_sentences(make: Any) -> None:
    text = render_markdown(make.report(make.question(), make.question(make.agreement(question={"name": "harm"}))))
    assert text.count("- By custom the verdicts on “harm”") == 1
    assert "## Question: harm" in text


def test_versions_inputs_hashes_and_options_are_stated(make: Any) -> None:
    judges = (make.judge("a", hash="f" * 32), make.judge("b"))
    text = render_markdown(make.report(make.question(make.agreement(judges))))
    assert "f" * 32 in text
    assert "0" * 64 in text
    assert "interjudge 0.1.0, Python 3.11.0, polars 2.1.0, numpy 2.4.0" in text
    assert '- Option by: ["model"]' in text


def test_when_it_was_made_stands_in_the_last_line_alone(make: Any) -> None:
    lines = render_markdown(make.report()).splitlines()
    assert lines[-1] == "Made 2026-01-01T00:00:00Z in 1.2 s."
    assert not any("2026-01-01" in line for line in lines[:-1])


NASTY = st.one_of(
    st.text(
        alphabet=st.one_of(st.characters(), st.sampled_from("\n\r|`*_[]()<>&\\~$#-+=:! ")), min_size=1, max_size=25
    ),
    st.sampled_from(
        ["<script>x</script>", "a | b", "| --- |", "](x)", "![](x)", "```", "a\\", "<!--", "- x", "1. x", "[a]: b"]
    ),
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NASTY, NASTY, NASTY)
def test_hostile_text_changes_neither_structure_nor_becomes_html(make: Any, name: str, label: str, text: str) -> None:
    def made(name: str, label: str, text: str) -> list[Token]:
        judges = (make.judge(name), make.judge(name + "2"))
        a = make.agreement(
            judges,
            question={"name": label, "labels": (label, "other")},
            notes=(text,),
            slices=(make.part(label, text, 0.1, 0.0, 0.2),),
        )
        disputed = make.disputed(name, response=text, prompt=text, verdicts={name: label}, reasons=(text,))
        report = make.report(make.question(a, disputed=(disputed,)), title="t " + text)
        return parsed(render_markdown(report))

    tokens = made(name, label, text)
    assert {t.type for t in flat(tokens)} & {
        "html_block", "html_inline", "link_open", "image", "code_inline", "fence", "code_block", "em_open", "s_open",
        "hardbreak", "softbreak", "blockquote_open", "hr",
    } == set()  # fmt: skip
    assert [t.type for t in tokens] == [t.type for t in made("n", "l", "x")]


@pytest.mark.parametrize("n", [0, 1])
def test_empty_records_make_a_valid_page(make: Any, n: int) -> None:
    nothing = make.agreement(
        judges=(make.judge("a"),) * n, n_items=0, n_verdicts=0, coefficients=(), pairs=(), conventions=()
    )
    text = render_markdown(make.report(make.question(nothing, flags=None, conclusions=None, disputed=())))
    assert "Nothing can be said on “refusal”: there are no verdicts." in text


def test_a_wide_table_leaves_the_intervals_of_its_lesser_columns_to_the_json(make: Any) -> None:
    line = next(x for x in render_markdown(make.report()).splitlines() if x.startswith("| alpha | beta |"))
    # raw agreement and kappa with their intervals; AC1, Matthews, pi and PABAK without
    assert line.replace("\u00a0", " ") == (
        "| alpha | beta | 100 | 80.0 % [75.0, 85.0] | .600 [.500, .700] | .600 | .600 | .600 | .600 |"
    )
    assert "80.0\u00a0% [75.0,\u00a085.0] | .600 [.500,\u00a0.700]" in line  # no interval is torn apart in a cell


def test_images_stand_in_their_section_with_a_title_and_a_caption(make: Any) -> None:
    report = make.report()
    drawn = images(report)
    tokens = parsed(render_markdown(report, drawn))
    found = [t for t in flat(tokens) if t.type == "image"]
    assert [t.attrs["src"] for t in found] == [f"images/{image.name}" for image in drawn]
    assert [t.content for t in found] == [image.picture.title for image in drawn]
    titles = headings(tokens)
    assert titles.index("How far the judges agree") < titles.index("How reliable the panel is")
    assert titles.index("How reliable the panel is") < titles.index("Which conclusions survive the judge")
    inline = [t.content for t in tokens if t.type == "inline"]
    assert any("Krippendorff's alpha is .700" in text for text in inline)
    assert "![" not in render_markdown(report)


@given(st.text(alphabet="[]()!\\<&*_`a1 ", max_size=12))
def test_no_text_ends_the_alternative_text_of_an_image(text: str) -> None:
    (paragraph,) = [t for t in parsed(f"![{markdown_alt(text)}](a.png)") if t.type == "inline"]
    assert [t.type for t in paragraph.children or ()] == ["image"]
    shown = "".join(t.content for t in (paragraph.children or [])[0].children or ())
    assert " ".join(shown.split()) == " ".join(text.split())


def test_names_in_captions_are_text(make: Any) -> None:
    a = make.agreement((make.judge("![x](http://a.b)"), make.judge("<img src=x>"), make.judge("](a)[b]: c")))
    report = make.report(make.question(a))
    tokens = flat(parsed(render_markdown(report, images(report))))
    assert {t.attrs["src"] for t in tokens if t.type == "image"} <= {
        "images/reliability.png", "images/pairs.png", "images/rates.png"
    }  # fmt: skip
    assert not [t for t in tokens if t.type in ("html_inline", "html_block", "link_open")]
