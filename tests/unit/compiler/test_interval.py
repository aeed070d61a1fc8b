"""The interval of small programs against copies laid over one another at every picosecond."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rack_sim.compiler.interval import WAIT_PARTS, collides, revolution, separations
from rack_sim.compiler.program import Program
from rack_sim.compiler.step import compile_program, compile_step
from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.partition.candidates import PlanObjective
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape
from rack_sim.timing.tasks import Resource, Work

# (resource, start, how long it is held), and how much later the result is there on a link.
Row = tuple[Resource, int, int]
LATENCY_PS = 3


def program_of(rows: Sequence[Row]) -> Program:
    """A program of nothing but times: all that the interval depends on."""
    resources = tuple(dict.fromkeys(resource for resource, _, _ in rows))
    starts, durations = ([row[place] for row in rows] for place in (1, 2))
    done = [
        duration + (0 if isinstance(resource[0], str) else LATENCY_PS)
        for resource, _, duration in rows
    ]
    none = np.zeros(len(rows), dtype=np.int64)
    return Program(
        plan=None,  # type: ignore[arg-type] # of no matter here
        shape=None,  # type: ignore[arg-type]
        parts=(),
        resources=resources,
        works=(Work("", "operator"),),
        traffics=("",),
        resource=np.array([resources.index(row[0]) for row in rows], dtype=np.int64),
        start_ps=np.array(starts, dtype=np.int64),
        duration_ps=np.array(durations, dtype=np.int64),
        done_ps=np.array(done, dtype=np.int64),
        **dict.fromkeys(
            (
                *("work", "traffic", "vectors", "payload_bytes", "leaves_bytes", "source"),
                *("target", "message", "part", "need_of", "need_task", "need_lag_ps"),
            ),
            none,
        ),
    )


PLACES: tuple[Resource, ...] = (("matrix", 0), ("vector", 0), (0, 1), (1, 0))


@st.composite
def rows(draw: st.DrawFn, places: tuple[Resource, ...] = PLACES) -> list[Row]:
    """A step in which no place holds two tasks at once."""
    found: list[Row] = []
    free = dict.fromkeys(places, 0)
    for _ in range(draw(st.integers(1, 8))):
        place = draw(st.sampled_from(places))
        start = free[place] + draw(st.integers(0, 6))
        duration = draw(st.integers(0, 4))
        free[place] = start + duration
        found.append((place, start, duration))
    return found


def clash(first: list[Row], then: list[Row], apart_ps: int) -> bool:
    """Whether `then`, so much later, gets into the way of `first`.

    A link is taken at single picoseconds. A unit belongs to a step from its first task to its last.
    """
    taken = {
        (link, ps)
        for link, start, duration in first
        if not isinstance(link[0], str)
        for ps in range(start, start + duration)
    }
    wanted = {
        (link, ps + apart_ps)
        for link, start, duration in then
        if not isinstance(link[0], str)
        for ps in range(start, start + duration)
    }
    if taken & wanted:
        return True
    for unit in {row[0] for row in first if isinstance(row[0][0], str)}:
        ends = [start + duration for place, start, duration in first if place == unit]
        starts = [start + apart_ps for place, start, _ in then if place == unit]
        if starts and min(starts) < max(ends):
            return True
    return False


def clash_at(kinds: Sequence[list[Row]], interval_ps: int) -> bool:
    """Whether steps of any kinds that enter at every multiple of the interval clash.

    No step is longer than 100 ps: eight tasks of at most ten each, and the latency.
    """
    return any(
        clash(first, then, apart_ps)
        for first, then in product(kinds, kinds)
        for apart_ps in range(interval_ps, 100 + interval_ps, interval_ps)
    )


@given(rows())
@settings(deadline=None)
def test_the_interval_is_the_least_at_which_nothing_clashes(step: list[Row]) -> None:
    found = separations([program_of(step)])
    least_ps = next(ps for ps in range(1, 200) if not clash_at([step], ps))
    assert found.interval_ps == least_ps


@given(st.lists(rows(), min_size=2, max_size=3))
@settings(deadline=None)
def test_several_kinds_share_one_interval(kinds: list[list[Row]]) -> None:
    found = separations([program_of(step) for step in kinds])
    assert found.interval_ps == next(ps for ps in range(1, 200) if not clash_at(kinds, ps))
    for i, j in product(range(len(kinds)), repeat=2):
        # Two steps alone: what stands between just this pair.
        assert found.pair_ps[i][j] == next(
            ps for ps in range(1, 200) if not clash(kinds[i], kinds[j], ps)
        )


@given(st.lists(rows(), min_size=1, max_size=2), st.integers(1, 60))
@settings(deadline=None)
def test_collides_sees_what_copies_laid_over_one_another_show(
    kinds: list[list[Row]], interval_ps: int
) -> None:
    assert collides([program_of(step) for step in kinds], interval_ps) == clash_at(
        kinds, interval_ps
    )


@given(rows(places=((0, 1), (1, 0), (1, 2))))
@settings(deadline=None)
def test_links_alone_let_steps_in_between_one_another(step: list[Row]) -> None:
    found = separations([program_of(step)])
    assert found.unit_ps == 0
    assert found.interval_ps == next(ps for ps in range(1, 200) if not clash_at([step], ps))


def test_gaps_of_a_unit_are_not_given_away_and_gaps_of_a_link_are() -> None:
    """One picosecond at the beginning, one at the end of ten: a link takes a step every 2 ps.

    Every 1 ps would be full as well, but 9 is a multiple of 1 at which first and last meet; of 2 it
    is not.
    """
    unit = separations([program_of([(("vector", 3), 0, 1), (("vector", 3), 9, 1)])])
    assert (unit.interval_ps, unit.unit_ps, unit.bound_by) == (10, 10, "vector unit of chip 3")
    link = separations([program_of([((0, 1), 0, 1), ((0, 1), 9, 1)])])
    assert (link.interval_ps, link.unit_ps) == (2, 0)


def test_every_multiple_counts() -> None:
    """Held at 0 and at 12: with 4 between steps the next one is out of the way, the third not."""
    step = [((0, 1), 0, 2), ((0, 1), 12, 2), (("matrix", 0), 0, 4)]
    found = separations([program_of(step)])
    assert found.pair_ps == ((4,),)
    assert found.unit_ps == 4
    # 4, 6: 12 is a multiple. 5: 10 + 2 ends where 12 begins, and 15 is past.
    assert found.interval_ps == 5
    assert found.bound_by == "matrix unit of chip 0, and 1 ps more for links"


# Compiled programs --------------------------------------------------------------------------------


def planned(
    degree: int, stages: int | None, layers: int = 2, objective: PlanObjective = "fewest_chips"
) -> Plan:
    """A box of 8 whose steps take some hundred thousand picoseconds."""
    link = LinkType("c2c", 10**10, 10_000, 320, 328)
    chip = Chip(
        name="small",
        execution="static",
        memory=(MemoryTier("sram", 10**9, 10**12),),
        matrix=MatrixUnit({"fp16": 10**13}, 10**12),
        vector_flop_per_s=10**12,
        operator_fixed_latency_ps=5_000,
        program_text_bytes=0,
        port_count=8,
        idle_watts=1.0,
        peak_watts=2.0,
        price_usd=1.0,
    )
    topology = fully_connected(name="node", chips=8, local=link, port_count=8)
    plan = partition(
        Deployment(
            model=Architecture.dense("small", layers, 256, 8, 4, 32, 512, 1000, False, 512),
            system=System("small", chip, topology, 0.0),
            shape=StepShape(1, 64, Precision("int8", "fp16", "fp16", "fp16")),
            concurrent_sequences=2,
            tensor_parallel=degree,
            stage_count=stages,
            objective=objective,
        )
    )
    assert isinstance(plan, Plan)
    return plan


@pytest.mark.parametrize(("degree", "stages"), [(1, 4), (2, 3), (4, 2), (8, 1)])
def test_a_step_and_a_prompt_of_one_machine(degree: int, stages: int) -> None:
    """Copies of real programs on every link, at the interval and one picosecond before it."""
    plan = planned(degree, stages)
    decode = compile_step(plan).program
    prompt = compile_program(plan, replace(plan.demand.shape, rows=16, program="prefill"))
    for kinds in ([decode], [prompt], [decode, prompt]):
        found = separations(kinds)
        assert not collides(kinds, found.interval_ps)
        assert collides(kinds, found.interval_ps - 1)
        assert not links_overlap(kinds, found.interval_ps)
    together = separations([decode, prompt])
    alone = [separations([kind]).interval_ps for kind in (decode, prompt)]
    assert together.unit_ps >= max(separations([kind]).unit_ps for kind in (decode, prompt))
    assert together.interval_ps >= max(alone)


def links_overlap(kinds: Sequence[Program], interval_ps: int) -> bool:
    """Steps of all kinds in turn, three times as long as the longest: two holds at one time?"""
    held: dict[Resource, list[tuple[int, int]]] = {}
    steps = 3 * max(kind.latency_ps for kind in kinds) // interval_ps + 2 * len(kinds)
    for number in range(steps):
        kind = kinds[number % len(kinds)]
        enters_ps = number * interval_ps
        for resource, start, duration in zip(
            kind.resource.tolist(), kind.start_ps.tolist(), kind.duration_ps.tolist(), strict=True
        ):
            if duration:
                times = held.setdefault(kind.resources[resource], [])
                times.append((enters_ps + start, enters_ps + start + duration))
    for times in held.values():
        times.sort()
        if any(end > start for (_, end), (start, _) in pairwise(times)):
            return True
    return False


@given(rows())
@settings(deadline=None)
def test_with_latency_first_a_slot_is_back_when_its_step_ends(step: list[Row]) -> None:
    """R - L is no more than rounding and a thousandth, no slots more than fit, nothing collides.

    One slot more, and as far apart as need be, would wait for longer.
    """
    program = program_of(step)
    assume(program.latency_ps)
    apart = separations([program])
    slots, interval_ps = revolution(program, apart, latency_first=True)
    assert 0 <= slots * interval_ps - program.latency_ps < slots + program.latency_ps / WAIT_PARTS
    assert 1 <= slots <= program.latency_ps // apart.interval_ps
    assert not collides([program], interval_ps)
    if slots < program.latency_ps // apart.interval_ps:
        spread_ps = -(-program.latency_ps // (slots + 1))
        longest_ps = spread_ps + program.latency_ps // WAIT_PARTS // (slots + 1)
        assert all(collides([program], ps) for ps in range(spread_ps, longest_ps + 1))
    most, least_ps = revolution(program, apart, latency_first=False)
    assert least_ps == apart.interval_ps <= interval_ps
    assert (most - 1) * least_ps < program.latency_ps <= most * least_ps


def test_more_layers_are_not_faster() -> None:
    """From two layers to a dozen on one box: whole slots once made 17 faster than 16."""
    turns = []
    for layers in range(3, 12):
        step = compile_step(planned(1, None, layers, "lowest_latency"))
        wait_ps = step.revolution_ps - step.latency_ps
        assert 0 <= wait_ps < step.slot_count + step.latency_ps / WAIT_PARTS
        turns.append(step.revolution_ps)
    assert turns == sorted(turns)
