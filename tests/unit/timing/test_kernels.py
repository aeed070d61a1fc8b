"""Which operators are launched as one kernel, and that a kernel's roof is that of its operators."""

from dataclasses import dataclass, replace
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier, Tiers
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.operators import Block, Operator
from rack_sim.timing.grid import Grid, around, point_below
from rack_sim.timing.kernel_roofs import KernelRoofs
from rack_sim.timing.kernels import CollectiveKernel, Kernel, Launch, launches_of
from rack_sim.timing.operators import time_operator
from rack_sim.timing.precision import Precision
from rack_sim.timing.schedule import OnLinks, Schedule
from rack_sim.timing.tasks import Task, Work

MODEL = Architecture.dense("small", 2, 1024, 8, 4, 128, 4096, 8000, False, 4096)
BLOCKS = blocks_of(MODEL)


def launched(blocks: tuple[Block, ...] = BLOCKS, group: int = 4) -> tuple[Launch, ...]:
    return launches_of(blocks, group_size=group, residual_elements=MODEL.hidden_size)


def names(launches: tuple[Launch, ...]) -> list[str]:
    """Kernels by their operators, collectives in brackets."""
    return [
        f"[{launch.operation}]" if isinstance(launch, CollectiveKernel) else launch.name
        for launch in launches
    ]


ATTENTION = [
    "attention.qkv_projection",
    "attention.rotary",
    "attention.scores + attention.softmax + attention.values",
    "attention.output_projection",
]
FEED_FORWARD = [
    "feed_forward.gate_up_projection",
    "feed_forward.gated_activation",
    "feed_forward.down_projection",
]


def test_a_model_on_one_chip_launches_nine_kernels_a_layer_and_four() -> None:
    """Seven and two fused norms a layer; the lookup, a last norm, the projection, the sample."""
    assert names(launched(group=1)) == [
        "embedding.lookup",
        "attention.norm",
        *ATTENTION,
        "attention.residual_add + feed_forward.norm",
        *FEED_FORWARD,
        "feed_forward.residual_add + attention.norm",
        *ATTENTION,
        "attention.residual_add + feed_forward.norm",
        *FEED_FORWARD,
        "feed_forward.residual_add + head.norm",
        "head.vocabulary_projection",
        "head.sample",
    ]
    assert len(launched(group=1)) == 9 * 2 + 4


def test_on_a_group_sums_are_reduced_for_all_before_the_norm() -> None:
    assert names(launched()) == [
        "embedding.lookup",
        "[all_gather]",
        "attention.norm",
        *ATTENTION,
        "[all_reduce]",
        "attention.residual_add + feed_forward.norm",
        *FEED_FORWARD,
        "[all_reduce]",
        "feed_forward.residual_add + attention.norm",
        *ATTENTION,
        "[all_reduce]",
        "attention.residual_add + feed_forward.norm",
        *FEED_FORWARD,
        "[all_reduce]",
        "feed_forward.residual_add + head.norm",
        "head.vocabulary_projection",
        "head.sample",
        "[all_gather]",
    ]
    whole = {launch.name for launch in launched() if isinstance(launch, Kernel) and launch.whole}
    assert all("norm" in name for name in whole)
    assert len(whole) == 4


def test_a_stage_ends_with_shards_and_the_next_begins_with_a_gather() -> None:
    first, second = launched(BLOCKS[:2]), launched(BLOCKS[2:4])
    assert names(first)[-2:] == ["[reduce_scatter]", "attention.residual_add"]
    assert isinstance(first[-1], Kernel)
    assert not first[-1].whole
    assert names(second)[:2] == ["[all_gather]", "feed_forward.norm"]


def test_the_head_works_on_sampled_rows_and_the_residual_on_all() -> None:
    *_, fused, projection, sample, candidates = launched()
    assert isinstance(fused, Kernel)
    assert [operator.name for operator in fused.operators] == ["feed_forward.residual_add"]
    assert [operator.name for operator in fused.sampled_operators] == ["head.norm"]
    assert isinstance(projection, Kernel)
    assert isinstance(sample, Kernel)
    assert not projection.operators
    assert not sample.operators
    assert isinstance(candidates, CollectiveKernel)
    assert candidates.sampled


def test_a_fused_norm_does_not_read_what_its_kernel_has_just_written() -> None:
    """Two reads and a write of the add, a write of the norm: four hidden sizes a row, not five."""
    (fused,) = {
        launch
        for launch in launched()
        if isinstance(launch, Kernel) and launch.name.endswith("+ feed_forward.norm")
    }
    assert sum(o.activations_per_row for o in fused.operators) == 4 * MODEL.hidden_size


@pytest.mark.parametrize(("group", "sharing"), [(4, None), (6, None), (8, 2), (16, 4)])
def test_more_chips_than_key_value_heads_combine(group: int, sharing: int | None) -> None:
    combines = [
        launch
        for launch in launched(group=group)
        if isinstance(launch, CollectiveKernel) and launch.traffic == "combine"
    ]
    assert [launch.sharing for launch in combines] == ([sharing] * 2 if sharing else [])


def test_an_operator_that_is_not_known_is_a_kernel_of_its_own() -> None:
    """Behind it nothing is fused over it: what was reduced is scattered, then gathered again."""
    router = Operator("feed_forward.router", "matrix", 8192, flop_per_row=16384)
    block = BLOCKS[2]
    within = replace(block, operators=(block.operators[0], router, *block.operators[1:]))
    assert names(launched((BLOCKS[1], within)))[-8:-1] == [
        "[all_reduce]",
        "attention.residual_add + feed_forward.norm",
        "feed_forward.router",
        *FEED_FORWARD,
        "[reduce_scatter]",
    ]
    last = replace(block, operators=(*block.operators, router))
    assert names(launched((last, BLOCKS[3])))[-11:-5] == [
        "[reduce_scatter]",
        "feed_forward.residual_add",
        "feed_forward.router",
        "[all_gather]",
        "attention.norm",
        "attention.qkv_projection",
    ]


def test_a_norm_behind_the_sum_of_its_block_works_on_whole_rows() -> None:
    """Its sums are reduced for all at once; the next block then has nothing to gather."""
    *before, add = BLOCKS[1].operators
    block = replace(BLOCKS[1], operators=(*before, before[0], add))
    assert names(launched((block, BLOCKS[2])))[5:9] == [
        "attention.output_projection",
        "[all_reduce]",
        "attention.norm",
        "attention.residual_add + feed_forward.norm",
    ]


def test_what_no_kernel_is_known_for_is_refused() -> None:
    odd = replace(BLOCKS[1].operators[3], parameters=1)
    with pytest.raises(ValueError, match="weights of its own"):
        launched((replace(BLOCKS[1], operators=(odd,)),))
    exchange = replace(BLOCKS[0].operators[0], followed_by="shout")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shout"):
        launched((replace(BLOCKS[0], operators=(exchange,)),))


# Roofs --------------------------------------------------------------------------------------------


def chip(peak: int, feed: int | None, bandwidth: int, vector: int) -> Chip:
    return Chip(
        name="small",
        execution="reactive",
        memory=(MemoryTier("hbm", 10**12, bandwidth),),
        matrix=MatrixUnit({"fp8": peak}, feed),
        vector_flop_per_s=vector,
        operator_fixed_latency_ps=1_000,
        program_text_bytes=0,
        port_count=8,
        idle_watts=1.0,
        peak_watts=2.0,
        price_usd=1.0,
    )


@given(
    operator=st.builds(
        Operator,
        name=st.just("any"),
        unit=st.sampled_from(["matrix", "vector"]),
        parameters=st.integers(0, 10**6),
        flop_per_row=st.integers(0, 10**4).map(lambda n: 8 * n),
        activations_per_row=st.integers(0, 10**3).map(lambda n: 4 * n),
        lookup_per_row=st.sampled_from([0, 0, 512, 513]),
        kv_write_per_row=st.integers(0, 10**3).map(lambda n: 8 * n),
    ),
    rates=st.tuples(*[st.integers(10**6, 10**15)] * 5),
    has_feed=st.booleans(),
    weights=st.sampled_from(["fp16", "fp8", "bfp8", "int4"]),
    tiers=st.builds(Tiers, *[st.integers(0, 1)] * 3),
    parts=st.sampled_from([1, 2, 3, 4, 8]),
    rows=st.integers(1, 20_000),
)
def test_a_kernel_of_one_operator_takes_what_the_operator_takes(
    operator: Operator,
    rates: tuple[int, int, int, int, int],
    has_feed: bool,
    weights: str,
    tiers: Tiers,
    parts: int,
    rows: int,
) -> None:
    """Whether its shards come out whole or not: name of the roof and picosecond are the same."""
    peak, feed, bandwidth, vector, deep = rates
    on = chip(peak, feed if has_feed else None, bandwidth, vector)
    on = replace(on, memory=(*on.memory, MemoryTier("ddr", 10**12, deep)), tiers=tiers)
    precision = Precision(weights=weights, kv="fp8", activations="fp16", compute="fp8")
    terms = time_operator(
        operator, chip=on, precision=precision, rows=rows, context_tokens=0, group_size=parts
    ).terms
    for kernel, carried in (
        (Kernel((operator,)), (rows, 0)),
        (Kernel((), (operator,)), (rows + 5, rows)),
    ):
        roof, roof_ps = KernelRoofs(kernel, parts, on, precision).binding(*carried)
        assert terms.by_name()[roof] == roof_ps
        assert terms.total_ps == 1_000 + roof_ps


@pytest.mark.parametrize(
    ("peak", "feed", "bandwidth", "expected"),
    [
        (10**12, 10**11, 10**12, ("weight_feed", 10_000)),
        (10**12, 10**11, 5 * 10**10, ("memory", 22_000)),
        (10**11, 10**11, 10**12, ("compute", 20_000)),
        (2 * 10**11, 10**11, 10**12, ("compute", 10_000)),  # as much as the feed
        (10**12, 10**11, 11 * 10**10, ("weight_feed", 10_000)),  # as much as the memory
    ],
)
def test_the_binding_roof_of_a_projection(
    peak: int, feed: int, bandwidth: int, expected: tuple[str, int]
) -> None:
    """1,000 weights, 2,000 FLOP and 100 bytes of activations a row; one row, sampled or not."""
    projection = Operator("p", "matrix", 1_000, flop_per_row=2_000, activations_per_row=100)
    precision = Precision(weights="fp8", kv="fp8", activations="fp8", compute="fp8")
    on = chip(peak, feed, bandwidth, 1)
    assert KernelRoofs(Kernel((projection,)), 1, on, precision).binding(1, 0) == expected
    assert KernelRoofs(Kernel((), (projection,)), 1, on, precision).binding(7, 1) == expected


def test_an_operator_with_more_to_it_is_timed_by_time_operator() -> None:
    """Whatever an operator may get besides what it has today, no line forgets it."""

    @dataclass(frozen=True, slots=True)
    class Wider(Operator):
        more: int = 1

    precision = Precision(weights="fp8", kv="fp8", activations="fp8", compute="fp8")
    on = chip(10**12, None, 10**12, 10**12)
    for kind, known in ((Operator, True), (Wider, False)):
        operator = kind("p", "matrix", 1_000, flop_per_row=2_000, activations_per_row=100)
        assert KernelRoofs(Kernel((operator,)), 1, on, precision).is_line is known


@pytest.mark.parametrize("hidden", [1024, 1023])
@pytest.mark.parametrize(("rows", "sampled"), [(1, 0), (7, 7), (4096, 3)])
def test_a_fused_kernel_does_the_work_of_both(hidden: int, rows: int, sampled: int) -> None:
    """A FLOP and three elements of two bytes for every row, four and two for sampled ones."""
    add = Operator("x.residual_add", "vector", 0, hidden, activations_per_row=3 * hidden)
    norm = Operator("x.norm", "vector", hidden, 4 * hidden, activations_per_row=2 * hidden)
    precision = Precision(weights="fp16", kv="fp8", activations="fp16", compute="fp8")
    on = chip(10**12, None, 10**12, 10**11)  # a picosecond a byte, ten a FLOP
    roof = KernelRoofs(Kernel((add,), (norm,), whole=True), 1, on, precision)
    flop = hidden * (rows + 4 * sampled)
    memory_bytes = 2 * hidden * (3 * rows + 2 * sampled + (1 if sampled else 0))
    assert roof.binding(rows, sampled)[1] == max(10 * flop, memory_bytes)


# Grid ---------------------------------------------------------------------------------------------


def test_grid_points_are_powers_of_two_and_half_as_much_again() -> None:
    points = sorted({around(rows)[0] for rows in range(1, 100)})
    assert points == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96]
    assert [point_below(point) for point in points[1:]] == points[:-1]
    for rows in range(1, 100):
        low, high = around(rows)
        assert low <= rows <= high
        assert (low == rows) == (high == rows) == (rows in points)
    with pytest.raises(ValueError, match="0 rows"):
        Grid(lambda rows: []).at(0)


class Taking(OnLinks):
    """Messages that take so long on one link."""

    def __init__(self, duration_ps: int) -> None:
        hop = (0, 1)
        self.placed = Schedule(
            (
                Task(
                    Work("m", "message"),
                    hop,
                    duration_ps,
                    duration_ps,
                    (),
                    traffic="m",
                    vectors=duration_ps,
                ),
            ),
            (0,),
        )


def test_between_grid_points_is_a_line_rounded_up() -> None:
    grid = Grid(lambda rows: [Taking(rows * rows), Taking(1)])
    assert [grid.at(rows).duration_ps for rows in (1, 4, 5, 6, 7, 8)] == [1, 16, 26, 36, 50, 64]
    assert grid.at(13).duration_ps == 144 + ceil((256 - 144) / 4)
    assert grid.at(5).vectors_by_hop == {(0, 1): 27}  # both on the same link
    assert grid.at(5).held_by_hop == {(0, 1): 27}
    assert grid.durations_ps(5) == (26, 0)


def test_more_rows_never_take_less_whatever_is_measured() -> None:
    grid = Grid(lambda rows: [Taking({4: 90, 12: 120}.get(rows, 10))])
    late = grid.at(10).duration_ps  # asked for first: what is below counts all the same
    assert late == 105
    assert [grid.at(rows).duration_ps for rows in (2, 3, 4, 6, 8, 11, 16, 500)] == [
        *(10, 10, 90, 90, 90),
        *(ceil(90 + 30 * 3 / 4), 120, 120),
    ]


def test_a_grid_point_is_measured_once_and_only_when_needed() -> None:
    measured: list[int] = []

    def measure(rows: int) -> list[OnLinks]:
        measured.append(rows)
        return [Taking(rows)]

    grid = Grid(measure)
    for rows in (5, 4, 5, 6):
        grid.at(rows)
    assert measured == [1, 2, 3, 4, 6]
