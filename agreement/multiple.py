"""One correction for many tests."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's (1979) step-down correction of the p values there are; None stays None and does not count.

    The i-th smallest of m becomes (m - i + 1) times itself, never less than the one before it, at most 1.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    least = 0.0
    for i, (p, place) in enumerate(known):
        least = max(least, min(1.0, p * (len(known) - i)))
        corrected[place] = least
    return corrected
