"""Blocks: every block of an architecture, in execution order."""

from dataclasses import replace

from rack_sim.model.architecture import Architecture
from rack_sim.model.attention_blocks import attention_block
from rack_sim.model.expert_blocks import ExpertPlacement, expert_block
from rack_sim.model.layers import AttentionShape, Experts, FeedForwardShape
from rack_sim.model.operators import Block, Operator
from rack_sim.model.textbook import SOFTMAX_FLOP, gated_activation, matmul, norm, residual_add


def blocks_of(model: Architecture, placement: ExpertPlacement | None = None) -> tuple[Block, ...]:
    """Every block of a model in execution order; experts lie as `placement` says."""
    placed = placement or ExpertPlacement()
    # Equal layers share their operators.
    attention: dict[AttentionShape, Block] = {}
    feed_forward: dict[FeedForwardShape, Block] = {}
    blocks = [_embedding(model)]
    for number, layer in enumerate(model.layers):
        if layer.attention not in attention:
            attention[layer.attention] = attention_block(model.hidden_size, layer.attention)
        if layer.feed_forward not in feed_forward:
            feed_forward[layer.feed_forward] = _feed_forward(
                model.hidden_size, layer.feed_forward, placed
            )
        for block in (attention[layer.attention], feed_forward[layer.feed_forward]):
            blocks.append(replace(block, name=f"layer{number}.{block.kind}"))
    blocks.append(_head(model))
    return tuple(blocks)


def _embedding(model: Architecture) -> Block:
    lookup = Operator(
        name="embedding.lookup",
        unit="vector",
        parameters=model.embedding_parameters,
        lookup_per_row=model.hidden_size,
        activations_per_row=model.hidden_size,
    )
    return Block("embedding", "embedding", (lookup,), gathers=False)


def _feed_forward(hidden: int, shape: FeedForwardShape, placement: ExpertPlacement) -> Block:
    if isinstance(shape, Experts):
        return expert_block(hidden, shape, placement)
    inner = shape.inner_size
    operators = (
        norm("feed_forward.norm", hidden),
        matmul("feed_forward.gate_up_projection", hidden, 2 * inner),
        gated_activation("feed_forward.gated_activation", inner),
        matmul("feed_forward.down_projection", inner, hidden, "reduce_scatter"),
        residual_add("feed_forward.residual_add", hidden),
    )
    return Block("feed_forward", "feed_forward", operators, gathers=True)


def _head(model: Architecture) -> Block:
    projection = matmul("head.vocabulary_projection", model.hidden_size, model.vocabulary_size)
    sample = Operator(
        name="head.sample",
        unit="vector",
        flop_per_row=SOFTMAX_FLOP * model.vocabulary_size,
        activations_per_row=model.vocabulary_size,
        followed_by="candidates",
    )
    return Block(
        "head",
        "head",
        (norm("head.norm", model.hidden_size), projection, sample),
        gathers=True,
        tied_to="embedding" if model.tied_embeddings else None,
    )
