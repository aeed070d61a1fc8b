"""Sensitivity: what each input of cost and machine, changed alone, does to cost and speed."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.table import Table

from rack_sim.cli.console import table
from rack_sim.cli.leave import leaving
from rack_sim.cli.options import Output, ScenarioArgument, SeedOption, SetOption, grouped, with_seed
from rack_sim.metrics.summary import Value
from rack_sim.scenario import load_scenario
from rack_sim.study.sensitivity import SPEED, USD, Sensitivity, run_sensitivity


@grouped
def sensitivity(
    *,
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
    seed: SeedOption = None,
    output: Output,
) -> None:
    """Change each input of cost and machine alone: what do a token and a user's speed gain or lose?

    Prices, years, utilisation, electricity and watts are recomputed from one replay; bandwidths,
    FLOP, latencies and the rate of requests are replayed, on the same plan.

    Examples:

        rack-sim sensitivity llama70b

        rack-sim sensitivity llama70b-a100 --change 10 --set cost.utilisation=0.4
    """
    loaded = load_scenario(scenario, with_seed(overrides, seed))
    with leaving(output, f"sensitivity-{loaded.name}-{loaded.scenario_hash}") as work:
        work.show("placing the model")
        result = run_sensitivity(
            loaded, change=change / 100, request_count=requests, on_progress=work.show
        )
        work.leave(result)
    head = {
        "scenario": loaded.name,
        "scenario_hash": loaded.scenario_hash,
        "path": str(work.shown),
        "change": result.change,
        "request_count": result.request_count,
        "base": {name: result.base[name] for name in (USD, SPEED)},
    }
    work.say(
        content=lambda: {**head, "effects": result.tables["sensitivity.csv"].records},
        lines=lambda: _lines(loaded.name, result),
    )


def _lines(name: str, result: Sensitivity) -> Iterator[str | Table]:
    rows = result.tables["sensitivity.csv"].records
    yield table(
        f"{name}: one input at a time, {result.requests_words}; now "
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
    for row in rows:
        if row["note"]:
            yield f"{row['input']}: {row['note']}"


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
