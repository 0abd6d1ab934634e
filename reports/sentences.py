"""The answer in plain sentences, from the records alone: nothing is estimated here.

Names from the data stand in quotation marks and hold no control characters; each writer escapes the whole
sentence once more for its target.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from interjudge.agreement.results import (
    Agreement,
    Coefficient,
    Comparison,
    Conclusions,
    FlagSummary,
)
from interjudge.agreement.results_question import QuestionResult
from interjudge.reports import section_rates, section_trust
from interjudge.reports.coverage import constructs, left_out, missing, notes, odd_labels, one_kind
from interjudge.reports.escape import visible
from interjudge.reports.reliability import Band, band, headline, reach, reliability, scope, unevenness
from interjudge.reports.section_truth import calibration_sentences, worth_sentences
from interjudge.reports.trust import trust, trust_in_short
from interjudge.reports.wording import (
    count,
    figure,
    interval,
    listed,
    percent,
    points,
    quote,
    share,
    value,
)

# A judge flagged this many times as often as verdicts are on the whole is named.
_STANDS_OUT: Final = 1.1
# The reason that only flags made with a reference give (agreement/flags.py).
_KNOWS_REFERENCE: Final = "contradicts the reference"


def opening(question: QuestionResult) -> tuple[str, ...]:
    """What the report opens with when it is about one question."""
    a = question.agreement
    found = (
        *_reliability(a),
        scope(a),
        *_families(question),
        *trust(a),
        *_best_by_estimate(question),
        *unevenness(a),
        *section_rates.sentences(question.rates, a)[:1],
        flagged(question.flags, a),
        *calibration_sentences(question.flags),
        *conclusions(question.conclusions),
        *constructs(a),
        *left_out(a),
        *missing(a, question.conclusions),
        *notes(a),
    )
    return tuple(sentence for sentence in found if sentence)


def _families(question: QuestionResult) -> tuple[str, ...]:
    """Who errs together, by the verdicts alone; beside a reference, with what it says of that."""
    a = question.agreement
    if a.question.reference is None or question.trust is None:
        return worth_sentences(a)
    return section_trust.together(question.trust) if len(a.judges) > 2 else ()


def _best_by_estimate(question: QuestionResult) -> tuple[str, ...]:
    """Without a reference: who is best by the estimated truth."""
    if question.agreement.question.reference is not None:
        return ()
    return section_trust.sentences(question.trust, question.agreement)[:1]


def agreement_sentences(a: Agreement) -> tuple[str, ...]:
    """The same for the agreement alone: no flags, no conclusions."""
    return (
        *_reliability(a),
        scope(a),
        *trust(a),
        *unevenness(a),
        *constructs(a),
        *left_out(a),
        *missing(a, None),
        *notes(a),
    )


def _reliability(a: Agreement) -> tuple[str, ...]:
    """The headline, then what may spoil it, then the rest."""
    head, *rest = reliability(a)
    return (head, *odd_labels(a), *rest)


def summary(questions: Sequence[QuestionResult]) -> tuple[str, ...]:
    """The opening of the whole report: everything about one question, or the gist of each of several."""
    if not questions:
        return ("There is no question to report on.",)
    if len(questions) == 1:
        return opening(questions[0])
    return tuple(gist(question) for question in questions)


def gist(question: QuestionResult) -> str:
    """One of several questions in a few words: how reliable, whom to trust, how much is flagged, what holds."""
    a = question.agreement
    raw, alpha = headline(a, a.question.level)
    figures = [
        *([f"raw agreement {figure(raw, rate=True)}"] if raw and raw.value is not None else []),
        *([_alpha(alpha)] if alpha and alpha.value is not None else []),
    ]
    why = next((c.undefined for c in (alpha, raw) if c is not None and c.undefined), None)
    parts = (
        f"{_standing(alpha)}{f' ({visible(why, 80)})' if why else ''}{': ' if figures else ''}{', '.join(figures)}",
        trust_in_short(a),
        _flagged_in_short(question.flags, a),
        _conclusions_in_short(question.conclusions),
        f"{count(len(a.left_out), 'judge')} left out" if a.left_out else "",
    )
    kind = " of one kind" if one_kind(a) else ""
    size = f"{count(len(a.judges), 'judge')}{kind}, {count(a.n_items, 'output')}"
    mapped = ", labels mapped" if a.question.maps else ""
    return f"{quote(a.question.name)} ({size}{mapped}): {'; '.join(part for part in parts if part)}."


_BANDS: Final[dict[Band, str]] = {
    "undefined": "how reliable cannot be said",
    "no interval": "how reliable cannot be said without an interval",
    "firm": "passes the customary bar",
    "tentative or more": "good for tentative conclusions, not surely for more",
    "tentative": "good for tentative conclusions only",
    "unsure": "not surely good even for tentative conclusions",
    "below": "not reliable by custom",
}


def _standing(alpha: Coefficient | None) -> str:
    found = band(alpha)
    if alpha is not None and found == "too wide":
        return f"how reliable cannot be said from {count(alpha.n, 'output')}"
    return _BANDS[found]


def _alpha(alpha: Coefficient) -> str:
    crossed = reach(alpha)
    if not crossed:
        return f"alpha {figure(alpha)}"
    return f"alpha {value(alpha)}, but its interval {interval(alpha)} reaches {crossed}"


def _flagged_in_short(flags: FlagSummary | None, a: Agreement) -> str:
    if flags is None or not flags.n_verdicts:
        return ""
    if len(a.judges) < 2 and not flags.n_flagged:
        return "nothing can be flagged with one judge"
    return f"{percent(flags.n_flagged / flags.n_verdicts)} of the verdicts are flagged"


def _conclusions_in_short(found: Conclusions | None) -> str:
    if found is None or not found.comparisons or len({rate.judge for rate in found.rates}) < 2:
        return ""
    flips = sum(c.holds == "flips" for c in found.comparisons)
    clear = sum(c.holds == "clear" for c in found.comparisons)
    whole = count(len(found.comparisons), "comparison")
    hold, flip = "holds" if clear == 1 else "hold", "changes" if flips == 1 else "change"
    return f"of {whole} of models {clear:,} {hold} under every judge and {flips:,} {flip} sign with the judge"


def flagged(flags: FlagSummary | None, a: Agreement) -> str:
    """How much is flagged, why, and whose verdicts most; beside a reference, that the flags do not know it."""
    if flags is None:
        return "Nothing is flagged: flags need labels, and these judges give scores alone."
    if not flags.n_verdicts:
        return "There are no verdicts to flag."
    alone = len(a.judges) < 2
    if alone and not flags.n_flagged:
        return "Nothing can be flagged with one judge: a flag needs other verdicts to differ from."
    if not flags.n_flagged:
        return f"None of {count(flags.n_verdicts, 'verdict')} is flagged."
    head = (
        f"{share(flags.n_flagged, flags.n_verdicts, 'verdict')} are flagged, on "
        f"{share(flags.n_items_flagged, flags.n_items, 'output')}"
    )
    parts = [head]
    reasons = sorted(flags.by_reason.items(), key=lambda entry: (-entry[1], entry[0]))
    if reasons:
        parts.append("main reasons: " + listed([f"{visible(r, 60)} ({count(n)})" for r, n in reasons[:3]]))
    asked = {j.judge: j.n_ok + sum(j.missing.values()) for j in a.judges}
    by_judge = [(n / asked[j], j) for j, n in flags.by_judge.items() if asked.get(j, 0) >= 30]
    if len(by_judge) > 1 and a.question.reference is None:
        part, judge = max(by_judge)
        if part > _STANDS_OUT * flags.n_flagged / flags.n_verdicts:
            parts.append(f"most often those of {quote(judge)} ({percent(part)} of its verdicts)")
    if alone:
        return f"With one judge only a verdict that is not usable can be flagged: {'; '.join(parts)}."
    if a.question.reference is not None and _KNOWS_REFERENCE not in flags.by_reason:
        parts[-1] += ". The flags do not use the reference: they show who differs from the other judges"
    return "; ".join(parts) + "."


def conclusions(found: Conclusions | None) -> tuple[str, ...]:
    """Which comparisons between models hold whichever judge is asked, and which flip."""
    if found is None or not found.comparisons:
        return ()
    n_judges = len({rate.judge for rate in found.rates})
    total = len(found.comparisons)
    by = {kind: [c for c in found.comparisons if c.holds == kind] for kind in _HOLDS}
    whole = count(total, "comparison")
    if n_judges < 2:
        return (f"Models were compared under one judge only ({whole}): nothing shows what another would say.",)
    said = [f"{count(len(by[kind]))} {words[len(by[kind]) > 1]}" for kind, words in _HOLDS.items() if by[kind]]
    head = f"Of {whole} between models by their rate of {quote(found.label)}: {'; '.join(said)}."
    if total == 1:
        only = found.comparisons[0]
        words = _HOLDS[only.holds][0]
        pair = f"{quote(only.a)} and {quote(only.b)}"
        head = f"The one comparison of models, {pair} by their rate of {quote(found.label)}, {words}."
    flips = sorted(by["flips"], key=lambda c: (not _both_clear(c), c.kind != "fine-tune", -_spread(c)))
    if not flips:
        return (head,)
    clear = sum(_both_clear(c) for c in flips)
    shown = "; ".join(_flip(c) for c in flips[:2])
    if clear == 1 and len(flips) > 1:
        shown = f"{_flip(flips[0])}; not clear on both sides: {_flip(flips[1])}"
    rest = f"; {count(len(flips) - 2)} more in the table" if len(flips) > 2 else ""
    sure = (
        f"{count(clear)} of these changes of sign {'is' if clear == 1 else 'are'} clear on both sides"
        if clear
        else "None of these changes of sign is clear on both sides"
    )
    return (head, f"{sure}: {shown}{rest}.")


# One, and several.
_HOLDS: Final = {
    "clear": ("holds clearly under every judge", "hold clearly under every judge"),
    "same direction": (
        "points the same way under every judge, but not clearly under each",
        "point the same way under every judge, but not clearly under each",
    ),
    "flips": ("changes sign with the judge", "change sign with the judge"),
    "undecided": ("stays undecided", "stay undecided"),
}


def extremes(comparison: Comparison) -> tuple[tuple[str, float], tuple[str, float]] | None:
    """The judges with the lowest and the highest difference."""
    known = [(e.value, judge) for judge, e in comparison.difference.items() if e.value is not None]
    if not known:
        return None
    (low, least), (high, most) = min(known), max(known)
    return (least, low), (most, high)


def _spread(comparison: Comparison) -> float:
    ends = extremes(comparison)
    return 0.0 if ends is None else ends[1][1] - ends[0][1]


def _both_clear(comparison: Comparison) -> bool:
    """Whether one judge sees a clear difference and another a clear one the other way."""
    known = [e for e in comparison.difference.values() if e.ci_low is not None and e.ci_high is not None]
    return any((e.ci_low or 0) > 0 for e in known) and any((e.ci_high or 0) < 0 for e in known)


def _flip(comparison: Comparison) -> str:
    ends = extremes(comparison)
    pair = f"{quote(comparison.a)} against {quote(comparison.b)}"
    if comparison.kind == "fine-tune":
        pair += " (its base)"
    if ends is None:
        return pair
    (least, low), (most, high) = ends
    return f"{pair}: {points(low)} points under {quote(least)}, {points(high)} under {quote(most)}"
