"""Programs replayed: to the picosecond as compiled, or an error; with extra times, as a recurrence.

The replay keeps its own books, so it is a witness against the compiler; SimPy is a witness against
the recurrence. Faults are planted by hand in programs that are right.
"""

import re
from dataclasses import replace
from functools import cache
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import SMALL_CHIP, SMALL_LINK

from rack_sim.compiler.interval import separations
from rack_sim.compiler.program import Program
from rack_sim.compiler.step import StepTiming, compile_program, compile_step
from rack_sim.engine.jitter import JitterDraws
from rack_sim.engine.programs import Entry, replay_programs, steady_entries
from rack_sim.engine.recurrence import slip, stage_starts_ps
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.errors import DeadlockError, ScheduleError
from rack_sim.hardware.builders import dragonfly, fully_connected, ring, switched, torus
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

LINK = SMALL_LINK
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
# (topology, chips of a group, stages)
MACHINES = [
    ("dragonfly", 4, 2),
    ("box", 2, 3),
    ("box", 1, 1),
    ("ring", 2, 4),
    ("torus", 4, 2),
    ("switches", 2, 3),
]
machines = pytest.mark.parametrize(
    "machine", MACHINES, ids=lambda machine: "-".join(map(str, machine))
)


@cache
def step_of(machine: tuple[str, int, int]) -> StepTiming:
    name, degree, stages = machine
    plan = partition(
        Deployment(
            model=Architecture.dense("small", 3, 256, 8, 4, 32, 512, 1000, False, 512),
            system=System("small", CHIP, TOPOLOGIES[name], 0.0),
            shape=StepShape(1, 64, Precision("int8", "fp16", "fp16", "fp16")),
            concurrent_sequences=2,
            tensor_parallel=degree,
            stage_count=stages,
            objective="fewest_chips",
        )
    )
    assert isinstance(plan, Plan)
    return compile_step(plan)


@cache
def prefill_of(machine: tuple[str, int, int]) -> Program:
    step = step_of(machine)
    return compile_program(step.plan, replace(step.program.shape, program="prefill", rows=3))


def in_flight(step: StepTiming) -> int:
    """Entries of which the last sees every step that can be in its way."""
    return step.program.latency_ps // step.interval_ps + 3


def changed(program: Program, **columns: tuple[int, int]) -> Program:
    """A program with one number of some columns set: place and value."""
    made: dict[str, Int64Array] = {}
    for name, (place, value) in columns.items():
        made[name] = getattr(program, name).copy()
        made[name][place] = value
    return replace(program, **made)


def no_extra(program: Program, count: int) -> list[Int64Array]:
    return [np.zeros(len(program), dtype=np.int64)] * count


@machines
def test_every_task_starts_on_the_compiled_picosecond(machine) -> None:
    """Many steps of one program in flight, an interval apart."""
    step = step_of(machine)
    entries = steady_entries(step.interval_ps, step.slot_count, in_flight(step))
    found = replay_programs([step.program], entries)
    assert found.task_count == len(step.program) * len(entries)
    for slips in found.slips_ps([step.program], entries):
        assert not slips.any()
    assert found.token_ps == tuple(entry.at_ps + step.latency_ps for entry in entries)


@machines
def test_decode_and_prefill_interleave_as_compiled(machine) -> None:
    """Two kinds of steps in any order at the interval that is compiled for both."""
    programs = [step_of(machine).program, prefill_of(machine)]
    interval_ps = separations(programs).interval_ps
    count = max(program.latency_ps for program in programs) // interval_ps + 4
    order = islice(cycle((0, 1, 1, 0, 0)), count)
    entries = [Entry(kind, number * interval_ps) for number, kind in enumerate(order)]
    for slips in replay_programs(programs, entries).slips_ps(programs, entries):
        assert not slips.any()


@machines
def test_one_picosecond_less_is_a_clash_of_two_tasks(machine) -> None:
    """The compiled interval is the least: the error names the task and who is in its way."""
    step = step_of(machine)
    entries = steady_entries(step.interval_ps - 1, step.slot_count, in_flight(step))
    with pytest.raises(ScheduleError) as caught:
        replay_programs([step.program], entries)
    assert re.search(
        r"step \d+: .+ at \d+ ps finds its resource busy for \d+ ps more with step \d+: .+ at",
        str(caught.value),
    )


@machines
def test_one_slot_less_and_the_token_is_not_back_in_time(machine) -> None:
    """S = ceil(L / II) slots is the least: with one less a step begins without its token."""
    step = step_of(machine)
    slots = step.slot_count - 1
    if not slots:
        slots = 1  # one step after the other, but a picosecond too early
        entries = [Entry(0, 0), Entry(0, step.latency_ps - 1, 0)]
    else:
        entries = steady_entries(step.interval_ps, slots, in_flight(step))
    assert entries[slots].at_ps < step.latency_ps
    with pytest.raises(ScheduleError, match=f"step {slots}: .* finds its input missing: step 0: "):
        replay_programs([step.program], entries)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_task_moved_a_picosecond_is_noticed(data: st.DataObject) -> None:
    """On the critical path nothing has time to spare; a beginning of a block may have."""
    program = step_of(data.draw(st.sampled_from(MACHINES))).program
    tight = [
        found.task
        for found in program.critical_path()
        if found.start_ps > found.part.start_ps and program.duration_ps[found.task]
    ]
    task = data.draw(st.sampled_from(tight))
    early = changed(program, start_ps=(task, int(program.start_ps[task]) - 1))
    with pytest.raises(ScheduleError, match=r"step 0: .+ finds its (resource busy|input missing)"):
        replay_programs([early], [Entry(0, 0)])


@machines
def test_a_resource_held_too_long_is_doubly_booked(machine) -> None:
    """A task that holds its unit until after the next has begun; its result is there in time."""
    program = step_of(machine).program
    first, then = next(
        (int(a), int(b))
        for a, b in zip(program.order, program.order[1:], strict=False)
        if program.resource[a] == program.resource[b] and program.duration_ps[b]
    )
    long_ps = int(program.start_ps[then] - program.start_ps[first]) + 7
    held = changed(program, duration_ps=(first, long_ps))
    with pytest.raises(ScheduleError, match="finds its resource busy for 7 ps more with step 0: "):
        replay_programs([held], [Entry(0, 0)])


@machines
def test_an_input_that_comes_late_is_missing(machine) -> None:
    """A need whose result takes longer than the compiler thought."""
    program = step_of(machine).program
    of, need = int(program.need_of[-1]), int(program.need_task[-1])
    lag_ps = int(program.start_ps[of] - program.start_ps[need]) + 5
    late = changed(program, need_lag_ps=(len(program.need_of) - 1, lag_ps))
    with pytest.raises(ScheduleError, match=r"finds its input missing: .+ needs 5 ps more"):
        replay_programs([late], [Entry(0, 0)])


def test_who_waits_for_ever_is_named() -> None:
    """A first task that needs the last: nothing can begin, and the error says why."""
    program = step_of(("box", 2, 3)).program
    first = int(program.need_task[program.start_ps[program.need_task] == 0][0])
    last = int(np.argmax(program.start_ps))
    place = int(np.flatnonzero(program.need_of == program.need_of.min())[0])
    waiter = int(program.need_of[place])
    assert first < waiter < last
    knot = changed(program, need_task=(place, last))
    with pytest.raises(DeadlockError) as caught:
        replay_programs([knot], [Entry(0, 0)], no_extra(knot, 1))
    said = str(caught.value)
    assert re.match(rf"\d+ of {len(program)} tasks never started, the first is step 0: ", said)
    assert "it waits for step 0: " in said
    with pytest.raises(ScheduleError, match="has not begun"):
        replay_programs([knot], [Entry(0, 0)])


@machines
def test_a_slipping_replay_without_extra_is_never_late(machine) -> None:
    """Blocks are aligned when they are compiled, so some tasks may begin earlier, none later."""
    step = step_of(machine)
    entries = steady_entries(step.interval_ps, step.slot_count, in_flight(step))
    found = replay_programs([step.program], entries, no_extra(step.program, len(entries)))
    for slips in found.slips_ps([step.program], entries):
        assert (slips <= 0).all()
    compiled = [entry.at_ps + step.latency_ps for entry in entries]
    assert all(token <= limit for token, limit in zip(found.token_ps, compiled, strict=True))


class Case(NamedTuple):
    """Steps of a machine, at or off the compiled pace, with extra times of several draws."""

    machine: tuple[str, int, int]
    count: int
    pace: float
    spare_slots: int
    mean_ps: int
    seed: int

    def entries(self) -> list[Entry]:
        step = step_of(self.machine)
        interval_ps = int(step.interval_ps * self.pace)
        slots = -(-step.latency_ps // interval_ps) + self.spare_slots
        return steady_entries(interval_ps, slots, self.count)

    def extra(self) -> list[Int64Array]:
        program = step_of(self.machine).program
        drawn = JitterDraws(program, (0, self.mean_ps), seed=self.seed, repeats=2)
        return list(islice(drawn, self.count))


cases = st.builds(
    Case,
    st.sampled_from(MACHINES),
    st.integers(1, 9),
    st.sampled_from((1.0, 0.4, 1.7)),
    st.integers(0, 1),
    st.sampled_from((0, 1, 1000, 10**5, 10**7)),
    st.integers(0, 99),
)


@given(cases)
@settings(max_examples=40, deadline=None)
def test_the_recurrence_is_the_replay(case: Case) -> None:
    """Tokens and beginnings of stages, to the picosecond, for every draw."""
    program, entries, extra = step_of(case.machine).program, case.entries(), case.extra()
    solved = slip(program, entries, extra)
    stage = np.array([part.stage for part in program.parts])[program.part]
    block = np.array([part.block for part in program.parts])[program.part]
    begins = [
        np.flatnonzero((stage == number) & (block >= 0) & (program.start_ps == start))
        for number, start in enumerate(stage_starts_ps(program))
    ]
    for draw in range(4):
        found = replay_programs([program], entries, [item[:, draw] for item in extra])
        assert found.token_ps == tuple(solved.token_ps[:, draw].tolist())
        for number, first in enumerate(found.first_task):
            for at, tasks in enumerate(begins):
                begun_ps = int(found.begun_ps[first + tasks].max())
                assert begun_ps == solved.stage_ps[number, at, draw]


@given(cases, st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_more_time_is_never_faster(case: Case, seed: int) -> None:
    """Starts are maxima of sums, so what is added anywhere brings nothing forward."""
    program, entries, extra = step_of(case.machine).program, case.entries(), case.extra()
    random = np.random.default_rng(seed)
    more = [item + random.integers(0, 10**5, item.shape) * random.integers(0, 2) for item in extra]
    less, found = slip(program, entries, extra), slip(program, entries, more)
    assert (found.token_ps >= less.token_ps).all()
    assert (found.stage_ps >= less.stage_ps).all()


def test_steps_that_enter_before_their_token_are_refused() -> None:
    """The order of tasks would depend on when it comes; the compiled order is none."""
    step = step_of(("box", 2, 3))
    entries = steady_entries(step.interval_ps, step.slot_count - 1, step.slot_count + 1)
    with pytest.raises(DeadlockError, match=r"step \d+ enters at \d+ ps and waits for the token"):
        slip(step.program, entries, Case(("box", 2, 3), len(entries), 1.0, 0, 1, 1).extra())


def test_draws_are_scaled_and_belong_to_chips() -> None:
    """One draw for all means, for what has a fixed latency and nothing else; equal seeds, equal.

    That an operator's first piece carries its fixed latency is how blocks are timed.
    """
    program = step_of(("box", 2, 3)).program

    def first(**options: int) -> Int64Array:
        return next(iter(JitterDraws(program, (0, 1000, 5000), **{"seed": 3, **options})))

    drawn = first(repeats=2)
    assert drawn.shape == (len(program), 6)
    assert not drawn[:, :2].any()
    assert (np.abs(drawn[:, 4:] - 5 * drawn[:, 2:4]) <= 3).all(), "rounded to picoseconds"
    fixed = np.zeros(len(program), dtype=bool)
    for part in program.parts:
        for number, task in enumerate(part.placed.tasks):
            fixed[part.first_task + number] = task.terms.fixed_latency_ps > 0
    assert fixed.any()
    assert not drawn[~fixed].any()
    assert drawn[fixed, 5].all()
    assert (drawn == first(repeats=2)).all()
    assert (drawn != first(repeats=2, seed=4)).any()


def test_the_mean_extra_time_is_the_mean() -> None:
    """Of exponential draws: mean and standard deviation agree with theory within 4 sigma."""
    program = step_of(("box", 1, 1)).program
    drawn = next(iter(JitterDraws(program, (10**6,), seed=1, repeats=4000)))
    jittered = drawn[drawn.any(axis=1)]
    count = jittered.size
    assert abs(jittered.mean() / 10**6 - 1) < 4 / np.sqrt(count)
    assert abs(jittered.std() / 10**6 - 1) < 4 * np.sqrt(2 / count)
