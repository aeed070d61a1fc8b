"""Limits of a model whose head multiplies by its embedding, of feeds, and of tiers that differ.

By hand (a byte a weight): 2 layers of hidden 64, 4 heads of 16 (all of them key-value heads), inner
128, vocabulary 500.
"""

from dataclasses import replace
from math import ceil

import pytest

from rack_sim.compiler.limits import Limits, batch_limits, limits_of
from rack_sim.compiler.step import compile_step
from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

HIDDEN, INNER, VOCABULARY, LAYERS = 64, 128, 500, 2
TABLE = VOCABULARY * HIDDEN
PROJECTIONS = 4 * HIDDEN * HIDDEN + 3 * HIDDEN * INNER  # of a layer
NORMS = 2 * LAYERS * HIDDEN + HIDDEN
ONCE = TABLE + LAYERS * PROJECTIONS + NORMS  # the table of embedding and head once


def plan_of(
    *memory: MemoryTier,
    tied: bool = True,
    degree: int = 1,
    stages: int = 1,
    feed: int | None = None,
    peak: int = 10**18,
    execution: str = "static",
) -> Plan:
    chip = Chip(
        name="small",
        execution=execution,  # type: ignore[arg-type]
        memory=memory,
        matrix=MatrixUnit({"fp16": peak}, feed),
        vector_flop_per_s=10**18,
        operator_fixed_latency_ps=0,
        program_text_bytes=0,
        port_count=8,
        idle_watts=1.0,
        peak_watts=2.0,
        price_usd=1.0,
    )
    link = LinkType("c2c", 10**12, 0, 320, 328)
    topology = fully_connected(name="node", chips=8, local=link, port_count=8)
    plan = partition(
        Deployment(
            model=Architecture.dense(
                "small", LAYERS, HIDDEN, 4, 4, 16, INNER, VOCABULARY, tied, 512
            ),
            system=System("small", chip, topology, 0.0),
            shape=StepShape(1, 1, Precision("int8", "fp16", "fp16", "fp16")),
            concurrent_sequences=1,
            tensor_parallel=degree,
            stage_count=stages,
            objective="fewest_chips",
        )
    )
    assert isinstance(plan, Plan), plan
    return plan


def sram(capacity: int = 10**9, rate: int = 10**9) -> MemoryTier:
    return MemoryTier("sram", capacity, rate)


def limits(plan: Plan, capacity: int = 0) -> Limits:
    """Of a plan as if its chips had so much memory: what fits them is another question."""
    if capacity:
        (tier,) = plan.system.chip.memory
        chip = replace(plan.system.chip, memory=(replace(tier, capacity_bytes=capacity),))
        plan = replace(plan, system=replace(plan.system, chip=chip))
    return batch_limits(plan, plan.demand.shape.rows)


@pytest.mark.parametrize(("degree", "stages"), [(1, 1), (2, 1), (1, 2), (2, 2), (1, 3)])
def test_a_table_that_embedding_and_head_share_is_needed_once(degree: int, stages: int) -> None:
    """However the plan keeps it: once on one stage, twice where they lie apart."""
    plan = plan_of(sram(), degree=degree, stages=stages)
    assert plan.weight_bytes == ONCE + TABLE * (stages > 1)
    for capacity, chips in ((ONCE, 1), (ONCE - 1, 2), (ceil(ONCE / 3), 3), (ceil(ONCE / 3) - 1, 4)):
        assert limits(plan, capacity).chips_min == chips


@pytest.mark.parametrize("stages", [1, 2])
def test_tables_of_their_own_are_both_needed(stages: int) -> None:
    plan = plan_of(sram(), tied=False, stages=stages)
    for capacity, chips in ((ONCE + TABLE, 1), (ONCE + TABLE - 1, 2)):
        assert limits(plan, capacity).chips_min == chips


@pytest.mark.parametrize("degree", [1, 2, 4])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_feed_is_held_against_matrices_and_the_memory_against_norms_too(
    degree: int, rows: int
) -> None:
    """One stage. A byte of 10^9 a second takes a nanosecond; rows look up a row of the table."""
    plan = plan_of(sram(), degree=degree, feed=10**8)
    found = batch_limits(plan, rows)
    fed = TABLE + LAYERS * PROJECTIONS
    assert found.token_feed_limit_ps == ceil(fed / degree) * 10_000
    assert found.token_limit_ps == ceil((fed + NORMS + rows * HIDDEN) / degree) * 1_000
    assert found.compiled_rows_per_s is None
    unfed = batch_limits(plan_of(sram(), degree=degree), rows)
    assert unfed.token_feed_limit_ps == ceil(fed / degree) * 1_000


@pytest.mark.parametrize("rows", [1, 5])
def test_a_stage_takes_at_least_a_picosecond(rows: int) -> None:
    """Memory and matrix unit of no bound: a million million steps a second."""
    plan = plan_of(sram(rate=10**20), peak=10**20)
    assert batch_limits(plan, rows).system_rows_per_s == rows * 10**12


def test_flop_bound_the_rows_of_the_system() -> None:
    """Two FLOP a weight and row, on two chips; at 10^6 a microsecond each."""
    plan = plan_of(sram(rate=10**18), degree=2, peak=10**6)
    flop = 2 * 3 * (TABLE + LAYERS * PROJECTIONS)
    assert batch_limits(plan, 3).system_rows_per_s == 3 * 10**12 // (ceil(flop / 2) * 10**6)


@pytest.mark.parametrize("larger", [0, 1])
def test_the_largest_tier_that_may_hold_weights_counts(larger: int) -> None:
    """Two chips of a half in the one tier, not four of a quarter in the other."""
    sizes = [ceil(ONCE / 4), ceil(ONCE / 4)]
    sizes[larger] = ceil(ONCE / 2)
    fast, slow = sram(sizes[0], 10**12), MemoryTier("hbm", sizes[1] + 10**6, 10**11)
    plan = plan_of(fast, slow, degree=4, execution="reactive")
    tiers = (fast, replace(slow, capacity_bytes=sizes[1]))
    chip = replace(plan.system.chip, memory=tiers)
    assert batch_limits(replace(plan, system=replace(plan.system, chip=chip)), 1).chips_min == 2
    closed = list(tiers)
    closed[larger] = replace(tiers[larger], holds=("kv", "activations"))
    chip = replace(chip, memory=tuple(closed))
    assert batch_limits(replace(plan, system=replace(plan.system, chip=chip)), 1).chips_min == 4


def test_a_static_chip_has_the_tier_that_it_was_compiled_for() -> None:
    """Its first, whatever else there is."""
    plan = plan_of(sram(ONCE + 10**5), MemoryTier("hbm", 10**12, 10**9))
    step = compile_step(plan)
    assert limits_of(step).chips_min == 1
    small = replace(plan.system.chip.memory[0], capacity_bytes=ceil(ONCE / 2))
    chip = replace(plan.system.chip, memory=(small, plan.system.chip.memory[1]))
    moved = replace(plan, system=replace(plan.system, chip=chip))
    assert batch_limits(moved, 1).chips_min == 2
    rows = step.rows * 10**12 // step.interval_ps
    assert limits_of(step).compiled_rows_per_s == rows > 0
