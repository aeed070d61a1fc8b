"""Run: replays a scenario and writes its files."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from rack_sim.cli.console import err, out, say_json, words_column
from rack_sim.cli.options import (
    HtmlOption,
    JsonOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    SkipBadRowsOption,
    TraceOption,
    with_seed,
)
from rack_sim.cli.place import result_directory
from rack_sim.cli.summary import summary_tables
from rack_sim.foundation.units import PS_PER_S
from rack_sim.pipeline import simulate
from rack_sim.report.views import Wanted, leave
from rack_sim.scenario import load_scenario


def run(
    scenario: ScenarioArgument,
    trace: TraceOption = None,
    overrides: SetOption = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where files go [reports/NAME-HASH]."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    seed: SeedOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: JsonOption = False,
    skip_bad_rows: SkipBadRowsOption = False,
    every_step: Annotated[
        bool,
        typer.Option(
            "--every-step", help="Walk every slot entry or iteration: slow, with equal results."
        ),
    ] = False,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Write every table as Parquet, too.")
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(min=1, help="Processes for replicas that do not know of each other."),
    ] = 1,
    figures: Annotated[bool, typer.Option(help="Draw figures.")] = True,
    workbook: Annotated[bool, typer.Option(help="Write report.xlsx.")] = True,
    html: HtmlOption = True,
) -> None:
    """Replay a scenario's traffic and write tables and figures.

    Examples:

        rack-sim run llama70b

        rack-sim run llama70b --trace AzureLLMInferenceTrace_conv.csv --out reports/azure

        rack-sim run scenarios/llama70b.yaml --set serving.slot_rows=2 --json
    """
    started = time.perf_counter()
    loaded = load_scenario(
        scenario, with_seed(overrides, seed), trace=trace, skip_bad_rows=skip_bad_rows
    )
    name = f"{loaded.name}-{loaded.scenario_hash}"
    with result_directory(out_dir, name, force=force) as draft:
        columns = (
            words_column(),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            words_column("detail"),
        )
        hidden = quiet or not err.is_terminal
        with Progress(*columns, console=err, transient=True, disable=hidden) as bar:
            task = bar.add_task("placing the model", total=None, detail="")

            def show(ended_count: int, now_ps: int) -> None:
                bar.update(
                    task,
                    description="replaying",
                    total=loaded.workload.request_count,
                    completed=ended_count,
                    detail=f"{ended_count:,} requests, {now_ps / PS_PER_S:,.0f} s simulated",
                )

            def note(text: str) -> None:
                if not quiet:
                    err.print(text, soft_wrap=True)

            result = simulate(
                loaded, every_step=every_step, jobs=jobs, on_progress=show, on_note=note
            )
            leave(
                result,
                draft.path,
                wall_s=time.perf_counter() - started,
                wanted=Wanted(figures, workbook, html, parquet),
                on_step=lambda text: bar.update(task, description=text, total=None, detail=""),
            )
    check = loaded.trace_check
    if check and check.skipped_count and not quiet:
        err.print(f"{check.skipped_count} malformed rows were skipped; manifest.json lists them")
    if as_json:
        say_json(dict(result.summary))
        return
    if not quiet:
        for table in summary_tables(result):
            out.print(table)
        out.print(f"files: {draft.shown}", soft_wrap=True)
