"""The checker lets good programs pass and names task and place in bad ones, one rule at a time.

Each bad program is a compiled one with a number or two changed by hand.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import SMALL_CHIP, SMALL_LINK

from rack_sim.compiler.checker import RULES, check_program
from rack_sim.compiler.deliveries import received
from rack_sim.compiler.interval import separations
from rack_sim.compiler.live_memory import check_memory, live_bytes_max
from rack_sim.compiler.program import Program
from rack_sim.compiler.step import compile_program, compile_step
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.errors import InfeasibleError, ScheduleError
from rack_sim.hardware.builders import dragonfly, fully_connected, ring, switched, torus
from rack_sim.hardware.chip import MemoryTier
from rack_sim.hardware.routing import Routing
from rack_sim.hardware.system import System
from rack_sim.hardware.topology import Topology
from rack_sim.model.architecture import Architecture
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.algorithms import ALGORITHMS
from rack_sim.timing.collectives import route_collective
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

LATENCY_PS, VECTOR_PS = 100_000, 32_800  # 328 bytes at 10 GB/s
LINK = SMALL_LINK
PRECISION = Precision("int8", "fp16", "fp16", "fp16")
CHIP = SMALL_CHIP
TOPOLOGIES = {
    "dragonfly": dragonfly(
        name="small",
        racks=1,
        nodes_per_rack=2,
        chips_per_node=4,
        links_per_node_pair=2,
        links_per_rack_pair=0,
        spare_nodes_per_rack=0,
        local=LINK,
        global_=LINK,
        port_count=99,
    ),
    "box": fully_connected(name="box", chips=8, local=LINK, port_count=8),
    "ring": ring(name="ring", chips=8, local=LINK, global_=LINK, port_count=2),
    "torus": torus(name="torus", sides=(2, 4), local=LINK, global_=LINK, port_count=4),
    "switches": switched(
        name="switches", chips=8, switches=2, links_per_chip=3, local=LINK, port_count=3
    ),
}


def planned(topology: Topology, degree: int, stages: int, *, rows: int = 1) -> Plan:
    plan = partition(
        Deployment(
            model=Architecture.dense("small", 3, 256, 8, 4, 32, 512, 1000, False, 512),
            system=System("small", CHIP, topology, 0.0),
            shape=StepShape(rows, 64, PRECISION),
            concurrent_sequences=2,
            tensor_parallel=degree,
            stage_count=stages,
            objective="fewest_chips",
        )
    )
    assert isinstance(plan, Plan)
    return plan


@pytest.fixture(scope="module")
def good() -> Program:
    """Two stages of four chips, each a node; two cables join them, 0 to 4 and 1 to 5."""
    program = compile_step(planned(TOPOLOGIES["dragonfly"], 4, 2)).program
    check_program(program)
    return program


def find(program: Program, name: str, part: str, where: object) -> int:
    """The number of the one task of a name, in a part, on a resource."""
    (task,) = (
        task
        for task in range(len(program))
        if program.names[program.work[task]] == name
        and program.parts[program.part[task]].name == part
        and program.resources[program.resource[task]] == where
    )
    return task


def changed(program: Program, **changes: dict[int, int]) -> Program:
    """The program with some numbers of some columns replaced."""
    columns: dict[str, Int64Array] = {}
    for column, numbers in changes.items():
        columns[column] = getattr(program, column).copy()
        for place, number in numbers.items():
            columns[column][place] = number
    return replace(program, **columns)


def need(program: Program, of: int, task: int) -> int:
    """The row of the need that `of` has of `task`."""
    (row,) = np.flatnonzero((program.need_of == of) & (program.need_task == task))
    return int(row)


def broken(program: Program) -> str:
    """What the checker says."""
    with pytest.raises(ScheduleError) as error:
        check_program(program)
    text = str(error.value)
    assert text.startswith("the program (decode, 1 row, context 64) breaks a rule: ")
    return text


# Good programs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", sorted(TOPOLOGIES))
@pytest.mark.parametrize(("degree", "stages"), [(1, 1), (1, 8), (2, 3), (4, 1), (4, 2), (8, 1)])
def test_what_the_compiler_writes_passes(place: str, degree: int, stages: int) -> None:
    """One chip, one stage, groups that span nodes; decoding and prefill, one row and many."""
    plan = planned(TOPOLOGIES[place], degree, stages)
    step = compile_step(plan)
    check_program(step.program, interval_ps=step.interval_ps)
    for rows in (1, 5):
        for kind in ("decode", "prefill"):
            check_program(compile_program(plan, StepShape(rows, 32, PRECISION, kind)))


def test_there_is_a_test_for_every_rule() -> None:
    assert {rule.__name__ for rule in RULES} == {
        "overlaps",
        "crossings",
        "dependencies",
        "deliveries",
        "bound",
        "operators",
    }


# One thing at a time ------------------------------------------------------------------------------


def test_a_unit_booked_twice(good: Program) -> None:
    scores = find(good, "attention.scores", "layer0.attention", ("matrix", 2))
    values = find(good, "attention.values", "layer0.attention", ("matrix", 2))
    at = int(good.start_ps[scores])
    text = broken(changed(good, start_ps={values: at + 1}))
    assert (
        f"attention.values (layer0.attention) on matrix of chip 2 at {at + 1} ps starts before "
        f"attention.scores (layer0.attention) on matrix of chip 2 at {at} ps has ended"
    ) in text


def test_a_link_booked_twice(good: Program) -> None:
    gather = find(good, "gather", "layer0.attention", (0, 1))
    reduce = find(good, "reduce", "layer0.attention", (0, 1))
    at = int(good.start_ps[gather]) + VECTOR_PS - 1
    text = broken(changed(good, start_ps={reduce: at}))
    assert f"reduce (layer0.attention) on link 0->1 at {at} ps starts before gather" in text


def test_before_the_beginning(good: Program) -> None:
    assert "negative time" in broken(changed(good, start_ps={0: -1}))


# Messages -----------------------------------------------------------------------------------------


def test_a_link_that_is_not_there(good: Program) -> None:
    gather = find(good, "gather", "layer0.attention", (0, 1))
    no_link = replace(good, resources=(*good.resources, (0, 7)))
    text = broken(changed(no_link, resource={gather: len(good.resources)}))
    assert "gather (layer0.attention) on link 0->7" in text
    assert "there is no such link" in text


def crossing_nodes(program: Program) -> tuple[int, int, int]:
    """The three tasks of the message from chip 2 over the cable 0->4 to chip 6."""
    tasks = np.flatnonzero((program.source == 2) & (program.target == 6))
    assert [program.resources[program.resource[task]] for task in tasks] == [(2, 0), (0, 4), (4, 6)]
    return tuple(tasks.tolist())


def test_a_message_that_stops_short(good: Program) -> None:
    tasks = crossing_nodes(good)
    text = broken(changed(good, target=dict.fromkeys(tasks, 7)))
    assert "transfer (stage 0 to 1) on link 4->6" in text
    assert "ends at chip 6 on its way to chip 7" in text


def test_the_last_message_that_stops_short(good: Program) -> None:
    last = int(np.flatnonzero(good.message >= 0)[-1])
    tasks = np.flatnonzero(good.message == good.message[last]).tolist()
    goal = int(good.target[last])
    text = broken(changed(good, target=dict.fromkeys(tasks, 7)))
    assert f"ends at chip {goal} on its way to chip 7" in text
    assert "token (stage 1 to 0)" in text


def test_a_message_that_leaves_from_where_it_is_not(good: Program) -> None:
    """Its second link begins at chip 1, and the message is on chip 0."""
    _, second, _ = crossing_nodes(good)
    other = good.resources.index((1, 5))
    text = broken(changed(good, resource={second: other}, start_ps={second: 10**8}))
    assert "transfer (stage 0 to 1) on link 1->5" in text
    assert "leaves from where the message is not" in text


def test_a_message_shorter_than_its_vectors(good: Program) -> None:
    gather = find(good, "gather", "layer1.attention", (2, 3))
    text = broken(changed(good, duration_ps={gather: VECTOR_PS - 1}))
    assert "gather (layer1.attention) on link 2->3" in text
    assert f"takes {VECTOR_PS} ps, not {VECTOR_PS - 1}" in text
    text = broken(changed(good, vectors={gather: 0}))
    assert "gather (layer1.attention) on link 2->3" in text
    assert "carries 0 vectors, not 1" in text
    text = broken(changed(good, done_ps={gather: VECTOR_PS + LATENCY_PS - 1}))
    assert "gather (layer1.attention) on link 2->3" in text
    assert "arrives before its latency has passed" in text


# Dependencies -------------------------------------------------------------------------------------


def test_a_task_that_starts_before_its_operand(good: Program) -> None:
    rotary = find(good, "attention.rotary", "layer2.attention", ("vector", 5))
    before = find(good, "attention.qkv_projection", "layer2.attention", ("matrix", 5))
    at = int(good.start_ps[rotary]) - 1
    text = broken(changed(good, start_ps={rotary: at}))
    assert f"attention.rotary (layer2.attention) on vector of chip 5 at {at} ps" in text
    assert "starts before it may: it needs attention.qkv_projection (layer2.attention)" in text
    assert f"and {good.duration_ps[before]} ps" in text


def test_a_lag_shorter_than_the_latency_of_the_link(good: Program) -> None:
    norm = find(good, "attention.norm", "layer0.attention", ("vector", 3))
    gather = find(good, "gather", "layer0.attention", (0, 3))
    row = need(good, norm, gather)
    assert good.need_lag_ps[row] == VECTOR_PS + LATENCY_PS
    text = broken(changed(good, need_lag_ps={row: VECTOR_PS + LATENCY_PS - 1}))
    assert "attention.norm (layer0.attention) on vector of chip 3" in text
    assert f"waits {VECTOR_PS + LATENCY_PS - 1} ps for gather (layer0.attention)" in text
    assert f"whose result takes {VECTOR_PS + LATENCY_PS} ps" in text


def test_a_vector_forwarded_before_it_has_come(good: Program) -> None:
    first, second, third = crossing_nodes(good)
    for of, on in ((second, first), (third, second)):
        row = need(good, of, on)
        text = broken(changed(good, need_lag_ps={row: LATENCY_PS + VECTOR_PS - 1}))
        assert "transfer (stage 0 to 1)" in text
        assert f"whose result takes {LATENCY_PS + VECTOR_PS} ps" in text


def test_a_result_of_another_chip_without_a_message(good: Program) -> None:
    rotary = find(good, "attention.rotary", "layer0.attention", ("vector", 0))
    here = find(good, "attention.qkv_projection", "layer0.attention", ("matrix", 0))
    there = find(good, "attention.qkv_projection", "layer0.attention", ("matrix", 1))
    text = broken(changed(good, need_task={need(good, rotary, here): there}))
    assert "attention.rotary (layer0.attention) on vector of chip 0" in text
    assert "needs attention.qkv_projection (layer0.attention) on matrix of chip 1" in text
    assert "which is on chip 1" in text


def without_needs(program: Program, rows: np.ndarray) -> Program:
    keep = np.setdiff1d(np.arange(len(program.need_of)), rows)
    return replace(
        program,
        need_of=program.need_of[keep],
        need_task=program.need_task[keep],
        need_lag_ps=program.need_lag_ps[keep],
    )


def test_a_task_that_waits_for_nothing(good: Program) -> None:
    layout = find(good, "gather layout", "layer1.feed_forward", ("switch", 4))
    text = broken(without_needs(good, np.flatnonzero(good.need_of == layout)))
    assert "gather layout (layer1.feed_forward) on switch of chip 4" in text
    assert "waits for nothing" in text


def test_an_arrival_that_no_one_waits_for(good: Program) -> None:
    """Norm and projection would begin with what three chips have, not four: it comes too late."""
    norm = find(good, "attention.norm", "layer0.attention", ("vector", 0))
    projection = find(good, "attention.qkv_projection", "layer0.attention", ("matrix", 0))
    gather = find(good, "gather", "layer0.attention", (1, 0))
    waits = [need(good, task, gather) for task in (norm, projection)]
    text = broken(without_needs(good, np.array(waits)))
    assert "nothing waits for gather (layer0.attention) on link 1->0" in text


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_task_can_start_any_earlier(good: Program, data: st.DataObject) -> None:
    """The schedule leaves no slack behind: whoever starts when its last need is there cannot move.

    Nor can who waits for its unit. Only a block's first tasks may, where other chips are later.
    """
    ready = np.zeros(len(good), dtype=np.int64)
    np.maximum.at(ready, good.need_of, good.start_ps[good.need_task] + good.need_lag_ps)
    tight = np.flatnonzero((ready == good.start_ps) & (ready > 0))
    assert len(tight) > len(good) / 2
    task = int(data.draw(st.sampled_from(tight.tolist())))
    earlier_ps = data.draw(st.integers(1, int(good.start_ps[task])))
    with pytest.raises(ScheduleError):
        check_program(changed(good, start_ps={task: int(good.start_ps[task]) - earlier_ps}))


# Bytes --------------------------------------------------------------------------------------------


def test_a_byte_missing_in_a_collective(good: Program) -> None:
    """64 elements of two bytes from each of three, and a sum of squares of four."""
    gather = find(good, "gather", "layer0.feed_forward", (0, 1))
    assert good.payload_bytes[gather] == 132
    text = broken(changed(good, payload_bytes={gather: 131}))
    assert "chip 1 gets 395 bytes in the gather of layer0.feed_forward, not 396" in text


def test_a_byte_too_many_in_a_collective(good: Program) -> None:
    reduce = find(good, "reduce", "layer2.feed_forward", (5, 7))
    text = broken(changed(good, payload_bytes={reduce: 129}))
    assert "chip 7 gets 385 bytes in the reduce of layer2.feed_forward, not 384" in text


def test_a_byte_missing_in_a_transfer(good: Program) -> None:
    tasks = crossing_nodes(good)
    text = broken(changed(good, payload_bytes=dict.fromkeys(tasks, 127)))
    assert "chip 6 gets 127 bytes from stage 0 to 1, not 128" in text


def test_a_byte_missing_in_the_new_token(good: Program) -> None:
    """Four bytes of a token for every row, back to each chip of the first stage."""
    tasks = np.flatnonzero(good.traffic == good.traffics.index("token"))
    assert set(good.payload_bytes[tasks].tolist()) == {4 * good.shape.rows}
    text = broken(changed(good, payload_bytes=dict.fromkeys(tasks.tolist(), 1)))
    assert "gets 1 bytes of the new token, not 4" in text


def test_an_operator_that_takes_no_time(good: Program) -> None:
    name = good.names.index("attention.softmax")
    task = int(np.flatnonzero(good.work == name)[0])
    taken_ps = int(good.duration_ps[task])
    text = broken(changed(good, duration_ps={task: taken_ps - 1}))
    part = good.parts[int(good.part[task])].name
    assert f"attention.softmax ({part}) takes {taken_ps - 1} ps on chip" in text
    assert f"which needs {taken_ps}" in text


@pytest.mark.parametrize("what", ["weights ahead", "weights"])
def test_weights_that_take_no_time(good: Program, what: str) -> None:
    name = good.names.index(f"feed_forward.gate_up_projection {what}")
    task = int(np.flatnonzero(good.work == name)[0])
    text = broken(changed(good, duration_ps={task: 0}))
    assert f"feed_forward.gate_up_projection {what} (layer" in text
    assert "takes 0 ps on chip" in text


def test_weights_ahead_that_no_one_waits_for(good: Program) -> None:
    name = good.names.index("attention.scores weights ahead")
    task = int(np.flatnonzero(good.work == name)[0])
    waits = np.flatnonzero(good.need_task == task)
    assert len(waits)
    assert "nothing waits for attention.scores weights ahead" in broken(without_needs(good, waits))


@pytest.mark.parametrize("traffic", ["gather", "reduce"])
def test_an_exchange_left_out(good: Program, traffic: str) -> None:
    """A lowering that forgets a collective, and does not say that there should be one."""
    parts = tuple(
        part._replace(
            collectives=tuple(item for item in part.collectives if item.traffic != traffic)
        )
        for part in good.parts
    )
    text = broken(replace(good, parts=parts))
    assert "layer0.attention exchanges " in text
    assert f"{traffic} of " in text.split("but needs ")[1]


def test_an_interval_at_which_steps_collide(good: Program) -> None:
    interval_ps = separations([good]).interval_ps
    check_program(good, interval_ps=interval_ps)
    with pytest.raises(ScheduleError, match=f"{interval_ps - 1} ps apart collide"):
        check_program(good, interval_ps=interval_ps - 1)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("shard_bytes", [1, 7, 64, 2051])
def test_what_any_algorithm_brings_is_what_is_wanted(algorithm: str, shard_bytes: int) -> None:
    """Odd shards do not halve, sums go down a tree: the checker counts what the pattern carries."""
    nodes = (0, 0, 0, 0, 1, 1, 1, 1)
    routing = Routing(TOPOLOGIES["dragonfly"])
    for operation in ("all_gather", "reduce_scatter"):
        routed = route_collective(
            routing, range(8), operation=operation, size_bytes=8 * shard_bytes, algorithm=algorithm
        )
        sent = Counter()
        for transfer, parts in zip(routed.transfers, routed.parts, strict=True):
            sent[transfer.target] += sum(part.flow.message_bytes for part in parts)
        assert received(operation, algorithm, nodes, shard_bytes) == tuple(
            sent[member] for member in range(8)
        )


# Physics ------------------------------------------------------------------------------------------


def on_chip(program: Program, change: Callable[[MemoryTier], MemoryTier]) -> Program:
    """The same program on chips with another memory."""
    system = program.plan.system
    tier = change(system.chip.fast_memory)
    chip = replace(system.chip, memory=(tier,))
    return replace(program, plan=replace(program.plan, system=replace(system, chip=chip)))


def test_faster_than_reading_the_weights(good: Program) -> None:
    slow = on_chip(good, lambda tier: replace(tier, bandwidth_bytes_per_s=10**8))
    text = broken(slow)
    assert f"a step of {good.latency_ps} ps is faster than reading the weights once" in text


def test_memory_over_capacity_says_what_it_is_full_of(good: Program) -> None:
    """The fullest chip fits exactly; with a byte less it does not, and the terms add up to it."""
    live = live_bytes_max(good, good.latency_ps)
    shard_bytes = 128
    needs = {
        chip: memory.weight_bytes
        + memory.kv_bytes
        + memory.program_bytes
        + live.get(chip, 0)
        + shard_bytes
        for stage in good.plan.stages
        for chip, memory in zip(stage.chips, stage.memory, strict=True)
    }
    fullest = max(needs, key=lambda chip: needs[chip])
    capacity = needs[fullest]
    check_memory(
        on_chip(good, lambda tier: replace(tier, capacity_bytes=capacity)), good.latency_ps
    )
    small = on_chip(good, lambda tier: replace(tier, capacity_bytes=capacity - 1))
    with pytest.raises(InfeasibleError) as error:
        check_program(small)
    reason = error.value.reason
    assert (reason.demand_bytes, reason.gap_bytes) == (capacity, 1)
    assert sum(reason.terms.values()) == capacity
    assert reason.terms["activations"] == live[fullest] + shard_bytes
    assert f"chip {fullest}" in reason.question


# Picoseconds of the last ones, times the number of a chip, do not fit in 64 bits.
@pytest.mark.parametrize(
    "interval_ps", [30_000, 250_000, 777_777, 5_000_000, 10**9, 10**18, 2**62, 2**63 - 1]
)
def test_what_lives_at_one_time_is_what_steps_on_their_way_add_up_to(
    good: Program, interval_ps: int
) -> None:
    """Steps laid over one another: a result lives until all that need it have ended."""
    until = (good.start_ps + good.done_ps).tolist()
    for of, task in zip(good.need_of.tolist(), good.need_task.tolist(), strict=True):
        until[task] = max(until[task], int(good.start_ps[of] + good.duration_ps[of]))
    events: dict[int, dict[int, int]] = {}
    for task, end_ps in enumerate(until):
        first_ps, size = int(good.start_ps[task]), int(good.leaves_bytes[task])
        chip = good.resources[good.resource[task]][1]
        if not size:
            continue
        # As many steps before this one as may still be alive: the middle of a long row of them.
        changes = events.setdefault(chip, {})
        for step in range(-(good.latency_ps // interval_ps) - 1, 1):
            for at_ps, by in ((first_ps, size), (end_ps, -size)):
                at = at_ps + step * interval_ps
                changes[at] = changes.get(at, 0) + by
        # In the steady state one interval shows everything; copies before it have all begun.
    peaks = {}
    for chip, changes in events.items():
        level = peak = 0
        for at in sorted(changes):
            level += changes[at]
            peak = max(peak, level)
        peaks[chip] = peak
    assert live_bytes_max(good, interval_ps) == peaks
