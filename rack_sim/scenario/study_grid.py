"""Study grid: a grid study read, every value checked alone, before anything runs.

What checking takes grows with the number of values, not with the number of their combinations: a
value is laid on the first machine that takes it. A combination can be wrong all the same; that is
found when it runs, and stands in its row.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.grid_columns import COMPILED, EXPLAINED
from rack_sim.scenario.document import Keys, quantity_of
from rack_sim.scenario.fields import Validation
from rack_sim.scenario.loader import change_tree, parse_override
from rack_sim.scenario.problems import from_validation, in_order
from rack_sim.scenario.studies import GridAxis, GridBase, GridStudy, StudyPoint, last_words
from rack_sim.scenario.study_changes import (
    AxisValue,
    AxisValues,
    axes_of,
    changes_of,
    clashes,
)
from rack_sim.scenario.study_machines import BuildAttempt, StudyMachine, machines_of, try_build
from rack_sim.scenario.study_schema import GridStudySchema

# Keys that decide which trace is replayed.
_TRACE_KEYS = ("workload", "workload.kind", "workload.path")


def read_grid_study(
    tree: Keys, path: Path, overrides: Sequence[str], reading: Validation
) -> GridStudy:
    """The study that `tree`, read from `path`, describes, with ``key.subkey=value`` overrides.

    An override whose first key is none of the study's is laid on every point. Raises InputError
    with every problem found.
    """
    _lay_overrides(tree, overrides, reading)
    schema = _validated(tree, reading)
    axes = axes_of(tree.get("grid"), reading.marks)
    _check_words(schema, tree, reading)
    _check_axes(axes, reading)
    machines = _machines(schema, tree, path, axes, reading)
    attempts = [try_build(machine, (), reading) for machine in machines]
    _check_machines(attempts)
    bases = tuple(map(_base, machines, attempts))
    built = _axes(schema, axes, machines, reading)
    return GridStudy(
        name=schema.name,
        description=schema.description,
        points=tuple(
            StudyPoint(base.name, attempt.scenario)
            for base, attempt in zip(bases, attempts, strict=True)
            if attempt.scenario
        ),
        resolved=_resolved(schema, tree, machines, axes),
        study_hash=_study_hash(schema, bases, built),
        place=str(path),
        axes=built,
        bases=bases,
        mode=schema.mode,
        collect=tuple(schema.collect),
    )


def _validated(tree: Keys, reading: Validation) -> GridStudySchema:
    try:
        return GridStudySchema.model_validate(tree, context=reading)
    except ValidationError as error:
        found = from_validation(error, tree, reading)
        raise InputError(in_order([*reading.problems, *found])) from None


def _machines(
    schema: GridStudySchema, tree: Keys, path: Path, axes: Sequence[AxisValues], reading: Validation
) -> list[StudyMachine]:
    """What the grid is laid on: every point, or the study's scenario alone.

    Raises InputError with all that is wrong so far, two changes of one key among it.
    """
    common = changes_of(tree.get("overrides"), "", reading.marks)
    named = [
        changes_of(point.get("overrides"), number, reading.marks)
        for number, point in enumerate(tree.get("points") or [])
    ]
    of_points = [change for changes in named for change in changes]
    of_axes = [change for axis in axes for change in axis.changes]
    reading.problems += clashes([*common, *of_points, *of_axes])
    if reading.problems:
        raise InputError(in_order(reading.problems))
    return list(machines_of(schema, tree, path, common, named, reading))


def _check_machines(attempts: Sequence[BuildAttempt]) -> None:
    """The grid is laid on these: every one has its form, and one at least stands by itself."""
    one_stands = any(attempt.scenario for attempt in attempts)
    _refuse(
        problem
        for attempt in attempts
        for problem in attempt.refused or ([] if one_stands else attempt.unfit)
    )


def _refuse(problems: Iterable[Problem]) -> None:
    """Raises InputError where there are problems, each once."""
    found = list(dict.fromkeys(problems))
    if found:
        raise InputError(in_order(found))


def _base(machine: StudyMachine, attempt: BuildAttempt) -> GridBase:
    return GridBase(
        name=machine.name or str(machine.root.keys.get("name", "")),
        keys=machine.root.keys,
        folder=str(machine.root.folder),
        changes=tuple(change.text for change in machine.changes),
        digest=attempt.digest,
        trace_sha256=attempt.trace_sha256,
    )


def _axes(
    schema: GridStudySchema,
    axes: Sequence[AxisValues],
    machines: Sequence[StudyMachine],
    reading: Validation,
) -> tuple[GridAxis, ...]:
    """The axes with every value tried. Raises InputError for those that no machine takes."""
    problems: list[Problem] = []
    titles = schema.titles or {}
    found = []
    for axis in axes:
        attempts = [_attempt(value, machines, reading) for value in axis.values]
        problems += [problem for attempt in attempts for problem in attempt.refused]
        problems += _twins(axis, [attempt.digest for attempt in attempts])
        found.append(_axis(axis, attempts, titles.get(axis.name) or last_words(axis.name)))
    _refuse(problems)
    return tuple(found)


def _attempt(
    value: AxisValue, machines: Sequence[StudyMachine], reading: Validation
) -> BuildAttempt:
    """What a value makes of the first machine that takes its form; of the first, if none does."""
    first: BuildAttempt | None = None
    for machine in machines:
        attempt = try_build(machine, value.changes, reading)
        if not attempt.refused:
            return attempt
        first = first or attempt
    if first is None:
        raise ValueError("a study has a machine")
    return first


def _twins(axis: AxisValues, digests: Sequence[str]) -> Iterator[Problem]:
    """Values that give the same scenario as one before them."""
    for number, (value, digest) in enumerate(zip(axis.values, digests, strict=True)):
        if digest and digest in digests[:number]:
            twin = axis.values[digests.index(digest)]
            message = f"{axis.name}: {value.value!r} gives the same scenario as {twin.value!r}"
            yield value.mark.problem(message, field="grid")


def _axis(axis: AxisValues, attempts: Sequence[BuildAttempt], title: str) -> GridAxis:
    traces = tuple(attempt.trace_sha256 for attempt in attempts)
    return GridAxis(
        key=axis.name,
        keys=axis.keys,
        title=title,
        choices=tuple(value.value for value in axis.values),
        labels=tuple(_label(value.value) for value in axis.values),
        digests=tuple(attempt.digest for attempt in attempts),
        traces=traces if set(axis.keys) & set(_TRACE_KEYS) else None,
    )


def _study_hash(
    schema: GridStudySchema, bases: Sequence[GridBase], axes: Sequence[GridAxis]
) -> str:
    content = {
        "kind": schema.kind,
        "name": schema.name,
        "mode": schema.mode,
        "collect": schema.collect,
        "machines": [[base.name, base.digest] for base in bases],
        "axes": [[axis.key, axis.keys, axis.title, axis.labels, axis.digests] for axis in axes],
    }
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _lay_overrides(tree: Keys, overrides: Sequence[str], reading: Validation) -> None:
    """Puts each override where it belongs: a key of the study, of its grid, or of every point."""
    own = {quantity_of(key) for key in GridStudySchema.model_fields}
    grid = [text for text in overrides if text.strip().startswith("grid.")]
    others = [text for text in overrides if text not in grid]
    for_study = [t for t in others if quantity_of(t.partition("=")[0].strip().split(".")[0]) in own]
    change_tree(tree, for_study, reading)
    for text in grid:
        _replace(tree, "grid", text.strip().removeprefix("grid."), text, reading)
    for text in others:
        if text not in for_study:
            _replace(tree, "overrides", text, text, reading)


def _replace(tree: Keys, holder: str, text: str, given: str, reading: Validation) -> None:
    """Sets a key of ``overrides`` or ``grid``, in place of the same quantity in the file."""
    keys, value, _ = parse_override(text, reading)
    mark = parse_override(given, reading)[2]
    if tree.get(holder) is None:
        tree[holder] = {}
        reading.marks.put(tree, holder, mark)
        reading.marks.put(tree[holder], None, mark)
    mapping = tree[holder]
    if not isinstance(mapping, dict):
        return  # the schema will say so
    name = ".".join(keys)
    for key in [key for key in mapping if _quantities(key) == _quantities(name)]:
        own = reading.marks.get(mapping, key)
        if own and own.place.startswith("--set "):
            raise InputError(Problem(f"clashes with {own.place}", f"--set {given}"))
        if holder == "grid":  # its place among the axes stays
            if isinstance(mapping[key], dict) and isinstance(value, list):
                mapping[key] |= {"values": value}
            else:
                mapping[key] = value
            reading.marks.put(mapping, key, mark)
            return
        del mapping[key]
    mapping[name] = value
    reading.marks.put(mapping, name, mark)


def _quantities(key: str) -> list[str]:
    return [quantity_of(part) for part in key.split(".")]


def _check_words(schema: GridStudySchema, tree: Keys, reading: Validation) -> None:
    """What is wrong with values of the study that are right each by itself."""
    if schema.grid is None and schema.points is None:
        reading.complain(tree, None, "has neither a grid nor points: nothing changes")
    known = {column.name for column in (*SUMMARY, *COMPILED)}
    for number, name in enumerate(schema.collect):
        if name not in known:
            reading.complain(
                tree["collect"],
                number,
                f"{name!r} is no column of results.csv",
                suggestion=suggest(name, known) if len(name) > 3 else "see docs/metrics.md",
            )
        elif schema.mode == "explain" and name not in EXPLAINED:
            reading.complain(
                tree["collect"],
                number,
                f"{name!r} is known after a replay only",
                suggestion="mode: replay",
            )
        elif name in schema.collect[:number]:
            reading.complain(tree["collect"], number, f"{name!r} is there already")
    for key in schema.titles or {}:
        if key not in (schema.grid or {}):
            hint = suggest(key, schema.grid or {})
            reading.complain(tree["titles"], key, f"{key!r} is no key of the grid", suggestion=hint)
    names = [point.name for point in schema.points or ()]
    for number, name in enumerate(names):
        if name in names[:number]:
            message = f"two machines are called {name!r}"
            reading.complain(tree["points"][number], "name", message)


def _check_axes(axes: Sequence[AxisValues], reading: Validation) -> None:
    """Notes what is wrong with values as lists, and with keys as keys."""
    for axis in axes:
        for number, one in enumerate(axis.values):
            if any(_same(one.value, other.value) for other in axis.values[:number]):
                message = f"{axis.name}: {one.value!r} is in the list already"
                reading.problems.append(one.mark.problem(message, field="grid"))
        for change in axis.changes:
            if not all(part.strip() for part in change.key.split(".")):
                message = f"{change.key!r} is not of the form key.subkey"
                reading.problems.append(change.mark.problem(message, field="grid"))


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _label(value: Any) -> str:
    """A value as tables show it; of a file, its name, wherever it lies."""
    if isinstance(value, str):
        return Path(value).name if Path(value).is_absolute() else value
    return json.dumps(value, ensure_ascii=False)


def _resolved(
    schema: GridStudySchema,
    tree: Keys,
    machines: Sequence[StudyMachine],
    axes: Sequence[AxisValues],
) -> Keys:
    """The study with every scenario written out, to stand alone but for the values of its grid."""
    found: Keys = {"kind": schema.kind, "name": schema.name, "description": schema.description}
    points = schema.points or []
    shared = [
        machine.root.keys
        for number, machine in enumerate(machines)
        if not points or points[number].scenario is None
    ]
    if shared:
        found["scenario"] = shared[0]
    if tree.get("overrides"):
        found["overrides"] = tree["overrides"]
    if points:
        found["points"] = [
            {
                "name": point.name,
                **({"scenario": machines[number].root.keys} if point.scenario is not None else {}),
                **({"overrides": point.overrides} if point.overrides else {}),
            }
            for number, point in enumerate(points)
        ]
    if axes:
        found["grid"] = {}
    for axis in axes:
        values = [value.value for value in axis.values]
        alone = axis.keys == (axis.name,)
        found["grid"][axis.name] = values if alone else {"keys": axis.keys, "values": values}
    found |= {"mode": schema.mode, "collect": schema.collect}
    if schema.titles:
        found["titles"] = schema.titles
    plain: Keys = json.loads(json.dumps(found))
    return plain
