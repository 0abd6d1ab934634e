"""From a reply to a verdict, strictly: an answer stands where it was asked for, whole and once, or there is none.

Nothing is looked for in prose, and nothing of the judged output is looked at: the reply alone decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from interjudge.datasets.schema import Status
from interjudge.judges import keyword_match
from interjudge.judges.expected_value import Distribution, distribution, has_alternatives
from interjudge.judges.lexicon import built_in
from interjudge.judges.llm_base import Reply
from interjudge.judges.rubric import Rubric
from interjudge.judges.rubric_scale import ANSWER, Unreadable, Verdict
from interjudge.judges.rubric_schema import misfit

# Changes with anything here that can change a verdict; part of the judges' identity.
VERSION: Final = 1

# The least probability of numbers on the scale with which an expected value is one (Betley et al. 2025).
LEAST_MASS: Final = 0.25

_THOUGHTS: Final = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>\s*", re.DOTALL)
_FENCED: Final = re.compile(r"\A```(?:json)?[ \t]*\n(.*)\n[ \t]*```\Z", re.DOTALL | re.IGNORECASE)
_REFUSAL_CHARS: Final = (6, 600)  # a judge that declines does so briefly


@dataclass(frozen=True)
class Found:
    """What a reply says. `problem`: why no answer could be read, where another request might bring one."""

    verdict: Verdict
    confidence: float | None = None
    rationale: str | None = None
    problem: str | None = None

    @property
    def status(self) -> Status:
        return self.verdict.status


def read_reply(rubric: Rubric, reply: Reply, *, again: bool = False) -> Found:
    """The verdict in a reply.

    `again`: the reply to a second request, which asks for the answer alone.
    """
    if reply.finish == "filtered":
        return Found(Verdict("filtered"))
    if reply.finish == "refused":
        return Found(Verdict("judge_refused"))
    try:
        if rubric.reading == "expected value":
            return _number(rubric, reply)
        if reply.finish == "length":
            raise Unreadable("it was cut off")
        return _answer(rubric, reply, again)
    except Unreadable as problem:
        if declines(rubric, reply.text):
            return Found(Verdict("judge_refused"))
        return Found(Verdict("parse_error"), problem=str(problem))


def is_json(text: str) -> bool:
    """Whether a whole reply is JSON of any kind: a server that holds replies to a schema writes nothing else."""
    try:
        _json(_said(text))
    except Unreadable:
        return False
    return True


def declines(rubric: Rubric, text: str) -> bool:
    """Whether a reply without an answer is a refusal to judge; cautious, since it may quote one."""
    text = _said(text)
    if re.search(r"[0-9{<]", text):
        return False
    return declines_in(text, [*rubric.scale.answers, *(["yes", "no"] if rubric.scale.criteria else [])])


def declines_in(text: str, words: Sequence[str]) -> bool:
    """Whether a text is a refusal: brief, begins as refusals do (`judges/lexicon.toml`), and holds none of `words`,
    which could be an answer."""
    text = text.strip()
    if not _REFUSAL_CHARS[0] <= len(text) <= _REFUSAL_CHARS[1]:
        return False
    if any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in words):
        return False
    lexicon = built_in()
    found = keyword_match.evidence(pl.Series([text]), lexicon, "prefix")
    return keyword_match.judged(found, lexicon.source.threshold).height > 0


def _answer(rubric: Rubric, reply: Reply, again: bool) -> Found:
    """By the first way that finds one, of those in which it may have been asked for."""
    text = _said(reply.text)
    ways = {"json": [_in_json, _in_tags], "tag": [_in_tags], "pattern": [_by_pattern]}[rubric.reading]
    if rubric.reading == "json" and reply.structured:
        ways = [_in_json]
    if again:
        ways = [*ways, *(way for way in (_in_json, _in_tags) if way not in ways)]
    problem: Unreadable | None = None
    for way in ways:
        try:
            return way(rubric, text, again)
        except Unreadable as error:
            problem = problem or error
    raise problem or Unreadable("there is no answer in it")


def _in_json(rubric: Rubric, text: str, again: bool) -> Found:
    fenced = _FENCED.match(text)
    return _from_json(rubric, _json(fenced[1] if fenced else text), again)


def _from_json(rubric: Rubric, found: object, again: bool) -> Found:
    """The verdict of a JSON value that fits the schema in all but the range of the answer."""
    schemas = [rubric.schema, *([rubric.scale.schema(rationale=False)] if again else [])]
    problems = [misfit(found, _without_answers(schema, rubric.scale.fields)) for schema in schemas]
    if None not in problems or not isinstance(found, dict):
        raise Unreadable(problems[-1] or "it is no JSON object")
    said = found.get("rationale")
    verdict = rubric.scale.verdict({field: found[field] for field in rubric.scale.fields})
    return Found(verdict, rationale=said if isinstance(said, str) and said.strip() else None)


def _without_answers(schema: Mapping[str, object], fields: tuple[str, ...]) -> dict[str, object]:
    """A schema that lets the answers be anything: what they are, the scale says."""
    parts = schema["properties"]
    assert isinstance(parts, Mapping)
    return {**schema, "properties": {name: {} if name in fields else part for name, part in parts.items()}}


def _in_tags(rubric: Rubric, text: str, again: bool) -> Found:
    fields = rubric.scale.fields
    tags = {ANSWER: rubric.tag} if fields == (ANSWER,) else {name: name for name in fields}
    values: dict[str, str] = {}
    rest = text
    for field, tag in tags.items():
        slot = re.compile(rf"<{re.escape(tag)}>(.*?)</{re.escape(tag)}>", re.DOTALL | re.IGNORECASE)
        values[field] = _one([found[1].strip() for found in slot.finditer(text)], f"<{tag}>")
        rest = slot.sub("", rest)
    if fields == (ANSWER,) and values[ANSWER].startswith("{"):
        return _from_json(rubric, _json(values[ANSWER]), again)
    return _from_texts(rubric, values, rest.strip() or None)


def _by_pattern(rubric: Rubric, text: str, again: bool) -> Found:  # noqa: ARG001  as the other ways
    fields = rubric.scale.fields
    pattern = re.compile(rubric.pattern)
    groups = {name: name if name in pattern.groupindex else 1 for name in fields}
    matches = list(pattern.finditer(text))
    values = {
        field: _one([found[group] for found in matches if found[group] is not None], "the pattern")
        for field, group in groups.items()
    }
    return _from_texts(rubric, values, text if len(text) > sum(len(m[0]) for m in matches) else None)


def _from_texts(rubric: Rubric, values: Mapping[str, str], rationale: str | None) -> Found:
    scale = rubric.scale
    return Found(
        scale.verdict({field: scale.value(field, text) for field, text in values.items()}), rationale=rationale
    )


def _one(found: list[str], where: str) -> str:
    """The answer that stands in a place, however often it does; two different ones are none."""
    several = {" ".join(text.split()).casefold() for text in found}
    if not several:
        raise Unreadable(f"there is no answer in {where}")
    if len(several) > 1:
        raise Unreadable(f"there are {len(several)} different answers in {where}")
    return found[-1]


def _number(rubric: Rubric, reply: Reply) -> Found:
    """The expected value, where the server gives alternatives; else the number that was written."""
    scale, text = rubric.scale, _said(reply.text)
    assert scale.ends is not None
    if reply.tokens is None or not has_alternatives(reply.tokens):
        if reply.finish == "length":
            raise Unreadable("it was cut off")
        return Found(scale.verdict({ANSWER: scale.value(ANSWER, text)}))
    thoughts = _THOUGHTS.match(reply.text)
    skip = thoughts.end() if thoughts else 0
    codes = [code.answer for code in scale.codes]
    given = distribution(reply.tokens, scale.ends, codes, cut=reply.finish == "length", skip=skip)
    total = given.mass + sum(given.codes.values())
    code, share = max(given.codes.items(), key=lambda pair: pair[1], default=("", 0.0))
    if share > given.mass and share >= LEAST_MASS:
        verdict = scale.coded(next(one for one in scale.codes if one.answer == code))
        sure = min(1.0, share / total) if verdict.status == "ok" else None
        return Found(verdict, sure, f"{code} with probability {share:.3f}")
    if given.value is None or given.mass < LEAST_MASS:
        if scale.ends and re.fullmatch(r"[0-9]{1,9}", text) and not scale.ends[0] <= int(text) <= scale.ends[1]:
            return Found(Verdict("out_of_range"))
        low, high = scale.ends
        words = f"numbers from {low} to {high} hold {given.mass:.3f} of the probability, and {LEAST_MASS} is the least"
        raise Unreadable(words)
    verdict = scale.scored(given.value)
    return Found(verdict, _sure(rubric, given, verdict, total), _spread(given))


def _sure(rubric: Rubric, given: Distribution, verdict: Verdict, total: float) -> float | None:
    """The probability of the label: of all numbers on its side of the threshold."""
    if verdict.label is None:
        return None
    scale = rubric.scale
    side = sum(p for number, p in given.numbers.items() if scale.scored(number).label == verdict.label)
    return min(1.0, side / total)


def _spread(given: Distribution) -> str:
    likeliest = sorted(given.numbers.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
    shown = ", ".join(f"{number} ({p:.3f})" for number, p in likeliest)
    return f"expected value over {len(given.numbers)} numbers that hold {given.mass:.3f} of the probability: {shown}"


def _said(text: str) -> str:
    """A reply without the thoughts that some servers leave at its beginning."""
    return _THOUGHTS.sub("", text, count=1).strip().removeprefix("\ufeff")


def _json(text: str) -> object:
    """JSON as the standard has it, each field once.

    Raises
    ------
    Unreadable : it is something else.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Unreadable("it is not one JSON object and nothing else") from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field stands twice")
    return found


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no JSON")
