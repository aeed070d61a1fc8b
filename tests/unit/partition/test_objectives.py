"""The partitioner picks what trying every (tensor parallel, stages) and compiling it finds best."""

from dataclasses import replace
from functools import cache

import pytest

from rack_sim.compiler.step import StepTiming, compile_step
from rack_sim.foundation.errors import InputError
from rack_sim.hardware.builders import dragonfly
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

MODEL = Architecture.dense("small", 3, 256, 8, 4, 32, 512, 1000, False, 512)
WEIGHTS = 2 * MODEL.parameter_count  # fp16


def deploy(
    *, capacity: int = 10**9, link_ns: int = 100, fixed_ns: int = 50, rate: int = 10**10, **asked
) -> Deployment:
    """Two racks of two nodes of four chips, no spares."""
    link = LinkType("c2c", rate, link_ns * 1000, 320, 328)
    chip = Chip(
        name="small",
        execution="static",
        memory=(MemoryTier("sram", capacity, 10**12),),
        matrix=MatrixUnit({"fp16": 10**13}, 10**12),
        vector_flop_per_s=10**12,
        operator_fixed_latency_ps=fixed_ns * 1000,
        program_text_bytes=1000,
        port_count=99,
        idle_watts=1.0,
        peak_watts=2.0,
        price_usd=1.0,
    )
    topology = dragonfly(
        name="small",
        racks=2,
        nodes_per_rack=2,
        chips_per_node=4,
        links_per_node_pair=2,
        links_per_rack_pair=2,
        spare_nodes_per_rack=0,
        local=link,
        global_=link,
        port_count=99,
    )
    settings = {
        "model": MODEL,
        "system": System("small", chip, topology, 0.0),
        "shape": StepShape(1, 64, Precision("fp16", "fp16", "fp16", "fp16")),
        "concurrent_sequences": 2,
        "tensor_parallel": None,
        "stage_count": None,
        "objective": "fewest_chips",
    }
    return Deployment(**(settings | asked))


@cache
def every_step(machine: str) -> dict[tuple[int, int], StepTiming]:
    """Each (tensor parallel, stages) that fits, compiled."""
    deployment = deploy(**MACHINES[machine])
    found = {}
    for degree in range(1, 17):
        for stages in range(1, 9):
            asked = replace(deployment, tensor_parallel=degree, stage_count=stages)
            try:
                plan = partition(asked)
            except InputError:  # heads that do not divide, more groups than there are
                continue
            if isinstance(plan, Plan):
                assert (plan.tensor_parallel, plan.stage_count) == (degree, stages)
                found[degree, stages] = compile_step(plan)
    return found


MACHINES = {
    "roomy": {},
    "tight": {"capacity": WEIGHTS // 6},
    "slow links": {"link_ns": 20_000},
    "slow wires": {"rate": 10**8},
    # Wires, not stages, decide how often a token comes: what a stage alone promises misleads.
    "tight with slow wires": {"capacity": WEIGHTS // 2, "rate": 10**8},
    "slow operators": {"fixed_ns": 5_000},
    "fast everything": {"link_ns": 1, "fixed_ns": 0, "rate": 10**12},
}


@pytest.mark.parametrize("machine", MACHINES)
def test_fewest_chips(machine: str) -> None:
    deployment = deploy(**MACHINES[machine])
    steps = every_step(machine)
    plan = partition(deployment)
    assert isinstance(plan, Plan)
    fewest = min(degree * stages for degree, stages in steps)
    assert plan.chip_count == fewest
    # Of plans on as few chips the one with the shortest time between tokens.
    assert compile_step(plan).revolution_ps == min(
        step.revolution_ps for (degree, stages), step in steps.items() if degree * stages == fewest
    )


@pytest.mark.parametrize("machine", MACHINES)
def test_lowest_latency_is_the_shortest_time_between_tokens(machine: str) -> None:
    deployment = deploy(**MACHINES[machine], objective="lowest_latency")
    steps = every_step(machine)
    plan = partition(deployment)
    assert isinstance(plan, Plan)
    best = min(step.latency_ps for step in steps.values())
    step = compile_step(plan)
    # R = S x ceil(L / S): what rounding adds is less than one picosecond a slot.
    assert 0 <= step.revolution_ps - best < step.slot_count


@pytest.mark.parametrize("machine", MACHINES)
def test_most_tokens_per_chip_is_the_shortest_interval_times_chips(machine: str) -> None:
    deployment = deploy(**MACHINES[machine], objective="most_tokens_per_chip")
    steps = every_step(machine)
    plan = partition(deployment)
    assert isinstance(plan, Plan)
    best = min(step.interval_ps * degree * stages for (degree, stages), step in steps.items())
    assert compile_step(plan).interval_ps * plan.chip_count == best


def test_a_plan_holds_every_block_once_in_order_and_fits() -> None:
    deployment = deploy(capacity=WEIGHTS // 6)
    plan = partition(deployment)
    assert isinstance(plan, Plan)
    names = [block.name for stage in plan.stages for block in stage.blocks]
    assert names == [
        "embedding",
        *[f"layer{n}.{kind}" for n in range(3) for kind in ("attention", "feed_forward")],
        "head",
    ]
    assert plan.weight_bytes == WEIGHTS
    assert plan.used_bytes_max <= WEIGHTS // 6
    assert [stage.number for stage in plan.stages] == list(range(plan.stage_count))


def test_room_for_sequences_is_the_largest_number_that_fits_the_cut() -> None:
    deployment = deploy(capacity=WEIGHTS // 6, tensor_parallel=4, stage_count=3)
    plan = partition(deployment)
    assert isinstance(plan, Plan)
    layer_cache = 2 * 64 * 2 * 4 * 32  # bytes x context x keys and values x heads x head size
    for sequences, fits in (
        (plan.concurrent_sequences_max, True),
        (plan.concurrent_sequences_max + 1, False),
    ):
        used = max(
            max(memory.used_bytes - memory.kv_bytes for memory in stage.memory)
            + sequences
            * layer_cache
            * sum(block.kind == "attention" for block in stage.blocks)
            // 4
            for stage in plan.stages
        )
        assert (used <= WEIGHTS // 6) == fits


@pytest.mark.parametrize(
    ("asked", "field", "text"),
    [
        ({"tensor_parallel": 3}, "partition.tensor_parallel", "8 attention heads"),
        ({"stage_count": 9}, "partition.stages", "9 stages for 8 blocks"),
        ({"tensor_parallel": 8, "stage_count": 3}, "partition.stages", "24"),
    ],
)
def test_what_has_no_meaning_is_refused(asked: dict[str, int], field: str, text: str) -> None:
    with pytest.raises(InputError) as caught:
        partition(deploy(**asked))
    (problem,) = caught.value.problems
    assert problem.field == field
    assert text in problem.message
    assert problem.suggestion


def test_more_stages_than_any_degree_has_groups_for_are_refused() -> None:
    """17 stages on 16 chips: what is short is chips, not bytes."""
    with pytest.raises(InputError) as caught:
        partition(deploy(model=replace(MODEL, layers=MODEL.layers[:1] * 10), stage_count=17))
    assert caught.value.problems[0].field == "partition.stages"


def test_a_failure_is_explained_with_chips_that_are_there() -> None:
    """8 stages on 16 chips, the degree left open: at most two chips a stage exist.

    Memory that four chips a stage would have is no bound: the gap would come out below zero.
    """
    answer = partition(deploy(capacity=WEIGHTS // 20, stage_count=8))
    assert isinstance(answer, Infeasible)
    assert answer.gap_bytes > 0
    if answer.scope == "system":
        assert answer.bound_bytes <= 16 * (WEIGHTS // 20)
