"""Transfers: caches on their way from the replicas that prefill to those that decode.

A transfer holds every link of its path for as long as its bytes take on the slowest of them, first
come, first served: two that share a link follow each other, those that share none do not meet.
What was serialised arrives one latency later.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rack_sim.foundation.units import work_to_ps


@dataclass(frozen=True, slots=True)
class TransferPath:
    """From one replica to another: the links it takes, and what they carry.

    `links` are numbers that stand for links (of any kind) and are shared with other paths;
    ``wire_bytes / payload_bytes`` is what framing adds; `bytes_per_s` is that of the whole path.
    """

    links: tuple[int, ...]
    latency_ps: int
    bytes_per_s: int
    payload_bytes: int = 1
    wire_bytes: int = 1

    def serialisation_ps(self, message_bytes: int) -> int:
        """How long the links are held."""
        wire = -(-message_bytes // self.payload_bytes) * self.wire_bytes
        return work_to_ps(wire, self.bytes_per_s)


class Transfers:
    """The links between two pools, and until when each is taken."""

    def __init__(self, paths: Mapping[tuple[int, int], TransferPath]) -> None:
        self._paths = paths
        self._free_ps: dict[int, int] = {}

    def send(self, source: int, target: int, message_bytes: int, now_ps: int) -> int:
        """Takes the links of a path as soon as all are free; returns when the last byte arrives."""
        path = self._paths[source, target]
        free = self._free_ps
        start_ps = max((now_ps, *(free.get(link, 0) for link in path.links)))
        end_ps = start_ps + path.serialisation_ps(message_bytes)
        for link in path.links:
            free[link] = end_ps
        return end_ps + path.latency_ps
