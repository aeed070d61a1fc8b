"""Nemotron-H and Nemotron 3: layers of one half: Mamba-2, attention, feed-forward or experts."""

from collections.abc import Mapping
from dataclasses import replace

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import Family, chosen_count, grouped, no_latent
from rack_sim.model.families.hybrid import NEW_KINDS, TIME_STEPS, groups_of
from rack_sim.model.layers import DenseFeedForward, Experts, Layer, MixerShape
from rack_sim.model.state_layers import Mamba2

_LETTERS = {"M": "linear_attention", "*": "full_attention", "-": "mlp", "E": "moe"}
_PARTS = (*_LETTERS.values(), *NEW_KINDS)


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
    return keys.count("num_hidden_layers", _named_layers(keys))


def _named_layers(keys: ConfigKeys) -> int | None:
    names = ("layers_block_type", "layer_types", "hybrid_override_pattern")
    return next((found for found in map(keys.length, names) if found), None)


def _parts(keys: ConfigKeys, layer_count: int) -> list[str]:
    by_letter = list(keys.letters("hybrid_override_pattern", _LETTERS, layer_count) or ())
    said = keys.list_of(keys.first_of("layers_block_type", "layer_types"), _PARTS, layer_count)
    by_word = [NEW_KINDS.get(kind, kind) for kind in said or ()]
    if _named_layers(keys) is None:
        keys.missing("hybrid_override_pattern")
    if by_letter and by_word and by_letter != by_word:
        keys.refuse("hybrid_override_pattern", "names other layers than the list beside it")
    return by_word or by_letter or ["mlp"] * layer_count


def _nemotron_attention(keys: ConfigKeys) -> MixerShape:
    keys.only("attention_bias", False)
    return replace(grouped(keys), rotary_size=0)


def _nemotron_mamba(keys: ConfigKeys) -> Mamba2:
    bias = keys.flag("use_bias")
    heads = keys.count("mamba_num_heads", 128)
    return Mamba2(
        head_count=heads,
        head_size=keys.count("mamba_head_dim", 64),
        group_count=groups_of(keys, keys.first_of("n_groups", "mamba_n_groups"), heads, 8),
        state_size=keys.count("ssm_state_size", 128),
        kernel_size=keys.count(keys.first_of("conv_kernel", "mamba_d_conv"), 4),
        chunk_tokens=keys.count(keys.first_of("chunk_size", "mamba_chunk_size"), 128),
        convolution_bias=keys.flag(keys.first_of("use_conv_bias", "mamba_conv_bias"), default=True),
        input_bias=bias,
        output_bias=bias,
    )


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


_NEMOTRON = (
    *TIME_STEPS,
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

FAMILIES: Mapping[str, Family] = {
    "nemotron_h": Family(
        _nemotron_h,
        shapeless=_NEMOTRON,
        names={"head_dim": "attention_head_dim"},
        defaults={"head_dim": 128},
        layer_count=_nemotron_layers,
    ),
}
