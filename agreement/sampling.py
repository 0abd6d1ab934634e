"""How intervals are made, and how many judges are compared pair by pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from interjudge.errors import InputError

MAX_PAIRED_JUDGES: Final = 50  # 1,225 pairs; beyond that the pair table is nobody's reading

LEAST_REPLICATES: Final = 20


@dataclass(frozen=True)
class Sampling:
    """How intervals are made."""

    replicates: int = 1000
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise InputError("the confidence level is out of range", found=self.confidence, expected="between 0 and 1")
        if self.replicates < 0 or 0 < self.replicates < LEAST_REPLICATES:
            expected = f"0 (no bootstrap intervals) or at least {LEAST_REPLICATES}; 1,000 is usual"
            raise InputError("so many replicates make no interval", found=self.replicates, expected=expected)
