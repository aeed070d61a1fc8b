"""Sparse attention: DeepSeek-V3.2 and GLM-5, whose rows attend to what an indexer has chosen."""

from collections.abc import Sequence
from dataclasses import replace

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.deepseek import latent_attention, routed_experts
from rack_sim.model.families.family import Family, dense_feed_forward, interned
from rack_sim.model.indexer import Indexer
from rack_sim.model.layers import FeedForwardShape, LatentAttention, Layer
from rack_sim.model.reach import Reach

_KINDS = ("full", "shared")


def _deepseek_v32(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """An indexer in every layer."""
    attention = _with_indexer(keys)
    return interned(Layer(attention, one) for one in _feed_forwards(keys, layer_count))


def _glm_moe_dsa(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """An indexer in some layers; those after it without one attend to what it chose."""
    own = _with_indexer(keys)
    by_kind = {"full": own, "shared": replace(own, indexer=None)}
    kinds = _indexers(keys, layer_count)
    if kinds and kinds[0] == "shared":
        keys.refuse("indexer_types", "the first layer has no layer before it to share with")
    return interned(
        Layer(by_kind[kind], one)
        for kind, one in zip(kinds, _feed_forwards(keys, layer_count), strict=True)
    )


def _with_indexer(keys: ConfigKeys) -> LatentAttention:
    """Latent attention to the best tokens by the scores of an indexer."""
    rank = keys.count("q_lora_rank")
    attention = latent_attention(keys, rank)
    chosen = keys.count("index_topk", 2048)
    size = keys.count("index_head_dim", 128)
    if keys.are_counts("index_head_dim", "qk_rope_head_dim") and size < attention.rotary_size:
        keys.refuse("index_head_dim", f"{size} has no room for qk_rope_head_dim")
    indexer = Indexer(
        head_count=keys.count("index_n_heads"),
        key_size=size,
        rotary_size=attention.rotary_size,
        chosen_max=chosen,
        query_rank=rank,
        norm_parameters=2 * size,
    )
    return replace(attention, indexer=indexer, reach=Reach(chosen_max=chosen))


def _indexers(keys: ConfigKeys, layer_count: int) -> Sequence[str]:
    """Which layers have an indexer: a list, a pattern of letters, or every so many layers."""
    kinds = keys.list_of("indexer_types", _KINDS, layer_count)
    letters = keys.letters("index_topk_pattern", {"F": "full", "S": "shared"}, layer_count)
    step = keys.count("index_topk_freq", 1)
    offset = keys.count("index_skip_topk_offset", 2, least=0)
    by_step = [_KINDS[max(at - offset + 1, 0) % step != 0] for at in range(layer_count)]
    return kinds or letters or by_step


def _feed_forwards(keys: ConfigKeys, layer_count: int) -> list[FeedForwardShape]:
    """Experts in the layers that a list names, else in all but the first ones."""
    said = keys.list_of("mlp_layer_types", ("dense", "sparse"), layer_count)
    first = keys.count("first_k_dense_replace", 3, least=0)
    keys.only("moe_layer_freq", 1)
    keys.list_of("layer_types", ("indexed_attention", "deepseek_sparse_attention"), layer_count)
    sparse = [at >= first for at in range(layer_count)]
    if said is not None:
        sparse = [kind == "sparse" for kind in said]
    experts = routed_experts(keys, shared_default=1)
    plain = experts if all(sparse) else dense_feed_forward(keys)
    return [experts if is_sparse else plain for is_sparse in sparse]


# The size of what is turned by position, which another key says; how halves of a pair lie.
_SHAPELESS = ("head_dim", "indexer_rope_interleave")

FAMILIES = {
    "deepseek_v32": Family(
        _deepseek_v32,
        shapeless=_SHAPELESS,
        defaults={"index_n_heads": 64},
        module_as_last=True,
    ),
    "glm_moe_dsa": Family(
        _glm_moe_dsa,
        shapeless=_SHAPELESS,
        defaults={"index_n_heads": 32},
        module_as_last=True,
    ),
}
