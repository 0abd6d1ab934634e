"""The report as one object: its opening sentences, the results of every question, and where they come from.

`report.json` is this object; its schema stands in docs/report.schema.json. Everything in it is the same byte
for byte when the same inputs are analysed with the same versions and options, but for `provenance.run`.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, JsonValue

from interjudge.agreement.results import Result
from interjudge.agreement.results_question import QuestionResult
from interjudge.reports.escape import visible
from interjudge.reports.sentences import summary

SCHEMA_VERSION: Final = "1"
DEFAULT_TITLE: Final = "How far can these judges be trusted?"


class InputFile(Result):
    """A file that was read: its name without folders, its rows, and the SHA-256 of its bytes.

    `sha256` is null for standard input, for a pipe, and for a verdict store, which other processes may be writing.
    """

    name: str
    rows: int | None
    sha256: str | None

    @classmethod
    def of(cls, path: Path | str, rows: int | None, *, hashed: bool = True) -> InputFile:
        """Describe the file at `path` (``-``: standard input)."""
        if str(path) == "-":
            return cls(name="-", rows=rows, sha256=None)
        path = Path(path)
        digest = None
        if hashed and path.is_file():  # a pipe can be read only once, and was
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(name=visible(path.name), rows=rows, sha256=digest)


class JudgeUsed(Result):
    """A judge behind the report; `stored`: its verdicts were read, it was not run."""

    judge: str
    kind: str
    construct_name: str = Field(alias="construct")  # BaseModel has a `construct` of its own
    hash: str | None = None
    stored: bool = False


class Run(Result):
    """The one place for what differs between two runs of the same analysis."""

    created_at: str | None = None
    duration_s: float | None = None


class Provenance(Result):
    """Versions, inputs, judges, seed and options (never a key) behind a report."""

    interjudge: str
    python: str
    polars: str
    numpy: str
    inputs: tuple[InputFile, ...] = ()
    judges: tuple[JudgeUsed, ...] = ()
    seed: int | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)
    run: Run = Run()

    @classmethod
    def collect(
        cls,
        *,
        inputs: Sequence[InputFile] = (),
        judges: Sequence[JudgeUsed] = (),
        seed: int | None = None,
        options: Mapping[str, JsonValue] | None = None,
        run: Run | None = None,
    ) -> Provenance:
        """Fill in the versions of what is running."""
        import numpy as np  # noqa: PLC0415 - reading a report needs neither
        import polars as pl  # noqa: PLC0415

        from interjudge import __version__  # noqa: PLC0415

        return cls(
            interjudge=__version__,
            python=platform.python_version(),
            polars=pl.__version__,
            numpy=np.__version__,
            inputs=tuple(inputs),
            judges=tuple(judges),
            seed=seed,
            options=dict(options or {}),
            run=run or Run(),
        )


class Report(Result):
    """What every writer writes. `summary` opens it: the answer in plain sentences.

    `redacted`: prompts and responses were left out of it and of all files beside it.
    """

    schema_version: Literal["1"] = SCHEMA_VERSION
    title: str
    summary: tuple[str, ...]
    questions: tuple[QuestionResult, ...]
    provenance: Provenance
    redacted: bool = False

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON Schema of `report.json`."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **cls.model_json_schema(by_alias=True, mode="validation"),
        }


def build_report(questions: Sequence[QuestionResult], *, provenance: Provenance, title: str = DEFAULT_TITLE) -> Report:
    """The results of every question, with the sentences that answer them. Nothing is computed here."""
    return Report(
        title=visible(title, 200), summary=summary(questions), questions=tuple(questions), provenance=provenance
    )
