"""The fields of a guard's format file, each of the type it must be; docs/guards.md says what they mean."""

from __future__ import annotations

import tomllib
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from interjudge.errors import InputError, choices, did_you_mean

Form = Literal["words", "json", "number"]
Where = Literal["next line", "marked line", "json"]

_TEXT: Final = Field(min_length=1)
Text = Annotated[str, _TEXT]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class MessagePart(_Part):
    """One turn: `content` is a Jinja text over the columns of an output and the options."""

    role: Text
    content: Text


class VerdictPart(_Part):
    """Where the verdict stands in a reply, and what it looks like.

    `before`, `after`: what stands around it, in the text. `start`: what the local engine makes the reply begin with,
    so that the verdict is the next token, and `gap` what it would write between the two. `alone`: nothing else stands
    on its line. `pieces`: a token that only begins a word of one verdict counts for it.
    """

    form: Form = "words"
    words: dict[str, Annotated[list[Text], Field(min_length=1)]] = {}
    before: str = ""
    after: str = ""
    key: str = ""
    start: str = ""
    gap: str = ""
    alone: bool = True
    pieces: bool = True
    range: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None


class CategoriesPart(_Part):
    """Codes (or names, where there are none) of one version of a taxonomy, and where a reply lists them."""

    version: Text
    where: Where = "next line"
    before: str = ""
    key: str = ""
    start: str = "\n"
    codes: dict[str, Text] = {}
    names: list[Text] = []
    none: list[Text] = ["None"]


class NotePart(_Part):
    """Something more that a reply may say between two marks, kept with the verdict: `confidence tag: High`."""

    name: Text
    before: Text
    after: Text


class ThinkPart(_Part):
    """What is otherwise where the guard reasons first."""

    template: dict[str, Any] = {}
    max_tokens: Annotated[int, Field(ge=1)] = 2048
    default: bool = False


class ChoicePart(_Part):
    """One of several questions that a guard answers; what it does not say is as the file says.

    Labels of its own without a verdict of its own stand for the same words, in the same order.
    """

    means: str = ""
    construct_name: Text | None = Field(None, alias="construct")
    labels: Annotated[list[Text], Field(min_length=2)] | None = None
    positive: Annotated[list[Text], Field(min_length=1)] | None = None
    message: list[MessagePart] | None = None
    template: dict[str, Any] | None = None
    verdict: VerdictPart | None = None
    categories: bool = True


class GuardFile(_Part):
    title: Text
    construct_name: Text = Field(alias="construct")
    labels: Annotated[list[Text], Field(min_length=2)]
    positive: Annotated[list[Text], Field(min_length=1)] | None = None
    source: list[Text] = []
    verified: str = ""
    models: dict[str, Text] = {}
    fits: list[Text] = []
    message: list[MessagePart] = []
    parts: bool = False
    template: dict[str, Any] = {}
    prompt_from: Text | None = None
    prompt_file: Text | None = None
    criteria_from: Text | None = None
    custom: Text | None = None
    option: Literal["risk", "answer"] | None = None
    default: Text | None = None
    choice: dict[str, ChoicePart] = {}
    verdict: VerdictPart
    categories: CategoriesPart | None = None
    note: list[NotePart] = []
    think: ThinkPart | None = None
    threshold: Share = 0.5
    max_tokens: Annotated[int, Field(ge=1)] = 32


def read_guard_file(text: str, path: str) -> GuardFile:
    """The fields of a format file.

    Raises
    ------
    InputError : it is not TOML, or a field is missing, not known, or not of its type.
    """
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"is not TOML: {error}", file=path) from None
    try:
        return GuardFile.model_validate(data)
    except ValidationError as error:
        raise _in_words(error, path) from None


_PARTS: Final[dict[str, type[BaseModel]]] = {
    "message": MessagePart, "verdict": VerdictPart, "categories": CategoriesPart, "note": NotePart,
    "think": ThinkPart, "choice": ChoicePart,
}  # fmt: skip
_MISSING: Final = {
    "title": 'what the guard is called, such as title = "Llama Guard 3"',
    "construct": 'what is measured, such as construct = "harm"',
    "labels": 'such as labels = ["safe", "unsafe"], the one that the guard looks for last',
    "verdict": "a table [verdict] with the words of each label",
    "role": 'such as role = "user"',
    "content": 'such as content = "{{ response }}"',
    "version": "whose categories these are, with its version",
}
_EXPECTED: Final = {
    "string_type": "a text in quotes", "int_type": "a whole number", "float_type": "a number",
    "list_type": "a list", "dict_type": "a table", "model_type": "a table", "string_too_short": "a text",
    "too_short": "more", "too_long": "less", "finite_number": "a finite number", "bool_type": "true or false",
    "model_attributes_type": "a table", "greater_than": "a number above 0, and at most 1",
    "less_than_equal": "a number above 0, and at most 1",
}  # fmt: skip


def _in_words(error: ValidationError, path: str) -> InputError:
    """The first thing that is wrong, with the field it is in; a field that is not known before one that is missing."""
    several = error.errors(include_url=False)
    first = next((one for one in several if one["type"] == "extra_forbidden"), several[0])
    place = first["loc"]
    field = ".".join(str(part + 1) if isinstance(part, int) else part for part in place)
    last = str(place[-1]) if place else ""
    if first["type"] == "extra_forbidden":
        known = _names(place[:-1])
        problem = f"unknown field {field!r}{did_you_mean(last, known)}"
        return InputError(problem, file=path, expected=f"one of {choices(known, 40)}")
    if first["type"] == "missing":
        return InputError(f"the field {field!r} is missing", file=path, expected=_MISSING.get(last))
    expected = _EXPECTED.get(first["type"]) or first["msg"].removeprefix("Input should be ")
    return InputError(f"field {field!r} is not understood", file=path, found=first["input"], expected=expected)


def _names(place: tuple[int | str, ...]) -> list[str]:
    """The fields that may stand at a place."""
    parts = [part for part in place if part in _PARTS]
    kind = _PARTS[str(parts[-1])] if parts else GuardFile
    return [field.alias or name for name, field in kind.model_fields.items()]
