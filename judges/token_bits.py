"""What a causal language model makes of each token of a text: bits of surprise given a prompt and alone.

    scorer = Scorer(model, tokenizer)
    scorer.read(prompts, responses) -> one `Reading` for each, in order

Texts are sorted by length and run in batches of a token budget, padded on the right, which a causal model does not
see. The output layer is applied to a few hundred positions at a time: full logits of a batch would take gigabytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROWS: Final = 256  # positions at a time under the output layer
FEW: Final = 16  # of these at a time in the softmax: what fits a processor's cache takes a quarter of the time
BUDGET: Final = 16_384  # tokens of a batch, padding included
CPU_BUDGET: Final = 512  # the same on a CPU, which gains nothing by width and pays for padding
RESPONSE_TOKENS: Final = 1_024  # of a response that are read
PROMPT_TOKENS: Final = 512  # of a prompt that are read
TOLERANCE: Final = 0.05  # bits by which the piecewise output layer may differ from the model's own


@dataclass(frozen=True)
class Reading:
    """One response as a model reads it; arrays of shape (tokens,), in bits.

    Attributes
    ----------
    tokens : the ids of the response's tokens that were read.
    given, alone : surprise at each token, after the prompt and without it.
    entropy : the surprise that the model expected at each token, after the prompt.
    left_out : tokens of the response that were not read, between the head and the tail of `tokens`.
    """

    tokens: Ints
    given: Floats
    alone: Floats
    entropy: Floats
    left_out: int = 0


class Scorer:
    """A causal model with its tokenizer, ready to read; see `Reading`."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        response_tokens: int = RESPONSE_TOKENS,
        prompt_tokens: int = PROMPT_TOKENS,
        budget: int | None = None,
    ) -> None:
        self._model, self._tokenizer = model.eval(), tokenizer
        self._trunk, self._head = model.base_model, model.get_output_embeddings()
        self._budget = budget or (CPU_BUDGET if model.device.type == "cpu" else BUDGET)
        most = getattr(model.config, "max_position_embeddings", None) or response_tokens + prompt_tokens
        self._response_tokens = min(response_tokens, most // 2)
        self._prompt_tokens = min(prompt_tokens, most // 4)
        self._start = self._first_token()
        self._piecewise = self._trunk is not model and self._head is not None and self._same()

    def read(self, prompts: Sequence[str], responses: Sequence[str], *, alone: bool = True) -> list[Reading]:
        """One `Reading` for each pair of texts; one without tokens for a response without any.

        Without `alone` that half is left out (and is empty), which takes half of the time.
        """
        bodies = [self._cut(self._ids(text), self._response_tokens) for text in responses]
        contexts = [self._context(prompt) for prompt in prompts]
        given = self._run([(context, body) for context, (body, _) in zip(contexts, bodies, strict=True)], entropy=True)
        plain = self._run([([self._start], body if alone else []) for body, _ in bodies], entropy=False)
        return [
            Reading(np.array(body, np.int64), after[0], without[0], after[1], left_out)
            for (body, left_out), after, without in zip(bodies, given, plain, strict=True)
        ]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] if text else []
        return ids

    def _context(self, prompt: str) -> list[int]:
        """The prompt as the model is asked it: in its chat template where it has one, its middle left out if long."""
        ids = self._ids(prompt)
        kept, left_out = self._cut(ids, self._prompt_tokens)
        text = self._tokenizer.decode(kept) if left_out else prompt
        if not text.strip():
            return [self._start]
        if not getattr(self._tokenizer, "chat_template", None):
            return [self._start, *self._ids(f"{text}\n\n")]
        messages = [{"role": "user", "content": text}]
        chat = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return self._ids(chat)

    @staticmethod
    def _cut(ids: list[int], most: int) -> tuple[list[int], int]:
        """The first and the last halves of `most` tokens, and how many between them are left out."""
        if len(ids) <= most:
            return ids, 0
        return [*ids[: most - most // 2], *ids[len(ids) - most // 2 :]], len(ids) - most

    def _first_token(self) -> int:
        """What a text without a prompt comes after: the mark between documents."""
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            found = getattr(self._tokenizer, name, None)
            if found is not None:
                return int(found)
        return 0

    def _batches(self, jobs: Sequence[tuple[list[int], list[int]]]) -> Iterator[list[int]]:
        """Numbers of the jobs, longest first, so many that their padded length keeps to the budget."""
        order = sorted((i for i, (_, body) in enumerate(jobs) if body), key=lambda i: (-_length(jobs[i]), i))
        at = 0
        while at < len(order):
            count = max(1, self._budget // _length(jobs[order[at]]))
            yield order[at : at + count]
            at += count

    def _run(self, jobs: Sequence[tuple[list[int], list[int]]], *, entropy: bool) -> list[tuple[Floats, Floats]]:
        """Surprise and, where `entropy` is wanted, expected surprise at each token of each job's second part."""
        nothing = np.zeros(0)
        found = [(nothing, nothing)] * len(jobs)
        for numbers in self._batches(jobs):
            for i, pair in zip(numbers, self._batch([jobs[i] for i in numbers], entropy), strict=True):
                found[i] = pair
        return found

    def _batch(self, jobs: Sequence[tuple[list[int], list[int]]], entropy: bool) -> list[tuple[Floats, Floats]]:
        import torch  # noqa: PLC0415  heavy

        width = max(map(_length, jobs))
        ids = torch.full((len(jobs), width), self._start, dtype=torch.long)
        mask = torch.zeros((len(jobs), width), dtype=torch.long)
        for row, (context, body) in enumerate(jobs):
            ids[row, : len(context) + len(body)] = torch.tensor([*context, *body])
            mask[row, : len(context) + len(body)] = 1
        # Position i - 1 says what it expects at i.
        rows = torch.tensor([row for row, (_, body) in enumerate(jobs) for _ in body])
        at = torch.tensor([len(c) + i for c, body in jobs for i in range(len(body))])
        wanted = ids[rows, at]
        device = self._model.device
        with torch.inference_mode():
            inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device), "use_cache": False}
            if self._piecewise:
                hidden = self._trunk(**inputs).last_hidden_state[rows, at - 1]
                pieces = (self._head(part) for part in hidden.split(ROWS))
            else:
                pieces = iter(self._model(**inputs).logits[rows, at - 1].split(ROWS))
            results = [_bits(p, w, entropy) for p, w in zip(pieces, wanted.to(device).split(ROWS), strict=True)]
        both = torch.cat(results).double().cpu().numpy()
        edges = np.cumsum([len(body) for _, body in jobs])[:-1]
        return [(part[:, 0], part[:, 1]) for part in np.split(both, edges)]

    def _same(self) -> bool:
        """Whether the output layer on the trunk is all there is: some models scale or cap their logits after it."""
        import torch  # noqa: PLC0415  heavy

        vocabulary = self._head.weight.shape[0]
        ids = torch.arange(8, device=self._model.device).unsqueeze(0) * max(1, vocabulary // 8 - 1)
        with torch.inference_mode():
            whole = self._model(input_ids=ids, use_cache=False).logits[0]
            parts = self._head(self._trunk(input_ids=ids, use_cache=False).last_hidden_state[0])
            gap = _bits(whole[:-1], ids[0, 1:], True) - _bits(parts[:-1], ids[0, 1:], True)
        return float(gap.abs().max()) < TOLERANCE


def _length(job: tuple[list[int], list[int]]) -> int:
    return len(job[0]) + len(job[1])


def _bits(logits: Any, wanted: Any, entropy: bool) -> Any:
    """Surprise at the wanted tokens and entropy of the distributions (else 0), (rows, 2), in bits."""
    import torch  # noqa: PLC0415  heavy

    found = []
    for some, token in zip(logits.split(FEW), wanted.split(FEW), strict=True):
        values = some.float()
        total = torch.logsumexp(values, -1)
        surprise = total - values.gather(-1, token.unsqueeze(-1)).squeeze(-1)
        expected = torch.zeros_like(total)
        if entropy:  # log of the sum minus the mean logit; a logit of minus infinity has chance 0
            chance = torch.exp(values - total.unsqueeze(-1))
            expected = total - torch.where(chance > 0, chance * values, 0.0).sum(-1)
        found.append(torch.stack((surprise, expected), -1))
    return torch.cat(found) / math.log(2)
