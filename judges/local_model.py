"""Models on this machine, through transformers: causal ones, sequence classifiers and encoders; shared by all judges.

    loaded = load_causal("meta-llama/Llama-Guard-3-1B")     # or a folder, or a GGUF file
    loaded.model, loaded.tokenizer, loaded.identity, loaded.device

The last `KEEP` models stay loaded, so that judges that share one (a guard asked about several risks) share its memory:
ask for the model at every batch and keep no reference of your own. torch and transformers come with the extra `local`.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import logging
import re
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import RLock
from typing import Any, Final, Literal, get_args

from interjudge.errors import InputError, InterjudgeError, choices, did_you_mean
from interjudge.judges.local_identity import Source, find_source, not_had, offline
from interjudge.judges.messages import short_message

Head = Literal["causal", "classifier", "encoder"]
Quantize = Literal["8bit", "4bit"]

KEEP: Final = 2  # models that stay loaded
INSTALL: Final = "pip install 'interjudge[local]'"
_DTYPES: Final = ("auto", "float32", "bfloat16", "float16")
_CLASSES: Final[Mapping[Head, str]] = {
    "causal": "AutoModelForCausalLM",
    "classifier": "AutoModelForSequenceClassification",
    "encoder": "AutoModel",
}
_held: OrderedDict[tuple[object, ...], Loaded] = OrderedDict()
_lock = RLock()


@dataclass(frozen=True)
class Loaded:
    """A model ready to be used: in evaluation mode, on its device.

    Attributes
    ----------
    model, tokenizer : of transformers.
    identity : what decides its numbers: which model (`local_identity`), dtype, quantisation; JSON-able.
    device : where its inputs go (a torch device).
    """

    model: Any
    tokenizer: Any
    identity: Mapping[str, object]
    device: Any


def load_causal(
    model: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    device_map: str | None = None,
    quantize: str | None = None,
    local_files_only: bool | None = None,
    gguf_file: str | None = None,
    trust_remote_code: bool = False,
) -> Loaded:
    """A causal language model and its tokenizer.

    Parameters
    ----------
    model : an id of the hub, a folder, or a GGUF file (its weights are unpacked to `dtype`).
    revision : of the hub: a branch, tag or commit. What is in the cache counts first.
    device : ``auto`` (CUDA, else MPS, else the CPU), or as torch names it: ``cpu``, ``cuda:1``, ``mps``.
    dtype : ``auto`` (as saved; a GGUF file bfloat16; on the CPU float32 for float16), ``float32``, ``bfloat16``,
        ``float16``.
    device_map : of accelerate (``auto``: spread over all devices); then `device` is not looked at.
    quantize : ``8bit`` or ``4bit``, by bitsandbytes.
    local_files_only : fetch nothing; None leaves it to `HF_HUB_OFFLINE`.
    gguf_file : the name of the GGUF file within a repository of the hub or a folder.
    trust_remote_code : run code that comes with the model. Never unless asked.

    Raises
    ------
    InputError : torch or transformers are not installed, there is no such model, it cannot be had offline, it is not
        of this kind, or an option is none.
    InterjudgeError : it cannot be loaded (memory, a damaged file).
    """
    return _load("causal", model, revision, device, dtype, device_map, quantize, local_files_only, gguf_file,
                 trust_remote_code)  # fmt: skip


def load_classifier(
    model: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    device_map: str | None = None,
    quantize: str | None = None,
    local_files_only: bool | None = None,
    trust_remote_code: bool = False,
) -> Loaded:
    """A sequence classifier (`AutoModelForSequenceClassification`) and its tokenizer; see `load_causal`."""
    return _load("classifier", model, revision, device, dtype, device_map, quantize, local_files_only, None,
                 trust_remote_code)  # fmt: skip


def load_encoder(
    model: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    device_map: str | None = None,
    quantize: str | None = None,
    local_files_only: bool | None = None,
    gguf_file: str | None = None,
    trust_remote_code: bool = False,
) -> Loaded:
    """The body of a model (`AutoModel`): hidden states, for embeddings; see `load_causal`."""
    return _load("encoder", model, revision, device, dtype, device_map, quantize, local_files_only, gguf_file,
                 trust_remote_code)  # fmt: skip


def model_identity(
    model: str,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    quantize: str | None = None,
    local_files_only: bool | None = None,
    gguf_file: str | None = None,
) -> dict[str, object]:
    """What `Loaded.identity` will be, without loading anything (torch need not be installed).

    Raises
    ------
    InputError : no such file or folder, an unknown dtype or quantisation.
    """
    _check(dtype, quantize)
    source = find_source(model, revision=revision, gguf_file=gguf_file, local_files_only=local_files_only)
    return _identity(source, dtype, quantize)


def check_device(name: str) -> None:
    """Raise an `InputError` for what names no device, without torch."""
    if not re.fullmatch(r"auto|cpu|mps|(cuda|xpu|npu)(:[0-9]+)?", name):
        raise InputError("unknown device", found=name, expected="auto, cpu, cuda, cuda:1 or mps")


def need_local() -> None:
    """Raise an `InputError` that says what to install where torch or transformers are missing."""
    absent = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if absent:
        raise InputError(f"local models need {' and '.join(absent)}", expected=INSTALL)


def release() -> None:
    """Let go of every model that is held."""
    with _lock:
        _held.clear()
    gc.collect()
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Is it about memory? CUDA's has a class of its own; the CPU's and MPS's are `RuntimeError`s that say so."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def _load(
    head: Head,
    model: str,
    revision: str | None,
    device: str,
    dtype: str,
    device_map: str | None,
    quantize: str | None,
    local_files_only: bool | None,
    gguf_file: str | None,
    trust_remote_code: bool,
) -> Loaded:
    key = (head, model, revision, device, dtype, device_map, quantize, local_files_only, gguf_file, trust_remote_code)
    with _lock:
        if key in _held:
            _held.move_to_end(key)
            return _held[key]
        need_local()
        _check(dtype, quantize)
        source = find_source(model, revision=revision, gguf_file=gguf_file, local_files_only=local_files_only)
        words: dict[str, Any] = {"trust_remote_code": trust_remote_code}
        if not source.local:
            words |= {
                "revision": source.revision,
                "local_files_only": offline(local_files_only) or not source.reached,
            }
        options = _options(source, words, device, dtype, device_map, quantize)
        while len(_held) >= KEEP:
            _held.popitem(last=False)
            gc.collect()
        try:
            loaded = _from_pretrained(head, source, options, None if device_map else _device(device))
        except Exception as error:
            if not (_held and is_out_of_memory(error)):
                raise _explained(error, model, source, offline(local_files_only)) from error
            loaded = None
        if loaded is None:  # outside of the handler, whose traceback holds on to what was loaded
            release()
            try:
                loaded = _from_pretrained(head, source, options, None if device_map else _device(device))
            except Exception as error:
                raise _explained(error, model, source, offline(local_files_only)) from error
        network, tokenizer = loaded
        place = next(network.parameters()).device
        _held[key] = Loaded(network, tokenizer, _identity(source, dtype, quantize), place)
        return _held[key]


def _from_pretrained(head: Head, source: Source, options: Mapping[str, Any], device: Any) -> tuple[Any, Any]:
    import transformers

    words = {name: options[name] for name in ("revision", "local_files_only", "trust_remote_code") if name in options}
    file = {} if source.gguf_file is None else {"gguf_file": source.gguf_file}
    with _quiet():
        tokenizer = transformers.AutoTokenizer.from_pretrained(source.where, **words, **file)
        kind = getattr(transformers, _CLASSES[head])
        network, info = kind.from_pretrained(source.where, output_loading_info=True, **options, **file)
        absent = sorted(info["missing_keys"])
        if absent and head != "encoder":  # weights drawn at random would judge at random
            name = type(network).__name__
            raise InputError(
                f"the model has no weights for {choices(absent, 3)} of a {name}", file=source.where,
                expected=f"a model saved as {name}",
            )  # fmt: skip
        if device is not None and not options.get("quantization_config"):
            network = network.to(device)
    return network.eval().requires_grad_(False), tokenizer


def _check(dtype: str, quantize: str | None) -> None:
    if dtype not in _DTYPES:
        raise InputError(f"unknown dtype{did_you_mean(dtype, _DTYPES)}", found=dtype, expected=choices(_DTYPES))
    if quantize is not None and quantize not in get_args(Quantize):
        raise InputError("unknown quantisation", found=quantize, expected=choices(get_args(Quantize)))


def _identity(source: Source, dtype: str, quantize: str | None) -> dict[str, object]:
    return {**source.identity, "dtype": dtype, "quantize": quantize}


def _device(name: str) -> Any:
    import torch

    if name == "auto":
        mps = getattr(torch.backends, "mps", None)
        name = "cuda" if torch.cuda.is_available() else "mps" if mps is not None and mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError("unknown device", found=name, expected="auto, cpu, cuda, cuda:1 or mps") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError("there is no such GPU", found=name, expected=f"one of {torch.cuda.device_count()}, or cpu")
    return device


def _options(
    source: Source, words: dict[str, Any], device: str, dtype: str, device_map: str | None, quantize: str | None
) -> dict[str, Any]:
    """What `from_pretrained` is given, beside which model."""
    import torch
    import transformers

    if (source.gguf_file or device_map or quantize) and importlib.util.find_spec("accelerate") is None:
        raise InputError("a GGUF file, a device map and quantisation need accelerate", expected=INSTALL)
    if source.gguf_file is not None and importlib.util.find_spec("gguf") is None:
        raise InputError("a GGUF file needs gguf", expected=INSTALL)
    if quantize is not None and importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(f"quantize={quantize} needs bitsandbytes", expected="pip install bitsandbytes")
    place = None if device_map else _device(device)
    options: dict[str, Any] = {"dtype": "auto" if dtype == "auto" else getattr(torch, dtype)}
    if dtype == "auto":
        if source.gguf_file is not None:
            options["dtype"] = torch.bfloat16
        elif place is not None and place.type == "cpu" and _saved_dtype(source, words) == "float16":
            options["dtype"] = torch.float32  # few processors compute in it, and none fast
    if device_map is not None:
        options["device_map"] = device_map
    if quantize is not None:
        options["quantization_config"] = transformers.BitsAndBytesConfig(**{f"load_in_{quantize}": True})
        options.setdefault("device_map", {"": place})
    return options | words


def _saved_dtype(source: Source, words: Mapping[str, Any]) -> str | None:
    """The dtype that the configuration names, if it is at hand."""
    import transformers

    with _quiet():
        try:
            config = transformers.AutoConfig.from_pretrained(source.where, **words)
        except (OSError, ValueError, KeyError):  # said when the model is loaded
            return None
    saved = getattr(config, "dtype", None)
    return None if saved is None else str(saved).removeprefix("torch.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' warnings and its bar over the weights; the hub's bars only where someone looks."""
    from transformers.utils import logging as transformers_logging

    hub: Any = importlib.import_module("huggingface_hub.utils")
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    hub_bars = not hub.are_progress_bars_disabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()  # the hub's too
    if hub_bars and sys.stderr.isatty():
        hub.enable_progress_bars()
    unpacking: Any = importlib.import_module("transformers.modeling_gguf_pytorch_utils")
    bar = unpacking.tqdm  # it has no switch
    unpacking.tqdm = partial(bar, disable=True)
    log = logging.getLogger("huggingface_hub")
    log_level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
        if hub_bars:
            hub.enable_progress_bars()
        unpacking.tqdm = bar
        log.setLevel(log_level)


def _explained(error: Exception, model: str, source: Source, no_network: bool) -> InterjudgeError:
    """One line that says what to do."""
    if isinstance(error, InterjudgeError):
        return error
    if is_out_of_memory(error):
        advice = "try dtype=bfloat16, quantize=8bit or a smaller model"
        return InterjudgeError(f"{model}: there is not enough memory to load it; {advice}")
    found = None if source.local else not_had(error, model, source.revision, no_network)
    if found is None and "trust_remote_code" in str(error):
        expected = "trust_remote_code, for code that you have read"
        found = InputError(f"{model} brings code of its own, which is not run unless asked", expected=expected)
    return found or InterjudgeError(f"{model} cannot be loaded: {short_message(error)}")
