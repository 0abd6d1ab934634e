"""How reliable the verdicts are, in sentences: agreement, alpha and its band, marginals, slices."""

from __future__ import annotations

from typing import Final, Literal

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
    interval,
    listed,
    number,
    percent,
    quote,
    spanned,
)

# Krippendorff (2004), Content Analysis, 2nd ed., p. 241: rely on variables with alpha of .800 and more;
# between .667 and .800 draw tentative conclusions only. A band is claimed as far as the lower limit of the
# interval reaches, which is how he advises to read alpha.
FIRM: Final = 0.800
TENTATIVE: Final = 0.667

Band = Literal["undefined", "no interval", "firm", "tentative or more", "tentative", "too wide", "unsure", "below"]

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
        f"{_verdict(alpha, on)}{listed([part for part in (_raw(raw, a), _alpha(alpha, a)) if part], ', and')}.",
        *_marginals(a),
        *_paradox(raw, alpha, a),
    )


def band(alpha: Coefficient | None) -> Band:
    """Where alpha's interval stands among Krippendorff's customary limits."""
    if alpha is None or alpha.value is None:
        return "undefined"
    if alpha.ci_low is None or alpha.ci_high is None:
        return "no interval"
    if alpha.ci_low >= FIRM:
        return "firm"
    if alpha.ci_low >= TENTATIVE:
        return "tentative or more" if alpha.ci_high >= FIRM else "tentative"
    if alpha.ci_high >= FIRM:
        return "too wide"
    return "unsure" if alpha.ci_high >= TENTATIVE else "below"


def _verdict(alpha: Coefficient | None, on: str) -> str:
    """The band in words."""
    n = count(alpha.n if alpha else 0, "output")
    return {
        "undefined": f"How reliable the verdicts{on} are cannot be said: ",
        "no interval": f"How reliable the verdicts{on} are cannot be said without an interval: ",
        "firm": f"The verdicts{on} pass the customary bar for relying on them: ",
        "tentative or more": f"By custom the verdicts{on} are good for tentative conclusions, not surely for more: ",
        "tentative": f"By custom the verdicts{on} are good for tentative conclusions only: ",
        "too wide": f"How reliable the verdicts{on} are cannot be said from {n}: ",
        "unsure": f"The verdicts{on} do not surely reach the customary limit even for tentative conclusions: ",
        "below": f"The verdicts{on} {_chance(alpha)}fall below the customary limit even for tentative conclusions: ",
    }[band(alpha)]


def _chance(alpha: Coefficient | None) -> str:
    if alpha is None or alpha.ci_low is None or alpha.ci_high is None or alpha.ci_low > 0:
        return ""
    return "are no better than chance and " if alpha.ci_high <= 0 else "cannot be told from chance and "


def _raw(raw: Coefficient | None, a: Agreement) -> str:
    if raw is None:
        return ""
    if raw.value is None:
        return f"raw agreement does not exist ({visible(raw.undefined or 'no reason given', 200)})"
    same = "the same label" if a.question.labels else "exactly the same score"
    return f"two judges of one output gave {same} {spanned(raw, a.confidence, rate=True)} of the time"


def _alpha(alpha: Coefficient | None, a: Agreement) -> str:
    """Alpha with its interval, among the limits."""
    if alpha is None:
        return "no coefficient corrects that for chance"
    kind = "Krippendorff's alpha" + (f" ({alpha.level})" if alpha.level != "nominal" else "")
    if alpha.value is None:
        return f"{kind} is undefined ({visible(alpha.undefined or 'no reason given', 200)})"
    limits = "(limits: Krippendorff 2004, p. 241)"
    if crossed := reach(alpha):
        span = f"its {a.confidence * 100:g} % interval {interval(alpha)}"
        return f"corrected for chance {kind} is {number(alpha.value)}, but {span} reaches {crossed} {limits}"
    if alpha.value >= FIRM:
        place = "at or above .800"
    else:
        place = "between .667 and .800" if alpha.value >= TENTATIVE else "below .667"
    return f"corrected for chance {kind} is {spanned(alpha, a.confidence)}, {place} {limits}"


def reach(alpha: Coefficient) -> str:
    """How far the interval crosses the limits of the bands: ``below .800``, ``below .667 and above .800``."""
    if alpha.value is None or alpha.ci_low is None or alpha.ci_high is None:
        return ""
    below = [limit for limit in (TENTATIVE, FIRM) if alpha.ci_low < limit <= alpha.value]
    above = [limit for limit in (FIRM, TENTATIVE) if alpha.value < limit <= alpha.ci_high]
    return listed([f"below {number(limit)}" for limit in below[:1]] + [f"above {number(limit)}" for limit in above[:1]])


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
        if percent(low) == percent(high):
            return (f"The judges all say {quote(positive)} of {percent(low)} of the outputs.",)
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
