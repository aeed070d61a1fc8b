"""Gemma: gated by GELU; from the second on norms on both sides of a block, and windows."""

from collections.abc import Sequence
from dataclasses import replace

from rack_sim.model.alternating import Alternating
from rack_sim.model.architecture import Ends
from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import (
    Family,
    attention_kinds,
    by_kind,
    chosen_count,
    dense_feed_forward,
    feed_forward_of,
    grouped,
    interned,
    no_latent,
)
from rack_sim.model.layers import (
    DenseFeedForward,
    Experts,
    GroupedAttention,
    Layer,
    Norms,
    QueryKeyNorms,
)
from rack_sim.model.per_layer_inputs import PerLayerInputs

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


def _gemma4(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Five of six layers slide; full ones have wider heads, and may take values from their keys.

    The last layers may read the cache of the last one of their kind before them.
    """
    no_latent(keys)
    plain = _gemma4_experts(keys) if keys.flag("enable_moe_block") else dense_feed_forward(keys)
    kinds = [*attention_kinds(keys, layer_count, every=6)]
    kinds[-1:] = ["full_attention"]
    window = keys.count("sliding_window", 512)
    input_size = keys.count("hidden_size_per_layer_input", 256, least=0)
    sharing = _sharing_count(keys, kinds)
    wide = keys.flag("use_double_wide_mlp")
    layers = []
    for number, kind in enumerate(kinds):
        shares = number >= layer_count - sharing
        attention = _gemma4_attention(keys, window if kind == "sliding_attention" else None)
        attention = replace(attention, shares_cache=shares)
        feed_forward = _twice_as_wide(plain) if wide and shares else plain
        layers.append(Layer(attention, feed_forward, _BOTH, input_size=input_size))
    return interned(layers)


def _twice_as_wide(shape: DenseFeedForward | Experts) -> DenseFeedForward | Experts:
    """The dense feed-forward, alone or beside experts."""
    if isinstance(shape, Experts):
        return replace(shape, shared_size=2 * shape.shared_size)
    return replace(shape, inner_size=2 * shape.inner_size)


def _sharing_count(keys: ConfigKeys, kinds: Sequence[str]) -> int:
    """How many of the last layers read the cache of others: each needs one of its kind before."""
    count = keys.count("num_kv_shared_layers", 0, least=0)
    own = kinds[: len(kinds) - count] if count <= len(kinds) else []
    lacking = sorted(set(kinds[len(own) :]) - set(own))
    if count and lacking:
        said = f"{count} layers share a cache, and none before them is {' or '.join(lacking)}"
        keys.refuse("num_kv_shared_layers", said)
    return count


def _gemma4_ends(keys: ConfigKeys) -> Ends:
    size = keys.count("hidden_size_per_layer_input", 256, least=0)
    table = keys.count("vocab_size_per_layer_input", 262144)
    if not size:
        return Ends()
    return Ends(layer_inputs=PerLayerInputs(table, size, keys.count("num_hidden_layers")))


def _gemma3n(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Four of five layers slide; they share caches, take inputs and update one of four streams."""
    no_latent(keys)
    widths = keys.counts("intermediate_size", layer_count)
    kinds = attention_kinds(keys, layer_count, every=5)
    window = keys.count("sliding_window", 512)
    input_size = keys.count("hidden_size_per_layer_input", 256)
    sharing, bias = _sharing_count(keys, kinds), keys.flag("attention_bias")
    streams = _alternating(keys)
    layers = []
    for number, kind in enumerate(kinds):
        attention = grouped(
            keys,
            window_tokens=window if kind == "sliding_attention" else None,
            qkv_bias=bias,
            output_bias=bias,
            query_key_norms="head",
        )
        attention = replace(attention, shares_cache=number >= layer_count - sharing)
        width = DenseFeedForward(widths[number])
        layer = Layer(attention, width, _BOTH, input_size=input_size, alternating=streams)
        layers.append(layer)
    return interned(layers)


def _alternating(keys: ConfigKeys) -> Alternating:
    return Alternating(keys.count("altup_num_inputs", 4, least=2), keys.count("laurel_rank", 64))


def _gemma3n_ends(keys: ConfigKeys) -> Ends:
    return replace(_gemma4_ends(keys), alternating=_alternating(keys))


def _gemma4_attention(keys: ConfigKeys, window_tokens: int | None) -> GroupedAttention:
    is_full, bias = window_tokens is None, keys.flag("attention_bias")
    shared = keys.flag("attention_k_eq_v")
    heads = keys.count("num_attention_heads")
    kv_heads, size = keys.count("num_key_value_heads"), keys.count("head_dim")
    asked = "num_key_value_heads"
    global_heads, global_size = (
        keys.count("num_global_key_value_heads", kv_heads),
        keys.count("global_head_dim", 512),
    )
    if is_full:
        size = global_size
        if shared:
            kv_heads, asked = global_heads, "num_global_key_value_heads"
    if heads % kv_heads:
        said = f"{heads} attention heads cannot share {kv_heads} key-value heads evenly"
        keys.refuse(asked, said)
    return GroupedAttention(
        heads,
        kv_heads,
        size,
        window_tokens,
        qkv_bias=bias,
        output_bias=bias,
        query_key_norms="head",
        rotary_size=size // 4 if is_full else None,
        values_from_keys=shared and is_full,
    )


def _gemma4_experts(keys: ConfigKeys) -> Experts:
    """Experts beside a dense feed-forward, which every row meets as it does a shared expert."""
    count = keys.count("num_experts")
    return Experts(
        count,
        chosen_count(keys, "top_k_experts", count),
        keys.count("moe_intermediate_size"),
        shared_size=keys.count("intermediate_size"),
        own_norms=True,
    )


_HEAD = {"head_dim": 256}
_SCALES = ("query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping")
# What `transformers` writes beside the keys that it is made of.
_DERIVED = ("_sliding_window_pattern", "per_layer_config")
_GEMMA3 = (*_SCALES, *_DERIVED, "rope_local_base_freq", "mm_tokens_per_image")
_GEMMA3N = (
    *_SCALES,
    "activation_sparsity_pattern",
    "altup_active_idx",
    "altup_coef_clip",
    "altup_correct_scale",
    "rope_local_base_freq",
)
# Of experts, where there are none.
_NOT_READ = ("num_experts", "top_k_experts", "moe_intermediate_size")

FAMILIES = {
    "gemma": Family(_gemma, tied=True, defaults=_HEAD),
    "gemma2": Family(
        _gemma2, tied=True, shapeless=_SCALES, defaults={**_HEAD, "num_key_value_heads": 4}
    ),
    "gemma3": Family(
        _gemma3,
        tied=True,
        shapeless=_GEMMA3,
        defaults={**_HEAD, "num_key_value_heads": 4},
        scaled_positions=True,
    ),
}
FAMILIES["gemma4"] = FAMILIES["gemma4_text"] = Family(
    _gemma4,
    tied=True,
    ends=_gemma4_ends,
    shapeless=(*_GEMMA3, *_NOT_READ),
    defaults=_HEAD,
)
FAMILIES["gemma3_text"] = FAMILIES["gemma3"]
FAMILIES["gemma3n"] = FAMILIES["gemma3n_text"] = Family(
    _gemma3n,
    tied=True,
    ends=_gemma3n_ends,
    shapeless=_GEMMA3N,
    defaults={**_HEAD, "num_key_value_heads": 2, "num_kv_shared_layers": 15},
)
