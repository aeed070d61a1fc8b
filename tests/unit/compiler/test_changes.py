"""A change of the machine is compiled again: it gains what the formulas allow, and no more."""

from fractions import Fraction

import pytest

import rack_sim
from rack_sim.compiler.changes import (
    changes,
    on_system,
    with_half_the_hop_latency,
    with_one_more_link,
    with_twice_the_clock,
)
from rack_sim.compiler.step import StepTiming, compile_step


@pytest.fixture(scope="module")
def step() -> StepTiming:
    """Eight layers of Llama-2 70B on one rack."""
    overrides = ["system=groq-rack-72", "model.num_hidden_layers=8", "partition.stages=8"]
    return rack_sim.explain(rack_sim.load("llama70b", overrides)).step


def test_nothing_changed_gives_the_same(step: StepTiming) -> None:
    again = compile_step(on_system(step.plan, step.plan.system))
    assert (again.latency_ps, again.interval_ps) == (step.latency_ps, step.interval_ps)


def test_half_the_hop_latency_takes_away_half_of_what_is_on_the_critical_path(
    step: StepTiming,
) -> None:
    """No more, because the old path is still there; here no other one takes its place."""
    changed = compile_step(on_system(step.plan, with_half_the_hop_latency(step.plan.system)))
    assert step.terms.link_latency_ps > 0
    assert step.latency_ps - changed.latency_ps == step.terms.link_latency_ps // 2


def test_twice_the_clock_halves_all_but_links(step: StepTiming) -> None:
    """What is left is the half of the chips' time and all of the links' (each task rounds up)."""
    changed = compile_step(on_system(step.plan, with_twice_the_clock(step.plan.system)))
    links_ps = step.terms.link_latency_ps + step.terms.link_serialisation_ps
    expected = Fraction(step.latency_ps - links_ps, 2) + links_ps
    tasks_on_the_path = sum(1 for _ in step.program.critical_path())
    assert abs(changed.latency_ps - expected) <= tasks_on_the_path


def test_one_more_link_takes_no_latency_away(step: StepTiming) -> None:
    """Seven vectors over one cable become four over two: only serialisation can shrink."""
    more = with_one_more_link(step.plan.system, "local")
    assert more is not None
    assert len(more.topology.links) > len(step.plan.system.topology.links)
    changed = compile_step(on_system(step.plan, more))
    gained_ps = step.latency_ps - changed.latency_ps
    assert 0 < gained_ps <= step.terms.link_serialisation_ps
    assert changed.terms.link_latency_ps == step.terms.link_latency_ps
    node = rack_sim.explain(
        rack_sim.load(
            "llama70b",
            ["system=groq-node-8", "model.num_hidden_layers=1", "partition.stages=1"],
        )
    ).step
    assert with_one_more_link(node.plan.system, "global") is None


def test_all_changes_keep_the_cut_and_pass_the_checker(step: StepTiming) -> None:
    found = list(changes(step.plan))
    assert len(found) == 4
    for change in found:
        assert change.step.plan.stages == step.plan.stages
        assert change.step.latency_ps <= step.latency_ps
