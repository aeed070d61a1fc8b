"""Sweep: runs a study, that is many replays, and writes what they say together."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from rack_sim.cli.console import err, out, say_json
from rack_sim.cli.jitter_view import jitter_content, jitter_tables
from rack_sim.cli.load_view import load_content, load_views, load_warnings
from rack_sim.cli.options import JsonOption, with_seed
from rack_sim.report.run_directory import free_directory, run_directory
from rack_sim.report.study_files import write_study
from rack_sim.scenario import load_study
from rack_sim.study.kinds import run_study


class View(NamedTuple):
    """How a study of one kind is shown: tables for the terminal, machines for JSON, warnings."""

    tables: Callable[[Any], Iterable[Table]]
    machines: Callable[[Any], list[dict[str, object]]]
    warnings: Callable[[Any], Iterable[str]] = lambda _result: ()


# kind of study -> its view
VIEWS: dict[str, View] = {
    "jitter": View(jitter_tables, jitter_content),
    "load": View(load_views, load_content, load_warnings),
}


def sweep(
    study: Annotated[
        str,
        typer.Argument(help="A study file, or a preset's name (see `rack-sim list studies`)."),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a value of the study (`step_count=100`), or, where it has no such key, "
            "of the scenario of every machine (`precision.kv=fp8`). May be given many times.",
        ),
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where files go [reports/NAME-HASH]."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of every draw, instead of the study's.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: JsonOption = False,
    figures: Annotated[bool, typer.Option(help="Draw figures.")] = True,
) -> None:
    """Run a study: many replays compared.

    The study `load` asks at which rate of requests a machine saturates: the knee of latency against
    load. It takes ten seconds on one core. The study `jitter` asks what a machine loses when its
    operators do not take the time that was compiled, from 8 to 576 chips, in half a minute.

    Examples:

        rack-sim sweep load

        rack-sim sweep load --set scenario=my-scenario.yaml --set attainment=0.95

        rack-sim sweep load --set "rates_rps=[2, 4, 8, 16]" --set serving.slot_rows=2

        rack-sim sweep jitter --set "operator_jitter_ns=[0, 50]" --set repeat_count=5 --seed 3
    """
    started = time.perf_counter()
    loaded = load_study(study, with_seed(overrides, seed))
    target = out_dir or free_directory(Path("reports"), f"{loaded.name}-{loaded.study_hash}")
    with run_directory(target, force=force) as folder:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        hidden = quiet or not err.is_terminal
        with Progress(*columns, console=err, transient=True, disable=hidden) as bar:
            task = bar.add_task("reading the study", total=1.0)
            try:
                result = run_study(
                    loaded,
                    on_progress=lambda text, share: bar.update(
                        task, description=text, completed=share
                    ),
                )
                write_study(
                    result,
                    folder,
                    wall_s=time.perf_counter() - started,
                    figures=figures,
                    on_step=lambda text: bar.update(task, description=text, total=None),
                )
            except KeyboardInterrupt:
                bar.stop()
                err.print(f"nothing was written to {target}", soft_wrap=True)
                raise
    if not quiet:
        for warning in VIEWS[loaded.kind].warnings(result):
            err.print(f"warning: {warning}", soft_wrap=True)
    if as_json:
        head = {"study": loaded.name, "kind": loaded.kind, "study_hash": loaded.study_hash}
        say_json({**head, "path": str(target), "machines": VIEWS[loaded.kind].machines(result)})
    elif not quiet:
        for shown in VIEWS[loaded.kind].tables(result):
            out.print(shown)
        out.print(f"files: {target}", soft_wrap=True)
