"""Layers that keep a state: parameters, elements kept, FLOP and copies, each by its closed form."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.operators import Block, Operator
from rack_sim.model.state_blocks import state_block
from rack_sim.model.state_layers import (
    GatedDeltaNet,
    KimiDeltaAttention,
    LightningAttention,
    Mamba2,
    StateShape,
)

# Shapes of published files; counts are those of `transformers`' classes, language model only.
QWEN3_5_27B: dict[str, Any] = {
    "model_type": "qwen3_5_text",
    "hidden_size": 5120,
    "num_hidden_layers": 64,
    "num_attention_heads": 24,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "intermediate_size": 17408,
    "vocab_size": 248320,
    "max_position_embeddings": 262144,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 48,
    "tie_word_embeddings": False,
}
NEMOTRON_H_56B: dict[str, Any] = {
    "model_type": "nemotron_h",
    "hybrid_override_pattern": "M-M-M-M*-" + 9 * "M-M-M-M-M*-" + "M-M-M-M-M-",
    "hidden_size": 8192,
    "num_hidden_layers": 118,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "intermediate_size": 32768,
    "vocab_size": 131072,
    "max_position_embeddings": 8192,
    "mamba_num_heads": 256,
    "mamba_head_dim": 64,
    "n_groups": 8,
    "ssm_state_size": 256,
    "chunk_size": 128,
}
NEMOTRON_3_NANO: dict[str, Any] = {
    "model_type": "nemotron_h",
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    "hidden_size": 2688,
    "num_hidden_layers": 52,
    "num_attention_heads": 32,
    "num_key_value_heads": 2,
    "vocab_size": 131072,
    "intermediate_size": 1856,
    "max_position_embeddings": 262144,
    "mamba_num_heads": 64,
    "mamba_head_dim": 64,
    "n_routed_experts": 128,
    "num_experts_per_tok": 6,
    "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712,
}

DELTA = GatedDeltaNet(2, 6, 16, 8, 4)
KIMI = KimiDeltaAttention(4, 8, 4)
MAMBA = Mamba2(8, 16, 2, 32, 4, 128)
LIGHTNING = LightningAttention(4, 8, 256)
SHAPES = [DELTA, KIMI, MAMBA, LIGHTNING]


@pytest.mark.parametrize(
    ("config", "parameters", "states", "convolutions"),
    [
        # 48 layers of 48 heads of 128 x 128; 3 rows of 16 + 16 key and 48 value heads of 128.
        (QWEN3_5_27B, 26_895_998_464, 48 * 48 * 128 * 128, 48 * 3 * 80 * 128),
        # 54 layers of 256 heads of 64 x 256; 3 rows of those and of 8 groups of two times 256.
        (NEMOTRON_H_56B, 56_324_350_464, 54 * 256 * 64 * 256, 54 * 3 * (256 * 64 + 8 * 512)),
        # 2,944 of the parameters are corrections of routers.
        (NEMOTRON_3_NANO, 31_577_937_344 + 2944, 23 * 64 * 64 * 128, 23 * 3 * (64 * 64 + 2048)),
    ],
)
def test_published_hybrids(
    config: dict[str, Any], parameters: int, states: int, convolutions: int
) -> None:
    model = architecture_from_config("any", config)
    assert model.parameter_count == parameters
    assert sum(block.parameters for block in blocks_of(model)) == parameters
    assert model.state_elements_per_sequence == states
    assert model.convolution_elements_per_sequence == convolutions


def test_a_token_is_cached_only_where_a_layer_attends() -> None:
    model = architecture_from_config("any", QWEN3_5_27B)
    assert model.kv_elements_per_token == 16 * 2 * 4 * 256
    assert sum(block.kind == "state" for block in blocks_of(model)) == 48
    alone = architecture_from_config("any", NEMOTRON_3_NANO)
    kinds = [block.kind for block in blocks_of(alone)]
    counts = [kinds.count(kind) for kind in ("state", "attention", "feed_forward")]
    assert counts == [23, 6, 23]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_the_operators_have_the_parameters_of_the_shape(shape: StateShape) -> None:
    block = state_block(48, shape)
    assert block.parameters == shape.parameter_count(48)
    assert block.state_elements == shape.state_elements
    assert block.convolution_elements == shape.convolution.elements


def flop(block: Block, name: str) -> int:
    found = next(one for one in block.operators if one.name == f"state.{name}")
    return found.flop_of(found.chunk_tokens)


def test_flop_of_a_next_token() -> None:
    """Each element of a state decays (1), is read for what is known (2), written (2), read (2)."""
    assert flop(state_block(48, DELTA), "update") == 6 * 7 * 16 * 8
    assert flop(state_block(48, KIMI), "update") == 4 * 7 * 8 * 8
    # Nothing is read before it is written; the step, and what goes past the state.
    assert flop(state_block(48, MAMBA), "update") == 8 * (5 * 16 * 32 + 4 * 16)
    assert flop(state_block(48, LIGHTNING), "update") == 4 * 5 * 8 * 8


def test_flop_of_a_row_in_a_chunk() -> None:
    """Products with the C rows of its chunk, and with the state."""
    c, k, v = 64, 16, 8
    inverse = c * -(-c // 3)
    one = 2 * c * k + 2 * c * k + inverse + 2 * c * (k + v) + 2 * c * v + 3 * 2 * k * v
    assert flop(state_block(48, DELTA), "chunks") == 6 * one
    c, n, v = 128, 32, 16
    assert flop(state_block(48, MAMBA), "chunks") == 2 * 2 * c * n + 8 * (2 * c * v + 4 * n * v)
    assert flop(state_block(48, LIGHTNING), "chunks") == 4 * (2 * 2 * 256 * 8 + 2 * 2 * 8 * 8)


def test_flop_of_a_convolution() -> None:
    """A multiply and an add for every row of the kernel, a bias, and an activation of four."""
    assert flop(state_block(48, MAMBA), "convolution") == (8 * 16 + 2 * 2 * 32) * (2 * 4 + 1 + 4)


def split(block: Block, chip_count: int) -> list[Operator]:
    return list(block.over(chip_count).operators)


@given(st.sampled_from([1, 2, 4, 8]))
def test_what_groups_share_is_copied_beyond_their_number(chip_count: int) -> None:
    """A chip has heads of one group at least, and so that group's B and C."""
    block = state_block(48, MAMBA)
    groups_on_chips = max(2, chip_count)
    shared = 2 * 32 * groups_on_chips
    values, heads = 8 * 16, 8
    made = split(block, chip_count)
    assert made[0].parameters == 48 * (2 * values + shared + heads)
    assert made[1].parameters == (values + shared) * 5
    held = block.over(chip_count)
    assert held.convolution_elements == 3 * (values + shared)
    assert held.state_elements == MAMBA.state_elements
    assert all(one.shared is None for one in made)


@given(st.sampled_from([1, 2, 3, 6]))
def test_keys_that_value_heads_share_are_copied_beyond_their_number(chip_count: int) -> None:
    block = state_block(48, DELTA)
    keys = 2 * 16 * max(2, chip_count) if chip_count % 2 == 0 else 2 * 16 * 2
    made = split(block, chip_count)
    assert made[0].parameters == 48 * (keys + 2 * 48 + 2 * 6)


def refused(config: dict[str, Any], **changed: object) -> str:
    with pytest.raises(InputError) as caught:
        architecture_from_config("any", config | changed)
    return "; ".join(f"{p.field}: {p.message}" for p in caught.value.problems)


def test_patterns_that_do_not_fit_are_refused() -> None:
    text = refused(NEMOTRON_3_NANO, hybrid_override_pattern="ME")
    assert "hybrid_override_pattern: is not a word of 52 letters" in text
    text = refused(NEMOTRON_3_NANO, hybrid_override_pattern="X" * 52)
    assert "'X' is none of 'M', '*', '-', 'E'" in text
    text = refused(QWEN3_5_27B, linear_num_key_heads=5)
    assert "48 value heads cannot share 5 key heads evenly" in text
    text = refused(QWEN3_5_27B, layer_types=["full_attention"])
    assert "layer_types: is not a list of 64 items" in text
    missing = {key: v for key, v in NEMOTRON_3_NANO.items() if key != "hybrid_override_pattern"}
    assert "'hybrid_override_pattern' is missing" in refused(missing)


def hybrid() -> Architecture:
    return architecture_from_config("any", QWEN3_5_27B)


def test_heads_and_what_they_share_are_asked_when_chips_split_them() -> None:
    assert hybrid().head_counts == {(24, 4), (48, 16)}
