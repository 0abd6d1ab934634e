"""Guard models as judges: `guard/NAME`, on this machine or behind a server.

    guard/llama-guard-3-8b                                              on this machine, through transformers
    guard/granite-guardian-3.3-8b?risk=jailbreak&base_url=http://127.0.0.1:8000/v1      behind a server (vLLM, ...)
    guard/./my-weights?format=./my.toml

docs/guards.md lists the guards and explains the options.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges.base import Family, Judge
from interjudge.judges.guard_base import Engine
from interjudge.judges.guard_format import Format
from interjudge.judges.guard_load import Wanted, guard_of, load_guard, model_id
from interjudge.judges.guard_local import evaluate_local
from interjudge.judges.guard_remote import GuardRemote, reader
from interjudge.judges.llm_base import Provider
from interjudge.judges.local_engine import BATCH, GROW_TO, LocalEngine
from interjudge.judges.options import Given, split_options
from interjudge.judges.remote_batch import evaluate_remote

# In this order they stand in a judge's name; the others say where and how it is asked, and change no name.
_NAMED: Final = (
    "risk", "answer", "turn", "criteria", "policy", "construct", "think", "threshold", "format", "prompt", "revision",
)  # fmt: skip
_SERVER: Final = ("base_url", "key_env", "timeout")
LOCAL_OPTIONS: Final = (
    "revision", "device", "dtype", "device_map", "quantize", "local_files_only", "max_length", "batch_tokens",
    "batch_size", "gguf_file", "trust_remote_code",
)  # fmt: skip
_OPTIONS: Final = tuple(dict.fromkeys((*_NAMED, "name", "model", "engine", *_SERVER, *LOCAL_OPTIONS)))


def local_guard(format: Format, engine: Engine, *, name: str, batch_size: int | None = None) -> Judge:
    """A guard that an engine on this machine runs. `batch_size`: outputs asked, and stored, at a time; None: as
    `local_engine` has it, more where they take less than a second."""
    identity = {"engine": dict(engine.identity), "format": format.identity(), "reader": reader()}
    size = {"batch_size": BATCH, "grow_to": GROW_TO} if batch_size is None else {"batch_size": batch_size}
    evaluate = partial(evaluate_local, format, engine)
    return _judge(format, name, identity, evaluate=evaluate, ready=engine.load, **size)


def server_guard(format: Format, provider: Provider, *, name: str, model: str) -> Judge:
    """A guard behind a server. `model`: as a price table lists it."""
    remote = GuardRemote(provider, format, name, model)
    evaluate = partial(evaluate_remote, remote, format.reads)
    return _judge(format, name, remote.identity(), evaluate=evaluate, batch_size=100, remote=remote)


def _judge(format: Format, name: str, identity: Mapping[str, object], **how: Any) -> Judge:
    return Judge(
        name=name,
        kind="classifier",
        construct=format.construct,
        labels=format.labels,
        identity=identity,
        reads=format.reads,
        threshold=format.threshold if len(format.labels) == 2 else None,
        files=format.files,
        **how,
    )


# From a specification to a judge.


def _make(rest: str) -> Judge:
    """The judge ``guard/REST``.

    Raises
    ------
    InputError : no such guard, or an option is unknown, not of its kind, or of no use.
    """
    named, given = split_options(rest)
    spec = f"guard/{named}"
    for option in given:
        if option not in _OPTIONS:
            problem = f"{spec}: unknown option {option!r}{did_you_mean(option, _OPTIONS)}"
            raise InputError(problem, expected=choices(_OPTIONS, 40))
    options = Given(spec, given)
    model = given.get("model") or model_id(named)
    guard = load_guard(given["format"]) if "format" in given else guard_of(model_id(named))
    for one, other in (("risk", "answer"), ("criteria", "policy")):
        if one in given and other in given:
            raise InputError(f"{spec}: {one} and {other} are the same", expected="one of them")
    option = guard.part.option or "risk"
    wrong = next((one for one in ("risk", "answer") if one in given and guard.part.choice and one != option), None)
    if wrong is not None:
        raise InputError(f"{spec}: it has no {wrong}", found=given[wrong], expected=f"{option}={guard.part.default}")
    format_ = guard.format(
        Wanted(
            choice=given.get("risk", given.get("answer")),
            turn=given.get("turn"),
            construct=given.get("construct"),
            criteria=given.get("criteria", given.get("policy")),
            prompt=given.get("prompt"),
            think=options.yes("think") if "think" in given else None,
            threshold=options.number("threshold"),
        )
    )
    said = "&".join(f"{one}={given[one]}" for one in _NAMED if one in given)
    name = given.get("name") or (f"{spec}?{said}" if said else spec)
    if _is_server(spec, given):
        return server_guard(format_, _provider(model, format_, options), name=name, model=f"openai/{model}")
    size = options.whole("batch_size", least=1)
    return local_guard(format_, _engine(model, options), name=name, batch_size=size)


def _is_server(spec: str, given: Mapping[str, str]) -> bool:
    """Whether a server is asked: `engine` says so, or there is an address."""
    engine = given.get("engine") or ("server" if "base_url" in given else "local")
    if engine not in ("local", "server"):
        raise InputError(f"{spec}: no such engine", found=engine, expected="local or server")
    if engine == "server" and "base_url" not in given:
        raise InputError(f"{spec}: nothing says where the server is", expected="base_url=http://HOST:PORT/v1")
    other = LOCAL_OPTIONS if engine == "server" else _SERVER
    odd = next((one for one in given if one in other), None)
    if odd is not None:
        raise InputError(f"{spec}: option {odd!r} has no use with engine={engine}", expected=f"no {odd}")
    return engine == "server"


def _provider(model: str, format: Format, options: Given) -> Provider:
    from interjudge.judges.provider_openai import openai_provider

    how: dict[str, Any] = {name: options.options[name] for name in ("base_url", "key_env") if name in options.options}
    if "timeout" in options.options:
        how["timeout"] = options.number("timeout")
    return openai_provider(model, api="chat" if format.text is None else "completions", **how)


def _engine(model: str, options: Given) -> Engine:
    """The engine on this machine; nothing is loaded yet."""
    given = options.options
    texts = ("revision", "device", "dtype", "device_map", "quantize", "gguf_file")
    how: dict[str, Any] = {one: given[one] for one in texts if one in given}
    how |= {one: options.yes(one) for one in ("local_files_only", "trust_remote_code") if one in given}
    how |= {one: options.whole(one, least=1) for one in ("max_length", "batch_tokens") if one in given}
    return LocalEngine(model, **how)


# Without `names`: to make one asks the hub which commit it is, and a list of thirty would take a minute.
FAMILY: Final = Family(
    summary="A guard model (safety classifier), on this machine or behind a server. Options: risk, answer, turn, "
    "criteria, think, threshold, prompt, format, base_url, model, device and others.",
    make=_make,
    usage="guard/NAME_OR_MODEL_ID[?OPTIONS]",
)
