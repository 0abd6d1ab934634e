"""Which conclusions survive the judge: every model's rate under every judge, every comparison of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from interjudge.agreement.counts import Floats, ratio
from interjudge.agreement.fine_tunes import fine_tunes
from interjudge.agreement.intervals import estimate, estimates
from interjudge.agreement.multiple import holm
from interjudge.agreement.panel import Panel
from interjudge.agreement.rank_agreement import (
    MAX_RANKED,
    NO_OTHER,
    Cells,
    Figures,
    Ints,
    Ratio,
    correlation,
    denominators,
    difference_bounds,
    model_figures,
    model_rates,
    rank_agreement,
    sampling_units,
)
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_models import (
    Comparison,
    Conclusions,
    ErrorsByModel,
    Gap,
    Holds,
    JudgeErrors,
    ModelErrors,
    Standing,
    Statement,
)
from interjudge.agreement.sampling import MAX_PAIRED_JUDGES, Sampling
from interjudge.agreement.sweeps import sweeps
from interjudge.errors import InputError, choices

Bools = NDArray[np.bool_]

MAX_MODELS: Final = 30  # 435 pairs; with more models only fine-tunes are compared with their base
_FEW_EXPECTED: Final = 5  # below this expected count a chi-square distribution is not trusted (Cochran 1954)
_DRAWS: Final = 2_000  # of the permutation test
_STEPS: Final = 1_001
_ROUNDS: Final = 100
_STANDINGS: Final[tuple[Standing, ...]] = ("all", "most", "contested", "few", "none")


def conclude(
    panel: Panel,
    *,
    sampling: Sampling | None = None,
    pair_by: NDArray[np.int64] | None = None,
    truth_posterior: Floats | None = None,
    votes: Floats | None = None,
    refusal: Bools | None = None,
    incoherent: Bools | None = None,
    verdicts: pl.DataFrame | None = None,
) -> Conclusions | None:
    """Rates of the question's positive label by model and judge, and what holds under every judge.

    The panel's items carry `model`, and `base_model` and `benchmark` if there are such. See docs/conclusions.md.

    Parameters
    ----------
    pair_by : (N,) number of each item's prompt, below 0 for none: models that answered the same prompts are then
        compared on them, and prompts are sampling units where one model has several outputs to a prompt.
    truth_posterior : (N, K) probability of each true label, taken as the truth where the panel has no reference.
    votes : (J,) what each judge's vote is worth; default one each.
    refusal, incoherent : (N,) outputs that some count and others do not.
    verdicts : the verdict table, for judges with scores.

    None where the question has no positive label or the items have fewer than two models.

    Raises
    ------
    InputError : a model with several bases; an array that does not fit the panel.
    """
    sampling = sampling or Sampling()
    positive = panel.question.positive_code
    if positive is None or "model" not in panel.items.columns or panel.scores is not None:
        return None
    column = panel.items["model"].cast(pl.String)
    models = sorted(column.drop_nulls().unique().to_list())
    if len(models) < 2:
        return None
    _check(panel, truth_posterior, votes, refusal=refusal, incoherent=incoherent)
    bases = _bases(panel.items)
    group = column.cast(pl.Enum(models)).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    unit = sampling_units(panel.clusters, pair_by, panel.n_items)
    clustered = panel.clusters is not None
    cells = Cells(group, unit, len(models), clustered=clustered)
    told = _pairs(models, bases)
    pairs = _numbered(models, told, everything=len(panel.judges) <= MAX_PAIRED_JUDGES)
    figures = model_figures(panel.codes, positive, cells, pairs, sampling.confidence)
    benchmark = panel.items["benchmark"] if "benchmark" in panel.items.columns else None
    alone: dict[str, Any] = {"clustered": clustered, "confidence": sampling.confidence}
    left_out = {"refusals": refusal, "incoherent outputs": incoherent}
    complete = len(pairs) == len(models) * (len(models) - 1) // 2
    return Conclusions(
        label=panel.question.positive or "",
        rates=model_rates(panel.names, models, bases, figures, group),
        comparisons=_comparisons(told, bases, figures, panel.names),
        statements=_statements(told, figures, panel.names, votes),
        ranks=rank_agreement(panel.codes, positive, group, unit, figures, panel.names, sampling) if complete else (),
        fine_tunes=fine_tunes(
            panel.codes, positive, models, group, unit, bases, panel.names, benchmark=benchmark, **alone
        ),
        errors=_errors(panel, positive, models, group, cells, truth_posterior, sampling),
        denominators=denominators(
            panel.codes, positive, models, group, unit, bases, panel.names, figures, left_out, **alone
        ),
        sweeps=() if verdicts is None else sweeps(panel, verdicts, group, len(models), confidence=sampling.confidence),
    )


def _check(panel: Panel, posterior: Floats | None, votes: Floats | None, **masks: Bools | None) -> None:
    sizes: dict[str, tuple[NDArray[Any] | None, tuple[int, ...]]] = {
        "truth_posterior": (posterior, (panel.n_items, len(panel.question.labels))),
        "votes": (votes, (len(panel.judges),)),
        **{name: (mask, (panel.n_items,)) for name, mask in masks.items()},
    }
    for name, (array, shape) in sizes.items():
        if array is not None and array.shape != shape:
            raise InputError(f"{name} does not fit the panel", found=array.shape, expected=str(shape))


def _bases(items: pl.DataFrame) -> dict[str, str]:
    """Fine-tune -> its base model."""
    if "base_model" not in items.columns:
        return {}
    table = items.select("model", "base_model").drop_nulls().unique(maintain_order=True).sort("model", "base_model")
    for model in table.filter(pl.col("model").is_duplicated())["model"]:
        bases = choices(table.filter(pl.col("model") == model)["base_model"])
        raise InputError(f"model {model!r} has several base models", column="base_model", found=bases, expected="one")
    return {m: b for m, b in table.cast(pl.String).iter_rows() if m != b}


def _pairs(models: Sequence[str], bases: Mapping[str, str]) -> list[tuple[str, str]]:
    """Fine-tunes with their base first, then every other pair."""
    known = set(models)
    tuned = [(m, bases[m]) for m in models if bases.get(m) in known]
    if len(models) > MAX_MODELS:
        return tuned
    said = set(tuned)
    return tuned + [(a, b) for a, b in combinations(models, 2) if (a, b) not in said and (b, a) not in said]


def _numbered(models: Sequence[str], told: Sequence[tuple[str, str]], *, everything: bool) -> Ints:
    """(P, 2) the pairs that are told, and after them, where that is feasible, all others that are counted."""
    number = {name: i for i, name in enumerate(models)}
    pairs = [(number[a], number[b]) for a, b in told]
    if MAX_MODELS < len(models) <= MAX_RANKED and everything:
        said = {frozenset(pair) for pair in pairs}
        pairs += [pair for pair in combinations(range(len(models)), 2) if frozenset(pair) not in said]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _comparisons(
    told: Sequence[tuple[str, str]], bases: Mapping[str, str], figures: Figures, judges: Sequence[str]
) -> tuple[Comparison, ...]:
    found = []
    for p, (a, b) in enumerate(told):
        differences = figures.change(p)
        found.append(
            Comparison(
                a=a,
                b=b,
                kind="fine-tune" if bases.get(a) == b else "pair",
                difference=dict(zip(judges, differences, strict=True)),
                holds=_holds(differences),
                paired=tuple(judge for judge, yes in zip(judges, figures.paired[p], strict=True) if yes),
            )
        )
    return tuple(found)


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


def _statements(
    told: Sequence[tuple[str, str]], figures: Figures, judges: Sequence[str], votes: Floats | None
) -> tuple[Statement, ...]:
    """Each pair in the direction that more votes see clearly (then: see at all); pairs equal under all are left out."""
    weight = np.ones(len(judges)) if votes is None or not votes.sum() > 0 else votes
    found = []
    for p, (a, b) in enumerate(told):
        sign, clear = figures.sign[p], figures.clear[p]
        if not sign.any():
            continue
        up = (weight @ clear, weight @ sign, sign.sum()) >= (0, 0, 0)
        way = 1 if up else -1
        sure, reverse, known = clear == way, clear == -way, np.isfinite(figures.difference[p])
        share = float(weight @ sure) / max(float(weight @ known), 1e-300)
        standing = _standing(sure, reverse, share)
        found.append(
            Statement(
                higher=a if up else b,
                lower=b if up else a,
                standing=standing,
                share=share,
                n_judges=int(known.sum()),
                n_same=int((sign == way).sum()),
                n_reverse=int((sign == -way).sum()),
                clear=tuple(judge for judge, yes in zip(judges, sure, strict=True) if yes),
                clear_reverse=tuple(judge for judge, yes in zip(judges, reverse, strict=True) if yes),
                words=_words(standing, int(sure.sum()), int(reverse.sum()), int(known.sum())),
            )
        )
    return tuple(sorted(found, key=lambda s: (_STANDINGS.index(s.standing), -s.share)))


def _standing(sure: Bools, reverse: Bools, share: float) -> Standing:
    if sure.all():
        return "all"
    if share > 0.5:
        return "most"
    if reverse.any():
        return "contested"
    return "few" if sure.any() else "none"


def _words(standing: Standing, sure: int, reverse: int, n: int) -> str:
    if standing == "all":
        return "clear under every judge" if n > 1 else "clear under the only judge"
    if standing == "none":
        return "clear under no judge"
    rest = f", clearly the reverse under {reverse}" if reverse else ""
    return f"clear under {sure} of {n} judge{'s' if n > 1 else ''}{rest}"


def _errors(
    panel: Panel,
    positive: int,
    models: Sequence[str],
    group: Ints,
    cells: Cells,
    posterior: Floats | None,
    sampling: Sampling,
) -> ErrorsByModel | None:
    """Every judge's errors on every model, against the reference or else against the estimated truth."""
    gold = panel.gold
    if gold is not None and (gold >= 0).any():
        truth = _Truth((gold == positive).astype(np.float64), gold >= 0, panel.gold_weight, True)
    elif posterior is not None:
        truth = _Truth(_own_shares(posterior[:, positive], group, len(models)), group >= 0, None, False)
    else:
        return None
    judges = [
        _judge_errors(name, panel.codes[:, j], positive, truth, models, cells, sampling)
        for j, name in enumerate(panel.names)
    ]
    adjusted = holm([judge.p_equal.value for judge in judges])
    told = tuple(judge.model_copy(update={"p_holm": p}) for judge, p in zip(judges, adjusted, strict=True))
    return ErrorsByModel(against="reference" if truth.exact else "estimated truth", judges=told)


@dataclass(frozen=True)
class _Truth:
    """(N,) each: the probability that the positive label is true, whether that is known, design weights or None;
    `exact`: it is a reference, 0 or 1."""

    positive: Floats
    known: Bools
    weight: Floats | None
    exact: bool


def _own_shares(p: Floats, group: Ints, n_models: int) -> Floats:
    """(N,) P(positive) as it is when each model has a share of positives of its own.

    A posterior made with one share for all pulls doubtful outputs of every model towards it, and equal errors would
    look unequal wherever the models differ. The models' shares come from it by EM (Saerens, Latinne and Decaestecker
    2002, Neural Computation 14:21, equations 2.4 and 2.9), on posteriors rounded to a thousandth.
    """
    inside = group >= 0
    common = float(np.clip(p[inside].mean(), 1e-9, 1 - 1e-9)) if inside.any() else 0.5
    cell = group[inside] * _STEPS + np.rint(np.clip(p[inside], 0, 1) * (_STEPS - 1)).astype(np.int64)
    table = np.bincount(cell, minlength=n_models * _STEPS).reshape(n_models, _STEPS)
    n, grid = np.maximum(table.sum(axis=1), 1), np.linspace(0, 1, _STEPS)
    share = np.full(n_models, common)
    for _ in range(_ROUNDS):
        mean = (table * _moved(grid, share[:, None], common)).sum(axis=1) / n
        share = np.clip(mean, 0.5 / n, 1 - 0.5 / n)
    return np.where(inside, _moved(p, share[group], common), p)


def _moved(p: Floats, share: Floats, common: float) -> Floats:
    """The posterior p under the prior `common`, under the prior `share`."""
    yes, no = p * share / common, (1 - p) * (1 - share) / (1 - common)
    return np.asarray(yes / (yes + no))


def _judge_errors(
    name: str,
    code: NDArray[np.integer[Any]],
    positive: int,
    truth: _Truth,
    models: Sequence[str],
    cells: Cells,
    sampling: Sampling,
) -> JudgeErrors:
    use, said = (code >= 0) & truth.known, (code == positive) & truth.known
    yes, weight = truth.positive, truth.weight
    n, n_positive, n_other = (np.rint(cells.by_group(cells.sums(part))) for part in (use, use * yes, use * (1 - yes)))
    of, among = (part if weight is None else part * weight for part in (said, use))

    def ratio_of(top: NDArray[Any], bottom: NDArray[Any]) -> Ratio:
        return cells.ratio(top, bottom, weighted=weight is not None)

    hit = ratio_of(of * yes, among * yes)  # sensitivity
    alarm = ratio_of(of * (1 - yes), among * (1 - yes))  # 1 - specificity
    rate, true = ratio_of(of, among), ratio_of(among * yes, among)
    confidence, m = sampling.confidence, len(models)
    low, high = hit.bounds(confidence)
    alarm_low, alarm_high = alarm.bounds(confidence)
    j, bias = _Contrast.of(hit, alarm, cells), _Contrast.of(rate, true, cells)
    no_positive, no_other = ["no output of the positive label"] * m, ["no output of another label"] * m
    either = [no_positive[i] if hit.total[i] <= 0 else no_other[i] for i in range(m)]
    columns = (
        estimates(hit.value, low, high, n_positive, no_positive),
        estimates(1 - alarm.value, 1 - alarm_high, 1 - alarm_low, n_other, no_other),
        estimates(j.value, *j.bounds(confidence), n, either),
        estimates(bias.value, *bias.bounds(confidence), n, ["no verdict on an output with a known label"] * m),
    )
    p, method = _equal(hit, alarm, sampling.seed, exact=truth.exact and not cells.clustered and weight is None)
    why = "fewer than two models to compare, or no errors that vary"
    return JudgeErrors(
        judge=name,
        models=tuple(
            ModelErrors(model=model, sensitivity=a, specificity=b, youden_j=c, bias=d)
            for model, a, b, c, d in zip(models, *columns, strict=True)
        ),
        youden_gap=_gap(j, models, cells, confidence, n),
        bias_gap=_gap(bias, models, cells, confidence, n),
        p_equal=Estimate(n=int(n.sum()), undefined=why) if p is None else Estimate(value=p, n=int(n.sum())),
        p_holm=None,
        method=method,
    )


class _Contrast:
    """The difference of two ratios within each model, on outputs that may be the same."""

    def __init__(self, first: Ratio, second: Ratio, phi: Floats, spread: Floats) -> None:
        self.first, self.second, self.phi, self.spread = first, second, phi, spread
        self.value = first.value - second.value
        self.pull = first.pull - second.pull

    @classmethod
    def of(cls, first: Ratio, second: Ratio, cells: Cells) -> _Contrast:
        shared = cells.together(first.pull, second.pull)
        one, two = (cells.by_group(r.pull**2) for r in (first, second))
        half = ratio(np.ones(cells.n_groups), first.items * second.items) / 2
        phi = correlation(shared, one, two, np.nan_to_num(half))
        return cls(first, second, phi, one + two - 2 * shared)

    def bounds(self, confidence: float) -> tuple[Floats, Floats]:
        first, second = (r.bounds(confidence) for r in (self.first, self.second))
        return difference_bounds((self.first.value, *first), (self.second.value, *second), self.phi)


def _gap(found: _Contrast, models: Sequence[str], cells: Cells, confidence: float, n: Floats) -> Gap | None:
    """The highest and the lowest model. Having been picked, their difference is judged at the level that makes all
    pairs' intervals hold together (Sidak 1967)."""
    known = np.flatnonzero(np.isfinite(found.value))
    if known.size < 2:
        return None
    a, b = known[np.argmax(found.value[known])], known[np.argmin(found.value[known])]
    if a == b:  # all the same
        b = known[1] if known[0] == a else known[0]
    level = confidence ** (1 / (known.size * (known.size - 1) / 2))
    low, high = found.bounds(level)
    shared = cells.covariance(found.pull, np.array([a]), np.array([b]))
    phi = correlation(shared, found.spread[[a]], found.spread[[b]])[0]
    first, second = ((found.value[[i]], low[[i]], high[[i]]) for i in (a, b))
    below, above = difference_bounds(first, second, phi)
    difference = float(found.value[a] - found.value[b])
    return Gap(
        high=models[a],
        low=models[b],
        difference=estimate(difference, float(below[0]), float(above[0]), int(n[a] + n[b]), NO_OTHER),
    )


def _equal(hit: Ratio, alarm: Ratio, seed: int, *, exact: bool) -> tuple[float | None, str | None]:
    """p-value of: sensitivity and specificity are the same on all models.

    The sum of two Pearson chi-squares, of the hits and of the false alarms by model. Where an expected count is
    small and the counts are whole and independent, verdicts are permuted within the true label instead. Else the
    counts are the effective ones (Rao and Scott 1992).
    """
    statistic, freedom, few = 0.0, 0, False
    tables = []
    for part in (hit, alarm):
        there = part.total > 0
        p, n = part.value[there], part.size[there]
        if p.size < 2 or not 0 < (mean := float(n @ p / n.sum())) < 1:
            continue
        statistic += float((n * (p - mean) ** 2).sum() / (mean * (1 - mean)))
        freedom += p.size - 1
        few |= float(n.min()) * min(mean, 1 - mean) < _FEW_EXPECTED
        tables.append((n, mean))
    if not freedom:
        return None, None
    if not (exact and few):
        words = "chi-square" if exact else "chi-square on effective counts"
        return float(special.chdtrc(freedom, statistic)), words
    rng = np.random.default_rng(seed)
    drawn = np.zeros(_DRAWS)
    for n, mean in tables:
        sizes = np.rint(n).astype(np.int64)
        hits = rng.multivariate_hypergeometric(sizes, round(mean * sizes.sum()), size=_DRAWS, method="marginals")
        drawn += (sizes * (hits / sizes - mean) ** 2).sum(axis=1) / (mean * (1 - mean))
    return float((1 + (drawn >= statistic - 1e-9 * max(statistic, 1)).sum()) / (1 + _DRAWS)), "permutation"
