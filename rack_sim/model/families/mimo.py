"""MiMo: values narrower than keys, and layers that slide, with heads and sinks of their own."""

from collections.abc import Sequence

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.deepseek import routed_experts
from rack_sim.model.families.family import (
    Family,
    dense_feed_forward,
    feed_forward_of,
    grouped,
    interned,
    no_latent,
    rotary_size,
)
from rack_sim.model.layers import FeedForwardShape, GroupedAttention, Layer

_KINDS = ("full_attention", "sliding_attention")


def _mimo(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """As a Qwen2."""
    no_latent(keys)
    bias = keys.flag("attention_bias", default=True)
    return [Layer(grouped(keys, qkv_bias=bias), feed_forward_of(keys))] * layer_count


def _mimo_v2_flash(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    bias = keys.flag("attention_bias")
    by_kind = {
        "full_attention": _attention(keys, "", bias=bias),
        "sliding_attention": _attention(keys, "swa_", bias=bias),
    }
    return interned(
        Layer(by_kind[kind], feed_forward)
        for kind, feed_forward in zip(
            _kinds(keys, layer_count), _feed_forwards(keys, layer_count), strict=True
        )
    )


def _attention(keys: ConfigKeys, prefix: str, *, bias: bool) -> GroupedAttention:
    """Layers that slide have twice the key-value heads unless the file says otherwise."""
    slides = bool(prefix)
    heads = keys.count("num_attention_heads")
    kv_heads = keys.count("num_key_value_heads", heads)
    size, value_size = keys.count("head_dim", 192), keys.count("v_head_dim", 128)
    if slides:
        heads = keys.count("swa_num_attention_heads", heads)
        kv_heads = keys.count("swa_num_key_value_heads", 2 * kv_heads)
        size = keys.count("swa_head_dim", size)
        value_size = keys.count("swa_v_head_dim", value_size)
    if heads % kv_heads:
        keys.refuse(
            f"{prefix}num_key_value_heads",
            f"{heads} attention heads cannot share {kv_heads} key-value heads evenly",
        )
    window = keys.count(keys.first_of("sliding_window_size", "sliding_window"), 128)
    sinks = "add_swa_attention_sink_bias" if slides else "add_full_attention_sink_bias"
    return GroupedAttention(
        heads,
        kv_heads,
        size,
        window if slides else None,
        qkv_bias=bias,
        sinks=keys.flag(sinks, default=slides),
        rotary_size=rotary_size(keys, size),
        value_head_size=value_size,
    )


def _kinds(keys: ConfigKeys, layer_count: int) -> Sequence[str]:
    """`layer_types`, or 0 for full and 1 for sliding; else every sixth layer and the first."""
    said = keys.list_of("layer_types", _KINDS, layer_count)
    pattern = keys.list_of("hybrid_layer_pattern", (0, 1), layer_count)
    if said is not None:
        return said
    if pattern is not None:
        return [_KINDS[slides] for slides in pattern]
    return [_KINDS[number % 6 != 5 and number != 0] for number in range(layer_count)]


def _feed_forwards(keys: ConfigKeys, layer_count: int) -> list[FeedForwardShape]:
    """Experts in the layers that a list names; else in all but the first."""
    said = keys.list_of("mlp_layer_types", ("dense", "sparse"), layer_count)
    numbers = keys.list_of("moe_layer_freq", (0, 1), layer_count)
    sparse = [number > 0 for number in range(layer_count)]
    if said is not None:
        sparse = [kind == "sparse" for kind in said]
    elif numbers is not None:
        sparse = [number == 1 for number in numbers]
    experts = routed_experts(keys)
    plain = experts if all(sparse) else dense_feed_forward(keys)
    return [experts if is_sparse else plain for is_sparse in sparse]


_SHAPELESS = (
    "attention_chunk_size",
    "attention_value_scale",
    "layernorm_epsilon",
    "swa_rope_theta",
)

FAMILIES = {
    "mimo": Family(_mimo, module_as_last=True),
    "mimo_v2_flash": Family(
        _mimo_v2_flash, shapeless=_SHAPELESS, defaults={"partial_rotary_factor": 0.334}
    ),
}
