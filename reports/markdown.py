"""The report as Markdown (CommonMark and GitHub tables). No text from the data is read as markup."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from interjudge.agreement.results import Agreement
from interjudge.agreement.results_question import QuestionResult
from interjudge.reports.escape import markdown_alt, markdown_cell, markdown_line
from interjudge.reports.images import FOLDER, Image
from interjudge.reports.report import Provenance, Report
from interjudge.reports.sections import sections
from interjudge.reports.sentences import opening
from interjudge.reports.table import Cell, Column, Table
from interjudge.reports.tables_findings import CONVENTIONS, conventions, dispute, facts, heading
from interjudge.reports.wording import DASH, count

LEFT_OUT: Final = "Prompts, responses and the judges' own words were left out of this report (--redact)."
ROWS: Final = 40
_EXCERPT: Final = 400
# In a table of more columns than this, those of this rank and above are shown without their intervals.
_WIDE: Final = 8
_BRIEF_FROM: Final = 3
# An interval, and a per cent sign: in a narrow cell neither is torn apart.
_TORN: Final = re.compile(r"\[[-+.\d&glt;]+, [-+.\d&glt;]+\\?\]|(?<=\d) %")


def render_markdown(report: Report, images: Sequence[Image] = ()) -> str:
    """The whole report, with `images` at the head of their sections; ends with a newline. The last line alone says
    when it was made."""
    return "\n".join(_report(report, images)) + "\n"


def _report(report: Report, images: Sequence[Image]) -> Iterator[str]:
    yield f"# {markdown_cell(report.title)}"
    yield ""
    yield from bullets(report.summary)
    if report.redacted:
        yield ""
        yield LEFT_OUT
    several = len(report.questions) > 1
    for i, question in enumerate(report.questions):
        yield ""
        yield f"## {markdown_cell(heading(question.agreement))}"
        if several:
            yield ""
            yield from bullets(opening(question))
        for section in sections(question, ROWS):
            yield ""
            yield f"### {section.title}"
            if section.sentences:
                yield ""
                yield from bullets(section.sentences)
            for image in images:
                if image.question == i and image.picture.section == section.title:
                    yield from _image(image)
            for table in section.tables:
                yield ""
                yield from markdown_table(table)
        yield from _disputed(question)
        yield from _facts(question.agreement)
    yield from _conventions([question.agreement for question in report.questions])
    yield from _provenance(report.provenance)


def bullets(sentences: Iterable[str]) -> Iterator[str]:
    """A list, one sentence an item."""
    for sentence in sentences:
        yield f"- {markdown_line(sentence)}"


def _image(image: Image) -> Iterator[str]:
    """The title is its alternative text; what is to be seen in it stands beneath for everybody."""
    yield ""
    yield f"#### {markdown_cell(image.picture.title)}"
    yield ""
    yield f"![{markdown_alt(image.picture.title)}]({FOLDER}/{image.name})"
    yield ""
    yield markdown_line(image.picture.caption)


def markdown_table(table: Table, where: str = "report.json") -> Iterator[str]:
    """One table; `where` says where the rows are that are left out."""
    yield f"#### {markdown_cell(table.title)}"
    yield ""
    yield _row(markdown_cell(column.head) for column in table.columns)
    yield _row("---:" if column.align == "right" else ":---" for column in table.columns)
    brief = len(table.columns) > _WIDE
    for index, row in enumerate(table.rows):
        if table.gap and table.gap[0] == index:
            yield _more(table.columns, table.gap[1], where)
        yield _row(
            markdown_cell(cell.brief if brief and column.rank >= _BRIEF_FROM and cell.brief is not None else cell.text)
            for cell, column in zip(row, table.columns, strict=True)
        )
    if table.gap and table.gap[0] == len(table.rows):
        yield _more(table.columns, table.gap[1], where)
    notes = table.notes_beside({i for i, column in enumerate(table.columns) if brief and column.rank >= _BRIEF_FROM})
    if notes:
        yield ""
    for note in notes:
        yield f"- {markdown_line(note)}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(_TORN.sub(_whole, cell) for cell in cells)} |"


def _whole(found: re.Match[str]) -> str:
    return found[0].replace(" ", "\u00a0")


def _more(columns: tuple[Column, ...], n: int, where: str) -> str:
    cells = [Cell(f"… {count(n)} more in {where}"), *(Cell("…") for _ in columns[1:])]
    return _row(cell.text for cell in cells)


def _disputed(question: QuestionResult) -> Iterator[str]:
    if not question.disputed:
        return
    yield ""
    yield "### Outputs most in dispute"
    for output in question.disputed:
        yield ""
        for term, text in dispute(output, _EXCERPT):
            yield f"1. **{markdown_line(text)}**" if term == "output" else f"   - {term}: {markdown_cell(text)}"


def _facts(agreement: Agreement) -> Iterator[str]:
    yield ""
    yield "### What the figures rest on"
    yield ""
    for term, text in facts(agreement):
        yield f"- {term}: {markdown_cell(text)}"
    yield ""
    rows = [
        (judge.judge, judge.kind, judge.construct_name, judge.hash or DASH, "") for judge in agreement.judges[:ROWS]
    ]
    yield from _plain(("judge", "kind", "construct", "hash"), [row[:4] for row in rows])
    if len(agreement.judges) > ROWS:
        yield ""
        yield f"… {count(len(agreement.judges) - ROWS)} more judges in report.json"


def _conventions(agreements: Sequence[Agreement]) -> Iterator[str]:
    found = conventions(agreements)
    if not found:
        return
    yield ""
    yield f"## {CONVENTIONS}"
    yield ""
    for term, text in found:
        yield f"- {markdown_line(term)}: {markdown_cell(text)}"


def _provenance(provenance: Provenance) -> Iterator[str]:
    yield ""
    yield "## Where this comes from"
    yield ""
    yield (
        f"- Versions: interjudge {provenance.interjudge}, Python {provenance.python}, "
        f"polars {provenance.polars}, numpy {provenance.numpy}"
    )
    if provenance.seed is not None:
        yield f"- Seed: {provenance.seed}"
    for name, option in provenance.options.items():
        yield f"- Option {markdown_cell(name)}: {markdown_cell(json.dumps(option, ensure_ascii=False))}"
    stored = [judge.judge for judge in provenance.judges if judge.stored]
    if stored:
        yield f"- Stored verdicts, not run now: {', '.join(markdown_cell(judge) for judge in stored[:ROWS])}"
    if provenance.inputs:
        yield ""
        yield from _plain(
            ("input", "rows", "SHA-256"),
            [
                (file.name, DASH if file.rows is None else count(file.rows), file.sha256 or DASH)
                for file in provenance.inputs
            ],
        )
    if provenance.run.created_at is not None:
        took = "" if provenance.run.duration_s is None else f" in {provenance.run.duration_s:.1f} s"
        yield ""
        yield f"Made {markdown_cell(provenance.run.created_at)}{took}."


def _plain(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield _row(heads)
    yield _row(":---" for _ in heads)
    for row in rows:
        yield _row(markdown_cell(cell) for cell in row)
