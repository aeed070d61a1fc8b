"""Lightning attention: MiniMax-Text-01 and MiniMax-M1."""

from collections.abc import Mapping

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import Family, grouped, local_experts, no_latent
from rack_sim.model.families.hybrid import KINDS, kinds_of, mixed
from rack_sim.model.layers import Layer
from rack_sim.model.state_layers import LightningAttention


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
    return mixed(
        kinds_of(keys, layer_count, default),
        lambda: state,
        lambda: attention,
        [local_experts(keys, 8)] * layer_count,
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

FAMILIES: Mapping[str, Family] = {
    "minimax": Family(_minimax, shapeless=_MINIMAX),
    "minimax_text_01": Family(_minimax, shapeless=_MINIMAX),
    "minimax_m1": Family(_minimax, shapeless=_MINIMAX),
}
