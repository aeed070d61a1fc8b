"""Schedule: a start time for every task, by list scheduling.

Time goes forward; whenever a resource is free it takes, of the tasks that are ready for it, the one
behind which the longest way is still to go (what must follow when the resource is free again). No
resource is ever idle while a task is ready for it. That is optimal where one resource is the
bottleneck and is fed in time (Jackson's rule for one machine with delivery times), and never a
promise that cannot be kept elsewhere. Ties go to the lower number: two schedules of equal tasks are
equal.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush

from rack_sim.foundation.brief import Brief
from rack_sim.hardware.routing import Hop
from rack_sim.timing.tasks import Resource, Task
from rack_sim.timing.terms import Terms, total


@dataclass(frozen=True, slots=True)
class CriticalStep:
    """One task on the path that makes a schedule as long as it is, and what it adds to it."""

    task: int
    start_ps: int
    terms: Terms


@dataclass(frozen=True, repr=False)
class Schedule(Brief):
    """Tasks with their start times; the first starts at 0, the last result is there at the end."""

    tasks: tuple[Task, ...]
    starts_ps: tuple[int, ...]

    @cached_property
    def duration_ps(self) -> int:
        """When the last result is there."""
        return max(
            (at + task.done_ps for task, at in zip(self.tasks, self.starts_ps, strict=True)),
            default=0,
        )

    @cached_property
    def critical_path(self) -> tuple[CriticalStep, ...]:
        """The chain of tasks, first to last, whose times add up to the whole duration.

        Each begins the moment the one before lets it: its result is there, or its resource free.
        """
        if not self.tasks:
            return ()
        tasks, starts = self.tasks, self.starts_ps
        at = max(range(len(tasks)), key=lambda n: (starts[n] + tasks[n].done_ps, -n))
        path = [CriticalStep(at, starts[at], tasks[at].spent(tasks[at].done_ps))]
        while starts[at]:
            before, terms = self._held_back_by(at)
            path.append(CriticalStep(before, starts[before], terms))
            at = before
        return tuple(reversed(path))

    @cached_property
    def terms(self) -> Terms:
        """The duration, split by cause along the critical path."""
        return total(step.terms for step in self.critical_path)

    @cached_property
    def vectors_by_hop(self) -> dict[Hop, int]:
        """Vectors on every link, in order of links."""
        counted: Counter[Hop] = Counter()
        for task in self.tasks:
            if task.traffic:
                counted[task.resource] += task.vectors  # type: ignore[index] # a link's is a hop
        return dict(sorted(counted.items()))

    @cached_property
    def busy_ps(self) -> dict[Resource, int]:
        """How long every resource is held, in order of its first task."""
        held: dict[Resource, int] = {}
        for task in self.tasks:
            held[task.resource] = held.get(task.resource, 0) + task.duration_ps
        return held

    @cached_property
    def held_by_hop(self) -> dict[Hop, int]:
        """How long every link is held, in order of links."""
        held = {(a, b): ps for (a, b), ps in self.busy_ps.items() if not isinstance(a, str)}
        return dict(sorted(held.items()))

    @cached_property
    def spans_ps(self) -> dict[Resource, tuple[int, int]]:
        """From the first hold to the end of the last, for every resource."""
        spans: dict[Resource, tuple[int, int]] = {}
        for task, at in zip(self.tasks, self.starts_ps, strict=True):
            first, last = spans.get(task.resource, (at, 0))
            spans[task.resource] = min(first, at), max(last, at + task.duration_ps)
        return spans

    def _held_back_by(self, at: int) -> tuple[int, Terms]:
        """The task before `at` on the critical path, and what its share of the time went to."""
        start = self.starts_ps[at]
        for need, lag_ps in self.tasks[at].needs:
            if self.starts_ps[need] + lag_ps == start:
                return need, self.tasks[need].spent(lag_ps)
        before = self._ends[self.tasks[at].resource, start]
        return before, self.tasks[before].held()

    @cached_property
    def _ends(self) -> dict[tuple[Resource, int], int]:
        """Which task gives a resource free at a time; of several the one that held it."""
        return {
            (task.resource, at + task.duration_ps): number
            for number, (task, at) in enumerate(zip(self.tasks, self.starts_ps, strict=True))
            if task.duration_ps
        }


class _Waits:
    """What tasks wait for; those that share one tuple of needs wait together.

    In a collective of two rounds every message that a chip sends in the second needs all that came
    in the first: taken one by one, that is the cube of the chips.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tasks
        self.followers: list[list[tuple[int, int]]] = [[] for _ in tasks]
        self.members: list[list[int]] = []
        self.missing: list[int] = []
        self._wait_of: list[int] = []
        known: dict[int, int] = {}  # a tuple's identity: it lives as long as its task
        for number, task in enumerate(tasks):
            wait = known.setdefault(id(task.needs), len(self.members))
            self._wait_of.append(wait)
            if wait < len(self.members):
                self.members[wait].append(number)
                continue
            self.members.append([number])
            self.missing.append(len(task.needs))
            for need, lag_ps in task.needs:
                self.followers[need].append((wait, lag_ps))
        self.ready_ps = [0] * len(self.members)

    def tails_ps(self) -> list[int]:
        """From the start of every task to the end of the longest chain behind it."""
        tail_ps = [0] * len(self.tasks)
        behind_ps = [0] * len(self.members)  # the longest of those that wait together
        for number in range(len(self.tasks) - 1, -1, -1):
            longest = self.tasks[number].done_ps
            for wait, lag_ps in self.followers[number]:
                longest = max(longest, lag_ps + behind_ps[wait])
            tail_ps[number] = longest
            wait = self._wait_of[number]
            behind_ps[wait] = max(behind_ps[wait], longest)
        return tail_ps


class OnLinks:
    """What a timing of messages says of its schedule: a base of dataclasses that have `placed`."""

    placed: Schedule

    @property
    def duration_ps(self) -> int:
        """From the data being there to all of it having arrived, arithmetic not included."""
        return self.placed.duration_ps

    @property
    def link_latency_ps(self) -> int:
        """The part of the duration that is latency of links."""
        return self.placed.terms.link_latency_ps

    @property
    def link_serialisation_ps(self) -> int:
        """The part of the duration that vectors take to cross links, or wait for others to."""
        return self.placed.terms.link_serialisation_ps

    @property
    def vectors_by_hop(self) -> dict[Hop, int]:
        """Vectors on every link."""
        return self.placed.vectors_by_hop


def schedule(tasks: Sequence[Task]) -> Schedule:
    """Places `tasks` in time; each needs only tasks before it in the sequence."""
    count = len(tasks)
    waits = _Waits(tasks)
    tail_ps = waits.tails_ps()
    missing, ready_ps = waits.missing, waits.ready_ps
    starts_ps = [0] * count
    free_ps: dict[Resource, int] = {task.resource: 0 for task in tasks}
    waiting: dict[Resource, list[tuple[int, int]]] = {resource: [] for resource in free_ps}
    # (time, task that gets ready) or (time, -1 - a task whose resource gets free)
    events = [(0, number) for number in range(count) if not tasks[number].needs]
    while events:
        now = events[0][0]
        touched: dict[Resource, None] = {}
        while events and events[0][0] == now:
            number = heappop(events)[1]
            if number >= 0:
                resource = tasks[number].resource
                behind_ps = tail_ps[number] - tasks[number].duration_ps
                heappush(waiting[resource], (-behind_ps, number))
            else:
                resource = tasks[-1 - number].resource
            touched[resource] = None
        for resource in touched:
            queue = waiting[resource]
            if not queue or free_ps[resource] > now:
                continue
            number = heappop(queue)[1]
            starts_ps[number] = now
            free_ps[resource] = now + tasks[number].duration_ps
            if queue or tasks[number].duration_ps:
                heappush(events, (free_ps[resource], -1 - number))
            for wait, lag_ps in waits.followers[number]:
                if now + lag_ps > ready_ps[wait]:
                    ready_ps[wait] = now + lag_ps
                missing[wait] -= 1
                if not missing[wait]:
                    for follower in waits.members[wait]:
                        heappush(events, (ready_ps[wait], follower))
    return Schedule(tuple(tasks), tuple(starts_ps))


def longest_chain_ps(tasks: Sequence[Task]) -> int:
    """The duration if every resource could hold any number of tasks: no schedule is shorter."""
    start_ps: list[int] = []
    known: dict[int, int] = {}  # by the identity of a tuple of needs, which many tasks may share
    longest_ps = 0
    for task in tasks:
        at_ps = known.get(id(task.needs))
        if at_ps is None:
            at_ps = 0
            for need, lag_ps in task.needs:
                at_ps = max(at_ps, start_ps[need] + lag_ps)
            known[id(task.needs)] = at_ps
        start_ps.append(at_ps)
        longest_ps = max(longest_ps, at_ps + task.done_ps)
    return longest_ps


def busiest_ps(tasks: Sequence[Task]) -> int:
    """How long the busiest resource is held, with the least latency behind it: a lower bound."""
    held: dict[Resource, int] = {}
    tail: dict[Resource, int] = {}
    for task in tasks:
        resource, after = task.resource, task.done_ps - task.duration_ps
        held[resource] = held.get(resource, 0) + task.duration_ps
        if after < tail.get(resource, after + 1):
            tail[resource] = after
    return max((spent + tail[resource] for resource, spent in held.items()), default=0)
