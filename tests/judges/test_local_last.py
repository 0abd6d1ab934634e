"""The last layer for the last position alone: the same logits there, less work, and a model that is left as it was."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from interjudge.judges.local_last import last_query_alone  # noqa: E402 - needs both

SMALL: dict[str, Any] = {
    "vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
KINDS = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", {}),
    "granite": ("GraniteConfig", "GraniteForCausalLM", {"residual_multiplier": 0.3, "logits_scaling": 2.0}),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", {"head_dim": 8}),
    "mistral": ("MistralConfig", "MistralForCausalLM", {"sliding_window": None}),
}


def model_of(kind: str) -> Any:
    config, model, more = KINDS[kind]
    torch.manual_seed(0)
    return getattr(transformers, model)(getattr(transformers, config)(**SMALL, **more)).eval()


def logits(model: Any, ids: Any, mask: Any) -> Any:
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.inference_mode():
        return model(ids, attention_mask=mask, position_ids=positions, use_cache=False).logits[:, -1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_position_has_the_same_logits(kind: str) -> None:
    """With padding on the left and without; and afterwards every position has its own again."""
    model = model_of(kind)
    ids = torch.randint(3, 50, (5, 17))
    whole = torch.ones_like(ids)
    padded = whole.clone()
    padded[1, :4] = padded[3, :9] = 0
    for mask in (whole, padded):
        expected = logits(model, ids, mask)
        with last_query_alone(model):
            found = logits(model, ids, mask)
        assert torch.allclose(found, expected, atol=1e-6)
    before = model(ids, use_cache=False).logits
    with last_query_alone(model):
        other = model(ids, use_cache=False).logits
    assert not torch.allclose(other[:, 0], before[:, 0], atol=1e-4), "it did leave something out"
    assert torch.equal(model(ids, use_cache=False).logits, before)


def test_the_model_is_left_as_it_was_after_an_error() -> None:
    model = model_of("llama")
    with pytest.raises(RuntimeError, match="in the middle"), last_query_alone(model):
        raise RuntimeError("in the middle")
    assert model.config._attn_implementation == "sdpa"
    layer = model.model.layers[-1]
    assert not layer.mlp._forward_pre_hooks
    assert not layer.self_attn.o_proj._forward_pre_hooks


@pytest.mark.parametrize("change", ["eager", "window", "experts"])
def test_a_model_of_another_kind_is_not_touched(change: str) -> None:
    if change == "experts":
        config = transformers.MixtralConfig(**SMALL, num_local_experts=2, num_experts_per_tok=1)
        model = transformers.MixtralForCausalLM(config).eval()
    elif change == "window":
        config = transformers.MistralConfig(**SMALL, sliding_window=4)
        model = transformers.MistralForCausalLM(config).eval()
    else:
        model = model_of("llama")
        model.set_attn_implementation("eager")
    ids = torch.randint(3, 50, (2, 12))
    with torch.inference_mode():
        expected = model(ids, use_cache=False).logits
        with last_query_alone(model):
            assert torch.equal(model(ids, use_cache=False).logits, expected)
