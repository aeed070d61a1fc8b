"""Scenario: from YAML to domain objects, or every problem at once.

- `document`: a file as plain Python, with the place of every key
- `library`: presets by name
- `loader`: presets and overrides put in
- `fields`, `schema`, `hardware_schema`, `topology_schema`, `workload_schema`: what a file may say
- `inline`: a system in one line
- `sizes`, `group`: sizes of messages and chips, as a command line gives them
- `problems`: what validation says, in words
- `build`, `hardware`, `traffic`: schema to domain objects
- `scenario`: the result
- `file_kinds`: what a file is meant to be; chips, models and prices judged on their own
- `study`, `study_schema`, `study_points`: files that compare many scenarios; `study_grid`,
  `study_machines`, `study_changes`: every combination of some values
- `studies`: what they become, one class per kind
- `reference`: the generated documentation of every key
- `json_schema`, `json_rules`: the generated schemas that editors check files with
- `serving`, `serving_schema`, `power_schema`: how requests are served; watts and prices
- `precision`, `precision_schema`: number formats; `model_alone`: a model without a scenario
- `registered`: schemas of what stands in a registry
- `study_kind`, `study_kinds`: what a kind of study is, and a file for each
- `plausible`: sizes held against the limits of work; `chip_file`: a chip written out again
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import category

import yaml

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.system import System
from rack_sim.scenario.build import build_scenario, build_system_alone, resolved_keys
from rack_sim.scenario.document import IMPLICIT_RESOLVERS, Marks, read_document
from rack_sim.scenario.fields import Validation
from rack_sim.scenario.file_kinds import FileKind, PartKind, kind_of_file, load_part
from rack_sim.scenario.inline import inline_system, is_inline
from rack_sim.scenario.library import locate
from rack_sim.scenario.loader import complete_tree, load_system_tree, load_tree
from rack_sim.scenario.scenario import Scenario
from rack_sim.scenario.studies import (
    GridAxis,
    GridBase,
    GridPoint,
    GridStudy,
    Study,
    StudyPoint,
)
from rack_sim.scenario.study import load_study
from rack_sim.scenario.study_kinds import STUDIES
from rack_sim.scenario.study_kinds.jitter import JitterStudy
from rack_sim.scenario.study_kinds.load import LoadStudy
from rack_sim.scenario.study_machines import scenario_of_point_keys

__all__ = [
    "STUDIES",
    "FileKind",
    "GridAxis",
    "GridBase",
    "GridPoint",
    "GridStudy",
    "JitterStudy",
    "LoadStudy",
    "PartKind",
    "Scenario",
    "Study",
    "StudyPoint",
    "kind_of_file",
    "load_part",
    "load_scenario",
    "load_study",
    "load_system",
    "read_resolved",
    "read_resolved_study",
    "resolved_yaml",
    "scenario_of_keys",
    "scenario_of_point_keys",
]


def load_scenario(
    reference: str | Path,
    overrides: Sequence[str] = (),
    *,
    trace: str | Path | None = None,
    skip_bad_rows: bool = False,
    served: bool = True,
) -> Scenario:
    """The scenario in a file, or the preset of that name, with ``key.subkey=value`` overrides.

    `trace` replays that file instead of the scenario's workload (options of a trace workload are
    kept); `skip_bad_rows` counts and lists malformed rows of it instead of refusing them. What is
    not `served` may have reactive chips where slots are meant. Raises InputError with every problem
    found.
    """
    path = locate("scenario", str(reference))
    reading = Validation()
    try:
        tree = load_tree(path, overrides, reading, trace=trace, skip_bad_rows=skip_bad_rows)
    except InputError as error:
        raise InputError([*reading.problems, *error.problems]) from None
    return build_scenario(tree, path.parent, reading, served=served)


def scenario_of_keys(
    keys: dict[str, Any], folder: Path = Path(), overrides: Sequence[str] = ()
) -> Scenario:
    """The scenario that keys written in a program describe, as a file of them would.

    `folder` is where relative paths start; `overrides` are laid on top. Raises InputError with
    every problem found.
    """
    reading = Validation()
    halves = list(_half_characters(keys, ""))
    if halves:
        raise InputError(halves)
    try:
        tree = complete_tree(keys, folder, overrides, reading)
    except InputError as error:
        raise InputError([*reading.problems, *error.problems]) from None
    return build_scenario(tree, folder, reading)


def _half_characters(value: Any, field: str) -> Iterator[Problem]:
    """Text of a program that no file can hold."""
    if isinstance(value, dict | list | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _half_characters(item, f"{field}.{key}".lstrip("."))
            yield from _half_characters(key, field)
    elif isinstance(value, str) and not value.isascii() and any(category(c) == "Cs" for c in value):
        yield Problem("half a pair of surrogates is no character", field=field)


def load_system(reference: str) -> System:
    """The system in a file, or the preset of that name, or in one line, on its own.

    A line names a kind of topology, its sizes and what is not as usual: ``ring:8``,
    ``torus:4x8,latency_ns=700,failed=0-1``. Raises InputError with every problem found.
    """
    reading = Validation()
    if os.path.isfile(reference):  # noqa: PTH113 - a name too long for a file is none
        reference = os.path.join(".", reference)  # noqa: PTH118 - keeps the dot: no preset
    if is_inline(reference):
        return inline_system(reference, reading)
    try:
        tree = load_system_tree(reference, reading)
    except InputError as error:
        # Without a place it is the reference itself that names nothing.
        found = [problem if problem.place else _hinted(problem) for problem in error.problems]
        raise InputError([*reading.problems, *found]) from None
    return build_system_alone(tree, reading)


def _hinted(problem: Problem) -> Problem:
    hint = "a system in one line looks like ring:8 or torus:4x8,latency_ns=700"
    return replace(problem, suggestion=f"{problem.suggestion}; {hint}".removeprefix("; "))


def read_resolved(path: Path) -> dict[str, Any]:
    """The keys of a resolved.yaml, each of the type that a scenario has there.

    Raises InputError where it cannot be read, or is no resolved scenario.
    """
    reading = Validation()
    content = read_document(path, reading.marks, reading.problems)
    parts = ("model", "workload", "system")
    if not isinstance(content, dict) or not all(isinstance(content.get(p), dict) for p in parts):
        raise InputError([*reading.problems, Problem("is no resolved scenario", str(path), 1)])
    return resolved_keys(content, reading)


def read_resolved_study(path: Path) -> dict[str, Any]:
    """The keys of a study's resolved.yaml as they stand there, nothing checked.

    Raises InputError where it cannot be read.
    """
    problems: list[Problem] = []
    content = read_document(path, Marks(), problems)
    if problems:
        raise InputError(problems)
    if not isinstance(content, dict):
        raise InputError(Problem("is no resolved study", str(path), 1))
    return content


# A reader of YAML takes these for the end of a line, or for a mark that is no part of the text.
_ESCAPED = re.compile("[\x85\u2028\u2029\ufeff]")


class _Dumper(yaml.SafeDumper):
    """Quotes every word that we, too, would take for something else (``'1e5'``, ``'nan'``).

    Whatever text there is, reading it gives the same.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        merged = {first: list(found) for first, found in self.yaml_implicit_resolvers.items()}
        for first, found in IMPLICIT_RESOLVERS.items():
            merged.setdefault(first, []).extend(found)
        self.yaml_implicit_resolvers = merged

    def represent_text(self, text: str) -> yaml.Node:
        """A word, in the quotes in which characters can be escaped where it needs them."""
        style = '"' if _ESCAPED.search(text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


def resolved_yaml(scenario: Scenario | Study) -> str:
    """A scenario or study with every preset and default written out; loading it gives the same."""
    head = "# Written by rack-sim: every preset and default of the run, in base units.\n"
    return head + yaml.dump(
        dict(scenario.resolved), Dumper=_Dumper, sort_keys=False, allow_unicode=True
    )
