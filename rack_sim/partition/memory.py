"""Memory fit: what sits in the memory of each chip.

Four kinds of bytes: weights, key-value cache for every concurrent sequence at full context,
activations that are live at one time, and program text. Shares are exact: the weight bytes of the
chips of a group add up to those of its blocks, a table that two of them use kept once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rack_sim.hardware.chip import Chip
from rack_sim.model.choice import GRAINS
from rack_sim.model.operators import Block, Operator
from rack_sim.timing.precision import shard
from rack_sim.timing.shape import StepShape

# Operators read from one buffer and write to another while the residual stream stays.
_LIVE_BUFFERS = 2


@dataclass(frozen=True, slots=True)
class ChipMemory:
    """Bytes on one chip by kind."""

    weight_bytes: int
    kv_bytes: int
    activation_bytes: int
    program_bytes: int

    @property
    def used_bytes(self) -> int:
        """All four kinds."""
        return self.weight_bytes + self.kv_bytes + self.activation_bytes + self.program_bytes


@dataclass(frozen=True, slots=True)
class MemoryDemand:
    """What the deployment must hold besides weights.

    `kv_tokens` is the number of cached tokens the whole system must have room for: concurrent
    sequences x compiled context.
    """

    shape: StepShape
    kv_tokens: int
    residual_elements: int


def kept(blocks: Sequence[Block]) -> list[Block]:
    """Those of `blocks` whose weights a group keeps: what one is tied to is kept with that one."""
    tied = {block.tied_to for block in blocks}
    return [block for block in blocks if block.name not in tied]


def cached_elements(block: Block, demand: MemoryDemand) -> int:
    """Elements that a block keeps of all sequences: for each token, and for each sequence."""
    sequences = demand.kv_tokens // demand.shape.context_tokens
    of_tokens = block.kv_elements_per_token * demand.kv_tokens
    return of_tokens + block.kv_elements_per_sequence * sequences


def block_weight_bytes(block: Block, demand: MemoryDemand) -> int:
    """Weight bytes of one block that are split over its group."""
    split = block.parameters - block.replicated_parameters
    return demand.shape.precision.weight_bytes(split)


def replicated_bytes(block: Block, demand: MemoryDemand) -> int:
    """Weight bytes of one block that lie on every chip of its group."""
    return demand.shape.precision.weight_bytes(block.replicated_parameters)


def group_memory(
    blocks: Sequence[Block], demand: MemoryDemand, *, chip: Chip, group_size: int
) -> tuple[ChipMemory, ...]:
    """What each chip of a group of `group_size` holds when the group holds `blocks`."""
    precision = demand.shape.precision
    kv_elements = sum(cached_elements(block, demand) for block in blocks)
    kv_bytes = precision.kv_bytes(-(-kv_elements // group_size))
    live_bytes = max((activation_bytes(block, demand, group_size) for block in blocks), default=0)
    split = [block_weight_bytes(block, demand) for block in kept(blocks)]
    replicated = sum(replicated_bytes(block, demand) for block in kept(blocks))
    return tuple(
        ChipMemory(
            weight_bytes=replicated + sum(shard(size, group_size, index) for size in split),
            kv_bytes=kv_bytes,
            activation_bytes=live_bytes,
            program_bytes=chip.program_text_bytes,
        )
        for index in range(group_size)
    )


def activation_bytes(block: Block, demand: MemoryDemand, group_size: int) -> int:
    """Live activations of one block on one chip: the gathered residual and two operator buffers."""
    shape = demand.shape
    widest = max(_elements(operator, shape, group_size) for operator in block.operators)
    residual = demand.residual_elements * shape.stream_count
    elements = shape.rows * residual + _LIVE_BUFFERS * widest
    return shape.precision.activation_bytes(elements)


def _elements(operator: Operator, shape: StepShape, group_size: int) -> int:
    """Activations of an operator on one chip: of experts for the most rows that can come."""
    if operator.choice is not None:
        grains = operator.choice.most(shape.rows, group_size).row_grains
        parts = GRAINS * operator.choice.chosen_count
        return -(-operator.activations_per_row * grains // parts)
    met = operator.met(shape.context_tokens)
    per_row = operator.activations_per_row + operator.activations_per_row_token * met
    return shape.rows * -(-per_row // (1 if operator.replicated else group_size))


def largest_chip_bytes(
    block: Block, demand: MemoryDemand, *, group_size: int
) -> tuple[int, int, int]:
    """Weights, live activations and cache of one block on its fullest chip."""
    precision = demand.shape.precision
    weight = -(-block_weight_bytes(block, demand) // group_size) + replicated_bytes(block, demand)
    kv = precision.kv_bytes(-(-cached_elements(block, demand) // group_size))
    return weight, activation_bytes(block, demand, group_size), kv
