"""Scenario: from YAML to domain objects, or every problem at once.

- `document`: a file as plain Python, with the place of every key
- `library`: presets by name
- `loader`: presets and overrides put in
- `fields`, `schema`, `hardware_schema`, `workload_schema`: what a file may say
- `problems`: what validation says, in words
- `build`, `traffic`: schema to domain objects
- `scenario`: the result
- `reference`: the generated documentation of every key
"""

from collections.abc import Sequence
from pathlib import Path

from rack_sim.scenario.build import build_scenario
from rack_sim.scenario.fields import Reading
from rack_sim.scenario.library import find
from rack_sim.scenario.loader import load_tree
from rack_sim.scenario.scenario import Scenario

__all__ = ["Scenario", "load_scenario"]


def load_scenario(reference: str | Path, overrides: Sequence[str] = ()) -> Scenario:
    """The scenario in a file, or the preset of that name, with ``key.subkey=value`` overrides.

    Raises InputError with every problem found.
    """
    path = Path(reference)
    if not path.exists():
        path = find("scenario", str(reference), Path())
    reading = Reading()
    return build_scenario(load_tree(path, overrides, reading), path.parent, reading)
