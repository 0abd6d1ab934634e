"""Tables and sentences of a plan from hand-made records."""

from __future__ import annotations

from typing import Any

import pytest

from interjudge.agreement.results import Estimate
from interjudge.agreement.results_plan import (
    Component,
    DecisionPoint,
    DStudy,
    GStudy,
    HelpedRate,
    JudgeLabels,
    LabelPlan,
    Needed,
    NextJudge,
    NextLabels,
    PlanResult,
    RateLabels,
    TellApart,
)
from interjudge.reports.section_plan import next_table, sentences, tables
from interjudge.reports.terminal import print_table


def est(value: float, half: float = 0.05) -> Estimate:
    return Estimate(value=value, ci_low=value - half, ci_high=value + half, n=100)


def component(facet: str, share: float) -> Component:
    return Component.model_validate(
        {"facet": facet, "value": share / 4, "ci_low": share / 5, "ci_high": share / 3, "n": 100, "share": est(share)}
    )


def g_study(**shares: float) -> GStudy:
    shares = shares or {"item": 0.3, "judge": 0.08, "residual": 0.62}
    return GStudy(
        scale="1 for 'refusal', 0 for any other label",
        n_items=100,
        n_judges=3,
        n_models=1,
        n_verdicts=300,
        n_judges_each=3.0,
        repeats=1.0,
        confidence=0.95,
        components=tuple(component(facet.replace("_", " "), share) for facet, share in shares.items()),
        generalizability=est(0.62),
        dependability=est(0.6),
        generalizability_of_one=est(0.35),
        dependability_of_one=est(0.33),
        notes=("estimated below 0 and set to 0: judge",),
    )


def need(value: int | None, **more: Any) -> Needed:
    given = {
        "of": "item", "what": "judges", "coefficient": "generalizability", "target": 0.8, "now": 3.0, "value": value,
        "low": 4, "high": 9, "undefined": None if value else "any number of judges reaches 0.700 at most",
    } | more  # fmt: skip
    return Needed.model_validate(given)


def d_study(value: int | None = 5, **more: Any) -> DStudy:
    points = tuple(
        DecisionPoint(of="item", n_judges=n, n_items=None, n_repeats=1, generalizability=g, dependability=g - 0.02)
        for n, g in ((1, 0.35), (3, 0.62), (5, 0.81))
    )
    given = {
        "target": 0.8, "points": points, "needed": (need(value),),
        "next_judge": NextJudge(n_judges=3, now=0.62, fresh=0.69, copy_of_one=0.59),
    } | more  # fmt: skip
    return DStudy.model_validate(given)


def labels(**more: Any) -> LabelPlan:
    rate = RateLabels(
        label="refusal",
        rate=0.4,
        n=366,
        n_at_half=381,
        helped=(
            HelpedRate(judge="alpha", correlation=est(0.8), n=140, n_low=120, n_high=170),
            HelpedRate(judge="beta", correlation=Estimate(undefined="a verdict that never varies"), n=None),
        ),
    )
    judge = JudgeLabels(
        judge="alpha", sensitivity=0.9, specificity=None, prevalence=0.4, positives=138, negatives=None,
        n_sensitivity=345, n_specificity=None,
    )  # fmt: skip
    best = TellApart(
        a="alpha", b="beta", accuracy_a=0.9, accuracy_b=0.85, differ=0.15, n_shared=1000, power=0.8, n=470,
        n_where_they_differ=71,
    )  # fmt: skip
    given = {
        "width": 0.1, "confidence": 0.95, "source": "reference labels", "n_items": 1000, "n_labelled": 50,
        "rate": rate, "judges": (judge,), "two_best": best,
        "next": NextLabels(n=20, n_random=5, n_patterns=9, n_unlabelled=950),
    } | more  # fmt: skip
    return LabelPlan.model_validate(given)


def result(**more: Any) -> PlanResult:
    given = {
        "variance": g_study(), "decision": d_study(), "undefined": None, "labels": labels(), "labels_undefined": None,
    } | more  # fmt: skip
    return PlanResult.model_validate(given)


def test_the_answer_in_sentences() -> None:
    said = sentences(result(), None)
    assert said == (
        "Most of the variance of a verdict (62.0 %) comes from judges that see single outputs differently, and chance: "
        "to tell single outputs apart more judges are needed.",
        "The mean verdict of 3 judges on an output has a reliability of .620 (95 % interval .570 to .670); with 2 more "
        "judges like these it would reach .8: 5 in all (4 to 9); one more such judge makes it .690, a copy of one of "
        "them .590.",
        "To know the rate of “refusal” within ±5 points, 366 reference labels drawn at random are needed; with the "
        "help of “alpha” 140 (120 to 170).",
        "To tell apart the two judges that are right most often (“alpha” 90.0 %, “beta” 85.0 %), 470 labels drawn at "
        "random are needed, or 71 on outputs where they differ.",
    )


def test_clones_are_warned_of() -> None:
    said = " ".join(sentences(result(decision=d_study(effective_judges=1.4)), None))
    assert "These 3 judges are worth 1.4 that err independently" in said
    assert "worth" not in " ".join(sentences(result(decision=d_study(effective_judges=2.9)), None))


def test_out_of_reach_and_already_reached() -> None:
    assert (
        ".8 is out of reach: any number of judges reaches 0.700 at most"
        in sentences(result(decision=d_study(None)), None)[1]
    )
    assert ".8 is reached with 2" in sentences(result(decision=d_study(2)), None)[1]


@pytest.mark.parametrize(
    ("facet", "words"),
    [
        ("item", "the judges see much the same"),
        ("judge", "use the labels alike"),
        ("model", "models differ"),
        ("judge_x_model", "which model looks better depends on the judge"),
        ("item_x_judge", "more judges are needed"),
        ("residual", "asking the same judges again"),
    ],
)
def test_every_facet_has_its_advice(facet: str, words: str) -> None:
    shares = dict.fromkeys(("model", "item", "judge", "judge_x_model", "item_x_judge", "residual"), 0.1) | {facet: 0.5}
    first = sentences(result(variance=g_study(**shares)), None)[0]
    assert words in first
    assert first.startswith("The largest part")


def test_without_an_answer_the_sentences_say_why() -> None:
    nothing = result(variance=None, decision=None, undefined="one judge", labels=None, labels_undefined="one label")
    assert sentences(nothing, None) == (
        "How many judges or outputs are enough cannot be said from this panel: one judge.",
        "How many reference labels are needed cannot be said: one label.",
    )
    assert tables(nothing, None, 10) == ()


def test_estimated_truth_is_said_to_flatter() -> None:
    assert "flatters" in sentences(result(labels=labels(source="estimated truth")), None)[2]


def test_more_labels_than_outputs() -> None:
    assert "more than the 100 outputs there are" in sentences(result(labels=labels(n_items=100)), None)[2]


def test_labels_that_are_there_already_are_counted() -> None:
    said = sentences(result(labels=labels(n_labelled=900)), None)
    assert "are needed; 900 are there; with the help" in said[2]
    assert said[3].endswith("where they differ; 900 are there.")


def test_judges_nobody_can_tell_apart() -> None:
    best = labels().two_best
    assert best is not None
    twins = best.model_copy(update={"n": None, "n_where_they_differ": None, "undefined": "they gave the same verdicts"})
    assert "they gave the same verdicts" in sentences(result(labels=labels(two_best=twins)), None)[3]


def test_tables_hold_every_figure() -> None:
    made = {table.title: table for table in tables(result(), None, 10)}
    assert list(made) == [
        "Where the variance of a verdict comes from",
        "Reliability of the mean verdict on an output",
        "What is enough",
        "Reference labels for the rate of “refusal” within ±5 points",
        "Reference labels for each judge within ±5 points",
    ]
    parts = made["Where the variance of a verdict comes from"]
    assert [row[0].text for row in parts.rows] == ["outputs", "judges", "judges x outputs"]
    assert "estimated below 0 and set to 0: judge" in parts.notes
    reached = [row[2].tone for row in made["Reliability of the mean verdict on an output"].rows if len(row) > 2]
    assert reached == ["", "", ""]  # the column of askings is empty and gone: the third is dependability
    enough = made["What is enough"].rows[0]
    assert [cell.text for cell in enough[:4]] == ["outputs, comparing", "judges", "3", "5 (4 to 9)"]
    rate = made["Reference labels for the rate of “refusal” within ±5 points"]
    assert [row[0].text for row in rate.rows] == ["nobody", "alpha", "beta"]
    assert rate.rows[2][2].text == "—"
    assert any("never varies" in note for note in rate.notes)
    judges = made["Reference labels for each judge within ±5 points"].rows[0]
    assert [cell.text for cell in judges] == ["alpha", "90.0 %", "345 (138)", "—", "—"]


def test_models_stand_against_judges() -> None:
    points = tuple(
        DecisionPoint(
            of="model", n_judges=j, n_items=i, n_repeats=1, generalizability=0.5 + i / 1000 + j / 100, dependability=0.4
        )
        for j in (3, 6)
        for i in (10, 100)
    )
    items = need(None, of="model", what="items", high=None, undefined="any number of items reaches 0.700 at most")
    d = d_study(points=points, needed=(need(5), items))
    made = {table.title: table for table in tables(result(decision=d), None, 10)}
    grid = made["Reliability of the comparison of models"]
    assert [column.head for column in grid.columns] == ["outputs of each model", "3 judges", "6 judges"]
    assert [[cell.text for cell in row] for row in grid.rows] == [["10", ".540", ".570"], ["100", ".630", ".660"]]
    assert made["What is enough"].rows[1][4].text == "any number of items reaches 0.700 at most"


def test_outputs_to_label_next() -> None:
    rows = [
        {"item_id": f"i{n}", "why": "drawn at random", "p_consensus_wrong": None if n else 0.25,
         "inclusion_probability": 0.1}
        for n in range(5)
    ]  # fmt: skip
    table = next_table(rows, 3)
    assert [row[2].text for row in table.rows] == [".250", "—", "—"]
    assert table.gap == (3, 2)


def test_hostile_names_do_not_reach_the_terminal(shown: Any) -> None:
    evil = "a\x1b[31m\u202ex"
    rate = labels().rate
    helped = (HelpedRate(judge=evil, correlation=est(0.8), n=10),)
    bad = result(labels=labels(rate=rate.model_copy(update={"label": evil, "helped": helped})))
    assert "\x1b" not in "".join(sentences(bad, None))
    for table in tables(bad, None, 10):
        assert "\x1b" not in shown(print_table, table)
        assert "\u202e" not in shown(print_table, table)
