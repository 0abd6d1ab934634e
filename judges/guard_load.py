"""The formats of guards, as TOML files: the built-in ones are `guard_*.toml` beside this file, anybody's own works the
same. docs/guards.md explains the fields.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final, NoReturn

from jinja2 import TemplateSyntaxError

from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges.guard_file import ChoicePart, GuardFile, MessagePart, VerdictPart, read_guard_file
from interjudge.judges.guard_format import OPTIONS, RESPONSE, Format
from interjudge.judges.guard_template import texts, variables
from interjudge.judges.rubric import CONSTRUCT_LABELS
from interjudge.judges.rubric_file import read_text

_PROMPT: Final = "{{ instructions }}"  # the turn whose text is the user's file


@dataclass(frozen=True)
class Wanted:
    """What the user wants of a format; None leaves it to the file. `turn`: which turn is judged."""

    choice: str | None = None
    turn: str | None = None
    construct: str | None = None
    criteria: str | None = None
    prompt: str | None = None
    think: bool | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Guard:
    """A format file as it was read, before a question is chosen. `path` is what errors call it."""

    path: str
    part: GuardFile
    own: bool = False

    @property
    def name(self) -> str:
        return Path(self.path).stem if self.own else self.path

    def fits(self, model: str) -> bool:
        ids = self.part.models.values()
        known = [*ids, *(one.rpartition("/")[2] for one in ids), *self.part.fits]
        return any(fnmatch.fnmatchcase(model.casefold(), one.casefold()) for one in known)

    def ready(self) -> bool:
        """Whether it can be asked without a text that the user must give."""
        return self.part.prompt_from is None and self.part.criteria_from is None

    def format(self, wanted: Wanted) -> Format:
        """The question that is wanted.

        Raises
        ------
        InputError : there is no such question, or it needs a text that was not given, or one has no use.
        """
        return _Maker(self, wanted).format()


@cache
def built_in() -> Mapping[str, Guard]:
    """The formats that are part of the package, by their names."""
    found = {}
    for file in sorted(files("interjudge.judges").iterdir(), key=lambda file: file.name):
        name = re.fullmatch(r"guard_(\w+)\.toml", file.name)
        if name:
            found[name[1]] = Guard(name[1], read_guard_file(file.read_text("utf-8"), file.name))
    return found


def models() -> dict[str, str]:
    """Short name -> model id, of all built-in formats."""
    return {name: model for guard in built_in().values() for name, model in guard.part.models.items()}


def model_id(name: str) -> str:
    """The model id of a short name, or of an id in other capitals; anything else as it is."""
    ids = models()
    known = {one.casefold(): one for one in ids.values()}
    known |= {one.rpartition("/")[2].casefold(): one for one in ids.values()}
    known |= {short.casefold(): one for short, one in ids.items()}
    return known.get(name.casefold(), name)


def load_guard(name: str) -> Guard:
    """A built-in format by its name, or the one in a file whose name ends in ``.toml``.

    Raises
    ------
    InputError : there is none, or it cannot be used.
    """
    if name in built_in():
        return built_in()[name]
    if not name.lower().endswith(".toml"):
        expected = f"{choices(built_in(), 40)}, or a file such as ./my.toml"
        raise InputError(f"there is no guard format {name!r}{did_you_mean(name, built_in())}", expected=expected)
    return Guard(name, read_guard_file(read_text(name), name), own=True)


def guard_of(model: str) -> Guard:
    """The built-in format that fits a model id or a folder.

    Raises
    ------
    InputError : none does.
    """
    last = Path(model).name
    for guard in built_in().values():
        if guard.fits(model) or guard.fits(last):
            return guard
    known = [*models(), *built_in()]
    expected = f"one of {choices(models(), 40)}, or format=NAME or format=FILE.toml beside a model id or folder"
    raise InputError(f"no guard format is known for {model!r}{did_you_mean(model, known)}", expected=expected)


class _Maker:
    """From a file and what is wanted to a format."""

    def __init__(self, guard: Guard, wanted: Wanted) -> None:
        self.guard, self.part, self.wanted = guard, guard.part, wanted

    def format(self) -> Format:
        part = self.part
        chosen, choice = self._choice()
        think = self._think()
        values, own_files = self._values(chosen)
        given = choice.message if choice.message is not None else part.message
        prompt = None if self.prompt_file is None else read_text(self.prompt_file)
        text = prompt if not given else None
        messages = tuple(self._turns(given, prompt))
        template = {**part.template, **(choice.template or {}), **(part.think.template if part.think and think else {})}
        used = self._used([*([text] if text is not None else []), *(m.content for m in messages), *texts(template)])
        reads = tuple(sorted(used - OPTIONS))
        construct = self._construct(choice.construct_name or part.construct_name)
        labels = self._labels(choice, construct)
        verdict = self._renamed(choice.verdict or part.verdict, choice, labels)
        positive = tuple(choice.positive or (part.positive if list(labels) == part.labels else None) or labels[-1:])
        self._check(labels, positive, verdict)
        if not {"prompt", RESPONSE} & set(reads):
            self._wrong_text(
                "shows neither the prompt nor the response", "{{ prompt }} or {{ response }}, in two braces"
            )
        if self.wanted.criteria is not None and "criteria" not in used:
            self._refuse("it judges by a policy of its own", "no criteria")
        missing = sorted((used & OPTIONS) - set(values))
        if missing:
            self._wrong_text(f"names {missing[0]!r}, which nothing gives", f"?{missing[0]}=...")
        return Format(
            name=self.guard.name,
            title=part.title,
            construct=construct,
            labels=labels,
            positive=positive,
            messages=messages,
            parts=part.parts,
            text=text,
            template=template,
            values={name: value for name, value in values.items() if name in used},
            reads=reads,
            verdict=verdict,
            categories=part.categories if choice.categories else None,
            notes=tuple(part.note),
            threshold=self._threshold(labels),
            max_tokens=part.think.max_tokens if part.think and think else part.max_tokens,
            think=think,
            verified=part.verified,
            source=tuple(part.source),
            files=(*((self.guard.path,) if self.guard.own else ()), *own_files),
        )

    def _wrong(self, field: str, problem: str, expected: str | None = None, found: object = None) -> NoReturn:
        raise InputError(f"field {field!r}: {problem}", file=self.guard.path, found=found, expected=expected)

    def _wrong_text(self, problem: str, expected: str) -> NoReturn:
        """Of the file with the prompt where there is one: nearly all that is shown stands there."""
        if self.prompt_file is not None:
            raise InputError(problem, file=self.prompt_file, expected=expected)
        self._wrong("message", problem, expected)

    def _refuse(self, problem: str, expected: str | None = None, found: object = None) -> NoReturn:
        raise InputError(f"{self.part.title}: {problem}", found=found, expected=expected)

    def _construct(self, said: str) -> str:
        """What a prompt is judged for is another construct than what its response is."""
        if self.wanted.construct is not None:
            return self.wanted.construct
        return f"prompt_{said}" if self.wanted.turn == "prompt" else said

    def _labels(self, choice: ChoicePart, construct: str) -> tuple[str, ...]:
        """The labels of the question; of a construct that the user names, those that it goes by."""
        labels = tuple(choice.labels or self.part.labels)
        named = CONSTRUCT_LABELS.get(construct)
        return named if self.wanted.construct is not None and named and len(labels) == len(named) else labels

    def _renamed(self, verdict: VerdictPart, choice: ChoicePart, labels: Sequence[str]) -> VerdictPart:
        """A verdict with its words under other labels, in the same order."""
        olds = choice.labels if choice.verdict is not None and choice.labels else self.part.labels
        if verdict.form == "number" or list(labels) == olds:
            return verdict
        if len(labels) != len(olds) or set(verdict.words) != set(olds):
            self._wrong("choice.labels", "nothing says what their words are", "a verdict with words of its own")
        words = {new: verdict.words[old] for new, old in zip(labels, olds, strict=True)}
        return verdict.model_copy(update={"words": words})

    def _choice(self) -> tuple[str | None, ChoicePart]:
        part, wanted = self.part, self.wanted.choice
        if not part.choice:
            if wanted is not None:
                self._refuse("it answers one question alone", "no risk and no answer", wanted)
            return None, ChoicePart()
        if part.default not in part.choice:
            self._wrong("default", "it is none of the choices", choices(part.choice), part.default)
        if wanted is None and self.wanted.criteria is not None and part.custom is not None:
            wanted = part.custom
        name = wanted if wanted is not None else str(part.default)
        if name not in part.choice:
            option = part.option or "risk"
            self._refuse(f"there is no {option} {name!r}{did_you_mean(name, part.choice)}", choices(part.choice, 40))
        return name, part.choice[name]

    def _think(self) -> bool:
        wanted, part = self.wanted.think, self.part.think
        if part is None:
            if wanted:
                self._refuse("it has no mode in which it reasons first", "no think")
            return False
        if wanted is False and part.default and not part.template:
            self._refuse("it always reasons before its verdict", "no think=false")
        return part.default if wanted is None else wanted

    def _threshold(self, labels: Sequence[str]) -> float:
        wanted = self.wanted.threshold
        if wanted is None:
            return self.part.threshold
        if len(labels) > 2:
            self._refuse("with more than two labels the likeliest counts, and there is no threshold", "no threshold")
        if not 0 < wanted <= 1:
            self._refuse("one label would never be given", "a threshold above 0, and at most 1", wanted)
        return wanted

    @property
    def prompt_file(self) -> str | None:
        """The file with the guard's prompt: the user's, or the one that its format names.

        Raises
        ------
        InputError : there is none where one is needed, or one where none is.
        """
        part, wanted = self.part, self.wanted.prompt
        if wanted is None and part.prompt_file is not None:
            return str(Path(self.guard.path).parent / part.prompt_file)
        if wanted is None and part.prompt_from is not None:
            self._refuse(
                "its prompt belongs to its publisher and is no part of this package",
                f"prompt=FILE with the text that stands at {part.prompt_from}",
            )
        if wanted is not None and part.prompt_from is None and part.prompt_file is None:
            self._refuse("its prompt is part of its tokenizer's chat template", "no prompt")
        return wanted

    def _turns(self, messages: Sequence[MessagePart], prompt: str | None) -> list[MessagePart]:
        """The turns with the user's prompt in its place; without the response where the prompt is what is judged."""
        turns = [m if m.content != _PROMPT else MessagePart(role=m.role, content=prompt or "") for m in messages]
        turn = self.wanted.turn
        if turn is None or turn == RESPONSE:
            return turns
        if turn != "prompt":
            self._refuse("no such turn", "turn=prompt or turn=response", turn)
        kept = [message for message in turns if RESPONSE not in self._used([message.content])]
        if len(kept) == len(turns) or "prompt" not in self._used([message.content for message in kept]):
            self._refuse("it cannot judge a prompt without its response in this way", "no turn")
        return kept

    def _values(self, chosen: str | None) -> tuple[dict[str, str], list[str]]:
        """The texts that the templates are given, and the files of the user's that were read."""
        part, criteria = self.part, self.wanted.criteria
        values: dict[str, str] = {part.option or "risk": chosen} if chosen is not None else {}
        read = [] if self.prompt_file is None else [self.prompt_file]
        if criteria is not None:
            if criteria.lower().endswith((".txt", ".md")):
                read.append(criteria)
                criteria = read_text(criteria).strip()
            values["criteria"] = criteria
            if chosen is not None and part.custom is not None and chosen != part.custom:
                self._refuse(f"criteria belong to {part.option or 'risk'}={part.custom}", "criteria alone", chosen)
        elif part.criteria_from is not None or (chosen is not None and chosen == part.custom):
            where = f" (the publisher's own stand at {part.criteria_from})" if part.criteria_from else ""
            self._refuse("it judges by criteria that you give", f"criteria=TEXT or criteria=FILE.md{where}")
        return values, read

    def _check(self, labels: Sequence[str], positive: Sequence[str], verdict: VerdictPart) -> None:
        twice = next((label for label in labels if list(labels).count(label) > 1), None)
        if twice is not None:
            self._wrong("labels", "one of them stands twice", "each once", twice)
        odd = next((label for label in positive if label not in labels), None)
        if odd is not None:
            self._wrong("positive", f"there is no label {odd!r}{did_you_mean(odd, labels)}", choices(labels))
        if set(positive) == set(labels):
            self._wrong("positive", "no label is left for the other side", "some of the labels, not all", positive)
        if verdict.form == "number":
            if verdict.range is None or not 0 <= verdict.range[0] < verdict.range[1] <= 9:
                self._wrong("verdict.range", "one digit is read", "[LOW, HIGH] between 0 and 9", verdict.range)
            if len(labels) != 2:
                self._wrong("labels", "a number has two sides of its threshold", "two labels")
            return
        if verdict.range is not None:
            self._wrong("verdict.range", "belongs to a verdict that is a number", 'form = "number"')
        if set(verdict.words) != set(labels):
            self._wrong("verdict.words", "they are not those of the labels", choices(labels), sorted(verdict.words))
        words = [word.casefold() for known in verdict.words.values() for word in known]
        twice = next((word for word in words if words.count(word) > 1), None)
        if twice is not None:
            self._wrong("verdict.words", "one of them means two labels, or stands twice", "each once", twice)
        if (verdict.form == "json") != bool(verdict.key):
            self._wrong("verdict.key", "names the field of a reply in JSON", 'form = "json" with a key')

    def _used(self, sources: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for source in sources:
            try:
                found |= variables(source)
            except TemplateSyntaxError as error:
                self._wrong_text(f"is no template: {error.message} (its line {error.lineno})", "Jinja2")
        return found
