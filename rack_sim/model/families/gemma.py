"""Gemma: gated by GELU; from the second on norms on both sides of a block, and windows."""

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import (
    Family,
    attention_kinds,
    by_kind,
    feed_forward_of,
    grouped,
    no_latent,
)
from rack_sim.model.layers import Layer, Norms, QueryKeyNorms

_BOTH = Norms(before=True, after=True)


def _gemma(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """As a Llama; its norms have 1 + weight."""
    keys.only("attention_bias", False)
    no_latent(keys)
    keys.only("sliding_window")
    return [Layer(grouped(keys), feed_forward_of(keys))] * layer_count


def _gemma2(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Every other layer slides."""
    return _sliding(keys, layer_count, every=2, query_key_norms="none")


def _gemma3(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Five of six layers slide; queries and keys are normalised head by head."""
    every = keys.count("sliding_window_pattern", 6)
    return _sliding(keys, layer_count, every=every, query_key_norms="head")


def _sliding(
    keys: ConfigKeys, layer_count: int, *, every: int, query_key_norms: QueryKeyNorms
) -> list[Layer]:
    bias = keys.flag("attention_bias")
    no_latent(keys)
    feed_forward = feed_forward_of(keys)
    return by_kind(
        attention_kinds(keys, layer_count, every=every),
        lambda tokens: Layer(
            grouped(
                keys,
                window_tokens=tokens,
                qkv_bias=bias,
                output_bias=bias,
                query_key_norms=query_key_norms,
            ),
            feed_forward,
            _BOTH,
        ),
        window=keys.count(keys.first_of("sliding_window", "sliding_window_size"), 4096),
    )


_HEAD = {"head_dim": 256}
_SCALES = ("query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping")
_GEMMA3 = (*_SCALES, "rope_local_base_freq", "mm_tokens_per_image")

FAMILIES = {
    "gemma": Family(_gemma, tied=True, defaults=_HEAD),
    "gemma2": Family(
        _gemma2, tied=True, shapeless=_SCALES, defaults={**_HEAD, "num_key_value_heads": 4}
    ),
    "gemma3": Family(
        _gemma3, tied=True, shapeless=_GEMMA3, defaults={**_HEAD, "num_key_value_heads": 4}
    ),
}
FAMILIES["gemma3_text"] = FAMILIES["gemma3"]
