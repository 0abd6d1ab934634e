"""Vectors of texts by a sentence encoder: mean of its last hidden states over the tokens, of length one.

A text longer than one piece (256 tokens, what small encoders are trained on) is read in pieces, whose vectors are
averaged by their tokens; what is beyond `PIECES` of them is not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]
Pooling = Literal["mean", "first"]

PIECE: Final = 256  # tokens, with the marks at both ends
PIECES: Final = 8
BUDGET: Final = 8_192  # tokens of a batch, padding included


def vectors(
    model: Any, tokenizer: Any, texts: Sequence[str], *, pooling: Pooling = "mean"
) -> tuple[Vectors, list[int]]:
    """Unit vectors, (texts, width), zero for a text without tokens, and how many tokens of each were not read."""
    import torch  # noqa: PLC0415  heavy

    most = min(PIECE, getattr(model.config, "max_position_embeddings", PIECE) or PIECE)
    before, after = _marks(tokenizer)
    room = most - len(before) - len(after)
    pieces: list[tuple[int, list[int]]] = []  # which text, its tokens
    left_out = []
    for i, text in enumerate(texts):
        ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] if text.strip() else []
        pieces += [(i, ids[at : at + room]) for at in range(0, min(len(ids), room * PIECES), room)]
        left_out.append(max(0, len(ids) - room * PIECES))
    found = np.zeros((len(texts), model.config.hidden_size))
    order = sorted(range(len(pieces)), key=lambda n: (-len(pieces[n][1]), n))
    at = 0
    while at < len(order):
        count = max(1, BUDGET // (len(pieces[order[at]][1]) + most - room))
        batch = [pieces[n] for n in order[at : at + count]]
        whole = [[*before, *ids, *after] for _, ids in batch]
        width = max(map(len, whole))
        padded = torch.full((len(batch), width), tokenizer.pad_token_id or 0, dtype=torch.long)
        mask = torch.zeros((len(batch), width), dtype=torch.long)
        for row, one in enumerate(whole):
            padded[row, : len(one)] = torch.tensor(one)
            mask[row, : len(one)] = 1
        with torch.inference_mode():
            hidden = model(input_ids=padded.to(model.device), attention_mask=mask.to(model.device)).last_hidden_state
            weights = mask.to(hidden.device).unsqueeze(-1).float()
            pooled = hidden[:, 0].float() if pooling == "first" else (hidden * weights).sum(1) / weights.sum(1)
        for (i, one), vector in zip(batch, pooled.double().cpu().numpy(), strict=True):
            found[i] += len(one) * vector / max(float(np.linalg.norm(vector)), 1e-12)
        at += count
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return found / np.maximum(lengths, 1e-12), left_out


def _marks(tokenizer: Any) -> tuple[list[int], list[int]]:
    """What the tokenizer puts before and after a text (`[CLS]`, `[SEP]`)."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    at = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    return whole[:at], whole[at + len(bare) :]


def cosines(a: Vectors, b: Vectors) -> NDArray[np.float64]:
    """Row by row, -1 to 1."""
    found: NDArray[np.float64] = np.clip((a * b).sum(1), -1.0, 1.0)
    return found
