"""Llama and what is built as it is: Mistral, Mixtral, Ministral, Granite, Phi-3, SmolLM, Seed."""

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import (
    Family,
    attention_kinds,
    by_kind,
    feed_forward_of,
    grouped,
    local_experts,
    no_latent,
)
from rack_sim.model.layers import Layer


def _llama(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Grouped-query attention and a gated feed-forward in every layer."""
    keys.only("attention_bias", False)
    keys.only("mlp_bias", False)
    no_latent(keys)
    keys.only("sliding_window")
    return [Layer(grouped(keys), feed_forward_of(keys))] * layer_count


def _windowed(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """As a Llama; where there is a window, every layer has it."""
    keys.only("attention_bias", False)
    keys.only("mlp_bias", False)
    no_latent(keys)
    window = keys.optional_count("sliding_window")
    return [Layer(grouped(keys, window_tokens=window), feed_forward_of(keys))] * layer_count


def _ministral(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """As a Mistral, with windows in the layers that `layer_types` names."""
    keys.only("attention_bias", False)
    no_latent(keys)
    window = keys.optional_count("sliding_window")
    kinds = attention_kinds(keys, layer_count, every=1 if window is None else layer_count + 1)
    feed_forward = feed_forward_of(keys)
    return by_kind(
        kinds,
        lambda tokens: Layer(grouped(keys, window_tokens=tokens), feed_forward),
        window=window,
    )


def _mixtral(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Experts in every layer, each as wide as `intermediate_size`."""
    keys.only("attention_bias", False)
    no_latent(keys)
    window = keys.optional_count("sliding_window")
    layer = Layer(grouped(keys, window_tokens=window), local_experts(keys, 8))
    return [layer] * layer_count


def _biased(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """As a Llama, with biases of the projections where the file says so."""
    bias = keys.flag("attention_bias")
    keys.only("mlp_bias", False)
    attention = grouped(keys, qkv_bias=bias, output_bias=bias)
    return [Layer(attention, feed_forward_of(keys))] * layer_count


def _granite_moe(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    bias = keys.flag("attention_bias")
    attention = grouped(keys, qkv_bias=bias, output_bias=bias)
    return [Layer(attention, local_experts(keys, 8))] * layer_count


def _seed(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Biases at queries, keys and values, and at outputs where the file says so."""
    keys.only("mlp_bias", False)
    attention = grouped(
        keys,
        qkv_bias=keys.flag("attention_bias", default=True),
        output_bias=keys.flag("attention_out_bias"),
    )
    return [Layer(attention, feed_forward_of(keys))] * layer_count


_GRANITE = (
    "attention_multiplier",
    "embedding_multiplier",
    "logits_scaling",
    "residual_multiplier",
)
_SMOLLM = ("no_rope_layer_interval", "no_rope_layers", "use_sliding_window", "layer_types")

FAMILIES = {
    "llama": Family(_llama, defaults={"max_position_embeddings": 2048}),
    "mistral": Family(_windowed),
    "ministral": Family(_ministral),
    "ministral3": Family(_windowed, defaults={"head_dim": 128}, shapeless=("layer_types",)),
    "mixtral": Family(_mixtral),
    "phi3": Family(_windowed, defaults={"max_position_embeddings": 4096}),
    "granite": Family(_biased, shapeless=_GRANITE),
    "granitemoe": Family(_granite_moe, shapeless=_GRANITE),
    "seed_oss": Family(_seed, defaults={"head_dim": 128}, shapeless=("residual_dropout",)),
    "smollm3": Family(_biased, tied=True, shapeless=_SMOLLM),
}
