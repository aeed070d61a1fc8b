"""Two small machines: one rack of three nodes of two chips, one node spare, two stages.

One runs a compiled step, the other iterations.
"""

from collections.abc import Callable
from typing import Literal

import pytest

from rack_sim.compiler.batches import BatchMachine, CacheRoom, batch_machine
from rack_sim.compiler.step import StepTiming, compile_step
from rack_sim.hardware.builders import dragonfly
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.metrics.log import REQUEST_COLUMNS
from rack_sim.model.architecture import Architecture
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape


def planned(cables: int, execution: Literal["static", "reactive"]) -> Plan:
    link = LinkType("c2c", 10**10, 100_000, 320, 328)
    chip = Chip(
        name="small",
        execution=execution,
        memory=(MemoryTier("sram", 10**7, 10**12),),
        matrix=MatrixUnit({"fp16": 10**12}, 10**11),
        vector_flop_per_s=10**11,
        operator_fixed_latency_ps=50_000,
        program_text_bytes=1000,
        port_count=99,
        idle_watts=50.0,
        peak_watts=215.0,
        price_usd=20_000.0,
    )
    topology = dragonfly(
        name="small",
        racks=1,
        nodes_per_rack=3,
        chips_per_node=2,
        links_per_node_pair=cables,
        links_per_rack_pair=0,
        spare_nodes_per_rack=1,
        local=link,
        global_=link,
        port_count=99,
    )
    plan = partition(
        Deployment(
            model=Architecture.dense("small", 2, 256, 8, 4, 32, 512, 1000, False, 512),
            system=System("small", chip, topology, host_watts_per_node=900.0),
            shape=StepShape(5, 64, Precision("int8", "fp16", "fp16", "fp16")),
            concurrent_sequences=2,
            tensor_parallel=2,
            stage_count=2,
            objective="fewest_chips",
        )
    )
    assert isinstance(plan, Plan)
    return plan


@pytest.fixture(scope="session")
def request_row() -> Callable[..., tuple[int, ...]]:
    """Makes a row of a request log: what is not named is what a request that got nowhere has."""
    unset = {name: -1 if name.endswith("_ps") else 0 for name in REQUEST_COLUMNS}
    unset |= {"slot": -1, "prefill_replica": -1, "transfer_ps": 0}

    def made(**given: int) -> tuple[int, ...]:
        assert set(given) <= set(unset)
        return tuple((unset | given).values())

    return made


@pytest.fixture(scope="session")
def step() -> StepTiming:
    """One cable between every two nodes."""
    return compile_step(planned(1, "static"))


@pytest.fixture(scope="session")
def wide_step() -> StepTiming:
    """Four cables between every two nodes of two chips: two between a pair of chips."""
    return compile_step(planned(4, "static"))


@pytest.fixture(scope="session")
def reactive() -> BatchMachine:
    """Iterations on the same chips, and two cables between a pair of them; 16 tokens a block."""
    machine = batch_machine(planned(4, "reactive"), CacheRoom(8, 16))
    assert isinstance(machine, BatchMachine)
    return machine
