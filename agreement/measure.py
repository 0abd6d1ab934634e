"""Panel -> Agreement: every figure of one question, over all items and per slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.agreement.coefficients import alpha_without, panel_coefficients, score_coefficients
from interjudge.agreement.concordance import concordance
from interjudge.agreement.crosscheck import Check, cross_check
from interjudge.agreement.homogeneity import homogeneity
from interjudge.agreement.intervals import label_rates
from interjudge.agreement.latent import error_dependence
from interjudge.agreement.pairwise import all_pairs, kappa_means
from interjudge.agreement.panel import Panel
from interjudge.agreement.question import Level
from interjudge.agreement.reference import against_reference
from interjudge.agreement.results import Agreement, Estimate, JudgeResult, Pair, PanelWorth, QuestionInfo, Slice
from interjudge.agreement.results_scores import ScoreFindings
from interjudge.agreement.rows import CELL_STATUSES, NOT_ASKED, UNMAPPED
from interjudge.agreement.sampling import MAX_PAIRED_JUDGES, Sampling
from interjudge.agreement.score_agreement import score_agreement
from interjudge.agreement.worth import has_choice, panel_worth
from interjudge.datasets.schema import STATUSES
from interjudge.errors import InputError

MAX_SLICES: Final = 200


def agree(
    panel: Panel, *, by: Sequence[str] = (), sampling: Sampling | None = None, worth: PanelWorth | None = None
) -> Agreement:
    """How far the judges of a panel agree, pair by pair, judge by judge, and per slice.

    Parameters
    ----------
    by : item columns (asked for when the panel was built); each value gives a slice with the same figures.
    worth : how many judges the panel is worth, where that is known already; else it is estimated.

    Raises
    ------
    InputError : when a column of `by` has more than `MAX_SLICES` values.
    """
    sampling = sampling or Sampling()
    question = panel.question
    notes = list(panel.notes)
    if len(panel.judges) > MAX_PAIRED_JUDGES:
        notes.append(f"{len(panel.judges)} judges: the table of pairs is left out above {MAX_PAIRED_JUDGES}")
    kinds = {judge.kind for judge in panel.judges}
    if len(panel.judges) > 1 and kinds == {"keyword"}:
        notes.append("all judges are keyword lists: that they agree says little, for they make the same mistakes")
    return Agreement(
        **_measures(panel, sampling),
        question=QuestionInfo(
            name=question.construct,
            construct_name=question.construct,
            labels=question.labels,
            positive=question.positive,
            level=question.level,
            maps=tuple(str(rule) for rule in question.rules),
            thresholds=dict(question.thresholds),
            reference=panel.reference,
        ),
        unit=panel.unit,
        confidence=sampling.confidence,
        replicates=sampling.replicates,
        seed=sampling.seed,
        conventions=_conventions(panel, sampling),
        worth=worth or _worth(panel, sampling),
        scores=_scores(panel, sampling),
        notes=tuple(notes),
        left_out=panel.left_out,
        slices=tuple(_slices(panel, by, sampling)),
    )


def _scores(panel: Panel, sampling: Sampling) -> ScoreFindings | None:
    """What numbers, levels of use and concordance show; None for one judge."""
    if len(panel.judges) < 2 or not panel.n_items:
        return None
    return ScoreFindings(
        scores=score_agreement(panel, sampling=sampling),
        homogeneity=homogeneity(panel, sampling=sampling),
        concordance=concordance(panel, sampling=sampling) if panel.question.labels else None,
    )


def _worth(panel: Panel, sampling: Sampling) -> PanelWorth | None:
    """None for scores, and for one judge: it errs with nobody."""
    if panel.scores is not None or len(panel.judges) < 2 or not has_choice(panel.codes):
        return None
    found = error_dependence(panel.codes, len(panel.question.labels), seed=sampling.seed)
    return panel_worth(panel.names, found)


def _measures(panel: Panel, sampling: Sampling) -> dict[str, Any]:
    rows = np.bincount(panel.statuses.ravel(order="K"), minlength=len(CELL_STATUSES))
    counts = {status: int(n) for status, n in zip(CELL_STATUSES, rows, strict=True) if n and status != NOT_ASKED}
    common: dict[str, Any] = {
        "clusters": panel.clusters,
        "replicates": sampling.replicates,
        "seed": sampling.seed,
        "confidence": sampling.confidence,
    }
    level: Level = panel.question.level
    if panel.scores is not None:
        coefficients = score_coefficients(panel.scores, level=level, **common)
        pairs: list[Pair] = []
    else:
        k, values = len(panel.question.labels), panel.question.values
        coefficients = panel_coefficients(panel.codes, k, level=level, values=values, **common)
        pairs = []
        if len(panel.judges) <= MAX_PAIRED_JUDGES:
            ordered = level != "nominal"
            positive = panel.question.positive_code if k == 2 else None
            pairs = all_pairs(panel.codes, k, panel.names, ordered=ordered, positive=positive, **common)
    return {
        "n_items": panel.n_items,
        "n_verdicts": sum(counts.values()),
        "status_counts": counts,
        "coefficients": tuple(coefficients),
        "pairs": tuple(pairs),
        "judges": tuple(_judges(panel, sampling)),
    }


def _judges(panel: Panel, sampling: Sampling) -> list[JudgeResult]:
    n, k = len(panel.judges), len(panel.question.labels)
    if panel.scores is not None:
        usable = ~np.isnan(panel.scores)
        kappas: list[float | None] = [None] * n
        alphas: list[float | None] = [None] * n
    else:
        usable = panel.codes >= 0
        question = panel.question
        kappas = kappa_means(panel.codes, k)
        alphas = alpha_without(panel.codes, k, level=question.level, values=question.values)
    rates = label_rates(panel.codes, k, clusters=panel.clusters, confidence=sampling.confidence)
    return [_judge(panel, j, int(usable[:, j].sum()), rates[j], kappas[j], alphas[j], sampling) for j in range(n)]


def _judge(
    panel: Panel,
    j: int,
    n_ok: int,
    rates: Sequence[Estimate],
    kappa: float | None,
    alpha: float | None,
    sampling: Sampling,
) -> JudgeResult:
    judge, question = panel.judges[j], panel.question
    code = panel.codes[:, j]
    cells = np.bincount(panel.statuses[:, j], minlength=len(CELL_STATUSES))
    not_ok = (*(s for s in STATUSES if s != "ok"), UNMAPPED)
    missing = {status: int(cells[CELL_STATUSES.index(status)]) for status in not_ok}
    missing = {status: n for status, n in missing.items() if n}
    n_missing = sum(missing.values())
    bounds = None
    if question.positive_code is not None and n_ok + n_missing:
        hits = int((code == question.positive_code).sum())
        bounds = (hits / (n_ok + n_missing), (hits + n_missing) / (n_ok + n_missing))
    return JudgeResult(
        judge=judge.name,
        kind=judge.kind,
        construct_name=judge.construct,
        hash=judge.hash,
        n_ok=n_ok,
        missing=missing,
        rate=dict(zip(question.labels, rates, strict=True)),
        bounds=bounds,
        kappa_mean=kappa,
        alpha_without=alpha,
        **_against_reference(panel, code, sampling),
    )


def _against_reference(panel: Panel, code: NDArray[np.int16], sampling: Sampling) -> dict[str, Any]:
    """Accuracy, sensitivity, specificity, Youden's J and kappa on the items that have both labels."""
    if panel.gold is None or panel.scores is not None:
        return {}
    return against_reference(
        code,
        panel.gold,
        len(panel.question.labels),
        positive=panel.question.positive_code,
        clusters=panel.clusters,
        weight=panel.gold_weight,
        replicates=sampling.replicates,
        seed=sampling.seed,
        confidence=sampling.confidence,
    )


def _slices(panel: Panel, by: Sequence[str], sampling: Sampling) -> list[Slice]:
    slices = []
    for column in dict.fromkeys(by):
        texts = _texts(panel.items[column])
        values = texts.unique().sort()
        if values.len() > MAX_SLICES:
            raise InputError(
                f"--by {column!r}: {values.len():,} values are too many slices",
                expected=f"a column with at most {MAX_SLICES}",
            )
        for value in values:
            part = panel.take((texts == value).to_numpy())
            slices.append(Slice(by=column, value=value, **_measures(part, sampling)))
    return slices


def _texts(column: pl.Series) -> pl.Series:
    """The values as text; no value (null, NaN) is a slice of its own."""
    if column.dtype.is_nested() or column.dtype == pl.Binary:
        raise InputError(f"--by {column.name!r} cannot be sliced", found=str(column.dtype), expected="text or numbers")
    if column.dtype.is_float():
        column = column.fill_nan(None)
    texts = column.cast(pl.String)
    return texts.fill_null("(none)" if not (texts == "(none)").any() else "(no value)")


def _conventions(panel: Panel, sampling: Sampling) -> tuple[str, ...]:
    share = f"{100 * sampling.confidence:g} %"
    return (
        "a judge that was asked several times votes with its first repeat",
        "pairs: items on which both judges gave a usable verdict",
        "alpha: pairable values (Krippendorff 2011); Fleiss, Conger, AC1 and AC2: as Gwet (2014) where missing",
        f"chance-corrected coefficients and J: {share} BCa bootstrap intervals over {panel.unit}s, "
        f"{sampling.replicates} replicates, seed {sampling.seed}",
        f"shares (agreement, rates, accuracy, sensitivity, specificity): {share} Wilson intervals"
        + ("" if panel.clusters is None else f" on the sample size that the {panel.unit} clusters leave"),
    )


def cross_checked(panel: Panel) -> list[Check]:
    """The panel's figures beside those of krippendorff, statsmodels and scikit-learn."""
    question = panel.question
    if panel.scores is not None:
        raise InputError("--cross-check compares labels; these are scores", expected="--threshold JUDGE=SCORE")
    return cross_check(
        panel.codes, len(question.labels), level=question.level, values=question.values, names=panel.names
    )
