"""Latent truth: speed, clones, simulated panels. `python tests/bench/bench_latent.py [speed|clones|simulated]`.

Figures of one run stand in latent.md beside this file. The AUROC on real panels is measured by the project's
flagging script, not here. Needs scikit-learn; `speed` needs crowd-kit.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from interjudge.agreement.dawid_skene import dawid_skene, family_votes
from interjudge.agreement.latent import estimate_truth
from interjudge.agreement.vote_patterns import Patterns

Codes = NDArray[np.int16]
PANELS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tidy"
RUNS = 3


def speed() -> None:
    """Dawid and Skene's model here and in crowd-kit, one after the other; and all of `estimate_truth`."""
    rng = np.random.default_rng(0)
    n = 1_000_000
    print(f"{n:,} items; seconds, medians of {RUNS} (crowd-kit and 12 judges: one run)")
    for j, k in ((5, 2), (12, 3)):
        truth = rng.integers(0, k, n)
        accuracy = rng.uniform(0.6, 0.95, j)
        wrong = (truth[:, None] + rng.integers(1, k, (n, j))) % k
        codes = np.asfortranarray(np.where(rng.random((n, j)) < accuracy, truth[:, None], wrong).astype(np.int16))
        runs = RUNS if j == 5 else 1
        ours = _seconds(lambda codes=codes, k=k: dawid_skene(codes, k), RUNS)
        peer = _seconds(_crowd_kit(codes), 1)
        whole = _seconds(lambda codes=codes, k=k: estimate_truth(codes, k), runs)
        print(
            f"{j} judges, {k} labels: Dawid-Skene {ours:.2f}, crowd-kit {peer:.1f}, {peer / ours:.0f} times; "
            f"estimate_truth {whole:.2f}, {peer / whole:.1f} times"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB (crowd-kit's own included)")


def _seconds(call: Callable[[], object], runs: int) -> float:
    took = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return float(np.median(took))


def _crowd_kit(codes: Codes) -> Callable[[], object]:
    """crowd-kit's model with its defaults; the table it reads is made beforehand."""
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    item, judge = np.nonzero(codes >= 0)
    table = pd.DataFrame({"task": item, "worker": judge, "label": codes[item, judge]})
    return lambda: DawidSkene().fit_predict(table)


def clones() -> None:
    """Each judge of each real panel copied 1, 3 and 9 times, exactly and with 2 % of verdicts redrawn."""
    rng = np.random.default_rng(0)
    names = ("xstest_v2_binary", "purseclab_rethinking", "alttest_lgbteen")
    print("change of verdict AUROC, worst / mean over judges      effective judges before, after (range)")
    for name in names:
        for extra in ("", "__kw"):
            if extra and name == "alttest_lgbteen":
                continue
            codes, truth, k = _real([name, name + extra] if extra else [name], name)
            before = estimate_truth(codes, k)
            base = _auroc(before.p_wrong, codes, truth)
            for noise in (0.0, 0.02):
                change, size = [], []
                for j in range(codes.shape[1]):
                    for times in (1, 3, 9):
                        extra_codes = np.repeat(codes[:, [j]], times, axis=1)
                        redrawn = (rng.random(extra_codes.shape) < noise) & (extra_codes >= 0)
                        extra_codes[redrawn] = rng.integers(0, k, int(redrawn.sum()))
                        after = estimate_truth(np.hstack([codes, extra_codes]), k)
                        change.append(_auroc(after.p_wrong[:, : codes.shape[1]], codes, truth) - base)
                        size.append(after.effective_judges)
                print(
                    f"{name + extra:28s} noise {noise:.2f}  {min(change):+.3f} / {np.mean(change):+.3f}"
                    f"      {before.effective_judges:.2f}, {min(size):.2f} to {max(size):.2f}"
                )


def simulated(panels: int = 100) -> None:
    """Random panels: 2-12 judges, 2-5 labels, prevalence .02-.5, clones, families, hard items, missing verdicts."""
    rng = np.random.default_rng(1)
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(panels):
        codes, truth, k = _panel(rng)
        patterns = Patterns.of(codes, k)
        counts = patterns.share()[0][patterns.index]
        majority = float((counts.argmax(axis=1) == truth).mean())
        found = estimate_truth(codes, k)
        tables = {
            "vote share": (family_votes(patterns, np.arange(codes.shape[1]))[patterns.index], None),
            "one-coin": (dawid_skene(codes, k, form="one-coin")[0], None),
            "Dawid-Skene": (dawid_skene(codes, k)[0], None),
            "estimate_truth": (found.posterior, found.consensus),
        }
        for name, (table, consensus) in tables.items():
            p = 1 - np.take_along_axis(table, np.maximum(codes, 0).astype(int), axis=1)
            stands = table.argmax(axis=1) if consensus is None else consensus
            there = codes >= 0
            brier = float(np.mean((p - (codes != truth[:, None]))[there] ** 2))
            gain = float((stands == truth).mean()) - majority
            rows.setdefault(name, []).append((_auroc(p, codes, truth), gain, brier))
    print(f"{panels} simulated panels      AUROC   consensus - majority   Brier")
    for name, values in rows.items():
        auroc, gain, brier = np.nanmean(np.array(values), axis=0)
        print(f"{name:24s} {auroc:8.3f} {gain:+18.3f} {brier:12.3f}")


def _auroc(p: NDArray[np.float64], codes: Codes, truth: Codes) -> float:
    there = (codes >= 0) & (truth >= -1)[:, None]
    wrong = (codes != truth[:, None])[there]
    return float(roc_auc_score(wrong, p[there])) if 0 < wrong.sum() < wrong.size else float("nan")


def _real(sources: list[str], gold: str) -> tuple[Codes, Codes, int]:
    """Codes and reference of a real panel; a reference label no judge ever gives is -1: every verdict differs."""
    frames = [
        pl.read_parquet(PANELS / f"{s}.parquet").select("item_id", "judge", "judge_kind", "label") for s in sources
    ]
    frame = pl.concat(frames).filter(pl.col("judge_kind") != "human").drop_nulls("label")
    frame = frame.unique(["item_id", "judge"], maintain_order=True)
    labels = frame["label"].unique().sort().to_list()
    codes = pl.col("label").replace_strict(labels, range(len(labels)), return_dtype=pl.Int16)
    wide = frame.with_columns(codes).pivot("judge", index="item_id", values="label")
    truth = pl.read_parquet(PANELS / f"{gold}.gold.parquet").select("item_id", pl.col("gold").cast(pl.String))
    wide = wide.join(truth, on="item_id").sort("item_id")
    code = wide["gold"].replace_strict(labels, range(len(labels)), default=-1, return_dtype=pl.Int16)
    return wide.drop("item_id", "gold").fill_null(-1).to_numpy().astype(np.int16), code.to_numpy(), len(labels)


def _panel(rng: np.random.Generator) -> tuple[Codes, Codes, int]:
    n, k = int(rng.choice([150, 300, 800, 2000])), int(rng.choice([2, 2, 2, 3, 4, 5]))
    size = int(rng.integers(2, 13))
    rare = rng.uniform(0.02, 0.5)
    prior = np.array([1 - rare, rare]) if k == 2 else rng.dirichlet(np.full(k, 1.5))
    truth = rng.choice(k, n, p=prior)
    hard = rng.random(n) < rng.choice([0.0, 0.3])
    seen = np.where(hard & (rng.random(n) < 0.4), (truth + rng.integers(1, k, n)) % k, truth)
    skill = rng.beta(8, 2, k)  # per true label, common to the panel's judges
    copying = rng.random() < 0.5
    columns: list[NDArray[np.int64]] = []
    while len(columns) < size:
        accuracy = np.clip(rng.beta(12 * skill, 12 * (1 - skill) + 0.3), 0.8 / k, 1)
        right = rng.random(n) < np.where(hard, 0.7, 1) * accuracy[seen]
        opinion = np.where(right, seen, (seen + rng.integers(1, k, n)) % k)
        members = int(rng.integers(2, 7)) if copying and rng.random() < 0.5 else 1
        for _ in range(min(members, size - len(columns))):
            apart = rng.random(n) < (rng.choice([0, 0.03, 0.1]) if members > 1 else 0)
            columns.append(np.where(apart, rng.integers(0, k, n), opinion))
    codes = np.stack(columns, axis=1)
    codes[rng.random(codes.shape) < rng.choice([0.0, 0.0, 0.4])] = -1
    some = (codes >= 0).any(axis=1)
    return codes[some].astype(np.int16), truth[some].astype(np.int16), k


if __name__ == "__main__":
    parts = {"speed": speed, "clones": clones, "simulated": simulated}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", choices=[*parts, []], default=[])
    for part in parser.parse_args().part or parts:
        parts[part]()
