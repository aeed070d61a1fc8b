"""System: a topology full of chips of one kind, and what surrounds them."""

from dataclasses import dataclass, replace

from rack_sim.foundation.brief import Brief
from rack_sim.hardware.chip import Chip
from rack_sim.hardware.topology import Topology


@dataclass(frozen=True, repr=False)
class System(Brief):
    """Everything that is bought: chips, links, racks.

    `host_watts_per_node` is what a node draws besides its chips, `network_watts_per_node` its share
    of the switches. `price_usd` is the price of everything together where a source gives one.
    """

    name: str
    chip: Chip
    topology: Topology
    host_watts_per_node: float
    network_watts_per_node: float = 0.0
    price_usd: float | None = None

    @property
    def active_chip_count(self) -> int:
        """Chips that can hold a model."""
        return self.topology.active_chip_count

    @property
    def spare_chip_count(self) -> int:
        """Chips that are wired but hold no model."""
        return self.topology.chip_count - self.topology.active_chip_count


def without_framing(system: System) -> System:
    """`system` with links that carry bytes one by one at their plain rate.

    For comparison with programs that know no framing: a message is neither rounded up to whole
    vectors nor made longer on the wire.
    """
    topology = system.topology
    plain = {
        name: replace(kind, payload_bytes=1, wire_bytes=1)
        for name, kind in topology.link_types.items()
    }
    return replace(system, topology=replace(topology, link_types=plain))
