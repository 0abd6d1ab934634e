"""What the report says of the comparisons of models, beyond the tables of rates and differences."""

from __future__ import annotations

from typing import Any

from interjudge.agreement.results import Estimate
from interjudge.agreement.results_models import (
    Conclusions,
    Denominator,
    ErrorsByModel,
    FineTunes,
    Gap,
    JudgeErrors,
    JudgeTunes,
    ModelErrors,
    ModelRate,
    RankAgreement,
    Statement,
    Sweep,
    SweepPoint,
    TuneChange,
)
from interjudge.reports.section_models import sentences, tables
from interjudge.reports.table import Table


def near(value: float, half: float = 0.02) -> Estimate:
    return Estimate(value=value, ci_low=value - half, ci_high=value + half, n=100)


NOBODY = Estimate(undefined="no verdicts on one of the models")


def statement(**more: Any) -> Statement:
    given = {
        "higher": "tuned", "lower": "base", "standing": "most", "share": 0.75, "n_judges": 3, "n_same": 2,
        "n_reverse": 1, "clear": ("alpha", "beta"), "clear_reverse": (), "words": "clear under 2 of 3 judges",
    } | more  # fmt: skip
    return Statement.model_validate(given)


def rank(tau: float | None = 0.6, n_clear: int = 0) -> RankAgreement:
    e = near(tau) if tau is not None else Estimate(n=3, undefined="a judge gives all models one rate")
    return RankAgreement(a="alpha", b="beta", tau=e, n_pairs=10, n_flips=2, n_clear_flips=n_clear)


def change(benchmark: str | None, x: Estimate, y: Estimate, model: str = "tuned") -> TuneChange:
    signs = [0 if e.value is None else (e.value > 0) - (e.value < 0) for e in (x, y)]
    clear = [s if e.ci_low is not None and (e.ci_low > 0 or e.ci_high < 0) else 0 for s, e in zip(signs, (x, y))]  # noqa: B905
    return TuneChange(
        model=model, base_model="base", benchmark=benchmark, change={"alpha": x, "beta": y},
        n_up=signs.count(1), n_down=signs.count(-1), n_clear_up=clear.count(1), n_clear_down=clear.count(-1),
    )  # fmt: skip


def tunes(*changes: TuneChange, mixed: float = 0.5, clearly: float = 0.5, by: float | None = 0.5) -> FineTunes:
    over = Estimate(value=by, n=2) if by is not None else Estimate(undefined="no fine-tune on two benchmarks")
    judges = tuple(
        JudgeTunes(judge=j, n_up=1, n_down=1, n_clear_up=1, n_clear_down=1, mixed=over, clearly_mixed=over)
        for j in ("alpha", "beta")
    )
    changes = changes or (change(None, near(0.1), near(-0.1)), change(None, near(0.1), near(0.01), "other"))
    return FineTunes(
        mixed=Estimate(value=mixed, n=2), clearly_mixed=Estimate(value=clearly, n=2), changes=changes, judges=judges
    )


def errors(p: float | None = 0.001, against: str = "reference", bias: float = 0.2) -> ErrorsByModel:
    models = tuple(
        ModelErrors(model=m, sensitivity=near(0.8), specificity=near(0.9), youden_j=near(j), bias=near(b))
        for m, j, b in (("base", 0.7, bias), ("tuned", 0.2, 0.0))
    )
    judge = JudgeErrors(
        judge="alpha",
        models=models,
        youden_gap=Gap(high="base", low="tuned", difference=near(0.5)),
        bias_gap=Gap(high="base", low="tuned", difference=near(bias)),
        p_equal=Estimate(value=p, n=100) if p is not None else Estimate(undefined="no errors that vary"),
        p_holm=p,
        method="chi-square" if p is not None else None,
    )
    return ErrorsByModel.model_validate({"against": against, "judges": (judge,)})


def denominator(n_clear: int = 1, n: int = 1) -> Denominator:
    rates = tuple(
        ModelRate(model=m, base_model=None, judge=j, rate=near(0.2), n_missing=0)
        for m in ("base", "other", "tuned")
        for j in ("alpha", "beta")
    )
    return Denominator(
        name="without refusals", n_items=80, rates=rates, n_flips={"alpha": n, "beta": 0},
        n_clear_flips={"alpha": n_clear, "beta": 0},
    )  # fmt: skip


def sweep(n_clear: int | None = 1, **more: Any) -> Sweep:
    points = tuple(
        SweepPoint(threshold=t, rate=near(r), kappa=near(k), same_order=t == 0.5, current=t == 0.5)
        for t, r, k in ((0.3, 0.8, 0.3), (0.5, 0.6, 0.4), (0.7, 0.1, 0.5))
    )
    given = {
        "judge": "alpha", "against": "the consensus of the other judges", "positive_is": "high", "current": 0.5,
        "stable": (0.5, 0.5), "n_orders": 3, "n_clear_flips": n_clear, "points": points,
    } | more  # fmt: skip
    return Sweep.model_validate(given)


BLIND = sweep(None, judge="beta", undefined="its labels do not follow from its scores", points=(), stable=None)


def found(make: Any, **more: Any) -> Conclusions:
    base = make.conclusions()
    return Conclusions.model_validate({**dict(base), **more})


def everything(make: Any) -> Conclusions:
    return found(
        make,
        statements=(statement(),),
        ranks=(rank(),),
        fine_tunes=tunes(),
        errors=errors(),
        denominators=(denominator(),),
        sweeps=(sweep(), BLIND),
    )


def texts(table: Table, column: str) -> list[str]:
    i = [c.head for c in table.columns].index(column)
    return [row[i].text for row in table.rows]


def test_nothing_to_say_is_nothing(make: Any) -> None:
    assert tables(None, make.agreement(), 12) == ()
    assert sentences(None, make.agreement()) == ()
    assert tables(make.conclusions(), make.agreement(), 12) == ()
    assert sentences(make.conclusions(), make.agreement()) == ()


def test_every_row_has_a_cell_for_every_column(make: Any) -> None:
    made = tables(everything(make), make.agreement(), 12)
    assert [t.title for t in made] == [
        "How alike the judges rank the models",
        "Fine-tunes against their base, under each judge",
        "Does a judge err alike on all models?",
        "Bias of each judge's rates by model",
        "Which outputs count",
        "What the threshold decides",
    ]
    for table in made:
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_tau_stands_beside_the_pairs_that_change_places(make: Any) -> None:
    (table,) = tables(found(make, ranks=(rank(None), rank(0.6, 1))), make.agreement(), 12)
    assert texts(table, "tau-b [95 %]") == [".600 [.580, .620]", "—"]
    assert texts(table, "pairs in another order") == ["2 of 10", "2 of 10"]
    assert table.rows[0][4].tone == "warn"
    assert table.notes[0] == "— a judge gives all models one rate: “alpha” with “beta”"


def test_fine_tunes_with_both_signs_are_marked_and_come_first(make: Any) -> None:
    calm = change(None, near(0.1), near(0.01), "calm")
    mixed = change(None, near(0.01), near(-0.01), "mixed")
    sharp = change(None, near(0.1), near(-0.1), "sharp")
    (table,) = tables(
        found(make, fine_tunes=tunes(calm, mixed, sharp, change("q", NOBODY, near(0.3), "sharp"))), make.agreement(), 12
    )
    assert texts(table, "fine-tune") == ["sharp", "sharp", "mixed", "calm"]
    assert texts(table, "benchmark") == ["all", "q", "all", "all"]
    assert texts(table, "signs") == ["mixed, clearly", "", "mixed", ""]
    assert texts(table, "alpha") == ["+10.0*", "—", "+1.0", "+10.0*"]
    assert texts(table, "beta") == ["-10.0*", "+30.0*", "-1.0", "+1.0"]
    assert "no verdicts on one of the models" in table.notes[0]


def test_errors_by_model_show_the_gap_and_its_p(make: Any) -> None:
    first, second = tables(found(make, errors=errors(0.0004)), make.agreement(), 12)
    assert texts(first, "largest gap") == [".500 [.480, .520]"]
    assert texts(first, "p, errors equal") == ["< .001"]
    assert texts(first, "tuned") == [".200 [.180, .220]"]
    assert texts(second, "largest bias of a comparison") == ["+20.0 [+18.0, +22.0]"]
    assert not any("estimated" in note for note in first.notes)
    first, _ = tables(found(make, errors=errors(None, "estimated truth")), make.agreement(), 12)
    assert texts(first, "p, errors equal") == ["—"]
    assert any("the truth is estimated from these verdicts" in note for note in first.notes)


def test_denominators_stand_side_by_side(make: Any) -> None:
    (table,) = tables(found(make, denominators=(denominator(1, 2),)), make.agreement(), 12)
    assert [c.head for c in table.columns] == ["model", "all outputs", "without refusals (80)"]
    assert texts(table, "without refusals (80)") == ["20.0 %"] * 3
    assert table.notes[1] == (
        "without refusals: models change places under “alpha” (2 pairs in all, 1 of them clear before and after)"
    )
    (table,) = tables(found(make, denominators=(denominator(0, 0),)), make.agreement(), 12)
    assert table.notes[1] == "without refusals: no two models change places under any judge"


def test_a_sweep_says_where_the_threshold_stands_and_what_it_decides(make: Any) -> None:
    low = sweep(judge="gamma", positive_is="low")
    (table,) = tables(found(make, sweeps=(sweep(), BLIND, low)), make.agreement(), 12)
    assert texts(table, "threshold") == ["from 0.5", "—", "up to 0.5"]
    assert texts(table, "rate there")[0] == "60.0 % [58.0, 62.0]"
    assert texts(table, "rate over all thresholds")[0] == "10.0 % to 80.0 %"
    assert texts(table, "highest kappa")[0] == ".500 at 0.7"
    assert texts(table, "same order of models")[0] == "0.5 to 0.5"
    assert table.notes[0] == "— its labels do not follow from its scores: threshold of “beta”"


def test_the_sentences_answer_what_holds_and_what_biases(make: Any) -> None:
    assert sentences(everything(make), make.agreement()) == (
        "More than half of the judges' votes clearly agree that “tuned” has a higher rate than “base”; no two judges "
        "clearly contradict each other. Least alike in ranking the models are “alpha” and “beta” (tau-b .600 "
        "[.580, .620]).",
        "Whether fine-tuning raised or lowered the rate of “refusal” depends on the judge for 1 of 2 fine-tunes (1 of "
        "them with a clear change both ways), and on the benchmark for 1 of 2 under “alpha”.",
        "“alpha” errs differently on different models (against the reference), which biases comparisons of models: "
        "under “alpha” the rate of “base” minus that of “tuned” comes out 20.0 [+18.0, +22.0] points higher "
        "than it is.",
        "Without refusals some models clearly change places; with another threshold of “alpha” some models would "
        "clearly change places.",
    )


def test_a_contradiction_names_who_says_what(make: Any) -> None:
    one = statement(standing="contested", clear=("alpha",), clear_reverse=("beta", "gamma"))
    (said,) = sentences(found(make, statements=(one,)), make.agreement())
    assert said.startswith(
        "More than half of the judges' votes do not clearly agree that “tuned” has a higher rate than “base”; judges "
        "clearly contradict each other (whether"
    )
    (said,) = sentences(found(make, statements=(one, one)), make.agreement())
    assert said.startswith("On none of 2 differences between models that any judge sees do more than half")
    assert "; on 2, judges clearly contradict each other (" in said
    assert "(whether “tuned” has a higher rate than “base”: yes by “alpha”, no by “beta” and “gamma”)" in said


def test_one_judge_has_nobody_to_contradict(make: Any) -> None:
    assert sentences(found(make, statements=(statement(),)), make.agreement((make.judge("alpha"),))) == ()


def test_errors_that_cannot_be_told_apart_are_said_to_be_so(make: Any) -> None:
    (said,) = sentences(found(make, errors=errors(0.4)), make.agreement())
    assert said == (
        "That the judge errs more on one model than on another is not shown (against the reference); small "
        "differences may be missed."
    )
    assert sentences(found(make, errors=errors(None)), make.agreement()) == ()


def test_a_bias_that_may_be_chance_is_said_to_be_so(make: Any) -> None:
    """The errors differ clearly, but no comparison's bias does: +1.0 points, give or take 2."""
    (said,) = sentences(found(make, errors=errors(bias=0.01)), make.agreement())
    assert "which may bias comparisons of models" in said
    assert said.endswith("1.0 [-1.0, +3.0] points higher than it is, which may be chance.")


def test_a_judge_of_two_scores_has_no_other_threshold(make: Any) -> None:
    two = sweep(points=sweep().points[:1])
    assert tables(found(make, sweeps=(two,)), make.agreement(), 12) == ()


def test_one_fine_tune_is_no_share(make: Any) -> None:
    one = tunes(change(None, near(0.1), near(-0.1)), mixed=1.0, clearly=0.0, by=None)
    one = one.model_copy(update={"mixed": Estimate(value=1.0, n=1), "clearly_mixed": Estimate(value=0.0, n=1)})
    (said,) = sentences(found(make, fine_tunes=one), make.agreement())
    assert said == (
        "Whether the fine-tune raised or lowered the rate of “refusal” depends on the judge (no clear change both "
        "ways)."
    )


def test_a_threshold_that_decides_nothing_is_not_mentioned(make: Any) -> None:
    calm = found(make, sweeps=(sweep(0), sweep(None)), denominators=(denominator(0),))
    assert sentences(calm, make.agreement()) == ()


def test_many_judges_and_rows_are_cut_with_a_word(make: Any) -> None:
    many = tuple(
        RankAgreement(a=f"j{i}", b="x", tau=near(i / 100), n_pairs=3, n_flips=0, n_clear_flips=0) for i in range(30)
    )
    (table,) = tables(found(make, ranks=many), make.agreement(), 6)
    assert (len(table.rows), table.gap) == (6, (3, 24))
    wide = {f"j{i}": near(0.1) for i in range(20)}
    each = TuneChange(
        model="tuned", base_model="base", benchmark=None, change=wide, n_up=20, n_down=0, n_clear_up=20, n_clear_down=0
    )
    judges = tuple(
        JudgeTunes(judge=j, n_up=1, n_down=0, n_clear_up=1, n_clear_down=0, mixed=NOBODY, clearly_mixed=NOBODY)
        for j in wide
    )
    given = FineTunes(mixed=near(0.0), clearly_mixed=near(0.0), changes=(each,), judges=judges)
    (table,) = tables(found(make, fine_tunes=given), make.agreement(), 12)
    assert "8 more judges not shown" in table.notes
