"""Trust records become tables and sentences: what is said, what is not, and how names from data stand in it."""

from __future__ import annotations

from typing import Any

import pytest

from interjudge.agreement.results import Agreement, Estimate
from interjudge.agreement.results_trust import (
    Ability,
    ErrorCorrelation,
    ErrorPair,
    IncoherentPart,
    JudgeTrust,
    LabelBias,
    Ranked,
    Ranking,
    Trust,
)
from interjudge.reports.section_trust import sentences, tables
from interjudge.reports.table import Table


def est(value: float | None, half: float = 0.05, n: int = 100) -> Estimate:
    if value is None:
        return Estimate(n=n, undefined="no positive label")
    return Estimate(value=value, ci_low=value - half, ci_high=value + half, n=n)


def ability(j: float) -> Ability:
    share = (1 + j) / 2
    return Ability(sensitivity=est(share), specificity=est(share), youden_j=est(j), accuracy=est(share))


def incoherent(fall: float, lean: float, basis: Any = "estimate") -> IncoherentPart:
    return IncoherentPart(
        basis=basis,
        n_incoherent=40,
        n_coherent=60,
        performance_incoherent=est(0.8 + fall),
        performance_coherent=est(0.8),
        performance_difference=est(fall),
        bias_incoherent=est(0.01 + lean),
        bias_coherent=est(0.01),
        bias_difference=est(lean),
    )


def judge(name: str, j: float = 0.8, family: int = 1, part: IncoherentPart | None = None, **more: Any) -> JudgeTrust:
    bias = (LabelBias(label="refusal", estimated=est(0.02), reference=None),)
    given = {"judge": name, "family": family, "effective_vote": 1.0, "estimated": ability(j), "bias": bias}
    return JudgeTrust.model_validate(given | {"incoherent": part} | more)


def ranking(*names: str, **more: Any) -> Ranking:
    """Judges a tenth of J apart; the first is the best."""
    judges = tuple(
        Ranked(
            judge=name,
            value=est(0.8 - i / 10),
            p_best=0.9 if i == 0 else 0.1 / max(len(names) - 1, 1),
            difference=None if i == 0 else est(i / 10),
            p_value=None if i == 0 else 0.01,
            p_value_holm=None if i == 0 else 0.02,
        )
        for i, name in enumerate(names)
    )
    given = {
        "measure": "youden_j", "basis": "reference", "items": "common", "n_items": 100, "best": names[0],
        "judges": judges, "tied_with_best": (),
    } | more  # fmt: skip
    return Ranking.model_validate(given)


def found(*judges: JudgeTrust, **more: Any) -> Trust:
    names = tuple(j.judge for j in judges)
    families: dict[int, list[str]] = {}
    for j in judges:
        families.setdefault(j.family, []).append(j.judge)
    matrix = tuple(tuple(1.0 if a == b else 0.4 for b in names) for a in names)
    given = {
        "judges": judges, "families": tuple(tuple(f) for f in families.values()), "effective_judges": 1.9,
        "n_reference": 100, "error_correlation": ErrorCorrelation(estimated=matrix), "model": "one-coin",
        "why": "because", "replicates": 1000, "ranking": ranking(*names) if len(names) > 1 else None,
    } | more  # fmt: skip
    return Trust.model_validate(given)


@pytest.fixture
def agreed(make: Any) -> Agreement:
    a: Agreement = make.agreement(question={"reference": "gold"})
    return a


def titled(made: tuple[Table, ...], start: str) -> Table:
    return next(table for table in made if table.title.startswith(start))


def test_nothing_is_said_without_a_record(agreed: Agreement) -> None:
    assert tables(None, agreed, 10) == ()
    assert sentences(None, agreed) == ()


def test_every_row_has_a_cell_for_every_column(agreed: Agreement) -> None:
    record = found(judge("a", part=incoherent(-0.4, 0.1)), judge("b", family=2, part=incoherent(0, 0)))
    made = tables(record, agreed, 10)
    assert len(made) == 4
    for table in made:
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_estimated_and_reference_stand_side_by_side(agreed: Agreement) -> None:
    record = found(judge("a", reference=ability(0.6)), judge("b", 0.3, reference=ability(0.2)))
    table = titled(tables(record, agreed, 10), "How good")
    heads = [c.head for c in table.columns]
    at = heads.index("J, estimated")
    assert heads[at + 1] == "J, reference"
    assert [row[at].text for row in table.rows] == [".800 [.750, .850]", ".300 [.250, .350]"]
    assert [row[at + 1].brief for row in table.rows] == [".600", ".200"]
    assert any("judges share" in note for note in table.notes)


def test_the_best_has_its_probability_and_a_paired_test(agreed: Agreement) -> None:
    record = found(judge("a"), judge("b"), judge("c"))
    said = sentences(record, agreed)[0]
    assert (
        "“a” is first by Youden's J (.800 (95 % interval .750 to .850)), the best with a probability of 90.0 %" in said
    )
    assert "sets it apart from every other judge (corrected for 2 comparisons)" in said


def test_a_human_may_be_compared_with_its_own_labels(make: Any) -> None:
    record = found(judge("a"), judge("b"))
    for kind, warned in (("human", True), ("rubric", False)):
        agreement = make.agreement((make.judge("a", kind=kind), make.judge("b")))
        assert ("made from that judge's own labels" in sentences(record, agreement)[0]) is warned


def test_ties_are_named_and_a_probability_is_never_certain(agreed: Agreement) -> None:
    sure = ranking("a", "b", "c", tied_with_best=("b",))
    top = sure.judges[0].model_copy(update={"p_best": 1.0})
    sure = sure.model_copy(update={"judges": (top, *sure.judges[1:])})
    record = found(judge("a"), judge("b"), judge("c"), ranking=sure)
    said = sentences(record, agreed)[0]
    assert "a probability of above 99.9 %" in said
    assert "cannot tell it apart from “b”, and sets it apart from the rest" in said
    table = titled(tables(record, agreed, 10), "Which judge is best")
    assert [row[-1].text for row in table.rows] == ["best", "not told apart from the best", ""]


def test_an_estimate_says_what_it_takes_for_granted(agreed: Agreement) -> None:
    record = found(judge("a"), judge("b"), ranking=ranking("a", "b", basis="estimate"))
    said = sentences(record, agreed)[0]
    assert said.startswith("Against the truth estimated from the verdicts alone")
    assert "if families of judges err independently" in said
    assert "shares its errors" in said


def test_automatic_judges_are_read_out_where_humans_take_part(agreed: Agreement) -> None:
    everyone = (judge("h"), judge("a"), judge("b"))
    record = found(*everyone, ranking=ranking("h", "a", "b"), ranking_automatic=ranking("a", "b"))
    assert "of the judges that are not human, “a” is first" in sentences(record, agreed)[0]


def test_judges_that_err_together_count_less(agreed: Agreement) -> None:
    record = found(judge("a"), judge("b"), judge("c", family=2))
    assert sentences(record, agreed)[1] == (
        "“a” and “b” err together: the 3 judges are worth about 1.9 that err independently."
    )
    alone = found(judge("a"), judge("b", family=2))
    assert sentences(alone, agreed)[1].startswith("No two judges were found to form a family")


def test_families_that_the_reference_does_not_bear_out_are_doubted(agreed: Agreement) -> None:
    matrix = ((1.0, 0.8, 0.1), (0.8, 1.0, 0.1), (0.1, 0.1, 1.0))
    three = (judge("a"), judge("b"), judge("c", family=2))

    def said(ab: float, bc: float) -> str:
        pairs = (ErrorPair(a="a", b="b", phi=est(ab)), ErrorPair(a="b", b="c", phi=est(bc)))
        return sentences(found(*three, error_correlation=ErrorCorrelation(estimated=matrix, reference=pairs)), agreed)[
            1
        ]

    assert said(0.02, 0.3).endswith(
        "err independently. Against the reference the errors of “a” and “b” hardly go together, those of “b” and “c” "
        "do (.300)."
    )
    assert said(0.02, 0.03).endswith("the errors of “a” and “b” hardly go together.")
    assert said(0.5, 0.3).endswith("err independently.")


def test_a_judge_that_could_not_be_compared_is_not_said_to_be_set_apart(agreed: Agreement) -> None:
    some = ranking("a", "b", "c", "d", not_compared=("d",))
    untested = some.judges[3].model_copy(update={"p_value_holm": None})
    some = some.model_copy(update={"judges": (*some.judges[:3], untested)})
    said = sentences(found(judge("a"), judge("b"), judge("c"), judge("d"), ranking=some), agreed)[0]
    assert "sets it apart from every other judge that could be tested (corrected for 2 comparisons)" in said


def test_direction_on_incoherent_outputs(agreed: Agreement) -> None:
    record = found(
        judge("a", part=incoherent(-0.4, 0.11, "reference")), judge("b", family=2, part=incoherent(0.01, 0.01)),
        n_incoherent=40, incoherent_measure="youden_j",
    )  # fmt: skip
    said = sentences(record, agreed)[2]
    assert said == (
        "On the 40 incoherent outputs “a” says “refusal” 12.0 points more often than the reference (elsewhere 1.0 "
        "points more often), and its Youden's J falls to .400 from .800 elsewhere."
    )
    table = titled(tables(record, agreed, 10), "Judges on incoherent")
    assert [row[0].text for row in table.rows] == ["a", "b"]
    quiet = found(judge("a", part=incoherent(0, 0)), n_incoherent=40, incoherent_measure="youden_j")
    assert "no judge is clearly better or worse" in sentences(quiet, agreed)[0]


def test_pairs_against_the_reference_stand_beside_the_estimate(agreed: Agreement) -> None:
    errors = ErrorCorrelation(
        estimated=((1.0, 0.5, None), (0.5, 1.0, 0.2), (None, 0.2, 1.0)),
        reference=(ErrorPair(a="alpha", b="beta", phi=est(0.6)),),
    )
    record = found(judge("alpha"), judge("beta"), judge("gamma", family=2), error_correlation=errors)
    table = titled(tables(record, agreed, 10), "Judges that err together")
    assert [row[3].text for row in table.rows] == [".500", ".200"]
    assert [row[4].brief for row in table.rows] == [".600", None]


def test_without_a_positive_label_accuracy_stands_in(make: Any) -> None:
    a = make.agreement(question={"labels": ("x", "y", "z"), "positive": None, "reference": None})
    none = est(None)
    third = Ability(sensitivity=none, specificity=none, youden_j=none, accuracy=est(0.7), balanced_accuracy=est(0.6))
    record = found(judge("a", estimated=third), judge("b", estimated=third))
    heads = [c.head for c in titled(tables(record, a, 10), "How good").columns]
    assert "balanced accuracy, estimated" in heads
    assert not any("too often" in head for head in heads)


def test_names_from_the_data_hold_no_control_characters(make: Any) -> None:
    evil = "a\x1b[31m\u202eb"
    a = make.agreement((make.judge(evil), make.judge("b")), question={"reference": "gold"})
    record = found(judge(evil), judge("b"))
    assert "\x1b" not in " ".join(sentences(record, a))
    assert "\u202e" not in " ".join(sentences(record, a))


def test_a_long_list_is_cut(agreed: Agreement) -> None:
    many = tuple(judge(f"j{i:02}", family=i + 1) for i in range(30))
    for table in tables(found(*many), agreed, 6):
        assert len(table.rows) <= 6
        assert table.gap is not None
