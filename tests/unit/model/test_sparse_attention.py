"""Attention to chosen entries of the cache: parameters, FLOP, reads, room, by the closed form."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.operators import Block, Operator
from rack_sim.model.reach import Reach
from rack_sim.model.selection import Selection

# Shapes as published; parameters as `transformers` 5.24 counts them, router corrections included.
DEEPSEEK_V32 = {
    "model_type": "deepseek_v32",
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "intermediate_size": 18432,
    "first_k_dense_replace": 3,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 2048,
    "index_head_dim": 128,
    "index_n_heads": 64,
    "index_topk": 2048,
    "vocab_size": 129280,
    "max_position_embeddings": 163840,
}
GLM_5 = DEEPSEEK_V32 | {
    "model_type": "glm_moe_dsa",
    "hidden_size": 6144,
    "num_hidden_layers": 78,
    "num_attention_heads": 64,
    "num_key_value_heads": 64,
    "q_lora_rank": 2048,
    "qk_nope_head_dim": 192,
    "v_head_dim": 256,
    "intermediate_size": 12288,
    "index_n_heads": 32,
    "vocab_size": 154880,
    "max_position_embeddings": 202752,
}
DEEPSEEK_V4_FLASH = {
    "model_type": "deepseek_v4",
    "hidden_size": 4096,
    "num_hidden_layers": 43,
    "num_attention_heads": 64,
    "num_key_value_heads": 1,
    "head_dim": 512,
    "q_lora_rank": 1024,
    "qk_rope_head_dim": 64,
    "o_groups": 8,
    "o_lora_rank": 1024,
    "sliding_window": 128,
    "index_head_dim": 128,
    "index_n_heads": 64,
    "index_topk": 512,
    "hc_mult": 4,
    "hc_sinkhorn_iters": 20,
    "n_routed_experts": 256,
    "num_experts_per_tok": 6,
    "moe_intermediate_size": 2048,
    "num_hash_layers": 3,
    "compress_ratios": [0, 0, *[4, 128] * 20, 4, 0],  # the last is of a layer that predicts more
    "vocab_size": 129280,
    "max_position_embeddings": 1048576,
}
# MiniMax-M3 with its first layers without an indexer.
MINIMAX_M3 = {
    "model_type": "minimax_m3_vl",
    "text_config": {
        "hidden_size": 6144,
        "intermediate_size": 3072,
        "dense_intermediate_size": 12288,
        "shared_intermediate_size": 3072,
        "num_hidden_layers": 60,
        "num_attention_heads": 64,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "rotary_dim": 64,
        "num_local_experts": 128,
        "num_experts_per_tok": 4,
        "moe_layer_freq": [0] * 3 + [1] * 57,
        "vocab_size": 200064,
        "max_position_embeddings": 524288,
        "sparse_attention_config": {
            "sparse_num_index_heads": 4,
            "sparse_index_dim": 128,
            "sparse_block_size": 128,
            "sparse_topk_blocks": 16,
            "sparse_attention_freq": [0] * 3 + [1] * 57,
            "sparse_disable_index_value": [0] * 3 + [1] * 57,
        },
    },
}
Config = dict[str, Any]


def model_of(config: Config, **changes: object) -> Architecture:
    return architecture_from_config("model", config | changes)


@pytest.mark.parametrize(
    ("config", "parameters", "elements"),
    [
        (DEEPSEEK_V32, 671_877_929_216 + 14_848, 61 * (512 + 64 + 128)),
        (GLM_5, 743_911_199_232 + 19_200, 78 * (512 + 64 + 128)),
        (DEEPSEEK_V4_FLASH, 284_332_230_231 + 10_240, 21 * (512 + 128) // 4 + 20 * 512 // 128),
        (MINIMAX_M3, 426_174_565_632 + 7_296, 60 * 2 * 4 * 128 + 57 * 128),
    ],
    ids=["deepseek-v3.2", "glm-5", "deepseek-v4-flash", "minimax-m3"],
)
def test_published_shapes_have_their_parameters_and_their_cache(
    config: Config, parameters: int, elements: int
) -> None:
    """The cache: latents, rotary keys and index keys; entries of four tokens or of 128."""
    model = model_of(config)
    assert model.parameter_count == parameters
    assert sum(block.parameters for block in blocks_of(model)) == parameters
    assert model.kv_elements_per_token == elements
    assert sum(block.kv_elements_per_token for block in blocks_of(model)) == elements


def attention(model: Architecture, layer: int) -> Block:
    return next(b for b in blocks_of(model) if b.name == f"layer{layer}.attention")


def flop(block: Block, unit: str, context: int) -> int:
    return sum(o.flop_per_row_token * o.met(context) for o in block.operators if o.unit == unit)


def read(block: Block, context: int, rows: int = 1) -> int:
    return sum(o.kv_read_per_row_token * o.met(context, rows) for o in block.operators)


@given(context=st.integers(1, 200_000))
def test_an_indexer_looks_at_every_token_and_attention_at_the_best(context: int) -> None:
    """2 x 64 heads x 128 a cached token; 2 x 128 heads x (576 + 512) for at most 2,048 of them."""
    block = attention(model_of(DEEPSEEK_V32), 0)
    met = min(context, 2048)
    assert flop(block, "matrix", context) == 2 * 64 * 128 * context + 2 * 128 * (576 + 512) * met
    assert read(block, context) == 128 * context + 576 * met
    # Cut off, weighed and added for every head; eight for the choice; the softmax of what is met.
    assert flop(block, "vector", context) == (3 * 64 + 8) * context + 5 * 128 * met


@given(context=st.integers(1, 200_000), rows=st.integers(1, 5000))
def test_rows_of_one_sequence_read_what_each_has_chosen(context: int, rows: int) -> None:
    """At most all there is; index keys are read once for all of them."""
    block = attention(model_of(DEEPSEEK_V32), 0)
    assert read(block, context, rows) == 128 * context + 576 * min(context, rows * 2048)


def test_layers_without_an_indexer_attend_to_what_the_one_before_chose() -> None:
    """They keep no index keys, and none of its work is theirs."""
    config = GLM_5 | {"num_hidden_layers": 8, "index_topk_freq": 4, "index_skip_topk_offset": 3}
    model = model_of(config)
    indexed = [layer.attention.indexer is not None for layer in model.layers]  # type: ignore[union-attr]
    assert indexed == [True, True, True, False, False, False, True, False]
    assert model.kv_elements_per_token == 8 * 576 + 4 * 128
    shared = attention(model, 3)
    assert shared.selection is None
    assert flop(shared, "matrix", 10_000) == 2 * 64 * (576 + 512) * 2048
    letters = model_of(GLM_5 | {"num_hidden_layers": 8, "index_topk_pattern": "FFFSSSFS"})
    assert letters.layers == model.layers


def test_blocks_of_tokens_are_chosen_for_each_key_value_head() -> None:
    """4 index heads x 128; 16 blocks of 128 tokens each, of which the best token's score counts."""
    model = model_of(MINIMAX_M3)
    block = attention(model, 3)
    context = 100_000
    assert attention(model, 0).selection is None
    assert flop(block, "matrix", context) == 2 * 4 * 128 * context + 2 * 64 * 256 * 2048
    blocks = context // 128
    assert flop(block, "vector", context) == 4 * context + 8 * 4 * blocks + 5 * 64 * 2048
    assert read(block, context) == 128 * context + 2 * 4 * 128 * 2048
    assert block.selection == Selection(4 * 128, 16, 4, 128)


@given(context=st.integers(1, 1_000_000))
def test_compressed_entries_stand_for_several_tokens(context: int) -> None:
    """The nearest 128 as they are; of entries of 4 tokens the best 512, of those of 128 all."""
    model, near = model_of(DEEPSEEK_V4_FLASH), min(context, 128)
    for layer, entries, scored in [
        (0, 0, 0),
        (2, min(context // 4, 512), context // 4),
        (3, context // 128, 0),
    ]:
        block = attention(model, layer)
        met = near + entries
        assert flop(block, "matrix", context) == 4 * 64 * 512 * met + 2 * 64 * 128 * scored
        assert read(block, context) == 512 * met + 128 * scored


def test_what_a_sequence_keeps_is_its_nearest_tokens_and_open_windows() -> None:
    model = model_of(DEEPSEEK_V4_FLASH)
    near, open_4, index, open_128 = 128 * 512, 12 * 2 * 512, 12 * 2 * 128, 2 * 128 * 512
    kept = [attention(model, layer).kv_elements_per_sequence for layer in (0, 2, 3)]
    assert kept == [near, near + open_4 + index, near + open_128]
    assert model.kv_elements_per_sequence == 43 * near + 21 * (open_4 + index) + 20 * open_128


def test_a_row_costs_two_flop_for_every_parameter_that_multiplies() -> None:
    """All but norms, offsets, sinks, tables; experts of a row, compressors in the mean of a row."""
    for config in (DEEPSEEK_V32, DEEPSEEK_V4_FLASH, MINIMAX_M3):
        model = model_of(config)
        for block in blocks_of(model):
            for one in block.operators:
                if one.unit == "matrix" and not one.flop_per_row_token:
                    exact = one.parameters_met * 2
                    assert 0 <= exact - one.flop_per_row <= 2 * beside(one), one


def beside(operator: Operator) -> int:
    """Parameters of a matrix operator that multiply no row: a router's, and those of mixing."""
    small = ("feed_forward.router", "attention.stream_projection", "feed_forward.stream_projection")
    return 512 if operator.name in (*small, "head.stream_projection") else 0


def test_four_streams_are_mixed_by_what_a_projection_of_all_says() -> None:
    """24 weights a block from 4 x 4,096 elements, 4 before the head; each with offsets, scales."""
    model = model_of(DEEPSEEK_V4_FLASH)
    block = attention(model, 0)
    first, last = block.operators[0], block.operators[-1]
    assert first.flop_per_row == 2 * 24 * 4 * 4096
    assert first.parameters == 24 * 4 * 4096 + 24 + 3
    assert (first.followed_by, block.mixed_per_row, block.stream_count) == ("mixes", 24, 4)
    assert last.flop_per_row == 2 * 4 * 4 * 4096 + 2 * 4 * 4096
    assert model.stream_count == 4
    assert model_of(DEEPSEEK_V32).stream_count == 1


# Reach and selection ------------------------------------------------------------------------------

REACHES = st.builds(
    Reach,
    nearest_tokens=st.integers(0, 50),
    tokens_per_entry=st.integers(1, 20),
    chosen_max=st.none() | st.integers(0, 60),
)


@given(reach=REACHES, context=st.integers(1, 2000), rows=st.integers(1, 50))
def test_rows_together_meet_no_less_than_one_and_no_more_than_all_apart(
    reach: Reach, context: int, rows: int
) -> None:
    one, all_rows = reach.met(context), reach.met(context, rows)
    assert one <= all_rows <= rows * one
    assert all_rows <= context + context // reach.tokens_per_entry
    assert reach.met(context + 1, rows) >= all_rows


@given(reach=REACHES, context=st.integers(1, 2000), parts=st.integers(1, 40))
def test_the_fullest_chip_has_all_choices_or_all_that_it_holds(
    reach: Reach, context: int, parts: int
) -> None:
    """As much as the rest of `parts` equal chips that have less: never less than an even share."""
    worst, even = reach.met(context, parts=parts), reach.met(context)
    assert even <= worst <= parts * even
    there = context // reach.tokens_per_entry
    held = -(-there // parts)
    chosen = there if reach.chosen_max is None else min(reach.chosen_max, there)
    assert worst - min(context, reach.nearest_tokens) == parts * min(chosen, held) or parts == 1


@given(reach=REACHES, longest=st.integers(1, 2000), data=st.data())
def test_within_contexts_that_a_row_chooses_whole_nothing_changes(
    reach: Reach, longest: int, data: st.DataObject
) -> None:
    context = data.draw(st.integers(1, longest))
    short = reach.within(longest)
    assert short.met(context) == reach.met(context)
    assert (short.chosen_max is None) >= (reach.chosen_max is None)


def test_candidates_are_the_best_of_each_part_of_the_cache() -> None:
    tokens = Selection(8192, 2048)
    assert [tokens.candidates(context, 8) for context in (7, 8000, 100_000)] == [1, 1000, 2048]
    blocks = Selection(512, 16, 4, 128)
    assert [blocks.candidates(context, 4) for context in (127, 1024, 100_000)] == [0, 8, 64]
    assert (tokens.candidates_max, blocks.candidates_max) == (2048, 64)


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "changes", "said"),
    [
        (GLM_5, {"indexer_types": ["shared"] * 78}, "no layer before it to share with"),
        (GLM_5, {"index_topk_pattern": "FXF"}, "is not a word of 78 letters"),
        (DEEPSEEK_V32, {"index_head_dim": 32}, "has no room for qk_rope_head_dim"),
        (DEEPSEEK_V32, {"index_topk": 0}, "is not a whole number of at least 1"),
        (DEEPSEEK_V32, {"q_lora_rank": None}, "q_lora_rank"),
        (DEEPSEEK_V4_FLASH, {"compress_ratios": [3] * 44}, "3 is none of 0, 4, 128"),
        (DEEPSEEK_V4_FLASH, {"o_groups": 7}, "cannot be shared out to 7 groups"),
        (DEEPSEEK_V4_FLASH, {"num_key_value_heads": 2}, "2 is not modelled; only 1 is"),
    ],
)
def test_what_has_no_meaning_is_refused(config: Config, changes: Config, said: str) -> None:
    with pytest.raises(InputError) as refused:
        model_of(config, **changes)
    assert said in str(refused.value)
