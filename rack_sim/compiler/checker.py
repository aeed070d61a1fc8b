"""Checker: proves that a program can run as it is written. It runs on every compile.

It takes what things need and how long they take from the plan, the chip and the topology, and from
the program only when and where they are. One function for each rule:

- every unit and link holds one task at a time (`overlaps`)
- every message crosses links that are there, in a row, as long as its vectors take (`crossings`)
- every operator, every stream of its weights, every sum and every layout of a shard takes as long
  as the chip needs for it (`operators`)
- every task starts when what it needs is there: operators have ended, vectors have arrived, the
  latency of links included (`dependencies`)
- every exchange that a block needs is there, and brings each chip what it must (`deliveries`)
- what lives in a chip's memory at one time fits it (`live_memory`)
- no step is faster than the machine's physical limit (`bound`)
- steps at the compiled interval do not collide (`interval`)
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rack_sim.compiler.deliveries import deliveries, exchanges_of
from rack_sim.compiler.interval import collides
from rack_sim.compiler.live_memory import check_memory
from rack_sim.compiler.program import Program
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.errors import ScheduleError
from rack_sim.foundation.units import work_to_ps
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Hop
from rack_sim.model.indexer_operators import TOP_K_FLOP
from rack_sim.model.operators import Block, Operator
from rack_sim.timing.exchanges import dispatched_elements
from rack_sim.timing.operators import time_operator
from rack_sim.timing.tasks import Kind, Resource, Work

_SHOWN = 5


def check_program(program: Program, *, interval_ps: int | None = None) -> None:
    """Raises ScheduleError with what is wrong, InfeasibleError where a memory is too small.

    With an `interval_ps`, steps that follow each other at that interval must not get into each
    other's way, and memory counts all that are in flight.
    """
    for rule in RULES:
        broken = list(rule(program))
        if broken:
            more = f" (and {len(broken) - _SHOWN} more)" if len(broken) > _SHOWN else ""
            raise ScheduleError(
                f"the program ({program.title}) breaks a rule: {'; '.join(broken[:_SHOWN])}{more}"
            )
    if interval_ps is not None and collides([program], interval_ps):
        raise ScheduleError(
            f"steps of the program ({program.title}) that enter {interval_ps} ps apart collide"
        )
    check_memory(program, interval_ps or program.latency_ps)


def overlaps(program: Program) -> Iterator[str]:
    """Two tasks that hold one unit or link at one time."""
    order = program.order
    resource, start = program.resource[order], program.start_ps[order]
    end = start + program.duration_ps[order]
    if (program.duration_ps < 0).any() or (program.start_ps < 0).any():
        yield "a task has a negative time"
    for at in np.flatnonzero((resource[1:] == resource[:-1]) & (start[1:] < end[:-1])):
        first, second = int(order[at]), int(order[at + 1])
        yield f"{describe(program, second)} starts before {describe(program, first)} has ended"


def crossings(program: Program) -> Iterator[str]:
    """Messages over links that are not there, not in a row, or not as long as they take."""
    tasks = np.flatnonzero(program.message >= 0)
    wires = _Wires(program)
    there = wires.number >= 0
    for task in tasks[~there[program.resource[tasks]]].tolist():
        yield f"{describe(program, task)}: there is no such link"
    tasks = tasks[there[program.resource[tasks]]]
    if not len(tasks):
        return
    sizes, size = np.unique(program.payload_bytes[tasks], return_inverse=True)
    table = [[_takes(*wire, size_bytes) for size_bytes in sizes.tolist()] for wire in wires.kinds]
    takes = np.array(table, dtype=np.int64)[wires.number[program.resource[tasks]], size]
    vectors, duration_ps, latency_ps = takes.T
    for at in np.flatnonzero(program.vectors[tasks] != vectors).tolist():
        carried = int(program.vectors[tasks[at]])
        yield f"{describe(program, int(tasks[at]))} carries {carried} vectors, not {vectors[at]}"
    for at in np.flatnonzero(program.duration_ps[tasks] != duration_ps).tolist():
        given_ps = int(program.duration_ps[tasks[at]])
        yield f"{describe(program, int(tasks[at]))} takes {duration_ps[at]} ps, not {given_ps}"
    for at in np.flatnonzero(program.done_ps[tasks] != duration_ps + latency_ps).tolist():
        yield f"{describe(program, int(tasks[at]))} arrives before its latency has passed"
    # A message is a run of rows: from its source, on from where it is, to its goal.
    leaves, arrives = program.ends[program.resource[tasks]].T
    message = program.message[tasks]
    first = np.concatenate(([True], message[1:] != message[:-1]))
    last = np.concatenate((message[1:] != message[:-1], [True]))
    is_at = np.where(first, program.source[tasks], np.concatenate(([-1], arrives[:-1])))
    for task in tasks[leaves != is_at].tolist():
        yield f"{describe(program, task)} leaves from where the message is not"
    for at in np.flatnonzero(last & (arrives != program.target[tasks])).tolist():
        way = f"ends at chip {arrives[at]} on its way to chip {program.target[tasks[at]]}"
        yield f"{describe(program, int(tasks[at]))} {way}"


class _Wires:
    """What links are made of: the different ones, and the number of each resource's (-1: none)."""

    def __init__(self, program: Program) -> None:
        routing = program.plan.routing
        known: dict[tuple[int, int], int] = {}  # kinds live as long as the routing
        self.kinds: list[tuple[LinkType, int]] = []
        self.number = np.full(len(program.resources), -1, dtype=np.int64)
        for at in np.flatnonzero(program.is_link).tolist():
            hop = _hop(program.resources[at])
            if not routing.has_link(hop):
                continue
            kind, lanes = routing.link_type(hop), routing.lane_count(hop)
            place = known.setdefault((id(kind), lanes), len(known))
            if place == len(self.kinds):
                self.kinds.append((kind, lanes))
            self.number[at] = place


def _takes(kind: LinkType, lanes: int, payload_bytes: int) -> tuple[int, int, int]:
    """Vectors, serialisation and latency of a message on a link of so many cables."""
    vectors = kind.vectors(payload_bytes)
    longest = -(-vectors // lanes)
    return vectors, work_to_ps(longest * kind.wire_bytes, kind.bytes_per_s), kind.latency_ps


def operators(program: Program) -> Iterator[str]:
    """Operators, and what belongs to them, that take less time on some chip than it needs."""
    plan = program.plan
    whole_works = [work.whole for work in program.works]
    known = {work: number for number, work in enumerate(dict.fromkeys(whole_works))}
    of_work = _whole(known[work] for work in whole_works)[program.work]
    chips = program.result_chip
    size = plan.system.topology.chip_count  # of any stage, also those without a task
    keys, place = np.unique(
        (program.part * size + chips) * len(known) + of_work, return_inverse=True
    )
    spent = np.zeros(len(keys) + 1, dtype=np.int64)  # the last one for what is not there
    np.add.at(spent, place, program.duration_ps)
    needed: dict[tuple[Block, int], tuple[list[Work], Int64Array, Int64Array]] = {}
    for number, part in enumerate(program.parts):
        if part.block < 0:
            continue
        stage = plan.stages[part.stage]
        block = replace(stage.blocks[part.block], name="")  # alike, whichever layer it is
        case = (block, len(stage.chips))
        if case not in needed:
            least = _needed_ps(program, block, len(stage.chips))
            numbers = _whole(known.get(work, -1) for work in least)
            needed[case] = list(least), numbers, _whole(least.values())
        works, wanted, needed_ps = needed[case]
        key = (number * size + _whole(stage.chips)) * len(known) + wanted[:, None]
        found = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        there = (keys[found] == key) & (wanted >= 0)[:, None]
        took_ps = spent[np.where(there, found, len(keys))]
        for at, member in np.argwhere(took_ps < needed_ps[:, None]).tolist():
            yield (
                f"{works[at]} ({part.name}) takes {took_ps[at, member]} ps on chip "
                f"{stage.chips[member]}, which needs {needed_ps[at]}"
            )


def _needed_ps(program: Program, block: Block, group_size: int) -> dict[Work, int]:
    """The least time of everything that a chip does for a block."""
    chip, shape = program.plan.system.chip, program.shape
    rows = shape.rows_of(block)
    residual = program.plan.demand.residual_elements
    least: dict[Work, int] = {}
    for operator in shape.part_of(block).operators:
        timing = time_operator(
            operator,
            chip=chip,
            precision=shape.precision,
            rows=rows,
            context_tokens=shape.context_tokens,
            group_size=group_size,
            sequence_count=min(shape.sequence_count, rows),
        )
        least[Work(operator.name, "operator")] = timing.duration_ps
        least[Work(operator.name, "weights_ahead")] = timing.preload_ps
        least[Work(operator.name, "weights")] = timing.stream_ps
        if operator.followed_by == "reduce_scatter":
            flop = (group_size - 1) * -(-rows * residual // group_size)
            least[Work(operator.name, "sum")] = work_to_ps(flop, chip.vector_flop_per_s)
        elif operator.followed_by in ("choices", "mixes"):
            flop = (group_size - 1) * _looked_at(program, block, operator, group_size)
            least[Work(operator.name, "sum")] = work_to_ps(flop, chip.vector_flop_per_s)
        elif operator.followed_by in ("logits", "collect") and block.choice:
            each = rows * block.choice.expert_count
            if operator.followed_by == "collect":
                each = dispatched_elements(
                    block.choice,
                    rows,
                    group_size=group_size,
                    residual_elements=residual,
                    execution=chip.execution,
                )
            flop = (group_size - 1) * each
            least[Work(operator.name, "sum")] = work_to_ps(flop, chip.vector_flop_per_s)
    rate = chip.matrix.feed_bytes_per_s or chip.reached_bytes_per_s(chip.tier_of("activations"))
    for item in exchanges_of(program, block, tuple(range(group_size))):
        if item.operation == "all_gather":
            least[Work(item.traffic, "layout")] = work_to_ps(item.shard_bytes, rate)
    return least


def _looked_at(program: Program, block: Block, operator: Operator, group_size: int) -> int:
    """The work of a chip for what each other chip tells it: candidates, or sums."""
    rows, selection = program.shape.rows_of(block), block.selection
    if operator.followed_by == "mixes" or selection is None:
        return rows * block.mixed_per_row
    candidates = selection.candidates(program.shape.context_tokens, group_size)
    return TOP_K_FLOP * rows * candidates


def dependencies(program: Program) -> Iterator[str]:
    """Tasks that start before what they need is there."""
    of, need, lag = program.need_of, program.need_task, program.need_lag_ps
    early = program.start_ps[of] < program.start_ps[need] + lag
    for at in np.flatnonzero(early).tolist():
        yield (
            f"{describe(program, int(of[at]))} starts before it may: it needs "
            f"{describe(program, int(need[at]))} and {int(lag[at])} ps"
        )
    least = _least_lags(program, of, need)
    for at in np.flatnonzero(lag < least).tolist():
        yield (
            f"{describe(program, int(of[at]))} waits {int(lag[at])} ps for "
            f"{describe(program, int(need[at]))}, whose result takes {int(least[at])} ps"
        )
    # Where a result is, and where it is needed: only messages carry anything from chip to chip.
    at_chip, from_chip = program.result_chip, _working_chips(program)
    for at in np.flatnonzero(at_chip[need] != from_chip[of]).tolist():
        yield (
            f"{describe(program, int(of[at]))} needs {describe(program, int(need[at]))}, "
            f"which is on chip {int(at_chip[need[at]])}"
        )
    # Whatever follows the first tasks of a step must wait for something.
    waits = np.zeros(len(program), dtype=bool)
    waits[of] = True
    first_part = program.parts[0]
    for task in np.flatnonzero(~waits & (program.part != 0)).tolist():
        yield f"{describe(program, task)} waits for nothing, not even {first_part.name}"
    # And each result but the last is waited for; weights stream into an operator that runs.
    awaited = program.part == program.part.max()
    awaited[need] = True
    streams = _is_of(program, "weights")
    for task in np.flatnonzero(~awaited & ~streams).tolist():
        yield f"nothing waits for {describe(program, task)}"


def bound(program: Program) -> Iterator[str]:
    """A step faster than reading its weights once and crossing each link once on the way."""
    plan = program.plan
    tier = plan.system.chip.tier_of("weights")
    weights_ps = 0
    for stage in plan.stages:
        read = sum(
            program.shape.precision.part_bytes(operator, operator.parameters_met)
            for block in stage.blocks
            for operator in block.operators
            if not operator.lookup_per_row
        )
        weights_ps += read // plan.tensor_parallel * 10**12 // tier.bandwidth_bytes_per_s
    links_ps = 0
    for stage, after in pairwise(plan.stages):
        way = plan.routing.minimal_routes(stage.chips[0], after.chips[0])[0]
        links_ps += sum(plan.routing.link_type(hop).latency_ps for hop in pairwise(way))
    if program.latency_ps < weights_ps + links_ps:
        yield (
            f"a step of {program.latency_ps} ps is faster than reading the weights once "
            f"({weights_ps} ps) and passing from stage to stage ({links_ps} ps)"
        )


RULES: tuple[Callable[[Program], Iterator[str]], ...] = (
    overlaps,
    crossings,
    dependencies,
    deliveries,
    bound,
    operators,
)


def describe(program: Program, task: int) -> str:
    """A task in words."""
    first, second = program.resources[int(program.resource[task])]
    where = f"{first} of chip {second}" if isinstance(first, str) else f"link {first}->{second}"
    part = program.parts[int(program.part[task])].name
    work = program.works[int(program.work[task])]
    return f"{work} ({part}) on {where} at {int(program.start_ps[task])} ps"


def _least_lags(program: Program, of: Int64Array, need: Int64Array) -> Int64Array:
    """The least honest lag of every need."""
    same_message = (program.message[of] >= 0) & (program.message[of] == program.message[need])
    on_link = program.is_link[program.resource]
    is_memory = np.array([first == "memory" for first, _ in program.resources])[program.resource]
    least = program.done_ps[need].copy()
    # Vectors are forwarded as they arrive: the first must be there, and the last in time.
    made_of = _Wires(program)
    kinds = [
        (work_to_ps(kind.wire_bytes, kind.bytes_per_s), kind.latency_ps)
        for kind, _ in made_of.kinds
    ]
    wires = np.array([*kinds, (0, 0)], dtype=np.int64)[made_of.number]
    before, then = need[same_message], of[same_message]
    vector_ps, latency_ps = wires[program.resource[before]].T
    last_ps = (
        program.duration_ps[before] - program.duration_ps[then] + wires[program.resource[then], 0]
    )
    least[same_message] = latency_ps + np.maximum(vector_ps, last_ps)
    # Weights may stream while their operator runs; those ahead of it must be there when its fixed
    # latency has passed, and have no room in the unit before the operator in front has ended.
    inside = ~on_link[of] & ~on_link[need]
    fixed_ps = program.plan.system.chip.operator_fixed_latency_ps
    ahead = _is_of(program, "weights_ahead")
    to_operator = inside & is_memory[need] & ~is_memory[of]
    least[to_operator & ahead[need]] = np.maximum(
        program.duration_ps[need[to_operator & ahead[need]]] - fixed_ps, 0
    )
    with_operator = inside & is_memory[of] & ~is_memory[need] & ~ahead[of]
    least[with_operator & (program.part[of] == program.part[need])] = 0
    return least


def _is_of(program: Program, kind: Kind) -> NDArray[np.bool_]:
    """Which tasks do work of a kind."""
    return np.array([work.kind == kind for work in program.works])[program.work]


def _whole(numbers: Iterable[int]) -> Int64Array:
    return np.array(list(numbers), dtype=np.int64)


def _hop(resource: Resource) -> Hop:
    first, second = resource
    if isinstance(first, str):
        raise ValueError(f"{first} of chip {second} is no link")
    return first, second


def _working_chips(program: Program) -> Int64Array:
    """The chip that does each task: a message's is at the start of its link."""
    first, second = program.ends.T
    chips: Int64Array = np.where(program.is_link, first, second)[program.resource]
    return chips
