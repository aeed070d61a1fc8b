"""Message timing: how long a batch of flows takes to cross the network together.

Flows that share a link take turns on it. For one flow: the latency of each hop, one vector of
serialisation for each hop after the first (vectors are forwarded as they arrive), and the whole
load of its busiest link. The batch takes as long as its slowest flow. Where one link of each route
carries the most this is what a scheduler can reach; otherwise it is what it can promise.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rack_sim.foundation.units import work_to_ps
from rack_sim.hardware.routing import Flow, Hop, RoutedFlow, Router


@dataclass(frozen=True, slots=True)
class MessageTiming:
    """A batch of flows: its duration in two parts, its routes, and the vectors on every link."""

    link_latency_ps: int
    link_serialisation_ps: int
    flows: tuple[RoutedFlow, ...]
    vectors_by_hop: Mapping[Hop, int]

    @property
    def duration_ps(self) -> int:
        """From the first byte leaving to the last byte there."""
        return self.link_latency_ps + self.link_serialisation_ps


def time_flows(router: Router, flows: Sequence[Flow]) -> MessageTiming:
    """Routes `flows` and times them; flows from a chip to itself cost nothing."""
    routed = router.route_all(flows)
    load: Counter[Hop] = Counter()
    for item in routed:
        for hop in item.hops:
            load[hop] += router.link_type(hop).vectors(item.flow.message_bytes)
    slowest = (0, 0, 0)
    for item in routed:
        if not item.hops:
            continue
        types = [router.link_type(hop) for hop in item.hops]
        latency = sum(kind.latency_ps for kind in types)
        forwarding = sum(work_to_ps(kind.wire_bytes, kind.bytes_per_s) for kind in types[1:])
        busiest = max(
            work_to_ps(-(-load[hop] // router.lane_count(hop)) * kind.wire_bytes, kind.bytes_per_s)
            for hop, kind in zip(item.hops, types, strict=True)
        )
        slowest = max(slowest, (latency + forwarding + busiest, latency, forwarding + busiest))
    return MessageTiming(slowest[1], slowest[2], routed, dict(sorted(load.items())))
