"""Collectives against SimGrid, an independent simulator in which the chips are programs.

`simgrid_witness.py` says what every chip sends and waits for; from us it has wires and routes. The
two agree where no two messages share a link. Where they do, SimGrid lets them flow side by side,
each with its share of the rate, and we send one whole message after the other in a schedule made
beforehand: then both have to respect what the wires allow, and the schedule may be behind the flow
by the latencies of a route.

SimGrid is Debian's python3-simgrid, for the Python of the system. RACK_SIM_SIMGRID_PYTHON names
another Python that has it; where none has, these tests skip.
"""

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from rack_sim.foundation.units import PS_PER_S
from rack_sim.hardware.builders import dragonfly, fully_connected, ring
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Route, Routing, hops
from rack_sim.timing.collectives import time_collective

pytestmark = pytest.mark.slow

WITNESS = Path(__file__).with_name("simgrid_witness.py")
WITNESS_MAX_S = 300  # all cases of a topology take some seconds

LATENCY_PS = 700_000
KIB, MIB = 1024, 1024 * 1024
SIZES_BYTES = (KIB, MIB, 9 * MIB)
ALGORITHMS = {
    "all_gather": ("ring", "direct"),
    "reduce_scatter": ("ring", "direct"),
    "all_reduce": ("ring", "direct"),
    "broadcast": ("ring", "direct"),
    "all_to_all": ("direct",),
}

# SimGrid adds up doubles and takes instants 1e-14 s apart for one; the longest chain has 32 steps.
SIMGRID_PS = 1
# Beyond that, we round each message up to a picosecond: 32 steps are far less than a nanosecond.
ROUNDING_PS = 1_000


def plain(bytes_per_s: int) -> LinkType:
    """A link without frames: the wire carries the bytes of the message and nothing else."""
    return LinkType("plain", bytes_per_s, LATENCY_PS, payload_bytes=1, wire_bytes=1)


def _dragonfly() -> Routing:
    link = plain(25_000_000_000)
    return Routing(
        dragonfly(
            name="72",
            racks=1,
            nodes_per_rack=9,
            chips_per_node=8,
            links_per_node_pair=1,
            links_per_rack_pair=0,
            spare_nodes_per_rack=0,
            local=link,
            global_=link,
            port_count=8,
        )
    )


def _ring() -> Routing:
    link = plain(25_000_000_000)
    return Routing(ring(name="ring", chips=8, local=link, global_=link, port_count=2))


def _full() -> Routing:
    link = plain(12_500_000_000)
    return Routing(fully_connected(name="full", chips=8, local=link, port_count=7))


ROUTERS = {"full": _full(), "ring": _ring(), "dragonfly": _dragonfly()}
GROUPS = {
    "full": ("full", tuple(range(8))),
    "ring": ("ring", tuple(range(8))),
    "node": ("dragonfly", tuple(range(8, 16))),
    "one chip of each node": ("dragonfly", tuple(range(0, 72, 8))),
    "all 72": ("dragonfly", tuple(range(72))),
}


class Case(NamedTuple):
    """One collective of one group; `size_bytes` as nccl-tests count it."""

    group_name: str
    operation: str
    algorithm: str
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.group_name}, {self.algorithm} {self.operation}, {self.size_bytes} B"

    @property
    def routing(self) -> Routing:
        """The router of the topology in which the group is."""
        return ROUTERS[GROUPS[self.group_name][0]]

    @property
    def group(self) -> tuple[int, ...]:
        """The chips that take part, in the order of the ring."""
        return GROUPS[self.group_name][1]

    @property
    def rounds(self) -> int:
        """How often every part goes round: twice in an all-reduce."""
        return 2 if self.operation == "all_reduce" else 1

    @property
    def message_bytes(self) -> int:
        """What one message carries: a part, but for the direct broadcast."""
        whole = (self.operation, self.algorithm) == ("broadcast", "direct")
        return self.size_bytes if whole else self.size_bytes // len(self.group)

    @property
    def routes(self) -> list[Route]:
        """The routes of the messages that may be under way at once; a ring's step has n of them."""
        chips, broadcast = self.group, self.operation == "broadcast"
        if self.algorithm == "ring":
            nexts = zip(chips, chips[1:] + chips[:1], strict=True)
            pairs = list(nexts)[: -1 if broadcast else None]
        else:
            sources = chips[:1] if broadcast else chips
            pairs = [(a, b) for a in sources for b in chips if a != b]
        return [own_route(self.routing, *pair) for pair in pairs]

    @property
    def messages_per_route(self) -> int:
        """How many messages take each route one after the other."""
        if self.algorithm == "direct":
            return self.rounds
        count = len(self.group)
        return count if self.operation == "broadcast" else self.rounds * (count - 1)

    @property
    def steps(self) -> int:
        """The messages that wait for each other in the longest chain."""
        if self.algorithm == "direct":
            return self.rounds
        count = len(self.group)
        return 2 * (count - 1) if self.operation == "broadcast" else self.rounds * (count - 1)

    @property
    def hop_count_max(self) -> int:
        """The links of the longest route."""
        return max(len(route) - 1 for route in self.routes)

    @property
    def routes_by_hop(self) -> Counter[tuple[int, int]]:
        """How many routes cross each link."""
        return Counter(hop for route in self.routes for hop in hops(route))

    @property
    def shares_links(self) -> bool:
        """Whether two messages may want the same link at once."""
        return max(self.routes_by_hop.values()) > 1

    @property
    def message_ps(self) -> Fraction:
        """How long one message occupies a link. All links of a topology have the same rate."""
        return wire_ps(self.message_bytes, self.routing)

    @property
    def bound_ps(self) -> Fraction:
        """What no schedule on these routes can be faster than.

        All that crosses the busiest link has to cross it, and the last byte still has to arrive;
        and the longest route takes its latencies and its message, in every round.
        """
        busiest = max(self.routes_by_hop.values()) * self.messages_per_route
        farthest = self.hop_count_max * LATENCY_PS + self.message_ps
        return max(LATENCY_PS + busiest * self.message_ps, self.rounds * farthest)


def own_route(routing: Routing, source: int, target: int) -> Route:
    """The route that a pair takes whatever others do."""
    return routing.minimal_routes(source, target)[0]


def wire_ps(size_bytes: int, routing: Routing) -> Fraction:
    """The picoseconds for which so many bytes occupy a link, not rounded."""
    (bytes_per_s,) = {kind.bytes_per_s for kind in routing.topology.link_types.values()}
    return Fraction(size_bytes * PS_PER_S, bytes_per_s)


def _cases() -> list[Case]:
    """All operations of all groups and sizes, each size rounded up to equal parts.

    All 72 chips have one case, the all-to-all with the most messages.
    """
    cases = [
        Case(name, operation, algorithm, -(-size_bytes // len(chips)) * len(chips))
        for name, (_, chips) in GROUPS.items()
        if name != "all 72"
        for operation, algorithms in ALGORITHMS.items()
        for algorithm in algorithms
        for size_bytes in SIZES_BYTES
    ]
    return [*cases, Case("all 72", "all_to_all", "direct", 9 * MIB)]


CASES = _cases()


@cache
def simgrid_python() -> str:
    """A Python that has SimGrid, or a skip that says where it was looked for."""
    named = os.environ.get("RACK_SIM_SIMGRID_PYTHON")
    tried = [python for python in (named, shutil.which("python3", path="/usr/bin")) if python]
    for python in tried:
        try:
            ran = subprocess.run(
                [python, "-c", "import simgrid"], capture_output=True, timeout=60, check=False
            )
        except OSError:
            continue
        if ran.returncode == 0:
            return python
    where = " or ".join(tried) or "no Python of the system"
    return pytest.skip(f"SimGrid (Debian: python3-simgrid) not found: {where} cannot import it")


def ask_simgrid(
    routing: Routing,
    cases: Sequence[Mapping[str, object]],
    route: Callable[[Routing, int, int], Route] = own_route,
) -> list[Fraction]:
    """What the witness says each case takes, in picoseconds."""
    pairs = {(a, b) for case in cases for a in case["group"] for b in case["group"] if a != b}
    kinds = routing.topology.link_types
    document = {
        "hosts": len(routing.topology.graph),
        "links": [
            (
                link.source,
                link.target,
                kinds[link.kind].bytes_per_s,
                kinds[link.kind].latency_ps / PS_PER_S,
            )
            for link in routing.topology.links
        ],
        "routes": [route(routing, *pair) for pair in sorted(pairs)],
        "cases": cases,
    }
    ran = subprocess.run(
        [simgrid_python(), str(WITNESS)],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        timeout=WITNESS_MAX_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [Fraction(seconds) * PS_PER_S for seconds in json.loads(ran.stdout)]


@pytest.fixture(scope="module")
def simgrid_ps() -> dict[Case, Fraction]:
    """What SimGrid says of every case, in picoseconds."""
    answers: dict[Case, Fraction] = {}
    for routing in ROUTERS.values():
        cases = [case for case in CASES if case.routing is routing]
        asked = [
            {
                "operation": case.operation,
                "algorithm": case.algorithm,
                "group": case.group,
                "size_bytes": case.size_bytes,
            }
            for case in cases
        ]
        answers |= zip(cases, ask_simgrid(routing, asked), strict=True)
    return answers


# The witness alone: does SimGrid, as configured, mean by a link what we mean?


def test_a_message_takes_the_latencies_of_its_route_and_then_its_size(
    simgrid_ps: dict[Case, Fraction],
) -> None:
    """Direct without sharing: a + m/b of the farthest; no factor of TCP, no other direction."""
    asked = [case for case in CASES if case.algorithm == "direct" and not case.shares_links]
    assert {case.hop_count_max for case in asked} == {1, 3}
    for case in asked:
        once = case.hop_count_max * LATENCY_PS + case.message_ps
        assert abs(simgrid_ps[case] - case.rounds * once) <= SIMGRID_PS, case


def test_a_ring_takes_its_steps(simgrid_ps: dict[Case, Fraction]) -> None:
    """(n - 1)(a + m/b), twice for an all-reduce; every step of a group crosses as many links."""
    for case in CASES:
        if case.algorithm == "ring" and case.operation != "broadcast":
            once = case.hop_count_max * LATENCY_PS + case.message_ps
            assert abs(simgrid_ps[case] - case.steps * once) <= SIMGRID_PS, case


def test_a_chain_is_a_pipeline(simgrid_ps: dict[Case, Fraction]) -> None:
    """The last of n pieces leaves n - 1 pieces late, then crosses n - 1 routes."""
    for case in CASES:
        if (case.operation, case.algorithm) == ("broadcast", "ring"):
            count = len(case.group)
            once = case.hop_count_max * LATENCY_PS + case.message_ps
            expected = (count - 1) * case.message_ps + (count - 1) * once
            assert abs(simgrid_ps[case] - expected) <= SIMGRID_PS, case


def test_the_eight_by_hand(simgrid_ps: dict[Case, Fraction]) -> None:
    """8 chips, all connected, 12.5 GB/s, 700 ns, 1 MiB: 131,072 bytes take 10,485.76 ns."""
    for operation in ("all_gather", "reduce_scatter"):
        direct, ring_ = (Case("full", operation, name, MIB) for name in ("direct", "ring"))
        assert float(simgrid_ps[direct]) == pytest.approx(11_185_760, abs=SIMGRID_PS)
        assert float(simgrid_ps[ring_]) == pytest.approx(7 * 11_185_760, abs=SIMGRID_PS)


def test_simgrid_respects_the_wires(simgrid_ps: dict[Case, Fraction]) -> None:
    """The bound of every case, those with shared links above all."""
    for case in CASES:
        assert simgrid_ps[case] >= case.bound_ps - SIMGRID_PS, case


def test_which_cases_share_links() -> None:
    """Direct on a ring, and all 72 chips at once; the cables make room for all the others."""
    assert {(case.group_name, case.algorithm) for case in CASES if case.shares_links} == {
        ("ring", "direct"),
        ("all 72", "direct"),
    }


def test_72_chips_on_one_global_cable_each_way() -> None:
    """A cable between nodes carries 8 x 8 parts of 131,072 bytes: a + 64 m/b, and not more.

    For that, routes must not take two cables where one leads there in as many hops; of equal ones
    `minimal_routes` has the lowest chip numbers first and does not count cables.
    """

    def fewest_cables(routing: Routing, source: int, target: int) -> Route:
        def cables(route: Route) -> int:
            return sum(a // 8 != b // 8 for a, b in hops(route))

        return min(routing.minimal_routes(source, target), key=cables)

    case = {
        "operation": "all_to_all",
        "algorithm": "direct",
        "group": tuple(range(72)),
        "size_bytes": 9 * MIB,
    }
    (answer_ps,) = ask_simgrid(ROUTERS["dragonfly"], [case], fewest_cables)
    assert abs(answer_ps - 336_244_320) <= SIMGRID_PS


# SimGrid and we.


def our_ps(case: Case) -> int:
    """What rack-sim says of a case."""
    timing = time_collective(
        case.routing,
        case.group,
        operation=case.operation,
        algorithm=case.algorithm,
        size_bytes=case.size_bytes,
    )
    return timing.duration_ps


@pytest.mark.parametrize("case", [case for case in CASES if not case.shares_links], ids=str)
def test_we_agree_where_no_link_is_shared(case: Case, simgrid_ps: dict[Case, Fraction]) -> None:
    """A forwarding chip of ours takes in a vector, here of one byte, before it passes it on.

    SimGrid's does not: each step may take us one byte longer for every hop after the first.
    """
    forwarding_ps = case.steps * (case.hop_count_max - 1) * wire_ps(1, case.routing)
    assert abs(our_ps(case) - simgrid_ps[case]) <= forwarding_ps + ROUNDING_PS


@pytest.mark.parametrize("case", [case for case in CASES if case.shares_links], ids=str)
def test_we_keep_to_the_wires_and_near_the_flow(
    case: Case, simgrid_ps: dict[Case, Fraction]
) -> None:
    """Not faster than the wires; slower than the flow by latencies, not by waiting for each other.

    With C messages on the busiest link and h hops at most, whole messages need no more than
    h a + C m/b in a round. On a ring, let those that go farther go first: all that delay a message
    cross its last link too, and each delays it once, so there are at most C - 1. Between nodes, let
    those that still have a cable before them go first: the cable is then never idle, and what
    leaves it comes one by one and finds the links beyond it free; the few routes over two cables
    are held to the same. SimGrid needs a + C m/b at least (the bound), so we are not behind it by
    more than the other latencies, and the byte that each forwarding chip takes in first.
    """
    latencies = case.rounds * case.hop_count_max - 1
    forwarding_ps = case.rounds * (case.hop_count_max - 1) * wire_ps(1, case.routing)
    late_ps = latencies * LATENCY_PS + forwarding_ps + ROUNDING_PS
    assert case.bound_ps <= our_ps(case) <= simgrid_ps[case] + late_ps


def test_all_to_all_on_a_ring_of_eight() -> None:
    """1 MiB at 25 GB/s: the busiest link carries 10 parts of 5,242.88 ns, after 700 ns."""
    case = Case("ring", "all_to_all", "direct", MIB)
    assert case.bound_ps == 53_128_800
    assert our_ps(case) >= 53_128_800


def test_all_to_all_on_72_chips() -> None:
    """9 MiB: whatever the routes, 64 parts for each cable that leaves a node: a + 64 m/b."""
    assert our_ps(Case("all 72", "all_to_all", "direct", 9 * MIB)) >= 336_244_320
