"""A rate from labels drawn with known probabilities: closed forms, laws, and how often its interval holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from interjudge.agreement.results import Estimate
from interjudge.agreement.sampled_rate import LEAST_LABELS, sampled_rate


def figures(found: Estimate) -> tuple[float, float, float]:
    assert found.value is not None
    assert found.ci_low is not None
    assert found.ci_high is not None
    return found.value, found.ci_low, found.ci_high


samples = st.integers(LEAST_LABELS, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([0, 1]), min_size=n, max_size=n),
        st.lists(st.floats(0, 1), min_size=n, max_size=n),
        st.lists(st.floats(0.01, 1), min_size=n, max_size=n),
    )
)


def test_equal_probabilities_and_no_belief_are_the_plain_share():
    """9 of 20 labels: .45; with f = .5 everywhere mean(f) + mean(y - f) = .5 + (.45 - .5)."""
    y = [1] * 9 + [0] * 11
    found = sampled_rate(y, [0.5] * 20, [0.1] * 20, 0.5)
    assert found.value == pytest.approx(0.45)
    # spread: sum (y - mean)^2 = 20 * .45 * .55 = 4.95, and the two labels more give .5^2 + .5^2; t with 19 degrees
    reach = stats.t.ppf(0.975, 19) * np.sqrt((4.95 + 0.5) / 20**2 * 20 / 19)
    assert found.ci_low == pytest.approx(0.45 - reach)
    assert found.ci_high == pytest.approx(0.45 + reach)


def test_the_weighted_mean_of_what_was_wrong_is_added_to_what_was_believed():
    """Hajek: weights 2 and 1 (probabilities .25 and .5), y - f = .6 and -.3: (2 x .6 - .3) / 3 = .3, on .4."""
    assert sampled_rate([1, 0], [0.4, 0.3], [0.25, 0.5], 0.4).value == pytest.approx(0.7)


def test_few_labels_have_a_value_and_no_interval():
    found = sampled_rate([1, 0, 1], [0.5] * 3, [0.5] * 3, 0.5)
    assert found.value is not None
    assert found.ci_low is None
    assert sampled_rate([], [], [], 0.5).value is None


@given(samples, st.floats(0, 1))
def test_bounds_and_order(sample: tuple[list[int], list[float], list[float]], everywhere: float):
    """Within 0..1; the order of labels and the scale of the probabilities are nothing to it."""
    y, f, pi = (np.array(a, dtype=float) for a in sample)
    value, low, high = figures(sampled_rate(y, f, pi, everywhere))
    assert 0 <= low <= value <= high <= 1
    other = figures(sampled_rate(y[::-1], f[::-1], pi[::-1] / 2, everywhere))
    assert other == pytest.approx((value, low, high))


@given(samples, st.floats(0, 1))
def test_the_other_label_has_the_rest(sample: tuple[list[int], list[float], list[float]], everywhere: float):
    """Labels exchanged: the rate is 1 - theta, and the interval its mirror image."""
    y, f, pi = (np.array(a, dtype=float) for a in sample)
    value, low, high = figures(sampled_rate(y, f, pi, everywhere))
    other = figures(sampled_rate(1 - y, 1 - f, pi, 1 - everywhere))
    assert other == pytest.approx((1 - value, 1 - high, 1 - low))


def test_what_is_no_sample_is_refused():
    for y, f, pi in [([1], [0.5, 0.5], [1, 1]), ([2], [0.5], [1]), ([1], [0.5], [0]), ([1], [0.5], [1.5])]:
        with pytest.raises(ValueError, match=r"differ in length|neither 0 nor 1"):
            sampled_rate(y, f, pi, 0.5)


def test_it_is_right_on_average_and_its_interval_holds():
    """2,000 draws of 40 from 800 outputs whose believed probabilities are off by 15 points, drawn by their doubt.

    The mean estimate is within three standard errors of the truth; the interval covers at least 93 % of the time.
    The mean of what was believed, which the estimate begins with, is 14 points off.
    """
    rng = np.random.default_rng(1)
    believed = np.clip(rng.beta(0.5, 1.0, 800), 0.02, 0.98)
    y = (rng.random(800) < np.clip(believed + 0.15, 0, 1)).astype(float)
    doubt = np.sqrt(believed * (1 - believed)) + 0.1
    pi = 40 * doubt / doubt.sum()
    assert pi.max() <= 1
    values, held = [], 0
    for _ in range(2000):
        order = rng.permutation(800)
        start = rng.random() + np.arange(40)
        chosen = order[np.searchsorted(np.cumsum(pi[order]), start, side="right").clip(max=799)]
        found = sampled_rate(y[chosen], believed[chosen], pi[chosen], float(believed.mean()))
        value, low, high = figures(found)
        values.append(value)
        held += low <= y.mean() <= high
    assert abs(believed.mean() - y.mean()) > 0.1
    assert abs(np.mean(values) - y.mean()) < 3 * np.std(values) / np.sqrt(2000) + 0.002
    assert held / 2000 >= 0.93
