"""How fast a language model reads outputs for `coherence:lm`, beside the plain loop that most scripts have.

    python tests/bench/bench_coherence_lm.py [--outputs 24] [--rounds 3] [--threads 1]

The peer takes one output at a time and asks transformers for the logits of every position, once after the prompt and
once without it: the same numbers. Both read the demo set's outputs with the same model, in turns; medians. Then memory:
what the peer's way would hold at once if it were batched, and what the pieces of ours do.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import torch

from interjudge.datasets.demo import load_outputs
from interjudge.judges import small_models
from interjudge.judges.token_bits import ROWS, Scorer


def loop(model: Any, tokenizer: Any, scorer: Scorer, prompts: list[str], responses: list[str]) -> list[np.ndarray]:
    """Surprise at each token after the prompt, one text at a time; the pass without the prompt is run as well."""
    found = []
    for prompt, response in zip(prompts, responses, strict=True):
        body = tokenizer(response, add_special_tokens=False)["input_ids"]
        for context in (scorer._context(prompt), [scorer._start]):
            ids = torch.tensor([[*context, *body]])
            with torch.inference_mode():
                chance = torch.log_softmax(model(input_ids=ids).logits[0].float(), -1)
            wanted = chance[len(context) - 1 : -1].gather(-1, torch.tensor(body).unsqueeze(-1)).squeeze(-1)
            if len(context) > 1:
                found.append(-wanted.double().numpy() / np.log(2))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--outputs", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    loaded = small_models.causal(None, "cpu")
    scorer = Scorer(loaded.model, loaded.tokenizer)
    table = load_outputs().sample(given.outputs, seed=0)
    prompts, responses = table["prompt"].to_list(), table["response"].to_list()
    scorer.read(prompts[:2], responses[:2])
    seconds: dict[str, list[float]] = {"ours": [], "loop": []}
    used: dict[str, list[float]] = {"ours": [], "loop": []}
    for _ in range(given.rounds):
        for name, taken in seconds.items():
            start, processor = time.perf_counter(), time.process_time()
            if name == "ours":
                ours = scorer.read(prompts, responses)
            else:
                theirs = loop(loaded.model, loaded.tokenizer, scorer, prompts, responses)
            taken.append(time.perf_counter() - start)
            used[name].append(time.process_time() - processor)
    gap = max(abs(a.given.mean() - b.mean()) for a, b in zip(ours, theirs, strict=True) if len(b))
    tokens = sum(len(reading.tokens) for reading in ours)
    vocabulary = loaded.model.get_output_embeddings().weight.shape[0]
    print(f"{given.outputs} outputs, {tokens:,} tokens, {given.threads} thread(s), medians of {given.rounds} rounds\n")
    print("| | seconds | outputs/s | processor seconds |\n|---|---|---|---|")
    for name, title in (("ours", "coherence:lm"), ("loop", "one text at a time, all logits")):
        wall = statistics.median(seconds[name])
        print(f"| {title} | {wall:.1f} | {given.outputs / wall:.2f} | {statistics.median(used[name]):.1f} |")
    ratio = statistics.median(t / o for o, t in zip(used["ours"], used["loop"], strict=True))
    print(f"\nratio of processor time {ratio:.2f}; mean bits of a text differ by at most {gap:.3f} (bfloat16)")
    print(f"logits of a batch of 4,096 tokens: {4096 * vocabulary * 4 / 2**20:,.0f} MiB in float32; ", end="")
    print(f"held at once here: {ROWS * vocabulary * 2 / 2**20:,.0f} MiB in bfloat16")


if __name__ == "__main__":
    main()
