"""The orders in which a collective takes chips: each holds all, begins with the root, and fits."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from rack_sim.hardware.builders import dragonfly, fully_connected, ring, switched, torus
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Routing
from rack_sim.hardware.topology import Topology, both_ways
from rack_sim.timing.arrangements import Arrangement, arrangements, as_given

LINK = LinkType("plain", 25_000_000_000, 700_000, payload_bytes=1, wire_bytes=1)


def grid(*sides: int, node: int = 1) -> Topology:
    return torus(
        name="torus", sides=sides, local=LINK, global_=LINK, port_count=8, chips_per_node=node
    )


def line(chips: int) -> Topology:
    """A path: no ring of direct links leads through it."""
    links = tuple(link for a in range(chips - 1) for link in both_ways(a, a + 1, 0, "local"))
    return Topology(
        name="line",
        nodes=(tuple(range(chips)),),
        racks=((0,),),
        spare_nodes=(),
        link_types={"local": LINK},
        links=links,
        port_count=2,
    )


NODES = dragonfly(
    name="nodes", racks=1, nodes_per_rack=3, chips_per_node=4, links_per_node_pair=2,
    links_per_rack_pair=0, spare_nodes_per_rack=0, local=LINK, global_=LINK, port_count=99,
)  # fmt: skip
PLACES = {
    "ring": ring(name="ring", chips=7, local=LINK, global_=LINK, port_count=2),
    "torus 3 x 4": grid(3, 4),
    "torus 3 x 5": grid(3, 5),
    "torus 4 x 4": grid(4, 4),
    "torus 2 x 3 x 4": grid(2, 3, 4),
    "torus in nodes": grid(2, 4, node=4),
    "nodes": NODES,
    "line": line(5),
    "switches": switched(
        name="switches", chips=8, switches=2, links_per_chip=2, local=LINK, port_count=2
    ),
}


def found(place: str, root: int | None = None, group: Sequence[int] = ()) -> list[Arrangement]:
    routing = Routing(PLACES[place])
    return list(arrangements(routing, tuple(group or range(routing.topology.chip_count)), root))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("root", [None, 0, 3])
def test_every_order_holds_all_chips_once_and_begins_with_the_root(
    place: str, root: int | None
) -> None:
    chips = PLACES[place].chip_count
    orders = found(place, root)
    for one in orders:
        assert sorted(one.members) == list(range(chips))
        assert root in (None, one.members[0])
    for kind in (True, False):
        alike = [one.members for one in orders if one.ring_only is kind]
        assert len(set(alike)) == len(alike)
    assert not orders[0].ring_only


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("root", [None, 3])
def test_a_ring_goes_over_direct_links_and_back(place: str, root: int | None) -> None:
    routing = Routing(PLACES[place])
    rings = [one.members for one in found(place, root) if one.ring_only]
    for members in rings:
        assert all(routing.has_link(hop) for hop in pairwise((*members, members[0])))
    # On a line none leads back, and over switches there are no direct links.
    assert bool(rings) is (place not in ("line", "switches"))


@pytest.mark.parametrize(
    ("place", "sides", "count"),
    [("torus 3 x 4", (3, 4), 2), ("torus 3 x 5", (3, 5), 2), ("torus 4 x 4", (4, 4), 1)],
)
def test_the_dimensions_of_a_grid_each_come_before_the_others(
    place: str, sides: tuple[int, ...], count: int
) -> None:
    """Chips that follow one another share a line of the innermost dimension.

    Dimensions that are alike are not exchanged.
    """

    def coordinates(chip: int) -> tuple[int, ...]:
        places = []
        for side in reversed(sides):
            chip, place = divmod(chip, side)
            places.append(place)
        return tuple(reversed(places))

    inner = set()
    for one in found(place):
        if one.ring_only:
            continue
        for axis, side in enumerate(sides):
            lines = [one.members[at : at + side] for at in range(0, len(one.members), side)]
            rest = [
                {(*where[:axis], *where[axis + 1 :]) for where in map(coordinates, chips)}
                for chips in lines
            ]
            if all(len(places) == 1 for places in rest):
                inner.add(sides[axis])
    assert inner == set(sides)
    plain = [one for one in found(place) if not one.ring_only]
    assert len(plain) >= count


@pytest.mark.parametrize("root", [None, 0, 5])
def test_nodes_follow_one_another(root: int | None) -> None:
    """Of each node all chips, then those of the next; a root in its node's place."""
    first = found("nodes", root)[0].members
    nodes = [chip // 4 for chip in first]
    assert [nodes[at : at + 4] for at in (0, 4, 8)] == [[nodes[at]] * 4 for at in (0, 4, 8)]
    assert sorted(nodes[::4]) == [0, 1, 2]
    # Nodes of unequal parts of a group are whole all the same.
    part = found("nodes", None, (0, 1, 2, 4, 5, 8))[0].members
    assert sorted(part) == [0, 1, 2, 4, 5, 8]
    assert sum(a // 4 != b // 4 for a, b in pairwise(part)) == 2


@pytest.mark.parametrize("chips", [2, 3, 8])
@pytest.mark.parametrize("root", [None, 1])
def test_where_every_chip_has_a_link_to_every_other_the_order_is_that_given(
    chips: int, root: int | None
) -> None:
    routing = Routing(fully_connected(name="box", chips=chips, local=LINK, port_count=9))
    group = tuple(reversed(range(chips)))
    assert arrangements(routing, group, root) == (as_given(routing, group),)


def test_peers_of_nodes_are_those_that_have_a_link() -> None:
    """Two nodes of two, joined crosswise: 0 to 3 and 1 to 2. In order they are 0, 1 and 3, 2."""
    ways = ((0, 1), (2, 3), (0, 3), (1, 2))
    links = tuple(
        link
        for a, b in ways
        for link in both_ways(a, b, 0, "local" if a // 2 == b // 2 else "global")
    )
    crossed = Topology(
        name="crossed",
        nodes=((0, 1), (2, 3)),
        racks=((0, 1),),
        spare_nodes=(),
        link_types={"local": LINK, "global": LINK},
        links=links,
        port_count=4,
    )
    routing = Routing(crossed)
    a, b, c, d = arrangements(routing, (0, 1, 2, 3), None)[0].members
    assert {a // 2, b // 2} in ({0}, {1})
    assert routing.has_link((a, c))
    assert routing.has_link((b, d))


@pytest.mark.parametrize("place", ["torus 3 x 4", "torus 4 x 4", "torus in nodes"])
def test_a_line_of_four_that_is_closed_is_also_taken_as_a_ring(place: str) -> None:
    """Of some order every four chips in a row have links to the next, and the last to the first."""
    routing = Routing(PLACES[place])

    def in_rings(members: Sequence[int]) -> bool:
        rings = [members[at : at + 4] for at in range(0, len(members), 4)]
        return all(routing.has_link(hop) for four in rings for hop in pairwise((*four, four[0])))

    assert any(in_rings(one.members) for one in found(place) if not one.ring_only)


@pytest.mark.parametrize("group", [(0, 1, 2, 4, 5, 6, 8, 9), (0, 1, 2, 3, 4, 5), (0, 4, 5)])
def test_nodes_of_two_different_numbers_of_chips_have_no_peers(group: tuple[int, ...]) -> None:
    """They follow one another whole."""
    for one in found("nodes", None, group):
        assert sorted(one.members) == list(group)
    first = found("nodes", None, group)[0].members
    changes = sum(a // 4 != b // 4 for a, b in pairwise(first))
    assert changes == len({chip // 4 for chip in group}) - 1


@pytest.mark.parametrize("peer_of", [(1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("nodes", [2, 3])
def test_chips_of_equal_place_in_nodes_are_joined_whatever_their_numbers(
    peer_of: tuple[int, ...], nodes: int
) -> None:
    """Chip c of a node has its cable to chip `peer_of` c of the next node."""
    chips = [list(range(3))]
    for node in range(1, nodes):
        chips.append([3 * node + peer_of[chip % 3] for chip in chips[-1]])
    inside = [(3 * n + a, 3 * n + b) for n in range(nodes) for a, b in ((0, 1), (1, 2), (0, 2))]
    between = [
        (a, b)
        for m in range(nodes)
        for n in range(m)
        for a, b in zip(chips[n], chips[m], strict=True)
    ]
    links = tuple(
        link
        for kind, ways in (("local", inside), ("global", between))
        for a, b in ways
        for link in both_ways(a, b, 0, kind)
    )
    joined = Topology(
        name="joined",
        nodes=tuple(tuple(range(3 * n, 3 * n + 3)) for n in range(nodes)),
        racks=(tuple(range(nodes)),),
        spare_nodes=(),
        link_types={"local": LINK, "global": LINK},
        links=links,
        port_count=8,
    )
    routing = Routing(joined)
    orders = [
        one.members
        for one in arrangements(routing, tuple(range(3 * nodes)), None)
        if not one.ring_only
    ]

    def peers_are_joined(members: Sequence[int]) -> bool:
        return all(
            routing.has_link((members[place], members[place + 3 * node]))
            for place in range(3)
            for node in range(1, nodes)
        ) and all(
            len({chip // 3 for chip in members[at : at + 3]}) == 1
            for at in range(0, len(members), 3)
        )

    assert peers_are_joined(orders[0])
