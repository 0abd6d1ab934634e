"""Guards on this machine: `LocalEngine`, a `guard_base.Engine` over transformers.

Where the verdict is the next token there is one pass over a batch of prompts and no generation. See `local_prompt`
for how a prompt becomes token ids and what is cut, `local_passes` for batches, shared beginnings and memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Final
from weakref import ref

from interjudge.errors import InputError
from interjudge.judges.guard_base import Ask, Local
from interjudge.judges.llm_base import Finish, Reply, Token
from interjudge.judges.local_model import Loaded, check_device, load_causal, model_identity
from interjudge.judges.local_passes import SHORTEST_PREFIX, Passes, common_prefix, in_batches, tried
from interjudge.judges.local_prompt import CUT_RULE, VERSION, Prompter, room_of

# For a judge over this engine (`Judge.batch_size`, `Judge.grow_to`): what one call sorts by length, and what a kill may
# lose. 64 outputs fill several batches of the budget below, so that little is padded and a shared beginning costs
# a 64th; on a slow machine they are some seconds of work. Where they take less than a second, calls double.
BATCH: Final = 64
GROW_TO: Final = 1024
# Padded tokens in one pass. More gains nothing once the processor is busy; memory grows with it.
_BUDGET: Final[Mapping[str, int]] = {"cpu": 4096, "mps": 8192, "cuda": 16384}


class LocalEngine:
    """A causal model on this machine.

    Parameters
    ----------
    model, revision, device, dtype, device_map, quantize, local_files_only, gguf_file, trust_remote_code : as
        `local_model.load_causal`.
    max_length : tokens of a prompt with what is written after it; None: what the model can take. Longer ones are cut
        (`local_prompt`).
    batch_tokens : padded tokens in one pass; None: by the device. Halved where memory runs out.
    prefix : compute what all prompts of a call begin with once. Neither is part of the identity.

    Raises
    ------
    InputError : no such model, or an option is none. The model is loaded by the first batch.
    """

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        device_map: str | None = None,
        quantize: str | None = None,
        local_files_only: bool | None = None,
        gguf_file: str | None = None,
        trust_remote_code: bool = False,
        max_length: int | None = None,
        batch_tokens: int | None = None,
        prefix: bool = True,
    ) -> None:
        for name, value in (("max_length", max_length), ("batch_tokens", batch_tokens)):
            if value is not None and value < 1:
                raise InputError(f"{name} is too small", found=value, expected="1 or more tokens")
        check_device(device)
        self._model = model
        self._which: dict[str, Any] = {
            "revision": revision, "dtype": dtype, "quantize": quantize, "local_files_only": local_files_only,
            "gguf_file": gguf_file,
        }  # fmt: skip
        self._how: dict[str, Any] = {
            "device": device, "device_map": device_map, "trust_remote_code": trust_remote_code,
        }  # fmt: skip
        self._max_length, self._batch_tokens, self._prefix = max_length, batch_tokens, prefix
        known = model_identity(model, **self._which)
        self._identity = {
            "engine": "transformers", **known, "max_length": max_length, "cut": CUT_RULE, "version": VERSION,
            **({"remote_code": True} if trust_remote_code else {}),
        }  # fmt: skip
        self._budget = batch_tokens or 0
        self._made: tuple[ref[Loaded], Prompter] | None = None

    def __repr__(self) -> str:
        return f"LocalEngine({self._model!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Without the model: another process loads its own."""
        return {**self.__dict__, "_made": None}

    def varied(self, *, batch_tokens: int | None = None, prefix: bool = True) -> LocalEngine:
        """The same model, asked in batches of another size, with or without what they share computed once."""
        other = copy(self)
        other._batch_tokens, other._prefix, other._made = batch_tokens, prefix, None
        return other

    @property
    def identity(self) -> Mapping[str, object]:
        """As `guard_base.Engine.identity`."""
        return self._identity

    def load(self) -> None:
        """As `guard_base.Engine.load`."""
        self._ready()

    def replies(self, asks: Sequence[Ask]) -> list[Local]:
        """One reply for each ask, in order; each token with its `guard_base.TOP` alternatives.

        A one-pass reply (`Ask.max_tokens` 1) ends with ``stop``; one that was cut off by `max_tokens` with ``length``.

        Raises
        ------
        InterjudgeError : the model cannot be loaded, or has no chat template where one is needed.
        """
        if not asks:
            return []
        prompter, passes = self._ready()
        prompts = prompter.prompts(asks)
        found = {n: Local(Reply(""), problem=one.problem) for n, one in enumerate(prompts) if one.problem}
        rows = [n for n in range(len(asks)) if n not in found]
        shared, prefix = self._beginning(passes, [prompts[n].ids for n in rows])
        for most in sorted({asks[n].max_tokens for n in rows}):
            same = [n for n in rows if asks[n].max_tokens == most]

            def size(n: int, most: int = most) -> int:
                return len(prompts[n].ids) - shared + most

            def ask(batch: list[int], most: int = most) -> bool:
                rest = [prompts[n].ids[shared:] for n in batch]
                replies = tried(lambda: self._batch(passes, rest, prefix, shared, most))
                if replies is None and len(batch) == 1:
                    problem = f"there is not enough memory for its {len(prompts[batch[0]].ids)} tokens"
                    found[batch[0]] = Local(Reply(""), problem=problem)
                for n, (tokens, text, finish) in zip(batch, replies or (), strict=False):
                    reply = Reply(
                        text=asks[n].start + text, finish=finish, tokens=tuple(tokens),
                        input_tokens=len(prompts[n].ids), output_tokens=len(tokens),
                    )  # fmt: skip
                    found[n] = Local(reply, prompts[n].left_out)
                return replies is not None

            self._budget = in_batches(same, size, self._budget, ask)
        return [found[n] for n in range(len(asks))]

    def _ready(self) -> tuple[Prompter, Passes]:
        """The model, loaded or still held, and what is made from it. It is `local_model` that holds on to it."""
        loaded = load_causal(self._model, **self._which, **self._how)
        if self._made is None or self._made[0]() is not loaded:
            room = room_of(loaded.model, loaded.tokenizer, self._max_length)
            self._made = ref(loaded), Prompter(loaded.tokenizer, room)
            self._budget = self._batch_tokens or _BUDGET.get(loaded.device.type, _BUDGET["cpu"])
        prompter = self._made[1]
        return prompter, Passes(loaded, prompter.text)

    def _beginning(self, passes: Passes, prompts: Sequence[list[int]]) -> tuple[int, Any]:
        """What all prompts begin with: how many tokens, and their keys and values."""
        shared = common_prefix(prompts) if self._prefix else 0
        if shared < SHORTEST_PREFIX:
            return 0, None
        prefix = tried(lambda: passes.prefix(prompts[0][:shared]))
        return (shared, prefix) if prefix is not None else (0, None)

    def _batch(
        self, passes: Passes, rows: list[list[int]], prefix: Any, shared: int, most: int
    ) -> list[tuple[list[Token], str, Finish]]:
        if most == 1:
            return [([token], token.text, "stop") for token in passes.next_tokens(rows, prefix, shared)]
        replies: list[tuple[list[Token], str, Finish]] = []
        for tokens, ids, ended in passes.continuations(rows, prefix, shared, most):
            text = passes.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            replies.append((tokens, str(text), "stop" if ended else "length"))
        return replies
