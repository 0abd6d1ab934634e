"""One question to one guard: how an output is put to it, and where in its reply the verdict stands.

Made from a format file by `judges.guard_load`; `judges.guard_reply` reads the replies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from interjudge.judges.guard_base import Ask
from interjudge.judges.guard_file import CategoriesPart, MessagePart, NotePart, VerdictPart
from interjudge.judges.guard_template import filled_in, pieces_of

# Changes with anything here that changes what a guard is asked; part of the judges' identity.
VERSION: Final = 2

RESPONSE: Final = "response"
# What templates may name besides the columns of an output.
OPTIONS: Final = frozenset(("criteria", "risk", "answer"))
_MAY_BE_EMPTY: Final = frozenset(("prompt", RESPONSE))


@dataclass(frozen=True)
class Format:
    """One question to one guard.

    Attributes
    ----------
    name : of the format file, built in or not; `title`: of the guard, for readers.
    labels : in their natural order; `positive`: those whose probability is the score.
    text : the whole prompt as a Jinja source, for a guard without a chat template; else `messages` are.
    reads : the columns of an output that it shows.
    values : what the templates are given besides: criteria, risk, answer.
    one_pass : the verdict is the next token, and nothing need be written to find it.
    """

    name: str
    title: str
    construct: str
    labels: tuple[str, ...]
    positive: tuple[str, ...]
    messages: tuple[MessagePart, ...]
    parts: bool
    text: str | None
    template: Mapping[str, Any]
    values: Mapping[str, str]
    reads: tuple[str, ...]
    verdict: VerdictPart
    categories: CategoriesPart | None
    notes: tuple[NotePart, ...]
    threshold: float
    max_tokens: int
    think: bool
    verified: str = ""
    source: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def one_pass(self) -> bool:
        verdict = self.verdict
        return not self.think and bool(verdict.start or not (verdict.before or verdict.key))

    def identity(self) -> dict[str, object]:
        """All of it that decides a verdict, as JSON-able values: neither names nor where it stands."""
        known = asdict(self)
        for name in ("name", "title", "verified", "source", "files", "reads"):
            del known[name]
        known |= {
            "messages": [message.model_dump() for message in self.messages],
            "verdict": self.verdict.model_dump(),
            "categories": None if self.categories is None else self.categories.model_dump(),
            "notes": [note.model_dump() for note in self.notes],
            "version": VERSION,
        }
        found: dict[str, object] = json.loads(json.dumps(known))
        return found

    def lacks(self, output: Mapping[str, str | None]) -> str | None:
        """The column without which nothing can be judged, where an output has none."""
        needed = (name for name in self.reads if name not in _MAY_BE_EMPTY)
        return next((name for name in needed if not (output.get(name) or "").strip()), None)

    def ask(self, output: Mapping[str, str | None]) -> Ask:
        """How one output is put to the guard for its verdict."""
        return self._ask(output, self.verdict.start if self.one_pass else "", 1 if self.one_pass else self.max_tokens)

    def ask_on(self, output: Mapping[str, str | None], label: str, written: str = "") -> Ask | None:
        """How the categories of a verdict in one pass are asked for; None where it has none.

        `written`: the reply with the verdict, whose blanks before it are kept.
        """
        if not self.one_pass or self.categories is None or label == self.labels[0]:
            return None
        verdict = self.verdict
        blanks = written[: len(written) - len(written.lstrip())]
        start = f"{verdict.start or blanks}{verdict.gap}{verdict.words[label][0]}{self.categories.start}"
        return self._ask(output, start, self.max_tokens)

    def ask_further(self, output: Mapping[str, str | None], written: str) -> Ask:
        """The verdict asked for again, after blanks that the guard writes before it."""
        return self._ask(output, written, 1)

    def ask_all(self, output: Mapping[str, str | None]) -> Ask:
        """How one output is put to a guard that writes its whole reply by itself (a server's)."""
        return self._ask(output, "", self.max_tokens)

    def _ask(self, output: Mapping[str, str | None], start: str, max_tokens: int) -> Ask:
        fields = {**self.values, **{name: output.get(name) or "" for name in self.reads}}
        cut = fields.get(RESPONSE, "")
        if self.text is not None:
            pieces = pieces_of(self.text, fields, self.reads)
            return Ask(text="".join(pieces), pieces=pieces, start=start, max_tokens=max_tokens, cut=cut)
        turns = []
        parts: dict[str, tuple[str, ...]] = {}
        for message in self.messages:
            pieces = pieces_of(message.content, fields, self.reads)
            content: Any = "".join(pieces)
            # Where an output's text is letter for letter another turn of the format's, both are read as the output's.
            parts[content] = pieces if parts.get(content, pieces) == pieces else ("", content)
            turns.append(
                {"role": message.role, "content": [{"type": "text", "text": content}] if self.parts else content}
            )
        template = filled_in(self.template, fields)
        return Ask(messages=tuple(turns), template=template, parts=parts, start=start, max_tokens=max_tokens, cut=cut)
