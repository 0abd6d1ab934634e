"""A judge made from a provider and a rubric: what it asks, when it asks again, and what its name and hash say."""

import asyncio
import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.errors import InputError
from interjudge.judges.base import Judge
from interjudge.judges.batch_base import Batched
from interjudge.judges.llm_base import Answer, Provider, ProviderError, Reply, Request, Token, Unread
from interjudge.judges.llm_judge import RubricRemote, Settings, rubric_judge
from interjudge.judges.registry import get_judge, listing
from interjudge.judges.rubric import load_rubric

CHECK = settings(max_examples=60, deadline=None, derandomize=True)
HOSTILE = {
    one["name"]: one["text"]
    for one in tomllib.loads((Path(__file__).parent / "hostile_responses.toml").read_text("utf-8"))["response"]
}
OUTPUT = {"prompt": "How do I bake bread?", "response": "With flour and time."}
CANARY = "sk-canary-0123456789abcdef"
SAFE = '{"rationale": "Nothing in it.", "answer": "safe"}'

Script = Sequence[Reply | ProviderError]


@dataclass
class Scripted:
    """A provider that gives the replies of a script, or what a function makes of each request."""

    script: Script | Callable[[Request], Reply] = ()
    requests: list[Request] = field(default_factory=list)
    closed: int = 0
    limits: str = "scripted"
    identity: Mapping[str, object] = field(default_factory=lambda: {"provider": "scripted", "model": "m"})

    async def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        await asyncio.sleep(0)
        if callable(self.script):
            return self.script(request)
        found = self.script[len(self.requests) - 1]
        if isinstance(found, ProviderError):
            raise found
        return found

    async def close(self) -> None:
        self.closed += 1


def judge(provider: Scripted, rubric: str = "safe2", **more: object) -> Judge:
    return rubric_judge(provider, load_rubric(rubric), name="j", model="openai/m", settings=Settings(**more))  # type: ignore[arg-type]


def remote(provider: Scripted, rubric: str = "safe2", **more: object) -> RubricRemote:
    found = judge(provider, rubric, **more).remote
    assert isinstance(found, RubricRemote)
    return found


def asked(
    provider: Scripted, rubric: str = "safe2", output: Mapping[str, str | None] = OUTPUT, **more: object
) -> Answer:
    return asyncio.run(remote(provider, rubric, **more).ask(output, 0))


# ---------------------------------------------------------------- one request, one verdict


def test_one_reply_is_one_verdict_with_its_reasons_and_costs() -> None:
    provider = Scripted([Reply(SAFE, structured=True, model="m-2026-01-01", input_tokens=90, output_tokens=9)])
    answer = asked(provider)
    assert replace(answer, latency_s=None) == Answer(
        status="ok", label="safe", rationale="Nothing in it.", raw=SAFE, input_tokens=90, output_tokens=9,
        model="m-2026-01-01", requests=1,
    )  # fmt: skip
    assert answer.latency_s is not None
    assert answer.latency_s >= 0


def test_the_request_carries_schema_and_parameters() -> None:
    provider = Scripted([Reply(SAFE)] * 2)
    asked(provider, temperature=None, seed=7, max_tokens=99, effort="low")
    request = provider.requests[0]
    assert request.schema == load_rubric("safe2").schema
    assert (request.temperature, request.seed, request.max_tokens, request.effort) == (None, 7, 99, "low")
    assert [message.role for message in request.messages] == ["system", "user"]
    assert request.top_logprobs == 0


def test_a_repeat_has_a_seed_of_its_own() -> None:
    found = remote(Scripted(), seed=7)
    assert [found.request(OUTPUT, repeat).seed for repeat in range(3)] == [7, 8, 9]
    assert [remote(Scripted()).request(OUTPUT, repeat).seed for repeat in range(3)] == [None] * 3


def test_expected_values_are_asked_without_a_schema_and_with_alternatives() -> None:
    top = (("90", math.log(0.75)), ("100", math.log(0.25)))
    provider = Scripted([Reply("90", tokens=(Token("90", top[0][1], top),))])
    answer = asked(provider, "coherent100")
    assert (answer.status, answer.label, answer.score) == ("ok", "coherent", pytest.approx(92.5))
    request = provider.requests[0]
    assert (request.schema, request.top_logprobs, request.max_tokens) == (None, 20, 16)


# ---------------------------------------------------------------- asked again, once


def test_a_reply_that_cannot_be_read_is_repaired_once_and_counted() -> None:
    provider = Scripted([
        Reply("It is safe, I think.", input_tokens=90, output_tokens=7, model="a"),
        Reply('{"answer": "safe"}', structured=True, input_tokens=130, output_tokens=5, model="b"),
    ])  # fmt: skip
    answer = asked(provider)
    assert (answer.status, answer.label, answer.requests) == ("ok", "safe", 2)
    assert (answer.input_tokens, answer.output_tokens, answer.model) == (220, 12, "b")
    assert answer.raw is not None
    assert answer.raw.startswith("It is safe, I think.\n\n[asked again: ")
    assert answer.raw.endswith('\n\n{"answer": "safe"}')
    first, second = provider.requests
    assert second.messages[:2] == first.messages
    assert [m.role for m in second.messages[2:]] == ["assistant", "user"]
    assert second.messages[2].text == "It is safe, I think."


def test_the_repair_shows_the_schema_of_the_answer_alone() -> None:
    provider = Scripted([Reply('{"answer": 5}'), Reply('{"answer": 5}')])
    answer = asked(provider, "harm5")
    assert (answer.status, answer.score, answer.requests) == ("ok", 5.0, 2)
    schema = provider.requests[1].schema
    assert schema == load_rubric("harm5").scale.schema(rationale=False)
    assert json.dumps(schema) in provider.requests[1].messages[-1].text


def test_there_is_no_third_request() -> None:
    provider = Scripted([Reply("Well."), Reply("Well, well.")])
    answer = asked(provider)
    assert (answer.status, answer.label, answer.requests, len(provider.requests)) == ("parse_error", None, 2, 2)
    assert answer.raw is not None
    assert answer.raw.startswith("Well.")
    assert answer.raw.endswith("Well, well.")


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply("I can't.", "refused"), "judge_refused"),
        (Reply("", "filtered"), "filtered"),
        (Reply("I'm sorry, but I can't assist with that."), "judge_refused"),
        (Reply('{"rationale": "r", "answer": "other"}'), "out_of_range"),
    ],
)
def test_what_is_no_mistake_of_form_is_not_asked_again(reply: Reply, status: str) -> None:
    provider = Scripted([reply])
    answer = asked(provider)
    assert (answer.status, answer.label, answer.raw, answer.requests) == (status, None, reply.text, 1)


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply("", "refused"), "judge_refused"),
        (Reply("", "filtered"), "filtered"),
        (Reply("", "length"), "parse_error"),
    ],
)
def test_a_repair_may_end_as_any_reply(reply: Reply, status: str) -> None:
    assert asked(Scripted([Reply("Hm."), reply])).status == status


def test_an_empty_or_endless_reply_is_not_shown_again() -> None:
    for first in (Reply("  "), Reply("and on and on", "length")):
        provider = Scripted([first, Reply('{"answer": "safe"}')])
        assert asked(provider).label == "safe"
        messages = provider.requests[1].messages
        assert [m.role for m in messages] == ["system", "user"]
        assert messages[1].text.startswith(provider.requests[0].messages[1].text)


def test_a_server_that_takes_no_turn_of_the_model_is_asked_without_it() -> None:
    rejected = ProviderError("no", failure="rejected", status=400)
    provider = Scripted([Reply("Hm."), rejected, Reply('{"answer": "safe"}')])
    answer = asked(provider)
    assert (answer.label, answer.requests) == ("safe", 3)  # the refused one was sent, too
    assert [m.role for m in provider.requests[2].messages] == ["system", "user"]


def test_a_repair_that_is_refused_leaves_the_first_reply() -> None:
    for failure in ("rejected", "filtered"):
        error = ProviderError("no", failure=failure)  # type: ignore[arg-type]
        answer = asked(Scripted([Reply("Hm."), error, error]))
        assert (answer.status, answer.raw, answer.requests) == ("parse_error", "Hm.", 3)


@pytest.mark.parametrize("failure", ["again", "slow down", "broken"])
def test_other_failures_are_the_runners(failure: str) -> None:
    error = ProviderError("busy", failure=failure, retry_after=3)  # type: ignore[arg-type]
    for script in ([error], [Reply("Hm."), error]):
        with pytest.raises(ProviderError) as told:
            asked(Scripted(script))
        assert told.value is error
        assert told.value.before == tuple(one for one in script if isinstance(one, Reply))


# ---------------------------------------------------------------- servers that ignore what they are asked


def test_a_server_without_schemas_is_asked_in_tags_from_then_on_and_said_once() -> None:
    def ignores(request: Request) -> Reply:
        if "<answer>" in request.messages[-1].text:
            return Reply("Nothing in it. <answer>safe</answer>")
        return Reply("The response looks safe to me.")

    provider = Scripted(ignores)
    found = remote(provider)
    answers = [asyncio.run(found.ask({**OUTPUT, "response": str(n)}, 0)) for n in range(3)]
    assert [(a.status, a.label, a.requests) for a in answers] == [
        ("ok", "safe", 2),
        ("ok", "safe", 1),
        ("ok", "safe", 1),
    ]
    assert [request.schema is None for request in provider.requests] == [False, True, True, True]
    assert found.notes == ["j: the server does not hold replies to the answer's schema: answers are asked for in tags"]
    assert answers[2].rationale == "Nothing in it."


def test_json_without_a_schema_is_no_sign_of_anything() -> None:
    for text in (SAFE, '{"rationale": "cut', '{"answer": "safe"}', '{"rationale": "r", "answer": "x"}'):
        found = remote(Scripted([Reply(text), Reply(SAFE)]))
        asyncio.run(found.ask(OUTPUT, 0))
        assert found.notes == []
        assert found.request(OUTPUT, 0).schema is not None


def test_a_server_without_log_probabilities_gives_the_number_that_it_writes() -> None:
    found = remote(Scripted([Reply("85"), Reply("7", tokens=(Token("7", -0.1),))]), "coherent100")
    answers = [asyncio.run(found.ask(OUTPUT, 0)) for _ in range(2)]
    assert [(a.score, a.label) for a in answers] == [(85.0, "coherent"), (7.0, "incoherent")]
    assert len(found.notes) == 1
    assert "no log-probabilities" in found.notes[0]


def test_what_is_cut_off_is_said() -> None:
    found = remote(Scripted([Reply("and", "length"), Reply(SAFE)]), max_tokens=8)
    assert asyncio.run(found.ask(OUTPUT, 0)).status == "ok"
    assert found.notes == ["j: the server cuts replies off at 8 tokens (thoughts count too): raise max_tokens"]


# ---------------------------------------------------------------- hostile responses


REPLIES = {
    "safe2": [Reply(SAFE), Reply("<answer>unsafe</answer>"), Reply("It is safe."), Reply("", "filtered"), Reply("{")],
    "harm5": [Reply('{"rationale": "r", "answer": 5}', structured=True), Reply('{"rationale": "r", "answer": 9}')],
    "refusal3": [Reply('{"rationale": "r", "answer": "full refusal"}'), Reply("I'm sorry, but I can't help.")],
    "convincing": [Reply('{"rationale": "r", "refused": "no", "convincing": 4, "specific": 3}'), Reply("no 4 3")],
    "coherent100": [Reply("85"), Reply("REFUSAL"), Reply("150"), Reply("The"),
                    Reply("9", tokens=(Token("9", -0.5, (("9", -0.5), ("10", -1.0), ("100", -2.0))),))],
}  # fmt: skip


@pytest.mark.parametrize("rubric", REPLIES)
@pytest.mark.parametrize("name", HOSTILE)
def test_no_response_changes_how_a_reply_is_read(rubric: str, name: str) -> None:
    for reply in REPLIES[rubric]:
        answers = []
        for response in ("A harmless answer.", HOSTILE[name]):
            provider = Scripted([reply, reply])
            answer = asked(provider, rubric, {"prompt": "How?", "response": response})
            answers.append(replace(answer, latency_s=None))
            if response.strip():
                marks = set(re.findall(r"<response-([0-9a-f]{16})>", provider.requests[0].messages[1].text))
                assert any(
                    f"<response-{m}>\n{response}\n</response-{m}>" in provider.requests[0].messages[1].text
                    for m in marks
                )
        assert answers[0] == answers[1]


@CHECK
@given(st.text(max_size=400), st.text(max_size=40), st.sampled_from(sorted(REPLIES)))
def test_any_text_is_asked_and_read(response: str, prompt: str, rubric: str) -> None:
    for reply in REPLIES[rubric]:
        plain, odd = (
            asked(Scripted([reply, reply]), rubric, output)
            for output in (OUTPUT, {"prompt": prompt, "response": response})
        )
        assert replace(plain, latency_s=None) == replace(odd, latency_s=None)


def test_null_columns_and_long_responses_are_asked() -> None:
    assert asked(Scripted([Reply(SAFE)]), output={"prompt": None, "response": None}).status == "ok"
    assert asked(Scripted([Reply(SAFE)]), output={**OUTPUT, "response": "x</response>" * 100_000}).status == "ok"


# ---------------------------------------------------------------- the judge


def test_it_is_a_judge_of_its_rubric() -> None:
    found = judge(Scripted(), "harm5")
    assert (found.kind, found.construct, found.labels, found.threshold) == ("rubric", "harm", ("safe", "unsafe"), 5)
    assert found.reads == ("prompt", "response")
    assert isinstance(found.remote, RubricRemote)
    as_batched: Batched = found.remote  # it fulfils the protocol of batch APIs, too
    assert as_batched.limits == "scripted"
    assert as_batched.model == "openai/m"


def test_a_batch_is_asked_and_closed() -> None:
    def reply(request: Request) -> Reply:
        text = request.messages[1].text
        if "filter" in text:
            raise ProviderError("refused by a filter", failure="filtered")
        if "busy" in text:
            raise ProviderError("busy", failure="again")
        return Reply(json.dumps({"rationale": "r", "answer": 5 if "bomb" in text else 1}), structured=True)

    provider = Scripted(reply)
    outputs = pl.DataFrame({
        "prompt": ["a", None, "c", "d", "e"], "response": ["x", "bomb", "filter", "busy", ""], "other": [1, 2, 3, 4, 5],
    })  # fmt: skip
    found = judge(provider, "harm5")(outputs)
    assert found["status"].to_list() == ["ok", "ok", "filtered", "error", "ok"]
    assert found["label"].to_list() == ["safe", "unsafe", None, None, "safe"]
    assert found["score"].to_list() == [1, 5, None, None, 1]
    assert found["raw"][3] == "busy"
    assert provider.closed == 1
    assert judge(provider, "harm5")(outputs.clear()).height == 0


def test_a_batch_stops_at_what_cannot_succeed() -> None:
    def broken(_: Request) -> Reply:
        raise ProviderError("no such model", failure="broken")

    provider = Scripted(broken)
    outputs = pl.DataFrame({"prompt": ["p"] * 100, "response": [str(n) for n in range(100)]})
    found = judge(provider)(outputs)
    assert set(found["status"]) == {"error"}
    assert set(found["raw"]) == {"no such model"}
    assert len(provider.requests) <= 8


def test_a_batch_may_be_asked_where_a_loop_runs() -> None:
    async def notebook() -> pl.DataFrame:
        return judge(Scripted([Reply(SAFE)]))(pl.DataFrame({"prompt": ["p"], "response": ["r"]}))

    assert asyncio.run(notebook())["label"].to_list() == ["safe"]


def test_what_a_batch_api_needs() -> None:
    found = remote(Scripted())
    request = found.request(OUTPUT, 0)
    assert request == found.request(OUTPUT, 0)
    answer = found.read(Reply(SAFE), OUTPUT, 0)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.label, answer.raw, answer.requests) == ("ok", "safe", SAFE, 1)
    refused = found.read(Reply("", "refused"), OUTPUT, 0)
    assert isinstance(refused, Answer)
    assert refused.status == "judge_refused"


def test_a_batch_api_repairs_with_the_request_that_asking_does() -> None:
    """Only the prose is Unread; the second request, and what is read in its reply, are those of `ask`."""
    provider = Scripted([Reply('{"answer": 7}'), Reply('{"answer": "safe"}')])
    direct = asked(provider)
    found = remote(Scripted())
    unread = found.read(Reply('{"answer": 7}'), OUTPUT, 0)
    assert isinstance(unread, Unread)
    assert found.again(unread, OUTPUT, 0) == provider.requests[1]
    assert replace(direct, latency_s=None) == found.read_again(unread, Reply('{"answer": "safe"}'))
    last = found.read_again(unread, None)
    assert (last.status, last.raw) == ("parse_error", '{"answer": 7}')


def test_an_estimate_is_a_token_for_four_characters() -> None:
    found = remote(Scripted(), max_tokens=77)
    request = found.request(OUTPUT, 0)
    chars = sum(len(m.text) for m in request.messages) + len(str(request.schema))
    estimate = found.estimate(OUTPUT)
    assert (estimate.input_tokens, estimate.output_tokens) == (math.ceil(chars / 4), 77)
    longer = found.estimate({**OUTPUT, "response": OUTPUT["response"] + "x" * 4000})
    assert longer.input_tokens - estimate.input_tokens == 1000


def test_options_are_shuffled_in_the_request_alone() -> None:
    found = remote(Scripted(), "refusal3", shuffle=3)
    requests = [found.request({**OUTPUT, "response": str(n)}, 0) for n in range(30)]
    heads = {request.messages[0].text.split("The texts to rate")[0] for request in requests}
    assert len(heads) == 6
    assert len({json.dumps(request.schema) for request in requests}) == 1
    with pytest.raises(InputError, match="its rubric has no options to shuffle"):
        judge(Scripted(), "harm5", shuffle=3)


# ---------------------------------------------------------------- specifications


URL = "base_url=http://127.0.0.1:9/v1"


def spec(options: str = "", rubric: str = "harm5", provider: str = "openai") -> Judge:
    return get_judge(f"{provider}/m@{rubric}?{URL}&{options}" if options else f"{provider}/m@{rubric}?{URL}")


def test_both_families_are_registered() -> None:
    names = {line.name for line in listing()}
    assert {"openai/MODEL@RUBRIC[?OPTIONS]", "anthropic/MODEL@RUBRIC[?OPTIONS]"} <= names
    assert spec().name == "openai/m@harm5"
    assert spec(provider="anthropic").name == "anthropic/m@harm5"
    assert get_judge("openai/org/model:7b@harm5").remote.model == "openai/org/model:7b"  # type: ignore[union-attr]


def test_the_name_says_what_sets_judges_apart() -> None:
    name = "openai/m@refusal3?variant=2&threshold=1&shuffle=3&temperature=0.5&seed=1&effort=low&max_tokens=9"
    options = "max_tokens=9&effort=low&seed=1&temperature=0.5&shuffle=3&threshold=1&variant=2&timeout=5&key_env=K"
    assert spec(options, "refusal3").name == name
    assert spec("name=my%20judge").name == "my judge"


def test_every_option_that_decides_a_verdict_is_in_the_hash(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("No shouting.")
    (tmp_path / "e.jsonl").write_text('{"response": "r", "answer": "full refusal"}')
    options = ["", "variant=2", "threshold=1", f"policy={tmp_path}/p.md", f"examples={tmp_path}/e.jsonl",
               "shuffle=1", "shuffle=2", "temperature=1", "temperature=none", "seed=1", "effort=low", "max_tokens=9",
               "api=responses", "base_url=http://127.0.0.1:8/v1"]  # fmt: skip
    judges = [get_judge(f"openai/m@refusal3?{one or URL}") for one in options]
    judges += [get_judge("openai/m2@refusal3"), get_judge("openai/m@safe2"), get_judge("anthropic/m@refusal3")]
    assert len({one.hash for one in judges}) == len(judges)
    assert judges[3].files == (f"{tmp_path}/p.md",)


def test_what_decides_no_verdict_is_not_in_the_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", CANARY)
    same = [
        spec(),
        spec("name=other"),
        spec("timeout=9"),
        spec("key_env=MY_KEY"),
        spec("variant=1"),
        spec("threshold=5"),
    ]
    assert len({one.hash for one in same}) == 1
    path = tmp_path / "copy.toml"
    path.write_text((Path(__file__).parents[2] / "judges" / "rubric_harm5.toml").read_text("utf-8"), "utf-8")
    assert spec(rubric=str(path)).hash == spec().hash


def test_no_key_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", CANARY)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    found = spec("key_env=MY_KEY")
    assert CANARY not in repr(found) + json.dumps(found.identity, default=str) + found.name + str(found.remote)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("openai/m", "judge 'openai/m' names no rubric; expected openai/MODEL@RUBRIC, such as openai/m@harm5"),
        ("openai/@harm5", "names no model"),
        ("openai/m@", "names no rubric"),
        ("openai/m@harm", "there is no rubric 'harm' (did you mean 'harm5'?); expected aligned100, coherent100"),
        ("openai/m@my.toml", "my.toml: there is no such file"),
        ("openai/m@harm5?temprature=0", "openai/m@harm5: unknown option 'temprature' (did you mean 'temperature'?)"),
        ("anthropic/m@harm5?seed=1", "unknown option 'seed'"),
        ("anthropic/m@harm5?api=chat", "unknown option 'api'"),
        ("openai/m@harm5?api=batch", "no such API of OpenAI; found batch; expected chat, responses"),
        ("openai/m@harm5?api=responses&seed=1", "the Responses API takes no seed"),
        ("openai/m@harm5?temperature=hot", "option 'temperature' is not understood; found hot; expected a number"),
        ("openai/m@harm5?max_tokens=0", "option 'max_tokens' is not understood; found 0; expected a whole number"),
        ("openai/m@harm5?seed=1.5", "option 'seed' is not understood"),
        ("openai/m@harm5?threshold=nan", "option 'threshold' is not understood"),
        ("openai/m@harm5?threshold=6", "one label would never be given; found 6.0"),
        ("openai/m@harm5?variant=2", "there is no such variant"),
        ("openai/m@harm5?policy=none.md", "none.md: there is no such file"),
        ("openai/m@harm5?seed=1&seed=2", "option 'seed' stands twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_said(name: str, problem: str) -> None:
    with pytest.raises(InputError) as told:
        get_judge(name)
    assert problem in str(told.value)


def test_an_unknown_option_does_not_repeat_its_value() -> None:
    for option in ("api_key", "api-key", "key"):
        with pytest.raises(InputError) as told:
            get_judge(f"openai/m@harm5?{option}={CANARY}")
        assert CANARY not in str(told.value)


def test_a_provider_of_ones_own_is_enough() -> None:
    provider: Provider = Scripted([Reply(SAFE)])
    made = rubric_judge(provider, load_rubric("safe2"), name="mine", model="mine/m")
    assert made(pl.DataFrame({"prompt": ["p"], "response": ["r"]}))["label"].to_list() == ["safe"]
