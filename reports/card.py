"""A report onto a model card: the section between markers, and the results in the card's front matter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from interjudge.errors import InputError
from interjudge.reports import card_text
from interjudge.reports.card_metadata import Results, front_matter, with_results
from interjudge.reports.card_section import Subject, section_lines
from interjudge.reports.report import Report

Change = Literal["added", "refreshed", "unchanged", "left"]
_MOST: Final = 1 << 26


@dataclass(frozen=True)
class Card:
    """A card as it was and as it will be. `section`: what happened to it; `notes`: what the user should know."""

    before: str
    after: str
    section: Change
    n_results: int
    notes: tuple[str, ...] = ()


def read_card(path: Path | str) -> str:
    """The text of a card, its line ends and its byte order mark as they are.

    Raises
    ------
    InputError : there is no such file, or it is no UTF-8 text.
    """
    file = Path(path)
    if file.is_dir():
        raise InputError("is a folder", file=path, expected="a model card, README.md")
    try:
        if file.stat().st_size > _MOST:
            raise InputError("is too large for a model card", file=path)
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise InputError("there is no such file", file=path, expected="a model card, or --create") from None
    except UnicodeDecodeError as error:
        where = f"byte {error.start + 1}"
        raise InputError("is no UTF-8 text", file=path, row=where, expected="a model card in UTF-8") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", file=path) from None


def update_card(
    text: str,
    report: Report,
    subject: Subject,
    *,
    insert_after: str | None = None,
    results: Results | None = None,
    force: bool = False,
) -> Card:
    """The card with the report's section and results; a second time with the same report changes nothing.

    Parameters
    ----------
    insert_after : the heading whose text the section follows where it is new; default the end of the card.
    results : what to put into the front matter; None leaves it alone.
    force : replace a section that was edited by hand.

    Raises
    ------
    InputError : the section was edited by hand; no such heading; markers or front matter that cannot be read.
    """
    newline = card_text.line_end(text)
    notes: list[str] = []
    after = text
    n_results = 0
    if results is not None:
        after, n_results, said = with_results(text, results, newline)
        notes += said
    start = front_matter(after)[1]
    found = card_text.find_section(after, start)
    if found is None:
        card_text.check_closed(after, start)
        at, level = (len(after), 2) if insert_after is None else card_text.place_after(after, insert_after, start)
        block = card_text.wrapped(list(section_lines(report, subject, level)), newline)
        after = card_text.inserted(after, at, block, newline, start)
        return Card(text, after, "added", n_results, tuple(notes))
    if found.edited and not force:
        raise InputError(
            "the section was edited by hand since it was written",
            row=f"line {after.count(chr(10), 0, found.start) + 1}",
            expected="--force, which replaces the section and the edits",
        )
    if insert_after is not None:
        notes.append("the section stays where it is; --insert-after is for a new one")
    block = card_text.wrapped(list(section_lines(report, subject, found.level)), newline)
    same = not found.edited and card_text.text_hash(found.text) == _hash_of(block)
    if not same:
        after = after[: found.start] + block + after[found.end :]
    return Card(text, after, "unchanged" if same else "refreshed", n_results, tuple(notes))


def _hash_of(block: str) -> str | None:
    section = card_text.find_section(block)
    return None if section is None else section.hash
