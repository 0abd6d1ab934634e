"""Tables and sentences cut to the width of a terminal, in cells rather than characters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size

from interjudge.reports.escape import shorten, terminal, visible
from interjudge.reports.table import Cell, Column, Table, Tone

_INTERVAL = re.compile(r"\[([-+<>.\d]{1,9}), ([-+<>.\d]{1,9})\]")
_GUTTER = 2
_HEAD = 14  # a header is folded when it is wider than this and than its column
_HEAD_LINES = 3
_LEAST_NAME = 6
_LEAST_TEXT = 20


@dataclass(frozen=True)
class Fitted:
    """`rows` hold what is printed in `columns` of `widths` cells; `heads` the lines of each header;
    `dropped` the headers of the columns that did not fit; `notes` those of the table that apply at this width."""

    columns: tuple[Column, ...]
    heads: tuple[list[str], ...]
    rows: tuple[tuple[str, ...], ...]
    tones: tuple[tuple[Tone, ...], ...]
    widths: tuple[int, ...]
    dropped: tuple[str, ...]
    notes: tuple[str, ...]


def fit(table: Table, width: int) -> Fitted:
    """Shorten, then leave out, columns by rank until the table is at most `width` cells wide.

    Columns of one rank are shortened together and left out from the right. Names are cut in the middle, other
    left-aligned text at its end, before any column goes; as the last resort names shrink to a few characters.
    """
    names = [column for column in table.columns if column.name and column.align == "left"]
    state = _State(max(_HEAD, width // (2 + len(names))))
    ranks = sorted({column.rank for column in table.columns} - {0}, reverse=True)
    numbered = list(enumerate(table.columns))
    steps: list[tuple[set[int], set[int]]] = [
        *((state.brief, {i for i, column in numbered if column.rank == rank}) for rank in ranks),
        *((state.dropped, {i}) for rank in ranks for i, column in reversed(numbered) if column.rank == rank),
        (state.brief, {i for i, column in numbered if column.rank == 0}),
    ]
    result = _made(table, state)
    if _wide(result) > width:
        state.folded = True
        result = _made(table, state)
    if _wide(result) > width:
        state.text = _LEAST_TEXT
        result = _made(table, state)
    for chosen, columns in steps:
        if _wide(result) <= width:
            break
        chosen.update(columns)
        result = _made(table, state)
    while _wide(result) > width and state.name > _LEAST_NAME:
        state.name -= 1
        result = _made(table, state)
    for rank in [0, *reversed(ranks)]:  # what was shortened on the way may have room now
        shortened = {i for i, column in numbered if column.rank == rank and i in state.brief}
        state.brief -= shortened
        if _wide(_made(table, state)) > width:
            state.brief |= shortened
    result = _made(table, state)
    if state.text is not None:  # the room that is left belongs to the text
        least, state.text = state.text, state.text + max(0, width - _wide(result))
        result = _made(table, state)
        while _wide(result) > width and state.text > least:  # several columns of text share it
            state.text -= 1
            result = _made(table, state)
    return result


@dataclass
class _State:
    """How far a table has been shortened: the width of names and, once it is cut, of other text; whether
    headers are folded as narrow as their words."""

    name: int
    folded: bool = False
    text: int | None = None
    brief: set[int] = field(default_factory=set)
    dropped: set[int] = field(default_factory=set)


def _wide(fitted: Fitted) -> int:
    return sum(fitted.widths) + _GUTTER * (len(fitted.widths) - 1)


def _made(table: Table, state: _State) -> Fitted:
    keep = [i for i in range(len(table.columns)) if i not in state.dropped]
    columns = tuple(table.columns[i] for i in keep)
    rows = tuple(tuple(_cell(row[i], table.columns[i], state, i in state.brief) for i in keep) for row in table.rows)
    content = [max((cell_len(row[c]) for row in rows), default=0) for c in range(len(keep))]
    heads = tuple(_fold(terminal(column.head), content[c], state.folded) for c, column in enumerate(columns))
    widths = tuple(max([content[c], *(cell_len(line) for line in heads[c])]) for c in range(len(keep)))
    tones = tuple(tuple(row[i].tone for i in keep) for row in table.rows)
    gone = tuple(shorten(table.columns[i].head, 40) for i in sorted(state.dropped) if table.columns[i].head)
    return Fitted(columns, heads, rows, tones, widths, gone, table.notes_beside(state.brief | state.dropped))


def _cell(cell: Cell, column: Column, state: _State, brief: bool) -> str:
    text = cell.brief if brief and cell.brief is not None else cell.text
    if column.align == "right":
        return terminal(text)
    if column.name:
        return narrow(text, state.name)
    text = visible(text, 10_000)
    if state.text is None or cell_len(text) <= state.text:
        return text
    return set_cell_size(text, state.text - 1).rstrip() + "…"


def narrow(text: str, width: int) -> str:
    """At most `width` cells, shortened in the middle."""
    most = width
    short = shorten(text, most)
    while cell_len(short) > width and most > 1:
        most -= 1
        short = shorten(text, most)
    return short


def _fold(head: str, content: int, tight: bool) -> list[str]:
    """A header on up to three lines, not much wider than its column and its words need."""
    longest = max((cell_len(word) for word in head.split(" ")), default=0)
    room = max(content, min(longest if tight else cell_len(head), _HEAD), 1)
    lines = wrap(narrow(head, room * _HEAD_LINES), room)
    while len(lines) > _HEAD_LINES:  # words that break badly
        room += 1
        lines = wrap(narrow(head, room * _HEAD_LINES), room)
    return lines


def wrap(text: str, width: int, first: int | None = None) -> list[str]:
    """Lines of at most `width` cells (the first of at most `first`), broken at spaces; longer words are cut.

    A number stays with its per-cent sign, and an interval in one piece.
    """
    lines: list[str] = []
    line, room = "", first or width
    whole = _INTERVAL.sub("[\\1,\u00a0\\2]", text.replace(" %", "\u00a0%"))
    for word in whole.split(" "):
        for i, part in enumerate(_pieces(word, width)):
            joined = f"{line} {part}" if line else part
            if i == 0 and cell_len(joined) <= room:
                line = joined
                continue
            if line or room < width:
                lines.append(line)
            line, room = part, width
    lines.append(line)
    return [found.replace("\u00a0", " ") for found in lines]


def _pieces(word: str, width: int) -> Sequence[str]:
    """A word that is wider than a line, cut: after a separator if there is one, else anywhere."""
    if cell_len(word) <= width:
        return [word]
    pieces, piece = [], ""
    for char in word:
        if piece and cell_len(piece + char) > width:
            at = max(piece.rfind(mark) for mark in "-_/:@.") + 1
            cut = at if at > width // 3 else len(piece)
            pieces.append(piece[:cut])
            piece = piece[cut:]
        piece += char
    return [*pieces, piece]
