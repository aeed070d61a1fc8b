"""Collective timing: what an operation takes on a group of chips, by which algorithm, and why.

The transfers of an algorithm get routes and are placed in time on the links they share (list
scheduling, `schedule`); the compiler takes the algorithm that ends first. Additions of a reduction
are not in here: they are timed where the operation is used.

Sizes follow the convention of nccl-tests: the whole buffer. Of all-gather and reduce-scatter that
is what a chip ends or begins with, of which each chip has a share of 1/n.

With latency a, link rate b, n chips and a buffer M, closed forms on a fully connected group are
a + M/nb for the direct all-gather and (n - 1)(a + M/nb) for the ring (Thakur, Rabenseifner and
Gropp 2005 give the others); tests/theory has one for every algorithm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import isqrt
from typing import NamedTuple
from weakref import WeakKeyDictionary

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.foundation.units import format_time
from rack_sim.hardware.routing import Flow, Hop, RoutedFlow, Routing
from rack_sim.timing.algorithms import (
    ALGORITHMS,
    OPERATIONS,
    Algorithm,
    Operation,
    Pattern,
    Transfer,
    misfit,
    pattern,
    step_counts,
)
from rack_sim.timing.arrangements import Arrangement, arrangements
from rack_sim.timing.schedule import OnLinks, Schedule, busiest_ps, longest_chain_ps, schedule
from rack_sim.timing.tasks import Crossing, Need, Task, TaskGraph

# More transfers than this are not placed one by one; a chip's own group is far smaller.
TRANSFERS_MAX = 400_000
# How a reason ends that says so.
TOO_MANY = "too many to place"

_BUS_FACTORS = {"all_reduce": 2, "reduce_scatter": 1, "all_gather": 1, "all_to_all": 1}


@dataclass(frozen=True)
class RoutedCollective:
    """An operation on chips, its transfers with their routes: what can be put into a schedule.

    `parts` has the messages of every transfer: one, or several where it is striped over switches.
    """

    operation: Operation
    algorithm: Algorithm
    group: tuple[int, ...]
    size_bytes: int
    piece_bytes: int
    transfers: tuple[Transfer, ...]
    parts: tuple[tuple[RoutedFlow, ...], ...]

    @property
    def step_count(self) -> int:
        """Transfers on the longest chain of those that need each other."""
        return max(step_counts(self.transfers), default=0)

    def with_members_of(self, group: tuple[int, ...]) -> "RoutedCollective":
        """The same with members counted as `group` has them; pieces keep their numbers."""
        if group == self.group:
            return self
        place = {chip: number for number, chip in enumerate(group)}
        member = [place[chip] for chip in self.group]
        transfers = tuple(
            transfer._replace(source=member[transfer.source], target=member[transfer.target])
            for transfer in self.transfers
        )
        return replace(self, group=group, transfers=transfers)

    def add_to(
        self,
        graph: TaskGraph,
        routing: Routing,
        traffic: str,
        needs_of: Mapping[int, Sequence[Need]] | None = None,
    ) -> list[tuple[Need, ...]]:
        """Adds every message to a graph; returns what waits for each transfer's arrival needs.

        `needs_of` says what a transfer (by number) needs besides other transfers.
        """
        given = needs_of or {}
        arrivals: list[tuple[Need, ...]] = []
        # Transfers that share their needs make tasks that do, which `schedule` makes use of.
        known: dict[int, tuple[Need, ...]] = {}
        for number, (transfer, parts) in enumerate(zip(self.transfers, self.parts, strict=True)):
            key = id(transfer.needs)
            if key not in known:
                known[key] = tuple(need for other in transfer.needs for need in arrivals[other])
            needs = known[key]
            if number in given:
                needs = (*needs, *given[number])
            arrivals.append(
                tuple(graph.ended(graph.message(routing, part, traffic, needs)) for part in parts)
            )
        return arrivals


@dataclass(frozen=True)
class CollectiveTiming(OnLinks):
    """One collective placed in time on its group.

    `not_taken` says of every other algorithm what it would take, or why it does not fit.
    """

    operation: Operation
    algorithm: Algorithm | None
    group: tuple[int, ...]
    size_bytes: int
    placed: Schedule
    routed: RoutedCollective | None
    not_taken: Mapping[str, str] = field(default_factory=dict)

    @property
    def step_count(self) -> int:
        """Steps that follow each other; 0 where nothing has to move."""
        return self.routed.step_count if self.routed else 0

    @property
    def algorithm_bytes_per_s(self) -> float:
        """Size over time (nccl-tests: algbw)."""
        return self.size_bytes * 1e12 / self.duration_ps if self.duration_ps else 0.0

    @property
    def bus_bytes_per_s(self) -> float:
        """What each chip's share of the links carries (nccl-tests: busbw)."""
        count = len(self.group)
        factor = _BUS_FACTORS.get(self.operation, 0) * (count - 1) / count
        return self.algorithm_bytes_per_s * (factor or 1.0)

    @property
    def busiest_hop(self) -> tuple[Hop, int] | None:
        """The link that is held longest, and for how long; the first of equal ones."""
        busy = self.placed.busy_ps
        if not busy:
            return None
        hop = max(sorted(busy), key=lambda resource: busy[resource])
        return hop, busy[hop]  # type: ignore[return-value] # no units are in here


def time_collective(
    routing: Routing,
    group: Sequence[int],
    *,
    operation: Operation,
    size_bytes: int,
    algorithm: Algorithm | None = None,
) -> CollectiveTiming:
    """Times an operation on `group`; without an `algorithm` it takes the fastest.

    Raises InputError where the algorithm does not fit the group or has too many transfers, or where
    group, size, operation or algorithm are none.
    """
    members = tuple(group)
    _refuse_nonsense(routing, members, operation, size_bytes, algorithm)
    if len(members) < 2 or size_bytes == 0:
        return CollectiveTiming(operation, None, members, size_bytes, Schedule((), ()), None)
    kept = _KEPT.setdefault(routing, _Kept())
    asked = (members, operation, size_bytes, algorithm)
    found = kept.timings.get(asked)
    if found is None:
        found = _timed(routing, members, operation, size_bytes, algorithm)
        kept.add(asked, found)
    return found


_Asked = tuple[tuple[int, ...], Operation, int, Algorithm | None]
# assumed: some 50 MB of tasks, which a machine that is planned on has to spare.
_TASKS_KEPT_MAX = 200_000


@dataclass
class _Kept:
    """What one routing has found: shapes, points of a study and scenarios ask the same again."""

    timings: dict[_Asked, CollectiveTiming] = field(default_factory=dict)
    task_count: int = 0

    def add(self, asked: _Asked, found: CollectiveTiming) -> None:
        """Keeps one more, unless it is too large; the others go where all are too many tasks."""
        task_count = len(found.placed.tasks)
        if task_count > _TASKS_KEPT_MAX:
            return
        if self.task_count + task_count > _TASKS_KEPT_MAX:
            self.timings.clear()
            self.task_count = 0
        self.timings[asked] = found
        self.task_count += task_count


# For as long as a routing lives.
_KEPT: WeakKeyDictionary[Routing, _Kept] = WeakKeyDictionary()


def _timed(
    routing: Routing,
    members: tuple[int, ...],
    operation: Operation,
    size_bytes: int,
    algorithm: Algorithm | None,
) -> CollectiveTiming:
    nodes = _nodes(routing, members)
    if algorithm is not None:
        reason = misfit(operation, algorithm, nodes) or _too_many(operation, algorithm, nodes)
        if reason:
            raise InputError(
                Problem(reason, field="algorithm", suggestion=_fitting(operation, nodes))
            )
        routed = route_collective(
            routing, members, operation=operation, size_bytes=size_bytes, algorithm=algorithm
        )
        placed = schedule(_tasks(routed, routing))
        return CollectiveTiming(operation, algorithm, members, size_bytes, placed, routed)
    return _fastest(routing, members, nodes, operation, size_bytes)


def route_collective(
    routing: Routing,
    group: Sequence[int],
    *,
    operation: Operation,
    size_bytes: int,
    algorithm: Algorithm,
) -> RoutedCollective:
    """Gives every transfer of an algorithm its route.

    `direct` takes each pair's own route, whatever else is on its way; all others spread the
    transfers of a step over routes of equal length.
    """
    members = tuple(group)
    found = _steps(operation, algorithm, _nodes(routing, members))
    return _routed(routing, members, operation, size_bytes, algorithm, found)


def _routed(
    routing: Routing,
    members: tuple[int, ...],
    operation: Operation,
    size_bytes: int,
    algorithm: Algorithm,
    found: "_Steps",
) -> RoutedCollective:
    piece_bytes = -(-size_bytes // found.pattern.pieces_per_buffer)
    transfers = found.pattern.transfers
    flows = [
        Flow(members[t.source], members[t.target], len(t.pieces) * piece_bytes) for t in transfers
    ]
    parts: list[tuple[RoutedFlow, ...]] = [()] * len(flows)
    for numbers in found.numbers:
        batch = [flows[number] for number in numbers]
        routes = routing.parts_of(batch, balanced=algorithm != "direct")
        for number, routed in zip(numbers, routes, strict=True):
            parts[number] = routed
    return RoutedCollective(
        operation, algorithm, members, size_bytes, piece_bytes, tuple(transfers), tuple(parts)
    )


def _fastest(
    routing: Routing,
    group: tuple[int, ...],
    nodes: Sequence[int],
    operation: Operation,
    size_bytes: int,
) -> CollectiveTiming:
    """The algorithm and arrangement that end first, found from structure, not from chip numbers.

    Those whose lower bound is no better are not placed. What would cross a failed link, where
    nothing is rerouted, is out; raises InputError where that leaves none.
    """
    contest = _Contest(operation, size_bytes)
    candidates: list[tuple[int, int, int, Arrangement, Algorithm, _Steps]] = []
    root = group[0] if operation == "broadcast" else None
    for order, algorithm in enumerate(ALGORITHMS):
        reason = misfit(operation, algorithm, nodes) or _too_many(operation, algorithm, nodes)
        if reason:
            contest.not_taken[algorithm] = reason
            continue
        for number, arrangement in enumerate(arrangements(routing, group, root)):
            if arrangement.ring_only and algorithm not in _RINGS:
                continue
            found = _steps(operation, algorithm, _nodes(routing, arrangement.members))
            # What cannot be fast enough by its steps alone is not even routed.
            least_ps = _least_ps(routing, found, size_bytes)
            candidates.append((least_ps, order, number, arrangement, algorithm, found))
    for least_ps, order, number, arrangement, algorithm, found in sorted(
        candidates, key=lambda item: item[:3]
    ):
        contest.enter((order, number), arrangement, algorithm, found, least_ps)
    if contest.best is None and contest.refused:
        # The same whatever the order of the arrangements.
        raise InputError(sorted(dict.fromkeys(contest.refused), key=str))
    if contest.best is None:
        chips_max = isqrt(TRANSFERS_MAX // (2 if operation == "all_reduce" else 1))
        raise InputError(
            Problem(
                f"{operation} over {len(group):,} chips has too many transfers to be placed",
                field="group",
                suggestion=f"at most {TRANSFERS_MAX:,} are; a --group of up to {chips_max} chips",
            )
        )
    _, _, found_best, placed = contest.best
    routed = found_best.with_members_of(group)
    return CollectiveTiming(
        operation, routed.algorithm, group, size_bytes, placed, routed, contest.reasons()
    )


_RINGS = ("ring", "two_way_ring")


@dataclass
class _Contest:
    """Algorithms and arrangements, one after the other: the fastest so far, and why not others."""

    operation: Operation
    size_bytes: int
    best: tuple[int, tuple[int, int], RoutedCollective, Schedule] | None = None
    not_taken: dict[str, str] = field(default_factory=dict)
    refused: list[Problem] = field(default_factory=list)
    # The best of every algorithm: its time, and whether that is only a lower bound.
    times: dict[str, tuple[int, bool]] = field(default_factory=dict)
    direct_parts: dict[int, tuple[tuple[RoutedFlow, ...], ...]] = field(default_factory=dict)

    def enter(
        self,
        order: tuple[int, int],
        arrangement: Arrangement,
        algorithm: Algorithm,
        found: "_Steps",
        least_ps: int,
    ) -> None:
        """Routes and places an algorithm in one arrangement, as far as it can still win.

        Of equal times the lower `order` wins.
        """
        if self.best and least_ps >= self.best[0] and algorithm != "direct_balanced":
            self._note(algorithm, least_ps, bound=True)
            return
        routing = arrangement.routing
        try:
            routed = _routed(
                routing, arrangement.members, self.operation, self.size_bytes, algorithm, found
            )
        except InputError as error:
            self.refused += error.problems
            self.not_taken[algorithm] = error.problems[0].message
            return
        if algorithm == "direct":
            self.direct_parts[order[1]] = routed.parts
        elif algorithm == "direct_balanced" and routed.parts == self.direct_parts.get(order[1]):
            self.not_taken[algorithm] = "no pair has a choice of routes: the same as direct"
            return
        tasks = _tasks(routed, routing)
        bound_ps = max(longest_chain_ps(tasks), busiest_ps(tasks))
        if self.best and bound_ps >= self.best[0]:
            self._note(algorithm, bound_ps, bound=True)
            return
        placed = schedule(tasks)
        self._note(algorithm, placed.duration_ps, bound=False)
        if self.best is None or (placed.duration_ps, order) < self.best[:2]:
            self.best = (placed.duration_ps, order, routed, placed)

    def reasons(self) -> dict[str, str]:
        """What every other algorithm would take at its best, or why it is out."""
        taken = self.best[2].algorithm if self.best else ""
        reasons = {name: why for name, why in self.not_taken.items() if name != taken}
        for name, (ps, bound) in self.times.items():
            if name != taken:
                reasons[name] = f"at least {format_time(ps)}" if bound else format_time(ps)
        return reasons

    def _note(self, algorithm: str, ps: int, *, bound: bool) -> None:
        self.times[algorithm] = min(self.times.get(algorithm, (ps, bound)), (ps, bound))


class _Steps(NamedTuple):
    """A pattern, step by step: the numbers of its transfers, and the pieces of the smallest."""

    pattern: Pattern
    numbers: tuple[tuple[int, ...], ...]
    smallest: tuple[int, ...]

    @staticmethod
    def of(operation: Operation, algorithm: Algorithm, nodes: tuple[int, ...]) -> "_Steps":
        """Those of an algorithm that fits; `nodes` has the node of every member."""
        found = pattern(operation, algorithm, nodes)
        steps: dict[int, list[int]] = {}
        for number, step in enumerate(step_counts(found.transfers)):
            steps.setdefault(step, []).append(number)
        return _Steps(
            found,
            tuple(map(tuple, steps.values())),
            tuple(
                min(len(found.transfers[number].pieces) for number in numbers)
                for numbers in steps.values()
            ),
        )


# The patterns of small groups are asked for again and again, for messages of many sizes. One of 64
# chips has 8,064 transfers.
_small_steps = lru_cache(maxsize=64)(_Steps.of)
_SMALL_GROUP = 64


def _steps(operation: Operation, algorithm: Algorithm, nodes: Sequence[int]) -> _Steps:
    of = _small_steps if len(nodes) <= _SMALL_GROUP else _Steps.of
    return of(operation, algorithm, tuple(nodes))


def _least_ps(routing: Routing, found: _Steps, size_bytes: int) -> int:
    """What the steps of a pattern take at least: in each the smallest transfer, over one hop."""
    piece_bytes = -(-size_bytes // found.pattern.pieces_per_buffer)
    lanes = routing.lane_count_max
    kinds = routing.topology.link_types.values()
    return sum(
        min(
            kind.latency_ps + Crossing.of(kind, lanes, pieces * piece_bytes).duration_ps
            for kind in kinds
        )
        for pieces in found.smallest
    )


def _refuse_nonsense(
    routing: Routing, group: tuple[int, ...], operation: str, size_bytes: int, algorithm: str | None
) -> None:
    """Raises InputError with everything that is no group, size, operation or algorithm."""
    problems = []
    for name, given, known in (
        ("operation", operation, OPERATIONS),
        ("algorithm", algorithm, (None, *ALGORITHMS)),
    ):
        if given not in known:
            words = [word for word in known if word]
            hint = suggest(str(given), words)
            problems.append(Problem(f"there is no {name} {given!r}", field=name, suggestion=hint))
    if not isinstance(size_bytes, int) or size_bytes < 0:
        problems.append(
            Problem(f"{size_bytes!r} is not a whole number of bytes", field="size_bytes")
        )
    chips = routing.topology.chip_count
    if not group or len(set(group)) < len(group) or not all(chip in range(chips) for chip in group):
        problems.append(
            Problem(
                f"{list(group)} are no different chips of {routing.topology.name!r}",
                field="group",
                suggestion=f"numbers from 0 to {chips - 1}, each once",
            )
        )
    if problems:
        raise InputError(problems)


def _tasks(routed: RoutedCollective, routing: Routing) -> list[Task]:
    graph = TaskGraph()
    routed.add_to(graph, routing, routed.operation)
    return graph.tasks


def _nodes(routing: Routing, group: Sequence[int]) -> list[int]:
    owner = routing.node_of_chip
    return [owner[chip] for chip in group]


def _too_many(operation: Operation, algorithm: Algorithm, nodes: Sequence[int]) -> str:
    """Why an algorithm has too many transfers to be placed one by one, empty where it has not."""
    count = len(nodes)
    per_chip = {
        "direct": count,
        "direct_balanced": count,
        "ring": count,
        "two_way_ring": count,
        "hierarchical": count // max(len(set(nodes)), 1) + len(set(nodes)),
    }.get(algorithm, count.bit_length())
    transfers = count * per_chip * (2 if operation == "all_reduce" else 1)
    if operation == "broadcast" and algorithm in ("direct", "direct_balanced"):
        transfers = count
    if transfers <= TRANSFERS_MAX:
        return ""
    return f"{algorithm} over {count:,} chips has about {transfers:,} transfers, {TOO_MANY}"


def _fitting(operation: Operation, nodes: Sequence[int]) -> str:
    fitting = [
        name
        for name in ALGORITHMS
        if not misfit(operation, name, nodes) and not _too_many(operation, name, nodes)
    ]
    return "these fit: " + ", ".join(fitting) if fitting else "a smaller group"
