"""The expected value of a number that a model answers, over the likeliest tokens at its place.

Source: the idea of G-Eval (Liu et al. 2023, arXiv 2303.16634, equation 1: score = sum of p(s) * s) with the top-20
log probabilities and the rule "no score under .25" of Betley et al. 2025 (arXiv 2502.17424, appendix B.2 and code).

Tokenisers write numbers in two ways. Those with tokens for whole numbers (GPT-4's and Llama 3's, up to 999) answer
with one token: its alternatives are the numbers, and their probabilities are known. Those that write digit by digit
(Llama 2's, Qwen's, Gemma's) answer "8", "5", end: the alternatives of the first token are first digits, and what
would have followed those that the model did not write is known to nobody. Nothing is guessed there: a number counts
where its whole spelling was given, that is what the model wrote, and what branches off it. The rest counts as unknown
and is missing from the mass: 1, 10 and 100 are never taken for each other.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from interjudge.judges.llm_base import Token

# Changes with anything here that can change a score; part of the judges' identity.
VERSION: Final = 1

_BLANKS: Final = " \t\r\n\u2581\u0120\u010a"  # the last three are how raw tokens write a blank or a new line
_DIGITS: Final = re.compile(r"[0-9]+")
_END: Final = re.compile(r"<[^<>]*>|\[/?[A-Z]+\]")  # a token that ends a message: <|im_end|>, </s>, [/INST]


@dataclass(frozen=True)
class Distribution:
    """What the alternatives say of one answer.

    Attributes
    ----------
    numbers : number on the scale -> its probability.
    codes : code -> the probability that the answer begins as it does.
    """

    numbers: Mapping[int, float]
    codes: Mapping[str, float]

    @property
    def mass(self) -> float:
        """The probability of all numbers on the scale, 0 to 1."""
        return min(1.0, math.fsum(self.numbers.values()))

    @property
    def value(self) -> float | None:
        """The expected value, given that the answer is a number; None where none has any probability."""
        total = math.fsum(self.numbers.values())
        if not total > 0:
            return None
        value = math.fsum(number * p for number, p in self.numbers.items()) / total
        return min(max(value, min(self.numbers)), max(self.numbers))  # rounding must not leave the scale


def has_alternatives(tokens: Sequence[Token] | None) -> bool:
    """Whether a server gave more than the tokens of its reply (some give log probabilities and ignore how many)."""
    return tokens is not None and any(len(token.top) > 1 for token in tokens)


def distribution(
    tokens: Sequence[Token], ends: tuple[int, int], codes: Iterable[str] = (), *, cut: bool = False, skip: int = 0
) -> Distribution:
    """The probabilities of the numbers from low to high (``ends``, 0 <= low < high) and of the codes.

    `cut`: the reply ended because it was long enough, so its last number may go on. `skip`: characters of the reply
    that stand before the answer (thoughts).
    """
    walk = _Walk(ends, tuple(codes))
    tokens = _from(tokens, skip)
    walk.reach = max((len(found[0]) for text in _heads(tokens) if (found := _DIGITS.match(text))), default=1)
    for token in tokens:
        if not walk.step(token):
            break
    else:
        walk.finish(cut)
    return Distribution(dict(walk.numbers), dict(walk.codes_found))


class _Walk:
    """Along the tokens that the model wrote, with all that branches off them.

    `written` is the number so far, `path` the probability of having come here, `reach` the most digits in one token.
    """

    def __init__(self, ends: tuple[int, int], codes: tuple[str, ...]) -> None:
        low, high = ends
        self.numerals = [str(number) for number in range(low, high + 1)]
        self.known = frozenset(self.numerals)
        self.codes = codes
        self.numbers: defaultdict[int, float] = defaultdict(float)
        self.codes_found: defaultdict[str, float] = defaultdict(float)
        self.written, self.path, self.reach = "", 1.0, 1

    def step(self, token: Token) -> bool:
        """Count what else could have stood here, and go on to what does; False where the answer has ended."""
        others = list(token.top)
        mine = next((pair for pair in others if pair[0] == token.text), None)
        if mine is not None:
            others.remove(mine)
        for text, logprob in others:
            self._branch(text, self.path * _probability(logprob))
        here = self.path * _probability(token.logprob)
        text = token.text.lstrip(_BLANKS) if not self.written else token.text
        if not self.written and not text:
            self.path = here
            return True
        digits = _DIGITS.match(text)
        if digits is None:
            self._branch(token.text, here)
            return False
        number = self.written + digits[0]
        if digits[0] != text or self._is_whole(number):
            self._branch(token.text, here)
            return False
        self.written, self.path = number, here
        return True

    def finish(self, cut: bool) -> None:
        """The reply ended with the number."""
        if self.written and not (cut and self._longer(self.written)):
            self._count(self.written, self.path)

    def _branch(self, text: str, probability: float) -> None:
        """A token that was not written, or one that is no part of a number."""
        if not self.written:
            text = text.lstrip(_BLANKS)
        digits = _DIGITS.match(text)
        if digits is not None:
            number = self.written + digits[0]
            if digits[0] != text:
                if text[len(digits[0])] not in ".,":
                    self._count(number, probability)
            elif self._is_whole(number):
                self._count(number, probability)
        elif self.written:
            if not text.strip(_BLANKS) or _END.fullmatch(text.strip(_BLANKS)):
                self._count(self.written, probability)
        elif text:
            meant = [code for code in self.codes if code.casefold().startswith(text.strip(_BLANKS).casefold())]
            if len(meant) == 1:
                self.codes_found[meant[0]] += probability

    def _count(self, numeral: str, probability: float) -> None:
        if numeral in self.known:
            self.numbers[int(numeral)] += probability

    def _is_whole(self, number: str) -> bool:
        """Whether nothing can follow the token that ends it: all that could would have been in the same token."""
        return all(len(one) - len(self.written) <= self.reach for one in self._longer(number))

    def _longer(self, numeral: str) -> list[str]:
        """The numbers of the scale that go on from this one."""
        return [one for one in self.numerals if len(one) > len(numeral) and one.startswith(numeral)]


def _from(tokens: Sequence[Token], skip: int) -> Sequence[Token]:
    """The tokens that begin at or after the first `skip` characters."""
    place = 0
    for n, token in enumerate(tokens):
        if place >= skip:
            return tokens[n:]
        place += len(token.text)
    return ()


def _heads(tokens: Sequence[Token]) -> Iterable[str]:
    """Everything that could have stood where the answer begins."""
    for token in tokens:
        yield from (text.lstrip(_BLANKS) for text, _ in (*token.top, (token.text, token.logprob)))
        if token.text.strip(_BLANKS):
            return


def _probability(logprob: float) -> float:
    return math.exp(min(logprob, 0.0)) if not math.isnan(logprob) else 0.0
