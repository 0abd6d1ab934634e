"""The expected value rests on probabilities that were given, however a tokeniser writes numbers."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.judges.expected_value import Distribution, distribution, has_alternatives
from interjudge.judges.llm_base import Token

CHECK = settings(max_examples=150, deadline=None, derandomize=True)
HUNDRED = (0, 100)


def token(text: str, alternatives: dict[str, float]) -> Token:
    """A token that was written, with the probabilities of what could have stood there, itself included."""
    top = tuple((other, math.log(p) if p else -math.inf) for other, p in alternatives.items())
    return Token(text, dict(top)[text], top)


def read(*tokens: Token, ends: tuple[int, int] = HUNDRED, codes: tuple[str, ...] = (), **more: int) -> Distribution:
    return distribution(tokens, ends, codes, **more)


def rounded(numbers: Distribution) -> dict[int, float]:
    return {number: round(p, 12) for number, p in numbers.numbers.items()}


# ---------------------------------------------------------------- tokenisers with whole numbers


def test_the_mean_over_whole_numbers() -> None:
    """(.6 * 90 + .3 * 80 + .06 * 100) / .96 = 84 / .96 = 87.5; the word counts for nothing."""
    found = read(token("90", {"90": 0.6, "80": 0.3, "100": 0.06, "The": 0.03, "1000": 0.01}))
    assert rounded(found) == {90: 0.6, 80: 0.3, 100: 0.06}
    assert found.mass == pytest.approx(0.96)
    assert found.value == pytest.approx(87.5)


def test_a_small_number_is_whole_beside_larger_ones() -> None:
    """Where "100" is one token, "8" is the number 8 and "1" the number 1: 42.5 + 1.6 + .2 + 10 = 54.3."""
    found = read(token("85", {"85": 0.5, "8": 0.2, "1": 0.2, "100": 0.1}))
    assert rounded(found) == {85: 0.5, 8: 0.2, 1: 0.2, 100: 0.1}
    assert found.value == pytest.approx(54.3)


def test_one_may_go_on_where_no_token_of_three_digits_was_seen() -> None:
    """With tokens of two digits at most, 1 and 10 may be on their way to 100: neither is counted."""
    found = read(token("85", {"85": 0.5, "8": 0.2, "1": 0.2, "10": 0.1}))
    assert rounded(found) == {85: 0.5, 8: 0.2}


def test_a_blank_before_the_number_and_its_own_token() -> None:
    assert rounded(read(token(" 85", {" 85": 0.5, "85": 0.25, "100": 0.25}))) == {85: 0.75, 100: 0.25}
    two = read(token("\n", {"\n": 0.5, "100": 0.5}), token("85", {"85": 0.5, "84": 0.3, "100": 0.2}))
    assert rounded(two) == {85: 0.25, 84: 0.15, 100: 0.6}  # .5 + .5 * .2


def test_numbers_in_the_prose_that_follows_do_not_count() -> None:
    found = read(token("85", {"85": 0.9, "100": 0.1}), token("/", {"/": 1.0}), token("100", {"100": 1.0}))
    assert rounded(found) == {85: 0.9, 100: 0.1}


def test_a_number_off_the_scale_or_with_a_sign_counts_for_nothing() -> None:
    found = read(token("85", {"85": 0.3, "101": 0.3, "-5": 0.2, "007": 0.1, "8.5": 0.1}))
    assert rounded(found) == {85: 0.3}


def test_what_was_not_written_may_be_likelier() -> None:
    """The reply began with a word of .3, while numbers hold .6."""
    found = read(token("The", {"The": 0.3, "90": 0.3, "80": 0.2, "100": 0.1}))
    assert (round(found.mass, 12), found.value) == (0.6, pytest.approx((27 + 16 + 10) / 0.6))


# ---------------------------------------------------------------- tokenisers that write digit by digit


def test_digits_count_along_what_was_written() -> None:
    """ "8" (.7) then "5" (.5), "0" (.3) or the end (.1). "9" (.3) was not followed: nobody knows 9 from 90 or 95."""
    first = token("8", {"8": 0.7, "9": 0.3})
    second = token("5", {"5": 0.5, "0": 0.3, "<|im_end|>": 0.1, "x": 0.1})
    found = read(first, second)
    assert rounded(found) == {85: 0.35, 80: 0.21, 8: 0.07}
    assert found.mass == pytest.approx(0.63)


def test_one_ten_and_a_hundred_are_told_apart() -> None:
    """1 (.9) -> 0 (.8) -> 0 (.75) | end (.25): 100: .54, 10: .18; 1 -> 5 (.1): .09; 1 -> end (.1): .09."""
    found = read(
        token("1", {"1": 0.9, "0": 0.1}),
        token("0", {"0": 0.8, "5": 0.1, "</s>": 0.1}),
        token("0", {"0": 0.75, "</s>": 0.25}),
    )
    assert rounded(found) == {100: 0.54, 10: 0.18, 15: 0.09, 1: 0.09, 0: 0.1}  # "0" alone can only be 0


def test_a_first_digit_that_was_not_followed_is_never_completed() -> None:
    """95 was written with .55; the "1" of .45 is 1, 10 .. 19 or 100, and is left out."""
    found = read(token("9", {"9": 0.55, "1": 0.45}), token("5", {"5": 1.0}))
    assert rounded(found) == {95: 0.55}


def test_a_number_that_was_cut_off_is_none_while_it_may_go_on() -> None:
    eight = token("8", {"8": 0.7, "9": 0.3})
    assert rounded(read(eight)) == {8: 0.7}
    assert rounded(read(eight, cut=True)) == {}
    hundred = [token("1", {"1": 1.0}), token("0", {"0": 1.0}), token("0", {"0": 1.0})]
    assert rounded(read(*hundred, cut=True)) == {100: 1.0}


def test_one_digit_is_whole_on_a_scale_of_one_digit() -> None:
    """(.5 * 5 + .3 * 4 + .2 * 1) / 1 = 3.9"""
    found = read(token("5", {"5": 0.5, "4": 0.3, "1": 0.2}), ends=(1, 5))
    assert (found.mass, found.value) == (pytest.approx(1.0), pytest.approx(3.9))


# ---------------------------------------------------------------- codes


def test_codes_are_known_by_their_beginnings() -> None:
    found = read(
        token("REF", {"REF": 0.5, "NOT": 0.2, "RE": 0.1, "100": 0.1, "Reason": 0.1}), codes=("REFUSAL", "NOT_ANSWER")
    )
    assert {code: round(p, 12) for code, p in found.codes.items()} == {"REFUSAL": 0.6, "NOT_ANSWER": 0.2}


def test_a_beginning_of_two_codes_is_neither() -> None:
    found = read(token("NO", {"NO": 0.9, "NOT_A": 0.1}), codes=("NOT_ANSWER", "NONE"))
    assert {code: round(p, 12) for code, p in found.codes.items()} == {"NOT_ANSWER": 0.1}


# ---------------------------------------------------------------- servers, and laws


def test_thoughts_before_the_answer_are_skipped() -> None:
    thoughts = [token("<think>", {"<think>": 1.0}), token("7", {"7": 1.0}), token("</think>", {"</think>": 1.0})]
    found = read(*thoughts, token("85", {"85": 0.9, "100": 0.1}), skip=len("<think>7</think>"))
    assert rounded(found) == {85: 0.9, 100: 0.1}


def test_log_probabilities_without_alternatives_are_none() -> None:
    assert not has_alternatives(None)
    assert not has_alternatives(())
    assert not has_alternatives((Token("85", -0.1), Token("", -0.1, (("", -0.1),))))
    assert has_alternatives((Token("85", -0.1, (("85", -0.1), ("80", -3.0))),))


def test_nothing_has_no_value() -> None:
    assert (read().mass, read().value) == (0.0, None)
    assert read(token("x", {"x": 0.5, "85": 0.0})).value is None


PIECES = st.sampled_from(
    ["1", "0", "10", "100", "8", "85", "5", " 5", "\n", "", "REF", "NOT", "The", ".", "</s>", "٣", "9 "]
)
TOKENS = st.lists(
    st.builds(
        lambda text, top, p: Token(text, -p, ((text, -p), *top)),
        PIECES,
        st.lists(st.tuples(PIECES, st.floats(-30, 0)), max_size=19).map(tuple),
        st.floats(0, 30),
    ),
    max_size=5,
)


@CHECK
@given(TOKENS, st.booleans(), st.sampled_from([(0, 100), (1, 5), (1, 10), (0, 9), (5, 12)]))
def test_the_value_lies_on_the_scale_and_the_mass_in_one(tokens: list[Token], cut: bool, ends: tuple[int, int]) -> None:
    found = distribution(tokens, ends, ("REFUSAL", "NOT_ANSWER"), cut=cut)
    assert 0 <= found.mass <= 1
    assert set(found.numbers) <= set(range(ends[0], ends[1] + 1))
    if found.value is not None:
        assert ends[0] <= found.value <= ends[1]


@CHECK
@given(st.dictionaries(st.integers(0, 100), st.floats(0.001, 1), min_size=2, max_size=20))
def test_with_whole_numbers_it_is_the_weighted_mean(weights: dict[int, float]) -> None:
    weights[100] = weights.get(100, 0.5)  # a token of three digits is seen
    total = sum(weights.values())
    shares = {str(number): weight / total for number, weight in weights.items()}
    found = read(token(max(shares, key=lambda text: shares[text]), shares))
    assert found.mass == pytest.approx(1.0)
    assert found.value == pytest.approx(sum(number * weight for number, weight in weights.items()) / total)
