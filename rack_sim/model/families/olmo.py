"""OLMo and EXAONE: norms after each block instead of before, of queries and keys, and windows."""

from collections.abc import Callable, Mapping

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import (
    Family,
    attention_kinds,
    by_kind,
    feed_forward_of,
    grouped,
    local_experts,
    no_latent,
)
from rack_sim.model.layers import FeedForwardShape, Layer, Norms, QueryKeyNorms

_AFTER = Norms(before=False, after=True)


def _after(
    keys: ConfigKeys, query_key_norms: QueryKeyNorms, feed_forward: FeedForwardShape
) -> Callable[[int | None], Layer]:
    no_latent(keys)
    bias = keys.flag("attention_bias")

    def layer(window_tokens: int | None) -> Layer:
        attention = grouped(
            keys,
            window_tokens=window_tokens,
            qkv_bias=bias,
            output_bias=bias,
            query_key_norms=query_key_norms,
        )
        return Layer(attention, feed_forward, _AFTER)

    return layer


def _olmo2(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Queries and keys are normalised a row at a time."""
    return [_after(keys, "row", feed_forward_of(keys))(None)] * layer_count


def _olmo3(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Every fourth layer is full, the others slide."""
    kinds = attention_kinds(keys, layer_count, every=4)
    window = keys.count("sliding_window", 4096)
    return by_kind(kinds, _after(keys, "row", feed_forward_of(keys)), window=window)


def _olmoe(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Experts in every layer, norms before each block."""
    keys.only("attention_bias", False)
    attention = grouped(keys, query_key_norms="row")
    return [Layer(attention, local_experts(keys))] * layer_count


def _exaone4(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Heads are normalised one by one; where there is a window, every fourth layer is full."""
    window = keys.optional_count("sliding_window")
    every = keys.pattern_length("sliding_window_pattern", 4) if window else None
    kinds = attention_kinds(keys, layer_count, every=every)
    return by_kind(kinds, _after(keys, "head", feed_forward_of(keys)), window=window)


FAMILIES: Mapping[str, Family] = {
    "olmo2": Family(_olmo2),
    "olmo3": Family(_olmo3),
    "olmoe": Family(_olmoe, shapeless=("clip_qkv",)),
    "exaone4": Family(_exaone4),
}
