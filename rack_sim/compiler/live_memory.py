"""Live memory: what a program keeps on every chip at one time, and whether it fits."""

from dataclasses import replace

import numpy as np

from rack_sim.compiler.program import Program
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.errors import InfeasibleError
from rack_sim.foundation.units import format_bytes
from rack_sim.partition.infeasible import Infeasible


def live_bytes_max(program: Program, interval_ps: int) -> dict[int, int]:
    """Most bytes of activations on every chip at one time, with a step entering each interval.

    A result lives from the start of its task until all that need it have ended (a message has,
    when its last vector has left). The shard of the residual stream that a stage works on is not in
    here: it lives all the time.
    """
    ends = program.start_ps + program.done_ps
    held = program.start_ps + program.duration_ps
    np.maximum.at(ends, program.need_task, held[program.need_of])
    lives = np.flatnonzero(program.leaves_bytes > 0)
    if not len(lives):
        return {}
    chips, owner = np.unique(program.result_chip[lives], return_inverse=True)
    peaks = _peaks(
        owner, program.start_ps[lives], ends[lives], program.leaves_bytes[lives], interval_ps
    )
    return dict(zip(chips.tolist(), peaks.tolist(), strict=True))


def check_memory(program: Program, interval_ps: int) -> None:
    """Raises InfeasibleError where some chip's memory would hold more than it can."""
    plan = program.plan
    chip_kind = plan.system.chip
    tiers, places = chip_kind.tiers, chip_kind.tiers.by_kind
    live = live_bytes_max(program, interval_ps)
    worst: tuple[int, int, dict[str, int], int] | None = None
    for stage in plan.stages:
        shard_bytes = program.shape.shard_bytes(plan.demand.residual_elements, len(stage.chips))
        for chip, memory in zip(stage.chips, stage.memory, strict=True):
            sizes = replace(memory, activation_bytes=live.get(chip, 0) + shard_bytes).by_kind
            for number in tiers.in_use:
                terms = {kind: size for kind, size in sizes.items() if places[kind] == number}
                total, capacity = sum(terms.values()), chip_kind.memory[number].capacity_bytes
                if total > capacity and (worst is None or total > worst[0]):
                    worst = (total, chip, terms, capacity)
    if worst:
        raise InfeasibleError(
            Infeasible(
                question=(
                    f"{program.title}: what lives on chip {worst[1]} at one time in its memory of "
                    f"{format_bytes(worst[3])}"
                ),
                scope="chip",
                demand_bytes=worst[0],
                bound_bytes=worst[3],
                terms=worst[2],
                levers=(
                    "fewer rows (serving.slot_rows, or --rows of a timeline)",
                    "serving.concurrent_sequences: fewer",
                ),
            )
        )


def _peaks(
    owner: Int64Array, starts: Int64Array, ends: Int64Array, sizes: Int64Array, interval_ps: int
) -> Int64Array:
    """For each owner, the largest sum of sizes alive at one time when all repeats each interval."""
    whole, rest = np.divmod(ends - starts, interval_ps)
    level = np.zeros(int(owner.max()) + 1, dtype=np.int64)
    np.add.at(level, owner, whole * sizes)  # alive at any time, so many times over
    begin = starts % interval_ps
    end = begin + rest
    wrapped = end > interval_ps
    again = np.zeros(int(wrapped.sum()), dtype=np.int64)
    times = np.concatenate((begin, end, again, end[wrapped] - interval_ps))
    steps = np.concatenate((sizes, -sizes, sizes[wrapped], -sizes[wrapped]))
    owners = np.concatenate((owner, owner, owner[wrapped], owner[wrapped]))
    # By owner and time; what ends makes room before what begins.
    order = np.lexsort((steps > 0, times, owners))
    # The steps of an owner add up to nothing, so each begins at nothing again.
    alive = np.cumsum(steps[order])
    first = np.searchsorted(owners[order], np.arange(len(level)))
    return level + np.maximum(np.maximum.reduceat(alive, first), 0)
