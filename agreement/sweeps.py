"""What a judge's threshold decides: rate, kappa and the order of models as the threshold moves over its scores."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from interjudge.agreement.counts import Codes, Floats, assign, ratio
from interjudge.agreement.degenerate import NO_ITEMS, ONE_CATEGORY, ZERO
from interjudge.agreement.intervals import estimates, mean_wilson, wilson
from interjudge.agreement.pairwise import cohen_kappa
from interjudge.agreement.panel import Panel
from interjudge.agreement.rank_agreement import MAX_RANKED, Ints, difference_bounds
from interjudge.agreement.results_models import Sweep, SweepPoint

Bools = NDArray[np.bool_]

MAX_THRESHOLDS: Final = 50
_GROUPS: Final = 512  # of clusters, where there are more
_OTHERS: Final = "the consensus of the other judges"
_UNCLEAR: Final = "its labels do not follow from its scores"
_ONE_SCORE: Final = "fewer than two different scores"
_NO_TARGET: Final = "no output has a score and something to compare with"


def sweeps(
    panel: Panel, verdicts: pl.DataFrame, group: Ints, n_models: int, *, confidence: float = 0.95
) -> tuple[Sweep, ...]:
    """One sweep for each judge of the panel that gives scores.

    group : (N,) number of each item's model, or -1. At most `MAX_THRESHOLDS` thresholds, at equal shares of the
    judge's different scores, and the current one: the user's, or midway between the scores of its two labels. A
    judge whose labels overlap in its scores is not swept: its score decides nothing alone.
    """
    positive = panel.question.positive_code
    if positive is None or "score" not in verdicts.columns or verdicts["score"].null_count() == verdicts.height:
        return ()
    own = verdicts.filter(
        pl.col("judge").is_in(panel.names) & (pl.col("status") == "ok") & pl.col("score").is_not_null()
    )
    own = own.select("item_id", "judge", pl.col("score").cast(pl.Float64)).filter(pl.col("score").is_finite())
    parts = {key[0]: part for key, part in own.partition_by("judge", as_dict=True).items()}
    said = (panel.codes == positive).sum(axis=1, dtype=np.int64)
    all_said = (panel.codes >= 0).sum(axis=1, dtype=np.int64)
    found = []
    for j, name in enumerate(panel.names):
        if name not in parts:
            continue
        code = panel.codes[:, j]
        score = _aligned(panel, parts[name])
        yes, n = said - (code == positive), all_said - (code >= 0)
        target = np.where(2 * yes > n, 1, np.where(2 * yes < n, 0, -1))
        against = _OTHERS
        if panel.gold is not None and (panel.gold >= 0).any():
            target, against = np.where(panel.gold >= 0, panel.gold == positive, -1), panel.reference or "reference"
        given = panel.question.thresholds.get(name)
        weight = panel.gold_weight if against != _OTHERS else None
        found.append(
            _sweep(name, against, score, code, positive, given, target, weight, group, n_models, panel, confidence)
        )
    return tuple(found)


def _aligned(panel: Panel, mine: pl.DataFrame) -> Floats:
    """(N,) the judge's scores by item, NaN where there is none; the first where there are several."""
    first = mine.unique("item_id", keep="first", maintain_order=True)
    joined = panel.items.select("item_id").join(first, on="item_id", how="left", maintain_order="left")
    return joined["score"].fill_null(np.nan).to_numpy()


def _sweep(
    name: str,
    against: str,
    score: Floats,
    code: Codes,
    positive: int,
    given: float | None,
    target: Ints,
    weight: Floats | None,
    group: Ints,
    n_models: int,
    panel: Panel,
    confidence: float,
) -> Sweep:
    scored = np.isfinite(score)
    direction, current = _cut(score[scored], code[scored], positive, given)
    nothing = Sweep(
        judge=name, against=against, positive_is=direction or "high", current=current, stable=None, n_orders=0,
        points=(), undefined=_UNCLEAR if direction is None else _ONE_SCORE,
    )  # fmt: skip
    different = np.unique(score[scored])
    if direction is None or different.size < 2:
        return nothing
    thresholds = _thresholds(different, current, direction)
    # `passed`: how many thresholds the score reaches, so that the judge says "positive" at the first `passed` of them
    turn = 1 if direction == "high" else -1
    ordered = thresholds[::turn] * turn
    passed = np.searchsorted(ordered, score[scored] * turn, side="right")
    table = _Counts(passed, target[scored], group[scored], n_models, thresholds.size)
    clusters = None if panel.clusters is None else panel.clusters[scored]
    rate, kappa = table.rate(confidence), table.kappa(confidence)
    if clusters is not None:
        rate, kappa = _clustered(passed, target[scored], clusters, thresholds.size, confidence)
    if weight is not None:
        alone = np.arange(passed.size) if clusters is None else clusters
        kappa = _clustered(passed, target[scored], alone, thresholds.size, confidence, weight[scored])[1]
    at = np.flatnonzero(ordered * turn == current) if current is not None else np.empty(0, np.intp)
    base = int(at[0]) if at.size else int(np.argmax(np.nan_to_num(kappa[0], nan=-2.0)))
    same, n_orders, flips = table.orders(base, confidence)
    rates = estimates(*rate, int(scored.sum()), [NO_ITEMS] * thresholds.size)
    n = int((target[scored] >= 0).sum())
    kappas = estimates(*kappa, n, [ONE_CATEGORY if n else _NO_TARGET] * thresholds.size)
    points = [
        SweepPoint(
            threshold=float(t * turn),
            rate=rates[i],
            kappa=kappas[i],
            same_order=None if same is None else bool(same[i]),
            current=bool(at.size) and i == base,
        )
        for i, t in enumerate(ordered)
    ]
    return Sweep(
        judge=name,
        against=against,
        positive_is=direction,
        current=current,
        stable=None if same is None else _stretch(same, base, ordered * turn),
        n_orders=n_orders,
        n_clear_flips=flips if clusters is None else None,
        points=tuple(points[::turn]),
    )


def _cut(
    score: Floats, code: Codes, positive: int, given: float | None
) -> tuple[Literal["high", "low"] | None, float | None]:
    """Which scores mean the positive label, and from which score on; (None, None) where labels overlap."""
    if given is not None:
        return "high", given
    yes, no = score[code == positive], score[(code >= 0) & (code != positive)]
    if not yes.size or not no.size:  # one label, or none: only the scale's own direction is left
        return "high", None
    if no.max() < yes.min():
        return "high", float((no.max() + yes.min()) / 2)
    if yes.max() < no.min():
        return "low", float((yes.max() + no.min()) / 2)
    return None, None


def _thresholds(different: Floats, current: float | None, direction: str) -> Floats:
    """Rising thresholds between different scores (all of them, or at equal shares), and the current one."""
    between = (different[1:] + different[:-1]) / 2
    if between.size > MAX_THRESHOLDS:
        between = between[np.round(np.linspace(0, between.size - 1, MAX_THRESHOLDS)).astype(np.intp)]
    if current is None:
        return np.unique(between)
    # one cut between two scores is enough: the current threshold takes the place of the one beside it
    place = np.searchsorted(different, current, side="left" if direction == "high" else "right")
    same = np.searchsorted(different, between, side="left" if direction == "high" else "right") == place
    return np.unique(np.append(between[~same], current))


class _Counts:
    """Cumulative counts at each of T thresholds: verdicts by target and by model."""

    def __init__(self, passed: NDArray[np.intp], target: Ints, group: Ints, n_models: int, size: int) -> None:
        def reached(rows: NDArray[Any], n_rows: int, keep: Bools) -> tuple[Floats, Floats]:
            cell = rows[keep] * (size + 1) + passed[keep]
            table = np.bincount(cell, minlength=n_rows * (size + 1)).reshape(n_rows, size + 1).astype(np.float64)
            return table[:, :0:-1].cumsum(axis=1)[:, ::-1], table.sum(axis=1)

        everything = np.ones(passed.size, bool)
        self.hits, self.n = (part[0] for part in reached(np.zeros(passed.size, np.int64), 1, everything))
        judged, of_target = reached(target, 2, target >= 0)
        self.tables = np.moveaxis(np.stack([of_target[:, None] - judged, judged]), -1, 0)  # (T, verdict, target)
        self.by_model, self.of_model = reached(group, n_models, group >= 0)

    def rate(self, confidence: float) -> tuple[Floats, Floats, Floats]:
        value = self.hits / self.n
        return (value, *wilson(value, self.n, confidence))

    def kappa(self, confidence: float) -> tuple[Floats, Floats, Floats]:
        """With the large-sample interval of Fleiss, Cohen and Everitt (1969, equation 13)."""
        value = cohen_kappa(self.tables)
        pull = kappa_influence(self.tables)
        total = self.tables.sum(axis=(1, 2))
        variance = ratio((self.tables * pull**2).sum(axis=(1, 2)), total**2)
        return _normal(value, variance, special.ndtri((1 + confidence) / 2))

    def orders(self, base: int, confidence: float) -> tuple[Bools | None, int, int]:
        """Against threshold `base`: whether the models stand in the same order, (T,); and how many orders there are,
        and how many pairs of models are clearly apart there and clearly the other way round at another threshold."""
        models = self.of_model > 0
        if not 2 <= models.sum() <= MAX_RANKED:
            return None, 0, 0
        n = self.of_model[models][:, None]
        rates = self.by_model[models] / n
        a, b = np.triu_indices(rates.shape[0], 1)
        sign = np.sign(rates[a] - rates[b]).astype(np.int8)
        low, high = wilson(rates, n, confidence)
        below, above = difference_bounds((rates[a], low[a], high[a]), (rates[b], low[b], high[b]))
        clear = (below > 0).astype(np.int8) - (above < 0)
        flips = int((clear * clear[:, [base]] < 0).any(axis=1).sum())
        return np.asarray((sign == sign[:, [base]]).all(axis=0)), int(np.unique(sign, axis=1).shape[1]), flips


def kappa_influence(tables: Floats) -> Floats:
    """How far one more item of each cell moves Cohen's kappa, times n: tables (..., 2, 2) -> the same; NaN where kappa
    is. With shares p, kappa = (po - pe) / (1 - pe); the mean over the items is 0."""
    n = tables.sum(axis=(-2, -1), keepdims=True)
    p = ratio(tables, n)
    row, column = p.sum(axis=-1, keepdims=True), p.sum(axis=-2, keepdims=True)
    po = np.trace(p, axis1=-2, axis2=-1)[..., None, None]
    pe = (row * np.swapaxes(column, -1, -2)).sum(axis=(-2, -1), keepdims=True)
    # of an item with labels (i, j): agreement 1 if i = j, expected agreement column[i] + row[j]
    meets = np.swapaxes(column, -1, -2) + np.swapaxes(row, -1, -2)
    one = np.eye(p.shape[-1])
    top = (one - po) * (1 - pe) - (1 - po) * (meets - 2 * pe)
    return ratio(top, (1 - pe) ** 2 * np.ones_like(top), ZERO)


def _normal(value: Floats, variance: Floats, z: float | Floats) -> tuple[Floats, Floats, Floats]:
    half = z * np.sqrt(variance)
    return value, np.maximum(value - half, -1), np.minimum(value + half, 1)


def _clustered(
    passed: NDArray[np.intp],
    target: Ints,
    clusters: Ints,
    size: int,
    confidence: float,
    weight: Floats | None = None,
) -> tuple[tuple[Floats, Floats, Floats], tuple[Floats, Floats, Floats]]:
    """Rate and kappa with the variance between clusters (or random groups of more than `_GROUPS`), both linearised.

    weight : (N,) design weights of the items with a target; the rate is then not one of all items.
    """
    units = assign(passed.size, clusters, seed=0, max_units=_GROUPS, groups=_GROUPS)
    index = np.arange(passed.size) if units.index is None else units.index
    # three kinds of item: target negative, positive, none
    cell = (index * 3 + np.where(target < 0, 2, target)) * (size + 1) + passed
    table = np.bincount(cell, weight, minlength=units.size * 3 * (size + 1)).reshape(units.size, 3, size + 1)
    hits = table[:, :, :0:-1].cumsum(axis=2)[:, :, ::-1].astype(np.float64)  # (U, kind, T)
    of_kind = table.sum(axis=2, keepdims=True).astype(np.float64)
    numerator = hits.sum(axis=1)
    denominator = np.repeat(of_kind.sum(axis=1), size, axis=1)
    rate = mean_wilson(numerator, denominator, np.ones(units.size, np.int64), confidence, clustered=True)
    each = np.stack([(of_kind - hits)[:, :2], hits[:, :2]], axis=1)  # (U, verdict, target, T)
    each = np.moveaxis(each, -1, 1)  # (U, T, verdict, target)
    whole = each.sum(axis=0)
    kappa = cohen_kappa(whole)
    moved = (each * kappa_influence(whole)).sum(axis=(2, 3))  # (U, T)
    size_of = of_kind[:, :2].sum(axis=(1, 2))
    there = float((size_of > 0).sum())
    if weight is not None and there:  # Kish 1965
        there = float(size_of.sum() ** 2 / (size_of @ size_of))
    variance = ratio((moved**2).sum(axis=0), whole.sum(axis=(1, 2)) ** 2) * there / max(there - 1, 1)
    if there < 2:
        variance = np.full_like(kappa, np.nan)
    t = float(special.stdtrit(max(there - 1, 1), (1 + confidence) / 2))
    return rate, _normal(kappa, variance, t)


def _stretch(same: Bools, base: int, thresholds: Floats) -> tuple[float, float]:
    """The unbroken range of thresholds around `base` in which the order of models is the same."""
    broken = np.flatnonzero(~same)
    first = int(broken[broken < base].max(initial=-1)) + 1
    last = int(broken[broken > base].min(initial=same.size)) - 1
    ends = thresholds[[first, last]]
    return float(ends.min()), float(ends.max())
