"""The laws of the probability of a guard's verdict."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from interjudge.judges.guard_mass import label_of, masses, starts
from interjudge.judges.llm_base import Token

CHECK = settings(max_examples=200, deadline=None, derandomize=True)
WORDS = {"safe": ["safe"], "unsafe": ["unsafe"]}
SPELLINGS = (
    "safe", " safe", "Safe", "SAFE\n", "unsafe", " Unsafe", "unsafe.", "un", "uns", "s", "yes", "\u2581safe", "",
)  # fmt: skip
LOGPROBS = st.floats(min_value=-30, max_value=0)
TOPS = st.lists(st.tuples(st.sampled_from(SPELLINGS), LOGPROBS), min_size=1, max_size=12, unique_by=lambda p: p[0])


def held(top: list[tuple[str, float]], chosen: int = 0) -> dict[str, float]:
    text, logprob = top[chosen]
    found = masses(text, [Token(text, logprob, tuple(top))], 0, WORDS, pieces=True)
    assert found is not None
    return found


@given(top=TOPS)
@CHECK
def test_masses_are_probabilities_whatever_the_order(top: list[tuple[str, float]]) -> None:
    assume(top[0][0].strip())
    found = held(top)
    assert all(0 <= mass <= 1 for mass in found.values())
    turned = [top[0], *reversed(top[1:])]
    assert held(turned) == pytest.approx(found)


@given(top=TOPS, word=st.text(alphabet="bcdghijkloqtvwxz ", min_size=1, max_size=8), logprob=LOGPROBS)
@CHECK
def test_tokens_that_are_no_verdict_change_nothing(top: list[tuple[str, float]], word: str, logprob: float) -> None:
    assume(top[0][0].strip() and word not in dict(top) and label_of(word, WORDS, pieces=True) is None)
    assert held([*top, (word, logprob)]) == held(top)


@given(top=TOPS)
@CHECK
def test_exchanging_the_labels_exchanges_the_masses(top: list[tuple[str, float]]) -> None:
    assume(top[0][0].strip())
    text, logprob = top[0]
    turned = masses(
        text, [Token(text, logprob, tuple(top))], 0, {"a": WORDS["unsafe"], "b": WORDS["safe"]}, pieces=True
    )
    assert turned == {"a": held(top)["unsafe"], "b": held(top)["safe"]}


def test_impossible_and_unknown_tokens_hold_nothing() -> None:
    found = held([("safe", -0.5), ("unsafe", -math.inf), (" unsafe", math.nan)])
    assert found == {"safe": pytest.approx(math.exp(-0.5)), "unsafe": 0.0}


@pytest.mark.parametrize(
    ("token", "label"),
    [("safe", "safe"), (" Safe", "safe"), ("\u0120unsafe", "unsafe"), ("un", "unsafe"), ("saf", "safe"), ("s", None),
     ("safer", None), ("", None), (" ", None), ("u", None), ('"safe', "safe"), ("nsafe", None)],
)  # fmt: skip
def test_which_verdict_a_token_stands_for(token: str, label: str | None) -> None:
    assert label_of(token, WORDS, pieces=True) == label


def test_without_pieces_a_word_is_whole() -> None:
    assert label_of("un", WORDS, pieces=False) is None
    assert label_of("yes", {"a": ["yes"], "b": ["no"]}, pieces=False) == "a"


def test_a_piece_of_two_verdicts_is_neither() -> None:
    assert label_of("un", {"a": ["unsafe"], "b": ["unclear"]}, pieces=True) is None


@pytest.mark.parametrize(
    ("text", "tokens", "places"),
    [
        ("\n\nunsafe", ["unsafe"], [2]),  # the reply was made to begin with blank lines
        ("unsafe\nS1", ["unsafe", "\n", "S1"], [0, 6, 7]),
        ("unsafe", ["unsafe", "<|eot_id|>"], [0, 6]),
        ("unsafe", [" unsafe", "</s>"], [-1, 6]),
        ("unsafe", ["other"], None),
    ],
)
def test_where_tokens_stand_in_the_text(text: str, tokens: list[str], places: list[int] | None) -> None:
    assert starts(text, [Token(token, -0.1) for token in tokens]) == places
