"""How often intervals hold where the labelled outputs were drawn with unequal probabilities (docs/rates.md).

    python tests/bench/coverage_drawn.py [--panels 400]

Every panel is drawn anew: 800 outputs, four judges of known sensitivity and specificity, 30 or 100 labels by
`label_plan.next_items`. Counted is how often each interval holds the true value of the population. Standard error of a
share of .95 with 400 panels: .011.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import polars as pl

from interjudge.agreement.corrected_rates import corrected_rates
from interjudge.agreement.label_plan import Believed, next_items
from interjudge.agreement.latent import estimate_truth
from interjudge.agreement.panel import Panel
from interjudge.agreement.question import Question
from interjudge.agreement.reference import against_reference
from interjudge.agreement.results import Estimate
from interjudge.agreement.rows import PanelJudge
from interjudge.agreement.sampling import Sampling

ABILITY = (0.9, 0.85, 0.8, 0.75)  # sensitivity and specificity of each judge
FIGURES = ("sampled rate", "sensitivity", "specificity", "youden_j", "cohen_kappa", "J of labels as they come")


def kappa(share: float, ability: float) -> float:
    """Cohen's kappa of a judge with the truth, of the population."""
    said = share * ability + (1 - share) * (1 - ability)
    chance = said * share + (1 - said) * (1 - share)
    return (ability - chance) / (1 - chance)


def panel(share: float, rng: np.random.Generator, n: int = 800) -> tuple[Panel, np.ndarray]:
    truth = (rng.random(n) < share).astype(np.int16)
    right = rng.random((n, len(ABILITY))) < ABILITY
    codes = np.asfortranarray(np.where(right, truth[:, None], 1 - truth[:, None]), dtype=np.int16)
    return Panel(
        question=Question("harm", ("safe", "unsafe"), "unsafe"),
        judges=tuple(PanelJudge(f"j{j}", "rubric", "harm") for j in range(len(ABILITY))),
        codes=codes,
        statuses=np.zeros(codes.shape, np.uint8, order="F"),
        items=pl.DataFrame({"item_id": [f"i{i}" for i in range(n)]}),
    ), truth


def held(found: Estimate, truth: float) -> float:
    if found.ci_low is None or found.ci_high is None:
        return np.nan
    return float(found.ci_low <= truth <= found.ci_high)


def one(share: float, labels: int, seed: int) -> list[float]:
    rng = np.random.default_rng([seed, labels, round(1000 * share)])
    bare, truth = panel(share, rng)
    latent = estimate_truth(bare.codes, 2)
    table, _ = next_items(bare, Believed.of(bare, latent), labels, random_share=0.25, seed=seed)
    at = table["item_id"].str.slice(1).cast(pl.Int64).to_numpy()
    gold, weight = np.full(bare.n_items, -1, np.int16), np.zeros(bare.n_items)
    gold[at] = truth[at]
    weight[at] = 1 / table["inclusion_probability"].to_numpy()
    weight /= weight[at].mean()
    sampling = Sampling(replicates=0, seed=seed)
    whole = replace(bare, gold=gold, gold_weight=weight, reference="human")
    rates = corrected_rates(whole, latent.consensus, latent.posterior, sampling=sampling)
    assert rates is not None
    options = {"positive": 1, "replicates": 400, "seed": seed}
    judge = against_reference(bare.codes[:, 1], gold, 2, weight=weight, **options)
    plain = against_reference(bare.codes[:, 1], gold, 2, **options)
    true = {"sensitivity": 0.85, "specificity": 0.85, "youden_j": 0.7, "cohen_kappa": kappa(share, 0.85)}
    told = [held(judge[name], value) for name, value in true.items()]
    return [held(rates.rates[0].quoted, share), *told, held(plain["youden_j"], 0.7)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--panels", type=int, default=400)
    panels = parser.parse_args().panels
    print(f"| true rate, labels | {' | '.join(FIGURES)} |")
    print("|---|" + "---|" * len(FIGURES))
    for share in (0.1, 0.3, 0.5):
        for labels in (30, 100):
            found = np.array([one(share, labels, seed) for seed in range(panels)])
            known = np.isfinite(found)
            cells = [
                f"{np.nanmean(column):.3f}" + ("" if there.all() else f" ({100 * there.mean():.0f} % exist)")
                for column, there in zip(found.T, known.T, strict=True)
            ]
            print(f"| {share}, {labels} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
