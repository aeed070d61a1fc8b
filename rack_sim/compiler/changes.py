"""Changes: the same plan on a machine that differs in one thing, compiled again.

Every stage keeps its blocks and its chips; routes, collectives and the whole schedule are found
anew. That answers "what would it do", not "what would one do with it": another cut may gain more.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from rack_sim.compiler.step import StepTiming, compile_step
from rack_sim.hardware.link import Link
from rack_sim.hardware.routing import routing_of
from rack_sim.hardware.system import System
from rack_sim.partition.plan import Plan
from rack_sim.timing.pipeline import PipelineTimer


@dataclass(frozen=True)
class MachineChange:
    """One thing done to the machine, and the step that it then takes."""

    title: str
    step: StepTiming


def changes(plan: Plan) -> Iterator[MachineChange]:
    """What one more link, twice the clock and half the hop latency would do, each alone."""
    for title, change in _CHANGES.items():
        changed = change(plan.system)
        if changed is not None:
            yield MachineChange(title, compile_step(on_system(plan, changed)))


def on_system(plan: Plan, system: System) -> Plan:
    """The plan on another machine of the same chips and nodes."""
    timer = PipelineTimer(
        system.chip,
        routing_of(system.topology),
        plan.demand.shape,
        residual_elements=plan.demand.residual_elements,
    )
    return replace(plan, system=system, timer=timer)


def with_one_more_link(system: System, kind: str) -> System | None:
    """One more cable beside every link of a kind, whatever the ports; None where there is none."""
    topology = system.topology
    lanes: dict[tuple[int, int], int] = {}
    for link in topology.links:
        if link.kind == kind:
            lanes[link.source, link.target] = max(
                lanes.get((link.source, link.target), 0), link.lane
            )
    if not lanes:
        return None
    more = tuple(Link(a, b, lane + 1, kind) for (a, b), lane in lanes.items())
    return replace(
        system,
        topology=replace(
            topology,
            links=topology.links + more,
            # What it would take; the ports of today's chip are no bound here.
            port_count=2 * topology.port_count,
            switch_port_count=None,
        ),
    )


def with_twice_the_clock(system: System) -> System:
    """Every unit of the chip twice as fast, its fixed latency half; links as they are."""
    chip = system.chip
    feed = chip.matrix.feed_bytes_per_s
    matrix = replace(
        chip.matrix,
        peak_flop_per_s={name: 2 * rate for name, rate in chip.matrix.peak_flop_per_s.items()},
        feed_bytes_per_s=2 * feed if feed else None,
    )
    return replace(
        system,
        chip=replace(
            chip,
            matrix=matrix,
            memory=tuple(
                replace(tier, bandwidth_bytes_per_s=2 * tier.bandwidth_bytes_per_s)
                for tier in chip.memory
            ),
            vector_flop_per_s=2 * chip.vector_flop_per_s,
            operator_fixed_latency_ps=chip.operator_fixed_latency_ps // 2,
        ),
    )


def with_half_the_hop_latency(system: System) -> System:
    """Every link with half its latency."""
    topology = system.topology
    types = {
        name: replace(kind, latency_ps=kind.latency_ps // 2)
        for name, kind in topology.link_types.items()
    }
    return replace(system, topology=replace(topology, link_types=types))


_CHANGES: dict[str, Callable[[System], System | None]] = {
    "one more link beside every one inside a node": lambda s: with_one_more_link(s, "local"),
    "one more link beside every one between nodes": lambda s: with_one_more_link(s, "global"),
    "twice the clock": with_twice_the_clock,
    "half the hop latency": with_half_the_hop_latency,
}
