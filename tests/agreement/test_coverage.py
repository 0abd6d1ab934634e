"""Bootstrap and Wilson intervals hold the true value 93 to 97 times in 100, at 200 items and nominal 95 %.

A smaller run of tests/bench/coverage.py; its README has the whole table.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

PANELS, REPLICATES = 800, 400
# A coverage of exactly .93 or .97 lands beyond this with a chance of 1 in 1,000.
SLACK = 3.1 * np.sqrt(0.95 * 0.05 / PANELS)


@pytest.fixture(scope="module")
def bench(repo_root: Path) -> ModuleType:
    """tests/bench/coverage.py, which is a script and no package."""
    spec = importlib.util.spec_from_file_location("interjudge_bench_coverage", repo_root / "tests/bench/coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.POPULATION = 1_000_000
    return module


def check(found: dict[str, np.ndarray]) -> None:
    shares = {name: held for name, (held, *_) in found.items()}
    assert {n: s for n, s in shares.items() if not 0.93 - SLACK <= s <= 0.97 + SLACK} == {}
    # all statistics of a design together leave no room for a common drift
    assert np.mean(list(shares.values())) == pytest.approx(0.95, abs=0.02)
    assert all(none == 0 for *_, none in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 2, 4], ids=["80/20 with missing", "3 ordered labels", "clusters"])
def test_intervals_of_labels_hold_the_truth(bench: ModuleType, at: int) -> None:
    check(bench.measure(bench.DESIGNS[at], PANELS, REPLICATES))


@pytest.mark.slow
def test_intervals_of_scores_hold_the_truth(bench: ModuleType) -> None:
    check(bench.measure_scores(bench.SCORE_DESIGNS[0], PANELS, REPLICATES))
