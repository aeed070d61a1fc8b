"""Parts: replicas that know nothing of each other, replayed apart.

Behind a stateless router each request's replica is known from the request alone, so the replicas
fall into groups that can be replayed one by one, anywhere, with the outcome of one replay of all.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.routers import stateless_router
from rack_sim.workload.closed_loop import ClosedLoopWorkload
from rack_sim.workload.request import Request, Source, Workload


def why_not_parallel(fleet: FleetPlan, workload: Workload) -> str:
    """Why the replicas of a fleet cannot be replayed apart; empty where they can."""
    if fleet.replica_count == 1:
        return "there is one replica"
    if stateless_router(fleet.router, fleet.seed) is None:
        return f"the router {fleet.router} looks at all replicas"
    if fleet.disaggregation is not None:
        return "caches go from replica to replica"
    if isinstance(workload, ClosedLoopWorkload):
        return "users of a closed loop go from replica to replica"
    return ""


def split_replicas(fleet: FleetPlan, part_count: int) -> list[FleetPlan]:
    """The fleet in at most so many parts, its replicas dealt out one by one."""
    count = min(part_count, fleet.replica_count)
    return [
        replace(fleet, numbers=tuple(range(part, fleet.replica_count, count)))
        for part in range(count)
    ]


@dataclass(frozen=True)
class PartWorkload:
    """The requests of a workload that a router sends to the replicas of a part.

    `issued` receives their numbers in the order of arrival; whoever stores outcomes takes them
    from there.
    """

    workload: Workload
    fleet: FleetPlan
    issued: deque[int]

    @property
    def request_count(self) -> int | None:
        """Not known before the requests are routed."""
        return None

    @property
    def description(self) -> str:
        """That of the whole."""
        return self.workload.description

    def open(self) -> "_PartSource":
        """A fresh replay from the start."""
        return _PartSource(self.workload.open(), self.fleet, self.issued)


class _PartSource:
    def __init__(self, source: Source, fleet: FleetPlan, issued: deque[int]) -> None:
        self._source = source
        router = stateless_router(fleet.router, fleet.seed)
        if router is None:
            raise AssertionError("only what a stateless router sends is replayed apart")
        self._router = router
        self._count = fleet.replica_count
        self._numbers = frozenset(fleet.numbers or ())
        self._issued = issued

    def arrivals(self) -> Iterator[Request]:
        """The requests of this part, in non-decreasing `arrival_ps`."""
        everyone: Sequence[int] = range(self._count)
        for request in self._source.arrivals():
            if self._router.choose(request, everyone) in self._numbers:
                self._issued.append(request.request_id)
                yield request

    def follow_up(self, request: Request, finish_ps: int) -> Request | None:
        """None: replicas are replayed apart in open loops only."""
        return None
