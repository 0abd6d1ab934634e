"""How reliable the verdicts are, in sentences: agreement, alpha and its band, marginals, slices."""

from __future__ import annotations

from typing import Final

from interjudge.agreement.results import (
    Agreement,
    Coefficient,
    Measures,
)
from interjudge.datasets.schema import NO_CONSTRUCT
from interjudge.reports.escape import visible
from interjudge.reports.wording import (
    count,
    figure,
    listed,
    number,
    percent,
    quote,
    spanned,
)

# Krippendorff (2004), Content Analysis, 2nd ed., p. 241: rely on variables with alpha of .800 and more;
# between .667 and .800 draw tentative conclusions only.
FIRM: Final = 0.800
TENTATIVE: Final = 0.667

# From this gap between raw agreement and alpha on, and from this share of one label on, high agreement beside
# a low coefficient is the paradox of prevalence (Feinstein and Cicchetti 1990) and needs a word.
_PARADOX_GAP: Final = 0.3
_PREVALENT: Final = 0.65


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
    return (
        f"{_band(alpha, on)}{listed([part for part in (_raw(raw, a), _alpha(alpha, a)) if part], ', and')}.",
        *_marginals(a),
        *_paradox(raw, alpha, a),
    )


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
        return f"raw agreement does not exist ({visible(raw.undefined or 'no reason given', 200)})"
    same = "the same label" if a.question.labels else "exactly the same score"
    return f"two judges of one output gave {same} {spanned(raw, a.confidence, rate=True)} of the time"


def _alpha(alpha: Coefficient | None, a: Agreement) -> str:
    if alpha is None:
        return "no coefficient corrects that for chance"
    kind = "Krippendorff's alpha" + (f" ({alpha.level})" if alpha.level != "nominal" else "")
    if alpha.value is None:
        return f"{kind} is undefined ({visible(alpha.undefined or 'no reason given', 200)})"
    if alpha.value >= FIRM:
        place = "at or above .800"
    else:
        place = "between .667 and .800" if alpha.value >= TENTATIVE else "below .667"
    return (
        f"corrected for chance {kind} is {spanned(alpha, a.confidence)}, {place} "
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
