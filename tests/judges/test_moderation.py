"""The moderation endpoint as a judge, through the official SDK, against a server that has it."""

from __future__ import annotations

import asyncio
import json

import polars as pl
import pytest
from fake_llm import FakeLLM
from openai.types import ModerationCreateResponse

from interjudge.errors import InputError
from interjudge.judges.llm_base import Answer, ProviderError
from interjudge.judges.moderation import moderation_judge, read_moderation
from interjudge.judges.registry import get_judge

RESPONSES = [f"response {i}" for i in range(30)]


def outputs(responses: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"response": responses}, schema={"response": pl.String})


def test_verdicts_on_a_batch() -> None:
    """The label is the server's decision, the score the highest category's, and all scores are kept."""
    with FakeLLM() as server:
        verdicts = moderation_judge(base_url=server.v1)(outputs(RESPONSES))
        assert server.counts == {"moderations": 30}
    assert verdicts["status"].to_list() == ["ok"] * 30
    assert set(verdicts["label"]) == {"safe", "unsafe"}
    for verdict in verdicts.iter_rows(named=True):
        raw = json.loads(verdict["raw"])
        assert len(raw["category_scores"]) == 13
        assert verdict["score"] == max(raw["category_scores"].values())
        assert verdict["label"] == ("unsafe" if raw["flagged"] else "safe")
        assert verdict["latency_s"] > 0


def test_a_threshold_of_ones_own() -> None:
    with FakeLLM() as server:
        strict = moderation_judge(base_url=server.v1, threshold=0.001)(outputs(RESPONSES))
        lax = moderation_judge(base_url=server.v1, threshold=1.0)(outputs(RESPONSES))
    assert strict["score"].to_list() == lax["score"].to_list()
    assert strict["label"].to_list() == ["unsafe" if score >= 0.001 else "safe" for score in strict["score"]]
    assert set(lax["label"]) == {"safe"}


def test_only_the_response_is_sent() -> None:
    with FakeLLM() as server:
        judge = moderation_judge(base_url=server.v1)
        judge(outputs(["the response"]).with_columns(prompt=pl.lit("the prompt")))
        assert server.last[-1].body == {"model": "omni-moderation-latest", "input": "the response"}
    assert judge.reads == ("response",)


def test_failures_are_statuses() -> None:
    """One request each: what to try again is for the runner, which asks through `remote`."""
    with FakeLLM(plan={1: "policy", 2: "500", 3: "wrong types"}) as server:
        verdicts = moderation_judge(base_url=server.v1)(outputs(["one"] * 4))
        assert server.count == 4
    assert sorted(verdicts["status"].to_list()) == ["error", "error", "filtered", "ok"]


def test_none_and_no_outputs() -> None:
    with FakeLLM() as server:
        judge = moderation_judge(base_url=server.v1)
        assert judge(outputs([None]))["status"].to_list() == ["ok"]
        assert judge(outputs([])).height == 0


def test_a_remote_tells_failures_and_the_snapshot() -> None:
    async def ask(server: FakeLLM, times: int) -> list[Answer]:
        remote = moderation_judge(base_url=server.v1).remote
        assert remote is not None
        try:
            return [await remote.ask({"response": "a response"}, 0) for _ in range(times)]
        finally:
            await remote.close()

    with FakeLLM(plan={2: "429:3"}) as server:
        (answer,) = asyncio.run(ask(server, 1))
        assert (answer.model, answer.cost_usd, answer.requests) == ("omni-moderation-latest-2025-08-07", 0.0, 1)
        with pytest.raises(ProviderError) as caught:
            asyncio.run(ask(server, 1))
    assert (caught.value.failure, caught.value.retry_after) == ("slow down", 3.0)


def test_it_can_be_asked_inside_a_running_loop() -> None:
    """As in a notebook."""

    async def cell(url: str) -> pl.DataFrame:
        return moderation_judge(base_url=url)(outputs(["a response"]))

    with FakeLLM() as server:
        assert asyncio.run(cell(server.v1))["status"].to_list() == ["ok"]


def test_what_a_server_may_send_instead() -> None:
    for body in (
        {},
        {"results": []},
        {"results": [{"flagged": True}]},
        {"results": [{"flagged": "yes", "category_scores": {"hate": 0.5}}]},
        {"results": [{"flagged": True, "category_scores": {"hate": "high"}}]},
        {"results": [{"flagged": True, "category_scores": {"hate": float("inf")}}]},
    ):
        with pytest.raises(ProviderError) as caught:
            read_moderation(body, None, "h")
        assert caught.value.failure == "again"


def test_the_specification() -> None:
    judge = get_judge("moderation/omni-moderation-latest?threshold=0.3&base_url=http://127.0.0.1:9/v1&key_env=A_KEY")
    assert (judge.name, judge.kind, judge.construct, judge.labels, judge.threshold) == (
        "moderation/omni-moderation-latest?threshold=0.3", "classifier", "harm", ("safe", "unsafe"), 0.3,
    )  # fmt: skip
    assert judge.remote is not None
    assert judge.remote.model == "openai/omni-moderation-latest"
    assert "A_KEY" not in str(judge.identity)
    plain = get_judge("moderation/omni-moderation-latest")
    assert plain.name == "moderation/omni-moderation-latest"
    assert plain.hash != judge.hash


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("moderation/m?treshold=0.3", "did you mean 'threshold'"),
        ("moderation/m?threshold=high", "no number"),
        ("moderation/m?threshold=2", "0 to 1"),
        ("moderation/m?threshold=nan", "0 to 1"),
        ("moderation/?threshold=0.5", "no model"),
    ],
)
def test_bad_specifications_are_bad_input(spec: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        get_judge(spec)


def test_the_fake_server_speaks_as_the_sdk_reads() -> None:
    """Its reply holds against the SDK's own type, strictly."""
    import openai

    with FakeLLM() as server, openai.OpenAI(base_url=server.v1, api_key="none", max_retries=0) as client:
        found = client.moderations.with_raw_response.create(model="m", input=["one", "two"])
        assert len(ModerationCreateResponse.model_validate_json(found.content, strict=True).results) == 2
