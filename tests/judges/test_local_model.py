"""Models on this machine: what is loaded, which model it is said to be, and what is said where it cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from interjudge.errors import InputError
from interjudge.judges.local_engine import LocalEngine
from interjudge.judges.local_identity import find_source
from interjudge.judges.local_model import load_causal, model_identity
from interjudge.judges.registry import get_judge


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "no-one/no-model"}, "the model no-one/no-model is not in the cache, and nothing may be fetched"),
        ({"model": "./nowhere"}, "there is no such file or folder"),
        ({"model": "nowhere.gguf"}, "there is no such file or folder"),
        ({"model": __file__}, "is no model"),
        ({"model": str(Path(__file__).parent)}, "the folder holds no model; found no config.json"),
        ({"model": str(Path(__file__).parent), "revision": "main"}, "a folder has no revisions"),
        ({"model": "~no-such-user/model"}, "there is no such file or folder"),
        ({"model": "a/b", "dtype": "bfloat61"}, "unknown dtype (did you mean 'bfloat16'?)"),
        ({"model": "a/b", "quantize": "3bit"}, "unknown quantisation; found 3bit; expected 8bit, 4bit"),
        ({"model": "a/b", "device": "toaster"}, "unknown device; found toaster"),
        ({"model": "a/b", "device": "cuda:99"}, "there is no such GPU; found cuda:99"),
    ],
)
def test_what_cannot_be_had_is_one_clear_line(given: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_causal(**given)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch: what to install. Without bitsandbytes: the same."""
    import importlib.util

    real = importlib.util.find_spec
    absent = {"torch", "bitsandbytes"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in absent else real(name))
    with pytest.raises(InputError, match=r"local models need torch; expected pip install 'interjudge\[local\]'"):
        load_causal("a/b")
    absent.remove("torch")
    with pytest.raises(InputError, match="quantize=4bit needs bitsandbytes; expected pip install bitsandbytes"):
        load_causal("a/b", quantize="4bit")


def test_a_folder_is_known_by_its_content(tmp_path: Path) -> None:
    """Not by where it stands or what it is called, nor by what does not decide a reply."""
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"\1\2\3")
    (tmp_path / "two" / "README.md").write_text("a card")
    (tmp_path / "two" / "optimizer.bin").write_text("a state")
    one, two = (model_identity(str(tmp_path / name)) for name in ("one", "two"))
    assert one == two
    (tmp_path / "two" / "model.safetensors").write_bytes(b"\1\2\4")
    assert model_identity(str(tmp_path / "two")) != one
    assert model_identity(str(tmp_path / "one"), dtype="float32") != one


def test_a_model_of_the_hub_is_known_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the one in the cache; a commit that is named is taken at its word."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    refs = tmp_path / "models--owner--name" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert find_source("owner/name").revision == commit
    assert find_source("owner/name", revision="f" * 40).revision == "f" * 40
    assert find_source("owner/name", revision="v2").revision == "v2"


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "toaster", ""])
def test_what_is_no_device_is_said_before_anything_is_loaded(name: str) -> None:
    with pytest.raises(InputError, match="unknown device"):
        get_judge(f"guard/llama-guard-3-8b?device={name}") if name else LocalEngine("a/b", device=name)


def test_code_of_the_model_s_own_and_the_device(tmp_path: Path) -> None:
    """The first decides replies, the second does not."""
    (tmp_path / "config.json").write_text("{}")
    known = [
        LocalEngine(str(tmp_path), **how).identity  # type: ignore[arg-type]
        for how in ({}, {"device": "cpu", "batch_tokens": 7, "prefix": False}, {"trust_remote_code": True})
    ]
    assert known[0] == known[1] != known[2]
