"""Sweep: runs a study, that is many replays, and writes what they say together."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from rack_sim.cli.console import err, out, say_json, table
from rack_sim.cli.options import JsonOption, with_seed
from rack_sim.foundation.units import PS_PER_MS, PS_PER_NS, format_time
from rack_sim.report.run_directory import free_directory, run_directory
from rack_sim.report.study_files import write_jitter_study
from rack_sim.scenario import load_study
from rack_sim.study.jitter import JitterPoint, JitterResult, JitterRow, run_jitter_study


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

    The study `jitter` asks what a machine loses when its operators do not take the time that was
    compiled, from 8 to 576 chips. It takes half a minute on one core.

    Examples:

        rack-sim sweep jitter

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
                result = run_jitter_study(
                    loaded,
                    on_progress=lambda text, share: bar.update(
                        task, description=text, completed=share
                    ),
                )
                write_jitter_study(
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
    if as_json:
        say_json(_content(result, target))
    elif not quiet:
        _print(result)
        out.print(f"files: {target}", soft_wrap=True)


def _print(result: JitterResult) -> None:
    """Two tables: a user's tokens per second, and the tail of a token's time."""
    for title, cell in (
        ("tokens/s of a user, by mean extra time of an operator", _tokens_cell),
        ("time between two tokens of a user, p99", _tail_cell),
    ):
        names = [_jitter_text(row) for row in result.points[0].rows]
        columns = [("machine", "left"), *((name, "right") for name in names)]
        rows = [(point.name, *(cell(point, row) for row in point.rows)) for point in result.points]
        out.print(table(f"{result.study.name}: {title}", columns, rows))


def _tokens_cell(point: JitterPoint, row: JitterRow) -> str:
    return f"{point.user_tokens_per_s(row):,.0f} ({point.kept_share(row):.0%})"


def _tail_cell(_: JitterPoint, row: JitterRow) -> str:
    return format_time(round(row.gap.p99_ps))


def _jitter_text(row: JitterRow) -> str:
    return f"{row.operator_jitter_ps / PS_PER_NS:,.10g} ns" if row.operator_jitter_ps else "none"


def _content(result: JitterResult, target: Path) -> dict[str, object]:
    return {
        "study": result.study.name,
        "kind": "jitter",
        "study_hash": result.study.study_hash,
        "path": str(target),
        "machines": [
            {
                "name": point.name,
                "chip_count": point.chip_count,
                "replays": [
                    {
                        "operator_jitter_ns": row.operator_jitter_ps / PS_PER_NS,
                        "tok_s_per_user": point.user_tokens_per_s(row),
                        "tok_s": row.tokens_per_s,
                        "kept_share": point.kept_share(row),
                        "token_gap_ms_mean": row.gap.mean_ps / PS_PER_MS,
                        "token_gap_ms_p99": row.gap.p99_ps / PS_PER_MS,
                        "last_stage_slip_ms_mean": float(row.slip_ps[-1]) / PS_PER_MS,
                    }
                    for row in point.rows
                ],
            }
            for point in result.points
        ],
    }
