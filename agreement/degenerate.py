"""One decision on data that no statistic can be computed from, in the same words everywhere.

A value that does not exist is null and its reason is one of the phrases below; NaN stays inside the arrays.

| data | chance-corrected values | raw agreement |
|---|---|---|
| no items | null, `no items` | null, `no items` |
| fewer than two judges | null, `one judge` | null, `one judge` |
| no item with two verdicts | null, `no pairable items` | null, `no pairable items` |
| every pairable verdict is the same | null, `one category` | given |
| one of two judges gives one label only | kappa, pi and AC1 given; Matthews null, `a judge never varies` | given |
| nobody gives the label | specific agreement null, `label never given` | given |
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.results import Estimate

NO_ITEMS: Final = "no items"
ONE_JUDGE: Final = "one judge"
NO_PAIRS: Final = "no pairable items"
ONE_CATEGORY: Final = "one category"
NEVER_VARIES: Final = "a judge never varies"
NEVER_GIVEN: Final = "label never given"
NEGATIVE_RATIO: Final = "ratio level needs scores of zero or more"

# Below this share of defined bootstrap replicates the rest no longer stands for all of them: no interval.
MIN_DEFINED: Final = 0.9
# An expected disagreement below this is zero that arithmetic has smeared.
ZERO: Final = 1e-12


def panel_problem(n_items: int, n_judges: int, n_pairable: float) -> str | None:
    """Why not even raw agreement exists, or None."""
    if n_items == 0:
        return NO_ITEMS
    if n_judges < 2:
        return ONE_JUDGE
    return NO_PAIRS if n_pairable == 0 else None


def one_category(margin: NDArray[np.float64]) -> bool:
    """Whether the totals per label (K,) leave at most one label in use."""
    return int(np.count_nonzero(margin > ZERO)) < 2


def undefined(reason: str, n: int = 0) -> Estimate:
    """A value that does not exist, on `n` items."""
    return Estimate(n=n, undefined=reason)
