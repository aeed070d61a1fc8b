"""Each kind of bytes lies, whole, in the fastest memory tier where it fits; time follows.

The model by hand (fp16): 3 layers of hidden 256, 8 heads of 32, 4 key-value heads, inner 512.
"""

from dataclasses import replace
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rack_sim
from rack_sim.compiler.batches import BatchMachine, CacheRoom, batch_machine
from rack_sim.compiler.limits import batch_limits
from rack_sim.compiler.step import compile_step
from rack_sim.foundation.units import PS_PER_S
from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import KINDS, Chip, Kind, MatrixUnit, MemoryTier, Tiers
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.metrics.tables import memory_rows
from rack_sim.model.architecture import Architecture
from rack_sim.model.operators import Operator
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.partition.tiers import placements
from rack_sim.timing.operators import time_operator
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

FP16 = Precision("fp16", "fp16", "fp16", "fp16")
MODEL = Architecture.dense("small", 3, 256, 8, 4, 32, 512, 1000, False, 4096)
WEIGHTS = 2 * MODEL.parameter_count
CONTEXT = 512
# Keys and values of 4 heads of 32 in 3 layers, two bytes each.
TOKEN_BYTES = 2 * 2 * 4 * 32 * 3
CACHE = CONTEXT * TOKEN_BYTES
SRAM, HBM, DDR = 10**13, 10**12, 10**11


def tier(name: str, capacity: int, rate: int, holds: tuple[Kind, ...] = KINDS) -> MemoryTier:
    return MemoryTier(name, capacity, rate, holds)


def chip_of(*memory: MemoryTier, text: int = 0) -> Chip:
    return Chip(
        name="tiered",
        execution="reactive",
        memory=memory,
        matrix=MatrixUnit({"fp16": 10**18}, None),
        vector_flop_per_s=10**18,
        operator_fixed_latency_ps=0,
        program_text_bytes=text,
        port_count=8,
        idle_watts=1.0,
        peak_watts=2.0,
        price_usd=1.0,
    )


def answer(chip: Chip, degree: int = 1, stages: int | None = 1) -> Plan | Infeasible:
    link = LinkType("c2c", 10**12, 1000, 320, 328)
    topology = fully_connected(name="node", chips=4, local=link, port_count=8)
    return partition(
        Deployment(
            model=MODEL,
            system=System("tiered", chip, topology, 0.0),
            shape=StepShape(1, CONTEXT, FP16),
            concurrent_sequences=1,
            tensor_parallel=degree,
            stage_count=stages,
            objective="fewest_chips",
        )
    )


def planned(chip: Chip, degree: int = 1, stages: int | None = 1) -> Plan:
    plan = answer(chip, degree, stages)
    assert isinstance(plan, Plan), plan
    return plan


def machine(chip: Chip, rows: int = 1, share: float = 1.0) -> BatchMachine:
    found = batch_machine(planned(chip), CacheRoom(rows, 16, share))
    assert isinstance(found, BatchMachine), found
    return found


@pytest.mark.parametrize(
    ("sram", "tiers"),
    [
        (10**9, Tiers(0, 0, 0)),
        (WEIGHTS + 10**5, Tiers(0, 0, 1)),
        (WEIGHTS, Tiers(0, 1, 1)),
        (WEIGHTS - 1, Tiers(1, 0, 0)),
        (CACHE - 1, Tiers(1, 0, 1)),
        (1000, Tiers(1, 1, 1)),
    ],
)
def test_weights_come_first_then_activations_then_cache(sram: int, tiers: Tiers) -> None:
    plan = planned(chip_of(tier("sram", sram, SRAM), tier("hbm", 10**9, HBM)))
    assert plan.system.chip.tiers == tiers


def test_a_tier_may_be_closed_to_a_kind() -> None:
    closed = tier("sram", 10**9, SRAM, ("activations",))
    plan = planned(chip_of(closed, tier("hbm", 10**9, HBM), tier("ddr", 10**10, DDR)))
    assert plan.system.chip.tiers == Tiers(1, 0, 1)


def test_what_the_faster_tier_cannot_hold_goes_to_the_slower() -> None:
    """Weights fill the HBM: the cache is left for the DDR."""
    memory = (tier("sram", 10**6, SRAM, ("activations",)), tier("hbm", WEIGHTS, HBM))
    plan = planned(chip_of(*memory, tier("ddr", 10**10, DDR)))
    assert plan.system.chip.tiers == Tiers(1, 0, 2)
    assert plan.concurrent_sequences_max == 10**10 // CACHE


def test_more_chips_bring_weights_into_the_fast_tier() -> None:
    memory = (tier("sram", WEIGHTS // 2 - 1, SRAM), tier("hbm", 10**9, HBM))
    assert planned(chip_of(*memory), degree=2).system.chip.tiers.weights == 1
    assert planned(chip_of(*memory), degree=4).system.chip.tiers == Tiers(0, 0, 0)
    # Four stages: the fullest has the head (and the last blocks), less than half of all.
    assert planned(chip_of(*memory), stages=4).system.chip.tiers.weights == 0


def test_one_tier_is_what_it_was() -> None:
    assert placements(chip_of(tier("hbm", 10**9, HBM))) == (Tiers(),)
    static = replace(
        chip_of(tier("sram", 10**9, SRAM), tier("hbm", 10**9, HBM)), execution="static"
    )
    assert placements(static) == (Tiers(),)


TIMED = Operator(
    "all kinds",
    "matrix",
    parameters=12_345,
    flop_per_row=1,
    activations_per_row=678,
    kv_read_per_row_token=91,
    kv_write_per_row=23,
)


@given(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
    st.integers(1, 9),
    st.integers(0, 300),
)
def test_memory_time_is_the_sum_over_kinds_rounded_up_once(
    numbers: tuple[int, int, int], rows: int, context: int
) -> None:
    chip = chip_of(
        tier("sram", 1, 9_700_000_000_019), tier("hbm", 1, 1_638_400_000_003), tier("ddr", 1, 10**8)
    ).placed(Tiers(*numbers))
    timing = time_operator(
        TIMED, chip=chip, precision=FP16, rows=rows, context_tokens=context, group_size=1
    )
    sizes = (2 * 12_345, 2 * 678 * rows, 2 * rows * (91 * context + 23))
    exact = sum(
        Fraction(size * PS_PER_S, chip.memory[number].bandwidth_bytes_per_s)
        for size, number in zip(sizes, numbers, strict=True)
    )
    assert timing.terms.memory_ps == ceil(exact)
    assert timing.memory_bytes == sum(sizes)


def test_iterations_read_each_kind_from_its_tier() -> None:
    """Nothing but bytes takes time. Decoding one row: all weights, and the cache at its rate."""
    sram = tier("sram", 10**6, SRAM, ("activations",))
    found = machine(chip_of(sram, tier("hbm", WEIGHTS, HBM), tier("ddr", 10**10, DDR)))
    assert found.plan.system.chip.tiers == Tiers(1, 0, 2)
    read = WEIGHTS - 2 * (MODEL.vocabulary_size - 1) * MODEL.hidden_size  # one row looked up
    base = found.timer.base_ps(1, 1)
    written_ps = TOKEN_BYTES * PS_PER_S // DDR
    activations_ps = 2 * MODEL.hidden_size * 400 * PS_PER_S // SRAM  # a generous bound
    least_ps = read * PS_PER_S // HBM + written_ps
    assert least_ps <= base <= least_ps + activations_ps
    (roof,) = [roof for roof in found.timer.roofs if roof.name == "memory"]
    assert roof.per_token_ps == ceil(Fraction(TOKEN_BYTES * PS_PER_S, DDR))
    assert roof.per_row_ps < ceil(Fraction(2 * 3 * 2 * 256 * PS_PER_S, HBM))  # in the SRAM


def test_the_cache_takes_what_is_left_of_its_tier() -> None:
    found = machine(
        chip_of(tier("sram", WEIGHTS + 10**5, SRAM), tier("hbm", 10**9, HBM), text=777), share=0.9
    )
    assert found.plan.system.chip.tiers == Tiers(0, 0, 1)
    # Program text lies in the slowest tier in use; a tenth of the tier is left free.
    blocks = (9 * 10**8 - 777) // (16 * TOKEN_BYTES)
    assert found.timing.block_count == blocks
    assert found.chip_bytes["left_free"] == 10**8
    assert found.used_bytes_max == (
        WEIGHTS + 777 + found.chip_bytes["activations"] + blocks * 16 * TOKEN_BYTES
    )
    row = next(memory_rows(found))
    assert row[-4:] == (str(10**9 + WEIGHTS + 10**5), "sram", "hbm", "sram")


def test_many_rows_move_their_activations_to_a_slower_tier() -> None:
    chip = chip_of(tier("sram", 10**5, SRAM, ("activations",)), tier("hbm", 10**9, HBM))
    assert machine(chip, rows=1).plan.system.chip.tiers.activations == 0
    many = machine(chip, rows=4096)
    assert many.plan.system.chip.tiers == Tiers(1, 1, 1)
    # The plan that follows the batches compiles, and its program is checked, in these tiers.
    assert compile_step(many.plan).plan is many.plan


def test_limits_read_weights_at_their_tier() -> None:
    memory = (tier("sram", 10**5, SRAM, ("activations",)), tier("hbm", 10**9, HBM))
    fast = replace(chip_of(*memory), memory_efficiency=Fraction(1, 2))
    plan = machine(fast).plan
    read = WEIGHTS - 2 * (MODEL.vocabulary_size - 1) * MODEL.hidden_size
    limits = batch_limits(plan, 1)
    assert limits.token_limit_ps == ceil(Fraction(read * PS_PER_S, HBM))
    assert limits.chips_min == 1


def test_what_does_not_fit_names_the_tier() -> None:
    memory = (tier("sram", 10**5, SRAM, ("activations",)), tier("hbm", WEIGHTS - 1, HBM))
    refused = answer(chip_of(*memory))
    assert isinstance(refused, Infeasible)
    assert refused.question.endswith("in hbm of a chip")
    assert (refused.scope, refused.bound_bytes) == ("chip", WEIGHTS - 1)
    assert refused.gap_bytes == CACHE + 1
    assert refused.terms["weights (system)"] == WEIGHTS


def test_a_cache_that_fits_no_tier_is_refused() -> None:
    memory = (tier("sram", 10**5, SRAM, ("activations",)), tier("hbm", WEIGHTS + 10**6, HBM))
    plan = planned(chip_of(*memory))
    refused = batch_machine(plan, CacheRoom(1, 16, 0.9))
    assert isinstance(refused, Infeasible)
    assert refused.question.endswith("in the hbm of each")
    assert refused.demand_bytes == refused.terms["weights"] + refused.terms["kv_cache"] + (
        refused.terms["left_free"] + refused.terms["program_text"]
    )
    assert "activations" not in refused.terms


def test_activations_that_fit_no_tier_are_refused() -> None:
    memory = (
        tier("sram", 10**5, SRAM, ("activations",)),
        tier("hbm", 10**9, HBM, ("weights", "kv")),
    )
    refused = batch_machine(planned(chip_of(*memory)), CacheRoom(4096, 16))
    assert isinstance(refused, Infeasible)
    assert refused.bound_bytes == 10**5 < refused.demand_bytes == refused.terms["activations"]


def test_eight_sn40l_hold_a_70b_in_hbm_and_its_activations_in_sram() -> None:
    """And read the weights at 8 x 1.6 TB/s: the limit, which no iteration beats."""
    changes = ["system=sambanova-sn40l-x8", "partition.tensor_parallel=8"]
    found = rack_sim.explain(rack_sim.load("llama70b-a100", changes))
    chip = found.plan.system.chip
    assert [chip.tier_of(kind).name for kind in KINDS] == ["hbm", "sram", "hbm"]
    assert found.batch is not None
    read = 2 * (
        70_553_706_496 - (128_256 - 2_048) * 8_192
    )  # as many rows looked up as there can be
    assert found.limits.token_limit_ps == ceil(Fraction(read * PS_PER_S, 8 * 1_600 * 10**9))
    assert found.batch.timer.base_ps(2_048, 1) > found.limits.token_limit_ps


@pytest.mark.parametrize("block", [16, 100, 513])
def test_the_cache_of_a_sequence_is_whole_blocks(block: int) -> None:
    """512 tokens in blocks of 16, 100 and 513: 32, 6 and 1 of them, to the byte where they fit."""
    tokens = {16: 512, 100: 600, 513: 513}[block]
    room = CacheRoom(1, block)
    memory = (tier("sram", tokens * TOKEN_BYTES, SRAM, ("kv",)), tier("hbm", 10**9, HBM))
    holds = batch_machine(planned(chip_of(*memory)), room)
    assert isinstance(holds, BatchMachine)
    assert holds.plan.system.chip.tiers.kv == 0
    short = (tier("sram", tokens * TOKEN_BYTES - 1, SRAM, ("kv",)), tier("hbm", 10**9, HBM))
    moved = batch_machine(planned(chip_of(*short)), room)
    assert isinstance(moved, BatchMachine)
    assert moved.plan.system.chip.tiers.kv == 1


def test_the_fewest_chips_count_the_largest_tier_that_may_hold_weights() -> None:
    """Two of a half each, not three of a third."""
    memory = (tier("sram", WEIGHTS // 3 + 1, SRAM), tier("hbm", WEIGHTS // 2 + 1, HBM))
    plan = planned(chip_of(*memory), degree=4)
    assert batch_limits(plan, 1).chips_min == 2
