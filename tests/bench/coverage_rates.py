"""How often the intervals of corrected rates hold the true rate: the tables of docs/rates.md.

`python tests/bench/coverage_rates.py [simulations]`; about two minutes with 10,000.

A judge of fixed sensitivity and specificity sees N + n items, n of them have a reference label. The true rate is
that of the population; an interval that does not exist counts as none, not as a miss.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import product

import numpy as np
from scipy import special

from interjudge.agreement import ppi
from interjudge.agreement.counts import ratio
from interjudge.agreement.intervals import mean_wilson, wilson
from interjudge.agreement.rogan_gladen import (
    NONE,
    OTHER,
    POSITIVE,
    rogan_gladen,
    rogan_gladen_influence,
    table_counts,
)

Tables = np.ndarray
Bounds = tuple[np.ndarray, np.ndarray]
JUDGES = ((0.9, 0.95), (0.7, 0.9))
LABELS = (30, 100, 300)
RATES = (0.02, 0.1, 0.5)
OTHERS = 2000


def shares(rate: float, judge: tuple[float, float]) -> np.ndarray:
    """(verdict, truth) probabilities, (2, 2)."""
    se, sp = judge
    return np.array([[(1 - rate) * sp, rate * (1 - se)], [(1 - rate) * (1 - sp), rate * se]])


def draw(rate: float, judge: tuple[float, float], labels: int, others: int, n: int, rng: np.random.Generator) -> Tables:
    """n panels (n, 3, 3), labelled items at random."""
    p = shares(rate, judge)
    table = np.zeros((n, 3, 3))
    table[:, :NONE, :NONE] = rng.multinomial(labels, p.ravel(), size=n).reshape(n, 2, 2)
    table[:, POSITIVE, NONE] = rng.binomial(others, p[POSITIVE].sum(), size=n)
    table[:, OTHER, NONE] = others - table[:, POSITIVE, NONE]
    return table


def normal_ppi(t: Tables) -> Bounds:
    value, error = ppi.ppi_mean(t)
    half = special.ndtri(0.975) * np.sqrt(error)
    return value - half, value + half


def reference_only(t: Tables) -> Bounds:
    n = t[..., :NONE].sum(axis=(1, 2))
    return wilson(t[..., POSITIVE].sum(axis=1) / n, n)


def lang_reiczigel(t: Tables) -> Bounds:
    """Lang and Reiczigel 2014 (and Lee et al. 2025), the labelled items as a sample apart; where there is a value."""
    x, m, a, n1, b, n0 = table_counts(t)
    z = special.ndtri(0.975)
    q, se, sp = (x + z**2 / 2) / (m + z**2), (a + 1) / (n1 + 2), (b + 1) / (n0 + 2)
    of_se, of_sp = se * (1 - se) / (n1 + 2), sp * (1 - sp) / (n0 + 2)
    p = ratio(q + sp - 1, se + sp - 1)
    shift = 2 * z**2 * (p * of_se - (1 - p) * of_sp)
    error = np.sqrt(q * (1 - q) / (m + z**2) + p**2 * of_se + (1 - p) ** 2 * of_sp) / (se + sp - 1)
    there = ratio(a, n1) + ratio(b, n0) > 1
    return tuple(np.where(there, p + shift + side * z * error, np.nan) for side in (-1, 1))


def strata(t: Tables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return t[..., POSITIVE], t[..., :NONE].sum(axis=-1), t.sum(axis=-1)


METHODS: dict[str, Callable[[Tables], Bounds]] = {
    "PPI++ as published": normal_ppi,
    "reference only": reference_only,
    "Lang-Reiczigel": lang_reiczigel,
    "Rogan-Gladen": lambda t: rogan_gladen(*table_counts(t), within=True)[1:],
    "PPI++": lambda t: ppi.ppi_interval(t)[1:],
    "stratified": lambda t: ppi.stratified(*strata(t))[1:],
}


def covered(bounds: Bounds, rate: float) -> tuple[float, float, float]:
    """Share of the intervals there are that hold the rate, their median width within 0 to 1, share that exist."""
    low, high = bounds
    there = ~np.isnan(low)
    if not there.any():
        return float("nan"), float("nan"), 0.0
    low, high = low[there], high[there]
    width = np.clip(high, 0, 1) - np.clip(low, 0, 1)
    return float(((low <= rate) & (rate <= high)).mean()), float(np.median(width)), float(there.mean())


def cell(found: tuple[float, float, float]) -> str:
    hold, width, there = found
    text = f"{hold:.3f} ({width:.2f})"
    return text if there > 0.9995 else f"{text}, {there:.0%} exist".replace("%", " %")


def row(title: str, tables: Tables, rate: float, methods: dict[str, Callable[[Tables], Bounds]]) -> None:
    print(f"| {title} | " + " | ".join(cell(covered(m(tables), rate)) for m in methods.values()) + " |", flush=True)


def head(title: str, names: list[str]) -> None:
    print(f"\n### {title}\n\n| | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))


def main_table(n: int, rng: np.random.Generator) -> None:
    head("Random labels: share covered (median width)", list(METHODS))
    for judge, labels, rate in product(JUDGES, LABELS, RATES):
        row(
            f"{judge[0]}/{judge[1]}, {labels} labels, rate {rate}",
            draw(rate, judge, labels, OTHERS, n, rng),
            rate,
            METHODS,
        )


def wide_grid(n: int, rng: np.random.Generator) -> None:
    """Far more cells; the prior and the smoothing of `ppi` were settled with these in sight."""
    judges = ((0.9, 0.95), (0.7, 0.9), (0.95, 0.8), (0.99, 0.99), (0.6, 0.6))
    rates = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.98)
    head("675 cells: lowest, 5 %, median; share below .93", list(METHODS))
    for labels in (20, 30, 50, 100, 300):
        found: dict[str, list[float]] = {name: [] for name in METHODS}
        for others, judge, rate in product((200, 2000, 20_000), judges, rates):
            tables = draw(rate, judge, labels, others, n, rng)
            for name, method in METHODS.items():
                hold, _, there = covered(method(tables), rate)
                found[name] += [hold] if there > 0.1 else []
        summarise(f"{labels} labels", found)


def unseen(n: int, rng: np.random.Generator, designs: int = 300) -> None:
    """Designs drawn at random, after everything was settled: the check that chose nothing."""
    head(f"{designs} random designs: lowest, 5 %, median; share below .93", list(METHODS))
    found: dict[str, list[float]] = {name: [] for name in METHODS}
    for _ in range(designs):
        labels, others = int(np.exp(rng.uniform(*np.log([25, 400])))), int(np.exp(rng.uniform(*np.log([100, 50_000]))))
        judge, rate = (rng.uniform(0.6, 0.99), rng.uniform(0.6, 0.99)), special.expit(rng.uniform(-4, 4))
        tables = draw(rate, judge, labels, others, n, rng)
        for name, method in METHODS.items():
            hold, _, there = covered(method(tables), rate)
            found[name] += [hold] if there > 0.1 else []
    summarise("25 to 400 labels", found)


def summarise(title: str, found: dict[str, list[float]]) -> None:
    texts = []
    for held in found.values():
        low, five, middle = np.min(held), np.quantile(held, 0.05), np.median(held)
        texts.append(f"{low:.3f}, {five:.3f}, {middle:.3f}; {np.mean(np.array(held) < 0.93):.0%}".replace("%", " %"))
    print(f"| {title} | " + " | ".join(texts) + " |", flush=True)


def picked(n: int, rng: np.random.Generator) -> None:
    """Labels that are no random sample: half from either verdict, or half from either truth."""
    judge, rate, labels = (0.8, 0.9), 0.1, 100
    p = shares(rate, judge)
    methods = METHODS | {"Rogan-Gladen, calibration": lambda t: rogan_gladen(*table_counts(t))[1:]}
    head("Labels picked", list(methods))
    for title, axis in (("half of them from each verdict", 1), ("half of them from each true label", 0)):
        table = draw(rate, judge, labels, OTHERS, n, rng)
        table[:, :NONE, :NONE] = 0
        for side in (0, 1):
            given = p[side] if axis else p[:, side]
            found = rng.binomial(labels // 2, given[1] / given.sum(), size=n)
            for value, count in ((1, found), (0, labels // 2 - found)):
                table[(slice(None), side, value) if axis else (slice(None), value, side)] = count
        row(title, table, rate, methods)


def by_model(n: int, rng: np.random.Generator) -> None:
    """Five models of different rates; strata are model and verdict."""
    head("Five models, rate .02 to .5, labels at random", ["verdicts", "models and verdicts"])
    rates = (0.02, 0.05, 0.1, 0.3, 0.5)
    for labels in (100, 300):
        p = np.concatenate([shares(rate, (0.8, 0.9)).ravel() / len(rates) for rate in rates])
        group = np.zeros((n, len(rates), 3, 3))
        group[:, :, :NONE, :NONE] = rng.multinomial(labels, p, size=n).reshape(n, len(rates), 2, 2)
        both = p.reshape(len(rates), 2, 2).sum(axis=-1)
        group[:, :, :NONE, NONE] = rng.multinomial(OTHERS, both.ravel(), size=n).reshape(n, len(rates), 2)
        cells = group.reshape(n, -1, 3)
        own = np.repeat(ratio(group[..., POSITIVE].sum(axis=2), group[..., :NONE].sum(axis=(2, 3))), 3, axis=1)
        kept = (group[..., :NONE].sum(axis=(2, 3)) >= 10).all(axis=1)
        hits, labelled, items = (part[kept] for part in strata(cells))
        found = [
            covered(ppi.stratified(*strata(group.sum(axis=1)[kept]))[1:], float(np.mean(rates))),
            covered(ppi.stratified(hits, labelled, items, otherwise=own[kept])[1:], float(np.mean(rates))),
        ]
        print(f"| {labels} labels ({100 * kept.mean():.0f} % of the panels) | {cell(found[0])} | {cell(found[1])} |")


def clusters(n: int, rng: np.random.Generator) -> None:
    """400 prompts with 5 items; an item shares truth and a miss with the first of its prompt half of the time."""
    judge, size, prompts = (0.8, 0.9), 5, 400
    names = ["reference only", "Rogan-Gladen", "PPI++", "stratified", "stratified, as if independent"]
    head("Clusters of 5 items, half of them alike", names)
    for rate, labelled in ((0.1, "60 items"), (0.5, "60 items"), (0.1, "30 prompts"), (0.5, "30 prompts")):
        held: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
        for _ in range(max(1, n // 250)):
            shape = (250, prompts, size)
            alike = rng.random(shape) < 0.5
            alike[..., 0] = True
            truth, luck = rng.random(shape) < rate, rng.random(shape)
            truth = np.where(alike, truth[..., :1], truth)
            luck = np.where(alike, luck[..., :1], luck)
            verdict = luck < np.where(truth, judge[0], 1 - judge[1])
            if labelled.endswith("items"):
                known = np.argsort(np.argsort(rng.random((250, prompts * size)))).reshape(shape) < 60
            else:
                known = np.repeat(np.arange(prompts)[None, :, None] < 30, 250, axis=0)
            code = verdict * 3 + np.where(known, truth, NONE)
            units = (code[..., None] == np.arange(9)).sum(axis=2).reshape(250, prompts, 3, 3).transpose(1, 0, 2, 3)
            for name, bounds in clustered(units.astype(float)).items():
                held[name].append(covered(bounds, rate))
        texts = [cell(tuple(np.mean(np.array(held[name]), axis=0))) for name in names]
        print(f"| {labelled}, rate {rate} | " + " | ".join(texts) + " |", flush=True)


def clustered(units: np.ndarray) -> dict[str, Bounds]:
    """units (U, n, 3, 3)."""
    t = units.sum(axis=0)
    top, bottom = units[..., POSITIVE].sum(axis=-1), units[..., :NONE].sum(axis=(-2, -1))
    one = np.ones(len(units), dtype=np.int64)
    sizes = [
        ppi.effective_share(influence, t, units)
        for influence in (
            rogan_gladen_influence(t), ppi.ppi_influence(t), ppi.stratified_influence(*strata(t))
        )
    ]  # fmt: skip
    return {
        "reference only": mean_wilson(top, bottom, one, 0.95, clustered=True)[1:],
        "Rogan-Gladen": rogan_gladen(*table_counts(t), within=True, size=sizes[0])[1:],
        "PPI++": ppi.ppi_interval(t, size=sizes[1])[1:],
        "stratified": ppi.stratified(*strata(t), size=sizes[2])[1:],
        "stratified, as if independent": ppi.stratified(*strata(t))[1:],
    }


def chosen(n: int, rng: np.random.Generator) -> None:
    """Without a consensus the judge with the most effective labels is quoted; six judges of one truth."""
    head("The best of six judges", ["stratified, most effective labels", "stratified, shortest interval"])
    for labels, rate in product(LABELS, RATES):
        truth = rng.random((n, labels)) < rate
        bounds, worth = [], []
        for se, sp in ((0.9, 0.95), (0.9, 0.9), (0.8, 0.95), (0.8, 0.9), (0.7, 0.9), (0.7, 0.8)):
            table = draw(rate, (se, sp), labels, OTHERS, n, rng)
            code = (rng.random((n, labels)) < np.where(truth, se, 1 - sp)) * 2 + truth
            table[:, :NONE, :NONE] = (code[..., None] == np.arange(4)).sum(axis=1).reshape(n, 2, 2)
            bounds.append(np.stack(ppi.stratified(*strata(table))[1:]))
            worth.append(ppi.effective_labels(table))
        both = np.array(bounds)
        texts = []
        for pick in (np.argmax(worth, axis=0), np.argmin(both[:, 1] - both[:, 0], axis=0)):
            low, high = both[pick, :, np.arange(n)].T
            texts.append(cell(covered((low, high), rate)))
        print(f"| {labels} labels, rate {rate} | " + " | ".join(texts) + " |", flush=True)


if __name__ == "__main__":
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    generator = np.random.default_rng(0)
    print(f"{simulations:,} simulations a cell: standard error {np.sqrt(0.95 * 0.05 / simulations):.4f}")
    main_table(simulations, generator)
    wide_grid(simulations // 2, generator)
    picked(simulations, generator)
    by_model(simulations, generator)
    clusters(simulations, generator)
    chosen(simulations, generator)
    unseen(simulations, np.random.default_rng(20_000))
