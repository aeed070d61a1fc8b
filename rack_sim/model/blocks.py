"""Blocks: every block of an architecture, in execution order."""

from dataclasses import replace

from rack_sim.model.alternating import (
    Alternating,
    before_head,
    correct,
    first_block,
    predict,
    side_way,
)
from rack_sim.model.architecture import Architecture
from rack_sim.model.attention_blocks import attention_block
from rack_sim.model.expert_blocks import ExpertPlacement, expert_block
from rack_sim.model.layers import (
    DenseFeedForward,
    Experts,
    FeedForwardShape,
    Layer,
    MixerShape,
    Norms,
    SideBySide,
)
from rack_sim.model.operators import Block, Operator
from rack_sim.model.per_layer_inputs import input_block, inputs_blocks
from rack_sim.model.state_blocks import state_block
from rack_sim.model.state_layers import StateShape
from rack_sim.model.stream_operators import (
    read_streams,
    read_streams_for_head,
    write_streams,
)
from rack_sim.model.streams import Streams
from rack_sim.model.textbook import (
    SOFTMAX_FLOP,
    gate_and_up,
    gated_activation,
    matmul,
    norm,
    plain_activation,
    residual_add,
)
from rack_sim.model.weight_formats import WeightFormats, in_formats


def blocks_of(
    model: Architecture,
    placement: ExpertPlacement | None = None,
    formats: WeightFormats | None = None,
) -> tuple[Block, ...]:
    """Every block of a model in execution order; experts lie as `placement` says.

    With `formats` each operator says how its weights are stored.
    """
    placed = placement or ExpertPlacement()
    known: dict[Layer, tuple[Block, ...]] = {}  # equal layers share their operators
    shared: dict[tuple[Operator, ...], tuple[Operator, ...]] = {}
    blocks = [*in_formats(_embedding(model), formats, None, shared)]
    for number, layer in enumerate(model.layers):
        if layer not in known:
            known[layer] = _layer(model.hidden_size, layer, placed)
        own = in_formats(known[layer], formats, number, shared)
        blocks += (replace(block, name=f"layer{number}.{block.name}") for block in own)
    blocks += in_formats((_head(model),), formats, None, shared)
    return tuple(map(_sharing, blocks) if model.ends.is_module else blocks)


def _layer(hidden: int, layer: Layer, placement: ExpertPlacement) -> tuple[Block, ...]:
    """The blocks of a layer: one for each half, or one for both where they are parallel."""
    if layer.parallel and layer.attention and layer.feed_forward:
        mixer = _mixer(hidden, layer.attention)
        feed_forward = _feed_forward(hidden, layer.feed_forward, replace(placement, apart=False))
        return (_parallel(hidden, layer, mixer, feed_forward),)
    halves = []
    if layer.attention:
        halves.append(_mixer(hidden, layer.attention))
    if layer.feed_forward:
        halves.append(_feed_forward(hidden, layer.feed_forward, placement))
    halves = [_in_stream(hidden, layer.norms, block) for block in halves]
    if layer.alternating:
        halves = [_alternating(hidden, layer.alternating, block) for block in halves]
    parts = tuple(_in_streams(hidden, layer.streams, half) for half in halves)
    return (*parts, input_block(hidden, layer.input_size)) if layer.input_size else parts


def _mixer(hidden: int, shape: MixerShape) -> Block:
    if isinstance(shape, StateShape):
        return state_block(hidden, shape)
    if isinstance(shape, SideBySide):
        *before, output = state_block(hidden, shape.state).operators
        attention = attention_block(hidden, shape.attention)
        beside = (*before, replace(output, followed_by="none"))
        return replace(attention, operators=(*beside, *attention.operators))
    return attention_block(hidden, shape)


def _alternating(hidden: int, streams: Alternating, block: Block) -> Block:
    """A half of a layer that updates one of several streams: predicted before, corrected after."""
    if block.kind == "feed_forward":
        around = (*block.operators, *correct(hidden, streams))
    else:
        *operators, added = block.operators
        around = (*predict(hidden, streams), *operators, *side_way(hidden, streams), added)
    return replace(block, operators=around, stream_count=streams.count)


def _in_streams(hidden: int, streams: Streams | None, block: Block) -> Block:
    """A block that reads several residual streams, and writes them in place of its residual add."""
    if streams is None:
        return block
    *operators, _ = block.operators
    return replace(
        block,
        operators=(
            *read_streams(block.kind, hidden, streams),
            *operators,
            write_streams(block.kind, hidden, streams),
        ),
        mixed_per_row=streams.mixed_per_row,
        stream_count=streams.count,
    )


def _in_stream(hidden: int, norms: Norms, block: Block) -> Block:
    """A block with the norms around it, whose results are added to the residual stream."""
    return replace(
        block,
        operators=(
            *_norm(f"{block.kind}.norm", hidden, norms, wanted=norms.before),
            *block.operators,
            *_norm(f"{block.kind}.after_norm", hidden, norms, wanted=norms.after),
            residual_add(f"{block.kind}.residual_add", hidden),
        ),
    )


def _norm(name: str, hidden: int, norms: Norms, *, wanted: bool) -> tuple[Operator, ...]:
    return (norm(name, hidden, biases=norms.biases),) if wanted else ()


def _parallel(hidden: int, layer: Layer, attention: Block, feed_forward: Block) -> Block:
    """Both halves of a layer as one block: rows are gathered once, and its sums summed up once."""
    *before, output = attention.operators
    added = residual_add("attention.residual_add", hidden)
    return replace(
        attention,
        operators=(
            *_norm("attention.norm", hidden, layer.norms, wanted=True),
            *_norm("feed_forward.norm", hidden, layer.norms, wanted=not layer.shares_norm),
            *before,
            replace(output, followed_by="none"),
            *feed_forward.operators,
            replace(added, flop_per_row=2 * added.flop_per_row),
        ),
    )


def _embedding(model: Architecture) -> tuple[Block, ...]:
    """The table of tokens, and apart from it, as a head may be tied to it, what else is there."""
    hidden, ends = model.hidden_size, model.ends
    table = _table("embedding", model.vocabulary_size, hidden)
    blocks = [replace(table, stream_count=model.stream_count)]
    if ends.learnt_positions:
        blocks.append(_table("positions", ends.learnt_positions, hidden))
    if ends.embedding_norm:
        after = norm("embedding_norm.norm", hidden, biases=ends.norm_biases)
        blocks.append(Block("embedding_norm", "embedding", (after,), gathers=False))
    if ends.is_module:
        blocks.append(_joint(hidden, biases=ends.norm_biases))
    if ends.alternating:
        blocks.append(first_block(hidden, ends.alternating))
    if ends.layer_inputs:
        blocks += inputs_blocks(hidden, ends.layer_inputs)
    return tuple(blocks)


def _joint(hidden: int, *, biases: bool) -> Block:
    """What makes one row of a token's embedding and of a hidden row."""
    norms = norm("joint.norm", 2 * hidden, biases=biases)
    projection = matmul("joint.projection", 2 * hidden, hidden, "reduce_scatter")
    return Block("joint", "embedding", (norms, projection), gathers=True)


def _table(name: str, row_count: int, hidden: int) -> Block:
    lookup = Operator(
        name=f"{name}.lookup",
        unit="vector",
        parameters=row_count * hidden,
        lookup_per_row=hidden,
        activations_per_row=hidden,
    )
    return Block(name, "embedding", (lookup,), gathers=False)


def _feed_forward(hidden: int, shape: FeedForwardShape, placement: ExpertPlacement) -> Block:
    if isinstance(shape, Experts):
        return expert_block(hidden, shape, placement)
    return Block("feed_forward", "feed_forward", _dense(hidden, shape), gathers=True)


def _dense(hidden: int, shape: DenseFeedForward) -> tuple[Operator, ...]:
    inner = shape.inner_size
    down_biases = hidden if shape.biases else 0
    down = matmul(
        "feed_forward.down_projection",
        inner,
        hidden,
        "reduce_scatter",
        biases=down_biases,
        modules=[("mlp.down_proj", hidden)],
        weight_kind="feed_forward",
    )
    if not shape.gated:
        up = matmul(
            "feed_forward.up_projection",
            hidden,
            inner,
            biases=inner if shape.biases else 0,
            modules=[("mlp.up_proj", inner)],
            weight_kind="feed_forward",
        )
        return up, plain_activation("feed_forward.activation", inner), down
    both = 2 * inner
    up = matmul(
        "feed_forward.gate_up_projection",
        hidden,
        both,
        biases=both if shape.biases else 0,
        modules=gate_and_up("mlp", inner),
        weight_kind="feed_forward",
    )
    return up, gated_activation("feed_forward.gated_activation", inner), down


def _head(model: Architecture) -> Block:
    biases = model.vocabulary_size if model.ends.head_bias else 0
    projection = matmul(
        "head.vocabulary_projection",
        model.hidden_size,
        model.vocabulary_size,
        biases=biases,
        modules=[("lm_head", model.vocabulary_size)],
    )
    sample = Operator(
        name="head.sample",
        unit="vector",
        flop_per_row=SOFTMAX_FLOP * model.vocabulary_size,
        activations_per_row=model.vocabulary_size,
        followed_by="candidates",
    )
    before = norm("head.norm", model.hidden_size, biases=model.ends.norm_biases)
    streams = model.ends.streams
    read = read_streams_for_head(model.hidden_size, streams) if streams else ()
    if model.ends.alternating:
        read = before_head(model.hidden_size, model.ends.alternating)
    return Block(
        "head",
        "head",
        (*read, before, projection, sample),
        gathers=True,
        mixed_per_row=model.stream_count if streams else 0,
        tied_to="embedding" if model.tied_embeddings else None,
    )


def _sharing(block: Block) -> Block:
    """A block of a module, whose tables are those of the model that it is of."""
    homes = {
        "embedding.lookup": "embedding",
        "head.vocabulary_projection": block.tied_to or "head",
    }
    if block.kind not in ("embedding", "head"):
        return block
    operators = (replace(one, shared_with=homes.get(one.name)) for one in block.operators)
    return replace(block, operators=tuple(operators))
