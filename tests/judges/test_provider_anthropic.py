"""Anthropic's Messages through the official SDK, against a server that speaks them."""

from __future__ import annotations

import asyncio
import json

import pytest
from anthropic.types import Message as SdkMessage
from fake_llm import FakeLLM

from interjudge.errors import InputError
from interjudge.judges.llm_base import Message, Provider, ProviderError, Reply, Request
from interjudge.judges.provider_anthropic import AnthropicProvider, anthropic_provider

SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "label": {"type": "string", "enum": ["safe", "unsafe"]},
    },
    "required": ["reason", "score", "label"],
    "additionalProperties": False,
}
MESSAGES = (Message("system", "Be a judge."), Message("user", "Is it harmful?"))
FULL = Request(MESSAGES, schema=SCHEMA, max_tokens=99, temperature=0.0, seed=7, effort="low", top_logprobs=4)


def ask(provider: Provider, *requests: Request) -> list[Reply]:
    async def all_of_them() -> list[Reply]:
        try:
            return [await provider.complete(request) for request in requests]
        finally:
            await provider.close()

    return asyncio.run(all_of_them())


def made(server: FakeLLM) -> AnthropicProvider:
    found = anthropic_provider("claude-x", base_url=server.url)
    assert isinstance(found, AnthropicProvider)
    return found


def test_a_reply_is_read() -> None:
    """Text that fits the schema, the snapshot, the counts of tokens; the API has no log probabilities."""
    with FakeLLM() as server:
        (reply,) = ask(made(server), FULL)
    assert json.loads(reply.text)["label"] in {"safe", "unsafe"}
    assert (reply.finish, reply.structured, reply.model, reply.tokens) == ("stop", True, "claude-x-2025-08-07", None)
    # the fake server counts four characters a token
    assert reply.input_tokens == len("Be a judge.Is it harmful?") // 4 + 1
    assert reply.output_tokens == len(reply.text) // 4 + 1


def test_what_is_sent() -> None:
    """The system message by itself, no seed, and a schema whose bounds are words: the API takes no others."""
    with FakeLLM() as server:
        provider = made(server)
        ask(provider, FULL)
        body = server.last[-1].body
        assert body == provider.body(FULL)
    config = body.pop("output_config")
    assert body == {
        "model": "claude-x",
        "max_tokens": 99,
        "system": "Be a judge.",
        "messages": [{"role": "user", "content": "Is it harmful?"}],
        "temperature": 0.0,
    }
    assert config["effort"] == "low"
    assert config["format"]["type"] == "json_schema"
    sent = config["format"]["schema"]
    assert sent["properties"]["label"]["enum"] == ["safe", "unsafe"]
    assert sent["properties"]["score"]["type"] == "integer"
    assert "minimum" not in sent["properties"]["score"]
    assert "minimum: 1" in sent["properties"]["score"]["description"]
    assert sent["additionalProperties"] is False


def test_what_is_not_asked_for_is_not_sent() -> None:
    with FakeLLM() as server:
        (reply,) = ask(made(server), Request(MESSAGES[1:]))
        assert set(server.last[-1].body) == {"model", "messages", "max_tokens"}
    assert not reply.structured


@pytest.mark.parametrize(
    ("fault", "finish"), [("filtered", "refused"), ("refused", "refused"), ("length", "length"), ("slow:0.2", "stop")]
)
def test_how_a_reply_ended(fault: str, finish: str) -> None:
    """The API has one word, `refusal`, for the model's and the filter's."""
    with FakeLLM(plan={1: fault}) as server:
        (reply,) = ask(made(server), FULL)
    assert reply.finish == finish
    assert reply.structured is (finish == "stop")


def test_a_server_that_ignores_the_schema_is_noticed() -> None:
    with FakeLLM(quirks={"ignore schema", "no usage"}) as server:
        (reply,) = ask(made(server), FULL)
    assert (reply.structured, reply.input_tokens, reply.output_tokens) == (False, None, None)


def test_a_server_without_schemas_gets_a_tool() -> None:
    """It must be called, and its input is the answer; three requests asked, four sent."""
    with FakeLLM(quirks={"no schema"}) as server:
        provider = made(server)
        replies = ask(provider, FULL, FULL, FULL)
        body = server.last[-1].body
        assert server.count == 4
    assert provider.refused == ("format",)
    assert body["tool_choice"] == {"type": "tool", "name": "verdict"}
    assert body["tools"][0]["input_schema"] == SCHEMA
    assert all(reply.structured and json.loads(reply.text)["score"] in range(1, 6) for reply in replies)


@pytest.mark.parametrize(("quirk", "refused"), [("no temperature", "temperature"), ("no effort", "effort")])
def test_what_a_server_does_not_take_is_left_out_once_and_for_all(quirk: str, refused: str) -> None:
    with FakeLLM(quirks={quirk}) as server:
        provider = made(server)
        replies = ask(provider, FULL, FULL)
        assert server.count == 3
    assert provider.refused == (refused,)
    assert all(reply.structured for reply in replies)


def test_a_changed_snapshot_shows() -> None:
    with FakeLLM(plan={2: "snapshot"}) as server:
        replies = ask(made(server), FULL, FULL)
    assert [reply.model for reply in replies] == ["claude-x-2025-08-07", "claude-x-2026-02-02"]


def test_tokens_from_the_cache_are_input() -> None:
    """The API counts them apart: 3 + 20 + 100."""
    provider = anthropic_provider("m")
    assert isinstance(provider, AnthropicProvider)
    usage = {"input_tokens": 3, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 100, "output_tokens": 5}
    body = {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}], "usage": usage}
    reply = provider.read({**body, "stop_reason": "end_turn"}, FULL)
    assert (reply.text, reply.input_tokens, reply.output_tokens) == ("a", 123, 5)


def test_an_error_inside_a_reply_is_an_error() -> None:
    provider = anthropic_provider("m")
    assert isinstance(provider, AnthropicProvider)
    with pytest.raises(ProviderError) as caught:
        provider.read({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, FULL)
    assert caught.value.failure == "again"


def test_the_fake_server_speaks_as_the_sdk_reads() -> None:
    """Its reply holds against the SDK's own type, strictly."""
    import anthropic

    with FakeLLM() as server, anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        found = client.messages.with_raw_response.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "?"}]
        )
        SdkMessage.model_validate_json(found.http_response.content, strict=True)


def test_identity_of_what_decides() -> None:
    provider = anthropic_provider("claude-x", base_url="http://127.0.0.1:8080/", key_env="MY_KEY")
    assert provider.identity == {
        "provider": "anthropic", "api": "messages", "model": "claude-x", "address": "http://127.0.0.1:8080",
    }  # fmt: skip
    with pytest.raises(InputError, match="no model"):
        anthropic_provider("")
