"""Cohere: attention and feed-forward read one norm, and what both find is added at once."""

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import (
    Family,
    attention_kinds,
    by_kind,
    feed_forward_of,
    grouped,
    no_latent,
)
from rack_sim.model.layers import Layer


def _cohere2(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Every fourth layer is full, the others slide."""
    no_latent(keys)
    keys.only("use_qk_norm", False)
    bias = keys.flag("attention_bias")
    feed_forward = feed_forward_of(keys)
    return by_kind(
        attention_kinds(keys, layer_count, every=keys.count("sliding_window_pattern", 4)),
        lambda tokens: Layer(
            grouped(keys, window_tokens=tokens, qkv_bias=bias, output_bias=bias),
            feed_forward,
            parallel=True,
            shares_norm=True,
        ),
        window=keys.count("sliding_window", 4096),
    )


_SHAPELESS = (
    "logit_scale",
    "order_of_interleaved_layers",
    "position_embedding_type",
    "rotary_pct",
    "use_embedding_sharing",
    "use_gated_activation",
    "use_parallel_block",
    "use_parallel_embedding",
)

FAMILIES = {
    "cohere2": Family(
        _cohere2,
        tied=True,
        shapeless=_SHAPELESS,
    )
}
