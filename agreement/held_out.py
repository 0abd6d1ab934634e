"""Choosing among latent-truth models without a reference: how well each predicts a judge it has not heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.dawid_skene import Model, family_votes, posterior
from interjudge.agreement.families import Cut, numbered
from interjudge.agreement.vote_patterns import Floats, Patterns

_MAX_JUDGES: Final = 12
_STACK_STEPS: Final = 300
_FLOOR: Final = 1e-6


@dataclass(frozen=True)
class Component:
    """One fitted model: families of one cut, one form of confusion matrix."""

    cut: Cut
    model: Model
    log_joint: Floats


@dataclass(frozen=True)
class HeldOut:
    """What each model says of verdicts it was not shown.

    Attributes
    ----------
    predicted : model name -> (E,) probability it gave to each verdict of the judges held out, from the verdicts
        of the judges outside that judge's family.
    weight : (E,) number of items behind each.
    """

    predicted: Mapping[str, Floats]
    weight: Floats

    def scores(self) -> dict[str, float]:
        """Mean log probability per held-out verdict; 0 is perfect."""
        total = self.weight.sum()
        return {
            name: float(self.weight @ np.log(np.maximum(p, _FLOOR)) / total) if total > 0 else 0.0
            for name, p in self.predicted.items()
        }

    def stack(self) -> dict[str, float]:
        """Weights that sum to 1 under which the mixture predicts best (stacking; Yao et al. 2018, equation 8).

        Starts at equal weights, so models that predict alike keep equal weights.
        """
        names = list(self.predicted)
        share = np.full(len(names), 1 / len(names))
        table = np.maximum(np.column_stack([self.predicted[name] for name in names]), _FLOOR)
        for _ in range(_STACK_STEPS if self.weight.sum() > 0 else 0):
            part = share * table
            part /= part.sum(axis=1, keepdims=True)
            share = self.weight @ part / self.weight.sum()
        return dict(zip(names, share.tolist(), strict=True))


def hold_out(patterns: Patterns, cuts: Sequence[Cut], forms: Mapping[str, Sequence[Component]], vote: str) -> HeldOut:
    """Predict the verdicts of each of the judges with most verdicts from the judges outside its family.

    `forms`: model name -> its components, one for each cut. `vote`: name for the families' vote share. The
    parameters have seen the verdict; they are few, and the same for all models of a size.
    """
    weight = patterns.weight
    seen = (patterns.codes >= 0).T @ weight
    judges = np.argsort(-seen, kind="stable")[:_MAX_JUDGES]
    predicted: dict[str, list[Floats]] = {name: [] for name in (*forms, vote)}
    weights: list[Floats] = []
    for judge in judges:
        rows = np.flatnonzero(patterns.codes[:, judge] >= 0)
        said = patterns.codes[rows, judge].astype(np.int64)
        weights.append(weight[rows])
        for name, components in forms.items():
            predicted[name].append(_from_models(patterns, components, int(judge), rows, said))
        predicted[vote].append(_from_votes(patterns, cuts, int(judge), rows, said))
    joined = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in predicted.items()}
    return HeldOut(joined, np.concatenate(weights) if weights else np.zeros(0))


def _from_models(
    patterns: Patterns,
    components: Sequence[Component],
    judge: int,
    rows: NDArray[np.intp],
    said: NDArray[np.int64],
) -> Floats:
    out = np.zeros(rows.size)
    for part in components:
        message = part.model.message(patterns, int(part.cut.families[judge]))
        others = posterior((part.log_joint - message)[rows])
        out += part.cut.weight * (others * part.model.confusions_of(judge)[:, said].T).sum(axis=1)
    return out


def _from_votes(
    patterns: Patterns, cuts: Sequence[Cut], judge: int, rows: NDArray[np.intp], said: NDArray[np.int64]
) -> Floats:
    out = np.zeros(rows.size)
    for cut in cuts:
        others = np.flatnonzero(cut.families != cut.families[judge])
        if others.size == 0:
            out += cut.weight / patterns.k
            continue
        sub = patterns.only(others)
        out += cut.weight * family_votes(sub, numbered(cut.families[others]))[rows, said]
    return out
