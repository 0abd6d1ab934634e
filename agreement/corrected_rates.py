"""Panel -> Rates: what each judge says, and what it comes to once a small reference sample has put it right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from interjudge.agreement import ppi
from interjudge.agreement.counts import Floats, ratio
from interjudge.agreement.degenerate import NO_ITEMS, ZERO
from interjudge.agreement.drawn_rates import Drawn, as_number
from interjudge.agreement.intervals import estimates, mean_wilson, wilson_estimates
from interjudge.agreement.panel import Panel
from interjudge.agreement.rate_frame import DIFFERENT, Frame
from interjudge.agreement.reference import PICKED
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_rates import CONSENSUS, CorrectedRate, Quoted, Rate, Rates
from interjudge.agreement.rogan_gladen import (
    NONE,
    OTHER,
    POSITIVE,
    rogan_gladen,
    rogan_gladen_influence,
    table_counts,
)
from interjudge.agreement.rows import CELL_STATUSES, NOT_ASKED
from interjudge.agreement.sampled_rate import LEAST_LABELS
from interjudge.agreement.sampling import Sampling

_FEW: Final = 10
NO_LABELS: Final = "no reference labels"
_ABSENT: Final = CELL_STATUSES.index(NOT_ASKED)

Ints = NDArray[np.int64]


def corrected_rates(
    panel: Panel,
    consensus: NDArray[np.int64] | None = None,
    posterior: Floats | None = None,
    *,
    sampling: Sampling,
) -> Rates | None:
    """Rates of the positive label, raw and corrected by the reference labels, by judge, over all items and by model.

    consensus : (N,) codes of the panel's verdict, -1 none; it stands first, as `CONSENSUS`. It must not know the
        reference labels: a consensus that was made with them is right just where it is checked.
    posterior : (N, K) probabilities of the labels that the consensus was made from; where the labelled items are a
        sample of unequal probabilities, they help more than the consensus alone.

    Every judge is corrected by the same labelled items; a model only by its own. Items without a verdict of the
    judge are part of what the rate is about: in the stratified estimate they are a stratum. None where the question
    has no positive label, or the judges give scores alone.
    """
    positive = panel.question.positive_code
    if positive is None or panel.scores is not None:
        return None
    frame = Frame.of(panel, positive, sampling)
    columns = [(name, panel.codes[:, j], panel.statuses[:, j]) for j, name in enumerate(panel.names)]
    lists = [_judge(frame, name, codes, statuses != _ABSENT) for name, codes, statuses in columns]
    if consensus is not None:
        believed = None if posterior is None else posterior[:, positive]
        lists.insert(0, _judge(frame, CONSENSUS, consensus, np.ones(panel.n_items, bool), believed))
    rates = tuple(rate for row in zip(*lists, strict=True) for rate in row)
    return Rates(
        label=panel.question.positive or "",
        reference=panel.reference,
        n_items=panel.n_items,
        n_labelled=int(frame.labelled.sum()),
        quoted=_quoted([row[0] for row in lists], consensus is not None),
        rates=rates,
        notes=frame.notes,
    )


def _quoted(whole: Sequence[Rate], consensus: bool) -> str | None:
    """The consensus, else the judge with the most effective labels over all items.

    Taking the judge with the shortest interval would take the one whose interval is short by chance.
    """
    known = [rate for rate in whole if rate.corrected]
    if not known:
        return None
    return whole[0].judge if consensus else max(known, key=lambda rate: rate.effective_labels or 0).judge


def _judge(
    frame: Frame, name: str, codes: NDArray[Any], asked: NDArray[np.bool_], believed: Floats | None = None
) -> list[Rate]:
    """Every row of one judge; believed : (N,) probability of the positive label, in place of a yes or no."""
    methods = _Methods.of(frame, codes)
    drawn = frame.drawn
    if believed is None and drawn is not None:
        believed = as_number(codes, frame.positive)
    failed = np.bincount(frame.group[(codes < 0) & asked], minlength=frame.n_groups)
    n_failed = [int(failed.sum()), *failed[: len(frame.models)].tolist()]
    raw = methods.raw()
    reference = methods.reference_only()
    corrected = (methods.rogan_gladen(), methods.ppi(), methods.stratified()) if drawn is None else None
    lam, worth = ppi.power(methods.table), ppi.effective_labels(methods.table, frame.confidence)
    rates = []
    for r, row in enumerate(methods.table):
        n_items, n_labelled = int(row.sum()), int(row[:, :NONE].sum())
        given, hits = int(row[:NONE].sum()), int(row[POSITIVE].sum())
        n_asked = given + n_failed[r]
        some = 0 < n_labelled < n_items
        sampled = None
        if drawn is not None and believed is not None and n_labelled and (some or drawn.whole):
            reference[r] = drawn.reference_only(r)
            sampled = drawn.sampled(r, believed) if some else None
        note = methods.odd[r] if drawn is None else ""
        notes = (*((PICKED,) if frame.picked and some else ()), *((note,) if note else ()))
        recommended, why = _recommend(row, note, drawn)
        rates.append(
            Rate(
                judge=name,
                model=frame.models[r - 1] if r else None,
                n_items=n_items,
                n_labelled=n_labelled,
                n_missing=n_items - given,
                raw=raw[r],
                bounds=(hits / n_asked, (hits + n_failed[r]) / n_asked) if n_asked else None,
                reference_only=reference[r] if n_labelled else None,
                rogan_gladen=corrected[0][r] if corrected and some else None,
                ppi=corrected[1][r] if corrected and some else None,
                ppi_stratified=corrected[2][r] if corrected and some else None,
                sampled=sampled,
                lambda_=float(lam[r]) if corrected and some else None,
                effective_labels=float(worth[r]) if corrected and some else None,
                recommended=recommended,
                corrected=recommended != "raw",
                why=why,
                notes=notes,
            )
        )
    return rates


def _recommend(row: Ints, note: str, drawn: Drawn | None) -> tuple[Quoted, str]:
    n_items, n_labelled, given = int(row.sum()), int(row[:, :NONE].sum()), int(row[:NONE].sum())
    few = f"; {n_labelled} label{'s tell' if n_labelled != 1 else ' tells'} little" if n_labelled < _FEW else ""
    if not n_labelled:
        return "raw", "uncorrected: no reference labels"
    if n_labelled == n_items:
        weighed = drawn is not None and drawn.whole
        rest = "weighed by the probability with which it was drawn" if weighed else "nothing is corrected"
        return "reference_only", f"every item has a reference label: their rate is the answer, {rest}"
    if drawn is not None:
        why = f"the labels were drawn with unequal probabilities, and it weights each by its own{few}"
        return "sampled" if n_labelled >= LEAST_LABELS else "reference_only", why
    if not given:
        return "reference_only", f"the judge has no verdict here, so the reference labels stand alone{few}"
    if note:
        return "ppi_stratified", (
            "it allows for labels that were picked by this judge's verdict (had they been picked by their true "
            f"label, rogan_gladen would be the one to quote){few}"
        )
    return "ppi_stratified", f"it uses every verdict and every label, and its interval holds with few labels{few}"


@dataclass(frozen=True)
class _Methods:
    """The estimates of one judge: of each method a list with a record for every row.

    `groups` (G, 3, 3), `table` (R, 3, 3) counts; `units` (U, G, 3, 3) the same by sampling unit, None where that is
    the item; `odd` (R,) words where the labelled items are not like the others in what the judge says.
    """

    frame: Frame
    groups: Ints
    table: Ints
    units: Floats | None
    odd: tuple[str, ...]

    @classmethod
    def of(cls, frame: Frame, codes: NDArray[Any]) -> _Methods:
        units = frame.count(codes)
        groups = units.sum(axis=0)
        table = frame.rows(groups)
        clustered = frame.unit is not None
        per_unit = np.ones(len(table))
        if clustered:
            with_label = (frame.rows(units)[..., :NONE].sum(axis=(2, 3)) > 0).sum(axis=0)
            per_unit = table[..., :NONE].sum(axis=(1, 2)) / np.maximum(with_label, 1)
        odd = tuple(_odd(row, float(size)) for row, size in zip(table, per_unit, strict=True))
        return cls(frame, groups, table, units.astype(np.float64) if clustered else None, odd)

    @property
    def _where(self) -> str:
        return "" if self.units is None else f", on the sample size that the {self.frame.unit_name} clusters leave"

    def raw(self) -> list[Estimate]:
        return self._share(np.s_[POSITIVE, :], np.s_[:NONE, :])

    def reference_only(self) -> list[CorrectedRate]:
        method = f"share of the labelled items; Wilson's interval{self._where}"
        found = self._share(np.s_[:, POSITIVE], np.s_[:, :NONE])
        return [CorrectedRate(**e.model_dump(), method=method) for e in found]

    def _share(self, hit: Any, among: Any) -> list[Estimate]:
        """Share of the cells `among` that is in `hit`, as `intervals.proportion` has it."""
        hits, n = (np.array([row[cells].sum() for row in self.table]) for cells in (hit, among))
        confidence = self.frame.confidence
        if self.units is None:
            return wilson_estimates(hits, n, confidence)
        units = self.frame.rows(self.units)
        top, bottom = (units[(..., *cells)].sum(axis=tuple(range(2, 2 + d))) for cells, d in ((hit, 1), (among, 2)))
        found = mean_wilson(top, bottom, np.ones(len(units), np.int64), confidence, clustered=True)
        return estimates(*found, n, [NO_ITEMS] * n.size)

    def _size(self, influence: Floats, table: Ints, units: Floats | None) -> Floats:
        if units is None:
            return np.ones(len(table))
        return ppi.effective_share(influence, table, units, self.frame.confidence)

    def rogan_gladen(self) -> list[CorrectedRate]:
        t, within = self.table, np.array([not words for words in self.odd])
        size = self._size(rogan_gladen_influence(t, within), t, self._row_units)
        counts = table_counts(t)
        value, low, high = rogan_gladen(*counts, within=within, size=size, confidence=self.frame.confidence)
        _, _, hits, positives, rejections, negatives = counts
        j = ratio(hits, positives) + ratio(rejections, negatives) - 1
        found = []
        for r in range(len(t)):
            sample = "part of the sample" if within[r] else "a calibration sample"
            method = (
                f"Rogan and Gladen 1978, labelled items as {sample}; MOVER interval from Jeffreys limits of "
                f"sensitivity, specificity and shares{self._where}"
            )
            reason, note = _no_rogan_gladen(positives[r], negatives[r], j[r]), ""
            ends = [low[r], high[r]]
            if np.isinf(ends).any():
                note = "the judge may be no better than chance here, so the interval has no end and stops at 0 or 1"
                ends = [max(low[r], min(0.0, value[r])), min(high[r], max(1.0, value[r]))]
            n = int(positives[r] + negatives[r])
            found.append(_record((value[r], *ends), n, method, reason, note))
        return found

    def ppi(self) -> list[CorrectedRate]:
        t = self.table
        size = self._size(ppi.ppi_influence(t), t, self._row_units)
        bounds = ppi.ppi_interval(t, size=size, confidence=self.frame.confidence)
        method = (
            "PPI++ (Angelopoulos, Duchi and Zrnic 2023), Wilson's interval on the effective number of labels"
            f"{self._where}"
        )
        n = t[..., :NONE].sum(axis=(1, 2))
        return [_record((v, lo, hi), int(k), method, NO_LABELS) for v, lo, hi, k in zip(*bounds, n, strict=True)]

    def stratified(self) -> list[CorrectedRate]:
        """Strata are the judge's verdicts; over all items models too, where each has enough labels."""
        bounds = self._stratified(self.table, self._row_units, None)
        by_model = self.frame.by_model
        if by_model:
            used = self.groups.sum(axis=(1, 2)) > 0
            cells = self.groups[used].reshape(1, -1, 3)
            units = None if self.units is None else self.units[:, used].reshape(len(self.units), 1, -1, 3)
            own = ratio(*(part.sum(axis=-1) for part in _strata(self.groups[used])[:2]))
            for whole, part in zip(bounds, self._stratified(cells, units, np.repeat(own, 3)[None]), strict=True):
                whole[0] = part[0]
        n = self.table[..., :NONE].sum(axis=(1, 2))
        found = []
        for r, ends in enumerate(zip(*bounds, strict=True)):
            over = "models and the judge's verdicts" if by_model and not r else "the judge's verdicts"
            method = f"stratified PPI (Fisch et al. 2024) over {over}; MOVER interval from beta limits{self._where}"
            found.append(_record(ends, int(n[r]), method, NO_LABELS, _blind(self.table[r])))
        return found

    def _stratified(self, strata: Ints, units: Floats | None, otherwise: Floats | None) -> tuple[Floats, ...]:
        parts = _strata(strata)
        size = self._size(ppi.stratified_influence(*parts, otherwise=otherwise), strata, units)
        return ppi.stratified(*parts, otherwise=otherwise, size=size, confidence=self.frame.confidence)

    @cached_property
    def _row_units(self) -> Floats | None:
        return None if self.units is None else self.frame.rows(self.units)


def _strata(counts: Ints) -> tuple[Floats, Floats, Floats]:
    """Positive by the reference, labelled, all: (..., S) each from (..., S, 3)."""
    c = counts.astype(np.float64)
    return c[..., POSITIVE], c[..., :NONE].sum(axis=-1), c.sum(axis=-1)


def _record(bounds: Sequence[float], n: int, method: str, reason: str, note: str = "") -> CorrectedRate:
    """A record; where the value is no rate, words that say so and the nearest rate."""
    value, low, high = map(float, bounds)
    if not np.isfinite(value):
        return CorrectedRate(n=n, undefined=reason, method=method)
    said = [note] if note else []
    if value < -ZERO or value > 1 + ZERO:
        whole = "; so does its whole interval: the labels or the judge's errors differ between the samples"
        beyond = high < 0 or low > 1
        said.append(f"the formula gives a value {'below 0' if value < 0 else 'above 1'}{whole if beyond else ''}")
    if np.isfinite(low) and np.isfinite(high) and high - low > ZERO:
        ends = {"ci_low": low, "ci_high": high}
    else:
        ends = {}
        said.append("no interval: the labels come from one cluster")
    clipped = min(max(value, 0.0), 1.0)
    outside = abs(clipped - value) > ZERO
    return CorrectedRate(
        value=value, **ends, n=n, method=method, note="; ".join(said) or None, clipped=clipped if outside else None
    )


def _no_rogan_gladen(positives: float, negatives: float, j: float) -> str:
    if not positives or not negatives:
        lacking = "of the positive label" if not positives else "of another label"
        return f"no item with a verdict is {lacking} in the reference"
    return f"the judge is no better than chance on the labelled items (J = {j:.2f})"


def _odd(row: Ints, per_unit: float) -> str:
    """Words where what the judge says of the labelled items differs clearly from what it says of the others."""
    labelled, others = row[:, :NONE].sum(axis=1), row[:, NONE]
    for verdict, says in ((POSITIVE, "gives the positive label to"), (NONE, "has no verdict on")):
        groups = [(int(side[verdict]), int(side.sum())) for side in (labelled, others)]
        (x, n), _ = sorted(groups, key=lambda group: group[1])
        if not n:
            return ""
        q = row[verdict].sum() / row.sum()
        hits, size = x / per_unit, n / per_unit
        # a binomial tail, which counts need not be whole for
        upper = special.betainc(hits, size - hits + 1, q) if x > 0 else 1.0
        lower = special.betainc(size - hits, hits + 1, 1 - q) if x < n else 1.0
        if 2 * min(upper, lower) < DIFFERENT:
            here, there = (f"{100 * k / among:.1f} %" for k, among in groups)
            return f"no random sample: the judge {says} {here} of the labelled items and {there} of the others"
    return ""


def _blind(row: Ints) -> str:
    """Words where some verdict has no reference label at all."""
    words = {POSITIVE: "says the positive label", OTHER: "says another label", NONE: "has no verdict"}
    blind = [v for v in words if row[v].sum() and not row[v, :NONE].sum()]
    if not blind:
        return ""
    share = 100 * row[blind].sum() / row.sum()
    where = " or ".join(words[v] for v in blind)
    return f"no reference label where the judge {where} ({share:.1f} % of the items): any rate is allowed for there"
