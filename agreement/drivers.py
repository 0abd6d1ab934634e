"""What makes the panel disagree: logistic regression of "not all verdicts on this item are the same".

Generalised estimating equations (Liang and Zeger 1986) with a logit link, fitted by statsmodels. The working
correlation is independence, which stays consistent where features vary within a sampling unit (Pepe and Anderson
1994); what items of a unit share is in the sandwich variance, below 200 units with the correction of Mancl and DeRouen
(2001). Intervals and p values take Student's t on units - terms degrees of freedom.

Up to `MAX_ROWS` items are fitted. Of more, disputed and other items are drawn apart, as many of each as there is room
for: odds ratios of a logistic regression do not depend on how often either was drawn (Prentice and Pyke 1979).

A level that separates perfectly (all of its items disputed, or none) has an infinite odds ratio: it is said in words
and its items are taken out, which is what the likelihood tends to.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from interjudge.agreement.counts import Floats, dense
from interjudge.agreement.degenerate import ONE_JUDGE
from interjudge.agreement.intervals import estimate, proportion
from interjudge.agreement.multiple import holm
from interjudge.agreement.panel import Panel
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_drivers import Drivers, DriverTerm
from interjudge.agreement.sampling import Sampling
from interjudge.errors import InputError

MAX_ROWS: Final = 20_000
MAX_LEVELS: Final = 20  # of one feature; the rarer ones are taken together
LEAST: Final = 10  # items in a level; disputed items, and others, in a fit
LEAST_UNITS: Final = 5  # sampling units in a level
VERDICTS: Final = "verdicts"  # how many verdicts an item has: more of them are less often all the same
OTHER: Final = "(other)"

NO_LABELS: Final = "these judges give scores, not labels"
NO_TWO: Final = "no item has two verdicts"
NEVER: Final = f"the panel disagrees on fewer than {LEAST} items"
ALWAYS: Final = f"the panel agrees on fewer than {LEAST} items"
CONSTANT: Final = "the same for every item"
UNKNOWN: Final = "unknown for more than half of the items"
RARE: Final = "too few items or sampling units in its values"
NONE_DISPUTED: Final = "none of these items is in dispute"
ALL_DISPUTED: Final = "every one of these items is in dispute"
ONLY_THESE: Final = "every item in dispute has it"
DECIDES: Final = "it separates disputed items from the others perfectly"
ABSENT: Final = "none of these items is in the fit"
SAME: Final = "says nothing that the features before it do not say"
DIVERGES: Final = "with the other features it separates disputed items from the others perfectly"
FEW_UNITS: Final = "too few sampling units for so many features"
NOTHING_LEFT: Final = "no feature is left to fit"

_REDUCED_BELOW: Final = 200  # units
_RUNAWAY: Final = 10.0  # log odds ratio: 22,000 times the odds
_LOST: Final = 5.0  # standard error of a log odds ratio, from the information
_DEPENDENT: Final = 1e-8  # of a column's length that earlier columns leave
_PER_TERM: Final = 5  # disputed items per term; with fewer the ratios are rough
_HALF: Final = 0.5

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Kind = Literal["number", "flag", "text"]
Values = NDArray[Any] | pl.Series


def drivers(
    panel: Panel,
    features: Mapping[str, Values],
    *,
    clusters: Values | None = None,
    unit: str = "prompt",
    sampling: Sampling | None = None,
) -> Drivers | None:
    """The features' odds ratios for disagreement, each with the others held fixed.

    Parameters
    ----------
    features : name -> one value for each of the panel's items: numbers (sizes such as ``length``, 0 counts as 1: the
        odds ratio is that of a doubling), booleans (``incoherent``), or texts (``category``, ``model``).
    clusters : (N,) the items' sampling units, called `unit`; default those of the panel, else each item its own.

    None without features.

    Raises
    ------
    InputError : when a feature or the clusters have another length than the panel, or a feature is no such value.
    """
    sampling = sampling or Sampling()
    if not features:
        return None
    for name, values in {**features, **({} if clusters is None else {"clusters": clusters})}.items():
        if len(values) != panel.n_items:
            raise InputError(f"{name!r} does not match the items", found=len(values), expected=str(panel.n_items))
    if panel.scores is not None or not panel.question.labels:
        return Drivers(n_items=0, n_disputed=0, undefined=NO_LABELS)
    votes, lowest, highest = _votes(panel)
    eligible = np.flatnonzero(votes >= 2)
    y = (lowest != highest)[eligible]
    groups = np.arange(panel.n_items) if panel.clusters is None else panel.clusters
    unit = panel.unit if clusters is None else unit
    groups = groups if clusters is None else _numbered(clusters)
    common: dict[str, Any] = {"n_items": eligible.size, "n_disputed": int(y.sum()), "unit": unit}
    if why := ONE_JUDGE if len(panel.judges) < 2 else _one_sided(y) if y.size else NO_TWO:
        return Drivers(**common, undefined=why)
    model = _Model(y, groups[eligible], unit, sampling.seed)
    model.take(features, eligible, votes[eligible])
    return Drivers(**common, **model.solve(sampling.confidence))


def _votes(panel: Panel) -> tuple[NDArray[np.int32], NDArray[np.int16], NDArray[np.int16]]:
    """(N,) how many verdicts each item has, and the lowest and highest code among them; a judge at a time."""
    votes = np.zeros(panel.n_items, np.int32)
    lowest, highest = np.full(panel.n_items, np.iinfo(np.int16).max), np.full(panel.n_items, np.int16(-1))
    for code in panel.codes.T:
        given = code >= 0
        votes += given
        np.minimum(lowest, code, out=lowest, where=given)
        np.maximum(highest, code, out=highest)
    return votes, lowest.astype(np.int16), highest


def _numbered(clusters: Values) -> Ints:
    """A number for each unit; an item without a value is a unit of its own."""
    found = _series("clusters", clusters).rank("dense")
    alone = found.is_null().to_numpy()
    numbers = found.fill_null(0).cast(pl.Int64).to_numpy().copy()
    numbers[alone] = int(numbers.max(initial=0)) + 1 + np.arange(int(alone.sum()))
    return numbers


def _series(name: str, values: Values) -> pl.Series:
    if isinstance(values, pl.Series):
        return values
    return pl.Series(name, values.tolist() if values.dtype == object else values)


@dataclass
class _Feature:
    """One property of the eligible items: a number, or codes into `names` (a flag has ``no`` and ``yes``).

    `x` (n,) logarithms to base 2, or codes. `reference`: the level the others are compared with. `other`: the level
    that rare ones are taken together as, or -1. `gone`: level -> why it is not in the fit.
    """

    name: str
    kind: Kind
    x: NDArray[Any]
    names: list[str] = field(default_factory=list)
    reference: int = 0
    other: int = -1
    gone: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, values: pl.Series) -> tuple[_Feature, Bools]:
        """The feature, and where it is known."""
        if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
            raise InputError(f"{name!r} is no feature", found=str(values.dtype), expected="numbers, booleans or texts")
        if values.dtype == pl.Boolean:
            codes = values.fill_null(False).cast(pl.Int64).to_numpy()
            return cls(name, "flag", codes, ["no", "yes"]), values.is_not_null().to_numpy()
        if values.dtype.is_numeric():
            x = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
            known = np.isfinite(x) & (x >= 0)
            return cls(name, "number", np.log2(np.where(known, np.maximum(x, 1.0), 1.0))), known
        texts = values.cast(pl.String).fill_null("(none)")
        counts = texts.alias("level").value_counts(name="n").sort(["n", "level"], descending=[True, False])
        names = counts["level"].to_list()
        codes = texts.cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy()
        return cls(name, "text", codes, names), np.ones(codes.size, bool)

    def pool(self, rare: Ints) -> None:
        """Take levels together."""
        if self.other < 0:
            self.names.append(OTHER if OTHER not in self.names else f"{OTHER}, taken together")
            self.other = len(self.names) - 1
        place = np.arange(len(self.names))
        place[rare] = self.other
        self.x = place[self.x]


class _Model:
    """The items (n,) that can be fitted, and the features as they are pooled, cut and left out on the way."""

    def __init__(self, y: Bools, groups: NDArray[Any], unit: str, seed: int) -> None:
        self.y = y
        self.groups, self.n_groups = dense(groups)
        self.unit = unit
        self.seed = seed
        self.rows: Ints = np.arange(y.size)
        self.features: list[_Feature] = []
        self.left_out: dict[str, str] = {}
        self.notes: list[str] = []

    def take(self, features: Mapping[str, Values], eligible: Ints, votes: NDArray[Any]) -> None:
        """Read the features, keep the items on which all are known, and draw from these where they are too many."""
        known = np.ones(self.y.size, bool)
        for name, values in features.items():
            feature, there = _Feature.of(name, _series(name, values).gather(eligible))
            if there.mean() < _HALF:
                self.left_out[name] = UNKNOWN
                continue
            self.features.append(feature)
            known &= there
        if VERDICTS not in features and votes.min() < votes.max():
            self.features.append(_Feature(VERDICTS, "number", np.log2(votes)))
        self.rows = np.flatnonzero(known)
        if self.rows.size < known.size:
            self.notes.append(f"{known.size - self.rows.size:,} items lack a value of some feature: not in the fit")
        if self.rows.size > MAX_ROWS:
            self._draw()

    def _draw(self) -> None:
        rng = np.random.default_rng(self.seed)
        there = self.y[self.rows]
        disputed, others = rng.permutation(self.rows[there]), rng.permutation(self.rows[~there])
        disputed = disputed[: max(MAX_ROWS // 2, MAX_ROWS - others.size)]
        others = others[: MAX_ROWS - disputed.size]
        self.notes.append(
            f"fitted on {disputed.size:,} disputed items and {others.size:,} others, drawn at random from "
            f"{self.rows.size:,} (seed {self.seed})"
        )
        self.rows = np.sort(np.concatenate([disputed, others]))

    def solve(self, confidence: float) -> dict[str, Any]:
        """Fit, leaving out what cannot be fitted, until nothing runs off; the keys of `Drivers` that it fills."""
        found: dict[tuple[str, int], _Coefficient] = {}
        why: str | None = None
        while not found and why is None:
            self._settle()
            why = _one_sided(self.y[self.rows])
            if why is None:
                columns, x = self._design()
                few = np.unique(self.groups[self.rows]).size <= len(columns) + 1
                why = NOTHING_LEFT if not columns else FEW_UNITS if few else None
            if why is None:
                found = self._fit(columns, x, confidence)
        events = int(min(self.y[self.rows].sum(), (~self.y[self.rows]).sum()))
        if found and events < _PER_TERM * len(found):
            self.notes.append(f"{events:,} items on the rarer side for {len(found)} odds ratios: these are rough")
        return {
            "n": self.rows.size if found else 0,
            "n_units": np.unique(self.groups[self.rows]).size if found else 0,
            "terms": tuple(self._terms(found, why or "", confidence)),
            "left_out": self.left_out,
            "notes": tuple(self.notes),
            "undefined": why,
        }

    def _settle(self) -> None:
        """Pool rare levels, take out separated ones, leave out what is constant; until nothing changes."""
        before = -1
        while before != self.rows.size + len(self.features):
            before = self.rows.size + len(self.features)
            for feature in tuple(self.features):
                if not self.rows.size:
                    return
                if feature.kind == "number":
                    if np.ptp(feature.x[self.rows]) == 0:
                        self._leave(feature, CONSTANT)
                    continue
                if feature.kind == "text":
                    self._pool(feature)
                self._separate(feature)

    def _leave(self, feature: _Feature, why: str) -> None:
        self.features.remove(feature)
        if feature.name != VERDICTS:  # nobody asked for it
            self.left_out[feature.name] = why

    def _counts(self, feature: _Feature) -> tuple[Ints, Ints, Bools]:
        """How many of the rows have each level, how many of these are disputed, and which levels are too rare."""
        code, size = feature.x[self.rows], len(feature.names)
        n, disputed = np.bincount(code, minlength=size), np.bincount(code[self.y[self.rows]], minlength=size)
        pairs = np.unique(code * self.n_groups + self.groups[self.rows])
        units = np.bincount(pairs // self.n_groups, minlength=size)
        return n, disputed, (n > 0) & ((n < LEAST) | (units < LEAST_UNITS))

    def _pool(self, feature: _Feature) -> None:
        n, _, rare = self._counts(feature)
        if feature.other < 0:
            rare |= (n == 0) | (np.argsort(np.argsort(-n, kind="stable")) >= MAX_LEVELS)
            rare[list(feature.gone)] = False
            if rare.any():
                self.notes.append(
                    f"{feature.name}: {int(rare.sum()):,} values that have fewer than {LEAST} items or {LEAST_UNITS} "
                    f"{self.unit}s, or are not among the {MAX_LEVELS} most frequent, are taken together"
                )
        if rare.any():
            feature.pool(np.flatnonzero(rare))
            if self._counts(feature)[2].any():
                self._take_out(feature, np.array([feature.other]), [RARE])

    def _separate(self, feature: _Feature) -> None:
        n, disputed, rare = self._counts(feature)
        live = n > 0
        if live.sum() < 2 and not feature.gone:
            self._leave(feature, CONSTANT if feature.other < 0 else RARE)
            return
        if feature.kind == "flag" and rare.any():
            self._leave(feature, RARE)
            return
        none, every = live & (disputed == 0), live & (disputed == n)
        mixed = live & ~none & ~every
        if (none | every).any():
            rest = self.y[self.rows[~(none | every)[feature.x[self.rows]]]]
            if not mixed.any() or (feature.kind == "flag" and not mixed[0]) or _one_sided(rest):
                flag_words = ONLY_THESE if none[0] else DECIDES
                self._leave(feature, flag_words if feature.kind == "flag" else DECIDES)
                return
            gone = np.flatnonzero(none | every)
            self._take_out(feature, gone, [NONE_DISPUTED if none[level] else ALL_DISPUTED for level in gone])
        if feature.kind == "text":
            named = np.where(np.arange(n.size) == feature.other, 0, n)
            feature.reference = int(np.argmax(np.where(mixed, named + _HALF * (n > 0), -1)))

    def _take_out(self, feature: _Feature, levels: Ints, words: list[str]) -> None:
        feature.gone.update(zip(levels.tolist(), words, strict=True))
        self.rows = self.rows[~np.isin(feature.x[self.rows], levels)]

    def _design(self) -> tuple[list[tuple[_Feature, int]], Floats]:
        """The columns (feature and level) and their matrix with a constant before them; none depends on the others."""
        columns: list[tuple[_Feature, int]] = []
        x = [np.ones(self.rows.size)]
        for feature in self.features:
            values = feature.x[self.rows]
            if feature.kind == "number":
                columns.append((feature, -1))
                x.append(values - values.mean())
                continue
            for level in np.unique(values).tolist():
                if level != feature.reference and level not in feature.gone:
                    columns.append((feature, level))
                    x.append((values == level).astype(np.float64))
        matrix = np.column_stack(x)
        length = np.sqrt((matrix**2).sum(axis=0))
        own = np.abs(np.diag(np.linalg.qr(matrix / length, mode="r"))) > _DEPENDENT
        for (feature, level), new in zip(columns, own[1:], strict=True):
            if not new and level >= 0:
                feature.gone[level] = SAME
        kept = [column for column, new in zip(columns, own[1:], strict=True) if new]
        for feature in tuple(self.features):
            mine = [new for (of, _), new in zip(columns, own[1:], strict=True) if of is feature]
            if mine and not any(mine):
                self._leave(feature, SAME)
        return kept, matrix[:, own]

    def _fit(
        self, columns: list[tuple[_Feature, int]], x: Floats, confidence: float
    ) -> dict[tuple[str, int], _Coefficient]:
        """The coefficients; nothing where one of them runs off: that one is then left out."""
        value, error, units = _gee(self.y[self.rows], x, self.groups[self.rows])
        lost = ~(np.isfinite(error) & (_model_error(value, x) < _LOST))
        size = np.where(lost, np.inf, np.abs(value))[1:]
        worst = int(np.argmax(size))
        if size[worst] > _RUNAWAY:
            feature, level = columns[worst]
            if level < 0:
                self._leave(feature, DIVERGES)
            else:
                self._take_out(feature, np.array([level]), [DIVERGES])
            return {}
        free = units - x.shape[1]
        half = special.stdtrit(free, (1 + confidence) / 2) * error
        p = 2 * special.stdtr(free, -np.abs(value / error))
        return {
            (feature.name, level): _Coefficient(*(float(part[i]) for part in (value, half, p)))
            for i, (feature, level) in enumerate(columns, start=1)
        }

    def _terms(self, found: dict[tuple[str, int], _Coefficient], why: str, confidence: float) -> Iterator[DriverTerm]:
        corrected = dict(zip(found, holm([c.p for c in found.values()]), strict=True))
        for feature in self.features:
            levels = [-1] if feature.kind == "number" else np.unique(feature.x)[: MAX_LEVELS + 1].tolist()
            for level in levels:
                mine = np.ones(self.y.size, bool) if level < 0 else feature.x == level
                known = found.get((feature.name, level))
                number, reference = level < 0, level >= 0 and level == feature.reference
                n = int(mine.sum())
                ratio = Estimate(n=n, undefined=feature.gone.get(level, why or ABSENT))
                if reference and not why:
                    ratio = Estimate(value=1.0, n=n)
                elif known is not None:
                    bounds = np.exp([known.value, known.value - known.half, known.value + known.half])
                    ratio = estimate(float(bounds[0]), float(bounds[1]), float(bounds[2]), n, "")
                clusters = self.groups if self.n_groups < self.y.size else None
                yield DriverTerm(
                    feature=feature.name,
                    level=None if number else feature.names[level],
                    against=None if number or reference else feature.names[feature.reference],
                    reference=reference,
                    n=n,
                    disputed=None if number else proportion(self.y, mine, clusters=clusters, confidence=confidence),
                    odds_ratio=ratio,
                    p=None if known is None else known.p,
                    p_holm=corrected.get((feature.name, level)),
                )


class _Coefficient(NamedTuple):
    """A log odds ratio, half the width of its interval, and its p value."""

    value: float
    half: float
    p: float


def _one_sided(y: Bools) -> str | None:
    if y.sum() < LEAST:
        return NEVER
    return ALWAYS if (~y).sum() < LEAST else None


def _model_error(value: Floats, x: Floats) -> Floats:
    """(p,) standard errors of a logistic regression from its information. Where the data separate, there is none: the
    sandwich's would be small there, for nothing is left over."""
    fitted = special.expit(x @ np.nan_to_num(value))
    information = (x * (fitted * (1 - fitted))[:, None]).T @ x
    try:
        return np.sqrt(np.maximum(np.diag(np.linalg.inv(information)), 0))
    except np.linalg.LinAlgError:
        return np.full(value.shape, np.inf)


def _gee(y: Bools, x: Floats, groups: Ints) -> tuple[Floats, Floats, int]:
    """Coefficients and their standard errors (p,), and how many units there are."""
    from statsmodels.genmod.cov_struct import Independence  # noqa: PLC0415  (slow to import)
    from statsmodels.genmod.families import Binomial  # noqa: PLC0415
    from statsmodels.genmod.generalized_estimating_equations import GEE  # noqa: PLC0415

    index, units = dense(groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it warns of is seen in the coefficients
        model = GEE(y.astype(np.float64), x, groups=index, family=Binomial(), cov_struct=Independence())
        for kind in ("bias_reduced", "robust") if units < _REDUCED_BELOW else ("robust",):
            try:
                fit = model.fit(cov_type=kind)
            except (np.linalg.LinAlgError, ValueError):  # a unit that decides a coefficient alone
                continue
            return np.asarray(fit.params), np.asarray(fit.bse), units
    nothing = np.full(x.shape[1], np.nan)
    return nothing, nothing, units
