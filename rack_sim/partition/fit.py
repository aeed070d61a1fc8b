"""Fit: the fewest chips of a system that hold a model, or in a few words why none do.

Only bytes are looked at, so it takes milliseconds; how fast those chips are is the partitioner's to
say.
"""

from collections.abc import Iterator
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


class Fitter:
    """Finds fits of one model in one format; what systems of one chip have in common is kept."""

    def __init__(self) -> None:
        self._stages: dict[tuple[str, int], int | None] = {}

    def fewest_chips(self, deployment: Deployment) -> Fit:
        """How few chips of its system hold a deployment's model and cache."""
        packings = sorted(self._packings(deployment))
        topology = deployment.system.topology
        for chips, degree, stages in packings:
            placed = groups(topology, degree)
            if stages <= (1 if deployment.model.needs_one_stage else len(placed)):
                used = {chip for group in placed[:stages] for chip in group}
                nodes = sum(not used.isdisjoint(node) for node in topology.nodes)
                return Fit(chips, degree, stages, nodes)
        if packings and deployment.model.needs_one_stage:
            return Fit(0, 0, 0, 0, "needs several stages, and its layers share what lies on one")
        if packings:
            return Fit(0, 0, 0, 0, f"needs {counted(packings[0][0], 'chip')}")
        return Fit(0, 0, 0, 0, _why_no_stage(deployment))

    def _packings(self, deployment: Deployment) -> Iterator[tuple[int, int, int]]:
        """(chips, tensor parallel, stages) of the fewest stages per degree."""
        chip = deployment.system.chip.name
        degrees = possible_degrees(deployment)
        new = [degree for degree in degrees if (chip, degree) not in self._stages]
        if new:
            partitioner = Partitioner(deployment)
            self._stages |= {(chip, n): partitioner.fewest_stages(n) for n in new}
        for degree in degrees:
            stages = self._stages[chip, degree]
            if stages is not None:
                yield stages * degree, degree, stages


def _why_no_stage(deployment: Deployment) -> str:
    """What is too large where not even a chip for each block and share of it would do."""
    room = room_bytes(deployment.system)
    degree = possible_degrees(deployment)[-1]
    largest, name = max(
        (sum(largest_chip_bytes(block, deployment.demand, group_size=degree)), block.name)
        for block in deployment.blocks
    )
    needed, there = format_bytes(largest), format_bytes(room)
    over = f"{name} over {counted(degree, 'chip')}"
    return f"{over} is {needed} on each, which holds {there}"


def room_bytes(system: System) -> int:
    """What the memory tiers of one chip of a system hold; a static chip has its first only."""
    chip = system.chip
    tiers = chip.memory[:1] if chip.execution == "static" else chip.memory
    return sum(tier.capacity_bytes for tier in tiers)
