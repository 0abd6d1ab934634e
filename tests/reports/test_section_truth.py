"""How many judges the panel is worth, and whether its probabilities held, in sentences and tables."""

from __future__ import annotations

from typing import Any

import pytest

from interjudge.agreement.results import Calibration, CalibrationBin, Family, PanelWorth
from interjudge.reports.section_truth import (
    calibration_sentences,
    calibration_tables,
    rule_in_words,
    worth_sentences,
    worth_tables,
)


def worth(effective: float, *families: tuple[str, ...]) -> PanelWorth:
    names = [name for family in families for name in family]
    return PanelWorth(
        effective_judges=effective,
        effective_votes=dict.fromkeys(names, effective / len(names)),
        families=tuple(Family(judges=f, mean_error_correlation=0.9 if len(f) > 1 else None) for f in families),
        error_correlation=tuple(tuple(1.0 if a == b else 0.3 for b in names) for a in names),
    )


def calibration(**more: Any) -> Calibration:
    bins = (CalibrationBin(low=0.0, high=0.1, n=90, predicted=0.05, observed=0.04),)
    given = {"n": 100, "brier": 0.1, "brier_of_base_rate": 0.2, "auroc": 0.8, "mean_p_wrong": 0.1, "share_wrong": 0.12}
    return Calibration(bins=bins, **(given | more))


def test_families_are_named_where_there_are_any(make: Any) -> None:
    three = tuple(make.judge(name) for name in ("a", "b", "c"))
    apart = make.agreement(three, worth=worth(2.9, ("a",), ("b",), ("c",)))
    assert worth_sentences(apart) == ("By the verdicts alone these 3 judges are worth 2.9 that err independently.",)
    together = make.agreement(three, worth=worth(2.0, ("a", "c"), ("b",)))
    assert worth_sentences(together) == (
        "By the verdicts alone these 3 judges are worth 2.0 that err independently: “a” and “c” err together.",
    )
    assert [t.title for t in worth_tables(together, 12)] == [
        "The panel is worth 2.0 of its 3 judges",
        "Who errs with whom",
    ]
    assert worth_sentences(make.agreement(three)) == ()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "of the time"),
        ({"share_wrong": 0.4}, "the verdicts are worse than they look by themselves"),
        ({"share_wrong": 0.01, "mean_p_wrong": 0.2}, "the verdicts are better than they look by themselves"),
        ({"auroc": 0.52}, "do not rely on the flags"),
        ({"auroc": None, "share_wrong": 0.0}, "All are right"),
        ({"held_out": True}, "Given half of the reference labels"),
    ],
)
def test_the_sentence_says_no_more_than_the_figures(make: Any, more: dict[str, Any], words: str) -> None:
    flags = make.flags(calibration=calibration(**more))
    assert words in calibration_sentences(flags)[0]
    assert [row[0].text for row in calibration_tables(flags)[0].rows] == ["0.0 to 0.1"]


def test_nothing_is_said_without_a_reference(make: Any) -> None:
    assert calibration_sentences(make.flags()) == ()
    assert calibration_tables(None) == ()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"threshold": 0.5}, "at or above 0.5"),
        ({"threshold": None, "budget": 20}, "the 20 verdicts most likely wrong"),
        ({"threshold": None, "fdr": 0.1}, "expected share of right ones to 10.0 %"),
    ],
)
def test_the_rule_is_said_in_words(make: Any, rule: dict[str, Any], words: str) -> None:
    assert words in rule_in_words(make.flags(**rule))
