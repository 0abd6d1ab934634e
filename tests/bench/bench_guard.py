"""The local engine against the obvious loop: `generate` for each output, and the reply's text parsed.

    python tests/bench/bench_guard.py                                   on the processor, three minutes
    python tests/bench/bench_guard.py --device cuda --size 8b           real size, random weights

1. The toy Llama guard of the tests (trained, so its verdicts mean something) on the demo outputs: the judge
   `guard/FOLDER?format=llama_guard_3` as a whole, categories included, against the loop. Then the same weights
   with a policy of eight times the length, about as long as a published one that describes its categories.
2. A larger random model and a policy of three times the length: with and without the shared beginning.
3. With `--size`: the architecture of a published 1B or 8B guard with random weights in bfloat16, tokens per second, the
   share of the card's peak (`--peak`, TFLOP/s of dense bfloat16), and the ratio to `generate` for each output.

Runs alternate; medians; verdicts must be equal (1, 2), else the script ends with 1.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))
from toy_models import POLICY, conversation, examples, llama_guard, toy_model
from transformers import AutoTokenizer

from interjudge.judges import local_engine
from interjudge.judges.guard_base import Ask, Local
from interjudge.judges.local_engine import LocalEngine
from interjudge.judges.local_model import Loaded, load_causal
from interjudge.judges.registry import get_judge

ROWS = examples().to_dicts()
# Of the published models whose size it is: hidden, inner, layers, heads, heads of keys and values.
SIZES = {"1b": (2048, 8192, 16, 32, 8), "8b": (4096, 14336, 32, 32, 8)}
VOCABULARY = 128_256
PROCESSOR = "--processor" in sys.argv
WRITTEN = 5  # tokens that a guard writes: blank, verdict, blank, category, end


def timed(*works: Callable[[], Any], runs: int) -> tuple[list[float], list[Any]]:
    """Median seconds of each, alternating, after one run that is not counted; and what the last one answered.

    By the clock; with `--processor` by the processor's time, all threads together, which other work on the machine
    does not change.
    """
    clock = time.process_time if PROCESSOR else time.perf_counter
    seconds: list[list[float]] = [[] for _ in works]
    found: list[Any] = [None] * len(works)
    for run in range(runs + 1):
        for n, work in enumerate(works):
            start = clock()
            found[n] = work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if run:
                seconds[n].append(clock() - start)
    return [statistics.median(one) for one in seconds], found


def loop(loaded: Loaded, rows: list[dict[str, Any]], most: int, least: int = 0) -> list[str]:
    """What most scripts do: one output, `generate`, the text."""
    said = []
    for row in rows:
        inputs = loaded.tokenizer.apply_chat_template(
            conversation(row), add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(loaded.device)
        inputs.pop("token_type_ids", None)
        with torch.inference_mode():
            out = loaded.model.generate(**inputs, max_new_tokens=most, min_new_tokens=least, do_sample=False)
        said.append(loaded.tokenizer.decode(out[0][inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    return said


def toy(runs: int) -> bool:
    return against_loop(toy_model("llama"), "The toy guard on the 360 demo outputs", runs)


def long(runs: int) -> bool:
    """The trained weights with another chat template: the policy stands in it eight times."""
    policy = POLICY.replace("\n", "\\n")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(toy_model("llama"), folder, dirs_exist_ok=True)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.chat_template = tokenizer.chat_template.replace(policy, 8 * policy)
        tokenizer.save_pretrained(folder)
        return against_loop(Path(folder), "The same guard with a policy of eight times the length", runs)


def against_loop(folder: Path, title: str, runs: int) -> bool:
    judge = get_judge(f"guard/{folder}?format=llama_guard_3&name=toy")
    table = pl.DataFrame(ROWS).select("prompt", "response")
    loaded = load_causal(str(folder))
    tokens = sum(
        len(loaded.tokenizer.apply_chat_template(conversation(row), add_generation_prompt=True)["input_ids"])
        for row in ROWS
    )
    # 20 tokens, as guards' cards show; it ends by itself after two to five
    (ours, theirs), (answer, said) = timed(lambda: judge(table), lambda: loop(loaded, ROWS, 20), runs=runs)
    same = answer["label"].to_list() == [text.split("\n")[0] for text in said]
    right = (answer["label"] == pl.Series([row["harm"] for row in ROWS])).mean()
    print(f"#### {title} ({tokens / len(ROWS):.0f} tokens each)\n")
    print("| | seconds | outputs a second |\n|---|---|---|")
    print(f"| `generate` for each output, text parsed | {theirs:.2f} | {len(ROWS) / theirs:.0f} |")
    print(f"| the judge | {ours:.2f} | {len(ROWS) / ours:.0f} |\n")
    equal = "equal" if same else "NOT EQUAL"
    print(f"{theirs / ours:.1f} times as fast; verdicts {equal}, {100 * right:.0f} % as the reference\n")
    return same


def prefix(runs: int) -> bool:
    rows = ROWS[:32]
    with tempfile.TemporaryDirectory() as folder:
        llama_guard(Path(folder), hidden=384, layers=6, heads=6, train=False, policy=3)
        engines = {name: LocalEngine(folder, prefix=name == "with") for name in ("without", "with")}
        asks = [Ask(messages=tuple(conversation(row)), start="\n\n") for row in rows]
        (without, with_), (a, b) = timed(*(lambda e=e: e.replies(asks) for e in engines.values()), runs=runs)
        loaded = load_causal(folder)
        (theirs,), _ = timed(lambda: loop(loaded, rows[:8], WRITTEN, WRITTEN), runs=1)
    same = [one.reply.text for one in a] == [one.reply.text for one in b]
    tokens = sum(one.reply.input_tokens or 0 for one in a)
    millions = sum(p.numel() for p in loaded.model.parameters()) / 1e6
    print(f"#### {millions:.0f} million random weights, {len(rows)} outputs, {tokens / len(rows):.0f} tokens each\n")
    print("| | seconds | outputs a second |\n|---|---|---|")
    each = theirs / 8
    print(
        f"| `generate` for each output ({WRITTEN} tokens; 8 outputs timed) | {each * len(rows):.1f} | {1 / each:.1f} |"
    )
    print(f"| in batches | {without:.2f} | {len(rows) / without:.1f} |")
    print(f"| in batches, the policy computed once | {with_:.2f} | {len(rows) / with_:.1f} |\n")
    print(f"the shared policy saves a factor of {without / with_:.1f}; verdicts {'equal' if same else 'NOT EQUAL'}\n")
    return same


def full(size: str, device: str, peak: float, runs: int) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    hidden, inner, layers, heads, kv = SIZES[size]
    tokenizer = load_causal(str(toy_model("llama"))).tokenizer
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv, max_position_embeddings=8192, dtype=torch.bfloat16,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=size == "1b",
    )  # fmt: skip
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16)
        model = LlamaForCausalLM(config).eval().requires_grad_(False)
        torch.set_default_dtype(torch.float32)
    loaded = Loaded(model, tokenizer, {}, torch.device(device))
    local_engine.load_causal = lambda *_, **__: loaded  # nothing of this size is saved and loaded
    folder = str(toy_model("llama"))
    rows = ROWS * 3
    asks = [Ask(messages=tuple(conversation(row)), start="\n\n") for row in rows]
    without, with_ = (LocalEngine(folder, prefix=use) for use in (False, True))
    (plain, shared), (a, _) = timed(lambda: without.replies(asks), lambda: with_.replies(asks), runs=runs)
    (theirs,), _ = timed(lambda: loop(loaded, rows[:24], WRITTEN, WRITTEN), runs=1)
    tokens = sum(one.reply.input_tokens or 0 for one in _replied(a))
    weights = sum(p.numel() for name, p in model.named_parameters() if "embed" not in name and "lm_head" not in name)
    used = 2 * weights * tokens / plain / (peak * 1e12)
    print(f"#### {size}, bfloat16, random weights, {len(rows)} outputs of {tokens / len(rows):.0f} tokens, {device}\n")
    print("| | seconds | prompt tokens a second | share of the peak |\n|---|---|---|---|")
    each = theirs / 24
    rate = tokens / each / len(rows)
    print(f"| `generate` for each ({WRITTEN} tokens; 24 timed) | {each * len(rows):.1f} | {rate:,.0f} | |")
    print(f"| in batches | {plain:.2f} | {tokens / plain:,.0f} | {100 * used:.0f} % |")
    print(f"| in batches, the policy computed once | {shared:.2f} | {tokens / shared:,.0f} | |\n")
    print(f"{each * len(rows) / plain:.1f} and {each * len(rows) / shared:.1f} times as fast as the loop\n")


def _replied(found: list[Local]) -> list[Local]:
    return [one for one in found if not one.problem]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", choices=SIZES)
    parser.add_argument("--peak", type=float, default=989.0, help="TFLOP/s, dense bfloat16 (an H100 or H200: 989)")
    parser.add_argument("--only", choices=("toy", "long", "prefix"))
    parser.add_argument("--processor", action="store_true", help="processor time in place of the clock's")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    if given.size:
        full(given.size, given.device, given.peak, given.runs)
        return
    parts = {"toy": toy, "long": long, "prefix": prefix}
    equal = [part(given.runs) for name, part in parts.items() if given.only in (None, name)]  # all of them run
    if not all(equal):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
