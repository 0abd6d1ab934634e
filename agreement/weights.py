"""Agreement weights (1 on the diagonal) and Krippendorff's distances (0 on the diagonal) between K labels."""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interjudge.errors import InputError, choices, did_you_mean

Level = Literal["nominal", "ordinal", "interval", "ratio"]
WeightName = Literal["identity", "linear", "quadratic", "ordinal", "ratio"]
LEVELS: Final[tuple[str, ...]] = get_args(Level)

# Which weights the weighted coefficients are given with at each level; the first is that of plain `gwet_ac2`.
LEVEL_WEIGHTS: Final[dict[str, tuple[WeightName, ...]]] = {
    "nominal": (),
    "ordinal": ("ordinal", "linear", "quadratic"),
    "interval": ("quadratic", "linear"),
    "ratio": ("ratio", "linear", "quadratic"),
}


def checked_level(level: str) -> str:
    """The level, or an `InputError` that lists the levels there are."""
    if level not in LEVELS:
        raise InputError(
            f"unknown level of measurement{did_you_mean(level, LEVELS)}",
            found=level,
            expected=choices(LEVELS),
        )
    return level


def label_values(k: int, level: str, values: ArrayLike | None) -> NDArray[np.float64]:
    """The number each of K labels stands for, (K,): its place where only the order counts.

    Raises
    ------
    InputError : interval or ratio level without K finite, distinct values; ratio level with a negative one.
    """
    if level in ("nominal", "ordinal"):
        return np.arange(k, dtype=np.float64)
    given = None if values is None else np.asarray(values, dtype=np.float64)
    if given is None or given.shape != (k,) or not np.isfinite(given).all():
        raise InputError(
            f"the {level} level needs a number for each label",
            found="none" if given is None else given.tolist(),
            expected=f"{k} finite numbers",
        )
    if np.unique(given).size < k:
        raise InputError("two labels stand for the same number", found=given.tolist(), expected="distinct values")
    if level == "ratio" and (given < 0).any():
        raise InputError("the ratio level has no negative values", found=float(given.min()), expected="0 or more")
    return given


def agreement_weights(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights w (K, K) in [0, 1], symmetric, 1 on the diagonal (Gwet 2014, section 3.5).

    With x the `values` and spread = max x - min x: linear 1 - |x - y| / spread; quadratic
    1 - (x - y)^2 / spread^2; ordinal 1 - C(|rank difference| + 1, 2) / C(K, 2); ratio
    1 - ((x - y) / (x + y))^2 / (spread / (max + min))^2.
    """
    k = values.size
    if name == "identity" or k < 2:
        return np.eye(k)
    x, y = values[:, None], values[None, :]
    if name == "linear":
        apart = np.abs(x - y)
    elif name == "quadratic":
        apart = (x - y) ** 2
    elif name == "ordinal":
        place = np.argsort(np.argsort(values))
        steps = np.abs(place[:, None] - place[None, :])
        apart = steps * (steps + 1) / 2.0
    else:
        apart = ratio_distance(x, y)
    return np.asarray(1 - apart / apart.max(), dtype=np.float64)


def ratio_distance(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """((x - y) / (x + y))^2, and 0 between two zeros (Krippendorff 2011, ratio metric)."""
    total = x + y
    return np.divide(x - y, total, out=np.zeros(np.broadcast_shapes(x.shape, y.shape)), where=total != 0) ** 2


def distances(level: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Krippendorff's squared differences (K, K) at a level whose metric does not depend on the data.

    The ordinal metric depends on how often each label is used: see `alpha.ordinal_terms`.
    """
    x, y = values[:, None], values[None, :]
    if level == "nominal":
        return 1 - np.eye(values.size)
    return (x - y) ** 2 if level == "interval" else ratio_distance(x, y)
