"""LFM2: short convolutions between gates, attention in some layers, experts after the first."""

from collections.abc import Mapping, Sequence

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import (
    Family,
    chosen_count,
    dense_feed_forward,
    grouped,
    interned,
    no_experts,
    no_latent,
)
from rack_sim.model.layers import DenseFeedForward, Experts, FeedForwardShape, Layer, MixerShape
from rack_sim.model.state_layers import ShortConvolution


def _lfm2(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    no_experts(keys)
    return _layers(keys, layer_count, [_adjusted(keys)] * layer_count)


def _adjusted(keys: ConfigKeys) -> DenseFeedForward:
    """Two thirds of the width that is said, rounded up to a multiple, unless told not to."""
    width = keys.count(keys.first_of("block_ff_dim", "intermediate_size"), 12288)
    multiple = keys.count("block_multiple_of", 256)
    keys.only("block_ffn_dim_multiplier", 1.0)
    if keys.flag("block_auto_adjust_ff_dim", default=True):
        width = -(-(2 * width // 3) // multiple) * multiple
    return DenseFeedForward(max(width, 1))


def _lfm2_moe(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    first = keys.count("num_dense_layers", 2, least=0)
    count = keys.count("num_experts", 32)
    experts = Experts(
        count,
        chosen_count(keys, "num_experts_per_tok", count, 4),
        keys.count("moe_intermediate_size", 1792),
        router_correction=keys.flag("use_expert_bias", default=True),
    )
    plain = dense_feed_forward(keys) if first else experts
    return _layers(keys, layer_count, [plain if n < first else experts for n in range(layer_count)])


def _layers(
    keys: ConfigKeys, layer_count: int, feed_forwards: Sequence[FeedForwardShape]
) -> list[Layer]:
    no_latent(keys)
    keys.only("tie_embedding", True)
    by_kind: dict[str, MixerShape] = {
        "conv": ShortConvolution(
            keys.count("hidden_size"), keys.count("conv_L_cache", 3), keys.flag("conv_bias")
        ),
        "full_attention": grouped(keys, query_key_norms="head"),
    }
    attend = keys.layer_numbers("full_attn_idxs", layer_count)
    kinds = keys.list_of("layer_types", tuple(by_kind), layer_count)
    if kinds is None:
        named = range(layer_count) if attend is None else attend
        kinds = [tuple(by_kind)[number in named] for number in range(layer_count)]
    return interned(
        Layer(by_kind[kind], feed_forward)
        for kind, feed_forward in zip(kinds, feed_forwards, strict=True)
    )


_SHAPELESS = (
    "block_dim",
    "block_ff_dim",
    "block_mlp_init_scale",
    "block_norm_eps",
    "block_out_init_scale",
    "block_use_swiglu",
    "block_use_xavier_init",
    "conv_dim",
    "conv_dim_out",
    "conv_use_xavier_init",
    "num_heads",
    "norm_eps",
    "theta",
    "use_pos_enc",
)

FAMILIES: Mapping[str, Family] = {
    "lfm2": Family(_lfm2, tied=True, shapeless=_SHAPELESS),
    "lfm2_moe": Family(_lfm2_moe, tied=True, shapeless=_SHAPELESS),
}
