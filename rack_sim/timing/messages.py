"""Message timing: how long a batch of flows takes to cross the network together.

Flows get routes that spread them, and are placed in time on the links they share (`schedule`).
A flow alone takes the latency of each hop, one vector of serialisation for each hop after the
first (vectors are forwarded as they arrive), and its own load on the slowest link.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rack_sim.foundation.brief import Brief
from rack_sim.hardware.routing import Flow, RoutedFlow, Routing
from rack_sim.timing.schedule import OnLinks, Schedule, schedule
from rack_sim.timing.tasks import TaskGraph


@dataclass(frozen=True, repr=False)
class MessageTiming(OnLinks, Brief):
    """A batch of flows: its routes and when each crosses its links."""

    flows: tuple[RoutedFlow, ...]
    placed: Schedule


def time_flows(routing: Routing, flows: Sequence[Flow], traffic: str = "message") -> MessageTiming:
    """Routes `flows` and places them; flows from a chip to itself cost nothing."""
    routed = routing.route_all(flows)
    graph = TaskGraph()
    for part in routed:
        if part.hops and part.flow.message_bytes:
            graph.message(routing, part, traffic)
    return MessageTiming(routed, schedule(graph.tasks))
