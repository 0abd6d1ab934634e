"""The report and the agreement on a terminal: sentences first, then tables that fit the width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from interjudge.agreement.results import Agreement
from interjudge.agreement.results_question import QuestionResult
from interjudge.reports import section_scores, section_truth
from interjudge.reports.escape import terminal
from interjudge.reports.fit import Fitted, fit, wrap
from interjudge.reports.report import Provenance, Report
from interjudge.reports.sections import Section, sections
from interjudge.reports.sentences import agreement_sentences, opening
from interjudge.reports.table import Table, Tone
from interjudge.reports.tables import agreement_tables
from interjudge.reports.tables_findings import CONVENTIONS, conventions, dispute, facts, heading
from interjudge.reports.wording import count

ROWS: Final = 12
_FIRST_TABLES: Final = 3
_MORE: Final = (
    "More in report.md, or here with --full: whom to trust, rates, which conclusions survive, verdicts not to trust, "
    "what makes the panel disagree, missing verdicts, how much would be enough."
)
_DISPUTED: Final = 3
_READABLE: Final = 100  # a sentence is not set wider than this
# Our own signs where the encoding has none.
_PLAIN: Final = str.maketrans("•“”—…─", '*""-.-')
_STYLES: Final[dict[Tone, str]] = {"": "", "good": "green", "warn": "bold yellow"}


def render_terminal(report: Report, console: Console, *, full: bool = True) -> None:
    """The report: the answer, then for each question its tables and what is most in dispute.

    Without `full`, the sentences and the first tables alone: what a reader takes in without scrolling back.
    """
    print_heading(report.title, console)
    print_bullets(report.summary, console)
    for question in report.questions:
        if len(report.questions) > 1:
            print_heading(heading(question.agreement), console)
            print_bullets(opening(question), console)
        if not full:
            for table in agreement_tables(question.agreement, ROWS)[:_FIRST_TABLES]:
                print_table(table, console, "in report.json")
            continue
        for section in sections(question, ROWS):
            _section(section, console)
        _disputed(question, console)
        _facts(question.agreement, console)
    if not full:
        _line("", console)
        _lines(wrap(_MORE, _width(console)), console, "dim")
        return
    _conventions([question.agreement for question in report.questions], console)
    _provenance(report.provenance, console)


def _section(section: Section, console: Console) -> None:
    print_heading(section.title.upper(), console)
    if section.sentences:
        print_bullets(section.sentences, console)
    for table in section.tables:
        print_table(table, console, "in report.json")


def render_agreement(agreement: Agreement, console: Console) -> None:
    """What `interjudge agree` prints."""
    found = agreement.scores
    more = section_scores.sentences(found, agreement) if found else ()
    print_bullets((*agreement_sentences(agreement), *section_truth.worth_sentences(agreement), *more), console)
    for table in (
        *agreement_tables(agreement, ROWS),
        *section_truth.worth_tables(agreement, ROWS),
        *(section_scores.tables(found, agreement, ROWS) if found else ()),
    ):
        print_table(table, console, "with --json FILE")
    _facts(agreement, console)
    _conventions([agreement], console)


def print_text(text: str, console: Console, *, indent: int = 0, style: str = "") -> None:
    """A sentence or a name from anywhere, wrapped and indented."""
    lines = wrap(terminal(text), _width(console) - indent)
    _lines([" " * indent + line for line in lines], console, style)


def print_heading(text: str, console: Console) -> None:
    """An empty line and a heading."""
    console.print()
    _lines(wrap(terminal(text), _width(console)), console, "bold")


def print_bullets(sentences: Iterable[str], console: Console) -> None:
    """Sentences, each with a bullet and its further lines indented."""
    console.print()
    for sentence in sentences:
        _hanging("• ", terminal(sentence), console)


def print_table(table: Table, console: Console, where: str = "not shown") -> None:
    """One table in the console's width; `where` says where the rows are that are left out."""
    fitted = fit(table, console.width)
    print_heading(table.title, console)
    head, rule = _head(fitted)
    for line in head:
        _line(line, console, "bold")
    _line(rule, console, "dim")
    for index, row in enumerate(fitted.rows):
        if table.gap and table.gap[0] == index:
            _more(table.gap[1], where, console)
        cells = Text()
        for i, cell in enumerate(row):
            cells.append("  " if i else "")
            cells.append(_encodable(_padded(cell, fitted, i), console), _STYLES[fitted.tones[index][i]])
        cells.rstrip()
        console.print(cells, no_wrap=True, overflow="ellipsis", crop=True)
    if table.gap and table.gap[0] == len(fitted.rows):
        _more(table.gap[1], where, console)
    notes = list(fitted.notes)
    if fitted.dropped:
        notes.append(f"not at this width: {', '.join(fitted.dropped)}")
    for note in notes:
        _hanging("  ", terminal(note), console, "dim")


def _head(fitted: Fitted) -> tuple[list[str], str]:
    """The lines of the header, bottom-aligned, and the rule under it."""
    depth = max(len(lines) for lines in fitted.heads)
    padded = [[""] * (depth - len(lines)) + lines for lines in fitted.heads]
    lines = ["  ".join(_padded(column[i], fitted, c) for c, column in enumerate(padded)).rstrip() for i in range(depth)]
    return lines, "  ".join("─" * width for width in fitted.widths)


def _padded(text: str, fitted: Fitted, column: int) -> str:
    space = " " * (fitted.widths[column] - cell_len(text))
    return text + space if fitted.columns[column].align == "left" else space + text


def _more(n: int, where: str, console: Console) -> None:
    _line(f"… {count(n)} more {where}", console, "dim italic")


def _disputed(question: QuestionResult, console: Console) -> None:
    if not question.disputed:
        return
    shown = question.disputed[:_DISPUTED]
    print_heading(f"Most in dispute ({count(len(shown))} of {count(len(question.disputed))} in report.json)", console)
    for place, output in enumerate(shown, 1):
        console.print()
        for term, text in dispute(output, excerpt_length=200):
            _hanging(f"{place}. " if term == "output" else f"   {term}: ", terminal(text), console)


def _facts(agreement: Agreement, console: Console) -> None:
    print_heading("What the figures rest on", console)
    for term, text in facts(agreement):
        _hanging(f"{term}: ", terminal(text), console, "dim")


def _conventions(agreements: Sequence[Agreement], console: Console) -> None:
    found = conventions(agreements)
    if found:
        print_heading(CONVENTIONS, console)
    for term, text in found:
        _hanging(f"{terminal(term)}: ", terminal(text), console, "dim")


def _provenance(provenance: Provenance, console: Console) -> None:
    files = [
        f"{terminal(file.name)} ({count(file.rows, 'row')})" if file.rows is not None else terminal(file.name)
        for file in provenance.inputs
    ]
    text = (
        f"interjudge {provenance.interjudge}, Python {provenance.python}, polars {provenance.polars}, "
        f"numpy {provenance.numpy}"
    )
    _hanging("Versions: ", text, console, "dim")
    if files:
        _hanging("Inputs: ", ", ".join(files), console, "dim")


def _hanging(lead: str, text: str, console: Console, style: str = "") -> None:
    """`lead`, then the text with its later lines indented to it."""
    indent = " " * min(cell_len(lead), 12)
    lines = wrap(text, _width(console) - len(indent), first=_width(console) - cell_len(lead))
    _lines([lead + line if i == 0 else indent + line for i, line in enumerate(lines)], console, style)


def _lines(lines: Sequence[str], console: Console, style: str = "") -> None:
    for line in lines:
        _line(line, console, style)


def _line(line: str, console: Console, style: str = "") -> None:
    console.print(Text(_encodable(line, console), style=style), no_wrap=True, overflow="ellipsis", crop=True)


def _encodable(text: str, console: Console) -> str:
    """The text as the console's encoding can hold it (a Windows pipe is often cp1252), of the same width."""
    try:
        text.encode(console.encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(console.encoding, "replace").decode(console.encoding)
    return text


def _width(console: Console) -> int:
    return min(console.width, _READABLE)
