"""The heuristic coherence judge as a judge: its contract, its verdicts, what it reports and what it abstains from."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import polars as pl
import pytest

from interjudge.errors import InputError
from interjudge.judges.base import Judge
from interjudge.judges.coherence import FAMILY, LABELS, evaluate, signals
from interjudge.judges.coherence_settings import settings

WRITTEN = tomllib.loads(Path(__file__).with_name("coherence_texts.toml").read_text(encoding="utf-8"))
PROSE = (
    "To remove a red wine stain, blot it with a clean cloth as soon as you can. Sprinkle some salt on the spot "
    "and leave it for ten minutes, then rinse it with cold water. If the stain is still there, mix a little dish "
    "soap with vinegar, rub it in gently, and wash the shirt as usual. Do not put it in the dryer until it is gone."
)
QUESTION = "How do I get a wine stain out of my shirt?"


def judge() -> Judge:
    return FAMILY.make("heuristic")


def verdict(response: str | None, prompt: str | None = QUESTION) -> dict[str, object]:
    table = pl.DataFrame({"prompt": [prompt], "response": [response]}, {"prompt": pl.String, "response": pl.String})
    return judge()(table).row(0, named=True)


def value(name: str, response: str, prompt: str = QUESTION) -> float | None:
    found: float | None = signals(pl.DataFrame({"prompt": prompt, "response": response}))[name].item()
    return found


def test_the_judge_declares_what_it_is() -> None:
    made = judge()
    assert (made.name, made.kind, made.construct) == ("coherence:heuristic", "coherence", "coherence")
    assert made.labels == LABELS == ("incoherent", "coherent")
    assert made.threshold == 0.5


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="did you mean 'heuristic'"):
        FAMILY.make("heuristics")


def test_calm_prose_gets_a_score_near_one_and_no_rationale() -> None:
    found = verdict(PROSE)
    assert found["status"] == "ok"
    assert found["label"] == "coherent"
    assert isinstance(found["score"], float)
    assert found["score"] > 0.9
    assert found["rationale"] is None


@pytest.mark.parametrize("response", ["", " \n\t", "...", "?!", "\u200b", None])
def test_nothing_to_read_is_an_ok_verdict_with_score_zero(response: str | None) -> None:
    found = verdict(response)
    assert (found["status"], found["label"], found["score"]) == ("ok", "incoherent", 0.0)
    assert found["rationale"] == "no letter or digit in it"


def test_raw_holds_every_signal_with_its_value_and_null_where_it_does_not_apply() -> None:
    raw = json.loads(str(verdict(PROSE)["raw"]))
    assert list(raw) == [*settings().signals, "words"]
    assert raw["words"] == 69  # 17 + 18 + 23 + 11 in its four sentences
    assert raw["loop"] == 0
    japanese = json.loads(
        str(verdict("山の天気は変わりやすいので、雨具を必ず用意してください。", "登山の準備は？")["raw"])
    )
    assert japanese["word_order"] is None
    assert japanese["gibberish"] is None


def test_the_rationale_names_what_drove_the_verdict_and_shows_the_loop() -> None:
    said = str(verdict("Well, " + "the cat sat on the mat and then " * 30)["rationale"])
    assert "loop: “the cat sat on the mat and then” over and over" in said
    assert "% of the text stood in it before" in said


def test_a_verdict_is_the_same_every_time() -> None:
    assert verdict(PROSE) == verdict(PROSE)


def test_an_empty_table_gives_an_empty_answer() -> None:
    empty = pl.DataFrame(schema={"prompt": pl.String, "response": pl.String})
    assert judge()(empty).height == 0
    assert evaluate(empty).columns == ["label", "score", "rationale", "raw"]


def test_the_hash_covers_thresholds_patterns_and_tables() -> None:
    identity = dict(judge().identity)
    assert set(identity) == {"settings", "patterns", "tables", "threshold", "power", "read"}
    assert json.loads(json.dumps(identity)) == identity
    other = Judge(**{**judge().__dict__, "identity": {**identity, "threshold": 0.4}})
    assert other.hash != judge().hash


@pytest.mark.parametrize("answer", WRITTEN["answer"], ids=lambda a: f"{a['language']}: {a['prompt'][:20]}")
def test_coherent_answers_in_ten_languages_are_coherent(answer: dict[str, str]) -> None:
    found = verdict(answer["response"], answer["prompt"])
    assert found["label"] == "coherent", found["rationale"]


# Known false alarms among the coherent oddities, stated in docs/coherence.md and not tuned away.
ALARMS = {"dialogue in slang", "recipe"}


@pytest.mark.parametrize("calm", WRITTEN["calm"], ids=lambda c: c["name"])
def test_coherent_answers_of_unusual_kinds_are_coherent(calm: dict[str, str]) -> None:
    found = verdict(calm["response"], calm["prompt"])
    expected = "incoherent" if calm["name"] in ALARMS else "coherent"
    assert found["label"] == expected, found["rationale"]


@pytest.mark.parametrize("answer", WRITTEN["answer"], ids=lambda a: f"{a['language']}: {a['prompt'][:20]}")
def test_the_same_answers_to_an_english_question_are_not(answer: dict[str, str]) -> None:
    found = verdict(answer["response"])
    assert found["label"] == "incoherent"
    assert "another language than the prompt's" in str(found["rationale"])


@pytest.mark.parametrize("answer", WRITTEN["answer"], ids=lambda a: f"{a['language']}: {a['prompt'][:20]}")
def test_a_loop_is_seen_in_every_language_and_script(answer: dict[str, str]) -> None:
    start = answer["response"][:40]
    found = verdict(" ".join([start] * 12), answer["prompt"])
    assert found["label"] == "incoherent"
    assert "loop" in str(found["rationale"])


@pytest.mark.parametrize(
    ("waived", "prompt", "response"),
    [
        ("loop", "Say the word tea twenty times.", "tea " * 20),
        ("language", "Translate to German: good morning, how did you sleep", "Guten Morgen, wie hast du geschlafen?"),
        ("code", "Write a Python function that adds two numbers.", "def add(a, b):\n    return a + b\n"),
        ("choices", "Which one is a fruit? A) apple B) brick", "A"),
        ("echo", "Correct the spelling: I have went there many time.", "I have went there many time."),
        ("empty", "Describe the film in emoji only.", "🦈🌊😱"),
        ("symbols", "Solve x^2 = 16 for x.", "x^2 = 16 => x = +/- sqrt(16) = +/- 4"),
    ],
)
def test_a_request_for_something_odd_waives_its_signal(waived: str, prompt: str, response: str) -> None:
    assert value(waived, response, prompt) is None
    assert value(waived, response, "Why is the sea salty?") is not None


def test_prose_about_programs_is_still_judged_as_prose() -> None:
    prompt = "How can I learn to write Python programs?"
    assert value("word_order", PROSE, prompt) is not None
    assert value("word_order", "Try `help(print)` first, then read the page.", prompt) is None


def test_addresses_count_as_one_word_each() -> None:
    with_link = PROSE + " See https://www.example.org/a/b?c=d&e=f_g#h or mail help@example.org."
    assert value("symbols", with_link) == pytest.approx(value("symbols", PROSE), abs=0.005)
    assert verdict(with_link)["label"] == "coherent"
