"""How likely each verdict of a guard is, over the likeliest tokens at the place where it stands.

Source of the definition: Granite Guardian (Padhi et al. 2024, arXiv 2412.07724, and the code beside its models): the
probability of risk is the mass of the tokens that read "yes" over that of those that read "yes" or "no", blanks and
case aside, among the 20 likeliest. Llama Guard's is the same with "unsafe" and "safe" at the first token. Theirs adds
up over all tokens of a reply; here the place of the verdict alone counts, so that a "no" in a guard's reasoning is no
part of its verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from interjudge.judges.llm_base import Token

# The least probability of all verdicts together with which there is one. As for numbers (Betley et al. 2025): below a
# quarter the guard was about to write something else, and a ratio of what is left over says nothing.
LEAST_MASS: Final = 0.25

_BLANKS: Final = " \t\r\n\u2581\u0120\u010a"  # the last three are how raw tokens write a blank or a new line
_QUOTES: Final = "\"'\u201c\u201d`"
_SHORTEST_PIECE: Final = 2  # letters: "un" of "unsafe" counts, "n" may begin anything

Words = tuple[tuple[str, tuple[str, ...]], ...]  # label and its words


def has_alternatives(tokens: Sequence[Token] | None) -> bool:
    """Whether there is more than the tokens of the reply themselves."""
    return tokens is not None and any(len(token.top) > 1 for token in tokens)


def starts(text: str, tokens: Sequence[Token]) -> list[int] | None:
    """Where each token begins in the reply's text; None where they do not spell it.

    The tokens may leave out what the reply was made to begin with, and may begin before the text (thoughts that a
    server keeps to itself) or go on beyond it (a token that ends the message): its last occurrence is the text.
    """
    spelled = "".join(token.text for token in tokens)
    if text.endswith(spelled):
        at = len(text) - len(spelled)
    elif (found := spelled.rfind(text)) >= 0 and text:
        at = -found
    elif (bare := text.strip()) and (found := spelled.rfind(bare)) >= 0:
        at = text.find(bare) - found
    else:
        return None
    places = []
    for token in tokens:
        places.append(at)
        at += len(token.text)
    return places


def masses(
    text: str, tokens: Sequence[Token], place: int, words: Mapping[str, Sequence[str]], *, pieces: bool
) -> dict[str, float] | None:
    """Label -> the probability of its words as the verdict at `place` of `text`; None where no token stands there.

    Blanks that the guard writes before its verdict are walked through: what else could have stood there counts with
    the probability of having come that far.
    """
    where = starts(text, tokens)
    if where is None:
        return None
    here = next((n for n, at in enumerate(where) if at + len(tokens[n].text) > place), None)
    if here is None:
        return None
    found = dict.fromkeys(words, 0.0)
    known = _hashable(words)
    path = 1.0
    for n in range(here, len(tokens)):
        token = tokens[n]
        lead = token.text[: max(0, place - where[n])]
        blank = not _bare(token.text.removeprefix(lead))
        for spelled, logprob in _alternatives(token):
            if (blank and spelled == token.text) or (lead.strip() and not spelled.startswith(lead)):
                continue  # the second would stand elsewhere
            label = _label_of(spelled.removeprefix(lead), known, pieces)
            if label is not None:
                found[label] += path * _probability(logprob)
        if not blank:
            break
        path *= _probability(token.logprob)
    return {label: min(1.0, mass) for label, mass in found.items()}


def label_of(token: str, words: Mapping[str, Sequence[str]], *, pieces: bool) -> str | None:
    """The verdict that a token stands for: it is one of its words, or begins words of this verdict alone."""
    return _label_of(token, _hashable(words), pieces)


def _hashable(words: Mapping[str, Sequence[str]]) -> Words:
    return tuple((label, tuple(known)) for label, known in words.items())


@lru_cache(maxsize=4096)  # a guard's alternatives are mostly the same for every output
def _label_of(token: str, words: Words, pieces: bool) -> str | None:
    bare = _bare(token).casefold()
    if not bare:
        return None
    for label, known in words:
        if any(bare == word.casefold() for word in known):
            return label
    if not pieces or len(bare) < _SHORTEST_PIECE:
        return None
    begun = [label for label, known in words if any(word.casefold().startswith(bare) for word in known)]
    return begun[0] if len(begun) == 1 else None


def _alternatives(token: Token) -> list[tuple[str, float]]:
    """All that could have stood there, the token itself once."""
    own = [] if any(text == token.text for text, _ in token.top) else [(token.text, token.logprob)]
    return [*token.top, *own]


def _bare(text: str) -> str:
    return text.strip(_BLANKS + _QUOTES)


def _probability(logprob: float) -> float:
    return math.exp(min(logprob, 0.0)) if not math.isnan(logprob) else 0.0
