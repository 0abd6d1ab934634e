"""What came of one request of a batch: a verdict, a reply that a second request may repair, or an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from interjudge.judges.base import Judge
from interjudge.judges.batch_base import Batched, Service
from interjudge.judges.llm_base import Answer, ProviderError, Reply, Request, Unread
from interjudge.judges.messages import short_message, without_secrets
from interjudge.judges.prices import Price
from interjudge.judges.provider_client import fits
from interjudge.judges.remote_work import checked

Texts = Mapping[str, str | None]


@dataclass
class Found:
    """What was read of one batch so far. `repairs`: outputs whose reply to a first request could not be read."""

    repairs: set[int]
    seen: set[int] = field(default_factory=set)
    strangers: int = 0
    answers: dict[int, Answer] = field(default_factory=dict)
    unread: dict[int, Unread] = field(default_factory=dict)
    again: dict[int, ProviderError] = field(default_factory=dict)
    objected: dict[int, str] = field(default_factory=dict)
    given_up: set[int] = field(default_factory=set)

    def take(self, item: int, answer: Answer | Unread | ProviderError) -> None:
        if isinstance(answer, ProviderError):
            self.again[item] = answer
        elif isinstance(answer, Unread):
            self.unread[item] = answer
        else:
            self.answers[item] = answer
            if answer.status == "error":
                self.given_up.add(item)


class Reader:
    """Reads the outcomes of one judge's requests; a ProviderError is one that may, or must, be asked again."""

    def __init__(self, judge: Judge, remote: Batched, service: Service, price: Price | None) -> None:
        self.judge, self.remote, self.service, self.price = judge, remote, service, price

    def request(self, output: Texts, repeat: int, unread: Unread | None) -> Request:
        """What is asked next about an output: the first time, or after a reply that could not be read."""
        return self.remote.request(output, repeat) if unread is None else self.remote.again(unread, output, repeat)

    def holds(self, output: Texts, repeat: int) -> bool:
        """Whether the judge's first requests have a schema."""
        return self.remote.request(output, repeat).schema is not None

    def first(
        self, outcome: Reply | ProviderError, output: Texts, repeat: int, held: bool
    ) -> Answer | Unread | ProviderError:
        """Of a first request; `held`: whether the judge asked with a schema when the batch was begun to be read."""
        if isinstance(outcome, ProviderError):
            return _passed(outcome)
        request = self.remote.request(output, repeat)
        answer = self._answer(outcome, request, lambda reply: self.remote.read(reply, output, repeat))
        if isinstance(answer, Unread) and held and not self.holds(output, repeat):
            # The replies have shown the judge that this server ignores schemas: it asks in another way from now on.
            return ProviderError("the reply is not held to the schema of the answer", failure="again")
        return answer

    def second(
        self, outcome: Reply | ProviderError, unread: Unread, output: Texts, repeat: int
    ) -> Answer | ProviderError:
        """Of the request that follows a reply which could not be read: the last one."""
        if isinstance(outcome, ProviderError):
            refused = outcome.failure in ("filtered", "rejected")
            return self.unrepaired(unread) if refused else outcome
        request = self.remote.again(unread, output, repeat)
        answer = self._answer(outcome, request, lambda reply: self.remote.read_again(unread, reply))
        return answer if isinstance(answer, Answer | ProviderError) else self.unrepaired(answer)

    def unrepaired(self, unread: Unread) -> Answer:
        """The verdict where no second reply is to be had."""
        return self._priced(self.remote.read_again(unread, None))

    def _answer(
        self, reply: Reply, request: Request, read: Callable[[Reply], Answer | Unread]
    ) -> Answer | Unread | ProviderError:
        schema = request.schema if self.service.sends_schema else None
        structured = reply.finish == "stop" and fits(reply.text, schema)
        try:
            found = read(replace(reply, structured=structured))
            return found if isinstance(found, Unread) else self._priced(checked(self.judge, found))
        except ProviderError as error:
            return error
        # Whatever a judge raises is a verdict of its own kind.
        except Exception as error:  # noqa: BLE001
            return Answer("error", raw=short_message(error))

    def _priced(self, answer: Answer) -> Answer:
        """With US dollars at the price of a batch; None where the price, or the tokens, are not known."""
        cost = None
        if self.price is not None and answer.input_tokens is not None and answer.output_tokens is not None:
            cost = self.price.of(answer.input_tokens, answer.output_tokens) * self.price.batch
        return replace(answer, cost_usd=cost, latency_s=None)


def _passed(error: ProviderError) -> Answer | ProviderError:
    filtered = error.failure == "filtered"
    return Answer("filtered", raw=without_secrets(str(error))) if filtered else error
