"""List: the presets that come with rack-sim."""

from enum import StrEnum
from typing import Annotated

import typer

from rack_sim.cli.console import headings, out, say_json, table
from rack_sim.cli.options import JsonOption
from rack_sim.engine.policies import POLICIES
from rack_sim.engine.routers import ROUTERS
from rack_sim.scenario.library import describe, presets


class PresetKind(StrEnum):
    """What can be listed."""

    CHIPS = "chips"
    SYSTEMS = "systems"
    MODELS = "models"
    SCENARIOS = "scenarios"
    STUDIES = "studies"
    PRICES = "prices"
    POLICIES = "policies"
    ROUTERS = "routers"


def list_presets(
    kind: Annotated[PresetKind, typer.Argument(help="What to list.")],
    as_json: JsonOption = False,
) -> None:
    """List the chips, systems, models, scenarios, studies, prices, policies or routers there are.

    Example:

        rack-sim list systems
    """
    if kind in (PresetKind.POLICIES, PresetKind.ROUTERS):
        known = POLICIES if kind is PresetKind.POLICIES else ROUTERS
        rows = [(name, _first_sentence(item.__doc__)) for name, item in known.items()]
    else:
        singular = "study" if kind is PresetKind.STUDIES else kind.value.removesuffix("s")
        rows = [(name, describe(path)) for name, path in presets(singular).items()]
    if as_json:
        say_json(dict(rows))
        return
    out.print(table(kind.value, headings("name, what it is"), rows))


def _first_sentence(text: str | None) -> str:
    return (text or "").strip().split("\n")[0].rstrip(".")
