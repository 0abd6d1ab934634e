"""The answer in plain sentences, from the records alone: nothing is estimated here.

Names from the data stand in quotation marks and hold no control characters; each writer escapes the whole
sentence once more for its target.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from interjudge.agreement.results import (
    Agreement,
    Coefficient,
    Comparison,
    Conclusions,
    FlagSummary,
    Measures,
    QuestionResult,
)
from interjudge.datasets.schema import NO_CONSTRUCT
from interjudge.reports.escape import visible
from interjudge.reports.trust import trust
from interjudge.reports.wording import (
    count,
    figure,
    listed,
    names,
    number,
    percent,
    points,
    quote,
    share,
    spanned,
    status_name,
)

# Krippendorff (2004), Content Analysis, 2nd ed., p. 241: rely on variables with alpha of .800 and more;
# between .667 and .800 draw tentative conclusions only.
FIRM: Final = 0.800
TENTATIVE: Final = 0.667

# From this gap between raw agreement and alpha on, and from this share of one label on, high agreement beside
# a low coefficient is the paradox of prevalence (Feinstein and Cicchetti 1990) and needs a word.
_PARADOX_GAP: Final = 0.3
_PREVALENT: Final = 0.65

# A judge flagged this many times as often as verdicts are on the whole is named.
_STANDS_OUT: Final = 1.1

_MISMATCH: Final = (
    "A judge of refusal and a judge of harm answer different questions: "
    "an answer may neither refuse nor do harm, and a refusal may still contain harm."
)


def opening(question: QuestionResult) -> tuple[str, ...]:
    """What the report opens with when it is about one question."""
    a = question.agreement
    found = (
        *reliability(a),
        scope(a),
        *trust(a),
        *unevenness(a),
        flagged(question.flags, a),
        *conclusions(question.conclusions),
        *constructs(a),
        *left_out(a),
        *missing(a, question.conclusions),
        *notes(a),
    )
    return tuple(sentence for sentence in found if sentence)


def agreement_sentences(a: Agreement) -> tuple[str, ...]:
    """The same for the agreement alone: no flags, no conclusions."""
    return (
        *reliability(a),
        scope(a),
        *trust(a),
        *unevenness(a),
        *constructs(a),
        *left_out(a),
        *missing(a, None),
        *notes(a),
    )


def summary(questions: Sequence[QuestionResult]) -> tuple[str, ...]:
    """The opening of the whole report: everything about one question, or the gist of each of several."""
    if not questions:
        return ("There is no question to report on.",)
    if len(questions) == 1:
        return opening(questions[0])
    return tuple(gist(question) for question in questions)


def gist(question: QuestionResult) -> str:
    """One question in a paragraph: how reliable, whom to trust, how much is flagged, what holds."""
    a = question.agreement
    parts = (
        *reliability(a)[:1],
        *trust(a)[:1],
        flagged(question.flags, a).split("; ")[0].rstrip(".") + ".",
        *conclusions(question.conclusions)[:1],
        *([f"Judges left out: {count(len(a.left_out))}, see below."] if a.left_out else []),
    )
    judges = count(len(a.judges), "judge")
    head = f"{quote(a.question.name)} ({judges}, {count(a.n_items, 'output')})"
    return f"{head}: {' '.join(part for part in parts if part)}"


def headline(m: Measures, level: str) -> tuple[Coefficient | None, Coefficient | None]:
    """Raw agreement, and alpha at the question's level."""
    raw = next((c for c in m.coefficients if c.name == "percent_agreement"), None)
    alphas = [c for c in m.coefficients if c.name == "krippendorff_alpha"]
    alpha = next((c for c in alphas if c.level == level), alphas[0] if alphas else None)
    return raw, alpha


def scope(a: Agreement) -> str:
    """How much the answer rests on."""
    labels = [quote(label) for label in a.question.labels]
    many = listed(labels, "or") if len(labels) <= 6 else f"{', '.join(labels[:5])} or one of {len(labels) - 5} more"
    return (
        f"This rests on {count(a.n_verdicts, 'verdict')} by {count(len(a.judges), 'judge')} on "
        f"{count(a.n_items, 'output')}; each verdict is {many or 'a score'}."
    )


def reliability(a: Agreement) -> tuple[str, ...]:
    """Raw agreement, alpha and its band; then the marginals, and the paradox where there is one."""
    raw, alpha = headline(a, a.question.level)
    on = "" if a.question.name == NO_CONSTRUCT else f" on {quote(a.question.name)}"
    if a.n_items == 0 or a.n_verdicts == 0:
        return (f"Nothing can be said{on}: there are no verdicts.",)
    if len(a.judges) < 2:
        only = quote(a.judges[0].judge) if a.judges else "nobody"
        return (f"Only one judge takes part{on} ({only}): agreement cannot be measured.", *_marginals(a))
    if raw is None and alpha is None:
        return (f"No coefficient of agreement was computed{on}.", *_marginals(a))
    return (f"{_band(alpha, on)}{_raw(raw, a)}{_alpha(alpha, a)}.", *_marginals(a), *_paradox(raw, alpha, a))


def _band(alpha: Coefficient | None, on: str) -> str:
    """Where alpha stands among Krippendorff's customary limits, in words."""
    if alpha is None or alpha.value is None:
        return f"How reliable the verdicts{on} are cannot be said: "
    if alpha.value >= FIRM:
        return f"The verdicts{on} pass the customary bar for relying on them: "
    if alpha.value >= TENTATIVE:
        return f"By custom the verdicts{on} are good for tentative conclusions only: "
    chance = "are no better than chance and " if alpha.value <= 0 else ""
    return f"The verdicts{on} {chance}fall below the customary limit even for tentative conclusions: "


def _raw(raw: Coefficient | None, a: Agreement) -> str:
    if raw is None:
        return ""
    if raw.value is None:
        return f"raw agreement does not exist ({visible(raw.undefined or 'no reason given', 200)}), "
    same = "the same label" if a.question.labels else "exactly the same score"
    return f"two judges of one output gave {same} {spanned(raw, a.confidence, rate=True)} of the time, "


def _alpha(alpha: Coefficient | None, a: Agreement) -> str:
    if alpha is None:
        return "and no coefficient corrects that for chance"
    kind = "Krippendorff's alpha" + (f" ({alpha.level})" if alpha.level != "nominal" else "")
    if alpha.value is None:
        return f"and {kind} is undefined ({visible(alpha.undefined or 'no reason given', 200)})"
    if alpha.value >= FIRM:
        place = "at or above .800"
    else:
        place = "between .667 and .800" if alpha.value >= TENTATIVE else "below .667"
    return (
        f"and corrected for chance {kind} is {spanned(alpha, a.confidence)}, {place} "
        f"(limits: Krippendorff 2004, p. 241){_reach(alpha)}"
    )


def _reach(alpha: Coefficient) -> str:
    """Where the interval crosses a limit of the bands."""
    if alpha.value is None or alpha.ci_low is None or alpha.ci_high is None:
        return ""
    below = [limit for limit in (FIRM, TENTATIVE) if alpha.ci_low < limit <= alpha.value]
    above = [limit for limit in (TENTATIVE, FIRM) if alpha.value < limit <= alpha.ci_high]
    crossed = [f"below {number(limit)}" for limit in below] + [f"above {number(limit)}" for limit in above]
    return f"; the interval reaches {listed(crossed)}" if crossed else ""


def _marginals(a: Agreement) -> tuple[str, ...]:
    """How often the judges say the positive label, or which label is the most frequent."""
    positive = a.question.positive
    if positive is not None:
        rates = [(e.value, j.judge) for j in a.judges if (e := j.rate.get(positive)) and e.value is not None]
        if not rates:
            return ()
        (low, least), (high, most) = min(rates), max(rates)
        if len(rates) == 1:
            return (f"{quote(least)} says {quote(positive)} of {percent(low)} of its outputs.",)
        return (
            f"The judges say {quote(positive)} of {percent(low)} ({quote(least)}) to "
            f"{percent(high)} ({quote(most)}) of the outputs.",
        )
    prevailing = _prevailing(a)
    return (f"{quote(prevailing[0])} makes up {percent(prevailing[1])} of the verdicts.",) if prevailing else ()


def _prevailing(m: Measures) -> tuple[str, float] | None:
    """The most frequent label over all usable verdicts, and its share."""
    totals: dict[str, float] = {}
    for judge in m.judges:
        for label, rate in judge.rate.items():
            totals[label] = totals.get(label, 0.0) + (rate.value or 0.0) * judge.n_ok
    whole = sum(totals.values())
    if not whole:
        return None
    label = max(totals, key=lambda name: totals[name])
    return label, totals[label] / whole


def _paradox(raw: Coefficient | None, alpha: Coefficient | None, a: Agreement) -> tuple[str, ...]:
    prevailing = _prevailing(a)
    if raw is None or alpha is None or raw.value is None or prevailing is None:
        return ()
    label, part = prevailing
    if alpha.value is None:
        if part < 1:
            return ()
        return (
            f"Every usable verdict says {quote(label)}: the judges agree, but the outputs give them no "
            "occasion to differ, so this says nothing about whether they can tell labels apart.",
        )
    if raw.value - alpha.value < _PARADOX_GAP or part < _PREVALENT:
        return ()
    return (
        f"Agreement of {percent(raw.value)} beside an alpha of {number(alpha.value)} is no contradiction: "
        f"{percent(part)} of the verdicts say {quote(label)}, so most of that agreement would come about by "
        "chance, and the few other outputs decide alpha.",
    )


def unevenness(a: Agreement) -> tuple[str, ...]:
    """The slice whose alpha lies clearest below the whole."""
    _, whole = headline(a, a.question.level)
    if whole is None or whole.value is None or whole.ci_low is None:
        return ()
    low = []
    for part in a.slices:
        raw, alpha = headline(part, a.question.level)
        if raw and alpha and alpha.value is not None and alpha.ci_high is not None and alpha.ci_high < whole.ci_low:
            low.append((alpha.value, part, raw, alpha))
    if not low:
        return ()
    low.sort(key=lambda entry: entry[0])
    _, part, raw, alpha = low[0]
    more = f" {count(len(low) - 1, 'more slice lies', 'more slices lie')} below the whole too." if low[1:] else ""
    return (
        f"Reliability is not the same everywhere: where {quote(part.by)} is {quote(part.value)} "
        f"({count(part.n_items, 'output')}), alpha is {figure(alpha)} and raw agreement "
        f"{figure(raw, rate=True)}.{more}",
    )


def flagged(flags: FlagSummary | None, a: Agreement) -> str:
    """How much is flagged, why, and whose verdicts most."""
    if flags is None:
        return "Nothing is flagged: flags need labels, and these judges give scores alone."
    if not flags.n_verdicts:
        return "There are no verdicts to flag."
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
    if len(by_judge) > 1:
        part, judge = max(by_judge)
        if part > _STANDS_OUT * flags.n_flagged / flags.n_verdicts:
            parts.append(f"most often those of {quote(judge)} ({percent(part)} of its verdicts)")
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


def constructs(a: Agreement) -> tuple[str, ...]:
    """Judges of different constructs, or of another than the question's, that a map brought onto it."""
    groups: dict[str, list[str]] = {}
    for judge in a.judges:
        groups.setdefault(judge.construct_name, []).append(judge.judge)
    if set(groups) == {NO_CONSTRUCT}:
        return ("No judge states what it measures; the verdicts are compared as they stand.",)
    asked = a.question.construct_name
    stated = {name: members for name, members in groups.items() if name != NO_CONSTRUCT}
    if not set(stated) - {asked}:
        return ()
    said = listed([f"{quote(name, 40)} by {names(members)}" for name, members in stated.items()])
    words = f" {_MISMATCH}" if {"refusal", "harm"} <= {*stated, asked} else ""
    part = "disagreement" if len(stated) > 1 else "error"
    return (
        f"Not the same thing is measured: the question is {quote(asked, 40)}, what the judges measure is {said}. "
        f"They are compared because a map says so, and part of what looks like {part} is that mismatch.{words}",
    )


def left_out(a: Agreement) -> tuple[str, ...]:
    """Judges that take no part, grouped by the reason."""
    if not a.left_out:
        return ()
    groups: dict[str, list[str]] = {}
    for entry in a.left_out:
        groups.setdefault(entry.why, []).append(entry.judge)
    said = "; ".join(f"{names(members)}: {visible(why, 200)}" for why, members in groups.items())
    whys = " ".join(groups)
    words = f" {_MISMATCH}" if "refusal" in whys and "harm" in whys else ""
    return (f"Left out: {said}.{words}",)


def missing(a: Agreement, found: Conclusions | None) -> tuple[str, ...]:
    """How many verdicts are missing, whose and where; and who was asked about what."""
    asked = {j.judge: j.n_ok + sum(j.missing.values()) for j in a.judges}
    parts = [part for part in (_missing(a, asked), _partly(a, asked), *_missing_by_model(a, found)) if part]
    return (" ".join(parts),) if parts else ()


def _missing(a: Agreement, asked: dict[str, int]) -> str:
    gone = {j.judge: sum(j.missing.values()) for j in a.judges if j.missing}
    total = sum(gone.values())
    if not a.judges or not any(asked.values()):
        return ""
    if not total:
        whole = all(n == a.n_items for n in asked.values())
        return "Every judge has a usable verdict on every output." if whole else "Every verdict given is usable."
    head = f"{share(total, sum(asked.values()), 'verdict')} {'is' if total == 1 else 'are'} missing"
    judges = sorted((j for j in a.judges if j.judge in gone), key=lambda j: -gone[j.judge])
    said = []
    for judge in judges[:3]:
        causes = listed([f"{count(n)} {status_name(status)}" for status, n in judge.missing.items()])
        part = f"{quote(judge.judge)} {percent(gone[judge.judge] / asked[judge.judge])}: {causes}"
        if judge.bounds and a.question.positive is not None:
            low, high = (percent(v) for v in judge.bounds)
            part += f", so its rate of {quote(a.question.positive)} lies between {low} and {high}"
        said.append(part)
    rest = f"; {count(len(judges) - 3, 'more judge')}" if len(judges) > 3 else ""
    others = len(a.judges) - len(judges)
    none = f"; none of the other {'judge' if others == 1 else f'{others:,} judges'}" if others else ""
    return f"{head} and none of them is counted as a label ({'; '.join(said)}{rest}{none})."


def _missing_by_model(a: Agreement, found: Conclusions | None) -> Iterator[str]:
    """Where a judge's missing verdicts gather on one model."""
    if found is None:
        return
    for judge in a.judges:
        rates = [rate for rate in found.rates if rate.judge == judge.judge]
        total = sum(rate.n_missing for rate in rates)
        worst = max(rates, key=lambda rate: rate.n_missing, default=None)
        if worst is None or len(rates) < 2 or total < 5 or worst.n_missing < 0.8 * total:
            continue
        part = "All" if worst.n_missing == total else f"{worst.n_missing:,} of the"
        yield (
            f"{part} {count(total)} outputs without a usable verdict of {quote(judge.judge)} are answers of "
            f"{quote(worst.model)}: they are not missing at random."
        )


def _partly(a: Agreement, asked: dict[str, int]) -> str:
    few = [n for n in asked.values() if n < a.n_items]
    if not few:
        return ""
    if len(few) == len(asked):
        low, high = min(asked.values()), max(asked.values())
        span = count(low) if low == high else f"{count(low)} to {count(high)}"
        return f"No judge was asked about every output: {span} of {count(a.n_items)} each."
    part = [judge for judge, n in asked.items() if n < a.n_items]
    said = [f"{quote(judge)} {count(asked[judge])}" for judge in part[:3]]
    rest = f" and {count(len(part) - 3, 'more judge')}" if len(part) > 3 else ""
    return f"Not asked about every output: {', '.join(said)}{rest} (of {count(a.n_items)})."


def notes(a: Agreement) -> tuple[str, ...]:
    """What a reader should know of how the panel was made, and labels that look like numbers."""
    found = [visible(note, 600) for note in a.notes]
    labels = a.question.labels
    if a.question.level == "nominal" and len(labels) > 2 and all(_is_number(label) for label in labels):
        found.append(
            f"the labels are numbers but are compared as names: {quote(labels[0])} against {quote(labels[1])} counts "
            f"as much as against {quote(labels[-1])}; if their distance means something, use --level"
        )
    return tuple(f"Note: {note}." for note in found)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
