"""What was timed on a machine is timed once, and only on a machine that is equal in everything."""

from dataclasses import replace

import pytest

from rack_sim.hardware.builders import ring
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Routing, routing_of
from rack_sim.hardware.topology import Topology
from rack_sim.timing import collectives
from rack_sim.timing.collectives import CollectiveTiming, time_collective

SLOW = LinkType("slow", 25_000_000_000, 700_000, payload_bytes=320, wire_bytes=340)
GROUP = tuple(range(6))


def machine(link: LinkType = SLOW) -> Topology:
    return ring(name="ring", chips=6, local=link, global_=link, port_count=2)


def timed(routing: Routing, size_bytes: int = 1 << 20) -> CollectiveTiming:
    return time_collective(routing, GROUP, operation="all_reduce", size_bytes=size_bytes)


def test_equal_machines_share_what_was_found() -> None:
    first, again = routing_of(machine()), routing_of(machine())
    assert first is again
    assert timed(first) is timed(again)


def test_it_is_what_a_new_router_finds() -> None:
    kept = timed(routing_of(machine()))
    assert timed(routing_of(machine())) == timed(Routing(machine())) == kept


@pytest.mark.parametrize(
    "other",
    [
        machine(replace(SLOW, latency_ps=SLOW.latency_ps + 1)),
        machine(replace(SLOW, bytes_per_s=SLOW.bytes_per_s // 2)),
        replace(machine(), reroute=False),
        replace(machine(), links=machine().links[2:], failed_links=machine().links[:2]),
        replace(machine(), nodes=((0, 1, 2), (3, 4, 5)), racks=((0, 1),)),
    ],
    ids=["latency", "rate", "reroute", "failed links", "nodes"],
)
def test_a_machine_that_differs_in_anything_is_another(other: Topology) -> None:
    assert routing_of(other) is not routing_of(machine())
    assert routing_of(other) is routing_of(replace(other))


def test_sizes_and_algorithms_are_told_apart() -> None:
    routing = routing_of(machine())
    assert timed(routing, 1 << 10).duration_ps < timed(routing, 1 << 20).duration_ps
    tree = time_collective(
        routing, GROUP, operation="all_reduce", size_bytes=1 << 20, algorithm="tree"
    )
    assert tree.algorithm == "tree"
    assert tree.duration_ps > timed(routing).duration_ps


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of equal size fit; a third lets them go; one that is larger than all is not kept."""
    routing = Routing(machine())
    size = len(timed(routing).placed.tasks)
    kept = collectives._KEPT[routing]
    monkeypatch.setattr(collectives, "_TASKS_KEPT_MAX", 2 * size)
    for step in range(1, 4):
        found = timed(routing, (1 << 20) + step)
        assert found is timed(routing, (1 << 20) + step)
        assert kept.task_count == sum(len(t.placed.tasks) for t in kept.timings.values())
        assert kept.task_count <= 2 * size
    monkeypatch.setattr(collectives, "_TASKS_KEPT_MAX", size - 1)
    before = dict(kept.timings)
    assert timed(routing, 1 << 21) == timed(routing, 1 << 21)
    assert kept.timings == before
