"""Qwen: biases at queries, keys and values in the second, norms of heads in the third.

Qwen3-Next and 3.5 have three layers of the gated delta rule for every one that attends.
"""

from dataclasses import replace

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import (
    Family,
    chosen_count,
    dense_feed_forward,
    feed_forward_of,
    grouped,
    interned,
    no_latent,
)
from rack_sim.model.layers import AttentionShape, Experts, FeedForwardShape, Layer, MixerShape
from rack_sim.model.state_layers import GatedDeltaNet


def _no_window(keys: ConfigKeys, layer_count: int) -> None:
    if keys.flag("use_sliding_window"):
        keys.refuse("use_sliding_window", "True is not modelled; only False is")
    keys.list_of("layer_types", ("full_attention",), layer_count)


def _qwen2_attention(keys: ConfigKeys, layer_count: int) -> AttentionShape:
    no_latent(keys)
    _no_window(keys, layer_count)
    return grouped(keys, qkv_bias=keys.flag("qkv_bias", default=True))


def _qwen2(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    return [Layer(_qwen2_attention(keys, layer_count), feed_forward_of(keys))] * layer_count


def _qwen2_moe(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Experts, and a shared one behind a gate of its own."""
    shared = keys.count("shared_expert_intermediate_size")
    experts = _experts(keys, shared=shared)
    return _where_sparse(keys, layer_count, _qwen2_attention(keys, layer_count), experts)


def _qwen3_attention(keys: ConfigKeys, layer_count: int) -> AttentionShape:
    no_latent(keys)
    _no_window(keys, layer_count)
    bias = keys.flag("attention_bias")
    return grouped(keys, query_key_norms="head", qkv_bias=bias, output_bias=bias)


def _qwen3(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    return [Layer(_qwen3_attention(keys, layer_count), feed_forward_of(keys))] * layer_count


def _qwen3_moe(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    attention = _qwen3_attention(keys, layer_count)
    return _where_sparse(keys, layer_count, attention, _experts(keys))


def _experts(keys: ConfigKeys, *, shared: int = 0) -> Experts:
    count = keys.count(keys.first_of("num_experts", "num_local_experts"))
    return Experts(
        count,
        chosen_count(keys, "num_experts_per_tok", count),
        keys.count("moe_intermediate_size"),
        shared_size=shared,
        shared_gate=bool(shared),
    )


def _where_sparse(
    keys: ConfigKeys, layer_count: int, attention: MixerShape, experts: FeedForwardShape
) -> list[Layer]:
    """Experts in every `decoder_sparse_step`th layer but those of `mlp_only_layers`."""
    step = keys.count("decoder_sparse_step", 1)
    plain = keys.layer_numbers("mlp_only_layers", layer_count) or frozenset()
    sparse = Layer(attention, experts)
    flags = [(number + 1) % step == 0 and number not in plain for number in range(layer_count)]
    other = sparse if all(flags) else Layer(attention, dense_feed_forward(keys))
    return [sparse if is_sparse else other for is_sparse in flags]


def _qwen3_next(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    mixers = _mixers(keys, layer_count, in_two=True)
    experts = _experts(keys, shared=keys.count("shared_expert_intermediate_size", 512))
    of_layers = _where_sparse(keys, layer_count, mixers[0], experts)
    return interned(
        replace(layer, attention=mixer) for layer, mixer in zip(of_layers, mixers, strict=True)
    )


def _qwen3_5(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    feed_forward = feed_forward_of(keys)
    keys.only("mlp_only_layers", [])
    return interned(Layer(mixer, feed_forward) for mixer in _mixers(keys, layer_count))


def _qwen3_5_moe(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    experts = _experts(keys, shared=keys.count("shared_expert_intermediate_size", 512))
    keys.only("mlp_only_layers", [])
    keys.only("decoder_sparse_step", 1)
    return interned(Layer(mixer, experts) for mixer in _mixers(keys, layer_count))


def _mixers(keys: ConfigKeys, layer_count: int, *, in_two: bool = False) -> list[MixerShape]:
    """Every fourth layer attends, its results gated; the others keep a state."""
    no_latent(keys)
    keys.only("attn_output_gate", True)
    keys.only("use_sliding_window", False)
    bias = keys.flag("attention_bias")
    attention = grouped(keys, query_key_norms="head", qkv_bias=bias, output_bias=bias)
    by_kind: dict[str, MixerShape] = {
        "linear_attention": replace(_delta_net(keys), in_two=in_two),
        "full_attention": replace(attention, output_gate=True),
    }
    kinds = keys.list_of("layer_types", tuple(by_kind), layer_count)
    every = keys.count("full_attention_interval", 4)
    if kinds is None:
        kinds = [tuple(by_kind)[(number + 1) % every == 0] for number in range(layer_count)]
    return [by_kind[kind] for kind in kinds]


def _delta_net(keys: ConfigKeys) -> GatedDeltaNet:
    key_heads = keys.count("linear_num_key_heads", 16)
    value_heads = keys.count("linear_num_value_heads", 32)
    if value_heads % key_heads:
        keys.refuse(
            "linear_num_key_heads",
            f"{value_heads} value heads cannot share {key_heads} key heads evenly",
        )
    return GatedDeltaNet(
        key_heads,
        value_heads,
        keys.count("linear_key_head_dim", 128),
        keys.count("linear_value_head_dim", 128),
        keys.count("linear_conv_kernel_dim", 4),
    )


_WINDOW = ("sliding_window", "max_window_layers")
_HEAD = {"head_dim": 128}
_WIDE = {"head_dim": 256, "partial_rotary_factor": 0.25}
_NEXT = (
    *_WINDOW,
    "mamba_ssm_dtype",  # the format of states is the scenario's (`precision.states`)
    "mtp_num_hidden_layers",
    "mtp_use_dedicated_embeddings",
)

FAMILIES = {
    "qwen2": Family(_qwen2, shapeless=_WINDOW),
    "qwen2_moe": Family(_qwen2_moe, shapeless=_WINDOW),
    "qwen2_5_vl": Family(_qwen2, shapeless=(*_WINDOW, "vision_token_id")),
    "qwen3": Family(_qwen3, shapeless=_WINDOW, defaults=_HEAD),
    "qwen3_moe": Family(_qwen3_moe, shapeless=_WINDOW),
    "qwen3_vl": Family(_qwen3, shapeless=_WINDOW, defaults=_HEAD),
    "qwen3_vl_moe": Family(_qwen3_moe, shapeless=_WINDOW),
    "qwen3_next": Family(_qwen3_next, shapeless=_NEXT, defaults=_WIDE),
    "qwen3_5": Family(_qwen3_5, shapeless=_NEXT, defaults=_WIDE),
    "qwen3_5_moe": Family(_qwen3_5_moe, shapeless=_NEXT, defaults=_WIDE),
}
for _name in ("qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe"):
    FAMILIES[f"{_name}_text"] = FAMILIES[_name]
