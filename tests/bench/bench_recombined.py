"""Latent truth on panels nobody chose settings on: the real ones recombined. `python tests/bench/bench_recombined.py`.

Judges left out, one target model alone or left out, other reference criteria, labels merged into one against the
rest, crowds thinned: about fifty panels from the same files as the seven of the flagging script. They are not
independent of those, nor of each other, so means are taken over groups. Beside each panel stands the best of five
peers of crowd-kit (majority vote share, Dawid-Skene, one-coin, GLAD, MACE) **for that panel, chosen with the
reference in hand**: no single method is that good. Figures of one run stand in latent.md. Takes about ten minutes,
most of it the peers (`--no-peers` leaves them out). Needs scikit-learn and crowd-kit.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from interjudge.agreement.latent import estimate_truth

PANELS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tidy"
COLUMNS = ("item_id", "model", "judge", "judge_kind", "label")
LEAST = 60  # items
PEERS = ("MajorityVote", "DawidSkene", "OneCoinDawidSkene", "GLAD", "MACE")
Panel = tuple[str, str, pl.DataFrame, pl.DataFrame]


def panels() -> Iterator[Panel]:
    """Group, name, verdicts, reference of every recombined panel."""
    for group, name, verdicts, gold in (*_xstest(), *_purseclab(), *_alttest(), *_crowds()):
        kept = verdicts.drop_nulls("label").join(gold.select("item_id"), on="item_id", how="semi")
        judged = gold.join(kept.select("item_id").unique(), on="item_id", how="semi")
        if judged.height >= LEAST and kept["judge"].n_unique() > 1:
            yield group, name, kept, judged


def _read(name: str) -> pl.DataFrame:
    frame = pl.read_parquet(PANELS / f"{name}.parquet")
    return frame.with_columns(model=pl.col("model") if "model" in frame.columns else pl.lit("")).select(COLUMNS)


def _gold(name: str) -> pl.DataFrame:
    return pl.read_parquet(PANELS / f"{name}.parquet").select("item_id", pl.col("gold").cast(pl.String))


def _some(rng: np.random.Generator, frame: pl.DataFrame, n: int) -> pl.DataFrame:
    judges = frame["judge"].unique().sort().to_list()
    return frame.filter(pl.col("judge").is_in(rng.choice(judges, n, replace=False).tolist()))


def _keyword(name: str, beside: pl.DataFrame) -> pl.DataFrame:
    frame = _read(name)
    return frame.filter(
        ~pl.col("judge").is_in(beside["judge"].unique().to_list()) & (pl.col("judge_kind") == "keyword")
    )


def _xstest() -> Iterator[Panel]:
    rng = np.random.default_rng(5)
    whole, gold = _read("xstest_v2_binary"), _gold("xstest_v2_binary.gold")
    human, auto = (whole.filter((pl.col("judge_kind") == "human") == is_human) for is_human in (True, False))
    words = _keyword("xstest_v2_binary__kw", auto)
    for model in whole["model"].unique().sort():
        mine = pl.col("model") == model
        yield "xstest, one model", f"{model}", auto.filter(mine), gold
        yield "xstest + keyword, one model", f"{model}", pl.concat([auto, words]).filter(mine), gold
        yield "xstest + keyword, a model less", f"{model}", pl.concat([auto, words]).filter(~mine), gold
    for draw in range(4):
        yield "xstest + 3 keyword", f"{draw}", pl.concat([auto, _some(rng, words, 3)]), gold
    one = human.filter(pl.col("judge") == human["judge"].min())
    yield "xstest, other", "keyword alone", words, gold
    yield "xstest, other", "with a human", pl.concat([auto, one]), gold
    three = _read("xstest_v2").filter(pl.col("label").str.contains(r"^\d_"))
    machine = pl.col("judge_kind") != "human"
    yield "xstest, 3 labels", "two judges", three.filter(machine), _gold("xstest_v2.gold")
    with_one = three.filter(machine | pl.col("judge").is_in(one["judge"].unique().to_list()))
    yield "xstest, 3 labels", "with a human", with_one, _gold("xstest_v2.gold")


def _purseclab() -> Iterator[Panel]:
    rng = np.random.default_rng(6)
    whole, gold = _read("purseclab_rethinking"), _gold("purseclab_rethinking.gold")
    words = _keyword("purseclab_rethinking__kw", whole)
    for criterion in ("informativeness", "truthfulness"):
        yield "purseclab", criterion, whole, _gold(f"purseclab_rethinking.gold_{criterion}")
    for judge in whole["judge"].unique().sort():
        yield "purseclab", f"without {judge}", whole.filter(pl.col("judge") != judge), gold
    for model in whole["model"].unique().sort():
        yield "purseclab", model, whole.filter(pl.col("model") == model), gold
        yield "purseclab + keyword", model, pl.concat([whole, words]).filter(pl.col("model") == model), gold
    for draw in range(4):
        yield "purseclab + keyword", f"{draw}", pl.concat([whole, _some(rng, words, 3)]), gold


def _alttest() -> Iterator[Panel]:
    rng = np.random.default_rng(7)
    machine = _read("alttest_lgbteen").filter(pl.col("judge_kind") != "human")
    gold = _gold("alttest_lgbteen.gold")
    for draw, n in enumerate((3, 4, 5, 3, 4)):
        yield "alttest, fewer judges", f"{draw}", _some(rng, machine, n), gold
    for label in ("No", "Partially", "Yes"):
        merged = [
            frame.with_columns(pl.when(pl.col(c) == label).then(pl.lit("it")).otherwise(pl.lit("rest")).alias(c))
            for frame, c in ((machine, "label"), (gold, "gold"))
        ]
        yield "alttest, one label", label, merged[0], merged[1]


def _crowds() -> Iterator[Panel]:
    rng = np.random.default_rng(8)
    for name in ("crowd_dog", "crowd_product"):
        whole, gold = _read(name), _gold(f"{name}.gold")
        for n in (15, 30, 60):
            yield "crowds, thinned", f"{name} {n}", _some(rng, whole, n), gold
        most = (
            whole["judge"].value_counts(sort=True).sort(["count", "judge"], descending=[True, False])["judge"].head(5)
        )
        yield "crowds, thinned", f"{name} top 5", whole.filter(pl.col("judge").is_in(most.to_list())), gold


def _arrays(verdicts: pl.DataFrame, gold: pl.DataFrame) -> tuple[NDArray[np.int16], NDArray[np.int16], list[str]]:
    labels = sorted({*verdicts["label"], *gold["gold"]})
    number = dict(zip(labels, range(len(labels)), strict=True))
    coded = verdicts.unique(["item_id", "judge"], maintain_order=True).with_columns(
        pl.col("label").replace_strict(number, return_dtype=pl.Int16)
    )
    wide = coded.pivot("judge", index="item_id", values="label").join(gold, on="item_id").sort("item_id")
    truth = wide["gold"].replace_strict(number, return_dtype=pl.Int16).to_numpy()
    return wide.drop("item_id", "gold").fill_null(-1).to_numpy().astype(np.int16), truth, labels


def _auroc(p: NDArray[np.float64], codes: NDArray[np.int16], truth: NDArray[np.int16]) -> float:
    there = (codes >= 0) & (truth >= 0)[:, None]
    wrong = (codes != truth[:, None])[there]
    return float(roc_auc_score(wrong, p[there])) if 0 < wrong.sum() < wrong.size else float("nan")


def _best_peer(codes: NDArray[np.int16], truth: NDArray[np.int16], k: int) -> float:
    import pandas as pd
    from crowdkit import aggregation

    item, judge = np.nonzero(codes >= 0)
    said = codes[item, judge].astype(int)
    table = pd.DataFrame({"task": item, "worker": judge, "label": said})
    found = []
    for name in PEERS:
        model = getattr(aggregation, name)(**({"random_state": 0} if name == "MACE" else {}))
        p = model.fit_predict_proba(table).reindex(columns=range(k), fill_value=0).fillna(0)
        wrong = np.full(codes.shape, np.nan)
        wrong[item, judge] = 1 - p.loc[item].to_numpy()[np.arange(item.size), said]
        found.append(_auroc(np.nan_to_num(wrong), codes, truth))
    return max(found)


def _figures(codes: NDArray[np.int16], truth: NDArray[np.int16], k: int, labels: int, draws: int) -> list[float]:
    """AUROC and consensus minus majority without labels, AUROC with `labels` on the other items."""
    blind = estimate_truth(codes, k)
    counts = np.stack([(codes == label).sum(axis=1) for label in range(k)], axis=1)
    majority = (counts + counts.sum(axis=0) / max(counts.sum(), 1) / 2).argmax(axis=1)
    gain = float((blind.consensus == truth).mean() - (majority == truth).mean())
    with_labels = []
    for draw in range(draws):
        known = np.random.default_rng(draw).choice(truth.size, min(labels, truth.size // 2), replace=False)
        gold = np.full(truth.size, -1, np.int16)
        gold[known] = truth[known]
        rest = np.where(gold >= 0, -1, truth).astype(np.int16)
        with_labels.append(_auroc(estimate_truth(codes, k, gold=gold).p_wrong, codes, rest))
    return [_auroc(blind.p_wrong, codes, truth), gain, float(np.mean(with_labels))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=50)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    groups: dict[str, list[list[float]]] = {}
    for group, name, verdicts, gold in panels():
        codes, truth, labels = _arrays(verdicts, gold)
        k = len(labels)
        row = _figures(codes, truth, k, args.labels, args.draws)
        row.append(float("nan") if args.no_peers else _best_peer(codes, truth, k))
        groups.setdefault(group, []).append(row)
        print(f"{group:32s}{name:28s}" + " ".join(f"{value:7.3f}" for value in row), flush=True)
    print(
        f"\n{'group':32s}{'panels':>7s}{'no labels':>11s}{'labels':>8s}{'best peer':>11s}{'consensus - majority':>22s}"
    )
    means = []
    for group, rows in groups.items():
        mean = np.nanmean(np.array(rows), axis=0)
        means.append(mean)
        print(f"{group:32s}{len(rows):7d}{mean[0]:11.3f}{mean[2]:8.3f}{mean[3]:11.3f}{mean[1]:+22.3f}")
    mean = np.nanmean(np.array(means), axis=0)
    print(f"{'mean of groups':39s}{mean[0]:11.3f}{mean[2]:8.3f}{mean[3]:11.3f}{mean[1]:+22.3f}")
    print(f"ratio to the best peers {mean[0] / mean[3]:.3f}; with {args.labels} labels {mean[2] / mean[3]:.3f}")


if __name__ == "__main__":
    main()
