"""Mesh box: chips with a cable between every two. All of them are one node."""

from typing import Annotated

from rack_sim.foundation.keys import Count, doc
from rack_sim.hardware.builders.builder import SIZE
from rack_sim.hardware.builders.cables import check_size, complete
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.topology import Topology


def fully_connected(
    *,
    name: str,
    chips: Annotated[Count, SIZE, doc("Chips of the node.")],
    local: LinkType,
    port_count: int,
) -> Topology:
    """One node: a link between every two chips."""
    return _box(name, "fully_connected", chips, 1, local, port_count)


def full_mesh(
    *,
    name: str,
    chips: Annotated[Count, SIZE, doc("Chips of the node.")],
    links_per_pair: Annotated[Count, doc("Cables between every two chips.")],
    local: LinkType,
    port_count: int,
) -> Topology:
    """One node: so many links between every two chips, no switch (xGMI-class)."""
    return _box(name, "full_mesh", chips, links_per_pair, local, port_count)


def _box(
    name: str, kind: str, chips: int, lanes: int, local: LinkType, port_count: int
) -> Topology:
    check_size(name, chips * (chips - 1) // 2 * lanes, chips)
    members = tuple(range(chips))
    return Topology(
        name=name,
        nodes=(members,),
        racks=((0,),),
        spare_nodes=(),
        link_types={"local": local},
        links=tuple(complete(members, lanes, "local")),
        port_count=port_count,
        kind=kind,
        halves="any halves",
    )
