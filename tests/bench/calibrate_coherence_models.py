"""Set the figures of the coherence judges with a model on data, and make the table that compares all four judges.

    python tests/bench/calibrate_coherence_models.py --read [--part 0/2]     what the models make of the texts (an hour)
    python tests/bench/calibrate_coherence_models.py --set                   figures into judges/coherence_models.toml
    python tests/bench/calibrate_coherence_models.py --report                the table of docs/coherence.md

Figures are set on development text alone: XSTest answers of one half of the prompts and damaged versions of them, whole
XSTest and JailbreakBench answers, and 20 of the coherent oddities. For each signal

- `usual` is the median of its plain mean on whole answers,
- `low` the 75th percentile of coherent text,
- `threshold` half-way between coherent text (its 98th percentile; the 95th of the oddities) and the 10th percentile of
  the damage that it is there for, or the greatest value of coherent text where these overlap,
- `scale` lets at most 2 % of the panels and 10 % of the oddities through the sum.

The weights of `coherence:full` are those of a small grid that find most damage of 64 words and more at the same alarms.
The demo set and the other half of the prompts are only reported on. Readings are kept in --work (a folder of yours):
stopped, the script goes on where it was.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Final

import coherence_sets as sets
import numpy as np
import polars as pl

from interjudge.judges import coherence, coherence_models, coherence_surprisal, sentence_vectors, small_models
from interjudge.judges.coherence_settings import ModelSettings, ModelSignals, model_settings
from interjudge.judges.token_bits import Reading, Scorer

TOML: Final = Path(coherence.__file__).resolve().with_name("coherence_models.toml")
# Answers, their words, pairs of answers of 256 words, whole answers of a panel: as many as an hour had room for.
SIZES: Final = {"dev": (12, 128, 0, 22), "test": (12, 128, 6, 12)}
JUDGES: Final = ("heuristic", "lm", "embedding", "full")
SHUFFLES: Final = ("shuffled in 4-word windows", "words shuffled")
LOOPS: Final = ("5-word loop", "20-word loop")
TARGETS: Final[Mapping[str, tuple[str, ...]]] = {
    "surprise": SHUFFLES, "bits": ("letter gibberish", "5 % typos"), "blue": ("5 % typos",), "spread": SHUFFLES,
    "foreseen": LOOPS, "flat": LOOPS, "unrelated": ("unrelated code", "answer to another prompt"),
    "samey": LOOPS, "echo": ("prompt echo",),
}  # fmt: skip
GRID: Final = (0.25, 0.5, 1.0)
PANEL_ALARMS, ODD_ALARMS = 0.02, 0.1


def texts(part: str, panels: Path, work: Path) -> pl.DataFrame:
    """All texts of a part with what was read of them: `whole`, `set` ("damage" or "real")."""
    kept = work / f"texts_{part}.parquet"
    if not kept.is_file():
        count, words, long, real = SIZES[part]
        damage = sets.perturbed(part, panels, count, words, long).with_columns(set=pl.lit("damage"))
        work.mkdir(parents=True, exist_ok=True)
        pl.concat([damage, sets.real(part, panels, real).with_columns(set=pl.lit("real"))]).write_parquet(kept)
    return pl.read_parquet(kept)


def read(panels: Path, work: Path, part: tuple[int, int]) -> None:
    loaded = small_models.causal(None, "auto")
    scorer = Scorer(loaded.model, loaded.tokenizer)
    dev = texts("dev", panels, work)
    plain = (pl.col("set") == "damage") & ~pl.col("kind").is_in(sets.BESIDE)
    sets.read(dev.filter(plain), scorer, work / "lm", part, alone=False)
    for table in (dev.filter(~plain), sets.demo(), texts("test", panels, work)):
        sets.read(table, scorer, work / "lm", part)


@cache
def tokenizer() -> Any:
    return small_models.causal(None, "cpu").tokenizer


def readings(table: pl.DataFrame, work: Path) -> tuple[pl.DataFrame, list[Reading]]:
    """The rows whose reading is there, and it; of a text that is a beginning the beginning of the reading."""
    known = sets.load(work / "lm")
    kept, found = [], []
    for i, row in enumerate(table.iter_rows(named=True)):
        reading = known.get(sets.key(row["prompt"], row["whole"]))
        if reading is None:
            continue
        if row["whole"] != row["response"]:
            n = len(tokenizer()(row["response"], add_special_tokens=False)["input_ids"])
            reading = Reading(reading.tokens[:n], reading.given[:n], reading.alone[:n], reading.entropy[:n])
        kept.append(i)
        found.append(reading)
    return table[kept], found


def cosines(table: pl.DataFrame, work: Path) -> pl.DataFrame:
    """`relatedness`, `sameness`, `words` of each row, kept in the folder by content."""
    path = work / "cosines.parquet"
    known = pl.read_parquet(path) if path.is_file() else None
    keys = [sets.key(p, r) for p, r in table.select("prompt", "response").iter_rows()]
    left = table.with_columns(pl.Series("key", keys)).unique("key", maintain_order=True)
    if known is not None:
        left = left.join(known.select("key"), on="key", how="anti")
    if left.height:
        loaded = small_models.encoder(None, "auto")
        halves = [half for text in left["response"] for half in coherence_models.in_halves(text)]
        every = list(dict.fromkeys([*left["prompt"], *left["response"], *halves]))
        rows, _ = sentence_vectors.vectors(loaded.model, loaded.tokenizer, every)
        at = {text: i for i, text in enumerate(every)}
        p, r, h = (rows[[at[t] for t in some]] for some in (left["prompt"], left["response"], halves))
        new = pl.DataFrame({
            "key": left["key"],
            "relatedness": sentence_vectors.cosines(p, r),
            "sameness": sentence_vectors.cosines(h[0::2], h[1::2]),
            "words": [len(text.split()) for text in left["response"]],
        })  # fmt: skip
        known = new if known is None else pl.concat([known, new])
        known.write_parquet(path)
    assert known is not None
    return pl.DataFrame({"key": keys}).join(known, on="key", how="left", maintain_order="left")


def sums(table: pl.DataFrame, found: list[Reading], near: pl.DataFrame) -> dict[str, np.ndarray]:
    """The sum of contributions of each judge of one part, at the figures that are in force."""
    how = model_settings()
    lm = coherence_models.lm_signals(found)
    columns = [near[name].to_numpy() for name in ("relatedness", "sameness", "words")]
    embedding = coherence_models.embedding_signals(*columns)
    return {  # in the order of JUDGES
        "heuristic": coherence.contributions(coherence.signals(table)).sum(1),
        "lm": coherence.contributions(lm, how.lm).sum(1),
        "embedding": coherence.contributions(embedding, how.embedding).sum(1),
    }


def joined(parts: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    return np.sum([weights[name] * values for name, values in parts.items()], axis=0)


def part_of(part: str, panels: Path, work: Path) -> tuple[pl.DataFrame, list[Reading], pl.DataFrame]:
    table = sets.shorter(texts(part, panels, work))
    table, found = readings(table, work)
    return table, found, cosines(table, work)


# ------------------------------------------------------------------------------ figures


def set_figures(panels: Path, work: Path) -> None:
    table, found, near = part_of("dev", panels, work)
    how = model_settings()
    plain = {n: s.model_copy(update={"usual": 0.0, "weight": 1e-9, "least": 0}) for n, s in how.lm.signals.items()}
    real = table["set"] == "real"
    usual: dict[str, float] = {}
    rows = pl.DataFrame([coherence_surprisal.measures(reading, plain) for reading in found], infer_schema_length=None)
    panels_only = real & table["kind"].is_in(["xstest_v2", "jbb_artifacts"])
    for name in ("surprise", "bits", "blue", "spread", "unrelated"):
        if name in plain:
            usual[name] = round(float(rows.filter(panels_only)[name].drop_nulls().median()), 4)  # type: ignore[arg-type]
    calm = near.filter(panels_only)
    usual_near = {
        "unrelated": -round(float(calm["relatedness"].median()), 4),  # type: ignore[arg-type]
        "echo": round(float(calm["relatedness"].median()), 4),  # type: ignore[arg-type]
        "samey": round(float(calm["sameness"].median()), 4),  # type: ignore[arg-type]
    }
    new = {
        "lm": _usual(how.lm, usual), "embedding": _usual(how.embedding, usual_near)
    }  # fmt: skip
    values = {
        "lm": pl.DataFrame(
            [coherence_surprisal.measures(r, new["lm"].signals) for r in found], infer_schema_length=None
        ),
        "embedding": _embedding(near, new["embedding"]),
    }
    figures: dict[str, dict[str, float]] = {}
    for judge, signals in new.items():
        done = {name: _bounds(name, values[judge][name], table) for name in signals.signals}
        kept = {n: s.model_copy(update=done[n]) for n, s in signals.signals.items()}
        signals = ModelSignals(scale=1.0, signals=kept)  # noqa: PLW2901
        total = coherence.contributions(values[judge].select(list(kept)), signals).sum(1)
        odd = (table["kind"] == "oddities").to_numpy()
        figures[judge] = {"scale": round(_scale(total, _calm(table), odd), 3)}
        print(judge, "scale", figures[judge]["scale"], "sums of the oddities", np.sort(total[odd])[-8:].round(2))
        for name, signal in kept.items():
            figures[f"{judge}.signals.{name}"] = {k: getattr(signal, k) for k in ("low", "threshold", "usual")}
    _write(figures)
    model_settings.cache_clear()
    parts = sums(table, found, near)
    figures = {"full": _weights(table, parts)}
    _write(figures)
    model_settings.cache_clear()


def _usual(how: ModelSignals, usual: Mapping[str, float]) -> ModelSignals:
    return ModelSignals(
        scale=how.scale,
        signals={n: s.model_copy(update={"usual": usual[n]} if n in usual else {}) for n, s in how.signals.items()},
    )


def _embedding(near: pl.DataFrame, how: ModelSignals) -> pl.DataFrame:
    known = model_settings()
    model_settings.cache_clear()
    kept = ModelSettings(version=known.version, lm=known.lm, embedding=how, full=known.full)
    coherence_models.model_settings = lambda: kept  # type: ignore[assignment]
    try:
        return coherence_models.embedding_signals(*(near[n].to_numpy() for n in ("relatedness", "sameness", "words")))
    finally:
        coherence_models.model_settings = model_settings


def _bounds(name: str, values: pl.Series, table: pl.DataFrame) -> dict[str, float]:
    calm = values.filter((table["kind"] == "none") | ((table["set"] == "real") & (table["kind"] != "oddities")))
    odd = values.filter(table["kind"] == "oddities")
    bad = values.filter(table["kind"].is_in(TARGETS[name]) & (table["words"].fill_null(64) >= 64))
    low, high = _quantile([calm], 0.75), max(_quantile([calm], 0.98), _quantile([odd], 0.95))
    reached = _quantile([bad], 0.1)
    threshold = (high + reached) / 2 if reached > high else _quantile([calm, odd], 1.0)
    print(f"{name:10} low {low:8.3f}  high {high:8.3f}  damage {reached:8.3f}  -> {threshold:8.3f}")
    return {"low": round(low, 4), "threshold": round(max(threshold, low + 1e-3), 4)}


def _quantile(values: Iterable[pl.Series], q: float) -> float:
    return float(np.quantile(pl.concat([v.drop_nulls() for v in values]).to_numpy(), q))


def _weights(table: pl.DataFrame, parts: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The weights that find most damage of 64 words and more at the alarms allowed; ties by the mean AUROC."""
    calm, odd = _calm(table), (table["kind"] == "oddities").to_numpy()
    long = ((table["set"] == "damage") & (table["kind"] != "none") & (table["words"].fill_null(64) >= 64)).to_numpy()
    found = []
    for grid in product(GRID, repeat=len(parts)):
        total = joined(parts, dict(zip(parts, grid, strict=True)))
        scale = _scale(total, calm, odd)
        area = float(np.mean([a for *_, a in _areas(table, total)]))
        found.append((float((scale * total[long] > 1).mean()), area, [round(scale * w, 3) for w in grid]))
    for share, area, weights in sorted(found)[-5:]:
        print(f"weights {weights}: {share:.3f} of the damage found, mean AUROC {area:.4f}")
    return dict(zip(parts, max(found)[2], strict=True))


def _calm(table: pl.DataFrame) -> np.ndarray:
    """Which rows are coherent text of the panels."""
    return ((table["kind"] == "none") | table["kind"].is_in(["xstest_v2", "jbb_artifacts"])).to_numpy()


def _scale(total: np.ndarray, calm: np.ndarray, odd: np.ndarray) -> float:
    """What keeps the alarms on coherent text to what is allowed; at most 1."""
    reach = max(np.quantile(total[calm], 1 - PANEL_ALARMS), np.quantile(total[odd], 1 - ODD_ALARMS))
    return min(1.0, 1 / float(reach))


def _areas(table: pl.DataFrame, total: np.ndarray) -> list[tuple[str, int | None, int, float]]:
    """Damage, words, number of texts, AUROC of the sum against undamaged text of the same length (64 words if none)."""
    kinds, words = table["kind"].to_numpy(), table["words"].to_list()
    base = {n: total[[k == "none" and w == n for k, w in zip(kinds, words, strict=True)]] for n in (32, 64, 128, 256)}
    found = []
    damage = table.filter(set="damage").filter(pl.col("kind") != "none").select("kind", "words").unique()
    order = {kind: i for i, kind in enumerate(table["kind"].unique(maintain_order=True))}
    for kind, n in sorted(damage.iter_rows(), key=lambda pair: (order[pair[0]], pair[1] or 0)):
        bad = total[[k == kind and w == n for k, w in zip(kinds, words, strict=True)]]
        if len(bad):
            found.append((kind, n, len(bad), auroc(base[n or 64], bad)))
    return found


def auroc(calm: np.ndarray, bad: np.ndarray) -> float:
    """The chance that a damaged text has the greater sum, ties counted half (Mann and Whitney 1947)."""
    order = np.sort(calm)
    below, upto = np.searchsorted(order, bad, "left"), np.searchsorted(order, bad, "right")
    return float((below + upto).mean() / (2 * len(calm)))


def _write(figures: Mapping[str, Mapping[str, float]]) -> None:
    text, section = [], ""
    for line in TOML.read_text(encoding="utf-8").splitlines():
        if header := re.match(r"\[([\w.]+)\]", line):
            section = header[1]
        given = re.match(r"(\w+) = ", line)
        new = figures.get(section, {})
        if given and given[1] in new:
            comment = re.search(r"\s+#.*", line)
            line = f"{given[1]} = {new[given[1]]}{comment[0] if comment else ''}"  # noqa: PLW2901
        text.append(line)
    TOML.write_text("\n".join(text) + "\n", encoding="utf-8")


# ------------------------------------------------------------------------------ the table


def report(part: str, panels: Path, work: Path) -> str:
    """AUROC of every judge on the demo set's reference and on each damage, with the share called incoherent."""
    table, found, near = part_of(part, panels, work)
    totals = _all(sums(table, found, near))
    demo, demo_found = readings(sets.demo().with_columns(whole="response"), work)
    demo_totals = _all(sums(demo, demo_found, cosines(demo, work)))
    bad = (demo["kind"] == "incoherent").to_numpy()
    head = " | n | " + " | ".join(JUDGES) + " |\n" + "|---" * (2 + len(JUDGES)) + "|"
    every = {("demo set's reference", None): [auroc(v[~bad], v[bad]) for v in demo_totals.values()]}
    lines = ["| text" + head, _row("demo set's reference", len(bad), next(iter(every.values())), demo_totals, bad)]
    kinds = table["kind"]
    for kind, words, n, _ in _areas(table, totals["full"]):
        rows = ((kinds == kind) & table["words"].eq_missing(words)).to_numpy()
        calm = ((kinds == "none") & (table["words"] == (words or 64))).to_numpy()
        every[kind, words] = [auroc(v[calm], v[rows]) for v in totals.values()]
        name = f"{kind}, {words} words" if words else kind
        lines.append(_row(name, n, every[kind, words], totals, rows))
    beside = [v for (kind, _), v in every.items() if kind != "answer to another prompt"]
    for name, rows in ((f"mean of the {len(every)} rows", list(every.values())), ("without other answers", beside)):
        lines.append(f"| **{name}** | | " + " | ".join(f"**{v:.3f}**" for v in np.mean(rows, axis=0)) + " |")
    lines += ["", "| coherent text, called incoherent" + head]
    calm = [(f"XSTest, {n} words", ((kinds == "none") & (table["words"] == n)).to_numpy()) for n in (32, 64, 128, 256)]
    whole = table.filter(set="real")["kind"].unique(maintain_order=True)
    for name, rows in [*calm, *((kind, (kinds == kind).to_numpy()) for kind in whole)]:
        if rows.any():
            lines.append(f"| {name} | {rows.sum()} | " + " | ".join(_share(v[rows]) for v in totals.values()) + " |")
    lines.append(f"| demo set | {(~bad).sum()} | " + " | ".join(_share(v[~bad]) for v in demo_totals.values()) + " |")
    return "\n".join(lines)


def _all(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {**parts, "full": joined(parts, model_settings().full.model_dump())}


def _row(name: str, n: int, areas: list[float], totals: Mapping[str, np.ndarray], rows: np.ndarray) -> str:
    cells = [f"{area:.3f} ({_share(v[rows])})" for area, v in zip(areas, totals.values(), strict=True)]
    return f"| {name} | {n} | " + " | ".join(cells) + " |"


def _share(total: np.ndarray) -> str:
    return f"{(np.exp2(-total) < coherence.THRESHOLD).mean():.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--panels", type=Path, default=sets.PANELS)
    parser.add_argument("--work", type=Path, default=Path("coherence-work"))
    parser.add_argument("--read", action="store_true")
    parser.add_argument("--part", default="0/1", help="this process of so many, for --read")
    parser.add_argument("--set", action="store_true", dest="setting")
    parser.add_argument("--report", nargs="?", const="test", choices=["test", "dev"])
    given = parser.parse_args()
    if given.read:
        number, of = map(int, given.part.split("/"))
        read(given.panels, given.work, (number, of))
    if given.setting:
        set_figures(given.panels, given.work)
    if given.report:
        print(report(given.report, given.panels, given.work))


if __name__ == "__main__":
    main()
