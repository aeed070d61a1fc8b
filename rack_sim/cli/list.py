"""List: the presets that come with rack-sim."""

from enum import StrEnum
from typing import Annotated

import typer

from rack_sim.cli.console import headings, out, say_json, table
from rack_sim.cli.options import JsonOption
from rack_sim.engine.policies import POLICIES
from rack_sim.engine.routers import ROUTERS
from rack_sim.scenario.library import describe, presets
from rack_sim.scenario.model_alone import load_model
from rack_sim.study.model_needs import ModelNeeds


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

    Models are grouped by family, with what each is made of and what its cache keeps in 16 bits.

    Examples:

        rack-sim list systems

        rack-sim list models
    """
    if kind is PresetKind.MODELS:
        _list_models(as_json=as_json)
        return
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


_MODEL_COLUMNS = (
    "name, family, >parameters, >met by a token, >cache B/token, >state B/sequence, >context"
)


def _list_models(*, as_json: bool) -> None:
    found = {name: ModelNeeds(load_model(name)) for name in presets("model")}
    if as_json:
        say_json({name: _model_dict(name, needs) for name, needs in found.items()})
        return
    rows = [
        (
            name,
            needs.alone.model_type,
            f"{needs.model.parameter_count:,}",
            f"{needs.model.active_parameter_count:,}",
            f"{needs.kv_bytes_per_token:,}",
            f"{needs.state_bytes_per_sequence:,}",
            f"{needs.model.max_context_tokens:,}",
        )
        for name, needs in sorted(found.items(), key=lambda item: item[1].alone.model_type)
    ]
    out.print(table("models", headings(_MODEL_COLUMNS), rows))


def _model_dict(name: str, needs: ModelNeeds) -> dict[str, object]:
    return {
        "description": describe(presets("model")[name]),
        "family": needs.alone.model_type,
        "parameter_count": needs.model.parameter_count,
        "active_parameter_count": needs.model.active_parameter_count,
        "kv_bytes_per_token": needs.kv_bytes_per_token,
        "state_bytes_per_sequence": needs.state_bytes_per_sequence,
        "max_context_tokens": needs.model.max_context_tokens,
    }


def _first_sentence(text: str | None) -> str:
    return (text or "").strip().split("\n")[0].rstrip(".")
