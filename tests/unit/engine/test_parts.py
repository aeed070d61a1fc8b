"""Parts: which fleets can be replayed apart, who is where, and that the parts are the whole."""

from collections import deque

import pytest
from replays import Iterations, Listed, Replayed, replayed

from rack_sim.compiler.batches import BatchTiming
from rack_sim.engine.fleet import Disaggregation, FleetPlan
from rack_sim.engine.parts import PartWorkload, split_replicas, why_not_parallel
from rack_sim.engine.policies import ContinuousBatchingPolicy
from rack_sim.engine.routers import ROUTERS, stateless_router
from rack_sim.engine.serving import totals_of_parts
from rack_sim.engine.transfers import TransferPath
from rack_sim.foundation.units import PS_PER_S
from rack_sim.workload.closed_loop import ClosedLoopWorkload
from rack_sim.workload.lengths import Fixed
from rack_sim.workload.request import Request

OPEN = Listed([Request(n, 40 * n, 3 + n % 5, 1 + n % 4, session=n % 6) for n in range(30)])
CLOSED = ClosedLoopWorkload(4, PS_PER_S, Fixed(9), Fixed(9), 0, 40)


def fleet(count: int, router: str = "round_robin", **more: object) -> FleetPlan:
    timing = BatchTiming(Iterations(100, row_ps=10), 4, 100, 400)
    return FleetPlan(timing, ContinuousBatchingPolicy(64, None, 8, 4, 0.0), count, router, **more)


def ends(found: Replayed) -> dict[int, tuple[int, int]]:
    return {s.request.request_id: (s.replica, s.finish_ps) for s in found.sequences}


def test_one_replica_has_no_parts():
    """Whatever else may be said of it."""
    assert why_not_parallel(fleet(1), OPEN) == "there is one replica"
    assert why_not_parallel(fleet(1, "join_shortest_queue"), CLOSED) == "there is one replica"


@pytest.mark.parametrize("router", sorted(ROUTERS))
def test_replicas_are_apart_where_the_router_looks_at_none(router):
    said = "" if stateless_router(router, 0) else f"the router {router} looks at all replicas"
    assert why_not_parallel(fleet(2, router), OPEN) == said


def test_caches_and_users_go_from_replica_to_replica():
    apart = Disaggregation(1, {(0, 1): TransferPath((), 1, 1)})
    pools = fleet(2, disaggregation=apart)
    assert why_not_parallel(pools, OPEN) == "caches go from replica to replica"
    assert why_not_parallel(fleet(2), CLOSED) == "users of a closed loop go from replica to replica"


@pytest.mark.parametrize(
    ("replicas", "parts", "numbers"),
    [
        (5, 2, [(0, 2, 4), (1, 3)]),
        (3, 3, [(0,), (1,), (2,)]),
        (3, 8, [(0,), (1,), (2,)]),
        (4, 1, [(0, 1, 2, 3)]),
    ],
)
def test_replicas_are_dealt_one_by_one(replicas, parts, numbers):
    """At most so many parts, none without a replica; each knows how large the fleet is."""
    made = split_replicas(fleet(replicas), parts)
    assert [part.numbers for part in made] == numbers
    assert {part.replica_count for part in made} == {replicas}


@pytest.mark.parametrize("router", [name for name in ROUTERS if stateless_router(name, 0)])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_the_parts_are_the_whole(router, parts):
    """Every request is in one part, ends as in one replay of all, and the totals add up."""
    whole = fleet(4, router, seed=3)
    together = replayed(whole, OPEN)
    found, totals, numbers = {}, [], []
    for part in split_replicas(whole, parts):
        issued: deque[int] = deque()
        workload = PartWorkload(OPEN, part, issued)
        assert workload.request_count is None
        assert workload.description == "listed"
        apart = replayed(part, workload)
        assert len(issued) == apart.totals.request_count
        found |= ends(apart)
        numbers += issued
        totals.append(apart.totals)
    assert sorted(numbers) == list(range(30))
    assert found == ends(together)
    # In any order: the last to end may be in any of them.
    for order in (totals, totals[::-1]):
        assert totals_of_parts(order) == together.totals


def test_no_part_follows_a_request_up():
    part = split_replicas(fleet(2), 2)[0]
    source = PartWorkload(CLOSED, part, deque()).open()
    first = next(source.arrivals())
    assert source.follow_up(first, 100) is None
