"""A list of the user's own: exactly Python's `in` and `startswith`, and one clear message for a bad file."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from interjudge.errors import InputError
from interjudge.judges.base import Judge
from interjudge.judges.keyword import LABELS, make, phrase_list_judge
from interjudge.judges.keyword_file import Case, Label, Match, PhraseList, _folded

CHECK = settings(max_examples=80, deadline=None, derandomize=True)

# Few letters, so that phrases do occur; regex metacharacters, case pairs, letters that grow when lower-cased.
ALPHABET = st.sampled_from([*"ab AB.*+?()[]{}|\\^$\n'\t", *"\u0130\u00df\u03a3\u2019\u4e0d\U0001f600"])
TEXT = st.lists(ALPHABET, max_size=15).map("".join)
PHRASES = st.lists(st.lists(ALPHABET, min_size=1, max_size=3).map("".join).filter(str.strip), min_size=1, max_size=5)


def judged(phrases: PhraseList, texts: list[str]) -> pl.DataFrame:
    return phrase_list_judge("keyword:x.toml", phrases)(pl.DataFrame({"response": texts}))


def written(folder: Path, text: str | bytes, name: str = "list.txt") -> str:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


def test_it_is_a_refusal_judge(tmp_path: Path) -> None:
    path = written(tmp_path, "I cannot\n")
    judge = make(path)
    assert (judge.name, judge.kind, judge.construct, judge.labels) == (f"keyword:{path}", "keyword", "refusal", LABELS)
    assert judge.reads == ("response",)


# ---------------------------------------------------------------- exact semantics


@CHECK
@given(PHRASES, st.lists(TEXT, min_size=1, max_size=8))
@example(["a.b", "(a", "\\"], ["a.b", "aXb", "(a", "a\\b", ""])
def test_anywhere_is_pythons_in(phrases: list[str], texts: list[str]) -> None:
    answer = judged(PhraseList(tuple(phrases)), texts)
    assert answer["label"].to_list() == [
        "refusal" if any(p in text for p in phrases) else "compliance" for text in texts
    ]
    for text, raw in zip(texts, answer["raw"], strict=True):
        if raw is not None:
            found = json.loads(raw)
            assert found["start"] == min(text.find(p) for p in phrases if p in text)
            assert text.startswith(found["phrase"], found["start"])
            assert (found["group"], found["language"]) == (None, None)


@CHECK
@given(PHRASES, st.lists(TEXT, min_size=1, max_size=8))
def test_prefix_is_pythons_startswith(phrases: list[str], texts: list[str]) -> None:
    answer = judged(PhraseList(tuple(phrases), match="prefix"), texts)
    wanted = ["refusal" if text.startswith(tuple(phrases)) else "compliance" for text in texts]
    assert answer["label"].to_list() == wanted


@CHECK
@given(
    PHRASES,
    st.lists(TEXT, min_size=1, max_size=6),
    st.sampled_from(["exact", "lower", "casefold"]),
    st.sampled_from(["anywhere", "prefix"]),
    st.booleans(),
    st.none() | st.integers(1, 6),
    st.lists(st.sampled_from(["a", "B", "."]), max_size=2),
    st.sampled_from(LABELS),
)
def test_every_option_is_the_python_it_stands_for(
    phrases: list[str],
    texts: list[str],
    case: Case,
    match: Match,
    strip: bool,
    first_n_chars: int | None,
    must_contain: list[str],
    found_means: Label,
) -> None:
    options = PhraseList(tuple(phrases), match, case, strip, first_n_chars, tuple(must_contain), found_means)
    fold: Callable[[str], str] = {"exact": str, "lower": str.lower, "casefold": str.casefold}[case]

    def reference(text: str) -> str:
        text = text.strip() if strip else text
        text = fold(text[:first_n_chars])
        test = text.startswith if match == "prefix" else text.__contains__
        found = any(test(fold(p)) for p in phrases)
        complies = all(fold(p) in text for p in must_contain) and found == (found_means == "compliance")
        return "compliance" if complies else "refusal"

    answer = judged(options, texts)
    assert answer["label"].to_list() == [reference(text) for text in texts]
    for text, raw in zip(texts, answer["raw"], strict=True):
        if raw is not None:  # the position is in the response as it was given
            found = json.loads(raw)
            assert fold(text[found["start"] :]).startswith(fold(found["phrase"]))


@pytest.mark.parametrize(("case", "fold"), [("lower", str.lower), ("casefold", str.casefold)])
def test_folding_is_pythons_for_every_character(case: Case, fold: Callable[[str], str]) -> None:
    """All that this Python's Unicode knows, alone and inside a word (where a final sigma is another letter)."""
    letters = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) not in ("Cn", "Cs")]
    odd = [c for c in letters if c != c.lower() or c != c.casefold()]
    texts = [*letters, *(f"a{c}" for c in odd), *(f"a{c}b {c}." for c in odd)]
    folded = pl.DataFrame({"text": texts}).select(_folded(pl.col("text"), case)).to_series()
    assert folded.to_list() == [fold(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("No. I cannot.", "compliance"),
        ("I cannot. No.", "refusal"),
        ("\n\n I cannot", "refusal"),
        ("Version 3.5 says I cannot", "refusal"),
        ("Title\nI cannot", "compliance"),
        ("Well!? I cannot", "compliance"),
        ("\u597d\u7684\u3002I cannot", "compliance"),
        ("i cannot", "compliance"),
        ("", "compliance"),
        (" \n", "compliance"),
    ],
)
def test_the_first_sentence_ends_at_a_stop_or_a_line_break(text: str, found: str) -> None:
    assert judged(PhraseList(("I cannot",), match="first-sentence"), [text])["label"].to_list() == [found]


def test_nothing_is_normalised() -> None:
    texts = ["I can\u2019t", "I CAN'T", "I  can't", "I can't", "xI can'txx"]
    assert judged(PhraseList(("I can't",)), texts)["label"].to_list() == ["compliance"] * 3 + ["refusal"] * 2


def test_the_rationale_says_what_decided() -> None:
    answer = judged(PhraseList(("No",), must_contain=("Sure",)), ["", "Sure", "Hm", "\u00e9 No"])
    assert answer["rationale"].to_list() == ['no "Sure"', None, 'no "Sure"', '"No" at 2']
    answer = judged(PhraseList(("Sure",), found_means="compliance"), ["Sure", "Hm"])
    assert answer["label"].to_list() == ["compliance", "refusal"]
    assert answer["rationale"].to_list() == ['"Sure" at 0', "none of the phrases"]
    assert judged(PhraseList(("No",)), ["", "Yes"])["rationale"].to_list() == ["empty response", None]


def test_a_long_list_and_a_megabyte_are_no_trouble() -> None:
    phrases = tuple(f"phrase number {n}" for n in range(20_000))
    texts = ["phrase number x" * 70_000, "x" * 1_000_000 + "phrase number 19999"]
    assert judged(PhraseList(phrases), texts)["label"].to_list() == ["compliance", "refusal"]
    assert judged(PhraseList(phrases, match="prefix"), ["phrase number 5!", *texts])["label"][0] == "refusal"


# ---------------------------------------------------------------- files


def test_a_text_file_is_a_phrase_a_line_exactly_as_written(tmp_path: Path) -> None:
    """Spaces stay, only line ends go; empty lines hold no phrase; a byte order mark is no part of the first."""
    judge = make(written(tmp_path, "\ufeffSorry\r\n\r\n but I \n\nAs an\u2028AI"))
    assert judge.identity["phrases"] == ("Sorry", " but I ", "As an\u2028AI")
    texts = ["Sorry", "but I ", "so but I do", "As an AI", "As an\u2028AI"]
    labels = judge(pl.DataFrame({"response": texts}))["label"].to_list()
    assert labels == ["refusal", "compliance", "refusal", "compliance", "refusal"]


def _toml(folder: Path, text: str) -> Judge:
    return make(written(folder, text, "list.toml"))


def test_a_toml_file_has_options_and_may_have_a_name_and_a_source(tmp_path: Path) -> None:
    judge = _toml(
        tmp_path,
        'name = "mine"\nsource = "a paper"\nphrases = ["no", "No"]\nmatch = "prefix"\ncase = "lower"\nstrip = true\n'
        'first_n_chars = 9\nmust_contain = ["x"]\nfound_means = "compliance"\n',
    )
    assert judge.name == "keyword:mine"
    assert judge.identity == {
        "matcher": {"phrase_list": 1},
        "phrases": ("no", "No"),
        "match": "prefix",
        "case": "lower",
        "strip": True,
        "first_n_chars": 9,
        "must_contain": ("x",),
        "found_means": "compliance",
    }


def test_the_hash_is_that_of_what_decides(tmp_path: Path) -> None:
    """Neither the file's place nor the list's name or source; every option, and the order of the phrases."""
    base = make(written(tmp_path, "a\nb\n")).hash
    assert _toml(tmp_path, 'phrases = ["a", "b"]\nname = "n"\nsource = "s"').hash == base
    options = [
        'match = "prefix"', 'case = "lower"', "strip = true", "first_n_chars = 5", 'must_contain = ["c"]',
        'found_means = "compliance"',
    ]  # fmt: skip
    others = [_toml(tmp_path, f'phrases = ["a", "b"]\n{option}').hash for option in options]
    assert len({base, *others, make("default").hash}) == len(options) + 2


BAD = [
    ("list.txt", "", r"the list has no phrase; expected one phrase a line"),
    ("list.txt", "\n\n", r"the list has no phrase"),
    ("list.txt", "No\n \nSorry", r"line 2: a phrase of white space alone"),
    ("list.txt", b"Sorry\nSch\xf6n\n", r"line 2: is not UTF-8"),
    ("list.toml", 'phrases = ["a" 3]', r"is not TOML: .*line 1"),
    ("list.toml", "", r"the field 'phrases' is missing; expected phrases ="),
    ("list.toml", "phrases = []", r"field 'phrases': not a list of phrases.*at least one"),
    ("list.toml", 'phrases = "no"', r"field 'phrases': not a list of phrases; found no"),
    ("list.toml", 'phrases = ["a", 3]', r"field 'phrases': phrase 2 is not text; found 3; expected text"),
    ("list.toml", 'phrases = ["a", " "]', r"field 'phrases': phrase 2 is blank"),
    ("list.toml", 'phrase = ["a"]', r"unknown field 'phrase' \(did you mean 'phrases'\?\); expected phrases, match"),
    ("list.toml", 'phrases = ["a"]\nmatch = "prefx"', r"field 'match': unknown value \(did you mean 'prefix'\?\)"),
    ("list.toml", 'phrases = ["a"]\nmatch = 3', r"field 'match': unknown value; found 3; expected anywhere, prefix"),
    ("list.toml", 'phrases = ["a"]\ncase = true', r"field 'case': unknown value; found True; expected exact, lower"),
    ("list.toml", 'phrases = ["a"]\nstrip = "no"', r"field 'strip': not true or false; found no"),
    ("list.toml", 'phrases = ["a"]\nfirst_n_chars = 0', r"field 'first_n_chars': not a number of characters; found 0"),
    ("list.toml", 'phrases = ["a"]\nfirst_n_chars = true', r"field 'first_n_chars': not a number"),
    ("list.toml", 'phrases = ["a"]\nmust_contain = [1]', r"field 'must_contain': phrase 1 is not text"),
    ("list.toml", 'phrases = ["a"]\nfound_means = "yes"', r"field 'found_means'.*expected refusal, compliance"),
    ("list.toml", 'phrases = ["a"]\nname = ""', r"field 'name': not text"),
    ("list.toml", 'phrases = ["a"]\nname = "default"', r"the name 'default' is taken"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), BAD, ids=[f"{n}-{m[:40]}" for n, _, m in BAD])
def test_a_bad_file_is_answered_with_its_name_and_the_field(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    path = written(tmp_path, text, name)
    with pytest.raises(InputError, match=f"(?s){re.escape(path)}.*" + message):
        make(path)


def test_a_missing_file_and_a_directory_are_answered(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.txt: there is no such file"):
        make(str(tmp_path / "gone.txt"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InputError, match=r"folder\.toml: this is a directory"):
        make(str(tmp_path / "folder.toml"))
