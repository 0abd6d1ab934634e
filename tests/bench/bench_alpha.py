"""Agreement with intervals against the point estimates of krippendorff and scikit-learn, in one run.

    python tests/bench/bench_alpha.py [ITEMS]        (default 1,000,000; medians of five alternating runs)

We start from the matrix of codes. krippendorff starts from finished value counts, its faster form, whose
construction is not timed; the column "from the matrix" lets it build them itself. Prints Markdown; exits with 1
if alpha with its interval took longer than krippendorff's value alone in some panel.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from itertools import combinations

import krippendorff
import numpy as np
from sklearn.metrics import cohen_kappa_score

from interjudge.agreement.coefficients import krippendorff_alpha, panel_coefficients, score_coefficients
from interjudge.agreement.pairwise import all_pairs

RUNS = 5
REPLICATES = 1_000


def panel(items: int, judges: int, k: int) -> np.ndarray:
    """Codes (items, judges) int8: each judge sees the true label 8 times in 10, else guesses; 20 % missing."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, k, items, dtype=np.int8)
    codes = np.empty((items, judges), dtype=np.int8)
    for judge in range(judges):
        sees = rng.random(items, dtype=np.float32) < 0.8
        codes[:, judge] = np.where(sees, truth, rng.integers(0, k, items, dtype=np.int8))
        codes[rng.random(items, dtype=np.float32) < 0.2, judge] = -1
    return codes


def seconds(*tasks: Callable[[], object], runs: int = RUNS) -> list[float]:
    """Median wall time of each task; the tasks take turns, after one turn that is not counted."""
    taken = np.zeros((runs + 1, len(tasks)))
    for run in range(runs + 1):
        for at, task in enumerate(tasks):
            start = time.perf_counter()
            task()
            taken[run, at] = time.perf_counter() - start
    return np.median(taken[1:], axis=0).tolist()


def alpha_panels(items: int) -> bool:
    """Nominal alpha; whether the target was met everywhere."""
    print(f"\n### Nominal alpha, {items:,} items, 20 % missing (seconds)\n")
    print("| judges | labels | ours, value + interval | krippendorff, value from counts | value from the matrix |")
    print("|---|---|---|---|---|")
    met = True
    for judges in (5, 12):
        for k in (2, 3):
            codes = panel(items, judges, k)
            counts = np.stack([(codes == label).sum(axis=1) for label in range(k)], axis=1)
            matrix = np.where(codes < 0, np.nan, codes).T
            answers = []

            def ours(codes: np.ndarray = codes, k: int = k, answers: list = answers) -> None:
                answers.append(krippendorff_alpha(codes, k, replicates=REPLICATES).value)

            def theirs(counts: np.ndarray = counts, answers: list = answers) -> None:
                answers.append(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))

            def from_matrix(matrix: np.ndarray = matrix) -> None:
                krippendorff.alpha(reliability_data=matrix, level_of_measurement="nominal")

            mine, other = seconds(ours, theirs)
            (built,) = seconds(from_matrix, runs=3)
            assert np.ptp(answers) < 1e-9, "the two do not agree"
            met &= mine <= other
            print(f"| {judges} | {k} | {mine:.3f} | {other:.3f} | {built:.3f} |", flush=True)
    return met


def whole_panel(items: int) -> None:
    """All coefficients, and all pairs, of the largest panel."""
    codes = panel(items, 12, 3)
    names = [f"j{j}" for j in range(12)]
    clusters = np.arange(items) // 5
    tasks: dict[str, Callable[[], object]] = {
        "all coefficients with intervals": lambda: panel_coefficients(codes, 3),
        "the same, ordinal (23 coefficients)": lambda: panel_coefficients(codes, 3, level="ordinal"),
        "the same, ordinal, clusters of five": lambda: panel_coefficients(codes, 3, level="ordinal", clusters=clusters),
        "all 66 pairs, 8 statistics, with intervals": lambda: all_pairs(codes, 3, names, ordered=True),
        "the same pairs, clusters of five": lambda: all_pairs(codes, 3, names, ordered=True, clusters=clusters),
    }
    print(f"\n### 12 judges, 3 labels, {items:,} items, 1,000 replicates (seconds)\n\n| what | seconds |\n|---|---|")
    for name, task in tasks.items():
        print(f"| {name} | {seconds(task, runs=3)[0]:.2f} |", flush=True)
    rng = np.random.default_rng(0)
    a, b = codes[(codes[:, :2] >= 0).all(axis=1), :2].T

    def one_resample() -> None:
        drawn = rng.integers(0, a.size, a.size)
        cohen_kappa_score(a[drawn], b[drawn])

    each = seconds(one_resample, runs=3)[0]
    pairs = len(list(combinations(range(12), 2)))
    hours = each * REPLICATES * pairs / 3600
    print(
        f"| scikit-learn, kappa alone: {each:.2f} s a resample, times 1,000 resamples and {pairs} pairs "
        f"(extrapolated) | {hours * 3600:,.0f} = {hours:.1f} hours |"
    )


def scores(items: int) -> None:
    """Alpha on continuous scores, all distinct."""
    rng = np.random.default_rng(0)
    print("\n### Alpha on continuous scores, value + interval (seconds)\n")
    print("| scores | interval | ordinal | ratio, scores to three digits | krippendorff, interval |")
    print("|---|---|---|---|---|")
    for n in (100, items // 5, items):
        table = np.exp((rng.normal(size=(n, 1)) + rng.normal(size=(n, 5))) / 3)
        coarse = np.round(table, 3)
        mine = [
            seconds(lambda level=level, data=data: score_coefficients(data, level=level), runs=3)[0]
            for level, data in (("interval", table), ("ordinal", table), ("ratio", coarse))
        ]
        size = 8 * n * (5 * n) ** 2  # its array of units by values by values
        if size < 1 << 30:
            other = f"{seconds(lambda table=table: krippendorff.alpha(table.T), runs=3)[0]:.3f}"
        else:
            other = f"not run: needs {size / 2**40:,.0f} TiB"
        print(f"| {5 * n:,} | {mine[0]:.3f} | {mine[1]:.3f} | {mine[2]:.3f} | {other} |", flush=True)


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    met = alpha_panels(size)
    whole_panel(size)
    scores(size)
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    print("alpha with its interval was" + ("" if met else " NOT") + " faster than krippendorff's value in every panel")
    sys.exit(0 if met else 1)
