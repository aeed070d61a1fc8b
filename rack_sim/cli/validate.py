"""Validate: checks scenarios, systems and studies and says every problem at once."""

from pathlib import Path
from typing import Annotated

import typer

from rack_sim.cli.console import complain, out
from rack_sim.cli.options import SetOption
from rack_sim.foundation.errors import InputError
from rack_sim.scenario import kind_of_file, load_scenario, load_study, load_system


def validate(
    scenarios: Annotated[
        list[str],
        typer.Argument(
            help="Files of scenarios, systems or studies, or scenarios' names.", metavar="FILE..."
        ),
    ],
    overrides: SetOption = None,
) -> None:
    """Check scenarios, their presets and traces, systems and studies, without running anything.

    Prints every problem as file:line:column and exits with 2 if there is any.

    Example:

        rack-sim validate scenarios/llama70b.yaml my-scenario.yaml
    """
    wrong = False
    for reference in scenarios:
        try:
            kind = kind_of_file(reference)
            if kind == "system":
                system = load_system(str(Path(reference).resolve()))
                out.print(f"{reference}: ok (system {system.name})")
                continue
            if kind == "study":
                study = load_study(reference)
                out.print(f"{reference}: ok (study {study.name})")
                continue
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
