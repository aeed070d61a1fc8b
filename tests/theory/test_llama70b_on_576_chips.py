"""Llama-2 70B on 576 LPUs as published: what sits where, and how few chips could hold it."""

from itertools import pairwise

import pytest

import rack_sim
from rack_sim.pipeline import Explanation

WEIGHTS = 68_976_648_192
SRAM = 230_686_720


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    return rack_sim.explain(rack_sim.load("llama70b"))


def test_72_stages_of_8_chips(explanation: Explanation) -> None:
    plan = explanation.plan
    assert (plan.chip_count, plan.stage_count, plan.tensor_parallel) == (576, 72, 8)
    chips = [chip for stage in plan.stages for chip in stage.chips]
    assert len(set(chips)) == 576


def test_the_chips_hold_every_weight_once(explanation: Explanation) -> None:
    plan = explanation.plan
    assert sum(m.weight_bytes for stage in plan.stages for m in stage.memory) == WEIGHTS
    for stage in plan.stages:
        assert sum(m.weight_bytes for m in stage.memory) == sum(b.parameters for b in stage.blocks)
    names = [block.name for stage in plan.stages for block in stage.blocks]
    assert len(names) == len(set(names)) == 162  # 80 layers of two, embedding and head


def test_no_chip_is_overfull(explanation: Explanation) -> None:
    for stage in explanation.plan.stages:
        for memory in stage.memory:
            assert memory.used_bytes <= SRAM
    assert explanation.plan.concurrent_sequences_max >= 12


def test_neighbouring_stages_are_neighbouring_nodes_and_spares_are_empty(
    explanation: Explanation,
) -> None:
    plan = explanation.plan
    topology = plan.system.topology
    node_of = topology.node_of_chip()
    linked = {(node_of[link.source], node_of[link.target]) for link in topology.links}
    nodes = [{node_of[chip] for chip in stage.chips} for stage in plan.stages]
    assert all(len(held) == 1 for held in nodes), "a stage is a node: its chips are fully connected"
    order = [next(iter(held)) for held in nodes]
    assert all(pair in linked for pair in pairwise(order))
    assert not set(order) & set(topology.spare_nodes)


@pytest.mark.parametrize(
    ("model", "weights", "chips"),
    [
        ("llama-2-70b", "int8", 300),  # 68.98 GB / 230.69 MB
        ("llama-3.1-70b", "int8", 306),
    ],
)
def test_minimum_chips_for_the_weights_alone(model: str, weights: str, chips: int) -> None:
    scenario = rack_sim.load("llama70b", [f"model={model}", f"precision.weights={weights}"])
    assert rack_sim.explain(scenario).limits.chips_min == chips


def test_weights_are_half_of_the_sram(explanation: Explanation) -> None:
    """576 chips = 132.9 GB, 52 % of it weights (facts A4)."""
    share = explanation.plan.weight_bytes / (576 * SRAM)
    assert round(share, 2) == 0.52


def test_tokens_per_second_and_user_are_those_published(explanation: Explanation) -> None:
    """Published: 300 tokens/s per user (240 for the demo before it); one constant is fitted to it.

    Tolerance: the time between tokens is a whole number of intervals, so a constant moves it in
    steps of one slot in about 55.
    """
    step = explanation.step
    assert 10**12 / step.revolution_ps == pytest.approx(300, rel=1 / step.slot_count)
