"""Footprint: what replicas take of racks, as manifest.json keeps it for planners."""

from collections.abc import Mapping
from typing import Any

from rack_sim.hardware.topology import Topology
from rack_sim.metrics.cost import footprint_on
from rack_sim.partition.placement import groups
from rack_sim.partition.plan import Plan


def footprint_entry(plan: Plan, replica_count: int) -> dict[str, Any]:
    """The entry of a plan: see `footprint_entry_on`."""
    topology = plan.system.topology
    return footprint_entry_on(topology, plan.tensor_parallel, plan.stage_count, replica_count)


def rack_noun_of(entry: Mapping[str, Any] | None) -> str:
    """What the racks of an entry are: those that hold a single node each are nodes, or boxes."""
    return "node" if entry and entry.get("nodes_per_rack") == 1 else "rack"


def footprint_entry_on(
    topology: Topology, tensor_parallel: int, stage_count: int, replica_count: int
) -> dict[str, Any]:
    """A replica's chips, a system's size, and how its racks fill.

    An entry of `racks` says from how many replicas on (up to the next entry) which racks of a
    system are in use, and what stands in them. Replicas fill their nodes in order, so those that
    n of them hold are n x `chips_per_replica` over `usable_chips_per_node`, rounded up: a group
    that fits a node never leaves it, and the chips of a node that are then left stay unused.
    """
    per_node = max(map(len, topology.nodes))
    node_of, rack_of = topology.node_of_chip(), topology.rack_of_node()
    placed = groups(topology, tensor_parallel)
    room = len(placed) // stage_count
    whole = tensor_parallel <= per_node
    taken: set[int] = set()
    steps = []
    for number in range(1, room + 1):
        own = placed[(number - 1) * stage_count : number * stage_count]
        racks = {rack_of[node_of[chip]] for group in own for chip in group}
        if racks <= taken:
            continue
        taken |= racks
        where = footprint_on(topology, tensor_parallel, stage_count, number)
        steps.append(
            {
                "replicas": number,
                "racks": where.rack_count,
                "nodes": where.node_count,
                "chips": where.chip_count + where.spare_chip_count + where.idle_chip_count,
                "spares": where.spare_chip_count,
            }
        )
    return {
        "replica_count": replica_count,
        "chips_per_replica": tensor_parallel * stage_count,
        "replicas_per_system": room,
        "system_chips": topology.chip_count,
        "chips_per_node": per_node,
        "usable_chips_per_node": per_node - (per_node % tensor_parallel if whole else 0),
        "nodes_per_rack": max(map(len, topology.racks)),
        "racks": steps,
    }
