"""Of a run: the record of one replay, table by table."""

import platform
from collections.abc import Mapping
from typing import Any

from rack_sim.compiler.machine import Machine
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.serving import ReplayTotals
from rack_sim.foundation.version import VERSION
from rack_sim.metrics.columns import (
    CHIPS,
    CRITICAL_PATH,
    FILES,
    ITERATIONS,
    LINKS,
    MEMORY,
    REPLICAS,
    REQUESTS,
    STAGES,
    SUMMARY,
    TIMELINE,
)
from rack_sim.metrics.critical_path import critical_path_rows
from rack_sim.metrics.link_table import link_lines
from rack_sim.metrics.log import Collector
from rack_sim.metrics.summary import Value
from rack_sim.metrics.tables import (
    chip_rows,
    iteration_rows,
    memory_rows,
    outcome_reasons,
    replica_rows,
    request_lines,
    stage_rows,
    timeline_lines,
)
from rack_sim.partition.provisions import provisions
from rack_sim.record.footprint import footprint_entry
from rack_sim.record.manifest import origins
from rack_sim.record.record import Record
from rack_sim.record.table import Table, table_of_lines
from rack_sim.scenario import Scenario, resolved_yaml


def memory_table(machine: Machine) -> Table:
    """memory.csv: one row per chip that holds a part of the model."""
    return Table(MEMORY, lambda: memory_rows(machine))


def critical_path_table(step: StepTiming | None) -> Table:
    """critical_path.csv: what one token waits for; of reactive chips no rows."""
    return Table(CRITICAL_PATH, lambda: critical_path_rows(step.program) if step else ())


def run_tables(
    scenario: Scenario,
    fleet: FleetPlan,
    totals: ReplayTotals,
    collector: Collector,
    summary: Mapping[str, Value],
    machine: Machine,
) -> dict[str, Table]:
    """Every table of a replay, by the name of its file, in the order of design section 9."""
    tables = {
        "summary.csv": Table(SUMMARY, lambda: [summary.values()]),
        "requests.csv": table_of_lines(
            REQUESTS, lambda: request_lines(collector.requests, outcome_reasons(fleet))
        ),
        "timeline.csv": table_of_lines(
            TIMELINE, lambda: timeline_lines(collector.bins, scenario.bin_ps)
        ),
        "replicas.csv": Table(REPLICAS, lambda: replica_rows(totals)),
        "chips.csv": Table(CHIPS, lambda: chip_rows(machine, totals)),
        "memory.csv": memory_table(machine),
        "links.csv": table_of_lines(LINKS, lambda: link_lines(machine, totals, fleet)),
    }
    if not isinstance(machine, StepTiming):
        tables["iterations.csv"] = Table(ITERATIONS, lambda: iteration_rows(totals))
    else:
        tables["stages.csv"] = Table(STAGES, lambda: stage_rows(machine, totals))
        tables["critical_path.csv"] = critical_path_table(machine)
    return {name: tables[name] for name in FILES if name in tables}


def run_record(
    scenario: Scenario,
    tables: Mapping[str, Table],
    machine: Machine,
    fleet: FleetPlan,
    wall_s: float,
) -> Record:
    """The record of a replay: enough to tell two apart and to see what was assumed."""
    check = scenario.trace_check
    facts: dict[str, Any] = {
        "scenario": scenario.name,
        "scenario_hash": scenario.scenario_hash,
        "version": VERSION,
        "seed": scenario.seed,
        "workload": scenario.workload.description,
        "trace": check
        and {
            "format": check.format_name,
            "sha256": check.sha256,
            "request_count": check.request_count,
            "skipped_row_count": check.skipped_count,
            "skipped_rows": [
                {"line": line, "reason": reason} for line, reason in check.skipped_rows
            ],
        },
        **origins(scenario.provenance),
        "footprint": footprint_entry(machine.plan, fleet.replica_count),
        "model": model_facts(scenario),
        **ending_facts(wall_s),
    }
    notes = provisions(machine.plan)
    if notes:  # of models that leave something to run time, or have parts that are not served
        facts["assumed_by_the_model"] = list(notes)
    return Record("run", facts, tables, resolved_yaml(scenario))


def model_facts(scenario: Scenario) -> dict[str, Any]:
    """What a manifest says of the model."""
    model = scenario.resolved["model"]
    return {key: model.get(key) for key in ("name", "source", "grade")}


def ending_facts(wall_s: float) -> dict[str, Any]:
    """What every manifest ends with: on what it was made, and how long it took."""
    return {"python": platform.python_version(), "wall_s": round(wall_s, 3)}
