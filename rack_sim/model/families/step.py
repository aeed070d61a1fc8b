"""Step: a gate for every head, more heads in layers that slide, experts after the first layers."""

from collections.abc import Sequence
from dataclasses import replace

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import (
    Family,
    chosen_count,
    dense_feed_forward,
    interned,
    no_latent,
)
from rack_sim.model.layers import Experts, FeedForwardShape, GroupedAttention, Layer

_FULL, _SLIDING = "full_attention", "sliding_attention"


def _step(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    no_latent(keys)
    keys.only("sink", False)
    keys.only("use_mfa", False)
    keys.only("use_qk_norm", True)
    keys.only("use_head_wise_attn_gate", True)
    kinds = keys.first_items("layer_types", (_FULL, _SLIDING), layer_count)
    full = _attention(keys)
    by_kind = {_FULL: full, _SLIDING: _sliding(keys, full)}
    return interned(
        Layer(by_kind[kind], one)
        for kind, one in zip(
            kinds or [_FULL] * layer_count, _feed_forwards(keys, layer_count), strict=True
        )
    )


def _attention(keys: ConfigKeys) -> GroupedAttention:
    heads = keys.count("num_attention_heads")
    kv_heads = keys.count(keys.first_of("num_attention_groups", "num_key_value_heads"), 8)
    _must_share(keys, "num_attention_heads", heads, kv_heads)
    bias = keys.flag("attention_bias")
    return GroupedAttention(
        heads,
        kv_heads,
        keys.count("head_dim", 128),
        qkv_bias=bias,
        output_bias=bias,
        query_key_norms="head",
        head_gates=True,
    )


def _sliding(keys: ConfigKeys, full: GroupedAttention) -> GroupedAttention:
    """The same with a window, and heads of its own where a file says so."""
    other = keys.part("attention_other_setting")
    heads = full.head_count
    if other is not None:
        other.only("attention_type", _SLIDING)
        other.only("num_attention_groups", full.kv_head_count)
        other.only("head_dim", full.head_size)
        heads = other.count("num_attention_heads", heads)
    heads = keys.count("num_sliding_attention_heads", heads)
    _must_share(keys, "num_sliding_attention_heads", heads, full.kv_head_count)
    window = keys.optional_count("sliding_window")
    return replace(full, head_count=heads, window_tokens=window)


def _must_share(keys: ConfigKeys, key: str, heads: int, kv_heads: int) -> None:
    if heads % kv_heads:
        said = f"{heads} attention heads cannot share {kv_heads} key-value heads evenly"
        keys.refuse(key, said)


def _feed_forwards(keys: ConfigKeys, layer_count: int) -> list[FeedForwardShape]:
    """Experts in the layers that are listed, else in all but the first three."""
    said = keys.first_items("mlp_layer_types", ("dense", "sparse"), layer_count)
    numbers = _listed(keys)
    sparse = [at >= 3 if numbers is None else at in numbers for at in range(layer_count)]
    if said is not None:
        sparse = [kind == "sparse" for kind in said]
    count = keys.count(keys.first_of("moe_num_experts", "n_routed_experts"), 288)
    chosen = keys.first_of("moe_top_k", "num_experts_per_tok")
    experts = Experts(
        count,
        chosen_count(keys, chosen, count, min(8, count)),
        keys.count("moe_intermediate_size", 1280),
        shared_size=keys.count(keys.first_of("share_expert_dim", "share_expert_dims"), 1280),
        router_correction=keys.flag("use_moe_router_bias", default=True),
    )
    plain = experts if all(sparse) else dense_feed_forward(keys)
    return [experts if is_sparse else plain for is_sparse in sparse]


def _listed(keys: ConfigKeys) -> Sequence[int] | None:
    """Numbers of layers, as a list or as words with commas between."""
    words = keys.word("moe_layers_enum", "")
    numbers = [word.strip() for word in words.strip("[]").split(",") if word.strip()]
    if not all(word.isdecimal() for word in numbers):
        keys.refuse("moe_layers_enum", f"{words!r} is no list of numbers of layers")
        return None
    return [int(word) for word in numbers] if words else None


_SHAPELESS = (
    "att_impl_type",
    "max_seq_len",
    "moe_every_n_layer",
    "moe_layer_offset",
    "moe_router_activation",
    "moe_router_scaling_factor",
    "mtp_layer_types",
    "mtp_mlp_layer_types",
    "need_fp32_gate",
    "norm_expert_weight",
    "num_experts",
    "partial_rotary_factors",
    "per_layer_config",  # what `transformers` makes of the others
    "query_pre_attn_scalar",
    "swiglu_limits",
    "swiglu_limits_shared",
    "use_moe",
    "use_rope_layers",
    "yarn_only_types",
    "zero_centered",
)

FAMILIES = {"step3p5": Family(_step, shapeless=_SHAPELESS)}
FAMILIES["step3p7"] = FAMILIES["step3p5"]
