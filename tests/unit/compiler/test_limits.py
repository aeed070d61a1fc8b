"""Physical limits: what nothing can beat is indeed never beaten, and follows from the bytes."""

from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.compiler.limits import limits_of
from rack_sim.compiler.step import StepTiming, compile_step
from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape


def compiled(
    *, memory: int = 10**9, feed: int | None = 10**9, vocabulary: int = 1000, layers: int = 3,
    degree: int = 2, stages: int = 2, capacity: int = 10**8, rows: int = 1, peak: int = 10**18,
) -> StepTiming:  # fmt: skip
    """A machine that is bound by reading weights: no fixed latency, no link, no arithmetic."""
    link = LinkType("c2c", 10**18, 0, 320, 328)
    chip = Chip(
        name="small",
        execution="static",
        memory=(MemoryTier("sram", capacity, memory),),
        matrix=MatrixUnit({"fp16": peak}, feed),
        vector_flop_per_s=10**18,
        operator_fixed_latency_ps=0,
        program_text_bytes=0,
        port_count=99,
        idle_watts=1.0,
        peak_watts=2.0,
        price_usd=1.0,
    )
    topology = fully_connected(name="node", chips=8, local=link, port_count=99)
    plan = partition(
        Deployment(
            model=Architecture.dense("small", layers, 256, 8, 4, 32, 512, vocabulary, False, 512),
            system=System("small", chip, topology, 0.0),
            shape=StepShape(rows, 1, Precision("int8", "fp16", "fp16", "fp16")),
            concurrent_sequences=1,
            tensor_parallel=degree,
            stage_count=stages,
            objective="fewest_chips",
        )
    )
    assert isinstance(plan, Plan)
    return compile_step(plan)


def test_the_fewest_chips_hold_the_weights_alone() -> None:
    step = compiled(capacity=3_000_000)
    weights = step.plan.weight_bytes
    assert limits_of(step).chips_min == ceil(weights / 3_000_000)


def test_compiled_rows_per_second_are_rows_per_interval() -> None:
    step = compiled(rows=7)
    assert limits_of(step).compiled_rows_per_s == 7 * 10**12 // step.interval_ps


@pytest.mark.parametrize("rows", [1, 8])
def test_a_limit_follows_from_bytes_and_bandwidth(rows: int) -> None:
    """Layers only matter here: with a small table both limits are near weights over bandwidth.

    Two per cent: the table of 8 x 256 is not read, norms are not fed, shares are rounded up.
    """
    step = compiled(vocabulary=8, layers=3, rows=rows, feed=10**8)
    limits = limits_of(step)
    per_chip = step.plan.weight_bytes / 2  # two chips read the shares of one stage side by side
    assert limits.token_limit_ps == pytest.approx(per_chip / 10**9 * 10**12, rel=0.02)
    assert limits.token_feed_limit_ps == pytest.approx(per_chip / 10**8 * 10**12, rel=0.02)


@given(
    degree_stages=st.sampled_from([(1, 1), (2, 2), (4, 2), (8, 1), (1, 8)]),
    memory=st.sampled_from([10**8, 10**9, 10**12]),
    feed=st.sampled_from([None, 10**8, 10**10]),
    rows=st.integers(1, 20),
)
@settings(max_examples=40, deadline=None)
def test_no_step_beats_the_limits(
    degree_stages: tuple[int, int], memory: int, feed: int | None, rows: int
) -> None:
    degree, stages = degree_stages
    step = compiled(memory=memory, feed=feed, rows=rows, degree=degree, stages=stages, vocabulary=8)
    limits = limits_of(step)
    assert limits.token_limit_ps <= step.revolution_ps
    assert limits.compiled_rows_per_s <= limits.system_rows_per_s


@pytest.mark.parametrize("feed", [10**8, 10**12])
def test_an_embedding_table_that_is_only_looked_up_bounds_nothing(feed: int) -> None:
    """A step reads one row of the table: "what no schedule can beat" must not count all of it.

    One layer and a vocabulary of 20,000: the table is most of the first stage.
    """
    step = compiled(vocabulary=20_000, layers=1, degree=2, stages=4, feed=feed)
    limits = limits_of(step)
    assert limits.token_limit_ps <= step.latency_ps
    assert limits.token_feed_limit_ps <= step.latency_ps
    assert limits.compiled_rows_per_s <= limits.system_rows_per_s


@pytest.mark.parametrize("peak", [10**18, 10**9])
def test_rows_of_the_system_are_those_of_its_slowest_stage(peak: int) -> None:
    """Which reads its matrices or multiplies by them, whichever takes longer; 2 FLOP a weight.

    One byte a weight. The table of 1000 x 256 on the first chip is looked up, not read.
    """
    rows = 16
    step = compiled(degree=1, stages=3, rows=rows, memory=10**9, peak=peak)
    seconds = []
    for stage in step.plan.stages:
        operators = [o for block in stage.blocks for o in block.operators]
        read = sum(
            o.lookup_per_row * rows if o.lookup_per_row else o.parameters_met for o in operators
        )
        flop = sum(2 * rows * o.parameters for o in operators if o.unit == "matrix")
        seconds.append(max(read / 10**9, flop / peak))
    assert len(set(seconds)) > 1  # else the slowest is any
    assert limits_of(step).system_rows_per_s == pytest.approx(rows / max(seconds), rel=0.01)
