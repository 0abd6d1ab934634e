"""The neutral table that the builders make and every writer turns into its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeVar

from interjudge.agreement.results import Estimate
from interjudge.reports.wording import DASH, count, figure, value

Align = Literal["left", "right"]
Tone = Literal["", "good", "warn"]
T = TypeVar("T")


class Cell(NamedTuple):
    """`brief` stands in for `text` where the line is too short (an estimate without its interval)."""

    text: str
    brief: str | None = None
    tone: Tone = ""


@dataclass(frozen=True)
class Column:
    """`rank` 0 always stays; of the others the highest is shortened, then left out, first. `name`: holds names
    from the data, which a writer may shorten in the middle."""

    head: str
    align: Align = "right"
    rank: int = 0
    name: bool = False


@dataclass(frozen=True)
class Table:
    """Title, columns, rows of as many cells, notes. Texts are as they are in the data: the writer escapes them.

    `gap` is (index, n): n rows that are not shown belong between rows index - 1 and index. `brackets` is one note
    more where cells are shown in full.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    gap: tuple[int, int] | None = None
    brackets: str = ""

    def notes_beside(self, shortened: Collection[int]) -> tuple[str, ...]:
        """The notes when the columns at these places are shortened or left out."""
        full = any(cell.brief is not None for row in self.rows for i, cell in enumerate(row) if i not in shortened)
        return (*self.notes, self.brackets) if self.brackets and full else self.notes

    def without_empty(self) -> Table:
        """Without the columns in which no row has anything to say."""
        keep = [i for i in range(len(self.columns)) if any(row[i].text for row in self.rows)]
        return replace(
            self,
            columns=tuple(self.columns[i] for i in keep),
            rows=tuple(tuple(row[i] for i in keep) for row in self.rows),
        )


@dataclass
class Dashes:
    """Gathers why values do not exist, for the notes under a table."""

    reasons: Counter[str] = field(default_factory=Counter)
    places: dict[str, str] = field(default_factory=dict)

    def cell(self, estimate: Estimate | None, where: str, *, rate: bool = False) -> Cell:
        """The estimate; a dash and a note where it has no value; empty where it does not apply."""
        if estimate is None:
            return Cell("")
        if estimate.value is None:
            return self.dash(estimate.undefined or "no reason given", where)
        return Cell(figure(estimate, rate=rate), value(estimate, rate=rate))

    def dash(self, reason: str, where: str) -> Cell:
        self.reasons[reason] += 1
        self.places.setdefault(reason, where)
        return Cell(DASH)

    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"{DASH} {reason}: {self.places[reason]}{f', and {count(n - 1)} more' if n > 1 else ''}"
            for reason, n in self.reasons.most_common()
        )


def ends(items: Sequence[T], limit: int) -> tuple[list[T], tuple[int, int] | None]:
    """The first and the last of sorted items, and the gap between them."""
    if len(items) <= limit:
        return list(items), None
    top = (limit + 1) // 2
    return [*items[:top], *items[len(items) - (limit - top) :]], (top, len(items) - limit)


def first(items: Sequence[T], limit: int) -> tuple[list[T], tuple[int, int] | None]:
    """The first of sorted items, and the gap after them."""
    return (list(items), None) if len(items) <= limit else (list(items[:limit]), (limit, len(items) - limit))


def descending(key: Callable[[T], float | None]) -> Callable[[T], float]:
    """A sort key: the highest value first, values that do not exist last."""

    def inner(item: T) -> float:
        found = key(item)
        return float("inf") if found is None else -found

    return inner
