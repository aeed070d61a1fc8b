"""Study: a file that compares many replays, read into scenarios; every problem at once.

A change given on the command line goes to the study where its first key is one of the study's
(``step_count``, ``rates_rps``), else to the scenario of every point.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.scenario.document import quantity_of, read_document
from rack_sim.scenario.fields import Validation
from rack_sim.scenario.library import locate
from rack_sim.scenario.loader import change_tree
from rack_sim.scenario.problems import from_validation, in_order
from rack_sim.scenario.studies import Study, StudyPoint
from rack_sim.scenario.study_changes import anchor_changes
from rack_sim.scenario.study_kind import StudyKind
from rack_sim.scenario.study_kinds import STUDIES
from rack_sim.scenario.study_points import scenario_of_point
from rack_sim.scenario.study_schema import StudySchema


def load_study(reference: str | Path, overrides: Sequence[str] = ()) -> Study:
    """The study in a file, or the preset of that name, with ``key.subkey=value`` overrides.

    Raises InputError with every problem found.
    """
    path = locate("study", str(reference))
    reading = Validation()
    tree = read_document(path, reading.marks, reading.problems)
    if not isinstance(tree, dict):
        raise InputError(Problem("must be a mapping of keys to values", str(path), 1, 1))
    kind = _kind_of(tree, path, reading)
    anchor_changes(tree, path.parent)
    if kind.read is not None:
        return kind.read(tree, path, overrides, reading)
    own = {quantity_of(key) for key in kind.schema.model_fields}
    for_study = [text for text in overrides if quantity_of(_first_key(text)) in own]
    for_points = [text for text in overrides if text not in for_study]
    change_tree(tree, for_study, reading)
    try:
        schema = kind.schema.model_validate(tree, context=reading)
    except ValidationError as error:
        found = from_validation(error, tree, reading)
        raise InputError(in_order([*reading.problems, *found])) from None
    _check_names(schema, tree, reading)
    kind.check(schema, tree, reading)
    problems = list(reading.problems)
    points: list[StudyPoint] = []
    for name, holder, changes in _given_points(schema, tree, reading, problems):
        try:
            scenario = scenario_of_point(
                name,
                holder,
                changes,
                for_points,
                path.parent,
                reading.marks,
                lambda built: kind.refuse(schema, built),
            )
            points.append(StudyPoint(name or scenario.name, scenario))
        except InputError as error:
            problems += (item for item in error.problems if item not in problems)
    if problems:
        raise InputError(in_order(problems))
    resolved = schema.model_dump(mode="json", exclude={"scenario", "points"}, exclude_none=True)
    resolved["points"] = [
        {"name": point.name, "scenario": dict(point.scenario.resolved)} for point in points
    ]
    shared = {
        "name": schema.name,
        "description": schema.description,
        "points": tuple(points),
        "resolved": resolved,
        "study_hash": _digest(resolved),
        "place": str(path),
    }
    if kind.build is None:
        raise AssertionError("a kind of study without a reader of its own is built")
    return kind.build(schema, shared)


def _given_points(
    schema: StudySchema, tree: dict[str, Any], reading: Validation, problems: list[Problem]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name of each point, the mapping that its scenario stands in, and its changes.

    Without points, the study's scenario is the only one, and its name is left to it.
    """
    message = "has no scenario, and the study has none either"
    if schema.points is None:
        if schema.scenario is None:
            reading.complain(tree, None, "has neither a scenario nor points")
            problems.append(reading.problems.pop())
        else:
            yield "", tree, {}
        return
    for number, point in enumerate(schema.points):
        given = tree["points"][number]
        if point.scenario is None and schema.scenario is None:
            reading.complain(tree["points"], number, message)
            problems.append(reading.problems.pop())
            continue
        yield point.name, tree if point.scenario is None else given, given.get("overrides") or {}


def _kind_of(tree: dict[str, Any], path: Path, reading: Validation) -> StudyKind:
    kind = tree.get("kind")
    if isinstance(kind, str) and kind in STUDIES:
        return STUDIES[kind]
    if kind is None:
        hint = "a scenario is run by `rack-sim run`" if "model" in tree else _kinds()
        reading.complain(tree, None, "key 'kind' is missing: is this a study?", suggestion=hint)
    else:
        hint = suggest(str(kind), STUDIES)
        reading.complain(tree, "kind", f"{kind!r} is no kind of study", suggestion=hint)
    raise InputError(in_order(reading.problems))


def _kinds() -> str:
    return "kind: " + " or ".join(STUDIES)


def _check_names(schema: StudySchema, tree: dict[str, Any], reading: Validation) -> None:
    names = [point.name for point in schema.points or ()]
    for number, name in enumerate(names):
        if name in names[:number]:
            message = f"two machines are called {name!r}"
            reading.complain(tree["points"][number], "name", message)


def _first_key(text: str) -> str:
    return text.partition("=")[0].strip().split(".")[0]


def _digest(resolved: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of the content."""
    text = json.dumps(resolved, sort_keys=True, ensure_ascii=True)
    return sha256(text.encode()).hexdigest()[:12]
