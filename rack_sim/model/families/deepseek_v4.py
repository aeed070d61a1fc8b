"""DeepSeek-V4: attention to near tokens and compressed ones, and several residual streams."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rack_sim.model.architecture import Ends
from rack_sim.model.compressed_attention import CompressedAttention
from rack_sim.model.compressor import Compressor
from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.deepseek import routed_experts
from rack_sim.model.families.family import Family, interned
from rack_sim.model.indexer import Indexer
from rack_sim.model.layers import Experts, Layer
from rack_sim.model.streams import Streams

_NEAR, _CHOSEN, _ALL = (
    "sliding_attention",
    "compressed_sparse_attention",
    "heavily_compressed_attention",
)
_KINDS = (_NEAR, _CHOSEN, _ALL)
# What older files say instead: tokens of a compressed entry, by layer; 0 for none.
_KIND_OF_RATIO = {0: _NEAR, 4: _CHOSEN, 128: _ALL}
_RATES = {_CHOSEN: 4, _ALL: 128}


def _deepseek_v4(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    keys.only("attention_bias", False)
    keys.only("num_key_value_heads", 1)
    rates = _rates(keys)
    near = _attention(keys)
    chosen = Compressor(rates[_CHOSEN], near.head_size, overlapping=True)
    by_kind = {
        _NEAR: near,
        _CHOSEN: replace(near, compressor=chosen, indexer=_indexer(keys, near, rates[_CHOSEN])),
        _ALL: replace(near, compressor=Compressor(rates[_ALL], near.head_size)),
    }
    streams = _streams(keys)
    return interned(
        Layer(by_kind[kind], experts, streams=streams)
        for kind, experts in zip(
            _kinds(keys, layer_count), _feed_forwards(keys, layer_count), strict=True
        )
    )


def _attention(keys: ConfigKeys) -> CompressedAttention:
    """The part that every layer has: the nearest tokens."""
    heads, size, groups = (
        keys.count("num_attention_heads"),
        keys.count("head_dim", 512),
        keys.count("o_groups", 8),
    )
    if keys.are_counts("num_attention_heads") and heads * size % groups:
        keys.refuse("o_groups", f"{heads} heads of {size} cannot be shared out to {groups} groups")
    share, rotary = keys.share("partial_rotary_factor"), keys.count("qk_rope_head_dim", 64)
    if share is not None:
        rotary = int(size * share)
    return CompressedAttention(
        heads,
        size,
        keys.count("q_lora_rank"),
        rotary,
        groups,
        keys.count("o_lora_rank", 1024),
        keys.count("sliding_window", 128),
    )


def _indexer(keys: ConfigKeys, near: CompressedAttention, rate: int) -> Indexer:
    size = keys.count("index_head_dim", 128)
    return Indexer(
        head_count=keys.count("index_n_heads", 64),
        key_size=size,
        rotary_size=min(near.rotary_size, size),
        chosen_max=keys.count("index_topk", 512),
        query_rank=near.query_rank,
        compressor=Compressor(rate, size, overlapping=True),
    )


def _rates(keys: ConfigKeys) -> Mapping[str, int]:
    """Tokens of a compressed entry."""
    found = dict(_RATES)
    given = keys.part("compress_rates")
    for kind, key in ((_CHOSEN, "compress_rate_csa"), (_ALL, "compress_rate_hca")):
        if given is not None:
            found[kind] = given.count(kind, found[kind])
        found[kind] = keys.count(key, found[kind])
    return found


def _kinds(keys: ConfigKeys, layer_count: int) -> Sequence[str]:
    """What attention each layer has: a list, or ratios; else all compressed, every other chosen."""
    said = keys.list_of("layer_types", _KINDS, layer_count)
    if said is not None:
        return said
    ratios = keys.first_items("compress_ratios", tuple(_KIND_OF_RATIO), layer_count)
    if ratios is not None:
        return [_KIND_OF_RATIO[ratio] for ratio in ratios]
    return [_CHOSEN if at >= 2 and at % 2 else _ALL for at in range(layer_count)]


def _feed_forwards(keys: ConfigKeys, layer_count: int) -> list[Experts]:
    """Experts everywhere; in the first layers a table says which, for each token of the vocabulary.

    That table is no parameter: numbers of experts, which are looked up.
    """
    said = keys.list_of("mlp_layer_types", ("hash_moe", "moe"), layer_count)
    hashed_count = keys.count("num_hash_layers", 3, least=0)
    hashed = [at < hashed_count for at in range(layer_count)]
    if said is not None:
        hashed = [kind == "hash_moe" for kind in said]
    keys.only("n_shared_experts", 1)
    experts = routed_experts(keys, shared_default=1)
    by_table = replace(experts, router_correction=False)
    return [by_table if is_hashed else experts for is_hashed in hashed]


def _streams(keys: ConfigKeys) -> Streams:
    return Streams(keys.count("hc_mult", 4), keys.count("hc_sinkhorn_iters", 20))


_SHAPELESS = ("compress_rope_theta", "expert_dtype", "hc_eps", "swiglu_limit", "intermediate_size")

FAMILIES = {
    "deepseek_v4": Family(
        _deepseek_v4, shapeless=_SHAPELESS, ends=lambda keys: Ends(streams=_streams(keys))
    )
}
