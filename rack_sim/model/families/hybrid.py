"""Hybrids: layers that keep a state for a sequence among layers of attention.

Nemotron-H, Granite 4.0, Bamba and Falcon-H1 (Mamba-2), MiniMax-Text and M1 (lightning attention),
Kimi Linear. What Qwen makes of the gated delta rule stands with Qwen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import (
    Family,
    chosen_count,
    dense_feed_forward,
    feed_forward_of,
    grouped,
    interned,
    local_experts,
    no_latent,
)
from rack_sim.model.layers import (
    DenseFeedForward,
    Experts,
    FeedForwardShape,
    LatentAttention,
    Layer,
    MixerShape,
    SideBySide,
)
from rack_sim.model.state_layers import KimiDeltaAttention, LightningAttention, Mamba2

KINDS = ("linear_attention", "full_attention")
_NEW_KINDS = {"mamba": "linear_attention", "attention": "full_attention"}


def _kinds(keys: ConfigKeys, layer_count: int, default: Sequence[str]) -> Sequence[str]:
    """For each layer whether it keeps a state (`linear_attention`) or attends."""
    key = keys.first_of("layer_types", "layers_block_type")
    said = keys.list_of(key, (*KINDS, *_NEW_KINDS), layer_count)
    return [_NEW_KINDS.get(kind, kind) for kind in said or default]


def _mixed(
    kinds: Sequence[str],
    state: Callable[[], MixerShape],
    attention: Callable[[], MixerShape],
    feed_forwards: Sequence[FeedForwardShape],
) -> list[Layer]:
    """A layer for each kind; a mixer that no layer has is not asked for."""
    made = {"linear_attention": state, "full_attention": attention}
    by_kind = {kind: made[kind]() for kind in set(kinds)}
    return interned(
        Layer(by_kind[kind], feed_forward)
        for kind, feed_forward in zip(kinds, feed_forwards, strict=True)
    )


# Nemotron-H ------------------------------------------------------------------------------------

_LETTERS = {"M": "linear_attention", "*": "full_attention", "-": "mlp", "E": "moe"}
_PARTS = (*_LETTERS.values(), *_NEW_KINDS)


def _nemotron_h(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Every layer is one half alone, which a letter of the pattern or a word of the list names."""
    no_latent(keys)
    keys.only("sliding_window")
    kinds = _parts(keys, layer_count)
    halves = {
        "linear_attention": lambda: Layer(_nemotron_mamba(keys), None),
        "full_attention": lambda: Layer(_nemotron_attention(keys), None),
        "mlp": lambda: Layer(None, _nemotron_mlp(keys)),
        "moe": lambda: Layer(None, _nemotron_experts(keys)),
    }
    by_kind = {kind: halves[kind]() for kind in sorted(set(kinds))}
    return [by_kind[kind] for kind in kinds]


def _nemotron_layers(keys: ConfigKeys) -> int:
    """As many as the file says, else as its list or its pattern names."""
    for key in ("layers_block_type", "layer_types", "hybrid_override_pattern"):
        found = keys.length(key)
        if found is not None:
            return keys.count("num_hidden_layers", found)
    return keys.count("num_hidden_layers")


def _parts(keys: ConfigKeys, layer_count: int) -> list[str]:
    pattern = keys.letters("hybrid_override_pattern", tuple(_LETTERS), layer_count)
    said = keys.list_of(keys.first_of("layers_block_type", "layer_types"), _PARTS, layer_count)
    if said is not None:
        return [_NEW_KINDS.get(kind, kind) for kind in said]
    if pattern is None:
        keys.missing("hybrid_override_pattern")
        return ["mlp"] * layer_count
    return [_LETTERS[letter] for letter in pattern]


def _nemotron_attention(keys: ConfigKeys) -> MixerShape:
    keys.only("attention_bias", False)
    return replace(grouped(keys), rotary_size=0)


def _nemotron_mamba(keys: ConfigKeys) -> Mamba2:
    bias = keys.flag("use_bias")
    heads = keys.count("mamba_num_heads", 128)
    return Mamba2(
        head_count=heads,
        head_size=keys.count("mamba_head_dim", 64),
        group_count=_groups(keys, keys.first_of("n_groups", "mamba_n_groups"), heads, 8),
        state_size=keys.count("ssm_state_size", 128),
        kernel_size=keys.count(keys.first_of("conv_kernel", "mamba_d_conv"), 4),
        chunk_tokens=keys.count(keys.first_of("chunk_size", "mamba_chunk_size"), 128),
        convolution_bias=keys.flag(keys.first_of("use_conv_bias", "mamba_conv_bias"), default=True),
        input_bias=bias,
        output_bias=bias,
    )


def _groups(keys: ConfigKeys, key: str, heads: int, default: int) -> int:
    """Groups of B and C, which heads share evenly."""
    groups = keys.count(key, default)
    if heads % groups:
        keys.refuse(key, f"{heads} heads cannot share {groups} groups evenly")
    return groups


def _nemotron_mlp(keys: ConfigKeys) -> DenseFeedForward:
    return DenseFeedForward(keys.count("intermediate_size"), gated=False)


def _nemotron_experts(keys: ConfigKeys) -> Experts:
    count = keys.count("n_routed_experts", 8)
    return Experts(
        count,
        chosen_count(keys, "num_experts_per_tok", count, 2),
        keys.count("moe_intermediate_size", 7688),
        shared_size=keys.count("moe_shared_expert_intermediate_size", 7688),
        router_correction=True,
        gated=False,
        latent_size=keys.optional_count("moe_latent_size"),
    )


# Granite and Bamba -----------------------------------------------------------------------------


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
        group_count=_groups(keys, "mamba_n_groups", heads, 1),
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
    kinds = _kinds(keys, layer_count, ["linear_attention"] * layer_count)
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
    return _mixed(
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
    return _mixed(
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


# MiniMax ---------------------------------------------------------------------------------------


def _minimax(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Every other layer attends unless the file says which; `attn_type_list` has 1 for those."""
    no_latent(keys)
    keys.only("sliding_window")
    keys.only("shared_intermediate_size", 0)
    attend = keys.list_of("attn_type_list", (0, 1), layer_count)
    default = [KINDS[number % 2 == 0] for number in range(layer_count)]
    if attend is not None:
        default = [KINDS[number] for number in attend]
    heads = keys.count("num_attention_heads")
    attention = grouped(keys)
    state = LightningAttention(heads, attention.head_size, keys.count("block_size", 256))
    return _mixed(
        _kinds(keys, layer_count, default),
        lambda: state,
        lambda: attention,
        [local_experts(keys, 8)] * layer_count,
    )


# Kimi Linear -----------------------------------------------------------------------------------


def _kimi_linear(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Every fourth layer attends to a latent; experts after the first layers."""
    keys.only("attention_bias", False)
    inner = keys.part("linear_attn_config")
    state = KimiDeltaAttention(
        head_count=(inner or keys).count("num_heads" if inner else "linear_num_heads", 32),
        head_size=(inner or keys).count("head_dim" if inner else "linear_head_dim", 128),
        kernel_size=(inner or keys).count(
            "short_conv_kernel_size" if inner else "linear_conv_kernel_dim", 4
        ),
    )
    default = [KINDS[number > 0 and number % 4 == 0] for number in range(layer_count)]
    if inner:
        attend = inner.layer_numbers("full_attn_layers", layer_count + 1)
        inner.layer_numbers("kda_layers", layer_count + 1)
        inner.only("use_full_rank_gate", False)
        inner.refuse_others("gate_lower_bound")
        if attend is not None:  # counted from 1
            default = [KINDS[number + 1 in attend] for number in range(layer_count)]
    kinds = _kinds(keys, layer_count, default)
    return _mixed(
        kinds,
        lambda: state,
        lambda: _latent(keys),
        _kimi_feed_forwards(keys, layer_count),
    )


def _latent(keys: ConfigKeys) -> LatentAttention:
    return LatentAttention(
        head_count=keys.count("num_attention_heads"),
        query_rank=keys.optional_count("q_lora_rank"),
        latent_size=keys.count("kv_lora_rank", 512),
        plain_size=keys.count("qk_nope_head_dim", 128),
        rotary_size=keys.count("qk_rope_head_dim", 64),
        value_size=keys.count("v_head_dim", 128),
    )


def _kimi_feed_forwards(keys: ConfigKeys, layer_count: int) -> list[FeedForwardShape]:
    said = keys.list_of("mlp_layer_types", ("dense", "sparse"), layer_count)
    first = keys.count("first_k_dense_replace", 1, least=0)
    keys.only("moe_layer_freq", 1)
    kinds = said or ["dense" if n < first else "sparse" for n in range(layer_count)]
    count = keys.count(keys.first_of("num_experts", "num_local_experts"), 256)
    width = keys.count("moe_intermediate_size", 1024)
    chosen = keys.first_of("num_experts_per_token", "num_experts_per_tok")
    shared = keys.first_of("num_shared_experts", "n_shared_experts")
    experts = Experts(
        count,
        chosen_count(keys, chosen, count, 8),
        width,
        shared_size=width * keys.count(shared, 1, least=0),
        router_correction=True,
    )
    plain = dense_feed_forward(keys) if "dense" in kinds else experts
    return [experts if kind == "sparse" else plain for kind in kinds]


_STEPS = (
    "time_step_floor",
    "time_step_limit",
    "time_step_max",
    "time_step_min",
    "time_step_rank",
)
_NEMOTRON = (
    *_STEPS,
    "expand",
    "layer_norm_epsilon",
    "mamba_dt_init_floor",
    "mamba_dt_limit",
    "mamba_dt_max",
    "mamba_dt_min",
    "mamba_expand",
    "mamba_hidden_act",
    "mamba_proj_bias",
    "mamba_ssm_cache_dtype",
    "mlp_hidden_act",
    "moe_shared_expert_overlap",
    "mtp_hybrid_override_pattern",
    "mtp_layers_block_type",
    "n_shared_experts",
    "norm_eps",
    "num_logits_to_keep",
    "rescale_prenorm_residual",
    "residual_in_fp32",
    "use_mamba_kernels",
    # Those of halves that a pattern may not have.
    "chunk_size",
    "conv_kernel",
    "mamba_chunk_size",
    "mamba_conv_bias",
    "mamba_d_conv",
    "mamba_head_dim",
    "mamba_n_groups",
    "mamba_num_heads",
    "moe_intermediate_size",
    "moe_latent_size",
    "moe_shared_expert_intermediate_size",
    "n_groups",
    "n_routed_experts",
    "num_experts_per_tok",
    "ssm_state_size",
    "use_bias",
    "use_conv_bias",
)
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
    *_STEPS,
    *_MAMBA,
    "attention_multiplier",
    "embedding_multiplier",
    "logits_scaling",
    "residual_multiplier",
    "normalization_function",
    "num_experts_per_tok",  # where there are none
)
_BAMBA = (*_STEPS, *_MAMBA, "attn_rotary_emb", "num_logits_to_keep", "z_loss_coefficient")
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
_MINIMAX = (
    "full_attn_alpha_factor",
    "full_attn_beta_factor",
    "linear_attn_alpha_factor",
    "linear_attn_beta_factor",
    "mlp_alpha_factor",
    "mlp_beta_factor",
    "layernorm_full_attention_alpha",
    "layernorm_full_attention_beta",
    "layernorm_linear_attention_alpha",
    "layernorm_linear_attention_beta",
    "layernorm_mlp_alpha",
    "layernorm_mlp_beta",
    "postnorm",
    "shared_moe_mode",
    "mtp_num_hidden_layers",
)
_KIMI = (
    "head_dim",
    # Those of attention, where no layer has it.
    "kv_lora_rank",
    "q_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "mla_use_nope",
    "moe_renormalize",
    "moe_router_activation_func",
    "num_expert_group",
    "qk_head_dim",
    "topk_method",
    "use_grouped_topk",
    "num_key_value_heads",
)

FAMILIES: Mapping[str, Family] = {
    "nemotron_h": Family(
        _nemotron_h,
        shapeless=_NEMOTRON,
        names={"head_dim": "attention_head_dim"},
        defaults={"head_dim": 128},
        layer_count=_nemotron_layers,
    ),
    "granitemoehybrid": Family(_granite_hybrid, shapeless=_GRANITE),
    "bamba": Family(_bamba, shapeless=_BAMBA, defaults={"partial_rotary_factor": 0.5}),
    "falcon_h1": Family(_falcon_h1, shapeless=_FALCON_H1, defaults={"mamba_d_ssm": 1024}),
    "minimax": Family(_minimax, shapeless=_MINIMAX),
    "minimax_text_01": Family(_minimax, shapeless=_MINIMAX),
    "minimax_m1": Family(_minimax, shapeless=_MINIMAX),
    "kimi_linear": Family(
        _kimi_linear,
        shapeless=_KIMI,
        names={"max_position_embeddings": "model_max_length"},
    ),
}
