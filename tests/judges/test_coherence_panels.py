"""The coherence judge on real answers: false alarms on coherent ones, and damage it must see (docs/coherence.md)."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from interjudge.judges.coherence import FAMILY

LENGTH = 64  # words


@pytest.fixture(scope="module")
def made(repo_root: Path) -> ModuleType:
    """tests/bench/perturbations.py, which is no package's module."""
    path = repo_root / "tests" / "bench" / "perturbations.py"
    spec = importlib.util.spec_from_file_location("interjudge_perturbations", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def xstest(panels: Path, made: ModuleType) -> pl.DataFrame:
    table: pl.DataFrame = made.coherent(panels)
    assert table.height == 2_250  # 450 prompts x 5 models
    return table


def alarms(table: pl.DataFrame) -> float:
    return FAMILY.make("heuristic")(table).filter(label="incoherent").height / table.height


def test_at_most_two_percent_of_real_coherent_answers_are_called_incoherent(xstest: pl.DataFrame) -> None:
    """A requirement, not a measurement. Measured: .13 % of all, .10 % of the held-out half, .16 % of the other."""
    assert alarms(xstest) <= 0.02
    assert alarms(xstest.filter(~pl.col("dev"))) <= 0.02


def test_no_model_of_the_panel_bears_more_than_two_percent(xstest: pl.DataFrame) -> None:
    rates = {str(key[0]): alarms(part) for key, part in xstest.group_by("model")}
    assert max(rates.values()) <= 0.02, rates


@pytest.mark.parametrize("name", ["jbb_artifacts", "pyrit_violence"])
def test_answers_of_other_panels_are_mostly_coherent_too(panels: Path, made: ModuleType, name: str) -> None:
    """Measured: 1.0 % of JailbreakBench (its held-out half 1.3 %), 0 of PyRIT; some of these are truly odd."""
    assert alarms(made.coherent(panels, (name,))) <= 0.02


# Area under the curve at 64 words on the held-out half (n = 754); measured values in comments.
FLOORS = {
    "words shuffled": 0.99,  # 1.000
    "shuffled in 4-word windows": 0.98,  # 1.000
    "20 % of words dropped": 0.75,  # .787
    "5 % typos": 0.97,  # .995
    "letter gibberish": 0.98,  # .998
    "letters scrambled in words": 0.98,  # .998
    "random case": 0.98,  # .999
    "words glued": 0.98,  # .999
    "token soup": 0.97,  # .998
    "5-word loop": 0.98,  # .999
    "20-word loop": 0.97,  # .997
    "60-word loop": 0.7,  # .747: four words have come round
    "loop from the middle": 0.98,  # .999
    "mojibake": 0.98,  # .998
    "replacement characters": 0.98,  # .998
    "truncated": 0.85,  # .878
    "foreign-language answer": 0.97,  # .993
    "prompt echo": 0.97,  # .997
    "unrelated code": 0.97,  # .995
    "multiple-choice letters": 0.98,  # 1.000
    "empty": 0.99,  # 1.000
}


@pytest.fixture(scope="module")
def cut(xstest: pl.DataFrame, made: ModuleType) -> pl.DataFrame:
    held_out = xstest.filter(~pl.col("dev"))
    texts = pl.Series("response", [made.cut(text, LENGTH) for text in held_out["response"]], dtype=pl.String)
    return held_out.with_columns(texts).filter(pl.col("response").is_not_null())


@pytest.mark.parametrize("name", FLOORS)
def test_damage_to_real_text_lowers_its_score(cut: pl.DataFrame, made: ModuleType, name: str) -> None:
    (damage,) = (d for d in made.damages("test") if d.name == name)
    spoilt = damage.make(cut["response"].to_list(), cut["prompt"].to_list(), random.Random(0))
    judge = FAMILY.make("heuristic")
    calm = judge(cut)["score"].to_numpy()
    bad = judge(cut.with_columns(pl.Series("response", spoilt)))["score"].to_numpy()
    assert area(calm, bad) >= FLOORS[name]


def area(calm: np.ndarray, bad: np.ndarray) -> float:
    """The chance that a damaged text scores below a coherent one, ties half (Mann-Whitney U / n m)."""
    ordered = np.sort(calm)
    above = len(calm) - np.searchsorted(ordered, bad, side="right")
    ties = np.searchsorted(ordered, bad, side="right") - np.searchsorted(ordered, bad, side="left")
    return float((above + ties / 2).mean() / len(calm))


# Nothing is wrong with the text but its place, which signals of the text cannot see; `coherence:embedding` does.
UNSEEN = {"answer to another prompt"}


def test_every_damage_has_a_floor(made: ModuleType) -> None:
    assert {d.name for d in made.damages()} == set(FLOORS) | UNSEEN
