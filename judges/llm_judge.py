"""Judges that ask a language model with a rubric: `openai/MODEL@RUBRIC` and `anthropic/MODEL@RUBRIC`.

    openai/gpt-5-mini@harm5?threshold=4
    anthropic/claude-haiku-4-5@./my.toml?policy=policy.md
    openai/my-model@safe2?base_url=http://127.0.0.1:8080/v1&key_env=MY_KEY

RUBRIC is the name of a built-in rubric or the path of a `.toml` file. docs/rubrics.md explains the options.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Final

from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges import expected_value, rubric_reply, rubric_template
from interjudge.judges.base import Family, Judge
from interjudge.judges.llm_base import Answer, Estimate, Provider, ProviderError, Reply, Request, Unread
from interjudge.judges.options import Given, split_options
from interjudge.judges.remote_batch import evaluate_remote
from interjudge.judges.rubric import Rubric, built_in, load_rubric
from interjudge.judges.rubric_reply import Found, is_json, read_reply
from interjudge.judges.rubric_scale import Verdict

# In this order they stand in a judge's name; the others say where and how it is asked, and change no name.
_NAMED: Final = ("variant", "threshold", "policy", "examples", "shuffle", "temperature", "seed", "effort", "max_tokens")
_ALTERNATIVES: Final = 20  # the most that any server gives
_CHARS_A_TOKEN: Final = 4  # of English; other scripts take more tokens


@dataclass(frozen=True)
class Settings:
    """How a model is asked; None leaves it to the server.

    `seed`: a repeat adds its number to it, else all repeats would be one. `shuffle`: a seed for the order of options.
    """

    temperature: float | None = 0.0
    seed: int | None = None
    max_tokens: int | None = None
    effort: str | None = None
    shuffle: int | None = None


def rubric_judge(
    provider: Provider, rubric: Rubric, *, name: str, model: str, settings: Settings | None = None
) -> Judge:
    """A judge that asks `provider` with `rubric`.

    Parameters
    ----------
    model : as a price table lists it, ``openai/gpt-5-mini``.

    Raises
    ------
    InputError : the options of a rubric without options are to be shuffled.
    """
    settings = settings or Settings()
    if settings.shuffle is not None and len(rubric.scale.options) < 2:
        raise InputError(f"judge {name!r}: its rubric has no options to shuffle", expected="no shuffle")
    remote = RubricRemote(provider, rubric, name, model, settings)
    return Judge(
        name=name,
        kind="rubric",
        construct=rubric.construct,
        labels=rubric.scale.all_labels,
        evaluate=partial(evaluate_remote, remote, rubric.reads),
        identity=remote.identity(),
        reads=rubric.reads,
        batch_size=100,
        threshold=rubric.scale.threshold,
        files=rubric.files,
        remote=remote,
    )


@dataclass
class RubricRemote:
    """A `llm_base.Remote` (and a `batch_base.Batched`): one output, one request, and one more where that fails.

    `notes`: what the server turned out not to do, and what was done instead; each said once.
    """

    provider: Provider
    rubric: Rubric
    name: str
    model: str
    settings: Settings
    notes: list[str] = field(default_factory=list)
    _tagged: bool = False  # the server ignores schemas: answers are asked for in tags

    @property
    def limits(self) -> str:
        return self.provider.limits

    @property
    def max_tokens(self) -> int:
        return self.settings.max_tokens or self.rubric.max_tokens

    def identity(self) -> dict[str, object]:
        """Everything that decides a verdict."""
        return {
            "provider": dict(self.provider.identity),
            "rubric": self.rubric.identity(),
            "template": {
                "version": rubric_template.VERSION,
                "data_note": rubric_template.DATA_NOTE,
                "format": rubric_template.form(self.rubric),
            },
            "reader": {"reply": rubric_reply.VERSION, "expected_value": expected_value.VERSION},
            "parameters": {**asdict(self.settings), "max_tokens": self.max_tokens, "top_logprobs": self._alternatives},
        }

    def request(self, output: Mapping[str, str | None], repeat: int) -> Request:
        """The first request about one output."""
        shuffle = self.settings.shuffle
        asked = rubric_template.messages(self.rubric, output, tagged=self._tagged, shuffle=shuffle)
        schema = self.rubric.schema if self.rubric.reading == "json" and not self._tagged else None
        return self._request(asked, schema, repeat)

    def read(self, reply: Reply, output: Mapping[str, str | None], repeat: int) -> Answer | Unread:  # noqa: ARG002
        """The verdict in a reply to the first request; `Unread` where a second one may bring it."""
        found = self._found(reply)
        return Unread(reply, found.problem) if found.problem is not None else _as_answer(found, [reply], reply.text)

    def again(self, unread: Unread, output: Mapping[str, str | None], repeat: int) -> Request:
        """The second request about one output, for the answer alone."""
        return self._again(self.request(output, repeat), unread, _worth_showing(unread.reply), repeat)

    def read_again(self, unread: Unread, second: Reply | None, requests: int = 2) -> Answer:
        """The verdict after a second request, which is the last; None where it was refused."""
        first = unread.reply
        if second is None:
            found = Found(Verdict("parse_error"), problem=unread.problem)
            return _as_answer(found, [first], first.text, requests=requests)
        raw = f"{first.text}\n\n[asked again: {unread.problem}]\n\n{second.text}"
        return _as_answer(read_reply(self.rubric, second, again=True), [first, second], raw, requests=requests)

    async def ask(self, output: Mapping[str, str | None], repeat: int) -> Answer:
        start = time.perf_counter()
        request = self.request(output, repeat)
        answer = self.read(await self.provider.complete(request), output, repeat)
        if isinstance(answer, Unread):
            second, requests = await self._once_more(request, answer, repeat)
            answer = self.read_again(answer, second, requests)
        return replace(answer, latency_s=time.perf_counter() - start)

    def estimate(self, output: Mapping[str, str | None]) -> Estimate:
        """Input: a token for every four characters of the messages and the schema; output: all that may be written."""
        request = self.request(output, 0)
        schema = len(str(request.schema)) if request.schema is not None else 0
        chars = schema + sum(len(message.text) for message in request.messages)
        return Estimate(math.ceil(chars / _CHARS_A_TOKEN), self.max_tokens)

    async def close(self) -> None:
        await self.provider.close()

    @property
    def _alternatives(self) -> int:
        return _ALTERNATIVES if self.rubric.reading == "expected value" else 0

    def _request(self, asked: Sequence[Any], schema: Mapping[str, Any] | None, repeat: int) -> Request:
        seed = self.settings.seed
        return Request(
            messages=tuple(asked),
            schema=schema,
            max_tokens=self.max_tokens,
            temperature=self.settings.temperature,
            seed=None if seed is None else seed + repeat,
            effort=self.settings.effort,
            top_logprobs=self._alternatives,
        )

    def _again(self, request: Request, unread: Unread, shown: str, repeat: int) -> Request:
        tagged = self._tagged
        short = self.rubric.reading in ("json", "pattern") and not tagged
        asked = rubric_template.again(self.rubric, request.messages, shown, unread.problem, tagged=tagged)
        return self._request(asked, self.rubric.scale.schema(rationale=False) if short else None, repeat)

    async def _once_more(self, request: Request, unread: Unread, repeat: int) -> tuple[Reply | None, int]:
        """The reply to a second request, None where it is refused; and how many were sent in all.

        Some servers take no turn of the model's own: they are asked without it.
        """
        sent = 1
        for shown in dict.fromkeys((_worth_showing(unread.reply), "")):
            sent += 1
            try:
                return await self.provider.complete(self._again(request, unread, shown, repeat)), sent
            except ProviderError as error:
                error.before = (unread.reply,)
                if error.failure not in ("filtered", "rejected"):
                    raise
        return None, sent

    def _found(self, reply: Reply) -> Found:
        """What the reply to a first request says; and what it shows of its server."""
        found = read_reply(self.rubric, reply)
        reading = self.rubric.reading
        if reading == "expected value" and reply.finish in ("stop", "length"):
            if not expected_value.has_alternatives(reply.tokens):
                self._note("gives no log-probabilities: the number that it writes is the score, not an expected value")
        elif reply.finish == "length":
            self._note(f"cuts replies off at {self.max_tokens} tokens (thoughts count too): raise max_tokens")
        elif reading == "json" and found.problem is not None and _is_free(reply):
            self._tagged = True
            self._note("does not hold replies to the answer's schema: answers are asked for in tags")
        return found

    def _note(self, words: str) -> None:
        note = f"{self.name}: the server {words}"
        if note not in self.notes:
            self.notes.append(note)


def _is_free(reply: Reply) -> bool:
    """Whether a reply was held to no schema: it is prose. What begins as JSON may be cut off, without a word of it."""
    start = reply.text.strip()[:1]
    return reply.finish == "stop" and start not in {"", "{"} and not (reply.structured or is_json(reply.text))


def _worth_showing(reply: Reply) -> str:
    """What the judge is shown of its reply: what was cut off is long, and says nothing."""
    return "" if reply.finish == "length" or not reply.text.strip() else reply.text


def _as_answer(found: Found, replies: Sequence[Reply], raw: str, *, requests: int = 1) -> Answer:
    return Answer(
        status=found.status,
        label=found.verdict.label,
        score=found.verdict.score,
        confidence=found.confidence,
        rationale=found.rationale,
        raw=raw,
        input_tokens=_sum([reply.input_tokens for reply in replies]),
        output_tokens=_sum([reply.output_tokens for reply in replies]),
        model=replies[-1].model,
        requests=requests,
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


# From a specification to a judge.

_COMMON: Final = (*_NAMED, "base_url", "key_env", "timeout", "name")


def _openai(rest: str) -> Judge:
    from interjudge.judges.provider_openai import openai_provider  # noqa: PLC0415  only where it is asked

    return _judge("openai", rest, (*_COMMON, "api"), openai_provider)


def _anthropic(rest: str) -> Judge:
    from interjudge.judges.provider_anthropic import anthropic_provider  # noqa: PLC0415  only where it is asked

    return _judge("anthropic", rest, tuple(name for name in _COMMON if name != "seed"), anthropic_provider)


def _judge(prefix: str, rest: str, allowed: tuple[str, ...], make: Callable[..., Provider]) -> Judge:
    """The judge ``PREFIX/REST``.

    Raises
    ------
    InputError : no model or rubric is named, or an option is unknown or not of its kind.
    """
    named, given = split_options(rest)
    model, at, rubric_name = named.rpartition("@")
    spec = f"{prefix}/{named}"
    if not at or not model or not rubric_name:
        expected = f"{prefix}/MODEL@RUBRIC, such as {prefix}/{named.strip('@') or 'MODEL'}@harm5"
        raise InputError(f"judge {spec!r} names no {'rubric' if model or not at else 'model'}", expected=expected)
    for name in given:
        if name not in allowed:
            raise InputError(f"{spec}: unknown option {name!r}{did_you_mean(name, allowed)}", expected=choices(allowed))
    options = Given(spec, given)
    if given.get("api") == "responses" and "seed" in given:
        raise InputError(f"{spec}: the Responses API takes no seed", expected="seed with api=chat")
    if given.get("api") == "completions":
        raise InputError(f"{spec}: a rubric is asked in messages", found="completions", expected="chat or responses")
    where = {name: given[name] for name in ("base_url", "key_env", "api") if name in given}
    timeout = options.number("timeout")
    provider = make(model, **where, **({} if timeout is None else {"timeout": timeout}))
    rubric = load_rubric(
        rubric_name,
        variant=options.whole("variant", 1) or 1,
        threshold=options.number("threshold"),
        policy=given.get("policy"),
        examples=given.get("examples"),
    )
    settings = Settings(
        temperature=None if given.get("temperature") == "none" else options.number("temperature", 0.0),
        seed=options.whole("seed"),
        max_tokens=options.whole("max_tokens", least=1),
        effort=given.get("effort"),
        shuffle=options.whole("shuffle"),
    )
    said = "&".join(f"{name}={given[name]}" for name in _NAMED if name in given)
    name = given.get("name") or (f"{spec}?{said}" if said else spec)
    return rubric_judge(provider, rubric, name=name, model=f"{prefix}/{model}", settings=settings)


_SAID: Final = (
    f"RUBRIC: {', '.join(built_in())}, or FILE.toml. Options: threshold, policy, examples, variant, shuffle, "
    "temperature, max_tokens, base_url, key_env and others."
)
OPENAI: Final = Family(
    summary=f"A language model by OpenAI, or behind any server that speaks its API, with a rubric. {_SAID}",
    make=_openai,
    usage="openai/MODEL@RUBRIC[?OPTIONS]",
)
ANTHROPIC: Final = Family(
    summary=f"A language model by Anthropic, or behind any server that speaks its API, with a rubric. {_SAID}",
    make=_anthropic,
    usage="anthropic/MODEL@RUBRIC[?OPTIONS]",
)
