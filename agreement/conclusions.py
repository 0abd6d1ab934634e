"""Which conclusions survive the judge: every model's rate under every judge, every comparison of models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.agreement.intervals import proportion
from interjudge.agreement.measure import Sampling
from interjudge.agreement.panel import Panel
from interjudge.agreement.results import Comparison, Conclusions, Estimate, Holds, ModelRate
from interjudge.errors import InputError, choices

MAX_MODELS: Final = 30  # 435 pairs; with more models only fine-tunes are compared with their base


def conclude(panel: Panel, *, sampling: Sampling | None = None) -> Conclusions | None:
    """Rates of the question's positive label by model and judge, and what holds under every judge.

    The panel's items carry `model`, and `base_model` if there is one. Differences of two rates have
    Newcombe's hybrid score interval (Newcombe 1998, method 10) from the Wilson intervals of the two rates (which
    are those of the clusters where there are any). It takes the two models' outputs as independent samples, which
    is cautious where both answered the same prompts.

    None where the question has no positive label or the items have fewer than two models.
    """
    sampling = sampling or Sampling()
    positive = panel.question.positive_code
    if positive is None or "model" not in panel.items.columns or panel.scores is not None:
        return None
    model = panel.items["model"].cast(pl.String).to_numpy()
    models = sorted({m for m in model if m is not None})
    if len(models) < 2:
        return None
    bases = _bases(panel.items)
    rates = [
        _rate(panel, j, model == name, positive, name, bases.get(name), sampling)
        for name in models
        for j in range(len(panel.judges))
    ]
    by_key = {(rate.model, rate.judge): rate.rate for rate in rates}
    comparisons = [
        _compare(a, b, bases, {judge: (by_key[a, judge], by_key[b, judge]) for judge in panel.names})
        for a, b in _pairs(models, bases)
    ]
    return Conclusions(label=panel.question.positive or "", rates=tuple(rates), comparisons=tuple(comparisons))


def _bases(items: pl.DataFrame) -> dict[str, str]:
    """Fine-tune -> its base model."""
    if "base_model" not in items.columns:
        return {}
    table = items.select("model", "base_model").drop_nulls().unique(maintain_order=True).sort("model", "base_model")
    for model in table.filter(pl.col("model").is_duplicated())["model"]:
        bases = choices(table.filter(pl.col("model") == model)["base_model"])
        raise InputError(f"model {model!r} has several base models", column="base_model", found=bases, expected="one")
    return {m: b for m, b in table.iter_rows() if m != b}


def _pairs(models: Sequence[str], bases: dict[str, str]) -> list[tuple[str, str]]:
    """Fine-tunes with their base first, then every other pair."""
    tuned = [(m, bases[m]) for m in models if bases.get(m) in models]
    if len(models) > MAX_MODELS:
        return tuned
    return tuned + [(a, b) for a, b in combinations(models, 2) if (a, b) not in tuned and (b, a) not in tuned]


def _rate(
    panel: Panel,
    j: int,
    mine: NDArray[np.bool_],
    positive: int,
    model: str,
    base: str | None,
    sampling: Sampling,
) -> ModelRate:
    code = panel.codes[mine, j]
    usable = code >= 0
    clusters = None if panel.clusters is None else panel.clusters[mine][usable]
    return ModelRate(
        model=model,
        base_model=base,
        judge=panel.names[j],
        rate=proportion(code[usable] == positive, clusters=clusters, confidence=sampling.confidence),
        n_missing=int((~usable).sum()),
    )


def _compare(a: str, b: str, bases: dict[str, str], rates: dict[str, tuple[Estimate, Estimate]]) -> Comparison:
    difference = {judge: _difference(of_a, of_b) for judge, (of_a, of_b) in rates.items()}
    kind = "fine-tune" if bases.get(a) == b else "pair"
    return Comparison(a=a, b=b, kind=kind, difference=difference, holds=_holds(list(difference.values())))


def _difference(a: Estimate, b: Estimate) -> Estimate:
    if a.value is None or b.value is None:
        return Estimate(n=a.n + b.n, undefined="no verdicts on one of the models")
    d = a.value - b.value
    if a.ci_low is None or a.ci_high is None or b.ci_low is None or b.ci_high is None:
        return Estimate(value=d, n=a.n + b.n)
    below = math.hypot(a.value - a.ci_low, b.ci_high - b.value)
    above = math.hypot(a.ci_high - a.value, b.value - b.ci_low)
    return Estimate(value=d, ci_low=d - below, ci_high=d + above, n=a.n + b.n)


def _holds(differences: Sequence[Estimate]) -> Holds:
    signs = {int(np.sign(d.value)) for d in differences if d.value is not None}
    if {1, -1} <= signs:
        return "flips"
    if any(d.value is None for d in differences):
        return "undecided"
    clear = [d.ci_low is not None and d.ci_high is not None and (d.ci_low > 0 or d.ci_high < 0) for d in differences]
    if all(clear):
        return "clear"
    return "same direction" if 0 not in signs else "undecided"
