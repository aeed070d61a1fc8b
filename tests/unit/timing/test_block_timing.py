"""A block takes its operators, its collectives and the additions of its reduction, one by one."""

from math import ceil

import pytest

from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Router
from rack_sim.model.architecture import Architecture
from rack_sim.model.operators import Block, blocks_of
from rack_sim.timing.blocks import BlockTiming, StepShape, time_block
from rack_sim.timing.precision import Precision

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
MODEL = Architecture("small", 1, 1024, 8, 4, 128, 4096, 8000, False, 4096)
EMBEDDING, ATTENTION, FEED_FORWARD, HEAD = blocks_of(MODEL)
PRECISION = Precision(weights="int8", kv="fp16", activations="fp16", compute="fp16")


def timed(block: Block, *, rows: int = 1, context: int = 100, group: int = 4) -> BlockTiming:
    router = Router(fully_connected(name="node", chips=8, local=LINK, port_count=8))
    return time_block(
        block,
        StepShape(rows=rows, context_tokens=context, precision=PRECISION),
        chip=CHIP,
        router=router,
        group=tuple(range(group)),
        residual_elements=MODEL.hidden_size,
    )


def shard_vectors(rows: int, group: int) -> int:
    """The residual stream over the group, two bytes an element, 320 bytes a vector."""
    return ceil(ceil(rows * 1024 / group) * 2 / 320)


def gather_vectors(rows: int, group: int) -> int:
    """The same with a sum of squares of four bytes a row, for the norm behind the gather."""
    return ceil((ceil(rows * 1024 / group) * 2 + 4 * rows) / 320)


@pytest.mark.parametrize("rows", [1, 3, 64])
@pytest.mark.parametrize(
    ("block", "group"),
    [(ATTENTION, 2), (ATTENTION, 4), (FEED_FORWARD, 2), (FEED_FORWARD, 4), (FEED_FORWARD, 8)],
    ids=lambda value: value.kind if isinstance(value, Block) else str(value),
)
def test_a_layer_block_gathers_and_reduces(block: Block, group: int, rows: int) -> None:
    timing = timed(block, rows=rows, group=group)
    operators = sum(operator.duration_ps for operator in timing.operators)
    vectors = gather_vectors(rows, group) + shard_vectors(rows, group)
    exchanges = 2 * LATENCY + vectors * VECTOR
    # Each chip adds the partial sums of the others to its shard, at 10 ps an addition.
    additions = (group - 1) * ceil(rows * 1024 / group)
    assert len(timing.operators) == len(block.operators)
    assert timing.algorithms == ("direct", "direct")
    assert timing.duration_ps == operators + exchanges + 10 * additions
    assert timing.terms.link_latency_ps == 2 * LATENCY
    assert timing.terms.slack_ps == 0
    assert set(timing.vectors_by_hop.values()) == {vectors}
    assert len(timing.vectors_by_hop) == group * (group - 1)


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_chips_that_share_a_key_value_head_combine_what_they_found(rows: int) -> None:
    """8 chips, 4 key-value heads: the cache of each is split by sequence over two chips.

    Design, section 7: "at the price of one more reduction". Each query head has 128 partial values,
    a maximum and a sum: 8 x 130 elements in all, of which a chip keeps an eighth.
    """
    timing = timed(ATTENTION, rows=rows, group=8)
    operators = sum(operator.duration_ps for operator in timing.operators)
    kept = ceil(rows * 8 * 130 / 8)
    combined_vectors = ceil(2 * kept / 320)
    residual_vectors = gather_vectors(rows, 8) + shard_vectors(rows, 8)
    links = 3 * LATENCY + (residual_vectors + combined_vectors) * VECTOR
    additions = 7 * ceil(rows * 1024 / 8) + kept
    assert timing.duration_ps == operators + links + 10 * additions
    for (a, b), vectors in timing.vectors_by_hop.items():
        shared = a // 2 == b // 2
        assert vectors == residual_vectors + (combined_vectors if shared else 0)


def test_the_head_gathers_rows_and_then_candidates() -> None:
    """Eight bytes a row: a logit and a token number from every chip."""
    timing = timed(HEAD, rows=100, group=8)
    operators = sum(operator.duration_ps for operator in timing.operators)
    vectors = gather_vectors(100, 8) + ceil(100 * 8 / 320)
    assert timing.duration_ps == operators + 2 * LATENCY + vectors * VECTOR
    assert timing.algorithms == ("direct", "direct")


def test_the_embedding_talks_to_no_one() -> None:
    timing = timed(EMBEDDING, rows=8, group=8)
    assert timing.algorithms == ()
    assert timing.terms.link_latency_ps == timing.terms.link_serialisation_ps == 0


@pytest.mark.parametrize("block", blocks_of(MODEL), ids=lambda block: block.kind)
def test_one_chip_alone_only_computes(block: Block) -> None:
    timing = timed(block, group=1)
    assert timing.duration_ps == sum(operator.duration_ps for operator in timing.operators)
    assert not timing.vectors_by_hop


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
    assert {o.name: o.duration_ps - 100_000 for o in timing.operators} == roofs
    # 256 elements of two bytes are two vectors; 3 x 256 additions at 100 GFLOP/s.
    assert timing.duration_ps == (
        5 * 100_000 + sum(roofs.values()) + 2 * (LATENCY + 2 * VECTOR) + 7_680
    )
    assert [o.binding for o in timing.operators] == [
        "fixed_latency",
        "weight_feed",
        "fixed_latency",
        "weight_feed",
        "fixed_latency",
    ]
