"""A guard of a real architecture at toy size, loaded by name as anybody loads a published one."""

from __future__ import annotations

import polars as pl
import pytest
from toy_models import toy_model

from interjudge.datasets.demo import load_outputs
from interjudge.judges.registry import get_judge

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outputs() -> pl.DataFrame:
    return load_outputs().head(12)


@pytest.fixture(scope="module")
def verdicts(outputs: pl.DataFrame) -> pl.DataFrame:
    return get_judge(f"guard/{toy_model('llama')}?format=llama_guard_3&device=cpu")(outputs)


def test_verdicts_with_probabilities_and_categories(verdicts: pl.DataFrame) -> None:
    assert set(verdicts["status"]) == {"ok"}
    assert set(verdicts["label"]) == {"safe", "unsafe"}
    assert (verdicts["label"] == pl.Series(["unsafe" if p >= 0.5 else "safe" for p in verdicts["score"]])).all()
    unsafe = verdicts.filter(label="unsafe")
    assert unsafe["raw"].str.starts_with("\n\nunsafe\n").all()
    assert unsafe["rationale"].str.contains(r"categories: S\d .*\(Llama Guard 3\)").all()


def test_blank_lines_that_nobody_foresaw_are_gone_through(outputs: pl.DataFrame, verdicts: pl.DataFrame) -> None:
    """Without the start that the format of version 3 gives, the guard writes its blank lines itself."""
    found = get_judge(f"guard/{toy_model('llama')}?format=llama_guard_2&device=cpu")(outputs)
    assert found["label"].to_list() == verdicts["label"].to_list()
    assert found["score"].to_list() == pytest.approx(verdicts["score"].to_list(), abs=2e-3)
    assert found["raw"].to_list() == verdicts["raw"].to_list()  # the categories are asked for after the same blanks


def test_another_question_is_another_construct(outputs: pl.DataFrame) -> None:
    spec = f"guard/{toy_model('granite')}?format=granite_guardian_3_1&device=cpu"
    assert (get_judge(spec).construct, get_judge(f"{spec}&risk=jailbreak").construct) == ("harm", "jailbreak")
    found = get_judge(f"{spec}&risk=violence")(outputs)
    assert set(found["label"]) <= {"no", "yes"}
    assert found["score"].is_between(0, 1).all()
