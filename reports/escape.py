"""Text that others wrote, made safe to show: one function per target.

Prompts, responses, labels and the names of judges, models and columns come from files and from models. They
may hold terminal escapes, bidirectional overrides, markup, or a megabyte on one line.
"""

from __future__ import annotations

import html as _html
import re
from typing import Final

# Zero-width non-joiner and joiner are part of Persian and Indic spelling and of emoji.
_JOINERS: Final = "\u200c\u200d"
# What a Markdown parser may take for markup inside a line: code, emphasis, strike-through, mathematics (on
# GitHub), links and their definitions, bare addresses. Brackets alone, and an underscore inside a word, are
# only themselves.
_MARKUP: Final = re.compile(r"[\\`*~$]|\](?=[(\[:])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//)|(?i:(?<=www)\.)")
# Entities, because no parser reads them as the end of a cell or as a tag.
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_BRACKETS: Final = {"[": "&#91;", "]": "&#93;"}
_ENTITY: Final = re.compile(r"[&<>|]")
_BLOCK_START: Final = re.compile(r"^(\d{0,9})(?=[-+=#.)])")
# In a JSON text everything outside ASCII stands inside a string, where \uXXXX says the same.
_UNSAFE_JSON: Final = re.compile("[\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def visible(text: str, limit: int | None = None) -> str:
    """One line without a single control, format, surrogate or unassigned character.

    Those are written as escapes (``\\x1b``, ``\\n``, ``\\u202e``), so a reader sees that they are there. With
    `limit` the result has at most that many characters; a cut ends in ``…``.
    """
    long = limit is not None and len(text) > limit
    if limit is not None:
        text = text[: limit + 1]
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c in _JOINERS else _escaped(c) for c in text)
    if limit is not None and (long or len(text) > limit):
        text = text[: limit - 1].rstrip() + "…"
    return text


def _escaped(char: str) -> str:
    if char.isspace() and char not in "\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029":
        return " "  # no-break and typographic spaces
    return char.encode("unicode_escape").decode("ascii")


def visible_lines(text: str, limit: int | None = None) -> str:
    """A text of several lines, each `visible`; tabs and line feeds stay. A cut ends in ``…``."""
    long = limit is not None and len(text) > limit
    if limit is not None:
        text = text[: limit + 1]
    if not text.isprintable():
        lines = text.replace("\r\n", "\n").split("\n")
        text = "\n".join("\t".join(visible(part) for part in line.split("\t")) for line in lines)
    if limit is not None and (long or len(text) > limit):
        text = text[: limit - 1].rstrip() + "…"
    return text


def excerpt(text: str, limit: int = 160) -> str:
    """The beginning of a prompt or response on one line: white space becomes one space, the rest is `visible`."""
    head = text.lstrip()[: 8 * limit]  # enough for text that is mostly white space; a megabyte is not copied
    flat = " ".join(head.split())
    if len(flat) <= limit and len(head) < len(text.lstrip()):
        return visible(flat, limit - 1) + "…"
    return visible(flat, limit)


def shorten(text: str, width: int) -> str:
    """At most `width` characters: the beginning and the end of a name, which is where names differ."""
    text = visible(text, 10_000)
    if len(text) <= width:
        return text
    head = width // 2
    tail = width - 1 - head
    return text[:head] + "…" + (text[-tail:] if tail else "")


def terminal(text: str) -> str:
    """For a terminal. The caller hands it to rich as a `Text`, never as markup."""
    return visible(text)


def markdown_cell(text: str) -> str:
    """For the middle of a line of Markdown: a table cell, or after words of our own."""
    return _ENTITY.sub(lambda m: _ENTITIES[m.group()], _MARKUP.sub(r"\\\g<0>", visible(text)))


def markdown_alt(text: str) -> str:
    """For the text between the brackets of an image or a link, which brackets of its own would end."""
    parts = re.split(r"([\[\]])", visible(text))
    return "".join(_BRACKETS.get(part) or markdown_cell(part) for part in parts)


def markdown_line(text: str) -> str:
    """For the start of a line of Markdown: neither a heading nor a list, quotation, rule or code block."""
    return _BLOCK_START.sub(r"\1\\", markdown_cell(text.lstrip()))


def html(text: str) -> str:
    """For the text of an HTML element or a quoted attribute."""
    return _html.escape(visible(text), quote=True)


def json_text(text: str) -> str:
    """A JSON text that parses to the same value and holds no control, bidirectional or zero-width character."""
    return _UNSAFE_JSON.sub(lambda m: f"\\u{ord(m.group()):04x}", text)
