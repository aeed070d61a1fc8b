"""Scenario: everything a run needs, checked, as domain objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rack_sim.engine.fleet import Serving
from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.sourced import Provenance
from rack_sim.hardware.system import System
from rack_sim.metrics.cost import CostInputs
from rack_sim.metrics.slo import Slo
from rack_sim.partition.partitioner import Deployment
from rack_sim.workload.request import Workload
from rack_sim.workload.trace import TraceCheck


@dataclass(frozen=True, repr=False)
class Scenario(Brief):
    """A model on a system under traffic.

    `provenance` lists every sourced or assumed number; `resolved` is the scenario with every
    preset and default written out, in base units: loading it again gives the same scenario.
    `scenario_hash` is a digest of that and of the trace's content. `trace_check` is what the
    reading of a trace found. `places` says where in the file stands what only a plan can judge: a
    problem without words for each dotted path.
    """

    name: str
    description: str
    deployment: Deployment
    policy_kind: str
    serving: Serving
    workload: Workload
    slo: Slo
    cost: CostInputs
    bin_ps: int
    warmup_share: float
    seed: int
    provenance: tuple[Provenance, ...]
    resolved: Mapping[str, Any]
    scenario_hash: str
    trace_check: TraceCheck | None
    places: Mapping[str, Problem] = field(default_factory=dict, compare=False, repr=False)

    def _facts(self) -> Mapping[str, object]:
        return {
            "name": self.name,
            "model": self.deployment.model.name,
            "system": self.deployment.system.name,
            "policy": self.policy_kind,
            "workload": self.workload.description,
            "seed": self.seed,
            "scenario_hash": self.scenario_hash,
        }

    def with_system(self, system: System) -> "Scenario":
        """The same on another system."""
        return replace(self, deployment=replace(self.deployment, system=system))

    def with_cut(self, tensor_parallel: int | None, stage_count: int | None) -> "Scenario":
        """The same in so many stages of so many chips each; None leaves it to the partitioner."""
        deployment = replace(
            self.deployment, tensor_parallel=tensor_parallel, stage_count=stage_count
        )
        return replace(self, deployment=deployment)

    def placed(self, error: InputError) -> InputError:
        """The same error, its problems where the file has what they are about."""
        problems = []
        for found in error.problems:
            place = self.places.get(found.field)
            if place is None:
                problems.append(found)
            else:
                problems.append(replace(place, message=found.message, suggestion=found.suggestion))
        return InputError(problems)
