"""Panels that break statistics, through the whole of `report`: words, never a traceback, a warning or a NaN."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from interjudge.agreement.analysis import QuestionSpec, Tables
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.schema import STATUS
from interjudge.errors import InputError
from interjudge.pipeline import make_report
from interjudge.reports.terminal import render_terminal

RNG = np.random.default_rng(0)


def random_codes(n: int, j: int, k: int) -> np.ndarray:
    return RNG.integers(0, k, (n, j))


def rare(n: int, j: int) -> np.ndarray:
    """99.99 % of one label."""
    codes = np.zeros((n, j), int)
    codes[RNG.integers(0, n, 1), 0] = 1
    return codes


def sparse(n: int, j: int, each: int) -> np.ndarray:
    codes = np.full((n, j), -1)
    for i in range(n):
        codes[i, RNG.choice(j, each, replace=False)] = RNG.integers(0, 2, each)
    return codes


PANELS = {
    "one judge": random_codes(40, 1, 2),
    "one item": random_codes(1, 4, 2),
    "one item, one judge": random_codes(1, 1, 2),
    "two items": random_codes(2, 3, 2),
    "one class": np.zeros((30, 3), int),
    "a judge without an ok verdict": np.column_stack([random_codes(40, 2, 2), np.full(40, -1)]),
    "no ok verdict at all": np.full((10, 3), -1),
    "1,000 judges": sparse(300, 1000, 12),
    "50 classes": random_codes(400, 4, 50),
    "all judges identical": np.repeat(random_codes(200, 1, 2), 5, axis=1),
    "all judges random": random_codes(300, 5, 3),
    "99.99 % prevalence": rare(10_000, 4),
    "judges that never meet": np.where(np.eye(3, dtype=bool).repeat(20, axis=0), random_codes(60, 3, 2), -1),
}


SLOW = {"1,000 judges"}  # once is enough


def table(codes: np.ndarray, *, names: str = "label {}", numbers: bool = False) -> pl.DataFrame:
    item, judge = np.indices(codes.shape)
    code = codes.ravel()
    label = [None if c < 0 else str(c) if numbers else names.format(c) for c in code.tolist()]
    return pl.DataFrame(
        {
            "item_id": [f"i{i}" for i in item.ravel().tolist()],
            "judge": [f"judge {j}" for j in judge.ravel().tolist()],
            "repeat": 0,
            "judge_kind": "rubric",
            "construct": "harm",
            "model": [f"m{i % 3}" for i in item.ravel().tolist()],
            "base_model": "m0",
            "prompt": [f"prompt {i // 3}" for i in item.ravel().tolist()],
            "response": [f"an answer of {i} words" for i in item.ravel().tolist()],
            "status": pl.Series(["ok" if c >= 0 else "parse_error" for c in code.tolist()], dtype=STATUS),
            "label": pl.Series(label, dtype=pl.String),
            "score": pl.Series([None] * code.size, dtype=pl.Float64),
        }
    )


def numbers_in(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers_in(inner)
    elif isinstance(value, float):
        yield value


def written(tables: Tables, out: Path, **more: object) -> dict[str, object]:
    report, _ = make_report(tables, out, sampling=Sampling(replicates=50), **more)  # type: ignore[arg-type]
    for width in (80, 120):
        screen = io.StringIO()
        render_terminal(report, Console(width=width, file=screen))
        text = screen.getvalue()
        (out / "screen.txt").write_text(text, encoding="utf-8")
        assert "nan" not in text.lower().split()
        assert "Traceback" not in text
    found: dict[str, object] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert all(math.isfinite(x) for x in numbers_in(found))
    assert " nan" not in (out / "report.md").read_text(encoding="utf-8")
    return found


@pytest.mark.parametrize(
    ("name", "referenced"), [(n, r) for n in PANELS for r in (False, True) if not (r and n in SLOW)]
)
def test_a_report_is_made_of_any_panel(name: str, referenced: bool, tmp_path: Path) -> None:
    codes = PANELS[name]
    verdicts = table(codes)
    gold = None
    if referenced:
        some = verdicts.unique("item_id", keep="first", maintain_order=True).head(max(codes.shape[0] // 2, 1))
        gold = some.select("item_id", gold=pl.lit("label 0"))
    tables = Tables(verdicts, reference=gold)
    if referenced and name == "no ok verdict at all":
        with pytest.raises(InputError, match="no judge has a usable verdict"):
            written(tables, tmp_path)
        return
    assert written(tables, tmp_path, by=["model"])["summary"]


def test_labels_that_are_numbers(tmp_path: Path) -> None:
    found = written(Tables(table(random_codes(200, 4, 5), numbers=True)), tmp_path)
    assert found["questions"][0]["agreement"]["question"]["labels"] == ["0", "1", "2", "3", "4"]  # type: ignore[index]


@pytest.mark.parametrize("level", ["ordinal", "interval", "ratio"])
def test_numbers_at_every_level(level: str, tmp_path: Path) -> None:
    spec = QuestionSpec(level=level)  # type: ignore[arg-type]  # one of the literal's values
    assert written(Tables(table(random_codes(100, 3, 5), numbers=True)), tmp_path, questions=[spec])["summary"]


def test_scores_alone(tmp_path: Path) -> None:
    verdicts = table(random_codes(60, 3, 2)).with_columns(
        label=pl.lit(None, pl.String), score=pl.Series(RNG.random(180))
    )
    assert written(Tables(verdicts), tmp_path)["summary"]


def test_names_that_are_markup_and_control_characters(tmp_path: Path) -> None:
    verdicts = table(random_codes(60, 3, 2), names="<b>{}|\x1b[31m\u202e")
    bad = pl.col("judge") + pl.lit("`|<script>\x07\n")
    written(Tables(verdicts.with_columns(judge=bad, model=pl.col("model") + "|\x1b]0;x\x07")), tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8") + (tmp_path / "screen.txt").read_text(encoding="utf-8")
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "<script>" not in (tmp_path / "report.md").read_text(encoding="utf-8")
