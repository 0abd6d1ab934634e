"""What drives disagreement, as a table and sentences."""

from __future__ import annotations

from typing import Any

from interjudge.agreement.results import Estimate
from interjudge.agreement.results_drivers import Drivers, DriverTerm
from interjudge.reports.section_drivers import sentences, tables
from interjudge.reports.table import Table


def ratio(value: float | None, why: str = "none of these items is in dispute") -> Estimate:
    if value is None:
        return Estimate(n=50, undefined=why)
    return Estimate(value=value, ci_low=value / 1.5, ci_high=value * 1.5, n=50)


def term(feature: str, level: str | None, value: float | None, p: float | None = 0.0001, **more: Any) -> DriverTerm:
    given = {
        "feature": feature,
        "level": level,
        "against": None if level is None else "base",
        "n": 50,
        "disputed": None if level is None else Estimate(value=0.2, ci_low=0.1, ci_high=0.3, n=50),
        "odds_ratio": ratio(value),
        "p": p,
        "p_holm": p,
    } | more
    return DriverTerm.model_validate(given)


def drivers(*terms: DriverTerm, **more: Any) -> Drivers:
    return Drivers.model_validate({"n_items": 300, "n_disputed": 60, "n": 300, "n_units": 300, "terms": terms} | more)


INCOHERENT = term("incoherent", "yes", 3.1, against="no")
REFERENCE = term("incoherent", "no", 1.0, None, against=None, reference=True, odds_ratio=Estimate(value=1.0, n=250))


def texts(table: Table, column: str) -> list[str]:
    i = [c.head for c in table.columns].index(column)
    return [row[i].text for row in table.rows]


def test_the_odds_on_incoherent_outputs(make: Any) -> None:
    (said,) = sentences(drivers(REFERENCE, INCOHERENT), make.agreement())
    assert said == (
        "The odds of disagreement are 3.1 times as high (95 % interval 2.1 to 4.7) on outputs that are “incoherent” "
        "(other properties held fixed)."
    )


def test_one_term_of_each_feature_the_strongest_first(make: Any) -> None:
    found = drivers(
        INCOHERENT, term("length", None, 1.3), term("model", "tuned", 0.1), term("model", "other", 0.5),
        term("category", "x", 9.0, p=0.4),
    )  # fmt: skip
    (said,) = sentences(found, make.agreement())
    assert said.index("0.10 times as high") < said.index("3.1 times") < said.index("1.3 times")
    assert "where “model” is “tuned” rather than “base”" in said
    assert "for each doubling of “length”" in said
    assert "; 1 more in the table" in said
    assert "category" not in said


def test_nothing_clear_is_said_to_be_nothing(make: Any) -> None:
    found = drivers(term("length", None, 1.1, p=0.4), term("model", "tuned", 1.2, p=0.9))
    assert sentences(found, make.agreement()) == (
        "None of the properties examined (“length” and “model”) is clearly tied to disagreement.",
    )


def test_what_cannot_be_said_and_why(make: Any) -> None:
    found = drivers(undefined="the panel disagrees on fewer than 10 items")
    assert sentences(found, make.agreement()) == (
        "What drives disagreement cannot be said: the panel disagrees on fewer than 10 items.",
    )
    assert tables(found, make.agreement(), 12) == ()


def test_levels_that_separate_are_named_with_their_share(make: Any) -> None:
    never = term("category", "x", None, None, disputed=Estimate(value=0.0, ci_low=0.0, ci_high=0.1, n=50))
    said = sentences(drivers(INCOHERENT, never), make.agreement())
    assert said[1] == "Always or never in dispute, so without a finite ratio: “category” “x” (0 % of 50)."
    (table,) = tables(drivers(INCOHERENT, never), make.agreement(), 12)
    assert texts(table, "odds ratio [95 %]") == ["3.1 [2.1, 4.7]", "—"]
    assert table.notes[0] == "— none of these items is in dispute: “category” “x”"


def test_the_table_shows_shares_ratios_and_what_was_left_out(make: Any) -> None:
    found = drivers(
        REFERENCE, INCOHERENT, term("length", None, 1.3), left_out={"model": "the same for every item"},
        notes=("fitted on 10,000 disputed items",),
    )  # fmt: skip
    (table,) = tables(found, make.agreement(), 12)
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert texts(table, "value") == ["no", "yes", "each doubling"]
    assert texts(table, "odds ratio [95 %]")[0] == "1 (the others are compared with it)"
    assert texts(table, "p (Holm)") == ["", "< .001", "< .001"]
    assert "left out: model: the same for every item" in table.notes
    assert "fitted on 10,000 disputed items" in table.notes


def test_long_tables_are_cut(make: Any) -> None:
    found = drivers(*(term("category", f"c{i}", 1.0 + i) for i in range(30)))
    (table,) = tables(found, make.agreement(), 5)
    assert (len(table.rows), table.gap) == (5, (5, 25))


def test_names_from_the_data_hold_no_control_characters(make: Any) -> None:
    found = drivers(term("model", "a\x1b[31m", 3.0), left_out={"x\n": "why\x1b"})
    assert "\x1b" not in sentences(found, make.agreement())[0]
    (table,) = tables(found, make.agreement(), 5)
    assert not any("\x1b" in note or "\n" in note for note in table.notes)
