"""The report on a terminal: readable at 80 and at 120 columns, whatever the texts hold."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from io import BytesIO, StringIO, TextIOWrapper
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from interjudge.reports.fit import fit, narrow, wrap
from interjudge.reports.table import Cell, Column, Table
from interjudge.reports.terminal import print_table, render_agreement, render_terminal

Shown = Callable[..., str]

SMALL = """\
Judges
                 says “refusal”              alpha without
judge   ok               [95 %]  mean kappa             it
─────  ───  ───────────────────  ──────────  ─────────────
alpha  100  30.0 % [25.0, 35.0]        .600           .700
beta   100  40.0 % [35.0, 45.0]        .600           .700
gamma  100  50.0 % [45.0, 55.0]        .300           .800
"""


def test_the_answer_stands_before_the_tables(make: Any, shown: Shown) -> None:
    text = shown(render_terminal, make.report())
    assert text.index("good for tentative conclusions only") < text.index("Agreement of the whole panel")
    assert text.startswith("\nHow far can these judges be trusted?\n\n• By custom the verdicts on “refusal” are")


@pytest.mark.parametrize("width", [80, 120])
def test_a_small_table_looks_like_this(make: Any, shown: Shown, width: int) -> None:
    assert SMALL in shown(render_terminal, make.report(), width)


def wide_report(make: Any) -> Any:
    names = [f"provider/some-model-of-{i}-billion@strongreject" for i in range(9)]
    judges = tuple(make.referenced(name, 0.9 - i / 20, missing={"parse_error": i}) for i, name in enumerate(names))
    parts = tuple(make.part("model", f"organisation/a-rather-long-model-name-{i}", 0.2, 0.1, 0.3) for i in range(3))
    a = make.agreement(judges, question={"reference": "gold.parquet"}, slices=parts)
    long = make.disputed("item " * 30, prompt="word " * 200, response="w" * 1000)
    return make.report(make.question(a, disputed=(long,)))


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_console(make: Any, shown: Shown, width: int) -> None:
    for report in (make.report(), wide_report(make), make.report(make.question(), make.question())):
        lines = shown(render_terminal, report, width).splitlines()
        assert max(cell_len(line) for line in lines) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_sentences_are_not_set_wider_than_a_reader_follows(make: Any, shown: Shown, width: int) -> None:
    bullets = [line for line in shown(render_terminal, make.report(), width).splitlines() if line.startswith("• ")]
    assert max(map(len, bullets)) <= min(width, 100)


def test_columns_go_by_rank_and_are_named(make: Any, shown: Shown) -> None:
    text = shown(render_agreement, wide_report(make).questions[0].agreement, 80)
    table = text[text.index("Judges against the reference") :]
    assert "kappa" in table.splitlines()[2]
    assert "not at this width: accuracy" in table


def test_conventions_and_methods_are_said_once_at_the_end(make: Any, shown: Shown) -> None:
    other = make.agreement(question={"name": "harm"}, conventions=("a judge votes once",))
    text = shown(render_terminal, make.report(make.question(), make.question(other)), 120)
    assert text.count("pairs: items on which both judges gave a usable verdict") == 1
    assert text.count("bootstrap over items") == 1
    end = text[text.index("How the figures are made") :]
    assert "Method: Raw agreement, Krippendorff's alpha: bootstrap over items" in end
    assert "Convention (harm): a judge votes once" in end


def test_the_note_on_brackets_stands_where_brackets_do(make: Any, shown: Shown) -> None:
    assert "in brackets: the interval" not in shown(render_terminal, make.report(), 60)
    assert "in brackets: the interval" in shown(render_terminal, make.report(), 120)


def test_what_is_cut_says_how_much_and_where_it_is(make: Any, shown: Shown) -> None:
    crowd = tuple(make.judge(f"worker {i}", kappa_mean=i / 200) for i in range(176))
    text = shown(render_agreement, make.agreement(crowd))
    assert "… 164 more with --json FILE" in text
    assert len(text.splitlines()) < 80


def test_nothing_is_coloured_where_nobody_looks(make: Any, shown: Shown) -> None:
    assert "\x1b" not in shown(render_terminal, make.report())


def test_no_color_is_honoured_on_a_terminal(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    file = StringIO()
    render_terminal(make.report(), Console(file=file, width=100, force_terminal=True, highlight=False))
    codes = {part.split("m")[0] for part in file.getvalue().split("\x1b[")[1:]}
    assert codes <= {"0", "1", "2", "3", "2;3"}  # bold, dim, italic: no colour


HOSTILE = st.text(
    alphabet=st.one_of(st.characters(), st.sampled_from("\x1b\x07\x9b\r\n\t\u202e\u2028[]|/ ")), min_size=1, max_size=30
)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HOSTILE, HOSTILE, HOSTILE)
def test_no_control_character_of_the_data_reaches_the_terminal(
    make: Any, shown: Shown, name: str, label: str, response: str
) -> None:
    judges = (make.judge(name), make.judge(name + "2", rate=None).model_copy(update={"rate": {label: make.est(0.5)}}))
    disputed = make.disputed(name, response=response, prompt=response, verdicts={name: label}, reasons=(label,))
    a = make.agreement(judges, question={"name": label, "labels": (label, "x"), "positive": label}, notes=(response,))
    text = shown(render_terminal, make.report(make.question(a, disputed=(disputed,))))
    for line in text.split("\n"):
        assert not {unicodedata.category(c) for c in line} & {"Cc", "Cs", "Cn", "Co", "Zl", "Zp"}


def test_markup_of_rich_in_the_data_is_text(make: Any, shown: Shown) -> None:
    judges = (make.judge("[red]a[/red]"), make.judge("[/]b:smile:"))
    text = shown(render_agreement, make.agreement(judges))
    assert "[red]a[/red]" in text
    assert "[/]b:smile:" in text


def test_a_megabyte_on_a_line_is_an_excerpt(make: Any, shown: Shown) -> None:
    disputed = make.disputed(response="w" * 1_000_000, prompt="\x1b" * 1_000_000)
    assert len(shown(render_terminal, make.report(make.question(disputed=(disputed,))))) < 20_000


WORDS = st.text(alphabet=st.sampled_from("ab-/ 拒絶é %"), max_size=120)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(WORDS, st.integers(4, 40))
def test_wrapping_keeps_every_character_and_the_width(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert cell_len(narrow(text, width)) <= width


def test_a_number_stays_with_its_per_cent_sign() -> None:
    assert wrap("about 85.0 % of them", 10) == ["about", "85.0 % of", "them"]


def test_long_text_is_cut_at_its_end_before_columns_go() -> None:
    table = Table(
        "t", (Column("name", "left", name=True), Column("what", "left", rank=1)), ((Cell("a"), Cell("word " * 40)),)
    )
    fitted = fit(table, 40)
    assert not fitted.dropped
    assert sum(fitted.widths) + 2 <= 40
    assert fitted.rows[0][1].endswith("…")


def test_a_table_without_rows_is_its_header(shown: Shown) -> None:
    text = shown(print_table, Table("nothing", (Column("a"), Column("b")), ()))
    assert text.splitlines()[1:3] == ["nothing", "a  b"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_narrow_encoding_is_no_error(make: Any, encoding: str) -> None:
    raw = BytesIO()
    file = TextIOWrapper(raw, encoding=encoding, errors="strict")
    render_terminal(make.report(make.question(disputed=(make.disputed("拒绝"),))), Console(file=file, width=80))
    file.flush()
    assert "verdicts on" in raw.getvalue().decode(encoding)


def test_the_short_form_leaves_out_what_the_files_hold(make: Any) -> None:
    report = make.report()
    console = Console(width=100, record=True, file=StringIO())
    render_terminal(report, console, full=False)
    short = console.export_text()
    assert "Agreement of the whole panel" in short
    assert "Most in dispute" not in short
    assert "Versions" not in short
