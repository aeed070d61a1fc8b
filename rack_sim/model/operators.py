"""Operators: what one block computes, reads and writes, with rows as a variable.

A row is one token of one sequence inside a step. Work is counted for the whole block; timing
divides it over the chips of a tensor-parallel group. The residual stream is kept sharded over the
group (each chip holds hidden / group elements of every row), so norms and residual adds work on a
shard, a block begins with an all-gather and ends with a reduce-scatter.

The FLOP counts of vector operators are element counts times the arithmetic of the textbook form
(docs/model-assumptions.md lists them); they never bind on the chips modelled here.
"""

from dataclasses import dataclass
from typing import Literal

from rack_sim.model.architecture import Architecture

BlockKind = Literal["embedding", "attention", "feed_forward", "head"]
Exchange = Literal["none", "reduce_scatter", "combine", "candidates"]
"""What a group does with an operator's results: sum them up by shards, sum the parts of a shared
key-value head up, or tell everybody each chip's candidate for the next token."""

# Arithmetic per element of the textbook forms.
_NORM_FLOP = 4  # square, accumulate, scale by the root, multiply by the weight
_ROTARY_FLOP = 3  # a 2x2 rotation is four multiplies and two adds for two elements
_SOFTMAX_FLOP = 5  # maximum, subtract, exponential, sum, divide
_GATED_FLOP = 5  # exponential, add, divide, two multiplies


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of a block, unsharded.

    FLOP of a step: ``rows * (flop_per_row + flop_per_row_token * context)``. Reads of the cache:
    ``rows * kv_read_per_row_token * context`` elements; writes: ``rows * kv_write_per_row``.
    `parameters` are read once per step whatever the rows; a table that is only looked up has
    `lookup_per_row` elements read instead.
    """

    name: str
    unit: Literal["matrix", "vector"]
    parameters: int = 0
    flop_per_row: int = 0
    flop_per_row_token: int = 0
    activations_per_row: int = 0
    activations_per_row_token: int = 0
    lookup_per_row: int = 0
    kv_read_per_row_token: int = 0
    kv_write_per_row: int = 0
    followed_by: Exchange = "none"


@dataclass(frozen=True, slots=True)
class Block:
    """The smallest thing the partitioner moves: its operators in order, each needing the last.

    `gathers` says that the block begins with an all-gather of the residual stream; an operator may
    be followed by another exchange. Attention has `kv_head_count` key-value
    heads, which are split over a group as far as they go; beyond that the cache is split by
    sequence, and partial outputs of `combined_per_row` elements in all are combined.
    """

    name: str
    kind: BlockKind
    operators: tuple[Operator, ...]
    gathers: bool
    kv_elements_per_token: int = 0
    kv_head_count: int = 0
    combined_per_row: int = 0

    @property
    def parameters(self) -> int:
        """Parameters that live where this block lives."""
        return sum(operator.parameters for operator in self.operators)


def blocks_of(model: Architecture) -> tuple[Block, ...]:
    """Every block of a model in execution order."""
    blocks = [_embedding(model)]
    for layer in range(model.layer_count):
        blocks.append(_attention(model, layer))
        blocks.append(_feed_forward(model, layer))
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


def _norm(name: str, model: Architecture) -> Operator:
    return Operator(
        name=name,
        unit="vector",
        parameters=model.hidden_size,
        flop_per_row=_NORM_FLOP * model.hidden_size,
        activations_per_row=2 * model.hidden_size,
    )


def _matmul(name: str, inputs: int, outputs: int, followed_by: Exchange = "none") -> Operator:
    return Operator(
        name=name,
        unit="matrix",
        parameters=inputs * outputs,
        flop_per_row=2 * inputs * outputs,
        activations_per_row=inputs + outputs,
        followed_by=followed_by,
    )


def _residual_add(name: str, model: Architecture) -> Operator:
    return Operator(
        name=name,
        unit="vector",
        flop_per_row=model.hidden_size,
        activations_per_row=3 * model.hidden_size,
    )


def _attention(model: Architecture, layer: int) -> Block:
    hidden, query, kv = model.hidden_size, model.query_size, model.kv_size
    operators = (
        _norm("attention.norm", model),
        _matmul("attention.qkv_projection", hidden, query + 2 * kv),
        Operator(
            name="attention.rotary",
            unit="vector",
            flop_per_row=_ROTARY_FLOP * (query + kv),
            activations_per_row=2 * (query + kv),
            kv_write_per_row=2 * kv,
        ),
        Operator(
            name="attention.scores",
            unit="matrix",
            flop_per_row_token=2 * query,
            activations_per_row=query,
            activations_per_row_token=model.head_count,
            kv_read_per_row_token=kv,
        ),
        Operator(
            name="attention.softmax",
            unit="vector",
            flop_per_row_token=_SOFTMAX_FLOP * model.head_count,
            activations_per_row_token=2 * model.head_count,
        ),
        Operator(
            name="attention.values",
            unit="matrix",
            flop_per_row_token=2 * query,
            activations_per_row=query,
            activations_per_row_token=model.head_count,
            kv_read_per_row_token=kv,
            followed_by="combine",
        ),
        _matmul("attention.output_projection", query, hidden, "reduce_scatter"),
        _residual_add("attention.residual_add", model),
    )
    return Block(
        f"layer{layer}.attention",
        "attention",
        operators,
        gathers=True,
        kv_elements_per_token=2 * kv,
        kv_head_count=model.kv_head_count,
        # Partial values of every query head, and the maximum and the sum of its softmax.
        combined_per_row=query + 2 * model.head_count,
    )


def _feed_forward(model: Architecture, layer: int) -> Block:
    hidden, inner = model.hidden_size, model.feed_forward_size
    operators = (
        _norm("feed_forward.norm", model),
        _matmul("feed_forward.gate_up_projection", hidden, 2 * inner),
        Operator(
            name="feed_forward.gated_activation",
            unit="vector",
            flop_per_row=_GATED_FLOP * inner,
            activations_per_row=3 * inner,
        ),
        _matmul("feed_forward.down_projection", inner, hidden, "reduce_scatter"),
        _residual_add("feed_forward.residual_add", model),
    )
    return Block(f"layer{layer}.feed_forward", "feed_forward", operators, gathers=True)


def _head(model: Architecture) -> Block:
    projection = _matmul("head.vocabulary_projection", model.hidden_size, model.vocabulary_size)
    sample = Operator(
        name="head.sample",
        unit="vector",
        flop_per_row=_SOFTMAX_FLOP * model.vocabulary_size,
        activations_per_row=model.vocabulary_size,
        followed_by="candidates",
    )
    return Block(
        "head",
        "head",
        (_norm("head.norm", model), projection, sample),
        gathers=True,
    )
