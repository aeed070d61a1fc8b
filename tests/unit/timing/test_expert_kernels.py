"""What is launched for experts that lie apart, and for norms that stand where none is expected."""

from dataclasses import replace

import pytest

from rack_sim.hardware.builders import fully_connected
from rack_sim.hardware.chip import Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.routing import Routing
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.choice import Choice
from rack_sim.model.expert_blocks import ExpertPlacement
from rack_sim.model.layers import Experts
from rack_sim.model.operators import Block, Operator
from rack_sim.timing.iterations import IterationTimer
from rack_sim.timing.kernels import CollectiveKernel, Kernel, Launch, launches_of
from rack_sim.timing.precision import Precision

HIDDEN = 1024
DENSE = Architecture.dense("small", 2, HIDDEN, 8, 4, 128, 4096, 8000, False, 4096)
SPARSE = replace(
    DENSE, layers=tuple(replace(one, feed_forward=Experts(8, 2, 512)) for one in DENSE.layers)
)
APART = blocks_of(SPARSE, ExpertPlacement(apart=True))
SLICED = blocks_of(SPARSE)


def launched(blocks: tuple[Block, ...], group: int = 4) -> tuple[Launch, ...]:
    return launches_of(blocks, group_size=group, residual_elements=HIDDEN)


def names(launches: tuple[Launch, ...]) -> list[str]:
    """Kernels by their operators, collectives in brackets."""
    return [
        f"[{one.traffic} {one.operation}]" if isinstance(one, CollectiveKernel) else one.name
        for one in launches
    ]


def kernel(launches: tuple[Launch, ...], name: str) -> Kernel:
    (found,) = {one for one in launches if isinstance(one, Kernel) and one.name == name}
    return found


ATTENTION = [
    "attention.qkv_projection",
    "attention.rotary",
    "attention.scores + attention.softmax + attention.values",
    "attention.output_projection",
]


def test_experts_that_lie_apart_send_rows_and_gather_nothing() -> None:
    """Their norm works on shards: the sums of attention are scattered and added before it."""
    launches = launched(APART[1:4])
    assert names(launches) == [
        "[gather all_gather]",
        "attention.norm",
        *ATTENTION,
        "[reduce reduce_scatter]",
        "attention.residual_add",
        "feed_forward.norm",
        "feed_forward.router",
        "[logits all_reduce]",
        "feed_forward.choose",
        "[dispatch all_to_all]",
        "feed_forward.experts_gate_up_projection",
        "feed_forward.experts_gated_activation",
        "feed_forward.experts_down_projection",
        "[collect all_to_all]",
        "feed_forward.residual_add",
        "[gather all_gather]",
        "attention.norm",
        *ATTENTION,
        "[reduce reduce_scatter]",
        "attention.residual_add",
    ]
    whole = {one.name for one in launches if isinstance(one, Kernel) and one.whole}
    assert whole == {"attention.norm", "feed_forward.choose"}
    to_experts = [one for one in launches if isinstance(one, CollectiveKernel) and one.choice]
    assert [one.traffic for one in to_experts] == ["logits", "dispatch", "collect"]
    assert {one.choice for one in to_experts} == {Choice(8, 2, apart=True)}


def test_experts_in_slices_are_a_feed_forward_with_a_router_that_every_chip_has() -> None:
    launches = launched(SLICED[2:3])
    assert names(launches) == [
        "[gather all_gather]",
        "feed_forward.norm",
        "feed_forward.router",
        "feed_forward.choose",
        "feed_forward.experts_gate_up_projection",
        "feed_forward.experts_gated_activation",
        "feed_forward.experts_down_projection",
        "[reduce reduce_scatter]",
        "feed_forward.residual_add",
    ]
    whole = {one.name for one in launches if isinstance(one, Kernel) and one.whole}
    assert whole == {"feed_forward.norm", "feed_forward.router", "feed_forward.choose"}


@pytest.mark.parametrize("blocks", [APART, SLICED, blocks_of(DENSE)])
def test_one_chip_sends_nothing_and_works_on_whole_rows(blocks: tuple[Block, ...]) -> None:
    launches = launched(blocks, group=1)
    assert all(isinstance(one, Kernel) for one in launches)
    assert kernel(launched(blocks[1:2], group=1), "attention.residual_add").whole


# Operators by hand --------------------------------------------------------------------------------

ADD = Operator("x.residual_add", "vector", 0, HIDDEN, activations_per_row=3 * HIDDEN)
NORM = Operator("x.norm", "vector", HIDDEN, 4 * HIDDEN, activations_per_row=2 * HIDDEN)
MATMUL = Operator("x.projection", "matrix", 64, 128, activations_per_row=16)
SUMMED = replace(MATMUL, name="x.output", followed_by="reduce_scatter")


def block(*operators: Operator, gathers: bool = True, **more: int) -> Block:
    return Block("x", "feed_forward", operators, gathers, **more)


@pytest.mark.parametrize(
    ("given", "read"),
    [(2 * HIDDEN, HIDDEN), (HIDDEN + 1, 1), (HIDDEN, 0), (HIDDEN - 1, 0), (0, 0)],
)
def test_a_norm_behind_an_add_does_not_read_the_stream_again(given: int, read: int) -> None:
    norm = replace(NORM, activations_per_row=given)
    (fused, alone) = launched((block(ADD, norm, norm),), group=1)
    assert isinstance(fused, Kernel)
    assert isinstance(alone, Kernel)
    assert [one.activations_per_row for one in fused.operators] == [3 * HIDDEN, read]
    assert [one.activations_per_row for one in alone.operators] == [given]


def test_an_add_waits_for_a_norm_and_for_nothing_else() -> None:
    """Not for another add, nor for a matmul, nor for what is called a norm on the matrix unit."""
    odd = replace(NORM, unit="matrix")
    found = launched((block(ADD, ADD, NORM, ADD, MATMUL, NORM, ADD, odd, ADD),), group=1)
    assert names(found) == [
        "x.residual_add",
        "x.residual_add + x.norm",
        "x.residual_add",
        "x.projection",
        "x.norm",
        "x.residual_add",
        "x.norm",
        "x.residual_add",
    ]
    plain = replace(ADD, unit="matrix")
    assert names(launched((block(plain, NORM),), group=1)) == ["x.residual_add", "x.norm"]
    longer = replace(NORM, name="x.denorm")
    assert names(launched((block(ADD, longer),), group=1)) == ["x.residual_add", "x.denorm"]


@pytest.mark.parametrize("gathers", [True, False])
def test_a_norm_of_a_block_that_does_not_gather_is_as_any_operator(gathers: bool) -> None:
    found = launched((block(SUMMED, ADD, gathers=False), block(NORM, gathers=gathers)))
    assert names(found) == (
        ["x.output", "[reduce all_reduce]", "x.residual_add + x.norm"]
        if gathers
        else ["x.output", "[reduce reduce_scatter]", "x.residual_add", "x.norm"]
    )
    assert [one.whole for one in found if isinstance(one, Kernel)][-1] is gathers


def test_a_stream_that_is_whole_is_gathered_no_more() -> None:
    """Two blocks that sum nothing up: the first gathers for both; behind sums it is scattered."""
    assert names(launched((block(NORM), block(NORM), block(MATMUL)))) == [
        "[gather all_gather]",
        "x.norm",
        "x.norm",
        "x.projection",
    ]
    assert names(launched((block(NORM, SUMMED), block(NORM), block(MATMUL)))) == [
        "[gather all_gather]",
        "x.norm",
        "x.output",
        "[reduce all_reduce]",
        "x.norm",
        "x.projection",
    ]
    settled = launched((block(NORM, SUMMED, MATMUL), block(NORM)))
    assert names(settled)[3:] == [
        "[reduce reduce_scatter]",
        "x.projection",
        "[gather all_gather]",
        "x.norm",
    ]
    assert names(launched((block(NORM), block(NORM)), group=1)) == ["x.norm", "x.norm"]


@pytest.mark.parametrize(
    "field", ["flop_per_row_token", "activations_per_row_token", "kv_read_per_row_token"]
)
def test_whatever_grows_with_the_context_is_attention(field: str) -> None:
    grows = replace(MATMUL, name="x.grows", parameters=0, **{field: 1})
    one, run, last = launched((block(MATMUL, grows, grows, MATMUL),), group=1)
    assert names((one, run, last)) == ["x.projection", "x.grows + x.grows", "x.projection"]
    assert [each.is_attention for each in (one, run, last) if isinstance(each, Kernel)] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("field", ["parameters", "lookup_per_row"])
def test_attention_has_no_weights_of_its_own(field: str) -> None:
    grows = replace(MATMUL, name="x.grows", parameters=0, kv_read_per_row_token=1)
    launched((block(grows),), group=1)
    with pytest.raises(ValueError, match=r"x\.grows: attention with weights of its own"):
        launched((block(grows, replace(grows, **{field: 1})),), group=1)


@pytest.mark.parametrize(
    ("heads", "group", "sharing"),
    [(4, 4, 0), (4, 7, 0), (4, 8, 2), (4, 12, 3), (1, 2, 2), (0, 8, 0), (1, 1, 0)],
)
def test_chips_that_share_a_head_combine_what_they_found(
    heads: int, group: int, sharing: int
) -> None:
    """Behind the operator that says so; a block without heads has nothing to share."""
    values = replace(
        MATMUL, name="x.values", parameters=0, kv_read_per_row_token=1, followed_by="combine"
    )
    found = launched((block(values, MATMUL, kv_head_count=heads, combined_per_row=130),), group)
    sent = [one for one in found if isinstance(one, CollectiveKernel) and one.traffic == "combine"]
    expected = CollectiveKernel("combine", "reduce_scatter", 130, sharing=sharing)
    assert sent == ([expected] if sharing else [])
    if sharing:
        assert names(found)[1:] == ["x.values", "[combine reduce_scatter]", "x.projection"]


# Buffers ------------------------------------------------------------------------------------------

LINK = LinkType("c2c", 12_500_000_000, 533_000, 320, 328)
CHIP = Chip(
    "small", "reactive", (MemoryTier("hbm", 10**12, 10**12),), MatrixUnit({"fp16": 10**14}, None),
    10**12, 1000, 0, 8, 1.0, 2.0, 1.0,
)  # fmt: skip


@pytest.mark.parametrize("residual", [1024, 1022])
@pytest.mark.parametrize("rows", [1, 7])
def test_the_buffer_of_a_collective_is_that_of_its_whole_group(residual: int, rows: int) -> None:
    """On four chips. Every row chooses all eight experts, so it goes to every chip, once."""
    timer = IterationTimer(
        CHIP,
        Routing(fully_connected(name="node", chips=4, local=LINK, port_count=8)),
        [(0, 1, 2, 3)],
        [blocks_of(DENSE)],
        Precision(weights="int8", kv="fp16", activations="fp16", compute="fp16"),
        residual_elements=residual,
    )
    everywhere = Choice(8, 8, apart=True)
    shard_elements = -(-rows * residual // 4)
    for sent, size_bytes in (
        (CollectiveKernel("gather", "all_gather", residual), 2 * rows * residual),
        (CollectiveKernel("combine", "reduce_scatter", 130, sharing=2), 2 * rows * 130),
        # A logit of four bytes and the token's number, from every chip.
        (CollectiveKernel("candidates", "all_gather", sampled=True), rows * 8 * 4),
        # Eight logits and a sum of squares in fp32.
        (CollectiveKernel("logits", "all_reduce", choice=everywhere), rows * 9 * 4),
        (CollectiveKernel("dispatch", "all_to_all", choice=everywhere), 2 * shard_elements * 4),
        (CollectiveKernel("collect", "all_to_all", choice=everywhere), 2 * shard_elements * 4),
    ):
        assert timer.size_bytes(sent, 4, rows) == size_bytes
