"""Sweep: runs a study, that is many replays, and writes what they say together."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from rack_sim.cli.console import err
from rack_sim.cli.leave import Leaving, leaving
from rack_sim.cli.options import OutputOptions, grouped, with_seed
from rack_sim.foundation.executor import Workers
from rack_sim.foundation.units import counted
from rack_sim.scenario import STUDIES, load_study
from rack_sim.study.kinds import refuse_workers, run_study
from rack_sim.study.options import POINT_COUNT_MAX, StudyOptions


@dataclass(frozen=True)
class PointOptions:
    """How the points of a grid are worked through: options."""

    jobs: Annotated[
        int | None,
        typer.Option(
            help="Points that run at a time (kind: grid) [1; on a cluster, all it has room for]."
        ),
    ] = None
    backend: Annotated[
        str, typer.Option(help="Where points run: loky (this machine), dask or ray.")
    ] = "loky"
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="The cluster: tcp://HOST:8786 of Dask, HOST:6379 of Ray; without, one is started "
            "on this machine for the time of the sweep.",
        ),
    ] = None
    yes: Annotated[
        bool, typer.Option("--yes", help=f"Run more than {POINT_COUNT_MAX:,} points.")
    ] = False
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Begin anew: what an interrupted sweep has left is set aside."
        ),
    ] = False

    @property
    def workers(self) -> Workers:
        """Where points run."""
        return Workers(self.backend, self.jobs, self.scheduler)


@grouped
def sweep(
    *,
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
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of every draw, instead of the study's.")
    ] = None,
    points: PointOptions,
    output: OutputOptions,
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
    loaded = load_study(study, with_seed(overrides, seed))
    refuse_workers(loaded, points.workers)
    name = f"{loaded.name}-{loaded.study_hash}"
    with leaving(output, name) as work:
        kept = work.asked if output.out_dir is not None else work.asked.with_name(name)
        journal = kept.with_name(f"{kept.name}.points.jsonl")
        options = StudyOptions(
            workers=points.workers,
            journal=journal,
            fresh=points.fresh,
            point_count_max=None if points.yes else POINT_COUNT_MAX,
            on_progress=work.show,
            on_note=work.show.note,
        )
        work.show("reading the study")
        with _saying_what_is_kept(journal, work):
            work.leave(run_study(loaded, options))
    if not STUDIES[loaded.kind].one_process_because:
        journal.unlink(missing_ok=True)  # its rows stand in the result by now
    code = work.say()
    if code:
        raise typer.Exit(code)


@contextmanager
def _saying_what_is_kept(journal: Path, work: Leaving) -> Iterator[None]:
    """Says of a sweep that ends early where it has left its points, and how it goes on."""
    try:
        yield
    except BaseException:
        work.show.stop()
        kept = 0
        with suppress(OSError):
            kept = journal.read_bytes().count(b"\n") - 1
        if kept > 0:
            words = f"{counted(kept, 'finished point')} kept in {journal}"
            hint = "the same command goes on from there"
            err.print(f"{words}: {hint}", soft_wrap=True)
        raise
