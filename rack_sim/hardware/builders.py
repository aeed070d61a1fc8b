"""Topology builders: a few numbers in, every link out.

`fully_connected` is one node. `dragonfly` is racks of nodes: chips of a node are fully connected,
nodes of a rack are fully connected by `links_per_node_pair` cables, racks are fully connected by
`links_per_rack_pair` cables. Cables are dealt out to ports round robin, so that every chip carries
its share; the deal is a formula, so two builds are equal.
"""

from collections.abc import Iterator
from itertools import combinations

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.link import Link, LinkType
from rack_sim.hardware.topology import Topology, both_ways


def fully_connected(*, name: str, chips: int, local: LinkType, port_count: int) -> Topology:
    """One node: a cable between every two chips."""
    members = tuple(range(chips))
    return Topology(
        name=name,
        nodes=(members,),
        racks=((0,),),
        spare_nodes=(),
        link_types={"local": local},
        links=tuple(_node_links(members)),
        port_count=port_count,
    )


def dragonfly(
    *,
    name: str,
    racks: int,
    nodes_per_rack: int,
    chips_per_node: int,
    links_per_node_pair: int,
    links_per_rack_pair: int,
    spare_nodes_per_rack: int,
    local: LinkType,
    port_count: int,
    global_: LinkType,
) -> Topology:
    """Racks of fully connected nodes; the last `spare_nodes_per_rack` nodes of each are spares.

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
    nodes = tuple(
        tuple(range(n * chips_per_node, (n + 1) * chips_per_node)) for n in range(node_count)
    )
    rack_nodes = tuple(
        tuple(range(r * nodes_per_rack, (r + 1) * nodes_per_rack)) for r in range(racks)
    )
    links: list[Link] = []
    for members in nodes:
        links += _node_links(members)
    for members in rack_nodes:
        links += _rack_links(nodes, members, links_per_node_pair)
    first_port = (nodes_per_rack - 1) * links_per_node_pair
    links += _system_links(nodes, rack_nodes, links_per_rack_pair, first_port)
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
    )


def _node_links(chips: tuple[int, ...]) -> Iterator[Link]:
    for a, b in combinations(chips, 2):
        yield from both_ways(a, b, 0, "local")


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
) -> Iterator[Link]:
    """Cables between every two racks, dealt over the nodes of a rack, then over their chips.

    `first_port` is the number of global ports each node already uses inside its rack.
    """
    count = len(racks)
    for a, b in combinations(range(count), 2):
        for lane in range(lanes):
            ends = []
            for near, far in ((a, b), (b, a)):
                port = ((far - near - 1) % count) * lanes + lane
                members = racks[near]
                chips = nodes[members[port % len(members)]]
                ends.append(chips[(first_port + port // len(members)) % len(chips)])
            yield from both_ways(ends[0], ends[1], lane, "global")
