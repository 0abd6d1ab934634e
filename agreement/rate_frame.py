"""What the rates of all judges of a panel share: models, labelled items, sampling units, and how the labels lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.agreement.counts import GROUPS, Floats, assign
from interjudge.agreement.degenerate import ZERO
from interjudge.agreement.drawn_rates import Drawn
from interjudge.agreement.panel import Panel
from interjudge.agreement.rogan_gladen import NONE, OTHER, POSITIVE
from interjudge.agreement.sampling import Sampling

MAX_MODELS: Final = 50
MAX_ROWS: Final = 5000  # judges times models; more is nobody's reading
# A model needs this many labels to be a stratum of its own in the rate over all items.
MODEL_LABELS: Final = 10
# Below this probability, labelled and other items are said to differ.
DIFFERENT: Final = 0.001
_DRAWS: Final = 4000  # random samples that the mix of models is compared with

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Frame:
    """What all judges share. Rows are the whole panel and then the models that are shown, R of them.

    `group` (N,) model of each item, the last for items without one; `truth` (N,) OTHER, POSITIVE or NONE;
    `unit` (N,) sampling unit or None; `weight` (N,) design weights of the labelled items or None; `picked`: they are
    no random sample; `models` the names of rows 1 to R - 1; `by_model`: whether models are strata of the whole; `notes`
    on the labelled sample.
    """

    positive: int
    group: Ints
    n_groups: int
    truth: Ints
    unit: Ints | None
    weight: Floats | None
    picked: bool
    n_units: int
    unit_name: str
    models: tuple[str, ...]
    by_model: bool
    confidence: float
    notes: tuple[str, ...]

    @classmethod
    def of(cls, panel: Panel, positive: int, sampling: Sampling) -> Frame:
        n = panel.n_items
        gold = np.full(n, -1, np.int16) if panel.gold is None else panel.gold
        truth = np.where(gold < 0, NONE, np.where(gold == positive, POSITIVE, OTHER)).astype(np.int64)
        group, models, notes = _models(panel.items, len(panel.judges))
        n_groups = len(models) + 1
        unit, n_units = None, 1
        if panel.clusters is not None:
            dealt = assign(n, panel.clusters, seed=sampling.seed, max_units=GROUPS)
            unit, n_units = dealt.index, dealt.size
        whole, labelled = (np.bincount(group[mask], minlength=n_groups) for mask in (slice(None), truth != NONE))
        if 0 < labelled.sum() < n and panel.gold_weight is None:
            notes += _mix(whole, labelled, models, _labels_per_unit(unit, truth), sampling.seed)
        by_model = int((whole > 0).sum()) > 1 and bool((labelled[whole > 0] >= MODEL_LABELS).all())
        return cls(
            positive, group, n_groups, truth, unit, panel.gold_weight, panel.gold_picked, n_units, panel.unit, models,
            by_model, sampling.confidence, notes,
        )  # fmt: skip

    @property
    def labelled(self) -> NDArray[np.bool_]:
        return np.asarray(self.truth != NONE)

    @cached_property
    def drawn(self) -> Drawn | None:
        """The labelled items as a sample of unequal probabilities, where they are one."""
        if self.weight is None:
            return None
        rows = (np.ones(self.truth.size, bool), *(self.group == g for g in range(len(self.models))))
        return Drawn(self.truth == POSITIVE, self.labelled, self.weight, self.unit, rows, self.confidence)

    def count(self, codes: NDArray[Any]) -> Ints:
        """How many items of each unit and model have each verdict and reference label, (U, G, 3, 3)."""
        verdict = np.where(codes < 0, NONE, np.where(codes == self.positive, POSITIVE, OTHER))
        cell = self.group * 9 + verdict * 3 + self.truth
        if self.unit is not None:
            cell += self.unit * (self.n_groups * 9)
        table = np.bincount(cell, minlength=self.n_units * self.n_groups * 9)
        return table.reshape(self.n_units, self.n_groups, 3, 3)

    def rows(self, table: NDArray[Any]) -> NDArray[Any]:
        """(..., G, 3, 3) -> (..., R, 3, 3)"""
        whole = table.sum(axis=-3, keepdims=True)
        return np.concatenate([whole, table[..., : len(self.models), :, :]], axis=-3)


def _models(items: pl.DataFrame, n_judges: int) -> tuple[Ints, tuple[str, ...], tuple[str, ...]]:
    """(N,) model of each item, the names, and a note where they are too many to be shown."""
    nowhere = np.zeros(items.height, np.int64)
    if "model" not in items.columns:
        return nowhere, (), ()
    texts = items["model"].cast(pl.String)
    names = texts.drop_nulls().unique().sort()
    most = min(MAX_MODELS, MAX_ROWS // max(n_judges, 1))
    if names.len() > most:
        judges = f" for {n_judges:,} judges" if most < MAX_MODELS else ""
        return nowhere, (), (f"{names.len():,} models: rates by model are left out above {most}{judges}",)
    codes = texts.cast(pl.Enum(names)).to_physical().cast(pl.Int64).fill_null(names.len())
    return codes.to_numpy(), tuple(names), ()


def _labels_per_unit(unit: Ints | None, truth: Ints) -> float:
    """Labelled items of a unit that has any, on average."""
    if unit is None:
        return 1.0
    counts = np.bincount(unit[truth != NONE])
    return float(counts.sum() / max(int((counts > 0).sum()), 1))


def _mix(whole: Ints, labelled: Ints, models: tuple[str, ...], per_unit: float, seed: int) -> tuple[str, ...]:
    """Whether the labelled items are as mixed over models as a random sample would be.

    Pearson's statistic against those of random samples of the same size, counts divided by the labels that share
    a sampling unit.
    """
    used = whole > 0
    n_models = int(used[: len(models)].sum())
    if n_models < 2:
        return ()
    size, found = np.maximum((whole[used] / per_unit).round().astype(np.int64), 1), labelled[used] / per_unit
    n = min(round(float(found.sum())), int(size.sum()))
    expected = n * size / size.sum()
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(size, n, size=_DRAWS, method="marginals")
    distance = ((drawn - expected) ** 2 / expected).sum(axis=1)
    chance = (1 + (distance >= ((found - expected) ** 2 / expected).sum() - ZERO).sum()) / (1 + _DRAWS)
    if chance >= DIFFERENT:
        return ()
    some = int((labelled[: len(models)] > 0).sum())
    where = f"labels stand on {some} of {n_models} models" if some < n_models else "some models have more, others fewer"
    words = f"the labelled items are not mixed over the models as all items are ({where}); quote rates model by model"
    return (words,)
