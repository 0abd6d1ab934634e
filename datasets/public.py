"""Public sets with several judges or human labels: where they are, under which licence, and fetching them.

A file is fetched from its own project at a pinned revision and accepted only with the checksum in public_sets.toml. It
is kept in a cache; one that is whole is not fetched again.
"""

from __future__ import annotations

import logging
import os
import re
import tomllib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from interjudge.errors import InputError, InterjudgeError, choices, did_you_mean

CACHE_VARIABLE: Final = "INTERJUDGE_CACHE"
_RAW: Final = "https://raw.githubusercontent.com"
_TIMEOUT_S: Final = (10.0, 60.0)  # to connect, and between two pieces
_EXPECTED: Final = "[sets.NAME] in TOML, as in the list built in"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")


class PublicFile(BaseModel):
    """One file: its path below `base` at a revision, its SHA-256 and its bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    revision: str | None = None
    base: str | None = None

    @model_validator(mode="after")
    def _inside(self) -> PublicFile:
        parts = PurePosixPath(self.path).parts
        if not parts or "\\" in self.path or self.path.startswith("/") or ".." in parts:
            raise ValueError("path leaves its folder")
        return self


class PublicSet(BaseModel):
    """One set as public_sets.toml describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    title: str
    about: str
    licence: str
    terms: str | None = None
    page: str
    cite: str | None = None
    repository: str | None = None
    revision: str | None = None
    base: str | None = None
    format: str | None = None
    files: tuple[PublicFile, ...] = Field(min_length=1)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def url(self, file: PublicFile) -> str:
        """Where the file is fetched from."""
        base = file.base or self.base
        if base is None:
            base = f"{_RAW}/{self.repository}/{file.revision or self.revision}"
        return f"{base.rstrip('/')}/{quote(file.path)}"

    @model_validator(mode="after")
    def _somewhere(self) -> PublicSet:
        if not _NAME.fullmatch(self.name):
            raise ValueError("a name is of small letters, digits, '.', '_' and '-'")
        for file in self.files:
            if not (file.base or self.base or (self.repository and (file.revision or self.revision))):
                raise ValueError(f"{file.path}: neither `base` nor `repository` and `revision`")
            if urlsplit(self.url(file)).scheme not in ("https", "http"):
                raise ValueError(f"{file.path}: only http and https")
        return self


def public_sets(path: Path | str | None = None) -> dict[str, PublicSet]:
    """The sets by name: the ones built in, or those of a file of the same form.

    Raises
    ------
    InputError : the file is not there, no TOML, or says something else.
    """
    where = "public_sets.toml" if path is None else str(path)
    try:
        if path is None:
            text = files("interjudge.datasets").joinpath(where).read_text(encoding="utf-8")
        else:
            text = Path(path).read_text(encoding="utf-8")
        found = tomllib.loads(text).get("sets", {})
        if not found:
            raise InputError("holds no sets", file=where, expected=_EXPECTED)
        return {name: PublicSet(name=name, **said) for name, said in found.items()}
    except FileNotFoundError:
        raise InputError("there is no such file", file=path, expected="a list of sets (TOML)") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"is no list of sets: {place}: {first['msg']}", file=where, expected=_EXPECTED) from None
    except (OSError, ValueError, TypeError, AttributeError) as error:  # ValueError: no TOML, no UTF-8
        raise InputError(f"is no list of sets: {error}", file=where, expected=_EXPECTED) from None


def public_set(name: str, path: Path | str | None = None) -> PublicSet:
    """The set of that name.

    Raises
    ------
    InputError : there is none.
    """
    known = public_sets(path)
    if name not in known:
        raise InputError(f"no set {name!r}{did_you_mean(name, known)}", expected=f"one of {choices(known)}")
    return known[name]


def cache_folder() -> Path:
    """Where fetched files are kept: $INTERJUDGE_CACHE, else the user's own cache folder."""
    import pooch  # noqa: PLC0415 - only where something is fetched

    said = os.environ.get(CACHE_VARIABLE)
    return Path(said) if said else Path(pooch.os_cache("interjudge"))


def cached(one: PublicSet, folder: Path | None = None) -> dict[PublicFile, Path]:
    """The files of the set that are in the cache, whole and right."""
    import pooch  # noqa: PLC0415

    places = {file: place_of(one, file, folder or cache_folder()) for file in one.files}
    return {file: place for file, place in places.items() if place.is_file() and pooch.file_hash(place) == file.sha256}


def fetch(
    one: PublicSet,
    folder: Path | None = None,
    *,
    retries: int = 2,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Path]:
    """All files of the set, from the cache or from their project; the paths, in the set's order.

    A file that was broken off is fetched again from its beginning, files that are whole are not.

    Raises
    ------
    InterjudgeError : no connection, no such file there, or another content than the checksum says. Files fetched before
        stay in the cache; of one that fails nothing stays.
    """
    folder = folder or cache_folder()
    paths = []
    for done, file in enumerate(one.files):
        if progress is not None:
            progress(f"fetching {one.name}", done, len(one.files))
        paths.append(_fetch(one, file, folder, retries))
    if progress is not None:
        progress(f"fetching {one.name}", len(one.files), len(one.files))
    return paths


def place_of(one: PublicSet, file: PublicFile, folder: Path) -> Path:
    """Checksum and name: what changes at its project gets another place, and files of one name do not meet."""
    return folder / "sets" / one.name / file.sha256[:12] / PurePosixPath(file.path).name


def _fetch(one: PublicSet, file: PublicFile, folder: Path, retries: int) -> Path:
    import pooch  # noqa: PLC0415

    pooch.get_logger().setLevel(logging.WARNING)
    place, url = place_of(one, file, folder), one.url(file)
    keeper = pooch.create(
        path=place.parent,
        base_url="",
        registry={place.name: f"sha256:{file.sha256}"},
        urls={place.name: url},
        retry_if_failed=retries,
    )
    try:
        keeper.fetch(place.name, downloader=pooch.HTTPDownloader(timeout=_TIMEOUT_S))
    except OSError as error:
        raise InterjudgeError(f"{one.name}: {_why(error, url, place)}") from None
    except ValueError:  # pooch's word for a wrong checksum
        raise InterjudgeError(
            f"{one.name}: {url}: what came is not the file of the list (another SHA-256 than {file.sha256}); "
            "nothing was kept"
        ) from None
    return place


def _why(error: OSError, url: str, place: Path) -> str:
    """What went wrong on the way, in a line, and what can be done without a network."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"{url}: the server answers {status}; the file may have moved"
    if isinstance(error, PermissionError | FileExistsError | NotADirectoryError) or error.errno is not None:
        return f"{place}: cannot be written: {error.strerror or error} (another folder: ${CACHE_VARIABLE})"
    host = urlsplit(url).hostname
    kind = type(error).__name__
    return (
        f"no answer from {host} ({kind}); without a network, put the file from {url} to {place} by other means: "
        "it is taken when its checksum is right"
    )


def described(one: PublicSet) -> dict[str, Any]:
    """The set as plain data, with the addresses of its files."""
    said = one.model_dump(exclude={"files"}, exclude_none=True)
    return {**said, "files": [{"url": one.url(f), "sha256": f.sha256, "size": f.size} for f in one.files]}
