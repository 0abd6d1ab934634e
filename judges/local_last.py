"""The last layer for the last position alone: what comes out of it elsewhere, nobody reads.

A pass for the next token needs the keys and values of every position in every layer, but of the last layer's queries,
output projection and feed-forward block only those of the last position. A model of L layers saves most of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any, Final

_NAME: Final = "interjudge_last_query"
_OURS: Final = "sdpa"  # the attention that ours stands in for; a model that wants another one keeps it


@contextmanager
def last_query_alone(model: Any) -> Iterator[None]:
    """Within the block, forward passes are right at the last position and nowhere else.

    Nothing is changed for a model whose last layer does not look like that of Llama and its kin: one attention over
    `sdpa` and one dense feed-forward block, both added to what came in.
    """
    layer = _last_layer(model)
    if layer is None:
        yield
        return
    config = layer.self_attn.config
    with ExitStack() as stack:
        for block in (layer.self_attn.o_proj, layer.mlp):
            stack.callback(block.register_forward_pre_hook(_last_position).remove)
        _register()
        stack.callback(setattr, config, "_attn_implementation", config._attn_implementation)
        config._attn_implementation = _NAME
        yield


def _last_layer(model: Any) -> Any:
    """The last decoder layer, where it is of the kind that this module knows; else None."""
    layers = getattr(getattr(model, "model", None), "layers", None)
    if not layers:
        return None
    layer = layers[-1]
    attention: Any = getattr(layer, "self_attn", None)
    block: Any = getattr(layer, "mlp", None)
    known = (
        all(hasattr(attention, name) for name in ("q_proj", "k_proj", "v_proj", "o_proj", "config", "layer_idx"))
        and all(hasattr(block, name) for name in ("gate_proj", "up_proj", "down_proj"))
        and attention.layer_idx == len(layers) - 1
        and attention.config._attn_implementation == _OURS
        and getattr(attention.config, "sliding_window", None) is None
    )
    return layer if known else None


def _last_position(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """One position in place of all; what comes out is added to every position of what came in."""
    return (given[0][:, -1:], *given[1:])


@lru_cache(maxsize=1)
def _register() -> None:
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    attend: Callable[..., tuple[Any, Any]] = ALL_ATTENTION_FUNCTIONS[_OURS]

    def last_query(
        module: Any, query: Any, key: Any, value: Any, attention_mask: Any = None, **more: Any
    ) -> tuple[Any, Any]:
        if module.layer_idx < module.config.num_hidden_layers - 1:
            return attend(module, query, key, value, attention_mask, **more)
        mask = None if attention_mask is None else attention_mask[..., -1:, :]
        out, weights = attend(module, query[:, :, -1:], key, value, mask, **{**more, "is_causal": False})
        return out.expand(-1, query.shape[2], -1, -1), weights  # the projection takes the last of them

    ALL_ATTENTION_FUNCTIONS.register(_NAME, last_query)
    ALL_MASK_ATTENTION_FUNCTIONS.register(_NAME, sdpa_mask)
