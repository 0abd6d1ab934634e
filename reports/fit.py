"""Tables and sentences cut to the width of a terminal, in cells rather than characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from interjudge.reports.escape import shorten, terminal
from interjudge.reports.table import Column, Table, Tone

_GUTTER = 2
_HEAD = 14  # a header is folded when it is wider than this and than its column
_HEAD_LINES = 3
_LEAST_NAME = 6


@dataclass(frozen=True)
class Fitted:
    """`rows` hold what is printed in `columns` of `widths` cells; `heads` the lines of each header;
    `dropped` the headers of the columns that did not fit."""

    columns: tuple[Column, ...]
    heads: tuple[list[str], ...]
    rows: tuple[tuple[str, ...], ...]
    tones: tuple[tuple[Tone, ...], ...]
    widths: tuple[int, ...]
    dropped: tuple[str, ...]


def fit(table: Table, width: int) -> Fitted:
    """Shorten, then leave out, columns by rank until the table is at most `width` cells wide.

    Names are shortened in the middle; as the last resort they shrink to a few characters.
    """
    brief: set[int] = set()
    dropped: set[int] = set()
    names = [i for i, column in enumerate(table.columns) if column.name and column.align == "left"]
    most = max(_HEAD, width // (1 + max(1, len(names))))

    def made(name_width: int) -> Fitted:
        return _made(table, brief, dropped, name_width)

    result = made(most)
    ranks = sorted({column.rank for column in table.columns} - {0}, reverse=True)
    for chosen, by_rank in ((brief, ranks), (dropped, ranks), (brief, [0])):
        for rank in by_rank:
            # from the right: what stands first matters most
            for i in range(len(table.columns) - 1, -1, -1):
                if _wide(result) <= width:
                    return result
                if table.columns[i].rank == rank:
                    chosen.add(i)
                    result = made(most)
    while _wide(result) > width and most > _LEAST_NAME:
        most -= 1
        result = made(most)
    return result


def _wide(fitted: Fitted) -> int:
    return sum(fitted.widths) + _GUTTER * (len(fitted.widths) - 1)


def _made(table: Table, brief: set[int], dropped: set[int], name_width: int) -> Fitted:
    keep = [i for i in range(len(table.columns)) if i not in dropped]
    columns = tuple(table.columns[i] for i in keep)
    rows = tuple(
        tuple(
            _cell(
                (cell.brief if i in brief and cell.brief is not None else cell.text),
                name_width if table.columns[i].name and table.columns[i].align == "left" else None,
            )
            for i in keep
            for cell in (row[i],)
        )
        for row in table.rows
    )
    content = [max((cell_len(row[c]) for row in rows), default=0) for c in range(len(keep))]
    heads = tuple(_fold(terminal(column.head), content[c]) for c, column in enumerate(columns))
    widths = tuple(max([content[c], *(cell_len(line) for line in heads[c])]) for c in range(len(keep)))
    tones = tuple(tuple(row[i].tone for i in keep) for row in table.rows)
    gone = tuple(terminal(shorten(table.columns[i].head, 40)) for i in sorted(dropped))
    return Fitted(columns, heads, rows, tones, widths, gone)


def _cell(text: str, width: int | None) -> str:
    return terminal(text) if width is None else narrow(text, width)


def narrow(text: str, width: int) -> str:
    """At most `width` cells, shortened in the middle."""
    most = width
    short = shorten(text, most)
    while cell_len(short) > width and most > 1:
        most -= 1
        short = shorten(text, most)
    return short


def _fold(head: str, content: int) -> list[str]:
    """A header on up to three lines, no wider than its column needs."""
    room = max(content, min(cell_len(head), _HEAD)) if cell_len(head) > content else cell_len(head)
    words = narrow(head, room * _HEAD_LINES) if room else head
    lines = wrap(words, max(room, 1))
    while len(lines) > _HEAD_LINES:  # words that break badly
        room += 1
        lines = wrap(words, room)
    return lines


def wrap(text: str, width: int, first: int | None = None) -> list[str]:
    """Lines of at most `width` cells (the first of at most `first`), broken at spaces; longer words are cut.

    A number stays with its per-cent sign.
    """
    lines: list[str] = []
    line, room = "", first or width
    for word in text.replace(" %", "\u00a0%").split(" "):
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
