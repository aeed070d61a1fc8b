"""Path diversity: how many ways there are from chip to chip.

Two numbers for a pair: its minimal routes (sequences of chips and switches; parallel cables are one
wide link), and its edge-disjoint paths of any length (each cable of its own: how many cables may
fail before the pair can be cut off, plus one). Over all pairs where chips are few, else over a
sample that is a formula: pair k of n leads from chip ``k * chips / n`` to one that is
``1 + (k * 7919) mod (chips - 1)`` further on, counted round.
"""

from dataclasses import dataclass

import networkx as nx
import numpy as np
from networkx.algorithms.flow import build_residual_network, edmonds_karp

from rack_sim.hardware.topology import Topology

_ALL_PAIRS_CHIPS_MAX = 16
_SAMPLED_PAIRS = 32
_STRIDE = 7919  # a prime: offsets of the sample do not repeat in systems of usual sizes


@dataclass(frozen=True, slots=True)
class PathDiversity:
    """Least and mean number of ways, over `pair_count` pairs (`all_pairs`: there are no more)."""

    pair_count: int
    all_pairs: bool
    minimal_routes_min: int
    minimal_routes_mean: float
    disjoint_paths_min: int
    disjoint_paths_mean: float


def path_diversity(topology: Topology) -> PathDiversity:
    """The ways between the chips of a topology; all zero where there is one chip."""
    pairs = compared_pairs(topology.chip_count)
    if not pairs:
        return PathDiversity(0, True, 0, 0.0, 0, 0.0)
    routes = _minimal_routes(topology, pairs)
    paths = _disjoint_paths(topology, pairs)
    return PathDiversity(
        pair_count=len(pairs),
        all_pairs=topology.chip_count <= _ALL_PAIRS_CHIPS_MAX,
        minimal_routes_min=int(min(routes)),
        minimal_routes_mean=sum(routes) / len(routes),
        disjoint_paths_min=min(paths),
        disjoint_paths_mean=sum(paths) / len(paths),
    )


def compared_pairs(chips: int) -> list[tuple[int, int]]:
    """The pairs of chips whose ways are counted."""
    if chips <= _ALL_PAIRS_CHIPS_MAX:
        return [(a, b) for a in range(chips) for b in range(a + 1, chips)]
    starts = [number * chips // _SAMPLED_PAIRS for number in range(_SAMPLED_PAIRS)]
    return [
        (start, (start + 1 + number * _STRIDE % (chips - 1)) % chips)
        for number, start in enumerate(starts)
    ]


def _minimal_routes(topology: Topology, pairs: list[tuple[int, int]]) -> list[float]:
    """Routes of fewest links for each pair; a column of counts for each source, level by level.

    Floats, because counts of large tori pass any integer of fixed width; exact up to 2**53.
    """
    edges = np.array(
        sorted({(link.target, link.source) for link in topology.links}), dtype=np.int64
    )
    ends, starts = np.unique(edges[:, 0], return_index=True)
    sources = sorted({source for source, _ in pairs})
    found = np.zeros((topology.chip_count + topology.switch_count, len(sources)))
    found[sources, range(len(sources))] = 1
    level = found.copy()
    while level.any():
        arrived = np.zeros_like(found)
        arrived[ends] = np.add.reduceat(level[edges[:, 1]], starts, axis=0)
        level = np.where(found == 0, arrived, 0)
        found += level
    column = {source: number for number, source in enumerate(sources)}
    return [float(found[target, column[source]]) for source, target in pairs]


def _disjoint_paths(topology: Topology, pairs: list[tuple[int, int]]) -> list[int]:
    graph: nx.Graph[int] = nx.Graph()
    for link in topology.links:
        if graph.has_edge(link.source, link.target):
            graph[link.source][link.target]["capacity"] += 1
        else:
            graph.add_edge(link.source, link.target, capacity=1)
    for _, _, cable in graph.edges(data=True):
        cable["capacity"] //= 2  # a cable is two links
    residual = build_residual_network(graph, "capacity")
    return [int(edmonds_karp(graph, a, b, residual=residual).graph["flow_value"]) for a, b in pairs]
