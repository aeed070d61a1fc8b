"""Topology schema: how a file says in which way chips are joined, one model for each builder."""

from typing import Annotated, Literal

from pydantic import Field

from rack_sim.scenario.fields import Model, Sourced, SourcedCount, SourcedWhole, Whole

Sides = Annotated[list[SourcedCount], Field(min_length=2, max_length=3)]


class ShapeSchema(Model):
    """What every kind of topology may say besides its own numbers."""

    failed_links: list[Annotated[list[Whole], Field(min_length=2, max_length=3)]] | None = None
    """``[[0, 1], [3, 4, 1]]``: two chips whose cables are out of service, how many if not all."""
    reroute: bool | None = None
    """Routes lead around failed links (left out), or, if false, one that needs them is refused."""


class FullyConnectedSchema(ShapeSchema):
    """One node: a link between every two chips."""

    kind: Literal["fully_connected"]
    chips: SourcedCount
    """Chips of the node."""


class FullMeshSchema(ShapeSchema):
    """One node: so many links between every two chips, no switch (xGMI-class)."""

    kind: Literal["full_mesh"]
    chips: SourcedCount
    """Chips of the node."""
    links_per_pair: SourcedCount
    """Cables between every two chips."""


class SwitchedSchema(ShapeSchema):
    """One node: chips on planes of switches (NVLink-class); switch s has number chips + s."""

    kind: Literal["switched"]
    chips: SourcedCount
    """Chips of the node."""
    switches: SourcedCount
    """Switches; each reaches every chip."""
    links_per_chip: SourcedCount
    """Links of a chip, dealt over the switches."""
    ports_per_switch: SourcedCount | None = None
    """Ports that a switch has; left out, as many as it needs."""


class RingSchema(ShapeSchema):
    """Chips in a circle."""

    kind: Literal["ring"]
    chips: SourcedCount
    """Chips of the ring."""
    links_per_pair: SourcedCount | None = None
    """Cables between neighbours; left out, one."""
    chips_per_node: SourcedCount | None = None
    """Consecutive chips that make a node; left out, all of them."""


class MeshSchema(ShapeSchema):
    """A grid of two or three dimensions, each chip linked to its neighbours."""

    kind: Literal["mesh"]
    sides: Sides
    """Chips along each dimension; the last is numbered fastest."""
    links_per_pair: SourcedCount | None = None
    """Cables between neighbours; left out, one."""
    chips_per_node: SourcedCount | None = None
    """Consecutive chips that make a node; left out, all of them."""


class TorusSchema(ShapeSchema):
    """A grid whose lines are closed to rings; a side of 2 has one cable, not two."""

    kind: Literal["torus"]
    sides: Sides
    """Chips along each dimension; the last is numbered fastest."""
    links_per_pair: SourcedCount | None = None
    """Cables between neighbours; left out, one."""
    chips_per_node: SourcedCount | None = None
    """Consecutive chips that make a node; left out, all of them."""


class HyperxSchema(ShapeSchema):
    """A grid whose lines are fully connected: one hop for each dimension."""

    kind: Literal["hyperx"]
    sides: Sides
    """Chips along each dimension; the last is numbered fastest."""
    links_per_pair: SourcedCount | None = None
    """Cables between two chips of a line; left out, one."""
    chips_per_node: SourcedCount | None = None
    """Consecutive chips that make a node; left out, all of them."""


class DragonflySchema(ShapeSchema):
    """Racks of fully connected nodes; nodes and racks fully connected in turn."""

    kind: Literal["dragonfly"]
    racks: SourcedCount | None = None
    """Racks of the system; left out, one: nodes without racks, each linked to each other."""
    nodes_per_rack: SourcedCount
    """Nodes of a rack, spare ones included."""
    chips_per_node: SourcedCount
    """Chips of a node."""
    links_per_node_pair: SourcedWhole
    """Cables between every two nodes of a rack."""
    links_per_rack_pair: SourcedWhole | None = None
    """Cables between every two racks; left out, none."""
    spare_nodes_per_rack: SourcedWhole | None = None
    """Nodes of a rack that hold no model and stand by; left out, none."""
    rack_cables: Literal["dealt", "scattered"] | None = None
    """Order in which ports are dealt to racks: in steps (left out), or without pattern."""


class SourcedCables(Sourced):
    """Cables one by one, with the source of all of them."""

    value: list[Annotated[list[Whole], Field(min_length=2, max_length=3)]]


class EdgeListSchema(ShapeSchema):
    """Cables named one by one."""

    kind: Literal["edge_list"]
    chips: SourcedCount
    """Chips of the system, numbered from 0."""
    cables: SourcedCables
    """``[[0, 1], [1, 2, 4]]``: two chips, and how many cables join them if more than one."""
    chips_per_node: SourcedCount | None = None
    """Consecutive chips that make a node; left out, all of them."""


TopologySchema = Annotated[
    FullyConnectedSchema
    | FullMeshSchema
    | SwitchedSchema
    | RingSchema
    | MeshSchema
    | TorusSchema
    | HyperxSchema
    | DragonflySchema
    | EdgeListSchema,
    Field(discriminator="kind"),
]
