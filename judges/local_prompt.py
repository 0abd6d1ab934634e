"""From an `Ask` to token ids: the chat template, control tokens, and what is left out where it does not fit.

- A prompt is rendered and then tokenised as a whole, as the guards' publishers do it; `Ask.start` is tokenised by
  itself, as the model would have written it. Where the chat template was applied the tokenizer adds nothing (no second
  BOS).
- A control token of the tokenizer (``<|eot_id|>``, ``[/INST]``) that stands in a text to be judged is read as text. It
  is broken up by a token of our own, which is taken out again after tokenising: so this holds for every tokenizer,
  and texts without control tokens are tokenised exactly as they would be without any of it.
- Of a text that does not fit (`Ask.cut`) the head and the tail are kept, half of what fits each, with a marker between
  them that says how many tokens were left out.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from jinja2 import TemplateError

from interjudge.errors import InputError
from interjudge.judges.guard_base import Ask

# Changes with anything here that changes the token ids of a prompt; part of the judges' identity.
VERSION: Final = 2
CUT_RULE: Final = "head and tail"
MARKER: Final = "\n[... {} tokens left out ...]\n"
_BREAK: Final = "\ue000interjudge\ue001"  # private use: no text has it, and where one does it is left out alone
_TRIES: Final = 6
_UNKNOWN_LENGTH: Final = 10**9  # a tokenizer without a limit says some huge number


@dataclass(frozen=True)
class Prompt:
    """Token ids; `left_out` tokens of the text that may be cut are not in them; `problem`: why there are none."""

    ids: list[int]
    left_out: int = 0
    problem: str = ""


class Inert:
    """A tokenizer that reads control tokens as text where they have been `broken`."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = copy.deepcopy(tokenizer)
        self._tokenizer.add_tokens([_break_token()], special_tokens=True)
        # Without the places of the tokens in the text, which take a third of the time and which nobody asks for.
        self._fast = self._tokenizer.backend_tokenizer if self._tokenizer.is_fast else None
        if self._fast is not None:
            self._fast.no_truncation()
            self._fast.no_padding()
        self._break: int = self._tokenizer.convert_tokens_to_ids(_BREAK)
        template = tokenizer.chat_template
        self._control = _control(tokenizer, template if isinstance(template, str) else "")

    def broken(self, text: str) -> str:
        """The text with every control token in it broken up."""
        return self._control.sub(lambda found: f"{found[0][0]}{_BREAK}{found[0][1:]}", text.replace(_BREAK, ""))

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Their token ids, without any that the tokenizer would add."""
        if self._fast is not None:
            found = [one.ids for one in self._fast.encode_batch_fast(list(texts), add_special_tokens=False)]
        else:
            found = self._tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return [[one for one in ids if one != self._break] if self._break in ids else ids for ids in found]


class Prompter:
    """Writes the prompts of one model, of at most `limit` tokens with what is to be written after them."""

    def __init__(self, tokenizer: Any, limit: int) -> None:
        self.tokenizer, self.limit = tokenizer, limit
        self._inert = Inert(tokenizer)
        bos = tokenizer.bos_token_id
        self.text = lru_cache(maxsize=100_000)(self._text)
        self._bos = [bos] if bos is not None and tokenizer("a")["input_ids"][:1] == [bos] else []

    def prompts(self, asks: Sequence[Ask]) -> list[Prompt]:
        """One for each ask, in order.

        Raises
        ------
        InputError : the tokenizer has no chat template, and an ask needs one.
        """
        found = self._tokenised(asks)
        return [self._cut(ask, one) for ask, one in zip(asks, found, strict=True)]

    def rendered(self, ask: Ask) -> str:
        """The prompt as text, without `start`; for readers and tests."""
        return self._rendered(ask, _as_it_is)

    def _text(self, one: int) -> str:
        """A token as text, with the space that it begins with (decoding drops it for sentencepiece)."""
        text = str(self.tokenizer.decode([one], skip_special_tokens=False, clean_up_tokenization_spaces=False))
        piece = self.tokenizer.convert_ids_to_tokens(one)
        return f" {text}" if str(piece).startswith("▁") and not text.startswith(" ") else text

    def _tokenised(self, asks: Sequence[Ask]) -> list[Prompt]:
        texts: list[str] = []
        problems: dict[int, str] = {}
        for n, ask in enumerate(asks):
            try:
                texts.append(self._rendered(ask, self._inert.broken))
            except (TemplateError, TypeError, ValueError, KeyError) as error:
                problems[n] = f"the chat template does not take it: {error}"
                texts.append("")
        all_ids = self._inert.ids(texts)
        starts = {start: self._start(start) for start in {ask.start for ask in asks}}
        prompts = []
        for n, (ask, ids) in enumerate(zip(asks, all_ids, strict=True)):
            bos = self._bos if ask.text is not None and ids[:1] != self._bos else []
            prompts.append(Prompt([*bos, *ids, *starts[ask.start]], problem=problems.get(n, "")))
        return prompts

    def _rendered(self, ask: Ask, inert: Any) -> str:
        def known(text: str, pieces: Sequence[str] = ()) -> str:
            """With what is the output's in it made inert."""
            pieces = pieces or ask.parts.get(text) or ("", text)
            return "".join(inert(piece) if n % 2 else piece for n, piece in enumerate(pieces))

        if ask.text is not None:
            return known(ask.text, ask.pieces)
        if not self.tokenizer.chat_template:
            raise InputError("the tokenizer has no chat template", expected="one beside the model, or another format")
        words = {"add_generation_prompt": True, **_in_all(dict(ask.template), inert)}
        messages = [_in_all(dict(message), known) for message in ask.messages]
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, **words))

    def _start(self, start: str) -> list[int]:
        # After another token, so that a sentencepiece tokenizer puts no space before it.
        return self._inert.ids([_BREAK + start])[0] if start else []

    def _cut(self, ask: Ask, prompt: Prompt) -> Prompt:
        """The prompt, with less of `ask.cut` where it is too long."""
        room = self.limit - ask.max_tokens
        over = len(prompt.ids) - room
        if over <= 0 or prompt.problem:
            return prompt
        too_long = f"the prompt has {len(prompt.ids)} tokens, and {room} fit"
        if not ask.cut:
            return Prompt([], problem=too_long)
        spans = self._spans(ask.cut)
        marker = len(self.tokenizer(MARKER.format(len(spans)), add_special_tokens=False)["input_ids"])
        keep = len(spans) - over - marker
        for _ in range(_TRIES):
            if keep < 2:
                break
            tail = keep // 2
            head = keep - tail
            left_out = len(spans) - keep
            middle = MARKER.format(left_out)
            text = ask.cut[: spans[head - 1][1]] + middle + ask.cut[spans[-tail][0] :]
            (shorter,) = self._tokenised([_with_text(ask, text)])
            if len(shorter.ids) <= room:
                return Prompt(shorter.ids, left_out)
            keep -= len(shorter.ids) - room
        return Prompt([], problem=f"{too_long}, even with the judged text left out")

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Where each token of a text stands in it."""
        if self.tokenizer.is_fast:
            found = self.tokenizer(
                text, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True, verbose=False
            )
            return [(a, b) for a, b in found["offset_mapping"] if b > a] or [(0, len(text))]
        # One written in Python says nothing of it: characters, evenly.
        size = max(1, len(self.tokenizer(text, add_special_tokens=False)["input_ids"]))
        edges = [round(n * len(text) / size) for n in range(size + 1)]
        return list(pairwise(edges))


def room_of(model: Any, tokenizer: Any, wanted: int | None) -> int:
    """How many tokens fit: what the user says, and no more than the model and the tokenizer know."""
    config = model.config.get_text_config()
    positions = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions")]
    known: list[Any] = [one and one - _unused_positions(model) for one in positions]
    known += [getattr(tokenizer, "model_max_length", None), wanted]
    return min((int(one) for one in known if one and one < _UNKNOWN_LENGTH), default=4096)


def _unused_positions(model: Any) -> int:
    """How many of its positions no text has: those of RoBERTa begin after that of the padding."""
    tables = (one for name, one in model.named_modules() if name.endswith("position_embeddings"))
    paddings = [getattr(one, "padding_idx", None) for one in tables]
    return max((one + 1 for one in paddings if one is not None), default=0)


def _break_token() -> Any:
    from transformers import AddedToken

    return AddedToken(_BREAK, special=True, normalized=False, lstrip=False, rstrip=False)


def _control(tokenizer: Any, template: str) -> re.Pattern[str]:
    """Matches what the tokenizer reads as a control token: its special tokens, and added ones that the template writes.

    Added tokens that are ordinary text (runs of spaces, HTML tags) stay what they are.
    """
    added = tokenizer.added_tokens_decoder.values()
    names = {str(token.content) for token in added if token.special or token.content in template}
    names |= {str(name) for name in tokenizer.all_special_tokens}
    several = sorted((name for name in names if len(name) > 1 and name.strip()), key=lambda name: (-len(name), name))
    return re.compile("|".join(map(re.escape, several)) or r"(?!)")


def _as_it_is(text: str) -> str:
    return text


def _in_all(value: Any, change: Any) -> Any:
    """Every text of a nested value, changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _in_all(one, change) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_in_all(one, change) for one in value]
    return value


def _with_text(ask: Ask, text: str) -> Ask:
    """The ask with another text in place of what may be cut: at the last place where it stands."""

    def changed(value: str) -> str:
        before, found, after = value.rpartition(ask.cut)
        return f"{before}{text}{after}" if found else value

    def in_last(pieces: Sequence[str]) -> tuple[str, ...]:
        at = next((n for n in reversed(range(1, len(pieces), 2)) if ask.cut in pieces[n]), None)
        return tuple(changed(piece) if n == at else piece for n, piece in enumerate(pieces))

    if ask.text is not None:
        pieces = in_last(ask.pieces)
        return replace(ask, text="".join(pieces) or changed(ask.text), pieces=pieces)
    messages, parts = list(ask.messages), dict(ask.parts)

    def in_turn(content: str) -> str:
        pieces = in_last(ask.parts.get(content, ("", content)))
        whole = "".join(pieces)
        if whole != content:
            parts[whole] = pieces
        return whole

    for n in reversed(range(len(messages))):
        turn = _in_all(dict(messages[n]), in_turn)
        if turn != dict(messages[n]):
            messages[n] = turn
            break
    return replace(ask, messages=tuple(messages), parts=parts)
