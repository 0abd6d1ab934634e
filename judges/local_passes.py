"""Passes of a causal model over batches of prompts: the next token of each, or a greedy continuation.

Batches are padded on the left, with the mask and the positions that this needs, so that a batch answers what each
prompt would alone. What all prompts of a call begin with is computed once: its keys and values are lent to every
batch. For the next token alone only the last position's logits are computed (see `local_last`), and no keys and values
are kept.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

from interjudge.judges.guard_base import TOP
from interjudge.judges.llm_base import Token
from interjudge.judges.local_last import last_query_alone
from interjudge.judges.local_model import Loaded, is_out_of_memory

Row = TypeVar("Row")
Found = TypeVar("Found")
Continuation = tuple[list[Token], list[int], bool]

SHORTEST_PREFIX: Final = 16  # tokens; a shorter one is not worth the lending


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """How many token ids all of them begin with, leaving each at least one of its own."""
    if len(prompts) < 2:
        return 0
    whole = [list(ids) for ids in prompts]
    low, high = min(whole), max(whole)  # in the order of lists, so the two differ earliest
    shortest = min(map(len, prompts)) - 1
    return next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b or n >= shortest), shortest)


class Passes:
    """One loaded model, how its tokens read (`text`), and what ends a continuation."""

    def __init__(self, loaded: Loaded, text: Callable[[int], str]) -> None:
        import torch

        self._torch = torch
        self.model, self.tokenizer, self.device = loaded.model, loaded.tokenizer, loaded.device
        words = inspect.signature(self.model.forward).parameters
        self._cache_word = "cache" if "cache" in words else "past_key_values"  # renamed in transformers 5.24
        self._last = {"logits_to_keep": 1} if "logits_to_keep" in words else {}
        ends = getattr(self.model.generation_config, "eos_token_id", None)
        self.ends = frozenset(
            one
            for one in [*(ends if isinstance(ends, list) else [ends]), self.tokenizer.eos_token_id]
            if one is not None
        )
        self._pad = next(iter(sorted(self.ends)), 0)  # any id will do: it is masked
        self.text = text

    def prefix(self, ids: Sequence[int]) -> Any:
        """Keys and values of what the prompts begin with.

        None for a model that keeps anything else: sliding windows, or states that run along the text.
        """
        from transformers.cache_utils import DynamicCache, DynamicLayer

        try:
            cache = DynamicCache(config=self.model.config)
        except (KeyError, ValueError, TypeError, AttributeError):
            return None
        if not cache.layers or any(type(layer) is not DynamicLayer for layer in cache.layers):
            return None
        self._forward([list(ids)], cache, 0, keep=True)
        return cache if all(layer.is_initialized for layer in cache.layers) else None

    def next_tokens(self, rows: Sequence[Sequence[int]], prefix: Any, shared: int) -> list[Token]:
        """The likeliest next token of each prompt, with its alternatives; `rows` go on from its `shared` tokens."""
        cache = None if prefix is None else _lent(prefix, len(rows))
        with last_query_alone(self.model):
            logits, _ = self._forward(rows, cache, shared if prefix is not None else 0, keep=False)
        return [token for token, _ in self._tokens(logits)]

    def continuations(
        self, rows: Sequence[Sequence[int]], prefix: Any, shared: int, max_tokens: int
    ) -> list[Continuation]:
        """For each prompt the greedy tokens, their ids, and whether the model ended by itself."""
        torch = self._torch
        shared = shared if prefix is not None else 0
        cache = None if prefix is None else _copied(prefix, len(rows))
        logits, cache = self._forward(rows, cache, shared, keep=True)
        width = shared + max(map(len, rows))
        mask = torch.ones((len(rows), width), dtype=torch.long, device=self.device)
        for n, row in enumerate(rows):
            mask[n, shared : width - len(row)] = 0
        found: list[Continuation] = [([], [], False) for _ in rows]
        going = list(range(len(rows)))
        for step in range(max_tokens):
            tokens = self._tokens(logits)
            stay = []
            for at, (n, (token, one)) in enumerate(zip(going, tokens, strict=True)):
                if one in self.ends:
                    found[n] = (found[n][0], found[n][1], True)
                    continue
                found[n][0].append(token)
                found[n][1].append(one)
                stay.append(at)
            if not stay or step == max_tokens - 1:
                break
            if len(stay) < len(going):
                kept = torch.tensor(stay, device=self.device)
                cache.batch_select_indices(kept)
                mask, going = mask[kept], [going[at] for at in stay]
            mask = torch.cat([mask, mask.new_ones((len(going), 1))], dim=1)
            last = torch.tensor([[found[n][1][-1]] for n in going], device=self.device)
            positions = mask.sum(dim=1, keepdim=True) - 1
            out = self._call(input_ids=last, attention_mask=mask, position_ids=positions, cache=cache, keep=True)
            logits = out.logits[:, -1]
        return found

    def _forward(self, rows: Sequence[Sequence[int]], cache: Any, shared: int, *, keep: bool) -> tuple[Any, Any]:
        """Logits of the last position, (rows x vocabulary), and the cache afterwards."""
        torch = self._torch
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self._pad, dtype=torch.long)
        mask = torch.ones((len(rows), shared + width), dtype=torch.long)
        positions = torch.zeros((len(rows), width), dtype=torch.long)
        for n, row in enumerate(rows):
            start = width - len(row)
            ids[n, start:] = torch.tensor(row)
            mask[n, shared : shared + start] = 0
            positions[n, start:] = torch.arange(shared, shared + len(row))
        more = {"position_ids": positions.to(self.device)}
        if any(len(row) < width for row in rows):
            more["attention_mask"] = mask.to(self.device)  # without padding the plain causal one is faster
        elif not shared:
            more = {}
        out = self._call(input_ids=ids.to(self.device), cache=cache, keep=keep, **more)
        return out.logits[:, -1], getattr(out, self._cache_word, None)

    def _call(self, *, cache: Any, keep: bool, **words: Any) -> Any:
        if cache is not None:
            words[self._cache_word] = cache
        with self._torch.inference_mode():
            return self.model(**words, **self._last, use_cache=keep or cache is not None)

    def _tokens(self, logits: Any) -> list[tuple[Token, int]]:
        logprobs = logits.float().log_softmax(dim=-1)
        values, ids = logprobs.topk(min(TOP, logprobs.shape[-1]), dim=-1)
        found = []
        for some, which in zip(values.tolist(), ids.tolist(), strict=True):
            top = tuple((self.text(one), value) for one, value in zip(which, some, strict=True))
            found.append((Token(top[0][0], some[0], top), which[0]))
        return found


def in_batches(rows: Sequence[Row], size: Callable[[Row], int], budget: int, ask: Callable[[list[Row]], bool]) -> int:
    """Give `ask` all rows, longest first, in batches of at most `budget` padded tokens; a row longer than that alone.

    `ask` answers False where memory ran out: then the batch is halved, and later ones are no larger. A single row that
    it refuses is given to it no more. Returns the budget that held.
    """
    left = sorted(rows, key=size, reverse=True)
    while left:
        fits = max(1, budget // max(1, size(left[0])))
        batch, left = left[:fits], left[fits:]
        if ask(batch) or len(batch) == 1:
            continue
        half = len(batch) // 2
        budget = max(1, half * size(batch[0]))
        left = batch + left
    return budget


def tried(work: Callable[[], Found]) -> Found | None:
    """What the work answers; None where memory ran out, with what it held let go."""
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    gc.collect()  # outside of the handler: its traceback holds the tensors
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _copied(prefix: Any, times: int) -> Any:
    """A cache of its own for each of `times` prompts, filled with the prefix."""
    from transformers.cache_utils import DynamicCache

    cache = DynamicCache()
    for n, layer in enumerate(prefix.layers):
        cache.update(layer.keys.expand(times, -1, -1, -1), layer.values.expand(times, -1, -1, -1), n)
    return cache


def _lent(prefix: Any, times: int) -> Any:
    """A cache that puts the prefix before what it is given, and keeps nothing."""
    from transformers.cache_utils import Cache

    return Cache(layers=[_lent_layer()(layer.keys, layer.values, times) for layer in prefix.layers])


@lru_cache(maxsize=1)
def _lent_layer() -> Any:
    import torch
    from transformers.cache_utils import DynamicLayer

    class Lent(DynamicLayer):  # type: ignore[misc]
        def __init__(self, keys: Any, values: Any, times: int) -> None:
            super().__init__()
            self.lazy_initialization(keys, values)
            self.keys = keys.expand(times, -1, -1, -1)
            self.values = values.expand(times, -1, -1, -1)

        def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
            keys = torch.cat([self.keys, key_states], dim=-2)
            return keys, torch.cat([self.values, value_states], dim=-2)

    return Lent
