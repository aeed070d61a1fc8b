"""The fastest collective does not depend on the numbers of chips."""

import random
from dataclasses import replace

import pytest

from rack_sim.hardware.canonical import canonical_form, relabelled
from rack_sim.hardware.link import Link
from rack_sim.hardware.routing import Routing
from rack_sim.hardware.topology import Topology
from rack_sim.scenario import load_system
from rack_sim.timing.algorithms import OPERATIONS
from rack_sim.timing.collectives import time_collective

# Every builder, with sides that differ and that are equal, nodes, switches and failures.
MACHINES = (
    "fully-connected:6",
    "ring:7",
    "mesh:2x5",
    "mesh:3x4,chips_per_node=4",
    "torus:2x6,chips_per_node=4",
    "torus:2x8",
    "torus:2x2x3",
    "torus:3x4,failed=0-1+4-5",
    "hyperx:2x4",
    "switched:8,switches=4,links_per_chip=6",
    "dragonfly:4x3,links_per_node_pair=1",
    "dragonfly:5x4,links_per_node_pair=2",
    "groq-node-8",
    "tenstorrent-p150-x4",
    "sambanova-sn40l-x8",
)


def renumbered(topology: Topology, goes: list[int]) -> Topology:
    """The same machine with chip and switch n called ``goes[n]``, its nodes in another order."""
    count = len(topology.nodes)
    nodes = random.Random(goes[0]).sample(range(count), count)  # the old number of each
    now = {old: new for new, old in enumerate(nodes)}

    def links(given: tuple[Link, ...]) -> tuple[Link, ...]:
        return tuple(
            sorted(
                link._replace(source=goes[link.source], target=goes[link.target]) for link in given
            )
        )

    return replace(
        topology,
        kind="custom",
        sides=(),
        nodes=tuple(tuple(sorted(goes[chip] for chip in topology.nodes[old])) for old in nodes),
        racks=tuple(tuple(sorted(now[node] for node in rack)) for rack in topology.racks),
        spare_nodes=tuple(sorted(now[node] for node in topology.spare_nodes)),
        links=links(topology.links),
        failed_links=links(topology.failed_links),
    )


def drawn(topology: Topology, seed: int) -> list[int]:
    """New numbers of chips, and of switches behind them."""
    draw = random.Random(seed)
    chips = list(range(topology.chip_count))
    switches = list(range(topology.chip_count, topology.chip_count + topology.switch_count))
    draw.shuffle(chips)
    draw.shuffle(switches)
    return chips + switches


@pytest.mark.parametrize("machine", MACHINES)
def test_the_fastest_does_not_depend_on_numbers(machine):
    """All operations, a small and a large buffer, the whole machine and some of it."""
    topology = load_system(machine).topology
    routing = Routing(topology)
    everything = tuple(range(topology.chip_count))
    some = everything[1 : 1 + max(2, len(everything) * 2 // 3)]
    goes = drawn(topology, len(machine))
    other = Routing(renumbered(topology, goes))
    for group in (everything, some):
        there = [goes[chip] for chip in group]
        # A broadcast starts at its first chip; beyond that the order says nothing.
        there = [there[0], *random.Random(1).sample(there[1:], len(there) - 1)]
        for operation in OPERATIONS:
            for size_bytes in (4096, 1 << 20):
                here = time_collective(routing, group, operation=operation, size_bytes=size_bytes)
                moved = time_collective(other, there, operation=operation, size_bytes=size_bytes)
                assert (here.duration_ps, here.algorithm, here.not_taken) == (
                    moved.duration_ps,
                    moved.algorithm,
                    moved.not_taken,
                ), (operation, size_bytes, group)


@pytest.mark.parametrize("sides", [("2x8", "8x2"), ("2x2x3", "3x2x2")])
@pytest.mark.parametrize("kind", ["torus", "mesh", "hyperx"])
def test_the_order_of_sides_says_nothing(kind, sides):
    """The example that showed it: one machine, its sides named in another order."""
    found = [
        time_collective(
            Routing(topology),
            range(topology.chip_count),
            operation="all_reduce",
            size_bytes=1 << 20,
        ).duration_ps
        for topology in (load_system(f"{kind}:{side}").topology for side in sides)
    ]
    assert len(set(found)) == 1


@pytest.mark.parametrize("machine", ["torus:2x8", "mesh:2x8", "torus:4x4", "mesh:4x4"])
def test_a_ring_goes_over_direct_links(machine):
    """Both ways round a ring of n chips: ⌊n/2⌋ latencies and (n-1)/2 pieces, twice."""
    topology = load_system(machine).topology
    routing = Routing(topology)
    size_bytes = 1 << 24
    timing = time_collective(
        routing, range(topology.chip_count), operation="all_reduce", size_bytes=size_bytes
    )
    count = topology.chip_count
    assert timing.algorithm == "two_way_ring"
    kind = topology.link_types["local"]
    half_ps = kind.serialisation_ps(size_bytes // (2 * count))
    # Halves travel alone or in pairs: what a step carries is whole vectors.
    pair_ps = kind.serialisation_ps(size_bytes // count)
    expected = 2 * (count // 2 * kind.latency_ps + (count // 2 - 1) * pair_ps + half_ps)
    assert timing.duration_ps == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_the_canonical_form_is_one(machine):
    """Relabelled by its own order, a machine is the same graph whatever its numbers were."""
    topology = load_system(machine).topology
    forms = []
    for goes in (list(range(topology.chip_count + topology.switch_count)), drawn(topology, 3)):
        routing = Routing(renumbered(topology, goes))
        graph = routing.graph_of(sorted(goes), range(topology.chip_count))
        forms.append(relabelled(*graph, canonical_form(*graph).order))
    assert forms[0] == forms[1]


@pytest.mark.parametrize("machine", MACHINES)
def test_symmetries_keep_every_link(machine):
    """What is called a symmetry maps colours onto themselves and arcs onto arcs."""
    topology = load_system(machine).topology
    routing = Routing(topology)
    vertices = range(topology.chip_count + topology.switch_count)
    colours, arcs = routing.graph_of(vertices, range(topology.chip_count))
    for goes in canonical_form(colours, arcs).symmetries:
        assert sorted((goes[a], goes[b], label) for a, b, label in arcs) == sorted(arcs)
        assert [colours[goes[vertex]] for vertex in range(len(colours))] == colours


@pytest.mark.parametrize("machine", ["torus:2x8", "dragonfly:4x3,links_per_node_pair=1"])
def test_transfers_lead_from_member_to_member_of_the_group_as_given(machine):
    """Whatever the order that was taken: who uses the transfers counts members as it gave them."""
    topology = load_system(machine).topology
    group = tuple(reversed(range(topology.chip_count)))
    for size_bytes in (4096, 1 << 24):
        routed = time_collective(
            Routing(topology), group, operation="all_gather", size_bytes=size_bytes
        ).routed
        assert routed.group == group
        for transfer, parts in zip(routed.transfers, routed.parts, strict=True):
            for part in parts:
                assert part.route[0] == group[transfer.source]
                assert part.route[-1] == group[transfer.target]
