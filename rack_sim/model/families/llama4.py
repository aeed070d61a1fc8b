"""Llama 4: experts and a shared one every few layers, chunks of attention but in every fourth."""

from dataclasses import replace

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import (
    Family,
    chosen_count,
    dense_feed_forward,
    grouped,
    interned,
    no_latent,
)
from rack_sim.model.layers import Experts, Layer


def _llama4(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    keys.only("attention_bias", False)
    no_latent(keys)
    count = keys.count("num_local_experts")
    width = keys.count("intermediate_size")
    experts = Experts(
        count, chosen_count(keys, "num_experts_per_tok", count), width, shared_size=width
    )
    step = keys.count("interleave_moe_layer_step", 1)
    numbers = keys.layer_numbers("moe_layers", layer_count)
    sparse = range(step - 1, layer_count, step) if numbers is None else numbers
    dense = (
        experts if len(sparse) == layer_count else dense_feed_forward(keys, "intermediate_size_mlp")
    )
    chunk = keys.optional_count("attention_chunk_size")
    every = keys.count("no_rope_layer_interval", 4)
    rotary = keys.list_of("no_rope_layers", (0, 1), layer_count)
    if rotary is None:
        rotary = [int((number + 1) % every != 0) for number in range(layer_count)]
    kinds = keys.list_of("layer_types", ("chunked_attention", "full_attention"), layer_count)
    if kinds is None:
        kinds = ["chunked_attention" if turned else "full_attention" for turned in rotary]
    by_kind = {
        "chunked_attention": replace(grouped(keys, window_tokens=chunk), chunked=chunk is not None),
        "full_attention": grouped(keys),
    }
    return interned(
        Layer(by_kind[kind], experts if number in sparse else dense)
        for number, kind in enumerate(kinds)
    )


_SHAPELESS = (
    "intermediate_size_mlp",
    "attn_scale",
    "attn_temperature_tuning",
    "floor_scale",
    "use_qk_norm",  # these norms have no weights
)

FAMILIES = {"llama4": Family(_llama4, shapeless=_SHAPELESS, defaults={"head_dim": 128})}
FAMILIES["llama4_text"] = FAMILIES["llama4"]
