"""Study: a file that compares many replays, read into scenarios; every problem at once.

A change given on the command line goes to the study where its first key is one of the study's
(``step_count``, ``rates_rps``), else to the scenario of every point.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.scenario.document import quantity_of, read_document
from rack_sim.scenario.fields import Reading
from rack_sim.scenario.library import locate
from rack_sim.scenario.loader import change_tree
from rack_sim.scenario.problems import from_validation, in_order
from rack_sim.scenario.scenario import Scenario
from rack_sim.scenario.studies import JitterStudy, LoadStudy, Study, StudyPoint
from rack_sim.scenario.study_changes import anchor_changes
from rack_sim.scenario.study_grid import read_grid_study
from rack_sim.scenario.study_points import scenario_of_point
from rack_sim.scenario.study_schema import (
    STUDIES,
    GridStudySchema,
    JitterStudySchema,
    LoadStudySchema,
    StudySchema,
)
from rack_sim.workload.offered import bounded, offered_rate_rps


class _Kind(NamedTuple):
    """What is particular to a kind of study.

    `check` notes what is wrong with values that are right each by itself; `refuse` raises
    InputError where a point's scenario does not suit the study; `build` makes the study of its
    schema and of what all kinds have.
    """

    check: Callable[[Any, dict[str, Any], Reading], None]
    refuse: Callable[[Any, Scenario], None]
    build: Callable[[Any, Mapping[str, Any]], Study]


def load_study(reference: str | Path, overrides: Sequence[str] = ()) -> Study:
    """The study in a file, or the preset of that name, with ``key.subkey=value`` overrides.

    Raises InputError with every problem found.
    """
    path = locate("study", str(reference))
    reading = Reading()
    tree = read_document(path, reading.marks, reading.problems)
    if not isinstance(tree, dict):
        raise InputError(Problem("must be a mapping of keys to values", str(path), 1, 1))
    schema_of = _schema_of(tree, path, reading)
    anchor_changes(tree, path.parent)
    if schema_of is GridStudySchema:
        return read_grid_study(tree, path, overrides, reading)
    own = {quantity_of(key) for key in schema_of.model_fields}
    for_study = [text for text in overrides if quantity_of(_first_key(text)) in own]
    for_points = [text for text in overrides if text not in for_study]
    change_tree(tree, for_study, reading)
    try:
        schema = schema_of.model_validate(tree, context=reading)
    except ValidationError as error:
        found = from_validation(error, tree, reading)
        raise InputError(in_order([*reading.problems, *found])) from None
    kind = _KINDS[schema.kind]
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
    return kind.build(schema, shared)


def _given_points(
    schema: StudySchema, tree: dict[str, Any], reading: Reading, problems: list[Problem]
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


def _schema_of(tree: dict[str, Any], path: Path, reading: Reading) -> type[StudySchema]:
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


def _check_names(schema: StudySchema, tree: dict[str, Any], reading: Reading) -> None:
    names = [point.name for point in schema.points or ()]
    for number, name in enumerate(names):
        if name in names[:number]:
            message = f"two machines are called {name!r}"
            reading.complain(tree["points"][number], "name", message)


def _check_rising(
    values: Sequence[float], quantity: str, tree: dict[str, Any], reading: Reading
) -> None:
    if list(values) != sorted(set(values)):
        key = next(key for key in tree if quantity_of(key) == quantity)
        reading.complain(tree, key, f"{key}: must rise from value to value; given {tree[key]}")


def _check_jitter(schema: JitterStudySchema, tree: dict[str, Any], reading: Reading) -> None:
    _check_rising(schema.operator_jitter_ps, "operator_jitter", tree, reading)
    if schema.warmup_step_count > schema.step_count - 2:
        message = (
            f"warmup_step_count: {schema.warmup_step_count} of {schema.step_count} steps leave no "
            "two to be counted"
        )
        reading.complain(tree, "warmup_step_count", message)


def _build_jitter(schema: JitterStudySchema, shared: Mapping[str, Any]) -> JitterStudy:
    return JitterStudy(
        **shared,
        operator_jitter_ps=tuple(schema.operator_jitter_ps),
        step_count=schema.step_count,
        warmup_step_count=schema.warmup_step_count,
        repeat_count=schema.repeat_count,
        seed=schema.seed,
    )


def _check_load(schema: LoadStudySchema, tree: dict[str, Any], reading: Reading) -> None:
    if not isinstance(schema.rates_rps, str):
        _check_rising(schema.rates_rps, quantity_of("rates_rps"), tree, reading)
    if schema.request_count is not None and schema.duration_ps is not None:
        message = "request_count: there is a duration already; give one of the two"
        reading.complain(tree, "request_count", message)


def _refuse_load(schema: LoadStudySchema, scenario: Scenario) -> None:
    offered_rate_rps(bounded(scenario.workload, schema.request_count, schema.duration_ps))


def _build_load(schema: LoadStudySchema, shared: Mapping[str, Any]) -> LoadStudy:
    return LoadStudy(
        **shared,
        rates_rps=None if isinstance(schema.rates_rps, str) else tuple(schema.rates_rps),
        knee_precision=schema.knee_precision,
        attainment=schema.attainment,
        request_count=schema.request_count,
        duration_ps=schema.duration_ps,
    )


def _take_any(_schema: StudySchema, _scenario: Scenario) -> None:
    """Refuses nothing."""


_KINDS: dict[str, _Kind] = {
    "jitter": _Kind(_check_jitter, _take_any, _build_jitter),
    "load": _Kind(_check_load, _refuse_load, _build_load),
}


def _first_key(text: str) -> str:
    return text.partition("=")[0].strip().split(".")[0]


def _digest(resolved: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of the content."""
    text = json.dumps(resolved, sort_keys=True, ensure_ascii=True)
    return sha256(text.encode()).hexdigest()[:12]
