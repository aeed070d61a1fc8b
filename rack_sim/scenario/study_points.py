"""Study points: the scenario of each machine of a study; problems at the places of the study."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.scenario.build import build_scenario
from rack_sim.scenario.document import Marks, quantity_of
from rack_sim.scenario.fields import Validation
from rack_sim.scenario.library import find
from rack_sim.scenario.loader import complete_tree, load_tree
from rack_sim.scenario.problems import ProblemPlaces
from rack_sim.scenario.scenario import Scenario


def scenario_of_point(
    name: str,
    holder: dict[str, Any],
    changes: dict[str, Any],
    overrides: Sequence[str],
    folder: Path,
    marks: Marks,
    refuse: Callable[[Scenario], None],
) -> Scenario:
    """The scenario of a point; what is wrong with a change is said where the change stands.

    `holder` is the mapping that has the key ``scenario``, `changes` are the point's own and
    `overrides` those of the command line, which take their place. `refuse` raises InputError, with
    fields of the scenario and without a place, where the study cannot use what was built. Raises
    InputError with every problem found.
    """
    reading = Validation(marks)
    replaced = {quantity_of(text.partition("=")[0].strip()) for text in overrides}
    kept = {key: value for key, value in changes.items() if quantity_of(key) not in replaced}
    texts = {f"{key}={json.dumps(value)}": key for key, value in kept.items()}
    given, path = holder["scenario"], folder
    try:
        if isinstance(given, str):
            path = find("scenario", given, folder)
            tree = load_tree(path, [*texts, *overrides], reading, trace=None, skip_bad_rows=False)
            folder = path.parent
        else:
            # Several points may build on one mapping: each gets its own.
            tree = complete_tree(copied(given, marks), folder, [*texts, *overrides], reading)
        scenario = build_scenario(tree, folder, reading)
        places = ProblemPlaces(tree, reading)
        places.attempt((), lambda: refuse(scenario))
        if places.problems:
            raise InputError(places.problems)
        return scenario
    except InputError as error:
        found: Sequence[Problem] = [*reading.problems, *error.problems]
        mark = marks.get(holder, "scenario")
        if mark and isinstance(given, str):
            found = mark.names(path, InputError(found)).problems
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
    """Problems of a point's changes at their places in the study; others say which point it is.

    The only point of a study may have no name.
    """
    for problem in problems:
        key = texts.get(problem.place.removeprefix("--set "))
        mark = marks.get(changes, key) if key is not None else None
        if not problem.place:
            mark = marks.get(holder, "scenario")
        if mark is None:
            said = problem.place.startswith("--set ")  # of every point, and no matter which
            whose = "" if said or not name else f" [{name}]"
            yield replace(problem, message=f"{problem.message}{whose}")
        else:
            yield replace(problem, place=mark.place, line=mark.line, column=mark.column)


def copied(value: Any, marks: Marks) -> Any:
    """A copy of plain values, to the bottom, that keeps their places."""
    if not isinstance(value, dict | list):
        return value
    copy: Any = {} if isinstance(value, dict) else [None] * len(value)
    own = marks.get(value)
    if own:
        marks.put(copy, None, own)
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        copy[key] = copied(item, marks)
        marks.copy(value, key, copy, key)
    return copy
