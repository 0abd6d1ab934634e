"""Set the thresholds of the heuristic coherence judge on data, and report on data that it was not set on.

    python tests/bench/calibrate_coherence.py [--panels DIR] [--write] [--report FILE.md]

Development half (by the hash of the prompt): XSTest completions, whole and cut to 32, 64 and 128 words, and
JailbreakBench answers, all taken as coherent; and damaged versions of the former. For each signal,

- `usual` is the median of its plain rate on whole texts,
- `low` is the 90th percentile of its value on these, or the 75th on 70 coherent oddities written for this
  purpose (lists, formulas, slang, 25 languages), whichever is greater: less adds nothing,
- `threshold` is half-way between the 99.8th percentile of these (the 95th of the oddities) and the 10th
  percentile of the damage that it is there for, or the greatest value of coherent text where these overlap,
- `scale` makes the sum of all contributions reach 1 on no more than 1 % of these and 10 % of the oddities.

With --write the figures go into judges/coherence.toml. The other half of the prompts is only reported on.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import perturbations as made
import polars as pl
from sklearn.metrics import roc_auc_score

from interjudge.judges import coherence
from interjudge.judges.coherence_settings import HeapsSettings, Settings, settings
from interjudge.judges.coherence_signals import letter_entropy
from interjudge.judges.coherence_text import read

TOML = Path(coherence.__file__).resolve().with_name("coherence.toml")
PANELS = Path(__file__).resolve().parents[3] / "shared" / "data" / "tidy"
DATASETS = Path(__file__).resolve().parents[2] / "datasets"
CUTS = (32, 64, 128)
FALSE_ALARMS = 0.01  # on the development half of the panels
ODD_ALARMS = 0.1  # on the 70 oddities
SEED = 0
TARGETS = {
    "loop": ("5-word loop", "loop from the middle"),
    "compression": ("5-word loop", "20-word loop"),
    "tail": ("60-word loop",),
    "vocabulary": ("5-word loop",),
    "gibberish": ("letter gibberish", "letters scrambled in words"),
    "entropy": ("letter gibberish",),
    "unknown_words": ("5 % typos",),
    "word_order": ("words shuffled", "shuffled in 4-word windows"),
    "sentence_case": ("words shuffled",),
    "encoding": ("mojibake", "replacement characters"),
    "word_shape": ("random case",),
    "glued": ("words glued",),
    "symbols": ("token soup",),
    "no_language": ("letter gibberish", "token soup"),
    "language": ("foreign-language answer",),
    "echo": ("prompt echo",),
    "code": ("unrelated code",),
    "choices": ("multiple-choice letters",),
}
SHORTEST = {"60-word loop": 128, "20-word loop": 64}  # words from which on there is a loop at all


def cut_to(table: pl.DataFrame, words: int) -> pl.DataFrame:
    cut = pl.Series("response", [made.cut(t, words) for t in table["response"]], dtype=pl.String)
    return table.with_columns(cut).filter(pl.col("response").is_not_null())


def damaged(table: pl.DataFrame, damage: made.Damage, seed: int = SEED) -> pl.DataFrame:
    texts = damage.make(table["response"].to_list(), table["prompt"].to_list(), random.Random(seed))
    return table.with_columns(pl.Series("response", texts))


def plain_rates(table: pl.DataFrame, how: Settings) -> pl.DataFrame:
    signals = {name: s.model_copy(update={"usual": 0.0, "weight": 1e-9}) for name, s in how.signals.items()}
    return coherence.signals(table, how.model_copy(update={"signals": signals}))


def heaps(table: pl.DataFrame) -> tuple[float, float]:
    """Intercept and slope of log(different words) on log(words), over cuts of all lengths."""
    sizes, kinds = [], []
    for text in table["response"]:
        words = re.findall(r"[\w']+", text.lower())
        for n in (16, 32, 64, 128, 256):
            if len(words) >= n:
                sizes.append(n)
                kinds.append(len(set(words[:n])))
    slope, intercept = np.polyfit(np.log(sizes), np.log(kinds), 1)
    return round(float(intercept), 3), round(float(slope), 3)


def quantile(values: Iterable[pl.Series], q: float) -> float:
    joined = pl.concat([v.drop_nulls().cast(pl.Float64) for v in values])
    return float(np.quantile(joined.to_numpy(), q))


def calibrate(panels: Path) -> dict[str, dict[str, float]]:
    """New figures: section of the TOML file -> key -> value."""
    how = settings()
    xstest = made.coherent(panels).filter("dev")
    jailbreak = made.coherent(panels, ("jbb_artifacts",)).filter("dev")
    intercept, slope = heaps(xstest)
    found: dict[str, dict[str, float]] = {"heaps": {"intercept": intercept, "slope": slope}}
    how = how.model_copy(update={"heaps": HeapsSettings(intercept=intercept, slope=slope)})
    plain = plain_rates(xstest, how)
    usual = {n: round(quantile([plain[n]], 0.5), 4) for n in ("gibberish", "unknown_words", "word_order", "symbols")}
    usual["entropy"] = round(entropy_of(xstest), 4)
    usual["no_language"] = 0.2  # of a language's words are in its list; see docs/coherence.md
    signals = {n: s.model_copy(update={"usual": usual.get(n, s.usual)}) for n, s in how.signals.items()}
    how = how.model_copy(update={"signals": signals})
    calm = [coherence.signals(t, how) for t in (xstest, jailbreak, *(cut_to(xstest, n) for n in CUTS))]
    bad: dict[str, list[pl.DataFrame]] = {}
    for damage in made.damages("dev"):
        for n in CUTS:
            if n >= SHORTEST.get(damage.name, 0) and not (damage.fixed and n > CUTS[0]):
                bad.setdefault(damage.name, []).append(coherence.signals(damaged(cut_to(xstest, n), damage), how))
    odd = coherence.signals(made.oddities(), how)
    for name, targets in TARGETS.items():
        low = quantile([v[name] for v in calm], 0.75)
        high = max(quantile([v[name] for v in calm], 0.998), quantile([odd[name]], 0.95))
        most = quantile([v[name] for v in (*calm, odd)], 1.0)
        reached = quantile([v[name] for t in targets for v in bad[t]], 0.1)
        threshold = (high + reached) / 2 if reached > high else most
        print(f"{name:15} low {low:8.4f}  high {high:8.4f}  damage {reached:8.4f}  -> {threshold:8.4f}")
        found[f"signals.{name}"] = {"low": round(low, 4), "threshold": round(threshold, 4)}
        if name in usual:
            found[f"signals.{name}"]["usual"] = usual[name]
    signals = {n: s.model_copy(update=found.get(f"signals.{n}", {})) for n, s in how.signals.items()}
    how = how.model_copy(update={"signals": signals, "scale": 1.0})
    panel = np.concatenate([coherence.contributions(v, how).sum(1) for v in calm])
    odd_sums = coherence.contributions(odd, how).sum(1)
    reach = max(np.quantile(panel, 1 - FALSE_ALARMS), np.quantile(odd_sums, 1 - ODD_ALARMS))
    found[""] = {"scale": round(min(1.0, 1 / float(reach)), 3)}
    print("sums: panels", np.quantile(panel, 1 - FALSE_ALARMS), "oddities", np.sort(odd_sums)[-8:], found[""])
    return found


def entropy_of(table: pl.DataFrame) -> float:
    """Median letter entropy of long texts."""
    entropy, letters = letter_entropy(read(table["response"]))
    return float(np.median(entropy[letters > 400]))


def write(found: dict[str, dict[str, float]]) -> None:
    text, section = [], ""
    for line in TOML.read_text(encoding="utf-8").splitlines():
        if header := re.match(r"\[([\w.]+)\]", line):
            section = header[1]
        key = re.match(r"(\w+) = ", line)
        left = found.get(section, {})
        if key and key[1] in left:
            comment = re.search(r"\s+#.*", line)
            line = f"{key[1]} = {left[key[1]]}{comment[0] if comment else ''}"  # noqa: PLW2901
        text.append(line)
    TOML.write_text("\n".join(text) + "\n", encoding="utf-8")


def auroc(calm: np.ndarray, bad: np.ndarray) -> float:
    """Area under the curve of the score: the chance that a damaged text scores below a coherent one."""
    truth = np.concatenate((np.zeros(len(calm)), np.ones(len(bad))))
    return float(roc_auc_score(truth, -np.concatenate((calm, bad))))


def report(panels: Path) -> str:
    judge = coherence.FAMILY.make("heuristic")
    lines = ["| coherent text | n | called incoherent |", "|---|---|---|"]
    for names, part in (
        (("xstest_v2",), "held-out"), (("xstest_v2",), "development"), (("xstest_v2",), "all"),
        (("jbb_artifacts",), "held-out"), (("pyrit_violence",), "all"), (("purseclab_rethinking",), "all"),
    ):  # fmt: skip
        table = made.coherent(panels, names)
        if part != "all":
            table = table.filter(pl.col("dev") == (part == "development"))
        score = judge(table)["score"]
        lines.append(f"| {names[0]}, {part} | {table.height:,} | {(score < 0.5).mean():.2%} |")
    texts = made.written()
    for name, table in (
        ("oddities written for the calibration", made.oddities()),
        ("answers in ten languages written for the tests", pl.DataFrame(texts["answer"])),
        ("oddities written for the tests", pl.DataFrame(texts["calm"])),
    ):
        found = (judge(table)["score"] < 0.5).sum()
        lines.append(f"| {name} | {table.height} | {found / table.height:.1%} ({found}) |")
    xstest = made.coherent(panels).filter(~pl.col("dev"))
    bases = {n: cut_to(xstest if n < 256 else made.in_pairs(xstest), n) for n in made.LENGTHS}
    scores = {n: judge(t)["score"].to_numpy() for n, t in bases.items()}
    lines += ["", "| damage | " + " | ".join(f"{n} words" for n in bases) + " |", "|---" * (len(bases) + 1) + "|"]
    lines.append("| n | " + " | ".join(f"{t.height:,}" for t in bases.values()) + " |")
    lines.append("| none: called incoherent | " + " | ".join(f"{(s < 0.5).mean():.1%}" for s in scores.values()) + " |")
    for damage in made.damages("test"):
        cells = []
        for n, table in bases.items():
            if damage.fixed and n != 64:
                cells.append("")
                continue
            spoilt = judge(damaged(table, damage))["score"].to_numpy()
            cells.append(f"{auroc(scores[n], spoilt):.3f} ({(spoilt < 0.5).mean():.0%})")
        lines.append(f"| {damage.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def demo_report() -> str:
    """The judge on the demo set's reference, which played no part in the calibration; by model."""
    outputs, reference = (DATASETS / f"demo_{name}.parquet" for name in ("outputs", "reference"))
    if not (outputs.is_file() and reference.is_file()):
        return "no demo set yet"
    gold = pl.read_parquet(reference).filter(criterion="coherence").select("item_id", "gold")
    table = pl.read_parquet(outputs).join(gold, on="item_id")
    table = table.hstack(coherence.FAMILY.make("heuristic")(table))
    lines = ["| demo set | n | incoherent by reference | found of these | false alarms | AUROC |", "|---" * 6 + "|"]
    for name, part in [("all", table), *((str(key[0]), t) for key, t in table.group_by("model", maintain_order=True))]:
        bad, good = (part.filter(gold=label) for label in coherence.LABELS)
        found, alarms = ((t["label"] == coherence.LABELS[0]).sum() for t in (bad, good))
        area = f"{auroc(good['score'].to_numpy(), bad['score'].to_numpy()):.3f}" if bad.height and good.height else "-"
        lines.append(f"| {name} | {part.height} | {bad.height} | {found} | {alarms} | {area} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Calibrate the coherence judge and report on held-out text.")
    parser.add_argument("--panels", type=Path, default=PANELS)
    parser.add_argument("--write", action="store_true", help="put the figures into judges/coherence.toml")
    options = parser.parse_args()
    found = calibrate(options.panels)
    if options.write:
        write(found)
        settings.cache_clear()
    print(report(options.panels))
    print()
    print(demo_report())


if __name__ == "__main__":
    main()
