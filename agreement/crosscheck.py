"""The same figures through other people's code: krippendorff, statsmodels and scikit-learn.

These libraries are imported here only. scikit-learn is not required: without it its rows say so.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interjudge.agreement.chance import constant_terms, count_features, fleiss_terms
from interjudge.agreement.coefficients import alpha_point
from interjudge.agreement.counts import Codes, Floats, checked, count_block, count_units
from interjudge.agreement.degenerate import one_category
from interjudge.agreement.pairwise import agreement, cohen_kappa, kappa_weights, mcc
from interjudge.agreement.tables import pair_tables
from interjudge.agreement.weights import checked_level, label_values

# krippendorff holds N x K x K numbers and statsmodels N x K: larger panels are compared on a sample of items.
MAX_CELLS: Final = 30_000_000
NOT_INSTALLED: Final = "not installed"


@dataclass(frozen=True)
class Check:
    """One figure twice. A null is a value that does not exist there; `note` says what was compared, or why not."""

    name: str
    library: str
    ours: float | None
    theirs: float | None
    difference: float | None
    note: str | None = None


def cross_check(
    codes: Codes,
    k: int,
    *,
    level: str = "nominal",
    values: ArrayLike | None = None,
    names: tuple[str, ...] | None = None,
    seed: int = 0,
) -> list[Check]:
    """Every figure that another library defines as we do, computed by both.

    Alpha at the nominal level and at `level` (krippendorff); Fleiss' kappa and Randolph's (our
    Brennan-Prediger) on the items that every judge judged (statsmodels); for each two judges Cohen's kappa
    (statsmodels, scikit-learn; weighted above the nominal level), agreement and Matthews (scikit-learn).
    Panels whose N x K x K exceeds MAX_CELLS are compared on a random sample of their items, and the note says
    so. `names` are the judges' names for the pairs.
    """
    numbers = label_values(k, checked_level(level), values)
    checked(codes, k)
    most = max(1, MAX_CELLS // (k * k))
    note = None
    if codes.shape[0] > most:
        codes = codes[np.sort(np.random.default_rng(seed).choice(codes.shape[0], most, replace=False))]
        note = f"on a random sample of {most} items"
    found = list(_alphas(codes, k, dict.fromkeys(("nominal", level)), numbers, note))
    found += _fleiss(codes, k, note)
    labels = names or tuple(str(j) for j in range(codes.shape[1]))
    pairs = list(combinations(range(codes.shape[1]), 2))
    for (a, b), table in zip(pairs, pair_tables(codes, k, pairs)[0], strict=True):
        found += _pair(table, f"{labels[a]} / {labels[b]}", level != "nominal", note)
    return found


def _check(name: str, library: str, ours: float | None, theirs: Callable[[], Any], note: str | None) -> Check:
    """Their value as it comes, and what they did where they have none."""
    mine = None if ours is None or not np.isfinite(ours) else float(ours)
    try:
        with warnings.catch_warnings():  # a division by zero is how some of them say "undefined"
            warnings.simplefilter("ignore")
            raw = float(theirs())
    except ImportError:
        return Check(name, library, mine, None, None, NOT_INSTALLED)
    except (ValueError, ZeroDivisionError, AssertionError) as error:
        return Check(name, library, mine, None, None, f"raised {type(error).__name__}")
    other = raw if np.isfinite(raw) else None
    difference = abs(mine - other) if mine is not None and other is not None else None
    if mine is None and other is not None:
        note = "undefined by our policy"
    return Check(name, library, mine, other, difference, note)


def _alphas(codes: Codes, k: int, levels: Any, numbers: Floats, note: str | None) -> Iterator[Check]:
    counts = count_block(codes, k).T.astype(np.int64)
    # the library takes the values in increasing order: only then are its ordinal ranks those of the values
    order = np.argsort(numbers)

    def theirs(level: Any) -> float:
        import krippendorff  # noqa: PLC0415  (GPL: never imported unless asked for)

        return float(
            krippendorff.alpha(value_counts=counts[:, order], value_domain=numbers[order], level_of_measurement=level)
        )

    for level in levels:
        ours = alpha_point(codes, k, level=level, values=numbers)
        yield _check(f"krippendorff_alpha ({level})", "krippendorff", ours, partial(theirs, level), note)


def _fleiss(codes: Codes, k: int, note: str | None) -> Iterator[Check]:
    complete = codes[(codes >= 0).all(axis=1)]
    if not complete.shape[0] or complete.shape[1] < 2:
        return
    words = f"on {complete.shape[0]} complete items" + (f", {note}" if note else "")
    weights = {"identity": np.eye(k)}
    units = count_units(complete, k, partial(count_features, weights=weights, metrics={}))
    sums = units.named(units.totals())
    counts = count_block(complete, k).T.astype(np.int64)

    def theirs(method: str) -> float:
        from statsmodels.stats.inter_rater import fleiss_kappa  # noqa: PLC0415  (slow to import)

        return float(fleiss_kappa(counts, method=method))

    for name, method, terms in (
        ("fleiss_kappa", "fleiss", fleiss_terms(sums, "identity", weights["identity"])),
        ("brennan_prediger", "randolph", constant_terms(sums, "identity", 1 / k)),
    ):
        observed, expected = (float(x) for x in terms)
        ours = None if one_category(sums["margin"]) else 1 - observed / expected
        yield _check(name, "statsmodels", ours, partial(theirs, method), words)


def _pair(table: Floats, names: str, ordered: bool, note: str | None) -> Iterator[Check]:
    if not table.sum():
        return
    k = table.shape[0]
    cells = np.flatnonzero(table)
    a, b, weight = cells // k, cells % k, table.ravel()[cells]
    kinds: list[tuple[str, str | None]] = [("cohen_kappa", None)]
    kinds += [(f"cohen_kappa_{w}", w) for w in ("linear", "quadratic") if ordered]
    for name, w in kinds:
        ours = float(cohen_kappa(table, None if w is None else kappa_weights(k, w)))
        yield _check(f"{name}: {names}", "scikit-learn", ours, partial(_sklearn_kappa, a, b, weight, k, w), note)
        yield _check(f"{name}: {names}", "statsmodels", ours, partial(_statsmodels_kappa, table, w), note)
    metrics = (("agreement", "accuracy_score", agreement), ("mcc", "matthews_corrcoef", mcc))
    for name, function, formula in metrics:
        theirs = partial(_sklearn_metric, function, a, b, weight)
        yield _check(f"{name}: {names}", "scikit-learn", float(formula(table)), theirs, note)


def _sklearn_kappa(a: NDArray[Any], b: NDArray[Any], weight: Floats, k: int, kind: str | None) -> float:
    from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415  (optional)

    return float(cohen_kappa_score(a, b, labels=np.arange(k), weights=kind, sample_weight=weight))


def _sklearn_metric(function: str, a: NDArray[Any], b: NDArray[Any], weight: Floats) -> float:
    import sklearn.metrics  # noqa: PLC0415  (optional)

    return float(getattr(sklearn.metrics, function)(a, b, sample_weight=weight))


def _statsmodels_kappa(table: Floats, kind: str | None) -> float:
    from statsmodels.stats.inter_rater import cohens_kappa  # noqa: PLC0415  (slow to import)

    return float(cohens_kappa(table, wt=kind, return_results=False))


def largest(checks: list[Check]) -> float | None:
    """The largest difference, or None where nothing could be compared."""
    known = [check.difference for check in checks if check.difference is not None]
    return max(known, default=None)
