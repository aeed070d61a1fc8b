"""Fit: the fewest chips of a system that hold a model, or in a few words why none do.

Only bytes are looked at, so it takes milliseconds; how fast those chips are is the partitioner's to
say. Reactive chips form batches, for which they keep room (`Batches`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from rack_sim.foundation.units import counted, format_bytes
from rack_sim.hardware.system import System
from rack_sim.partition.memory import largest_chip_bytes
from rack_sim.partition.partitioner import Deployment, Partitioner, possible_degrees
from rack_sim.partition.placement import groups
from rack_sim.partition.stages import StageCutter


@dataclass(frozen=True, slots=True)
class Fit:
    """The fewest chips of a system that hold a model; 0 where none do, and `why` says why not."""

    chip_count: int
    tensor_parallel: int
    stage_count: int
    node_count: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Batches:
    """What reactive chips keep room for: iterations of `rows` rows in a share of their memory."""

    rows: int = 1
    memory_share: float = 1.0


class Fitter:
    """Finds fits of one model in one format; what systems of one chip have in common is kept."""

    def __init__(self, batches: Batches | None = None) -> None:
        self._batches = batches or Batches()
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
        return Fit(0, 0, 0, 0, self._why_no_stage(deployment))

    def _packings(self, deployment: Deployment) -> Iterator[tuple[int, int, int]]:
        """(chips, tensor parallel, stages) of the fewest stages per degree."""
        chip = deployment.system.chip.name
        degrees = possible_degrees(deployment)
        new = [degree for degree in degrees if (chip, degree) not in self._stages]
        if new:
            partitioner = Partitioner(deployment)
            self._stages |= {(chip, n): self._fewest_stages(partitioner, n) for n in new}
        for degree in degrees:
            stages = self._stages[chip, degree]
            if stages is not None:
                yield stages * degree, degree, stages

    def _fewest_stages(self, partitioner: Partitioner, degree: int) -> int | None:
        lines = partitioner.lines(degree)
        if partitioner.deployment.system.chip.execution == "reactive":
            rest = self._iteration_bytes(partitioner, degree)
            share = Fraction(str(self._batches.memory_share))
            lines = [_with_room(line, share, rest) for line in lines]
        counts = [line.fewest_stages() for line in lines]
        return min((count for count in counts if count is not None), default=None)

    def _iteration_bytes(self, partitioner: Partitioner, degree: int) -> int:
        """What an iteration's rows take on a chip beside a single one: residual and two buffers."""
        shape = partitioner.deployment.shape
        operators = (operator for block in partitioner.blocks for operator in block.operators)
        widest = max(operator.activations_per_row for operator in operators)
        each = partitioner.deployment.model.hidden_size + 2 * -(-widest // degree)
        return shape.precision.activation_bytes((self._batches.rows - shape.rows) * each)

    def _why_no_stage(self, deployment: Deployment) -> str:
        """What is too large where not even a chip for each block and share of it would do."""
        degree = possible_degrees(deployment)[-1]
        room = room_bytes(deployment.system)
        if deployment.system.chip.execution == "reactive":
            room = int(Fraction(str(self._batches.memory_share)) * room)
            room -= self._iteration_bytes(Partitioner(deployment), degree)
        largest, name = max(
            (sum(largest_chip_bytes(block, deployment.demand, group_size=degree)), block.name)
            for block in deployment.blocks
        )
        needed, there = format_bytes(largest), format_bytes(max(room, 0))
        over = f"{name} over {counted(degree, 'chip')}"
        return f"{over} is {needed} on each, with room for {there}"


def _with_room(line: StageCutter, share: Fraction, rest_bytes: int) -> StageCutter:
    """A line whose tiers have a share of their memory; the only tier holds the rest, too."""
    beside = tuple(_with_room(tier, share, rest_bytes) for tier in line.beside)
    capacity = int(share * line.capacity_bytes) - (0 if beside else rest_bytes)
    return replace(line, capacity_bytes=capacity, beside=beside)


def room_bytes(system: System) -> int:
    """What the memory tiers of one chip of a system hold; a static chip has its first only."""
    chip = system.chip
    tiers = chip.memory[:1] if chip.execution == "static" else chip.memory
    return sum(tier.capacity_bytes for tier in tiers)
