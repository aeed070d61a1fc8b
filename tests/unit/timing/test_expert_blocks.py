"""Blocks task by task: who reads what was gathered, and what experts send and add up."""

from dataclasses import replace

import pytest
from machines import SMALL_CHIP, SMALL_LINK

from rack_sim.foundation.units import work_to_ps
from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.routing import Routing
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.expert_blocks import ExpertPlacement
from rack_sim.model.layers import Experts
from rack_sim.model.operators import Block
from rack_sim.timing.blocks import BlockTiming, time_block
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape
from rack_sim.timing.tasks import Task

HIDDEN, EXPERTS, CHIPS = 256, 8, 4
LINK = SMALL_LINK
BOX = Routing(fully_connected(name="box", chips=8, local=LINK, port_count=8))
CHIP = replace(SMALL_CHIP, vector_flop_per_s=10**9)
DENSE = Architecture.dense("small", 1, HIDDEN, 8, 4, 32, 512, 1000, False, 512)
SPARSE = replace(
    DENSE, layers=tuple(replace(one, feed_forward=Experts(EXPERTS, 2, 64)) for one in DENSE.layers)
)
GROUP = tuple(range(CHIPS))


def timed(block: Block, rows: int = 1) -> BlockTiming:
    return time_block(
        block,
        StepShape(rows, 64, Precision("int8", "fp16", "fp16", "fp16")),
        chip=CHIP,
        routing=BOX,
        group=GROUP,
        residual_elements=HIDDEN,
    )


def tasks(timing: BlockTiming, name: str) -> list[tuple[int, Task]]:
    """Of a name, by number; pieces of an operator have their number behind it."""
    return [
        (number, task)
        for number, task in enumerate(timing.placed.tasks)
        if str(task.work) == name or str(task.work).startswith(f"{name} 1/")
    ]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_first_matmul_reads_what_was_gathered(number: int) -> None:
    """From every other chip: it is kept until then, and no longer."""
    block = blocks_of(DENSE)[number]
    timing = timed(block)
    matmuls = [o.name for o in block.operators if o.unit == "matrix"]
    for chip in GROUP:
        arrived = {
            at for at, task in tasks(timing, "gather") if task.ends[1] == chip == task.resource[1]
        }
        assert len(arrived) == CHIPS - 1
        for place, name in enumerate(matmuls):
            ((_, task),) = (one for one in tasks(timing, name) if one[1].resource[1] == chip)
            read = arrived & {need for need, _ in task.needs}
            assert read == (arrived if place == 0 else set())


@pytest.mark.parametrize("rows", [1, 3])
def test_sums_of_experts_are_of_all_other_chips(rows: int) -> None:
    """Logits of eight experts from three others; of what experts found, each chip's own shard.

    A static program expects every row from every other chip.
    """
    block = blocks_of(SPARSE, ExpertPlacement(apart=True))[2]
    timing = timed(block, rows)
    logits, found = (CHIPS - 1) * rows * EXPERTS, (CHIPS - 1) * rows * HIDDEN // CHIPS
    for name, flop in (
        ("feed_forward.router sum", logits),
        ("feed_forward.experts_down_projection sum", found),
    ):
        sums = [task for _, task in tasks(timing, name)]
        assert [task.resource for task in sums] == [("vector", chip) for chip in GROUP]
        assert {task.duration_ps for task in sums} == {work_to_ps(flop, 10**9)}
    assert [(one.traffic, one.operation, one.shard_bytes) for one in timing.collectives] == [
        ("logits", "all_gather", rows * (EXPERTS + 1) * 4),
        ("dispatch", "all_to_all", 2 * rows * HIDDEN // CHIPS),
        ("collect", "all_to_all", 2 * rows * HIDDEN // CHIPS),
    ]


@pytest.mark.parametrize("rows", [1, 3])
def test_sums_of_a_matmul_are_of_the_shard_of_a_chip(rows: int) -> None:
    """One addition for each element of the shard and each other chip."""
    timing = timed(blocks_of(DENSE)[2], rows)
    sums = [task for _, task in tasks(timing, "feed_forward.down_projection sum")]
    flop = (CHIPS - 1) * rows * HIDDEN // CHIPS
    assert [task.duration_ps for task in sums] == [work_to_ps(flop, 10**9)] * CHIPS
