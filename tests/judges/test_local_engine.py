"""The engine on this machine, over guards of real architectures at toy size: one pass, batches, memory, cutting."""

from __future__ import annotations

import functools
import math
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from toy_models import conversation, examples, toy_model

from interjudge.errors import InputError
from interjudge.judges import local_model, local_passes
from interjudge.judges.guard_base import Ask, Local
from interjudge.judges.local_engine import LocalEngine
from interjudge.judges.local_model import load_causal
from interjudge.judges.local_passes import common_prefix, in_batches
from interjudge.judges.local_prompt import Prompter

ROWS = examples().to_dicts()
LONG = sorted(ROWS, key=lambda row: len(row["response"]))[-1]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def llama() -> str:
    return str(toy_model("llama"))


@pytest.fixture(scope="module")
def granite() -> str:
    return str(toy_model("granite"))


def verdict_ask(row: dict[str, Any], **more: Any) -> Ask:
    return Ask(messages=tuple(conversation(row)), start="\n\n", **more)


def mass(local: Local, word: str) -> float:
    """The probability of a word as the first token after `Ask.start`."""
    assert local.reply.tokens is not None
    return sum(math.exp(logprob) for text, logprob in local.reply.tokens[0].top if text.strip() == word)


def furthest(a: Sequence[Local], b: Sequence[Local], word: str) -> float:
    return max(abs(mass(x, word) - mass(y, word)) for x, y in zip(a, b, strict=True))


def test_verdicts_of_the_toy_guards_mean_something(llama: str, granite: str) -> None:
    """They were trained on these labels: nearly all are right, so that later tests compare verdicts and not noise."""
    harm = LocalEngine(llama).replies([verdict_ask(row) for row in ROWS])
    right = sum(local.reply.text == f"\n\n{row['harm']}" for local, row in zip(harm, ROWS, strict=True))
    assert right / len(ROWS) > 0.9
    words = {"compliance": "No", "refusal": "Yes"}
    asks = [Ask(conversation(row), {"guardian_config": {"risk_name": "harm"}}) for row in ROWS]  # type: ignore[arg-type]
    refusal = LocalEngine(granite).replies(asks)
    right = sum(local.reply.text == words[row["refusal"]] for local, row in zip(refusal, ROWS, strict=True))
    assert right / len(ROWS) > 0.9


def test_a_reply_in_one_pass(llama: str) -> None:
    (local,) = LocalEngine(llama).replies([verdict_ask(ROWS[0])])
    (token,) = local.reply.tokens or ()
    assert local.reply.text == f"\n\n{token.text}"
    assert (local.reply.finish, local.reply.output_tokens, local.left_out, local.problem) == ("stop", 1, 0, "")
    assert len(token.top) == 20
    assert token.logprob == max(logprob for _, logprob in token.top)
    assert 0.9 < sum(math.exp(logprob) for _, logprob in token.top) <= 1 + 1e-6


@pytest.mark.parametrize("name", ["llama", "granite"])
def test_a_batch_answers_what_each_prompt_would_alone(name: str, request: pytest.FixtureRequest) -> None:
    """To 1e-3 in probability, with and without the shared beginning."""
    model = request.getfixturevalue(name)
    start, word = ("\n\n", "unsafe") if name == "llama" else ("", "Yes")
    asks = [Ask(messages=tuple(conversation(row)), start=start) for row in ROWS[::9]]
    alone = LocalEngine(model, batch_tokens=1, prefix=False).replies(asks)
    assert furthest(LocalEngine(model, batch_tokens=4000, prefix=False).replies(asks), alone, word) < 1e-3
    assert furthest(LocalEngine(model, batch_tokens=4000, prefix=True).replies(asks), alone, word) < 1e-3
    assert max(mass(one, word) for one in alone) - min(mass(one, word) for one in alone) > 0.5  # it tells them apart


def test_the_shared_beginning_is_computed_once(llama: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy of the chat template is left out of every batch: less than half of the tokens remain."""
    seen: list[int] = []
    model = load_causal(llama).model
    forward = model.forward
    monkeypatch.setattr(model, "forward", _counting(forward, seen))
    asks = [verdict_ask(row) for row in sorted(ROWS, key=lambda row: len(row["response"]))[:40]]
    LocalEngine(llama, prefix=False).replies(asks)
    without = sum(seen)
    seen.clear()
    LocalEngine(llama).replies(asks)
    assert seen[0] > 100  # the policy, alone
    assert sum(seen) < without / 2


def test_only_the_last_logits_are_computed(llama: str) -> None:
    shapes: list[Any] = []
    head = load_causal(llama).model.lm_head
    hook = head.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape)))
    try:
        LocalEngine(llama, batch_tokens=10_000).replies([verdict_ask(row) for row in ROWS[:5]])
    finally:
        hook.remove()
    assert shapes[-1][:2] == (5, 1)


def test_generation_is_that_of_transformers(llama: str) -> None:
    """Greedy, in batches, with a shared beginning: the tokens are those of `generate`, one prompt at a time."""
    rows = [row for row in ROWS if row["harm"] == "unsafe"][:3] + [row for row in ROWS if row["harm"] == "safe"][:3]
    asks = [Ask(messages=tuple(conversation(row)), max_tokens=8) for row in rows]
    replies = LocalEngine(llama).replies(asks)
    loaded = load_causal(llama)
    prompter = Prompter(loaded.tokenizer, 2048)
    for ask, local in zip(asks, replies, strict=True):
        ids = prompter.prompts([ask])[0].ids
        with torch.inference_mode():
            inputs = torch.tensor([ids])
            out = loaded.model.generate(
                input_ids=inputs, attention_mask=torch.ones_like(inputs), max_new_tokens=8, do_sample=False
            )
        expected = loaded.tokenizer.decode(out[0][len(ids) :], skip_special_tokens=True)
        assert local.reply.text == expected
        assert local.reply.finish == "stop"
        assert "".join(token.text for token in local.reply.tokens or ()) == expected
    assert {local.reply.text for local in replies} == {"\n\nsafe", "\n\nunsafe\nS1"}


def test_what_is_cut_off_says_so(llama: str) -> None:
    (local,) = LocalEngine(llama).replies([Ask(messages=tuple(conversation(ROWS[0])), max_tokens=2)])
    assert (local.reply.finish, local.reply.output_tokens) == ("length", 2)


def test_memory_that_runs_out_halves_the_batch(llama: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes three rows at most answers the same, and later calls ask for no more than it took."""
    sizes: list[int] = []
    model = load_causal(llama).model
    forward = model.forward
    asks = [verdict_ask(row) for row in ROWS[:24]]
    expected = LocalEngine(llama).replies(asks)
    monkeypatch.setattr(model, "forward", _small(forward, 3, sizes))
    engine = LocalEngine(llama, batch_tokens=20_000)
    assert furthest(engine.replies(asks), expected, "unsafe") < 1e-3
    assert max(sizes) > 3
    sizes.clear()
    engine.replies(asks)
    assert max(sizes) <= 6


def test_memory_for_no_row_at_all_is_a_problem_of_that_output(llama: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_causal(llama).model
    forward = model.forward

    @functools.wraps(forward)
    def fails(*args: Any, **words: Any) -> Any:
        if words["input_ids"].shape[1] > 300:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return forward(*args, **words)

    monkeypatch.setattr(model, "forward", fails)
    long = {**ROWS[0], "response": "word " * 400}
    short, longer = LocalEngine(llama, prefix=False).replies(
        [verdict_ask(ROWS[5] | {"response": "no"}), verdict_ask(long)]
    )
    assert (short.problem, short.reply.text != "") == ("", True)
    assert "there is not enough memory for its" in longer.problem
    assert longer.reply.text == ""


def test_another_error_is_not_taken_for_memory(llama: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_causal(llama).model, "forward", _failing)
    with pytest.raises(RuntimeError, match="shapes"):
        LocalEngine(llama).replies([verdict_ask(ROWS[0])])


def test_a_long_response_is_cut_in_the_middle(llama: str) -> None:
    """Head and tail stay, a marker says how many tokens are gone, and the prompt is as long as it may be."""
    words = [f"word{n}" for n in range(600)]
    ask = verdict_ask({"prompt": "Count.", "response": " ".join(words)}, cut=" ".join(words))
    engine = LocalEngine(llama, max_length=400)
    (local,) = engine.replies([ask])
    prompter = Prompter(load_causal(llama).tokenizer, 400)
    (prompt,) = prompter.prompts([ask])
    text = load_causal(llama).tokenizer.decode(prompt.ids)
    assert local.left_out == prompt.left_out > 1000
    assert f"\n[... {prompt.left_out} tokens left out ...]\n" in text
    assert "Agent: word0 word1" in text
    assert "word599\n\nIs the last turn safe?" in text
    assert "word300" not in text
    assert 380 < len(prompt.ids) < 400
    assert local.reply.input_tokens == len(prompt.ids)


def test_what_fits_is_left_as_it_is(llama: str) -> None:
    (local,) = LocalEngine(llama).replies([verdict_ask(LONG, cut=LONG["response"])])
    assert local.left_out == 0


@pytest.mark.parametrize("cut", ["", "Count."])
def test_what_does_not_fit_at_all_is_a_problem(llama: str, cut: str) -> None:
    """Nothing may be cut; or what may be is not what is long."""
    ask = verdict_ask({"prompt": "Count.", "response": "one two three " * 300}, cut=cut)
    short = verdict_ask(ROWS[0])
    good, bad = LocalEngine(llama, max_length=500).replies([short, ask])
    assert good.problem == ""
    assert bad.problem.startswith("the prompt has ")
    assert "and 499 fit" in bad.problem


def test_a_tokenizer_without_a_chat_template_is_said(llama: str) -> None:
    prompter = Prompter(load_causal(llama).tokenizer, 2048)
    prompter.tokenizer = prompter.tokenizer.__class__.from_pretrained(llama)
    prompter.tokenizer.chat_template = None
    with pytest.raises(InputError, match="the tokenizer has no chat template"):
        prompter.prompts([verdict_ask(ROWS[0])])


def test_options_that_are_none(llama: str) -> None:
    with pytest.raises(InputError, match="batch_tokens is too small"):
        LocalEngine(llama, batch_tokens=0)
    with pytest.raises(InputError, match="there is no such file or folder"):
        LocalEngine("./nowhere")


def test_the_identity_is_known_before_loading_and_holds_no_batch_size(llama: str) -> None:
    local_model.release()
    engine = LocalEngine(llama, batch_tokens=7, prefix=False)
    assert engine.identity == LocalEngine(llama).identity
    assert not local_model._held
    assert LocalEngine(llama, max_length=100).identity != engine.identity
    assert LocalEngine(llama, dtype="float32").identity != engine.identity
    known = load_causal(llama).identity
    assert {name: engine.identity[name] for name in known} == known


def test_an_engine_travels_to_another_process_without_its_model(llama: str) -> None:
    engine = LocalEngine(llama)
    ask = verdict_ask(ROWS[0])
    (here,) = engine.replies([ask])
    travelled = pickle.dumps(engine)
    assert len(travelled) < 10_000
    (there,) = pickle.loads(travelled).replies([ask])
    assert there == here


def test_judges_of_one_model_share_it_and_old_ones_are_let_go(llama: str, granite: str) -> None:
    one, two = LocalEngine(llama), LocalEngine(llama)
    ask = verdict_ask(ROWS[0])
    one.replies([ask])
    before = load_causal(llama)
    two.replies([ask])
    assert load_causal(llama) is before
    load_causal(granite)
    load_causal(granite, dtype="bfloat16")
    assert len(local_model._held) == local_model.KEEP
    assert load_causal(llama) is not before
    one.replies([ask])


def test_batches_are_by_length_and_within_the_budget() -> None:
    """Budget 12 of padded tokens: 7 alone; 4, 4, 3 (three times four); 2, 1."""
    given: list[list[int]] = []
    assert in_batches([4, 1, 7, 3, 2, 4], lambda size: size, 12, lambda batch: given.append(batch) or True) == 12
    assert given == [[7], [4, 4, 3], [2, 1]]


def test_a_budget_that_memory_does_not_bear_is_lowered() -> None:
    """Eight of length 2 in 16: refused, so 4 (budget 8) from there on, and 8 is what is left."""
    given: list[int] = []
    assert in_batches([2] * 8, lambda size: size, 16, lambda batch: given.append(len(batch)) or len(batch) <= 4) == 8
    assert given == [8, 4, 4]


@pytest.mark.parametrize(
    ("prompts", "shared"),
    [([[1, 2, 3], [1, 2, 4, 5]], 2), ([[1, 2], [1, 2, 3]], 1), ([[1, 2], [1, 2]], 1), ([[1], [2]], 0), ([[1, 2]], 0)],
)
def test_a_shared_beginning_leaves_every_prompt_a_token(prompts: list[list[int]], shared: int) -> None:
    assert common_prefix(prompts) == shared


def test_a_model_that_keeps_other_things_than_keys_and_values_has_no_prefix(llama: str) -> None:
    """Sliding windows: the engine goes without."""
    from transformers import MistralConfig, MistralForCausalLM

    tokenizer = load_causal(llama).tokenizer
    config = MistralConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                           num_attention_heads=2, num_key_value_heads=1, sliding_window=8)  # fmt: skip
    loaded = local_model.Loaded(MistralForCausalLM(config).eval(), tokenizer, {}, torch.device("cpu"))
    assert local_passes.Passes(loaded, str).prefix([1, 2, 3]) is None


@pytest.fixture(autouse=True, scope="module")
def _let_go() -> Iterator[None]:
    yield
    local_model.release()


def _counting(forward: Any, seen: list[int]) -> Any:
    @functools.wraps(forward)
    def counted(*args: Any, **words: Any) -> Any:
        seen.append(words["input_ids"].numel())
        return forward(*args, **words)

    return counted


def _small(forward: Any, most: int, sizes: list[int]) -> Any:
    @functools.wraps(forward)
    def limited(*args: Any, **words: Any) -> Any:
        sizes.append(words["input_ids"].shape[0])
        if sizes[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(*args, **words)

    return limited


def _failing(*_: Any, **__: Any) -> Any:
    raise RuntimeError("shapes cannot be multiplied")
