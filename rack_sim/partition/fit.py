"""Fit: the fewest chips of a system that hold a model, or in a few words why none do.

Only bytes are looked at, so it takes milliseconds; how fast those chips are is the partitioner's to
say.
"""

from dataclasses import dataclass

from rack_sim.foundation.units import counted, format_bytes
from rack_sim.hardware.system import System
from rack_sim.partition.memory import largest_chip_bytes
from rack_sim.partition.partitioner import Deployment, Partitioner, possible_degrees
from rack_sim.partition.placement import groups


@dataclass(frozen=True, slots=True)
class Fit:
    """The fewest chips of a system that hold a model; 0 where none do, and `why` says why not."""

    chip_count: int
    tensor_parallel: int
    stage_count: int
    node_count: int
    why: str = ""


def fewest_chips(deployment: Deployment) -> Fit:
    """How few chips of its system hold a deployment's model and cache."""
    partitioner = Partitioner(deployment)
    packings = partitioner.packings()
    for chips, degree, stages in packings:
        placed = groups(deployment.system.topology, degree)
        if stages <= len(placed):
            used = {chip for group in placed[:stages] for chip in group}
            nodes = sum(not used.isdisjoint(node) for node in deployment.system.topology.nodes)
            return Fit(chips, degree, stages, nodes)
    if packings:
        return Fit(0, 0, 0, 0, f"needs {counted(packings[0][0], 'chip')}")
    return Fit(0, 0, 0, 0, _why_no_stage(partitioner))


def _why_no_stage(partitioner: Partitioner) -> str:
    """What is too large where not even a chip for each block and share of it would do."""
    deployment = partitioner.deployment
    room = room_bytes(deployment.system)
    degree = possible_degrees(deployment)[-1]
    largest, name = max(
        (sum(largest_chip_bytes(block, deployment.demand, group_size=degree)), block.name)
        for block in partitioner.blocks
    )
    needed, there = format_bytes(largest), format_bytes(room)
    over = f"{name} over {counted(degree, 'chip')}"
    return f"{over} is {needed} on each, which holds {there}"


def room_bytes(system: System) -> int:
    """What the memory tiers of one chip of a system hold; a static chip has its first only."""
    chip = system.chip
    tiers = chip.memory[:1] if chip.execution == "static" else chip.memory
    return sum(tier.capacity_bytes for tier in tiers)
