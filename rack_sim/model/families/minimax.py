"""MiniMax: experts in every layer, queries and keys normalised a row at a time."""

from dataclasses import replace

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import Family, grouped, local_experts, no_latent
from rack_sim.model.layers import Layer


def _minimax_m2(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    no_latent(keys)
    keys.list_of("attn_type_list", (1,), layer_count)
    keys.only("qk_norm_type", "per_layer")
    keys.only("shared_intermediate_size", 0)
    norms = keys.flag("use_qk_norm", default=True)
    attention = grouped(keys, query_key_norms="row" if norms else "none")
    correction = keys.flag("use_routing_bias", default=True)
    layer = Layer(attention, replace(local_experts(keys), router_correction=correction))
    return [layer] * layer_count


_SHAPELESS = ("mtp_transformer_layers",)

FAMILIES = {
    "minimax_m2": Family(_minimax_m2, shapeless=_SHAPELESS, defaults={"head_dim": 128}),
}
