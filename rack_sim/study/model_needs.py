"""Model needs: a model alone, and what it would need on each system that comes with rack-sim."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from rack_sim.engine.policies.batch_policy import ContinuousBatchingPolicy
from rack_sim.foundation.brief import Brief
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.facts import (
    ParameterKind,
    flop_per_token,
    kept_elements,
    parameter_kinds,
)
from rack_sim.model.operators import Block
from rack_sim.partition.fit import Batches, Fit, Fitter
from rack_sim.partition.memory import (
    MemoryDemand,
    block_weight_bytes,
    kept,
    replicated_bytes,
    state_bytes,
)
from rack_sim.partition.partitioner import Deployment
from rack_sim.scenario import load_system
from rack_sim.scenario.library import presets
from rack_sim.scenario.model_alone import ModelAlone
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

_POLICY = ContinuousBatchingPolicy()
BATCHES = Batches(_POLICY.token_budget, _POLICY.memory_share)
"""What reactive chips keep room for, as they do where a scenario says nothing else."""


@dataclass(frozen=True, slots=True)
class SystemNeed:
    """What a model needs on one system: a fit for each format of weights, in their order."""

    system: System
    fits: tuple[Fit, ...]


@dataclass(frozen=True, eq=False, repr=False)
class ModelNeeds(Brief):
    """A model alone: counts and bytes, and the fewest chips of every system that hold it."""

    alone: ModelAlone

    def _facts(self) -> Mapping[str, object]:
        return {
            "model": self.model.name,
            "parameter_count": self.model.parameter_count,
            "active_parameter_count": self.model.active_parameter_count,
            "kv_bytes_per_token": self.kv_bytes_per_token,
            "state_bytes_per_sequence": self.state_bytes_per_sequence,
        }

    @property
    def model(self) -> Architecture:
        """The model."""
        return self.alone.architecture

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Its blocks."""
        return blocks_of(self.model)

    @cached_property
    def parameter_kinds(self) -> tuple[ParameterKind, ...]:
        """Its parameters by kind."""
        return parameter_kinds(self.blocks)

    def weight_bytes(self, precision: Precision) -> int:
        """Bytes of all weights in one format, a tied table once."""
        demand = MemoryDemand(_shape(self.alone, precision), 0, self.model.hidden_size)
        return sum(
            block_weight_bytes(block, demand) + replicated_bytes(block, demand)
            for block in kept(blocks_of(self.model, formats=precision.formats_of(self.model)))
        )

    def flop_per_token(self, context_tokens: int) -> int:
        """FLOP of one token after as much context."""
        return flop_per_token(self.blocks, context_tokens)

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes that a token adds to the cache while no window is full."""
        return self._precision.kv_bytes(kept_elements(self.blocks, 1))

    def kv_bytes_per_sequence(self, context_tokens: int) -> int:
        """Bytes that the cache keeps of one sequence of so many tokens."""
        elements = kept_elements(self.blocks, context_tokens)
        return self._precision.kv_bytes(elements)

    @property
    def state_bytes_per_sequence(self) -> int:
        """Bytes that a sequence keeps however long it is; attention alone keeps none."""
        return state_bytes(self.blocks, self._precision, 1)

    @property
    def _precision(self) -> Precision:
        return self.alone.precisions[0]

    @cached_property
    def needs(self) -> tuple[SystemNeed, ...]:
        """What it needs on every system preset, by name."""
        fitters = [(precision, Fitter(BATCHES)) for precision in self.alone.precisions]
        found = []
        for name in presets("system"):
            system = load_system(name)
            fits = tuple(
                fitter.fewest_chips(_deployment(self.alone, system, precision))
                for precision, fitter in fitters
            )
            found.append(SystemNeed(system, fits))
        return tuple(found)


def _deployment(alone: ModelAlone, system: System, precision: Precision) -> Deployment:
    return Deployment(
        model=alone.architecture,
        system=system,
        shape=_shape(alone, precision),
        concurrent_sequences=alone.concurrent_sequences,
        tensor_parallel=None,
        stage_count=None,
        objective="fewest_chips",
    )


def _shape(alone: ModelAlone, precision: Precision) -> StepShape:
    return StepShape(
        rows=1,
        context_tokens=alone.context_tokens,
        precision=precision,
        stream_count=alone.architecture.stream_count,
    )
