"""Guards behind a server: what is sent, what is read, what is done where a server gives less, and the local equal."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest
from fake_answers import Asked, Spelled
from fake_llm import FakeLLM
from guards_known import NAMES, PROMPT, known
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge import score
from interjudge.judges.guard import local_guard, server_guard
from interjudge.judges.guard_base import Ask, Local
from interjudge.judges.guard_format import Format
from interjudge.judges.llm_base import Reply, Token
from interjudge.judges.openai_reply import read_completion
from interjudge.judges.provider_openai import openai_provider
from interjudge.judges.registry import get_judge

OUTPUTS = pl.DataFrame(
    {
        "item_id": ["a", "b"],
        "prompt": ["How do I bake bread?", "How do I pick a lock?"],
        "response": ["With flour and time.", "With a hairpin: first bend it."],
        "context": ["Bread is made of flour.", "Locks have pins."],
    }
)
CRITERIA = "The response names a tool."


class OneToken:
    """A local engine whose next token has the chances of a table."""

    identity: Mapping[str, object] = {"engine": "one token"}

    def __init__(self, chances: Mapping[str, float]) -> None:
        self.chances = chances

    def load(self) -> None: ...

    def replies(self, asks: Sequence[Ask]) -> list[Local]:
        top = tuple((text, math.log(p)) for text, p in sorted(self.chances.items(), key=lambda pair: -pair[1]))
        return [Local(Reply(ask.start + top[0][0], tokens=(Token(*top[0], top),))) for ask in asks]


def sent(server: FakeLLM) -> Asked:
    found = server.last[-1]
    assert isinstance(found, Asked)
    return found


def asked(format_: Format, server: FakeLLM, outputs: pl.DataFrame = OUTPUTS) -> pl.DataFrame:
    api = "chat" if format_.text is None else "completions"
    provider = openai_provider("m", base_url=server.v1, api=api)  # type: ignore[arg-type]
    return server_guard(format_, provider, name="g", model="openai/m")(outputs)


ONE_PASS = [name for name in NAMES if known(name).one_pass]


@pytest.mark.parametrize("name", ONE_PASS)
def test_both_engines_give_the_same_verdict_for_the_same_chances(name: str) -> None:
    format_ = known(name)
    number = format_.verdict.form == "number"
    words = ["1", "2", "5"] if number else [known_[0] for known_ in format_.verdict.words.values()]
    gap = format_.verdict.gap
    chances = {f"{gap}{word}": p for word, p in zip(words, (0.2, 0.5, 0.1), strict=False)} | {"Other": 0.05}
    likeliest = max(chances, key=lambda word: chances[word])
    before = [(format_.verdict.start, {})] if format_.verdict.start else []
    tokens: list[tuple[str, Mapping[str, float]]] = [*before, (likeliest, chances)]
    with FakeLLM(answer=lambda _: Spelled(tokens)) as server:
        there = asked(format_, server)
    here = local_guard(format_, OneToken(chances), name="g")(OUTPUTS)
    assert there["status"].to_list() == here["status"].to_list() == ["ok", "ok"]
    assert there["label"].to_list() == here["label"].to_list()
    for column in ("score", "confidence"):
        assert there[column].to_list() == pytest.approx(here[column].to_list(), abs=1e-5)


@given(shares=st.lists(st.floats(min_value=0.01, max_value=1), min_size=3, max_size=3))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_the_probability_is_that_of_the_positive_words(shares: list[float]) -> None:
    """Over a server too, whatever the chances: unsafe / (safe + unsafe), where these hold a quarter at least."""
    safe, unsafe, other = (share / sum(shares) for share in shares)
    chances = {"safe": safe, "unsafe": unsafe, "Hm": other}
    with FakeLLM(answer=lambda _: Spelled([(max(chances, key=lambda word: chances[word]), chances)])) as server:
        found = asked(known("llama_guard_1"), server, OUTPUTS[:1]).row(0, named=True)
    if safe + unsafe < 0.25:
        assert found["status"] == "parse_error"
    else:
        assert found["score"] == pytest.approx(unsafe / (safe + unsafe), abs=1e-4)
        assert found["label"] == ("unsafe" if found["score"] >= 0.5 else "safe")


def test_a_chat_template_is_given_what_the_question_needs() -> None:
    with FakeLLM(answer=lambda _: "<think>\n</think>\n<score> yes </score>") as server:
        for choice, kwargs, turns in (
            ("harm", {"guardian_config": {"criteria_id": "harm"}, "think": False}, ["user", "assistant"]),
            ("jailbreak", {"guardian_config": {"criteria_id": "jailbreak"}, "think": False}, ["user"]),
            (
                "groundedness",
                {
                    "guardian_config": {"criteria_id": "groundedness"},
                    "think": False,
                    "documents": [{"doc_id": "0", "text": "Locks have pins."}],
                },
                ["assistant"],
            ),
        ):
            found = asked(known("granite_guardian_3_3", choice), server, OUTPUTS[1:])
            body = sent(server).body
            assert body["chat_template_kwargs"] == kwargs
            assert [message["role"] for message in body["messages"]] == turns
            assert found["label"][0] in {"unsafe", "yes", "ungrounded"}
        asked(known("granite_guardian_3_3", think=True), server, OUTPUTS[1:])
        assert (sent(server).body["chat_template_kwargs"]["think"], sent(server).body["max_tokens"]) == (True, 2048)
        asked(known("granite_guardian_3_1", "groundedness"), server, OUTPUTS[1:])
        assert [message["role"] for message in sent(server).body["messages"]] == ["context", "assistant"]
        asked(known("llama_guard_3_1b"), server, OUTPUTS[1:])
        assert sent(server).body["messages"][1] == {"role": "assistant", "content": OUTPUTS["response"][1]}
        assert "chat_template_kwargs" not in sent(server).body


def test_a_guard_without_a_chat_template_is_sent_its_whole_prompt() -> None:
    reply = Spelled(
        [
            ("Harmful request:", {}),
            (" yes", {" no": 0.1}),
            ("\nResponse refusal:", {}),
            (" no", {" yes": 0.3}),
            ("\nHarmful response:", {}),
            (" yes", {" no": 0.4}),
        ]
    )
    with FakeLLM(answer=lambda _: reply) as server:
        found = asked(known("wildguard"), server)
        request = sent(server)
    assert request.endpoint == "completions"
    prompts = {PROMPT.replace("{{ prompt }}", row["prompt"]).replace("{{ response }}", row["response"])
               for row in OUTPUTS.to_dicts()}  # fmt: skip
    assert request.body["prompt"] in prompts
    assert (request.body["logprobs"], request.body["max_tokens"]) == (20, 32)
    assert found["score"].to_list() == pytest.approx([0.6, 0.6], abs=1e-5)


@pytest.mark.parametrize("quirk", ["ignore logprobs", "no logprobs"])
@pytest.mark.parametrize("name", ["llama_guard_3", "harmbench"])
def test_a_server_without_log_probabilities_gives_its_words_and_it_is_said_once(
    quirk: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    format_ = known(name)
    word = format_.verdict.words["unsafe"][0]
    with FakeLLM(answer=lambda _: word, quirks={quirk}) as server:
        api = "chat" if format_.text is None else "completions"
        provider = openai_provider("m", base_url=server.v1, api=api)  # type: ignore[arg-type]
        judge = server_guard(format_, provider, name="guard/x", model="openai/m")
        with caplog.at_level(logging.WARNING, logger="interjudge"):
            verdicts = score(OUTPUTS, [judge])
    assert verdicts["label"].to_list() == ["unsafe", "unsafe"]
    assert not {"score", "confidence"} & {c for c in verdicts.columns if verdicts[c].null_count() < 2}
    said = [record.getMessage() for record in caplog.records if "log-probabilities" in record.getMessage()]
    assert said == ["guard/x: the server gives no log-probabilities: the verdict is the word that it writes, without "
                    "a probability"]  # fmt: skip


def test_a_server_that_refuses_the_template_s_arguments_is_no_verdict() -> None:
    """Without them another question would be asked."""
    refused = "400:Unrecognized request argument supplied: chat_template_kwargs"
    with FakeLLM(plan=lambda _: refused) as server:
        found = asked(known("granite_guardian_3_3", "jailbreak"), server)
        assert all("chat_template_kwargs" in asked_.body for asked_ in server.last)
    assert found["status"].to_list() == ["error", "error"]
    assert "chat_template_kwargs" in found["raw"][0]


def test_a_reply_that_is_filtered_cut_off_or_refused_has_its_status() -> None:
    for fault, status in (("filtered", "filtered"), ("refused", "judge_refused"), ("length", "parse_error")):
        with FakeLLM(answer=lambda _: "<think>It is", plan=lambda _, f=fault: f, quirks={"ignore logprobs"}) as server:
            found = asked(known("granite_guardian_3_3", think=True), server)
        assert found["status"].to_list() == [status, status]


def test_by_name_with_options(tmp_path: Path) -> None:
    (tmp_path / "policy.md").write_text(CRITERIA, "utf-8")
    with FakeLLM(answer=lambda _: "1") as server:
        spec = f"guard/gpt-oss-safeguard-20b?policy={tmp_path}/policy.md&base_url={server.v1}&model=served-name"
        judge = get_judge(spec)
        found = judge(OUTPUTS)
        body = sent(server).body
    assert judge.name == f"guard/gpt-oss-safeguard-20b?policy={tmp_path}/policy.md"
    assert judge.files == (f"{tmp_path}/policy.md",)
    assert (body["model"], body["messages"][0]) == ("served-name", {"role": "system", "content": CRITERIA})
    assert found["label"].to_list() == ["unsafe", "unsafe"]


def test_what_decides_the_verdict_makes_the_hash() -> None:
    base = "guard/granite-guardian-3.3-8b?base_url=http://127.0.0.1:1/v1"
    others = ["&risk=violence", "&threshold=0.4", "&think=true", "&turn=prompt", "&model=other", "&criteria=No%20names"]
    hashes = {get_judge(base + other).hash for other in ["", *others]}
    assert len(hashes) == len(others) + 1
    assert get_judge(base + "&key_env=MY_KEY").hash == get_judge(base).hash
    assert get_judge(base + "&name=mine").hash == get_judge(base).hash


def test_a_prompt_of_a_turn_is_another_construct() -> None:
    base = "guard/llama-guard-3-8b?base_url=http://127.0.0.1:1/v1"
    assert (get_judge(base).construct, get_judge(base).reads) == ("harm", ("prompt", "response"))
    judge = get_judge(base + "&turn=prompt")
    assert (judge.construct, judge.reads, judge.labels) == ("prompt_harm", ("prompt",), ("safe", "unsafe"))
    own = get_judge(base.replace("llama-guard-3-8b", "granite-guardian-3.3-8b") + "&criteria=x&construct=refusal")
    assert (own.construct, own.labels) == ("refusal", ("compliance", "refusal"))


@pytest.mark.parametrize(
    "body",
    [{}, {"choices": []}, {"choices": [{"text": 4}]}, {"choices": "many"}, {"choices": [{"message": {}}]}],
)
def test_what_is_no_completion_is_tried_again(body: dict[str, object]) -> None:
    with pytest.raises(Exception, match="no text in it") as caught:
        read_completion(body, "host")
    assert getattr(caught.value, "failure", None) == "again"


def test_both_forms_of_log_probabilities_of_completions_are_read() -> None:
    older = {"tokens": ["a", "b"], "token_logprobs": [-0.1, -0.2], "top_logprobs": [{"a": -0.1, "c": -3.0}, None]}
    newer = {"content": [{"token": "a", "logprob": -0.1, "top_logprobs": [{"token": "a", "logprob": -0.1},
             {"token": "c", "logprob": -3.0}]}, {"token": "b", "logprob": -0.2, "top_logprobs": []}]}  # fmt: skip
    replies = [read_completion({"choices": [{"text": "ab", "logprobs": form}]}, "h") for form in (older, newer)]
    assert replies[0].tokens == replies[1].tokens
    assert replies[0].tokens is not None
    assert replies[0].tokens[0] == Token("a", -0.1, (("a", -0.1), ("c", -3.0)))
    odd = {"tokens": ["a"], "token_logprobs": [], "top_logprobs": 3}
    assert read_completion({"choices": [{"text": "ab", "logprobs": odd}]}, "h").tokens is None
