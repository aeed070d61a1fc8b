"""Pipeline: the order of everything, from a scenario to a result.

    scenario -> plan (partition) -> step (compiler) -> replay (engine) -> summary (metrics)

`explain` stops before the replay; `simulate` goes all the way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from rack_sim.compiler.buckets import bucket_slots
from rack_sim.compiler.limits import Limits, limits_of
from rack_sim.compiler.step import StepTiming, compile_step
from rack_sim.engine.serving import FleetPlan, ReplayTotals, replay
from rack_sim.foundation.errors import InfeasibleError
from rack_sim.metrics.columns import REQUESTS
from rack_sim.metrics.log import Collector
from rack_sim.metrics.summary import RunFacts, Value, summarise_run
from rack_sim.metrics.tables import outcome_reasons, request_lines
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.partitioner import partition
from rack_sim.partition.plan import Plan
from rack_sim.scenario.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd

try:
    VERSION = version("rack-sim")
except PackageNotFoundError:  # a checkout on the path, not installed
    VERSION = "0+unknown"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Explanation:
    """What is known of a scenario before anything is replayed: who holds what, and how fast."""

    scenario: Scenario
    plan: Plan
    step: StepTiming
    limits: Limits


@dataclass(frozen=True)
class Result:
    """What a replay gave. `summary` is one flat row; see docs/metrics.md for every name."""

    explanation: Explanation
    totals: ReplayTotals
    collector: Collector
    fleet: FleetPlan
    summary: Mapping[str, Value]

    def requests(self) -> "pd.DataFrame":
        """One row per request, as in requests.csv; numbers as numbers."""
        import pandas as pd  # takes half a second, and only notebooks ask

        lines = request_lines(self.collector.requests, outcome_reasons(self.fleet))
        frame = pd.DataFrame(
            (line.split(",") for line in lines), columns=[column.name for column in REQUESTS]
        )
        for column in REQUESTS:
            if column.name not in ("status", "reason"):
                frame[column.name] = pd.to_numeric(frame[column.name])
        return frame


def explain(scenario: Scenario) -> Explanation:
    """Partitions and compiles a scenario without replaying it.

    Raises InfeasibleError where the model does not fit the system.
    """
    answer = partition(scenario.deployment)
    if isinstance(answer, Infeasible):
        raise InfeasibleError(answer)
    step = compile_step(answer)
    return Explanation(scenario, answer, step, limits_of(step))


def simulate(
    scenario: Scenario, *, every_step: bool = False, on_progress: Progress | None = None
) -> Result:
    """Replays a scenario's workload and summarises what came out.

    `every_step` visits every slot entry instead of skipping between decisions: slow, with equal
    results. `on_progress` is called now and then with the requests ended and the simulated
    picoseconds. Raises InfeasibleError where the model does not fit.
    """
    explanation = explain(scenario)
    collector = Collector(on_progress)
    slots = bucket_slots(explanation.step, scenario.policy.context_buckets)
    fleet = FleetPlan(slots, scenario.policy, seed=scenario.seed)
    totals = replay(
        fleet,
        scenario.workload,
        collector,
        bin_ps=scenario.bin_ps,
        every_step=every_step,
    )
    facts = RunFacts(
        head={
            "scenario": scenario.name,
            "system": scenario.deployment.system.name,
            "model": scenario.deployment.model.name,
            "policy": scenario.policy_kind,
        },
        tail={
            "scenario_hash": scenario.scenario_hash,
            "version": VERSION,
            "seed": scenario.seed,
        },
        step=explanation.step,
        limits=explanation.limits,
        totals=totals,
        collector=collector,
        slo=scenario.slo,
        cost=scenario.cost,
        bin_ps=scenario.bin_ps,
        warmup_share=scenario.warmup_share,
    )
    return Result(explanation, totals, collector, fleet, summarise_run(facts))
