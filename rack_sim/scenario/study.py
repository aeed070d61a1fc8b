"""Study: a file that compares many replays, read into scenarios; every problem at once.

A change given on the command line goes to the study where its first key is one of the study's
(``step_count``, ``seed``), else to the scenario of every point.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.scenario.build import build_scenario
from rack_sim.scenario.document import Marks, quantity_of, read_document
from rack_sim.scenario.fields import Reading
from rack_sim.scenario.library import find, is_path
from rack_sim.scenario.loader import change_tree, complete_tree, load_tree
from rack_sim.scenario.problems import from_validation, in_order
from rack_sim.scenario.scenario import Scenario
from rack_sim.scenario.study_schema import STUDIES, JitterStudySchema


@dataclass(frozen=True)
class StudyPoint:
    """A machine of a study."""

    name: str
    scenario: Scenario


@dataclass(frozen=True)
class JitterStudy:
    """What a machine loses when its operators do not take the time that was compiled.

    `resolved` is the study with the scenario of every point written out: loading it again gives
    the same study. `study_hash` is a digest of that. `place` is the file it came from.
    """

    name: str
    description: str
    points: tuple[StudyPoint, ...]
    operator_jitter_ps: tuple[int, ...]
    step_count: int
    warmup_step_count: int
    repeat_count: int
    seed: int
    resolved: Mapping[str, Any]
    study_hash: str
    place: str


def load_study(reference: str | Path, overrides: Sequence[str] = ()) -> JitterStudy:
    """The study in a file, or the preset of that name, with ``key.subkey=value`` overrides.

    Raises InputError with every problem found.
    """
    path = Path(reference)
    if not path.exists():
        path = find("study", str(reference), Path())
    reading = Reading()
    tree = read_document(path, reading.marks, reading.problems)
    if not isinstance(tree, dict):
        raise InputError(Problem("must be a mapping of keys to values", str(path), 1, 1))
    schema_of = _schema_of(tree, path, reading)
    own = {quantity_of(key) for key in schema_of.model_fields}
    for_study = [text for text in overrides if quantity_of(_first_key(text)) in own]
    for_points = [text for text in overrides if text not in for_study]
    change_tree(tree, for_study, reading)
    try:
        schema = schema_of.model_validate(tree, context=reading)
    except ValidationError as error:
        found = from_validation(error, tree, reading)
        raise InputError(in_order([*reading.problems, *found])) from None
    _check_together(schema, tree, reading)
    problems = list(reading.problems)
    points: list[StudyPoint] = []
    for number, point in enumerate(schema.points):
        given = tree["points"][number]
        base = point.scenario if point.scenario is not None else schema.scenario
        holder = given if point.scenario is not None else tree
        if base is None:
            message = "has no scenario, and the study has none either"
            reading.complain(tree["points"], number, message)
            problems.append(reading.problems.pop())
            continue
        try:
            scenario = _scenario(
                point.name,
                holder,
                given.get("overrides") or {},
                for_points,
                path.parent,
                reading.marks,
            )
            points.append(StudyPoint(point.name, scenario))
        except InputError as error:
            problems += (item for item in error.problems if item not in problems)
    if problems:
        raise InputError(in_order(problems))
    resolved = schema.model_dump(mode="json", exclude={"scenario", "points"})
    resolved["points"] = [
        {"name": point.name, "scenario": dict(point.scenario.resolved)} for point in points
    ]
    return JitterStudy(
        name=schema.name,
        description=schema.description,
        points=tuple(points),
        operator_jitter_ps=tuple(schema.operator_jitter_ps),
        step_count=schema.step_count,
        warmup_step_count=schema.warmup_step_count,
        repeat_count=schema.repeat_count,
        seed=schema.seed,
        resolved=resolved,
        study_hash=_digest(resolved),
        place=str(path),
    )


def _schema_of(tree: dict[str, Any], path: Path, reading: Reading) -> type[JitterStudySchema]:
    kind = tree.get("kind")
    if isinstance(kind, str) and kind in STUDIES:
        return STUDIES[kind]
    if kind is None:
        hint = "a scenario is run by `rack-sim run`" if "model" in tree else "kind: jitter"
        reading.complain(tree, None, "key 'kind' is missing: is this a study?", suggestion=hint)
    else:
        hint = suggest(str(kind), STUDIES)
        reading.complain(tree, "kind", f"{kind!r} is no kind of study", suggestion=hint)
    raise InputError(in_order(reading.problems))


def _check_together(schema: JitterStudySchema, tree: dict[str, Any], reading: Reading) -> None:
    """Notes what is wrong with values that are right each by itself."""
    jitters = schema.operator_jitter_ps
    if jitters != sorted(set(jitters)):
        key = next(key for key in tree if quantity_of(key) == "operator_jitter")
        reading.complain(tree, key, f"{key}: must rise from value to value; given {tree[key]}")
    names = [point.name for point in schema.points]
    for number, name in enumerate(names):
        if name in names[:number]:
            message = f"two machines are called {name!r}"
            reading.complain(tree["points"][number], "name", message)
    if schema.warmup_step_count > schema.step_count - 2:
        message = (
            f"warmup_step_count: {schema.warmup_step_count} of {schema.step_count} steps leave no "
            "two to be counted"
        )
        reading.complain(tree, "warmup_step_count", message)


def _scenario(
    name: str,
    holder: dict[str, Any],
    changes: dict[str, Any],
    overrides: Sequence[str],
    folder: Path,
    marks: Marks,
) -> Scenario:
    """The scenario of a point; what is wrong with a change is said where the change stands.

    A change on the command line takes the place of the point's own.
    """
    reading = Reading(marks)
    replaced = {quantity_of(text.partition("=")[0].strip()) for text in overrides}
    kept = {key: value for key, value in changes.items() if quantity_of(key) not in replaced}
    texts = {f"{key}={json.dumps(value)}": key for key, value in kept.items()}
    try:
        given = holder["scenario"]
        if isinstance(given, str):
            path = Path(given)
            path = find("scenario", given, folder) if is_path(given) or not path.exists() else path
            tree = load_tree(path, [*texts, *overrides], reading, trace=None, skip_bad_rows=False)
            return build_scenario(tree, path.parent, reading)
        # Several points may build on one mapping: each gets its own.
        tree = complete_tree(_copied(given, marks), folder, [*texts, *overrides], reading)
        return build_scenario(tree, folder, reading)
    except InputError as error:
        found = [*reading.problems, *error.problems]
        raise InputError(
            dict.fromkeys(_placed(name, found, texts, holder, changes, marks))
        ) from None


def _placed(
    name: str,
    problems: Sequence[Problem],
    texts: Mapping[str, str],
    holder: dict[str, Any],
    changes: dict[str, Any],
    marks: Marks,
) -> Iterator[Problem]:
    """Problems of a point's changes at their places in the study; others say which point it is."""
    for problem in problems:
        key = texts.get(problem.place.removeprefix("--set "))
        mark = marks.get(changes, key) if key is not None else None
        if not problem.place:
            mark = marks.get(holder, "scenario")
        if mark is None:
            said = problem.place.startswith("--set ")  # of every point, and no matter which
            yield problem if said else replace(problem, message=f"{problem.message} [{name}]")
        else:
            yield replace(problem, place=mark.place, line=mark.line, column=mark.column)


def _copied(value: Any, marks: Marks) -> Any:
    """A copy of plain values, to the bottom, that keeps their places."""
    if not isinstance(value, dict | list):
        return value
    copy: Any = {} if isinstance(value, dict) else [None] * len(value)
    own = marks.get(value)
    if own:
        marks.put(copy, None, own)
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        copy[key] = _copied(item, marks)
        marks.copy(value, key, copy, key)
    return copy


def _first_key(text: str) -> str:
    return text.partition("=")[0].strip().split(".")[0]


def _digest(resolved: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of the content."""
    text = json.dumps(resolved, sort_keys=True, ensure_ascii=True)
    return sha256(text.encode()).hexdigest()[:12]
