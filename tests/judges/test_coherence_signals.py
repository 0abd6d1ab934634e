"""Each signal of the coherence judge on its own trouble and on calm prose; counts against brute force."""

from __future__ import annotations

import random
import re

import numpy as np
import polars as pl
import pytest

from interjudge.judges import coherence_signals as count
from interjudge.judges.coherence import contributions, signals
from interjudge.judges.coherence_repeats import GRAM, WORDS, echo, first_occurrences, repeats, unit_mode
from interjudge.judges.coherence_settings import settings
from interjudge.judges.coherence_text import HAN, KANA, LOWER, Texts, read, tables
from interjudge.judges.coherence_words import languages, lexicon

QUESTION = "How do I get a wine stain out of my shirt?"
PROSE = (
    "To remove a red wine stain, blot it with a clean cloth as soon as you can. Sprinkle some salt on the spot "
    "and leave it for ten minutes, then rinse it with cold water. If the stain is still there, mix a little dish "
    "soap with vinegar, rub it in gently, and wash the shirt as usual. Do not put it in the dryer until it is gone."
)
WORDLIST = PROSE.split()


def texts(*items: str) -> Texts:
    return read(pl.Series(items, dtype=pl.String))


def added(name: str, response: str, prompt: str = QUESTION) -> float:
    """What one signal adds to a text's distance: 1 and more is incoherent on its own account."""
    values = signals(pl.DataFrame({"prompt": prompt, "response": response}))
    return float(contributions(values)[0, list(settings().signals).index(name)])


def shuffled(text: str) -> str:
    words = text.split()
    return " ".join(random.Random(3).sample(words, len(words)))


def letters_replaced(text: str) -> str:
    rng = random.Random(5)
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") if c.isalpha() else c for c in text)


# An English word or two of each signal's own kind of trouble.
BAD = {
    "empty": "?!",
    "truncated": "You should first remo",
    "loop": "rinse it with cold water " * 6,
    "compression": "rinse it with cold water " * 6,
    "tail": PROSE + " " + PROSE,
    "vocabulary": "wine stain shirt " * 3 + "stain shirt wine " * 30,
    "gibberish": letters_replaced(PROSE),
    "entropy": letters_replaced(PROSE + PROSE),
    "unknown_words": PROSE.replace("stain", "stian").replace("cloth", "clohth").replace("with", "wiht")
    .replace("water", "waetr").replace("minutes", "minuts").replace("gently", "gnetly").replace("vinegar", "vingear")
    .replace("still", "stlil").replace("little", "litle").replace("leave", "laeve"),
    "word_order": shuffled(PROSE),
    "sentence_case": shuffled(PROSE),
    "encoding": "I donâ€™t know why itâ€™s there, but youâ€™ll see â€œquotesâ€\x9d that arenâ€™t right.",
    "word_shape": "tO reMoVe A reD wInE StAiN, bLoT iT wItH a cLeAn cLoTh aS sOoN aS yOu cAn.",
    "glued": "Toremovearedwinestainblotitwithacleancloth assoonasyoucansprinklesomesaltonit.",
    "symbols": "blot }{ ;; it ** >> with ]] == a ## clean %% cloth || ~~ @@ ^^ && now //",
    "no_language": "wine stain shirt cloth salt water soap vinegar dryer kitchen table lamp window door garden " * 8,
    "language": "Il faut tamponner la tache avec un linge propre, puis mettre du sel dessus et attendre dix minutes.",
    "echo": "How do I get a wine stain out of my shirt? How do I get a wine stain out of my shirt?",
    "code": "def clean(shirt):\n    for stain in shirt.stains:\n        stain.remove()\n    return shirt\n",
    "choices": "A) salt\nB) soap\nC) water\nD) none",
}  # fmt: skip


@pytest.mark.parametrize("name", settings().signals)
def test_each_signal_convicts_its_own_trouble_and_leaves_prose_alone(name: str) -> None:
    assert added(name, PROSE) < 0.1
    # vocabulary, no_language and sentence_case only support others on these short texts
    support = {"no_language": 0.5, "sentence_case": 0.5, "symbols": 0.5}
    assert added(name, BAD[name]) >= support.get(name, 0.95)


# ------------------------------------------------------------------------------ repeats


def brute_repeats(words: list[str]) -> tuple[int, int]:
    """Copied words and length of the copied tail, by the definition."""
    seen: set[tuple[str, ...]] = set()
    copied: set[int] = set()
    size = int(GRAM[WORDS])
    for i in range(len(words) - size + 1):
        gram = tuple(words[i : i + size])
        if gram in seen:
            copied |= set(range(i, i + size))
        seen.add(gram)
    tail = 0
    while tail < len(words) and len(words) - 1 - tail in copied:
        tail += 1
    return len(copied), tail


def test_copied_words_and_tail_equal_a_plain_search_on_random_texts() -> None:
    rng = random.Random(1)
    lists = [[rng.choice("abcde") * 2 for _ in range(rng.randrange(0, 60))] for _ in range(200)]
    found = repeats(texts(*map(" ".join, lists)))
    expected = [brute_repeats(words) for words in lists]
    assert found.copied.tolist() == [c for c, _ in expected]
    assert found.tail.tolist() == [t for _, t in expected]


def test_a_loop_is_the_stretch_that_repeats_what_stands_directly_before_it() -> None:
    found = repeats(texts("one two three four five " * 4, "a chorus here now. other words between. a chorus here now."))
    assert found.looped.tolist() == [20, 0]
    assert found.period.tolist() == [5, 0]


def test_the_turn_of_a_loop_is_given_by_its_place() -> None:
    text = "Well: " + "round and round it goes " * 5
    start, end = repeats(texts("first text", text)).span[1] - len("first text\n")
    assert text[start:end] == "round and round it goes"


def test_scripts_without_spaces_are_counted_by_characters() -> None:
    batch = texts("今天天气很好我们去公园散步", "この本はとても面白いです", "plain words here", "x" * 40)
    assert unit_mode(batch).tolist() == [1, 1, 0, 2]
    loop = repeats(texts("今天天气很好。" * 20))
    assert loop.looped[0] == 6 * 20


def test_upper_case_and_curly_apostrophes_make_no_different_word() -> None:
    assert first_occurrences(texts("Don't don’t DON'T stop")).tolist() == [True, False, False, True]


def test_echo_counts_runs_of_three_words_that_stand_in_the_own_prompt_only() -> None:
    prompts = texts("where do penguins live", "what do lions eat")
    hits, runs = echo(texts("where do penguins live then", "where do penguins live"), prompts)
    assert (hits.tolist(), runs.tolist()) == ([2, 0], [3, 2])


# --------------------------------------------------------------------- words and letters


def test_words_are_runs_of_letters_digits_and_inner_apostrophes() -> None:
    text = "It's 5 o'clock -- 'tis “late”, naïve_x"
    batch = texts(text)
    spans = zip(batch.words.start, batch.words.end, strict=True)
    assert [text[a:b] for a, b in spans] == ["It's", "5", "o'clock", "tis", "late", "naïve", "x"]


def test_every_word_of_the_stored_list_is_found_and_others_are_not() -> None:
    known = lexicon()
    assert (known.find(known.hash[1:]) == np.arange(1, len(known.hash))).all()
    assert known.find(texts("zzyx qwrtp").words.hash).tolist() == [0, 0]
    classes = known.word_class[known.find(texts("the table quickly").words.hash)]
    assert (classes > 3).all()  # 0..3 are no words


def test_hashes_do_not_depend_on_where_a_word_stands() -> None:
    one, other = texts("stain"), texts("a wine stain", "the Stain")
    assert one.words.hash[0] == other.words.hash[2] == other.words.hash[4]


def test_code_points_beyond_the_first_plane_keep_their_kind() -> None:
    kinds = texts("😀𠀀𝒳").kinds
    assert kinds[1] == HAN
    assert kinds[0] < LOWER <= kinds[2]


def test_kinds_of_common_characters() -> None:
    kinds = tables().kinds
    assert kinds[ord("a")] == LOWER
    assert kinds[ord("ß")] == LOWER
    assert kinds[ord("の")] == KANA
    assert kinds[ord("漢")] == HAN


def test_letter_entropy_equals_the_formula() -> None:
    entropy, letters = count.letter_entropy(texts("aabb, ccdd!", "aaaa", "", "àá"))
    assert letters.tolist() == [8, 4, 0, 2]
    assert entropy == pytest.approx([2.0, 0.0, 0.0, 0.0])  # four letters in equal shares: log2(4)


def test_letters_follow_each_other_less_surprisingly_in_languages_than_at_random() -> None:
    bits, pairs = count.letter_surprise(texts(PROSE, letters_replaced(PROSE), "Wärme entzieht der Luft Energie"))
    rate = bits / pairs / 16
    assert max(rate[0], rate[2]) < 2  # bits a letter
    assert rate[1] > 3


@pytest.mark.parametrize(
    ("text", "debris"),
    [
        ("It’s a naïve café – “déjà vu”, isn’t it? À propos…", 0),
        ("« à côté », « où ? »", 0),
        ("Fußball! „Straß“ – Größe…", 0),
        ("itâ€™s", 3),
        ("cafÃ©", 2),
        ("æ—¥æœ¬", 6),
        ("it‚Äôs Pok√©mon", 4),
        ("lost \ufffd\ufffd letters", 2),
        ("Ġthe Ġcat", 2),
        ("两公斤苹果，拷贝一份", 0),
        ("锟斤拷", 1),
    ],
)
def test_debris_of_decoding_is_told_from_accents_and_quotes(text: str, debris: int) -> None:
    assert count.encoding_debris(texts(text)).tolist() == [debris]


def test_unknown_words_are_counted_once_and_names_not_at_all() -> None:
    batch = texts("The spicyness of Ratajkowski's spicyness, wiht salt")
    entry = lexicon().find(batch.words.hash)
    unknown, small = count.unknown_words(batch, entry, first_occurrences(batch))
    assert (unknown.tolist(), small.tolist()) == ([2], [3])  # spicyness, wiht; of three with salt


def test_word_order_counts_pairs_and_sentence_ends() -> None:
    batch = texts("the red car", "Yes, it is. So", "well-known (fact)", "")
    bits, pairs = count.word_order(batch, lexicon().find(batch.words.hash), lexicon())
    # "the red", "red car"; "Yes ,", ", it", "it is", "is .", ". So"; nothing across hyphen and bracket
    assert pairs.tolist() == [2, 5, 0, 0]
    assert bits[2] == 0


def test_capitals_of_function_words_inside_sentences_are_counted() -> None:
    batch = texts("we saw The end. and it rained", "by The Beatles, e.g. the first. Then")
    found = count.sentence_case(batch, lexicon().find(batch.words.hash), lexicon())
    assert found.tolist() == [2, 0]  # "The", "and" after a full stop; a name, an abbreviation


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Where can I find a good place to eat in this town?", "en"),
        ("Où est-ce que je peux manger dans cette ville ?", "fr"),
        ("Wo kann ich in dieser Stadt gut essen?", "de"),
        ("¿Dónde puedo comer bien en esta ciudad y por qué?", "es"),
        ("Onde é que eu posso comer bem nesta cidade, e por quê? Não sei.", "pt"),
        ("Dove posso mangiare bene in questa città e perché?", "it"),
        ("Waar kan ik in deze stad goed eten en wat is er te doen?", "nl"),
    ],
)
def test_languages_are_told_by_their_frequent_words(text: str, name: str) -> None:
    batch = texts(text)
    found = languages(batch, lexicon().find(batch.words.hash), settings().languages)
    assert lexicon().names[found.best[0]] == name
    assert found.known[0]


def test_every_name_of_the_language_list_has_its_words_in_the_stored_table() -> None:
    names = lexicon().names
    assert names[0] == "en"
    assert [int(((lexicon().languages >> bit) & 1).sum()) > 20 for bit in range(len(names))] == [True] * len(names)


def test_every_signal_waiver_names_a_known_request() -> None:
    how = settings()
    assert {name for s in how.signals.values() for name in s.waived_by} <= set(how.asks)
    assert all(s.threshold > s.low for s in how.signals.values())
    assert all(re.search(r"\w", s.says) for s in how.signals.values())
