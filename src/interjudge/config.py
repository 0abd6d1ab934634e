"""The file of `interjudge run`: what is judged, by whom, what is compared, and where the report goes.

TOML; every key is checked, and no key of a service may stand in it: it names the environment variable instead.
Paths are relative to the file. `run_example.toml` beside this module shows every key; docs/run.md says what each does.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, PrivateAttr, ValidationError

from interjudge.agreement.question import Level, parse_map
from interjudge.agreement.require import Requirement, parse_require
from interjudge.config_check import Place, in_words, refuse_keys, refuse_secrets, where
from interjudge.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from interjudge.agreement.analysis import QuestionSpec
    from interjudge.agreement.sampling import Sampling
    from interjudge.judges.base import Judge

EXAMPLE: Final = "run_example.toml"
DEMO: Final = "demo"  # as a file of outputs or of reference labels: the bundled set

_HAS_OPTIONS: Final = re.compile(r"\?[\w-]+=[^?]*$")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _file_alone(given: object) -> object:
    """`outputs = "a.jsonl"` is short for `outputs = { file = "a.jsonl" }`."""
    return {"file": given} if isinstance(given, str) else given


def _one_alone(given: object) -> object:
    """`[question]` is short for one `[[question]]`."""
    return [given] if isinstance(given, Mapping) else given


def _named(given: object) -> object:
    """`judge = ["keyword:default"]` is short for `[[judge]]` with a name alone."""
    several = given if isinstance(given, list) else [given]
    return [{"name": one} if isinstance(one, str) else one for one in several]


class OutputsPart(_Part):
    """`limit`: only the first so many."""

    file: str = Field(min_length=1)
    limit: int | None = Field(None, ge=1)


class JudgePart(_Part):
    """`name` as for `score -j`; `called`: its name in the tables. Any other key is an option of that judge."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    name: str = Field(min_length=1)
    called: str | None = Field(None, min_length=1)

    @property
    def options(self) -> dict[str, Any]:
        named = {"name": self.called} if self.called is not None else {}
        return {**(self.model_extra or {}), **named}

    @property
    def spec(self) -> str:
        """Name and options as `get_judge` takes them: ``openai/gpt-5-mini@harm5?temperature=0``."""
        return self._spec(self.options)

    def made(self) -> Judge:
        """The judge, under the name that it is `called`.

        Raises
        ------
        InputError : it cannot be made.
        """
        from interjudge.judges.registry import get_judge  # noqa: PLC0415

        try:
            return get_judge(self.spec)
        except InputError:
            if self.called is None:
                raise
        # Not every family has an option for the name, which is no part of what a judge is.
        return replace(get_judge(self._spec(self.model_extra or {})), name=self.called)

    def _spec(self, options: Mapping[str, Any]) -> str:
        said = "&".join(f"{key}={_option(value)}" for key, value in options.items())
        more = "&" if _HAS_OPTIONS.search(self.name) else "?"
        return f"{self.name}{more}{said}" if said else self.name


class QuestionPart(_Part):
    """What is compared: the options of `agree` of the same names; `require` holds of this question."""

    construct_name: str | None = Field(None, alias="construct")  # BaseModel has a `construct` of its own
    labels: list[str] = []
    positive: str | None = None
    level: Level | None = None
    maps: list[str] = []
    thresholds: dict[str, float] = {}
    require: list[str] = []

    def specified(self) -> QuestionSpec:
        from interjudge.agreement.analysis import QuestionSpec  # noqa: PLC0415 - it loads scipy

        return QuestionSpec(
            construct=self.construct_name,
            labels=tuple(self.labels),
            positive=self.positive,
            level=self.level,
            maps=tuple(parse_map(text) for text in self.maps),
            thresholds=self.thresholds,
        )

    def required(self) -> list[Requirement]:
        return [parse_require(text) for text in self.require]


class ReferencePart(_Part):
    """Labels taken as true: a `file` (`column`: which of its columns), a `judge`, or a `column` of the outputs."""

    file: str | None = Field(None, min_length=1)
    judge: str | None = None
    column: str | None = None


class AnalysisPart(_Part):
    by: list[str] = []
    cluster: str | None = None
    replicates: int = Field(1000, ge=0, le=1_000_000)
    seed: int = Field(0, ge=0)
    confidence: float = Field(0.95, gt=0, lt=1)
    max_missing: float | None = Field(None, ge=0, le=1)

    def sampling(self) -> Sampling:
        from interjudge.agreement.sampling import Sampling  # noqa: PLC0415

        return Sampling(replicates=self.replicates, seed=self.seed, confidence=self.confidence)


class ReportPart(_Part):
    """`redact`: no file that the run writes holds a prompt, a response or what a judge wrote of it."""

    folder: str = Field("report", min_length=1)
    title: str | None = None
    redact: bool = False
    full: bool = False


class LimitsPart(_Part):
    """What may be asked: all but `repeats` of judges behind a network alone. None leaves it to the runner.

    `batch`: through the providers' batch APIs, where a judge has one.
    """

    repeats: int = Field(1, ge=1)
    concurrency: int | None = Field(None, ge=1)
    rpm: float | None = Field(None, gt=0)
    tpm: float | None = Field(None, gt=0)
    max_cost: float | None = Field(None, ge=0)
    max_requests: int | None = Field(None, ge=0)
    timeout: float | None = Field(None, gt=0)
    prices: str | None = Field(None, min_length=1)
    batch: bool = False


class Config(_Part):
    """A whole run. `path` is the file as the user named it; `folder` what its paths are relative to."""

    outputs: Annotated[OutputsPart, BeforeValidator(_file_alone)]
    judge: Annotated[list[JudgePart], BeforeValidator(_named), Field(min_length=1)]
    store: str | None = Field(None, min_length=1)
    question: Annotated[list[QuestionPart], BeforeValidator(_one_alone)] = []
    reference: Annotated[ReferencePart, BeforeValidator(_file_alone)] | None = None
    analysis: AnalysisPart = AnalysisPart()
    report: ReportPart = ReportPart()
    limits: LimitsPart = LimitsPart()

    _path: Path = PrivateAttr(Path("run.toml"))

    @property
    def path(self) -> Path:
        return self._path

    def at(self, place: str) -> Path:
        """A path of the file, from where the user stands."""
        return self._path.parent / Path(place).expanduser()

    @property
    def outputs_file(self) -> Path:
        return self._bundled(self.outputs.file, "outputs")

    @property
    def reference_file(self) -> Path | None:
        if self.reference is None or self.reference.file is None:
            return None
        return self._bundled(self.reference.file, "reference")

    @property
    def store_file(self) -> Path:
        """Where verdicts are kept; by default beside the file, under its name."""
        return self._path.with_suffix(".db") if self.store is None else self.at(self.store)

    @property
    def prices_file(self) -> Path | None:
        return None if self.limits.prices is None else self.at(self.limits.prices)

    @property
    def report_folder(self) -> Path:
        return self.at(self.report.folder)

    def _bundled(self, place: str, kind: str) -> Path:
        if place != DEMO:
            return self.at(place)
        return Path(str(files("interjudge.datasets").joinpath(f"demo_{kind}.parquet")))

    def judges(self) -> list[Judge]:
        """The judges, made where the file stands, so that a judge's own paths are relative to it too.

        Raises
        ------
        InputError : a judge cannot be made; says which one of the file.
        """
        made = []
        for number, part in enumerate(self.judge, 1):
            try:
                with chdir(self._path.parent):
                    made.append(part.made())
            except InputError as error:
                raise InputError(str(error), file=self._path, row=f"judge {number}") from error
        return made

    def recorded(self) -> dict[str, JsonValue]:
        """What the file said, for a report's provenance: files without their folders, judges without key variables."""
        said = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        said["judge"] = [{k: v for k, v in judge.items() if k != "key_env"} for judge in said["judge"]]
        for part, key in (("outputs", "file"), ("reference", "file"), ("report", "folder"), ("limits", "prices")):
            if said.get(part, {}).get(key):
                said[part][key] = Path(said[part][key]).name
        if "store" in said:
            said["store"] = Path(said["store"]).name
        return said


def read_config(path: Path | str) -> Config:
    """The run that a TOML file describes.

    Raises
    ------
    InputError : no such file, no TOML, something in it that looks like a key of a service, a key of the file that
        is not known, missing, or of another type than expected; says which.
    """
    path = Path(path)
    text = _text(path)
    refuse_keys(text, path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not TOML: {error}", file=path, expected=_STARTED) from None
    refuse_secrets(data, path)
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise in_words(error.errors(include_url=False)[0], path, _keys) from None
    config._path = path  # the file's own place is no key of it
    _check(config, path)
    return config


_STARTED: Final = "a file as `interjudge run --init` writes it"


def example() -> str:
    """The commented example that `interjudge run --init` writes."""
    return files("interjudge").joinpath(EXAMPLE).read_text(encoding="utf-8")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", file=path, expected=_STARTED) from None
    except FileNotFoundError:
        near = did_you_mean(path.name, os.listdir(path.parent) if path.parent.is_dir() else [])
        raise InputError(f"no such file{near}", file=path, expected=_STARTED) from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise InputError(f"cannot be read: {reason.lower()}", file=path, expected=_STARTED) from None


def _check(config: Config, path: Path) -> None:
    """What no single key shows."""
    for number, question in enumerate(config.question):
        parts: tuple[tuple[str, Callable[[], object]], ...] = (
            ("maps", question.specified),
            ("require", question.required),
        )
        for key, read in parts:
            try:
                read()
            except InputError as error:
                raise InputError(str(error), file=path, row=where(("question", number, key))) from None
    for number, judge in enumerate(config.judge):
        for key, value in judge.options.items():
            if not _is_option(value):
                raise InputError(
                    "is no option of a judge", file=path, row=where(("judge", number, key)),
                    found=type(value).__name__, expected="a text, a number, true, false, or a list of these",
                )  # fmt: skip
    reference = config.reference
    if reference is not None:
        said = sum(one is not None for one in (reference.file or reference.column, reference.judge))
        if said != 1:
            expected = "one of file (with column, where it is not 'gold'), judge, or column alone (of the outputs)"
            raise InputError("says where the labels are not once", file=path, row="key 'reference'", expected=expected)


def _keys(place: Place) -> list[str]:
    """The keys that may stand in a part of the file."""
    part: type[BaseModel] = _PARTS.get(str(place[0]), Config) if place else Config
    return [field.alias or name for name, field in part.model_fields.items()]


_PARTS: Final[dict[str, type[BaseModel]]] = {
    "outputs": OutputsPart, "judge": JudgePart, "question": QuestionPart, "reference": ReferencePart,
    "analysis": AnalysisPart, "report": ReportPart, "limits": LimitsPart,
}  # fmt: skip


def _is_option(value: object) -> bool:
    return isinstance(value, str | int | float | bool) or (
        isinstance(value, list) and all(isinstance(one, str | int | float | bool) for one in value)
    )


def _option(value: object) -> str:
    """A value as it stands behind `?` in a judge's name: only what would end it is encoded."""
    if isinstance(value, list):
        return ",".join(_option(one).replace(",", "%2C") for one in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return quote(str(value), safe=" /:@.,-_~!$'()*;=[]{}|<>")
