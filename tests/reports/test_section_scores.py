"""Agreement of scores, levels and concordance as tables and sentences."""

from __future__ import annotations

from typing import Any

import pytest

from interjudge.agreement.results import Estimate
from interjudge.agreement.results_scores import (
    Concordance,
    ConcordanceBand,
    Icc,
    PairHomogeneity,
    RankConcordance,
    ScoreAgreement,
    ScoreFindings,
    ScorePair,
)
from interjudge.reports.section_scores import p_value, sentences, tables
from interjudge.reports.table import Table


def icc(name: str, value: float | None) -> Icc:
    if value is None:
        return Icc(name=name, n=80, undefined="one category")
    return Icc(name=name, value=value, ci_low=value - 0.1, ci_high=value + 0.1, n=80)


def scores(absolute: float | None = 0.62, consistent: float | None = 0.64, **more: Any) -> ScoreAgreement:
    e = Estimate(value=0.5, ci_low=0.4, ci_high=0.6, n=80)
    given = {
        "n_items": 100,
        "n": 80,
        "judges": ("a", "b"),
        "icc": (icc("ICC(A,1)", absolute), icc("ICC(C,1)", consistent)),
        "kendall_w": RankConcordance(value=0.7, n=80, chi_square=110.0, df=79, p=0.0121),
        "pairs": (ScorePair(a="a", b="b", ccc=e, pearson=0.6, bias=e, lower_limit=e, upper_limit=e),),
    } | more
    return ScoreAgreement.model_validate(given)


def level(
    a: str = "a", b: str = "b", difference: float = 0.12, p: float | None = 0.0001, **more: Any
) -> PairHomogeneity:
    given = {
        "a": a,
        "b": b,
        "n": 200,
        "test": "Stuart-Maxwell",
        "statistic": 20.0,
        "df": 2,
        "p": p,
        "p_holm": p,
        "label": "unsafe",
        "difference": Estimate(value=difference, ci_low=difference - 0.05, ci_high=difference + 0.05, n=200),
    } | more
    return PairHomogeneity.model_validate(given)


def concordance(reference: bool = True, wrong: int = 7) -> Concordance:
    def band(low: float, n: int, right: float) -> ConcordanceBand:
        share = Estimate(value=n / 100, ci_low=n / 100 - 0.05, ci_high=n / 100 + 0.05, n=100)
        accuracy = Estimate(value=right, ci_low=right - 0.05, ci_high=right + 0.05, n=n) if reference else None
        return ConcordanceBand(low=low, high=min(low + 0.25, 1.0), n=n, share=share, accuracy=accuracy)

    return Concordance(
        mean=Estimate(value=0.8, ci_low=0.7, ci_high=0.9, n=100),
        bands=(band(0.0, 40, 0.6), band(1.0, 60, 0.9)),
        unanimous_wrong=wrong if reference else None,
        note="concordance is not correctness",
    )


def texts(table: Table, column: str) -> list[str]:
    i = [c.head for c in table.columns].index(column)
    return [row[i].text for row in table.rows]


def test_every_row_has_a_cell_for_every_column(make: Any) -> None:
    found = ScoreFindings(scores=scores(), homogeneity=(level(),), concordance=concordance())
    made = tables(found, make.agreement(), 12)
    assert len(made) == 4
    for table in made:
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_nothing_found_is_nothing_shown(make: Any) -> None:
    assert tables(ScoreFindings(), make.agreement(), 12) == ()
    assert sentences(ScoreFindings(), make.agreement()) == ()


def test_icc_says_what_counts_as_disagreement(make: Any) -> None:
    (close,) = sentences(ScoreFindings(scores=scores()), make.agreement())
    assert close.startswith("ICC(A,1) is .620 (95 % interval .520 to .720) on 80 outputs that all 2 judges scored")
    assert close.endswith("count as disagreement, but matter little here (without them .640).")
    (apart,) = sentences(ScoreFindings(scores=scores(0.4, 0.7)), make.agreement())
    assert "without them it would be .700" in apart
    (none,) = sentences(ScoreFindings(scores=scores(None, None)), make.agreement())
    assert none == "No intraclass correlation can be given: one category."


def test_levels_name_judge_label_points_and_test(make: Any) -> None:
    one = sentences(ScoreFindings(homogeneity=(level(),)), make.agreement())
    assert one == (
        "The judges use the labels in different shares: “a” says “unsafe” 12.0 points more often than “b” "
        "(Stuart-Maxwell, p < .001).",
    )
    several = (level(), level("a", "c", -0.3), level("b", "c", 0.01, p=0.6))
    (said,) = sentences(ScoreFindings(homogeneity=several), make.agreement())
    assert "in 2 of 3 pairs, most of all: “c” says “unsafe” 30.0 points more often than “a”" in said
    assert said.endswith("p < .001 after Holm).")


def test_levels_that_cannot_be_told_apart_are_said_to_be_so(make: Any) -> None:
    one = sentences(ScoreFindings(homogeneity=(level(p=0.3),)), make.agreement())
    assert one == ("The two judges cannot be shown to use the labels in different shares (p = .300).",)
    two = sentences(ScoreFindings(homogeneity=(level(p=0.3), level(p=0.2))), make.agreement())
    assert two == (
        "None of 2 pairs of judges can be shown to use the labels in different shares (p = .200 at the least).",
    )
    untested = level(p=None, p_holm=None, test=None, undefined="the judges never differ")
    assert sentences(ScoreFindings(homogeneity=(untested,)), make.agreement()) == ()
    (table,) = tables(ScoreFindings(homogeneity=(untested,)), make.agreement(), 12)
    assert "— the judges never differ: “a” with “b”" in table.notes


def test_unanimity_stands_beside_its_errors(make: Any) -> None:
    (said,) = sentences(ScoreFindings(concordance=concordance()), make.agreement())
    assert said == (
        "All verdicts are the same on 60.0 % [55.0, 65.0] of the outputs; there the consensus is right in "
        "90.0 % [85.0, 95.0]; where votes are most split (concordance below .250) in 60.0 % [55.0, 65.0]. "
        "On 7 outputs every judge says the same and is wrong."
    )
    (said,) = sentences(ScoreFindings(concordance=concordance(reference=False)), make.agreement())
    assert said.endswith("that they agree does not make them right.")
    (table,) = tables(ScoreFindings(concordance=concordance(reference=False)), make.agreement(), 12)
    assert [c.head for c in table.columns] == ["concordance", "outputs", "share [95 %]"]
    assert "concordance is not correctness" in table.notes[-1]


def test_no_concordance_without_two_votes(make: Any) -> None:
    nothing = Concordance(mean=Estimate(undefined="one judge"), note="")
    assert sentences(ScoreFindings(concordance=nothing), make.agreement()) == ()
    assert tables(ScoreFindings(concordance=nothing), make.agreement(), 12) == ()


def test_tables_are_cut_and_the_clearest_pairs_come_first(make: Any) -> None:
    many = tuple(level(f"j{i}", "z", 0.01 * i, p=0.5 if i < 20 else 0.001) for i in range(30))
    (table,) = tables(ScoreFindings(homogeneity=many), make.agreement(), 5)
    assert texts(table, "judge") == ["j29", "j28", "j27", "j26", "j25"]
    assert table.gap == (5, 25)
    assert texts(table, "difference [95 %]")[0] == "+29.0 [+24.0, +34.0]"
    assert texts(table, "p (Holm)")[0] == ".001"


def test_a_missing_test_is_explained(make: Any) -> None:
    w = RankConcordance(value=0.7, n=80, no_test="items share sampling units")
    table, _ = tables(ScoreFindings(scores=scores(kendall_w=w, silent=("c",))), make.agreement(), 12)
    assert "no test for Kendall's W: items share sampling units" in table.notes
    assert "without a score, left out: 1 judge" in table.notes


def test_names_from_the_data_hold_no_control_characters(make: Any) -> None:
    found = ScoreFindings(homogeneity=(level("a\x1b[31m", "b\nc"),))
    assert "\x1b" not in sentences(found, make.agreement())[0]
    assert "\n" not in sentences(found, make.agreement())[0]


@pytest.mark.parametrize(("p", "text"), [(0.0, "< .001"), (0.00099, "< .001"), (0.034, "= .034"), (1.0, "= 1.000")])
def test_p_values(p: float, text: str) -> None:
    assert p_value(p) == text
