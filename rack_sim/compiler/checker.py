"""Checker: proves that a program can run as it is written. It runs on every compile.

It knows the machine from the topology and the plan and believes nothing that the lowering says of
itself. One function for each rule:

- every unit and link holds one task at a time (`overlaps`)
- every message crosses links that are there, in a row, for as long as its vectors take (`crossings`)
- every task starts when what it needs is there: operators have ended, vectors have arrived, the
  latency of links included (`dependencies`)
- no chip gets less of a collective than the operation promises (`deliveries`)
- what lives in a chip's memory at one time fits it (`memory`)
- no step is faster than the machine's physical limit (`bound`)
"""

from collections.abc import Callable, Iterator

import numpy as np

from rack_sim.compiler.program import Program, Whole, hop_of
from rack_sim.foundation.errors import InfeasibleError, ScheduleError
from rack_sim.foundation.units import format_bytes, work_to_ps
from rack_sim.hardware.routing import Hop
from rack_sim.partition.infeasible import Infeasible

_SHOWN = 5


def check_program(program: Program, *, interval_ps: int | None = None) -> None:
    """Raises ScheduleError with what is wrong, InfeasibleError where a memory is too small.

    With an `interval_ps`, memory counts all steps that are in flight at that interval.
    """
    for rule in RULES:
        broken = list(rule(program))
        if broken:
            more = f" (and {len(broken) - _SHOWN} more)" if len(broken) > _SHOWN else ""
            raise ScheduleError(
                f"the program ({program.title}) breaks a rule: {'; '.join(broken[:_SHOWN])}{more}"
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
    router = program.plan.router
    takes: dict[tuple[Hop, int], tuple[int, int, int]] = {}
    place: Hop | None = None
    message = last = -1
    for task in np.flatnonzero(program.message >= 0).tolist():
        hop = hop_of(program, task)
        if not router.has_link(hop):
            yield f"{describe(program, task)}: there is no such link"
            continue
        payload = int(program.payload_bytes[task])
        if (hop, payload) not in takes:
            kind = router.link_type(hop)
            vectors = kind.vectors(payload)
            longest = -(-vectors // router.lane_count(hop))
            takes[hop, payload] = (
                vectors,
                work_to_ps(longest * kind.wire_bytes, kind.bytes_per_s),
                kind.latency_ps,
            )
        vectors, duration_ps, latency_ps = takes[hop, payload]
        if int(program.vectors[task]) != vectors:
            yield f"{describe(program, task)} carries {program.vectors[task]} vectors, not {vectors}"
        if int(program.duration_ps[task]) != duration_ps:
            yield f"{describe(program, task)} takes {duration_ps} ps, not {program.duration_ps[task]}"
        if int(program.done_ps[task]) != duration_ps + latency_ps:
            yield f"{describe(program, task)} arrives before its latency has passed"
        # A message is a run of rows: it begins at its source, goes on where it is, ends at its goal.
        if message != int(program.message[task]):
            if place is not None and place[0] != place[1]:
                yield _stops_short(program, last, place)
            message = int(program.message[task])
            place = (int(program.source[task]), int(program.target[task]))
        if place is None or hop[0] != place[0]:
            yield f"{describe(program, task)} leaves from where the message is not"
            return
        place, last = (hop[1], place[1]), task
    if place is not None and place[0] != place[1]:
        yield _stops_short(program, last, place)


def _stops_short(program: Program, task: int, place: Hop) -> str:
    return f"{describe(program, task)} ends at chip {place[0]} on its way to chip {place[1]}"


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
    at_chip, from_chip = _result_chips(program), _working_chips(program)
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
    # And each result but the last is waited for (weights are by the operator that they stream to).
    awaited = program.part == program.part.max()
    awaited[need] = True
    streams = np.array([first == "memory" for first, _ in program.resources])[program.resource]
    for task in np.flatnonzero(~awaited & ~streams).tolist():
        yield f"nothing waits for {describe(program, task)}"


def deliveries(program: Program) -> Iterator[str]:
    """Chips that get less of a collective than they must."""
    router = program.plan.router
    last = np.flatnonzero(
        (program.message >= 0) & (np.append(program.message[1:], -1) != program.message)
    )
    got: dict[tuple[int, str, int], int] = {}
    for task in last.tolist():
        key = (
            int(program.part[task]),
            program.traffics[int(program.traffic[task])],
            int(program.target[task]),
        )
        got[key] = got.get(key, 0) + int(program.payload_bytes[task])
    for number, part in enumerate(program.parts):
        for item in part.collectives:
            # Of all-gather and reduce-scatter alike: what each other chip has for this one.
            wanted = (len(item.group) - 1) * item.shard_bytes
            for chip in item.group:
                found = got.get((number, item.traffic, chip), 0)
                if found < wanted or (found > wanted and item.algorithm not in ("tree",)):
                    yield (
                        f"chip {chip} gets {found} bytes in the {item.traffic} of {part.name}, "
                        f"not {wanted}"
                    )
        if part.block < 0 and part.stage + 1 < program.plan.stage_count:
            stage = program.plan.stages[part.stage]
            elements = -(
                -program.shape.rows * program.plan.demand.residual_elements // len(stage.chips)
            )
            wanted = program.shape.precision.activation_bytes(elements)
            for chip in program.plan.stages[part.stage + 1].chips:
                found = got.get((number, "transfer", chip), 0)
                if found != wanted and chip not in stage.chips:
                    yield f"chip {chip} gets {found} bytes from {part.name}, not {wanted}"
    del router


def bound(program: Program) -> Iterator[str]:
    """A step faster than reading its weights once and crossing each link once on the way."""
    plan = program.plan
    tier = plan.system.chip.fast_memory
    weights_ps = 0
    for stage in plan.stages:
        read = sum(
            program.shape.precision.weight_bytes(operator.parameters)
            for block in stage.blocks
            for operator in block.operators
            if not operator.lookup_per_row
        )
        weights_ps += read // plan.tensor_parallel * 10**12 // tier.bandwidth_bytes_per_s
    links_ps = 0
    for stage, after in zip(plan.stages, plan.stages[1:], strict=False):
        way = plan.router.minimal_routes(stage.chips[0], after.chips[0])[0]
        links_ps += sum(
            plan.router.link_type(hop).latency_ps for hop in zip(way, way[1:], strict=False)
        )
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
)


def live_bytes_max(program: Program, interval_ps: int) -> dict[int, int]:
    """Most bytes of activations on every chip at one time, with a step entering each interval.

    A result lives from the start of its task until all that need it have started. The shard of the
    residual stream that a stage works on is counted as long as any of its results lives.
    """
    ends = program.start_ps + program.done_ps
    np.maximum.at(ends, program.need_task, program.start_ps[program.need_of])
    chips = _result_chips(program)
    peaks: dict[int, int] = {}
    order = np.argsort(chips, kind="stable")
    cuts = np.flatnonzero(np.diff(chips[order])) + 1
    for tasks in np.split(order, cuts):
        tasks = tasks[program.leaves_bytes[tasks] > 0]
        if not len(tasks):
            continue
        starts, lasts = program.start_ps[tasks], ends[tasks]
        sizes = program.leaves_bytes[tasks]
        peaks[int(chips[tasks[0]])] = _peak(starts, lasts, sizes, interval_ps)
    return peaks


def check_memory(program: Program, interval_ps: int) -> None:
    """Raises InfeasibleError where some chip's memory would hold more than it can."""
    plan = program.plan
    capacity = plan.system.chip.fast_memory.capacity_bytes
    live = live_bytes_max(program, interval_ps)
    worst: tuple[int, int, dict[str, int]] | None = None
    for stage in plan.stages:
        elements = -(-program.shape.rows * plan.demand.residual_elements // len(stage.chips))
        shard_bytes = program.shape.precision.activation_bytes(elements)
        for chip, memory in zip(stage.chips, stage.memory, strict=True):
            terms = {
                "weights": memory.weight_bytes,
                "kv_cache": memory.kv_bytes,
                "program_text": memory.program_bytes,
                "activations": live.get(chip, 0) + shard_bytes,
            }
            total = sum(terms.values())
            if total > capacity and (worst is None or total > worst[0]):
                worst = (total, chip, terms)
    if worst:
        raise InfeasibleError(
            Infeasible(
                question=(
                    f"{program.title}: what lives on chip {worst[1]} at one time in its memory of "
                    f"{format_bytes(capacity)}"
                ),
                scope="chip",
                demand_bytes=worst[0],
                bound_bytes=capacity,
                terms=worst[2],
                levers=("serving.slot_rows: fewer", "serving.concurrent_sequences: fewer"),
            )
        )


def describe(program: Program, task: int) -> str:
    """A task in words."""
    first, second = program.resources[int(program.resource[task])]
    where = f"{first} of chip {second}" if isinstance(first, str) else f"link {first}->{second}"
    part = program.parts[int(program.part[task])].name
    name = program.names[int(program.name[task])]
    return f"{name} ({part}) on {where} at {int(program.start_ps[task])} ps"


def _peak(starts: Whole, ends: Whole, sizes: Whole, interval_ps: int) -> int:
    """The largest sum of sizes alive at one time when everything repeats each interval."""
    whole, rest = np.divmod(ends - starts, interval_ps)
    level = int((whole * sizes).sum())  # alive at any time, so many times over
    begin = starts % interval_ps
    end = begin + rest
    wrapped = end > interval_ps
    times = np.concatenate(
        (begin, end, np.zeros(int(wrapped.sum()), dtype=np.int64), end[wrapped] - interval_ps)
    )
    steps = np.concatenate((sizes, -sizes, sizes[wrapped], -sizes[wrapped]))
    order = np.lexsort((steps, times))  # what ends makes room before what begins
    return level + max(int(np.cumsum(steps[order]).max()), 0)


def _least_lags(program: Program, of: Whole, need: Whole) -> Whole:
    """The least honest lag of every need."""
    same_message = (program.message[of] >= 0) & (program.message[of] == program.message[need])
    kinds = {name: number for number, (name, _) in enumerate(program.resources)}
    del kinds
    on_link = program.is_link[program.resource]
    is_memory = np.array([first == "memory" for first, _ in program.resources])[program.resource]
    least = program.done_ps[need].copy()
    # Vectors are forwarded as they arrive: the first must be there, and the last in time.
    router = program.plan.router
    for at in np.flatnonzero(same_message).tolist():
        before, then = int(need[at]), int(of[at])
        kind = router.link_type(hop_of(program, before))
        onward = router.link_type(hop_of(program, then))
        first = work_to_ps(kind.wire_bytes, kind.bytes_per_s)
        last = int(program.duration_ps[before] - program.duration_ps[then]) + work_to_ps(
            onward.wire_bytes, onward.bytes_per_s
        )
        least[at] = kind.latency_ps + max(first, last)
    # Weights stream while their operator runs, and may be still on their way when it begins.
    streams = (is_memory[of] | is_memory[need]) & ~on_link[of] & ~on_link[need]
    both_memory = is_memory[of] & is_memory[need]
    least[streams & ~both_memory] = 0
    return least


def _result_chips(program: Program) -> Whole:
    """The chip where each task's result is: a message's is at the end of its link."""
    return np.array([second for _, second in program.resources], dtype=np.int64)[program.resource]


def _working_chips(program: Program) -> Whole:
    """The chip that does each task: a message's is at the start of its link."""
    return np.array(
        [second if isinstance(first, str) else first for first, second in program.resources],
        dtype=np.int64,
    )[program.resource]
