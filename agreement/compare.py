"""Two sets of results -> what changed between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from interjudge.agreement.difference import METHOD, difference
from interjudge.agreement.results import Estimate, JudgeResult
from interjudge.agreement.results_compare import (
    Change,
    Changes,
    CoefficientChange,
    ConclusionChange,
    JudgeChange,
    JudgeStatus,
    QuestionChange,
    RateChange,
)
from interjudge.agreement.results_question import QuestionResult
from interjudge.agreement.results_rates import Rate, Rates
from interjudge.agreement.results_trust import Ranking

_MEASURES = ("sensitivity", "specificity", "youden_j", "cohen_kappa")


def compare(old: Sequence[QuestionResult], new: Sequence[QuestionResult]) -> Changes:
    """What changed from the old results to the new, question by question.

    Questions are matched by name; where each side has one alone, those two are compared whatever their names.
    Values and intervals are those of the results; nothing is estimated anew.
    """
    by_name = {q.agreement.question.name: q for q in new}
    pairs = [(q, by_name[q.agreement.question.name]) for q in old if q.agreement.question.name in by_name]
    if not pairs and len(old) == len(new) == 1:
        pairs = [(old[0], new[0])]
    left = {id(q) for pair in pairs for q in pair}
    return Changes(
        method=METHOD,
        questions=tuple(_question(a, b) for a, b in pairs),
        only_old=tuple(q.agreement.question.name for q in old if id(q) not in left),
        only_new=tuple(q.agreement.question.name for q in new if id(q) not in left),
    )


def _question(old: QuestionResult, new: QuestionResult) -> QuestionChange:
    a, b = old.agreement, new.agreement
    same = a.confidence == b.confidence
    positive = b.question.positive if a.question.positive == b.question.positive else None
    return QuestionChange(
        name=b.question.name,
        label=positive,
        differs=tuple(_differs(old, new)),
        confidence=b.confidence if same else None,
        n_items=(a.n_items, b.n_items),
        n_verdicts=(a.n_verdicts, b.n_verdicts),
        n_labelled=(_labelled(old.rates), _labelled(new.rates)),
        n_flagged=(old.flags.n_flagged if old.flags else None, new.flags.n_flagged if new.flags else None),
        effective_judges=(
            a.worth.effective_judges if a.worth else None,
            b.worth.effective_judges if b.worth else None,
        ),
        coefficients=tuple(_coefficients(old, new, same)),
        judges=tuple(_judges(old, new, positive, same)),
        rates=_rates(old.rates, new.rates, same) if positive is not None else (),
        conclusions=tuple(_conclusions(old, new)) if positive is not None else (),
    )


def _differs(old: QuestionResult, new: QuestionResult) -> Iterator[str]:
    """What makes the two questions not the same one."""
    a, b = old.agreement.question, new.agreement.question
    for words, before, after in (
        ("name", a.name, b.name),
        ("construct", a.construct_name, b.construct_name),
        ("labels", sorted(a.labels), sorted(b.labels)),
        ("positive label", a.positive, b.positive),
        ("level", a.level, b.level),
        ("maps", sorted(a.maps), sorted(b.maps)),
        ("thresholds", a.thresholds, b.thresholds),
        ("reference", a.reference, b.reference),
        ("confidence", old.agreement.confidence, new.agreement.confidence),
        ("sampling unit", old.agreement.unit, new.agreement.unit),
    ):
        if before != after:
            yield words


def _labelled(rates: Rates | None) -> int:
    return rates.n_labelled if rates else 0


def _change(old: Estimate, new: Estimate, same: bool) -> Change:
    return Change(old=_bare(old), new=_bare(new), difference=difference(old, new, same_confidence=same))


def _bare(e: Estimate) -> Estimate:
    """The figure without what a kind of estimate carries besides."""
    return Estimate(value=e.value, ci_low=e.ci_low, ci_high=e.ci_high, n=e.n, undefined=e.undefined)


def _coefficients(old: QuestionResult, new: QuestionResult, same: bool) -> Iterator[CoefficientChange]:
    known = {(c.name, c.level): c for c in old.agreement.coefficients}
    for c in new.agreement.coefficients:
        before = known.get((c.name, c.level))
        if before is not None and (before.value is not None or c.value is not None):
            change = _change(before, c, same)
            yield CoefficientChange(
                name=c.name, level=c.level, old=change.old, new=change.new, difference=change.difference
            )


def _judges(old: QuestionResult, new: QuestionResult, positive: str | None, same: bool) -> Iterator[JudgeChange]:
    before = {j.judge: j for j in old.agreement.judges}
    after = {j.judge: j for j in new.agreement.judges}
    ranks = _judge_ranks(old, new)
    same_truth = old.agreement.question.reference is not None and new.agreement.question.reference is not None
    for name in [*after, *(name for name in before if name not in after)]:
        a, b = before.get(name), after.get(name)
        yield JudgeChange(
            judge=name,
            status=_status(a, b),
            old_hash=a.hash if a else None,
            new_hash=b.hash if b else None,
            n_ok=(a.n_ok if a else None, b.n_ok if b else None),
            n_missing=(sum(a.missing.values()) if a else None, sum(b.missing.values()) if b else None),
            rate=_of(_rate(a, positive), _rate(b, positive), same),
            **{
                measure: _of(getattr(a, measure, None), getattr(b, measure, None), same) if same_truth else None
                for measure in _MEASURES
            },
            rank=ranks.get(name),
        )


def _rate(judge: JudgeResult | None, label: str | None) -> Estimate | None:
    return judge.rate.get(label) if judge is not None and label is not None else None


def _of(old: Estimate | None, new: Estimate | None, same: bool) -> Change | None:
    return _change(old, new, same) if old is not None and new is not None else None


def _status(old: JudgeResult | None, new: JudgeResult | None) -> JudgeStatus:
    if old is None:
        return "added"
    if new is None:
        return "removed"
    if old.hash is None or new.hash is None:
        return "unknown version"
    return "same" if old.hash == new.hash else "new version"


def _judge_ranks(old: QuestionResult, new: QuestionResult) -> dict[str, tuple[int, int]]:
    a, b = _ranking(old), _ranking(new)
    if a is None or b is None or (a.measure, a.basis) != (b.measure, b.basis):
        return {}
    before = {j.judge: i for i, j in enumerate(a.judges, 1)}
    after = {j.judge: i for i, j in enumerate(b.judges, 1)}
    return {name: (before[name], place) for name, place in after.items() if name in before}


def _ranking(question: QuestionResult) -> Ranking | None:
    return question.trust.ranking if question.trust else None


def _rates(old: Rates | None, new: Rates | None, same: bool) -> tuple[RateChange, ...]:
    if old is None or new is None:
        return ()
    before, after = _quoted(old), _quoted(new)
    shared = [model for model in after if model in before]
    ranks = [_places({m: rates[m].quoted.value for m in shared if m is not None}) for rates in (before, after)]
    found = []
    for model in shared:
        change = _change(before[model].quoted, after[model].quoted, same)
        places = (ranks[0].get(model or ""), ranks[1].get(model or "")) if model is not None else (None, None)
        found.append(
            RateChange(
                model=model,
                corrected=(before[model].corrected, after[model].corrected),
                rank=None if places[0] is None or places[1] is None else (places[0], places[1]),
                old=change.old,
                new=change.new,
                difference=change.difference,
            )
        )
    return tuple(found)


def _quoted(rates: Rates) -> dict[str | None, Rate]:
    """The row to quote of each model and of all outputs: of the judge in `quoted`, else the first."""
    found: dict[str | None, Rate] = {}
    for row in rates.rates:
        if row.model not in found or row.judge == rates.quoted:
            found[row.model] = row
    return found


def _places(values: Mapping[str, float | None]) -> dict[str, int]:
    """name -> its place by value, the highest first; equal values share the better place."""
    known = {name: value for name, value in values.items() if value is not None}
    return {name: 1 + sum(other > value for other in known.values()) for name, value in known.items()}


def _conclusions(old: QuestionResult, new: QuestionResult) -> Iterator[ConclusionChange]:
    if old.conclusions is None or new.conclusions is None:
        return
    before = {(c.a, c.b): c for c in old.conclusions.comparisons}
    for c in new.conclusions.comparisons:
        was, sign = before.get((c.a, c.b)), 1
        if was is None:
            was, sign = before.get((c.b, c.a)), -1
        if was is None:
            continue
        turned = [
            judge
            for judge, e in c.difference.items()
            if judge in was.difference and _sign(e) * sign * _sign(was.difference[judge]) < 0
        ]
        yield ConclusionChange(a=c.a, b=c.b, old=was.holds, new=c.holds, turned=tuple(turned))


def _sign(e: Estimate) -> int:
    """1 or -1 where the interval lies on one side of 0."""
    if e.ci_low is None or e.ci_high is None:
        return 0
    return 1 if e.ci_low > 0 else -1 if e.ci_high < 0 else 0
