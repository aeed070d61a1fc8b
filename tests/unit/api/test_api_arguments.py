"""Arguments of wrong types: every function of `import rack_sim`, every argument, one error."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rack_sim
from rack_sim.scenario import load_study

ODD: tuple[Any, ...] = (None, 3, -1, 2.5, True, "", "a\0b", [], [None], {}, {"a": object()})
NEVER = (object(), b"x")  # of no use for any argument
FUNCTIONS = (
    "load",
    "explain",
    "explain_model",
    "simulate",
    "size",
    "sweep",
    "study_frames",
    "schema_file",
)
SEARCH: dict[str, Any] = {
    "tensor_parallel": [8],
    "stages": [72],
    "replicas_max": 1,
    "request_count": 300,
    "slo": "ttft_p99=2s",
}


class NeverError(Exception):
    """Raised in place of the work that an argument of the wrong type must not reach."""


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands behind the door is not run: a wrong type is refused before."""

    def reached(*_: object, **__: object) -> None:
        raise NeverError

    for name in ("explain_scenario", "simulate_scenario", "size_scenario", "run_study"):
        monkeypatch.setattr(f"rack_sim.api.{name}", reached)


def _arguments() -> list[tuple[str, str]]:
    return [
        (function, name)
        for function in FUNCTIONS
        for name in inspect.signature(getattr(rack_sim, function)).parameters
    ]


def test_every_function_is_tried() -> None:
    public = {n for n in rack_sim.__all__ if inspect.isfunction(getattr(rack_sim, n))}
    assert public == set(FUNCTIONS)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("function", "name"), _arguments())
def test_an_odd_argument_is_refused_by_name(function: str, name: str) -> None:
    call: Callable[..., object] = getattr(rack_sim, function)
    first = next(iter(inspect.signature(call).parameters))
    refused = 0
    for value in (*ODD, *NEVER):
        base = {} if name == first else {first: "load" if function == "sweep" else "llama70b"}
        try:
            call(**base, **{name: value})
        except rack_sim.InputError as error:
            refused += 1
            assert all(str(problem).isprintable() for problem in error.problems), value
        except NeverError:
            pass
    assert refused >= 4, "what is of no use for any argument: an object, bytes, [None], NUL"
    for value in NEVER:
        with pytest.raises(rack_sim.InputError) as caught:
            call(**({} if name == first else {first: "llama70b"}), **{name: value})
        text = str(caught.value)
        assert f"{function}: {name}: {type(value).__name__} was given; it is " in text


def test_numbers_of_numpy_are_numbers() -> None:
    given = {
        "replicas_max": np.int64(1),
        "tensor_parallel": np.array([8]),
        "rate_rps": np.float32(1),
    }
    found = rack_sim.size("llama70b", **{**SEARCH, **given})
    assert len(found.candidates) >= 1
    few = {"workload.request_count": 20}
    result = rack_sim.simulate("llama70b", few, jobs=np.int32(1))  # type: ignore[arg-type]
    assert result.summary["request_count"] == 20


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("slo", "ttft"),
        ("slo", {"ttft_p99": 3}),
        ("slo", {3: "1s"}),
        ("slo", {"ttft_p99": None}),
        ("slo", {}),
        ("rate_rps", -1.0),
        ("rate_rps", float("nan")),
        ("rate_rps", 10**400),
        ("attainment", 2),
        ("tensor_parallel", []),
        ("tensor_parallel", [0]),
        ("stages", [-1]),
        ("replicas_max", 0),
        ("request_count", 0),
    ],
)
def test_values_that_a_sizing_cannot_take(argument: str, value: object) -> None:
    with pytest.raises(rack_sim.InputError):
        rack_sim.size("llama70b", **{**SEARCH, argument: value})


def test_a_sweep_is_refused_by_name(tmp_path: Path) -> None:
    for argument, value in (
        ("backend", "x"),
        ("jobs", 0),
        ("scheduler", "x"),
        ("point_count_max", 0),
    ):
        with pytest.raises(rack_sim.InputError):
            rack_sim.sweep("sram-per-chip", **{argument: value})  # type: ignore[arg-type]
    with pytest.raises(rack_sim.InputError):
        rack_sim.sweep(tmp_path)
    with pytest.raises(rack_sim.InputError):
        rack_sim.sweep(load_study("load"), ["request_count=3"])


def test_an_explanation_of_another_scenario_is_refused() -> None:
    """It would be replayed in silence in place of the one that is given."""
    found = rack_sim.explain("llama70b", {"seed": 3})
    with pytest.raises(rack_sim.InputError, match="explanation: is of another scenario"):
        rack_sim.simulate("llama70b", explanation=found)
    with pytest.raises(rack_sim.InputError, match="jobs: 0 was given; it is at least 1"):
        rack_sim.simulate("llama70b", jobs=0)
