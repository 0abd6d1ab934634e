"""A model card as text: where its section stands, where headings are, and whether somebody edited the section.

Everything that is not the section stays as it is, byte for byte: line ends, a byte order mark, other tools' markers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from interjudge.errors import InputError, choices, did_you_mean

BOM: Final = "\ufeff"
_BEGIN: Final = re.compile(r"^<!-- interjudge:begin(?P<rest>[^<>]*)-->\s*$")
_END: Final = re.compile(r"^<!-- interjudge:end -->\s*$")
_HASH: Final = re.compile(r"\bhash=([0-9a-f]{16})\b")
_FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")
_COMMENT: Final = re.compile(r"^ {0,3}<!--")
_ATX: Final = re.compile(r"^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT: Final = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_NO_TITLE: Final = re.compile(r"^ {0,3}(?:[#>|]|[-+*][ \t]|\d+[.)][ \t])|^(?: {4}|\t)")


@dataclass(frozen=True)
class Line:
    """One line of the body: its place in the text, without its line end; `plain`: in no code block or comment."""

    start: int
    end: int
    text: str
    plain: bool


@dataclass(frozen=True)
class Heading:
    """A heading; `start` is where its first line begins, `end` where its last line ends, line end included."""

    level: int
    title: str
    start: int
    end: int


@dataclass(frozen=True)
class Section:
    """The section that stands there: its place with both markers, the text between them, the hash it was given."""

    start: int
    end: int
    text: str
    hash: str | None

    @property
    def edited(self) -> bool:
        """Whether the text is not the one that was written."""
        return self.hash != text_hash(self.text)

    @property
    def level(self) -> int:
        """The level of its heading; 2 where it has none."""
        found = next((m for line in self.text.splitlines() if (m := _ATX.match(line))), None)
        return len(found.group(1)) if found else 2


def text_hash(text: str) -> str:
    """16 hex digits of the SHA-256 of the text; line ends and white space at line ends do not count."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").split("\n")]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def line_end(text: str) -> str:
    """The line end that most lines have."""
    crlf = text.count("\r\n")
    return "\r\n" if crlf > text.count("\n") - crlf else "\n"


def body_lines(text: str, start: int = 0) -> Iterator[Line]:
    """Lines of the text from `start` on; `plain` is false inside fences and comments that began on a line before."""
    fence, comment, at = "", False, start  # comments as CommonMark's HTML blocks of the second kind
    while at < len(text):
        feed = text.find("\n", at)
        end = len(text) if feed < 0 else feed + 1
        line = text[at:end].rstrip("\r\n")
        yield Line(at, end, line, not fence and not comment)
        if not comment:
            found = _FENCE.match(line)
            if fence:
                mark = found.group(1) if found else ""
                if mark[:1] == fence[0] and len(mark) >= len(fence) and found and not found.group(2).strip():
                    fence = ""
            elif found and not (found.group(1)[0] == "`" and "`" in found.group(2)):
                fence = found.group(1)
        if not fence:
            comment = "-->" not in line if comment or _COMMENT.match(line) else False
        at = end


def check_closed(text: str, start: int = 0) -> None:
    """Raise `InputError` where the end of the text lies in a code block or a comment that is never closed."""
    last, closed = None, True
    for line in body_lines(text + "\n.\n", start):
        if line.plain and (_FENCE.match(line.text) or _COMMENT.match(line.text)):
            last = line
        closed = line.plain
    if not closed and last is not None:
        raise InputError(
            "a code block or a comment is never closed; a section after it would not be seen",
            row=f"line {text.count(chr(10), 0, last.start) + 1}",
            found=last.text,
        )


def find_section(text: str, start: int = 0) -> Section | None:
    """The one section between our markers.

    Raises
    ------
    InputError : a marker without its other one, or several sections.
    """
    begins: list[tuple[Line, str]] = []
    ends: list[Line] = []
    for line in body_lines(text, start):
        if not line.plain:
            continue
        if found := _BEGIN.match(line.text):
            begins.append((line, found.group("rest")))
        elif _END.match(line.text):
            ends.append(line)
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or ends[0].start < begins[0][0].end:
        where = [text.count("\n", 0, line.start) + 1 for line in (*(b for b, _ in begins), *ends)]
        raise InputError(
            "the markers of interjudge's section do not pair",
            found=f"{len(begins)} begin and {len(ends)} end, on lines {', '.join(map(str, sorted(where)))}",
            expected="one <!-- interjudge:begin … --> and after it one <!-- interjudge:end -->",
        )
    (begin, rest), end = begins[0], ends[0]
    given = _HASH.search(rest)
    return Section(begin.start, end.end, text[begin.end : end.start], given.group(1) if given else None)


def headings(text: str, start: int = 0) -> list[Heading]:
    """All headings, ATX and Setext, that are not in a code block, a comment or the section."""
    own = find_section(text, start)
    found: list[Heading] = []
    before: Line | None = None
    for line in body_lines(text, start):
        inside = own is not None and own.start <= line.start < own.end
        if not line.plain or inside:
            before = None
            continue
        if atx := _ATX.match(line.text):
            found.append(Heading(len(atx.group(1)), (atx.group(2) or "").strip(), line.start, line.end))
            before = None
        elif before is not None and (setext := _SETEXT.match(line.text)):
            level = 1 if setext.group(1)[0] == "=" else 2
            found.append(Heading(level, before.text.strip(), before.start, line.end))
            before = None
        else:
            title = line.text.strip()
            before = line if title and not _NO_TITLE.match(line.text) and not title.startswith("<") else None
    return found


def place_after(text: str, title: str, start: int = 0) -> tuple[int, int]:
    """Where a section goes that is to follow the heading `title`, and the level of its own heading.

    It follows all that stands under the heading and becomes its sibling; after the title of the whole card (level 1)
    it follows the opening text and has level 2.

    Raises
    ------
    InputError : no heading, or more than one, has this title.
    """
    known = headings(text, start)
    wanted = re.sub(r"^#{1,6}\s+", "", title).strip().casefold()
    matches = [i for i, heading in enumerate(known) if heading.title.casefold() == wanted]
    titles = [heading.title for heading in known]
    if not matches:
        here = f"one of: {choices([repr(t) for t in titles])}" if titles else "no --insert-after: there are no headings"
        raise InputError(f"no heading {title!r}{did_you_mean(title, titles)}", expected=here)
    if len(matches) > 1:
        raise InputError(f"{len(matches)} headings are called {title!r}", expected="a heading that stands once")
    index = matches[0]
    level = known[index].level
    following = known[index + 1 :]
    after = following if level == 1 else [heading for heading in following if heading.level <= level]
    return (after[0].start if after else len(text)), max(level, 2)


def wrapped(lines: list[str], newline: str) -> str:
    """The section between its markers, with the hash of its text."""
    text = newline.join(lines) + newline
    return f"<!-- interjudge:begin hash={text_hash(text)} -->{newline}{text}<!-- interjudge:end -->{newline}"


def inserted(text: str, at: int, block: str, newline: str, start: int = 0) -> str:
    """The text with the block at a place of its own: an empty line before it and after it."""
    before, after = text[:at], text[at:]
    if before[start:].strip():
        if not before.endswith("\n"):
            before += newline
        if not before.endswith((newline + newline, "\n\n")):
            before += newline
    elif before and not before.endswith("\n"):
        before += newline
    if after.strip() and not after.startswith(("\n", "\r")):
        block += newline
    return before + block + after
