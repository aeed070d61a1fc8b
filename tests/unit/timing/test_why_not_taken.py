"""What is said of every algorithm that was not the fastest is so: its time, or a bound below it."""

import re

import pytest

from rack_sim.foundation.units import format_time
from rack_sim.hardware.builders import dragonfly, fully_connected, ring, torus
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Routing
from rack_sim.timing.algorithms import ALGORITHMS, Algorithm, Operation, misfit
from rack_sim.timing.arrangements import arrangements
from rack_sim.timing.collectives import time_collective

PLAIN = LinkType("plain", 25_000_000_000, 700_000, payload_bytes=1, wire_bytes=1)
ROUTERS = {
    "ring of 5": Routing(ring(name="ring", chips=5, local=PLAIN, global_=PLAIN, port_count=2)),
    "box of 4": Routing(fully_connected(name="box", chips=4, local=PLAIN, port_count=4)),
    "box of 6": Routing(fully_connected(name="box", chips=6, local=PLAIN, port_count=6)),
    "torus 2 x 4": Routing(
        torus(name="torus", sides=(2, 4), local=PLAIN, global_=PLAIN, port_count=4)
    ),
    "dragonfly 2 x 3": Routing(
        dragonfly(
            name="dragonfly", racks=1, nodes_per_rack=2, chips_per_node=3, links_per_node_pair=1,
            links_per_rack_pair=0, spare_nodes_per_rack=0, local=PLAIN, global_=PLAIN,
            port_count=99,
        )
    ),
}  # fmt: skip
PS_OF = {"ps": 1, "ns": 10**3, "µs": 10**6, "ms": 10**9, "s": 10**12}
OPERATIONS: tuple[Operation, ...] = ("all_gather", "all_reduce", "all_to_all", "broadcast")


def best_ps(place: str, operation: Operation, algorithm: Algorithm, size_bytes: int) -> int:
    """An algorithm in its best arrangement, each placed alone."""
    routing = ROUTERS[place]
    chips = tuple(range(routing.topology.chip_count))
    root = 0 if operation == "broadcast" else None
    return min(
        time_collective(
            one.routing,
            one.members,
            operation=operation,
            size_bytes=size_bytes,
            algorithm=algorithm,
        ).duration_ps
        for one in arrangements(routing, chips, root)
        if "ring" in algorithm or not one.ring_only
    )


@pytest.mark.parametrize("place", ROUTERS)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("size_bytes", [600, 600_000])
def test_times_and_bounds_of_what_is_not_taken(
    place: str, operation: Operation, size_bytes: int
) -> None:
    routing = ROUTERS[place]
    nodes = [routing.node_of_chip[chip] for chip in range(routing.topology.chip_count)]
    chosen = time_collective(routing, range(len(nodes)), operation=operation, size_bytes=size_bytes)
    assert chosen.algorithm is not None
    assert set(chosen.not_taken) | {chosen.algorithm} == set(ALGORITHMS)
    assert chosen.duration_ps == best_ps(place, operation, chosen.algorithm, size_bytes)
    for name, reason in chosen.not_taken.items():
        algorithm: Algorithm = name  # type: ignore[assignment]
        wrong = misfit(operation, algorithm, nodes)
        if wrong or reason.startswith("no pair has a choice"):
            assert wrong in (reason, "")
            continue
        took_ps = best_ps(place, operation, algorithm, size_bytes)
        assert took_ps >= chosen.duration_ps
        if not reason.startswith("at least "):
            assert reason == format_time(took_ps)
            continue
        number, unit = re.fullmatch(r"at least ([\d.,]+) (\w+)", reason).groups()  # type: ignore[union-attr]
        least_ps = float(number.replace(",", "")) * PS_OF[unit]
        # Times are written with three digits.
        assert chosen.duration_ps * 0.995 <= least_ps <= took_ps * 1.005


def test_bounds_are_the_steps_that_follow_one_another() -> None:
    """Of six chips in a box, a shard of a microsecond, seven tenths of latency.

    A ring has five steps of a shard; two-way three steps, of which the last has half a shard.
    """
    timing = time_collective(
        ROUTERS["box of 6"], range(6), operation="all_gather", size_bytes=6 * 25_000
    )
    assert timing.duration_ps == 1_700_000
    assert timing.not_taken["ring"] == "at least 8.50 µs"
    assert timing.not_taken["two_way_ring"] == "at least 4.60 µs"


@pytest.mark.parametrize("chips", [3, 4])
def test_of_equal_times_the_first_algorithm_is_taken(chips: int) -> None:
    """Without latency a gather of three is as fast round both ways as it is direct."""
    free = LinkType("free", 25_000_000_000, 0, payload_bytes=1, wire_bytes=1)
    routing = Routing(fully_connected(name="box", chips=chips, local=free, port_count=chips))
    timing = time_collective(routing, range(chips), operation="all_gather", size_bytes=chips * 1000)
    assert (timing.algorithm, timing.duration_ps) == ("direct", 40_000)
