"""What stands between a guard's format and the engine that runs it: one prompt, one reply.

    format --Ask--> engine --Reply--> format --> verdict

A format (`judges.guard_format`) writes an `Ask` for one output and reads a verdict off the `llm_base.Reply`. An engine
turns asks into replies and nothing else: `judges.local_engine` on this machine, a provider behind a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from interjudge.judges.llm_base import Reply

TOP: int = 20  # alternatives kept at a token of a reply: the most that servers give


@dataclass(frozen=True)
class Ask:
    """How one output is put to a guard.

    Attributes
    ----------
    messages : the turns (`role`, `content`) for the tokenizer's chat template; empty where `text` is given.
    template : what else the chat template is given by name (`guardian_config`, `documents`, `enable_thinking`, ...);
        it goes before the engine's own (`add_generation_prompt=True`).
    text : the whole prompt, for a guard without a chat template; None where `messages` are given.
    pieces : the same text in pieces, in turn the format's own and the output's (the first is the format's, and may be
        empty). A control token in the output's is read as text; without pieces the whole is the output's.
    parts : the same for the contents of `messages`: content -> its pieces.
    start : what the reply is made to begin with, so that the verdict is the next token (``"\\n\\n"``, ``"<score>"``).
        It is part of `Reply.text` and not of `Reply.tokens`; an engine that cannot force it lets the guard write it.
    max_tokens : of the reply after `start`; 1 is a verdict in one forward pass, without generation.
    cut : the text that may be shortened where the prompt is too long, as it stands once in `messages` or `text`: the
        engine keeps its head and tail. Empty: nothing may be.
    """

    messages: tuple[Mapping[str, Any], ...] = ()
    template: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None
    pieces: tuple[str, ...] = ()
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    start: str = ""
    max_tokens: int = 1
    cut: str = ""


@dataclass(frozen=True)
class Local:
    """A reply of the local engine, and how much of the judged text was left out to fit (0: none), in tokens.

    `problem`: why there is none (it does not fit, the chat template refuses it, there is not enough memory); the reply
    is then empty.
    """

    reply: Reply
    left_out: int = 0
    problem: str = ""


class Engine(Protocol):
    """Runs a guard on this machine. Made without loading anything; the model is loaded by the first batch."""

    @property
    def identity(self) -> Mapping[str, object]:
        """What decides the reply: model id or path with its revision, dtype, quantisation, cut rule. No batch size."""

    def load(self) -> None:
        """Load the model now.

        Raises
        ------
        InterjudgeError : it cannot be loaded.
        """

    def replies(self, asks: Sequence[Ask]) -> list[Local]:
        """One reply for each ask, in order; each token with its `TOP` alternatives.

        Raises
        ------
        InterjudgeError : the model cannot be loaded or run at all.
        """
