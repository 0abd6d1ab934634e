"""The humans' section: tables and sentences from hand-made records."""

from __future__ import annotations

from typing import Any

import pytest

from interjudge.agreement.results import Estimate
from interjudge.agreement.results_humans import (
    AltComparison,
    AltJudge,
    AltTest,
    ByConsensus,
    Ceiling,
    Consensus,
    HumanBeside,
    Humans,
    JudgeBeside,
)
from interjudge.reports.section_humans import sentences, tables
from interjudge.reports.table import Table


def est(value: float | None, n: int = 100) -> Estimate:
    if value is None:
        return Estimate(n=n, undefined="one category")
    return Estimate(value=value, ci_low=value - 0.05, ci_high=value + 0.05, n=n)


def beside(name: str, kappa: float | None, standing: str) -> JudgeBeside:
    apart = est(None if kappa is None else kappa - 0.6)
    return JudgeBeside.model_validate(
        {
            "judge": name, "kind": "rubric", "agreement": est(0.8), "cohen_kappa": est(kappa), "difference": apart,
            "standing": standing,
        }
    )  # fmt: skip


def tried(name: str, won: int | None, rho: float = 0.8) -> AltJudge:
    compared = AltComparison(
        human="h1", n=90, rho_judge=0.8, rho_human=0.8, p_value=0.01, p_adjusted=0.02, won=True, test="t"
    )
    if won is None:
        why = "no human has 10 items in common with this judge"
        nothing = Estimate(undefined=why)
        return AltJudge(
            judge=name, kind="rubric", n_items=4, n_won=0, n_compared=0, winning_rate=None, passes=None, rho=nothing,
            undefined=why,
        )  # fmt: skip
    return AltJudge(
        judge=name, kind="rubric", n_items=100, n_won=won, n_compared=4, winning_rate=won / 4, passes=won >= 2,
        rho=est(rho), comparisons=(compared,),
    )  # fmt: skip


def found(*judges: JudgeBeside, alt: tuple[AltJudge, ...] = (), why: str | None = None, **more: Any) -> Humans:
    split = Consensus(
        n_unanimous=60, n_majority=30, n_split=2, n_tied=7, n_alone=1,
        judges=(
            ByConsensus(judge="gpt", kind="rubric", unanimous=est(0.9, 60), majority=est(0.6, 30), split=est(None, 0)),
        ),
    )  # fmt: skip
    given: dict[str, Any] = {
        "humans": ("h1", "h2", "h3", "h4"), "n_items": 100,
        "ceiling": Ceiling(
            measure="cohen_kappa", agreement=est(0.85), cohen_kappa=est(0.6), lowest=0.55, highest=0.66,
            humans=(HumanBeside(judge="h1", agreement=0.8, cohen_kappa=0.6),), judges=judges,
        ),
        "alt_test": AltTest(
            epsilon=0.2, fdr=0.05, scoring="accuracy", min_items=10, n_items=99, n_left_out=1, undefined=why, judges=alt
        ),
        "consensus": split,
    } | more  # fmt: skip
    return Humans.model_validate(given)


def column(table: Table, head: str) -> list[str]:
    i = next(i for i, c in enumerate(table.columns) if c.head.startswith(head))
    return [row[i].text for row in table.rows]


def test_nothing_without_humans(make: Any) -> None:
    assert tables(None, make.agreement(), 12) == ()
    assert sentences(None, make.agreement()) == ()


def test_the_ceiling_stands_first_and_judges_below_it_in_order(make: Any) -> None:
    judges = (beside("low", 0.3, "below"), beside("high", 0.7, "above"), beside("none", None, "unknown"))
    table = tables(found(*judges), make.agreement(), 12)[0]
    assert column(table, "judge") == ["between the humans", "high", "low", "none"]
    assert column(table, "Cohen's kappa") == [
        ".600 [.550, .650]", ".700 [.650, .750]", ".300 [.250, .350]", "—",
    ]  # fmt: skip
    assert column(table, "minus") == ["", "+.100 [.050, .150]", "-.300 [-.350, -.250]", ""]
    assert column(table, "stands") == ["", "above the humans", "below the humans", ""]
    assert any("run from .550 to .660" in note for note in table.notes)
    assert table.notes[0].startswith("— one category: kappa of “none”")


def test_a_gap_lies_among_the_judges_and_never_hides_the_humans(make: Any) -> None:
    judges = tuple(beside(f"j{i}", i / 20, "below") for i in range(10))
    table = tables(found(*judges), make.agreement(), 4)[0]
    assert column(table, "judge") == ["between the humans", "j9", "j8", "j1", "j0"]
    assert table.gap == (3, 6)


def test_winning_rates(make: Any) -> None:
    shown = tables(found(alt=(tried("bad", 1, 0.5), tried("good", 3), tried("few", None))), make.agreement(), 12)
    table = next(t for t in shown if t.title == "Alternative annotator test")
    assert column(table, "judge") == ["good", "bad", "few"]
    assert column(table, "winning rate") == [".750 (3 of 4)", ".250 (1 of 4)", ""]
    assert column(table, "result") == ["passes", "does not pass", ""]
    assert any("1 output with fewer than two humans" in note for note in table.notes)


def test_accuracy_by_consensus_says_how_many_outputs_each_rests_on(make: Any) -> None:
    table = tables(found(beside("gpt", 0.5, "below")), make.agreement(), 12)[-1]
    heads = [c.head for c in table.columns]
    assert heads[1:] == [
        "all humans agree: 60 [95 %]", "more than half agree: 30 [95 %]", "half or fewer agree: 2 [95 %]",
    ]  # fmt: skip
    assert table.notes[-1] == "left out: 7 outputs on which the humans are tied and 1 output with fewer than two humans"


def test_rows_have_a_cell_for_every_column(make: Any) -> None:
    whole = found(beside("gpt", 0.5, "below"), alt=(tried("gpt", 3),))
    for table in tables(whole, make.agreement(), 12):
        assert {len(row) for row in table.rows} == {len(table.columns)}


@pytest.mark.parametrize(
    ("judges", "words"),
    [
        ((beside("gpt", 0.3, "below"),), "“gpt” agrees with them less than any human does."),
        (
            (beside("a", 0.3, "below"), beside("b", 0.2, "below")),
            "both judges agree with them less than any human does.",
        ),
        (
            (beside("a", 0.6, "within"), beside("b", 0.2, "below")),
            "“a” agrees with them about as far as they do with each other; “b” agrees with them "
            "less than any human does.",
        ),
        ((beside("a", 0.9, "above"),), "“a” agrees with them more than any human does."),
        ((), "Two humans agree on 85.0 % of the outputs they share, Cohen's kappa .600 [.550, .650]."),
    ],
)
def test_who_reaches_the_humans(make: Any, judges: tuple[JudgeBeside, ...], words: str) -> None:
    said = sentences(found(*judges), make.agreement())[0]
    assert said.startswith("Two humans agree on 85.0 % of the outputs they share, Cohen's kappa .600 [.550, .650]")
    assert said.endswith(words)


def test_a_judge_that_passes_is_named_with_its_winning_rate(make: Any) -> None:
    said = sentences(found(beside("gpt", 0.6, "within"), alt=(tried("gpt", 3), tried("bad", 0, 0.4))), make.agreement())
    assert said[1] == (
        "“gpt” passes the alternative annotator test (epsilon 0.2): it can replace 3 of 4 humans (winning rate .750)."
    )


def test_passing_and_still_agreeing_less_than_any_human_is_said(make: Any) -> None:
    said = sentences(found(beside("gpt", 0.3, "below"), alt=(tried("gpt", 2),)), make.agreement())
    assert said[1].endswith(
        "The test lets a human be closer to the others on up to 20.0 % more of the outputs: “gpt” passes and still "
        "agrees less with the humans than any of them does."
    )


def test_who_fails_and_why_nothing_was_tested(make: Any) -> None:
    a = make.agreement()
    assert "No judge passes" in sentences(found(alt=(tried("x", 0), tried("y", 1, 0.9))), a)[1]
    assert (
        "“y” comes closest: shown to replace 1 of 4 humans"
        in sentences(found(alt=(tried("x", 0), tried("y", 1, 0.9))), a)[1]
    )
    assert sentences(found(alt=(tried("x", 0),)), a)[1].startswith("“x” does not pass")
    assert "was not tested: two humans." in sentences(found(why="two humans"), a)[1]
    assert "was not tested: no human has 10 items" in sentences(found(alt=(tried("x", None),)), a)[1]


def test_where_the_humans_differ(make: Any) -> None:
    assert sentences(found(), make.agreement())[-1] == (
        "On the 60 outputs on which the humans are of one mind, “gpt” says what they say in 90.0 %; in 60.0 % of "
        "the 30 where only most of them are."
    )


def test_humans_without_a_figure_give_words(make: Any) -> None:
    empty = Ceiling(
        measure="agreement", agreement=Estimate(undefined="no pairable items"), cohen_kappa=None, lowest=None,
        highest=None, humans=(), judges=(beside("gpt", None, "unknown"),),
    )  # fmt: skip
    said = sentences(found(ceiling=empty, why="too few", consensus=None), make.agreement())
    assert said[0] == "How far the humans agree with each other cannot be said: no pairable items."


def test_names_cannot_break_a_sentence(make: Any) -> None:
    evil = "a\x1b[31m\n\u202ebad"
    said = " ".join(sentences(found(beside(evil, 0.3, "below"), alt=(tried(evil, 3),)), make.agreement()))
    assert said.isprintable()
