"""Bytes of a chip by hand: what is replicated, what is rounded up, what context and window are."""

from dataclasses import replace

import pytest

from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.model.choice import Choice
from rack_sim.model.operators import Block, Operator
from rack_sim.partition.memory import (
    ChipMemory,
    MemoryDemand,
    activation_bytes,
    block_weight_bytes,
    group_memory,
    largest_chip_bytes,
    replicated_bytes,
)
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

CHIP = Chip(
    "small", "static", (MemoryTier("sram", 10**9, 10**12),), MatrixUnit({"fp16": 10**12}, None),
    10**12, 0, 4096, 8, 1.0, 2.0, 1.0,
)  # fmt: skip
ROWS, CONTEXT, HIDDEN = 3, 11, 100
SPLIT = Operator("projection", "matrix", parameters=10)
WHOLE = Operator("router", "matrix", parameters=3, replicated=True)
MIXED = Block("mixed", "feed_forward", (SPLIT, WHOLE), True, kv_elements_per_token=5)


def demand(*, weights: str = "int8", rows: int = ROWS, kv_tokens: int = 7) -> MemoryDemand:
    shape = StepShape(rows, CONTEXT, Precision(weights, "fp16", "fp16", "fp16"))
    return MemoryDemand(shape, kv_tokens, HIDDEN)


def widest_elements(operator: Operator, group: int, rows: int = ROWS) -> int:
    """Of a block of one operator: two bytes an element, two buffers beside the residual stream."""
    block = Block("one", "feed_forward", (operator,), True)
    buffers = activation_bytes(block, demand(rows=rows), group) - 2 * rows * HIDDEN
    assert buffers % (2 * 2) == 0
    return buffers // (2 * 2)


@pytest.mark.parametrize(("weights", "bits"), [("int8", 8), ("fp16", 16)])
def test_what_is_replicated_lies_whole_on_every_chip(weights: str, bits: int) -> None:
    """Thirteen parameters: ten are shared out over four chips, three lie on each."""
    wanted = demand(weights=weights)
    assert block_weight_bytes(MIXED, wanted) == 10 * bits // 8
    assert replicated_bytes(MIXED, wanted) == 3 * bits // 8
    held = [
        memory.weight_bytes for memory in group_memory([MIXED], wanted, chip=CHIP, group_size=4)
    ]
    assert sum(held) == (10 + 4 * 3) * bits // 8
    assert max(held) - min(held) <= 1
    twice = group_memory([MIXED, replace(MIXED, name="second")], wanted, chip=CHIP, group_size=4)
    assert sum(memory.weight_bytes for memory in twice) == 2 * (10 + 4 * 3) * bits // 8


@pytest.mark.parametrize(
    ("group", "weight", "kv"),
    [(1, 10 + 3, 2 * 35), (2, 5 + 3, 2 * 18), (4, 3 + 3, 2 * 9), (5, 2 + 3, 2 * 7), (20, 1 + 3, 4)],
)
def test_the_fullest_chip_has_its_share_rounded_up(group: int, weight: int, kv: int) -> None:
    """Ten parameters of a byte; five elements of two bytes for seven tokens."""
    found = largest_chip_bytes(MIXED, demand(), group_size=group)
    assert found == (weight, activation_bytes(MIXED, demand(), group), kv)
    chips = group_memory([MIXED], demand(), chip=CHIP, group_size=group)
    assert {memory.kv_bytes for memory in chips} == {kv}
    assert max(memory.weight_bytes for memory in chips) == weight


def test_a_chip_without_blocks_has_its_program_only() -> None:
    empty = ChipMemory(0, 0, 0, CHIP.program_text_bytes)
    assert group_memory([], demand(), chip=CHIP, group_size=2) == (empty, empty)
    assert empty.used_bytes == 4096
    assert ChipMemory(1, 20, 300, 4000).used_bytes == 4321


@pytest.mark.parametrize(
    ("operator", "elements"),
    [
        (Operator("rows", "vector", activations_per_row=7), 3 * 2),
        (Operator("even", "vector", activations_per_row=8), 3 * 2),
        (Operator("scores", "vector", activations_per_row=7, activations_per_row_token=2), 3 * 8),
        (
            Operator(
                "in a window",
                "vector",
                activations_per_row=7,
                activations_per_row_token=2,
                window_tokens=4,
            ),
            3 * 4,
        ),
        (
            Operator(
                "in a wide window",
                "vector",
                activations_per_row=7,
                activations_per_row_token=2,
                window_tokens=50,
            ),
            3 * 8,
        ),
        (Operator("whole", "vector", activations_per_row=7, replicated=True), 3 * 7),
        (
            Operator(
                "whole scores",
                "vector",
                activations_per_row=7,
                activations_per_row_token=2,
                replicated=True,
            ),
            3 * 29,
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Operator) else "",
)
def test_activations_of_a_row_are_split_over_four_chips_and_rounded_up(
    operator: Operator, elements: int
) -> None:
    """Three rows of seven elements, and two for each of the 11 tokens that a row attends to."""
    assert widest_elements(operator, 4) == elements


@pytest.mark.parametrize(
    ("choice", "group", "elements"),
    [
        # 3 rows x 2 experts are six pairs of five elements each.
        (Choice(8, 2), 1, 30),
        (Choice(8, 2), 4, 8),  # a pair and a half: 7.5
        (Choice(8, 2), 8, 4),  # 3.75
        # Whole experts on chips: any three rows may all go to the two experts of one chip.
        (Choice(8, 2, apart=True), 4, 30),
        (Choice(8, 2, apart=True), 8, 15),  # only one expert there
        (Choice(8, 2, apart=True, capacity_factor=1.0), 8, 5),  # an equal share: 6 / 8, one pair
    ],
)
def test_activations_of_experts_are_those_of_the_most_rows_that_can_come(
    choice: Choice, group: int, elements: int
) -> None:
    """The chosen two touch ten elements a row, so each of them five."""
    operator = Operator("experts", "matrix", activations_per_row=10, choice=choice)
    assert widest_elements(operator, group) == elements


@pytest.mark.parametrize("first", [True, False])
def test_the_widest_operator_counts_wherever_it_stands(first: bool) -> None:
    wide = Operator("wide", "vector", activations_per_row=40)
    narrow = Operator("narrow", "vector", activations_per_row=4)
    block = Block("two", "feed_forward", (wide, narrow) if first else (narrow, wide), True)
    assert activation_bytes(block, demand(), 4) == 2 * (3 * HIDDEN + 2 * 3 * 10)
    alone = replace(block, operators=(narrow,))
    pair = group_memory([alone, block, alone], demand(), chip=CHIP, group_size=4)
    assert {memory.activation_bytes for memory in pair} == {2 * (3 * HIDDEN + 2 * 3 * 10)}
