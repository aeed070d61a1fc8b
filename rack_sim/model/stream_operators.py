"""Stream operators: how a block reads several residual streams, and what it leaves in them.

The streams are sharded over a group as a single one is: each chip multiplies its shard by its rows
of the projection, and the sums are exchanged. What a block reads is gathered.
"""

from dataclasses import replace

from rack_sim.model.operators import Operator
from rack_sim.model.streams import Streams
from rack_sim.model.textbook import matmul

BALANCE_FLOP = 4  # of a mixing weight in a round: added up and divided, along rows and columns


def read_streams(prefix: str, hidden: int, streams: Streams) -> tuple[Operator, ...]:
    """Finds the weights of a block, and the row that it reads."""
    mixed, width = streams.mixed_per_row, streams.count * hidden
    return (
        _mix(prefix, width, mixed, streams.block_parameters(hidden)),
        Operator(
            name=f"{prefix}.stream_balance",
            unit="vector",
            flop_per_row=BALANCE_FLOP * streams.round_count * streams.count**2,
            activations_per_row=2 * mixed,
            replicated=True,
        ),
        _collapse(prefix, width, hidden),
    )


def read_streams_for_head(hidden: int, streams: Streams) -> tuple[Operator, ...]:
    """The row that the head reads."""
    width = streams.count * hidden
    mix = _mix("head", width, streams.count, streams.head_parameters(hidden))
    return mix, _collapse("head", width, hidden)


def write_streams(prefix: str, hidden: int, streams: Streams) -> Operator:
    """All streams mixed with each other, and what the block found added to each."""
    width = streams.count * hidden
    return Operator(
        name=f"{prefix}.stream_mix",
        unit="vector",
        flop_per_row=2 * streams.count * width + 2 * width,
        activations_per_row=2 * width + hidden,
    )


def _mix(prefix: str, width: int, mixed: int, parameters: int) -> Operator:
    projection = matmul(f"{prefix}.stream_projection", width, mixed, "mixes")
    # A table of its own, no module: it stays as it is.
    return replace(projection, parameters=parameters, tensors=())


def _collapse(prefix: str, width: int, hidden: int) -> Operator:
    return Operator(
        name=f"{prefix}.stream_sum",
        unit="vector",
        flop_per_row=2 * width,
        activations_per_row=width + hidden,
    )
