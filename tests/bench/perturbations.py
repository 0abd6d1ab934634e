"""Make incoherent versions of real text, and read the real coherent text that they are made from.

Every maker takes a list of texts (cut to so many words) and a seeded generator, and keeps the text's layout
(line breaks) where it can, so that what is measured is the damage and not the layout.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import random
import re
import string
import textwrap
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

TEXTS = Path(__file__).resolve().parents[1] / "judges" / "coherence_texts.toml"
ODDITIES = Path(__file__).with_name("coherent_oddities.toml")
LENGTHS = (32, 64, 128, 256)
PIECE = re.compile(r"(\S+)(\s*)")


@dataclass(frozen=True)
class Damage:
    """One way to spoil text: `make` (texts, prompts, generator) -> texts; `fixed` where the length is its own."""

    name: str
    how: str
    make: Callable[[list[str], list[str], random.Random], list[str]]
    fixed: bool = False
    part: str = ""  # "dev" or "test": where the makers draw from material of their own (code, languages)


# ------------------------------------------------------------------- real text


def is_dev(key: str) -> bool:
    """Half of all prompts, by their hash: the same for all answers to a prompt."""
    return hashlib.sha256(key.encode()).digest()[0] % 2 == 0


def coherent(panels: Path, names: tuple[str, ...] = ("xstest_v2",)) -> pl.DataFrame:
    """`item_id`, `prompt`, `response`, `model`, `panel`, `dev`: one row an output of the panels named."""
    frames = [
        pl.read_parquet(panels / f"{name}.parquet", columns=["item_id", "prompt", "response", "model"])
        .unique("item_id", keep="first", maintain_order=True)
        .with_columns(panel=pl.lit(name))
        for name in names
    ]
    table = pl.concat(frames)
    keys = {p: is_dev(p) for p in table["prompt"].unique()}
    return table.with_columns(dev=pl.col("prompt").replace_strict(keys, return_dtype=pl.Boolean))


def cut(text: str, words: int) -> str | None:
    """The first `words` words with their layout, or None where there are fewer."""
    found = PIECE.findall(text.strip())
    if len(found) < words:
        return None
    return "".join(w + gap for w, gap in found[:words]).strip()


def in_pairs(table: pl.DataFrame) -> pl.DataFrame:
    """Each answer with the same model's next one below it, and both prompts: longer coherent text."""
    both = table.with_columns(
        prompt=pl.concat_str("prompt", pl.col("prompt").shift(-1).over("model"), separator="\n"),
        response=pl.concat_str("response", pl.col("response").shift(-1).over("model"), separator="\n\n"),
    )
    return both.filter(pl.col("response").is_not_null())


def written() -> dict[str, list[dict[str, str]]]:
    """The answers in ten languages (`answer`) and the coherent oddities (`calm`) written for the tests."""
    with TEXTS.open("rb") as file:
        found: dict[str, list[dict[str, str]]] = tomllib.load(file)
    return found


def oddities() -> pl.DataFrame:
    """`prompt`, `response`: coherent answers of unusual kinds that were written for the calibration."""
    with ODDITIES.open("rb") as file:
        return pl.DataFrame(tomllib.load(file)["odd"])


# -------------------------------------------------------------------- the damage


def _rebuilt(text: str, change: Callable[[list[str]], list[str]]) -> str:
    """Words changed, the white space between them left in place."""
    found = PIECE.findall(text)
    words = change([w for w, _ in found])
    gaps = [gap for _, gap in found]
    return "".join(w + gap for w, gap in zip(words, gaps, strict=True))


def shuffled(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    return [_rebuilt(t, lambda words: rng.sample(words, len(words))) for t in texts]


def shuffled_windows(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    def change(words: list[str]) -> list[str]:
        windows = [words[i : i + 4] for i in range(0, len(words), 4)]
        return [w for window in windows for w in rng.sample(window, len(window))]

    return [_rebuilt(t, change) for t in texts]


def dropped(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    return ["".join(w + gap for w, gap in PIECE.findall(t) if rng.random() >= 0.2) for t in texts]


def typos(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    def letter(char: str) -> str:
        if not char.isalpha() or rng.random() >= 0.05:
            return char
        other = rng.choice(string.ascii_lowercase)
        return rng.choice(("", other, char + other))

    return ["".join(map(letter, t)) for t in texts]


def gibberish(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    def letter(char: str) -> str:
        return rng.choice(string.ascii_lowercase) if char.isalpha() else char

    return ["".join(map(letter, t)) for t in texts]


def scrambled_letters(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    def change(words: list[str]) -> list[str]:
        return ["".join(rng.sample(w, len(w))) for w in words]

    return [_rebuilt(t, change) for t in texts]


def random_case(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    return ["".join(c.upper() if rng.random() < 0.5 else c.lower() for c in t) for t in texts]


def glued(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    return ["".join(w + (gap if rng.random() < 0.2 else "") for w, gap in PIECE.findall(t)) for t in texts]


def soup(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    """Pieces of words of ten languages, identifiers and signs, half of them glued together."""
    pieces: list[str] = []
    for answer in written()["answer"]:
        for word in answer["response"].split():
            at = rng.randint(1, max(1, min(6, len(word))))
            pieces += [word[:at], word[at:]] if len(word) > at else [word]
    for module in ("argparse", "json.decoder", "shutil"):
        pieces += re.findall(r"[A-Za-z_]{2,}\(?|[=:{}\[\])]+", inspect.getsource(importlib.import_module(module)))
    pieces += [word for text in texts[:50] for word in text.split()]

    def one(words: int) -> str:
        return "".join(rng.choice(pieces) + rng.choice((" ", "", " ", "_")) for _ in range(words))

    return [one(len(t.split())) for t in texts]


def looped(period: int) -> Callable[[list[str], list[str], random.Random], list[str]]:
    def make(texts: list[str], _: list[str], __: random.Random) -> list[str]:
        def change(words: list[str]) -> list[str]:
            return [words[i % period] for i in range(len(words))]

        return [_rebuilt(t, change) for t in texts]

    return make


def loop_after_start(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    """Half of the text as it is, then its last 1 to 12 words again and again."""

    def change(words: list[str]) -> list[str]:
        half, period = len(words) // 2, rng.randint(1, 12)
        return [words[i] if i < half else words[half - period + (i - half) % period] for i in range(len(words))]

    return [_rebuilt(t, change) for t in texts]


def truncated(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    def one(text: str) -> str:
        words = text.split()[: rng.randint(2, 6)]
        while len(words) > 2 and len(words[-1].strip(string.punctuation)) < 4:
            words.pop()
        last = words[-1].strip(string.punctuation)
        return " ".join([*words[:-1], last[: max(2, len(last) // 2)]])

    return [one(t) for t in texts]


def misread(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    """Accents put on a tenth of the letters, then UTF-8 read as Windows-1252."""

    def letter(char: str) -> str:
        return rng.choice("éàüñçöâêî’") if char.isalpha() and rng.random() < 0.1 else char

    marked = ["".join(map(letter, t)) for t in texts]
    return [t.encode().decode("cp1252", errors="replace") for t in marked]


def replaced(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    return ["".join("\ufffd" if c.isalpha() and rng.random() < 0.1 else c for c in t) for t in texts]


def foreign(part: str) -> Callable[[list[str], list[str], random.Random], list[str]]:
    """Answers in another language: those written for the tests, one half of the languages for each part."""

    def make(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
        languages = {"dev": ("fr", "de", "zh", "ar", "ko"), "test": ("es", "pt", "it", "ja", "hi")}
        pool = [a["response"] for a in written()["answer"] if not part or a["language"] in languages[part]]
        return [rng.choice(pool) for _ in texts]

    return make


def echoed(_: list[str], prompts: list[str], rng: random.Random) -> list[str]:
    return [p if rng.random() < 0.5 else f"{p} {p}" for p in prompts]


MODULES = {
    "dev": ("argparse", "bisect", "calendar", "collections", "configparser", "csv", "difflib", "fnmatch", "heapq"),
    "test": ("json.encoder", "mailbox", "pathlib", "queue", "shlex", "statistics", "string", "tarfile", "wave"),
}


def code(part: str) -> Callable[[list[str], list[str], random.Random], list[str]]:
    """Functions of Python's standard library, up to 60 lines of one."""

    def make(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
        pool = []
        for name in MODULES[part] if part else (*MODULES["dev"], *MODULES["test"]):
            source = inspect.getsource(importlib.import_module(name))
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.FunctionDef):
                    lines = textwrap.dedent(ast.get_source_segment(source, node, padded=True) or "").splitlines()
                    if len(lines) >= 5:
                        pool.append("\n".join(lines[:60]))
        return [rng.choice(pool) for _ in texts]

    return make


def letters_only(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    forms = ("{a}", "{a}.", "({a})", "Answer: {a}", "The correct answer is {a}.", "{a}) {w}", "{a}\n{b}\n{c}\n{d}",
             "A) {w}\nB) {x}\nC) {y}\nD) {z}", "1. {a}\n2. {b}\n3. {c}\n4. {d}\n5. {a}")  # fmt: skip

    def one(text: str) -> str:
        words = [*re.findall(r"[a-z]{4,}", text), "yes", "none", "both", "all"]
        w, x, y, z = rng.sample(words, 4)
        a, b, c, d = rng.choices("ABCD", k=4)
        return rng.choice(forms).format(a=a, b=b, c=c, d=d, w=w, x=x, y=y, z=z)

    return [one(t) for t in texts]


def swapped(texts: list[str], prompts: list[str], rng: random.Random) -> list[str]:
    """Each prompt gets the answer to another prompt, as it is: readable, and beside the point."""
    order = list(range(len(texts)))
    rng.shuffle(order)
    found = dict(zip(order, order[1:] + order[:1], strict=True))  # one round trip: nobody keeps their own
    return [texts[found[i]] if prompts[found[i]] != prompts[i] else texts[found[found[i]]] for i in range(len(texts))]


def empty(texts: list[str], _: list[str], rng: random.Random) -> list[str]:
    return [rng.choice(("", " ", "\n\n", "...", "\u200b", "?!")) for _ in texts]


def damages(part: str = "") -> tuple[Damage, ...]:
    """All of them; `part` is "dev", "test" or "" (all material)."""
    return (
        Damage("words shuffled", "all words in random order", shuffled),
        Damage("shuffled in 4-word windows", "each four words in random order", shuffled_windows),
        Damage("20 % of words dropped", "each word dropped with probability .2", dropped),
        Damage("5 % typos", "each letter deleted, replaced or doubled up with probability .05", typos),
        Damage("letter gibberish", "each letter replaced by a random one", gibberish),
        Damage("letters scrambled in words", "the characters of each word in random order", scrambled_letters),
        Damage("random case", "each letter large or small at random", random_case),
        Damage("words glued", "four of five blanks removed", glued),
        Damage("token soup", "pieces of words of ten languages, identifiers and signs, partly glued", soup),
        Damage("5-word loop", "the first 5 words over and over", looped(5)),
        Damage("20-word loop", "the first 20 words over and over", looped(20)),
        Damage("60-word loop", "the first 60 words over and over", looped(60)),
        Damage("loop from the middle", "half the text, then its last 1 to 12 words over and over", loop_after_start),
        Damage("mojibake", "accents on a tenth of the letters, UTF-8 read as Windows-1252", misread),
        Damage("replacement characters", "a tenth of the letters lost to U+FFFD", replaced),
        Damage("truncated", "2 to 6 words, the last cut in half", truncated, fixed=True),
        Damage("foreign-language answer", "paragraphs in ten languages to English prompts", foreign(part), fixed=True),
        Damage("prompt echo", "the prompt, once or twice", echoed, fixed=True),
        Damage("unrelated code", "a function of Python's library, 5 to 60 lines", code(part), fixed=True),
        Damage("multiple-choice letters", "nine forms of lettered answers", letters_only, fixed=True),
        Damage("answer to another prompt", "a coherent answer that belongs to another prompt", swapped),
        Damage("empty", "nothing, blanks or punctuation", empty, fixed=True),
    )
