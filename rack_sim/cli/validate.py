"""Validate: checks scenarios and says every problem at once."""

from typing import Annotated

import typer

from rack_sim.cli.console import complain, out
from rack_sim.cli.options import SetOption
from rack_sim.foundation.errors import InputError
from rack_sim.scenario import load_scenario


def validate(
    scenarios: Annotated[
        list[str], typer.Argument(help="Scenario files, or presets' names.", metavar="SCENARIO...")
    ],
    overrides: SetOption = None,
) -> None:
    """Check scenarios, their presets and traces, without running anything.

    Prints every problem as file:line:column and exits with 2 if there is any.

    Example:

        rack-sim validate scenarios/llama70b.yaml my-scenario.yaml
    """
    wrong = False
    for reference in scenarios:
        try:
            loaded = load_scenario(reference, overrides or [])
        except InputError as error:
            complain(error)
            wrong = True
        else:
            assumed = sum(1 for item in loaded.provenance if item.is_assumed)
            out.print(
                f"{reference}: ok ({loaded.name}, {assumed} of {len(loaded.provenance)} numbers "
                f"assumed, digest {loaded.scenario_hash})"
            )
    if wrong:
        raise typer.Exit(InputError.exit_code)
