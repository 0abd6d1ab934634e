"""Records become tables: what stands in them, in which order, how they are cut."""

from __future__ import annotations

from typing import Any

from interjudge.agreement.results import Estimate
from interjudge.reports.sections import sections
from interjudge.reports.table import Table, ends, first
from interjudge.reports.tables import agreement_tables, judges, methods, pairs
from interjudge.reports.tables_findings import comparisons, conventions, dispute, facts


def all_tables(question: Any) -> list[Table]:
    return [table for section in sections(question, 12) for table in section.tables]


def texts(table: Table, column: str) -> list[str]:
    i = [c.head for c in table.columns].index(column)
    return [row[i].text for row in table.rows]


def test_every_row_has_a_cell_for_every_column(make: Any) -> None:
    q = make.question(make.agreement(slices=(make.part("model", "x", 0.2, 0.1, 0.3),)))
    for table in all_tables(q):
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_raw_agreement_stands_beside_the_chance_corrected_coefficients(make: Any) -> None:
    table = agreement_tables(make.agreement(), 12)[0]
    assert texts(table, "coefficient") == ["Raw agreement", "Krippendorff's alpha"]
    assert texts(table, "value [95 %]") == ["85.0 % [80.0, 90.0]", ".700 [.680, .720]"]


def test_an_undefined_value_is_a_dash_with_its_reason_in_words(make: Any) -> None:
    a = make.agreement(coefficients=(make.coefficient("krippendorff_alpha", None),))
    table = agreement_tables(a, 12)[0]
    assert texts(table, "value [95 %]") == ["—"]
    assert table.notes[0] == "— one category: Krippendorff's alpha"


def test_reasons_are_gathered_with_a_count(make: Any) -> None:
    a = make.agreement(pairs=tuple(make.pair("a", b, None) for b in "bcd"))
    # kappa, AC1, Matthews, pi and PABAK of three pairs: 15 values
    assert "— one category: “a” with “b”, and 14 more" in pairs(a, 12).notes


def test_judges_stand_by_mean_kappa_without_a_reference(make: Any) -> None:
    order = tuple(make.judge(name, kappa_mean=k) for name, k in (("low", 0.1), ("none", None), ("high", 0.9)))
    assert texts(judges(make.agreement(order), 12), "judge") == ["high", "low", "none"]


def test_judges_stand_by_youden_with_a_reference(make: Any) -> None:
    order = (make.referenced("low", 0.2), make.referenced("high", 0.9))
    tables = agreement_tables(make.agreement(order, question={"reference": "gold"}), 12)
    table = next(t for t in tables if t.title.startswith("Judges against"))
    assert texts(table, "judge") == ["high", "low"]
    assert texts(table, "Youden's J") == [".900 [.880, .920]", ".200 [.180, .220]"]


def test_a_crowd_is_cut_in_the_middle_and_the_few_who_said_little_go_first(make: Any) -> None:
    crowd = tuple(make.judge(f"w{i:03}", kappa_mean=i / 200, n_ok=100 if i < 40 else 5) for i in range(176))
    table = judges(make.agreement(crowd), 6)
    assert texts(table, "judge") == ["w039", "w038", "w037", "w002", "w001", "w000"]
    assert table.gap == (3, 170)
    assert "136 judges with fewer than 30 verdicts not shown" in table.notes


def test_missing_verdicts_are_counted_by_status_with_the_bounds_they_leave(make: Any) -> None:
    a = make.agreement((make.judge("a"), make.judge("b", missing={"parse_error": 3}, bounds=(0.3, 0.33))))
    table = next(t for t in agreement_tables(a, 12) if t.title == "Judges")
    assert texts(table, "missing") == ["0", "3 parse_error"]
    assert texts(table, "bounds") == ["", "30.0 to 33.0 %"]


def test_columns_with_nothing_to_say_are_left_out(make: Any) -> None:
    heads = [c.head for c in next(t for t in agreement_tables(make.agreement(), 12) if t.title == "Judges").columns]
    assert heads == ["judge", "ok", "says “refusal” [95 %]", "mean kappa", "alpha without it"]


def test_labels_stand_beside_each_other_where_there_is_no_positive_one(make: Any) -> None:
    three = {"x": make.est(0.2), "y": make.est(0.3), "z": make.est(0.5)}
    a = make.agreement(
        (make.judge("a", rate=None).model_copy(update={"rate": three}),),
        question={"labels": ("x", "y", "z"), "positive": None},
    )
    table = next(t for t in agreement_tables(a, 12) if t.title == "What each judge says")
    assert [texts(table, label)[0] for label in "xyz"] == ["20.0 %", "30.0 %", "50.0 %"]


def test_pairs_without_a_value_are_counted_where_the_table_is_cut(make: Any) -> None:
    a = make.agreement(pairs=(*(make.pair("a", f"b{i}", i / 10) for i in range(6)), make.pair("a", "c", None)))
    table = pairs(a, 4)
    assert texts(table, "and judge") == ["b5", "b4", "b1", "b0"]
    assert table.gap == (2, 3)
    assert "1 pair without a defined kappa not shown" in table.notes


def test_slices_stand_least_reliable_first_under_the_whole(make: Any) -> None:
    parts = [make.part("model", name, alpha, -1, 1) for name, alpha in (("x", 0.9), ("y", None), ("z", 0.1))]
    tables = agreement_tables(make.agreement(slices=tuple(parts)), 12)
    table = next(t for t in tables if t.title == "Agreement by slice")
    assert texts(table, "model") == ["all outputs", "z", "x", "y"]
    assert texts(table, "says “refusal”") == ["30.0 to 50.0 %", *["30.0 to 40.0 %"] * 3]


def test_slices_of_two_columns_carry_their_column(make: Any) -> None:
    parts = (make.part("model", "x", 0.5, 0.4, 0.6), make.part("category", "y", 0.1, 0, 0.2))
    table = next(t for t in agreement_tables(make.agreement(slices=parts), 12) if t.title == "Agreement by slice")
    assert texts(table, "slice") == ["all outputs", "model = x", "category = y"]


def test_models_have_their_range_over_the_judges_and_each_judge(make: Any) -> None:
    title = "Rate of “refusal” by model, under each judge"
    table = next(t for t in all_tables(make.question()) if t.title == title)
    assert texts(table, "model") == ["base", "other", "tuned"]
    assert texts(table, "base") == ["", "", "base"]
    assert texts(table, "beta") == ["40.0 % [30.0, 50.0]"] * 3


def test_comparisons_stand_with_fine_tunes_and_flips_first(make: Any) -> None:
    table = comparisons(
        make.conclusions(
            make.comparison("a", "b", "clear", 0.1, 0.2),
            make.comparison("c", "d", "flips", -0.1, 0.1),
            make.comparison("t", "a", "clear", 0.1, 0.2, "fine-tune"),
        ),
        12,
    )
    assert texts(table, "model") == ["t", "c", "a"]
    assert texts(table, "against") == ["a (base)", "d", "b"]
    assert texts(table, "lowest") == ["+10.0 [+8.0, +12.0]", "-10.0 [-12.0, -8.0]", "+10.0 [+8.0, +12.0]"]
    assert texts(table, "conclusion") == ["holds", "flips", "holds"]


def test_a_comparison_nobody_could_make_is_shown_empty(make: Any) -> None:
    none = Estimate(undefined="no verdicts on one of the models")
    c = make.comparison("a", "b", "undecided", 0, 0).model_copy(update={"difference": {"alpha": none}})
    assert texts(comparisons(make.conclusions(c), 12), "lowest") == [""]


def test_flags_are_counted_by_reason_and_by_judge(make: Any) -> None:
    by_reason, by_judge = (t for t in all_tables(make.question()) if t.title.startswith("Flagged"))
    assert texts(by_reason, "reason") == ["alone against 2", "split panel"]
    assert texts(by_judge, "share") == ["20.0 %", "6.0 %", "4.0 %"]


def test_a_disputed_output_shows_short_excerpts_and_who_said_what(make: Any) -> None:
    said = dict(dispute(make.disputed(response="x\n" * 1000), 50))
    assert said["output"] == "“item-1”, by “base”: consensus “refusal”, wrong with probability .480"
    assert len(said["response"]) == 50
    assert said["verdicts"] == "“refusal” by “alpha” and “beta”; “compliance” by “gamma”"
    assert "prompt" not in dict(dispute(make.disputed(prompt=None), 50))


def test_the_question_its_maps_and_conventions_are_stated(make: Any) -> None:
    said = facts(make.agreement(question={"maps": ("harm::unsafe=refusal",), "thresholds": {"a": 0.5}}))
    assert ("Label maps", "harm::unsafe=refusal") in said
    assert ("Thresholds", "“a” from 0.5") in said


def test_conventions_of_later_questions_are_only_what_differs(make: Any) -> None:
    one, other = make.agreement(conventions=("x", "y")), make.agreement(question={"name": "b"}, conventions=("y", "z"))
    method = ("Method", "Raw agreement, Krippendorff's alpha: bootstrap over items")
    assert conventions([one, other]) == (("Convention", "x"), ("Convention", "y"), method, ("Convention (b)", "z"))
    assert conventions([]) == ()


def test_cuts() -> None:
    assert ends([1, 2, 3], 3) == ([1, 2, 3], None)
    assert ends([1, 2, 3, 4, 5], 3) == ([1, 2, 5], (2, 2))
    assert first([1, 2, 3, 4, 5], 3) == ([1, 2, 3], (3, 2))
    assert first([], 3) == ([], None)


def test_one_judge_has_no_coefficients_and_no_conclusions_across_judges(make: Any) -> None:
    solo = make.agreement((make.judge("solo", kappa_mean=None, alpha_without=None),))
    assert [t.title for t in agreement_tables(solo, 12)] == ["Judges"]
    found = make.conclusions()
    alone = found.model_copy(update={"rates": tuple(r for r in found.rates if r.judge == "alpha")})
    titles = [t.title for t in all_tables(make.question(solo, conclusions=alone, flags=None))]
    assert titles == ["Judges", "Rate of “refusal” by model, under each judge"]


def test_judges_of_scores_have_no_columns_of_kappas(make: Any) -> None:
    judges_ = tuple(make.judge(name, None, kappa_mean=None, alpha_without=None) for name in "abc")
    a = make.agreement(judges_, pairs=(), question={"labels": (), "positive": None, "level": "interval"})
    assert [c.head for c in agreement_tables(a, 12)[1].columns] == ["judge", "ok"]


def test_weights_share_one_note_on_the_method(make: Any) -> None:
    def weighted(name: str, method: str) -> Any:
        return make.coefficient(name, 0.5).model_copy(update={"method": method, "level": "ordinal"})

    names = ("linear", "quadratic")
    found = tuple(weighted(f"fleiss_kappa_{name}", f"{name} weights; how") for name in names)
    assert methods(make.agreement(coefficients=found)) == ("Fleiss' kappa: how",)
