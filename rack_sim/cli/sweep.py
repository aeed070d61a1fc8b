"""Sweep: runs a study, that is many replays, and writes what they say together."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn
from rich.table import Table

from rack_sim.cli.console import err, out, say_json, words_column
from rack_sim.cli.grid_view import grid_content, grid_exit_code, grid_tables, grid_warnings
from rack_sim.cli.jitter_view import jitter_content, jitter_tables
from rack_sim.cli.load_view import load_content, load_views, load_warnings
from rack_sim.cli.options import JsonOption, with_seed
from rack_sim.cli.place import result_directory
from rack_sim.foundation.units import counted
from rack_sim.report.views import Wanted, leave
from rack_sim.scenario import GridStudy, load_study
from rack_sim.study.grid import POINT_COUNT_MAX
from rack_sim.study.kinds import refuse_executor, run_study


class View(NamedTuple):
    """How a study of one kind is shown: tables for the terminal, content for JSON, warnings.

    `content` stands under `noun` in the JSON; `exit_code` is what scripts are told.
    """

    tables: Callable[[Any], Iterable[Table]]
    content: Callable[[Any], list[dict[str, object]]]
    warnings: Callable[[Any], Iterable[str]] = lambda _result: ()
    noun: str = "machines"
    exit_code: Callable[[Any], int] = lambda _result: 0


# kind of study -> its view
VIEWS: dict[str, View] = {
    "jitter": View(jitter_tables, jitter_content),
    "load": View(load_views, load_content, load_warnings),
    "grid": View(grid_tables, grid_content, grid_warnings, "points", grid_exit_code),
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
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Write every table as Parquet, too.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Points that run at a time (kind: grid) [1; on a cluster, all it has room for]."
        ),
    ] = None,
    backend: Annotated[
        str, typer.Option(help="Where points run: loky (this machine), dask or ray.")
    ] = "loky",
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="The cluster: tcp://HOST:8786 of Dask, HOST:6379 of Ray; without, one is started "
            "on this machine for the time of the sweep.",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help=f"Run more than {POINT_COUNT_MAX:,} points.")
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Begin anew: what an interrupted sweep has left is set aside."
        ),
    ] = False,
) -> None:
    """Run a study: many replays compared.

    A study of kind `grid` runs every combination of some values, and goes on where it was
    interrupted: chips against context length, SRAM, links, tensor parallelism, topology, precision
    (`rack-sim list studies`). The study `load` asks at which rate of requests a machine saturates;
    `jitter`, what it loses when its operators do not take the time that was compiled.

    Examples:

        rack-sim sweep sram-per-chip

        rack-sim sweep links --jobs 4 --set "grid.system.links.local.latency_ns=[240, 533]"

        rack-sim sweep links --backend dask --scheduler tcp://10.0.0.5:8786

        rack-sim sweep load --set scenario=my-scenario.yaml --set attainment=0.95

        rack-sim sweep load --set "rates_rps=[2, 4, 8, 16]" --set serving.slot_rows=2

        rack-sim sweep jitter --set "operator_jitter_ns=[0, 50]" --set repeat_count=5 --seed 3
    """
    started = time.perf_counter()
    loaded = load_study(study, with_seed(overrides, seed))
    refuse_executor(loaded, jobs=jobs, backend=backend, scheduler=scheduler)
    name = f"{loaded.name}-{loaded.study_hash}"
    columns = (
        words_column(),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    hidden = quiet or not err.is_terminal
    with (
        result_directory(out_dir, name, force=force) as draft,
        Progress(*columns, console=err, transient=True, disable=hidden) as bar,
    ):
        kept = draft.asked if out_dir is not None else draft.asked.with_name(name)
        journal = kept.with_name(f"{kept.name}.points.jsonl")
        task = bar.add_task("reading the study", total=1.0)

        def note(text: str) -> None:
            if not quiet:
                bar.console.print(text, soft_wrap=True)

        try:
            result = run_study(
                loaded,
                on_progress=lambda text, share: bar.update(task, description=text, completed=share),
                jobs=jobs,
                backend=backend,
                scheduler=scheduler,
                journal=journal,
                fresh=fresh,
                point_count_max=None if yes else POINT_COUNT_MAX,
                on_note=note,
            )
            leave(
                result,
                draft.path,
                wall_s=time.perf_counter() - started,
                wanted=Wanted(figures, parquet=parquet),
                on_step=lambda text: bar.update(task, description=text, total=None),
            )
        except BaseException:
            bar.stop()
            _say_what_is_kept(journal)
            raise
    if isinstance(loaded, GridStudy):
        journal.unlink(missing_ok=True)  # its rows stand in the result by now
    view = VIEWS[loaded.kind]
    if not quiet:
        for warning in view.warnings(result):
            err.print(f"warning: {warning}", soft_wrap=True)
    if as_json:
        head = {"study": loaded.name, "kind": loaded.kind, "study_hash": loaded.study_hash}
        say_json({**head, "path": str(draft.shown), view.noun: view.content(result)})
    elif not quiet:
        for shown in view.tables(result):
            out.print(shown)
        out.print(f"files: {draft.shown}", soft_wrap=True)
    code = view.exit_code(result)
    if code:
        raise typer.Exit(code)


def _say_what_is_kept(journal: Path) -> None:
    """Where a sweep that ended early has left its points, and how it goes on."""
    kept = 0
    with suppress(OSError):
        kept = journal.read_bytes().count(b"\n") - 1
    if kept > 0:
        words = f"{counted(kept, 'finished point')} kept in {journal}"
        hint = "the same command goes on from there"
        err.print(f"{words}: {hint}", soft_wrap=True)
