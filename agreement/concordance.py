"""How much the votes on each item point to one label, and how that goes with being right.

Concordance is not correctness: judges that share a blind spot agree on its errors. Where a reference exists, the
accuracy of the consensus in each band of concordance says how far agreement can be trusted on these data.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.counts import Codes, Floats, add_rows, blocks, checked, count_block, dense
from interjudge.agreement.degenerate import NO_ITEMS, panel_problem
from interjudge.agreement.intervals import estimate, mean_wilson, proportions
from interjudge.agreement.panel import Panel
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_scores import Concordance, ConcordanceBand
from interjudge.agreement.sampling import Sampling

NOTE: Final = "concordance is not correctness: judges that agree may share an error"
NO_LABELS: Final = "these judges give scores, not labels"
NO_TWO_VOTES: Final = "no item has two votes"
# Lower ends of the bands; the last one is that of items on which every vote is the same.
BANDS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)

_SAME: Final = 1e-9  # this close to 1 every vote is the same


def item_concordance(codes: Codes, k: int) -> Floats:
    """Concordance of each item (N,), NaN where fewer than two judges voted.

    With n votes, n_c of them for label c, and at most min(n, K) labels among them,

        1 - H / log min(n, K),    H = -sum_c (n_c / n) log(n_c / n),

    so that 1 is all votes for one label, and 0 votes as evenly spread as n of them can be over K labels.
    """
    n_judges = codes.shape[1]
    steps = np.arange(n_judges + 1, dtype=np.float64)
    logs = np.log(np.maximum(steps, 1))
    found = np.full(codes.shape[0], np.nan)
    for place, block in blocks(codes):
        counts = count_block(block, k)
        n = counts.sum(axis=0, dtype=np.int64)
        weighted = sum(((steps * logs)[row] for row in counts), start=np.zeros(n.size))
        voted = n >= 2
        entropy = logs[n[voted]] - weighted[voted] / n[voted]
        most = logs[np.minimum(n[voted], max(k, 2))]  # of a single label the entropy is 0 whatever it is divided by
        part = np.full(n.size, np.nan)
        part[voted] = np.clip(1 - entropy / most, 0, 1)
        found[place] = part
    found[found > 1 - _SAME] = 1.0  # arithmetic smears the ones
    return found


def majority(codes: Codes, k: int) -> NDArray[np.int16]:
    """The most frequent label of each item (N,), -1 where nobody voted or the most votes are tied."""
    found = np.full(codes.shape[0], -1, dtype=np.int16)
    for place, block in blocks(codes):
        counts = count_block(block, k)
        most = counts.max(axis=0)
        alone = ((counts == most).sum(axis=0) == 1) & (most > 0)
        found[place] = np.where(alone, counts.argmax(axis=0), -1)
    return found


def concordance(
    panel: Panel, consensus: NDArray[np.integer[Any]] | None = None, *, sampling: Sampling | None = None
) -> Concordance:
    """The distribution of the panel's concordance, and how often the consensus is right in each part of it.

    Parameters
    ----------
    consensus : (N,) the label that stands for the panel on each item, -1 for none; it must have been made without the
        reference. Default: the majority, none where votes are tied.
    """
    sampling = sampling or Sampling()
    k = len(panel.question.labels)
    if panel.scores is not None or not k:
        return _nothing(NO_LABELS)
    codes = checked(panel.codes, k)
    value = item_concordance(codes, k)
    counted = ~np.isnan(value)
    if not counted.any():
        return _nothing(panel_problem(codes.shape[0], codes.shape[1], 0) or NO_TWO_VOTES)
    band = np.where(counted, np.searchsorted(BANDS, np.where(counted, value, 0.0), side="right") - 1, -1)
    inside = band[:, None] == np.arange(len(BANDS))
    options: Any = {"clusters": panel.clusters, "confidence": sampling.confidence}
    shares = proportions(inside, np.repeat(counted[:, None], len(BANDS), axis=1), **options)
    accuracies: list[Estimate | None] = [None] * len(BANDS)
    more: dict[str, Any] = {}
    if panel.gold is not None:
        said = majority(codes, k) if consensus is None else np.asarray(consensus)
        known = counted & (panel.gold >= 0) & (said >= 0)
        right = known & (said == panel.gold)
        options["weight"] = panel.gold_weight
        accuracies[:] = proportions(inside & right[:, None], inside & known[:, None], **options)
        more = {
            "accuracy": proportions(right[:, None], known[:, None], **options)[0],
            "n_referenced": int(known.sum()),
            "unanimous_wrong": int((known & ~right & (band == len(BANDS) - 1)).sum()),
        }
    return Concordance(
        mean=_mean(value, counted, panel.clusters, sampling.confidence),
        bands=tuple(
            ConcordanceBand(
                low=low, high=(*BANDS[1:], 1.0)[i], n=int(inside[:, i].sum()), share=share, accuracy=accuracy
            )
            for i, (low, share, accuracy) in enumerate(zip(BANDS, shares, accuracies, strict=True))
        ),
        **more,
        note=NOTE,
    )


def _nothing(why: str) -> Concordance:
    return Concordance(mean=Estimate(undefined=why), note=NOTE)


def _mean(value: Floats, counted: NDArray[np.bool_], clusters: NDArray[Any] | None, confidence: float) -> Estimate:
    """Mean over the items, with Wilson's interval on the size that its variance leaves."""
    parts = np.column_stack([np.where(counted, value, 0.0), counted]).astype(np.float64)
    if clusters is not None:
        index, size = dense(clusters)
        items, parts = parts, np.zeros((size, 2))
        add_rows(parts, index, items)
    weight = np.ones(parts.shape[0], dtype=np.int64)
    p, low, high = mean_wilson(parts[:, :1], parts[:, 1:], weight, confidence, clustered=clusters is not None)
    return estimate(float(p[0]), float(low[0]), float(high[0]), int(counted.sum()), NO_ITEMS)
