"""A judge asked again: does it say the same, and how often must it be asked before its majority is steady?

The repeats of one judge are read as a panel of their own whose judges are interchangeable. What they show for
certain is how often two answers to the same item agree, A. Everything beyond needs the shape of the judge's
doubt over items: the shares p_i of the labels it would give to item i are taken as Dirichlet distributed (two
labels: beta) around its label shares pi, with Fleiss' kappa as the correlation of two answers, so that
A = sum pi^2 + kappa (1 - sum pi^2) holds exactly. With two repeats an item A is all there is to be known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from interjudge.agreement.alpha import corrected
from interjudge.agreement.chance import count_features, fleiss_terms, label_shares
from interjudge.agreement.counts import Floats, Sums, Units, add_rows, assign, count_units, pack, ratio
from interjudge.agreement.degenerate import NO_PAIRS, ONE_CATEGORY, ZERO
from interjudge.agreement.intervals import Resampler, bca_interval, estimate, mean_wilson, proportion
from interjudge.agreement.panel import MAX_LABELS, Panel
from interjudge.agreement.participants import judges_of
from interjudge.agreement.question import LabelMap
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_service import JudgeStability, RepeatsNeeded
from interjudge.agreement.rows import CELL_STATUSES, NOT_ASKED, UNMAPPED, Codes, Rows
from interjudge.agreement.sampling import Sampling

SURE: Final = 0.95  # the chance that a majority must have of being what the judge says most often
MOST: Final = 99  # repeats; nobody asks more often
TOSS: Final = 0.6  # an item on which no label comes in this share of the times is a coin toss

_MAX_REPEATS: Final = 64  # numbers of repeats; with more, they are renumbered within each item
_LEAST: Final = 1e-6  # a kappa of 0 or less: every item has the judge's label shares
_DRAWS: Final = 200_000  # simulated shares of labels, all labels together
_ONE_SCORE: Final = "every score is the same"
_NEEDED: Final = ("item_id", "judge", "repeat", "judge_kind", "construct", "status", "label", "score")
_ABSENT: Final = (CELL_STATUSES.index(NOT_ASKED), CELL_STATUSES.index(UNMAPPED))


@dataclass(frozen=True)
class _Asked:
    """What one judge said to each item: `answers` (N, R) codes or scores, and `asked` (N, R)."""

    judge: int
    answers: Codes | Floats
    asked: NDArray[np.bool_]

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.answers) if self.answers.dtype.kind == "f" else self.answers >= 0


def stability(verdicts: pl.DataFrame, panel: Panel, *, sampling: Sampling | None = None) -> tuple[JudgeStability, ...]:
    """Test-retest figures of the judges that were asked several times; empty where none was.

    Parameters
    ----------
    verdicts : the whole verdict table, with its `repeat` column; `panel` : the question made from it.
    """
    sampling = sampling or Sampling()
    return tuple(_judge(panel, asked, sampling) for asked in _repeated(verdicts, panel))


def flipping(verdicts: pl.DataFrame, panel: Panel) -> NDArray[np.bool_]:
    """(N, J) verdicts whose usable repeats do not all give the same label; never where the panel is of scores."""
    found = np.zeros(panel.codes.shape, dtype=bool)
    for asked in _repeated(verdicts, panel) if panel.scores is None else ():
        top = asked.answers.max(axis=1)
        low = np.where(asked.usable, asked.answers, top[:, None]).min(axis=1)
        found[:, asked.judge] = low < top
    return found


def _repeated(verdicts: pl.DataFrame, panel: Panel) -> list[_Asked]:
    """The judges of the panel that have a second repeat of some item, with all they said."""
    if "repeat" not in verdicts.columns or verdicts["repeat"].max() == verdicts["repeat"].min():
        return []
    verdicts = verdicts.select(name for name in verdicts.columns if name in _NEEDED)
    known = {judge.name: (judge.construct, judge.kind) for judge in judges_of(verdicts)}
    per_judge = verdicts.group_by("judge").agg(several=pl.col("repeat").min() < pl.col("repeat").max())
    some = set(per_judge.filter("several")["judge"]) & set(panel.names)
    judges = tuple(judge for judge in panel.judges if judge.name in some)
    if not judges:
        return []
    table = _numbered(_scores_alone(verdicts, panel).filter(pl.col("judge").is_in(sorted(some))))
    label_map = LabelMap(panel.question.rules, known)
    numbers = table["repeat"].unique().sort().to_list()
    shape = (len(judges), panel.n_items, len(numbers))
    about_scores = panel.scores is not None
    answers = np.full(shape, np.nan) if about_scores else np.full(shape, -1, np.int16)
    asked = np.zeros(shape, bool)
    for r, number in enumerate(numbers):
        rows = Rows.of(table.filter(pl.col("repeat") == number), judges)
        here, there = _places(panel.items["item_id"], rows.ids)
        codes, statuses = _mapped(rows, label_map, panel)
        said = rows.scores() if about_scores else codes
        answers[:, here, r] = said[there].T
        asked[:, here, r] = ~np.isin(statuses[there], _ABSENT).T
    found = (_Asked(panel.names.index(judge.name), answers[i], asked[i]) for i, judge in enumerate(judges))
    return [one for one in found if one.asked.sum(axis=1).max(initial=0) >= 2]


def _numbered(table: pl.DataFrame) -> pl.DataFrame:
    """With few numbers of repeats: a table of items by repeats is as wide as there are numbers."""
    if table["repeat"].n_unique() <= _MAX_REPEATS:
        return table
    return table.with_columns(pl.col("repeat").rank("ordinal").over("item_id", "judge").alias("repeat"))


def _scores_alone(verdicts: pl.DataFrame, panel: Panel) -> pl.DataFrame:
    """As in the panel, labels that are very many different numbers are scores."""
    if panel.question.labels and verdicts["label"].n_unique() <= MAX_LABELS:
        return verdicts
    return verdicts.with_columns(label=pl.lit(None, pl.String))


def _mapped(rows: Rows, label_map: LabelMap, panel: Panel) -> tuple[Codes, NDArray[np.uint8]]:
    code_of = {label: code for code, label in enumerate(panel.question.labels)}
    judges = {judge.name for judge in rows.judges}
    thresholds = {name: at for name, at in panel.question.thresholds.items() if name in judges}
    question = replace(panel.question, thresholds=thresholds)
    return rows.scatter({pair: label_map(*pair) for pair in rows.pairs()}, code_of, question)


def _places(items: pl.Series, ids: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the `ids` that are among the `items` stand: in the items, and in the ids."""
    if ids.len() == items.len() and (ids == items.rename(ids.name)).all():
        whole = np.arange(ids.len())
        return whole, whole
    left, right = items.to_frame("id").with_row_index("here"), ids.to_frame("id").with_row_index("there")
    both = left.join(right, on="id", how="inner")
    return both["here"].cast(pl.Int64).to_numpy(), both["there"].cast(pl.Int64).to_numpy()


def _judge(panel: Panel, asked: _Asked, sampling: Sampling) -> JudgeStability:
    judge = panel.judges[asked.judge]
    per_item = asked.usable.sum(axis=1)
    twice = asked.asked.sum(axis=1) >= 2
    mixed = (asked.asked & ~asked.usable).any(axis=1) & (per_item > 0)
    figures = _scores if panel.scores is not None else _labels
    return JudgeStability(
        judge=judge.name,
        kind=judge.kind,
        n_items=int((per_item >= 2).sum()),
        n_repeats=int(per_item.max(initial=0)),
        not_always_usable=proportion(mixed, twice, clusters=panel.clusters, confidence=sampling.confidence),
        **figures(panel, asked, sampling),
    )


def _labels(panel: Panel, asked: _Asked, sampling: Sampling) -> dict[str, object]:
    """What the labels of repeats show; `agreement` and `flip_rate` have Wilson intervals, kappa a bootstrap one,
    and what follows from kappa the values at the ends of that."""
    k = len(panel.question.labels)
    units = count_units(
        _same_type(asked.answers), k, partial(_features, k=k), clusters=panel.clusters, seed=sampling.seed
    )
    totals = units.named(units.totals())
    n = round(float(totals["pairable"]))
    if not n:
        nothing = Estimate(undefined=NO_PAIRS)
        return dict.fromkeys(("agreement", "kappa", "flip_rate", "unstable", "coin_toss"), nothing)
    agreed, flips = (_share(units, name, panel, sampling) for name in ("agree:identity", "flip"))
    kappa = _kappa(units, agreed, n, sampling)
    likely, least = (end if end is not None else agreed.value or 0.0 for end in (agreed.ci_high, agreed.ci_low))
    return {
        "agreement": agreed,
        "kappa": kappa,
        "flip_rate": flips,
        # of any shares p of the labels, (1 - sum p^2) / 2 <= 1 - max p <= 1 - sum p^2, and A estimates sum p^2
        "unstable_bounds": ((1 - likely) / 2, 1 - least),
        **_beyond(label_shares(totals), kappa, agreed, n, sampling.seed),
    }


def _same_type(answers: NDArray[np.generic]) -> Codes:
    return np.asfortranarray(answers, dtype=np.int16)


def _features(counts: Floats, k: int) -> dict[str, Floats]:
    """Count vectors (n, K) of items with two answers or more; the others would only know the label shares."""
    counts = counts * (counts.sum(axis=1) >= 2)[:, None]
    found = count_features(counts, {"identity": np.eye(k)}, {})
    return found | {"flip": ((counts > 0).sum(axis=1) > 1).astype(np.float64)}


def _share(units: Units, name: str, panel: Panel, sampling: Sampling) -> Estimate:
    columns = units.named(units.features)
    hit, among = columns[name][:, None], columns["pairable"][:, None]
    clustered = panel.clusters is not None
    p, low, high = mean_wilson(hit, among, units.weight, sampling.confidence, clustered=clustered)
    n = round(float(units.weight @ columns["pairable"]))
    return estimate(float(p[0]), float(low[0]), float(high[0]), n, NO_PAIRS)


def _kappa(units: Units, agreed: Estimate, n: int, sampling: Sampling) -> Estimate:
    """Fleiss' kappa; where no answer ever changed its interval reaches down to what the agreement leaves room for."""

    def fleiss(sums: Floats) -> Floats:
        named: Sums = units.named(sums)
        k = named["share"].shape[-1]
        return corrected(*fleiss_terms(named, "identity", np.eye(k)), ZERO)

    total = units.totals()
    value = fleiss(total)
    if agreed.value is not None and agreed.value >= 1 - ZERO and np.isfinite(value):
        _, expected = fleiss_terms(units.named(total), "identity", np.eye(units.named(total)["share"].shape[-1]))
        low, high = 1 - (1 - (agreed.ci_low or 0.0)) / float(expected), 1.0
    else:
        low, high = _bootstrap(units, fleiss, sampling)
    return estimate(float(value), low, high, n, ONE_CATEGORY)


def _bootstrap(units: Units, formula: Callable[[Floats], Floats], sampling: Sampling) -> tuple[float, float]:
    total = units.totals()
    drawn = Resampler(units.weight, sampling.replicates, sampling.seed).sums(units.features)
    value, replicates, left = (np.atleast_1d(formula(s))[..., None] for s in (total, drawn, total - units.features))
    low, high = bca_interval(value[0], replicates, left, units.weight, units.size, sampling.confidence)
    return float(low[0]), float(high[0])


@dataclass(frozen=True)
class Doubt:
    """A judge with label shares `pi` (K,) and a `kappa` between its answers: what follows for single items.

    Labels never given are no labels. With two, everything is an incomplete beta integral; with more, figures
    come from 4,000 to 20,000 items drawn with `seed`, the same random numbers for every kappa.
    """

    pi: Floats
    kappa: float
    seed: int = 0

    @cached_property
    def parameters(self) -> Floats:
        """The Dirichlet's (K,), most frequent label first: two answers correlate by 1 / (1 + their sum)."""
        used = np.sort(self.pi[self.pi > ZERO])[::-1]
        kappa = min(max(self.kappa, _LEAST), 1 - _LEAST)
        return np.asarray(used / used.sum() * (1 - kappa) / kappa)

    @property
    def _none(self) -> bool:
        return self.kappa >= 1 - ZERO or self.parameters.size < 2

    @cached_property
    def unstable(self) -> float:
        """Mean of 1 - max p. For two labels E min(p, 1 - p)."""
        if self._none:
            return 0.0
        if self.parameters.size > 2:
            return float(1 - self._items.max(axis=1).mean())
        a, b = self.parameters
        return float((special.betainc(a + 1, b, 0.5) * a + (1 - special.betainc(a, b + 1, 0.5)) * b) / (a + b))

    @cached_property
    def toss(self) -> float:
        """Share of items with max p below `TOSS`."""
        if self._none:
            return 0.0
        if self.parameters.size > 2:
            return float((self._items.max(axis=1) < TOSS).mean())
        a, b = self.parameters
        return float(special.betainc(a, b, TOSS) - special.betainc(a, b, 1 - TOSS))

    @cached_property
    def needed(self) -> int | None:
        """The least odd number of repeats whose majority is right with the chance `SURE`; None above `MOST`."""
        odd = list(range(1, MOST + 1, 2))
        low, high = 0, len(odd)
        while low < high:  # the chance grows with the number of repeats
            middle = (low + high) // 2
            low, high = (low, middle) if self.right(odd[middle]) >= SURE else (middle + 1, high)
        return odd[low] if low < len(odd) else None

    def right(self, r: int) -> float:
        """The chance that the majority of r (odd) repeats is the label with the largest p, over all items.

        For two labels: sum over x of the beta-binomial probability of x answers in r, times the posterior
        probability that the label which then has the majority is the likelier one. With more labels the most
        frequent one is taken, and of several equally frequent ones any.
        """
        if self._none:
            return 1.0
        if self.parameters.size > 2:
            p = self._items
            counts = np.random.default_rng([self.seed, r]).multinomial(r, p)
            top = counts.max(axis=1)
            best = counts[np.arange(p.shape[0]), p.argmax(axis=1)]
            return float(((best == top) / (counts == top[:, None]).sum(axis=1)).mean())
        a, b = self.parameters
        x = np.arange(r + 1)
        ways = -np.log(r + 1) - special.betaln(x + 1, r - x + 1)
        chance = np.exp(ways + special.betaln(a + x, b + r - x) - special.betaln(a, b))
        less = special.betainc(a + x, b + r - x, 0.5)
        return float(chance @ np.where(2 * x < r, less, 1 - less))

    @cached_property
    def _items(self) -> Floats:
        """Draws of p, (draws, K). The logarithm of a gamma variate with a small parameter a is that of one with
        a + 1, and log U / a on top: no underflow."""
        a = self.parameters
        rng = np.random.default_rng([self.seed, a.size])
        size = (min(max(_DRAWS // a.size, 4_000), 20_000), a.size)
        log = np.log(rng.random(size)) / a + np.log(rng.standard_gamma(a + 1, size))
        return np.asarray(special.softmax(log, axis=1), dtype=np.float64)


def _beyond(pi: Floats, kappa: Estimate, agreed: Estimate, n: int, seed: int) -> dict[str, object]:
    """What follows from the shape of the judge's doubt: `unstable`, `coin_toss`, `repeats_needed`.

    Their intervals are their least and greatest values over five kappas from one end of its interval to the
    other (the latter two do not simply fall with kappa).
    """
    if kappa.value is None:  # one label throughout: nothing is unstable; at most what the agreement leaves open
        most = 1 - (agreed.ci_low if agreed.ci_low is not None else 0.0)
        return {
            "unstable": Estimate(value=0.0, ci_low=0.0, ci_high=most, n=n),
            "coin_toss": Estimate(value=0.0, n=n),
            "repeats_needed": RepeatsNeeded(value=1, low=1, high=1 if most <= 1 - SURE else None, most=MOST),
        }
    here = Doubt(pi, kappa.value, seed)
    if kappa.ci_low is None or kappa.ci_high is None:
        return {
            "unstable": Estimate(value=here.unstable, n=n),
            "coin_toss": Estimate(value=here.toss, n=n),
            "repeats_needed": RepeatsNeeded(value=here.needed, low=None, high=None, most=MOST),
        }
    low, value, high = kappa.ci_low, kappa.value, kappa.ci_high
    around = [here, *(Doubt(pi, at, seed) for at in (low, (low + value) / 2, (value + high) / 2, high))]
    unstable, toss = [d.unstable for d in around], [d.toss for d in around]
    needed = [d.needed if d.needed is not None else MOST + 1 for d in around]
    least, most_ = min(needed), max(needed)
    return {
        "unstable": estimate(here.unstable, min(unstable), max(unstable), n, NO_PAIRS),
        "coin_toss": estimate(here.toss, min(toss), max(toss), n, NO_PAIRS),
        "repeats_needed": RepeatsNeeded(
            value=here.needed,
            low=least if least <= MOST else None,
            high=most_ if most_ <= MOST else None,
            most=MOST,
        ),
    }


def _scores(panel: Panel, asked: _Asked, sampling: Sampling) -> dict[str, object]:
    """Standard deviation within items, and ICC(1,1) of Shrout and Fleiss (1979) with unequal group sizes."""
    usable = asked.usable & (asked.usable.sum(axis=1) >= 2)[:, None]
    if not usable.any():
        nothing = Estimate(undefined=NO_PAIRS)
        return {"within_sd": nothing, "icc": nothing}
    x = np.where(usable, asked.answers, 0.0)
    x = np.where(usable, x - x.sum() / usable.sum(), 0.0)
    r = usable.sum(axis=1).astype(np.float64)
    mean = x.sum(axis=1) / np.maximum(r, 1)
    within = (usable * (x - mean[:, None]) ** 2).sum(axis=1)
    features, layout = pack(
        {"items": (r > 0).astype(np.float64), "r": r, "r2": r * r, "x": r * mean, "x2": r * mean**2, "within": within}
    )
    assignment = assign(panel.n_items, panel.clusters, seed=sampling.seed)
    if assignment.index is not None:
        total = np.zeros((assignment.size, features.shape[1]))
        add_rows(total, assignment.index, features)
        features = total
    units = Units(features, np.ones(assignment.size, np.int64), layout, assignment.kind)
    totals = units.named(units.totals())
    n = int(totals["items"])
    found = {}
    for name, formula, why in (("within_sd", _within_sd, NO_PAIRS), ("icc", _icc, _ONE_SCORE)):
        value = float(formula(totals))
        low, high = _bootstrap(units, lambda sums, f=formula: f(units.named(sums)), sampling)  # type: ignore[misc]
        found[name] = estimate(value, low, high, n, why if n > 1 else "one item")
    return dict(found)


def _within_sd(sums: Sums) -> Floats:
    return np.sqrt(ratio(np.maximum(sums["within"], 0.0), sums["r"] - sums["items"]))


def _icc(sums: Sums) -> Floats:
    """(MSB - MSW) / (MSB + (r0 - 1) MSW), r0 = (sum r - sum r^2 / sum r) / (I - 1), of I items."""
    items, r = sums["items"], sums["r"]
    free = np.where(items > 1, items - 1, np.nan)
    between = np.maximum(sums["x2"] - ratio(sums["x"] ** 2, r), 0.0) / free
    within = ratio(np.maximum(sums["within"], 0.0), r - items)
    typical = (r - ratio(sums["r2"], r)) / free
    return ratio(between - within, between + (typical - 1) * within, ZERO)
