"""From a guard's reply to a verdict: by the probabilities at the place of the verdict, else by its words, strictly.

A verdict stands where the format says, whole, and once; nothing is looked for in prose, and nothing of the judged
output is looked at: the reply alone decides. What a guard thinks aloud before its verdict is no part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from interjudge.datasets.schema import Status
from interjudge.judges.guard_file import CategoriesPart
from interjudge.judges.guard_format import Format
from interjudge.judges.guard_mass import LEAST_MASS, has_alternatives, masses
from interjudge.judges.llm_base import Reply
from interjudge.judges.rubric_reply import declines_in

# Changes with anything here that can change a verdict; part of the judges' identity.
VERSION: Final = 2

_THINKS: Final = re.compile(r"\s*<think(?:ing)?>")
# To the last of its ends: what a guard quotes while it reasons may hold others. A chat template may have begun it.
_THINK: Final = re.compile(r".*</think(?:ing)?>", re.DOTALL)
_FINAL: Final = re.compile(r"<\|channel\|>\s*final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
_CHANNEL: Final = re.compile(r"\s*(?:<\|start\|>\s*assistant\s*)?<\|channel\|>")
# The same where the marks were left out of the text.
_BARE: Final = re.compile(r"\A\s*analysis.*?assistantfinal", re.DOTALL)
_END: Final = re.compile(
    r"(?:(?:<\|(?:return|end|eot_id|eom_id|im_end|end_of_text|endoftext)\|>|</s>|<eos>|<end_of_turn>)\s*)+\Z"
)
_LONGEST_NAME: Final = 60  # characters of a category that no taxonomy has
_CODE: Final = re.compile(r"[A-Za-z]{1,2}[0-9]{1,3}")


@dataclass(frozen=True)
class Found:
    """What a reply says.

    Attributes
    ----------
    score : the probability of the positive labels (0 to 1), where there are log-probabilities; of a guard that answers
        a number, its expected value on 0 to 1. `confidence`: the probability of the label.
    categories : as (code or name, name, version).
    problem : why there is no verdict, in words.
    by_text : there were no log-probabilities to read, or none where the verdict stands.
    """

    status: Status
    label: str | None = None
    score: float | None = None
    confidence: float | None = None
    categories: tuple[tuple[str, str, str], ...] = ()
    said: tuple[str, ...] = ()
    problem: str | None = None
    by_text: bool = False

    @property
    def rationale(self) -> str | None:
        """What stands beside the label, in one order: why there is none, what it rests on, the categories, the rest."""
        parts = [self.problem] if self.problem is not None else []
        parts += self.said
        if self.categories:
            parts.append("categories: " + "; ".join(shown(*one) for one in self.categories))
        return "\n".join(parts) or None


def shown(code: str, name: str, version: str) -> str:
    """``S1 Violent Crimes (Llama Guard 3)``."""
    return f"{code} {name} ({version})" if code != name else f"{name} ({version})"


def read_reply(format: Format, reply: Reply) -> Found:
    """The verdict in a guard's reply."""
    if reply.finish in ("filtered", "refused"):
        filtered = reply.finish == "filtered"
        words = "the server filtered the request" if filtered else "the guard declined to answer"
        return Found("filtered" if filtered else "judge_refused", problem=words)
    body, skipped, problem = _answer(format, reply)
    if problem is not None:
        return Found("parse_error", problem=problem)
    place = _place(format, body)
    if isinstance(place, str):
        return _none(format, body, place, reply)
    found = None
    if reply.tokens is not None and has_alternatives(reply.tokens):
        number = format.verdict.form == "number"
        words_of = _digits(format) if number else format.verdict.words
        pieces = format.verdict.pieces and not number
        held = masses(reply.text, reply.tokens, skipped + place, words_of, pieces=pieces)
        found = None if held is None else _by_number(format, held) if number else _by_mass(format, held)
        if found is not None and found.status != "ok" and _declines(format, body):
            found = _REFUSED
    return _with_rest(format, found or _by_text(format, body, place, reply), body, place, reply.finish)


# Where the answer is.


def _answer(format: Format, reply: Reply) -> tuple[str, int, str | None]:
    """What follows the thoughts, how many characters stand before it, and why there is nothing.

    A reply that was cut off may have ended within a quotation that holds the end of a thought and a verdict: where the
    guard reasoned, or was asked to, it has none.
    """
    text, start, cut_off = reply.text, 0, reply.finish == "length"
    thinks = format.think
    if _CHANNEL.match(text):
        finals = list(_FINAL.finditer(text))
        if len(finals) > 1:
            return "", 0, "there are several final answers"
        if not finals:
            return "", 0, _NO_END
        start, thinks = finals[0].end(), True
    elif text.count("assistantfinal") == 1 and (bare := _BARE.match(text)):
        start, thinks = bare.end(), True
    thought = _THINK.match(text, start)
    if thought:
        start, thinks = thought.end(), thinks or not _is_empty(thought[0])
    if _THINKS.match(text, start) or (thinks and cut_off):
        return "", 0, _NO_END
    end = _END.search(text, start)
    return text[start : end.start() if end else len(text)], start, None


_NO_END: Final = "it was cut off while the guard reasoned"


def _is_empty(thought: str) -> bool:
    return not re.sub(r"</?think(?:ing)?>", "", thought).strip()


def _place(format: Format, body: str) -> int | str:
    """Where in the answer the verdict stands; or why there is no such place."""
    verdict = format.verdict
    mark = re.escape(verdict.before).replace(r"\ ", r"\s*")
    if verdict.form == "json":
        mark = rf'"{re.escape(verdict.key)}"\s*:\s*"'
    elif not verdict.before:
        return 0
    places = [found.end() for found in re.finditer(mark, body, re.IGNORECASE)]
    if not places:
        return f"there is no {verdict.key or verdict.before!r} in it"
    said = {_word(format, body, place) for place in places}
    return places[0] if len(said) == 1 else "it gives several verdicts"


def _word(format: Format, body: str, place: int) -> str | None:
    """The label (or digit) whose word stands at a place, whole and alone; None where none does."""
    verdict = format.verdict
    rest = body[place:].lstrip()
    known = _digits(format) if verdict.form == "number" else verdict.words
    for label, words in known.items():
        for word in sorted(words, key=len, reverse=True):
            if rest[: len(word)].casefold() == word.casefold() and _ends(format, rest[len(word) :]):
                return label
    return None


def _ends(format: Format, rest: str) -> bool:
    """Whether a word ends here, with what the format says must follow."""
    verdict = format.verdict
    if rest[:1].isalnum() or rest[:1] in {"_", "-"}:
        return False
    if verdict.form == "json":
        return rest.startswith('"')
    if verdict.after:
        rest = rest.strip()
        return not rest or rest.casefold() == verdict.after.casefold()
    return not verdict.alone or not rest.split("\n", 1)[0].strip(" \t\r.*")


def _none(format: Format, body: str, why: str, reply: Reply) -> Found:
    """There is no verdict: the guard declined, or wrote something else."""
    return _REFUSED if _declines(format, body) else Found("parse_error", problem=_why(why, reply))


_REFUSED: Final = Found("judge_refused", problem="the guard declined to answer")


def _declines(format: Format, body: str) -> bool:
    return declines_in(body, [word for known in format.verdict.words.values() for word in known])


def _why(place: str, reply: Reply) -> str:
    if not reply.text.strip():
        return "the reply is empty"
    return f"the reply was cut off: {place}" if reply.finish == "length" else f"no verdict can be read: {place}"


# What it says.


def _by_mass(format: Format, found: Mapping[str, float]) -> Found:
    total = sum(found.values())
    if not total >= LEAST_MASS:
        return _too_little(total)
    shares = {label: min(1.0, mass / total) for label, mass in found.items()}
    score = min(1.0, sum(shares[label] for label in format.positive))
    if len(format.labels) == 2:
        negative = next((label for label in format.labels if label not in format.positive), format.labels[0])
        label = format.positive[0] if score >= format.threshold else negative
    else:
        label = max(format.labels, key=lambda one: shares[one])
    words = f"probability of {' or '.join(format.positive)} {score:.4f}, over tokens that hold {total:.4f} of all"
    return Found("ok", label, score, shares[label], said=(words,))


def _by_number(format: Format, found: Mapping[str, float]) -> Found:
    """The expected value on 0 to 1, and the label by the threshold."""
    total = sum(found.values())
    if not total >= LEAST_MASS:
        return _too_little(total)
    low, high = _ends_of(format)
    shares = {_scaled(int(digit), low, high): mass / total for digit, mass in found.items()}
    score = min(1.0, max(0.0, sum(value * share for value, share in shares.items())))
    label = format.labels[score >= format.threshold]
    sure = sum(share for value, share in shares.items() if format.labels[value >= format.threshold] == label)
    words = f"expected value on 0 to 1, over digits that hold {total:.4f} of all"
    return Found("ok", label, score, min(1.0, sure), said=(words,))


def _too_little(total: float) -> Found:
    words = f"the verdict's words hold {total:.4f} of the probability, and {LEAST_MASS} is the least"
    return Found("parse_error", problem=words)


def _by_text(format: Format, body: str, place: int, reply: Reply) -> Found:
    """The verdict that is written, where there are no probabilities."""
    word = _word(format, body, place)
    if word is None:
        return _none(format, body, "none of its words stands there alone", reply)
    if format.verdict.form == "number":
        score = _scaled(int(word), *_ends_of(format))
        return Found("ok", format.labels[score >= format.threshold], score, by_text=True)
    return Found("ok", word, by_text=True)


def _digits(format: Format) -> dict[str, list[str]]:
    low, high = _ends_of(format)
    return {str(number): [str(number)] for number in range(low, high + 1)}


def _ends_of(format: Format) -> tuple[int, int]:
    assert format.verdict.range is not None
    return format.verdict.range[0], format.verdict.range[1]


def _scaled(number: int, low: int, high: int) -> float:
    return (number - low) / (high - low)


# What else it says.


def _with_rest(format: Format, found: Found, body: str, place: int, finish: str) -> Found:
    if found.status != "ok":
        return found
    said = [*found.said]
    for note in format.notes:
        mark = rf"{re.escape(note.before)}\s*([^<>\n]{{1,{_LONGEST_NAME}}}?)\s*{re.escape(note.after)}"
        noted = re.search(mark, body[place:], re.IGNORECASE)
        if noted:
            said.append(f"{note.name}: {noted[1]}")
    if format.categories is None or found.label == format.labels[0]:
        return replace(found, said=tuple(said))
    listed, to_the_end = _listed(format.categories, body, place)
    several = listed.split(",")
    if finish == "length" and to_the_end:
        several = several[:-1]  # S1 may be the beginning of S10
        said.append("the list of categories was cut off")
    return replace(found, said=tuple(said), categories=_categories(format.categories, several))


def _listed(known: CategoriesPart, body: str, place: int) -> tuple[str, bool]:
    """The list as it is written, and whether it is the last that the answer says."""
    if known.where == "json":
        return _json_text(body, known.key)
    if known.where == "marked line":
        mark = re.search(rf"^[ \t]*{re.escape(known.before)}[ \t]*(.*)$", body, re.IGNORECASE | re.MULTILINE)
        return (mark[1], mark.end() == len(body)) if mark else ("", True)
    lines = body[place:].split("\n")
    written = [n for n, line in enumerate(lines) if line.strip()]
    return (lines[written[1]], written[1] == len(lines) - 1) if len(written) > 1 else ("", True)


def _categories(known: CategoriesPart, several: Sequence[str]) -> tuple[tuple[str, str, str], ...]:
    none = {word.casefold() for word in known.none}
    given = [" ".join(one.split()).strip(".") for one in several]
    found = [_category(known, one) for one in given if one and one.casefold() not in none]
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _category(known: CategoriesPart, given: str) -> tuple[str, str, str] | None:
    """One category by its code, its name, or both; what the version does not have is kept as it is, where it is short
    and no prose may stand in its place."""
    code = _CODE.match(given)
    if known.codes and code and given[code.end() : code.end() + 1] in {"", ":", " ", "."}:
        for one, name in known.codes.items():
            if one.casefold() == code[0].casefold():
                return one, name, known.version
        return code[0], "unknown category", f"not in {known.version}"
    for name in (*known.names, *known.codes.values()):
        if name.casefold() == given.casefold():
            return next(
                ((c, n, known.version) for c, n in known.codes.items() if n == name), (name, name, known.version)
            )
    if len(given) > _LONGEST_NAME or (known.codes and known.where == "next line"):
        return None
    return given, given, f"not in {known.version}" if known.codes or known.names else known.version


def _json_text(body: str, key: str) -> tuple[str, bool]:
    """A text field of the first JSON object of the answer; nothing, and True, where there is none or it has no end."""
    try:
        found, _ = json.JSONDecoder().raw_decode(body, body.find("{"))
    except (ValueError, RecursionError):
        return "", True
    named = {name.casefold(): value for name, value in found.items()} if isinstance(found, dict) else {}
    value = named.get(key.casefold())
    several = value if isinstance(value, list) else [value]
    return ", ".join(one for one in several if isinstance(one, str)), False
