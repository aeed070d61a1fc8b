"""A block takes its operators, its collectives and the additions of its reduction, as they overlap.

On a fully connected group every message has a link of its own, so that each part has a closed form:

- gather: the switch unit lays the shard out (at the feed rate), then a latency and its vectors
- reduce: an operator of roof W is cut into n pieces; piece k ends at f + (k + 1) W / n and is sent
  at once, the own one stays; then the vector unit adds n - 1 shards
"""

from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.hardware.builders import fully_connected, ring
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Routing
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.operators import Block, Operator
from rack_sim.timing.blocks import BlockTiming, _Placing, time_block
from rack_sim.timing.collectives import time_collective
from rack_sim.timing.exchanges import Exchanges
from rack_sim.timing.operators import OperatorTiming, time_operator
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import ProgramKind, StepShape

LATENCY, VECTOR = 533_000, 26_240
LINK = LinkType("c2c", 12_500_000_000, LATENCY, 320, 328)
CHIP = Chip(
    name="small",
    execution="static",
    memory=(MemoryTier("sram", 10**9, 10**13),),
    matrix=MatrixUnit({"fp16": 10**13}, 10**12),
    vector_flop_per_s=10**11,
    operator_fixed_latency_ps=100_000,
    program_text_bytes=0,
    port_count=8,
    idle_watts=1.0,
    peak_watts=2.0,
    price_usd=1.0,
)
MODEL = Architecture.dense("small", 1, 1024, 8, 4, 128, 4096, 8000, False, 4096)
EMBEDDING, ATTENTION, FEED_FORWARD, HEAD = blocks_of(MODEL)
PRECISION = Precision(weights="int8", kv="fp16", activations="fp16", compute="fp16")


BOX = Routing(fully_connected(name="node", chips=8, local=LINK, port_count=8))
FIXED = 100_000
ADDITION = 10  # at 100 GFLOP/s
LAYOUT = 1  # of a byte, at 1 TB/s


def timed(
    block: Block,
    *,
    rows: int = 1,
    context: int = 100,
    group: int = 4,
    program: ProgramKind = "decode",
    chip: Chip = CHIP,
    routing: Routing = BOX,
) -> BlockTiming:
    return time_block(
        block,
        StepShape(rows=rows, context_tokens=context, precision=PRECISION, program=program),
        chip=chip,
        routing=routing,
        group=tuple(range(group)),
        residual_elements=MODEL.hidden_size,
    )


def starts(timing: BlockTiming, name: str, chip: int) -> list[int]:
    """When the units of a chip start what has this name."""
    return [
        at
        for task, at in zip(timing.placed.tasks, timing.placed.starts_ps, strict=True)
        if str(task.work) == name and task.resource[1] == chip
    ]


def shard_vectors(rows: int, group: int) -> int:
    """The residual stream over the group, two bytes an element, 320 bytes a vector."""
    return ceil(ceil(rows * 1024 / group) * 2 / 320)


def gather_bytes(rows: int, group: int) -> int:
    """The same with a sum of squares of four bytes a row, for the norm behind the gather."""
    return ceil(rows * 1024 / group) * 2 + 4 * rows


def gather_ps(rows: int, group: int) -> int:
    """Laid out for the links, and sent to all."""
    size = gather_bytes(rows, group)
    return LAYOUT * size + LATENCY + ceil(size / 320) * VECTOR


def reduce_ps(operator: OperatorTiming, rows: int, group: int) -> int:
    """An operator and the reduce-scatter of its results, shard by shard, additions included.

    The last piece that is sent is the last but one; the last, own one is late where links are fast.
    """
    roof = operator.duration_ps - FIXED
    sent = FIXED + roof * (group - 1) // group + LATENCY + shard_vectors(rows, group) * VECTOR
    additions = (group - 1) * ceil(rows * 1024 / group)
    return max(FIXED + roof, sent) + ADDITION * additions


@pytest.mark.parametrize("rows", [1, 3, 64])
@pytest.mark.parametrize(
    ("block", "group"),
    [(ATTENTION, 2), (ATTENTION, 4), (FEED_FORWARD, 2), (FEED_FORWARD, 4), (FEED_FORWARD, 8)],
    ids=lambda value: value.kind if isinstance(value, Block) else str(value),
)
def test_a_layer_block_gathers_and_reduces(block: Block, group: int, rows: int) -> None:
    timing = timed(block, rows=rows, group=group)
    *before, reduced, add = timing.operators
    assert len(timing.operators) == len(block.operators)
    assert block.operators[-2].followed_by == "reduce_scatter"
    assert timing.algorithms == ("direct", "direct")
    assert timing.duration_ps == (
        gather_ps(rows, group)
        + sum(operator.duration_ps for operator in before)
        + reduce_ps(reduced, rows, group)
        + add.duration_ps
    )
    vectors = ceil(gather_bytes(rows, group) / 320) + shard_vectors(rows, group)
    assert set(timing.vectors_by_hop.values()) == {vectors}
    assert len(timing.vectors_by_hop) == group * (group - 1)


def test_shards_leave_one_after_the_other_and_the_own_one_stays() -> None:
    """Chip i computes the shard of chip i + 1 first; each is sent the moment it is there."""
    timing = timed(FEED_FORWARD, group=4)
    down = timing.operators[3]
    roof = down.duration_ps - FIXED
    begin = gather_ps(1, 4) + sum(operator.duration_ps for operator in timing.operators[:3])
    ends = [begin + FIXED + roof * (piece + 1) // 4 for piece in range(4)]
    sent = {
        task.resource: at
        for task, at in zip(timing.placed.tasks, timing.placed.starts_ps, strict=True)
        if task.traffic == "reduce"
    }
    assert sent == {
        (chip, (chip + 1 + piece) % 4): ends[piece] for chip in range(4) for piece in range(3)
    }
    for chip in range(4):
        for piece in range(4):
            (at,) = starts(timing, f"{down.name} {piece + 1}/4", chip)
            assert at == (begin if piece == 0 else ends[piece - 1])
        (added_at,) = starts(timing, f"{down.name} sum", chip)
        assert added_at == max(ends[3], ends[2] + LATENCY + 2 * VECTOR)


@pytest.mark.parametrize("rows", [64, 256])
def test_where_sums_go_round_a_ring_the_whole_result_is_waited_for(rows: int) -> None:
    """On a ring of 8 sums of large shards go both ways round, which begins with all of them."""
    routing = Routing(ring(name="ring", chips=8, local=LINK, global_=LINK, port_count=2))
    timing = timed(FEED_FORWARD, rows=rows, group=8, routing=routing)
    assert timing.algorithms == ("two_way_ring", "two_way_ring")
    shard_bytes = 2 * rows * 1024 // 8
    gather, reduce = (
        time_collective(
            routing, range(8), operation=operation, size_bytes=8 * size_bytes
        ).duration_ps
        for operation, size_bytes in (
            ("all_gather", gather_bytes(rows, 8)),
            ("reduce_scatter", shard_bytes),
        )
    )
    assert timing.duration_ps == (
        LAYOUT * gather_bytes(rows, 8)
        + gather
        + sum(operator.duration_ps for operator in timing.operators)
        + reduce
        + ADDITION * 7 * (rows * 1024 // 8)
    )


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_chips_that_share_a_key_value_head_combine_what_they_found(rows: int) -> None:
    """8 chips, 4 key-value heads: the cache of each is split by sequence over two chips.

    Design, section 7: "at the price of one more reduction". Each query head has 128 partial values,
    a maximum and a sum: 8 x 130 elements in all, of which a chip keeps an eighth.
    """
    timing = timed(ATTENTION, rows=rows, group=8)
    *before, reduced, add = timing.operators
    kept = ceil(rows * 8 * 130 / 8)
    combined_vectors = ceil(2 * kept / 320)
    assert timing.duration_ps == (
        gather_ps(rows, 8)
        + sum(operator.duration_ps for operator in before)
        + (LATENCY + combined_vectors * VECTOR + ADDITION * kept)
        + reduce_ps(reduced, rows, 8)
        + add.duration_ps
    )
    residual_vectors = ceil(gather_bytes(rows, 8) / 320) + shard_vectors(rows, 8)
    for (a, b), vectors in timing.vectors_by_hop.items():
        shared = a // 2 == b // 2
        assert vectors == residual_vectors + (combined_vectors if shared else 0)


def test_the_head_gathers_rows_and_then_candidates() -> None:
    """Eight bytes a row: a logit and a token number from every chip, laid out as well."""
    timing = timed(HEAD, rows=100, group=8)
    operators = sum(operator.duration_ps for operator in timing.operators)
    candidates = LAYOUT * 800 + LATENCY + ceil(800 / 320) * VECTOR
    assert timing.duration_ps == gather_ps(100, 8) + operators + candidates
    assert timing.algorithms == ("direct", "direct")


def test_the_embedding_talks_to_no_one_and_keeps_the_memory_busy() -> None:
    timing = timed(EMBEDDING, rows=8, group=8)
    assert timing.algorithms == ()
    assert timing.terms.link_latency_ps == timing.terms.link_serialisation_ps == 0
    assert {task.resource for task in timing.placed.tasks} == {("memory", n) for n in range(8)}


@pytest.mark.parametrize("block", blocks_of(MODEL), ids=lambda block: block.kind)
def test_one_chip_alone_only_computes(block: Block) -> None:
    timing = timed(block, group=1)
    assert timing.duration_ps == sum(operator.duration_ps for operator in timing.operators)
    assert not timing.vectors_by_hop


@pytest.mark.parametrize("group", [1, 2, 8])
@pytest.mark.parametrize("block", blocks_of(MODEL), ids=lambda block: block.kind)
def test_terms_add_up_to_the_service_time(block: Block, group: int) -> None:
    timing = timed(block, group=group, rows=3)
    assert timing.terms.total_ps == timing.duration_ps
    assert timing.terms.slack_ps == 0
    # Each operator is on the one way through the block with its whole fixed latency.
    assert timing.terms.fixed_latency_ps == FIXED * len(block.operators)


def test_a_feed_forward_block_by_hand() -> None:
    """One row on four chips, each operator's roof worked out by hand."""
    timing = timed(FEED_FORWARD)
    roofs = {
        "feed_forward.norm": 10_240,  # 4 x 1024 / 4 FLOP at 100 GFLOP/s
        "feed_forward.gate_up_projection": 2_097_152,  # 1024 x 8192 / 4 bytes at 1 TB/s
        "feed_forward.gated_activation": 51_200,  # 5 x 4096 / 4 FLOP
        "feed_forward.down_projection": 1_048_576,  # 4096 x 1024 / 4 bytes
        "feed_forward.residual_add": 2_560,  # 1024 / 4 FLOP
    }
    assert {o.name: o.duration_ps - FIXED for o in timing.operators} == roofs
    # 256 elements of two bytes and a sum of squares are 516 bytes, 2 vectors. The last but one
    # quarter of the projection leaves 262,144 ps before the last ends, and is there 585,480 ps
    # later. 3 x 256 additions at 100 GFLOP/s.
    assert timing.duration_ps == (
        5 * FIXED
        + sum(roofs.values())
        + (516 + LATENCY + 2 * VECTOR)
        + (LATENCY + 2 * VECTOR - 262_144)
        + 7_680
    )
    assert [o.binding for o in timing.operators] == [
        "fixed_latency",
        "weight_feed",
        "fixed_latency",
        "weight_feed",
        "fixed_latency",
    ]


# Weights ahead ------------------------------------------------------------------------------------


@pytest.mark.parametrize("buffer_bytes", [0, 10**5, 10**6, 4 * 10**6, 10**8])
def test_weights_that_wait_in_the_unit_are_not_fed_again(buffer_bytes: int) -> None:
    """min(weights, buffer) / feed is streamed ahead, the rest while the operator runs.

    At 1 TB/s a byte is a picosecond. Alone on its chip the block is a chain of five, in which the
    first projection waits for its weights from the start of the block, the second for its own from
    the end of the first: they enter the unit when the fixed latency has passed.
    """
    chip = replace(CHIP, matrix=replace(CHIP.matrix, buffer_bytes=buffer_bytes))
    timing = timed(FEED_FORWARD, group=1, chip=chip)
    up_bytes, down_bytes = 1024 * 8192, 4096 * 1024
    norm, up, activation, down, add = timing.operators
    ahead = {up: min(up_bytes, buffer_bytes), down: min(down_bytes, buffer_bytes)}
    for operator, weights in ((up, up_bytes), (down, down_bytes)):
        assert operator.preload_ps == ahead[operator]
        assert operator.stream_ps == weights - ahead[operator]
        # Memory reads all of it anyway, at 10 TB/s; 2 FLOP a weight at 10 TFLOP/s are 0.2 ps.
        assert operator.duration_ps == FIXED + max(operator.stream_ps, ceil(weights / 5))
    up_begins = max(norm.duration_ps, ahead[up] - FIXED)
    up_ends = up_begins + up.duration_ps
    down_begins = max(up_ends + activation.duration_ps, up_ends + ahead[down] - FIXED)
    assert starts(timing, up.name, 0) == [up_begins]
    assert starts(timing, down.name, 0) == [down_begins]
    assert timing.duration_ps == down_begins + down.duration_ps + add.duration_ps
    assert timing.terms.total_ps == timing.duration_ps


@pytest.mark.parametrize("buffer_bytes", [0, 10**5, 10**6])
@pytest.mark.parametrize("group", [1, 4])
@pytest.mark.parametrize("block", blocks_of(MODEL), ids=lambda block: block.kind)
def test_weights_stream_while_their_operator_runs_and_not_after_it(
    block: Block, group: int, buffer_bytes: int
) -> None:
    """From the end of the fixed latency on: the memory is never busy with anything else by then."""
    chip = replace(CHIP, matrix=replace(CHIP.matrix, buffer_bytes=buffer_bytes))
    timing = timed(block, group=group, chip=chip)
    for operator in timing.operators:
        if operator.stream_ps:
            begins = [starts(timing, operator.name, member) for member in range(group)]
            if not begins[0]:  # in shards, of which the first has the fixed latency
                begins = [starts(timing, f"{operator.name} 1/{group}", n) for n in range(group)]
            for member, (at,) in enumerate(begins):
                assert starts(timing, f"{operator.name} weights", member) == [at + FIXED]
            assert operator.stream_ps + FIXED <= operator.duration_ps


@given(buffer_bytes=st.integers(0, 10**7), more_bytes=st.integers(0, 10**7))
@settings(max_examples=30, deadline=None)
def test_a_larger_buffer_never_makes_a_block_slower(buffer_bytes: int, more_bytes: int) -> None:
    def on(size: int) -> int:
        chip = replace(CHIP, matrix=replace(CHIP.matrix, buffer_bytes=size))
        return timed(ATTENTION, group=4, chip=chip).duration_ps

    assert on(buffer_bytes + more_bytes) <= on(buffer_bytes)


# Prefill ------------------------------------------------------------------------------------------


def test_rows_of_a_prompt_read_one_cache() -> None:
    """32 decoded rows read 32 caches, a prompt of 32 rows one; both write 32 tokens."""
    decode, prefill = (
        {
            operator.name: operator
            for operator in timed(ATTENTION, rows=32, context=500, program=program).operators
        }
        for program in ("decode", "prefill")
    )
    cache_bytes = 2 * 4 * 128 * 500 // 4  # keys of 4 heads, fp16, on the chip's quarter
    for name in ("attention.scores", "attention.values"):
        assert decode[name].memory_bytes - prefill[name].memory_bytes == 31 * cache_bytes
        assert decode[name].flop == prefill[name].flop
    for name in set(decode) - {"attention.scores", "attention.values"}:
        assert decode[name] == prefill[name]


def test_only_the_last_row_of_a_prompt_goes_through_the_head() -> None:
    prefill = timed(HEAD, rows=32, program="prefill")
    assert prefill.placed == timed(HEAD, rows=1).placed
    assert prefill.duration_ps < timed(HEAD, rows=32).duration_ps


@given(rows=st.integers(1, 40), sequences=st.integers(1, 40), context=st.integers(0, 1000))
def test_a_cache_is_read_once_for_each_sequence(rows: int, sequences: int, context: int) -> None:
    scores = Operator("scores", "matrix", kv_read_per_row_token=64)
    timing = time_operator(
        scores,
        chip=CHIP,
        precision=PRECISION,
        rows=rows,
        context_tokens=context,
        group_size=1,
        sequence_count=sequences,
    )
    assert timing.memory_bytes == 2 * 64 * context * sequences


# Groups that are alike ----------------------------------------------------------------------------


def test_a_block_on_another_group_is_the_same_on_other_chips() -> None:
    here = timed(FEED_FORWARD, group=4)
    there = here.on((4, 5, 6, 7))
    assert there.duration_ps == here.duration_ps
    assert there.vectors_by_hop == {
        (a + 4, b + 4): vectors for (a, b), vectors in here.vectors_by_hop.items()
    }


@pytest.mark.parametrize("rows", [1, 24, 64])
@pytest.mark.parametrize("algorithm", ["direct", "direct_balanced", "ring", "two_way_ring"])
def test_no_other_reduce_scatter_lets_the_block_end_earlier(algorithm: str, rows: int) -> None:
    """What ends first alone may not be what ends first behind a matmul that sends as it goes."""
    routing = Routing(ring(name="ring", chips=8, local=LINK, global_=LINK, port_count=2))
    chosen = timed(FEED_FORWARD, rows=rows, group=8, routing=routing)
    forced = _Placing(
        FEED_FORWARD,
        StepShape(rows=rows, context_tokens=100, precision=PRECISION),
        chip=CHIP,
        group=tuple(range(8)),
        residual_elements=MODEL.hidden_size,
        exchanges=Exchanges(routing),
        reduced_by=algorithm,
    ).run()
    assert chosen.duration_ps <= forced.duration_ps


def test_a_slower_reduce_scatter_is_taken_where_its_block_ends_first() -> None:
    """On a ring of eight with 24 rows: alone the two-way ring wins, behind the matmul it does not.

    The text says what it would have taken alone.
    """
    routing = Routing(ring(name="ring", chips=8, local=LINK, global_=LINK, port_count=2))
    (reduced,) = (
        item
        for item in timed(FEED_FORWARD, rows=24, group=8, routing=routing).collectives
        if item.traffic == "reduce"
    )
    alone = time_collective(
        routing, range(8), operation="reduce_scatter", size_bytes=8 * reduced.shard_bytes
    )
    assert alone.algorithm != reduced.algorithm
    assert reduced.algorithm in ("direct", "direct_balanced")
    assert "behind its matmul it ends later" in reduced.not_taken[alone.algorithm]
