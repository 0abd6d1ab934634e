"""Krippendorff's alpha against its author's examples and the krippendorff package."""

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.agreement.alpha_scores import MAX_RATIO, score_alpha_point, score_coefficients
from interjudge.agreement.coefficients import alpha_point, alpha_without, krippendorff_alpha, panel_coefficients
from interjudge.errors import InputError

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section C: 4 observers (rows), 12 units.
OBSERVERS = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
LEVELS = ("nominal", "ordinal", "interval", "ratio")


def codes_of(text: str) -> np.ndarray:
    """Items in rows, judges in columns; label '1' is code 0, '.' is missing."""
    rows = [[-1 if c == "." else int(c) - 1 for c in line.split()] for line in text.split("\n") if line]
    return np.array(rows, dtype=np.int8).T


def theirs(codes: np.ndarray, values: np.ndarray, level: str) -> float:
    """krippendorff.alpha on the matrix of numbers."""
    matrix = np.append(values, np.nan)[codes].T
    return float(krippendorff.alpha(reliability_data=matrix, level_of_measurement=level))


@pytest.mark.parametrize(
    ("level", "alpha"), [("nominal", 0.7434), ("ordinal", 0.8154), ("interval", 0.8491), ("ratio", 0.7974)]
)
def test_krippendorffs_own_example_with_missing_values(level: str, alpha: float) -> None:
    """Figures of the paper's section C (nominal, ordinal, interval, ratio)."""
    found = alpha_point(codes_of(OBSERVERS), 5, level=level, values=[1, 2, 3, 4, 5])
    assert found == pytest.approx(alpha, abs=5e-5)


def test_krippendorffs_two_observer_examples() -> None:
    """Sections A (binary, 10 units: .095) and B (five labels, 12 units: .692) of the paper."""
    binary = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]], dtype=np.int8).T
    assert alpha_point(binary, 2) == pytest.approx(0.0952, abs=5e-5)
    letters = [["abcde".index(c) for c in word] for word in ("aabbdcccedda", "babbbcccedd" + "d")]
    assert alpha_point(np.array(letters, dtype=np.int8).T, 5) == pytest.approx(0.6920, abs=5e-5)


@st.composite
def panels(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Small panels with missing verdicts and at least two labels on pairable items."""
    k, judges, items = draw(st.integers(2, 5)), draw(st.integers(2, 6)), draw(st.integers(1, 30))
    cells = draw(st.lists(st.integers(-1, k - 1), min_size=items * judges, max_size=items * judges))
    codes = np.array(cells, dtype=np.int8).reshape(items, judges)
    pairable = codes[(codes >= 0).sum(axis=1) >= 2]
    if np.unique(pairable[pairable >= 0]).size < 2:
        codes[0, :2] = 0, 1
    return codes, k


@settings(max_examples=60, deadline=None, derandomize=True)
@given(panels(), st.sampled_from(LEVELS))
def test_equals_the_krippendorff_package_at_every_level(panel: tuple[np.ndarray, int], level: str) -> None:
    codes, k = panel
    values = np.array([0.0, 1.0, 2.5, 4.0, 9.0])[:k]
    assert alpha_point(codes, k, level=level, values=values) == pytest.approx(theirs(codes, values, level), abs=1e-10)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(panels(), st.sampled_from(LEVELS[1:]))
def test_labels_as_scores_give_the_same_alpha(panel: tuple[np.ndarray, int], level: str) -> None:
    """The path for continuous scores meets the path for labels: ordinal alpha is interval alpha on mid-ranks."""
    codes, k = panel
    values = np.array([0.0, 1.0, 2.5, 4.0, 9.0])[:k]
    scores = np.append(values, np.nan)[codes]
    ours = alpha_point(codes, k, level=level, values=values)
    assert score_alpha_point(scores, level=level) == pytest.approx(ours, abs=1e-10)


@pytest.mark.parametrize("level", LEVELS[1:])
def test_continuous_scores_equal_the_krippendorff_package(level: str) -> None:
    """60 x 4 scores with ties and missing ones: its table of items by distinct values squared is still small."""
    rng = np.random.default_rng(1)
    scores = np.round(rng.gamma(3, 20, size=(60, 1)) + rng.gamma(2, 9, size=(60, 4)))
    scores[rng.random(scores.shape) < 0.2] = np.nan
    expected = krippendorff.alpha(reliability_data=scores.T, level_of_measurement=level)
    assert score_alpha_point(scores, level=level) == pytest.approx(expected, abs=1e-10)


def test_many_ordered_labels_take_the_score_path_and_agree() -> None:
    """101 labels (0 to 100) are more than coincidences are counted for."""
    rng = np.random.default_rng(2)
    codes = np.clip(rng.integers(0, 101, (80, 1)) + rng.integers(-9, 10, (80, 4)), -1, 100).astype(np.int8)
    expected = theirs(codes, np.arange(101.0), "ordinal")
    assert alpha_point(codes, 101, level="ordinal") == pytest.approx(expected, abs=1e-10)
    record = krippendorff_alpha(codes, 101, level="ordinal", replicates=200)
    assert record.value == pytest.approx(expected, abs=1e-10)
    assert record.ci_low is not None
    assert record.ci_low < expected < record.ci_high
    assert record in panel_coefficients(codes, 101, level="ordinal", replicates=200)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_integer_type_and_memory_order(dtype: type, order: str) -> None:
    codes = np.array(codes_of(OBSERVERS), dtype=dtype, order=order)
    assert alpha_point(codes, 5) == alpha_point(codes_of(OBSERVERS), 5)


def test_more_judges_and_labels_than_a_lookup_table_holds() -> None:
    """40 judges x 20 labels: 41^20 count vectors, no 64-bit number; every path meets the package."""
    rng = np.random.default_rng(3)
    for judges, k in ((40, 20), (12, 9), (300, 3)):
        truth = rng.integers(0, k, (60, 1))
        codes = np.where(rng.random((60, judges)) < 0.5, truth, rng.integers(0, k, (60, judges))).astype(np.int16)
        codes[rng.random(codes.shape) < 0.3] = -1
        assert alpha_point(codes, k) == pytest.approx(theirs(codes, np.arange(float(k)), "nominal"), abs=1e-10)


def test_alpha_without_each_judge_is_alpha_of_the_others() -> None:
    codes = codes_of(OBSERVERS)
    expected = [alpha_point(np.delete(codes, j, axis=1), 5) for j in range(4)]
    assert alpha_without(codes, 5) == expected
    assert alpha_without(codes[:, :2], 5) == [None, None]  # one judge is left


def test_alone_and_among_all_coefficients_alpha_is_the_same_record() -> None:
    codes = codes_of(OBSERVERS)
    for level in LEVELS:
        alone = krippendorff_alpha(codes, 5, level=level, values=[1, 2, 3, 4, 5], replicates=300)
        assert alone in panel_coefficients(codes, 5, level=level, values=[1, 2, 3, 4, 5], replicates=300)


def test_alpha_does_not_depend_on_the_unit_or_the_size_of_scores() -> None:
    """Interval and ordinal alpha of a + b x, also where squares would lose all digits."""
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(50, 1)) + rng.normal(size=(50, 3))
    for level in ("interval", "ordinal"):
        plain = score_alpha_point(scores, level=level)
        assert score_alpha_point(1e6 + 1e-3 * scores, level=level) == pytest.approx(plain, abs=1e-5)
        assert score_alpha_point(1e-8 * scores, level=level) == pytest.approx(plain, abs=1e-10)


def test_ratio_level_says_what_it_cannot_take() -> None:
    rng = np.random.default_rng(5)
    many = rng.random((MAX_RATIO // 2 + 1, 2))
    assert (
        score_coefficients(many, level="ratio")[0].undefined == f"ratio level takes at most {MAX_RATIO} distinct scores"
    )
    assert "zero or more" in (score_coefficients(many[:9] - 0.5, level="ratio")[0].undefined or "")
    assert score_coefficients(many[:9], level="ratio")[0].value is not None


@pytest.mark.parametrize(
    ("codes", "k", "options", "words"),
    [
        (np.zeros((3, 2), np.int8), 2, {"level": "interal"}, r"did you mean 'interval'.*nominal, ordinal"),
        (np.zeros((3, 2), np.int8), 2, {"level": "interval"}, "needs a number for each label"),
        (np.zeros((3, 2), np.int8), 2, {"level": "interval", "values": [1, 1]}, "two labels stand for the same"),
        (np.zeros((3, 2), np.int8), 2, {"level": "ratio", "values": [-1, 1]}, "no negative values"),
        (np.full((3, 2), 2, np.int8), 2, {}, r"codes out of range.*-1 to 1"),
        (np.zeros((3, 2)), 2, {}, "not a table of whole numbers"),
    ],
)
def test_bad_input_is_answered_with_what_was_expected(codes: np.ndarray, k: int, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        alpha_point(codes, k, **options)
    with pytest.raises(InputError, match=words):
        panel_coefficients(codes, k, **options)


def test_scores_have_no_nominal_level_and_no_infinity() -> None:
    with pytest.raises(InputError, match="ordinal, interval or ratio"):
        score_coefficients(np.ones((3, 2)), level="nominal")
    with pytest.raises(InputError, match="infinite"):
        score_coefficients(np.full((3, 2), np.inf))
