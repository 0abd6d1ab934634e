"""Who is best, with which probability, and who cannot be told apart from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from interjudge.agreement.ability_cells import Cells, Part
from interjudge.agreement.ability_margins import Margins, Replicated, interval, performance
from interjudge.agreement.counts import Floats
from interjudge.agreement.degenerate import ZERO
from interjudge.agreement.intervals import estimate
from interjudge.agreement.multiple import holm
from interjudge.agreement.results_trust import Basis, Measure, Ranked, Ranking
from interjudge.agreement.vote_patterns import Ints

# A judge with fewer verdicts than this is not ranked while others have more; in a crowd, where somebody always
# has luck, a tenth of what the busiest judge gave is needed too.
FEW: Final = 30
_CROWD: Final = 20
# Judges are compared on the items all of them judged where these are at least this share of the longest list; two
# judges on the items both judged where these are at least this share of the shorter list, or FEW.
_COMMON: Final = 0.5
UNDEFINED: Final = "one of the labels is true of no item here"


@dataclass(frozen=True)
class Plan:
    """Which judges are ranked, on which cells, and who is best there.

    `parts`: the counts a ranking needs: the values, of every judge where the best judged, of the best where each
    judged. `complete`: everybody judged everything, so all three are the counts of the whole.
    """

    members: Ints
    not_ranked: Ints
    best: int
    common: bool
    n_items: int
    parts: tuple[Part, Part, Part]
    measure: Measure
    complete: bool


def plan(cells: Cells, whole: Margins, judges: Ints, measure: Measure, positive: int | None) -> Plan | None:
    """How to rank some of the judges; None where fewer than two can be.

    whole : counts (J, K) over all cells.
    """
    value = performance(whole, measure, positive)
    patterns = cells.patterns
    there = patterns.codes >= 0
    n = patterns.weight @ there  # items, whatever their design weights
    least = max(FEW, int(n[judges].max(initial=0)) // 10) if judges.size > _CROWD else FEW
    defined = judges[np.isfinite(value[judges])]
    members = defined[n[defined] >= least] if (n[defined] >= least).sum() > 1 else defined
    if members.size < 2:
        return None
    everything = np.ones(patterns.weight.size, bool)
    together = np.asarray(there[:, members].all(axis=1))
    n_common = int(patterns.weight[together].sum())
    common = n_common >= max(FEW, _COMMON * float(n[members].max())) or bool(together.all())
    some = common and not bool(together.all())
    mask = together if some else everything
    if some:
        value = performance(cells.expected(Part(mask)), measure, positive)
        if not np.isfinite(value[members]).all():
            common, mask, value = False, everything, performance(whole, measure, positive)
    best = int(members[np.argmax(value[members])])
    parts = (Part(mask), Part(there[:, best]), Part(everything, best))
    n_items = n_common if common else int(patterns.weight[there[:, members].any(axis=1)].sum())
    others = np.setdiff1d(judges, members)
    return Plan(members, others, best, common, n_items, parts, measure, bool(together.all()))


def rank(
    plan: Plan,
    cells: Cells,
    counts: Sequence[Replicated],
    names: Sequence[str],
    positive: int | None,
    *,
    basis: Basis,
    confidence: float,
) -> Ranking:
    """The ranking of a plan from the counts of its three parts."""
    own, beside, of_best = counts
    members, best = plan.members, plan.best
    value, draws = (performance(m, plan.measure, positive)[..., members] for m in (own.total, own.replicates))
    low, high = interval(value, draws, own.units[members], confidence, exact=own.exact)
    n = own.n[members]
    p_best = share_best(draws)
    if plan.complete:
        place = int(np.flatnonzero(members == best)[0])
        apart, apart_draws = value[place] - value, draws[:, [place]] - draws
    else:
        apart, apart_draws = (
            (performance(b, plan.measure, positive) - performance(m, plan.measure, positive))[..., members]
            for b, m in ((of_best.total, beside.total), (of_best.replicates, beside.replicates))
        )
    units, shared = beside.units[members], beside.n[members]
    apart_low, apart_high = interval(apart, apart_draws, units, confidence, exact=own.exact)
    p_value = difference_p(apart, apart_draws, units)
    alike = own.exact and cells.clusters is None and cells.design is None
    exact_test = mcnemar(cells, best, members) if alike else np.full(members.size, np.nan)
    other = members != best
    enough = shared >= np.minimum(FEW, _COMMON * np.minimum(own.n[members], own.n[best]))
    compared = other & enough & np.isfinite(p_value)
    p_value, exact_test = (np.where(compared, p, np.nan) for p in (p_value, exact_test))
    by_draws, by_test = corrected(p_value, compared), corrected(exact_test, compared & np.isfinite(exact_test))
    rows = []
    for i in np.argsort(-value, kind="stable"):
        one = estimate(float(value[i]), float(low[i]), float(high[i]), round(float(n[i])), UNDEFINED)
        row = Ranked(judge=names[members[i]], value=one, p_best=None if p_best is None else float(p_best[i]))
        if other[i]:
            gap = estimate(
                float(apart[i]), float(apart_low[i]), float(apart_high[i]), round(float(shared[i])), UNDEFINED
            )
            row = row.model_copy(
                update={
                    "difference": gap,
                    "p_value": _finite(p_value[i]),
                    "p_value_holm": _finite(by_draws[i]),
                    "mcnemar": _finite(exact_test[i]),
                    "mcnemar_holm": _finite(by_test[i]),
                }
            )
        rows.append(row)
    tied = [row.judge for row in rows if row.p_value_holm is not None and row.p_value_holm > 1 - confidence]
    return Ranking(
        measure=plan.measure,
        basis=basis,
        items="common" if plan.common else "own",
        n_items=plan.n_items,
        best=names[best],
        judges=tuple(rows),
        tied_with_best=tuple(tied),
        not_compared=tuple(names[m] for m, c, o in zip(members, compared, other, strict=True) if o and not c),
        not_ranked=tuple(names[m] for m in plan.not_ranked),
    )


def share_best(draws: Floats) -> Floats | None:
    """(J,) share of the replicates (B, J) in which each judge has the highest value; ties are shared."""
    some = np.isfinite(draws).any(axis=1)
    if not some.any():
        return None
    known = np.where(np.isfinite(draws[some]), draws[some], -np.inf)
    top = known >= known.max(axis=1, keepdims=True) - ZERO
    return np.asarray((top / top.sum(axis=1, keepdims=True)).mean(axis=0))


def difference_p(value: Floats, draws: Floats, units: Floats) -> Floats:
    """(M,) two-sided p of differences (M,) with replicates (B, M): Student's t with the replicates' standard
    error and one degree of freedom less than there are sampling units.

    The share of replicates beyond 0 would be no finer than their number, which a correction for many comparisons
    soon exhausts. Where every unit has the same difference: the sign test, 2 / 2^units.
    """
    if draws.shape[0] < 2:
        return np.full(value.shape, np.nan)
    defined = np.isfinite(draws)
    good = np.isfinite(value) & (defined.mean(axis=0) >= 0.9) & (units > 0)
    out = np.full(value.shape, np.nan)
    if not good.any():
        return out
    error = np.nanstd(draws[:, good], axis=0, ddof=1)
    d, freedom = np.abs(value[good]), np.maximum(units[good] - 1, 1)
    steady = error <= ZERO
    t = d / np.where(steady, 1, error)
    sign_test = np.minimum(1.0, 2.0 ** (1 - np.minimum(units[good], 1000)))
    out[good] = np.where(steady, np.where(d <= ZERO, 1.0, sign_test), 2 * special.stdtr(freedom, -t))
    return out


def mcnemar(cells: Cells, best: int, others: Ints) -> Floats:
    """(M,) mid-p of McNemar's test that the best judge and each other are right equally often, on the reference
    items both judged."""
    codes, gold, weight = cells.patterns.codes, cells.patterns.gold[:, None], cells.patterns.weight
    right = codes == gold
    both = (codes[:, others] >= 0) & (codes[:, [best]] >= 0)
    b = weight @ (both & right[:, [best]] & ~right[:, others])
    c = weight @ (both & ~right[:, [best]] & right[:, others])
    return np.where(weight @ both > 0, mid_p(b, c), np.nan)


def mid_p(b: Floats, c: Floats) -> Floats:
    """Mid-p of McNemar's exact test from the discordant counts b and c: the exact binomial p less the probability
    of the counts themselves (Fagerland, Lydersen and Laake 2013, equation 8); 1 without any."""
    n, low = np.rint(b + c), np.rint(np.minimum(b, c))
    below = special.bdtr(low, n.astype(np.int64), 0.5)
    at = below - np.where(low > 0, special.bdtr(np.maximum(low - 1, 0), n.astype(np.int64), 0.5), 0.0)
    return np.asarray(np.where(n > 0, np.clip(2 * below - at, 0, 1), 1.0))


def corrected(p: Floats, compared: NDArray[np.bool_]) -> Floats:
    """(J,) Holm's correction over the compared ones; NaN for the others."""
    found = holm([float(value) if used else None for value, used in zip(p, compared, strict=True)])
    return np.array([np.nan if value is None else value for value in found])


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
