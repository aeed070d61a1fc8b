"""A chip that reaches a share of its rates takes what a chip with lower rates takes."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Routing
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.timing.iterations import IterationTimer
from rack_sim.timing.precision import Precision

FP16 = Precision("fp16", "fp16", "fp16", "fp16")
MODEL = Architecture.dense("small", 3, 1024, 8, 4, 128, 4096, 8000, False, 4096)
BOX = Routing(
    fully_connected(
        name="node", chips=4, local=LinkType("c2c", 12_500_000_000, 533_000, 320, 328), port_count=3
    )
)
CHIP = Chip(
    name="small",
    execution="reactive",
    memory=(MemoryTier("hbm", 10**12, 10**12),),
    matrix=MatrixUnit({"fp16": 10**14}, None),
    vector_flop_per_s=10**12,
    operator_fixed_latency_ps=100_000,
    program_text_bytes=0,
    port_count=3,
    idle_watts=1.0,
    peak_watts=2.0,
    price_usd=1.0,
)


def timer(chip: Chip) -> IterationTimer:
    return IterationTimer(
        chip, BOX, [(0, 1, 2, 3)], [blocks_of(MODEL)], FP16, residual_elements=MODEL.hidden_size
    )


@pytest.mark.parametrize(("rows", "sampled"), [(1, 1), (64, 5), (500, 500)])
def test_a_share_of_the_rates_is_a_chip_with_lower_rates(rows: int, sampled: int) -> None:
    left = timer(replace(CHIP, memory_efficiency=Fraction(4, 5), matrix_efficiency=Fraction(1, 2)))
    right = timer(
        replace(
            CHIP,
            memory=(MemoryTier("hbm", 10**12, 8 * 10**11),),
            matrix=MatrixUnit({"fp16": 5 * 10**13}, None),
        )
    )
    assert left.base_ps(rows, sampled) == right.base_ps(rows, sampled)
    assert left.roofs == right.roofs


@given(st.integers(1, 10**16), st.integers(1, 1000))
def test_rates_are_rounded_up_to_whole_ones_and_the_published_stay(
    rate: int, thousandth: int
) -> None:
    share = Fraction(thousandth, 1000)
    tier = MemoryTier("hbm", 1, rate)
    chip = replace(CHIP, memory=(tier,), memory_efficiency=share)
    assert 0 <= chip.reached_bytes_per_s(tier) - rate * share < 1
    assert chip.fast_memory.bandwidth_bytes_per_s == rate
