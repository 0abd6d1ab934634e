"""Laws of the coherence judge, on any text that Unicode allows."""

from __future__ import annotations

import time

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.judges.coherence import FAMILY, signals

PROMPT = "Why is the sky blue?"
WORDS = ["the", "a", "of", "sky", "blue", "light", "and", "Rayleigh", "42", "x:", ".", ",", "\n", "(", "=", "天", "é"]
anything = st.text(max_size=80)
wordy = st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join)
some_text = st.one_of(anything, wordy)
law = settings(max_examples=80, deadline=None, derandomize=True)


def judged(responses: list[str], prompts: list[str] | str = PROMPT) -> pl.DataFrame:
    table = pl.DataFrame({"response": pl.Series(responses, dtype=pl.String)})
    prompt = pl.lit(prompts) if isinstance(prompts, str) else pl.Series(prompts, dtype=pl.String)
    return FAMILY.make("heuristic")(table.with_columns(prompt.alias("prompt")))


@law
@given(st.lists(st.tuples(some_text, some_text), min_size=1, max_size=6))
def test_any_text_gets_an_ok_verdict_with_a_score_between_0_and_1(pairs: list[tuple[str, str]]) -> None:
    found = judged([response for response, _ in pairs], [prompt for _, prompt in pairs])
    assert (found["status"] == "ok").all()
    assert found["score"].is_between(0, 1).all()
    assert ((found["score"] < 0.5) == (found["label"] == "incoherent")).all()
    assert (found["rationale"].is_null() == (found["label"] == "coherent")).all()


@law
@given(st.lists(some_text, min_size=1, max_size=8))
def test_a_verdict_does_not_depend_on_the_batch(responses: list[str]) -> None:
    whole = judged(responses)
    single = pl.concat([judged([response]) for response in responses])
    assert whole.equals(single)
    assert judged(responses[::-1]).equals(whole.reverse())


@law
@given(some_text, st.sampled_from([" ", "\n", ""]), st.integers(30, 60))
def test_looping_a_text_many_times_never_raises_its_score(text: str, gap: str, times: int) -> None:
    once, looped = judged([text, gap.join([text] * times)])["score"]
    assert looped <= once


@law
@given(some_text)
def test_white_space_around_a_text_changes_nothing(text: str) -> None:
    plain, padded = judged([text, f"\n {text} \n"])["score"]
    assert plain == padded


def test_chunks_of_a_large_batch_give_what_single_texts_give() -> None:
    lines = [
        f"Answer {i}: the sky is blue because air scatters blue light more than red light. " * 8 for i in range(1_500)
    ]
    whole = judged(lines)  # about 850,000 characters: several chunks
    assert whole[[0, 700, 1_499]].equals(pl.concat([judged([lines[i]]) for i in (0, 700, 1_499)]))


@pytest.mark.parametrize(
    "text",
    ["a" * 1_000_000, "no more " * 125_000, "!" * 1_000_000, "\n" * 1_000_000, "天地" * 500_000, "x = (\n" * 160_000],
    ids=["one letter", "loop", "signs", "lines", "Han", "code"],
)
def test_a_million_characters_in_one_response_are_judged_in_seconds(text: str) -> None:
    start = time.perf_counter()
    assert judged([text])["label"].item() == "incoherent"
    # .1 to .6 s when measured (docs/coherence.md); wide, as other work may share the cores
    assert time.perf_counter() - start < 10


def test_a_long_loop_of_sixty_words_is_seen_once_it_has_come_round() -> None:
    turn = (
        "Blue light is scattered much more than red light because its waves are shorter and meet more "
        "molecules on their way through the air so that it reaches our eyes from every part of the sky while "
        "the sun itself looks slightly yellow and at dusk when its path is long only red is left of what once "
        "was white light from "
    )
    words = turn.split()
    table = pl.DataFrame({"prompt": PROMPT, "response": [" ".join((words * 4)[:n]) for n in (60, 125, 180)]})
    found = signals(table)
    assert found["tail"].to_list() == [0, 125 - len(words), 180 - len(words)]
    assert FAMILY.make("heuristic")(table)["label"].to_list() == ["coherent", "incoherent", "incoherent"]
