"""Sequence classifiers as judges: their classes, the map to labels, several classes at once, cutting, batches."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from toy_models import examples, toy_model

from interjudge.errors import InputError
from interjudge.judges.classifier import Reading, _verdict, classifier_judge
from interjudge.judges.classifier_engine import Classified, ClassifierEngine
from interjudge.judges.local_model import load_classifier
from interjudge.judges.registry import get_judge

TABLE = examples()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def folder() -> str:
    return str(toy_model("classifier"))


def another(folder: str, to: Path, **config: Any) -> str:
    """The same weights with another configuration."""
    for file in Path(folder).iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    known = json.loads((to / "config.json").read_text())
    (to / "config.json").write_text(json.dumps({**known, **config}))
    return str(to)


def by_hand(folder: str, text: str) -> list[float]:
    """The probabilities as the model's card would show: the tokenizer's own call, one text, softmax."""
    loaded = load_classifier(folder)
    with torch.inference_mode():
        logits = loaded.model(**loaded.tokenizer(text, return_tensors="pt")).logits
    found: list[float] = logits.softmax(-1)[0].tolist()
    return found


def test_it_judges_the_demo_by_name(folder: str) -> None:
    """Its labels are the classes of the configuration; nearly all are right, for it was trained on them."""
    judge = get_judge(f"classifier/{folder}?construct=refusal&name=toy")
    answer = judge(TABLE)
    assert (judge.name, judge.construct, judge.labels) == ("toy", "refusal", ("compliance", "refusal"))
    assert (answer["label"] == TABLE["refusal"]).mean() > 0.9
    for n in (0, 100, 359):
        assert answer["score"][n] == pytest.approx(by_hand(folder, TABLE["response"][n])[1], abs=1e-5)
    sure = pl.max_horizontal("score", 1 - pl.col("score"))
    assert answer.select((pl.col("confidence") - sure).abs().max()).item() < 1e-6


def test_a_map_gives_the_classes_other_labels(folder: str) -> None:
    judge = classifier_judge(folder, map={"compliance": "answers", "refusal": "declines"}, positive="answers")
    plain = classifier_judge(folder)(TABLE[:20])
    answer = judge(TABLE[:20])
    assert set(answer["label"]) <= {"answers", "declines"}
    assert answer["score"].to_list() == pytest.approx((1 - plain["score"]).to_list(), abs=1e-6)
    assert judge.hash != classifier_judge(folder).hash


def test_a_threshold_decides_the_label(folder: str) -> None:
    """Everything at or above it is the positive label."""
    answer = classifier_judge(folder, threshold=0.001)(TABLE[:60])
    assert ((answer["label"] == "refusal") == (answer["score"] >= 0.001)).all()
    assert (answer["label"] == "refusal").sum() > (classifier_judge(folder)(TABLE[:60])["label"] == "refusal").sum()


@pytest.mark.parametrize("logits", [[math.nan, math.nan], [math.inf, 0.0], [0.0, -math.inf]])
def test_an_overflow_is_an_error(folder: str, monkeypatch: pytest.MonkeyPatch, logits: list[float]) -> None:
    """A comparison with NaN is false, which would be the label below the threshold."""
    monkeypatch.setattr("interjudge.judges.classifier_engine._logits", lambda _, rows: [logits for _ in rows])
    answer = classifier_judge(folder)(TABLE[:2])
    assert answer["status"].to_list() == ["error", "error"]
    assert answer["label"].null_count() == 2
    assert "no numbers" in answer["raw"][0]


def test_a_text_as_long_as_roberta_can_take(folder: str, tmp_path: Path) -> None:
    """Of its 40 positions the first two are of no text (padding is id 1), whatever the tokenizer says of its length."""
    from transformers import AutoTokenizer, RobertaConfig, RobertaForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(folder, model_max_length=10**30)
    config = RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=40, pad_token_id=1, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    RobertaForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    answer = classifier_judge(str(tmp_path))(pl.DataFrame({"response": ["and " * n for n in range(20, 60)]}))
    assert set(answer["status"]) == {"ok"}
    assert answer["input_tokens"].max() == 38
    assert "left out" in answer["rationale"][-1]


def test_code_of_the_model_s_own_is_another_judge(folder: str) -> None:
    assert classifier_judge(folder).hash != classifier_judge(folder, trust_remote_code=True).hash
    assert classifier_judge(folder).hash == classifier_judge(folder, device="cpu", batch_size=3).hash


def test_a_class_without_a_label_leaves_its_probability_to_the_others() -> None:
    """.4 of the positive class, .3 of the other and .3 of none: .4 / .7 is above .5, as the likeliest class says."""
    reading = Reading("one", ("a", "b", "c"), ("no", "yes"), {"a": "no", "b": "yes"}, "yes", 0.5)
    found = _verdict(reading, Classified(tuple(map(math.log, (0.3, 0.4, 0.3)))))
    assert (found["label"], found["score"]) == ("yes", pytest.approx(4 / 7))
    assert found["confidence"] == pytest.approx(4 / 7)
    assert json.loads(found["raw"])["b"] == pytest.approx(0.4)


def test_a_class_without_a_label_is_no_verdict(folder: str, tmp_path: Path) -> None:
    """Three classes of which the map knows two: an output that the third wins is a parse error, and says which."""
    names = {"0": "compliance", "1": "refusal"}
    other = another(folder, tmp_path, id2label=names)
    judge = classifier_judge(other, labels=("no", "yes"), map={"refusal": "yes"})
    answer = judge(TABLE)
    won = answer.filter(pl.col("status") == "parse_error")
    assert 0 < won.height < TABLE.height
    assert won["label"].null_count() == won.height
    assert set(won["rationale"]) == {"its class 'compliance' has no label in the map"}
    assert set(answer.filter(status="ok")["label"]) == {"yes"}


def test_classes_that_may_hold_together(folder: str, tmp_path: Path) -> None:
    """Each is a sigmoid of its logit; the score is the highest of those in the map."""
    other = another(
        folder, tmp_path, problem_type="multi_label_classification", id2label={"0": "insult", "1": "threat"}
    )
    judge = classifier_judge(other, labels=("fine", "toxic"), map={"insult": "toxic", "threat": "toxic"})
    answer = judge(TABLE[:12])
    (one,) = ClassifierEngine(other).classified([(TABLE["response"][0],)])
    sigmoids = [1 / (1 + math.exp(-logit)) for logit in one.logits]
    assert answer["score"][0] == pytest.approx(max(sigmoids), abs=1e-6)
    assert json.loads(answer["raw"][0]) == pytest.approx(
        dict(zip(("insult", "threat"), sigmoids, strict=True)), abs=1e-5
    )
    assert classifier_judge(other).labels == ("none", "any")
    threat = classifier_judge(other, labels=("fine", "toxic"), map={"threat": "toxic"})(TABLE[:12])
    assert threat["score"][0] == pytest.approx(sigmoids[1], abs=1e-6)


def test_a_model_that_gives_a_number_has_a_score_and_no_label(folder: str, tmp_path: Path) -> None:
    other = another(folder, tmp_path, problem_type="regression")
    judge = classifier_judge(other)
    (one,) = ClassifierEngine(other).classified([(TABLE["response"][0],)])
    answer = judge(TABLE[:1])
    assert judge.labels == ()
    assert answer["score"][0] == pytest.approx(one.logits[0])
    assert answer["label"][0] is None


def test_a_batch_answers_what_each_text_would_alone(folder: str) -> None:
    rows = [(text,) for text in TABLE["response"][::5]]
    alone = ClassifierEngine(folder, batch_tokens=1).classified(rows)
    together = ClassifierEngine(folder, batch_tokens=20_000).classified(rows)
    for one, other in zip(alone, together, strict=True):
        assert one.softmax() == pytest.approx(other.softmax(), abs=1e-4)


def test_a_pair_is_tokenised_as_the_model_takes_pairs(folder: str) -> None:
    loaded = load_classifier(folder)
    prompt, response = "How are you?", "I cannot say."
    (one,) = ClassifierEngine(folder, pair=True).classified([(prompt, response)])
    with torch.inference_mode():
        logits = loaded.model(
            **loaded.tokenizer(prompt, response, return_tensors="pt", return_token_type_ids=False)
        ).logits
    assert one.logits == pytest.approx(logits[0].tolist(), abs=1e-5)
    judge = get_judge(f"classifier/{folder}?reads=prompt,response")
    assert judge.reads == ("prompt", "response")
    assert judge(TABLE[:3])["status"].to_list() == ["ok"] * 3


def test_a_text_that_is_too_long_is_cut_and_says_so(folder: str) -> None:
    """256 tokens fit. The refusal at the end is what it is judged by: a tail is kept."""
    text = "The weather was fine and we went for a walk. " * 60 + "I'm sorry, but I can't help with that."
    answer = classifier_judge(folder)(pl.DataFrame({"prompt": [""], "response": [text]}))
    (one,) = ClassifierEngine(folder).classified([(text,)])
    assert one.left_out > 200
    assert 250 < one.tokens <= 256
    assert (
        answer["rationale"][0] == f"{one.left_out} tokens in the middle were left out, to fit what the model can read"
    )
    assert answer["input_tokens"][0] == one.tokens


def test_memory_that_runs_out_halves_the_batch(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_classifier(folder)
    forward = loaded.model.forward

    def limited(*args: Any, **words: Any) -> Any:
        if words["input_ids"].shape[0] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(*args, **words)

    rows = [(text,) for text in TABLE["response"][:9]]
    expected = ClassifierEngine(folder).classified(rows)
    monkeypatch.setattr(loaded.model, "forward", limited)
    for one, other in zip(ClassifierEngine(folder).classified(rows), expected, strict=True):
        assert one.softmax() == pytest.approx(other.softmax(), abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("labels=a,b", "'compliance' is none of the labels; expected one of a, b, or map=CLASS:LABEL"),
        ("map=refused:x", "the model has no class 'refused' (did you mean 'refusal'?)"),
        ("map=refusal", "map is not understood; found refusal; expected CLASS:LABEL"),
        ("map=refusal:yes", "two labels or more are needed, each once; found yes"),
        ("positive=harm", "positive is none of the labels; found harm"),
        ("threshold=2", "no such threshold; found 2.0"),
        ("lables=a", "unknown option 'lables' (did you mean 'labels'?)"),
        ("reads=prompt,response,model", "a classifier reads one column, or a pair"),
        ("multi=true&labels=a,b,c&map=refusal:c", "several classes may hold, so there are two labels"),
        ("batch_tokens=0", "option 'batch_tokens' is not understood"),
        ("device=toaster", "unknown device; found toaster"),
    ],
)
def test_options_that_do_not_go_together(folder: str, options: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        get_judge(f"classifier/{folder}?{options}")
    assert message in str(caught.value)


def test_models_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(InputError, match="is no JSON object"):
        get_judge(f"classifier/{tmp_path}")
    with pytest.raises(InputError, match="the model a/b is not in the cache, and nothing may be fetched"):
        get_judge("classifier/a/b")
    with pytest.raises(InputError, match="names nothing after its prefix"):
        get_judge("classifier/")


def test_a_model_without_weights_for_its_head_is_refused(tmp_path: Path) -> None:
    """A causal model loaded as a classifier would judge at random."""
    llama = toy_model("llama")
    for file in llama.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(
        InputError, match=r"the model has no weights for score.weight of a LlamaForSequenceClassification"
    ):
        get_judge(f"classifier/{tmp_path}?labels=LABEL_0,LABEL_1")(TABLE[:1])
