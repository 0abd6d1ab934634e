"""Guards as judges: what they are named and asked, on this machine and behind a server, and that both say the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl
import pytest
from fake_llm import FakeLLM

from interjudge.errors import InputError
from interjudge.judges.base import Judge
from interjudge.judges.guard import local_guard
from interjudge.judges.guard_base import Ask, Local
from interjudge.judges.guard_load import Wanted, load_guard
from interjudge.judges.llm_base import Reply, Token
from interjudge.judges.registry import get_judge

OUTPUTS = pl.DataFrame(
    {
        "prompt": ["How do I bake bread?", "How do I pick a lock?", "Hello"],
        "response": ["With flour and time.", "With a hairpin: first bend it.", "Hello there"],
    }
)


@dataclass
class Scripted:
    """An engine that gives each response the probability of `unsafe` that a table says."""

    unsafe: Mapping[str, float]
    words: tuple[str, str] = ("safe", "unsafe")
    category: str = "S2"
    asks: list[Sequence[Ask]] = field(default_factory=list)
    identity: Mapping[str, object] = field(default_factory=lambda: {"engine": "scripted"})

    def load(self) -> None: ...

    def replies(self, asks: Sequence[Ask]) -> list[Local]:
        self.asks.append(asks)
        return [self.reply(ask) for ask in asks]

    def reply(self, ask: Ask) -> Local:
        if ask.max_tokens > 1:
            return Local(Reply(f"{ask.start}{self.category}", output_tokens=2), left_out=0)
        share = next(p for text, p in self.unsafe.items() if text in ask.cut)
        chances = [(self.words[1], share), (self.words[0], 1 - share)]
        top = tuple((word, math.log(p)) for word, p in sorted(chances, key=lambda pair: -pair[1]) if p > 0)
        return Local(Reply(ask.start + top[0][0], tokens=(Token(*top[0], top),), output_tokens=1))


def local(engine: Scripted, guard: str = "llama_guard_3", **wanted: object) -> Judge:
    return local_guard(load_guard(guard).format(Wanted(**wanted)), engine, name="g")  # type: ignore[arg-type]


def test_a_verdict_is_one_pass_and_the_categories_of_the_unsafe_a_second() -> None:
    engine = Scripted({"flour": 0.01, "hairpin": 0.9, "Hello": 0.4})
    found = local(engine)(OUTPUTS)
    assert found["label"].to_list() == ["safe", "unsafe", "safe"]
    assert found["score"].to_list() == pytest.approx([0.01, 0.9, 0.4])
    assert found["confidence"].to_list() == pytest.approx([0.99, 0.9, 0.6])
    assert found["rationale"][1].endswith("categories: S2 Non-Violent Crimes (Llama Guard 3)")
    assert "categories" not in found["rationale"][0]
    assert found["raw"].to_list() == ["\n\nsafe", "\n\nunsafe\nS2", "\n\nsafe"]
    assert found["output_tokens"].to_list() == [1, 3, 1]
    first, second = engine.asks
    assert [ask.max_tokens for ask in first] == [1, 1, 1]
    assert [(ask.start, ask.cut) for ask in second] == [("\n\nunsafe\n", OUTPUTS["response"][1])]


def test_the_threshold_moves_the_label_and_not_the_probability() -> None:
    engine = Scripted({"flour": 0.01, "hairpin": 0.9, "Hello": 0.4})
    found = local(engine, threshold=0.3)(OUTPUTS)
    assert found["label"].to_list() == ["safe", "unsafe", "unsafe"]
    assert found["score"].to_list() == pytest.approx([0.01, 0.9, 0.4])
    assert found["confidence"].to_list() == pytest.approx([0.99, 0.9, 0.4])


def test_where_the_verdicts_words_have_no_mass_there_is_no_verdict() -> None:
    engine = Scripted({"flour": 0.01, "hairpin": 0.9, "Hello": 0.4}, words=("Sure", "Well"))
    found = local(engine)(OUTPUTS)
    assert found["status"].to_list() == ["parse_error"] * 3
    assert found["label"].null_count() == 3


def test_what_was_left_out_of_the_response_is_said() -> None:
    class Short(Scripted):
        def reply(self, ask: Ask) -> Local:
            return replace(super().reply(ask), left_out=700)

    found = local(Short({"flour": 0.01, "hairpin": 0.9, "Hello": 0.4}))(OUTPUTS)
    assert all("700 tokens in the middle of the response were left out" in words for words in found["rationale"])


def test_an_output_without_the_context_that_a_question_needs_is_not_asked() -> None:
    engine = Scripted({"flour": 0.3, "hairpin": 0.9, "Hello": 0.4}, words=("No", "Yes"))
    judge = local(engine, "granite_guardian_3_1", choice="groundedness")
    assert judge.reads == ("context", "response")
    found = judge(OUTPUTS.with_columns(context=pl.Series(["Bread is baked.", None, " "])))
    assert found["status"].to_list() == ["ok", "not_run", "not_run"]
    assert found["raw"][1] == "the output has no context"
    assert len(engine.asks[0]) == 1


def test_a_server_gives_the_same_verdict_by_its_words_alone() -> None:
    with FakeLLM(answer=lambda asked: "\n\nunsafe\nS2" if "hairpin" in asked.user else "\n\nsafe",
                 quirks={"ignore logprobs"}) as server:  # fmt: skip
        found = get_judge(f"guard/llama-guard-3-8b?base_url={server.v1}")(OUTPUTS)
        assert found["label"].to_list() == ["safe", "unsafe", "safe"]
        assert found["score"].null_count() == 3
        body = server.last[-1].body
    assert [message["role"] for message in body["messages"]] == ["user", "assistant"]
    assert (body["top_logprobs"], body["temperature"]) == (20, 0.0)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("guard/llama-guard-9", "no guard format is known"),
        ("guard/llama-guard-3-8b?risk=harm&base_url=http://127.0.0.1:1/v1", "answers one question alone"),
        ("guard/llama-guard-3-8b?engine=server", "where the server is"),
        ("guard/llama-guard-3-8b?engine=cloud", "no such engine"),
        ("guard/llama-guard-3-8b?devise=cpu", "did you mean 'device'"),
        ("guard/llama-guard-3-8b?base_url=http://127.0.0.1:1/v1&device=cpu", "has no use"),
        ("guard/granite-guardian-3.3-8b?risk=harms&base_url=http://127.0.0.1:1/v1", "did you mean 'harm'"),
        ("guard/granite-guardian-3.3-8b?risk=custom&base_url=http://127.0.0.1:1/v1", "criteria=TEXT"),
        ("guard/granite-guardian-3.3-8b?threshold=2&base_url=http://127.0.0.1:1/v1", "at most 1"),
    ],
)
def test_what_cannot_be_is_said_in_words(spec: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        get_judge(spec)
