"""Pipeline: the order of everything, from a scenario to a result.

    scenario -> plan (partition) -> step (compiler) -> replay (engine) -> summary (metrics)

`explain` stops before the replay; `simulate` goes all the way.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rack_sim.compiler.batches import BatchMachine
from rack_sim.compiler.limits import Limits
from rack_sim.compiler.machine import Machine
from rack_sim.compiler.step import StepTiming, compile_step
from rack_sim.engine.expected import replay_work
from rack_sim.engine.fleet import FleetPlan, fleet_plan
from rack_sim.engine.parts import split_replicas, why_not_parallel
from rack_sim.engine.serving import ReplayTotals, replay, totals_of_parts
from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InfeasibleError, InputError
from rack_sim.foundation.executor import Workers, open_executor
from rack_sim.foundation.garbage import gc_paused
from rack_sim.foundation.version import VERSION
from rack_sim.foundation.work_estimate import Note, WorkEstimate, announce, no_note
from rack_sim.metrics.columns import FILES
from rack_sim.metrics.log import Collector
from rack_sim.metrics.parts import ReplayPart, collect, replay_part
from rack_sim.metrics.summary import RunFacts, Value, summarise_run
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.plan import Plan
from rack_sim.record.of_run import critical_path_table, memory_table, run_record, run_tables
from rack_sim.record.record import Record
from rack_sim.record.table import Table
from rack_sim.scenario.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd

OnEnded = Callable[[int, int], None]

# What a result prints of its summary.
_TOLD = (
    "scenario",
    "model",
    "system",
    "chip_count",
    "request_count",
    "finished_count",
    "ttft_ms_p50",
    "ttft_ms_p99",
    "tpot_ms_p50",
    "output_throughput_tok_s",
    "output_tok_s_per_user_p50",
    "slo_attainment",
    "usd_per_million_output_tokens",
    "scenario_hash",
)


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(Brief):
    """What is known of a scenario before anything is replayed: who holds what, and how fast.

    The machine of static chips is a `compiled` step, that of reactive ones forms a `batch`.
    """

    scenario: Scenario
    plan: Plan
    machine: Machine
    limits: Limits

    def _facts(self) -> Mapping[str, object]:
        return {
            "scenario": self.scenario.name,
            "model": self.plan.model.name,
            "system": self.plan.system.name,
            "chip_count": self.chip_count,
            "stage_count": self.stage_count,
            "tensor_parallel": self.tensor_parallel,
            "weight_bytes": self.weight_bytes,
        }

    @property
    def compiled(self) -> StepTiming | None:
        """The machine of static chips."""
        return self.machine if isinstance(self.machine, StepTiming) else None

    @property
    def batch(self) -> BatchMachine | None:
        """The machine of reactive chips."""
        return self.machine if isinstance(self.machine, BatchMachine) else None

    @cached_property
    def step(self) -> StepTiming:
        """The compiled step; of reactive chips, one row's as if it were compiled."""
        return self.compiled or compile_step(self.plan)

    @property
    def chip_count(self) -> int:
        """Chips that hold a part of one copy of the model."""
        return self.plan.chip_count

    @property
    def stage_count(self) -> int:
        """Stages of the pipeline."""
        return self.plan.stage_count

    @property
    def tensor_parallel(self) -> int:
        """Chips that share each block."""
        return self.plan.tensor_parallel

    @property
    def weight_bytes(self) -> int:
        """Bytes of one copy of the weights."""
        return self.plan.weight_bytes

    def memory(self) -> "pd.DataFrame":
        """The memory map: one row per chip that holds a part of the model, as in memory.csv."""
        return memory_table(self.machine).frame()

    def critical_path(self) -> "pd.DataFrame":
        """What one token waits for, task by task, as in critical_path.csv.

        Of reactive chips no rows: their programs are not known before they run.
        """
        return critical_path_table(self.compiled).frame()

    @cached_property
    def fleet(self) -> FleetPlan:
        """What serves. Raises InputError where a cache has no room, or no way."""
        try:
            return fleet_plan(self.scenario.serving, self.machine)
        except InputError as error:
            raise self.scenario.placed(error) from None


@dataclass(frozen=True, repr=False)
class Result(Brief):
    """What a replay gave. `summary` is one flat row; see docs/metrics.md for every name.

    Each table of a run is a method that makes a DataFrame of it, with the columns and the values
    of its CSV file.
    """

    explanation: Explanation
    totals: ReplayTotals
    collector: Collector
    summary: Mapping[str, Value]

    def _facts(self) -> Mapping[str, object]:
        return {name: self.summary.get(name) for name in _TOLD}

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Every table of the run, by the name of its file."""
        found = self.explanation
        return run_tables(
            found.scenario, found.fleet, self.totals, self.collector, self.summary, found.machine
        )

    def record(self, wall_s: float = 0.0) -> Record:
        """What the run leaves behind; `wall_s` is how long it took."""
        found = self.explanation
        return run_record(found.scenario, self.tables, found.machine, found.fleet, wall_s)

    def frame(self, name: str) -> "pd.DataFrame":
        """A table by the name of its file, with or without ``.csv``; no rows where it has none."""
        file = f"{name.removesuffix('.csv')}.csv"
        table = self.tables.get(file) or Table(FILES[file], tuple)
        return table.frame()

    def frames(self) -> dict[str, "pd.DataFrame"]:
        """Every table of the run that has rows, by the name of its file without ``.csv``."""
        found = {name.removesuffix(".csv"): table.frame() for name, table in self.tables.items()}
        return {name: frame for name, frame in found.items() if len(frame)}

    def requests(self) -> "pd.DataFrame":
        """One row per request, as in requests.csv."""
        return self.frame("requests")

    def timeline(self) -> "pd.DataFrame":
        """One row per second (or other bin of the scenario), as in timeline.csv."""
        return self.frame("timeline")

    def replicas(self) -> "pd.DataFrame":
        """One row per replica, as in replicas.csv."""
        return self.frame("replicas")

    def chips(self) -> "pd.DataFrame":
        """One row per chip of the first system, as in chips.csv."""
        return self.frame("chips")

    def memory(self) -> "pd.DataFrame":
        """The memory map: one row per chip that holds a part of the model, as in memory.csv."""
        return self.frame("memory")

    def links(self) -> "pd.DataFrame":
        """One row per link of the first system, as in links.csv."""
        return self.frame("links")

    def stages(self) -> "pd.DataFrame":
        """One row per stage, as in stages.csv; of reactive chips no rows."""
        return self.frame("stages")

    def critical_path(self) -> "pd.DataFrame":
        """What one token waits for, task by task, as in critical_path.csv; see `Explanation`."""
        return self.frame("critical_path")

    def iterations(self) -> "pd.DataFrame":
        """One row per number of rows that iterations had; of static chips no rows."""
        return self.frame("iterations")

    def summary_frame(self) -> "pd.DataFrame":
        """The summary as a table of one row, as in summary.csv."""
        return self.frame("summary")


def explain(scenario: Scenario, *, on_note: Note = no_note) -> Explanation:
    """Partitions and compiles a scenario without replaying it.

    `on_note` is told before that takes long. Raises InfeasibleError where the model does not fit
    the system.
    """
    try:
        with gc_paused():
            return _explained(scenario, on_note)
    except InputError as error:
        raise scenario.placed(error) from None


def _explained(scenario: Scenario, on_note: Note) -> Explanation:
    serving = scenario.serving
    plan = serving.policy.planned(scenario.deployment)
    if isinstance(plan, Infeasible):
        raise InfeasibleError(replace(plan, rests=tuple(_rests(scenario, plan))))
    machine = serving.policy.machine(plan, serving.draft_model, on_note)
    if isinstance(machine, Infeasible):
        raise InfeasibleError(machine)
    return Explanation(scenario, machine.plan, machine, serving.policy.limits(machine))


def _rests(scenario: Scenario, answer: Infeasible) -> Iterator[str]:
    """Bytes that nobody has published, without which it would fit, and what is known of them."""
    for item in scenario.provenance:
        if item.name != "system.chip.program_text_bytes" or not item.is_uncertain:
            continue
        bytes_ = answer.terms.get("program_text", 0)
        if bytes_ < answer.gap_bytes:
            return
        origin = f"assumed: {item.assumed}" if item.is_assumed else item.source
        known = item.low is not None and item.high is not None
        span = f"known from {item.low:,.0f} to {item.high:,.0f}" if known else "no range is known"
        yield (
            f"{item.name} = {float(item.value):,.0f} ({origin}): {span}; without any of it, it "
            "would fit"
        )


def expected_work(scenario: Scenario, *, every_step: bool = False) -> WorkEstimate:
    """About what a replay of the scenario takes, files and figures included."""
    return replay_work(
        scenario.workload,
        bin_ps=scenario.bin_ps,
        is_static=scenario.serving.policy.execution == "static",
        every_step=every_step,
    )


def simulate(
    scenario: Scenario,
    *,
    every_step: bool = False,
    jobs: int = 1,
    on_progress: OnEnded | None = None,
    explanation: Explanation | None = None,
    on_note: Note = no_note,
) -> Result:
    """Replays a scenario's workload and summarises what came out.

    `every_step` visits every step instead of skipping between decisions: slow, with equal results.
    Replicas that know nothing of each other (see `engine.parts`) are replayed in `jobs`
    processes, with equal results; `on_note` is told why it is one process after all, and before
    work that takes long. `on_progress` is called now and then with the requests ended and the
    simulated picoseconds, where there is one process. An `explanation` of the scenario that is
    there already is taken. Raises InfeasibleError where the model does not fit, InputError where it
    would take more than the limits of time or memory.
    """
    announce(expected_work(scenario, every_step=every_step), on_note)
    explanation = explanation or explain(scenario, on_note=on_note)
    with gc_paused():
        totals, collector = _replayed(
            explanation, every_step=every_step, jobs=jobs, on_progress=on_progress, on_note=on_note
        )
    return _summarised(explanation, totals, collector)


def _replayed(
    explanation: Explanation,
    *,
    every_step: bool,
    jobs: int,
    on_progress: OnEnded | None,
    on_note: Note,
) -> tuple[ReplayTotals, Collector]:
    """Replays a scenario's workload, in as many processes as asked where that can be."""
    scenario = explanation.scenario
    together = why_not_parallel(explanation.fleet, scenario.workload) if jobs > 1 else ""
    if together:
        on_note(f"replayed in one process: {together}")
    if jobs > 1 and not together:
        return _replayed_apart(explanation, jobs, every_step=every_step)
    collector = Collector(on_progress)
    totals = replay(
        explanation.fleet,
        scenario.workload,
        collector,
        bin_ps=scenario.bin_ps,
        every_step=every_step,
    )
    return totals, collector


def _summarised(explanation: Explanation, totals: ReplayTotals, collector: Collector) -> Result:
    scenario = explanation.scenario
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
        machine=explanation.machine,
        fleet=explanation.fleet,
        limits=explanation.limits,
        totals=totals,
        collector=collector,
        slo=scenario.slo,
        cost=scenario.cost,
        bin_ps=scenario.bin_ps,
        warmup_share=scenario.warmup_share,
    )
    return Result(explanation, totals, collector, summarise_run(facts))


def _replayed_apart(
    explanation: Explanation, jobs: int, *, every_step: bool
) -> tuple[ReplayTotals, Collector]:
    """Replays the replicas in processes of their own; what they leave goes over files."""
    scenario = explanation.scenario
    replay_one = partial(
        replay_part, workload=scenario.workload, bin_ps=scenario.bin_ps, every_step=every_step
    )
    with TemporaryDirectory() as place:
        fleets = split_replicas(explanation.fleet, jobs)
        parts = [
            ReplayPart(fleet, Path(place) / str(number)) for number, fleet in enumerate(fleets)
        ]
        for part in parts:
            part.folder.mkdir()
        with open_executor(Workers(jobs=len(parts))) as executor:
            totals = dict(executor.run(replay_one, parts))
        whole = totals_of_parts([totals[number] for number in range(len(parts))])
        return whole, collect([part.folder for part in parts])
