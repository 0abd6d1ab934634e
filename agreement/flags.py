"""Which verdicts cannot be trusted: a probability, and reasons with their evidence.

The model behind `p_wrong` is the smoothed share of the other judges: with n other verdicts on the item, s of
them equal to this one, and a base rate b of its label in the panel,

    p_wrong = 1 - (s + m b) / (n + m),    m = 1 pseudo-verdict drawn from the base rates.

It treats judges as independent and equally good; it is a share of votes, not a calibrated probability. On an
item with a reference label nothing is estimated: a verdict is wrong when it differs from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from interjudge.agreement.latent import LatentTruth, estimate_truth
from interjudge.agreement.panel import Panel
from interjudge.agreement.results import FlagSummary
from interjudge.agreement.rows import CELL_STATUSES, NOT_ASKED, Codes
from interjudge.errors import InputError, choices, did_you_mean

Model = Literal["votes", "latent"]
MODELS: Final[tuple[str, ...]] = get_args(Model)
MODEL: Final = "smoothed share of the other judges"
_PSEUDO_VERDICTS: Final = 1.0
_SPLIT: Final = 2 / 3  # an item is split when its most frequent label has no more than this share of the votes
_NEAR: Final = 0.05  # near its threshold: within this share of the judge's range of scores
_ABSENT = CELL_STATUSES.index(NOT_ASKED)


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
    """Two tables and their summary.

    `verdicts`: question, item_id, judge, label, p_wrong, flagged, reasons; one row a verdict, p_wrong is null
    where there is no label. `items`: question, item_id, consensus, p_consensus_wrong, n_votes, entropy (of
    the vote shares, 0..1: 1 when all labels are as frequent), reasons.
    """

    verdicts: pl.DataFrame
    items: pl.DataFrame
    summary: FlagSummary


def flag(
    panel: Panel, verdicts: pl.DataFrame, *, threshold: float = 0.5, model: Model = "votes", seed: int = 0
) -> Flags:
    """Flag the panel's verdicts; a verdict is flagged when its status is not ok, or when it is not
    the consensus and p_wrong >= `threshold`.

    Parameters
    ----------
    verdicts : the whole verdict table: coherence and refusal judges of other questions are evidence too.
    model : ``votes``, the share of the other judges; or ``latent``, the truth that `latent.estimate_truth`
        estimates with every judge's errors and their dependence (`seed` is for its samples and folds).

    Raises
    ------
    InputError : for an unknown model, and for judges that give scores alone.
    """
    if model not in MODELS:
        raise InputError(f"unknown model {model!r}{did_you_mean(model, MODELS)}", expected=f"one of {choices(MODELS)}")
    if not panel.question.labels:
        raise InputError("flags need labels; these judges give scores alone", expected="--threshold JUDGE=SCORE")
    k = len(panel.question.labels)
    votes = _Votes.of(panel.codes, k)
    truth = estimate_truth(panel.codes, k, gold=panel.gold, seed=seed) if model == "latent" else None
    evidence = _Evidence.of(panel, verdicts)
    table = _verdict_table(panel, votes, truth, evidence, threshold)
    items = _item_table(panel, votes, truth, evidence)
    return Flags(table, items, _summary(table, items, threshold, MODEL if truth is None else truth.why))


@dataclass(frozen=True)
class _Votes:
    """`counts` (N, K): how many judges gave each label to each item; `n` (N,) their sum; `base` (K,) the
    share of each label in the whole panel."""

    counts: NDArray[np.int32]
    n: NDArray[np.int64]
    base: NDArray[np.float64]

    @classmethod
    def of(cls, codes: Codes, k: int) -> _Votes:
        counts = np.stack([(codes == label).sum(axis=1, dtype=np.int32) for label in range(k)], axis=1)
        n = counts.sum(axis=1, dtype=np.int64)
        return cls(counts, n, counts.sum(axis=0) / max(int(n.sum()), 1))

    def p_wrong(self, item: NDArray[np.intp], code: Codes) -> NDArray[np.float64]:
        """For verdicts `code` on `item`; a judge's own vote does not speak for it."""
        same = self.counts[item, code] - 1
        return 1 - (same + _PSEUDO_VERDICTS * self.base[code]) / (np.maximum(self.n[item] - 1, 0) + _PSEUDO_VERDICTS)

    @cached_property
    def consensus(self) -> NDArray[np.intp]:
        """(N,) the most frequent label; a tie goes to the one that is more frequent in the panel, then the first."""
        # A base rate is at most 1, so that half of it only breaks ties.
        return np.asarray(np.argmax(self.counts + self.base / 2, axis=1))

    @property
    def top(self) -> NDArray[np.int32]:
        """(N,) votes of the most frequent label."""
        return np.asarray(self.counts.max(axis=1))

    @property
    def split(self) -> NDArray[np.bool_]:
        """(N,) at least two votes, and none of the labels has more than two thirds of them."""
        return (self.n >= 2) & (self.top <= _SPLIT * self.n)


@dataclass(frozen=True)
class _Evidence:
    """(N,) what judges of other constructs say of each item, and (N, J) which scores are near a threshold."""

    incoherent: NDArray[np.bool_]
    refusal: NDArray[np.bool_]
    near: NDArray[np.bool_]

    @classmethod
    def of(cls, panel: Panel, verdicts: pl.DataFrame) -> _Evidence:
        return cls(
            _said(panel, verdicts, "coherence", "incoherent"),
            _said(panel, verdicts, "refusal", "refusal"),
            _near_threshold(panel, verdicts),
        )


def _said(panel: Panel, verdicts: pl.DataFrame, construct: str, label: str) -> NDArray[np.bool_]:
    """(N,) whether most judges of `construct` gave the item this label; never on its own question."""
    if panel.question.construct == construct or "construct" not in verdicts.columns:
        return np.zeros(panel.n_items, bool)
    share = (
        verdicts.filter((pl.col("construct") == construct) & (pl.col("status") == "ok"))
        .group_by("item_id")
        .agg(said=(pl.col("label") == label).mean() > 0.5)
    )
    joined = panel.items.select("item_id").join(share, on="item_id", how="left", maintain_order="left")
    return joined["said"].fill_null(False).to_numpy()


def _near_threshold(panel: Panel, verdicts: pl.DataFrame) -> NDArray[np.bool_]:
    """(N, J) scores close to the score at which the judge's label changes.

    The threshold is the user's, or it is read off the data: a judge of two labels whose scores do not overlap
    changes its label between the two groups.
    """
    near = np.zeros(panel.codes.shape, bool, order="F")
    if "score" not in verdicts.columns or verdicts["score"].null_count() == verdicts.height:
        return near
    scored = verdicts.filter((pl.col("status") == "ok") & pl.col("score").is_not_null())
    for j, name in enumerate(panel.names):
        mine = scored.filter(pl.col("judge") == name)
        if mine.is_empty():
            continue
        threshold = panel.question.thresholds.get(name, _observed_threshold(mine))
        low, high = mine["score"].min(), mine["score"].max()
        if threshold is None or not isinstance(low, float) or not isinstance(high, float) or low == high:
            continue
        close = mine.select("item_id", close=(pl.col("score") - threshold).abs() <= _NEAR * (high - low))
        first = close.unique("item_id", keep="first", maintain_order=True)
        joined = panel.items.select("item_id").join(first, on="item_id", how="left", maintain_order="left")
        near[:, j] = joined["close"].fill_null(False).to_numpy()
    return near


def _observed_threshold(mine: pl.DataFrame) -> float | None:
    groups = mine.drop_nulls("label").group_by("label").agg(low=pl.col("score").min(), high=pl.col("score").max())
    if groups.height != 2:
        return None
    below, above = groups.sort("low", "high").iter_rows(named=True)
    return (below["high"] + above["low"]) / 2 if below["high"] < above["low"] else None


def _verdict_table(
    panel: Panel, votes: _Votes, truth: LatentTruth | None, evidence: _Evidence, threshold: float
) -> pl.DataFrame:
    item, judge = np.nonzero(panel.statuses != _ABSENT)
    code = panel.codes[item, judge]
    labelled = code >= 0
    others = votes.n[item] - labelled
    alone = labelled & (votes.counts[item, code] == 1) & (others >= 2) & (votes.top[item] == others)
    on_refusal = labelled & evidence.refusal[item] & (panel.question.construct == "harm")
    if panel.question.positive_code is not None:
        on_refusal &= code == panel.question.positive_code
    gold = np.full(item.size, -1) if panel.gold is None else panel.gold[item]
    doubt = votes.p_wrong(item, code) if truth is None else truth.p_wrong[item, judge]
    consensus = votes.consensus if truth is None else truth.consensus
    p_wrong = np.where(gold >= 0, gold != code, doubt)
    unlabelled = pl.Series(~labelled)
    # A base rate alone is no evidence against a verdict, and what most judges said is not doubted for being rare.
    compared = pl.Series((gold >= 0) | ((others > 0) & (code != consensus[item])))
    frame = pl.DataFrame(
        {
            "question": pl.repeat(panel.question.construct, item.size, eager=True),
            "item_id": panel.items["item_id"].gather(item),
            "judge": pl.Series(panel.names, dtype=pl.String).gather(judge),
            "label": _labels(panel).gather(np.maximum(code, 0)).set(unlabelled, None),
            "p_wrong": pl.Series(p_wrong).set(unlabelled, None),
            "_status": pl.Series(CELL_STATUSES).gather(panel.statuses[item, judge]),
            "_others": others,
        }
    )
    reasons = (
        pl.when(unlabelled).then(pl.format("not ok: {}", "_status")),
        pl.when(pl.Series(labelled & (gold >= 0) & (gold != code))).then(pl.lit("contradicts the reference")),
        pl.when(pl.Series(labelled & (others == 0) & (gold < 0))).then(pl.lit("no other judge")),
        pl.when(pl.Series(alone)).then(pl.format("alone against {}", "_others")),
        pl.when(pl.Series(labelled & votes.split[item])).then(pl.lit("split panel")),
        pl.when(pl.Series(evidence.incoherent[item])).then(pl.lit("incoherent output")),
        pl.when(pl.Series(on_refusal)).then(pl.lit("harm verdict on a refusal")),
        pl.when(pl.Series(evidence.near[item, judge])).then(pl.lit("near its threshold")),
    )
    return frame.select(
        pl.exclude("_status", "_others"),
        flagged=unlabelled | ((pl.col("p_wrong") >= threshold) & compared).fill_null(False),
        reasons=pl.concat_list(*reasons).list.drop_nulls(),
    )


def _item_table(panel: Panel, votes: _Votes, truth: LatentTruth | None, evidence: _Evidence) -> pl.DataFrame:
    """One row an item; where there is a reference label it is the consensus."""
    best = np.maximum(votes.consensus if truth is None else truth.consensus, 0)
    gold = np.full(panel.n_items, -1) if panel.gold is None else panel.gold
    best = np.where(gold >= 0, gold, best)
    support = votes.counts[np.arange(panel.n_items), best] + _PSEUDO_VERDICTS * votes.base[best]
    shares = votes.counts / np.maximum(votes.n, 1)[:, None]
    entropy = special.entr(shares).sum(axis=1) / max(np.log(shares.shape[1]), 1e-300)
    not_ok = ((panel.codes < 0) & (panel.statuses != _ABSENT)).any(axis=1)
    nobody = pl.Series((votes.n == 0) & (gold < 0))
    doubt = 1 - support / (votes.n + _PSEUDO_VERDICTS) if truth is None else truth.p_consensus_wrong
    p_wrong = np.where(gold >= 0, 0.0, doubt)
    reasons = (
        pl.when(nobody).then(pl.lit("no verdict")),
        pl.when(pl.Series(votes.split)).then(pl.lit("split panel")),
        pl.when(pl.Series(not_ok)).then(pl.lit("not ok")),
        pl.when(pl.Series(evidence.incoherent)).then(pl.lit("incoherent output")),
    )
    frame = pl.DataFrame(
        {
            "question": pl.repeat(panel.question.construct, panel.n_items, eager=True),
            "item_id": panel.items["item_id"],
            "consensus": _labels(panel).gather(best).set(nobody, None),
            "p_consensus_wrong": pl.Series(p_wrong).set(nobody, None),
            "n_votes": votes.n,
            "entropy": pl.Series(entropy).set(nobody, None),
        }
    )
    return frame.with_columns(reasons=pl.concat_list(*reasons).list.drop_nulls())


def _labels(panel: Panel) -> pl.Series:
    return pl.Series(panel.question.labels, dtype=pl.String)


def _summary(table: pl.DataFrame, items: pl.DataFrame, threshold: float, model: str) -> FlagSummary:
    flagged = table.filter("flagged")
    kinds = pl.col("reasons").str.replace(r"^alone against \d+$", "alone against the others")
    reasons = flagged.select("reasons").explode("reasons").drop_nulls().select(kinds)["reasons"]
    return FlagSummary(
        n_verdicts=table.height,
        n_flagged=flagged.height,
        threshold=threshold,
        model=model,
        by_judge=_tally(flagged["judge"]),
        by_reason=_tally(reasons),
        n_items=items.height,
        n_items_flagged=flagged["item_id"].n_unique(),
    )


def _tally(values: pl.Series) -> dict[str, int]:
    """Value -> count, most frequent first, then by name."""
    counts = values.value_counts(name="n").sort(["n", values.name], descending=[True, False])
    return dict(counts.iter_rows())
