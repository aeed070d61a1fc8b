"""Study machines: the named points of a grid study, each a scenario and what is laid on it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.scenario.build import build_scenario
from rack_sim.scenario.document import Keys
from rack_sim.scenario.fields import Validation
from rack_sim.scenario.library import find
from rack_sim.scenario.loader import complete_tree, load_tree
from rack_sim.scenario.problems import from_validation
from rack_sim.scenario.scenario import Scenario
from rack_sim.scenario.schema import ScenarioSchema
from rack_sim.scenario.study_changes import KeyChange, placed
from rack_sim.scenario.study_points import copied
from rack_sim.scenario.study_schema import GridStudySchema, StudyPointSchema


class Root(NamedTuple):
    """A scenario with its presets put in, and the folder that its paths start from."""

    keys: Keys
    folder: Path


class StudyMachine(NamedTuple):
    """A named point: its scenario, and what is laid on it before the grid."""

    name: str
    root: Root
    changes: list[KeyChange]


def scenario_of_point_keys(
    keys: Mapping[str, Any], folder: str, changes: Sequence[str]
) -> Scenario:
    """The scenario that `changes` (``key=value``) make of `keys`, as one point of a grid has it.

    Raises InputError with every problem found, without places in a file.
    """
    reading = Validation()
    tree = complete_tree(deepcopy(dict(keys)), Path(folder), changes, reading)
    return build_scenario(tree, Path(folder), reading)


def machines_of(
    schema: GridStudySchema,
    tree: Keys,
    path: Path,
    common: list[KeyChange],
    named: list[list[KeyChange]],
    reading: Validation,
) -> Iterator[StudyMachine]:
    """Every named point, or the study's scenario alone. Raises InputError where one has none."""
    shared = _root(tree, path.parent, reading) if schema.scenario is not None else None
    points: Sequence[StudyPointSchema | None] = schema.points or [None]
    problems: list[Problem] = []
    for number, point in enumerate(points):
        root = shared
        if point is not None and point.scenario is not None:
            root = _root(tree["points"][number], path.parent, reading)
        if root is None:
            holder = tree if point is None else tree["points"]
            reading.complain(
                holder, None if point is None else number, "has no scenario, nor has the study"
            )
            problems.append(reading.problems.pop())
            continue
        name = point.name if point else ""
        yield StudyMachine(name, root, [*common, *(named[number] if point else [])])
    if problems:
        raise InputError(problems)


def _root(holder: Keys, folder: Path, reading: Validation) -> Root:
    """The scenario under the key ``scenario``, presets put in, the path of its trace in full.

    Raises InputError where it cannot be read.
    """
    given = holder["scenario"]
    own, path = Validation(reading.marks), folder
    try:
        if isinstance(given, str):
            path = find("scenario", given, folder)
            keys = load_tree(path, [], own, trace=None, skip_bad_rows=False)
            folder = path.parent
        else:
            keys = complete_tree(copied(given, reading.marks), folder, [], own)
    except InputError as error:
        mark = reading.marks.get(holder, "scenario")
        found = InputError([*own.problems, *error.problems])
        raise (mark.names(path, found) if mark else found) from None
    if own.problems:
        raise InputError(own.problems)
    folder = folder.resolve()
    workload = keys.get("workload")
    if isinstance(workload, dict) and isinstance(workload.get("path"), str):
        workload["path"] = str(folder / workload["path"])
    return Root(keys, folder)


@dataclass(frozen=True)
class BuildAttempt:
    """What some changes make of a machine.

    `refused` are problems of form, which are there whatever else changes; `unfit` are those of
    values that do not go together, which another change may mend. `digest` is of the scenario, or,
    where it is unfit, of its form; "" where that is refused.
    """

    scenario: Scenario | None
    digest: str
    trace_sha256: str
    refused: list[Problem]
    unfit: list[Problem]


def try_build(
    machine: StudyMachine, more: Sequence[KeyChange], reading: Validation
) -> BuildAttempt:
    """What `more`, laid on a machine, makes of it; problems in their places in the study."""
    changes = [*machine.changes, *more]
    tree: Keys = {}
    own = Validation(reading.marks)
    try:
        tree = _tree(machine, changes, own)
        form = ScenarioSchema.model_validate(tree, context=own)
        if own.problems:
            raise InputError(own.problems)
    except (InputError, ValidationError) as error:
        found = (
            error.problems
            if isinstance(error, InputError)
            else [*own.problems, *from_validation(error, tree, own)]
        )
        refused = placed(list(dict.fromkeys(found)), changes, machine.name)
        return BuildAttempt(None, "", "", refused, [])
    own = Validation(reading.marks)
    try:
        scenario = build_scenario(_tree(machine, changes, own), machine.root.folder, own)
    except InputError as error:
        digest = sha256(json.dumps(form.model_dump(mode="json"), sort_keys=True).encode())
        unfit = placed(list(dict.fromkeys(error.problems)), changes, machine.name)
        return BuildAttempt(None, digest.hexdigest(), "", [], unfit)
    check = scenario.trace_check
    return BuildAttempt(scenario, scenario.scenario_hash, check.sha256 if check else "", [], [])


def _tree(machine: StudyMachine, changes: Sequence[KeyChange], own: Validation) -> Keys:
    texts = [change.text for change in changes]
    return complete_tree(copied(machine.root.keys, own.marks), machine.root.folder, texts, own)
