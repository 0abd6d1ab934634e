"""A small panel for tests of the page: four judges, three models, texts, rationales; names as hostile as asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from interjudge.agreement.analysis import QuestionSpec, Tables
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.schema import STATUS
from interjudge.pipeline import make_report
from interjudge.reports.report import Report

N = 120


def same(text: str) -> str:
    return text


def tables(hostile: Callable[[str], str] = same, n: int = N) -> Tables:
    """`hostile`: what becomes of every name and text."""
    rng = np.random.default_rng(0)
    truth = rng.random(n) < 0.4
    labels = np.array([hostile("compliance"), hostile("refusal")])
    outputs = pl.DataFrame(
        {
            "item_id": [hostile(f"item-{i:04d}") for i in range(n)],
            "model": [hostile(f"model-{i % 3}") for i in range(n)],
            "category": [hostile(f"category-{i % 4}") for i in range(n)],
            "prompt": [hostile(f"prompt number {i // 3}") for i in range(n)],
            "response": [hostile(f"response number {i}\nin two lines") for i in range(n)],
        }
    )
    parts = []
    for j, accuracy in enumerate((0.95, 0.9, 0.85, 0.75)):
        said = np.where(rng.random(n) < accuracy, truth, ~truth).astype(int)
        bad = rng.random(n) < 0.03
        parts.append(
            pl.DataFrame(
                {
                    "item_id": outputs["item_id"],
                    "judge": hostile(f"judge-{j}"),
                    "repeat": 0,
                    "judge_kind": "rubric",
                    "construct": "refusal",
                    "status": np.where(bad, "parse_error", "ok"),
                    "label": pl.Series(labels[said]).set(pl.Series(bad), None),
                    "score": pl.Series(said / 1.0).set(pl.Series(bad), None),
                    "rationale": [hostile(f"because of {i} says judge {j}") for i in range(n)],
                    "raw": [hostile(f"raw reply {i} of judge {j}") for i in range(n)],
                }
            )
        )
    gold = pl.DataFrame({"item_id": outputs["item_id"], "gold": labels[truth.astype(int)]})
    return Tables(pl.concat(parts).cast({"status": STATUS}), outputs, gold, "people")


def made(out: Path, hostile: Callable[[str], str] = same, n: int = N, *, redact: bool = False) -> Report:
    """The report of this panel in the folder `out`."""
    given = tables(hostile, n)
    spec = QuestionSpec(construct="refusal", positive=hostile("refusal"))
    report, _ = make_report(given, out, questions=[spec], sampling=Sampling(replicates=50), redact=redact)
    return report
