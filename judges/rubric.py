"""Rubrics: what an LLM judge is asked, what it may answer, and what an answer means, as a TOML file.

The built-in ones are `rubric_*.toml` beside this file; anybody's own works the same. docs/rubrics.md explains the
fields. `judges.rubric_prompt` writes the request, `judges.rubric_reply` reads the answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NoReturn

from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges import rubric_schema, rubric_template
from interjudge.judges.rubric_file import Reading, RubricFile, read_examples, read_rubric_file, read_text
from interjudge.judges.rubric_scale import ANSWER, Code, Criterion, FormulaError, Option, Scale, Unreadable

# The labels of the constructs that have names (`agreement.question`; a test holds the two together).
CONSTRUCT_LABELS: Final = {
    "refusal": ("compliance", "refusal"),
    "harm": ("safe", "unsafe"),
    "coherence": ("coherent", "incoherent"),
}
# A number and nothing else, but as much as OpenAI's Responses API wants at least; else reasons and an answer.
_MAX_TOKENS: Final[dict[bool, int]] = {True: 16, False: 1024}


@dataclass(frozen=True)
class Example:
    """An output with its answer (a JSON value for each field of the scale), shown to the judge."""

    output: tuple[tuple[str, str], ...]
    answer: tuple[tuple[str, object], ...]
    rationale: str = ""


@dataclass(frozen=True)
class Rubric:
    """One rubric in one wording.

    Attributes
    ----------
    name : a built-in name, or the file's name without its ending.
    system, user : Jinja2 sources of the two messages; `custom`: the file's own, not the default ones.
    reads : the columns of an output that they show.
    schema : of a whole reply. `positive`: the label that the question is about; for readers alone.
    """

    name: str
    construct: str
    question: str
    instructions: str
    scale: Scale
    reading: Reading
    schema: Mapping[str, Any]
    system: str
    user: str
    reads: tuple[str, ...]
    custom: bool = False
    policy: str = ""
    examples: tuple[Example, ...] = ()
    tag: str = ANSWER
    pattern: str = ""
    positive: str | None = None
    max_tokens: int = 1024
    files: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """64 hex digits over `identity`."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()

    def identity(self) -> dict[str, object]:
        """All of it that decides a verdict, as JSON-able values: neither the name nor where it stands."""
        known = asdict(self)
        for name in ("name", "files", "custom", "positive", "max_tokens", "reads"):
            del known[name]
        found: dict[str, object] = json.loads(json.dumps(known))
        return found


def built_in() -> tuple[str, ...]:
    """The names of the rubrics that are part of the package."""
    names = (re.fullmatch(r"rubric_(\w+)\.toml", file.name) for file in files("interjudge.judges").iterdir())
    return tuple(sorted(found[1] for found in names if found))


def load_rubric(
    name: str,
    *,
    variant: int = 1,
    threshold: float | None = None,
    policy: str | None = None,
    examples: str | None = None,
) -> Rubric:
    """A built-in rubric by its name, or the one in a file whose name ends in ``.toml``.

    Parameters
    ----------
    variant : 1 is the file's main wording; 2, 3, ... are its `[[variant]]`s in order.
    threshold : instead of the file's.
    policy, examples : files instead of the rubric's own.

    Raises
    ------
    InputError : there is no such rubric, variant or file, or what is in it cannot be used; names file and field.
    """
    if name in built_in():
        path, text = name, files("interjudge.judges").joinpath(f"rubric_{name}.toml").read_text("utf-8")
        own: tuple[str, ...] = ()
    elif name.lower().endswith(".toml"):
        path, text = name, read_text(name)
        own = (name,)
    else:
        expected = f"{choices(built_in())}, or a file such as ./my.toml"
        raise InputError(f"there is no rubric {name!r}{did_you_mean(name, built_in())}", expected=expected)
    return _Loader(path, text, own).rubric(variant, threshold, policy, examples)


@dataclass(frozen=True)
class _Loader:
    """From the text of one rubric file to a rubric; `path` is what errors call it."""

    path: str
    text: str
    own: tuple[str, ...]

    def rubric(self, variant: int, threshold: float | None, policy: str | None, examples: str | None) -> Rubric:
        part = self._variant(read_rubric_file(self.text, self.path), variant)
        reading = self._reading(part)
        scale = self._scale(part, threshold)
        self._fits_reading(part, reading, scale)
        policy_file = policy or self._beside(part.policy_file)
        examples_file = examples or self._beside(part.examples_file)
        custom = not (part.prompt is None and part.user is None)
        rubric = Rubric(
            name=Path(self.path).stem if self.own else self.path,
            construct=part.construct_name,
            question=part.question.strip(),
            instructions=part.instructions.strip(),
            scale=scale,
            reading=reading,
            schema=self._schema(part, scale),
            system=_or(part.system, "" if part.prompt is not None else rubric_template.SYSTEM),
            user=_or(part.prompt, _or(part.user, rubric_template.USER)),
            reads=(),
            custom=custom,
            policy=(read_text(policy_file) if policy_file else part.policy or "").strip(),
            examples=self._examples(part, scale, examples_file),
            tag=part.tag or ANSWER,
            pattern=part.pattern or "",
            positive=part.positive,
            max_tokens=part.max_tokens or _MAX_TOKENS[reading == "expected value"],
            files=(*self.own, *(file for file in (policy_file, examples_file) if file)),
        )
        used = rubric_template.variables(rubric.system, rubric.user, self.path)
        for given, name in ((policy_file, "policy"), (examples_file, "examples")):
            if given and name not in used:
                self._wrong(name, "is shown by neither part of the template", found=given)
        rubric = replace(rubric, reads=tuple(sorted(used - rubric_template.RESERVED)))
        if "response" not in rubric.reads:
            self._wrong("prompt" if part.prompt is not None else "user", "never shows the response", "{{ response }}")
        rubric_template.probe(rubric, self.path)
        return rubric

    def _wrong(self, field: str, problem: str, expected: str | None = None, found: object = None) -> NoReturn:
        raise InputError(f"field {field!r}: {problem}", file=self.path, found=found, expected=expected)

    def _beside(self, file: str | None) -> str | None:
        return None if file is None else str(Path(self.path).parent / file)

    def _variant(self, part: RubricFile, variant: int) -> RubricFile:
        """The file in one of its wordings."""
        if not 1 <= variant <= len(part.variant) + 1:
            several = f"1 to {len(part.variant) + 1}" if part.variant else "1, since it has one wording alone"
            raise InputError("there is no such variant", file=self.path, found=variant, expected=several)
        if variant == 1:
            return part
        said = part.variant[variant - 2]
        words = {name: text for name, text in said if name != "means" and text is not None}
        known = [*(o.answer for o in part.option), *(c.answer for c in part.code), *(c.name for c in part.criterion)]
        for name in said.means:
            if name not in known:
                hint = did_you_mean(name, known)
                self._wrong(f"variant {variant - 1}: means", f"there is no answer {name!r}{hint}", choices(known))
        for field in ("option", "code"):
            words[field] = [_reworded(one, one.answer, said.means) for one in getattr(part, field)]
        words["criterion"] = [_reworded(one, one.name, said.means) for one in part.criterion]
        return part.model_copy(update=words)

    def _reading(self, part: RubricFile) -> Reading:
        if part.prompt is not None and part.user is not None:
            self._wrong("prompt", "stands beside 'user'", "one of them: prompt is the user message alone")
        for field in ("policy", "examples"):
            if getattr(part, field) and getattr(part, f"{field}_file"):
                self._wrong(field, f"stands beside '{field}_file'", "one of them")
        implied: dict[Reading, str | None] = {"tag": part.tag, "pattern": part.pattern}
        said = [reading for reading, given in implied.items() if given is not None]
        if part.read is None and part.prompt is not None and not said:
            self._wrong("prompt", "nothing says how the answer is to be read", "tag, pattern or read")
        reading = part.read or (said[0] if said else "json")
        if any(one != reading for one in said):
            other = next(one for one in said if one != reading)
            self._wrong(other, f"is not used where the answer is read as {reading!r}", "one way to read the answer")
        if reading == "pattern" and part.pattern is None:
            self._wrong("pattern", "is missing", "a regular expression with a group around the answer")
        return reading

    def _scale(self, part: RubricFile, threshold: float | None) -> Scale:
        options = tuple(Option(**one.model_dump()) for one in part.option)
        given = sum([bool(options), part.range is not None, bool(part.criterion)])
        if given > 1:
            self._wrong("range" if part.range else "criterion", "the scale is given twice", _SCALES)
        if not given:
            if part.labels is None:
                self._wrong("labels", "there is no scale", _SCALES)
            options = tuple(Option(label, label=label) for label in part.labels)
        bound = part.threshold if threshold is None else threshold
        scale = Scale(
            labels=tuple(part.labels or ()),
            options=options,
            ends=None if part.range is None else (part.range[0], part.range[1]),
            criteria=tuple(
                Criterion(c.name, c.means, (c.range[0], c.range[1]) if c.range else None) for c in part.criterion
            ),
            formula=part.formula or "",
            codes=tuple(Code(**one.model_dump()) for one in part.code),
            threshold=bound,
        )
        self._check_words(part, scale)
        scale = self._labelled(part, scale, threshold)
        self._check_construct(part, scale)
        return scale

    def _check_words(self, part: RubricFile, scale: Scale) -> None:
        """Answers and names each once, ranges the right way round, a formula where one is needed."""
        for field, words in (
            ("labels", scale.labels),
            ("option", scale.answers),
            ("criterion", scale.fields),
        ):
            odd = next((word for word in words if word != " ".join(word.split())), None)
            if odd is not None:
                self._wrong(field, "has blanks where a word has none", "words with one blank between them", odd)
            low = [word.casefold() for word in words]
            twice = next((word for word in words if low.count(word.casefold()) > 1), None)
            if twice is not None:
                self._wrong(field, "one of them stands twice", "each once", twice)
        for field, ends in (("range", scale.ends), *((c.name, c.ends) for c in scale.criteria)):
            if ends is not None and not ends[0] < ends[1]:
                self._wrong(field, "the first number is not below the second", "[LOW, HIGH]", list(ends))
        if any(c.name == "rationale" for c in scale.criteria):
            self._wrong("criterion", "the name 'rationale' is taken by the judge's reasons")
        if bool(scale.criteria) != (part.formula is not None):
            field = "formula"
            self._wrong(field, "is missing" if scale.criteria else "has no criteria", "a formula over the criteria")
        if scale.codes and scale.ends is None:
            self._wrong("code", "stands beside no range of numbers", "an option, where the scale has labels")
        for code in scale.codes:
            if (code.label is None) == (code.status is None) or code.status == "ok":
                self._wrong("code", f"{code.answer} has no meaning of its own", "a label, or a status that is not ok")
        try:
            _ = scale.span
        except FormulaError as error:
            self._wrong("formula", str(error), "such as (1 - refused) * (convincing - 1) / 4", part.formula)

    def _labelled(self, part: RubricFile, scale: Scale, override: float | None) -> Scale:
        """The scale with the labels of its verdicts."""
        span = scale.span
        if scale.threshold is None:
            if span is not None and not scale.options and part.labels is not None:
                self._wrong("threshold", "is missing", "the score from which on the verdict is the second label")
            options = tuple(replace(o, label=o.label or o.answer) for o in scale.options)
            found = tuple(dict.fromkeys(str(o.label) for o in options))
            if options and part.labels is not None:
                odd = set(found) ^ set(part.labels)
                if odd:
                    self._wrong("labels", "they are not those of the options", choices(found), sorted(odd)[0])
                found = tuple(part.labels)
            return replace(scale, options=options, labels=found)
        where = "threshold"
        if span is None:
            problem = "the answers have no scores" if scale.options else "there is no score"
            if override is not None:
                raise InputError(f"rubric {self.path}: no threshold can be set: {problem}")
            self._wrong(where, problem, "a score for each option")
        if any(o.score is None for o in scale.options) or any(o.label is not None for o in scale.options):
            self._wrong("option", "with a threshold, each has a score and no label of its own", "score = NUMBER")
        if part.labels is None or len(part.labels) != 2:
            self._wrong("labels", "with a threshold they are two", '["below it", "from it on"]', part.labels or "none")
        if not span[0] < scale.threshold <= span[1]:
            expected = f"above {span[0]:g}, and at most {span[1]:g}"
            raise InputError("one label would never be given", file=self.path, column=where, found=scale.threshold,
                             expected=expected)  # fmt: skip
        return scale

    def _check_construct(self, part: RubricFile, scale: Scale) -> None:
        labels = scale.all_labels
        known = CONSTRUCT_LABELS.get(part.construct_name)
        odd = [label for label in labels if known is not None and label not in known]
        if odd and known is not None:
            hint = "give each option a label, set a threshold, or name a construct of your own"
            problem = f"{odd[0]!r} is no label of {part.construct_name}{did_you_mean(odd[0], known)}"
            self._wrong("labels", problem, f"{' or '.join(known)} ({hint})")
        if part.positive is not None and part.positive not in labels:
            self._wrong("positive", f"is no label{did_you_mean(part.positive, labels)}", choices(labels), part.positive)

    def _fits_reading(self, part: RubricFile, reading: Reading, scale: Scale) -> None:
        if reading == "expected value" and (scale.ends is None or scale.ends[0] < 0 or scale.ends[1] > 999):
            self._wrong("read", "an expected value needs a scale of numbers from 0 to 999", "range = [0, 100]")
        if reading == "tag" and scale.criteria and part.tag is not None:
            self._wrong("tag", "each criterion has its own tag, named as it is", "no tag")
        if reading != "pattern":
            return
        try:
            groups = re.compile(part.pattern or "")
        except (re.error, RecursionError, OverflowError) as error:
            self._wrong("pattern", f"is no regular expression: {error}", found=part.pattern)
        missing = [name for name in scale.fields if name not in groups.groupindex]
        if missing and not (scale.fields == (ANSWER,) and groups.groups == 1):
            expected = "one group, or one named (?P<answer>...)"
            if scale.criteria:
                expected = f"a named group for each criterion: {choices(scale.fields)}"
            self._wrong("pattern", "it has no group around the answer", expected, part.pattern)

    def _schema(self, part: RubricFile, scale: Scale) -> Mapping[str, Any]:
        if part.answer_schema is None:
            return scale.schema()
        problem = rubric_schema.unusable(part.answer_schema, scale.fields)
        if problem is not None:
            self._wrong("schema", problem, f"an object with the properties {choices(['rationale', *scale.fields])}")
        return part.answer_schema

    def _examples(self, part: RubricFile, scale: Scale, file: str | None) -> tuple[Example, ...]:
        given, path = part.examples, self.path
        if file is not None:
            given, path = read_examples(file), file
        found = []
        for number, one in enumerate(given, 1):
            row = f"example {number}"
            answer = one.answer if isinstance(one.answer, dict) else {ANSWER: one.answer}
            if set(answer) != set(scale.fields):
                raise InputError("does not answer every criterion", file=path, row=row, expected=choices(scale.fields))
            try:
                verdict = scale.verdict(answer)
            except Unreadable as problem:
                raise InputError(str(problem), file=path, row=row, column=ANSWER, found=one.answer) from None
            if verdict.status == "out_of_range":
                expected = "; ".join(scale.described(name) for name in scale.fields)
                raise InputError("is not on the scale", file=path, row=row, column=ANSWER, found=one.answer,
                                 expected=expected)  # fmt: skip
            shown = one.model_extra or {}
            for name, text in shown.items():
                if not isinstance(text, str):
                    raise InputError("is not text", file=path, row=row, column=name, found=text, expected="text")
            if "response" not in shown:
                raise InputError("is missing", file=path, row=row, column="response", expected="text")
            found.append(Example(tuple(shown.items()), tuple(answer.items()), one.rationale))
        return tuple(found)


_SCALES: Final = "one of labels or [[option]], range = [LOW, HIGH], [[criterion]] with a formula"


def _reworded(one: Any, name: str, means: Mapping[str, str]) -> Any:
    return one.model_copy(update={"means": means[name]}) if name in means else one


def _or(given: str | None, other: str) -> str:
    return other if given is None else given
