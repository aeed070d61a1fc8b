"""Indexer operators: projections of an indexer, its scores over the whole cache, and the choice.

Queries are split over a group of chips by heads, and gathered, as every chip scores the part of the
cache that it has; the keys of the indexer lie beside the others there. What leads down to one key
lies on every chip.
"""

from rack_sim.model.compressor import Compressor
from rack_sim.model.indexer import Indexer
from rack_sim.model.operators import Operator
from rack_sim.model.reach import Reach
from rack_sim.model.textbook import NORM_FLOP, ROTARY_FLOP, SOFTMAX_FLOP, matmul

WEIGHTED_SUM_FLOP = 3  # of a head's score: cut off below zero, multiply by its weight, add
TOP_K_FLOP = 8
"""Of a score that is chosen from. assumed: a radix selection, as published kernels have it: four
passes of 8 bits, each of which cuts a digit out and counts it."""


def indexer_operators(hidden: int, indexer: Indexer) -> tuple[Operator, ...]:
    """Everything of an indexer, in order; the last is followed by the exchange of choices."""
    query, key, heads = indexer.query_size, indexer.key_size, indexer.head_count
    reach = Reach(tokens_per_entry=indexer.tokens_per_key)
    narrow = query + key if indexer.norm_parameters else 0
    return (
        *_key(hidden, indexer),
        matmul(
            "indexer.query_projection",
            indexer.query_rank or hidden,
            query,
            modules=[(f"{_place(indexer)}.wq_b", query)],
        ),
        Operator(
            name="indexer.rotary",
            unit="vector",
            parameters=indexer.norm_parameters,
            flop_per_row=ROTARY_FLOP * (heads + 1) * indexer.rotary_size + NORM_FLOP * narrow,
            activations_per_row=2 * (query + key),
            kv_write_per_row=0 if indexer.compressor else key,
            followed_by="queries",
            weight_kind="norms",
        ),
        Operator(
            name="indexer.scores",
            unit="matrix",
            flop_per_row_token=2 * query,
            activations_per_row=query,
            activations_per_row_token=heads,
            kv_read_per_row_token=key,
            reach=reach,
        ),
        *_choice(indexer, reach),
    )


def _key(hidden: int, indexer: Indexer) -> tuple[Operator, ...]:
    made = []
    if indexer.down_size:
        key = 0 if indexer.compressor else indexer.key_size
        heads, place = indexer.down_size - key, _place(indexer)
        parts = [(f"{place}.wk", key), (f"{place}.weights_proj", heads)]
        down = matmul(
            "indexer.down_projection",
            hidden,
            indexer.down_size,
            replicated=True,
            modules=[(name, size) for name, size in parts if size],
        )
        made.append(down)
    if indexer.compressor:
        made += compressor_operators("indexer", hidden, indexer.compressor)
    return tuple(made)


def _place(indexer: Indexer) -> str:
    """What files call its module."""
    return "self_attn.compressor.indexer" if indexer.compressor else "self_attn.indexer"


def _choice(indexer: Indexer, reach: Reach) -> tuple[Operator, ...]:
    """One list of scores for a row, or of blocks of tokens for each head; and the best of it."""
    heads, selection = indexer.head_count, indexer.selection
    lists = selection.list_count
    return (
        Operator(
            name="indexer.weighted_sum" if indexer.weighted else "indexer.block_best",
            unit="vector",
            flop_per_row_token=(WEIGHTED_SUM_FLOP if indexer.weighted else 1) * heads,
            activations_per_row_token=heads + lists,
            handed_per_row_token=lists if indexer.weighted else 0,
            reach=reach,
        ),
        Operator(
            name="selection.top_k",
            unit="vector",
            flop_per_row_token=TOP_K_FLOP * lists,
            activations_per_row=lists * indexer.chosen_max,
            activations_per_row_token=lists,
            handed_per_row_token=lists,
            followed_by="choices",
            reach=Reach(tokens_per_entry=selection.tokens_per_choice),
        ),
    )


def compressor_operators(
    prefix: str, hidden: int, compressor: Compressor
) -> tuple[Operator, Operator]:
    """Values and gates of a token, and its part in the entries that are made of them."""
    series, entry = compressor.series_size, compressor.entry_size
    per_entry = NORM_FLOP * entry
    place = "self_attn.compressor" + (".indexer" if prefix == "indexer" else "")
    return (
        matmul(
            f"{prefix}.compress_projection",
            hidden,
            2 * series,
            replicated=True,
            modules=[(f"{place}.kv_proj", series), (f"{place}.gate_proj", series)],
        ),
        Operator(
            name=f"{prefix}.compress",
            unit="vector",
            parameters=compressor.norm_parameters,
            # The offset added, a softmax over the window, the weighted sum; a norm for each entry.
            flop_per_row=(1 + SOFTMAX_FLOP + 2) * series
            + -(-per_entry // compressor.tokens_per_entry),
            activations_per_row=2 * series,
            kv_write_per_row=-(-entry // compressor.tokens_per_entry),
            replicated=True,
            weight_kind="norms",
        ),
    )
