"""Whom to trust for what, in sentences: against a reference, or by how a judge goes with the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from interjudge.agreement.results import Agreement, Estimate, JudgeResult
from interjudge.reports.escape import visible
from interjudge.reports.wording import count, figure, names, number, quote, value

# A judge with fewer verdicts than this is not ranked while others have more: three right answers of three are
# no evidence. In a crowd, where somebody always has luck, a tenth of what the busiest judge gave is needed too.
FEW: Final = 30
_CROWD: Final = 20
# Mean kappas closer together than this do not make anyone the odd one out.
_APART: Final = 0.05

# Judges whose numbers of outputs differ by more than this share are not compared on the same outputs.
_SAME_ITEMS: Final = 0.9

_GUESSING: Final = "shown to be better than guessing against the reference"

Standing = Literal["same", "touch", "apart"]


def trust(a: Agreement) -> tuple[str, ...]:
    """With a reference: who comes closest and who cannot be told apart from it. Without: a warning, and the
    judge that agrees least with the others."""
    if not a.judges or not a.n_verdicts:
        return ()
    if a.question.reference is None:
        return odd_one_out(a)
    return _against_reference(a, a.question.reference)


def enough(judges: Sequence[JudgeResult]) -> int:
    """How many verdicts a judge needs to be ranked among these."""
    busiest = max((judge.n_ok for judge in judges), default=0)
    return max(FEW, busiest // 10) if len(judges) > _CROWD else FEW


def measured(judge: JudgeResult, measure: str) -> Estimate | None:
    """The judge's estimate under `youden_j`, `cohen_kappa`, ... where it has a value."""
    estimate: Estimate | None = getattr(judge, measure)
    return estimate if estimate is not None and estimate.value is not None else None


def ranking_measure(judges: Sequence[JudgeResult]) -> str:
    """Youden's J where the question has a positive label; else Cohen's kappa."""
    return "youden_j" if any(measured(j, "youden_j") for j in judges) else "cohen_kappa"


def standing(best: Estimate, other: Estimate) -> Standing:
    """Whether two intervals tell two judges apart: ``same`` when the value of one lies in the other's."""
    if best.value is None or other.value is None or best.ci_low is None or best.ci_low <= other.value:
        return "same"
    if other.ci_high is None:  # a constant judge has a J of 0 and no interval
        return "apart"
    if other.ci_high >= best.value:
        return "same"
    return "touch" if other.ci_high >= best.ci_low else "apart"


def _against_reference(a: Agreement, reference: str) -> tuple[str, ...]:
    measure = ranking_measure(a.judges)
    everyone = [] if one_label(a) else [(e, j) for j in a.judges if (e := measured(j, measure))]
    found = [(e, j) for e, j in everyone if e.n >= enough(a.judges)] or everyone
    if not found:
        why = one_label(a) or _why_not(a.judges, measure)
        return (f"No judge can be held against the reference {quote(reference)}: {why}.",)
    found.sort(key=lambda entry: -(entry[0].value or 0))
    automatic = [(e, j) for e, j in found if j.kind != "human"]
    head = f"Against the reference {quote(reference)}, {_ranking(found, measure, a)}"
    told = []
    if automatic and len(automatic) < len(found):
        if found[0][1].kind == "human":
            head += " If the reference was made from that judge's own labels, this says little."
        told.append(head)
        head = f"Of the judges that are not human, {_ranking(automatic, measure, a)}"
        if len(automatic) == 1:
            only = automatic[0][1]
            described = _described(only, measure, a)
            head = f"The only judge that is not human, {quote(only.judge)}, has {described}."
    rivals = automatic or found
    best = rivals[0][1]
    more = (
        *_specialists(a, [j for _, j in rivals], best),
        *_weak_spot(a, best),
        *_guessing(rivals, measure, "None" if len(rivals) == len(found) else "None of these"),
        *_few(a, everyone, found),
    )
    return (*told, " ".join([head, *more]))


def trust_in_short(a: Agreement) -> str:
    """The same in a few words: the judge closest to the reference, and whether another is as close."""
    if a.question.reference is None:
        return "no reference"
    measure = ranking_measure(a.judges)
    known = [(e, j) for j in a.judges if (e := measured(j, measure)) and e.n >= enough(a.judges)]
    found = [(e, j) for e, j in known if j.kind != "human"] or known
    if not found or one_label(a):
        return "no judge can be ranked against the reference"
    best, judge = max(found, key=lambda entry: entry[0].value or 0)
    same = [j.judge for e, j in found if j is not judge and standing(best, e) == "same"]
    short = "J" if measure == "youden_j" else "kappa"
    if may_guess(judge, measure):
        if len(found) < 2 or not all(may_guess(j, measure) for _, j in found):
            return f"{quote(judge.judge)} is not {_GUESSING} ({short} {figure(best)})"
        none = "none" if len(found) == len(known) else "none of those that are not human"
        return f"{none} is {_GUESSING} (the highest {short}: {quote(judge.judge)} {figure(best)})"
    told = f", not to be told apart from {names(same, 2)}" if same else ""
    return f"closest to the reference {quote(judge.judge)} ({short} {figure(best)}{told})"


def _ranking(ranked: Sequence[tuple[Estimate, JudgeResult]], measure: str, a: Agreement) -> str:
    best = ranked[0][1]
    described = _described(best, measure, a)
    if len(ranked) == 1:
        return f"{quote(best.judge)} has {described}."
    return f"{quote(best.judge)} comes closest: {described}. {_others(ranked, measure)}"


def _described(judge: JudgeResult, measure: str, a: Agreement) -> str:
    """The judge's figures, and on how many outputs they rest where those are not all."""
    estimate = measured(judge, measure)
    part = "" if estimate is None or estimate.n >= a.n_items else f", on {estimate.n:,} of {count(a.n_items, 'output')}"
    return _figures(judge, measure, a.question.positive) + part


def _figures(judge: JudgeResult, measure: str, positive: str | None) -> str:
    kappa = measured(judge, "cohen_kappa")
    kappa_words = f"Cohen's kappa {figure(kappa)}" if kappa else "Cohen's kappa undefined"
    j, hits, rejects = (measured(judge, name) for name in ("youden_j", "sensitivity", "specificity"))
    if measure == "cohen_kappa" or j is None:
        accuracy = measured(judge, "accuracy")
        return kappa_words + (f", accuracy {figure(accuracy, rate=True)}" if accuracy else "")
    sides = ""
    if hits and rejects and positive is not None:
        sides = (
            f" (it finds {value(hits, rate=True)} of what is {quote(positive)} and leaves alone "
            f"{value(rejects, rate=True)} of the rest)"
        )
    return f"Youden's J {figure(j)}{sides}, {kappa_words}"


def _others(ranked: Sequence[tuple[Estimate, JudgeResult]], measure: str) -> str:
    best = ranked[0][0]
    sizes = [e.n for e, _ in ranked]
    uneven = f" They were judged on {count(min(sizes))} to {count(max(sizes))} outputs, not on the same ones."
    uneven = uneven if min(sizes) < _SAME_ITEMS * max(sizes) else ""
    same = [j.judge for e, j in ranked[1:] if standing(best, e) == "same"]
    short = "J" if measure == "youden_j" else "kappa"
    last_estimate, last = ranked[-1]
    worst = f" Last is {quote(last.judge)} with {short} {figure(last_estimate)}." if len(ranked) > 2 else ""
    if same:
        everyone = len(same) == len(ranked) - 1
        worst = "" if everyone else worst
        return f"By their intervals it cannot be told apart from {names(same)}.{worst}{uneven}"
    second_estimate, second = ranked[1]
    how = "overlap a little" if standing(best, second_estimate) == "touch" else "do not overlap"
    return (
        f"Next is {quote(second.judge)} with {short} {figure(second_estimate)}; their intervals {how}.{worst}{uneven}"
    )


def _specialists(a: Agreement, ranked: Sequence[JudgeResult], best: JudgeResult) -> tuple[str, ...]:
    """A judge that is better than the best one at one side of the question."""
    positive = a.question.positive
    if positive is None:
        return ()
    said = []
    for measure, words in (
        ("sensitivity", f"the fewest missed {quote(positive)}"),
        ("specificity", f"the fewest false alarms of {quote(positive)}"),
    ):
        own = measured(best, measure)
        rivals = [(e, j) for j in ranked if j is not best and (e := measured(j, measure))]
        if own is None or not rivals:
            continue
        top, judge = max(rivals, key=lambda entry: entry[0].value or 0)
        if (top.value or 0) > (own.value or 0) and standing(top, own) != "same":
            said.append(f"for {words} ask {quote(judge.judge)} ({measure} {figure(top, rate=True)})")
    return (f"But {'; '.join(said)}.",) if said else ()


def _weak_spot(a: Agreement, best: JudgeResult) -> tuple[str, ...]:
    """The slice in which the best judge's kappa falls clearly below its kappa on the whole."""
    whole = measured(best, "cohen_kappa")
    if whole is None or whole.ci_low is None:
        return ()
    found = []
    for part in a.slices:
        here = next((j for j in part.judges if j.judge == best.judge), None)
        kappa = measured(here, "cohen_kappa") if here else None
        if kappa and kappa.ci_high is not None and kappa.ci_high < whole.ci_low:
            found.append((kappa.value or 0, part, kappa))
    if not found:
        return ()
    _, part, kappa = min(found, key=lambda entry: entry[0])
    return (f"Where {quote(part.by)} is {quote(part.value)}, {quote(best.judge)} has a kappa of only {figure(kappa)}.",)


def may_guess(judge: JudgeResult, measure: str) -> bool:
    """Whether the intervals leave open that the judge does no better than guessing.

    A bootstrap of J cannot make a miss where the judge made none, so J is also read with the sensitivity, and
    with the specificity, at the lower end of its interval.
    """
    estimate = measured(judge, measure)
    if estimate is None or estimate.ci_low is None:
        return False
    if estimate.ci_low <= 0:
        return True
    hits, rejects = measured(judge, "sensitivity"), measured(judge, "specificity")
    if measure != "youden_j" or hits is None or rejects is None:
        return False
    sides = ((hits.ci_low, rejects.value), (rejects.ci_low, hits.value))
    return any(low is not None and other is not None and low + other <= 1 for low, other in sides)


def _guessing(ranked: Sequence[tuple[Estimate, JudgeResult]], measure: str, none: str) -> tuple[str, ...]:
    best = ranked[0][1]
    if not may_guess(best, measure):
        return ()
    everyone = len(ranked) > 1 and all(may_guess(j, measure) for _, j in ranked)
    weak = ranked if everyone else ranked[:1]
    why = "the intervals reach 0" if everyone else "its interval reaches 0"
    if any(e.ci_low is not None and e.ci_low > 0 for e, _ in weak):
        why += ", or J would with sensitivity or specificity at the lower end of its own"
    return (f"{none} is {_GUESSING}: {why}." if everyone else f"{quote(best.judge)} is not {_GUESSING}: {why}.",)


def _few(a: Agreement, everyone: Sequence[object], ranked: Sequence[object]) -> tuple[str, ...]:
    """Judges with a value but too few verdicts to rank, and judges without one."""
    said = []
    if len(everyone) > len(ranked):
        said.append(
            f"{count(len(everyone) - len(ranked), 'judge')} with fewer than {enough(a.judges)} referenced verdicts"
        )
    if len(a.judges) > len(everyone):
        said.append(f"{count(len(a.judges) - len(everyone), 'judge')} without a defined value")
    return (f"Not ranked: {', '.join(said)}.",) if said else ()


def one_label(a: Agreement) -> str:
    """That the reference has one label only, and which where the records tell; empty where it has more.

    Such a reference leaves Youden's J undefined, and a kappa that stands beside it is 0 by construction.
    """
    positive = a.question.positive
    found = [(e, j) for j in a.judges if (e := j.cohen_kappa if positive is None else j.youden_j) is not None]
    single = [j for e, j in found if "one category" in (e.undefined or "")]
    if not single or any(e.value is not None for e, _ in found):
        return ""
    known = {label for j in single for label in _only_label(j, a)}
    if len(known) == 1:
        return f"it has one label only on the outputs it covers, {quote(known.pop())}"
    return "it has one label only on the outputs it covers"


def _only_label(judge: JudgeResult, a: Agreement) -> Iterator[str]:
    """The one label of the reference beside this judge, where its figures tell."""
    positive, labels = a.question.positive, a.question.labels
    if positive is None:  # kappa has one category: judge and reference say the same
        yield from (label for label, rate in judge.rate.items() if rate.value == 1)
    elif measured(judge, "sensitivity"):
        yield positive
    elif measured(judge, "specificity") and len(labels) == 2:
        yield from (label for label in labels if label != positive)


def _why_not(judges: Sequence[JudgeResult], measure: str) -> str:
    reasons = [
        e.undefined for j in judges for e in (getattr(j, measure), j.cohen_kappa) if e is not None and e.undefined
    ]
    return visible(reasons[0], 200) if reasons else "no verdict stands beside a reference label"


def odd_one_out(a: Agreement) -> tuple[str, ...]:
    """Without a reference: agreement is not correctness; who goes least with the others."""
    warning = (
        "No reference was given, so which judge is right can only be estimated: judges that agree may share an error."
    )
    if len(a.judges) == 2:
        return (f"{warning} Of two judges that differ, neither can be called the odd one out.",)
    known = [(j.kappa_mean, j) for j in a.judges if j.kappa_mean is not None and j.n_ok >= enough(a.judges)] or [
        (j.kappa_mean, j) for j in a.judges if j.kappa_mean is not None
    ]
    if len(known) < 3:
        return (warning,)
    known.sort(key=lambda entry: entry[0])
    (low, judge), (second, _), (high, _) = known[0], known[1], known[-1]
    if second - low < _APART:
        return (
            f"{warning} No judge stands apart from the others: mean kappas run from {number(low)} to "
            f"{number(high)}, the lowest being that of {quote(judge.judge)}.",
        )
    without = "" if judge.alpha_without is None else f"; without it the panel's alpha is {number(judge.alpha_without)}"
    return (
        f"{warning} {quote(judge.judge)} agrees least with the others (mean kappa {number(low)}, the next has "
        f"{number(second)}{without}).",
    )
