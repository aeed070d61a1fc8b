"""API: what `import rack_sim` offers. Every function takes a scenario, or what one is made of.

What one is made of is the name of a preset, a file, or the keys themselves; and changes, as
``["serving.replicas=2"]`` or as ``{"serving.replicas": 2}``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.executor import Workers
from rack_sim.foundation.given import Given
from rack_sim.pipeline import Explanation, OnEnded, Result
from rack_sim.pipeline import explain as explain_scenario
from rack_sim.pipeline import simulate as simulate_scenario
from rack_sim.scenario import Scenario, Study, load_scenario, load_study, scenario_of_keys
from rack_sim.scenario.model_alone import load_model
from rack_sim.study.kinds import run_study
from rack_sim.study.model_needs import ModelNeeds
from rack_sim.study.options import POINT_COUNT_MAX, StudyOptions
from rack_sim.study.sizing import Sizing, SizingRequest
from rack_sim.study.sizing import size as size_scenario
from rack_sim.study.study_result import StudyResult

if TYPE_CHECKING:
    import pandas as pd

_REFERENCE = "the name of a preset, a file, or the keys of a scenario"
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
    check = Given("load")
    check.kind("reference", reference, (str, Path, Mapping), _REFERENCE)
    check.kind("trace", trace, (str, Path, NoneType), "the path of a trace file, or None")
    check.flag("skip_bad_rows", skip_bad_rows)
    _check_overrides(check, overrides)
    check.finish()
    changes = override_texts(overrides)
    if isinstance(reference, Mapping):
        if trace is not None or skip_bad_rows:
            raise InputError(
                Problem(
                    "`trace=` cannot be combined with a mapping; put it under `workload`",
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
    check = _checked_scenario("explain", scenario, overrides)
    check.finish()
    return explain_scenario(_loaded(scenario, overrides))


def explain_model(model: Reference, overrides: Overrides = ()) -> ModelNeeds:
    """A model alone: parameters by kind, bytes, FLOP, cache, and what holds it of every system.

    `model` is the name of a preset, a config.json, a folder that has one, or its keys; `overrides`
    may change ``model.…``, ``precision.…``, ``serving.max_context_tokens`` and
    ``serving.concurrent_sequences``. Raises InputError with every problem found.
    """
    check = Given("explain_model")
    check.kind("model", model, (str, Path, Mapping), "the name of a preset, a file, or keys")
    _check_overrides(check, overrides)
    check.finish()
    named = _plain(model) if isinstance(model, Mapping) else str(model)
    return ModelNeeds(load_model(named, override_texts(overrides)))


def simulate(
    scenario: Scenario | Reference,
    overrides: Overrides = (),
    *,
    jobs: int = 1,
    every_step: bool = False,
    explanation: Explanation | None = None,
    on_progress: OnEnded | None = None,
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
    check = _checked_scenario("simulate", scenario, overrides)
    check.whole("jobs", jobs)
    check.flag("every_step", every_step)
    check.kind(
        "explanation",
        explanation,
        (Explanation, NoneType),
        "what rack_sim.explain gives, or None",
    )
    check.function("on_progress", on_progress, or_none=True)
    check.function("on_note", on_note)
    check.finish()
    if jobs < 1:
        raise InputError(Problem(f"{jobs} was given; it is at least 1", "simulate", field="jobs"))
    loaded = _loaded(scenario, overrides)
    if explanation and explanation.scenario.scenario_hash != loaded.scenario_hash:
        said = f"is of another scenario than the one that is given ({explanation.scenario.name})"
        raise InputError(
            Problem(said, "simulate", field="explanation", suggestion="explain the scenario anew")
        )
    return simulate_scenario(
        loaded,
        every_step=every_step,
        jobs=int(jobs),
        explanation=explanation,
        on_progress=on_progress,
        on_note=on_note,
    )


def size(  # noqa: PLR0913 - what is asked, by name
    scenario: Scenario | Reference,
    overrides: Overrides = (),
    *,
    slo: str | Mapping[str, str] | None = None,
    rate_rps: float | None = None,
    attainment: float | None = None,
    tensor_parallel: Sequence[int] | None = None,
    stages: Sequence[int] | None = None,
    replicas_max: int | None = None,
    request_count: int | None = None,
    on_progress: Callable[[str, int], None] = lambda _text, _count: None,
) -> Sizing:
    """The systems that meet objectives: that of the fewest chips, the cheapest, the least power.

    `slo` is ``"ttft_p99=0.5s,tpot_p99=10ms"`` or such a mapping; without it the share `attainment`
    (0.99 if not said) of the requests must meet the scenario's own `slo`. `rate_rps` is the rate of
    requests, without it the workload's own. `tensor_parallel`, `stages` and `replicas_max` bound
    the space that is searched. `request_count` says how many requests there are; without it
    traffic that is over too soon to tell goes on for longer. `on_progress` is told what is done and
    how many replays there were.

    Raises InputError with every problem found, InfeasibleError where the model does not fit or
    nothing meets the objectives.
    """
    check = _checked_scenario("size", scenario, overrides)
    check.kind("slo", slo, (str, Mapping, NoneType), 'such as "ttft_p99=0.5s", a mapping, or None')
    for key in slo if isinstance(slo, Mapping) else ():
        check.kind("slo", key, str, "a mapping of words, such as ttft_p99, to their bounds")
    check.number("rate_rps", rate_rps, or_none="the workload's own")
    check.number("attainment", attainment, or_none="0.99")
    check.wholes("tensor_parallel", tensor_parallel, or_none="all that can be")
    check.wholes("stages", stages, or_none="all that can be")
    check.whole("replicas_max", replicas_max, or_none="as many as it takes")
    check.whole("request_count", request_count, or_none="the workload's own")
    check.function("on_progress", on_progress)
    check.finish()
    request = SizingRequest(
        slo,
        None if rate_rps is None else float(rate_rps),
        attainment=None if attainment is None else float(attainment),
        tensor_parallel=None if tensor_parallel is None else [int(n) for n in tensor_parallel],
        stages=None if stages is None else [int(count) for count in stages],
        replicas_max=None if replicas_max is None else int(replicas_max),
        request_count=None if request_count is None else int(request_count),
    )
    return size_scenario(_loaded(scenario, overrides), request, on_progress=on_progress)


def sweep(  # noqa: PLR0913 - what is asked, by name
    study: Study | str | Path,
    overrides: Overrides = (),
    *,
    jobs: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
    journal: str | Path | None = None,
    fresh: bool = False,
    point_count_max: int | None = POINT_COUNT_MAX,
    on_progress: Callable[[str, float], None] = lambda _text, _share: None,
    on_note: Callable[[str], None] = lambda _text: None,
) -> StudyResult:
    """Runs a study: a preset's name, a file, or one that is loaded.

    A grid runs `jobs` points at a time on a `backend`: ``loky`` (processes here), ``dask`` or
    ``ray``, whose cluster is at the address `scheduler`; the numbers are the same. Where a
    `journal` is named, an interrupted grid goes on where it stopped, unless it is to begin
    `fresh`. A grid of more than `point_count_max` points is refused; None allows any. `on_progress`
    is told what is being done and which share of all is done, `on_note` what was odd.

    Raises InputError with every problem found; of a grid, what is wrong with one point stands in
    its row.
    """
    check = Given("sweep")
    check.kind("study", study, (Study, str, Path), "the name of a preset, a file, or a study")
    _check_overrides(check, overrides)
    check.whole("jobs", jobs, or_none="one")
    check.kind("backend", backend, str, "loky, dask or ray")
    check.kind("scheduler", scheduler, (str, NoneType), "the address of a cluster, or None")
    check.kind("journal", journal, (str, Path, NoneType), "the path of a file, or None")
    check.flag("fresh", fresh)
    check.whole("point_count_max", point_count_max, or_none="any number")
    check.function("on_progress", on_progress)
    check.function("on_note", on_note)
    check.finish()
    if not isinstance(study, Study):
        study = load_study(study, override_texts(overrides))
    elif overrides:
        raise InputError(
            Problem(
                "a study that is loaded already takes no overrides",
                study.name,
                suggestion="the name or the file in its place",
            )
        )
    options = StudyOptions(
        workers=Workers(backend, jobs, scheduler),
        journal=None if journal is None else Path(journal),
        fresh=fresh,
        point_count_max=point_count_max,
        on_progress=on_progress,
        on_note=on_note,
    )
    return run_study(study, options)


def study_frames(result: StudyResult) -> "dict[str, pd.DataFrame]":
    """The tables of a study that was run, as in its CSV files, by their names."""
    check = Given("study_frames")
    check.kind("result", result, StudyResult, "what rack_sim.sweep gives")
    check.finish()
    return {name: table.frame() for name, table in result.tables.items()}


def override_texts(overrides: Overrides) -> list[str]:
    """Changes as `--set` takes them. Raises InputError where a value is none of YAML's."""
    if isinstance(overrides, Mapping):
        return [f"{key}={_value_text(key, value)}" for key, value in overrides.items()]
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


def _checked_scenario(function: str, scenario: Scenario | Reference, overrides: Overrides) -> Given:
    """The check of a function's arguments, with that of its first two done."""
    check = Given(function)
    kinds = (Scenario, str, Path, Mapping)
    check.kind("scenario", scenario, kinds, f"what rack_sim.load gives, {_REFERENCE}")
    _check_overrides(check, overrides)
    return check


def _check_overrides(check: Given, overrides: Overrides) -> None:
    allowed = 'a list such as ["seed=7"], or a mapping such as {"seed": 7}'
    given: object = overrides
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        for item in given:
            check.kind("overrides", item, str, f"{allowed}: an item is a word")
    else:
        check.kind("overrides", given, Mapping, allowed)


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
