"""Whether two judges give each label equally often: different levels of strictness, tested.

Two judges can agree on most items and still differ in level: what one lets pass the other does not. The tests
compare the margins of the K x K table n_ab of the items both judged (rows the first judge):

- Stuart (1955) and Maxwell (1970): d' S^- d with d_a = n_a. - n_.a, S_aa = n_a. + n_.a - 2 n_aa and
  S_ab = -(n_ab + n_ba), chi-square on the rank of S (K - 1, less where a label is never in dispute);
- McNemar (1947), the same for two labels: (b - c)^2 / (b + c), and exactly, from the binomial distribution, where
  b + c < 25;
- Bowker (1948), whether the whole table is symmetric: sum over a < b of (n_ab - n_ba)^2 / (n_ab + n_ba).

Where items share units, S is sum_u d_u d_u' over the units, which is Stuart's S where every unit is one item; for
two labels that is the clustered McNemar test of Durkalski et al. (2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from interjudge.agreement.counts import Codes, Floats, assign, checked
from interjudge.agreement.degenerate import NO_PAIRS
from interjudge.agreement.intervals import estimate
from interjudge.agreement.multiple import holm
from interjudge.agreement.panel import Panel
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_scores import PairHomogeneity
from interjudge.agreement.sampling import MAX_PAIRED_JUDGES, Sampling
from interjudge.agreement.tables import pair_tables

NEVER_DIFFER: Final = "the judges never differ"
FEW_UNITS: Final = "too few sampling units for a test"
MCNEMAR: Final = "McNemar"
EXACT: Final = "McNemar, exact"
STUART_MAXWELL: Final = "Stuart-Maxwell"
CLUSTERED: Final = "clustered"

_EXACT_BELOW: Final = 25  # disagreements
_SMEARED: Final = 1e-9  # of the largest eigenvalue: zero that arithmetic has smeared


@dataclass(frozen=True)
class _Test:
    """`name` is None where there is no test, and `why` says so."""

    name: str | None = None
    statistic: float | None = None
    df: int | None = None
    p: float | None = None
    why: str | None = None


def homogeneity(panel: Panel, *, sampling: Sampling | None = None) -> tuple[PairHomogeneity, ...]:
    """Every two judges of a panel with labels; empty for scores alone and above 50 judges."""
    sampling = sampling or Sampling()
    question, k = panel.question, len(panel.question.labels)
    if panel.scores is not None or not k or len(panel.judges) > MAX_PAIRED_JUDGES:
        return ()
    codes = checked(panel.codes, k)
    pairs = list(combinations(range(len(panel.judges)), 2))
    tables = pair_tables(codes, k, pairs)[0] if pairs else np.empty((0, k, k))
    margins = None if panel.clusters is None else _Margins.of(codes, k, panel.clusters, sampling.seed)
    tests, found = [], []
    for (a, b), table in zip(pairs, tables, strict=True):
        units = None if margins is None else margins.units(a, b)
        test = _test(table) if units is None else _clustered_test(table, units.d)
        code = _label(table, question.positive_code)
        tests.append(test)
        found.append((a, b, table, code, _difference(table, code, units, sampling.confidence)))
    corrected = holm([test.p for test in tests])
    return tuple(
        PairHomogeneity(
            a=panel.names[a],
            b=panel.names[b],
            n=int(table.sum()),
            test=test.name,
            statistic=test.statistic,
            df=test.df,
            p=test.p,
            p_holm=p_holm,
            **(_bowker_keys(table) if margins is None else {}),
            label=None if code is None else question.labels[code],
            difference=difference,
            undefined=test.why,
        )
        for (a, b, table, code, difference), test, p_holm in zip(found, tests, corrected, strict=True)
    )


def stuart_maxwell(table: Floats) -> tuple[float, int]:
    """Statistic and degrees of freedom of a table (K, K); 0 of either where the judges never differ."""
    both = table + table.T
    spread = np.diag(both.sum(axis=1)) - both  # n_a. + n_.a - 2 n_aa on the diagonal
    return _quadratic(table.sum(axis=1) - table.sum(axis=0), spread)


def bowker(table: Floats) -> tuple[float, int]:
    """Statistic and degrees of freedom of a table (K, K): the pairs of labels that were confused at all."""
    upper = np.triu_indices(table.shape[0], 1)
    there, back = table[upper], table.T[upper]
    used = there + back > 0
    return float(((there - back)[used] ** 2 / (there + back)[used]).sum()), int(used.sum())


def mcnemar_exact(b: float, c: float) -> float:
    """Two-sided p value of b against c under a fair coin."""
    return min(1.0, 2 * float(special.bdtr(min(b, c), int(b + c), 0.5)))


def _quadratic(d: Floats, spread: Floats) -> tuple[float, int]:
    """d' S^- d and the rank of S."""
    values, vectors = np.linalg.eigh(spread)
    used = values > _SMEARED * max(float(values.max(initial=0.0)), 1.0)
    along = vectors[:, used].T @ d
    return float((along**2 / values[used]).sum()), int(used.sum())


def _test(table: Floats) -> _Test:
    confused = np.argwhere(np.triu(table + table.T, 1) > 0)
    if not confused.size:
        return _Test(why=NEVER_DIFFER if table.any() else NO_PAIRS)
    if len(confused) == 1:
        i, j = confused[0]
        b, c = float(table[i, j]), float(table[j, i])
        if b + c < _EXACT_BELOW:
            return _Test(EXACT, p=mcnemar_exact(b, c))
    statistic, df = stuart_maxwell(table)
    p = float(special.chdtrc(df, statistic))
    return _Test(MCNEMAR if len(confused) == 1 else STUART_MAXWELL, statistic, df, p)


def _clustered_test(table: Floats, units: Floats) -> _Test:
    """The same from the units' differences (U, K)."""
    if not (table - np.diag(np.diag(table))).any():
        return _Test(why=NEVER_DIFFER if table.any() else NO_PAIRS)
    statistic, df = _quadratic(units.sum(axis=0), units.T @ units)
    if df == 0 or int(units.any(axis=1).sum()) <= df:
        return _Test(why=FEW_UNITS)
    name = MCNEMAR if df == 1 else STUART_MAXWELL
    return _Test(f"{name}, {CLUSTERED}", statistic, df, float(special.chdtrc(df, statistic)))


def _bowker_keys(table: Floats) -> dict[str, Any]:
    statistic, df = bowker(table)
    if df < 2:
        return {}
    return {"bowker": statistic, "bowker_df": df, "bowker_p": float(special.chdtrc(df, statistic))}


def _label(table: Floats, positive: int | None) -> int | None:
    """The positive label, else the one whose margins differ most (the first of equals)."""
    if not table.any():
        return None
    if positive is not None:
        return positive
    apart = np.abs(table.sum(axis=1) - table.sum(axis=0))
    return int(np.argmax(apart if apart.any() else np.diag(table)))


@dataclass(frozen=True)
class _Units:
    """Two judges' verdicts within each sampling unit: `d` (U, K) labels of the first minus those of the second, and
    `n` (U,) how many items of the unit both judged."""

    d: Floats
    n: Floats


@dataclass(frozen=True)
class _Margins:
    """How often each judge gave each label within each unit: `total`, J tables (U, K)."""

    total: list[Floats]
    key: list[NDArray[np.intp]]
    codes: Codes
    shape: tuple[int, int]

    @classmethod
    def of(cls, codes: Codes, k: int, clusters: NDArray[Any], seed: int) -> _Margins:
        units = assign(codes.shape[0], clusters, seed=seed)
        index = np.arange(codes.shape[0]) if units.index is None else units.index
        keys = [index * k + column for column in codes.T]
        shape = (units.size, k)
        total = [_count(key[column >= 0], shape) for key, column in zip(keys, codes.T, strict=True)]
        return cls(total, keys, codes, shape)

    def units(self, a: int, b: int) -> _Units:
        """Of the items both judged: what either judge said of other items is taken out again."""
        first, second = (
            self.total[one] - _count(self.key[one][(self.codes[:, one] >= 0) & (self.codes[:, other] < 0)], self.shape)
            for one, other in ((a, b), (b, a))
        )
        return _Units(first - second, first.sum(axis=1))


def _count(key: NDArray[np.intp], shape: tuple[int, int]) -> Floats:
    return np.bincount(key, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)


def _difference(table: Floats, code: int | None, units: _Units | None, confidence: float) -> Estimate:
    """First judge's rate of the label minus the second's, from the same items.

    Independent items: Agresti and Min (2005), Wald's interval with half an item added to each cell. Shared units:
    Student's t on one degree of freedom less than there are units, of the units' sums.
    """
    n = float(table.sum())
    if code is None:
        return Estimate(n=0, undefined=NO_PAIRS)
    b, c = float(table[code].sum() - table[code, code]), float(table[:, code].sum() - table[code, code])
    value = (b - c) / n
    if units is None:
        more, fewer, size = b + 0.5, c + 0.5, n + 2
        middle = (more - fewer) / size
        half = float(special.ndtri((1 + confidence) / 2)) * np.sqrt(more + fewer - (more - fewer) ** 2 / size) / size
    else:
        middle, half = value, _clustered_half(units.d[:, code] - value * units.n, n, confidence)
    low, high = min(max(middle - half, -1.0), value), max(min(middle + half, 1.0), value)
    return estimate(value, low, high, int(n), NO_PAIRS)


def _clustered_half(influence: Floats, n: float, confidence: float) -> float:
    """Half width of a mean over n items from its units' sums of deviations (U,); NaN below two units."""
    units = influence.size
    if units < 2:
        return float("nan")
    error = np.sqrt(units / (units - 1) * (influence @ influence)) / n
    return float(special.stdtrit(units - 1, (1 + confidence) / 2) * error)
