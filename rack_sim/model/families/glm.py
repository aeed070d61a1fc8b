"""GLM: norms on both sides, or experts as DeepSeek has them behind grouped-query attention."""

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.deepseek import routed_experts
from rack_sim.model.families.family import (
    Family,
    dense_feed_forward,
    feed_forward_of,
    grouped,
    sparse_after,
)
from rack_sim.model.layers import Layer, Norms


def _glm4(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    attention = grouped(keys, qkv_bias=keys.flag("attention_bias", default=True))
    return [Layer(attention, feed_forward_of(keys), Norms(before=True, after=True))] * layer_count


def _glm4_moe(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    attention = grouped(
        keys,
        qkv_bias=keys.flag("attention_bias"),
        query_key_norms="head" if keys.flag("use_qk_norm") else "none",
    )
    return sparse_after(
        layer_count,
        keys.count("first_k_dense_replace", 1, least=0),
        1,
        Layer(attention, routed_experts(keys)),
        lambda: Layer(attention, dense_feed_forward(keys)),
    )


FAMILIES = {
    "glm4": Family(_glm4, defaults={"head_dim": 128, "partial_rotary_factor": 0.5}),
    "glm4_moe": Family(_glm4_moe, defaults={"partial_rotary_factor": 0.5}, module_as_last=True),
}
