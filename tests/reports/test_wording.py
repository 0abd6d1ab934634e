"""Figures are written in one way everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from interjudge.reports.wording import (
    coefficient_name,
    count,
    figure,
    listed,
    names,
    number,
    percent,
    points,
    share,
    spanned,
    status_name,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.6544, ".654"),
        (-0.0341, "-.034"),
        (1.0, "1.000"),
        (-1.0, "-1.000"),
        (0.0, ".000"),
        (-0.0001, ".000"),
        (0.99962, ">.999"),
        (-0.9999, "<-.999"),
        (0.9994, ".999"),
        (12.5, "12.500"),
    ],
)
def test_numbers_have_three_decimals_no_leading_zero_and_no_false_one(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.381, "38.1 %"), (0, "0 %"), (1, "100 %"), (0.0004, "<0.1 %"), (0.9997, ">99.9 %"), (0.0005, "0.1 %")],
)
def test_rates_are_per_cent_and_never_all_or_nothing_falsely(value: float, text: str) -> None:
    assert percent(value) == text


def test_counts_shares_and_differences() -> None:
    assert count(1234567) == "1,234,567"
    assert count(1, "verdict") == "1 verdict"
    assert count(2, "more slice lies", "more slices lie") == "2 more slices lie"
    assert share(12, 2400, "output") == "12 of 2,400 outputs (0.5 %)"
    assert share(0, 0, "output") == "0 of 0 outputs"
    assert [points(x) for x in (0.031, -0.0004, -0.05)] == ["+3.1", "0.0", "-5.0"]


def test_estimates(make: Any) -> None:
    assert figure(make.est(0.654, 0.62, 0.689)) == ".654 [.620, .689]"
    assert figure(make.est(0.381, 0.362, 0.401), rate=True) == "38.1 % [36.2, 40.1]"
    assert figure(make.est(0.5)) == ".500"
    assert figure(make.est(None)) == "—"
    assert spanned(make.est(0.381, 0.362, 0.401), 0.9, rate=True) == "38.1 % (90 % interval 36.2 to 40.1 %)"
    assert spanned(make.est(0.5), 0.95) == ".500"


def test_a_status_is_explained_where_its_name_is_no_explanation() -> None:
    assert status_name("parse_error") == "parse_error (reply not understood)"
    assert status_name("not_run") == "not run"


def test_lists() -> None:
    assert [listed(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert names("abcd", 3) == "“a”, “b”, “c” and “d”"  # "and 1 more" would be no shorter
    assert names("abcde", 3) == "“a”, “b”, “c” and 2 more"


def test_coefficients_are_named_with_their_weights_and_levels(make: Any) -> None:
    def named(name: str, level: str = "nominal") -> str:
        return coefficient_name(make.coefficient(name, 0.5).model_copy(update={"level": level}))

    assert named("krippendorff_alpha") == "Krippendorff's alpha"
    assert named("krippendorff_alpha", "ordinal") == "Krippendorff's alpha, ordinal"
    assert named("fleiss_kappa_quadratic", "ordinal") == "Fleiss' kappa, quadratic weights"
    assert named("gwet_ac2", "ordinal") == "Gwet's AC2"
    assert named("cohen_kappa_mean") == "Mean Cohen's kappa of the pairs"
    assert named("somebody_s_own") == "somebody s own"
