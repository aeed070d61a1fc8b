"""Recurrence: the slipping replay of `programs`, solved instead of stepped through.

The start of a task is the latest of: its resource free, its inputs there, its step entered. Taken
in the compiled order that is a max-plus recurrence. Tasks of one schedule that begin at one
compiled picosecond are on different resources and cannot need each other, so they are solved as one
wave, for many draws of jitter at once. SimPy's replay is its witness: equal to the picosecond.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rack_sim.compiler.program import Program
from rack_sim.engine.programs import Entry
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.errors import DeadlockError

_LONG_AGO = -(2**60)


@dataclass(frozen=True)
class SlippedSteps:
    """What came of steps that may slip; the second axis is the draw.

    `token_ps` is when each entry's last result was there (entries, draws). `stage_ps` is when each
    entry's stages began (entries, stages, draws): a stage begins when the last of the tasks that
    are compiled for its beginning does, so when all of its chips have what they wait for.
    """

    token_ps: Int64Array
    stage_ps: Int64Array


@dataclass(frozen=True)
class _Wave:
    """Tasks that begin at one compiled time; needs as a matrix, short rows filled up."""

    start_ps: int
    stage: int
    tasks: Int64Array
    resource: Int64Array
    duration_ps: Int64Array
    done_ps: Int64Array
    needs: Int64Array
    lags_ps: Int64Array
    roots: NDArray[np.bool_]
    begins_stage: bool
    is_last: bool


def slip(
    program: Program,
    entries: Sequence[Entry],
    extra: Iterable[Int64Array],
    *,
    on_progress: Callable[[int], None] | None = None,
) -> SlippedSteps:
    """Solves the starts of all entries (of one program, in order of time) with their extra times.

    Raises DeadlockError where an entry is compiled to begin before the token it waits for is there:
    then the order of tasks is not known beforehand. Memory grows with steps in flight times tasks,
    and with entries times stages. `on_progress` is told the number of each entry that begins.
    """
    waves = _waves(program)
    draws = iter(extra)
    late: dict[int, Int64Array] = {}
    spent: dict[int, Int64Array] = {}
    tokens: list[Int64Array] = []
    stages: list[Int64Array] = []
    free: Int64Array | None = None
    for entry, wave in _in_order(waves, entries):
        if entry not in late:
            spent[entry] = next(draws)
            width = spent[entry].shape[1]
            late[entry] = np.full((len(program) + 1, width), _LONG_AGO, dtype=np.int64)
            tokens.append(np.zeros(width, dtype=np.int64))
            stages.append(np.zeros((program.plan.stage_count, width), dtype=np.int64))
            if free is None:
                free = np.zeros((len(program.resources), width), dtype=np.int64)
            if on_progress:
                on_progress(entry)
        if free is None:
            raise AssertionError("the first entry makes it")
        own, after = late[entry], entries[entry].after
        begun = np.maximum(free[wave.resource], entries[entry].at_ps)
        if wave.needs.shape[1]:
            there = own[wave.needs] + wave.lags_ps[:, :, None]
            begun = np.maximum(begun, there.max(axis=1))
        if after >= 0 and wave.roots.any():
            if after in late:
                raise DeadlockError(
                    f"step {entry} enters at {entries[entry].at_ps} ps and waits for the token of "
                    f"step {after}, which is not compiled to be there by then"
                )
            begun[wave.roots] = np.maximum(begun[wave.roots], tokens[after])
        ends = begun + spent[entry][wave.tasks]
        own[wave.tasks] = ends
        free[wave.resource] = ends + wave.duration_ps[:, None]
        tokens[entry] = np.maximum(tokens[entry], (ends + wave.done_ps[:, None]).max(axis=0))
        if wave.begins_stage:
            at = stages[entry]
            at[wave.stage] = np.maximum(at[wave.stage], begun.max(axis=0))
        if wave.is_last:
            del late[entry], spent[entry]
    return SlippedSteps(np.array(tokens), np.array(stages))


def stage_starts_ps(program: Program) -> Int64Array:
    """When each stage begins as compiled, counted from the step's entry."""
    starts = np.full(program.plan.stage_count, np.iinfo(np.int64).max, dtype=np.int64)
    for part in program.parts:
        if part.block >= 0:
            starts[part.stage] = min(int(starts[part.stage]), part.start_ps)
    return starts


def _in_order(waves: Sequence[_Wave], entries: Sequence[Entry]) -> Iterator[tuple[int, _Wave]]:
    """Every wave of every entry in the order of compiled starts, earlier entries first."""
    starts = np.array([wave.start_ps for wave in waves], dtype=np.int64)
    at = np.add.outer(np.array([entry.at_ps for entry in entries], dtype=np.int64), starts)
    order = np.argsort(at, axis=None, kind="stable")
    for place in order.tolist():
        entry, wave = divmod(place, len(waves))
        yield entry, waves[wave]


def _waves(program: Program) -> list[_Wave]:
    """The waves of one step in order of time."""
    count = len(program)
    order = np.lexsort((program.work, program.start_ps, program.part))
    keys = np.column_stack((program.part, program.start_ps, program.work))[order]
    cuts = np.flatnonzero((np.diff(keys, axis=0) != 0).any(axis=1)) + 1
    first_need = np.searchsorted(program.need_of, np.arange(count + 1))
    waits = np.diff(first_need)
    stage_starts = stage_starts_ps(program)
    found = []
    for tasks in np.split(order, cuts):
        widest = int(waits[tasks].max())
        needs = np.full((len(tasks), widest), count, dtype=np.int64)
        lags = np.zeros((len(tasks), widest), dtype=np.int64)
        for row, task in enumerate(tasks.tolist()):
            here = slice(first_need[task], first_need[task + 1])
            needs[row, : waits[task]] = program.need_task[here]
            lags[row, : waits[task]] = program.need_lag_ps[here]
        part = program.parts[int(program.part[tasks[0]])]
        start_ps = int(program.start_ps[tasks[0]])
        found.append(
            _Wave(
                start_ps=start_ps,
                stage=part.stage,
                tasks=tasks,
                resource=program.resource[tasks],
                duration_ps=program.duration_ps[tasks],
                done_ps=program.done_ps[tasks],
                needs=needs,
                lags_ps=lags,
                roots=waits[tasks] == 0,
                begins_stage=part.block >= 0 and start_ps == stage_starts[part.stage],
                is_last=False,
            )
        )
    found.sort(key=lambda wave: (wave.start_ps, int(wave.duration_ps.max()), int(wave.tasks[0])))
    return [*found[:-1], replace(found[-1], is_last=True)]
