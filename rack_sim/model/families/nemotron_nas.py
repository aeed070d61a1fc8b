"""Nemotron of a search: a Llama whose layers have shapes of their own, or lack a half."""

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import Family, head_size, interned
from rack_sim.model.layers import DenseFeedForward, GroupedAttention, Layer

_ROUNDED_TO = 256  # the published code rounds inner widths up to multiples of this


def _nemotron_nas(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    keys.only("attention_bias", False)
    keys.only("mlp_bias", False)
    heads = keys.count("num_attention_heads")
    size, hidden = head_size(keys, heads), keys.count("hidden_size")
    blocks = keys.parts("block_configs", layer_count)
    return interned(Layer(_attention(one, heads, size), _inner(one, hidden)) for one in blocks)


def _attention(block: ConfigKeys, heads: int, size: int) -> GroupedAttention | None:
    """So many heads share a key-value head; None for a layer without attention."""
    keys = block.part("attention")
    if keys is None or keys.flag("no_op"):
        return None
    keys.only("replace_with_linear", False)
    for key in ("sparsify", "num_sink_tokens", "window_length"):
        keys.only(key)
    shared = keys.count("n_heads_in_group")
    if heads % shared:
        keys.refuse("n_heads_in_group", f"{heads} heads do not come in groups of {shared}")
    return GroupedAttention(heads, max(heads // shared, 1), size)


def _inner(block: ConfigKeys, hidden: int) -> DenseFeedForward | None:
    """Two thirds of a multiple of the hidden size, rounded up; None for a layer without."""
    keys = block.part("ffn")
    if keys is None or keys.flag("no_op"):
        return None
    keys.only("replace_with_linear", False)
    keys.only("sparsify")
    inner = int(2 * keys.positive("ffn_mult") * hidden / 3)
    return DenseFeedForward(max(-(-inner // _ROUNDED_TO), 1) * _ROUNDED_TO)


FAMILIES = {
    "nemotron-nas": Family(
        _nemotron_nas, shapeless=("intermediate_size", "num_key_value_heads", "_name_or_path")
    )
}
