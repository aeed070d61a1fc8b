"""OLMo hybrid: the gated delta rule with norms before, every fourth layer OLMo's attention."""

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import Family, feed_forward_of, grouped, interned, no_latent
from rack_sim.model.families.hybrid import KINDS, kinds_of
from rack_sim.model.layers import Layer, Norms
from rack_sim.model.state_layers import GatedDeltaNet

_AFTER = Norms(before=False, after=True)


def _olmo_hybrid(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Queries and keys are normalised a row at a time."""
    no_latent(keys)
    bias = keys.flag("attention_bias")
    attention = grouped(keys, query_key_norms="row", qkv_bias=bias, output_bias=bias)
    default = [KINDS[number % 4 == 3] for number in range(layer_count)]
    if KINDS[1] not in default:
        default[-1] = KINDS[1]
    feed_forward = feed_forward_of(keys)
    layers = {
        "linear_attention": Layer(_delta_net(keys), feed_forward),
        "full_attention": Layer(attention, feed_forward, _AFTER),
    }
    return interned(layers[kind] for kind in kinds_of(keys, layer_count, default))


def _delta_net(keys: ConfigKeys) -> GatedDeltaNet:
    """As many heads as attention has, keys three quarters as wide together, values twice that."""
    heads = keys.count("num_attention_heads")
    key_heads = keys.count("linear_num_key_heads", heads)
    value_heads = keys.count("linear_num_value_heads", heads)
    if value_heads % key_heads:
        keys.refuse(
            "linear_num_key_heads",
            f"{value_heads} value heads cannot share {key_heads} key heads evenly",
        )
    shared_out = 3 * keys.count("hidden_size") // (4 * key_heads) or 1
    size = keys.count("linear_key_head_dim", shared_out)
    return GatedDeltaNet(
        key_heads,
        value_heads,
        size,
        keys.count("linear_value_head_dim", 2 * size),
        keys.count("linear_conv_kernel_dim", 4),
    )


_SHAPELESS = (
    "linear_a_log_max",
    "linear_a_log_min",
    "linear_allow_neg_eigval",
    "linear_dt_init_floor",
    "linear_dt_max",
    "linear_dt_min",
)

FAMILIES = {
    "olmo_hybrid": Family(
        _olmo_hybrid, shapeless=_SHAPELESS, defaults={"max_position_embeddings": 65536}
    )
}
