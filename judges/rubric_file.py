"""The fields of a rubric file, each of the type it must be, and the files that stand beside it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from interjudge.datasets.schema import Status
from interjudge.errors import InputError, choices, did_you_mean

Reading = Literal["json", "tag", "pattern", "expected value"]

_EXAMPLE_FILES: Final = (".toml", ".jsonl")
_TEXT: Final = Field(min_length=1)

T = TypeVar("T", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _OptionPart(_Part):
    answer: Annotated[str, _TEXT]
    means: str = ""
    label: Annotated[str, _TEXT] | None = None
    score: Annotated[float, Field(allow_inf_nan=False)] | None = None


class _CodePart(_Part):
    answer: Annotated[str, Field(pattern=r"^[A-Z][A-Z_]*$")]
    means: str = ""
    label: Annotated[str, _TEXT] | None = None
    status: Status | None = None


class _CriterionPart(_Part):
    name: Annotated[str, Field(pattern=r"^[a-z][a-z_0-9]*$")]
    means: str = ""
    range: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None


class ExamplePart(BaseModel):
    """An example; besides these two fields, the columns of its output."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    answer: str | int | dict[str, str | int]
    rationale: str = ""


class _VariantPart(_Part):
    question: str | None = None
    instructions: str | None = None
    system: str | None = None
    user: str | None = None
    prompt: str | None = None
    means: dict[str, str] = {}


class RubricFile(_Part):
    """Every field a rubric file may have; docs/rubrics.md says what they mean."""

    construct_name: Annotated[str, _TEXT] = Field(alias="construct")  # BaseModel has names of its own
    question: str = ""
    instructions: str = ""
    labels: Annotated[list[Annotated[str, _TEXT]], Field(min_length=1)] | None = None
    option: list[_OptionPart] = []
    range: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    criterion: list[_CriterionPart] = []
    formula: str | None = None
    code: list[_CodePart] = []
    threshold: Annotated[float, Field(allow_inf_nan=False)] | None = None
    positive: str | None = None
    policy: str | None = None
    policy_file: str | None = None
    examples: list[ExamplePart] = []
    examples_file: str | None = None
    system: str | None = None
    user: str | None = None
    prompt: str | None = None
    read: Reading | None = None
    tag: Annotated[str, Field(pattern=r"^[A-Za-z][\w.-]*$")] | None = None
    pattern: str | None = None
    answer_schema: dict[str, Any] | None = Field(None, alias="schema")
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    variant: list[_VariantPart] = []


class _Examples(_Part):
    examples: Annotated[list[ExamplePart], Field(min_length=1)]


def read_rubric_file(text: str, path: str) -> RubricFile:
    """The fields of a rubric file.

    Raises
    ------
    InputError : it is not TOML, or a field is missing, not known, or not of its type.
    """
    return _validated(RubricFile, _toml(text, path), path)


def read_examples(path: str) -> list[ExamplePart]:
    """Examples from a ``.toml`` file (`[[examples]]`) or a ``.jsonl`` file (one a line).

    Raises
    ------
    InputError : the file cannot be read, or holds something else.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".toml":
        return _validated(_Examples, _toml(read_text(path), path), path).examples
    if suffix != ".jsonl":
        raise InputError("holds no examples", file=path, expected=f"a file that ends in {choices(_EXAMPLE_FILES)}")
    found = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            try:
                found.append(json.loads(line))
            except (ValueError, RecursionError):
                raise InputError("is not JSON", file=path, row=f"line {number}", found=line) from None
    return _validated(_Examples, {"examples": found}, path).examples


def read_text(path: str) -> str:
    """The text of a file.

    Raises
    ------
    InputError : there is none, or it is not UTF-8.
    """
    try:
        return Path(path).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        raise InputError("there is no such file", file=path) from None
    except IsADirectoryError:
        raise InputError("this is a directory", file=path, expected="a file") from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", file=path) from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", file=path) from None


def _toml(text: str, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"is not TOML: {error}", file=path) from None


def _validated(kind: type[T], data: object, path: str) -> T:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise _in_words(error, kind, path) from None


def _in_words(error: ValidationError, kind: type[BaseModel], path: str) -> InputError:
    """The first thing that is wrong, with the field it is in."""
    first = error.errors(include_url=False)[0]
    place = tuple(part for part in first["loc"] if part not in _BRANCHES)
    field = _where(place)
    if first["type"] == "extra_forbidden":
        known = _names(kind, place[:-1])
        problem = f"unknown field {field!r}{did_you_mean(str(place[-1]), known)}"
        return InputError(problem, file=path, expected=f"one of {choices(known, 40)}")
    if first["type"] == "missing":
        return InputError(f"the field {field!r} is missing", file=path, expected=_MISSING.get(str(place[-1])))
    expected = _EXPECTED.get(first["type"]) or first["msg"].removeprefix("Input should be ")
    if first["type"] == "string_pattern_mismatch":
        expected = _PATTERNS.get(str(place[-1]), expected)
    return InputError(f"field {field!r} is not understood", file=path, found=first["input"], expected=expected)


_BRANCHES: Final = ("str", "int", "dict[str,union[str,int]]", "dict[str,union[str, int]]")
_MISSING: Final = {
    "construct": 'what is measured, such as construct = "harm"',
    "answer": "what the judge answers",
    "name": 'a name, such as name = "refused"',
}
_EXPECTED: Final = {
    "string_type": "a text in quotes", "int_type": "a whole number", "float_type": "a number",
    "list_type": "a list", "dict_type": "a table", "model_type": "a table", "string_too_short": "a text",
    "too_short": "more", "too_long": "less", "finite_number": "a finite number",
}  # fmt: skip
_PATTERNS: Final = {
    "answer": "a word in capitals, such as REFUSAL",
    "name": "a name in small letters, such as refused",
    "tag": "the name of a tag without its brackets, such as answer",
}


def _names(kind: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The fields that may stand at a place."""
    parts: dict[str, type[BaseModel]] = {
        "option": _OptionPart, "code": _CodePart, "criterion": _CriterionPart, "variant": _VariantPart,
    }  # fmt: skip
    part = parts.get(str(place[0]), kind) if place else kind
    return [field.alias or name for name, field in part.model_fields.items()]


def _where(place: tuple[int | str, ...]) -> str:
    """`("option", 1, "score")` -> `option 2: score`."""
    words = [f"{part + 1}" if isinstance(part, int) else part for part in place]
    return " ".join(words[:2]) + "".join(f": {word}" for word in words[2:]) if len(words) > 1 else "".join(words)
