"""A compiled step: L, II, S and R by their formulas, every picosecond in a term, monotone."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.compiler.program import Program
from rack_sim.compiler.step import StepTiming, compile_program, compile_step
from rack_sim.hardware.builders import dragonfly
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Routing
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.blocks import time_block
from rack_sim.timing.pipeline import PipelineTimer
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape
from rack_sim.timing.terms import total

MODEL = Architecture.dense("small", 3, 256, 8, 4, 32, 512, 1000, False, 512)
PRECISION = Precision("int8", "fp16", "fp16", "fp16")


def machine(
    *, link: int = 10**10, memory: int = 10**12, feed: int = 10**11, matrix: int = 10**12,
    vector: int = 10**11, fixed_ps: int = 50_000, latency_ps: int = 100_000,
) -> System:  # fmt: skip
    """One rack of two nodes of four chips."""
    kind = LinkType("c2c", link, latency_ps, 320, 328)
    chip = Chip(
        name="small",
        execution="static",
        memory=(MemoryTier("sram", 10**9, memory),),
        matrix=MatrixUnit({"fp16": matrix}, feed),
        vector_flop_per_s=vector,
        operator_fixed_latency_ps=fixed_ps,
        program_text_bytes=1000,
        port_count=99,
        idle_watts=1.0,
        peak_watts=2.0,
        price_usd=1.0,
    )
    topology = dragonfly(
        name="small",
        racks=1,
        nodes_per_rack=2,
        chips_per_node=4,
        links_per_node_pair=2,
        links_per_rack_pair=0,
        spare_nodes_per_rack=0,
        local=kind,
        global_=kind,
        port_count=99,
    )
    return System("small", chip, topology, 0.0)


def planned(system: System, degree: int, stages: int, *, rows: int = 1, context: int = 64) -> Plan:
    plan = partition(
        Deployment(
            model=MODEL,
            system=system,
            shape=StepShape(rows, context, PRECISION),
            concurrent_sequences=2,
            tensor_parallel=degree,
            stage_count=stages,
            objective="fewest_chips",
        )
    )
    assert isinstance(plan, Plan)
    return plan


def on(plan: Plan, system: System) -> Plan:
    """The same cut and placement on another machine."""
    timer = PipelineTimer(
        system.chip, Routing(system.topology), plan.demand.shape, residual_elements=256
    )
    return replace(plan, system=system, timer=timer)


def of(plan: Plan, shape: StepShape) -> Plan:
    """The same cut and placement for another shape of step."""
    timer = PipelineTimer(plan.system.chip, plan.routing, shape, residual_elements=256)
    return replace(plan, demand=replace(plan.demand, shape=shape), timer=timer)


SHAPES = [(1, 1), (1, 8), (2, 3), (2, 4), (4, 1), (4, 2), (8, 1)]


@pytest.fixture(params=SHAPES, ids=lambda shape: f"tp{shape[0]}-stages{shape[1]}")
def step(request: pytest.FixtureRequest) -> StepTiming:
    return compile_step(planned(machine(), *request.param, rows=3))


def test_latency_is_every_service_and_every_transfer(step: StepTiming) -> None:
    services = [stage.service_ps for stage in step.stages]
    transfers = [transfer.message.duration_ps for transfer in step.transfers]
    assert step.latency_ps == sum(services) + sum(transfers)
    assert step.token_ps == step.latency_ps - transfers[-1]
    assert [(t.source_stage, t.target_stage) for t in step.transfers] == [
        (n, (n + 1) % len(services)) for n in range(len(services))
    ]


def unit_spans_ps(step: StepTiming) -> dict[tuple[str, int], int]:
    """From the first task of each unit to the end of its last, gaps included."""
    program = step.program
    tasks = zip(program.resource, program.start_ps, program.duration_ps, strict=True)
    held: dict[tuple[str, int], list[int]] = {}
    for number, start, duration in tasks:
        first, second = program.resources[number]
        if isinstance(first, str):
            held.setdefault((first, second), []).extend((int(start), int(start + duration)))
    return {unit: max(times) - min(times) for unit, times in held.items()}


def test_the_interval_is_the_longest_span_of_a_unit_unless_links_say_more(step: StepTiming) -> None:
    """Not the service time: a unit is free for the next step while others work on this one."""
    longest = max(unit_spans_ps(step).values())
    assert step.separations.unit_ps == longest
    assert step.interval_ps >= max([longest, *step.link_busy_ps.values()])
    assert (step.interval_ps > longest) == step.separations.bound_by.endswith(" for links")
    # A chip alone begins and ends its stage with the vector unit; a group, with its links.
    longest_service = max(stage.service_ps for stage in step.stages)
    assert step.interval_ps <= longest_service
    assert step.interval_ps < longest_service or step.plan.tensor_parallel == 1


def test_a_pipeline_timed_without_its_program_knows_the_same_spans(step: StepTiming) -> None:
    """What the partitioner compares plans by: no more than what the program then allows."""
    plan = step.plan
    timed = plan.timer.time(
        [stage.chips for stage in plan.stages], [stage.blocks for stage in plan.stages]
    )
    assert timed.latency_ps == step.latency_ps
    longest_link = max(step.link_busy_ps.values(), default=0)
    assert timed.interval_ps == max(step.separations.unit_ps, longest_link)
    assert timed.interval_ps <= step.interval_ps


def test_slots_revolve_so_that_each_is_back_in_time(step: StepTiming) -> None:
    assert step.slot_count == -(-step.latency_ps // step.interval_ps)
    assert step.revolution_ps == step.slot_count * step.interval_ps
    assert step.latency_ps <= step.revolution_ps < step.latency_ps + step.interval_ps


def test_every_picosecond_of_the_revolution_is_in_a_term(step: StepTiming) -> None:
    assert step.terms.total_ps == step.revolution_ps
    assert step.terms.slack_ps == step.revolution_ps - step.latency_ps
    operators = sum(len(block.operators) for stage in step.stages for block in stage.blocks)
    assert step.terms.fixed_latency_ps == 50_000 * operators
    assert operators == 1 + 3 * (8 + 5) + 3


def test_a_stage_serves_its_blocks_one_after_the_other(step: StepTiming) -> None:
    plan = step.plan
    for timing in step.stages:
        alone = [
            time_block(
                block,
                plan.demand.shape,
                chip=plan.system.chip,
                routing=plan.routing,
                group=timing.stage.chips,
                residual_elements=256,
            ).duration_ps
            for block in timing.stage.blocks
        ]
        assert timing.service_ps == sum(alone)
        assert timing.terms.slack_ps == 0


def test_serving_sees_the_same_numbers(step: StepTiming) -> None:
    slots = step.slots
    assert (slots.rows, slots.context_tokens, slots.kv_tokens) == (3, 64, 2 * 64)
    assert (slots.slot_count, slots.interval_ps) == (step.slot_count, step.interval_ps)
    assert slots.revolution_ps == step.revolution_ps
    assert slots.token_ps == step.token_ps <= step.latency_ps


def test_vectors_are_those_of_blocks_and_transfers(step: StepTiming) -> None:
    sent = sum(step.vectors_by_hop.values())
    blocks = sum(
        sum(block.vectors_by_hop.values()) for stage in step.stages for block in stage.blocks
    )
    assert sent == blocks + sum(
        sum(transfer.message.vectors_by_hop.values()) for transfer in step.transfers
    )


def test_transfers_by_hand() -> None:
    """Two stages of one node each, one row: 256 elements over 4 chips are 128 bytes, one vector.

    Two cables join the nodes, chip 0 to 4 and 1 to 5. Flows of chips 2 and 3 take three hops; when
    they come to the cable, the vector of chip 0 or 1 has long left it. The token's way back is the
    mirror image.
    """
    step = compile_step(planned(machine(), 4, 2))
    vector = 32_800  # 328 bytes at 10 GB/s
    for transfer in step.transfers:
        assert transfer.message.duration_ps == 3 * (100_000 + vector)
        assert (
            transfer.message.vectors_by_hop[(0, 4) if transfer.source_stage == 0 else (4, 0)] == 2
        )


def test_the_residual_is_carried_in_the_precision_of_activations() -> None:
    """40 rows x 256 elements x 2 bytes over one chip: 20,480 bytes are 64 vectors, one hop."""
    step = compile_step(planned(machine(), 1, 2, rows=40))
    assert step.transfers[0].message.link_serialisation_ps == 64 * 32_800
    # Back go 40 token numbers of 4 bytes: one vector.
    assert step.transfers[1].message.link_serialisation_ps == 32_800


def test_a_busy_link_bounds_the_interval_and_is_named() -> None:
    """Three stages of one chip; links so slow that carrying the residual takes longest."""
    slow = machine(link=10**6, fixed_ps=0, latency_ps=0)
    step = compile_step(planned(slow, 1, 3))
    assert step.interval_ps == 2 * 328 * 10**6  # 512 bytes are two vectors, a byte takes 1 us
    assert step.bottleneck.startswith("link ")
    assert step.bottleneck.endswith(": link_serialisation")


def test_the_stage_whose_unit_is_longest_at_work_is_named_with_its_largest_term() -> None:
    step = compile_step(planned(machine(fixed_ps=10**7), 4, 2))
    spans = unit_spans_ps(step)
    longest = max(spans.values())
    chips = {chip for (_, chip), span in spans.items() if span == longest}
    (bound,) = (timing.stage for timing in step.stages if chips & set(timing.stage.chips))
    assert step.bottleneck.split(" and links")[0] == f"stage {bound.number}: fixed_latency"
    assert step.bottleneck.endswith(" and links") == (step.interval_ps > longest)


def test_compiling_twice_gives_the_same() -> None:
    plan = planned(machine(), 2, 4)
    first, second = compile_step(plan), compile_step(plan)
    assert (first.latency_ps, first.token_ps) == (second.latency_ps, second.token_ps)
    assert (first.separations, first.terms) == (second.separations, second.terms)
    for column in fields(Program):
        ours, theirs = getattr(first.program, column.name), getattr(second.program, column.name)
        if column.name not in ("plan", "shape", "parts"):
            assert list(ours) == list(theirs), column.name


@pytest.mark.parametrize("part", ["link", "memory", "feed", "matrix", "vector"])
@given(shape=st.sampled_from(SHAPES), low=st.integers(10**8, 10**13), more=st.integers(0, 10**13))
@settings(max_examples=25, deadline=None)
def test_a_faster_machine_is_never_slower(
    part: str, shape: tuple[int, int], low: int, more: int
) -> None:
    """L and II never grow. R may: a shorter interval can need one slot more than fits evenly."""
    plan = planned(machine(), *shape, rows=2)
    slow = compile_step(on(plan, machine(**{part: low})))
    fast = compile_step(on(plan, machine(**{part: low + more})))
    assert fast.latency_ps <= slow.latency_ps
    assert fast.interval_ps <= slow.interval_ps


@given(
    shape=st.sampled_from(SHAPES),
    rows=st.tuples(st.integers(1, 200), st.integers(0, 200)),
    context=st.tuples(st.integers(1, 500), st.integers(0, 500)),
)
@settings(max_examples=40, deadline=None)
def test_more_rows_or_more_context_never_make_a_step_faster(
    shape: tuple[int, int], rows: tuple[int, int], context: tuple[int, int]
) -> None:
    plan = planned(machine(), *shape)

    def at(row_count: int, tokens: int) -> StepTiming:
        return compile_step(of(plan, StepShape(row_count, tokens, PRECISION)))

    less, more = at(rows[0], context[0]), at(sum(rows), sum(context))
    assert more.latency_ps >= less.latency_ps
    assert more.interval_ps >= less.interval_ps


@pytest.mark.parametrize("shape", SHAPES)
def test_a_program_of_another_shape_is_that_of_a_plan_of_this_shape(shape: tuple[int, int]) -> None:
    plan = planned(machine(), *shape)
    wide = StepShape(5, 32, PRECISION)
    ours, theirs = compile_program(plan, wide), compile_step(of(plan, wide)).program
    assert ours.latency_ps == theirs.latency_ps
    assert list(ours.start_ps) == list(theirs.start_ps)


def test_a_prefill_program_reads_one_cache_and_sends_one_row_through_the_head() -> None:
    """So it is faster than decoding as many rows, and slower than decoding one."""
    plan = planned(machine(), 2, 3)
    one, many, prompt = (
        compile_program(plan, StepShape(rows, 500, PRECISION, kind)).latency_ps
        for rows, kind in ((1, "decode"), (32, "decode"), (32, "prefill"))
    )
    assert one < prompt < many


def test_the_path_of_a_step_leads_through_all_of_it(step: StepTiming) -> None:
    """Steps follow one another without a gap, and add up to the latency and to its terms."""
    path = list(step.program.critical_path())
    now_ps = 0
    for at in path:
        assert at.start_ps == now_ps == int(step.program.start_ps[at.task])
        assert at.resource == step.program.resources[int(step.program.resource[at.task])]
        now_ps += at.terms.total_ps
    assert now_ps == step.latency_ps == step.program.latency_ps
    assert total(at.terms for at in path) == replace(step.terms, slack_ps=0)
