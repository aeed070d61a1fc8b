"""States in time: once a next token, once a chunk of a prompt, on both kinds of chips.

A byte a ps of memory, an operation a ps of the vector unit, a hundred of the matrix unit.
"""

from dataclasses import replace
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import Chip, Execution, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Routing
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.layers import DenseFeedForward, GroupedAttention, Layer, MixerShape
from rack_sim.model.operators import Operator
from rack_sim.model.state_layers import (
    GatedDeltaNet,
    KimiDeltaAttention,
    LightningAttention,
    Mamba2,
)
from rack_sim.timing.attention_roofs import Attended
from rack_sim.timing.iterations import IterationTimer
from rack_sim.timing.kernels import Kernel, launches_of
from rack_sim.timing.operators import OperatorTiming, time_operator
from rack_sim.timing.pipeline import PipelineTimer
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import ProgramKind, StepShape

LINK = LinkType("c2c", 12_500_000_000, 533_000, 320, 328)
BOX = Routing(fully_connected(name="node", chips=8, local=LINK, port_count=8))
FP16 = Precision("fp16", "fp16", "fp16", "fp16")
HIDDEN = 64
DELTA = GatedDeltaNet(2, 4, 32, 16, 4)
MAMBA = Mamba2(8, 16, 2, 32, 4, 128)
SHAPES: list[MixerShape] = [
    DELTA,
    KimiDeltaAttention(4, 16, 4),
    MAMBA,
    LightningAttention(4, 16, 256),
]


def chip(execution: Execution) -> Chip:
    return Chip(
        name="small",
        execution=execution,
        memory=(MemoryTier("hbm", 10**12, 10**12),),
        matrix=MatrixUnit({"fp16": 10**14}, None),
        vector_flop_per_s=10**12,
        operator_fixed_latency_ps=0,
        program_text_bytes=0,
        port_count=8,
        idle_watts=1.0,
        peak_watts=2.0,
        price_usd=1.0,
    )


def model(shape: MixerShape) -> Architecture:
    """One layer that keeps a state, one that attends."""
    feed_forward = DenseFeedForward(128)
    layers = Layer(shape, feed_forward), Layer(GroupedAttention(8, 8, 8), feed_forward)
    return Architecture("hybrid", layers, HIDDEN, 800, False, 4096)


def operator(shape: MixerShape, name: str) -> Operator:
    block = next(b for b in blocks_of(model(shape)) if b.kind == "state")
    return next(one for one in block.operators if one.name == f"state.{name}")


def timed(one: Operator, rows: int, sequences: int, chips: int = 1) -> OperatorTiming:
    return time_operator(
        one,
        chip=chip("static"),
        precision=FP16,
        rows=rows,
        context_tokens=1000,
        group_size=chips,
        sequence_count=sequences,
    )


STATE = 4 * 16 * 32  # elements; of fp32, and read and written
KEPT = 3 * (2 * 2 * 32 + 4 * 16)  # rows of the convolution: of fp16
MOVED = 2 * (2 * 2 * 32 + 2 * 4 * 16 + 2 * 4)


@given(st.integers(1, 40))
def test_a_next_token_reads_and_writes_its_state_once(rows: int) -> None:
    found = timed(operator(DELTA, "update"), rows, rows)
    assert found.memory_bytes == rows * (2 * (4 * STATE + 2 * KEPT) + MOVED)
    assert found.flop == rows * 7 * STATE
    assert found.duration_ps == max(found.memory_bytes, found.flop)


@given(st.integers(1, 300))
def test_a_chunk_of_a_prompt_reads_and_writes_the_state_once(rows: int) -> None:
    found = timed(operator(DELTA, "chunks"), rows, 1)
    assert found.memory_bytes == ceil(rows / 64) * 2 * (4 * STATE + 2 * KEPT) + rows * MOVED
    assert found.flop == rows * operator(DELTA, "chunks").flop_of(min(rows, 64))


@pytest.mark.parametrize(("states", "share"), [("fp32", 4), ("bf16", 2), ("fp8", 1)])
def test_states_have_a_format_of_their_own(states: str, share: int) -> None:
    found = time_operator(
        operator(DELTA, "update"),
        chip=chip("static"),
        precision=replace(FP16, states=states),
        rows=1,
        context_tokens=0,
        group_size=1,
    )
    assert found.memory_bytes == 2 * (share * STATE + 2 * KEPT) + MOVED


def test_heads_are_split_and_what_they_share_is_copied() -> None:
    """Four value heads of two key heads on four chips: each has a key head of its own to move."""
    alone, four = (timed(operator(DELTA, "update"), 1, 1, chips) for chips in (1, 4))
    assert four.flop == alone.flop // 4
    kept, moved = 3 * (2 * 32 + 16), 2 * (2 * 32 + 2 * 16 + 2)
    assert four.memory_bytes == 2 * (4 * STATE // 4 + 2 * kept) + moved


@pytest.mark.parametrize(
    ("program", "there", "not_there"),
    [("decode", "state.update", "state.chunks"), ("prefill", "state.chunks", "state.update")],
)
def test_a_program_has_the_form_that_its_rows_need(
    program: ProgramKind, there: str, not_there: str
) -> None:
    blocks = blocks_of(model(DELTA))
    timer = PipelineTimer(
        chip("static"), BOX, StepShape(4, 128, FP16, program), residual_elements=HIDDEN
    )
    block = next(block for block in blocks if block.kind == "state")
    names = [one.name for one in timer.block(block, (0, 1)).operators]
    assert there in names
    assert not_there not in names


def iterations(shape: MixerShape, chips: int = 1) -> IterationTimer:
    group = tuple(range(chips))
    blocks = blocks_of(model(shape))
    return IterationTimer(chip("reactive"), BOX, [group], [blocks], FP16, residual_elements=HIDDEN)


def launched(names: str) -> list[Kernel]:
    launches = launches_of(blocks_of(model(DELTA)), group_size=1, residual_elements=HIDDEN)
    return [one for one in launches if isinstance(one, Kernel) and one.name == names]


def test_next_tokens_are_the_sampled_rows_and_prompts_are_roofs() -> None:
    (update,), (chunks,) = launched("state.update"), launched("state.chunks")
    assert [one.name for one in update.sampled_operators] == ["state.update"]
    assert not update.operators
    assert chunks.is_attention


@pytest.mark.parametrize("chips", [1, 4])
def test_a_sampled_row_takes_its_state_more(chips: int) -> None:
    """Beside what the head makes of it: on four chips each has a key head that two share."""
    found, without = iterations(DELTA, chips), iterations(GroupedAttention(8, 8, 8), chips)
    update = timed(operator(DELTA, "update"), 32, 32, chips).duration_ps
    sampled = found.base_ps(64, 32) - found.base_ps(64, 0)
    assert sampled - (without.base_ps(64, 32) - without.base_ps(64, 0)) == update


def test_a_row_of_a_prompt_has_its_part_of_a_chunk() -> None:
    """On the memory roof: a 64th of a state read and written; on that of the matrix unit: FLOP."""
    attention = blocks_of(model(DELTA))
    cached = [one for block in attention if block.kind == "attention" for one in block.operators]
    over_cache = [one for one in cached if one.flop_per_row_token]
    moved = sum(one.activations_per_row for one in over_cache)
    chunk = Fraction(2 * (4 * STATE + 2 * KEPT), 64) + MOVED
    by_name = {roof.name: roof for roof in iterations(DELTA).roofs}
    assert by_name["memory"].per_row_ps == ceil(chunk + 2 * moved)
    flop = operator(DELTA, "chunks").flop_of(64)
    assert any(roof.per_row_ps == ceil(Fraction(flop, 100)) for roof in iterations(DELTA).roofs)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
@pytest.mark.parametrize("chips", [1, 2, 4])
def test_more_rows_never_take_less(shape: MixerShape, chips: int) -> None:
    timer = iterations(shape, chips)
    pairs = [(rows, sampled) for rows in range(1, 20) for sampled in range(rows + 1)]
    for rows, sampled in pairs:
        at = timer.duration_ps(sampled, Attended(rows, rows * 100, 100))
        more = Attended(rows + 1, (rows + 1) * 100, 100)
        assert timer.duration_ps(sampled, more) >= at
        assert timer.duration_ps(sampled + 1, more) >= at


@given(st.integers(1, 64), st.sampled_from([1, 2, 4]), st.sampled_from(["update", "chunks"]))
def test_more_rows_never_take_less_on_static_chips(rows: int, chips: int, name: str) -> None:
    one = operator(MAMBA, name)
    sequences = [1, 1] if name == "chunks" else [rows, rows + 1]
    fewer, more = (timed(one, rows + more, sequences[more], chips).duration_ps for more in (0, 1))
    assert more >= fewer


def test_both_forms_move_equal_states_where_a_chunk_is_one_row() -> None:
    update, chunks = operator(MAMBA, "update"), operator(MAMBA, "chunks")
    by_one = replace(chunks, chunk_tokens=1)
    assert timed(update, 5, 5).memory_bytes == timed(by_one, 5, 1).memory_bytes
