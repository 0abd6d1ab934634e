"""What tokens cost, and what a run would: known prices, the user's own, and those that nobody knows."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from interjudge.errors import InputError
from interjudge.judges.base import Judge
from interjudge.judges.estimate import estimate
from interjudge.judges.llm_base import Answer, Estimate
from interjudge.judges.prices import Price, Prices, read_prices
from interjudge.judges.runner import score


def test_a_price_is_in_dollars_per_million_tokens() -> None:
    """2,000,000 x .25 + 500,000 x 2.00 dollars a million = 1.50."""
    assert Price(0.25, 2.0).of(2_000_000, 500_000) == pytest.approx(1.5)


@pytest.mark.parametrize("name", ["gpt-5-mini", "gpt-5-mini-2025-08-07", "gpt-5-mini-latest", "gpt-5-mini-20250807"])
def test_a_snapshot_costs_what_its_model_costs(name: str) -> None:
    assert read_prices().of(f"openai/{name}") == read_prices().of("openai/gpt-5-mini") is not None


@pytest.mark.parametrize("name", ["openai/gpt-5-mini-audio", "openai/my-model", "gpt-5-mini", "anthropic/gpt-5-mini"])
def test_a_model_that_is_not_listed_has_no_known_price(name: str) -> None:
    assert read_prices().of(name) is None


def test_moderation_is_free() -> None:
    found = read_prices().of("openai/omni-moderation-latest")
    assert found is not None
    assert found.of(10**9, 10**9) == 0


def test_the_users_prices_win_and_the_others_stay(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        '"openai/gpt-5-mini" = { input = 1, output = 2.5 }\n"openai/my-model" = { input = 0, output = 0 }\n'
    )
    found = read_prices(file)
    assert found.of("openai/gpt-5-mini") == Price(1, 2.5)
    assert found.of("openai/my-model") == Price(0, 0)
    assert found.of("openai/gpt-5") == read_prices().of("openai/gpt-5")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gpt-5 = 3", "is no price"),
        ("[openai]\ngpt-5 = { input = 1, output = 2 }", "is no price"),
        ('"openai/x" = { input = 1 }', "'output' is missing"),
        ('"openai/x" = { input = 1, output = -2 }', "'output' is no price"),
        ('"openai/x" = { input = true, output = 2 }', "'input' is no price"),
        ('"openai/x" = { input = nan, output = 2 }', "'input' is no price"),
        ('"openai/x" = { input = 1, outptu = 2 }', "did you mean 'output'"),
        ("= 3", "is not TOML"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(InputError, match="mine.toml.*" + words):
        read_prices(file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_prices(tmp_path / "none.toml")


# Before a run.


class Counted:
    """Ten tokens in for each sign of the response, and at most a hundred out; counts what it is asked."""

    limits, model = "somewhere", "openai/gpt-5-mini"

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, output: object, repeat: int) -> Answer:  # noqa: ARG002
        self.asked += 1
        return Answer("ok", label="yes", input_tokens=10, output_tokens=20)

    def estimate(self, output: dict[str, str]) -> Estimate:
        return Estimate(10 * len(output["response"]), 100)

    async def close(self) -> None: ...


def judge(remote: Counted, version: int = 1) -> Judge:
    def evaluate(outputs: pl.DataFrame) -> pl.DataFrame:
        raise NotImplementedError

    return Judge("it", "rubric", "harm", ("no", "yes"), evaluate, {"v": version}, ("response",), remote=remote)


def outputs(n: int) -> pl.DataFrame:
    """Responses of five signs, the first one twice."""
    responses = ["r0000", *(f"r{k:04}" for k in range(n))]
    return pl.DataFrame({"item_id": [f"i{k}" for k in range(n + 1)], "response": responses})


def test_a_dry_run_counts_requests_tokens_and_dollars_and_asks_nothing() -> None:
    """100 distinct outputs x 2 repeats x 50 tokens in and 100 out, at .25 and 2.00 a million."""
    remote = Counted()
    (plan,) = estimate(outputs(100), judge(remote), repeats=2)
    assert (plan.total, plan.stored, plan.left, plan.input_tokens, plan.output_tokens) == (200, 0, 200, 10_000, 20_000)
    assert plan.cost_usd == pytest.approx(10_000 * 0.25e-6 + 20_000 * 2e-6)
    (half,) = estimate(outputs(100), judge(remote), repeats=2, batch=True)
    assert half.cost_usd == pytest.approx(plan.cost_usd / 2)
    assert remote.asked == 0


def test_what_is_stored_is_not_counted_and_the_store_is_only_looked_at(tmp_path: Path) -> None:
    remote, store = Counted(), tmp_path / "v.db"
    estimate(outputs(100), judge(remote), store=store)
    assert not store.exists()
    score(outputs(30), judge(remote), store=store)
    before = store.read_bytes()
    (plan,) = estimate(outputs(100), judge(remote), store=store, repeats=2)
    assert (plan.total, plan.stored, plan.left) == (200, 30, 170)
    assert plan.input_tokens == 170 * 50
    (again,) = estimate(outputs(100), judge(remote), store=store, redo=True)
    assert again.left == 100
    (other,) = estimate(outputs(100), judge(remote, version=2), store=store)
    assert other.left == 100
    assert store.read_bytes() == before
    assert remote.asked == 30


def test_an_unknown_price_is_unknown_and_not_nothing() -> None:
    remote = Counted()
    remote.model = "openai/my-model"
    (plan,) = estimate(outputs(10), judge(remote))
    assert (plan.left, plan.cost_usd) == (10, None)
    (plan,) = estimate(outputs(10), judge(remote), prices=Prices({"openai/my-model": Price(0, 0)}))
    assert plan.cost_usd == 0


def test_the_tokens_of_many_outputs_are_those_of_a_sample() -> None:
    (plan,) = estimate(outputs(9_999), judge(Counted()), repeats=2)
    assert (plan.left, plan.sampled, plan.input_tokens) == (2 * 9_999, True, 2 * 9_999 * 50)


def test_a_judge_without_a_network_costs_nothing() -> None:
    (plan,) = estimate(outputs(10).with_columns(prompt=pl.lit("p")), "keyword:default")
    assert (plan.left, plan.model, plan.cost_usd) == (10, None, None)


def test_what_a_verdict_cost_is_stored_with_it(tmp_path: Path) -> None:
    table = score(outputs(3), judge(Counted()), store=tmp_path / "v.db")
    assert table["cost_usd"].to_list() == pytest.approx([10 * 0.25e-6 + 20 * 2e-6] * 4)
