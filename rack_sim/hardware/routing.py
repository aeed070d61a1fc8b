"""Routing: minimal, deterministic paths from chip to chip.

Routes are found when they are asked for; no table of all pairs exists. A pair's routes are those of
fewest links and, among these, of fewest links between nodes; its own is the one with the lowest
chip numbers, or the first in an order that is given (`Routing.ranked`). In a balanced batch of
flows each takes the one whose busiest link carries the least so far: flows between two nodes spread
over the parallel cables. Planes of switches are there to be used together: a flow over them is
striped, vector by vector.

Where links have failed, routes lead around them, or, on a machine that does not reroute, stay those
of the healthy machine: a program that was compiled before the failure.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.canonical import Arc, canonical_form
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.topology import Topology

Route = tuple[int, ...]
Hop = tuple[int, int]

_HOP = itemgetter(0, 1)  # of a link

# The choice among equal routes spreads load; beyond this many it spreads no better.
_ROUTES_COMPARED = 64


class Flow(NamedTuple):
    """`message_bytes` to carry from chip `source` to chip `target`."""

    source: int
    target: int
    message_bytes: int


class RoutedFlow(NamedTuple):
    """A flow and the chips it visits, both ends included."""

    flow: Flow
    route: Route

    @property
    def hops(self) -> list[Hop]:
        """The links crossed, as (source, target) pairs."""
        return hops(self.route)


class Routing:
    """Finds routes on one topology. Parallel cables between two chips count as one wide link.

    Without `Topology.reroute` failed links take part in the search, and `route_all` refuses a route
    over a hop that has no cable left.
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._kinds: dict[Hop, LinkType] = {}
        self._lanes: Counter[Hop] = Counter()
        self._between_nodes: set[Hop] = set()
        # Cables that routes are chosen by; more than there are where nothing is rerouted.
        self._routed_lanes: Counter[Hop] = Counter()
        self._near: dict[int, list[int]] = {vertex: [] for vertex in topology.graph}
        self._lanes.update(map(_HOP, topology.links))
        routed = topology.links if topology.reroute else topology.links + topology.failed_links
        self._routed_lanes.update(map(_HOP, routed))
        for source, target, _, kind in routed:
            hop = (source, target)
            if hop not in self._kinds:
                self._near[source].append(target)
            self._kinds[hop] = topology.link_types[kind]
            if kind == "global":
                self._between_nodes.add(hop)
        self._rank: Sequence[int] = range(topology.chip_count + topology.switch_count)
        self._found: dict[Hop, tuple[Route, ...]] = {}
        self._lanes_between: dict[Hop, list[int]] = {}
        self._has_gaps = any(not self._lanes[hop] for hop in self._kinds)
        self.node_of_chip = topology.node_of_chip()
        # What one message may take side by side: the cables of a hop, or, where messages are
        # striped over planes of switches, all cables of a chip.
        self.lane_count_max = max(self._lanes.values(), default=1)
        if topology.switch_count:
            by_chip: Counter[int] = Counter()
            for (source, _), lanes in self._lanes.items():
                by_chip[source] += lanes
            self.lane_count_max = max(by_chip[chip] for chip in range(topology.chip_count))

    def ranked(self, order: Iterable[int]) -> "Routing":
        """A routing that prefers, of equal routes, the one whose chips come first in `order`.

        Chips and switches that are not in `order` come after it, by number.
        """
        first = dict.fromkeys(order)
        left = (vertex for vertex in self._near if vertex not in first)
        rank = [0] * len(self._near)
        for place, vertex in enumerate((*first, *left)):
            rank[vertex] = place
        other = copy(self)
        other._rank, other._found, other._lanes_between = rank, {}, {}
        return other

    def canonical_vertices(self, group: Sequence[int], root: int | None = None) -> tuple[int, ...]:
        """The chips and switches that messages inside a group may pass, in canonical order.

        The order depends on links, nodes, the group and its `root`, not on numbers: two numberings
        of one machine give the same but for a symmetry of the machine.
        """
        vertices = self._passed(group)
        colours, arcs = self.graph_of(vertices, group, root)
        order = canonical_form(colours, arcs).order
        return tuple(vertices[spot] for spot in order if spot < len(vertices))

    def graph_of(
        self, vertices: Sequence[int], group: Sequence[int], root: int | None = None
    ) -> tuple[list[int], list[Arc]]:
        """Colours and arcs of a graph that says all of some chips and switches but their numbers.

        Vertex n is ``vertices[n]``; those that follow are the nodes of the group.
        """
        place = {vertex: number for number, vertex in enumerate(vertices)}
        hops_here = [(a, b) for a in vertices for b in self._near[a] if b in place]
        looks = {hop: (self._look(hop), self._look(hop[::-1])) for hop in hops_here}
        labels = {look: number for number, look in enumerate(sorted(set(looks.values())), 1)}
        arcs: list[Arc] = [(place[a], place[b], labels[looks[a, b]]) for a, b in hops_here]
        members = set(group)
        kinds = [
            (vertex >= self.topology.chip_count, vertex not in members, vertex != root, lanes)
            for vertex in vertices
            for lanes in [-sum(self._routed_lanes[vertex, other] for other in self._near[vertex])]
        ]
        ranks = {kind: rank for rank, kind in enumerate(sorted(set(kinds)))}
        colours = [ranks[kind] for kind in kinds]
        # A node is a vertex of its own, next to the members that are in it.
        for node in sorted({self.node_of_chip[chip] for chip in members}):
            for chip in sorted(members.intersection(self.topology.nodes[node])):
                arcs += [(len(colours), place[chip], 0), (place[chip], len(colours), 0)]
            colours.append(len(ranks))
        return colours, arcs

    def hops_between(self, group: Sequence[int]) -> list[Hop]:
        """The links that lead straight from one chip of a group to another, failed ones too."""
        members = set(group)
        return [(a, b) for a in group for b in self._near[a] if b in members]

    def has_link(self, hop: Hop) -> bool:
        """Whether a link in service leads straight from one end of `hop` to the other."""
        return self._lanes[hop] > 0

    def link_type(self, hop: Hop) -> LinkType:
        """The kind of the link that `hop` crosses."""
        return self._kinds[hop]

    def lane_count(self, hop: Hop) -> int:
        """How many parallel cables `hop` can use: those in service."""
        return self._lanes[hop]

    def minimal_routes(self, source: int, target: int) -> tuple[Route, ...]:
        """Routes of fewest links, of those with fewest global ones, in order.

        At most 64 of fewest links are looked at.
        """
        key = (source, target)
        if key not in self._found:
            self._found[key] = self._find(source, target)
        return self._found[key]

    def hop_count(self, source: int, target: int) -> int:
        """Links on a minimal route."""
        return len(self.minimal_routes(source, target)[0]) - 1

    def route_all(self, flows: Sequence[Flow]) -> tuple[RoutedFlow, ...]:
        """A route for every flow of a batch that crosses the network at the same time.

        Over planes of switches a flow becomes several, one for each plane that carries a part.
        Raises InputError where a route would cross a hop all of whose cables have failed.
        """
        return tuple(part for parts in self.parts_of(flows) for part in parts)

    def parts_of(
        self, flows: Sequence[Flow], *, balanced: bool = True
    ) -> list[tuple[RoutedFlow, ...]]:
        """The routed parts of every flow of a batch; `balanced` says whether each minds the others.

        There is one part, or several where a flow is striped over planes of switches.
        """
        load: dict[Hop, int] = {}
        routed: list[tuple[RoutedFlow, ...]] = []
        refused: dict[Problem, None] = {}  # in order, each once
        for flow in flows:
            parts = tuple(self._parts(flow, load))
            routed.append(parts)
            for part in parts if balanced or self._has_gaps else ():
                for hop in hops(part.route):
                    if balanced:
                        vectors = self._kinds[hop].vectors(part.flow.message_bytes)
                        load[hop] = load.get(hop, 0) + vectors
                    if not self._lanes[hop]:
                        refused[_crosses(part.flow, hop)] = None
        if refused:
            raise InputError(refused)
        return routed

    def _parts(self, flow: Flow, load: Mapping[Hop, int]) -> list[RoutedFlow]:
        routes = self.minimal_routes(flow.source, flow.target)
        if len(routes) == 1:
            return [RoutedFlow(flow, routes[0])]
        if self.topology.switch_count and flow.message_bytes:
            return self._striped(flow, routes, load)
        return [RoutedFlow(flow, _emptiest(routes, load))]

    def _striped(
        self, flow: Flow, routes: Sequence[Route], load: Mapping[Hop, int]
    ) -> list[RoutedFlow]:
        """The vectors of a flow dealt over `routes` by their lanes, the rest to the emptiest."""
        lanes = self._lanes_of(routes)
        lane_count = sum(lanes)
        payload = self._kinds[hops(routes[0])[0]].payload_bytes
        vectors = -(-flow.message_bytes // payload)
        shares = [vectors * width // lane_count for width in lanes]
        rest = vectors - sum(shares)
        if rest and load:
            fill = [
                max(load.get(hop, 0) / self._routed_lanes[hop] for hop in hops(route))
                for route in routes
            ]
            for place in sorted(range(len(routes)), key=fill.__getitem__)[:rest]:
                shares[place] += 1
        else:  # nothing is on its way yet: the first of equal ones
            for place in range(rest):
                shares[place] += 1
        parts = []
        left = flow.message_bytes
        for route, share in zip(routes, shares, strict=True):
            if share:
                size = min(left, share * payload)
                left -= size
                parts.append(RoutedFlow(Flow(flow.source, flow.target, size), route))
        return parts

    def _lanes_of(self, routes: Sequence[Route]) -> list[int]:
        """The cables of each route, which are those of its narrowest link."""
        key = (routes[0][0], routes[0][-1])
        if key not in self._lanes_between:
            self._lanes_between[key] = [
                min(self._routed_lanes[hop] for hop in hops(route)) for route in routes
            ]
        return self._lanes_between[key]

    def _find(self, source: int, target: int) -> tuple[Route, ...]:
        if (source, target) in self._kinds:
            return ((source, target),)
        routes = self._short(source, target) or self._far(source, target)
        fewest = min(map(self._global_hops, routes))
        return tuple(route for route in routes if self._global_hops(route) == fewest)

    def _short(self, source: int, target: int) -> list[Route]:
        """The routes of two links or, where there is none, of three; in order."""
        if source == target:
            return []
        last = set(self._near[target])
        near = sorted(self._near[source], key=self._rank.__getitem__)
        routes: list[Route] = [(source, chip, target) for chip in near if chip in last]
        if not routes:
            routes = [
                (source, chip, then, target)
                for chip in near
                for then in sorted(last.intersection(self._near[chip]), key=self._rank.__getitem__)
            ]
        return routes[:_ROUTES_COMPARED]

    def _far(self, source: int, target: int) -> list[Route]:
        """The routes of however many links, in order."""
        to_target = self._to_target(source, target)
        length = to_target[source]
        routes: list[Route] = []
        stack: list[Route] = [(source,)]
        while stack and len(routes) < _ROUTES_COMPARED:
            route = stack.pop()
            left = length - len(route) + 1
            if left == 0:
                routes.append(route)
                continue
            steps = (chip for chip in self._near[route[-1]] if to_target.get(chip) == left - 1)
            last_first = sorted(steps, key=self._rank.__getitem__, reverse=True)
            stack += [(*route, step) for step in last_first]
        return routes

    def _look(self, hop: Hop) -> tuple[int, ...]:
        """What a link is like, in numbers that do not depend on where it stands."""
        if hop not in self._kinds:
            return ()
        kind = self._kinds[hop]
        return (
            hop in self._between_nodes,
            kind.bytes_per_s,
            kind.latency_ps,
            kind.payload_bytes,
            kind.wire_bytes,
            self._routed_lanes[hop],
            self._lanes[hop],
        )

    def _passed(self, group: Sequence[int]) -> list[int]:
        """The vertices on a route of fewest links between two chips of a group; all, of half."""
        if 2 * len(group) > self.topology.chip_count:
            return list(self._near)
        far = np.full((len(group), len(self._near)), len(self._near), dtype=np.int32)
        for row, chip in enumerate(group):
            level, known, depth = {chip}, dict.fromkeys([chip], 0), 0
            missing = set(group) - level
            while level and missing:
                depth += 1
                level = self._beyond(level, known)
                known.update(dict.fromkeys(level, depth))
                missing -= level
            far[row, list(known)] = list(known.values())
        between = np.zeros(len(self._near), dtype=bool)
        for own in far:
            between |= (far + own == own[list(group), None]).any(axis=0)
        return [int(vertex) for vertex in np.flatnonzero(between)]

    def _global_hops(self, route: Route) -> int:
        """Links between nodes on a route: the scarce ones, so a detour over a third node loses."""
        return sum(hop in self._between_nodes for hop in hops(route))

    def _to_target(self, source: int, target: int) -> dict[int, int]:
        """Links to the target from every chip of a minimal route (and from others near it).

        Searched from both ends until they meet: six hops apart, that is three levels of each where
        a search from one end would visit most of a large system.
        """
        from_source, to_target = {source: 0}, {target: 0}
        level_near, level_far = {source}, {target}
        near, far = 0, 0
        while not (met := level_near & level_far):
            if len(level_near) <= len(level_far):
                level_near = self._beyond(level_near, from_source)
                near += 1
                from_source.update(dict.fromkeys(level_near, near))
            else:
                level_far = self._beyond(level_far, to_target)
                far += 1
                to_target.update(dict.fromkeys(level_far, far))
        for depth in range(near - 1, -1, -1):
            met = {chip for chip in self._beyond(met, {}) if from_source.get(chip) == depth}
            to_target.update(dict.fromkeys(met, near + far - depth))
        return to_target

    def _beyond(self, level: set[int], known: Mapping[int, int]) -> set[int]:
        """The neighbours of `level` that are not known."""
        return set().union(*(self._near[chip] for chip in level)) - known.keys()


@lru_cache(maxsize=8)
def routing_of(topology: Topology) -> Routing:
    """The routing on a topology: the one that is there where an equal topology was asked for.

    It finds the same as a new one, and knows what it has found.
    """
    return Routing(topology)


def hops(route: Route) -> list[Hop]:
    """The links of a route as (source, target) pairs."""
    return list(pairwise(route))


def _emptiest(routes: Sequence[Route], load: Mapping[Hop, int]) -> Route:
    """The route whose fullest link carries least; of equal ones the first.

    A route is left at its first link that is as full as the best route so far.
    """
    best, least = routes[0], max(load.get(hop, 0) for hop in pairwise(routes[0]))
    for route in routes[1:]:
        fullest = 0
        for hop in pairwise(route):
            fullest = max(fullest, load.get(hop, 0))
            if fullest >= least:
                break
        else:
            best, least = route, fullest
    return best


def _crosses(flow: Flow, hop: Hop) -> Problem:
    return Problem(
        f"route {flow.source} -> {flow.target} crosses the failed link {hop[0]} -> {hop[1]}",
        suggestion="`topology.reroute: true`, or another group",
    )
