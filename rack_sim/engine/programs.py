"""Programs replayed: one SimPy process for each unit and link, each running its own tasks in order.

On a static machine a task starts at the picosecond that the compiler wrote down, whatever happens
around it. The replay is the compiler's witness: it keeps its own books of when each resource gets
free and when each result is there, and raises ScheduleError where a task would find its unit busy
or its inputs missing. (A queue for each resource would put a wrong schedule right without a word.)

On a reactive machine, or with jitter, a task starts when its inputs are there and its resource is
free, in the compiled order: then it may start late, and the slip is what is measured.
"""

from array import array
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from simpy import Environment, Event

from rack_sim.compiler.checker import describe
from rack_sim.compiler.program import Program
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.errors import DeadlockError, ScheduleError
from rack_sim.timing.tasks import Resource

_AT_ONCE = 512  # tasks that a process takes from the columns at a time
_NOT_YET = -1


@dataclass(frozen=True)
class Entry:
    """A step that enters the pipeline: which program, and when.

    `after` is the number of an earlier entry whose token this step needs (-1: none); in a static
    schedule it must be there in time, a slipping one waits for it.
    """

    program: int
    at_ps: int
    after: int = -1


@dataclass(frozen=True)
class ProgramReplay:
    """What a replay of programs gave.

    `begun_ps` has the start of every task of every entry, entries one after the other
    (`first_task` says where each begins); `token_ps` when each entry's last result was there.
    """

    begun_ps: Int64Array
    first_task: tuple[int, ...]
    token_ps: tuple[int, ...]
    task_count: int

    def slips_ps(self, programs: Sequence[Program], entries: Sequence[Entry]) -> list[Int64Array]:
        """For each entry, how much later than compiled each of its tasks began."""
        return [
            self.begun_ps[first : first + len(programs[entry.program])]
            - entry.at_ps
            - programs[entry.program].start_ps
            for entry, first in zip(entries, self.first_task, strict=True)
        ]


def steady_entries(interval_ps: int, slot_count: int, count: int, program: int = 0) -> list[Entry]:
    """`count` steps of one program, an interval apart, each after the last of its slot."""
    return [
        Entry(program, number * interval_ps, number - slot_count if number >= slot_count else -1)
        for number in range(count)
    ]


def replay_programs(
    programs: Sequence[Program],
    entries: Sequence[Entry],
    extra_ps: Sequence[Int64Array] | None = None,
) -> ProgramReplay:
    """Replays steps in flight together.

    Without `extra_ps` the machine is static: every task starts as compiled, or ScheduleError says
    which does not and why. With it, task t of entry e takes ``extra_ps[e][t]`` longer, and whatever
    waits for it starts later. Raises DeadlockError where a task never starts.
    """
    return _Replay(programs, entries, extra_ps).run()


class _Replay:
    """One replay: the clock, when each task began, who waits for which to begin."""

    def __init__(
        self,
        programs: Sequence[Program],
        entries: Sequence[Entry],
        extra_ps: Sequence[Int64Array] | None,
    ) -> None:
        self.env = Environment()
        self.programs = programs
        self.entries = entries
        sizes = [len(programs[entry.program]) for entry in entries]
        self.first_task = [0, *np.cumsum(sizes).tolist()][: len(entries)]
        self.begun = array("q", [_NOT_YET]) * sum(sizes)
        self.needs = [_needs(program) for program in programs]
        self.duration_ps = [program.duration_ps.tolist() for program in programs]
        self.done_ps = [program.done_ps.tolist() for program in programs]
        # A step that follows another waits, at its first tasks, for that one's last results.
        self.roots = [
            {task for task, needs in enumerate(found) if not needs} for found in self.needs
        ]
        self.tokens = [_last_tasks(program) for program in programs]
        self.extra = extra_ps
        self.waiting: dict[int, Event] = {}

    def run(self) -> ProgramReplay:
        """Starts a process for every resource and runs until nothing is left to do."""
        run = self._run_slipping if self.extra is not None else self._run_static
        for resource, order in _by_resource(self.programs, self.entries).items():
            self.env.process(run(resource, order))
        self.env.run()
        left = [number for number, begun in enumerate(self.begun) if begun == _NOT_YET]
        if left:
            raise DeadlockError(
                f"{len(left)} of {len(self.begun)} tasks never started, the first is "
                f"{self._describe(left[0])}; it waits for {self._missing(left[0])}"
            )
        begun = np.array(self.begun, dtype=np.int64)
        return ProgramReplay(
            begun, tuple(self.first_task), tuple(self._ends(begun)), len(self.begun)
        )

    def _run_static(self, resource: Resource, order: "_Order") -> Generator[Event, None, None]:
        """A unit or link that starts each task when the program says so."""
        env, begun = self.env, self.begun
        free_ps, last = 0, -1
        for start_ps, entry, task in order:
            wait_ps = start_ps - env.now
            if wait_ps > 0:
                yield env.timeout(wait_ps)
            first = self.first_task[entry]
            number = first + task
            if free_ps > start_ps:
                raise ScheduleError(
                    f"{self._describe(number)} finds its resource busy for {free_ps - start_ps} ps "
                    f"more with {self._describe(last)}"
                )
            program = self.entries[entry].program
            needs = [(first + need, lag_ps) for need, lag_ps in self.needs[program][task]]
            if not needs:  # the first tasks of a step need the token of the step before
                needs = list(self._inputs(entry, task))
            for need, lag_ps in needs:
                at_ps = begun[need]
                if at_ps == _NOT_YET:  # it may begin at this very picosecond
                    yield env.timeout(0)
                    at_ps = begun[need]
                if at_ps == _NOT_YET or at_ps + lag_ps > start_ps:
                    raise ScheduleError(
                        f"{self._describe(number)} finds its input missing: "
                        f"{self._describe(need)} "
                        + (
                            "has not begun"
                            if at_ps == _NOT_YET
                            else f"needs {at_ps + lag_ps - start_ps} ps more"
                        )
                    )
            begun[number] = start_ps
            free_ps, last = start_ps + self.duration_ps[program][task], number

    def _run_slipping(self, resource: Resource, order: "_Order") -> Generator[Event, None, None]:
        """A unit or link that starts each task, in the compiled order, as soon as it can."""
        env, begun, waiting = self.env, self.begun, self.waiting
        free_ps = 0
        for _, entry, task in order:
            first = self.first_task[entry]
            program = self.entries[entry].program
            earliest_ps = max(free_ps, self.entries[entry].at_ps)
            for number, lag_ps in self._inputs(entry, task):
                if begun[number] == _NOT_YET:
                    if number not in waiting:
                        waiting[number] = env.event()
                    yield waiting[number]
                earliest_ps = max(earliest_ps, begun[number] + lag_ps)
            if earliest_ps > env.now:
                yield env.timeout(earliest_ps - env.now)
            number = first + task
            begun[number] = earliest_ps
            free_ps = earliest_ps + self.duration_ps[program][task] + self._extra(entry, task)
            if number in waiting:
                waiting.pop(number).succeed()

    def _inputs(self, entry: int, task: int) -> Iterator[tuple[int, int]]:
        """What a task of an entry waits for: task numbers, and the time from their start."""
        program, first = self.entries[entry].program, self.first_task[entry]
        for need, lag_ps in self.needs[program][task]:
            yield first + need, lag_ps + self._extra(entry, need)
        before = self.entries[entry].after
        if before >= 0 and task in self.roots[program]:
            earlier = self.entries[before].program
            for last in self.tokens[earlier]:
                done_ps = self.done_ps[earlier][last] + self._extra(before, last)
                yield self.first_task[before] + last, done_ps

    def _extra(self, entry: int, task: int) -> int:
        return int(self.extra[entry][task]) if self.extra is not None else 0

    def _ends(self, begun: Int64Array) -> Iterator[int]:
        """When the last result of each entry is there."""
        for number, entry in enumerate(self.entries):
            program = self.programs[entry.program]
            first = self.first_task[number]
            done = begun[first : first + len(program)] + program.done_ps
            if self.extra is not None:
                done = done + self.extra[number]
            yield int(done.max())

    def _describe(self, number: int) -> str:
        entry = int(np.searchsorted(self.first_task, number, side="right")) - 1
        task = describe(self.programs[self.entries[entry].program], number - self.first_task[entry])
        return f"step {entry}: {task}"

    def _missing(self, number: int) -> str:
        entry = int(np.searchsorted(self.first_task, number, side="right")) - 1
        for need, _ in self._inputs(entry, number - self.first_task[entry]):
            if self.begun[need] == _NOT_YET:
                return self._describe(need)
        return "its resource"


class _Order:
    """The tasks of one resource over all entries, in the order of their compiled starts."""

    def __init__(self, start_ps: Int64Array, entry: Int64Array, task: Int64Array) -> None:
        self.columns = (start_ps, entry, task)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        # Lists of plain integers are quick to walk and large to keep: a piece at a time.
        start_ps, entry, task = self.columns
        for at in range(0, len(start_ps), _AT_ONCE):
            piece = slice(at, at + _AT_ONCE)
            yield from zip(
                start_ps[piece].tolist(), entry[piece].tolist(), task[piece].tolist(), strict=True
            )


def _by_resource(programs: Sequence[Program], entries: Sequence[Entry]) -> dict[Resource, _Order]:
    """What every unit and link has to do, over all entries."""
    known: dict[Resource, int] = {}
    numbers = [
        np.array([known.setdefault(r, len(known)) for r in program.resources], dtype=np.int64)
        for program in programs
    ]
    resource = np.concatenate([numbers[e.program][programs[e.program].resource] for e in entries])
    start_ps = np.concatenate([programs[e.program].start_ps + e.at_ps for e in entries])
    entry = np.repeat(np.arange(len(entries)), [len(programs[entry.program]) for entry in entries])
    task = np.concatenate([np.arange(len(programs[entry.program])) for entry in entries])
    # Of tasks at one time on one resource the one that takes no time comes first.
    length = np.concatenate([programs[e.program].duration_ps for e in entries])
    order = np.lexsort((task, length, start_ps, resource))
    cuts = np.flatnonzero(np.diff(resource[order])) + 1
    names = list(known)
    return {
        names[int(resource[part[0]])]: _Order(start_ps[part], entry[part], task[part])
        for part in np.split(order, cuts)
    }


def _needs(program: Program) -> list[tuple[tuple[int, int], ...]]:
    """What each task needs: tasks and lags."""
    found: list[list[tuple[int, int]]] = [[] for _ in range(len(program))]
    for of, need, lag_ps in zip(
        program.need_of.tolist(),
        program.need_task.tolist(),
        program.need_lag_ps.tolist(),
        strict=True,
    ):
        found[of].append((need, lag_ps))
    return [tuple(needs) for needs in found]


def _last_tasks(program: Program) -> list[int]:
    """Tasks of the last part that has any: with their results a step has ended."""
    last = int(program.part.max())
    return np.flatnonzero(program.part == last).tolist()
