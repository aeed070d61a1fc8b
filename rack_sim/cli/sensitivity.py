"""Sensitivity: what each input of cost and machine, changed alone, does to cost and speed."""

from typing import Annotated

import typer

from rack_sim.cli.leave import leaving
from rack_sim.cli.options import (
    OutputOptions,
    ScenarioArgument,
    SeedOption,
    SetOption,
    grouped,
    with_seed,
)
from rack_sim.scenario import load_scenario
from rack_sim.study.sensitivity import run_sensitivity


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
    output: OutputOptions,
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
    work.say()
