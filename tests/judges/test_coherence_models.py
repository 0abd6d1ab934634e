"""The coherence judges with a model: options and identity, reading in batches, and the real small models."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from small_model import NoModelError, encoder_folder, model_file

from interjudge.errors import InputError
from interjudge.judges import coherence_models, local_model, small_models
from interjudge.judges.base import Judge
from interjudge.judges.coherence import FAMILY
from interjudge.judges.coherence_models import embedding_signals, is_blank
from interjudge.judges.coherence_settings import model_settings
from interjudge.judges.sentence_vectors import cosines, vectors
from interjudge.judges.token_bits import Scorer

QUESTION = "How do I get a wine stain out of my shirt?"
PROSE = (
    "To remove a red wine stain, blot it with a clean cloth as soon as you can. Sprinkle some salt on the spot "
    "and leave it for ten minutes, then rinse it with cold water. If the stain is still there, mix a little dish "
    "soap with vinegar, rub it in gently, and wash the shirt as usual."
)
SHUFFLED = " ".join(np.random.default_rng(0).permutation(PROSE.split()).tolist())
LOOP = "To remove a red wine stain, blot it with a clean cloth as soon as you can. " * 8
GIBBERISH = (
    "xq zvkw ejrt plom qqa wert zuiopk fhjw qpxz mvbn wqer tplk zzxv brtw nmqp ghkl wxcv bqpt rrjk lmzx vwqp " * 2
)


def outputs(*responses: str | None, prompt: str | None = QUESTION) -> pl.DataFrame:
    return pl.DataFrame(
        {"prompt": [prompt] * len(responses), "response": list(responses)},
        schema={"prompt": pl.String, "response": pl.String},
    )


# ------------------------------------------------------------------------- without a model


@pytest.mark.parametrize("name", ["lm", "embedding", "full"])
def test_each_declares_what_it_is_without_loading_anything(name: str) -> None:
    judge = FAMILY.make(name)
    assert (judge.name, judge.kind, judge.construct) == (f"coherence:{name}", "coherence", "coherence")
    assert judge.labels == ("incoherent", "coherent")
    assert judge.threshold == 0.5
    assert json.loads(json.dumps(judge.identity)) == judge.identity


def test_options_that_decide_verdicts_are_in_the_name_and_the_hash() -> None:
    plain, other = FAMILY.make("lm"), FAMILY.make("lm?dtype=float32&device=cpu")
    assert other.name == "coherence:lm?dtype=float32"
    assert other.hash != plain.hash
    assert FAMILY.make("lm?device=cpu").hash == plain.hash
    assert FAMILY.make("embedding?pooling=first").hash != FAMILY.make("embedding").hash


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("lmm", "did you mean 'lm'"),
        ("lm?modell=x", "did you mean 'model'"),
        ("full?model=x", "expected lm, embedding"),
        ("embedding?pooling=max", "unknown pooling"),
        ("heuristic?model=x", "has no options"),
        ("lm?model=/no/such/folder", "there is no such file or folder"),
    ],
)
def test_a_wrong_name_or_option_is_told(spec: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        FAMILY.make(spec)


def test_without_torch_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    local_model.release()
    monkeypatch.setattr(local_model.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(small_models, "_packaged_causal", lambda: None)
    with pytest.raises(InputError, match=r"pip install 'interjudge\[local\]'"):
        FAMILY.make("lm")(outputs(PROSE))
    ready = FAMILY.make("full").ready
    assert ready is not None
    with pytest.raises(InputError, match=r"pip install 'interjudge\[local\]'"):
        ready()


@pytest.mark.parametrize("name", ["lm", "embedding", "full"])
def test_a_judge_can_be_sent_to_another_process(name: str) -> None:
    judge = FAMILY.make(name)
    assert pickle.loads(pickle.dumps(judge)).hash == judge.hash


@pytest.mark.parametrize(("text", "blank"), [("", True), (" \n\u200b", True), ("?", False), ("No.", False)])
def test_blank_is_what_shows_nothing(text: str, blank: bool) -> None:
    assert is_blank(text) == blank


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert small_models.cache_folder() == tmp_path / "interjudge"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")  # to be passed over, says the XDG specification
    assert small_models.cache_folder() == Path.home() / ".cache" / "interjudge"


def test_relatedness_counts_less_in_a_short_answer() -> None:
    """(usual - cosine) * n / (n + weight): the same cosine of 0 in 2 words and in 200."""
    table = embedding_signals(np.zeros(2), np.zeros(2), np.array([2, 200]))
    signal = model_settings().embedding.signals["unrelated"]
    expected = [-signal.usual * n / (n + signal.weight) for n in (2, 200)]
    assert table["unrelated"].to_list() == pytest.approx(expected)


# ------------------------------------------------------------------- toy models, made here


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal model of two small layers with random weights, whose tokens are the bytes."""
    folder = tmp_path_factory.mktemp("toy")
    save_toy(folder)
    return folder


def save_toy(folder: Path, **more: object) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GraniteConfig, GraniteForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    signs = ["<s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    plain = Tokenizer(models.BPE({sign: i for i, sign in enumerate(signs)}, merges=[]))
    plain.pre_tokenizer, plain.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=plain, bos_token="<s>", pad_token="<s>").save_pretrained(folder)
    config = GraniteConfig(
        vocab_size=len(signs), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.5, bos_token_id=0, eos_token_id=0,
        pad_token_id=0, **more,
    )  # fmt: skip
    GraniteForCausalLM(config).save_pretrained(folder)


def test_batches_read_what_single_texts_do_and_what_the_model_says(toy: Path) -> None:
    import torch

    loaded = local_model.load_causal(str(toy), device="cpu", dtype="float32")
    scorer = Scorer(loaded.model, loaded.tokenizer, budget=300)
    texts = ["No.", "A longer answer than that.", "", "é" * 40, "word " * 12]
    together = scorer.read([QUESTION] * len(texts), texts)
    for text, found in zip(texts, together, strict=True):
        (single,) = scorer.read([QUESTION], [text])
        for name in ("given", "alone", "entropy"):
            np.testing.assert_allclose(getattr(found, name), getattr(single, name), atol=1e-4)
        ids = loaded.tokenizer(f"{QUESTION}\n\n{text}", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            chance = torch.log_softmax(loaded.model(input_ids=torch.tensor([[0, *ids]])).logits[0], -1)
        bits = [-float(chance[i, token]) / np.log(2) for i, token in enumerate(ids)][len(ids) - len(found.tokens) :]
        np.testing.assert_allclose(found.given, bits, atol=1e-4)


def test_logits_that_are_scaled_after_the_output_layer_are_read_right(tmp_path: Path) -> None:
    """Granite divides its logits: the output layer on its own would give other numbers, which is noticed."""
    save_toy(tmp_path, logits_scaling=8.0)
    loaded = local_model.load_causal(str(tmp_path), device="cpu", dtype="float32")
    (found,) = Scorer(loaded.model, loaded.tokenizer).read([""], ["abc"])
    assert found.given.mean() == pytest.approx(np.log2(257), abs=0.5)  # an eighth of a logit is next to nothing


def test_a_long_response_keeps_its_head_and_tail_and_the_verdict_says_so(toy: Path) -> None:
    """256 positions: 128 tokens of a response are read, the first 64 and the last 64."""
    loaded = local_model.load_causal(str(toy), device="cpu", dtype="float32")
    (found,) = Scorer(loaded.model, loaded.tokenizer).read([QUESTION], ["a" * 100 + "b" * 100])
    assert (len(found.tokens), found.left_out) == (128, 72)
    a, b = (loaded.tokenizer(sign)["input_ids"][0] for sign in "ab")
    assert found.tokens.tolist() == [a] * 64 + [b] * 64
    verdict = FAMILY.make(f"lm?model={toy}&device=cpu")(outputs("a" * 100 + "b" * 100)).row(0, named=True)
    assert "72 tokens between the first and the last 64 were not read" in verdict["rationale"]


def test_a_judge_with_a_model_of_ones_own(toy: Path) -> None:
    judge = FAMILY.make(f"lm?model={toy}&device=cpu")
    found = judge(outputs(PROSE, "", None))
    assert found["status"].to_list() == ["ok"] * 3
    assert found["score"][1:].to_list() == [0.0, 0.0]
    assert found["rationale"][1] == "nothing to read in it"
    assert judge.hash == FAMILY.make(f"lm?model={toy}").hash
    assert judge(outputs(PROSE)).equals(judge(outputs(PROSE)))


# --------------------------------------------------------------------------- real models


@pytest.fixture(scope="module")
def small() -> Iterator[dict[str, Judge]]:
    """The three judges on SmolLM2-135M-Instruct and all-MiniLM-L6-v2, fetched once into the tests' cache."""
    try:
        gguf, encoder = model_file(), encoder_folder()
    except NoModelError as error:
        pytest.skip(str(error))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_models, "_packaged_causal", lambda: str(gguf))
        patch.setattr(small_models, "_packaged_encoder", lambda: str(encoder))
        patch.setenv("XDG_CACHE_HOME", os.environ.get("INTERJUDGE_TEST_CACHE") or str(gguf.parent))
        yield {name: FAMILY.make(f"{name}?device=cpu") for name in ("lm", "embedding", "full")}
    local_model.release()


@pytest.fixture(scope="module")
def verdicts(small: dict[str, Judge]) -> dict[str, pl.DataFrame]:
    table = outputs(PROSE, SHUFFLED, LOOP, GIBBERISH, "Yes.", "No.", "I can't help with that.")
    return {name: judge(table) for name, judge in small.items()}


@pytest.mark.slow
def test_the_language_model_puts_prose_first(verdicts: dict[str, pl.DataFrame]) -> None:
    prose, shuffled, loop, gibberish, *_ = verdicts["lm"]["score"]
    assert prose > 0.8
    assert max(shuffled, loop, gibberish) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lm", "embedding", "full"])
def test_short_answers_are_not_flagged_for_being_short(verdicts: dict[str, pl.DataFrame], name: str) -> None:
    assert verdicts[name]["label"][4:].to_list() == ["coherent"] * 3


@pytest.mark.slow
def test_all_three_together_see_what_each_sees(verdicts: dict[str, pl.DataFrame]) -> None:
    assert verdicts["full"]["label"].to_list() == ["coherent", *["incoherent"] * 3, *["coherent"] * 3]
    raw = json.loads(verdicts["full"]["raw"][0])
    assert set(raw) == {"heuristic", "lm", "embedding"}
    assert set(model_settings().lm.signals) <= set(raw["lm"])
    assert all(words for words in verdicts["full"]["rationale"][1:4])
    assert verdicts["full"]["rationale"][0] is None


@pytest.mark.slow
def test_a_prompt_makes_its_own_answer_less_surprising(verdicts: dict[str, pl.DataFrame]) -> None:
    raw = json.loads(verdicts["lm"]["raw"][0])
    assert raw["mean_bits"] < raw["alone_bits"] - 0.3


@pytest.mark.slow
def test_one_at_a_time_gives_the_same_verdicts(small: dict[str, Judge], verdicts: dict[str, pl.DataFrame]) -> None:
    """In bfloat16 the order of a sum depends on the batch's shape: scores agree to .02."""
    for name in ("lm", "embedding"):
        single = pl.concat([small[name](outputs(text)) for text in (PROSE, SHUFFLED, LOOP)])
        assert single["label"].to_list() == verdicts[name]["label"][:3].to_list()
        np.testing.assert_allclose(single["score"], verdicts[name]["score"][:3], atol=0.02)


@pytest.mark.slow
def test_the_fast_copy_is_made_once_and_says_the_same_model(small: dict[str, Judge]) -> None:
    place = Path(small_models._unpacked(str(model_file())))
    assert (place / "config.json").is_file()
    assert place.is_relative_to(small_models.cache_folder())
    before = (place / "config.json").stat().st_mtime_ns
    assert Path(small_models._unpacked(str(model_file()))) == place
    assert (place / "config.json").stat().st_mtime_ns == before
    assert not list(place.parent.glob(".SmolLM2*"))  # nothing half-made is left
    assert small["lm"].identity["lm"]["model"] == small_models.causal_identity(None)  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_the_encoder_tells_an_answer_from_another_ones() -> None:
    loaded = small_models.encoder(None, "cpu")
    other = "The Treaty of Westphalia ended the Thirty Years' War in 1648 and redrew the map of Europe."
    (asked, own, foreign), left_out = vectors(loaded.model, loaded.tokenizer, [QUESTION, PROSE, other])
    assert cosines(asked[None], own[None])[0] > 0.5
    assert cosines(asked[None], foreign[None])[0] < 0.2
    assert left_out == [0, 0, 0]
    long = "word " * 3_000  # 254 tokens a piece, eight pieces
    assert vectors(loaded.model, loaded.tokenizer, [long])[1] == [3_000 - 8 * 254]


@pytest.mark.slow
def test_the_verdicts_of_a_table_without_rows(small: dict[str, Judge]) -> None:
    for judge in small.values():
        assert judge(outputs()).height == 0
    assert coherence_models.BATCH > 0
