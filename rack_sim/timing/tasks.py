"""Tasks: what occupies one unit of a chip, or one link, for a time, and what it must wait for.

A task holds its resource from its start for `duration_ps`. It needs other tasks: at least `lag_ps`
after the *start* of each. Counting from the start lets a message be forwarded while it still
arrives; a plain "after it has ended" is a lag of the whole duration.

Resources are ``(unit, chip)`` (a unit is matrix, vector, memory or switch) or ``(chip, chip)``, a
link with all its parallel cables.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from rack_sim.foundation.units import work_to_ps
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Hop, RoutedFlow, Routing
from rack_sim.timing.terms import Terms

Unit = Literal["matrix", "vector", "memory", "switch"]
UNITS: tuple[Unit, ...] = ("matrix", "vector", "memory", "switch")
Resource = tuple[str, int] | Hop
Need = tuple[int, int]
"""The number of a task, and the least time in picoseconds from its start."""

Kind = Literal["operator", "weights_ahead", "weights", "sum", "layout", "message"]
"""What a task does. Weights stream into the matrix unit while their operator runs, or ahead of it;
partial results are summed; a shard is laid out for the links before it is sent."""

# What stands behind the name of the operator or the exchange.
_SUFFIX: dict[Kind, str] = {
    "operator": "",
    "weights_ahead": " weights ahead",
    "weights": " weights",
    "sum": " sum",
    "layout": " layout",
    "message": "",
}

NO_TERMS = Terms()
# Batches that are looked at one by one where links differ.
_BATCHES_MAX = 10_000


class Work(NamedTuple):
    """What a task is of: a kind of work for the operator or the exchange `of`, or a piece of it."""

    of: str
    kind: Kind
    piece: int = 0
    piece_count: int = 1

    @property
    def whole(self) -> "Work":
        """The work that this is a piece of."""
        return Work(self.of, self.kind)

    def __str__(self) -> str:
        """Its name: `attention.scores weights ahead`, `attention.output_projection 3/8`."""
        name = self.of + _SUFFIX[self.kind]
        return name if self.piece_count == 1 else f"{name} {self.piece + 1}/{self.piece_count}"


class Task(NamedTuple):
    """One thing that occupies a resource.

    Its result is there `done_ps` after its start: for an operator when it ends, for the last link
    of a message when the last vector has arrived. `terms` split the duration of an operator,
    `latency_ps` is the part of `done_ps` that a link's latency is. `traffic` says what a message is
    for (empty: not a message), `vectors` and `payload_bytes` what it carries, `ends` the chips
    where the message begins and ends, `first` the task of its first link. `leaves_bytes` stay in
    the memory of the chip where the result is, until whoever needs it has ended.
    """

    work: Work
    resource: Resource
    duration_ps: int
    done_ps: int
    needs: tuple[Need, ...]
    terms: Terms = NO_TERMS
    latency_ps: int = 0
    traffic: str = ""
    vectors: int = 0
    payload_bytes: int = 0
    leaves_bytes: int = 0
    ends: tuple[int, int] = (-1, -1)
    first: int = -1

    def spent(self, until_ps: int) -> Terms:
        """What the first `until_ps` picoseconds from its start go to."""
        if self.traffic:
            return Terms(
                link_latency_ps=min(self.latency_ps, until_ps),
                link_serialisation_ps=max(until_ps - self.latency_ps, 0),
            )
        if until_ps == self.duration_ps:
            return self.terms
        # Only a part of an operator: its fixed latency comes first.
        fixed = min(self.terms.fixed_latency_ps, until_ps)
        return Terms(fixed_latency_ps=fixed, weight_feed_ps=until_ps - fixed)

    def held(self) -> Terms:
        """What the time goes to that another task waits for the resource."""
        return Terms(link_serialisation_ps=self.duration_ps) if self.traffic else self.terms


class TaskGraph:
    """Tasks in the making, each numbered by its place; a task needs only earlier ones."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self._crossings: dict[tuple[int, int, int], Crossing] = {}
        self._lags_ps: dict[tuple[int, int], int] = {}

    def work(
        self,
        work: Work,
        unit: Unit,
        chip: int,
        terms: Terms,
        needs: Sequence[Need] = (),
        *,
        leaves_bytes: int = 0,
    ) -> int:
        """Adds what a unit of a chip does for the sum of `terms`; returns its number."""
        duration_ps = terms.total_ps
        self.tasks.append(
            Task(
                work,
                (unit, chip),
                duration_ps,
                duration_ps,
                tuple(needs),
                terms,
                leaves_bytes=leaves_bytes,
            )
        )
        return len(self.tasks) - 1

    def message(
        self, routing: Routing, part: RoutedFlow, traffic: str, needs: Sequence[Need] = ()
    ) -> int:
        """Adds a message, a task for each link of its route; returns the number of the last.

        A chip on the way forwards vectors as they arrive. It may also keep them: the next link
        starts no earlier than the first vector is there and no earlier than that the last one
        arrives in time. Without a link (a chip's message to itself) there is no task: raises
        ValueError.
        """
        flow, way = part.flow, part.hops
        if not way:
            raise ValueError(f"chip {flow.source} needs no link to itself")
        first = number = len(self.tasks)
        message_bytes, ends = flow.message_bytes, (flow.source, flow.target)
        work = Work(traffic, "message")
        before: Crossing | None = None
        waits = tuple(needs)
        for hop in way:
            kind, lanes = routing.link_type(hop), routing.lane_count(hop)
            alike = (id(kind), lanes, message_bytes)  # kinds live as long as the routing
            crossing = self._crossings.get(alike)
            if crossing is None:
                crossing = self._crossings[alike] = Crossing.of(kind, lanes, message_bytes)
            if before is not None:
                waits = ((number - 1, self._lag_ps(before, crossing)),)
            self.tasks.append(
                Task(
                    work,
                    hop,
                    crossing.duration_ps,
                    crossing.duration_ps + kind.latency_ps,
                    waits,
                    NO_TERMS,
                    kind.latency_ps,
                    traffic,
                    crossing.vectors,
                    message_bytes,
                    message_bytes,
                    ends,
                    first,
                )
            )
            before = crossing
            number += 1
        return number - 1

    def _lag_ps(self, before: "Crossing", then: "Crossing") -> int:
        """`Crossing.lag_to` of two crossings of this graph, found once."""
        key = (id(before), id(then))
        if key not in self._lags_ps:
            self._lags_ps[key] = before.lag_to(then)
        return self._lags_ps[key]

    def ended(self, task: int) -> Need:
        """The need of whoever waits for the result of `task`."""
        return task, self.tasks[task].done_ps


class Crossing(NamedTuple):
    """One message on one link: how long it holds it, alone.

    Bytes leave in batches: a vector on each of the parallel cables, `batch_bytes` in all, every
    `vector_ps`.
    """

    kind: LinkType
    vectors: int
    duration_ps: int
    vector_ps: int
    message_bytes: int
    batch_bytes: int

    @staticmethod
    def of(kind: LinkType, lanes: int, message_bytes: int) -> "Crossing":
        """The crossing of a link with so many parallel cables, which share the vectors."""
        vectors = kind.vectors(message_bytes)
        longest = -(-vectors // lanes)
        return Crossing(
            kind,
            vectors,
            work_to_ps(longest * kind.wire_bytes, kind.bytes_per_s),
            work_to_ps(kind.wire_bytes, kind.bytes_per_s),
            message_bytes,
            lanes * kind.payload_bytes,
        )

    def lag_to(self, then: "Crossing") -> int:
        """The least time from the start of this link to that of the next one of the message.

        No batch may leave before its last byte has arrived. Where batches are alike on both links
        the first and the last decide; else every batch is looked at, or, of very many, a line above
        all of them.
        """
        last = then.duration_ps - then.vector_ps  # when the last batch leaves
        if self.batch_bytes == then.batch_bytes:
            wait_ps = max(self.vector_ps, self.duration_ps - last)
        else:
            count = -(-self.message_bytes // then.batch_bytes)
            if count <= _BATCHES_MAX:
                wait_ps = max(
                    self._there_ps(min((batch + 1) * then.batch_bytes, self.message_bytes))
                    - batch * then.vector_ps
                    for batch in range(count)
                )
            else:
                wait_ps = max(self._there_ps(then.batch_bytes), self.duration_ps - last)
                wait_ps += self.vector_ps
        return self.kind.latency_ps + wait_ps

    def _there_ps(self, size_bytes: int) -> int:
        """When so many bytes have left this link, the latency not counted."""
        return min(-(-size_bytes // self.batch_bytes) * self.vector_ps, self.duration_ps)


def moved(resource: Resource, place_of: Mapping[int, int]) -> Resource:
    """The resource with every chip replaced by another."""
    first, second = resource
    if isinstance(first, str):
        return first, place_of[second]
    return place_of[first], place_of[second]
