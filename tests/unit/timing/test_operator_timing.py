"""The roofline of one operator: t = fixed + max(FLOP/peak, stationary/feed, bytes/bandwidth).

Of the stationary bytes those count that the unit's buffer does not hold already.
"""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.model.operators import Operator
from rack_sim.timing.operators import OperatorTiming, time_operator
from rack_sim.timing.precision import Precision

FIXED_PS = 1_000
INT8 = Precision(weights="int8", kv="int8", activations="int8", compute="int8")


def chip(
    *, peak: int, feed: int | None, bandwidth: int, vector: int = 10**12, buffer: int = 0
) -> Chip:
    return Chip(
        name="small",
        execution="static",
        memory=(
            MemoryTier("sram", 10**9, bandwidth),
            MemoryTier("dram", 10**12, 1),  # slow: must never be read from
        ),
        matrix=MatrixUnit({"int8": peak, "fp16": peak // 4}, feed, buffer),
        vector_flop_per_s=vector,
        operator_fixed_latency_ps=FIXED_PS,
        program_text_bytes=0,
        port_count=8,
        idle_watts=1.0,
        peak_watts=2.0,
        price_usd=1.0,
    )


def timed(
    operator: Operator, on: Chip, *, rows: int = 1, context: int = 0, group: int = 1
) -> OperatorTiming:
    return time_operator(
        operator,
        chip=on,
        precision=INT8,
        rows=rows,
        context_tokens=context,
        group_size=group,
    )


# A projection of 1,000 inputs to 2,000 outputs.
PROJECTION = Operator(
    "projection", "matrix", 2_000_000, flop_per_row=4_000_000, activations_per_row=3_000
)
SCORES = Operator(
    "scores", "matrix", flop_per_row_token=200, activations_per_row=100, kv_read_per_row_token=50
)
NORM = Operator("norm", "vector", 1_000, flop_per_row=4_000, activations_per_row=2_000)
WRITE = Operator("rotary", "vector", flop_per_row=300, activations_per_row=200, kv_write_per_row=80)
LOOKUP = Operator("lookup", "vector", 10**9, lookup_per_row=1_000, activations_per_row=1_000)

# 10**12 units per second: one unit takes one picosecond.
UNIT = 10**12


def test_compute_binds_where_flop_over_peak_is_most() -> None:
    result = timed(PROJECTION, chip(peak=UNIT, feed=UNIT, bandwidth=UNIT))
    assert result.terms.compute_ps == 4_000_000
    assert result.terms.weight_feed_ps == result.terms.memory_ps == 0
    assert (result.duration_ps, result.binding) == (FIXED_PS + 4_000_000, "compute")


def test_the_feed_binds_where_weights_over_feed_are_most() -> None:
    result = timed(PROJECTION, chip(peak=100 * UNIT, feed=UNIT, bandwidth=10 * UNIT))
    assert result.terms.weight_feed_ps == 2_000_000
    assert (result.duration_ps, result.binding) == (FIXED_PS + 2_000_000, "weight_feed")


def test_memory_binds_where_all_bytes_over_bandwidth_are_most() -> None:
    result = timed(PROJECTION, chip(peak=100 * UNIT, feed=10 * UNIT, bandwidth=UNIT))
    assert result.terms.memory_ps == 2_003_000  # weights and activations
    assert (result.duration_ps, result.binding) == (FIXED_PS + 2_003_000, "memory")


def test_without_a_feed_limit_memory_is_the_only_ceiling() -> None:
    result = timed(PROJECTION, chip(peak=100 * UNIT, feed=None, bandwidth=UNIT))
    assert result.binding == "memory"


def test_a_fixed_latency_above_every_roof_binds() -> None:
    fast = chip(peak=10**18, feed=10**18, bandwidth=10**18)
    result = timed(PROJECTION, fast)
    assert result.binding == "fixed_latency"
    assert result.duration_ps == FIXED_PS + 4  # 4e6 FLOP at 1e18 FLOP/s is 4 ps


def test_cached_keys_are_stationary_and_activations_are_not() -> None:
    slow_feed = chip(peak=100 * UNIT, feed=UNIT, bandwidth=100 * UNIT)
    result = timed(SCORES, slow_feed, rows=3, context=1_000)
    assert result.terms.weight_feed_ps == 3 * 1_000 * 50
    assert result.memory_bytes == 3 * (1_000 * 50 + 100)


def test_a_vector_operator_knows_no_feed() -> None:
    slow_feed = chip(peak=UNIT, feed=1, bandwidth=UNIT)
    result = timed(NORM, slow_feed, rows=2)
    assert result.terms.compute_ps == 2 * 4_000  # its FLOP over the vector peak
    assert result.memory_bytes == 1_000 + 2 * 2_000
    assert result.duration_ps == FIXED_PS + 8_000


def test_written_cache_counts_as_memory() -> None:
    result = timed(WRITE, chip(peak=UNIT, feed=UNIT, bandwidth=UNIT // 10), rows=2)
    assert result.memory_bytes == 2 * (200 + 80)
    assert result.terms.memory_ps == 5_600


def test_a_lookup_reads_rows_and_not_the_table() -> None:
    result = timed(LOOKUP, chip(peak=UNIT, feed=UNIT, bandwidth=UNIT), rows=5)
    assert result.memory_bytes == 5 * 2_000


def test_the_compute_precision_chooses_the_peak() -> None:
    half = Precision(weights="int8", kv="int8", activations="int8", compute="fp16")
    result = time_operator(
        PROJECTION,
        chip=chip(peak=4 * UNIT, feed=None, bandwidth=100 * UNIT),
        precision=half,
        rows=1,
        context_tokens=0,
        group_size=1,
    )
    assert result.terms.compute_ps == 4_000_000


def test_an_unknown_peak_is_not_guessed() -> None:
    other = Precision(weights="int8", kv="int8", activations="int8", compute="fp8")
    with pytest.raises(KeyError):
        time_operator(
            PROJECTION,
            chip=chip(peak=UNIT, feed=None, bandwidth=UNIT),
            precision=other,
            rows=1,
            context_tokens=0,
            group_size=1,
        )


def ceil_div(amount: int, parts: int) -> int:
    return ceil(Fraction(amount, parts))


@given(
    operator=st.builds(
        Operator,
        name=st.just("any"),
        unit=st.sampled_from(["matrix", "vector"]),
        parameters=st.integers(0, 10**6),
        flop_per_row=st.integers(0, 10**6),
        flop_per_row_token=st.integers(0, 10**4),
        activations_per_row=st.integers(0, 10**4),
        activations_per_row_token=st.integers(0, 10**2),
        kv_read_per_row_token=st.integers(0, 10**3),
        kv_write_per_row=st.integers(0, 10**3),
    ),
    rates=st.tuples(*[st.integers(10**6, 10**15)] * 4),
    has_feed=st.booleans(),
    buffer=st.integers(0, 10**5),
    rows=st.integers(1, 50),
    context=st.integers(0, 5_000),
    group=st.integers(1, 64),
)
def test_the_duration_is_the_formula(
    operator: Operator,
    rates: tuple[int, int, int, int],
    has_feed: bool,
    buffer: int,
    rows: int,
    context: int,
    group: int,
) -> None:
    peak, feed, bandwidth, vector = rates
    on = chip(
        peak=peak,
        feed=feed if has_feed else None,
        bandwidth=bandwidth,
        vector=vector,
        buffer=buffer,
    )
    result = timed(operator, on, rows=rows, context=context, group=group)
    # The most loaded chip: shares rounded up to whole FLOP and elements (one byte each in int8).
    work = ceil_div(rows * (operator.flop_per_row + operator.flop_per_row_token * context), group)
    weights = ceil_div(operator.parameters, group)
    activations = ceil_div(
        rows * (operator.activations_per_row + operator.activations_per_row_token * context), group
    )
    read = ceil_div(rows * operator.kv_read_per_row_token * context, group)
    written = ceil_div(rows * operator.kv_write_per_row, group)
    matrix = operator.unit == "matrix"
    compute = Fraction(work, peak if matrix else vector)
    stationary = weights + read if matrix and has_feed else 0
    ahead = min(stationary, buffer)
    feeding = Fraction(stationary - ahead, feed)
    memory = Fraction(weights + activations + read + written, bandwidth)
    assert result.duration_ps == FIXED_PS + ceil(max(compute, feeding, memory) * 10**12)
    assert result.terms.fixed_latency_ps == FIXED_PS
    assert result.flop == work
    assert result.preload_ps == ceil(Fraction(ahead, feed) * 10**12)
    assert result.stream_ps == ceil(feeding * 10**12)
    assert result.live_bytes == activations
