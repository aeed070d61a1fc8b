"""Topology: which chips there are, how they are grouped, and which links join them.

A topology is built once and never changes. Chips are numbered from 0 in rack order; a node is a
group of neighbouring chips, the first choice for a tensor-parallel group (each builder says which
chips make a node); a rack is a group of nodes. Spare nodes are wired and powered but hold no part
of a model. Switches, where there are any, are numbered after the chips and belong to no node.
"""

from __future__ import annotations  # networkx graphs take no parameters at run time

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import networkx as nx

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.link import Link, LinkType

_LEVERS = {
    "chip": "fewer links per node pair or rack pair, smaller nodes, or a chip with more ports",
    "switch": "fewer links per chip, more switches, or a switch with more ports",
}


@dataclass(frozen=True)
class Topology:
    """Chips, their nodes and racks, and every link (both directions of each cable).

    `kind` names the builder and `sides` are the chips along each dimension of a grid. `port_count`
    is the budget of every chip, `switch_port_count` that of every switch (None: not limited).
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
    switch_count: int = 0
    switch_port_count: int | None = None
    graph: nx.Graph[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        graph: nx.Graph[int] = nx.Graph()
        graph.add_nodes_from(range(self.chip_count + self.switch_count))
        graph.add_edges_from((link.source, link.target) for link in self.links)
        object.__setattr__(self, "graph", graph)
        problems = [*self._port_problems(), *self._connection_problems()]
        if problems:
            raise InputError(problems)

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

    def node_of_chip(self) -> tuple[int, ...]:
        """The node of every chip, indexed by chip."""
        owner = [0] * self.chip_count
        for number, chips in enumerate(self.nodes):
            for chip in chips:
                owner[chip] = number
        return tuple(owner)

    def rack_of_node(self) -> tuple[int, ...]:
        """The rack of every node, indexed by node."""
        owner = [0] * len(self.nodes)
        for number, members in enumerate(self.racks):
            for node in members:
                owner[node] = number
        return tuple(owner)

    def ports_used(self) -> tuple[int, ...]:
        """Ports in use on every chip: one for each outgoing link (a port carries both ways)."""
        return tuple(self._ports()[: self.chip_count])

    def switch_ports_used(self) -> tuple[int, ...]:
        """Ports in use on every switch, in order of their numbers."""
        return tuple(self._ports()[self.chip_count :])

    def _ports(self) -> list[int]:
        used = [0] * (self.chip_count + self.switch_count)
        for link in self.links:
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
        reached = nx.node_connected_component(self.graph, 0)
        lost = [chip for chip in range(self.chip_count) if chip not in reached]
        if lost:
            yield Problem(
                f"topology {self.name!r} is not connected: chip {lost[0]} and "
                f"{len(lost) - 1} others cannot be reached from chip 0",
                suggestion="add links between nodes or racks",
            )


def both_ways(source: int, target: int, lane: int, kind: str) -> tuple[Link, Link]:
    """The two directions of one cable."""
    return Link(source, target, lane, kind), Link(target, source, lane, kind)
