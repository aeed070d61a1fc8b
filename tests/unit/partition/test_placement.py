"""Stages follow one another over direct links; spare nodes and the rest of a node stay unused."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.hardware.builders import dragonfly
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.topology import Topology, both_ways
from rack_sim.model.operators import Block
from rack_sim.partition.placement import groups, node_order
from rack_sim.partition.plan import Stage

LINK = LinkType("c2c", 12_500_000_000, 533_000, 320, 328)


def build(
    racks: int, nodes: int, chips: int = 4, pair: int = 1, rack_pair: int = 1, spares: int = 0
) -> Topology:
    return dragonfly(
        name="dragonfly",
        racks=racks,
        nodes_per_rack=nodes,
        chips_per_node=chips,
        links_per_node_pair=pair,
        links_per_rack_pair=rack_pair,
        spare_nodes_per_rack=spares,
        local=LINK,
        global_=LINK,
        port_count=10**6,
    )


def directly_linked(topology: Topology, order: tuple[int, ...]) -> bool:
    node_of = topology.node_of_chip()
    linked = {(node_of[link.source], node_of[link.target]) for link in topology.links}
    return all(pair in linked for pair in pairwise(order))


def test_72_nodes_of_nine_racks_are_a_path_of_direct_links() -> None:
    system = build(9, 9, 8, 2, 18, spares=1)
    order = node_order(system)
    assert len(order) == 72
    assert directly_linked(system, order)
    assert not set(order) & set(system.spare_nodes)


@given(
    racks=st.integers(1, 6),
    nodes=st.integers(2, 6),
    chips=st.integers(1, 4),
    rack_pair=st.integers(1, 40),
    spares=st.integers(0, 1),
)
@settings(deadline=None)
def test_every_active_node_once_rack_by_rack(
    racks: int, nodes: int, chips: int, rack_pair: int, spares: int
) -> None:
    system = build(racks, nodes, chips, 1, rack_pair, spares)
    order = node_order(system)
    assert sorted(order) == list(system.active_nodes)
    rack_of = system.rack_of_node()
    visited = [rack_of[node] for node in order]
    assert visited == sorted(visited)
    # With at least one cable for every two nodes of two racks there is a door between any two.
    if rack_pair >= nodes * nodes * racks and nodes - spares > 1:
        assert directly_linked(system, order)


@pytest.mark.parametrize(("racks", "nodes", "rack_pair"), [(2, 3, 3), (4, 4, 8), (10, 9, 16)])
def test_racks_with_a_cable_for_every_node_join_directly(
    racks: int, nodes: int, rack_pair: int
) -> None:
    system = build(racks, nodes, 8, 2, rack_pair)
    assert directly_linked(system, node_order(system))


@pytest.mark.parametrize(
    ("size", "count", "first", "second"),
    [
        (1, 8, (0,), (1,)),
        (2, 4, (0, 1), (2, 3)),
        (3, 2, (0, 1, 2), (4, 5, 6)),  # one chip of each node is left over
        (4, 2, (0, 1, 2, 3), (4, 5, 6, 7)),
    ],
)
def test_small_groups_lie_inside_a_node(
    size: int, count: int, first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    found = groups(build(1, 3, spares=1), size)
    assert len(found) == count
    assert found[:2] == (first, second)


def test_large_groups_span_whole_nodes() -> None:
    found = groups(build(1, 5), 8)
    assert found == (tuple(range(8)), tuple(range(8, 16)))
    assert groups(build(1, 5, spares=1), 20) == ()


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 20))
@settings(deadline=None)
def test_groups_share_no_chip_and_use_no_spare(
    racks: int, nodes: int, chips: int, size: int
) -> None:
    system = build(racks, nodes + 1, chips, 1, 1, spares=1)
    found = groups(system, size)
    used = [chip for group in found for chip in group]
    assert len(used) == len(set(used))
    assert all(len(group) == size for group in found)
    spare = {chip for node in system.spare_nodes for chip in system.nodes[node]}
    assert not spare & set(used)


def test_a_group_of_a_whole_node_is_that_node() -> None:
    """Nodes of 2, 4 and 2 chips: four fill the second, and four are gathered from the others."""
    links = tuple(link for chip in range(7) for link in both_ways(chip, chip + 1, 0, "local"))
    topology = Topology(
        name="uneven",
        nodes=((0, 1), (2, 3, 4, 5), (6, 7)),
        racks=((0, 1, 2),),
        spare_nodes=(),
        link_types={"local": LINK},
        links=links,
        port_count=2,
    )
    assert groups(topology, 4) == ((2, 3, 4, 5), (0, 1, 6, 7))


def test_the_title_of_a_stage_names_its_first_and_last_block() -> None:
    """The last of three, not the one before."""
    blocks = tuple(Block(name, "feed_forward", (), False) for name in ("first", "second", "third"))
    assert Stage(0, blocks, (0,), ()).title == "first … third"
    assert Stage(0, blocks[:1], (0,), ()).title == "first"
