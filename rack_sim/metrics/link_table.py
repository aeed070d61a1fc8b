"""Link table: the lines of links.csv, one per cable and direction.

A large system has thousands of links and few kinds of load on them, so what follows the ends of a
link is written once for all cables that carry the same.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter

from rack_sim.compiler.machine import Machine
from rack_sim.compiler.traffic import TRAFFICS, LinkLoad
from rack_sim.engine.fleet import FleetPlan, transfers_on_links
from rack_sim.engine.serving import ReplayTotals
from rack_sim.foundation.units import format_ms
from rack_sim.metrics.cells import share

_HOP = itemgetter(0, 1)


def link_lines(
    machine: Machine, totals: ReplayTotals, fleet: FleetPlan | None = None
) -> Iterator[str]:
    """One line of text per link of the first system, idle ones included, as its first replica uses
    them: the cells, with commas between.

    Parallel cables share their vectors. Caches that went between replicas over the system's links
    are counted on all of them.
    """
    slots = machine.slots
    if slots is None:
        yield from _lines_of_sums(machine, totals, fleet)
    else:
        busy_steps = totals.first_busy_ps // slots.interval_ps
        yield from _lines_of_steps(machine, busy_steps, totals.end_ps)


def _lines_of_sums(
    machine: Machine, totals: ReplayTotals, fleet: FleetPlan | None
) -> Iterator[str]:
    """Where iterations differ: what all of them carried."""
    plan = machine.plan
    vectors, held = machine.link_use(totals.first_busy_ps, totals.first_batches)
    moved, moved_ps = transfers_on_links(fleet, totals.transfers) if fleet else ({}, {})
    by_traffic = "," * (2 * len(TRAFFICS))
    for link in sorted(plan.system.topology.links):
        hop = (link.source, link.target)
        lanes = plan.routing.lane_count(hop)
        payload = plan.routing.link_type(hop).payload_bytes
        carried_bytes = vectors.get(hop, 0) * payload // lanes + moved.get(hop, 0) // lanes
        busy_ps = held.get(hop, 0) + moved_ps.get(hop, 0)
        yield (
            f"{link.source},{link.target},{link.lane},{link.kind},,{carried_bytes},"
            f"{format_ms(busy_ps)},{share(busy_ps, totals.end_ps)}{by_traffic}"
        )


def _lines_of_steps(machine: Machine, busy_steps: int, end_ps: int) -> Iterator[str]:
    """Where a program is compiled: what each of its steps carries, by traffic, and all of them."""
    routing, loads = machine.plan.routing, machine.link_loads
    idle: Mapping[str, LinkLoad] = {}
    # Links that carry the same share their loads.
    known: dict[tuple[int, int, int, int], str] = {}
    # Parallel cables of a pair of chips stand behind one another.
    for hop, cables in groupby(sorted(machine.plan.system.topology.links), key=_HOP):
        kinds, lanes = loads.get(hop, idle), routing.lane_count(hop)
        payload_bytes = routing.link_type(hop).payload_bytes
        for place, (source, target, lane, kind) in enumerate(cables):
            alike = (lanes, place, payload_bytes, id(kinds))
            if alike not in known:
                known[alike] = ",".join(
                    _step_cells(lanes, place, payload_bytes, kinds, busy_steps, end_ps)
                )
            yield f"{source},{target},{lane},{kind},{known[alike]}"


def _step_cells(
    lanes: int,
    place: int,
    payload_bytes: int,
    kinds: Mapping[str, LinkLoad],
    busy_steps: int,
    end_ps: int,
) -> Iterator[str]:
    """What cable `place` of `lanes` carries in all steps, and in one of each kind of traffic.

    Vectors are dealt over parallel cables kind after kind, so that they add up to the cable's own;
    a message holds all of them.
    """
    own = _dealt(sum(load.vectors for load in kinds.values()), lanes, place)
    busy_ps = sum(load.held_ps for load in kinds.values()) * busy_steps
    yield from (str(own), str(own * payload_bytes * busy_steps))
    yield from (format_ms(busy_ps), share(busy_ps, end_ps))
    before = 0
    for traffic in TRAFFICS:
        load = kinds.get(traffic, LinkLoad(0, 0))
        until = before + load.vectors
        yield str(_dealt(until, lanes, place) - _dealt(before, lanes, place))
        yield format_ms(load.held_ps)
        before = until


def _dealt(vectors: int, lanes: int, place: int) -> int:
    """How many of `vectors`, dealt one by one over parallel cables, cable `place` gets."""
    return vectors // lanes + (1 if place < vectors % lanes else 0)
