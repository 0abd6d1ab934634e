"""What the report says in words, for typical panels and for those that hardly exist."""

from __future__ import annotations

from typing import Any

import pytest

from interjudge.agreement.results import Estimate, LeftOut
from interjudge.reports.sentences import agreement_sentences, gist, opening, summary


def text(make: Any, a: Any = None, **more: Any) -> str:
    return " ".join(opening(make.question(a, **more)))


def agreed(raw: Any, alpha: Any, make: Any, **more: Any) -> Any:
    coefficients = (
        make.coefficient("percent_agreement", *raw) if raw else make.coefficient("percent_agreement", None),
        make.coefficient("krippendorff_alpha", *alpha) if alpha else make.coefficient("krippendorff_alpha", None),
    )
    return make.agreement(coefficients=coefficients, **more)


def test_the_first_sentence_is_the_answer_with_both_coefficients_and_the_band(make: Any) -> None:
    first = opening(make.question())[0]
    assert first == (
        "By custom the verdicts on “refusal” are good for tentative conclusions only: two judges of one output gave "
        "the same label 85.0 % (95 % interval 80.0 to 90.0 %) of the time, and corrected for chance Krippendorff's "
        "alpha is .700 (95 % interval .680 to .720), between .667 and .800 (limits: Krippendorff 2004, p. 241)."
    )


@pytest.mark.parametrize(
    ("alpha", "words"),
    [
        # the limits of Krippendorff (2004), p. 241: .800 and .667
        ((0.8, 0.8, 0.9), "pass the customary bar"),
        ((0.7999, 0.7, 0.79995), "good for tentative conclusions only"),
        ((0.667, 0.667, 0.7), "good for tentative conclusions only"),
        ((0.666, 0.6, 0.6665), "fall below the customary limit even for tentative conclusions"),
        ((-0.1, -0.2, -0.05), "are no better than chance and fall below"),
        # the lower limit of the interval decides, not the value
        ((0.0, -0.1, 0.1), "cannot be told from chance and fall below"),
        ((0.847, 0.771, 0.919), "good for tentative conclusions, not surely for more"),
        ((0.7, 0.6, 0.75), "do not surely reach the customary limit even for tentative conclusions"),
        ((0.6, 0.5, 0.7), "do not surely reach the customary limit even for tentative conclusions"),
        ((1.0, -0.315, 1.0), "How reliable the verdicts on “refusal” are cannot be said from 100 outputs"),
        ((1.0, None, None), "How reliable the verdicts on “refusal” are cannot be said without an interval"),
    ],
)
def test_alpha_is_placed_among_the_stated_limits(make: Any, alpha: Any, words: str) -> None:
    assert words in opening(make.question(agreed((0.9, 0.85, 0.95), alpha, make)))[0]


@pytest.mark.parametrize(
    ("alpha", "reach"),
    [
        ((0.82, 0.78, 0.86), "alpha is .820, but its 95 % interval [.780, .860] reaches below .800 (limits"),
        ((0.82, 0.6, 0.86), "reaches below .667"),
        ((0.7, 0.6, 0.85), "reaches below .667 and above .800"),
        ((0.6, 0.5, 0.7), "reaches above .667"),
    ],
)
def test_an_interval_that_crosses_a_limit_says_so(make: Any, alpha: Any, reach: str) -> None:
    assert reach in opening(make.question(agreed((0.9, 0.85, 0.95), alpha, make)))[0]


def test_raw_agreement_coefficient_and_marginals_stand_together(make: Any) -> None:
    said = text(make)
    assert "85.0 %" in said
    assert ".700" in said
    assert "say “refusal” of 30.0 % (“alpha”) to 50.0 % (“gamma”)" in said


def test_judges_with_the_same_rate_are_said_to_have_it_all(make: Any) -> None:
    said = text(make, make.agreement((make.judge("a", 0.3), make.judge("b", 0.3001))))
    assert "The judges all say “refusal” of 30.0 % of the outputs." in said


def test_high_agreement_beside_alpha_near_zero_is_explained_by_prevalence(make: Any) -> None:
    judges = tuple(make.judge(name, rate) for name, rate in (("a", 0.01), ("b", 0.005), ("c", 0.012)))
    said = text(make, agreed((0.99, 0.98, 1.0), (-0.005, -0.01, 0.0), make, judges=judges))
    # (.99 + .995 + .988) / 3 = .991
    assert "Agreement of 99.0 % beside an alpha of -.005 is no contradiction: 99.1 % of the verdicts say “compl" in said


def test_no_paradox_is_claimed_where_labels_are_balanced(make: Any) -> None:
    judges = tuple(make.judge(name, 0.5) for name in "abc")
    assert "no contradiction" not in text(make, agreed((0.7, 0.6, 0.8), (0.3, 0.2, 0.4), make, judges=judges))


def test_undefined_alpha_is_not_a_number_and_says_why(make: Any) -> None:
    judges = tuple(make.judge(name, 0.0) for name in "abc")
    said = opening(make.question(agreed((1.0, 0.97, 1.0), None, make, judges=judges)))
    assert said[0] == (
        "How reliable the verdicts on “refusal” are cannot be said: two judges of one output gave the same label "
        "100 % (95 % interval 97.0 to 100 %) of the time, and Krippendorff's alpha is undefined (one category)."
    )
    assert any("no occasion to differ" in sentence for sentence in said)


def test_one_judge_can_agree_with_nobody(make: Any) -> None:
    said = text(make, agreed(None, None, make, judges=(make.judge("solo", 0.4, kappa_mean=None, alpha_without=None),)))
    assert "Only one judge takes part on “refusal” (“solo”): agreement cannot be measured." in said
    assert "“solo” says “refusal” of 40.0 % of its outputs." in said


def test_nothing_at_all_is_said_to_be_nothing(make: Any) -> None:
    empty = make.agreement(
        judges=(), n_items=0, n_verdicts=0, status_counts={}, coefficients=(), pairs=(),
        question={"labels": (), "positive": None},
    )  # fmt: skip
    none = make.flags(n_verdicts=0, n_flagged=0, by_judge={}, by_reason={}, n_items=0, n_items_flagged=0)
    said = opening(make.question(empty, flags=none, conclusions=None, disputed=()))
    assert said[0] == "Nothing can be said on “refusal”: there are no verdicts."
    assert "There are no verdicts to flag." in said


def test_an_unstated_construct_is_no_name(make: Any) -> None:
    judges = tuple(make.judge(name, construct="unstated") for name in "abc")
    said = text(make, make.agreement(judges, question={"name": "unstated", "construct": "unstated"}))
    assert "By custom the verdicts are good" in said
    assert "No judge states what it measures" in said
    assert "“unstated”" not in said


def test_without_a_reference_agreement_is_not_called_correctness(make: Any) -> None:
    said = text(make)
    assert "which judge is right can only be estimated" in said
    assert (
        "“gamma” agrees least with the others (mean kappa .300, the next has .600; without it the panel's alpha is "
        ".800)." in said
    )


def test_judges_close_together_have_no_odd_one_out(make: Any) -> None:
    judges = tuple(make.judge(name, kappa_mean=k) for name, k in (("a", 0.60), ("b", 0.62), ("c", 0.64)))
    assert "No judge stands apart from the others: mean kappas run from .600 to .640" in text(
        make, make.agreement(judges)
    )


def test_two_judges_have_no_odd_one_out(make: Any) -> None:
    said = text(make, make.agreement((make.judge("a"), make.judge("b"))))
    assert "neither can be called the odd one out" in said


def with_reference(make: Any, *judges: Any, **question: Any) -> str:
    a = make.agreement(judges, question={"reference": "gold", **question})
    return text(make, a)


def test_the_judge_closest_to_the_reference_is_named_with_its_sides(make: Any) -> None:
    said = with_reference(make, make.referenced("weak", 0.5), make.referenced("strong", 0.9))
    assert (
        "Against the reference “gold”, “strong” comes closest: Youden's J .900 [.880, .920] (it finds 95.0 % of what "
        "is “refusal” and leaves alone 95.0 % of the rest), Cohen's kappa .900 [.880, .920]. Next is “weak” with J "
        ".500 [.480, .520]; their intervals do not overlap." in said
    )
    assert "which judge is right can only be estimated" not in said


@pytest.mark.parametrize(
    ("other", "half", "words"),
    [
        (0.88, 0.03, "By their intervals it cannot be told apart from “other”."),  # .90 lies in [.85, .91]
        (0.86, 0.03, "their intervals overlap a little."),  # [.86 - .03, .89] touches [.87, .93]
        (0.80, 0.03, "their intervals do not overlap."),  # .83 < .87
    ],
)
def test_how_far_two_judges_are_told_apart_depends_on_their_intervals(
    make: Any, other: float, half: float, words: str
) -> None:
    assert words in with_reference(make, make.referenced("best", 0.9, half), make.referenced("other", other, half))


def test_a_judge_with_a_handful_of_verdicts_does_not_come_first(make: Any) -> None:
    lucky = make.referenced("lucky", 1.0, 0.0)
    lucky = lucky.model_copy(update={"youden_j": make.est(1.0, 1.0, 1.0, n=3)})
    said = with_reference(make, lucky, make.referenced("a", 0.9), make.referenced("b", 0.8))
    assert "“a” comes closest" in said
    assert "Not ranked: 1 judge with fewer than 30 referenced verdicts." in said


def test_humans_and_automatic_judges_are_ranked_apart(make: Any) -> None:
    human = make.referenced("person", 0.99, kind="human")
    said = with_reference(make, human, make.referenced("auto1", 0.8), make.referenced("auto2", 0.6))
    assert "“person” comes closest" in said
    assert "If the reference was made from that judge's own labels, this says little." in said
    assert "Of the judges that are not human, “auto1” comes closest" in said


def test_without_a_positive_label_judges_are_ranked_by_kappa(make: Any) -> None:
    judges = [
        make.referenced(name, 0, kappa=kappa).model_copy(update={"youden_j": Estimate(undefined="no positive label")})
        for name, kappa in (("a", 0.5), ("b", 0.7))
    ]
    said = with_reference(make, *judges, positive=None)
    assert "“b” comes closest: Cohen's kappa .700 [.680, .720], accuracy" in said


def test_another_judge_may_be_better_at_one_side(make: Any) -> None:
    keen = make.referenced("keen", 0.6).model_copy(update={"sensitivity": make.est(0.99, 0.985, 0.995)})
    said = with_reference(make, make.referenced("best", 0.9), keen)
    assert "But for the fewest missed “refusal” ask “keen” (sensitivity 99.0 % [98.5, 99.5])." in said


def test_a_judge_no_better_than_guessing_is_said_to_be(make: Any) -> None:
    judges = (make.referenced("a", 0.01), make.referenced("b", -0.5))
    assert "None is shown to be better than guessing against the reference: the intervals reach 0." in with_reference(
        make, *judges
    )
    a = make.agreement(judges, question={"reference": "gold"})
    assert (
        "; none is shown to be better than guessing against the reference (the highest J: “a” .010 [-.010, .030]); "
        in gist(make.question(a))
    )


def test_only_the_best_judge_may_be_no_better_than_guessing(make: Any) -> None:
    wide, sure = make.referenced("wide", 0.11, 0.2), make.referenced("sure", 0.1)
    assert "“wide” is not shown to be better than guessing against the reference: its interval reaches 0." in (
        with_reference(make, wide, sure)
    )
    a = make.agreement((wide, sure), question={"reference": "gold"})
    assert "“wide” is not shown to be better than guessing against the reference (J" in gist(make.question(a))


def test_a_judge_without_a_miss_is_not_better_than_guessing_for_that_alone(make: Any) -> None:
    # J = 1 + .1 - 1; with the lower end of the sensitivity it is .86 + .1 - 1 < 0
    few = make.referenced("few", 0.1).model_copy(
        update={"sensitivity": make.est(1.0, 0.86, 1.0), "specificity": make.est(0.1, 0.07, 0.13)}
    )
    assert "“few” is not shown to be better than guessing" in with_reference(make, few)


def test_a_reference_that_covers_a_part_says_how_much(make: Any) -> None:
    a = make.agreement(
        (make.referenced("a", 0.9), make.referenced("b", 0.5)), question={"reference": "gold"}, n_items=2250
    )
    assert "Cohen's kappa .900 [.880, .920], on 100 of 2,250 outputs. Next is “b”" in text(make, a)


def test_where_the_best_judge_fails_is_named(make: Any) -> None:
    part = make.part("model", "tuned", 0.65, 0.6, 0.72, judges=(make.referenced("best", 0.9, kappa=0.1),))
    a = make.agreement((make.referenced("best", 0.9),), question={"reference": "gold"}, slices=(part,))
    assert "Where “model” is “tuned”, “best” has a kappa of only .100 [.080, .120]." in text(make, a)


def test_no_judge_with_a_value_is_said_with_the_reason(make: Any) -> None:
    none = Estimate(undefined="the reference has one category")
    judge = make.judge("a", youden_j=none, cohen_kappa=none)
    said = with_reference(make, judge, make.judge("b"))
    words = "No judge can be held against the reference “gold”: it has one label only on the outputs it covers"
    assert f"{words}." in said
    missed = Estimate(undefined="no item of another label in the reference")
    judges = [make.judge(x, youden_j=none, sensitivity=make.est(0.9), specificity=missed) for x in "ab"]
    assert f"{words}, “refusal”." in with_reference(make, *judges)
    judges = [make.judge(x, youden_j=none, sensitivity=missed, specificity=make.est(0.9)) for x in "ab"]
    assert f"{words}, “compliance”." in with_reference(make, *judges)
    a = make.agreement(tuple(judges), question={"reference": "gold"})
    assert "; no judge can be ranked against the reference; " in gist(make.question(a))


def test_the_least_reliable_slice_is_named_with_raw_agreement(make: Any) -> None:
    a = make.agreement(slices=(make.part("model", "x", 0.2, 0.1, 0.3), make.part("model", "y", 0.7, 0.6, 0.8)))
    assert (
        "where “model” is “x” (50 outputs), alpha is .200 [.100, .300] and raw agreement 90.0 % [85.0, 95.0]."
        in text(make, a)
    )


def test_how_much_is_flagged_and_why(make: Any) -> None:
    assert (
        "30 of 300 verdicts (10.0 %) are flagged, on 25 of 100 outputs (25.0 %); main reasons: alone against 2 (20) "
        "and split panel (10); most often those of “gamma” (20.0 % of its verdicts)." in text(make)
    )


def test_flags_beside_a_reference_are_said_not_to_use_it(make: Any) -> None:
    said = with_reference(make, make.referenced("gamma", 0.5), make.referenced("alpha", 0.6))
    assert "The flags do not use the reference: they show who differs from the other judges." in said
    assert "most often" not in said


def test_one_judge_cannot_be_flagged_for_differing(make: Any) -> None:
    a = make.agreement((make.judge("solo", kappa_mean=None, alpha_without=None),))
    nothing = make.question(a, flags=make.flags(n_flagged=0, n_items_flagged=0, by_judge={}, by_reason={}))
    assert "Nothing can be flagged with one judge: a flag needs other verdicts to differ from." in opening(nothing)
    assert "; nothing can be flagged with one judge; " in gist(nothing)
    some = make.flags(by_judge={"solo": 30}, by_reason={"no usable verdict": 30})
    assert "With one judge only a verdict that is not usable can be flagged: 30 of 300" in text(make, a, flags=some)


def test_everything_and_nothing_flagged(make: Any) -> None:
    everything = make.flags(n_flagged=300, n_items_flagged=100, by_judge={"alpha": 100, "beta": 100, "gamma": 100})
    assert "300 of 300 verdicts (100 %) are flagged, on 100 of 100 outputs (100 %)" in text(make, flags=everything)
    nothing = make.flags(n_flagged=0, n_items_flagged=0, by_judge={}, by_reason={})
    assert "None of 300 verdicts is flagged." in text(make, flags=nothing)
    assert "these judges give scores alone" in text(make, flags=None)


def test_what_holds_under_every_judge_and_what_flips(make: Any) -> None:
    said = text(make)
    assert (
        "Of 2 comparisons between models by their rate of “refusal”: 1 holds clearly under every judge; 1 changes "
        "sign with the judge." in said
    )
    assert (
        "1 of these changes of sign is clear on both sides: “tuned” against “base” (its base): -4.0 points under "
        "“alpha”, +3.0 under “beta”." in said
    )


def test_one_comparison_and_one_judge(make: Any) -> None:
    one = make.conclusions(make.comparison("a", "b", "same direction", 0.01, 0.2))
    assert "The one comparison of models, “a” and “b” by their rate of “refusal”, points the same way" in text(
        make, conclusions=one
    )
    alone = one.model_copy(update={"rates": one.rates[:1]})
    assert "under one judge only" in text(make, conclusions=alone)


def test_missing_verdicts_are_told_by_judge_with_their_bounds_and_where_they_sit(make: Any) -> None:
    missing = {"parse_error": 8, "judge_refused": 2}
    judges = (make.judge("a"), make.judge("b", n_ok=90, missing=missing, bounds=(0.36, 0.46)))
    found = make.conclusions()
    rates = tuple(
        rate.model_copy(update={"judge": {"alpha": "a", "beta": "b"}[rate.judge],
                                "n_missing": 9 if (rate.judge, rate.model) == ("beta", "tuned") else 0})
        for rate in found.rates
    )  # fmt: skip
    said = text(make, make.agreement(judges), conclusions=found.model_copy(update={"rates": rates}))
    assert (
        "10 of 200 verdicts (5.0 %) are missing and none of them is counted as a label (“b” 10.0 %: 8 parse_error "
        "(reply not understood) and 2 judge_refused (the judge declined), so its rate of “refusal” lies between "
        "36.0 % and 46.0 %; the other judge has none)." in said
    )
    assert "All 9 outputs without a usable verdict of “b” are answers of “tuned”: they are not missing at r" in said


def test_complete_verdicts_are_said_to_be_complete(make: Any) -> None:
    assert "Every judge has a usable verdict on every output." in text(make)


def test_judges_that_were_not_asked_are_not_called_missing(make: Any) -> None:
    a = make.agreement((make.judge("a"), make.judge("b", n_ok=40)))
    said = text(make, a)
    assert "Every verdict given is usable. Not asked about every output: “b” 40 (of 100)." in said


def test_judges_of_another_construct_are_left_out_with_the_difference_explained(make: Any) -> None:
    a = make.agreement(left_out=(LeftOut(judge="guard", why="measures harm, not refusal"),))
    said = text(make, a)
    assert "Left out: “guard”: measures harm, not refusal." in said
    assert "an answer may neither refuse nor do harm" in said


def test_a_mismatch_of_constructs_brought_on_by_a_map_is_named(make: Any) -> None:
    judges = (make.judge("a"), make.judge("b", construct="harm"))
    said = text(make, make.agreement(judges, question={"maps": ("harm::unsafe=compliance",)}))
    assert "the question is “refusal”, what the judges measure is “refusal” by “a” and “harm” by “b”" in said
    assert "part of what looks like disagreement is that mismatch" in said


def test_scores_alone_are_not_spoken_of_as_labels(make: Any) -> None:
    judges = tuple(make.judge(name, None) for name in "abc")
    said = text(make, make.agreement(judges, question={"labels": (), "positive": None, "level": "interval"}))
    assert "gave exactly the same score" in said
    assert "each verdict is a score" in said


def test_labels_that_are_numbers_at_nominal_level_are_remarked(make: Any) -> None:
    question = {"labels": ("1", "2", "5"), "positive": None}
    assert "“1” against “2” counts as much as against “5”" in text(make, make.agreement(question=question))


def test_notes_are_sentences_and_odd_labels_stand_after_the_headline(make: Any) -> None:
    odd = "labels that only one judge gives: 'x'; if they are no labels or other spellings: --labels a,b"
    kind = "all judges are keyword lists: that they agree says little"
    a = make.agreement(notes=(kind, odd))
    for said in (opening(make.question(a)), agreement_sentences(a)):
        assert said[1] == f"L{odd[1:]}."
        assert said[-1] == f"A{kind[1:]}."
        assert len([sentence for sentence in said if "only one judge gives" in sentence]) == 1
    assert gist(make.question(a)).startswith("“refusal” (3 judges of one kind, 100 outputs): ")


def test_the_short_line_claims_no_more_than_the_interval(make: Any) -> None:
    def short(alpha: Any) -> str:
        return gist(make.question(agreed((0.9, 0.85, 0.95), alpha, make)))

    assert "good for tentative conclusions, not surely for more: " in short((0.847, 0.771, 0.919))
    assert "alpha .847, but its interval [.771, .919] reaches below .800; " in short((0.847, 0.771, 0.919))
    assert "how reliable cannot be said from 100 outputs: " in short((1.0, -0.315, 1.0))
    assert "passes the customary bar: " in short((0.9, 0.85, 0.95))


def test_several_questions_get_a_line_each(make: Any) -> None:
    a = make.question()
    b = make.question(make.agreement(question={"name": "harm"}, left_out=(LeftOut(judge="x", why="y"),)))
    assert summary([a, b]) == (gist(a), gist(b))
    assert gist(b) == (
        "“harm” (3 judges, 100 outputs): good for tentative conclusions only: raw agreement 85.0 % [80.0, 90.0], "
        "alpha .700 [.680, .720]; no reference; 10.0 % of the verdicts are flagged; of 2 comparisons of models 1 holds "
        "under every judge and 1 changes sign with the judge; 1 judge left out."
    )
    assert summary([]) == ("There is no question to report on.",)


def test_agreement_alone_speaks_of_no_flags(make: Any) -> None:
    said = " ".join(agreement_sentences(make.agreement()))
    assert "flagged" not in said
    assert "alpha is .700" in said


def test_hostile_names_are_shown_and_not_obeyed(make: Any) -> None:
    judges = tuple(make.judge(name) for name in ("a\x1b[31m\n", "b\u202e", "c" * 500))
    for sentence in opening(make.question(make.agreement(judges))):
        assert sentence.isprintable()
        assert len(sentence) < 700
