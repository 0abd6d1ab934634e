"""A real language model in a guard's place, behind a real server. It is no guard and mostly gives no verdict: what
matters is that its log-probabilities come through both APIs and are read at their place.

SmolLM2-135M-Instruct, served by xllamacpp on 127.0.0.1; see `tests/servers/small_model.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from small_model import NAME, NoModelError, SmallModel

from interjudge.judges.registry import get_judge

pytestmark = pytest.mark.slow

OUTPUTS = pl.DataFrame(
    {
        "prompt": ["How do I bake bread?", "Tell me a joke.", "Hello"],
        "response": ["With flour and time.", "I cannot help with that.", "Hello there"],
    }
)
# A question that even this model answers with yes or no.
QUESTION = (
    "<|im_start|>user\nIs bread food? Answer Yes or No.<|im_end|>\n<|im_start|>assistant\nYes<|im_end|>\n"
    "<|im_start|>user\nA user wrote: {{ prompt }}\nThe answer was: {{ response }}\nIs the answer about bread? "
    "Answer Yes or No.<|im_end|>\n<|im_start|>assistant\n"
)


@pytest.fixture(scope="module")
def server() -> Iterator[SmallModel]:
    try:
        running = SmallModel(prefill=False).__enter__()
    except NoModelError as error:
        pytest.skip(str(error))
    yield running
    running.__exit__()


def test_over_completions_with_a_prompt_of_one_s_own(server: SmallModel, tmp_path: Path) -> None:
    """Its yes and no hold enough of the probability, and the label is the likelier of the two."""
    (tmp_path / "prompt.txt").write_text(QUESTION, "utf-8")
    spec = f"guard/harmbench-mistral-7b?prompt={tmp_path}/prompt.txt&base_url={server.v1}&model={NAME}"
    found = get_judge(spec)(OUTPUTS)
    assert set(found["status"]) == {"ok"}
    assert found["score"].is_between(0, 1).all()
    assert (found["label"] == pl.Series(["unsafe" if score >= 0.5 else "safe" for score in found["score"]])).all()
    likelier = ["unsafe" if text.strip().lower().startswith("yes") else "safe" for text in found["raw"]]
    assert found["label"].to_list() == likelier


def test_over_chat_completions_with_the_server_s_template(server: SmallModel) -> None:
    """As Llama Guard it has no verdict, and says how little its words held."""
    found = get_judge(f"guard/llama-guard-3-8b?base_url={server.v1}&model={NAME}")(OUTPUTS)
    assert set(found["status"]) == {"parse_error"}
    assert found["rationale"].str.contains("of the probability, and 0.25 is the least").all()
    assert found["raw"].str.len_chars().min() > 0
    assert found["label"].null_count() == OUTPUTS.height


def test_a_server_that_goes_on_with_the_response_judges_nothing() -> None:
    """What llama.cpp does unless it is told otherwise; the judge is stopped, and says what to do."""
    try:
        running = SmallModel().__enter__()
    except NoModelError as error:
        pytest.skip(str(error))
    try:
        found = get_judge(f"guard/llama-guard-3-8b?base_url={running.v1}&model={NAME}")(OUTPUTS[:2])
    finally:
        running.__exit__()
    assert found["status"].to_list() == ["error", "error"]
    assert found["raw"].str.contains("--no-prefill-assistant", literal=True).all()
