"""What speaks against a verdict besides the other judges' votes, and how far it moves the probability.

Judges of other constructs (an incoherent output, a refusal), the judge's own score, confidence and repeats:
each is a reason with a name. How much a reason counts is read off the panel: with p the probability of being
wrong from the votes and e whether the reason is there,

    E[e | p] = a p + b (1 - p),    a = P(e | wrong), b = P(e | right),

so that a least-squares fit gives a and b without any reference label (with some, p is 0 or 1 there). The log
likelihood ratio is then halved: a reason and a split vote may both only say that the item is hard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.agreement.panel import Panel
from interjudge.agreement.question import CONSTRUCT_LABELS
from interjudge.agreement.stability import flipping

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

INCOHERENT: Final = "incoherent output"
ON_REFUSAL: Final = "harm verdict on a refusal"
EMPTY_COMPLIANCE: Final = "compliance on an incoherent output"
NEAR: Final = "near its threshold"
UNSURE: Final = "low confidence"
FLIPS: Final = "changes between repeats"
FAILS: Final = "not ok in another repeat"

_NEAR: Final = 0.05  # near its threshold: within this share of the judge's range of scores
_UNSURE: Final = 0.6  # a probability of its own label below this is low
_COMPLIANCE: Final = "compliance"
_LEAST: Final = 30  # verdicts with a reason, and without, that its weight is read from
_PRIOR: Final = 10.0  # verdicts' worth of pull towards a reason that says nothing
_HALF: Final = 0.5
_MOST: Final = np.log(5.0)  # all reasons together change the odds at most fivefold


@dataclass(frozen=True)
class Reason:
    """`there` (N, J): the verdicts it holds for; `asked` (N, J): those it could hold for."""

    name: str
    there: Bools
    asked: Bools


@dataclass(frozen=True)
class Evidence:
    """`reasons` that hold somewhere; `incoherent`, `refusal` (N,): what most judges of these constructs say."""

    reasons: tuple[Reason, ...]
    incoherent: Bools
    refusal: Bools

    @classmethod
    def of(cls, panel: Panel, verdicts: pl.DataFrame, more: pl.DataFrame | None = None) -> Evidence:
        """`verdicts`: the whole table; `more`: verdicts of judges that are no part of it but saw the same items."""
        tables = [verdicts] if more is None else [verdicts, more]
        incoherent, known_coherence = _said(panel, tables, "coherence", "incoherent")
        refusal, known_refusal = _said(panel, tables, "refusal", "refusal")
        labelled = panel.codes >= 0
        found = [
            Reason(INCOHERENT, labelled & incoherent[:, None], labelled & known_coherence[:, None]),
            *_compliance(panel, verdicts, incoherent, known_coherence),
            *_on_refusal(panel, refusal, known_refusal),
            *_of_own(panel, verdicts),
        ]
        return cls(tuple(reason for reason in found if reason.there.any()), incoherent, refusal)

    def moved(self, p_wrong: Floats) -> Floats:
        """`p_wrong` (N, J) with the reasons counted in; NaN, 0 and 1 stay."""
        if not self.reasons:
            return p_wrong
        shift = np.zeros(p_wrong.shape)
        for reason in self.reasons:
            with_it, without = _weight(p_wrong, reason)
            shift += np.where(reason.there, with_it, np.where(reason.asked, without, 0.0))
        shift = np.clip(shift, -_MOST, _MOST)
        odds = np.exp(shift) * p_wrong
        return np.asarray(odds / (odds + 1 - p_wrong))


def _weight(p_wrong: Floats, reason: Reason) -> tuple[float, float]:
    """Halved log likelihood ratio of wrong to right where the reason holds, and where it could but does not."""
    usable = reason.asked & ~np.isnan(p_wrong)
    p, e = p_wrong[usable], reason.there[usable].astype(float)
    if min(e.sum(), e.size - e.sum()) < _LEAST:
        return 0.0, 0.0
    right, mean = 1 - p, float(e.mean())
    gram = np.array([[p @ p, p @ right], [p @ right, right @ right]]) + _PRIOR * np.eye(2)
    a, b = np.clip(np.linalg.solve(gram, [p @ e + _PRIOR * mean, right @ e + _PRIOR * mean]), mean / 10, None)
    a, b = min(float(a), 1 - (1 - mean) / 10), min(float(b), 1 - (1 - mean) / 10)
    return _HALF * float(np.log(a / b)), _HALF * float(np.log((1 - a) / (1 - b)))


def _said(panel: Panel, tables: list[pl.DataFrame], construct: str, label: str) -> tuple[Bools, Bools]:
    """(N,) whether most judges of `construct` gave the item this label, and whether any gave one; never on its
    own question."""
    nobody = np.zeros(panel.n_items, bool)
    if panel.question.construct == construct:
        return nobody, nobody
    rows = [
        table.filter((pl.col("construct") == construct) & (pl.col("status") == "ok")).select("item_id", "label")
        for table in tables
        if "construct" in table.columns
    ]
    rows = [table for table in rows if table.height]
    if not rows:
        return nobody, nobody
    share = pl.concat(rows).group_by("item_id").agg(said=(pl.col("label") == label).mean() > 0.5)
    joined = panel.items.select("item_id").join(share, on="item_id", how="left", maintain_order="left")["said"]
    return joined.fill_null(False).to_numpy(), joined.is_not_null().to_numpy()


def _on_refusal(panel: Panel, refusal: Bools, known: Bools) -> list[Reason]:
    positive = panel.question.positive_code
    if panel.question.construct != "harm" or positive is None:
        return []
    # what a refusal judge itself said, brought onto this question, is not contradicted by it
    others = np.array([judge.construct != "refusal" for judge in panel.judges])
    harmful = (panel.codes == positive) & others
    return [Reason(ON_REFUSAL, harmful & refusal[:, None], harmful & known[:, None])]


def _compliance(panel: Panel, verdicts: pl.DataFrame, incoherent: Bools, known: Bools) -> list[Reason]:
    """A keyword detector calls compliance whatever holds no refusal phrase, gibberish included."""
    keyword = np.array([judge.kind == "keyword" for judge in panel.judges])
    if not incoherent.any() or not keyword.any() or _COMPLIANCE not in CONSTRUCT_LABELS["refusal"]:
        return []
    names = [name for name, is_one in zip(panel.names, keyword, strict=True) if is_one]
    mine = verdicts.filter(pl.col("judge").is_in(names))
    if "repeat" in mine.columns:  # the vote is that of the first repeat
        mine = mine.filter(pl.col("repeat") == pl.col("repeat").min().over("item_id", "judge"))
    mine = mine.filter(pl.col("label") == _COMPLIANCE)
    there = _cells(panel, mine)
    complied = np.zeros(panel.codes.shape, bool)
    complied[there] = True
    complied &= panel.codes >= 0
    return [Reason(EMPTY_COMPLIANCE, complied & incoherent[:, None], complied & known[:, None])]


def _of_own(panel: Panel, verdicts: pl.DataFrame) -> list[Reason]:
    """What the judge's own score, confidence and repeats say of its verdict."""
    out = []
    ok = verdicts.filter(pl.col("judge").is_in(panel.names) & (pl.col("status") == "ok"))
    labelled = panel.codes >= 0
    if _has(ok, "score"):
        out.append(_near_threshold(panel, ok.drop_nulls("score"), labelled))
    if _has(ok, "confidence"):
        sure = ok.drop_nulls("confidence")
        asked, there = _marked(panel, sure, (sure["confidence"] < _UNSURE).to_numpy())
        out.append(Reason(UNSURE, there & labelled, asked & labelled))
    if "repeat" in verdicts.columns and verdicts["repeat"].n_unique() > 1:
        out += _repeats(panel, verdicts, labelled)
    return out


def _repeats(panel: Panel, verdicts: pl.DataFrame, labelled: Bools) -> list[Reason]:
    own = verdicts.filter(pl.col("judge").is_in(panel.names))
    each = own.group_by("item_id", "judge", maintain_order=True).agg(
        n=pl.len(), failed=(pl.col("status") != "ok").any()
    )
    each = each.filter(pl.col("n") > 1)
    asked, failed = _marked(panel, each, each["failed"].to_numpy())
    asked &= labelled
    return [Reason(FLIPS, flipping(verdicts, panel) & asked, asked), Reason(FAILS, failed & asked, asked)]


def _near_threshold(panel: Panel, scored: pl.DataFrame, labelled: Bools) -> Reason:
    """Scores close to the score at which the judge's label changes.

    The threshold is the user's, or it is read off the data: a judge of two labels whose scores do not overlap
    changes its label between the two groups.
    """
    spans = scored.group_by("judge", maintain_order=True).agg(low=pl.col("score").min(), high=pl.col("score").max())
    known = []
    for row in spans.iter_rows(named=True):
        at = panel.question.thresholds.get(row["judge"])
        at = _observed_threshold(scored.filter(pl.col("judge") == row["judge"])) if at is None else at
        if at is not None and row["low"] < row["high"]:
            known.append((row["judge"], at, _NEAR * (row["high"] - row["low"])))
    table = pl.DataFrame(known, schema={"judge": pl.String, "at": pl.Float64, "reach": pl.Float64}, orient="row")
    placed = scored.join(table, on="judge", how="inner", maintain_order="left")
    close = ((placed["score"] - placed["at"]).abs() <= placed["reach"]).to_numpy()
    asked, there = _marked(panel, placed, close)
    return Reason(NEAR, there & labelled, asked & labelled)


def _observed_threshold(mine: pl.DataFrame) -> float | None:
    groups = mine.drop_nulls("label").group_by("label").agg(low=pl.col("score").min(), high=pl.col("score").max())
    if groups.height != 2:
        return None
    below, above = groups.sort("low", "high").iter_rows(named=True)
    return (below["high"] + above["low"]) / 2 if below["high"] < above["low"] else None


def _marked(panel: Panel, rows: pl.DataFrame, true: Bools) -> tuple[Bools, Bools]:
    """(N, J) cells that have a row, and those whose first row is `true` (rows: item_id, judge)."""
    item, judge = _cells(panel, rows)
    asked, there = np.zeros(panel.codes.shape, bool), np.zeros(panel.codes.shape, bool)
    asked[item, judge] = True
    there[item[::-1], judge[::-1]] = true[::-1]  # the first row has the last word
    return asked, there


def _cells(panel: Panel, rows: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Item and judge number of every row; each row's item and judge must be of the panel."""
    items = panel.items.select("item_id").with_row_index("_item")
    judges = pl.DataFrame({"judge": panel.names}, schema={"judge": pl.String}).with_row_index("_judge")
    placed = rows.select("item_id", "judge").join(items, on="item_id", how="left", maintain_order="left")
    placed = placed.join(judges, on="judge", how="left", maintain_order="left")
    return placed["_item"].cast(pl.Int64).to_numpy(), placed["_judge"].cast(pl.Int64).to_numpy()


def _has(table: pl.DataFrame, column: str) -> bool:
    return column in table.columns and table[column].null_count() < table.height
