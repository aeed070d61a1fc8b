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
    ShortConvolution,
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

NEMOTRON_3_SUPER = NEMOTRON_3_NANO | {
    # As `transformers` writes it now: a list of words, and no number of layers.
    "hybrid_override_pattern": None,
    "num_hidden_layers": None,
    "layers_block_type": [
        {"M": "mamba", "E": "moe", "*": "attention"}[letter]
        for letter in "MEMEMEM*" + 2 * "EMEMEMEM*" + 4 * "EMEMEMEMEM*" + "EMEMEMEM*EMEMEMEME"
    ],
    "hidden_size": 4096,
    "intermediate_size": 2688,
    "mamba_num_heads": 128,
    "n_routed_experts": 512,
    "num_experts_per_tok": 22,
    "moe_intermediate_size": 2688,
    "moe_latent_size": 1024,
    "moe_shared_expert_intermediate_size": 5376,
}
QWEN3_NEXT_80B: dict[str, Any] = {
    "model_type": "qwen3_next",
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "intermediate_size": 5120,
    "num_experts": 512,
    "num_experts_per_tok": 10,
    "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
    "vocab_size": 151936,
    "max_position_embeddings": 262144,
    "use_sliding_window": False,
}
GRANITE_4_H_SMALL: dict[str, Any] = {
    "model_type": "granitemoehybrid",
    "hidden_size": 4096,
    "num_hidden_layers": 40,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 768,
    "num_local_experts": 72,
    "num_experts_per_tok": 10,
    "shared_intermediate_size": 1536,
    "mamba_n_heads": 128,
    "mamba_d_state": 128,
    "mamba_d_head": 64,
    "tie_word_embeddings": True,
    "vocab_size": 100352,
    "max_position_embeddings": 131072,
    "position_embedding_type": "nope",
    "layer_types": ["mamba"] * 36 + ["attention"] * 4,
}
MINIMAX_M1: dict[str, Any] = {
    "model_type": "minimax_m1",
    "hidden_size": 6144,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 9216,
    "num_local_experts": 32,
    "num_experts_per_tok": 2,
    "attn_type_list": [0, 0, 0, 0, 0, 0, 0, 1] * 10,
    "vocab_size": 200064,
    "max_position_embeddings": 10240000,
}
KIMI_LINEAR_48B: dict[str, Any] = {
    "model_type": "kimi_linear",
    "hidden_size": 2304,
    "num_hidden_layers": 27,
    "num_attention_heads": 32,
    "intermediate_size": 9216,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "num_experts": 256,
    "num_experts_per_token": 8,
    "num_shared_experts": 1,
    "moe_intermediate_size": 1024,
    "vocab_size": 163840,
    "model_max_length": 1048576,
    "linear_attn_config": {
        "full_attn_layers": [4, 8, 12, 16, 20, 24, 27],
        "kda_layers": [n for n in range(1, 27) if n % 4],
        "head_dim": 128,
        "num_heads": 32,
        "short_conv_kernel_size": 4,
    },
}
FALCON_H1_34B: dict[str, Any] = {
    "model_type": "falcon_h1",
    "hidden_size": 5120,
    "num_hidden_layers": 72,
    "num_attention_heads": 20,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "intermediate_size": 21504,
    "vocab_size": 261120,
    "max_position_embeddings": 262144,
    "mamba_d_ssm": 4096,
    "mamba_n_heads": 32,
    "mamba_d_head": 128,
    "mamba_n_groups": 2,
}

DELTA = GatedDeltaNet(2, 6, 16, 8, 4)
KIMI = KimiDeltaAttention(4, 8, 4)
MAMBA = Mamba2(8, 16, 2, 32, 4, 128)
LIGHTNING = LightningAttention(4, 8, 256)
SHORT = ShortConvolution(32, 3, biases=True)
SHAPES = [DELTA, KIMI, MAMBA, LIGHTNING, SHORT]


@pytest.mark.parametrize(
    ("config", "parameters", "states", "convolutions"),
    [
        # 48 layers of 48 heads of 128 x 128; 3 rows of 16 + 16 key and 48 value heads of 128.
        (QWEN3_5_27B, 26_895_998_464, 48 * 48 * 128 * 128, 48 * 3 * 80 * 128),
        # 54 layers of 256 heads of 64 x 256; 3 rows of those and of 8 groups of two times 256.
        (NEMOTRON_H_56B, 56_324_350_464, 54 * 256 * 64 * 256, 54 * 3 * (256 * 64 + 8 * 512)),
        # 2,944 of the parameters are corrections of routers.
        (NEMOTRON_3_NANO, 31_577_937_344 + 2944, 23 * 64 * 64 * 128, 23 * 3 * (64 * 64 + 2048)),
        (NEMOTRON_3_SUPER, 120_668_707_840, 40 * 128 * 64 * 128, 40 * 3 * (128 * 64 + 2048)),
        (QWEN3_NEXT_80B, 79_674_391_296, 36 * 32 * 128 * 128, 36 * 3 * 64 * 128),
        (GRANITE_4_H_SMALL, 32_207_337_984, 36 * 128 * 64 * 128, 36 * 3 * (8192 + 256)),
        (MINIMAX_M1, 456_089_655_296, 70 * 64 * 128 * 128, 0),
        (KIMI_LINEAR_48B, 49_122_681_728, 20 * 32 * 128 * 128, 20 * 3 * 3 * 32 * 128),
        (FALCON_H1_34B, 33_642_221_312, 72 * 32 * 128 * 256, 72 * 3 * (4096 + 1024)),
    ],
)
def test_published_hybrids(
    config: dict[str, Any], parameters: int, states: int, convolutions: int
) -> None:
    model = architecture_from_config("any", config)
    assert model.parameter_count == parameters
    twice = model.vocabulary_size * model.hidden_size if model.tied_embeddings else 0
    assert sum(block.parameters for block in blocks_of(model)) - twice == parameters
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


def test_a_short_convolution_is_all_there_is() -> None:
    """Two gates, a multiply and an add for every row of the kernel, a bias."""
    block = state_block(48, SHORT)
    assert flop(block, "convolution") == 32 * (2 + 2 * 3 + 1)
    assert (block.state_elements, block.convolution_elements) == (0, 2 * 32)
    assert all(one.rows_of == "all" for one in block.operators)


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
    text = refused(NEMOTRON_3_NANO, layers_block_type=["mamba"] * 52)
    assert "hybrid_override_pattern: names other layers than the list beside it" in text
    text = refused(QWEN3_5_27B, linear_num_key_heads=5)
    assert "48 value heads cannot share 5 key heads evenly" in text
    text = refused(QWEN3_5_27B, layer_types=["full_attention"])
    assert "layer_types: is not a list of 64 items" in text
    missing = {key: v for key, v in NEMOTRON_3_NANO.items() if key != "hybrid_override_pattern"}
    assert "'hybrid_override_pattern' is missing" in refused(missing)


def test_keys_inside_of_a_part_are_not_ignored() -> None:
    inner = KIMI_LINEAR_48B["linear_attn_config"]
    text = refused(KIMI_LINEAR_48B, linear_attn_config=inner | {"use_full_rank_gate": True})
    assert "linear_attn_config.use_full_rank_gate: True is not modelled" in text
    text = refused(KIMI_LINEAR_48B, linear_attn_config=inner | {"head_dims": 64})
    assert "linear_attn_config.head_dims: unknown key 'head_dims'" in text


def hybrid() -> Architecture:
    return architecture_from_config("any", QWEN3_5_27B)


def test_heads_and_what_they_share_are_asked_when_chips_split_them() -> None:
    assert hybrid().head_counts == {(24, 4), (48, 16)}
