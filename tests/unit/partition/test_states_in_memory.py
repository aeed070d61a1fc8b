"""Room for states: of every concurrent sequence, on every chip of a group its heads' share."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.compiler.batches import BatchMachine, CacheRoom, batch_machine
from rack_sim.engine.fleet import PrefixStore, Serving, fleet_plan
from rack_sim.engine.policies import ContinuousBatchingPolicy
from rack_sim.foundation.errors import InputError
from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import Chip, Execution, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.layers import DenseFeedForward, GroupedAttention, Layer
from rack_sim.model.state_layers import Mamba2
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.memory import MemoryDemand, group_memory, state_bytes
from rack_sim.partition.partitioner import Deployment, partition, possible_degrees
from rack_sim.partition.plan import Plan
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

FP16 = Precision("fp16", "fp16", "fp16", "fp16")
MAMBA = Mamba2(8, 16, 2, 32, 4, 128)
HALF = DenseFeedForward(128)
# As Nemotron-H: every layer one half alone.
MODEL = Architecture(
    "hybrid",
    (Layer(MAMBA, None), Layer(GroupedAttention(8, 4, 8), None), Layer(None, HALF)),
    64, 800, False, 4096,
)  # fmt: skip
RECURRENT = 4 * 8 * 16 * 32  # bytes of fp32


def kept_rows(chips: int) -> int:
    """Bytes of the convolution over all chips: inputs of heads, and B and C of two groups."""
    return 2 * 3 * (8 * 16 + max(2, chips) * 2 * 32)


def chip(execution: Execution = "static", capacity: int = 10**8) -> Chip:
    return Chip(
        "small", execution, (MemoryTier("sram", capacity, 10**12),),
        MatrixUnit({"fp16": 10**12}, None), 10**12, 0, 4096, 8, 1.0, 2.0, 1.0,
    )  # fmt: skip


def deployment(
    execution: Execution = "static",
    *,
    capacity: int = 10**8,
    degree: int = 2,
    sequences: int = 3,
    model: Architecture = MODEL,
) -> Deployment:
    link = LinkType("c2c", 10**12, 1000, 320, 328)
    topology = fully_connected(name="node", chips=4, local=link, port_count=8)
    return Deployment(
        model=model,
        system=System("box", chip(execution, capacity), topology, 0.0),
        shape=StepShape(1, 256, FP16),
        concurrent_sequences=sequences,
        tensor_parallel=degree,
        stage_count=1,
        objective="fewest_chips",
    )


def planned(execution: Execution = "static", **changed: int) -> Plan:
    plan = partition(deployment(execution, **changed))
    assert isinstance(plan, Plan), plan
    return plan


@given(st.sampled_from([1, 2, 4, 8]), st.integers(1, 9), st.integers(1, 3))
def test_states_of_all_chips_add_up(chips: int, sequences: int, rows_each: int) -> None:
    """A draft's tokens have a state each: any may be the last that is taken."""
    shape = StepShape(rows_each, 128, FP16, rows_per_sequence=rows_each)
    demand = MemoryDemand(shape, sequences * 128, 64, sequences)
    held = group_memory(blocks_of(MODEL), demand, chip=chip(), group_size=chips)
    found = sum(memory.state_bytes for memory in held)
    assert found == sequences * rows_each * (RECURRENT + kept_rows(chips))


@pytest.mark.parametrize("chips", [1, 2, 4, 8])
def test_copies_of_what_groups_share_are_weights_too(chips: int) -> None:
    demand = MemoryDemand(StepShape(1, 128, FP16), 128, 64)
    held = group_memory(blocks_of(MODEL), demand, chip=chip(), group_size=chips)
    copies = max(2, chips) - 2
    each = 64 * 2 * 32 + 2 * 32 * 5  # projected, and the kernel and the bias of each channel
    found = sum(memory.weight_bytes for memory in held)
    assert found == 2 * (MODEL.parameter_count + copies * each)


def test_a_static_chip_has_room_for_every_concurrent_sequence() -> None:
    (stage,) = planned(sequences=5).stages
    assert stage.memory[0].state_bytes == 5 * (RECURRENT + kept_rows(2)) // 2
    kv = 5 * 256 * 2 * 2 * 4 * 8 // 2
    assert stage.memory[0].cache_bytes == stage.memory[0].state_bytes + kv


def test_what_does_not_fit_names_the_states() -> None:
    answer = partition(deployment(capacity=10**5, sequences=50))
    assert isinstance(answer, Infeasible)
    states = {name: size for name, size in answer.terms.items() if name.startswith("states")}
    assert list(states.values()) == [50 * (RECURRENT + kept_rows(2))]


def test_heads_and_groups_say_how_many_chips_may_share_a_layer() -> None:
    """Eight heads of two groups: on three chips neither is whole."""
    odd = replace(MODEL, layers=(Layer(Mamba2(9, 16, 3, 32, 4, 128), HALF),))
    assert possible_degrees(deployment(model=odd, degree=1)) == [1]
    assert possible_degrees(deployment(degree=1)) == [1, 2, 4]


def machine(room: CacheRoom, plan: Plan) -> BatchMachine:
    found = batch_machine(plan, room)
    assert isinstance(found, BatchMachine), found
    return found


def test_batches_take_room_for_the_most_sequences_before_the_cache() -> None:
    plan = planned("reactive", capacity=10**7)
    one, many = (machine(CacheRoom(8, 16, sequences=count), plan) for count in (1, 40))
    each = state_bytes(plan.stages[0].blocks, FP16, 2)
    assert one.chip_bytes["states"] == each
    assert many.chip_bytes["states"] == 40 * each
    block = 16 * 2 * 2 * 4 * 8 // 2
    free = sum(one.chip_bytes.values()) - one.chip_bytes["kv_cache"] + 39 * each
    assert many.timing.block_count == (10**7 - free) // block
    assert many.timing.state_bytes_per_sequence == 2 * each == RECURRENT + kept_rows(2)
    assert many.sequences_max == 40
    assert many.memory_use(plan.stages[0], plan.stages[0].memory[0]).kv_cache == (
        many.chip_bytes["states"] + many.chip_bytes["kv_cache"]
    )


def test_a_draft_asks_for_a_state_for_each_row_that_is_looked_at() -> None:
    plan = planned("reactive", capacity=10**7)
    alone = machine(CacheRoom(8, 16, sequences=5), plan)
    drafted = machine(CacheRoom(8, 16, sequences=5, states_per_sequence=4), plan)
    assert drafted.chip_bytes["states"] == 4 * alone.chip_bytes["states"]
    assert ContinuousBatchingPolicy().rows_per_sequence(3) == 4


def test_too_many_sequences_are_answered_with_how_many_fit() -> None:
    plan = planned("reactive", capacity=10**6)
    refused = batch_machine(plan, CacheRoom(8, 16, sequences=10**4))
    assert isinstance(refused, Infeasible)
    (lever,) = (text for text in refused.levers if "max_sequences" in text)
    fits = int(lever.rpartition(" ")[2])
    assert isinstance(batch_machine(plan, CacheRoom(8, 16, sequences=fits)), BatchMachine)
    assert isinstance(batch_machine(plan, CacheRoom(8, 16, sequences=fits + 1)), Infeasible)


def test_a_model_that_caches_nothing_is_refused_in_blocks_of_tokens() -> None:
    alone = replace(MODEL, layers=(Layer(MAMBA, HALF),))
    plan = partition(deployment("reactive", model=alone))
    assert isinstance(plan, Plan)
    with pytest.raises(InputError, match="has no attention"):
        batch_machine(plan, CacheRoom(8, 16))


def test_the_same_model_fits_static_chips() -> None:
    alone = replace(MODEL, layers=(Layer(MAMBA, HALF),))
    plan = partition(deployment(model=alone, sequences=7))
    assert isinstance(plan, Plan)
    assert plan.concurrent_sequences_max >= 7
    assert plan.stages[0].memory[0].kv_bytes == 0


def test_a_prefix_without_the_state_at_its_end_is_of_no_use() -> None:
    serving = Serving(ContinuousBatchingPolicy(), prefix_store=PrefixStore(10**6, 16))
    with pytest.raises(InputError, match="keeps states of sequences") as caught:
        fleet_plan(serving, machine(CacheRoom(8, 16), planned("reactive")))
    assert caught.value.problems[0].field == "serving.prefix_cache"
