"""The cache of a batch machine to the byte, what is said where it is too small, and totals.

The model by hand (fp16): 3 layers of hidden 256, 4 key-value heads of 32. A chip keeps the residual
stream of a row and two buffers of the widest operator: the gated activation, 3 x 512.
"""

from collections.abc import Mapping
from dataclasses import fields, replace

import pytest

from rack_sim.compiler.batches import (
    BatchMachine,
    BatchTiming,
    BatchTotals,
    CacheRoom,
    DraftCost,
    IterationCount,
    batch_machine,
)
from rack_sim.compiler.cache_blocks import CacheBlocks, WindowBlocks
from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import KINDS, Chip, Kind, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan
from rack_sim.timing.iterations import IterationTimer
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

FP16 = Precision("fp16", "fp16", "fp16", "fp16")
MODEL = Architecture.dense("small", 3, 256, 8, 4, 32, 512, 1000, False, 4096)
WEIGHTS, CONTEXT, TEXT = 2 * MODEL.parameter_count, 512, 777
TOKEN = 2 * 2 * 4 * 32 * 3  # keys and values of 4 heads of 32 in 3 layers, two bytes each
ROW = 2 * (256 + 2 * 3 * 512)
BLOCK = 16 * TOKEN


def planned(*memory: MemoryTier, degree: int = 1, stages: int = 1, host_ps: int = 0) -> Plan:
    chip = Chip(
        name="tiered",
        execution="reactive",
        memory=memory,
        matrix=MatrixUnit({"fp16": 10**15}, None),
        vector_flop_per_s=10**15,
        operator_fixed_latency_ps=0,
        program_text_bytes=TEXT,
        port_count=8,
        idle_watts=1.0,
        peak_watts=2.0,
        price_usd=1.0,
        iteration_host_ps=host_ps,
        sequence_host_ps=host_ps // 10,
    )
    link = LinkType("c2c", 10**12, 1000, 320, 328)
    plan = partition(
        Deployment(
            model=MODEL,
            system=System(
                "box",
                chip,
                fully_connected(name="node", chips=4, local=link, port_count=8),
                0.0,
            ),
            shape=StepShape(1, CONTEXT, FP16),
            concurrent_sequences=1,
            tensor_parallel=degree,
            stage_count=stages,
            objective="fewest_chips",
        )
    )
    assert isinstance(plan, Plan), plan
    return plan


def tier(capacity: int, name: str = "hbm", holds: tuple[Kind, ...] = KINDS) -> MemoryTier:
    return MemoryTier(name, capacity, 10**12, holds)


PLAN = planned(tier(10**9))


def with_capacity(capacity: int, plan: Plan = PLAN) -> Plan:
    """The same plan on chips of another memory: the partitioner would refuse some."""
    chip = replace(plan.system.chip, memory=(tier(capacity),))
    return replace(plan, system=replace(plan.system, chip=chip))


def machine(plan: Plan, room: CacheRoom) -> BatchMachine:
    found = batch_machine(plan, room)
    assert isinstance(found, BatchMachine), found
    return found


def refusal(plan: Plan, room: CacheRoom) -> Infeasible:
    found = batch_machine(plan, room)
    assert isinstance(found, Infeasible)
    return found


# 512 tokens are 32 blocks of 16.
BESIDE = WEIGHTS + TEXT + ROW
NEEDED = BESIDE + 32 * BLOCK


@pytest.mark.parametrize(
    ("more", "blocks"), [(0, 32), (1, 32), (BLOCK - 1, 32), (BLOCK, 33), (BLOCK + 1, 33)]
)
def test_the_cache_is_the_whole_blocks_of_what_is_left(more: int, blocks: int) -> None:
    found = machine(with_capacity(NEEDED + more), CacheRoom(1, 16))
    assert found.timing.block_count == blocks
    assert found.timing.kv_tokens == 16 * blocks
    assert found.chip_bytes == {
        "weights": WEIGHTS,
        "program_text": TEXT,
        "activations": ROW,
        "left_free": 0,
        "kv_cache": blocks * BLOCK,
    }
    assert found.used_bytes_max == BESIDE + blocks * BLOCK
    assert found.timing.kv_bytes_per_token == TOKEN


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_every_row_has_activations(rows: int) -> None:
    found = machine(with_capacity(NEEDED + 10 * ROW), CacheRoom(rows, 16))
    assert found.chip_bytes["activations"] == rows * ROW
    assert found.timing.block_count == 32 + (10 - rows + 1) * ROW // BLOCK


@pytest.mark.parametrize("share", [0.5, 0.9, 0.29])
def test_a_share_of_the_memory_is_rounded_down_to_bytes(share: float) -> None:
    """Exactly as it is written: 0.29 of 10^8 is 29,000,000, which a double misses."""
    found = machine(with_capacity(10**8), CacheRoom(1, 16, share))
    allowed = {0.5: 5 * 10**7, 0.9: 9 * 10**7, 0.29: 29 * 10**6}[share]
    assert found.chip_bytes["left_free"] == 10**8 - allowed
    assert found.timing.block_count == (allowed - BESIDE) // BLOCK


@pytest.mark.parametrize(
    ("given", "blocks"),
    [(32 * BLOCK, 32), (33 * BLOCK - 1, 32), (33 * BLOCK, 33), (10**12, 100)],
)
def test_a_cache_that_is_given_is_taken_where_there_is_room(given: int, blocks: int) -> None:
    room = CacheRoom(1, 16, kv_capacity_bytes=given)
    assert machine(with_capacity(BESIDE + 100 * BLOCK), room).timing.block_count == blocks


def test_four_chips_hold_a_quarter_of_the_cache_each() -> None:
    plan = planned(tier(10**9), degree=4)
    found = machine(plan, CacheRoom(3, 16))
    assert found.chip_bytes["activations"] == 3 * 2 * (256 + 2 * 3 * 512 // 4)
    assert found.timing.kv_bytes_per_token == TOKEN
    assert found.chip_bytes["kv_cache"] == found.timing.block_count * BLOCK // 4


def test_a_draft_model_lies_beside_the_model() -> None:
    """Half the layers of the same: its weights on the chip, its cache with every token."""
    draft = replace(MODEL, layers=MODEL.layers[:1])
    found = machine(PLAN, CacheRoom(1, 16, draft_model=draft))
    assert found.chip_bytes["weights"] == WEIGHTS + 2 * draft.parameter_count
    assert found.timing.kv_bytes_per_token == TOKEN + TOKEN // 3
    left = 10**9 - TEXT - ROW - WEIGHTS - 2 * draft.parameter_count
    assert found.timing.block_count == left // (16 * (TOKEN + TOKEN // 3))
    shared = machine(planned(tier(10**9), degree=4), CacheRoom(1, 16, draft_model=draft))
    alone = machine(planned(tier(10**9), degree=4), CacheRoom(1, 16))
    more = shared.chip_bytes["weights"] - alone.chip_bytes["weights"]
    assert more == -(-2 * draft.parameter_count // 4)


def test_a_draft_runs_on_the_first_stage_and_the_host_waits_for_it_but_once() -> None:
    """Two stages of two chips. What the host takes for an iteration, a draft's tokens do not."""
    draft = replace(MODEL, layers=MODEL.layers[:1])
    room = CacheRoom(1, 16, draft_model=draft)
    proposing, idle = (
        machine(planned(tier(10**9), degree=2, stages=2, host_ps=ps), room) for ps in (5_000, 0)
    )
    model, hostless = proposing.timing.draft.model, idle.timing.draft.model
    assert isinstance(model, IterationTimer)
    assert isinstance(hostless, IterationTimer)
    assert set(model.vectors_by_hop(1)) == {(0, 1), (1, 0)}
    assert model.base_terms(3, 2) == hostless.base_terms(3, 2)
    more_ps = proposing.timer.base_ps(3, 2) - idle.timer.base_ps(3, 2)
    assert more_ps == 5_000 + 2 * 500
    assert machine(PLAN, CacheRoom(1, 16)).timing.draft == DraftCost(None, 0)
    # On the same chips and with the same precision as the model would be alone.
    alone = IterationTimer(
        idle.plan.system.chip,
        idle.plan.routing,
        [(0, 1)],
        [blocks_of(draft)],
        FP16,
        residual_elements=256,
    )
    assert hostless.base_terms(3, 2) == alone.base_terms(3, 2)
    assert hostless.roofs == alone.roofs


# Too small ----------------------------------------------------------------------------------------

MORE_CHIPS = "partition.tensor_parallel: more chips, each with less of weights and cache"
ALONE = "serving.policy.memory_share: 1.0"


def given(size_bytes: int) -> str:
    return f"serving.policy.kv_capacity_bytes: {size_bytes}, or without it"


@pytest.mark.parametrize(
    ("capacity", "room", "levers"),
    [
        # One byte short: 31 blocks, and nothing else helps but more chips.
        (NEEDED - 1, CacheRoom(1, 16), ["serving.max_context_tokens: 496", MORE_CHIPS]),
        (BESIDE + BLOCK, CacheRoom(1, 16), ["serving.max_context_tokens: 16", MORE_CHIPS]),
        (BESIDE + BLOCK - 1, CacheRoom(1, 16), [MORE_CHIPS]),
        (BESIDE - 1, CacheRoom(1, 16), [MORE_CHIPS]),
        # Half of a memory that is just large enough, and of one that is not.
        (NEEDED, CacheRoom(1, 16, 0.5), [ALONE, MORE_CHIPS]),
        (NEEDED - 1, CacheRoom(1, 16, 0.5), [MORE_CHIPS]),
        # A cache that is given, of one block, and of one byte less than is needed.
        (
            NEEDED,
            CacheRoom(1, 16, kv_capacity_bytes=BLOCK),
            ["serving.max_context_tokens: 16", given(32 * BLOCK), MORE_CHIPS],
        ),
        (
            NEEDED,
            CacheRoom(1, 16, kv_capacity_bytes=32 * BLOCK - 1),
            ["serving.max_context_tokens: 496", given(32 * BLOCK), MORE_CHIPS],
        ),
        (
            NEEDED,
            CacheRoom(1, 16, 0.5, kv_capacity_bytes=BLOCK),
            [f"{given(32 * BLOCK)} and {ALONE}", MORE_CHIPS],
        ),
        # As much as is needed, but half of the memory has no room for it.
        (NEEDED, CacheRoom(1, 16, 0.5, kv_capacity_bytes=32 * BLOCK), [ALONE, MORE_CHIPS]),
    ],
)
def test_what_would_make_the_cache_large_enough(
    capacity: int, room: CacheRoom, levers: list[str]
) -> None:
    refused = refusal(with_capacity(capacity), room)
    assert list(refused.levers) == levers
    assert refused.bound_bytes == capacity
    assert refused.scope == "chip"
    assert refused.question == "cache for one sequence of 512 tokens of small on 1 chip of box"
    assert refused.demand_bytes == sum(refused.terms.values())
    assert refused.terms["kv_cache"] == 32 * BLOCK


def test_the_terms_of_a_cache_that_is_too_small() -> None:
    left_free = NEEDED - NEEDED // 2
    refused = refusal(with_capacity(NEEDED), CacheRoom(1, 16, 0.5))
    assert refused.terms == {
        "weights": WEIGHTS,
        "program_text": TEXT,
        "activations": ROW,
        "left_free": left_free,
        "kv_cache": 32 * BLOCK,
    }
    assert refused.gap_bytes == left_free
    # Where a cache is given, all but that is not for it.
    refused = refusal(with_capacity(NEEDED), CacheRoom(1, 16, kv_capacity_bytes=BLOCK))
    assert refused.terms == {"cache not allowed": NEEDED - BLOCK, "kv_cache": 32 * BLOCK}
    assert refused.gap_bytes == 31 * BLOCK


def test_several_chips_and_tiers_are_named() -> None:
    plan = planned(tier(10**9), degree=2)
    short = refusal(with_capacity(WEIGHTS // 2 + 10**5, plan), CacheRoom(1, 16))
    assert short.question.endswith("on 2 chips of box")
    tiers = (tier(10**5, "sram", ("activations",)), tier(WEIGHTS + TEXT + CONTEXT * TOKEN))
    refused = refusal(planned(*tiers), CacheRoom(1, 16, 0.9))
    assert refused.question.endswith("on 1 chip of box, in the hbm of each")


@pytest.mark.parametrize(("rows", "fits"), [(10, True), (11, False)])
def test_activations_must_fit_their_tier_to_the_byte(rows: int, fits: bool) -> None:
    tiers = (tier(10 * ROW, "sram", ("activations",)), tier(10**9, holds=("weights", "kv")))
    found = batch_machine(planned(*tiers), CacheRoom(rows, 16))
    assert isinstance(found, BatchMachine) is fits
    if isinstance(found, Infeasible):
        assert (found.demand_bytes, found.bound_bytes) == (rows * ROW, 10 * ROW)
        assert {kind: size for kind, size in found.terms.items() if size} == {
            "activations": rows * ROW
        }
        assert found.question == (
            "weights and activations of small on 1 chips of box, in the sram of each"
        )
        assert "token_budget" in found.levers[0]


# Totals -------------------------------------------------------------------------------------------


def counted(start: int) -> IterationCount:
    return IterationCount(start, 10 * start, 100 * start, 1000 * start)


def totals(start: int, by_rows: Mapping[int, int], by_sampled: Mapping[int, int]) -> BatchTotals:
    return BatchTotals(
        {rows: counted(count) for rows, count in by_rows.items()},
        {rows: counted(count) for rows, count in by_sampled.items()},
        [start, 2 * start],
        [3 * start, 4 * start],
        *(start * factor for factor in (5, 6, 7, 8)),
    )


def test_totals_of_replicas_are_added_field_by_field() -> None:
    first, second = totals(1, {8: 1, 2: 3}, {4: 5}), totals(10, {2: 7, 1: 9}, {4: 2, 0: 6})
    kept = totals(1, {8: 1, 2: 3}, {4: 5})
    found = BatchTotals.sum([first, second])
    expected = totals(11, {1: 9, 2: 10, 8: 1}, {0: 6, 4: 7})
    for field in fields(BatchTotals):
        assert getattr(found, field.name) == getattr(expected, field.name), field.name
    assert list(found.by_rows) == [1, 2, 8]
    assert list(found.by_sampled) == [0, 4]
    assert (found.iteration_count, found.token_count) == (20, 200)
    # A sum is new: nothing that was added up changes.
    assert first == kept
    assert BatchTotals.sum([first]) == kept
    found.by_rows[8].add(counted(1))
    assert first == kept


def test_nothing_is_the_start_of_every_sum() -> None:
    nothing = BatchTotals.nothing(3)
    assert (nothing.iteration_count, nothing.token_count) == (0, 0)
    assert nothing.attention_ps == nothing.attention_token_ps == [0, 0, 0]
    assert nothing.base_ps == nothing.base_token_ps == nothing.draft_ps == 0
    assert nothing.draft_token_ps == 0
    one = totals(1, {8: 1}, {4: 5})
    assert BatchTotals.sum([BatchTotals.nothing(2), one]) == one
    assert IterationCount() == IterationCount(0, 0, 0, 0)


@pytest.mark.parametrize(
    ("tokens", "block", "taken"),
    [(1, 16, 16), (16, 16, 16), (17, 16, 32), (31, 16, 32), (33, 16, 48), (5, 1, 5), (0, 16, 0)],
)
def test_a_sequence_takes_whole_blocks(tokens: int, block: int, taken: int) -> None:
    assert BatchTiming(PLAN_TIMER, block, 9, 100).units(tokens) * block == taken


def test_the_cache_of_a_timing_is_its_blocks() -> None:
    assert BatchTiming(PLAN_TIMER, 16, 5, 100).kv_tokens == 80


def test_a_window_leaves_room_for_more_tokens() -> None:
    """Half of the layers keep 32 tokens, in 3 blocks: 7 blocks of a sequence take as 5 do."""
    blocks = CacheBlocks(1, (WindowBlocks(3, 1),))
    timing = BatchTiming(
        PLAN_TIMER, 16, 50, 100, kv_bytes_per_token=8, blocks=blocks, window_kv_bytes={32: 4}
    )
    assert timing.unit_count == 100
    assert (timing.units(100), timing.sequences_max) == (10, 10)
    assert timing.kv_tokens == 100 * 7 * 16 // 10
    assert [timing.kv_bytes(tokens) for tokens in (10, 32, 100)] == [80, 256, 100 * 4 + 32 * 4]


PLAN_TIMER = machine(PLAN, CacheRoom(1, 16)).timer
