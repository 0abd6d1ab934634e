"""The report as one HTML file that needs nothing else: no network, no font, no second file.

Every text from the data passes `escape.html` on its way into the page (`_finalize`), or stands in packed JSON that the
scripts show with `textContent`. A Content-Security-Policy allows the page's own scripts and style by their hashes, and
no connection at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from interjudge.agreement.results_question import QuestionResult
from interjudge.reports import escape
from interjudge.reports.explorer import Explorer
from interjudge.reports.markdown import LEFT_OUT
from interjudge.reports.picture import Picture
from interjudge.reports.report import Report
from interjudge.reports.sections import Section, sections
from interjudge.reports.sentences import opening
from interjudge.reports.table import Cell, Column, Table
from interjudge.reports.tables_findings import CONVENTIONS, conventions, facts, heading
from interjudge.reports.vega_runtime import vega_runtime
from interjudge.reports.verdict_table import verdict_table
from interjudge.reports.wording import DASH, count

ROWS: Final = 100  # of a table; the rest stands in report.json
_JUDGES: Final = 24  # rows of the verdict table
_OPEN_ROWS: Final = 12  # a longer table is folded
_NUMBER_AND_INTERVAL: Final = re.compile(r"^(.*\S) (\[[^\[\]]*\])$")
_TIGHT_INTERVAL: Final = re.compile(r"\[[-<>.\d&;gtl]+, [-<>.\d&;gtl]+\]")
_TIGHT_PERCENT: Final = re.compile(r"(?<=\d) %")
_TIGHT_FIGURE: Final = re.compile(r"(?<=\b[Jpn]) (?:(?:&lt;|=) )?(?=-?\.?\d)")  # J .361, p < .001
_OPTION: Final = re.compile(r"(?<!\S)--[a-z][a-z-]*")
_NAMES: Final = ("page.css", "page.js", "explorer.js")

PictureMaker = Callable[[QuestionResult], Sequence[Picture]]


def render_html(report: Report, explorer: Explorer | None = None, *, pictures: PictureMaker | None = None) -> str:
    """The whole report as a page.

    Parameters
    ----------
    explorer : the outputs in dispute (`explorer.build_explorer`); without it the page has no such table.
    pictures : what draws a question's pictures; default `reports.pictures`.
    """
    make = pictures or _pictures()
    questions = [_Question.of(i, question, make) for i, question in enumerate(report.questions, 1)]
    specs = {p.id: p.spec for q in questions for s in q.sections for p in s.pictures}
    style, *scripts = (_asset(name) for name in _NAMES)
    if specs:
        scripts.insert(0, vega_runtime())
    for script in (style, *scripts):
        if re.search(r"</(?:script|style)|<!--", script, re.IGNORECASE):
            raise ValueError("a script or the style would end its own element")
    page: str = (
        _environment()
        .from_string(_asset("page.html.jinja"))
        .render(
            report=report,
            left_out=LEFT_OUT,
            questions=questions,
            several=len(questions) > 1,
            verdicts=[_Folded(verdict_table(q, _JUDGES), folded=False) for q in report.questions if q.agreement.judges],
            explorer=explorer,
            conventions_title=CONVENTIONS,
            conventions=conventions([q.agreement for q in report.questions]),
            inputs=_inputs(report),
            options={name: json.dumps(value, ensure_ascii=False) for name, value in report.provenance.options.items()},
            stored=[judge.judge for judge in report.provenance.judges if judge.stored][:ROWS],
            policy=_policy(style, scripts),
            style=Markup(style),
            scripts=[Markup(script) for script in scripts],
            specs=Markup(_data(specs)) if specs else None,
        )
    )
    return page


def _pictures() -> PictureMaker:
    from interjudge.reports.pictures import pictures  # noqa: PLC0415 - not needed where others draw

    return pictures


# What the template reads.


@dataclass(frozen=True)
class _Folded:
    """A table and whether it is folded away."""

    table: Table
    folded: bool

    @classmethod
    def of(cls, table: Table, *, folded: bool | None = None) -> _Folded:
        return cls(table, len(table.rows) > _OPEN_ROWS if folded is None else folded)

    @property
    def notes(self) -> tuple[str, ...]:
        return self.table.notes_beside(())

    @property
    def size(self) -> str:
        hidden = self.table.gap[1] if self.table.gap else 0
        return count(len(self.table.rows) + hidden, "row")


@dataclass(frozen=True)
class _Shown:
    """A picture under the name that it has in the page."""

    id: str
    name: str
    title: str
    caption: str
    spec: Mapping[str, Any]
    table: _Folded


@dataclass(frozen=True)
class _Section:
    id: str
    title: str
    sentences: tuple[str, ...]
    pictures: tuple[_Shown, ...]
    tables: tuple[_Folded, ...]


@dataclass(frozen=True)
class _Question:
    id: str
    heading: str
    sentences: tuple[str, ...]
    sections: tuple[_Section, ...]
    facts: tuple[tuple[str, str], ...]
    judges: Table

    @classmethod
    def of(cls, number: int, question: QuestionResult, make: PictureMaker) -> _Question:
        name = f"q{number}"
        drawn = list(make(question))
        found = _with_pictures(sections(question, ROWS), drawn)
        a = question.agreement
        rows = tuple(
            tuple(Cell(text) for text in (j.judge, j.kind, j.construct_name, j.hash or DASH)) for j in a.judges[:ROWS]
        )
        heads = (Column("judge", "left", name=True), *(Column(head, "left") for head in ("kind", "measures", "hash")))
        hidden = len(a.judges) - len(rows)
        gap = (len(rows), hidden) if hidden else None
        return cls(
            name,
            heading(a),
            opening(question),
            tuple(_section(f"{name}-s{i}", section, drawn, name) for i, section in enumerate(found, 1)),
            facts(a),
            Table("Judges of this question", heads, rows, (), gap),
        )


def _with_pictures(found: Iterable[Section], drawn: Sequence[Picture]) -> list[Section]:
    """A picture of a section that has nothing else to say still has its place, after the others."""
    known = list(found)
    titles = {section.title for section in known}
    more = dict.fromkeys(picture.section for picture in drawn if picture.section not in titles)
    return [*known, *(Section(title, (), ()) for title in more)]


def _section(name: str, section: Section, drawn: Sequence[Picture], question: str) -> _Section:
    mine = tuple(
        _Shown(f"{question}-{p.name}", p.name, p.title, p.caption, p.spec, _Folded.of(p.table, folded=True))
        for p in drawn
        if p.section == section.title
    )
    # A picture leads its section, else the first table does; the others are there to look things up.
    tables = tuple(
        _Folded.of(table, folded=bool(mine) or i > 0 or len(table.rows) > _OPEN_ROWS)
        for i, table in enumerate(section.tables)
    )
    return _Section(name, section.title, section.sentences, mine, tables)


def _inputs(report: Report) -> Table:
    columns = (Column("input", "left", name=True), Column("rows"), Column("SHA-256", "left"))
    rows = tuple(
        (Cell(f.name), Cell(DASH if f.rows is None else count(f.rows)), Cell(f.sha256 or DASH))
        for f in report.provenance.inputs
    )
    return Table("Files that were read", columns, rows)


# From text to markup.


@cache
def _environment() -> Environment:
    made = Environment(
        autoescape=True, finalize=_finalize, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["figure"] = _figure
    made.filters["sentence"] = _sentence
    return made


def _finalize(value: object) -> Markup:
    """All that a template prints, but for `Markup`, is a text from the data."""
    return value if isinstance(value, Markup) else Markup(escape.html(str(value)))


def _figure(cell: Cell) -> Markup:
    """A value with its interval beneath it."""
    parts = _NUMBER_AND_INTERVAL.match(cell.text) if cell.brief is not None else None
    if parts is None:
        return Markup(escape.html(cell.text))
    return Markup('<span class="v">{}</span> <span class="ci">{}</span>').format(
        *(Markup(escape.html(part)) for part in parts.groups())
    )


def _sentence(text: str) -> Markup:
    """A sentence in which no interval, no sign and no letter of a statistic is torn from its number."""
    safe = _TIGHT_PERCENT.sub("\u00a0%", escape.html(text))
    safe = _TIGHT_FIGURE.sub(lambda found: found[0].replace(" ", "\u00a0"), safe)
    safe = _OPTION.sub(r'<span class="n">\g<0></span>', safe)
    return Markup(_TIGHT_INTERVAL.sub(r'<span class="n">\g<0></span>', safe))


def _data(value: object) -> str:
    """JSON for a script element that is no script: nothing in it ends the element."""
    text = escape.json_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _policy(style: str, scripts: Sequence[str]) -> str:
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _asset(name: str) -> str:
    return files("interjudge.reports").joinpath(name).read_text(encoding="utf-8")
