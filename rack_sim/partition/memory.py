"""Memory fit: what sits in the memory of each chip.

Five kinds of bytes: weights, key-value cache for every concurrent sequence at full context, states
of those sequences where layers keep some, activations that are live at one time, and program text.
Shares are exact: the weight bytes of the chips of a group add up to those of its blocks, a table
that two of them use kept once, what heads share once for as many chips as it is split over.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rack_sim.hardware.chip import Chip
from rack_sim.model.choice import GRAINS
from rack_sim.model.operators import Block, Operator
from rack_sim.timing.precision import Precision, shard
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
    state_bytes: int = 0

    @property
    def cache_bytes(self) -> int:
        """What is kept of sequences: keys and values of tokens, and states, which lie together."""
        return self.kv_bytes + self.state_bytes

    @property
    def used_bytes(self) -> int:
        """All kinds."""
        return self.weight_bytes + self.cache_bytes + self.activation_bytes + self.program_bytes

    @property
    def by_kind(self) -> dict[str, int]:
        """Them by the names of `hardware.chip.Tiers.by_kind`."""
        return {
            "weights": self.weight_bytes,
            "kv_cache": self.cache_bytes,
            "activations": self.activation_bytes,
            "program_text": self.program_bytes,
        }


@dataclass(frozen=True, slots=True)
class MemoryDemand:
    """What the deployment must hold besides weights.

    `kv_tokens` is the number of cached tokens the whole system must have room for: concurrent
    sequences x compiled context. What a sequence keeps whatever its length is kept of
    `sequence_count` sequences.
    """

    shape: StepShape
    kv_tokens: int
    residual_elements: int
    sequence_count: int = 1

    def state_bytes(self, blocks: Sequence[Block], group_size: int) -> int:
        """What all sequences keep on a chip of a group whatever their length."""
        one = state_bytes(
            blocks, self.shape.precision, group_size, copies=self.shape.rows_per_sequence
        )
        return self.sequence_count * one

    def cached_elements(self, block: Block) -> int:
        """Elements of the whole system's cache in one block: of a window its tokens only."""
        context, window = self.shape.context_tokens, block.window_tokens
        if window is None or window >= context:
            return block.kv_elements_per_token * self.kv_tokens
        return block.kv_elements_per_token * (self.kv_tokens // context * window)


def kept(blocks: Sequence[Block]) -> list[Block]:
    """Those of `blocks` whose weights a group keeps: what one is tied to is kept with that one."""
    tied = {block.tied_to for block in blocks}
    return [block for block in blocks if block.name not in tied]


def block_weight_bytes(block: Block, demand: MemoryDemand) -> int:
    """Weight bytes of one block that are split over its group."""
    return demand.shape.precision.weight_bytes(o for o in block.operators if not o.replicated)


def replicated_bytes(block: Block, demand: MemoryDemand) -> int:
    """Weight bytes of one block that lie on every chip of its group."""
    return demand.shape.precision.weight_bytes(o for o in block.operators if o.replicated)


def group_memory(
    blocks: Sequence[Block], demand: MemoryDemand, *, chip: Chip, group_size: int
) -> tuple[ChipMemory, ...]:
    """What each chip of a group of `group_size` holds when the group holds `blocks`."""
    precision = demand.shape.precision
    blocks = [block.over(group_size) for block in blocks]
    kv_elements = sum(map(demand.cached_elements, blocks))
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
            state_bytes=demand.state_bytes(blocks, group_size),
        )
        for index in range(group_size)
    )


def state_bytes(
    blocks: Sequence[Block], precision: Precision, group_size: int, *, copies: int = 1
) -> int:
    """What one sequence keeps whatever its length on a chip of a group that holds `blocks`.

    Its states, and what does not grow of a compressed cache: the nearest tokens, and those that
    make no whole entry yet. Where a draft's tokens are looked at together, there are as many
    `copies` of a state, as any of them may be the last that is taken; entries of a cache are just
    dropped.
    """
    held = [block.over(group_size) for block in blocks]
    recurrent = sum(block.state_elements for block in held)
    convolution = sum(block.convolution_elements for block in held)
    cached = sum(block.kv_elements_per_sequence for block in held)
    states = precision.state_bytes(-(-recurrent // group_size), -(-convolution // group_size))
    return copies * states + precision.kv_bytes(-(-cached // group_size))


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
    block = block.over(group_size)
    weight = -(-block_weight_bytes(block, demand) // group_size) + replicated_bytes(block, demand)
    kv = precision.kv_bytes(-(-demand.cached_elements(block) // group_size))
    states = demand.state_bytes([block], group_size)
    return weight, activation_bytes(block, demand, group_size), kv + states
