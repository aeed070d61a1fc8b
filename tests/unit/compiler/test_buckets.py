"""Programs for several contexts: what serving is told of them, against each compiled alone."""

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.compiler.buckets import bucket_slots
from rack_sim.compiler.draft import draft_slots
from rack_sim.compiler.slots import BucketTiming, SlotTiming
from rack_sim.compiler.step import StepTiming, compile_step, program_of
from rack_sim.foundation.errors import InputError
from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

BOUNDS = (16, 128, 512)


@pytest.fixture(scope="module", params=[(1, 3), (2, 2)], ids=["chips", "groups"])
def step(request: pytest.FixtureRequest) -> StepTiming:
    link = LinkType("c2c", 10**10, 100_000, 320, 328)
    chip = Chip(
        name="small",
        execution="static",
        memory=(MemoryTier("sram", 10**9, 10**11),),
        matrix=MatrixUnit({"fp16": 10**12}, 10**11),
        vector_flop_per_s=10**11,
        operator_fixed_latency_ps=50_000,
        program_text_bytes=1000,
        port_count=99,
        idle_watts=1.0,
        peak_watts=2.0,
        price_usd=1.0,
    )
    topology = fully_connected(name="small", chips=8, local=link, port_count=99)
    system = System("small", chip, topology, 0.0)
    plan = partition(
        Deployment(
            model=Architecture.dense("small", 3, 256, 8, 4, 32, 512, 1000, False, 512),
            system=system,
            shape=StepShape(2, BOUNDS[-1], Precision("int8", "fp16", "fp16", "fp16")),
            concurrent_sequences=2,
            tensor_parallel=request.param[0],
            stage_count=request.param[1],
            objective="fewest_chips",
        )
    )
    assert isinstance(plan, Plan)
    return compile_step(plan)


def test_every_bucket_is_its_program_compiled_alone(step):
    slots = bucket_slots(step, BOUNDS)
    way_back_ps = step.transfers[-1].message.duration_ps
    for number, (bound, bucket) in enumerate(zip(BOUNDS, slots.buckets, strict=True)):
        program, interval_ps = program_of(step, context_tokens=bound)
        assert bucket.context_tokens == bound
        assert bucket.latency_ps == program.latency_ps
        assert bucket.token_ps == program.latency_ps - way_back_ps
        assert slots.separation_ps[number][number] == interval_ps


def test_the_last_bucket_is_the_step(step):
    """All else is of the longest context, as where there is but one program."""
    slots = bucket_slots(step, BOUNDS)
    assert slots.separation_ps[-1][-1] == step.interval_ps
    assert (slots.buckets[-1].latency_ps, slots.buckets[-1].token_ps) == (
        step.latency_ps,
        step.token_ps,
    )
    assert bucket_slots(step, ()) == bucket_slots(step, BOUNDS[-1:]) == step.slots
    assert (slots.slot_count, slots.rows) == (step.slot_count, step.rows)


def test_a_longer_context_takes_longer_and_tokens_keep_their_order(step):
    slots = bucket_slots(step, BOUNDS)
    latencies = [bucket.latency_ps for bucket in slots.buckets]
    assert latencies == sorted(set(latencies))
    for before, after in product(range(3), repeat=2):
        ahead_ps = slots.buckets[before].token_ps - slots.buckets[after].token_ps
        assert slots.separation_ps[before][after] > ahead_ps


def test_a_bucket_beyond_the_plan_is_refused(step):
    with pytest.raises(InputError, match="not 1024"):
        bucket_slots(step, (512, 1024))


@pytest.mark.parametrize("draft_latency_ps", [0, 1, 10**6, 10**9])
def test_a_draft_makes_slots_revolve_slower_and_more_of_them(step, draft_latency_ps):
    """S = ceil((L + D) / II), every latency D longer, and what is sampled when is as it was."""
    slots = draft_slots(
        step, bucket_slots(step, BOUNDS), draft_tokens=1, draft_latency_ps=draft_latency_ps
    )
    back_ps = step.latency_ps + draft_latency_ps
    assert back_ps <= slots.revolution_ps < back_ps + step.interval_ps
    assert (slots.rows, slots.rows_per_sequence, slots.token_ps) == (2, 2, step.token_ps)
    assert slots.buckets[-1].latency_ps == back_ps
    assert slots.buckets[-1].token_ps == step.token_ps


def test_a_draft_that_has_no_rows_is_refused(step):
    with pytest.raises(InputError, match="need 3 rows of a slot, which has 2"):
        draft_slots(step, step.slots, draft_tokens=2, draft_latency_ps=0)


@st.composite
def holds(draw: st.DrawFn) -> list[list[tuple[int, int]]]:
    """Programs on some units, the longest last: from when to when each holds each unit."""
    units = draw(st.integers(1, 4))
    longest = draw(st.lists(st.tuples(*[st.integers(0, 50)] * 2), min_size=units, max_size=units))
    return [
        [(draw(st.integers(0, a)), a + draw(st.integers(1, 1 + b))) for a, b in longest]
        for _ in range(draw(st.integers(0, 3)))
    ] + [[(a, a + b + 1) for a, b in longest]]


@given(holds(), st.data())
def test_steps_hold_the_pipeline_no_longer_than_there_is_time(
    programs: list[list[tuple[int, int]]], data: st.DataObject
) -> None:
    """Whatever follows what, as soon as it may: with own intervals that would not be so."""
    separation_ps = tuple(
        tuple(
            max(1, *(last - first for (_, last), (first, _) in zip(a, b, strict=True)))
            for b in programs
        )
        for a in programs
    )
    buckets = tuple(BucketTiming(n + 1, 1, 1) for n in range(len(programs)))
    own = [row[number] for number, row in enumerate(separation_ps)]
    timing = SlotTiming(1, 1, own[-1], 1, 1, 1, buckets=buckets, separation_ps=separation_ps)
    held = timing.held_ps
    assert held[-1] == own[-1]
    assert all(0 <= less <= most for less, most in zip(held, own, strict=True))
    order = data.draw(st.lists(st.integers(0, len(programs) - 1), min_size=1, max_size=9))
    entry_ps = sum(separation_ps[a][b] for a, b in pairwise(order))
    ends_ps = entry_ps + max(last for _, last in programs[order[-1]])
    assert sum(held[number] for number in order) <= ends_ps
