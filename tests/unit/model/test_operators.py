"""Operators do the arithmetic of the textbook: FLOP, cache reads and writes of a decoded token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.operators import Block

LLAMA_2_70B = Architecture.dense("llama-2-70b", 80, 8192, 64, 8, 128, 28672, 32000, False, 4096)
SMALL = Architecture.dense("small", 3, 48, 6, 2, 10, 100, 77, True, 64)


# Of one kind of layer each: the numbers of the formulas below.
HEADS = {"llama-2-70b": (64, 8, 128, 28672), "small": (6, 2, 10, 100)}


def flop(blocks: tuple[Block, ...], unit: str, context: int) -> int:
    return sum(
        operator.flop_per_row + operator.flop_per_row_token * context
        for block in blocks
        for operator in block.operators
        if operator.unit == unit
    )


def matmul_parameters(model: Architecture) -> int:
    """Every parameter that multiplies a row: all but the embedding table and the norms.

    A tied head multiplies by the embedding table, which is then counted once.
    """
    norms = (2 * model.layer_count + 1) * model.hidden_size
    table = 0 if model.tied_embeddings else model.vocabulary_size * model.hidden_size
    return model.parameter_count - norms - table


@pytest.mark.parametrize("model", [LLAMA_2_70B, SMALL], ids=lambda model: model.name)
@given(context=st.integers(1, 10**6))
def test_a_token_costs_two_flop_per_parameter_and_its_attention(
    model: Architecture, context: int
) -> None:
    """2 x matmul parameters, and per layer and cached token 2 FLOP per query element, twice."""
    heads, _, head_size, _ = HEADS[model.name]
    attention = model.layer_count * context * 4 * heads * head_size
    assert flop(blocks_of(model), "matrix", context) == 2 * matmul_parameters(model) + attention


def test_llama_2_70b_decodes_at_about_two_flop_per_parameter() -> None:
    """137.4 GFLOP a token for its matmuls; attention over 1,000 tokens adds 1.9 %."""
    assert flop(blocks_of(LLAMA_2_70B), "matrix", 0) == 2 * (
        68_976_648_192 - 262_144_000 - 1_318_912
    )
    assert flop(blocks_of(LLAMA_2_70B), "matrix", 1000) == 137_426_370_560 + 80 * 1000 * 32_768


@pytest.mark.parametrize("model", [LLAMA_2_70B, SMALL], ids=lambda model: model.name)
def test_vector_work_is_elements_times_the_textbook_form(model: Architecture) -> None:
    """Norm 4, rotary 3, softmax 5, gated activation 5, residual add 1 FLOP an element."""
    context = 100
    h = model.hidden_size
    heads, kv_heads, head_size, inner = HEADS[model.name]
    layer = (
        2 * (4 * h + h)  # two norms, two residual adds
        + 3 * (heads + kv_heads) * head_size
        + 5 * heads * context
        + 5 * inner
    )
    expected = model.layer_count * layer + 4 * h + 5 * model.vocabulary_size
    assert flop(blocks_of(model), "vector", context) == expected


@pytest.mark.parametrize("model", [LLAMA_2_70B, SMALL], ids=lambda model: model.name)
def test_a_row_reads_the_whole_cache_once_and_writes_its_own_token(model: Architecture) -> None:
    operators = [operator for block in blocks_of(model) for operator in block.operators]
    assert sum(o.kv_read_per_row_token for o in operators) == model.kv_elements_per_token
    assert sum(o.kv_write_per_row for o in operators) == model.kv_elements_per_token


def test_blocks_stand_in_execution_order() -> None:
    blocks = blocks_of(SMALL)
    assert [block.kind for block in blocks] == [
        "embedding",
        *["attention", "feed_forward"] * 3,
        "head",
    ]
    assert len({block.name for block in blocks}) == len(blocks)
    # Tensor parallelism: every block but the embedding gathers; layers reduce what their last
    # matmul finds, and the head ends with each chip's candidates.
    assert [block.gathers for block in blocks] == [False, *[True] * 7]
    exchanges = [[o.followed_by for o in b.operators if o.followed_by != "none"] for b in blocks]
    layer = [["combine", "reduce_scatter"], ["reduce_scatter"]]
    assert exchanges == [[], *layer * 3, ["candidates"]]


def test_what_is_summed_up_is_the_result_of_the_last_matmul() -> None:
    """Behind it only the residual add, on the shard that the sum leaves."""
    for block in blocks_of(SMALL)[1:-1]:
        *_, matmul, add = block.operators
        assert (matmul.unit, matmul.followed_by) == ("matrix", "reduce_scatter")
        assert matmul.flop_per_row == 2 * matmul.parameters
        assert (add.unit, add.parameters, add.flop_per_row) == ("vector", 0, 48)


def test_partial_attention_is_combined_where_values_are_found() -> None:
    """The values of every query head, and the maximum and the sum of its softmax."""
    attention = blocks_of(SMALL)[1]
    (values,) = (o for o in attention.operators if o.followed_by == "combine")
    assert values.name == "attention.values"
    assert (attention.kv_head_count, attention.combined_per_row) == (2, 6 * 10 + 2 * 6)


def test_an_embedding_reads_one_row_of_its_table() -> None:
    (lookup,) = blocks_of(SMALL)[0].operators
    assert lookup.parameters == 77 * 48
    assert lookup.lookup_per_row == 48
    assert lookup.flop_per_row == 0


def test_a_tied_head_multiplies_by_the_whole_table() -> None:
    """A tied table lives where it is looked up and where it multiplies: on both ends of the line.

    So blocks hold the parameters of the model and the table once more.
    """
    blocks = blocks_of(SMALL)
    projection = blocks[-1].operators[1]
    table = 77 * 48
    assert projection.flop_per_row == 2 * table
    assert blocks[-1].parameters == 48 + table
    assert sum(block.parameters for block in blocks) == SMALL.parameter_count + table
