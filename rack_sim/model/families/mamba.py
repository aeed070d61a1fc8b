"""Mamba-2 among attention: Bamba, Granite 4.0, and Falcon-H1, which has both side by side."""

from collections.abc import Mapping
from dataclasses import replace

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import Family, chosen_count, feed_forward_of, grouped, no_latent
from rack_sim.model.families.hybrid import KINDS, TIME_STEPS, groups_of, kinds_of, mixed
from rack_sim.model.layers import (
    DenseFeedForward,
    Experts,
    FeedForwardShape,
    Layer,
    SideBySide,
)
from rack_sim.model.state_layers import Mamba2


def _mamba(keys: ConfigKeys, width: int | None = None) -> Mamba2:
    """Of the keys that Bamba began with, all heads together as wide as given or as those say."""
    heads = keys.count("mamba_n_heads", 128)
    inner = width or keys.count("mamba_expand", 2) * keys.count("hidden_size")
    size = inner // heads or 1
    given = None if keys.word("mamba_d_head", "auto") == "auto" else keys.count("mamba_d_head")
    if inner % heads or given not in (None, size):
        keys.refuse(
            "mamba_n_heads",
            f"{heads} heads of {given or size} do not share out a width of {inner}",
            "the width of the mixer is mamba_n_heads times mamba_d_head",
        )
    bias = keys.flag("mamba_proj_bias")
    return Mamba2(
        head_count=heads,
        head_size=size,
        group_count=groups_of(keys, "mamba_n_groups", heads, 1),
        state_size=keys.count("mamba_d_state", 256),
        kernel_size=keys.count("mamba_d_conv", 4),
        chunk_tokens=keys.count("mamba_chunk_size", 256),
        convolution_bias=keys.flag("mamba_conv_bias", default=True),
        input_bias=bias,
        output_bias=bias,
    )


def _granite_hybrid(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """A shared feed-forward in every layer, and experts beside it where there are some."""
    no_latent(keys)
    bias = keys.flag("attention_bias")
    attention = grouped(keys, qkv_bias=bias, output_bias=bias)
    if keys.word("position_embedding_type", "nope") != "rope":
        attention = replace(attention, rotary_size=0)
    kinds = kinds_of(keys, layer_count, ["linear_attention"] * layer_count)
    shared = keys.count("shared_intermediate_size", 1024)
    feed_forward: FeedForwardShape = DenseFeedForward(shared)
    count = keys.count("num_local_experts", 8, least=0)
    if count:
        feed_forward = Experts(
            count,
            chosen_count(keys, "num_experts_per_tok", count, 2),
            keys.count("intermediate_size"),
            shared_size=shared,
        )
    return mixed(
        kinds,
        lambda: _mamba(keys),
        lambda: attention,
        [feed_forward] * layer_count,
    )


def _bamba(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    no_latent(keys)
    bias = keys.flag("attention_bias")
    attend = keys.layer_numbers("attn_layer_indices", layer_count) or frozenset()
    kinds = [KINDS[number in attend] for number in range(layer_count)]
    return mixed(
        kinds,
        lambda: _mamba(keys),
        lambda: grouped(keys, qkv_bias=bias, output_bias=bias),
        [feed_forward_of(keys)] * layer_count,
    )


def _falcon_h1(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Attention and a state side by side in every layer."""
    no_latent(keys)
    bias = keys.flag("attention_bias")
    state = replace(
        _mamba(keys, keys.optional_count("mamba_d_ssm")),
        output_bias=keys.flag("projectors_bias"),
        gated_norm=keys.flag("mamba_rms_norm"),
    )
    attention = grouped(keys, qkv_bias=bias, output_bias=bias)
    return [Layer(SideBySide(attention, state), feed_forward_of(keys))] * layer_count


_MAMBA = (
    "mamba_chunk_size",
    "mamba_conv_bias",
    "mamba_d_conv",
    "mamba_d_head",
    "mamba_d_state",
    "mamba_expand",
    "mamba_n_groups",
    "mamba_n_heads",
    "mamba_proj_bias",
)
_GRANITE = (
    *TIME_STEPS,
    *_MAMBA,
    "attention_multiplier",
    "embedding_multiplier",
    "logits_scaling",
    "residual_multiplier",
    "normalization_function",
    "num_experts_per_tok",  # where there are none
)
_BAMBA = (*TIME_STEPS, *_MAMBA, "attn_rotary_emb", "num_logits_to_keep", "z_loss_coefficient")
_FALCON_H1 = (
    *_BAMBA,
    "attention_in_multiplier",
    "attention_out_multiplier",
    "attn_layer_indices",
    "embedding_multiplier",
    "key_multiplier",
    "lm_head_multiplier",
    "mamba_norm_before_gate",
    "mamba_use_mlp",
    "mlp_expansion_factor",
    "mlp_multipliers",
    "ssm_in_multiplier",
    "ssm_multipliers",
    "ssm_out_multiplier",
)

FAMILIES: Mapping[str, Family] = {
    "granitemoehybrid": Family(_granite_hybrid, shapeless=_GRANITE),
    "bamba": Family(_bamba, shapeless=_BAMBA, defaults={"partial_rotary_factor": 0.5}),
    "falcon_h1": Family(_falcon_h1, shapeless=_FALCON_H1, defaults={"mamba_d_ssm": 1024}),
}
