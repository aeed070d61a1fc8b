"""Topology: which chips there are, how they are grouped, and which links join them.

A topology is built once and never changes. Chips are numbered from 0 in rack order; a node is a
group of neighbouring chips, the first choice for a tensor-parallel group (each builder says which
chips make a node); a rack is a group of nodes. Spare nodes are wired and powered but hold no part
of a model. Switches, where there are any, are numbered after the chips and belong to no node.
"""

from __future__ import annotations  # networkx graphs take no parameters at run time

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import networkx as nx

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.link import Link, LinkType

_LEVERS = {
    "chip": "fewer links per node pair or rack pair, smaller nodes, or a chip with more ports",
    "switch": "fewer links per chip, more switches, or a switch with more ports",
}

_NAMED_MAX = 12


@dataclass(frozen=True, repr=False)
class Topology(Brief):
    """Chips, their nodes and racks, and every link (both directions of each cable).

    `kind` names the builder and `sides` are the chips along each dimension of a grid. `halves` says
    which halves of a healthy machine have the least between them, where that is known (see
    `bisection`). `port_count` is the budget of every chip, `switch_port_count` that of every switch
    (None: not limited).

    `failed_links` are out of service: no part of `links` or of `graph`, though their cables still
    fill their ports. With `reroute` routes lead around them; without, routes stay those of the
    healthy machine and one that needs a failed link is refused (see `Routing`).

    Raises InputError where a chip or a switch needs more ports than it has, or where some chips
    cannot reach the others.
    """

    name: str
    nodes: tuple[tuple[int, ...], ...]
    racks: tuple[tuple[int, ...], ...]
    spare_nodes: tuple[int, ...]
    link_types: Mapping[str, LinkType]
    links: tuple[Link, ...]
    port_count: int
    kind: str = "custom"
    sides: tuple[int, ...] = ()
    halves: str = ""
    switch_count: int = 0
    switch_port_count: int | None = None
    failed_links: tuple[Link, ...] = ()
    reroute: bool = True
    graph: nx.Graph[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        graph: nx.Graph[int] = nx.Graph()
        graph.add_nodes_from(range(self.chip_count + self.switch_count))
        graph.add_edges_from((link.source, link.target) for link in self.links)
        object.__setattr__(self, "graph", graph)
        problems = [*self._port_problems(), *self._connection_problems()]
        if problems:
            raise InputError(problems)

    def __hash__(self) -> int:
        return hash((self.name, self.links, self.failed_links))

    @property
    def chip_count(self) -> int:
        """All chips, spare ones included."""
        return sum(len(node) for node in self.nodes)

    @property
    def active_nodes(self) -> tuple[int, ...]:
        """The nodes that can hold a model, in rack order."""
        spare = set(self.spare_nodes)
        return tuple(n for n in range(len(self.nodes)) if n not in spare)

    @property
    def active_chip_count(self) -> int:
        """Chips that can hold a model."""
        return sum(len(self.nodes[node]) for node in self.active_nodes)

    @property
    def rack_noun(self) -> str:
        """What a rack of this topology is: one that holds a single node is that node, a box."""
        return "rack" if any(len(rack) > 1 for rack in self.racks) else "node"

    def node_of_chip(self) -> tuple[int, ...]:
        """The node of every chip, indexed by chip."""
        owner = [0] * self.chip_count
        for number, chips in enumerate(self.nodes):
            for chip in chips:
                owner[chip] = number
        return tuple(owner)

    @cached_property
    def linked_nodes(self) -> frozenset[tuple[int, int]]:
        """Pairs of nodes that a link joins, switches left out."""
        owner, count = self.node_of_chip(), self.chip_count
        return frozenset(
            (owner[source], owner[target])
            for source, target, _, _ in self.links
            if source < count and target < count
        )

    def rack_of_node(self) -> tuple[int, ...]:
        """The rack of every node, indexed by node."""
        owner = [0] * len(self.nodes)
        for number, members in enumerate(self.racks):
            for node in members:
                owner[node] = number
        return tuple(owner)

    def ports_used(self) -> tuple[int, ...]:
        """Ports in use on every chip: one for each outgoing link (a port carries both ways).

        A cable that has failed is still plugged in.
        """
        return tuple(self._ports()[: self.chip_count])

    def switch_ports_used(self) -> tuple[int, ...]:
        """Ports in use on every switch, in order of their numbers."""
        return tuple(self._ports()[self.chip_count :])

    def _ports(self) -> list[int]:
        used = [0] * (self.chip_count + self.switch_count)
        for link in (*self.links, *self.failed_links):
            used[link.source] += 1
        return used

    def _port_problems(self) -> Iterable[Problem]:
        yield from self._overrun("chip", self.ports_used(), self.port_count, 0)
        if self.switch_port_count is not None:
            yield from self._overrun(
                "switch", self.switch_ports_used(), self.switch_port_count, self.chip_count
            )

    def _overrun(
        self, noun: str, used: tuple[int, ...], budget: int, first: int
    ) -> Iterable[Problem]:
        worst = max(range(len(used)), key=lambda place: (used[place], -place), default=0)
        if used and used[worst] > budget:
            over = sum(1 for count in used if count > budget)
            plural = "switches" if noun == "switch" else "chips"
            yield Problem(
                f"topology {self.name!r} needs {used[worst]} ports on {noun} {first + worst} "
                f"({over} {plural} in all need too many), but the {noun} has {budget}",
                suggestion=_LEVERS[noun],
            )

    def _connection_problems(self) -> Iterable[Problem]:
        if self.chip_count == 0:
            yield Problem(f"topology {self.name!r} has no chips")
            return
        chips = range(self.chip_count)
        reached = nx.node_connected_component(self.graph, 0)
        lost = [chip for chip in chips if chip not in reached]
        if lost and self.failed_links:
            # The smaller parts are what is cut off, even where chip 0 is in one of them.
            largest = max(
                nx.connected_components(self.graph),
                key=lambda part: (sum(vertex < self.chip_count for vertex in part), -min(part)),
            )
            lost = [chip for chip in chips if chip not in largest]
            yield Problem(
                f"topology {self.name!r} falls apart without its failed links: "
                f"{numbered('chip', lost)} cannot be reached from chip {min(largest)}",
                field="failed_links",
                suggestion="leave a cable to each chip in service",
            )
        elif lost:
            yield Problem(
                f"topology {self.name!r} is not connected: chip {lost[0]} and "
                f"{len(lost) - 1} others cannot be reached from chip 0",
                suggestion="add links between nodes or racks",
            )


def both_ways(source: int, target: int, lane: int, kind: str) -> tuple[Link, Link]:
    """The two directions of one cable."""
    return Link(source, target, lane, kind), Link(target, source, lane, kind)


def numbered(noun: str, numbers: Sequence[int]) -> str:
    """Some chips or switches in words, no more than 12 by number: ``chips 1, 2 and 3``."""
    named = [str(number) for number in numbers[:_NAMED_MAX]]
    if len(numbers) > _NAMED_MAX:
        named.append(f"{len(numbers) - _NAMED_MAX:,} more")
    if len(named) == 1:
        return f"{noun} {named[0]}"
    plural = "switches" if noun == "switch" else f"{noun}s"
    return f"{plural} {', '.join(named[:-1])} and {named[-1]}"
