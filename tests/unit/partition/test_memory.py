"""What sits on each chip: exact shares of weights, cache for every sequence, live activations."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.operators import Block
from rack_sim.partition.memory import (
    MemoryDemand,
    activation_bytes,
    block_weight_bytes,
    group_memory,
    largest_chip_bytes,
)
from rack_sim.timing.precision import Precision, bytes_of
from rack_sim.timing.shape import StepShape

CHIP = Chip(
    "small", "static", (MemoryTier("sram", 10**9, 10**12),), MatrixUnit({"fp16": 10**12}, None),
    10**12, 0, 4096, 8, 1.0, 2.0, 1.0,
)  # fmt: skip
MODEL = Architecture.dense("small", 2, 96, 6, 2, 16, 200, 777, False, 4096)
BLOCKS = blocks_of(MODEL)


def demand(*, rows: int = 1, context: int = 128, sequences: int = 3, weights: str = "int8"):
    shape = StepShape(rows, context, Precision(weights, "fp16", "fp16", "fp16"))
    return MemoryDemand(shape, sequences * context, MODEL.hidden_size)


@given(
    st.integers(0, len(BLOCKS) - 1), st.integers(1, 6), st.integers(1, 16),
    st.sampled_from(["int8", "fp16", "int4"]),
)  # fmt: skip
def test_the_weights_of_a_group_are_those_of_its_blocks(
    start: int, length: int, group: int, weights: str
) -> None:
    blocks, wanted = BLOCKS[start : start + length], demand(weights=weights)
    chips = group_memory(blocks, wanted, chip=CHIP, group_size=group)
    bits = {"int8": 8, "fp16": 16, "int4": 4}[weights]
    assert sum(memory.weight_bytes for memory in chips) == sum(
        ceil(block.parameters * bits / 8) for block in blocks
    )


@pytest.mark.parametrize("group", [1, 2, 3, 8])
@pytest.mark.parametrize("weights", ["int8", "fp16", "int4"])
def test_a_tied_table_lies_once_where_embedding_and_head_meet(group: int, weights: str) -> None:
    tied = blocks_of(replace(MODEL, tied_embeddings=True))
    wanted = demand(weights=weights)

    def weight_bytes(*parts: Sequence[Block]) -> int:
        held = (group_memory(part, wanted, chip=CHIP, group_size=group) for part in parts)
        return sum(memory.weight_bytes for chips in held for memory in chips)

    table = bytes_of(MODEL.embedding_parameters, weights)
    whole = sum(bytes_of(block.parameters, weights) for block in tied)
    assert weight_bytes(tied) == whole - table
    assert weight_bytes(tied[:2], tied[2:]) == whole
    assert weight_bytes(tied[:-1]) == weight_bytes(BLOCKS[:-1])
    assert weight_bytes(tied[1:]) == weight_bytes(BLOCKS[1:])
    assert weight_bytes(BLOCKS) == whole


@pytest.mark.parametrize(("group", "sequences"), [(1, 1), (2, 3), (4, 7), (3, 5)])
def test_the_cache_holds_every_sequence_at_full_context(group: int, sequences: int) -> None:
    layer = BLOCKS[1:3]
    memory = group_memory(layer, demand(sequences=sequences), chip=CHIP, group_size=group)[0]
    elements = sequences * 128 * 2 * 2 * 16  # tokens, keys and values, heads, head size
    assert memory.kv_bytes == 2 * ceil(elements / group)
    assert group_memory(BLOCKS[2:3], demand(), chip=CHIP, group_size=group)[0].kv_bytes == 0


def test_activations_are_the_residual_and_two_buffers_of_the_widest_operator() -> None:
    """The feed-forward of 200: its gated activation touches 3 x 200 elements a row, the widest."""
    assert activation_bytes(BLOCKS[2], demand(rows=5), 4) == 2 * 5 * (96 + 2 * ceil(600 / 4))
    # Attention scores grow with context: 6 heads x 10,000 tokens, twice in the softmax.
    long = demand(rows=1, context=10_000)
    assert activation_bytes(BLOCKS[1], long, 2) == 2 * (96 + 2 * 60_000)


def test_a_chip_holds_four_kinds_and_the_fullest_block_of_activations() -> None:
    memory = group_memory(BLOCKS[1:4], demand(), chip=CHIP, group_size=2)[1]
    assert memory.program_bytes == 4096
    assert memory.activation_bytes == max(
        activation_bytes(block, demand(), 2) for block in BLOCKS[1:4]
    )
    assert memory.used_bytes == (
        memory.weight_bytes + memory.kv_bytes + memory.activation_bytes + memory.program_bytes
    )


@given(st.integers(1, 16), st.integers(1, 9), st.integers(1, 300), st.integers(1, 9))
def test_what_the_cutter_sees_is_never_less_than_what_a_chip_holds(
    group: int, sequences: int, context: int, rows: int
) -> None:
    """Else a plan could overfill a chip; and it is at most a few bytes a block more."""
    wanted = demand(rows=rows, context=context, sequences=sequences)
    sizes = [largest_chip_bytes(block, wanted, group_size=group) for block in BLOCKS]
    seen = sum(weight + kv for weight, _, kv in sizes) + max(live for _, live, _ in sizes) + 4096
    chips = group_memory(BLOCKS, wanted, chip=CHIP, group_size=group)
    fullest = max(memory.used_bytes for memory in chips)
    # Rounding: a byte of weights and two of cache for each block.
    assert fullest <= seen <= fullest + 3 * len(BLOCKS)


def test_weight_bytes_of_a_block() -> None:
    feed_forward = 3 * 96 * 200 + 96
    assert block_weight_bytes(BLOCKS[2], demand(weights="int8")) == feed_forward
    assert block_weight_bytes(BLOCKS[2], demand(weights="fp16")) == 2 * feed_forward
