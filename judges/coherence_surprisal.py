"""What the surprise at each token says about a text: pure functions of a `token_bits.Reading`, no model.

Both tails count. Shuffled words, typos and gibberish surprise a model more than it expects of itself; a loop surprises
it less and less. Means are shrunk, (sum - usual * n) / (n + weight), as the rates of the heuristic judge are: a text of
two tokens is not accused on two tokens' evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interjudge.judges.coherence_settings import Signal
from interjudge.judges.token_bits import Floats, Ints, Reading

GRAM: Final = 4  # tokens in a row that stood in the text before make a copy
HIGH: Final = 10.0  # bits: a token that came out of the blue
LOW: Final = 0.5  # bits: a token that was foreseen
WINDOW: Final = 24  # tokens of the stretches that are looked at by themselves
FLOOR: Final = 0.02  # bits: less surprise than this is none

# For the reader, beside the signals: mean surprise after the prompt and without it, and the perplexity of the former.
REPORTED: Final = ("mean_bits", "alone_bits", "sd_bits")


def identity() -> dict[str, float]:
    """All figures that decide a value, beside those of the settings."""
    return {"gram": GRAM, "high": HIGH, "low": LOW, "window": WINDOW, "floor": FLOOR}


def copied(tokens: Ints, gram: int = GRAM) -> NDArray[np.bool_]:
    """Which tokens stand in a run of `gram` that stood in the text before, (tokens,)."""
    found = np.zeros(len(tokens), np.bool_)
    if len(tokens) <= gram:
        return found
    runs = np.lib.stride_tricks.sliding_window_view(tokens, gram)
    _, first, kind = np.unique(runs, axis=0, return_index=True, return_inverse=True)
    for i in np.flatnonzero(first[kind.reshape(-1)] < np.arange(len(runs))):
        found[i : i + gram] = True
    return found


def measures(reading: Reading, signals: Mapping[str, Signal] | None = None) -> dict[str, float | None]:
    """The value of every signal of one response, and of `REPORTED`; None where there is too little of it.

    What is copied from the text itself is left out of `surprise`, `bits`, `blue` and `spread`, so that a loop of
    nonsense is not calm.
    """
    how = signals or {}
    n = len(reading.tokens)
    given, excess = reading.given, reading.given - reading.entropy
    old = copied(reading.tokens)
    new, foreseen = ~old, int((old & (given < LOW)).sum())
    lowest = _lowest(given)
    found = {
        "surprise": _mean(excess[new], how.get("surprise")),
        "bits": _mean(given[new], how.get("bits")),
        "blue": _mean((given[new] > HIGH).astype(np.float64), how.get("blue")),
        "spread": _mean(np.abs(excess[new]), how.get("spread")),
        "foreseen": foreseen / (n - foreseen + _weight(how.get("foreseen"))) if n > foreseen else None,
        "flat": None if lowest is None else float(-np.log2(max(lowest, FLOOR))),
        "unrelated": _mean(given - reading.alone, how.get("unrelated")) if len(reading.alone) == n else None,
        "mean_bits": _mean(given, None),
        "alone_bits": _mean(reading.alone, None),
        "sd_bits": float(given.std()) if n else None,
    }
    return {
        name: None if value is None or (name in how and n < how[name].least) else float(value)
        for name, value in found.items()
    }


def _mean(values: Floats, signal: Signal | None) -> float | None:
    if not len(values):
        return None
    usual, weight = (signal.usual, signal.weight) if signal else (0.0, 0.0)
    return float((values.sum() - usual * len(values)) / (len(values) + weight))


def _lowest(values: Floats) -> float | None:
    """The least mean over `WINDOW` tokens in a row."""
    if len(values) < WINDOW:
        return None
    sums = np.cumsum(np.concatenate(([0.0], values)))
    return float(((sums[WINDOW:] - sums[:-WINDOW]) / WINDOW).min())


def _weight(signal: Signal | None) -> float:
    return signal.weight if signal else 0.0
