"""Which model it is, before any of it is loaded: a commit of the hub, or a hash over the files of a folder.

It is part of a judge's hash, so it is the same whether the weights were already here or come with the first batch.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from interjudge.errors import InputError

# What the weights, the configuration and the tokenizer are made of; a README or an optimizer's state is not.
_SUFFIXES: Final = frozenset({".safetensors", ".bin", ".json", ".model", ".txt", ".jinja", ".gguf", ".py", ".tiktoken"})
_LEFT_OUT: Final = re.compile(r"(optimizer|scheduler|rng_state|trainer_state|training_args|scaler)", re.IGNORECASE)
_SMALL: Final = 1 << 20  # bytes; larger files in folders of the folder are other copies of the weights
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_WAIT_S: Final = 10.0


@dataclass(frozen=True)
class Source:
    """Where a model is loaded from.

    Attributes
    ----------
    where : a folder on this machine, or an id of the hub.
    gguf_file : the GGUF file in it, if the weights are one.
    local : is it on this machine?
    revision : of the hub: the commit where it is known, else what was asked for.
    digest : over the files, for a model on this machine.
    reached : False where the hub was asked for the commit and could not be reached.
    """

    where: str
    gguf_file: str | None
    local: bool
    revision: str | None = None
    digest: str | None = None
    reached: bool = True

    @property
    def identity(self) -> dict[str, object]:
        """What says which model this is; a folder by its content, wherever it stands."""
        if self.local:
            return {"sha256": self.digest}
        return {"model": self.where, "gguf_file": self.gguf_file, "revision": self.revision}


def find_source(
    model: str, *, revision: str | None = None, gguf_file: str | None = None, local_files_only: bool | None = None
) -> Source:
    """The model behind a folder, a GGUF file or an id of the hub; no weights are loaded and none are fetched.

    Raises
    ------
    InputError : nothing can be meant by it: a path where nothing is, a revision of a folder, no id.
    """
    try:
        path = Path(model).expanduser()
    except RuntimeError:  # ~nobody
        path = Path(model)
    if path.is_file():
        if path.suffix != ".gguf":
            raise InputError("is no model", file=model, expected="a folder, a .gguf file, or an id of the hub")
        path, gguf_file = path.parent, path.name
    if path.is_dir():
        if revision is not None:
            raise InputError("a folder has no revisions", file=model, found=f"revision={revision}")
        return _folder(path.resolve(), gguf_file)
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model) or model.startswith(".") or model.endswith(".gguf"):
        raise InputError("there is no such file or folder", file=model, expected="a folder, a .gguf file, or a hub id")
    commit, reached = _commit(model, revision, local_files_only)
    return Source(model, gguf_file, local=False, revision=commit, reached=reached)


def offline(local_files_only: bool | None) -> bool:
    """May nothing be fetched? `HF_HUB_OFFLINE` says so where the caller does not."""
    from huggingface_hub.constants import is_offline_mode

    return local_files_only is True or is_offline_mode()


def read_config(source: Source, local_files_only: bool | None = None) -> dict[str, Any]:
    """The model's ``config.json``; from the hub it is fetched where it is not in the cache.

    Raises
    ------
    InputError : it cannot be had, or is no JSON object.
    """
    file = Path(source.where) / "config.json"
    if not source.local:
        from huggingface_hub import hf_hub_download

        no_network = offline(local_files_only) or not source.reached
        try:
            got = hf_hub_download(source.where, "config.json", revision=source.revision, local_files_only=no_network)
        except Exception as error:
            known = not_had(error, source.where, source.revision, offline(local_files_only))
            if known is None:
                raise
            raise known from error
        file = Path(got)
    try:
        found = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"is no JSON: {error}", file=file) from None
    if not isinstance(found, dict):
        raise InputError("is no JSON object", file=file, found=type(found).__name__)
    return found


def _folder(path: Path, gguf_file: str | None) -> Source:
    if gguf_file is not None:
        if not (path / gguf_file).is_file():
            raise InputError("there is no such file", file=path / gguf_file, expected="a GGUF file in the folder")
        files = [path / gguf_file]
    elif (path / "config.json").is_file():
        files = sorted(file for file in path.rglob("*") if _belongs(file, path))
    else:
        expected = "a model saved by `save_pretrained` (config.json, weights, tokenizer)"
        raise InputError("the folder holds no model", file=path, found="no config.json", expected=expected)
    whole = hashlib.sha256()
    for file in files:
        status = file.stat()
        digest = _digest(str(file), status.st_size, status.st_mtime_ns)
        # A GGUF file is the whole model whatever it is called; in a folder the names say which file is what.
        whole.update(f"{'' if gguf_file else file.relative_to(path).as_posix()}\0{digest}\n".encode())
    return Source(str(path), gguf_file, local=True, digest=whole.hexdigest()[:32])


def _belongs(file: Path, folder: Path) -> bool:
    inside = file.relative_to(folder)
    if any(part.startswith(".") for part in inside.parts) or _LEFT_OUT.match(file.name) or not file.is_file():
        return False
    if inside.parts[0].startswith("checkpoint-"):
        return False
    return file.suffix in _SUFFIXES and (len(inside.parts) == 1 or file.stat().st_size <= _SMALL)


@lru_cache(maxsize=4096)
def _digest(file: str, size: int, changed_ns: int) -> str:  # noqa: ARG001  # they are part of the key
    """Of the whole file: about a second for two gigabytes, which loading would have read anyway."""
    with Path(file).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@lru_cache(maxsize=256)
def _commit(model: str, revision: str | None, local_files_only: bool | None) -> tuple[str | None, bool]:
    """The commit that `revision` (else the main branch) stands for: in the cache, else on the hub, else unknown.

    What is in the cache counts, so that a branch that moved on does not make a new judge between two runs; naming a
    newer commit as `revision` does.
    """
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision, True
    import httpx2
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model, repo_type="model")
    known = folder / "refs" / (revision or "main")
    if known.is_file():
        return known.read_text().strip(), True
    if offline(local_files_only):
        return revision, True
    try:
        sha = HfApi().model_info(model, revision=revision, timeout=_WAIT_S).sha
    except HFValidationError as error:
        raise InputError("is no id of the hub", file=model, expected="such as owner/name") from error
    except HfHubHTTPError:  # no such model, no access: said when it is loaded
        return revision, True
    except (OSError, httpx2.HTTPError):
        return revision, False
    return sha or revision, True


def not_had(error: Exception, model: str, revision: str | None, no_network: bool) -> InputError | None:
    """Why a model of the hub did not come, by the errors in the chain; None: for another reason."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    names = {type(one).__name__ for one in chain}
    text = " ".join(str(one) for one in chain)
    at = "" if revision is None else f" at revision {revision}"
    if "GatedRepoError" in names or "gated repo" in text:
        expected = f"accept them at https://huggingface.co/{model}, then `hf auth login`"
        return InputError(f"{model} is open only to those who have accepted its terms", expected=expected)
    if names & {"RepositoryNotFoundError", "RevisionNotFoundError"}:
        return InputError(f"the hub has no model {model}{at}", expected="an id as the hub shows it, or a folder")
    if names & {"LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectError", "IncompleteSnapshotError"}:
        why = "nothing may be fetched (HF_HUB_OFFLINE or local_files_only)" if no_network else "the hub is not reached"
        expected = f"`hf download {model}` where there is a network, or a folder that holds the model"
        return InputError(f"the model {model}{at} is not in the cache, and {why}", expected=expected)
    return None
