"""Compressed blocks: the operators of attention over nearest tokens and compressed entries."""

from dataclasses import replace

from rack_sim.model.compressed_attention import CompressedAttention
from rack_sim.model.indexer_operators import compressor_operators, indexer_operators
from rack_sim.model.operators import Operator
from rack_sim.model.textbook import NORM_FLOP, ROTARY_FLOP, matmul


def before_cache(hidden: int, shape: CompressedAttention) -> tuple[Operator, ...]:
    """Up to the queries, the key and what the indexer chooses."""
    heads, narrow, query = shape.head_count, shape.narrow_size, shape.query_size
    compressed = shape.compressor and compressor_operators("attention", hidden, shape.compressor)
    return (
        matmul(
            "attention.down_projection",
            hidden,
            narrow,
            replicated=True,
            modules=[
                ("self_attn.q_a_proj", shape.query_rank),
                ("self_attn.kv_proj", shape.head_size),
            ],
        ),
        Operator(
            name="attention.latent_norm",
            unit="vector",
            parameters=narrow,
            flop_per_row=NORM_FLOP * narrow,
            activations_per_row=2 * narrow,
            replicated=True,
            weight_kind="norms",
        ),
        *(compressed or ()),
        matmul(
            "attention.query_projection",
            shape.query_rank,
            query,
            modules=[("self_attn.q_b_proj", query)],
        ),
        Operator(
            name="attention.rotary",
            unit="vector",
            # Sinks are logits of their own; the norm of query heads has no weights.
            parameters=heads,
            flop_per_row=(NORM_FLOP - 1) * query + ROTARY_FLOP * (heads + 1) * shape.rotary_size,
            activations_per_row=2 * (query + shape.head_size),
            kv_write_per_row=shape.head_size,
        ),
        *(indexer_operators(hidden, shape.indexer) if shape.indexer else ()),
    )


def after_cache(hidden: int, shape: CompressedAttention) -> tuple[Operator, ...]:
    """What heads found, turned back, through a matrix for each group of heads, and out."""
    turned = shape.head_count * shape.rotary_size
    groups = matmul(
        "attention.output_group_projection",
        shape.query_size // shape.group_count,
        shape.output_size,
        modules=[("self_attn.o_a_proj", shape.output_size)],
    )
    return (
        Operator(
            name="attention.rotary_back",
            unit="vector",
            flop_per_row=ROTARY_FLOP * turned,
            activations_per_row=2 * turned,
        ),
        replace(groups, activations_per_row=shape.query_size + shape.output_size),
        matmul(
            "attention.output_projection",
            shape.output_size,
            hidden,
            "reduce_scatter",
            modules=[("self_attn.o_b_proj", hidden)],
        ),
    )
