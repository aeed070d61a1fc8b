"""Link: one direction between two chips, and how long bytes take to cross it."""

from dataclasses import dataclass
from typing import NamedTuple

from rack_sim.foundation.units import work_to_ps


@dataclass(frozen=True, slots=True)
class LinkType:
    """What every link of one kind can do.

    Bytes travel in vectors of `payload_bytes` that occupy `wire_bytes` of the wire; the rate
    counts wire bytes, per direction. `latency_ps` is one hop, memory to memory, without the
    serialisation.
    """

    name: str
    bytes_per_s: int
    latency_ps: int
    payload_bytes: int
    wire_bytes: int

    def vectors(self, message_bytes: int) -> int:
        """How many vectors carry `message_bytes`."""
        return -(-message_bytes // self.payload_bytes)

    def serialisation_ps(self, message_bytes: int) -> int:
        """Time that `message_bytes` occupy the wire: ceil(bytes / payload) x wire / rate."""
        return work_to_ps(self.vectors(message_bytes) * self.wire_bytes, self.bytes_per_s)


class Link(NamedTuple):
    """One direction of one cable: from chip `source` to `target`, number `lane` of the pair."""

    source: int
    target: int
    lane: int
    kind: str
