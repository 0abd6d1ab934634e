"""Statistics of hand-made surprises, with closed forms; no model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interjudge.judges.coherence_settings import Signal, model_settings
from interjudge.judges.coherence_surprisal import FLOOR, GRAM, WINDOW, copied, measures
from interjudge.judges.token_bits import Reading


def reading(bits: list[float], *, tokens: list[int] | None = None, entropy: float = 2.0, alone: float = 0.0) -> Reading:
    """Tokens that are all different unless given; `alone`: so many bits more without a prompt."""
    given = np.array(bits, np.float64)
    ids = np.array(tokens if tokens is not None else range(len(bits)), np.int64)
    return Reading(ids, given, given + alone, np.full(len(bits), entropy))


def signal(**figures: float) -> Signal:
    return Signal.model_validate({"says": "odd", "low": 0.0, "threshold": 1.0, **figures})


def test_plain_means_without_shrinkage() -> None:
    """Bits 1, 3, 5, 11 with 2 expected: mean 5, excess 3, |excess| (1 + 1 + 3 + 9) / 4, one of four above 10 bits."""
    found = measures(reading([1.0, 3.0, 5.0, 11.0], alone=0.5))
    assert found["bits"] == pytest.approx(5.0)
    assert found["surprise"] == pytest.approx(3.0)
    assert found["spread"] == pytest.approx(3.5)
    assert found["blue"] == pytest.approx(0.25)
    assert found["unrelated"] == pytest.approx(-0.5)
    assert found["mean_bits"] == pytest.approx(5.0)
    assert found["alone_bits"] == pytest.approx(5.5)
    assert found["sd_bits"] == pytest.approx(np.sqrt((16 + 4 + 0 + 36) / 4))


def test_shrinkage_keeps_short_texts_near_usual() -> None:
    """(sum - usual * n) / (n + weight): two tokens of 8 bits, (16 - 6) / 20 = 0.5; 200 of them, 1000 / 218."""
    how = {"bits": signal(usual=3.0, weight=18.0)}
    assert measures(reading([8.0] * 2), how)["bits"] == pytest.approx(0.5)
    assert measures(reading([8.0] * 200), how)["bits"] == pytest.approx(1000 / 218)


def test_what_is_copied_from_the_text_itself_is_marked() -> None:
    """1 2 3 4 5 6 | 1 2 3 4 | 9: the second run of four; not what comes after it."""
    marks = copied(np.array([1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 9]))
    assert marks.tolist() == [False] * 6 + [True] * 4 + [False]
    assert not copied(np.array([1, 2, 3, 1, 2, 3])).any()  # three in a row are no copy
    assert not copied(np.array([], np.int64)).any()


@given(st.integers(GRAM, 12), st.integers(2, 8))
def test_a_loop_is_new_once(period: int, turns: int) -> None:
    marks = copied(np.tile(np.arange(period), turns))
    assert (~marks).sum() == period


def test_a_loop_of_nonsense_stays_surprising() -> None:
    """Ten tokens of 12 bits once, then nine more turns at 0.1 bits: the mean is low, what is new is not."""
    tokens = list(range(10)) * 10
    found = measures(reading([12.0] * 10 + [0.1] * 90, tokens=tokens))
    assert found["mean_bits"] == pytest.approx((120 + 9) / 100)
    assert found["bits"] == pytest.approx(12.0)
    assert found["foreseen"] == pytest.approx(90 / 10)  # foreseen copies for each token that is not


def test_a_copy_that_surprises_is_not_foreseen() -> None:
    assert measures(reading([5.0] * 20, tokens=list(range(10)) * 2))["foreseen"] == 0


def test_a_flat_stretch_is_found_wherever_it_is() -> None:
    """A stretch of `WINDOW` tokens at 0.05 bits in calm text at 2 bits."""
    bits = [2.0] * 50 + [0.05] * WINDOW + [2.0] * 50
    assert measures(reading(bits))["flat"] == pytest.approx(-np.log2(0.05))
    assert measures(reading([0.0] * WINDOW))["flat"] == pytest.approx(-np.log2(FLOOR))
    assert measures(reading([2.0] * (WINDOW - 1)))["flat"] is None


def test_no_tokens_no_values() -> None:
    assert set(measures(reading([])).values()) == {None}


def test_a_signal_needs_its_least_tokens() -> None:
    how = {"bits": signal(least=10)}
    assert measures(reading([5.0] * 9), how)["bits"] is None
    assert measures(reading([5.0] * 10), how)["bits"] == 5


@given(st.lists(st.floats(0, 20), min_size=1, max_size=120))
def test_every_value_is_finite(bits: list[float]) -> None:
    assert all(value is None or np.isfinite(value) for value in measures(reading(bits)).values())


@given(st.floats(0.0, 30.0), st.integers(1, 300))
def test_longer_text_of_the_same_surprise_is_stronger_evidence(bits: float, n: int) -> None:
    """With the judge's own figures: above what is usual, a longer text never has the smaller value."""
    how = model_settings().lm.signals
    usual = how["surprise"].usual
    short, long = (measures(reading([bits] * m, entropy=0.0), how)["surprise"] for m in (n, 2 * n))
    if bits > usual and short is not None and long is not None:
        assert long >= short
