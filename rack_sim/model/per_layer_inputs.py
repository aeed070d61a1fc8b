"""Per-layer inputs: what a token gives to each layer beside its embedding, of another table."""

from dataclasses import dataclass

from rack_sim.model.operators import Block, Operator
from rack_sim.model.textbook import NORM_FLOP, gated_activation, matmul, norm, residual_add


@dataclass(frozen=True, slots=True)
class PerLayerInputs:
    """`size` elements for every one of `layer_count` layers, for each token of a vocabulary.

    To them a projection of the embedding is added, normalised for each layer.
    """

    vocabulary_size: int
    size: int
    layer_count: int

    @property
    def width(self) -> int:
        """Elements for all layers together."""
        return self.layer_count * self.size

    def parameter_count(self, hidden_size: int) -> int:
        """The table, the projection and its norm."""
        return (self.vocabulary_size + hidden_size) * self.width + self.size


def input_parameters(hidden: int, size: int) -> int:
    """Of a layer that takes `size` elements in: a gate, the way back, and a norm."""
    return (2 * size + 1) * hidden if size else 0


def inputs_blocks(hidden: int, inputs: PerLayerInputs) -> tuple[Block, Block]:
    """The table, which is looked up, and the projection of the embedding."""
    width = inputs.width
    lookup = Operator(
        name="per_layer_table.lookup",
        unit="vector",
        parameters=inputs.vocabulary_size * width,
        lookup_per_row=width,
        activations_per_row=width,
    )
    added = Operator(
        name="per_layer_projection.add",
        unit="vector",
        parameters=inputs.size,
        flop_per_row=(NORM_FLOP + 2) * width,  # of the projection; then the sum, scaled
        activations_per_row=3 * width,
        weight_kind="norms",
    )
    projection = matmul(
        "per_layer_projection.projection",
        hidden,
        width,
        modules=[("per_layer_model_projection", width)],
        weight_kind="feed_forward",  # of no layer, but converted as its matrices are
    )
    return (
        Block("per_layer_table", "embedding", (lookup,), gathers=False),
        Block("per_layer_projection", "embedding", (projection, added), gathers=True),
    )


def input_block(hidden: int, size: int) -> Block:
    """What a layer adds to the stream of its input: gated by the stream, and projected."""
    return Block(
        "layer_input",
        "feed_forward",
        (
            matmul(
                "layer_input.gate_projection",
                hidden,
                size,
                modules=[("per_layer_input_gate", size)],
            ),
            gated_activation("layer_input.gated_activation", size),
            matmul(
                "layer_input.projection",
                size,
                hidden,
                "reduce_scatter",
                modules=[("per_layer_projection", hidden)],
            ),
            norm("layer_input.after_norm", hidden),
            residual_add("layer_input.residual_add", hidden),
        ),
        gathers=True,
    )
