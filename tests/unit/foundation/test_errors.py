"""Errors carry the promised exit codes and say where and what; provenance says whence."""

import pytest

from rack_sim.foundation.errors import (
    ConservationError,
    DeadlockError,
    InfeasibleError,
    InputError,
    Problem,
    RackSimError,
    ReplayError,
    suggest,
)
from rack_sim.foundation.sourced import Provenance


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (RackSimError, 1),
        (InputError, 2),
        (InfeasibleError, 3),
        (ReplayError, 1),
        (DeadlockError, 1),
        (ConservationError, 1),
    ],
)
def test_exit_codes_and_one_base(kind: type[RackSimError], code: int) -> None:
    assert kind.exit_code == code
    assert issubclass(kind, RackSimError)


def test_a_stuck_replay_and_lost_tokens_are_replay_errors() -> None:
    assert issubclass(DeadlockError, ReplayError)
    assert issubclass(ConservationError, ReplayError)
    assert not issubclass(InputError, ReplayError)
    assert not issubclass(InfeasibleError, InputError)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("is wrong"), "is wrong"),
        (Problem("is wrong", "a.yaml"), "a.yaml: is wrong"),
        (Problem("is wrong", "a.yaml", 3), "a.yaml:3: is wrong"),
        (Problem("is wrong", "a.yaml", 3, 5), "a.yaml:3:5: is wrong"),
        (Problem("is wrong", "a.yaml", None, 5), "a.yaml: is wrong"),
        (Problem("is wrong", field="chip.ports"), "chip.ports: is wrong"),
        (
            Problem("is wrong", "a.yaml", 3, 5, "chip.ports", "give 11"),
            "a.yaml:3:5: chip.ports: is wrong (give 11)",
        ),
    ],
)
def test_a_problem_says_where_what_and_what_to_do(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_an_input_error_holds_every_problem_in_order() -> None:
    first, second = Problem("one"), Problem("two", "b.yaml", 1)
    error = InputError(iter([first, second]))
    assert error.problems == (first, second)
    assert str(error) == "one\nb.yaml:1: two"
    assert InputError(first).problems == (first,)
    assert InputError("one").problems == (first,)


def test_an_infeasible_error_keeps_its_reason() -> None:
    reason = ("demand", "bound")
    error = InfeasibleError(reason)
    assert error.reason is reason
    assert str(error) == str(reason)


def test_suggest_finds_the_near_word_else_lists_all() -> None:
    assert suggest("rnig", ["torus", "ring"]) == "did you mean 'ring'?"
    assert suggest("zzz", ["torus", "ring"]) == "allowed: ring, torus"
    assert suggest("zzz", []) == ""


def test_a_number_without_a_source_is_assumed() -> None:
    assert Provenance("idle_watts", "50", assumed="no published value").is_assumed
    assert not Provenance("port_count", "11", source="zartbot", grade="B").is_assumed
