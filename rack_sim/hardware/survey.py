"""Survey: what is known of a topology before anything runs on it."""

from dataclasses import dataclass

from rack_sim.hardware.bisection import Cut, bisection
from rack_sim.hardware.distance import Distances, distances
from rack_sim.hardware.diversity import PathDiversity, path_diversity
from rack_sim.hardware.topology import Topology


@dataclass(frozen=True, slots=True)
class Survey:
    """Facts of a topology, spare chips included.

    `link_count` counts directions (a cable is two) in service, `failed_link_count` those that are
    not; distances, bisection and diversity are those of the links in service, whether or not routes
    lead around the others. Ports are those of chips, summed over the system, and `ports_used_max`
    those of the busiest chip against `port_count` of each.
    """

    name: str
    kind: str
    chip_count: int
    switch_count: int
    node_count: int
    rack_count: int
    link_count: int
    failed_link_count: int
    ports_used: int
    ports_there: int
    ports_used_max: int
    port_count: int
    distances: Distances
    bisection: Cut
    diversity: PathDiversity

    def values(self) -> dict[str, str | int | float | bool | list[int]]:
        """Every fact under a name with its unit, flat."""
        return {
            "system": self.name,
            "kind": self.kind,
            "chip_count": self.chip_count,
            "switch_count": self.switch_count,
            "node_count": self.node_count,
            "rack_count": self.rack_count,
            "link_count": self.link_count,
            "failed_link_count": self.failed_link_count,
            "ports_used": self.ports_used,
            "ports_there": self.ports_there,
            "ports_used_per_chip_max": self.ports_used_max,
            "ports_per_chip": self.port_count,
            "diameter_hops": self.distances.diameter_hops,
            "average_hops": self.distances.average_hops,
            "pairs_by_hops": list(self.distances.pairs_by_hops),
            "worst_latency_ps": self.distances.worst_latency_ps,
            "bisection_bytes_per_s": self.bisection.bytes_per_s,
            "bisection_halves": self.bisection.halves,
            "bisection_is_exact": self.bisection.exact,
            "compared_pair_count": self.diversity.pair_count,
            "compared_all_pairs": self.diversity.all_pairs,
            "minimal_routes_min": self.diversity.minimal_routes_min,
            "minimal_routes_mean": self.diversity.minimal_routes_mean,
            "disjoint_paths_min": self.diversity.disjoint_paths_min,
            "disjoint_paths_mean": self.diversity.disjoint_paths_mean,
        }


def survey(topology: Topology) -> Survey:
    """Counts, measures and bounds of a topology."""
    used = topology.ports_used()
    return Survey(
        name=topology.name,
        kind=topology.kind,
        chip_count=topology.chip_count,
        switch_count=topology.switch_count,
        node_count=len(topology.nodes),
        rack_count=len(topology.racks),
        link_count=len(topology.links),
        failed_link_count=len(topology.failed_links),
        ports_used=sum(used),
        ports_there=topology.port_count * topology.chip_count,
        ports_used_max=max(used),
        port_count=topology.port_count,
        distances=distances(topology),
        bisection=bisection(topology),
        diversity=path_diversity(topology),
    )
