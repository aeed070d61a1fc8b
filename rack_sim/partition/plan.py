"""Plan: which chip holds what. The partitioner's answer, and all the compiler needs to know."""

from dataclasses import dataclass, replace

from rack_sim.foundation.brief import Brief
from rack_sim.hardware.chip import Tiers
from rack_sim.hardware.routing import Routing
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.model.operators import Block
from rack_sim.partition.candidates import PlanObjective
from rack_sim.partition.memory import ChipMemory, MemoryDemand
from rack_sim.timing.pipeline import PipelineTimer


@dataclass(frozen=True, repr=False)
class Stage(Brief):
    """A contiguous run of blocks and the chips that hold it together.

    `memory` has one entry per chip, in the order of `chips`.
    """

    number: int
    blocks: tuple[Block, ...]
    chips: tuple[int, ...]
    memory: tuple[ChipMemory, ...]

    @property
    def title(self) -> str:
        """The blocks in short: ``layer3.attention … layer4.attention``."""
        first, last = self.blocks[0].name, self.blocks[-1].name
        return first if first == last else f"{first} … {last}"


@dataclass(frozen=True, repr=False)
class Plan(Brief):
    """A model placed on a system: tensor-parallel stages in pipeline order.

    The chip of `system` says in which of its memory tiers each kind of bytes lies. `timer` holds
    the routes and timings that the search has found; the compiler goes on with it. `objective` is
    what the search ranked by, and what the compiler decides by.
    """

    system: System
    model: Architecture
    demand: MemoryDemand
    tensor_parallel: int
    stages: tuple[Stage, ...]
    timer: PipelineTimer
    concurrent_sequences_max: int
    objective: PlanObjective = "lowest_latency"

    def with_tiers(self, tiers: Tiers) -> "Plan":
        """The same chips with their kinds of bytes in other memory tiers."""
        if tiers == self.system.chip.tiers:
            return self
        system = replace(self.system, chip=self.system.chip.placed(tiers))
        timer = PipelineTimer(
            system.chip,
            self.routing,
            self.demand.shape,
            residual_elements=self.demand.residual_elements,
        )
        return replace(self, system=system, timer=timer)

    @property
    def routing(self) -> Routing:
        """Finds the routes between chips."""
        return self.timer.routing

    @property
    def stage_count(self) -> int:
        """Stages in the pipeline."""
        return len(self.stages)

    @property
    def chip_count(self) -> int:
        """Chips that hold a part of the model."""
        return self.stage_count * self.tensor_parallel

    @property
    def has_states(self) -> bool:
        """Whether chips keep states of sequences."""
        return any(memory.state_bytes for stage in self.stages for memory in stage.memory)

    @property
    def weight_bytes(self) -> int:
        """Weight bytes over all chips: those of the model."""
        return sum(memory.weight_bytes for stage in self.stages for memory in stage.memory)

    @property
    def used_bytes_max(self) -> int:
        """Bytes on the fullest chip."""
        return max(memory.used_bytes for stage in self.stages for memory in stage.memory)
