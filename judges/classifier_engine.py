"""Sequence classifiers on this machine: texts to logits, in batches by length; see `judges.classifier`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import ref

from interjudge.errors import InputError, InterjudgeError
from interjudge.judges.local_identity import find_source, read_config
from interjudge.judges.local_model import Loaded, check_device, load_classifier, model_identity
from interjudge.judges.local_passes import in_batches, tried
from interjudge.judges.local_prompt import CUT_RULE, MARKER, VERSION, Inert, room_of

# Padded tokens in one pass; these models are small.
_BUDGET: Final[Mapping[str, int]] = {"cpu": 4096, "mps": 16384, "cuda": 65536}


@dataclass(frozen=True)
class Classified:
    """The logits of one output; `problem`: why there are none. `left_out`: tokens that did not fit."""

    logits: tuple[float, ...] = ()
    tokens: int = 0
    left_out: int = 0
    problem: str = ""

    def softmax(self) -> list[float]:
        highest = max(self.logits)
        powers = [math.exp(one - highest) for one in self.logits]
        return [one / sum(powers) for one in powers]

    def sigmoid(self) -> list[float]:
        return [1 / (1 + math.exp(-one)) if one >= 0 else math.exp(one) / (1 + math.exp(one)) for one in self.logits]


@dataclass(frozen=True)
class _Frame:
    """What the tokenizer puts around a text (or two), as token ids, and the token types of each part."""

    around: tuple[tuple[int, ...], ...]
    types: tuple[int, ...]


class ClassifierEngine:
    """A sequence classifier; `pair`: it is given two texts.

    `revision`, `device`, `dtype`, `device_map`, `quantize`, `local_files_only` and `trust_remote_code` are those of
    `local_model.load_classifier`; `max_length` and `batch_tokens` those of `local_engine.LocalEngine`. Of a pair the
    second text is cut where it is too long; the first one keeps at most half of the room.

    Raises
    ------
    InputError : no such model, or an option is none. The model is loaded by the first batch.
    """

    def __init__(
        self,
        model: str,
        *,
        pair: bool = False,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        device_map: str | None = None,
        quantize: str | None = None,
        local_files_only: bool | None = None,
        trust_remote_code: bool = False,
        max_length: int | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        self._model, self._pair = model, pair
        self._which: dict[str, Any] = {
            "revision": revision, "dtype": dtype, "quantize": quantize, "local_files_only": local_files_only,
        }  # fmt: skip
        self._how: dict[str, Any] = {
            "device": device, "device_map": device_map, "trust_remote_code": trust_remote_code,
        }  # fmt: skip
        check_device(device)
        self._max_length, self._batch_tokens = max_length, batch_tokens
        known = model_identity(model, **self._which)
        self._identity = {
            "engine": "transformers", **known, "pair": pair, "max_length": max_length, "cut": CUT_RULE,
            "version": VERSION, **({"remote_code": True} if trust_remote_code else {}),
        }  # fmt: skip
        self.config = read_config(find_source(model, revision=revision, local_files_only=local_files_only))
        self._budget = batch_tokens or 0
        self._made: tuple[ref[Loaded], Inert, _Frame, int] | None = None

    def __repr__(self) -> str:
        return f"ClassifierEngine({self._model!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Without the model: another process loads its own."""
        return {**self.__dict__, "_made": None}

    @property
    def identity(self) -> Mapping[str, object]:
        """What decides the logits; JSON-able."""
        return self._identity

    def load(self) -> None:
        """Load the model now.

        Raises
        ------
        InterjudgeError : it cannot be loaded, or does not fit its configuration.
        """
        self._ready(load_classifier(self._model, **self._which, **self._how))

    def classified(self, texts: Sequence[tuple[str, ...]]) -> list[Classified]:
        """The logits of each output (one text, or two), in order.

        Raises
        ------
        InterjudgeError : the model cannot be loaded, or does not fit its configuration.
        """
        if not texts:
            return []
        loaded = load_classifier(self._model, **self._which, **self._how)
        inert, frame, room = self._ready(loaded)
        parts = [inert.ids([inert.broken(row[n]) for row in texts]) for n in range(len(texts[0]))]
        marker = inert.ids([MARKER.format(999)])[0]
        rows = [_fitted([part[n] for part in parts], room, len(marker)) for n in range(len(texts))]
        framed = [_framed(inert, frame, kept, left_out) for kept, left_out in rows]
        found: dict[int, Classified] = {}

        def ask(batch: list[int]) -> bool:
            logits = tried(lambda: _logits(loaded, [framed[n] for n in batch]))
            if logits is None and len(batch) == 1:
                problem = f"there is not enough memory for its {len(framed[batch[0]][0])} tokens"
                found[batch[0]] = Classified(problem=problem)
            for n, row in zip(batch, logits or (), strict=False):
                found[n] = Classified(tuple(row), len(framed[n][0]), sum(rows[n][1]))
            return logits is not None

        self._budget = in_batches(range(len(texts)), lambda n: len(framed[n][0]), self._budget, ask)
        return [found[n] for n in range(len(texts))]

    def _ready(self, loaded: Loaded) -> tuple[Inert, _Frame, int]:
        if self._made is None or self._made[0]() is not loaded:
            count = len(self.config.get("id2label") or ()) or loaded.model.config.num_labels
            if count != loaded.model.config.num_labels:
                raise InterjudgeError(f"{self._model}: its config.json names {count} classes, and it has others")
            if loaded.model.config.pad_token_id is None:  # where a decoder looks for the end of a text
                loaded.model.config.pad_token_id = _pad(loaded.tokenizer)
            frame = _frame(loaded.tokenizer, self._pair)
            room = room_of(loaded.model, loaded.tokenizer, self._max_length) - sum(map(len, frame.around))
            if room < 1:
                raise InputError(f"{self._model}: max_length leaves no room for a text", found=self._max_length)
            self._made = ref(loaded), Inert(loaded.tokenizer), frame, room
            self._budget = self._batch_tokens or _BUDGET.get(loaded.device.type, _BUDGET["cpu"])
        return self._made[1:]


def _frame(tokenizer: Any, pair: bool) -> _Frame:
    """Found on a text that is known: what stands before it, between two, and after."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer(*(("a", "a") if pair else ("a",)), return_token_type_ids=True)
    ids, around, types, at = whole["input_ids"], [], [], 0
    kinds = whole.get("token_type_ids") or [0] * len(ids)
    for _ in range(1 + pair):
        start = next(n for n in range(at, len(ids)) if ids[n : n + len(bare)] == bare)
        around.append(tuple(ids[at:start]))
        types.append(kinds[start])
        at = start + len(bare)
    return _Frame((*around, tuple(ids[at:])), tuple(types))


def _pad(tokenizer: Any) -> int:
    known = [tokenizer.pad_token_id, tokenizer.eos_token_id, 0]
    return int(next(one for one in known if one is not None))


Cut = tuple[list[int], list[int]]  # head and tail; the tail is empty where nothing was left out


def _fitted(parts: list[list[int]], room: int, marker: int) -> tuple[list[Cut], list[int]]:
    """Each part as its head and tail, and how many tokens of each were left out."""
    if len(parts) == 2:
        first = min(len(parts[0]), room // 2)
        rooms = [first, room - first]
    else:
        rooms = [room]
    kept: list[Cut] = []
    left_out = []
    for ids, most in zip(parts, rooms, strict=True):
        if len(ids) <= most:
            kept.append((ids, []))
            left_out.append(0)
            continue
        keep = max(0, most - marker - 1)  # one more digit in the marker, where there is
        tail = keep // 2
        kept.append((ids[: keep - tail], ids[len(ids) - tail :]))
        left_out.append(len(ids) - keep)
    return kept, left_out


def _framed(inert: Inert, frame: _Frame, kept: list[Cut], left_out: list[int]) -> tuple[list[int], list[int]]:
    """Token ids and token types of one output, with what the tokenizer puts around it."""
    ids, types = list(frame.around[0]), [frame.types[0]] * len(frame.around[0])
    for n, ((head, tail), gone) in enumerate(zip(kept, left_out, strict=True)):
        middle = inert.ids([MARKER.format(gone)])[0] if gone else []
        part = [*head, *middle, *tail, *frame.around[n + 1]]
        ids += part
        types += [frame.types[n]] * len(part)
    return ids, types


def _logits(loaded: Loaded, rows: Sequence[tuple[list[int], list[int]]]) -> list[list[float]]:
    import torch

    width = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), width), _pad(loaded.tokenizer), dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    types = torch.zeros((len(rows), width), dtype=torch.long)
    for n, (row, kinds) in enumerate(rows):
        ids[n, : len(row)] = torch.tensor(row)
        mask[n, : len(row)] = 1
        types[n, : len(row)] = torch.tensor(kinds)
    words = {"input_ids": ids, "attention_mask": mask}
    if "token_type_ids" in loaded.tokenizer.model_input_names:
        words["token_type_ids"] = types
    with torch.inference_mode():
        logits = loaded.model(**{name: one.to(loaded.device) for name, one in words.items()}).logits
    found: list[list[float]] = logits.float().tolist()
    return found
