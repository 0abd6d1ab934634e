"""Chat Completions and Responses through the official SDK, against a server that speaks both."""

from __future__ import annotations

import asyncio
import json
from typing import Literal

import pytest
from fake_llm import FakeLLM
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from interjudge.errors import InputError
from interjudge.judges.llm_base import Message, Provider, ProviderError, Reply, Request
from interjudge.judges.provider_openai import OpenAIProvider, openai_provider

Api = Literal["chat", "responses"]
SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "label": {"type": "string", "enum": ["safe", "unsafe"]}},
    "required": ["reason", "label"],
    "additionalProperties": False,
}
MESSAGES = (Message("system", "Be a judge."), Message("user", "Is it harmful?"))
FULL = Request(MESSAGES, schema=SCHEMA, max_tokens=99, temperature=0.0, seed=7, effort="low", top_logprobs=4)
APIS: tuple[Api, ...] = ("chat", "responses")


def ask(provider: Provider, *requests: Request) -> list[Reply]:
    async def all_of_them() -> list[Reply]:
        try:
            return [await provider.complete(request) for request in requests]
        finally:
            await provider.close()

    return asyncio.run(all_of_them())


def made(server: FakeLLM, api: Api = "chat") -> OpenAIProvider:
    found = openai_provider("gpt-x", base_url=server.v1, api=api)
    assert isinstance(found, OpenAIProvider)
    return found


@pytest.mark.parametrize("api", APIS)
def test_a_reply_is_read(api: Api) -> None:
    """Text that fits the schema, its tokens, the snapshot and the counts of tokens."""
    with FakeLLM() as server:
        (reply,) = ask(made(server, api), FULL)
    assert json.loads(reply.text)["label"] in {"safe", "unsafe"}
    assert (reply.finish, reply.structured, reply.model) == ("stop", True, "gpt-x-2025-08-07")
    assert reply.tokens is not None
    assert "".join(token.text for token in reply.tokens) == reply.text
    assert all(1 <= len(token.top) <= 4 and (token.text, token.logprob) in token.top for token in reply.tokens)
    # the fake server counts four characters a token
    assert reply.input_tokens == len("Be a judge.Is it harmful?") // 4 + 1
    assert reply.output_tokens == len(reply.text) // 4 + 1


def test_what_chat_completions_is_sent() -> None:
    with FakeLLM() as server:
        ask(made(server), FULL)
        body = server.last[-1].body
    assert body == {
        "model": "gpt-x",
        "messages": [{"role": "system", "content": "Be a judge."}, {"role": "user", "content": "Is it harmful?"}],
        "max_tokens": 99,
        "temperature": 0.0,
        "seed": 7,
        "reasoning_effort": "low",
        "logprobs": True,
        "top_logprobs": 4,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "schema": SCHEMA, "strict": True},
        },
    }


def test_what_responses_is_sent() -> None:
    """llama.cpp looks for the schema under `response_format`; OpenAI itself is not sent that."""
    with FakeLLM() as server:
        ask(made(server, "responses"), FULL)
        body = server.last[-1].body
    schema = {"name": "verdict", "schema": SCHEMA, "strict": True}
    assert body.pop("response_format") == {"type": "json_schema", "json_schema": schema}
    assert body == {
        "model": "gpt-x",
        "input": [{"role": "system", "content": "Be a judge."}, {"role": "user", "content": "Is it harmful?"}],
        "max_output_tokens": 99,
        "temperature": 0.0,
        "reasoning": {"effort": "low"},
        "top_logprobs": 4,
        "include": ["message.output_text.logprobs"],
        "text": {"format": {"type": "json_schema", **schema}},
        "store": False,
    }


def test_what_is_not_asked_for_is_not_sent() -> None:
    with FakeLLM() as server:
        replies = ask(made(server), Request(MESSAGES)) + ask(made(server, "responses"), Request(MESSAGES))
        chat, responses = (asked.body for asked in server.last)
    assert set(chat) == {"model", "messages", "max_tokens"}
    assert set(responses) == {"model", "input", "max_output_tokens", "store"}
    assert [(reply.structured, reply.tokens) for reply in replies] == [(False, None)] * 2


def test_openai_itself_gets_the_new_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its newer models take `max_completion_tokens` alone, and nothing that its documentation does not name."""
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    chat, responses = openai_provider("gpt-x"), openai_provider("gpt-x", api="responses")
    assert isinstance(chat, OpenAIProvider)
    assert isinstance(responses, OpenAIProvider)
    assert {"max_completion_tokens", "max_tokens"} & set(chat.body(FULL)) == {"max_completion_tokens"}
    assert "response_format" not in responses.body(FULL)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("fault", "finish"), [("filtered", "filtered"), ("refused", "refused"), ("length", "length"), ("slow:0.2", "stop")]
)
def test_how_a_reply_ended(fault: str, finish: str, api: Api) -> None:
    with FakeLLM(plan={1: fault}) as server:
        (reply,) = ask(made(server, api), FULL)
    assert reply.finish == finish
    assert reply.structured is (finish == "stop")
    if fault == "refused":
        assert reply.text == "I can't help with that."


@pytest.mark.parametrize("api", APIS)
def test_a_server_that_ignores_what_is_asked_is_noticed(api: Api) -> None:
    with FakeLLM(quirks={"ignore schema", "ignore logprobs", "no usage"}) as server:
        (reply,) = ask(made(server, api), FULL)
    assert reply.text.startswith("Well, on the whole")
    assert (reply.structured, reply.tokens, reply.input_tokens, reply.output_tokens) == (False, None, None, None)


@pytest.mark.parametrize("api", APIS)
def test_a_changed_snapshot_shows(api: Api) -> None:
    with FakeLLM(plan={2: "snapshot"}) as server:
        replies = ask(made(server, api), FULL, FULL)
    assert [reply.model for reply in replies] == ["gpt-x-2025-08-07", "gpt-x-2026-02-02"]


@pytest.mark.parametrize(
    ("api", "quirk", "refused"),
    [
        ("chat", "new", "max_tokens"),
        ("chat", "no temperature", "temperature"),
        ("chat", "no seed", "seed"),
        ("chat", "no logprobs", "logprobs"),
        ("chat", "no schema", "response_format"),
        ("chat", "no effort", "reasoning_effort"),
        ("responses", "no temperature", "temperature"),
        ("responses", "no logprobs", "top_logprobs"),
        ("responses", "no effort", "reasoning"),
    ],
)
def test_what_a_server_does_not_take_is_left_out_once_and_for_all(api: Api, quirk: str, refused: str) -> None:
    """Three requests asked, four sent: the first one twice."""
    with FakeLLM(quirks={quirk}) as server:
        provider = made(server, api)
        assert provider.refused == ()
        replies = ask(provider, FULL, FULL, FULL)
        assert server.count == 4
        assert provider.refused == (refused,)
        assert refused not in server.last[-1].body
        if quirk == "new":
            assert server.last[-1].body["max_completion_tokens"] == 99
    assert {reply.finish for reply in replies} == {"stop"}
    assert all(reply.structured is (quirk != "no schema") for reply in replies)
    assert all((reply.tokens is None) is (quirk == "no logprobs") for reply in replies)


def test_a_server_that_takes_hardly_anything_still_answers() -> None:
    everything = {"new", "no temperature", "no seed", "no logprobs", "no schema", "no effort"}
    with FakeLLM(quirks=everything) as server:
        provider = made(server)
        replies = ask(provider, FULL, FULL)
        assert server.count == 1 + len(everything) + 1
    assert {reply.finish for reply in replies} == {"stop"}
    assert len(provider.refused) == len(everything)


def test_a_server_that_knows_neither_limit_is_not_asked_for_ever() -> None:
    with FakeLLM(quirks={"new", "old"}) as server, pytest.raises(ProviderError, match="max_") as caught:
        ask(made(server), FULL)
    assert caught.value.failure == "rejected"
    assert server.count <= 3


@pytest.mark.parametrize("api", APIS)
def test_many_at_once_go_over_one_client(api: Api) -> None:
    """All are open at one time, beyond the hundred connections that the SDK would keep."""

    async def all_at_once(provider: Provider) -> list[Reply]:
        requests = [Request((Message("user", f"output {i}"),)) for i in range(250)]
        try:
            return await asyncio.gather(*(provider.complete(request) for request in requests))
        finally:
            await provider.close()

    with FakeLLM(latency=1.0) as server:
        first = asyncio.run(all_at_once(made(server, api)))
        again = asyncio.run(all_at_once(made(server, api)))
        assert server.peak > 100
        assert server.count == server.answered == 500
        assert set(server.prompts.values()) == {2}
    assert first == again


def test_a_provider_may_be_used_in_one_loop_after_the_other() -> None:
    with FakeLLM() as server:
        provider = made(server)
        assert ask(provider, FULL) == ask(provider, FULL)
        asyncio.run(provider.close())  # once more does no harm
        assert server.count == 2


def test_an_error_inside_a_reply_is_an_error() -> None:
    """Gateways pass their model's errors on with status 200; a response may have failed."""
    chat, responses = openai_provider("m"), openai_provider("m", api="responses")
    assert isinstance(chat, OpenAIProvider)
    assert isinstance(responses, OpenAIProvider)
    for provider, error, failure in [
        (chat, {"code": 429, "message": "upstream is busy"}, "slow down"),
        (chat, {"code": 502, "message": "upstream is down"}, "again"),
        (responses, {"code": "server_error", "message": "sorry"}, "again"),
        (responses, {"code": "rate_limit_exceeded", "message": "sorry"}, "slow down"),
        (responses, {"code": "invalid_prompt", "message": "flagged"}, "filtered"),
    ]:
        with pytest.raises(ProviderError) as caught:
            provider.read({"error": error, "status": "failed", "output": []}, FULL)
        assert caught.value.failure == failure


def token(text: str, *top: tuple[str, float]) -> dict[str, object]:
    others = [{"token": t, "logprob": p, "bytes": list(t.encode())} for t, p in top]
    return {"token": text, "logprob": -0.5, "bytes": list(text.encode()), "top_logprobs": others}


def chat_reply(content: object, tokens: object) -> dict[str, object]:
    message = {"role": "assistant", "content": content}
    return {"choices": [{"message": message, "finish_reason": "stop", "logprobs": {"content": tokens}}]}


def test_tokens_are_those_of_the_text() -> None:
    """llama.cpp counts a fence around JSON that it removes; other servers the thoughts before the answer."""
    provider = openai_provider("m")
    assert isinstance(provider, OpenAIProvider)
    fence = [token("```"), token("json"), token("\n"), token('{"a'), token('":1}'), token("\n```")]
    tokens = provider.read(chat_reply('{"a":1}', fence), FULL).tokens
    assert tokens is not None
    assert [t.text for t in tokens] == ['{"a', '":1}']
    assert provider.read(chat_reply("something else", fence), FULL).tokens is None
    assert provider.read(chat_reply("a", [{"token": 1, "logprob": "x"}]), FULL).tokens is None
    # half of a character each: the bytes tell, where the texts cannot
    halves = [{**token("\ufffd"), "bytes": [0xC3]}, {**token("\ufffd"), "bytes": [0xA4]}]
    found = provider.read(chat_reply("ä", halves), FULL).tokens
    assert found is not None
    assert len(found) == 2


def test_the_chosen_token_is_among_the_alternatives() -> None:
    """Under a grammar it need not be one of the likeliest."""
    provider = openai_provider("m")
    assert isinstance(provider, OpenAIProvider)
    tokens = provider.read(chat_reply("{", [token("{", ("The", -1.0), ("I", -2.0))]), FULL).tokens
    assert tokens is not None
    assert tokens[0].top == (("The", -1.0), ("I", -2.0), ("{", -0.5))


def test_texts_in_parts_and_tool_calls_are_texts() -> None:
    provider = openai_provider("m")
    assert isinstance(provider, OpenAIProvider)
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    assert provider.read(chat_reply(parts, None), FULL).text == "one two"
    call = {"message": {"content": None, "tool_calls": [{"function": {"name": "v", "arguments": '{"label": "safe"}'}}]}}
    assert provider.read({"choices": [call]}, FULL).text == '{"label": "safe"}'


def test_the_fake_server_speaks_as_the_sdk_reads() -> None:
    """Its replies hold against the SDK's own types, strictly."""
    with FakeLLM() as server:
        import openai

        with openai.OpenAI(base_url=server.v1, api_key="none", max_retries=0) as client:
            chat = client.chat.completions.with_raw_response.create(
                model="m", messages=[{"role": "user", "content": "?"}], logprobs=True, top_logprobs=2
            )
            ChatCompletion.model_validate_json(chat.content, strict=True)
            response = client.responses.with_raw_response.create(
                model="m", input="?", include=["message.output_text.logprobs"], top_logprobs=2
            )
            assert Response.model_validate_json(response.content).output_text.isdigit()


def test_identity_and_name_of_what_decides() -> None:
    provider = openai_provider("gpt-x", base_url="http://127.0.0.1:8080/v1/", key_env="MY_KEY")
    assert provider.identity == {
        "provider": "openai", "api": "chat", "model": "gpt-x", "address": "http://127.0.0.1:8080/v1",
    }  # fmt: skip
    assert json.loads(json.dumps(provider.identity)) == provider.identity
    with pytest.raises(InputError, match="no such API"):
        openai_provider("m", api="messages")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no model"):
        openai_provider(" ")
