"""The normal form: what it throws away, and that positions lead back to the original."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.judges.normalise import normalise, normalise_batch, normalised

CHECK = settings(max_examples=60, deadline=None, derandomize=True)

# What has to be told apart and what has to fall together: markup, quotes, scripts, marks, ligatures, emoji.
CHARACTERS = st.sampled_from(
    list("aAzZ019 .!?:|'\"*#>_-\n\t\r\0")
    + list("\u2019\u2018\u02bc\u2032\u00b4`\u201c\u201d\u2014\u2026\u00a0\u3000\u200b\u200d\ufeff\u00ad\ufe0f")
    + list("\u00e9\u0130\u00df\u017f\u1e9e\u03a3\u03c2\ufb01\u00bd\u2122\u0301\u0345\u0327\u0328\u0149\u01c5")
    + list("\u304c\u304b\u3099\uff76\uff9e\u3002\uff01\uff0e\ud55c\uae00\u1112\u1161\u11ab\u6211\u4e0d\uf900")
    + list("\u0623\u0627\u0654\u064b\u0640\u061f\u0929\u0928\u093c\u094d\u0939\u0964\u0e01\u0e33")
    + ["\U0001f600", "\U0001f468\u200d\U0001f469", "\U0001d400", "\U0001f1e9", "\U000e0100", "\u2028", "\u2029", "\x85"]
)
TEXT = st.text(max_size=60) | st.lists(CHARACTERS, max_size=60).map("".join)
# Without code points that this Python's Unicode does not assign: their properties are not known.
ASSIGNED = TEXT.filter(lambda text: all(unicodedata.category(c) != "Cn" for c in text))


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("**I\u2019M  sorry** \u2014 I can\u2019t.", "i'm sorry i can't"),
        ("> # _\u201cSorry\u201d_", "sorry"),
        ("  \U0001f614 - * 1. Sorry", "1|sorry"),
        ("Assistant:\n\nSorry", "assistant:sorry"),
        ("One. Two!Three? Four\u2026 five", "one|two|three|four|five"),
        ("3.5 and e.g.this", "3 5 and e g this"),
        ("wrapped\nline", "wrapped line"),
        ("paragraph\n \nnext", "paragraph|next"),
        ("\r\n windows\r\nlines", "windows lines"),
        ("'quoted' rock'n'roll it''s", "quoted rock'n'roll it s"),
        ("caf\u00e9 cafe\u0301 CAF\u00c9", "cafe cafe cafe"),
        ("\ufb01ne \uff33\uff4f\uff52\uff52\uff59", "fine sorry"),
        ("s\u200bor\u00adr\u2060y", "sorry"),
        ("\u62b1\u6b49\uff01\u6211\u4e0d\u80fd\u3002", "\u62b1\u6b49|\u6211\u4e0d\u80fd"),
        (
            "\u0644\u0627 \u0623\u0633\u062a\u0637\u064a\u0639\u064f",
            "\u0644\u0627 \u0627\u0633\u062a\u0637\u064a\u0639",
        ),
        ("Stra\u00dfe STRASSE", "strasse strasse"),
        ("", ""),
        (" \n* _ \U0001f600 ...", ""),
    ],
)
def test_the_normal_form(text: str, form: str) -> None:
    assert normalise(text) == form


@CHECK
@given(ASSIGNED)
def test_normalising_again_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@CHECK
@given(ASSIGNED, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_all_unicode_forms_of_a_text_have_one_normal_form(text: str, form: str) -> None:
    assert normalise(unicodedata.normalize(form, text)) == normalise(text)  # type: ignore[arg-type]


@CHECK
@given(ASSIGNED)
def test_case_does_not_matter(text: str) -> None:
    assert normalise(text.casefold()) == normalise(text)


@CHECK
@given(st.lists(ASSIGNED, max_size=8))
def test_a_text_has_the_same_normal_form_in_any_batch(texts: list[str]) -> None:
    assert normalised(pl.Series(texts, dtype=pl.String)) == [normalise(text) for text in texts]


@CHECK
@given(st.lists(ASSIGNED, min_size=1, max_size=5))
def test_every_character_leads_back_to_the_one_it_came_from(texts: list[str]) -> None:
    """Of each letter of the normal form, the character at its position in the original folds to it."""
    for chunk in normalise_batch(pl.Series(texts)):
        for at, char in enumerate(chunk.text):
            if char in " :|\n'":  # separators, and apostrophes (which only stay inside a word)
                continue
            (place,) = chunk.original(pl.Series([at]).to_numpy()).tolist()
            (row,) = chunk.row_of(pl.Series([at]).to_numpy()).tolist()
            source = texts[chunk.outputs[row]][place]
            assert char in normalise(source), (source, char)


@CHECK
@given(st.lists(ASSIGNED, min_size=1, max_size=5))
def test_byte_offsets_become_character_offsets(texts: list[str]) -> None:
    for chunk in normalise_batch(pl.Series(texts)):
        offsets = [len(chunk.text[:at].encode()) for at in range(len(chunk.text))]
        places = chunk.places(pl.Series(offsets, dtype=pl.UInt32).to_numpy())
        assert places.tolist() == list(range(len(chunk.text)))


def test_long_outputs_are_split_over_several_chunks() -> None:
    """No more than some million characters at a time, so that memory is bounded whatever comes."""
    texts = pl.Series(["a b " * 500_000, "caf\u00e9 " * 500_000] * 3)
    chunks = list(normalise_batch(texts))
    assert len(chunks) > 2
    assert sorted(row for chunk in chunks for row in chunk.outputs.tolist()) == list(range(6))
    assert normalised(texts)[4] == ("a b " * 500_000).strip()
