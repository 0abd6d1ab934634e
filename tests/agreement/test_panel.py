"""Verdict tables become panels: who takes part, on which labels, and what happens to every verdict."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.agreement.panel import build_panel
from interjudge.agreement.question import parse_map
from interjudge.agreement.rows import CELL_STATUSES
from interjudge.datasets.schema import NO_CONSTRUCT, STATUS
from interjudge.errors import InputError


def table(*rows: tuple, construct: str = "refusal") -> pl.DataFrame:
    """(item, judge, label[, status[, score[, construct]]]) rows as a verdict table."""
    full = [(*row, *(None,) * (6 - len(row))) for row in rows]
    return pl.DataFrame(
        {
            "item_id": [r[0] for r in full],
            "judge": [r[1] for r in full],
            "repeat": [0] * len(full),
            "judge_kind": ["imported"] * len(full),
            "construct": [r[5] or construct for r in full],
            "status": pl.Series([r[3] or "ok" for r in full], dtype=STATUS),
            "label": pl.Series([r[2] for r in full], dtype=pl.String),
            "score": pl.Series([r[4] for r in full], dtype=pl.Float64),
        }
    )


SMALL = table(("b", "x", "refusal"), ("a", "x", "compliance"), ("a", "y", "refusal"), ("b", "y", None, "parse_error"))


def test_items_are_sorted_judges_keep_their_order_and_missing_is_minus_one():
    panel = build_panel(SMALL)
    assert panel.items["item_id"].to_list() == ["a", "b"]
    assert panel.names == ("x", "y")
    assert panel.question.labels == ("compliance", "refusal")
    assert panel.codes.tolist() == [[0, 1], [1, -1]]
    assert [CELL_STATUSES[s] for s in panel.statuses[:, 1]] == ["ok", "parse_error"]


def test_a_judge_that_was_not_asked_is_told_from_one_that_failed():
    panel = build_panel(SMALL.filter(~((pl.col("item_id") == "b") & (pl.col("judge") == "y"))))
    assert CELL_STATUSES[panel.statuses[1, 1]] == "not_asked"


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.permutations(range(12)))
def test_row_order_changes_nothing_but_the_order_of_judges(order: list[int]):
    rows = table(*((f"i{n % 4}", f"j{n // 4}", ["compliance", "refusal"][n % 3 % 2]) for n in range(12)))
    one, two = build_panel(rows), build_panel(rows[order])
    back = [two.names.index(name) for name in one.names]
    assert (one.codes == two.codes[:, back]).all()


def test_known_positive_labels_are_found_and_others_fall_to_the_last():
    assert build_panel(SMALL).question.positive == "refusal"
    odd = table(("a", "x", "safe"), ("a", "y", "unsafe"))
    assert build_panel(odd).question.positive == "unsafe"
    assert build_panel(table(("a", "x", "p"), ("a", "y", "q"))).question.positive == "q"
    assert build_panel(table(("a", "x", "p"), ("a", "y", "q"), ("b", "y", "r"))).question.positive is None


def test_numeric_labels_are_in_the_order_of_their_numbers():
    panel = build_panel(table(("a", "x", "10"), ("a", "y", "9"), ("b", "y", "1.5")))
    assert panel.question.labels == ("1.5", "9", "10")
    assert panel.question.values == (1.5, 9.0, 10.0)


def test_maps_rename_the_most_specific_rule_wins_and_an_empty_target_leaves_out():
    rows = table(
        ("a", "x", "full"), ("a", "y", "partial"), ("b", "x", "partial"), ("b", "y", "none"), ("c", "x", "odd")
    )
    rules = [
        parse_map(text) for text in ("full=refusal", "partial=refusal", "y::partial=compliance", "none=compliance")
    ]
    panel = build_panel(rows, maps=[*rules, parse_map("*=")])
    assert panel.codes.tolist() == [[1, 0], [1, 0], [-1, -1]]
    assert CELL_STATUSES[panel.statuses[2, 0]] == "unmapped"


def test_a_label_outside_the_named_set_is_out_of_range():
    panel = build_panel(table(("a", "x", "1"), ("a", "y", "I cannot say")), labels=["1", "2"])
    assert CELL_STATUSES[panel.statuses[0, 1]] == "out_of_range"
    assert panel.codes[0, 1] == -1


def test_judges_of_another_construct_come_in_only_through_a_rule_that_names_them():
    rows = table(
        ("a", "guard", "safe", None, None, "harm"),
        ("b", "guard", "unsafe", None, None, "harm"),
        ("a", "rubric", "safe", None, None, "harm"),
        ("a", "words", "refusal"),
        ("b", "words", "compliance"),
    )
    alone = build_panel(rows)
    assert alone.names == ("guard", "rubric")
    assert alone.left_out[0].judge == "words"
    assert "measures refusal, not harm" in alone.left_out[0].why
    rules = [parse_map("words::refusal=safe"), parse_map("words::compliance=unsafe")]
    assert build_panel(rows, maps=rules).codes.tolist() == [[0, 0, 0], [1, -1, 1]]
    scoped = [parse_map("refusal::refusal=safe"), parse_map("refusal::compliance=unsafe")]
    assert build_panel(rows, maps=scoped).names == ("guard", "rubric", "words")


def test_a_judge_that_states_no_construct_is_compared_when_it_shares_labels_and_the_note_says_so():
    rows = pl.concat(
        [SMALL, table(("a", "h", "refusal"), construct=NO_CONSTRUCT), table(("a", "z", "blue"), construct=NO_CONSTRUCT)]
    )
    panel = build_panel(rows)
    assert panel.names == ("x", "y", "h")
    assert any("do not state what they measure: h" in note for note in panel.notes)
    assert panel.left_out[0].judge == "z"


def test_scores_become_labels_at_a_threshold():
    rows = table(
        ("a", "x", "refusal"), ("b", "x", "compliance"), ("a", "s", None, None, 0.7), ("b", "s", None, None, 0.2)
    )
    panel = build_panel(rows, thresholds={"s": 0.5})
    assert panel.codes.tolist() == [[1, 1], [0, 0]]
    without = build_panel(rows)
    assert CELL_STATUSES[without.statuses[0, 1]] == "unmapped"


def test_scores_alone_make_an_interval_question():
    panel = build_panel(table(("a", "x", None, None, 1.0), ("a", "y", None, None, 2.0), ("b", "y", None, None, 3.0)))
    assert panel.question.level == "interval"
    assert panel.scores is not None
    np.testing.assert_array_equal(panel.scores, [[1.0, 2.0], [np.nan, 3.0]])


def test_the_reference_may_be_a_judge_or_a_table_and_is_mapped_like_the_rest():
    by_name = build_panel(SMALL, reference="y")
    assert by_name.names == ("x",)
    assert by_name.gold is not None
    assert by_name.gold.tolist() == [1, -1]
    gold = pl.DataFrame({"item_id": ["a", "b", "zz"], "gold": ["no", "refusal", "refusal"]})
    by_file = build_panel(SMALL, reference=gold, maps=[parse_map("no=compliance")])
    assert by_file.gold is not None
    assert by_file.gold.tolist() == [0, 1]


def test_the_first_repeat_of_a_judge_votes():
    rows = pl.concat([SMALL, SMALL.with_columns(repeat=pl.lit(1, pl.Int64), label=pl.lit("compliance"))])
    rows = rows.filter((pl.col("status") == "ok") | (pl.col("repeat") == 0))
    assert build_panel(rows).codes.tolist() == build_panel(SMALL).codes.tolist()


def test_clusters_number_the_values_of_a_column_and_items_without_one_stand_alone():
    outputs = pl.DataFrame({"item_id": ["a", "b", "c"], "prompt": ["p", "p", None]})
    rows = table(("a", "x", "1"), ("b", "x", "1"), ("c", "x", "2"))
    panel = build_panel(rows, outputs=outputs, cluster="prompt")
    assert panel.clusters is not None
    one, two, three = panel.clusters.tolist()
    assert one == two != three


def test_the_item_itself_may_be_the_unit():
    panel = build_panel(SMALL, cluster="item_id", columns=["item_id"])
    assert panel.clusters is not None
    assert len(set(panel.clusters.tolist())) == panel.n_items


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"construct": "refusl"}, "did you mean 'refusal'"),
        ({"labels": ["yes"]}, "no verdict has one of these"),
        ({"positive": "refusel"}, "did you mean 'refusal'"),
        ({"level": "nominl"}, "did you mean 'nominal'"),
        ({"reference": "yy"}, "neither a file nor a judge"),
        ({"reference": pl.DataFrame({"item_id": ["q"], "gold": ["refusal"]})}, "no item of the panel"),
        ({"cluster": "prompt"}, "there is no item column 'prompt'"),
        ({"maps": [parse_map("nobody::a=b")]}, "no such judge, construct or kind"),
        ({"thresholds": {"nobody": 1.0}}, "names no judge here"),
        ({"maps": [parse_map("odd=refusal")]}, "no verdict says 'odd'"),
        ({"maps": [parse_map("refusal=a"), parse_map("refusal=b")]}, "contradict each other"),
        ({"outputs": pl.DataFrame({"item_id": ["q"]})}, "hold no item of the verdicts"),
        ({"reference": pl.DataFrame({"item_id": ["a", "a"], "gold": ["refusal", "refusal"]})}, "twice"),
        ({"reference": pl.DataFrame({"item_id": ["a"], "gold": ["blue"]})}, "a label in common"),
    ],
)
def test_options_that_fit_nothing_are_answered_with_what_there_is(options: dict, words: str):
    with pytest.raises(InputError, match=words):
        build_panel(SMALL, **options)


@pytest.mark.parametrize("text", ["", "=", "a", "=b", "x::=b"])
def test_a_map_that_is_no_map_says_the_form(text: str):
    with pytest.raises(InputError, match="LABEL=NEW"):
        parse_map(text)


def test_a_label_may_hold_an_equals_sign():
    rule = parse_map("judge::a=b=c")
    assert (rule.scope, rule.label, rule.target) == ("judge", "a=b", "c")


def test_no_verdicts_and_two_constructs_in_one_judge_are_errors():
    with pytest.raises(InputError, match="no verdicts"):
        build_panel(SMALL.clear())
    with pytest.raises(InputError, match="2 constructs"):
        build_panel(pl.concat([SMALL, table(("z", "x", "refusal"), construct="harm")]))


def test_words_at_the_ordinal_level_need_their_order():
    rows = table(("a", "x", "low"), ("a", "y", "high"), ("b", "y", "medium"))
    with pytest.raises(InputError, match="order of the labels"):
        build_panel(rows, level="ordinal")
    assert build_panel(rows, level="ordinal", labels=["low", "medium", "high"]).codes.tolist() == [[0, 2], [-1, 1]]


def test_a_threshold_fills_in_where_there_is_no_label_and_every_row_is_counted_once():
    rows = table(
        ("a", "s", "compliance", None, 0.9), ("b", "s", None, None, 0.9), ("c", "s", "odd", None, 0.9),
        ("a", "x", "compliance"), ("b", "x", "refusal"),
    )  # fmt: skip
    panel = build_panel(rows, thresholds={"s": 0.5}, labels=["compliance", "refusal"])
    assert panel.codes[:, 0].tolist() == [0, 1, -1]
    assert [CELL_STATUSES[s] for s in panel.statuses[:, 0]] == ["ok", "ok", "out_of_range"]


def test_very_many_numbers_with_scores_are_scores_and_many_texts_an_error():
    rows = table(*((f"i{n}", j, str(n / 7), None, n / 7) for n in range(300) for j in "xy"))
    panel = build_panel(rows)
    assert (panel.question.level, panel.question.labels) == ("interval", ())
    with pytest.raises(InputError, match="300 different texts"):
        build_panel(rows.with_columns(score=None, label="t" + pl.col("label")))


def test_a_panel_without_a_usable_verdict_keeps_its_constructs_labels():
    failed = table(("a", "x", None, "parse_error"), ("a", "y", None, "error"))
    panel = build_panel(failed)
    assert panel.question.labels == ("compliance", "refusal")
    assert panel.scores is None
    with pytest.raises(InputError, match="no verdict is usable"):
        build_panel(failed.with_columns(construct=pl.lit("colour")))


def test_gold_that_does_not_fit_is_noted():
    gold = pl.DataFrame({"item_id": ["a", "b", "c"], "gold": ["refusal", "blue", "refusal"]})
    notes = build_panel(SMALL, reference=gold, labels=["compliance", "refusal"]).notes
    assert any("1 of the 2 items" in note for note in notes)
    assert any("1 label of the reference belongs to no item" in note for note in notes)
    assert any("1 label of the reference is not among" in note for note in notes)


def _two(labels: list[str]) -> pl.DataFrame:
    """Two judges that say the same."""
    return table(*((f"i{i}", judge, label) for i, label in enumerate(labels) for judge in ("a", "b")))


def test_a_misspelt_label_set_is_refused_and_a_rare_label_is_not():
    table = _two(["refusal", "compliance", "refusal"])
    with pytest.raises(InputError, match=r"no verdict says 'complience' \(did you mean 'compliance'"):
        build_panel(table, labels=("refusal", "complience"))
    assert build_panel(table, labels=("compliance", "refusal", "partial")).question.labels[-1] == "partial"


def test_a_map_that_leads_out_of_the_label_set_is_refused():
    table = _two(["refusal", "compliance", "refusal"])
    with pytest.raises(InputError, match="leads to no label of the question"):
        build_panel(table, labels=("x", "y"), maps=[parse_map("refusal=x"), parse_map("compliance=z")])


def test_a_threshold_for_a_judge_of_labels_is_refused():
    with pytest.raises(InputError, match="has nothing to decide"):
        build_panel(_two(["refusal", "compliance"]), thresholds={"a": 0.5})


def test_a_label_that_only_a_later_repeat_gives_is_a_label_of_the_question():
    first = _two(["x", "x"])
    later = first.with_columns(repeat=pl.lit(1, pl.Int32), label=pl.lit("y"))
    assert build_panel(pl.concat([first, later], how="vertical_relaxed")).question.labels == ("x", "y")


def test_a_label_that_only_the_reference_has_is_named_with_how_often():
    """A slip such as "Refusal " makes another question of it: without a positive label, without rates."""
    gold = pl.DataFrame({"item_id": ["a", "b"], "gold": ["refusal", "Refusal "]})
    panel = build_panel(SMALL, reference=gold)
    assert panel.question.labels == ("Refusal ", "compliance", "refusal")
    assert any("only the reference has the label “Refusal ” (1): no judge gives it" in note for note in panel.notes)
    mended = build_panel(SMALL, reference=gold, maps=[parse_map("reference::Refusal =refusal")])
    assert mended.question.labels == ("compliance", "refusal")
    assert not any("only the reference" in note for note in mended.notes)
