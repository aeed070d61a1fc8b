"""MiniMax: experts in every layer; in the third an indexer that chooses blocks of tokens."""

from collections.abc import Sequence
from dataclasses import replace

from rack_sim.model.config_keys import ConfigKeys
from rack_sim.model.families.family import (
    Family,
    dense_feed_forward,
    grouped,
    interned,
    local_experts,
    no_latent,
)
from rack_sim.model.indexer import Indexer
from rack_sim.model.layers import FeedForwardShape, GroupedAttention, Layer
from rack_sim.model.reach import Reach

_FULL, _SPARSE = "full_attention", "minimax_m3_sparse"


def _minimax_m2(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Queries and keys are normalised a row at a time."""
    no_latent(keys)
    keys.list_of("attn_type_list", (1,), layer_count)
    keys.only("qk_norm_type", "per_layer")
    keys.only("shared_intermediate_size", 0)
    norms = keys.flag("use_qk_norm", default=True)
    attention = grouped(keys, query_key_norms="row" if norms else "none")
    correction = keys.flag("use_routing_bias", default=True)
    layer = Layer(attention, replace(local_experts(keys), router_correction=correction))
    return [layer] * layer_count


def _minimax_m3(keys: ConfigKeys, layer_count: int) -> list[Layer]:
    """Heads are normalised one by one; a shared expert, and dense layers first."""
    no_latent(keys)
    keys.only("qk_norm_type", "per_head")
    keys.only("use_qk_norm", True)
    full = grouped(keys, query_key_norms="head")
    sparse_keys = keys.part("sparse_attention_config") or keys.inside({}, "sparse_attention_config")
    kinds = _kinds(keys, sparse_keys, layer_count)
    by_kind = {_FULL: full, _SPARSE: full}
    if _SPARSE in kinds:
        by_kind[_SPARSE] = _with_indexer(keys, sparse_keys, full)
    return interned(
        Layer(by_kind[kind], one)
        for kind, one in zip(kinds, _feed_forwards(keys, layer_count), strict=True)
    )


def _kinds(keys: ConfigKeys, sparse: ConfigKeys, layer_count: int) -> Sequence[str]:
    """Which layers have an indexer."""
    said = keys.list_of("layer_types", (_FULL, _SPARSE), layer_count)
    flags = sparse.list_of("sparse_attention_freq", (0, 1), layer_count)
    without_values = sparse.list_of("sparse_disable_index_value", (0, 1), layer_count)
    sparse.only("use_sparse_attention", True)
    sparse.only("sparse_score_type", "max")
    kinds = [_SPARSE if flag else _FULL for flag in flags] if flags else [_FULL] * layer_count
    kinds = list(said or kinds)
    if without_values and any(
        kind == _SPARSE and not flag for kind, flag in zip(kinds, without_values, strict=True)
    ):
        sparse.refuse("sparse_disable_index_value", "an indexer with values is not modelled")
    return kinds


def _with_indexer(keys: ConfigKeys, sparse: ConfigKeys, full: GroupedAttention) -> GroupedAttention:
    """An index head for each key-value head, which chooses blocks of tokens for its queries."""
    heads = sparse.count("sparse_num_index_heads", keys.count("index_n_heads", 4))
    size = sparse.count("sparse_index_dim", keys.count("index_head_dim", 128))
    block_tokens = sparse.count("sparse_block_size", keys.count("index_block_size", 128))
    chosen = sparse.count("sparse_topk_blocks", keys.count("index_topk_blocks", 16))
    if keys.are_counts("num_key_value_heads") and heads != full.kv_head_count:
        said = f"{heads} index heads for {full.kv_head_count} key-value heads are not modelled"
        keys.refuse("index_n_heads", said)
    indexer = Indexer(
        heads,
        size,
        min(full.rotary_size or size, size),
        chosen,
        weighted=False,
        tokens_per_choice=block_tokens,
        norm_parameters=2 * size,
    )
    reach = Reach(chosen_max=chosen * block_tokens, head_count=full.kv_head_count)
    return replace(full, indexer=indexer, reach=reach)


def _feed_forwards(keys: ConfigKeys, layer_count: int) -> list[FeedForwardShape]:
    said = keys.list_of("mlp_layer_types", ("dense", "sparse"), layer_count)
    flags = keys.list_of("moe_layer_freq", (0, 1), layer_count)
    sparse = [flag == 1 for flag in flags] if flags else [True] * layer_count
    if said is not None:
        sparse = [kind == "sparse" for kind in said]
    keys.only("n_shared_experts", 1)
    keys.only("use_routing_bias", True)
    experts = replace(
        local_experts(keys),
        shared_size=keys.count("shared_intermediate_size", 3072),
        router_correction=True,
    )
    plain = experts if all(sparse) else dense_feed_forward(keys, "dense_intermediate_size")
    return [experts if is_sparse else plain for is_sparse in sparse]


_SHAPELESS = ("mtp_transformer_layers", "num_mtp_modules")
# The activation and its bounds; blocks that are always chosen are among the chosen ones.
_M3 = (
    *_SHAPELESS,
    "dense_intermediate_size",
    "index_block_size",
    "index_head_dim",
    "index_local_blocks",
    "index_n_heads",
    "index_topk_blocks",
    "swiglu_alpha",
    "swiglu_limit",
    "use_gemma_norm",
)

FAMILIES = {
    "minimax_m2": Family(_minimax_m2, shapeless=_SHAPELESS, defaults={"head_dim": 128}),
    "minimax_m3_vl": Family(
        _minimax_m3,
        shapeless=_M3,
        defaults={"head_dim": 128, "rotary_dim": 64, "dense_intermediate_size": 12288},
    ),
}
FAMILIES["minimax_m3_vl_text"] = FAMILIES["minimax_m3_vl"]
