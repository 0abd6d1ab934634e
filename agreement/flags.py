"""Which verdicts cannot be trusted: a probability, and reasons with their evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.agreement.evidence import INCOHERENT, Evidence
from interjudge.agreement.flag_choice import Rule, auroc, brier, choose, reliability
from interjudge.agreement.latent import LatentTruth, estimate_truth
from interjudge.agreement.panel import Panel
from interjudge.agreement.results import Calibration, CalibrationBin, FlagSummary
from interjudge.agreement.rows import CELL_STATUSES, NOT_ASKED
from interjudge.agreement.vote_patterns import unique_keys
from interjudge.agreement.votes import Votes
from interjudge.errors import InputError, choices, did_you_mean

Model = Literal["latent", "votes"]
MODELS: Final[tuple[str, ...]] = get_args(Model)
VOTES: Final = "smoothed share of the other judges"
_ABSENT = CELL_STATUSES.index(NOT_ASKED)
_ALONE: Final = "alone against"
_ROOM: Final = 1 << 40
_LEAST_LABELS: Final = 20  # reference labels that the probabilities are checked with by halves
_MOST_ITEMS: Final = 200_000  # on a larger panel two more estimates would take too long

FLAG_COLUMNS: Final = {
    "question": pl.String(),
    "item_id": pl.String(),
    "judge": pl.String(),
    "label": pl.String(),
    "p_wrong": pl.Float64(),
    "flagged": pl.Boolean(),
    "reasons": pl.List(pl.String()),
}
ITEM_COLUMNS: Final = {
    "question": pl.String(),
    "item_id": pl.String(),
    "consensus": pl.String(),
    "p_consensus_wrong": pl.Float64(),
    "n_votes": pl.Int64(),
    "entropy": pl.Float64(),
    "reasons": pl.List(pl.String()),
}


@dataclass(frozen=True)
class Flags:
    """Two tables, their summary, and the truth behind them.

    `verdicts`: question, item_id, judge, label, p_wrong, flagged, reasons; one row a verdict, p_wrong is null
    where there is no label. `items`: question, item_id, consensus, p_consensus_wrong, n_votes, entropy (of
    the vote shares, 0..1: 1 when all labels are as frequent), reasons. `truth` is None with the model ``votes``.
    """

    verdicts: pl.DataFrame
    items: pl.DataFrame
    summary: FlagSummary
    truth: LatentTruth | None
    evidence: Evidence


def flag(
    panel: Panel,
    verdicts: pl.DataFrame,
    *,
    rule: Rule | None = None,
    model: Model = "latent",
    seed: int = 0,
    evidence: pl.DataFrame | None = None,
    reference: NDArray[np.int16] | None = None,
    confidence: float = 0.95,
) -> Flags:
    """Flag the panel's verdicts: p_wrong for each, and those that `rule` picks (default p_wrong >= .5).

    A verdict equal to the consensus, or without another judge's beside it, is not flagged. With a threshold,
    verdicts whose status is not ok are flagged too; a budget or a share of false alarms is spent on the verdicts
    that have a label, and none on items with a reference label.
    On an item with a reference label (`panel.gold`) nothing is estimated: a verdict is wrong when it differs.

    Parameters
    ----------
    verdicts : the whole verdict table: coherence and refusal judges of other questions are evidence too.
    model : ``latent``, the truth that `latent.estimate_truth` estimates with every judge's errors and their
        dependence (`seed` is for its samples and folds); or ``votes``, the share of the other judges.
    evidence : verdicts of judges that are no part of `verdicts` but saw the same items.
    confidence : level of the intervals of the calibration.
    reference : (N,) labels that the probabilities are checked against, never used for them. Where the panel has
        reference labels itself (20 or more, up to 200,000 items), each half of them is checked with the other half.

    Raises
    ------
    InputError : for an unknown model, and for judges that give scores alone.
    """
    if model not in MODELS:
        raise InputError(f"unknown model {model!r}{did_you_mean(model, MODELS)}", expected=f"one of {choices(MODELS)}")
    if not panel.question.labels:
        raise InputError("flags need labels; these judges give scores alone", expected="--threshold JUDGE=SCORE")
    rule = rule or Rule(threshold=0.5)
    k = len(panel.question.labels)
    votes = Votes.of(panel.codes, k)
    truth = estimate_truth(panel.codes, k, gold=panel.gold, seed=seed) if model == "latent" else None
    found = Evidence.of(panel, verdicts, evidence)
    gold = np.full(panel.n_items, -1, np.int16) if panel.gold is None else panel.gold
    p_wrong = _p_wrong(panel, votes, truth, found, gold)
    consensus = votes.consensus if truth is None else np.maximum(truth.consensus, 0)
    consensus = np.where(gold >= 0, gold, consensus)
    table, counted = _verdict_table(panel, votes, found, p_wrong, consensus, gold, rule, seed)
    items = _item_table(panel, votes, truth, found, consensus, gold)
    summary = FlagSummary(
        **counted,
        n_items=items.height,
        n_items_flagged=table.filter("flagged")["item_id"].n_unique(),
        threshold=rule.threshold,
        budget=rule.budget,
        fdr=rule.fdr,
        model=VOTES if truth is None else truth.model,
        why=VOTES if truth is None else truth.why,
        calibration=(
            calibration(p_wrong, panel.codes, reference, **_drawn(panel, confidence))
            if panel.gold is None or truth is None
            else _held_out(panel, found, panel.gold, seed, confidence)
        ),
    )
    return Flags(table, items, summary, truth, found)


def _held_out(
    panel: Panel, evidence: Evidence, gold: NDArray[np.int16], seed: int, confidence: float
) -> Calibration | None:
    """How p_wrong does on reference labels it has not seen: fitted with one half of them, checked on the other."""
    known = np.flatnonzero(gold >= 0)
    if known.size < _LEAST_LABELS or panel.n_items > _MOST_ITEMS:
        return None
    second = np.random.default_rng(seed).permutation(known)[known.size // 2 :]
    p_wrong = np.full(panel.codes.shape, np.nan)
    for half in (second, np.setdiff1d(known, second)):
        kept = gold.copy()
        kept[half] = -1
        p = estimate_truth(panel.codes, len(panel.question.labels), gold=kept, seed=seed).p_wrong
        p_wrong[half] = evidence.moved(p)[half]
    return calibration(p_wrong, panel.codes, gold, held_out=True, **_drawn(panel, confidence))


def _drawn(panel: Panel, confidence: float) -> dict[str, Any]:
    return {"clusters": panel.clusters, "weight": panel.gold_weight, "confidence": confidence}


def calibration(
    p_wrong: NDArray[np.float64],
    codes: NDArray[np.int16],
    reference: NDArray[np.int16] | None,
    *,
    held_out: bool = False,
    clusters: NDArray[np.int64] | None = None,
    weight: NDArray[np.float64] | None = None,
    confidence: float = 0.95,
) -> Calibration | None:
    """How `p_wrong` (N, J) held up against reference labels (N,) that it did not know; None without any.

    clusters : (N,) where items share a sampling unit; the verdicts on one item always do. weight : (N,) design weights
    of the labelled items.
    """
    if reference is None:
        return None
    checked = (reference >= 0)[:, None] & (codes >= 0) & ~np.isnan(p_wrong)
    if not checked.any():
        return None
    wrong = (codes != reference[:, None])[checked]
    p = p_wrong[checked]
    item = np.nonzero(checked)[0]
    w = None if weight is None else weight[item]
    share = float(np.average(wrong, weights=w))
    unit = (np.arange(len(codes)) if clusters is None else clusters)[item]
    return Calibration(
        held_out=held_out,
        n=int(wrong.size),
        brier=brier(p, wrong, w),
        brier_of_base_rate=share * (1 - share),
        auroc=auroc(p, wrong, w),
        mean_p_wrong=float(np.average(p, weights=w)),
        share_wrong=share,
        bins=tuple(
            CalibrationBin(
                low=b.low,
                high=b.high,
                n=b.n,
                predicted=b.predicted,
                observed=b.observed,
                ci_low=b.ci_low,
                ci_high=b.ci_high,
            )
            for b in reliability(p, wrong, unit, weight=w, confidence=confidence)
        ),
    )


def _p_wrong(
    panel: Panel, votes: Votes, truth: LatentTruth | None, evidence: Evidence, gold: NDArray[np.int16]
) -> NDArray[np.float64]:
    """(N, J) NaN where there is no verdict; 0 or 1 where there is a reference label."""
    p = votes.p_wrong(panel.codes) if truth is None else truth.p_wrong
    known = gold >= 0
    if known.any():
        p = np.where(known[:, None] & (panel.codes >= 0), panel.codes != gold[:, None], p)
    return evidence.moved(p)


def _verdict_table(
    panel: Panel,
    votes: Votes,
    evidence: Evidence,
    p_wrong: NDArray[np.float64],
    consensus: NDArray[np.int64],
    gold: NDArray[np.int16],
    rule: Rule,
    seed: int,
) -> tuple[pl.DataFrame, dict[str, object]]:
    item, judge = np.nonzero(panel.statuses != _ABSENT)
    code = panel.codes[item, judge]
    labelled = code >= 0
    others = votes.n[item] - labelled
    known = gold[item] >= 0
    alone = labelled & (votes.counts[item, code] == 1) & (others >= 2) & (votes.top[item] == others)
    # A base rate alone is no evidence against a verdict, and what most judges said is not doubted for being rare.
    compared = labelled & ~known & (others > 0) & (code != consensus[item])
    against = compared & ~alone & ~votes.split[item]
    if rule.threshold is not None:  # a budget is not spent on what somebody has labelled
        compared |= labelled & known
    p = p_wrong[item, judge]
    flagged = choose(np.where(compared, p, np.nan), rule, seed)
    if rule.threshold is not None:
        flagged |= ~labelled
    parts: list[tuple[NDArray[np.bool_], NDArray[np.int64] | None, Sequence[str]]] = [
        (~labelled, panel.statuses[item, judge].astype(np.int64), [f"not ok: {status}" for status in CELL_STATUSES]),
        (labelled & known & (gold[item] != code), None, ["contradicts the reference"]),
        (labelled & (others == 0) & ~known, None, ["no other judge"]),
        (alone, others, [f"{_ALONE} {n}" for n in range(len(panel.judges))]),
        (labelled & votes.split[item], None, ["split panel"]),
        (against, None, ["against the consensus"]),
        (evidence.incoherent[item], None, [INCOHERENT]),
        *((r.there[item, judge], None, [r.name]) for r in evidence.reasons if r.name != INCOHERENT),
    ]
    key, lists = _reasons(parts)
    table = pl.DataFrame(
        {
            "question": pl.repeat(panel.question.construct, item.size, eager=True),
            "item_id": panel.items["item_id"].gather(item),
            "judge": pl.Series(panel.names, dtype=pl.String).gather(judge),
            "label": _labels(panel).gather(np.maximum(code, 0)).set(pl.Series(~labelled), None),
            "p_wrong": pl.Series(p).fill_nan(None),
            "flagged": flagged,
            "reasons": lists.gather(key),
        }
    )
    hits = np.bincount(judge[flagged], minlength=len(panel.judges))
    by_judge = {name: int(n) for name, n in zip(panel.names, hits, strict=True) if n}
    by_reason: dict[str, int] = {}
    for names, n in zip(lists, np.bincount(key[flagged], minlength=len(lists)), strict=True):
        for name in {f"{_ALONE} the others" if str(r).startswith(_ALONE) else str(r) for r in names}:
            by_reason[name] = by_reason.get(name, 0) + int(n)
    return table, {
        "n_verdicts": table.height,
        "n_flagged": int(flagged.sum()),
        "n_not_ok": int((~labelled).sum()),
        "by_judge": _most_first(by_judge),
        "by_reason": _most_first({name: n for name, n in by_reason.items() if n}),
    }


def _item_table(
    panel: Panel,
    votes: Votes,
    truth: LatentTruth | None,
    evidence: Evidence,
    consensus: NDArray[np.int64],
    gold: NDArray[np.int16],
) -> pl.DataFrame:
    """One row an item; where there is a reference label it is the consensus."""
    known = gold >= 0
    not_ok = ((panel.codes < 0) & (panel.statuses != _ABSENT)).any(axis=1)
    nobody = (votes.n == 0) & ~known
    doubt = votes.p_label_wrong(consensus) if truth is None else truth.p_consensus_wrong
    key, lists = _reasons(
        [
            (nobody, None, ["no verdict"]),
            (votes.split, None, ["split panel"]),
            (not_ok, None, ["not ok"]),
            (evidence.incoherent, None, [INCOHERENT]),
        ]
    )
    silent = pl.Series(nobody)
    return pl.DataFrame(
        {
            "question": pl.repeat(panel.question.construct, panel.n_items, eager=True),
            "item_id": panel.items["item_id"],
            "consensus": _labels(panel).gather(consensus).set(silent, None),
            "p_consensus_wrong": pl.Series(np.where(known, 0.0, doubt)).set(silent, None),
            "n_votes": votes.n,
            "entropy": pl.Series(votes.entropy).set(silent, None),
            "reasons": lists.gather(key),
        }
    )


def _reasons(
    parts: Sequence[tuple[NDArray[np.bool_], NDArray[np.int64] | None, Sequence[str]]],
) -> tuple[NDArray[np.int64], pl.Series]:
    """Rows -> (number of the list of reasons each has, the lists): there are few different ones.

    Each part: the rows it holds for, which of its words (None: the first), its words.
    """
    key, room = np.zeros(parts[0][0].size, np.int64), 1
    for there, which, words in parts:
        if room > _ROOM:
            first, key = unique_keys(key, room)
            room = max(first.size, 1)
        key = key * (len(words) + 1) + np.where(there, 1 if which is None else which + 1, 0)
        room *= len(words) + 1
    first, index = unique_keys(key, room)
    lists = [
        [words[0 if which is None else int(which[row])] for there, which, words in parts if there[row]]
        for row in first.tolist()
    ]
    return index, pl.Series(lists, dtype=pl.List(pl.String))


def _labels(panel: Panel) -> pl.Series:
    return pl.Series(panel.question.labels, dtype=pl.String)


def _most_first(counts: dict[str, int]) -> dict[str, int]:
    """Most frequent first, then by name."""
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))
