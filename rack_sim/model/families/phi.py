"""Phi: experts in every layer and norms with biases; before that, halves of a layer in parallel."""

from rack_sim.model.architecture import Ends
from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import Family, grouped, local_experts, no_experts, no_latent
from rack_sim.model.layers import DenseFeedForward, Layer, Norms

_BIASED = Norms(biases=True)


def _phimoe(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    no_latent(keys)
    bias = keys.flag("attention_bias")
    window = keys.optional_count("sliding_window")
    attention = grouped(keys, window_tokens=window, qkv_bias=bias, output_bias=bias)
    return [Layer(attention, local_experts(keys, 16), _BIASED)] * layer_count


def _phi(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Attention and feed-forward read one norm."""
    no_experts(keys)
    keys.only("qk_layernorm", False)
    attention = grouped(keys, qkv_bias=True, output_bias=True)
    feed_forward = DenseFeedForward(keys.count("intermediate_size"), gated=False, biases=True)
    layer = Layer(attention, feed_forward, _BIASED, parallel=True, shares_norm=True)
    return [layer] * layer_count


FAMILIES = {
    "phi": Family(
        _phi,
        ends=lambda _keys: Ends(norm_biases=True, head_bias=True),
        defaults={"partial_rotary_factor": 0.5},
    ),
    "phimoe": Family(
        _phimoe,
        ends=lambda keys: Ends(norm_biases=True, head_bias=keys.flag("lm_head_bias")),
        shapeless=("input_jitter_noise",),
    ),
}
