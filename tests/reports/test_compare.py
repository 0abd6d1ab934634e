"""Two reports beside each other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from interjudge.agreement.compare import compare
from interjudge.agreement.results import Agreement
from interjudge.agreement.results_rates import CONSENSUS, CorrectedRate, Rate, Rates
from interjudge.agreement.results_trust import Ability, ErrorCorrelation, JudgeTrust, Ranked, Ranking, Trust
from interjudge.reports.compare import Compared, compare_reports, opening, render_markdown, sentences
from interjudge.reports.compare_tables import tables
from interjudge.reports.report import InputFile


def panel(make: Any, alpha: float, judges: tuple[Any, ...], **more: Any) -> Agreement:
    found = (
        make.coefficient("krippendorff_alpha", alpha, alpha - 0.03, alpha + 0.03),
        make.coefficient("percent_agreement", 0.85, 0.8, 0.9),
    )
    return make.agreement(judges, coefficients=found, **more)  # type: ignore[no-any-return]


def rates(make: Any, whole: float, **models: float) -> Rates:
    rows = [
        Rate(
            judge=CONSENSUS, model=model, n_items=100, n_labelled=0, n_missing=0,
            raw=make.est(value, value - 0.03, value + 0.03), bounds=None, recommended="raw", corrected=False, why="",
        )
        for model, value in ((None, whole), *models.items())
    ]  # fmt: skip
    return Rates(label="refusal", reference=None, n_items=100, n_labelled=0, quoted=None, rates=tuple(rows))


def trust(make: Any, *order: str) -> Trust:
    e = make.est(0.5)
    able = Ability(sensitivity=e, specificity=e, youden_j=e, accuracy=e)
    return Trust(
        judges=tuple(JudgeTrust(judge=name, family=1, effective_vote=1.0, estimated=able) for name in order),
        families=(order,), effective_judges=1.0, n_reference=0, error_correlation=ErrorCorrelation(estimated=None),
        ranking=Ranking(
            measure="youden_j", basis="estimate", items="common", n_items=100, best=order[0],
            judges=tuple(Ranked(judge=name, value=e, p_best=None) for name in order), tied_with_best=(),
        ),
        model="m", why="w", replicates=0,
    )  # fmt: skip


@pytest.fixture
def compared(make: Any) -> Compared:
    """alpha .70 to .80 (each +-.03), beta gets another hash and says refusal .2 more often, gamma goes, delta comes."""
    old = panel(make, 0.7, (make.judge("a", 0.3, hash="1"), make.judge("b", 0.4, hash="2"), make.judge("gamma", 0.5)))
    new = panel(make, 0.8, (make.judge("a", 0.3, hash="1"), make.judge("b", 0.6, hash="3"), make.judge("delta", 0.5)))
    before = make.conclusions(
        make.comparison("x", "y", "clear", 0.2, 0.3), make.comparison("x", "z", "clear", 0.2, 0.3)
    )
    after = make.conclusions(make.comparison("y", "x", "clear", 0.2, 0.3), make.comparison("x", "z", "clear", 0.2, 0.4))
    reports = (
        make.report(
            make.question(old, conclusions=before, trust=trust(make, "a", "b"), rates=rates(make, 0.4, x=0.3, y=0.5))
        ),
        make.report(
            make.question(new, conclusions=after, trust=trust(make, "b", "a"), rates=rates(make, 0.4, x=0.6, y=0.5))
        ),
    )
    return compare_reports(*reports)


def test_the_figures(compared: Compared) -> None:
    (q,) = compared.changes.questions
    alpha = next(c for c in q.coefficients if c.name == "krippendorff_alpha").difference
    # .8 - .7 and sqrt(.03^2 + .03^2) = .0424
    assert (alpha.value, alpha.ci_low, alpha.ci_high) == pytest.approx((0.1, 0.1 - 0.0424, 0.1 + 0.0424), abs=5e-5)
    status = {j.judge: j.status for j in q.judges}
    assert status == {"a": "same", "b": "new version", "delta": "added", "gamma": "removed"}
    b = next(j for j in q.judges if j.judge == "b")
    assert b.rate is not None
    # .6 - .4 and sqrt(.05^2 + .05^2) = .0707
    assert (b.rate.difference.value, b.rate.difference.ci_low) == pytest.approx((0.2, 0.2 - 0.0707), abs=5e-5)
    assert b.rank == (2, 1)
    assert {r.model: (r.rank, r.clear) for r in q.rates} == {
        None: (None, False),
        "x": ((2, 1), True),
        "y": ((1, 2), False),
    }
    turned = {(c.a, c.b): c.turned for c in q.conclusions}
    assert turned == {("y", "x"): ("alpha", "beta"), ("x", "z"): ()}


def test_the_sentences(compared: Compared) -> None:
    said = "\n".join(sentences(compared.changes.questions[0]))
    assert "alpha went from .700 to .800: +.100 (95 % interval +.058 to +.142), a clear change." in said
    assert "Raw agreement stayed at 85.0 %." in said
    assert "new in the panel: “delta”; gone from it: “gamma”; another version under the same name: “b”." in said
    assert "“b”: its rate of “refusal” went from 40.0 % to 60.0 %: +20.0 points" in said
    assert "First in the ranking is “b”; it was “a”." in said
    assert "By model it changed clearly for 1 of 2: “x”." in said
    assert "Of 2 comparisons of models in both reports 1 changed: “y” against “x” was “clear” the other way" in said
    assert "1 of them turned round" in said


def test_a_rate_that_one_report_alone_corrects_is_said_so(make: Any) -> None:
    """x: .3 to .6, corrected in the new report alone; what changed is how it was estimated, too."""
    old, new = rates(make, 0.4, x=0.3), rates(make, 0.4, x=0.6)
    fixed = CorrectedRate(value=0.6, ci_low=0.57, ci_high=0.63, n=40, method="PPI++")
    whole, x = new.rates
    x = x.model_copy(update={"corrected": True, "recommended": "ppi", "ppi": fixed})
    new = new.model_copy(update={"rates": (whole, x)})
    (q,) = compare([make.question(rates=old)], [make.question(rates=new)]).questions
    said = "\n".join(sentences(q))
    assert "for 1 of 1: “x”; corrected by reference labels in the new report alone, which is part of it." in said
    assert "stayed at 40.0 %." in said


def test_what_the_intervals_assume_is_said(compared: Compared, make: Any) -> None:
    assert "wider than they need be" in opening(compared)[0]
    assert compared.same_inputs == ("verdicts.parquet",)
    other = make.report().provenance.model_copy(
        update={"inputs": (InputFile(name="other", rows=1, sha256="1" * 64),), "interjudge": "0.0.9"}
    )
    said = opening(compare_reports(make.report(provenance=other), make.report()))
    assert said[0] == (
        "They were made by different versions of interjudge (0.0.9 and 0.1.0): part of a difference may come from that."
    )
    assert said[1].startswith("No input file is the same in both.")


def test_the_same_report_has_not_changed(make: Any) -> None:
    (q,) = compare_reports(make.report(), make.report()).changes.questions
    assert not q.differs
    assert all(c.difference.value == 0 and not c.clear for c in q.coefficients)
    assert not any(c.changed for c in q.conclusions)
    assert "Of 2 comparisons of models in both reports none changed." in sentences(q)


def test_questions_are_matched_by_name(make: Any) -> None:
    def asked(*questions: str) -> Any:
        return make.report(*(make.question(make.agreement(question={"name": name})) for name in questions))

    found = compare_reports(asked("a", "b"), asked("b", "c")).changes
    assert [q.name for q in found.questions] == ["b"]
    assert (found.only_old, found.only_new) == (("a",), ("c",))
    (alone,) = compare_reports(asked("a"), asked("c")).changes.questions
    assert alone.differs == ("name",)
    nothing = compare_reports(asked("a", "b"), asked("c"))
    assert "no question in common" in opening(nothing)[0]
    assert render_markdown(nothing).startswith("# What changed")


def test_another_label_or_confidence_is_not_compared(make: Any) -> None:
    other = make.question(make.agreement(question={"positive": "compliance"}))
    (q,) = compare([make.question()], [other]).questions
    assert q.label is None
    assert (q.rates, q.conclusions) == ((), ())
    assert all(j.rate is None for j in q.judges)
    (q,) = compare([make.question()], [make.question(make.agreement(confidence=0.9))]).questions
    assert q.confidence is None
    assert all(c.difference.ci_low is None for c in q.coefficients)
    assert "of different confidence" in "\n".join(sentences(q))


def test_an_undefined_value_is_said_so(make: Any) -> None:
    gone = make.agreement(coefficients=(make.coefficient("krippendorff_alpha", None),))
    (q,) = compare([make.question()], [make.question(gone)]).questions
    assert "to —: the difference is unknown (no value in the new report: one category)" in "\n".join(sentences(q))
    assert any("one category" in note for t in tables(q) for note in t.notes)


def test_the_json_reads_back(compared: Compared) -> None:
    text = compared.model_dump_json()
    assert Compared.model_validate_json(text) == compared
    assert json.loads(text)["schema_version"] == "1"


@given(st.text(max_size=30), st.text(max_size=30))
@settings(max_examples=30, deadline=None)
def test_names_from_data_are_text_alone(make: Any, first: str, second: str) -> None:
    judges = (make.judge(f"1{first}", 0.3), make.judge(f"2{second}", 0.5))
    question = make.question(
        make.agreement(judges), conclusions=make.conclusions(make.comparison(first, "b", "clear", 0.1, 0.2))
    )
    text = render_markdown(compare_reports(make.report(question), make.report(question, title=second)))
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    kinds = {child.type for t in tokens for child in (t, *(t.children or ()))}
    assert not {"html_inline", "html_block", "link_open", "image", "code_inline", "fence", "hr"} & kinds
