"""What a deployment may ask for: degrees, stages and experts, to the last allowed number."""

from dataclasses import replace

import pytest

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.builders import dragonfly
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.model.expert_blocks import ExpertPlacement
from rack_sim.model.layers import Experts
from rack_sim.partition.expert_parallel import expert_problems
from rack_sim.partition.partitioner import Deployment, check_deployment, possible_degrees
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

LINK = LinkType("c2c", 10**10, 1000, 320, 328)
CHIP = Chip(
    "small", "static", (MemoryTier("sram", 10**9, 10**12),), MatrixUnit({"fp16": 10**13}, None),
    10**12, 0, 0, 99, 1.0, 2.0, 1.0,
)  # fmt: skip


def dense(heads: int = 48, kv_heads: int = 4, layers: int = 2) -> Architecture:
    return Architecture.dense("small", layers, 16 * heads, heads, kv_heads, 16, 64, 100, False, 512)


def sparse(*expert_counts: int) -> Architecture:
    """A layer for each number of experts."""
    (layer, *_) = dense().layers
    layers = tuple(replace(layer, feed_forward=Experts(n, 2, 32)) for n in expert_counts)
    return replace(dense(), name="sparse", layers=layers)


def deploy(
    model: Architecture | None = None, *, chips: int = 4, nodes: int = 4, **asked: object
) -> Deployment:
    topology = dragonfly(
        name="rack",
        racks=1,
        nodes_per_rack=nodes,
        chips_per_node=chips,
        links_per_node_pair=1,
        links_per_rack_pair=0,
        spare_nodes_per_rack=0,
        local=LINK,
        global_=LINK,
        port_count=99,
    )
    settings = {
        "model": model or dense(),
        "system": System("rack", CHIP, topology, 0.0),
        "shape": StepShape(1, 64, Precision("fp16", "fp16", "fp16", "fp16")),
        "concurrent_sequences": 1,
        "tensor_parallel": None,
        "stage_count": None,
        "objective": "fewest_chips",
    }
    return Deployment(**(settings | asked))  # type: ignore[arg-type]


def refused(deployment: Deployment) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        check_deployment(deployment)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("model", "chips", "nodes", "degrees"),
    [
        # Parts of a node of four, then two, three and four of the four nodes.
        (dense(48, 4), 4, 4, [1, 2, 4, 8, 12, 16]),
        (dense(48, 48), 4, 4, [1, 2, 4, 8, 12, 16]),
        (dense(8, 4), 4, 4, [1, 2, 4, 8]),  # 12 and 16 do not divide 8 heads
        (dense(12, 12), 6, 2, [1, 2, 3, 6, 12]),  # 4 does not divide a node of 6
        (dense(12, 4), 6, 2, [1, 2, 12]),  # 4 heads neither split over 3 and 6 nor are they shared
        (dense(7, 7), 4, 4, [1]),
    ],
)
def test_degrees_are_parts_of_a_node_or_whole_nodes_that_split_the_heads(
    model: Architecture, chips: int, nodes: int, degrees: list[int]
) -> None:
    assert possible_degrees(deploy(model, chips=chips, nodes=nodes)) == degrees


def test_experts_that_lie_apart_leave_one_degree() -> None:
    assert possible_degrees(deploy(sparse(8), expert_parallel=8)) == [8]
    assert possible_degrees(deploy(sparse(8), expert_parallel=1)) == [1, 2, 4, 8, 12, 16]


@pytest.mark.parametrize(("chips", "apart"), [(1, False), (2, True), (8, True)])
def test_experts_lie_apart_on_two_chips_and_more(chips: int, apart: bool) -> None:
    asked = deploy(sparse(8), expert_parallel=chips, expert_skew=0.5, expert_capacity_factor=1.5)
    assert asked.placement == ExpertPlacement(apart, 0.5, 1.5)
    assert deploy().placement == ExpertPlacement(False, 0.0, None)


def test_the_cache_is_that_of_every_sequence_at_full_context() -> None:
    demand = deploy(concurrent_sequences=7).demand
    assert (demand.kv_tokens, demand.residual_elements) == (7 * 64, 48 * 16)


def test_as_many_stages_as_blocks_are_allowed_and_no_more() -> None:
    """Two layers of two blocks, an embedding and a head: six."""
    check_deployment(deploy(stage_count=6))
    (problem,) = refused(deploy(stage_count=7))
    assert problem.message == "7 stages for 6 blocks leave some empty"
    assert (problem.field, problem.suggestion) == ("partition.stages", "at most 6")


def test_as_many_chips_as_there_are_are_allowed_and_no_more() -> None:
    """Sixteen chips."""
    check_deployment(deploy(tensor_parallel=4, stage_count=4))
    check_deployment(deploy(tensor_parallel=16))
    check_deployment(deploy(dense(layers=7), stage_count=16))
    for asked, message, field in (
        (
            {"tensor_parallel": 4, "stage_count": 5},
            "5 stages of 4 chips need 20 chips; "
            "system 'rack' has 16 active chips, room for 4 such stages",
            "partition.stages",
        ),
        (
            {"tensor_parallel": 24},
            "1 stages of 24 chips need 24 chips; "
            "system 'rack' has 16 active chips, room for 0 such stages",
            "partition.tensor_parallel",
        ),
        (
            {"model": dense(layers=8), "stage_count": 17},
            "17 stages of 1 chips need 17 chips; "
            "system 'rack' has 16 active chips, room for 16 such stages",
            "partition.stages",
        ),
    ):
        (problem,) = refused(deploy(**asked))
        assert (problem.message, problem.field) == (message, field)


def test_a_degree_that_splits_no_heads_names_those_that_do() -> None:
    (problem,) = refused(deploy(dense(8, 4), tensor_parallel=3))
    assert problem.message == "8 attention heads cannot be split over 3 chips evenly"
    assert problem.suggestion == "allowed: 1, 2, 4, 8"
    both = refused(deploy(dense(8, 4), tensor_parallel=3, stage_count=7))
    assert [each.field for each in both] == ["partition.tensor_parallel", "partition.stages"]


# Experts ------------------------------------------------------------------------------------------


def fields(problems: list[Problem]) -> list[str]:
    return [str(problem.field).removeprefix("partition.") for problem in problems]


@pytest.mark.parametrize(
    ("chips", "placement", "wrong"),
    [
        (1, ExpertPlacement(), []),
        (2, ExpertPlacement(), ["expert_parallel"]),
        (1, ExpertPlacement(skew=0.01), ["expert_skew"]),
        (1, ExpertPlacement(capacity_factor=2.0), ["expert_capacity_factor"]),
        (
            2,
            ExpertPlacement(True, 1.0, 2.0),
            ["expert_parallel", "expert_skew", "expert_capacity_factor"],
        ),
    ],
)
def test_a_dense_model_is_asked_for_no_experts(
    chips: int, placement: ExpertPlacement, wrong: list[str]
) -> None:
    problems = expert_problems(dense(), chips, None, placement)
    assert fields(problems) == wrong
    assert {problem.message for problem in problems} <= {"small has no experts"}


@pytest.mark.parametrize(
    ("factor", "wrong"), [(None, 0), (1.0, 0), (1.01, 0), (2.0, 0), (0.99, 1), (0.0, 1)]
)
def test_a_capacity_factor_is_one_or_more(factor: float | None, wrong: int) -> None:
    """Of less not even an equal share for all finds its experts."""
    for chips in (1, 8):
        found = expert_problems(sparse(8), chips, chips, ExpertPlacement(chips > 1, 0.0, factor))
        assert fields(found) == ["expert_capacity_factor"] * wrong
        assert {problem.suggestion for problem in found} <= {"at least 1"}


@pytest.mark.parametrize(
    ("chips", "divisors"),
    [(1, []), (2, []), (4, []), (8, [12]), (3, [8]), (24, [8, 12]), (5, [8, 12])],
)
def test_every_number_of_experts_is_shared_out_evenly(chips: int, divisors: list[int]) -> None:
    """Layers of 12 and of 8 experts: what does not divide is named once each, in order."""
    found = expert_problems(sparse(12, 8, 12), chips, None, ExpertPlacement(chips > 1))
    assert [problem.suggestion for problem in found] == [f"a divisor of {n}" for n in divisors]
    assert fields(found) == ["expert_parallel"] * len(divisors)


@pytest.mark.parametrize(
    ("chips", "stage", "wrong"),
    [(8, 8, 0), (8, None, 0), (8, 4, 1), (4, 8, 1), (2, 1, 1), (1, 4, 0)],
)
def test_experts_lie_apart_on_the_chips_of_a_stage(
    chips: int, stage: int | None, wrong: int
) -> None:
    found = expert_problems(sparse(8), chips, stage, ExpertPlacement(chips > 1))
    assert [problem.message for problem in found] == [
        f"experts lie apart on {chips} chips, but a stage has {stage}"
    ] * wrong
