"""Tables of two judges are counted the same way whichever road is taken."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from interjudge.agreement import tables


@pytest.mark.parametrize("many", [0, 10**9], ids=["one product", "group by group"])
def test_both_ways_of_counting_pairs_equal_scikit_learn(many: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "_MANY_PAIRS", many)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (60, 9)).astype(np.int16)
    codes[rng.random(codes.shape) < 0.3] = -1
    pairs = list(combinations(range(9), 2))
    found = tables.pair_tables(codes, 3, pairs)
    assert found.shape == (1, len(pairs), 3, 3)
    for (a, b), table in zip(pairs, found[0], strict=True):
        both = (codes[:, a] >= 0) & (codes[:, b] >= 0)
        assert (table == confusion_matrix(codes[both, a], codes[both, b], labels=[0, 1, 2])).all()
