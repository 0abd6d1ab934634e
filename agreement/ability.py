"""Whom to trust: every judge's ability, bias and errors, against the estimated truth and against a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.ability_cells import Cells, Part, against_estimate, against_reference
from interjudge.agreement.ability_draws import Draws
from interjudge.agreement.ability_errors import error_correlation
from interjudge.agreement.ability_margins import (
    Margins,
    Replicated,
    accuracy,
    balanced_accuracy,
    bias,
    interval,
    performance,
    sensitivity,
    specificity,
    wilson_bounds,
    youden_j,
)
from interjudge.agreement.counts import Floats
from interjudge.agreement.intervals import estimate
from interjudge.agreement.latent import LatentTruth
from interjudge.agreement.panel import Panel
from interjudge.agreement.rank_agreement import difference_bounds
from interjudge.agreement.ranking import FEW, Plan, plan, rank
from interjudge.agreement.reference import against_reference as reference_estimates
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_trust import (
    Ability,
    Basis,
    IncoherentPart,
    JudgeTrust,
    LabelBias,
    Measure,
    Ranking,
    Trust,
)
from interjudge.agreement.sampling import Sampling
from interjudge.errors import InputError

Bools = NDArray[np.bool_]

NO_VERDICT: Final = "no verdict of the judge"
NO_BOTH: Final = "no item has both a verdict and a reference label"
NO_POSITIVE: Final = "no positive label"
ONE_LABEL: Final = "one label"
EMPTY: Final = "none of these outputs has that label"


def trust(
    panel: Panel, truth: LatentTruth, *, incoherent: Bools | None = None, sampling: Sampling | None = None
) -> Trust | None:
    """Judges against the estimated truth, and against the panel's reference where it has one.

    Parameters
    ----------
    truth : estimated from the panel's codes alone, without its reference.
    incoherent : (N,) which items are incoherent outputs; None where nobody looked.

    None for panels of scores alone. Raises `InputError` where the truth is not of this panel.
    """
    sampling = sampling or Sampling()
    k = len(panel.question.labels)
    if panel.scores is not None or not k or not panel.judges or not panel.n_items:
        return None
    _check(panel, truth, incoherent)
    flag = incoherent if incoherent is not None and incoherent.any() and not incoherent.all() else None
    work = _Work(panel, truth, flag, sampling)
    return work.trust(None if incoherent is None else int(incoherent.sum()))


@dataclass(frozen=True)
class _Side:
    """The counts against one truth: all items, incoherent, coherent; and the rankings made on them."""

    cells: Cells
    whole: Replicated
    incoherent: Replicated | None
    coherent: Replicated | None
    rankings: list[Ranking | None]


@dataclass(frozen=True)
class _Work:
    panel: Panel
    truth: LatentTruth
    flag: Bools | None
    sampling: Sampling

    @property
    def positive(self) -> int | None:
        """The positive label's code; a label that stands alone is compared with nothing."""
        return self.panel.question.positive_code if len(self.panel.question.labels) > 1 else None

    @property
    def measure(self) -> Measure:
        return "accuracy" if self.positive is None else "youden_j"

    def trust(self, n_incoherent: int | None) -> Trust:
        panel = self.panel
        known = np.zeros(panel.n_items, bool) if panel.gold is None else panel.gold >= 0
        cells = Cells.estimated(panel.codes, self.truth.posterior, self.flag, panel.clusters)
        exact = self._reference_cells(known)
        groups = self._groups()
        plans = self._plans(exact, groups) if exact else None
        basis: Basis = "reference" if plans and plans[0] else "estimate"
        if plans is None or basis == "estimate":
            plans = self._plans(cells, groups)
        against = self._side(exact, plans if basis == "reference" else (), "reference") if exact else None
        guess = self._side(cells, plans if basis == "estimate" else (), "estimate")
        rankings = (against if against is not None and basis == "reference" else guess).rankings
        rankings = [*rankings, None, None]
        parts, measure = self._incoherent(guess, against)
        judges = self._judges(guess, against, parts)
        families = self.truth.families
        return Trust(
            judges=judges,
            families=tuple(
                tuple(panel.names[j] for j in np.flatnonzero(families == f)) for f in range(int(families.max()) + 1)
            ),
            effective_judges=self.truth.effective_judges,
            n_reference=int(known.sum()),
            error_correlation=error_correlation(panel, self.truth, self.sampling),
            ranking=rankings[0],
            ranking_automatic=rankings[1],
            n_incoherent=n_incoherent,
            incoherent_measure=measure,
            model=self.truth.model,
            why=self.truth.why,
            replicates=self.sampling.replicates,
        )

    def _reference_cells(self, known: Bools) -> Cells | None:
        panel = self.panel
        if panel.gold is None or not known.any():
            return None
        everything = bool(known.all())
        codes, gold, flag, clusters, weight = panel.codes, panel.gold, self.flag, panel.clusters, panel.gold_weight
        if not everything:
            codes, gold = codes[known], gold[known]
            flag = None if flag is None else flag[known]
            clusters = None if clusters is None else clusters[known]
            weight = None if weight is None else weight[known]
        return Cells.referenced(codes, gold, len(panel.question.labels), flag, clusters, weight)

    def _groups(self) -> list[NDArray[np.int64]]:
        """Everybody; and the judges that are not human, where some are and some are not."""
        human = np.array([judge.kind == "human" for judge in self.panel.judges])
        everyone = np.arange(human.size)
        return [everyone, everyone[~human]] if human.any() and not human.all() else [everyone]

    def _plans(self, cells: Cells, groups: Sequence[NDArray[np.int64]]) -> list[Plan | None]:
        whole = cells.expected(Part(np.ones(cells.flag.size, bool)))
        return [plan(cells, whole, group, self.measure, self.positive) for group in groups]

    def _side(self, cells: Cells, plans: Sequence[Plan | None], basis: Basis) -> _Side:
        parts = [Part(np.ones(cells.flag.size, bool))]
        parts += [Part(cells.flag), Part(~cells.flag)] if self.flag is not None else []
        at = len(parts)
        wanted = [p for p in plans if p is not None]
        parts += [part for p in wanted if not p.complete for part in p.parts]
        counts = self._count(cells, parts, basis)
        rankings: list[Ranking | None] = []
        for p in plans:
            if p is None:
                rankings.append(None)
                continue
            mine = [counts[0]] * 3 if p.complete else counts[at : at + 3]
            at += 0 if p.complete else 3
            rankings.append(
                rank(p, cells, mine, self.panel.names, self.positive, basis=basis, confidence=self.sampling.confidence)
            )
        split = counts[1:3] if self.flag is not None else [None, None]
        return _Side(cells, counts[0], split[0], split[1], rankings)

    def _count(self, cells: Cells, parts: Sequence[Part], basis: Basis) -> list[Replicated]:
        replicates, seed = self.sampling.replicates, self.sampling.seed
        if basis == "reference":
            return against_reference(cells, parts, replicates, seed)
        draws = Draws.of(cells.patterns, cells.truth, self.truth, replicates, seed, cells.clusters_by_cell())
        return against_estimate(cells, draws, parts)

    def _judges(
        self, guess: _Side, against: _Side | None, parts: Sequence[IncoherentPart | None]
    ) -> tuple[JudgeTrust, ...]:
        estimated = self._estimated(guess)
        reference = self._against_reference(against)
        biases = self._bias(guess.whole, against.whole if against else None)
        return tuple(
            JudgeTrust(
                judge=self.panel.names[j],
                family=int(self.truth.families[j]) + 1,
                effective_vote=float(self.truth.effective_votes[j]),
                estimated=estimated[j],
                reference=reference[j],
                bias=biases[j],
                incoherent=parts[j],
            )
            for j in range(len(self.panel.judges))
        )

    def _figures(self, value: Floats, draws: Floats, counts: Replicated, n: Floats, words: str) -> list[Estimate]:
        low, high = interval(value, draws, counts.units, self.sampling.confidence, exact=counts.exact)
        nothing = NO_BOTH if counts.exact else NO_VERDICT
        return [
            estimate(float(v), float(lo), float(hi), round(float(size)), words if size > 0 else nothing)
            for v, lo, hi, size in zip(value, low, high, n, strict=True)
        ]

    def _estimated(self, guess: _Side) -> list[Ability]:
        counts, positive = guess.whole, self.positive
        total, draws = counts.total, counts.replicates
        n = total.n
        right = self._figures(accuracy(total), accuracy(draws), counts, n, EMPTY)
        if positive is None:
            words = ONE_LABEL if total.true.shape[-1] == 1 else NO_POSITIVE
            there = guess.cells.labels_there
            mean = balanced_accuracy(total, there), balanced_accuracy(draws, there)
            balanced = self._figures(*mean, counts, n, EMPTY)
            return [
                Ability(accuracy=a, balanced_accuracy=b, **dict.fromkeys(_THREE, Estimate(n=a.n, undefined=words)))
                for a, b in zip(right, balanced, strict=True)
            ]
        three = [
            self._figures(formula(total, positive), formula(draws, positive), counts, n, EMPTY)
            for formula in (sensitivity, specificity, youden_j)
        ]
        return [
            Ability(accuracy=a, **dict(zip(_THREE, figures, strict=True)))
            for a, *figures in zip(right, *three, strict=True)
        ]

    def _against_reference(self, against: _Side | None) -> list[Ability | None]:
        panel = self.panel
        if against is None or panel.gold is None:
            return [None] * len(panel.judges)
        balanced: list[Estimate | None] = [None] * len(panel.judges)
        if self.positive is None:
            counts = against.whole
            there = against.cells.labels_there
            mean = balanced_accuracy(counts.total, there), balanced_accuracy(counts.replicates, there)
            balanced = [*self._figures(*mean, counts, counts.n, EMPTY)]
        found: list[Ability | None] = []
        for j in range(len(panel.judges)):
            figures = reference_estimates(
                panel.codes[:, j],
                panel.gold,
                len(panel.question.labels),
                positive=self.positive,
                clusters=panel.clusters,
                weight=panel.gold_weight,
                replicates=self.sampling.replicates,
                seed=self.sampling.seed,
                confidence=self.sampling.confidence,
            )
            wanted = {name: figures[name] for name in (*_THREE, "accuracy")}
            found.append(Ability(balanced_accuracy=balanced[j], **wanted))
        return found

    def _bias(self, guess: Replicated, against: Replicated | None) -> list[tuple[LabelBias, ...]]:
        """[judge][label]"""
        labels = self.panel.question.labels
        tables = [self._bias_figures(counts) if counts else None for counts in (guess, against)]
        return [
            tuple(
                LabelBias(
                    label=label,
                    estimated=tables[0][x][j] if tables[0] else Estimate(undefined=NO_VERDICT),
                    reference=tables[1][x][j] if tables[1] else None,
                )
                for x, label in enumerate(labels)
            )
            for j in range(len(self.panel.judges))
        ]

    def _bias_figures(self, counts: Replicated) -> list[list[Estimate]]:
        """[label][judge]"""
        value, draws = bias(counts.total), bias(counts.replicates)
        return [self._figures(value[:, x], draws[..., x], counts, counts.n, EMPTY) for x in range(value.shape[1])]

    def _incoherent(self, guess: _Side, against: _Side | None) -> tuple[list[IncoherentPart | None], Measure | None]:
        """Each judge on incoherent outputs, against the reference where that has enough labels there."""
        n = len(self.panel.judges)
        if guess.incoherent is None or guess.coherent is None:
            return [None] * n, None
        sides = [guess] if against is None else [guess, against]
        measure = self.measure
        chosen = [self._basis(j, guess, against) for j in range(n)]
        if measure == "youden_j" and not any(
            np.isfinite(self._shown(side.incoherent, measure)[j])
            for side, basis in ((side, basis) for side, basis in zip(sides, ("estimate", "reference"), strict=False))
            for j in range(n)
            if side.incoherent is not None and chosen[j] == basis
        ):
            measure = "accuracy"
        tables = {basis: self._parts(side, basis, measure) for side, basis in zip(sides, _BASES, strict=False)}
        return [tables[chosen[j]][j] for j in range(n)], measure

    def _basis(self, j: int, guess: _Side, against: _Side | None) -> Basis:
        if against is None or against.incoherent is None or guess.incoherent is None:
            return "estimate"
        # expected counts are whole up to rounding
        labelled, there = (round(float(side.incoherent.n[j])) for side in (against, guess) if side.incoherent)
        return "reference" if labelled >= min(FEW, there) and labelled > 0 else "estimate"

    def _shown(self, counts: Replicated, measure: Measure) -> Floats:
        """The measure of one part of the outputs.

        NaN where none of them is expected to have one of the labels: an estimated truth leaves a trace of every label
        everywhere.
        """
        value = performance(counts.total, measure, self.positive)
        if measure == "accuracy" or self.positive is None or counts.exact:
            return value
        true = counts.total.true[..., self.positive]
        rest = counts.total.n - true
        return np.where((np.rint(true) < 1) | (np.rint(rest) < 1), np.nan, value)

    def _parts(self, side: _Side, basis: Basis, measure: Measure) -> list[IncoherentPart]:
        inside, outside = side.incoherent, side.coherent
        if inside is None or outside is None:
            return []

        def leaning(m: Margins) -> Floats:
            return np.asarray(bias(m)[..., self.positive or 0])

        figures: dict[str, list[Estimate]] = {}
        both = (inside, outside)
        what: list[tuple[str, Measure | Literal["bias"], list[Floats], list[Floats]]] = [
            (
                "performance",
                measure,
                [self._shown(counts, measure) for counts in both],
                [performance(counts.replicates, measure, self.positive) for counts in both],
            )
        ]
        if self.positive is not None:
            leanings = [leaning(counts.total) for counts in both], [leaning(counts.replicates) for counts in both]
            what.append(("bias", "bias", *leanings))
        for name, asked, values, draws in what:
            n = [counts.n for counts in both]
            here, fixed = self._part(values[0], draws[0], inside, asked)
            there, also = self._part(values[1], draws[1], outside, asked)
            # the part with fewer units decides how wide the interval of the difference must be
            fewer = replace(side.whole, units=np.minimum(inside.units, outside.units))
            apart = self._figures(values[0] - values[1], draws[0] - draws[1], fewer, n[0] + n[1], EMPTY)
            figures[f"{name}_incoherent"], figures[f"{name}_coherent"] = here, there
            figures[f"{name}_difference"] = [
                _apart(*one) if stuck else one[0] for *one, stuck in zip(apart, here, there, fixed | also, strict=True)
            ]
        return [
            IncoherentPart(
                basis=basis,
                n_incoherent=round(float(inside.n[j])),
                n_coherent=round(float(outside.n[j])),
                **{name: column[j] for name, column in figures.items()},
            )
            for j in range(len(self.panel.judges))
        ]

    def _part(
        self, value: Floats, draws: Floats, counts: Replicated, what: Measure | Literal["bias"]
    ) -> tuple[list[Estimate], Bools]:
        """The figures of one part, and where (J,) its replicates cannot show what is uncertain.

        A judge that is right on all of three outputs is right on them in every replicate. Against a reference such a
        figure has the interval in closed form instead.
        """
        found = self._figures(value, draws, counts, counts.n, EMPTY)
        if not counts.exact or not draws.shape[0]:
            return found, np.array([e.ci_low is None for e in found])
        low, high, fixed = wilson_bounds(counts, what, self.positive, self.sampling.confidence)
        rows = zip(found, low.tolist(), high.tolist(), fixed.tolist(), strict=True)
        return [
            estimate(e.value, a, b, e.n, EMPTY) if e.value is not None and stuck else e for e, a, b, stuck in rows
        ], fixed


def _apart(found: Estimate, a: Estimate, b: Estimate) -> Estimate:
    """The difference a - b with the interval that those of both make (see `rank_agreement.difference_bounds`)."""
    ends = [(e.value, e.ci_low, e.ci_high) for e in (a, b)]
    if found.value is None or any(x is None for end in ends for x in end):
        return found.model_copy(update={"ci_low": None, "ci_high": None})
    one, two = (tuple(np.array([x], np.float64) for x in end) for end in ends)
    low, high = difference_bounds((one[0], one[1], one[2]), (two[0], two[1], two[2]))
    return estimate(found.value, float(low[0]), float(high[0]), found.n, EMPTY)


_THREE: Final = ("sensitivity", "specificity", "youden_j")
_BASES: Final[tuple[Basis, ...]] = ("estimate", "reference")


def _check(panel: Panel, truth: LatentTruth, incoherent: Bools | None) -> None:
    expected = (panel.n_items, len(panel.question.labels))
    if truth.posterior.shape != expected or truth.families.shape != (len(panel.judges),):
        raise InputError(
            "the truth was not estimated from this panel", found=truth.posterior.shape, expected=str(expected)
        )
    if incoherent is not None and incoherent.shape != (panel.n_items,):
        raise InputError("the marks do not match the items", found=incoherent.shape, expected=f"({panel.n_items},)")
