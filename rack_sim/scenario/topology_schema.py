"""Topology schema: how a file says in which way chips are joined, a model for each builder."""

from typing import Annotated

from pydantic import Field

from rack_sim.foundation.keys import NonNegativeInt
from rack_sim.hardware.builders import BUILDERS
from rack_sim.scenario.fields import Model
from rack_sim.scenario.registered import ByKind, schema_of


class ShapeSchema(Model):
    """What every kind of topology may say besides its own numbers."""

    failed_links: (
        list[Annotated[list[NonNegativeInt], Field(min_length=2, max_length=3)]] | None
    ) = None
    """``[[0, 1], [3, 4, 1]]``: two chips whose cables are out of service, how many if not all."""
    reroute: bool | None = None
    """Routes lead around failed links (left out), or, if false, one that needs them is refused."""


def topology_models() -> dict[str, type[ShapeSchema]]:
    """The schema of every topology builder there is, by its kind."""
    return {
        kind: schema_of(kind, builder.build, ShapeSchema, sourced=True)
        for kind, builder in BUILDERS.items()
    }


TopologySchema = Annotated[ShapeSchema, ByKind(topology_models)]
