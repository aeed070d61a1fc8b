"""Sensitivity: what each input of cost and machine, changed alone, does to cost and speed."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn

from rack_sim.cli.console import err, out, say_json, table, words_column
from rack_sim.cli.options import (
    HtmlOption,
    JsonOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    with_seed,
)
from rack_sim.cli.place import result_directory
from rack_sim.metrics.summary import Value
from rack_sim.report.views import Wanted, leave
from rack_sim.scenario import load_scenario
from rack_sim.study.sensitivity import SPEED, USD, run_sensitivity


def sensitivity(
    scenario: ScenarioArgument,
    change: Annotated[
        float,
        typer.Option(min=1, max=90, metavar="PERCENT", help="By how much each input is changed."),
    ] = 25.0,
    requests: Annotated[
        int,
        typer.Option(
            min=1,
            help="Replay the first so many requests, where that is ten times as long as nearly "
            "all of them take; else all.",
        ),
    ] = 1000,
    overrides: SetOption = None,
    out_dir: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Where files go [reports/sensitivity-NAME-HASH]."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    seed: SeedOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: JsonOption = False,
    figures: Annotated[bool, typer.Option(help="Draw figures.")] = True,
    workbook: Annotated[bool, typer.Option(help="Write report.xlsx.")] = True,
    html: HtmlOption = True,
) -> None:
    """Change each input of cost and machine alone: what do a token and a user's speed gain or lose?

    Prices, years, utilisation, electricity and watts are recomputed from one replay; bandwidths,
    FLOP, latencies and the rate of requests are replayed, on the same plan.

    Examples:

        rack-sim sensitivity llama70b

        rack-sim sensitivity llama70b-a100 --change 10 --set cost.utilisation=0.4
    """
    started = time.perf_counter()
    loaded = load_scenario(scenario, with_seed(overrides, seed))
    name = f"sensitivity-{loaded.name}-{loaded.scenario_hash}"
    with result_directory(out_dir, name, force=force) as draft:
        columns = (words_column(), BarColumn(), TaskProgressColumn())
        hidden = quiet or not err.is_terminal
        with Progress(*columns, console=err, transient=True, disable=hidden) as bar:
            task = bar.add_task("placing the model", total=1.0)
            result = run_sensitivity(
                loaded,
                change=change / 100,
                request_count=requests,
                on_progress=lambda words, share: bar.update(
                    task, description=words, completed=share
                ),
            )
            leave(
                result,
                draft.path,
                wall_s=time.perf_counter() - started,
                wanted=Wanted(figures, workbook, html),
                on_step=lambda text: bar.update(task, description=text, total=None),
            )
    rows = result.tables["sensitivity.csv"].records
    if as_json:
        say_json(
            {
                "scenario": loaded.name,
                "scenario_hash": loaded.scenario_hash,
                "path": str(draft.shown),
                "change": result.change,
                "request_count": result.request_count,
                "base": {name: result.base[name] for name in (USD, SPEED)},
                "effects": rows,
            }
        )
    elif not quiet:
        out.print(
            table(
                f"{loaded.name}: one input at a time, {result.requests_words}; now "
                f"{_cell(result.base[USD])} USD per million output tokens, "
                f"{_cell(result.base[SPEED])} tokens/s per user",
                [
                    ("input", "left"),
                    ("change", "right"),
                    ("from", "right"),
                    ("to", "right"),
                    ("USD per million", "right"),
                    ("", "right"),
                    ("tokens/s per user", "right"),
                    ("", "right"),
                ],
                [_shown(row) for row in rows],
            )
        )
        for row in rows:
            if row["note"]:
                out.print(f"{row['input']}: {row['note']}", soft_wrap=True)
        out.print(f"files: {draft.shown}", soft_wrap=True)


def _shown(row: dict[str, Value]) -> tuple[str, ...]:
    return (
        f"{row['input']}, {row['unit']}",
        _percent(row["change_share"], 0),
        _cell(row["before"]),
        _cell(row["after"]),
        _cell(row[USD]),
        _percent(row["usd_change_share"], 1),
        _cell(row[SPEED]),
        _percent(row["speed_change_share"], 1),
    )


def _cell(value: Value) -> str:
    return f"{value:,.6g}" if isinstance(value, int | float) else "-"


def _percent(value: Value, digits: int) -> str:
    if not isinstance(value, int | float):
        return "-"
    percent = round(value * 100, digits)
    return f"{percent:+.{digits}f} %" if percent else "0 %"
