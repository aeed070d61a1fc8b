"""Bisection: the least bandwidth between two halves of the chips, one direction.

Halves differ by at most one chip. Links of each half to a switch count as far as the switch can
pass them on: the lesser of what reaches it from the two sides.

Where the machine is regular the best halves are known: any for fully connected chips and for
switches that see all chips, half the circle of a ring, and for grids the chips in the order of
their coordinates, for the best order of the sides (rows and rings with the longest side first:
Azizoglu and Egecioglu 2004; cliques with the shortest first: Lindsey 1964). Elsewhere the least cut
is not known and what is given is an upper bound: the chips in number order (nodes and racks stay
together), improved by exchanging chips (Kernighan-Lin) where the system is small enough. A machine
with failed links is regular no more: what its cables in service carry is an upper bound.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import networkx as nx
import numpy as np

from rack_sim.hardware.topology import Topology

_EXCHANGE_CHIPS_MAX = 1_024
_KNOWN = {
    "fully_connected": "any halves",
    "full_mesh": "any halves",
    "switched": "any halves",
    "ring": "half the circle",
    "mesh": "across the grid",
    "torus": "across the grid",
    "hyperx": "across the grid",
}


@dataclass(frozen=True, slots=True)
class Cut:
    """Two halves and what crosses between them, one direction.

    `exact` says that no halves have less; otherwise the cut is an upper bound of the bisection.
    """

    bytes_per_s: int
    halves: str
    exact: bool


def bisection(topology: Topology) -> Cut:
    """The least cut that is known between two halves of the chips."""
    known = _KNOWN.get(topology.kind)
    if topology.failed_links and not topology.sides:
        known = None  # halves that are as good as any other no longer are
    alike = len({topology.link_types[kind].bytes_per_s for kind in _kinds(topology)}) < 2
    best = min(cut_bytes_per_s(topology, half) for half in _halves(topology))
    if known and alike and not topology.failed_links:
        return Cut(best, known, exact=True)
    if topology.switch_count == 0 and 2 < topology.chip_count <= _EXCHANGE_CHIPS_MAX:
        better = cut_bytes_per_s(topology, _exchanged(topology))
        if better < best:
            return Cut(better, "Kernighan-Lin", exact=False)
    return Cut(best, known or "number order", exact=False)


def cut_bytes_per_s(topology: Topology, left: set[int]) -> int:
    """What `left` can send to the other chips."""
    chips = topology.chip_count
    crossing = 0
    at_switch = np.zeros((topology.switch_count, 2), dtype=np.int64)
    for link in topology.links:
        rate = topology.link_types[link.kind].bytes_per_s
        if link.target >= chips:
            at_switch[link.target - chips, int(link.source in left)] += rate
        elif link.source < chips and link.source in left and link.target not in left:
            crossing += rate
    return crossing + int(at_switch.min(axis=1).sum())


def _kinds(topology: Topology) -> set[str]:
    return {link.kind for link in topology.links}


def _halves(topology: Topology) -> Iterator[set[int]]:
    """Candidates for the half that is not larger."""
    chips = topology.chip_count
    numbers = np.arange(chips)
    if not topology.sides:
        yield set(range(chips // 2))
        return
    grid = numbers.reshape(topology.sides)
    for order in permutations(range(len(topology.sides))):
        yield {int(chip) for chip in grid.transpose(order).ravel()[: chips // 2]}


def _exchanged(topology: Topology) -> set[int]:
    """The halves in number order, improved by exchanging chips as long as that helps."""
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(topology.chip_count))
    for link in topology.links:
        rate = topology.link_types[link.kind].bytes_per_s
        if graph.has_edge(link.source, link.target):
            graph[link.source][link.target]["weight"] += rate
        else:
            graph.add_edge(link.source, link.target, weight=rate)
    half = topology.chip_count // 2
    start = (set(range(half)), set(range(half, topology.chip_count)))
    parts = nx.community.kernighan_lin_bisection(graph, partition=start)
    return min((set(part) for part in parts), key=lambda part: (len(part), min(part)))
