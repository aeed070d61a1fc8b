"""Weights in several formats, a cache with scales: bytes that are kept and read, and widening."""

from dataclasses import replace
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.checkpoint import Checkpoint, Rule
from rack_sim.model.choice import Choice
from rack_sim.model.number_format import NumberFormat
from rack_sim.model.operators import Operator
from rack_sim.model.stored_formats import Stored, StoredFormat, StoredPart
from rack_sim.model.weight_formats import FormatsByKind
from rack_sim.partition.memory import MemoryDemand, group_memory
from rack_sim.timing.attention_roofs import kv_bytes_per_token
from rack_sim.timing.kernel_roofs import KernelRoofs
from rack_sim.timing.kernels import Kernel
from rack_sim.timing.operators import time_operator
from rack_sim.timing.precision import CHECKPOINT, Precision
from rack_sim.timing.shape import StepShape
from rack_sim.timing.widening import widening_of

SHIPPED = Precision(CHECKPOINT, "fp8", "fp16", "fp16")
MODEL = Architecture.dense(
    "m", 3, 64, 4, 2, 16, 96, 200, tied_embeddings=False, max_context_tokens=64
)


def chip(bandwidth: int = 10**12, peak: int = 10**15, feed: int | None = None) -> Chip:
    return Chip(
        "c", "static", (MemoryTier("sram", 10**9, bandwidth),), MatrixUnit({"fp16": peak}, feed),
        10**15, 0, 0, 8, 1.0, 2.0, 1.0,
    )  # fmt: skip


def stored(parameters: int, bits: int) -> Stored:
    return Stored((StoredPart("f", "fp4", parameters, bits),))


@given(
    parameters=st.integers(1, 10**5),
    bits=st.integers(1, 10**6),
    activations=st.integers(0, 500).map(lambda n: 4 * n),
    lookup=st.sampled_from([0, 0, 64, 65]),
    parts=st.sampled_from([1, 2, 3, 8]),
    rows=st.integers(1, 5000),
    has_feed=st.booleans(),
)
def test_a_kernel_takes_what_its_operator_takes(
    parameters: int,
    bits: int,
    activations: int,
    lookup: int,
    parts: int,
    rows: int,
    has_feed: bool,
) -> None:
    operator = Operator(
        "p",
        "matrix",
        parameters,
        activations_per_row=activations,
        lookup_per_row=lookup,
        stored=stored(parameters, bits),
    )
    on = chip(feed=10**11 if has_feed else None)
    terms = time_operator(
        operator, chip=on, precision=SHIPPED, rows=rows, context_tokens=0, group_size=parts
    ).terms
    roof, roof_ps = KernelRoofs(Kernel((operator,)), parts, on, SHIPPED).binding(rows, 0)
    assert terms.by_name()[roof] == roof_ps == terms.total_ps


def test_a_projection_reads_what_is_stored_of_it() -> None:
    """1,000 weights of 4.25 bits: 531.25 bytes, of which each of four chips reads a quarter."""
    operator = Operator("p", "matrix", 1000, stored=stored(1000, 4250))
    timings = [
        time_operator(
            operator, chip=chip(), precision=SHIPPED, rows=1, context_tokens=0, group_size=n
        )
        for n in (1, 4)
    ]
    assert [timing.memory_bytes for timing in timings] == [532, 133]
    line = KernelRoofs(Kernel((operator,)), 4, chip(), SHIPPED)
    assert (line.is_line, line.binding(1, 0)) == (True, ("memory", 133))


def test_experts_are_read_in_their_format() -> None:
    """Two of eight experts of 1,000 weights, in 4.25 bits."""
    choice = Choice(8, 2)
    operator = Operator("e", "matrix", 8000, stored=stored(8000, 34_000), choice=choice)
    timing = time_operator(
        operator, chip=chip(), precision=SHIPPED, rows=1, context_tokens=0, group_size=1
    )
    assert timing.memory_bytes == ceil(Fraction(2000 * 17, 4) / 8)


def test_where_there_are_several_formats_an_operator_must_say_its_own() -> None:
    with pytest.raises(ValueError, match="p: nothing says how its weights are stored"):
        SHIPPED.weight_bytes([Operator("p", "matrix", 8)])
    assert SHIPPED.weight_bytes([Operator("p", "vector")]) == 0


@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize("tied", [False, True])
def test_chips_hold_what_the_file_does(group: int, tied: bool) -> None:
    """A table that lies on the same chips twice is kept once."""
    form = StoredFormat("fp8", 8, 16, 16, scale_bits=32)
    checkpoint = Checkpoint(rules=(Rule(form),), method="fp8")
    model = replace(MODEL, checkpoint=checkpoint, tied_embeddings=tied)
    blocks = blocks_of(model, formats=SHIPPED.formats_of(model))
    demand = MemoryDemand(StepShape(1, 64, SHIPPED), 64, 64)
    held = group_memory(blocks, demand, chip=chip(), group_size=group)
    table = SHIPPED.weights_of(model)
    assert sum(memory.weight_bytes for memory in held) == sum(row.bytes for row in table)
    matrices = 3 * (4 * 64 * 64 - 2 * 64 * 32 + 3 * 64 * 96)
    rest = model.parameter_count - matrices
    assert sum(row.bytes for row in table) == matrices * (1 + Fraction(4, 256)) + 2 * rest


def test_a_cache_keeps_its_scales() -> None:
    """Two key-value heads of 16 in three layers; a scale of 32 bits for every 16 elements."""
    fp8 = NumberFormat.in_groups("fp8", 8, group=16, scale="fp32", scale_bits=32)
    scaled = replace(SHIPPED, weights="fp16", kv=fp8)
    blocks = blocks_of(MODEL)
    elements = 3 * 2 * 2 * 16
    assert kv_bytes_per_token([blocks], 1, scaled) == elements + 4 * elements // 16
    held = group_memory(
        blocks, MemoryDemand(StepShape(1, 64, scaled), 64, 64), chip=chip(), group_size=2
    )
    assert [memory.kv_bytes for memory in held] == 2 * [64 * 5 * elements // 4 // 2]
    scores = next(o for o in blocks[1].operators if o.kv_read_per_row_token)
    timing = time_operator(
        scores, chip=chip(), precision=scaled, rows=1, context_tokens=64, group_size=1
    )
    assert timing.memory_bytes == 64 * 32 * 5 // 4 + 2 * (64 + 4 * 64)


# Widening -----------------------------------------------------------------------------------------


def on_peaks(**peaks: int) -> Chip:
    return replace(chip(), matrix=MatrixUnit(peaks, None))


def test_what_a_chip_cannot_multiply_is_widened() -> None:
    able = on_peaks(fp16=10, fp8=20, int8=80)
    found = widening_of(able, SHIPPED, ["fp4", "bf16", "fp8"])
    assert found is not None
    assert (found.formats, found.compute, found.peak_flop_per_s) == (("fp4",), "fp16", 10)
    assert found.faster == ("fp8", 20)  # int8 does not hold what is in floating point


def test_whole_numbers_may_be_multiplied_as_wider_whole_numbers() -> None:
    found = widening_of(on_peaks(fp16=10, int8=80), replace(SHIPPED, kv="fp16"), ["int4"])
    assert found is not None
    assert (found.formats, found.faster) == (("int4",), ("int8", 80))


def test_nothing_is_widened_that_can_be_multiplied() -> None:
    able = on_peaks(fp16=10, fp8=20)
    assert widening_of(able, SHIPPED, ["fp8", "fp16", "bf16", "fp32"]) is None


def test_a_cache_may_be_widened_alone() -> None:
    fp4 = NumberFormat.in_groups("fp4", 4, group=16, scale="fp8", scale_bits=8)
    for kv in (fp4, "nvfp4", "fp4"):
        found = widening_of(on_peaks(fp16=10), replace(SHIPPED, kv=kv), ["fp16"])
        assert found is not None
        assert (found.formats, found.faster) == (("fp4",), None)


def test_formats_by_kind_say_themselves() -> None:
    int8, fp4 = NumberFormat("int8", "int8", 8), NumberFormat("fp4", "fp4", 4)
    assert str(FormatsByKind(int8, (("experts", fp4),))) == "experts fp4, all else int8"
