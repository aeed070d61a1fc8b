"""Door: what `import rack_sim` offers. Every function takes a scenario, or what one is made of.

What one is made of is the name of a preset, a file, or the keys themselves; and changes, as
``["serving.replicas=2"]`` or as ``{"serving.replicas": 2}``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.pipeline import Explanation, Progress, Result
from rack_sim.pipeline import explain as explain_scenario
from rack_sim.pipeline import simulate as simulate_scenario
from rack_sim.scenario import Scenario, load_scenario, scenario_of_keys

Reference = str | Path | Mapping[str, Any]
"""The name of a preset, a file, or the keys of a scenario."""
Overrides = Sequence[str] | Mapping[str, Any]
"""Changes of a scenario: ``["seed=7"]``, or ``{"seed": 7}``."""


def load(
    reference: Reference,
    overrides: Overrides = (),
    *,
    trace: str | Path | None = None,
    skip_bad_rows: bool = False,
) -> Scenario:
    """The scenario of a preset's name, a file or keys, with `overrides` laid on it.

    `trace` replays that file instead of the scenario's workload; `skip_bad_rows` counts and lists
    malformed rows of it instead of refusing them. Relative paths among keys start at the current
    directory. Raises InputError with every problem found.
    """
    changes = override_texts(overrides)
    if isinstance(reference, Mapping):
        if trace is not None or skip_bad_rows:
            raise InputError(
                Problem(
                    "a trace stands among the keys of a scenario that is given by its keys",
                    "load",
                    field="trace",
                    suggestion='"workload": {"kind": "trace", "path": …}',
                )
            )
        return scenario_of_keys(_plain(reference), overrides=changes)
    return load_scenario(reference, changes, trace=trace, skip_bad_rows=skip_bad_rows)


def explain(scenario: Scenario | Reference, overrides: Overrides = ()) -> Explanation:
    """Which chip holds what, and how fast a token passes; nothing is replayed.

    Raises InputError with every problem of the scenario, InfeasibleError where the model does not
    fit the system.
    """
    return explain_scenario(_loaded(scenario, overrides))


def simulate(
    scenario: Scenario | Reference,
    overrides: Overrides = (),
    *,
    jobs: int = 1,
    every_step: bool = False,
    explanation: Explanation | None = None,
    on_progress: Progress | None = None,
    on_note: Callable[[str], None] = lambda _text: None,
) -> Result:
    """Replays a scenario's traffic and summarises what came out.

    Replicas that know nothing of each other are replayed in `jobs` processes; `on_note` is told
    why it is one process after all. `every_step` visits every step instead of skipping between
    decisions: slow, and the check of what is not. An `explanation` of the scenario that is there
    already is taken. `on_progress` is called now and then with the requests ended and the simulated
    picoseconds, where there is one process. The same scenario and seed give the same numbers,
    whatever is asked for here.

    Raises InputError with every problem of the scenario, InfeasibleError where the model does not
    fit the system.
    """
    return simulate_scenario(
        _loaded(scenario, overrides),
        every_step=every_step,
        jobs=jobs,
        explanation=explanation,
        on_progress=on_progress,
        on_note=on_note,
    )


def override_texts(overrides: Overrides) -> list[str]:
    """Changes as `--set` takes them. Raises InputError where a value is none of YAML's."""
    if isinstance(overrides, Mapping):
        return [f"{key}={_value_text(key, value)}" for key, value in overrides.items()]
    if isinstance(overrides, str):
        raise InputError(
            Problem(
                "overrides are a list or a mapping, not a word",
                repr(overrides),
                suggestion=f"[{overrides!r}]",
            )
        )
    return list(overrides)


def _loaded(scenario: Scenario | Reference, overrides: Overrides) -> Scenario:
    if not isinstance(scenario, Scenario):
        return load(scenario, overrides)
    if overrides:
        raise InputError(
            Problem(
                "a scenario that is loaded already takes no overrides",
                scenario.name,
                suggestion="rack_sim.load(…, overrides), or the name or the file in its place",
            )
        )
    return scenario


def _plain(keys: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that is nothing but dicts, lists and values, as a file of them would be."""
    plain = json.loads(_value_text("scenario", dict(keys)))
    return dict(plain)


def _value_text(key: str, value: Any) -> str:  # noqa: ANN401 - whatever a user has
    try:
        return json.dumps(value, default=_value_of)
    except (TypeError, ValueError) as error:
        raise InputError(Problem(f"cannot stand in a scenario: {error}", key)) from None


def _value_of(value: Any) -> Any:  # noqa: ANN401 - a path, a mapping, a number of numpy
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # numpy's, and pandas's
        return value.tolist()
    raise TypeError(f"{value!r} is no number, word, list or mapping")
