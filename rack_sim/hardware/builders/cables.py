"""Cables: what builders share: nodes of equal size, cables between all, how much is too much."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Annotated

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.keys import Count, doc
from rack_sim.foundation.work_limits import refuse_over
from rack_sim.hardware.link import Link, LinkType
from rack_sim.hardware.topology import Topology, both_ways

Cable = tuple[int, int, int]
"""Two chips and the number of parallel cables between them."""
ChipsPerNode = Annotated[
    Count | None, doc("Consecutive chips that make a node; left out, all of them.")
]


def check_size(name: str, cables: int, chips: int) -> None:
    """Refuses a system that would not fit into memory, before any of it is built."""
    refuse_over("chips", chips, f"topology {name!r}")
    refuse_over("cables", cables, f"topology {name!r}")


def complete(chips: Sequence[int], lanes: int, kind: str) -> Iterator[Link]:
    """`lanes` cables between every two of `chips`."""
    for a, b in combinations(chips, 2):
        for lane in range(lanes):
            yield from both_ways(a, b, lane, kind)


def in_nodes(
    *,
    name: str,
    kind: str,
    chips: int,
    chips_per_node: int | None,
    cables: Iterable[Cable],
    local: LinkType,
    global_: LinkType,
    port_count: int,
    sides: tuple[int, ...] = (),
    halves: str = "",
) -> Topology:
    """One rack of chips cut into nodes of equal size, blocks of consecutive numbers.

    Cables inside a node are local, the others global. All chips are one node where
    `chips_per_node` is None. Raises InputError where nodes would not be of equal size.
    """
    size = chips if chips_per_node is None else chips_per_node
    if size < 1 or chips % size:
        raise InputError(
            Problem(f"{chips} chips make no nodes of {size} chips each", field="chips_per_node")
        )
    nodes = tuple(tuple(range(first, first + size)) for first in range(0, chips, size))
    links: list[Link] = []
    for a, b, lanes in cables:
        where = "local" if a // size == b // size else "global"
        for lane in range(lanes):
            links += both_ways(a, b, lane, where)
    return Topology(
        name=name,
        nodes=nodes,
        racks=(tuple(range(len(nodes))),),
        spare_nodes=(),
        link_types={"local": local, "global": global_},
        links=tuple(links),
        port_count=port_count,
        kind=kind,
        sides=sides,
        halves=halves,
    )
