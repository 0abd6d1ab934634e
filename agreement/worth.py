"""How many judges with independent errors a panel is worth, as a record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interjudge.agreement.latent import Dependence, LatentTruth
from interjudge.agreement.results import Family, PanelWorth

MAX_CORRELATED: Final = 50  # a larger matrix is nobody's reading


def has_choice(codes: NDArray[np.int16]) -> bool:
    """Whether (N, J) verdicts use two labels at least: with one nobody is seen to err with anybody."""
    said = codes[codes >= 0]
    return bool(said.size and said.min() < said.max())


def panel_worth(names: Sequence[str], found: LatentTruth | Dependence) -> PanelWorth:
    """The families, effective votes and error correlations of the judges `names`."""
    rho = found.error_correlation
    members = [np.flatnonzero(found.families == f) for f in dict.fromkeys(found.families.tolist())]
    return PanelWorth(
        effective_judges=float(found.effective_votes.sum()),
        effective_votes=dict(zip(names, found.effective_votes.tolist(), strict=True)),
        families=tuple(
            Family(
                judges=tuple(names[j] for j in mine.tolist()),
                mean_error_correlation=float(rho[np.ix_(mine, mine)][~np.eye(mine.size, dtype=bool)].mean())
                if mine.size > 1
                else None,
            )
            for mine in members
        ),
        error_correlation=tuple(tuple(row) for row in rho.tolist()) if len(names) <= MAX_CORRELATED else None,
    )
