"""Kimi Linear: Kimi delta attention, latent attention in every fourth layer, experts."""

from collections.abc import Mapping

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import Family, chosen_count, dense_feed_forward
from rack_sim.model.families.hybrid import KINDS, kinds_of, mixed
from rack_sim.model.layers import Experts, FeedForwardShape, LatentAttention, Layer
from rack_sim.model.state_layers import KimiDeltaAttention


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
    kinds = kinds_of(keys, layer_count, default)
    return mixed(
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
    "kimi_linear": Family(
        _kimi_linear, shapeless=_KIMI, names={"max_position_embeddings": "model_max_length"}
    ),
}
