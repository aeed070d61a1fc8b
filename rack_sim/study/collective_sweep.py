"""Collective sweep: one operation on one group of chips, timed over some sizes."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from rack_sim.foundation.units import PS_PER_NS
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Hop, routing_of
from rack_sim.hardware.system import System, without_framing
from rack_sim.timing.algorithms import Algorithm, Operation
from rack_sim.timing.collectives import CollectiveTiming, time_collective


class BusyLink(NamedTuple):
    """The link that is held longest; `share` is of the whole time."""

    source: int
    target: int
    kind: str
    busy_ps: int
    share: float


class SizeTiming(NamedTuple):
    """What is kept of the timing of one size: its schedule may be large."""

    size_bytes: int
    algorithm: str
    step_count: int
    time_ps: int
    algorithm_bytes_per_s: float
    bus_bytes_per_s: float
    link_latency_ps: int
    link_serialisation_ps: int
    binding_link: BusyLink
    not_taken: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """As plain values, the time in nanoseconds behind that in picoseconds.

        Nanoseconds are the shortest decimal of the quotient: exact below 2**53 ps, that is two
        hours and a half.
        """
        values: dict[str, Any] = {}
        for name, value in self._asdict().items():
            values[name] = value
            if name == "time_ps":
                values["time_ns"] = self.time_ps / PS_PER_NS
        return values | {
            "binding_link": self.binding_link._asdict(),
            "not_taken": dict(self.not_taken),
        }


class CollectiveQuestion(NamedTuple):
    """What is timed, on two or more chips; without an `algorithm` the fastest is looked for."""

    system: System
    group: tuple[int, ...]
    operation: Operation
    algorithm: Algorithm | None
    sizes_bytes: tuple[int, ...]
    framing: bool = True


@dataclass(frozen=True)
class CollectiveSweep:
    """What was asked and what came out.

    `links` has the kinds of links as they were timed, `nodes` those in which the group sits.
    """

    asked: CollectiveQuestion
    nodes: tuple[int, ...]
    links: Mapping[str, LinkType]
    rows: tuple[SizeTiming, ...]

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        links = {kind: asdict(found) for kind, found in self.links.items()}
        for values in links.values():
            del values["name"]
        return {
            "system": self.asked.system.name,
            "operation": self.asked.operation,
            "algorithm": self.asked.algorithm or "auto",
            "group": list(self.asked.group),
            "nodes": list(self.nodes),
            "framing": self.asked.framing,
            "links": links,
            "rows": [row.as_dict() for row in self.rows],
        }


def time_sizes(
    asked: CollectiveQuestion, on_size: Callable[[int, int], None] = lambda _done, _size_bytes: None
) -> CollectiveSweep:
    """Times every size; `on_size` hears how many are done and what is next.

    Raises InputError where the algorithm does not fit the group, has too many transfers, or a
    route crosses a failed link.
    """
    topology = (asked.system if asked.framing else without_framing(asked.system)).topology
    routing = routing_of(topology)
    kind_of = {(link.source, link.target): link.kind for link in topology.links}
    rows: list[SizeTiming] = []
    for number, size_bytes in enumerate(asked.sizes_bytes):
        on_size(number, size_bytes)
        timing = time_collective(
            routing,
            asked.group,
            operation=asked.operation,
            size_bytes=size_bytes,
            algorithm=asked.algorithm,
        )
        rows.append(_kept(timing, kind_of))
    return CollectiveSweep(
        asked,
        tuple(sorted({routing.node_of_chip[chip] for chip in asked.group})),
        {kind: topology.link_types[kind] for kind in dict.fromkeys(kind_of.values())},
        tuple(rows),
    )


def _kept(timing: CollectiveTiming, kind_of: Mapping[Hop, str]) -> SizeTiming:
    hop, busy_ps = timing.busiest_hop or ((0, 0), 0)  # of two chips or more there is one
    return SizeTiming(
        timing.size_bytes,
        str(timing.algorithm),
        timing.step_count,
        timing.duration_ps,
        timing.algorithm_bytes_per_s,
        timing.bus_bytes_per_s,
        timing.link_latency_ps,
        timing.link_serialisation_ps,
        BusyLink(*hop, kind_of[hop], busy_ps, busy_ps / timing.duration_ps),
        timing.not_taken,
    )
