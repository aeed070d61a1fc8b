"""DeepSeek, and Kimi as it: latent attention; experts and shared ones after the first layers."""

from dataclasses import replace

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import Family, chosen_count, dense_feed_forward, sparse_after
from rack_sim.model.layers import Experts, LatentAttention, Layer


def _deepseek_v3(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    attention = latent_attention(keys, keys.optional_count("q_lora_rank"))
    return sparse_after(
        layer_count,
        keys.count("first_k_dense_replace", 0, least=0),
        keys.count("moe_layer_freq", 1),
        Layer(attention, routed_experts(keys)),
        lambda: Layer(attention, dense_feed_forward(keys)),
    )


def latent_attention(keys: ConfigKeys, query_rank: int | None) -> LatentAttention:
    """Latent attention of the keys that DeepSeek began with."""
    keys.only("attention_bias", False)
    keys.only("sliding_window")
    attention = LatentAttention(
        head_count=keys.count("num_attention_heads"),
        query_rank=query_rank,
        latent_size=keys.count("kv_lora_rank"),
        plain_size=keys.count("qk_nope_head_dim"),
        rotary_size=keys.count("qk_rope_head_dim"),
        value_size=keys.count("v_head_dim"),
    )
    keys.only("qk_head_dim", attention.plain_size + attention.rotary_size)
    return attention


def routed_experts(keys: ConfigKeys, *, shared_default: int = 0) -> Experts:
    """Experts of the keys that DeepSeek began with, shared ones beside them."""
    count, width = keys.count("n_routed_experts"), keys.count("moe_intermediate_size")
    return Experts(
        count,
        chosen_count(keys, "num_experts_per_tok", count),
        width,
        shared_size=width * keys.count("n_shared_experts", shared_default, least=0),
        router_correction=keys.word("topk_method", "noaux_tc") == "noaux_tc",
    )


def _mistral4(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """The same with a router without offsets, and one shared expert unless the file says more."""
    attention = latent_attention(keys, keys.optional_count("q_lora_rank"))
    experts = replace(routed_experts(keys, shared_default=1), router_correction=False)
    return sparse_after(
        layer_count,
        keys.count("first_k_dense_replace", 0, least=0),
        1,
        Layer(attention, experts),
        lambda: Layer(attention, dense_feed_forward(keys)),
    )


FAMILIES = {
    "deepseek_v3": Family(_deepseek_v3, module_as_last=True),
    "mistral4": Family(_mistral4),
}
FAMILIES["kimi_k2"] = FAMILIES["deepseek_v3"]
