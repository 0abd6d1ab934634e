"""How many judges, outputs and repeats are enough: a decision study on estimated variance components.

Two questions. ``item``: are single outputs told apart, by the mean verdict of some judges? The universe score of an
output is its own component and its model's. ``model``: are models told apart, by the mean over their outputs and
some judges? With c the components, n_j judges on every output, n_i outputs of every model and n_r repeats:

    item:   u = c_model + c_item,  delta = c_jm / n_j + c_ij / n_j + c_r / (n_j n_r)
    model:  u = c_model,           delta = c_item / n_i + c_jm / n_j + c_ij / (n_i n_j) + c_r / (n_i n_j n_r)

Generalisability E rho^2 = u / (u + delta) is for comparing; dependability Phi = u / (u + delta + c_judge / n_j) for
the level itself (Cronbach, Gleser, Nanda and Rajaratnam 1972; Brennan 2001, chapter 4). For outputs alone the first
is Spearman and Brown's formula (1910) applied to that of one judge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from interjudge.agreement.counts import Floats, ratio
from interjudge.agreement.degenerate import ONE_CATEGORY
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_plan import (
    Coefficient,
    Component,
    DecisionPoint,
    DStudy,
    GStudy,
    Needed,
    NextJudge,
)
from interjudge.agreement.variance import FACETS, Variances
from interjudge.errors import InputError

Of = Literal["item", "model"]
What = Literal["judges", "items", "repeats"]

MOST: Final = 1_000_000  # more of anything is nobody's plan
_JUDGES: Final = (1, 2, 3, 4, 5, 7, 10, 15, 20)
_ITEMS: Final = (10, 30, 100, 300, 1_000, 3_000, 10_000)
_NO_VARIANCE: Final = {
    "item": "outputs do not differ beyond what their judges' errors would make of it",
    "model": "models do not differ beyond what their outputs and judges would make of it",
}


@dataclass(frozen=True)
class Errors:
    """`universe`: variance of what is measured; `relative` and `absolute`: of the errors that come to it."""

    universe: Floats
    relative: Floats
    absolute: Floats

    @property
    def generalizability(self) -> Floats:
        """E rho^2; NaN where nothing varies."""
        return ratio(self.universe, self.universe + self.relative)

    @property
    def dependability(self) -> Floats:
        """Phi; NaN where nothing varies."""
        return ratio(self.universe, self.universe + self.absolute)


def errors(
    parts: Mapping[str, ArrayLike], of: Of, judges: ArrayLike, items: ArrayLike = 1, repeats: ArrayLike = 1
) -> Errors:
    """Universe score and error variances of a design (see the module). `parts`: components by facet, those that are
    absent count as 0; numbers and components broadcast."""
    c = {facet: np.asarray(parts.get(facet, 0.0), dtype=np.float64) for facet in FACETS}
    n_j, n_i, n_r = (np.asarray(n, dtype=np.float64) for n in (judges, items, repeats))
    between = c["judge"] / n_j
    if of == "item":
        relative = (c["judge x model"] + c["item x judge"] + c["residual"] / n_r) / n_j
        return Errors(c["model"] + c["item"], relative, relative + between)
    inside = c["item"] + (c["item x judge"] + c["residual"] / n_r) / n_j
    relative = inside / n_i + c["judge x model"] / n_j
    return Errors(c["model"], relative, relative + between)


def spearman_brown(one: ArrayLike, n: ArrayLike) -> Floats:
    """Reliability of the mean of n parallel measurements from that of one (Spearman 1910; Brown 1910)."""
    r, times = np.asarray(one, dtype=np.float64), np.asarray(n, dtype=np.float64)
    return np.asarray(times * r / (1 + (times - 1) * r))


def reach(
    parts: Mapping[str, ArrayLike],
    of: Of,
    what: What,
    coefficient: Coefficient,
    target: float,
    *,
    judges: float,
    items: float = 1,
    repeats: float = 1,
) -> Floats:
    """How near 1 of `what` comes, as r in [0, 1]: the smallest number that reaches the target is (1 - r) / r.

    The error is a / n + b in the number n that is asked for, so that n = a / (u (1 - target) / target - b). r = 0
    where no number reaches it: what the others leave, b, is too much. r stays finite, so it has an interval where n
    itself has none.
    """
    numbers = {"judges": judges, "items": items, "repeats": repeats}
    one = _error(errors(parts, of, **(numbers | {what: 1.0})), coefficient)
    rest = _error(errors(parts, of, **(numbers | {what: np.inf})), coefficient)
    room = errors(parts, of, **numbers).universe * (1 - target) / target - rest
    room = np.where(room > 1e-12 * (one + rest), room, 0.0)
    a = one - rest
    return np.asarray(np.where((room > 0) | (a > 0), ratio(room, room + a), 0.0))


def _error(found: Errors, coefficient: Coefficient) -> Floats:
    return found.relative if coefficient == "generalizability" else found.absolute


def number_of(r: float) -> int | None:
    """`reach` as a whole number, at least 1; None where there is none up to `MOST`."""
    if not r > 1 / (MOST + 1):
        return None
    return max(1, math.ceil((1 - r) / r * (1 - 1e-12) - 1e-9))


def copied(parts: Mapping[str, ArrayLike], judges: float) -> Floats:
    """Generalisability of an output's mean when the next judge repeats one of the present `judges`.

    The mean of n + 1 verdicts then gives one of n judges twice its weight, and the error of one judge counts
    (4 + n - 1) / (n + 1)^2 = (n + 3) / (n + 1)^2: more than the 1 / n without it, for any n above 1.
    """
    one = errors(parts, "item", 1)
    relative = one.relative * (judges + 3) / (judges + 1) ** 2
    return ratio(one.universe, one.universe + relative)


def check_target(target: float) -> None:
    """Raise `InputError` for a target that is no reliability."""
    if not 0 < target < 1:
        raise InputError("the target reliability is out of range", found=target, expected="between 0 and 1")


def g_study(found: Variances, scale: str) -> GStudy:
    """The components and what they make of the panel at hand, as a record."""
    names, j, r = found.facets, found.judges_each, found.repeats

    def components(parts: Mapping[str, Floats]) -> Floats:
        return np.stack([parts[name] for name in names], axis=-1)

    def shares(parts: Mapping[str, Floats]) -> Floats:
        each = components(parts)
        return ratio(each, each.sum(axis=-1, keepdims=True))

    def coefficients(parts: Mapping[str, Floats]) -> Floats:
        both = (errors(parts, "item", j, repeats=r), errors(parts, "item", 1))
        return np.stack([x for e in both for x in (e.generalizability, e.dependability)], axis=-1)

    values = found.estimates(components, ONE_CATEGORY)
    parts = found.estimates(shares, ONE_CATEGORY)
    panel = found.estimates(coefficients, ONE_CATEGORY)
    return GStudy(
        scale=scale,
        n_items=found.n_items,
        n_judges=found.n_judges,
        n_models=found.n_models,
        n_verdicts=found.n_verdicts,
        n_judges_each=j,
        repeats=r,
        confidence=found.confidence,
        components=tuple(
            Component.model_validate(value.model_dump() | {"facet": name, "share": share, "unrestricted": raw})
            for name, value, share, raw in zip(names, values, parts, found.unrestricted.tolist(), strict=True)
        ),
        generalizability=panel[0],
        dependability=panel[1],
        generalizability_of_one=panel[2],
        dependability_of_one=panel[3],
        notes=_notes(found),
    )


def _notes(found: Variances) -> tuple[str, ...]:
    notes = list(found.notes)
    below = [name for name, raw in zip(found.facets, found.unrestricted, strict=True) if raw < 0]
    if below:
        notes.append(f"estimated below 0 and set to 0: {', '.join(below)}")
    if "item x judge" not in found.facets:
        notes.append("no judge was asked twice: the residual is item x judge and what repeats would show, together")
    if found.judges_each < found.n_judges * (1 - 1e-9):
        notes.append(
            "not every judge judged every output: generalisability takes it that in the end the same judges judge all"
        )
    if 1 < found.n_models < 10:
        notes.append(f"{found.n_models} models and {found.n_judges} judges: the intervals speak of other outputs only")
    return tuple(notes)


def d_study(found: Variances, target: float, effective_judges: float | None = None) -> DStudy:
    """Expected reliabilities and smallest numbers, as a record. `target`: the reliability to reach, in (0, 1)."""
    check_target(target)
    parts = found.parts
    j, r = max(1, round(found.judges_each)), max(1, round(found.repeats))
    needed = [_needed(found, "item", "judges", c, target) for c in _COEFFICIENTS]
    repeated = "item x judge" in found.facets
    if repeated:
        needed.append(_needed(found, "item", "repeats", "generalizability", target))
    points = [_point(parts, "item", n, None, r) for n in _numbers(_JUDGES, j, needed, "judges")]
    if repeated:
        points += [_point(parts, "item", j, None, n) for n in (1, 2, 3, 5) if n != r]
    if "model" in found.facets:
        mine = [_needed(found, "model", w, "generalizability", target) for w in ("items", "judges")]
        now = max(1, round(found.n_items / found.n_models))
        steps = _numbers(_ITEMS, now, mine, "items")
        points += [_point(parts, "model", n, items, r) for n in dict.fromkeys((j, j + 1, 2 * j)) for items in steps]
        needed += mine
    return DStudy(
        target=target,
        points=tuple(p for p in points if p is not None),
        needed=tuple(needed),
        next_judge=_next_judge(parts, j, r),
        effective_judges=effective_judges,
    )


_COEFFICIENTS: Final[tuple[Coefficient, ...]] = ("generalizability", "dependability")


def _numbers(usual: tuple[int, ...], now: int, needed: list[Needed], what: What) -> list[int]:
    """The usual steps, the present number and those that are needed, ascending."""
    wanted = {n.value for n in needed if n.what == what and n.value is not None}
    return sorted({*usual, now, *wanted})


def _point(parts: Mapping[str, float], of: Of, judges: int, items: int | None, repeats: int) -> DecisionPoint | None:
    found = errors(parts, of, judges, items or 1, repeats)
    values = float(found.generalizability), float(found.dependability)
    if not np.isfinite(values).all():
        return None
    return DecisionPoint(
        of=of, n_judges=judges, n_items=items, n_repeats=repeats, generalizability=values[0], dependability=values[1]
    )


def _next_judge(parts: Mapping[str, float], judges: int, repeats: int) -> NextJudge | None:
    now, fresh = (float(errors(parts, "item", n, repeats=repeats).generalizability) for n in (judges, judges + 1))
    residual = {**parts, "residual": parts["residual"] / repeats}
    copy = float(copied(residual, judges))
    if not np.isfinite([now, fresh, copy]).all():
        return None
    return NextJudge(n_judges=judges, now=now, fresh=fresh, copy_of_one=copy)


def _needed(found: Variances, of: Of, what: What, coefficient: Coefficient, target: float) -> Needed:
    items = found.n_items / found.n_models
    judges = float(max(1, round(found.judges_each)))  # as whole as in the points
    now = {"judges": found.judges_each, "items": items, "repeats": found.repeats}[what]

    def formula(parts: Mapping[str, Floats]) -> Floats:
        return reach(
            parts, of, what, coefficient, target, judges=judges, items=items, repeats=max(1, round(found.repeats))
        )[..., None]

    r = found.estimates(formula, ONE_CATEGORY)[0]
    value = None if r.value is None else number_of(r.value)
    return Needed(
        of=of,
        what=what,
        coefficient=coefficient,
        target=target,
        now=now,
        value=value,
        low=_end(r, r.ci_high),
        high=_end(r, r.ci_low),
        undefined=None if value is not None else _never(found, of, what, coefficient, items),
    )


def _end(r: Estimate, end: float | None) -> int | None:
    return None if r.value is None or end is None else number_of(end)


def _never(found: Variances, of: Of, what: What, coefficient: Coefficient, items: float) -> str:
    """Why no number of `what` reaches the target."""
    numbers = {"judges": found.judges_each, "items": items, "repeats": found.repeats} | {what: np.inf}
    limit = errors(found.parts, of, **numbers)
    if limit.universe <= 0:
        return _NO_VARIANCE[of]
    best = float(limit.generalizability if coefficient == "generalizability" else limit.dependability)
    return f"any number of {what} reaches {best:.3f} at most" if best < 1 else f"more than {MOST:,} {what}"
