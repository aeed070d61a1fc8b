"""Dragonfly: racks of fully connected nodes; nodes of a rack and racks are fully connected in turn.

Cables between nodes are dealt out to ports round robin, so that every chip carries its share; the
deal is a formula, so two builds are equal. A system of nodes without racks, each node linked to
each other, is one rack of all its nodes. A node is a node; the last nodes of a rack are its spares.

Which chip carries the cable to which other rack matters once cables are few. ``dealt`` gives the
rack at distance k (counted round) to port k: chips of equal place then lead to racks in equal
steps, and short routes meet each other instead of new chips. ``scattered`` deals the same ports in
an order without pattern. Between 145 racks with one cable a pair the first is 7 hops wide, the
second 6 (see docs/topologies.md).
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Annotated, Literal

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.keys import Count, NonNegativeInt, doc
from rack_sim.hardware.builders.builder import SIZE
from rack_sim.hardware.builders.cables import check_size, complete
from rack_sim.hardware.link import Link, LinkType
from rack_sim.hardware.topology import Topology, both_ways

RackCables = Literal["dealt", "scattered"]

# Orders the offsets 1..n-1 by their cubes times this, modulo 2**32. The first even step above
# 2**32 / golden ratio with which 145 racks of 72 chips are 6 hops wide; any order is a valid deal.
_SCATTER = 2_654_436_077


def dragonfly(
    *,
    name: str,
    racks: Annotated[
        Count,
        SIZE,
        doc("Racks of the system; left out, one: nodes without racks, each linked to each other."),
    ] = 1,
    nodes_per_rack: Annotated[Count, SIZE, doc("Nodes of a rack, spare ones included.")],
    chips_per_node: Annotated[Count, SIZE, doc("Chips of a node.")],
    links_per_node_pair: Annotated[
        NonNegativeInt, doc("Cables between every two nodes of a rack.")
    ],
    links_per_rack_pair: Annotated[
        NonNegativeInt, doc("Cables between every two racks; left out, none.")
    ] = 0,
    spare_nodes_per_rack: Annotated[
        NonNegativeInt, doc("Nodes of a rack that hold no model and stand by; left out, none.")
    ] = 0,
    rack_cables: Annotated[
        RackCables,
        doc("Order in which ports are dealt to racks: in steps (left out), or without pattern."),
    ] = "dealt",
    local: LinkType,
    global_: LinkType,
    port_count: int,
) -> Topology:
    """Racks of fully connected nodes; nodes and racks fully connected in turn.

    The last nodes of each rack are its spares.

    Raises InputError where spares leave no active node, or through Topology where the ports of a
    chip do not suffice.
    """
    if not 0 <= spare_nodes_per_rack < nodes_per_rack:
        raise InputError(
            Problem(
                f"{spare_nodes_per_rack} spare nodes in a rack of {nodes_per_rack} "
                "leave none to hold a model",
                field="spare_nodes_per_rack",
            )
        )
    node_count = racks * nodes_per_rack
    check_size(
        name,
        node_count * (chips_per_node * (chips_per_node - 1) // 2)
        + racks * (nodes_per_rack * (nodes_per_rack - 1) // 2) * links_per_node_pair
        + racks * (racks - 1) // 2 * links_per_rack_pair,
        node_count * chips_per_node,
    )
    nodes = tuple(
        tuple(range(n * chips_per_node, (n + 1) * chips_per_node)) for n in range(node_count)
    )
    rack_nodes = tuple(
        tuple(range(r * nodes_per_rack, (r + 1) * nodes_per_rack)) for r in range(racks)
    )
    links: list[Link] = []
    for members in nodes:
        links += complete(members, 1, "local")
    for members in rack_nodes:
        links += _rack_links(nodes, members, links_per_node_pair)
    first_port = (nodes_per_rack - 1) * links_per_node_pair
    links += _system_links(nodes, rack_nodes, links_per_rack_pair, first_port, rack_cables)
    return Topology(
        name=name,
        nodes=nodes,
        racks=rack_nodes,
        spare_nodes=tuple(
            node
            for members in rack_nodes
            for node in members[nodes_per_rack - spare_nodes_per_rack :]
        ),
        link_types={"local": local, "global": global_},
        links=tuple(links),
        port_count=port_count,
        kind="dragonfly",
    )


def _rack_links(
    nodes: tuple[tuple[int, ...], ...], members: tuple[int, ...], lanes: int
) -> Iterator[Link]:
    """Cables between every two nodes of a rack.

    Node i keeps port ``((j - i - 1) mod n) * lanes + lane`` for lane `lane` of its cable to node j,
    and port p sits on chip ``p mod chips``: consecutive lanes land on different chips.
    """
    size = len(members)
    for i, j in combinations(range(size), 2):
        for lane in range(lanes):
            port_i = ((j - i - 1) % size) * lanes + lane
            port_j = ((i - j - 1) % size) * lanes + lane
            chips_i, chips_j = nodes[members[i]], nodes[members[j]]
            yield from both_ways(
                chips_i[port_i % len(chips_i)], chips_j[port_j % len(chips_j)], lane, "global"
            )


def _system_links(
    nodes: tuple[tuple[int, ...], ...],
    racks: tuple[tuple[int, ...], ...],
    lanes: int,
    first_port: int,
    rack_cables: RackCables,
) -> Iterator[Link]:
    """Cables between every two racks, dealt over the nodes of a rack, then over their chips.

    `first_port` is the number of global ports each node already uses inside its rack.
    """
    count = len(racks)
    place = _places(count, rack_cables)
    for a, b in combinations(range(count), 2):
        for lane in range(lanes):
            ends = []
            for near, far in ((a, b), (b, a)):
                port = place[(far - near) % count] * lanes + lane
                members = racks[near]
                chips = nodes[members[port % len(members)]]
                ends.append(chips[(first_port + port // len(members)) % len(chips)])
            yield from both_ways(ends[0], ends[1], lane, "global")


def _places(count: int, rack_cables: RackCables) -> dict[int, int]:
    """The place in the deal of the cable to the rack `offset` further on, by offset."""
    offsets = list(range(1, count))
    if rack_cables == "scattered":
        offsets.sort(key=lambda offset: (offset**3 * _SCATTER % 2**32, offset))
    return {offset: place for place, offset in enumerate(offsets)}
