"""The service section: missing verdicts, steadiness, cost and time, from hand-made records."""

from __future__ import annotations

from typing import Any

import pytest

from interjudge.agreement.results import Estimate
from interjudge.agreement.results_service import (
    JudgeCost,
    JudgeMissing,
    JudgeStability,
    Known,
    MissingGroup,
    MissingTest,
    RepeatsNeeded,
    Service,
)
from interjudge.reports.section_service import sentences, tables
from interjudge.reports.table import Table

UNKNOWN = Known(n=0, total=None, mean=None)


def est(value: float | None, n: int = 100) -> Estimate:
    return Estimate(value=value, n=n, undefined=None if value is not None else "one category")


def group(name: str | None, missing: int, n: int = 450) -> MissingGroup:
    by_status = {"parse_error": missing} if missing else {}
    return MissingGroup(group=name, n=n, missing=missing, share=est(missing / n, n), by_status=by_status)


def outcome(p: float | None, how: str | None = "chi-square") -> MissingTest:
    if p is None:
        return MissingTest(undefined="nothing is missing")
    return MissingTest.model_validate({"p_value": p, "p_adjusted": p, "statistic": 9.0, "how": how})


def missing(name: str, *groups: MissingGroup, p: float | None = None, said: float | None = None) -> JudgeMissing:
    n, gone = sum(g.n for g in groups), sum(g.missing for g in groups)
    return JudgeMissing(
        judge=name, kind="rubric", n=n, missing=gone, not_asked=0, share=est(gone / n if n else None, n),
        by_status={"parse_error": gone} if gone else {}, by_model=groups, model_test=outcome(p, "simulated"),
        by_label=(group("safe", gone), group("unsafe", 0)) if gone else (), label_test=outcome(said),
    )  # fmt: skip


def cost(name: str, per_1000: float | None = None, n: int = 100, known: int | None = None, **more: Any) -> JudgeCost:
    known = n if known is None else known
    dollars = UNKNOWN if per_1000 is None else Known(n=known, total=per_1000 * known / 1000, mean=per_1000 / 1000)
    given = {
        "judge": name, "kind": "rubric", "n_verdicts": n, "latency_n": 0, "latency_median_s": None,
        "latency_p95_s": None, "input_tokens": UNKNOWN, "output_tokens": UNKNOWN, "cost_usd": dollars,
        "cost_per_1000": per_1000,
    } | more  # fmt: skip
    return JudgeCost.model_validate(given)


def service(*judges: JudgeMissing, costs: tuple[JudgeCost, ...] = ()) -> Service:
    return Service(confidence=0.95, n_models=2, missing=judges, costs=costs)


def steady(name: str, flips: float, unstable: float, needed: int | None = 3, **more: Any) -> JudgeStability:
    given = {
        "judge": name, "kind": "rubric", "n_items": 100, "n_repeats": 3, "agreement": est(1 - flips / 2),
        "kappa": est(0.8), "flip_rate": est(flips), "unstable": est(unstable), "unstable_bounds": (0.0, 0.1),
        "coin_toss": est(0.02), "repeats_needed": RepeatsNeeded(value=needed, low=1, high=None, most=99),
        "not_always_usable": est(0.0),
    } | more  # fmt: skip
    return JudgeStability.model_validate(given)


def column(table: Table, head: str) -> list[str]:
    i = next(i for i, c in enumerate(table.columns) if c.head.startswith(head))
    return [row[i].text for row in table.rows]


def test_nothing_to_say(make: Any) -> None:
    a = make.agreement()
    assert tables(None, a, 12) == ()
    assert sentences(None, a) == ()
    quiet = service(missing("a", group("m", 0)), costs=(cost("a"),))
    assert tables(quiet, a, 12) == ()
    assert sentences(quiet, a) == ()


def test_missing_verdicts_stand_by_model_the_greatest_share_first(make: Any) -> None:
    some = missing("gpt", group("x", 2), group("y", 9), group("z", 0), p=0.0004)
    table = tables(service(missing("b", group("x", 0)), some), make.agreement(), 12)[0]
    assert column(table, "model") == ["y", "x"]
    assert column(table, "share") == ["2.0 %", "0.4 %"]
    assert column(table, "status") == ["9 parse_error", "2 parse_error"]


def test_without_models_the_total_stands(make: Any) -> None:
    some = missing("gpt", group("x", 2)).model_copy(update={"by_model": ()})
    table = tables(service(some), make.agreement(), 12)[0]
    assert [c.head for c in table.columns] == ["judge", "asked", "missing", "share [95 %]", "status"]
    assert column(table, "missing") == ["2"]


def test_not_random_is_said_with_where_and_how_sure(make: Any) -> None:
    some = missing("gpt", group("instruct", 11), group("other", 0), p=0.0001, said=0.2)
    found = service(some)
    assert sentences(found, make.agreement())[0] == (
        "The missing verdicts of “gpt” are not random: 11 of 11 on “instruct” (p < .001). Figures that leave them out "
        "describe the other outputs."
    )
    table = tables(found, make.agreement(), 12)[1]
    assert column(table, "by model") == ["p < .001"]
    assert column(table, "most often on") == ["instruct"]
    assert "simulated where counts are small" in table.notes[0]


def test_where_the_others_see_it_and_further_judges(make: Any) -> None:
    first = missing("gpt", group("x", 8), group("y", 3), p=0.03, said=0.0009)
    second = missing("b", group("x", 5), group("y", 0), p=0.01)
    said = sentences(service(first, second), make.agreement())[0]
    assert "8 of 11 on “x”, 1.8 % of those there (p = .030) and 11 of 11 where most other judges say “safe”" in said
    assert said.count("; nor are those of “b”") == 1


def test_random_gaps_are_called_not_shown(make: Any) -> None:
    said = sentences(service(missing("gpt", group("x", 3), group("y", 2), p=0.8, said=0.6)), make.agreement())[0]
    assert said.startswith("Nothing shows that verdicts go missing more on some outputs than on others")


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        (1, "one answer is its usual one with 95 %."),
        (3, "a majority of 3 repeats is its usual one with 95 %."),
        (None, "not even a majority of 99 repeats is its usual one with 95 %."),
    ],
)
def test_the_least_steady_judge(make: Any, needed: int | None, words: str) -> None:
    stable = (steady("a", 0.02, 0.01), steady("b", 0.2, 0.1, needed))
    said = sentences(None, make.agreement(), stable)[0]
    assert said.startswith("“b” is the least steady of 2 judges asked again: it changes its label on 20.0 % of the")
    assert said.endswith(f"10.0 % of its single verdicts are not its usual one, and {words}")


def test_judges_that_never_change(make: Any) -> None:
    said = sentences(None, make.agreement(), (steady("a", 0.0, 0.0, 1),))
    assert said == ("“a” gives the same label whenever asked again (on 100 outputs).",)


def test_steadiness_in_a_table(make: Any) -> None:
    table = tables(None, make.agreement(), 12, (steady("b", 0.2, 0.1, None), steady("a", 0.02, 0.01)))[0]
    assert column(table, "judge") == ["a", "b"]
    assert column(table, "repeats needed") == ["3 [1, more than 99]", "more than 99"]
    assert "ICC" not in [c.head for c in table.columns]


def test_scores_asked_again(make: Any) -> None:
    nothing = dict.fromkeys(
        ("agreement", "kappa", "flip_rate", "unstable", "unstable_bounds", "coin_toss", "repeats_needed")
    )
    one = steady("s", 0, 0).model_copy(update=nothing | {"within_sd": est(4.5), "icc": est(0.9)})
    assert sentences(None, make.agreement(), (one,)) == (
        "Asked again, “s” moves its score by 4.500 (standard deviation); .900 of the variation of its scores is "
        "between outputs.",
    )
    heads = [c.head for c in tables(None, make.agreement(), 12, (one,))[0].columns]
    assert heads == ["judge", "outputs", "repeats", "deviation within an output [95 %]", "ICC"]


def test_cost_and_time(make: Any) -> None:
    timed = cost("a", 2.0, latency_n=100, latency_median_s=0.25, latency_p95_s=12.0)
    found = service(costs=(cost("b", 0.01, known=60), timed, cost("c")))
    table = tables(found, make.agreement(), 12)[0]
    assert column(table, "judge") == ["a", "b"]
    assert column(table, "median time") == ["250 ms", ""]
    assert column(table, "95 % within") == ["12.0 s", ""]
    assert column(table, "cost") == ["$0.2000", "at least $0.0006"]
    assert column(table, "cost of 1,000") == ["$2.00", "$0.0100"]
    assert "of 1 judge neither cost nor time is known" in table.notes
    assert sentences(found, make.agreement()) == (
        "The verdicts whose cost is known cost $0.2006: 1,000 of “a” $2.00, 1,000 of “b” $0.0100.",
    )


def test_free_is_written_as_free(make: Any) -> None:
    assert sentences(service(costs=(cost("a", 0.0),)), make.agreement()) == (
        "The verdicts cost $0.00: $0.00 for 1,000 of “a”.",
    )


def test_rows_have_a_cell_for_every_column(make: Any) -> None:
    whole = service(missing("gpt", group("x", 2), group(None, 1), p=0.01), costs=(cost("gpt", 1.0),))
    for table in tables(whole, make.agreement(), 12, (steady("a", 0.1, 0.1),)):
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_names_cannot_break_a_sentence(make: Any) -> None:
    evil = "a\x1b[31m\n\u202ebad"
    some = missing(evil, group(evil, 11), group("other", 0), p=0.0001)
    said = sentences(service(some, costs=(cost(evil, 1.0),)), make.agreement(), (steady(evil, 0.1, 0.1),))
    assert len(said) == 3
    assert " ".join(said).isprintable()
