"""Run files: everything a run leaves behind."""

import platform
from collections.abc import Callable
from pathlib import Path

from rack_sim.compiler.batches import BatchMachine
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
from rack_sim.pipeline import Result
from rack_sim.report.csv import summary_cells, write_lines, write_table
from rack_sim.report.footprint import footprint_entry
from rack_sim.report.json_text import json_text
from rack_sim.scenario import resolved_yaml


def write_run(
    result: Result,
    folder: Path,
    *,
    wall_s: float,
    figures: bool = True,
    parquet: bool = False,
    workbook: bool = True,
    html: bool = True,
    on_step: Callable[[str], None] = lambda _text: None,
) -> None:
    """Writes the files of design section 9 into `folder`, which exists and is empty.

    Tables come as Parquet, too, where asked; the `workbook` is made of them. `on_step` is told
    what is being written.
    """
    machine, totals = result.explanation.machine, result.totals
    on_step("writing tables")
    write_table(folder / "summary.csv", SUMMARY, [summary_cells(result.summary)])
    fleet = result.explanation.fleet
    requests = request_lines(result.collector.requests, outcome_reasons(fleet))
    write_lines(folder / "requests.csv", REQUESTS, requests)
    write_lines(
        folder / "timeline.csv",
        TIMELINE,
        timeline_lines(result.collector.bins, result.explanation.scenario.bin_ps),
    )
    write_table(folder / "replicas.csv", REPLICAS, replica_rows(totals))
    write_table(folder / "chips.csv", CHIPS, chip_rows(machine, totals))
    write_table(folder / "memory.csv", MEMORY, memory_rows(machine))
    write_lines(folder / "links.csv", LINKS, link_lines(machine, totals, fleet))
    if isinstance(machine, BatchMachine):
        write_table(folder / "iterations.csv", ITERATIONS, iteration_rows(totals))
    else:
        write_table(folder / "stages.csv", STAGES, stage_rows(machine, totals))
        path = map(",".join, critical_path_rows(machine.program))
        write_lines(folder / "critical_path.csv", CRITICAL_PATH, path)
    if parquet:
        from rack_sim.report.parquet import write_parquet  # imports slowly, and few ask

        on_step("writing Parquet")
        for name, columns in FILES.items():
            if (folder / name).exists():
                write_parquet(folder / name, columns)
    scenario = result.explanation.scenario
    (folder / "resolved.yaml").write_text(resolved_yaml(scenario), encoding="utf-8")
    (folder / "manifest.json").write_text(_manifest(result, wall_s), encoding="utf-8")
    if workbook:
        from rack_sim.report.workbook import ROWS_OF_A_RUN, write_workbook  # imports slowly

        on_step("writing the workbook")
        write_workbook(folder, folder / "report.xlsx", row_limit=ROWS_OF_A_RUN)
    if html:
        from rack_sim.report.html import write_html  # reads the tables again: not all who run ask

        on_step("writing report.html")
        write_html(folder, folder / "report.html")
    if figures:
        from rack_sim.report.figures import draw_figures  # draws slowly, imports slowly

        on_step("drawing figures")
        draw_figures(result, folder)


def _manifest(result: Result, wall_s: float) -> str:
    """What the run was: enough to tell two runs apart and to see what was assumed."""
    scenario = result.explanation.scenario
    check = scenario.trace_check
    content = {
        "scenario": scenario.name,
        "scenario_hash": scenario.scenario_hash,
        "version": result.summary["version"],
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
        "assumed": [
            {"name": item.name, "value": item.value, "why": item.assumed}
            for item in scenario.provenance
            if item.is_assumed
        ],
        "sourced": [
            {"name": item.name, "value": item.value, "source": item.source, "grade": item.grade}
            for item in scenario.provenance
            if not item.is_assumed
        ],
        "footprint": footprint_entry(
            result.explanation.machine.plan, result.explanation.fleet.replica_count
        ),
        "model": {key: scenario.resolved["model"].get(key) for key in ("name", "source", "grade")},
        "python": platform.python_version(),
        "wall_s": round(wall_s, 3),
    }
    return json_text(content) + "\n"
