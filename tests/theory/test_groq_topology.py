"""The Groq systems as published: link counts, ports, bisection, injection, diameter, sizes."""

import networkx as nx
import pytest

from rack_sim.hardware.builders import dragonfly, fully_connected
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.topology import Topology

LINK = LinkType("c2c", 12_500_000_000, 533_000, 320, 328)


def groq(racks: int, rack_pair: int, *, nodes: int = 9, pair: int = 2, spares: int = 1) -> Topology:
    return dragonfly(
        name="groq",
        racks=racks,
        nodes_per_rack=nodes,
        chips_per_node=8,
        links_per_node_pair=pair,
        links_per_rack_pair=rack_pair,
        spare_nodes_per_rack=spares,
        local=LINK,
        global_=LINK,
        port_count=11,
    )


@pytest.fixture(scope="module")
def nine_racks() -> Topology:
    return groq(9, 18)


def crossing(system: Topology, left: set[int]) -> int:
    """Links of one direction that lead out of `left`."""
    return sum(1 for link in system.links if link.source in left and link.target not in left)


def test_a_groqnode_has_28_cables_and_a_bisection_of_16() -> None:
    node = fully_connected(name="node", chips=8, local=LINK, port_count=7)
    assert len(node.links) == 2 * 28
    # Published: 240 GB/s bisection, that is 16 links at 15 GB/s.
    assert crossing(node, {0, 1, 2, 3}) == 16
    assert crossing(node, {0, 2, 5, 7}) == 16


def test_576_chips_use_seven_local_and_four_global_ports_each(nine_racks: Topology) -> None:
    """zartbot 4: "7 Local Ports ... 4 Global Ports"; a node is a 32-port virtual router."""
    assert set(nine_racks.ports_used()) == {11}
    local, across = [0] * 648, [0] * 648
    for link in nine_racks.links:
        (local if link.kind == "local" else across)[link.source] += 1
    assert set(local) == {7}
    assert set(across) == {4}
    assert {sum(across[chip] for chip in node) for node in nine_racks.nodes} == {32}


def test_nine_racks_are_576_active_chips_and_72_spares(nine_racks: Topology) -> None:
    assert nine_racks.chip_count == 648
    assert nine_racks.active_chip_count == 576
    assert len(nine_racks.spare_nodes) == 9


def test_18_cables_join_every_two_racks(nine_racks: Topology) -> None:
    for a in range(9):
        chips = {chip for node in nine_racks.racks[a] for chip in nine_racks.nodes[node]}
        # 144 ports of a rack lead out of it (16 a node), 18 to each of eight others.
        assert crossing(nine_racks, chips) == 144
    first = {chip for node in nine_racks.racks[0] for chip in nine_racks.nodes[node]}
    last = {chip for node in nine_racks.racks[8] for chip in nine_racks.nodes[node]}
    assert sum(1 for k in nine_racks.links if k.source in first and k.target in last) == 18


def test_a_rack_injects_3_6_terabytes_per_second(nine_racks: Topology) -> None:
    """SC21: 3.6 TB/s per 72-chip rack = 72 chips x 4 global links x 12.5 GB/s."""
    chips = {chip for node in nine_racks.racks[0] for chip in nine_racks.nodes[node]}
    links = sum(1 for link in nine_racks.links if link.kind == "global" and link.source in chips)
    assert links * LINK.bytes_per_s == 3_600_000_000_000


def test_the_bisection_of_a_rack_is_the_cables_between_its_halves() -> None:
    """Four nodes against five: 4 x 5 pairs of 2 cables."""
    rack = groq(1, 0)
    left = {chip for node in range(4) for chip in rack.nodes[node]}
    assert crossing(rack, left) == 4 * 5 * 2


def test_a_groqrack_and_264_chips_are_three_hops_wide() -> None:
    assert nx.diameter(groq(1, 0).graph) == 3
    system = groq(1, 0, nodes=33, pair=1, spares=0)
    assert system.chip_count == 264
    assert set(system.ports_used()) == {11}
    assert nx.diameter(system.graph) == 3


def test_nine_racks_are_five_hops_wide(nine_racks: Topology) -> None:
    """Two global cables from every node to every other rack: local and global hops in turn.

    In the source node one local hop, then the cable, then at most local, global, local.
    """
    assert nx.diameter(nine_racks.graph) == 5


def test_the_largest_system_is_10440_chips_of_11_ports() -> None:
    """145 racks x 72: KAIST abstract. One cable between every two racks uses every port."""
    system = groq(145, 1, spares=0)
    assert system.chip_count == 10_440
    assert set(system.ports_used()) == {11}
    # local, global, local inside a rack at each end, and one cable between the racks
    assert max(nx.eccentricity(system.graph, chip) for chip in (0, 5000)) <= 3 + 1 + 3
