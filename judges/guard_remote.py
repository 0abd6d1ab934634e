"""A guard behind a server that speaks OpenAI's API (vLLM and the like): one output, one request.

A guard with a chat template is asked over Chat Completions, where the server applies the template; one without it over
Completions, with its whole prompt. Both with the 20 likeliest alternatives at each token.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from interjudge.judges import guard_mass, guard_reply
from interjudge.judges.guard_base import TOP
from interjudge.judges.guard_format import Format
from interjudge.judges.guard_reply import Found, read_reply
from interjudge.judges.llm_base import Answer, Estimate, Message, Provider, ProviderError, Reply, Request

_CHARS_A_TOKEN: Final = 4  # of English; other scripts take more tokens
_TELLING: Final = 16  # characters of a response that no verdict begins with


@dataclass
class GuardRemote:
    """A `llm_base.Remote`. `notes`: what the server turned out not to do, and what was done instead; each said once."""

    provider: Provider
    format: Format
    name: str
    model: str
    notes: list[str] = field(default_factory=list)

    @property
    def limits(self) -> str:
        return self.provider.limits

    def identity(self) -> dict[str, object]:
        """Everything that decides a verdict."""
        return {"provider": dict(self.provider.identity), "format": self.format.identity(), "reader": reader()}

    def request(self, output: Mapping[str, str | None]) -> Request:
        """What the server is asked about one output."""
        ask = self.format.ask_all(output)
        return Request(
            messages=tuple(Message(turn["role"], _plain(turn["content"])) for turn in ask.messages),
            template=ask.template,
            text=ask.text,
            max_tokens=ask.max_tokens,
            temperature=0.0,
            top_logprobs=TOP,
        )

    async def ask(self, output: Mapping[str, str | None], repeat: int) -> Answer:  # noqa: ARG002  as others
        """As `Remote.ask`; a server that goes on with the response is ``broken``."""
        lacking = self.format.lacks(output)
        if lacking is not None:
            return Answer("not_run", raw=f"the output has no {lacking}", requests=0)
        start = time.perf_counter()
        request = self.request(output)
        reply = await self.provider.complete(request)
        if _goes_on(request, reply):
            message = (
                "the server goes on with the response instead of judging it: it takes a last turn of the assistant's "
                "for the beginning of its own (llama.cpp: start it with --no-prefill-assistant)"
            )
            raise ProviderError(message, failure="broken")
        found = read_reply(self.format, reply)
        if found.by_text and found.status == "ok":
            self._note("gives no log-probabilities: the verdict is the word that it writes, without a probability")
        return Answer(
            **verdict(found),
            raw=reply.text,
            latency_s=time.perf_counter() - start,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            model=reply.model,
        )

    def estimate(self, output: Mapping[str, str | None]) -> Estimate:
        """A token for every four characters; the policy that a chat template adds is not among them."""
        request = self.request(output)
        chars = len(request.text or "") + sum(len(message.text) for message in request.messages)
        return Estimate(math.ceil(chars / _CHARS_A_TOKEN), request.max_tokens)

    async def close(self) -> None:
        await self.provider.close()

    def _note(self, words: str) -> None:
        note = f"{self.name}: the server {words}"
        if note not in self.notes:
            self.notes.append(note)


def _goes_on(request: Request, reply: Reply) -> bool:
    """Whether a reply is the judged response, gone on with."""
    last = request.messages[-1] if request.messages else None
    judged = last.text.strip() if last is not None and last.role == "assistant" else ""
    return len(judged) >= _TELLING and reply.text.lstrip().startswith(judged)


def reader() -> dict[str, object]:
    """What reads the replies, for the identity of a judge."""
    return {"reply": guard_reply.VERSION, "least_mass": guard_mass.LEAST_MASS}


def verdict(found: Found) -> dict[str, Any]:
    """What a reply says, as the columns of a verdict."""
    return {
        "status": found.status,
        "label": found.label,
        "score": found.score,
        "confidence": found.confidence,
        "rationale": found.rationale,
    }


def _plain(content: object) -> str:
    """A server makes the parts of a turn itself, where its template wants them."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content)
