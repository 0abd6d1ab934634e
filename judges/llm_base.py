"""What stands between a rubric, a provider and the runner: one request, one reply, one way to fail.

    rubric --Request--> provider --Reply--> rubric --Answer--> runner

A rubric (`judges.rubric`) writes a `Request` for one output and reads an `Answer` off the `Reply`. A provider
(`judges.provider_*`) turns a `Request` into a `Reply` over one API and nothing else: no retries, no limits. The
runner (`judges.remote`) decides when to ask, how often to try again, and keeps every answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from interjudge.datasets.schema import Status
from interjudge.errors import InterjudgeError

Finish = Literal["stop", "length", "refused", "filtered"]
Failure = Literal["again", "slow down", "broken", "filtered", "rejected"]


@dataclass(frozen=True)
class Message:
    """One turn. `role`: ``system``, ``user`` or ``assistant``; of a model's own chat template, another too."""

    role: str
    text: str


@dataclass(frozen=True)
class Request:
    """What one judge is asked about one output.

    Attributes
    ----------
    messages : the conversation; a system message, if any, comes first.
    schema : JSON Schema (an object, all properties required, no additional ones) that the reply must fit, or None
        for free text. A provider that cannot enforce it says so in `Reply.structured`.
    name : of the schema, letters and underscores.
    top_logprobs : alternatives wanted at each token of the reply (0 to 20); 0 for none.
    temperature, seed, effort : None leaves them to the server. `effort`: of reasoning, in the provider's words.
    template : what the server's chat template is given by name. Only servers that apply the model's own have it.
    text : the whole prompt instead of messages, for an API without a chat template.
    """

    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    name: str = "verdict"
    max_tokens: int = 512
    temperature: float | None = None
    seed: int | None = None
    effort: str | None = None
    top_logprobs: int = 0
    template: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None


@dataclass(frozen=True)
class Token:
    """One token of a reply with its log probability (natural) and the most likely alternatives, itself included."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes
    ----------
    text : the whole reply; with a tool call, its arguments as JSON text.
    finish : ``stop``, ``length`` (cut off), ``refused`` (the model declined), ``filtered`` (a content filter).
    structured : whether the server held the reply to `Request.schema`.
    tokens : None where log probabilities were not asked for, or the server gave none.
    model : the snapshot the server says it used.
    """

    text: str
    finish: Finish = "stop"
    structured: bool = False
    tokens: tuple[Token, ...] | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class ProviderError(InterjudgeError):
    """A request that brought no reply. The message holds no key and no header.

    `failure`: ``again`` (408, 409, 5xx, a dropped connection, a truncated or malformed body: try again),
    ``slow down`` (429: try again after `retry_after` seconds where the server says), ``broken`` (wrong key, no such
    model, no such address: no request of this judge can succeed), ``filtered`` (this content is refused), ``rejected``
    (this request is refused: too long, say; others may succeed). `status`: the HTTP status, where there was one.
    `before`: replies of the same verdict that had come by then, and were paid for.
    """

    def __init__(
        self, message: str, *, failure: Failure, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.status = status
        self.retry_after = retry_after
        self.before: tuple[Reply, ...] = ()


class Provider(Protocol):
    """One model behind one API. Made without a request; the client is opened on the first one, in its event loop."""

    @property
    def limits(self) -> str:
        """Who counts the requests: judges with the same value share limits (address and key variable, no key)."""

    @property
    def identity(self) -> Mapping[str, object]:
        """What decides the reply: API, model, address without credentials, parameters. JSON-able. No key."""

    async def complete(self, request: Request) -> Reply:
        """One request, tried once.

        Raises
        ------
        ProviderError : no reply.
        """

    async def close(self) -> None:
        """Close the client, if it was opened. It may be used again afterwards."""


@dataclass(frozen=True)
class Answer:
    """One verdict as the runner stores it (`datasets.schema`); `model`: the snapshot that gave it.

    `requests`: how many were sent for it, repairs included; not those of tries that ended in a `ProviderError`.
    """

    status: Status
    label: str | None = None
    score: float | None = None
    confidence: float | None = None
    rationale: str | None = None
    raw: str | None = None
    latency_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    model: str | None = None
    requests: int = 1


@dataclass(frozen=True)
class Unread:
    """A reply without an answer that could be read; `problem`: why, as it is told to the judge that is asked again."""

    reply: Reply
    problem: str


@dataclass(frozen=True)
class Estimate:
    """What one verdict will take, before it is asked for; `output_tokens` is what may be generated at most."""

    input_tokens: int
    output_tokens: int


class Remote(Protocol):
    """What the runner needs of a judge that is asked one output at a time over a network (`Judge.remote`)."""

    @property
    def limits(self) -> str:
        """As `Provider.limits`."""

    @property
    def model(self) -> str:
        """As a price table lists it: ``openai/gpt-5-mini``."""

    async def ask(self, output: Mapping[str, str | None], repeat: int) -> Answer:
        """One verdict on one output (the columns of `Judge.reads`). Does not try failed requests again.

        Raises
        ------
        ProviderError : no verdict; the runner tries again, or stores it as a status that is not ok.
        """

    def estimate(self, output: Mapping[str, str | None]) -> Estimate:
        """What asking about this output will take."""

    async def close(self) -> None:
        """As `Provider.close`."""
